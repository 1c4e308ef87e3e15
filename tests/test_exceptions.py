"""Exceptions that meet others: in look-ups, finalizers and close; and what their messages say."""

import os
import socket
import sys

import pytest

from fakes import CountingSocket, ScriptedSocket, collect_garbage
from running import run_script

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")


class OwnError(Exception):
    """Nobody else's."""


@pytest.fixture(autouse=True)
def quiet_finalizers(monkeypatch):
    if hasattr(sys, "unraisablehook"):
        monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: None)


# --- An exception while Python code is called -----------------------------------------------------


@pytest.mark.parametrize(
    "error", [OwnError, AttributeError, KeyboardInterrupt], ids=lambda error: error.__name__
)
def test_stream_whose_sock_cannot_be_had_is_flushed_when_it_dies(any_impl, error):
    log = []

    class Late(any_impl.SocketIO):
        """Connects when its sock is asked for, and cannot."""

        armed = False

        @property
        def _sock(self):
            if self.armed:
                log.append("_sock")
                raise error("not connected")
            return ScriptedSocket()

        @_sock.setter
        def _sock(self, sock):
            pass

        def flush(self):
            log.append("flush")
            any_impl.SocketIO.flush(self)

        def close(self):
            log.append("close")
            any_impl.SocketIO.close(self)

    raw = Late(ScriptedSocket(), "w")
    raw.armed = True
    del raw
    collect_garbage()
    assert [name for name in log if name != "_sock"] == ["close", "flush"]


def test_stream_that_cannot_be_told_that_it_is_being_finalised_is_closed(any_impl, monkeypatch):
    class Unwilling(any_impl.SocketIO):
        _finalizing = property()

    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append, raising=False)
    sock = ScriptedSocket()
    Unwilling(sock, "r")
    collect_garbage()
    assert (sock.calls, told) == (["_decref_socketios"], [])


# --- Only AttributeError means that a name is absent ----------------------------------------------

ERRORS = [OwnError, KeyboardInterrupt, MemoryError, SystemExit, GeneratorExit]


class Failing(object):
    """A fake one of whose names raises when it is looked up."""

    def __init__(self, name, error, **values):
        self.__dict__.update(values)
        self.__dict__.update(name=name, error=error, armed=True)

    def __getattribute__(self, name):
        get = object.__getattribute__
        if get(self, "__dict__").get("armed") and name == get(self, "__dict__")["name"]:
            raise get(self, "__dict__")["error"]("as asked for")
        return get(self, name)

    def _decref_socketios(self):
        self.__dict__.setdefault("log", []).append("_decref_socketios")
        for name in "_io_refs", "_makefile_refs":
            if name in self.__dict__:
                setattr(self, name, getattr(self, name) - 1)

    def close(self):
        self.__dict__.setdefault("log", []).append("close")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("name", ["_makefile_refs", "_io_refs"])
def test_error_while_the_counter_is_looked_up_comes_out(impl, name, error):
    sock = Failing(
        name,
        error,
        **({"_io_refs": 0} if name == "_io_refs" else {"_io_refs": 0, "_makefile_refs": 0})
    )
    with pytest.raises(error):
        impl.makefile(sock, "rb", 0)
    collect_garbage()
    sock.armed = False
    assert sock._io_refs == 0 and getattr(sock, "_makefile_refs", 0) == 0


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize("counter", ["_makefile_refs", "_io_refs"])
def test_error_while_the_way_to_count_down_is_looked_up_comes_out_of_close(impl, counter, error):
    sock = Failing("_decref_socketios", error, **{counter: 0})
    sock.armed = False
    raw = impl.makefile(sock, "rb", 0)
    sock.armed = True
    with pytest.raises(error):
        raw.close()
    assert raw.closed


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_error_while_the_way_to_count_down_is_looked_up_by_makefile_leaves_the_counter(impl, error):
    sock = Failing("_decref_socketios", error, _makefile_refs=5)
    try:
        raw = impl.makefile(sock, "rb", 0)
    except error:
        sock.armed = False
        collect_garbage()
    else:  # it was not looked up yet
        sock.armed = False
        raw.close()
        assert sock.log == ["_decref_socketios"]
    assert sock._makefile_refs == 5


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_error_while_the_class_of_the_sock_is_asked_comes_out(impl, error):
    class Meta(type):
        armed = False

        def __getattribute__(cls, name):
            if name == "_decref_socketios" and type.__getattribute__(cls, "armed"):
                raise error("as asked for")
            return type.__getattribute__(cls, name)

    Asked = Meta("Asked", (ScriptedSocket,), {})
    sock = Asked()
    Asked.armed = True
    try:
        raw = impl.makefile(sock, "rb", 0)
    except error:
        Asked.armed = False
        collect_garbage()
        assert sock.calls == []
    else:  # it was not asked
        Asked.armed = False
        raw.close()
        assert sock.calls == ["_decref_socketios"]
    assert sock._io_refs == 0


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
@pytest.mark.parametrize(
    "name, operation",
    [
        ("recv_into", lambda raw: raw.readinto(bytearray(3))),
        ("recv_into", lambda raw: raw.read(3)),
        ("send", lambda raw: raw.write(b"x")),
        ("fileno", lambda raw: raw.fileno()),
    ],
)
def test_error_while_a_method_is_looked_up_comes_out(any_impl, name, operation, error):
    raw = any_impl.SocketIO(Failing(name, error), "rw")
    with pytest.raises(error):
        operation(raw)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_error_while_sendall_is_looked_up_comes_out(impl, error):
    raw = impl.SocketIO(Failing("sendall", error), "w")
    with pytest.raises(error):
        raw.write(b"x")


