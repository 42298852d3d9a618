"""A tenant moves to other backends: nobody fails, nobody is seen by both, and whatever goes wrong it stays where it is."""
import collections
import contextlib
import json
import os
import re
import signal
import sqlite3
import threading
import time

import pytest

from kit import websocket as ws
from kit.certs import make_dev_certs
from kit.gate import Gate, metric, until
from kit.edge import Edge
from kit.ports import free_port
from kit.upstream import ScriptedUpstream, ok, raw
from test_publisher import is_current, make_key


class Side:
    """One pool's application: which requests it saw, by their target, and when."""

    def __init__(self, name):
        self.name, self.seen, self.delay = name, [], 0.0
        self.server = ScriptedUpstream(name)
        self.server.default = self._serve
        self.server.on("/ws", ws.echo_upstream)
        self.address = self.server.address

    def _serve(self, conn, request):
        self.seen.append((time.monotonic(), request.target))
        conn.read_body(request)
        if self.delay:
            time.sleep(self.delay)
        body = self.name.encode()
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def times(self):
        return [t for t, _ in self.seen]

    def targets(self):
        return [target for _, target in self.seen]


class Site:
    """A node with two pools; tenants of the API."""

    def __init__(self, build, **settings):
        self.old, self.new = Side("old"), Side("new")
        self.world = build(upstream=self.old.server, tenants={"filed": {"pool": "old"}},
                           pools={"old": [self.old.address], "new": [self.new.address], "nobody": [f"127.0.0.1:{free_port()}"],
                                  "sick": {"endpoints": [{"address": self.new.address}],
                                           "health": {"path": "/sick", "interval": "100ms", "rise": 1, "fall": 1}}},
                           settings={"timeouts": {"upstream_head": "20s"}, **settings})
        self.gate = self.world.gate
        self.new.server.on("/sick", ok(status=b"500 No"))

    def send(self, method, path, body=None, timeout=30):
        sent = {"Content-Type": "application/json"} if body is not None else {}
        status, text, _ = self.gate.admin(method, path, body=None if body is None else json.dumps(body), fields=sent, timeout=timeout)
        return status, json.loads(text)

    def create(self, id_, **more):
        assert self.send("POST", "/v1/tenants", {"id": id_, "pool": "old", **more})[0] == 201

    def migrate(self, id_, **body):
        return self.send("POST", f"/v1/tenants/{id_}/migrate", body)

    def pool_of(self, id_):
        return self.send("GET", f"/v1/tenants/{id_}")[1]["tenant"].get("pool")

    def served_by(self, id_):
        answer = self.gate.get("/", f"{id_}.localhost")
        assert answer.status == 200, answer
        return answer.body.decode()

    def cli(self, *args, code=0):
        done = self.gate.run("--config", "gatehouse.toml", "tenant", "migrate", *args)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def held(self):
        return metric(self.gate, "gatehouse_requests_held")


@pytest.fixture(scope="module")
def site(build):
    site = Site(build)
    yield site
    site.new.server.stop()


class Load:
    """Clients that ask without a pause, each over a connection of its own, each request with a name of its own."""

    def __init__(self, port, host, clients=6):
        self.port, self.host, self.answers, self.failures = port, host, [], []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]

    def _run(self, lane):
        from kit.client import Client
        try:
            with Client(self.port) as client:
                n = 0
                while not self._end.is_set():
                    target = f"/{lane}/{n}"
                    n += 1
                    if n % 3:
                        answer = client.get(target, self.host)
                    else:
                        client.send(f"POST {target} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: 2\r\n\r\nhi".encode())
                        answer = client.response()
                    self.answers.append((target, answer.status, answer.body.decode()))
        except Exception as error:   # noqa: BLE001: whatever it is, it is a failed request
            self.failures.append(repr(error))

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for t in self._threads:
            t.join()


