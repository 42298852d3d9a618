"""Tenants from files: edits in force at once, mistakes that stay alone, states, hosts, regions."""
import datetime
import threading
import time

import pytest

from kit.client import request
from kit.gate import until
from kit.upstream import ScriptedUpstream

tenants = {
    "acme": {"name": "Acme", "pool": "main"},
    "globex": {"name": "Globex", "pool": "main"},
    "pixel": {"name": "Pixel", "pool": "main", "region": "eu-west", "hosts": ["pixel.example"]},
    "bpub": {"name": "Bpub", "parent": "pixel"},
}
in_force_s = 4.0     # waited at most, less than the watcher's poll; the contract is 250 ms, which bench/load/changes shows


@pytest.fixture(scope="module")
def world(build):
    return build(tenants=tenants, settings={"platform": {"shared_hosts": ["api.localhost"]},
                                           "regions": {"us-east": {"address": "us.example:8443"}}})


def status(world, host="acme.localhost", path="/", **options):
    return world.get(path, host=host, **options).status


def field(world, name, host="acme.localhost", path="/"):
    answer = world.get(path, host=host)
    return dict((n.lower(), v) for n, v in answer.json()["fields"]).get(name) if answer.status == 200 else None


def set_tenant(world, id_, wanted, condition=None, host=None, in_place=False):
    """Writes the file and waits until the gate acts on it."""
    world.gate.write_tenant(id_, wanted, in_place=in_place)
    print(f"in force after {until(condition, in_force_s) * 1000:.0f} ms")


@pytest.fixture
def temporary(world):
    """Restores the four tenants after a test that changed them."""
    yield world
    for file in world.gate.tenants_dir.glob("*.toml"):
        if file.stem not in tenants:
            file.unlink()
    stamp = str(time.monotonic_ns())
    for id_, table in tenants.items():
        world.gate.write_tenant(id_, {**table, "context": {"stamp": stamp}})
    until(lambda: all(field(world, "x-tenant-stamp", h) == stamp for h in
                      ("acme.localhost", "globex.localhost", "pixel.localhost", "bpub.pixel.localhost")), 5)


# --- edits ---

@pytest.mark.parametrize("in_place", [False, True], ids=["renamed-over", "written-in-place"])
def test_edit(temporary, in_place):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "context": {"color": f"green{in_place}"}},
                      lambda: field(world, "x-tenant-color") == f"green{in_place}", in_place=in_place)


def test_add_and_delete(temporary):
    world = temporary
    assert status(world, "newco.localhost") == 404
    set_tenant(world, "newco", {"name": "New", "pool": "main"}, lambda: status(world, "newco.localhost") == 200)
    world.gate.delete_tenant("newco")
    took = until(lambda: status(world, "newco.localhost") == 410, in_force_s)
    print(f"gone after {took * 1000:.0f} ms")
    answer = world.get("/", host="newco.localhost")
    assert answer.problem() == "tenant-gone"


def test_deleted_comes_back(temporary):
    world = temporary
    world.gate.delete_tenant("globex")
    until(lambda: status(world, "globex.localhost") == 410, in_force_s)
    assert status(world) == 200
    set_tenant(world, "globex", tenants["globex"], lambda: status(world, "globex.localhost") == 200)


def test_editor_style_rename_is_no_deletion(temporary):
    """Moved away and written anew within 100 ms, as vim does: no request is refused meanwhile."""
    world = temporary
    path = world.gate.tenants_dir / "acme.toml"
    text, seen, stop = path.read_text(), [], threading.Event()

    def ask():
        with world.client() as client:
            while not stop.is_set():
                seen.append(client.get("/").status)
    asker = threading.Thread(target=ask)
    asker.start()
    good = 0
    while good < 4:
        gone = time.monotonic()
        path.rename(path.with_suffix(".toml~"))
        time.sleep(0.05)
        path.write_text(text)
        late = time.monotonic() - gone > 0.1   # of our own doing: it may well count as gone
        time.sleep(0.2)
        if late:
            until(lambda: status(world) == 200, in_force_s)
            seen.clear()
        good += not late
    stop.set()
    asker.join()
    path.with_suffix(".toml~").unlink()
    assert set(seen) == {200} and len(seen) > 50


