"""What runs out: disk, readers, descriptors, memory, time to end. Requests go on, losses are counted, and all
comes back by itself."""
import contextlib
import ctypes
import fcntl
import json
import os
import re
import resource
import threading
import time

import pytest

from kit.client import Client, request
from kit.gate import metric, until
from kit.upstream import ok

slow = bool(os.environ.get("GATEHOUSE_SLOW"))
libc = ctypes.CDLL(None, use_errno=True)


class FileSizeLimit:
    """No room, by RLIMIT_FSIZE: no file of the process grows beyond a size. Works everywhere."""

    def __init__(self, gate, folder):
        self.gate, self.folder = gate, folder
        folder.mkdir()

    def fill(self, file=None):
        """With room for part of a line at the end of `file`."""
        most = file.stat().st_size + 100 if file else 1
        resource.prlimit(self.gate.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    def free(self):
        if not self.gate.process:
            return   # it went with the process
        resource.prlimit(self.gate.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

    def close(self):
        pass


class SmallDisk:
    """A file system of its own that is really full."""

    def __init__(self, _, folder):
        self.folder = folder
        folder.mkdir()
        if libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=512k") != 0:
            pytest.skip("mounting needs privileges: " + os.strerror(ctypes.get_errno()))

    def fill(self, _=None):
        with open(self.folder / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)

    def free(self):
        (self.folder / "filler").unlink()

    def close(self):
        libc.umount2(os.fsencode(self.folder), 2)   # MNT_DETACH: the gate may have files there still


@pytest.fixture(params=[FileSizeLimit, SmallDisk])
def small(request, build):
    """A world that is not started yet, and what takes the room in its folder `disk`."""
    world = build(start=False, pools={"main": {"endpoints": []}})
    world.gate.settings["pools"]["main"]["endpoints"] = [{"address": world.upstream.address}]
    room = request.param(world.gate, world.gate.folder / "disk")
    yield world, room
    try:
        world.gate.stop()
    finally:
        room.close()


def lost(gate, reason):
    return metric(gate, f'gatehouse_access_log_lost_total{{reason="{reason}"}}')


def paths(text):
    """Of every line, which must be whole."""
    return [json.loads(line)["path"] for line in text.splitlines()]


def cpu_s(gate):
    with open(f"/proc/{gate.process.pid}/stat") as f:
        parts = f.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


# --- the access log ---

def test_full_disk_under_the_access_log(small):
    world, room = small
    gate, log = world.gate, room.folder / "access.log"
    gate.settings["log"]["access"] = "disk/access.log"
    gate.write_settings()
    gate.start()

    def ask(path, count):
        with world.client() as client:
            for _ in range(count):
                assert client.get(path).status == 200
                time.sleep(0.005)
    ask("/before", 20)
    until(lambda: len(paths(log.read_text())) == 20)
    room.fill(log)
    ask("/during", 200)
    until(lambda: lost(gate, "sink") > 0)
    until(lambda: "lines are lost" in gate.stderr())
    assert gate.stderr().count("lines are lost") == 1, gate.stderr()
    assert "written again" not in gate.stderr()
    room.free()
    ask("/after", 20)
    until(lambda: paths(log.read_text()).count("/after") == 20)
    until(lambda: "lines are written again" in gate.stderr())
    gate_lost = lost(gate, "sink") + lost(gate, "ring_full")
    assert len(paths(log.read_text())) + gate_lost == 240
    assert gate.stderr().count("lines are lost") <= 2, gate.stderr()


def test_reader_of_the_access_log_that_stops(build):
    world = build(start=False)
    gate = world.gate
    gate.settings["log"]["access"] = "fifo"
    gate.write_settings()
    os.mkfifo(gate.folder / "fifo")
    reader = os.open(gate.folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, 1031, 4096)   # F_SETPIPE_SZ
    world.upstream.on("/" + "p" * 500, ok())
    gate.start()
    asked = 0
    with world.client() as client:   # one connection: one worker's ring
        while lost(gate, "ring_full") == 0:
            client.send(request("/" + "p" * 500) * 100)
            assert [client.response().status for _ in range(100)] == [200] * 100
            asked += 100
            assert asked < 10_000, "no line was dropped though nobody reads"
    text, whole = b"", threading.Event()

    def read():
        nonlocal text
        while not whole.is_set():
            with contextlib.suppress(BlockingIOError):
                text += os.read(reader, 65536)
                continue
            time.sleep(0.01)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        until(lambda: text.count(b"\n") + lost(gate, "ring_full") + lost(gate, "sink") == asked, 10)
    finally:
        whole.set()
        thread.join()
    assert text.endswith(b"\n") and len(paths(text.decode())) > 1000
    os.close(reader)
    assert world.get("/").status == 200
    until(lambda: lost(gate, "sink") > 0)   # a broken pipe
    gate.stop()


# --- the state ---

def drain(gate, address):
    said = gate.run("pool", "drain", "main", address, "--config", str(gate.config))
    return said.returncode, said.stdout + said.stderr


def test_full_disk_under_the_state(small):
    world, room = small
    gate = world.gate
    gate.settings["node"]["state_dir"] = "disk/state"
    gate.settings["log"]["access"] = "off"
    others = ["127.0.0.1:9", "127.0.0.2:9"]
    gate.settings["pools"]["main"]["endpoints"] += [{"address": a} for a in others]
    gate.write_settings()
    gate.start()

    def draining():
        rows = gate.run("pool", "list", "--config", str(gate.config)).stdout.splitlines()
        return {address for address in others for row in rows if address in row and "drain" in row}
    assert draining() == set()
    code, said = drain(gate, others[0])
    assert code == 0, said
    room.fill()
    expected = {others[0]}
    code, said = drain(gate, others[1])
    if code == 0 and isinstance(room, SmallDisk):
        expected.add(others[1])   # the database had a page left for it
    else:
        assert code == 1 and "Nothing was changed: it cannot be stored" in said, said
    # More than a page that is left takes.
    big = {"name": "Fresh", "pool": "main", "context": {f"key-{i}": "x" * 400 for i in range(20)}}
    gate.write_tenant("fresh", big)
    until(lambda: "a change of tenants is not in force, as it cannot be stored" in gate.stderr(), 10)
    assert world.get("/", host="fresh.localhost").status == 404
    assert world.get("/").status == 200
    assert draining() == expected
    room.free()
    until(lambda: world.get("/", host="fresh.localhost").status == 200, 30)
    assert draining() == expected

    room.fill()
    gate.write_tenant("later", big)
    until(lambda: gate.stderr().count("a change of tenants is not in force") == 2, 10)
    gate.kill()
    room.free()
    (gate.tenants_dir / "later.toml").unlink()
    gate.start()
    assert draining() == expected, "a restart knows another state than what was acknowledged"
    for host, status in (("acme", 200), ("fresh", 200), ("later", 404)):
        assert world.get("/", host=host + ".localhost").status == status
    code, said = drain(gate, others[1])
    assert code == 0 and draining() == set(others), said


# --- descriptors ---

def test_out_of_descriptors(build):
    """Those who are connected are served, nobody spins, and accepting resumes."""
    world = build()
    gate = world.gate
    with world.client() as kept:
        assert kept.get("/").status == 200
        resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (gate.open_files() + 10, 4096))
        clients = [Client(gate.port, timeout=2) for _ in range(60)]
        until(lambda: "no new connection can be accepted" in gate.stderr())
        begun, before = time.monotonic(), cpu_s(gate)
        while time.monotonic() < begun + 2.5:
            assert kept.get("/").status == 200
            time.sleep(0.05)
        assert cpu_s(gate) - before < 0.5 * (time.monotonic() - begun)
        # One a minute, and a minute may have ended in between.
        assert gate.stderr().count("no new connection can be accepted") <= 2, gate.stderr()
        for c in clients:
            c.close()
        until(lambda: world.get("/").status == 200, 5)
        assert kept.get("/").status == 200
    gate.stop()


def test_fewer_descriptors_than_limits_connections(build):
    """The node takes no more connections than it can serve: each of those has one to the application, and the
    admin address answers."""
    world = build(start=False, settings={"timeouts": {"upstream_head": "30s"}})
    gate = world.gate
    gate.files = 128
    gate.start()
    assert re.search(r"limits\.connections: is 2000, but 128 files can be open.*32", gate.stderr()), gate.stderr()
    arrived = threading.Barrier(33)

    def together(conn, r):
        arrived.wait(20)
        ok()(conn, r)
    world.upstream.on("/together", together)
    clients = [Client(gate.port) for _ in range(32)]
    for c in clients:
        c.send(request("/together"))
    until(lambda: world.upstream.count("/together") == 32, 10)
    others = [Client(gate.port) for _ in range(100)]
    assert all(c.closed() for c in others)
    assert gate.admin("GET", "/readyz", token=None)[0] == 200
    arrived.wait(20)
    assert [c.response().status for c in clients] == [200] * 32
    assert "no new connection can be accepted" not in gate.stderr()
    for c in clients + others:
        c.close()
    until(lambda: world.get("/").status == 200)
    gate.stop()


# --- memory ---

@pytest.fixture
def file_limit():
    """The test's own, put back whatever becomes of the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_idle_connections(build, file_limit):
    count = 2000 if slow else 5000
    files, hard = file_limit
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        pytest.skip(f"{count} connections need more descriptors than the hard limit of {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, count + 500), hard))
    world = build(settings={"limits": {"connections": count + 400, "connections_per_client": count + 400},
                            "timeouts": {"keep_alive": "60s"}})
    gate = world.gate
    world.upstream.on("/idle", ok())
    assert world.get("/idle").status == 200
    begun, rss = gate.open_files(), gate.rss_bytes()
    clients = []
    for _ in range(count):
        clients.append(world.client())
        assert clients[-1].get("/idle").status == 200
    print(f"{count} idle connections: {(gate.rss_bytes() - rss) / count:.0f} bytes each in the gate")
    assert gate.open_files() >= begun + count
    assert gate.rss_bytes() - rss < count * 16384 * (8 if slow else 1)
    for c in clients:
        assert c.get("/idle").status == 200
    # The deadline that is reloaded holds for the next pause: all are used once more.
    gate.settings["timeouts"]["keep_alive"] = "30s" if slow else "8s"
    gate.write_settings()
    assert gate.admin("POST", "/v1/reload", timeout=30)[0] == 200
    for c in clients:
        assert c.get("/idle").status == 200
    for c in clients:
        assert c.closed(40), "an idle connection outlived timeouts.keep_alive"
        c.close()
    world.upstream.drop_connections()
    until(lambda: gate.open_files() <= begun, 10)
    gate.stop()


def test_clients_that_stop_reading(world):
    """What they do not take is not kept for them, and a deadline ends them."""
    size, count = 200 << 20, 8
    finished = []

    def endless(conn, _):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 16):
            if not conn.send(b"x" * 65536):
                return
        finished.append(conn)
    world.upstream.on("/unread", endless)
    world.get("/")
    rss = world.gate.rss_bytes()
    clients = [world.client().send(request("/unread")) for _ in range(count)]
    until(lambda: world.upstream.count("/unread") == count, 5)
    open_ones = [r.connection for r in world.upstream.requests if r.path() == "/unread"]
    most, end = 0, time.monotonic() + 60
    while not all(c.peer_closed.is_set() for c in open_ones):
        most = max(most, world.gate.rss_bytes() - rss)
        assert time.monotonic() < end, "clients that read nothing hold their exchanges for ever"
        time.sleep(0.05)
    print(f"{count} unread downloads of {size >> 20} MiB: {most >> 10} KiB in the gate")
    assert not finished and most < (16 << 20) * (4 if slow else 1)
    for c in clients:
        c.close()


# --- the end ---

class Asker:
    """Asks on one connection until it is closed; what was sent whole is counted, and what was answered."""

    def __init__(self, world, path):
        self.world, self.path = world, path
        self.sent = self.answered = 0
        self.wrong = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            with self.world.client() as client:
                while True:
                    client.send(request(self.path))
                    self.sent += 1
                    answer = client.reader.response()
                    if answer is None:
                        return
                    assert answer.status == 200, answer
                    self.answered += 1
        except (ConnectionResetError, BrokenPipeError):
            pass   # closed between two requests, the next one already on its way
        except Exception as error:   # noqa: BLE001: whatever it is, it is a failure
            self.wrong = f"{type(error).__name__} {error}"


def test_drain_under_load_loses_nothing(build):
    world = build(settings={"timeouts": {"upstream_head": "20s", "drain": "20s"}})
    gate = world.gate

    def later(conn, r):
        time.sleep(0.7)
        ok(b"later")(conn, r)
    world.upstream.on("/quick", ok()).on("/later", later)
    askers = [Asker(world, "/quick") for _ in range(8)] + [Asker(world, "/later") for _ in range(8)]
    until(lambda: min(a.answered for a in askers) >= 1 and world.upstream.count("/later") >= 16, 10)
    gate.stop()
    for a in askers:
        a.thread.join(10)
        assert not a.thread.is_alive()
    assert not [a.wrong for a in askers if a.wrong]
    for path in ("/quick", "/later"):
        answered = sum(a.answered for a in askers if a.path == path)
        rows = [row for row in gate.access_lines(path) if row["status"]]
        print(f"{path}: upstream {world.upstream.count(path)}, clients {answered}, access log {len(rows)}")
        assert world.upstream.count(path) == answered == len(rows)
        assert {row["status"] for row in rows} == {200}
        # At most the one that met the closing of its connection is unanswered, and nobody acted upon it.
        assert all(a.sent - a.answered <= 1 for a in askers)
