"""Several regions: connections of strict tenants relayed to their home undecrypted, once; and what residency means
for endpoints."""
import random
import re
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from kit import proxy_header as pp
from kit.client import Client, random_splits, request, seed_base, tls_context
from kit.gate import until
from kit.haproxy import haproxy, installed
from kit.ports import free_port
from kit.recorder import Recorder
from kit.upstream import ScriptedUpstream, raw

away = "away.localhost"


def tenant(region, residency="strict", **more):
    return {"name": region, "pool": "main", "region": region, "residency": residency, **more}


tenants = {
    "ours": tenant("eu-west"),
    "away": tenant("us-east", hosts=["*.away.example"]),
    "few": tenant("us-east", limits={"connections": 2}),
    "nowhere": tenant("ap-south"),
    "anywhere": {"name": "Anywhere", "pool": "main"},
    "loose": tenant("us-east", "preferred"),
    "child": {"name": "Child", "parent": "away"},   # its region is its parent's
}


def pool(upstream, region):
    """An application in `region`; in the other regions nobody, but every region is known."""
    nobody = {"eu-west": "127.0.0.1:1", "us-east": "127.0.0.1:2", "ap-south": "127.0.0.1:3"}
    return {"main": {"endpoints": [{"address": upstream.address if r == region else a, "region": r} for r, a in nobody.items()]}}


def relaying(region="eu-west", **regions):
    return {"node": {"region": region, "wrong_region": "relay"}, "platform": {"shared_hosts": ["api.localhost"]},
            "timeouts": {"tunnel_idle": "20s", "connect": "500ms"},
            "regions": {name.replace("_", "-"): {"address": a} if a else {} for name, a in regions.items()}}


@pytest.fixture(scope="module")
def home():
    """The home region of `away`, as a listener that understands nothing."""
    recorder = Recorder()
    yield recorder
    recorder.stop()


@pytest.fixture(autouse=True)
def nothing_is_left(request):
    """Half-open connections wait for the home; it ends them after each test."""
    yield
    if "home" in request.fixturenames:
        for connection in request.getfixturevalue("home").connections:
            connection.close()
    if "world" in request.fixturenames:
        until(lambda: metrics(request.getfixturevalue("world"))["relays"] == 0, 3)


@pytest.fixture(scope="module")
def certs(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours-certs")
    for host in ("ours.localhost", "anywhere.localhost", "api.localhost", "nowhere.localhost"):
        authority.leaf(host, folder / f"{host}.pem")
    return folder


@pytest.fixture(scope="module")
def world(build, certs, home):
    """A node of eu-west without a certificate for `away`."""
    upstream = ScriptedUpstream("eu")
    return build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"),
                 settings=relaying(us_east=home.address, ap_south=None))


def metrics(world):
    text = world.gate.admin("GET", "/metrics")[1]
    out = {reason: int(n) for reason, n in re.findall(r'gatehouse_relays_failed_total\{reason="(\w+)"\} (\d+)', text)}
    for name in ("relays_total", "relays", "relay_received_bytes_total", "relay_sent_bytes_total"):
        out[name] = float(re.search(rf"^gatehouse_{name} (\S+)$", text, re.MULTILINE)[1])
    return out


def hello_of(name, **options):
    """A ClientHello as Python sends it."""
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        tls_context(**options).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def padded(hello, bytes_):
    """The hello grown by an extension that nobody knows, in records of at most 16,000 bytes."""
    message = hello[5:]
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + struct.unpack(">H", message[at:at + 2])[0]
    at += 1 + message[at]
    extensions = message[at + 2:] + struct.pack(">HH", 65000, bytes_) + b"\0" * bytes_
    body = message[4:at] + struct.pack(">H", len(extensions)) + extensions
    whole = b"\x01" + struct.pack(">I", len(body))[1:] + body
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(whole[i:i + 16000])) + whole[i:i + 16000]
                    for i in range(0, len(whole), 16000))


