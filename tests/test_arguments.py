"""Contract section 2: what makefile makes of its arguments, and what a failed call leaves."""

import io
import itertools
import platform
import sys

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fakes import ScriptedSocket, collect_garbage
from running import get_examples

# The six kinds of stream over a buffer, each with the type of the object that makefile returns.
BUFFERED_KINDS = [
    ("rb", io.BufferedReader),
    ("wb", io.BufferedWriter),
    ("rwb", io.BufferedRWPair),
    ("r", io.TextIOWrapper),
    ("w", io.TextIOWrapper),
    ("rw", io.TextIOWrapper),
]
# A codec that turns bytes to bytes, which 2.7 lets through; and no name of an error handler, which
# PyPy lets through.
NOT_TEXT = {"encoding": "hex" if sys.version_info > (3,) else "no-such-codec"}
NO_ERRORS = {"errors": 5} if platform.python_implementation() != "PyPy" else {"newline": 5}
NEWLINES = [None, "", "\n", "\r", "\r\n"]
LINES = u"one\rtwo\r\nthree\nfour"


class Unseekable(io.BytesIO):
    """Memory to write to, which gets no byte order mark.

    In it, as in a socket, nobody can tell where a text begins.
    """

    def seekable(self):
        return False


def get_buffer(stream):
    """The object that `stream` buffers bytes in."""
    return stream.buffer if isinstance(stream, io.TextIOWrapper) else stream


def measure_reads(stream, sock):
    """How many bytes the stream asks its socket for when its buffer is empty."""
    get_buffer(stream).peek(1)
    return sock.requests[-1]


def measure_writes(stream, sock):
    """How many bytes the stream keeps before it sends some."""
    buffer = get_buffer(stream)
    kept = 0
    while not sock.sent:
        buffer.write(b"x")
        kept += 1
    return kept - 1


def expect_stream(implementation, letters, buffering=None):
    """The (type, readable, writable) that a valid mode of these letters must give."""
    writing = "w" in letters
    reading = "r" in letters or not writing
    if "b" not in letters:
        return io.TextIOWrapper, reading, writing
    if buffering == 0:
        return implementation.SocketIO, reading, writing
    if reading and writing:
        return io.BufferedRWPair, True, True
    return (io.BufferedReader if reading else io.BufferedWriter), reading, writing


def describe(stream):
    return type(stream), stream.readable(), stream.writable()


# The mode


@pytest.mark.parametrize(
    "container", [str, list, tuple, set, dict.fromkeys], ids=["str", "list", "tuple", "set", "dict"]
)
def test_mode_every_combination_of_rwb_gives_its_stream(any_impl, container):
    for length in range(5):
        for letters in itertools.product("rwb", repeat=length):
            mode = "".join(letters) if container is str else container(letters)
            with any_impl.makefile(ScriptedSocket(), mode) as stream:
                assert describe(stream) == expect_stream(any_impl, letters), mode


@pytest.mark.parametrize("mode", ["", "rr", "br", "wr", "bb", "b", "wbr"])
def test_mode_named_in_the_contract_reads_and_writes_as_it_says(any_impl, mode):
    sock = ScriptedSocket(b"spam")
    with any_impl.makefile(sock, mode) as stream:
        if stream.writable():
            stream.write(b"eggs" if "b" in mode else u"eggs")
            stream.flush()
        if stream.readable():
            assert stream.read() == (b"spam" if "b" in mode else u"spam")
    assert sock.sent == ([b"eggs"] if "w" in mode else [])


@pytest.mark.parametrize(
    "mode",
    ["rt", "t", "r+", "U", "rU", "a", "R", "rwx", " r", "r\0", ["r", "t"], ("rb",), {"x"}, [1]],
)
def test_mode_other_letter_refused_with_its_repr(any_impl, mode):
    sock = ScriptedSocket()
    with pytest.raises(ValueError) as caught:
        any_impl.makefile(sock, mode)
    assert type(caught.value) is ValueError
    assert str(caught.value) == "invalid mode %r (only r, w, b allowed)" % (mode,)
    assert sock._io_refs == 0


