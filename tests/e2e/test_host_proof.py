"""Hosts that a tenant proves by a TXT record: found, not found, and answers that are meant to deceive."""
import json
import time

import pytest

from kit.dns import Resolver, cname, message, txt
from kit.gate import until
from kit.upstream import ScriptedUpstream, ok

challenge = "_gatehouse-challenge."


@pytest.fixture
def resolver():
    r = Resolver()
    yield r
    r.stop()


@pytest.fixture
def site(build, resolver):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    site = build(upstream=upstream, tenants={}, settings={"registry": {"host_proof": "dns", "resolver": resolver.address, "proof_every": "1d"}})
    for id_, hosts in (("acme", []), ("rival", ["rival.example"])):
        status, made, _ = send(site, "POST", "/v1/tenants", {"id": id_, "pool": "main", "hosts": hosts})
        assert status == 201, made
    site.admin = token(site, "acme")
    return site


def send(site, method, path, body=None, token="own"):
    sent = {"Content-Type": "application/json"} if body is not None else {}
    status, text, fields = site.gate.admin(method, path, token=token, body=None if body is None else json.dumps(body), fields=sent, timeout=30)
    return status, json.loads(text), fields


def token(site, tenant):
    status, made, _ = send(site, "POST", "/v1/tokens", {"role": "tenant-admin", "tenant": tenant})
    assert status == 201, made
    return made["token"]


def ask_for(site, *hosts, tenant="acme", by=None):
    """The records that prove them."""
    has = send(site, "GET", f"/v1/tenants/{tenant}")[1]["tenant"].get("hosts", [])
    status, row, _ = send(site, "PATCH", f"/v1/tenants/{tenant}", {"hosts": has + list(hosts)}, token=by or site.admin)
    assert status == 200, row
    return {p["host"]: p["record"] for p in row["proofs"]}


def prove(site, host, tenant="acme", by=None):
    status, said, _ = send(site, "POST", f"/v1/tenants/{tenant}/requests/{host.replace('*', '%2A')}/prove", token=by or site.admin)
    return status, said


def status_of(site, host):
    with site.client() as client:
        return client.get("/", host=host).status


def test_a_record_proves_a_host(site, resolver):
    record = ask_for(site, "shop.example")["shop.example"]
    assert record["name"] == challenge + "shop.example" and record["type"] == "TXT" and len(record["value"]) == 64
    assert send(site, "GET", "/v1/requests", token=site.admin)[1]["requests"][0]["record"] == record
    out = site.gate.run("tenant", "requests")
    assert f"{record['name']} TXT {record['value']}" in out.stdout
    # Nothing there; something else there; then it.
    status, said = prove(site, "shop.example")
    assert status == 409 and said["type"] == "urn:gatehouse:not-proved" and "does not exist" in said["detail"] and said["record"] == record
    resolver.answers[record["name"]] = []
    assert "has no TXT record" in prove(site, "shop.example")[1]["detail"]
    resolver.answers[record["name"]] = [txt(record["name"], "v=spf1"), txt(record["name"], record["value"] + "0"), txt(record["name"], record["value"][:-1])]
    assert "is another" in prove(site, "shop.example")[1]["detail"] and status_of(site, "shop.example") == 404
    resolver.answers[record["name"]] = [txt(record["name"], "v=spf1"), txt(record["name"], record["value"][:30], record["value"][30:])]
    out = site.gate.run("tenant", "prove", "acme", "shop.example")
    assert out.returncode == 0 and "proved" in out.stdout, out.stderr
    assert status_of(site, "shop.example") == 200
    assert send(site, "GET", "/v1/requests")[1]["requests"] == []
    row = send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"][0]
    assert row["who"] == "dns" and row["from"] == record["name"] and row["after"]["hosts"] == ["shop.example"]
    assert prove(site, "shop.example")[0] == 404                      # nothing waits any more


def test_a_wildcard_and_a_record_elsewhere(site, resolver):
    records = ask_for(site, "*.shop.example", "shop.example")
    name = challenge + "shop.example"
    assert {r["name"] for r in records.values()} == {name} and len({r["value"] for r in records.values()}) == 2
    resolver.answers[name] = [cname(name, "proofs.acme.example"), txt("proofs.acme.example", records["*.shop.example"]["value"])]
    assert prove(site, "*.shop.example")[0] == 200 and status_of(site, "any.shop.example") == 200
    # Of the wildcard alone.
    assert prove(site, "shop.example")[0] == 409 and status_of(site, "shop.example") == 404


def test_a_record_is_of_one_tenant_and_one_request(site, resolver):
    mine = ask_for(site, "shop.example")["shop.example"]
    rival = token(site, "rival")
    theirs = ask_for(site, "shop.example", tenant="rival", by=rival)["shop.example"]
    assert mine["value"] != theirs["value"]
    resolver.answers[mine["name"]] = [txt(mine["name"], mine["value"])]
    assert prove(site, "shop.example", "rival", rival)[0] == 409
    # Asked for again it is the same, across a crash too; after a refusal it is another.
    assert ask_for(site, "shop.example")["shop.example"] == mine
    site.gate.kill()
    site.gate.start()
    assert ask_for(site, "shop.example")["shop.example"] == mine
    assert site.gate.run("tenant", "refuse", "acme", "shop.example").returncode == 0
    time.sleep(1.1)                                                    # it is bound to the second
    assert ask_for(site, "shop.example")["shop.example"]["value"] != mine["value"]
    assert prove(site, "shop.example")[0] == 409


