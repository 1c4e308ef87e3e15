"""What the rest of a program sees of contract section 11.

Collecting, finalising, subclasses, interpreters, importing.
"""

import errno
import gc
import io
import os
import select
import socket
import sys
import weakref

import pytest

from conftest import INTERPRETER
from fakes import ScriptedSocket
from running import (  # noqa: F401
    HANGING, PROLOGUE, Worker, is_open, receive_all, run_script, start_script, watchdog,
)

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
NO_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()
# From 3.13 on pytest tells of what sys.unraisablehook was told, the interpreter's own streams'
# complaints among them.
pytestmark = [
    pytest.mark.usefixtures("watchdog"),
    pytest.mark.filterwarnings("ignore:Exception ignored"),
]
# Before 3.12 nothing collects a BufferedRWPair in a cycle with its own raw stream: its owner does
# not show it to the collector.
STREAMS = [("rb", 0), ("rb", None), ("wb", None), ("r", None), ("w", None)]
if sys.version_info >= (3, 12):
    STREAMS += [("rwb", None), ("rw", None)]


def collect():
    gc.collect()
    if PYPY:  # which finalises in stages
        gc.collect()
        gc.collect()


def settle():
    """Have what was dropped finalised."""
    if PYPY:
        collect()


def get_raw(stream):
    """The SocketIO under a stream; a BufferedRWPair does not tell."""
    stream = getattr(stream, "buffer", stream)
    return getattr(stream, "raw", stream)


class TestReentrance(object):
    """A sock's methods may close the stream or the sock, or let go of either, during a call."""

    @pytest.mark.parametrize("act", ["close", "close twice", "forget the sock", "init", "drop"])
    @pytest.mark.parametrize("read", ["readinto", "read", "readall", "readline"])
    def test_read_during_which_the_stream_goes_returns_what_came(self, any_impl, act, read):
        def go():
            if act.startswith("close"):
                raw[0].close()
            if act == "close twice":
                raw[0].close()
            if act == "forget the sock":
                raw[0]._sock = None
            if act == "init":
                raw[0].__init__(ScriptedSocket(), "r")
            if act == "drop":
                del raw[0], fakes[0]
                gc.collect()

        class Acting(ScriptedSocket):
            def recv_into(self, buf):
                if not self.calls:
                    go()
                return ScriptedSocket.recv_into(self, buf)

        fakes = [Acting(b"\n")]
        raw = [any_impl.makefile(fakes[0], "rb", 0)]
        call = getattr(raw[0], read)
        if read == "readinto":
            buf = bytearray(4)
            assert call(buf) == 1 and buf == b"\n\0\0\0"
        elif read == "readall" and act.startswith("close"):
            with pytest.raises(ValueError):
                call()
        elif read == "readall" and act == "forget the sock":
            with pytest.raises(AttributeError):
                call()
        else:
            assert call() == b"\n" if read != "read" else call(4) == b"\n"

    @pytest.mark.parametrize("act", ["close", "forget the sock", "drop"])
    def test_write_during_which_the_stream_goes_returns_what_went(self, any_impl, act):
        class Acting(ScriptedSocket):
            def send(self, data):
                if act == "close":
                    raw[0].close()
                if act == "forget the sock":
                    raw[0]._sock = None
                if act == "drop":
                    del raw[0], fakes[0]
                    gc.collect()
                return ScriptedSocket.send(self, data)

        fakes = [Acting()]
        raw = [any_impl.makefile(fakes[0], "wb", 0)]
        assert raw[0].write(b"data") == 4

    def test_close_inside_recv_into_is_counted_once_and_the_next_read_fails(self, any_impl):
        class Closing(ScriptedSocket):
            def recv_into(self, buf):
                raw.close()
                return ScriptedSocket.recv_into(self, buf)

        fake = Closing(b"data")
        raw = any_impl.makefile(fake, "rb", 0)
        assert raw.read(4) == b"data"
        with pytest.raises(ValueError):
            raw.read(4)
        assert fake.calls.count("_decref_socketios") == 1 and fake._io_refs == 0

    def test_raw_close_inside_recv_into_under_a_buffer_gives_what_came(self, any_impl):
        class Closing(ScriptedSocket):
            def recv_into(self, buf):
                raw.close()
                return ScriptedSocket.recv_into(self, buf)

        fake = Closing(b"data")
        stream = any_impl.makefile(fake, "rb")
        raw = stream.raw
        assert stream.read1(4) == b"data"
        assert stream.closed and fake._io_refs == 0

    def test_socket_closed_for_good_inside_recv_into_gives_its_error(self, any_impl, unix_pair):
        ours, peer = unix_pair

        class Closing(object):
            _io_refs = 0

            def recv_into(self, buf):
                ours.close()
                return ours.recv_into(buf)

            def _decref_socketios(self):
                pass

        raw = any_impl.makefile(Closing(), "rb", 0)
        with pytest.raises(socket.error) as caught:
            raw.read(4)
        assert caught.value.errno == errno.EBADF

    def test_timeout_during_which_the_stream_is_closed_comes_out(self, any_impl):
        def close():
            raw.close()
            raise socket.timeout("timed out")

        raw = any_impl.makefile(ScriptedSocket(close), "rb", 0)
        with pytest.raises(socket.timeout):
            raw.read(4)
        assert raw.closed


