"""Edges of three regions that follow one publisher: residency, relaying, and whatever happens to them."""
import random
import ssl
import threading
import time

import pytest

from kit.edge import Edge
from kit.gate import Gate, until
from kit.ports import free_port
from kit.redis import Redis
from kit.upstream import ScriptedUpstream, echo, raw
from test_follower import certificate, is_following
from test_publisher import is_current, publisher

regions = ("eu-west", "us-east", "ap-south")
wrong_region = dict(zip(regions, ("relay", "redirect", "refuse")))
well = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

tenants = {
    "eu": {"region": "eu-west", "residency": "strict"},
    "us": {"region": "us-east", "residency": "strict"},
    "ap": {"region": "ap-south", "residency": "strict"},
    "loose": {"region": "us-east", "residency": "preferred"},
    "free": {},
}


def host_of(id_):
    return f"www.{id_}.example"


class Application:
    """Endpoints of one region at one address, which can die and come back; `served`: tenants whose requests came."""

    def __init__(self, region):
        self.region, self.port, self.served = region, 0, []
        self.server = None
        self.start()

    def start(self):
        if self.server is None:
            self.server = ScriptedUpstream(self.region, port=self.port).on("/healthz", well)
            self.server.default = self._serve
            self.port = self.server.port

    def _serve(self, conn, request):
        self.served.append(request.fields.get("x-tenant-id"))
        echo(conn, request)

    def stop(self):
        if self.server is not None:
            self.server.stop()
            self.server = None


class Lands:
    def __init__(self, folder, authority, redis):
        self.redis, self.authority = redis, authority
        self.applications = {r: Application(r) for r in regions}
        self.doors = {r: free_port() for r in regions}
        certs = folder / "certs"
        certs.mkdir()
        for id_ in tenants:
            authority.leaf(host_of(id_), certs / f"{host_of(id_)}.pem")
        self.center = publisher(folder, redis, certs, {}, regions=regions)
        for r in regions:
            self.center.settings["regions"][r]["address"] = f"127.0.0.1:{self.doors[r]}"
        self.center.settings["pools"] = {"shared": {
            "endpoints": [{"address": f"127.0.0.1:{a.port}", "region": r} for r, a in self.applications.items()], "slow_start": "0s",
            "health": {"path": "/healthz", "interval": "100ms", "timeout": "5s", "rise": 1, "fall": 1}}}
        self.center.write_settings()
        for id_, table in tenants.items():
            self.write(id_, table)
        self.center.start()
        until(lambda: is_current(self.center), 10)
        self.edges = {}
        for r in regions:
            own = {"node": {"wrong_region": wrong_region[r]}, "platform": {"trusted_proxies": ["127.0.0.1"]}}
            self.edges[r] = Edge(folder / r, redis.url, folder / "keys", f"edge-{r}", r, own,
                                 extra_listeners=[{"address": f"127.0.0.1:{self.doors[r]}", "tls": True, "proxy_protocol": "required"}])
            self.edges[r].start()
        self.settled()

    def write(self, id_, table):
        self.center.write_tenant(id_, {"pool": "shared", "hosts": [host_of(id_)], **table})

    def settled(self):
        until(lambda: is_current(self.center) and all(is_following(e) for e in self.edges.values()), 20, 0.02)

    def everything_up(self):
        for a in self.applications.values():
            a.start()
        until(lambda: all(self.ups(e) == 3 for e in self.edges.values()), 5, 0.02)

    @staticmethod
    def ups(edge):
        return sum(line.startswith('gatehouse_endpoint_up{pool="shared"') and line.endswith(" 1")
                   for line in edge.admin("GET", "/metrics")[1].splitlines())

    def served(self):
        return {r: set(a.served) for r, a in self.applications.items()}

    def forget(self):
        for a in self.applications.values():
            a.served.clear()

    def ask(self, region, id_, tls=True):
        """The region that answered, a status, or the alert."""
        edge, host = self.edges[region], host_of(id_)
        try:
            client = edge.tls_client(host, self.authority.cert) if tls else edge.client()
        except (ssl.SSLError, OSError) as e:
            return getattr(e, "reason", None) or type(e).__name__
        with client:
            answer = client.get("/", host=host)
            return answer.json()["upstream"] if answer.status == 200 else answer.status

    def stop(self):
        for gate in [*self.edges.values(), self.center]:
            gate.stop()
        for a in self.applications.values():
            a.stop()