def check_nothing_lost(load, old, new):
    assert not load.failures, load.failures
    assert {status for _, status, _ in load.answers} == {200}
    counts = collections.Counter(old.targets() + new.targets())
    assert set(counts.values()) == {1}, "a request came twice"
    assert sorted(counts) == sorted(target for target, _, _ in load.answers)
    by_body = collections.Counter(body for _, _, body in load.answers)
    assert by_body == {"old": len(old.seen), "new": len(new.seen)}
    assert len(old.seen) > 10 and len(new.seen) > 10


def test_under_load_not_one_request_is_lost_or_seen_twice(site):
    site.create("busy")
    site.old.seen.clear(), site.new.seen.clear()
    site.old.delay = 0.02
    with Load(site.gate.port, "busy.localhost") as load:
        until(lambda: len(load.answers) > 100, 10)
        status, moved = site.migrate("busy", to="pool:new")
        assert status == 200, moved
        came = len(site.new.seen)
        until(lambda: len(site.new.seen) > came + 100, 10)
    site.old.delay = 0.0
    check_nothing_lost(load, site.old, site.new)
    assert max(site.old.times()) < min(site.new.times()), "the old pool was asked after the cut"
    assert (moved["from"], moved["to"], moved["step"]) == ("pool:old", "pool:new", "moved")
    assert moved["requests_held"] > 0 and moved["notes"] == []
    assert site.pool_of("busy") == "new"
    rows = site.send("GET", "/v1/tenants/busy/audit")[1]["rows"]
    assert (rows[0]["before"], rows[0]["after"], rows[0]["who"]) == ({"pool": "old"}, {"pool": "new"}, "admin")
    # And back in the same way.
    site.old.seen.clear(), site.new.seen.clear()
    with Load(site.gate.port, "busy.localhost") as load:
        until(lambda: len(load.answers) > 100, 10)
        assert "tenant busy has moved from pool:new to pool:old" in site.cli("busy", "--rollback")
        came = len(site.old.seen)
        until(lambda: len(site.old.seen) > came + 100, 10)
    check_nothing_lost(load, site.old, site.new)
    assert max(site.new.times()) < min(site.old.times())


def test_a_family_moves_with_its_pool(site):
    site.create("agency")
    assert site.send("POST", "/v1/tenants", {"id": "client", "parent": "agency"})[0] == 201
    assert site.send("POST", "/v1/tenants", {"id": "apart", "parent": "agency", "pool": "old"})[0] == 201
    assert site.migrate("agency", to="pool:new")[0] == 200
    assert site.served_by("agency") == "new" and site.served_by("client.agency") == "new"
    assert site.served_by("apart.agency") == "old"
    # A child gets a pool of its own, and its parent's again.
    assert site.migrate("client", to="pool:old")[0] == 200
    assert site.served_by("client.agency") == "old"
    status, back = site.migrate("client", rollback=True)
    assert status == 200 and back["to"] is None
    assert site.served_by("client.agency") == "new" and site.pool_of("client") is None


def test_what_is_refused_before_anybody_waits(site):
    site.create("stays")
    until(lambda: site.send("GET", "/v1/pools/sick")[1]["endpoints"][0]["state"] == "down", 5)
    before = metric(site.gate, "gatehouse_requests_held_total")
    cases = [
        ("stays", {"to": "pool:old"}, 409, "there-already", "has pool old already"),
        ("stays", {"to": "pool:gold"}, 409, "conflict", ""),
        ("stays", {"to": "pool:sick"}, 409, "target-unhealthy", "is down"),
        ("stays", {"to": "pool:nobody"}, 409, "target-unhealthy", "takes a connection"),
        ("stays", {"rollback": True}, 409, "nothing-before", "never changed"),
        ("filed", {"to": "pool:new"}, 409, "declared-in-file", "filed.toml"),
        ("nobody", {"to": "pool:new"}, 404, "not-found", ""),
        ("nobody", {"rollback": True}, 404, "not-found", ""),
        ("stays", {"to": "new"}, 400, "bad-request", "pool:NAME"),
        ("stays", {}, 400, "bad-request", "rollback"),
        ("stays", {"to": "pool:new", "hold": "1h"}, 400, "bad-request", "hold"),
        ("stays", {"to": "pool:new", "tunnels": "cut"}, 400, "bad-request", "tunnels"),
        ("stays", {"to": "pool:new", "queue": -1}, 400, "bad-request", "queue"),
        ("stays", {"to": "pool:new", "held": "1s"}, 400, "bad-request", "do not belong"),
        ("stays", {"step": "commit"}, 400, "bad-request", "token"),
        ("stays", {"step": "commit", "token": "x"}, 409, "hold-over", "begin again"),
    ]
    for tenant, body, code, kind, text in cases:
        status, problem = site.migrate(tenant, **body)
        assert (status, problem["type"]) == (code, f"urn:gatehouse:{kind}"), (body, problem)
        assert text in problem["detail"], problem
    assert site.served_by("stays") == "old"
    assert metric(site.gate, "gatehouse_requests_held_total") == before
    assert "--rollback instead" in site.cli("stays", code=2)


