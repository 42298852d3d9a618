"""The servers of the measurements: origin and proxies in folders of their own, started pinned to a
core and ended by process id; and wrk, whose answer is read."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

root = pathlib.Path(__file__).resolve().parents[2]
body = "x" * 99 + "\n"
proxy_core, load_core, both_cores = "0", "1", "0,1"
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


def make_certificate(folder, hosts=(host,)):
    """One P-256 certificate for the hosts: chain and key in one file."""
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / f"{hosts[0]}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "30", "-subj", f"/CN={hosts[0]}", "-addext",
                    "subjectAltName=" + ",".join(f"DNS:{one}" for one in hosts)], check=True, capture_output=True)
    both.write_text(cert.read_text() + key.read_text())
    return both


def compile_c(source, output, *flags):
    """A C or C++ program or library from this folder, made with the system's compiler."""
    compiler = ["c++", "-std=c++20"] if source.endswith(".cpp") else ["cc"]
    subprocess.run([program(compiler[0]), *compiler[1:], "-O2", "-Wall", "-Wextra", "-o", output, pathlib.Path(__file__).parent / source, *flags], check=True)
    return output


class Server:
    """A process and its children on one core, or on several. A proxy's has `http` and `https`, its ports."""

    def __init__(self, name, command, core, folder, env=None, ports=(), http=None, https=None):
        self.name, self.folder, self.http, self.https = name, folder, http, https
        self.log = open(folder / f"{name}.log", "wb")
        self.process = subprocess.Popen([program("taskset"), "-c", core, *map(str, command)], cwd=folder,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(env or {})})
        for port in filter(None, (*ports, http, https)):
            self._wait(port)

    def url(self, scheme, path="/"):
        return f"{scheme}://{host}:{getattr(self, scheme)}{path}"

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


def nginx_head(folder, workers=1, connections=4000):
    user = "user root;\n" if os.geteuid() == 0 else ""
    return (f"{user}worker_processes {workers};\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log crit;\n"
            f"worker_rlimit_nofile {connections * 2};\nevents {{ worker_connections {connections + 96}; }}\n"
            f"http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  keepalive_timeout 600s;\n"
            f"  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/f;\n"
            f"  uwsgi_temp_path {folder}/u;\n  scgi_temp_path {folder}/s;\n")


def start_origin(folder, port, core=load_core, before=()):
    """Answers 100 bytes everywhere, 1 MiB at /mib; at /up it reads the whole body before it answers.
    `before`: what stands before its command, such as chrt.

    (`return` alone would answer an upload before its body is there, which no application does.)
    """
    folder.mkdir()
    (folder / "mib").write_bytes(os.urandom(1024 * 1024))
    (folder / "nginx.conf").write_text(nginx_head(folder) + f"""  sendfile on;
  tcp_nopush on;
  open_file_cache max=8;
  upstream itself {{
    server 127.0.0.1:{port};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ default_type text/plain; return 200 "{body.strip()}\\n"; }}
    location = /mib {{ root {folder}; }}
    location = /up {{
      client_max_body_size 2m;
      client_body_buffer_size 1m;
      proxy_pass http://itself/;
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
    }}
  }}
}}
""")
    return Server("origin", [*before, program("nginx"), "-p", folder, "-c", folder / "nginx.conf"], core, folder, ports=[port])


# About the fields of the gate's own line.
nginx_log_format = '''log_format line escape=json '{"time":"$time_iso8601","request_id":"$request_id","tenant":"$server_name",'
    '"method":"$request_method","host":"$host","path":"$uri","status":$status,"upstream":"$upstream_addr",'
    '"bytes_in":$request_length,"bytes_out":$bytes_sent,"connect":"$upstream_connect_time",'
    '"first_byte":"$upstream_header_time","total":$request_time,"tls":"$ssl_protocol","resumed":"$ssl_session_reused",'
    '"client":"$remote_addr"}';'''
haproxy_log_format = ('{"time":"%tr","request_id":"%ID","tenant":"%f","method":"%HM","host":"%[capture.req.hdr(0)]",'
                      '"path":"%HP","status":%ST,"stage":"%ts","upstream":"%si:%sp","attempts":"%rc","bytes_in":%U,'
                      '"bytes_out":%B,"handshake":%Th,"queue":%Tw,"connect":%Tc,"first_byte":%Tr,"total":%Ta,'
                      '"tls":"%sslv","resumed":"%[ssl_fc_is_resumed]","client":"%ci"}')


def start_nginx(folder, origin_port, certificate, *, core=proxy_core, workers=1, connections=4000, log=False, log_options=""):
    """`log`: JSON into a file; `log_options`: what access_log takes besides, such as "buffer=64k"."""
    http, https = free_port(), free_port()
    folder.mkdir()
    access_log = f"access_log {folder}/access.log line {log_options};" if log else ""
    (folder / "nginx.conf").write_text(nginx_head(folder, workers, connections) + f"""  {nginx_log_format}
  upstream origin {{
    server 127.0.0.1:{origin_port};
    keepalive 64;
    keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{http} backlog=1024;
    listen 127.0.0.1:{https} ssl backlog=1024;
    server_name {host};
    {access_log}
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets on;
    client_max_body_size 10m;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
""")
    return Server("nginx", [program("nginx"), "-p", folder, "-c", folder / "nginx.conf"], core, folder, http=http, https=https)


