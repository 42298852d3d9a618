"""Rates, concurrency, connections and body sizes hold on this node, families included."""
import threading
import time

import pytest

from kit.client import Client, chunked, request
from kit.gate import metric, until


def hold(conn, r):
    """Answers when the test says so."""
    conn.read_body(r)
    conn.server.gate_open.wait(5)
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


tenants = {
    "slow": {"name": "Slow", "pool": "main", "limits": {"rate": "5/s", "burst": 5}},
    "minute": {"name": "Minute", "pool": "main", "limits": {"rate": "30/m", "burst": 2}},
    "seldom": {"name": "Seldom", "pool": "main", "limits": {"rate": "2/m", "burst": 2}},
    "edited": {"name": "Edited", "pool": "main", "limits": {"rate": "2/m", "burst": 2}},
    "planned": {"name": "Planned", "pool": "main", "plan": "small"},
    "over": {"name": "Over", "pool": "main", "plan": "small", "limits": {"rate": "1000/s", "burst": 1000}},
    "free": {"name": "Free", "pool": "main"},
    "narrow": {"name": "Narrow", "pool": "main", "limits": {"concurrency": 2}},
    "lines": {"name": "Lines", "pool": "main", "limits": {"connections": 3}},
    "bodies": {"name": "Bodies", "pool": "main", "limits": {"max_body": "1KiB"},
               "routes": [{"path": "/tiny", "max_body": "10B"}, {"path": "/"}]},
    "routed": {"name": "Routed", "pool": "main", "routes": [{"path": "/hot", "limits": {"rate": "3/m", "burst": 3}}, {"path": "/"}]},
    "family": {"name": "Family", "pool": "main", "limits": {"rate": "6/m", "burst": 6}},
    "kid": {"name": "Kid", "parent": "family"},
    "kid2": {"name": "Kid 2", "parent": "family", "limits": {"rate": "100/s"}},
    "crew": {"name": "Crew", "pool": "main", "limits": {"concurrency": 2}},
    "mate": {"name": "Mate", "parent": "crew"},
    "keyed": {"name": "Keyed", "pool": "main", "limits": {"rules": [{"key": "field:X-Api-Key", "rate": "3/m", "burst": 3}]}},
    "each": {"name": "Each", "pool": "main", "limits": {"rules": [{"key": "client_ip", "rate": "4/m", "burst": 4}]},
             "routes": [{"path": "/one", "limits": {"rules": [{"key": "client_ip", "rate": "1/m", "burst": 1}]}}, {"path": "/"}]},
    "pupil": {"name": "Pupil", "parent": "each"},
}


@pytest.fixture(scope="module")
def world(build):
    world = build(tenants=tenants, settings={"timeouts": {"upstream_head": "10s"},
                                            "plans": {"free": {}, "small": {"rate": "4/m", "burst": 4, "max_body": "2KiB"}}})
    world.upstream.gate_open = threading.Event()
    world.upstream.on("/hold", hold)
    return world


def burst(world, host, n, path="/"):
    with world.client() as client:
        return [client.get(path, host=host) for _ in range(n)]


def test_rate(world):
    answers = burst(world, "slow.localhost", 15)
    codes = [a.status for a in answers]
    assert codes[:5] == [200] * 5 and 429 in codes
    refused = next(a for a in answers if a.status == 429)
    assert refused.problem() == "rate-limited"
    assert int(refused.fields.get("retry-after")) >= 1
    assert "ratelimit" in refused.fields and "ratelimit-policy" in refused.fields
    assert "slow" in refused.json()["detail"] or "tenant" in refused.json()["detail"]


def test_refused_requests_do_not_reach_the_upstream(world):
    burst(world, "seldom.localhost", 3)
    with world.upstream.silent():
        assert [a.status for a in burst(world, "seldom.localhost", 5)] == [429] * 5


