#!/usr/bin/env python3
"""Records TLS 1.3 handshakes between many stacks, with and without client
certificates, and holds wirechart against what the endpoints reported.

  matrix.py record DIRECTORY            needs root: it works in a network namespace of its own
  matrix.py score DIRECTORY --bin bin/wirechart

record leaves matrix.pcap and matrix.json in DIRECTORY. Each run of a client has
a server address of its own (127.x.y.z), by which its connections are found in
the capture. What a connection was is what its ends said: the server how many
certificates it got, the client whether it resumed a session, the settings
whether the server asked. Stacks that are missing are left out, with a word.

It uses, where they are installed: OpenSSL, GnuTLS (gnutls-bin), Java (a JDK), Node.js, Go,
NSS (libnss3-dev, libnss3-tools), wolfSSL (libwolfssl-dev), curl, Chromium, Bun and Deno
(both from npm; Deno has rustls, Bun BoringSSL).

Clients and servers of the stacks without a command of their own are beside this
file: CLIENT ADDRESS PORT NAME CERTIFICATE|- COUNT, and SERVER PORT POLICY.
"""
import argparse, collections, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "server.example"
CERTS = ["rsa", "ec", "ed25519", "chain"]
POLICIES = ["none", "request", "require"]


def sh(*cmd, **kw):
    return subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)


