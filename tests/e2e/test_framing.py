"""The framing gate: ambiguous or malformed heads are refused in all three ways of arriving, the
connection closes, and the upstream is left alone."""
import pytest

from kit.client import deliveries

H = b"Host: acme.localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + b"\r\n"


def post(fields, body=b"", line=b"POST /case HTTP/1.1"):
    return line + b"\r\n" + H + fields + b"\r\n" + body


def get(fields=b"", line=b"GET /case HTTP/1.1", host=H):
    return line + b"\r\n" + host + fields + b"\r\n"


refused = [
    # --- Transfer-Encoding and Content-Length ---
    ("te-and-cl", post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n" + SMUGGLED), 400),
    ("cl-and-te", post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED), 400),
    ("te-and-cl-zero", post(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-in-1.0", post(b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"POST /case HTTP/1.0"), 400),
    ("te-twice", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-twice-identity", post(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-list", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-chunked-chunked", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-chunked-last-other", post(b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n" + SMUGGLED), 400),
    ("te-unknown", post(b"Transfer-Encoding: gzip\r\n", SMUGGLED), 501),
    ("te-xchunked", post(b"Transfer-Encoding: xchunked\r\n", SMUGGLED), 501),
    ("te-identity", post(b"Transfer-Encoding: identity\r\n", SMUGGLED), (400, 501)),
    ("te-empty", post(b"Transfer-Encoding:\r\n", b"0\r\n\r\n"), (400, 501)),
    ("te-quoted", post(b"Transfer-Encoding: \"chunked\"\r\n", b"0\r\n\r\n"), (400, 501)),
    ("te-parameter", post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"), (400, 501)),
    ("te-comma", post(b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-vertical-tab", post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"), 400),
    ("te-form-feed", post(b"Transfer-Encoding: chunked\x0c\r\n", b"0\r\n\r\n"), 400),
    ("te-space-before-colon", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-tab-before-colon", post(b"Transfer-Encoding\t: chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-folded", post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"), 400),
    ("te-bare-lf-hidden", post(b"X: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"), 400),
    ("cl-twice-equal", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), 400),
    ("cl-twice-different", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"), 400),
    ("cl-list", post(b"Content-Length: 5, 5\r\n", b"hello"), 400),
    ("cl-plus", post(b"Content-Length: +5\r\n", b"hello"), 400),
    ("cl-minus", post(b"Content-Length: -5\r\n", b"hello"), 400),
    ("cl-minus-zero", post(b"Content-Length: -0\r\n"), 400),
    ("cl-hex", post(b"Content-Length: 0x5\r\n", b"hello"), 400),
    ("cl-empty", post(b"Content-Length:\r\n", b"hello"), 400),
    ("cl-space-inside", post(b"Content-Length: 1 0\r\n", b"hello"), 400),
    ("cl-20-digits", post(b"Content-Length: 00000000000000000005\r\n", b"hello"), 400),
    ("cl-overflow", post(b"Content-Length: 99999999999999999999\r\n", b"hello"), 400),
    ("cl-letters", post(b"Content-Length: five\r\n", b"hello"), 400),
    ("cl-decimal", post(b"Content-Length: 5.0\r\n", b"hello"), 400),
    ("cl-trailing-junk", post(b"Content-Length: 5;\r\n", b"hello"), 400),
    ("cl-on-get-twice", get(b"Content-Length: 0\r\nContent-Length: 0\r\n"), 400),
    # --- octets ---
    ("bare-lf-line", b"GET /case HTTP/1.1\nHost: acme.localhost\n\n", 400),
    ("bare-lf-request-line", b"GET /case HTTP/1.1\n" + H + b"\r\n", 400),
    ("bare-lf-field", get(b"X-A: b\nX-B: c\r\n"), 400),
    ("bare-lf-end", b"GET /case HTTP/1.1\r\n" + H + b"\n", 400),
    ("bare-cr-value", get(b"X-A: b\rX-B: c\r\n"), 400),
    ("bare-cr-name", get(b"X\r-A: b\r\n"), 400),
    ("bare-cr-request-line", b"GET /case\r HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("cr-cr-lf", get(b"X-A: b\r\r\n"), 400),
    ("nul-value", get(b"X-A: b\0c\r\n"), 400),
    ("nul-name", get(b"X\0A: b\r\n"), 400),
    ("nul-target", b"GET /ca\0se HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("control-value", get(b"X-A: b\x01c\r\n"), 400),
    ("escape-value", get(b"X-A: \x1b[31m\r\n"), 400),
    ("delete-value", get(b"X-A: b\x7f\r\n"), 400),
    ("control-name", get(b"X\x01A: b\r\n"), 400),
    ("control-target", b"GET /ca\x01se HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("tab-target", b"GET /ca\tse HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("delete-target", b"GET /ca\x7fse HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("high-byte-name", get(b"X-\xc3\xa4: b\r\n"), 400),
    ("space-before-colon", get(b"X-A : b\r\n"), 400),
    ("space-in-name", get(b"X A: b\r\n"), 400),
    ("space-before-name", get(b" X-A: b\r\n"), 400),
    ("fold-space", get(b"X-A: b\r\n c\r\n"), 400),
    ("fold-tab", get(b"X-A: b\r\n\tc\r\n"), 400),
    ("fold-first-line", b"GET /case HTTP/1.1\r\n X-A: b\r\n" + H + b"\r\n", 400),
    ("empty-name", get(b": b\r\n"), 400),
    ("no-colon", get(b"X-A\r\n"), 400),
    ("name-with-parens", get(b"X(A): b\r\n"), 400),
    ("name-with-slash", get(b"X/A: b\r\n"), 400),
    # --- request line ---
    ("no-version", b"GET /case\r\n" + H + b"\r\n", (400, 505)),
    ("two-spaces", b"GET  /case HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("space-before-method", b" GET /case HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("space-after-version", b"GET /case HTTP/1.1 \r\n" + H + b"\r\n", (400, 505)),
    ("space-in-target", b"GET /ca se HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("empty-target", b"GET  HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("method-with-colon", b"GE:T /case HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("method-with-at", b"GE@T /case HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("version-2.0", b"GET /case HTTP/2.0\r\n" + H + b"\r\n", 505),
    ("version-1.2", b"GET /case HTTP/1.2\r\n" + H + b"\r\n", 505),
    ("version-0.9", b"GET /case HTTP/0.9\r\n" + H + b"\r\n", 505),
    ("version-two-digits", b"GET /case HTTP/1.10\r\n" + H + b"\r\n", (400, 505)),
    ("version-lower", b"GET /case http/1.1\r\n" + H + b"\r\n", (400, 505)),
    ("version-letters", b"GET /case HTTP/1.x\r\n" + H + b"\r\n", (400, 505)),
    ("h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    ("tls-hello-on-plain", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n", 400),
    # --- Host ---
    ("no-host", b"GET /case HTTP/1.1\r\nX-A: b\r\n\r\n", 400),
    ("no-host-1.0", b"GET /case HTTP/1.0\r\n\r\n", 400),
    ("two-hosts", get(b"Host: globex.localhost\r\n"), 400),
    ("two-hosts-equal", get(H), 400),
    ("host-empty", get(host=b"Host:\r\n"), 400),
    ("host-userinfo", get(host=b"Host: user@acme.localhost\r\n"), 400),
    ("host-space", get(host=b"Host: acme.localhost x\r\n"), 400),
    ("host-comma", get(host=b"Host: acme.localhost,globex.localhost\r\n"), 400),
    ("host-slash", get(host=b"Host: acme.localhost/x\r\n"), 400),
    ("host-hash", get(host=b"Host: acme.localhost#x\r\n"), 400),
    ("host-percent", get(host=b"Host: acme%2elocalhost\r\n"), 400),
    ("host-empty-label", get(host=b"Host: acme..localhost\r\n"), 400),
    ("host-bad-port", get(host=b"Host: acme.localhost:80x\r\n"), 400),
    ("host-port-too-big", get(host=b"Host: acme.localhost:65536\r\n"), 400),
    ("host-negative-port", get(host=b"Host: acme.localhost:-1\r\n"), 400),
    ("host-two-ports", get(host=b"Host: acme.localhost:80:80\r\n"), 400),
    ("host-254", get(host=b"Host: " + b".".join([b"a" * 49] * 5) + b".acme.localhost\r\n"), (400, 404)),
    ("host-too-long", get(host=b"Host: " + b".".join([b"a" * 60] * 6) + b"\r\n"), 400),
    ("host-non-ascii", get(host=b"Host: \xc3\xa4cme.localhost\r\n"), 400),
    ("host-bracket-open", get(host=b"Host: [::1\r\n"), 400),
    ("host-scheme", get(host=b"Host: http://acme.localhost\r\n"), 400),
    # --- methods, expectations ---
    ("connect", b"CONNECT acme.localhost:443 HTTP/1.1\r\n" + H + b"\r\n", 405),
    ("trace", b"TRACE /case HTTP/1.1\r\n" + H + b"\r\n", 405),
    ("star-get", b"GET * HTTP/1.1\r\n" + H + b"\r\n", 400),
    ("expect-other", post(b"Expect: 200-ok\r\nContent-Length: 0\r\n"), 417),
    # --- Connection naming what must not be dropped ---
    ("connection-host", get(b"Connection: close, Host\r\n"), 400),
    ("connection-content-length", post(b"Connection: Content-Length\r\nContent-Length: 5\r\n", b"hello"), 400),
    ("connection-authorization", get(b"Connection: authorization\r\nAuthorization: Basic eA==\r\n"), 400),
    ("connection-cookie", get(b"Connection: Cookie\r\nCookie: a=b\r\n"), 400),
    ("connection-forwarded-for", get(b"Connection: X-Forwarded-For\r\n"), 400),
    ("connection-forwarded", get(b"Connection: keep-alive, Forwarded\r\n"), 400),
    ("connection-real-ip", get(b"Connection: X-Real-IP\r\n"), 400),
    ("connection-context", get(b"Connection: X-Tenant-Id\r\n"), 400),
]


def check_refused(world, data, status, how):
    with world.client() as client, world.upstream.silent():
        client.deliver(data, how)
        answer = client.response(head=False)
        wanted = status if isinstance(status, tuple) else (status,)
        assert answer.status in wanted, answer
        assert answer.fields.get("connection") == "close" or answer.status in (404, 405, 417), answer
        assert "server-internal" not in answer.body.decode("latin-1")
        if answer.fields.get("connection") == "close":
            assert client.closed(), "the connection stayed open, or more came"


@pytest.fixture(scope="module")
def world(build):
    """A message in hundreds of pieces keeps its deadline on a busy machine."""
    return build(settings={"timeouts": {"request_head": "10s", "upstream_head": "8s"}})


@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("data,status", [pytest.param(d, s, id=n) for n, d, s in refused])
def test_refused(world, data, status, how):
    check_refused(world, data, status, how)


@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("data,status,kind", [
    pytest.param(get(b"X-Big: " + b"a" * 33000 + b"\r\n"), 431, "head-too-large", id="one-long-field"),
    pytest.param(get(b"".join(b"X-%d: b\r\n" % i for i in range(105))), 431, "head-too-large", id="105-fields"),
    pytest.param(get(b"".join(b"X-%d: %s\r\n" % (i, b"a" * 400) for i in range(90))), 431, "head-too-large", id="bytes"),
    pytest.param(b"GET /" + b"a" * 8300 + b" HTTP/1.1\r\n" + H + b"\r\n", 414, "target-too-long", id="target"),
])
def test_too_large(world, data, status, kind, how):
    with world.client() as client, world.upstream.silent():
        client.deliver(data, how)
        answer = client.response()
        assert answer.status == status, answer
        assert answer.problem() == kind
        assert answer.fields.get("connection") == "close"


def test_endless_head_is_refused_before_it_ends(world):
    with world.client() as client, world.upstream.silent():
        client.send(b"GET /case HTTP/1.1\r\n" + H + b"X-Endless: ")
        client.send_pieces([b"a" * 4096] * 12, pause=0.002)
        assert client.response().status == 431


accepted = [
    ("minimal", get(), b""),
    ("leading-empty-line", b"\r\n" + get(), b""),
    ("tabs-around-value", get(b"X-A:\t b \t\r\n"), b""),
    ("no-space-after-colon", b"GET /case HTTP/1.1\r\nHost:acme.localhost\r\n\r\n", b""),
    ("empty-value", get(b"X-A:\r\n"), b""),
    ("high-bytes-in-value", get(b"X-A: \xc3\xa4\r\n"), b""),
    ("cl-body", post(b"Content-Length: 5\r\n", b"hello"), b"hello"),
    ("cl-leading-zeros", post(b"Content-Length: 0000005\r\n", b"hello"), b"hello"),
    ("cl-zero", post(b"Content-Length: 0\r\n"), b""),
    ("chunked", post(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n0\r\n\r\n"), b"hello"),
    ("chunked-upper-case", post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"5\r\nhello\r\n0\r\n\r\n"), b"hello"),
    ("get-with-body", get(b"Content-Length: 5\r\n") + b"hello", b"hello"),
    ("99-fields", get(b"".join(b"X-%d: b\r\n" % i for i in range(90))), b""),
    ("http-1.0", b"GET /case HTTP/1.0\r\n" + H + b"\r\n", b""),
    ("unknown-method", b"BREW /case HTTP/1.1\r\n" + H + b"\r\n", b""),
    ("expect-100", post(b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"hello"), b"hello"),
]


@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("data,body", [pytest.param(d, b, id=n) for n, d, b in accepted])
def test_accepted(world, data, body, how):
    """The gate is strict, not hostile: these reach the upstream whole, in every way of arriving."""
    with world.client() as client:
        # An early 100 counts as an answer to `deliver`, so the body is sent whatever arrives.
        if b"Expect" in data:
            client.send(data)
        else:
            client.deliver(data, how)
        answer = client.response()
        assert answer.status == 200, answer
        assert answer.json()["body"].encode("latin-1") == body


def test_nothing_is_forwarded_as_received(world):
    """Odd spacing, case and sizes are written anew."""
    with world.client() as client:
        client.send(b"POST /anew HTTP/1.1\r\nhOsT:acme.localhost\r\ntRANSFER-eNCODING:\t chunked \r\nX-Odd:\t  v  \r\n\r\n"
                    b"0000002\r\nab\r\n1;x=y\r\nc\r\n0\r\nT: v\r\n\r\n")
        answer = client.response()
    seen = world.upstream.last("/anew")
    assert answer.json()["body"] == "abc"
    assert seen.trailers == []
    assert seen.fields.get("x-odd") == "v"
    assert b"\t" not in seen.raw_head and b":acme" not in seen.raw_head
    assert seen.fields.all("transfer-encoding") == ["chunked"]


@pytest.mark.parametrize("mode,status", [("drop", 200), ("pass", 200), ("reject", 400)])
def test_underscore_fields(build, mode, status):
    world = build(settings={"limits": {"underscore_fields": mode}})
    try:
        answer = world.get("/under", fields=[("X_Odd", "1"), ("X-Even", "2")])
        assert answer.status == status, answer
        if status == 200:
            seen = world.upstream.last("/under").fields
            assert ("x_odd" in seen) == (mode == "pass")
            assert seen.get("x-even") == "2"
        else:
            assert world.upstream.count() == 0
    finally:
        world.gate.stop()


def test_default_drops_underscores(world):
    world.get("/under-default", fields=[("Content_Length", "7"), ("X_Tenant_Id", "globex")])
    names = world.upstream.last("/under-default").fields.names()
    assert not [n for n in names if "_" in n]


def test_pipelined_after_refusal_is_never_answered(world):
    """What follows a refused head is not a request."""
    with world.client() as client, world.upstream.silent():
        client.send(post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n" + SMUGGLED))
        assert client.response().status == 400
        assert client.closed()


def test_problem_document(world):
    answer = world.get("/x", fields=[("Accept", "application/json"), ("Content-Length", "x")])
    assert answer.status == 400
    assert answer.fields.get("content-type") == "application/problem+json"
    document = answer.json()
    assert set(document) >= {"type", "title", "status", "detail", "request_id"}
    assert document["status"] == 400 and document["type"] == "urn:gatehouse:bad-request"
    assert document["request_id"] == answer.fields.get("x-request-id")
    assert "date" in answer.fields


def test_problem_page_for_browsers(world):
    answer = world.get("/x", host="nobody.localhost", fields=[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")])
    assert answer.status == 404
    assert answer.fields.get("content-type", "").startswith("text/html")
    assert b"127.0.0.1" not in answer.body and b"gatehouse.toml" not in answer.body
