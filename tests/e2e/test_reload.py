"""Reload: every key that can change while the node runs, refusals that change nothing, and a thousand
reloads under load without one failed request."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import threading
import time

import pytest

from kit import websocket
from kit.certs import file_name
from kit.client import Client, request
from kit.gate import refused_to_connect, until
from kit.ports import free_port
from kit.upstream import ScriptedUpstream

slow = bool(os.environ.get("GATEHOUSE_SLOW"))


def reload(gate):
    """The report of a reload of the settings as they are now; it must have been taken."""
    gate.write_settings()
    status, text, _ = gate.admin("POST", "/v1/reload", timeout=60)
    report = json.loads(text)
    assert status == 200 and not report.get("refused"), text
    return report


def refused(gate):
    gate.write_settings()
    status, text, _ = gate.admin("POST", "/v1/reload", timeout=60)
    report = json.loads(text)
    assert status == 409 and report["refused"], text
    return report["refused"] + " " + " ".join(
        f"{d['file']}: {d['key']}: {d['message']}; {d.get('advice', '')}" for d in report["diagnostics"])


@pytest.fixture
def own(build, dev_certs):
    own = build(certs=dev_certs)
    yield own
    assert own.gate.alive(), own.gate.stderr()
    own.gate.stop()


def extra_listener(gate, port, **more):
    gate.settings["listener"].append({"address": f"127.0.0.1:{port}", **more})


# --- the keys ---

def test_node_id_and_region(own):
    own.gate.settings["node"].update(id="edge-renamed", region="us-east")
    reload(own.gate)
    node = own.gate.admin_json("/v1/node")
    assert node["id"] == "edge-renamed" and node["region"] == "us-east"


def test_what_needs_a_restart_says_so(own):
    gate = own.gate
    (gate.folder / "other-state").mkdir()
    gate.settings["node"].update(workers=3, state_dir="other-state")
    gate.write_settings()
    said = gate.run("reload", "--config", str(gate.config))
    assert said.returncode == 0, said.stdout + said.stderr
    for key in ("node.workers", "node.state_dir"):
        assert re.search(rf"gatehouse\.toml: {key}: .*restart", said.stdout), said.stdout
        until(lambda: key in gate.stderr())
    assert not (gate.folder / "other-state" / "central.db").exists()
    assert own.get("/").status == 200


def test_a_reload_that_changes_nothing_warns_of_nothing(own):
    assert reload(own.gate)["diagnostics"] == []


def test_listeners_come_and_go(own):
    gate, port = own.gate, free_port()
    assert refused_to_connect(port)
    extra_listener(gate, port)
    reload(gate)
    with Client(port) as kept:
        assert kept.get("/").status == 200
        gate.settings["listener"].pop()
        reload(gate)
        until(lambda: refused_to_connect(port))
        assert kept.get("/").status == 200, "a connection of a listener that went was cut"


def test_a_listener_keeps_its_address_and_changes(own):
    gate = own.gate
    gate.settings["listener"][0]["redirect_to_https"] = 8443
    reload(gate)
    assert own.get("/x").status == 308
    del gate.settings["listener"][0]["redirect_to_https"]
    gate.settings["listener"][0]["tls"] = True
    reload(gate)
    with Client(gate.port, tls={"sni": "acme.localhost"}) as client:
        assert client.get("/").status == 200


def test_admin_address_moves_and_the_answer_still_comes(own):
    gate, old, new = own.gate, own.gate.admin_port, free_port()
    assert own.get("/").status == 200
    requests = re.compile(r'^gatehouse_tenant_requests_total\{tenant="acme"\} (\d+)$', re.MULTILINE)

    def counted():
        return int(requests.search(gate.admin("GET", "/metrics")[1])[1])
    until(lambda: counted() > 0)
    before = counted()
    gate.settings["admin"]["address"] = f"127.0.0.1:{new}"
    reload(gate)   # asked and answered at the old address
    until(lambda: refused_to_connect(old))
    gate.admin_port = new
    assert counted() >= before, "a counter fell"
    assert gate.admin("GET", "/readyz", token=None)[0] == 200
    assert gate.admin_json("/v1/node")["id"] == "edge-test"


def test_admin_at_a_unix_socket_and_nowhere(own):
    gate, old = own.gate, own.gate.admin_port
    gate.settings["admin"]["address"] = "unix:admin.sock"
    reload(gate)
    until(lambda: refused_to_connect(old))
    path = gate.folder / "admin.sock"
    with Client(str(path)) as client:
        assert client.get("/readyz").status == 200
    gate.settings["admin"]["address"] = ""
    gate.write_settings()
    gate.signal(signal.SIGHUP)
    until(lambda: not path.exists(), 10)
    gate.settings["admin"]["address"] = f"127.0.0.1:{old}"
    gate.write_settings()
    gate.signal(signal.SIGHUP)
    until(lambda: gate.admin("GET", "/readyz", token=None)[0] == 200, 10)


def test_admin_token_changes_at_the_same_address(own):
    gate, old = own.gate, own.gate.token()
    (gate.folder / "other.token").write_text("a token of at least sixteen characters\n")
    (gate.folder / "other.token").chmod(0o600)
    gate.settings["admin"]["token_file"] = "other.token"
    reload(gate)
    assert gate.admin("GET", "/v1/node", token=old)[0] == 401
    assert gate.admin("GET", "/v1/node", token="a token of at least sixteen characters")[0] == 200
    (gate.folder / "other.token").write_text("the same file with other characters\n")
    gate.admin("POST", "/v1/reload", token="a token of at least sixteen characters", timeout=60)
    assert gate.admin("GET", "/v1/node", token="the same file with other characters")[0] == 200


def test_admin_token_file_that_is_gone(own):
    """What is in force stays in force, at the next address too; a file that nobody's token is in is not made."""
    gate, token = own.gate, own.gate.token()
    file = gate.folder / "admin.token"
    file.unlink()
    gate.config.write_text("[node\nbroken")
    assert gate.admin("POST", "/v1/reload", token=token, timeout=60)[0] == 409
    gate.settings["tls"]["certs_dir"], kept = "nowhere", gate.settings["tls"]["certs_dir"]
    gate.write_settings()
    assert gate.admin("POST", "/v1/reload", token=token, timeout=60)[0] == 409
    assert not file.exists()
    gate.settings["tls"]["certs_dir"] = kept
    gate.settings["admin"]["address"] = f"127.0.0.1:{free_port()}"
    gate.write_settings()
    status, text, _ = gate.admin("POST", "/v1/reload", token=token, timeout=60)
    assert status == 200 and "admin.token is gone; its token stays in force" in text, text
    gate.admin_port = int(gate.settings["admin"]["address"].rsplit(":", 1)[1])
    assert gate.admin("GET", "/v1/node", token=token)[0] == 200
    assert not file.exists()
    file.write_text("a token of at least sixteen characters\n")
    file.chmod(0o600)
    assert gate.admin("POST", "/v1/reload", token=token, timeout=60)[0] == 200
    assert gate.admin("GET", "/v1/node", token="a token of at least sixteen characters")[0] == 200


