"""A tenant beside another that misbehaves: every request of the quiet one is answered with 200, and the loud one
is refused what it has no right to. bench/load/neighbours measures the same at full size."""
import contextlib
import os
import shutil
import threading
import time

import pytest

from kit.client import Client, tls_context
from kit.gate import until
from kit.http_message import ProtocolError
from kit.upstream import ScriptedUpstream, ok

slow = bool(os.environ.get("GATEHOUSE_SLOW"))
quiet, loud = "quiet.localhost", "loud.localhost"
cold = [f"cold{i}.localhost" for i in range(24)]
body_bytes = 2 * 1024 * 1024
rate, concurrency, connections = 20, 8, 60


@pytest.fixture(scope="module")
def world(build, authority, tmp_path_factory):
    """One worker, so that both tenants share all of it; certificates of four names fit into the cache."""
    certs = tmp_path_factory.mktemp("neighbours-certs")
    shutil.copy(authority.leaf([quiet, loud]), certs / f"{quiet}.pem")
    shutil.copy(certs / f"{quiet}.pem", certs / f"{loud}.pem")
    for name in cold:
        authority.leaf(name, certs / f"{name}.pem")
    application = ScriptedUpstream("loud")
    # Neither rate nor bodies are to be refused but where a test is about them.
    limits = {"concurrency": concurrency, "connections": connections, "max_body": f"{body_bytes}B"}
    tenants = {"quiet": {"name": "Quiet", "pool": "main", "plan": "small"},
               "loud": {"name": "Loud", "pool": "loud", "limits": limits,
                        "routes": [{"path": "/limited", "limits": {"rate": f"{rate}/s", "burst": rate}}, {"path": "/"}]},
               **{name.removesuffix(".localhost"): {"name": name, "pool": "loud"} for name in cold}}
    upstream = ScriptedUpstream("quiet")
    world = build(tenants=tenants, certs=certs, upstream=upstream, start=False,
                  pools={"main": [upstream.address], "loud": [application.address]},
                  settings={"node": {"workers": 1}, "tls": {"cache_certs": 4}, "timeouts": {"upstream_head": "20s"},
                            "plans": {"free": {}, "small": {"rate": "1000/s", "burst": 1000, "concurrency": 20, "connections": 20}}})
    world.application = application
    application.on("/big", ok(b"x" * body_bytes))
    application.on("/up", ok())
    world.context = tls_context(ca=str(authority.cert))
    world.gate.start()
    yield world
    application.stop()


def connect(world, host, timeout=20.0):
    return Client(world.gate.tls_port, tls={"sni": host, "context": world.context}, timeout=timeout)


class QuietTenant(threading.Thread):
    """Asks every 10 ms on a kept connection, and on one with a handshake of its own every tenth time."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.statuses, self.error, self.done = world, [], None, threading.Event()

    def run(self):
        try:
            with connect(self.world, quiet) as kept:
                while not self.done.wait(0.01):
                    self.statuses.append(kept.get("/", host=quiet).status)
                    if len(self.statuses) % 10 == 0:
                        with connect(self.world, quiet) as fresh:
                            self.statuses.append(fresh.get("/", host=quiet).status)
        except (OSError, ProtocolError) as error:
            self.error = error


@contextlib.contextmanager
def quiet_tenant(world):
    """Fails when one of its requests, made for as long as the block runs, is not answered with 200."""
    tenant = QuietTenant(world)
    tenant.start()
    try:
        until(lambda: tenant.statuses or tenant.error, 20)
        yield tenant
    finally:
        tenant.done.set()
        tenant.join(30)
    assert tenant.error is None, f"after {len(tenant.statuses)} requests: {tenant.error!r}"
    assert len(tenant.statuses) >= 5 and set(tenant.statuses) == {200}, tenant.statuses


def at_once(count, work):
    """What `work(number)` returned, of so many threads."""
    results = []

    def run(number):
        results.append(work(number))
    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == count, "one of the neighbour's clients failed"
    return results


def test_ten_times_its_rate(world):
    begun = time.monotonic()

    def ask(_):
        answers = []
        with connect(world, loud) as client:
            while len(answers) < rate or time.monotonic() < begun + 0.5:
                answers.append(client.get("/limited", host=loud))
        return answers
    with quiet_tenant(world):
        answers = sum(at_once(10, ask), [])
    took = time.monotonic() - begun
    codes = [a.status for a in answers]
    assert set(codes) <= {200, 429}
    assert rate <= codes.count(200) <= rate * (1 + took) + 1
    refused = [a for a in answers if a.status == 429]
    assert refused, f"all {len(answers)} in {took:.1f} s"
    assert "rate-limited" in {a.problem() for a in refused}   # some find eight of it in flight already


def test_flood_of_handshakes(world):
    """All of them are made: the flood is within what the tenant may do."""
    def shake(_):
        for _ in range(40):
            with connect(world, loud) as client:
                assert client.get("/", host=loud).status == 200
        return True
    with quiet_tenant(world):
        at_once(4, shake)


def test_heads_byte_by_byte(world):
    """As many as its connections allow, and those end with the head's deadline."""
    ends = []
    with quiet_tenant(world), contextlib.ExitStack() as stack:
        clients = []
        for _ in range(connections - 10):
            clients.append(stack.enter_context(connect(world, loud)))
        end = time.monotonic() + (10 if slow else 3)
        for byte in b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 1000:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(bytes([byte]))
            time.sleep(0.1)
            if time.monotonic() > end:
                break
        for client in clients:
            with contextlib.suppress(ProtocolError, OSError):
                ends.append(client.response().status)
    assert ends.count(408) >= connections // 2 and set(ends) == {408}, ends