def test_ratelimit_fields_when_admitted(world):
    answer = burst(world, "routed.localhost", 1, "/hot")[0]
    assert answer.status == 200
    assert "r=" in answer.fields.get("ratelimit", "") and "q=" in answer.fields.get("ratelimit-policy", "")


def test_no_ratelimit_fields_without_a_limit(world):
    assert "ratelimit" not in burst(world, "free.localhost", 1)[0].fields


def test_rate_recovers(world):
    begun = time.monotonic()
    passed = [a.status for a in burst(world, "slow.localhost", 12)].count(200)
    time.sleep(0.45)
    codes = [a.status for a in burst(world, "slow.localhost", 6)]
    assert codes[0] == 200 and passed + codes.count(200) <= 5 * (time.monotonic() - begun) + 5 + 1


def test_rate_holds_over_time(world):
    """Never more than rate x time + burst."""
    end, passed, begun = time.monotonic() + 2, 0, time.monotonic()
    with world.client() as client:
        while time.monotonic() < end:
            passed += client.get("/", host="slow.localhost").status == 200
    assert passed <= 5 * (time.monotonic() - begun) + 5 + 1
    assert passed >= 8


def test_plan_and_overlay(world):
    assert [a.status for a in burst(world, "planned.localhost", 6)] == [200] * 4 + [429] * 2
    assert [a.status for a in burst(world, "over.localhost", 20)] == [200] * 20


def test_others_are_untouched(world):
    burst(world, "slow.localhost", 20)
    assert [a.status for a in burst(world, "free.localhost", 30)] == [200] * 30


def test_rate_across_connections_and_workers(world):
    """One cell for all workers: many connections pass no more than one."""
    time.sleep(1.1)
    begun = time.monotonic()
    codes = []
    for _ in range(20):
        codes.append(world.get("/", host="slow.localhost").status)
    assert codes.count(200) <= 5 + 5 * (time.monotonic() - begun) + 1


def test_route_limit(world):
    codes = [a.status for a in burst(world, "routed.localhost", 6, "/hot/x")]
    assert codes.count(429) >= 3
    assert [a.status for a in burst(world, "routed.localhost", 6, "/cold")] == [200] * 6


def test_family_is_bounded_by_the_parent(world):
    """Parent and children spend one budget; a refused child gives back its own."""
    codes = []
    for host in ("family.localhost", "kid.family.localhost", "kid2.family.localhost") * 4:
        codes.append(world.get("/", host=host).status)
    assert codes.count(200) in (6, 7), codes
    answer = world.get("/", host="kid2.family.localhost")
    assert answer.status == 429
    assert "family" in answer.json()["detail"] or "parent" in answer.json()["detail"]


def test_forty_children_together_keep_their_parent(world):
    """All at once, from many clients, while the parent's rate is changed and changed back."""
    rate, burst, seconds = 100, 20, 3.0
    limits = {"rate": f"{rate}/s", "burst": burst, "concurrency": 6}
    world.gate.write_tenant("clan", {"name": "Clan", "pool": "main", "limits": limits})
    for n in range(40):
        world.gate.write_tenant(f"clan-{n}", {"name": f"Clan {n}", "parent": "clan"})
    until(lambda: world.get("/", host="clan-39.clan.localhost").status in (200, 429), 5)
    codes, begun = [], time.monotonic()

    def ask(first):
        with world.client() as client:
            n = first
            while time.monotonic() < begun + seconds:
                codes.append(client.get("/", host=f"clan-{n % 40}.clan.localhost").status)
                n += 1

    threads = [threading.Thread(target=ask, args=(5 * i,)) for i in range(8)]
    for t in threads:
        t.start()
    for part in ("30/s", f"{rate}/s"):
        time.sleep(seconds / 3)
        world.gate.write_tenant("clan", {"name": "Clan", "pool": "main", "limits": {**limits, "rate": part}})
    for t in threads:
        t.join()
    took = time.monotonic() - begun
    assert set(codes) <= {200, 429}
    assert codes.count(200) <= rate * took + burst, (codes.count(200), took)
    assert codes.count(200) >= 0.5 * rate, codes.count(200)


