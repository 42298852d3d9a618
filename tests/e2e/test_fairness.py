"""Where an endpoint is full, tenants take turns: by weight, and no flood keeps another tenant out."""
import os
import threading
import time

from kit.client import Client, ProtocolError, request
from kit.gate import until
from kit.upstream import ScriptedUpstream, ok

slow_factor = 6 if os.environ.get("GATEHOUSE_SLOW") else 1
tenants = {
    "acme": {"pool": "main", "plan": "small"},
    "globex": {"pool": "main", "plan": "large"},
    "quiet": {"pool": "main", "plan": "small"},
}


def full_endpoint(build, upstream, max_pending, max_connections=1, workers=1, connect="20s"):
    return build(upstream=upstream, tenants=tenants, pools={"main": {"endpoints": [
        {"address": upstream.address, "max_connections": max_connections, "max_pending": max_pending}]}}, settings={
            "node": {"workers": workers}, "timeouts": {"connect": connect, "upstream_head": "20s"},
            "plans": {"small": {"weight": 1}, "large": {"weight": 3}}})


def held(upstream):
    """What upstream answers waits for the event; the order of tenants whose requests it saw."""
    go, order = threading.Event(), []

    def answer(conn, r):
        order.append(r.fields.get("x-tenant-id"))
        go.wait(20)
        ok(b"fine")(conn, r)
    upstream.default = answer
    return go, order


def ask(world, tenant, count):
    clients = [Client(world.gate.port) for _ in range(count)]
    for client in clients:
        client.send(request("/", host=f"{tenant}.localhost"))
    return clients


def pending(world, count):
    until(lambda: world.gate.admin_json("/v1/pools/main")["endpoints"][0]["pending"] == count, 5 * slow_factor, 0.02)


def statuses(clients):
    codes = [client.response().status for client in clients]
    for client in clients:
        client.close()
    return codes


def test_places_are_shared_by_weight(build):
    upstream = ScriptedUpstream()
    go, order = held(upstream)
    world = full_endpoint(build, upstream, 200)
    first = ask(world, "quiet", 1)
    until(lambda: len(order) == 1, 5 * slow_factor, 0.02)
    small = ask(world, "acme", 40)
    pending(world, 40)
    large = ask(world, "globex", 40)
    pending(world, 80)
    late = ask(world, "quiet", 1)
    pending(world, 81)
    go.set()
    assert set(statuses(first + small + large + late)) == {200}
    assert "quiet" in order[1:8], order
    shared = [t for t in order[1:] if t != "quiet"][:40]
    assert 9 <= shared.count("acme") <= 11, order
    pending(world, 0)


def test_a_flood_gives_up_places_to_who_holds_few(build):
    upstream = ScriptedUpstream()
    go, order = held(upstream)
    world = full_endpoint(build, upstream, 10)
    first = ask(world, "acme", 1)
    until(lambda: len(order) == 1, 5 * slow_factor, 0.02)
    flood = []
    for waiting in range(1, 11):
        flood += ask(world, "acme", 1)
        pending(world, waiting)
    assert statuses(ask(world, "acme", 10)) == [503] * 10   # the newest, while the others wait
    pending(world, 10)
    quiet = ask(world, "quiet", 1)
    refused = flood[9].response()
    assert refused.status == 503 and b"overloaded" in refused.body
    pending(world, 10)
    go.set()
    assert statuses(first + flood[:9] + quiet) == [200] * 11
    assert order[1:4].count("quiet") == 1, order


def test_a_flood_on_all_workers_leaves_a_quiet_tenant_its_turn(build):
    """In order of arrival the quiet one would wait for two seconds and more, longer than it may."""
    upstream = ScriptedUpstream()
    upstream.default = lambda conn, r: (time.sleep(0.05), ok(b"fine")(conn, r))
    world = full_endpoint(build, upstream, 60, max_connections=2, workers=2, connect="1s")
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            try:
                with world.client() as client:
                    while not stop.is_set() and client.get("/", host="acme.localhost").status == 200:
                        pass
            except (OSError, ProtocolError):
                continue
            stop.wait(0.02)   # what was refused asks again

    threads = [threading.Thread(target=flood) for _ in range(80)]
    for t in threads:
        t.start()
    until(lambda: world.gate.admin_json("/v1/pools/main")["endpoints"][0]["pending"] >= 50, 10 * slow_factor, 0.02)
    codes = []
    for _ in range(10):
        with world.client() as client:
            codes.append(client.get("/", host="quiet.localhost").status)
    stop.set()
    for t in threads:
        t.join()
    assert codes.count(200) >= 9, codes
    pending(world, 0)