# --- Contexts -------------------------------------------------------------------------------------

CYCLE_SCRIPT = """
class Sock(object):
    _io_refs = 0

    def _decref_socketios(self):
        if error is not None:
            raise error

class Stream(SocketIO):
    def flush(self):
        raise KeyError("flush")

error = ValueError("first")
raw = Stream(Sock(), "w")
try:
    try:
        raise error
    except ValueError:
        raw.close()
except Exception as caught:
    seen = []
    while caught is not None:
        assert all(caught is not each for each in seen), "a cycle"
        seen.append(caught)
        caught = caught.__context__
    try:
        raise RuntimeError("never returns on 3.6 if there is a cycle")
    except RuntimeError:
        print("end")
error = None
"""


@pytest.mark.skipif(PY2, reason="contexts came with 3.0")
def test_contexts_of_what_flush_and_the_counter_raise_form_no_cycle(impl):
    assert run_script(CYCLE_SCRIPT, impl) == "end\n"


# --- Large numbers of descriptors -----------------------------------------------------------------


@pytest.fixture
def high_pair(closing):
    """Two connected sockets whose descriptors are above 256, where ints take memory."""
    filling = [os.open(os.devnull, os.O_RDONLY) for _ in range(300)]
    ours, peer = map(closing, socket.socketpair())
    for descriptor in filling:
        os.close(descriptor)
    assert ours.fileno() > 256
    return ours, peer


@pytest.mark.parametrize("timeout", [None, 30, 0])
def test_socket_with_a_large_number_reads_writes_and_tells_it(any_impl, high_pair, timeout):
    ours, peer = high_pair
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "rwb", 0)
    assert raw.fileno() == raw.name == ours.fileno()
    assert raw.write(b"x" * 1000) == 1000
    assert peer.recv(2000) == b"x" * 1000
    peer.sendall(b"y" * 1000)
    assert raw.read(2000) == b"y" * 1000
    if timeout == 0:
        assert raw.read(1) is None
    peer.close()
    assert raw.read(1) == b""
    raw.close()
    assert raw.name == -1


def test_type_of_makefile_makes_no_object(any_impl):
    with pytest.raises(TypeError):
        type(any_impl.makefile)()


# --- Messages -------------------------------------------------------------------------------------


class Uncounted(object):
    """Has no counter."""


def test_message_for_a_sock_without_a_counter_names_the_cure(impl):
    with pytest.raises(AttributeError) as caught:
        impl.makefile(Uncounted(), "rb")
    assert str(caught.value) == (
        "'Uncounted' object has no attribute '_makefile_refs': "
        "give the class `_makefile_refs = 0`, or use backports.makefile.install(Uncounted)"
    )


def test_cure_that_the_message_names_works(impl, unix_pair):
    class Cured(Uncounted):
        _makefile_refs = 0

        def recv_into(self, buf):
            return unix_pair[0].recv_into(buf)

    sock = Cured()
    unix_pair[1].sendall(b"line\n")
    with impl.makefile(sock, "rb") as stream:
        assert stream.readline() == b"line\n"
        assert sock._makefile_refs == 1
    assert sock._makefile_refs == 0


# --- Classes that count, or do not, when they are closed ------------------------------------------


class Open(CountingSocket):
    """A counter, no way to tell it, and a `close` that closes at once."""

    _decref_socketios = property()  # AttributeError
    closes = 0

    def close(self):
        self.closes += 1
        self.sock.close()


class Late(Open):
    """Its `close` counts, as 2.7's ssl.SSLSocket does."""

    def close(self):
        self.closes += 1
        if self._makefile_refs < 1:
            self.sock.close()
        else:
            self._makefile_refs -= 1


@pytest.mark.parametrize("cls", [Open, Late])
def test_closing_a_stream_never_closes_the_socket_under_another(impl, unix_pair, cls):
    ours, peer = unix_pair
    sock = cls(ours)
    first, second = impl.makefile(sock, "rb"), impl.makefile(sock, "rb")
    assert sock._makefile_refs == 2
    first.close()
    assert sock._makefile_refs == 1
    peer.sendall(b"more\n")
    assert second.readline() == b"more\n"
    second.close()
    assert sock._makefile_refs == 0
    peer.sendall(b"open\n")
    assert ours.recv(5) == b"open\n"
    assert sock.closes == (0 if cls is Open else 2)
    sock.close()