def test_platform(own):
    gate = own.gate
    gate.settings["platform"].update(domain="other.test", context_prefix="X-App-", via="elsewhere",
                                     shared_hosts=["api.other.test"], trusted_proxies=["127.0.0.1"])
    reload(gate)
    assert own.get("/", host="acme.localhost").status == 404
    assert own.get("/", host="acme.other.test", fields=[("X-Forwarded-For", "192.0.2.9")]).status == 200
    seen = own.upstream.last("/").fields
    assert seen.get("x-app-id") == "acme" and "x-tenant-id" not in seen.names()
    assert "elsewhere" in seen.get("via") and "192.0.2.9" in seen.get("x-forwarded-for")
    assert own.get("/t/acme/shared", host="api.other.test").status == 200


def test_tenants_dir_and_its_watch(own):
    gate = own.gate
    shutil.copytree(gate.tenants_dir, gate.folder / "others")
    gate.settings["registry"]["tenants_dir"] = "others"
    gate.tenants_dir = gate.folder / "others"
    gate.write_tenant("fresh", {"name": "Fresh", "pool": "main"})
    reload(gate)
    assert own.get("/", host="fresh.localhost").status == 200
    assert own.get("/", host="acme.localhost").status == 200
    gate.write_tenant("later", {"name": "Later", "pool": "main"})
    until(lambda: own.get("/", host="later.localhost").status == 200, 10)


