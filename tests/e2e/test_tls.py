"""Real handshakes: certificates by name, names that agree, tickets that stay with their tenant."""
import json
import os
import shutil
import ssl
import time

import pytest

from kit.certs import file_name
from kit.client import Client, request, tls_context
from kit.gate import until
from kit.upstream import ScriptedUpstream

tenants = {
    "acme": {"name": "Acme", "pool": "main", "hosts": ["shop.acme.example", "*.wild.example"]},
    "globex": {"name": "Globex", "pool": "main", "hosts": ["api.wild.example"]},
    "modern": {"name": "Modern", "pool": "main", "tls": {"min_version": "1.3"}},
    "mutual": {"name": "Mutual", "pool": "main", "tls": {"client_ca": "clients-ca.pem"}, "hosts": ["mutual.example"]},
}
own_hosts = ["acme.localhost", "globex.localhost", "modern.localhost", "mutual.localhost", "shop.acme.example",
             "*.wild.example", "api.wild.example", "mutual.example"]

tenants_of_list = {"acme": {"name": "Acme", "pool": "main", "hosts": ["*.wild.example"]}}


@pytest.fixture(scope="module")
def world(build, authority, tmp_path_factory):
    certs = tmp_path_factory.mktemp("tls-certs")
    for host in own_hosts:
        authority.leaf(host, certs / file_name(host))
    shutil.copy(authority.cert, certs / "ca.pem")
    world = build(tenants=tenants, certs=certs, start=False)
    shutil.copy(authority.cert, world.gate.folder / "clients-ca.pem")
    shutil.copy(authority.cert, world.gate.tenants_dir / "clients-ca.pem")
    world.gate.start()
    return world


@pytest.fixture
def connect(world, authority):
    def make(sni, **options):
        return world.gate.tls_client(sni, authority.cert, **options)
    return make


def names_of(client):
    certificate = client.socket.getpeercert()
    return {value for kind, value in certificate["subjectAltName"]}


@pytest.mark.parametrize("host", ["acme.localhost", "globex.localhost", "shop.acme.example", "api.wild.example"])
def test_certificate_by_name(connect, host):
    with connect(host) as client:
        assert names_of(client) == {host}
        assert client.get("/", host=host).status == 200


@pytest.mark.parametrize("sni", ["ACME.localhost", "Acme.LocalHost"])
def test_names_have_no_case(connect, sni):
    with connect(sni) as client:
        assert names_of(client) == {"acme.localhost"}


def test_wildcard_takes_one_label(connect):
    with connect("x.wild.example") as client:
        assert names_of(client) == {"*.wild.example"}
        fields = dict((n.lower(), v) for n, v in client.get("/", host="x.wild.example").json()["fields"])
        assert fields["x-tenant-id"] == "acme"


@pytest.mark.parametrize("sni", ["nobody.localhost", "a.b.wild.example", "wild.example", "localhost", "x.shop.acme.example",
                                 "..", "a" * 200 + ".example"])
def test_unknown_name_gets_the_alert(connect, world, sni):
    with world.upstream.silent():
        with pytest.raises((ssl.SSLError, ValueError, UnicodeError)) as caught:
            connect(sni)
        if isinstance(caught.value, ssl.SSLError):
            assert "UNRECOGNIZED_NAME" in str(caught.value).upper() or "ALERT" in str(caught.value).upper(), caught.value


def test_no_sni_gets_the_alert(connect):
    with pytest.raises(ssl.SSLError) as caught:
        connect(None)
    assert "UNRECOGNIZED" in str(caught.value).upper()


def test_default_tenant_without_sni(build, dev_certs):
    world = build(certs=dev_certs, settings={"tls": {"default_tenant": "globex"}})
    with world.gate.tls_client(None, dev_certs / "ca.pem") as client:
        assert names_of(client) >= {"globex.localhost"}
        assert client.get("/", host="globex.localhost").status == 200
    with world.gate.tls_client(None, dev_certs / "ca.pem") as client:
        assert client.get("/", host="acme.localhost").status == 421
    world.gate.stop()


