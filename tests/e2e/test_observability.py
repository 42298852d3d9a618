"""What an operator watches: /metrics by Prometheus' own tools, the alert rules and the dashboard against a real Prometheus,
slo of plans, counters that never fall, one request followed through all of it."""
import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from kit.client import Client
from kit.gate import metric, until
from kit.ports import free_port
from kit.terminal import slow
from kit.upstream import ok

root = pathlib.Path(__file__).resolve().parents[2]
folder = root / "conf/observability"
rules = folder / "rules.yml"
dashboard = json.loads((folder / "grafana-dashboard.json").read_text())
alerts = re.findall(r"^ +- alert: (\w+)$", rules.read_text(), re.MULTILINE)


def scrape(gate):
    """series -> value of all that only grow."""
    status, text, _ = gate.admin("GET", "/metrics", token=None)
    assert status == 200
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))

    def grows(name):
        return types.get(name) == "counter" or types.get(re.sub(r"_(bucket|sum|count)$", "", name)) == "histogram"

    return {name + labels: float(value) for name, labels, value in re.findall(r"^(\w+)(\{.*\})? (\S+)$", text, re.MULTILINE) if grows(name)}


def promtool(*arguments, stdin=None, cwd=None):
    return subprocess.run(["promtool", *map(str, arguments)], input=stdin, cwd=cwd, capture_output=True, text=True, timeout=60 * slow)


# --- the rules by themselves ---

def test_each_alert_fires_where_it_should():
    file = root / "tests/observability/rules_test.yml"
    assert promtool("check", "rules", rules).returncode == 0
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    fire = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", file.read_text()))
    stays_quiet = set(re.findall(r"- \{ eval_time: \w+, alertname: (\w+) \}", file.read_text()))
    assert len(alerts) > 20 and fire == stays_quiet == set(alerts)


def test_the_sample_configuration_is_valid():
    checked = promtool("check", "config", folder / "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


# --- against a node ---

@pytest.fixture(scope="module")
def watched(build, dev_certs, tmp_path_factory):
    """A node that publishes into Redis and has seen a bit of everything, so that each of its series is there."""
    from kit.redis import Redis
    home = tmp_path_factory.mktemp("watched")
    key = home / "eu-west.key"
    key.write_text("5a" * 32 + "\n")
    key.chmod(0o600)
    with Redis(home / "redis") as redis:
        world = build(certs=dev_certs, start=False,
                      settings={"registry": {"redis": {"url": redis.url}}, "regions": {"eu-west": {"key_file": str(key)}},
                                "plans": {"pro": {"slo": {"availability": "99.9%", "latency": "500ms"}}}},
                      tenants={"acme": {"pool": "main", "plan": "pro"}, "used": {"pool": "main", "limits": {"quota": "1/month"}}})
        world.upstream.on("/fails", ok(b"", status=b"500 Broken"))
        world.gate.start()
        for path in ("/", "/fails"):
            world.get(path)
        for _ in range(2):
            world.get("/", "used.localhost")
            with Client(world.gate.tls_port, tls={"sni": "acme.localhost"}) as client:
                assert client.get("/").status == 200
        until(lambda: "gatehouse_quota_used_ratio{" in world.gate.admin("GET", "/metrics")[1], 5 * slow)
        yield world
        world.gate.stop()


def test_promtool_finds_nothing_to_say_of_the_metrics(watched):
    text = watched.gate.admin("GET", "/metrics", token=None)[1]
    checked = promtool("check", "metrics", stdin=text)
    assert checked.returncode == 0 and checked.stdout + checked.stderr == ""
    assert promtool("check", "metrics", stdin=text + "# TYPE wrong counter\nwrong 1\n").returncode != 0


class Prometheus:
    """A real one that scrapes `gate` every second and evaluates the rules as they stand."""

    def __init__(self, home, gate):
        self.home, self.port = pathlib.Path(home), free_port()
        shutil.copy(rules, self.home)
        config = (folder / "prometheus.yml").read_text()
        assert '"127.0.0.1:9900"' in config and config.count("15s") == 2
        (self.home / "prometheus.yml").write_text(
            config.replace("127.0.0.1:9900", f"127.0.0.1:{gate.admin_port}").replace("15s", "1s"))

    def __enter__(self):
        self.log = open(self.home / "prometheus.log", "w")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{self.port}"],
            cwd=self.home, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10 * slow)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:   # it is still starting
                raise
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def all_rules(self):
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module")
def prometheus(watched, tmp_path_factory):
    with Prometheus(tmp_path_factory.mktemp("prometheus"), watched.gate) as server:
        until(lambda: server.ask("query", query="gatehouse_plan_failed_total")["result"], 20 * slow)
        yield server


