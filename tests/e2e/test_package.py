"""What is installed besides the program: the unit, the configuration as shipped, man pages, completion.
scripts/test-package tries the package itself."""
import gzip
import pathlib
import re
import shutil
import subprocess

import pytest

from kit.gate import binary

root = pathlib.Path(__file__).resolve().parents[2]
systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")


@pytest.fixture
def unit(tmp_path):
    (tmp_path / "gatehouse").symlink_to(pathlib.Path(binary()).resolve())
    text = (root / "dist/gatehouse.service.in").read_text()
    text = text.replace("@CMAKE_INSTALL_FULL_BINDIR@", str(tmp_path)).replace("@GATEHOUSE_SYSCONFDIR@", "/etc")
    assert "@CMAKE" not in text and "@GATE" not in text
    path = tmp_path / "gatehouse.service"
    path.write_text(text)
    return path


@systemd
def test_systemd_understands_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr


@systemd
def test_the_unit_is_narrow(unit):
    """An exposure of 1.7 at most."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=17", "--no-pager", str(unit)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert float(re.search(r"exposure level for gatehouse.service: ([\d.]+)", done.stdout)[1]) <= 1.7


@systemd
def test_calls_that_the_program_makes_are_allowed(unit, tmp_path):
    """The filter's list as systemd sees it has what the node asks the kernel for beyond the usual."""
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit.read_text(), re.MULTILINE):
        names = set()
        for word in line.lstrip("~").split():
            names |= members(word) if word.startswith("@") else {word}
        allowed = allowed - names if line.startswith("~") else allowed | names
    for call in ("clone", "execve", "pidfd_send_signal", "close_range", "dup2", "socketpair", "epoll_wait", "accept4", "flock",
                 "prlimit64", "sched_setscheduler", "sched_getaffinity", "inotify_add_watch", "sendto"):
        assert call in allowed, call
    for call in ("mount", "ptrace", "reboot", "setuid", "bpf"):
        assert call not in allowed, call


def members(group):
    done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True, timeout=60)
    out = set()
    for word in re.findall(r"^    (\S+)", done.stdout, re.MULTILINE):
        if word.startswith("@"):
            out |= members(word)
        elif not word.startswith("#"):
            out.add(word)
    return out


def test_the_configuration_as_shipped(tmp_path):
    text = (root / "dist/gatehouse.toml").read_text()
    (tmp_path / "state/certs").mkdir(parents=True)
    (tmp_path / "tenants").mkdir()
    (tmp_path / "gatehouse.toml").write_text(text.replace("/var/lib/gatehouse", str(tmp_path / "state")))
    done = subprocess.run([binary(), "check", "--config", str(tmp_path / "gatehouse.toml")], capture_output=True, text=True)
    assert "0 errors, 0 warnings" in done.stdout, done.stdout + done.stderr
    files = re.findall(r"^(/\S+)$", (root / "dist/debian/conffiles").read_text(), re.MULTILINE)
    assert files == ["/etc/gatehouse/gatehouse.toml"]


@pytest.mark.parametrize("script, arguments", [("postinst", ["configure"]), ("prerm", ["remove"])])
def test_a_service_that_does_not_obey_leaves_the_package_whole(tmp_path, script, arguments):
    for name, does in (("deb-systemd-helper", "exit 0"), ("systemctl", "exit 0"), ("deb-systemd-invoke", "echo $1 >>" + str(tmp_path / "asked") + "; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    text = (root / "dist/debian" / script).read_text()
    assert "/run/systemd/system" in text
    done = subprocess.run(["sh", "-c", text.replace("/run/systemd/system", str(tmp_path)), script, *arguments], capture_output=True, text=True,
                          env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=10)
    assert done.returncode == 0 and "gatehouse: it " in done.stderr, done.stderr
    assert (tmp_path / "asked").read_text().split()[-1] == {"postinst": "start", "prerm": "stop"}[script]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([root / "scripts/make-installed", binary(), folder], check=True, timeout=120)
    return folder


def test_man_pages_have_all_verbs_and_keys(installed):
    page = gzip.decompress((installed / "gatehouse.1.gz").read_bytes()).decode()
    for verb in ("serve", "upgrade", "tenant create", "pool drain", "completion"):
        assert f".SS gatehouse {verb}\n" in page
    assert "\\-\\-config" in page
    page = gzip.decompress((installed / "gatehouse.toml.5.gz").read_bytes()).decode()
    keys = re.findall(r"^\| `([\w.]+)` \|", (root / "docs/configuration.md").read_text(), re.MULTILINE)
    assert len(keys) > 50
    for key in keys:
        assert f"\\fB{key}\\fR" in page, key
    assert "](" not in page and "```" not in page


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not here")
def test_man_pages_are_set_without_a_warning(installed):
    for name in ("gatehouse.1", "gatehouse.toml.5"):
        page = gzip.decompress((installed / f"{name}.gz").read_bytes())
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z"], input=page, capture_output=True, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr.decode()[:2000]


def test_completion_of_bash(installed):
    script = f"source {installed / 'gatehouse'}; COMP_WORDS=(gatehouse up); COMP_CWORD=1; _gatehouse; echo ${{COMPREPLY[*]}}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == "upgrade\n"


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not here")
def test_completion_of_zsh(installed):
    script = f"fpath=({installed} $fpath); autoload -U compinit; compinit -D; whence -v _gatehouse; print $_comps[gatehouse]"
    assert "_gatehouse\n" in subprocess.run(["zsh", "-fc", script], capture_output=True, text=True, check=True).stdout
