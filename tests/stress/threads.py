"""Threads that share streams and sockets, with and without a GIL.

No byte is lost; there is no crash, no stale descriptor, and no wrong counter.

    python tests/stress/threads.py --implementation c --seconds 600

divides the seconds between the workloads below and prints how often each did what.
"""

from __future__ import print_function

import collections
import errno
import io
import os
import random
import socket
import struct
import sys
import time

import harness

THREADS = 8
RECORD = struct.Struct(">HIH")  # writer, sequence number, check
POISON = b"\xee" * 64  # what only sockets carry that no stream was made for

# What a stream may raise, and nothing else, when another thread closes, detaches or shuts down
# under it; in Python code the stream's socket may also turn None between two steps, the
# interpreter's own included.
EXPECTED = {"c": (EnvironmentError, ValueError)}
EXPECTED_OF_PYTHON = (EnvironmentError, ValueError, AttributeError)

# A BufferedWriter that is closed in one thread while another one writes to it crashes 3.6, the
# interpreter's own file too.
BUFFERINGS_TO_CLOSE = [0] if sys.version_info[:2] == (3, 6) else [0, -1]


def make_record(writer, sequence):
    return RECORD.pack(writer, sequence, (writer * 31 + sequence * 7) & 0xffff)


def check_records(data, seen):
    """Count each record of `data` in `seen`; AssertionError for one that was cut or mixed up."""
    assert len(data) % RECORD.size == 0, len(data)
    for start in range(0, len(data), RECORD.size):
        writer, sequence, _ = RECORD.unpack(data[start:start + RECORD.size])
        assert data[start : start + RECORD.size] == make_record(writer, sequence), data[
            start : start + RECORD.size
        ]
        seen[writer, sequence] += 1


def share_streams(impl, budget, buffering=None):
    """Half of the threads write records to one stream, half read them at the other end.

    Each record comes once, whole.

    With `buffering` 0 it is raw streams: readers get parts of records there, so only the bytes are
    counted.
    """
    seen = collections.Counter()
    sent = collections.Counter()
    byte_sums = []
    half = THREADS // 2
    for _ in budget:
        ours, peer = harness.tcp_pair()
        writing = impl.makefile(ours, "wb", buffering)
        reading = impl.makefile(peer, "rb", buffering)
        records = 200

        def write(writer):
            for sequence in range(records):
                record = make_record(writer, sequence)
                assert writing.write(record) == RECORD.size
                if sequence % 5 == 0:
                    writing.flush()

        def read():
            parts = []
            while True:
                part = reading.read(RECORD.size)
                if not part:
                    return parts
                parts.append(part)

        readers = [harness.Worker(read) for _ in range(half)]
        harness.run_together([lambda writer=writer: write(writer) for writer in range(half)])
        writing.flush()
        ours.shutdown(socket.SHUT_WR)
        parts = sum((reader.result() for reader in readers), [])
        if buffering == 0:
            received = b"".join(parts)
            expected = b"".join(
                make_record(writer, sequence)
                for writer in range(half)
                for sequence in range(records)
            )
            assert sorted(bytearray(received)) == sorted(bytearray(expected))
            byte_sums.append(len(received))
        else:
            check_records(b"".join(parts), seen)
            sent.update((writer, sequence) for writer in range(half) for sequence in range(records))
            assert seen == sent
        assert harness.read_counter(ours) in (1, None)
        for each in writing, reading, ours, peer:
            each.close()
        assert harness.read_counter(ours) in (0, None)
    return {"rounds": budget.done, "records": budget.done * half * records}


def use_own_streams(impl, budget):
    """Each thread carries bytes both ways through streams of its own, of every kind."""
    descriptors = harness.count_descriptors()

    def work():
        rounds = 0
        for _ in harness.Budget(seconds=max(0.05, budget.deadline - harness.clock())):
            ours, peer = harness.unix_pair() if rounds % 2 else harness.tcp_pair()
            ours.settimeout(random.choice([None, 60]))
            peer.settimeout(random.choice([None, 60]))
            binary = random.random() < 0.7
            buffering = (
                random.choice([None, 0, 1, 100]) if binary else random.choice([None, 1, 100])
            )
            left = impl.makefile(ours, "rwb" if binary else "rw", buffering)
            right = impl.makefile(peer, "rwb" if binary else "rw", buffering)
            line = os.urandom(8).hex() if not harness.PY2 else os.urandom(8).encode("hex").decode()
            line = line * random.choice([1, 10, 100]) + "\n"
            if binary:
                line = line.encode()
            for source, sink in (left, right), (right, left):
                assert source.write(line) == len(line)
                source.flush()
                assert sink.readline() == line
            closable = [left, right, ours, peer]
            random.shuffle(closable)
            for each in closable:
                each.close()
            assert harness.read_counter(ours) in (0, None)
            rounds += 1
        return rounds

    rounds = harness.run_together([work] * THREADS)
    assert harness.count_descriptors() <= descriptors, "descriptors left open"
    return {"streams": 2 * sum(rounds)}


def close_or_too_late(file):
    """Close a file.

    Without a GIL a Buffered object's close() may lose a race inside io, the interpreter's own
    file's too.
    """
    try:
        file.close()
    except ValueError:
        assert harness.NO_GIL and not isinstance(file, io.RawIOBase)


