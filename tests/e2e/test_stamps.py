"""What is kept of a file besides its tenant: a start reads the files whose stamp is another, and those alone."""
import contextlib
import os
import sqlite3

from kit.gate import until

host = "shop.acme.example"


def in_force(world):
    return world.gate.admin_json("/v1/tenants/acme")["tenant"]["name"]


def file_of(world):
    return world.gate.tenants_dir / "acme.toml"


def database(world, sql, *values):
    with contextlib.closing(sqlite3.connect(world.gate.folder / "state" / "central.db", timeout=5)) as db, db:
        return db.execute(sql, values).fetchall()


def stamp(world):
    return database(world, "SELECT file_stamp FROM tenants WHERE id='acme'")[0][0]


def stamped(build):
    """A node that has seen acme's file often enough to know it by its stamp, and has ended."""
    world = build(tenants={"acme": {"name": "AAAA", "pool": "main", "hosts": [host]}})
    # A file that is only just written has none: it could change once more and look the same.
    assert stamp(world) == 0

    def has_stamp():
        assert world.gate.admin("POST", "/v1/reload")[0] == 200
        return stamp(world) != 0
    revision = world.gate.admin_json("/v1/node")["revision"]
    until(has_stamp, 10, 0.2)
    assert world.gate.admin_json("/v1/node")["revision"] == revision
    world.gate.stop()
    return world


def restart(world):
    world.gate.stop()
    world.gate.start()


def test_a_file_with_its_stamp_is_not_read(build):
    world = stamped(build)
    # Who reads the file finds another content than this, and stores what it found.
    database(world, "UPDATE tenants SET file_hash='00000000000000ff' WHERE id='acme'")
    restart(world)
    assert in_force(world) == "AAAA" and world.get("/", host).status == 200
    assert world.gate.admin("POST", "/v1/reload")[0] == 200
    assert database(world, "SELECT file_hash FROM tenants WHERE id='acme'") == [("00000000000000ff",)]
    os.utime(file_of(world))
    assert world.gate.admin("POST", "/v1/reload")[0] == 200
    assert database(world, "SELECT file_hash FROM tenants WHERE id='acme'") != [("00000000000000ff",)]


def test_edited_while_the_node_was_down(build):
    world = stamped(build)
    file_of(world).write_text(file_of(world).read_text().replace("AAAA", "Another name"))
    restart(world)
    assert in_force(world) == "Another name"


def test_replaced_by_one_of_the_same_size_and_time(build):
    world = stamped(build)
    before = file_of(world).stat()
    new = world.gate.tenants_dir / ".new"
    new.write_text(file_of(world).read_text().replace("AAAA", "BBBB"))
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.rename(file_of(world))
    after = file_of(world).stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    restart(world)
    assert in_force(world) == "BBBB"


def test_written_in_place_with_its_time_set_back(build):
    world = stamped(build)
    before = file_of(world).stat()
    file_of(world).write_text(file_of(world).read_text().replace("AAAA", "CCCC"))
    os.utime(file_of(world), ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file_of(world).stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
    restart(world)
    assert in_force(world) == "CCCC"


def test_edited_twice_within_the_granularity_of_times(build):
    """No stamp is kept of a file so young, so the second edit cannot pass for the first."""
    world = build(tenants={"acme": {"name": "AAAA", "pool": "main", "hosts": [host]}})
    before = file_of(world).stat()
    world.gate.stop()
    file_of(world).write_text(file_of(world).read_text().replace("AAAA", "DDDD"))
    os.utime(file_of(world), ns=(before.st_atime_ns, before.st_mtime_ns))
    world.gate.start()
    assert in_force(world) == "DDDD"


def test_rows_of_an_older_program_are_read(build):
    """Its TOML alone is there: what is packed is missing, of another version, or not a tenant at all."""
    world = stamped(build)
    for packed in (b"", b"\xff\x00", b"\x01\x03\xff"):
        world.gate.stop()
        file_of(world).write_text("id = [")   # so that the kept version is all there is
        database(world, "UPDATE tenants SET packed=?1 WHERE id='acme'", packed)
        world.gate.start()
        assert in_force(world) == "AAAA" and world.get("/", host).status == 200
        assert world.gate.admin_json("/v1/node")["quarantined"] == 1


def test_other_rules_judge_what_was_kept(build):
    world = stamped(build)
    world.gate.settings["pools"]["other"] = world.gate.settings["pools"].pop("main")
    world.gate.write_settings()
    restart(world)
    row = world.gate.admin_json("/v1/tenants/acme")
    assert row["quarantined"] and 'there is no pool "main"' in row["quarantine"][0]["message"]
