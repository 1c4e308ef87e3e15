"""Contract section 7: Python 2.7, whose three kinds of sockets have no makefile of Python 3's."""

import errno
import gc
import io
import itertools
import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest

from running import Worker, is_open

pytestmark = pytest.mark.skipif(sys.version_info[0] > 2, reason="what only 2.7's socket module has")

CSocket = getattr(socket, "_realsocket", None)
SocketObject = getattr(socket, "_socketobject", object)


def test_socketio_on_27_exists_only_here(impl):
    assert not hasattr(socket, "SocketIO")
    assert issubclass(impl.SocketIO, io.RawIOBase)


# The kinds of socket: a bare _socket.socket, a _socketobject around one, and ssl.SSLSocket.

def test_socketpair_and_fromfd_give_bare_csockets_that_makefile_takes(impl, unix_pair, closing):
    ours, peer = unix_pair
    again = closing(socket.fromfd(ours.fileno(), socket.AF_UNIX, socket.SOCK_STREAM))
    assert type(ours) is CSocket and type(again) is CSocket
    peer.sendall(b"ab")
    with impl.makefile(ours, "rb", 0) as one, impl.makefile(again, "rwb") as other:
        assert (one.read(1), other.read(1)) == (b"a", b"b")
        other.write(b"back")
        other.flush()
    assert peer.recv(10) == b"back"


def test_csocket_dropped_with_file_open_stays_open_until_the_file_closes(impl):
    ours, peer = socket.socketpair()
    fd = ours.fileno()
    stream = impl.makefile(ours, "rb")
    other = impl.makefile(ours, "wb", 0)
    del ours
    gc.collect()
    peer.sendall(b"still there\n")
    assert stream.readline() == b"still there\n"
    stream.close()
    assert is_open(fd)
    other.close()
    assert not is_open(fd)
    peer.close()


def test_csocket_closed_with_file_open_is_closed_at_once(impl, unix_pair):
    # It counts nothing and its own close() is final: as with 2.7's own _fileobject.
    ours, peer = unix_pair
    stream = impl.makefile(ours, "rb", 0)
    ours.close()
    with pytest.raises(socket.error) as caught:
        stream.read(1)
    assert caught.value.errno == errno.EBADF
    stream.close()


def test_socketobject_takes_no_attribute_and_gets_none(impl, tcp_pair):
    ours, _ = tcp_pair
    with pytest.raises(AttributeError):
        ours._makefile_refs = 0
    before = dict((name, getattr(ours, name)) for name in socket._delegate_methods)
    with impl.makefile(ours, "rwb"):
        assert dict((name, getattr(ours, name)) for name in socket._delegate_methods) == before
        assert not hasattr(ours, "_makefile_refs") and not hasattr(ours, "_io_refs")


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["sock", "reader", "writer"])), ids="-".join
)
def test_socketobject_closed_in_any_order_releases_the_descriptor_with_the_last(
    impl, tcp_pair, order
):
    ours, peer = tcp_pair
    fd = ours.fileno()
    opened = {
        "sock": ours,
        "reader": impl.makefile(ours, "rb"),
        "writer": impl.makefile(ours, "wb", 0),
    }
    for name in order:
        assert is_open(fd)
        if "reader" in opened:
            peer.sendall(b"line\n")
            assert opened["reader"].readline() == b"line\n"
        if "writer" in opened:
            assert opened["writer"].write(b"back") == 4
            assert peer.recv(10) == b"back"
        opened.pop(name).close()
    assert not is_open(fd)
    assert peer.recv(1) == b""


def test_socketobject_closed_after_direct_socketio_keeps_the_data_readable(impl, tcp_pair):
    ours, peer = tcp_pair
    fd = ours.fileno()
    raw = impl.SocketIO(ours, "rw")
    ours.close()
    peer.sendall(b"abc")
    assert raw.read(3) == b"abc" and raw.write(b"def") == 3
    assert peer.recv(3) == b"def"
    assert raw.name == raw.fileno() == fd and raw._sock is ours
    raw.close()
    assert not is_open(fd)