@pytest.fixture(scope="module")
def fleet(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    with Redis(folder / "redis") as redis:
        w = Lands(folder, authority, redis)
        yield w
        w.stop()


@pytest.fixture(autouse=True)
def as_at_first(fleet):
    """The tests share the fleet; each begins with all of it up."""
    for id_, table in tenants.items():
        fleet.write(id_, table)
    fleet.everything_up()
    fleet.settled()
    until(lambda: all(fleet.ask(r, "free") in regions and fleet.ask(r, "loose") == "us-east" for r in regions), 5, 0.05)
    fleet.forget()


def test_each_tenant_is_served_where_it_may_be(fleet):
    for region in regions:
        for id_, table in tenants.items():
            home, strict = table.get("region"), table.get("residency") == "strict"
            if home is None:
                assert fleet.ask(region, id_) in regions and fleet.ask(region, id_, tls=False) in regions
            elif not strict or home == region:
                assert fleet.ask(region, id_) == home, (region, id_)
                assert fleet.ask(region, id_, tls=False) == home
            elif wrong_region[region] == "relay":
                assert fleet.ask(region, id_) == home, (region, id_)
                assert fleet.ask(region, id_, tls=False) == 421
            else:
                assert "INTERNAL_ERROR" in fleet.ask(region, id_), (region, id_)
                answer = fleet.edges[region].get("/there?x=1", host=host_of(id_))
                if wrong_region[region] == "redirect":
                    assert answer.status == 307
                    assert answer.fields.get("location").endswith(f"//{host_of(id_)}:{fleet.doors[home]}/there?x=1")
                else:
                    assert (answer.status, answer.fields.get("x-gatehouse-region")) == (421, home)
    assert all(fleet.served()[tenants[id_]["region"]] >= {id_} for id_ in ("eu", "us", "ap"))
    for id_ in ("eu", "us", "ap"):
        assert not any(id_ in served for r, served in fleet.served().items() if r != tenants[id_]["region"])


def test_a_relayed_connection_is_not_opened_here(fleet, authority):
    """The home's certificate, session and access log; of the near region only the passing on."""
    near, home = fleet.edges["eu-west"], fleet.edges["us-east"]
    seen = certificate(near, authority, host_of("us"))
    assert seen and seen == certificate(home, authority, host_of("us"))
    with near.tls_client(host_of("us"), authority.cert) as client:
        fields = {k.lower(): v for k, v in client.get("/relayed", host=host_of("us")).json()["fields"]}
        assert fields["x-forwarded-for"] == "127.0.0.1" and fields["x-tenant-id"] == "us"
    assert home.access_lines("/relayed")[0]["tenant"] == "us"
    assert near.access_lines("/relayed", wait=0.2) == []
    until(lambda: any(r["decision"] == "relay" and r["tenant"] == "us" for r in near.access_lines()), 3)
    # The door is for those it trusts, with their header first.
    with pytest.raises((ssl.SSLError, OSError)):
        home.tls_client.__func__(type("door", (), {"tls_port": fleet.doors["us-east"]})(), host_of("us"), authority.cert)


def test_a_strict_home_without_endpoints_sends_nobody_elsewhere(fleet):
    fleet.applications["us-east"].stop()
    until(lambda: fleet.ask("us-east", "us") == 503, 5, 0.05)
    for _ in range(5):
        for region in regions:
            assert fleet.ask(region, "us") not in regions
            assert fleet.ask(region, "us", tls=False) not in regions
    assert not any("us" in served for served in fleet.served().values())
    # Preferred goes elsewhere, and comes back.
    for region in regions:
        until(lambda: fleet.ask(region, "loose") in ("eu-west", "ap-south"), 3, 0.02)
    fleet.applications["us-east"].start()
    for region in regions:
        until(lambda: fleet.ask(region, "loose") == "us-east", 5, 0.02)
    until(lambda: fleet.ask("eu-west", "us") == "us-east", 5, 0.02)


def test_a_tenant_that_moves_is_served_by_its_new_home_alone(fleet):
    fleet.write("eu", {"region": "ap-south", "residency": "strict"})
    until(lambda: fleet.ask("ap-south", "eu") == "ap-south" and fleet.ask("eu-west", "eu") == "ap-south", 5)
    until(lambda: "INTERNAL_ERROR" in str(fleet.ask("us-east", "eu")), 3)
    fleet.forget()
    for _ in range(5):
        for region in regions:
            fleet.ask(region, "eu")
    assert [r for r, served in fleet.served().items() if "eu" in served] == ["ap-south"]
    fleet.write("eu", {"region": "ap-south", "residency": "preferred"})
    for region in regions:
        until(lambda: fleet.ask(region, "eu") == "ap-south", 5, 0.02)


# --- anything may happen ---

class Steps:
    """Random steps, and what must hold after each: a tenant's requests came to regions it may be served in alone."""

    def __init__(self, fleet, seed):
        self.fleet, self.numbers = fleet, random.Random(seed)
        self.allowed = {id_: self.regions_of(t) for id_, t in tenants.items()}
        self.wanted = dict(tenants)
        self.frozen, self.answered = False, 0

    @staticmethod
    def regions_of(table):
        return {table["region"]} if table.get("residency") == "strict" else set(regions)

    def edit(self):
        id_ = self.numbers.choice(["eu", "us", "loose"])
        table = {"region": self.numbers.choice(regions), "residency": self.numbers.choice(["strict", "strict", "preferred"])}
        self.allowed[id_] |= self.regions_of(table)
        self.wanted[id_] = table
        self.fleet.write(id_, table)
        if not self.frozen:
            self.applied()
        return f"{id_} becomes {table}"

    def applied(self):
        """Every edge has what was last written."""
        def has(edge, id_):
            text = edge.admin_json(f"/v1/tenants/{id_}/effective")
            return text["region"], text["residency"]
        for id_ in ("eu", "us", "loose"):
            table = self.wanted[id_]
            for edge in self.fleet.edges.values():
                until(lambda: has(edge, id_) == (table["region"], table["residency"]), 15, 0.02)
            self.allowed[id_] = self.regions_of(table)

    def application(self):
        a = self.fleet.applications[self.numbers.choice(regions)]
        what = "stops" if a.server else "starts"
        (a.stop if a.server else a.start)()
        return f"the application in {a.region} {what}"

    def redis(self):
        self.frozen = not self.frozen
        if self.frozen:
            self.fleet.redis.freeze()
            return "Redis freezes"
        self.fleet.redis.thaw()
        self.fleet.settled()
        self.applied()
        return "Redis thaws"

    def edge(self):
        region = self.numbers.choice(regions)
        edge = self.fleet.edges[region]
        if self.numbers.random() < 0.5:
            edge.kill()
        else:
            edge.stop()
        edge.start()
        return f"the edge in {region} starts again"

    def ask_all(self, what):
        for _ in range(6):
            region, id_ = self.numbers.choice(regions), self.numbers.choice(list(tenants))
            self.answered += self.fleet.ask(region, id_, tls=self.numbers.random() < 0.8) in regions
        for region, served in self.fleet.served().items():
            astray = [id_ for id_ in served if region not in self.allowed[id_]]
            assert not astray, f"{astray} in {region} after: {what}"
        self.fleet.forget()

    def run(self, count):
        done = []
        for _ in range(count):
            done.append(self.numbers.choice([self.edit, self.edit, self.application, self.redis, self.edge])())
            self.ask_all(done)
        if self.frozen:
            self.redis()
        self.fleet.everything_up()
        for id_, table in self.wanted.items():
            homes = {table["region"]} if "region" in table else set(regions)
            for region in regions:
                if table.get("residency") != "strict" or wrong_region[region] == "relay" or region in homes:
                    until(lambda: self.fleet.ask(region, id_) in homes, 5, 0.05)
        self.ask_all(done)
        assert self.answered > count


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_no_request_leaves_its_regions(fleet, seed):
    steps = Steps(fleet, seed)
    try:
        steps.run(30)
    finally:
        fleet.redis.thaw()
