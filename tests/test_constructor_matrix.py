"""The constructor, exhaustively.

Every mode of up to four letters meets every buffering and good and bad text arguments.

Of the modes that are refused, which are nine of ten, each meets every buffering, and every set of
text arguments, but not both.

Each implementation is held against the interpreter's own makefile in this process.  2.7 has none:
there C is held against the twin, and both against results of 3.x, in data/constructor_matrix.json.
That file holds for every 3.x, and is written by

    python test_constructor_matrix.py > data/constructor_matrix.json
"""

import io
import itertools
import json
import os
import platform
import socket
import sys

import pytest

from conftest import INTERPRETER, load_python

PYPY = platform.python_implementation() == "PyPy"
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "constructor_matrix.json")

MODES = [
    "".join(letters)
    for length in range(5)
    for letters in itertools.product("rwbt+U", repeat=length)
]
ODD_MODES = [None, 5, 2.5, True, object(), b"rb", u"rb", u"w", [], ["r"], ["r", "b"], ("w", "b"),
             (), {"r", "w"}, {"b": "r"}, frozenset("rwb"), ["rb"], [["r"]], {"r", 1}]
BUFFERINGS = [None, -5, -1, 0, 1, 2, 8192, False, True, 0.0, 2.5, "8", 2 ** 64]
ENCODINGS = [None, "utf-8", "no-such-codec", 5]
ERRORS = [None, "replace", 5]
NEWLINES = [None, "\r\n", "x"]
TEXT_ARGUMENTS = list(itertools.product(ENCODINGS, ERRORS, NEWLINES))

# The recorded cases: these modes with each buffering, and text with each of the text arguments.
RECORDED_MODES = ["", "r", "w", "b", "rw", "rb", "wb", "rwb", "wr", "rr", "rt", "U", "r+"]
RECORDED_TEXT_MODES = ["r", "w", "rw", "rb"]


class Probe(object):
    """A fake socket that tells how large a buffer was read into and what was written to it."""

    def __init__(self):
        self._io_refs = 0
        self.data = b"a\r\nb\n"
        self.offered = None
        self.sent = b""

    def recv_into(self, buf):
        self.offered = len(buf)
        part, self.data = self.data[:len(buf)], self.data[len(buf):]
        memoryview(buf)[:len(part)] = part
        return len(part)

    def send(self, data):
        self.sent += bytes(bytearray(data))
        return len(data)

    def fileno(self):
        return 77

    def _decref_socketios(self):
        self._io_refs -= 1


def get_size(buffer):
    """The size of the buffer, as far as the object shows it."""
    if type(buffer) is io.BufferedRWPair or PYPY:
        return None
    return sys.getsizeof(buffer)


def describe_raw(raw, implementation, probe):
    assert type(raw) is implementation.SocketIO
    return "SocketIO", raw.mode, raw.readable(), raw.writable(), raw.name


def describe_buffer(buffer, implementation, probe):
    reading, writing = buffer.readable(), buffer.writable()
    raw = (
        None
        if type(buffer) is io.BufferedRWPair
        else describe_raw(buffer.raw, implementation, probe)
    )
    if reading:
        buffer.peek(1)
    return type(buffer).__name__, reading, writing, get_size(buffer), probe.offered, raw


def describe_text(text, implementation, probe):
    line = text.readline() if text.readable() else None
    if text.writable():
        text.write(u"x\n")
    settings = text.encoding, text.errors, text.line_buffering, text.newlines
    buffer = describe_buffer(text.buffer, implementation, probe)
    text.close()
    return ("TextIOWrapper", line, probe.sent) + settings + buffer


def describe_stream(stream, mode, implementation, probe):
    if isinstance(stream, io.TextIOWrapper):
        assert type(stream) is io.TextIOWrapper
        assert stream.mode is mode
        return describe_text(stream, implementation, probe)
    if isinstance(stream, implementation.SocketIO):
        return describe_raw(stream, implementation, probe)
    return describe_buffer(stream, implementation, probe)


def try_case(implementation, mode, buffering, text_arguments):
    """What makefile gives: the stream's description, or the exception's (type, text)."""
    probe = Probe()
    encoding, errors, newline = text_arguments
    try:
        stream = implementation.makefile(
            probe, mode, buffering, encoding=encoding, errors=errors, newline=newline
        )
    except Exception as error:
        # the interpreter's own counter comes back only when the traceback dies
        assert probe._io_refs == 0 or implementation in INTERPRETER, (
            mode,
            buffering,
            text_arguments,
        )
        result = type(error), str(error)
    else:
        assert probe._io_refs == 1
        try:
            result = describe_stream(stream, mode, implementation, probe)
        except TypeError as error:  # PyPy lets errors=5 through, and stumbles over it when it reads
            assert PYPY and errors == 5
            result = type(stream).__name__, str(error)
        stream.close()
    # on PyPy the interpreter's own counter comes back with some later collection
    assert probe._io_refs == 0 or PYPY and implementation in INTERPRETER, (
        mode,
        buffering,
        text_arguments,
    )
    return result


