"""Sockets that are closed and whose numbers are used again, under writers and readers.

    python tests/stress/recycled.py --implementation c --seconds 600

No byte of a stream may go into the connection that took the number of its socket, and none of that
connection may be read.  The interpreter's own methods leave a window of a few instructions: 0 to 1
wrong in 7,000 rounds.
"""

from __future__ import print_function

import collections
import os
import random
import socket
import time

import _socket

import harness

WORKERS = 4
SIZES = [10, 1000, 20000, 300000]  # bytes
BUFFERS = [0, 0, 64, 8192, 1 << 19]  # 0: the raw stream
OURS, FOREIGN = b"o", b"F"
EXPECTED = (EnvironmentError, ValueError, AttributeError)  # of a stream whose socket is gone


def close_at_once(sock):
    """Close the descriptor of *sock* while streams are open."""
    if harness.PY2:
        sock._sock.close()
    elif random.random() < 0.5:
        os.close(sock.detach())
    else:
        _socket.socket.close(sock)


def write(stream, data, deadline):
    try:
        while harness.clock() < deadline:
            stream.write(data)
            stream.flush()
    except EXPECTED:
        pass


def read(stream, size, deadline, read_bytes):
    """Read until the end; count the foreign bytes in *read_bytes*."""
    operation = random.choice([lambda: stream.read(size), lambda: stream.readline(size)])
    buffer = bytearray(size)

    def into():
        count = stream.readinto(buffer)
        return count and bytes(buffer[:count])

    if not harness.PY2 and random.random() < 0.3:  # 2.7's BufferedReader has none
        operation = into
    try:
        while harness.clock() < deadline:
            data = operation()
            if data == b"":
                return
            read_bytes["foreign"] += (data or b"").count(FOREIGN)
    except EXPECTED:
        pass


def drain(sock):
    try:
        while sock.recv(65536):
            pass
    except EnvironmentError:
        pass


def feed(sock, data):
    try:
        while True:
            sock.sendall(data)
    except EnvironmentError:
        pass


def play_round(impl, rng):
    """A socket closed under its stream, its number taken at once; 1 if a wrong byte went over."""
    ours, peer = harness.unix_pair()
    ours.settimeout(rng.choice([None, 5]))
    size, buffering = rng.choice(SIZES), rng.choice(BUFFERS)
    deadline = harness.clock() + 5
    foreign = collections.Counter()
    writes = rng.random() < 0.5
    stream = impl.makefile(ours, "wb" if writes else "rb", buffering)
    if writes:
        workers = [
            harness.Worker(write, stream, OURS * size, deadline),
            harness.Worker(drain, peer),
        ]
    else:
        workers = [
            harness.Worker(read, stream, size, deadline, foreign),
            harness.Worker(feed, peer, OURS * rng.choice(SIZES)),
        ]
    time.sleep(rng.random() * 0.003)
    close_at_once(ours)
    other, its_peer = harness.unix_pair()  # takes the number
    if not writes:
        its_peer.sendall(FOREIGN * 1000)
    time.sleep(rng.random() * 0.003)
    its_peer.settimeout(0)
    wrong = 0
    try:
        wrong += len(its_peer.recv(1000))
    except EnvironmentError:
        pass
    for sock in peer, other, its_peer:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except EnvironmentError:
            pass
    for worker in workers:
        worker.result()
    for closable in stream, other, its_peer, peer, ours:
        try:
            closable.close()
        except EXPECTED:
            pass
    return 1 if wrong or foreign["foreign"] else 0


def recycle(impl, budget, workers=WORKERS):
    """Rounds in several threads at once: {"rounds": how many, "wrong": how many of them}."""
    counts = collections.Counter()

    def work(seed):
        rng = random.Random(seed)
        done = wrong = 0
        for _ in harness.Budget(seconds=max(0.05, budget.deadline - harness.clock())):
            wrong += play_round(impl, rng)
            done += 1
        return done, wrong

    seeds = [random.randrange(2**32) for _ in range(workers)]
    seconds = budget.deadline - harness.clock() + 60
    for done, wrong in harness.run_together(
        [lambda seed=seed: work(seed) for seed in seeds], seconds
    ):
        counts["rounds"] += done
        counts["wrong"] += wrong
    return dict(counts)


def run(impl, seconds):
    figures = recycle(impl, harness.Budget(seconds=seconds))
    harness.report("closed, detached, used again", **figures)
    # The interpreter's own window is not ours to close; what is more than it is ours.
    assert figures["wrong"] <= 1 + figures["rounds"] // 2000, figures


if __name__ == "__main__":
    args = harness.parse(__doc__.splitlines()[0], seconds=600)
    run(args.implementation, args.seconds)
