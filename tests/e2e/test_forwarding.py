"""What reaches the application, and what of its answer reaches the client."""
import datetime
import re
import threading
import time

import pytest

from kit.client import Client, chunked, request
from kit.gate import until
from kit.upstream import ok, raw


@pytest.fixture(scope="module")
def world(build, dev_certs):
    tenants = {
        "acme": {"name": "Acme Corp", "pool": "main", "context": {"database": "acme_prod", "feature-set": "a b"},
                 "hsts": "180d",
                 "routes": [
                     {"path": "/api", "pool": "main", "strip_prefix": "/api", "add_prefix": "/v1"},
                     {"path": "/edit", "request_fields": {"set": {"X-Set": "by-route", "X-Over": "new"}, "remove": ["X-Gone"]},
                      "response_fields": {"set": {"X-Answer": "set"}, "remove": ["X-Internal"]}},
                     {"path": "/old", "redirect": "/new"},
                     {"path": "/away", "redirect": "https://elsewhere.example/x"},
                     {"path": "/byname", "pool": "named"},
                     {"path": "/byendpoint", "pool": "endpointhost"},
                     {"path": "/"},
                 ]},
        "globex": {"name": "Globex", "pool": "main"},
    }
    from kit.upstream import ScriptedUpstream
    upstream = ScriptedUpstream()
    ends = [{"address": upstream.address}]
    pools = {"main": ends_pool(ends), "named": {**ends_pool(ends), "host": "inner.example"},
             "endpointhost": {**ends_pool(ends), "host": "endpoint"}}
    return build(tenants=tenants, pools=pools, upstream=upstream, certs=dev_certs)


def ends_pool(ends):
    return {"endpoints": ends}


def seen(world, path="/fwd", **options):
    answer = world.get(path, **options)
    assert answer.status == 200, answer
    return world.upstream.last().fields


def test_forwarding_fields_over_plain(world):
    fields = seen(world)
    assert fields.all("x-forwarded-for") == ["127.0.0.1"]
    assert fields.all("x-forwarded-proto") == ["http"]
    assert fields.all("x-forwarded-host") == ["acme.localhost"]
    assert fields.all("x-forwarded-port") == [str(world.gate.port)]
    assert fields.all("x-real-ip") == ["127.0.0.1"]
    # Forwarded is left out or true.
    assert all("for=127.0.0.1" in v and "proto=http" in v for v in fields.all("forwarded"))


def test_forwarding_fields_over_tls(world, dev_certs):
    with world.gate.tls_client("acme.localhost", dev_certs / "ca.pem") as client:
        assert client.get("/fwd-tls").status == 200
    fields = world.upstream.last("/fwd-tls").fields
    assert fields.get("x-forwarded-proto") == "https"
    assert fields.get("x-forwarded-port") == str(world.gate.tls_port)


@pytest.mark.parametrize("name,value", [
    ("X-Forwarded-For", "10.9.8.7"), ("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Host", "globex.localhost"),
    ("X-Forwarded-Port", "1"), ("Forwarded", "for=10.9.8.7"), ("X-Real-IP", "10.9.8.7"),
])
def test_forged_forwarding_fields_are_overwritten(world, name, value):
    got = seen(world, fields=[(name, value), (name, value + "0")]).all(name)
    assert value not in got and value + "0" not in got and len(got) == (1 if name != "Forwarded" else len(got[:1])), got


def test_trusted_proxies_are_continued(build):
    world = build(settings={"platform": {"trusted_proxies": ["127.0.0.0/8"]}})
    fields = seen(world, fields=[("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")])
    assert [v.strip() for v in ",".join(fields.all("x-forwarded-for")).split(",")] == ["203.0.113.9", "127.0.0.1"]
    assert fields.get("x-forwarded-proto") == "https"
    world.gate.stop()


def test_context_fields(world):
    fields = seen(world)
    assert fields.all("x-tenant-id") == ["acme"]
    assert fields.all("x-tenant-plan") == ["free"]
    assert fields.all("x-tenant-database") == ["acme_prod"]
    assert fields.all("x-tenant-feature-set") == ["a b"]


