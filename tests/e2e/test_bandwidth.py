"""Bandwidth: bytes wait, none is lost, and nobody else waits with them."""
import concurrent.futures
import contextlib
import json
import re
import threading
import time

import pytest

from kit import websocket as ws
from kit.client import request
from kit.gate import until
from kit.upstream import ok

mib = 1 << 20
tenants = {
    "slow": {"name": "Slow", "pool": "main", "limits": {"bandwidth": "2MiB/s"}},
    "planned": {"name": "Planned", "pool": "main", "plan": "small"},
    "free": {"name": "Free", "pool": "main"},
    "routed": {"name": "Routed", "pool": "main",
               "routes": [{"path": "/narrow", "limits": {"bandwidth": "1MiB/s"}}, {"path": "/"}]},
    "up": {"name": "Up", "limits": {"bandwidth": "2MiB/s"}},
    "one": {"name": "One", "parent": "up", "pool": "main"},
    "two": {"name": "Two", "parent": "up", "pool": "main"},
    "crawl": {"name": "Crawl", "pool": "main", "limits": {"bandwidth": "16KiB/s"}},
    "other": {"name": "Other", "pool": "main", "limits": {"bandwidth": "16KiB/s"}},
    "change": {"name": "Change", "pool": "main", "limits": {"bandwidth": "16KiB/s"}},
    "later": {"name": "Later", "pool": "main"},
}


def body_of(size):
    return ok(b"d" * size)


def echo_raw(conn, request_):
    ws.switch(conn, request_)
    with contextlib.suppress(OSError):
        while data := conn.socket.recv(65536):
            conn.send(data)


@pytest.fixture(scope="module")
def world(build):
    world = build(tenants=tenants, settings={"plans": {"small": {"bandwidth": "2MiB/s"}},
                                             "timeouts": {"upstream_head": "1s", "upstream_body_idle": "1s",
                                                          "request_body_idle": "1s", "tunnel_idle": "1s"}})
    for n in (2, 4, 10):
        world.upstream.on(f"/{n}m", body_of(n * mib)).on(f"/narrow/{n}m", body_of(n * mib))
    world.upstream.on("/200k", body_of(200_000)).on("/sink", sink).on("/narrow/sink", sink).on("/raw", echo_raw)
    return world


def sink(conn, request_):
    conn.read_body(request_)
    said = b"%d" % len(request_.body)
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))


def waiting(gate):
    return float(re.search(r"^gatehouse_transfers_waiting (\S+)$", gate.admin("GET", "/metrics")[1], re.MULTILINE)[1])


def in_flight(gate):
    return sum(w["requests_in_flight"] for w in gate.admin_json("/v1/node")["workers"])


def fetch(world, host, path, seconds=60):
    """How long it took; the body is whole."""
    begun = time.monotonic()
    with world.client(timeout=seconds) as client:
        answer = client.get(path, host=host + ".localhost")
    assert answer.status == 200
    return time.monotonic() - begun, len(answer.body)