def test_timeouts(own):
    gate = own.gate
    gate.settings["timeouts"].update(keep_alive="300ms", upstream_head="300ms")
    reload(gate)
    own.upstream.on("/never", lambda conn, r: conn.wait_closed(10))
    assert own.get("/never").status == 504
    gate.settings["timeouts"].update(upstream_head="10s")
    reload(gate)
    with own.client() as client:
        assert client.get("/").status == 200
        assert client.closed(5), "an idle connection outlived timeouts.keep_alive"


def test_limits(own):
    gate = own.gate
    limited = own.get("/")
    gate.settings["plans"]["free"] = {"rate": "1000/s"}
    reload(gate)
    assert "ratelimit" not in limited.fields.names() and "ratelimit" in own.get("/").fields.names()
    gate.settings["limits"].update(head_bytes="2KiB", head_fields=20, underscore_fields="reject", ratelimit_fields="off")
    reload(gate)
    assert "ratelimit" not in own.get("/").fields.names()
    assert own.get("/", fields=[("X-Long", "x" * 3000)]).status == 431
    assert own.get("/", fields=[(f"X-{i}", "x") for i in range(30)]).status == 431
    assert own.get("/", fields=[("X_Under", "x")]).status == 400
    gate.settings["limits"]["underscore_fields"] = "pass"
    reload(gate)
    assert own.get("/under", fields=[("X_Under", "x")]).status == 200
    assert "x_under" in own.upstream.last("/under").fields.names()


def test_limits_of_connections(own):
    gate = own.gate
    gate.settings["limits"]["connections"] = 1
    reload(gate)
    with own.client() as first:
        assert first.get("/").status == 200
        with own.client() as second:
            assert second.closed(3)
        gate.settings["limits"].update(connections=2000, connections_per_client=2)
        reload(gate)
        with own.client() as second:
            assert second.get("/").status == 200
            with own.client() as third:
                assert third.closed(3)
            assert first.get("/").status == 200


def test_plans_and_pools(own):
    gate, other = own.gate, ScriptedUpstream("other")
    gate.settings["plans"]["tiny"] = {"rate": "1/h", "burst": 1}
    gate.settings["pools"]["fresh"] = {"endpoints": [{"address": other.address}]}
    gate.write_tenant("acme", {"name": "Acme", "pool": "fresh", "plan": "tiny"})
    reload(gate)
    assert own.get("/").json()["upstream"] == "other"
    assert own.get("/").status == 429
    other.stop()


def test_log_level(own):
    gate = own.gate
    reload(gate)
    until(lambda: gate.stderr().count("reloaded:") == 1)
    gate.settings["log"]["level"] = "error"
    reload(gate)
    reload(gate)
    gate.settings["log"]["level"] = "info"
    reload(gate)
    until(lambda: gate.stderr().count("reloaded:") == 2)


def test_log_access_goes_elsewhere(own):
    gate = own.gate

    def paths(name):
        file = gate.folder / name
        return [json.loads(line)["path"] for line in file.read_text().splitlines()] if file.exists() else []
    assert own.get("/one").status == 200
    until(lambda: paths("access.log") == ["/one"])   # a line goes where the writer finds itself
    for name, access in (("two", "two.log"), ("three", "off"), ("four", "stdout"), ("five", "access.log")):
        gate.settings["log"]["access"] = access
        reload(gate)
        time.sleep(0.3)   # the writer has looked since
        assert own.get("/" + name).status == 200
        until(lambda: name == "three" or "/" + name in paths(access) + [json.loads(line)["path"] for line in gate.stdout_lines])
    until(lambda: "/five" in paths("access.log"))
    assert paths("access.log") == ["/one", "/five"]
    assert paths("two.log") == ["/two"]
    assert [json.loads(line)["path"] for line in gate.stdout_lines] == ["/four"]


def test_log_keeps_its_old_file_when_it_cannot_be_opened_again(own):
    gate = own.gate
    (gate.folder / "logs").mkdir()
    gate.settings["log"]["access"] = "logs/access.log"
    reload(gate)
    (gate.folder / "logs").rename(gate.folder / "moved")
    gate.signal(signal.SIGUSR1)
    until(lambda: "cannot be opened again" in gate.stderr())
    own.get("/still")
    until(lambda: "/still" in (gate.folder / "moved" / "access.log").read_text())
    (gate.folder / "moved").rename(gate.folder / "logs")
    gate.signal(signal.SIGUSR1)
    own.get("/again")
    until(lambda: "/again" in (gate.folder / "logs" / "access.log").read_text())


