#!/usr/bin/env python3
"""Holds the layers of docs/architecture.md against the #include lines, and keeps machine paths out.

Usage: check_layers.py ROOT. Prints one line a breach; exit code 1 when there is one.
"""
import pathlib
import re
import sys

# Bottom first: a module may include itself and those of lower layers; within a layer only what is named below.
layers = [
    ["base"],
    ["tenant", "limit", "balance", "config", "http", "explain"],
    ["net", "redis", "seal", "store", "watch"],
    ["registry", "upstream", "tls", "fleet"],
    ["proxy", "admin"],
    ["server"],
    ["cli", "main"],
]
# Pure modules see each other along these arrows alone, so that no circle can arise.
beside = {
    "tenant": {"limit"},
    "balance": {"tenant"},
    "config": {"tenant", "limit", "balance"},
    "http": {"tenant"},
    "explain": {"tenant", "limit", "balance", "http", "config"},
    # Endpoint names and TLS upstreams: the upstream module opens streams with the tls module's contexts.
    "upstream": {"tls"},
    # The metrics text is made from what the workers count.
    "admin": {"proxy"},
    "main": {"cli"},
}
pure = set(layers[1])
impure_headers = re.compile(r"^(boost/asio|boost/beast/core|openssl/|hiredis|spdlog|sqlite3|sys/socket|sys/epoll|netinet/)")
clocks = re.compile(r"(system_clock|steady_clock|high_resolution_clock)::now\(")
include = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
asio_source = re.compile(r"^boost/(asio|beast)/(ssl/)?impl/src\.hpp$")
machine_path = re.compile(r"(?<![\w./-])/(work|home/[a-z]+|Users/[A-Za-z]+|tmp/[A-Za-z0-9_.-]+)(/|\b)")
text_suffixes = {".cpp", ".hpp", ".h", ".c", ".py", ".md", ".txt", ".cmake", ".toml", ".json", ".sh", ".service", ".yml", ""}

level_of = {module: level for level, modules in enumerate(layers) for module in modules}


def module_of(path, root):
    parts = path.relative_to(root).parts
    if parts[0] == "include" and len(parts) > 3:
        return parts[2]
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else "main"
    return None


def allowed(module, used):
    if module == used:
        return True
    if module not in level_of or used not in level_of:
        return False
    if level_of[used] < level_of[module]:
        return True
    return used in beside.get(module, ())


def check_source(path, root):
    module = module_of(path, root)
    name = path.relative_to(root)
    if module is not None and module not in level_of:
        yield f"{name}:1: the module {module} is in no layer"
        return
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        found = include.match(line)
        if module in pure and clocks.search(line):
            yield f"{name}:{number}: the pure module {module} has a clock of its own"
        if not found:
            continue
        header = found[1]
        if asio_source.match(header) and str(name) != "src/net/asio.cpp":
            yield f"{name}:{number}: {header} belongs in src/net/asio.cpp alone"
        if module in pure and impure_headers.match(header):
            yield f"{name}:{number}: the pure module {module} includes {header}"
        if header.startswith("gatehouse/"):
            used = header.split("/")[1]
            if module is not None and not allowed(module, used):
                yield f"{name}:{number}: {module} must not include {header}: {used} is not below it"
            if not (root / "include" / header).exists():
                yield f"{name}:{number}: there is no {header}"


def tracked(root):
    skipped = {"build", ".git", "__pycache__", ".cache", "state", "corpus", ".pytest_cache"}
    for path in sorted(root.rglob("*")):
        if path.is_file() and not skipped & set(path.relative_to(root).parts) and path.suffix in text_suffixes:
            if path.stat().st_size < 1 << 20:
                yield path


def check_text(path, root):
    if path.name == "check_layers.py":
        return
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if machine_path.search(line):
            yield f"{path.relative_to(root)}:{number}: a path of one machine: {line.strip()[:100]}"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    breaches, sources = [], 0
    for path in tracked(root):
        if path.suffix in (".cpp", ".hpp", ".h") and path.relative_to(root).parts[0] in ("include", "src"):
            sources += 1
            breaches += check_source(path, root)
        breaches += check_text(path, root)
    for breach in breaches:
        print(breach)
    print(f"{sources} sources, {len(breaches)} breaches")
    return 1 if breaches or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
