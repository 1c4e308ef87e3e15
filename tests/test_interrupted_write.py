"""A signal handler that raises in the middle of a raw write, whose caller wants the count."""

import signal
import sys
import time

import pytest

import harness

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer") or harness.PYPY, reason="needs interval timers and C"
)

BIG = b"x" * 10000000


class Interrupt(Exception):
    """What the handler raises."""


@pytest.fixture
def interrupt():
    """A function that lets the handler raise in so many seconds; the list of how often it ran."""
    runs = []

    def handle(signum, frame):
        runs.append(signum)
        raise Interrupt

    old = signal.signal(signal.SIGALRM, handle)

    def come(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return runs

    yield come
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


def wait_in_python():
    """Loop for some seconds; what is pending is raised in here."""
    end = time.time() + 10
    while time.time() < end:
        pass


def count_received(peer):
    peer.setblocking(False)
    count = 0
    while True:
        try:
            count += len(peer.recv(1 << 20))
        except EnvironmentError:
            return count


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("then", ["loop", "operation"])
def test_count_of_an_interrupted_write_is_told_and_the_exception_follows(
    c_impl, unix_pair, interrupt, timeout, then
):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    raw = c_impl.makefile(ours, "wb", 0)
    written = None
    with pytest.raises(Interrupt):
        runs = interrupt(0.2)
        written = raw.write(BIG)
        if then == "operation":
            raw.write(b"more")
        wait_in_python()
    assert len(runs) == 1
    assert written is not None and 0 < written < len(BIG)
    assert count_received(peer) == written
    # It was raised once, and the stream is fit.
    assert raw.write(b"more") == 4
    assert count_received(peer) == 4


@pytest.mark.parametrize("timeout", [None, 60])
def test_count_of_an_interrupted_write_in_a_function_is_returned_to_its_caller(
    c_impl, unix_pair, interrupt, timeout
):
    ours, peer = unix_pair
    ours.settimeout(timeout)
    raw = c_impl.makefile(ours, "wb", 0)
    counts = []

    def send():
        counts.append(raw.write(BIG))

    with pytest.raises(Interrupt):
        interrupt(0.2)
        send()
        wait_in_python()
    assert counts == [count_received(peer)]


@pytest.mark.skipif(harness.PY2, reason="2.7's atexit is Python code")
@pytest.mark.skipif(
    sys.version_info[:2] == (3, 8), reason="3.8 takes no pending call at exit, and prints that"
)
def test_handler_that_raises_in_a_write_that_no_python_code_called_is_told_to_the_next(
    c_impl, run_script
):
    script = """
import atexit, signal, socket, sys

class Interrupt(Exception):
    pass

def handle(signum, frame):
    raise Interrupt

def go_on():
    for _ in range(10000):
        pass
    print("nothing was told")

sys.stderr = sys.stdout
ours, peer = socket.socketpair()
ours.settimeout(60)
raw = makefile(ours, "wb", 0)
atexit.register(lambda: print("received %d" % len(peer.recv(1))))
atexit.register(go_on)
atexit.register(raw.write, b"x" * 10000000)
signal.signal(signal.SIGALRM, handle)
atexit.register(signal.setitimer, signal.ITIMER_REAL, 0.2)
"""
    printed = run_script(c_impl, script, "-W", "ignore")
    assert "Interrupt" in printed and printed.endswith("\nreceived 1\n")
    assert "nothing was told" not in printed


@pytest.mark.parametrize("timeout", [None, 60])
def test_handler_that_raises_before_any_progress_ends_the_write(
    any_impl, unix_pair, interrupt, timeout
):
    ours, peer = unix_pair
    ours.setblocking(False)
    try:
        while True:
            ours.send(BIG)
    except EnvironmentError:
        ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "wb", 0)
    with pytest.raises(Interrupt):
        interrupt(0.2)
        raw.write(b"nothing of it goes out")
        raise AssertionError("it returned")
    assert b"nothing" not in receive_all_now(peer)


def receive_all_now(peer):
    peer.setblocking(False)
    data = b""
    while True:
        try:
            data += peer.recv(1 << 20)
        except EnvironmentError:
            return data