@pytest.mark.parametrize("mode", [None, 5, 2.5, object(), len])
def test_mode_not_iterable_gives_the_type_error_of_iterating_it(any_impl, mode):
    sock = ScriptedSocket()
    with pytest.raises(TypeError) as expected:
        set(mode)
    with pytest.raises(TypeError) as caught:
        any_impl.makefile(sock, mode)
    assert str(caught.value) == str(expected.value)
    assert sock._io_refs == 0


def test_mode_of_unhashable_letters_gives_the_type_error_of_hashing_them(any_impl):
    with pytest.raises(TypeError) as expected:
        hash([])
    with pytest.raises(TypeError) as caught:
        any_impl.makefile(ScriptedSocket(), [["r"]])
    # 3.14 says more than hash() does
    assert str(expected.value) in str(caught.value)


def test_mode_whose_iteration_raises_lets_that_error_out(any_impl):
    class Mode(object):
        def __iter__(self):
            raise KeyError("mode")

    with pytest.raises(KeyError):
        any_impl.makefile(ScriptedSocket(), Mode())


def test_mode_iterator_is_used_up_by_its_test(any_impl):
    """`set(mode)` leaves nothing for `"w" in mode`, so what is left means reading text."""
    mode = iter(["w", "b"])
    with any_impl.makefile(ScriptedSocket(), mode) as stream:
        assert describe(stream) == (io.TextIOWrapper, True, False)
        assert stream.mode is mode


@pytest.mark.skipif(sys.version_info < (3,), reason="bytes is str on 2.7")
def test_mode_bytes_refused_as_the_ints_they_are(any_impl):
    with pytest.raises(ValueError) as caught:
        any_impl.makefile(ScriptedSocket(), b"rb")
    assert str(caught.value) == "invalid mode b'rb' (only r, w, b allowed)"
    # set(b"") passes the test, and then "w" is looked for in bytes
    with pytest.raises(TypeError):
        any_impl.makefile(ScriptedSocket(), b"")


def test_mode_str_and_unicode_mean_the_same(any_impl):
    for letters in ["", "r", "w", "rb", "wb", "rwb", "rw"]:
        for mode in (str(letters), letters.encode("ascii").decode("ascii")):
            with any_impl.makefile(ScriptedSocket(), mode) as stream:
                assert describe(stream) == expect_stream(any_impl, letters)


def test_mode_unicode_with_another_letter_refused_with_its_repr(any_impl):
    with pytest.raises(ValueError) as caught:
        any_impl.makefile(ScriptedSocket(), u"r\u0436")
    assert str(caught.value) == "invalid mode %r (only r, w, b allowed)" % (u"r\u0436",)


def test_mode_refused_before_the_socket_is_touched_or_the_rest_is_looked_at(any_impl):
    with pytest.raises(ValueError):
        any_impl.makefile(object(), "rt", "8", encoding=5, errors=5, newline=5)


def test_mode_any_text_passes_exactly_if_its_letters_are_rwb(any_impl):

    @settings(max_examples=get_examples(200), deadline=None)
    @given(
        st.one_of(st.text("rwb", max_size=6), st.text("rwbtaxU+ ", max_size=6), st.text(max_size=4))
    )
    def check(mode):
        sock = ScriptedSocket()
        if set(mode) <= set("rwb"):
            with any_impl.makefile(sock, mode) as stream:
                assert describe(stream) == expect_stream(any_impl, mode)
        else:
            with pytest.raises(ValueError) as caught:
                any_impl.makefile(sock, mode)
            assert caught.value.args == ("invalid mode %r (only r, w, b allowed)" % (mode,),)

    check()


# The buffering