def test_a_client_ca_that_is_no_file_holds_up_nobody(build, dev_certs, tmp_path):
    fifo = tmp_path / "clients-ca.pem"
    os.mkfifo(fifo)
    world = build(tenants={"acme": {"pool": "main", "tls": {"client_ca": str(fifo)}}, "globex": {"pool": "main"}},
                  certs=dev_certs)
    for _ in range(5):   # one more than the pool has threads
        with pytest.raises(ssl.SSLError):
            world.gate.tls_client("acme.localhost", dev_certs / "ca.pem")
    with world.gate.tls_client("globex.localhost", dev_certs / "ca.pem") as client:
        assert client.get("/", host="globex.localhost").status == 200
    until(lambda: f"tenant acme: tls.client_ca: {fifo}: is not a regular file" in world.gate.stderr())
    world.gate.stop()


@pytest.mark.parametrize("sni,host,status", [
    ("acme.localhost", "globex.localhost", 421),
    ("globex.localhost", "acme.localhost", 421),
    ("x.wild.example", "api.wild.example", 421),
    ("api.wild.example", "x.wild.example", 421),
    ("acme.localhost", "nobody.localhost", 404),
    ("acme.localhost", "shop.acme.example", 200),
    ("shop.acme.example", "acme.localhost", 200),
    ("x.wild.example", "y.wild.example", 200),
    ("acme.localhost", "mutual.localhost", 421),
])
def test_sni_and_host(connect, world, sni, host, status):
    with connect(sni) as client:
        if status == 200:
            assert client.get("/", host=host).status == 200
            return
        with world.upstream.silent():
            answer = client.get("/", host=host)
            assert answer.status == status, answer
            assert answer.problem() == {421: "misdirected", 404: "unknown-host"}[status]
        if status == 421:
            assert client.closed()


def test_wildcard_of_one_exact_host_of_the_other_on_one_connection(connect, world):
    """A live connection opened under A's wildcard never reaches B's exact host below it."""
    with connect("x.wild.example") as client:
        assert client.get("/", host="x.wild.example").status == 200
        with world.upstream.silent():
            assert client.get("/", host="api.wild.example").status == 421


def test_new_exact_host_takes_over_from_the_wildcard_on_a_live_connection(connect, world, authority):
    gate = world.gate
    with connect("late.wild.example") as client:
        assert client.get("/", host="late.wild.example").status == 200
        authority.leaf("late.wild.example", gate.certs_dir / "late.wild.example.pem")
        gate.write_tenant("globex", {**tenants["globex"], "hosts": ["api.wild.example", "late.wild.example"]})

        def moved():
            with connect("late.wild.example") as probe:
                answer = probe.get("/", host="late.wild.example")
                if answer.status != 200:
                    return False
                return dict((n.lower(), v) for n, v in answer.json()["fields"])["x-tenant-id"] == "globex"
        until(moved, 4)
        assert client.get("/", host="late.wild.example").status == 421
    gate.write_tenant("globex", tenants["globex"])
    until(lambda: not moved(), 4)


def session_at(world, authority, sni, host, version):
    """A session whose ticket has arrived, and the context it belongs to."""
    context = tls_context(ca=str(authority.cert), maximum=version, minimum=version)
    with Client(world.gate.tls_port, tls={"sni": sni, "context": context}) as client:
        assert client.get("/", host=host).status == 200
        client.get("/", host=host)
        return client.socket.session, context


versions = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", versions)
def test_ticket_resumes_at_its_own_tenant(world, authority, version):
    session, context = session_at(world, authority, "acme.localhost", "acme.localhost", version)
    resumed = 0
    for _ in range(4):
        with Client(world.gate.tls_port, tls={"sni": "acme.localhost", "context": context, "session": session}) as client:
            assert client.get("/", host="acme.localhost").status == 200
            resumed += client.socket.session_reused
            session = client.socket.session or session
    assert resumed >= 3, "a ticket should be good at every worker"


@pytest.mark.parametrize("version", versions)
@pytest.mark.parametrize("other", ["globex.localhost", "api.wild.example", "mutual.localhost"])
def test_ticket_of_one_tenant_at_another(world, authority, version, other):
    """A full handshake, or none: never a resumption."""
    session, context = session_at(world, authority, "acme.localhost", "acme.localhost", version)
    for _ in range(3):
        try:
            client = Client(world.gate.tls_port, tls={"sni": other, "context": context, "session": session})
        except ssl.SSLError:
            continue
        with client:
            assert not client.socket.session_reused
            if other != "mutual.localhost":
                assert names_of(client) == {other}