def test_rule_by_field(world):
    """Each value has a budget of its own; those without the field share one."""
    def codes(n, *fields):
        with world.client() as client:
            return [client.get("/", "keyed.localhost", fields).status for _ in range(n)]
    assert codes(5, ("X-Api-Key", "a")) == [200] * 3 + [429] * 2
    assert codes(3, ("x-api-key", "b")) == [200] * 3
    assert codes(4) == [200] * 3 + [429]
    assert codes(1, ("X-Api-Key", "a"), ("X-Api-Key", "new")) == [429]   # counts as none
    with world.upstream.silent():
        answer = world.get("/", "keyed.localhost", fields=[("X-Api-Key", "a")])
    assert answer.problem() == "rate-limited"
    assert answer.json()["detail"] == "The rate limit of tenant keyed for each field:X-Api-Key is reached."
    assert '"keyed;field:X-Api-Key";r=0' in answer.fields.get("ratelimit")
    assert '"keyed;field:X-Api-Key"' in answer.fields.get("ratelimit-policy")


def test_rule_by_address_of_family_and_route(world):
    """A parent's rule bounds a client over the whole family; a route's refusal gives back."""
    assert world.get("/one", host="each.localhost").status == 200
    answers = [world.get("/one", host="each.localhost") for _ in range(5)]
    assert [a.status for a in answers] == [429] * 5
    assert answers[0].json()["detail"] == "The rate limit of route each for each client_ip is reached."
    assert [world.get("/", host=h).status for h in ("pupil.each.localhost", "each.localhost", "pupil.each.localhost")] == [200] * 3
    refused = world.get("/", host="pupil.each.localhost")
    assert refused.status == 429
    assert refused.json()["detail"] == "The rate limit of parent each for each client_ip is reached."


def test_rate_survives_an_edit(world):
    """Limit cells outlive configuration changes."""
    assert [a.status for a in burst(world, "edited.localhost", 3)] == [200, 200, 429]
    world.gate.write_tenant("edited", {**tenants["edited"], "context": {"edited": "yes"}})
    time.sleep(0.5)
    assert world.get("/", host="edited.localhost").status == 429


def test_limit_edit_is_in_force(world):
    world.gate.write_tenant("minute", {**tenants["minute"], "limits": {"rate": "1000/s", "burst": 1000}})
    until(lambda: world.get("/", host="minute.localhost").status == 200, 2)
    world.gate.write_tenant("minute", tenants["minute"])
    time.sleep(0.4)


@pytest.mark.parametrize("hosts", [("narrow.localhost", "narrow.localhost", "narrow.localhost"),
                                   ("crew.localhost", "mate.crew.localhost", "mate.crew.localhost")],
                         ids=["tenant", "family"])
def test_concurrency(world, hosts):
    world.upstream.gate_open.clear()
    before = world.upstream.count("/hold")
    clients = []
    for host in hosts[:2]:
        clients.append(Client(world.gate.port))
        clients[-1].send(request("/hold", host=host))
    until(lambda: world.upstream.count("/hold") - before == 2)
    answer = world.get("/hold", host=hosts[2])
    assert answer.status == 429 and answer.problem() == "concurrency-limited"
    assert "retry-after" in answer.fields
    world.upstream.gate_open.set()
    assert [c.response().status for c in clients] == [200, 200]
    until(lambda: world.get("/hold", host=hosts[2]).status == 200)
    for c in clients:
        c.close()


