"""The servers of the measurements: origin and proxies in folders of their own, started pinned to a
core and ended by process id; and wrk, whose answer is read."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

root = pathlib.Path(__file__).resolve().parents[2]
body = "x" * 99 + "\n"
proxy_core, load_core = "0", "1"
host = "localhost"   # what wrk can resolve everywhere; the gate's tenant answers at it
ticks_per_s = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")
    if not found:
        raise SystemExit(f"{name} is not installed: scripts/install-deps bench")
    return found


def make_certificate(folder):
    """One P-256 certificate for `host`: chain and key in one file."""
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / f"{host}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "30", "-subj", f"/CN={host}", "-addext",
                    f"subjectAltName=DNS:{host}"], check=True, capture_output=True)
    both.write_text(cert.read_text() + key.read_text())
    return both


class Server:
    """A process and its children on one core."""

    def __init__(self, name, command, core, folder, env=None, ports=()):
        self.name, self.folder = name, folder
        self.log = open(folder / f"{name}.log", "wb")
        self.process = subprocess.Popen([program("taskset"), "-c", core, *map(str, command)], cwd=folder,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(env or {})})
        for port in ports:
            self._wait(port)

    def _wait(self, port):
        for _ in range(400):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.025)
        text = (self.folder / f"{self.name}.log").read_text(errors="replace")
        self.stop()
        raise SystemExit(f"{self.name} does not listen on {port}:\n{text}")

    def tree(self):
        """The process and all below it."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    parts = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                except OSError:
                    continue
                children.setdefault(int(parts[1]), []).append(int(entry))
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += children.get(pid, [])
        return found

    def cpu_s(self):
        """(user, system) seconds of the tree so far."""
        user = system = 0
        for pid in self.tree():
            try:
                parts = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            user += int(parts[11])
            system += int(parts[12])
        return user / ticks_per_s, system / ticks_per_s

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def nginx_head(folder, workers=1):
    user = "user root;\n" if os.geteuid() == 0 else ""
    return (f"{user}worker_processes {workers};\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log crit;\n"
            "worker_rlimit_nofile 8192;\nevents { worker_connections 4096; }\n"
            f"http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\n"
            f"  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/f;\n"
            f"  uwsgi_temp_path {folder}/u;\n  scgi_temp_path {folder}/s;\n")


def start_origin(folder, port, core=load_core):
    folder.mkdir()
    (folder / "nginx.conf").write_text(nginx_head(folder) + f"""  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ default_type text/plain; return 200 "{body.strip()}\\n"; }}
  }}
}}
""")
    return Server("origin", [program("nginx"), "-p", folder, "-c", folder / "nginx.conf"], core, folder, ports=[port])


def start_nginx(folder, origin_port, http_port, https_port, certificate):
    folder.mkdir()
    (folder / "nginx.conf").write_text(nginx_head(folder) + f"""  upstream origin {{
    server 127.0.0.1:{origin_port};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{http_port} backlog=1024;
    listen 127.0.0.1:{https_port} ssl backlog=1024;
    server_name {host};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets on;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
""")
    return Server("nginx", [program("nginx"), "-p", folder, "-c", folder / "nginx.conf"], proxy_core, folder,
                  ports=[http_port, https_port])


def start_haproxy(folder, origin_port, http_port, https_port, certificate):
    folder.mkdir()
    (folder / "haproxy.cfg").write_text(f"""global
  nbthread 1
  maxconn 4000
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always
  timeout connect 3s
  timeout client 600s
  timeout server 600s
  timeout http-keep-alive 600s
  no log
frontend gate
  bind 127.0.0.1:{http_port} backlog 1024
  bind 127.0.0.1:{https_port} backlog 1024 ssl crt {certificate}
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  default_backend origin
backend origin
  server one 127.0.0.1:{origin_port} pool-max-conn 64
""")
    return Server("haproxy", [program("haproxy"), "-f", folder / "haproxy.cfg"], proxy_core, folder,
                  ports=[http_port, https_port])


def start_gatehouse(folder, origin_port, http_port, https_port, certificate, binary, env=None):
    """With counters and limits on, the access log off."""
    (folder / "tenants").mkdir(parents=True)
    (folder / "certs").mkdir()
    shutil.copy(certificate, folder / "certs" / f"{host}.pem")
    (folder / "gatehouse.toml").write_text(f"""[node]
id = "bench"
region = "local"
workers = 1
state_dir = "state"
[[listener]]
address = "127.0.0.1:{http_port}"
tls = false
[[listener]]
address = "127.0.0.1:{https_port}"
tls = true
[admin]
address = "127.0.0.1:{free_port()}"
token_file = "admin.token"
[platform]
domain = "platform.test"
default_plan = "pro"
[registry]
tenants_dir = "tenants"
[tls]
certs_dir = "certs"
[limits]
connections = 4000
connections_per_client = 4000
[timeouts]
drain = "1s"
[plans.pro]
rate = "1000000/s"
burst = 1000000
concurrency = 10000
connections = 10000
max_body = "10MiB"
[pools.origin]
endpoints = [ {{ address = "127.0.0.1:{origin_port}" }} ]
[log]
access = "off"
level = "warn"
""")
    (folder / "tenants" / "bench.toml").write_text(f'id = "bench"\nname = "Bench"\npool = "origin"\nhosts = ["{host}"]\n')
    return Server("gatehouse", [binary, "serve", "--config", folder / "gatehouse.toml"], proxy_core, folder, env=env,
                  ports=[http_port, https_port])


def wrk(url, seconds, connections=64):
    """Requests done, requests a second; anything but clean 2xx answers ends the run."""
    out = subprocess.run([program("taskset"), "-c", load_core, program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
                          url], capture_output=True, text=True, check=True).stdout
    done = re.search(r"(\d+) requests in", out)
    if not done or "Non-2xx" in out or int(done[1]) == 0:
        raise SystemExit(f"wrk was not answered in order at {url}:\n{out}")
    errors = re.search(r"Socket errors: (.*)", out)
    if errors and not re.fullmatch(r"connect 0, read 0, write 0, timeout 0", errors[1]):
        print(f"  note: {errors[1]} at {url}")
    return int(done[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def temporary_folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-bench-"))
    path.chmod(0o755)
    return path


def machine():
    """One line about where this was measured."""
    model = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release.split('-')[0]}"


def versions(binary):
    def first(command):
        result = subprocess.run(command, capture_output=True, text=True)
        return (result.stdout + result.stderr).strip().splitlines()[0]
    out = {"nginx": first([program("nginx"), "-v"]).split("/")[-1],
           "haproxy": re.search(r"version (\S+)", first([program("haproxy"), "-v"]))[1].split("-")[0]}
    if pathlib.Path(binary).exists():
        out["gatehouse"] = first([binary, "version"]).removeprefix("gatehouse ")
    return out
