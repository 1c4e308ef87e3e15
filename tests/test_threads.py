"""Threads on the same stream and socket: what one does while another one is blocked.

With the short form of stress/threads.py.
"""

import errno
import hashlib
import os
import socket
import sys
import threading
import time

import pytest

import harness
import threads

PY2 = harness.PY2
# Two ways to wait for data: in recv() itself, and for a time.
TIMEOUTS = [None, 60]


@pytest.fixture(params=[0, -1], ids=["raw", "buffered"])
def buffering(request):
    return request.param


@pytest.fixture(params=TIMEOUTS, ids=["no timeout", "timeout"])
def timeout(request):
    return request.param


@pytest.fixture
def pair(closing):
    """Two connected sockets, (ours, peer), that count file objects; on 2.7, socket objects."""
    ours, peer = harness.unix_pair()
    return closing(ours), closing(peer)


def start_read(impl, sock, buffering):
    """A stream and a thread that is blocked in a read of four bytes from it."""
    stream = impl.makefile(sock, "rb", buffering)
    worker = harness.Worker(stream.read, 4)
    worker.wait_until_blocked()
    return stream, worker


def fill(sock, peer):
    """Send until neither side takes more; how many bytes that was."""
    sock.setblocking(False)
    sent = 0
    # A Unix socket refuses a large piece when there is still room for a small one.
    for size in (65536, 1):
        while True:
            try:
                sent += sock.send(b"f" * size)
            except EnvironmentError as error:
                assert error.errno == errno.EAGAIN
                break
    return sent


def drain(peer, nbytes):
    data = b""
    while len(data) < nbytes:
        data += peer.recv(min(65536, nbytes - len(data)))
    return data


def start_write(impl, sock, peer, timeout, buffering):
    """A stream, a thread blocked in a write of `message` to it, the number of bytes before it."""
    filled = fill(sock, peer)
    sock.settimeout(timeout)
    stream = impl.makefile(sock, "wb", buffering)

    def write():
        count = stream.write(b"message")
        stream.flush()
        return count

    worker = harness.Worker(write)
    worker.wait_until_blocked()
    return stream, worker, filled


def reuse_number(number, sock, closing):
    """Let the number of a closed descriptor be one of `sock`'s.

    On 2.7 it is open until the blocked call, which holds it, ends.
    """
    if not PY2:
        with pytest.raises(OSError):
            os.fstat(number)
        os.dup2(sock.fileno(), number)
        closing(socket.socket(fileno=number))


# -- while a read is blocked

def test_read_when_socket_is_closed_by_another_thread_goes_on(any_impl, pair, timeout, buffering):
    ours, peer = pair
    ours.settimeout(timeout)
    stream, worker = start_read(any_impl, ours, buffering)
    ours.close()
    peer.sendall(b"late")
    assert worker.result() == b"late"
    stream.close()
    assert peer.recv(1) == b""


def test_read_when_socket_is_shut_down_by_another_thread_is_end_of_stream(
    any_impl, pair, timeout, buffering
):
    ours, peer = pair
    ours.settimeout(timeout)
    stream, worker = start_read(any_impl, ours, buffering)
    ours.shutdown(socket.SHUT_RD)
    assert worker.result() == b""
    stream.close()


def test_read_when_timeout_is_changed_by_another_thread_keeps_the_old_one(
    any_impl, pair, timeout, buffering
):
    ours, peer = pair
    ours.settimeout(timeout)
    stream, worker = start_read(any_impl, ours, buffering)
    ours.settimeout(0.0)
    assert worker.is_alive()
    ours.settimeout(0.001)
    peer.sendall(b"data")
    assert worker.result() == b"data"
    with pytest.raises(socket.timeout):
        stream.read(4)


def test_read_when_another_thread_makes_files_counts_them(any_impl, pair, timeout, buffering):
    ours, peer = pair
    ours.settimeout(timeout)
    stream, worker = start_read(any_impl, ours, buffering)
    other = any_impl.makefile(ours, "rwb")
    assert harness.read_counter(ours) in (2, None)
    other.write(b"hello")
    other.flush()
    assert peer.recv(5) == b"hello"
    other.close()
    assert harness.read_counter(ours) in (1, None)
    peer.sendall(b"data")
    assert worker.result() == b"data"


