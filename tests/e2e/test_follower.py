"""Edges that follow a registry in a real Redis."""
import time

import pytest

from kit.edge import Edge
from kit.gate import until
from kit.redis import Redis
from kit.upstream import ScriptedUpstream
from test_publisher import is_current, publisher


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
