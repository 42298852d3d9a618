"""Long and large exchanges: event streams, big bodies in constant memory, slow peers, pipelining,
kinds of upstream, ways of balancing."""
import os
import threading
import time

import pytest

from kit.client import Client, chunked, random_splits, request
from kit.gate import until
from kit.http_message import ProtocolError
from kit.ports import has_ipv6
from kit.upstream import ScriptedUpstream, ok

mebibyte = 1 << 20
slow_build = bool(os.environ.get("GATEHOUSE_SLOW"))
large = (20 if slow_build else 200) * mebibyte


@pytest.fixture(scope="module")
def world(build, dev_certs):
    return build(certs=dev_certs, settings={"timeouts": {"upstream_body_idle": "3s", "upstream_head": "4s"}})


def either(world, dev_certs, tls):
    return world.gate.tls_client("acme.localhost", dev_certs / "ca.pem", timeout=60) if tls else world.client(timeout=60)


both = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@both
def test_events_arrive_one_by_one(world, dev_certs, tls):
    came, waited = threading.Semaphore(0), []

    def events(conn, r):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            data = b"data: %d\n\n" % i
            conn.send(b"%x\r\n%s\r\n" % (len(data), data))
            sent = time.monotonic()
            came.acquire(timeout=2.5)   # nothing comes after it that could push it on
            waited.append(time.monotonic() - sent)
        conn.send(b"0\r\n\r\n")
    world.upstream.on("/events", events)
    with either(world, dev_certs, tls) as client:
        client.send(request("/events", fields=[("Accept", "text/event-stream")]))
        assert client.reader.response_head().status == 200
        for i in range(5):
            assert client.reader.next_chunk() == b"data: %d\n\n" % i
            came.release()
        assert client.reader.next_chunk() == b""
    assert min(waited) < 0.15, f"events were held back: {waited}"


def test_event_stream_until_close(world):
    """Without framing of its own the stream is framed, still event by event."""
    came, waited = threading.Semaphore(0), []

    def events(conn, r):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for i in range(3):
            conn.send(b"data: %d\n\n" % i)
            sent = time.monotonic()
            came.acquire(timeout=2.5)
            waited.append(time.monotonic() - sent)
        conn.close()
    world.upstream.on("/events-close", events)
    with world.client() as client:
        client.send(request("/events-close"))
        client.reader.response_head()
        for i in range(3):
            assert client.reader.next_chunk() == b"data: %d\n\n" % i
            came.release()
        assert client.reader.next_chunk() == b""
    assert min(waited) < 0.15, f"events were held back: {waited}"


def test_events_to_a_http_1_0_client(world):
    world.upstream.on("/events-10", lambda conn, r: [conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                                               chunked(b"data: 1\n\n"))])
    with world.client() as client:
        answer = client.ask(b"GET /events-10 HTTP/1.0\r\nHost: acme.localhost\r\n\r\n")
        assert answer.body == b"data: 1\n\n"


@both
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_download(world, dev_certs, tls, framing):
    """Whole, and in constant memory although the client reads slowly at first."""
    block = os.urandom(mebibyte)
    count = large // mebibyte

    def download(conn, r):
        if framing == "length":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % large)
            for _ in range(count):
                if not conn.send(block):
                    return
        else:
            conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(count):
                if not conn.send(b"%x\r\n%s\r\n" % (len(block), block)):
                    return
            conn.send(b"0\r\n\r\n")
    world.upstream.on("/large", download)
    before, worst, total = world.gate.rss_bytes(), 0, 0
    with either(world, dev_certs, tls) as client:
        client.send(request("/large"))
        head = client.reader.response_head()
        assert head.status == 200
        time.sleep(0.8)
        worst = world.gate.rss_bytes()
        if framing == "length":
            buffer = bytearray(mebibyte)
            left = large - len(client.reader.buffer)
            while left:
                n = client.socket.recv_into(buffer, min(left, mebibyte))
                assert n, "ended early"
                left -= n
            total = large
        else:
            while True:
                data = client.reader.next_chunk()
                if not data:
                    break
                total += len(data)
        worst = max(worst, world.gate.rss_bytes())
    assert total == large
    growth = (worst - before) / mebibyte
    print(f"grew by {growth:.1f} MiB")
    assert growth < (60 if slow_build else 16), f"memory grew by {growth:.1f} MiB"


