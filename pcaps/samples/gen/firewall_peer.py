"""What takes part in firewall.sh: a server on every port, a client that calls each
in turn, says something and waits a moment for the answer, and what delays."""
import fcntl
import socket
import struct
import subprocess
import sys
import threading
import time

SERVER = "198.51.100.10"
TCP = [8001, 8002, 8003, 8004, 8006, 8007, 8008, 8009, 8010]


def serve():
    def tcp(port):
        listener = socket.create_server(("0.0.0.0", port))
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=answer, args=(conn, port), daemon=True).start()

    def answer(conn, port):
        try:
            conn.settimeout(3)
            said = conn.recv(1000)
            if said:
                conn.sendall(b"answer on port %d to %s" % (port, said))
            conn.recv(1000)
        except OSError:
            pass
        conn.close()

    def udp(port):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", port))
        while True:
            said, peer = sock.recvfrom(1000)
            sock.sendto(b"answer to " + said, peer)

    for port in TCP:
        threading.Thread(target=tcp, args=(port,), daemon=True).start()
    for port in (9001, 9002):
        threading.Thread(target=udp, args=(port,), daemon=True).start()
    time.sleep(60)


def call():
    for port in TCP + [8005, 8011]:
        try:
            conn = socket.create_connection((SERVER, port), timeout=1.5)
            conn.settimeout(0.7)
            conn.sendall(b"question number one on port %d" % port)
            conn.recv(1000)
            conn.sendall(b"goodbye on port %d" % port)
            time.sleep(0.05)
            conn.close()
        except OSError:
            pass
    for port in (9001, 9002):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(0.5)
        sock.sendto(b"question over udp on port %d" % port, (SERVER, port))
        try:
            sock.recv(1000)
        except OSError:
            pass
    subprocess.run(["ping", "-c", "2", "-i", "0.2", "-W", "1", SERVER], stdout=subprocess.DEVNULL, check=False)


def delay():
    """Takes packets from the interface "slow" and puts them back 30 ms later."""
    tun = open("/dev/net/tun", "r+b", buffering=0)
    # TUNSETIFF with IFF_TUN | IFF_NO_PI (linux/if_tun.h)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"slow", 0x1001))
    while True:
        packet = tun.read(2000)
        threading.Timer(0.03, tun.write, (packet,)).start()


{"delay": delay, "serve": serve, "call": call}[sys.argv[1]]()
