"""Tokens and roles: who may ask what of a running node, what a tenant's admin does alone, and what waits for the platform."""
import json
import os
import pty
import select
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit.gate import binary, until
from kit.upstream import ScriptedUpstream, ok


@pytest.fixture
def site(build):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    return build(upstream=upstream, tenants={"filed": {"pool": "main", "hosts": ["filed.example"]}},
                 settings={"plans": {"pro": {"concurrency": 50}, "free": {}}})


def send(site, method, path, body=None, token="own"):
    sent = {"Content-Type": "application/json"} if body is not None else {}
    status, text, fields = site.gate.admin(method, path, token=token, body=None if body is None else json.dumps(body), fields=sent, timeout=20)
    return status, json.loads(text), fields


def make_token(site, role, by="own", **more):
    status, made, _ = send(site, "POST", "/v1/tokens", {"role": role, **more}, token=by)
    assert status == 201, made
    return made["token"], made["id"]


def create(site, **tenant):
    status, made, _ = send(site, "POST", "/v1/tenants", {"pool": "main", **tenant})
    assert status == 201, made


def status_of(site, host):
    with site.client() as client:
        return client.get("/", host=host).status


def rows(site, path, token="own"):
    return send(site, "GET", path, token=token)[1]["rows"]


def test_an_approved_deletion_without_a_grace(build):
    site = build(upstream=ScriptedUpstream(), tenants={}, settings={"registry": {"delete_grace": "0s"}})
    create(site, id="acme", hosts=["acme.example"])
    token, _ = make_token(site, "tenant-admin", tenant="acme")
    assert send(site, "DELETE", "/v1/tenants/acme", token=token)[0] == 202
    status, said, _ = send(site, "POST", "/v1/tenants/acme/requests/deletion/approve")
    assert status == 200 and said["id"] == "acme", said
    until(lambda: status_of(site, "acme.example") in (404, 410), 5)
    assert send(site, "GET", "/v1/requests")[1]["requests"] == []


def test_an_agency_runs_its_own(site):
    create(site, id="pixel", hosts=["pixel.example"])
    create(site, id="rival", hosts=["rival.example"])
    admin, _ = make_token(site, "tenant-admin", tenant="pixel", label="agency")
    # A client of theirs: made, serving, inheriting the pool.
    status, made, _ = send(site, "POST", "/v1/tenants", {"id": "bpub", "name": "B Pub", "hosts": ["bpub.example"]}, token=admin)
    assert status == 201 and made["tenant"]["parent"] == "pixel" and made["pending_hosts"] == ["bpub.example"]
    assert status_of(site, "bpub.pixel.localhost") == 200
    assert status_of(site, "bpub.example") == 404            # until somebody says whose it is
    # Somebody else's host can be asked for; nothing tells whose it is.
    status, other, _ = send(site, "PATCH", "/v1/tenants/bpub", {"hosts": ["rival.example"]}, token=admin)
    assert status == 200 and "rival.example" in other["pending_hosts"] and "rival" not in json.dumps(other).replace("rival.example", "")
    status, wrong, _ = send(site, "PATCH", "/v1/tenants/bpub", {"hosts": ["no host"]}, token=admin)
    assert status == 422 and wrong["errors"]
    out = site.gate.run("tenant", "requests")
    assert out.returncode == 0 and "bpub.example" in out.stdout and "rival.example" in out.stdout
    out = site.gate.run("tenant", "approve", "bpub", "bpub.example")
    assert out.returncode == 0, out.stderr
    assert status_of(site, "bpub.example") == 200
    out = site.gate.run("tenant", "approve", "bpub", "rival.example")
    assert out.returncode == 1 and "rival" in out.stderr
    assert site.gate.run("tenant", "refuse", "bpub", "rival.example").returncode == 0
    assert status_of(site, "rival.example") == 200
    assert json.loads(site.gate.run("tenant", "requests", "--json").stdout) == []
    # What it may not: the platform's keys, the platform's verbs, other tenants.
    assert send(site, "PATCH", "/v1/tenants/bpub", {"plan": "pro"}, token=admin)[0] == 403
    assert send(site, "POST", "/v1/tenants/bpub/suspend", {"reason": "abuse"}, token=admin)[0] == 403
    assert send(site, "GET", "/v1/tenants/rival", token=admin)[0] == 404
    assert send(site, "GET", "/v1/node", token=admin)[0] == 403
    listed = send(site, "GET", "/v1/tenants", token=admin)[1]["tenants"]
    assert [t["id"] for t in listed] == ["bpub", "pixel"]
    page = send(site, "GET", "/v1/tenants?limit=1", token=admin)[1]
    assert [t["id"] for t in page["tenants"]] == ["bpub"] and page["next"] == "bpub"     # not filed, who stands between
    assert send(site, "GET", "/v1/tenants?limit=1&after=bpub", token=admin)[1]["next"] is None
    # Deletion is asked for, and the platform's to do.
    assert send(site, "DELETE", "/v1/tenants/bpub?dry_run=1", token=admin)[1] == {"dry_run": True, "affected": ["bpub"]}
    for _ in range(2):
        status, asked, _ = send(site, "DELETE", "/v1/tenants/bpub", token=admin)
        assert status == 202 and asked["requested"] == "deletion"
    assert status_of(site, "bpub.example") == 200
    assert site.gate.run("tenant", "approve", "bpub", "deletion").returncode == 0
    assert status_of(site, "bpub.example") == 410
    actions = [r["action"] for r in rows(site, "/v1/tenants/bpub/audit", token=admin)]
    assert actions == ["deleted", "deletion-asked-for", "host-refused", "updated", "host-asked-for", "host-asked-for", "created"]
    assert {r["who"].split(":")[0] for r in rows(site, "/v1/tenants/bpub/audit")} == {"token", "admin"}
    assert site.gate.run("audit", "verify").returncode == 0


