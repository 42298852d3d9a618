"""Free ports, taken below the ephemeral range so that no outgoing connection grabs one first."""
import os
import random
import socket

_taken = set()
_random = random.Random(os.getpid() ^ int.from_bytes(os.urandom(4), "big"))


def free_port():
    for _ in range(1000):
        port = _random.randrange(12000, 31000)
        if port in _taken:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise RuntimeError("no free port between 12000 and 31000")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
