"""Claim 1: a client of another process (a database, a cache, a web server), in a program that
also computes.

It sends 63 bytes and waits for 63 bytes, one request at a time, while another thread of the
program computes.
"""

import common
import peers
from cases import BUFFERED, UNBUFFERED, Scene, at_least, loops_per_second, per_second

CLAIM = 1
# 2.7 switches threads by bytecodes, not by time: there is little to win.
ANSWERS = at_least({(2, 7): 0.8, (3, 0): 20})
SHARE = at_least(0.7, of_ours=True)
SIZE = 63


def requests(case):
    request = b"x" * SIZE
    with peers.connection_to(peers.echo) as sock, peers.BusyThread() as busy:
        alone = loops_per_second(busy)
        stream = case.open(sock, "rwb")
        flush = stream.flush if case.buffering else int  # unbuffered there is nothing to flush

        def ask():
            stream.write(request)
            flush()
            assert len(stream.read(SIZE)) == SIZE

        loops, start = busy.loops, peers.clock()
        answers = per_second(ask)
        share = (busy.loops - loops) / (peers.clock() - start) / alone
        stream.close()
    return {"answers": answers, "the computing thread's share": share}


FIGURES = [("answers", "/s", ANSWERS), ("the computing thread's share", "", SHARE)]
SCENES = [Scene("requests beside a computing thread", requests, UNBUFFERED + BUFFERED, FIGURES)]


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    found = common.scene_rows(SCENES, samples)
    words = "requests that another process answers, beside a computing thread"
    what = "requests beside a computing thread, least of all cases"
    return [common.worst(found, what, ": answers", words=words, readme=True)] + found


if __name__ == "__main__":
    common.main(__file__)
