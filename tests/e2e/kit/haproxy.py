"""HAProxy, where it is installed, as what stands before or behind a gate: whether we read and write headers as others do."""
import contextlib
import shutil
import socket
import subprocess
import time

from .ports import free_port

installed = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@contextlib.contextmanager
def haproxy(folder, server, bind="", options=""):
    """The port of one that passes TCP on to `server`, with these words on its bind and server lines."""
    port = free_port()
    file = folder / "haproxy.cfg"
    file.write_text(f"""
defaults
    mode tcp
    timeout connect 2s
    timeout client 10s
    timeout server 10s
listen through
    bind 127.0.0.1:{port} {bind}
    server one {server} {options}
""")
    process = subprocess.Popen([installed, "-db", "-f", str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        end = time.monotonic() + 5
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, process.stdout.read()
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(5)
