"""gatehouse, nginx and HAProxy for two tenants side by side and many more with certificates of their own, with
the limits an operator would set: the same rate, burst, requests in flight and deadlines on all three."""
import shutil

import servers

quiet, loud = "quiet.example", "loud.example"
rate, burst, in_flight, connections = 1000, 200, 1200, 8000


class Place:
    """What the proxies are set up with: certificates and the two applications."""

    def __init__(self, folder, cold_certs, cold_count, quiet_port, loud_port):
        self.folder, self.quiet_port, self.loud_port = folder, quiet_port, loud_port
        self.certs = folder / "certs"
        self.certs.mkdir()
        one = servers.make_certificate(folder, [quiet, loud])
        for name in (quiet, loud):
            shutil.copy(one, self.certs / f"{name}.pem")
        self.cold = [f"www.customer-{number:06}.example" for number in range(cold_count)]
        for name in self.cold:
            shutil.copy(cold_certs / f"{name}.pem", self.certs / f"{name}.pem")


def start_gatehouse(place, binary):
    """A tenant each; the certificates of a fourth of the others fit into the cache, so that a scan finds none."""
    folder = place.folder / "gatehouse"
    tenants = folder / "tenants"
    tenants.mkdir(parents=True)
    https, admin = servers.free_port(), servers.free_port()
    for name, pool, host in [("quiet", "quiet", quiet), ("loud", "loud", loud),
                             *((f"cold-{i}", "loud", host) for i, host in enumerate(place.cold))]:
        (tenants / f"{name}.toml").write_text(f'id = "{name}"\npool = "{pool}"\nhosts = ["{host}"]\n')
    (folder / "gatehouse.toml").write_text(f"""[node]
id = "bench"
region = "local"
workers = 1
state_dir = "state"
[[listener]]
address = "127.0.0.1:{https}"
tls = true
[admin]
address = "127.0.0.1:{admin}"
token_file = "admin.token"
[platform]
domain = "platform.test"
default_plan = "standard"
[registry]
tenants_dir = "tenants"
[tls]
certs_dir = "{place.certs}"
cache_certs = {max(2, len(place.cold) // 4)}
[limits]
connections = {connections}
connections_per_client = {connections}
[timeouts]
request_head = "10s"
keep_alive = "60s"
drain = "1s"
[plans.standard]
rate = "{rate}/s"
burst = {burst}
concurrency = {in_flight}
connections = {connections}
max_body = "10MiB"
[pools.quiet]
endpoints = [ {{ address = "127.0.0.1:{place.quiet_port}" }} ]
[pools.loud]
endpoints = [ {{ address = "127.0.0.1:{place.loud_port}" }} ]
[log]
access = "off"
level = "warn"
""")
    return servers.Server("gatehouse", [binary, "serve", "--config", folder / "gatehouse.toml"], servers.proxy_core, folder, https=https)


def start_nginx(place, _):
    """A server block for each of the two; one for all others, with the certificate by the server name."""
    folder, https = place.folder / "nginx", servers.free_port()
    folder.mkdir()

    def server(names, certificate, upstream, listen):
        return f"""  server {{
    listen 127.0.0.1:{https} ssl {listen};
    server_name {names};
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location / {{ proxy_pass http://{upstream}; }}
  }}
"""
    (folder / "nginx.conf").write_text(
        servers.nginx_head(folder, connections=connections) + f"""  limit_req_zone $host zone=rates:16m rate={rate}r/s;
  limit_conn_zone $host zone=in_flight:16m;
  limit_req zone=rates burst={burst} nodelay;
  limit_req_status 429;
  limit_conn in_flight {in_flight};
  limit_conn_status 429;
  client_header_timeout 10s;
  client_max_body_size 10m;
  ssl_protocols TLSv1.2 TLSv1.3;
  proxy_http_version 1.1;
  proxy_request_buffering off;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  upstream quiet {{ server 127.0.0.1:{place.quiet_port}; keepalive 64; keepalive_requests 1000000000; }}
  upstream loud {{ server 127.0.0.1:{place.loud_port}; keepalive 256; keepalive_requests 1000000000; }}
""" + server(quiet, place.certs / f"{quiet}.pem", "quiet", "backlog=1024")
        + server(loud, place.certs / f"{loud}.pem", "loud", "")
        + server("_", f"{place.certs}/$ssl_server_name.pem", "loud", "default_server") + "}\n")
    return servers.Server("nginx", [servers.program("nginx"), "-p", folder, "-c", folder / "nginx.conf"], servers.proxy_core, folder,
                          https=https)


def start_haproxy(place, _):
    """Stick table by host; a folder of certificates, all read at the start."""
    folder, https = place.folder / "haproxy", servers.free_port()
    folder.mkdir()
    (folder / "haproxy.cfg").write_text(f"""global
  nbthread 1
  maxconn {connections}
  tune.ssl.default-dh-param 2048
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  option http-keep-alive
  option forwardfor
  http-reuse always
  timeout connect 3s
  timeout client 30s
  timeout server 30s
  timeout http-request 10s
  timeout http-keep-alive 60s
frontend gate
  bind 127.0.0.1:{https} backlog 1024 ssl crt {place.certs}
  no log
  stick-table type string len 64 size 100k expire 10s store http_req_rate(1s),conn_cur
  http-request track-sc0 req.hdr(host),lower
  http-request deny deny_status 429 if {{ sc0_http_req_rate gt {rate + burst} }}
  http-request deny deny_status 429 if {{ sc0_conn_cur gt {in_flight} }}
  http-request deny deny_status 413 if {{ req.body_size gt 10485760 }}
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  use_backend quiet if {{ req.hdr(host) -i {quiet} }}
  default_backend loud
backend quiet
  server one 127.0.0.1:{place.quiet_port}
backend loud
  server one 127.0.0.1:{place.loud_port}
""")
    return servers.Server("haproxy", [servers.program("haproxy"), "-f", folder / "haproxy.cfg"], servers.proxy_core, folder, https=https)


start = {"gatehouse": start_gatehouse, "nginx": start_nginx, "haproxy": start_haproxy}
