"""Contract section 5: timeouts, non-blocking sockets, signals, partial writes."""
import errno
import fcntl
import io
import itertools
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings, strategies as st

from conftest import INTERPRETER, OURS, get_name
from fakes import CountingSocket, ScriptedSocket
from running import (  # noqa: F401
    HANGING, Worker, alarm, finish_script, get_examples, get_outcome, once, receive_all,
    start_script, watchdog,
)

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
if PY2:
    map = itertools.imap  # lazy, as 3.x's

pytestmark = pytest.mark.usefixtures("watchdog")

SHORT = 0.02  # a timeout, in seconds, that is meant to pass
BIG = bytes(bytearray(range(256)) * (1 << 15))  # 8 MiB: more than any socket buffer here takes


class Tick(Exception):
    """What a signal handler raises."""


def fill(sock):
    """Send until the socket takes no more; keeps its timeout, returns the number of bytes."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    filled = 0
    for size in (1 << 16, 1):
        while True:
            try:
                filled += sock.send(b"." * size)
            except socket.error:
                break
    sock.settimeout(timeout)
    return filled


def drain(sock):
    """Everything that is there now; keeps the socket's timeout."""
    timeout = sock.gettimeout()
    sock.settimeout(0)
    pieces = []
    try:
        while True:
            piece = sock.recv(1 << 16)
            if not piece:
                break
            pieces.append(piece)
    except socket.error:
        pass
    sock.settimeout(timeout)
    return b"".join(pieces)


def raise_tick():
    raise Tick()


class Ticker(object):
    """A timer whose handler raises Tick, at most once in each call made through `collect`.

    It raises nowhere else.
    """

    def __init__(self, first=0.001, interval=0.001):
        self.raised = 0
        self.caught = 0
        self._armed = False
        self._alarm = alarm(self._tick, first, interval)

    def __enter__(self):
        self._alarm.__enter__()
        return self

    def __exit__(self, *args):
        self._alarm.__exit__(*args)

    def _tick(self):
        if self._armed:
            self._armed = False
            self.raised += 1
            raise Tick()

    def collect(self, call, argument):
        """A list with the result of `call(argument)`, empty if a Tick came out of it.

        The result is put into the list by C code, which runs no signal handlers: a handler that
        raises when the call is done cannot lose it, as it could between `result = call()` and the
        use of `result`.
        """
        results = []
        try:
            self._armed = True
            results.extend(map(call, [argument]))
            for _ in range(200):  # what a write has put by comes when the interpreter looks next
                pass
            self._armed = False
        except Tick:
            self.caught += 1
        return results


def send_slowly(sock, data, piece=1 << 16):
    """Send `data` with pauses, so that the reader has to wait, and then the end of the stream."""
    pause = threading.Event()
    for start in range(0, len(data), piece):
        sock.sendall(data[start:start + piece])
        pause.wait(0.0005)
    sock.shutdown(socket.SHUT_WR)


def receive_slowly(sock):
    """Receive all, with pauses, so that the writer has to wait."""
    pause = threading.Event()
    pieces = []
    while True:
        pieces.append(sock.recv(1 << 16))
        if not pieces[-1]:
            return b"".join(pieces)
        pause.wait(0.0005)


def set_descriptor_blocking(sock, blocking):
    """Change O_NONBLOCK behind the back of the socket, which keeps its timeout."""
    flags = fcntl.fcntl(sock.fileno(), fcntl.F_GETFL)
    fcntl.fcntl(
        sock.fileno(), fcntl.F_SETFL, flags & ~os.O_NONBLOCK if blocking else flags | os.O_NONBLOCK
    )


