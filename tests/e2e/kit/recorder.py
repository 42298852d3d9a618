"""A TCP listener that understands nothing: it keeps every byte, and sends what the test says."""
import contextlib
import socket
import threading
import time


class Recorded:
    def __init__(self, sock):
        self.socket = sock
        self.received = b""
        self.ended = threading.Event()   # FIN or reset
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.received += data
        self.ended.set()

    def wait_for(self, bytes_, seconds=5.0):
        """All received once there are so many bytes."""
        end = time.monotonic() + seconds
        while len(self.received) < bytes_:
            assert time.monotonic() < end, f"{len(self.received)} of {bytes_} bytes came: {self.received[:300]!r}"
            time.sleep(0.002)
        return self.received

    def send(self, data):
        self.socket.sendall(data)

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Recorder:
    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.append(Recorded(sock))

    def connection(self, number, seconds=5.0):
        """The one of that number, counted from 0, waited for."""
        end = time.monotonic() + seconds
        while len(self.connections) <= number:
            assert time.monotonic() < end, f"{len(self.connections)} connections came"
            time.sleep(0.002)
        return self.connections[number]

    @contextlib.contextmanager
    def silent(self, settle=0.05):
        """Fails the test when anybody connects inside the block."""
        before = len(self.connections)
        yield
        time.sleep(settle)
        assert len(self.connections) == before, "somebody connected"

    def stop(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()
