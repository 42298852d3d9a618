"""Upstreams that answer wrongly: 502 or a truncated body, never their bytes as another response, and
the connection is never used again."""
import threading
import time

import pytest

from kit.client import request
from kit.http_message import ProtocolError
from kit.upstream import raw

OK = b"HTTP/1.1 200 OK\r\n"
INJECTED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Injected: 1\r\n\r\ninjected"

bad_heads = [
    ("garbage", b"hello there\r\n\r\n"),
    ("binary", bytes(range(128, 256)) + b"\r\n\r\n"),
    ("empty-line-first", b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
    ("no-version", b"200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("http-2", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("http-1.2", b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("http-0.9", b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("lower-case", b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("icy", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("two-digit-status", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("four-digit-status", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status-letters", b"HTTP/1.1 2x0 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status-000", b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status-099", b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status-600", b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status-999", b"HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("status-negative", b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("two-spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("tab", b"HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok"),
    ("control-in-reason", b"HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok"),
    ("nul-in-reason", b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok"),
    ("cr-in-reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok"),
    ("bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    ("bare-lf-field", OK + b"X: y\nContent-Length: 2\r\n\r\nok"),
    ("bare-cr-field", OK + b"X: y\rZ: a\r\nContent-Length: 2\r\n\r\nok"),
    ("nul-field", OK + b"X: \0\r\nContent-Length: 2\r\n\r\nok"),
    ("space-before-colon", OK + b"Content-Length : 2\r\n\r\nok"),
    ("folded", OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
    ("empty-name", OK + b": x\r\nContent-Length: 2\r\n\r\nok"),
    ("no-colon", OK + b"nonsense\r\nContent-Length: 2\r\n\r\nok"),
    ("cl-and-te", OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("te-and-cl", OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("te-twice", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ("te-gzip", OK + b"Transfer-Encoding: gzip\r\n\r\nok"),
    ("te-gzip-chunked", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    ("te-in-1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    ("cl-twice", OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
    ("cl-two-values", OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
    ("cl-list", OK + b"Content-Length: 2, 2\r\n\r\nok"),
    ("cl-negative", OK + b"Content-Length: -2\r\n\r\nok"),
    ("cl-plus", OK + b"Content-Length: +2\r\n\r\nok"),
    ("cl-letters", OK + b"Content-Length: two\r\n\r\nok"),
    ("cl-overflow", OK + b"Content-Length: 99999999999999999999\r\n\r\nok"),
    ("cl-empty", OK + b"Content-Length:\r\n\r\nok"),
    ("head-too-large", OK + b"X: " + b"a" * 70000 + b"\r\nContent-Length: 2\r\n\r\nok"),
    ("too-many-fields", OK + b"".join(b"X-%d: y\r\n" % i for i in range(210)) + b"Content-Length: 2\r\n\r\nok"),
    ("bad-interim", b"HTTP/1.1 103 Early\r\nbroken\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
    ("unasked-101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
]


@pytest.mark.parametrize("answer", [pytest.param(a, id=n) for n, a in bad_heads])
def test_bad_head(world, answer):
    world.upstream.on("/bad", raw(answer))
    with world.client() as client:
        got = client.get("/bad")
        assert got.status == 502, got
        assert got.problem() == "upstream-failed"
        assert b"ok" not in got.body[-3:] and "x" not in got.fields
        used = world.upstream.last("/bad").connection
        assert world.get("/after-bad").status == 200
        assert world.upstream.last("/after-bad").connection is not used, "a discarded connection was used again"
    assert used.wait_closed(2), "the discarded connection was left open"


cut = [
    ("close-at-once", [], 502),
    ("one-byte", [b"H"], 502),
    ("in-status-line", [b"HTTP/1.1 200"], 502),
    ("in-field", [OK + b"Content-Le"], 502),
    ("before-empty-line", [OK + b"Content-Length: 2\r\n"], 502),
    ("after-interim", [b"HTTP/1.1 103 Early Hints\r\n\r\n"], 502),
]


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("pieces,status", [pytest.param(p, s, id=n) for n, p, s in cut])
def test_cut_in_head(world, pieces, status, end):
    world.upstream.on("/cut", raw(*pieces, end=end))
    answer = world.get("/cut", method="POST", body=b"x")
    assert answer.status == status and answer.problem() == "upstream-failed"


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("start", [
    pytest.param(OK + b"Content-Length: 100\r\n\r\nhello", id="length"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", id="chunked"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n64\r\nhello", id="in-chunk"),
    pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", id="before-the-end"),
])
def test_cut_in_body(world, start, end):
    """The client must be able to tell: the body never looks complete."""
    world.upstream.on("/cut-body", raw(start, end=end))
    with world.client() as client:
        client.send(request("/cut-body"))
        with pytest.raises(ProtocolError):
            answer = client.response()
            assert answer.status == 502
            raise ProtocolError("502 instead: as good")


bad_chunks = [
    ("not-hex", b"zz\r\nhello\r\n0\r\n\r\n"), ("negative", b"-5\r\nhello\r\n0\r\n\r\n"), ("0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("empty", b"\r\nhello\r\n0\r\n\r\n"), ("overflow", b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("no-crlf", b"5\r\nhelloXX0\r\n\r\n"), ("bare-lf", b"5\nhello\n0\n\n"), ("space", b"5 \r\nhello\r\n0\r\n\r\n"),
    ("nul-extension", b"5;\0\r\nhello\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("body", [pytest.param(b, id=n) for n, b in bad_chunks])
def test_bad_chunk(world, body):
    world.upstream.on("/bad-chunk", raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + body))
    with world.client() as client:
        client.send(request("/bad-chunk"))
        try:
            answer = client.response()
            assert answer.status == 502
        except ProtocolError:
            pass
    used = world.upstream.last("/bad-chunk").connection
    assert used.wait_closed(2)


def test_response_splitting(world):
    """Bytes after the end of a body are nobody's answer."""
    world.upstream.on("/split", raw(OK + b"Content-Length: 2\r\n\r\nok" + INJECTED))
    for _ in range(5):
        with world.client() as client:
            assert client.get("/split").body == b"ok"
            used = world.upstream.last("/split").connection
            after = client.get("/after-split")
            assert "x-injected" not in after.fields and after.json()["target"] == "/after-split"
            assert world.upstream.last("/after-split").connection is not used


def test_late_bytes_on_an_idle_connection(world):
    """An idle upstream connection that speaks unasked is thrown away."""
    def late(conn, r):
        conn.read_body(r)
        conn.send(OK + b"Content-Length: 2\r\n\r\nok")
        time.sleep(0.05)
        conn.send(INJECTED)
        sent.set()
    sent = threading.Event()
    world.upstream.on("/late", late)
    assert world.get("/late").body == b"ok"
    assert sent.wait(10)
    time.sleep(0.15)
    for _ in range(4):
        assert world.get("/after-late").json()["target"] == "/after-late"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_body_on_bodiless(world, status):
    world.upstream.on("/bodiless", raw(b"HTTP/1.1 " + status + b"\r\n\r\n" + INJECTED))
    with world.client() as client:
        answer = client.get("/bodiless")
        assert answer.status in (int(status[:3]), 502)
        after = client.get("/after-bodiless")
        assert "x-injected" not in after.fields and after.status == 200


def test_body_on_head(world):
    world.upstream.on("/head-body", raw(OK + b"Content-Length: 95\r\n\r\n" + INJECTED))
    with world.client() as client:
        assert client.get("/head-body", method="HEAD").status in (200, 502)
        after = client.get("/after-head-body")
        assert "x-injected" not in after.fields and after.status == 200


def test_stall_before_the_head(world):
    def stall(conn, r):
        conn.wait_closed(6)
    world.upstream.on("/stall", stall)
    begun = time.monotonic()
    answer = world.get("/stall")
    took = time.monotonic() - begun
    assert answer.status == 504 and answer.problem() == "upstream-timeout"
    assert 1.2 < took < 4, took
    assert world.upstream.last("/stall").connection.wait_closed(2)


def test_stall_inside_the_head(world):
    def stall(conn, r):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-")
        conn.wait_closed(6)
    world.upstream.on("/stall-head", stall)
    assert world.get("/stall-head").status == 504


def test_dripping_head_does_not_push_the_deadline(world):
    def drip(conn, r):
        for byte in OK + b"X: " + b"a" * 200:
            if not conn.send(bytes([byte])) or conn.peer_closed.is_set():
                return
            time.sleep(0.05)
    world.upstream.on("/drip", drip)
    begun = time.monotonic()
    assert world.get("/drip").status == 504
    assert time.monotonic() - begun < 4


def test_stall_inside_the_body(world):
    def stall(conn, r):
        conn.send(OK + b"Content-Length: 100\r\n\r\nhello")
        conn.wait_closed(6)
    world.upstream.on("/stall-body", stall)
    with world.client() as client:
        client.send(request("/stall-body"))
        begun = time.monotonic()
        with pytest.raises(ProtocolError):
            client.response()
        assert time.monotonic() - begun < 4


def test_nothing_listens(build, dev_certs):
    from kit.ports import free_port
    world = build(pools={"main": [f"127.0.0.1:{free_port()}"]})
    answer = world.get("/")
    assert answer.status in (502, 503)
    assert answer.problem() in ("upstream-failed", "no-endpoint")
    assert b"127.0.0.1" not in answer.body
    world.gate.stop()


def test_endless_interims_end(world):
    def flood(conn, r):
        for _ in range(100_000):
            if not conn.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50):
                return
    world.upstream.on("/flood", flood)
    with world.client() as client:
        client.send(request("/flood"))
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 6:
                head = client.reader.response_head()
                if head is None or head.status >= 200:
                    break
        except ProtocolError:
            pass
        assert time.monotonic() - begun < 5, "interim responses without end were passed on"


def test_endless_body_is_left_when_the_client_goes(world):
    """A client that goes away frees the upstream."""
    def endless(conn, r):
        conn.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        while conn.send(b"400\r\n" + b"x" * 1024 + b"\r\n"):
            time.sleep(0.002)
    world.upstream.on("/endless", endless)
    with world.client() as client:
        client.send(request("/endless"))
        client.reader.response_head()
        client.reader.exactly(5000)
        client.reset()
    assert world.upstream.last("/endless").connection.peer_closed.wait(3)
