"""Rates that a publisher and an edge keep together through a real Redis."""
import contextlib
import random
import signal
import threading
import time

import pytest

from kit.gate import until
from kit.http_message import ProtocolError
from kit.redis import Redis
from test_follower import Fleet, certs, is_following   # noqa: F401 (a fixture)

RATE, BURST = 200, 100
HOST = "shop.acme.example"
TENANTS = {"acme": {"hosts": [HOST], "limits": {"rate": f"{RATE}/s", "burst": BURST}},
           "open": {"hosts": ["open.acme.example"], "limits": {"rate": "2/s", "burst": 2, "on_redis_loss": "open"}},
           "closed": {"hosts": ["closed.acme.example"], "limits": {"rate": "20/s", "burst": 20, "on_redis_loss": "closed"}}}


@pytest.fixture
def nodes(tmp_path, redis, certs, upstream):   # noqa: F811
    with Fleet(tmp_path, redis, certs, upstream, TENANTS) as fleet:
        edge = fleet.edge()
        until(lambda: is_following(edge), 10)
        both = [fleet.center, edge]
        until(lambda: all(shares(n)["nodes"] == 2 and not shares(n)["lost"] for n in both), 10)
        time.sleep(0.7)   # by then each has counted the other
        yield both


def shares(gate):
    return gate.admin_json("/v1/node")["shares"]


class Load:
    """Requests at each of `gates` as fast as `a_second` says, for a while; when each was admitted."""

    def __init__(self, gates, a_second, seconds, host=HOST):
        self.admitted, self.sent, self.slowest, self.odd = [], 0, 0.0, []
        self._end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._run, args=(g, a_second / len(gates), host)) for g in gates]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not self.odd and self.sent > 0, self.odd[:3]

    def _run(self, gate, a_second, host):
        begun, n = time.monotonic(), 0
        with gate.client() as client:
            while time.monotonic() < self._end:
                n += 1
                time.sleep(max(0.0, begun + n / a_second - time.monotonic()))
                sent = time.monotonic()
                answer = client.get("/", host=host)
                self.slowest = max(self.slowest, time.monotonic() - sent)
                self.sent += 1
                if answer.status == 200:
                    self.admitted.append(time.monotonic())
                elif answer.status != 429 or int(answer.fields.get("retry-after", "0")) < 1:
                    self.odd.append((answer.status, answer.fields.get("retry-after")))


def excess(times, rate=RATE):
    """By how much the most in any window of a second or more is over rate x W."""
    times = sorted(times)
    return max((k - i + 1 - rate * max(1.0, times[k] - times[i]) for i in range(len(times)) for k in range(i, len(times))), default=0)


def test_both_together_admit_the_rate_wherever_requests_come(nodes):
    times = []
    for gates in ([nodes[0]], nodes, [nodes[1]]):
        load = Load(gates, 2 * RATE, 2.0)
        times += load.admitted
        if load.sent > 1.5 * RATE * 2:   # a machine that has other things to do sends less
            assert len(load.admitted) >= 0.7 * RATE * 2, (len(load.admitted), load.sent)
    # The load knows when an answer came, not when it was admitted.
    assert excess(times) <= BURST + max(RATE / 10, 2) + 10


def test_a_frozen_redis_costs_nobody_time_and_each_node_keeps_its_part(nodes, redis):
    Load(nodes, 2 * RATE, 1.0)
    redis.freeze()
    with contextlib.ExitStack() as thawed:
        thawed.callback(redis.thaw)
        load = Load([nodes[1]], 2 * RATE, 2.0)
        assert load.slowest < 2
        assert shares(nodes[1])["lost"]
        alone = Load([nodes[1]], 2 * RATE, 1.5)
        assert RATE / 2 * 1.5 * 0.5 <= len(alone.admitted) <= RATE / 2 * 1.5 + BURST
        text = nodes[1].admin("GET", f"/v1/explain?url=http://{HOST}/&format=text")[1]
        assert "Redis is away: one of 2 parts" in text
    until(lambda: not shares(nodes[1])["lost"], 5)
    assert nodes[1].get("/readyz", host=HOST).status in (200, 429)


