"""A node that runs out of memory, descriptors or connections: idle connections end, the oldest first, then work is
refused; what is under way goes on, the admin address answers, and it comes back by itself."""
import contextlib
import json
import os
import resource
import threading
import time

import pytest

from kit import websocket as ws
from kit.client import Client, request
from kit.gate import metric, until
from kit.upstream import ok


def shortage(gate, what):
    return metric(gate, f'gatehouse_overload{{resource="{what}"}}')


def used(gate, what):
    return metric(gate, f'gatehouse_resource_used{{resource="{what}"}}')


def bound(gate, what):
    return metric(gate, f'gatehouse_resource_bound{{resource="{what}"}}')


def ready(gate):
    status, text, _ = gate.admin("GET", "/readyz", token=None)
    return status, json.loads(text)


def refused(answer):
    return answer.status == 503 and answer.problem() == "overloaded" and int(answer.fields.get("retry-after")) >= 1


def idle_client(world):
    client = world.client()
    assert client.get("/ok").status == 200
    return client


def opened_tunnel(world):
    client = world.client()
    client.send(ws.upgrade_request("/ws"))
    assert client.response().status == 101
    return client


def echoes(client):
    client.send(ws.frame(b"still here"))
    return ws.read_frame(client.reader) == (1, b"still here")


@pytest.fixture
def small(build):
    """A gate that a test may bring to its limits; ended by it."""
    world = build(start=False)
    world.upstream.on("/ok", ok()).on("/ws", ws.echo_upstream)
    yield world
    world.gate.stop()


# --- connections ---

def test_connections(small):
    gate = small.gate
    gate.settings["limits"]["connections"] = 40
    gate.settings["timeouts"]["keep_alive"] = "60s"
    gate.write_settings()
    gate.start()
    tunnel = opened_tunnel(small)
    old = [idle_client(small) for _ in range(30)]
    time.sleep(0.3)
    young = [idle_client(small) for _ in range(8)]
    until(lambda: metric(gate, "gatehouse_connections_shed_total") > 0, 5)
    until(lambda: shortage(gate, "connections") == 0, 5)
    time.sleep(0.3)
    ended = [c for c in old + young if c.readable()]
    assert ended and set(ended) <= set(old), "the oldest come first"
    assert len(ended) < 25, "no more than have to"
    assert all(c.closed() for c in ended)
    assert len(ended) == metric(gate, "gatehouse_connections_shed_total")
    until(lambda: "connections: " in gate.stderr() and "enough again" in gate.stderr())
    assert echoes(tunnel)
    for c in young:
        assert c.get("/ok").status == 200
    for c in old + young + [tunnel]:
        c.close()


def test_connections_that_are_all_busy(small):
    """None is idle: none is ended, those above the bound are closed, and afterwards all is well."""
    gate = small.gate
    gate.settings["limits"]["connections"] = 20
    gate.write_settings()
    gate.start()
    done = threading.Event()

    def hold(conn, r):
        done.wait(20)
        ok()(conn, r)
    small.upstream.on("/hold", hold)
    gate.settings["timeouts"]["upstream_head"] = "30s"
    gate.write_settings()
    assert gate.admin("POST", "/v1/reload")[0] == 200
    clients = [small.client(timeout=20).send(request("/hold")) for _ in range(20)]
    until(lambda: small.upstream.count("/hold") == 20, 5)
    until(lambda: shortage(gate, "connections") == 2, 5)
    assert ready(gate) == (200, {"ready": True, "reasons": [], "overload": ["connections"]})
    assert any("connections: 20 of 20" in w for w in gate.admin_json("/v1/node")["warnings"])
    with small.client() as late:
        assert late.closed()
    time.sleep(0.3)
    done.set()
    assert [c.response().status for c in clients] == [200] * 20
    for c in clients:
        c.close()
    until(lambda: shortage(gate, "connections") == 0, 5)
    assert ready(gate) == (200, {"ready": True, "reasons": []})
    assert gate.stderr().count("connections: 20 of 20 in use") == 1, gate.stderr()


# --- descriptors ---

