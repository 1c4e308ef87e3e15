"""Contract section 10: where the interpreter's versions differ, we follow the one we run on.

The facts, as the tests below expect them, each with the versions from which it holds; each was
seen on the interpreter's own streams.

- 2.7: errors are IOError and socket.error; a raw `read` gives None for "would block"
- 3.8 in dev mode, 3.13: what fails in a finalizer goes to sys.unraisablehook; else it is dropped in
  silence
- 3.10: socket.timeout is TimeoutError, so ETIMEDOUT poisons reads like a timeout of the socket's
  own
- 3.10: "would block" of a delegated call is told by the error's `errno`; before by its first
  argument
- 3.10: text streams warn, if asked to, about an encoding that was left to the locale
- 3.14: io.DEFAULT_BUFFER_SIZE is 128 KiB; what fails in a finalizer is reported with the file's
  repr
- 3.15: `read` of a size that no object has is an OverflowError; a buffer that is kept exported
  stays
"""

import errno
import io
import socket
import sys

import pytest

from fakes import ScriptedSocket
from running import run_script

VERSION = sys.version_info
PY2 = VERSION[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
# Would-block errors as a fake may make them: the error, and whether its first argument and its
# errno say EAGAIN.
ERRORS = [
    (lambda: socket.error(errno.EAGAIN, "both"), True, True),
    (lambda: socket.error(errno.EAGAIN), True, False),
    (lambda: socket.error(errno.EPIPE, "neither"), False, False),
    (lambda: socket.error("text", errno.EAGAIN), False, False),
    (lambda: with_errno(socket.error(errno.EPIPE, "errno only"), errno.EAGAIN), False, True),
    (lambda: with_errno(socket.error(errno.EAGAIN, "argument only"), errno.EPIPE), True, False),
]
if not PY2:
    ERRORS += [
        (lambda: BlockingIOError(errno.EAGAIN, "both"), True, True),
        (lambda: BlockingIOError("text"), False, False),
        (lambda: PermissionError(errno.EAGAIN), True, False),
    ]


def with_errno(error, number):
    error.errno = number
    return error


class TestTimeoutError(object):
    """From 3.10 on socket.timeout is TimeoutError, and so is what ETIMEDOUT raises."""

    def test_delegated_etimedout_poisons_reads_where_it_is_a_timeout(self, any_impl):
        raw = any_impl.SocketIO(
            ScriptedSocket(socket.error(errno.ETIMEDOUT, "by the peer"), b"data"), "r"
        )
        with pytest.raises(socket.error) as caught:
            raw.read(4)
        assert caught.value.errno == errno.ETIMEDOUT
        if VERSION >= (3, 10):
            with pytest.raises(OSError) as caught:
                raw.read(4)
            assert caught.value.args == ("cannot read from timed out object",)
        else:
            assert raw.read(4) == b"data"

    @pytest.mark.skipif(PY2, reason="2.7 has no TimeoutError")
    def test_delegated_timeout_error_poisons_reads_where_it_is_the_socket_s(self, any_impl):
        raw = any_impl.SocketIO(ScriptedSocket(TimeoutError("the fake's own"), b"data"), "r")
        with pytest.raises(TimeoutError) as caught:
            raw.read(4)
        assert caught.value.args == ("the fake's own",)
        if VERSION >= (3, 10):
            with pytest.raises(OSError) as caught:
                raw.read(4)
            assert caught.value.args == ("cannot read from timed out object",)
        else:
            assert raw.read(4) == b"data"


class TestWouldBlock(object):
    """A delegated call would block: before 3.10 by the first argument, from then on by errno."""

    @pytest.mark.parametrize("make, by_argument, by_errno", ERRORS)
    def test_delegated_read_gives_none_by_the_interpreter_s_rule(
        self, any_impl, make, by_argument, by_errno
    ):
        error = make()
        raw = any_impl.SocketIO(ScriptedSocket(error), "r")
        if by_errno if VERSION >= (3, 10) else by_argument:
            assert raw.readinto(bytearray(4)) is None
        else:
            with pytest.raises(type(error)) as caught:
                raw.readinto(bytearray(4))
            assert caught.value is error

    @pytest.mark.parametrize("make, by_argument, by_errno", ERRORS)
    def test_delegated_write_gives_none_by_the_interpreter_s_rule(
        self, any_impl, make, by_argument, by_errno
    ):
        error = make()
        fake = ScriptedSocket()

        def send(data):
            raise error

        fake.send = send
        raw = any_impl.SocketIO(fake, "w")
        if by_errno if VERSION >= (3, 10) else by_argument:
            assert raw.write(b"data") is None
        else:
            with pytest.raises(type(error)) as caught:
                raw.write(b"data")
            assert caught.value is error

    @pytest.mark.parametrize(
        "make", [socket.error, socket.timeout, lambda: with_errno(socket.error(), errno.EPIPE)]
    )
    def test_delegated_error_without_arguments_comes_through(self, impl, make):
        # Before 3.10 the interpreter's own makes an IndexError of it.
        error = make()
        fake = ScriptedSocket(error)
        fake.send = fake.recv_into
        with pytest.raises(type(error)) as caught:
            impl.SocketIO(fake, "r").readinto(bytearray(4))
        assert caught.value is error
        fake.script.append(error)
        with pytest.raises(type(error)) as caught:
            impl.SocketIO(fake, "w").write(bytearray(b"data"))
        assert caught.value is error


FINALIZER = """
import gc
class Fake(object):
    _io_refs = 0
    def _decref_socketios(self):
        raise ZeroDivisionError("in the finalizer")
    def send(self, data):
        raise ZeroDivisionError("in the finalizer")

seen = []
if hasattr(sys, "unraisablehook"):
    sys.unraisablehook = lambda unraisable: seen.append(unraisable.exc_type)
try:
    from StringIO import StringIO
except ImportError:
    from io import StringIO
stderr, sys.stderr = sys.stderr, StringIO()
for mode, buffering in (("rb", 0), ("wb", 0), ("rb", 8), ("wb", 8), ("r", 8)):
    for cycle in (False, True):
        stream = makefile(Fake(), mode, buffering)
        if cycle:
            loop = [stream]
            loop.append(loop)
            del loop
        del stream
        gc.collect()
        gc.collect()
        alike = all(error is ZeroDivisionError for error in seen)
        print("%s %s %s %d %s" % (mode, buffering, cycle, len(seen), alike))
        del seen[:]
complaint = sys.stderr.getvalue()
sys.stderr = stderr
print(repr(complaint))
"""


class TestFinalizer(object):
    def run(self, implementation, options):
        lines = run_script(FINALIZER, implementation, options=options).splitlines()
        counts = [int(line.split()[3]) for line in lines[:-1]]
        assert len(counts) == 10
        assert all(line.endswith("True") for line in lines[:-1])
        assert lines[-1] == "''"
        return counts

    @pytest.mark.skipif(PYPY, reason="PyPy has a way of its own")
    def test_error_in_a_finalizer_is_reported_from_3_13_on(self, any_impl):
        counts = self.run(any_impl, [])
        reports = VERSION >= (3, 13) or hasattr(sys, "gettotalrefcount") and VERSION >= (3, 8)
        assert [count > 0 for count in counts] == [reports] * 10

    @pytest.mark.skipif(
        VERSION < (3, 8) or PYPY, reason="this interpreter has no sys.unraisablehook"
    )
    def test_error_in_a_finalizer_is_reported_in_dev_mode(self, any_impl):
        counts = self.run(any_impl, ["-X", "dev"])
        assert [count > 0 for count in counts] == [True] * 10


MESSAGE = """
class Fake(object):
    _io_refs = 0
    def _decref_socketios(self):
        raise ZeroDivisionError("in the finalizer")

sys.unraisablehook = lambda unraisable: print(unraisable.err_msg)
stream = makefile(Fake(), "rb", 0)
del stream
import gc
gc.collect()
"""


class TestFinalizerMessage(object):
    @pytest.mark.skipif(VERSION < (3, 14) or PYPY, reason="before 3.14 the message tells no file")
    def test_error_in_a_finalizer_is_reported_with_the_file(self, any_impl):
        said = run_script(MESSAGE, any_impl).splitlines()
        assert said[0].startswith("Exception ignored while finalizing file <")


ENCODING = """
import warnings
class Fake(object):
    _io_refs = 0
    def _decref_socketios(self): pass
fake = Fake()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    makefile(fake, "r").close()
    here = sys._getframe().f_lineno - 1
    makefile(fake, "r", encoding="utf-8").close()
    makefile(fake, "rb").close()
for warning in caught:
    print("%s %s" % (warning.category.__name__, warning.lineno == here))
"""


class TestTextEncoding(object):
    @pytest.mark.skipif(VERSION < (3, 10), reason="this interpreter has no EncodingWarning")
    def test_encoding_left_out_warns_at_the_caller_if_asked_to(self, any_impl):
        assert (
            run_script(ENCODING, any_impl, options=["-X", "warn_default_encoding"])
            == "EncodingWarning True\n"
        )

    def test_encoding_left_out_says_nothing_otherwise(self, any_impl):
        assert run_script(ENCODING, any_impl) == ""

    @pytest.mark.skipif(PY2, reason="there is no stream of the interpreter's own to compare with")
    def test_read_write_text_stream_loses_what_io_loses(self, impl):
        # Decoded input is dropped by a write before the interpreter's fix of its issue 80109:
        # inherited, as everything in io.
        assert run_dialogue(impl.makefile) == run_dialogue(socket.socket.makefile)


def run_dialogue(makefile):
    """What a text stream for both directions reads, with writes between its reads."""
    fake = ScriptedSocket(b"one\ntwo\nthree\n", b"four\nfive\n")
    stream = makefile(fake, "rw", encoding="ascii", newline="\n")
    heard = []
    for number in range(6):
        heard.append(stream.readline())
        if number % 2:
            stream.write("word\n")
            stream.flush()
    stream.close()
    return heard, fake.sent


class TestNumbers(object):
    def test_default_buffer_size_is_the_interpreter_s(self, any_impl):
        fake = ScriptedSocket(b"x")
        any_impl.makefile(fake, "rb").peek(1)
        assert fake.requests == [io.DEFAULT_BUFFER_SIZE]
        assert io.DEFAULT_BUFFER_SIZE == (8192 if VERSION < (3, 14) else 131072)

    @pytest.mark.skipif(not PY2, reason="for 2.7")
    def test_2_7_raises_its_own_errors(self, impl, unix_pair):
        ours = unix_pair[0]
        ours.settimeout(0.01)
        raw = impl.makefile(ours, "rb", 0)
        with pytest.raises(socket.timeout) as caught:
            raw.read(4)
        assert issubclass(socket.timeout, socket.error) and type(caught.value) is socket.timeout
        with pytest.raises(IOError) as caught:
            raw.read(4)
        assert type(caught.value) is IOError
        with pytest.raises(IOError):
            raw.write(b"data")
        ours.close()
        with pytest.raises(socket.error) as caught:
            impl.makefile(ours, "wb", 0).write(b"data")
        assert type(caught.value) is socket.error and caught.value.errno == errno.EBADF
