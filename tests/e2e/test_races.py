"""Four workers under load while everything that can change does: for ThreadSanitizer, and no answer may be lost."""
import os
import signal
import ssl
import threading
import time
import urllib.parse

from kit import websocket as ws
from kit.certs import file_name
from kit.client import request
from kit.http_message import ProtocolError
from kit.ports import free_port
from kit.upstream import ScriptedUpstream

slow = bool(os.environ.get("GATEHOUSE_SLOW"))
load_s = 15.0 if slow else 5.0
patient = {"request_head": "20s", "request_body_idle": "20s", "tls_handshake": "20s", "connect": "20s",
           "upstream_head": "20s", "upstream_body_idle": "20s", "drain": "3s"}


class Load:
    """Clients that know the order of their answers. Until `stopping` any loss is a failure; after it a
    connection may end between two answers, but not within one."""

    def __init__(self, gate, ca):
        self.gate, self.ca = gate, ca
        self.stopping, self.ended = threading.Event(), threading.Event()
        self.failures, self.answers, self._threads = [], {}, []

    def start(self, name, ask, *args):
        self.answers[name] = 0

        def run():
            number = 0
            while not self.ended.is_set() and not self.stopping.is_set():
                try:
                    for _ in ask(*args, number):
                        number += 1
                        self.answers[name] += 1
                except (ConnectionError, ssl.SSLError) as error:
                    if not self.stopping.is_set():
                        self.failures.append((name, number, repr(error)))
                except (ProtocolError, AssertionError, OSError) as error:
                    self.failures.append((name, number, repr(error)))
                    return

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def join(self):
        self.ended.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client hangs"

    def connect(self, host, tls):
        return self.gate.tls_client(host, self.ca, timeout=20) if tls else self.gate.client(timeout=20)

    @staticmethod
    def moved(answer):
        """The floor for TLS versions has changed since this connection's handshake: another is wanted."""
        if answer.status != 421:
            return False
        assert answer.json()["type"] == "urn:gatehouse:misdirected" and answer.fields.get("connection") == "close", answer
        return True

    def requests(self, host, tls, number):
        """Three at a time on one connection, some with a body; each answer names its request."""
        with self.connect(host, tls) as client:
            for _ in range(20):
                batch = [f"/r?{host}-{number + i}" for i in range(3)]
                body = b"x" * (number % 3000)
                client.send(b"".join(request(target, host, method="POST", body=body) for target in batch))
                for target in batch:
                    got = client.reader.response()
                    if got is None:
                        assert self.stopping.is_set(), "closed without an answer"
                        return
                    if tls and self.moved(got):
                        return
                    assert got.status == 200, got
                    assert got.json()["target"] == target and got.json()["body"] == body.decode()
                    number += 1
                    yield got
                    if got.fields.get("connection") == "close":
                        assert self.stopping.is_set(), "the connection ended for no reason"
                        return
                if self.ended.is_set():
                    return

    def tunnel(self, host, number):
        with self.connect(host, tls=True) as client:
            client.send(ws.upgrade_request("/ws", host))
            answer = client.reader.response()
            if answer is not None and self.moved(answer):
                return
            if answer is None or answer.fields.get("connection") == "close":
                assert self.stopping.is_set(), answer
                return
            assert answer.status == 101, answer
            for i in range(50):
                text = b"%d" % (number + i)
                client.send(ws.frame(text))
                try:
                    assert ws.read_frame(client.reader) == (1, text)
                except ProtocolError:
                    assert self.stopping.is_set(), "the tunnel ended"
                    return
                yield text
                if self.ended.is_set():
                    return


class Changes:
    """One kind of change a thread, over and over until told to stop."""

    def __init__(self, gate):
        self.gate, self.stop, self.failures, self.counts, self._threads = gate, threading.Event(), [], {}, []

    def start(self, change, pause):
        name = change.__name__
        self.counts[name] = 0

        def run():
            while not self.stop.is_set():
                try:
                    change(self.counts[name])
                    self.counts[name] += 1
                except Exception as error:  # noqa: BLE001: whatever it is, it was not expected
                    self.failures.append((name, repr(error)))
                    return
                self.stop.wait(pause)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def end(self):
        self.stop.set()
        for thread in self._threads:
            thread.join()


