"""Who holds what, who lets it go, and what is said of it."""

import gc
import io
import socket
import sys
import weakref

import pytest

import harness
from fakes import CountedSocket, CountingSocket, ScriptedSocket, collect_garbage
from running import run_script, watchdog  # noqa: F401 - a fixture

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
pytestmark = pytest.mark.usefixtures("watchdog")
counted = pytest.mark.skipif(
    not hasattr(sys, "getrefcount") or not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="told by counts of references, which without a GIL may be late",
)


class Bare(object):
    """A fake that has nothing at all."""


# --- Closing --------------------------------------------------------------------------------------


@pytest.mark.skipif(PY2, reason="2.7's socket.socket does not count")
def test_count_of_a_socket_does_not_go_below_zero(any_impl, unix_pair):
    ours, peer = unix_pair
    stream = any_impl.makefile(ours, "rb")
    ours._io_refs = 0
    stream.close()
    assert ours._io_refs == 0


@pytest.mark.skipif(PY2, reason="2.7's socket.socket does not count")
def test_count_of_a_socket_goes_beyond_the_largest_size(any_impl, unix_pair):
    ours, peer = unix_pair
    ours._io_refs = sys.maxsize
    stream = any_impl.makefile(ours, "rb")
    assert ours._io_refs == sys.maxsize + 1
    stream.close()
    assert ours._io_refs == sys.maxsize
    ours._io_refs = 0


def test_flush_that_closes_the_stream_again_releases_it_once(impl):
    class Raw(impl.SocketIO):
        flushed = False

        def flush(self):
            if not self.flushed:
                self.flushed = True
                self.close()

    sock = CountedSocket()
    sock._makefile_refs = 2
    raw = Raw(sock, "r")
    raw.close()
    assert raw.closed
    assert sock.told == ["_decref_socketios"]


def test_makefile_that_fails_says_nothing_to_the_sock(impl):
    sock = CountedSocket()
    with pytest.raises(OverflowError):
        impl.makefile(sock, "rb", 1 << 80)
    assert sock._makefile_refs == 0
    assert sock.told == []


def test_half_made_stream_that_is_closed_says_nothing_to_the_sock(impl, monkeypatch):
    def fail(raw, size):
        raw.close()
        raise KeyError("fails")

    sock = CountedSocket()
    monkeypatch.setattr(io, "BufferedReader", fail)
    with pytest.raises(KeyError):
        impl.makefile(sock, "rb")
    assert sock._makefile_refs == 0
    assert sock.told == []


@pytest.mark.parametrize("mode", ["r", "w"])
def test_stream_made_anew_is_closed_as_one_made_directly(impl, unix_pair, mode):
    ours, peer = harness.unix_pair()
    raw = impl.makefile(ours, mode + "b", 0)
    raw.__init__(Bare(), mode)
    raw.close()  # there is nobody to tell
    assert raw._sock is None
    if not PY2:
        ours._io_refs = 0  # nobody took the first file back
    ours.close()
    peer.close()


def test_tell_of_a_stream_from_makefile_is_unsupported(any_impl):
    stream = any_impl.makefile(ScriptedSocket(), "rb")
    with pytest.raises(io.UnsupportedOperation):
        stream.raw.tell()


# --- Exceptions -----------------------------------------------------------------------------------


@pytest.mark.skipif(PY2, reason="2.7's exceptions have no context")
def test_time_out_stays_the_context_of_what_marking_it_raises(any_impl, unix_pair):
    ours, peer = unix_pair
    ours.settimeout(0.01)

    class Raw(any_impl.SocketIO):
        @property
        def _timeout_occurred(self):
            return False

        @_timeout_occurred.setter
        def _timeout_occurred(self, value):
            if value:
                raise KeyError("marking")

    raw = Raw(ours, "r")
    with pytest.raises(KeyError) as caught:
        raw.read(1)
    assert isinstance(caught.value.__context__, socket.timeout)


@pytest.mark.skipif(not hasattr(sys, "unraisablehook"), reason="there is no sys.unraisablehook")
@pytest.mark.parametrize("options", [[], ["-X", "dev"]], ids=["plain", "dev"])
def test_error_of_a_finalizer_is_told_where_the_interpreter_tells_its_own(any_impl, options):
    script = """
told = []
sys.unraisablehook = lambda unraisable: told.append(unraisable.exc_type.__name__)
class Fake(object):
    def _decref_socketios(self):
        raise KeyError("fails")
raw = SocketIO(Fake(), "r")
del raw
print(told)
"""
    if PYPY:
        pytest.skip("PyPy finalises later")
    tells = sys.version_info >= (3, 13) or bool(options) or hasattr(sys, "gettotalrefcount")
    expected = "['KeyError']\n" if tells else "[]\n"
    assert run_script(script, any_impl, options=options) == expected


