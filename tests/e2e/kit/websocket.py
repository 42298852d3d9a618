"""Just enough of RFC 6455 to talk through a tunnel: a client, frames, and an echoing upstream."""
import base64
import hashlib
import os
import struct

key = base64.b64encode(b"0123456789abcdef").decode()


def accept_value(client_key):
    digest = hashlib.sha1((client_key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


def upgrade_request(path="/ws", host="acme.localhost", fields=()):
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    lines += [f"{n}: {v}" for n, v in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(data, opcode=1, masked=True):
    head = bytes([0x80 | opcode])
    size, mark = len(data), 0x80 if masked else 0
    if size < 126:
        head += bytes([mark | size])
    elif size < 65536:
        head += bytes([mark | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mark | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + data
    mask = os.urandom(4)
    repeated = (mask * (size // 4 + 1))[:size]
    return head + mask + bytes(a ^ b for a, b in zip(data, repeated))


def read_frame(reader):
    """(opcode, payload) from a Reader; masks are taken off."""
    first, second = reader.exactly(2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack(">H", reader.exactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", reader.exactly(8))[0]
    mask = reader.exactly(4) if second & 0x80 else None
    data = reader.exactly(size)
    if mask:
        repeated = (mask * (size // 4 + 1))[:size]
        data = bytes(a ^ b for a, b in zip(data, repeated))
    return first & 0x0F, data


def switch(conn, request):
    """The upstream's 101."""
    conn.send(("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               f"Sec-WebSocket-Accept: {accept_value(request.fields.get('sec-websocket-key', ''))}\r\n\r\n").encode())


def echo_upstream(conn, request):
    """Handler: upgrades, then echoes text and binary frames until a close frame."""
    switch(conn, request)
    while True:
        opcode, data = read_frame(conn.reader)
        if opcode == 8:
            conn.send(frame(data, 8, masked=False))
            conn.close()
            return
        if not conn.send(frame(data, opcode, masked=False)):
            return