def test_context_prefix_is_configurable(build):
    world = build(settings={"platform": {"context_prefix": "Customer-"}})
    fields = seen(world, fields=[("Customer-Plan", "gold"), ("X-Tenant-Plan", "gold")])
    assert fields.all("customer-id") == ["acme"] and fields.all("customer-plan") == ["free"]
    # What a tenant's file may set is judged by it too.
    edits = lambda field: [{"path": "/", "pool": "main", "request_fields": {"set": {field: "gold"}}}]
    tenant = {"id": "acme", "name": "Acme Corp", "pool": "main"}
    world.gate.write_tenant("acme", {**tenant, "routes": edits("X-Tenant-Tier")})
    until(lambda: seen(world).all("x-tenant-tier") == ["gold"], 5)
    world.gate.write_tenant("acme", {**tenant, "routes": edits("Customer-Tier")})
    out = world.gate.run("check")
    assert out.returncode == 1 and "begins with the prefix of the context fields" in out.stdout + out.stderr
    until(lambda: world.gate.run("tenant", "show", "acme", "--json").stdout.count("begins with the prefix") == 1, 5)
    assert seen(world).all("x-tenant-tier") == ["gold"]     # the version before is in force
    world.gate.stop()


def test_request_id_and_trace(world):
    fields = seen(world)
    assert len(fields.all("x-request-id")) == 1
    assert re.match(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$", fields.get("traceparent", ""))


trace = "4bf92f3577b34da6a3ce929d0e0e4736"
traceparent = f"00-{trace}-00f067aa0ba902b7-01"


def logged_trace(world, path):
    return world.gate.access_lines(path=path)[-1]["trace_id"]


def test_trace_is_continued(world):
    fields = seen(world, "/traced", fields=[("traceparent", traceparent), ("tracestate", "a=b")])
    assert fields.get("traceparent") == traceparent and fields.get("tracestate") == "a=b"
    assert logged_trace(world, "/traced") == trace


def test_traces_that_begin_here_are_sampled_as_said(world, build):
    assert seen(world).get("traceparent").endswith("-01")
    half = build(settings={"platform": {"trace_sampled": "50%"}})
    flags = {seen(half).get("traceparent")[-2:] for _ in range(64)}
    assert flags == {"00", "01"}
    half.gate.settings["platform"]["trace_sampled"] = "0%"
    half.gate.write_settings()
    assert half.gate.run("reload", "--admin", f"127.0.0.1:{half.gate.admin_port}", "--token-file", "admin.token").returncode == 0
    assert {seen(half).get("traceparent")[-2:] for _ in range(8)} == {"00"}
    assert seen(half, fields=[("traceparent", traceparent)]).get("traceparent") == traceparent
    half.gate.stop()


def test_an_invalid_trace_begins_anew(world):
    fields = seen(world, "/untraced", fields=[("traceparent", "ff" + traceparent[2:]), ("tracestate", "a=b")])
    assert fields.get("tracestate") is None
    begun = fields.get("traceparent").split("-")[1]
    assert begun != trace and logged_trace(world, "/untraced") == begun


def test_a_refusal_keeps_the_trace_it_came_with(world):
    with world.upstream.silent():
        assert world.get("/lost", "nobody.example", fields=[("traceparent", traceparent)]).status == 404
        assert world.get("/nowhere", "nobody.example").status == 404
    assert logged_trace(world, "/lost") == trace
    assert logged_trace(world, "/nowhere") == ""


def test_traces_are_restarted_for_clients_that_are_not_trusted(build):
    """Who is no trusted proxy cannot put its requests into traces of ours."""
    sent = [("traceparent", traceparent), ("tracestate", "a=b")]
    stranger = build(settings={"platform": {"trace": "restart"}})
    fields = seen(stranger, "/edge", fields=sent)
    begun = fields.get("traceparent").split("-")[1]
    assert begun != trace and fields.get("tracestate") is None and logged_trace(stranger, "/edge") == begun
    stranger.gate.stop()
    trusted = build(settings={"platform": {"trace": "restart", "trusted_proxies": ["127.0.0.1/32"]}})
    fields = seen(trusted, "/edge", fields=sent)
    assert fields.get("traceparent") == traceparent and fields.get("tracestate") == "a=b"
    trusted.gate.stop()


def test_via(world):
    fields = seen(world)
    assert any("gatehouse" in v for v in fields.all("via"))
    fields = seen(world, fields=[("Via", "1.1 other")])
    assert "1.1 other" in ",".join(fields.all("via")) and "gatehouse" in ",".join(fields.all("via"))


def test_loop(world):
    """Our own Via, sent back to us, ends in 508."""
    via = ",".join(seen(world).all("via"))
    with world.upstream.silent():
        answer = world.get("/fwd", fields=[("Via", via)])
        assert answer.status == 508 and answer.problem() == "loop"
        answer = world.get("/fwd", fields=[("Via", "1.0 a, " + via + ", 1.1 b")])
        assert answer.status == 508
    assert seen(world, fields=[("Via", "1.1 gatehouse")]) is not None


# --- routes ---

@pytest.mark.parametrize("sent,wanted", [
    ("/api", "/v1"), ("/api/", "/v1/"), ("/api/x?y=z", "/v1/x?y=z"), ("/apix", "/apix"), ("/api/../x", "/x"),
    ("/x/../api/y", "/v1/y"), ("/api/a%2fb", "/v1/a%2fb"), ("/api//x", "/v1//x"),
])
def test_prefixes(world, sent, wanted):
    assert world.get(sent).json()["target"] == wanted


@pytest.mark.parametrize("sent", ["/api/..%2f..%2fsecret", "/api/%2e%2e/%2e%2e/secret", "/api/../../secret", "/api/..;/x"])
def test_prefix_cannot_be_left(world, sent):
    answer = world.get(sent)
    if answer.status == 200:
        target = answer.json()["target"]
        assert target.startswith("/v1/") or not target.startswith("/v1"), target
        assert "/../" not in target
    else:
        assert answer.status == 400


def test_field_edits(world):
    world.upstream.on("/edit", ok(fields=b"X-Internal: secret\r\nX-Answer: theirs\r\n"))
    answer = world.get("/edit", fields=[("X-Gone", "1"), ("X-Over", "old")])
    got = world.upstream.last("/edit").fields
    assert got.all("x-set") == ["by-route"] and got.all("x-over") == ["new"] and "x-gone" not in got
    assert answer.fields.all("x-answer") == ["set"] and "x-internal" not in answer.fields


@pytest.mark.parametrize("path,location", [("/old", "/new"), ("/away", "https://elsewhere.example/x")])
def test_redirect(world, path, location):
    with world.upstream.silent():
        answer = world.get(path)
        assert answer.status == 308
        assert answer.fields.get("location").endswith(location), answer


def test_host_upstream(world):
    assert seen(world).get("host") == "acme.localhost"
    assert seen(world, "/byname").get("host") == "inner.example"
    assert seen(world, "/byendpoint").get("host") == world.upstream.address


def test_hsts_over_tls_only(world, dev_certs):
    with world.gate.tls_client("acme.localhost", dev_certs / "ca.pem") as client:
        value = client.get("/x").fields.get("strict-transport-security", "")
        assert f"max-age={180 * 86400}" in value
    assert "strict-transport-security" not in world.get("/x").fields


# --- Expect and 1xx ---

def test_expect_continue(world):
    with world.client() as client:
        client.send(b"POST /expect HTTP/1.1\r\nHost: acme.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        head = client.reader.response_head()
        assert head.status == 100
        client.send(b"hello")
        answer = client.response()
        assert answer.status == 200 and answer.json()["body"] == "hello"


def test_expect_refused_before_the_body(world):
    """A tenant that does not exist is said so without asking for the body."""
    with world.client() as client, world.upstream.silent():
        client.send(b"POST /x HTTP/1.1\r\nHost: nobody.localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        answer = client.response()
        assert answer.status == 404 and not answer.interim


def test_expect_upstream_refuses(world):
    """The application's final answer takes the place of 100."""
    world.upstream.on("/no-thanks", raw(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", read_body=False, end="close"))
    with world.client() as client:
        client.send(b"POST /no-thanks HTTP/1.1\r\nHost: acme.localhost\r\nExpect: 100-continue\r\nContent-Length: 500000\r\n\r\n")
        answer = client.response()
        assert answer.status == 401 and answer.body == b"no"
        assert not [i for i in answer.interim if i.status != 100]


def test_body_that_was_never_sent_is_owed_nowhere(world):
    """After a final answer instead of 100 neither connection is used again: on each of them the next
    request could be taken for the body that was announced."""
    seen = []

    def handler(conn, request_):
        seen.append(conn.number)
        conn.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    world.upstream.on("/owed", handler)
    with world.client() as client:
        client.send(b"POST /owed HTTP/1.1\r\nHost: acme.localhost\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n")
        answer = client.response()
        assert answer.status == 403 and "close" in answer.fields.get("connection", "")
    for _ in range(3):
        answer = world.get("/after-owed")
        assert answer.status == 200 and answer.json()["target"] == "/after-owed"
    assert world.upstream.last("/after-owed").connection.number != seen[0]


@pytest.mark.parametrize("status,reason", [(103, "Early Hints"), (102, "Processing"), (199, "Odd")])
def test_interim_is_passed_on_at_once(world, status, reason):
    path = f"/interim-{status}"
    came, in_time = threading.Event(), []

    def handler(conn, request_):
        conn.read_body(request_)
        conn.send(f"HTTP/1.1 {status} {reason}\r\nLink: </a.css>\r\nConnection: X-No\r\nX-No: 1\r\n\r\n".encode())
        in_time.append(came.wait(1))
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    world.upstream.on(path, handler)
    with world.client() as client:
        client.send(request(path))
        head = client.reader.response_head()
        came.set()
        assert head.status == status and head.fields.get("link") == "</a.css>" and "x-no" not in head.fields
        assert client.response().body == b"ok"
    assert in_time == [True], "the interim response was held back"


def test_many_interims(world):
    world.upstream.on("/interims", raw(*[b"HTTP/1.1 103 Early Hints\r\nLink: <%d>\r\n\r\n" % i for i in range(3)],
                                       b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    answer = world.get("/interims")
    assert [i.status for i in answer.interim] == [103, 103, 103] and answer.body == b"ok"


def test_interim_not_for_http_1_0(world):
    world.upstream.on("/interim-10", raw(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    with world.client() as client:
        answer = client.ask(b"GET /interim-10 HTTP/1.0\r\nHost: acme.localhost\r\n\r\n")
        assert answer.status == 200 and not answer.interim


def test_unasked_101_is_a_failure(world):
    world.upstream.on("/switch", raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
    answer = world.get("/switch")
    assert answer.status == 502 and answer.problem() == "upstream-failed"


# --- framing of answers ---

def test_date_is_added(world):
    got = world.get("/date").fields.all("date")
    assert len(got) == 1
    when = datetime.datetime.strptime(got[0], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.timezone.utc)
    assert abs((datetime.datetime.now(datetime.timezone.utc) - when).total_seconds()) < 5


def test_head(world):
    with world.client() as client:
        answer = client.get("/head", method="HEAD")
        assert answer.status == 200 and int(answer.fields.get("content-length")) > 0
        assert client.get("/after-head").status == 200


def test_head_of_chunked(world):
    world.upstream.on("/head-chunked", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    with world.client() as client:
        answer = client.get("/head-chunked", method="HEAD")
        assert answer.status == 200
        assert client.get("/after-head").status == 200


@pytest.mark.parametrize("status,fields", [
    (b"204 No Content", b""), (b"304 Not Modified", b"ETag: \"x\"\r\n"), (b"304 Not Modified", b"Content-Length: 500\r\n"),
    (b"205 Reset Content", b"Content-Length: 0\r\n"),
])
def test_bodiless(world, status, fields):
    world.upstream.on("/bodiless", raw(b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n"))
    with world.client() as client:
        answer = client.get("/bodiless")
        assert answer.status == int(status[:3]) and answer.body == b""
        if answer.status == 204:
            assert "content-length" not in answer.fields and "transfer-encoding" not in answer.fields
        assert client.get("/after-bodiless").status == 200


def test_until_close_becomes_chunked(world):
    world.upstream.on("/until-close", raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"hello ", b"world",
                                          end="close", pause=0.02))
    with world.client() as client:
        answer = client.get("/until-close")
        assert answer.framing == "chunked" and answer.body == b"hello world"
        assert client.get("/after-close").status == 200, "the client's connection should carry on"


def test_http_1_0_upstream(world):
    world.upstream.on("/from-10", raw(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", end="close"))
    answer = world.get("/from-10")
    assert answer.status == 200 and answer.body == b"hello" and answer.raw_head.startswith(b"HTTP/1.1 200")


def test_chunked_passes_as_chunked(world):
    world.upstream.on("/chunked", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", b"x" * 70000)))
    answer = world.get("/chunked")
    assert answer.framing == "chunked" and answer.body == b"hello" + b"x" * 70000


# --- HTTP/1.0 clients ---

def test_http_1_0_client_gets_no_chunks(world):
    world.upstream.on("/chunked-10", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", b"there")))
    with world.client() as client:
        answer = client.ask(b"GET /chunked-10 HTTP/1.0\r\nHost: acme.localhost\r\n\r\n")
        assert answer.framing == "close" and answer.body == b"hellothere"
        assert "transfer-encoding" not in answer.fields


def test_http_1_0_closes_by_default(world):
    with world.client() as client:
        answer = client.ask(b"GET /ten HTTP/1.0\r\nHost: acme.localhost\r\n\r\n")
        assert answer.status == 200 and client.closed()


def test_http_1_0_keep_alive(world):
    with world.client() as client:
        line = b"GET /ten HTTP/1.0\r\nHost: acme.localhost\r\nConnection: keep-alive\r\n\r\n"
        answer = client.ask(line)
        assert answer.status == 200
        if answer.fields.get("connection", "").lower() == "keep-alive":
            assert client.ask(line).status == 200
        else:
            assert client.closed()


def test_connection_close_is_kept(world):
    with world.client() as client:
        answer = client.get("/x", fields=[("Connection", "close")])
        assert answer.fields.get("connection") == "close" and client.closed()


def test_upstream_close_does_not_close_the_client(world):
    world.upstream.on("/closing", ok(fields=b"Connection: close\r\n"))
    with world.client() as client:
        assert "connection" not in client.get("/closing").fields
        assert client.get("/x").status == 200


# --- early responses ---

def test_early_response_small_rest(world):
    """The rest of a small body is drained and the connection may carry on."""
    world.upstream.on("/early", raw(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", read_body=False, end="close"))
    with world.client() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 2000\r\n\r\n" + b"x" * 100)
        answer = client.response()
        assert answer.status == 413 and answer.body == b"big"


def test_early_response_large_rest_closes(world):
    world.upstream.on("/early-large", raw(b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno!", read_body=False, end="close"))
    with world.client() as client:
        client.send(b"POST /early-large HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 1000)
        begun = time.monotonic()
        answer = client.response()
        assert answer.status == 403 and time.monotonic() - begun < 1
        assert client.closed()


def test_early_response_slow_rest_closes(world):
    """The rest has the time of one piece in all: its bytes buy no more."""
    world.upstream.on("/early-slow", raw(b"HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno!", read_body=False, end="close"))
    with world.client() as client:
        client.send(b"POST /early-slow HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 2000\r\n\r\n" + b"x" * 100)
        assert client.response().status == 403
        for _ in range(100):
            if client.readable(0.1):
                break
            client.send(b"x")
        assert client.closed()


def test_request_framing_upstream(world):
    """A length stays a length, chunks stay chunks, nothing stays nothing."""
    with world.client() as client:
        assert client.get("/len", method="POST", body=b"12345").json()["framing"] == "length"
        client.send(request("/chk", method="POST", fields=[("Transfer-Encoding", "chunked")]) + chunked(b"12345"))
        assert client.response().json()["framing"] == "chunked"
        assert client.get("/none").json()["framing"] == "none"
        assert client.get("/none-delete", method="DELETE").json()["framing"] == "none"


def test_upstream_connection_is_reused(world):
    world.get("/reuse-warm")
    before = len(world.upstream.connections)
    with world.client() as client:
        for _ in range(20):
            assert client.get("/reuse").status == 200
    assert len(world.upstream.connections) - before <= 1


def test_upstream_speaks_1_1(world):
    with world.client() as client:
        client.ask(b"GET /minor HTTP/1.0\r\nHost: acme.localhost\r\n\r\n")
    assert world.upstream.last("/minor").minor == 1


def test_plain_listener_redirects_known_hosts(build, dev_certs):
    world = build(certs=dev_certs, listener=None, start=False)
    world.gate.settings["listener"][0]["redirect_to_https"] = world.gate.tls_port
    world.gate.write_settings()
    world.gate.start()
    with world.upstream.silent():
        answer = world.get("/a/b?c=d")
        assert answer.status == 308
        assert answer.fields.get("location") == f"https://acme.localhost:{world.gate.tls_port}/a/b?c=d"
        assert world.get("/a", host="nobody.localhost").status == 404
    world.gate.stop()


def test_several_at_once(world):
    world.upstream.on("/slow", lambda conn, r: (time.sleep(0.3), conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")))
    clients = [Client(world.gate.port) for _ in range(20)]
    begun = time.monotonic()
    for client in clients:
        client.send(request("/slow"))
    assert all(client.response().status == 200 for client in clients)
    assert time.monotonic() - begun < 2.5
    for client in clients:
        client.close()


@pytest.mark.parametrize("how,shown,direct", [("network", "2001:db8:1::", "127.0.0.0"), ("off", "", "")])
def test_the_access_log_has_as_much_of_an_address_as_it_may(build, how, shown, direct):
    world = build(settings={"platform": {"trusted_proxies": ["127.0.0.0/8"]}, "log": {"client": how}})
    fields = seen(world, "/whole", fields=[("X-Forwarded-For", "2001:db8:1:2::3")])
    assert "2001:db8:1:2::3" in ",".join(fields.all("x-forwarded-for"))    # the application is told all of it
    assert world.get("/direct", "nobody.localhost").status == 404             # nobody looked further than the connection
    with world.gate.client() as client:
        client.send(b"GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.response().status == 400
    assert world.gate.access_lines("/whole")[0]["client"] == shown
    assert world.gate.access_lines("/direct")[0]["client"] == direct
    # By status: the lines of two workers come in either order.
    assert [line["client"] for line in world.gate.access_lines(at_least=3) if line["status"] == 400] == [direct]
    world.gate.stop()