def users(site, id_, token="own"):
    return {u["email"]: u["role"] for u in send(site, "GET", f"/v1/tenants/{id_}/users", token=token)[1]["users"]}


def test_people_of_a_tenant(site):
    out = site.gate.run("tenant", "create", "acme", "--pool", "main", "--owner", "Ada@acme.example")
    assert out.returncode == 0, out.stderr
    admin, _ = make_token(site, "tenant-admin", tenant="acme")
    assert users(site, "acme", admin) == {"ada@acme.example": "owner"}
    status, made, _ = send(site, "PUT", "/v1/tenants/acme/users/bob@acme.example", {"role": "member", "name": "Bob"}, token=admin)
    assert status == 201 and made["name"] == "Bob"
    assert send(site, "PUT", "/v1/tenants/acme/users/bob@acme.example", {"role": "admin"}, token=admin)[0] == 200
    assert send(site, "DELETE", "/v1/tenants/acme/users/ada@acme.example", token=admin)[0] == 409      # the only owner
    assert send(site, "PUT", "/v1/tenants/acme/users/ada@acme.example", {"role": "member"}, token=admin)[0] == 409
    assert send(site, "PUT", "/v1/tenants/acme/users/bob@acme.example", {"role": "king"}, token=admin)[0] == 422
    assert send(site, "PUT", "/v1/tenants/acme/users/nobody", {"role": "owner"}, token=admin)[0] == 400
    site.gate.kill()
    site.gate.start()
    assert users(site, "acme") == {"ada@acme.example": "owner", "bob@acme.example": "admin"}
    out = site.gate.run("user", "list", "acme")
    assert out.returncode == 0 and "bob@acme.example" in out.stdout
    assert site.gate.run("user", "set", "acme", "eve@acme.example", "--role", "owner").returncode == 0
    assert site.gate.run("user", "remove", "acme", "ada@acme.example").returncode == 0
    assert site.gate.run("user", "remove", "acme", "ada@acme.example").returncode == 1
    assert users(site, "acme") == {"eve@acme.example": "owner", "bob@acme.example": "admin"}
    status, wrong, _ = send(site, "POST", "/v1/tenants", {"id": "globex", "pool": "main", "owner": "nobody"})
    assert status == 422 and wrong["errors"][0]["pointer"] == "/owner"
    # Whoever has the id next finds nobody there; its log is the platform's to give with it.
    assert send(site, "DELETE", "/v1/tenants/acme?grace=0s")[0] == 202
    until(lambda: send(site, "GET", "/v1/tenants/acme")[1].get("tenant") is None, seconds=5, pause=0.1)
    create(site, id="rival")
    rival, _ = make_token(site, "tenant-admin", tenant="rival")
    status, said, _ = send(site, "POST", "/v1/tenants", {"id": "acme"}, token=rival)
    assert status == 409 and said["type"] == "urn:gatehouse:exists"
    until(lambda: send(site, "POST", "/v1/tenants", {"id": "acme", "pool": "main"})[0] == 201, seconds=5, pause=0.1)
    assert users(site, "acme") == {}
    assert site.gate.run("audit", "verify").returncode == 0


