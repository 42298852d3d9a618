"""Secrets: not in a log, an answer, a file that need not have them, nor in the memory of a running node once they were used."""
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import tempfile
import time

import pytest

from kit.certs import Authority
from kit.edge import Edge
from kit.gate import Gate, binary, until
from kit.redis import Redis
from kit.upstream import ScriptedUpstream, ok

password = "hush-0f3a9c-redis-password"
bearer, cookie, query = "Bearer visitor-4be1c7d2", "session=visitor-93ac01", "visitor-token-77d1e5"


def region_key(folder, name):
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.key"
    text = subprocess.run(["openssl", "rand", "-hex", "32"], check=True, capture_output=True, text=True).stdout
    file.write_text(text)
    file.chmod(0o600)
    return file, text.strip()


def key_lines(pem):
    """The lines of base64 of a private key, those that are a line whole."""
    body = re.search("-----BEGIN PRIVATE KEY-----\n(.*?)-----END", pem, re.DOTALL)[1]
    return [line for line in body.splitlines() if len(line) == 64]


def memory(pid):
    """What the process has written to, which is where a secret would stand: pages that are there, in runs."""
    page = os.sysconf("SC_PAGE_SIZE")
    with open(f"/proc/{pid}/smaps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem, open(f"/proc/{pid}/pagemap", "rb", buffering=0) as there:
        ranges = []
        for line in maps:
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+ *(\S*)", line):
                ranges.append((int(found[1], 16), int(found[2], 16)))
            elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line) or line == "Rss:                   0 kB\n" and ranges and ranges[-1]:
                ranges.append(None) if not line.startswith("Rss") else ranges.__setitem__(-1, None)
        for first, last in filter(None, ranges):
            there.seek(first // page * 8)
            run = None
            for at in range(first, last, 1 << 24):
                flags = there.read(min(last - at, 1 << 24) // page * 8)
                for i in range(len(flags) // 8):
                    here = flags[i * 8 + 7] & 0xc0   # in memory, or swapped out
                    if here and run is None:
                        run = at + i * page
                    elif not here and run is not None:
                        mem.seek(run)
                        yield mem.read(at + i * page - run)
                        run = None
            if run is not None:
                mem.seek(run)
                yield mem.read(last - run)


def found_in_memory(pid, secrets):
    needles = {name: text.encode() for name, text in secrets.items()}
    return {name for piece in memory(pid) for name, needle in needles.items() if needle in piece}


def texts_below(folder, but=()):
    return {str(p): p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file() and p.name not in but and p.parent.name != "certs"}


@pytest.fixture
def fleet(tmp_path):
    """A publisher and an edge, with core_dumps so that whoever runs this may read their memory."""
    key, digits = region_key(tmp_path / "keys", "eu-west")
    certs = tmp_path / "certs"
    certs.mkdir()
    authority = Authority(tmp_path / "ca")
    pem = authority.leaf("shop.acme.example", out=certs / "shop.acme.example.pem")
    pem.chmod(0o600)
    upstream = ScriptedUpstream()
    upstream.default = ok(b"fine")
    with Redis(tmp_path / "redis") as redis:
        redis.ask("CONFIG", "SET", "requirepass", password)
        redis.ask("AUTH", password)
        url = tmp_path / "redis.url"
        url.write_text(redis.url.replace("redis://", f"redis://:{password}@") + "\n")
        url.chmod(0o600)
        shared = {"node": {"core_dumps": True}, "platform": {"domain": "apps.example"}}
        publisher = Gate(tmp_path / "center", {"main": [upstream.address]}, {"acme": {"pool": "main", "hosts": ["shop.acme.example"]}},
                         {**shared, "registry": {"redis": {"url_file": str(url)}}, "regions": {"eu-west": {"key_file": str(key)}}}, certs=certs)
        with publisher:
            until(lambda: publisher.admin_json("/v1/node")["publisher"]["state"] == "current", 10)
            edge = Edge(tmp_path / "edge-1", redis.url.replace("redis://", f"redis://:{password}@"), tmp_path / "keys", settings={"node": {"core_dumps": True}})
            with edge:
                until(lambda: edge.admin("GET", "/v1/tenants/acme")[0] == 200, 10)
                yield publisher, edge, authority, digits, pem.read_text()
    upstream.stop()


def test_nothing_keeps_or_tells_a_secret(fleet):
    publisher, edge, authority, digits, pem = fleet
    secrets = {"region key": digits, **{f"key of a certificate, line {i}": line for i, line in enumerate(key_lines(pem))}}
    answers = []

    def ask(gate, method, path, body=None, token="own", type_="application/json"):
        status, text, fields = gate.admin(method, path, token=token, body=body, fields={"Content-Type": type_} if body else {}, timeout=20)
        answers.append(text + str(fields))
        return status, text

    # Traffic over TLS on both, with what visitors keep to themselves.
    for gate in (publisher, edge):
        secrets[f"token of {gate.folder.name}"] = gate.token()
        for _ in range(3):
            with gate.tls_client("shop.acme.example", authority.cert) as client:
                answer = client.get(f"/private?token={query}", host="shop.acme.example", fields=[("Authorization", bearer), ("Cookie", cookie)])
                assert answer.status == 200
    # The API: tokens made, used, wrong; a certificate put, a tenant with its keys taken along.
    status, text = ask(publisher, "POST", "/v1/tenants", json.dumps({"id": "globex", "pool": "main", "hosts": ["globex.example"]}))
    assert status == 201
    made = []
    for role in ({"role": "platform-viewer"}, {"role": "tenant-admin", "tenant": "globex"}):
        status, text = publisher.admin("POST", "/v1/tokens", body=json.dumps(role), fields={"Content-Type": "application/json"})[:2]
        assert status == 201
        made.append(json.loads(text)["token"])
        secrets[f"token made for {role['role']}"] = made[-1].rsplit("_", 1)[1]
    assert ask(publisher, "GET", "/v1/tenants", token=made[0])[0] == 200
    assert ask(publisher, "GET", "/v1/tenants/globex", token=made[1])[0] == 200
    assert ask(publisher, "GET", "/v1/tenants/globex", token=made[1][:-1] + "x")[0] == 401
    put = authority.leaf("globex.example").read_text()
    secrets.update({f"key put by the API, line {i}": line for i, line in enumerate(key_lines(put))})
    assert ask(publisher, "PUT", "/v1/tenants/globex/certificates/globex.example", put, type_="application/x-pem-file")[0] == 200
    archive = publisher.admin("GET", "/v1/tenants/globex/export?keys=1", timeout=20)
    assert archive[0] == 200 and key_lines(put)[0] in archive[1]
    with publisher.tls_client("globex.example", authority.cert) as client:
        assert client.get("/", host="globex.example").status == 200
    for path in ("/v1/node", "/v1/tenants", "/v1/tokens", "/v1/pools", "/v1/certificates", "/metrics", "/v1/openapi.json", "/v1/nothing"):
        ask(publisher, "GET", path)
        ask(edge, "GET", path)
    assert ask(publisher, "POST", "/v1/reload")[0] == 200
    for out in (publisher.run("tenant", "list"), publisher.run("token", "list"), publisher.run("cert", "list"), publisher.run("check")):
        answers.append(out.stdout + out.stderr)
    publisher.signal(signal.SIGHUP)
    until(lambda: publisher.stderr().count("reload") >= 1, 5)
    publisher.access_lines(at_least=4)

    told = {"redis password": password, "visitor's bearer": bearer, "visitor's cookie": cookie, "visitor's query": query, **secrets}
    for gate in (publisher, edge):
        logs = {"standard error": gate.stderr().encode(), "standard output": "".join(gate.stdout_lines).encode(),
                "answers": "\n".join(answers).encode(),
                **texts_below(gate.folder, but={"admin.token", "region.key", "gatehouse.toml"})}
        for where, text in logs.items():
            for name, secret in told.items():
                assert secret.encode() not in text, f"{name} stands in {where} of {gate.folder.name}"

    # A buffer of the admin connection goes when the connection goes.
    for gate in (publisher, edge):
        if not os.environ.get("GATEHOUSE_SLOW"):   # a sanitizer keeps what was freed, and much beside
            for _ in range(8):   # a reload or a connection may be under way still
                if not (found := found_in_memory(gate.process.pid, secrets)):
                    break
                time.sleep(0.5)
            assert found == set(), f"in the memory of {gate.folder.name}"
        # That this looks where they would be: the password is needed for as long as the node may have to log in again.
        assert found_in_memory(gate.process.pid, {"redis password": password}) == {"redis password"}


def ends_with_a_core(gate):
    """Whether the kernel wrote one, of a node that was ended as a crash ends it."""
    pid = gate.process.pid
    os.kill(pid, signal.SIGABRT)
    _, status = os.waitpid(pid, 0)
    gate.process.returncode = -signal.SIGABRT
    gate.process = None
    for core in gate.folder.glob("core*"):
        core.unlink()
    return os.WCOREDUMP(status)


def test_a_crash_leaves_no_core_unless_asked_for(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        asked = Gate(tmp_path / "asked", {"main": ["127.0.0.1:9"]}, {}, {"node": {"core_dumps": True}}).start()
        limits = pathlib.Path(f"/proc/{asked.process.pid}/limits").read_text()
        dumps = ends_with_a_core(asked)
        gate = Gate(tmp_path / "usual", {"main": ["127.0.0.1:9"]}, {}).start()
        assert re.search(r"^Max core file size +0 +0 ", pathlib.Path(f"/proc/{gate.process.pid}/limits").read_text(), re.MULTILINE)
        assert not ends_with_a_core(gate)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert hard == 0 or not re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
    if not dumps:
        pytest.skip("this machine writes no core files at all")


def test_files_with_secrets_are_their_owners_alone(tmp_path):
    key, _ = region_key(tmp_path / "keys", "eu-west")
    certs = tmp_path / "certs"
    certs.mkdir()
    pem = Authority(tmp_path / "ca").leaf("acme.localhost", out=certs / "acme.localhost.pem")
    pem.chmod(0o644)
    with tempfile.TemporaryDirectory() as folder, \
            Gate(pathlib.Path(folder) / "gate", {"main": ["127.0.0.1:9"]}, {"acme": {"pool": "main"}},
                 {"regions": {"eu-west": {"key_file": str(key)}}}, certs=certs) as gate:
        # Of a certificate it is told, once for all of them, and only where others can enter the folder.
        until(lambda: "acme.localhost" in json.dumps(gate.admin_json("/v1/certificates")), 5)
        assert "others than their owner" not in gate.stderr()
        pathlib.Path(folder).chmod(0o711)
        assert gate.run("reload", "--config", str(gate.config)).returncode == 0
        until(lambda: f"chmod 600 {gate.certs_dir / pem.name}" in gate.stderr(), 5)
        token = gate.folder / "admin.token"
        for file, what in ((key, "regions.eu-west.key_file"), (token, "admin.token_file")):
            file.chmod(0o640)
            status, text, _ = gate.admin("POST", "/v1/reload")
            assert status == 409 and what in text and f"chmod 600 {file}" in text, text
            checked = gate.run("check", "--config", str(gate.config))
            assert checked.returncode == 1 and f"chmod 600 {file}" in checked.stdout + checked.stderr
            again = subprocess.run([binary(), "serve", "--config", str(gate.config)], capture_output=True, text=True, timeout=20)
            assert again.returncode == 1 and f"chmod 600 {file}" in again.stderr
            file.chmod(0o600)
        assert gate.admin("POST", "/v1/reload")[0] == 200
