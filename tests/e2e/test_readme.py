"""README's commands are run as they stand, in its order; its links and those of docs/ lead somewhere."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from kit.gate import binary
from kit.terminal import Terminal, blocks, commands, port_mover, slow

root = pathlib.Path(__file__).resolve().parents[2]
pages = [root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md")]
pages += sorted((root / "docs").rglob("*.md"))
named_ports = (8443, 8080, 9900, 9001)
readme = root / "README.md"

# Commands that install or build for minutes are only looked at; those that run until they are stopped stay up.
long_ones = re.compile(r"^(scripts/(demo|test|install-deps)|cmake )")
servers = re.compile(r"^python3 conf/demo/app\.py|^build/release/gatehouse serve ")
# What has to be in the output of the commands that match.
wanted = [
    ("gatehouse version", "gatehouse "),
    ("gatehouse check", "0 errors, 0 warnings"),
    ("^curl .*https://acme.localhost", '"tenant": "acme"'),
    ("^curl .*https://shop.acme.example", "acme_prod"),
    ("gatehouse explain", "would be forwarded to pool app: 127.0.0.1:9001"),
    ("tenant list", "acme"),
    ("tenant show", "standard"),
    ("tenant tree", "acme"),
    ("cert list", "acme.localhost"),
    ("gatehouse reload", "0 quarantined"),
    ("/readyz", '"ready":true'),
    ("/metrics", "gatehouse_requests_total"),
    ("/v1/node", '"revision"'),
    ("/v1/tenants/acme", "Acme Corp"),
]


@pytest.fixture
def folder(tmp_path):
    """The repository as far as the commands see it, with the program under test as its release build."""
    (tmp_path / "build/release").mkdir(parents=True)
    (tmp_path / "build/release/gatehouse").symlink_to(pathlib.Path(binary()).resolve())
    for name in ("certs", "conf", "scripts"):
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


@pytest.fixture
def move_ports():
    return port_mover(named_ports)


def write_files(folder, move_ports):
    for text in blocks(readme, "toml"):
        name = re.match(r"# (\S+\.toml)\n", text)
        assert name, f"a toml block that does not name its file:\n{text}"
        path = folder / name[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(move_ports(text))


def test_commands(folder, move_ports):
    write_files(folder, move_ports)
    with Terminal(folder, move_ports, wanted) as terminal:
        for command in commands(readme):
            if long_ones.match(command):
                continue
            if not servers.match(command):
                terminal.run(command)
            elif "gatehouse" in command:
                gate, log = terminal.start(command, 9900, "/readyz")
            else:
                terminal.start(command, 9001, "/healthz")
        gate.send_signal(signal.SIGTERM)
        assert gate.wait(20 * slow) == 0, log.read_text()
        assert "error" not in log.read_text(), log.read_text()
    terminal.check_all_ran(readme)


@pytest.mark.parametrize("command", [c for c in commands(readme) if long_ones.match(c)])
def test_long_command_is_there(command):
    words = command.split()
    if words[0] == "cmake":
        presets = json.loads((root / "CMakePresets.json").read_text())
        kind = "buildPresets" if "--build" in words else "configurePresets"
        assert words[words.index("--preset") + 1] in [p["name"] for p in presets[kind]]
        return
    script = root / words[0]
    assert os.access(script, os.X_OK), f"{script} cannot be executed"
    helped = subprocess.run([script, "--help"], capture_output=True, text=True, timeout=20)
    assert helped.returncode == 0 and "Usage" in helped.stdout


def test_options_and_variables_of_the_demo():
    script = (root / "scripts/demo").read_text()
    for word in ("--check", "--no-install", "GATEHOUSE_DEMO_HTTPS_PORT", "_HTTP_PORT", "_ADMIN_PORT",
                 "_STOREFRONT_PORT", "_API_PORT"):
        assert word in script, word


def anchors(text):
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", pages, ids=[str(p.relative_to(root)) for p in pages])
def test_links(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target} leads nowhere"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{page.name}: {target}: no such heading"


def test_paths_that_are_named():
    """What the pages call a file of the project exists."""
    named = re.compile(r"`((?:src|include|tests|scripts|conf|certs|docs|bench|cmake|dist)/[\w./-]+\.\w+)`")
    for page in pages:
        for path in named.findall(page.read_text()):
            assert (root / path).exists(), f"{page.name}: there is no {path}"