def test_socketobject_dropped_without_close_releases_the_descriptor(impl, tcp_pair):
    fd = tcp_pair[1].fileno()
    peer = SocketObject(_sock=tcp_pair[1]._sock)
    stream = impl.makefile(peer, "r", encoding="utf-8")
    tcp_pair[1].close()
    del peer
    gc.collect()
    assert is_open(fd)
    del stream
    gc.collect()
    assert not is_open(fd)


def test_override_on_closed_socketobject_is_honoured(impl, tcp_pair):
    # Only a dummy of the closed socket object is passed over for the C socket; anything else is
    # somebody's wish.
    ours, peer = tcp_pair
    stream = impl.makefile(ours, "rwb", 0)
    ours.close()

    def recv_into(b):
        b[:2] = b"me"
        return 2

    ours.recv_into = recv_into
    sent = []
    ours.send = lambda b: sent.append(bytes(b)) or len(b)
    assert stream.read(5) == b"me" and stream.write(b"xyz") == 3 and sent == [b"xyz"]
    ours.recv_into = socket._closedsocket()._dummy
    peer.sendall(b"again")
    assert stream.read(5) == b"again"
    stream.close()


def test_override_in_socketobject_subclass_is_shadowed_by_its_instance(impl, tcp_pair):
    class Subclass(SocketObject):
        def recv_into(self, *args):
            raise AssertionError("shadowed")

        send = recv_into

    ours = Subclass(_sock=tcp_pair[0]._sock)
    tcp_pair[1].sendall(b"abc")
    assert ours.recv_into.__self__ is ours._sock  # __init__ has stored the C socket's own
    with impl.makefile(ours, "rwb", 0) as stream:
        assert stream.read(3) == b"abc" and stream.write(b"def") == 3
    assert tcp_pair[1].recv(3) == b"def"


def test_override_on_socketobject_before_and_after_makefile_is_honoured(impl, tcp_pair):
    ours, peer = tcp_pair
    calls = []
    original = ours.recv_into

    def recv_into(b):
        calls.append("mine")
        return original(b)

    ours.recv_into = recv_into
    with impl.makefile(ours, "rb", 0) as stream:
        peer.sendall(b"abc")
        assert stream.read(1) == b"a" and calls == ["mine"]
        ours.recv_into = original
        assert stream.read(1) == b"b" and calls == ["mine"]
        ours.recv_into = recv_into
        assert stream.read(1) == b"c" and calls == ["mine", "mine"]


# ssl.SSLSocket: it counts in _makefile_refs, and its close() counts down.


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["sock", "reader", "writer"])), ids="-".join
)
def test_sslsocket_closed_in_any_order_releases_the_descriptor_with_the_last(impl, tls_pair, order):
    ours, peer, _ = tls_pair
    assert type(ours) is ssl.SSLSocket and not hasattr(ours, "_decref_socketios")
    fd = ours.fileno()
    opened = {
        "sock": ours,
        "reader": impl.makefile(ours, "rb"),
        "writer": impl.makefile(ours, "wb", 0),
    }
    assert ours._makefile_refs == 2
    for name in order:
        assert is_open(fd)
        if "reader" in opened:
            peer.sendall(b"line\n")
            assert opened["reader"].readline() == b"line\n"
        if "writer" in opened:
            assert opened["writer"].write(b"back") == 4
            assert peer.recv(10) == b"back"
        opened.pop(name).close()
    assert not is_open(fd)


def test_sslsocket_failed_makefile_restores_the_count_and_stays_open(impl, tls_pair):
    ours, peer, _ = tls_pair
    for arguments in [("r", 0), ("rb", 2 ** 64), ("r", None, "no such encoding")]:
        with pytest.raises((ValueError, OverflowError, LookupError)):
            impl.makefile(ours, *arguments)
        assert ours._makefile_refs == 0
    with impl.makefile(ours, "rb") as stream:
        peer.sendall(b"fine\n")
        assert stream.readline() == b"fine\n"


def test_sslsocket_file_closed_twice_counts_down_once(impl, tls_pair):
    ours, _, _ = tls_pair
    one, other = impl.makefile(ours, "rb"), impl.makefile(ours, "rb")
    one.close()
    one.close()
    assert ours._makefile_refs == 1
    other.close()
    assert ours._makefile_refs == 0


