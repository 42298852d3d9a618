"""The real binary in a folder of its own: configuration, start, edits, stop, and its last words."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

from . import toml_text
from .client import Client
from .http_message import ProtocolError
from .ports import free_port

_trouble = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehavior|runtime error:|"
                      r"terminate called|Assertion .* failed|stack smashing")


def binary():
    path = os.environ.get("GATEHOUSE_BINARY")
    if not path:
        raise RuntimeError("GATEHOUSE_BINARY is not set: it names the gatehouse program under test")
    return path


def default_settings():
    """Short deadlines, a plan without limits, one listener of each kind added by Gate."""
    return {
        "node": {"id": "edge-test", "region": "eu-west", "workers": 2, "state_dir": "state"},
        "listener": [],
        "admin": {"token_file": "admin.token"},
        "platform": {"domain": "localhost", "default_plan": "free"},
        "registry": {"tenants_dir": "tenants"},
        "tls": {"certs_dir": "certs"},
        "timeouts": {"tls_handshake": "2s", "request_head": "1s", "request_body_idle": "1s", "keep_alive": "20s",
                     "connect": "1s", "upstream_head": "1500ms", "upstream_body_idle": "1500ms", "drain": "3s"},
        "limits": {"connections": 2000, "connections_per_client": 1000},
        "plans": {"free": {}},
        "pools": {},
        "log": {"access": "access.log", "level": "info"},
    }


class Gate:
    """`settings` is laid over default_settings(); `tenants`: id -> table (id is filled in)."""

    def __init__(self, folder, pools, tenants, settings=None, certs=None, env=None, plain=True, tls=True,
                 listener=None, extra_listeners=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.env = env or {}
        self.process = None
        self.stderr_lines = []
        self.stdout_lines = []
        self.ready_s = None
        self.expected_exit = 0
        self.files = None   # its hard limit on open files; None: ours
        self.command = [binary()]   # what it is started by
        self.inherited = ()   # descriptors
        self.port, self.tls_port, self.admin_port = free_port(), free_port(), free_port()
        base = default_settings()
        listener = listener or {}
        if plain:
            base["listener"].append({"address": f"127.0.0.1:{self.port}", "tls": False, **listener})
        if tls and certs:
            base["listener"].append({"address": f"127.0.0.1:{self.tls_port}", "tls": True, **listener})
        base["listener"] += list(extra_listeners)
        base["admin"]["address"] = f"127.0.0.1:{self.admin_port}"
        base["pools"] = {name: pool if isinstance(pool, dict) else {"endpoints": [{"address": a} for a in pool]}
                         for name, pool in pools.items()}
        self.settings = toml_text.merged(base, settings or {})
        self.config = self.folder / "gatehouse.toml"
        self.tenants_dir = self.folder / "tenants"
        self.certs_dir = self.folder / "certs"
        self.tenants_dir.mkdir(exist_ok=True)
        self.certs_dir.mkdir(exist_ok=True)
        if certs:
            for file in pathlib.Path(certs).glob("*.pem"):
                shutil.copy(file, self.certs_dir / file.name)
        self.write_settings()
        for id_, table in tenants.items():
            self.write_tenant(id_, table)

    # --- files ---
    def write_settings(self):
        self._put(self.config, toml_text.document(self.settings))

    def write_tenant(self, id_, table, in_place=False):
        if isinstance(table, str):
            text = table
        else:
            text = toml_text.flat({"id": id_, **table})
        path = self.tenants_dir / f"{id_}.toml"
        if in_place:
            path.write_text(text)
        else:
            self._put(path, text)
        return time.monotonic()

    def delete_tenant(self, id_):
        (self.tenants_dir / f"{id_}.toml").unlink()
        return time.monotonic()

    @staticmethod
    def _put(path, text):
        temporary = path.with_name("." + path.name + ".new")
        temporary.write_text(text)
        temporary.rename(path)

    # --- life ---
    def start(self, wait=10.0, path="/readyz"):
        limit = wait * (6 if os.environ.get("GATEHOUSE_SLOW") else 1)
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [*self.command, "serve", "--config", str(self.config)], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            preexec_fn=self._limit_files if self.files else None, pass_fds=self.inherited,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", **self.env})
        for stream, lines in ((self.process.stderr, self.stderr_lines), (self.process.stdout, self.stdout_lines)):
            threading.Thread(target=self._collect, args=(stream, lines), daemon=True).start()
        while time.monotonic() - begun < limit:
            if self.process.poll() is not None:
                time.sleep(0.1)
                raise AssertionError(f"the gate ended at start with {self.process.returncode}:\n{self.stderr()}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.admin("GET", path, token=None, timeout=1)[0] == 200:
                    self.ready_s = time.monotonic() - begun
                    return self
            time.sleep(0.02)
        self.process.kill()
        raise AssertionError(f"the gate was not ready within {limit} s:\n{self.stderr()}")

    def _limit_files(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))

    @staticmethod
    def _collect(stream, lines):
        for line in stream:
            lines.append(line)

    def stderr(self):
        return "".join(self.stderr_lines)

    def stop(self, wait=10.0, sig=signal.SIGTERM):
        """SIGTERM (sig None: it was sent already), exit code 0, nothing from a sanitizer."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None and sig is not None:
            process.send_signal(sig)
        try:
            code = process.wait(wait * (3 if os.environ.get("GATEHOUSE_SLOW") else 1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the gate did not end within {wait} s of SIGTERM:\n{self.stderr()}")
        time.sleep(0.05)
        self.check_output()
        assert code == self.expected_exit, f"exit code {code}:\n{self.stderr()}"

    def check_output(self):
        found = _trouble.search(self.stderr())
        assert not found, f"{found[0]} in the gate's output:\n{self.stderr()}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def signal(self, sig):
        self.process.send_signal(sig)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            with contextlib.suppress(AssertionError):
                self.stop()

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    # --- talking to it ---
    def client(self, **options):
        return Client(self.port, **options)

    def tls_client(self, sni, ca, timeout=8.0, **options):
        return Client(self.tls_port, tls={"sni": sni, "ca": str(ca), **options}, timeout=timeout)

    def get(self, path="/", host="acme.localhost", **options):
        with self.client() as client:
            return client.get(path, host, **options)

    def token(self):
        return (self.folder / "admin.token").read_text().strip()

    def admin(self, method, path, token="own", body=None, timeout=5, fields=None):
        """Status, text, fields of an admin request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=timeout)
        sent = dict(fields or {})
        if token is not None:
            sent["Authorization"] = "Bearer " + (self.token() if token == "own" else token)
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def admin_json(self, path):
        status, text, _ = self.admin("GET", path)
        assert status == 200, f"{path}: {status} {text}"
        return json.loads(text)

    def run(self, *args, timeout=20):
        """Another verb of the same program."""
        return subprocess.run([binary(), *args], cwd=self.folder, capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, **self.env})

    def access_lines(self, path=None, wait=2.0, at_least=1):
        """Parsed lines of the access log, waited for, those of one path."""
        end = time.monotonic() + wait
        while True:
            late = time.monotonic() > end
            file = self.folder / "access.log"
            rows = []
            if file.exists():
                whole = file.read_text().rpartition("\n")[0]   # the last line may be half written
                rows = [json.loads(line) for line in whole.splitlines() if line.strip()]
            if path is not None:
                rows = [r for r in rows if r.get("path") == path]
            if len(rows) >= at_least or late:
                return rows
            time.sleep(0.05)


def metric(gate, name):
    """The value of a series, by its name and labels as /metrics writes them."""
    text = gate.admin("GET", "/metrics")[1]
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not in /metrics"
    return float(found[1])


def until(condition, seconds=2.0, pause=0.005):
    """Seconds until `condition` became true; fails when it did not. A connection that is refused or
    closed meanwhile means: not yet."""
    begun = time.monotonic()
    last = None
    while True:
        late = time.monotonic() - begun > seconds   # before the look: one comes after any delay of ours
        try:
            if condition():
                return time.monotonic() - begun
        except (ProtocolError, OSError) as e:
            last = e
        if late:
            raise AssertionError(f"not within {seconds} s ({last})")
        time.sleep(pause)


def refused_to_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return False
    except OSError:
        return True