@pytest.mark.parametrize("buffering", [None, -1, -5, -2.5, -2 ** 64])
@pytest.mark.parametrize("mode, kind", BUFFERED_KINDS)
def test_buffering_none_or_negative_reads_the_default_size_at_call_time(
    any_impl, monkeypatch, mode, kind, buffering
):
    monkeypatch.setattr(io, "DEFAULT_BUFFER_SIZE", 17)
    sock = ScriptedSocket()
    with any_impl.makefile(sock, mode, buffering) as stream:
        if stream.readable():
            assert measure_reads(stream, sock) == 17
        if stream.writable():
            assert measure_writes(stream, sock) == 17


def test_buffering_left_out_gives_the_default_size(any_impl):
    sock = ScriptedSocket()
    with any_impl.makefile(sock, "rb") as stream:
        assert measure_reads(stream, sock) == io.DEFAULT_BUFFER_SIZE


def test_buffering_default_size_that_is_no_size_fails_only_if_it_is_needed(any_impl, monkeypatch):
    monkeypatch.setattr(io, "DEFAULT_BUFFER_SIZE", "8192")
    any_impl.makefile(ScriptedSocket(), "rb", 5).close()
    with pytest.raises(TypeError):
        any_impl.makefile(ScriptedSocket(), "rb")
    monkeypatch.delattr(io, "DEFAULT_BUFFER_SIZE")
    any_impl.makefile(ScriptedSocket(), "rb", 5).close()
    with pytest.raises(AttributeError):
        any_impl.makefile(ScriptedSocket(), "rb", -1)


@pytest.mark.parametrize("size", [2, 17, 8192, 100000])
@pytest.mark.parametrize("mode, kind", BUFFERED_KINDS)
def test_buffering_positive_is_the_size_in_bytes(any_impl, mode, kind, size):
    sock = ScriptedSocket()
    with any_impl.makefile(sock, mode, size) as stream:
        assert type(stream) is kind
        if stream.readable():
            assert measure_reads(stream, sock) == size
        if stream.writable():
            assert measure_writes(stream, sock) == size


@pytest.mark.parametrize("buffering", [0, False, 0.0, -0.0])
@pytest.mark.parametrize("mode", ["rb", "wb", "rwb", "b"])
def test_buffering_zero_gives_the_raw_stream(any_impl, mode, buffering):
    with any_impl.makefile(ScriptedSocket(), mode, buffering) as stream:
        assert describe(stream) == expect_stream(any_impl, mode, 0)
        assert stream.mode == {"b": "rb"}.get(mode, mode)


@pytest.mark.parametrize("buffering", [0, False, 0.0])
@pytest.mark.parametrize("mode", ["", "r", "w", "rw"])
def test_buffering_zero_with_text_refused(any_impl, mode, buffering):
    with pytest.raises(ValueError) as caught:
        any_impl.makefile(ScriptedSocket(), mode, buffering)
    assert caught.value.args == ("unbuffered streams must be binary",)


@pytest.mark.parametrize("buffering", [1, True])
@pytest.mark.parametrize("mode, kind", BUFFERED_KINDS)
def test_buffering_one_is_a_buffer_of_one_byte(any_impl, mode, kind, buffering):
    class Raw(io.RawIOBase):
        sent = ()

        def writable(self):
            return True

        def write(self, data):
            self.sent = [data]
            return len(data)

    sock = ScriptedSocket()
    with any_impl.makefile(sock, mode, buffering) as stream:
        assert type(stream) is kind
        if stream.readable():
            assert measure_reads(stream, sock) == 1
        if stream.writable():
            # up to 3.12 it keeps that byte, from 3.13 it passes it on
            raw = Raw()
            assert (
                measure_writes(stream, sock) == measure_writes(io.BufferedWriter(raw, 1), raw) <= 1
            )


def test_buffering_one_is_not_line_buffering(any_impl):
    sock = ScriptedSocket()
    with any_impl.makefile(sock, "w", 1) as text:
        assert text.line_buffering is False
        text.write(u"a line\n")
        assert sock.sent == []


