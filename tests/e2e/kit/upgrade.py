"""Upgrades: requests that never cease, a new process as our child, and programs that fail at it."""
import os
import pathlib
import signal
import subprocess
import threading
import time

from .client import Client, request
from .http_message import ProtocolError


class Child:
    """The process that took over: it has the parent of the one before, which is us."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=10.0):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, sig):
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class Load:
    """Requests on kept and on new connections, plain and by TLS, until it is left; then none may have failed.
    A connection that was answered with Connection: close is made anew."""

    def __init__(self, gate, ca=None, pause=0.002):
        self.answered, self.failures, self.stopping = 0, [], threading.Event()
        self.gate, self.ca, self.pause = gate, ca, pause
        kinds = [(False, True), (False, True), (False, False)] + ([(True, True), (True, False)] if ca else [])
        self.threads = [threading.Thread(target=self._run, args=kind, daemon=True) for kind in kinds]

    def _client(self, tls):
        return self.gate.tls_client("acme.localhost", self.ca) if tls else self.gate.client()

    def _run(self, tls, keep):
        client = None
        while not self.stopping.is_set():
            try:
                client = client or self._client(tls)
                answer = client.send(request("/load")).response()
                if answer.status != 200:
                    raise ProtocolError(f"status {answer.status}")
                self.answered += 1
                if not keep or answer.fields.get("connection") == "close":
                    client.close()
                    client = None
            except (OSError, ProtocolError) as e:
                self.failures.append(f"{'TLS' if tls else 'plain'}, {'kept' if keep else 'new'}: {e!r}")
                client = None
            time.sleep(self.pause)
        if client:
            client.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.more(20)
        return self

    def more(self, count, seconds=20):
        """Until so many more were answered."""
        until, end = self.answered + count, time.monotonic() + seconds
        while self.answered < until:
            assert time.monotonic() < end, f"{self.answered} of {until} were answered: {self.failures[:5]}"
            time.sleep(0.01)

    def __exit__(self, kind, *_):
        if kind is None:
            self.more(20)
        self.stopping.set()
        for t in self.threads:
            t.join(10)
        if kind is None:
            assert not self.failures, f"{len(self.failures)} of {self.answered} failed: {self.failures[:5]}"


def own_program(gate, binary):
    """The gate is started by a path of its own, which a test may put something else at."""
    program = pathlib.Path(gate.folder) / "gatehouse"
    program.symlink_to(binary)
    gate.command = [str(program)]
    return program


def put_script(program, text):
    new = program.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o755)
    new.rename(program)


# A new process that says its part up to some step, and then does what the test says.
def actor(until, then):
    return f"""#!/usr/bin/python3
import os, signal, socket, sys, time
talk = socket.socket(fileno=3)
say = lambda step: talk.sendall(b'{{"step":"%s","version":"9.9.9"}}\\n' % step)
lines = talk.makefile("rb")
say(b"prepared")
if {until!r} != "prepared":
    assert b'"take"' in lines.readline()
    say(b"ready")
    assert b'"go"' in lines.readline()
{then}
"""


def upgraded(gate, timeout=30):
    """`gatehouse upgrade` with exit code 0; the gate's process is the new one then, the old is returned."""
    done = gate.run("upgrade", "--config", str(gate.config), timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr + gate.stderr()
    old = gate.process
    gate.process = Child(gate.admin_json("/v1/node")["pid"])
    assert gate.process.pid != old.pid and f"process {gate.process.pid} serves" in done.stdout
    return old