def close_for_good(sock):
    """Close the C socket, whatever files there are."""
    if isinstance(sock, socket.socket) and not PY2:
        sock._real_close()
    else:
        getattr(sock, "_sock", sock).close()


class TestThreads(object):
    """Who closes under a blocked read."""

    def test_socket_closed_for_good_under_a_timed_read_gives_an_error_and_no_data(
        self, any_impl, tcp_pair
    ):
        ours, peer = tcp_pair
        ours.settimeout(HANGING)
        raw = any_impl.makefile(ours, "rb", 0)
        reader = Worker(raw.read, 4).wait_until_blocked()
        close_for_good(ours)
        peer.sendall(b"data")  # wakes the wait, which holds the connection
        with pytest.raises(socket.error) as caught:
            reader.get()
        assert caught.value.errno == errno.EBADF

    def test_socket_closed_for_good_under_a_timed_read_the_new_owner_of_its_number_loses_nothing(
        self, any_impl, tcp_pair, unix_pair
    ):
        ours, peer = tcp_pair
        new, new_peer = unix_pair
        new_peer.sendall(b"not yours")
        ours.settimeout(HANGING)
        raw = any_impl.makefile(ours, "rb", 0)
        number = ours.fileno()
        reader = Worker(raw.read, 64).wait_until_blocked()
        close_for_good(ours)
        os.dup2(new.fileno(), number)
        try:
            peer.sendall(b"data")
            with pytest.raises(socket.error) as caught:
                reader.get()
            assert caught.value.errno == errno.EBADF
            assert os.read(number, 64) == b"not yours"
        finally:
            os.close(number)

    def test_stream_closed_under_a_blocked_read_is_released_and_the_read_ends_with_data(
        self, any_impl, tcp_pair
    ):
        ours, peer = tcp_pair
        raw = any_impl.makefile(ours, "rb", 0)
        reader = Worker(raw.read, 4).wait_until_blocked()
        raw.close()
        assert raw.closed and getattr(ours, "_io_refs", 0) == 0
        peer.sendall(b"data")
        assert reader.get() == b"data"
        with pytest.raises(ValueError):
            raw.read(4)

    def test_stream_closed_last_under_a_timed_read_closes_the_socket_once(self, any_impl, tcp_pair):
        ours, peer = tcp_pair
        ours.settimeout(HANGING)
        descriptor = ours.fileno()
        raw = any_impl.makefile(ours, "rb", 0)
        reader = Worker(raw.read, 4).wait_until_blocked()
        ours.close()
        assert is_open(descriptor)
        raw.close()
        peer.sendall(b"data")
        try:
            data = reader.get()
        except socket.error as error:
            assert error.errno == errno.EBADF and not PY2
        else:
            assert data == b"data" and PY2  # there the blocked call itself holds the socket
        del raw
        reader._call = None
        settle()
        assert not is_open(descriptor)

    @pytest.mark.parametrize("timeout", [None, HANGING])
    def test_two_readers_get_all_bytes_between_them(self, any_impl, tcp_pair, timeout):
        ours, peer = tcp_pair
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        readers = [Worker(read_all, raw).wait_until_blocked() for _ in range(2)]
        for _ in range(100):
            peer.sendall(b"x" * 1000)
        peer.shutdown(socket.SHUT_WR)
        assert sum(len(reader.get()) for reader in readers) == 100000


