"""A request is tried again only when that cannot do harm."""
import select
import socket
import threading

import pytest

from kit.client import chunked, request
from kit.ports import free_port
from kit.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def world(build):
    return build()


def close_if_reused(conn, r):
    """Closes without a byte when the connection is a reused one: the race every proxy meets."""
    if r.number > 1:
        conn.close()
        return
    conn.read_body(r)
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")


def warm(world, client):
    """Leaves budget and one idle connection behind."""
    for _ in range(30):
        assert client.get("/warm").status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_idempotent_on_a_reused_connection(world, method):
    world.upstream.on("/stale", close_if_reused)
    with world.client() as client:
        warm(world, client)
        before = world.upstream.count("/stale")
        answer = client.get("/stale", method=method)
        assert answer.status == 200, answer
        assert world.upstream.count("/stale") - before == 2


def test_idempotent_with_small_body(world):
    world.upstream.on("/stale", close_if_reused)
    with world.client() as client:
        warm(world, client)
        assert client.get("/stale", method="PUT", body=b"x" * 1000).status == 200
    assert world.upstream.last("/stale").body == b"x" * 1000


@pytest.mark.parametrize("method", ["POST", "PATCH", "BREW"])
def test_not_idempotent_is_sent_once(world, method):
    world.upstream.on("/once", lambda conn, r: conn.close())
    with world.client() as client:
        warm(world, client)
        before = world.upstream.count("/once")
        assert client.get("/once", method=method, body=b"x").status == 502
        assert world.upstream.count("/once") - before == 1


def test_fresh_connection_is_not_retried(build):
    """Closed without an answer on a first request: the application's doing, not a race."""
    world = build(upstream=ScriptedUpstream())
    world.upstream.on("/fresh", lambda conn, r: conn.close())
    assert world.get("/fresh").status == 502
    assert world.upstream.count("/fresh") == 1
    world.gate.stop()


class Ending:
    """An application at its end: each new connection is closed with what came on it unread."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            select.select([conn], [], [], 5)
            conn.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.mark.parametrize("balance", ["round_robin", "hash"])
@pytest.mark.parametrize("method, body, status",
                         [("GET", None, 200), ("DELETE", None, 200), ("PUT", b"x", 502), ("POST", None, 502)])
def test_fresh_connection_that_was_reset(build, balance, method, body, status):
    """A reset is what a request meets that nobody read: another endpoint gets it, if it may be repeated and has no body."""
    ending, live = Ending(), ScriptedUpstream("live")
    keys = {"hash_on": "path"} if balance == "hash" else {}
    world = build(upstream=live, pools={"main": {"balance": balance, **keys, "endpoints": [
        {"address": ending.address}, {"address": live.address}]}})
    try:
        answers = []
        while ending.connections == 0 and len(answers) < 50:
            answers.append(world.get(f"/over/{len(answers)}", method=method, body=body).status)
        assert ending.connections == 1 and answers[-1] == status and set(answers[:-1]) <= {200}, (answers, ending.connections)
        assert len(live.requests) == answers.count(200)
    finally:
        ending.close()
        world.gate.stop()


def test_not_after_a_response_byte(world):
    def half(conn, r):
        conn.send(b"HTTP/1.1 200")
        conn.close()
    world.upstream.on("/half", half)
    with world.client() as client:
        warm(world, client)
        before = world.upstream.count("/half")
        assert client.get("/half").status == 502
        assert world.upstream.count("/half") - before == 1


def test_streamed_body_is_not_replayed(world):
    """A body over 64 KiB is gone once sent."""
    def drop(conn, r):
        conn.read_body(r)
        conn.close()
    world.upstream.on("/streamed", drop)
    with world.client() as client:
        warm(world, client)
        before = world.upstream.count("/streamed")
        client.send(request("/streamed", method="PUT", fields=[("Transfer-Encoding", "chunked")]) +
                    chunked(*[b"x" * 10000] * 20))
        assert client.response().status == 502
        assert world.upstream.count("/streamed") - before == 1


def test_at_most_two_retries(world):
    world.upstream.on("/never", lambda conn, r: conn.close())
    with world.client() as client:
        warm(world, client)
        before = world.upstream.count("/never")
        assert client.get("/never").status == 502
        assert 1 <= world.upstream.count("/never") - before <= 3


def test_application_restart_is_not_seen(world):
    """All idle connections close at once; the next requests go through."""
    with world.client() as client:
        warm(world, client)
        world.upstream.drop_connections()
        assert [client.get("/after-restart").status for _ in range(5)] == [200] * 5


def test_dead_endpoint_is_passed_over(build):
    """Nothing was sent to an endpoint that refuses the connection: any method goes to the other one."""
    live = ScriptedUpstream("live")
    world = build(upstream=live, pools={"main": {"balance": "round_robin", "endpoints": [
        {"address": f"127.0.0.1:{free_port()}"}, {"address": live.address}]}})
    statuses = [world.get("/over", method="POST", body=b"x").status for _ in range(20)]
    assert statuses.count(200) >= 18, statuses
    world.gate.stop()


def test_budget_bounds_retries(build):
    """Retries stay within a fifth of what the pool does, or two: a dying pool is not hammered."""
    upstream = ScriptedUpstream()
    upstream.default = lambda conn, r: conn.close() if r.number > 1 or r.path() == "/die" else (
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    world = build(upstream=upstream)
    before = upstream.count()
    for _ in range(60):
        world.get("/die")
    assert upstream.count() - before <= 60 * 1.35 + 6, upstream.count() - before
    world.gate.stop()