def test_timed_read_when_raw_and_socket_are_closed_by_another_thread_never_uses_the_number_again(
    any_impl, pair, closing
):
    ours, peer = pair
    ours.settimeout(60)
    number = ours.fileno()
    recycled, sender = map(closing, socket.socketpair())
    raw, worker = start_read(any_impl, ours, 0)
    ours.close()
    raw.close()
    reuse_number(number, recycled, closing)  # which has something to read at once
    sender.sendall(b"poison")
    recycled.sendall(b"poison")
    peer.sendall(b"wake up")
    try:
        assert worker.result() != b"pois"
    except (EnvironmentError, ValueError) as error:
        assert isinstance(error, ValueError) or error.errno == errno.EBADF
    assert (recycled.recv(10), sender.recv(10)) == (b"poison", b"poison")


@pytest.mark.skipif(PY2, reason="2.7's sockets have no detach()")
def test_timed_read_when_socket_is_detached_by_another_thread_is_a_bad_descriptor(
    any_impl, pair, closing
):
    ours, peer = pair
    ours.settimeout(60)
    raw, worker = start_read(any_impl, ours, 0)
    detached = closing(socket.socket(fileno=ours.detach()))
    peer.sendall(b"not for the stream")
    with pytest.raises(OSError) as caught:
        worker.result()
    assert caught.value.errno == errno.EBADF
    assert detached.recv(100) == b"not for the stream"


@pytest.mark.skipif(PY2, reason="2.7's sockets have no detach()")
def test_timed_read_when_number_now_belongs_to_another_socket_leaves_that_alone(
    any_impl, pair, closing
):
    ours, peer = pair
    ours.settimeout(60)
    raw, worker = start_read(any_impl, ours, 0)
    moved = closing(socket.socket(fileno=os.dup(ours.fileno())))
    recycled, sender = map(closing, socket.socketpair())
    os.dup2(recycled.fileno(), ours.detach())  # the number that the wait began with
    sender.sendall(b"poison")
    peer.sendall(b"data")
    with pytest.raises(OSError):
        worker.result()
    assert moved.recv(10) == b"data"
    assert recycled.recv(10) == b"poison"


# -- while a write is blocked

def test_write_when_socket_is_closed_by_another_thread_goes_on(any_impl, pair, timeout, buffering):
    ours, peer = pair
    stream, worker, filled = start_write(any_impl, ours, peer, timeout, buffering)
    ours.close()
    assert drain(peer, filled) == b"f" * filled
    assert worker.result() == 7
    stream.close()
    assert drain(peer, 7) == b"message"
    assert peer.recv(1) == b""


def test_write_when_socket_is_shut_down_by_another_thread_is_a_broken_pipe(any_impl, pair, timeout):
    ours, peer = pair
    stream, worker, filled = start_write(any_impl, ours, peer, timeout, 0)
    ours.shutdown(socket.SHUT_RDWR)  # one way only does not wake a poll() for writing
    with pytest.raises(EnvironmentError) as caught:
        worker.result()
    assert caught.value.errno == errno.EPIPE
    assert drain(peer, filled) == b"f" * filled
    assert peer.recv(1) == b""


def test_write_when_peer_is_closed_by_another_thread_is_an_error(any_impl, pair, timeout):
    ours, peer = pair
    stream, worker, filled = start_write(any_impl, ours, peer, timeout, 0)
    peer.close()
    with pytest.raises(EnvironmentError) as caught:
        worker.result()
    assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)


def test_write_when_timeout_is_changed_by_another_thread_keeps_the_old_one(
    any_impl, pair, timeout, buffering
):
    ours, peer = pair
    stream, worker, filled = start_write(any_impl, ours, peer, timeout, buffering)
    ours.settimeout(0.0)
    assert worker.is_alive()
    ours.settimeout(30)
    drain(peer, filled)
    assert worker.result() == 7
    assert drain(peer, 7) == b"message"


@pytest.mark.skipif(PY2, reason="2.7's sockets have no detach()")
def test_timed_write_when_socket_is_detached_by_another_thread_is_a_bad_descriptor(
    any_impl, pair, closing
):
    ours, peer = pair
    stream, worker, filled = start_write(any_impl, ours, peer, 60, 0)
    detached = closing(socket.socket(fileno=ours.detach()))
    assert drain(peer, filled) == b"f" * filled
    with pytest.raises(OSError) as caught:
        worker.result()
    assert caught.value.errno == errno.EBADF
    detached.shutdown(socket.SHUT_WR)
    assert peer.recv(1) == b""


