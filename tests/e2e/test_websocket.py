"""Tunnels: the upgrade, raw bytes after it, what they survive and what ends them."""
import os
import pathlib
import subprocess
import time

import pytest

from kit import websocket as ws
from kit.client import Client
from kit.gate import until
from kit.ports import free_port
from kit.upstream import ScriptedUpstream, ok, raw

node = next((p for p in ("/usr/bin/node", "/usr/local/bin/node") if os.path.exists(p)), None)
node_modules = "/usr/share/nodejs"
needs_node_ws = pytest.mark.skipif(node is None or not os.path.isdir(node_modules + "/ws"),
                                   reason="node and its ws package are not installed (apt: nodejs node-ws)")

tenants = {
    "acme": {"name": "Acme", "pool": "main"},
    "globex": {"name": "Globex", "pool": "main"},
    "few": {"name": "Few", "pool": "main", "limits": {"connections": 2, "concurrency": 1}},
    "strip": {"name": "Strip", "pool": "main", "routes": [{"path": "/app", "strip_prefix": "/app"}, {"path": "/"}]},
}


@pytest.fixture(scope="module")
def world(build, dev_certs):
    world = build(tenants=tenants, certs=dev_certs)
    world.upstream.on("/ws", ws.echo_upstream)
    return world


def opened(client, **options):
    client.send(ws.upgrade_request(**options))
    answer = client.response()
    assert answer.status == 101, answer
    return answer


def echoes(client, data=b"hello", opcode=1):
    client.send(ws.frame(data, opcode))
    return ws.read_frame(client.reader) == (opcode, data)


def test_echo(world):
    with world.client() as client:
        answer = opened(client)
        assert answer.fields.get("upgrade").lower() == "websocket"
        assert "upgrade" in answer.fields.get("connection").lower()
        assert answer.fields.get("sec-websocket-accept") == ws.accept_value(ws.key)
        for size in (0, 1, 125, 126, 65535, 65536, 1_000_000):
            assert echoes(client, os.urandom(size), 2)
        client.send(ws.frame(b"\x03\xe8", 8))
        assert ws.read_frame(client.reader) == (8, b"\x03\xe8")
        assert client.closed()


def test_request_as_the_upstream_sees_it(world):
    with world.client() as client:
        opened(client, fields=[("Sec-WebSocket-Protocol", "chat"), ("X-Tenant-Id", "acme")])
    seen = world.upstream.last("/ws").fields
    assert seen.get("connection").lower() == "upgrade" and seen.get("upgrade").lower() == "websocket"
    assert seen.get("sec-websocket-key") == ws.key and seen.get("sec-websocket-version") == "13"
    assert seen.get("sec-websocket-protocol") == "chat" and seen.all("x-tenant-id") == ["acme"]


def test_over_tls(world, dev_certs):
    with world.gate.tls_client("acme.localhost", dev_certs / "ca.pem") as client:
        opened(client)
        for size in (5, 70000, 300_000):
            assert echoes(client, os.urandom(size), 2)


def test_frame_sent_with_the_request(world):
    """Bytes behind the upgrade go up only after upstream's 101."""
    with world.client() as client:
        client.send(ws.upgrade_request() + ws.frame(b"eager"))
        assert client.response().status == 101
        assert ws.read_frame(client.reader) == (1, b"eager")


def test_frame_sent_with_the_answer(world):
    def eager(conn, r):
        conn.send((b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   b"Sec-WebSocket-Accept: " + ws.accept_value(ws.key).encode() + b"\r\n\r\n") + ws.frame(b"first", masked=False))
        conn.wait_closed(5)
    world.upstream.on("/eager", eager)
    with world.client() as client:
        opened(client, path="/eager")
        assert ws.read_frame(client.reader) == (1, b"first")


def test_bytes_before_the_101_are_no_tunnel(world):
    """The upstream says no: what the client sent on top is not its body."""
    world.upstream.on("/no-ws", ok(b"plain"))
    with world.client() as client:
        client.send(ws.upgrade_request(path="/no-ws"))
        answer = client.response()
        assert answer.status == 200 and answer.body == b"plain"
        assert client.get("/after").status == 200


@pytest.mark.parametrize("status", [b"403 Forbidden", b"426 Upgrade Required", b"500 Oops"])
def test_upstream_refuses(world, status):
    world.upstream.on("/refuse", ok(b"no", status=status))
    with world.client() as client:
        client.send(ws.upgrade_request(path="/refuse"))
        assert client.response().status == int(status[:3])