@pytest.mark.parametrize("mode", [mode for mode, _ in BUFFERED_KINDS])
@pytest.mark.parametrize(
    "buffering, error",
    [(2**64, OverflowError), (sys.maxsize, MemoryError), ("8", TypeError), (b"8", TypeError),
     (2.5, TypeError), (float("inf"), TypeError), (float("nan"), TypeError), ([], TypeError)],
    ids=repr,
)
def test_buffering_impossible_gives_the_error_of_the_buffer(any_impl, mode, buffering, error):
    sock = ScriptedSocket()
    with pytest.raises(error) as caught:
        any_impl.makefile(sock, mode, buffering)
    assert type(caught.value) is error
    del caught
    collect_garbage()
    assert sock._io_refs == 0


def test_buffering_of_a_type_of_ones_own_goes_by_its_comparisons(any_impl):
    class Below(int):
        def __lt__(self, other):
            return True

    class Nought(int):
        def __eq__(self, other):
            return other == 0

    sock = ScriptedSocket()
    with any_impl.makefile(sock, "rb", Below(33)) as stream:
        assert measure_reads(stream, sock) == io.DEFAULT_BUFFER_SIZE
    assert type(any_impl.makefile(ScriptedSocket(), "rb", Nought(33))) is any_impl.SocketIO


@pytest.mark.skipif(sys.version_info < (3,), reason="2.7's buffers take no __index__")
def test_buffering_that_is_no_int_goes_by_its_index(any_impl):
    class Size(object):
        def __lt__(self, other):
            return False

        def __index__(self):
            return 33

    sock = ScriptedSocket()
    with any_impl.makefile(sock, "rb", Size()) as stream:
        assert measure_reads(stream, sock) == 33


@pytest.mark.parametrize("name", ["__lt__", "__eq__"])
def test_buffering_comparison_that_raises_lets_its_error_out(any_impl, name):
    class Size(int):
        pass

    def compare(self, other):
        raise KeyError("buffering")

    setattr(Size, name, compare)
    sock = ScriptedSocket()
    with pytest.raises(KeyError):
        any_impl.makefile(sock, "rb", Size(5))


# Encoding, errors and newline


@pytest.mark.parametrize("buffering", [None, 0])
@pytest.mark.parametrize("mode", ["rb", "wb", "rwb"])
def test_text_arguments_with_a_binary_mode_are_ignored(any_impl, mode, buffering):
    for nonsense in ("no-such-codec", 5, b"\xff", object()):
        with any_impl.makefile(
            ScriptedSocket(), mode, buffering, encoding=nonsense, errors=nonsense, newline=nonsense
        ) as stream:
            assert describe(stream) == expect_stream(any_impl, mode, buffering)


@pytest.mark.parametrize("newline", NEWLINES, ids=repr)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_text_reading_decodes_as_a_text_wrapper_with_the_same_arguments(
    any_impl, encoding, newline
):
    data = LINES.encode(encoding)
    expected = io.TextIOWrapper(io.BytesIO(data), encoding, "replace", newline)
    with any_impl.makefile(
        ScriptedSocket(data), "r", encoding=encoding, errors="replace", newline=newline
    ) as text:
        assert (text.encoding, text.errors, text.line_buffering) == (encoding, "replace", False)
        assert list(text) == list(expected)
        assert text.newlines == expected.newlines


@pytest.mark.parametrize("newline", NEWLINES, ids=repr)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_text_writing_encodes_as_a_text_wrapper_with_the_same_arguments(
    any_impl, encoding, newline
):
    sock, expected = ScriptedSocket(), Unseekable()
    with any_impl.makefile(sock, "w", encoding=encoding, errors="replace", newline=newline) as text:
        text.write(LINES + u"\u20ac")
    reference = io.TextIOWrapper(expected, encoding, "replace", newline)
    reference.write(LINES + u"\u20ac")
    reference.flush()
    assert b"".join(sock.sent) == expected.getvalue()


