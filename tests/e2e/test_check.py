"""`gatehouse check` and the command line: every error with file, line and key; exit codes."""
import pytest

from kit.gate import Gate
from kit.toml_text import flat

good_tenants = {"acme": {"name": "Acme", "pool": "main"}, "globex": {"name": "Globex", "pool": "main"}}


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path, {"main": ["127.0.0.1:9001"]}, good_tenants)


def check(gate):
    return gate.run("check", "--config", str(gate.config))


def test_good(gate):
    result = check(gate)
    assert result.returncode == 0, result.stdout + result.stderr


def line_of(text, needle):
    return next(i for i, line in enumerate(text.splitlines(), 1) if needle in line)


mistakes = [
    # section, key, TOML value
    ("node", "nonsense", "1"),
    ("node", "workers", "\"two\""),
    ("node", "workers", "-1"),
    ("node", "wrong_region", "\"ignore\""),
    ("tls", "min_version", "\"1.1\""),
    ("tls", "cache_certs", "-5"),
    ("timeouts", "connect", "\"3\""),
    ("timeouts", "connect", "3"),
    ("timeouts", "request_head", "\"ten seconds\""),
    ("timeouts", "no_such", "\"1s\""),
    ("limits", "head_bytes", "\"lots\""),
    ("limits", "head_fields", "0"),
    ("limits", "underscore_fields", "\"maybe\""),
    ("limits", "connections", "\"many\""),
    ("platform", "child_name", "\"child\""),
    ("platform", "trusted_proxies", "[\"10.0.0.0/33\"]"),
    ("platform", "context_prefix", "\"X Tenant\""),
    ("log", "level", "\"loud\""),
    ("admin", "address", "\"nowhere\""),
]


@pytest.mark.parametrize("section,key,value", mistakes, ids=[f"{s}.{k}={v}" for s, k, v in mistakes])
def test_mistake_in_the_main_file(gate, section, key, value):
    text = gate.config.read_text()
    lines = [line for line in text.splitlines() if not (line.startswith(key + " =") and section != "listener")]
    at = lines.index(f"[{section}]")
    lines.insert(at + 1, f"{key} = {value}")
    text = "\n".join(lines) + "\n"
    gate.config.write_text(text)
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 1, out
    assert f"gatehouse.toml:{at + 2}" in out, out
    assert f"{section}.{key}" in out, out
    assert gate.run("serve", "--config", str(gate.config), timeout=10).returncode != 0


pool_mistakes = [
    ("balance = \"fast\"", "pools.main.balance"),
    ("hash_on = \"moon\"", "pools.main.hash_on"),
    ("health = { path = \"x\" }", "pools.main.health"),
    ("health = { path = \"/h\", interval = \"1\" }", "pools.main.health.interval"),
    ("endpoints = [ { address = \"127.0.0.1\" } ]", "pools.main.endpoints[0].address"),
    ("endpoints = [ { address = \"127.0.0.1:70000\" } ]", "pools.main.endpoints[0].address"),
    ("endpoints = [ { address = \"127.0.0.1:1\" }, { address = \"127.0.0.1:2\", weight = -1 } ]", "pools.main.endpoints[1].weight"),
    ("endpoints = []", "pools.main.endpoints"),
    ("colour = 1", "pools.main.colour"),
]


@pytest.mark.parametrize("line,key", pool_mistakes)
def test_mistake_in_a_pool(gate, line, key):
    lines = gate.config.read_text().splitlines()
    at = lines.index("[pools.main]")
    if line.startswith("endpoints"):
        lines[at + 1] = line
    else:
        lines.insert(at + 1, line)
    gate.config.write_text("\n".join(lines) + "\n")
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 1 and key in out and f"gatehouse.toml:{at + 2}" in out, out


tenant_mistakes = [
    ({"nonsense": 1}, "nonsense"),
    ({"id": "Not Valid"}, "id"),
    ({"state": "asleep"}, "state"),
    ({"state": "suspended", "reason": "mood"}, "reason"),
    ({"pool": "nowhere"}, "pool"),
    ({"plan": "nowhere"}, "plan"),
    ({"parent": "nobody"}, "parent"),
    ({"parent": "acme"}, "parent"),
    ({"hosts": ["evil.localhost"]}, "hosts"),
    ({"hosts": ["not a host"]}, "hosts"),
    ({"hosts": ["*.*.example"]}, "hosts"),
    ({"label": "admin"}, "label"),
    ({"label": "globex"}, "label"),
    ({"residency": "loose"}, "residency"),
    ({"limits": {"rate": "fast"}}, "limits.rate"),
    ({"limits": {"rate": "0/s"}}, "limits.rate"),
    ({"limits": {"max_body": "10"}}, "limits.max_body"),
    ({"limits": {"concurrency": -1}}, "limits.concurrency"),
    ({"routes": [{"path": "api"}]}, "routes"),
    ({"routes": [{"path": "/api", "pool": "nowhere"}]}, "routes"),
    ({"routes": [{"path": "/api", "allow": ["x"]}]}, "routes"),
    ({"routes": [{"path": "/api"}, {"path": "/api"}]}, "routes"),
    ({"routes": [{"path": "/api", "redirect": "/x\r\nX: y"}]}, "routes"),
    ({"context": {"data\r\nbase": "x"}}, "context"),
    ({"context": {"database": "a\r\nX-Evil: 1"}}, "context"),
    ({"hsts": "soon"}, "hsts"),
    ({"allow": ["300.0.0.0/8"]}, "allow"),
    ({"tls": {"min_version": "1.0"}}, "tls.min_version"),
    ({"maintenance": [{"from": "now"}]}, "maintenance"),
    ({"branding": {"logo": "javascript:alert(1)"}}, "branding.logo"),
]


