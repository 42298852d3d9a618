"""Usage by the hour: counted exactly, kept across kill -9 and stops, of the whole fleet, as table, CSV and JSON."""
import csv
import io
import json
import threading
import time

import pytest

from kit import websocket
from kit.gate import until
from kit.ports import free_port
from kit.upstream import ScriptedUpstream, ok
from test_follower import Fleet, certs, is_following   # noqa: F401 (a fixture)

HOST = "shop.acme.example"
ROUND = 13   # seconds: what was used is stored every ten, by the clock, and the node looks twice a second


def usage(gate, tenant="acme", query=""):
    return gate.admin_json(f"/v1/tenants/{tenant}/usage{query}")


def total(gate, tenant="acme", key="requests"):
    return usage(gate, tenant)["total"][key]


def ask(gate, n, host="acme.localhost", path="/"):
    with gate.client() as client:
        return [client.get(path, host=host).status for _ in range(n)]


# --- one node ---

limited = {
    "acme": {"name": "Acme", "pool": "main"},
    "slow": {"name": "Slow", "pool": "main", "limits": {"rate": "1/m", "burst": 2}},
    "few": {"name": "Few", "pool": "main", "limits": {"quota": "3/month"}},
    "small": {"name": "Small", "pool": "main", "limits": {"max_body": "1KiB"}},
    "one": {"name": "One", "pool": "main", "limits": {"connections": 1}},
    "dead": {"name": "Dead", "pool": "nobody"},
    "idle": {"name": "Idle", "pool": "main"},
}


@pytest.fixture(scope="module")
def world(build):
    upstream = ScriptedUpstream()
    return build(tenants=limited, upstream=upstream,
                 pools={"main": [upstream.address], "nobody": [f"127.0.0.1:{free_port()}"]})


def test_each_limit_and_each_error_is_told_apart(world):
    gate = world.gate
    assert ask(gate, 5, "slow.localhost") == [200] * 2 + [429] * 3
    assert ask(gate, 5, "few.localhost") == [200] * 3 + [429] * 2
    with gate.client() as client:
        assert client.get("/", "small.localhost", method="POST", body=b"x" * 2000).status == 413
    with gate.client() as first, gate.client() as second:
        assert first.get("/", host="one.localhost").status == 200
        assert second.get("/", host="one.localhost").status == 429
    assert ask(gate, 2, "dead.localhost") == [502] * 2
    world.upstream.on("/broken", ok(b"", status=b"500 Internal Server Error"))
    assert ask(gate, 3) == [200] * 3 and ask(gate, 1, path="/broken") == [500]
    until(lambda: total(gate, "acme") == 4, ROUND)

    def counts(tenant):
        return {k: v for k, v in usage(gate, tenant)["total"].items() if v and not k.startswith("bytes")}
    assert counts("slow") == {"requests": 5, "refused": 3, "rate_limited": 3, "peak_concurrency": 1}
    assert counts("few") == {"requests": 5, "refused": 2, "quota_exhausted": 2, "peak_concurrency": 1}
    assert counts("small") == {"requests": 1, "refused": 1, "body_too_large": 1}
    assert counts("one") == {"requests": 2, "refused": 1, "connections_limited": 1, "peak_concurrency": 1}
    assert counts("dead") == {"requests": 2, "gateway_errors": 2, "upstream_failures": 2, "peak_concurrency": 1}
    assert counts("acme") == {"requests": 4, "application_errors": 1, "peak_concurrency": 1}
    assert usage(gate, "idle")["hours"] == []
    assert usage(gate)["nodes"] == ["edge-test"] and usage(gate)["missing"] == []


def test_as_table_csv_and_json(world):
    gate = world.gate
    until(lambda: total(gate, "slow") == 5, ROUND)
    table = gate.run("tenant", "usage", "slow", "--config", str(gate.config))
    assert table.returncode == 0, table.stderr
    lines = table.stdout.splitlines()
    assert lines[0].split()[:2] == ["HOUR", "REQUESTS"] and lines[-1].split()[:2] == ["total", "5"]
    out = gate.run("tenant", "usage", "slow", "--csv", "--config", str(gate.config))
    rows = list(csv.DictReader(io.StringIO(out.stdout)))
    assert sum(int(r["requests"]) for r in rows) == 5 and rows[0]["tenant"] == "slow"
    assert sum(int(r["rate_limited"]) for r in rows) == 3
    shown = json.loads(gate.run("tenant", "usage", "slow", "--json", "--from", "1990-01-01", "--config", str(gate.config)).stdout)
    assert shown["total"]["requests"] == 5 and shown["next"] is None
    for wrong, code in ((["slow", "--from", "yesterday"], 1), (["nobody"], 1), ([], 2)):
        bad = gate.run("tenant", "usage", *wrong, "--config", str(gate.config))
        assert bad.returncode == code and bad.stderr
    status, text, fields = gate.admin("GET", "/v1/tenants/slow/usage?from=2026-11-02&to=2026-11-01")
    assert status == 400 and fields["content-type"] == "application/problem+json" and "before to" in json.loads(text)["detail"]