def test_a_hook_runs_while_requests_wait_and_decides(site):
    site.create("hooked")
    script = site.gate.folder / "hook.sh"
    script.write_text("echo \"$GATEHOUSE_TENANT $GATEHOUSE_FROM $GATEHOUSE_TO\" > told; touch running; while [ ! -e go ]; do sleep 0.02; done; exit $1\n")
    flag = site.gate.folder / "go"

    def in_the_background(*args, code):
        out = []
        thread = threading.Thread(target=lambda: out.append(site.cli(*args, code=code)))
        thread.start()
        until(lambda: (site.gate.folder / "running").exists(), 5)
        return thread, out

    for code, side in ((3, "old"), (0, "new")):
        site.old.seen.clear(), site.new.seen.clear()
        thread, out = in_the_background("hooked", "--to", "pool:new", "--hook", f"sh hook.sh {code}", code=1 if code else 0)
        with Load(site.gate.port, "hooked.localhost", clients=3) as load:
            until(lambda: site.held() == 3, 5)
            assert not site.old.seen and not site.new.seen
            assert site.send("GET", "/v1/tenants/hooked")[1]["moving_to"] == "pool:new"
            shown = site.gate.run("--config", "gatehouse.toml", "tenant", "show", "hooked").stdout
            assert re.search(r"moving to +pool:new", shown), shown
            explained = site.gate.run("--config", "gatehouse.toml", "explain", "http://hooked.localhost/").stdout
            assert re.search(r"moving to +pool:new", explained), explained
            # Another move of it has to wait; other tenants are served.
            assert site.migrate("hooked", to="pool:new")[1]["type"] == "urn:gatehouse:under-way"
            assert site.gate.get("/", "filed.localhost").status == 200
            site.old.seen.clear()
            flag.touch()
            thread.join()
            until(lambda: len(load.answers) > 30, 5)
        assert (site.gate.folder / "told").read_text().split() == ["hooked", "pool:old", "pool:new"]
        assert "moving_to" not in site.send("GET", "/v1/tenants/hooked")[1]
        assert not load.failures and {body for _, _, body in load.answers} == {side}
        assert ("the hook ended with exit code 3; tenant hooked stays with pool:old" if code else "has moved") in out[0], out
        for name in ("go", "running"):
            (site.gate.folder / name).unlink()


def test_a_hook_that_takes_too_long_is_ended(site):
    site.create("slow-hook")
    began = time.monotonic()
    said = site.cli("slow-hook", "--to", "pool:new", "--hold", "1s", "--hook", "sleep 30", code=1)
    assert time.monotonic() - began < 10
    assert "longer than the hold" in said and "stays with pool:old" in said
    assert site.served_by("slow-hook") == "old"


