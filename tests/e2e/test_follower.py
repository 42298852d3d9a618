"""Edges that follow a registry in a real Redis."""
import base64
import contextlib
import hmac
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest

from kit import websocket
from kit.edge import Edge
from kit.gate import until
from kit.redis import Redis
from kit.upstream import ScriptedUpstream
from test_publisher import is_current, publisher, signed
from test_regions import hello_of


@pytest.fixture(scope="module")
def certs(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    authority.leaf("*.apps.example", folder / "_.apps.example.pem")
    authority.leaf("shop.acme.example", folder / "shop.acme.example.pem")
    return folder


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
        with contextlib.ExitStack() as stack:   # one that fails leaves no other running
            for gate in [self.center, *self.edges]:
                stack.callback(gate.__exit__, kind)


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


# Waited for at most: less than the stream is read for at once, so that nothing but its wake-up helps.
soon_s = 4


def test_a_tenant_of_the_api_is_served_on_every_edge(fleet):
    edges = [fleet.edge(f"edge-{i}") for i in range(2)]
    for edge in edges:
        until(lambda: is_following(edge), 5)

    def send(gate, method, path, body=None):
        return gate.admin(method, path, body=json.dumps(body or {}), fields={"Content-Type": "application/json"})
    assert send(fleet.center, "POST", "/v1/tenants", {"id": "made", "pool": "shared", "hosts": ["made.example"]})[0] == 201
    for edge in edges:
        until(lambda: status(edge, "made.example") == 200, soon_s)
    assert send(fleet.center, "POST", "/v1/tenants/made/suspend", {"reason": "legal"})[0] == 200
    for edge in edges:
        until(lambda: status(edge, "made.example") == 451, soon_s)
    assert send(fleet.center, "DELETE", "/v1/tenants/made")[0] == 202
    for edge in edges:
        until(lambda: status(edge, "made.example") == 410, soon_s)
    # An edge's registry is not its own to change.
    code, text, _ = send(edges[0], "POST", "/v1/tenants", {"id": "other"})
    assert code == 409 and json.loads(text)["type"] == "urn:gatehouse:not-this-node"


def test_changes_are_in_force_on_every_edge(fleet):
    edges = [fleet.edge(f"edge-{i}") for i in range(2)]
    for edge in edges:
        until(lambda: is_following(edge), 5)
        assert status(edge) == 200
    fleet.center.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example", "new.acme.example"], "state": "suspended",
                                       "reason": "billing"})
    for edge in edges:
        until(lambda: status(edge) == 402, soon_s)
        until(lambda: status(edge, "new.acme.example") == 402, soon_s)
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
    for edge in edges:
        until(lambda: status(edge, "new.globex.example") == 200, soon_s)
    # A host that moves.
    fleet.center.write_tenant("acme", {"pool": "shared"})
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example", "shop.acme.example"]})
    for edge in edges:
        until(lambda: edge.get("/", host="shop.acme.example").status == 200, soon_s)
    fleet.center.delete_tenant("globex")
    for edge in edges:
        until(lambda: status(edge, "new.globex.example") == 410, soon_s)


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


three = {f"t{i}": {"hosts": [f"t{i}.acme.example"]} for i in range(3)} | {"wild": {"hosts": ["*.wild.example"]}}


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
    with Traffic(edge, authority, fleet.hosts[1:]) as traffic:
        fleet.redis.freeze()
        try:
            until(lambda: edge.follower()["state"] == "away", 12, 0.1)
            assert '"redis":"away"' in edge.admin("GET", "/readyz", token=None)[1].replace(" ", "")
            node = edge.admin_json("/v1/node")
            assert node["follower"]["why"] and any("in Redis is away" in w for w in node["warnings"])
            text = edge.admin("GET", "/metrics")[1]
            assert 'gatehouse_follower{state="away"} 1' in text and 'gatehouse_follower{state="current"} 0' in text
            until(lambda: edge.follower()["stale_s"] > 0, 3, 0.1)
            until(lambda: "what is known of the registry is served on" in edge.stderr())
            # Nobody whom the copy has needs Redis: not tenants that were never asked for, nor names of nobody.
            assert status(edge, "t0.apps.example") == 200
            assert status(edge, "nobody.apps.example") == 404
            fleet.center.write_tenant("t0", {"pool": "shared", **three["t0"], "state": "suspended", "reason": "legal"})
            time.sleep(1)   # what a publisher and an edge do meanwhile: try to connect again, in vain
            assert status(edge, "t1.acme.example") == 200
        finally:
            fleet.redis.thaw()
        until(lambda: status(edge, "t0.acme.example") == 451, 15, 0.1)
        until(lambda: is_following(edge), 10, 0.1)
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
        assert status(edge, "first.wild.example") == 200   # nobody asked for that tenant before
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


# --- what stands in Redis and is not the publisher's ---

def announce(redis, id_, op="upsert", **more):
    """As a publisher announces a change."""
    fields = itertools.chain.from_iterable({"op": op, "id": id_, "revision": 1, **more}.items())
    redis.ask("XADD", "gatehouse:changes", "*", *fields)


def refused(edge):
    return "\n".join(edge.follower()["refused"])


two = {"acme": {"hosts": ["shop.acme.example"]}, "globex": {"hosts": ["shop.globex.example"]}}


@pytest.fixture
def two_tenants(tmp_path, redis, certs, upstream):
    with Fleet(tmp_path, redis, certs, upstream, two) as f:
        yield f


def served_tenant(edge, host):
    answer = edge.get("/", host=host)
    return tenant_of(answer) if answer.status == 200 else answer.status


def tenant_of(answer):
    return {k.lower(): v for k, v in answer.json()["fields"]}["x-tenant-id"]


