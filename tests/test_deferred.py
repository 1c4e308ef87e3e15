"""What is raised during a write that has sent something, and where it comes out.

Handlers of signals: the calls are made by one loop in C, in which the interpreter does not look at
anything.  Then what comes from other threads: asynchronous exceptions and pending calls.
"""

import ctypes
import functools
import gc
import io
import itertools
import os
import signal
import socket
import sys
import threading
import weakref

import pytest

import harness
import signals
from running import watchdog  # noqa: F401 - a fixture

PYPY = hasattr(sys, "pypy_version_info")
BIG = b"x" * (1 << 23)

pytestmark = [
    pytest.mark.usefixtures("watchdog"),
    pytest.mark.skipif(
        PYPY or harness.SOCKET_CALLS is None, reason="of the C extension, and /proc"
    ),
]


class Interrupt(Exception):
    """What the handler raises; each is different."""


@pytest.fixture
def raised():
    """Weak references to what the handler of SIGUSR1 has raised."""
    references = []

    def make():
        error = Interrupt()
        references.append(weakref.ref(error))
        return error

    def handler(signum, frame):
        raise make()

    old = signal.signal(signal.SIGUSR1, handler)
    yield references
    signal.signal(signal.SIGUSR1, old)


@pytest.fixture
def interrupting(raised):
    """A function that sends a signal each time that this thread is blocked, so many times."""
    main, workers = harness.get_native_id(), []

    def send(times):
        for number in range(times):
            harness.wait_until(lambda: len(raised) == number and harness.is_blocked(main))
            os.kill(os.getpid(), signal.SIGUSR1)

    yield lambda times: workers.append(harness.Worker(send, times))
    for worker in workers:
        worker.result()


def call_in_c(results, *calls):
    """Make the calls, of a callable and its arguments each, and append what they return."""
    made = [functools.partial(*call) for call in calls]
    results.extend(getattr(itertools, "imap", map)(functools.partial.__call__, made))


@pytest.fixture
def streams(c_impl, closing):
    """A function that makes a stream for writing and its peer."""

    def make():
        ours, peer = map(closing, socket.socketpair())
        return c_impl.makefile(ours, "wb", 0), peer

    return make


@pytest.mark.parametrize("timeout", [None, 60])
def test_exception_put_by_in_a_loop_in_c_comes_with_the_next_operation(
    streams, interrupting, timeout
):
    raw, peer = streams()
    raw._sock.settimeout(timeout)
    results = []
    interrupting(1)
    with pytest.raises(Interrupt):
        call_in_c(results, (raw.write, BIG), (peer.recv, 1 << 20), (raw.write, b"more"))
    assert len(results) == 2
    assert results[0] < len(BIG)
    assert b"more" not in results[1]
    assert raw.write(b"") == 0


def test_exception_put_by_comes_in_the_function_that_wrote(streams, interrupting):
    raw, _ = streams()
    interrupting(1)
    with pytest.raises(Interrupt):
        count = raw.write(BIG)
        for _ in range(100000):
            pass
        count = None
    assert 0 < count < len(BIG)


def test_exception_put_by_without_a_pending_call_comes_with_the_next_operation(streams):
    """The interpreter's list of pending calls is full; a handler in Python would serve them."""
    raw, peer = streams()
    main = harness.get_native_id()
    do_nothing = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p)  # abs(NULL) is 0
    pend = ctypes.pythonapi.Py_AddPendingCall

    def interrupt():
        harness.wait_until(lambda: harness.is_blocked(main))
        os.kill(os.getpid(), signal.SIGUSR1)

    results = []
    old = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        interrupting = harness.Worker(interrupt)
        calls = [(raw.write, BIG), (peer.recv, 1 << 20)] + [(raw.write, b"more")] * 2
        with pytest.raises(KeyboardInterrupt):
            call_in_c(results, *[(pend, do_nothing, None)] * 400 + calls)
        interrupting.result()
    finally:
        signal.signal(signal.SIGUSR1, old)
    results = results[400:]
    assert len(results) == 2
    assert 0 < results[0] < len(BIG)


def test_exception_put_by_is_not_raised_in_another_thread(c_impl, streams, interrupting, closing):
    raw, _ = streams()
    ours, peer = map(closing, socket.socketpair())
    peer.sendall(b"x" * 64)
    ready = c_impl.makefile(ours, "rb", 0)
    written, read = threading.Lock(), threading.Lock()
    written.acquire()
    read.acquire()

    def read_much():
        with written:
            try:
                for _ in range(64):  # among which are checks
                    ready.read(1)
            finally:
                read.release()

    results = []
    reader = harness.Worker(read_much)
    interrupting(1)
    with pytest.raises(Interrupt):
        call_in_c(results, (raw.write, BIG), (written.release,), (read.acquire,))
        signals.let_deferred_come()
    reader.result()
    assert 0 < results[0] < len(BIG)


