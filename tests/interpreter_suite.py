"""Run the file-object tests of the interpreter's own test_socket with an implementation put in.

What came of it is printed.

    python interpreter_suite.py c|python|interpreter

The answer is one JSON object: how many tests ran, what failed, and how many of the streams were
ours.
"""

import collections
import io
import json
import socket
import sys
import unittest

from conftest import INTERPRETER, OURS

CLASSES = [
    "FileObjectClassTestCase",
    "UnbufferedFileObjectClassTestCase",
    "LineBufferedFileObjectClassTestCase",
    "SmallBufferedFileObjectClassTestCase",
    "UnicodeReadFileObjectClassTestCase",
    "UnicodeWriteFileObjectClassTestCase",
    "UnicodeReadWriteFileObjectClassTestCase",
]


def put_in(implementation):
    """Make socket.socket use the implementation.

    Gives a list, which grows: for each stream that was made, whose it is.
    """
    streams = []  # not a counter: the tests make streams in two threads at once

    def makefile(self, *args, **kwargs):
        stream = implementation.makefile.__get__(self)(*args, **kwargs)
        buffer = getattr(stream, "buffer", stream)
        raw = getattr(buffer, "raw", buffer)
        streams.append("ours" if type(raw) is implementation.SocketIO else repr(type(raw)))
        return stream

    socket.socket.makefile = makefile
    socket.SocketIO = implementation.SocketIO
    return streams


def main(name):
    implementation = dict((found.name, found) for found in OURS + INTERPRETER)[name]
    streams = put_in(implementation)
    from test import test_socket  # only now: nothing of it may keep what was there before

    load = unittest.defaultTestLoader.loadTestsFromTestCase
    suite = unittest.TestSuite(load(getattr(test_socket, cls)) for cls in CLASSES)
    output = io.StringIO()
    result = unittest.TextTestRunner(stream=output, verbosity=2).run(suite)
    json.dump(
        {
            "run": result.testsRun,
            "bad": [str(test) for test, _ in result.failures + result.errors],
            "skipped": [[str(test), reason] for test, reason in result.skipped],
            "streams": collections.Counter(streams),
            "output": output.getvalue(),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(sys.argv[1])