def test_sslsocket_carries_no_plaintext(impl, tls_pair):
    ours, peer, get_wire = tls_pair
    with impl.makefile(ours, "rwb") as stream:
        stream.write(b"a plain secret")
        stream.flush()
        assert peer.recv(100) == b"a plain secret"
        peer.sendall(b"a plain answer\n")
        assert stream.readline() == b"a plain answer\n"
    assert b"plain" not in get_wire()


# Errors and text.

def test_read_timed_out_raises_socket_timeout_then_ioerror(impl, tcp_pair):
    ours, peer = tcp_pair
    ours.settimeout(0.01)
    with impl.makefile(ours, "rwb", 0) as stream:
        with pytest.raises(socket.timeout) as caught:
            stream.read(1)
        assert type(caught.value) is socket.timeout and caught.value.args == ("timed out",)
        peer.sendall(b"late")
        with pytest.raises(IOError) as caught:
            stream.read(1)
        assert type(caught.value) is IOError and caught.value.args == (
            "cannot read from timed out object",
        )
        assert stream.write(b"x") == 1


def test_read_of_detached_descriptor_raises_socket_error(impl, tcp_pair):
    ours, _ = tcp_pair
    ours.shutdown(socket.SHUT_WR)
    with impl.makefile(ours, "wb", 0) as stream:
        with pytest.raises(socket.error) as caught:
            stream.write(b"x")
    assert type(caught.value) is socket.error and caught.value.errno == errno.EPIPE


def test_wrong_direction_raises_ioerror(impl, tcp_pair):
    with impl.makefile(tcp_pair[0], "wb", 0) as writer, impl.makefile(
        tcp_pair[0], "rb", 0
    ) as reader:
        for call in (lambda: writer.readinto(bytearray(1)), lambda: reader.write(b"x")):
            with pytest.raises(IOError):
                call()


def test_text_is_unicode_and_takes_no_str(impl, tcp_pair):
    ours, peer = tcp_pair
    with impl.makefile(ours, u"rw", encoding=u"utf-8", newline=u"\n") as stream:
        peer.sendall(u"\u017elu\u0165\n".encode("utf-8"))
        line = stream.readline()
        assert type(line) is type(u"") and line == u"\u017elu\u0165\n"
        with pytest.raises(TypeError):
            stream.write(b"bytes")
        stream.write(u"\u20ac")
        stream.flush()
        assert peer.recv(10) == u"\u20ac".encode("utf-8")


@pytest.mark.parametrize("mode", ["rb", u"rb", "w", u"w"])
def test_mode_of_either_string_type_is_taken_and_kept(impl, tcp_pair, mode):
    with impl.makefile(tcp_pair[0], mode) as stream:
        if "b" not in mode:
            assert stream.mode is mode


@pytest.mark.parametrize("exporter", ["array", "unicode", "buffer", "memoryview", "bytearray"])
def test_write_of_what_27_sockets_take_is_taken(impl, tcp_pair, exporter):
    import array

    ours, peer = tcp_pair
    data = {
        "array": array.array("H", [1, 2]),
        "unicode": u"text",
        "buffer": buffer(b"text"),  # noqa: F821
        "memoryview": memoryview(b"text"),
        "bytearray": bytearray(b"text"),
    }[exporter]
    with impl.makefile(ours, "wb", 0) as stream:
        assert stream.write(data) == ours.send(data) == 4
    first, second = peer.recv(4), peer.recv(4)
    assert first == second == (data.tostring() if exporter == "array" else b"text")


# What 2.7's io module does over a raw stream that has nothing: inherited, and not hidden by us.

def test_would_block_on_inherited_methods_is_what_27_makes_of_none(impl, tcp_pair):
    ours, _ = tcp_pair
    ours.setblocking(False)
    with impl.makefile(ours, "rb", 0) as raw, impl.makefile(ours, "rb") as buffered:
        assert raw.read(5) is None and raw.read() is None and raw.readall() is None
        assert raw.readinto(bytearray(5)) is None
        with pytest.raises((IOError, TypeError)) as caught:
            raw.readline()
        assert "read() should have returned a bytes object" in str(caught.value)
        assert buffered.read(5) is None and buffered.read() is None
        with pytest.raises(TypeError):
            buffered.readinto(bytearray(5))