def read_all(raw):
    pieces = []
    while not pieces or pieces[-1]:
        piece = raw.read(777)
        if piece is None and PYPY:
            continue  # its sockets say that nothing is there when another thread was faster
        pieces.append(piece)
    return b"".join(pieces)


class TestCollection(object):
    """Streams in cycles are collected, closed first, and counted down once."""

    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_cycle_through_the_sock_is_collected_and_released(self, any_impl, mode, buffering):
        log = []

        class Fake(object):
            _io_refs = 0

            def _decref_socketios(self):
                log.append("released")

        fake = Fake()
        fake.stream = any_impl.makefile(fake, mode, buffering)
        alive = weakref.ref(fake)
        del fake
        collect()
        assert alive() is None
        assert log == ["released"]

    def test_cycle_through_the_stream_s_own_dict_is_collected_and_released(self, any_impl):
        fake = ScriptedSocket()
        raw = any_impl.makefile(fake, "rb", 0)
        raw.itself = raw
        alive = weakref.ref(raw)
        del raw
        collect()
        assert alive() is None
        assert fake.calls == ["_decref_socketios"]

    @pytest.mark.parametrize(
        "name", ["_sock", "_mode", "_reading", "_writing", "_timeout_occurred"]
    )
    def test_cycle_through_any_attribute_is_collected(self, any_impl, name):
        class Holder(object):
            pass

        raw = any_impl.SocketIO(ScriptedSocket(), "r")
        holder = Holder()
        holder.raw = raw
        setattr(raw, name, holder)
        alive = weakref.ref(holder)
        raw.close = lambda: None  # the holder cannot count
        del raw, holder
        collect()
        assert alive() is None

    @pytest.mark.skipif(NO_GIL, reason="this interpreter keeps classes longer")
    def test_cycle_through_a_subclass_is_collected_with_its_class(self, any_impl):
        class Holding(any_impl.SocketIO):
            pass

        fake = ScriptedSocket()
        Holding.stream = Holding(fake, "r")
        alive = weakref.ref(Holding)
        del Holding
        collect()
        assert alive() is None
        assert fake.calls == ["_decref_socketios"]

    # A dropped BufferedRWPair lets its reader close the stream first.
    @pytest.mark.parametrize("mode", ["wb", "w", "rw"])
    def test_dropped_writer_is_flushed(self, any_impl, tcp_pair, mode):
        ours, peer = tcp_pair
        stream = any_impl.makefile(ours, mode)
        stream.write(b"not flushed" if "b" in mode else u"not flushed")
        ours.close()
        del stream
        settle()
        assert peer.recv(64) == b"not flushed"
        assert peer.recv(64) == b""

    @pytest.mark.skipif(PYPY, reason="PyPy's collector does not show what it sees")
    def test_collector_sees_the_stream_and_through_it(self, any_impl):
        fake = ScriptedSocket()
        raw = any_impl.SocketIO(fake, "r")
        assert gc.is_tracked(raw)
        seen = gc.get_referents(raw)
        for thing in list(seen):
            if isinstance(thing, dict):  # the twin and the interpreter's own keep everything in one
                seen += thing.values()
        assert any(thing is fake for thing in seen)

    def test_finalizer_leaves_the_exception_that_is_being_handled(self, any_impl):
        stream = [any_impl.makefile(ScriptedSocket(), "rb")]
        try:
            raise ZeroDivisionError("being handled")
        except ZeroDivisionError as error:
            stream.pop()
            settle()
            assert sys.exc_info()[1] is error

    def test_failing_finalizer_leaves_the_exception_that_is_on_its_way(self, any_impl):
        class Failing(object):
            _io_refs = 0

            def _decref_socketios(self):
                raise KeyError("in the finalizer")

        def fail():
            stream = any_impl.makefile(Failing(), "rb", 0)
            raise ZeroDivisionError("on its way: %r" % stream.closed)

        with pytest.raises(ZeroDivisionError):
            fail()
        collect()


