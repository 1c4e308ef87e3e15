"""The pure-Python twin by itself.

What no other test can reach through a stream, and what only Python code has to fear.
"""

import array
import ctypes
import errno
import platform
import select
import socket
import sys

import pytest

from backports.makefile import _fallback
from fakes import ScriptedSocket
from running import Worker

PY2 = sys.version_info[0] == 2
PYPY = platform.python_implementation() == "PyPy"


# --- Waiting --------------------------------------------------------------------------------------

@pytest.fixture(params=["poll", "select"])
def csocket(request, unix_pair, monkeypatch):
    """A C socket and its peer, on a machine that has a poll() and on one that has not."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll")
    ours, peer = unix_pair
    return ours, peer


def test_wait_for_bytes_when_there_are_some_is_over(csocket):
    ours, peer = csocket
    peer.send(b"x")
    assert _fallback.wait_until(_fallback.get_time() + 30, ours, writing=False) == _fallback.READY


def test_wait_for_room_when_there_is_some_is_over(csocket):
    ours, peer = csocket
    assert _fallback.wait_until(_fallback.get_time() + 30, ours, writing=True) in (
        _fallback.READY,
        select.POLLOUT,
    )


def test_wait_for_bytes_when_none_come_ends_with_the_deadline(csocket):
    ours, peer = csocket
    deadline = _fallback.get_time() + 0.02
    assert _fallback.wait_until(deadline, ours, writing=False) == 0
    assert _fallback.get_time() >= deadline


def test_wait_for_room_when_there_is_none_ends_with_the_deadline(csocket):
    ours, peer = csocket
    ours.setblocking(False)
    with pytest.raises(socket.error):
        while True:
            ours.send(b"x" * 65536)
    assert _fallback.wait_until(_fallback.get_time() + 0.02, ours, writing=True) == 0


def test_wait_when_the_deadline_has_passed_is_over_without_looking(csocket):
    ours, peer = csocket
    peer.send(b"x")
    assert _fallback.wait_until(_fallback.get_time() - 1, ours, writing=False) == 0


def test_wait_when_the_socket_is_closed_leaves_the_word_to_the_call_that_follows(csocket):
    ours, peer = csocket
    ours.close()
    assert _fallback.wait_until(_fallback.get_time() + 30, ours, writing=False) == _fallback.READY


@pytest.mark.parametrize("longest", [_fallback.MAX_WAIT_S, 0.001], ids=["at once", "in many parts"])
@pytest.mark.parametrize("timeout", [1e300, float("inf"), float("nan")])
def test_wait_as_long_as_only_a_float_can_say_is_a_wait(csocket, monkeypatch, timeout, longest):
    monkeypatch.setattr(_fallback, "MAX_WAIT_S", longest)
    ours, peer = csocket
    peer.send(b"x")
    assert (
        _fallback.wait_until(_fallback.get_time() + timeout, ours, writing=False) == _fallback.READY
    )


def test_wait_that_the_system_refuses_gives_its_error(csocket, monkeypatch):
    def refuse(*args):
        raise select.error(errno.ENOMEM, "refused")

    ours, peer = csocket
    monkeypatch.setattr(select, "poll" if hasattr(select, "poll") else "select", refuse)
    with pytest.raises(select.error) as caught:
        _fallback.wait_until(_fallback.get_time() + 30, ours, writing=False)
    assert caught.value.args[0] == errno.ENOMEM


@pytest.fixture
def cut_short(csocket, monkeypatch):
    """A function that makes (stream, peer) and ends a send after 3 bytes with an error."""
    def cut(number):
        ours, peer = csocket
        ours.settimeout(30)
        stream = _fallback.SocketIO(ours, "rw")

        def send(sock, data, *flags):
            if len(data) == 4:
                return 3
            raise socket.error(number, "as asked for")

        monkeypatch.setattr(_fallback, "SEND", send)
        assert _fallback.transfer_send(ours, b"data", stream) == 3
        monkeypatch.undo()
        return stream, peer

    return cut


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.ETIMEDOUT])
def test_error_that_is_told_once_and_ended_a_send_comes_after_the_data_that_is_there(
    cut_short, number
):
    stream, peer = cut_short(number)
    peer.send(b"more")
    assert stream.readinto(bytearray(0)) == 0
    assert stream.readinto(bytearray(4)) == 4
    with pytest.raises(socket.error) as caught:
        stream.readinto(bytearray(4))
    assert caught.value.errno == number
    if not stream._timeout_occurred:  # ETIMEDOUT is socket.timeout from 3.10 on
        peer.close()
        assert stream.readinto(bytearray(4)) == 0


def test_error_that_is_told_once_and_ended_a_send_comes_with_the_next_write(cut_short):
    stream, peer = cut_short(errno.ECONNRESET)
    with pytest.raises(TypeError):
        stream.write(5)
    with pytest.raises(socket.error) as caught:
        stream.write(b"data")
    assert caught.value.errno == errno.ECONNRESET
    assert stream.write(b"data") == 4


@pytest.mark.parametrize("timeout", [30, 0, None])
def test_error_that_is_told_once_comes_with_a_read_when_nothing_is_there(cut_short, timeout):
    stream, peer = cut_short(errno.ECONNRESET)
    stream._sock.settimeout(timeout)
    for no_buffer in 5, b"read only":
        with pytest.raises((TypeError, BufferError)):
            stream.readinto(no_buffer)
    with pytest.raises(socket.error) as caught:
        stream.readinto(bytearray(4))
    assert caught.value.errno == errno.ECONNRESET
    peer.send(b"more")
    assert stream.readinto(bytearray(4)) == 4


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOBUFS, errno.EBADF])
def test_error_that_is_told_each_time_and_ended_a_send_is_not_kept(cut_short, number):
    stream, peer = cut_short(number)
    peer.send(b"more")
    assert stream.readinto(bytearray(8)) == 4
    assert stream.write(b"data") == 4


def test_error_kept_for_a_socket_does_not_come_from_another(cut_short, closing):
    stream, peer = cut_short(errno.ECONNRESET)
    stream._sock, other = map(closing, socket.socketpair())
    other.send(b"more")
    assert stream.write(b"data") == 4
    assert stream.readinto(bytearray(8)) == 4


class Interrupted(ScriptedSocket):
    """Every call of it ends with EINTR, as 2.7's do under a timer's signals."""

    def __init__(self, timeout):
        ScriptedSocket.__init__(self)
        self.timeout = timeout

    def gettimeout(self):
        if self.timeout is None:
            raise AttributeError("no timeout is told")
        return self.timeout

    def recv_into(self, buf):
        self.calls.append("recv_into")
        if len(self.calls) == 100000:
            raise KeyError("enough")
        raise socket.error(errno.EINTR, "interrupted")

    send = recv_into


@pytest.mark.skipif(not PY2, reason="from 3.5 on EINTR of a delegated call comes through")
@pytest.mark.parametrize("name, argument", [("readinto", bytearray(3)), ("write", b"abc")])
def test_delegated_call_interrupted_again_and_again_ends_with_the_timeout_that_the_socket_tells(
    impl, name, argument
):
    sock = Interrupted(0.01)
    raw = impl.SocketIO(sock, "rw")
    with pytest.raises(socket.timeout):
        getattr(raw, name)(argument)
    assert len(sock.calls) > 1
    assert raw._timeout_occurred is (name == "readinto")


@pytest.mark.skipif(not PY2, reason="from 3.5 on EINTR of a delegated call comes through")
@pytest.mark.parametrize("timeout", [None, "no number"])
def test_delegated_call_interrupted_again_and_again_without_a_timeout_goes_on(impl, timeout):
    sock = Interrupted(timeout)
    with pytest.raises(KeyError):
        impl.SocketIO(sock, "r").readinto(bytearray(3))
    assert sock.calls.count("recv_into") == 100000


# --- The interpreter's own method -----------------------------------------------------------------

class Liar(object):
    """A callable that says it is bound to the socket."""

    def __init__(self, sock):
        self.__self__ = sock

    def __call__(self, data):
        return 1

    def __eq__(self, other):
        return True

    __hash__ = None


def test_method_of_the_socket_itself_is_its_own(unix_pair):
    ours, peer = unix_pair
    assert _fallback.find_csocket(ours.send, "send") is ours
    assert _fallback.find_csocket(ours.recv_into, "recv_into") is ours


def test_method_of_another_name_or_of_no_c_socket_is_not_its_own(unix_pair):
    ours, peer = unix_pair
    assert _fallback.find_csocket(ours.recv, "recv_into") is None
    assert _fallback.find_csocket(ours.recv_into, "send") is None
    assert _fallback.find_csocket([].append, "send") is None
    assert _fallback.find_csocket(ScriptedSocket().send, "send") is None
    assert _fallback.find_csocket(lambda data: 1, "send") is None
    assert _fallback.find_csocket(Liar(ours), "send") is None


# --- Buffers --------------------------------------------------------------------------------------

def make_buffers():
    """Buffers of several shapes, each with the bytes that are in it."""
    numbers = (ctypes.c_ushort * 3)(1, 2, 3)
    table = ((ctypes.c_ubyte * 2) * 3)((1, 2), (3, 4), (5, 6))
    yield b"bytes", b"bytes"
    yield bytearray(b"bytearray"), b"bytearray"
    yield memoryview(b"a view")[2:], b"view"
    yield array.array("H", [1, 2, 3]), bytes(bytearray(numbers))
    yield numbers, bytes(bytearray(numbers))
    yield table, bytes(bytearray(range(1, 7)))
    yield b"", b""
    if PY2:
        yield u"text", b"text"
        yield buffer(b"a buffer"), b"a buffer"  # noqa: F821
    else:
        yield memoryview(numbers).cast("B").cast("B", (2, 3)), bytes(numbers)


BUFFERS = list(make_buffers())
BUFFER_NAMES = [type(data).__name__ for data, expected in BUFFERS]


@pytest.mark.parametrize("data, expected", BUFFERS, ids=BUFFER_NAMES)
def test_write_of_any_buffer_sends_its_bytes_and_counts_them(impl, tcp_pair, data, expected):
    ours, peer = tcp_pair
    assert impl.SocketIO(ours, "w").write(data) == len(expected)
    peer.settimeout(30)
    assert (peer.recv(100) if expected else b"") == expected


def test_write_of_wide_items_that_goes_out_in_parts_sends_each_byte_once(impl, tcp_pair):
    ours, peer = tcp_pair
    ours.settimeout(30)  # so that send() takes what there is room for
    data = array.array("H", range(65536)) * 64
    expected = data.tobytes() if hasattr(data, "tobytes") else data.tostring()

    def receive_all():
        received = b"".join(iter(lambda: peer.recv(1 << 20), b""))
        assert received == expected

    receiver = Worker(receive_all)
    raw = impl.SocketIO(ours, "w")
    sent = raw.write(data)
    if PY2:  # its sockets take an array, but nobody can cut one there
        sent += raw.write(buffer(expected, sent)) if sent < len(expected) else 0  # noqa: F821
    assert sent == len(expected)
    ours.shutdown(socket.SHUT_WR)
    receiver.get()


@pytest.mark.skipif(PY2, reason="2.7's memoryview is always contiguous")
@pytest.mark.skipif(PYPY, reason="PyPy's sockets take it")
@pytest.mark.parametrize(
    "data", [b"\1\2\3\4", array.array("H", [1, 2, 3, 4])], ids=["bytes", "wide items"]
)
def test_write_of_a_buffer_with_gaps_is_the_buffer_error_of_the_socket(any_impl, tcp_pair, data):
    ours, peer = tcp_pair
    with pytest.raises(BufferError):
        any_impl.SocketIO(ours, "w").write(memoryview(data)[::2])
    ours.shutdown(socket.SHUT_WR)
    assert peer.recv(100) == b""


class SendallSocket(object):
    """What urllib3's WrappedSocket is to a writer: it has no `send`."""

    def __init__(self, error=None):
        self.sent = []
        self.error = error
        self._makefile_refs = 0

    def sendall(self, data):
        self.sent.append(data)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("data, expected", BUFFERS, ids=BUFFER_NAMES)