@pytest.mark.parametrize(
    "errors, expected",
    [(None, UnicodeDecodeError), ("strict", UnicodeDecodeError), ("ignore", u"ab")],
)
def test_text_errors_decide_what_undecodable_bytes_give(any_impl, errors, expected):
    with any_impl.makefile(ScriptedSocket(b"a\xffb"), "r", encoding="utf-8", errors=errors) as text:
        if expected is UnicodeDecodeError:
            with pytest.raises(UnicodeDecodeError):
                text.read()
        else:
            assert text.read() == expected


def test_text_without_encoding_takes_the_locale_as_a_text_wrapper_does(any_impl):
    expected = io.TextIOWrapper(io.BytesIO())
    with any_impl.makefile(ScriptedSocket()) as text:
        assert (text.encoding, text.errors) == (expected.encoding, expected.errors)


@pytest.mark.parametrize(
    "options",
    [{"encoding": "no-such-codec"}, NOT_TEXT, {"encoding": 5}, {"encoding": "a\0b"}, NO_ERRORS,
     {"newline": "x"}, {"newline": 5}, {"newline": ["\n"]}],
    ids=repr,
)
@pytest.mark.parametrize("mode", ["r", "w", "rw"])
def test_text_argument_that_is_bad_gives_the_error_of_the_text_wrapper(any_impl, mode, options):
    # the buffer type matters to nothing here but to where a stray encoder would write
    with pytest.raises(Exception) as expected:
        io.TextIOWrapper(io.BytesIO(), **options)
    sock = ScriptedSocket()
    with pytest.raises(type(expected.value)) as caught:
        any_impl.makefile(sock, mode, **options)
    assert type(caught.value) is type(expected.value)
    assert str(caught.value) == str(expected.value)


def test_text_arguments_by_position_are_those_by_keyword(impl):
    for encoding, errors, newline in itertools.product(
        ["utf-8", "utf-16"], ["strict", "replace"], NEWLINES
    ):
        sock = ScriptedSocket()
        with impl.makefile(sock, "w", 64, encoding, errors, newline) as text:
            assert (text.encoding, text.errors) == (encoding, errors)
            text.write(LINES)
        expected = ScriptedSocket()
        with impl.makefile(
            expected, mode="w", buffering=64, encoding=encoding, errors=errors, newline=newline
        ) as text:
            text.write(LINES)
        assert sock.sent == expected.sent != []


@pytest.mark.parametrize(
    "args, kwargs",
    [
        (("r", None, None, None, None, None), {}),
        ((), {"bufsize": 5}),
        (("r",), {"mode": "r"}),
        (("r", None, None, None, None), {"newline": None}),
    ],
    ids=repr,
)
def test_arguments_too_many_unknown_or_twice_refused(any_impl, args, kwargs):
    sock = ScriptedSocket()
    with pytest.raises(TypeError):
        any_impl.makefile(sock, *args, **kwargs)
    assert sock._io_refs == 0


def test_arguments_without_a_socket_refused(any_impl):
    with pytest.raises(TypeError):
        any_impl.makefile()


ENCODING_WARNING_SCRIPT = """
import io, warnings
from fakes import ScriptedSocket
ScriptedSocket.makefile = makefile
# What it imports may warn too: now, not later.
io.open(__import__("os").devnull, encoding="utf-8").close()

def call(**options):
    return ScriptedSocket().makefile("rw", **options); "the line that must be named"

def call_binary():
    return ScriptedSocket().makefile("rwb")

for make in [call, lambda: call(encoding=None), lambda: call(encoding="utf-8"),
             lambda: call(encoding="locale"), call_binary]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    first = call.__code__.co_firstlineno
    print([(w.category.__name__, w.filename, w.lineno - first) for w in caught])
"""


