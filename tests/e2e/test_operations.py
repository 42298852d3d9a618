"""docs/operations.md: its commands are run as they stand, against a running node; its tables name exactly the
metrics, log fields, problems and deadlines that there are."""
import pathlib
import re
import subprocess

import pytest

from kit.client import Client
from kit.gate import binary, until
from kit.terminal import Terminal, blocks, commands, fence, port_mover, slow
from kit.upgrade import Child
from kit.upstream import ScriptedUpstream, ok

root = pathlib.Path(__file__).resolve().parents[2]
page = root / "docs/operations.md"
text = page.read_text()
configuration = (root / "docs/configuration.md").read_text()

settings = """
[[listener]]
address = "127.0.0.1:8443"
tls = true

[admin]
address = "127.0.0.1:9900"

[platform]
domain = "localhost"
default_plan = "standard"

[plans.standard]
rate = "100/s"

[pools.app]
endpoints = [ { address = "127.0.0.1:9001" }, { address = "127.0.0.1:9002" } ]
health = { path = "/healthz", interval = "200ms" }

[pools.dedicated]
endpoints = [ { address = "127.0.0.1:9002" } ]

[log]
access = "access.log"
"""
tenant = """
id = "acme"
name = "Acme Corp"
pool = "app"
hosts = ["shop.acme.example"]
"""

# What has to be in the output of the commands that match.
wanted = [
    ("gatehouse check", "0 errors, 0 warnings"),
    ("gatehouse reload", "0 quarantined"),
    ("gatehouse upgrade", " serves, gatehouse "),
    ("open files", "Max open files"),
    ("^ps ", "worker"),
    ("pool list", "127.0.0.1:9002"),
    ("pool drain", "127.0.0.1:9001 is draining (drained by the operator), 0 in flight"),
    ("pool enable", "127.0.0.1:9001 is up"),
    ("jq .*problem", "404 unknown-host"),
    ("jq .*total_us", "acme"),
    ("/metrics$", "gatehouse_requests_total"),
    ("promtool check metrics", ""),
    ("promtool check rules", "SUCCESS"),
    ("promtool check config", "SUCCESS"),
    ("9900/healthz$", '"ok"'),
    ("9900/readyz", '"ready":true'),
    ("/v1/node", '"warnings"'),
    ("explain .*/hello$", "would be forwarded to pool app"),
    ("tenant list --search", "globex"),
    ("tenant list$", "acme"),
    ("audit show globex", "name: Globex -> Globex Corp"),
    ("audit verify", "nothing was removed"),
    ("tenant create globex", "tenant globex is created"),
    ("tenant update", "shop.globex.example globex.example"),
    ("tenant migrate .*--shadow", "0 requests of tenant hooli compared"),
    ("tenant migrate .*--hook", "tenant hooli has moved from pool:app to pool:dedicated"),
    ("tenant migrate .*--rollback", "tenant hooli has moved from pool:dedicated to pool:app"),
    ("tenant suspend", "suspended"),
    ("tenant reactivate", "reactivated"),
    ("tenant export globex", 'name = "Globex Corp"'),
    ("tenant export acme", "acme.tar: "),
    ("tar -tf", "manifest.json"),
    ("tenant import", ""),
    ("tenant backup acme", "backup 2"),
    ("tenant backup --all", "are copied, 0 are not"),
    ("tenant backups", "REVISION"),
    ("tenant delete", "deleted"),
    ("-d .*initech", '"source":"api"'),
    ("X PATCH", '"rate":"80/s"'),
    ("X DELETE", '"affected":["initech"]'),
    ("tenant show", "standard"),
    ("token create", ""),
    ("workspace set", "has 1 members"),
    ("workspace list", "ada@globex.example"),
    ("tenant requests", "TENANT"),
    ("tenant grant ", "tokens of tenant hooli are tenant-viewer of tenant acme"),
    ("tenant grants", "hooli"),
    ("tenant revoke-grant", "do nothing any more"),
    ("token list$", "Ada, Acme"),
    ("token revoke", "is revoked"),
    ("audit show +#", "ROW"),
    ("user set", "ada@globex.example is owner"),
    ("user list", "Ada"),
    ("cert list", "acme.localhost"),
    ("s_client", "subject="),
]


