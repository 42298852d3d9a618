"""A tenant's face and its hours: pages in its language and colours, maintenance that comes again, and what is owed."""
import datetime
import html
import json
import re
import time

import pytest

from kit.gate import until
from kit.toml_text import Raw
from kit.upstream import ScriptedUpstream, ok
from test_follower import Fleet
from test_publisher import signed

browser = "text/html,application/xhtml+xml,*/*;q=0.8"
french = """
request = "Demande"
support = "Contacter l'assistance"
back = "De retour :"
[unknown-host]
title = "Il n'y a rien à cette adresse"
[tenant-maintenance]
title = "Ce service est en maintenance"
text = "Nous y travaillons. <b>Merci</b> de votre patience."
"""
hebrew = '[not-found]\ntitle = "לא נמצא דבר"\n'


@pytest.fixture(scope="module")
def certs(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    authority.leaf("shop.acme.example", folder / "shop.acme.example.pem")
    return folder


@pytest.fixture
def site(build):
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    site = build(upstream=upstream, start=False,
                 settings={"platform": {"branding": {"color": "#123456", "support": "https://help.platform.example/"}},
                           "plans": {"quick": {"billing_grace": "2s"}, "patient": {}}},
                 tenants={"agency": {"pool": "main", "name": "Agentur & Söhne",
                                     "branding": {"logo": "https://cdn.example/l.png?a=1&b=2", "color": "#0a5", "support": "tel:+491234"},
                                     "locale": {"language": "de"}},
                          "client": {"parent": "agency"},
                          "english": {"pool": "main"}})
    (site.gate.folder / "languages").mkdir()
    site.gate.start()
    return site


def page(site, host, wish=None, path="/", accept=browser):
    fields = [("Accept", accept)] + ([("Accept-Language", wish)] if wish else [])
    with site.client() as client:
        return client.get(path, host=host, fields=fields)


def text(answer):
    return answer.body.decode()


def write_language(site, name, content):
    (site.gate.folder / "languages" / name).write_text(content)


def reload(site, code=0):
    done = site.gate.run("reload", "--config", "gatehouse.toml")
    assert done.returncode == code, done
    return done.stdout + done.stderr


def suspend(site, tenant, **body):
    status, answer, _ = site.gate.admin("POST", f"/v1/tenants/{tenant}/suspend", body=json.dumps(body),
                                        fields={"Content-Type": "application/json"})
    assert status == 200, answer


def test_a_page_in_the_tenants_language_and_colours(site):
    suspend(site, "agency", reason="maintenance", until="2099-01-01T03:00:00Z")
    answer = page(site, "agency.localhost")
    assert answer.status == 503
    assert answer.fields.get("content-language") == "de" and answer.fields.get("vary") == "Accept, Accept-Language"
    body = text(answer)
    assert '<html lang="de">' in body and "Dieser Dienst wird gerade gewartet" in body
    assert "Voraussichtlich wieder da: <bdi>2099-01-01 03:00 UTC</bdi>" in body
    assert "Agentur &amp; Söhne" in body and "--c:#0a5" in body
    assert 'src="https://cdn.example/l.png?a=1&amp;b=2"' in body and 'href="tel:+491234">Support kontaktieren' in body
    assert f"Anfrage <bdi>{answer.fields.get('x-request-id')}</bdi>" in body
    # Whoever is below it has its face, and a client that wishes for another language gets that.
    below = page(site, "client.agency.localhost", "en-GB, de;q=0.5")
    assert below.fields.get("content-language") == "en"
    assert "This service is under maintenance" in text(below) and "--c:#0a5" in text(below)
    # Programs read English.
    document = page(site, "agency.localhost", "de", accept="application/json").json()
    assert document["title"] == "This service is under maintenance" and document["status"] == 503


def test_what_people_write_is_shown_and_escaped(site):
    hostile = "<script>alert('x')</script> & \"more\""
    suspend(site, "agency", reason="billing", message=hostile)
    answer = page(site, "agency.localhost")
    assert answer.status == 402
    body = text(answer)
    assert "<script" not in body and html.escape(hostile, quote=False).split("alert")[0] in body
    assert 'dir="auto"' in body
    assert "default-src 'none'" in answer.fields.get("content-security-policy")
    assert page(site, "agency.localhost", accept="application/json").json()["detail"] == hostile
    suspend(site, "agency", reason="billing", message='"' * 2048)
    answer = page(site, "agency.localhost")
    assert len(answer.body) <= 8192 and "begleichen Sie bitte" in text(answer)


def test_a_page_without_a_tenant_has_the_platforms_face(site):
    answer = page(site, "nobody.example", "de;q=0.9, fr")
    assert answer.status == 404 and answer.fields.get("content-language") == "de"
    assert "--c:#123456" in text(answer) and "help.platform.example" in text(answer)
    assert page(site, "nobody.example").fields.get("content-language") == "en"
    # A tenant without branding has its own, which is none.
    site.gate.write_tenant("english", {"pool": "main", "state": "provisioning"})
    until(lambda: page(site, "english.localhost").status == 503, 5)
    assert "#123456" not in text(page(site, "english.localhost"))
    with site.client() as client:   # before there is a head: JSON, in English
        client.send(b"GET / HTTP/1.1\r\nHost: a b\r\nAccept: text/html\r\nAccept-Language: de\r\n\r\n")
        assert client.response().status == 400


def test_languages_by_file(site):
    assert page(site, "nobody.example", "fr").fields.get("content-language") == "en"
    write_language(site, "fr.toml", french)
    write_language(site, "he.toml", hebrew)
    reload(site)
    answer = page(site, "nobody.example", "fr-CA, en;q=0.1")
    assert answer.fields.get("content-language") == "fr"
    assert "Il n&#39;y a rien à cette adresse" in text(answer) and "Contacter l&#39;assistance" in text(answer)
    assert "Please check the spelling" in text(answer)      # what the file leaves out
    assert '<html lang="he" dir="rtl">' in text(page(site, "nobody.example", "he"))
    # As a tenant's own, with text of the file escaped too.
    site.gate.write_tenant("english", {"pool": "main", "locale": {"language": "fr"},
                                       "maintenance": [{"from": Raw("2020-01-01T00:00:00Z"), "to": Raw("2099-01-01T00:00:00Z")}]})
    until(lambda: page(site, "english.localhost").status == 503, 5)
    body = text(page(site, "english.localhost"))
    assert "&lt;b&gt;Merci&lt;/b&gt;" in body and "De retour : <bdi>2099-01-01 00:00 UTC</bdi>" in body


@pytest.mark.parametrize("zone,shown", [("Asia/Kolkata", "2099-01-01 05:30 UTC+05:30"), ("America/New_York", "2098-12-31 19:00 UTC-05:00"),
                                        ("UTC", "2099-01-01 00:00 UTC"), ("Nowhere/None", "2099-01-01 00:00 UTC")])
def test_times_are_the_tenants(site, zone, shown):
    site.gate.write_tenant("english", {"pool": "main", "locale": {"time_zone": zone},
                                       "maintenance": [{"from": Raw("2020-01-01T00:00:00Z"), "to": Raw("2099-01-01T00:00:00Z")}]})
    until(lambda: f"<bdi>{shown}</bdi>" in text(page(site, "english.localhost")), 5)


def test_a_broken_language_harms_nothing_and_is_named(site):
    write_language(site, "fr.toml", french)
    reload(site)
    write_language(site, "fr.toml", 'request = "Autre"\n\n[not-found]\ntitel = "x"\n')
    write_language(site, "es.toml", 'request = "Solicitud"\n')
    done = site.gate.run("check", "--config", "gatehouse.toml")
    assert done.returncode == 1
    assert "languages/fr.toml:4: not-found.titel: unknown key; did you mean title?" in done.stdout, done
    assert "languages/fr.toml:4: not-found.titel" in reload(site)
    assert "Demande" in text(page(site, "nobody.example", "fr"))          # as it was
    assert "Solicitud" in text(page(site, "nobody.example", "es"))
    site.gate.stop()
    site.gate.start()
    assert "fr.toml:4: not-found.titel" in site.gate.stderr()
    assert page(site, "nobody.example", "fr").fields.get("content-language") == "en"
    assert "Solicitud" in text(page(site, "nobody.example", "es"))
    # A tenant whose language nobody wrote is told of, and that is all.
    write_language(site, "fr.toml", french)
    site.gate.write_tenant("english", {"pool": "main", "locale": {"language": "sv"}})
    done = site.gate.run("check", "--config", "gatehouse.toml")
    assert done.returncode == 0 and 'no pages in "sv"' in done.stdout and "sv.toml" in done.stdout, done


def explained(site, host):
    done = site.gate.run("explain", "--config", "gatehouse.toml", f"http://{host}/")
    return done.stdout + done.stderr


def test_maintenance_that_comes_again(site):
    now = datetime.datetime.now(datetime.timezone.utc)
    begin = now - datetime.timedelta(minutes=10)
    weekday = begin.strftime("%A").lower()
    window = {"every": weekday, "at": begin.strftime("%H:%M"), "for": "2h", "message": "Every week at this time"}
    later = {"every": "day", "at": (now + datetime.timedelta(hours=6)).strftime("%H:%M"), "for": "30m"}
    site.gate.write_tenant("english", {"pool": "main", "maintenance": [later]})
    until(lambda: "(every day at" in explained(site, "english.localhost"), 5)
    assert page(site, "english.localhost").status == 200
    assert re.search(r"maintenance\W+\d+ s from now, for 1800 s \(every day at \d\d:\d\d UTC for 30m\)", explained(site, "english.localhost"))
    site.gate.write_tenant("english", {"pool": "main", "maintenance": [later, window]})
    until(lambda: page(site, "english.localhost").status == 503, 5)
    answer = page(site, "english.localhost")
    left = 7200 - (datetime.datetime.now(datetime.timezone.utc) - begin.replace(second=0, microsecond=0)).total_seconds()
    retry = int(answer.fields.get("retry-after"))
    assert left - 5 <= retry <= left + 65       # spread, so that not all come back at once
    end = begin.replace(second=0, microsecond=0) + datetime.timedelta(hours=2)
    assert "Every week at this time" in text(answer) and end.strftime("%Y-%m-%d %H:%M UTC") in text(answer)
    out = explained(site, "english.localhost")
    assert f"(every {weekday} at {begin.strftime('%H:%M')} UTC for 2h)" in out and "now, for" in out
    # By the API, and as a file again; what is wrong is named.
    shown = site.gate.admin_json("/v1/tenants/english")["tenant"]["maintenance"]
    assert shown == [later, window]
    exported = site.gate.run("--config", "gatehouse.toml", "tenant", "export", "english", "--toml").stdout
    assert f'every = "{weekday}"' in exported and 'for = "2h"' in exported
    site.gate.write_tenant("english", {"pool": "main", "maintenance": [{"every": "sunday", "at": "2 am", "for": "1h"}]})
    done = site.gate.run("check", "--config", "gatehouse.toml")
    assert done.returncode == 1 and "english.toml:3: maintenance[0].at" in done.stdout, done


def payer(status, plan="quick", **more):
    return {"pool": "main", "plan": plan, "billing": {"status": status}, **more}


def rows(site, tenant):
    return site.gate.admin_json(f"/v1/tenants/{tenant}/audit")["rows"]


def test_who_owes_is_suspended_after_the_grace(site):
    site.gate.write_tenant("english", payer("active"))
    until(lambda: "billing" in site.gate.admin_json("/v1/tenants/english")["tenant"], 5)
    site.gate.write_tenant("english", payer("past_due"))
    until(lambda: "tenant english owes: its billing_grace runs" in site.gate.stderr(), 5)
    begun = time.monotonic()
    assert page(site, "english.localhost").status == 200
    assert 'billing.status: 1, the first is "english"' in site.gate.run("check", "--config", "gatehouse.toml").stdout
    assert site.gate.admin_json("/v1/tenants/english")["owes"]["since"]
    assert "owes since" in site.gate.run("--config", "gatehouse.toml", "tenant", "show", "english").stdout
    until(lambda: page(site, "english.localhost").status == 402, 8)
    assert time.monotonic() - begun > 0.9
    assert "until its billing is settled" in text(page(site, "english.localhost"))
    shown = site.gate.admin_json("/v1/tenants/english")
    assert shown["tenant"]["state"] == "suspended" and shown["tenant"]["reason"] == "billing" and "overlay" not in shown
    assert (rows(site, "english")[0]["action"], rows(site, "english")[0]["who"]) == ("suspended", "gatehouse")
    site.gate.kill()
    site.gate.start()
    assert page(site, "english.localhost").status == 402
    # Forgiven by an administrator, that stays; paid, it is as others are.
    assert site.gate.admin("POST", "/v1/tenants/english/reactivate")[0] == 200
    assert page(site, "english.localhost").status == 200
    reload(site)
    site.gate.stop()
    site.gate.start()
    assert page(site, "english.localhost").status == 200
    site.gate.write_tenant("english", payer("active"))
    until(lambda: "overlay" not in site.gate.admin_json("/v1/tenants/english"), 5)
    assert "owes" not in site.gate.admin_json("/v1/tenants/english")
    site.gate.write_tenant("english", payer("unpaid"))
    until(lambda: page(site, "english.localhost").status == 402, 8)
    site.gate.write_tenant("english", payer("trialing"))
    until(lambda: page(site, "english.localhost").status == 200, 5)


def test_the_grace_goes_on_while_the_node_is_away(site):
    """Of a tenant of the API, with one below it."""
    def send(method, path, body):
        status, answer, _ = site.gate.admin(method, path, body=json.dumps(body), fields={"Content-Type": "application/json"})
        assert status in (200, 201), answer
    send("POST", "/v1/tenants", {"id": "shop", **payer("past_due", "patient")})
    send("POST", "/v1/tenants", {"id": "below", "parent": "shop"})
    send("PATCH", "/v1/tenants/shop", {"plan": "quick"})
    site.gate.kill()
    time.sleep(2.5)
    site.gate.start()
    until(lambda: page(site, "shop.localhost").status == 402, 3)
    assert page(site, "below.shop.localhost").status == 402
    send("PATCH", "/v1/tenants/shop", {"billing": {"status": "active"}})
    assert page(site, "shop.localhost").status == 200
    assert page(site, "below.shop.localhost").status == 200
    # A suspension by an administrator is the stronger word.
    suspend(site, "shop", reason="abuse")
    send("PATCH", "/v1/tenants/shop", {"billing": {"status": "past_due"}})
    time.sleep(2.5)
    assert page(site, "shop.localhost").status == 403
    # Brought back, what is owed is forgiven; a plan with a longer grace is in force at once with a reload.
    assert site.gate.admin("POST", "/v1/tenants/shop/reactivate")[0] == 200
    assert page(site, "shop.localhost").status == 200
    send("PATCH", "/v1/tenants/shop", {"billing": {"status": "active"}})
    send("PATCH", "/v1/tenants/shop", {"billing": {"status": "past_due"}})
    until(lambda: page(site, "shop.localhost").status == 402, 8)
    config = site.gate.config.read_text()
    site.gate.config.write_text(config.replace('billing_grace = "2s"', 'billing_grace = "1h"'))
    reload(site)
    until(lambda: page(site, "shop.localhost").status == 200, 5)


def test_edges_show_what_the_publisher_says(tmp_path, redis, certs, upstream):
    tenants = {"acme": {"hosts": ["shop.acme.example"], "locale": {"language": "fr"}, "plan": "quick",
                        "billing": {"status": "active"}}}
    with Fleet(tmp_path, redis, certs, upstream, tenants=tenants, settings={"plans": {"quick": {"billing_grace": "1s"}}}) as fleet:
        (fleet.center.folder / "languages").mkdir()
        (fleet.center.folder / "languages/fr.toml").write_text(french)
        assert fleet.center.run("reload", "--config", "gatehouse.toml").returncode == 0
        until(lambda: "fr" in signed(redis, "platform")["settings"].get("languages", {}), 10)
        edge = fleet.edge()
        until(lambda: page(edge, "shop.acme.example").status == 200, 10)
        assert page(edge, "nobody.example", "fr").fields.get("content-language") == "fr"
        assert "Il n&#39;y a rien" in text(page(edge, "nobody.example", "fr"))
        # What is owed is the publisher's to say, and every edge does as it says.
        fleet.center.write_tenant("acme", {"pool": "shared", **tenants["acme"], "billing": {"status": "unpaid"}})
        until(lambda: page(edge, "shop.acme.example").status == 402, 10)
        assert page(edge, "shop.acme.example").fields.get("content-language") == "fr"
        # Without Redis and the publisher, from its copy.
        (fleet.center.folder / "languages/fr.toml").write_text(french.replace("Demande", "Requête"))
        assert fleet.center.run("reload", "--config", "gatehouse.toml").returncode == 0
        until(lambda: "Requête" in text(page(edge, "nobody.example", "fr")), 10)
        edge.stop()
        redis.kill()
        edge.start()
        assert "Requête" in text(page(edge, "nobody.example", "fr"))