@pytest.mark.skipif(not hasattr(sys, "unraisablehook"), reason="there is no sys.unraisablehook")
def test_stream_of_a_subclass_without_a_sock_dies_in_silence(impl):
    script = """
told = []
sys.unraisablehook = lambda unraisable: told.append(unraisable.exc_value)
class Raw(SocketIO):
    pass
Raw.__new__(Raw)
SocketIO.__new__(SocketIO)
print(told)
"""
    assert run_script(script, impl, options=["-X", "dev"]) == "[]\n"


# --- References -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Exception ignored")
def test_stream_that_never_had_its_sock_is_flushed_when_it_dies(any_impl):
    class Raw(any_impl.SocketIO):
        @property
        def _sock(self):
            raise KeyError("there is none yet")

        def flush(self):
            flushed.append(self.closed)

    flushed = []
    Raw.__new__(Raw)
    collect_garbage()
    assert flushed[:1] == [False]


def test_exception_on_its_way_while_a_stream_dies_stays(any_impl):
    zero = 0
    with pytest.raises(ZeroDivisionError):
        (any_impl.SocketIO(ScriptedSocket(), "r"), 1 // zero)


@pytest.mark.skipif(PYPY, reason="PyPy finalises later")
def test_value_of_a_field_that_dies_sees_the_next_one(any_impl):
    class Held(object):
        def __del__(self):
            seen.append(raw._timeout_occurred)

    seen = []
    raw = any_impl.SocketIO(ScriptedSocket(), "r")
    raw._timeout_occurred = Held()
    raw._timeout_occurred = "next"
    assert seen == ["next"]


@counted
@pytest.mark.parametrize("make", ["SocketIO", "makefile"])
def test_stream_lets_go_of_all_that_it_holds(impl, make):
    def count():
        gc.collect()
        return [sys.getrefcount(held) for held in (sock, mode, module, impl.SocketIO)]

    sock, mode = CountingSocket(None), "".join("rb")
    module = sys.modules[
        "backports.makefile._" + {"c": "makefile", "python": "fallback"}[impl.name]
    ]
    getattr(impl, make)(sock, mode).close()
    before = count()
    for _ in range(10):
        stream = getattr(impl, make)(sock, mode)
        raw = getattr(stream, "raw", stream)
        raw._mode = raw._timeout_occurred = sock  # whatever it is
        stream.close()
        del raw, stream
    assert count() == before


@pytest.mark.skipif(PYPY or harness.SOCKET_CALLS is None, reason="a wait is seen in /proc")
@pytest.mark.skipif(PY2, reason="2.7 has no allocator that marks what is free")
def test_bytes_of_a_waiting_write_whose_caller_lets_go_of_them_are_sent(impl, monkeypatch):
    script = """
import functools, harness
data = b"x" * 300000
ours, peer = socket.socketpair()
raw = makefile(ours, "wb", 0)
call = functools.partial(raw.write, bytes(bytearray(data)))
peer.settimeout(5)
writer = harness.Worker(call)
writer.wait_until_blocked()
call.__setstate__((raw.write, (b"",), {}, {}))
received = b""
while len(received) < len(data):
    received += peer.recv(1 << 20)
print(received == data, writer.result())
"""
    monkeypatch.setenv("PYTHONMALLOC", "debug")  # which writes over what is freed
    assert run_script(script, impl) == "True 300000\n"


@counted
def test_attribute_of_a_stream_dies_with_it(impl):
    class Held(object):
        pass

    held = Held()
    raw = impl.SocketIO(ScriptedSocket(), "r")
    raw._timeout_occurred = raw.attribute = held
    reference = weakref.ref(held)
    del held
    raw.close()
    assert reference() is not None
    del raw
    collect_garbage()
    assert reference() is None


@counted
@pytest.mark.parametrize("fails", [False, True])
def test_makefile_lets_go_of_its_arguments(impl, fails):
    def call():
        try:
            impl.makefile(
                sock, mode, size, encoding=encoding, errors=errors, newline=newline
            ).close()
        except LookupError:
            assert fails

    sock, mode, size = CountingSocket(None), "".join("rw"), 12345
    encoding, errors = "-".join(["no" if fails else "utf", "8"]), "".join(["re", "place"])
    newline = "".join("\r\n")
    arguments = [sock, mode, size, encoding, errors, newline]
    call()
    gc.collect()
    before = list(map(sys.getrefcount, arguments))
    for _ in range(10):
        call()
    gc.collect()
    assert list(map(sys.getrefcount, arguments)) == before


@pytest.mark.skipif(sys.version_info < (3, 9), reason="before, a stream does not show its type")
def test_collector_sees_the_type_and_the_module_of_a_stream(c_impl):
    class Raw(c_impl.SocketIO):
        pass

    for cls in c_impl.SocketIO, Raw:
        raw = cls(ScriptedSocket(), "r")
        seen = gc.get_referents(raw)
        assert sum(referent is cls for referent in seen) == 1
        assert sys.modules["backports.makefile._makefile"] in seen