class TestSubclass(object):
    """A subclass, or an instance, may have attributes, a constructor and a finalizer of its own."""

    def test_instance_takes_attributes_and_weak_references(self, any_impl):
        raw = any_impl.makefile(ScriptedSocket(), "rb", 0)
        raw._response = "anything"
        assert raw._response == "anything"
        if not PY2:  # where io's classes keep theirs to themselves
            assert raw.__dict__["_response"] == "anything"
        del raw._response
        with pytest.raises(AttributeError):
            raw._response
        died = []
        reference = weakref.ref(raw, died.append)
        assert reference() is raw
        del raw
        settle()
        assert died == [reference] and reference() is None

    def test_subclass_with_another_signature_slots_and_a_mixin_works(self, any_impl):
        class Mixin(object):
            def greet(self):
                return "hello from %s" % self.greeting

        class Own(Mixin, any_impl.SocketIO):
            __slots__ = ("greeting",)

            def __init__(self, greeting, *script):
                self.greeting = greeting
                super(Own, self).__init__(ScriptedSocket(*script), "rw")

        raw = Own("me", b"data")
        assert isinstance(raw, any_impl.SocketIO) and isinstance(raw, io.RawIOBase)
        assert raw.greet() == "hello from me"
        raw.other = 1
        assert raw.read(4) == b"data" and raw.write(b"data") == 4
        fake = raw._sock
        raw.close()
        assert fake.calls == ["recv_into", "send", "_decref_socketios"]

    @pytest.mark.skipif(PY2, reason="2.7's io classes have no __del__")
    def test_subclass_with_a_finalizer_that_calls_ours_is_closed_once(self, any_impl):
        class Finalised(any_impl.SocketIO):
            def __del__(self):
                log.append(self.closed)
                super(Finalised, self).__del__()
                log.append(self.closed)

        log = []
        fake = ScriptedSocket()
        raw = Finalised(fake, "r")
        del raw
        collect()
        assert log == [False, True]
        assert fake.calls == ["_decref_socketios"]

    def test_overridden_close_is_what_the_finalizer_calls(self, any_impl):
        class Closing(any_impl.SocketIO):
            def close(self):
                log.append("close")
                super(Closing, self).close()

        log = []
        fake = ScriptedSocket()
        raw = Closing(fake, "r")
        del raw
        collect()
        assert log[0] == "close" and fake.calls == ["_decref_socketios"]

    def test_instance_never_initialised_dies_in_silence(self, any_impl, capfd):
        raw = any_impl.SocketIO.__new__(any_impl.SocketIO)
        assert raw.closed is False
        del raw

        class Failing(any_impl.SocketIO):
            def __init__(self):
                raise ZeroDivisionError("before ours")

        with pytest.raises(ZeroDivisionError):
            Failing()
        if any_impl.name != "interpreter":  # 3.13's own complains of its `_sock`
            collect()
            assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "mode, buffering", [("rb", 0), ("rb", None), ("wb", None), ("r", None)]
    )
    def test_sock_that_brings_its_stream_back_to_life_gets_a_closed_one(
        self, any_impl, mode, buffering
    ):
        class Reviving(object):
            _io_refs = 0

            def _decref_socketios(self):
                saved.append(find())

        saved = []
        stream = any_impl.makefile(Reviving(), mode, buffering)
        find = weakref.ref(get_raw(stream))
        del stream
        collect()
        assert len(saved) == 1
        raw = saved.pop()
        if raw is not None:  # some interpreters' weak references let go before
            assert raw.closed
            raw.close()
            with pytest.raises(ValueError):
                raw.read(1)
        del raw
        collect()
        assert saved == []

    def test_stream_brought_back_to_life_by_its_own_finalizer_works_on(self, any_impl):
        class Reviving(any_impl.SocketIO):
            def __del__(self):
                if not saved:
                    saved.append(self)

        saved = []
        fake = ScriptedSocket(b"data", b"more")
        raw = Reviving(fake, "r")
        assert raw.read(4) == b"data"
        del raw
        collect()
        (raw,) = saved
        if not raw.closed:  # 3.x: our own finalizer was replaced, and it was not called
            assert raw.read(4) == b"more"
            raw.close()
        del saved[:], raw
        saved.append(None)
        collect()
        assert fake.calls.count("_decref_socketios") == 1