@pytest.mark.parametrize("table,key", tenant_mistakes, ids=[str(t) for t, _ in tenant_mistakes])
def test_mistake_in_a_tenant(gate, table, key):
    merged = {"id": "acme", **good_tenants["acme"], **table}
    text = "# a comment that moves the lines\n\n" + flat(merged)
    (gate.tenants_dir / "acme.toml").write_text(text)
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 1, out
    assert "acme.toml" in out and key in out, out


def test_region_without_endpoints(gate):
    gate.settings["pools"]["main"] = {"endpoints": [{"address": "127.0.0.1:9001", "region": "eu-west"}]}
    gate.write_settings()
    gate.write_tenant("acme", {**good_tenants["acme"], "region": "mars", "residency": "strict"})
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 1 and "mars" in out and "acme" in out, out


def test_line_in_a_tenant(gate):
    (gate.tenants_dir / "acme.toml").write_text("id = \"acme\"\npool = \"main\"\n\nlimits = { rate = \"fast\" }\n")
    out = check(gate)
    assert "acme.toml:4" in out.stdout + out.stderr


def test_all_errors_at_once(gate):
    """Three mistakes in three places: three are told."""
    gate.config.write_text(gate.config.read_text().replace("[node]", "[node]\nnonsense = 1"))
    (gate.tenants_dir / "acme.toml").write_text("id = \"acme\"\npool = \"main\"\nfoo = 1\nbar = 2\n")
    (gate.tenants_dir / "globex.toml").write_text("id = \"globex\"\npool = ")
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 1
    for part in ("nonsense", "foo", "bar", "globex.toml:2"):
        assert part in out, out


def test_two_tenants_with_one_host(gate):
    for id_ in ("acme", "globex"):
        gate.write_tenant(id_, {**good_tenants[id_], "hosts": ["both.example"]})
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 1 and "both.example" in out and "acme" in out and "globex" in out


def test_parents_in_a_circle(gate):
    gate.write_tenant("acme", {**good_tenants["acme"], "parent": "globex"})
    gate.write_tenant("globex", {**good_tenants["globex"], "parent": "acme"})
    result = check(gate)
    assert result.returncode == 1 and "parent" in result.stdout + result.stderr


def test_missing_file(gate):
    result = gate.run("check", "--config", str(gate.folder / "absent.toml"))
    assert result.returncode in (1, 2) and "absent.toml" in result.stdout + result.stderr


def test_missing_environment_variable(gate):
    text = gate.config.read_text().replace("[admin]", "[admin]\n# the variable is not set\n")
    gate.config.write_text(text.replace("id = \"edge-test\"", "id = \"${GATEHOUSE_NO_SUCH_VARIABLE}\""))
    result = check(gate)
    out = result.stdout + result.stderr
    assert "GATEHOUSE_NO_SUCH_VARIABLE" in out and result.returncode == 1


def test_later_features_are_warned_about(gate):
    """Keys of later work are accepted, and said not to be in force."""
    gate.write_tenant("acme", {**good_tenants["acme"], "limits": {"bandwidth": "1MiB/s", "weight": 2, "rules": [{"key": "client_ip", "rate": "5/s"}]},
                               "routes": [{"path": "/", "limits": {"weight": 3}}]})
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 0, out
    assert "0 errors, 1 warning" in out and "weights of single routes" in out, out


@pytest.mark.parametrize("health,warned", [("{ path = \"/h\" }", False), ("{ path = \"/h\", interval = \"100ms\" }", False),
                                           ("{ path = \"/h\", interval = \"100ms\", timeout = \"101ms\" }", True)])
def test_a_check_longer_than_its_interval_is_warned_about(gate, health, warned):
    gate.config.write_text(gate.config.read_text().replace("[pools.main]", "[pools.main]\nhealth = " + health))
    result = check(gate)
    out = result.stdout + result.stderr
    assert result.returncode == 0 and ("pools.main.health.timeout" in out) == warned, out


def test_check_touches_nothing(gate):
    check(gate)
    assert not (gate.folder / "state").exists() and not (gate.folder / "admin.token").exists()


@pytest.mark.parametrize("args,code,word", [
    (["--help"], 0, "serve"), (["serve", "--help"], 0, "--config"), (["check", "--help"], 0, "--config"),
    (["explain", "--help"], 0, "--sni"), (["version"], 0, "gatehouse"), ([], 2, ""), (["nonsense"], 2, ""),
    (["serve", "--nonsense"], 2, ""), (["serve", "--config"], 2, ""),
])
def test_command_line(gate, args, code, word):
    result = gate.run(*args)
    assert result.returncode == code, result.stdout + result.stderr
    assert word in result.stdout
