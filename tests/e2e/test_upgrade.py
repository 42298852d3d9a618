"""A node replaced by a new process under load: nothing refused, reset or failed; and new processes that fail."""
import json
import os
import pathlib
import signal
import socket
import ssl
import threading
import time

import pytest

from kit import websocket
from kit.client import Client, request
from kit.edge import Edge
from kit.gate import Gate, binary, refused_to_connect, until
from kit.ports import free_port
from kit.upgrade import Child, Load, actor, own_program, put_script, upgraded
from kit.upstream import ScriptedUpstream, ok

tenants = {"acme": {"name": "Acme Corp", "pool": "main"}}


@pytest.fixture
def app():
    server = ScriptedUpstream()
    yield server
    server.stop()


def made(tmp_path, app, certs=None, settings=None, **options):
    gate = Gate(tmp_path / "gate", {"main": [app.address]}, options.pop("tenants", tenants), settings=settings, certs=certs, **options)
    own_program(gate, binary())
    return gate


def ends_well(process, seconds=15):
    assert process.wait(seconds) == 0


def state(gate):
    return gate.admin_json("/v1/upgrade")


# --- it works ---

@pytest.mark.parametrize("before, after", [(2, 2), (3, 1), (1, 3)])
def test_under_load(tmp_path, app, dev_certs, before, after):
    ca = dev_certs / "ca.pem"
    with made(tmp_path, app, dev_certs, {"node": {"workers": before}}) as gate:
        gate.settings["node"]["workers"] = after
        gate.write_settings()
        with Load(gate, ca) as load:
            for _ in range(2):
                old = upgraded(gate)
                load.more(50)
                ends_well(old)
                load.more(50)
        assert len(gate.admin_json("/v1/node")["workers"]) == after
        assert "taken over from process" in gate.stderr()