def certificates():
    """Makes, in the current directory, an authority, one below it, a server's
    certificate and one of each kind for clients."""
    def key(name, kind):
        args = {"rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                "ed25519": ["-algorithm", "ED25519"]}[kind]
        sh("openssl", "genpkey", *args, "-out", name + ".key")

    def sign(name, subject, issuer, extensions):
        sh("openssl", "req", "-new", "-key", name + ".key", "-subj", subject, "-out", name + ".csr")
        with open(name + ".ext", "w") as f:
            f.write(extensions)
        sh("openssl", "x509", "-req", "-in", name + ".csr", "-CA", issuer + ".crt", "-CAkey", issuer + ".key", "-CAcreateserial", "-days", "30",
           "-extfile", name + ".ext", "-out", name + ".crt")

    key("ca", "rsa")
    sh("openssl", "req", "-x509", "-key", "ca.key", "-subj", "/O=Matrix/CN=Authority", "-days", "30", "-out", "ca.crt")
    key("sub", "ec")
    sign("sub", "/O=Matrix/CN=Authority below", "ca", "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign,cRLSign\n")
    key("server", "rsa")
    sign("server", "/CN=" + NAME, "ca", "subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n" % NAME)
    for name in CERTS:
        key(name, "rsa" if name == "chain" else name)
        sign(name, "/O=Matrix/CN=client " + name, "sub" if name == "chain" else "ca", "extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n")
    with open("chain.crt", "a") as f:
        f.write(open("sub.crt").read())
    for name in CERTS + ["server"]:
        more = ["-certfile", "sub.crt"] if name == "chain" else []
        sh("openssl", "pkcs12", "-export", "-in", name + ".crt", "-inkey", name + ".key", "-name", "client", *more, "-passout", "pass:changeit", "-out", name + ".p12")
        if shutil.which("certutil"):
            os.mkdir(name + ".nss")
            sh("certutil", "-N", "-d", "sql:" + name + ".nss", "--empty-password")
            subprocess.run(["pk12util", "-i", name + ".p12", "-d", "sql:" + name + ".nss", "-W", "changeit"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def build():
    """Compiles what has to be; returns the names of what there is."""
    have = set()
    for name, cmd in {
        "wolfssl": ["cc", "-O1", HERE + "/wolfssl.c", "-o", "wolfssl", "-lwolfssl"],
        "nss": ["cc", "-O1", HERE + "/nss.c", "-o", "nss", "-I/usr/include/nss", "-I/usr/include/nspr", "-lssl3", "-lnss3", "-lnspr4"],
        "java": ["javac", "-d", ".", HERE + "/Peer.java"],
        "go": ["go", "build", "-o", "peer-go", HERE + "/peer.go"],
    }.items():
        try:
            if subprocess.run(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
                have.add(name)
        except FileNotFoundError:
            pass
    for name, program in {"openssl": "openssl", "gnutls": "gnutls-cli", "node": "node", "curl": "curl", "chromium": "chromium", "bun": "bun", "deno": "deno"}.items():
        if shutil.which(program):
            have.add(name)
    return have


JAVA = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", "."]


def server_commands(have, port, policy):
    """How the servers are started: name, command, what its output says of each
    connection."""
    cert = ["-cert", "server.crt", "-key", "server.key", "-CAfile", "ca.crt"]
    ask = {"none": [], "request": ["-verify", "3"], "require": ["-Verify", "3", "-verify_return_error"]}[policy]
    tls = ["openssl", "s_server", "-accept", str(port), "-rev", "-tls1_3"] + cert + ask
    yield "openssl", tls
    yield "openssl, P-384 alone", tls + ["-groups", "P-384"]
    yield "openssl, records of 512", tls + ["-record_padding", "512"]
    if "gnutls" in have:
        ask = {"none": ["--disable-client-cert"], "request": [], "require": ["--require-client-cert", "--verify-client-cert"]}[policy]
        yield "gnutls", ["gnutls-serv", "--echo", "-p", str(port), "--x509certfile", "server.crt", "--x509keyfile", "server.key", "--x509cafile", "ca.crt",
                         "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] + ask
    if "java" in have:
        yield "java", JAVA + ["Peer", "server", str(port), policy]
    if "node" in have:
        yield "node", ["node", HERE + "/peer.mjs", "server", str(port), policy]
    if "go" in have:
        yield "go", ["./peer-go", "server", str(port), policy]


GOT = re.compile(r"^certs=[1-9]|^Peer certificate: |Got a certificate list of [1-9]", re.M)


def client_commands(have, address, port, cert, count):
    """How a client connects count times. It prints resumed=0 or resumed=1 for
    each connection; what a command of its own prints is read in resumptions."""
    a = [address, str(port), NAME, cert, str(count)]
    cc = ["-cert", cert + ".crt", "-key", cert + ".key", "-cert_chain", cert + ".crt"] if cert != "-" else []
    sclient = ["openssl", "s_client", "-connect", "%s:%d" % (address, port), "-servername", NAME, "-CAfile", "ca.crt", "-tls1_3"] + cc
    if count == 1:
        yield "openssl", sclient
        yield "openssl, records of 256", sclient + ["-record_padding", "256"]
        yield "openssl, post-handshake", sclient + ["-enable_pha"]
        yield "openssl, ChaCha20", sclient + ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]
        yield "openssl, SHA-256", sclient + ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]
    if "gnutls" in have:
        cc = ["--x509certfile", cert + ".crt", "--x509keyfile", cert + ".key"] if cert != "-" else []
        yield "gnutls", ["gnutls-cli", "-p", str(port), "--sni-hostname", NAME, "--no-ca-verification", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] + cc + \
            (["--resume", "--waitresumption"] if count > 1 else []) + [address]
    if "java" in have:
        yield "java", JAVA + ["Peer", "client"] + a
    for name in ("wolfssl", "nss"):
        if name in have and not (name == "nss" and cert == "ed25519"):  # NSS 3.87 has no Ed25519
            yield name, ["./" + name] + a
    if "node" in have:
        yield "node", ["node", HERE + "/peer.mjs", "client"] + a
    if "bun" in have:
        yield "bun", ["bun", HERE + "/peer.mjs", "client"] + a
    if "deno" in have:
        yield "deno", ["deno", "run", "-A", "--quiet", HERE + "/peer.mjs", "client"] + a
    if "curl" in have and count == 1:
        cc = ["--cert", cert + ".crt", "--key", cert + ".key"] if cert != "-" else []
        yield "curl", ["curl", "-sk", "-m", "3", "--tlsv1.3", "--resolve", "%s:%d:%s" % (NAME, port, address)] + cc + ["https://%s:%d/" % (NAME, port)]
    if "chromium" in have and count == 1 and cert in ("-", "rsa", "ec"):
        yield "chromium", ["chromium", cert, "https://%s:%d/" % (NAME, port), address]


def chromium(cert, url, address):
    """Visits url with the certificate, which a policy lets it choose by itself."""
    home = tempfile.mkdtemp(dir=".")
    policies = "/etc/chromium/policies/managed"
    os.makedirs(policies, exist_ok=True)
    with open(policies + "/matrix.json", "w") as f:
        json.dump({"AutoSelectCertificateForUrls": ['{"pattern":"*","filter":{}}']}, f)
    if cert != "-":
        os.makedirs(home + "/.pki")
        shutil.copytree(cert + ".nss", home + "/.pki/nssdb")
    return subprocess.run(["timeout", "20", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--ignore-certificate-errors",
                           "--user-data-dir=" + home + "/profile", "--host-resolver-rules=MAP * " + address, "--dump-dom", url],
                          env=dict(os.environ, HOME=os.path.abspath(home)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode(errors="replace")


def run_client(name, cmd, count):
    """Runs a client; returns whether each of its connections resumed."""
    if name == "chromium":
        out = chromium(*cmd[1:])
    else:
        try:
            out = subprocess.run(cmd, input=b"GET / HTTP/1.0\n\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=12).stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            out = "failed: took too long"
    if name == "gnutls":
        return [False] + ([True] if "This is a resumed session" in out else [False] * (count - 1)), out
    told = [x == "1" for x in re.findall(r"^resumed=(\d)", out, re.M)]
    return (told if len(told) == count else [False] * count), out


def listening(port):
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def record(directory):
    if os.environ.get("MATRIX_INSIDE") != "1":
        env = dict(os.environ, MATRIX_INSIDE="1")
        os.execvpe("unshare", ["unshare", "--net", "--mount", sys.executable, os.path.abspath(__file__), "record", os.path.abspath(directory)], env)
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "set", "lo", "mtu", "1500")
    if shutil.which("chromium"):  # its policy is seen here alone
        os.makedirs("/etc/chromium", exist_ok=True)
        sh("mount", "-t", "tmpfs", "none", "/etc/chromium")
    os.makedirs(directory, exist_ok=True)
    work = tempfile.mkdtemp()
    started = []
    try:
        os.chdir(work)
        certificates()
        have = build()
        print("stacks:", ", ".join(sorted(have)))
        dump = subprocess.Popen(["tcpdump", "-i", "lo", "-s", "0", "-B", "16384", "-U", "-w", directory + "/matrix.pcap", "tcp"], stderr=subprocess.DEVNULL)
        started.append(dump)
        time.sleep(1)
        rows, run, port = [], 0, 20000
        for policy in POLICIES:
            for server, cmd in server_commands(have, 0, policy):
                port += 1
                cmd = [str(port) if c == "0" else c for c in cmd]
                log = open("server.log", "w+")
                proc = subprocess.Popen(cmd, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
                started.append(proc)
                if not listening(port):
                    print("does not start:", server, policy)
                    continue
                time.sleep(0.3)
                plans = [("-", 1), ("rsa", 1)] + ([("ec", 1), ("ed25519", 1), ("chain", 1)] if policy != "none" else [])
                if "," not in server:
                    plans += [("-", 2)] if policy == "none" else [("rsa", 2)]
                for cert, count in plans:
                    for client, _ in client_commands(have, "", 0, cert, count):
                        if "," in server and client not in ("java", "nss", "wolfssl", "node", "bun", "deno", "gnutls"):
                            continue
                        run += 1
                        address = "127.%d.%d.%d" % (1 + run // 60000, run // 250 % 240, 1 + run % 250)
                        command = dict(client_commands(have, address, port, cert, count))[client]
                        before = os.fstat(log.fileno()).st_size
                        resumed, out = run_client(client, command, count)
                        time.sleep(0.03)
                        with open("server.log", "rb") as f:
                            f.seek(before)
                            said = f.read().decode(errors="replace")
                        rows.append({"client": client, "server": server, "policy": policy, "certificate": cert, "address": address, "port": port,
                                     "resumed": resumed, "got": len(GOT.findall(said)), "client_said": out[-200:] if "failed" in out else ""})
                proc.terminate()
                print("%-26s %-8s %4d runs" % (server, policy, run), flush=True)
        time.sleep(1)
        dump.send_signal(signal.SIGINT)
        dump.wait()
        with open(directory + "/matrix.json", "w") as f:
            json.dump(rows, f, indent=1)
    finally:
        for p in started:
            if p.poll() is None:
                p.kill()
        os.chdir("/")
        shutil.rmtree(work)


def truth(row, i):
    """What the i-th connection of a run was, None where its ends disagree."""
    if row["resumed"][i]:
        return "resumed"
    if row["policy"] == "none":
        return "absent"
    got = row["got"] > 0
    if got:
        return "present" if row["certificate"] != "-" else None
    # The server got none: the client had none, or the server refused what it got
    # before it could say so.
    return "empty" if row["certificate"] == "-" else None


SAID = ["present", "empty", "absent", "unknown"]


def score(directory, binary):
    out = subprocess.run([binary, "flows", "-o", "jsonl", directory + "/matrix.pcap"], stdout=subprocess.PIPE, check=True).stdout
    flows = collections.defaultdict(list)
    for line in out.splitlines():
        f = json.loads(line)
        if f["proto"] == "tcp" and "tls" in f:
            flows[f["server"]["ip"]].append(f)
    by = {"client": collections.defaultdict(collections.Counter), "server": collections.defaultdict(collections.Counter)}
    counts = collections.Counter()  # of the whole
    sure, wrong = collections.Counter(), []
    for row in json.load(open(directory + "/matrix.json")):
        met = sorted(flows[row["address"]], key=lambda f: f["start"])
        for i, f in enumerate(met):
            t = f["tls"]
            said, basis = t.get("client_cert", "unknown"), t.get("client_cert_basis")
            want = truth(row, min(i, len(row["resumed"]) - 1))
            if t.get("handshake") == "incomplete" or "version" not in t:
                counts["without a handshake"] += 1  # no version or certificate in common
                continue
            if row["client"] == "chromium":
                # It makes connections of its own accord and does not report: that it
                # resumes is in clear in the ServerHello, and it breaks off where it is
                # asked for a certificate, to begin anew once it has chosen one.
                if t.get("resumed"):
                    want = "resumed"
                elif t.get("handshake") == "failed" and said == "unknown":
                    counts["broken off by Chromium"] += 1
                    continue
            if want is None:
                counts["whose ends disagree"] += 1
                continue
            first = truth(row, 0)
            verdict = said
            if want == "resumed":
                verdict = "linked" if basis == "resumed" else "resumed, unknown"
                if not t.get("resumed") or basis not in (None, "resumed") or basis and first and said != first:
                    verdict = "wrong"
            elif t.get("resumed") or said not in ("unknown", want):
                verdict = "wrong"
            elif said != "unknown":
                sure[want, t.get("client_cert_confidence")] += 1
            if verdict == "wrong":
                wrong.append((row, f["client"]["port"], want, said))
            for end in by:
                by[end][row[end]][want, verdict] += 1
    for end in by:
        print("\n| %s | not asked | empty | shown | unknown | resumed | linked | wrong |\n|---|---|---|---|---|---|---|---|" % end)
        for name in sorted(by[end]):
            c = by[end][name]
            of = lambda v: sum(n for (_, x), n in c.items() if x == v)
            print("| %s | %d | %d | %d | %d | %d | %d | %d |" % (name, c["absent", "absent"], c["empty", "empty"], c["present", "present"], of("unknown"),
                  of("linked") + of("resumed, unknown"), of("linked"), of("wrong")))
    full = answered = padded = 0
    for name, c in by["client"].items():
        for (want, said), n in c.items():
            if want == "resumed":
                continue
            if "records of" in name:
                padded += n
            else:
                full += n
                answered += n * (said == want)
    print("\n%d full handshakes, %d answered (%.2f %%); %d more of a client that pads to blocks; wrong anywhere: %d" % (full, answered, 100 * answered / max(1, full), padded, len(wrong)))
    print("left out: " + ", ".join("%d %s" % (n, what) for what, n in sorted(counts.items())))
    print("confidence: " + ", ".join("%s %s %d" % (w, c, n) for (w, c), n in sorted(sure.items(), key=str)))
    for row, client_port, want, said in wrong:
        print("wrong: %s > %s, %s, certificate %s, %s:%d, port %d: was %s, said %s" % (
            row["client"], row["server"], row["policy"], row["certificate"], row["address"], row["port"], client_port, want, said))
    return 1 if wrong or full == 0 or answered / full < 0.99 else 0


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=["record", "score"])
    ap.add_argument("directory")
    ap.add_argument("--bin", default="bin/wirechart")
    a = ap.parse_args()
    if a.what == "record":
        record(a.directory)
    else:
        sys.exit(score(a.directory, a.bin))


if __name__ == "__main__":
    main()
