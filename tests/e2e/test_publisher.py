"""A node that publishes its registry into a real Redis: what stands there, and when."""
import json
import os
import subprocess
import time

import pytest

from kit.certs import make_dev_certs
from kit.gate import Gate, binary, until


def within(seconds, condition):
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return make_dev_certs(tmp_path_factory.mktemp("certs"), ["*.apps.example", "shop.acme.example"])


def make_key(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.key"
    if not file.exists():
        file.write_text(subprocess.run(["openssl", "rand", "-hex", "32"], check=True, capture_output=True, text=True).stdout)
        file.chmod(0o600)
    return str(file)


def publisher(tmp_path, redis, certs, tenants=None, settings=None, name="center", regions=("eu-west", "us-east")):
    keys = {r: {"address": f"127.0.0.1:{9000 + i}", "key_file": make_key(tmp_path / "keys", r)} for i, r in enumerate(regions)}
    return Gate(tmp_path / name, {"shared": ["127.0.0.1:9001"]},
                tenants if tenants is not None else {"acme": {"pool": "shared", "hosts": ["shop.acme.example"]}},
                {"node": {"id": name}, "platform": {"domain": "apps.example"}, "registry": {"redis": {"url": redis.url}}, "regions": keys, **(settings or {})}, certs=certs)


def state(gate):
    return gate.admin_json("/v1/node")["publisher"]["state"]


def is_current(gate):
    node = gate.admin_json("/v1/node")["publisher"]
    return node["state"] == "current" and node["waiting"] == 0


def signed(redis, key):
    text = redis.ask("GET", f"gatehouse:{key}")
    return json.loads(text)["signed"] if text else None


def changes(redis):
    return [dict(zip(fields[::2], fields[1::2])) for _, fields in redis.ask("XRANGE", "gatehouse:changes", "-", "+")]


def test_everything_there_is_stands_in_redis(tmp_path, redis, certs):
    tenants = {"acme": {"pool": "shared", "hosts": ["shop.acme.example"], "context": {"database": "acme_prod"}},
               "pixel": {"pool": "shared", "region": "eu-west", "residency": "strict"},
               "bpub": {"pool": "shared", "parent": "pixel", "context": {"database": "secret_of_bpub"}}}
    with publisher(tmp_path, redis, certs, tenants) as gate:
        assert within(10, lambda: is_current(gate))
        assert redis.ask("GET", "gatehouse:host:shop.acme.example") == "acme"
        assert redis.ask("GET", "gatehouse:host:bpub.pixel.apps.example") == "bpub"
        acme = signed(redis, "tenant:acme")
        assert acme["tenant"]["context"] == {"database": "acme_prod"}
        assert acme["hosts"] == ["acme.apps.example", "shop.acme.example"]
        # A child of a strict parent is strict, and its settings are for its region's eyes.
        bpub = signed(redis, "tenant:bpub")
        assert (bpub["region"], bpub["residency"]) == ("eu-west", "strict")
        assert "tenant" not in bpub and "secret_of_bpub" not in redis.ask("GET", "gatehouse:tenant:bpub")
        cert = signed(redis, "cert:shop.acme.example")
        assert cert["chain"].count("BEGIN CERTIFICATE") >= 1 and sorted(cert["keys"]) == ["eu-west", "us-east"]
        assert signed(redis, "cert:*.apps.example") is not None
        for key in redis.keys("gatehouse:cert:*"):
            assert "PRIVATE KEY" not in redis.ask("GET", key)
        platform = signed(redis, "platform")
        assert "shared" in platform["settings"]["pools"]
        assert redis.ask("HGET", "gatehouse:publisher", "complete") == "1"
        assert redis.ask("HGET", "gatehouse:publisher", "node") == "center"


def test_a_change_is_published(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        gate.write_tenant("acme", {"pool": "shared", "name": "Other", "hosts": ["new.acme.example"]})
        assert within(10, lambda: (signed(redis, "tenant:acme") or {}).get("tenant", {}).get("name") == "Other")
        assert redis.ask("GET", "gatehouse:host:new.acme.example") == "acme"
        assert redis.ask("GET", "gatehouse:host:shop.acme.example") is None
        last = changes(redis)[-1]
        assert (last["op"], last["id"], last["add"], last["drop"]) == \
            ("upsert", "acme", "acme.apps.example new.acme.example", "shop.acme.example")
        gate.write_tenant("other", {"pool": "shared"})
        assert within(10, lambda: signed(redis, "tenant:other"))
        gate.delete_tenant("other")
        assert within(3, lambda: "tenant" not in signed(redis, "tenant:other"))
        assert redis.ask("GET", "gatehouse:host:other.apps.example") == "other"   # answers 410 for a while


def test_a_host_that_moves_is_never_without_an_owner_in_the_index(tmp_path, redis, certs):
    tenants = {"a": {"pool": "shared", "hosts": ["move.example"]}, "b": {"pool": "shared"}}
    with publisher(tmp_path, redis, certs, tenants) as gate:
        assert within(10, lambda: is_current(gate))
        gate.write_tenant("a", {"pool": "shared"})
        gate.write_tenant("b", {"pool": "shared", "hosts": ["move.example"]})
        assert within(3, lambda: redis.ask("GET", "gatehouse:host:move.example") == "b")
        assert within(2, lambda: signed(redis, "tenant:a")["hosts"] == ["a.apps.example"])
        assert redis.ask("GET", "gatehouse:host:move.example") == "b"
        held = set()
        for c in changes(redis):
            held -= set(c.get("drop", "").split())
            held |= set(c.get("add", "").split())
        assert "move.example" in held


def test_only_what_differs_is_written_after_a_restart(tmp_path, redis, certs):
    tenants = {f"t{i}": {"pool": "shared"} for i in range(50)}
    gate = publisher(tmp_path, redis, certs, tenants)
    with gate:
        assert within(10, lambda: is_current(gate))
        first = int(redis.ask("HGET", "gatehouse:publisher", "epoch"))
        gate.kill()
        redis.ask("DEL", "gatehouse:tenant:t7", "gatehouse:host:t9.apps.example")
        redis.ask("SET", "gatehouse:tenant:ghost", "{}")
        redis.ask("SET", "gatehouse:host:ghost.example", "ghost")
        redis.ask("SET", "gatehouse:host:stolen.example", "t1")
        gate.write_tenant("t3", {"pool": "shared", "name": "Changed while away"})
        gate.start()
        assert within(10, lambda: is_current(gate))
        assert gate.admin_json("/v1/node")["publisher"]["written"] == 4   # t3, t7, t9, the ghost
        assert signed(redis, "tenant:t3")["tenant"]["name"] == "Changed while away"
        assert signed(redis, "tenant:t7") and redis.ask("GET", "gatehouse:host:t9.apps.example") == "t9"
        assert redis.keys("gatehouse:*ghost*") == [] and redis.keys("gatehouse:host:stolen*") == []
        assert int(redis.ask("HGET", "gatehouse:publisher", "epoch")) > first


def test_a_redis_that_was_emptied_is_filled_again(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        before = int(redis.ask("HGET", "gatehouse:publisher", "epoch"))
        redis.kill()
        assert within(5, lambda: state(gate) == "away")
        assert gate.admin("GET", "/readyz", token=None)[0] == 200
        gate.write_tenant("late", {"pool": "shared"})
        until(lambda: gate.admin("GET", "/v1/tenants/late")[0] == 200, 5)
        redis.start()
        assert within(15, lambda: is_current(gate))
        assert signed(redis, "tenant:late") and signed(redis, "tenant:acme") and signed(redis, "platform")
        assert int(redis.ask("HGET", "gatehouse:publisher", "epoch")) > before
        redis.ask("FLUSHALL")   # under its feet
        gate.write_tenant("later", {"pool": "shared"})
        assert within(15, lambda: is_current(gate) and signed(redis, "tenant:acme") and signed(redis, "tenant:later"))


def test_a_second_publisher_stands_by_and_takes_over(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as first:
        assert within(10, lambda: is_current(first))
        second = publisher(tmp_path, redis, certs, {"only-second": {"pool": "shared"}}, name="second")
        with second:
            assert within(5, lambda: state(second) == "standby")
            # Nothing waits where another node writes.
            second.write_tenant("only-second", {"pool": "shared", "name": "Changed"})
            until(lambda: second.admin_json("/v1/tenants/only-second")["tenant"].get("name") == "Changed", 5)
            assert second.admin_json("/v1/node")["publisher"]["waiting"] == 0
            assert any("center publishes this registry" in w for w in second.admin_json("/v1/node")["warnings"])
            until(lambda: "center publishes this registry" in second.stderr())
            assert signed(redis, "tenant:only-second") is None
            first.kill()
            assert within(20, lambda: is_current(second))   # when the lease has run out
            assert signed(redis, "tenant:only-second") and signed(redis, "tenant:acme") is None
            first.start()
            assert within(5, lambda: state(first) == "standby")
            assert signed(redis, "tenant:acme") is None


def test_a_full_redis_is_told_and_tried_again(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        gate.write_tenant("late", {"pool": "shared"})
        assert within(5, lambda: state(gate) == "away")
        assert "OOM" in gate.admin_json("/v1/node")["publisher"]["why"]
        assert gate.get(host="late.apps.example").status in (200, 502)   # in force here
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        assert within(10, lambda: is_current(gate))
        assert signed(redis, "tenant:late")


def test_a_frozen_redis_holds_nobody_up(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        redis.freeze()
        gate.write_tenant("late", {"pool": "shared"})
        assert within(2, lambda: gate.get(host="late.apps.example").status in (200, 502))
        assert gate.admin("POST", "/v1/reload", timeout=10)[0] == 200
        redis.thaw()
        assert within(20, lambda: is_current(gate) and signed(redis, "tenant:late"))


def test_certificates_follow_their_files_and_owners(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        good = (gate.certs_dir / "shop.acme.example.pem").read_text()
        before = signed(redis, "cert:shop.acme.example")
        gate._put(gate.certs_dir / "shop.acme.example.pem", "no certificate")
        assert within(5, lambda: any("shop.acme.example" in r for r in gate.admin_json("/v1/node")["publisher"]["refused"]))
        assert signed(redis, "cert:shop.acme.example") == before
        gate._put(gate.certs_dir / "shop.acme.example.pem", good)
        assert within(5, lambda: gate.admin_json("/v1/node")["publisher"]["refused"] == [])
        gate.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example"], "region": "us-east", "residency": "strict"})
        assert within(5, lambda: list(signed(redis, "cert:shop.acme.example")["keys"]) == ["us-east"])
        gate.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example"]})
        assert within(5, lambda: len(signed(redis, "cert:shop.acme.example")["keys"]) == 2)
        (gate.certs_dir / "shop.acme.example.pem").unlink()
        assert within(5, lambda: signed(redis, "cert:shop.acme.example") is None)


def test_a_strict_tenant_without_its_regions_key_is_not_published(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs, regions=("us-east",)) as gate:
        assert within(10, lambda: is_current(gate))
        gate.write_tenant("acme", {"pool": "shared", "region": "eu-west", "residency": "strict"})
        assert within(5, lambda: signed(redis, "tenant:acme") is None)
        assert "no key of its home region" in gate.admin_json("/v1/node")["publisher"]["refused"][0]
        assert gate.get(host="acme.apps.example").status in (200, 502)


def test_a_client_ca_that_is_no_file_holds_up_nobody(tmp_path, redis, certs):
    fifo = tmp_path / "clients-ca.pem"
    os.mkfifo(fifo)
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        gate.write_tenant("acme", {"pool": "shared", "tls": {"client_ca": str(fifo)}})
        assert within(5, lambda: any(f"{fifo} is empty" in r for r in gate.admin_json("/v1/node")["publisher"]["refused"]))
        assert "client_ca" not in json.dumps(signed(redis, "tenant:acme"))   # the older one stands
        gate.write_tenant("late", {"pool": "shared"})
        assert within(5, lambda: signed(redis, "tenant:late"))


def test_metrics_and_a_wrong_key_file(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        text = gate.admin("GET", "/metrics")[1]
        assert 'gatehouse_publisher{state="current"} 1' in text and "gatehouse_publisher_waiting 0" in text
        (tmp_path / "keys" / "us-east.key").write_text("not a key\n")
        status, body, _ = gate.admin("POST", "/v1/reload", timeout=10)
        assert status == 409 and "us-east.key" in body and "openssl rand -hex 32" in body
        assert is_current(gate)


def run_verb(gate, *words):
    return subprocess.run([binary(), *words, "--config", str(gate.config)], capture_output=True, text=True, timeout=60)


def test_the_verbs_compare_and_publish(tmp_path, redis, certs):
    tenants = {f"t{i}": {"pool": "shared"} for i in range(30)}
    with publisher(tmp_path, redis, certs, tenants) as gate:
        assert within(10, lambda: is_current(gate))
        same = run_verb(gate, "registry", "diff")
        assert (same.returncode, same.stdout) == (0, "Redis has the registry as it is\n"), same.stderr
        redis.ask("DEL", "gatehouse:tenant:t3")
        redis.ask("SET", "gatehouse:tenant:t4", redis.ask("GET", "gatehouse:tenant:t5"))
        redis.ask("SET", "gatehouse:tenant:ghost", "{}")
        redis.ask("SET", "gatehouse:host:ghost.example", "ghost")
        found = run_verb(gate, "registry", "diff", "--json")
        assert found.returncode == 1, found.stderr
        assert sorted((d["key"], d["in_redis"]) for d in json.loads(found.stdout)["differences"]) == [
            ("host:ghost.example", "extra"), ("tenant:ghost", "extra"), ("tenant:t3", "missing"), ("tenant:t4", "other")]
        # It only looked, and what changes meanwhile is written.
        assert signed(redis, "tenant:t3") is None
        gate.write_tenant("t6", {"pool": "shared", "name": "Changed"})
        assert within(3, lambda: signed(redis, "tenant:t6")["tenant"].get("name") == "Changed")
        published = run_verb(gate, "registry", "publish")
        assert published.returncode == 0, published.stderr
        assert ", 3 written, epoch " in published.stdout
        assert run_verb(gate, "registry", "diff").returncode == 0
        assert redis.keys("gatehouse:*ghost*") == []
        redis.kill()
        assert within(5, lambda: state(gate) == "away")
        away = run_verb(gate, "registry", "publish")
        assert away.returncode == 1 and "not published now" in away.stderr
        assert run_verb(gate, "registry", "diff").returncode == 1


def test_the_verbs_on_a_node_that_does_not_publish(tmp_path, certs):
    with Gate(tmp_path / "alone", {"shared": ["127.0.0.1:9001"]}, {"acme": {"pool": "shared"}}) as gate:
        assert gate.admin_json("/v1/node")["publisher"] is None
        for verb in ("publish", "diff"):
            ended = run_verb(gate, "registry", verb)
            assert ended.returncode == 1 and "[registry.redis]" in ended.stderr


def test_a_folder_of_certificates_that_cannot_be_read_takes_none_away(tmp_path, redis, certs):
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        before = signed(redis, "cert:shop.acme.example")
        away = gate.certs_dir.with_name("unmounted")
        gate.certs_dir.rename(away)
        assert run_verb(gate, "registry", "publish").returncode == 0
        assert signed(redis, "cert:shop.acme.example") == before
        until(lambda: "cannot be listed" in gate.stderr())
        away.rename(gate.certs_dir)
        assert run_verb(gate, "registry", "publish").returncode == 0


def test_values_of_another_kind_under_our_keys_are_overwritten(tmp_path, redis, certs):
    for key in ("tenant:acme", "host:shop.acme.example", "cert:shop.acme.example"):
        redis.ask("RPUSH", f"gatehouse:{key}", "x")
    with publisher(tmp_path, redis, certs) as gate:
        assert within(10, lambda: is_current(gate))
        assert redis.ask("GET", "gatehouse:host:shop.acme.example") == "acme"
        assert signed(redis, "tenant:acme")["hosts"] and signed(redis, "cert:shop.acme.example")


def damage(gate):
    file = gate.folder / "state/central.db"
    data = bytearray(file.read_bytes())
    data[1024:] = b"\xa5" * (len(data) - 1024)
    file.write_bytes(data)


def make(gate, **tenant):
    status, text, _ = gate.admin("POST", "/v1/tenants", body=json.dumps(tenant), fields={"Content-Type": "application/json"}, timeout=20)
    assert status == 201, text


def test_what_a_damaged_publisher_has_lost_stays_in_redis(tmp_path, redis, certs):
    gate = publisher(tmp_path, redis, certs, {"acme": {"pool": "shared", "hosts": ["shop.acme.example"]}, "passing": {"pool": "shared"}})
    with gate:
        until(lambda: is_current(gate), 10)
        make(gate, id="globex", pool="shared", hosts=["globex.example"])
        assert gate.run("tenant", "backup", "globex").returncode == 0
        assert gate.run("tenant", "update", "globex", "--name", "Globex Corp").returncode == 0
        make(gate, id="alone", pool="shared")
        until(lambda: signed(redis, "tenant:alone") and "name" in signed(redis, "tenant:globex")["tenant"], 10)
        assert signed(redis, "tenant:globex")["made_by_api"] and "made_by_api" not in signed(redis, "tenant:acme")
    gate.delete_tenant("passing")
    damage(gate)
    # The node starts and knows less; edges keep what they have, and changes go on.
    with gate:
        until(lambda: is_current(gate), 20)
        assert "stay there until" in gate.stderr() and gate.admin("GET", "/v1/tenants/globex")[0] == 404
        gate.write_tenant("acme", {"pool": "shared", "hosts": ["shop.acme.example"], "name": "Changed"})
        until(lambda: signed(redis, "tenant:acme")["tenant"].get("name") == "Changed", 10)
        assert signed(redis, "tenant:globex") and redis.ask("GET", "gatehouse:host:globex.example") == "globex"
    # A backup alone is not enough: it stays so until Redis has told what it knows.
    redis.freeze()
    out = gate.run("check", "--repair", timeout=40)
    assert out.returncode == 1 and "is back" not in out.stderr and "tenants that were published: Redis" in out.stderr, out.stderr
    assert "run this again" in out.stderr
    redis.thaw()
    with gate:
        until(lambda: is_current(gate), 20)
        assert signed(redis, "tenant:globex")["tenant"]["name"] == "Globex Corp" and signed(redis, "tenant:alone")
    out = gate.run("check", "--repair", timeout=40)
    assert out.returncode == 0 and "tenant globex is back" in out.stderr and "tenant alone is back" in out.stderr, out.stderr
    # Repaired, what nobody has is taken away: the file that was deleted with its tenant.
    with gate:
        until(lambda: is_current(gate), 20)
        assert signed(redis, "tenant:globex")["tenant"]["name"] == "Globex Corp" and signed(redis, "tenant:alone")
        assert signed(redis, "tenant:passing") is None


def test_tenants_of_the_api_come_back_from_redis(tmp_path, redis, certs):
    gate = publisher(tmp_path, redis, certs, settings={"pools": {"shared": {"endpoints": [{"address": "127.0.0.1:9001", "region": "eu-west"}]}}})
    with gate:
        until(lambda: is_current(gate), 10)
        make(gate, id="globex", pool="shared", hosts=["globex.example"], name="Globex")
        make(gate, id="below", parent="globex", hosts=["below.example"])
        make(gate, id="home", pool="shared", region="eu-west", residency="strict", hosts=["home.example"])
        make(gate, id="resting", pool="shared")
        make(gate, id="forged", pool="shared")
        assert gate.run("tenant", "backup", "globex").returncode == 0
        assert gate.run("tenant", "update", "globex", "--name", "Globex Corp").returncode == 0
        assert gate.run("tenant", "suspend", "resting", "--reason", "legal").returncode == 0
        until(lambda: is_current(gate) and signed(redis, "tenant:globex")["tenant"]["name"] == "Globex Corp", 10)
        until(lambda: "legal" in json.dumps(signed(redis, "tenant:resting")), 10)
        before = {id_: gate.admin_json(f"/v1/tenants/{id_}")["tenant"] for id_ in ("globex", "below", "home", "resting")}
    whole = redis.ask("GET", "gatehouse:tenant:forged")
    redis.ask("SET", "gatehouse:tenant:forged", whole.replace('"pool":"shared"', '"pool":"stolen"'))
    redis.ask("SET", "gatehouse:tenant:invented", whole)
    damage(gate)
    out = gate.run("check", "--repair", timeout=40)
    assert out.returncode == 1, out.stderr             # what is not signed is named
    for id_ in before:
        assert f"tenant {id_} is back" in out.stderr, out.stderr
    assert "not brought back: forged:" in out.stderr and "not brought back: invented:" in out.stderr and "acme" not in out.stderr
    with gate:
        until(lambda: is_current(gate), 20)
        assert {id_: gate.admin_json(f"/v1/tenants/{id_}")["tenant"] for id_ in before} == before
        rows = gate.admin_json("/v1/tenants/globex/audit")["rows"]
        assert rows[0]["action"] == "restored" and rows[0]["after"] == {"from": "redis"} and rows[-1]["action"] == "created"
        assert gate.run("audit", "verify").returncode == 0
        # Equal again: what nobody has is taken away.
        until(lambda: redis.ask("GET", "gatehouse:tenant:invented") is None, 20)
