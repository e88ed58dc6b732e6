#!/usr/bin/env python3
"""A line between two networks that delays and loses, for firewall.sh.

  firewall_line.py NAME NAME DELAY EVERY

makes two Ethernet interfaces, which may then be moved into namespaces, and
carries frames between them: from the first to the second DELAY milliseconds
later, those of TCP to port 8017 300 more, back at once. From SIGUSR1 on, each EVERYth IP packet to the second is lost.
It does what tc's netem does, which many kernels are built without, and loses
the same packets every time.
"""

import fcntl
import heapq
import os
import select
import signal
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def interface(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    return fd


def main():
    near, far = interface(sys.argv[1]), interface(sys.argv[2])
    delay, every = int(sys.argv[3]) / 1000, int(sys.argv[4])
    lossy = []
    signal.signal(signal.SIGUSR1, lambda *_: lossy.append(True))
    print("ready", flush=True)
    waiting, order, seen = [], 0, 0
    while True:
        timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else 1
        ready, _, _ = select.select([near, far], [], [], timeout)
        for fd in ready:
            try:
                frame = os.read(fd, 65536)
            except OSError:
                continue
            if fd == far:
                write(near, frame)
                continue
            if lossy and frame[12:14] == b"\x08\x00":
                seen += 1
                if seen % every == 0:
                    continue
            order += 1
            slow = frame[12:14] == b"\x08\x00" and frame[23] == 6 and frame[36:38] == b"\x1f\x51"
            heapq.heappush(waiting, (time.monotonic() + delay + 0.3 * slow, order, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            write(far, heapq.heappop(waiting)[2])


def write(fd, frame):
    try:
        os.write(fd, frame)
    except OSError:
        pass  # the other end is not up


main()