def test_read1_on_27_fills_its_whole_buffer(impl, tcp_pair):
    ours, peer = tcp_pair
    ours.setblocking(False)
    peer.sendall(b"abc")
    with impl.makefile(ours, "rb") as stream:
        assert stream.read1(1) == b"a"
        with pytest.raises(socket.error) as caught:
            ours.recv(1)
        assert caught.value.errno == errno.EAGAIN  # the stream has them all
        assert stream.read(2) == b"bc"


def test_detached_stream_refuses_and_leaves_no_stray_error(impl, tcp_pair):
    ours, peer = tcp_pair
    stream = impl.makefile(ours, "rb")
    raw = stream.detach()
    for use in (stream.read, stream.flush, stream.readable, lambda: stream.closed,
                lambda: stream.name):
        with pytest.raises(ValueError):
            use()
        repr(stream)
        # An error that was left set would come out of the next call that looks for one.
        assert list(iter([1, 2])) == [1, 2] and int("7") == 7
        peer.sendall(b"x")
        assert raw.read(1) == b"x" and raw.name == ours.fileno()
    with impl.makefile(ours, "rb") as other:
        peer.sendall(b"y\n")
        assert other.readline() == b"y\n"
    raw.close()


def test_kept_traceback_keeps_the_socket_open(impl, tcp_pair):
    ours, peer = tcp_pair
    fd = ours.fileno()

    def fail():
        stream = impl.makefile(ours, "rb")
        raise RuntimeError(stream.name)

    try:
        fail()
    except RuntimeError:
        ours.close()
        gc.collect()
        assert is_open(fd)  # by sys.exc_info(), whose frame has the stream
        sys.exc_clear()
        gc.collect()
        assert not is_open(fd)


# What belongs to all versions, and was only ever tried on 2.7 by hand.

def test_old_style_class_binds_makefile(impl, tcp_pair):
    class Old:
        makefile = impl.makefile
        _makefile_refs = 0

        def __init__(self, sock):
            self.recv_into = sock.recv_into

        def _decref_socketios(self):
            self._makefile_refs -= 1

    old = Old(tcp_pair[0])
    tcp_pair[1].sendall(b"old\n")
    with old.makefile("rb") as stream:
        assert old._makefile_refs == 1 and stream.readline() == b"old\n"
    assert old._makefile_refs == 0


def test_old_style_class_whose_close_counts_is_told_by_it(impl):
    class Old:
        _makefile_refs = closes = 0

        def close(self):
            self.closes += 1
            self._makefile_refs -= 1

    old = Old()
    impl.makefile(old, "rb", 0).close()
    assert (old.closes, old._makefile_refs) == (1, 0)


def test_reader_blocked_in_another_thread_gets_what_comes(impl, tcp_pair):
    ours, peer = tcp_pair
    with impl.makefile(ours, "rb", 0) as stream:
        reader = Worker(stream.read, 3).wait_until_blocked()
        peer.sendall(b"abc")
        assert reader.get() == b"abc"


def test_child_process_inherits_no_file(impl, tcp_pair):
    # subprocess on 2.7 passes every descriptor on unless told otherwise: that of a stream is an
    # ordinary one.
    ours, _ = tcp_pair
    with impl.makefile(ours, "rb") as stream:
        script = "import os, sys; os.fstat(int(sys.argv[1]))"
        with open(os.devnull, "w") as devnull:
            command = [sys.executable, "-c", script, str(stream.name)]
            assert subprocess.call(command, stderr=devnull) == 0
            assert subprocess.call(command, stderr=devnull, close_fds=True) == 1


def test_socketobject_that_lost_its_csocket_says_so_for_fileno(impl, tcp_pair):
    ours = tcp_pair[0]
    stream = impl.makefile(ours, "rb", 0)
    csocket = ours._sock
    del ours._sock
    with pytest.raises(AttributeError):
        stream.fileno()
    ours._sock = csocket


def test_socketobject_without_a_method_says_so_when_it_is_needed(impl, tcp_pair):
    ours, peer = tcp_pair
    del ours.recv_into
    stream = impl.makefile(ours, "rwb", 0)
    assert stream.write(b"data") == 4
    with pytest.raises(AttributeError):
        stream.read(4)


class OwnError(Exception):
    """Nobody else's."""


