"""What one tenant lets another's tokens do with it: at once, no more than that, and gone with either."""
import json
import time

import pytest

from kit.gate import until


@pytest.fixture
def site(build):
    site = build(tenants={})
    for id_, parent in (("acme", None), ("child", "acme"), ("agency", None), ("agencys", "agency"), ("other", None)):
        tenant = {"id": id_, "pool": "main", "hosts": [f"{id_}.example"], **({"parent": parent} if parent else {})}
        status, made, _ = send(site, "POST", "/v1/tenants", tenant)
        assert status == 201, made
    site.acme, site.agency, site.viewer, site.below, site.other = (
        token(site, "tenant-admin", "acme"), token(site, "tenant-admin", "agency"), token(site, "tenant-viewer", "agency"),
        token(site, "tenant-admin", "agencys"), token(site, "tenant-admin", "other"))
    return site


def send(site, method, path, body=None, token="own"):
    sent = {"Content-Type": "application/json"} if body is not None else {}
    status, text, fields = site.gate.admin(method, path, token=token, body=None if body is None else json.dumps(body), fields=sent, timeout=20)
    return status, json.loads(text), fields


def token(site, role, tenant):
    return send(site, "POST", "/v1/tokens", {"role": role, "tenant": tenant})[1]["token"]


def grant(site, role, to="agency", by=None, **more):
    return send(site, "PUT", f"/v1/tenants/acme/grants/{to}", {"role": role, **more}, token=by or site.acme)


def sees(site, token, tenant="acme"):
    return send(site, "GET", f"/v1/tenants/{tenant}", token=token)[0]


def test_no_more_than_was_granted(site):
    nobodys = send(site, "GET", "/v1/tenants/nobody", token=site.agency)[1]
    assert send(site, "GET", "/v1/tenants/acme", token=site.agency)[1] == nobodys
    status, made, _ = grant(site, "tenant-viewer")
    assert status == 201 and made["to"] == "agency"
    assert [sees(site, t) for t in (site.agency, site.viewer, site.below, site.other)] == [200, 200, 404, 404]
    assert sees(site, site.agency, "child") == 404                    # none below it
    assert send(site, "GET", "/v1/tenants/acme", token=site.other)[1] == nobodys
    assert send(site, "PATCH", "/v1/tenants/acme", {"name": "No"}, token=site.agency)[0] == 403
    assert grant(site, "tenant-admin")[0] == 200
    assert send(site, "PATCH", "/v1/tenants/acme", {"name": "Yes"}, token=site.agency)[0] == 200
    assert send(site, "PATCH", "/v1/tenants/acme", {"name": "No"}, token=site.viewer)[0] == 403      # its own role is less
    assert send(site, "PATCH", "/v1/tenants/acme", {"plan": "free"}, token=site.agency)[0] == 403
    # Never: grants, tokens, owners, tenants below.
    for method, body in (("GET", None), ("PUT", {"role": "tenant-viewer"}), ("DELETE", None)):
        path = "/v1/tenants/acme/grants" + ("" if method == "GET" else "/other")
        assert send(site, method, path, body, token=site.agency)[0] == 403, method
    assert send(site, "POST", "/v1/tokens", {"role": "tenant-viewer", "tenant": "acme"}, token=site.agency)[0] == 422
    assert "acme" not in json.dumps(send(site, "GET", "/v1/tokens", token=site.agency)[1]["tokens"])
    assert send(site, "POST", "/v1/tenants", {"id": "new", "parent": "acme"}, token=site.agency)[0] == 422
    users = "/v1/tenants/acme/users/"
    assert send(site, "PUT", users + "eve@agency.example", {"role": "owner"}, token=site.agency)[0] == 403
    assert send(site, "PUT", users + "eve@agency.example", {"role": "admin"}, token=site.agency)[0] == 201
    assert send(site, "PUT", users + "eve@agency.example", {"role": "owner"}, token=site.agency)[0] == 403
    assert send(site, "PUT", users + "ada@acme.example", {"role": "owner"}, token=site.acme)[0] == 201
    assert send(site, "PUT", users + "bob@acme.example", {"role": "owner"}, token=site.acme)[0] == 201
    assert send(site, "PUT", users + "bob@acme.example", {"role": "member"}, token=site.agency)[0] == 403
    assert send(site, "DELETE", users + "bob@acme.example", token=site.agency)[0] == 403
    assert send(site, "DELETE", users + "eve@agency.example", token=site.agency)[0] == 200
    # What it shows of itself, and of whom.
    assert [t["id"] for t in send(site, "GET", "/v1/tenants", token=site.agency)[1]["tenants"]] == ["acme", "agency", "agencys"]
    assert send(site, "GET", "/v1/whoami", token=site.agency)[1]["granted"] == ["acme"]
    rows = send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]
    assert rows[0]["action"] == "user-removed" and rows[0]["who"].endswith(" of agency")