def test_write_without_send_of_any_buffer_counts_its_bytes(impl, data, expected):
    sock = SendallSocket()
    assert impl.SocketIO(sock, "w").write(data) == len(expected)
    assert sock.sent[0] is data


def test_write_without_send_of_no_buffer_gives_the_word_of_sendall(impl):
    error = KeyError("no buffer")
    sock = SendallSocket(error)
    with pytest.raises(KeyError) as caught:
        impl.SocketIO(sock, "w").write(5)
    assert caught.value is error
    assert sock.sent == [5]


def test_write_without_send_of_no_buffer_that_sendall_takes_is_a_type_error(impl):
    sock = SendallSocket()
    with pytest.raises(TypeError):
        impl.SocketIO(sock, "w").write(5)
    assert sock.sent == [5]


def test_write_that_fails_leaves_the_bytearray_free_while_the_error_is_kept(impl, unix_pair):
    ours, peer = unix_pair
    peer.close()
    data = bytearray(b"x" * 100)
    with pytest.raises(socket.error) as caught:
        impl.SocketIO(ours, "w").write(data)
    data.extend(b"more")
    assert caught.value.args[0] == errno.EPIPE


@pytest.mark.skipif(hasattr(bytearray, "take_bytes"), reason="3.15 has it")
def test_read_takes_the_bytes_out_of_the_buffer_where_that_can_be_done(monkeypatch):
    taken = []

    class Buffer(bytearray):
        def take_bytes(self, count):
            taken.append(count)
            return bytes(self[:count])

    monkeypatch.setattr(_fallback, "TAKES_BYTES", True)
    monkeypatch.setattr(_fallback, "bytearray", Buffer, raising=False)
    raw = _fallback.SocketIO(ScriptedSocket(b"spam" * 5000), "r")
    assert raw.read(4) == b"spam"
    assert raw.read(19996) == b"spam" * 4999
    assert taken == [4, 19996]


