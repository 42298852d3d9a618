"""Many tenants at gatehouse, nginx and HAProxy, side by side: the time to the first 200, memory a tenant,
CPU time of a warm TLS handshake. The anchors are those an operator would set up otherwise: nginx with a
server block a tenant, HAProxy with a folder of certificates, and nginx with one server whose certificate
is read by the server name at each handshake."""
import os
import pathlib
import random
import shutil
import socket
import ssl
import subprocess
import time

import servers
import side_by_side

few = 10          # what is there with hardly any tenant, taken off from the memory of many
nginx_tls = ("ssl_protocols TLSv1.2 TLSv1.3;\n  ssl_session_tickets on;\n"
             "  server_names_hash_max_size 262144;\n  server_names_hash_bucket_size 128;\n")
nginx_location = ("location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\"; "
                  "proxy_set_header Host $host; }")


def host_of(number):
    return f"www.customer-{number:06}.example"


def tenant_text(number, note=""):
    return (f'id = "customer-{number:06}"\nname = "Customer {number} {note}"\nplan = "pro"\npool = "origin"\n'
            f'hosts = ["{host_of(number)}"]\n')


def asking_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def status_of(context, port, host, timeout=120):
    """The status of one GET over HTTPS on a connection of its own; 0: closed without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as plain:
        with context.wrap_socket(plain, server_hostname=host) as s:
            s.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while b"\r\n" not in answer:
                got = s.recv(4096)
                if not got:
                    break
                answer += got
    return int(answer.split()[1]) if answer else 0


def wait_for_200(server, port, host, began):
    """Seconds from `began` to the first 200."""
    context, status = asking_context(), None
    while status != 200:
        if server.process.poll() is not None or time.monotonic() - began > 300:
            raise SystemExit(f"no 200 from {server.name}, but {status}:\n"
                             + (server.folder / f"{server.name}.log").read_text(errors="replace"))
        try:
            status = status_of(context, port, host)
        except OSError:
            time.sleep(0.01)
    return time.monotonic() - began


def folder_of(folder, certs, count):
    """Certificates and tenant files of the first `count` tenants; files that are there stay."""
    some, tenants = folder / f"certs-{count}", folder / f"tenants-{count}"
    for made in (some, tenants):
        made.mkdir(exist_ok=True)
    for number in range(count):
        name = f"{host_of(number)}.pem"
        if not (some / name).exists():
            os.link(certs / name, some / name)
        if not (tenants / f"customer-{number:06}.toml").exists():
            (tenants / f"customer-{number:06}.toml").write_text(tenant_text(number))
    return some, tenants


class Target:
    """One way to have many tenants. start() leaves the process running with its HTTPS port in `port`."""

    def __init__(self, label, run, origin_port, sources, options):
        self.label, self.folder, self.origin_port = label, run / label.replace(",", "").replace(" ", "-"), origin_port
        self.sources, self.options, self.server, self.port = sources, options, None, None
        self.folder.mkdir()

    def start(self, count, core):
        """Seconds to the first 200, for a host chosen at random."""
        self.stop()
        command = self.configure(count)
        began = time.monotonic()
        self.server = servers.Server(self.label.split(",")[0], command, core, self.folder)
        return wait_for_200(self.server, self.port, host_of(random.randrange(count)), began)

    def stop(self):
        if self.server:
            self.server.stop()
        self.server = None

    def cpu_s(self):
        return self.server.cpu_s()

    def memory_kib(self):
        text = [pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.server.tree()]
        return sum(int(line.split()[1]) for one in text for line in one.splitlines() if line.startswith("Pss:"))


class Gatehouse(Target):
    def configure(self, count):
        certs, tenants = self.sources[count]
        home = self.folder / str(count)
        if not home.exists():
            home.mkdir()
            self.ports = servers.gatehouse_configuration(home, self.origin_port, tenants_dir=tenants, certs_dir=certs)
        self.port = self.ports[1]
        return [self.options.binary, "serve", "--config", home / "gatehouse.toml"]

    def forget(self):
        self.stop()
        for home in self.folder.iterdir():
            if home.is_dir():
                shutil.rmtree(home)


class Nginx(Target):
    def configure(self, count):
        self.port = servers.free_port()
        (self.folder / "nginx.conf").write_text(
            servers.nginx_head(self.folder) + f"  {nginx_tls}  upstream origin {{ server 127.0.0.1:{self.origin_port}; keepalive 64; }}\n"
            + self.blocks(self.sources[count][0], count) + "}\n")
        return [servers.program("nginx"), "-p", self.folder, "-c", self.folder / "nginx.conf"]


class NginxBlocks(Nginx):
    def blocks(self, certs, count):
        text = ""
        for number in range(count):
            host, backlog = host_of(number), "" if number else " backlog=1024"   # of the address, so said once
            text += (f"  server {{ listen 127.0.0.1:{self.port} ssl{backlog}; server_name {host}; ssl_certificate {certs}/{host}.pem; "
                     f"ssl_certificate_key {certs}/{host}.pem; {nginx_location} }}\n")
        return text


class NginxByName(Nginx):
    def blocks(self, certs, count):
        file = f"{certs}/$ssl_server_name.pem"
        return (f"  server {{ listen 127.0.0.1:{self.port} ssl backlog=1024; ssl_certificate {file}; ssl_certificate_key {file}; "
                f"{nginx_location} }}\n")


class Haproxy(Target):
    def configure(self, count):
        self.port = servers.free_port()
        (self.folder / "haproxy.cfg").write_text(f"""global
  nbthread 1
  maxconn 4000
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  http-reuse always
  timeout connect 3s
  timeout client 600s
  timeout server 600s