def names_in(expression):
    return set(re.findall(r"\bgatehouse[_:][a-z0-9_:]+", expression)) - {"gatehouse"}


def test_each_rule_is_evaluated_over_metrics_that_exist(watched, prometheus):
    until(lambda: all(rule["health"] == "ok" for rule in prometheus.all_rules()), 20 * slow)
    found = prometheus.all_rules()
    assert {rule["name"] for rule in found if rule["type"] == "alerting"} == set(alerts)
    recorded = {rule["name"] for rule in found if rule["type"] == "recording"}
    there = set(prometheus.ask("label/__name__/values")) | recorded
    for rule in found:
        prometheus.ask("query", query=rule["query"])
        assert names_in(rule["query"]) <= there, rule["name"]
        assert names_in(rule["query"]) or "up{" in rule["query"], rule["name"]
    firing = {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"}
    assert firing <= {"GatehouseQuotaNearlyUsed", "GatehouseCertificateInUseEnds", "GatehousePlanBurnsFast", "GatehousePlanBurns",
                      "GatehousePlanBurnsSlowly"}


def test_alerts_fire_from_a_real_scrape(watched, prometheus):
    """The quota is used up, and a plan's requests fail: both are told without waiting for a threshold in time."""
    def firing():
        watched.get("/fails")
        return {(alert["labels"]["alertname"], alert["labels"].get("plan", alert["labels"].get("tenant")))
                for alert in prometheus.ask("alerts")["alerts"] if alert["state"] == "firing"}

    until(lambda: {("GatehouseQuotaNearlyUsed", "used"), ("GatehousePlanBurnsFast", "pro")} <= firing(), 30 * slow, pause=0.3)


def test_each_panel_of_the_dashboard_asks_for_what_exists(watched, prometheus):
    there = set(prometheus.ask("label/__name__/values")) | {rule["name"] for rule in prometheus.all_rules()}
    expressions = 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            assert "$" not in expression
            prometheus.ask("query", query=expression)
            unknown = {name for name in names_in(expression) if re.sub(r"_bucket$", "", name) + "_bucket" not in there and name not in there}
            assert not unknown, f"{panel['title']}: {unknown}"
            labels = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
            grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression)))) or labels
            assert labels <= grouped, panel["title"]
            expressions += 1
    assert expressions > 50
    assert names_in(dashboard["templating"]["list"][1]["definition"]) <= there


# --- slo ---

def plan(gate, kind, name="pro"):
    return int(metric(gate, f'gatehouse_plan_{kind}_total{{plan="{name}"}}'))