def test_descriptors(small):
    gate = small.gate
    gate.settings["timeouts"].update(keep_alive="60s", upstream_head="30s", tunnel_idle="60s")
    gate.write_settings()
    gate.start()
    done = threading.Event()

    def hold(conn, r):
        done.wait(30)
        ok()(conn, r)
    small.upstream.on("/hold", hold)
    tunnel = opened_tunnel(small)
    idle = [idle_client(small) for _ in range(6)]
    time.sleep(1.2)
    resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (gate.open_files() + 4, 4096))
    until(lambda: shortage(gate, "descriptors") > 0, 5)
    until(lambda: any(c.readable() for c in idle), 5)   # they make room
    busy, answers = [], []
    end = time.monotonic() + 20
    while not answers:
        assert time.monotonic() < end, "nothing was refused"
        with contextlib.suppress(OSError):
            client = small.client(timeout=20)
            client.send(request("/hold"))
            busy.append(client)
        time.sleep(0.05)
        for c in list(busy):
            if not c.readable():
                continue
            busy.remove(c)
            if (answer := c.reader.response()) is not None:   # closed: accepted above the bound
                answers.append(answer)
    assert all(refused(a) for a in answers), answers
    assert shortage(gate, "descriptors") == 2
    assert ready(gate)[1]["overload"] == ["descriptors"]
    assert gate.admin_json("/v1/tenants")
    assert echoes(tunnel)
    assert "descriptors: " in gate.stderr()
    done.set()
    waiting = [c for c in busy if c.reader.response() is not None]
    assert waiting, "what had its connections was to go on"
    for c in busy + idle:
        c.close()
    until(lambda: small.get("/ok").status == 200, 10)
    resource.prlimit(gate.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
    until(lambda: shortage(gate, "descriptors") == 0, 5)
    until(lambda: small.get("/ok").status == 200, 5)
    assert echoes(tunnel)
    tunnel.close()


# --- memory ---

def test_memory(small):
    gate = small.gate
    gate.settings["limits"].update(memory="1%", head_bytes="1MiB")
    gate.settings["timeouts"].update(request_head="60s", keep_alive="60s", tunnel_idle="60s")
    gate.write_settings()
    gate.start()
    until(lambda: used(gate, "memory") > 0, 5)
    percent = 1
    while bound(gate, "memory") < used(gate, "memory") + (100 << 20):   # of a small machine, or with a sanitizer
        percent += 1
        assert percent <= 100, "this machine has too little memory"
        gate.settings["limits"]["memory"] = f"{percent}%"
        gate.write_settings()
        assert gate.admin("POST", "/v1/reload")[0] == 200
    missing = bound(gate, "memory") - used(gate, "memory")
    if missing > 1 << 30:
        pytest.skip("filling a hundredth of this machine's memory takes too much of it")
    assert shortage(gate, "memory") == 0 and "overload" not in ready(gate)[1]
    tunnel, idle = opened_tunnel(small), idle_client(small)
    time.sleep(1.2)
    # Heads without an end are held; each is filled to nine tenths.
    fillers = []
    head = b"GET / HTTP/1.1\r\nHost: acme.localhost\r\nX-Filler: " + b"x" * 900_000
    try:
        while shortage(gate, "memory") < 2:
            assert len(fillers) * 900_000 < 4 * missing + (100 << 20), "memory is not bounded"
            for _ in range(8):
                fillers.append(Client(gate.port, timeout=10).send(head))
            time.sleep(0.05)
        assert idle.closed()
        with small.client() as late:
            answer = late.get("/ok")
            assert refused(answer), answer
            assert late.closed()
        assert refused(small.get("/ok"))
        assert ready(gate) == (200, {"ready": True, "reasons": [], "overload": ["memory"]})
        assert gate.admin_json("/v1/tenants")
        assert echoes(tunnel)
        line = gate.access_lines("/ok", at_least=3)[-1]
        assert (line["problem"], line["stage"], line["tenant"]) == ("overloaded", "admit", "acme")
        assert gate.stderr().count("new requests are refused") == 1, gate.stderr()
    finally:
        for c in fillers:
            c.close()
    if not os.environ.get("GATEHOUSE_SLOW"):   # sanitizers keep what was freed
        until(lambda: shortage(gate, "memory") == 0, 20)
        assert small.get("/ok").status == 200
        until(lambda: "enough again" in gate.stderr())
    assert echoes(tunnel)
    tunnel.close()
