"""Targets are normalised one way; hosts are compared one way."""
import pytest

from kit.client import deliveries

H = b"Host: acme.localhost\r\n"

targets = [
    # sent, what the upstream must see
    ("/", "/"),
    ("/a/b", "/a/b"),
    ("/a/./b", "/a/b"),
    ("/a/../b", "/b"),
    ("/a/b/..", "/a/"),
    ("/a/b/.", "/a/b/"),
    ("/a/%2e%2e/b", "/b"),
    ("/a/%2E%2e/b", "/b"),
    ("/a/.%2e/b", "/b"),
    ("/a/%2e/b", "/a/b"),
    ("/a//b", "/a//b"),
    ("//a", "//a"),
    ("/a%2fb", "/a%2fb"),
    ("/a%2Fb", "/a%2Fb"),
    ("/a%2f..%2fb", "/a%2f..%2fb"),
    ("/...", "/..."),
    ("/..a/b", "/..a/b"),
    ("/a?x=/../y", "/a?x=/../y"),
    ("/a/../b?c=%2e%2e", "/b?c=%2e%2e"),
    ("/a?", "/a?"),
    ("/a;b=c/d", "/a;b=c/d"),
    ("/a?b=c&d=e", "/a?b=c&d=e"),
    ("/%7euser", "/%7euser"),
    ("/a%20b", "/a%20b"),
    ("/a:b@c", "/a:b@c"),
    ("http://acme.localhost/abs", "/abs"),
    ("http://acme.localhost", "/"),
    ("http://acme.localhost?q=1", "/?q=1"),
    ("HTTP://ACME.localhost/abs/../x", "/x"),
]


@pytest.mark.parametrize("sent,seen", targets)
def test_target(world, sent, seen):
    with world.client() as client:
        answer = client.ask(b"GET " + sent.encode() + b" HTTP/1.1\r\n" + H + b"\r\n")
        assert answer.status == 200, answer
        assert answer.json()["target"] == seen


bad_targets = [
    ("climb", b"/.."), ("climb-deep", b"/a/../../b"), ("climb-encoded", b"/%2e%2e/b"), ("climb-half", b"/a/%2e./.%2E/b"),
    ("nul", b"/a%00b"), ("backslash", b"/a\\b"), ("encoded-backslash", b"/a%5cb"), ("encoded-backslash-upper", b"/a%5Cb"),
    ("fragment", b"/a#b"), ("fragment-in-query", b"/a?b#c"), ("relative", b"a/b"), ("empty-query-only", b"?a"),
    ("authority-form", b"acme.localhost:80"), ("absolute-userinfo", b"http://u@acme.localhost/"),
    ("absolute-other-host", b"http://globex.localhost/"), ("absolute-no-host", b"http:///a"),
    ("absolute-other-scheme", b"ftp://acme.localhost/a"), ("bad-percent", b"/a%zz"), ("short-percent", b"/a%4"),
]


@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("target", [pytest.param(t, id=n) for n, t in bad_targets])
def test_bad_target(world, target, how):
    with world.client() as client, world.upstream.silent():
        client.deliver(b"GET " + target + b" HTTP/1.1\r\n" + H + b"\r\n", how)
        assert client.response().status == 400


def test_options_star(world):
    with world.client() as client:
        answer = client.ask(b"OPTIONS * HTTP/1.1\r\n" + H + b"\r\n")
        assert answer.status == 200
        assert answer.json()["target"] == "*"


@pytest.mark.parametrize("host", ["acme.localhost", "ACME.LocalHost", "acme.localhost.", "acme.localhost:8080",
                                  "acme.localhost.:80", "Acme.Localhost:65535"])
def test_same_tenant(world, host):
    answer = world.get("/host", host=host)
    assert answer.status == 200, answer
    fields = dict((n.lower(), v) for n, v in answer.json()["fields"])
    assert fields["x-tenant-id"] == "acme"


@pytest.mark.parametrize("host", ["nobody.localhost", "localhost", "acme", "xacme.localhost", "acme.localhost.evil",
                                  "a.acme.localhost", "127.0.0.1", "[::1]", "[::1]:80", "xn--nobody-9za.localhost",
                                  "acme.localhostx"])
def test_unknown_host(world, host):
    with world.upstream.silent():
        answer = world.get("/host", host=host)
        assert answer.status == 404, answer
        assert answer.problem() == "unknown-host"


def test_absolute_form_names_the_host(world):
    """The authority counts as Host, and origin form goes upstream."""
    with world.client() as client:
        answer = client.ask(b"GET http://acme.localhost:8080/abs2 HTTP/1.1\r\nHost: acme.localhost:8080\r\n\r\n")
        assert answer.status == 200
    seen = world.upstream.last("/abs2")
    assert seen.target == "/abs2" and seen.fields.get("host").startswith("acme.localhost")


def test_globex_is_not_acme(world):
    for host, tenant in (("acme.localhost", "acme"), ("globex.localhost", "globex")) * 3:
        fields = dict((n.lower(), v) for n, v in world.get("/who", host=host).json()["fields"])
        assert fields["x-tenant-id"] == tenant


def test_two_tenants_on_one_plain_connection(world):
    with world.client() as client:
        for host, tenant in (("acme.localhost", "acme"), ("globex.localhost", "globex"), ("acme.localhost", "acme")):
            fields = dict((n.lower(), v) for n, v in client.get("/who", host=host).json()["fields"])
            assert fields["x-tenant-id"] == tenant
