"""The clients of the soak test. Well-behaved ones fail it when an answer is wrong or missing; of the others
the gate may think what it likes, as long as it forgets them."""
import hashlib
import random
import ssl
import time

from kit import websocket as ws
from kit.client import Client, chunked, request, tls_context
from kit.http_message import ProtocolError

block = hashlib.sha256(b"soak").digest() * 2048
closing = b"HTTP/1.1 "
patience_s = 20.0
suspended = (402, 403, 410, 451, 503)


class Clients:
    def __init__(self, gate, ca, stop):
        self.gate, self.ca, self.stop = gate, str(ca), stop
        self.full = tls_context(ca=self.ca)

    # --- connections ---
    def plain(self):
        return Client(self.gate.port, timeout=patience_s)

    def secure(self, host, session=None, context=None):
        return Client(self.gate.tls_port, tls={"context": context or tls_context(ca=self.ca), "sni": host, "session": session},
                      timeout=patience_s)

    def connect(self, host, tls):
        return self.secure(host) if tls else self.plain()

    # --- well-behaved: each yields once an answer that was right ---
    def kept(self, rng, host, tls):
        """One connection, many requests, some of them sent before the answer to the last."""
        with self.connect(host, tls) as client:
            for _ in range(rng.randrange(5, 60)):
                targets = [f"/kept?{rng.getrandbits(48)}" for _ in range(rng.choice((1, 1, 1, 3)))]
                client.send(b"".join(request(t, host) for t in targets))
                for t in targets:
                    self.expect(client.response(), t.encode())
                    yield
                if self.stop.is_set():
                    return

    def fresh(self, rng, host, tls):
        with self.connect(host, tls) as client:
            t = f"/fresh?{rng.getrandbits(48)}"
            self.expect(client.ask(request(t, host)), t.encode())
            yield

    def resumed(self, rng, host):
        context = tls_context(ca=self.ca)
        session, reused = None, 0
        for _ in range(10):
            with self.secure(host, session, context) as client:
                t = f"/resumed?{rng.getrandbits(48)}"
                self.expect(client.ask(request(t, host)), t.encode())
                reused += client.socket.session_reused
                session = client.socket.session
                yield
        assert reused >= 8, f"resumed {reused} times of 9"

    def slow_download(self, rng, host, tls):
        blocks = rng.randrange(8, 40)
        with self.connect(host, tls) as client:
            client.send(request(f"/big?{blocks}", host))
            head = client.reader.response_head()
            assert head is not None and head.status == 200, head
            until_s = time.monotonic() + rng.random()
            receive = client.reader.receive

            def slowly(n):
                if time.monotonic() < until_s:
                    time.sleep(0.02)
                    n = 4096
                return receive(n)

            client.reader.receive = slowly
            client.reader.body(head, until_close=False)
            assert head.body == block * blocks, f"{len(head.body)} bytes instead of {len(block) * blocks}, or others"
            yield

    def upload(self, rng, host, tls):
        with self.connect(host, tls) as client:
            for _ in range(4):
                data = rng.randbytes(rng.choice((10, 1000, 70_000, 1_000_000)))
                if rng.random() < 0.5:
                    message = request("/digest", host, method="POST", body=data)
                else:
                    cut = rng.randrange(len(data))
                    message = (request("/digest", host, [("Transfer-Encoding", "chunked")], "POST") +
                               chunked(data[:cut], data[cut:]))
                self.expect(client.ask(message), hashlib.sha256(data).hexdigest().encode())
                yield

    def tunnel(self, rng, host, tls):
        with self.connect(host, tls) as client:
            answer = client.ask(ws.upgrade_request("/ws", host))
            assert answer.status == 101, answer
            for _ in range(rng.randrange(1, 30)):
                data = rng.randbytes(rng.choice((1, 100, 5000, 100_000)))
                client.send(ws.frame(data, 2))
                assert ws.read_frame(client.reader) == (2, data), "another frame came back"
                yield
            if rng.random() < 0.5:
                client.send(ws.frame(b"\x03\xe8", 8))
                assert ws.read_frame(client.reader)[0] == 8

    @staticmethod
    def expect(answer, body):
        assert answer.status == 200 and answer.body == body, answer

    # --- those that may be refused, but in order ---
    def tolerated(self, rng, host, tls, codes):
        with self.connect(host, tls) as client:
            for _ in range(10):
                try:
                    answer = client.ask(request(f"/tolerated?{rng.getrandbits(48)}", host))
                except (ProtocolError, ConnectionError, ssl.SSLError):
                    assert 0 in codes, "closed within an answer"
                    return
                assert answer.status in codes, answer
                yield
                if answer.fields.get("connection") == "close" or self.stop.is_set():
                    return

    def bad(self, rng, host):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: %s\r\n\r\n", b"\x16\x03\x01\x02\x00nonsense\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                     b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: %s\r\n\r\n", b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: +1\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: %s\r\n" + b"a: b\r\n" * 120 + b"\r\n", b"TRACE / HTTP/1.1\r\nHost: %s\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n"):
            with self.plain() as client:
                answer = client.ask(data.replace(b"%s", host.encode()))
                assert 400 <= answer.status < 506, answer
                yield

    # --- those that behave badly ---
    def aborted(self, rng, host, tls):
        """Goes away at every point: in the handshake, the head, the body, before and within the answer."""
        whole = request(f"/big?{rng.randrange(1, 30)}", host) if rng.random() < 0.5 else \
            request("/digest", host, method="POST", body=rng.randbytes(200_000))
        if tls and rng.random() < 0.4:
            client = Client(self.gate.tls_port, timeout=patience_s)
            client.send((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(60))[:rng.randrange(60)])
        else:
            client = self.connect(host, tls)
            try:
                client.send(whole[:rng.choice((0, 1, 20, 60, 100, 5000, 100_000, len(whole)))])
                if rng.random() < 0.5 and len(whole) < 1000:
                    client.socket.settimeout(0.2)
                    client.socket.recv(rng.randrange(1, 100_000))
            except (OSError, TimeoutError):
                pass
        time.sleep(rng.choice((0, 0, 0.001, 0.02)))
        client.reset() if rng.random() < 0.5 else client.close()
        yield

    def slowloris(self, rng, host):
        """Heads that come a byte at a time until the gate has had enough."""
        clients = [self.plain() for _ in range(10)]
        try:
            data = request("/slowloris", host) [:-2] + b"X: y\r\n" * 1000
            for byte in data:
                if self.stop.is_set() or not clients:
                    break
                for client in list(clients):
                    try:
                        client.send(bytes([byte]))
                        ended = client.readable()
                    except OSError:
                        ended = True
                    if ended:
                        clients.remove(client)
                        client.close()
                        yield
                time.sleep(0.1)
        finally:
            for client in clients:
                client.close()

    def mix(self):
        """name -> (function, arguments), each a client of its own."""
        rough = (0, 200, 502, 503, 504)
        rows = {
            "kept": (self.kept, "acme.localhost", False), "kept TLS": (self.kept, "globex.localhost", True),
            "kept, file broken at times": (self.kept, "mended.localhost", False),
            "fresh": (self.fresh, "globex.localhost", False), "fresh TLS": (self.fresh, "acme.localhost", True),
            "resumed TLS": (self.resumed, "globex.localhost"),
            "slow download": (self.slow_download, "acme.localhost", False),
            "slow download TLS": (self.slow_download, "globex.localhost", True),
            "upload": (self.upload, "globex.localhost", False), "upload TLS": (self.upload, "acme.localhost", True),
            "tunnel": (self.tunnel, "acme.localhost", False), "tunnel TLS": (self.tunnel, "globex.localhost", True),
            "tight limits": (self.tolerated, "tight.localhost", False, (200, 429)),
            "tight limits, the same": (self.tolerated, "tight.localhost", False, (200, 429)),
            "suspended at times": (self.tolerated, "pixel.localhost", True, (200, *suspended)),
            "rough pool": (self.tolerated, "rough.localhost", False, rough),
            "rough pool, the same": (self.tolerated, "rough.localhost", False, rough),
            "bad requests": (self.bad, "acme.localhost"), "slowloris": (self.slowloris, "acme.localhost"),
            "aborted": (self.aborted, "acme.localhost", False), "aborted TLS": (self.aborted, "globex.localhost", True),
            "aborted, rough pool": (self.aborted, "rough.localhost", False),
        }
        return {name: (row[0], row[1:]) for name, row in rows.items()}


def drive(name, function, arguments, seed, stop, counts, failures):
    """Runs one client over and over; what goes wrong is told with its details."""
    rng = random.Random(seed)
    while not stop.is_set():
        try:
            for _ in function(rng, *arguments):
                counts[name] += 1
                if stop.is_set() and name.startswith(("slowloris",)):
                    break
        except Exception as error:  # noqa: BLE001: whatever it is, it was not expected
            failures.append((name, f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}"))
        time.sleep(rng.random() * 0.02)
