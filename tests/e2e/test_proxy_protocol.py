"""listener.proxy_protocol = "required": headers of version 2 from trusted proxies, and nothing else, say who the
client is; and on a listener without it nothing is ever taken for one."""
import re
import socket
import ssl
import time

import pytest

from kit import proxy_header as pp
from kit.client import Client, deliveries, random_splits, request, seed_base, tls_context
from kit.gate import until
from kit.haproxy import haproxy, installed
from kit.http_message import ProtocolError
from kit.ports import free_port, has_ipv6
from kit.upstream import ScriptedUpstream

tenants = {
    "acme": {"name": "Acme", "pool": "main", "routes": [
        {"path": "/inside", "allow": ["192.0.2.0/24", "2001:db8::/32"]}, {"path": "/outside", "deny": ["192.0.2.0/24"]},
        {"path": "/hashed", "pool": "hashed"}, {"path": "/"}]},
}
client_limit = 4


@pytest.fixture(scope="module")
def ports():
    return {"plain": free_port(), "tls": free_port()}


@pytest.fixture(scope="module")
def world(build, dev_certs, ports):
    """127.0.0.1 is a trusted proxy; 127.0.0.2 is anybody. Beside the listeners with headers there are two without."""
    required = [{"address": f"127.0.0.1:{ports['plain']}", "tls": False, "proxy_protocol": "required"},
                {"address": f"127.0.0.1:{ports['tls']}", "tls": True, "proxy_protocol": "required"}]
    world = build(tenants=tenants, certs=dev_certs, extra_listeners=required,
                  settings={"platform": {"trusted_proxies": ["127.0.0.1", "203.0.113.0/24"]},
                            "limits": {"connections_per_client": client_limit}}, start=False)
    second = ScriptedUpstream("second")
    world.gate.settings["pools"]["hashed"] = {"balance": "hash", "hash_on": "client_ip",
                                              "endpoints": [{"address": a} for a in (world.upstream.address, second.address)]}
    world.gate.write_settings()
    world.gate.start()
    yield world
    second.stop()


def refused(world):
    text = world.gate.admin("GET", "/metrics")[1]
    return {reason: int(n) for reason, n in re.findall(r'gatehouse_proxy_headers_refused_total\{reason="(\w+)"\} (\d+)', text)}


def metric(world, name):
    return float(re.search(rf"^{name} (\S+)$", world.gate.admin("GET", "/metrics")[1], re.MULTILINE)[1])


def open_socket(port, source=None):
    return socket.create_connection(("127.0.0.1", port), timeout=8, source_address=(source, 0) if source else None)


def ended(sock, seconds=4.0):
    """What came until the gate closed; fails when it does not."""
    sock.settimeout(seconds)
    got = b""
    try:
        while data := sock.recv(4096):
            got += data
    except ConnectionResetError:
        pass
    return got


class Behind(Client):
    """A client on whose connection a header goes first; `tls`: then a handshake."""

    def __init__(self, port, header, tls=None, how="whole"):
        super().__init__(port)
        self.deliver(header, how)
        if tls:
            context = tls_context(ca=str(tls / "ca.pem"))
            self.socket = context.wrap_socket(self.socket, server_hostname="acme.localhost")


def seen_by_application(client, path="/", **options):
    answer = client.get(path, **options)
    assert answer.status == 200, answer
    return {n.lower(): v for n, v in answer.json()["fields"]}


# --- who the client is ---

@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("source,ports_said", [("192.0.2.7", (49153, 443)), ("2001:db8::7", (1, 8443)), ("::ffff:192.0.2.9", (5, 443))])
def test_the_header_names_the_client(world, ports, dev_certs, how, tls, source, ports_said):
    header = pp.header(source, ports=ports_said, tlvs=pp.tlv(1, b"h2") + pp.tlv(4, b"") + pp.tlv(0xea, b"\x01vpce-1"))
    shown = source.removeprefix("::ffff:")
    path = f"/who-{how}-{int(tls)}-{ports_said[0]}"
    with Behind(ports["tls" if tls else "plain"], header, dev_certs if tls else None, how) as client:
        fields = seen_by_application(client, path)
    assert fields["x-forwarded-for"] == shown
    assert fields["x-forwarded-port"] == str(ports_said[1])
    assert fields["x-forwarded-proto"] == ("https" if tls else "http")
    assert world.gate.access_lines(path)[0]["client"] == shown


