"""Whoever calls may let go of the arguments, and of the stream, while the call is under way.

`functools.partial.__setstate__` does that: what only a partial object held is then free.
"""

import functools
import socket

import pytest

from fakes import collect_garbage
from running import Worker, receive_all

NBYTES = 100000


def let_go(call):
    """Replace what the partial object *call* holds."""
    call.__setstate__((len, (), {}, None))


def make_bytes(letter):
    return letter * NBYTES  # a new object at each call


# --- While a call waits ---------------------------------------------------------------------------


def send_and_let_go(ours, peer, call):
    """What comes while the only one who held the arguments of a waiting write lets go of them."""
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    writer = Worker(call).wait_until_blocked()
    let_go(call)
    others = [make_bytes(b"S") for _ in range(3)]
    receiver = Worker(receive_all, peer)
    count = writer.get()
    ours.shutdown(socket.SHUT_WR)
    received = receiver.get()
    del others
    assert received == b"A" * count
    return count


def test_bytes_of_a_waiting_write_are_held(any_impl, unix_pair):
    ours, peer = unix_pair
    raw = any_impl.SocketIO(ours, "w")
    assert send_and_let_go(ours, peer, functools.partial(raw.write, make_bytes(b"A"))) == NBYTES


def test_bytes_of_a_waiting_write_with_a_timeout_are_held(impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(30)
    raw = impl.SocketIO(ours, "w")
    assert send_and_let_go(ours, peer, functools.partial(raw.write, make_bytes(b"A"))) == NBYTES


@pytest.mark.parametrize("make", [bytearray, memoryview], ids=["bytearray", "view"])
def test_buffer_of_a_waiting_write_is_held(any_impl, unix_pair, make):
    ours, peer = unix_pair
    raw = any_impl.SocketIO(ours, "w")
    call = functools.partial(raw.write, make(make_bytes(b"A")))
    assert send_and_let_go(ours, peer, call) == NBYTES


def test_stream_of_a_waiting_write_is_held(any_impl, unix_pair):
    ours, peer = unix_pair
    call = functools.partial(
        any_impl.SocketIO.write, any_impl.SocketIO(ours, "w"), make_bytes(b"A")
    )
    assert send_and_let_go(ours, peer, call) == NBYTES


@pytest.mark.parametrize("timeout", [None, 30])
@pytest.mark.parametrize(
    "name, arguments, expected",
    [
        ("read", lambda: (100,), b"data"),
        ("readinto", lambda: (bytearray(100),), 4),
        ("readall", tuple, b"data"),
        ("read", tuple, b"data"),
    ],
    ids=["read", "readinto", "readall", "read all"],
)
def test_stream_and_buffer_of_a_waiting_read_are_held(
    impl, unix_pair, name, arguments, expected, timeout
):
    # The interpreter's own read and readall, and its readline everywhere, do not hold the stream.
    ours, peer = unix_pair
    ours.settimeout(timeout)
    call = functools.partial(getattr(impl.SocketIO, name), impl.SocketIO(ours, "r"), *arguments())
    reader = Worker(call).wait_until_blocked()
    let_go(call)
    collect_garbage()
    peer.sendall(b"data")
    peer.close()
    assert reader.get() == expected


# --- While a call runs the sock's Python code -----------------------------------------------------


class Dropping(object):
    """A fake that has something done in each of its methods."""

    _io_refs = 0

    def __init__(self, drop):
        self.drop = drop

    def recv_into(self, buf):
        self.drop()
        buf[:2] = b"xy"
        return 2 if len(buf) >= 2 else 0

    def send(self, data):
        self.drop()
        return len(data)

    def fileno(self):
        self.drop()
        return 12

    def _decref_socketios(self):
        self.drop()


@pytest.mark.parametrize(
    "name, arguments, expected",
    [
        ("read", lambda: (100,), b"xy"),
        ("readinto", lambda: (bytearray(100),), 2),
        ("write", lambda: (bytearray(b"abc"),), 3),
        ("fileno", tuple, 12),
        ("close", tuple, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_stream_that_its_own_sock_lets_go_of_is_held(any_impl, name, arguments, expected):
    calls = []

    def drop():
        while calls:
            let_go(calls.pop())
            collect_garbage()

    raw = any_impl.SocketIO(Dropping(drop), "rw")
    call = functools.partial(getattr(any_impl.SocketIO, name), raw, *arguments())
    del raw
    calls.append(call)
    assert call() == expected


class SendallOnly(object):
    _makefile_refs = 0

    def __init__(self, drop):
        self.drop = drop
        self.sent = b""

    def sendall(self, data):
        self.drop()
        self.sent += bytes(bytearray(data))

    def _decref_socketios(self):
        pass


def test_bytes_and_stream_that_sendall_lets_go_of_are_held(impl):
    calls = []
    sock = SendallOnly(lambda: let_go(calls.pop()))
    call = functools.partial(impl.SocketIO.write, impl.SocketIO(sock, "w"), make_bytes(b"A"))
    calls.append(call)
    assert call() == NBYTES
    assert sock.sent == b"A" * NBYTES


# --- The arguments of makefile --------------------------------------------------------------------


class Counting(object):
    """A fake whose counter does something when it is set, under both names."""

    def __init__(self, drop=lambda: None):
        self.drop = drop

    def get_count(self):
        return 0

    def set_count(self, count):
        self.drop()

    _makefile_refs = _io_refs = property(get_count, set_count)

    def _decref_socketios(self):
        pass

    def recv_into(self, buffer):
        return 0


class Mode(object):
    """A mode that does something when it is looked at."""

    def __init__(self, drop):
        self.drop = drop

    def __iter__(self):
        self.drop()
        return iter("r")

    def __contains__(self, letter):
        self.drop()
        return letter == "r"


class Buffering(object):
    """A size of 100 that does something when it is compared or converted."""

    def __init__(self, drop):
        self.drop = drop

    def __lt__(self, other):
        self.drop()
        return False

    __eq__ = __lt__
    __hash__ = None

    def __index__(self):
        self.drop()
        return 100

    __int__ = __index__


@pytest.mark.parametrize("odd", ["sock", "mode", "buffering"])
def test_arguments_of_makefile_that_one_of_them_lets_go_of_are_held(any_impl, odd):
    calls = []

    def drop():
        while calls:
            let_go(calls.pop())
            collect_garbage()
            [u"encoding %d" % number for number in range(100)]  # takes the place of what was freed

    call = functools.partial(
        any_impl.makefile,
        Counting(drop if odd == "sock" else lambda: None),
        mode=Mode(drop) if odd == "mode" else "".join(["r"]),
        buffering=Buffering(drop) if odd == "buffering" else None,
        encoding="".join(["as", "cii"]),
        errors="".join(["strict", ""]),
        newline="".join(["\r", "\n"]),
    )
    calls.append(call)
    stream = call()
    assert not calls
    assert stream.encoding == "ascii" and stream.errors == "strict"
    assert stream.read() == u""
    stream.close()


def test_positional_arguments_of_makefile_that_the_sock_lets_go_of_are_held(any_impl):
    calls = []

    def drop():
        while calls:
            let_go(calls.pop())
            collect_garbage()

    call = functools.partial(any_impl.makefile, Counting(drop), "".join(["r", "b"]), 1000)
    calls.append(call)
    stream = call()
    assert stream.read() == b""
    stream.close()
