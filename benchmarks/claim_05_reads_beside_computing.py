"""Claim 5: 64-byte ready reads beside a thread that computes all the time.

Whoever gives up the GIL for a read that is ready waits up to a switch interval (5 ms) to get it back: the convoy.  A sample
is the time per read of a round of 100; it starts at a random point of the interval, so that rounds meet a forced switch as
often as a program would.
"""
import random
import time

import common
import streams

CLAIM = 5
READS = 100


def measure(bench):
    if streams.PYTHON_2:  # its GIL is another one: switched by bytecodes, not by time
        return
    sock, peer = streams.socket_pair(streams.TIMEOUT)
    data = b"x" * (streams.MESSAGE * READS)

    def make_sampler(makefile):
        function, argument = streams.read_call(makefile(sock, "rb", 0))

        def sample():
            peer.sendall(data)
            time.sleep(0)
            phase = common.perf_counter() + random.uniform(0, 0.005)
            while common.perf_counter() < phase:
                pass
            return common.time_calls(function, argument, READS) / READS

        return sample

    with common.BusyThread():
        bench.interleave({name: make_sampler(makefile) for name, makefile in streams.MAKEFILES.items()}, 100)


def rows(samples):
    what = "64-byte reads beside a computing thread"
    if "ours" not in samples:
        return [common.not_measured(what + ": time per read", "3.x only")]
    microseconds = samples.estimate(lambda seconds: seconds * 1e6, "ours")
    found = [common.row(what + ": ours, median", microseconds, unit="us", at_most=1.0)]
    found.append(common.row(what + ": interpreter, median", samples.median("interpreter") * 1e6, unit="us", detail=True))
    found.append(common.row(what + ", medians: interpreter / ours", samples.ratio("interpreter", "ours"), "x", detail=True))
    worst = max(samples.values["interpreter"]) / max(samples.values["ours"])
    found.append(common.row(what + ", worst rounds: interpreter / ours", worst, "x", at_least=10))
    return found


if __name__ == "__main__":
    common.main(__file__)