def test_everything_changes_under_load(build, dev_certs):
    a, b = ScriptedUpstream("a"), ScriptedUpstream("b")
    for upstream in (a, b):
        upstream.on("/ws", ws.echo_upstream)
    tenants = {"acme": {"name": "Acme", "pool": "main"}, "globex": {"name": "Globex", "pool": "second"},
               "pixel": {"name": "Pixel", "pool": "main"}}
    both = [{"address": a.address}, {"address": b.address}]
    world = build(tenants=tenants, certs=dev_certs, upstream=a, pools={"main": {"endpoints": both, "slow_start": "100ms"},
                                                                     "second": {"endpoints": both[:1]}},
                  settings={"node": {"workers": 4}, "timeouts": patient})
    gate = world.gate
    spare_port = free_port()
    settings = gate.settings
    listeners = list(settings["listener"])
    spare = {"address": f"127.0.0.1:{spare_port}", "tls": True}

    def tenant_files(turn):
        churn = f"churn{turn % 5}"
        if turn % 4 == 3:
            (gate.tenants_dir / f"{churn}.toml").unlink(missing_ok=True)
        else:
            gate.write_tenant(churn, "broken = " if turn % 4 == 2 else {"name": churn, "pool": "main"})
        gate.write_tenant("acme", {**tenants["acme"], "context": {"turn": str(turn)}, "limits": {"concurrency": 200 + turn % 2}})
        gate.write_tenant("globex", {**tenants["globex"], "pool": ("second", "main")[turn % 2]})

    def certificates(turn):
        host = ("acme.localhost", "globex.localhost")[turn % 2]
        text = (gate.certs_dir / file_name(host)).read_text()
        gate._put(gate.certs_dir / file_name(host), text)

    def reloads(turn):
        settings["pools"]["main"] = {"endpoints": both if turn % 3 else both[:1], "slow_start": "100ms",
                                     **({"health": {"path": "/healthz", "interval": "50ms"}} if turn % 2 else {})}
        settings["pools"].pop("extra", None)
        if turn % 2:
            settings["pools"]["extra"] = {"endpoints": both[1:]}
        settings["plans"] = {"free": {"concurrency": 1000 + turn}, "pro": {}}
        settings["listener"] = listeners + ([spare] if turn % 2 else [])
        settings["tls"]["min_version"] = ("1.2", "1.3")[turn % 2]
        gate.write_settings()
        gate.signal(signal.SIGHUP)

    def drains(turn):
        verb = ("drain", "enable")[turn % 2]
        address = urllib.parse.quote(b.address, safe="")
        status, text, _ = gate.admin("POST", f"/v1/pools/main/endpoints/{address}/{verb}", timeout=30)
        assert status in (200, 404), (status, text)     # not there while a reload left it out

    def looks(turn):
        path = ("/metrics", "/v1/pools", "/v1/tenants", "/v1/node", "/v1/certificates")[turn % 5]
        status, text, _ = gate.admin("GET", path, timeout=30)
        assert status == 200, (path, status, text)

    def log_files(turn):
        gate.signal(signal.SIGUSR1)

    load = Load(gate, dev_certs / "ca.pem")
    changes = Changes(gate)
    try:
        for i in range(3):
            load.start(f"plain {i}", load.requests, "acme.localhost", False)
            load.start(f"TLS {i}", load.requests, ("globex.localhost", "pixel.localhost")[i % 2], True)
        for i in range(2):
            load.start(f"tunnel {i}", load.tunnel, "acme.localhost")
        for change, pause in ((tenant_files, 0.02), (certificates, 0.1), (reloads, 0.15), (drains, 0.05), (looks, 0.02),
                              (log_files, 0.1)):
            changes.start(change, pause)
        time.sleep(load_s)
        changes.end()
        load.stopping.set()
        gate.stop(wait=20)     # clients go on asking: exit code 0, and nothing from a sanitizer
    finally:
        changes.end()
        load.stopping.set()
        load.join()
        b.stop()
    print(f"answers {load.answers}, changes {changes.counts}")
    assert not load.failures, load.failures[:5]
    assert not changes.failures, changes.failures
    assert min(load.answers.values()) > 20, load.answers
    assert min(changes.counts.values()) > 3, changes.counts
