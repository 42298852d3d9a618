"""Endurance: everything at once for a while, then nothing, and the gate must be as it was.

soak.py SECONDS. GATEHOUSE_BINARY names the program; with GATEHOUSE_SLOW it is one with a sanitizer, whose memory is not
judged and whose complaints fail the run. A part of the time is the warm-up, after which the baseline
is taken (of memory: halfway through the rest); the same mix then goes on. Exit code 1 when a well-behaved request
failed or something was not given back. Memory is judged in runs of a minute and more.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "e2e"))

from clients import Clients, drive  # noqa: E402
from kit.certs import make_dev_certs  # noqa: E402
from kit.gate import Gate, until  # noqa: E402
from kit.client import Client  # noqa: E402
from kit.ports import free_port  # noqa: E402
from kit.redis import Redis  # noqa: E402

hosts = ["acme.localhost", "globex.localhost", "pixel.localhost", "tight.localhost", "mended.localhost", "rough.localhost"]
gauges = ["connections", "requests", "handshakes", "tunnels", "buffers", "coroutines", "upstream_connections"]
quiet_limit_s = 20
rss_slack = 0.15
rss_slack_bytes = 8 << 20
rss_judged_from_s = 60     # in a shorter run the allocator has not come to its plateau
databases_open, descriptors_a_database = 32, 3   # tenant_dbs::most_open


class Application:
    def __init__(self, kind):
        self.kind, self.port = kind, free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, str(here / "application.py"), str(self.port), self.kind])
        until(lambda: Client(self.port).close() is None, 20)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def drop_idle(self):
        self.process.send_signal(signal.SIGUSR1)


def tenants():
    return {
        "acme": {"name": "Acme", "pool": "main"},
        "globex": {"name": "Globex", "pool": "main"},
        "mended": {"name": "Broken at times", "pool": "main"},
        "pixel": {"name": "Suspended at times", "pool": "main"},
        "tight": {"name": "Tight", "pool": "main", "limits": {"rate": "20/s", "burst": 5, "concurrency": 2}},
        "rough": {"name": "Rough", "pool": "rough"},
    }


class Soak:
    def __init__(self, folder, seconds):
        self.seconds = seconds
        self.counts, self.failures, self.changes = {}, [], {}
        self.applications = {kind: Application(kind.split(",")[0]) for kind in
                             ("good", "good, restarted", "good, killed", "stalls", "garbage")}
        at = {kind: {"address": a.address} for kind, a in self.applications.items()}
        self.pools = {
            "main": {"endpoints": [at["good"], at["good, restarted"]], "slow_start": "200ms",
                     "health": {"path": "/healthz", "interval": "200ms", "timeout": "5s"}},
            "rough": {"endpoints": [at["good, killed"], at["stalls"], {**at["garbage"], "max_connections": 4, "max_pending": 4}]},
        }
        timeouts = {"tls_handshake": "3s", "request_head": "2s", "request_body_idle": "10s", "keep_alive": "20s", "connect": "2s",
                    "upstream_head": "5s", "upstream_body_idle": "5s"}
        certs = make_dev_certs(folder / "certs", hosts)
        self.redis = Redis(folder / "redis").start()
        key = folder / "eu-west.key"
        key.write_text("5a" * 32 + "\n")
        key.chmod(0o600)
        self.gate = Gate(folder / "gate", self.pools, tenants(), certs=certs, settings={
            "timeouts": timeouts, "registry": {"redis": {"url": self.redis.url}}, "regions": {"eu-west": {"key_file": str(key)}}})
        self.ca = certs / "ca.pem"

    # --- what changes meanwhile; each is called over and over, with the number of the call ---
    def reloads(self, turn):
        self.gate.settings["plans"] = {"free": {}, "other": {"rate": f"{turn + 1}/s"}}
        self.gate.settings["pools"].pop("spare", None)
        if turn % 2:
            self.gate.settings["pools"]["spare"] = self.pools["rough"]
        self.gate.write_settings()
        self.gate.signal(signal.SIGHUP)

    def log_rotations(self, turn):
        log = self.gate.folder / "access.log"
        log.rename(log.with_suffix(".old"))
        self.gate.signal(signal.SIGUSR1)
        until(log.exists, 10)

    def tenant_files(self, turn):
        ordinary = tenants()
        self.gate.write_tenant("mended", "broken = " if turn % 2 else ordinary["mended"])
        self.gate.write_tenant("pixel", {**ordinary["pixel"], "state": ("active", "suspended")[turn // 2 % 2]})
        self.gate.write_tenant("acme", {**ordinary["acme"], "context": {"turn": str(turn)}})
        self.gate.write_tenant(f"passing{turn % 50}", {"name": f"number {turn}", "pool": "main"})
        (self.gate.tenants_dir / f"passing{(turn + 25) % 50}.toml").unlink(missing_ok=True)

    def api_tenants(self, turn):
        """The life of a tenant by the API: made, changed, suspended, back, gone."""
        id_ = f"made{turn % 4}"   # each has a database, which stays open for a while

        def ask(method, path, wanted, body=None):
            status, text, _ = self.gate.admin(method, path, body=None if body is None else json.dumps(body),
                                              fields={"Content-Type": "application/json"} if body is not None else {}, timeout=30)
            assert status == wanted, (method, path, status, text)

        ask("POST", "/v1/tenants", 201, {"id": id_, "pool": "main", "hosts": [f"{id_}.example"]})
        ask("PATCH", f"/v1/tenants/{id_}", 200, {"name": f"number {turn}", "limits": {"rate": f"{turn + 1}/s"}})
        ask("POST", f"/v1/tenants/{id_}/suspend", 200, {"reason": "billing"})
        ask("POST", f"/v1/tenants/{id_}/reactivate", 200)
        ask("DELETE", f"/v1/tenants/{id_}?grace=0s", 202)
        until(lambda: '"removed":true' in self.gate.admin("GET", f"/v1/tenants/{id_}", timeout=20)[1], 20, 0.1)

    def redis_freezes(self, turn):
        """Stands still as one does on a machine that swaps; every third time it is gone, and comes back empty."""
        if turn % 3 == 2:
            self.redis.kill()
            time.sleep(0.5)
            self.redis.start()
        else:
            self.redis.freeze()
            time.sleep(1.5)
            self.redis.thaw()

    def change_endpoint(self, application, verb):
        address = urllib.parse.quote(application.address, safe="")
        status, text, _ = self.gate.admin("POST", f"/v1/pools/main/endpoints/{address}/{verb}", timeout=20)
        assert status == 200, text

    def endpoint(self, application, pool="main"):
        rows = self.gate.admin_json(f"/v1/pools/{pool}")["endpoints"]
        return next(e for e in rows if e["address"] == application.address)

    def restarts(self, turn):
        """As an operator does it, so that no client notices: drained, ended, started, enabled."""
        application = self.applications["good, restarted"]
        self.change_endpoint(application, "drain")
        until(lambda: self.endpoint(application)["in_flight"] == 0, 60, 0.1)
        application.kill()
        application.start()
        self.change_endpoint(application, "enable")     # what its health checks found down stays out until they find it well

    def kills(self, turn):
        self.applications["good, killed"].kill()
        time.sleep(0.5)
        self.applications["good, killed"].start()

    def looks(self, turn):
        for path in ("/metrics", "/v1/pools", "/v1/tenants", "/v1/node"):
            status, text, _ = self.gate.admin("GET", path, timeout=20)
            assert status == 200, (path, text)

    # --- load ---
    def change(self, function, pause_s, stop):
        name = function.__name__
        self.changes.setdefault(name, 0)
        while not stop.wait(pause_s):
            try:
                function(self.changes[name])
            except Exception as error:  # noqa: BLE001: as with the clients
                self.failures.append((name, f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}"))
            self.changes[name] += 1

    def load(self, seconds):
        stop, stop_changes = threading.Event(), threading.Event()
        clients = Clients(self.gate, self.ca, stop)
        threads = []
        for seed, (name, (function, arguments)) in enumerate(clients.mix().items()):
            self.counts.setdefault(name, 0)
            threads.append(threading.Thread(target=drive, args=(name, function, arguments, seed, stop, self.counts, self.failures)))
        changing = [threading.Thread(target=self.change, args=(f, min(pause, self.seconds / 12), stop_changes)) for f, pause in
                    ((self.reloads, 1), (self.log_rotations, 3), (self.tenant_files, 0.3), (self.restarts, 4), (self.kills, 7),
                     (self.looks, 0.5), (self.api_tenants, 1), (self.redis_freezes, 5))]
        for t in threads + changing:
            t.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.gate.alive():
            time.sleep(0.2)
        # Changes end first, and leave all as it was before them.
        stop_changes.set()
        for t in changing:
            t.join()
        stop.set()
        for t in threads:
            t.join(120)
            assert not t.is_alive(), "a client hangs"
        for i in range(50):
            (self.gate.tenants_dir / f"passing{i}.toml").unlink(missing_ok=True)
        for id_, table in tenants().items():
            self.gate.write_tenant(id_, table)
        self.gate.settings["pools"].pop("spare", None)
        self.gate.settings["plans"] = {"free": {}}
        self.gate.write_settings()
        # So many files that go at once would be held back.
        status, text, _ = self.gate.admin("POST", "/v1/reload?force=1", timeout=20)
        assert status == 200, text

    # --- what is there when nothing is asked ---
    def numbers(self):
        _, text, _ = self.gate.admin("GET", "/metrics")
        found = dict(re.findall(r"^gatehouse_(\w+) ([0-9.e+]+)$", text, re.M))
        seen = {name: int(float(found[name])) for name in gauges}
        for pool in ("main", "rough"):
            for e in self.gate.admin_json(f"/v1/pools/{pool}")["endpoints"]:
                for key in ("in_flight", "connections", "pending"):
                    seen[f"endpoints' {key}"] = seen.get(f"endpoints' {key}", 0) + e[key]
        seen["tenants"] = int(found["tenants"])
        return seen

    def quiet(self):
        """Waits until nothing is open, then what /proc says."""
        end = time.monotonic() + quiet_limit_s
        seen = self.numbers()
        while any(n for name, n in seen.items() if name != "tenants") or seen["tenants"] != len(tenants()):
            if time.monotonic() > end:
                break
            # Each time: the last exchanges may park their connections after the first drop, for a minute.
            for application in self.applications.values():
                application.drop_idle()
            time.sleep(0.3)
            seen = self.numbers()
        status = pathlib.Path(f"/proc/{self.gate.process.pid}/status").read_text()
        # A health check may be under way: the least of some looks.
        seen["descriptors"] = min(self.gate.open_files() for _ in range(20) if time.sleep(0.05) is None)
        seen["threads"] = int(re.search(r"^Threads:\s+(\d+)", status, re.M)[1])
        seen["memory"] = self.gate.rss_bytes()
        return seen

    def run(self):
        with self.gate:
            warm_up_s = min(60.0, self.seconds / 3)
            self.load(warm_up_s)
            before = self.quiet()
            half_s = (self.seconds - warm_up_s) / 2
            self.load(half_s)
            halfway = self.quiet()
            self.load(half_s)
            after = self.quiet()
            _, metrics, _ = self.gate.admin("GET", "/metrics")
            alive = self.gate.alive()
        return before, halfway, after, metrics if alive else ""

    def end(self):
        for application in self.applications.values():
            application.kill()
        self.redis.kill()


def left_over(before, halfway, after, seconds):
    found = []
    for name, now in after.items():
        allowed = before[name]
        if name == "memory":
            if seconds < rss_judged_from_s or os.environ.get("GATEHOUSE_SLOW"):
                continue
            allowed = halfway[name] + max(halfway[name] * rss_slack, rss_slack_bytes)
        elif name == "descriptors":
            # Databases of tenants stay open, up to a bound that a short run does not come to.
            allowed = halfway[name] if seconds >= rss_judged_from_s else before[name] + databases_open * descriptors_a_database
        elif name not in ("threads", "tenants"):
            allowed = 0
        if now > allowed:
            found.append(f"{name}: {now}, at most {int(allowed)} expected")
    return found


def first_of_each(failures):
    """Three of each client or change at most: one that fails always must not hide the others."""
    seen, found = {}, []
    for name, text in failures:
        seen[name] = seen.get(name, 0) + 1
        if seen[name] <= 3:
            found.append(f"{name}: {text}")
    return found + [f"{name}: {n} times" for name, n in seen.items() if n > 3]


def report(soak, before, halfway, after, metrics):
    print(f"soak of {soak.seconds:g} s")
    for title, rows in (("done", soak.counts), ("changed", soak.changes)):
        print(title)
        for name, n in rows.items():
            print(f"  {n:8} {name}")
    print("answered")
    for kind, n in re.findall(r'^gatehouse_responses_total\{class="(\w+)"\} (\S+)$', metrics, re.M):
        print(f"  {int(float(n)):8} {kind}")
    for kind in ("requests_total", "retries_total", "upstream_connects_total", "connections_accepted_total", "tunnels_total"):
        n = re.search(rf"^gatehouse_{kind} (\S+)$", metrics, re.M)
        print(f"  {int(float(n[1])) if n else 0:8} {kind}")
    print(f"quiet {'after warm-up':>30} {'halfway':>12} {'at the end':>12}")
    for name in after:
        print(f"  {name:24} {before[name]:10} {halfway[name]:12} {after[name]:12}")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-soak-"))
    soak = Soak(folder, seconds)
    try:
        before, halfway, after, metrics = soak.run()
    finally:
        soak.end()
    report(soak, before, halfway, after, metrics)
    wrong = first_of_each(soak.failures) + left_over(before, halfway, after, seconds)
    wrong += [f"nothing was done by {name}" for name, n in {**soak.counts, **soak.changes}.items() if n == 0]
    for line in wrong:
        print("FAILED", line)
    if wrong:
        print(f"{len(soak.failures)} failures in all; the gate's files are in {folder}")
        (folder / "stderr.log").write_text(soak.gate.stderr())
    else:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
