#!/usr/bin/env python3
"""A small application to put behind the gate: it shows each request as it received it.

Usage: app.py NAME PORT STATE_DIR. A page for browsers, JSON for everything else; a visit counter in
the SQLite file that X-Tenant-Database names; /events is an event stream, /ws a WebSocket echo.
"""
import base64
import hashlib
import html
import http.server
import json
import pathlib
import re
import signal
import sqlite3
import struct
import sys
import threading
import time

name, port, state_dir = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
state_dir.mkdir(parents=True, exist_ok=True)
lock = threading.Lock()


def count_visit(database, path):
    """The tenant's own file: what the field names, reduced to a plain file name."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", database)[:64] or "unnamed"
    file = state_dir / f"{name}-{plain}.sqlite"
    with lock:
        connection = sqlite3.connect(file, timeout=5)
        try:
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS visits (at TEXT NOT NULL, path TEXT NOT NULL)")
                connection.execute("INSERT INTO visits VALUES (datetime('now'), ?)", (path[:500],))
            count = connection.execute("SELECT count(*) FROM visits").fetchone()[0]
        finally:
            connection.close()
    return file.name, count


page = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{tenant} at {app}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem}}
td{{padding:.1rem .8rem .1rem 0;vertical-align:top;font-family:monospace;overflow-wrap:anywhere}}</style>
<h1>{tenant}</h1><p>The demo application <b>{app}</b> was asked <code>{line}</code>.
This is visit <b>{visits}</b> in the tenant's own database, <code>{database}</code>.</p>
<h2>The request as it arrived</h2><table>{rows}</table>
<h2>Live</h2><p>Server-sent events: <output id="e">...</output><br>WebSocket echo: <output id="w">...</output></p>
<script>
new EventSource("/events").onmessage = m => document.getElementById("e").value = m.data;
const s = new WebSocket("wss://" + location.host + "/ws"); s.onmessage = m => document.getElementById("w").value = m.data;
s.onopen = () => s.send("hello through the gate");
</script></html>
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "demo-app"
    sys_version = ""
    timeout = 120

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                if size == 0:
                    while self.rfile.readline() not in (b"\r\n", b""):
                        pass
                    return b"".join(pieces)
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self):
        path = self.path.split("?")[0]
        if path == "/healthz":
            return self.send_whole(200, "text/plain", b"ok\n")
        if path == "/events":
            return self.events()
        if path == "/ws" and self.headers.get("Upgrade", "").lower() == "websocket":
            return self.websocket()
        body = self.read_body()
        database, visits = count_visit(self.headers.get("X-Tenant-Database", "none"), self.path)
        seen = {"app": name, "tenant": self.headers.get("X-Tenant-Id"), "method": self.command, "target": self.path,
                "body_bytes": len(body), "database": database, "visits": visits,
                "fields": [[n, v] for n, v in self.headers.items()]}
        if "text/html" in self.headers.get("Accept", ""):
            rows = "".join(f"<tr><td>{html.escape(n)}<td>{html.escape(v)}" for n, v in self.headers.items())
            text = page.format(app=name, tenant=html.escape(seen["tenant"] or "?"), rows=rows, visits=visits,
                               line=html.escape(f"{self.command} {self.path}"), database=database)
            return self.send_whole(200, "text/html; charset=utf-8", text.encode())
        return self.send_whole(200, "application/json", json.dumps(seen, indent=2).encode() + b"\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def send_whole(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def events(self):
        """One event each half second; `?count=N` ends after N."""
        asked = re.search(r"[?&]count=(\d{1,4})", self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        number = 0
        while not asked or number < int(asked[1]):
            number += 1
            data = f"data: {number} from {name} to {self.headers.get('X-Tenant-Id')} at {time.strftime('%H:%M:%S')}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
            if not asked or number < int(asked[1]):
                time.sleep(0.5)
        self.wfile.write(b"0\r\n\r\n")

    def websocket(self):
        """RFC 6455 to the extent of an echo: whole frames, ping, close."""
        key = self.headers.get("Sec-WebSocket-Key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            opcode, size = head[0] & 0x0F, head[1] & 0x7F
            if size == 126:
                size = struct.unpack(">H", self.rfile.read(2))[0]
            elif size == 127:
                size = struct.unpack(">Q", self.rfile.read(8))[0]
            if size > 1 << 20:
                return
            mask = self.rfile.read(4) if head[1] & 0x80 else b"\0\0\0\0"
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))
            if opcode == 9:
                opcode = 10
            length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else (
                b"\x7f" + struct.pack(">Q", size))
            self.wfile.write(bytes([head[0] & 0xF0 | opcode]) + length + data)
            self.wfile.flush()
            if opcode == 8:
                return

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
Server(("127.0.0.1", port), Handler).serve_forever()
