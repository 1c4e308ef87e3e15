"""Contract section 9: the deliberate differences from the interpreter's own makefile.

There is one test for each, which shows it on both.

Each test runs on our two implementations and, on 3.x, on the interpreter's own; `pick` says what
each has to do.  What belongs to no item of that list must not differ.
"""

import copy
import errno
import gc
import io
import socket
import sys

import pytest

from fakes import CountingSocket, ScriptedSocket
from running import Worker, receive_all

PYPY = hasattr(sys, "pypy_version_info")
BIG = 1 << 23  # more than any socket's buffers hold


def pick(implementation, ours, interpreter):
    return interpreter if implementation.name == "interpreter" else ours


def get_counter(sock):
    return sock._io_refs if hasattr(sock, "_io_refs") else sock._makefile_refs


def get_error(call, *args, **kwargs):
    """The type and the arguments of what a call raised; None if it raised nothing."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        return type(error), error.args
    return None


class Counting(CountingSocket):
    """Counts for the interpreter's makefile too."""

    def __init__(self, sock):
        CountingSocket.__init__(self, sock)
        del self._makefile_refs
        self._io_refs = 0

    def _decref_socketios(self):
        self._io_refs -= 1
        if self._closed:
            self.close()

    def close(self):
        self._closed = True
        if self._io_refs <= 0:
            self.sock.close()


def test_1_write_of_more_than_fits_sends_all_where_the_interpreters_sends_once(any_impl, tcp_pair):
    ours, peer = tcp_pair
    ours.settimeout(30)
    stream = any_impl.makefile(ours, "wb", 0)
    # On a busy machine a receiver may make room as fast as the one call fills it.
    if any_impl.name == "interpreter":
        sent = stream.write(b"x" * BIG)
        received = Worker(receive_all, peer)
    else:
        received = Worker(receive_all, peer)
        sent = stream.write(b"x" * BIG)
    stream.close()
    ours.close()
    assert len(received.get()) == sent
    assert pick(any_impl, sent == BIG, 0 < sent < BIG)


@pytest.mark.skipif(
    PYPY,
    reason="nothing dies with its traceback there: the interpreter's counter comes back by chance",
)
@pytest.mark.parametrize(
    "arguments, error",
    [(("r", 0), ValueError), (("rb", 2**64), OverflowError), (("rb", "8"), TypeError)],
    ids=["text", "huge", "string"],
)
def test_2_counter_after_failed_makefile_is_back_before_the_error_arrives(
    any_impl, tcp_pair, arguments, error
):
    sock = Counting(tcp_pair[0])
    try:
        any_impl.makefile(sock, *arguments)
    except error:
        assert sock._io_refs == pick(any_impl, 0, 1)
    else:
        pytest.fail("nothing was raised")
    gc.collect()
    assert sock._io_refs == 0  # in the end


def test_3_socket_without_send_is_written_by_sendall(any_impl):
    sent = []

    class NoSend(object):
        _io_refs = 0

        def sendall(self, data):
            sent.append(bytes(bytearray(data)))

        def _decref_socketios(self):
            pass

    raw = any_impl.SocketIO(NoSend(), "w")
    if any_impl.name == "interpreter":
        with pytest.raises(AttributeError):
            raw.write(b"abc")
    else:
        assert raw.write(b"abc") == 3 and sent == [b"abc"]
    raw.close()


def test_3_socket_without_decref_socketios_can_be_closed(any_impl):
    class NoDecref(object):
        closed = 0

        def recv_into(self, buf):
            return 0

        def close(self):
            self.closed += 1

    sock = NoDecref()
    setattr(sock, pick(any_impl, "_makefile_refs", "_io_refs"), 0)
    stream = any_impl.makefile(sock, "rb", 0)
    assert get_counter(sock) == 1
    error = get_error(stream.close)
    if any_impl.name == "interpreter":
        assert error[0] is AttributeError and sock.closed == 0
    else:
        assert error is None and (get_counter(sock), sock.closed) == (0, 0)
    stream._sock = None  # or the interpreter's complains again when it dies