def test_other_tenants_are_not_touched(temporary):
    """A hundred edits of one tenant; every request of the other succeeds on one connection."""
    world = temporary
    seen, stop = [], threading.Event()

    def ask():
        with world.client() as client:
            while not stop.is_set():
                seen.append(client.get("/", host="globex.localhost").status)
    asker = threading.Thread(target=ask)
    asker.start()
    for i in range(100):
        world.gate.write_tenant("acme", {**tenants["acme"], "context": {"turn": str(i)}})
        time.sleep(0.01)
    until(lambda: field(world, "x-tenant-turn") == "99", in_force_s)
    stop.set()
    asker.join()
    assert set(seen) == {200} and len(seen) > 100


def test_host_moves_with_an_edit(temporary):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "hosts": ["shop.acme.example"]},
               lambda: status(world, "shop.acme.example") == 200)
    world.gate.write_tenant("acme", tenants["acme"])
    until(lambda: status(world, "shop.acme.example") != 200, in_force_s)
    set_tenant(world, "globex", {**tenants["globex"], "hosts": ["shop.acme.example"]},
               lambda: field(world, "x-tenant-id", "shop.acme.example") == "globex")


@pytest.mark.parametrize("broken", [
    "id = \"acme\"\nname = ", "id = \"acme\"\nnonsense = 1\npool = \"main\"\n",
    "id = \"acme\"\npool = \"nowhere\"\n", "", "id = \"acme\"\npool = \"main\"\nplan = \"nowhere\"\n",
    "id = \"acme\"\npool = \"main\"\nhosts = [\"evil.localhost\"]\n",
    "id = \"acme\"\npool = \"main\"\nparent = \"acme\"\n",
], ids=["syntax", "unknown-key", "no-such-pool", "empty", "no-such-plan", "host-under-platform", "own-parent"])
def test_broken_file_keeps_the_last_good(temporary, broken):
    """Quarantine: the tenant goes on as it was, so do the others."""
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "context": {"version": "good"}},
               lambda: field(world, "x-tenant-version") == "good")
    world.gate.write_tenant("acme", broken)
    time.sleep(0.5)
    assert field(world, "x-tenant-version") == "good"
    assert status(world, "globex.localhost") == 200
    until(lambda: "acme.toml" in world.gate.stderr())


def test_quarantine_is_shown(temporary):
    world = temporary
    world.gate.write_tenant("acme", "id = \"acme\"\npool = \"main\"\nnonsense = 1\n")
    until(lambda: "nonsense" in world.gate.admin("GET", "/v1/tenants/acme")[1], in_force_s)
    text = world.gate.admin("GET", "/v1/tenants/acme")[1]
    assert "acme.toml" in text and "nonsense" in text and "3" in text


def test_last_good_survives_a_restart(build):
    world = build(tenants=tenants)
    gate = world.gate
    gate.write_tenant("acme", {**tenants["acme"], "context": {"version": "good"}})
    until(lambda: field(world, "x-tenant-version") == "good", in_force_s)
    gate.write_tenant("acme", "id = \"acme\"\nbroken")
    time.sleep(0.5)
    gate.stop()
    gate.start()
    assert field(world, "x-tenant-version") == "good"
    gate.write_tenant("acme", {**tenants["acme"], "context": {"version": "mended"}})
    until(lambda: field(world, "x-tenant-version") == "mended", in_force_s)
    gate.stop()


def test_broken_at_a_first_start(build):
    """One tenant cannot be served; the gate starts all the same."""
    world = build(tenants={**tenants, "acme": "nonsense"})
    assert status(world, "globex.localhost") == 200
    assert status(world, "acme.localhost") in (404, 503)
    world.gate.stop()


def test_host_conflict_goes_to_the_owner(temporary):
    """Whoever had the host keeps it; the other claimant is quarantined."""
    world = temporary
    world.gate.write_tenant("globex", {**tenants["globex"], "hosts": ["pixel.example"]})
    time.sleep(0.5)
    assert field(world, "x-tenant-id", "pixel.example") == "pixel"
    assert status(world, "globex.localhost") == 200


