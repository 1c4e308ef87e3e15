"""What programs do to the raw stream and to makefile from outside, as to the interpreter's own."""

import errno
import functools
import io
import pickle
import socket
import sys

import pytest

from fakes import ScriptedSocket, collect_garbage

try:
    from unittest import mock
except ImportError:
    import mock

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")


def in_c_is_different(implementation):
    """What a type in C does not do: a difference that is documented, and has its own test."""
    if implementation.name == "c":
        pytest.skip("a difference of C")


# --- Names on the class ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "check, operation",
    [
        ("_checkClosed", lambda raw: raw.readinto(bytearray(3))),
        ("_checkReadable", lambda raw: raw.readinto(bytearray(3))),
        ("_checkClosed", lambda raw: raw.read(3)),
        ("_checkReadable", lambda raw: raw.read(3)),
        ("_checkClosed", lambda raw: raw.write(b"x")),
        ("_checkWritable", lambda raw: raw.write(b"x")),
        ("_checkClosed", lambda raw: raw.fileno()),
    ],
)
@pytest.mark.parametrize("place", ["class", "subclass", "instance"])
def test_check_that_is_set_is_the_one_that_is_called(
    any_impl, monkeypatch, check, operation, place
):
    if PY2 and any_impl.name == "c" and place == "class":
        pytest.skip("nothing can be set on a class in C there")
    called = []

    def refuse(*args, **kwargs):
        called.append(check)
        raise KeyError(check)

    cls = any_impl.SocketIO
    if place == "subclass":
        cls = type("Sub", (cls,), {check: refuse})
    raw = cls(ScriptedSocket(b"data"), "rw")
    if place == "class":
        monkeypatch.setattr(cls, check, refuse, raising=False)
    elif place == "instance":
        setattr(raw, check, refuse)
    with pytest.raises(KeyError):
        operation(raw)
    assert called == [check]


def test_sock_that_is_set_on_the_class_is_the_one_that_is_used(any_impl, monkeypatch):
    if PY2 and any_impl.name == "c":
        pytest.skip("nothing can be set on a class in C there")
    other = ScriptedSocket(b"other")
    raw = any_impl.SocketIO(ScriptedSocket(b"own"), "rw")
    monkeypatch.setattr(
        any_impl.SocketIO,
        "_sock",
        property(lambda self: other, lambda self, sock: None),
        raising=False,
    )
    assert raw.read(5) == b"other"
    assert raw.write(b"x") == 1 and other.sent == [b"x"]
    monkeypatch.undo()


def test_way_of_look_up_that_is_set_on_the_class_is_taken(any_impl, monkeypatch):
    if PY2 and any_impl.name == "c":
        pytest.skip("nothing can be set on a class in C there")
    other = ScriptedSocket(b"other")
    raw = any_impl.SocketIO(ScriptedSocket(b"own"), "rw")
    get = any_impl.SocketIO.__getattribute__
    monkeypatch.setattr(
        any_impl.SocketIO,
        "__getattribute__",
        lambda self, name: other if name == "_sock" else get(self, name),
        raising=False,
    )
    assert raw.read(5) == b"other"
    monkeypatch.undo()


def test_initialiser_that_is_patched_is_called_by_makefile(any_impl, unix_pair, monkeypatch):
    if PY2 and any_impl.name == "c":
        pytest.skip("nothing can be set on a class in C there")
    made = []
    init = any_impl.SocketIO.__init__

    def patched(self, sock, mode):
        made.append(mode)
        init(self, sock, mode)

    # The interpreter's makefile takes the class from its module, which is the class itself here.
    monkeypatch.setattr(any_impl.SocketIO, "__init__", patched)
    sock = ScriptedSocket(b"data")
    with any_impl.makefile(sock, "rb") as stream:
        assert stream.read(4) == b"data"
    assert made == ["r"]