class TestBuffers(object):
    """No buffer is held when a call is over, however it ended."""

    @pytest.mark.parametrize(
        "ending", ["data", "end", "nothing", "timeout", "error", "poisoned", "closed"]
    )
    def test_buffer_read_into_can_be_resized_afterwards(self, any_impl, unix_pair, ending):
        ours, peer = unix_pair
        raw = any_impl.makefile(ours, "rb", 0)
        ours.settimeout(0.01 if ending in ("timeout", "poisoned") else 0)
        buf = bytearray(4)
        if ending == "data":
            peer.sendall(b"data")
        elif ending == "end":
            peer.close()
        elif ending == "closed":
            raw.close()
        elif ending == "error":
            close_for_good(ours)
        for _ in range(2 if ending == "poisoned" else 1):
            try:
                raw.readinto(buf)
            except (ValueError, EnvironmentError) as error:
                kept = error  # a kept traceback keeps no buffer either
        if ending in ("timeout", "poisoned", "closed", "error"):
            assert kept
        buf.extend(b"more")
        assert len(buf) == 8

    @pytest.mark.parametrize("as_view", [False, True])
    @pytest.mark.parametrize(
        "ending", ["all", "part", "part of it in time", "nothing", "timeout", "error", "closed"]
    )
    def test_buffer_written_can_be_resized_afterwards(self, any_impl, unix_pair, ending, as_view):
        ours, peer = unix_pair
        raw = any_impl.makefile(ours, "wb", 0)
        ours.settimeout(0.01 if ending == "part of it in time" else 0)
        data = bytearray(1 << 22 if ending.startswith("part") else 4)
        if ending in ("nothing", "timeout"):
            while raw.write(bytearray(1 << 16)):
                pass
            while raw.write(b"."):
                pass
        if ending == "timeout":
            ours.settimeout(0.01)
        elif ending == "closed":
            raw.close()
        elif ending == "error":
            ours.shutdown(socket.SHUT_WR)
        written = memoryview(data) if as_view else data
        kept = None
        try:
            raw.write(written)
        except (ValueError, EnvironmentError) as error:
            kept = error
        if ending in ("timeout", "closed", "error"):
            assert kept
        if as_view and PY2:
            del kept  # its views cannot be released, and a frame of the traceback has this one
            sys.exc_clear()
        elif as_view:
            written.release()
        del written
        data.extend(b"more")
        assert data.endswith(b"more")

    @pytest.mark.skipif(PYPY, reason="its gc.get_referrers() takes twenty seconds")
    def test_memoryview_of_a_buffered_writer_is_not_kept(self, any_impl):
        # It dies when `write` returns: whoever kept it would read freed memory.
        views = []
        fake = ScriptedSocket()
        fake.send = lambda data: views.append(data) or len(data)
        stream = any_impl.makefile(fake, "wb")
        stream.write(b"data")
        stream.flush()
        referrers = [thing for thing in gc.get_referrers(views[0]) if thing is not views]
        assert not any(isinstance(thing, any_impl.SocketIO) for thing in referrers)
        del views[:]
        stream.close()