def start_haproxy(folder, origin_port, certificate, *, core=proxy_core, workers=1, connections=4000, log=False):
    """`log`: JSON to standard output, which is a file; HAProxy itself opens none."""
    http, https = free_port(), free_port()
    folder.mkdir()
    fields = ("unique-id-format %{+X}o%ci%cp%fi%fp%Ts%rt%pid\n  capture request header Host len 64\n"
              f"  log stdout format raw local0\n  log-format '{haproxy_log_format}'") if log else "no log"
    (folder / "haproxy.cfg").write_text(f"""global
  nbthread {workers}
  maxconn {connections}
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
frontend gate
  bind 127.0.0.1:{http} backlog 1024
  bind 127.0.0.1:{https} backlog 1024 ssl crt {certificate}
  {fields}
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  default_backend origin
backend origin
  server one 127.0.0.1:{origin_port} pool-max-conn 64
""")
    return Server("haproxy", [program("haproxy"), "-f", folder / "haproxy.cfg"], core, folder, http=http, https=https)


def gatehouse_configuration(folder, origin_port, *, workers=1, connections=4000, log=False, tenants_dir="tenants",
                            certs_dir="certs"):
    """The node's file, with counters and limits on; its ports for HTTP, HTTPS and the admin API."""
    http, https, admin = free_port(), free_port(), free_port()
    (folder / "gatehouse.toml").write_text(f"""[node]
id = "bench"
region = "local"
workers = {workers}
state_dir = "state"
[[listener]]
address = "127.0.0.1:{http}"
tls = false
[[listener]]
address = "127.0.0.1:{https}"
tls = true
[admin]
address = "127.0.0.1:{admin}"
token_file = "admin.token"
[platform]
domain = "platform.test"
default_plan = "pro"
[registry]
tenants_dir = "{tenants_dir}"
[tls]
certs_dir = "{certs_dir}"
[limits]
connections = {connections}
connections_per_client = {connections}
[timeouts]
keep_alive = "600s"
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
access = "{folder / 'access.log' if log else 'off'}"
level = "warn"
""")
    return http, https, admin


def start_gatehouse(folder, origin_port, certificate, binary, *, core=proxy_core, workers=1, connections=4000, log=False, env=None):
    """With one tenant. `log`: the access log into a file, else off."""
    (folder / "tenants").mkdir(parents=True)
    (folder / "certs").mkdir()
    shutil.copy(certificate, folder / "certs" / f"{host}.pem")
    http, https, _ = gatehouse_configuration(folder, origin_port, workers=workers, connections=connections, log=log)
    (folder / "tenants" / "bench.toml").write_text(f'id = "bench"\nname = "Bench"\npool = "origin"\nhosts = ["{host}"]\n')
    return Server("gatehouse", [binary, "serve", "--config", folder / "gatehouse.toml"], core, folder, env=env, http=http, https=https)


def start_redis(folder, port, core=both_cores):
    """Without persistence."""
    folder.mkdir()
    return Server("redis", [program("redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                            "--dir", folder], core, folder, ports=(port,))


def turns(admin_port):
    """{upper bound in seconds: turns of all workers' loops that took at most so long}, as /metrics tells it."""
    found = {}
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=10) as answer:
        for bound, count in re.findall(r'^gatehouse_worker_turn_seconds_bucket\{.*le="([^"]+)"\} (\d+)', answer.read().decode(), re.M):
            found[float(bound)] = found.get(float(bound), 0) + int(count)
    return found


def turn_p999_ms(before, after):
    """The 99.9th percentile of the turns between two looks, by straight line within its bucket."""
    wanted = 0.999 * (after[float("inf")] - before[float("inf")])
    low, below = 0.0, 0
    for bound in sorted(after):
        within = after[bound] - before[bound]
        if within >= wanted:
            return 1000 * (low + (bound - low) * (wanted - below) / (within - below) if bound != float("inf") else low)
        low, below = bound, within
    return 1000 * low


def wrk(url, seconds, connections=64, core=load_core, script=None):
    """Requests done, requests a second; anything but clean 2xx answers ends the run."""
    out = subprocess.run([program("taskset"), "-c", core, program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
                          *(["-s", script] if script else []), url], capture_output=True, text=True, check=True).stdout
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
        # Builds of one version differ; tables of different ones must not pass for one.
        digest = hashlib.sha256(pathlib.Path(binary).read_bytes()).hexdigest()[:8]
        out["gatehouse"] = first([binary, "version"]).removeprefix("gatehouse ") + f" ({digest})"
    return out
