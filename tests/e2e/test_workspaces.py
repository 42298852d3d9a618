"""Workspaces of a tenant: groups of its users, in its database, its log and its archives."""
import json
import sqlite3

import pytest

from kit.gate import until


@pytest.fixture
def site(build):
    site = build(tenants={})
    make(site, "acme")
    return site


def send(site, method, path, body=None, token="own"):
    sent = {"Content-Type": "application/json"} if body is not None else {}
    status, text, fields = site.gate.admin(method, path, token=token, body=None if body is None else json.dumps(body), fields=sent, timeout=20)
    return status, json.loads(text), fields


def make(site, id_, **more):
    status, made, _ = send(site, "POST", "/v1/tenants", {"id": id_, "pool": "main", **more})
    assert status == 201, made


def user(site, email, role="member", tenant="acme"):
    assert send(site, "PUT", f"/v1/tenants/{tenant}/users/{email}", {"role": role})[0] in (200, 201)


def put(site, id_, body, tenant="acme", **more):
    return send(site, "PUT", f"/v1/tenants/{tenant}/workspaces/{id_}", body, **more)


def members(site, id_, tenant="acme"):
    return send(site, "GET", f"/v1/tenants/{tenant}/workspaces/{id_}")[1].get("members")


def names(site, tenant="acme"):
    return [w["id"] for w in send(site, "GET", f"/v1/tenants/{tenant}/workspaces")[1]["workspaces"]]


def test_they_are_of_users_and_lose_those_who_leave(site):
    for email in ("ada@acme.example", "bob@acme.example"):
        user(site, email)
    status, made, _ = put(site, "design", {"name": "Design", "members": {"Ada@acme.example": "owner", "bob@acme.example": "member"}})
    assert status == 201 and made["members"] == {"ada@acme.example": "owner", "bob@acme.example": "member"}
    assert put(site, "press", {"members": {"bob@acme.example": "admin"}})[0] == 201
    assert put(site, "press", {"name": "Press office"})[0] == 200
    site.gate.kill()
    site.gate.start()
    assert names(site) == ["design", "press"] and members(site, "press") == {"bob@acme.example": "admin"}
    assert send(site, "GET", "/v1/tenants/acme/workspaces/press")[1]["name"] == "Press office"
    # Who is removed is in none, and does not come back by being a user again.
    assert send(site, "DELETE", "/v1/tenants/acme/users/bob@acme.example")[0] == 200
    user(site, "bob@acme.example")
    assert members(site, "design") == {"ada@acme.example": "owner"} and members(site, "press") == {}
    assert put(site, "press", {"members": {"bob@acme.example": "member"}})[0] == 200
    site.gate.kill()                                       # rows may be on their way
    site.gate.start()
    assert members(site, "press") == {"bob@acme.example": "member"} and members(site, "design") == {"ada@acme.example": "owner"}
    for id_, body in (("x", {"members": {"eve@acme.example": "member"}}), ("x", {"members": {"ada@acme.example": "king"}}), ("X", {}), ("-x", {}),
                      ("x", {"members": ["ada@acme.example"]}), ("x", {"name": ""}), ("x", {"color": "red"}),
                      ("x", {"members": {"ada@acme.example": "member", "ADA@acme.example": "owner"}})):
        status, wrong, _ = put(site, id_, body)
        assert status == 422 and wrong["errors"], (id_, body)
    assert send(site, "DELETE", "/v1/tenants/acme/workspaces/press")[0] == 200
    assert send(site, "DELETE", "/v1/tenants/acme/workspaces/press")[0] == 404 and send(site, "GET", "/v1/tenants/acme/workspaces/press")[0] == 404
    actions = [r["action"] for r in send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]]
    assert actions[:3] == ["workspace-removed", "workspace-set", "user-set"]
    assert site.gate.run("audit", "verify").returncode == 0


def test_they_are_bounded(site):
    for i in range(200):
        assert put(site, f"w{i}", {})[0] == 201
    status, said, _ = put(site, "one-more", {})
    assert status == 409 and "200" in said["detail"]
    assert put(site, "w7", {"name": "Seven"})[0] == 200