def test_a_hold_that_nobody_ends_ends_by_itself(site):
    site.create("left")
    status, held = site.migrate("left", to="pool:new", hold="700ms", step="hold")
    assert status == 200 and held["step"] == "held" and held["left_ms"] <= 700
    assert site.served_by("left") == "old"         # it waited until then
    status, late = site.migrate("left", step="commit", token=held["token"])
    # Workers let go first, the node notices soon after: between the two the words are others, not the answer.
    assert status == 409 and ("begin again" in late["detail"] or "time of the hold was over" in late["detail"])
    # Committed in time, and taken back.
    status, held = site.migrate("left", to="pool:new", step="hold")
    assert site.migrate("left", step="commit", token="other")[0] == 409
    assert site.migrate("left", step="abort", token=held["token"])[1]["step"] == "taken-back"
    assert site.served_by("left") == "old"
    status, held = site.migrate("left", to="pool:new", step="hold")
    assert site.migrate("left", step="commit", token=held["token"])[1]["step"] == "moved"
    assert site.served_by("left") == "new"


def test_requests_that_do_not_end_keep_it_where_it_is(site):
    site.create("long")
    ends = threading.Event()

    def slow(conn, request):
        ends.wait(10)
        ok(b"old")(conn, request)
    site.old.server.on("/slow", slow)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(site.gate.get("/slow", "long.localhost")))
    site.old.server.default, site_default = slow, site.old.server.default
    thread.start()
    try:
        until(lambda: site.old.server.count("/slow") == 1, 5)
        site.old.server.default = site_default
        status, problem = site.migrate("long", to="pool:new", hold="500ms")
        assert (status, problem["type"]) == (409, "urn:gatehouse:not-quiet"), problem
        assert "1 of its requests was still in flight" in problem["detail"]
        assert site.served_by("long") == "old"
    finally:
        site.old.server.default = site_default
        ends.set()
        thread.join()
    assert answers[0].status == 200


def test_those_that_wait_are_not_charged_to_concurrency(site):
    site.create("narrow", limits={"concurrency": 2})
    status, held = site.migrate("narrow", to="pool:new", step="hold")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(site.gate.get("/", "narrow.localhost").status)) for _ in range(8)]
    before = site.held()
    for t in threads:
        t.start()
    until(lambda: site.held() == before + 8, 5)
    assert site.migrate("narrow", step="commit", token=held["token"])[0] == 200
    for t in threads:
        t.join()
    assert answers == [200] * 8


def test_beyond_the_queue_others_are_told_to_come_again(site):
    site.create("crowd")
    status, held = site.migrate("crowd", to="pool:new", step="hold", queue=0)
    assert status == 200
    answer = site.gate.get("/", "crowd.localhost")
    assert answer.status == 503 and int(answer.fields.get("retry-after")) >= 1
    assert json.loads(answer.body)["type"] == "urn:gatehouse:tenant-maintenance"
    assert site.migrate("crowd", step="abort", token=held["token"])[0] == 200
    assert site.served_by("crowd") == "old"


def test_a_client_that_goes_while_it_waits_is_forgotten(site):
    site.create("gone")
    status, held = site.migrate("gone", to="pool:new", step="hold")
    before = site.held()
    with site.world.client() as client:
        client.send(b"GET /gone HTTP/1.1\r\nHost: gone.localhost\r\n\r\n")
        until(lambda: site.held() == before + 1, 5)
        client.reset()
    until(lambda: site.held() == before, 5)
    assert site.migrate("gone", step="commit", token=held["token"])[0] == 200
    assert "/gone" not in site.old.targets() + site.new.targets()


def tunnel(site, id_):
    client = site.world.client()
    client.send(ws.upgrade_request(host=f"{id_}.localhost"))
    assert client.response().status == 101
    return client


def echoes(client):
    client.send(ws.frame(b"hello"))
    return ws.read_frame(client.reader) == (1, b"hello")


def test_tunnels_are_kept_or_closed(site):
    site.create("talks")
    with tunnel(site, "talks") as first:
        assert echoes(first)
        assert site.migrate("talks", to="pool:new")[0] == 200
        assert echoes(first)                            # with the old pool, as long as it likes
        with tunnel(site, "talks") as second:
            assert site.new.server.count("/ws") == 1
            assert echoes(second)
            assert "has moved" in site.cli("talks", "--rollback", "--tunnels", "close")
            assert first.closed(5) and second.closed(5)
    assert site.served_by("talks") == "old"