def test_documents_that_are_not_the_publishers_are_not_taken(two_tenants):
    fleet, redis = two_tenants, two_tenants.redis
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    good = redis.ask("GET", "gatehouse:tenant:acme")

    def stands_there(text, why):
        redis.ask("SET", "gatehouse:tenant:acme", text)
        announce(redis, "acme")
        until(lambda: f"gatehouse:tenant:acme: {why}" in refused(edge), 3)
        until(lambda: f"gatehouse:tenant:acme is not taken, what this node has stays: {why}" in edge.stderr())
        assert any(why in w for w in edge.admin_json("/v1/node")["warnings"])
        assert served_tenant(edge, "shop.acme.example") == "acme"
        assert served_tenant(edge, "shop.globex.example") == "globex"

    stands_there(good.replace("shop.acme.example", "shop.acme.exampl"), "carries a wrong signature")
    stands_there(redis.ask("GET", "gatehouse:tenant:globex"), "is another one's document")
    stands_there("{}", "is no document of a registry")
    stands_there("", "is no document of a registry")
    stands_there(good.replace('"eu-west":"', '"eu-north":"', 1), 'is not signed for region "eu-west"')
    # A start with all that in Redis.
    edge.kill()
    edge.start()
    assert served_tenant(edge, "shop.acme.example") == "acme"
    # What the publisher writes next is in force, and what it wrote before is not a second time.
    fleet.center.write_tenant("acme", {"pool": "shared", **two["acme"], "state": "suspended", "reason": "billing"})
    until(lambda: served_tenant(edge, "shop.acme.example") == 402, 3)
    assert refused(edge) == ""
    redis.ask("SET", "gatehouse:tenant:acme", good)
    announce(redis, "acme")
    until(lambda: "gatehouse:tenant:acme: is older than what this node has" in refused(edge), 3)
    assert served_tenant(edge, "shop.acme.example") == 402
    assert "gatehouse_follower_refused 1" in edge.admin("GET", "/metrics")[1]


def test_a_host_given_to_another_in_redis_alone_is_not_the_others(two_tenants, upstream):
    fleet, redis = two_tenants, two_tenants.redis
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    assert served_tenant(edge, "shop.acme.example") == "acme"
    redis.ask("SET", "gatehouse:host:shop.acme.example", "globex")
    announce(redis, "globex", add="shop.acme.example")
    until(lambda: served_tenant(edge, "shop.acme.example") != "acme", 3)
    with upstream.silent():
        answer = edge.get("/", host="shop.acme.example")
    assert answer.status in (404, 503)
    assert served_tenant(edge, "shop.globex.example") == "globex"
    assert fleet.center.run("registry", "publish", "--config", str(fleet.center.config)).returncode == 0
    until(lambda: served_tenant(edge, "shop.acme.example") == "acme", 3)


def new_key():
    return subprocess.run(["openssl", "rand", "-hex", "32"], check=True, capture_output=True, text=True).stdout


def test_an_edge_with_another_key_serves_what_it_had_and_says_why(fleet, authority):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    key = edge.folder / "region.key"
    right = key.read_text()
    key.write_text(new_key())
    code, body, _ = edge.admin("POST", "/v1/reload", timeout=10)
    assert code == 409 and "this node does not hold" in body and "region's key" in body
    assert over_tls(edge, authority).status == 200
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
    until(lambda: status(edge, "new.globex.example") == 200, 3)
    # A restart finds nothing that it may believe.
    edge.stop()
    edge.start(path="/healthz")
    code, body, _ = edge.admin("GET", "/readyz", token=None)
    assert code == 503
    answer = edge.get("/", host="shop.acme.example")
    assert (answer.status, answer.problem()) == (503, "registry-unavailable")
    until(lambda: "this node does not hold" in edge.stderr())
    key.write_text(right)
    assert edge.admin("POST", "/v1/reload", timeout=10)[0] == 200
    until(lambda: edge.admin("GET", "/readyz", token=None)[0] == 200, 5)
    until(lambda: status(edge) == 200 and over_tls(edge, authority).status == 200, 3)


def test_a_key_is_changed_without_a_gap(fleet, authority):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    published, here = fleet.folder / "keys" / "eu-west.key", edge.folder / "region.key"
    old, new = published.read_text(), new_key()
    with Traffic(edge, authority, ["shop.acme.example"]):
        # Too early: the publisher signs with a key that the edge has not yet.
        published.write_text(new + old)
        assert fleet.center.admin("POST", "/v1/reload", timeout=10)[0] == 200
        until(lambda: "gatehouse:tenant:acme" in refused(edge), 10)
        assert "which this node does not hold" in refused(edge)
        here.write_text(old + new)
        assert edge.admin("POST", "/v1/reload", timeout=10)[0] == 200
        until(lambda: is_following(edge) and refused(edge) == "", 10)
        here.write_text(new)
        assert edge.admin("POST", "/v1/reload", timeout=10)[0] == 200
        published.write_text(new)
        assert fleet.center.admin("POST", "/v1/reload", timeout=10)[0] == 200
        fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
        until(lambda: status(edge, "new.globex.example") == 200, 5)
        assert refused(edge) == ""
    edge.stop()
    edge.start()
    assert over_tls(edge, authority).status == 200


# --- certificates ---

def certificate(edge, authority, host):
    """Of a fresh connection, in DER; None: the handshake was refused."""
    try:
        with edge.tls_client(host, authority.cert) as client:
            return client.socket.getpeercert(binary_form=True)
    except ssl.SSLError:
        return None


def names_of(edge, authority, host):
    try:
        with edge.tls_client(host, authority.cert) as client:
            return [name for _, name in client.socket.getpeercert()["subjectAltName"]]
    except ssl.SSLError:
        return None


