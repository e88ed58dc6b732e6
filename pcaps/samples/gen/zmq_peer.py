"""A ZMTP peer of the site samples, made of libzmq.

    zmq_peer.py server|client CURVE|PLAIN|NULL ADDRESS KEYFILE

The server binds port 7780 and answers every message; the client sends three
and leaves. The server writes its CURVE public key to KEYFILE.
"""

import sys

import zmq

side, mechanism, address, keyfile = sys.argv[1:]
context = zmq.Context()
socket = context.socket(zmq.ROUTER if side == "server" else zmq.DEALER)
socket.linger = 200

if side == "server":
    if mechanism == "CURVE":
        public, socket.curve_secretkey = zmq.curve_keypair()
        socket.curve_server = True
        with open(keyfile, "wb") as f:
            f.write(public)
    elif mechanism == "PLAIN":
        # PLAIN asks an authenticator (ZAP, RFC 27): this one says yes to all.
        from zmq.auth.thread import ThreadAuthenticator

        authenticator = ThreadAuthenticator(context)
        authenticator.start()
        authenticator.configure_plain(domain="*", passwords={"agent": "not-a-secret"})
        socket.plain_server = True
    socket.bind(f"tcp://{address}:7780")
    while True:
        identity, body = socket.recv_multipart()
        socket.send_multipart([identity, b"ack " + body])

if mechanism == "CURVE":
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    with open(keyfile, "rb") as f:
        socket.curve_serverkey = f.read()
elif mechanism == "PLAIN":
    socket.plain_username, socket.plain_password = b"agent", b"not-a-secret"
socket.heartbeat_ivl = 150
socket.connect(f"tcp://{address}:7780")
for n in range(3):
    socket.send(f"task {n} is done".encode())
    if socket.poll(1500):
        socket.recv()
if socket.poll(400):
    socket.recv()
socket.close()
