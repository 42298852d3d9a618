"""Pages of the documentation whose commands are run as they stand, in their order, at ports of our own."""
import contextlib
import http.client
import os
import re
import subprocess
import time

from .ports import free_port

slow = 4 if os.environ.get("GATEHOUSE_SLOW") else 1

fence = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page, kind):
    return [text for language, text in fence.findall(page.read_text()) if language == kind]


def commands(page):
    return [line for block in blocks(page, "sh") for line in block.splitlines() if line.strip()]


def port_mover(ports):
    """Puts a free port in the place of each of `ports` in a text, always the same."""
    moved = {str(port): str(free_port()) for port in ports}
    pattern = re.compile(r"\b(" + "|".join(moved) + r")\b")
    return lambda text: pattern.sub(lambda m: moved[m[0]], text)


class Terminal:
    """Runs commands of a page in a folder; `wanted`: (pattern of a command, what its output must have)."""

    def __init__(self, folder, move_ports, wanted, env=None):
        self.folder, self.move_ports, self.wanted = folder, move_ports, wanted
        self.env = {**os.environ, **(env or {})}
        self.running, self.ran = [], []

    def start(self, command, port, path):
        """A server, until `path` at `port` answers 200."""
        log = self.folder / f"server-{len(list(self.folder.glob('server-*')))}.log"
        with log.open("w") as out:
            process = subprocess.Popen(["bash", "-c", "exec " + self.move_ports(command)], cwd=self.folder,
                                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.env)
        self.running.append(process)
        self.ran.append(command)
        self._until_answer(process, int(self.move_ports(str(port))), path, log)
        return process, log

    @staticmethod
    def _until_answer(process, port, path, log):
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

    def run(self, command):
        done = subprocess.run(["bash", "-c", "set -euo pipefail; " + self.move_ports(command)], cwd=self.folder,
                              capture_output=True, text=True, timeout=60 * slow, env=self.env)
        assert done.returncode == 0, f"{command}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        for part, text in self.wanted:
            if re.search(part, command):
                assert self.move_ports(text) in done.stdout, f"{command}\n{text!r} is not in\n{done.stdout}{done.stderr}"
        self.ran.append(command)

    def check_all_ran(self, page):
        for part, _ in self.wanted:
            assert any(re.search(part, command) for command in self.ran), f"{page.name} has no command like {part!r} any more"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
