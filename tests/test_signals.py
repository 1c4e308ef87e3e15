"""Signals: handlers that do nothing, that raise and that close, while streams wait or carry.

With the short form of stress/signals.py.
"""

import ctypes
import errno
import functools
import io
import os
import signal
import socket
import threading

import pytest

import harness
import signals
from running import watchdog  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer") or harness.SOCKET_CALLS is None,
    reason="no interval timers, or no /proc, here",
)

PY2 = harness.PY2


@pytest.fixture(params=[None, 60], ids=["no timeout", "timeout"])
def timeout(request):
    return request.param


@pytest.fixture
def pair(closing):
    ours, peer = harness.unix_pair()
    return closing(ours), closing(peer)


@pytest.fixture
def interrupting():
    """A function interrupting(handler, signum), after which the signal comes, once.

    It comes as soon as this thread is blocked.
    """
    undo = []

    def interrupt(handler, signum=signal.SIGUSR1):
        undo.append((signum, signal.signal(signum, handler)))
        blocked = harness.get_native_id()

        def wait_and_kill():
            harness.wait_until(lambda: harness.is_blocked(blocked))
            os.kill(os.getpid(), signum)

        workers.append(harness.Worker(wait_and_kill))
        return workers[-1]

    workers = []
    yield interrupt
    for worker in workers:
        worker.result()
    for signum, old in undo:
        signal.signal(signum, old)


def raise_interrupt(signum, frame):
    raise signals.Interrupt


def fill(sock):
    sock.setblocking(False)
    for size in 65536, 1:
        while True:
            try:
                sock.send(b"f" * size)
            except EnvironmentError as error:
                assert error.errno == errno.EAGAIN
                break


def drain(peer):
    """All that is there, up to the end if the end is there."""
    peer.setblocking(False)
    data = b""
    while True:
        try:
            more = peer.recv(65536)
        except EnvironmentError as error:
            assert error.errno == errno.EAGAIN
            return data
        if not more:
            return data
        data += more


# -- one signal during one call

@pytest.mark.parametrize("buffering", [0, -1])
def test_read_when_handler_does_nothing_goes_on(any_impl, pair, timeout, interrupting, buffering):
    ours, peer = pair
    ours.settimeout(timeout)
    stream = any_impl.makefile(ours, "rb", buffering)
    interrupting(lambda signum, frame: peer.sendall(b"data"))
    assert stream.read(4) == b"data"


@pytest.mark.parametrize("buffering", [0, -1])
def test_read_when_handler_raises_loses_nothing(any_impl, pair, timeout, interrupting, buffering):
    ours, peer = pair
    ours.settimeout(timeout)
    stream = any_impl.makefile(ours, "rb", buffering)
    interrupting(raise_interrupt)
    with pytest.raises(signals.Interrupt):
        stream.read(4)
    peer.sendall(b"data")
    assert stream.read(4) == b"data"


@pytest.mark.parametrize("buffering", [0, -1])
def test_write_when_handler_raises_before_progress_sends_nothing(
    any_impl, pair, timeout, interrupting, buffering
):
    ours, peer = pair
    fill(ours)
    ours.settimeout(timeout)
    stream = any_impl.makefile(ours, "wb", buffering)
    interrupting(raise_interrupt)
    with pytest.raises(signals.Interrupt):
        stream.write(b"message")
        stream.flush()
    assert drain(peer).strip(b"f") == b""
    if buffering == 0:
        stream.write(b"again")
    else:
        stream.flush()
    assert drain(peer) == (b"again" if buffering == 0 else b"message")


@pytest.mark.direct_path
def test_write_when_signal_comes_after_progress_tells_how_much_went_out(
    c_impl, pair, timeout, interrupting
):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = c_impl.makefile(ours, "wb", 0)
    interrupting(raise_interrupt)
    results = []
    with pytest.raises(signals.Interrupt):
        results.append(raw.write(b"x" * 10000000))
        signals.let_deferred_come()
    assert 0 < results[0] < 10000000
    assert drain(peer) == b"x" * results[0]


def test_flush_when_handlers_raise_after_progress_sends_each_byte_once(
    c_impl, pair, timeout, interrupting
):
    ours, peer = pair
    ours.settimeout(timeout)
    message = os.urandom(1000003)
    stream = c_impl.makefile(ours, "wb", len(message) + 1)  # so that only flush() sends
    stream.write(message)
    received = b""
    for _ in range(2):
        worker = interrupting(raise_interrupt)
        with pytest.raises(signals.Interrupt):
            stream.flush()
        worker.result()
        received += drain(peer)
    reader = harness.Worker(
        lambda: peer.setblocking(True) or b"".join(iter(lambda: peer.recv(65536), b""))
    )
    stream.flush()
    ours.shutdown(socket.SHUT_WR)
    assert received + reader.result() == message