def test_certificates_are_renewed_and_taken_away(fleet, authority):
    fleet.center.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example", "other.acme.example"]})
    edge = fleet.edge()
    until(lambda: is_following(edge) and status(edge, "other.acme.example") == 200, 5)
    shop, other, folder = "shop.acme.example", "other.acme.example", fleet.center.certs_dir
    before = certificate(edge, authority, shop)
    assert before and certificate(edge, authority, other) is None
    authority.leaf(shop, folder / f"{shop}.pem")
    until(lambda: certificate(edge, authority, shop) not in (None, before), 3)
    authority.leaf("*.acme.example", folder / "_.acme.example.pem")
    until(lambda: names_of(edge, authority, other) == ["*.acme.example"], 3)
    assert names_of(edge, authority, shop) == [shop]
    (folder / f"{shop}.pem").unlink()
    until(lambda: names_of(edge, authority, shop) == ["*.acme.example"], 3)
    authority.leaf(shop, folder / f"{shop}.pem")
    until(lambda: names_of(edge, authority, shop) == [shop], 3)
    assert names_of(edge, authority, other) == ["*.acme.example"]
    (folder / "_.acme.example.pem").unlink()
    until(lambda: names_of(edge, authority, other) is None, 3)
    assert names_of(edge, authority, shop) == [shop]
    # What another put there is not served: the one before stays.
    served = certificate(edge, authority, shop)
    fleet.redis.ask("SET", f"gatehouse:cert:{shop}", fleet.redis.ask("GET", "gatehouse:cert:*.apps.example"))
    announce(fleet.redis, shop, "cert")
    until(lambda: f"gatehouse:cert:{shop}: is another one's document" in refused(edge), 3)
    assert certificate(edge, authority, shop) == served


def private_parts(pem):
    """Pieces of what must stand nowhere: of the PEM's private key, as text and as bytes."""
    text = pem[pem.index("-----BEGIN PRIVATE KEY-----"):]
    lines = text.strip().splitlines()[1:-1]
    return [lines[0].encode(), lines[1].encode(), base64.b64decode("".join(lines))[36:68]]


def test_a_strict_tenants_secrets_stay_in_its_region(fleet, authority):
    folder = fleet.center.certs_dir
    authority.leaf("far.acme.example", folder / "far.acme.example.pem")
    authority.leaf("near.acme.example", folder / "near.acme.example.pem")
    secrets = [b"secret_of_far", *private_parts((folder / "far.acme.example.pem").read_text()),
               *private_parts((folder / "near.acme.example.pem").read_text())]
    fleet.center.write_tenant("far", {"pool": "shared", "hosts": ["far.acme.example"], "region": "us-east", "residency": "strict",
                                      "context": {"database": "secret_of_far"}, "routes": [{"path": "/secret_of_far", "pool": "shared"}]})
    fleet.center.write_tenant("near", {"pool": "shared", "hosts": ["near.acme.example"]})
    here, there = fleet.edge("edge-1"), fleet.edge("edge-2", region="us-east")
    for edge in (here, there):
        until(lambda: is_following(edge) and status(edge, "near.acme.example") == 200, 5)
    assert certificate(here, authority, "near.acme.example")
    with pytest.raises(ssl.SSLError) as failure:
        here.tls_client("far.acme.example", authority.cert)
    assert "INTERNAL_ERROR" in str(failure.value)
    answer = here.get("/", host="far.acme.example")
    assert (answer.status, answer.problem(), answer.fields.get("x-gatehouse-region")) == (421, "wrong-region", "us-east")
    assert "secret_of_far" not in here.admin("GET", "/v1/tenants/far")[1]
    assert "secret_of_far" not in here.admin("GET", "/v1/explain?url=http://far.acme.example/&format=text")[1]
    # Its home has it, and keeps it sealed all the same.
    assert over_tls(there, authority, "far.acme.example").json()["fields"]
    assert dict(there.get("/", host="far.acme.example").json()["fields"])["X-Tenant-database".title()] == "secret_of_far"
    for edge in (here, there):
        edge.stop()
        for file in edge.folder.rglob("*"):
            text = file.read_bytes() if file.is_file() and "access.log" not in file.name else b""
            assert not any(s in text for s in secrets), file


# --- more tenants than the memory may hold ---

def in_memory(edge):
    return [t["id"] for t in edge.admin_json("/v1/tenants?limit=1000")["tenants"]]


def test_few_of_many_tenants_in_memory(tmp_path, redis, certs, upstream):
    tenants = {f"t{i}": {"hosts": [f"t{i}.example"]} for i in range(36)}
    tenants |= {"parent": {}, "child": {"parent": "parent"}, "wild": {"hosts": ["*.wild.example"]}, "held": {}}
    hosts = {f"t{i}.example": f"t{i}" for i in range(36)} | {f"t{i}.apps.example": f"t{i}" for i in range(36)}
    hosts |= {"child.parent.apps.example": "child", "x.wild.example": "wild", "held.apps.example": "held"}
    upstream.on("/ws", websocket.echo_upstream)
    with Fleet(tmp_path, redis, certs, upstream, tenants) as fleet:
        edge = fleet.edge(redis={"cache_tenants": 5})
        until(lambda: is_following(edge), 5)
        with edge.client() as tunnel:
            assert tunnel.ask(websocket.upgrade_request(host="held.apps.example")).status == 101
            wrong = []

            def visit(seed):
                order = list(hosts)
                random.Random(seed).shuffle(order)
                for host in order:
                    answer = edge.get("/", host=host)
                    if answer.status != 200 or tenant_of(answer) != hosts[host]:
                        wrong.append((host, answer.status))
            threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(6)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert not wrong, wrong[:5]

            # Who was here a moment ago stays for two seconds.
            def is_small():
                assert served_tenant(edge, "child.parent.apps.example") == "child"
                return edge.follower()["in_memory"] <= 5
            until(is_small, 8, 0.1)
            there = in_memory(edge)
            assert {"held", "child", "parent"} <= set(there), there
            tunnel.send(websocket.frame(b"still here"))
            assert websocket.read_frame(tunnel.reader)[1] == b"still here"
        # A change of a tenant that is not in memory is in force when it comes.
        absent = next(f"t{i}" for i in range(36) if f"t{i}" not in in_memory(edge))
        fleet.center.write_tenant(absent, {"pool": "shared", "hosts": ["moved.example"]})
        until(lambda: served_tenant(edge, "moved.example") == absent, 3)
        assert status(edge, f"{absent}.example") == 404
        assert edge.admin_json("/v1/tenants/t3")["id"] == "t3"
        redis.kill()
        until(lambda: edge.follower()["state"] == "away", 5)
        for host, id_ in hosts.items():
            if id_ != absent:
                assert served_tenant(edge, host) == id_, host


# --- the copy on disk ---

