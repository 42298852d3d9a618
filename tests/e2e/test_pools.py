"""Losing an endpoint without a client noticing: health checks, ejection, slow start, drain, and what shows them."""
import json
import os
import resource
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

from kit.client import Client, request
from kit.gate import until
from kit.ports import free_port
from kit.upstream import ScriptedUpstream, ok, raw

quick = {"path": "/healthz", "interval": "100ms", "timeout": "5s"}
slow_factor = 6 if os.environ.get("GATEHOUSE_SLOW") else 1


def pool_of(upstreams, **keys):
    return {"main": {"endpoints": [u if isinstance(u, dict) else {"address": u.address} for u in upstreams], **keys}}


def endpoint(world, upstream, pool="main"):
    address = upstream if isinstance(upstream, str) else upstream.address
    for e in world.gate.admin_json(f"/v1/pools/{pool}")["endpoints"]:
        if e["address"] == address:
            return e
    raise AssertionError(f"{address} is not in pool {pool}")


def state(world, upstream):
    return endpoint(world, upstream)["state"]


def becomes(world, upstream, wanted, seconds=5.0):
    until(lambda: state(world, upstream) == wanted, seconds * slow_factor, 0.02)


def change(world, upstream, verb, pool="main"):
    address = upstream if isinstance(upstream, str) else upstream.address
    status, text, _ = world.gate.admin("POST", f"/v1/pools/{pool}/endpoints/{urllib.parse.quote(address, safe='')}/{verb}")
    return status, json.loads(text)


def asked(upstream):
    """Requests of clients: without the checks."""
    return sum(1 for r in list(upstream.requests) if r.path() != "/healthz")


def names(world, count, path="/", **options):
    """Which upstreams answer so many requests, one after another on a connection."""
    with world.client() as client:
        return [json.loads(client.get(path, **options).body)["upstream"] for _ in range(count)]


@pytest.fixture
def two():
    made = [ScriptedUpstream("a"), ScriptedUpstream("b")]
    yield made
    for u in made:
        u.stop()


# --- health checks ---

def test_a_sick_endpoint_goes_and_comes_back(build, two):
    a, b = two
    world = build(upstream=a, pools=pool_of(two, health=quick, slow_start="0s"))
    until(lambda: a.count("/healthz") > 0 and b.count("/healthz") > 0, 3 * slow_factor)
    check = b.last("/healthz")
    assert check.method == "GET" and check.fields.get("host") == b.address
    assert check.fields.get("user-agent").startswith("gatehouse-health/")
    assert check.fields.get("connection") == "close"
    b.on("/healthz", ok(b"busy", status=b"503 Busy"))
    becomes(world, b, "down")
    e = endpoint(world, b)
    assert e["reason"] == "status 503" and e["checks_failed"] >= 3, e
    before = asked(b)
    assert set(names(world, 30)) == {"a"}
    assert asked(b) == before
    b.handlers.clear()
    becomes(world, b, "up")
    assert set(names(world, 30)) == {"a", "b"}
    until(lambda: "is up again after " in world.gate.stderr())
    log = world.gate.stderr()
    assert log.count(f"endpoint {b.address} is down: status 503 (3 checks in a row)") == 1, log
    assert log.count(f"pool main: endpoint {b.address} is up again after ") == 1, log


def test_a_broken_endpoint_is_out_after_its_first_check(build, two):
    """fall counts from the second check on."""
    a, b = two
    b.on("/healthz", raw(b"not http\r\n\r\n", end="close"))
    world = build(upstream=a, pools=pool_of(two, health={**quick, "fall": 100}))
    becomes(world, b, "down")
    assert endpoint(world, b)["reason"] == "bad answer"
    b.stop()


def test_all_down_is_503(build):
    up = ScriptedUpstream()
    up.on("/healthz", ok(b"", status=b"500 No"))
    world = build(upstream=up, pools=pool_of([up], health=quick))
    becomes(world, up, "down")
    before = asked(up)
    answer = world.get("/")
    assert answer.status == 503 and json.loads(answer.body)["type"] == "urn:gatehouse:no-endpoint"
    assert int(answer.fields.get("retry-after")) > 0
    assert asked(up) == before
    up.handlers.clear()
    until(lambda: world.get("/").status == 200, 5 * slow_factor)


