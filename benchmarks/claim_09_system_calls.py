"""Claim 9: system calls per ready read, and per write that fits, on a socket with a timeout:
counted by strace.
"""

import os
import subprocess
import sys
import tempfile

import common
import streams

CLAIM = 9
AT_MOST = 1
PROCESSES = 1
CALLS = 200


def count_system_calls(operation, name, calls):
    handle, path = tempfile.mkstemp()
    os.close(handle)
    try:
        program = [
            sys.executable,
            os.path.join(common.HERE, "operations.py"),
            operation,
            name,
            str(calls),
        ]
        subprocess.check_call(
            ["strace", "-f", "-e", "trace=!brk,mmap,munmap", "-o", path] + program
        )
        with open(path) as log:
            return sum("resumed>" not in line for line in log)
    finally:
        os.unlink(path)


def measure(bench):
    try:
        subprocess.check_output(["strace", "true"], stderr=subprocess.STDOUT)
    except (OSError, subprocess.CalledProcessError):
        return
    for operation in "read", "write":
        for name in streams.MAKEFILES:
            once, twice = (
                count_system_calls(operation, name, calls) for calls in (CALLS, 2 * CALLS)
            )
            bench.values["%s: %s" % (operation, name)] = [(twice - once) / float(CALLS)]


def rows(samples):
    found = []
    for operation in "read", "write":
        what = "system calls per %s with a timeout: " % operation
        if operation + ": ours" not in samples:
            found.append(common.not_measured(what + "ours", "needs strace"))
            continue
        for name in sorted(streams.MAKEFILES):
            target = AT_MOST if name == "ours" else None
            calls = round(samples.median("%s: %s" % (operation, name)), 2)
            found.append(
                common.row(what + name, calls, unit="calls", at_most=target, detail=name != "ours")
            )
    return found


if __name__ == "__main__":
    common.main(__file__)
