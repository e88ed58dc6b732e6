"""Sends standard input to a TCP port in clear, and reads what comes back.

    send.py ADDRESS PORT
"""

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as peer:
    peer.sendall(sys.stdin.buffer.read())
    peer.settimeout(0.5)
    try:
        while peer.recv(4096):
            pass
    except TimeoutError:
        pass
