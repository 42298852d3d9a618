"""Writes plain Python values as TOML: enough for the gate's configuration, nothing more."""
import datetime
import json
import re

_bare = re.compile(r"^[A-Za-z0-9_-]+$")


class Raw(str):
    """Text that goes into the document as it is."""


def key(name):
    return name if _bare.match(name) else json.dumps(name)


def value(v):
    if isinstance(v, Raw):
        return str(v)
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    if isinstance(v, str):
        return json.dumps(v)
    if isinstance(v, datetime.datetime):
        return v.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(v, (list, tuple)):
        return "[" + ", ".join(value(x) for x in v) + "]"
    if isinstance(v, dict):
        return "{ " + ", ".join(f"{key(k)} = {value(x)}" for k, x in v.items()) + " }"
    raise TypeError(f"no TOML for {v!r}")


def flat(table):
    """A document of one table: a tenant file."""
    return "".join(f"{key(k)} = {value(v)}\n" for k, v in table.items())


_tables_of_tables = ("plans", "pools", "regions")


def document(settings):
    """The main file: sections, and sections of sections where the names are free."""
    out = []
    for name, section in settings.items():
        if isinstance(section, list):
            for one in section:
                out.append(f"[[{name}]]\n{flat(one)}")
        elif name in _tables_of_tables:
            for sub, body in section.items():
                out.append(f"[{name}.{key(sub)}]\n{flat(body)}")
        else:
            out.append(f"[{name}]\n{flat(section)}")
    return "\n".join(out)


def merged(base, over):
    """`over` laid over `base`, table by table; a value of None takes the key away."""
    result = dict(base)
    for name, v in over.items():
        if v is None:
            result.pop(name, None)
        elif isinstance(v, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], v)
        else:
            result[name] = v
    return result