def test_a_shadow_shows_how_the_answers_differ(site):
    site.create("looks")
    site.new.server.on("/missing", ok(b"no", status=b"404 No"))
    try:
        out = []
        thread = threading.Thread(target=lambda: out.append(site.cli("looks", "--to", "pool:new", "--shadow", "100%", "--for", "4s")))
        thread.start()
        site.old.seen.clear(), site.new.seen.clear()
        until(lambda: [site.served_by("looks")] and site.new.seen, 5)
        with site.world.client() as client:
            for _ in range(5):
                assert client.get("/missing", "looks.localhost").body == b"old"
                client.send(b"POST /form HTTP/1.1\r\nHost: looks.localhost\r\nContent-Length: 2\r\n\r\nhi")
                assert client.response().body == b"old"
        assert site.send("POST", "/v1/tenants/looks/migrate", {"step": "shadow", "to": "pool:new"})[1]["type"] == "urn:gatehouse:under-way"
        thread.join()
        assert "status 200 became 404: 5 times" in out[0] and "0 had no answer of pool:new, 0 were not mirrored" in out[0], out
        assert "p50 / p99 in ms: pool:old" in out[0]
        assert "/form" in site.old.targets() and "/form" not in site.new.targets()
    finally:
        del site.new.server.handlers["/missing"]
    assert site.pool_of("looks") == "old"
    seen = len(site.new.seen)
    assert site.served_by("looks") == "old" and len(site.new.seen) == seen
    assert site.migrate("looks", to="pool:sick", step="shadow")[1]["type"] == "urn:gatehouse:target-unhealthy"
    assert site.migrate("nobody", to="pool:new", step="shadow")[0] == 404
    # A tenant of a file can be looked at too: nothing is changed.
    status, seen = site.send("POST", "/v1/tenants/filed/migrate", {"step": "shadow", "to": "pool:new", "for": "100ms"})
    assert status == 200 and seen["compared"] == 0
    assert "10%" in site.cli("looks", "--to", "pool:new", "--shadow", "some", code=2)


def test_a_node_that_ends_lets_everybody_go(build):
    site = Site(build)
    site.create("acme")
    assert site.migrate("acme", to="pool:new", step="hold", hold="1m")[0] == 200
    with site.world.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: acme.localhost\r\n\r\n")
        until(lambda: site.held() == 1, 5)
        site.gate.signal(signal.SIGTERM)
        answer = client.response()
        assert (answer.status, answer.body) == (200, b"old")
    site.gate.stop(sig=None)
    site.gate.start()
    assert site.served_by("acme") == "old"
    # Killed in the middle: nothing is held any more, and one side or the other is in force.
    assert site.migrate("acme", to="pool:new", step="hold", hold="1m")[0] == 200
    site.gate.kill()
    site.gate.start()
    assert site.served_by("acme") == "old"
    assert site.migrate("acme", to="pool:new")[0] == 200
    site.gate.kill()
    site.gate.start()
    assert site.served_by("acme") == "new"
    assert site.migrate("acme", rollback=True)[0] == 200    # it knows where it came from
    assert site.served_by("acme") == "old"
    site.new.server.stop()


# --- a fleet ---

