"""Streams under a timer that interrupts every millisecond.

Every byte arrives once and in order, whatever the handler does.

    python tests/stress/signals.py --implementation c --megabytes 1024

carries so many megabytes each way through raw, buffered and text streams, with and without a
timeout, then as much of them as the time allows with handlers that raise, and measures how late a
timeout comes.
"""

from __future__ import print_function

import errno
import itertools
import signal
import socket
import time

import harness

TICK_S = 0.001
# A prime length: no chunk divides it.
BLOCK = bytes(bytearray((i * i + i // 251) % 251 for i in range(65521)))
TEXT_BLOCK = "".join(chr(32 + (i * i) % 90) if i % 61 else "\n" for i in range(65521))
LARGEST = 1 << 20
REPEATED = BLOCK * (LARGEST // len(BLOCK) + 3)
imap = getattr(itertools, "imap", map)


class Interrupt(Exception):
    """What a handler raises."""


class Ticking(object):
    """A context in which SIGALRM comes every millisecond.

    `ticks` counts them, and every `raise_each`-th one raises when `armed`.
    """

    def __init__(self, raise_each=None):
        self.raise_each = raise_each
        self.ticks = self.raised = 0
        self.armed = False

    def handle(self, signum, frame):
        self.ticks += 1
        if self.armed and self.raise_each and self.ticks % self.raise_each == 0:
            self.armed = False
            self.raised += 1
            raise Interrupt

    def __enter__(self):
        self.old = signal.signal(signal.SIGALRM, self.handle)
        signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
        return self

    def __exit__(self, *exc_info):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.old)

    def try_call(self, function, argument, results):
        """Append function(argument) to `results`, or let the handler raise and give False.

        No bytecode runs between the end of the call and the append, so an exception from there
        means that there was no result.  What a write puts by comes a little later.
        """
        count = len(results)
        try:
            self.armed = True
            results.extend(imap(function, [argument]))
            let_deferred_come()
            self.armed = False
        except Interrupt:
            pass
        return len(results) > count


def let_deferred_come():
    """Run what makes the interpreter look for pending calls: on 2.7, a hundred bytecodes."""
    for _ in range(200):
        pass


def expect(position, nbytes):
    start = position % len(BLOCK)
    return REPEATED[start:start + nbytes]


def retry(function, *args):
    """Call again after EINTR, which 2.7's own methods let out."""
    while True:
        try:
            return function(*args)
        except EnvironmentError as error:
            if error.errno != errno.EINTR:
                raise


def feed(sock, nbytes, chunk=LARGEST, pause=0.0):
    """The peer of a reader: send so much of the pattern, then the end."""
    position = 0
    while position < nbytes:
        position += retry(sock.send, expect(position, min(chunk, nbytes - position)))
        if pause:
            time.sleep(pause)
    sock.shutdown(socket.SHUT_WR)


def swallow(sock, pause=0.0, chunk=LARGEST):
    """A writer's peer: receive to the end; how much of the pattern came, and nothing else may."""
    position = 0
    while True:
        data = retry(sock.recv, chunk)
        if not data:
            return position
        assert data == expect(position, len(data)), "wrong bytes after %d" % position
        position += len(data)
        if pause:
            time.sleep(pause)


def read_all(stream, kind):
    """Read the pattern to the end; how much came."""
    position = 0
    scratch = bytearray(200003)
    while True:
        if kind == "raw":
            data = scratch[:stream.readinto(scratch)]
        else:
            data = stream.read(100003)
            if kind == "text":
                data = data.encode("latin-1")
        if not data:
            return position
        assert data == expect(position, len(data)), "wrong bytes after %d" % position
        position += len(data)


def write_all(stream, kind, nbytes):
    position = 0
    while position < nbytes:
        data = expect(position, min(100003, nbytes - position))
        if kind == "text":
            data = data.decode("latin-1")
        position += stream.write(data)
    stream.flush()


def make(impl, sock, kind, mode):
    if kind == "text":
        return impl.makefile(sock, mode, None, encoding="latin-1", newline="")
    return impl.makefile(sock, mode + "b", 0 if kind == "raw" else None)


def carry(impl, kind, nbytes, timeout=None, pause=0.0):
    """So many bytes in and so many out through a stream of this kind; the ticks that came.

    The handler does nothing.
    """
    # Before the ticks come: 2.7 does not try connect() again.
    pairs = [harness.tcp_pair() for _ in range(2)]
    with Ticking() as ticking:
        for mode in "rw":
            ours, peer = pairs.pop()
            ours.settimeout(timeout)
            stream = make(impl, ours, kind, mode)
            if mode == "r":
                worker = harness.Worker(feed, peer, nbytes, LARGEST if not pause else 4001, pause)
                assert read_all(stream, kind) == nbytes
                worker.result()
            else:
                worker = harness.Worker(swallow, peer, pause)
                write_all(stream, kind, nbytes)
                ours.shutdown(socket.SHUT_WR)
                assert worker.result(600) == nbytes
            for each in stream, ours, peer:
                each.close()
    return ticking.ticks


def read_exactly(impl, nbytes, timeout=None):
    """Raw readinto() when the handler raises: nothing is consumed then.  How often it raised."""
    ours, peer = harness.tcp_pair()
    ours.settimeout(timeout)
    raw = impl.makefile(ours, "rb", 0)
    worker = harness.Worker(feed, peer, nbytes, 101, TICK_S * 2)
    scratch = bytearray(1009)
    position = 0
    with Ticking(raise_each=3) as ticking:
        while True:
            results = []
            if ticking.try_call(raw.readinto, scratch, results):
                if results[0] == 0:
                    break
                assert scratch[: results[0]] == expect(position, results[0]), (
                    "wrong bytes after %d" % position
                )
                position += results[0]
    worker.result()
    assert position == nbytes, (position, nbytes)
    for each in raw, ours, peer:
        each.close()
    return ticking.raised


def write_exactly(impl, nbytes, timeout=None):
    """Raw write() when the handler raises: nothing is sent then.  How often it raised."""
    ours, peer = harness.unix_pair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.settimeout(timeout)
    raw = impl.makefile(ours, "wb", 0)
    worker = harness.Worker(swallow, peer, TICK_S, 499)
    results = []
    position = 0
    with Ticking(raise_each=3) as ticking:
        while position < nbytes:
            if ticking.try_call(
                raw.write, expect(position, min(50021, nbytes - position)), results
            ):
                position += results.pop()
    ours.shutdown(socket.SHUT_WR)
    assert worker.result(600) == position
    for each in raw, ours, peer:
        each.close()
    return ticking.raised


def flush_exactly(impl, nbytes, timeout=None):
    """A BufferedWriter whose flush() is tried again whenever the handler raised.

    Each byte is sent once.  How often it raised.
    """
    ours, peer = harness.unix_pair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    ours.settimeout(timeout)
    stream = impl.makefile(ours, "wb", 65536)
    worker = harness.Worker(swallow, peer, TICK_S, 499)
    position = 0
    with Ticking(raise_each=3) as ticking:
        while position < nbytes:
            results = []
            # A chunk fits into the buffer: write() itself does not send.
            chunk = expect(position, min(60013, nbytes - position))
            while not ticking.try_call(stream.write, chunk, results):
                pass
            position += results[0]
            while not ticking.try_call(lambda ignored: stream.flush(), None, results):
                pass
    ours.shutdown(socket.SHUT_WR)
    assert worker.result(600) == nbytes
    for each in stream, ours, peer:
        each.close()
    return ticking.raised


def measure_lateness(impl, timeout):
    """Seconds by which an idle read and an idle write outlast their timeout while ticks come."""
    lateness = []
    ours, peer = harness.unix_pair()
    ours.setblocking(False)
    try:
        while True:
            ours.send(b"f" * 4096)
    except EnvironmentError as error:
        assert error.errno == errno.EAGAIN
    ours.settimeout(timeout)
    with Ticking():
        for mode, call in (
            ("rb", lambda raw: raw.read(1)),
            ("wb", lambda raw: raw.write(b"f" * 4096)),
        ):
            raw = impl.makefile(ours, mode, 0)
            began = harness.clock()
            try:
                call(raw)
            except socket.timeout:
                lateness.append(harness.clock() - began - timeout)
            else:
                raise AssertionError("no timeout")
            raw.close()
    ours.close()
    peer.close()
    return lateness


def run(impl, megabytes):
    for kind in "raw", "buffered", "text":
        for timeout in None, 60:
            began = harness.clock()
            ticks = carry(impl, kind, megabytes << 20, timeout)
            harness.report("%s, timeout %s" % (kind, timeout), megabytes_each_way=megabytes,
                           signals=ticks, seconds=round(harness.clock() - began, 1))
    if impl.name == "c":
        for function in read_exactly, write_exactly, flush_exactly:
            for timeout in None, 60:
                nbytes = (megabytes << 20) // (2000 if function is read_exactly else 200)
                raised = function(impl, nbytes, timeout)
                harness.report(
                    "%s, timeout %s" % (function.__name__, timeout), bytes=nbytes, raised=raised
                )
    worst = [max(pair) for pair in zip(*[measure_lateness(impl, 0.2) for _ in range(25)])]
    harness.report(
        "lateness of 25 timeouts",
        worst_read_ms=round(worst[0] * 1e3, 1),
        worst_write_ms=round(worst[1] * 1e3, 1),
    )
    assert max(worst) < 0.05


if __name__ == "__main__":
    args = harness.parse(__doc__.splitlines()[0], megabytes=1024)
    run(args.implementation, args.megabytes)