def test_an_edge_that_is_killed_again_and_again(fleet, authority):
    """While the publisher writes: no start is without what was known, and no copy is damaged."""
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    ends, written = threading.Event(), []

    def write():
        while not ends.wait(0.03):
            id_ = f"n{len(written) % 8}"
            fleet.center.write_tenant(id_, {"pool": "shared", "hosts": [f"{id_}.example", f"v{len(written)}.example"]})
            written.append(id_)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    numbers = random.Random(3)
    try:
        for _ in range(10):
            edge.kill()
            edge.start()
            assert status(edge) == 200
            assert over_tls(edge, authority).status == 200
            time.sleep(numbers.random() * 0.2)
    finally:
        ends.set()
        writer.join()
    last = len(written) - 1
    until(lambda: status(edge, f"v{last}.example") == 200, 10)
    until(lambda: is_following(edge), 10)
    for n in range(last - 7, last + 1):
        assert status(edge, f"v{n}.example") == 200
    assert status(edge, "v0.example") == 404
    assert "damaged" not in edge.stderr()


def spoil_head(data):
    return b"no database at all" * 10 + data[180:]


def spoil_pages(data):
    numbers = random.Random(5)
    return data[:4096] + numbers.randbytes(len(data) - 4096)


def spoil_some_pages(data):
    numbers, out = random.Random(6), bytearray(data)
    for at in range(4096, len(out) - 1024, 8192):
        out[at:at + 1024] = numbers.randbytes(1024)
    return bytes(out)


def spoil_values(data):
    """Leaves of tables alone: all names can still be read."""
    numbers, out = random.Random(8), bytearray(data)
    for at in range(4096, len(out) - 1024, 1024):
        if out[at] == 0x0d:
            out[at:at + 1024] = numbers.randbytes(1024)
    return bytes(out)


def cut(data):
    return data[:len(data) // 2]


def empty(data):
    return b""


many = {f"t{i}": {"hosts": [f"t{i}.example"]} for i in range(120)}


@pytest.fixture(scope="module")
def many_tenants(tmp_path_factory, certs):
    folder, upstream = tmp_path_factory.mktemp("many"), ScriptedUpstream()
    with Redis(folder / "redis") as redis, Fleet(folder, redis, certs, upstream, many) as f:
        yield f
    upstream.stop()


@pytest.mark.parametrize("spoil", [spoil_head, spoil_pages, spoil_some_pages, spoil_values, cut, empty])
def test_a_damaged_copy_is_made_anew(many_tenants, spoil):
    fleet = many_tenants
    edge = fleet.edge(f"edge-{spoil.__name__}")
    until(lambda: is_following(edge), 10)
    edge.stop()
    copy = edge.folder / "state" / "mirror.db"
    copy.write_bytes(spoil(copy.read_bytes()))
    edge.start(path="/healthz")
    # Never "nobody's" for a name that is somebody's.
    for i in range(120):
        assert status(edge, f"t{i}.example") in (200, 503), i
    # Where the spoiled pages lie is SQLite's choice: they may be such as nobody reads, or whose damage it does not see.
    made_anew = lambda: "is made anew from Redis" in edge.stderr()   # noqa: E731
    if spoil == spoil_some_pages:
        with contextlib.suppress(AssertionError):
            until(made_anew, 8, 0.05)   # a beat is five seconds
    elif spoil != empty:
        until(made_anew, 15, 0.05)
    until(lambda: is_following(edge) and all(status(edge, f"t{i}.example") == 200 for i in range(120)), 15, 0.1)
    fleet.center.write_tenant("t0", {"pool": "shared", "hosts": ["t0.example", f"{spoil.__name__.replace('_', '-')}.example"]})
    until(lambda: status(edge, f"{spoil.__name__.replace('_', '-')}.example") == 200, 5)
    # And it is whole again: without Redis, after a restart.
    edge.stop()
    fleet.redis.freeze()
    try:
        edge.start()
        for i in range(120):
            assert status(edge, f"t{i}.example") == 200, i
        assert status(edge, "nobody.example") == 404
    finally:
        fleet.redis.thaw()
    edge.stop()


@pytest.mark.parametrize("key", ["platform", "tenant:acme", "host:shop.acme.example", "cert:shop.acme.example", "another's host"])
def test_a_spoiled_value_is_asked_for_anew(fleet, authority, key):
    """Bytes that the disk changed within a value are nothing SQLite could see."""
    fleet.center.write_tenant("other", {"pool": "shared", "hosts": ["other.example"]})
    edge = fleet.edge()
    until(lambda: is_following(edge) and over_tls(edge, authority).status == status(edge, "other.example") == 200, 10)
    edge.stop()
    with contextlib.closing(sqlite3.connect(edge.folder / "state" / "mirror.db")) as copy, copy:
        if key == "another's host":
            copy.execute("UPDATE entries SET value = ? WHERE key = 'host:shop.acme.example'", (b"other",))
        else:
            value = bytearray(copy.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()[0])
            value[len(value) // 2] ^= 1
            copy.execute("UPDATE entries SET value = ? WHERE key = ?", (bytes(value), key))
    edge.start(path="/healthz")
    assert status(edge) in (200, 404 if key == "another's host" else 503)

    def served():
        return status(edge) == 200 and over_tls(edge, authority).status == 200
    until(served, 15, 0.1)
    until(lambda: is_following(edge), 5)
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
    until(lambda: status(edge, "new.globex.example") == 200, 5)
    edge.stop()
    fleet.redis.freeze()
    try:
        edge.start()
        assert served(), "it is not whole without Redis"
    finally:
        fleet.redis.thaw()


def test_a_full_disk_makes_changes_wait(fleet, authority):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    _, most = resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE)
    before = edge.follower()["revision"]
    with Traffic(edge, authority, ["shop.acme.example"]):
        resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE, (1024, most))
        fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
        until(lambda: "mirror.db cannot be written" in edge.follower()["why"], 5)
        assert any("mirror.db cannot be written" in w for w in edge.admin_json("/v1/node")["warnings"])
        until(lambda: "changes wait, as they cannot be stored" in edge.stderr())
        assert status(edge, "new.globex.example") == 404
        assert status(edge, "acme.apps.example") == 200
        # Tried every two seconds, it is not younger by that.
        told = edge.stderr().count("is followed")
        until(lambda: edge.follower()["stale_s"] >= 5, 10)
        assert edge.follower()["revision"] == before and edge.follower()["state"] == "away"
        assert edge.stderr().count("is followed") == told
        resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE, (most, most))
        until(lambda: status(edge, "new.globex.example") == 200, 10)
        until(lambda: is_following(edge) and edge.follower()["revision"] > before, 5)
    edge.kill()
    edge.start()
    assert status(edge, "new.globex.example") == 200