def test_of_two_owners_who_remove_each_other_one_stays(site):
    create(site, id="acme")
    path = "/v1/tenants/acme/users/{}@acme.example"
    for _ in range(10):
        for name in ("ada", "bob"):
            assert send(site, "PUT", path.format(name), {"role": "owner"})[0] in (200, 201)
        with ThreadPoolExecutor(2) as both:
            answers = sorted(both.map(lambda name: send(site, "DELETE", path.format(name))[0], ("ada", "bob")))
        assert answers == [200, 409] and list(users(site, "acme").values()) == ["owner"]


def test_what_is_sent_again_shows_no_one_elses_tenant(site):
    create(site, id="pixel")
    create(site, id="rival")
    admin, _ = make_token(site, "tenant-admin", tenant="pixel")
    ask = lambda: site.gate.admin("POST", "/v1/tenants", token=admin, body=json.dumps({"id": "bpub", "hosts": ["bpub.example"]}),
                                  fields={"Content-Type": "application/json", "Idempotency-Key": "k"}, timeout=20)
    assert ask()[0] == 201
    site.gate.kill()
    site.gate.start()
    status, text, fields = ask()
    assert status == 201 and json.loads(text)["pending_hosts"] == ["bpub.example"] and fields["Idempotency-Replayed"] == "true"
    assert send(site, "PATCH", "/v1/tenants/bpub", {"parent": "rival"})[0] == 200
    assert ask()[0] == 404


def test_each_tenant_has_a_database_of_its_own(site):
    folder = site.gate.folder / "state/tenants"
    create(site, id="pixel")
    create(site, id="bpub", parent="pixel", database="parent")
    create(site, id="acme")
    files = lambda: sorted(f.name for f in folder.rglob("*.db"))
    until(lambda: files() == ["acme.db", "pixel.db"], seconds=5, pause=0.05)      # filed was never changed
    waiting = lambda: count(site.gate.folder / "state/central.db", "SELECT count(*) FROM audit")
    until(lambda: waiting() == 0, seconds=5, pause=0.05)
    assert count(next(folder.rglob("pixel.db")), "SELECT count(DISTINCT tenant) FROM audit") == 2
    assert sum(f.stat().st_size for f in folder.rglob("acme.db*") if "-" not in f.name) <= 32 * 1024
    # One that is broken or locked: its tenant's calls are refused, its traffic goes on, and so do the others.
    site.gate.stop()
    broken = next(folder.rglob("acme.db"))
    broken.write_bytes(b"x" * 8192)
    site.gate.start()
    status, said, _ = send(site, "GET", "/v1/tenants/acme/audit")
    assert status == 503 and "acme.db" in said["detail"]
    assert send(site, "GET", "/v1/tenants/acme/users")[0] == 503
    assert status_of(site, "acme.localhost") == 200
    assert send(site, "PATCH", "/v1/tenants/acme", {"name": "Acme"})[0] == 200          # kept, in central.db
    assert send(site, "GET", "/v1/tenants/bpub/audit")[0] == 200
    with sqlite3.connect(next(folder.rglob("pixel.db")), isolation_level=None) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        assert send(site, "PATCH", "/v1/tenants/bpub", {"name": "B"})[0] == 200
        assert status_of(site, "bpub.pixel.localhost") == 200
        lock.execute("ROLLBACK")
    assert [r["action"] for r in rows(site, "/v1/tenants/bpub/audit")] == ["updated", "created"]


def count(file, sql):
    db = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchone()[0]
    finally:
        db.close()


