"""What runs beside a test: threads that block in a call, alarms, and other Python processes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

HANGING = 30.0  # seconds after which a call that should have ended is taken for hanging
# PyPy and debug builds are slow in tests of many small steps.
SLOW = hasattr(sys, "pypy_version_info") or hasattr(sys, "gettotalrefcount")


def get_examples(usual):
    """How many examples hypothesis makes where `usual` are enough."""
    return max(5, usual // 6) if SLOW else usual


class Worker(threading.Thread):
    """A started thread that makes one call; `get()` gives its result, or raises what it raised."""

    def __init__(self, call, *args):
        threading.Thread.__init__(self)
        self.daemon = True  # one that hangs must not keep the test run alive
        self._call = call
        self._args = args
        self._error = None
        self._value = None
        self._stat = None
        self._ready = threading.Event()
        self.start()

    def run(self):
        self._stat = "/proc/%s/stat" % os.readlink("/proc/thread-self")
        self._ready.set()
        try:
            self._value = self._call(*self._args)
        except BaseException as error:
            self._error = error

    def wait_until_blocked(self):
        """Return when the call sleeps in the kernel.

        A thread that waits for the GIL sleeps too, so it has to be found asleep several times in a
        row while we gave up the GIL.
        """
        assert self._ready.wait(HANGING)
        deadline = time.time() + HANGING
        asleep = 0
        while asleep < 5:
            assert self.is_alive() and time.time() < deadline, "the call does not block"
            try:
                with open(self._stat) as stat:
                    state = stat.read().rpartition(")")[2].split()[0]
            except (IOError, OSError):
                continue  # it ended between the two lines
            asleep = asleep + 1 if state == "S" else 0
            time.sleep(0.001)
        return self

    def get(self):
        self.join(HANGING)
        assert not self.is_alive(), "the call hangs"
        if self._error is not None:
            raise self._error
        return self._value


@contextlib.contextmanager
def alarm(handler, first, interval=0.0):
    """Call `handler()` on SIGALRM while the block runs.

    The first time is after `first` seconds, then every `interval` seconds (0: once).
    """
    started = time.time()
    old_handler = signal.signal(signal.SIGALRM, lambda signum, frame: handler())
    old_first, old_interval = signal.setitimer(signal.ITIMER_REAL, first, interval)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old_handler)
        if old_first:
            signal.setitimer(
                signal.ITIMER_REAL, max(old_first - (time.time() - started), 0.001), old_interval
            )


def once(call):
    """A function that makes the call the first time only.

    It is for an alarm that comes again because its first may come just before a wait.
    """
    calls = [call]
    return lambda: calls and calls.pop()()


@pytest.fixture
def watchdog():
    """Makes a test fail that blocks in a system call for ever."""

    def hanging():
        raise AssertionError("the test hangs")

    with alarm(hanging, HANGING):
        yield


# Gives a script `SocketIO` and `makefile` of the implementation that is named in its first
# argument.
PROLOGUE = """\
import importlib, io, os, socket, sys
modules = {"c": "backports.makefile._makefile", "python": "backports.makefile._fallback"}
if sys.argv[1] in modules:
    module = importlib.import_module(modules[sys.argv[1]])
    SocketIO, makefile = module.SocketIO, module.backport_makefile
else:
    SocketIO, makefile = socket.SocketIO, socket.socket.makefile
"""


def start_script(source, implementation, arguments=(), options=(), prefix=(), **popen):
    """Start a fresh interpreter on `source`, after PROLOGUE; returns the Popen object.

    `prefix` is a command to run it under.
    """
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    # Scripts leave sockets open.
    options = ["-W", "ignore::ResourceWarning"] * (sys.version_info[0] > 2) + list(options)
    command = (
        list(prefix) + [sys.executable] + options + ["-c", PROLOGUE + source, implementation.name]
    )
    return subprocess.Popen(
        command + list(arguments),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        **popen
    )


def finish_script(process):
    """Wait for what `start_script` started, and return its output.

    It has to have ended well and complained of nothing.
    """
    killer = threading.Timer(HANGING, process.kill)
    killer.start()
    try:
        output, complaints = process.communicate()
    finally:
        killer.cancel()
        # ASan's allocator hangs in a child that is forked while another thread allocates.
        killer.join()
    assert (process.returncode, complaints) == (0, ""), complaints
    return output


def run_script(source, implementation, arguments=(), options=(), **popen):
    return finish_script(start_script(source, implementation, arguments, options, **popen))


def adopt(cls, sock):
    """A socket of class `cls` in place of the connected `sock`."""
    if sys.version_info[0] == 2:
        return cls(_sock=getattr(sock, "_sock", sock))
    return cls(sock.family, sock.type, sock.proto, fileno=sock.detach())


def get_outcome(call, *args, **kwargs):
    """What a call did, to compare two: its result, or the type and arguments of its exception."""
    try:
        return "returned", call(*args, **kwargs)
    except Exception as error:
        return "raised", type(error), error.args


def receive_all(sock):
    """Everything that comes until the end of the stream, as bytes."""
    pieces = []
    while True:
        piece = sock.recv(1 << 16)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
