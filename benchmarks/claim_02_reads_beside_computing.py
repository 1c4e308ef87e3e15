"""Claim 2: reads of 64 bytes that are ready, beside a thread that computes all the time.

Whoever gives up the GIL for a read that is ready waits up to a switch interval (5 ms) to get it
back: the convoy.

"a read" is the mean of 30 reads, each of a message of its own: with the default buffer they are
lines, and each is a record of the socket, so that each line is received by itself.  They start at a
random point of the interval, so that they meet a forced switch as often as a program would.

"hot reader" is a thread that reads all the time what another process sends all the time.
"""

import random
import socket
import time

import common
import streams
from cases import BUFFERED, UNBUFFERED, Scene, at_least, at_most, loops_per_second, median, options
from peers import BusyThread, answer_each, clock, connection_to, flood

CLAIM = 2
READS = 30
MICROSECONDS = at_most({(2, 7): None, (3, 0): 3.0}, of_ours=True)
HOT = at_least({(2, 7): 0.8, (3, 0): 10})
SHARE = at_least(0.4, of_ours=True)  # two threads that always can run: a fair half
LINE = b"x" * (streams.MESSAGE - 1) + b"\n"


def record_pair():
    return streams.socket_pair(kind=socket.SOCK_SEQPACKET)


def ready_reads(case):
    with connection_to(answer_each, LINE, READS, pair=record_pair) as sock, BusyThread():
        stream = case.open(sock, "rb")
        function, argument = (stream.readline, -1) if case.buffering else streams.read_call(stream)
        times = []
        end = clock() + options.seconds
        while clock() < end:
            sock.send(b"?")
            time.sleep(0.001)  # the other process sends what will be read
            phase = clock() + random.uniform(0, 0.005)
            while clock() < phase:
                pass
            times.append(common.time_calls(function, argument, READS) / READS)
    return {"a read, median": 1e6 * median(times)}


def hot_reader(case):
    with connection_to(flood, 1000 * LINE, pair=streams.socket_pair) as sock, BusyThread() as busy:
        alone = loops_per_second(busy)
        function, argument = streams.read_call(case.open(sock, "rb"))
        reads, loops, start = 0, busy.loops, clock()
        while clock() < start + options.seconds:
            function(argument)
            reads += 1
        seconds = clock() - start
        return {
            "hot reader": reads / seconds,
            "the computing thread's share": (busy.loops - loops) / seconds / alone,
        }


HOT_FIGURES = [("hot reader", "reads/s", HOT), ("the computing thread's share", "", SHARE)]
SCENES = [
    Scene(
        "64-byte reads beside a computing thread",
        ready_reads,
        UNBUFFERED + BUFFERED,
        [("a read, median", "us", MICROSECONDS)],
    ),
    Scene(
        "reads all the time beside a computing thread",
        hot_reader,
        UNBUFFERED + BUFFERED,
        HOT_FIGURES,
    ),
]


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    found = common.scene_rows(SCENES, samples)
    words = "a small message that is there, read beside a computing thread"
    what = "64-byte reads beside a computing thread, slowest of all cases"
    return [
        common.worst(found, what, "a read, median", highest=True, words=words, readme=True)
    ] + found


if __name__ == "__main__":
    common.main(__file__)
