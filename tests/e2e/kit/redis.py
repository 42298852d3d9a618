"""A real redis-server on a loopback port, and a client that speaks its protocol (RESP 2)."""
import contextlib
import os
import pathlib
import select
import signal
import socket
import subprocess
import time

from .ports import free_port


class RedisError(Exception):
    pass


class Redis:
    """Keeps nothing on disk, so that a restart empties it. `arguments`: more of redis-server's own; `file`: its
    configuration, which a sentinel writes as well. `url` is how others reach it."""

    def __init__(self, folder, *arguments, file=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.arguments, self.file = arguments, [str(file)] if file else []
        self.process = None
        self._socket = None
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, wait=10.0):
        self.process = subprocess.Popen(
            ["redis-server", *self.file, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(self.folder), *self.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun = time.monotonic()
        while time.monotonic() - begun < wait:
            with contextlib.suppress(OSError, RedisError):
                if self.ask("PING") == "PONG":
                    return self
            time.sleep(0.02)
        raise AssertionError("redis-server did not answer")

    def kill(self):
        self._close()
        self.process.kill()
        self.process.wait()
        self.process = None

    def freeze(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None:
            self.thaw()
            self.kill()

    def _close(self):
        if self._socket is not None:
            self._socket[0].close()
            self._socket = None

    def ask(self, *words):
        if self._socket is None or self._ended():
            self._close()
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            self._socket = connection, connection.makefile("rb")
        connection, reader = self._socket
        try:
            parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
            return self._reply(reader)
        except OSError:
            self._close()
            raise

    def _ended(self):
        """A master that becomes a replica, or the other way round, closes its connections."""
        return bool(select.select([self._socket[0]], [], [], 0)[0])

    def _reply(self, reader):
        line = reader.readline()
        if not line:
            raise OSError("the connection ended")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == "-1":
                return None
            return reader.read(int(rest) + 2)[:-2].decode()
        return [self._reply(reader) for _ in range(int(rest))] if rest != "-1" else None

    def keys(self, pattern="*"):
        return sorted(self.ask("KEYS", pattern))