def test_tls_and_unix_endpoints_are_checked(build, authority, tmp_path):
    secure = ScriptedUpstream("secure", tls=str(authority.leaf(["app.internal"])))
    wrong = ScriptedUpstream("wrong", tls=str(authority.leaf(["other.internal"])))
    unix = ScriptedUpstream("unix", unix=str(tmp_path / "app.sock"))
    tls = {"ca_file": str(authority.cert), "server_name": "app.internal"}
    world = build(upstream=secure, pools={
        "main": {"endpoints": [{"address": secure.address}, {"address": wrong.address}], "tls": tls, "health": quick,
                 "host": "shop.internal"},
        "socket": {"endpoints": [{"address": unix.address}], "health": quick}})
    becomes(world, wrong, "down")
    assert endpoint(world, wrong)["reason"] == "tls"
    until(lambda: endpoint(world, secure)["checks"] >= 2, 3 * slow_factor)
    assert state(world, secure) == "up"
    assert secure.last("/healthz").fields.get("host") == "shop.internal" and "app.internal" in secure.sni_seen
    until(lambda: endpoint(world, unix, "socket")["checks"] >= 2, 3 * slow_factor)
    assert unix.last("/healthz").fields.get("host") == "localhost"
    until(lambda: f"{wrong.address} is down: tls: hostname mismatch" in world.gate.stderr())
    wrong.errors.clear()
    world.gate.stop()
    for u in (wrong, unix):
        u.stop()


def test_a_reload_keeps_what_is_known(build, two):
    a, b = two
    b.on("/healthz", ok(b"", status=b"503 Busy"))
    world = build(upstream=a, pools=pool_of(two, health=quick))
    becomes(world, b, "down")
    world.gate.settings["pools"]["main"]["health"] = {**quick, "fall": 5}
    world.gate.write_settings()
    assert world.gate.admin("POST", "/v1/reload")[0] == 200
    until(lambda: world.gate.admin_json("/v1/pools/main").get("health", {}).get("fall") == 5)
    assert state(world, b) == "down"
    del world.gate.settings["pools"]["main"]["health"]
    world.gate.write_settings()
    assert world.gate.admin("POST", "/v1/reload")[0] == 200
    becomes(world, b, "up")
    time.sleep(0.5)   # one that was under way
    checks = b.count("/healthz")
    time.sleep(0.5)
    assert b.count("/healthz") == checks


# --- an endpoint that is killed ---

application = """
import socketserver, http.server, sys
class App(http.server.BaseHTTPRequestHandler):
    wbufsize = -1   # one write a response: half of one could not be hidden
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
    def handle(self):
        try: super().handle()
        except OSError: pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512
Server(("127.0.0.1", int(sys.argv[1])), App).serve_forever()
"""