def connect(world, source=None):
    sock = socket.create_connection(("127.0.0.1", world.gate.tls_port), timeout=8, source_address=(source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive(sock, bytes_, seconds=8.0):
    sock.settimeout(seconds)
    got = b""
    while len(got) < bytes_:
        data = sock.recv(65536)
        assert data, f"ended after {len(got)} of {bytes_}"
        got += data
    return got


def rest_of(sock, seconds=8.0):
    """What comes until the end; a reset is one too."""
    sock.settimeout(seconds)
    got = b""
    try:
        while data := sock.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


def behind(connection, bytes_):
    """The PROXY header and what follows it, once that are so many bytes."""
    size = 16 + struct.unpack(">H", connection.wait_for(16)[14:16])[0]
    return pp.Parsed(connection.wait_for(size + bytes_))


def relayed(world, home, name=away, source=None):
    """A connection that was passed on: the client's end and the home's."""
    number = len(home.connections)
    hello = hello_of(name)
    sock = connect(world, source)
    sock.sendall(hello)
    upstream = home.connection(number)
    assert behind(upstream, len(hello)).rest == hello
    return sock, upstream


internal_error = b"\x15\x03\x03\0\x02\x02\x50"   # a fatal alert before any of TLS was agreed


def handshake_fails(world, name, **options):
    with pytest.raises(ssl.SSLError) as caught:
        Client(world.gate.tls_port, tls={"sni": name, **options})
    return str(caught.value).upper()


# --- relayed, byte for byte ---

@pytest.mark.parametrize("how", ["whole", "bytes", "splits"])
@pytest.mark.parametrize("name", [away, "x.away.example", "child.away.localhost", "AWAY.localhost"])
def test_the_home_region_gets_every_byte(world, home, how, name):
    before, number = metrics(world), len(home.connections)
    hello = hello_of(name)
    numbers = random.Random(name)
    up, down = numbers.randbytes(300_000), numbers.randbytes(400_000)
    pieces = {"whole": [hello], "bytes": [hello[i:i + 1] for i in range(len(hello))], "splits": random_splits(hello, seed_base)}
    with connect(world, "127.0.0.5") as sock:
        port = sock.getsockname()[1]
        for piece in pieces[how]:
            sock.sendall(piece)
            time.sleep(0.0005)
        upstream = home.connection(number)
        header = behind(upstream, len(hello))
        assert (header.command, header.family) == (pp.PROXY, pp.TCP4)
        assert (header.source, header.destination) == ("127.0.0.5", "127.0.0.1")
        assert header.ports == (port, world.gate.tls_port)
        assert header.tlvs == [(0xe4, b"gatehouse/1 eu-west")]
        assert header.rest == hello
        upstream.send(down)
        sock.sendall(up)
        assert receive(sock, len(down)) == down
        assert behind(upstream, len(hello) + len(up)).rest == hello + up
        upstream.finish()
        assert rest_of(sock) == b""
    assert upstream.ended.wait(3)
    until(lambda: metrics(world)["relays"] == 0)
    after = metrics(world)
    assert after["relays_total"] == before["relays_total"] + 1
    assert after["relay_received_bytes_total"] == before["relay_received_bytes_total"] + len(hello) + len(up)
    assert after["relay_sent_bytes_total"] == before["relay_sent_bytes_total"] + len(down)


@pytest.mark.parametrize("extra", [1, 900, 15_000])
def test_what_comes_right_behind_the_hello_is_passed_on(world, home, extra):
    """Early data, say: OpenSSL has read it with the hello."""
    number = len(home.connections)
    data = hello_of(away) + random.Random(extra).randbytes(extra)
    with connect(world) as sock:
        sock.sendall(data)
        assert behind(home.connection(number), len(data)).rest == data


@pytest.mark.parametrize("bytes_", [1_000, 15_000, 20_000])
def test_long_hellos(world, home, bytes_):
    number = len(home.connections)
    data = padded(hello_of(away), bytes_)
    with connect(world) as sock:
        sock.sendall(data)
        assert behind(home.connection(number), len(data)).rest == data


def test_a_hello_too_long_to_be_kept(world, home):
    before = metrics(world)
    with home.silent(), connect(world) as sock:
        sock.sendall(padded(hello_of(away), 40_000))
        assert rest_of(sock) == internal_error
    assert metrics(world)["too_large"] == before["too_large"] + 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_and_protocols_are_the_homes_business(world, home, version):
    number = len(home.connections)
    hello = hello_of(away, maximum=version, alpn=["h2"])
    with connect(world) as sock:
        sock.sendall(hello)
        assert behind(home.connection(number), len(hello)).rest == hello


def test_its_line_in_the_log(world, home):
    sock, upstream = relayed(world, home, "logged.away.example", "127.0.0.6")
    upstream.send(b"x" * 1000)
    assert receive(sock, 1000)
    sock.close()
    assert upstream.ended.wait(3)
    upstream.close()

    def lines():
        return [line for line in world.gate.access_lines() if line["host"] == "logged.away.example"]
    until(lambda: lines(), 3)
    line, = lines()
    assert line["decision"] == "relay" and line["stage"] == "settle" and line["problem"] == "" and line["status"] == 0
    assert line["tenant"] == "away" and line["region"] == "us-east" and line["upstream"] == home.address
    assert line["client"] == "127.0.0.6" and line["attempts"] == 1 and line["tls"] == "" and line["request_id"]
    assert line["bytes_out"] == 1000 and 200 < line["bytes_in"] < 3000
    assert line["path"] == line["method"] == line["route"] == ""


@pytest.mark.parametrize("who", ["client", "home"])
@pytest.mark.parametrize("how", ["fin", "reset"])
def test_an_end_of_one_side_is_the_others(world, home, who, how):
    sock, upstream = relayed(world, home)
    one, other = (sock, upstream.socket) if who == "client" else (upstream.socket, sock)
    if how == "reset":
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        one.shutdown(socket.SHUT_RD) if who == "home" else None
        one.close()
    else:
        one.shutdown(socket.SHUT_WR)
    if who == "client":
        assert upstream.ended.wait(3)
    else:
        assert rest_of(other) == b""
    if how == "fin" and who == "client":   # its other way is still open
        upstream.send(b"last words")
        assert receive(sock, 10) == b"last words"
    sock.close()
    upstream.close()
    until(lambda: metrics(world)["relays"] == 0)


# --- what is not relayed ---

def test_others_are_served_here(world, home, authority):
    with home.silent():
        for host, region in (("ours.localhost", "eu-west"), ("anywhere.localhost", None)):
            with world.gate.tls_client(host, authority.cert) as client:
                assert client.get("/", host=host).json()["upstream"] == "eu"
        assert "UNRECOGNIZED" in handshake_fails(world, "nobody.localhost")
        assert "INTERNAL_ERROR" in handshake_fails(world, "loose.localhost")   # no certificate here; not strict
        assert "UNRECOGNIZED" in handshake_fails(world, None)


def wrong_region(answer, region="us-east"):
    return answer.status == 421 and answer.problem() == "wrong-region" and answer.fields.get("x-gatehouse-region") == region


def test_requests_we_can_read_are_refused(world, home, authority):
    """Plain HTTP; and TLS of ours that names it: on a shared host, or by another Host."""
    with home.silent(), world.upstream.silent():
        assert wrong_region(world.get("/", host=away))
        with world.gate.tls_client("api.localhost", authority.cert) as client:
            assert wrong_region(client.get("/t/away/", host="api.localhost"))
        with world.gate.tls_client("ours.localhost", authority.cert) as client:
            answer = client.get("/", host=away)
            assert answer.status == 421 and answer.problem() == "misdirected"


def test_without_an_address_it_is_refused_as_ever(world, home, authority):
    with home.silent(), world.upstream.silent():
        with world.gate.tls_client("nowhere.localhost", authority.cert) as client:
            assert wrong_region(client.get("/", host="nowhere.localhost"), "ap-south")
    result = world.gate.run("check", "--config", str(world.gate.config))
    assert 'regions.ap-south.address: is missing: strict tenants of this region ("nowhere")' in result.stdout, result.stdout
    assert "regions.us-east" not in result.stdout


def test_no_certificate_of_the_tenant_is_asked_for(world, home):
    sock, upstream = relayed(world, home)
    sock.close()
    upstream.close()
    listed = world.gate.run("cert", "list", "--config", str(world.gate.config)).stdout
    assert away not in listed and "away.example" not in listed
    assert away not in world.gate.stderr()


def test_the_tenants_connections(world, home):
    before = metrics(world)
    held = [relayed(world, home, "few.localhost") for _ in range(2)]
    with home.silent():
        assert "INTERNAL_ERROR" in handshake_fails(world, "few.localhost")
    until(lambda: metrics(world)["limit"] == before["limit"] + 1)
    assert metrics(world)["relays"] == 2
    sock, upstream = held.pop()
    sock.close()
    upstream.close()
    until(lambda: metrics(world)["relays"] == 1)
    held.append(relayed(world, home, "few.localhost"))
    for sock, upstream in held:
        sock.close()
        upstream.close()
    until(lambda: metrics(world)["relays"] == 0)


def test_suspension_ends_them_and_the_home_says_why(world, home):
    sock, upstream = relayed(world, home)
    other, other_upstream = relayed(world, home, "few.localhost")
    world.gate.write_tenant("away", {**tenants["away"], "state": "suspended", "reason": "billing"})
    try:
        assert rest_of(sock, 3) == b""
        assert upstream.ended.wait(3)
        other_upstream.send(b"still here")
        assert receive(other, 10) == b"still here"
        # New ones go on to the home region: its answer is a page, ours would be an alert.
        again, again_upstream = relayed(world, home)
        again.close()
        again_upstream.close()
    finally:
        world.gate.write_tenant("away", tenants["away"])
        for end in (sock, upstream, other, other_upstream):
            end.close()
    until(lambda: metrics(world)["relays"] == 0)


def test_explain(world, home):
    def outcome(*args):
        return world.gate.run("explain", "--config", str(world.gate.config), *args).stdout
    out = outcome(f"https://{away}/x")
    assert f"would be relayed undecrypted to region us-east: {home.address}" in out
    assert "hello    relay to region us-east" in out and "resolve" not in out
    assert '"relay":{"region":"us-east"' in outcome(f"https://{away}/x", "--json")
    assert "421 wrong-region" in outcome(f"http://{away}/x")
    assert "421 wrong-region" in outcome("https://nowhere.localhost/x")
    assert "would be forwarded" in outcome("https://ours.localhost/x")


def test_the_other_regions_gateways_are_a_pool(world, home):
    out = world.gate.run("pool", "list", "--config", str(world.gate.config)).stdout
    assert "region:us-east" in out and home.address in out and "region:ap-south" not in out
    before = metrics(world)

    def verb(word):
        return world.gate.run("pool", word, "--config", str(world.gate.config), "region:us-east", home.address)
    assert verb("drain").returncode == 0
    with home.silent():
        assert "INTERNAL_ERROR" in handshake_fails(world, away)
    until(lambda: metrics(world)["unreachable"] == before["unreachable"] + 1)
    assert verb("enable").returncode == 0
    sock, upstream = relayed(world, home)
    sock.close()


# --- nodes of their own ---

def test_a_home_that_is_down(build, certs):
    gone = Recorder()
    gone.stop()
    upstream = ScriptedUpstream("eu")
    world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"),
                  settings=relaying(us_east=gone.address))
    with upstream.silent():
        with connect(world) as sock:
            sock.sendall(hello_of(away))
            assert rest_of(sock) == internal_error
        assert "INTERNAL_ERROR" in handshake_fails(world, away)
    until(lambda: metrics(world)["unreachable"] == 2)
    assert metrics(world)["relays_total"] == 0
    line = next(line for line in world.gate.access_lines(at_least=2) if line["host"] == away)
    assert line["decision"] == "refuse" and line["problem"] == "upstream-failed" and line["stage"] == "forward"
    back = Recorder(gone.port)
    sock, end = relayed(world, back)
    sock.close()
    end.close()
    back.stop()
    world.gate.stop()


def test_a_home_that_does_not_answer(build, certs):
    """A full backlog drops what would connect: `connect` (500 ms) bounds the wait."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    upstream = ScriptedUpstream("eu")
    world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"),
                  settings=relaying(us_east=f"127.0.0.1:{full.getsockname()[1]}"))
    begun = time.monotonic()
    with connect(world) as sock:
        sock.sendall(hello_of(away))
        assert rest_of(sock) == internal_error
    assert 0.4 < time.monotonic() - begun < 4
    assert metrics(world)["timeout"] == 1
    with connect(world) as sock:   # a client that does not wait costs nothing more
        sock.sendall(hello_of(away))
        time.sleep(0.05)
    until(lambda: "gatehouse_connections 0" in world.gate.admin("GET", "/metrics")[1], 4)
    world.gate.stop()
    for s in (full, *fillers):
        s.close()


def test_drain_lets_them_end_and_then_cuts_them(build, certs, home):
    upstream = ScriptedUpstream("eu")
    world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"),
                  settings=relaying(us_east=home.address))
    short, short_home = relayed(world, home)
    long, long_home = relayed(world, home)
    begun = time.monotonic()
    world.gate.signal(signal.SIGTERM)
    time.sleep(0.5)
    for sock, end in ((short, short_home), (long, long_home)):
        end.send(b"going on")
        assert receive(sock, 8) == b"going on"
    short.close()
    assert short_home.ended.wait(3)
    assert rest_of(long) == b""   # after `drain`, 3 s
    assert time.monotonic() - begun > 2.5
    assert long_home.ended.wait(3)
    world.gate.stop(sig=None)


def test_a_name_as_address_behind_a_balancer_and_an_idle_end(build, certs, home):
    """The region's address is a name; the client stands behind a balancer; nothing moves for a second."""
    upstream = ScriptedUpstream("eu")
    settings = relaying(us_east=f"localhost:{home.port}")
    settings["timeouts"]["tunnel_idle"] = "1s"
    settings["platform"]["trusted_proxies"] = ["127.0.0.1"]
    world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"), settings=settings,
                  listener={"proxy_protocol": "required"})
    for source, family, shown in (("192.0.2.7", pp.TCP4, "192.0.2.7"), ("2001:db8::7", pp.TCP6, "2001:db8::7")):
        number, hello = len(home.connections), hello_of(away)
        with connect(world) as sock:
            begun = time.monotonic()
            sock.sendall(pp.header(source, ports=(40123, 443)) + hello)
            header = behind(home.connection(number), len(hello))
            assert header.family == family and header.source == shown
            assert header.ports == (40123, 443)
            assert header.rest == hello
            assert rest_of(sock) == b""
            assert 0.8 < time.monotonic() - begun < 4
    number, hello = len(home.connections), hello_of(away)
    with connect(world) as sock:   # a client without an address of TCP: the balancer's own
        sock.sendall(pp.raw(pp.PROXY, pp.UNKNOWN, b"") + hello)
        header = behind(home.connection(number), len(hello))
        assert header.source == "127.0.0.1" and header.tlvs == [(0xe4, b"gatehouse/1 eu-west")]
    world.gate.stop()