@pytest.mark.skipif(not (3, 9) <= sys.version_info < (3, 13), reason="needs _xxsubinterpreters")
def test_exception_put_by_is_not_raised_in_another_interpreter(streams, interrupting, closing):
    import _xxsubinterpreters as interpreters

    raw, _ = streams()
    ours, peer = map(closing, socket.socketpair())
    peer.sendall(b"x" * 64)
    other = interpreters.create()
    path = os.pathsep.join(entry for entry in sys.path if entry)
    interpreters.run_string(
        other,
        "import os, sys; sys.path[:0] = %r.split(os.pathsep)\n"
        "import socket\n"
        "from backports.makefile._makefile import SocketIO\n"
        "raw = SocketIO(socket.socket(fileno=%d), 'r')" % (path, os.dup(ours.fileno())),
    )
    script = "for _ in range(64): raw.read(1)"
    results = []
    interrupting(1)
    try:
        with pytest.raises(Interrupt):
            call_in_c(results, (raw.write, BIG), (interpreters.run_string, other, script))
            signals.let_deferred_come()
    finally:
        interpreters.run_string(other, "raw._sock.close(); raw.close()")
        interpreters.destroy(other)
    assert 0 < results[0] < len(BIG)
    assert len(results) == 2


def test_older_of_two_exceptions_put_by_is_let_go(streams):
    """The handler is in C: one in Python would be where the interpreter raises the first."""

    def count():
        """What an exception adds to: it is an object, or, up to 3.11, still a class alone."""
        gc.collect()
        objects = sum(type(each) is KeyboardInterrupt for each in gc.get_objects())
        return objects, sys.getrefcount(KeyboardInterrupt)

    def interrupt():
        for number in range(2):
            harness.wait_until(lambda: len(results) == number and harness.is_blocked(main))
            os.kill(os.getpid(), signal.SIGUSR1)

    main = harness.get_native_id()
    (first, _), (second, _) = streams(), streams()
    results, before = [], count()
    old = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    try:
        interrupting = harness.Worker(interrupt)
        with pytest.raises(KeyboardInterrupt):
            call_in_c(results, (first.write, BIG), (second.write, BIG))
            signals.let_deferred_come()
        interrupting.result()
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert len(results) == 2
    assert all(0 < result < len(BIG) for result in results)
    harness.forget_exceptions()
    assert count() == before


# --- From other threads ---------------------------------------------------------------------------


class Sipper(object):
    """A peer that takes a little each millisecond, until it is told to end, or has half of BIG."""

    def __init__(self, peer):
        self.peer, self.ended = peer, threading.Event()

    def sip(self):
        left = len(BIG) // 2
        while left > 0 and not self.ended.wait(0.001):
            left -= len(self.peer.recv(1 << 13))

    def __enter__(self):
        self.worker = harness.Worker(self.sip)
        return self

    def __exit__(self, *exc_info):
        self.ended.set()
        self.worker.result()


def post_exception(ident):
    """An asynchronous Interrupt in another thread."""
    number = (ctypes.c_long if sys.version_info < (3, 7) else ctypes.c_ulong)(ident)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(Interrupt)) == 1


def write_by_a_buffer(raw):
    writer = io.BufferedWriter(raw, len(BIG) + 1)
    writer.write(BIG)
    try:
        writer.flush()
    finally:
        raw.close()  # or the buffer would send the rest when it dies


def test_asynchronous_exception_ends_a_flush_to_a_slow_peer(streams):
    raw, peer = streams()
    raw._sock.settimeout(5)
    writer = harness.Worker(write_by_a_buffer, raw)
    writer.wait_until_blocked()
    with Sipper(peer) as sipper:
        post_exception(writer.ident)
        with pytest.raises(Interrupt):
            writer.result()
        assert sipper.worker.is_alive()


def test_asynchronous_exception_of_a_timed_write_comes_after_it(streams):
    """In any thread: 3.15 raises it where it looks for signals."""
    raw, peer = streams()
    raw._sock.settimeout(1)
    results = []

    def write():
        results.append(raw.write(BIG))
        for _ in range(10000):  # 2.7 looks after a hundred instructions
            pass

    writer = harness.Worker(write)
    writer.wait_until_blocked()
    post_exception(writer.ident)
    with pytest.raises(Interrupt):
        writer.result()
    assert all(0 < count < len(BIG) for count in results)  # of one, or of none


@pytest.mark.parametrize("timeout", [None, 30])
def test_asynchronous_exception_comes_before_the_error_of_the_next_write(streams, timeout):
    raw, peer = streams()
    raw._sock.settimeout(timeout)
    results = []
    writer = harness.Worker(call_in_c, results, (raw.write, BIG), (raw.write, b"more"))
    writer.wait_until_blocked()
    post_exception(writer.ident)
    peer.close()
    with pytest.raises(Interrupt):
        writer.result()
    assert len(results) == 1
    assert 0 < results[0] < len(BIG)


def test_pending_call_is_made_while_a_flush_waits_for_a_slow_peer(streams):
    raw, peer = streams()
    raw._sock.settimeout(60)
    made = threading.Event()
    main = harness.get_native_id()

    @ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    def call(_):
        made.set()
        return 0

    def ask():
        harness.wait_until(lambda: harness.is_blocked(main))
        with Sipper(peer) as sipper:
            assert ctypes.pythonapi.Py_AddPendingCall(call, None) == 0
            came = made.wait(10) and sipper.worker.is_alive()
        peer.close()
        return came

    asking = harness.Worker(ask)
    with pytest.raises(EnvironmentError):
        write_by_a_buffer(raw)
    assert asking.result()


def test_view_that_no_writer_has_lent_is_sent_whole(streams):
    """A BufferedWriter sends the rest by itself; a program that has a memoryview may not."""
    raw, peer = streams()
    raw._sock.settimeout(30)

    def receive():
        left = len(BIG)
        while left:
            left -= len(peer.recv(1 << 20))

    receiving = harness.Worker(receive)
    assert raw.write(memoryview(BIG)) == len(BIG)
    receiving.result()
