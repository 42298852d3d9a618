"""Start, reload, drain, kill; the admin listener; the access log; explain's and metrics' surface."""
import os
import signal
import stat
import threading
import time

import pytest

from kit.client import Client, request
from kit.gate import refused_to_connect, until
from kit.upstream import ok


patient = {"timeouts": {"upstream_head": "20s", "drain": "20s"}}


def held_until(release):
    return lambda conn, r: (conn.read_body(r), release.wait(15), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"))


# --- drain ---

def test_sigterm_finishes_what_is_in_flight(build):
    world = build(settings=patient)
    release = threading.Event()
    world.upstream.on("/slow", held_until(release))
    with world.client() as client, world.client() as idle:
        assert idle.get("/").status == 200
        client.send(request("/slow"))
        until(lambda: world.upstream.count("/slow") == 1)
        world.gate.signal(signal.SIGTERM)
        time.sleep(0.3)
        release.set()
        answer = client.response()
        assert answer.body == b"slow" and answer.fields.get("connection") == "close"
        assert idle.closed(), "an idle connection was kept"
    world.gate.stop(sig=None)


def test_sigterm_stops_accepting(build):
    world = build(settings=patient)
    release = threading.Event()
    world.upstream.on("/slow", held_until(release))
    with world.client() as client:
        client.send(request("/slow"))
        until(lambda: world.upstream.count("/slow") == 1)
        world.gate.signal(signal.SIGTERM)
        until(lambda: refused_to_connect(world.gate.port), 10)
        release.set()
        assert client.response().status == 200
    world.gate.stop(sig=None)


def test_drain_has_an_end(build):
    world = build(settings={"timeouts": {"drain": "500ms", "upstream_head": "30s"}})
    world.upstream.on("/hang", lambda conn, r: conn.wait_closed(10))
    with world.client() as client:
        client.send(request("/hang"))
        until(lambda: world.upstream.count("/hang") == 1)
        begun = time.monotonic()
        world.gate.stop(wait=6)
        assert time.monotonic() - begun < 4


def test_second_signal_ends_at_once(build):
    world = build(settings={"timeouts": {"drain": "30s", "upstream_head": "60s"}})
    world.upstream.on("/hang", lambda conn, r: conn.wait_closed(10))
    with world.client() as client:
        client.send(request("/hang"))
        until(lambda: world.upstream.count("/hang") == 1)
        world.gate.signal(signal.SIGTERM)
        time.sleep(0.4)
        assert world.gate.alive()
        begun = time.monotonic()
        process, world.gate.process = world.gate.process, None
        process.send_signal(signal.SIGTERM)
        process.wait(5)
        assert time.monotonic() - begun < 2
        world.gate.check_output()


def test_sigint_ends_too(build):
    world = build()
    assert world.get("/").status == 200
    world.gate.stop(sig=signal.SIGINT)


def test_drain_delay(build):
    """readyz says 503 first; requests are served until accepting stops."""
    world = build(settings={"timeouts": {"drain_delay": "4s"}})
    begun = time.monotonic()
    world.gate.signal(signal.SIGTERM)
    until(lambda: world.gate.admin("GET", "/readyz", token=None)[0] == 503, 3.5)
    assert world.get("/").status == 200
    assert world.gate.admin("GET", "/healthz", token=None)[0] == 200
    world.gate.stop(sig=None)
    assert time.monotonic() - begun > 3.5


def test_no_response_is_lost_while_stopping(build):
    """Requests under load either get their answer whole or a clean close."""
    world = build()
    torn, good, stop = [], [0], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                with world.client(timeout=3) as client:
                    while not stop.is_set():
                        client.send(request("/load"))
                        got = client.reader.response()
                        if got is None:
                            break
                        good[0] += 1
            except ConnectionError:
                return
            except OSError as error:
                torn.append(error)
                return
            except Exception as error:
                torn.append(error)
                return
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    world.gate.stop()
    stop.set()
    for t in threads:
        t.join()
    assert not torn and good[0] > 50


# --- reload ---

def test_sighup_reads_all_again(build):
    world = build()
    gate = world.gate
    gate.settings["plans"]["tiny"] = {"rate": "1/m", "burst": 1}
    gate.write_settings()
    gate.signal(signal.SIGHUP)
    time.sleep(0.5)
    gate.write_tenant("acme", {"name": "Acme", "pool": "main", "plan": "tiny"})
    until(lambda: 429 in [world.get("/").status for _ in range(3)], 4)
    assert world.get("/", host="globex.localhost").status == 200
    gate.stop()


def test_sighup_changes_a_pool(build):
    from kit.upstream import ScriptedUpstream
    other = ScriptedUpstream("other")
    world = build()
    with world.client() as client:
        assert client.get("/").json()["upstream"] == "upstream"
        world.gate.settings["pools"]["main"] = {"endpoints": [{"address": other.address}]}
        world.gate.write_settings()
        world.gate.signal(signal.SIGHUP)
        until(lambda: client.get("/").json()["upstream"] == "other", 4)
    world.gate.stop()
    other.stop()


def test_sighup_with_a_broken_file_changes_nothing(build):
    world = build()
    world.gate.config.write_text("[node\nbroken")
    world.gate.signal(signal.SIGHUP)
    time.sleep(0.5)
    assert world.gate.alive() and world.get("/").status == 200
    until(lambda: "gatehouse.toml" in world.gate.stderr())
    world.gate.stop()


def test_kill_and_restart(build):
    """SIGKILL at any moment: the state on disk is whole, and everything is back."""
    world = build()
    for turn in range(5):
        for i in range(10):
            world.gate.write_tenant(f"k{i}", {"name": f"K{i}", "pool": "main", "context": {"turn": str(turn)}})
        time.sleep(0.05 * turn)
        world.gate.kill()
        world.gate.start()
        assert world.get("/").status == 200
        until(lambda: world.get("/", host="k9.localhost").status == 200, 3)
    world.gate.stop()


def test_unused_ports_after_stop(build):
    world = build()
    port = world.gate.port
    world.gate.stop()
    assert refused_to_connect(port)
    world.gate.start()
    assert world.get("/").status == 200
    world.gate.stop()


def test_port_in_use_is_said_plainly(build):
    world = build()
    second = build(start=False)
    second.gate.settings["admin"]["address"] = f"127.0.0.1:{world.gate.admin_port}"
    second.gate.write_settings()
    result = second.gate.run("serve", "--config", str(second.gate.config), timeout=10)
    assert result.returncode != 0
    assert str(world.gate.admin_port) in result.stderr
    world.gate.stop()


# --- admin ---

@pytest.fixture(scope="module")
def world(build):
    return build()


def test_token_file(world):
    file = world.gate.folder / "admin.token"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert len(world.gate.token()) >= 20


@pytest.mark.parametrize("path", ["/v1/node", "/v1/tenants", "/v1/tenants/acme", "/v1/explain?url=http://acme.localhost/"])
@pytest.mark.parametrize("token", [None, "", "wrong", "own-cut", "own-long"])
def test_without_the_token(world, path, token):
    if token and token.startswith("own"):
        token = world.gate.token()[:-1] if token == "own-cut" else world.gate.token() + "x"
    code, text, _ = world.gate.admin("GET", path, token=token)
    assert code in (401, 403), text
    assert "acme_prod" not in text and "127.0.0.1" not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(world, path):
    assert world.gate.admin("GET", path, token=None)[0] == 200


def test_node(world):
    node = world.gate.admin_json("/v1/node")
    assert node["id"] == "edge-test" and node["region"] == "eu-west"
    assert "version" in node


def test_tenants_list(world):
    text = world.gate.admin("GET", "/v1/tenants")[1]
    assert "acme" in text and "globex" in text


def test_tenant_one(world):
    one = world.gate.admin_json("/v1/tenants/acme")
    assert one["id"] == "acme"


@pytest.mark.parametrize("path", ["/v1/tenants/nobody", "/v1/nothing", "/", "/v1/tenants/../node/x"])
def test_admin_not_found(world, path):
    assert world.gate.admin("GET", path)[0] in (400, 404)


@pytest.mark.parametrize("method,path", [("DELETE", "/v1/node"), ("PUT", "/v1/explain?url=x"), ("POST", "/healthz")])
def test_admin_method(world, method, path):
    assert world.gate.admin(method, path)[0] in (404, 405, 501)


def test_admin_is_not_on_the_tenants_port(world):
    for path in ("/v1/node", "/metrics", "/healthz"):
        assert world.get(path).json()["target"] == path
        assert world.get(path, host=f"127.0.0.1:{world.gate.port}").status == 404


def test_metrics_count(world):
    def value():
        text = world.gate.admin("GET", "/metrics")[1]
        total = 0
        for line in text.splitlines():
            if line.startswith("gatehouse_") and "requests_total" in line and 'tenant="acme"' in line:
                total += float(line.split()[-1])
        return total
    before = value()
    for _ in range(10):
        world.get("/")
    until(lambda: value() >= before + 10, 3)
    text = world.gate.admin("GET", "/metrics")[1]
    assert "# TYPE" in text and "# HELP" in text


def test_explain_over_the_api(world):
    text = world.gate.admin("GET", "/v1/explain?url=http%3A%2F%2Facme.localhost%2Fx")[1]
    assert "acme" in text and "resolve" in text and "route" in text


# --- access log ---

def test_access_log_line(world):
    answer = world.get("/logged?q=1", fields=[("Authorization", "Bearer very-secret"), ("Cookie", "sid=very-secret")])
    rows = world.gate.access_lines("/logged")
    if not rows:
        rows = world.gate.access_lines("/logged?q=1")
    assert len(rows) == 1, "one line an exchange"
    row = rows[0]
    assert row["tenant"] == "acme" and row["status"] == 200 and row["method"] == "GET"
    assert row["request_id"] and row["host"].startswith("acme.localhost")
    assert row["request_id"] == world.upstream.last("/logged").fields.get("x-request-id")
    assert "very-secret" not in (world.gate.folder / "access.log").read_text()
    assert answer.status == 200


def test_access_log_of_a_refusal(world):
    answer = world.get("/refused-logged", host="nobody.localhost")
    rows = world.gate.access_lines("/refused-logged")
    assert rows and rows[0]["status"] == 404
    assert "unknown-host" in str(rows[0]) and "resolve" in str(rows[0])
    assert rows[0]["request_id"] == answer.json()["request_id"]


def test_access_log_escapes(world):
    world.get("/esc%22%0a", fields=[("User-Agent", "a\"b\\c\xe4")])
    assert world.gate.access_lines()


def test_access_log_is_reopened(build):
    world = build()
    world.get("/one")
    assert world.gate.access_lines("/one")
    log = world.gate.folder / "access.log"
    log.rename(world.gate.folder / "access.log.1")
    world.gate.signal(signal.SIGUSR1)
    until(log.exists, 3)
    world.get("/two")
    assert world.gate.access_lines("/two")
    world.gate.stop()


def test_access_log_to_stdout(build):
    world = build(settings={"log": {"access": "stdout"}})
    world.get("/to-stdout")
    until(lambda: any("/to-stdout" in line for line in world.gate.stdout_lines), 3)
    world.gate.stop()


def test_access_log_off(build):
    world = build(settings={"log": {"access": "off"}})
    world.get("/unlogged")
    time.sleep(0.3)
    assert not (world.gate.folder / "access.log").exists()
    assert not [line for line in world.gate.stdout_lines if "/unlogged" in line]
    world.gate.stop()


def test_request_ids_are_one_each(world):
    ids = set()
    with world.client() as client:
        for _ in range(50):
            client.get("/ids")
            ids.add(world.upstream.last("/ids").fields.get("x-request-id"))
    assert len(ids) == 50


# --- limits of the process ---

def test_survives_running_out_of_files(build):
    """EMFILE: the accept loop goes on once files are free again."""
    import resource
    world = build(start=False, settings={"limits": {"connections": 2000}})
    world.upstream.on("/x", ok())
    world.gate.start()
    resource.prlimit(world.gate.process.pid, resource.RLIMIT_NOFILE, (world.gate.open_files() + 20, 4096))
    clients = []
    for _ in range(60):
        try:
            clients.append(Client(world.gate.port, timeout=1))
        except OSError:
            break
    time.sleep(0.5)
    assert world.gate.alive()
    for c in clients:
        c.close()
    until(lambda: world.get("/x").status == 200, 5)
    world.gate.stop()


def test_idle_gate_uses_no_time(world):
    """No busy loop: a second of idleness costs next to nothing."""
    def ticks():
        with open(f"/proc/{world.gate.process.pid}/stat") as f:
            parts = f.read().rsplit(")", 1)[1].split()
        return int(parts[11]) + int(parts[12])
    time.sleep(0.3)
    before = ticks()
    time.sleep(1.5)
    assert ticks() - before <= 15