@pytest.mark.skipif(not installed, reason="HAProxy is not installed")
def test_haproxy_reads_our_header(build, certs, home, tmp_path):
    upstream = ScriptedUpstream("eu")
    with haproxy(tmp_path, home.address, bind="accept-proxy", options="send-proxy") as door:
        world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"),
                      settings=relaying(us_east=f"127.0.0.1:{door}"))
        number, hello = len(home.connections), hello_of(away)
        with connect(world, "127.0.0.9") as sock:
            port = sock.getsockname()[1]
            sock.sendall(hello)
            expected = f"PROXY TCP4 127.0.0.9 127.0.0.1 {port} {world.gate.tls_port}\r\n".encode() + hello
            assert home.connection(number).wait_for(len(expected)) == expected
        world.gate.stop()


def test_a_client_of_a_unix_socket(build, certs, home):
    upstream = ScriptedUpstream("eu")
    world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"), settings=relaying(us_east=home.address),
                  extra_listeners=[{"address": "unix:gate.sock", "tls": True}])
    number, hello = len(home.connections), hello_of(away)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(str(world.gate.folder / "gate.sock"))
        sock.sendall(hello)
        header = behind(home.connection(number), len(hello))
        assert (header.command, header.family) == (pp.PROXY, pp.UNKNOWN)
        assert header.tlvs == [(0xe4, b"gatehouse/1 eu-west")]
    world.gate.stop()


