"""An upstream that does what the test says, records all it gets, and can insist on silence.

Handlers are looked up by path for every request, so that kept-alive connections serve many tests.
"""
import contextlib
import json
import os
import select
import socket
import ssl
import threading
import time

from .http_message import ProtocolError, Reader


class Connection:
    """The upstream's end of one connection from the gate."""

    def __init__(self, server, sock, number):
        self.server, self.socket, self.number = server, sock, number
        self.received = bytearray()
        self.reader = Reader(self._receive)
        self.requests = 0
        self.open = True
        self.thread = None
        self.peer_closed = threading.Event()

    def _receive(self, n):
        try:
            data = self.socket.recv(n)
        except OSError:
            data = b""
        if data:
            if len(self.received) < 4 << 20:
                self.received += data
            self.server.note(len(data))
        else:
            self.peer_closed.set()
        return data

    def send(self, data):
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            self.peer_closed.set()
            return False

    def close(self):
        if self.open:
            self.open = False
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()

    def finish(self):
        """FIN after what was sent."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        if self.open:
            self.open = False
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.socket.close()

    def read_body(self, request):
        self.reader.body(request, until_close=False)
        return request.body

    def wait_closed(self, seconds):
        """True when the gate closes its side within the time. From a handler it reads, else it waits."""
        if threading.get_ident() != self.thread:
            return self.peer_closed.wait(seconds)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.peer_closed.is_set():
            if select.select([self.socket], [], [], 0.1)[0]:
                self._receive(65536)
        return self.peer_closed.is_set()


def echo(conn, request):
    """200 with the request as it came, in JSON."""
    conn.read_body(request)
    body = json.dumps({
        "method": request.method, "target": request.target, "minor": request.minor,
        "fields": request.fields.pairs, "body": request.body.decode("latin-1"),
        "framing": request.framing, "trailers": [t.decode("latin-1") for t in request.trailers],
        "upstream": conn.server.name, "connection": conn.number, "number": request.number,
    }).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    conn.send(head if request.method == "HEAD" else head + body)


def raw(*pieces, end="keep", read_body=True, pause=0.0):
    """A handler that sends these bytes; `end`: keep, close, reset."""
    def handler(conn, request):
        if read_body:
            conn.read_body(request)
        for index, piece in enumerate(pieces):
            if index and pause:
                time.sleep(pause)
            if not conn.send(piece):
                return
        if end == "close":
            conn.close()
        elif end == "reset":
            time.sleep(0.02)
            conn.reset()
    return handler


def ok(body=b"ok", fields=b"", status=b"200 OK"):
    return raw(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body))


class ScriptedUpstream:
    """`address` is what a pool's endpoint says: "127.0.0.1:PORT", "[::1]:PORT" or "unix:PATH"."""

    def __init__(self, name="upstream", unix=None, ipv6=False, tls=None, port=0, default=None, handlers=None):
        self.name = name
        self.handlers = handlers or {}
        self.default = default or echo
        self.on_connect = None           # called with the connection before any byte is read
        self.requests = []
        self.connections = []
        self.errors = []
        self._bytes = 0
        self._lock = threading.Lock()
        self._tls = None
        if unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unix)
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(unix)
            self.address = "unix:" + unix
        else:
            self.listener = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("::1" if ipv6 else "127.0.0.1", port))
            self.port = self.listener.getsockname()[1]
            self.address = f"[::1]:{self.port}" if ipv6 else f"127.0.0.1:{self.port}"
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls)
            self.sni_seen = []
            self._tls.sni_callback = lambda _s, name_, _c: self.sni_seen.append(name_)
        self.listener.listen(512)
        self._running = True
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, path, handler):
        self.handlers[path] = handler
        return self

    def note(self, n):
        with self._lock:
            self._bytes += n

    @property
    def bytes_received(self):
        return self._bytes

    def _accept(self):
        while self._running:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                conn = Connection(self, sock, len(self.connections) + 1)
                self.connections.append(conn)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        conn.thread = threading.get_ident()
        try:
            if conn.socket.family != socket.AF_UNIX:
                conn.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                conn.socket = self._tls.wrap_socket(conn.socket, server_side=True)
            if self.on_connect:
                self.on_connect(conn)
            while conn.open:
                request = conn.reader.request_head()
                if request is None:
                    break
                conn.requests += 1
                request.number, request.connection = conn.requests, conn
                with self._lock:
                    self.requests.append(request)
                self.handlers.get(request.path(), self.default)(conn, request)
        except (ProtocolError, AssertionError) as error:
            if not conn.peer_closed.is_set():
                self.errors.append(error)
        except OSError:
            pass
        finally:
            conn.peer_closed.set()
            conn.close()

    def last(self, path=None):
        with self._lock:
            for request in reversed(self.requests):
                if path is None or request.path() == path:
                    return request
        raise AssertionError(f"the upstream was never asked for {path}")

    def count(self, path=None):
        with self._lock:
            return sum(1 for r in self.requests if path is None or r.path() == path)

    @contextlib.contextmanager
    def silent(self, settle=0.03):
        """Fails the test when a single byte reaches the upstream inside the block."""
        before, requests_before = self._bytes, len(self.requests)
        yield
        time.sleep(settle)
        got = self._bytes - before
        if got:
            new = self.requests[requests_before:]
            raise AssertionError(f"the upstream should have been left alone, but got {got} bytes: {new!r}")

    def stop(self):
        self._running = False
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.connections:
            with contextlib.suppress(OSError):
                conn.socket.shutdown(socket.SHUT_RDWR)

    def drop_connections(self):
        """Closes every kept connection, as an application restarting would."""
        for conn in self.connections:
            with contextlib.suppress(OSError):
                conn.socket.shutdown(socket.SHUT_RDWR)