def test_more_connections_than_it_may_have(world):
    """Those beyond are closed or answered 503 or 429; the quiet tenant may still connect."""
    with quiet_tenant(world), contextlib.ExitStack() as stack:
        codes = []
        for _ in range(connections + 20):
            try:
                client = stack.enter_context(connect(world, loud))
                codes.append(client.get("/", host=loud).status)
            except (OSError, ProtocolError):
                codes.append(0)
    assert codes[:connections] == [200] * connections, codes
    assert 200 not in codes[connections:], codes


def test_great_bodies(world):
    def carry(number):
        with connect(world, loud) as client:
            for _ in range(3):
                client.get("/big", host=loud)
            sent = client.get("/up", host=loud, method="POST", body=b"u" * body_bytes)
            got = client.get("/big", host=loud)
            over = client.get("/up", host=loud, method="POST", fields={"Content-Length": str(body_bytes + 1)})
        return sent.status, len(got.body), over.status
    with quiet_tenant(world):
        assert at_once(4, carry) == [(200, body_bytes, 413)] * 4


def test_application_that_stalls(world):
    """What is in flight is bounded; the rest is refused at once and the quiet tenant's application is asked as before."""
    go_on = threading.Event()

    def stall(conn, r):
        conn.read_body(r)
        go_on.wait(30)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    world.application.on("/stall", stall)

    refused = threading.Semaphore(0)

    def ask(_):
        with connect(world, loud) as client:
            answer = client.get("/stall", host=loud)
            if answer.status != 200:
                refused.release()
            return answer.status, answer.problem() if answer.status != 200 else ""

    def let_go(tenant):
        for _ in range(2 * concurrency):
            refused.acquire(timeout=15)
        until(lambda: len(tenant.statuses) >= 5, 10)
        go_on.set()
    with quiet_tenant(world) as tenant:
        threading.Thread(target=let_go, args=(tenant,), daemon=True).start()
        results = at_once(3 * concurrency, ask)
        assert len(tenant.statuses) >= 5
    codes = [code for code, _ in results]
    assert codes.count(200) == concurrency and len(set(results)) == 2, results


def test_scan_over_cold_certificates(world):
    """Many more names than the cache has room for, each the right certificate; names of nobody get an alert."""
    def scan(number):
        seen = []
        for name in cold[number:] + cold[:number]:
            with connect(world, name) as client:
                names = {value for _, value in client.socket.getpeercert()["subjectAltName"]}
                seen.append((name in names, client.get("/", host=name).status))
        return seen
    with quiet_tenant(world):
        for seen in at_once(4, scan):
            assert seen == [(True, 200)] * len(cold)
        for _ in range(5):
            with pytest.raises(OSError):
                connect(world, "nobody.localhost")