def test_what_is_open_goes_on(tmp_path, app, dev_certs):
    app.on("/ws", websocket.echo_upstream)
    gone_slow = threading.Event()
    app.on("/slow", lambda conn, r: (gone_slow.wait(10), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")))
    with made(tmp_path, app, dev_certs, {"timeouts": {"drain": "8s", "upstream_head": "20s"}}) as gate:
        with gate.client() as tunnel, gate.client() as slow, gate.client() as idle:
            assert tunnel.ask(websocket.upgrade_request()).status == 101
            assert idle.get("/").status == 200
            slow.send(request("/slow"))
            until(lambda: app.count("/slow") == 1)
            old = upgraded(gate)
            begun = time.monotonic()
            assert old.poll() is None
            tunnel.send(websocket.frame(b"still here"))
            assert websocket.read_frame(tunnel.reader) == (1, b"still here")
            gone_slow.set()
            answer = slow.response()
            assert answer.body == b"slow" and answer.fields.get("connection") == "close"
            answer = idle.get("/")
            assert answer.status == 200 and answer.fields.get("connection") == "close", "an idle connection may ask once more"
            assert idle.closed()
            assert tunnel.closed(20), "a tunnel lasts as long as drain"
            assert time.monotonic() - begun > 1.5
            ends_well(old)


def test_tickets_of_the_old_process_resume_at_the_new(tmp_path, app, dev_certs):
    with made(tmp_path, app, dev_certs) as gate:
        context = ssl.create_default_context(cafile=str(dev_certs / "ca.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2   # the session is there after the handshake

        def reused(session=None):
            with gate.tls_client("acme.localhost", None, context=context, session=session) as client:
                assert client.get("/").status == 200
                return client.socket.session_reused, client.socket.session
        session = reused()[1]
        assert reused(session)[0]
        ends_well(upgraded(gate))
        assert reused(session)[0]


def test_listeners_as_the_new_configuration_has_them(tmp_path, app):
    gone, new = free_port(), free_port()
    with made(tmp_path, app, extra_listeners=[{"address": f"127.0.0.1:{gone}"}]) as gate:
        assert Client(gone).get("/").status == 200
        gate.settings["listener"][-1]["address"] = f"127.0.0.1:{new}"
        gate.write_settings()
        with Load(gate):
            ends_well(upgraded(gate))
        assert refused_to_connect(gone) and Client(new).get("/").status == 200


def test_admin_at_a_unix_socket(tmp_path, app):
    with made(tmp_path, app) as gate:
        path = tmp_path / "admin.sock"
        gate.settings["admin"]["address"] = f"unix:{path}"
        gate.write_settings()
        assert gate.run("reload", "--config", str(gate.config), "--admin", f"127.0.0.1:{gate.admin_port}").returncode == 0
        done = gate.run("upgrade", "--config", str(gate.config), "--json")
        assert done.returncode == 0, done.stderr
        old, gate.process = gate.process, Child(json.loads(done.stdout)["pid"])
        ends_well(old)
        assert path.exists(), "the old process took the socket away"
        assert gate.run("tenant", "list", "--config", str(gate.config)).returncode == 0


def test_by_signal(tmp_path, app):
    with made(tmp_path, app) as gate:
        with Load(gate):
            gate.signal(signal.SIGUSR2)
            until(lambda: state(gate)["state"] == "done", 15)
            old, gate.process = gate.process, Child(state(gate)["pid"])
            ends_well(old)


def test_counts_of_quotas_and_usage_go_on(tmp_path, app):
    with made(tmp_path, app, tenants={"acme": {**tenants["acme"], "limits": {"quota": "20/month"}}}) as gate:
        statuses = [gate.get("/").status for _ in range(8)]
        with gate.client() as kept:   # asked of the old process once the new one serves
            statuses.append(kept.get("/").status)
            old = upgraded(gate)
            statuses.append(kept.get("/").status)
        ends_well(old)
        statuses += [gate.get("/").status for _ in range(11)]
        assert statuses == [200] * 20 + [429]

        def requests():
            return sum(h["requests"] for h in gate.admin_json("/v1/tenants/acme/usage")["hours"])
        until(lambda: requests() == 21, 25)
    with gate:   # and across a restart
        assert gate.get("/").status == 429


def test_an_endpoint_that_is_down_stays_so(tmp_path, app):
    """It answers, but not well: no request may find that out anew."""
    ill = ScriptedUpstream()
    ill.default = lambda conn, r: conn.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    app.on("/healthz", ok(b"well"))
    pools = {"main": {"endpoints": [{"address": app.address}, {"address": ill.address}],
                      "health": {"path": "/healthz", "interval": "5s"}}}
    with Gate(tmp_path / "gate", pools, tenants) as gate:
        def down():
            return [e["address"] for e in gate.admin_json("/v1/pools/main")["endpoints"] if e["state"] == "down"]
        until(lambda: down() == [ill.address], 8)
        with Load(gate) as load:
            ends_well(upgraded(gate))
            assert down() == [ill.address]
            load.more(100)
    ill.stop()


def test_no_change_is_lost(tmp_path, app):
    with made(tmp_path, app) as gate:
        acknowledged, held, stop = [], [], threading.Event()

        def change():
            n = 0
            while not stop.is_set():
                try:
                    status, text, fields = gate.admin("POST", "/v1/tenants", body=json.dumps({"id": f"t{n}", "pool": "main", "plan": "free"}),
                                                      fields={"Content-Type": "application/json"})
                except OSError as e:
                    held.append(repr(e))
                    continue
                if status == 201:
                    acknowledged.append(f"t{n}")
                elif status != 503 or not fields.get("Retry-After"):
                    held.append(f"{status} {text}")
                n += 1
        thread = threading.Thread(target=change)
        thread.start()
        try:
            until(lambda: len(acknowledged) > 5, 10)
            old = upgraded(gate)
            since = len(acknowledged)
            until(lambda: len(acknowledged) > since + 5, 10)
        finally:
            stop.set()
            thread.join()
        ends_well(old)
        assert not held, held[:3]
        have = gate.run("tenant", "list", "--config", str(gate.config)).stdout
        assert not [t for t in acknowledged if f"{t} " not in have]
        assert gate.run("audit", "verify", "--config", str(gate.config)).returncode == 0
    with gate:
        have = gate.run("tenant", "list", "--config", str(gate.config)).stdout
        assert not [t for t in acknowledged if f"{t} " not in have]


def test_publisher_and_edge(tmp_path, app, redis, dev_certs):
    """Each is the same node to Redis before and after; what is published comes to the edge all the while."""
    key = tmp_path / "eu-west.key"
    key.write_text("a1" * 32 + "\n")
    key.chmod(0o600)
    center = made(tmp_path, app, dev_certs, {"node": {"id": "center"}, "registry": {"redis": {"url": redis.url}},
                                             "regions": {"eu-west": {"address": "127.0.0.1:9", "key_file": str(key)}}})
    edge = Edge(tmp_path / "edge", redis.url, tmp_path)
    own_program(edge, binary())

    def comes_to_the_edge(id_):
        assert center.run("tenant", "create", id_, "--pool", "main", "--config", str(center.config)).returncode == 0
        until(lambda: edge.get("/", host=f"{id_}.localhost").status == 200, 10)

    def published():
        node = center.admin_json("/v1/node")["publisher"]
        return node["epoch"] if node["state"] == "current" and node["waiting"] == 0 else 0
    with center:
        until(published, 10)
        with edge:
            until(lambda: edge.get("/").status == 200, 10)
            epoch = published()
            with Load(edge, dev_certs / "ca.pem"), Load(center, dev_certs / "ca.pem"):
                comes_to_the_edge("one")
                ends_well(upgraded(edge))
                comes_to_the_edge("two")
                ends_well(upgraded(center))
                until(lambda: published() > epoch, 10)
                comes_to_the_edge("three")
                until(lambda: edge.follower()["state"] == "current", 10)
            assert {name for name in redis.ask("ZRANGE", "gatehouse:nodes", "0", "-1")} == {"center", "edge-1"}


# --- it fails, and the old process goes on ---

def refused(gate, words):
    """`gatehouse upgrade` with exit code 1 and these words; the same process serves, takes changes and reloads."""
    done = gate.run("upgrade", "--config", str(gate.config), timeout=60)
    assert done.returncode == 1 and words in done.stderr, done.stdout + done.stderr + gate.stderr()
    assert gate.alive() and gate.admin_json("/v1/node")["pid"] == gate.process.pid
    assert gate.get("/").status == 200
    assert gate.run("tenant", "create", f"after{time.monotonic_ns()}", "--pool", "main", "--config", str(gate.config)).returncode == 0
    return done


failing = {
    "crashes at once": ("#!/bin/sh\nexit 3\n", "ended before it was ready"),
    "killed by a signal": ("#!/bin/sh\nkill -SEGV $$\n", "ended before it was ready"),
    "hangs at once": ("#!/bin/sh\nexec sleep 600\n", "was not ready within 1s"),
    "is no program": ("nonsense", "cannot be started"),
    "hangs while it loads": (actor("prepared", "time.sleep(600)"), "was not ready within 1s"),
    "dies while it loads": (actor("prepared", "lines.readline(); os.kill(os.getpid(), signal.SIGKILL)"), "ended before it was ready"),
    "dies as it is to serve": (actor("go", "os.abort()"), "ended before it was ready"),
    "hangs as it is to serve": (actor("go", "time.sleep(600)"), "did not serve within 1s"),
    "says why": (actor("prepared", "talk.sendall(b'{\"step\":\"failed\",\"why\":\"no moon\"}\\n')"), "no moon"),
    "says nonsense": (actor("prepared", "talk.sendall(b'nonsense\\n')"), "ended before it was ready"),
}


@pytest.mark.parametrize("how", failing)
def test_a_new_program_that(tmp_path, app, how):
    script, words = failing[how]
    patience = "1s" if "within 1s" in words else "30s"
    with made(tmp_path, app, settings={"timeouts": {"upgrade": patience}}) as gate:
        with Load(gate):
            put_script(tmp_path / "gate/gatehouse", script)
            refused(gate, words)
            now = state(gate)
            assert now["state"] == "failed" and words in now["why"]
            if now.get("pid"):
                Child(now["pid"]).wait(5)   # none is left behind
        gate.settings["timeouts"]["upgrade"] = "30s"
        gate.write_settings()
        assert gate.admin("POST", "/v1/reload")[0] == 200
        (tmp_path / "gate/gatehouse").unlink()
        own_program(gate, binary())
        ends_well(upgraded(gate))   # and the next one is taken


def test_nothing_is_left_of_those_that_failed(tmp_path, app):
    def processes_named():
        folder = f"/proc/{gate.process.pid}/fd"
        return sum("pidfd" in os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder))
    with made(tmp_path, app) as gate:
        put_script(tmp_path / "gate/gatehouse", "#!/bin/sh\nexit 3\n")
        for _ in range(3):
            refused(gate, "ended before it was ready")
            Child(state(gate)["pid"]).wait(5)
        assert processes_named() == 1   # the last one's, until the next or the end


def test_a_program_that_is_gone(tmp_path, app):
    with made(tmp_path, app) as gate, Load(gate):
        (tmp_path / "gate/gatehouse").unlink()
        refused(gate, "put the new program there")


@pytest.mark.parametrize("edit, said", [
    (lambda s: s["plans"].update(free={"rate": "fast"}), "plans.free.rate"),
    (lambda s: s["log"].update(access="/nonexistent/access.log"), "/nonexistent/access.log"),
    (lambda s: s["listener"].append({"address": "192.0.2.1:80"}), "cannot listen on 192.0.2.1:80"),
])
def test_settings_that_cannot_be_served(tmp_path, app, edit, said):
    with made(tmp_path, app) as gate, Load(gate):
        good = json.loads(json.dumps(gate.settings))
        edit(gate.settings)
        gate.write_settings()
        done = gate.run("upgrade", "--admin", f"127.0.0.1:{gate.admin_port}", "--token-file", str(gate.folder / "admin.token"))
        assert done.returncode == 1 and said in gate.stderr()
        Child(state(gate)["pid"]).wait(5)
        gate.settings = good
        gate.write_settings()
        assert gate.alive() and gate.run("reload", "--config", str(gate.config)).returncode == 0


def test_more_workers_that_never_serve(tmp_path, app):
    """Sockets of the new process's own get no connection before it serves: nobody is there to answer."""
    many = {f"t{i}": {"pool": "main"} for i in range(5000)}   # so that it loads for a while
    with made(tmp_path, app, tenants={**tenants, **many}, settings={"node": {"workers": 1}, "timeouts": {"upgrade": "3s"}}) as gate:
        gate.settings["node"]["workers"] = 4
        gate.write_settings()
        gate.signal(signal.SIGUSR2)
        until(lambda: state(gate)["state"] in ("loading", "done"), 10, pause=0.002)
        os.kill(state(gate)["pid"], signal.SIGSTOP)
        assert state(gate)["state"] != "done", "more tenants are needed here"
        for _ in range(40):
            assert gate.get("/").status == 200
        until(lambda: state(gate)["state"] == "failed", 15)
        assert "was not ready within 3s" in state(gate)["why"]
        for _ in range(20):
            assert gate.get("/").status == 200


def test_changes_are_held_while_another_loads(tmp_path, app):
    with made(tmp_path, app, settings={"timeouts": {"upgrade": "8s"}}) as gate:
        put_script(tmp_path / "gate/gatehouse", actor("prepared", "time.sleep(600)"))
        gate.signal(signal.SIGUSR2)
        until(lambda: state(gate)["state"] == "loading", 5)
        status, text, fields = gate.admin("POST", "/v1/tenants", body='{"id":"new","pool":"main"}', fields={"Content-Type": "application/json"})
        assert (status, fields["Retry-After"]) == (503, "1") and "urn:gatehouse:handing-over" in text
        assert gate.admin("GET", "/v1/tenants/acme")[0] == 200
        second = gate.run("upgrade", "--config", str(gate.config))
        assert second.returncode == 1 and "under way already" in second.stderr
        gate.write_tenant("late", {"name": "Late", "pool": "main"})   # a file's change waits
        until(lambda: state(gate)["state"] == "failed", 20)
        until(lambda: gate.get("/", host="late.localhost").status == 200, 5)
        status, text, fields = gate.admin("POST", "/v1/tenants", body='{"id":"new","pool":"main"}', fields={"Content-Type": "application/json"})
        assert status == 201, text
        Child(state(gate)["pid"]).wait(5)


def test_told_to_end_while_another_loads(tmp_path, app):
    gate = made(tmp_path, app).start()
    put_script(tmp_path / "gate/gatehouse", actor("prepared", "time.sleep(600)"))
    gate.signal(signal.SIGUSR2)
    until(lambda: state(gate)["state"] == "loading", 5)
    child = Child(state(gate)["pid"])
    gate.stop()
    assert child.wait(5) == -signal.SIGKILL


def test_told_to_end_after_it_was_replaced(tmp_path, app):
    app.on("/slow", lambda conn, r: (time.sleep(1), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")))
    with made(tmp_path, app) as gate, gate.client() as slow:
        slow.send(request("/slow"))
        until(lambda: app.count("/slow") == 1)
        old = upgraded(gate)
        old.send_signal(signal.SIGTERM)   # as systemd, which tells all processes of a service
        assert slow.response().body == b"slow"
        ends_well(old)


def test_help(tmp_path, app):
    text = made(tmp_path, app).run("upgrade", "--help").stdout
    assert "timeouts.upgrade" in text and "exit code 1" in text
    assert made(tmp_path / "other", app).run("upgrade", "now").returncode == 2


# --- systemd ---

class Notified:
    """What systemd would be told: a datagram socket."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(10)

    def next(self, word, seconds=10, of=None):
        """The next message that has this word, of this process where one is given, and who sent it; others are passed over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            who = int.from_bytes(ancillary[0][2][:4], "little")
            if word in text.decode() and of in (None, who):
                return text.decode().split("\n"), who
        raise AssertionError(f"systemd was not told {word}")


def test_what_systemd_is_told(tmp_path, app):
    systemd = Notified(tmp_path / "notify")
    gate = made(tmp_path, app, env={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "2000000"})
    gate.start()
    assert systemd.next("READY=1")[1] == gate.process.pid
    assert systemd.next("WATCHDOG=1")[1] == gate.process.pid
    assert gate.run("reload", "--config", str(gate.config)).returncode == 0
    reloading = systemd.next("RELOADING=1")[0]
    at_us = int(next(line for line in reloading if line.startswith("MONOTONIC_USEC=")).split("=")[1])
    assert 0 <= time.monotonic() * 1e6 - at_us < 60e6
    systemd.next("READY=1")
    old = upgraded(gate)
    words, who = systemd.next("MAINPID")
    assert words == [f"MAINPID={gate.process.pid}"] and who == old.pid
    words, who = systemd.next("READY=1")
    assert who == gate.process.pid and any(w.startswith("STATUS=serving") for w in words)
    ends_well(old)
    systemd.next("WATCHDOG=1", of=gate.process.pid)
    gate.stop()
    systemd.next("STOPPING=1")


def test_no_watchdog_for_a_worker_that_stands_still(tmp_path, app):
    systemd = Notified(tmp_path / "notify")
    with made(tmp_path, app, settings={"node": {"workers": 2}}, env={"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "1000000"}) as gate:
        systemd.next("WATCHDOG=1")
        tasks = pathlib.Path(f"/proc/{gate.process.pid}/task")
        worker = next(t for t in tasks.iterdir() if (t / "comm").read_text() == "worker\n")
        # A tracer stops one thread alone; SIGSTOP would stop all.
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        seize, interrupt, detach = 0x4206, 0x4207, 17
        stopped, finished = threading.Event(), threading.Event()

        def stop():
            assert libc.ptrace(seize, int(worker.name), None, None) == 0
            libc.ptrace(interrupt, int(worker.name), None, None)
            os.waitpid(int(worker.name), 0x40000000)   # __WALL
            stopped.set()
            finished.wait(20)
            libc.ptrace(detach, int(worker.name), None, None)
        thread = threading.Thread(target=stop)
        thread.start()
        try:
            if not stopped.wait(5):
                pytest.skip("no thread may be traced here")
            systemd.socket.setblocking(False)
            time.sleep(0.6)
            try:
                while systemd.socket.recv(4096):   # what was on the way
                    pass
            except BlockingIOError:
                pass
            systemd.socket.settimeout(2)
            with pytest.raises(TimeoutError):
                systemd.socket.recv(4096)
        finally:
            finished.set()
            thread.join()
        systemd.socket.settimeout(10)
        systemd.next("WATCHDOG=1")


def listening(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen(100)
    return s


@pytest.mark.parametrize("for_us", [True, False])
def test_sockets_of_systemd(tmp_path, app, for_us):
    """A listener whose address systemd listens at gets that socket, the admin API too; the rest is opened as ever. What
    was meant for another process is left alone."""
    gate = made(tmp_path, app, settings={"node": {"workers": 3}})
    own = tmp_path / "gate/gatehouse"
    given = [listening(gate.port), listening(gate.admin_port)]
    launcher = tmp_path / "launcher"
    launcher.write_text(f"""#!/usr/bin/python3
import os, sys
for i, fd in enumerate(({given[0].fileno()}, {given[1].fileno()})):
    os.dup2(fd, 100 + i)
for i in range(2):
    os.dup2(100 + i, 3 + i)
os.closerange(5, 200)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid() + {0 if for_us else 1}))
os.execv({str(own)!r}, [{str(own)!r}, *sys.argv[1:]])
""")
    launcher.chmod(0o755)
    for s in given:
        s.set_inheritable(True)
    gate.command = [str(launcher)]
    gate.inherited = [s.fileno() for s in given]
    if not for_us:
        with pytest.raises(AssertionError, match="cannot listen"):
            gate.start()
        for s in given:
            s.close()
        return
    with gate:
        for s in given:
            s.close()   # as systemd, which keeps its own
        with Load(gate):
            ends_well(upgraded(gate))
