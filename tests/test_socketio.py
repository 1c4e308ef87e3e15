"""Contract section 3: the raw stream, SocketIO."""
import _pyio
import array
import copy
import errno
import gc
import io
import pickle
import platform
import socket
import sys
import sysconfig
import threading
import weakref

try:
    from unittest import mock
except ImportError:
    import mock

import pytest
from hypothesis import given, settings, strategies as st

from fakes import ScriptedSocket, collect_garbage
from running import get_examples, get_outcome

PY2 = sys.version_info < (3,)
# What a stream of the wrong direction raises.
WrongDirection = IOError if PY2 else io.UnsupportedOperation
CLOSED_SOCKET = "I/O operation on closed socket."
CLOSED_FILE = "I/O operation on closed file."
NOT_READABLE = "File or stream is not readable."
NOT_WRITABLE = "File or stream is not writable."
POISONED = "cannot read from timed out object"
PYPY = platform.python_implementation() == "PyPy"
if PYPY:  # whose io ends these without the full stop
    CLOSED_FILE, NOT_READABLE, NOT_WRITABLE = [
        text.rstrip(".") for text in (CLOSED_FILE, NOT_READABLE, NOT_WRITABLE)
    ]
# The stdlib's socket class that takes part in the reference protocol by itself and may be
# subclassed with a __dict__.
BaseSocket = socket._socket.socket if PY2 else socket.socket


# The interpreter's own stream, from 3.13 on, complains when it is finalised after an __init__ that
# failed.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.SocketIO")


class PlainSocket(BaseSocket):
    """A real socket whose methods can be replaced on the instance."""


@pytest.fixture
def plain_pair(closing):
    """Two connected sockets, (PlainSocket, peer)."""
    listener = closing(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    ours = closing(PlainSocket(socket.AF_INET, socket.SOCK_STREAM))
    ours.connect(listener.getsockname())
    return ours, closing(listener.accept()[0])


def catch(function, *args):
    """The (type, text) of what the call raises."""
    with pytest.raises(Exception) as caught:
        function(*args)
    return type(caught.value), str(caught.value)


# Construction


@pytest.mark.parametrize("mode", ["r", "w", "rw", "rb", "wb", "rwb"])
def test_init_with_one_of_the_six_modes_sets_every_attribute(any_impl, mode):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, mode)
    assert raw._sock is sock
    assert raw.mode == raw._mode == mode.replace("b", "") + "b"
    assert raw.readable() is raw._reading is ("r" in mode)
    assert raw.writable() is raw._writing is ("w" in mode)
    assert raw._timeout_occurred is False
    assert raw.closed is False


@pytest.mark.parametrize(
    "mode",
    ["", "b", "wr", "br", "bw", "rbw", "rr", "R", "x", "r+", "rt", "rwbb", None, 5, ["r"], 2.5],
)
def test_init_with_another_mode_refused_with_its_repr(any_impl, mode):
    sock = ScriptedSocket()
    assert catch(any_impl.SocketIO, sock, mode) == (ValueError, "invalid mode: %r" % (mode,))
    assert sock._io_refs == 0


@pytest.mark.skipif(PY2, reason="bytes is str on 2.7")
def test_init_with_a_mode_of_bytes_refused(any_impl):
    assert catch(any_impl.SocketIO, ScriptedSocket(), b"r") == (ValueError, "invalid mode: b'r'")


def test_init_any_text_is_a_mode_only_if_it_is_one_of_the_six(any_impl):
    @settings(max_examples=get_examples(200), deadline=None)
    @given(st.one_of(st.text("rwb", max_size=4), st.text(max_size=4)))
    def check(mode):
        if mode in ("r", "w", "rw", "rb", "wb", "rwb"):
            raw = any_impl.SocketIO(ScriptedSocket(), mode)
            assert raw.mode == mode.replace("b", "") + "b"
        else:
            assert catch(any_impl.SocketIO, ScriptedSocket(), mode) == (
                ValueError,
                "invalid mode: %r" % (mode,),
            )

    check()


def test_init_takes_its_arguments_by_keyword(any_impl):
    sock = ScriptedSocket()
    for raw in (any_impl.SocketIO(sock=sock, mode="w"), any_impl.SocketIO(sock, mode="w")):
        assert (raw._sock, raw.mode) == (sock, "wb")


@pytest.mark.parametrize(
    "args, kwargs",
    [((), {}), ((None,), {}), ((None, "r", 3), {}), ((None, "r"), {"x": 1})],
    ids=repr,
)
def test_init_with_too_few_too_many_or_unknown_arguments_refused(any_impl, args, kwargs):
    with pytest.raises(TypeError):
        any_impl.SocketIO(*args, **kwargs)


def test_init_does_not_touch_the_socket(any_impl):
    sock = object()  # which has no attribute at all, the counter included
    raw = any_impl.SocketIO(sock, "r")
    assert raw._sock is sock
    raw._sock = ScriptedSocket()
    counted = ScriptedSocket()
    raw = any_impl.SocketIO(counted, "rw")
    assert (counted._io_refs, counted.calls) == (0, [])
    del raw


def test_init_of_a_subclass_may_have_another_signature(any_impl):
    class Tagged(any_impl.SocketIO):
        def __init__(self, tag, wait, **options):
            super(Tagged, self).__init__(options["sock"], "r")
            self.tag = tag

    raw = Tagged("a tag", 5, sock=ScriptedSocket(b"spam"))
    assert (raw.tag, raw.mode, raw.read(4)) == ("a tag", "rb", b"spam")


def test_init_again_resets_everything_but_closed(any_impl):
    first, second = ScriptedSocket(), ScriptedSocket(b"spam")
    raw = any_impl.SocketIO(first, "w")
    raw._timeout_occurred = True
    raw.__init__(second, "r")
    assert (raw._sock, raw.mode, raw.readable(), raw.writable(), raw._timeout_occurred) == (
        second, "rb", True, False, False,
    )
    assert raw.read(4) == b"spam"
    assert first.calls == []
    raw.close()
    raw.__init__(first, "r")
    assert raw.closed
    assert raw._sock is first


def test_init_again_of_a_stream_from_makefile_releases_the_new_socket(any_impl):
    first, second = ScriptedSocket(), ScriptedSocket()
    raw = any_impl.makefile(first, "rb", 0)
    raw.__init__(second, "r")
    raw.close()
    assert (first._io_refs, first.calls) == (1, [])
    assert second.calls == ["_decref_socketios"]


def test_init_again_with_a_bad_mode_changes_nothing(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "w")
    with pytest.raises(ValueError):
        raw.__init__(ScriptedSocket(), "x")
    assert (raw._sock, raw.mode, raw.writable()) == (sock, "wb", True)


def test_new_takes_any_arguments_and_makes_a_stream_that_is_open_and_unusable(any_impl):
    raw = any_impl.SocketIO.__new__(any_impl.SocketIO, 1, 2, 3, four=5)
    assert raw.closed is False
    for name, attribute in (("readable", "_reading"), ("writable", "_writing")):
        error, text = catch(getattr(raw, name))
        assert error is AttributeError
        assert text.endswith("SocketIO' object has no attribute '%s'" % attribute)
    assert "SocketIO object at" in repr(raw)
    raw.__init__(ScriptedSocket(b"spam"), "r")
    assert raw.read(4) == b"spam"