def test_nodes_and_redis_that_die_and_freeze(tmp_path, redis, certs, upstream):   # noqa: F811
    """Three nodes; whatever becomes of them and of Redis, together they keep the bound."""
    seed = random.randrange(1000)
    chance = random.Random(seed)
    with Fleet(tmp_path, redis, certs, upstream, TENANTS) as fleet:
        edges = [fleet.edge("edge-1"), fleet.edge("edge-2")]
        every = [fleet.center, *edges]
        until(lambda: all(shares(n)["nodes"] == 3 and not shares(n)["lost"] for n in every), 10)
        time.sleep(0.7)
        times, ended, deaths = [], threading.Event(), 0

        def ask(gate):
            while not ended.is_set():
                with contextlib.suppress(OSError, ProtocolError), gate.client() as client:
                    while not ended.is_set():
                        if client.get("/", host=HOST).status == 200:
                            times.append(time.monotonic())
                        time.sleep(1 / RATE)   # each alone asks for nearly all of it
                time.sleep(0.02)

        threads = [threading.Thread(target=ask, args=(gate,)) for gate in every]
        for t in threads:
            t.start()
        try:
            for _ in range(8):
                time.sleep(chance.uniform(0.1, 0.6))
                what = chance.choice(("kill", "freeze", "redis"))
                if what == "redis":
                    redis.freeze()
                    time.sleep(chance.uniform(0.05, 1.5))
                    redis.thaw()
                    continue
                edge = chance.choice(edges)
                if what == "kill":
                    edge.kill()
                    deaths += 1
                    edge.start()
                    continue
                edge.signal(signal.SIGSTOP)
                time.sleep(chance.uniform(0.05, 1.5))
                edge.signal(signal.SIGCONT)
            until(lambda: all(shares(n)["nodes"] == 3 and not shares(n)["lost"] for n in every), 10)
        finally:
            ended.set()
            for t in threads:
                t.join()
        credit = BURST / 2 / 3   # of a node, which takes what it owed with it
        assert excess(times) <= BURST + max(RATE / 10, 3) + deaths * credit + 10, (seed, deaths)
        assert len(times) >= 0.4 * RATE * (max(times) - min(times)), (seed, len(times))


def test_what_a_plan_wants_without_redis(nodes, redis):
    assert nodes[1].get("/", host="closed.acme.example").status == 200
    redis.kill()
    until(lambda: shares(nodes[1])["lost"], 5)
    assert [nodes[1].get("/", host="open.acme.example").status for _ in range(20)] == [200] * 20
    assert [nodes[1].get("/", host="closed.acme.example").status for _ in range(5)] == [429] * 5
    redis.start()
    until(lambda: not shares(nodes[1])["lost"], 10)
    until(lambda: nodes[1].get("/", host="closed.acme.example").status == 200, 5)
    until(lambda: nodes[1].get("/", host="open.acme.example").status == 429, 5)


def test_what_is_seen_of_it(nodes, redis):
    assert nodes[1].get("/", host=HOST).status == 200
    text = nodes[1].admin("GET", f"/v1/explain?url=http://{HOST}/&format=text")[1]
    assert "share of tenant acme" in text and "2 nodes, Redis answers in" in text
    metrics = nodes[1].admin("GET", "/metrics")[1]
    assert "gatehouse_share_nodes 2" in metrics and "gatehouse_share_lost 0" in metrics
    until(lambda: redis.ask("EXISTS", "gatehouse:share:acme") == 1, 2)
    for key in redis.ask("KEYS", "gatehouse:share:*") + ["gatehouse:nodes", "gatehouse:shares-since", "gatehouse:node:center"]:
        assert redis.ask("PTTL", key) > 0, key
    # Nobody asks: nothing but pulses.
    until(lambda: shares(nodes[1])["in_use"] == 0, 5)
    asks = shares(nodes[1])["asks"]
    time.sleep(0.5)
    assert shares(nodes[1])["asks"] == asks
    # Who ends in order is not reckoned with.
    nodes[1].stop()
    until(lambda: shares(nodes[0])["nodes"] == 1, 3)


def test_a_reload_can_name_another_redis_or_none(nodes, redis, tmp_path):
    center = nodes[0]
    nodes[1].stop()
    with Redis(tmp_path / "other") as other:
        for url in (other.url, None, redis.url):
            load = threading.Thread(target=Load, args=([center], RATE / 2, 1.5))
            load.start()
            center.settings["registry"].pop("redis", None)
            if url:
                center.settings["registry"]["redis"] = {"url": url}
            center.write_settings()
            assert center.admin("POST", "/v1/reload")[0] == 200
            load.join()
            if url is None:
                assert shares(center) is None
            else:
                until(lambda: not shares(center)["lost"] and shares(center)["nodes"] == 1, 5)
            admitted = Load([center], RATE / 2, 1.0)
            assert len(admitted.admitted) >= 0.9 * admitted.sent, (url, len(admitted.admitted), admitted.sent)


def test_a_node_that_starts_while_redis_is_away_serves_at_once(nodes, redis):
    """It takes what Redis would have told it to be its own, and does not wait for it."""
    edge = nodes[1]
    redis.kill()
    edge.kill()
    edge.start()
    with edge.client() as client:
        assert [client.get("/", host=HOST).status for _ in range(5)].count(200) >= 1
        time.sleep(0.3)
        answers = []
        for _ in range(20):
            answers.append(client.get("/", host=HOST).status)
            time.sleep(0.02)
    assert answers == [200] * 20