@pytest.mark.skipif(sys.version_info < (3, 10), reason="EncodingWarning came with 3.10")
def test_encoding_left_out_under_warn_default_encoding_warns_once_at_the_caller(
    any_impl, run_script
):
    out = run_script(any_impl, ENCODING_WARNING_SCRIPT, "-X", "warn_default_encoding")
    warning = "[('EncodingWarning', '<string>', 1)]"
    assert out.splitlines() == [warning, warning, "[]", "[]", "[]"]


@pytest.mark.skipif(sys.version_info < (3, 10), reason="io.text_encoding came with 3.10")
def test_encoding_goes_through_text_encoding_for_text_only(any_impl, monkeypatch):
    seen = []

    def text_encoding(encoding, stacklevel=2):
        seen.append(encoding)
        return "utf-16"

    monkeypatch.setattr(io, "text_encoding", text_encoding)
    any_impl.makefile(ScriptedSocket(), "rwb", encoding="ascii").close()
    assert seen == []
    for encoding in (None, "ascii"):
        with any_impl.makefile(ScriptedSocket(), "r", encoding=encoding) as text:
            assert text.encoding == "utf-16"
    assert seen == [None, "ascii"]


# The result


class Letters(str):
    """A mode that is not the plain str."""


@pytest.mark.parametrize("mode", ["r", Letters("rw"), ["w"], ("r", "w"), {"r": "w"}], ids=repr)
def test_result_text_mode_is_the_object_given(any_impl, mode):
    with any_impl.makefile(ScriptedSocket(), mode) as text:
        assert text.mode is mode


def test_result_text_mode_left_out_is_r(any_impl):
    assert any_impl.makefile(ScriptedSocket()).mode == "r"


@pytest.mark.parametrize("mode, kind", BUFFERED_KINDS)
def test_result_is_exactly_the_type_of_io_over_our_raw_stream(any_impl, mode, kind):
    with any_impl.makefile(ScriptedSocket(), mode) as stream:
        assert type(stream) is kind
        buffer = get_buffer(stream)
        assert type(buffer) is dict(BUFFERED_KINDS)[mode.replace("b", "") + "b"]
        if not isinstance(buffer, io.BufferedRWPair):  # which hides its raw streams
            assert type(buffer.raw) is any_impl.SocketIO
            assert buffer.raw.mode == mode.replace("b", "") + "b"


def test_result_leaves_the_socket_untouched_but_for_its_counter(any_impl):
    class Bare(object):
        """Has nothing but what a makefile that is not used needs."""

        _io_refs = 0

        def _decref_socketios(self):
            self._io_refs -= 1

    for mode, kind in BUFFERED_KINDS:
        sock = Bare()
        stream = any_impl.makefile(sock, mode)
        assert type(stream) is kind
        assert vars(sock) == {"_io_refs": 1}
        stream.close()
        assert vars(sock) == {"_io_refs": 0}


# What a call that fails leaves behind

FAILURES = [
    ("invalid mode", ("rt",), {}),
    ("mode no iterable", (None,), {}),
    ("text unbuffered", ("r", 0), {}),
    ("buffering too large", ("rb", 2 ** 64), {}),
    ("buffering too large for a writer", ("wb", 2 ** 64), {}),
    ("buffering too large for a pair", ("rwb", 2 ** 64), {}),
    ("no memory", ("rb", sys.maxsize), {}),
    ("no memory for a pair", ("rwb", sys.maxsize), {}),
    ("buffering no number", ("rb", "8"), {}),
    ("unknown encoding", ("r",), {"encoding": "no-such-codec"}),
    ("encoding of bytes", ("w",), NOT_TEXT),
    ("encoding no text", ("rw",), {"encoding": 5}),
    ("errors no text", ("r",), NO_ERRORS),
    ("newline unknown", ("w",), {"newline": "x"}),
    ("newline no text", ("rw",), {"newline": 5}),
]
each_failure = pytest.mark.parametrize(
    "args, kwargs", [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES]
)