def test_a_stop_loses_nothing_and_a_kill_ten_seconds(build):
    world = build()
    gate = world.gate
    assert ask(gate, 7) == [200] * 7
    gate.stop()
    gate.start()
    assert total(gate) == 7
    assert ask(gate, 5) == [200] * 5
    until(lambda: total(gate) == 12, ROUND)
    assert ask(gate, 3) == [200] * 3
    gate.kill()
    gate.start()
    assert 12 <= total(gate) <= 15
    gate.stop()
    gate.start()
    assert 12 <= total(gate) <= 15


def test_a_removed_tenant_has_used_what_it_used(build):
    world = build()
    gate = world.gate
    assert ask(gate, 6, "globex.localhost") == [200] * 6
    gate.delete_tenant("globex")
    until(lambda: world.get("/", host="globex.localhost").status == 410, 3)
    until(lambda: total(gate, "globex") >= 6, ROUND)   # and what was asked until it was gone


def test_bytes_of_a_tunnel_count_while_it_is_open(build):
    world = build()
    world.upstream.on("/ws", websocket.echo_upstream)
    with world.client() as client:
        client.send(websocket.upgrade_request())
        assert client.response().status == 101
        client.send(websocket.frame(b"x" * 50_000, 2))
        assert websocket.read_frame(client.reader)[1] == b"x" * 50_000
        until(lambda: total(world.gate, key="bytes_in") > 50_000 and total(world.gate, key="bytes_out") > 50_000, ROUND)
        assert total(world.gate) == 0   # it has not ended
        open_in = total(world.gate, key="bytes_in")
        client.send(websocket.frame(b"", 8))
        client.closed()
    until(lambda: total(world.gate) == 1, ROUND)
    assert open_in < total(world.gate, key="bytes_in") < open_in + 1000   # none counted twice


# --- a fleet ---

@pytest.fixture
def fleet(tmp_path, redis, certs, upstream):   # noqa: F811
    with Fleet(tmp_path, redis, certs, upstream, {"acme": {"hosts": [HOST]}}) as f:
        yield f


def both(fleet):
    edge = fleet.edge()
    until(lambda: is_following(edge), 10)
    return fleet.center, edge


def test_any_node_shows_the_sum_of_all(fleet, redis):
    center, edge = both(fleet)
    assert ask(center, 4, HOST) == [200] * 4 and ask(edge, 6, HOST) == [200] * 6
    for gate in (center, edge):
        until(lambda: total(gate) == 10, ROUND)
        assert usage(gate)["nodes"] == ["center", "edge-1"] and usage(gate)["missing"] == []
    for key in redis.keys("gatehouse:usage*"):
        assert redis.ask("PTTL", key) > 0, key
    # On an edge older hours are its own alone, and it says so; who publishes keeps those of all.
    old = "?from=2020-01-01"
    assert len(usage(edge, query=old)["missing"]) == 1 and usage(center, query=old)["missing"] == []
    # What the publisher has collected it knows without Redis.
    time.sleep(ROUND)
    redis.kill()
    until(lambda: usage(center)["missing"] != [], 5)
    assert total(center) == 10
    assert total(edge) == 6 and "Redis does not answer" in usage(edge)["missing"][0]


def test_redis_away_and_back_empty_counts_each_request_once(fleet, redis):
    center, edge = both(fleet)
    assert ask(edge, 3, HOST) == [200] * 3
    until(lambda: total(center) == 3, ROUND)
    redis.kill()
    assert ask(edge, 5, HOST) == [200] * 5
    until(lambda: total(edge) == 8, ROUND)
    edge.kill()   # what was never told is told after a restart
    redis.start()
    edge.start(wait=20)
    until(lambda: is_following(edge), 20)
    assert ask(edge, 2, HOST) == [200] * 2
    until(lambda: total(center) == 10, 3 * ROUND)
    assert total(edge) == 10
    edge.stop()
    edge.start(wait=20)
    time.sleep(ROUND)
    assert total(center) == 10


def test_a_frozen_redis_and_answers_that_come_late(fleet, redis):
    center, edge = both(fleet)
    done = threading.Event()
    sent = []

    def load():
        while not done.is_set():
            sent.extend(ask(edge, 5, HOST))
            time.sleep(0.2)

    thread = threading.Thread(target=load)
    thread.start()
    for _ in range(2):
        time.sleep(6)
        redis.freeze()
        time.sleep(6)
        redis.thaw()
    done.set()
    thread.join()
    assert set(sent) == {200}
    until(lambda: total(center) == len(sent) == total(edge), 4 * ROUND, pause=0.2)