@pytest.fixture
def folder(tmp_path, dev_certs):
    """A node's folder, with the program under test as `gatehouse`."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gatehouse").symlink_to(pathlib.Path(binary()).resolve())
    (tmp_path / "certs").symlink_to(dev_certs)
    (tmp_path / "observability").symlink_to(root / "conf/observability")
    (tmp_path / "tenants").mkdir()
    return tmp_path


def some_traffic(port):
    """One request that goes well, and one that is refused."""
    for host in ("acme.localhost", "nobody.localhost"):
        with Client(port, tls={"sni": "acme.localhost"}) as client:
            client.get("/hello", host)


def log_is_there(folder, process):
    def written():
        log = folder / "access.log"
        return log.exists() and log.read_text().count("\n") >= 2

    until(written, 5 * slow)
    assert process.poll() is None


def test_commands(folder, monkeypatch):
    move_ports = port_mover((8443, 9900, 9001, 9002))
    (folder / "gatehouse.toml").write_text(move_ports(settings))
    (folder / "tenants/acme.toml").write_text(tenant)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    app = f"/usr/bin/env python3 {root / 'conf/demo/app.py'} hello {{}} databases"
    with Terminal(folder, move_ports, wanted) as terminal:
        for port in (9001, 9002):
            terminal.start(app.format(port), port, "/healthz")
        for command in commands(page):
            if command == "gatehouse serve":
                gate, log = terminal.start(command, 9900, "/readyz")
                terminal.env["PID"] = str(gate.pid)
                some_traffic(int(move_ports("8443")))
                log_is_there(folder, gate)
                continue
            terminal.run(command)
            if command == "gatehouse upgrade":
                assert gate.wait(20 * slow) == 0, log.read_text()
                gate = Child(int(re.search(r"upgrade: process (\d+) serves", log.read_text())[1]))
                terminal.running.append(gate)
                terminal.env["PID"] = str(gate.pid)
            if "-TERM" in command:
                assert gate.wait(20 * slow) == 0, log.read_text()
            elif "-USR1" in command:
                until(lambda: (folder / "access.log").exists(), 5 * slow)
            elif "-HUP" in command:
                until(lambda: "reloaded: " in log.read_text(), 5 * slow)
        assert gate.poll() == 0, "the page does not end the node any more"
        assert " error " not in log.read_text(), log.read_text()
    terminal.check_all_ran(page)


def test_what_cannot_be_run_is_little():
    languages = re.findall(r"^```(\w*)$", text, re.MULTILINE)
    assert languages.count("text") == 4, "commands belong into a sh block, where they are run"
    assert set(languages) <= {"", "sh", "text", "promql", "toml"}


def test_the_edge_on_the_page_is_whole(tmp_path):
    shown = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(shown) == 1
    (tmp_path / "gatehouse.toml").write_text(shown[0])
    key = tmp_path / "eu-west.key"
    key.write_text("a1" * 32 + "\n")
    key.chmod(0o600)
    checked = subprocess.run([binary(), "check", "--config", str(tmp_path / "gatehouse.toml")], capture_output=True, text=True)
    assert "0 errors, 0 warnings" in checked.stdout, checked.stdout + checked.stderr


# --- tables ---

def rows(heading):
    """The cells of the first table that begins with these."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(heading)]
    assert len(starts) == 1, f"{len(starts)} tables begin with {heading}"
    out = []
    for line in lines[starts[0] + 2:]:
        if not line.startswith("|"):
            break
        out.append([cell.strip() for cell in line[1:-1].split("|")])
    return out