frontend gate
  bind 127.0.0.1:{self.port} backlog 1024 ssl crt {self.sources[count][0]}
  default_backend origin
backend origin
  server one 127.0.0.1:{self.origin_port} pool-max-conn 64
""")
        return [servers.program("haproxy"), "-f", self.folder / "haproxy.cfg"]


kinds = (("gatehouse", Gatehouse), ("nginx, a server block each", NginxBlocks), ("haproxy, a folder of certificates", Haproxy),
         ("nginx, certificate by name", NginxByName))


def warm_handshakes(client, target, options, seconds):
    out = subprocess.run([servers.program("taskset"), "-c", servers.load_core, client, "handshakes", str(target.port), "full", "1.3", "8",
                          str(seconds), str(options.warm)], stdout=subprocess.PIPE, text=True)
    if out.returncode != 0:
        raise SystemExit(f"the client of {target.label} failed")
    done, took, _ = out.stdout.split()
    return int(done), int(done) / float(took)


def measure(folder, certs, options):
    """{(column, label): [one a round]} for side_by_side.table()."""
    count, results = options.anchors, {}
    sources = {n: folder_of(folder, certs, n) for n in (few, count)}
    time.sleep(2.5)   # files that are only just made are read at every start
    run = servers.temporary_folder()
    targets, origin = [], None

    def note(column, label, one):
        results.setdefault((column, label), []).append(one)
        print(f"  {column}, {label}: {side_by_side.text_of(one)}", flush=True)

    try:
        port = servers.free_port()
        origin = servers.start_origin(run / "origin", port)
        targets = [kind(label, run, port, sources, options) for label, kind in kinds]
        for _ in range(options.rounds):
            for target in targets:
                if isinstance(target, Gatehouse):
                    target.forget()
                target.start(few, servers.both_cores)
                time.sleep(1)
                before = target.memory_kib()
                first = target.start(count, servers.both_cores)
                note("s to the first 200", target.label, {"value": first})
                # The others keep nothing from one start to the next.
                again = target.start(count, servers.both_cores) if isinstance(target, Gatehouse) else first
                note("s, a restart", target.label, {"value": again})
                time.sleep(2)
                each = (target.memory_kib() - before) / (count - few)
                note("KiB a tenant", target.label, {"value": round(each, 2) + 0.0})   # no "-0.00"
                target.stop()
        client = servers.compile_c("client.c", run / "client", "-lssl", "-lcrypto", "-lpthread")
        for target in targets:
            target.start(count, servers.proxy_core)
            warm_handshakes(client, target, options, 2)
        for _ in range(options.rounds):
            for target in targets:
                note("CPU µs a warm handshake and request", target.label,
                     side_by_side.cpu_each(target, lambda: warm_handshakes(client, target, options, 2)))
    finally:
        for target in targets:
            target.stop()
        if origin:
            origin.stop()
        shutil.rmtree(run, ignore_errors=True)
    return results