def test_host_conflict_owner_survives_a_restart(build):
    world = build(tenants=tenants)
    gate = world.gate
    gate.write_tenant("acme", {**tenants["acme"], "hosts": ["pixel.example"]})
    time.sleep(0.4)
    gate.stop()
    gate.start()
    assert field(world, "x-tenant-id", "pixel.example") == "pixel"
    gate.stop()


def test_two_claimants_at_a_first_start(build):
    both = {"acme": {**tenants["acme"], "hosts": ["both.example"]}, "globex": {**tenants["globex"], "hosts": ["both.example"]}}
    world = build(tenants=both)
    assert status(world, "both.example") == 404
    until(lambda: "both.example" in world.gate.stderr())
    world.gate.stop()


def test_mass_disappearance_is_not_believed(build):
    many = {f"t{i}": {"name": f"T{i}", "pool": "main"} for i in range(30)}
    world = build(tenants=many)
    for i in range(10):
        world.gate.delete_tenant(f"t{i}")
    time.sleep(0.8)
    assert [status(world, f"t{i}.localhost") for i in range(30)] == [200] * 30
    world.gate.stop()


def test_swapped_folder(build):
    """tenants_dir as a symlink that is pointed elsewhere at one stroke."""
    import os
    world = build(tenants=tenants, start=False)
    gate = world.gate
    first = gate.folder / "tenants-1"
    gate.tenants_dir.rename(first)
    second = gate.folder / "tenants-2"
    import shutil
    shutil.copytree(first, second)
    text = (second / "acme.toml").read_text()
    (second / "acme.toml").write_text(text + "context = { version = \"second\" }\n")
    os.symlink("tenants-1", gate.tenants_dir)
    gate.start()
    assert field(world, "x-tenant-version") is None
    os.symlink("tenants-2", gate.folder / "new-link")
    os.rename(gate.folder / "new-link", gate.tenants_dir)
    took = until(lambda: field(world, "x-tenant-version") == "second", 8)
    print(f"swapped folder in force after {took * 1000:.0f} ms")
    gate.stop()


# --- states ---

@pytest.mark.parametrize("reason,code,kind", [("billing", 402, "tenant-suspended"), ("abuse", 403, "tenant-suspended"),
                                              ("legal", 451, "tenant-suspended"), ("maintenance", 503, "tenant-maintenance")])
def test_suspended(temporary, reason, code, kind):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "state": "suspended", "reason": reason, "message": "Ask us."},
                      lambda: status(world) == code)
    with world.upstream.silent():
        answer = world.get("/")
        assert answer.problem() == kind
        assert "Ask us." in answer.json()["detail"]
        if code == 503:
            assert "retry-after" in answer.fields
    assert status(world, "globex.localhost") == 200
    set_tenant(world, "acme", tenants["acme"], lambda: status(world) == 200)


def test_suspended_until_the_past(temporary):
    world = temporary
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    world.gate.write_tenant("acme", {**tenants["acme"], "state": "suspended", "reason": "billing", "until": past,
                                     "context": {"version": "past"}})
    until(lambda: field(world, "x-tenant-version") == "past", in_force_s)


@pytest.mark.parametrize("state,code,kind", [("provisioning", 503, "tenant-provisioning"), ("deleting", 410, "tenant-gone")])
def test_other_states(temporary, state, code, kind):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "state": state}, lambda: status(world) == code)
    with world.upstream.silent():
        assert world.get("/").problem() == kind


def test_suspended_parent_takes_its_children(temporary):
    world = temporary
    set_tenant(world, "pixel", {**tenants["pixel"], "state": "suspended", "reason": "billing"},
               lambda: status(world, "pixel.localhost") == 402)
    with world.upstream.silent():
        assert status(world, "bpub.pixel.localhost") == 402


