"""Quotas of calendar periods: exact, of the whole family, kept across kill -9, told before they end."""
import concurrent.futures
import sqlite3
import time

import pytest

from kit.gate import until

tenants = {
    "ten": {"name": "Ten", "pool": "main", "limits": {"quota": "10/month"}},
    "planned": {"name": "Planned", "pool": "main", "plan": "small"},
    "many": {"name": "Many", "pool": "main", "limits": {"quota": "300/month"}},
    "routed": {"name": "Routed", "pool": "main",
               "routes": [{"path": "/few", "limits": {"quota": "2/month"}}, {"path": "/"}]},
    "family": {"name": "Family", "pool": "main", "limits": {"quota": "6/month"}},
    "kid": {"name": "Kid", "parent": "family", "limits": {"quota": "4/month"}},
    "both": {"name": "Both", "pool": "main", "limits": {"quota": "100/month", "rate": "1/m", "burst": 2}},
    "free": {"name": "Free", "pool": "main"},
}
plans = {"plans": {"small": {"quota": "3/day"}}}


@pytest.fixture(scope="module")
def world(build):
    return build(tenants=tenants, settings=plans)


def statuses(world, host, n, path="/"):
    with world.client() as client:
        return [client.get(path, host=host).status for _ in range(n)]


def rows(gate):
    with sqlite3.connect(gate.folder / "state" / "central.db") as db:
        return {(tenant, route): used for tenant, route, used in db.execute("SELECT tenant,route,used FROM quotas")}


def test_so_many_and_no_more(world):
    assert statuses(world, "ten.localhost", 10) == [200] * 10
    with world.upstream.silent():
        answer = world.get("/", host="ten.localhost")
    assert answer.status == 429 and answer.problem() == "quota-exhausted"
    assert answer.json()["detail"] == "The quota of tenant ten is reached."
    left = int(answer.fields.get("retry-after"))
    assert 1 <= left <= 31 * 86400 + 60
    policy, said = answer.fields.get("ratelimit-policy"), answer.fields.get("ratelimit")
    assert policy == '"tenant;quota";q=10' and said.startswith('"tenant;quota";r=0;t=')
    assert 0 <= left - int(said.rsplit("=", 1)[1]) <= 60
    assert statuses(world, "free.localhost", 3) == [200] * 3


def test_what_is_left_is_told(world):
    answer = world.get("/", host="planned.localhost")
    assert answer.status == 200 and answer.fields.get("ratelimit").startswith('"tenant;quota";r=2;t=')
    assert statuses(world, "planned.localhost", 3) == [200, 200, 429]


def test_a_route(world):
    assert statuses(world, "routed.localhost", 3, "/few") == [200, 200, 429]
    assert statuses(world, "routed.localhost", 3) == [200] * 3


def test_a_family(world):
    """The parent's is charged by all; a child's refusal gives back, and so does a parent's."""
    assert statuses(world, "kid.family.localhost", 6) == [200] * 4 + [429] * 2
    assert statuses(world, "family.localhost", 3) == [200, 200, 429]
    answer = world.get("/", host="kid.family.localhost")
    assert answer.json()["detail"] == "The quota of tenant kid is reached."


def test_refused_by_rate_is_not_counted(world):
    assert statuses(world, "both.localhost", 12) == [200] * 2 + [429] * 10
    until(lambda: rows(world.gate).get(("both", "")) == 2, 5)


def test_exact_over_workers_and_connections(world):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        codes = [s for batch in pool.map(lambda _: statuses(world, "many.localhost", 50), range(8)) for s in batch]
    assert codes.count(200) == 300 and codes.count(429) == 100


def test_told_once_and_shown(world):
    statuses(world, "ten.localhost", 11)
    statuses(world, "many.localhost", 1)
    until(lambda: "the quota 10/month is used up" in world.gate.stderr(), 5)
    until(lambda: 'gatehouse_quota_used_ratio{tenant="ten"} 1' in world.gate.admin("GET", "/metrics")[1], 5)
    metrics = world.gate.admin("GET", "/metrics")[1]
    assert 'gatehouse_quota_used_ratio{tenant="routed",route="/few"} 1' in metrics
    assert 'tenant="both"} 0' not in metrics.split("gatehouse_quota_used_ratio", 1)[1].split("# ", 1)[0]
    statuses(world, "ten.localhost", 5)
    time.sleep(1.5)
    assert world.gate.stderr().count("tenant ten: the quota 10/month is used up") == 1


def test_kept_when_killed_and_when_stopped(build):
    world = build(tenants={"acme": {"name": "Acme", "pool": "main", "limits": {"quota": "100/month"}, "routes": [
        {"path": "/r", "limits": {"quota": "50/month"}}, {"path": "/"}]}})
    gate = world.gate

    def left(path="/"):
        return int(world.get(path).fields.get("ratelimit").split("r=")[1].split(";")[0])

    assert statuses(world, "acme.localhost", 30, "/r") == [200] * 30
    until(lambda: rows(gate) == {("acme", ""): 30, ("acme", "/r"): 30}, 5)
    gate.kill()
    gate.start()
    assert left("/r") == 19
    assert left() == 68
    gate.stop()     # at once: what was counted since the last second is stored as it ends
    assert rows(gate) == {("acme", ""): 32, ("acme", "/r"): 31}
    gate.start()
    assert left() == 67
    assert statuses(world, "acme.localhost", 70).count(200) == 67


def test_a_period_that_ended_while_it_was_down(build):
    world = build(tenants={"acme": {"name": "Acme", "pool": "main", "limits": {"quota": "5/day"}}})
    gate = world.gate
    assert statuses(world, "acme.localhost", 6) == [200] * 5 + [429]
    gate.stop()
    with sqlite3.connect(gate.folder / "state" / "central.db") as db:
        db.execute("UPDATE quotas SET begin=begin-86400")
        db.execute("INSERT INTO quotas VALUES('gone','','fortnight',0,7)")
    gate.start()
    assert statuses(world, "acme.localhost", 6) == [200] * 5 + [429]


def test_explain_says_what_is_left(world):
    url = "http://free.localhost/"
    assert "requests left" not in world.gate.admin("GET", "/v1/explain?url=" + url)[1]
    report = world.gate.admin("GET", "/v1/explain?url=http://ten.localhost/")[1]
    assert "0 requests left of 10/month" in report and "quota-exhausted" in report


def test_a_larger_quota_is_in_force_at_once(world):
    statuses(world, "ten.localhost", 11)
    world.gate.write_tenant("ten", {**tenants["ten"], "limits": {"quota": "12/month"}})
    until(lambda: world.get("/", host="ten.localhost").status == 200, 3)
    assert statuses(world, "ten.localhost", 3) == [200, 429, 429]
