"""Chunked bodies from clients: what is accepted comes out one way, what is not is refused."""
import itertools
import time

import pytest

from kit.client import chunked, deliveries

H = b"POST /chunks HTTP/1.1\r\nHost: acme.localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
numbers = itertools.count()

bad = [
    ("empty-size", b"\r\nhello\r\n" + END),
    ("plus", b"+5\r\nhello\r\n" + END),
    ("minus", b"-5\r\nhello\r\n" + END),
    ("0x", b"0x5\r\nhello\r\n" + END),
    ("space-before", b" 5\r\nhello\r\n" + END),
    ("space-after", b"5 \r\nhello\r\n" + END),
    ("tab-after", b"5\t\r\nhello\r\n" + END),
    ("not-hex", b"5g\r\nhello\r\n" + END),
    ("letters", b"zz\r\nhello\r\n" + END),
    ("17-digits", b"00000000000000005\r\nhello\r\n" + END),
    ("overflow", b"fffffffffffffffff\r\nhello\r\n" + END),
    ("bare-lf-size", b"5\nhello\r\n" + END),
    ("bare-cr-size", b"5\rhello\r\n" + END),
    ("no-crlf-after-data", b"5\r\nhelloX\r\n" + END),
    ("bare-lf-after-data", b"5\r\nhello\n" + END),
    ("bare-cr-after-data", b"5\r\nhello\rX" + END),
    ("longer-than-said", b"3\r\nhello\r\n" + END),
    ("lf-in-extension", b"5;a\nb\r\nhello\r\n" + END),
    ("cr-in-extension", b"5;a\rb\r\nhello\r\n" + END),
    ("nul-in-extension", b"5;a\0b\r\nhello\r\n" + END),
    ("lf-in-quoted-extension", b"5;a=\"\n\"\r\nhello\r\n" + END),
    ("crlf-in-quoted-extension", b"5;a=\"\r\nhello\r\n0\r\n\r\n\"\r\nhello\r\n" + END),
    ("extension-5k", b"5;a=" + b"b" * 5000 + b"\r\nhello\r\n" + END),
    ("extensions-5k-in-all", b"".join(b"1;a=" + b"b" * 200 + b"\r\nx\r\n" for _ in range(26)) + END),
    ("last-chunk-bare-lf", b"5\r\nhello\r\n0\n\n"),
    ("end-bare-lf", b"5\r\nhello\r\n0\r\n\n"),
    ("end-bare-cr", b"5\r\nhello\r\n0\r\n\rX\r\n"),
    ("trailer-bare-lf", b"5\r\nhello\r\n0\r\nX: y\nZ: a\r\n\r\n"),
    ("trailer-nul", b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
]


@pytest.fixture(scope="module")
def world(build):
    """A message in hundreds of pieces keeps its deadline on a busy machine."""
    return build(settings={"timeouts": {"request_head": "10s", "upstream_head": "8s"}})


@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("body", [pytest.param(b, id=n) for n, b in bad])
def test_bad_chunk(world, body, how):
    """400 and close; the upstream never sees a finished message of it."""
    path = f"/bad-chunks-{next(numbers)}"
    finished = []

    def watch(conn, request):
        conn.read_body(request)
        finished.append(request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    world.upstream.on(path, watch)
    with world.client() as client:
        client.deliver(H.replace(b"/chunks", path.encode()) + body, how)
        begun = time.monotonic()
        answer = client.response()
        assert time.monotonic() - begun < 6, "the refusal waited for the upstream"
        assert answer.status == 400, answer
        assert client.closed()
    assert not finished, "the upstream got a whole message out of a broken one"
    assert world.upstream.count(path) <= 1


good = [
    ("one", chunked(b"hello"), b"hello"),
    ("none", END, b""),
    ("many", chunked(*[b"x"] * 300), b"x" * 300),
    ("upper-hex", b"A\r\n0123456789\r\n" + END, b"0123456789"),
    ("lower-hex", b"a\r\n0123456789\r\n" + END, b"0123456789"),
    ("leading-zeros", b"0000000000000005\r\nhello\r\n" + END, b"hello"),
    ("zeros-last", b"5\r\nhello\r\n0000\r\n\r\n", b"hello"),
    ("extension", b"5;name=value\r\nhello\r\n" + END, b"hello"),
    ("extension-quoted", b"5;name=\"a;b\"\r\nhello\r\n0;last\r\n\r\n", b"hello"),
    ("trailer", b"5\r\nhello\r\n0\r\nX-Trailer: v\r\n\r\n", b"hello"),
    ("trailers-forged", b"5\r\nhello\r\n0\r\nContent-Length: 3\r\nX-Tenant-Id: globex\r\n\r\n", b"hello"),
    ("binary", chunked(bytes(range(256)) * 8), bytes(range(256)) * 8),
    ("data-looks-like-end", chunked(b"0\r\n\r\n"), b"0\r\n\r\n"),
]


@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("body,wanted", [pytest.param(b, w, id=n) for n, b, w in good])
def test_good_chunks(world, body, wanted, how):
    with world.client() as client:
        client.deliver(H + body, how)
        answer = client.response()
        assert answer.status == 200, answer
        got = answer.json()
        assert got["body"].encode("latin-1") == wanted
        assert got["trailers"] == []
        assert dict((n.lower(), v) for n, v in got["fields"])["x-tenant-id"] == "acme"
        # The connection carries on: the body's end was found exactly.
        assert client.get("/after").json()["target"] == "/after"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 16384, 65535, 65536, 300_000])
def test_sizes_arrive_whole(world, size):
    body = (b"%08d" % 7) * (size // 8) + b"z" * (size % 8)
    with world.client() as client:
        answer = client.ask(H + chunked(*[body[i:i + 10_000] for i in range(0, size, 10_000)]))
        assert answer.status == 200
        assert answer.json()["body"].encode("latin-1") == body


def test_client_vanishes_inside_a_chunk(world):
    """No complete message reaches the upstream, and its connection is not used again."""
    finished = []

    def watch(conn, request):
        conn.read_body(request)
        finished.append(request)

    world.upstream.on("/vanish", watch)
    with world.client() as client:
        client.send(H.replace(b"/chunks", b"/vanish") + b"a\r\n01234")
    with world.client() as client:
        assert client.get("/after-vanish").status == 200
    assert not finished
    assert world.upstream.last("/after-vanish").fields.get("host") == "acme.localhost"


def test_largest_size_is_not_an_overflow(world):
    """2^64-1 bytes are announced: whatever the gate says, it is no success and ends the connection."""
    finished = []
    world.upstream.on("/largest", lambda conn, request: finished.append(conn.read_body(request)))
    with world.client() as client:
        client.send(H.replace(b"/chunks", b"/largest") + b"ffffffffffffffff\r\nhello\r\n" + END)
        assert client.response().status in (400, 408, 413)
        assert client.closed()
    assert not finished
