"""Claim 3: readers of several kinds and a thread that computes, all at once: each gets a fair
share.

hot: reads 64-byte messages that are always there.  paced: gets a message from another process
each millisecond.  bulk: reads 64 KiB at a time what another process sends as fast as it can.
Each is measured beside a computing thread, alone and with the others.
"""

import itertools
import threading
import time

import common
import peers
import streams
from cases import (
    BUFFERED,
    MEGABYTE,
    NONE,
    UNBUFFERED,
    Scene,
    at_least,
    at_most,
    loops_per_second,
    median,
    options,
)
from peers import BusyThread, clock

CLAIM = 3
HOT = at_least({(2, 7): 0.8, (3, 0): 10})
MESSAGES = at_least({(2, 7): 0.8, (3, 0): 0.9})
LATENCY = at_most({(2, 7): 1.25, (3, 0): 1.0})
BULK = at_least({(2, 7): 0.8, (3, 0): 0.9})
BULK_BESIDE_HOT = at_least(0.4)
# The computing thread's, beside readers that mostly wait.
SHARE = at_least({(2, 7): 0.8, (3, 0): 0.9})

PIECE = 65536


class Reader(object):
    """A thread that reads from a process of its own; ``done`` counts what it got through."""

    pair = staticmethod(streams.tcp_pair)

    def __init__(self, case):
        self.done = 0
        self.stopping = False
        self.connection = peers.connection_to(*self.peer, pair=self.pair)
        self.stream = case.open(self.connection.__enter__(), "rb")
        self.thread = threading.Thread(target=self.run)

    def close(self):
        self.connection.__exit__(None, None, None)


class Hot(Reader):
    peer = peers.flood, b"x" * MEGABYTE
    pair = staticmethod(streams.socket_pair)

    def run(self):
        function, argument = streams.read_call(self.stream)
        while not self.stopping:
            function(argument)
            self.done += 1


class Paced(Reader):
    peer = (peers.pace,)

    def __init__(self, case):
        Reader.__init__(self, case)
        self.ages = []

    def run(self):
        read = self.stream.read
        while not self.stopping:
            self.ages.append(peers.age(read(streams.MESSAGE)))
            self.done += 1


class Bulk(Reader):
    peer = peers.flood, b"x" * MEGABYTE

    def run(self):
        stream = self.stream
        buf = bytearray(PIECE)
        has_readinto = hasattr(stream, "readinto")
        while not self.stopping:
            self.done += stream.readinto(buf) if has_readinto else len(stream.read(PIECE))


KINDS = {"hot": Hot, "paced": Paced, "bulk": Bulk}


def mix(kinds, case):
    """{figure: value} of readers of these kinds and a computing thread."""
    readers = {}
    try:
        for kind in kinds:  # all processes are forked before there is a thread
            readers[kind] = KINDS[kind](case)
        with BusyThread() as busy:
            alone = loops_per_second(busy)
            for reader in readers.values():
                reader.thread.start()
            time.sleep(0.05)
            start, loops = clock(), busy.loops
            before = {kind: reader.done for kind, reader in readers.items()}
            time.sleep(options.seconds)
            seconds, loops = clock() - start, busy.loops - loops
            after = {kind: reader.done for kind, reader in readers.items()}
            for reader in readers.values():
                reader.stopping = True
        for reader in readers.values():
            reader.thread.join()
    finally:
        for reader in readers.values():
            reader.close()
    rates = {kind: max(1, after[kind] - before[kind]) / seconds for kind in kinds}
    found = {"the computing thread's share": loops / seconds / alone}
    if "hot" in kinds:
        found["hot"] = rates["hot"]
    if "bulk" in kinds:
        found["bulk"] = rates["bulk"] / MEGABYTE
    if "paced" in kinds:
        ages = sorted(readers["paced"].ages[before["paced"] :])
        found["paced"] = rates["paced"]
        found["paced, median latency"] = 1e3 * median(ages)
        found["paced, latency of 95 %"] = 1e3 * ages[int(0.95 * (len(ages) - 1))]
    return found


def figures(kinds):
    found = []
    if "hot" in kinds:
        found.append(("hot", "reads/s", HOT))
    if "paced" in kinds:
        found += [("paced", "messages/s", MESSAGES)]
        found += [
            (what, "ms", LATENCY) for what in ("paced, median latency", "paced, latency of 95 %")
        ]
    if "bulk" in kinds:
        found.append(("bulk", "MiB/s", BULK_BESIDE_HOT if "hot" in kinds else BULK))
    return found + [("the computing thread's share", "", NONE if "hot" in kinds else SHARE)]


def make_scene(kinds):
    name = "%s reader%s beside a computing thread" % (
        " + ".join(kinds),
        "s" if len(kinds) > 1 else "",
    )
    return Scene(name, lambda case: mix(kinds, case), UNBUFFERED + BUFFERED, figures(kinds))


MIXES = [
    kinds
    for count in (1, 2, 3)
    for kinds in itertools.combinations(["hot", "paced", "bulk"], count)
]
SCENES = [make_scene(kinds) for kinds in MIXES if kinds != ("hot",)]  # that one is claim 2


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    """The short table has the worst case of each goal; the long one has them all."""
    details = common.scene_rows(SCENES, samples, detail=True)
    found = []
    for label, pick, ends in [
        ("hot reader, least of all mixes", min, ": hot"),
        ("paced reader's messages, least of all mixes", min, ": paced"),
        ("paced reader's median latency, greatest of all mixes", max, "paced, median latency"),
        ("bulk reader, least of all mixes without a hot one", min, ": bulk"),
        ("bulk reader beside a hot one, least of all mixes", min, ": bulk"),
        (
            "the computing thread beside paced and bulk readers, least of all mixes",
            min,
            "computing thread's share",
        ),
    ]:
        beside_hot = "bulk reader beside a hot" in label
        fit = [row for row in details if row["what"].endswith(ends) and row["target"]]
        if ends == ": bulk":
            fit = [row for row in fit if row["what"].startswith("hot") == beside_hot]
        worst = pick(fit, key=lambda row: row["value"])
        found.append(dict(worst, what=label, note=worst["what"], detail=False))
    found[1]["words"] = "a message each millisecond, beside threads that compute and read"
    return found + details


if __name__ == "__main__":
    common.main(__file__)