def test_a_plan_counts_what_it_promised(build):
    world = build(settings={"plans": {"pro": {"slo": {"availability": "99%", "latency": "2s"}}, "free": {}},
                            "timeouts": {"upstream_head": "5s", "request_body_idle": "6s"}},
                  tenants={"acme": {"pool": "main", "plan": "pro", "routes": [{"path": "/none", "limits": {"rate": "1/d", "burst": 1}}, {"path": "/"}]},
                           "shut": {"pool": "main", "plan": "pro", "state": "suspended", "reason": "maintenance"},
                           "other": {"pool": "main"}})
    gate, upstream = world.gate, world.upstream
    upstream.on("/late", lambda conn, request: (time.sleep(2.5), ok()(conn, request))[1])
    upstream.on("/broken", ok(b"", status=b"503 Busy"))
    upstream.on("/silent", lambda conn, request: time.sleep(7))

    def counted(*expected):
        """Waits: a request is counted after its client has the last byte."""
        kinds = ("requests", "failed", "slow")
        until(lambda: tuple(plan(gate, kind) for kind in kinds) == expected, 5 * slow)
        return True

    assert counted(0, 0, 0)
    assert world.get("/").status == 200 and counted(1, 0, 0)
    assert world.get("/late").status == 200 and counted(2, 0, 1)
    assert world.get("/broken").status == 503 and counted(3, 1, 1)
    assert world.get("/silent").status == 504 and counted(4, 2, 1)
    # Who is over a limit, suspended or in maintenance is promised nothing.
    assert world.get("/none").status == 200 and counted(5, 2, 1)
    assert world.get("/none").status == 429 and world.get("/", "shut.localhost").status == 503
    assert counted(5, 2, 1)
    # A body that arrives slowly is its client's.
    with world.client() as client:
        client.send(b"POST /up HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 4\r\n\r\nab")
        time.sleep(2.5)
        client.send(b"cd")
        assert client.response().status == 200
    assert counted(6, 2, 1)
    assert world.get("/", "other.localhost").status == 200
    until(lambda: plan(gate, "requests", "free") == 1, 5 * slow)
    text = gate.admin("GET", "/metrics")[1]
    assert metric(gate, 'gatehouse_plan_slo_availability_ratio{plan="pro"}') == 0.99
    assert metric(gate, 'gatehouse_plan_slo_latency_seconds{plan="pro"}') == 2
    assert 'gatehouse_plan_slo_availability_ratio{plan="free"}' not in text

    # What a plan promises is in force with the reload, and what was counted stays.
    gate.settings["plans"]["pro"]["slo"] = {"availability": "99.95%", "latency": "5s"}
    gate.write_settings()
    assert gate.run("reload", "--admin", f"127.0.0.1:{gate.admin_port}", "--token-file", "admin.token").returncode == 0
    assert world.get("/late").status == 200 and counted(7, 2, 1)
    assert metric(gate, 'gatehouse_plan_slo_availability_ratio{plan="pro"}') == 0.9995
    shown = gate.run("tenant", "show", "acme", "--effective", "--admin", f"127.0.0.1:{gate.admin_port}", "--token-file", "admin.token").stdout
    assert "99.95%" in shown and "slo.latency" in shown
    gate.stop()


# --- counters ---