# What the scripts below import.  It is a module of its own because functions and classes of the
# main module would keep each other and its streams in one great cycle, and what becomes of that at
# the end is the collector's affair: see EXIT_IN_CYCLES.
EXIT_TOOLS = """
import socket
import sys

def connect(name):
    sock = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    sock.sendall(name.encode() + b":")
    return sock

class Fake(object):
    _io_refs = 0
    def __init__(self, sock):
        self.sock = sock
    def send(self, data):
        return self.sock.send(data)
    def _decref_socketios(self):
        self._io_refs -= 1
        self.sock.close()

class Holder(object):
    pass

def open_writer(makefile, name, mode="wb", wrap=lambda sock: sock):
    stream = makefile(wrap(connect(name)), mode)
    stream.write(b"flushed" if "b" in mode else u"flushed")
    return stream

def open_subclass(SocketIO, name):
    class Sub(SocketIO):
        def write(self, data):
            return SocketIO.write(self, data)
        def close(self):
            SocketIO.close(self)
    stream = io.BufferedWriter(Sub(connect(name), "w"))
    stream.write(b"flushed")
    return stream
import io
"""
EXIT = """
sys.path.insert(0, sys.argv[3])
from exit_tools import *

buffered = open_writer(makefile, "buffered")
text = open_writer(makefile, "text", "w")
text_pair = open_writer(makefile, "text pair", "rw")
fake = open_writer(makefile, "fake", wrap=Fake)
text_fake = open_writer(makefile, "text fake", "w", wrap=Fake)
in_list = [{"stream": open_writer(makefile, "list")}]
instance = Holder()
instance.stream = open_writer(makefile, "instance")
subclass = open_subclass(SocketIO, "subclass")
raw = makefile(connect("raw"), "wb", 0)
raw.write(b"flushed")

import types
try:
    import builtins
except ImportError:
    import __builtin__ as builtins
other = types.ModuleType("other")
other.stream = open_writer(makefile, "module")
sys.modules["other"] = other
sys.stream = open_writer(makefile, "sys")
sys.text_stream = open_writer(makefile, "text sys", "w", wrap=Fake)
builtins.stream = open_writer(makefile, "builtins")

closed_sock = connect("closed socket")
on_closed_sock = makefile(closed_sock, "wb")
on_closed_sock.write(b"flushed")
closed_sock.close()

timed_sock = connect("timeout")
timed_sock.settimeout(10)
on_timed_sock = makefile(timed_sock, "wb")
on_timed_sock.write(b"flushed")

poisoned_sock = connect("poisoned")
poisoned_sock.settimeout(0.001)
poisoned = makefile(poisoned_sock, "rw")
try:
    poisoned.read(1)
except socket.timeout:
    pass
poisoned.write(u"flushed")
"""
EXIT_CASES = ["buffered", "text", "text pair", "fake", "text fake", "list", "instance", "subclass",
              "raw", "closed socket", "timeout", "poisoned", "module", "sys", "text sys",
              "builtins"]
EXIT_IN_CYCLES = """
import types
try:
    import builtins
except ImportError:
    import __builtin__ as builtins
""" + EXIT_TOOLS + """
def keep():  # and with it all that is global here
    return None

pair = open_writer(makefile, "pair", "rwb")
buffered = open_writer(makefile, "buffered")
text_pair = open_writer(makefile, "text pair", "rw")
fake = open_writer(makefile, "fake", "w", wrap=Fake)
cycle = [open_writer(makefile, "cycle")]
cycle.append(cycle)
lost_cycle = [open_writer(makefile, "lost cycle")]
lost_cycle.append(lost_cycle)
del lost_cycle
sock = connect("global socket")
on_sock = makefile(sock, "wb")
on_sock.write(b"flushed")

class Class(object):
    stream = open_writer(makefile, "class")

other = types.ModuleType("other")
other.stream = open_writer(makefile, "module")
sys.modules["other"] = other
sys.stream = open_writer(makefile, "sys")
builtins.stream = open_writer(makefile, "builtins")
subclass = open_subclass(SocketIO, "subclass")
reader = makefile(connect("reader"), "rb")
reader_cycle = [makefile(connect("reader cycle"), "r")]
reader_cycle.append(reader_cycle)
"""
CYCLE_CASES = ["pair", "buffered", "text pair", "fake", "cycle", "lost cycle", "global socket",
               "class", "module", "sys", "builtins", "subclass", "reader", "reader cycle"]


