"""A resolver on a loopback port (UDP) that answers TXT questions as its test says."""
import socket
import struct
import threading
import time


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def _record(name, kind, data, kind_class=1):
    return _name(name) + struct.pack("!HHIH", kind, kind_class, 60, len(data)) + data


def txt(name, *strings):
    return _record(name, 16, b"".join(bytes([len(s)]) + s.encode() for s in strings))


def cname(name, target):
    return _record(name, 5, _name(target))


class Resolver:
    """`answers`: name -> records (txt(), cname()) or a function from the question's id and bytes to datagrams, each with
    the seconds before it. A name that is not there does not exist."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.answers, self.asked = {}, []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                asked, client = self.socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while asked[at]:
                labels.append(asked[at + 1:at + 1 + asked[at]].decode())
                at += 1 + asked[at]
            name, question = ".".join(labels).lower(), asked[12:at + 5]
            self.asked.append(name)
            answer = self.answers.get(name)
            if not callable(answer):
                records = answer
                answer = lambda id_, q: [(0, message(id_, q, records or [], 0 if records is not None else 3))]
            id_ = struct.unpack("!H", asked[:2])[0]
            threading.Thread(target=self._send, args=(answer(id_, question), client), daemon=True).start()

    def _send(self, datagrams, client):
        for pause, data in datagrams:
            time.sleep(pause)
            try:
                self.socket.sendto(data, client)
            except OSError:
                return

    def stop(self):
        self.socket.close()


def message(id_, question, records, code=0, truncated=False):
    flags = 0x8180 | code | (0x0200 if truncated else 0)
    return struct.pack("!HHHHHH", id_, flags, 1, len(records), 0, 0) + question + b"".join(records)
