"""Claim 14: what `readinto` and `write` add to the cost of the methods of a Python socket object,
here of a fake.
"""

import socket

import common
import streams

CLAIM = 14
ADDED = 2.5  # times what the interpreter adds over what ours adds, at least
IN_ALL = 1.0
CALLS = 100
DATA = b"x" * streams.MESSAGE


class Fake(object):
    """A socket whose methods cost as little as Python methods can."""

    _makefile_refs = _io_refs = 0

    def recv_into(self, buf):
        return streams.MESSAGE

    def recv(self, size):
        return DATA

    def send(self, data):
        return streams.MESSAGE

    def sendall(self, data):
        return None

    def _decref_socketios(self):
        pass


def calls_on(sock, name, makefile):
    """{operation: (the sock's own method, the stream's method, argument)} for a rival."""
    if streams.PYTHON_2 and name == "interpreter":
        reader, writer = (socket._fileobject(sock, mode, 0) for mode in ("rb", "wb"))
        return {
            "read": (sock.recv, reader.read, len(DATA)),
            "write": (sock.sendall, writer.write, DATA),
        }
    reader, writer = makefile(sock, "rb", 0), makefile(sock, "wb", 0)
    buf = bytearray(streams.MESSAGE)
    return {
        "read": (sock.recv_into, reader.readinto, buf),
        "write": (sock.send, writer.write, DATA),
    }


def measure(bench):
    fake = Fake()
    samplers = {}
    for name, makefile in streams.MAKEFILES.items():
        for operation, (below, method, argument) in calls_on(fake, name, makefile).items():
            for key, function in (operation + ": below " + name, below), (
                operation + ": " + name,
                method,
            ):
                samplers[key] = lambda function=function, argument=argument: common.time_calls(
                    function, argument, CALLS
                )
    bench.interleave(samplers, 200)


def rows(samples):
    found = []
    for operation in "read", "write":
        for rival in streams.RIVALS:
            what = "%s: " % operation
            names = [what + rival, what + "below " + rival, what + "ours", what + "below ours"]
            added = samples.estimate(
                lambda a, below_a, b, below_b: (a - below_a) / (b - below_b), *names
            )
            line = "added to a fake, %s%s / ours" % (what, rival)
            found.append(common.row(line, added, "x", at_least=ADDED, detail=rival == "twin"))
            ratio = samples.ratio(what + rival, what + "ours")
            line = "in all, a fake, %s%s / ours" % (what, rival)
            found.append(common.row(line, ratio, "x", at_least=IN_ALL, detail=True))
    return found


if __name__ == "__main__":
    common.main(__file__)
