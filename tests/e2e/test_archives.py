"""A tenant taken along: export, import, backup, restore, and certificates by the API, between real installations."""
import concurrent.futures
import hashlib
import http.client
import io
import json
import tarfile
import threading

import pytest

from kit.certs import Authority
from kit.gate import until
from kit.upstream import ScriptedUpstream, ok


@pytest.fixture
def installation(build, tmp_path):
    def make(name="here", **settings):
        upstream = ScriptedUpstream()
        upstream.default = ok(name.encode())
        certs = tmp_path / f"certs-{name}"
        certs.mkdir()
        Authority(certs / "ca").leaf(["*.localhost", "localhost"], out=certs / "_.localhost.pem")
        site = build(upstream=upstream, tenants={"filed": {"pool": "main", "hosts": ["filed.example"]}}, certs=certs,
                     settings={"plans": {"pro": {"concurrency": 50}, "free": {}}, **settings})
        site.certs = certs
        return site
    return make


def send(site, method, path, body=None, token="own", type_="application/json"):
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    sent = {"Content-Type": type_} if body is not None else {}
    status, text, _ = site.gate.admin(method, path, token=token, body=body, fields=sent, timeout=30)
    return status, json.loads(text)


def download(site, path, token="own"):
    connection = http.client.HTTPConnection("127.0.0.1", site.gate.admin_port, timeout=30)
    connection.request("GET", path, headers={"Authorization": "Bearer " + (site.gate.token() if token == "own" else token)})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def files(archive):
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}


def status_of(site, host):
    with site.client() as client:
        return client.get("/", host=host).status


def a_tenant(site):
    assert send(site, "POST", "/v1/tenants", {"id": "acme", "pool": "main", "plan": "pro", "hosts": ["shop.example"], "owner": "ada@acme.example",
                                              "limits": {"rate": "50/s"}, "branding": {"color": "#0a5"}})[0] == 201
    assert send(site, "PUT", "/v1/tenants/acme/users/bob@acme.example", {"role": "member", "name": "B\u00f6b"})[0] == 201
    assert send(site, "PATCH", "/v1/tenants/acme", {"name": "Acm\u00e9"})[0] == 200
    assert status_of(site, "shop.example") == 200


def test_from_one_installation_to_another(installation):
    here, there = installation("here"), installation("there")
    a_tenant(here)
    pem = Authority(here.certs / "ca2").leaf(["shop.example"]).read_bytes()
    assert send(here, "PUT", "/v1/tenants/acme/certificates/shop.example", pem, type_="application/x-pem-file")[0] == 200
    status, archive = download(here, "/v1/tenants/acme/export?keys=1")
    assert status == 200
    one = files(archive)
    manifest = json.loads(one["manifest.json"])
    assert {f["name"]: f["sha256"] for f in manifest["files"]} == {n: hashlib.sha256(b).hexdigest() for n, b in one.items() if n != "manifest.json"}
    status, made = send(there, "POST", "/v1/tenants/import", archive, type_="application/x-tar")
    assert status == 201, made
    assert made["imported"]["certificates"] == 1 and made["imported"]["certificates_missing"] == []
    status, again = download(there, "/v1/tenants/acme/export?keys=1")   # before traffic, which is usage of its own
    other = files(again)
    for name in ("tenant.json", "users.json", "usage.json", "hosts.json", "certificates/shop.example.pem"):
        assert one[name] == other[name], name
    assert status_of(there, "shop.example") == 200
    with there.gate.tls_client("shop.example", ca=here.certs / "ca2" / "kit-ca.pem") as client:
        assert client.get("/", host="shop.example").status == 200
    # The log came along whole, and goes on.
    before, after = json.loads(one["audit.json"]), json.loads(other["audit.json"])
    assert after[:len(before)] == before
    assert [r["action"] for r in after[len(before):]] == ["created", "imported", "certificate-set"]
    assert json.loads(after[-2]["after"])["sha256"] == hashlib.sha256(archive).hexdigest()
    assert there.gate.run("audit", "verify").returncode == 0
    there.gate.kill()
    there.gate.start()
    assert files(download(there, "/v1/tenants/acme/export?keys=1")[1])["users.json"] == one["users.json"]
    # Under another name: its people and settings, a log of its own, and its host is somebody's.
    status, refused = send(there, "POST", "/v1/tenants/import?id=globex", archive, type_="application/x-tar")
    assert status == 409 and "shop.example" in json.dumps(refused)
    assert send(there, "POST", "/v1/tenants/import", archive, type_="application/x-tar")[0] == 409
    assert send(there, "DELETE", "/v1/tenants/acme?grace=0s")[0] == 202
    third = installation("third")
    status, made = send(third, "POST", "/v1/tenants/import?id=globex", archive, type_="application/x-tar")
    assert status == 201 and made["id"] == "globex"
    assert status_of(third, "globex.localhost") == 200
    assert {u["email"] for u in send(third, "GET", "/v1/tenants/globex/users")[1]["users"]} == {"ada@acme.example", "bob@acme.example"}
    assert third.gate.run("audit", "verify").returncode == 0


