"""The counter and arguments are looked up while other code runs: threads, setters, odd keys."""

import _socket
import socket
import sys
import threading

import pytest

from fakes import OddKey, ScriptedSocket

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
NO_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()


class Bare(object):
    """A socket-like class that is only counted."""

    _makefile_refs = 0

    def recv_into(self, buf):
        return 0

    def close(self):
        pass


@pytest.mark.skipif(
    NO_GIL or PYPY, reason="two threads may come between the halves of `+= 1` there"
)
def test_streams_made_by_many_threads_over_a_class_that_is_only_counted_are_all_counted(c_impl):
    sock, made, each = Bare(), [], 500
    name = "checkinterval" if PY2 else "switchinterval"
    old = getattr(sys, "get" + name)()
    getattr(sys, "set" + name)(1 if PY2 else 1e-5)
    try:
        threads = [
            threading.Thread(
                target=lambda: made.extend(c_impl.makefile(sock, "rb", 0) for _ in range(each))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        getattr(sys, "set" + name)(old)
    assert len(made) == sock._makefile_refs == 4 * each


class Stop(BaseException):
    """What is no error, as KeyboardInterrupt is none."""


def test_what_the_counter_raises_in_close_comes_out(impl):
    class Counted(Bare):
        def get(self):
            return self.__dict__.get("count", 0)

        def set(self, count):
            if count < self.get():
                raise Stop
            self.__dict__["count"] = count

        _makefile_refs = property(get, set)

    sock = Counted()
    stream = impl.makefile(sock, "rb", 0)
    assert sock._makefile_refs == 1
    with pytest.raises(Stop):
        stream.close()
    assert stream.closed


def test_what_is_no_error_comes_out_of_a_makefile_that_fails(impl):
    class Counted(Bare):
        count = 0

        def get(self):
            return self.count

        def set(self, count):
            if count < self.count:
                raise Stop
            self.count = count

        _makefile_refs = property(get, set)

    with pytest.raises(Stop):
        impl.makefile(Counted(), "r", 0)  # unbuffered text is a ValueError


@pytest.mark.skipif(PY2, reason="2.7's classes of sockets have no such counter")
@pytest.mark.skipif(PYPY, reason="refuses such a key")
def test_key_that_cannot_be_compared_does_not_come_between(any_impl, unix_pair):
    def refuse():
        raise ZeroDivisionError

    key = OddKey("_decref_socketios", refuse)
    cls = type("Odd", (_socket.socket,), {"__slots__": ("_io_refs", "_closed"), key: 1})
    sock = cls(fileno=unix_pair[0].detach())
    sock._io_refs, sock._closed = 0, False
    key.armed = True
    stream = any_impl.makefile(sock, "rb", 0)
    assert sock._io_refs == 1
    key.armed = False
    stream._sock = None
    sock.close()


@pytest.mark.skipif(PY2, reason="2.7's exceptions have no context")
def test_contexts_that_are_a_cycle_already_are_followed_once(impl):
    if sys.version_info < (3, 10) and impl.name != "c":
        pytest.skip("3.9.2 itself hangs")
    outer, first, second = KeyError("outer"), KeyError("first"), KeyError("second")

    class Stream(impl.SocketIO):
        def flush(self):
            outer.__context__, first.__context__, second.__context__ = first, second, first
            raise outer

    class Sock(ScriptedSocket):
        def _decref_socketios(self):
            raise IndexError

    raw = Stream(Sock(), "w")
    try:
        raw.close()
    except IndexError as error:
        second.__context__ = None  # before anything else is raised
        caught = error
    assert caught.__context__ is outer and outer.__context__ is first


def test_dict_of_keywords_that_is_emptied_by_a_comparison_does_no_harm(impl, run_script):
    # In a process of its own: it was a crash.
    printed = run_script(
        impl,
        """
class Fake(object):
    def _decref_socketios(self):
        pass

class Mode(str):
    def __hash__(self):
        return hash("mode")
    def __eq__(self, other):
        d.clear()
        return True

d = {"sock": Fake(), Mode("mode"): "r"}
try:
    raw = SocketIO(**d)
    assert type(raw._sock) is Fake
except TypeError:
    pass
print("done")
""",
    )
    assert printed.strip() == "done"


def test_size_that_is_no_size_is_refused_in_the_interpreters_words(impl):
    if not hasattr(socket, "SocketIO"):
        pytest.skip("there is no other to compare with")

    def refusal(raw_type):
        with pytest.raises(OverflowError) as caught:
            raw_type(ScriptedSocket(b"data"), "r").read(2 ** 64)
        return str(caught.value)

    assert refusal(impl.SocketIO) == refusal(socket.SocketIO)