def tls_version(gate, sni="acme.localhost", **options):
    with Client(gate.tls_port, tls={"sni": sni, **options}) as client:
        assert client.get("/", host=sni or "acme.localhost").status == 200
        return client.socket.version()


def test_tls_min_version_and_default_tenant(own):
    gate, old = own.gate, {"maximum": ssl.TLSVersion.TLSv1_2}
    with Client(gate.tls_port, tls={"sni": "acme.localhost", **old}) as kept, \
            Client(gate.tls_port, tls={"sni": "acme.localhost"}) as modern:
        assert kept.get("/").status == 200 and modern.get("/").status == 200
        gate.settings["tls"]["min_version"] = "1.3"
        gate.write_tenant("globex", {"name": "Globex", "pool": "main", "hosts": ["globex.localhost"], "tls": {"min_version": "1.2"}})
        reload(gate)
        with pytest.raises(ssl.SSLError):
            tls_version(gate, **old)
        with pytest.raises(ssl.SSLError):
            tls_version(gate, "globex.localhost", **old)     # a tenant may ask for more than the node, not for less
        assert tls_version(gate, "globex.localhost") == "TLSv1.3"
        assert kept.get("/").status == 421, "a session below the floor went on"
        assert modern.get("/").status == 200, "a session that is good enough was cut"
    with pytest.raises(ssl.SSLError):
        tls_version(gate, sni=None)
    gate.settings["tls"].update(min_version="1.2", default_tenant="acme")
    reload(gate)
    assert tls_version(gate, **old) == "TLSv1.2"
    assert tls_version(gate, sni=None) == "TLSv1.3"


def leaf(client):
    return client.socket.getpeercert(binary_form=True)


def test_certs_dir_and_its_watch(own, authority):
    gate = own.gate

    def served():
        with Client(gate.tls_port, tls={"sni": "acme.localhost"}) as client:
            return leaf(client)
    other = gate.folder / "others"
    other.mkdir()
    authority.leaf("acme.localhost", out=other / file_name("acme.localhost"))
    before = served()
    with Client(gate.tls_port, tls={"sni": "acme.localhost"}) as kept:
        gate.settings["tls"].update(certs_dir="others", cache_certs=7)
        reload(gate)
        until(lambda: served() != before, 5)
        assert kept.get("/").status == 200 and leaf(kept) == before
    second = served()
    authority.leaf("acme.localhost", out=other / file_name("acme.localhost"))
    until(lambda: served() != second, 10)
    shutil.copy(gate.certs_dir / "globex.localhost.pem", gate.certs_dir / "acme.localhost.pem")
    with pytest.raises(ssl.SSLError):
        tls_version(gate, sni="globex.localhost")   # the new folder has none


# --- refusals ---

def break_listener(gate):
    taken = socket.create_server(("127.0.0.1", 0))   # without SO_REUSEPORT
    extra_listener(gate, taken.getsockname()[1])
    return taken, "listener", str(taken.getsockname()[1])


def break_admin(gate):
    taken = socket.create_server(("127.0.0.1", 0))
    gate.settings["admin"]["address"] = f"127.0.0.1:{taken.getsockname()[1]}"
    return taken, "admin.address", str(taken.getsockname()[1])


def break_log(gate):
    gate.settings["log"]["access"] = "nowhere/access.log"
    return None, "log.access", "nowhere"


def break_certs(gate):
    gate.settings["tls"]["certs_dir"] = "nowhere"
    return None, "tls.certs_dir", "nowhere"


def break_tenants(gate):
    gate.settings["registry"]["tenants_dir"] = "nowhere"
    return None, "registry.tenants_dir", "nowhere"


def break_token(gate):
    (gate.folder / "short.token").write_text("short\n")
    gate.settings["admin"]["token_file"] = "short.token"
    return None, "admin.token_file", "short.token"


