"""No read returns what was not received; a small message that is kept costs what its bytes cost."""

import os
import sys

import pytest

from fakes import ScriptedSocket

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
DEBUG = hasattr(sys, "gettotalrefcount")


# --- Claims ---------------------------------------------------------------------------------------


class Int(int):
    """A subclass of int."""


class Index(object):
    """A number by `__index__`."""

    def __init__(self, number):
        self.number = number

    def __index__(self):
        return self.number


def make_fake(implementation, claim):
    return implementation.SocketIO(ScriptedSocket(lambda: claim), "r")


def make_subclass(implementation, claim):
    class Claiming(implementation.SocketIO):
        def readinto(self, b):
            return claim

    return Claiming(ScriptedSocket(), "r")


def make_instance(implementation, claim):
    raw = implementation.SocketIO(ScriptedSocket(), "r")
    raw.readinto = lambda b: claim
    return raw


def make_foreign(implementation, claim):
    """A stream that reads by the method of another one."""
    raw = implementation.SocketIO(ScriptedSocket(), "r")
    raw.readinto = make_fake(implementation, claim).readinto
    return raw


SIZES = [
    (0, 0),
    (1, 1),
    (3, 3),
    (True, 1),
    (False, 0),
    (Int(3), 3),
    (Index(3), 3),
    (20000, 20000),
    (Int(20000), 20000),
]


@pytest.mark.parametrize("make", [make_fake, make_subclass, make_instance, make_foreign])
@pytest.mark.parametrize(
    "size, number",
    SIZES,
    ids=lambda value: "%s %r" % (type(value).__name__, getattr(value, "number", value)),
)
@pytest.mark.parametrize("more", [1, 100, 1 << 20, -1 << 30])
def test_read_into_which_more_is_claimed_than_was_offered_is_a_value_error(
    impl, make, size, number, more
):
    if PY2 and isinstance(size, Index):
        pytest.skip("2.7's read takes no __index__")
    raw = make(impl, number + more)
    with pytest.raises(ValueError):
        raw.read(size)


@pytest.mark.parametrize(
    "size, number",
    SIZES,
    ids=lambda value: "%s %r" % (type(value).__name__, getattr(value, "number", value)),
)
def test_read_of_any_kind_of_size_gives_as_many_bytes(any_impl, size, number):
    if PY2 and isinstance(size, Index):
        with pytest.raises(TypeError):
            any_impl.SocketIO(ScriptedSocket(b"x" * 30000), "r").read(size)
        return
    assert any_impl.SocketIO(ScriptedSocket(b"x" * 30000), "r").read(size) == b"x" * number


@pytest.mark.parametrize(
    "size", [-1, -5, Int(-1), Index(-1)], ids=["int", "int", "subclass", "index"]
)
def test_read_of_any_kind_of_negative_size_reads_to_the_end(any_impl, size):
    if PY2 and isinstance(size, Index):
        pytest.skip("2.7's read takes no __index__")
    assert any_impl.SocketIO(ScriptedSocket(b"one", b"two"), "r").read(size) == b"onetwo"


@pytest.mark.parametrize(
    "size", [2.0, "3", None, object(), [3]], ids=lambda size: type(size).__name__
)
def test_read_of_a_size_that_is_no_number_is_a_type_error(any_impl, size):
    sock = ScriptedSocket(b"data")
    if PYPY and size is None:
        pytest.skip("PyPy takes None for no size")
    with pytest.raises(TypeError):
        any_impl.SocketIO(sock, "r").read(size)
    assert "recv_into" not in sock.calls


@pytest.mark.parametrize("claim", [Int(2), Index(2), True], ids=["subclass", "index", "bool"])
def test_claim_of_any_kind_of_int_is_taken(any_impl, claim):
    def fill():
        return claim

    number = claim.number if isinstance(claim, Index) else int(claim)
    assert len(any_impl.SocketIO(ScriptedSocket(fill), "r").read(3)) == number


def test_size_whose_number_raises_lets_that_out(any_impl):
    class Odd(object):
        def __index__(self):
            raise ZeroDivisionError

        __int__ = __index__

    sock = ScriptedSocket(b"data")
    with pytest.raises(ZeroDivisionError):
        any_impl.SocketIO(sock, "r").read(Odd())
    assert "recv_into" not in sock.calls


@pytest.mark.skipif(PYPY, reason="PyPy has no such limit")
def test_read_of_the_largest_size_is_an_error_of_this_version(any_impl):
    sock = ScriptedSocket(b"data")
    with pytest.raises(OverflowError if sys.version_info >= (3, 15) else MemoryError):
        any_impl.SocketIO(sock, "r").read(sys.maxsize)
    assert "recv_into" not in sock.calls


class Growing(ScriptedSocket):
    """Makes the bytearray that it is given longer, and says that all of it was filled."""

    keeps = False

    def recv_into(self, buf):
        buf.extend(b"x" * 100)
        if self.keeps:
            self.kept = memoryview(buf)
        return len(buf)


def test_buffer_that_the_sock_grows_does_not_make_a_read_longer(impl):
    with pytest.raises(ValueError):
        impl.SocketIO(Growing(), "r").read(10)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="3.15 takes the bytes out of the buffer")
def test_buffer_that_the_sock_keeps_exported_is_refused(any_impl):
    class Keeping(ScriptedSocket):
        def recv_into(self, buf):
            self.kept = memoryview(buf)
            return 3

    with pytest.raises(BufferError):
        any_impl.SocketIO(Keeping(), "r").read(10)


# --- Messages that are kept -----------------------------------------------------------------------


def measure():
    """(resident bytes, mappings) of this process."""
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    with open("/proc/self/maps") as maps:
        return resident, sum(1 for _ in maps)


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm") or PYPY or DEBUG,
    reason="measured in /proc, and without debug's padding",
)
@pytest.mark.parametrize(
    "size, messages", [(65536, 5000), (1 << 20, 3000), (1 << 24, 600), (None, 5000)]
)
def test_small_message_read_with_a_large_size_and_kept_costs_its_bytes(
    any_impl, unix_pair, size, messages
):
    ours, peer = unix_pair
    ours.setblocking(False)
    raw = any_impl.makefile(ours, "rb", 0)
    read = raw.readall if size is None else lambda: raw.read(size)
    kept = [None] * messages
    for number in range(20):  # what the first ones need for good
        peer.send(b"0123456789")
        read()
    before = measure()
    for number in range(messages):
        peer.send(b"0123456789")
        kept[number] = read()
    after = measure()
    assert kept == [b"0123456789"] * messages
    assert after[0] - before[0] < messages * 250 + 400000
    assert after[1] - before[1] < 50
