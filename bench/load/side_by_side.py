"""What the tools share that set gatehouse, nginx and HAProxy side by side: their options, starting and
ending the servers, rounds in the order A B C A B C, and a table of medians in bench/README.md."""
import argparse
import contextlib
import datetime
import pathlib
import shutil
import statistics

import servers

readme = servers.root / "bench" / "README.md"
proxies = ("gatehouse", "nginx", "haproxy")


def option_parser(text, rounds=5, seconds=2):
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    if seconds:
        parser.add_argument("--seconds", type=int, default=seconds, help="of one measurement")
    parser.add_argument("--targets", default=",".join(proxies))
    parser.add_argument("--binary", default=str(servers.root / "build/release/gatehouse"))
    parser.add_argument("--write", action="store_true", help="put the table into bench/README.md")
    return parser


def parse(parser):
    options = parser.parse_args()
    options.targets = options.targets.split(",")
    options.binary = str(pathlib.Path(options.binary).resolve())
    unknown = set(options.targets) - set(proxies)
    if unknown:
        parser.error(f"unknown targets: {', '.join(unknown)}")
    if "gatehouse" in options.targets and not pathlib.Path(options.binary).exists():
        parser.error(f"{options.binary} is missing: cmake --preset release && cmake --build --preset release")
    return options


class Servers:
    """The origin, and the targets by their labels."""

    def __init__(self, folder, origin_core):
        self.folder, self.running, self.targets = folder, [], {}
        self.certificate, self.origin_port = servers.make_certificate(folder), servers.free_port()
        self.running.append(servers.start_origin(folder / "origin", self.origin_port, origin_core))

    def start(self, options, label, name, **settings):
        """Starts proxy `name`; `settings` are those of servers.start_NAME."""
        if name == "gatehouse":
            settings["binary"] = options.binary
        folder = self.folder / label.replace(",", "").replace(" ", "-")
        server = getattr(servers, f"start_{name}")(folder, self.origin_port, self.certificate, **settings)
        self.running.append(server)
        self.targets[label] = server
        return server


@contextlib.contextmanager
def started(options, variants=None, origin_core=servers.load_core, **settings):
    """Origin and targets until the end of the block. `variants`: {label: (name, settings of its own)}."""
    folder = servers.temporary_folder()
    both = None
    try:
        both = Servers(folder, origin_core)
        for label, (name, own) in (variants or {name: (name, {}) for name in options.targets}).items():
            both.start(options, label, name, **(settings | own))
        yield both
    finally:
        for server in reversed(both.running if both else []):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def cpu_each(server, load):
    """CPU µs of each of the things that load() does; it returns how many, how many a second, and remarks."""
    user, system = server.cpu_s()
    done, rate, *remarks = load()
    user_after, system_after = server.cpu_s()
    user, system = (user_after - user) * 1e6 / done, (system_after - system) * 1e6 / done
    return {"value": user + system, "user": user, "system": system, "note": ", ".join([f"{rate:.0f} a second", *remarks])}


def run(options, columns, targets, measure, warm_up=None):
    """{(column, label): [a measurement a round]}, a measurement being cpu_each's or {"value": ...}."""
    results = {}
    for column in columns:
        for label in targets if warm_up else []:
            warm_up(column, targets[label])
        for number in range(options.rounds):
            for label, server in targets.items():
                one = measure(column, server)
                results.setdefault((column, label), []).append(one)
                print(f"  {column}, round {number + 1}, {label}: {text_of(one)} {one.get('note', '')}", flush=True)
    return results


def text_of(one):
    parts = f" = {one['user']:.2f} + {one['system']:.2f}" if "user" in one else ""
    return f"{one['value']:.2f}{parts}"


def ratio(results, column, label, other):
    """Each round is compared with its own neighbour, so that what the host does cancels out."""
    return statistics.median(a["value"] / b["value"] for a, b in zip(results[column, label], results[column, other]))


def ratio_text(results, column, label, other):
    # What costs nothing is no measure for others.
    if min(one["value"] for one in results[column, other]) <= 0:
        return "-"
    return f"**{ratio(results, column, label, other):.2f}**"


def table(options, title, results, ratios=None, how=""):
    """Rows of targets and of `ratios`, pairs of labels; without: gatehouse to each of the others."""
    columns, labels = (list(dict.fromkeys(key[i] for key in results)) for i in (0, 1))
    versions = servers.versions(options.binary)
    lines = [f"{datetime.date.today().isoformat()}, {servers.machine()}; "
             + ", ".join(f"{name} {versions.get(name, '?')}" for name in options.targets)
             + f"; {options.rounds} rounds{how}, medians (least to most).", "",
             f"| {title} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for label in labels:
        cells = []
        for column in columns:
            rounds = results[column, label]
            middle = {key: statistics.median(one[key] for one in rounds) for key in ("value", "user", "system") if key in rounds[0]}
            values = [one["value"] for one in rounds]
            cells.append(f"{text_of(middle)} ({min(values):.2f} to {max(values):.2f})")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    if ratios is None:
        ratios = [("gatehouse", other) for other in labels if other != "gatehouse"] if "gatehouse" in labels else []
    for label, other in ratios:
        cells = [ratio_text(results, column, label, other) for column in columns]
        lines.append(f"| **{label} / {other}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def publish(options, name, text):
    """Prints the table; --write puts it between the markers of that name in bench/README.md."""
    print("\n" + text)
    if not options.write:
        return
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = readme.read_text().split(begin, 1)
    readme.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}")
    print(f"\nwritten to {readme}")
