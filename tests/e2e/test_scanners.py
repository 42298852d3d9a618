"""The tools with which others look at a gate: testssl.sh and sslscan on the demo, slowhttptest in its four modes on one with a larger page."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from kit.certs import Authority
from kit.gate import Gate, binary, metric, until
from kit.ports import free_port
from kit.upstream import ScriptedUpstream, ok

root = pathlib.Path(__file__).resolve().parents[2]
host = "localhost"   # what slowhttptest can look up
demo_host = "acme.localhost"
page = b"x" * 100_000

# Of testssl.sh, above LOW, and why each is none here.
expected = {
    "cert_revocation": "a certificate of a private CA, which nobody revokes",
    "security_headers": "the application's to send; Strict-Transport-Security is the tenant's",
    "engine_problem": "of the machine's own openssl",
    "cert_trust": "the CA is added for the chain; the tool asks its own stores too",
}

needs = {"testssl.sh": "testssl", "sslscan": "sslscan", "slowhttptest": "slowhttptest"}


def tool(package):
    found = shutil.which(needs[package])
    assert found, f"{package} is missing: scripts/install-deps scan"
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The HTTPS port of the demo, as scripts/demo starts it; only its ports are others."""
    said = tmp_path_factory.mktemp("demo") / "said"
    names = ("HTTPS", "HTTP", "ADMIN", "STOREFRONT", "API")
    ports = {f"GATEHOUSE_DEMO_{name}_PORT": str(free_port()) for name in names}
    preset = pathlib.Path(binary()).resolve().parent.name
    with said.open("w") as out:
        process = subprocess.Popen([root / "scripts/demo", "--no-install"], env=os.environ | ports | {"GATEHOUSE_DEMO_PRESET": preset},
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    https = ports["GATEHOUSE_DEMO_HTTPS_PORT"]
    try:
        until(lambda: "== Running" in said.read_text() or process.poll() is not None, 120)
        assert process.poll() is None, said.read_text()
        yield int(https)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(root / f"build/demo-{https}", ignore_errors=True)


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    certs = folder / "certs"
    certs.mkdir()
    Authority(folder / "ca").leaf([host], days=90, out=certs / f"{host}.pem").chmod(0o600)
    upstream = ScriptedUpstream()
    upstream.default = ok(page)
    # Deadlines as they are by default; one address makes all of these connections.
    made = Gate(folder / "gate", {"main": [upstream.address]}, {"acme": {"pool": "main", "hosts": [host], "hsts": "180d"}},
                {"platform": {"domain": "apps.example"}, "timeouts": {"request_head": "10s", "request_body_idle": "30s"}}, certs=certs)
    with made:
        yield made
    upstream.stop()


def test_testssl_finds_nothing_above_low(demo, tmp_path):
    out = tmp_path / "found.json"
    # What is offered and how it is chosen, the certificate, and what is known against servers. Not: what old browsers would get.
    ran = subprocess.run([tool("testssl.sh"), "--quiet", "--color", "0", "--warnings", "off", "--add-ca", str(root / "certs/out/ca.pem"),
                          "--ip", "127.0.0.1", "--protocols", "--server-preference", "--fs", "--server-defaults", "--headers", "--vulnerable",
                          "--jsonfile", str(out), f"https://{demo_host}:{demo}/"],
                         capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    assert out.exists(), ran.stdout + ran.stderr
    found = json.loads(out.read_text())
    grave = {f["id"]: f for f in found if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")}
    assert set(grave) <= set(expected), [f for id_, f in grave.items() if id_ not in expected]
    # That it looked.
    severity = {f["id"]: (f["severity"], f["finding"]) for f in found}
    assert severity["TLS1_2"][0] == "OK" and severity["TLS1_3"][0] == "OK" and severity["heartbleed"][0] == "OK"
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert "not offered" in severity[old][1], severity[old]


def test_sslscan_sees_what_is_meant_to_be_there(demo, tmp_path):
    out = tmp_path / "found.xml"
    subprocess.run([tool("sslscan"), f"--xml={out}", f"--sni-name={demo_host}", f"127.0.0.1:{demo}"], check=True, capture_output=True, timeout=120)
    scan = xml.etree.ElementTree.parse(out).getroot().find("ssltest")
    offered = {(p.get("type"), p.get("version")) for p in scan.findall("protocol") if p.get("enabled") == "1"}
    assert offered == {("tls", "1.2"), ("tls", "1.3")}
    suites = [c.get("cipher") for c in scan.findall("cipher")]
    assert len(suites) >= 5 and all(s.startswith(("TLS_", "ECDHE-ECDSA-", "ECDHE-RSA-")) and re.search("GCM|CHACHA20", s) for s in suites), suites
    assert all(h.get("vulnerable") == "0" for h in scan.findall("heartbleed"))
    assert scan.find("renegotiation") is None or scan.find("renegotiation").get("secure") == "1" or scan.find("renegotiation").get("supported") == "0"
    assert all(c.get("supported") == "0" for c in scan.findall("compression"))


class Visitor(threading.Thread):
    """Asks again and again on connections of its own, as a visitor would meanwhile."""

    def __init__(self, gate):
        super().__init__(daemon=True)
        self.gate, self.over, self.answers, self.longest, self.wrong = gate, threading.Event(), 0, 0.0, []
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            begun = time.monotonic()
            try:
                with self.gate.client(timeout=10) as client:
                    answer = client.get("/", host=host)
                if answer.status != 200 or answer.body != page:
                    self.wrong.append(answer.status)
                self.answers += 1
            except Exception as error:   # noqa: BLE001: whatever a visitor suffers
                self.wrong.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - begun)

    def stop(self):
        self.over.set()
        self.join()


# Each for 20 s with 500 connections, opened 200 a second.
modes = {
    "slow heads": ["-H", "-i", "3"],
    "slow bodies": ["-B", "-i", "3"],
    "ranges": ["-R", "-t", "HEAD"],
    "slow readers": ["-X", "-k", "2", "-n", "2", "-z", "10", "-w", "10", "-y", "100"],
}


@pytest.mark.parametrize("name", modes)
def test_a_visitor_is_served_meanwhile(gate, tmp_path, name):
    visitor = Visitor(gate)
    ran = subprocess.run([tool("slowhttptest"), "-c", "500", "-r", "200", "-l", "20", "-p", "5", "-v", "1", "-g", "-o", str(tmp_path / "seen"), *modes[name],
                          "-u", f"http://{host}:{gate.port}/"], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    visitor.stop()
    rows = [line.split(",") for line in (tmp_path / "seen.csv").read_text().splitlines()[1:] if line]
    assert rows, ran.stdout + ran.stderr
    # Its own probe reached the gate at every second, and so did the visitor, each time whole.
    assert all(int(row[4]) > 0 for row in rows), rows
    assert not visitor.wrong and visitor.answers > 20, (visitor.answers, visitor.wrong[:5])
    assert max(int(row[3]) for row in rows) > 20 or int(rows[-1][1]) > 100, rows   # that there was an attack
    until(lambda: metric(gate, "gatehouse_connections") <= 5, 30, pause=0.2)   # the tool has gone; nothing of it is left
