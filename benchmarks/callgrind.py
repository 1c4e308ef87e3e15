"""User-space instructions of one small operation, function by function, counted by valgrind's
callgrind.

    python benchmarks/callgrind.py read ours FileIO      a table of both, side by side

operation: read, write or makefile.  name: ours, interpreter, twin (on 2.7), or FileIO for
io.FileIO, for makefile under an io.BufferedReader.  Counts, unlike times, do not depend on what
else the machine does.
"""

from __future__ import division, print_function

import collections
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
CALLS = 500
LEAST = 2  # instructions: what takes less is summed up
LINE = re.compile(r"\s*([\d,]+)\s+\S*?:([^\s'\[]+)")


def available():
    try:
        subprocess.check_output(["valgrind", "--version"])
    except OSError:
        return False
    return True


def count_run(operation, name, calls):
    """{function: instructions} of a whole program that does so many operations."""
    handle, path = tempfile.mkstemp()
    os.close(handle)
    try:
        program = [sys.executable, os.path.join(HERE, "operations.py"), operation, name, str(calls)]
        valgrind = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + path]
        subprocess.check_call(valgrind + program, env=dict(os.environ, PYTHONHASHSEED="0"))
        annotate = ["callgrind_annotate", "--threshold=100", "--auto=no", "--show-percs=no", path]
        counts = collections.Counter()
        for line in subprocess.check_output(annotate).decode("utf-8", "replace").splitlines():
            found = LINE.match(line)
            if found:
                function = (
                    found.group(2).split("@")[0].split(".")[0]
                )  # without the symbol's version and the clones' suffix
                counts[function] += int(found.group(1).replace(",", ""))
        return counts
    finally:
        os.unlink(path)


def count(operation, name):
    """{function: instructions per operation}: what a run with twice the operations takes more."""
    once, twice = (count_run(operation, name, calls) for calls in (CALLS, 2 * CALLS))
    return {
        function: (twice[function] - once[function]) / CALLS
        for function in twice
        if twice[function] != once[function]
    }


def table(operation, names):
    """Lines of markdown."""
    counts = [count(operation, name) for name in names]
    shown = [
        function
        for function in set().union(*counts)
        if max(each.get(function, 0) for each in counts) >= LEAST
    ]
    shown.sort(key=lambda function: (-max(each.get(function, 0) for each in counts), function))
    yield "| function | " + " | ".join(names) + " |"
    yield "| --- |" + " ---: |" * len(names)
    for function in shown:
        yield "| `%s` | %s |" % (
            function,
            " | ".join("%.0f" % each[function] if function in each else "" for each in counts),
        )
    yield "| all | %s |" % " | ".join("%.0f" % sum(each.values()) for each in counts)


if __name__ == "__main__":
    print("\n".join(table(sys.argv[1], sys.argv[2:])))