def test_what_was_touched_is_not_brought_in(installation):
    site = installation()
    a_tenant(site)
    archive = download(site, "/v1/tenants/acme/export")[1]
    assert b"PRIVATE KEY" not in archive
    for wrong in (archive.replace(b'"rate":"50/s"', b'"rate":"99/s"'), archive[:-2048], b"hello", archive[:1000]):
        status, said = send(site, "POST", "/v1/tenants/import?id=copy", wrong, type_="application/x-tar")
        assert status == 422 and said["detail"].startswith("It cannot be brought in: "), said
    assert send(site, "GET", "/v1/tenants/copy")[0] == 404
    # Who may not has little to send: told by the head alone.
    connection = http.client.HTTPConnection("127.0.0.1", site.gate.admin_port, timeout=10)
    connection.putrequest("POST", "/v1/tenants/import")
    connection.putheader("Authorization", "Bearer gh_nobody")
    connection.putheader("Content-Length", "2000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    for path in ("/v1/tenants/acme/backups/..%2F..%2Fcentral.db", "/v1/tenants/acme/backups/nothing", "/v1/tenants/nobody/backups"):
        assert download(site, path)[0] == 404


def test_a_backup_brings_one_tenant_back(installation):
    site = installation()
    a_tenant(site)
    out = site.gate.run("tenant", "backup", "acme")
    assert out.returncode == 0, out.stderr
    listed = send(site, "GET", "/v1/tenants/acme/backups")[1]["backups"]
    assert len(listed) == 1
    site.gate.run("tenant", "backup", "acme")
    assert len(send(site, "GET", "/v1/tenants/acme/backups")[1]["backups"]) == 1        # nothing was changed
    good = files(download(site, f"/v1/tenants/acme/backups/{listed[0]['name']}")[1])
    # Spoilt in every way: then back, while others are served.
    send(site, "PATCH", "/v1/tenants/acme", {"hosts": [], "plan": None, "branding": None, "limits": {"rate": "1/s", "burst": 1}, "hsts": "1d"})
    send(site, "DELETE", "/v1/tenants/acme/users/bob@acme.example")
    send(site, "PUT", "/v1/tenants/acme/users/eve@rival.example", {"role": "owner"})
    send(site, "POST", "/v1/tenants/acme/suspend", {"reason": "abuse"})
    assert status_of(site, "shop.example") == 404
    seen = []
    stop = threading.Event()

    def others():
        with site.client() as client:
            while not stop.is_set():
                seen.append(client.get("/", host="filed.example").status)
    thread = threading.Thread(target=others)
    thread.start()
    assert send(site, "POST", "/v1/tenants/acme/restore?dry_run=yes")[0] == 400
    assert send(site, "POST", "/v1/tenants/acme/restore?dry_run=true")[1]["dry_run"] is True
    out = site.gate.run("tenant", "restore", "acme", "--dry-run")
    assert out.returncode == 0 and "would be" in out.stdout
    assert status_of(site, "shop.example") == 404
    out = site.gate.run("tenant", "restore", "acme")
    stop.set()
    thread.join()
    assert out.returncode == 0, out.stderr
    assert set(seen) == {200}
    assert status_of(site, "shop.example") == 200
    now = files(download(site, "/v1/tenants/acme/export")[1])
    assert now["tenant.json"] == good["tenant.json"] and now["hosts.json"] == good["hosts.json"]
    people = lambda f: [(u["email"], u["role"], u["name"]) for u in json.loads(f["users.json"])]
    assert people(now) == people(good)
    assert "restored" in [r["action"] for r in json.loads(now["audit.json"])]
    # One that is gone for good comes back under its id, too.
    assert send(site, "DELETE", "/v1/tenants/acme?grace=0s")[0] == 202
    until(lambda: status_of(site, "shop.example") in (404, 410), seconds=5)
    until(lambda: send(site, "POST", "/v1/tenants/acme/restore")[0] in (200, 201), seconds=5, pause=0.2)
    assert status_of(site, "shop.example") == 200
    assert site.gate.run("audit", "verify").returncode == 0


def test_a_restore_and_a_new_user_do_not_cross(installation):
    site = installation()
    a_tenant(site)
    assert send(site, "POST", "/v1/tenants/acme/backup")[0] == 201
    stop = threading.Event()
    restored = []

    def restores():
        while not stop.is_set():
            restored.append(send(site, "POST", "/v1/tenants/acme/restore")[0])
    thread = threading.Thread(target=restores)
    thread.start()
    added = [f"u{i}@acme.example" for i in range(200)]
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        made = list(several.map(lambda email: send(site, "PUT", f"/v1/tenants/acme/users/{email}", {"role": "member"})[0], added))
    stop.set()
    thread.join()
    assert restored and set(restored) == {200} and set(made) == {201}
    # The log told again: each restore removed whoever was added before it, none was added while it was at it.
    rows = send(site, "GET", "/v1/tenants/acme/audit?limit=1000")[1]["rows"][::-1]
    assert rows[0]["number"] == 1
    there, to_remove, by = set(), set(), None
    for r in rows:
        if by is not None and r["request_id"] != by:
            assert not to_remove, f"a restore knew nothing of {to_remove}"
            by = None
        if r["action"] == "restored":
            to_remove, by = there & set(added), r["request_id"]
        elif r["action"] == "user-set":
            there.add(r["after"]["email"])
        elif r["action"] == "user-removed":
            there.discard(r["before"]["email"])
            to_remove.discard(r["before"]["email"])
    assert not to_remove
    assert there == {u["email"] for u in send(site, "GET", "/v1/tenants/acme/users")[1]["users"]}


def test_backups_on_a_schedule_and_how_many_are_kept(installation):
    site = installation(backup={"every": "300ms", "keep": 2})
    a_tenant(site)
    names = lambda: [b["name"] for b in send(site, "GET", "/v1/tenants/acme/backups")[1]["backups"]]
    until(lambda: len(names()) >= 1, seconds=10, pause=0.1)
    first = names()[-1]
    for i in range(4):
        last = names()[0]
        send(site, "PATCH", "/v1/tenants/acme", {"name": f"n{i}"})
        until(lambda: names()[0] != last, seconds=10, pause=0.1)
        until(lambda: len(names()) <= 2, seconds=10, pause=0.1)     # the older ones go after the new one is there
    assert first not in names()
    # Those that are asked for are counted apart: they push none out that were made on schedule.
    site.gate.settings["backup"]["every"] = "0s"
    site.gate.write_settings()
    assert site.gate.run("reload").returncode == 0
    on_schedule = names()
    made = []
    for i in range(4):
        send(site, "PATCH", "/v1/tenants/acme", {"name": f"asked{i}"})
        made.append(send(site, "POST", "/v1/tenants/acme/backup")[1]["name"])
    assert names() == [made[3], made[2], *on_schedule] and not set(made) & set(on_schedule)
    # Each kind has its own newest: who asks is not given one that the schedule takes away.
    site.gate.settings["backup"]["every"] = "300ms"
    site.gate.write_settings()
    assert site.gate.run("reload").returncode == 0
    send(site, "PATCH", "/v1/tenants/acme", {"name": "both"})
    until(lambda: not names()[0].endswith("-asked.tar"), seconds=10, pause=0.1)
    kept = send(site, "POST", "/v1/tenants/acme/backup")[1]["name"]
    assert kept.endswith("-asked.tar") and kept in names()
    assert send(site, "POST", "/v1/tenants/acme/backup")[1]["name"] == kept
    assert site.gate.run("tenant", "backup", "--all").returncode == 0
    assert len(list((site.gate.folder / "state/backups/filed").glob("*.tar"))) >= 1      # of files too
    assert all(f.stat().st_mode & 0o077 == 0 for f in (site.gate.folder / "state/backups").rglob("*.tar"))
    token = send(site, "POST", "/v1/tokens", {"role": "tenant-admin", "tenant": "acme"})[1]["token"]
    assert download(site, f"/v1/tenants/acme/backups/{names()[0]}", token)[0] == 200
    assert download(site, "/v1/tenants/filed/backups", token)[0] == 404
    assert download(site, "/v1/tenants/acme/export?keys=1", token)[0] == 403
    assert send(site, "POST", "/v1/tenants/acme/restore", token=token)[0] == 403


def test_keys_in_backups_are_the_platforms_to_take_along(installation, tmp_path):
    site = installation(backup={"every": "0s", "keys": "on"})
    a_tenant(site)
    ca = Authority(tmp_path / "ca")
    put = lambda: send(site, "PUT", "/v1/tenants/acme/certificates/shop.example", ca.leaf(["shop.example"]).read_bytes(), type_="application/x-pem-file")[0]
    assert put() == 200
    status, made = send(site, "POST", "/v1/tenants/acme/backup")
    assert status == 201, made
    path = f"/v1/tenants/acme/backups/{made['name']}"
    token = send(site, "POST", "/v1/tokens", {"role": "tenant-admin", "tenant": "acme"})[1]["token"]
    whole, shown = files(download(site, path)[1]), files(download(site, path, token)[1])
    pem = "certificates/shop.example.pem"
    assert b"PRIVATE KEY" in whole[pem] and whole[pem].startswith(shown[pem]) and b"PRIVATE KEY" not in shown[pem]
    assert all(whole[name] == shown[name] for name in whole if name not in (pem, "manifest.json"))
    manifest = json.loads(shown["manifest.json"])
    assert {f["name"]: f["sha256"] for f in manifest["files"]} == {n: hashlib.sha256(b).hexdigest() for n, b in shown.items() if n != "manifest.json"}
    # A restore leaves a certificate that was renewed since; where there is none, it puts the old one, and says so.
    file = site.gate.certs_dir / "shop.example.pem"
    old = file.read_bytes()
    assert put() == 200
    new = file.read_bytes()
    status, said = send(site, "POST", "/v1/tenants/acme/restore")
    assert status == 200 and said["restored"]["certificates_kept"] == ["shop.example"] and file.read_bytes() == new != old
    file.unlink()
    status, said = send(site, "POST", "/v1/tenants/acme/restore", {"backup": made["name"]})
    assert status == 200 and said["restored"]["certificates"] == 1 and file.read_bytes() == old
    assert send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"][0]["action"] == "certificate-set"


def test_a_strict_tenants_copies_stay_in_its_region(installation):
    site = installation(regions={"us-east": {"address": "127.0.0.1:1"}})
    status, made = send(site, "POST", "/v1/tenants", {"id": "strict", "region": "us-east", "residency": "strict", "pool": "main"})
    assert status == 201, made
    status, said = send(site, "POST", "/v1/tenants/strict/backup")
    assert status == 503 and "us-east" in said["detail"]
    assert download(site, "/v1/tenants/strict/export")[0] == 503
    out = site.gate.run("tenant", "backup", "--all")
    assert out.returncode == 1 and "1 tenants are copied, 1 are not" in out.stdout
    assert not (site.gate.folder / "state/backups/strict").exists()


def test_certificates_by_the_api(installation, tmp_path):
    site = installation()
    a_tenant(site)
    ca = Authority(tmp_path / "ca")
    path = "/v1/tenants/acme/certificates/shop.example"
    put = lambda pem, path=path: send(site, "PUT", path, pem, type_="application/x-pem-file")
    good = ca.leaf(["shop.example"])
    for wrong, word in ((b"nothing", "certificate"), (ca.leaf(["other.example"]).read_bytes(), "other.example"),
                        (good.read_bytes().split(b"-----BEGIN PRIVATE")[0], "key")):
        status, said = put(wrong)
        assert status == 422 and word in said["detail"], said
    assert put(good.read_bytes(), "/v1/tenants/acme/certificates/filed.example")[0] == 404       # not its host
    (site.gate.certs_dir / "shop.example.pem").mkdir()                                           # the folder takes none
    status, said = put(good.read_bytes())
    assert status == 503 and "shop.example.pem" in said["detail"], said
    status, said = send(site, "DELETE", path)
    assert status == 503 and "cannot be removed" in said["detail"], said
    (site.gate.certs_dir / "shop.example.pem").rmdir()
    assert send(site, "DELETE", path)[0] == 404
    out = site.gate.run("cert", "add", "acme", "shop.example", str(good))
    assert out.returncode == 0, out.stderr
    with site.gate.tls_client("shop.example", ca=ca.cert) as client:
        assert client.get("/", host="shop.example").status == 200
    assert (site.gate.certs_dir / "shop.example.pem").stat().st_mode & 0o077 == 0
    assert site.gate.run("cert", "remove", "acme", "shop.example").returncode == 0
    assert site.gate.run("cert", "remove", "acme", "shop.example").returncode == 1
    actions = [r["action"] for r in send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]]
    assert actions[:2] == ["certificate-removed", "certificate-set"]