def test_concurrency_is_given_back_when_clients_vanish(world):
    world.upstream.gate_open.clear()
    for _ in range(3):
        before = world.upstream.count("/hold")
        clients = [Client(world.gate.port) for _ in range(2)]
        for c in clients:
            c.send(request("/hold", host="narrow.localhost"))
        until(lambda: world.upstream.count("/hold") - before == 2)
        for c in clients:
            c.reset()
        until(lambda: world.get("/", host="narrow.localhost").status == 200, 3)
        until(lambda: metric(world.gate, "gatehouse_requests") == 0, 5)     # the other one, too
    world.upstream.gate_open.set()


def test_connections_of_a_tenant(world):
    clients = [Client(world.gate.port) for _ in range(3)]
    assert [c.get("/", host="lines.localhost").status for c in clients] == [200] * 3
    with Client(world.gate.port) as extra:
        answer = extra.get("/", host="lines.localhost")
        assert answer.status in (429, 503), answer
    assert world.get("/", host="free.localhost").status == 200
    clients[0].close()
    until(lambda: world.get("/", host="lines.localhost").status == 200, 3)
    for c in clients:
        c.close()


def test_connections_per_client(build):
    world = build(settings={"limits": {"connections_per_client": 5}})
    clients = []
    for _ in range(5):
        clients.append(Client(world.gate.port))
        assert clients[-1].get("/").status == 200
    try:
        with Client(world.gate.port) as extra:
            extra.send(request("/"))
            got = extra.reader.response()
            assert got is None or got.status == 503
    except OSError:
        pass
    for c in clients:
        c.close()
    until(lambda: world.get("/").status == 200, 3)
    world.gate.stop()


def test_connections_of_the_node(build):
    world = build(settings={"limits": {"connections": 20, "connections_per_client": 1000}})
    clients = []
    refused = 0
    for _ in range(30):
        try:
            c = Client(world.gate.port, timeout=2)
            c.send(request("/"))
            got = c.reader.response()
            refused += got is None or got.status == 503
            clients.append(c)
        except OSError:
            refused += 1
    assert refused >= 8
    for c in clients:
        c.close()
    until(lambda: world.get("/").status == 200, 3)
    world.gate.stop()


@pytest.mark.parametrize("path,size,code", [("/", 1024, 200), ("/", 1025, 413), ("/", 50_000_000, 413), ("/tiny", 10, 200),
                                            ("/tiny", 11, 413)])
def test_max_body_with_length(world, path, size, code):
    with world.client() as client:
        if code == 200:
            assert client.get(path, host="bodies.localhost", method="POST", body=b"x" * size).status == 200
            return
        with world.upstream.silent():
            client.send(f"POST {path} HTTP/1.1\r\nHost: bodies.localhost\r\nContent-Length: {size}\r\n\r\n".encode())
            answer = client.response()
            assert answer.status == 413 and answer.problem() == "body-too-large"


def test_max_body_refused_instead_of_100(world):
    with world.client() as client, world.upstream.silent():
        client.send(b"POST / HTTP/1.1\r\nHost: bodies.localhost\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n")
        answer = client.response()
        assert answer.status == 413 and not answer.interim


@pytest.mark.parametrize("pieces,code", [([b"x" * 1000, b"y" * 24], 200), ([b"x" * 1000, b"y" * 25], 413),
                                         ([b"x" * 100] * 30, 413)])
def test_max_body_chunked(world, pieces, code):
    finished = []

    def watch(conn, r):
        conn.read_body(r)
        finished.append(r)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    world.upstream.on("/limited", watch)
    with world.client() as client:
        client.send(request("/limited", host="bodies.localhost", method="POST", fields=[("Transfer-Encoding", "chunked")]))
        client.send_pieces([b"%x\r\n%s\r\n" % (len(p), p) for p in pieces] + [chunked()], pause=0.005)
        assert client.response().status == code
    assert bool(finished) == (code == 200), "the upstream took a cut body for a whole one"


def test_handshake_of_limits_in_metrics(world):
    """Refusals are counted for the tenant."""
    burst(world, "minute.localhost", 5)
    text = world.gate.admin("GET", "/metrics")[1]
    assert "gatehouse" in text and "minute" in text