def race_to_close(impl, budget):
    """All threads close one file at the same moment.

    Its reference is given back once, so a second file goes on reading.
    """
    for _ in budget:
        ours, peer = harness.unix_pair()
        first = impl.makefile(ours, "rb", budget.done % 2 * -1)  # raw and buffered in turn
        second = impl.makefile(ours, "rb")
        ours.close()
        harness.run_together([lambda: close_or_too_late(first)] * THREADS)
        assert harness.read_counter(ours) in (1, None)
        peer.sendall(b"still open")
        assert second.read(10) == b"still open"
        second.close()
        assert peer.recv(1) == b"", "the descriptor is still open"
        peer.close()
    return {"closed": budget.done}


def count_together(impl, budget):
    """All threads make and close files on one socket, which stays open, its counter right."""
    ours, peer = harness.unix_pair()

    def work():
        for number in range(50):
            impl.makefile(ours, random.choice(["r", "rb", "wb", "rwb"])).close()

    for _ in budget:
        harness.run_together([work] * THREADS)
        assert harness.read_counter(ours) in (0, None)
    ours.sendall(b"x")
    assert peer.recv(1) == b"x"
    ours.close()
    peer.close()
    return {"files": budget.done * THREADS * 50}


def can_count_together(impl):
    """Is `+= 1` on the socket's counter one step here?

    The interpreter's own makefile and `_decref_socketios` decide that.
    """
    return not harness.NO_GIL and sys.version_info >= (3, 10) and not harness.PYPY


def pull_the_rug(impl, budget):
    """Threads read and write with a timeout while others close the socket and take its number.

    They close, detach and shut it down.

    What took the number carries POISON one way and nothing the other: no stream may read it, none
    may write to it.  Returns how often a stream did; the caller knows whether that may be (contract
    section 4: without a GIL it may).
    """
    counts = collections.Counter()
    descriptors = harness.count_descriptors()
    expected = EXPECTED.get(impl.name, EXPECTED_OF_PYTHON)
    for _ in budget:
        ours, peer = harness.tcp_pair()
        ours.settimeout(0.02)
        peer.settimeout(1)
        reading = impl.makefile(ours, "rb", random.choice([0, -1]))
        writing = impl.makefile(ours, "wb", random.choice(BUFFERINGS_TO_CLOSE))
        stop = []

        def read():
            while not stop:
                try:
                    data = reading.read(16)
                except expected:
                    counts["read error"] += 1
                    if harness.is_closed(ours) or reading.closed:
                        return
                    data = None
                else:
                    counts["reads"] += 1
                    if data and b"\xee" in data:
                        counts["stale reads"] += 1
                    if data == b"":
                        return
                if data is None:
                    # The buffer's lock is not fair: who asks again at once keeps it from who
                    # closes.
                    time.sleep(0.001)

        def write():
            while not stop:
                try:
                    writing.write(b"w" * 16)
                    writing.flush()
                    counts["writes"] += 1
                except expected:
                    counts["write errors"] += 1
                    if harness.is_closed(ours) or writing.closed:
                        return
                    time.sleep(0.001)  # as above

        def feed():
            try:
                for _ in range(random.randrange(60)):
                    peer.sendall(b"p" * 16)
                    peer.recv(65536)
            except EnvironmentError:
                pass

        def disturb():
            for _ in range(random.randrange(10)):
                ours.settimeout(random.choice([0, 0.02, 0.005]))
                impl.makefile(ours, "rb").close()
            disturbances = [
                [lambda: ours.shutdown(socket.SHUT_RDWR)],
                [reading.close, writing.close, ours.close],
                [ours.close, reading.close, writing.close]]
            if not harness.PY2:
                disturbances.append([lambda: os.close(ours.detach())])
            for action in random.choice(disturbances):
                try:
                    action()
                except expected:
                    counts["disturbing errors"] += 1
            recycled = [socket.socketpair() for _ in range(4)]
            for left, right in recycled:
                right.sendall(POISON)
                left.setblocking(False)  # a stale read must not hang
            return recycled

        workers = [harness.Worker(function) for function in [read, read, write, write, feed]]
        recycled = harness.Worker(disturb).result()
        harness.wait_until(lambda: sum(worker.is_alive() for worker in workers) <= 5)
        stop.append(True)
        for worker in workers:
            worker.result()
        for left, right in recycled:
            right.setblocking(False)
            try:
                if b"w" in right.recv(1000):
                    counts["stale writes"] += 1
            except EnvironmentError as error:
                assert error.errno == errno.EAGAIN
            left.close()
            right.close()
        for each in reading, writing, ours, peer:
            try:
                each.close()
            except expected:
                pass
        assert harness.read_counter(ours) in (0, None)
    harness.forget_exceptions()
    assert harness.count_descriptors() <= descriptors, "descriptors left open"
    counts["rounds"] = budget.done
    return dict(counts)


def may_be_stale(impl):
    """May a recycled number be used here?

    Contract section 4: in the interpreter's own methods, and without a GIL, it may.
    """
    return harness.NO_GIL or impl.name != "c"


def run(impl, seconds):
    """Every workload for its part of `seconds`; prints what each did."""
    workloads = [
        ("one buffered stream each way", share_streams),
        ("one raw stream each way", lambda impl, budget: share_streams(impl, budget, 0)),
        ("streams of their own", use_own_streams),
        ("close from all threads", race_to_close),
        ("close, detach, recycle", pull_the_rug)]
    if can_count_together(impl):
        workloads.append(("one counter", count_together))
    for name, workload in workloads:
        figures = workload(impl, harness.Budget(seconds=seconds / float(len(workloads))))
        harness.report(name, **{key.replace(" ", "_"): value for key, value in figures.items()})
        if not may_be_stale(impl):
            assert not figures.get("stale reads") and not figures.get("stale writes")


if __name__ == "__main__":
    args = harness.parse(__doc__.splitlines()[0], seconds=600)
    run(args.implementation, args.seconds)
