"""A strict reader of HTTP/1.1 messages for the tests: raises on anything not written the one way."""
import json
import re

_token = re.compile(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
_status_line = re.compile(rb"^HTTP/1\.1 ([1-5][0-9]{2}) ([\t -~\x80-\xff]*)$")
_request_line = re.compile(rb"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.([01])$")


class ProtocolError(Exception):
    pass


class Fields:
    def __init__(self, pairs):
        self.pairs = pairs

    def all(self, name):
        return [v for n, v in self.pairs if n.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def __contains__(self, name):
        return bool(self.all(name))

    def names(self):
        return [n.lower() for n, _ in self.pairs]

    def __repr__(self):
        return repr(self.pairs)


def parse_fields(lines):
    pairs = []
    for line in lines:
        name, colon, rest = line.partition(b":")
        if not colon or not _token.match(name):
            raise ProtocolError(f"bad field line {line!r}")
        if any(c < 0x20 and c != 9 or c == 0x7F for c in rest):
            raise ProtocolError(f"control character in {line!r}")
        pairs.append((name.decode("latin-1"), rest.strip(b" \t").decode("latin-1")))
    return Fields(pairs)


def split_head(head):
    """Lines of a head that ends in an empty line; a bare CR or LF is an error."""
    lines = head[:-4].split(b"\r\n")
    for line in lines:
        if b"\r" in line or b"\n" in line:
            raise ProtocolError(f"bare CR or LF in {line!r}")
    return lines


class Message:
    """What a reader has got: the first line's parts, fields, body, and how the body was framed."""

    def __init__(self):
        self.raw_head = b""
        self.fields = Fields([])
        self.body = b""
        self.framing = "none"      # none, length, chunked, close
        self.chunks = []
        self.interim = []          # the 1xx heads that came before a response
        self.trailers = []

    def json(self):
        return json.loads(self.body)


class Response(Message):
    status = 0
    reason = ""

    def problem(self):
        """The type of the problem document, without its prefix; None when it is none."""
        if self.fields.get("content-type", "").split(";")[0] != "application/problem+json":
            return None
        kind = self.json()["type"]
        assert kind.startswith("urn:gatehouse:"), kind
        return kind[len("urn:gatehouse:"):]

    def __repr__(self):
        return f"<{self.status} {self.fields!r} {self.body[:300]!r}>"


class Request(Message):
    method = ""
    target = ""
    minor = 1
    number = 0        # of its connection, from 1
    connection = None

    def path(self):
        return self.target.split("?")[0]

    def __repr__(self):
        return f"<{self.method} {self.target} {self.fields!r} {self.body[:300]!r}>"


class Reader:
    """Takes bytes from `receive(n)` (b"" at the end) and gives messages."""

    def __init__(self, receive):
        self.receive = receive
        self.buffer = bytearray()
        self.ended = False

    def more(self):
        data = b"" if self.ended else self.receive(65536)
        if not data:
            self.ended = True
            return False
        self.buffer += data
        return True

    def until(self, mark, limit=1 << 20):
        seen = 0
        while True:
            at = self.buffer.find(mark, max(0, seen - len(mark)))
            if at >= 0:
                got = bytes(self.buffer[:at + len(mark)])
                del self.buffer[:at + len(mark)]
                return got
            seen = len(self.buffer)
            if seen > limit:
                raise ProtocolError("no end within the limit")
            if not self.more():
                return None

    def exactly(self, n):
        while len(self.buffer) < n:
            if not self.more():
                raise ProtocolError(f"ended {n - len(self.buffer)} bytes early")
        got = bytes(self.buffer[:n])
        del self.buffer[:n]
        return got

    def rest(self):
        while self.more():
            pass
        got = bytes(self.buffer)
        self.buffer.clear()
        return got

    def head(self):
        head = self.until(b"\r\n\r\n")
        if head is None and self.buffer:
            raise ProtocolError(f"ended inside a head: {bytes(self.buffer)!r}")
        return head

    def next_chunk(self):
        """One chunk's data, b"" for the last; sizes must be plain hex without extension."""
        line = self.until(b"\r\n")
        if line is None or not re.match(rb"^[0-9a-fA-F]{1,16}\r\n$", line):
            raise ProtocolError(f"bad chunk head {line!r}")
        size = int(line, 16)
        if size == 0:
            return b""
        data = self.exactly(size)
        if self.exactly(2) != b"\r\n":
            raise ProtocolError("chunk without CRLF")
        return data

    def chunked(self, message):
        while True:
            data = self.next_chunk()
            if not data:
                break
            message.chunks.append(data)
        while True:
            line = self.until(b"\r\n")
            if line is None:
                raise ProtocolError("ended inside trailers")
            if line == b"\r\n":
                break
            message.trailers.append(line[:-2])
        message.body = b"".join(message.chunks)

    def body(self, message, until_close):
        codings = message.fields.all("transfer-encoding")
        lengths = message.fields.all("content-length")
        if codings and lengths or len(codings) > 1 or len(lengths) > 1:
            raise ProtocolError(f"ambiguous framing {message.fields!r}")
        if codings:
            if codings[0].lower() != "chunked":
                raise ProtocolError(f"coding {codings[0]!r}")
            message.framing = "chunked"
            self.chunked(message)
        elif lengths:
            if not re.match(r"^[0-9]{1,19}$", lengths[0]):
                raise ProtocolError(f"length {lengths[0]!r}")
            message.framing = "length"
            message.body = self.exactly(int(lengths[0]))
        elif until_close:
            message.framing = "close"
            message.body = self.rest()

    def response_head(self):
        head = self.head()
        if head is None:
            return None
        response = Response()
        response.raw_head = head
        lines = split_head(head)
        found = _status_line.match(lines[0])
        if not found:
            raise ProtocolError(f"bad status line {lines[0]!r}")
        response.status, response.reason = int(found[1]), found[2].decode("latin-1")
        response.fields = parse_fields(lines[1:])
        return response

    def response(self, head_request=False, keep_interim=True):
        """The final response, interim ones collected; None when the peer closed before one."""
        interim = []
        while True:
            response = self.response_head()
            if response is None:
                if interim:
                    raise ProtocolError("closed after an interim response")
                return None
            if response.status == 101 or response.status >= 200:
                break
            interim.append(response)
        response.interim = interim if keep_interim else []
        if response.status == 101 or head_request or response.status in (204, 304):
            return response
        self.body(response, until_close=True)
        return response

    def request_head(self):
        head = self.head()
        if head is None:
            return None
        request = Request()
        request.raw_head = head
        lines = split_head(head)
        found = _request_line.match(lines[0])
        if not found:
            raise ProtocolError(f"bad request line {lines[0]!r}")
        request.method, request.target = found[1].decode(), found[2].decode()
        request.minor = int(found[3])
        request.fields = parse_fields(lines[1:])
        return request