def test_minimum_version_of_a_tenant(connect):
    with pytest.raises(ssl.SSLError):
        connect("modern.localhost", maximum=ssl.TLSVersion.TLSv1_2)
    with connect("modern.localhost") as client:
        assert client.socket.version() == "TLSv1.3" and client.get("/", host="modern.localhost").status == 200
    with connect("acme.localhost", maximum=ssl.TLSVersion.TLSv1_2) as client:
        assert client.socket.version() == "TLSv1.2"


def test_old_versions_are_refused(connect):
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ssl.SSLError):
            connect("acme.localhost", minimum=ssl.TLSVersion.TLSv1, maximum=ssl.TLSVersion.TLSv1_1,
                    ciphers="ALL:@SECLEVEL=0")


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"])
def test_weak_suites_are_refused(connect, ciphers):
    with pytest.raises(ssl.SSLError):
        connect("acme.localhost", maximum=ssl.TLSVersion.TLSv1_2, ciphers=ciphers)


def test_alpn(connect):
    with connect("acme.localhost", alpn=["h2", "http/1.1"]) as client:
        assert client.socket.selected_alpn_protocol() in ("http/1.1", None)
        assert client.get("/").status == 200


# --- client certificates ---

def mutual(connect, cert=None, version=None):
    client = connect("mutual.localhost", cert=cert, maximum=version)
    with client:
        return client.get("/", host="mutual.localhost").status


@pytest.mark.parametrize("version", versions)
def test_client_certificate_is_required(connect, version, world):
    with world.upstream.silent():
        # In TLS 1.3 the alert arrives after the client believes the handshake is done.
        with pytest.raises(Exception):
            mutual(connect, version=version)


@pytest.mark.parametrize("version", versions)
def test_client_certificate_lets_in(connect, authority, version):
    assert mutual(connect, str(authority.leaf("client.example", client=True)), version) == 200


def test_a_connection_from_when_the_tenant_was_gone_is_not_let_in(connect, world, authority):
    gate = world.gate
    authority.leaf("returned.localhost", gate.certs_dir / "returned.localhost.pem")
    gate.write_tenant("returned", {"pool": "main"})

    def status():
        with connect("returned.localhost") as probe:
            return probe.get("/", host="returned.localhost").status
    until(lambda: gate.get("/", host="returned.localhost").status == 200)
    assert status() == 200
    gate.delete_tenant("returned")
    until(lambda: status() == 410)
    with connect("returned.localhost") as client:
        assert client.get("/", host="returned.localhost").status == 410
        gate.write_tenant("returned", {"pool": "main", "tls": {"client_ca": "clients-ca.pem"}})
        until(lambda: gate.get("/", host="returned.localhost").status == 200)
        with world.upstream.silent():
            answer = client.get("/", host="returned.localhost")
            assert answer.status == 421 and answer.problem() == "misdirected"
        assert client.closed()
    gate.delete_tenant("returned")


def test_client_certificate_of_another_ca(connect, tmp_path, world):
    from kit.certs import Authority
    stranger = Authority(tmp_path, "stranger").leaf("client.example", client=True)
    with world.upstream.silent(), pytest.raises(Exception):
        mutual(connect, str(stranger))


# --- certificates replaced while running ---

def serial(connect, host):
    with connect(host) as client:
        return client.socket.getpeercert()["serialNumber"]


def test_certificate_is_replaced(connect, world, authority):
    before = serial(connect, "shop.acme.example")
    authority.leaf("shop.acme.example", world.gate.certs_dir / "shop.acme.example.pem")
    took = until(lambda: serial(connect, "shop.acme.example") != before, 3)
    print(f"in force after {took * 1000:.0f} ms")


def test_bad_certificate_keeps_the_old_one(connect, world, authority):
    path = world.gate.certs_dir / "shop.acme.example.pem"
    before = serial(connect, "shop.acme.example")
    good = path.read_text()
    for bad in ("not a certificate\n", good.split("-----BEGIN PRIVATE KEY")[0], ""):
        path.write_text(bad)
        time.sleep(0.4)
        assert serial(connect, "shop.acme.example") == before
    path.write_text(good)
    time.sleep(0.3)
    assert serial(connect, "shop.acme.example") == before