class Application:
    """A process that can be killed, unlike the kit's threads."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen([sys.executable, "-c", application, str(self.port)])
        until(lambda: Client(self.port).close() is None, 5 * slow_factor)

    def kill(self):
        self.process.kill()
        self.process.wait()


def test_a_killed_endpoint_is_not_noticed(build):
    """Steady GETs over many connections while one of three applications is killed, then started again."""
    apps = [Application() for _ in range(3)]
    world = build(upstream=ScriptedUpstream(), pools=pool_of(apps, health=quick, slow_start="500ms"))
    ending = threading.Event()
    outcomes = [[] for _ in range(24)]

    def ask(mine):
        with world.client(timeout=10) as client:
            while not ending.is_set():
                try:
                    mine.append(client.get("/").status)
                except Exception as error:  # noqa: BLE001: whatever it is, a client noticed
                    mine.append(repr(error))
                    ending.set()
                time.sleep(0.005)

    def go_on():
        done = [len(o) for o in outcomes]
        until(lambda: ending.is_set() or all(len(o) >= n + 20 for o, n in zip(outcomes, done)), 20 * slow_factor)

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in outcomes]
    try:
        for t in threads:
            t.start()
        go_on()
        apps[1].kill()
        becomes(world, apps[1].address, "down")
        go_on()
        apps[1] = Application(apps[1].port)
        becomes(world, apps[1].address, "up")
        go_on()
    finally:
        ending.set()
        for t in threads:
            t.join()
        for app in apps:
            app.kill()
    failed = [s for o in outcomes for s in o if s != 200]
    assert not failed, f"{len(failed)} of {sum(map(len, outcomes))}: {failed[:5]}"
    assert sum(map(len, outcomes)) > 1000


def test_an_ejection_is_told(build, two):
    a, b = two
    b.default = raw(b"nonsense\r\n\r\n", end="close")
    world = build(upstream=a, pools=pool_of(two, balance="round_robin"))
    with world.client() as client:
        def ejected():
            client.get("/")
            return state(world, b) == "ejected"
        until(ejected, 5 * slow_factor)
    e = endpoint(world, b)
    assert e["ejections"] >= 1 and e["failures"] >= 3 and e["reason"].endswith("failures in a row"), e
    until(lambda: f"pool main: endpoint {b.address} is left out" in world.gate.stderr(), 3 * slow_factor)
    _, metrics, _ = world.gate.admin("GET", "/metrics")
    label = f'{{pool="main",endpoint="{b.address}"}}'
    assert f"gatehouse_endpoint_up{label} 0" in metrics or state(world, b) != "ejected"
    assert f"gatehouse_endpoint_ejections_total{label} " in metrics


# --- slow start ---

@pytest.mark.parametrize("balance", ["least_requests", "round_robin", "random2", "hash"])
def test_slow_start_shows(build, two, balance):
    a, b = two
    keys = {"hash_on": "path"} if balance == "hash" else {}
    world = build(upstream=a, pools=pool_of(two, balance=balance, slow_start="1m", **keys))
    assert endpoint(world, b)["share_percent"] == 100, "a fresh endpoint is not slow-started"
    assert change(world, b, "drain")[0] == 200
    status, e = change(world, b, "enable")
    assert status == 200 and e["state"] == "up" and 10 <= e["share_percent"] <= 15, e
    with world.client() as client:
        got = [json.loads(client.get(f"/{i}").body)["upstream"] for i in range(400)]
    # 10 to 20 % of its weight against a whole one: 9 to 17 %.
    assert 10 <= got.count("b") <= 110, got.count("b")
    first = endpoint(world, b)["share_percent"]
    until(lambda: endpoint(world, b)["share_percent"] > first, 5)
    world.gate.stop()


# --- drain ---

def test_a_drain_leaves_what_is_in_flight_and_survives_kill_9(build, two):
    a, b = two
    release = threading.Event()

    def slow(conn, r):
        conn.read_body(r)
        release.wait(10)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
    b.on("/slow", slow)
    world = build(upstream=a, pools=pool_of(two, slow_start="0s", balance="round_robin"), settings={"timeouts": {"upstream_head": "20s"}})
    with world.client() as client:
        while b.count("/slow") == 0:
            client.close()
            client = world.client()  # noqa: PLW2901
            client.send(request("/slow"))
            time.sleep(0.1)
        status, e = change(world, b, "drain")
        assert status == 200, e
        assert e["pool"] == "main" and e["address"] == b.address and e["state"] == "draining" and e["in_flight"] == 1, e
        before = asked(b)
        assert set(names(world, 30)) == {"a"}
        late = world.gate.run("pool", "drain", "main", b.address, "--wait", "300ms")
        assert late.returncode == 1 and "1 still in flight" in late.stderr, late
        release.set()
        assert client.response().body == b"slow"
        assert world.gate.run("pool", "drain", "main", b.address, "--wait", "5s").returncode == 0
        until(lambda: endpoint(world, b)["connections"] == 0, 3 * slow_factor)
        client.close()
    world.gate.kill()
    world.gate.start()
    assert state(world, b) == "draining"
    assert set(names(world, 30)) == {"a"}
    assert asked(b) == before
    assert change(world, b, "enable")[1]["state"] == "up"
    assert set(names(world, 30)) == {"a", "b"}
    world.gate.kill()
    world.gate.start()
    assert state(world, b) == "up"


def test_a_reload_keeps_the_drain(build, two):
    a, b = two
    world = build(upstream=a, pools=pool_of(two))
    assert change(world, b, "drain")[0] == 200

    def take(endpoints):
        world.gate.settings["pools"]["main"]["endpoints"] = endpoints
        world.gate.write_settings()
        assert world.gate.admin("POST", "/v1/reload")[0] == 200
    take([{"address": a.address}])
    until(lambda: "the pool has this address no longer" in endpoint(world, b)["reason"])
    assert state(world, b) == "draining"
    late = world.gate.run("pool", "drain", "main", b.address, "--wait", "5s")
    assert late.returncode == 1 and "cannot be seen; it stays drained" in late.stderr, late
    take([{"address": a.address}, {"address": b.address, "weight": 3}])
    until(lambda: endpoint(world, b)["weight"] == 3)
    assert state(world, b) == "draining"
    assert set(names(world, 20)) == {"a"}


def test_a_name_is_drained_with_all_it_has(build):
    up = ScriptedUpstream()
    name = f"localhost:{up.port}"
    world = build(upstream=up, pools={"main": [name]})
    assert world.get("/").status == 200
    status, e = change(world, name, "drain")
    assert status == 200 and e["address"] == name and up.address in e["resolved"], e
    assert world.get("/").status == 503
    status, problem = change(world, up.address, "enable")
    assert status == 409 and f"enable {name}" in problem["detail"], problem
    assert change(world, name, "enable")[0] == 200
    assert world.get("/").status == 200
    assert change(world, up.address, "drain")[0] == 200
    drained = [e for e in world.gate.admin_json("/v1/pools/main")["endpoints"] if e["state"] == "draining"]
    assert [e["resolved"] for e in drained] == [up.address]
    assert change(world, name, "enable")[0] == 200


def test_an_address_that_its_name_has_no_longer_is_shown_and_enabled(build, two):
    """Two names: what one of them had can be seen and enabled, by its address or by the name that is left."""
    a, b = two
    world = build(upstream=a, pools={"main": [f"localhost:{a.port}", f"localhost:{b.port}"]})
    for verb_at in (b.address, f"localhost:{a.port}"):
        assert change(world, b.address, "drain")[1]["state"] == "draining"
        world.gate.settings["pools"]["main"]["endpoints"] = [{"address": f"localhost:{a.port}"}]
        world.gate.write_settings()
        assert world.gate.admin("POST", "/v1/reload")[0] == 200
        until(lambda: "no longer" in endpoint(world, b)["reason"])
        world.gate.kill()
        world.gate.start()
        assert state(world, b) == "draining"
        rows = world.gate.run("pool", "list", "main").stdout.splitlines()
        assert any(b.address in row and "the pool has this address no longer" in row for row in rows), rows
        status, e = change(world, verb_at, "enable")
        assert status == 200 and e["state"] != "draining", e
        assert [e["address"] for e in world.gate.admin_json("/v1/pools/main")["endpoints"]
                if e["address"] != f"localhost:{a.port}"] == []
        world.gate.settings["pools"]["main"]["endpoints"].append({"address": f"localhost:{b.port}"})
        world.gate.write_settings()
        assert world.gate.admin("POST", "/v1/reload")[0] == 200
        until(lambda: state(world, f"localhost:{b.port}") == "up")


def test_sticky_clients_leave_a_drained_endpoint_alone(build, two):
    a, b = two
    world = build(upstream=a, pools=pool_of(two, balance="hash", hash_on="cookie:sid", slow_start="0s"))

    def where():
        with world.client() as client:
            return {i: json.loads(client.get("/", fields={"Cookie": f"sid={i}"}).body)["upstream"] for i in range(60)}
    before = where()
    assert set(before.values()) == {"a", "b"}
    assert where() == before
    change(world, b, "drain")
    assert set(where().values()) == {"a"}
    change(world, b, "enable")
    assert where() == before


@pytest.mark.parametrize("keys", [{}, {"balance": "hash", "hash_on": "path"}])
def test_weight_0_drains(build, two, keys):
    a, b = two
    world = build(upstream=a, pools={**pool_of([{"address": a.address}, {"address": b.address, "weight": 0}], **keys),
                                     "alone": {"endpoints": [{"address": b.address, "weight": 0}]}},
                  tenants={"acme": {"pool": "main"}, "globex": {"pool": "alone"}})
    with world.client() as client, b.silent():
        assert all(client.get(f"/{i}").status == 200 for i in range(50))
        assert client.get("/", host="globex.localhost").status == 503
    e = endpoint(world, b)
    assert e["state"] == "draining" and e["reason"] == "weight = 0", e


def test_a_tunnel_outlives_the_drain_of_its_endpoint(build, two):
    a, _ = two

    def tunnel(conn, r):
        conn.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Accept: x\r\n\r\n")
        while data := conn._receive(1000):
            conn.send(data)
    a.on("/ws", tunnel)
    world = build(upstream=a, pools=pool_of([a]))
    with world.client() as client:
        client.send(request("/ws", fields={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                                           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}))
        assert client.response().status == 101
        assert change(world, a, "drain")[1]["in_flight"] == 1
        assert world.get("/").status == 503
        client.send(b"ping")
        assert client.socket.recv(10) == b"ping"


# --- refusals and what people see ---

def test_a_drain_that_cannot_be_stored_changes_nothing(build, two):
    a, b = two
    world = build(upstream=a, pools=pool_of(two))
    pid = world.gate.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    try:
        status, problem = change(world, b, "drain")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    assert status == 503 and "cannot be stored" in problem["detail"], problem
    assert state(world, b) == "up"
    assert change(world, b, "drain")[0] == 200


def test_unknown_names(build, two):
    a, b = two
    world = build(upstream=a, pools={**pool_of(two), "other": [a.address]})
    status, problem = change(world, a, "drain", pool="mian")
    assert status == 404 and "main, other" in problem["detail"], problem
    assert change(world, "127.0.0.1:1", "drain")[0] == 404
    result = world.gate.run("pool", "drain", "mian", a.address)
    assert result.returncode == 1 and "main, other" in result.stderr, result
    result = world.gate.run("pool", "list", "mian")
    assert result.returncode == 1 and "main, other" in result.stderr, result
    result = world.gate.run("pool", "enable", "main", "127.0.0.1:1")
    assert result.returncode == 1 and "no such endpoint" in result.stderr, result


def test_the_command_line(build, two):
    a, b = two
    world = build(upstream=a, pools={**pool_of(two), "nowhere": {"endpoints": [{"address": "nobody.invalid:80"}]}})
    result = world.gate.run("pool", "drain", "main", b.address)
    assert result.returncode == 0, result
    assert result.stdout == f"pool main: {b.address} is draining (drained by the operator), 0 in flight\n"
    table = world.gate.run("pool", "list").stdout
    lines = {line.split()[1]: line for line in table.splitlines()}
    assert table.startswith("POOL ") and " up " in lines[a.address] and " draining " in lines[b.address], table
    assert " unresolved " in lines["nobody.invalid:80"] and "pool nowhere: nobody.invalid: " in table, table
    only = world.gate.run("pool", "list", "main", "--json")
    assert [p["name"] for p in json.loads(only.stdout)] == ["main"]
    enabled = world.gate.run("pool", "enable", "main", b.address, "--json")
    assert json.loads(enabled.stdout)["state"] == "up"


def test_a_stop_is_quick_while_checks_hang(build):
    silent = ScriptedUpstream()
    silent.on("/healthz", lambda conn, r: time.sleep(20))
    world = build(upstream=silent, pools=pool_of([silent], health={**quick, "timeout": "1h", "interval": "1h"}))
    world.gate.settings["pools"]["main"]["health"]["interval"] = "100ms"
    world.gate.write_settings()
    world.gate.admin("POST", "/v1/reload")
    until(lambda: silent.count("/healthz") > 0, 3 * slow_factor)
    begun = time.monotonic()
    world.gate.stop()
    assert time.monotonic() - begun < 3 * slow_factor
