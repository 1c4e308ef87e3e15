"""Claim 11: `read()` to the end, of 4 KiB to 256 MiB, over Unix and TCP sockets: how fast, and
with how much memory.
"""

from __future__ import division

import contextlib
import math
import os
import shutil
import socket
import struct
import tempfile
import time

import common
import peers
from cases import MEGABYTE, Case, Scene, at_least, at_most, median
from peers import clock

CLAIM = 11
EACH_SIZE = at_least({(2, 7): 0.8, (3, 0): 1.0})
GEOMETRIC_MEAN = at_least({(2, 7): 0.8, (3, 0): 1.0, (3, 11): 1.7, (3, 14): 1.2})
PEAK = at_most(1.0)

SIZES = [4096 << shift for shift in range(0, 17, 2)]
FAMILIES = [("Unix", socket.AF_UNIX), ("TCP", socket.AF_INET)]


def name_of(size):
    return "%d MiB" % (size // MEGABYTE) if size >= MEGABYTE else "%d KiB" % (size // 1024)


@contextlib.contextmanager
def sender(family):
    """Yields connect(size): a socket on which so many bytes come from another process, and then
    the end.
    """
    folder = tempfile.mkdtemp()
    try:
        listener = socket.socket(family)
        listener.bind(
            os.path.join(folder, "socket") if family == socket.AF_UNIX else ("127.0.0.1", 0)
        )
        listener.listen(8)
        address = listener.getsockname()
        with peers.child(peers.send_on_demand, listener, kill=True):
            listener.close()

            def connect(size):
                sock = socket.socket(family)
                sock.connect(address)
                sock.sendall(struct.pack("q", size))
                return sock

            yield connect
    finally:
        shutil.rmtree(folder)


def seconds_to_read(case, connect, size):
    sock = connect(size)
    stream = case.open(sock, "rb")
    if size <= 65536:
        time.sleep(0.001)  # all of it is there before the clock starts
    start = clock()
    data = stream.read()
    seconds = clock() - start
    assert len(data) == size
    stream.close()
    sock.close()
    return seconds


def peak_memory(case, connect, size):
    """The most that a fresh process takes for it at any time, over the size."""
    sock = connect(size)
    before = peers.resident_bytes()
    peers.forget_peak()
    data = case.open(sock, "rb").read()
    return (peers.peak_resident_bytes() - before) / float(len(data))


def read_to_the_end(family, case):
    found = {}
    with sender(family) as connect:
        for size in SIZES:
            times = [
                seconds_to_read(case, connect, size)
                for _ in range(max(1, min(20, 8 * MEGABYTE // size)))
            ]
            found[name_of(size)] = size / MEGABYTE / median(times)
        found["geometric mean"] = math.exp(sum(map(math.log, found.values())) / len(SIZES))
        if peers.HAS_RESIDENT_BYTES:
            found["peak memory for 64 MiB"] = peers.in_a_copy(
                lambda: peak_memory(case, connect, 64 * MEGABYTE)
            )
    return found


def make_scene(name, family):
    figures = [
        ("geometric mean", "MiB/s", GEOMETRIC_MEAN),
        ("peak memory for 64 MiB", "times 64 MiB", PEAK),
    ]
    figures += [(name_of(size), "MiB/s", EACH_SIZE) for size in SIZES]
    return Scene(
        "read() to the end, " + name,
        lambda case: read_to_the_end(family, case),
        [Case(0), Case()],
        figures,
    )


SCENES = [make_scene(name, family) for name, family in FAMILIES]


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    found = common.scene_rows(SCENES, samples)
    for row in found:
        row["detail"] = not ("geometric" in row["what"] or "peak" in row["what"])
    sizes = [row for row in found if row["detail"]]
    words = "read() to the end, 4 KiB to 256 MiB"
    mean = common.worst(
        found, "read() to the end, least geometric mean", "geometric mean", words=words, readme=True
    )
    return [mean, common.worst(sizes, "read() to the end, least of all sizes", "iB")] + found


if __name__ == "__main__":
    common.main(__file__)