def test_timed_write_when_number_is_recycled_by_another_thread_never_writes_to_it(
    any_impl, pair, closing
):
    ours, peer = pair
    number = ours.fileno()
    recycled, sender = map(closing, socket.socketpair())
    raw, worker, filled = start_write(any_impl, ours, peer, 60, 0)
    ours.close()
    raw.close()
    reuse_number(number, recycled, closing)
    assert drain(peer, filled) == b"f" * filled
    with pytest.raises((EnvironmentError, ValueError)):
        worker.result()
    recycled.shutdown(socket.SHUT_WR)
    sender.shutdown(socket.SHUT_WR)
    assert (recycled.recv(10), sender.recv(10)) == (b"", b"")


def test_read_and_write_on_one_raw_stream_do_not_wait_for_each_other(any_impl, pair, timeout):
    ours, peer = pair
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "rwb", 0)
    reader = harness.Worker(raw.read, 4)
    reader.wait_until_blocked()
    assert raw.write(b"ping") == 4
    assert peer.recv(4) == b"ping"
    peer.sendall(b"pong")
    assert reader.result() == b"pong"


# -- the short form of the stress program

shares_buffered_streams = pytest.mark.skipif(
    harness.PYPY,
    reason="PyPy 7.3 crashes now and then when threads share one of its buffered streams, whatever "
    "is below",
)


@shares_buffered_streams
def test_one_buffered_stream_used_by_many_threads_loses_nothing(any_impl):
    assert threads.share_streams(any_impl, harness.Budget(rounds=3))["rounds"] == 3


def test_one_raw_stream_used_by_many_threads_loses_nothing(any_impl):
    assert threads.share_streams(any_impl, harness.Budget(rounds=3), 0)["rounds"] == 3


def test_streams_of_their_own_in_many_threads_carry_their_bytes(any_impl):
    assert (
        threads.use_own_streams(any_impl, harness.Budget(seconds=0.3))["streams"]
        >= 2 * threads.THREADS
    )


def test_close_from_many_threads_gives_one_reference_back(impl):
    if harness.NO_GIL and impl.name != "c":
        pytest.skip(
            "without a GIL, close() in Python code is many steps, as the interpreter's own is"
        )
    threads.race_to_close(impl, harness.Budget(rounds=20))


def test_makefile_and_close_from_many_threads_leave_the_counter_right(any_impl):
    if not threads.can_count_together(any_impl):
        pytest.skip(
            "here another thread can come between the two halves of the `+= 1` in the socket's own "
            "methods"
        )
    threads.count_together(any_impl, harness.Budget(rounds=2))


@shares_buffered_streams
def test_number_recycled_under_busy_streams_is_never_read_or_written(any_impl):
    figures = threads.pull_the_rug(any_impl, harness.Budget(rounds=8))
    if not threads.may_be_stale(any_impl):
        assert (figures.get("stale reads"), figures.get("stale writes")) == (None, None)


@pytest.fixture
def on_one_processor():
    """Another one that sleeps may take a tenth of a second to wake up, on a virtual machine."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    old = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(old)])
    yield
    os.sched_setaffinity(0, old)


@pytest.fixture
def switching_by_request_only():
    """Who has the GIL gives it up when the interpreter asks it, and looks no more often."""
    name = "checkinterval" if PY2 else "switchinterval"
    old = getattr(sys, "get" + name)()
    getattr(sys, "set" + name)(10 ** 9 if PY2 else 0.001)
    yield
    getattr(sys, "set" + name)(old)


def loop_beside_a_sleeper(implementation):
    """Iterate, in a loop of C, over lines that are all there; another thread wants to go on.

    Who came first, and who next.
    """
    came = []
    ours, peer = socket.socketpair()
    peer.setblocking(False)
    with pytest.raises(EnvironmentError):
        while True:
            peer.send(b"\n" * 4096)
    peer.close()
    with implementation.makefile(ours, "rb", 256) as stream:
        sleeper = threading.Thread(target=lambda: (time.sleep(0.001), came.append("other thread")))
        sleeper.start()
        all(map(hashlib.sha256, stream))  # about a tenth of a second
        came.append("loop")
    sleeper.join()
    ours.close()
    return came


@pytest.mark.skipif(harness.NO_GIL, reason="has no GIL to give up")
def test_loop_in_c_over_ready_lines_lets_other_threads_go_on(
    any_impl, switching_by_request_only, on_one_processor
):
    # On a busy machine a thread may wake too late; if the loop keeps the GIL, it always does.
    first = [loop_beside_a_sleeper(any_impl)[0] for _ in range(10)]
    assert first.count("other thread") > 2
