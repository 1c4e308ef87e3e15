"""Claim 6: threads beside each other each get a fair share.

Four kinds of thread: one computes; one reads 64-byte messages that are always ready; one waits for the answer of another
process to each of its messages (its rate is its latency); one reads 64 KiB at a time from another process.  Each is measured
alone, beside each other kind, and beside all; and what it gets with our streams is compared with what it gets with the
interpreter's.  Where one thread alone and its peer run is the scheduler's choice, which weighs more than the streams do; so these two
are measured with a processor for each as well.
"""
import contextlib
import itertools
import os
import threading
import time

import common
import streams

CLAIM = 6
SECONDS = 0.1
BULK = 64 * 1024
KINDS = ["computing", "ready reads", "answers", "bulk reads"]
BESIDE = [kinds for count in (1, 2, 4) for kinds in itertools.combinations(KINDS, count)]
PROCESSORS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []  # 2.7 has none
APART = "answers alone, a processor for each side"


class Threads(object):
    """The threads of one sample; ``done[kind]`` counts what each got through."""

    def __init__(self, kinds, loops):
        self.stopping = False
        self.done = dict.fromkeys(kinds, 0)
        self.threads = [threading.Thread(target=self.repeat, args=(kind, loops[kind])) for kind in kinds]

    def repeat(self, kind, loop):
        while not self.stopping:
            self.done[kind] += loop()

    def run(self, seconds):
        """{kind: done per second} while all of them ran."""
        start = common.perf_counter()
        for thread in self.threads:
            thread.start()
        time.sleep(seconds)
        done = dict(self.done)
        elapsed = common.perf_counter() - start
        self.stopping = True
        for thread in self.threads:
            thread.join()
        return {kind: count / elapsed for kind, count in done.items()}


def compute():
    for _ in range(500):
        pass
    return 1


def make_ready_reads(sock, peer, makefile):
    function, argument = streams.read_call(makefile(sock, "rb", 0))
    data = b"x" * (100 * streams.MESSAGE)

    def loop():
        peer.sendall(data)
        for _ in range(100):
            function(argument)
        return 100

    return loop


def make_answers(sock, makefile):
    function, argument = streams.read_call(makefile(sock, "rb", 0))
    write = makefile(sock, "wb", 0).write
    message = b"x" * streams.MESSAGE

    def loop():
        write(message)
        function(argument)
        return 1

    return loop


def make_bulk_reads(sock, makefile):
    stream = makefile(sock, "rb", 0)
    if hasattr(stream, "readinto"):
        buf = bytearray(BULK)
        return lambda: stream.readinto(buf)
    return lambda: len(stream.read(BULK))


@contextlib.contextmanager
def on_processor(number):
    os.sched_setaffinity(0, [PROCESSORS[number]])
    try:
        yield
    finally:
        os.sched_setaffinity(0, PROCESSORS)


def answer(peer):
    while True:
        peer.sendall(peer.recv(streams.MESSAGE))


def answer_apart(peer):
    with on_processor(-1):
        answer(peer)


def send_bulk(peer):
    data = b"x" * (1024 * 1024)
    while True:
        peer.sendall(data)


def measure(bench):
    ready, answered, bulk = (streams.tcp_pair(streams.TIMEOUT) for _ in range(3))
    with common.child(answer, answered[1], kill=True), common.child(send_bulk, bulk[1], kill=True):
        loops = {}
        for name in streams.MAKEFILES:
            makefile = streams.MAKEFILES[name]
            loops[name] = {
                "computing": compute,
                "ready reads": make_ready_reads(ready[0], ready[1], makefile),
                "answers": make_answers(answered[0], makefile),
                "bulk reads": make_bulk_reads(bulk[0], makefile),
            }
        names = list(loops)
        for _ in range(2 if bench.fast else 8):
            for kinds in BESIDE:
                for name in names:
                    for kind, rate in Threads(kinds, loops[name]).run(SECONDS).items():
                        key = "%s of %s: %s" % (kind, " + ".join(kinds), name)
                        bench.values.setdefault(key, []).append(max(rate, 1e-9))
                names.append(names.pop(0))  # who comes first finds more: the other's last rounds have left it
    if len(PROCESSORS) > 1:
        measure_apart(bench)


def measure_apart(bench):
    sock, peer = streams.tcp_pair(streams.TIMEOUT)
    samplers = {}
    for name, makefile in streams.MAKEFILES.items():

        def sample(loop=make_answers(sock, makefile)):
            return Threads(["answers"], {"answers": loop}).run(SECONDS)["answers"]

        samplers["%s: %s" % (APART, name)] = sample
    with common.child(answer_apart, peer, kill=True), on_processor(0):
        bench.interleave(samplers, 8)


def rows(samples):
    found = []
    for rival in streams.RIVALS:
        shares = []
        for kinds in BESIDE:
            for kind in kinds:
                key = "%s of %s: " % (kind, " + ".join(kinds))
                others = [other for other in kinds if other != kind]
                what = "%s %s" % (kind, "beside " + ", ".join(others) if others else "alone")
                ratio = samples.ratio(key + "ours", key + rival)
                note = "%s/s with the %s's" % (common.short(samples.median(key + rival)), rival)
                shares.append(common.row("%s: ours / %s" % (what, rival), ratio, at_least=0.8, note=note, detail=True))
        least = min(shares, key=lambda share: share["value"])
        what = "least share of threads beside each other: ours / %s" % rival
        found += [dict(least, what=what, note=least["what"], detail=rival == "twin")] + shares
        if len(PROCESSORS) > 1:
            ratio = samples.ratio("%s: ours" % APART, "%s: %s" % (APART, rival))
            found.append(common.row("%s: ours / %s" % (APART, rival), ratio, at_least=0.8, detail=True))
    return found


if __name__ == "__main__":
    common.main(__file__)