def test_suspended_child_leaves_its_parent(temporary):
    world = temporary
    set_tenant(world, "bpub", {**tenants["bpub"], "state": "suspended", "reason": "abuse"},
               lambda: status(world, "bpub.pixel.localhost") == 403)
    assert status(world, "pixel.localhost") == 200


def test_maintenance_window(temporary):
    world = temporary
    now = datetime.datetime.now(datetime.timezone.utc)
    minute = datetime.timedelta(minutes=1)
    window = {"from": now - minute, "to": now + 5 * minute, "message": "Back soon"}
    set_tenant(world, "acme", {**tenants["acme"], "maintenance": [window]}, lambda: status(world) == 503)
    answer = world.get("/")
    assert answer.problem() == "tenant-maintenance" and "Back soon" in answer.json()["detail"]
    assert 200 < int(answer.fields.get("retry-after")) <= 301 + 60   # rounded up, by a clock that may be a tick behind, and spread
    later = {"from": now + 60 * minute, "to": now + 90 * minute, "message": "x"}
    set_tenant(world, "acme", {**tenants["acme"], "maintenance": [later]}, lambda: status(world) == 200)


# --- hierarchy and hosts ---

def test_child_name(world):
    assert field(world, "x-tenant-id", "bpub.pixel.localhost") == "bpub"
    assert status(world, "pixel.bpub.localhost") == 404
    assert status(world, "bpub.localhost") == 404


def test_child_name_the_other_way(build):
    world = build(tenants=tenants, settings={"platform": {"child_name": "{parent}.{child}"}})
    assert field(world, "x-tenant-id", "pixel.bpub.localhost") == "bpub"
    assert status(world, "bpub.pixel.localhost") == 404
    world.gate.stop()


def test_label(temporary):
    world = temporary
    set_tenant(world, "labelled", {"name": "L", "label": "nice-name", "pool": "main"},
               lambda: status(world, "nice-name.localhost") == 200)
    assert status(world, "labelled.localhost") == 404


@pytest.mark.parametrize("label", ["www", "api", "admin", "login", "status"])
def test_reserved_label(temporary, label):
    world = temporary
    world.gate.write_tenant("sneaky", {"name": "S", "label": label, "pool": "main"})
    time.sleep(0.4)
    assert status(world, f"{label}.localhost") != 200


def test_inherited_pool(world):
    """bpub names no pool: its parent's."""
    assert status(world, "bpub.pixel.localhost") == 200


def test_redirect_hosts(temporary):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "hosts": ["www.acme.example"],
                               "redirect_hosts": {"acme.example": "www.acme.example"}},
               lambda: status(world, "acme.example") == 308)
    with world.upstream.silent():
        answer = world.get("/a?b=c", host="acme.example")
        assert answer.fields.get("location").startswith("http")
        assert answer.fields.get("location").split("://")[1].split("/")[0].split(":")[0] == "www.acme.example"
        assert answer.fields.get("location").endswith("/a?b=c")


def test_wildcard_host(temporary):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "hosts": ["*.acme.example"]},
               lambda: status(world, "x.acme.example") == 200)
    assert status(world, "acme.example") == 404
    assert status(world, "a.b.acme.example") == 404


# --- shared hosts ---

@pytest.mark.parametrize("path,fields,code,tenant,target", [
    ("/t/acme/x", [], 200, "acme", "/x"),
    ("/t/globex/", [], 200, "globex", "/"),
    ("/t/globex", [], 200, "globex", "/"),
    ("/x", [("X-Tenant-Id", "acme")], 200, "acme", "/x"),
    ("/t/acme/x", [("X-Tenant-Id", "acme")], 200, "acme", "/x"),
    ("/t/acme/x?a=b", [], 200, "acme", "/x?a=b"),
    ("/t/acme/x", [("X-Tenant-Id", "globex")], 403, None, None),
    ("/t/nobody/x", [], 404, None, None),
    ("/x", [("X-Tenant-Id", "nobody")], 404, None, None),
    ("/x", [], 404, None, None),
    ("/t/", [], 404, None, None),
    ("/t/acme/../globex/x", [], 200, "globex", "/x"),
])
def test_shared_host(world, path, fields, code, tenant, target):
    if code != 200:
        with world.upstream.silent():
            answer = world.get(path, host="api.localhost", fields=fields)
            assert answer.status == code, answer
            assert answer.problem() == ("tenant-mismatch" if code == 403 else "unknown-host")
        return
    answer = world.get(path, host="api.localhost", fields=fields)
    assert answer.status == 200, answer
    got = answer.json()
    assert got["target"] == target
    assert [v for n, v in got["fields"] if n.lower() == "x-tenant-id"] == [tenant]


