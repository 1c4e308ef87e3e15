"""Claim 12: bytes per open file beyond the Buffered object, and the time that the import takes."""
import os
import subprocess
import sys

import common
import streams

CLAIM = 12
STREAMS = 50000
IMPORT = """
import socket, pkgutil
from pyperf import perf_counter
start = perf_counter()
import backports.makefile
print(repr(perf_counter() - start))
"""


def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bytes_per_stream(makefile):
    """What a raw stream adds to the memory of the process: many of them, in a fresh copy of it."""
    sock, peer = streams.socket_pair()
    reading, writing = os.pipe()

    def open_many():
        makefile(sock, "rb", 0)
        kept = [None] * STREAMS
        before = resident_bytes()
        for index in range(STREAMS):
            kept[index] = makefile(sock, "rb", 0)
        os.write(writing, repr((resident_bytes() - before) / float(STREAMS)).encode())

    with common.child(open_many):
        os.close(writing)
        found = float(os.read(reading, 100))
    os.close(reading)
    return found


def import_seconds():
    return float(subprocess.check_output([sys.executable, "-c", IMPORT]))


def measure(bench):
    samplers = {"import": import_seconds}
    if os.path.exists("/proc/self/statm"):
        for name, makefile in streams.MAKEFILES.items():
            samplers[name] = lambda makefile=makefile: bytes_per_stream(makefile)
    bench.interleave(samplers, 10)


def rows(samples):
    found = []
    for rival in streams.RIVALS:
        what = "bytes per open raw stream: ours / %s" % rival
        if rival in samples:
            note = "%d / %d" % (samples.median("ours"), samples.median(rival))
            found.append(common.row(what, samples.ratio("ours", rival), at_most=0.5, note=note, detail=rival == "twin"))
        else:
            found.append(common.not_measured(what, "needs /proc"))
    milliseconds = samples.estimate(lambda seconds: seconds * 1e3, "import")
    found.append(common.row("import beyond import socket, pkgutil", milliseconds, unit="ms", at_most=5.0))
    return found


if __name__ == "__main__":
    common.main(__file__)