@pytest.mark.direct_path
def test_read_when_signal_comes_just_before_its_wait_does_not_wait(
    any_impl, pair, timeout, watchdog
):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "rb", 0)
    # Called by the stream, with nobody in between who looks at signals: so it comes after the
    # stream has, too.
    raw._checkReadable = functools.partial(getattr(ctypes.CDLL(None), "raise"), int(signal.SIGUSR1))
    old = signal.signal(signal.SIGUSR1, raise_interrupt)
    try:
        with pytest.raises(signals.Interrupt):
            raw.readinto(bytearray(5))
    finally:
        signal.signal(signal.SIGUSR1, old)
    del raw._checkReadable
    peer.sendall(b"later")
    assert raw.read(5) == b"later"


def test_loop_in_c_over_ready_reads_when_signal_comes_ends_soon(any_impl, pair):
    size, ours, peer = 1000, pair[0], pair[1]
    peer.sendall(b"line\n" * size * 20)
    peer.close()
    raw = any_impl.makefile(ours, "rb", 0)
    raw._checkReadable = functools.partial(getattr(ctypes.CDLL(None), "raise"), int(signal.SIGUSR1))
    old = signal.signal(signal.SIGUSR1, raise_interrupt)
    try:
        with pytest.raises(signals.Interrupt):
            list(io.BufferedReader(raw, size))
    finally:
        signal.signal(signal.SIGUSR1, old)
    # The interpreter looks after at most so many reads.
    assert len(drain(ours)) >= (100 - 33) * size


def test_read_when_handler_closes_everything_is_a_bad_descriptor(
    any_impl, pair, timeout, interrupting
):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "rb", 0)

    def close(signum, frame):
        raw.close()
        ours.close()
        # The C socket is held by the call that waits, so it is open: something has to end that.
        if PY2:
            peer.sendall(b"end")

    interrupting(close)
    if PY2:
        assert raw.read(4) == b"end"
    else:
        with pytest.raises((EnvironmentError, ValueError)):
            raw.read(4)
    assert raw.closed
    assert harness.is_closed(ours)


def test_read_when_handler_reads_from_the_same_stream_gives_each_its_bytes(
    any_impl, pair, timeout, interrupting
):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "rb", 0)
    seen = []

    def read_too(signum, frame):
        peer.sendall(b"inner")
        seen.append(raw.read(5))
        peer.sendall(b"outer")

    interrupting(read_too)
    assert (raw.read(5), seen) == (b"outer", [b"inner"])


def test_buffered_read_when_handler_reads_from_the_same_stream_is_refused(
    any_impl, pair, timeout, interrupting
):
    ours, peer = pair
    ours.settimeout(timeout)
    stream = any_impl.makefile(ours, "rb")
    interrupting(lambda signum, frame: stream.read(1))
    with pytest.raises(RuntimeError):
        stream.read(5)
    peer.sendall(b"after")
    assert stream.read(5) == b"after"


@pytest.mark.parametrize("mode", ["rb", "wb"])
@pytest.mark.parametrize("buffering", [0, -1])
def test_blocked_call_when_ctrl_c_is_pressed_is_interrupted(
    any_impl, pair, timeout, interrupting, mode, buffering
):
    ours, peer = pair
    ours.settimeout(timeout)
    stream = any_impl.makefile(ours, mode, buffering)
    interrupting(signal.default_int_handler, signal.SIGINT)
    # Would never end by itself.
    with pytest.raises(KeyboardInterrupt):
        if mode == "rb":
            stream.read(1)
        else:
            while True:
                stream.write(b"w" * 100000)
                stream.flush()
    peer.close()
    try:
        stream.close()
    except EnvironmentError as error:
        assert error.errno == errno.EPIPE


def test_blocked_calls_in_other_threads_when_signals_come_are_not_disturbed(
    any_impl, pair, timeout
):
    ours, peer = pair
    ours.settimeout(timeout)
    stream = any_impl.makefile(ours, "rb")
    worker = harness.Worker(stream.read, 4)
    worker.wait_until_blocked()
    with signals.Ticking() as ticking:
        harness.wait_until(lambda: ticking.ticks > 20)
        if hasattr(signal, "pthread_kill"):
            for _ in range(20):
                signal.pthread_kill(worker.ident, signal.SIGALRM)
        assert worker.is_alive()
        peer.sendall(b"data")
        assert worker.result() == b"data"


