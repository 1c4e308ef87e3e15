"""Claim 11: user-space instructions per read, write and makefile, counted by valgrind's callgrind.

Counts, unlike times, do not depend on what else the machine does.
"""
import os
import subprocess
import sys
import tempfile

import common
import streams

CLAIM = 11
PROCESSES = 1
CALLS = 500


def count_instructions(operation, name, calls):
    handle, path = tempfile.mkstemp()
    os.close(handle)
    try:
        program = [sys.executable, os.path.join(common.HERE, "operations.py"), operation, name, str(calls)]
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + path]
        subprocess.check_call(valgrind + program, env=dict(os.environ, PYTHONHASHSEED="0"))
        with open(path) as profile:
            totals = [line for line in profile if line.startswith("totals:")]
        return int(totals[0].split()[1])
    finally:
        os.unlink(path)


def measure(bench):
    try:
        subprocess.check_output(["valgrind", "--version"])
    except OSError:
        return
    for operation in "read", "write", "makefile":
        for name in list(streams.MAKEFILES) + (["FileIO"] if operation != "makefile" else []):
            once, twice = (count_instructions(operation, name, calls) for calls in (CALLS, 2 * CALLS))
            bench.values["%s: %s" % (operation, name)] = [(twice - once) / float(CALLS)]


def rows(samples):
    if "read: ours" not in samples:
        return [common.not_measured("instructions per read, write, makefile", "needs valgrind")]
    found = []
    for operation in "read", "write":
        ratio = samples.median(operation + ": ours") / samples.median(operation + ": FileIO")
        what = "instructions per %s with a timeout: ours / io.FileIO" % operation
        found.append(common.row(what, ratio, at_most=0.6))
    for rival in streams.RIVALS:
        ratio = samples.median("makefile: ours") / samples.median("makefile: " + rival)
        what = 'instructions per makefile("rb") and close(): ours / %s' % rival
        found.append(common.row(what, ratio, at_most=0.334, detail=rival == "twin"))
    for key in sorted(samples.values):
        found.append(common.row("instructions per " + key, samples.median(key), unit="instructions", detail=True))
    return found


if __name__ == "__main__":
    common.main(__file__)
