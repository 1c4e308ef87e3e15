"""Claim 4: a long call of a stream does not keep the rest of the program waiting.

"a thread's longest wait": how late a thread that wakes up each millisecond gets to run, while
another is in one call that reads very much.  On a build without a GIL also: how long gc.collect()
takes there.

"an exception" (PyThreadState_SetAsyncExc) and "a pending call" (Py_AddPendingCall): how soon they
come, after they were asked for, while the thread is in a call that waits for a peer which sends
or takes a little every 20 ms.
"""

import ctypes
import gc
import sys
import threading
import time

import common
import peers
from cases import BUFFERED, MEGABYTE, NO_GIL, Case, Scene, at_most, options
from peers import clock
from streams import socket_pair

CLAIM = 4
WAIT = at_most(2.0)
# Two steps of the peer and a half: it is chance when it comes within one.
SOON = at_most(2.0, enough=50.0)
LINE = b"a line of a chat, as people write them..." + b"\r\n"


# -- waits


class Ticker(object):
    """A thread that wants to run each millisecond, or collects garbage each millisecond; and its
    longest delay.
    """

    def __init__(self, collect):
        self.longest = 0.0
        self.stopping = False
        self.thread = threading.Thread(target=self.collect if collect else self.tick)

    def tick(self):
        while not self.stopping:
            start = clock()
            time.sleep(0.001)
            self.longest = max(self.longest, clock() - start - 0.001)

    def collect(self):
        while not self.stopping:
            start = clock()
            gc.collect()
            self.longest = max(self.longest, clock() - start)
            time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc_info):
        self.stopping = True
        self.thread.join()


def longest_waits(case, use, data, megabytes):
    """{figure: ms} of another thread, while use(stream) takes so much data that another process
    sends.
    """
    found = {}
    for what, collect in [("a thread's longest wait", False), ("longest gc.collect()", True)]:
        if not collect or NO_GIL:
            with peers.connection_to(
                peers.send, data, int(megabytes * MEGABYTE / len(data))
            ) as sock:
                stream = case.open(sock, "rb")
                with Ticker(collect) as ticker:
                    use(stream)
            found[what] = 1e3 * ticker.longest
    return found


def list_of_lines(case):
    return longest_waits(case, list, 10000 * LINE, options.megabytes / 16.0)


def endless_line(case):
    return longest_waits(case, lambda stream: stream.readline(), b"x" * MEGABYTE, options.megabytes)


# -- interruptions


class Interruption(Exception):
    pass


NEVER = 4.0  # seconds: longer than any peer here goes on


def exception_after(serve, operation):
    """Seconds until an asynchronous exception is raised in a thread that does operation(sock)."""
    raised = []
    start = clock()

    def run():
        try:
            try:
                operation(sock)
            except EnvironmentError:  # the peer has closed: too late
                pass
            while clock() < start + NEVER:
                time.sleep(0.001)
        except Interruption:
            raised.append(clock())

    with peers.connection_to(serve, pair=socket_pair) as sock:
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.2)
        number = (ctypes.c_long if sys.version_info < (3, 7) else ctypes.c_ulong)(thread.ident)
        start = clock()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(Interruption))
        thread.join()
    return raised[0] - start if raised else NEVER


def pending_call_after(serve, operation):
    """Seconds until a pending call is made, while the main thread does operation(sock)."""
    asked, called = [], []

    @ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    def pending(_):
        called.append(clock())
        return 0

    def ask():
        time.sleep(0.2)
        asked.append(clock())
        ctypes.pythonapi.Py_AddPendingCall(pending, None)

    with peers.connection_to(serve, pair=socket_pair) as sock:
        thread = threading.Thread(target=ask)
        thread.start()
        try:
            operation(sock)
        except EnvironmentError:
            pass
        thread.join()
        while not called:
            time.sleep(0.001)
    return called[0] - asked[0]


def raw_readall(case, sock):
    stream = Case(0, case.timeout, case.name).open(sock, "rb")
    return stream.readall() if hasattr(stream, "readall") else stream.read()


def flush(case, sock):
    stream = Case(MEGABYTE * 32, case.timeout, case.name).open(sock, "wb")
    stream.write(b"x" * (16 * MEGABYTE))
    stream.flush()


OPERATIONS = [
    ("read(n)", peers.trickle, lambda case, sock: case.open(sock, "rb").read(MEGABYTE)),
    ("read()", peers.trickle, lambda case, sock: case.open(sock, "rb").read()),
    ("readline()", peers.trickle, lambda case, sock: case.open(sock, "rb").readline()),
    ("raw readall()", peers.trickle, raw_readall),
    ("a writer's flush()", peers.sip, flush),
]


def make_scene(name, serve, operation):
    def measure(case):
        exception = exception_after(serve, lambda sock: operation(case, sock))
        call = pending_call_after(serve, lambda sock: operation(case, sock))
        return {
            "an exception comes after": 1e3 * exception,
            "a pending call comes after": 1e3 * call,
        }

    figures = [("an exception comes after", "ms", SOON), ("a pending call comes after", "ms", SOON)]
    return Scene(name + " and a slow peer", measure, BUFFERED, figures)


WAITS = [("a thread's longest wait", "ms", WAIT), ("longest gc.collect()", "ms", WAIT)]
SCENES = [
    Scene("list(stream) of ready lines", list_of_lines, BUFFERED, WAITS),
    Scene("readline() of 500 MB without a newline", endless_line, BUFFERED, WAITS),
] + [make_scene(*each) for each in OPERATIONS]


def measure(bench):
    bench.play(SCENES)


def rows(samples):
    return common.scene_rows(SCENES, samples)


if __name__ == "__main__":
    common.main(__file__)