@pytest.mark.skipif(PY2, reason="nothing can be set on a class in C there")
def test_class_that_makes_something_else_is_refused_by_makefile(c_impl, run_script):
    # In a process of its own: a class in C does not get its own `__new__` back.
    script = """
import socket
SocketIO.__init__ = lambda *args: None
SocketIO.__new__ = staticmethod(lambda cls, *args: [])
ours, peer = socket.socketpair()
try:
    makefile(ours, "rb", 0)
except TypeError:
    print(ours._io_refs)
ours.close()
peer.close()
"""
    assert run_script(c_impl, script) == "0\n"


@pytest.mark.skipif(PY2, reason="2.7's mock does not bind")
@pytest.mark.parametrize(
    "name, operation",
    [("write", lambda raw: raw.write(b"x")), ("readinto", lambda raw: raw.readinto(bytearray(2)))],
)
def test_autospecced_method_records_the_stream(any_impl, name, operation):
    in_c_is_different(any_impl)
    raw = any_impl.SocketIO(ScriptedSocket(b"data"), "rw")
    with mock.patch.object(any_impl.SocketIO, name, autospec=True, return_value=1) as method:
        assert operation(raw) == 1
    assert method.call_args[0][0] is raw


@pytest.mark.skipif(PY2 or PYPY, reason="a borrowed method is refused there")
def test_method_that_another_class_borrows_works_there(any_impl):
    in_c_is_different(any_impl)
    class Borrower(io.RawIOBase):
        readable = any_impl.SocketIO.readable
        _reading = True

    assert Borrower().readable() is True


# --- What the stream is ---------------------------------------------------------------------------


def test_bases_are_those_of_a_raw_stream(any_impl):
    in_c_is_different(any_impl)
    assert any_impl.SocketIO.__mro__[1:] == io.RawIOBase.__mro__
    assert any_impl.SocketIO in io.RawIOBase.__subclasses__()


@pytest.mark.skipif(PY2, reason="2.7's streams show no __dict__")
def test_fields_are_seen_by_vars(any_impl):
    in_c_is_different(any_impl)
    sock = ScriptedSocket()
    raw = any_impl.SocketIO(sock, "rw")
    fields = {
        name: value
        for name, value in vars(raw).items()
        if name in ("_sock", "_mode", "_reading", "_writing", "_timeout_occurred")
    }
    assert fields == {
        "_sock": sock,
        "_mode": "rwb",
        "_reading": True,
        "_writing": True,
        "_timeout_occurred": False,
    }


@pytest.mark.skipif(PY2, reason="there is no other to compare with")
@pytest.mark.parametrize("name", ["sendall", "recv", "send", "sock"])
def test_message_for_what_it_has_not_names_the_type(any_impl, name):
    with pytest.raises(AttributeError) as caught:
        getattr(any_impl.SocketIO(ScriptedSocket(), "rw"), name)
    assert str(caught.value) == "'SocketIO' object has no attribute '%s'" % name


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_over_a_fake_that_can_be_pickled_is_a_type_error(impl, protocol):
    with pytest.raises(TypeError):
        pickle.dumps(impl.SocketIO(ScriptedSocket(), "r"), protocol)


@pytest.mark.skipif(PY2 or PYPY, reason="only 3.x says that it finalises")
def test_stream_that_dies_says_so_in_its_close(any_impl):
    said = []

    class Dying(any_impl.SocketIO):
        def close(self):
            said.append(getattr(self, "_finalizing", False))
            any_impl.SocketIO.close(self)

    Dying(ScriptedSocket(), "r").close()
    Dying(ScriptedSocket(), "r")
    collect_garbage()
    assert said[0] is False and said[-1] is True


# --- Errors of the sock ---------------------------------------------------------------------------


def catch(function, *args):
    """The type of what a call raises, or what it returns."""
    try:
        return function(*args)
    except Exception as error:
        return type(error)