@both
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_upload(world, dev_certs, tls, framing):
    count = large // mebibyte
    got = []

    def upload(conn, r):
        time.sleep(0.5)
        total = 0
        if r.fields.get("content-length"):
            left = int(r.fields.get("content-length")) - len(conn.reader.buffer)
            total = len(conn.reader.buffer)
            conn.reader.buffer.clear()
            while left:
                data = conn.socket.recv(mebibyte)
                if not data:
                    return
                left -= len(data)
                total += len(data)
        else:
            while True:
                data = conn.reader.next_chunk()
                if not data:
                    break
                total += len(data)
            conn.reader.until(b"\r\n")
        got.append(total)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    world.upstream.on("/upload", upload)
    block = os.urandom(mebibyte)
    before, worst = world.gate.rss_bytes(), 0
    with either(world, dev_certs, tls) as client:
        if framing == "length":
            client.send(request("/upload", method="POST", fields=[("Content-Length", str(large))]))
        else:
            client.send(request("/upload", method="POST", fields=[("Transfer-Encoding", "chunked")]))
        for i in range(count):
            client.send(block if framing == "length" else b"%x\r\n%s\r\n" % (len(block), block))
            if i % 20 == 0:
                worst = max(worst, world.gate.rss_bytes())
        if framing == "chunked":
            client.send(b"0\r\n\r\n")
        assert client.response().status == 200
        worst = max(worst, world.gate.rss_bytes())
    assert got == [large]
    growth = (worst - before) / mebibyte
    print(f"grew by {growth:.1f} MiB")
    assert growth < (60 if slow_build else 16), f"memory grew by {growth:.1f} MiB"


def test_both_ways_at_once(world):
    """An echo that streams: the gate reads and writes both sides at the same time."""
    def stream(conn, r):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            data = conn.reader.next_chunk()
            if not data:
                break
            conn.send(b"%x\r\n%s\r\n" % (len(data), data))
        conn.reader.until(b"\r\n")
        conn.send(b"0\r\n\r\n")
    world.upstream.on("/stream", stream)
    with world.client() as client:
        client.send(request("/stream", method="POST", fields=[("Transfer-Encoding", "chunked")]))
        assert client.reader.response_head().status == 200
        for i in range(20):
            data = b"piece %d" % i
            client.send(b"%x\r\n%s\r\n" % (len(data), data))
            assert client.reader.next_chunk() == data
        client.send(b"0\r\n\r\n")
        assert client.reader.next_chunk() == b""