def test_a_host_of_somebody_else_is_refused_though_proved(site, resolver):
    record = ask_for(site, "rival.example")["rival.example"]
    resolver.answers[record["name"]] = [txt(record["name"], record["value"])]
    status, said = prove(site, "rival.example")
    assert status == 409 and said["type"] == "urn:gatehouse:conflict" and "tenant" not in said["detail"]
    status, said, _ = send(site, "POST", "/v1/tenants/acme/requests/rival.example/prove")
    assert status == 409 and "rival" in json.dumps(said)               # the platform is told whose
    # Reserved for one that is gone.
    assert send(site, "DELETE", "/v1/tenants/rival?grace=0s")[0] == 202
    until(lambda: status_of(site, "rival.example") == 410, seconds=5, pause=0.05)
    assert prove(site, "rival.example")[0] == 409
    assert status_of(site, "rival.example") == 410


def test_answers_that_deceive(site, resolver):
    record = ask_for(site, "shop.example")["shop.example"]
    name, value = record["name"], record["value"]
    good = txt(name, value)
    cases = {
        "the id of another question": lambda i, q: [(0, message(i ^ 1, q, [good]))],
        "another question": lambda i, q: [(0, message(i, q.replace(b"shop", b"shot"), [good]))],
        "another name": lambda i, q: [(0, message(i, q, [txt(challenge + "other.example", value)]))],
        "cut off": lambda i, q: [(0, message(i, q, [good], truncated=True))],
        "cut off, and nothing left": lambda i, q: [(0, message(i, q, [], truncated=True))],
        "more records than there are": lambda i, q: [(0, message(i, q, [good])[:6] + b"\0\7" + message(i, q, [good])[8:])],
        "a record that ends early": lambda i, q: [(0, message(i, q, [good])[:-3])],
        "huge": lambda i, q: [(0, message(i, q, [txt(name, *["x" * 255] * 230)]))],
        "nothing but bytes": lambda i, q: [(0, b"\xff" * 600)],
        "an error": lambda i, q: [(0, message(i, q, [good], code=2))],
    }
    for what, answer in cases.items():
        resolver.answers[name] = answer
        began = time.monotonic()
        status, said = prove(site, "shop.example")
        assert status == 409, what
        assert time.monotonic() - began < 8, what
        assert status_of(site, "shop.example") == 404, what
    assert "cut off" in [prove(site, "shop.example")[1]["detail"] for resolver.answers[name] in [cases["cut off"]]][0]
    # A forged one before the true one harms nothing; nor does many records, the right one among them.
    resolver.answers[name] = lambda i, q: [(0, message(i ^ 1, q, [txt(name, "no")])), (0.1, message(i, q, [txt(name, "x" * 200)] * 20 + [good]))]
    assert prove(site, "shop.example")[0] == 200


def test_a_silent_resolver_holds_up_nobody(site, resolver):
    name = ask_for(site, "shop.example")["shop.example"]["name"]
    resolver.answers[name] = lambda i, q: []
    import threading
    said = []
    waiting = threading.Thread(target=lambda: said.append(prove(site, "shop.example")))
    began = time.monotonic()
    waiting.start()
    until(lambda: name in resolver.asked, seconds=5)
    status, busy = prove(site, "shop.example")
    assert status == 503 and busy["type"] == "urn:gatehouse:busy"
    assert send(site, "PATCH", "/v1/tenants/acme", {"name": "Acme"})[0] == 200 and status_of(site, "acme.localhost") == 200
    assert time.monotonic() - began < 3
    waiting.join(15)
    assert said[0][0] == 409 and "does not answer" in said[0][1]["detail"] and time.monotonic() - began < 8


def test_by_itself(site, resolver):
    records = ask_for(site, *(f"h{i}.example" for i in range(25)))
    for host, r in records.items():
        resolver.answers[r["name"]] = [txt(r["name"], r["value"])] if host != "h3.example" else []
    assert resolver.asked == []
    site.gate.settings["registry"]["proof_every"] = "1s"
    site.gate.write_settings()
    assert site.gate.run("reload").returncode == 0
    until(lambda: len(send(site, "GET", "/v1/requests?tenant=acme")[1]["requests"]) == 1, seconds=15, pause=0.1)
    assert status_of(site, "h24.example") == 200 and status_of(site, "h3.example") == 404
    assert {r["who"] for r in send(site, "GET", "/v1/tenants/acme/audit?limit=24")[1]["rows"]} == {"dns"}


def test_approval_alone_is_the_default(site, resolver):
    name = ask_for(site, "shop.example")["shop.example"]["name"]
    site.gate.settings["registry"]["host_proof"] = "approval"
    site.gate.write_settings()
    assert site.gate.run("reload").returncode == 0
    assert prove(site, "shop.example")[0] == 409 and name not in resolver.asked
    row = send(site, "GET", "/v1/tenants/acme", token=site.admin)[1]
    assert row["pending_hosts"] == ["shop.example"] and "proofs" not in row
    assert site.gate.run("tenant", "approve", "acme", "shop.example").returncode == 0
    assert status_of(site, "shop.example") == 200