def test_3_socket_with_makefile_refs_alone_is_taken(any_impl, tcp_pair):
    sock = CountingSocket(tcp_pair[0])
    if any_impl.name == "interpreter":
        with pytest.raises(AttributeError):
            any_impl.makefile(sock, "rb")
    else:
        stream = any_impl.makefile(sock, "rb")
        assert sock._makefile_refs == 1
        stream.close()
        assert sock._makefile_refs == 0


def test_4_copy_of_a_raw_stream_is_refused(any_impl, tcp_pair):
    sock = Counting(tcp_pair[0])
    raw = any_impl.makefile(sock, "rb", 0)
    if any_impl.name == "interpreter" and not PYPY:
        again = copy.copy(raw)
        raw.close()
        again.close()
        assert sock._io_refs == -1
    elif any_impl.name != "interpreter":
        with pytest.raises(TypeError):
            copy.copy(raw)
        raw.close()
        assert sock._io_refs == 0


@pytest.mark.skipif(
    not hasattr(sys, "unraisablehook"), reason="the hook that sees ignored exceptions came with 3.8"
)
def test_5_socketio_with_a_bad_mode_makes_no_noise(any_impl, monkeypatch):
    noise = []
    monkeypatch.setattr(sys, "unraisablehook", noise.append)
    assert get_error(any_impl.SocketIO, ScriptedSocket(), "x") == (
        ValueError,
        ("invalid mode: 'x'",),
    )
    gc.collect()
    # Debug builds tell as dev mode does.
    tells = sys.version_info >= (3, 13) or sys.flags.dev_mode or hasattr(sys, "gettotalrefcount")
    assert len(noise) == pick(any_impl, 0, 1 if tells and not PYPY else 0)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the direct path is compiled for Linux"
)
def test_6_ready_read_does_not_wait_for_so_rcvlowat(any_impl, tcp_pair):
    ours, peer = tcp_pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 100)
    ours.settimeout(0.2)
    peer.sendall(b"abc")
    stream = any_impl.makefile(ours, "rb", 0)
    if any_impl.name == "c":
        assert stream.read(10) == b"abc"
    else:  # the twin receives by the interpreter's own method, which polls
        with pytest.raises(socket.timeout):
            stream.read(10)
    stream.close()


def test_7_encoding_errors_and_newline_are_taken_by_position(any_impl, tcp_pair):
    error = get_error(any_impl.makefile, tcp_pair[0], "r", None, "latin-1", "replace", "\r\n")
    if any_impl.name == "interpreter":
        assert error[0] is TypeError
    else:
        assert error is None
        with any_impl.makefile(tcp_pair[0], "r", None, "latin-1", "replace", "\r\n") as stream:
            tcp_pair[1].sendall(b"\xe9\n\r\n")
            assert (stream.encoding, stream.errors, stream.readline()) == (
                "latin-1",
                "replace",
                u"\xe9\n\r\n",
            )


WRONG_USES = {
    "SocketIO()": lambda impl, raw: impl.SocketIO(),
    "SocketIO(sock)": lambda impl, raw: impl.SocketIO(raw._sock),
    "SocketIO(sock, 'r', 1)": lambda impl, raw: impl.SocketIO(raw._sock, "r", 1),
    "SocketIO(sock, mood='r')": lambda impl, raw: impl.SocketIO(raw._sock, mood="r"),
    "makefile()": lambda impl, raw: impl.makefile(),
    "makefile(mood='r')": lambda impl, raw: impl.makefile(raw._sock, mood="r"),
    "makefile(mode twice)": lambda impl, raw: impl.makefile(raw._sock, "r", mode="r"),
    "makefile(7 arguments)": lambda impl, raw: impl.makefile(
        raw._sock, "r", None, None, None, None, None
    ),
    "readinto()": lambda impl, raw: raw.readinto(),
    "readinto(1, 2)": lambda impl, raw: raw.readinto(bytearray(1), 2),
    "write()": lambda impl, raw: raw.write(),
    "close(1)": lambda impl, raw: raw.close(1),
    "mode =": lambda impl, raw: setattr(raw, "mode", "wb"),
    "name =": lambda impl, raw: setattr(raw, "name", 1),
    "closed =": lambda impl, raw: setattr(raw, "closed", True),
    "del mode": lambda impl, raw: delattr(raw, "mode"),
}


