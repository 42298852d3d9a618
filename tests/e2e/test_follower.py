"""Edges that follow a registry in a real Redis."""
import itertools
import signal
import threading
import time

import pytest

from kit.edge import Edge
from kit.gate import until
from kit.redis import Redis
from kit.upstream import ScriptedUpstream
from test_publisher import is_current, publisher, signed


@pytest.fixture(scope="module")
def certs(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    authority.leaf("*.apps.example", folder / "_.apps.example.pem")
    authority.leaf("shop.acme.example", folder / "shop.acme.example.pem")
    return folder


@pytest.fixture
def redis(tmp_path):
    with Redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def upstream():
    server = ScriptedUpstream()
    yield server
    server.stop()


class Fleet:
    """A publisher and its edges in front of one application."""

    def __init__(self, folder, redis, certs, upstream, tenants=None, **more):
        self.folder, self.redis, self.certs = folder, redis, certs
        self.center = publisher(folder, redis, certs, tenants or {"acme": {"hosts": ["shop.acme.example"]}}, **more)
        self.center.settings["pools"] = {"shared": {"endpoints": [{"address": upstream.address}]}}
        self.center.write_settings()
        for id_, table in (tenants or {"acme": {"hosts": ["shop.acme.example"]}}).items():
            self.center.write_tenant(id_, {"pool": "shared", **table})
        self.edges = []

    def edge(self, name="edge-1", start=True, **more):
        edge = Edge(self.folder / name, self.redis.url, self.folder / "keys", name, **more)
        self.edges.append(edge)
        return edge.start() if start else edge

    def __enter__(self):
        self.center.start()
        until(lambda: is_current(self.center), 10)
        return self

    def __exit__(self, kind, *_):
        for gate in [*self.edges, self.center]:
            gate.__exit__(kind)


@pytest.fixture
def fleet(tmp_path, redis, certs, upstream):
    with Fleet(tmp_path, redis, certs, upstream) as f:
        yield f


def status(gate, host="shop.acme.example", path="/"):
    return gate.get(path, host=host).status


def over_tls(gate, authority, host="shop.acme.example", path="/"):
    with gate.tls_client(host, authority.cert) as client:
        return client.get(path, host=host)


def is_following(edge):
    f = edge.follower()
    return f["state"] == "current" and f["whole"]


def test_an_edge_serves_what_was_published(fleet, authority):
    edge = fleet.edge()
    assert status(edge) == 200
    assert over_tls(edge, authority).status == 200
    assert status(edge, "acme.apps.example") == 200
    assert status(edge, "nobody.example") == 404
    until(lambda: is_following(edge), 5)
    assert status(edge, "nobody.apps.example") == 404
    assert edge.admin_json("/v1/tenants/acme")["source"] == "redis"
    assert "acme" in edge.admin("GET", "/v1/explain?url=http://shop.acme.example/&format=text")[1]


def test_changes_are_in_force_on_every_edge_within_a_second(fleet):
    edges = [fleet.edge(f"edge-{i}") for i in range(2)]
    for edge in edges:
        until(lambda: is_following(edge), 5)
        assert status(edge) == 200
    fleet.center.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example", "new.acme.example"], "state": "suspended",
                                       "reason": "billing"})
    for edge in edges:
        until(lambda: status(edge) == 402, 1.5)
        until(lambda: status(edge, "new.acme.example") == 402, 1)
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
    for edge in edges:
        until(lambda: status(edge, "new.globex.example") == 200, 1.5)
    # A host that moves.
    fleet.center.write_tenant("acme", {"pool": "shared"})
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example", "shop.acme.example"]})
    for edge in edges:
        until(lambda: edge.get("/", host="shop.acme.example").status == 200, 1.5)
    fleet.center.delete_tenant("globex")
    for edge in edges:
        until(lambda: status(edge, "new.globex.example") == 410, 1.5)


def test_an_edge_starts_without_redis_from_its_copy(fleet, authority):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    edge.stop()
    fleet.redis.kill()
    edge.start()
    assert status(edge) == 200
    assert over_tls(edge, authority).status == 200
    assert status(edge, "nobody.example") == 404
    assert edge.follower()["state"] == "away"
    assert '"redis":"away"' in edge.admin("GET", "/readyz", token=None)[1].replace(" ", "")