@pytest.mark.parametrize("fields,code", [([("X-Tenant-Id", "acme")], 200), ([("X-Tenant-Id", "globex")], 403),
                                         ([("X-Tenant-Id", "acme"), ("X-Tenant-Id", "globex")], 403)])
def test_identifier_on_an_own_host(world, fields, code):
    answer = world.get("/", fields=fields)
    if code == 403:
        assert answer.status in (400, 403), answer
        if answer.status == 403:
            assert answer.problem() == "tenant-mismatch"
    else:
        assert answer.status == 200


def test_path_identifier_means_nothing_on_an_own_host(world):
    assert field(world, "x-tenant-id", path="/t/globex/x") == "acme"
    assert world.get("/t/globex/x").json()["target"] == "/t/globex/x"


# --- allow and deny, regions ---

@pytest.mark.parametrize("table,code", [
    ({"allow": ["127.0.0.0/8"]}, 200), ({"allow": ["10.0.0.0/8"]}, 403), ({"deny": ["127.0.0.1/32"]}, 403),
    ({"deny": ["10.0.0.0/8"]}, 200), ({"allow": ["127.0.0.0/8"], "deny": ["127.0.0.1/32"]}, 403),
])
def test_allow_and_deny(temporary, table, code):
    world = temporary
    world.gate.write_tenant("acme", {**tenants["acme"], **table, "context": {"mark": "1"}})
    until(lambda: status(world) == 403 if code == 403 else field(world, "x-tenant-mark") == "1", in_force_s)
    if code == 403:
        with world.upstream.silent():
            assert world.get("/").problem() == "forbidden"


def test_route_allow(temporary):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "routes": [{"path": "/private", "allow": ["10.0.0.0/8"]}, {"path": "/"}]},
               lambda: status(world, path="/private") == 403)
    assert status(world) == 200


def strict(region):
    return {"acme": {"name": "Acme", "pool": "main", "region": region, "residency": "strict"},
            "globex": {"name": "Globex", "pool": "main"}}


def test_strict_tenant_of_another_region_is_refused(build):
    upstream = ScriptedUpstream()
    world = build(tenants=strict("us-east"), upstream=upstream, settings={"regions": {"us-east": {"address": "us.example:8443"}}},
                  pools={"main": {"endpoints": [{"address": upstream.address, "region": "us-east"}]}})
    with upstream.silent():
        answer = world.get("/")
        assert answer.status == 421 and answer.problem() == "wrong-region"
        assert answer.fields.get("x-gatehouse-region") == "us-east"
    assert status(world, "globex.localhost") == 200
    world.gate.stop()


def test_strict_tenant_of_another_region_is_redirected(build):
    upstream = ScriptedUpstream()
    world = build(tenants=strict("us-east"), upstream=upstream,
                  settings={"node": {"wrong_region": "redirect"}, "regions": {"us-east": {"address": "us.example:8443"}}},
                  pools={"main": {"endpoints": [{"address": upstream.address, "region": "us-east"}]}})
    with upstream.silent():
        answer = world.get("/a?b=c")
        assert answer.status in (307, 308), answer
        location = answer.fields.get("location")
        assert location.endswith("/a?b=c") and ":8443" in location, location
    world.gate.stop()