def at_once(*jobs):
    """Their results, in order, all run side by side."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [f.result() for f in [pool.submit(job) for job in jobs]]


@pytest.mark.parametrize("host", ["slow", "planned"])
def test_download(world, host):
    took, size = fetch(world, host, "/10m")
    assert size == 10 * mib
    assert 4.8 < took < 15   # a tenth of a second's worth goes at once


def test_upload(world):
    begun = time.monotonic()
    with world.client(timeout=60) as client:
        answer = client.get("/sink", host="slow.localhost", method="POST", body=b"u" * (4 * mib))
    assert answer.status == 200 and answer.body == b"%d" % (4 * mib)
    assert time.monotonic() - begun > 1.8


def test_the_ways_are_apart_and_nobody_else_waits(world):
    def upload():
        begun = time.monotonic()
        with world.client(timeout=60) as client:
            assert client.get("/sink", host="slow.localhost", method="POST", body=b"u" * (4 * mib)).status == 200
        return time.monotonic() - begun

    def others():
        return [fetch(world, "free", "/10m")[0] for _ in range(5)]
    down, up, free = at_once(lambda: fetch(world, "slow", "/4m")[0], upload, others)
    assert down > 1.8 and up > 1.8
    assert min(free) < 1.8, "a tenant without a limit waits with one that has one"


def test_transfers_of_a_tenant_share_alike(world):
    begun = time.monotonic()
    times = [t for t, _ in at_once(*[lambda: fetch(world, "slow", "/2m")] * 4)]
    assert time.monotonic() - begun > 3.8
    assert min(times) > 0.6 * max(times), f"one was served before the others: {times}"


def test_small_answers_are_counted_together(world):
    def some():
        with world.client(timeout=60) as client:
            for _ in range(5):
                assert client.get("/200k", host="slow.localhost").status == 200
    begun = time.monotonic()
    at_once(*[some] * 5)
    assert time.monotonic() - begun > 5_000_000 / (2 * mib) - 0.2


def test_route(world):
    assert fetch(world, "routed", "/narrow/2m")[0] > 1.8
    assert fetch(world, "routed", "/10m")[0] < 5


def test_children_share_what_their_parent_has(world):
    begun = time.monotonic()
    (one, _), (two, _) = at_once(lambda: fetch(world, "one.up", "/4m"), lambda: fetch(world, "two.up", "/4m"))
    assert time.monotonic() - begun > 3.8
    assert min(one, two) > 0.6 * max(one, two)


def test_tunnel(world):
    """Both ways wait, for longer than a tunnel may be idle."""
    with world.client(timeout=60) as client:
        client.send(ws.upgrade_request("/raw", host="crawl.localhost"))
        assert client.response().status == 101
        begun = time.monotonic()
        sent = b"t" * (64 * 1024 + 40_000)   # 64 KiB go at once
        client.send(sent)
        assert client.reader.exactly(len(sent)) == sent
        assert time.monotonic() - begun > 2.2
        client.send(b"more")
        assert client.reader.exactly(4) == b"more"


def test_waiting_is_not_idling(world):
    """Neither side is told that it was too slow, though both wait for longer than they may be idle."""
    size = 64 * 1024 + 50_000
    world.upstream.on("/slow-down", body_of(size))
    took, got = fetch(world, "other", "/slow-down")
    assert got == size and took > 2.8
    begun = time.monotonic()
    with world.client(timeout=60) as client:
        answer = client.get("/sink", host="other.localhost", method="POST", body=b"u" * size)
    assert answer.status == 200 and answer.body == b"%d" % size
    assert time.monotonic() - begun > 2.8


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_client_that_leaves_while_it_waits(world, leave):
    gate = world.gate
    with world.client() as client:   # a response, and one that waits behind it
        client.send(request("/10m", "crawl.localhost"))
        uploader = world.client()
        uploader.send(request("/sink", "crawl.localhost", method="POST", body=b"")[:-2] .replace(
            b"Content-Length: 0", b"Content-Length: 1000000") + b"\r\n" + b"u" * 200_000)
        until(lambda: waiting(gate) == 2, 5)
        getattr(client, leave)()
        getattr(uploader, leave)()
        # A plain connection that closes one way may still read: the next piece tells.
        until(lambda: waiting(gate) == 0 and in_flight(gate) == 0, 20)
    begun = time.monotonic()
    assert fetch(world, "crawl", "/200k", 60)[1] == 200_000
    assert time.monotonic() - begun < 40


def test_change_while_a_transfer_waits(world):
    """A limit that is raised, or taken away, is in force for what waits already."""
    gate = world.gate
    gate.admin("POST", "/v1/reload")
    got = {}

    def run(host):
        got[host] = fetch(world, host, "/2m", 120)
    thread = threading.Thread(target=run, args=("change",))
    thread.start()
    until(lambda: waiting(gate) == 1, 5)
    time.sleep(0.5)
    begun = time.monotonic()
    gate.write_tenant("change", {"name": "Change", "pool": "main", "limits": {"bandwidth": "1MiB/s"}})
    thread.join(60)
    took = time.monotonic() - begun
    assert got["change"][1] == 2 * mib and 1.5 < took < 20, took

    gate.write_tenant("change", {"name": "Change", "pool": "main", "limits": {"bandwidth": "16KiB/s"}})
    until(lambda: "16KiB" in gate.admin("GET", "/v1/tenants/change/effective")[1])
    thread = threading.Thread(target=run, args=("change",))
    thread.start()
    until(lambda: waiting(gate) == 1, 5)
    gate.write_tenant("change", {"name": "Change", "pool": "main"})
    thread.join(20)
    assert not thread.is_alive() and got["change"][1] == 2 * mib


def test_limit_that_comes_while_a_tunnel_is_open(world):
    gate = world.gate
    with world.client(timeout=60) as client:
        client.send(ws.upgrade_request("/raw", host="later.localhost"))
        assert client.response().status == 101
        client.send(b"x" * 100_000)
        assert client.reader.exactly(100_000)
        gate.write_tenant("later", {"name": "Later", "pool": "main", "limits": {"bandwidth": "64KiB/s"}})
        until(lambda: "64KiB" in gate.admin("GET", "/v1/tenants/later/effective")[1])
        for _ in range(20):   # it looks once in sixteen pieces
            client.send(b"y" * 100)
            assert client.reader.exactly(100)
        begun = time.monotonic()
        client.send(b"z" * 200_000)
        assert client.reader.exactly(200_000)
        assert time.monotonic() - begun > 1.8


def test_the_end_of_a_drain_cuts_what_waits(build):
    world = build(tenants={"crawl": tenants["crawl"]}, settings={"timeouts": {"drain": "1s"}})
    world.upstream.on("/10m", body_of(10 * mib)).on("/sink", sink).on("/raw", echo_raw)
    down, up, tunnel = world.client(), world.client(), world.client()
    down.send(request("/10m", "crawl.localhost"))
    up.send(request("/sink", "crawl.localhost", method="POST", body=b"u" * 300_000))
    tunnel.send(ws.upgrade_request("/raw", host="crawl.localhost"))
    assert tunnel.response().status == 101
    tunnel.send(b"t" * 100_000)
    until(lambda: waiting(world.gate) == 3, 5)
    world.gate.stop(5)
    for client in (down, up, tunnel):
        client.close()


def test_explain_and_effective_show_it(world):
    gate = world.gate
    assert "2MiB/s" in gate.admin("GET", "/v1/tenants/slow/effective")[1]
    said = json.dumps(gate.admin_json("/v1/explain?url=http://one.up.localhost/"))
    assert "2MiB/s each way" in said and "s to wait for uploads" in said
