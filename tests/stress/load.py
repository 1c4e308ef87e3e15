"""Much of everything, and for long.

Streams open at once, streams made and closed, small messages by many threads, gigabytes through one
stream.

    python tests/stress/load.py --implementation c --streams 10000 --made 1000000 --messages 1000000
        --gigabytes 10

checks that every byte arrives, and that descriptors, blocks and the resident size are afterwards
what they were.
"""

from __future__ import print_function

import gc
import resource
import socket
import sys

import harness
import leaks
import signals

THREADS = 8


class Flat(object):
    """A context at whose end nothing has grown: no descriptor, no more than a few blocks.

    `grown_kb` tells the resident size.
    """

    def __enter__(self):
        gc.collect()
        self.before = harness.count_descriptors(), self.count_blocks()
        self.resident = leaks.read_resident_bytes()
        return self

    def __exit__(self, error, *exc_info):
        harness.forget_exceptions()
        self.grown_kb = (leaks.read_resident_bytes() - self.resident) // 1024
        if error is None:
            descriptors, blocks = harness.count_descriptors(), self.count_blocks()
            assert descriptors <= self.before[0], "descriptors left open"
            assert blocks - self.before[1] < 2000, "%d blocks more" % (blocks - self.before[1])

    def count_blocks(self):
        if hasattr(sys, "getallocatedblocks") and not harness.PYPY:
            return sys.getallocatedblocks()
        return len(gc.get_objects())


def open_at_once(impl, streams):
    """So many streams open, one at each end of each pair.

    Each carries a line, and all are closed.  How many it was.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    streams = min(streams, hard - harness.count_descriptors() - 50)
    with Flat():
        pairs = []
        for number in range(streams // 2):
            ours, peer = harness.unix_pair()
            pairs.append((impl.makefile(ours, "rwb"), impl.makefile(peer, "rwb")))
            ours.close()
            peer.close()
        for number, (left, right) in enumerate(pairs):
            left.write(b"%d\n" % number)
            left.flush()
        for number, (left, right) in enumerate(pairs):
            assert right.readline() == b"%d\n" % number
        while pairs:
            for stream in pairs.pop():
                stream.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return streams // 2 * 2


def make_and_close(impl, count):
    """So many streams made and closed, of every kind, on one socket."""
    ours, peer = harness.unix_pair()
    kinds = [("rb", None), ("wb", None), ("rwb", 0), ("r", None), ("w", None), ("rwb", None)]
    for number in range(100):
        impl.makefile(ours, *kinds[number % len(kinds)]).close()
    with Flat() as flat:
        for number in harness.count_to(count):
            stream = impl.makefile(ours, *kinds[number % len(kinds)])
            if number % 3:
                stream.close()
            stream = None
    assert harness.read_counter(ours) in (0, None)
    ours.close()
    peer.close()
    return flat.grown_kb


def exchange_messages(impl, count):
    """In each of 8 threads so many small messages there and back over streams of its own."""
    def work():
        ours, peer = harness.tcp_pair()
        left, right = impl.makefile(ours, "rwb"), impl.makefile(peer, "rwb")
        for number in harness.count_to(count):
            source, sink = (left, right) if number % 2 else (right, left)
            message = b"message %d\n" % number
            source.write(message)
            source.flush()
            assert sink.readline() == message
        for each in left, right, ours, peer:
            each.close()

    with Flat() as flat:
        harness.run_together([work] * THREADS, seconds=36000)
    return flat.grown_kb


def carry(impl, nbytes):
    """So many bytes into a raw stream and out of a buffered one."""
    ours, peer = harness.tcp_pair()
    writing, reading = impl.makefile(ours, "wb", 0), impl.makefile(peer, "rb")
    with Flat() as flat:
        def write():
            signals.write_all(writing, "raw", nbytes)
            ours.shutdown(socket.SHUT_WR)

        worker = harness.Worker(write)
        assert signals.read_all(reading, "buffered") == nbytes
        worker.result()
        worker = None
    for each in writing, reading, ours, peer:
        each.close()
    return flat.grown_kb


def timed(what, function, impl, amount, unit):
    began = harness.clock()
    result = function(impl, amount)
    figures = {"streams": result} if function is open_at_once else {"resident_grown_kb": result}
    harness.report(
        what, seconds=round(harness.clock() - began, 1), **dict(figures, **{unit: amount})
    )


if __name__ == "__main__":
    args = harness.parse(
        __doc__.splitlines()[0], streams=10000, made=1000000, messages=1000000, gigabytes=10
    )
    timed("open at once", open_at_once, args.implementation, args.streams, "asked_for")
    timed("made and closed", make_and_close, args.implementation, args.made, "made")
    timed("messages, 8 threads", exchange_messages, args.implementation, args.messages,
          "messages_each")
    timed("through one stream", carry, args.implementation, args.gigabytes << 30, "bytes")