def test_long_poll(world):
    world.upstream.on("/poll", lambda conn, r: (time.sleep(2.5), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")))
    assert world.get("/poll").body == b"news"


# --- slow clients ---

def test_slow_head(world):
    """The head's deadline is for all of it: dripping bytes does not push it."""
    with world.client() as client, world.upstream.silent():
        begun = time.monotonic()
        client.send_pieces([bytes([b]) for b in request("/drip", fields=[("X", "a" * 60)])], pause=0.05)
        answer = client.response()
        took = time.monotonic() - begun
        assert answer.status == 408 and answer.problem() == "request-timeout"
        assert 0.8 < took < 3 and client.closed()


def test_silent_connection_is_closed(world):
    """A connection that never says anything: closed, with a 408 or without."""
    with world.client() as client:
        got = client.reader.response()
        assert got is None or got.status == 408


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_stalled_body(world, framing):
    with world.client() as client:
        client.send(b"POST /stalled HTTP/1.1\r\nHost: acme.localhost\r\n" + framing + b"\r\n\r\n" +
                    (b"5\r\nhello" if b"chunked" in framing else b"hello"))
        begun = time.monotonic()
        answer = client.response()
        assert answer.status == 408
        assert 0.7 < time.monotonic() - begun < 4
        assert client.closed()


def test_keep_alive_idle_is_closed(build):
    world = build(settings={"timeouts": {"keep_alive": "500ms"}})
    with world.client() as client:
        assert client.get("/").status == 200
        begun = time.monotonic()
        assert client.closed(5)
        assert 0.3 < time.monotonic() - begun < 3
    world.gate.stop()


def test_client_that_never_reads_is_let_go(world):
    """A client that asks for much and reads nothing does not hold its upstream for ever."""
    block = b"x" * mebibyte

    def endless(conn, r):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (500 * mebibyte))
        for _ in range(500):
            if not conn.send(block):
                return
    world.upstream.on("/unread", endless)
    client = world.client()
    client.send(request("/unread"))
    time.sleep(1)
    connection = world.upstream.last("/unread").connection
    client.reset()
    assert connection.peer_closed.wait(4)


# --- connections ---

def test_pipelining(world):
    with world.client() as client:
        client.send(b"".join(request(f"/p{i}", method="POST" if i % 3 else "GET", body=b"b" * i if i % 3 else None)
                             for i in range(40)))
        for i in range(40):
            answer = client.response()
            assert answer.status == 200 and answer.json()["target"] == f"/p{i}"
            assert len(answer.json()["body"]) == (i if i % 3 else 0)


def test_pipelining_in_random_splits(world):
    data = b"".join(request(f"/s{i}") for i in range(10))
    for seed in range(5):
        with world.client() as client:
            for piece in random_splits(data, seed):
                client.send(piece)
                time.sleep(0.002)
            assert [client.response().json()["target"] for _ in range(10)] == [f"/s{i}" for i in range(10)]


def test_pipelined_answers_keep_their_order(world):
    world.upstream.on("/late", lambda conn, r: (time.sleep(0.3), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")))
    world.upstream.on("/quick", ok(b"quick"))
    with world.client() as client:
        client.send(request("/late") + request("/quick"))
        assert [client.response().body for _ in range(2)] == [b"late", b"quick"]


def test_pipelined_after_close_is_not_answered(world):
    with world.client() as client:
        client.send(request("/first", fields=[("Connection", "close")]) + request("/second-after-close"))
        assert client.response().status == 200
        assert client.closed()
    assert world.upstream.count("/second-after-close") == 0


def test_keep_alive(world):
    with world.client() as client:
        for i in range(200):
            assert client.get(f"/k{i}").status == 200


def test_half_close_is_no_abort(world):
    """On plain connections a client may end its side after the request."""
    world.upstream.on("/half", lambda conn, r: (time.sleep(0.4), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf")))
    with world.client() as client:
        client.send(request("/half"))
        client.half_close()
        assert client.response().body == b"half"
        assert client.closed()


def test_half_close_inside_a_body(world):
    with world.client() as client:
        client.send(b"POST /cut HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 100\r\n\r\nhello")
        client.half_close()
        try:
            got = client.reader.response()
            assert got is None or got.status == 400
        except ProtocolError:
            pass


@both
def test_client_abort_frees_the_upstream(world, dev_certs, tls):
    """A reset on plain, close_notify with FIN on TLS: a dead long poll gives its slot back."""
    world.upstream.on("/abandoned", lambda conn, r: conn.wait_closed(6))
    client = either(world, dev_certs, tls)
    before = world.upstream.count("/abandoned")
    client.send(request("/abandoned"))
    until(lambda: world.upstream.count("/abandoned") > before)
    connection = world.upstream.last("/abandoned").connection
    begun = time.monotonic()
    if tls:
        client.close()
    else:
        client.reset()
    assert connection.peer_closed.wait(3)
    assert time.monotonic() - begun < 2


def test_nothing_leaks(world):
    """Open files return to where they were after all kinds of endings."""
    def one(how):
        with world.client() as client:
            client.send(request("/leak") if how != "cut" else b"GET /lea")
            if how == "read":
                client.response()
            elif how == "reset":
                client.reset()
    one("read")
    time.sleep(0.3)
    before = world.gate.open_files()
    for _ in range(30):
        for how in ("read", "reset", "cut", "leave"):
            one(how)
    until(lambda: world.gate.open_files() <= before + 12, 5)


# --- kinds of upstream ---

def test_unix_upstream(build, tmp_path):
    upstream = ScriptedUpstream(unix=str(tmp_path / "app.sock"))
    world = build(upstream=upstream)
    with world.client() as client:
        for _ in range(5):
            assert client.get("/", method="POST", body=b"x" * 1000).status == 200
    world.gate.stop()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_ipv6_upstream_and_listener(build):
    from kit.ports import free_port
    port = free_port()
    world = build(upstream=ScriptedUpstream(ipv6=True), extra_listeners=[{"address": f"[::]:{port}", "tls": False}])
    for address, wanted in ((("::1", port), "::1"), (("127.0.0.1", port), "127.0.0.1")):
        with Client(address) as client:
            assert client.get("/six").status == 200
        assert world.upstream.last("/six").fields.get("x-real-ip") == wanted
    with Client(("::1", port)) as client:
        client.get("/six-forwarded")
    assert world.upstream.last("/six-forwarded").fields.get("x-forwarded-for") == "::1"
    world.gate.stop()


def test_upstream_by_name(build):
    upstream = ScriptedUpstream()
    world = build(upstream=upstream, pools={"main": [f"localhost:{upstream.port}"]})
    assert world.get("/").status == 200
    world.gate.stop()


def spread(world, n=40, **options):
    seen = {}
    for i in range(n):
        name = world.get(f"/b{i}", **options).json()["upstream"]
        seen[name] = seen.get(name, 0) + 1
    return seen


@pytest.mark.parametrize("balance", ["round_robin", "least_requests", "random2"])
def test_balance(build, balance):
    one, two = ScriptedUpstream("one"), ScriptedUpstream("two")
    world = build(upstream=one, settings={"node": {"workers": 1}},
                  pools={"main": {"balance": balance, "endpoints": [{"address": one.address}, {"address": two.address}]}})
    seen = spread(world)
    assert seen.get("one", 0) >= 8 and seen.get("two", 0) >= 8, seen
    if balance == "round_robin":
        assert seen == {"one": 20, "two": 20}
    world.gate.stop()
    two.stop()


def test_weights(build):
    one, two, off = ScriptedUpstream("one"), ScriptedUpstream("two"), ScriptedUpstream("off")
    world = build(upstream=one, settings={"node": {"workers": 1}}, pools={"main": {"balance": "round_robin", "endpoints": [
        {"address": one.address, "weight": 3}, {"address": two.address}, {"address": off.address, "weight": 0}]}})
    assert spread(world) == {"one": 30, "two": 10}
    world.gate.stop()
    two.stop()
    off.stop()


@pytest.mark.parametrize("hash_on,vary,same", [
    ("path", lambda i: {"path": f"/h{i}"}, lambda i: {"path": "/fixed"}),
    ("field:X-User", lambda i: {"fields": [("X-User", f"u{i}")]}, lambda i: {"fields": [("X-User", "u")]}),
    ("cookie:sid", lambda i: {"fields": [("Cookie", f"a=b; sid={i}")]}, lambda i: {"fields": [("Cookie", f"x={i}; sid=s")]}),
    ("client_ip", None, lambda i: {"path": f"/{i}"}),
])
def test_hash(build, hash_on, vary, same):
    ups = [ScriptedUpstream(f"u{i}") for i in range(3)]
    world = build(upstream=ups[0], pools={"main": {"balance": "hash", "hash_on": hash_on,
                                                   "endpoints": [{"address": u.address} for u in ups]}})
    assert len({world.get(**same(i)).json()["upstream"] for i in range(10)}) == 1
    if vary:
        assert len({world.get(**vary(i)).json()["upstream"] for i in range(40)}) == 3
        first = [world.get(**vary(i)).json()["upstream"] for i in range(10)]
        assert first == [world.get(**vary(i)).json()["upstream"] for i in range(10)]
    world.gate.stop()
    for u in ups[1:]:
        u.stop()


def test_failing_endpoint_is_ejected(build):
    """One of two endpoints drops every request: clients soon see nothing of it."""
    good, bad = ScriptedUpstream("good"), ScriptedUpstream("bad")
    bad.default = lambda conn, r: conn.reset()
    world = build(upstream=good, pools={"main": {"balance": "round_robin",
                                                "endpoints": [{"address": good.address}, {"address": bad.address}]}})
    for _ in range(40):
        world.get("/")
    assert [world.get("/").status for _ in range(10)].count(200) >= 9
    world.gate.stop()
    bad.stop()


def test_max_connections(build):
    """No more than so many connections, however many ask at once."""
    upstream = ScriptedUpstream()
    upstream.default = lambda conn, r: (time.sleep(0.1), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    world = build(upstream=upstream, settings={"node": {"workers": 1}}, pools={"main": {"endpoints": [
        {"address": upstream.address, "max_connections": 2, "max_pending": 100}]}})
    clients = [Client(world.gate.port) for _ in range(10)]
    for client in clients:
        client.send(request("/"))
    codes = [client.response().status for client in clients]
    assert len(upstream.connections) <= 2 and codes.count(200) >= 2
    assert set(codes) <= {200, 503}
    for client in clients:
        client.close()
    world.gate.stop()


def test_many_clients_at_once(world):
    failures = []

    def work(i):
        try:
            with world.client() as client:
                for j in range(20):
                    answer = client.get(f"/m{i}-{j}", host="acme.localhost" if i % 2 else "globex.localhost")
                    tenant = dict((n.lower(), v) for n, v in answer.json()["fields"])["x-tenant-id"]
                    if answer.json()["target"] != f"/m{i}-{j}" or tenant != ("acme" if i % 2 else "globex"):
                        failures.append(answer)
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