class TestExit(object):
    """Streams that are open at the interpreter's end: nothing of ours is gone before them."""

    @pytest.mark.skipif(
        NO_GIL,
        reason="the collector of this interpreter closes sockets before their streams, whoever "
        "made them",
    )
    def test_writers_open_at_the_end_are_flushed_and_closed_in_silence(self, any_impl, tmpdir):
        tmpdir.join("exit_tools.py").write(EXIT_TOOLS)
        received, complaints = run_to_the_end(any_impl, EXIT, len(EXIT_CASES), str(tmpdir))
        assert received == dict.fromkeys(EXIT_CASES, b"flushed")
        assert complaints == []

    @pytest.mark.skipif(
        PY2 or not INTERPRETER, reason="there is no stream of the interpreter's own to compare with"
    )
    @pytest.mark.skipif(NO_GIL, reason="the collector of this interpreter follows no order")
    def test_writers_in_cycles_at_the_end_fare_as_the_interpreter_s_own(self, impl):
        assert run_to_the_end(impl, EXIT_IN_CYCLES, len(CYCLE_CASES)) == run_to_the_end(
            INTERPRETER[0], EXIT_IN_CYCLES, len(CYCLE_CASES)
        )

    @pytest.mark.skipif(not PY2, reason="this is for where there is nothing to compare with")
    def test_2_7_writers_in_cycles_at_the_end_do_no_harm(self, impl):
        received, complaints = run_to_the_end(impl, EXIT_IN_CYCLES, len(CYCLE_CASES))
        assert sorted(received) == sorted(CYCLE_CASES)
        assert complaints == []


def run_to_the_end(implementation, script, connections, *arguments):
    """Run a script to its end: what it sent, by name, and the kinds of exceptions it complained of.

    Each of its connections begins with a name and a colon; the complaints are those of its end.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    listener.settimeout(HANGING)
    process = start_script(
        script, implementation, [str(listener.getsockname()[1])] + list(arguments)
    )
    complaints = process.communicate()[1].splitlines()
    assert process.returncode == 0, complaints
    received = {}
    for _ in range(connections):
        connection = listener.accept()[0]
        connection.settimeout(HANGING)
        name, _, rest = receive_all(connection).partition(b":")
        connection.close()
        received[name.decode()] = rest
    listener.close()
    return received, sorted(
        line.partition(":")[0] for line in complaints if not line.startswith((" ", "Traceback"))
    )


INTERPRETERS = """
import threading

code = '''if 1:
    import sys
    import warnings
    warnings.simplefilter("ignore")  # of sockets that were never closed
    sys.argv = ["", %r, "x"]
    %s
    import socket
    ours, peer = socket.socketpair()
    with makefile(ours, "rw", encoding="ascii", newline="\\\\n") as stream:
        stream.write(u"out\\\\n")
        stream.flush()
        assert peer.recv(64) == b"out\\\\n"
        peer.sendall(b"in\\\\n")
        assert stream.readline() == "in\\\\n"
        assert stream.buffer.readable()
    raw = makefile(ours, "rb", 0)
    assert isinstance(raw, SocketIO) and isinstance(raw, socket.SocketIO)
    ours.settimeout(0.001)
    try:
        raw.read(1)
    except socket.timeout:
        pass
    else:
        raise AssertionError("no timeout")
    raw.cycle = raw
    left = socket.socket(fileno=os.dup(%d))
    writer = makefile(left, "wb")
    writer.write(b"left open;")
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        # The collector of such an interpreter closes sockets before their streams, whoever made
        # them.
        writer.flush()
    cycle = [makefile(left, "rb")]
    cycle.append(cycle)
    ours.close()
    peer.close()
'''
read_end, write_end = socket.socketpair()
code %= (sys.argv[1], sys.argv[2].replace("\\n", "\\n    "), write_end.fileno())

def run_shared():
    import _testcapi
    assert _testcapi.run_in_subinterp(code) == 0

def run_own():
    if sys.version_info >= (3, 13):
        import _interpreters
        interpreter = _interpreters.create("isolated")
        failure = _interpreters.exec(interpreter, code)
        _interpreters.destroy(interpreter)
        assert failure is None, failure
    else:
        import _xxsubinterpreters
        interpreter = _xxsubinterpreters.create(isolated=True)
        _xxsubinterpreters.run_string(interpreter, code)
        _xxsubinterpreters.destroy(interpreter)

run = {"shared": run_shared, "own": run_own}[sys.argv[3]]
rounds = 3
for _ in range(rounds):
    ours, peer = socket.socketpair()
    with makefile(ours, "rwb", 0) as stream:
        run()
        assert stream.write(b"main") == 4 and peer.recv(64) == b"main"
    ours.close()
    peer.close()