def test_over_max_stale_nothing_is_served(fleet, authority):
    edge = fleet.edge(redis={"max_stale": "2s"})
    until(lambda: is_following(edge), 5)
    assert status(edge) == 200
    fleet.redis.kill()
    until(lambda: status(edge) == 503, 8)
    assert edge.get("/", host="shop.acme.example").problem() == "registry-unavailable"
    assert certificate(edge, authority, "shop.acme.example") is None
    code, body, _ = edge.admin("GET", "/readyz", token=None)
    assert code == 503 and "registry.redis.max_stale" in body
    assert edge.follower()["expired"] and edge.follower()["stale_s"] >= 2
    until(lambda: "nothing is served" in edge.stderr())
    # Nor does a restart make it younger.
    edge.stop()
    edge.start(path="/healthz")
    until(lambda: edge.admin("GET", "/readyz", token=None)[0] == 503, 3)
    assert status(edge) == 503
    fleet.redis.start()
    until(lambda: status(edge) == 200 and over_tls(edge, authority).status == 200, 20)
    assert edge.admin("GET", "/readyz", token=None)[0] == 200
    assert not edge.follower()["expired"]


# --- other versions ---

def derived(key, purpose, bytes_):
    """HKDF-SHA256 (RFC 5869) without a salt."""
    first = hmac.new(bytes(32), bytes.fromhex(key), "sha256").digest()
    return hmac.new(first, purpose + b"\x01", "sha256").digest()[:bytes_]


def sign(document, keys):
    """As a publisher writes it, a later one as well; `keys`: the folder with REGION.key."""
    text = json.dumps(document, separators=(",", ":"))
    signatures = {}
    for file in keys.glob("*.key"):
        key = file.read_text().strip()
        mac = hmac.new(derived(key, b"gatehouse sign", 32), text.encode(), "sha256").hexdigest()
        signatures[file.stem] = derived(key, b"gatehouse key id", 4).hex() + ":" + mac
    return '{"signatures":%s,"signed":%s}' % (json.dumps(signatures, separators=(",", ":")), text)


def test_what_a_later_version_writes(fleet, authority):
    """What has to be understood and is not answers 503, for its tenant alone; what need not be is passed over."""
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
    fleet.center.write_tenant("child", {"parent": "acme"})
    edge, redis, keys = fleet.edge(), fleet.redis, fleet.folder / "keys"
    until(lambda: is_following(edge) and status(edge, "new.globex.example") == 200, 5)
    until(lambda: status(edge, "child.acme.apps.example") == 200, 3)
    begun = signed(redis, "tenant:acme")
    revision = begun["revision"]

    def put(**changed):
        nonlocal revision
        revision += 1
        document = {**begun, "revision": revision, **changed}
        redis.ask("SET", "gatehouse:tenant:acme", sign({k: v for k, v in document.items() if v is not None}, keys))
        announce(redis, "acme")

    def unavailable():
        answers = [edge.get("/", host="shop.acme.example"), over_tls(edge, authority)]
        return all((a.status, a.problem() if a.status != 200 else "") == (503, "registry-unavailable") for a in answers)

    def others_are_served():
        assert status(edge, "new.globex.example") == 200
        assert "acme" not in refused(edge)
    tenant = {**begun["tenant"], "context": {"from": "later"}}
    put(tenant=tenant, teleport={"to": "anywhere"})
    until(lambda: ["X-Tenant-From", "later"] in edge.get("/", host="shop.acme.example").json()["fields"], 3)
    assert over_tls(edge, authority).status == 200
    put(tenant={**tenant, "teleport": {"to": "anywhere"}})
    assert status(edge) == 200
    for later in ({"critical": ["pool", "teleport"]}, {"format": 2}):
        put(**later)
        until(unavailable, 3)
        others_are_served()
        put(critical=["pool", "routes", "limits"])
        until(lambda: status(edge) == 200, 3)
        assert over_tls(edge, authority).status == 200
    put(critical=["teleport"])
    until(unavailable, 3)
    # A start with it, and what inherits from it.
    edge.kill()
    edge.start()
    until(unavailable, 3)
    others_are_served()
    answer = edge.get("/", host="child.acme.apps.example")
    assert (answer.status, answer.problem()) == (503, "registry-unavailable")
    assert "needs a later gatehouse" in edge.stderr() or "503" in edge.admin("GET", "/v1/explain?url=http://shop.acme.example/&format=text")[1]


# --- floods ---