def test_mismatched_key_keeps_the_old_one(connect, world, authority):
    path = world.gate.certs_dir / "shop.acme.example.pem"
    before, good = serial(connect, "shop.acme.example"), path.read_text()
    other = authority.leaf("shop.acme.example").read_text()
    marker = "-----BEGIN PRIVATE KEY"
    path.write_text(good.split(marker)[0] + marker + other.split(marker)[1])
    time.sleep(0.4)
    assert serial(connect, "shop.acme.example") == before
    path.write_text(good)


def test_certificate_arrives_later(connect, world, authority):
    """A host without a certificate is refused until its file is there."""
    world.gate.write_tenant("late", {"name": "Late", "pool": "main"})
    time.sleep(0.4)
    with pytest.raises(ssl.SSLError):
        connect("late.localhost")
    authority.leaf("late.localhost", world.gate.certs_dir / "late.localhost.pem")

    def works():
        try:
            with connect("late.localhost") as client:
                return client.get("/", host="late.localhost").status == 200
        except ssl.SSLError:
            return False
    print(f"in force after {until(works, 8) * 1000:.0f} ms")


# --- behaviour on the wire ---

def test_slow_handshake_is_cut(world):
    with world.client() as _:
        with Client(world.gate.tls_port) as client:
            client.send(b"\x16\x03\x01\x02\x00\x01")
            begun = time.monotonic()
            assert client.closed(5)
            assert time.monotonic() - begun < 4.5


def test_plain_http_on_the_tls_port(world):
    with world.upstream.silent(), Client(world.gate.tls_port) as client:
        client.send(request("/"))
        client.socket.settimeout(4)
        while True:
            data = client._receive(65536)
            if not data:
                break
            assert not data.startswith(b"HTTP/1.1 200")


def test_garbage_on_the_tls_port(world, connect):
    for junk in (b"\0" * 500, b"\x16\x03\x01\xff\xff" + b"\xff" * 3000, b"\x80\x2e\x01\x00\x02"):
        with Client(world.gate.tls_port) as client:
            client.send(junk)
            client.closed(1)
    with connect("acme.localhost") as client:
        assert client.get("/").status == 200


def test_bytewise_over_tls(connect):
    data = request("/bytes", fields=[("X-A", "b")])
    with connect("acme.localhost") as client:
        client.deliver(data, "bytes")
        assert client.response().status == 200


def test_large_over_tls(connect):
    with connect("acme.localhost") as client:
        answer = client.get("/large", method="POST", body=b"0123456789" * 100_000)
        assert answer.status == 200 and len(answer.json()["body"]) == 1_000_000


def test_pipelined_over_tls(connect):
    with connect("acme.localhost") as client:
        client.send(b"".join(request(f"/p{i}") for i in range(20)))
        assert [client.response().json()["target"] for _ in range(20)] == [f"/p{i}" for i in range(20)]


# --- TLS to the upstream ---

@pytest.fixture(scope="module")
def tls_upstreams(authority):
    good = ScriptedUpstream("good", tls=authority.leaf(["app.internal", "IP:127.0.0.1"]))
    wrong = ScriptedUpstream("wrong", tls=authority.leaf("other.internal"))
    yield good, wrong
    good.stop()
    wrong.stop()


@pytest.mark.parametrize("which,tls,status", [
    ("good", {"ca_file": "ca.pem", "server_name": "app.internal"}, 200),
    ("good", {"ca_file": "ca.pem"}, 200),
    ("good", {"server_name": "app.internal"}, 502),
    ("wrong", {"ca_file": "ca.pem", "server_name": "app.internal"}, 502),
    ("wrong", {"ca_file": "ca.pem", "server_name": "app.internal", "verify": False}, 200),
    ("wrong", {"ca_file": "ca.pem", "server_name": "other.internal"}, 200),
])
def test_upstream_tls(build, authority, tls_upstreams, which, tls, status):
    upstream = tls_upstreams[0] if which == "good" else tls_upstreams[1]
    world = build(pools={"main": {"endpoints": [{"address": upstream.address}], "tls": tls}}, start=False)
    shutil.copy(authority.cert, world.gate.folder / "ca.pem")
    world.gate.start()
    before = upstream.count()
    answer = world.get("/up", method="POST", body=b"secret")
    assert answer.status == status, answer
    assert (upstream.count() - before == 1) == (status == 200)
    if status == 200 and "server_name" in tls:
        assert tls["server_name"] in upstream.sni_seen
    world.gate.stop()


