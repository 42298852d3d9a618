"""/v1/openapi.json is true: every operation is called, and what comes back is what it says."""
import json
import re
import urllib.parse

import jsonschema
import pytest

from kit.certs import Authority
from kit.gate import until
from kit.upgrade import Child
from kit.upstream import ScriptedUpstream, ok
from test_follower import Fleet, certs  # noqa: F401


@pytest.fixture(scope="module")
def site(build, dev_certs, tmp_path_factory):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    site = build(upstream=upstream, tenants={"filed": {"pool": "main", "hosts": ["filed.example"]}}, certs=dev_certs,
                 pools={"main": [upstream.address], "other": [upstream.address]},
                 settings={"registry": {"host_proof": "dns", "resolver": "127.0.0.1:9"}, "plans": {"pro": {"concurrency": 50}, "free": {}}})
    site.authority = Authority(tmp_path_factory.mktemp("ca"))
    site.document = json.loads(site.gate.admin("GET", "/v1/openapi.json")[1])
    return site


class Caller:
    """Sends operations by their id, and holds each answer against the document: its status, its fields, and what it says,
    in which nothing may be that is not described."""

    def __init__(self, gate, document=None):
        self.gate, self.called = gate, {}
        self.document = document or json.loads(gate.admin("GET", "/v1/openapi.json")[1])
        self.operations = {o["operationId"]: (method.upper(), path, o)
                           for path, methods in self.document["paths"].items() for method, o in methods.items()}
        parts = self.document["components"]
        self.components = {**parts, "schemas": {name: self.closed(s, is_part=True) for name, s in parts["schemas"].items()}}

    def __call__(self, name, body=None, token="own", type_="application/json", fields=None, expect=None, query=None, **path):
        method, target, operation = self.operations[name]
        for key, value in path.items():
            assert "{" + key + "}" in target, f"{name} has no {key} in its path"
            target = target.replace("{" + key + "}", urllib.parse.quote(value, safe=""))
        assert "{" not in target, target
        named = {p["name"] for p in map(self.resolved, operation.get("parameters", []))}
        asked = {*path, *(query or {}), *(fields or {})}
        assert asked <= named, f"{name}: {asked - named} is not described"
        if query:
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
        self.check_fields(answered, response.get("headers", {}), where)
        return self.check_content(text, answered, response, where)

    def refused(self, status, method, path, **sent):
        """What any request may get, of whatever operation."""
        got, text, answered = self.gate.admin(method, path, **sent)
        assert got == status, text
        self.check_content(text, answered, self.document["components"]["responses"]["Problem"], f"{method} {path}: {text[:400]}")
        return answered

    def check_content(self, text, answered, response, where):
        if "content" not in response:
            assert text == "", where
            return None
        kind = answered["Content-Type"].split(";")[0]
        assert kind in response["content"], where + f": {kind}"
        if not kind.endswith("json"):
            return text
        value = json.loads(text)
        self.check(value, self.closed(response["content"][kind]["schema"]), where)
        return value

    def check_fields(self, answered, described, where):
        for name in {*self.document["components"].get("headers", {}), *described}:
            assert name not in answered or name in described, f"{where}: {name} is not described"
            header = self.resolved(described.get(name, {}))
            assert name in answered or not header.get("required"), f"{where}: no {name}"
            if name in answered:
                self.check(answered[name], header["schema"], f"{where}: {name}")

    def resolved(self, o):
        while "$ref" in o:
            target = self.document
            for part in o["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            o = target
        return o

    def closed(self, schema, is_part=False):
        """The schema, taking only members that it names, wherever it names any; parts of others (allOf, oneOf) add to them."""
        out = dict(schema)
        if "properties" in out:
            out["properties"] = {key: self.closed(s) for key, s in out["properties"].items()}
        if "items" in out:
            out["items"] = self.closed(out["items"])
        for word in ("allOf", "anyOf", "oneOf"):
            if word in out:
                out[word] = [self.closed(s, is_part=True) for s in out[word]]
        if not is_part and self.names_members(out):
            out["unevaluatedProperties"] = False
        return out

    def names_members(self, schema):
        s = self.resolved(schema)
        return "properties" in s or any(self.names_members(one) for word in ("allOf", "anyOf", "oneOf") for one in s.get(word, []))

    def check(self, value, schema, where):
        whole = {**schema, "components": self.components}
        try:
            jsonschema.Draft202012Validator(whole).validate(value)
        except jsonschema.ValidationError as error:
            raise AssertionError(f"{where}\n{error.json_path}: {error.message}") from None


@pytest.fixture
def call(site):
    return Caller(site.gate, site.document)


def every(o, word):
    """All values of a key, wherever it stands."""
    for key, value in o.items() if isinstance(o, dict) else enumerate(o):
        if key == word:
            yield value
        if isinstance(value, (dict, list)):
            yield from every(value, word)


def test_the_document_hangs_together(site, call):
    used = set(every(site.document, "$ref"))
    for ref in used:
        call.resolved({"$ref": ref})
    there = {f"#/components/{kind}/{name}" for kind, all_ in site.document["components"].items() for name in all_ if kind != "securitySchemes"}
    assert there == used
    for schema in site.document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    for name, (_, path, operation) in call.operations.items():
        in_path = {p["name"] for p in map(call.resolved, operation.get("parameters", [])) if p["in"] == "path"}
        assert in_path == set(re.findall("{(.*?)}", path)), name


def test_an_answer_with_more_than_is_described_is_noticed(site, call):
    tenant = json.loads(site.gate.admin("GET", "/v1/tenants/filed")[1])
    either = site.document["paths"]["/v1/tenants/{id}"]["patch"]["responses"]["200"]["content"]["application/json"]["schema"]
    call.check(tenant, call.closed(either), "as it is")
    for wrong in ({**tenant, "colour": 1}, {**tenant, "quarantine": [{"severity": "error", "message": "m", "colour": 1}]}, {**tenant, "dry_run": True},
                  {"dry_run": True}, {"dry_run": True, "affected": [], "colour": 1}):
        with pytest.raises(AssertionError):
            call.check(wrong, call.closed(either), "with more")


def test_every_operation(site, call):
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
    call("putCertificate", site.authority.leaf(["acme.example"]).read_bytes(), id="acme", address="acme.example", type_="application/x-pem-file", expect=200)
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
    call("reload", query={"force": "x"}, expect=400)
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


def test_dry_runs_and_requests_sent_again(call):
    call("createTenant", {"id": "again"}, fields={"Idempotency-Key": "made"}, expect=201)
    call("createTenant", {"id": "again"}, fields={"Idempotency-Key": "made"}, expect=201)
    call("createTenant", {"id": "other"}, fields={"Idempotency-Key": "made"}, expect=422)
    call("createTenant", {"id": "other"}, fields={"Idempotency-Key": "k" * 256}, expect=400)
    for name, sent in (("updateTenant", {"name": "Again"}), ("suspendTenant", {"reason": "legal"}), ("reactivateTenant", None), ("deleteTenant", None)):
        assert call(name, sent, id="again", query={"dry_run": "1"}, expect=200) == {"dry_run": True, "affected": ["again"]}
        call(name, sent, id="again", query={"dry_run": "maybe"}, expect=400)
        call(name, b"x", type_="text/plain", id="again", expect=415)
        call(name, sent, id="again", fields={"If-Match": '"1"'}, expect=412)
        call(name, sent, id="nobody", expect=404)
        call(name, sent, id="again", fields={"Idempotency-Key": "made"}, expect=422)
        if name != "deleteTenant":
            for _ in range(2):
                assert call(name, sent, id="again", fields={"Idempotency-Key": name}, expect=200)["id"] == "again"
    assert call("deleteTenant", id="again", fields={"Idempotency-Key": "gone"}, query={"grace": "0s"}, expect=202)["affected"] == ["again"]
    call("deleteTenant", id="again", fields={"Idempotency-Key": "gone"}, query={"grace": "0s"})
    call("deleteTenant", id="filed", expect=409)


def test_what_archives_bring_in(site, call):
    call("createTenant", {"id": "boxed", "pool": "main", "hosts": ["boxed.example"], "owner": "ada@boxed.example"}, expect=201)
    call("putCertificate", site.authority.leaf(["boxed.example"]).read_bytes(), id="boxed", address="boxed.example",
         type_="application/x-pem-file", expect=200)
    with_keys = call("exportTenant", id="boxed", query={"keys": "1"}, expect=200).encode()
    without = call("exportTenant", id="boxed", expect=200).encode()
    name = call("backupTenant", id="boxed", expect=201)["name"]

    def bring(archive, **query):
        return call("importTenant", archive, type_="application/x-tar", query=query)
    assert bring(with_keys, replace="1", dry_run="1") == {"dry_run": True, "affected": ["boxed"]}
    assert bring(with_keys, replace="1")["imported"]["certificates_kept"] == ["boxed.example"]
    assert bring(without, replace="1")["imported"]["certificates_missing"] == ["boxed.example"]
    call("removeCertificate", id="boxed", address="boxed.example", expect=200)
    assert call("restoreTenant", {"backup": name}, id="boxed", query={"dry_run": "1"}, expect=200) == {"dry_run": True, "affected": ["boxed"]}
    assert call("restoreTenant", id="boxed", expect=200)["restored"]["certificates_missing"] == ["boxed.example"]
    assert bring(with_keys, replace="1")["imported"]["certificates"] == 1
    call("restoreTenant", b"x", type_="text/plain", id="boxed", expect=415)
    call("restoreTenant", b"[]", id="boxed", expect=400)
    call("importTenant", type_="application/x-tar", expect=400)
    call("importTenant", without, type_="application/x-tar", expect=409)
    call("deleteTenant", id="boxed", query={"grace": "0s"}, expect=202)
    until(lambda: site.gate.admin("GET", "/v1/tenants?search=boxed")[1].count('"in_force":true') == 0)
    assert call("restoreTenant", {"backup": name}, id="boxed", expect=201)["restored"]["usage"] == "kept"
    call("exportTenant", id="nobody", expect=404)
    call("exportTenant", id="boxed", query={"keys": "x"}, expect=400)
    call("backupTenant", id="nobody", expect=404)
    call("downloadBackup", id="boxed", address="none", expect=404)


def test_what_a_tenants_own_token_is_told(call):
    call("createTenant", {"id": "own", "hosts": ["own.example"]}, expect=201)
    token = call("createToken", {"role": "tenant-admin", "tenant": "own"}, expect=201)["token"]
    viewer = call("createToken", {"role": "tenant-viewer", "tenant": "own"}, expect=201)["token"]
    call("tenants", token=token, expect=200)
    call("verifyAudit", token=token, expect=400)
    call("verifyAudit", token=token, query={"tenant": "filed"}, expect=404)
    call("verifyAudit", token=token, query={"tenant": "own"}, expect=200)
    call("updateTenant", {"plan": "pro"}, id="own", token=token, expect=403)
    call("updateTenant", {"hosts": "none"}, id="own", token=token, expect=422)
    call("tenant", id="filed", token=token, expect=404)
    call("effective", id="filed", token=token, expect=404)
    call("setUser", {"role": "owner"}, id="own", address="eve@own.example", token=viewer, expect=403)
    call("exportTenant", id="own", query={"keys": "1"}, token=token, expect=403)
    call("updateTenant", {"hosts": ["own.example", "asked.example"]}, id="own", token=token, expect=200)
    assert call("proveRequest", id="own", address="asked.example", token=token, expect=409)["record"]["type"] == "TXT"
    assert call("tenant", id="own", token=token, expect=200)["proofs"]
    call("deleteTenant", id="own", token=token, query={"dry_run": "1"}, expect=200)
    assert call("deleteTenant", id="own", token=token, expect=202) == {"id": "own", "requested": "deletion"}
    call("requests", query={"tenant": "own"}, expect=200)
    call("approveRequest", id="own", address="deletion", expect=200)


def test_what_any_request_may_get(site, call):
    assert call.refused(405, "PUT", "/v1/tenants")["Allow"] == "GET, HEAD, POST"
    call.refused(404, "GET", "/v1/nothing")
    call.refused(400, "GET", "http://x/v1/node")
    call.refused(413, "POST", "/v1/tenants", fields={"Content-Type": "application/json", "Content-Length": str(1024 * 1024 + 1)})
    call.refused(431, "GET", "/v1/node", fields={"X-Long": "x" * 65536})
    etag = site.gate.admin("GET", "/v1/tenants/filed")[2]["ETag"]
    assert call("tenant", id="filed", fields={"If-None-Match": etag}, expect=304) is None


def test_with_redis(tmp_path, redis, certs, site):  # noqa: F811
    with Fleet(tmp_path, redis, certs, site.upstream) as fleet:
        center, edge = Caller(fleet.center), Caller(fleet.edge())
        assert center("ready", expect=200)["redis"] == "current"
        until(lambda: edge("ready")["redis"] == "current", 10)
        for each in (center, edge):
            for name in ("node", "tenants", "certificates"):
                each(name, expect=200)
            each("explain", query={"url": "http://shop.acme.example/"}, expect=200)
            each("effective", id="acme", expect=200)
            each("usage", id="acme", expect=200)
        center("publishRegistry", expect=202)
        until(lambda: center("node")["publisher"]["state"] == "current", 10)
        center("diffRegistry", expect=200)
        edge("tenant", id="nobody", expect=404)
        for name in ("audit", "users", "exportTenant", "backups", "suspendTenant"):
            edge(name, {"reason": "legal"} if name == "suspendTenant" else None, id="acme", expect=409)
        edge("createToken", {"role": "platform-viewer"}, expect=503)
        redis.kill()
        until(lambda: edge("ready")["redis"] == "away", 10)
        assert edge("effective", id="acme", expect=200)