UNINITIALISED_SCRIPT = """
import gc

class Careless(SocketIO):
    def __init__(self):
        pass

for cls in (SocketIO, Careless):
    raw = cls.__new__(cls)
    cycle = cls.__new__(cls)
    cycle.me = cycle
    del raw, cycle
gc.collect()
kept = Careless()
print("quiet")
"""


def test_new_without_init_is_finalised_silently(impl, run_script):
    # Dev mode shows what finalisers raise.
    options = [] if sys.version_info < (3, 7) else ["-X", "dev"]
    assert run_script(impl, UNINITIALISED_SCRIPT, *options) == "quiet\n"


# Attributes


def test_type_is_a_raw_stream_and_the_interpreters_own(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    assert isinstance(raw, io.RawIOBase)
    assert issubclass(any_impl.SocketIO, io.RawIOBase)
    assert any_impl.SocketIO.__name__ == "SocketIO"
    if not PY2:
        assert isinstance(raw, socket.SocketIO)
        assert issubclass(any_impl.SocketIO, socket.SocketIO)


def test_type_has_no_method_that_passes_it_for_a_socket(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "rw")
    for name in ("sock", "recv", "recv_into", "send", "sendall"):
        assert not hasattr(raw, name), name
        assert not hasattr(any_impl.SocketIO, name), name


@pytest.mark.parametrize("name", ["mode", "name", "closed"])
def test_attribute_read_only_refuses_to_be_set_or_deleted(any_impl, name):
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    before = getattr(raw, name)
    with pytest.raises(AttributeError):
        setattr(raw, name, before)
    with pytest.raises(AttributeError):
        delattr(raw, name)
    assert getattr(raw, name) == before


def test_name_is_what_fileno_gives_now_and_minus_one_when_closed(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "r")
    for number in (0, 7, -1, "an odd answer"):
        sock.fileno = lambda: number
        assert raw.fileno() is raw.name is number
    raw.close()
    assert raw.name == -1


def test_name_lets_the_error_of_fileno_out(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "r")

    def fail():
        raise KeyError("fileno")

    sock.fileno = fail
    with pytest.raises(KeyError):
        raw.name
    with pytest.raises(KeyError):
        raw.fileno()


def test_fileno_of_a_real_socket_follows_it(any_impl, unix_pair):
    ours, peer = unix_pair
    raw = any_impl.SocketIO(ours, "r")
    assert raw.fileno() == raw.name == ours.fileno()
    ours.close()
    assert PY2 or raw.fileno() == raw.name == -1


def test_sock_is_the_object_given_until_close_and_then_none(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "r")
    assert raw._sock is sock
    raw.close()
    assert raw._sock is None


def test_sock_of_a_real_socket_is_the_python_object(any_impl, tcp_pair):
    ours, peer = tcp_pair
    raw = any_impl.SocketIO(ours, "r")
    assert raw._sock is ours
    raw.close()
    assert raw._sock is None


def test_sock_replaced_is_the_one_that_is_used(any_impl):
    first, second = ScriptedSocket(b"spam"), ScriptedSocket(b"eggs")
    raw = any_impl.SocketIO(first, "rw")
    raw._sock = second
    second.fileno = lambda: 77
    assert raw.read(4) == b"eggs"
    assert raw.write(b"ham") == 3
    assert raw.fileno() == raw.name == 77
    raw.close()
    assert second.sent == [b"ham"]
    assert "_decref_socketios" in second.calls
    assert first.calls == []


def test_sock_replaced_by_none_gives_an_attribute_error(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "rw")
    raw._sock = None
    assert catch(raw.readinto, bytearray(1)) == (
        AttributeError,
        "'NoneType' object has no attribute 'recv_into'",
    )
    with pytest.raises(AttributeError):
        raw.fileno()
    raw._sock = ScriptedSocket()


def test_reading_and_writing_set_by_hand_change_what_the_stream_does(any_impl):
    sock = ScriptedSocket(b"spam")
    raw = any_impl.SocketIO(sock, "r")
    raw._writing = True
    assert raw.writable() is True
    assert raw.write(b"eggs") == 4
    raw._reading = False
    assert raw.readable() is False
    assert catch(raw.read, 4) == (WrongDirection, NOT_READABLE)
    raw._reading = True
    assert raw.read(4) == b"spam"


@pytest.mark.parametrize("value", [1, 0, "yes", None, [True]], ids=repr)
def test_reading_and_writing_hold_any_object_but_only_true_itself_passes(any_impl, value):
    raw = any_impl.SocketIO(ScriptedSocket(b"spam"), "rw")
    raw._reading = raw._writing = value
    assert raw.readable() is value
    assert raw.writable() is value
    assert raw._reading is raw._writing is value
    if PYPY and value:
        return  # for its io whatever is true passes
    for function, argument in ((raw.readinto, bytearray(1)), (raw.read, 1)):
        assert catch(function, argument) == (WrongDirection, NOT_READABLE)
    assert catch(raw.write, b"x") == (WrongDirection, NOT_WRITABLE)


@pytest.mark.parametrize("value", [True, 1, "yes"])
def test_timeout_occurred_set_by_hand_poisons_reads_until_it_is_unset(any_impl, value):
    sock = ScriptedSocket(b"spam")
    raw = any_impl.SocketIO(sock, "rw")
    raw._timeout_occurred = value
    assert raw._timeout_occurred is value
    for function, args in ((raw.readinto, (bytearray(4),)), (raw.read, (4,)), (raw.readall, ()),
                           (raw.readline, ())):
        assert catch(function, *args) == (IOError if PY2 else OSError, POISONED)
    assert raw.write(b"x") == 1
    raw._timeout_occurred = 0
    assert raw.read(4) == b"spam"


def test_mode_attribute_set_by_hand_is_what_mode_gives(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    raw._mode = "mine"
    assert raw.mode == "mine"


def test_attribute_of_ones_own_is_kept(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    raw._response = response = object()
    assert raw._response is response
    assert PY2 or raw.__dict__["_response"] is response  # on 2.7 no stream shows its dict
    del raw._response
    assert not hasattr(raw, "_response")


def test_weakref_lives_as_long_as_the_stream(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    dead = []
    reference = weakref.ref(raw, dead.append)
    assert reference() is raw
    del raw
    collect_garbage()
    assert reference() is None
    assert PYPY or dead == [reference]  # PyPy calls back when it has time


# Somebody else's buffers


def test_pyio_reader_reads_through_it(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(b"spam\nand eggs\n", b"and ", b"ham"), "r")
    reader = _pyio.BufferedReader(raw)
    assert reader.readline() == b"spam\n"
    assert reader.peek(1)[:3] == b"and"
    assert reader.read(4) == b"and "
    assert reader.read() == b"eggs\nand ham"


def test_pyio_text_reads_through_it(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(u"sp\xe4m\r\n".encode("utf-8"), b"eggs"), "r")
    text = _pyio.TextIOWrapper(_pyio.BufferedReader(raw), encoding="utf-8")
    assert text.readline() == u"sp\xe4m\n"
    assert text.read() == u"eggs"


def test_pyio_writer_and_pair_write_through_it(any_impl):
    for make in (_pyio.BufferedWriter, lambda raw: _pyio.BufferedRWPair(raw, raw)):
        sock = ScriptedSocket()
        raw = any_impl.SocketIO(sock, "rw")
        buffer = make(raw)
        buffer.write(b"spam")
        assert sock.sent == []
        buffer.flush()
        assert sock.sent == [b"spam"]
        buffer.write(b"eggs")
        buffer.close()
        assert sock.sent == [b"spam", b"eggs"]
        assert raw.closed


def test_pyio_writer_over_a_real_socket_carries_every_byte(any_impl, tcp_pair):
    ours, peer = tcp_pair
    data = bytes(bytearray(range(256))) * 4000
    received = []

    def receive():
        part = peer.recv(65536)
        while part:
            received.append(part)
            part = peer.recv(65536)

    thread = threading.Thread(target=receive)
    thread.start()
    writer = _pyio.BufferedWriter(any_impl.SocketIO(ours, "w"), 1000)
    for start in range(0, len(data), 777):
        writer.write(data[start:start + 777])
    writer.flush()
    writer.raw.write(b"past the buffer")
    writer.close()
    ours.close()
    thread.join()
    assert b"".join(received) == data + b"past the buffer"


# Subclasses and what they override


class Lines(object):
    """A readinto() that gives two lines, nine bytes in all, from no socket."""

    def __init__(self):
        self.data = b"spam\neggs"

    def __call__(self, buffer):
        size = min(len(buffer), len(self.data))
        buffer[:size] = self.data[:size]
        self.data = self.data[size:]
        return size


def read_into(stream):
    buffer = bytearray(9)
    size = stream.readinto(buffer)
    return bytes(buffer[:size])


READERS = {
    "read": (lambda raw: raw.read(4), b"spam"),
    "read to the end": (lambda raw: raw.read(), b"spam\neggs"),
    "read minus one": (lambda raw: raw.read(-1), b"spam\neggs"),
    "readall": (lambda raw: raw.readall(), b"spam\neggs"),
    "readinto": (read_into, b"spam\neggs"),
    "readline": (lambda raw: raw.readline(), b"spam\n"),
    "readline with a limit": (lambda raw: raw.readline(2), b"sp"),
    "readlines": (lambda raw: raw.readlines(), [b"spam\n", b"eggs"]),
    "iteration": (lambda raw: list(raw), [b"spam\n", b"eggs"]),
    "next": (lambda raw: next(raw), b"spam\n"),
    "buffered read": (lambda raw: io.BufferedReader(raw).read(4), b"spam"),
    "buffered read to the end": (lambda raw: io.BufferedReader(raw).read(), b"spam\neggs"),
    "buffered read1": (lambda raw: io.BufferedReader(raw).read1(4), b"spam"),
    "buffered readinto": (lambda raw: read_into(io.BufferedReader(raw)), b"spam\neggs"),
    "buffered readline": (lambda raw: io.BufferedReader(raw).readline(), b"spam\n"),
    "buffered peek": (lambda raw: io.BufferedReader(raw).peek(1), b"spam\neggs"),
    "pair read": (lambda raw: io.BufferedRWPair(raw, ScriptedWriter()).read(4), b"spam"),
    "text read": (
        lambda raw: io.TextIOWrapper(io.BufferedReader(raw), "ascii").read(),
        u"spam\neggs",
    ),
}


class ScriptedWriter(io.RawIOBase):
    def writable(self):
        return True


each_reader = pytest.mark.parametrize(
    "read, expected", [READERS[k] for k in sorted(READERS)], ids=sorted(READERS)
)


@each_reader
def test_override_of_readinto_in_a_subclass_feeds_every_read(any_impl, read, expected):
    class Raw(any_impl.SocketIO):
        def readinto(self, buffer):
            return self.lines(buffer)

    sock = ScriptedSocket(b"from the socket")
    raw = Raw(sock, "r")
    raw.lines = Lines()
    assert read(raw) == expected
    assert sock.requests == []


@each_reader
def test_override_of_readinto_on_the_instance_feeds_every_read_until_removed(
    any_impl, read, expected
):
    sock = ScriptedSocket(b"from the socket")
    raw = any_impl.SocketIO(sock, "r")
    raw.readinto = Lines()
    assert read(raw) == expected
    assert sock.requests == []
    if not raw.closed:  # a buffer that died has closed it
        del raw.readinto
        assert raw.read(15) == b"from the socket"


@each_reader
def test_override_of_readinto_by_mock_patch_feeds_every_read_until_removed(
    any_impl, read, expected
):
    class Raw(any_impl.SocketIO):
        pass

    sock = ScriptedSocket(b"from the socket")
    raw = Raw(sock, "r")
    with mock.patch.object(Raw, "readinto", Lines()):
        assert read(raw) == expected
        assert sock.requests == []
    if not raw.closed:
        assert raw.read(15) == b"from the socket"


@each_reader
def test_override_of_readinto_patched_on_the_type_itself_feeds_every_read(any_impl, read, expected):
    if PY2 and any_impl.name == "c":
        pytest.skip("attributes of a static type, which is all that 2.7 has for C, cannot be set")
    sock = ScriptedSocket(b"from the socket")
    raw = any_impl.SocketIO(sock, "r")
    with mock.patch.object(any_impl.SocketIO, "readinto", Lines()):
        assert read(raw) == expected
        assert sock.requests == []
    if not raw.closed:
        assert raw.read(15) == b"from the socket"


@pytest.mark.parametrize(
    "write",
    [
        lambda raw: raw.writelines([b"spam", b"eggs"]),
        lambda raw: io.BufferedWriter(raw).writelines([b"spam", b"eggs"]),
        lambda raw: io.BufferedRWPair(ScriptedReader(), raw).write(b"spameggs"),
        lambda raw: io.TextIOWrapper(io.BufferedWriter(raw)).write(u"spameggs"),
    ],
    ids=["writelines", "buffered", "pair", "text"],
)
def test_override_of_write_takes_every_write(any_impl, write):
    class Raw(any_impl.SocketIO):
        def write(self, data):
            taken.append(bytes(bytearray(data)))
            return len(data)

    taken = []
    sock = ScriptedSocket()
    write(Raw(sock, "rw"))
    collect_garbage()
    assert b"".join(taken) == b"spameggs"
    assert sock.sent == []

    del taken[:]
    raw = any_impl.SocketIO(sock, "rw")
    raw.write = lambda data: taken.append(bytes(bytearray(data))) or len(data)
    write(raw)
    collect_garbage()
    assert b"".join(taken) == b"spameggs"
    assert sock.sent == []


class ScriptedReader(io.RawIOBase):
    def readable(self):
        return True


def leave_with(raw):
    with raw:
        pass


def let_die(raw):
    pass


@pytest.mark.parametrize(
    "end",
    [
        leave_with,
        lambda raw: io.BufferedReader(raw).close(),
        lambda raw: io.BufferedWriter(raw).close(),
        lambda raw: io.TextIOWrapper(io.BufferedReader(raw)).close(),
        let_die,
    ],
    ids=["with", "reader", "writer", "text", "death"],
)
def test_override_of_close_is_what_every_end_calls(any_impl, end):
    class Raw(any_impl.SocketIO):
        def close(self):
            if not self.closed:
                closes.append(1)
            super(Raw, self).close()

    closes = []
    sock = ScriptedSocket()
    end(Raw(sock, "rw"))
    collect_garbage()
    assert closes == [1]
    assert sock.calls.count("_decref_socketios") == 1


@pytest.mark.parametrize(
    "end",
    [leave_with, lambda raw: io.BufferedReader(raw).close(), let_die],
    ids=["with", "reader", "death"],
)
def test_override_of_close_on_the_instance_is_what_every_end_calls(any_impl, end):
    closes = []
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "r")
    raw.close = lambda: closes.append(1)
    end(raw)
    assert bool(closes) is (end is not let_die)
    del raw
    collect_garbage()
    assert closes
    assert sock.calls == []


def test_override_of_flush_is_called_once_by_close_before_the_reference_goes(any_impl):
    class Raw(any_impl.SocketIO):
        def flush(self):
            sock.calls.append("flush")
            assert not self.closed
            super(Raw, self).flush()

    sock = ScriptedSocket()
    raw = Raw(sock, "w")
    raw.close()
    assert sock.calls == ["flush", "_decref_socketios"]
    raw.close()
    assert sock.calls == ["flush", "_decref_socketios"]


def test_override_of_flush_on_the_instance_is_called_by_close(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "w")
    raw.flush = lambda: sock.calls.append("flush")
    raw.close()
    assert sock.calls == ["flush", "_decref_socketios"]


@pytest.mark.parametrize("answer, works", [(True, True), (False, False), (1, PYPY), (None, False)])
def test_override_of_readable_and_writable_decides_the_direction(any_impl, answer, works):
    class Raw(any_impl.SocketIO):
        def readable(self):
            return answer

        def writable(self):
            return answer

    reading, writing = Raw(ScriptedSocket(b"spam\n", b"eggs"), "w"), Raw(ScriptedSocket(), "r")
    if works:
        assert reading.readinto(bytearray(1)) == 1
        assert (reading.read(2), reading.readline(), reading.readall()) == (b"pa", b"m\n", b"eggs")
        assert io.BufferedReader(reading).read() == b""
        assert writing.write(b"spam") == 4
        writing.writelines([b"eggs"])
        assert writing._sock.sent == [b"spam", b"eggs"]
    else:
        for function, args in (
            (reading.readinto, (bytearray(1),)),
            (reading.read, (1,)),
            (reading.readall, ()),
            (reading.readline, ()),
            (io.BufferedReader, (reading,)),
        ):
            assert catch(function, *args) == (WrongDirection, NOT_READABLE)
        for function, args in (
            (writing.write, (b"x",)),
            (writing.writelines, ([b"x"],)),
            (io.BufferedWriter, (writing,)),
        ):
            assert catch(function, *args) == (WrongDirection, NOT_WRITABLE)


def test_override_of_readable_on_the_instance_decides_the_direction(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(b"spam"), "r")
    raw.readable = lambda: False
    assert catch(raw.read, 4) == (WrongDirection, NOT_READABLE)
    del raw.readable
    assert raw.read(4) == b"spam"
    raw.writable = lambda: True
    assert raw.write(b"x") == 1


def test_override_of_readable_that_raises_lets_its_error_out(any_impl):
    class Raw(any_impl.SocketIO):
        def readable(self):
            raise KeyError("readable")

    for function, args in (("readinto", (bytearray(1),)), ("read", (1,)), ("readline", ())):
        assert catch(getattr(Raw(ScriptedSocket(), "r"), function), *args)[0] is KeyError


# What each method says on a closed stream: (name, arguments, text of the ValueError).
CLOSED = [
    ("readable", (), CLOSED_SOCKET),
    ("writable", (), CLOSED_SOCKET),
    ("seekable", (), CLOSED_SOCKET),
    ("fileno", (), CLOSED_FILE),
    ("isatty", (), CLOSED_FILE),
    ("readinto", (bytearray(1),), CLOSED_FILE),
    ("readinto", (bytearray(0),), CLOSED_FILE),
    ("read", (), CLOSED_FILE),
    ("read", (0,), CLOSED_FILE),
    ("read", (5,), CLOSED_FILE),
    ("readall", (), CLOSED_FILE),
    ("readline", (), CLOSED_FILE),
    ("readline", (5,), CLOSED_FILE),
    ("readlines", (), CLOSED_FILE),
    ("write", (b"x",), CLOSED_FILE),
    ("write", (b"",), CLOSED_FILE),
    ("writelines", ([],), CLOSED_FILE),
    ("writelines", ([b"x"],), CLOSED_FILE),
    ("__enter__", (), CLOSED_FILE),
    ("__iter__", (), CLOSED_FILE),
    ("next" if PY2 else "__next__", (), CLOSED_FILE),
]
each_closed = pytest.mark.parametrize(
    "name, args, text", CLOSED, ids=["%s%r" % case[:2] for case in CLOSED]
)


@each_closed
def test_override_of_closed_is_believed_by_every_method(any_impl, name, args, text):
    class Raw(any_impl.SocketIO):
        shut = True

        @property
        def closed(self):
            return self.shut

    sock = ScriptedSocket(b"spam", b"eggs")
    raw = Raw(sock, "rw")
    assert catch(getattr(raw, name), *args) == (ValueError, text)
    raw.close()
    assert raw.name == -1
    assert sock.calls == []
    raw.shut = False
    assert raw.read(4) == b"spam"
    raw.close()
    assert sock.calls[-1] == "_decref_socketios"
    raw.shut = True  # lest its finalizer closes it again


def test_override_of_sock_is_the_one_that_every_method_uses(any_impl):
    class Raw(any_impl.SocketIO):
        @property
        def _sock(self):
            return other

        @_sock.setter
        def _sock(self, value):
            pass

    given_sock, other = ScriptedSocket(b"wrong"), ScriptedSocket(b"spam\n", b"eggs", b"", b"ham")
    raw = Raw(given_sock, "rw")
    assert raw.readline() == b"spam\n"
    assert raw.readall() == b"eggs"
    buffer = bytearray(3)
    assert (raw.readinto(buffer), buffer) == (3, b"ham")
    assert raw.write(b"x") == 1
    assert raw.fileno() == raw.name == 12345
    raw.close()
    assert other.sent == [b"x"]
    assert other.calls[-1] == "_decref_socketios"
    assert given_sock.calls == []


def test_override_of_fileno_gives_the_name(any_impl):
    class Raw(any_impl.SocketIO):
        def fileno(self):
            return 99

    raw = Raw(ScriptedSocket(), "r")
    assert raw.name == 99
    raw.close()
    assert raw.name == -1


def test_override_of_read_serves_readline_and_readall(any_impl):
    class Raw(any_impl.SocketIO):
        def read(self, size=-1):
            return parts.pop(0) if parts else b""

    sock = ScriptedSocket(b"from the socket")
    parts = [b"s", b"\n", b"more"]
    assert Raw(sock, "r").readline() == b"s\n"
    parts = [b"spam", b"eggs"]
    assert Raw(sock, "r").readall() == b"spameggs"
    assert sock.requests == []


@pytest.mark.parametrize("result", [bytearray(b"spam"), u"spam", 4], ids=repr)
def test_override_of_read_that_gives_no_bytes_fails_in_readall(any_impl, result):
    class Raw(any_impl.SocketIO):
        def read(self, size=-1):
            return result

    with pytest.raises(TypeError) as caught:
        Raw(ScriptedSocket(), "r").readall()
    assert str(caught.value) == "read() should return bytes"


def test_override_of_readall_serves_read_to_the_end(any_impl):
    class Raw(any_impl.SocketIO):
        def readall(self):
            return b"everything"

    assert Raw(ScriptedSocket(b"from the socket"), "r").read() == b"everything"
    assert Raw(ScriptedSocket(b"from the socket"), "r").read(-1) == b"everything"


def test_override_of_read_and_readall_on_the_instance_serves_the_other_reads(any_impl):
    sock = ScriptedSocket(b"from the socket")
    raw = any_impl.SocketIO(sock, "r")
    raw.readall = lambda: b"everything"
    assert raw.read() == b"everything"
    del raw.readall
    parts = [b"spam\n", b"and", b"eggs"]
    raw.read = lambda size=-1: parts.pop(0) if parts else b""
    assert raw.readline() == b"spam\n"
    assert raw.readall() == b"andeggs"
    del raw.read
    assert sock.requests == []
    assert raw.read() == b"from the socket"


def test_override_of_seek_serves_tell(any_impl):
    class Raw(any_impl.SocketIO):
        def seek(self, offset, whence=0):
            return (offset, whence)

    assert Raw(ScriptedSocket(), "r").tell() == (0, 1)


@pytest.mark.parametrize(
    "mode, name", [("rb", "BufferedReader"), ("wb", "BufferedWriter"), ("rwb", "BufferedRWPair")]
)
def test_tell_is_unsupported_to_any_buffer_that_asks(any_impl, unix_pair, monkeypatch, mode, name):
    own, asked = getattr(io, name), []

    class Asking(own):
        def __init__(self, *args):
            asked.append(get_outcome(args[0].tell))
            own.__init__(self, *args)
            asked.append(get_outcome(args[0].tell))

    stream = any_impl.makefile(unix_pair[0], mode)  # whose constructor has asked
    unsupported = get_outcome(any_impl.SocketIO(unix_pair[0], "r").tell)
    assert unsupported[:2] == ("raised", io.UnsupportedOperation)
    if mode != "rwb":
        assert (
            get_outcome(stream.raw.tell) == unsupported and stream.raw.tell.__self__ is stream.raw
        )
        assert get_outcome(stream.tell)[:2] == unsupported[:2]
    monkeypatch.setattr(io, name, Asking)
    any_impl.makefile(unix_pair[0], mode)
    assert asked == [unsupported] * 2


@pytest.mark.skipif(
    platform.python_implementation() == "PyPy", reason="its collector does not show what it has"
)
def test_tell_is_unsupported_to_a_buffer_size_that_asks(any_impl, unix_pair):
    asked = []

    class Size(object):
        def __lt__(self, other):
            return False

        def __index__(self):
            streams = [
                each for each in gc.get_objects() if issubclass(type(each), any_impl.SocketIO)
            ]
            asked.extend(
                get_outcome(raw.tell)[:2]
                for raw in streams
                if getattr(raw, "_sock", None) is unix_pair[0]
            )
            return 64

        __int__ = __index__

    any_impl.makefile(unix_pair[0], "rb", Size()).close()
    assert set(asked) == {("raised", io.UnsupportedOperation)}


# Reading


def test_readinto_gives_the_number_of_bytes_and_leaves_the_rest(any_impl, unix_pair):
    ours, peer = unix_pair
    raw = any_impl.SocketIO(ours, "r")
    peer.sendall(b"spam and eggs")
    buffer = bytearray(b"........")
    assert raw.readinto(memoryview(buffer)[2:6]) == 4
    assert buffer == b"..spam.."
    assert ours.recv(100) == b" and eggs"
    peer.sendall(b"xyz")
    assert raw.readinto(buffer) == 3
    assert buffer == b"xyzpam.."


@pytest.mark.skipif(PY2, reason="2.7's recv_into() refuses an array, and ours says so through it")
def test_readinto_an_array_counts_bytes(any_impl, unix_pair):
    ours, peer = unix_pair
    peer.sendall(b"abcdef")
    numbers = array.array("H", [0, 0, 0, 0])
    assert any_impl.SocketIO(ours, "r").readinto(numbers) == 6
    assert numbers.tobytes() == b"abcdef\0\0"


def test_readinto_at_the_end_of_the_stream_gives_zero_each_time(any_impl, unix_pair):
    ours, peer = unix_pair
    raw = any_impl.SocketIO(ours, "r")
    peer.sendall(b"last")
    peer.close()
    assert raw.readinto(bytearray(10)) == 4
    for _ in range(3):
        assert raw.readinto(bytearray(10)) == 0
        assert (raw.read(10), raw.read(), raw.readall(), raw.readline()) == (b"", b"", b"", b"")


def test_readinto_of_a_non_blocking_socket_with_nothing_there_gives_none(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.setblocking(False)
    raw = any_impl.SocketIO(ours, "r")
    assert raw.readinto(bytearray(10)) is None
    assert raw.read(10) is None
    assert raw.read() is None
    assert raw.readall() is None
    peer.sendall(b"now")
    assert raw.readinto(bytearray(10)) == 3
    assert raw.readinto(bytearray(10)) is None


@pytest.mark.parametrize(
    "argument", [b"", b"bytes", u"text", 5, None, memoryview(b"read-only")], ids=repr
)
def test_readinto_something_that_is_no_writable_buffer_refused_as_recv_into_does(
    any_impl, unix_pair, argument
):
    ours, peer = unix_pair
    peer.sendall(b"spam")
    raw = any_impl.SocketIO(ours, "r")
    expected = catch(ours.recv_into, argument)
    assert expected[0] is TypeError
    assert catch(raw.readinto, argument) == expected
    assert raw.read(4) == b"spam"


def test_readinto_with_no_or_two_arguments_refused(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(b"spam"), "r")
    for args in ((), (bytearray(1), 1)):
        with pytest.raises(TypeError):
            raw.readinto(*args)
    assert raw.read(4) == b"spam"


def test_readinto_an_empty_buffer_makes_no_system_call(any_impl, unix_pair):
    if PYPY:
        pytest.skip("PyPy's own sockets make one")
    ours, peer = unix_pair
    ours.setblocking(False)
    raw = any_impl.SocketIO(ours, "r")
    # a call would say that nothing is there, then that the descriptor is bad
    assert raw.readinto(bytearray()) == 0
    assert raw.read(0) == b""
    ours.close()
    assert raw.readinto(memoryview(bytearray(5))[3:3]) == 0


def test_readinto_an_empty_buffer_checks_the_state_first(any_impl, unix_pair):
    ours, peer = unix_pair
    raw = any_impl.SocketIO(ours, "rw")
    raw._timeout_occurred = True
    assert catch(raw.readinto, bytearray()) == (IOError if PY2 else OSError, POISONED)
    raw._reading = False
    assert catch(raw.readinto, bytearray()) == (WrongDirection, NOT_READABLE)
    raw.close()
    assert catch(raw.readinto, bytearray()) == (ValueError, CLOSED_FILE)


def test_readinto_an_empty_buffer_still_makes_a_delegated_call(any_impl):
    sock = ScriptedSocket(lambda: 0, lambda: None)
    raw = any_impl.SocketIO(sock, "r")
    assert raw.readinto(bytearray()) == 0
    assert raw.readinto(bytearray()) is None
    assert sock.requests == [0, 0]


def test_state_checks_come_in_the_order_closed_direction_poison(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "w")
    raw._timeout_occurred = True
    assert catch(raw.readinto, bytearray(1)) == (WrongDirection, NOT_READABLE)
    raw.close()
    assert catch(raw.readinto, bytearray(1)) == (ValueError, CLOSED_FILE)


@pytest.mark.parametrize(
    "read, expected",
    [
        (lambda raw: raw.readline(), b"one\n"),
        (lambda raw: raw.readline(2), b"on"),
        (lambda raw: raw.readline(100), b"one\n"),
        (lambda raw: next(raw), b"one\n"),
        (lambda raw: raw.readlines(1), [b"one\n"]),
        (lambda raw: raw.read(1), b"o"),
        (lambda raw: raw.read(6), b"one\ntw"),
        (lambda raw: raw.read(0), b""),
    ],
    ids=["readline", "readline limit", "readline high limit", "next", "readlines hint", "read 1",
         "read 6", "read 0"],
)
def test_read_takes_no_more_from_the_socket_than_it_returns(any_impl, unix_pair, read, expected):
    ours, peer = unix_pair
    peer.sendall(b"one\ntwo\nthree")
    result = read(any_impl.SocketIO(ours, "r"))
    assert result == expected
    taken = b"".join(result) if isinstance(result, list) else result
    assert taken + ours.recv(100) == b"one\ntwo\nthree"


def test_read_any_programme_of_reads_takes_no_more_than_it_returns(any_impl):
    operations = st.one_of(
        st.tuples(st.just("read"), st.integers(0, 12)),
        st.tuples(st.just("readline"), st.integers(-1, 12)),
        st.tuples(st.just("readinto"), st.integers(0, 12)),
    )

    @settings(max_examples=get_examples(80), deadline=None)
    @given(
        st.lists(st.sampled_from([b"a", b"bc", b"\n", b"def\n", b"\n\n"]), max_size=8),
        st.lists(operations, max_size=12),
    )
    def check(parts, programme):
        data = b"".join(parts)
        model = io.BytesIO(data)
        ours, peer = socket.socketpair()
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            raw = any_impl.SocketIO(ours, "r")
            for name, size in programme:
                if name == "readinto":
                    buffer, expected = bytearray(size), bytearray(size)
                    assert raw.readinto(buffer) == model.readinto(expected)
                    assert buffer == expected
                else:
                    assert getattr(raw, name)(size) == getattr(model, name)(size)
            rest = model.read()
            assert ours.recv(1000) == rest
        finally:
            ours.close()
            peer.close()

    check()


@pytest.mark.parametrize(
    "read", [lambda raw: raw.readall(), lambda raw: raw.read(), lambda raw: raw.read(-1)]
)
def test_readall_gives_any_parts_up_to_the_end_in_one(any_impl, read):
    @settings(max_examples=get_examples(60), deadline=None)
    @given(st.lists(st.binary(min_size=1, max_size=3000), max_size=10))
    def check(parts):
        sock = ScriptedSocket(*parts)
        assert read(any_impl.SocketIO(sock, "r")) == b"".join(parts)
        # one recv for each part, and one that finds the end
        assert len(sock.requests) == len(parts) + 1

    check()


@pytest.mark.parametrize("parts", [[], [b"spam"], [b"spam", b"and", b"eggs"]], ids=len)
def test_readall_of_a_non_blocking_stream_gives_the_data_so_far_or_none(any_impl, parts):
    sock = ScriptedSocket(*parts + [lambda: None, b"later"])
    assert any_impl.SocketIO(sock, "r").readall() == (b"".join(parts) or None)
    assert sock.script == [b"later"]


def test_readall_of_a_non_blocking_socket_gives_the_data_so_far(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.setblocking(False)
    raw = any_impl.SocketIO(ours, "r")
    assert raw.readall() is None
    peer.sendall(b"spam")
    assert raw.readall() == b"spam"
    assert raw.read() is None
    peer.close()
    assert raw.readall() == b""


def test_readall_never_offers_less_than_a_chunk(any_impl):
    chunk = 8192
    sizes = [1, 8191, 8192, 1, 8192, 8192, 5000, 8192, 20, 8192] * 20
    sock = ScriptedSocket(*[b"x" * size for size in sizes])
    assert len(any_impl.SocketIO(sock, "r").readall()) == sum(sizes)
    assert min(sock.requests) >= chunk


@pytest.mark.skipif(not hasattr(socket, "SOCK_SEQPACKET"), reason="no SOCK_SEQPACKET here")
def test_readall_cuts_no_record_of_a_chunk(any_impl, closing):
    ours, peer = [
        closing(sock) for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ]
    records = [
        bytes(bytearray([n])) * size
        for n, size in enumerate([1, 8192, 5, 8192, 8191, 8192, 4097, 8192])
    ]
    for record in records:
        peer.sendall(record)
    peer.close()
    assert any_impl.SocketIO(ours, "r").readall() == b"".join(records)


def test_readall_of_datagrams_cuts_none_of_them(any_impl, closing):
    ours, peer = [closing(sock) for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)]
    ours.setblocking(False)
    datagrams = [b"a" * 8192, b"b", b"c" * 8192, b"d" * 8000]
    for datagram in datagrams:
        peer.send(datagram)
    assert any_impl.SocketIO(ours, "r").readall() == b"".join(datagrams)


def test_readall_of_megabytes_over_tcp_gives_every_byte(any_impl, tcp_pair):
    ours, peer = tcp_pair
    data = bytes(bytearray(range(251))) * 40000

    def send():
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    result = any_impl.SocketIO(ours, "r").readall()
    thread.join()
    assert type(result) is bytes
    assert result == data


def test_readall_looks_at_closed_anew_for_each_part(any_impl):
    sock = ScriptedSocket(lambda: raw.close() or 3, b"never asked for")
    raw = any_impl.SocketIO(sock, "r")
    assert catch(raw.readall) == (ValueError, CLOSED_FILE)
    assert len(sock.requests) == 1


def test_readall_looks_at_the_direction_anew_for_each_part(any_impl):
    def turn():
        raw._reading = False
        return 3

    sock = ScriptedSocket(turn, b"never asked for")
    raw = any_impl.SocketIO(sock, "r")
    assert catch(raw.readall) == (WrongDirection, NOT_READABLE)
    assert len(sock.requests) == 1


def test_readall_looks_at_the_poison_anew_for_each_part(any_impl):
    def poison():
        raw._timeout_occurred = True
        return 3

    sock = ScriptedSocket(poison, b"never asked for")
    raw = any_impl.SocketIO(sock, "r")
    assert catch(raw.readall) == (IOError if PY2 else OSError, POISONED)
    assert len(sock.requests) == 1


def test_readall_looks_at_the_socket_anew_for_each_part(any_impl):
    def swap():
        raw._sock = second
        return 3

    first, second = ScriptedSocket(swap, b"never asked for"), ScriptedSocket(b"from the second")
    raw = any_impl.SocketIO(first, "r")
    assert raw.readall()[3:] == b"from the second"
    assert len(first.requests) == 1


def test_readall_looks_at_the_method_anew_for_each_part(any_impl):
    def replace():
        sock.recv_into = Lines()
        return 3

    sock = ScriptedSocket(replace, b"never asked for")
    assert any_impl.SocketIO(sock, "r").readall()[3:] == b"spam\neggs"
    assert len(sock.requests) == 1


def test_readall_looks_at_readinto_anew_for_each_part(any_impl):
    def replace():
        raw.readinto = Lines()
        return 3

    sock = ScriptedSocket(replace, b"never asked for")
    raw = any_impl.SocketIO(sock, "r")
    assert raw.readall()[3:] == b"spam\neggs"
    assert len(sock.requests) == 1


def read_first_part(sock, then):
    """Replace the socket's recv_into for one call.

    So `then()` runs between the first part of a readall and the second.
    """

    def recv_into(buffer):
        del sock.recv_into
        count = sock.recv_into(buffer)
        then()
        return count

    sock.recv_into = recv_into


def test_readall_looks_at_the_descriptor_anew_for_each_part(any_impl, plain_pair):
    ours, peer = plain_pair
    peer.sendall(b"first")
    read_first_part(ours, ours.close)
    with pytest.raises(socket.error) as caught:
        any_impl.SocketIO(ours, "r").readall()
    assert caught.value.errno == errno.EBADF


def test_readall_looks_at_the_timeout_anew_for_each_part(any_impl, plain_pair):
    ours, peer = plain_pair
    ours.settimeout(None)
    peer.sendall(b"first")
    read_first_part(ours, lambda: ours.settimeout(0))
    assert any_impl.SocketIO(ours, "r").readall() == b"first"
    ours.settimeout(None)
    peer.sendall(b"second")
    read_first_part(ours, lambda: ours.settimeout(0.01))
    raw = any_impl.SocketIO(ours, "r")
    with pytest.raises(socket.timeout):
        raw.readall()
    assert catch(raw.read, 1) == (IOError if PY2 else OSError, POISONED)


def test_readall_gives_each_part_the_whole_timeout(any_impl, unix_pair):
    """Three parts, 0.3 s apart, do not time out with 0.8 s: the clock starts anew each time."""
    ours, peer = unix_pair
    ours.settimeout(0.8)
    pace = threading.Event()

    def send():
        for part in (b"a", b"b", b"c"):
            pace.wait(0.3)
            peer.sendall(part)
        peer.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert any_impl.SocketIO(ours, "r").readall() == b"abc"
    finally:
        thread.join()


def test_readall_that_times_out_poisons_the_stream(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(0.02)
    peer.sendall(b"first")
    raw = any_impl.SocketIO(ours, "r")
    with pytest.raises(socket.timeout):
        raw.readall()
    assert raw._timeout_occurred is True
    peer.sendall(b"second")
    assert catch(raw.readall) == (IOError if PY2 else OSError, POISONED)


@pytest.mark.parametrize("size", [sys.maxsize, sys.maxsize - 8])
def test_read_of_more_than_there_is_memory_is_an_error_and_takes_nothing(any_impl, unix_pair, size):
    if PYPY and any_impl.name == "interpreter":
        pytest.skip("PyPy's own receives before it finds that there is no memory")
    ours, peer = unix_pair
    peer.sendall(b"spam")
    raw = any_impl.SocketIO(ours, "r")
    error = MemoryError if sys.version_info < (3, 15) else OverflowError
    with pytest.raises((MemoryError, ValueError) if PYPY else error):
        raw.read(size)
    assert raw.read(4) == b"spam"


@pytest.mark.parametrize("size", ["5", 2.0, 2 ** 70, [], b"5"], ids=repr)
def test_read_of_a_size_that_is_none_gives_the_error_of_a_raw_stream(any_impl, size):
    class Reference(io.RawIOBase):
        def readinto(self, buffer):
            return 0

    assert (
        catch(any_impl.SocketIO(ScriptedSocket(), "r").read, size)[0]
        is catch(Reference().read, size)[0]
    )


@pytest.mark.parametrize("size", [-1, -2, -sys.maxsize])
def test_read_of_a_negative_size_reads_to_the_end(any_impl, size):
    assert any_impl.SocketIO(ScriptedSocket(b"spam", b"eggs"), "r").read(size) == b"spameggs"


def test_read_gives_bytes_of_its_own(any_impl):
    """What a socket keeps of the buffer after its call cannot change what read() gave."""
    kept = []

    class Keeper(ScriptedSocket):
        def recv_into(self, buffer):
            kept.append(memoryview(buffer))
            return ScriptedSocket.recv_into(self, buffer)

    raw = any_impl.SocketIO(Keeper(b"spam", b"eggs"), "r")
    if sys.version_info >= (3, 15):  # what is kept cannot become the result
        with pytest.raises(BufferError):
            raw.read(4)
        return
    try:
        result = raw.read(4)
    except BufferError:  # so does PyPy 3.11's own
        assert PYPY
        return
    kept[0][0:1] = b"!"
    assert type(result) is bytes
    assert result == b"spam"


# Direction, seeking


@pytest.mark.parametrize(
    "name, args",
    [("readinto", (bytearray(4),)), ("read", ()), ("read", (4,)), ("readall", ()), ("readline", ()),
     ("readlines", ())],
)
def test_read_of_a_stream_for_writing_refused(any_impl, name, args):
    sock = ScriptedSocket(b"spam")
    assert catch(getattr(any_impl.SocketIO(sock, "w"), name), *args) == (
        WrongDirection,
        NOT_READABLE,
    )
    assert sock.requests == []


@pytest.mark.parametrize(
    "name, args", [("write", (b"spam",)), ("write", (b"",)), ("writelines", ([b"spam"],))]
)
def test_write_to_a_stream_for_reading_refused(any_impl, name, args):
    sock = ScriptedSocket()
    assert catch(getattr(any_impl.SocketIO(sock, "r"), name), *args) == (
        WrongDirection,
        NOT_WRITABLE,
    )
    assert sock.sent == []


def test_seekable_is_false(any_impl):
    assert any_impl.SocketIO(ScriptedSocket(), "rw").seekable() is False


@pytest.mark.parametrize("state", ["open", "closed"])
@pytest.mark.parametrize(
    "name, args, text",
    [("seek", (0,), "seek"), ("seek", (0, 2), "seek"), ("tell", (), "seek"),
     ("truncate", (), "truncate"), ("truncate", (5,), "truncate")],
)
def test_seek_tell_and_truncate_unsupported_open_or_closed(any_impl, name, args, text, state):
    raw = any_impl.SocketIO(ScriptedSocket(), "rw")
    if state == "closed":
        raw.close()
    assert catch(getattr(raw, name), *args) == (io.UnsupportedOperation, text)


def test_isatty_is_false_and_flush_does_nothing_to_the_socket(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "rw")
    assert raw.isatty() is False
    assert raw.flush() is None
    assert sock.calls == []


# Closed


@each_closed
def test_closed_each_method_says_so(any_impl, name, args, text):
    raw = any_impl.SocketIO(ScriptedSocket(b"spam"), "rw")
    raw.close()
    assert catch(getattr(raw, name), *args) == (ValueError, text)


def test_closed_flush_says_so(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "rw")
    raw.close()
    assert catch(raw.flush) == (ValueError, CLOSED_FILE)


def test_closed_with_refused(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "rw")
    with raw as entered:
        assert entered is raw
    assert raw.closed is True
    with pytest.raises(ValueError):
        with raw:
            pytest.fail("it let us in")


def test_closed_mode_and_name_still_answer(any_impl):
    raw = any_impl.SocketIO(ScriptedSocket(), "rw")
    raw.close()
    assert (raw.closed, raw.mode, raw.name, raw._sock) == (True, "rwb", -1, None)
    assert "SocketIO object at" in repr(raw)


def test_close_again_does_nothing(any_impl):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "rw")
    assert raw.close() is None
    raw._sock = other = ScriptedSocket()
    for _ in range(3):
        assert raw.close() is None
    assert sock.calls == ["_decref_socketios"]
    assert (raw._sock, other.calls) == (other, [])


def test_close_while_the_reference_is_released_is_closed_with_its_sock_still_set(any_impl):
    class Watching(ScriptedSocket):
        def _decref_socketios(self):
            ScriptedSocket._decref_socketios(self)
            seen.append((raw.closed, raw._sock))
            raw.close()

    seen = []
    sock = Watching()
    raw = any_impl.SocketIO(sock, "r")
    raw.close()
    assert seen == [(True, sock)]
    assert sock.calls == ["_decref_socketios"]
    assert raw._sock is None


def test_close_when_releasing_the_reference_raises_stays_closed_with_its_sock_set(any_impl):
    class Failing(ScriptedSocket):
        def _decref_socketios(self):
            ScriptedSocket._decref_socketios(self)
            raise KeyError("decref")

    sock = Failing()
    raw = any_impl.SocketIO(sock, "r")
    with pytest.raises(KeyError):
        raw.close()
    assert raw.closed is True
    assert raw._sock is sock
    assert catch(raw.read, 1) == (ValueError, CLOSED_FILE)
    raw.close()
    assert sock.calls == ["_decref_socketios"]


@pytest.mark.parametrize("cycle", [False, True])
def test_close_by_death_releases_the_reference_once(any_impl, cycle):
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "rw")
    if cycle:
        raw.me = raw
    del raw
    gc.collect()
    assert sock.calls == ["_decref_socketios"]


# Pickling, copying, the end of the interpreter


@pytest.mark.parametrize("state", ["open", "closed"])
def test_pickling_and_copying_refused(impl, state):
    class Raw(impl.SocketIO):
        pass

    for cls in (impl.SocketIO, Raw):
        sock = ScriptedSocket()
        raw = cls(sock, "r")
        if state == "closed":
            raw.close()
        calls = list(sock.calls)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert catch(pickle.dumps, raw, protocol)[0] is TypeError
        assert catch(copy.copy, raw)[0] is TypeError
        assert catch(copy.deepcopy, raw)[0] is TypeError
        collect_garbage()
        assert sock.calls == calls


STDOUT_SOCK = """
import os, sys

class Sock(object):
    # What a writer needs of its socket, over the descriptor of stdout.
    _io_refs = 0

    def send(self, data, write=os.write):
        return write(1, data)

    def _decref_socketios(self):
        pass
"""

EXIT_SCRIPT = STDOUT_SOCK + """
binary = makefile(Sock(), "wb")
binary.write(b"binary\\n")
text = makefile(Sock(), "w")
text.write(u"text\\n")

class Node(object):
    pass

node = Node()
node.me = node
node.stream = makefile(Sock(), "w")
node.stream.write(u"cycle\\n")
"""

LATE_EXIT_SCRIPT = STDOUT_SOCK + """
builtins = sys.modules.get("builtins") or sys.modules["__builtin__"]

# These two modules are emptied when all others, ours too, have been.
sys.kept = makefile(Sock(), "w")
sys.kept.write(u"sys\\n")
builtins.kept = makefile(Sock(), "wb")
builtins.kept.write(b"builtins\\n")
"""

LAST_EXIT_SCRIPT = STDOUT_SOCK + """
stream = makefile(Sock(), "wb")
stream.write(b"last words")
sys.kept = Sock  # and so this module's names, among them the stream
"""

REAL_EXIT_SCRIPT = """
import socket
ours = socket.create_connection(("127.0.0.1", %d))
binary = makefile(ours, "wb")
binary.write(b"binary ")
text = makefile(ours, "w")
text.write(u"text ")
"""


def test_exit_flushes_the_writers_that_are_still_open(any_impl, run_script):
    cycle = [] if PY2 else ["cycle"]  # which 2.7 does not collect at exit
    assert sorted(run_script(any_impl, EXIT_SCRIPT).split()) == ["binary"] + cycle + ["text"]


def test_exit_flushes_the_writers_that_die_after_our_module(any_impl, run_script):
    assert sorted(run_script(any_impl, LATE_EXIT_SCRIPT).split()) == ["builtins", "sys"]


@pytest.mark.skipif(PYPY, reason="PyPy finalises nothing at exit")
def test_exit_flushes_the_writer_that_dies_after_the_built_in_names(any_impl, run_script):
    assert run_script(any_impl, LAST_EXIT_SCRIPT) == "last words"


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="without a GIL the socket itself dies first, with its descriptor",
)
def test_exit_flushes_the_writers_over_a_real_socket(any_impl, run_script, closing):
    listener = closing(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    # the socket's own warning, which debug builds show, is not what this is about
    run_script(any_impl, REAL_EXIT_SCRIPT % listener.getsockname()[1], "-W", "ignore")
    peer = closing(listener.accept()[0])
    received = b""
    part = peer.recv(1000)
    while part:
        received += part
        part = peer.recv(1000)
    assert sorted(received.split()) == [b"binary", b"text"]