def test_the_command_line(site):
    user(site, "ada@acme.example")
    run = site.gate.run
    out = run("workspace", "set", "acme", "design", "--name", "Design", "--member", "ada@acme.example=admin")
    assert out.returncode == 0 and "has 1 members" in out.stdout, out.stderr
    assert "Design" in run("workspace", "list", "acme").stdout
    out = run("workspace", "list", "acme", "design")
    assert "ada@acme.example" in out.stdout and "admin" in out.stdout
    assert run("workspace", "set", "acme", "design", "--member", "nobody").returncode == 2
    assert run("workspace", "remove", "acme", "design").returncode == 0
    assert run("workspace", "remove", "acme", "design").returncode == 1


def test_they_go_with_the_tenant(site, tmp_path):
    for email, role in (("ada@acme.example", "owner"), ("bob@acme.example", "member")):
        user(site, email, role)
    put(site, "design", {"members": {"ada@acme.example": "owner", "bob@acme.example": "member"}})
    put(site, "press", {"name": "Press"})
    archive = tmp_path / "acme.tar"
    out = site.gate.run("tenant", "export", "acme", "--to", str(archive), "--json")
    assert out.returncode == 0 and json.loads(out.stdout) == {"file": str(archive), "bytes": archive.stat().st_size}
    document = tmp_path / "acme.toml"
    assert site.gate.run("tenant", "export", "acme", "--toml", "--to", str(document)).returncode == 0
    assert 'id = "acme"' in document.read_text()
    assert site.gate.run("tenant", "export", "acme", "--toml", "--keys").returncode == 2
    assert site.gate.run("tenant", "backup", "acme").returncode == 0
    # As another tenant, and back over itself.
    out = site.gate.run("tenant", "import", str(archive), "--as", "copy")
    assert out.returncode == 0, out.stderr
    assert names(site, "copy") == ["design", "press"] and members(site, "copy") is None
    assert members(site, "design", "copy") == {"ada@acme.example": "owner", "bob@acme.example": "member"}
    put(site, "design", {"name": "Other", "members": {}})
    put(site, "later", {})
    send(site, "DELETE", "/v1/tenants/acme/users/bob@acme.example")
    assert site.gate.run("tenant", "restore", "acme").returncode == 0      # of the document nothing differs
    assert names(site) == ["design", "press"] and members(site, "design") == {"ada@acme.example": "owner", "bob@acme.example": "member"}
    # Gone for good, with its log where it comes from elsewhere.
    assert send(site, "DELETE", "/v1/tenants/copy?grace=0s")[0] == 202
    until(lambda: send(site, "POST", "/v1/tenants", {"id": "copy", "pool": "main"})[0] == 201, seconds=5, pause=0.1)
    assert names(site, "copy") == []
    file = next((site.gate.folder / "state/tenants").rglob("copy.db"))
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as db:
        assert db.execute("SELECT (SELECT count(*) FROM workspaces) + (SELECT count(*) FROM workspace_members)").fetchone()[0] == 0
    assert site.gate.run("audit", "verify").returncode == 0


def test_a_family_shares_a_database(site):
    make(site, "child", parent="acme", database="parent")
    user(site, "ada@acme.example")
    user(site, "kim@child.example", tenant="child")
    assert put(site, "design", {"members": {"ada@acme.example": "owner"}})[0] == 201
    assert put(site, "design", {"members": {"kim@child.example": "owner"}}, tenant="child")[0] == 201
    assert put(site, "design", {"members": {"ada@acme.example": "owner"}}, tenant="child")[0] == 422
    # It moves out, with all it has.
    assert send(site, "PATCH", "/v1/tenants/child", {"database": None})[0] == 200
    assert members(site, "design", "child") == {"kim@child.example": "owner"} and members(site, "design") == {"ada@acme.example": "owner"}
    file = lambda: list((site.gate.folder / "state/tenants").rglob("child.db"))
    until(file, seconds=5, pause=0.05)
    assert send(site, "DELETE", "/v1/tenants/child/users/kim@child.example")[0] == 200
    assert members(site, "design", "child") == {}