def test_an_edge_that_never_heard_of_a_registry_says_so(tmp_path, certs, upstream):
    with Redis(tmp_path / "redis") as redis:
        fleet = Fleet(tmp_path, redis, certs, upstream)
        edge = fleet.edge(start=False)
        edge.start(path="/healthz")
        assert edge.admin("GET", "/readyz", token=None)[0] == 503
        answer = edge.get("/", host="shop.acme.example")
        assert (answer.status, answer.problem()) == (503, "registry-unavailable")
        with fleet:
            until(lambda: status(edge) == 200, 10)
            assert edge.admin("GET", "/readyz", token=None)[0] == 200


def test_redis_emptied_and_filled_again_loses_no_request(fleet):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    fleet.redis.ask("FLUSHALL")
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        assert status(edge) == 200
        assert status(edge, "nobody.example") in (404, 503)
        time.sleep(0.02)
    until(lambda: is_current(fleet.center), 10)
    until(lambda: is_following(edge), 15)
    fleet.center.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example"], "state": "suspended", "reason": "legal"})
    until(lambda: status(edge) == 451, 2)


# --- Redis goes, under traffic ---

class Traffic:
    """A few requests at a time until the block ends: on kept and on new connections, plain and over TLS. `odd` is what
    was not answered 200, `slowest_s` the longest that one took."""

    def __init__(self, edge, authority, hosts, pause=0.01):
        self.edge, self.authority, self.hosts, self.pause = edge, authority, hosts, pause
        self.count, self.slowest_s, self.odd = 0, 0.0, []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(tls, kept), daemon=True)
                         for tls in (False, True) for kept in (False, True)]

    def _client(self, tls, host):
        return self.edge.tls_client(host, self.authority.cert) if tls else self.edge.client()

    def _run(self, tls, kept):
        client = None
        for host in itertools.cycle(self.hosts[:1] if kept and tls else self.hosts):   # another tenant's SNI is another's connection
            if self._ends.wait(self.pause):
                break
            begun = time.monotonic()
            try:
                client = client or self._client(tls, host)
                answer = client.get("/", host=host)
                if answer.status != 200:
                    self.odd.append((host, tls, kept, answer.status))
            except Exception as e:   # noqa: BLE001 - shown by the test
                self.odd.append((host, tls, kept, repr(e)))
                client = None
            self.count += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            if not kept and client is not None:
                client.close()
                client = None
        if client is not None:
            client.close()

    def __enter__(self):
        for t in self._threads:
            t.start()
        self._more()
        return self

    def _more(self):
        goal = self.count + 20
        until(lambda: self.count >= goal, 10)

    def __exit__(self, kind, *_):
        if kind is None:
            self._more()
        self._ends.set()
        for t in self._threads:
            t.join()
        if kind is None:
            assert not self.odd, (len(self.odd), self.count, self.odd[:5])


three = {f"t{i}": {"hosts": [f"t{i}.acme.example"]} for i in range(3)}


@pytest.fixture
def three_tenants(tmp_path, redis, certs, upstream, authority):
    for i in range(3):
        authority.leaf(f"t{i}.acme.example", certs / f"t{i}.acme.example.pem")
    with Fleet(tmp_path, redis, certs, upstream, three) as f:
        f.hosts = [f"t{i}.acme.example" for i in range(3)]
        yield f


def test_a_frozen_redis_fails_no_request(three_tenants, authority):
    """One that is there and does not answer: connections stand, commands hang."""
    fleet = three_tenants
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    with Traffic(edge, authority, fleet.hosts) as traffic:
        fleet.redis.freeze()
        try:
            until(lambda: edge.follower()["state"] == "away", 12, 0.1)
            assert '"redis":"away"' in edge.admin("GET", "/readyz", token=None)[1].replace(" ", "")
            node = edge.admin_json("/v1/node")
            assert node["follower"]["why"] and any("in Redis is away" in w for w in node["warnings"])
            text = edge.admin("GET", "/metrics")[1]
            assert 'gatehouse_follower{state="away"} 1' in text and 'gatehouse_follower{state="current"} 0' in text
            until(lambda: edge.follower()["stale_s"] > 0, 3, 0.1)
            assert "what is known of the registry is served on" in edge.stderr()
            # Nobody whom the copy has needs Redis: not tenants that were never asked for, nor names of nobody.
            assert status(edge, "t0.apps.example") == 200
            assert status(edge, "nobody.apps.example") == 404
            fleet.center.write_tenant("t0", {"pool": "shared", **three["t0"], "state": "suspended", "reason": "legal"})
            time.sleep(3)   # what a publisher and an edge do meanwhile: try to connect again, in vain
            assert status(edge, "t1.acme.example") == 200
        finally:
            fleet.redis.thaw()
        until(lambda: status(edge, "t0.acme.example") == 451, 15, 0.1)
        until(lambda: is_following(edge), 10, 0.1)
        traffic.odd[:] = [o for o in traffic.odd if (o[0], o[3]) != ("t0.acme.example", 451)]
    assert traffic.slowest_s < 3
    assert 'gatehouse_follower{state="current"} 1' in edge.admin("GET", "/metrics")[1]