def codes(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture(scope="module")
def busy(build, dev_certs):
    """A node that has seen a bit of everything, with each label in its metrics."""
    upstream = ScriptedUpstream()
    upstream.on("/healthz", ok(b"well"))
    world = build(certs=dev_certs, upstream=upstream,
                  settings={"plans": {"free": {"slo": {"availability": "99%", "latency": "1s"}}}},
                  pools={"main": {"endpoints": [{"address": upstream.address}], "health": {"path": "/healthz", "interval": "100ms"}}})
    with world.gate.client() as client:
        assert client.get("/plain").status == 200
        assert client.get("/refused", "nobody.example").status == 404
    with Client(world.gate.tls_port, tls={"sni": "acme.localhost"}) as client:
        assert client.get("/tls").status == 200
    with Client(world.gate.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.response().status == 400
    world.gate.write_tenant("used", {"name": "Used", "pool": "main", "routes": [{"path": "/", "limits": {"quota": "1/month"}}]})
    until(lambda: world.get("/", "used.localhost").status == 429, 5 * slow)
    until(lambda: exported(world.gate)["gatehouse_quota_used_ratio"][1], 5 * slow)
    return world


def exported(gate):
    """name -> (type, labels) of /metrics as it is."""
    status, out, _ = gate.admin("GET", "/metrics", token=None)
    assert status == 200
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", out, re.MULTILINE))
    labels = {name: set() for name in types}
    for name, inner in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", out, re.MULTILINE):
        family = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        labels[family] |= set(re.findall(r'(\w+)="', inner))
    return {name: (types[name], labels[name]) for name in types}


def test_each_metric_is_in_the_table_and_is_exported(busy):
    told = {codes(name)[0]: (kind, set(codes(labels))) for name, kind, labels, *_ in rows("| metric |")}
    assert told == exported(busy.gate)


def test_metrics_named_elsewhere_exist(busy):
    there = exported(busy.gate)
    named = set(re.findall(r"gatehouse_[a-z_]+", text))
    assert named <= set(there), named - set(there)


def test_each_alert_is_in_the_table():
    rules = (root / "conf/observability/rules.yml").read_text()
    told = [(codes(row[0])[0], row[1]) for row in rows("| alert |")]
    assert told == re.findall(r"- alert: (\w+)\n.*?severity: (\w+)", rules, re.DOTALL)


def test_each_log_field_is_in_the_table_and_in_each_line(busy):
    told = [codes(row[0])[0] for row in rows("| field |")]
    lines = busy.gate.access_lines(at_least=4)
    assert len(lines) >= 4
    for line in lines:
        assert list(line) == told


def test_log_fields_are_empty_when_the_table_says_so(busy):
    lines = busy.gate.access_lines(at_least=4)
    plain = next(line for line in lines if line["path"] == "/plain")
    refused = next(line for line in lines if line["problem"] == "bad-request")
    tls = next(line for line in lines if line["path"] == "/tls")
    nobody = next(line for line in lines if line["path"] == "/refused")
    assert plain["tls"] == "" and plain["handshake_us"] == 0 and plain["decision"] == "forward" and plain["stage"] == "settle"
    assert tls["tls"] == "1.3" and tls["handshake_us"] > 0 and tls["attempts"] == 1 and tls["upstream"]
    assert refused["method"] == refused["host"] == refused["path"] == "" and refused["total_us"] == 0
    assert nobody["tenant"] == "" and nobody["attempts"] == 0 and nobody["decision"] == "refuse"


def problems(gate):
    _, out, _ = gate.admin("GET", "/metrics", token=None)
    return set(re.findall(r'^gatehouse_refused_total\{problem="([^"]+)",status="(\d+)"\}', out, re.MULTILINE))


def test_problems(busy):
    """Each named one exists with that status, and each that exists is named among the symptoms."""
    there = problems(busy.gate)
    named = {(name, status) for statuses, name in re.findall(r"((?:\b[45]\d\d,? )+)`([a-z-]+)`", text)
             for status in re.findall(r"\d+", statuses)}
    assert named <= there, named - there
    symptoms = {name for row in rows("| symptom |") for name in codes(row[0])}
    assert symptoms == {name for name, _ in there}


def test_deadlines():
    """Each of [timeouts] is in the table, with its default."""
    defaults = dict(re.findall(r'^\| `(timeouts\.\w+)` \| `"(\w+)"` \|', configuration, re.MULTILINE))
    assert len(defaults) > 5
    told = {}
    for row in rows("| deadline |"):
        found = re.match(r"`(timeouts\.\w+)` (\d+) (ms|s|m|h)$", row[0])
        if found:
            told[found[1]] = found[2] + found[3]
    assert told == defaults


def test_keys_that_are_named_exist():
    sections = set(re.findall(r"^### `(\w+)`$", configuration, re.MULTILINE))
    known = set(re.findall(r"^\| `([\w.]+)` \|", configuration, re.MULTILINE))
    named = {name for name in codes(fence.sub("", text)) if re.fullmatch(r"[a-z]+(\.\w+)+", name) and name.split(".")[0] in sections}
    assert len(named) > 15
    unknown = {name for name in named - known - {"timeouts.NAME"} if not name.endswith((".log", ".toml"))}
    assert not unknown, unknown


def test_a_reload_with_an_error_is_refused_as_told(busy):
    """As a whole, with exit code 1, and what is in force stays."""
    gate = busy.gate
    good = gate.config.read_text()
    try:
        gate.config.write_text(good + "\n[timeouts2]\n")
        said = gate.run("reload", "--config", str(gate.config), "--admin", f"127.0.0.1:{gate.admin_port}",
                        "--token-file", str(gate.folder / "admin.token"))
        assert said.returncode == 1 and "refused: " in said.stdout and "timeouts2" in said.stdout
    finally:
        gate.config.write_text(good)
    assert busy.get("/after").status == 200