def test_a_reload_switches_it(build, certs, home):
    upstream = ScriptedUpstream("eu")
    settings = relaying(us_east=home.address)
    settings["node"]["wrong_region"] = "refuse"
    world = build(tenants=tenants, certs=certs, upstream=upstream, pools=pool(upstream, "eu-west"), settings=settings)
    with home.silent():
        assert "INTERNAL_ERROR" in handshake_fails(world, away)   # no certificate of its here
    for word in ("relay", "refuse"):
        world.gate.settings["node"]["wrong_region"] = word
        world.gate.write_settings()
        assert world.gate.run("reload", "--config", str(world.gate.config)).returncode == 0
        if word == "relay":
            sock, end = relayed(world, home)
        else:
            with home.silent():
                assert "INTERNAL_ERROR" in handshake_fails(world, away)
            end.send(b"what began goes on")
            assert receive(sock, 18)
            sock.close()
            end.close()
    world.gate.stop()


# --- real gateways ---

class Region:
    """A node of its own region, with a listener for those that relay to it."""

    def __init__(self, build, name, certs, regions, **more):
        self.name, self.door = name, free_port()
        self.upstream = ScriptedUpstream(name)
        settings = relaying(name, **regions)
        settings["platform"]["trusted_proxies"] = ["127.0.0.1"]
        self.world = build(tenants={**tenants, **more.pop("tenants", {})}, certs=certs, upstream=self.upstream,
                           pools=pool(self.upstream, name), settings=settings, start=False,
                           extra_listeners=[{"address": f"127.0.0.1:{self.door}", "tls": True, "proxy_protocol": "required"}], **more)
        self.gate = self.world.gate

    @property
    def address(self):
        return f"127.0.0.1:{self.door}"

    def leads_to(self, **addresses):
        for name, address in addresses.items():
            self.gate.settings["regions"][name.replace("_", "-")] = {"address": address}
        self.gate.write_settings()
        self.gate.start()
        return self