def test_tokens_outlive_the_node_and_end(site):
    create(site, id="acme")
    viewer, _ = make_token(site, "platform-viewer", label="dashboard")
    tenant, tenant_id = make_token(site, "tenant-admin", tenant="acme")
    short, _ = make_token(site, "tenant-viewer", by=tenant, expires_in="5s")
    assert send(site, "GET", "/v1/tenants/acme", token=short)[0] == 200
    site.gate.kill()
    site.gate.start()
    assert send(site, "GET", "/v1/node", token=viewer)[0] == 200
    assert send(site, "POST", "/v1/reload", token=viewer)[0] == 403
    assert send(site, "GET", "/v1/tenants/acme", token=tenant)[0] == 200
    until(lambda: send(site, "GET", "/v1/tenants/acme", token=short)[0] == 401, seconds=20, pause=0.2)
    out = site.gate.run("token", "list")
    assert "dashboard" in out.stdout and viewer not in out.stdout
    assert site.gate.run("token", "revoke", tenant_id).returncode == 0
    assert send(site, "GET", "/v1/tenants/acme", token=tenant)[0] == 401
    assert site.gate.run("token", "revoke", tenant_id).returncode == 1
    assert [r["action"] for r in rows(site, "/v1/audit")] == ["token-created"]     # the viewer's
    assert [r["action"] for r in rows(site, "/v1/tenants/acme/audit")] == ["token-revoked", "token-created", "token-created", "created"]
    # A tenant that is gone for good takes its tokens with it: whoever has its id next does not get them.
    again, _ = make_token(site, "tenant-admin", tenant="acme")
    assert send(site, "DELETE", "/v1/tenants/acme?grace=0s")[0] == 202
    until(lambda: send(site, "GET", "/v1/whoami", token=again)[0] == 401, seconds=5, pause=0.1)
    create(site, id="acme")
    assert send(site, "GET", "/v1/whoami", token=again)[0] == 401
    site.gate.kill()
    site.gate.start()
    assert send(site, "GET", "/v1/whoami", token=again)[0] == 401
    # Nothing that a token can be made of stands in the state folder.
    secret = viewer.rsplit("_", 1)[1].encode()
    folder = site.gate.folder / "state"
    for file in folder.rglob("*"):
        if file.is_file():
            assert secret not in file.read_bytes(), file


def test_tenants_of_files_have_tokens_too(site):
    admin, _ = make_token(site, "tenant-admin", tenant="filed")
    status, shown, _ = send(site, "GET", "/v1/tenants/filed", token=admin)
    assert status == 200 and shown["source"] == "file"            # not where on the node
    status, refused, _ = send(site, "PATCH", "/v1/tenants/filed", {"name": "New"}, token=admin)
    assert status == 409 and str(site.gate.folder) not in json.dumps(refused)
    status, made, _ = send(site, "POST", "/v1/tenants", {"id": "below"}, token=admin)
    assert status == 201 and status_of(site, "below.filed.localhost") == 200
    site.gate.write_tenant("filed", {"id": "filed", "pool": "main", "hosts": ["filed.example"], "name": "Other"})
    until(lambda: send(site, "GET", "/v1/tenants/filed", token=admin)[1]["tenant"].get("name") == "Other", seconds=5)
    assert send(site, "GET", "/v1/tenants/filed/audit", token=admin)[1]["rows"][0]["from"] == "filed.toml"


def test_the_command_line_with_a_token_of_its_own(site, tmp_path):
    create(site, id="acme")
    out = site.gate.run("token", "create", "--role", "tenant-admin", "--tenant", "acme", "--label", "ci", "--expires-in", "90d")
    assert out.returncode == 0 and out.stdout.startswith("gh_") and out.stdout.count("\n") == 1 and "holds until" in out.stderr
    file = tmp_path / "acme.token"
    file.write_text(out.stdout)
    file.chmod(0o600)
    out = site.gate.run("--token-file", str(file), "tenant", "list")
    assert out.returncode == 0 and "acme" in out.stdout and "filed" not in out.stdout
    out = site.gate.run("--token-file", str(file), "tenant", "suspend", "acme", "--reason", "legal")
    assert out.returncode == 1 and "platform-admin" in out.stderr and "tenant-admin:acme" in out.stderr
    out = site.gate.run("token", "create", "--role", "tenant-admin", "--tenant", "nobody")
    assert out.returncode == 1 and "there is no such tenant" in out.stderr
    assert site.gate.run("token", "create", "--role", "owner").returncode == 2


def test_guessing_is_slow_and_holds_up_nobody(site):
    began = time.monotonic()
    for _ in range(4):
        assert send(site, "GET", "/v1/node", token="gh_0123456789abcdef_" + "0" * 48)[0] == 401
    assert time.monotonic() - began >= 1.5                 # 100, 200, 400, 800 ms
    assert send(site, "GET", "/v1/node")[0] == 200


def test_the_first_token_is_shown_once(site):
    gate = site.gate
    gate.stop()
    (gate.folder / "admin.token").unlink()

    def start_on_a_terminal():
        master, slave = pty.openpty()
        process = subprocess.Popen([binary(), "serve", "--config", str(gate.folder / "gatehouse.toml")], stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        said = b""
        ends = time.monotonic() + 10
        try:
            while time.monotonic() < ends and b" serves " not in said:
                if select.select([master], [], [], 0.2)[0]:
                    said += os.read(master, 65536)
        finally:
            process.terminate()
            process.wait(10)
            os.close(master)
        return said.decode(errors="replace")

    first = start_on_a_terminal()
    assert gate.token() in first
    assert gate.token() not in start_on_a_terminal()
    gate.start()
