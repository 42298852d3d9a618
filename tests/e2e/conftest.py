"""Fixtures that the modules share: certificates once a session, one gate and upstream a module."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from kit.certs import Authority, make_dev_certs  # noqa: E402
from kit.gate import Gate  # noqa: E402
from kit.redis import Redis  # noqa: E402
from kit.upstream import ScriptedUpstream, echo  # noqa: E402

dev_hosts = ["acme.localhost", "globex.localhost", "pixel.localhost", "bpub.pixel.localhost", "api.localhost"]

plain_tenants = {
    "acme": {"name": "Acme Corp", "pool": "main", "context": {"database": "acme_prod"}},
    "globex": {"name": "Globex", "pool": "main"},
}


@pytest.fixture(scope="session")
def dev_certs(tmp_path_factory):
    """certs/make-dev-certs' output: ca.pem and HOST.pem for each of dev_hosts."""
    return make_dev_certs(tmp_path_factory.mktemp("dev-certs"), dev_hosts)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def redis(tmp_path):
    with Redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def upstream():
    """An application that answers as its test says."""
    server = ScriptedUpstream()
    yield server
    server.stop()


class World:
    """A running gate, its first upstream, and short ways to ask."""

    def __init__(self, gate, upstream):
        self.gate, self.upstream = gate, upstream

    def client(self, **options):
        return self.gate.client(**options)

    def get(self, *args, **options):
        return self.gate.get(*args, **options)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Makes worlds that end with the module; each gate must end with exit code 0."""
    made = []

    def make(tenants=None, settings=None, pools=None, certs=None, start=True, upstream=None, **options):
        upstream = upstream or ScriptedUpstream()
        gate = Gate(tmp_path_factory.mktemp("gate"), pools or {"main": [upstream.address]},
                    plain_tenants if tenants is None else tenants, settings=settings, certs=certs, **options)
        world = World(gate, upstream)
        made.append(world)
        if start:
            gate.start()
        return world

    yield make
    failures = []
    for world in reversed(made):
        try:
            world.gate.stop()
        except AssertionError as error:
            failures.append(str(error))
        world.upstream.stop()
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="module")
def world(build):
    """The module's own gate on plain HTTP with acme and globex behind one echoing upstream."""
    return build()


@pytest.fixture(autouse=True)
def gate_stays_sound(request):
    """After every test: the module's gate still runs and the upstream saw nothing malformed."""
    yield
    if "world" not in request.fixturenames:
        return
    world = request.getfixturevalue("world")
    if world.gate.process is not None:
        assert world.gate.alive(), "the gate died:\n" + world.gate.stderr()
        world.gate.check_output()
    errors, world.upstream.errors = world.upstream.errors, []
    world.upstream.default = echo
    assert not errors, f"the gate sent something malformed: {errors!r}"