def test_101_for_another_protocol(world):
    world.upstream.on("/other", raw(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
    with world.client() as client:
        client.send(ws.upgrade_request(path="/other"))
        assert client.response().status == 502


@pytest.mark.parametrize("head", [
    b"POST /plain HTTP/1.1\r\nHost: acme.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
    b"GET /plain HTTP/1.1\r\nHost: acme.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
    b"GET /plain HTTP/1.1\r\nHost: acme.localhost\r\nUpgrade: websocket\r\n\r\n",
    b"GET /plain HTTP/1.0\r\nHost: acme.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
], ids=["post", "get-with-body", "not-nominated", "http-1.0"])
def test_no_upgrade(world, head):
    """Not an upgrade: passed on as plain HTTP or refused, never as an upgrade."""
    with world.client() as client:
        client.send(head)
        answer = client.response()
        assert answer.status in (200, 400)
        if answer.status == 200:
            assert "upgrade" not in [n.lower() for n, _ in answer.json()["fields"]]


def test_upstream_closes(world):
    def goodbye(conn, r):
        ws.switch(conn, r)
        conn.send(ws.frame(b"bye", masked=False))
        conn.close()
    world.upstream.on("/goodbye", goodbye)
    with world.client() as client:
        opened(client, path="/goodbye")
        assert ws.read_frame(client.reader) == (1, b"bye")
        assert client.closed()


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_vanishes(world, how):
    with world.client() as client:
        opened(client)
        assert echoes(client)
        getattr(client, how)()
    assert world.upstream.last("/ws").connection.peer_closed.wait(3)


def test_survives_edits(world):
    with world.client() as client:
        opened(client)
        for turn in range(10):
            world.gate.write_tenant("acme", {**tenants["acme"], "context": {"turn": str(turn)}})
            time.sleep(0.06)
            assert echoes(client, b"turn %d" % turn)
        world.gate.write_tenant("globex", "broken")
        time.sleep(0.3)
        assert echoes(client)
        world.gate.write_tenant("globex", tenants["globex"])
        world.gate.write_tenant("acme", tenants["acme"])
        time.sleep(0.3)
        assert echoes(client)


@pytest.mark.parametrize("how", ["suspended", "deleting", "deleted"])
def test_suspension_closes(world, how):
    with world.client() as client, world.client() as other:
        opened(client)
        opened(other, host="globex.localhost")
        assert echoes(client) and echoes(other)
        if how == "suspended":
            world.gate.write_tenant("acme", {**tenants["acme"], "state": "suspended", "reason": "abuse"})
        elif how == "deleting":
            world.gate.write_tenant("acme", {**tenants["acme"], "state": "deleting"})
        else:
            world.gate.delete_tenant("acme")
        begun = time.monotonic()
        assert client.closed(3), "the tunnel outlived its tenant"
        print(f"closed after {(time.monotonic() - begun) * 1000:.0f} ms")
        assert echoes(other), "another tenant's tunnel was closed as well"
    world.gate.write_tenant("acme", tenants["acme"])
    until(lambda: world.get("/").status == 200, 3)


def test_leaves_concurrency_and_counts_in_connections(world):
    clients = [world.client(), world.client()]
    for client in clients:
        opened(client, host="few.localhost")
        assert echoes(client)
    with world.client() as third:
        third.send(ws.upgrade_request(host="few.localhost"))
        assert third.response().status in (429, 503)
    for client in clients:
        client.close()
    until(lambda: world.get("/", host="few.localhost").status == 200, 3)


def test_idle_tunnel_is_closed(build):
    world = build(settings={"timeouts": {"tunnel_idle": "3s"}})
    world.upstream.on("/ws", ws.echo_upstream)
    with world.client() as client:
        opened(client)
        for _ in range(4):
            time.sleep(1)
            begun = time.monotonic()
            assert echoes(client)
        assert client.closed(10)
        assert 2 < time.monotonic() - begun < 8
    world.gate.stop()


def test_many(world):
    clients = [Client(world.gate.port) for _ in range(100)]
    for client in clients:
        client.send(ws.upgrade_request())
    for client in clients:
        assert client.response().status == 101
    for turn in range(3):
        for i, client in enumerate(clients):
            client.send(ws.frame(b"%d/%d" % (turn, i)))
        for i, client in enumerate(clients):
            assert ws.read_frame(client.reader) == (1, b"%d/%d" % (turn, i))
    for client in clients:
        client.close()


def test_route_prefix(world):
    with world.client() as client:
        opened(client, path="/app/ws", host="strip.localhost")
        assert echoes(client)


# --- node's ws on both ends ---

node_server = """
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: +process.argv[1] });
server.on('connection', (socket, request) => {
  socket.send('tenant ' + request.headers['x-tenant-id']);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
server.on('listening', () => console.log('ready'));
"""
node_client = """
const WebSocket = require('ws');
const socket = new WebSocket(process.argv[1], { headers: { Host: 'acme.localhost' }, servername: 'acme.localhost',
  ca: process.argv[2] ? require('fs').readFileSync(process.argv[2]) : undefined,
  checkServerIdentity: () => undefined });
const big = Buffer.alloc(3000000, 'x');
let step = 0;
socket.on('message', (data, binary) => {
  step += 1;
  if (step === 1) { if (data.toString() !== 'tenant acme') throw new Error(data); socket.send('text'); }
  else if (step === 2) { if (data.toString() !== 'text' || binary) throw new Error('text'); socket.send(big); }
  else if (step === 3) { if (!big.equals(data)) throw new Error('big'); socket.ping('p'); }
});
socket.on('pong', () => socket.close(1000, 'done'));
socket.on('close', (code) => { console.log('closed ' + code); process.exit(code === 1000 ? 0 : 1); });
socket.on('error', (e) => { console.error(e); process.exit(1); });
setTimeout(() => { console.error('too late at step ' + step); process.exit(1); }, 15000);
"""


@needs_node_ws
@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_node_ws(build, dev_certs, tls):
    env = {**os.environ, "NODE_PATH": node_modules}
    port = free_port()
    server = subprocess.Popen([node, "-e", node_server, str(port)], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline().strip() == "ready"
        world = build(pools={"main": [f"127.0.0.1:{port}"]}, certs=dev_certs, upstream=ScriptedUpstream())
        url = f"wss://127.0.0.1:{world.gate.tls_port}/x" if tls else f"ws://127.0.0.1:{world.gate.port}/x"
        ca = [str(pathlib.Path(dev_certs) / "ca.pem")] if tls else []
        result = subprocess.run([node, "-e", node_client, url, *ca], env=env, capture_output=True, text=True, timeout=30)
        assert result.returncode == 0 and "closed 1000" in result.stdout, result.stderr
        world.gate.stop()
    finally:
        server.terminate()
        server.wait()
