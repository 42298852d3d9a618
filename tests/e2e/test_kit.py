"""The kit's own promises: the strict reader refuses what is ambiguous, silence is noticed when broken."""
import pytest

from kit import toml_text, websocket
from kit.client import Client, chunked, random_splits, request
from kit.gate import until
from kit.http_message import ProtocolError, Reader
from kit.upstream import ScriptedUpstream, raw


def reader_of(data, step=7):
    pieces = [data[i:i + step] for i in range(0, len(data), step)]
    return Reader(lambda n: pieces.pop(0) if pieces else b"")


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("data,body,framing", [
    (OK + b"Content-Length: 2\r\n\r\nok", b"ok", "length"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"o", b"k"), b"ok", "chunked"),
    (OK + b"\r\nuntil the end", b"until the end", "close"),
    (b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n", b"", "length"),
])
def test_reads(data, body, framing):
    for step in (1, 7, 10_000):
        answer = reader_of(data, step).response()
        assert answer.body == body and answer.framing == framing


@pytest.mark.parametrize("data", [
    OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok"),
    OK + b"Content-Length: +2\r\n\r\nok",
    OK + b"Content-Length: 3\r\n\r\nok",
    OK + b"Transfer-Encoding: gzip\r\n\r\nok",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    OK + b"A : b\r\n\r\n", OK + b"A: b\nC: d\r\n\r\n", OK + b"A: \0\r\n\r\n", OK + b"A",
    b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 600 OK\r\n\r\n", b"HTTP/1.1 200\r\n\r\n", b"nonsense\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
])
def test_refuses(data):
    with pytest.raises(ProtocolError):
        reader_of(data).response()


def test_silence_is_noticed():
    upstream = ScriptedUpstream()
    with pytest.raises(AssertionError, match="left alone"):
        with upstream.silent(), Client(upstream.port) as client:
            client.send(b"G")
            until(lambda: upstream.bytes_received > 0)
    with upstream.silent():
        pass
    upstream.stop()


def test_scripts():
    upstream = ScriptedUpstream()
    upstream.on("/raw", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok", end="close", pause=0.01))
    upstream.on("/reset", raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", end="reset"))
    with Client(upstream.port) as client:
        assert client.get("/echo", method="POST", body=b"abc").json()["body"] == "abc"
        assert client.get("/raw").body == b"ok" and client.closed()
    with Client(upstream.port) as client:
        client.send(request("/reset"))
        with pytest.raises(ProtocolError):
            client.response()
    assert upstream.count() == 3 and upstream.last("/echo").number == 1
    upstream.stop()


def test_tls_upstream(authority):
    upstream = ScriptedUpstream(tls=authority.leaf("app.internal"))
    with Client(upstream.port, tls={"sni": "app.internal", "ca": str(authority.cert)}) as client:
        assert client.get("/").status == 200
    assert upstream.sni_seen == ["app.internal"]
    upstream.stop()


def test_websocket_frames():
    upstream = ScriptedUpstream()
    upstream.on("/ws", websocket.echo_upstream)
    with Client(upstream.port) as client:
        client.send(websocket.upgrade_request())
        assert client.response().status == 101
        for size in (0, 125, 126, 70_000):
            client.send(websocket.frame(b"x" * size, 2))
            assert websocket.read_frame(client.reader) == (2, b"x" * size)
    upstream.stop()


def test_splits_are_the_same_for_a_seed():
    data = bytes(range(100))
    assert random_splits(data, 5) == random_splits(data, 5)
    assert b"".join(random_splits(data, 6)) == data and len(random_splits(data, 6)) > 1


def test_toml():
    import tomllib
    settings = {"node": {"id": "a\"b\\c\n"}, "listener": [{"tls": True}], "pools": {"x.y": {"endpoints": [{"weight": 2}]}}}
    assert tomllib.loads(toml_text.document(settings)) == settings
    assert toml_text.merged({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}) == {"a": {"c": 2, "d": 3}}