def test_made_revoked_and_audited(site):
    assert grant(site, "tenant-viewer", expires_in="5s")[0] == 201 and sees(site, site.agency) == 200
    until(lambda: sees(site, site.agency) == 404, seconds=20, pause=0.2)
    assert send(site, "GET", "/v1/tenants/acme/grants", token=site.acme)[1]["grants"] == []
    run = site.gate.run
    out = run("tenant", "grant", "acme", "--to", "agency", "--role", "tenant-viewer", "--expires", "30d")
    assert out.returncode == 0 and "tenant-viewer of tenant acme" in out.stdout, out.stderr
    assert "agency" in run("tenant", "grants", "acme").stdout
    site.gate.kill()
    site.gate.start()
    assert sees(site, site.agency) == 200
    assert run("tenant", "revoke-grant", "acme", "--to", "agency").returncode == 0
    assert sees(site, site.agency) == 404
    assert run("tenant", "revoke-grant", "acme", "--to", "agency").returncode == 1
    site.gate.kill()
    site.gate.start()
    assert sees(site, site.agency) == 404
    mine = send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]
    theirs = send(site, "GET", "/v1/tenants/agency/audit", token=site.agency)[1]["rows"]
    assert [r["action"] for r in mine][:3] == ["grant-removed", "grant-set", "grant-set"]
    assert [r["action"] for r in theirs][:3] == ["grant-lost", "grant-received", "grant-received"]
    assert {r["who"] for r in theirs[:3]} == {"tenant:acme"} and {r["from"] for r in theirs[:3]} == {""}
    assert run("audit", "verify").returncode == 0
    for body in ({"role": "platform-admin"}, {"role": "owner"}, {}, {"role": "tenant-viewer", "expires_in": "soon"}, {"role": "tenant-viewer", "to": "x"}):
        assert send(site, "PUT", "/v1/tenants/acme/grants/agency", body, token=site.acme)[0] == 422, body
    assert grant(site, "tenant-viewer", to="acme")[0] == 422
    assert grant(site, "tenant-viewer", to="nobody", by="own")[0] == 422      # the platform may know


def test_it_tells_nobody_who_there_is(site):
    there, nobody = grant(site, "tenant-viewer", to="other"), grant(site, "tenant-viewer", to="nobody")
    strip = lambda answer, id_: json.dumps({k: v for k, v in answer[1].items() if k not in ("made_at",)}).replace(id_, "ID")
    assert there[0] == nobody[0] == 201 and strip(there, "other") == strip(nobody, "nobody")
    # Whoever comes to the id later has nothing of it.
    status, made, _ = send(site, "POST", "/v1/tenants", {"id": "nobody", "pool": "main"})
    assert status == 201, made
    late = token(site, "tenant-admin", "nobody")
    assert sees(site, late) == 404
    site.gate.kill()
    site.gate.start()
    assert sees(site, late) == 404 and sees(site, site.other) == 200


@pytest.mark.parametrize("gone", ["acme", "agency"])
def test_it_goes_with_either(site, gone):
    grant(site, "tenant-viewer")
    assert send(site, "DELETE", f"/v1/tenants/{gone}?grace=0s&recursive=1")[0] == 202
    until(lambda: send(site, "POST", "/v1/tenants", {"id": gone, "pool": "main"})[0] == 201, seconds=5, pause=0.1)
    agency = token(site, "tenant-admin", "agency")
    assert sees(site, agency) == 404
    site.gate.kill()
    site.gate.start()
    assert sees(site, agency) == 404


def test_at_most_a_hundred(site):
    for i in range(100):
        assert grant(site, "tenant-viewer", to=f"t{i}", **({"expires_in": "1s"} if i == 0 else {}))[0] == 201
    time.sleep(1.1)
    assert grant(site, "tenant-viewer", to="t100")[0] == 201          # in the place of what is over
    assert grant(site, "tenant-viewer", to="t101")[0] == 409