# --- Socket objects that lie ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "count", [-1, -sys.maxsize - 1, 4, 1 << 30, sys.maxsize, sys.maxsize + 1, 10**30, -(10**30)]
)
@pytest.mark.parametrize("name", ["read", "readall", "readline"])
def test_count_outside_the_buffer_is_a_value_error_and_nothing_is_read(impl, name, count):
    sock = ScriptedSocket(lambda: count if sock.requests[-1] <= 3 else count * sock.requests[-1])
    raw = impl.SocketIO(sock, "r")
    with pytest.raises(ValueError):
        raw.read(3) if name == "read" else getattr(raw, name)()


@pytest.mark.skipif(PYPY, reason="PyPy's own cuts any count down to the size of the buffer")
@pytest.mark.parametrize("count", [sys.maxsize + 1, 10 ** 30, -10 ** 30])
def test_count_beyond_any_size_is_the_value_error_of_the_interpreter(any_impl, count):
    with pytest.raises(ValueError) as caught:
        any_impl.SocketIO(ScriptedSocket(lambda: count), "r").read(3)
    assert str(caught.value) == "cannot fit %r into an index-sized integer" % type(count).__name__


@pytest.mark.parametrize("count", ["3", 2.5, b"", object()])
def test_count_that_is_no_number_is_a_type_error(any_impl, count):
    with pytest.raises(TypeError):
        any_impl.SocketIO(ScriptedSocket(lambda: count), "r").read(3)


