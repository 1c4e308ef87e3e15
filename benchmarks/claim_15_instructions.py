"""Claim 15: user-space instructions per read, write and makefile, counted by valgrind's
callgrind.

Counts, unlike times, do not depend on what else the machine does; callgrind.py tells which
functions take them.
"""

import callgrind
import common
import streams

CLAIM = 15
AT_MOST_OF_FILEIO = 0.6  # a read, a write
AT_MOST_OF_INTERPRETER = 0.334  # makefile and close
PROCESSES = 1


def measure(bench):
    if not callgrind.available():
        return
    for operation in "read", "write", "makefile":
        for name in list(streams.MAKEFILES) + ["FileIO"]:
            bench.values["%s: %s" % (operation, name)] = [
                sum(callgrind.count(operation, name).values())
            ]


def rows(samples):
    if "read: ours" not in samples:
        return [common.not_measured("instructions per read, write, makefile", "needs valgrind")]
    found = []
    for operation in "read", "write":
        ratio = samples.median(operation + ": ours") / samples.median(operation + ": FileIO")
        what = "instructions per %s with a timeout: ours / io.FileIO" % operation
        found.append(common.row(what, ratio, at_most=AT_MOST_OF_FILEIO))
    for rival in streams.RIVALS:
        ratio = samples.median("makefile: ours") / samples.median("makefile: " + rival)
        what = 'instructions per makefile("rb") and close(): ours / %s' % rival
        found.append(
            common.row(what, ratio, at_most=AT_MOST_OF_INTERPRETER, detail=rival == "twin")
        )
    ratio = samples.median("makefile: ours") / samples.median("makefile: FileIO")
    what = 'instructions per makefile("rb") and close(): ours / a buffered FileIO, the limit'
    found.append(common.row(what, ratio, detail=True))
    for key in sorted(samples.values):
        found.append(
            common.row(
                "instructions per " + key, samples.median(key), unit="instructions", detail=True
            )
        )
    return found


if __name__ == "__main__":
    common.main(__file__)