class UrllibSocket(ScriptedSocket):
    """Has the counter of urllib3's sockets, and a close() that nobody may call."""

    def __init__(self):
        ScriptedSocket.__init__(self)
        del self._io_refs
        self._makefile_refs = 3

    def _decref_socketios(self):
        self.calls.append("_decref_socketios")
        self._makefile_refs -= 1

    def close(self):
        self.calls.append("close")


@each_failure
def test_failure_counter_is_back_while_the_exception_is_handled(impl, args, kwargs):
    sock = ScriptedSocket()
    sock._io_refs = 7
    try:
        impl.makefile(sock, *args, **kwargs)
    except Exception:
        assert sock._io_refs == 7
    else:
        pytest.fail("it did not fail")
    collect_garbage()
    assert sock._io_refs == 7


@each_failure
def test_failure_with_a_makefile_refs_counter_is_undone_without_closing_the_socket(
    impl, args, kwargs
):
    sock = UrllibSocket()
    try:
        impl.makefile(sock, *args, **kwargs)
    except Exception:
        assert sock._makefile_refs == 3
        assert "close" not in sock.calls
    else:
        pytest.fail("it did not fail")
    collect_garbage()
    assert sock._makefile_refs == 3
    assert "close" not in sock.calls


@each_failure
def test_failure_on_a_socket_that_waits_to_be_closed_by_its_other_file_leaves_it_open(
    any_impl, tcp_pair, args, kwargs
):
    ours, peer = tcp_pair
    other = any_impl.makefile(ours, "rb", 0)
    ours.close()
    with pytest.raises(Exception):
        any_impl.makefile(ours, *args, **kwargs)
    peer.sendall(b"still here")
    assert other.read(10) == b"still here"
    other.close()
    collect_garbage()  # the interpreter's own gives its reference back when it dies
    peer.settimeout(30)
    assert peer.recv(1) == b""


@each_failure
def test_failure_once_its_traceback_is_dead_has_dropped_the_counter_once(any_impl, args, kwargs):
    """As the interpreter's own, whose counter comes back with the death of the raw stream."""
    sock = ScriptedSocket()
    sock._io_refs = 7

    def fail():
        with pytest.raises(Exception):
            any_impl.makefile(sock, *args, **kwargs)

    fail()
    if sys.version_info < (3,):
        sys.exc_clear()
    collect_garbage()
    assert sock._io_refs == 7


def test_failure_by_an_exception_that_is_no_error_is_undone_too(impl, monkeypatch):
    import codecs

    def search(name):
        if name.startswith("interrupting"):
            raise KeyboardInterrupt

    codecs.register(search)
    sock = ScriptedSocket()
    try:
        impl.makefile(sock, "r", encoding="interrupting")
    except KeyboardInterrupt:
        assert sock._io_refs == 0
    else:
        pytest.fail("it did not fail")


def test_stream_that_is_closed_while_it_is_wrapped_counts_no_more(any_impl, monkeypatch):
    wrapper = io.TextIOWrapper

    class Closing(wrapper):
        def __init__(self, buffer, *args):
            wrapper.__init__(self, buffer, *args)
            buffer.raw.close()

    sock = ScriptedSocket()
    with monkeypatch.context() as patch:
        patch.setattr(io, "TextIOWrapper", Closing)
        stream = any_impl.makefile(sock, "r", encoding="utf-8")
    assert stream.closed and sock._io_refs == 0
    stream.close()
    assert sock._io_refs == 0


def test_failure_because_the_counter_cannot_be_read_or_set_comes_out(any_impl):
    class Unreadable(ScriptedSocket):
        @property
        def _io_refs(self):
            raise KeyError("no counter")

        @_io_refs.setter
        def _io_refs(self, value):
            pass

        def _decref_socketios(self):
            pass

    class Unsettable(ScriptedSocket):
        def __setattr__(self, name, value):
            if name == "_io_refs" and value > 0:
                raise KeyError("no counter")
            object.__setattr__(self, name, value)

    for cls in (Unreadable, Unsettable):
        sock = cls()
        with pytest.raises(KeyError):
            any_impl.makefile(sock)