class Fleet:
    """A publisher and two edges."""

    def __init__(self, folder, redis, certs):
        self.redis, self.old, self.new = redis, Side("old"), Side("new")
        key = make_key(folder / "keys", "eu-west")
        self.center = Gate(folder / "center", {"old": [self.old.address], "new": [self.new.address]}, {},
                           {"node": {"id": "center"}, "registry": {"redis": {"url": redis.url}},
                            "regions": {"eu-west": {"address": "127.0.0.1:9000", "key_file": key}}}, certs=certs)
        self.center.start()
        until(lambda: is_current(self.center), 10)
        self.edges = [Edge(folder / name, redis.url, folder / "keys", name) for name in ("edge-1", "edge-2")]
        for edge in self.edges:
            edge.start()
        self.site = Site.__new__(Site)
        self.site.gate, self.site.old, self.site.new = self.center, self.old, self.new
        self.site.create("acme")
        for edge in self.edges:
            until(lambda edge=edge: edge.get("/", "acme.localhost").status == 200, 10)
        until(lambda: self.redis.ask("ZCARD", "gatehouse:hold-nodes") == 3, 5)

    def stop(self):
        for gate in [*self.edges, self.center]:
            gate.stop()
        for side in (self.old, self.new):
            side.server.stop()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    from kit.redis import Redis
    certs = make_dev_certs(tmp_path_factory.mktemp("certs"), ["acme.localhost"])
    with Redis(tmp_path_factory.mktemp("redis")) as redis:
        f = Fleet(tmp_path_factory.mktemp("fleet"), redis, certs)
        yield f
        f.stop()


def test_a_fleet_moves_as_one(fleet):
    for side, pool in (("new", "pool:new"), ("old", "pool:old")):
        fleet.old.seen.clear(), fleet.new.seen.clear()
        with Load(fleet.edges[0].port, "acme.localhost", 3) as one, Load(fleet.edges[1].port, "acme.localhost", 3) as two:
            until(lambda: len(one.answers) > 50 and len(two.answers) > 50, 10)
            status, moved = fleet.site.migrate("acme", to=pool)
            assert status == 200 and moved["notes"] == [], moved
            until(lambda: all(load.answers[-1][2] == side for load in (one, two)), 10)
            until(lambda: len((fleet.new if side == "new" else fleet.old).seen) > 50, 10)
        assert not one.failures + two.failures
        assert {status for _, status, _ in one.answers + two.answers} == {200}
        assert len(fleet.old.seen) + len(fleet.new.seen) == len(one.answers) + len(two.answers)
        before, after = (fleet.old, fleet.new) if side == "new" else (fleet.new, fleet.old)
        assert max(before.times()) < min(after.times()), "the side it came from was asked after the cut"
    assert fleet.redis.ask("HLEN", "gatehouse:holds") == 0


def test_a_node_that_does_not_answer_is_named_and_the_tenant_stays(fleet):
    frozen, other = fleet.edges
    frozen.signal(signal.SIGSTOP)
    try:
        with Load(other.port, "acme.localhost", 3) as load:
            until(lambda: len(load.answers) > 20, 5)
            status, problem = fleet.site.migrate("acme", to="pool:new", hold="2s")
            assert (status, problem["type"]) == (409, "urn:gatehouse:nodes-missing"), problem
            assert "edge-1" in problem["detail"]
            # Frozen for longer, it is known before anybody waits.
            time.sleep(2)
            began = time.monotonic()
            status, problem = fleet.site.migrate("acme", to="pool:new", hold="5s")
            assert status == 409 and "edge-1" in problem["detail"] and time.monotonic() - began < 2
        assert not load.failures and {(status, body) for _, status, body in load.answers} == {(200, "old")}
        # The hook does not run then.
        said = fleet.site.cli("acme", "--to", "pool:new", "--hook", "touch ran", code=1)
        assert "edge-1" in said and not (fleet.center.folder / "ran").exists()
    finally:
        frozen.signal(signal.SIGCONT)
    assert fleet.site.pool_of("acme") == "old"
    until(lambda: fleet.site.migrate("acme", to="pool:new")[0] == 200, 10, 0.2)
    for edge in fleet.edges:
        assert edge.get("/", "acme.localhost").body == b"new"
    status, problem = fleet.site.migrate("acme", to="pool:old", hold="1ms")
    assert status == 400
    assert fleet.site.migrate("acme", rollback=True)[0] == 200