# -- signals that come while bytes are carried, so that no call is there to be interrupted

class Coming(object):
    """A signal that comes 5 ms after start(); its handler raises."""

    def __init__(self, signum):
        self.sent, self.handled = threading.Event(), threading.Event()
        self.signum = signum
        self.old = signal.signal(signum, self.handle)

    def handle(self, signum, frame):
        self.handled.set()
        raise signals.Interrupt

    def start(self):
        if self.signum == signal.SIGALRM:
            # The alarm comes even while other threads have to wait for the GIL.
            signal.setitimer(signal.ITIMER_REAL, 0.005)
        else:
            threading.Timer(0.005, self.send).start()

    def send(self):
        os.kill(os.getpid(), self.signum)
        self.sent.set()


@pytest.fixture
def coming():
    made = []
    yield lambda signum: made.append(Coming(signum)) or made[-1]
    for each in made:
        signal.signal(each.signum, each.old)


def test_line_read_from_what_is_ready_when_signal_comes_ends_with_what_the_handler_raises(
    any_impl, pair, timeout, coming
):
    ours, peer = pair
    fill(peer)
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "rb", 0)
    interrupt = coming(signal.SIGALRM)
    # Or the call would wait for more for ever.
    ending = harness.Worker(lambda: interrupt.handled.wait(5) or peer.close())
    with pytest.raises(signals.Interrupt):
        interrupt.start()
        raw.readline()  # by single bytes: that takes longer than the signal
        raise AssertionError("it waited until the end")
    ending.result()


@pytest.mark.skipif(harness.PYPY, reason="PyPy runs handlers some time")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("buffering", [0, -1])
def test_write_when_signal_comes_while_bytes_go_out_does_not_wait_for_the_rest(
    impl, buffering, coming, signum, closing
):
    # Ours, as the interpreter's own, may look at signals, begin to wait, and not see one that came
    # in between; on a busy machine even twice.
    assert any(write_until_signal(impl, buffering, coming(signum), closing) for _ in range(3))


def write_until_signal(implementation, buffering, interrupt, closing):
    """Is a signal handled that comes while a write sends, to a peer that reads no more then?"""
    ours, peer = map(closing, harness.unix_pair())
    ours.settimeout(60)
    stream = implementation.makefile(ours, "wb", buffering)
    data = b"x" * (1 << 28)

    def receive():
        """Take all until the signal was sent, and then nothing; is it handled all the same?"""
        peer.settimeout(0.1)
        while not interrupt.sent.is_set():
            try:
                peer.recv(1 << 16)
            except socket.timeout:
                pass
        answer = interrupt.handled.wait(5)
        peer.close()
        return answer

    worker = harness.Worker(receive)
    with pytest.raises(signals.Interrupt):
        interrupt.start()
        while True:  # the signal may come after the last bytes
            stream.write(data)
    try:
        stream.close()
    except EnvironmentError as error:
        assert error.errno in (errno.EPIPE, errno.ECONNRESET)
    return worker.result()


# -- the short form of the stress program


@pytest.mark.parametrize("kind", ["raw", "buffered", "text"])
def test_carrying_when_a_timer_interrupts_every_millisecond_keeps_every_byte(
    any_impl, kind, timeout
):
    assert signals.carry(any_impl, kind, 1 << 20, timeout, pause=0.0002) > 0


@pytest.mark.parametrize(
    "carry_exactly", [signals.read_exactly, signals.write_exactly, signals.flush_exactly]
)
def test_carrying_when_handlers_raise_accounts_for_every_byte(c_impl, carry_exactly, timeout):
    assert (
        carry_exactly(c_impl, 10000 if carry_exactly is signals.read_exactly else 100003, timeout)
        > 10
    )


@pytest.mark.skipif(
    harness.PYPY, reason="PyPy's own socket methods begin a timeout anew after each signal"
)
def test_timeout_when_a_timer_interrupts_every_millisecond_comes_in_time(any_impl):
    lateness = [signals.measure_lateness(any_impl, 0.05) for _ in range(3)]
    # 2.7's clock is one that is set now and then.
    assert min(sum(lateness, [])) >= (-0.02 if PY2 else 0)
    # A busy machine may be late; one that always is keeps no deadline.
    assert min(max(pair) for pair in lateness) < 0.05
