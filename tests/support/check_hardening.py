#!/usr/bin/env python3
"""What the compiler and linker were told against faults in memory, read out of the program: check_hardening.py PROGRAM
[LIBRARY...]. LIBRARY: the static ones it was linked from, whose every object has to be marked for IBT and SHSTK; the
program itself is marked for SHSTK alone (cmake/gatehouse.cmake says why)."""
import platform
import subprocess
import sys


def readelf(*arguments):
    return subprocess.run(["readelf", "--wide", *arguments], check=True, capture_output=True, text=True).stdout


def missing(program):
    head, segments, dynamic = readelf("-h", program), readelf("-l", program), readelf("-d", program)
    symbols = readelf("--dyn-syms", program)
    flags = [line for line in segments.splitlines() if " GNU_STACK " in line]
    wanted = {
        "position independent (-fPIE -pie)": "Type:" in head and " DYN " in head and "PIE" in dynamic,
        "relocations read-only (-z relro)": " GNU_RELRO " in segments,
        "bound at the start (-z now)": "BIND_NOW" in dynamic,
        "no executable stack (-z noexecstack)": len(flags) == 1 and "E" not in flags[0].split()[6],
        "no segment writable and executable": not any(" RWE " in line for line in segments.splitlines()),
        "stack canaries (-fstack-protector-strong)": "__stack_chk_fail" in symbols,
        "checked copies (_FORTIFY_SOURCE)": any(f"__{name}_chk@" in symbols for name in ("memcpy", "memset", "read", "snprintf", "vsnprintf")),
    }
    if platform.machine() == "x86_64":
        wanted["shadow stack (-fcf-protection, -z shstk)"] = "SHSTK" in readelf("-n", program)
    return [what for what, holds in wanted.items() if not holds]


def unmarked(library):
    """Objects of a static library without the note of -fcf-protection."""
    name, out, marked = None, [], False
    for line in [*readelf("-n", library).splitlines(), "File: end"]:
        if line.startswith("File: "):
            if name and not marked:
                out.append(name)
            name, marked = line[6:], False
        marked = marked or ("IBT" in line and "SHSTK" in line)
    return out


def main():
    program, libraries = sys.argv[1], sys.argv[2:]
    wrong = [f"{program}: not {what}" for what in missing(program)]
    if platform.machine() == "x86_64":
        for library in libraries:
            wrong += [f"{one}: not compiled with -fcf-protection" for one in unmarked(library)]
    print("\n".join(wrong) or f"{program}: hardened")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