def test_a_redis_that_comes_back_empty_is_filled_by_the_publisher(three_tenants, authority):
    fleet = three_tenants
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    with Traffic(edge, authority, fleet.hosts):
        fleet.redis.kill()
        until(lambda: edge.follower()["state"] == "away", 5)
        fleet.redis.start()
        ends = time.monotonic() + 30
        while not (is_current(fleet.center) and is_following(edge)):
            assert time.monotonic() < ends
            assert status(edge, "nobody.example") == 404
            assert status(edge, "nobody.apps.example") == 404
            time.sleep(0.02)
    fleet.center.write_tenant("t0", {"pool": "shared", **three["t0"], "state": "suspended", "reason": "legal"})
    until(lambda: status(edge, "t0.acme.example") == 451, 3)


def test_a_redis_that_comes_back_empty_without_a_publisher_takes_nothing_away(three_tenants, authority):
    fleet = three_tenants
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    known = edge.follower()["hosts"]
    fleet.center.kill()
    with Traffic(edge, authority, fleet.hosts):
        fleet.redis.kill()
        until(lambda: edge.follower()["state"] == "away", 5)
        fleet.redis.start()
        until(lambda: edge.follower()["state"] == "waiting", 15)
        assert "nobody publishes the registry in this Redis" in edge.follower()["why"]
        # A publisher that has begun and died: what it has not written is not gone.
        fleet.redis.ask("HSET", "gatehouse:publisher", "registry", "another", "node", "dead", "epoch", "99", "complete", "0")
        fleet.redis.ask("XADD", "gatehouse:changes", "*", "op", "remove", "id", "t1", "revision", "1", "drop", "t1.acme.example")
        until(lambda: "dead has not published the whole registry yet" in edge.follower()["why"], 10)
        assert edge.follower()["hosts"] == known
        assert status(edge, "t2.apps.example") == 200
        assert status(edge, "nobody.example") == 404
    edge.kill()
    edge.start()
    assert edge.follower()["hosts"] == known
    for host in fleet.hosts:
        assert status(edge, host) == 200
        assert over_tls(edge, authority, host).status == 200
    # The true one comes back, with one tenant less and one more.
    fleet.redis.ask("DEL", "gatehouse:publisher")
    fleet.center.delete_tenant("t1")
    fleet.center.write_tenant("t3", {"pool": "shared", "hosts": ["t3.acme.example"]})
    fleet.center.start()
    until(lambda: is_following(edge) and status(edge, "t3.acme.example") == 200, 20, 0.05)
    assert status(edge, "t1.acme.example") in (404, 410)


def test_a_stream_that_was_trimmed_behind_a_sleeping_edge(fleet, authority):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    assert status(edge) == 200
    edge.signal(signal.SIGSTOP)
    try:
        fleet.center.write_tenant("later", {"pool": "shared", "hosts": ["later.example"]})
        until(lambda: fleet.redis.ask("GET", "gatehouse:host:later.example"), 3)
        fleet.center.delete_tenant("acme")
        until(lambda: "tenant" not in (signed(fleet.redis, "tenant:acme") or {}), 5)
        for i in range(5):
            fleet.center.write_tenant(f"more{i}", {"pool": "shared"})
        until(lambda: is_current(fleet.center) and fleet.redis.ask("GET", "gatehouse:host:more4.apps.example"), 5)
        fleet.redis.ask("XTRIM", "gatehouse:changes", "MAXLEN", "1")
    finally:
        edge.signal(signal.SIGCONT)
    until(lambda: status(edge, "later.example") == 200 and status(edge) == 410, 10)
    until(lambda: is_following(edge), 10)
    for i in range(5):
        assert status(edge, f"more{i}.apps.example") == 200