if sys.argv[3] == "own":
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rounds += 4
write_end.close()
received = b""
while True:
    piece = read_end.recv(1 << 16)
    if not piece:
        break
    received += piece
assert received.count(b"left open;") == rounds, received
read_end.close()
print("done")
"""


class TestInterpreters(object):
    """Several interpreters in one process, in turn and at once.

    Each has its own module and its own streams.
    """

    @pytest.mark.skipif(
        PY2 or PYPY, reason="this interpreter has no way to make another from Python"
    )
    def test_subinterpreters_in_turn_work_and_finalise_their_streams(self, any_impl):
        pytest.importorskip("_testcapi")
        assert run_interpreters(any_impl, "shared") == "done\n"

    @pytest.mark.skipif(
        sys.version_info < (3, 12) or PYPY, reason="this interpreter has one GIL for all"
    )
    def test_subinterpreters_with_their_own_gil_work_at_once(self, any_impl):
        assert run_interpreters(any_impl, "own") == "done\n"


def run_interpreters(implementation, kind):
    return run_script(INTERPRETERS, implementation, [PROLOGUE, kind])


RELOAD = """
try:
    reload
except NameError:
    from importlib import reload
import backports.makefile

def check(stream, peer):
    assert stream.write(b"out") == 3 and peer.recv(64) == b"out"
    peer.sendall(b"in")
    assert stream.read(64) == b"in"

def check_new(module):
    ours, peer = socket.socketpair()
    with module.backport_makefile(ours, "rwb", 0) as stream:
        assert isinstance(stream, module.SocketIO), (type(stream), module.SocketIO)
        check(stream, peer)
    ours.close()
    peer.close()

ours, peer = socket.socketpair()
stream = makefile(ours, "rwb", 0)
lost = makefile(ours, "wb")
lost.write(b"flushed later")
Sub = type("Sub", (SocketIO,), {})
sub = Sub(ours, "rw")
for _ in range(3):
    for name in sorted(sys.modules):
        if name.startswith("backports.makefile") and sys.modules[name] is not None:
            reloaded = reload(sys.modules[name])
            if hasattr(reloaded, "SocketIO"):
                check_new(reloaded)
    check(stream, peer)
    check(sub, peer)
for _ in range(3):
    for name in sorted(sys.modules):
        if name.startswith("backports"):
            del sys.modules[name]
    import gc
    gc.collect()
    check_new(importlib.import_module(modules[sys.argv[1]]))
    check_new(importlib.import_module("backports.makefile"))
    check(stream, peer)
    check(sub, peer)
del module
gc.collect()
check(makefile(ours, "rwb", 0), peer)
lost.close()
assert peer.recv(64) == b"flushed later"
stream.close()
sub.close()
print("done")
"""

THREADS = """
import threading
N = 8
start = threading.Event()
found, failed = [], []

def load():
    start.wait()
    try:
        package = importlib.import_module("backports.makefile")
        module = importlib.import_module(modules[sys.argv[1]])
        ours, peer = socket.socketpair()
        with module.backport_makefile(ours, "rwb", 0) as stream:
            stream.write(b"data")
            assert peer.recv(64) == b"data"
        ours.close()
        peer.close()
        found.append((package, package.SocketIO, package.backport_makefile, module.SocketIO,
                      module.backport_makefile))
    except BaseException as error:
        failed.append(error)

for name in list(sys.modules):
    if name.startswith("backports"):
        del sys.modules[name]
del module
threads = [threading.Thread(target=load) for _ in range(N)]
for thread in threads:
    thread.start()
start.set()
for thread in threads:
    thread.join()
assert not failed, failed
assert len(found) == N and all(all(a is b for a, b in zip(one, found[0])) for one in found)
print("done")
"""


class TestImport(object):
    def test_reload_and_import_anew_leave_old_streams_working(self, impl):
        assert run_script(RELOAD, impl) == "done\n"

    def test_import_in_several_threads_at_once_gives_one_module(self, impl):
        assert run_script(THREADS, impl) == "done\n"
