"""Raw clients: bytes out as told, responses in by the strict reader."""
import random
import select
import socket
import ssl
import time

from .http_message import ProtocolError, Reader

deliveries = ("whole", "bytes", "splits")
seed_base = 20240


class Client:
    """One connection. `tls`: None, or a dict for `tls_context` plus `sni` and `session`."""

    def __init__(self, address, tls=None, timeout=8.0, family=None):
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            options = dict(tls)
            sni, session = options.pop("sni", None), options.pop("session", None)
            context = options.pop("context", None) or tls_context(**options)
            try:
                self.socket = context.wrap_socket(self.socket, server_hostname=sni, session=session)
            except BaseException:
                self.socket.close()
                raise
        self.reader = Reader(self._receive)

    def _receive(self, n):
        try:
            return self.socket.recv(n)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def readable(self, seconds=0.0):
        if self.reader.buffer:
            return True
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        return bool(select.select([self.socket], [], [], seconds)[0])

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_pieces(self, pieces, pause=0.0004):
        """Piece by piece; stops as soon as an answer is there, as the rest would be lost."""
        # On TLS a session ticket makes the socket readable as well.
        plain = not isinstance(self.socket, ssl.SSLSocket)
        for piece in pieces:
            if plain and self.readable():
                return self
            try:
                self.socket.sendall(piece)
            except (ConnectionResetError, BrokenPipeError):
                return self
            time.sleep(pause)
        return self

    def deliver(self, data, how, seed=None):
        """One of the three ways a message may arrive."""
        if how == "whole":
            try:
                return self.send(data)
            except (ConnectionResetError, BrokenPipeError):
                return self
        if how == "bytes":
            step = max(1, len(data) // 400)
            return self.send_pieces([data[i:i + step] for i in range(0, len(data), step)])
        seed = seed_base + len(data) if seed is None else seed
        print(f"random splits, seed {seed}")
        return self.send_pieces(random_splits(data, seed), pause=0.001)

    def response(self, head=False):
        got = self.reader.response(head_request=head)
        if got is None:
            raise ProtocolError("closed without a response")
        return got

    def ask(self, data, head=False):
        return self.send(data).response(head=head)

    def get(self, path="/", host="acme.localhost", fields=(), method="GET", body=None):
        return self.ask(request(path, host, fields, method, body), head=method == "HEAD")

    def closed(self, seconds=3.0):
        """True when the peer closes within the time without sending anything more."""
        if self.reader.buffer:
            return False
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            data = self._receive(65536)
        except (TimeoutError, socket.timeout):
            return False
        finally:
            self.socket.settimeout(before)
        if data:
            self.reader.buffer += data
        return not data


def request(path="/", host="acme.localhost", fields=(), method="GET", body=None):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{n}: {v}" for n, v in (fields.items() if isinstance(fields, dict) else fields)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p) + b"0\r\n\r\n"


def random_splits(data, seed):
    numbers = random.Random(seed)
    cuts = sorted(numbers.sample(range(1, len(data)), min(len(data) - 1, numbers.randint(2, 9))))
    return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]


def tls_context(ca=None, minimum=None, maximum=None, cert=None, ciphers=None, alpn=None):
    """Verifies the chain but not the name: SNI and Host are chosen freely by the tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if ca:
        context.load_verify_locations(ca)
    else:
        context.verify_mode = ssl.CERT_NONE
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if cert:
        context.load_cert_chain(cert)
    if ciphers:
        context.set_ciphers(ciphers)
    if alpn:
        context.set_alpn_protocols(alpn)
    return context