def test_a_flood_of_names_asks_nobody(fleet, authority):
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    mark = b"aaaaaaaaaaaaaaaa"
    hellos = [hello_of(mark.decode() + rest) for rest in (".flood.example", ".apps.example", ".shop.acme.example")]
    numbers, wrong = random.Random(11), []

    def other_name():
        return numbers.randbytes(8).hex().encode()

    def hello(n):
        with socket.create_connection(("127.0.0.1", edge.tls_port), timeout=8) as sock:
            sock.sendall(hellos[n % 3].replace(mark, other_name()))
            answer = sock.recv(64)
            if answer[:1] != b"\x15" or answer[5:7] != b"\x02\x70":   # an alert: fatal, unrecognized_name
                wrong.append(answer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def flood(of_hellos, of_requests):
        with edge.client() as client:
            for n in range(max(of_hellos, of_requests)):
                if n < of_hellos:
                    hello(n)
                if n < of_requests:
                    name = other_name().decode() + (".flood.example", ".apps.example", ".x.acme.example")[n % 3]
                    if client.get("/", host=name).status != 404:
                        wrong.append(name)

    def asked():
        # Tenants and hosts are asked for with MGET, and nothing else is.
        return re.findall(r"cmdstat_mget:calls=(\d+)", fleet.redis.ask("INFO", "commandstats"))
    flood(300, 300)
    before, memory, hosts = asked(), edge.rss_bytes(), edge.follower()["hosts"]
    with Traffic(edge, authority, ["shop.acme.example"]):
        threads = [threading.Thread(target=flood, args=(1500, 3500)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not wrong, (len(wrong), wrong[:3])
    assert asked() == before
    assert edge.follower()["hosts"] == hosts and edge.follower()["in_memory"] == 1
    if not os.environ.get("GATEHOUSE_SLOW"):   # sanitizers keep what was freed
        assert edge.rss_bytes() < memory + (8 << 20)


# --- ways to Redis ---

@pytest.mark.parametrize("way", ["password", "user", "database", "socket"])
def test_ways_to_redis(tmp_path, certs, upstream, way):
    path = tmp_path / "redis.sock"
    with Redis(tmp_path / "redis", "--unixsocket", str(path)) as redis:
        at = f"127.0.0.1:{redis.port}"
        redis.url = {"password": f"redis://:s3cret%40@{at}/0", "user": f"redis://{at}/0", "database": f"redis://{at}/7",
                     "socket": f"unix:{path}"}[way]
        if way == "password":
            redis.ask("CONFIG", "SET", "requirepass", "s3cret@")
        if way == "user":   # may read, not even tell that it lives
            redis.ask("ACL", "SETUSER", "edge", "on", ">s3cret", "~gatehouse:*", "+@read", "+@connection")
        with Fleet(tmp_path, redis, certs, upstream) as fleet:
            if way == "user":
                redis.url = f"redis://edge:s3cret@{at}/0"
            edge = fleet.edge()
            until(lambda: is_following(edge) and status(edge) == 200, 5)
            fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
            until(lambda: status(edge, "new.globex.example") == 200, 3)
            if way == "password":
                edge.stop()
                redis.ask("CONFIG", "SET", "requirepass", "another")
                edge.start()
                until(lambda: "WRONGPASS" in edge.follower()["why"], 3)
                assert "s3cret" not in edge.stderr() and "s3cret" not in edge.admin("GET", "/v1/node")[1]
                assert status(edge) == 200
                redis.ask("CONFIG", "SET", "requirepass", "s3cret@")
                until(lambda: is_following(edge), 10)
            if way == "user":
                assert "user=edge" in redis.ask("CLIENT", "LIST")
                assert "gatehouse:node:edge-1" not in redis.keys("gatehouse:node:*")
            if way == "database":
                redis.ask("SELECT", 0)
                assert redis.keys() == []


def test_a_failover_is_followed(tmp_path, certs, upstream, authority):
    fast = ("--repl-diskless-sync-delay", "0")
    with Redis(tmp_path / "first", *fast) as first, \
            Redis(tmp_path / "second", *fast, "--replicaof", "127.0.0.1", str(first.port)) as second:
        until(lambda: "state=online" in first.ask("INFO", "replication"), 10)
        file = tmp_path / "sentinel.conf"
        file.write_text(f"sentinel monitor main 127.0.0.1 {first.port} 1\nsentinel down-after-milliseconds main 500\n"
                        "sentinel failover-timeout main 3000\n")
        with Redis(tmp_path / "sentinel", "--sentinel", file=file) as sentinel:
            until(lambda: sentinel.ask("SENTINEL", "replicas", "main"), 15)
            sentinel.url = f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0"
            with Fleet(tmp_path, sentinel, certs, upstream) as fleet:
                edge = fleet.edge()
                until(lambda: is_following(edge), 5)
                with Traffic(edge, authority, ["shop.acme.example"]):
                    assert first.ask("WAIT", 1, 5000) == 1
                    first.kill()
                    until(lambda: edge.follower()["state"] == "away", 5)
                    until(lambda: is_current(fleet.center) and is_following(edge), 40, 0.05)
                    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
                    until(lambda: status(edge, "new.globex.example") == 200, 5)
                assert second.ask("GET", "gatehouse:host:new.globex.example") == "globex"


def test_an_edge_tells_that_it_lives(fleet):
    edges = [fleet.edge(), fleet.edge("edge-2", region="us-east")]
    for edge, name, region in zip(edges, ("edge-1", "edge-2"), ("eu-west", "us-east")):
        until(lambda: is_following(edge), 5)
        key = f"gatehouse:node:{name}"
        until(lambda: json.loads(fleet.redis.ask("GET", key) or "{}").get("state") == "current", 12, 0.1)
        told = json.loads(fleet.redis.ask("GET", key))
        node = edge.admin_json("/v1/node")
        assert told["region"] == region and told["version"] == node["version"]
        assert (told["epoch"], told["revision"]) == (edge.follower()["epoch"], edge.follower()["revision"])
        assert abs(told["started"] - time.time()) < 60
        assert 0 < fleet.redis.ask("TTL", key) <= 15


# --- torn moves ---

def watched(edge, host, moves):
    """Everything that `host` was answered while `moves` ran: tenants and statuses."""
    seen, ends = set(), threading.Event()

    def look():
        with edge.client() as client:
            while not ends.is_set():
                answer = client.get("/", host=host)
                seen.add(tenant_of(answer) if answer.status == 200 else answer.status)
    threads = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    for t in threads:
        t.start()
    moves()
    ends.set()
    for t in threads:
        t.join()
    return seen


def test_a_host_that_moves_to_and_fro_is_never_a_third_ones(two_tenants):
    fleet = two_tenants
    edge, write = fleet.edge(), fleet.center.write_tenant
    write("third", {"pool": "shared", "hosts": ["shop.third.example"]})
    until(lambda: is_following(edge) and served_tenant(edge, "shop.third.example") == "third", 5)

    def move(to):
        other = "globex" if to == "acme" else "acme"
        write(other, {"pool": "shared"})
        write(to, {"pool": "shared", "hosts": ["shop.acme.example"]})

    def moves():
        for n in range(50):
            move(("globex", "acme")[n % 2])
            time.sleep(0.02)
        until(lambda: served_tenant(edge, "shop.acme.example") == "acme", 5)
        move("globex")
        until(lambda: served_tenant(edge, "shop.acme.example") == "globex", 5)
    seen = watched(edge, "shop.acme.example", moves)
    assert {"acme", "globex"} <= seen <= {"acme", "globex", 404, 503}, seen
    until(lambda: is_current(fleet.center), 5)
    for _ in range(20):
        assert served_tenant(edge, "shop.acme.example") == "globex"


def test_an_exact_host_that_comes_and_goes_over_a_wildcard(two_tenants):
    fleet = two_tenants
    edge, write = fleet.edge(), fleet.center.write_tenant
    write("acme", {"pool": "shared", "hosts": ["*.wild.example"]})
    until(lambda: is_following(edge) and served_tenant(edge, "x.wild.example") == "acme", 5)

    def moves():
        for n in range(40):
            write("globex", {"pool": "shared", "hosts": ["x.wild.example"] if n % 2 == 0 else []})
            time.sleep(0.02)
            if n in (10, 11):
                until(lambda: served_tenant(edge, "x.wild.example") == ("globex", "acme")[n % 2], 5)
        until(lambda: served_tenant(edge, "x.wild.example") == "acme", 5)
    seen = watched(edge, "x.wild.example", moves)
    assert {"acme", "globex"} <= seen <= {"acme", "globex", 503}, seen
    assert served_tenant(edge, "y.wild.example") == "acme"


# --- publishers come and go ---

def test_a_publisher_that_lost_everything_is_followed(two_tenants):
    """A new machine with the tenants' files, and a new Redis: another registry, which begins to count anew."""
    fleet = two_tenants
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    for n in range(5):
        fleet.center.write_tenant("acme", {"pool": "shared", **two["acme"], "name": f"n{n}"})
        until(lambda: edge.follower()["revision"] >= n, 3)
    fleet.center.kill()
    fleet.redis.kill()
    shutil.rmtree(fleet.center.folder / "state")
    fleet.center.write_tenant("acme", {"pool": "shared", **two["acme"], "state": "suspended", "reason": "billing"})
    fleet.center.delete_tenant("globex")
    fleet.redis.start()
    fleet.center.start()
    until(lambda: served_tenant(edge, "shop.acme.example") == 402, 15)
    until(lambda: served_tenant(edge, "shop.globex.example") == 404, 5)
    until(lambda: is_following(edge), 5)
    assert refused(edge) == ""


def test_another_publisher_takes_over(two_tenants, certs):
    fleet = two_tenants
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    second = publisher(fleet.folder, fleet.redis, certs, {}, name="second")
    second.settings["pools"] = fleet.center.settings["pools"]
    second.write_settings()
    second.write_tenant("acme", {"pool": "shared", **two["acme"]})
    second.write_tenant("late", {"pool": "shared", "hosts": ["late.example"]})
    with second:
        until(lambda: second.admin_json("/v1/node")["publisher"]["state"] == "standby", 5)
        fleet.center.kill()
        fleet.redis.ask("DEL", "gatehouse:publisher:lease")   # instead of waiting until it runs out
        until(lambda: served_tenant(edge, "late.example") == "late", 15)
        until(lambda: is_following(edge) and edge.follower()["publisher"] == "second", 15)
        assert served_tenant(edge, "shop.acme.example") == "acme"
        assert served_tenant(edge, "shop.globex.example") == 404
        assert refused(edge) == ""


def test_pools_are_there_before_the_tenants_that_use_them(fleet, upstream):
    edge, center = fleet.edge(), fleet.center
    until(lambda: is_following(edge), 5)
    for n in range(5):
        center.settings["pools"][f"new{n}"] = {"endpoints": [{"address": upstream.address}]}
        center.settings["plans"][f"plan{n}"] = {"concurrency": 5}
        center.write_settings()
        center.write_tenant(f"new{n}", {"pool": f"new{n}", "plan": f"plan{n}", "hosts": [f"new{n}.example"]})
        # Known already, and in quarantine: the settings alone put it in force.
        until(lambda: f"new{n}.toml: pool" in center.stderr(), 5)
        assert center.admin("POST", "/v1/reload", timeout=10)[0] == 200
        seen = set()

        def is_served():
            answer = edge.get("/", host=f"new{n}.example")
            seen.add((answer.status, answer.status != 200 and answer.problem()))
            return answer.status == 200
        until(is_served, 5)
        # A first look waits for the registry 250 ms at most, which a busy machine may need; no-endpoint it must never be.
        assert seen <= {(404, "unknown-host"), (503, "registry-unavailable"), (200, False)}, seen
    # What this node's own file hinders comes with the next good one.
    good = edge.config.read_text()
    edge.config.write_text(good + "\n[nonsense]\n")
    center.settings["pools"]["last"] = {"endpoints": [{"address": upstream.address}]}
    center.write_settings()
    center.write_tenant("last", {"pool": "last", "hosts": ["last.example"]})
    assert center.admin("POST", "/v1/reload", timeout=10)[0] == 200
    until(lambda: "reload refused" in edge.stderr(), 5)
    assert status(edge) == 200
    edge.config.write_text(good)
    assert edge.admin("POST", "/v1/reload", timeout=10)[0] == 200
    until(lambda: status(edge, "last.example") == 200, 3)


def test_what_was_refused_is_read_again_after_a_restart(fleet):
    """A publisher with a newer key, and the key that comes to the edge with its next start."""
    edge, published = fleet.edge(), fleet.folder / "keys" / "eu-west.key"
    until(lambda: is_following(edge), 5)
    old, new = published.read_text(), new_key()
    published.write_text(new + old)
    assert fleet.center.admin("POST", "/v1/reload", timeout=10)[0] == 200
    until(lambda: "gatehouse:tenant:acme" in refused(edge), 10)
    fleet.center.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example"], "state": "suspended", "reason": "legal"})
    fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
    until(lambda: "gatehouse:tenant:globex" in refused(edge), 5)
    assert status(edge) == 200
    # Somebody has the host, and that is all there is to know.
    assert status(edge, "new.globex.example") == 503
    (edge.folder / "region.key").write_text(old + new)
    edge.kill()
    edge.start()
    until(lambda: status(edge) == 451 and status(edge, "new.globex.example") == 200, 10)
    until(lambda: is_following(edge) and refused(edge) == "", 5)


def test_settings_of_a_later_version_are_not_taken(fleet, authority):
    edge, redis, keys = fleet.edge(), fleet.redis, fleet.folder / "keys"
    until(lambda: is_following(edge), 5)
    begun = signed(redis, "platform")
    redis.ask("SET", "gatehouse:platform", sign({**begun, "format": 2, "revision": begun["revision"] + 1}, keys))
    announce(redis, "", "platform")
    until(lambda: "gatehouse:platform: needs a later gatehouse" in refused(edge), 5)
    for _ in range(2):
        assert status(edge) == 200 and over_tls(edge, authority).status == 200
        assert edge.admin("GET", "/readyz", token=None)[0] == 200
        edge.kill()
        edge.start()
    until(lambda: "gatehouse:platform: needs a later gatehouse" in refused(edge), 5)


def test_a_first_reading_that_is_broken_off(many_tenants):
    """What is not here yet is not nobody's."""
    fleet = many_tenants
    until(lambda: is_current(fleet.center), 10)
    numbers = random.Random(9)
    for n in range(4):
        edge = fleet.edge(f"first-{n}", start=False)
        edge.start(path="/healthz")
        time.sleep(numbers.random() * 0.05)
        edge.kill()
        fleet.redis.freeze()
        try:
            edge.start(path="/healthz")
            for i in range(1, 120):
                assert status(edge, f"t{i}.example") in (200, 503), (n, i)
        finally:
            fleet.redis.thaw()
        until(lambda: is_following(edge) and all(status(edge, f"t{i}.example") == 200 for i in range(1, 120)), 15, 0.05)
        edge.kill()


def test_connections_to_redis_that_are_cut_again_and_again(fleet, authority):
    edges, redis = [fleet.edge(), fleet.edge("edge-2")], fleet.redis
    for edge in edges:
        until(lambda: is_following(edge), 5)
    numbers = random.Random(4)
    with Traffic(edges[0], authority, ["shop.acme.example"]):
        for n in range(60):
            fleet.center.write_tenant(f"n{n % 6}", {"pool": "shared", "hosts": [f"v{n}.example"]})
            time.sleep(numbers.random() * 0.05)
            redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            if n % 20 == 10:
                redis.ask("FLUSHALL")
        for edge in edges:
            until(lambda: all(status(edge, f"v{n}.example") == 200 for n in range(54, 60)), 20, 0.05)
            until(lambda: is_current(fleet.center) and is_following(edge), 20, 0.05)
            assert status(edge, "v3.example") == 404
            assert refused(edge) == ""


def test_rubbish_in_redis(fleet, authority):
    edge, redis = fleet.edge(), fleet.redis
    until(lambda: is_following(edge), 5)
    with Traffic(edge, authority, ["shop.acme.example"]):
        redis.ask("XADD", "gatehouse:changes", "*", "nothing", "at all")
        redis.ask("XADD", "gatehouse:changes", "*", "op", "upsert", "id", b"\xff\x00\r\n*", "revision", "-1", "add", b" \x00  \xfe ")
        redis.ask("XADD", "gatehouse:changes", "*", "op", "cert", "id", "../../etc/passwd", "revision", "9" * 40)
        redis.ask("XADD", "gatehouse:changes", "*", "op", "upsert", "id", "x" * 100_000)
        redis.ask("SET", "gatehouse:host:long.example", "y" * 10_000)
        redis.ask("SET", "gatehouse:tenant:nobody", b"\x00" * 10_000)
        redis.ask("SET", "gatehouse:host:odd.example", "nobody")
        redis.ask("RPUSH", "gatehouse:tenant:list", "a")
        announce(redis, "nobody", add="long.example odd.example")
        announce(redis, "list")
        until(lambda: "gatehouse:tenant:nobody" in refused(edge) and "gatehouse:host:long.example" in refused(edge), 5)
        assert status(edge, "odd.example") in (404, 503)
        # Keys of another kind stop the reading, which says so and begins again when they are gone.
        redis.ask("DEL", "gatehouse:changes")
        redis.ask("SET", "gatehouse:changes", "a text")
        until(lambda: "WRONGTYPE" in edge.follower()["why"], 10)
        redis.ask("DEL", "gatehouse:changes", "gatehouse:tenant:list")
        fleet.center.write_tenant("globex", {"pool": "shared", "hosts": ["new.globex.example"]})
        until(lambda: status(edge, "new.globex.example") == 200, 15)
        assert fleet.center.run("registry", "publish", "--config", str(fleet.center.config)).returncode == 0
        until(lambda: is_following(edge), 10)
    assert redis.keys("gatehouse:*nobody*") == []


def test_connections_cut_while_changes_come(fleet):
    """Wherever the cut falls, what the edge has stored is also what it answers by."""
    edge = fleet.edge()
    until(lambda: is_following(edge), 5)
    rng = random.Random(4)
    hosts = [f"h{i}.acme.example" for i in range(30)]

    def answered(host):
        answer = edge.get("/", host=host)
        return dict((n.lower(), v) for n, v in answer.json()["fields"]).get("x-tenant-step") if answer.status == 200 else None

    for step in range(30):
        fleet.center.write_tenant("acme", {"pool": "shared", "hosts": [hosts[step]], "context": {"step": str(step)}})
        if step % 10 == 5:   # the platform's change takes the edge a reload
            fleet.center.settings["plans"]["free"] = {"concurrency": 100 + step}
            fleet.center.write_settings()
            fleet.center.admin("POST", "/v1/reload")
        time.sleep(rng.random() * 0.06)
        fleet.redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    until(lambda: is_current(fleet.center), 15)
    until(lambda: is_following(edge), 15)
    until(lambda: answered(hosts[29]) == "29", 3)
    assert [status(edge, host) for host in hosts[:29]] == [404] * 29
