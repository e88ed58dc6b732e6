// A TLS client and a TLS server on node:tls, for Node.js, Bun and Deno: see
// matrix.py for their arguments.
import fs from "node:fs";
import net from "node:net";
import tls from "node:tls";
import process from "node:process";

const read = (name) => fs.readFileSync(name);
const [kind, ...args] = process.argv.slice(2);

if (kind === "server") {
  const [port, policy] = args;
  const options = { cert: read("server.crt"), key: read("server.key"), ca: read("ca.crt"), requestCert: policy !== "none", rejectUnauthorized: policy === "require" };
  const server = tls.createServer(options, (s) => {
    const chain = s.getPeerCertificate(true);
    console.log(`certs=${chain && chain.raw ? 1 : 0}`);
    s.on("data", () => s.end("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n"));
    s.on("error", () => {});
  });
  server.on("tlsClientError", (e) => console.log(`refused ${e.message}`));
  server.listen(Number(port), "0.0.0.0", () => console.log("ready"));
} else {
  const [address, port, name, cert, count] = args;
  let session;
  const once = () =>
    new Promise((done) => {
      const options = { host: address, port: Number(port), servername: name, ca: read("ca.crt"), rejectUnauthorized: false, minVersion: "TLSv1.3", session };
      if (cert !== "-") Object.assign(options, { cert: read(cert + ".crt"), key: read(cert + ".key") });
      const s = tls.connect(options, () => s.write("GET / HTTP/1.0\r\n\r\n"));
      let said = false;
      const say = (line) => { if (!said) console.log(line); said = true; };
      s.on("session", (b) => { session = session ?? b; });
      s.on("data", () => { say(`resumed=${s.isSessionReused && s.isSessionReused() ? 1 : 0}`); setTimeout(() => s.end(), 20); });
      s.on("error", (e) => say(`failed ${e.message}`));
      s.on("close", () => { say("failed closed"); done(); });
      setTimeout(() => s.destroy(), 2000).unref?.();
    });
  for (let i = 0; i < Number(count); i++) await once();
  process.exit(0);
}