def test_no_counter_ever_falls(build):
    """More tenants than have series, all with traffic, while they are deleted and made again, suspended, reloaded."""
    count = 130
    tenants = {f"t{i}": {"pool": "main"} for i in range(count)}
    world = build(tenants=tenants)
    gate, ended = world.gate, threading.Event()

    def traffic(first):
        while not ended.is_set():
            with contextlib.suppress(Exception), gate.client() as client:
                for i in range(first, count, 2):
                    client.get("/", f"t{i}.localhost")

    threads = [threading.Thread(target=traffic, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    try:
        seen, members = {}, set()
        end = time.monotonic() + 9 * slow
        turn = 0
        while time.monotonic() < end:
            for i in range(turn * 7 % 100, turn * 7 % 100 + 4):
                gate.delete_tenant(f"t{i}")
            gate.write_tenant("t120", {"pool": "main", "state": "suspended", "reason": "billing"} if turn % 2 else {"pool": "main"})
            if turn % 3 == 0:
                gate.run("reload", "--admin", f"127.0.0.1:{gate.admin_port}", "--token-file", "admin.token")
            time.sleep(0.4)
            now = scrape(gate)
            fell = {series: (seen[series], value) for series, value in now.items() if value < seen.get(series, 0)}
            assert not fell, fell
            gone = {series for series in set(seen) - set(now) if not series.startswith(("gatehouse_endpoint", "gatehouse_plan"))}
            assert not gone, gone
            seen.update(now)
            members |= {series for series in now if series.startswith("gatehouse_tenant_requests_total")}
            for i in range(turn * 7 % 100, turn * 7 % 100 + 4):
                gate.write_tenant(f"t{i}", {"pool": "main"})
            turn += 1
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert turn >= 5 and len(members) == 101   # 100 tenants and the others
    time.sleep(1.2)   # who looks again within a second is told the same of tenants
    now = scrape(gate)
    shown = sum(value for series, value in now.items() if series.startswith("gatehouse_tenant_requests_total"))
    known = now["gatehouse_requests_total"] - now['gatehouse_refused_total{problem="unknown-host",status="404"}']
    assert 0 < shown <= known
    gate.stop()


def test_each_kind_of_wait_and_end_is_counted(build, dev_certs):
    world = build(certs=dev_certs, tenants={"acme": {"pool": "main", "limits": {"rate": "1/m", "burst": 2}}})
    gate = world.gate
    for _ in range(2):
        assert world.get("/").status == 200
    assert world.get("/").status == 429
    assert world.get("/", "nobody.example").status == 404
    with Client(gate.tls_port, tls={"sni": "acme.localhost"}) as client:
        assert client.get("/").status == 429
    with gate.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.response().status == 400

    def value(series):
        return metric(gate, series)

    # The last of each is counted after its client has the answer.
    until(lambda: value('gatehouse_requests_ended_total{stage="framing"}') == 1 and value("gatehouse_queue_seconds_count") == 2, 5 * slow)
    for stage, n in (("settle", 2), ("admit", 2), ("resolve", 1), ("framing", 1), ("forward", 0)):
        assert value(f'gatehouse_requests_ended_total{{stage="{stage}"}}') == n, stage
    assert value('gatehouse_limit_decisions_total{decision="admitted",limit="rate",of="tenant"}') == 2
    assert value('gatehouse_limit_decisions_total{decision="refused",limit="rate",of="tenant"}') == 2
    assert value('gatehouse_limit_decisions_total{decision="refused",limit="quota",of="tenant"}') == 0
    assert value("gatehouse_upstream_seconds_count") == value("gatehouse_queue_seconds_count") == 2
    assert value("gatehouse_upstream_seconds_sum") > 0
    assert value('gatehouse_handshake_seconds_count{kind="full"}') == 1
    assert value('gatehouse_handshake_seconds_count{kind="resumed"}') == 0
    assert value('gatehouse_certificate_lookups_total{found="elsewhere"}') == 1
    assert value('gatehouse_certificate_reads_total{result="good"}') == 1
    assert value("gatehouse_hosts") == 1
    gate.stop()


# --- one request ---

def test_one_request_is_the_same_everywhere(build):
    """Its id and trace in the answer, at the application, in the log; with a refusal on the page; of a change in the audit log."""
    world = build(tenants={"acme": {"pool": "main"}})
    gate = world.gate
    trace = "0af7651916cd43dd8448eb211c80319c"
    answer = world.get("/followed", fields=[("traceparent", f"00-{trace}-b7ad6b7169203331-01"), ("X-Request-Id", "the-clients-own")])
    request_id = answer.fields.get("x-request-id")
    got = world.upstream.last("/followed").fields
    line = gate.access_lines("/followed")[-1]
    assert got.all("x-request-id") == [request_id] and request_id != "the-clients-own"
    assert line["request_id"] == request_id and line["trace_id"] == trace and trace in got.get("traceparent")

    for accept in ("application/json", "text/html"):
        refused = world.get("/refused", "nobody.example", fields=[("Accept", accept)])
        refused_id = refused.fields.get("x-request-id")
        assert refused.status == 404 and refused_id in refused.body.decode()
    until(lambda: refused_id in {line["request_id"] for line in gate.access_lines("/refused")})

    status, _, fields = gate.admin("POST", "/v1/tenants", body='{"id": "made", "pool": "main"}', fields={"Content-Type": "application/json"})
    assert status == 201
    rows = gate.admin_json("/v1/tenants/made/audit")
    assert fields["X-Request-Id"] in json.dumps(rows)
    gate.stop()
