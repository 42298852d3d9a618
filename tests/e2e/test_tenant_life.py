"""A tenant's life by the API and the command line: made, changed, suspended, deleted, and all of it kept."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import random
import sqlite3
import subprocess
import time

import pytest

from kit.gate import binary, until
from kit.upstream import ScriptedUpstream, ok


@pytest.fixture
def site(build):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    return build(upstream=upstream, tenants={"filed": {"pool": "main", "hosts": ["filed.example"]}},
                 settings={"plans": {"pro": {"concurrency": 50}, "free": {}}})


def send(site, method, path, body=None, **fields):
    sent = {"Content-Type": "application/json"} if body is not None else {}
    sent.update({k.replace("_", "-"): v for k, v in fields.items()})
    status, text, answered = site.gate.admin(method, path, body=None if body is None else json.dumps(body), fields=sent)
    return status, json.loads(text), answered


def create(site, **tenant):
    return send(site, "POST", "/v1/tenants", {"pool": "main", **tenant})


def status_of(site, host):
    with site.client() as client:
        return client.get("/", host=host).status


def test_made_changed_suspended_and_deleted(site):
    status, made, fields = create(site, id="acme", plan="pro", hosts=["shop.example"])
    assert status == 201 and made["source"] == "api" and fields["Location"] == "/v1/tenants/acme"
    assert status_of(site, "shop.example") == 200        # no waiting: it serves when it is answered
    assert status_of(site, "acme.localhost") == 200
    tag = fields["ETag"]
    status, changed, fields = send(site, "PATCH", "/v1/tenants/acme", {"hosts": ["new.example"], "plan": None}, If_Match=tag)
    assert status == 200 and "plan" not in changed["tenant"]
    assert status_of(site, "shop.example") == 404
    assert status_of(site, "new.example") == 200
    status, stale, _ = send(site, "PATCH", "/v1/tenants/acme", {"name": "late"}, If_Match=tag)
    assert status == 412 and stale["type"] == "urn:gatehouse:stale"
    for reason, code in {"billing": 402, "abuse": 403, "legal": 451, "maintenance": 503}.items():
        status, _, _ = send(site, "POST", "/v1/tenants/acme/suspend", {"reason": reason, "message": "so it is"})
        assert status == 200
        assert status_of(site, "new.example") == code
    status, shown, _ = send(site, "POST", "/v1/tenants/acme/reactivate")
    assert status == 200 and "overlay" not in shown
    assert status_of(site, "new.example") == 200
    status, gone, _ = send(site, "DELETE", "/v1/tenants/acme")
    assert status == 202 and gone["affected"] == ["acme"]
    assert status_of(site, "new.example") == 410
    assert send(site, "POST", "/v1/tenants/acme/reactivate")[0] == 200
    assert status_of(site, "new.example") == 200
    assert send(site, "DELETE", "/v1/tenants/acme?grace=0s")[0] == 202
    until(lambda: send(site, "GET", "/v1/tenants/acme")[1]["removed"], 5)
    assert status_of(site, "new.example") == 410
    status, refused, _ = create(site, id="taker", hosts=["new.example"])
    assert status == 409 and "stays reserved" in refused["errors"][0]["detail"]
    assert create(site, id="acme", hosts=["new.example"])[0] == 201
    assert status_of(site, "new.example") == 200


def test_refusals_change_nothing(site):
    assert create(site, id="acme", hosts=["shop.example"])[0] == 201
    before = send(site, "GET", "/v1/tenants/acme")[1]
    cases = [
        ("POST", "/v1/tenants", {"id": "acme"}, 409, "exists"),
        ("POST", "/v1/tenants", {"id": "filed"}, 409, "declared-in-file"),
        ("POST", "/v1/tenants", {"id": "Bad Id"}, 422, "invalid"),
        ("POST", "/v1/tenants", {"id": "x", "hosts": ["filed.example"]}, 409, "conflict"),
        ("POST", "/v1/tenants", {"id": "x", "plan": "gold"}, 409, "conflict"),
        ("POST", "/v1/tenants", {"id": "x", "parent": "nobody"}, 409, "conflict"),
        ("POST", "/v1/tenants", {"id": "x", "no_key": 1}, 422, "invalid"),
        ("PATCH", "/v1/tenants/acme", {"hosts": ["filed.example"]}, 409, "conflict"),
        ("PATCH", "/v1/tenants/filed", {"name": "x"}, 409, "declared-in-file"),
        ("PATCH", "/v1/tenants/nobody", {"name": "x"}, 404, "not-found"),
        ("DELETE", "/v1/tenants/filed", None, 409, "declared-in-file"),
        ("POST", "/v1/tenants/acme/suspend", {"reason": "mood"}, 422, "invalid"),
    ]
    for method, path, body, code, kind in cases:
        status, problem, _ = send(site, method, path, body)
        assert (status, problem["type"]) == (code, f"urn:gatehouse:{kind}"), (path, body, problem)
    _, problem, _ = send(site, "POST", "/v1/tenants", {"id": "x", "routes": [{"path": "/a", "max_body": "much"}]})
    assert [e["pointer"] for e in problem["errors"]] == ["/routes/0/max_body"]
    after = send(site, "GET", "/v1/tenants/acme")[1]
    assert (after["revision"], after["tenant"]) == (before["revision"], before["tenant"])
    assert status_of(site, "x.localhost") == 404
    # A dry run says what would be, and changes nothing either.
    status, dry, _ = send(site, "POST", "/v1/tenants?dry_run=1", {"id": "x", "pool": "main"})
    assert status == 200 and dry == {"dry_run": True, "affected": ["x"]}
    assert status_of(site, "x.localhost") == 404
    assert send(site, "POST", "/v1/tenants?dry_run=1", {"id": "x", "plan": "gold"})[0] == 409


def test_a_family(site):
    assert create(site, id="pixel")[0] == 201
    assert create(site, id="bpub", parent="pixel")[0] == 201
    assert status_of(site, "bpub.pixel.localhost") == 200
    assert send(site, "POST", "/v1/tenants/pixel/suspend", {"reason": "billing"})[0] == 200
    assert status_of(site, "bpub.pixel.localhost") == 402
    assert send(site, "POST", "/v1/tenants/bpub/suspend", {"reason": "abuse"})[0] == 200
    assert send(site, "POST", "/v1/tenants/pixel/reactivate")[0] == 200
    assert status_of(site, "pixel.localhost") == 200
    assert status_of(site, "bpub.pixel.localhost") == 403   # its own suspension stays
    status, problem, _ = send(site, "DELETE", "/v1/tenants/pixel")
    assert status == 409 and problem["type"] == "urn:gatehouse:has-children"
    status, gone, _ = send(site, "DELETE", "/v1/tenants/pixel?recursive=1")
    assert status == 202 and gone["affected"] == ["pixel", "bpub"]
    assert status_of(site, "bpub.pixel.localhost") == 410


def test_a_tenant_of_a_file_takes_verbs_as_an_overlay(site):
    assert send(site, "POST", "/v1/tenants/filed/suspend", {"reason": "legal", "message": "by order"})[0] == 200
    assert status_of(site, "filed.example") == 451
    shown = send(site, "GET", "/v1/tenants/filed")[1]
    assert shown["overlay"]["since"] and shown["source"].startswith("file ")
    site.gate.stop()
    site.gate.start()
    assert status_of(site, "filed.example") == 451
    assert send(site, "POST", "/v1/tenants/filed/reactivate")[0] == 200
    assert status_of(site, "filed.example") == 200


def test_a_suspension_ends_by_itself(site):
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    assert send(site, "POST", "/v1/tenants/filed/suspend", {"reason": "maintenance", "until": end})[0] == 200
    assert status_of(site, "filed.example") == 503
    until(lambda: status_of(site, "filed.example") == 200, 10)


def test_the_verbs(site):
    def run(*args, code=0):
        done = site.gate.run("--config", "gatehouse.toml", "tenant", *args)
        assert done.returncode == code, done
        return done.stdout + done.stderr
    assert "would be created: acme" in run("create", "acme", "--pool", "main", "--dry-run")
    out = run("create", "acme", "--pool", "main", "--plan", "pro", "--host", "a.example", "--host", "b.example")
    assert "tenant acme is created" in out and "a.example b.example" in out
    assert "There is a tenant" in run("create", "acme", code=1)
    out = run("create", "other", "--plan", "gold", "--host", "a.example", code=1)
    assert "/plan: there is no plan" in out and "name another" in out
    assert "updated" in run("update", "acme", "--name", "Acme Corp", "--unset", "plan")
    assert "nothing to change" in run("update", "acme", code=2)
    exported = run("export", "acme", "--toml")
    assert 'name = "Acme Corp"' in exported and 'hosts = ["a.example", "b.example"]' in exported and "plan" not in exported
    assert "suspended" in run("suspend", "acme", "--reason", "billing", "--message", "pay first")
    assert status_of(site, "a.example") == 402
    assert "state set" in run("show", "acme")
    revision = send(site, "GET", "/v1/tenants/acme")[1]["revision"]
    assert "look at it again" in run("reactivate", "acme", "--if-revision", str(revision - 1), code=1)
    run("reactivate", "acme", "--if-revision", str(revision))
    assert "deleted" in run("delete", "acme", "--grace", "0s")
    until(lambda: "removed" in run("show", "acme"), 5)
    # What was exported is a file's again, or the API's.
    (site.gate.folder / "acme.txt").write_text(exported)
    assert "created" in run("create", "acme", "--document", "acme.txt")
    assert status_of(site, "b.example") == 200
    (site.gate.folder / "bad.txt").write_text('id = "bad"\nhosts = 7\n')
    assert "bad.txt:2" in run("create", "bad", "--document", "bad.txt", code=1)


def test_reload_and_restart_keep_tenants_of_the_api(site):
    assert create(site, id="acme", plan="pro")[0] == 201
    assert site.gate.admin("POST", "/v1/reload")[0] == 200
    assert status_of(site, "acme.localhost") == 200
    # Settings that would break it are refused as with a file's tenant.
    text = site.gate.config.read_text()
    site.gate.config.write_text(text.replace("[plans.pro]", "[plans.other]"))
    status, answer, _ = site.gate.admin("POST", "/v1/reload")
    assert status == 409 and "no plan" in answer
    site.gate.config.write_text(text)
    site.gate.kill()
    site.gate.start()
    assert status_of(site, "acme.localhost") == 200


def test_check_knows_them(site):
    """A file's parent may be a tenant of the API; a file that is in its way is named."""
    assert create(site, id="agency", hosts=["agency.example"])[0] == 201
    site.gate.write_tenant("client", {"parent": "agency", "pool": "main"})
    until(lambda: status_of(site, "client.agency.localhost") == 200, 5)
    done = site.gate.run("check", "--config", "gatehouse.toml")
    assert done.returncode == 0, done
    site.gate.write_tenant("thief", {"pool": "main", "hosts": ["agency.example"]})
    done = site.gate.run("check", "--config", "gatehouse.toml")
    assert done.returncode == 1 and "belongs to tenant \"agency\"" in done.stdout, done
    # Offline, explain knows it too.
    site.gate.stop()
    done = site.gate.run("explain", "--config", "gatehouse.toml", "http://agency.example/")
    assert "agency" in done.stdout and "would be forwarded" in done.stdout, done
    site.gate.start()