def test_a_damaged_central_db_is_repaired(installation):
    site = installation(backup={"every": "0s"})
    a_tenant(site)
    assert send(site, "POST", "/v1/tenants", {"id": "child", "parent": "acme"})[0] == 201
    send(site, "POST", "/v1/tenants/filed/suspend", {"reason": "abuse"})
    until(lambda: list((site.gate.folder / "state/tenants").rglob("child.db")), seconds=5)
    assert site.gate.run("tenant", "backup", "--all").returncode == 0
    before = files(download(site, "/v1/tenants/acme/export")[1])
    # Of one second the higher revision is the newest.
    newest = max((site.gate.folder / "state/backups/acme").glob("*.tar"))
    second = newest.name.split("-")[0]
    newest.with_name(f"{second}-r9-a5.tar").write_bytes(b"an older one")
    newest.rename(newest.with_name(f"{second}-r100-a5.tar"))
    assert "nothing is repaired" in site.gate.run("check", "--repair").stderr            # the node runs
    site.gate.stop()
    assert "central.db is sound" in site.gate.run("check", "--repair").stderr
    file = site.gate.folder / "state/central.db"
    data = bytearray(file.read_bytes())
    data[1024:] = b"\xa5" * (len(data) - 1024)
    file.write_bytes(data)
    site.gate.start()                                                                     # what files declare is served meanwhile
    assert status_of(site, "filed.example") == 200
    assert status_of(site, "shop.example") == 404
    site.gate.write_tenant("filed", {"id": "filed", "pool": "main", "hosts": ["filed.example"], "name": "Other"})
    until(lambda: send(site, "GET", "/v1/tenants/filed")[1]["tenant"].get("name") == "Other", seconds=5)
    site.gate.stop()
    out = site.gate.run("check", "--repair")
    assert out.returncode == 0, out.stderr + out.stdout
    assert "tenant acme is back" in out.stderr and "tenant child is back" in out.stderr and "filed" not in out.stderr
    site.gate.start()
    assert status_of(site, "shop.example") == 200 and status_of(site, "child.acme.localhost") == 200
    after = files(download(site, "/v1/tenants/acme/export")[1])
    assert after["tenant.json"] == before["tenant.json"] and after["users.json"] == before["users.json"]
    # Each log goes on where it was.
    rows = json.loads(after["audit.json"])
    old = json.loads(before["audit.json"])
    assert rows[:len(old)] == old and rows[-1]["action"] == "restored"
    assert [r["action"] for r in send(site, "GET", "/v1/tenants/filed/audit")[1]["rows"]][-1] == "suspended"
    out = site.gate.run("audit", "verify")
    assert out.returncode == 0, out.stdout
    site.gate.stop()
    assert "central.db is sound" in site.gate.run("check", "--repair").stderr
    site.gate.start()


def test_a_restore_brings_back_people_alone_too(installation):
    site = installation()
    a_tenant(site)
    assert site.gate.run("tenant", "backup", "acme").returncode == 0
    assert send(site, "PUT", "/v1/tenants/acme/users/eve@acme.example", {"role": "admin"})[0] == 201
    assert site.gate.run("tenant", "restore", "acme").returncode == 0
    assert [u["email"] for u in send(site, "GET", "/v1/tenants/acme/users")[1]["users"]] == ["ada@acme.example", "bob@acme.example"]
    rows = send(site, "GET", "/v1/tenants/acme/audit")[1]["rows"]
    assert {"restored", "user-removed"} <= {r["action"] for r in rows[:2]}
