"""A tenant's life by the API and the command line: made, changed, suspended, deleted, and all of it kept."""
import concurrent.futures
import contextlib
import http.client
import json
import random
import sqlite3
import time

import pytest

from kit.gate import until
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
    exported = run("export", "acme")
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
    site.gate.kill()
    with contextlib.closing(sqlite3.connect(site.gate.folder / "state/central.db")) as db:
        db.execute("UPDATE audit SET after='{\"plan\":\"pro\"}' WHERE tenant='acme' AND number=2")
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
                if create(site, id=name)[0] == 201:
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
        assert send(site, "GET", "/v1/audit/verify")[1]["intact"]
    assert made > 20