def test_failure_any_arguments_count_one_reference_or_raise_and_count_none(impl):
    modes = st.one_of(st.text("rwb", max_size=3), st.sampled_from(["rt", "U", None, 5, ["r", "b"]]))
    bufferings = st.one_of(
        st.none(),
        st.integers(-2, 20000),
        st.sampled_from([2**64, -(2**64), sys.maxsize, "8", 0.0, 2.5, True, False]),
    )
    encodings = st.sampled_from([None, "utf-8", "utf-16", "hex", "no-such-codec", 5])
    errors = st.sampled_from([None, "strict", "replace", 5])
    newlines = st.sampled_from([None, "", "\n", "\r\n", "x", 5])

    @settings(
        max_examples=get_examples(300), deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(modes, bufferings, encodings, errors, newlines, st.integers(0, 2**70))
    def check(mode, buffering, encoding, error_handler, newline, count):
        sock = ScriptedSocket()
        sock._io_refs = count
        try:
            stream = impl.makefile(sock, mode, buffering, encoding, error_handler, newline)
        except (ValueError, TypeError, OverflowError, MemoryError, LookupError):
            assert sock._io_refs == count
        else:
            assert sock._io_refs == count + 1
            stream.close()
            assert sock._io_refs == count

    check()


class Incomparable(object):
    """Something that looks like the letter "r" until it is compared."""

    def __hash__(self):
        return hash("r")

    def __eq__(self, other):
        raise LookupError("no comparing")


def test_mode_with_a_part_that_cannot_be_compared_raises_its_error(any_impl):
    sock = ScriptedSocket()
    with pytest.raises(LookupError) as caught:
        any_impl.makefile(sock, [Incomparable()])
    assert caught.value.args == ("no comparing",)
    assert sock._io_refs == 0


@pytest.mark.parametrize(
    "name, mode",
    [("BufferedReader", "rb"), ("BufferedWriter", "wb"), ("BufferedRWPair", "rwb"),
     ("TextIOWrapper", "r"), ("DEFAULT_BUFFER_SIZE", "rb")],
)
def test_name_that_is_gone_from_io_is_an_attribute_error(any_impl, monkeypatch, name, mode):
    sock = ScriptedSocket()
    with monkeypatch.context() as patch:
        patch.delattr(io, name)
        with pytest.raises(AttributeError) as caught:
            any_impl.makefile(sock, mode)
    assert name in str(caught.value)
    caught = None
    collect_garbage()
    assert sock._io_refs == 0


@pytest.mark.skipif(sys.version_info < (3, 10), reason="io.text_encoding came with 3.10")
# Not the twin, which takes such an io for an older one.
def test_text_encoding_that_is_gone_from_io_is_an_attribute_error(c_impl, monkeypatch):
    sock = ScriptedSocket()
    monkeypatch.delattr(io, "text_encoding")
    with pytest.raises(AttributeError):
        c_impl.makefile(sock, "r")
    assert sock._io_refs == 0


def test_keyword_made_at_run_time_is_the_argument(any_impl):
    name = "".join(["mo", "de"])  # not the interned string
    assert type(any_impl.makefile(ScriptedSocket(), **{name: "rb"})) is io.BufferedReader


@pytest.mark.skipif(
    platform.python_implementation() == "PyPy", reason="PyPy looks at the text alone"
)
def test_keyword_that_cannot_be_compared_raises_its_error(any_impl):
    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            raise LookupError("no comparing")

    # A TypeError where the interpreter looks at the type first.
    with pytest.raises((LookupError, TypeError)):
        any_impl.makefile(ScriptedSocket(), **{Name("mode"): "rb"})