def test_strict_tenant_uses_its_own_region_alone(build):
    home, away = ScriptedUpstream("home"), ScriptedUpstream("away")
    ends = [{"address": home.address, "region": "eu-west"}, {"address": away.address, "region": "us-east"}]
    world = build(tenants=strict("eu-west"), upstream=home, settings={"regions": {"us-east": {"address": "us.example:8443"}}},
                  pools={"main": {"balance": "round_robin", "endpoints": ends}})
    with away.silent():
        assert {world.get("/").json()["upstream"] for _ in range(10)} == {"home"}
    home.stop()
    with away.silent():
        assert world.get("/").status in (502, 503)
    world.gate.stop()
    away.stop()


def test_preferred_tenant_falls_back(build):
    home, away = ScriptedUpstream("home"), ScriptedUpstream("away")
    ends = [{"address": home.address, "region": "eu-west"}, {"address": away.address, "region": "us-east"}]
    table = {"acme": {"name": "Acme", "pool": "main", "region": "eu-west", "residency": "preferred"}}
    world = build(tenants=table, upstream=home, pools={"main": {"balance": "round_robin", "endpoints": ends}})
    with away.silent():
        assert {world.get("/").json()["upstream"] for _ in range(10)} == {"home"}
    home.stop()
    home.drop_connections()
    answers = [world.get("/") for _ in range(10)]
    assert {a.json()["upstream"] for a in answers if a.status == 200} == {"away"}
    assert [a.status for a in answers].count(200) >= 7
    world.gate.stop()
    away.stop()


# --- explain ---

def explain(world, *args):
    result = world.gate.run("explain", "--config", str(world.gate.config), *args)
    if result.returncode == 2:
        result = world.gate.run("explain", *args, "--admin", f"127.0.0.1:{world.gate.admin_port}",
                                "--token-file", str(world.gate.folder / "admin.token"))
    return result


def test_explain_names_each_stage(world):
    result = explain(world, "https://acme.localhost/api/x")
    assert result.returncode == 0, result.stdout + result.stderr
    for word in ("hello", "resolve", "guard", "route", "admit", "forward", "acme", world.upstream.address):
        assert word in result.stdout, f"{word} is missing from:\n{result.stdout}"


def test_explain_unknown_host(world):
    result = explain(world, "https://nobody.localhost/")
    assert "unknown" in (result.stdout + result.stderr).lower()


def test_explain_disagreeing_names(world):
    result = explain(world, "https://acme.localhost/", "--sni", "globex.localhost")
    assert "misdirected" in result.stdout or "421" in result.stdout, result.stdout


def test_explain_with_a_header(world):
    result = explain(world, "https://api.localhost/x", "--header", "X-Tenant-Id: globex")
    assert "globex" in result.stdout, result.stdout + result.stderr


def test_explain_suspended(temporary):
    world = temporary
    set_tenant(world, "acme", {**tenants["acme"], "state": "suspended", "reason": "billing"}, lambda: status(world) == 402)
    result = explain(world, "https://acme.localhost/")
    assert "billing" in result.stdout and "guard" in result.stdout, result.stdout


def test_explain_sends_nothing_upstream(world):
    with world.upstream.silent():
        explain(world, "https://acme.localhost/api/x")


# --- under load ---

def test_edits_under_load(temporary):
    """Tenants are added, edited, broken and deleted while another tenant's clients keep asking."""
    world = temporary
    bad, stop = [], threading.Event()
    count = [0]

    def ask():
        with world.client() as client:
            while not stop.is_set():
                got = client.ask(request("/load", host="globex.localhost")).status
                count[0] += 1
                if got != 200:
                    bad.append(got)
    askers = [threading.Thread(target=ask) for _ in range(4)]
    for a in askers:
        a.start()
    end = time.monotonic() + 3
    turn = 0
    while time.monotonic() < end:
        turn += 1
        id_ = f"churn{turn % 7}"
        kind = turn % 4
        if kind == 3:
            (world.gate.tenants_dir / f"{id_}.toml").unlink(missing_ok=True)
        elif kind == 2:
            world.gate.write_tenant(id_, "broken = ")
        else:
            world.gate.write_tenant(id_, {"name": id_, "pool": "main", "context": {"turn": str(turn)}})
        time.sleep(0.01)
    stop.set()
    for a in askers:
        a.join()
    assert not bad and count[0] > 200