def list_cases():
    for mode in MODES + ODD_MODES:
        if isinstance(mode, str) and not set(mode) <= set("rwb"):
            rest = [(buffering, TEXT_ARGUMENTS[0]) for buffering in BUFFERINGS] + [
                (None, text) for text in TEXT_ARGUMENTS[1:]
            ]
        else:
            rest = itertools.product(BUFFERINGS, TEXT_ARGUMENTS)
        for buffering, text_arguments in rest:
            yield mode, buffering, text_arguments


def run_matrix(implementation):
    """Yield the arguments and the result of each case."""
    for case in list_cases():
        yield case + (try_case(implementation, *case),)


@pytest.fixture(scope="module")
def reference():
    """What the interpreter's own makefile gives, on 2.7 the twin, in the order of run_matrix()."""
    seen = {}  # there are many cases and few different results
    return [
        seen.setdefault(case[-1], case[-1])
        for case in run_matrix((INTERPRETER or [load_python()])[0])
    ]


def test_matrix_every_case_gives_what_the_reference_gives(impl, reference):
    if not INTERPRETER and impl.name == "python":
        pytest.skip("with no interpreter's own makefile the twin is the reference")
    count, differences = 0, []
    for case, expected in zip(run_matrix(impl), reference):
        count += 1
        if case[-1] != expected:
            differences.append((case, expected))
    assert (
        count
        == len(reference)
        == (
            (121 + len(ODD_MODES)) * len(BUFFERINGS) * len(TEXT_ARGUMENTS)
            + 1434 * (len(BUFFERINGS) + len(TEXT_ARGUMENTS) - 1)
        )
    )
    assert differences[:5] == [], "%d of %d cases differ" % (len(differences), count)


def test_matrix_reaches_every_type_and_every_error(reference):
    """The matrix sees something: all kinds of stream and failure; most modes are refused."""
    kinds = set(
        result[0] if isinstance(result[0], str) else result[0].__name__ for result in reference
    )
    assert kinds == {
        "SocketIO", "BufferedReader", "BufferedWriter", "BufferedRWPair", "TextIOWrapper",
        "ValueError", "TypeError", "OverflowError", "LookupError",
    }
    refused = [
        result for result in reference if result[1:] and str(result[1]).startswith("invalid mode")
    ]
    assert len(refused) > 1434 * len(TEXT_ARGUMENTS)


# The recorded results


def list_recorded_cases():
    plain = (None, None, None)
    cases = [(mode, buffering, plain) for mode in RECORDED_MODES for buffering in BUFFERINGS]
    # the encoding that None stands for is the machine's, so the table has none with it
    texts = [arguments for arguments in TEXT_ARGUMENTS if arguments[0]]
    return cases + [(mode, None, arguments) for mode in RECORDED_TEXT_MODES for arguments in texts]


def record_case(implementation, mode, buffering, text_arguments):
    """The result as JSON gives it back, without what the versions word or size differently."""
    return as_native(
        json.loads(json.dumps(choose_recorded(implementation, mode, buffering, text_arguments)))
    )


def choose_recorded(implementation, mode, buffering, text_arguments):
    result = try_case(implementation, mode, buffering, text_arguments)
    if not isinstance(result[0], str):
        error, text = result
        own = text.startswith("invalid mode") or text.startswith("unbuffered")
        return error.__name__, text if own else None
    if result[0] == "TextIOWrapper":
        name, line, sent, encoding, errors, line_buffering, _, kind, reading, writing, _, _, raw = (
            result
        )
        if text_arguments[0] is None:
            encoding = None
        # how far the first readline() reads ahead is the version's own
        return (name, line, sent.decode("ascii"), encoding, errors, line_buffering, kind, reading,
                writing, raw)
    if result[0] == "SocketIO":
        return result
    kind, reading, writing, _, offered, raw = result
    if offered == io.DEFAULT_BUFFER_SIZE and (buffering is None or buffering < 0):
        offered = "io.DEFAULT_BUFFER_SIZE"
    return kind, reading, writing, offered, raw


def as_native(value):
    """The value with each text in it made a str, which on 2.7 is not what json gives."""
    if isinstance(value, list):
        return [as_native(item) for item in value]
    return str(value) if isinstance(value, type(u"")) else value


@pytest.fixture(scope="module")
def table():
    with io.open(TABLE, encoding="ascii") as file:
        return as_native(json.load(file))


def test_table_every_recorded_case_gives_the_recorded_result(any_impl, table):
    assert len(table) == len(list_recorded_cases())
    for (mode, buffering, text_arguments), (arguments, result) in zip(list_recorded_cases(), table):
        assert arguments == [mode, buffering] + list(text_arguments)
        if PYPY and 5 in text_arguments and mode != "rb":
            continue  # it has its own idea of what is wrong with that
        assert record_case(any_impl, mode, buffering, text_arguments) == result, arguments


if __name__ == "__main__":
    rows = [[[mode, buffering] + list(text), record_case(INTERPRETER[0], mode, buffering, text)]
            for mode, buffering, text in list_recorded_cases()]
    print("[\n%s\n]" % ",\n".join(map(json.dumps, rows)))