class TestRead(object):
    @pytest.mark.parametrize("timeout", [None, 0, HANGING])
    def test_ready_read_gives_what_is_there(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        peer.sendall(b"data")
        buf = bytearray(64)
        assert (raw.readinto(buf), bytes(buf[:4])) == (4, b"data")

    @pytest.mark.parametrize("timeout", [None, 0, HANGING])
    def test_read_at_the_end_gives_zero_each_time(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        peer.close()
        assert [raw.readinto(bytearray(4)) for _ in range(3)] == [0, 0, 0]

    def test_non_blocking_read_of_nothing_gives_none(self, any_impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(0)
        raw = any_impl.makefile(ours, "rb", 0)
        assert raw.readinto(bytearray(4)) is None
        assert raw.read(4) is None
        assert raw.readall() is None
        peer.sendall(b"data")
        assert raw.readall() == b"data"
        assert any_impl.makefile(ours, "rb").read(4) is None

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_blocking_read_waits_for_data(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        reader = Worker(any_impl.makefile(ours, "rb", 0).read, 64).wait_until_blocked()
        peer.sendall(b"data")
        assert reader.get() == b"data"

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_blocking_read_ends_when_the_peer_closes(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        reader = Worker(any_impl.makefile(ours, "rb", 0).read, 64).wait_until_blocked()
        peer.close()
        assert reader.get() == b""

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_blocking_read_ends_when_another_thread_shuts_the_socket(
        self, any_impl, tcp_pair, timeout
    ):
        ours = tcp_pair[0]
        ours.settimeout(timeout)
        reader = Worker(any_impl.makefile(ours, "rb", 0).read, 64).wait_until_blocked()
        ours.shutdown(socket.SHUT_RDWR)
        assert reader.get() == b""

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_blocking_read_goes_on_when_another_thread_closes_the_socket(
        self, any_impl, tcp_pair, timeout
    ):
        # The file holds it open.
        ours, peer = tcp_pair
        ours.settimeout(timeout)
        stream = any_impl.makefile(ours, "rb", 0)
        reader = Worker(stream.read, 64).wait_until_blocked()
        ours.close()
        peer.sendall(b"data")
        assert reader.get() == b"data"
        stream.close()
        assert peer.recv(64) == b""

    def test_timed_read_of_a_reset_connection_gives_its_error(self, any_impl, tcp_pair):
        ours, peer = tcp_pair
        ours.settimeout(HANGING)
        reader = Worker(any_impl.makefile(ours, "rb", 0).read, 64).wait_until_blocked()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(socket.error) as caught:
            reader.get()
        assert caught.value.errno == errno.ECONNRESET

    def test_blocking_read_on_a_descriptor_made_non_blocking_behind_its_back_gives_none(
        self, any_impl, unix_pair
    ):
        ours = unix_pair[0]
        raw = any_impl.makefile(ours, "rb", 0)
        set_descriptor_blocking(ours, False)
        assert raw.readinto(bytearray(4)) is None

    def test_timed_read_on_a_descriptor_made_blocking_behind_its_back_times_out(
        self, any_impl, unix_pair, closing
    ):
        # `dup().setblocking(True)` does this to the description that both share.
        ours = unix_pair[0]
        ours.settimeout(SHORT)
        raw = any_impl.makefile(ours, "rb", 0)
        closing(ours.dup()).setblocking(True)
        assert not fcntl.fcntl(ours.fileno(), fcntl.F_GETFL) & os.O_NONBLOCK
        assert ours.gettimeout() == SHORT
        with pytest.raises(socket.timeout):
            raw.readinto(bytearray(4))

    @pytest.mark.direct_path
    def test_non_blocking_read_on_a_descriptor_made_blocking_behind_its_back_gives_none(
        self, impl, unix_pair
    ):
        # The interpreter's own hangs here: it relies on the descriptor.
        ours = unix_pair[0]
        ours.settimeout(0)
        raw = impl.makefile(ours, "rb", 0)
        set_descriptor_blocking(ours, True)
        assert raw.readinto(bytearray(4)) is None

    def test_timed_read_of_a_descriptor_closed_behind_its_back_gives_its_error(
        self, any_impl, unix_pair
    ):
        ours = unix_pair[0]
        ours.settimeout(HANGING)
        raw = any_impl.makefile(ours, "rb", 0)
        spare = os.dup(ours.fileno())  # so that the socket ends with a descriptor of its own
        with alarm(once(lambda: os.close(ours.fileno())), 0.01, 0.5):
            with pytest.raises(socket.error) as caught:
                raw.readinto(bytearray(4))
        os.dup2(spare, ours.fileno())
        os.close(spare)
        assert caught.value.errno == errno.EBADF

    @pytest.mark.skipif(PYPY, reason="PyPy resizes a bytearray whoever uses it")
    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_buffer_of_a_blocked_read_cannot_be_resized(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        buf = bytearray(4)
        reader = Worker(any_impl.makefile(ours, "rb", 0).readinto, buf).wait_until_blocked()
        with pytest.raises(BufferError):
            buf.extend(b"more")
        peer.sendall(b"data")
        assert reader.get() == 4
        buf.extend(b"more")
        assert buf == b"datamore"


HUGE_TIMEOUTS = [2147483.0]
if PY2:  # 3.x refuses these
    HUGE_TIMEOUTS += [1e9, 1e300, float("inf"), float("nan")]


class TestTimeout(object):

    def test_read_without_data_raises_the_interpreter_s_timeout_and_not_before_its_time(
        self, any_impl, unix_pair
    ):
        ours = unix_pair[0]
        ours.settimeout(SHORT)
        raw = any_impl.makefile(ours, "rb", 0)
        started = time.time()
        with pytest.raises(socket.timeout) as caught:
            raw.readinto(bytearray(4))
        assert time.time() - started > SHORT * 0.9
        assert type(caught.value) is socket.timeout
        assert caught.value.args == ("timed out",)
        assert caught.value.errno is None

    def test_write_without_room_raises_the_interpreter_s_timeout_and_not_before_its_time(
        self, any_impl, unix_pair
    ):
        ours = unix_pair[0]
        ours.settimeout(SHORT)
        raw = any_impl.makefile(ours, "wb", 0)
        fill(ours)
        started = time.time()
        with pytest.raises(socket.timeout) as caught:
            raw.write(b"data")
        assert time.time() - started > SHORT * 0.9
        assert type(caught.value) is socket.timeout
        assert caught.value.args == ("timed out",)
        assert caught.value.errno is None

    @pytest.mark.parametrize(
        "mode, buffering, read",
        [
            ("rwb", 0, lambda stream: stream.readinto(bytearray(4))),
            ("rwb", 0, lambda stream: stream.read(4)),
            ("rwb", 0, lambda stream: stream.read()),
            ("rwb", 0, lambda stream: stream.readall()),
            ("rwb", 0, lambda stream: stream.readline()),
            ("rwb", None, lambda stream: stream.read(4)),
            ("rwb", None, lambda stream: stream.read1(4)),
            ("rwb", None, lambda stream: stream.readline()),
            ("rw", None, lambda stream: stream.read(4)),
            ("rw", None, lambda stream: stream.readline()),
        ],
    )
    def test_after_a_timeout_every_read_fails_even_with_data_and_writes_and_new_files_work(
        self, any_impl, unix_pair, mode, buffering, read
    ):
        ours, peer = unix_pair
        ours.settimeout(SHORT)
        stream = any_impl.makefile(ours, mode, buffering)
        with pytest.raises(socket.timeout):
            read(stream)
        peer.sendall(b"data\n")
        ours.settimeout(None)
        for _ in range(2):
            with pytest.raises((OSError, IOError)) as caught:
                read(stream)
            assert type(caught.value) is (IOError if PY2 else OSError)
            assert caught.value.args == ("cannot read from timed out object",)
        stream.write(b"still" if "b" in mode else u"still")
        stream.flush()
        assert peer.recv(64) == b"still"
        assert any_impl.makefile(ours, "rb", 0).read(5) == b"data\n"

    def test_read_that_times_out_in_a_buffered_stream_fails_from_then_on(self, any_impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(SHORT)
        stream = any_impl.makefile(ours, "r", encoding="ascii")
        with pytest.raises(socket.timeout):
            stream.readline()
        peer.sendall(b"line\n")
        with pytest.raises((OSError, IOError)) as caught:
            stream.readline()
        assert "timed out object" in str(caught.value)

    def test_write_that_times_out_poisons_neither_writes_nor_reads(self, any_impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(SHORT)
        raw = any_impl.makefile(ours, "rwb", 0)
        filled = fill(ours)
        with pytest.raises(socket.timeout):
            raw.write(b"data")
        assert drain(peer) == b"." * filled
        peer.sendall(b"data")
        assert raw.read(4) == b"data"
        assert raw.write(b"data") == 4
        assert drain(peer) == b"data"

    def test_delegated_read_that_times_out_poisons_too(self, any_impl):
        raw = any_impl.SocketIO(ScriptedSocket(socket.timeout("the fake's own"), b"data"), "rw")
        with pytest.raises(socket.timeout) as caught:
            raw.read(4)
        assert caught.value.args == ("the fake's own",)
        with pytest.raises((OSError, IOError)) as caught:
            raw.read(4)
        assert caught.value.args == ("cannot read from timed out object",)
        assert raw._sock.calls.count("recv_into") == 1

    def test_tls_read_that_times_out_raises_and_poisons_as_the_interpreter_s(
        self, any_impl, tls_pair
    ):
        ours, peer, wire = tls_pair
        ours.settimeout(SHORT)
        raw = any_impl.makefile(ours, "rb", 0)
        with pytest.raises(socket.error) as caught:
            raw.read(4)
        assert "timed out" in str(caught.value)
        if not PY2:  # where it is an SSLError, and no socket.timeout
            with pytest.raises(OSError) as caught:
                raw.read(4)
            assert caught.value.args == ("cannot read from timed out object",)

    @pytest.mark.parametrize("timeout", [1e-12, 1e-9, 1e-7, 0.00049], ids=str)
    def test_tiny_timeout_is_a_timeout_and_not_non_blocking(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rwb", 0)
        with pytest.raises(socket.timeout):
            raw.readinto(bytearray(4))
        fill(ours)
        with pytest.raises(socket.timeout):
            raw.write(b"data")

    @pytest.mark.parametrize("timeout", HUGE_TIMEOUTS, ids=str)
    def test_huge_timeout_waits(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rwb", 0)
        with alarm(once(lambda: peer.sendall(b"data")), 0.01, 0.5):
            assert raw.read(4) == b"data"
        peer.sendall(b"more")
        assert raw.read(4) == b"more"
        filled = fill(ours)
        drained = []
        with alarm(once(lambda: drained.append(drain(peer))), 0.01, 0.5):
            assert raw.write(b"data") == 4
        assert b"".join(drained) + drain(peer) == b"." * filled + b"data"

    @pytest.mark.skipif(PYPY, reason="PyPy's own methods begin a timeout anew after each signal")
    @pytest.mark.parametrize("call", ["read", "write"])
    def test_signals_during_a_wait_do_not_put_the_deadline_off(self, any_impl, unix_pair, call):
        ours = unix_pair[0]
        ours.settimeout(0.1)
        raw = any_impl.makefile(ours, "rwb", 0)
        fill(ours)
        ticks = []
        started = time.time()
        with alarm(lambda: ticks.append(time.time()), 0.01, 0.01):
            with pytest.raises(socket.timeout):
                raw.read(4) if call == "read" else raw.write(b"data")
        # If each signal started the wait again it would never end, and the watchdog is off: the
        # alarm took its place.
        assert ticks
        assert time.time() - started > 0.09

    def test_each_read_under_readall_has_a_fresh_timeout(self, any_impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(0.3)
        raw = any_impl.makefile(ours, "rb", 0)
        pieces = [b"0", b"1", b"2"]

        def feed():
            if pieces:
                peer.sendall(pieces.pop(0))
            else:
                peer.close()

        with alarm(feed, 0.1, 0.1):  # 0.4 s in all
            assert raw.readall() == b"012"


class TestWrite(object):
    """`write` goes on until all is taken; it tells how much went, and fails only if nothing did."""

    @pytest.mark.parametrize("timeout", [None, HANGING])
    @pytest.mark.direct_path
    def test_write_of_more_than_fits_sends_all(self, impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        receiver = Worker(receive_all, peer)
        raw = impl.makefile(ours, "wb", 0)
        assert raw.write(BIG) == len(BIG)
        ours.shutdown(socket.SHUT_WR)
        assert receiver.get() == BIG

    def test_non_blocking_write_returns_what_went_out_then_none(self, impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(0)
        raw = impl.makefile(ours, "wb", 0)
        count = raw.write(BIG)
        assert 0 < count < len(BIG)
        assert raw.write(b"x") is None
        assert drain(peer) == BIG[:count]

    @pytest.mark.direct_path
    def test_non_blocking_write_on_a_descriptor_made_blocking_behind_its_back_returns_none(
        self, impl, unix_pair
    ):
        # The interpreter's own hangs here: it relies on the descriptor.
        ours = unix_pair[0]
        ours.settimeout(0)
        raw = impl.makefile(ours, "wb", 0)
        fill(ours)
        set_descriptor_blocking(ours, True)
        assert raw.write(b"data") is None

    def test_blocking_write_on_a_descriptor_made_non_blocking_behind_its_back_ends(
        self, impl, unix_pair
    ):
        ours, peer = unix_pair
        raw = impl.makefile(ours, "wb", 0)
        set_descriptor_blocking(ours, False)
        count = raw.write(BIG)
        assert 0 < count < len(BIG)
        assert raw.write(b"x") is None
        assert drain(peer) == BIG[:count]

    def test_full_blocking_write_on_a_descriptor_made_non_blocking_behind_its_back_returns_none(
        self, any_impl, unix_pair
    ):
        ours = unix_pair[0]
        raw = any_impl.makefile(ours, "wb", 0)
        fill(ours)
        set_descriptor_blocking(ours, False)
        assert raw.write(b"data") is None

    def test_timed_write_returns_what_went_out_then_raises(self, impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(SHORT)
        raw = impl.makefile(ours, "wb", 0)
        count = raw.write(BIG)
        assert 0 < count < len(BIG)
        with pytest.raises(socket.timeout):
            raw.write(BIG[count:])
        assert drain(peer) == BIG[:count]

    @pytest.mark.direct_path
    def test_timed_write_counts_the_timeout_for_the_whole_and_not_for_each_send(
        self, impl, unix_pair
    ):
        ours, peer = unix_pair
        ours.settimeout(0.1)
        raw = impl.makefile(ours, "wb", 0)
        received = []
        enough = threading.Event()

        def sip():
            # Room again every 10 ms: each wait by itself succeeds, and all of them would last for
            # ever.
            while not enough.wait(0.01):
                received.append(peer.recv(1 << 16))

        sipper = Worker(sip)
        data = BIG * 8  # 64 MiB, 10 s at this rate
        started = time.time()
        count = raw.write(data)
        lasted = time.time() - started
        enough.set()
        sipper.get()
        assert 0 < count < len(data)
        assert 0.09 < lasted < 5
        assert b"".join(received) + drain(peer) == data[:count]

    @pytest.mark.direct_path
    def test_timed_write_waits_for_room_and_goes_on(self, impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(HANGING)
        raw = impl.makefile(ours, "wb", 0)
        writer = Worker(raw.write, BIG).wait_until_blocked()
        received = Worker(receive_all, peer)
        assert writer.get() == len(BIG)
        ours.shutdown(socket.SHUT_WR)
        assert received.get() == BIG

    @pytest.mark.parametrize("timeout", [None, HANGING])
    @pytest.mark.direct_path
    def test_peer_gone_after_progress_write_returns_what_went_out_then_raises(
        self, impl, unix_pair, timeout
    ):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = impl.makefile(ours, "wb", 0)
        writer = Worker(raw.write, BIG).wait_until_blocked()
        received = peer.recv(1 << 16)
        peer.close()
        count = writer.get()
        assert len(received) <= count < len(BIG)
        assert BIG.startswith(received)
        with pytest.raises(socket.error) as caught:
            raw.write(b"data")
        assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)

    @pytest.mark.direct_path
    def test_peer_gone_after_a_write_timed_out_its_rest_raises(self, impl, unix_pair):
        ours, peer = unix_pair
        ours.settimeout(0.01)
        raw = impl.makefile(ours, "wb", 0)
        assert 0 < raw.write(BIG) < len(BIG)
        peer.close()
        with pytest.raises(socket.error) as caught:
            raw.write(b"rest")
        assert caught.value.errno in (errno.EPIPE, errno.ECONNRESET)

    @pytest.mark.parametrize("delegated", [False, True])
    @pytest.mark.direct_path
    def test_read_after_a_write_timed_out_gives_the_next_write_its_whole_time(
        self, impl, unix_pair, delegated
    ):
        ours, peer = unix_pair
        sock = CountingSocket(ours)
        sock.send = ours.send
        if not delegated:
            sock.recv_into = ours.recv_into
        ours.settimeout(0.2)
        raw = impl.makefile(sock, "rwb", 0)
        peer.sendall(b"data")
        assert 0 < raw.write(BIG) < len(BIG)
        assert raw.readinto(bytearray(4)) == 4
        began = time.time()
        with pytest.raises(socket.timeout):
            raw.write(b"next")
        assert time.time() - began > 0.19

    @pytest.mark.parametrize(
        "make", [bytearray, memoryview, lambda data: memoryview(bytearray(data))]
    )
    def test_write_of_any_buffer_counts_bytes_and_lets_go_of_it(self, impl, unix_pair, make):
        ours, peer = unix_pair
        ours.settimeout(0)
        raw = impl.makefile(ours, "wb", 0)
        data = make(BIG)
        count = raw.write(data)
        assert drain(peer) == BIG[:count]
        if isinstance(data, bytearray):
            data.extend(b"x")
        elif not PY2:
            data.release()

    @pytest.mark.skipif(PYPY, reason="PyPy resizes a bytearray whoever uses it")
    def test_buffer_of_a_blocked_write_cannot_be_resized(self, impl, unix_pair):
        ours, peer = unix_pair
        data = bytearray(BIG)
        writer = Worker(impl.makefile(ours, "wb", 0).write, data).wait_until_blocked()
        with pytest.raises(BufferError):
            data.extend(b"more")
        receiver = Worker(receive_all, peer)
        assert writer.get() == len(BIG)
        data.extend(b"more")
        ours.shutdown(socket.SHUT_WR)
        assert receiver.get() == BIG

    def test_write_to_a_shut_socket_runs_the_sigpipe_handler_as_the_interpreter_s(
        self, any_impl, unix_pair
    ):
        ours = unix_pair[0]
        signals = []
        raw = any_impl.makefile(ours, "wb", 0)
        ours.shutdown(socket.SHUT_WR)
        old = signal.signal(signal.SIGPIPE, lambda signum, frame: signals.append(signum))
        try:
            with pytest.raises(socket.error) as caught:
                raw.write(b"data")
        finally:
            signal.signal(signal.SIGPIPE, old)
        assert caught.value.errno == errno.EPIPE
        assert signals == [signal.SIGPIPE]

    @pytest.mark.parametrize("implementation", OURS + INTERPRETER, ids=get_name)
    @settings(max_examples=get_examples(25), deadline=None)
    @given(
        sizes=st.lists(st.one_of(st.integers(0, 300), st.integers(1, 300000)), max_size=12),
        drains=st.lists(st.booleans(), min_size=12, max_size=12),
        timeout=st.sampled_from([0, 0.001]),
    )
    def test_any_series_of_writes_bytes_taken_are_bytes_received(
        self, implementation, sizes, drains, timeout
    ):
        ours, peer = socket.socketpair()
        ours.settimeout(timeout)
        raw = implementation.makefile(ours, "wb", 0)
        taken, received = [], []
        try:
            for size, draining in zip(sizes, drains):
                data = BIG[size:2 * size]
                try:
                    count = raw.write(data)
                except socket.timeout:
                    count = None
                assert count is None or 0 < count <= size or count == size == 0
                taken.append(data[:count or 0])
                if draining:
                    received.append(drain(peer))
            received.append(drain(peer))
        finally:
            raw.close()
            ours.close()
            peer.close()
        assert b"".join(received) == b"".join(taken)


class TestWouldBlock(object):
    """What EAGAIN of a delegated call becomes, and what BufferedWriter makes of `None`."""

    @pytest.mark.parametrize("code", sorted(set([errno.EAGAIN, errno.EWOULDBLOCK])))
    def test_delegated_would_block_gives_none(self, any_impl, code):
        error = socket.error(code, "would block")
        fake = ScriptedSocket(error, b"data")
        raw = any_impl.SocketIO(fake, "rw")
        assert raw.readinto(bytearray(4)) is None
        assert raw.read(4) == b"data"  # nothing is poisoned
        fake.send = lambda data: fake.recv_into(bytearray(data))
        fake.script.append(error)
        assert raw.write(b"data") is None

    def test_would_block_of_sendall_gives_none(self, impl):
        class Full(object):
            def sendall(self, data):
                raise socket.error(errno.EAGAIN, "would block")

        assert impl.SocketIO(Full(), "w").write(b"data") is None

    @pytest.mark.parametrize(
        "code", [errno.EPIPE, errno.EINPROGRESS, errno.ENOTCONN, 0, -errno.EAGAIN]
    )
    def test_other_errors_of_a_delegated_call_come_through(self, any_impl, code):
        error = socket.error(code, "other")
        fake = ScriptedSocket(error)
        raw = any_impl.SocketIO(fake, "rw")
        with pytest.raises(socket.error) as caught:
            raw.read(4)
        assert caught.value is error

    @pytest.mark.parametrize("name", ["SSLWantReadError", "SSLWantWriteError"])
    def test_delegated_want_read_and_want_write_come_through(self, any_impl, name):
        error = getattr(ssl, name)(ssl.SSL_ERROR_WANT_READ, "the operation did not complete")
        fake = ScriptedSocket(error, error)
        fake.send = fake.recv_into
        raw = any_impl.SocketIO(fake, "rw")
        for call in (raw.read, raw.write):
            with pytest.raises(type(error)) as caught:
                call(*([4] if call == raw.read else [bytearray(b"data")]))
            assert caught.value is error

    def test_non_blocking_tls_read_of_nothing_raises_want_read(self, any_impl, tls_pair):
        ours, peer, wire = tls_pair
        ours.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            any_impl.makefile(ours, "rb", 0).read(4)

    def test_buffered_writer_on_a_full_socket_raises_blocking_io_error_with_eagain(
        self, c_impl, unix_pair
    ):
        # Documented limit of the twin: Python code cannot set C's errno.
        ours, peer = unix_pair
        ours.settimeout(0)
        filled = fill(ours)
        stream = c_impl.makefile(ours, "wb", 8)
        with pytest.raises(io.BlockingIOError) as caught:
            stream.write(b"0123456789")
        assert caught.value.errno == errno.EAGAIN
        assert caught.value.characters_written == 8
        assert drain(peer) == b"." * filled
        stream.flush()
        assert drain(peer) == b"01234567"

    @pytest.mark.parametrize(
        "answer", [None, socket.error(errno.EAGAIN, "full")], ids=["none", "error"]
    )
    def test_buffered_writer_on_a_full_fake_raises_blocking_io_error_with_eagain(
        self, c_impl, answer
    ):
        # Documented limit of the twin: Python code cannot set C's errno.

        def send(data):
            assert not os.path.exists("/does not exist")  # leaves ENOENT in C's errno
            if answer is not None:
                raise answer

        fake = ScriptedSocket()
        fake.send = send
        stream = c_impl.makefile(fake, "wb", 8)
        stream.write(b"01234567")
        with pytest.raises(io.BlockingIOError) as caught:
            stream.write(b"89")
        assert caught.value.errno == errno.EAGAIN
        assert caught.value.characters_written == 0
        del fake.send
        stream.close()
        assert fake.sent == [b"01234567"]

    @pytest.mark.parametrize("implementation", OURS + INTERPRETER, ids=get_name)
    @settings(max_examples=get_examples(25), deadline=None)
    @given(size=st.integers(1, 5000), pieces=st.lists(st.integers(1, 200000), max_size=10))
    def test_buffered_writer_on_a_full_socket_keeps_or_sends_each_byte_once(
        self, implementation, size, pieces
    ):
        ours, peer = socket.socketpair()
        ours.settimeout(0)
        stream = implementation.makefile(ours, "wb", size)
        taken, received = [], []
        try:
            for piece in pieces:
                data = BIG[piece:2 * piece]
                try:
                    count = stream.write(data)
                except io.BlockingIOError as error:
                    count = error.characters_written
                taken.append(data[:count])
                if piece % 2:
                    received.append(drain(peer))
            while True:
                received.append(drain(peer))
                try:
                    stream.flush()
                    break
                except io.BlockingIOError:
                    pass
            received.append(drain(peer))
        finally:
            stream.close()
            ours.close()
            peer.close()
        assert b"".join(received) == b"".join(taken)


class TestSignals(object):
    """PEP 475, on 2.7 too: a signal's handler runs, and the call goes on.

    It has the time that is left, and what a handler raises comes out.
    """

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_read_goes_on_after_handlers_that_return(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        ticks = []

        def tick():
            ticks.append(1)
            if len(ticks) == 3:
                peer.sendall(b"data")

        with alarm(tick, 0.005, 0.005):
            assert raw.read(4) == b"data"
        assert len(ticks) >= 3

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_write_goes_on_after_handlers_that_return(self, any_impl, unix_pair, timeout):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        filled = fill(ours)
        ticks, received = [], []

        def tick():
            ticks.append(1)
            if len(ticks) == 3:
                received.append(drain(peer))

        with alarm(tick, 0.005, 0.005):
            assert raw.write(b"data") == 4
        assert len(ticks) >= 3
        assert b"".join(received) + drain(peer) == b"." * filled + b"data"

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_read_raises_what_a_handler_raises_and_the_stream_stays_usable(
        self, any_impl, unix_pair, timeout
    ):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        with alarm(raise_tick, 0.01, 0.5):  # again, should the first come just before the wait
            with pytest.raises(Tick):
                raw.read(4)
        peer.sendall(b"data")
        assert raw.read(4) == b"data"

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_write_of_which_nothing_went_out_raises_what_a_handler_raises(
        self, any_impl, unix_pair, timeout
    ):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        filled = fill(ours)
        with alarm(raise_tick, 0.01, 0.5):  # again, should the first come just before the wait
            with pytest.raises(Tick):
                raw.write(b"data")
        assert drain(peer) == b"." * filled
        assert raw.write(b"more") == 4
        assert drain(peer) == b"more"

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_interrupt_from_the_keyboard_ends_a_blocked_read(self, any_impl, unix_pair, timeout):
        ours = unix_pair[0]
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        with alarm(lambda: signal.default_int_handler(signal.SIGINT, None), 0.01, 0.5):
            with pytest.raises(KeyboardInterrupt):
                raw.read(4)

    @pytest.mark.parametrize("timeout", [None, HANGING])
    @pytest.mark.direct_path
    def test_signal_after_progress_write_returns_the_count_before_the_handler_runs(
        self, c_impl, unix_pair, timeout
    ):
        # Documented limit of the twin: handlers run inside its write, and one that raises loses the
        # count.
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = c_impl.makefile(ours, "wb", 0)
        with Ticker(0.01, 0) as ticker:
            counts = ticker.collect(raw.write, BIG)
        assert ticker.caught == ticker.raised == 1
        assert len(counts) == 1 and 0 < counts[0] < len(BIG)
        assert drain(peer) == BIG[:counts[0]]

    @pytest.mark.parametrize("timeout", [None, HANGING])
    @pytest.mark.direct_path
    def test_signal_after_progress_of_a_waiting_write_ends_it_at_once(
        self, c_impl, unix_pair, timeout
    ):
        # As above, but here the call that waits has made progress itself, so it ends with a count
        # and not with EINTR.
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = c_impl.makefile(ours, "wb", 0)
        received = []

        def sip():
            while sum(map(len, received)) < 1 << 19:
                received.append(peer.recv(1 << 16))

        sipper = Worker(sip)
        started = time.time()
        with Ticker(0.2, 5) as ticker:
            counts = ticker.collect(raw.write, BIG)
        assert ticker.caught == ticker.raised == 1 and time.time() - started < 4
        sipper.get()
        assert len(counts) == 1 and counts[0] > 1 << 19
        assert b"".join(received) + drain(peer) == BIG[:counts[0]]

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_signals_that_return_during_writes_no_byte_is_lost_or_sent_twice(
        self, any_impl, unix_pair, timeout
    ):
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        receiver = Worker(receive_slowly, peer)
        position, ticks = 0, []
        with alarm(lambda: ticks.append(1), 0.001, 0.001):
            while position < len(BIG):
                count = raw.write(BIG[position:position + (1 << 20)])
                assert 0 < count <= 1 << 20
                position += count
        ours.shutdown(socket.SHUT_WR)
        assert receiver.get() == BIG
        assert ticks

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_signals_that_raise_during_writes_no_byte_is_lost_or_sent_twice(
        self, c_impl, unix_pair, timeout
    ):
        # Documented limit of the twin: a handler that raises after progress loses the count.
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = c_impl.makefile(ours, "wb", 0)
        receiver = Worker(receive_slowly, peer)
        position = 0
        with Ticker() as ticker:
            while position < len(BIG):
                position += sum(ticker.collect(raw.write, BIG[position:position + (1 << 20)]))
        ours.shutdown(socket.SHUT_WR)
        assert receiver.get() == BIG
        assert ticker.caught == ticker.raised > 0  # what a handler raised is never swallowed

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_signals_that_raise_during_flushes_no_byte_is_lost_or_sent_twice(
        self, c_impl, unix_pair, timeout
    ):
        # Documented limit of the twin: a handler that raises after progress loses the count.
        ours, peer = unix_pair
        ours.settimeout(timeout)
        size = 1 << 20
        stream = c_impl.makefile(ours, "wb", size + 1)
        receiver = Worker(receive_slowly, peer)
        position = 0
        with Ticker() as ticker:
            while position < len(BIG):
                # It fits into the empty buffer: no system call, no handler.
                position += sum(ticker.collect(stream.write, BIG[position:position + size]))
                while not ticker.collect(lambda stream: stream.flush(), stream):
                    pass
        ours.shutdown(socket.SHUT_WR)
        assert receiver.get() == BIG
        assert ticker.caught == ticker.raised > 0  # what a handler raised is never swallowed

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_signals_that_raise_during_reads_no_byte_is_lost_or_read_twice(
        self, c_impl, unix_pair, timeout
    ):
        # Documented limit of the twin: a handler can run between its recv and its return.
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = c_impl.makefile(ours, "rb", 0)
        sender = Worker(send_slowly, peer, BIG)
        received, counts = [], []
        buf = bytearray(1 << 16)
        with Ticker() as ticker:
            while counts != [0]:
                counts = ticker.collect(raw.readinto, buf)
                received.extend(bytes(buf[:count]) for count in counts)
        sender.get()
        assert b"".join(received) == BIG
        assert ticker.caught == ticker.raised > 0  # what a handler raised is never swallowed

    @pytest.mark.skipif(not PY2, reason="from 3.5 on the interpreter's own methods do this")
    def test_delegated_calls_are_made_again_after_a_signal(self, impl):
        interrupted = socket.error(errno.EINTR, "interrupted")
        fake = ScriptedSocket(interrupted, interrupted, b"data", interrupted, b"data")
        fake.send = lambda data: fake.recv_into(bytearray(data))
        raw = impl.SocketIO(fake, "rw")
        assert raw.read(4) == b"data"
        assert raw.write(b"data") == 4
        assert fake.calls.count("recv_into") == 5

    @pytest.mark.skipif(
        PY2, reason="2.7's methods give EINTR: there delegated calls are made again"
    )
    def test_interrupted_error_of_a_delegated_call_comes_through(self, any_impl):
        fake = ScriptedSocket(InterruptedError(errno.EINTR, "interrupted"), b"data")
        raw = any_impl.SocketIO(fake, "rw")
        with pytest.raises(InterruptedError):
            raw.read(4)
        assert raw.read(4) == b"data"

    @pytest.mark.skipif(not PY2, reason="from 3.5 on the interpreter's own methods do this")
    def test_overridden_method_that_calls_the_socket_s_own_goes_on_after_a_signal(
        self, impl, unix_pair
    ):
        ours, peer = unix_pair

        class Delegating(object):
            def recv_into(self, buf):
                return ours.recv_into(buf)

        raw = impl.SocketIO(Delegating(), "r")
        ticks = []

        def tick():
            ticks.append(1)
            if len(ticks) == 3:
                peer.sendall(b"data")

        with alarm(tick, 0.005, 0.005):
            assert raw.read(4) == b"data"
        assert len(ticks) >= 3


@pytest.fixture
def waiting_thread():
    """A function that makes a thread wait for the GIL.

    The interpreter will not take the GIL from us by itself.

    It returns a list that is empty until that thread got the GIL.
    """
    if (
        not hasattr(sys, "getcheckinterval")
        and not hasattr(sys, "getswitchinterval")
        or hasattr(sys, "pypy_version_info")
    ):
        pytest.skip("this interpreter's GIL cannot be kept")
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        pytest.skip("no GIL")
    workers = []

    def start():
        def wait():
            gate.acquire()
            passed.append(True)

        gate = threading.Lock()
        gate.acquire()
        passed = []
        workers.append(Worker(wait).wait_until_blocked())
        gate.release()
        started = time.time()
        while time.time() < started + 0.02:  # it wakes up; sleeping here would give it the GIL
            pass
        assert not passed
        return passed

    if PY2:
        old = sys.getcheckinterval()
        sys.setcheckinterval(1 << 30)
    else:
        old = sys.getswitchinterval()
        sys.setswitchinterval(1000.0)
    yield start
    (sys.setcheckinterval if PY2 else sys.setswitchinterval)(old)
    for worker in workers:
        worker.get()


class TestLock(object):
    """Who waits lets other threads run; who moves at once keeps the GIL."""

    def connect_many(self):
        """Ten connected TCP pairs, (ours, peer), ours non-blocking.

        Each takes a hundred kilobytes and more at once.
        """
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(10)
        pairs = []
        for _ in range(10):
            pairs.append((socket.create_connection(listener.getsockname()), listener.accept()[0]))
            pairs[-1][0].setblocking(False)
        listener.close()
        return pairs

    def wait_a_moment(self, implementation, unix_pair):
        """Have the implementation give up the GIL, so that whose turn it is matters no more."""
        unix_pair[0].settimeout(0.001)
        with pytest.raises(socket.timeout):
            implementation.makefile(unix_pair[0], "rb", 0).read(1)

    @pytest.mark.direct_path
    def test_large_ready_reads_keep_the_gil(self, c_impl, unix_pair, waiting_thread):
        buf = bytearray(1 << 23)
        pairs = self.connect_many()
        raws = [c_impl.makefile(ours, "rb", 0) for ours, peer in pairs]
        for ours, peer in pairs:
            fill(peer)
        self.wait_a_moment(c_impl, unix_pair)
        passed = waiting_thread()
        sizes = [raw.readinto(buf) for raw in raws]
        won = bool(passed)
        for closable in raws + [sock for pair in pairs for sock in pair]:
            closable.close()
        assert min(sizes) > 1 << 16
        assert not won

    @pytest.mark.parametrize("timeout", [None, 0, HANGING])
    @pytest.mark.direct_path
    def test_small_ready_reads_and_writes_keep_the_gil(
        self, c_impl, unix_pair, waiting_thread, timeout
    ):
        # The interpreter's own methods, which the twin calls, give it up.
        ours, peer = unix_pair
        ours.settimeout(timeout)
        raw = c_impl.makefile(ours, "rwb", 0)
        buf = bytearray(64)
        given_up = 0
        for _ in range(5):
            peer.sendall(b"." * 64 * 10)
            passed = waiting_thread()
            for _ in range(4):
                assert raw.readinto(buf) == 64
                assert raw.write(buf) == 64
            given_up += len(passed)
        assert given_up <= 2  # now and then it has to, or others would starve


STRACED = """
ours, peer = socket.socketpair()
ours.settimeout(30)
raw = makefile(ours, "rwb", 0)
buf = bytearray(64)
peer.sendall(b"." * 64 * 30)
raw.readinto(buf)
os.access("MARK-READ", 0)
for _ in range(20):
    assert raw.readinto(buf) == 64
os.access("MARK-WRITE", 0)
for _ in range(20):
    assert raw.write(buf) == 64
os.access("MARK-END", 0)
"""


@pytest.mark.skipif(PYPY, reason="PyPy polls twice, in the twin and in its own methods")
@pytest.mark.direct_path
def test_ready_read_and_write_with_a_timeout_are_one_system_call(any_impl, tmpdir):
    log = tmpdir.join("strace")
    prefix = [
        "strace",
        "-f",
        "-q",
        "-o",
        str(log),
        "-e",
        "trace=network,poll,ppoll,select,pselect6,read,write,fcntl,ioctl,access,faccessat,"
        "faccessat2",
    ]
    try:
        tried = subprocess.Popen(prefix + ["true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        tried.communicate()
    except OSError:
        pytest.skip("there is no strace")
    if tried.returncode != 0:
        pytest.skip("strace may not trace here")
    finish_script(start_script(STRACED, any_impl, prefix=prefix))
    read, write = re.search("MARK-READ(.*)MARK-WRITE(.*)MARK-END", log.read(), re.DOTALL).groups()
    names = [re.findall(r"^(?:\d+ +)?(\w+)\(", part, re.MULTILINE)[:-1] for part in (read, write)]
    # On i386 they are forms of one call, socketcall, and have shorter names.
    short = {"recv": "recvfrom", "send": "sendto"}
    names = [[short.get(name, name) for name in part] for part in names]
    if any_impl.name == "c":
        assert names == [["recvfrom"] * 20, ["sendto"] * 20]
    else:  # the interpreter's own methods wait first; this shows that a second call would be seen
        assert names == [["poll", "recvfrom"] * 20, ["poll", "sendto"] * 20]
