"""Fields that end at the gate, in both directions."""
import pytest

from kit.upstream import ok, raw

always_dropped = [
    ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Proxy-Authorization", "Basic eA=="),
    ("Proxy-Authenticate", "Basic"), ("TE", "trailers"), ("Trailer", "X-T"), ("X-Original-URL", "/admin"),
    ("X-Rewrite-URL", "/admin"), ("X-Tenant-Id", "acme"), ("X-Tenant-Plan", "gold"), ("X-Tenant-Anything", "x"),
    ("x-tenant-database", "other"), ("X-TENANT-ROLE", "owner"),
]


@pytest.mark.parametrize("name,value", always_dropped)
def test_client_field_does_not_pass(world, name, value):
    world.get("/hop", fields=[(name, value), ("X-Kept", "yes")])
    seen = world.upstream.last("/hop").fields
    assert seen.get("x-kept") == "yes"
    own = {"x-tenant-id": ["acme"], "x-tenant-plan": ["free"], "x-tenant-database": ["acme_prod"]}
    assert seen.all(name) == own.get(name.lower(), [])


@pytest.mark.parametrize("connection,fields,gone,kept", [
    ("X-A", [("X-A", "1"), ("X-B", "2")], ["x-a"], ["x-b"]),
    ("x-a, X-B", [("X-A", "1"), ("X-B", "2"), ("X-C", "3")], ["x-a", "x-b"], ["x-c"]),
    ("close, X-A", [("X-A", "1")], ["x-a"], []),
    ("keep-alive,X-A,", [("X-A", "1")], ["x-a"], []),
    (",,X-A", [("X-A", "1"), ("x-a", "2")], ["x-a"], []),
    ("User-Agent", [("User-Agent", "t")], ["user-agent"], []),
    ("Accept", [("Accept", "a/b")], ["accept"], []),
])
def test_connection_nominates(world, connection, fields, gone, kept):
    world.get("/nominated", fields=[("Connection", connection), *fields])
    seen = world.upstream.last("/nominated").fields
    assert not [n for n in gone if n in seen]
    assert not [n for n in kept if n not in seen]
    assert "connection" not in seen or seen.get("connection").lower() in ("keep-alive", "close")


def test_two_connection_lines(world):
    world.get("/two-lines", fields=[("Connection", "X-A"), ("X-A", "1"), ("X-B", "2"), ("Connection", "X-B")])
    names = world.upstream.last("/two-lines").fields.names()
    assert "x-a" not in names and "x-b" not in names


def test_connection_line_after_the_field_it_names(world):
    world.get("/late-line", fields=[("X-A", "1"), ("Connection", "X-A")])
    assert "x-a" not in world.upstream.last("/late-line").fields


@pytest.mark.parametrize("named", ["Host", "Content-Length", "Authorization", "Cookie", "X-Forwarded-For",
                                   "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "X-Tenant-Id",
                                   "X-Tenant-Anything"])
def test_connection_must_not_name(world, named):
    with world.upstream.silent():
        answer = world.get("/named", fields=[("Connection", f"keep-alive, {named}")])
        assert answer.status == 400, answer


def test_upgrade_other_than_websocket_is_dropped(world):
    answer = world.get("/h2c", fields=[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
                                       ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    assert answer.status == 200
    names = world.upstream.last("/h2c").fields.names()
    assert "upgrade" not in names and "http2-settings" not in names


def test_end_to_end_fields_pass(world):
    fields = [("Accept", "text/plain"), ("Cookie", "a=b; c=d"), ("Authorization", "Bearer x"), ("X-Double", "1"),
              ("X-Double", "2"), ("If-None-Match", "\"e\""), ("Range", "bytes=0-1"), ("Origin", "https://x")]
    world.get("/e2e", fields=fields)
    seen = world.upstream.last("/e2e").fields
    for name, _ in fields:
        assert seen.all(name) == [v for n, v in fields if n == name]


@pytest.mark.parametrize("line,gone", [
    (b"Connection: X-Secret\r\nX-Secret: 1\r\n", "x-secret"),
    (b"X-Secret: 1\r\nConnection: close, x-secret\r\n", "x-secret"),
    (b"Keep-Alive: timeout=3\r\n", "keep-alive"),
    (b"Proxy-Connection: keep-alive\r\n", "proxy-connection"),
    (b"Proxy-Authenticate: Basic\r\n", "proxy-authenticate"),
    (b"Trailer: X-T\r\n", "trailer"),
    (b"TE: trailers\r\n", "te"),
    (b"Upgrade: h2c\r\nConnection: Upgrade\r\n", "upgrade"),
])
def test_response_field_does_not_pass(world, line, gone):
    world.upstream.on("/response-hop", ok(fields=line + b"X-Kept: 1\r\n"))
    answer = world.get("/response-hop")
    assert answer.status == 200
    assert gone not in answer.fields and answer.fields.get("x-kept") == "1"


def test_response_fields_pass(world):
    world.upstream.on("/response-e2e", ok(fields=b"Server: app/1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: \"x\"\r\n"
                                                 b"Date: Tue, 15 Nov 1994 08:12:31 GMT\r\nX_Under: kept\r\n"))
    fields = world.get("/response-e2e").fields
    assert fields.get("server") == "app/1"
    assert fields.all("set-cookie") == ["a=1", "b=2"]
    assert fields.all("date") == ["Tue, 15 Nov 1994 08:12:31 GMT"]
    assert fields.get("x_under") == "kept"


def test_response_trailers_are_dropped(world):
    world.upstream.on("/response-trailers", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                                b"2\r\nok\r\n0\r\nX-Trailer: v\r\n\r\n"))
    with world.client() as client:
        answer = client.get("/response-trailers")
        assert answer.body == b"ok" and answer.trailers == []
        assert client.get("/next").status == 200
