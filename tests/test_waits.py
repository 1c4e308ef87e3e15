"""What a wait of a stream lasts, what ends it, and what is left for the next one."""

import errno
import fcntl
import functools
import os
import platform
import signal
import socket
import sys
import threading
import time

import pytest

import harness
from running import Worker, alarm, once
from running import watchdog  # noqa: F401 - a fixture

PYPY = hasattr(sys, "pypy_version_info")
BIG = b"x" * (1 << 23)  # more than any socket buffer here takes

pytestmark = [
    pytest.mark.usefixtures("watchdog"),
    pytest.mark.skipif(harness.SOCKET_CALLS is None, reason="waits are seen in /proc"),
]


class Tick(Exception):
    """What a signal handler raises."""


def fill(sock):
    """Send until the socket takes no more; keeps its timeout."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    for size in 1 << 16, 1:
        try:
            while True:
                sock.send(b"." * size)
        except socket.error as error:
            assert error.errno == errno.EAGAIN
    sock.settimeout(timeout)


def drain(peer):
    """Receive all that is there, or a part of BIG if somebody sends that meanwhile."""
    peer.setblocking(False)
    received, data = 0, b"nothing yet"
    try:
        while data and received < 1 << 20:
            data = peer.recv(1 << 20)
            received += len(data)
    except socket.error as error:
        assert error.errno == errno.EAGAIN


@pytest.fixture
def pair(closing):
    ours, peer = harness.unix_pair()
    return closing(ours), closing(peer)


@pytest.fixture
def when_blocked():
    """A function that has another thread call something as soon as this one is blocked."""
    main, workers = harness.get_native_id(), []

    def start(call, *args):
        def run():
            harness.wait_until(lambda: harness.is_blocked(main))
            call(*args)

        workers.append(harness.Worker(run))

    yield start
    for worker in workers:
        worker.result()


def measure_time_out(write, data):
    """How long a write takes that times out, in seconds."""
    start = time.time()
    with pytest.raises(socket.timeout):
        write(data)
    return time.time() - start


# --- How long -------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.machine() != "x86_64", reason="poll is another call elsewhere")
@pytest.mark.parametrize("timeout", [900, 2e6])
def test_wait_in_poll_is_as_long_as_the_timeout_but_no_longer_than_a_thousand_seconds(
    c_impl, pair, timeout
):
    ours, peer = pair
    ours.settimeout(timeout)
    reader = harness.Worker(c_impl.SocketIO(ours, "r").read, 4)
    reader.wait_until_blocked()
    with open("/proc/self/task/%d/syscall" % reader.system_id) as file:
        number, _, _, given_ms = file.read().split()[:4]
    peer.sendall(b"data")
    assert reader.result() == b"data"
    assert int(number) == 7
    if timeout < 1000:
        assert (timeout - 60) * 1000 < int(given_ms, 16) <= timeout * 1000
    else:
        assert int(given_ms, 16) == 1000000


def test_timed_write_counts_its_first_wait_too(impl, pair):
    ours, peer = pair
    fill(ours)
    ours.settimeout(0.8)
    start = time.time()
    writer = harness.Worker(impl.SocketIO(ours, "w").write, BIG)
    time.sleep(0.5)  # of the 0.8
    drain(peer)
    assert 0 < writer.result() < len(BIG)
    assert time.time() - start < 1.2


# --- What a short write leaves --------------------------------------------------------------------


def test_rest_that_comes_some_milliseconds_later_has_no_time_left(impl, pair):
    ours, peer = pair
    ours.settimeout(0.3)
    for _ in range(20):
        raw = impl.SocketIO(ours, "w")
        assert 0 < raw.write(BIG) < len(BIG)
        ended = time.time()
        time.sleep(0.015)
        late = time.time() - ended > 0.03
        if measure_time_out(raw.write, BIG) < 0.2:
            return
        assert late, "it has waited anew"
        drain(peer)
    pytest.skip("this machine is never in time")


def test_rest_of_a_write_whose_peer_took_something_late_has_the_time_since_then(impl, pair):
    ours, peer = pair
    ours.settimeout(0.8)
    raw = impl.SocketIO(ours, "w")

    def write():
        assert 0 < raw.write(BIG) < len(BIG)
        return measure_time_out(raw.write, BIG)

    for _ in range(20):
        start = time.time()
        writer = harness.Worker(write)
        writer.wait_until_blocked()
        time.sleep(0.5)  # of the 0.8
        drain(peer)
        in_time = time.time() - start < 0.7
        if writer.result() > 0.2:
            return
        assert not in_time, "it has not waited anew"
        drain(peer)
    pytest.skip("this machine is never in time")


def test_write_after_the_rest_was_taken_waits_anew(impl, pair):
    ours, peer = pair
    ours.settimeout(0.3)
    raw = impl.SocketIO(ours, "w")
    assert 0 < raw.write(BIG) < len(BIG)
    drain(peer)
    assert raw.write(b"rest") == 4
    fill(ours)
    assert measure_time_out(raw.write, b"x") > 0.2


# --- What ends it ---------------------------------------------------------------------------------


def test_large_write_of_which_nothing_went_out_raises_what_a_handler_raises(
    any_impl, pair, when_blocked
):
    ours, peer = pair
    fill(ours)
    raw = any_impl.SocketIO(ours, "w")

    def handler(signum, frame):
        raise Tick

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        when_blocked(os.kill, os.getpid(), signal.SIGUSR1)
        with pytest.raises(Tick):
            raw.write(b"x" * 100000)
    finally:
        signal.signal(signal.SIGUSR1, old)


@pytest.mark.skipif(PYPY, reason="PyPy's own methods write to it")
def test_socket_shut_during_a_timed_write_is_told_to_the_next(c_impl, pair, when_blocked):
    ours, peer = pair
    ours.settimeout(30)
    raw = c_impl.SocketIO(ours, "w")
    handled = []
    old = signal.signal(signal.SIGPIPE, lambda signum, frame: handled.append(signum))
    try:
        when_blocked(ours.shutdown, socket.SHUT_RDWR)
        assert 0 < raw.write(BIG) < len(BIG)
        assert handled == []
        with pytest.raises(EnvironmentError) as caught:
            raw.write(b"x")
        assert caught.value.errno == errno.EPIPE
        assert handled == [signal.SIGPIPE]
    finally:
        signal.signal(signal.SIGPIPE, old)


@pytest.mark.skipif(PYPY, reason="PyPy runs handlers some time")
def test_signal_that_returns_ends_a_timed_write_that_has_sent_something(c_impl, pair, when_blocked):
    ours, peer = pair
    ours.settimeout(30)
    raw = c_impl.SocketIO(ours, "w")
    handled = []
    old = signal.signal(signal.SIGUSR1, lambda signum, frame: handled.append(signum))
    try:
        when_blocked(os.kill, os.getpid(), signal.SIGUSR1)
        assert 0 < raw.write(BIG) < len(BIG)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert handled == [signal.SIGUSR1]


def make_blocking(sock):
    """Make the descriptor wait, behind the socket's back."""
    flags = fcntl.fcntl(sock, fcntl.F_GETFL)
    fcntl.fcntl(sock, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)