@pytest.fixture(scope="module")
def far_certs(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("far-certs")
    for host in (away, "*.away.example", "few.localhost"):
        authority.leaf(host, folder / (("_" + host[1:] if host.startswith("*") else host) + ".pem"))
    return folder


@pytest.fixture(scope="module")
def two(build, certs, far_certs):
    far = Region(build, "us-east", far_certs, {}).leads_to()
    near = Region(build, "eu-west", certs, {}).leads_to(us_east=far.address)
    return near, far


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_ends_at_the_home_region(two, authority, version):
    near, far = two
    with near.upstream.silent():
        context = tls_context(ca=str(authority.cert), minimum=version, maximum=version)
        context.check_hostname = True
        with Client(near.gate.tls_port, tls={"sni": away, "context": context}) as client:
            for n in range(3):
                answer = client.get(f"/far{n}", host=away)
                assert answer.json()["upstream"] == "us-east"
            fields = {k.lower(): v for k, v in answer.json()["fields"]}
            assert fields["x-forwarded-for"] == "127.0.0.1" and fields["x-forwarded-port"] == str(near.gate.tls_port)
            assert fields["x-tenant-id"] == "away"
            session = client.socket.session
        with Client(near.gate.tls_port, tls={"sni": away, "context": context, "session": session}) as client:
            assert client.get("/", host=away).json()["upstream"] == "us-east"
            assert client.socket.session_reused
        # The home judges what comes in its TLS.
        with Client(near.gate.tls_port, tls={"sni": away, "context": context}) as client:
            assert client.get("/", host="few.localhost").status == 421


def test_the_clients_address_reaches_the_home(two, authority):
    near, far = two
    context = tls_context(ca=str(authority.cert))
    sock = socket.create_connection(("127.0.0.1", near.gate.tls_port), source_address=("127.0.0.7", 0))
    with context.wrap_socket(sock, server_hostname=away) as tls:
        tls.sendall(request("/address", away))
        assert b'"X-Forwarded-For", "127.0.0.7"' in tls.recv(65536)
    assert far.gate.access_lines("/address")[0]["client"] == "127.0.0.7"
    until(lambda: any(line["client"] == "127.0.0.7" and line["decision"] == "relay" for line in near.gate.access_lines()), 3)


def test_many_at_once_with_bodies(two, authority):
    near, far = two
    before = metrics(near.world)
    failures = []

    def visit(n):
        try:
            body = random.Random(n).randbytes(200_000)
            with near.gate.tls_client(away, authority.cert) as client:
                for turn in range(3):
                    answer = client.get(f"/body{n}", host=away, method="POST", body=body)
                    assert answer.json()["body"].encode("latin-1") == body
        except Exception as e:   # noqa: BLE001 - shown by the test
            failures.append(e)
    threads = [threading.Thread(target=visit, args=(n,)) for n in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures[:3]
    until(lambda: metrics(near.world)["relays"] == 0, 4)
    assert metrics(near.world)["relays_total"] == before["relays_total"] + 12


def test_a_suspended_tenants_visitors_are_told_by_the_home(two, authority):
    near, far = two
    suspended = {**tenants["away"], "state": "suspended", "reason": "billing", "message": "Pay, please."}
    for region in two:
        region.gate.write_tenant("away", suspended)
    try:
        until(lambda: near.gate.get("/", host=away).status == 421)

        def told():
            with near.gate.tls_client(away, authority.cert) as client:
                return client.get("/", host=away).status == 402
        until(told, 3)
    finally:
        for region in two:
            region.gate.write_tenant("away", tenants["away"])

    def served():
        with near.gate.tls_client(away, authority.cert) as client:
            return client.get("/", host=away).status == 200
    until(served, 3)


def test_never_twice(build, authority, certs, far_certs, home):
    """Two regions that each call the other one, or a third, the tenant's home."""
    middle = Region(build, "us-east", far_certs, {}, tenants={"away": tenant("ap-south", hosts=["*.away.example"])})
    near = Region(build, "eu-west", certs, {}).leads_to(us_east=middle.address)
    middle.leads_to(ap_south=home.address, eu_west=near.address)
    with home.silent(), near.upstream.silent(), middle.upstream.silent():
        assert "INTERNAL_ERROR" in handshake_fails(near.world, away)
    assert metrics(middle.world)["twice"] == 1 and metrics(middle.world)["relays_total"] == 0
    assert metrics(near.world)["relays_total"] == 1
    until(lambda: "region eu-west relays it here, but its home is ap-south" in middle.gate.stderr())
    # In a circle.
    middle.gate.write_tenant("away", tenant("eu-west", hosts=["*.away.example"]))
    until(lambda: middle.gate.get("/", host=away).fields.get("x-gatehouse-region") == "eu-west")
    with home.silent(), near.upstream.silent(), middle.upstream.silent():
        assert "INTERNAL_ERROR" in handshake_fails(near.world, away)
    assert metrics(middle.world)["twice"] == 2

    # What others write into a TLV of that type says nothing, and from a peer that is not trusted neither does ours.
    middle.gate.write_tenant("away", tenant("ap-south", hosts=["*.away.example"]))
    until(lambda: middle.gate.get("/", host=away).fields.get("x-gatehouse-region") == "ap-south")
    hello = hello_of(away)
    for value in (b"", b"\x01vpce-0123", b"eu-west", b"gatehouse eu-west"):
        number = len(home.connections)
        with socket.create_connection(("127.0.0.1", middle.door), timeout=8) as sock:
            sock.sendall(pp.header("192.0.2.7", tlvs=pp.tlv(0xe4, value)) + hello)
            header = behind(home.connection(number), len(hello))
            assert header.source == "192.0.2.7" and header.tlvs == [(0xe4, b"gatehouse/1 us-east")] and header.rest == hello
    with home.silent():
        stranger = socket.create_connection(("127.0.0.1", middle.door), timeout=8, source_address=("127.0.0.2", 0))
        stranger.sendall(pp.header("192.0.2.7") + hello)
        assert rest_of(stranger) == b""
        stranger.close()
        with socket.create_connection(("127.0.0.1", middle.door), timeout=8) as sock:
            sock.sendall(pp.header("192.0.2.7", tlvs=pp.relay_mark("ap-south")) + hello)
            assert rest_of(sock)[:1] == b"\x15"
    assert metrics(middle.world)["twice"] == 3
    near.gate.stop()
    middle.gate.stop()


# --- residency and endpoints ---

well = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def two_regions(build, residency, homes, others, **more):
    """A node of eu-west with a tenant there, whose pool has endpoints in eu-west and in us-east."""
    ends = [{"address": u.address, "region": "eu-west"} for u in homes] + [{"address": u.address, "region": "us-east"} for u in others]
    return build(tenants={"acme": tenant("eu-west", residency)}, upstream=homes[0],
                 pools={"main": {"balance": "round_robin", "slow_start": "0s", "endpoints": ends, **more}})


@pytest.mark.parametrize("home_count,other_count,health", [(1, 1, False), (2, 2, False), (1, 1, True), (3, 1, True)])
def test_preferred_goes_elsewhere_when_none_is_left_and_comes_back(build, home_count, other_count, health):
    """Without health checks at most half of all are left out for failing; with them as many as are down."""
    homes = [ScriptedUpstream(f"home{n}").on("/healthz", well) for n in range(home_count)]
    others = [ScriptedUpstream(f"other{n}").on("/healthz", well) for n in range(other_count)]
    checks = {"health": {"path": "/healthz", "interval": "100ms", "rise": 1, "fall": 1}} if health else {}
    world = two_regions(build, "preferred", homes, others, **checks)

    def names(count=12):
        answers = [world.get("/") for _ in range(count)]
        return {a.json()["upstream"] if a.status == 200 else a.status for a in answers}
    assert names() == {u.name for u in homes}
    for n, gone in enumerate(homes):
        gone.stop()
        gone.drop_connections()
        left = {u.name for u in homes[n + 1:]} or {u.name for u in others}
        until(lambda: names() == left, 8, 0.1)
    back = [ScriptedUpstream(u.name, port=u.port).on("/healthz", well) for u in homes]
    until(lambda: names() == {u.name for u in homes}, 15, 0.3)
    world.gate.stop()
    for upstream in (*back, *others):
        upstream.stop()


reset = raw(end="reset")
half = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab", end="reset")
bad = raw(b"nonsense\r\n\r\n", end="close")
busy = raw(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


def silent(conn, r):
    conn.wait_closed(4)


@pytest.mark.parametrize("fault", [reset, half, bad, busy, silent, "close", "refused"],
                         ids=["reset", "half", "bad", "busy", "silent", "close", "refused"])
def test_strict_never_sends_a_byte_elsewhere(build, fault):
    """Whatever its own region does: refuses, resets, breaks off, closes kept connections, says nothing."""
    homes, elsewhere = [ScriptedUpstream("home0"), ScriptedUpstream("home1")], Recorder()
    world = two_regions(build, "strict", homes, [elsewhere])
    with elsewhere.silent():
        assert world.get("/").status == 200
        if fault == "refused":
            for upstream in homes:
                upstream.stop()
                upstream.drop_connections()
        elif fault == "close":
            for upstream in homes:
                upstream.default = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", end="close")
        else:
            for upstream in homes:
                upstream.default = fault
        for method, body in (("GET", None), ("POST", b"x" * 10), ("PUT", b"y" * 100_000), ("HEAD", None)):
            for _ in range(1 if fault is silent else 6):
                try:
                    answer = world.get("/", method=method, body=body)
                    assert fault in ("close", busy) or answer.status in (200, 502, 503, 504)
                except Exception as e:   # noqa: BLE001 - a body that broke off
                    assert fault is half, e
    world.gate.stop()
    for upstream in homes:
        upstream.stop()
    elsewhere.stop()
