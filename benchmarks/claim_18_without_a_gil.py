"""Claim 18: on a build without a GIL, ready reads and writes of 64 bytes in one thread, and in
two threads at once.
"""

import threading

import common
import streams
from cases import NO_GIL, UNBUFFERED, Scene, at_least, median, options
from peers import clock

CLAIM = 18
RATE = at_least(1.5)
CALLS = 64  # what fits into a quarter of a send buffer, above which poll says "not writable"


def read_calls(case, sock, peer):
    function, argument = streams.read_call(case.open(sock, "rb"))
    while True:
        peer.sendall(b"x" * (streams.MESSAGE * CALLS))
        yield common.time_calls(function, argument, CALLS)


def write_calls(case, sock, peer):
    write = case.open(sock, "wb").write
    while True:
        seconds = common.time_calls(write, b"x" * streams.MESSAGE, CALLS)
        left = streams.MESSAGE * CALLS
        while left:
            left -= len(peer.recv(left))
        yield seconds


def calls_per_second(case, make_calls, count):
    """Of so many threads together, each on a stream of its own."""

    def run(pair):
        for seconds in make_calls(case, *pair):
            times.append(seconds / CALLS)
            if clock() > end:
                return

    times = []
    end = clock() + options.seconds
    threads = [threading.Thread(target=run, args=(streams.socket_pair(),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / median(times)


KINDS = [("reads", read_calls), ("writes", write_calls)]
NAMES = [("one thread", 1), ("two threads", 2)]


def without_a_gil(case):
    return {
        "%s, %s" % (what, name): calls_per_second(case, call, count)
        for what, call in KINDS
        for name, count in NAMES
    }


FIGURES = [("%s, %s" % (what, name), "/s", RATE) for what, _ in KINDS for name, _ in NAMES]
SCENES = [Scene("without a GIL", without_a_gil, UNBUFFERED, FIGURES)] if NO_GIL else []


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    return common.scene_rows(SCENES, samples) or [
        common.not_measured("reads and writes without a GIL", "this build has one")
    ]


if __name__ == "__main__":
    common.main(__file__)