def test_a_node_that_freezes_behind_the_hold_stops_the_move(fleet):
    status, held = fleet.site.migrate("acme", to="pool:new", hold="8s", step="hold")
    assert status == 200, held
    fleet.edges[1].signal(signal.SIGSTOP)
    try:
        status, problem = fleet.site.migrate("acme", step="commit", token=held["token"])
        assert status == 409 and "edge-2" in problem["detail"], problem
    finally:
        fleet.edges[1].signal(signal.SIGCONT)
    assert fleet.site.pool_of("acme") == "old"
    for gate in [fleet.center, *fleet.edges]:
        assert gate.get("/", "acme.localhost").body == b"old"


def test_an_edge_does_not_move_tenants(fleet):
    site = Site.__new__(Site)
    site.gate = fleet.edges[0]
    status, problem = site.migrate("acme", to="pool:new")
    assert status == 409 and "ask the node that publishes" in problem["detail"]


def test_a_hold_is_taken_back_when_redis_answers_again(fleet):
    status, held = fleet.site.migrate("acme", to="pool:new", hold="60s", step="hold")
    assert status == 200, held
    fleet.redis.freeze()
    try:
        time.sleep(1.2)    # by then the connection is given up, and nothing is asked
        assert fleet.site.migrate("acme", step="abort", token=held["token"])[1]["step"] == "taken-back"
    finally:
        fleet.redis.thaw()
    until(lambda: fleet.redis.ask("HLEN", "gatehouse:holds") == 0, 10)
    for edge in fleet.edges:
        with edge.client(timeout=10) as client:
            assert client.get("/", "acme.localhost").body == b"old"
    until(lambda: is_current(fleet.center), 20, 0.1)


def test_edges_let_go_though_redis_was_away_at_the_cut(fleet):
    status, held = fleet.site.migrate("acme", to="pool:new", hold="20s", step="hold")
    assert status == 200, held
    answers = []
    commit = threading.Thread(target=lambda: answers.append(fleet.site.migrate("acme", step="commit", token=held["token"])))
    words = lambda: fleet.redis.ask("HVALS", f"gatehouse:hold:{held['token']}")
    # The cut waits for the database meanwhile, so that it comes when Redis is away.
    with contextlib.closing(sqlite3.connect(fleet.center.folder / "state/central.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        commit.start()
        until(lambda: words() == ["kept", "kept"], 5, 0.01)
        time.sleep(0.2)
        fleet.redis.freeze()
    try:
        until(lambda: fleet.site.pool_of("acme") == "new", 5, 0.01)
        time.sleep(1.2)    # what it was asked it does not do any more
    finally:
        fleet.redis.thaw()
    commit.join()
    (status, moved), = answers
    assert status == 200 and moved["notes"] == [], moved
    for edge in fleet.edges:
        with edge.client(timeout=5) as client:
            assert client.get("/", "acme.localhost").body == b"new"
    until(lambda: fleet.redis.ask("HLEN", "gatehouse:holds") == 0, 5)
    until(lambda: is_current(fleet.center), 20, 0.1)
    assert fleet.site.migrate("acme", rollback=True)[0] == 200


def test_without_redis_nothing_is_moved(fleet):
    status, held = fleet.site.migrate("acme", to="pool:new", hold="6s", step="hold")
    assert status == 200, held
    fleet.redis.freeze()
    try:
        status, problem = fleet.site.migrate("acme", step="commit", token=held["token"])
        assert status == 409 and ("Redis" in problem["detail"] or "edge" in problem["detail"]), problem
        until(lambda: fleet.center.get("/", "acme.localhost").body == b"old", 10)
        # The edges hold until the time they were given is over, then go on as before.
        for edge in fleet.edges:
            with edge.client(timeout=15) as client:
                assert client.get("/", "acme.localhost").body == b"old"
        until(lambda: not is_current(fleet.center), 20, 0.1)
        status, problem = fleet.site.migrate("acme", to="pool:new")
        assert status == 409 and "Redis does not answer" in problem["detail"]
    finally:
        fleet.redis.thaw()
    until(lambda: is_current(fleet.center), 20, 0.1)
    until(lambda: fleet.site.migrate("acme", to="pool:new")[0] == 200, 20, 0.2)
    assert fleet.site.migrate("acme", rollback=True)[0] == 200
