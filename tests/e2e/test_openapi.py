"""/v1/openapi.json is true: every operation is called, and what comes back is what it says."""
import json
import urllib.parse

import jsonschema
import pytest

from kit.certs import Authority
from kit.gate import until
from kit.upgrade import Child
from kit.upstream import ScriptedUpstream, ok


@pytest.fixture(scope="module")
def site(build, dev_certs, tmp_path_factory):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    site = build(upstream=upstream, tenants={"filed": {"pool": "main", "hosts": ["filed.example"]}}, certs=dev_certs,
                 pools={"main": [upstream.address], "other": [upstream.address]},
                 settings={"registry": {"host_proof": "dns", "resolver": "127.0.0.1:9"}, "plans": {"pro": {"concurrency": 50}, "free": {}}})
    site.pem = Authority(tmp_path_factory.mktemp("ca")).leaf(["acme.example"]).read_bytes()
    site.document = json.loads(site.gate.admin("GET", "/v1/openapi.json")[1])
    return site


class Caller:
    """Sends operations by their id, and holds each answer against the document."""

    def __init__(self, site):
        self.gate, self.document, self.called = site.gate, site.document, {}
        self.operations = {o["operationId"]: (method.upper(), path, o)
                           for path, methods in self.document["paths"].items() for method, o in methods.items()}

    def __call__(self, name, body=None, token="own", type_="application/json", fields=None, expect=None, query=None, **path):
        method, target, operation = self.operations[name]
        for key, value in path.items():
            assert "{" + key + "}" in target, f"{name} has no {key} in its path"
            target = target.replace("{" + key + "}", urllib.parse.quote(value, safe=""))
        assert "{" not in target, target
        if query:
            named = {p.get("name", "") for p in map(self.resolved, operation.get("parameters", []))}
            assert set(query) <= named, f"{name}: {set(query) - named} is not described"
            target += "?" + urllib.parse.urlencode(query)
        sent = dict(fields or {})
        if body is not None:
            sent["Content-Type"] = type_
            if not isinstance(body, bytes):
                self.check(body, self.resolved(operation["requestBody"])["content"][type_]["schema"], f"{name}: what is sent")
                body = json.dumps(body)
        status, text, answered = self.gate.admin(method, target, token=token, body=body, fields=sent, timeout=30)
        where = f"{name}: {status} {text[:400]}"
        assert expect is None or status == expect, where
        assert str(status) in operation["responses"], where + ": not described"
        self.called.setdefault(name, set()).add(status)
        response = self.resolved(operation["responses"][str(status)])
        if "content" not in response:
            return None
        kind = answered["Content-Type"].split(";")[0]
        assert kind in response["content"], where + f": {kind}"
        if not kind.endswith("json"):
            return text
        value = json.loads(text)
        self.check(value, response["content"][kind]["schema"], where)
        return value

    def resolved(self, o):
        while "$ref" in o:
            target = self.document
            for part in o["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            o = target
        return o

    def check(self, value, schema, where):
        whole = {**schema, "components": self.document["components"]}
        try:
            jsonschema.Draft202012Validator(whole).validate(value)
        except jsonschema.ValidationError as error:
            raise AssertionError(f"{where}\n{error.json_path}: {error.message}") from None


def test_every_operation(site):
    call = Caller(site)
    for name in ("health", "ready", "metrics", "openapi", "whoami", "node", "certificates", "tenants", "tokens", "requests", "platformAudit",
                 "verifyAudit", "pools"):
        call(name, expect=200)
    call("node", token="nobody", expect=401)
    call("tenants", query={"limit": "0"}, expect=400)
    call("tenants", query={"state": "active", "search": "filed"}, expect=200)
    # A tenant's life.
    acme = {"id": "acme", "pool": "main", "hosts": ["acme.example"], "owner": "ada@acme.example"}
    call("createTenant", acme, query={"dry_run": "1"}, expect=200)
    assert call("createTenant", acme, fields={"Idempotency-Key": "k"}, expect=201)["missing"]
    call("createTenant", acme, expect=409)
    call("createTenant", {"id": "globex", "plan": "none"}, expect=409)
    call("createTenant", {"id": "globex", "owner": "nobody"}, expect=422)
    call("createTenant", b"{", expect=400)
    call("createTenant", b"x", type_="text/plain", expect=415)
    call("createTenant", {"id": "child", "parent": "acme"}, expect=201)
    call("tenant", id="acme", expect=200)
    call("tenant", id="nobody", expect=404)
    call("updateTenant", {"name": "Acme", "plan": "pro"}, id="acme", type_="application/merge-patch+json", expect=200)
    call("updateTenant", {"name": "Acme"}, id="acme", fields={"If-Match": '"1"'}, expect=412)
    call("updateTenant", {"colour": 1}, id="acme", expect=422)
    call("updateTenant", {"name": "x"}, id="filed", expect=409)
    call("effective", id="acme", expect=200)
    call("usage", id="acme", expect=200)
    call("usage", id="acme", query={"from": "yesterday"}, expect=400)
    call("suspendTenant", {"reason": "legal", "message": "m", "until": "2099-01-01T00:00:00Z"}, id="acme", expect=200)
    call("suspendTenant", b'{"reason": "none"}', id="acme", expect=422)
    call("reactivateTenant", id="acme", expect=200)
    call("audit", id="acme", expect=200)
    call("audit", id="nobody", expect=404)
    # People, tokens, what waits.
    call("setUser", {"role": "member", "name": "Bob"}, id="acme", address="bob@acme.example", expect=201)
    call("setUser", {"role": "admin"}, id="acme", address="bob@acme.example", expect=200)
    call("setUser", {"role": "admin"}, id="acme", address="nobody", expect=400)
    call("users", id="acme", expect=200)
    call("setWorkspace", {"name": "Design", "members": {"bob@acme.example": "owner"}}, id="acme", address="design", expect=201)
    call("setWorkspace", {"members": {}}, id="acme", address="design", expect=200)
    call("setWorkspace", b'{"members": {"nobody@acme.example": "king"}}', id="acme", address="design", expect=422)
    call("workspaces", id="acme", expect=200)
    call("workspace", id="acme", address="design", expect=200)
    call("removeWorkspace", id="acme", address="design", expect=200)
    call("removeWorkspace", id="acme", address="design", expect=404)
    call("removeUser", id="acme", address="bob@acme.example", expect=200)
    call("removeUser", id="acme", address="ada@acme.example", expect=409)
    made = call("createToken", {"role": "tenant-admin", "tenant": "acme", "label": "ci", "expires_in": "1d"}, expect=201)
    call("createToken", {"role": "tenant-admin", "tenant": "nobody"}, expect=422)
    token = made["token"]
    call("whoami", token=token, expect=200)
    call("node", token=token, expect=403)
    call("updateTenant", {"hosts": ["acme.example", "new.example", "other.example"]}, id="acme", token=token, expect=200)
    assert len(call("requests", expect=200)["requests"]) == 2
    call("proveRequest", id="acme", address="new.example", expect=409)
    call("approveRequest", id="acme", address="new.example", expect=200)
    call("refuseRequest", id="acme", address="other.example", expect=200)
    call("refuseRequest", id="acme", address="other.example", expect=404)
    call("setGrant", {"role": "tenant-viewer", "expires_in": "30d"}, id="acme", address="filed", expect=201)
    call("setGrant", {"role": "tenant-admin"}, id="acme", address="filed", token=token, expect=200)
    call("setGrant", b'{"role": "owner"}', id="acme", address="filed", expect=422)
    call("grants", id="acme", expect=200)
    theirs = call("createToken", {"role": "tenant-admin", "tenant": "filed"}, expect=201)["token"]
    assert call("whoami", token=theirs, expect=200)["granted"] == ["acme"]
    call("removeGrant", id="acme", address="filed", token=theirs, expect=403)
    call("removeGrant", id="acme", address="filed", expect=200)
    call("removeGrant", id="acme", address="filed", expect=404)
    call("deleteTenant", id="child", token=token, expect=202)
    call("tokens", query={"tenant": "acme"}, expect=200)
    call("revokeToken", id=made["id"], expect=200)
    call("revokeToken", id=made["id"], expect=404)
    # Certificates, archives, moving.
    call("putCertificate", site.pem, id="acme", address="acme.example", type_="application/x-pem-file", expect=200)
    call("putCertificate", b"none", id="acme", address="acme.example", type_="application/x-pem-file", expect=422)
    call("removeCertificate", id="acme", address="acme.example", expect=200)
    call("removeCertificate", id="acme", address="acme.example", expect=404)
    archive = call("exportTenant", id="acme", expect=200).encode()
    call("importTenant", archive, type_="application/x-tar", query={"id": "copy", "dry_run": "1"}, expect=409)      # its hosts are acme's
    call("importTenant", b"x", type_="application/x-tar", expect=422)
    name = call("backupTenant", id="acme", expect=201)["name"]
    call("backups", id="acme", expect=200)
    call("downloadBackup", id="acme", address=name, expect=200)
    call("restoreTenant", {"backup": name}, id="acme", expect=200)
    call("restoreTenant", {"backup": "none"}, id="acme", expect=404)
    call("migrateTenant", {"to": "pool:other"}, id="acme", expect=200)
    call("migrateTenant", {"to": "pool:none"}, id="acme")
    # The node.
    pool = call("pools")["pools"][0]
    call("pool", id=pool["name"], expect=200)
    call("pool", id="none", expect=404)
    call("drain", id=pool["name"], address=pool["endpoints"][0]["address"], expect=200)
    call("enable", id=pool["name"], address=pool["endpoints"][0]["address"], expect=200)
    call("drain", id=pool["name"], address="none", expect=404)
    call("explain", query={"url": "http://acme.example/"}, expect=200)
    call("explain", query={"url": ""}, expect=400)
    call("reload", expect=200)
    call("publishRegistry", expect=409)
    call("diffRegistry", expect=409)
    call("deleteTenant", id="acme", expect=409)                 # a tenant is below it
    call("deleteTenant", id="acme", query={"recursive": "1", "grace": "0s"}, expect=202)
    # The process after this one answers the same.
    before = call("upgradeState", expect=200)
    assert before == {"state": "none"}
    call("startUpgrade", expect=202)
    call("startUpgrade", expect=409)
    until(lambda: call("upgradeState", expect=200)["state"] == "done", 20)
    old, site.gate.process = site.gate.process, Child(call("upgradeState", expect=200)["pid"])
    assert old.wait(20) == 0
    assert set(call.called) == set(call.operations), set(call.operations) - set(call.called)