def break_pool_files(gate):
    (gate.folder / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB")
    gate.settings["pools"]["safe"] = {"endpoints": [{"address": "127.0.0.1:9"}], "tls": {"ca_file": "half.pem"}}
    return None, "pools.safe.tls", "half.pem"


def break_value(gate):
    gate.settings["timeouts"]["connect"] = "soon"
    return None, "timeouts.connect", "soon"


def break_plan_in_use(gate):
    gate.settings["platform"]["default_plan"] = ""
    gate.settings["plans"] = {"other": {}}
    gate.write_tenant("globex", {"name": "Globex by plan", "pool": "main", "plan": "free"})
    until(lambda: "Globex by plan" in gate.admin("GET", "/v1/tenants/globex")[1])
    return None, "globex", "free"


@pytest.mark.parametrize("spoil", [break_listener, break_admin, break_log, break_certs, break_tenants, break_token,
                                   break_pool_files, break_value, break_plan_in_use])
def test_a_refused_reload_changes_nothing(own, spoil):
    """Good changes beside a bad one: none of them is in force, and nothing stays open."""
    gate, port = own.gate, free_port()
    assert own.get("/").status == 200
    before = gate.settings
    gate.settings = json.loads(json.dumps(before))
    held, key, shown = spoil(gate)
    extra_listener(gate, port)
    gate.settings["node"]["id"] = "renamed"
    gate.settings["limits"]["underscore_fields"] = "reject"
    gate.settings["pools"]["added"] = {"endpoints": [{"address": "127.0.0.1:9"}]}
    if spoil is not break_log:
        gate.settings["log"]["access"] = "other.log"
    if spoil is not break_admin:
        gate.settings["admin"]["address"] = f"127.0.0.1:{free_port()}"
    own.upstream.drop_connections()
    time.sleep(0.5)
    files = gate.open_files()
    for _ in range(3):
        said = refused(gate)
        assert key in said and shown in said, said
    until(lambda: "refused" in gate.stderr())
    assert gate.admin_json("/v1/node")["id"] == "edge-test"
    assert refused_to_connect(port)
    assert own.get("/kept", fields=[("X_Under", "x")]).status == 200
    assert gate.access_lines("/kept"), "the log moved"
    own.upstream.drop_connections()
    until(lambda: gate.open_files() <= files, 5)
    gate.settings = before
    if held:
        held.close()
    reload(gate)


@pytest.fixture
def safe(build, authority):
    """Its pool speaks TLS to an application that only the CA in ca.pem vouches for."""
    upstream = ScriptedUpstream("safe", tls=authority.leaf("IP:127.0.0.1"))
    world = build(pools={"main": {"endpoints": [{"address": upstream.address}], "tls": {"ca_file": "ca.pem"}}}, start=False)
    shutil.copy(authority.cert, world.gate.folder / "ca.pem")
    world.gate.start()
    world.safe = upstream
    yield world
    world.gate.stop()
    upstream.stop()


def connections_anew(world):
    world.safe.drop_connections()
    return world.get("/").status


def test_a_reload_with_half_a_file_of_a_pool_is_refused(safe, authority):
    gate, whole = safe.gate, authority.cert.read_text()
    assert connections_anew(safe) == 200
    (gate.folder / "ca.pem").write_text(whole[:100])
    for _ in range(2):
        said = refused(gate)
        assert "pools.main.tls" in said and "ca.pem" in said and "PEM" in said, said
        assert connections_anew(safe) == 200
    (gate.folder / "ca.pem").write_text(whole)
    reload(gate)
    assert connections_anew(safe) == 200


def test_a_refused_reload_reads_no_files_of_pools(safe, authority, tmp_path):
    gate = safe.gate
    shutil.copy(type(authority)(tmp_path, "other").cert, gate.folder / "ca.pem")   # good, and another's
    before = json.loads(json.dumps(gate.settings))
    break_plan_in_use(gate)
    gate.settings["pools"]["added"] = {"endpoints": [{"address": "127.0.0.1:9"}]}
    refused(gate)
    assert "added" not in gate.admin("GET", "/v1/pools")[1]
    assert connections_anew(safe) == 200
    time.sleep(0.5)
    assert connections_anew(safe) == 200, "the files were read, though nothing was to change"
    gate.settings = before
    reload(gate)
    until(lambda: connections_anew(safe) == 502)


def test_settings_are_in_force_though_tenants_cannot_be_stored(own):
    gate = own.gate
    shutil.copytree(gate.tenants_dir, gate.folder / "others")
    gate.settings["registry"]["tenants_dir"] = "others"   # the reload is the first to see what is in it
    gate.tenants_dir = gate.folder / "others"
    gate.write_tenant("late", {"name": "Late", "pool": "main"})
    gate.settings["node"]["id"] = "edge-renamed"
    before = resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    try:
        said = reload(gate)
        assert gate.admin_json("/v1/node")["id"] == "edge-renamed"
        (warning,) = [d for d in said["diagnostics"] if d["key"] == "node.state_dir"]
        assert "are in force" in warning["message"] and "wait" in warning["message"], said
        assert own.get("/", host="late.localhost").status == 404
    finally:
        resource.prlimit(gate.process.pid, resource.RLIMIT_FSIZE, before)
    until(lambda: own.get("/", host="late.localhost").status == 200, 15)


def test_a_reload_starts_no_thread(build):
    world = build(settings={"log": {"access": "off"}})
    threads = threads_of(world.gate)
    world.gate.settings["log"]["access"] = "access.log"
    reload(world.gate)
    assert threads_of(world.gate) == threads
    assert world.get("/logged").status == 200
    assert world.gate.access_lines("/logged")
    world.gate.stop()


def test_a_refused_reload_with_a_broken_file(own):
    gate = own.gate
    gate.config.write_text("[node\nbroken")
    status, text, _ = gate.admin("POST", "/v1/reload", timeout=60)
    assert status == 409 and "gatehouse.toml" in text
    assert own.get("/").status == 200
    said = gate.run("reload", "--config", str(gate.config), "--admin", f"127.0.0.1:{gate.admin_port}",
                    "--token-file", str(gate.folder / "admin.token"))
    assert said.returncode == 1 and "gatehouse.toml:1" in said.stdout + said.stderr
    reload(gate)


def test_reloads_at_once_share_their_report(own):
    gate = own.gate
    gate.settings["node"]["id"] = "many"
    gate.write_settings()
    statuses = []

    def ask():
        statuses.append(gate.admin("POST", "/v1/reload", timeout=60)[0])
    threads = [threading.Thread(target=ask) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert statuses == [200] * 20
    assert gate.admin_json("/v1/node")["id"] == "many"


# --- under load ---

class Load:
    """Clients that ask until they are told to stop; what goes wrong is kept."""

    def __init__(self, world, ca):
        self.world, self.ca = world, ca
        self.done = threading.Event()
        self.wrong = []
        self.counts = {}
        self.threads = []

    def run(self, name, task):
        def body():
            try:
                task(name)
            except Exception as error:   # noqa: BLE001: whatever it is, it is a failure
                self.wrong.append(f"{name}: {type(error).__name__} {error}")
        self.counts[name] = 0
        self.threads.append(threading.Thread(target=body))
        self.threads[-1].start()

    def open(self, tls):
        gate = self.world.gate
        return gate.tls_client("acme.localhost", self.ca) if tls else gate.client()

    def ask(self, name, tls):
        while not self.done.is_set():
            with self.open(tls) as client:
                for _ in range(25):
                    answer = client.get("/load")
                    assert answer.status == 200, answer
                    self.counts[name] += 1
                    if self.done.is_set():
                        return

    def echo(self, name):
        with self.open(True) as client:
            assert client.ask(websocket.upgrade_request()).status == 101
            while not self.done.is_set():
                text = f"message {self.counts[name]}".encode()
                client.send(websocket.frame(text))
                assert websocket.read_frame(client.reader) == (1, text)
                self.counts[name] += 1
                time.sleep(0.002)

    def download(self, name):
        with self.open(False) as client:
            client.send(request("/download"))
            assert client.reader.response_head().status == 200
            while True:
                piece = client.reader.next_chunk()
                if not piece:
                    break
                assert piece == b"%d\n" % self.counts[name], piece
                self.counts[name] += 1

    def upload(self, name):
        with self.open(True) as client:
            client.send(b"POST /upload HTTP/1.1\r\nHost: acme.localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.done.is_set():
                client.send(b"64\r\n" + 100 * b"x" + b"\r\n")
                self.counts[name] += 1
                time.sleep(0.02)
            client.send(b"0\r\n\r\n")
            answer = client.response()
            assert answer.status == 200 and int(answer.body) == 100 * self.counts[name], answer

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join()


def endless(load):
    def handler(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        number = 0
        while not load.done.is_set():
            piece = b"%d\n" % number
            if not conn.send(b"%x\r\n%s\r\n" % (len(piece), piece)):
                return
            number += 1
            time.sleep(0.01)
        conn.send(b"0\r\n\r\n")
    return handler


def count_upload(conn, r):
    body = b"%d" % len(conn.read_body(r))
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def threads_of(gate):
    return len(os.listdir(f"/proc/{gate.process.pid}/task"))


def variants(gate, first, second, port):
    """Settings that differ in all that a thousand reloads go through."""
    base = gate.settings
    out = []
    for number in range(6):
        s = json.loads(json.dumps(base))
        s["node"]["id"] = f"variant-{number}"
        s["plans"]["free"] = {"rate": f"{1_000_000 + number}/s", "burst": 1_000_000}
        s["pools"]["main"]["endpoints"] = [{"address": u.address} for u in ((first,), (second,), (first, second))[number % 3]]
        if number % 2:
            s["listener"].append({"address": f"127.0.0.1:{port}", "tls": number == 3})
        s["log"]["access"] = ("access.log", "second.log")[number % 2]
        s["tls"]["min_version"] = ("1.2", "1.3")[number // 3]
        s["tls"]["certs_dir"] = ("certs", "certs2", "certs")[number % 3]
        if number == 4:
            s["pools"]["sometimes"] = {"endpoints": [{"address": second.address}]}
        out.append(s)
    return out


def test_a_thousand_reloads_under_load(build, authority, tmp_path):
    certs = tmp_path / "certs"
    certs.mkdir()
    authority.leaf("acme.localhost", out=certs / "acme.localhost.pem")
    second = ScriptedUpstream("second")
    world = build(certs=certs, settings={"timeouts": {"keep_alive": "60s", "upstream_head": "30s", "connect": "10s",
                                                      "request_head": "10s", "tls_handshake": "10s",
                                                      "request_body_idle": "30s", "upstream_body_idle": "30s"}})
    gate = world.gate
    (gate.folder / "certs2").mkdir()
    authority.leaf("acme.localhost", out=gate.folder / "certs2" / "acme.localhost.pem")
    settings = variants(gate, world.upstream, second, free_port())
    load = Load(world, authority.cert)
    for upstream in (world.upstream, second):
        upstream.on("/ws", websocket.echo_upstream).on("/download", endless(load)).on("/upload", count_upload)

    def turn(number, pause):
        gate.settings = settings[number % len(settings)]
        gate.write_settings()
        gate.signal(signal.SIGHUP)
        time.sleep(pause)

    reloads = 60 if slow else 1000
    last = settings[(reloads - 1) % len(settings)]
    gate.settings = last
    reload(gate)
    files = gate.open_files()
    for name, tls in (("plain 1", False), ("plain 2", False), ("tls 1", True), ("tls 2", True)):
        load.run(name, lambda n, t=tls: load.ask(n, t))
    load.run("echo", load.echo)
    load.run("download", load.download)
    load.run("upload", load.upload)
    for number in range(reloads // 10):
        turn(number, 0.02)
    rss, threads = gate.rss_bytes(), threads_of(gate)
    begun = time.monotonic()
    for number in range(reloads):
        turn(number, 0.02)
        assert not load.wrong and gate.alive(), load.wrong or gate.stderr()
    took = time.monotonic() - begun
    until(lambda: gate.admin_json("/v1/node")["id"] == last["node"]["id"], 20)
    done = gate.stderr().count("reloaded:")
    load.stop()
    asked = sum(n for name, n in load.counts.items() if name.startswith(("plain", "tls")))
    print(f"{reloads} reloads in {took:.1f} s, {done} done, {asked} requests, {load.counts}, "
          f"RSS {rss >> 20} then {gate.rss_bytes() >> 20} MiB")
    assert not load.wrong
    assert done >= reloads // 3
    assert min(load.counts.values()) > (5 if slow else 50)
    assert threads_of(gate) == threads
    assert gate.rss_bytes() < rss + (400 << 20 if slow else 48 << 20)

    # Every line once, in one of the two files.
    def lines():
        return [json.loads(line) for name in ("access.log", "second.log")
                for line in (gate.folder / name).read_text().splitlines()]
    until(lambda: len([row for row in lines() if row["path"] == "/load"]) >= asked, 5)
    rows = [row for row in lines() if row["path"] == "/load"]
    assert len(rows) == asked and len({row["request_id"] for row in rows}) == asked
    world.upstream.drop_connections()
    second.drop_connections()
    until(lambda: gate.open_files() <= files, 20)
    gate.stop()
    second.stop()
