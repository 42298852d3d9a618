"""An application of the soak test, a process of its own so that it can be killed: application.py PORT KIND.

KIND: good; stalls (some answers never come); garbage (some answers are no HTTP).
"""
import hashlib
import itertools
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from kit import websocket as ws  # noqa: E402
from kit.upstream import ScriptedUpstream, ok  # noqa: E402

block = hashlib.sha256(b"soak").digest() * 2048     # 64 KiB
numbers = itertools.count(1)


class Forgetful(list):
    """The kit's upstream remembers all it was asked; for hours it must not."""

    def append(self, item):
        pass


def answer(conn, body):
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def digest(conn, request):
    conn.received.clear()
    answer(conn, hashlib.sha256(conn.read_body(request)).hexdigest().encode())


def big(conn, request):
    """/big?COUNT: so many blocks, by length or, for an odd count, in chunks."""
    count = int(request.target.split("?")[1])
    if count % 2:
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            if not conn.send(b"%x\r\n%s\r\n" % (len(block), block)):
                return
        conn.send(b"0\r\n\r\n")
        return
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * len(block)))
    for _ in range(count):
        if not conn.send(block):
            return


def target(conn, request):
    conn.received.clear()
    conn.read_body(request)
    answer(conn, request.target.encode())


def stalls(conn, request):
    if next(numbers) % 20 == 0:
        conn.wait_closed(30)
        conn.close()
        return
    target(conn, request)


def garbage(conn, request):
    conn.read_body(request)
    pieces = (b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
              b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"")
    number = next(numbers)
    if number % 10 == 0:
        conn.send(pieces[number // 10 % len(pieces)])
        conn.close()
        return
    answer(conn, request.target.encode())


def main():
    port, kind = int(sys.argv[1]), sys.argv[2]
    # All with it: requests come as soon as it listens.
    upstream = ScriptedUpstream(kind, port=port, default={"good": target, "stalls": stalls, "garbage": garbage}[kind],
                                handlers={"/healthz": ok(), "/digest": digest, "/big": big, "/ws": ws.echo_upstream})
    upstream.requests, upstream.errors = Forgetful(), Forgetful()
    signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=upstream.drop_connections).start())
    while True:
        time.sleep(5)
        upstream.connections[:] = [c for c in upstream.connections if c.open]


main()
