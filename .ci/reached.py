"""Which lines of the C sources and of the pure-Python twin the tests reach.

reached.py collect DIRECTORY
    build the sources for this Python with gcov's counters, run the suite on them, write
    DIRECTORY/reached.json
reached.py report DIRECTORY
    put those that lie in its folders together, since no single Python reaches every line, and print
    what is missing

The report fails when less than 97 % of the C lines, or not all of the twin's, were reached on any
of these Pythons; and when a line that was not has no reason beside it.  The reason is a comment,
"unreached: why", in the run of lines that were not reached or in the line that leads to it.
"""

from __future__ import print_function

import glob
import io
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TWIN = "backports/makefile/_fallback.py"
TARGETS = [("C", "src/", 97.0), ("twin", TWIN, 100.0)]


def collect(directory, pytest_arguments):
    build = os.path.join(directory, "build")
    lib = os.path.join(build, "lib")
    counting = dict(
        os.environ, CFLAGS="-O0 --coverage", LDFLAGS="--coverage", BACKPORTS_MAKEFILE_C="require"
    )
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", build, "--build-lib", lib]
    subprocess.check_call(command, cwd=ROOT, env=counting)

    data = os.path.join(directory, "python")
    testing = dict(os.environ, PYTHONPATH=lib, COVERAGE_FILE=data, BACKPORTS_MAKEFILE_C="require")
    coverage = [sys.executable, "-m", "coverage"]
    twin = os.path.join(lib, TWIN.split("/", 1)[0], *TWIN.split("/")[1:])
    pytest = ["run", "--include", twin, "-m", "pytest"] + pytest_arguments
    subprocess.check_call(coverage + pytest, cwd=os.path.join(ROOT, "tests"), env=testing)
    subprocess.check_call(coverage + ["json", "-o", data + ".json"], cwd=ROOT, env=testing)

    lines = read_gcov(build)
    with open(data + ".json") as stream:
        (counts,) = json.load(stream)["files"].values()
    lines[TWIN] = dict.fromkeys(counts["missing_lines"], False)
    lines[TWIN].update(dict.fromkeys(counts["executed_lines"], True))
    with open(os.path.join(directory, "reached.json"), "w") as stream:
        json.dump(lines, stream)


def read_gcov(build):
    """{path: {line: reached}} for the files in src/, by the counters of all that ran.

    A header's lines count for every user.
    """
    lines = {}
    for counters in glob.glob(os.path.join(build, "temp*", "src", "*.gcda")):
        output = subprocess.check_output(["gcov", "--json-format", "--stdout", counters], cwd=ROOT)
        for counted in json.loads(output.decode())["files"]:
            path = os.path.relpath(os.path.join(ROOT, counted["file"]), ROOT)
            if path.startswith("src/"):
                merge(
                    lines.setdefault(path, {}),
                    {line["line_number"]: line["count"] > 0 for line in counted["lines"]},
                )
    return lines


def merge(into, lines):
    for number, reached in lines.items():
        into[int(number)] = into.get(int(number), False) or reached


def report(directory):
    lines = {}
    for path in sorted(glob.glob(os.path.join(directory, "*", "reached.json"))):
        print("from %s" % path)
        with open(path) as stream:
            for path, counted in json.load(stream).items():
                merge(lines.setdefault(path, {}), counted)

    passed = True
    for name, prefix, minimum in TARGETS:
        files = {path: counted for path, counted in lines.items() if path.startswith(prefix)}
        total = sum(len(counted) for counted in files.values())
        reached = sum(sum(counted.values()) for counted in files.values())
        percent = 100.0 * reached / total
        print(
            "%s: %d of %d lines reached, %.1f %%; at least %g %% wanted"
            % (name, reached, total, percent, minimum)
        )
        passed = passed and percent >= minimum
        for path, counted in sorted(files.items()):
            for first, last in find_unexplained(path, counted):
                passed = False
                print("%s:%d-%d: not reached, and no reason beside it" % (path, first, last))
    return passed


def find_unexplained(path, counted):
    """The runs (first line, last line) of unreached lines that no comment explains."""
    with io.open(os.path.join(ROOT, path), encoding="utf-8") as stream:
        source = stream.read().splitlines()
    before = first = None
    for number in sorted(counted) + [None]:
        if number is not None and not counted[number]:
            first = first or number
            last = number
            continue
        if first and "unreached: " not in "\n".join(source[(before or first) - 1:last]):
            yield first, last
        before, first = number, None


if __name__ == "__main__":
    if sys.argv[1] == "collect":
        collect(os.path.abspath(sys.argv[2]), sys.argv[3:])
    else:
        sys.exit(0 if report(sys.argv[2]) else 1)