class NoErrno(OSError):
    """An error whose number cannot be read."""

    @property
    def errno(self):
        raise KeyError("errno")


def make_unhashable():
    error = OSError("no number")
    error.errno = [11]
    error.args = ([11],)
    return error


@pytest.mark.skipif(PY2, reason="there is no other to compare with")
@pytest.mark.parametrize(
    "error",
    [
        NoErrno(11, "x"),
        make_unhashable(),
        OSError(11.0, "x"),
        OSError("11"),
        OSError(errno.EAGAIN, "x"),
        OSError(errno.EINTR, "x"),
        socket.timeout("x"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    "operation",
    [lambda raw: raw.readinto(bytearray(3)), lambda raw: raw.read(3), lambda raw: raw.write(b"x")],
    ids=["readinto", "read", "write"],
)
def test_error_with_an_odd_number_is_as_with_the_interpreters(impl, error, operation):
    class Odd(ScriptedSocket):
        def recv_into(self, buf):
            raise error

        send = recv_into

    assert catch(operation, impl.SocketIO(Odd(), "rw")) == catch(
        operation, socket.SocketIO(Odd(), "rw")
    )


@pytest.mark.skipif(PY2, reason="there is no other to compare with")
def test_timeout_that_is_replaced_in_the_socket_module_is_the_one_that_ends_reading(
    any_impl, monkeypatch
):
    class OwnTimeout(Exception):
        pass

    class Late(ScriptedSocket):
        def recv_into(self, buf):
            raise OwnTimeout

    monkeypatch.setattr(socket, "timeout", OwnTimeout)
    raw = any_impl.SocketIO(Late(), "r")
    with pytest.raises(OwnTimeout):
        raw.readinto(bytearray(3))
    assert raw._timeout_occurred is True
    with pytest.raises(OSError):
        raw.readinto(bytearray(3))


@pytest.mark.parametrize("delegated", [False, True])
def test_timeout_when_the_socket_module_is_gone_ends_reading(
    any_impl, unix_pair, monkeypatch, delegated
):
    ours, peer = unix_pair
    ours.settimeout(0.01)
    raw = any_impl.SocketIO(ScriptedSocket(socket.timeout("slow")) if delegated else ours, "r")
    monkeypatch.setitem(sys.modules, "socket", None)  # as at exit
    with pytest.raises(socket.timeout):
        raw.readinto(bytearray(3))
    with pytest.raises(EnvironmentError, match="cannot read from timed out object"):
        raw.readinto(bytearray(3))


@pytest.mark.skipif(sys.version_info >= (3, 9), reason="there the extension holds the class")
def test_error_that_cannot_be_judged_as_the_modules_are_gone_is_one_of_the_look_up(
    c_impl, monkeypatch
):
    raw = c_impl.SocketIO(ScriptedSocket(OSError("as asked for")), "r")
    monkeypatch.setitem(sys.modules, "socket", None)
    monkeypatch.setitem(sys.modules, "_socket", None)
    with pytest.raises((AttributeError, ImportError)):
        raw.readinto(bytearray(3))
    assert raw._timeout_occurred is False


# --- What makefile is -----------------------------------------------------------------------------


def test_makefile_takes_attributes_as_a_function_does(any_impl):
    any_impl.makefile.__dict__["mark"] = 5
    try:
        assert any_impl.makefile.mark == 5
    finally:
        del any_impl.makefile.mark


def test_makefile_can_be_wrapped(any_impl):
    @functools.wraps(any_impl.makefile)
    def wrapped(*args, **kwargs):
        return any_impl.makefile(*args, **kwargs)

    assert wrapped.__name__ == any_impl.makefile.__name__
    assert wrapped.__doc__ == any_impl.makefile.__doc__


@pytest.mark.skipif(PY2, reason="typing came with 3.5")
def test_makefile_tells_its_type_hints(any_impl):
    import typing

    assert typing.get_type_hints(any_impl.makefile) == {}