def test_buffer_that_the_socket_shrinks_is_not_read_past_its_end(impl):
    class Shrinking(ScriptedSocket):
        def recv_into(self, buf):
            del buf[1:]
            return 3

    with pytest.raises(ValueError):
        impl.SocketIO(Shrinking(), "r").read(3)


# --- Counting -------------------------------------------------------------------------------------

def test_failed_makefile_when_the_counter_refuses_tells_what_failed_first(impl):
    class Stubborn(object):
        """Counts up, and never down."""

        count = 0

        @property
        def _makefile_refs(self):
            return self.count

        @_makefile_refs.setter
        def _makefile_refs(self, count):
            if count < self.count:
                raise KeyError("never down")
            self.count = count

    with pytest.raises(ValueError) as caught:
        impl.makefile(Stubborn(), "r", 0)
    assert str(caught.value) == "unbuffered streams must be binary"


def test_close_while_another_close_gives_the_reference_back_gives_none(monkeypatch):
    sock = ScriptedSocket()
    raw = _fallback.SocketIO(sock, "r")
    # what a thread sees that looked at `closed` before the other one set it
    monkeypatch.setattr(_fallback.SocketIO, "closed", False)
    raw.close()
    raw._sock = sock
    raw.close()
    assert sock.calls == ["_decref_socketios"]


