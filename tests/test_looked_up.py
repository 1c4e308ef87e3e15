"""What is taken for the interpreter's own, and what for somebody's: sockets, methods, claims."""

import functools
import os
import socket
import subprocess
import sys

import _socket
import pytest

from fakes import ScriptedSocket
from running import watchdog  # noqa: F401 - a fixture

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
pytestmark = pytest.mark.usefixtures("watchdog")


def upper(sock, data):
    """A `send` that shows."""
    return _socket.socket.send(sock, bytes(data).upper())


def connect(impl, cls, closing):
    """A socket of a class below the C socket, where socket.socket was in use, and its peer."""
    ours, peer = map(closing, socket.socketpair())
    raw = impl.SocketIO(ours, "w")
    raw.write(b"")
    raw._sock = None
    number = os.dup(ours.fileno())
    if PY2:
        pytest.skip("2.7's C socket takes no descriptor")
    return closing(cls(ours.family, ours.type, ours.proto, number)), peer


# --- The class of the sock ------------------------------------------------------------------------


def test_class_of_one_base_that_is_no_socket_is_asked(any_impl):
    class Base(object):
        __slots__ = ("_io_refs", "data", "taken")

        def recv_into(self, buf):
            buf[: len(self.data)] = self.data
            return len(self.data)

        def send(self, data):
            self.taken = bytes(data)
            return len(data)

        def _decref_socketios(self):
            self._io_refs -= 1

    class Fake(Base):
        __slots__ = ()

    fake = Fake()
    fake._io_refs, fake.data = 0, b"data"
    raw = any_impl.SocketIO(fake, "rw")
    for _ in range(3):
        buf = bytearray(8)
        assert raw.readinto(buf) == 4
        assert buf[:4] == b"data"
        assert raw.write(b"sent") == 4
        assert fake.taken == b"sent"
    raw._sock = None


def test_way_of_look_up_of_a_class_below_the_c_socket_is_taken(any_impl, closing):
    class Sock(_socket.socket):
        __slots__ = ("_io_refs",)

        def __getattribute__(self, name):
            if name == "send":
                return functools.partial(upper, self)
            return _socket.socket.__getattribute__(self, name)

    sock, peer = connect(any_impl, Sock, closing)
    raw = any_impl.SocketIO(sock, "w")
    for _ in range(3):
        assert raw.write(b"data") == 4
        assert peer.recv(8) == b"DATA"
    raw._sock = None


@pytest.mark.parametrize("name", ["send", "recv_into"])
def test_method_of_a_class_below_the_c_socket_is_called(any_impl, closing, name):
    class Sock(_socket.socket):
        __slots__ = ("_io_refs",)

    calls = []

    def method(self, *args):
        calls.append(name)
        return getattr(_socket.socket, name)(self, *args)

    setattr(Sock, name, method)
    sock, peer = connect(any_impl, Sock, closing)
    raw = any_impl.SocketIO(sock, "rw")
    peer.sendall(b"data")
    assert raw.read(4) == b"data"
    assert raw.write(b"data") == 4
    assert calls == [name]
    raw._sock = None


def test_method_of_an_instance_below_the_c_socket_is_called(any_impl, closing):
    class Sock(_socket.socket):
        _io_refs = 0

    sock, peer = connect(any_impl, Sock, closing)
    raw = any_impl.SocketIO(sock, "w")
    assert raw.write(b"data") == 4
    sock.send = functools.partial(upper, sock)
    assert raw.write(b"data") == 4
    del sock.send
    assert raw.write(b"data") == 4
    assert peer.recv(20) == b"dataDATAdata"
    raw._sock = None


@pytest.mark.skipif(PYPY, reason="there is no C socket")
def test_c_socket_that_can_change_is_refused(c_impl):
    script = """
import sys, types, _socket
own = types.ModuleType("_socket")
vars(own).update(vars(_socket), socket=type("socket", (_socket.socket,), {}))
import backports.makefile._check  # all that is imported before
import backports.makefile._tls
sys.modules["_socket"] = own
try:
    import backports.makefile._makefile
except ImportError as error:
    print(error)
"""
    environment = dict(os.environ, BACKPORTS_MAKEFILE_IMPLEMENTATION="python")
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    output = subprocess.check_output([sys.executable, "-c", script], env=environment)
    assert output == b"_socket.socket.recv_into is not a C method that stays\n"


# --- Methods --------------------------------------------------------------------------------------


def test_readinto_of_another_stream_reads_from_that_one(any_impl):
    raw, other = (any_impl.SocketIO(ScriptedSocket(data), "r") for data in (b"this", b"that"))
    raw.readinto = other.readinto
    assert raw.read(4) == b"that"
    assert raw.readall() == b""
    del raw.readinto
    assert raw.read(4) == b"this"


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="told by counts of references")
def test_method_of_a_sock_is_let_go_after_each_operation(any_impl):
    fake = ScriptedSocket(b"x" * 100)
    raw = any_impl.SocketIO(fake, "rw")
    count = sys.getrefcount(fake)
    for _ in range(10):
        raw.read(1)
        raw.readinto(bytearray(1))
        raw.write(b"x")
    assert sys.getrefcount(fake) == count


# --- Claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", [-1, -2, -(1 << 40)])
@pytest.mark.parametrize("read", ["read", "readall"])
def test_claim_of_less_than_nothing_is_a_value_error(impl, claim, read):
    raw = impl.SocketIO(ScriptedSocket(lambda: claim), "r")
    with pytest.raises(ValueError):
        getattr(raw, read)(*[10] * (read == "read"))


def test_claim_of_more_than_the_sock_left_is_a_value_error(impl):
    class Shrinking(ScriptedSocket):
        def recv_into(self, buf):
            del buf[2:]
            return 10

    raw = impl.SocketIO(Shrinking(), "r")
    with pytest.raises((ValueError, TypeError, BufferError)):
        raw.read(10)


def test_delegated_write_that_times_out_does_not_end_reading(any_impl):
    class Slow(ScriptedSocket):
        def send(self, data):
            raise socket.timeout("timed out")

    raw = any_impl.SocketIO(Slow(b"data"), "rw")
    with pytest.raises(socket.timeout):
        raw.write(b"x")
    assert raw.read(4) == b"data"
