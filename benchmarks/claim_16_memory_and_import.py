"""Claim 16: bytes per open raw stream, bytes per small message that is kept, and the time that
the import takes.
"""

import subprocess
import sys

import common
import peers
import streams
from cases import MEGABYTE, Case, Scene, at_most

CLAIM = 16
STREAM = 0.5  # of the interpreter's bytes, at most
# Bytes of a message of 64: an object has 33 more, its place in a list 8, and so on.
KEPT = at_most(1.1, enough=200.0)
IMPORT_MS = 5.0

STREAMS = 50000
IMPORT = """
import socket, pkgutil
from timeit import default_timer as clock
start = clock()
import backports.makefile
print(repr(clock() - start))
"""


def bytes_each(make, count):
    """What an object that make() returns adds to the memory of the process: many of them, in a
    fresh copy of it.
    """

    def make_many():
        kept = [None] * count
        kept[0] = make()
        before = peers.resident_bytes()
        for index in range(count):
            kept[index] = make()
        return (peers.resident_bytes() - before) / float(count)

    return peers.in_a_copy(make_many)


def bytes_per_stream(makefile):
    sock, peer = streams.socket_pair()
    return bytes_each(lambda: makefile(sock, "rb", 0), STREAMS)


def kept_messages(case):
    """Read with a size that is much larger than they are, or to the end of their stream."""
    sock, peer = streams.socket_pair()
    stream = case.open(sock, "rb")

    def read_message():
        peer.sendall(b"x" * streams.MESSAGE)
        return stream.read(MEGABYTE)

    def read_to_the_end():
        sock, peer = streams.socket_pair()
        peer.sendall(b"x" * streams.MESSAGE)
        peer.close()
        message = case.open(sock, "rb").read()
        sock.close()
        return message

    if not peers.HAS_RESIDENT_BYTES:
        return {}
    found = {"of read() to the end": bytes_each(read_to_the_end, 2000)}
    if hasattr(stream, "readinto"):  # 2.7's own read(n) waits until it has n bytes
        found["of a read of 1 MiB at most"] = bytes_each(read_message, 4000)
    return found


FIGURES = [(what, "bytes", KEPT) for what in ("of a read of 1 MiB at most", "of read() to the end")]
SCENES = [Scene("a message of 64 bytes that is kept", kept_messages, [Case(0)], FIGURES)]


def import_seconds():
    return float(subprocess.check_output([sys.executable, "-c", IMPORT]))


def measure(bench):
    samplers = {"import": import_seconds}
    if peers.HAS_RESIDENT_BYTES:
        bench.play(SCENES)
        for name, makefile in streams.MAKEFILES.items():
            samplers[name] = lambda makefile=makefile: bytes_per_stream(makefile)
    bench.interleave(samplers, 10)


def rows(samples):
    found = []
    for rival in streams.RIVALS:
        what = "bytes per open raw stream: ours / %s" % rival
        if rival in samples:
            note = "%d / %d" % (samples.median("ours"), samples.median(rival))
            ratio = samples.ratio("ours", rival)
            found.append(common.row(what, ratio, at_most=STREAM, note=note, detail=rival == "twin"))
        else:
            found.append(common.not_measured(what, "needs /proc"))
    found += common.scene_rows(SCENES, samples)
    milliseconds = samples.estimate(lambda seconds: seconds * 1e3, "import")
    found.append(
        common.row(
            "import beyond import socket, pkgutil", milliseconds, unit="ms", at_most=IMPORT_MS
        )
    )
    return found


if __name__ == "__main__":
    common.main(__file__)