def test_found_by_what_they_are(site):
    for n in range(5):
        assert create(site, id=f"shop-{n}", name=f"Shop Number {n}", plan="pro" if n % 2 else "free", hosts=[f"s{n}.example"])[0] == 201

    def found(query):
        ids, after = [], ""
        while True:
            page = send(site, "GET", f"/v1/tenants?limit=2&after={after}&{query}")[1]
            ids += [t["id"] for t in page["tenants"]]
            after = page["next"]
            if not after:
                return ids
    assert found("") == ["filed"] + [f"shop-{n}" for n in range(5)]
    assert found("search=NUMBER") == [f"shop-{n}" for n in range(5)]
    assert found("plan=pro") == ["shop-1", "shop-3"]
    assert found("host=S3.example") == ["shop-3"]
    assert found("name=number+3&plan=free") == []
    listed = site.gate.run("--config", "gatehouse.toml", "tenant", "list", "--search", "s4.example", "--json")
    assert [t["id"] for t in json.loads(listed.stdout)] == ["shop-4"]


def test_who_did_what(site):
    _, _, fields = create(site, id="acme", plan="pro")
    request_id = fields["X-Request-Id"]
    assert send(site, "PATCH", "/v1/tenants/acme", {"plan": "free"})[0] == 200
    assert send(site, "PATCH", "/v1/tenants/acme", {"plan": "gold"})[0] == 409     # what is refused is nobody's doing
    assert send(site, "POST", "/v1/tenants/acme/suspend", {"reason": "legal"})[0] == 200
    assert send(site, "DELETE", "/v1/tenants/acme?grace=0s")[0] == 202
    until(lambda: len(send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]) == 5, 5)
    rows = send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]
    assert [(r["number"], r["action"], r["who"]) for r in rows] == [
        (5, "removed", "gatehouse"), (4, "deleted", "admin"), (3, "suspended", "admin"), (2, "updated", "admin"), (1, "created", "admin")]
    assert rows[4]["request_id"] == request_id and rows[4]["from"] == "127.0.0.1" and rows[4]["after"]["plan"] == "pro"
    assert (rows[3]["before"], rows[3]["after"]) == ({"plan": "pro"}, {"plan": "free"})
    # A file's changes count from the second on: what it first says is the file's.
    assert send(site, "GET", "/v1/tenants/filed/audit")[1]["rows"] == []
    site.gate.write_tenant("filed", {"pool": "main", "name": "Renamed", "hosts": ["filed.example"]})
    until(lambda: len(send(site, "GET", "/v1/tenants/filed/audit")[1]["rows"]) == 1, 5)
    row = send(site, "GET", "/v1/tenants/filed/audit")[1]["rows"][0]
    assert row["who"] == "file" and row["from"].endswith("filed.toml") and row["after"] == {"name": "Renamed"}
    assert send(site, "GET", "/v1/tenants/nobody/audit")[0] == 404

    def run(*args, code=0):
        done = site.gate.run("--config", "gatehouse.toml", "audit", *args)
        assert done.returncode == code, done
        return done.stdout
    assert "plan: pro -> free" in run("show", "acme")
    assert "6 rows of 2 tenants: nothing was removed" in run("verify")

    def moved():   # to the tenant's own database
        with contextlib.closing(sqlite3.connect(f"file:{site.gate.folder}/state/central.db?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM audit WHERE tenant='acme'").fetchone()[0] == 0
    until(moved, seconds=10, pause=0.05)
    site.gate.kill()
    with contextlib.closing(sqlite3.connect(next((site.gate.folder / "state/tenants").rglob("acme.db")))) as db:
        assert db.execute("UPDATE audit SET after='{\"plan\":\"pro\"}' WHERE tenant='acme' AND number=2").rowcount == 1
        db.commit()
    site.gate.start()
    assert "tenant acme: row 2 was altered" in run("verify", code=1)
    assert "nothing was removed" in run("verify", "filed")


def test_killed_at_any_moment_no_answered_change_is_lost(site):
    """Four clients make, change and suspend tenants; each knows what was answered, and what may have been."""
    rng = random.Random(7)
    known = {}   # id: states that it may be in

    def work(lane, end):
        n = 0
        while time.monotonic() < end:
            name = f"t{lane}-{rng.randrange(10**9)}"
            try:
                known[name] = {None, "active"}
                if create(site, id=name, owner=f"o@{name}.example")[0] == 201:
                    known[name] = {"active"}
                    known[name] = {"active", "suspended"}
                    n += 1
                    if send(site, "POST", f"/v1/tenants/{name}/suspend", {"reason": "abuse"})[0] == 200:
                        known[name] = {"suspended"}
            except (OSError, ValueError, http.client.HTTPException):   # the node was killed
                return n
        return n
    made = 0
    for _ in range(6):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            lanes = [pool.submit(work, lane, time.monotonic() + 3) for lane in range(4)]
            time.sleep(0.3 + rng.random())
            site.gate.kill()
            made += sum(lane.result() for lane in lanes)
        site.gate.start()
        for name, states in list(known.items()):
            status, shown, _ = send(site, "GET", f"/v1/tenants/{name}")
            now = None if status == 404 else shown["state"]
            assert now in states, (name, states, now)
            known[name] = {now}
        # None is half made, and every database opens.
        for name in rng.sample(sorted(known), min(20, len(known))):
            status, people, _ = send(site, "GET", f"/v1/tenants/{name}/users")
            assert status == (404 if None in known[name] else 200), people
            assert None in known[name] or [u["email"] for u in people["users"]] == [f"o@{name}.example"]
        assert send(site, "GET", "/v1/audit/verify")[1]["intact"]
    assert made > 20


def test_provisioned_in_one_call(build, dev_certs):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    site = build(upstream=upstream, tenants={}, certs=dev_certs,
                 settings={"plans": {"pro": {"concurrency": 50}, "free": {}},
                           "templates": {"shop": {"plan": "pro", "pool": "main", "hsts": "180d", "limits": {"rate": "50/s", "burst": 7}}}})
    out = site.gate.run("tenant", "create", "acme", "--template", "shop", "--plan", "free", "--host", "shop.acme.example", "--owner", "ada@acme.example")
    assert out.returncode == 0, out.stderr
    assert "missing: a certificate for shop.acme.example; gatehouse cert add acme shop.acme.example FILE" in out.stdout
    assert "missing: DNS; shop.acme.example has no address" in out.stdout
    made = send(site, "GET", "/v1/tenants/acme")[1]["tenant"]
    assert made["plan"] == "free" and made["limits"] == {"rate": "50/s", "burst": 7} and made["hsts"] == "180d"
    assert status_of(site, "shop.acme.example") == 200
    assert [u["role"] for u in send(site, "GET", "/v1/tenants/acme/users")[1]["users"]] == ["owner"]
    status, wrong, _ = send(site, "POST", "/v1/tenants", {"id": "globex", "template": "none"})
    assert status == 422 and wrong["errors"][0]["pointer"] == "/template"
    out = site.gate.run("tenant", "create", "globex", "--template", "shop", "--owner", "g@globex.example", "--dry-run")
    assert out.returncode == 0 and "would be created" in out.stdout
    assert send(site, "GET", "/v1/tenants/globex")[0] == 404


def test_sent_again_it_is_done_once(site):
    body = {"id": "acme", "pool": "main", "owner": "ada@acme.example"}
    status, made, _ = send(site, "POST", "/v1/tenants", body, Idempotency_Key="k1")
    assert status == 201
    assert send(site, "POST", "/v1/tenants", body)[0] == 409
    for restart in (False, True):
        if restart:
            site.gate.kill()
            site.gate.start()
        status, again, fields = send(site, "POST", "/v1/tenants", body, Idempotency_Key="k1")
        assert status == 201 and again["revision"] == made["revision"] and fields["Idempotency-Replayed"] == "true"
    status, other, _ = send(site, "POST", "/v1/tenants", {**body, "id": "globex"}, Idempotency_Key="k1")
    assert status == 422 and other["type"] == "urn:gatehouse:idempotency-key-reused"
    # A refusal is no answer to keep: mended, the same key is good.
    assert send(site, "POST", "/v1/tenants", {"id": "globex", "plan": "none"}, Idempotency_Key="k2")[0] == 409
    assert send(site, "POST", "/v1/tenants", {"id": "globex"}, Idempotency_Key="k2")[0] == 201
    status, first, _ = send(site, "PATCH", "/v1/tenants/globex", {"name": "G"}, Idempotency_Key="k3")
    send(site, "PATCH", "/v1/tenants/globex", {"name": "Other"})
    status, replayed, _ = send(site, "PATCH", "/v1/tenants/globex", {"name": "G"}, Idempotency_Key="k3")
    assert status == 200 and replayed["tenant"]["name"] == "Other"
    assert len(send(site, "GET", "/v1/tenants/globex/audit")[1]["rows"]) == 3
    assert send(site, "POST", "/v1/tenants", {"id": "x", "pool": "main"}, Idempotency_Key="k" * 256)[0] == 400
    # A tenant's admin who asks for a host with it, too.
    token = send(site, "POST", "/v1/tokens", {"role": "tenant-admin", "tenant": "globex"})[1]["token"]

    def ask(method, path, body):
        status, text, fields = site.gate.admin(method, path, token=token, body=json.dumps(body),
                                               fields={"Content-Type": "application/json", "Idempotency-Key": path})
        return status, json.loads(text)["pending_hosts"], fields.get("Idempotency-Replayed")
    for method, path, body, status in (("POST", "/v1/tenants", {"id": "child", "hosts": ["child.example"]}, 201),
                                       ("PATCH", "/v1/tenants/child", {"hosts": ["other.example"]}, 200)):
        first, again = ask(method, path, body), ask(method, path, body)
        assert first[0] == again[0] == status and first[1] == again[1] and again[2] == "true"
    assert site.gate.alive()


def test_shells_complete_what_is_typed(site, tmp_path):
    create(site, id="acme")
    create(site, id="acorn")
    (tmp_path / "gatehouse").symlink_to(binary())
    script = site.gate.run("completion", "bash").stdout

    def completed(*words):
        typed = " ".join(f"'{w}'" for w in words)
        line = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _gatehouse; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        out = subprocess.run(["bash", "-euc", line], cwd=site.gate.folder, capture_output=True, text=True, timeout=20,
                             env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        assert out.returncode == 0, out.stderr
        return set(out.stdout.split())
    assert completed("gatehouse", "ten") == {"tenant"}
    assert completed("gatehouse", "tenant", "s") == {"show", "suspend"}
    assert completed("gatehouse", "tenant", "show", "--ef") == {"--effective"}
    assert completed("gatehouse", "tenant", "show", "ac") == {"acme", "acorn"}
    assert completed("gatehouse", "--json", "token", "cr") == {"create"}
    assert "--role" in completed("gatehouse", "token", "create", "--")
    assert completed("gatehouse", "nonsense", "ten") == {"tenant"}
    zsh = site.gate.run("completion", "zsh").stdout
    assert zsh.startswith("#compdef gatehouse\nautoload") and script in zsh
    assert site.gate.run("completion", "fish").returncode == 2


def test_random_operations_against_a_model(site):
    """What a few lines say the tenants must be, after each of many random calls, and after kill -9 now and then."""
    dice = random.Random(20261122)
    model = {}          # id -> {"name", "parent", "state"}
    ids = [f"t{i}" for i in range(8)]

    def family(top):
        found = [top]
        for one in found:
            found += [t for t in model if model[t]["parent"] == one]
        return found

    def step():
        id_, other = dice.choice(ids), dice.choice(ids + [None])
        known = id_ in model
        match dice.choice(["create", "create", "rename", "move", "suspend", "reactivate", "delete", "delete all", "stale"]):
            case "create":
                status, _, _ = create(site, id=id_, **({"parent": other} if other else {}))
                fits = other is None or (other in model and other != id_)
                if other == id_:
                    assert status in (409, 422)
                elif known:
                    assert status == 409
                else:
                    assert status == (201 if fits else 409), (id_, other)
                    if fits:
                        model[id_] = {"name": None, "parent": other, "state": "active"}
            case "rename":
                name = f"n{dice.randrange(1000)}"
                status, _, _ = send(site, "PATCH", f"/v1/tenants/{id_}", {"name": name})
                assert status == (200 if known else 404)
                if known:
                    model[id_]["name"] = name
            case "move":
                status, _, _ = send(site, "PATCH", f"/v1/tenants/{id_}", {"parent": other})
                if not known:
                    assert status == 404
                elif other is None or (other in model and other not in family(id_)):
                    assert status == 200, (id_, other)
                    model[id_]["parent"] = other
                else:
                    assert status in (409, 422)
            case "suspend":
                assert send(site, "POST", f"/v1/tenants/{id_}/suspend", {"reason": "legal"})[0] == (200 if known else 404)
                if known:
                    model[id_]["state"] = "suspended"
            case "reactivate":
                assert send(site, "POST", f"/v1/tenants/{id_}/reactivate")[0] == (200 if known else 404)
                if known:
                    model[id_]["state"] = "active"
            case "delete":
                status, _, _ = send(site, "DELETE", f"/v1/tenants/{id_}?grace=0s")
                alone = known and family(id_) == [id_]
                assert status == (202 if alone else 409 if known else 404)
                if alone:
                    del model[id_]
            case "delete all":
                status, _, _ = send(site, "DELETE", f"/v1/tenants/{id_}?grace=0s&recursive=1")
                assert status == (202 if known else 404)
                for one in family(id_) if known else []:
                    del model[one]
            case "stale":
                assert send(site, "PATCH", f"/v1/tenants/{id_}", {"name": "no"}, If_Match='"0"')[0] == (412 if known else 404)

    def look():
        shown = {}
        for t in send(site, "GET", "/v1/tenants?limit=1000")[1]["tenants"]:
            if t["in_force"] and t["source"] == "api":
                shown[t["id"]] = {"name": t["name"] or None, "parent": t["parent"] or None, "state": t["state"]}
        return shown

    for n in range(400):
        step()
        until(lambda: look() == model, seconds=5, pause=0.02)
        if n % 80 == 79:
            site.gate.kill()
            site.gate.start()
            assert look() == model
    assert site.gate.run("audit", "verify").returncode == 0