def test_plain_endpoint_where_tls_was_said(build, authority):
    world = build(pools=None, start=False)
    world.gate.settings["pools"] = {"main": {"endpoints": [{"address": world.upstream.address}], "tls": {"ca_file": "ca.pem"}}}
    shutil.copy(authority.cert, world.gate.folder / "ca.pem")
    world.gate.write_settings()
    world.gate.start()
    assert world.get("/").status in (502, 504)
    assert world.upstream.count() == 0
    world.upstream.errors.clear()
    world.gate.stop()


# --- all certificates of the folder ---

def rows(gate):
    answer = gate.run("cert", "list", "--json", "--config", str(gate.config))
    assert answer.returncode == 0, answer.stderr
    return {row["pattern"]: row for row in json.loads(answer.stdout)}


def test_all_certificates_are_listed_with_whose_they_are(build, authority, tmp_path):
    for host, days in (("acme.localhost", 90), ("*.wild.example", 5), ("nobody.example", 20), ("over.example", 90)):
        authority.leaf(host, tmp_path / file_name(host), days=days)
    (tmp_path / "bad.example.pem").write_text("not a certificate\n")
    shutil.copy(tmp_path / "nobody.example.pem", tmp_path / "other.example.pem")
    gate = build(tenants=tenants_of_list, certs=tmp_path, plain=False).gate
    with gate.tls_client("acme.localhost", authority.cert) as client:
        assert client.get("/", host="acme.localhost").status == 200
    listed = rows(gate)
    assert list(listed) == sorted(["acme.localhost", "*.wild.example", "nobody.example", "over.example", "bad.example",
                                   "other.example"])
    assert {name: row.get("tenant") for name, row in listed.items() if "tenant" in row} == \
        {"acme.localhost": "acme", "*.wild.example": "acme"}
    assert [name for name, row in listed.items() if row["in_memory"]] == ["acme.localhost"]
    assert "has no certificate" in listed["bad.example"]["error"]
    assert "names nobody.example" in listed["other.example"]["error"]
    table = gate.run("cert", "list", "--config", str(gate.config)).stdout.splitlines()
    assert table[0].split() == ["NAME", "TENANT", "EXPIRES", "STATE", "FILE", "ERROR"]
    assert any(line.startswith("acme.localhost") and "in memory" in line for line in table)
    page = gate.admin_json("/v1/certificates?limit=2")
    assert [row["pattern"] for row in page["certificates"]] == sorted(listed)[:2]
    page = gate.admin_json(f"/v1/certificates?limit=100&after={page['next']}")
    assert [row["pattern"] for row in page["certificates"]] == sorted(listed)[2:] and page["next"] is None


def test_certificates_that_end_are_told_of_unused(build, authority, tmp_path):
    for host, days in (("a.example", 90), ("b.example", 20), ("c.example", 5), ("d.example", 5)):
        authority.leaf(host, tmp_path / file_name(host), days=days)
    (tmp_path / "bad.example.pem").write_text("not a certificate\n")
    gate = build(tenants=tenants_of_list, certs=tmp_path, plain=False).gate

    def metrics():
        lines = gate.admin("GET", "/metrics")[1].splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("gatehouse_certificates_")}

    # The folder is looked through a few files at a time.
    until(lambda: metrics()["gatehouse_certificates_unreadable"] == 1 and metrics()['gatehouse_certificates_expiring{within="30d"}'] == 3, 5)
    got = metrics()
    assert got['gatehouse_certificates_expiring{within="7d"}'] == 2
    assert got['gatehouse_certificates_expiring{within="1d"}'] == 0
    assert got["gatehouse_certificates_expired"] == 0
    lines = ("certificate b.example ends within 30 days", "certificate c.example ends within 7 days",
             "certificate d.example ends within 7 days", "bad.example.pem: has no certificate")
    until(lambda: all(line in gate.stderr() for line in lines), 5)
    told = gate.stderr()
    for line in lines:
        assert told.count(line) == 1, told
    assert "a.example ends" not in told