@pytest.mark.skipif(not hasattr(socket, "MSG_DONTWAIT"), reason="the descriptor decides here")
def test_large_timed_write_on_a_full_descriptor_that_waits_times_out(impl, pair):
    ours, peer = pair
    fill(ours)
    ours.settimeout(0.1)
    make_blocking(ours)
    assert 0.05 < measure_time_out(impl.SocketIO(ours, "w").write, b"x" * 100000) < 10


def test_timeout_of_a_handler_ends_a_read_on_a_descriptor_that_waits(c_impl, pair, when_blocked):
    ours, peer = pair
    raw = c_impl.SocketIO(ours, "r")

    def handler(signum, frame):
        ours.settimeout(0.1)
        make_blocking(ours)

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        when_blocked(os.kill, os.getpid(), signal.SIGUSR1)
        with pytest.raises(socket.timeout):
            raw.read(1)
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_broken_pipe_after_progress_is_not_told_to_a_read(impl, pair):
    ours, peer = pair
    ours.settimeout(30)
    raw = impl.SocketIO(ours, "rw")
    peer.sendall(b"answer")
    writer = harness.Worker(raw.write, BIG)
    writer.wait_until_blocked()
    peer.shutdown(socket.SHUT_RD)
    drain(peer)  # there is room again, which nobody takes
    assert 0 < writer.result() < len(BIG)
    peer.close()
    assert raw.read(100) == b"answer"
    assert raw.read(100) == b""


def test_full_non_blocking_socket_does_not_wait_while_another_thread_does(c_impl, pair, closing):
    left, right = map(closing, harness.unix_pair())
    reader = Worker(c_impl.SocketIO(left, "r").read, 3)
    reader.wait_until_blocked()
    ours, peer = pair
    fill(ours)
    ours.setblocking(False)
    make_blocking(ours)
    assert c_impl.SocketIO(ours, "w").write(b"x") is None
    right.sendall(b"end")
    assert reader.get() == b"end"


# --- Whose number it is ---------------------------------------------------------------------------


@pytest.mark.skipif(
    PYPY or harness.NO_GIL or not hasattr(os, "SCHED_BATCH"),
    reason="tells the system who goes first, and who gets the GIL",
)
def test_number_that_is_used_again_while_the_gil_changes_hands_is_not_written_to(
    any_impl, pair, closing
):
    """A thread that gives the GIL up on request goes on once another has it, which then closes."""
    ours, peer = pair
    decoy, watched = map(closing, socket.socketpair())
    raw = any_impl.SocketIO(ours, "w")
    number = ours.fileno()
    begun = threading.Event()
    cpu = {min(os.sched_getaffinity(0))}
    old_interval = sys.getswitchinterval()

    def write():
        os.sched_setaffinity(0, cpu)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # whoever is woken goes second
        hold_the_gil = functools.partial(sum, [1] * 3000000)
        calls = [begun.set, hold_the_gil, functools.partial(raw.write, b"x" * 100000)]
        list(map(functools.partial.__call__, map(functools.partial, calls)))

    def use_again():
        os.sched_setaffinity(0, cpu)
        begun.wait()
        ours.detach()
        os.dup2(decoy.fileno(), number)

    sys.setswitchinterval(0.001)
    try:
        using = Worker(use_again)
        writer = Worker(write)
        using.get()
        with pytest.raises(EnvironmentError) as caught:
            writer.get()
    finally:
        sys.setswitchinterval(old_interval)
    os.close(number)
    watched.setblocking(False)
    with pytest.raises(EnvironmentError) as nothing:
        watched.recv(1)
    assert nothing.value.errno == errno.EAGAIN
    assert caught.value.errno == errno.EBADF


def test_socket_detached_by_a_handler_during_a_long_timed_read_ends_it(any_impl, pair):
    if sys.version_info[0] == 2:
        pytest.skip("2.7 has no detach")
    ours, peer = pair
    ours.settimeout(20)
    raw = any_impl.SocketIO(ours, "r")
    numbers = []
    start = time.time()
    with alarm(once(lambda: numbers.append(ours.detach())), 0.1, 0.5):
        with pytest.raises(EnvironmentError) as caught:
            raw.read(1)
    os.close(numbers[0])
    assert caught.value.errno == errno.EBADF
    assert time.time() - start < 15