@pytest.mark.parametrize("use", sorted(WRONG_USES))
def test_8_wrong_use_raises_the_same_type_whatever_the_wording(any_impl, use, monkeypatch):
    # Difference 5 is not the matter here.
    monkeypatch.setattr(sys, "unraisablehook", lambda noise: None, raising=False)
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    wanted = AttributeError if "=" in use and "(" not in use or use.startswith("del") else TypeError
    assert get_error(WRONG_USES[use], any_impl, raw)[0] is wanted
    raw.close()


def test_9_flush_of_a_subclass_that_raises_in_close_releases_the_reference(any_impl, tcp_pair):
    class Failing(any_impl.SocketIO):
        broken = True

        def flush(self):
            if self.broken:
                raise RuntimeError("flush")

    sock = Counting(tcp_pair[0])
    raw = Failing(sock, "w")
    sock._io_refs += 1
    assert get_error(raw.close) == (RuntimeError, ("flush",))
    assert raw.closed
    assert sock._io_refs == pick(any_impl, 0, 1)
    raw.broken = False
    raw.close()


def test_9_flush_of_a_buffered_writer_that_raises_in_close_releases_the_reference_in_both(any_impl):
    class Broken(ScriptedSocket):
        def send(self, data):
            raise OSError(errno.EPIPE, "broken")

    sock = Broken()
    stream = any_impl.makefile(sock, "wb")
    stream.write(b"never sent")
    assert issubclass(get_error(stream.close)[0], OSError)
    assert sock._io_refs == 0


def test_10_errno_of_blocking_io_error_over_a_fake_is_eagain(any_impl):
    class Full(ScriptedSocket):
        full = True

        def send(self, data):
            if self.full:
                raise socket.error(errno.EAGAIN, "full")
            return len(data)

    sock = Full()
    stream = any_impl.makefile(sock, "wb", 8)
    with pytest.raises(io.BlockingIOError) as caught:
        stream.write(b"x" * 100)
    if any_impl.name == "c":
        assert caught.value.errno == errno.EAGAIN
    elif any_impl.name == "interpreter" and not PYPY:
        assert caught.value.errno == 0
    assert caught.value.characters_written == 8
    sock.full = False
    stream.close()


@pytest.mark.parametrize("error", [OSError, socket.error, socket.timeout])
def test_11_delegated_error_without_arguments_comes_through(any_impl, error):
    class Raising(ScriptedSocket):
        def send(self, data):
            raise error()

        def recv_into(self, buf):
            raise error()

    for name, argument in (("write", b"x"), ("readinto", bytearray(1))):
        raw = any_impl.SocketIO(Raising(), "rw")
        raised = get_error(getattr(raw, name), argument)
        # The interpreter's asks for socket.timeout first.
        caught_by_name = name == "readinto" and issubclass(error, socket.timeout)
        old = sys.version_info < (3, 10) and not caught_by_name
        assert raised[0] is pick(any_impl, error, IndexError if old else error)
        raw.close()


@pytest.mark.parametrize("name", ["readinto", "write"])
def test_14_argument_of_the_raw_stream_by_keyword_is_refused_in_c(any_impl, name):
    raw = any_impl.makefile(ScriptedSocket(b"data"), "rwb", 0)
    error = get_error(getattr(raw, name), b=bytearray(4))
    assert (error and error[0]) is (TypeError if any_impl.name == "c" else None)


@pytest.mark.skipif(not hasattr(socket, "SocketIO"), reason="2.7's socket module has no SocketIO")
def test_15_socketio_that_was_put_into_the_socket_module_is_not_made(any_impl, monkeypatch):
    class Other(socket.SocketIO):
        pass

    monkeypatch.setattr(socket, "SocketIO", Other)
    raw = any_impl.makefile(ScriptedSocket(), "rb", 0)
    assert type(raw) is pick(any_impl, any_impl.SocketIO, Other)