def test_header_and_request_in_one_piece(world, ports):
    for header in (pp.header("192.0.2.7"), pp.with_checksum("192.0.2.7")):
        with Client(ports["plain"]) as client:
            client.send(header + request("/together") + request("/again"))
            for _ in range(2):
                fields = {n.lower(): v for n, v in client.response().json()["fields"]}
                assert fields["x-forwarded-for"] == "192.0.2.7"


def hello_bytes():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = tls_context().wrap_bio(incoming, outgoing, server_hostname="acme.localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing


def finish_handshake(sock, tls, incoming, outgoing):
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            data = sock.recv(65536)
            assert data, "the gate closed during the handshake"
            incoming.write(data)
    sock.sendall(outgoing.read())


@pytest.mark.parametrize("cut", [0, 1, 27, 28, 29, 33, 200])
def test_the_hello_may_come_with_the_header_in_any_pieces(ports, world, cut):
    """Not a byte of the hello is lost, wherever the pieces end."""
    tls, incoming, outgoing = hello_bytes()
    data = pp.header("192.0.2.7") + outgoing.read()
    with open_socket(ports["tls"]) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if cut:
            sock.sendall(data[:cut])
            time.sleep(0.03)
        sock.sendall(data[cut:])
        finish_handshake(sock, tls, incoming, outgoing)
        tls.write(request("/pieces"))
        sock.sendall(outgoing.read())
        answer = b""
        while b'"target"' not in answer:
            incoming.write(sock.recv(65536))
            try:
                answer += tls.read(65536)
            except ssl.SSLWantReadError:
                continue
        assert b"192.0.2.7" in answer


def test_forwarding_fields_count_from_trusted_clients_alone(ports, world):
    """The peer's trust is for its header; whose fields count is judged by whom the header names."""
    sent = [("X-Forwarded-For", "198.51.100.9")]
    with Behind(ports["plain"], pp.header("192.0.2.7")) as client:
        assert seen_by_application(client, fields=sent)["x-forwarded-for"] == "192.0.2.7"
    with Behind(ports["plain"], pp.header("203.0.113.5")) as client:
        assert seen_by_application(client, fields=sent)["x-forwarded-for"] == "198.51.100.9, 203.0.113.5"


def test_allow_and_deny_go_by_the_header(ports, world):
    for source, inside, outside in (("192.0.2.7", 200, 403), ("2001:db8::7", 200, 200), ("198.51.100.2", 403, 200)):
        with Behind(ports["plain"], pp.header(source)) as client:
            assert client.get("/inside").status == inside
            assert client.get("/outside").status == outside


def test_hashing_goes_by_the_header(ports, world):
    taken = {}
    for turn in range(2):
        for n in range(24):
            with Behind(ports["plain"], pp.header(f"192.0.2.{100 + n}")) as client:
                name = client.get("/hashed").json()["upstream"]
            assert taken.setdefault(n, name) == name
    assert set(taken.values()) == {"upstream", "second"}


def test_the_limit_of_connections_goes_by_the_header(ports, world):
    before = metric(world, "gatehouse_connections_refused_total")
    held = [Behind(ports["plain"], pp.header("192.0.2.50")) for _ in range(client_limit)]
    try:
        for client in held:
            assert client.get("/").status == 200
        with Behind(ports["plain"], pp.header("192.0.2.50")) as over:
            over.send(request("/"))
            with pytest.raises(ProtocolError):
                over.response()
        until(lambda: metric(world, "gatehouse_connections_refused_total") == before + 1)
        # Others behind the same proxy are others, more than the limit of them.
        for n in range(client_limit * 2):
            with Behind(ports["plain"], pp.header(f"192.0.2.{60 + n}")) as other:
                assert other.get("/").status == 200
        held.pop().close()
        until(lambda: again(ports, "192.0.2.50"), 3)
    finally:
        for client in held:
            client.close()


def again(ports, source):
    with Behind(ports["plain"], pp.header(source)) as client:
        return client.get("/").status == 200


@pytest.mark.parametrize("header", [
    pp.raw(pp.LOCAL, pp.UNKNOWN, b""),
    pp.raw(pp.LOCAL, pp.TCP4, pp.addresses("192.0.2.7")),
    pp.raw(pp.PROXY, pp.UNKNOWN, b""),
    pp.raw(pp.PROXY, pp.UDP4, pp.addresses("192.0.2.7")),
    pp.raw(pp.PROXY, pp.UNIX, b"/run/client".ljust(108, b"\0") * 2),
], ids=["local", "local-addresses", "unknown", "udp", "unix"])
def test_the_peers_own_address_holds_without_one(ports, world, dev_certs, header):
    for port, tls in (("plain", None), ("tls", dev_certs)):
        with Behind(ports[port], header, tls) as client:
            assert seen_by_application(client)["x-forwarded-for"] == "127.0.0.1"


def test_a_relayed_client_without_an_address_is_not_the_relay(ports, world):
    # The relay is one of trusted_proxies; its client, who came over a Unix socket, is not: what it says of itself is not believed.
    with Behind(ports["plain"], pp.raw(pp.PROXY, pp.UNKNOWN, pp.relay_mark("us-east"))) as client:
        seen = seen_by_application(client, fields=[("X-Forwarded-For", "192.0.2.99")])
        assert "192.0.2.99" not in seen["x-forwarded-for"] and "127.0.0.1" not in seen["x-forwarded-for"]


# --- what is closed ---

v4 = pp.addresses("192.0.2.7")
bad = {
    "version": [b"PROXY TCP4 192.0.2.7 198.51.100.1 49153 443\r\n", b"PROXY UNKNOWN\r\n", pp.signature + b"\x31\x11\0\x0c" + v4],
    "malformed": [b"GET / HTTP/1.1\r\nHost: acme.localhost\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"\r\n\r\nX",
                  pp.raw(0x22, pp.TCP4, v4), pp.raw(pp.PROXY, 0x41, v4), pp.raw(pp.PROXY, 0x13, v4),
                  pp.raw(pp.PROXY, pp.TCP4, v4[:-1]), pp.raw(pp.PROXY, pp.TCP6, v4), pp.header("192.0.2.7", tlvs=b"\x04\0\x09ab"),
                  pp.header("192.0.2.7", tlvs=b"\x04"), pp.header("192.0.2.7", tlvs=pp.tlv(3, b"abc")),
                  pp.header("192.0.2.7", tlvs=pp.relay_mark("EU WEST"))],
    "too_large": [pp.header("192.0.2.7", tlvs=pp.tlv(4, b"x" * 506)), pp.signature + b"\x21\x11\xff\xff"],
    "checksum": [pp.with_checksum("192.0.2.7", change=1), pp.with_checksum("192.0.2.7", change=0x80000000)],
}
rows = [(reason, data) for reason, list_ in bad.items() for data in list_]


@pytest.mark.parametrize("port", ["plain", "tls"])
@pytest.mark.parametrize("how", deliveries)
@pytest.mark.parametrize("reason,data", rows, ids=[f"{r}-{i}" for i, (r, _) in enumerate(rows)])
def test_bad_headers_are_closed_without_an_answer(ports, world, port, how, reason, data):
    before = refused(world)
    with world.upstream.silent():
        client = Client(ports[port])
        client.deliver(data, how)
        assert ended(client.socket) == b""
        client.close()
        until(lambda: refused(world) == {**before, reason: before[reason] + 1})


def test_the_largest_header_is_taken(ports, world):
    header = pp.header("192.0.2.7", tlvs=pp.tlv(4, b"x" * 505))
    assert len(header) == 536
    with Behind(ports["plain"], header) as client:
        assert seen_by_application(client)["x-forwarded-for"] == "192.0.2.7"


@pytest.mark.parametrize("port", ["plain", "tls"])
def test_anybody_else_is_closed(ports, world, dev_certs, port):
    before = refused(world)
    with world.upstream.silent():
        sock = open_socket(ports[port], source="127.0.0.2")
        sock.sendall(pp.header("127.0.0.1") + request("/"))
        assert ended(sock) == b""
        sock.close()
    until(lambda: refused(world) == {**before, "untrusted": before["untrusted"] + 1})


@pytest.mark.parametrize("cut", [1, 12, 15, 16, 27])
def test_an_end_inside_is_counted_and_one_before_is_not(ports, world, cut):
    before = refused(world)
    open_socket(ports["plain"]).close()   # a balancer that looks whether somebody listens
    with open_socket(ports["plain"]) as sock:
        sock.sendall(pp.header("192.0.2.7")[:cut])
        sock.shutdown(socket.SHUT_WR)
        assert ended(sock) == b""
    until(lambda: refused(world) == {**before, "truncated": before["truncated"] + 1})


@pytest.mark.parametrize("port", ["plain", "tls"])
@pytest.mark.parametrize("sends", ["nothing", "bytes"])
def test_late_headers(ports, world, port, sends):
    """request_head (1 s here) is for all of it, not for each piece."""
    before = refused(world)
    header = pp.header("192.0.2.7")
    begun = time.monotonic()
    with open_socket(ports[port]) as sock:
        if sends == "bytes":
            sock.settimeout(0.05)
            for byte in header[:-1]:
                try:
                    sock.sendall(bytes([byte]))
                    assert sock.recv(1) == b""
                    break
                except TimeoutError:
                    time.sleep(0.02)
                except (ConnectionResetError, BrokenPipeError):
                    break
        assert ended(sock) == b""
        assert 0.8 < time.monotonic() - begun < 4
    until(lambda: refused(world) == {**before, "timeout": before["timeout"] + 1})


def test_a_second_header_is_a_request(ports, world):
    """Only the first bytes of a connection are one: a client behind the proxy cannot send another."""
    with world.upstream.silent():
        with Behind(ports["plain"], pp.header("192.0.2.7")) as client:
            client.send(pp.header("127.0.0.1") + request("/"))
            assert client.response().status == 400


@pytest.mark.skipif(not installed, reason="HAProxy is not installed")
@pytest.mark.parametrize("options", ["send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority",
                                     "send-proxy-v2 check check-send-proxy inter 50ms"])
def test_behind_haproxy(ports, world, dev_certs, tmp_path, options):
    before = refused(world)
    for port, tls in (("plain", None), ("tls", dev_certs)):
        with haproxy(tmp_path, f"127.0.0.1:{ports[port]}", options=options) as door:
            sock = socket.create_connection(("127.0.0.1", door), timeout=8, source_address=("127.0.0.9", 0))
            if tls:
                sock = tls_context(ca=str(tls / "ca.pem")).wrap_socket(sock, server_hostname="acme.localhost")
            sock.sendall(request("/haproxy"))
            answer = sock.recv(65536)
            assert b'"X-Forwarded-For", "127.0.0.9"' in answer and f'"X-Forwarded-Port", "{door}"'.encode() in answer, answer
            sock.close()
            if "check" in options:
                time.sleep(0.3)   # a few checks, which are LOCAL
    assert refused(world) == before


@pytest.mark.skipif(not installed, reason="HAProxy is not installed")
def test_behind_haproxy_with_version_1(ports, world, tmp_path):
    before = refused(world)
    with haproxy(tmp_path, f"127.0.0.1:{ports['plain']}", options="send-proxy") as door:
        with socket.create_connection(("127.0.0.1", door), timeout=8) as sock:
            sock.sendall(request("/"))
            assert ended(sock) == b""
    until(lambda: refused(world)["version"] > before["version"])


# --- listeners without ---

@pytest.mark.parametrize("how", deliveries)
def test_on_other_listeners_nothing_is_taken_for_one(world, how):
    before = refused(world)
    with world.upstream.silent():
        with Client(world.gate.port) as client:
            client.deliver(pp.header("192.0.2.7") + request("/"), how)
            assert client.response().status == 400
    with world.upstream.silent():
        with Client(world.gate.tls_port) as client:
            client.deliver(pp.header("192.0.2.7"), how)
            assert ended(client.socket)[:1] in (b"\x15", b"")   # an alert, or nothing
    assert refused(world) == before
    with world.client() as client:
        fields = seen_by_application(client)
    assert fields["x-forwarded-for"] == "127.0.0.1"


def test_many_clients_mixed(ports, world, dev_certs):
    """Headers, hellos and requests cut at random, good and bad side by side."""
    before = refused(world)
    wrong = 0
    for n in range(40):
        source = f"192.0.2.{n}" if n % 2 else f"2001:db8::{n:x}"
        if n % 5 == 0:
            wrong += 1
            with Client(ports["plain"]) as client:
                client.send_pieces(random_splits(pp.with_checksum(source, change=4), seed_base + n), pause=0)
                assert ended(client.socket) == b""
            continue
        data = pp.header(source) + request(f"/mixed{n}")
        with Client(ports["plain"]) as client:
            client.send_pieces(random_splits(data, seed_base + n), pause=0)
            fields = {k.lower(): v for k, v in client.response().json()["fields"]}
            assert fields["x-forwarded-for"] == source
    until(lambda: refused(world)["checksum"] == before["checksum"] + wrong)


# --- configuration ---

def check_of(world, tmp_path, listener, platform):
    lines = ["[[listener]]", *[f'{k} = "{v}"' for k, v in listener.items()], "[platform]", 'domain = "localhost"', platform]
    file = tmp_path / "gatehouse.toml"
    (tmp_path / "tenants").mkdir(exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return world.gate.run("check", "--config", str(file))


def test_check(world, tmp_path):
    required = {"address": "127.0.0.1:8080", "proxy_protocol": "required"}
    nobody = check_of(world, tmp_path, required, "")
    assert nobody.returncode == 1
    assert "gatehouse.toml:3: listener[0].proxy_protocol" in nobody.stdout and "platform.trusted_proxies" in nobody.stdout
    unix = check_of(world, tmp_path, {**required, "address": "unix:gate.sock"}, 'trusted_proxies = ["10.0.0.0/8"]')
    assert unix.returncode == 1 and "Unix socket" in unix.stdout
    good = check_of(world, tmp_path, required, 'trusted_proxies = ["10.0.0.0/8"]')
    assert good.returncode == 0 and "0 errors" in good.stdout, good.stdout


def test_a_reload_switches_it_on_and_off(build, dev_certs):
    world = build(settings={"platform": {"trusted_proxies": ["127.0.0.1"]}})
    gate = world.gate

    def set_to(word):
        gate.settings["listener"][0]["proxy_protocol"] = word
        gate.write_settings()
        assert gate.run("reload", "--config", str(gate.config)).returncode == 0

    set_to("required")
    with Behind(gate.port, pp.header("192.0.2.7")) as client:
        assert seen_by_application(client)["x-forwarded-for"] == "192.0.2.7"
    with Client(gate.port) as client:
        client.send(request("/"))
        assert ended(client.socket) == b""
    set_to("off")
    with Client(gate.port) as client:
        assert seen_by_application(client)["x-forwarded-for"] == "127.0.0.1"
    gate.stop()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_proxy_over_ipv6(build):
    port = free_port()
    world = build(extra_listeners=[{"address": f"[::1]:{port}", "proxy_protocol": "required"}],
                  settings={"platform": {"trusted_proxies": ["::1"]}})
    with Client(("::1", port)) as client:
        client.send(pp.header("192.0.2.7"))
        assert seen_by_application(client)["x-forwarded-for"] == "192.0.2.7"
    world.gate.stop()
