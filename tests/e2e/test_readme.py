"""README's commands are run as they stand, in its order; its links and those of docs/ lead somewhere."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from kit.gate import binary
from kit.ports import free_port

root = pathlib.Path(__file__).resolve().parents[2]
pages = [root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md")]
pages += sorted((root / "docs").rglob("*.md"))
named_ports = (8443, 8080, 9900, 9001)
slow = 4 if os.environ.get("GATEHOUSE_SLOW") else 1

fence = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

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


def blocks(kind):
    return [text for language, text in fence.findall((root / "README.md").read_text()) if language == kind]


def commands():
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


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
    moved = {str(port): str(free_port()) for port in named_ports}
    pattern = re.compile(r"\b(" + "|".join(moved) + r")\b")
    return lambda text: pattern.sub(lambda m: moved[m[0]], text)


def write_files(folder, move_ports):
    for text in blocks("toml"):
        name = re.match(r"# (\S+\.toml)\n", text)
        assert name, f"a toml block that does not name its file:\n{text}"
        path = folder / name[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(move_ports(text))


def until_answer(process, port, path, log):
    end = time.monotonic() + 10 * slow
    while time.monotonic() < end:
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers at port {port}:\n{log.read_text()}")


def start(command, folder, move_ports):
    log = folder / f"server-{len(list(folder.glob('server-*')))}.log"
    with log.open("w") as out:
        process = subprocess.Popen(move_ports(command).split(), cwd=folder, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out)
    gate = "gatehouse" in command
    until_answer(process, int(move_ports("9900" if gate else "9001")), "/readyz" if gate else "/healthz", log)
    return process, log


def run(command, folder, move_ports):
    done = subprocess.run(["bash", "-c", "set -euo pipefail; " + move_ports(command)], cwd=folder,
                          capture_output=True, text=True, timeout=60 * slow)
    assert done.returncode == 0, f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
    for part, text in wanted:
        if re.search(part, command):
            assert move_ports(text) in done.stdout, f"{command}\n{text!r} is not in\n{done.stdout}{done.stderr}"


def test_commands(folder, move_ports):
    write_files(folder, move_ports)
    running, ran = [], []
    try:
        for command in commands():
            if long_ones.match(command):
                continue
            if servers.match(command):
                running.append(start(command, folder, move_ports))
            else:
                run(command, folder, move_ports)
            ran.append(command)
        gate, log = running[-1]
        gate.send_signal(signal.SIGTERM)
        assert gate.wait(20 * slow) == 0, log.read_text()
        assert "error" not in log.read_text(), log.read_text()
    finally:
        for process, _ in running:
            if process.poll() is None:
                process.kill()
            process.wait()
    for part, _ in wanted:
        assert any(re.search(part, command) for command in ran), f"README has no command like {part!r} any more"


@pytest.mark.parametrize("command", [c for c in commands() if long_ones.match(c)])
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
