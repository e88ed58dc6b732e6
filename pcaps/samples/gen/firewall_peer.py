#!/usr/bin/env python3
"""Servers and clients for firewall.sh.

  firewall_peer.py serve LISTEN...     KIND:PROTO:ADDRESS:PORT, until killed; says "ready" for each
  firewall_peer.py tcp ADDRESS PORT [COUNT [SIZE [SECONDS]]]
  firewall_peer.py udp ADDRESS PORT [COUNT [SIZE]]
  firewall_peer.py steps ADDRESS PORT  one message for each line of standard input

KIND is echo, silent (nothing comes back), reset (the second message is answered
by a reset), or proxy=ADDRESS=PORT. ADDRESS in brackets is IPv6.
"""

import hashlib
import select
import socket
import struct
import sys
import threading
import time


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def body(n, size):
    """The n-th message: bytes that no other message has."""
    out = b"%d:" % n
    while len(out) < size:
        out += hashlib.sha256(out + b"%d" % n).hexdigest().encode()
    return out[:size]


def handle(conn, kind):
    n = 0
    while True:
        try:
            data = conn.recv(65536)
        except OSError:
            return
        if not data:
            conn.close()
            return
        n += 1
        if kind == "reset" and n == 2:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
            return
        if kind == "silent":
            continue
        try:
            conn.sendall(hashlib.sha256(data).hexdigest().encode())
        except OSError:
            return


def relay(conn, address, port):
    far = socket.create_connection((address, port), timeout=5)
    while True:
        ready, _, _ = select.select([conn, far], [], [], 5)
        for s in ready:
            data = s.recv(65536)
            if not data:
                conn.close()
                far.close()
                return
            (far if s is conn else conn).sendall(data)
        if not ready:
            return


def listen(spec):
    kind, proto, rest = spec.split(":", 2)
    address, port = rest.rsplit(":", 1)
    address = address.strip("[]")
    if proto == "udp":
        s = socket.socket(family(address), socket.SOCK_DGRAM)
        s.bind((address, int(port)))
        print("ready", flush=True)
        while True:
            data, peer = s.recvfrom(65536)
            if kind == "echo":
                s.sendto(hashlib.sha256(data).hexdigest().encode(), peer)
    s = socket.socket(family(address), socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    s.listen(64)
    print("ready", flush=True)
    while True:
        conn, _ = s.accept()
        if kind.startswith("proxy="):
            _, to, to_port = kind.split("=")
            threading.Thread(target=relay, args=(conn, to, int(to_port)), daemon=True).start()
        else:
            threading.Thread(target=handle, args=(conn, kind), daemon=True).start()


def connect(address, port, seconds):
    s = socket.socket(family(address), socket.SOCK_STREAM)
    s.settimeout(seconds)
    s.connect((address, port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def tcp(address, port, count=2, size=100, seconds=3):
    s = connect(address, port, seconds)
    for n in range(count):
        s.sendall(body(n, size))
        if not s.recv(65536):
            return
    s.close()


def steps(address, port):
    s = connect(address, port, 3)
    for n, line in enumerate(sys.stdin):
        s.settimeout(float(line))
        s.sendall(body(n, 100))
        try:
            if not s.recv(65536):
                return
        except socket.timeout:
            pass
        print("step", n, flush=True)
    s.close()


def udp(address, port, count=2, size=60):
    s = socket.socket(family(address), socket.SOCK_DGRAM)
    s.settimeout(0.4)
    s.connect((address, port))
    for n in range(count):
        try:
            s.send(struct.pack("!d", time.time()) + body(n, size))
            s.recv(65536)
        except (socket.timeout, ConnectionRefusedError, PermissionError, OSError):
            pass


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "serve":
        for spec in args:
            threading.Thread(target=listen, args=(spec,), daemon=True).start()
        while True:
            time.sleep(60)
    numbers = [int(a) for a in args[1:]]
    try:
        {"tcp": tcp, "udp": udp, "steps": steps}[what](args[0], *numbers)
    except OSError as err:
        print(what, *args, err, file=sys.stderr)


main()
