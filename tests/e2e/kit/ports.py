"""Free ports, taken below the ephemeral range so that no outgoing connection grabs one first."""
import fcntl
import os
import pathlib
import random
import socket
import tempfile

_taken = set()
# A byte a port, locked by whoever chose it: the gate shares ports (SO_REUSEPORT), so that two tests side by side
# that chose the same one would not notice. Held until the process ends.
_locks = open(pathlib.Path(tempfile.gettempdir()) / f"gatehouse-ports-{os.getuid()}", "ab")  # noqa: SIM115
_random = random.Random(os.getpid() ^ int.from_bytes(os.urandom(4), "big"))


def free_port():
    for _ in range(1000):
        port = _random.randrange(12000, 31000)
        if port in _taken:
            continue
        try:
            fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
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
