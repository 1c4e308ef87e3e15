"""A program that does one small operation so many times, for tools that count from outside:
strace and callgrind.

Everything but the number of operations is the same from run to run, so the difference between two
runs is the operations.
"""

import io
import itertools
import sys

import streams

LIMIT = 1000  # operations at most: so much data is there to read, and so much room to write


def prepare(operation, name):
    """(function, argument) of one operation, on a TCP socket with a timeout."""
    sock, peer = streams.tcp_pair(streams.TIMEOUT)
    prepare.keep = sock, peer  # an io.FileIO does not keep its socket open
    if operation == "makefile" and name == "FileIO":
        return (
            lambda fd: io.BufferedReader(io.FileIO(fd, "rb", closefd=False)).close()
        ), sock.fileno()
    if operation == "makefile":
        makefile = streams.MAKEFILES[name]
        return (lambda mode: makefile(sock, mode).close()), "rb"
    mode = {"read": "rb", "write": "wb"}[operation]
    if name == "FileIO":
        stream = io.FileIO(sock.fileno(), mode, closefd=False)
    else:
        stream = streams.MAKEFILES[name](sock, mode, 0)
    if operation == "write":
        return stream.write, b"x" * streams.MESSAGE
    peer.sendall(b"x" * (streams.MESSAGE * LIMIT))
    return streams.read_call(stream)


def main():
    call, argument = prepare(*sys.argv[1:3])
    for _ in itertools.repeat(
        None, int(sys.argv[3])
    ):  # in a function: its local names cost next to nothing
        call(argument)


if __name__ == "__main__":
    main()