class Failing(SocketObject):
    """One of its names raises when it is looked up."""

    failing = None
    inner = None

    def fileno(self):
        return self.inner.fileno()

    def fail(self, name):
        if self.failing == name:
            raise OwnError
        raise AttributeError(name)

    @property
    def _sock(self):
        return self.inner if self.failing != "_sock" else self.fail("_sock")

    @_sock.setter
    def _sock(self, sock):
        self.inner = sock

    _makefile_refs = property(lambda self: self.fail("_makefile_refs"))


@pytest.mark.parametrize("name", ["_sock", "_makefile_refs"])
def test_socketobject_whose_look_up_raises_makes_no_stream(impl, unix_pair, name):
    sock = Failing(_sock=unix_pair[0])
    sock.failing = name
    for make in lambda: impl.SocketIO(sock, "r"), lambda: impl.makefile(sock, "rb", 0):
        with pytest.raises(OwnError):
            make()


def test_socketobject_whose_csocket_cannot_be_looked_up_later_says_so(impl, unix_pair):
    sock = Failing(_sock=unix_pair[0])
    raw = impl.makefile(sock, "rb", 0)
    sock.recv_into = lambda buf: 0
    assert raw.readinto(bytearray(4)) == 0 and raw.fileno() == unix_pair[0].fileno()
    sock.failing = "_sock"
    for use in lambda: raw.readinto(bytearray(4)), raw.fileno:
        with pytest.raises(OwnError):
            use()


def test_handler_that_is_due_when_a_call_is_interrupted_is_heard(impl):
    class Interrupted(object):
        called = False

        def recv_into(self, buf):
            if self.called:
                return 0
            self.called = True
            error = socket.error(errno.EINTR, "interrupted")
            calls = [os.kill, (each for each in ()).throw]
            # One call of C, in which no handler runs.
            map(apply, calls, [(os.getpid(), signal.SIGALRM), (error,)])  # noqa: F821

        def gettimeout(self):
            return 30.0

    def handle(signum, frame):
        raise OwnError

    old = signal.signal(signal.SIGALRM, handle)
    try:
        with pytest.raises(OwnError):
            impl.SocketIO(Interrupted(), "r").readinto(bytearray(4))
    finally:
        signal.signal(signal.SIGALRM, old)


def encrypt(data):
    return bytearray(byte ^ 0x55 for byte in bytearray(data))


class EncryptingClass(SocketObject):
    """Overrides methods as 2.7's own ssl.SSLSocket does.

    Those that socket.socket puts on the instance are deleted.
    """

    def __init__(self, csocket):
        SocketObject.__init__(self, _sock=csocket)
        self.csocket = csocket
        del self.send, self.recv_into

    def send(self, data):
        return self.csocket.send(encrypt(data))

    def recv_into(self, buf):
        data = encrypt(self.csocket.recv(len(buf)))
        buf[:len(data)] = bytes(data)
        return len(data)


class EncryptingInstance(SocketObject):
    """Overrides them on the instance."""

    def __init__(self, csocket):
        SocketObject.__init__(self, _sock=csocket)
        self.send = lambda data: csocket.send(encrypt(data))
        self.recv_into = lambda buf: EncryptingClass.recv_into.__func__(self, buf)
        self.csocket = csocket


@pytest.mark.parametrize("Encrypting", [EncryptingClass, EncryptingInstance])
@pytest.mark.parametrize("used_before", [True, False])
def test_socket_that_encrypts_and_is_closed_before_its_file_sends_no_plaintext(
    impl, unix_pair, Encrypting, used_before
):
    ours, peer = unix_pair
    sock = Encrypting(ours)
    stream = impl.makefile(sock, "wb")
    reader = impl.makefile(sock, "rb", 0)
    if used_before:
        stream.write(b"open")
        stream.flush()
        assert encrypt(peer.recv(100)) == b"open"
        peer.sendall(encrypt(b"back"))
        assert reader.read(10) == b"back"
    stream.write(b"secret")
    sock.close()  # which takes its methods away
    with pytest.raises(EnvironmentError):
        stream.flush()
    peer.setblocking(False)
    with pytest.raises(socket.error):
        peer.recv(100)
    peer.sendall(b"plain")
    with pytest.raises(EnvironmentError):
        reader.read(10)