def test_subclass_that_calls_no_init_gives_its_reference_back(any_impl):
    class Own(any_impl.SocketIO):
        def __init__(self, sock):
            self._sock = sock

    sock = ScriptedSocket()
    Own(sock).close()
    assert sock.calls == ["_decref_socketios"]


# --- The end of the interpreter -------------------------------------------------------------------

def test_flush_when_the_module_has_been_emptied_still_sends(monkeypatch, tcp_pair):
    ours, peer = tcp_pair
    stream = _fallback.backport_makefile(ours, "w", encoding="ascii")
    stream.write(u"last words")
    for name in list(vars(_fallback)):
        if name != "__builtins__":
            monkeypatch.setattr(_fallback, name, None)
    stream.close()
    monkeypatch.undo()
    peer.settimeout(30)
    assert peer.recv(100) == b"last words"
    if not PY2:
        assert ours._io_refs == 0


EXIT_SCRIPT = """
import os, socket, sys
sys.listener = listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1)
ours = socket.create_connection(listener.getsockname())
sys.peer = listener.accept()[0]
stream = makefile(ours, %r)
stream.write(%r)

class Witness(object):
    # It looks at what came when it dies, after the stream.
    def __init__(self, peer):
        self.recv, self.write = peer.recv, os.write
        peer.settimeout(30)

    def __del__(self):
        self.write(1, self.recv(100))

class Keeper(object):
    def __init__(self, stream, witness):
        self.stream, self.witness = stream, witness

    def __del__(self):
        del self.stream
        del self.witness

%s
ours.close()
del stream, ours
"""


@pytest.mark.skipif(PYPY, reason="PyPy finalises nothing at exit")
@pytest.mark.parametrize("place", ["sys.keeper", "socket.keeper", "import io; io.keeper"])
@pytest.mark.parametrize("mode, text", [("wb", b"last words"), ("w", u"last words")])
def test_writer_open_at_exit_that_dies_after_its_module_is_flushed(
    impl, run_script, place, mode, text
):
    # the interpreter's own is flushed as well, but its close() then misses the names of its module
    keep = "%s = Keeper(stream, Witness(sys.peer))" % place
    assert run_script(impl, EXIT_SCRIPT % (mode, text, keep)) == "last words"


# --- Living together ------------------------------------------------------------------------------

@pytest.mark.skipif(PY2, reason="2.7 has no socket.SocketIO")
def test_twin_loaded_after_the_other_was_installed_works(run_script, impl):
    script = """
import socket, sys
socket.SocketIO = SocketIO
import importlib
sys.modules.pop("backports.makefile._fallback", None)
fallback = importlib.import_module("backports.makefile._fallback")
ours, peer = socket.socketpair()
with ours, peer, fallback.backport_makefile(ours, "rb") as stream:
    peer.send(b"line\\n")
    print(stream.readline())
"""
    assert run_script(impl, script) == "b'line\\n'\n"


@pytest.mark.skipif(PY2, reason="2.7 has no casts")
def test_view_of_large_items_is_one_datagram(any_impl, closing):
    ours, peer = map(closing, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    ours.settimeout(30)
    view = memoryview(bytearray(range(64))).cast("I")
    assert any_impl.SocketIO(ours, "w").write(view) == 64
    peer.setblocking(False)
    assert peer.recv(100) == bytes(bytearray(range(64)))
    with pytest.raises(EnvironmentError):
        peer.recv(100)


@pytest.mark.skipif(not PYPY, reason="only PyPy's sockets send it, up to 3.9")
def test_count_of_a_strided_view_of_which_a_part_is_sent_is_told(any_impl, closing):
    ours, peer = map(closing, socket.socketpair())
    ours.settimeout(0.1)
    try:
        count = any_impl.SocketIO(ours, "w").write(memoryview(bytes(1 << 22))[::2])
    except BufferError:
        return
    assert 0 < count < 1 << 21
