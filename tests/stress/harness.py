"""What the stress programs share.

The implementations, sockets, knowing that a thread is blocked, and the command line.

Each program is run by the test suite in a short form (tests/test_leaks.py and so on) and by hand in
a long one, from a Python in which the package is importable:

    python tests/stress/threads.py --implementation c --seconds 600

and prints what it did and how often.  Exit status 0: nothing was wrong.
"""

from __future__ import print_function

import argparse
import collections
import ctypes
import gc
import importlib
import os
import platform
import random
import socket
import sys
import threading
import time

PY2 = sys.version_info[0] == 2
NO_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()
PYPY = platform.python_implementation() == "PyPy"

Implementation = collections.namedtuple("Implementation", "name SocketIO makefile")
clock = getattr(time, "monotonic", time.time)


def load(name):
    """The implementation called `name`: "c", "python", or "interpreter" where there is one."""
    if name == "interpreter":
        return Implementation(name, socket.SocketIO, socket.socket.makefile)
    module = importlib.import_module(
        "backports.makefile." + {"c": "_makefile", "python": "_fallback"}[name]
    )
    return Implementation(name, module.SocketIO, module.backport_makefile)


# -- sockets

def tcp_pair():
    """Two connected loopback sockets of the class `socket.socket`."""
    listener = socket.socket()
    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        ours = socket.create_connection(listener.getsockname())
        return ours, listener.accept()[0]
    finally:
        listener.close()


def unix_pair():
    """Two connected Unix `socket.socket`s, on 2.7 too, whose `socketpair()` gives bare C ones."""
    pair = socket.socketpair()
    if PY2:
        return tuple(socket.socket(_sock=each) for each in pair)
    return pair


def read_counter(sock):
    """How many file objects `sock` counts; on 2.7, whose sockets do not count, None."""
    for name in ("_makefile_refs", "_io_refs"):
        if hasattr(sock, name):
            return getattr(sock, name)
    return None


def is_closed(sock):
    try:
        return sock.fileno() < 0
    except EnvironmentError:  # 2.7
        return True


def count_descriptors():
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


def forget_exceptions():
    """On 2.7 the last exception's traceback keeps what its frames hold, sockets too."""
    if PY2:
        sys.exc_clear()
    gc.collect()


# -- TLS

HAVE_TLS = sys.version_info >= (3, 8) and not PYPY  # with `_sslobj` an object in C


class TlsObject(object):
    """Stands for the `_sslobj` of an ssl.SSLSocket: it fills buffers and takes what it is given."""

    error = None  # or what makes the exception that read() raises

    def read(self, nbytes, buffer):
        if self.error is not None:
            raise self.error()
        memoryview(buffer).cast("B")[:nbytes] = b"x" * nbytes
        return nbytes

    def write(self, data):
        return len(data)


def change_tls_class():
    """What C has found in ssl.SSLSocket has to be looked at anew."""
    import ssl

    ssl.SSLSocket.changed = object()


def make_ragged_end():
    import ssl

    return ssl.SSLEOFError(int(ssl.SSL_ERROR_EOF), "ragged")


def make_tls_contexts():
    """(the server's, the client's), which believes any server."""
    import ssl

    folder = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tls")
    server = ssl.SSLContext(ssl.PROTOCOL_SSLv23 if PY2 else ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    client = ssl.SSLContext(ssl.PROTOCOL_SSLv23 if PY2 else ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


def make_tls_socket(sock):
    """An ssl.SSLSocket over a connected socket, with a TlsObject in it."""
    tls = make_tls_contexts()[1].wrap_socket(sock, do_handshake_on_connect=False)
    tls._sslobj = TlsObject()
    return tls


# -- threads

# The system calls in which a thread of ours can be blocked on a socket, by their numbers on the
# processors that are known: recvfrom, sendto, poll, ppoll, select, pselect6; on i386 also
# socketcall, and the calls with a time of 64 bits.
BITS = 64 if sys.maxsize > 2 ** 32 else 32
PROCESSOR = platform.machine(), BITS
I386 = {371, 369, 168, 309, 142, 308, 102, 414, 413}
SOCKET_CALLS = {
    ("x86_64", 64): {45, 44, 7, 271, 23, 270},
    ("aarch64", 64): {207, 206, 73, 72},
    ("i686", 32): I386, ("x86_64", 32): I386,
}.get(PROCESSOR)
SYS_GETTID = {("x86_64", 64): 186, ("aarch64", 64): 178, ("i686", 32): 224,
              ("x86_64", 32): 224}.get(PROCESSOR)


def get_native_id():
    if hasattr(threading, "get_native_id"):
        return threading.get_native_id()
    return ctypes.CDLL(None).syscall(SYS_GETTID)


def read_thread(native_id, name):
    """A file that the kernel has about a thread of ours; nothing when it has ended."""
    try:
        with open("/proc/self/task/%d/%s" % (native_id, name)) as file:
            return file.read()
    except (IOError, OSError):
        return ""


def is_blocked(native_id):
    """Does the kernel say that this thread of ours sleeps in a system call for a socket?"""
    if SOCKET_CALLS is None:  # elsewhere: it sleeps, each time of ten that it is looked at
        return all(map(is_asleep, [native_id] * 10))
    number = (read_thread(native_id, "syscall") or "running").split()[0]
    return number != "running" and int(number) in SOCKET_CALLS


def is_asleep(native_id):
    time.sleep(0.001)  # gives the GIL up, for which it may be waiting
    return read_thread(native_id, "stat").rpartition(")")[2].split()[:1] == ["S"]


def wait_until(condition, seconds=30):
    """Return when `condition()` is true; an AssertionError after so many seconds."""
    deadline = clock() + seconds
    while not condition():
        assert clock() < deadline, "waited %s seconds for %r" % (seconds, condition)
        time.sleep(0.0005)


class Worker(threading.Thread):
    """A thread, started when created, that keeps what its function returned or raised."""

    def __init__(self, function, *args):
        threading.Thread.__init__(self)
        self.daemon = True
        self.function = function
        self.args = args
        self.native_id_known = threading.Event()
        self.value = self.error = None
        self.start()

    def run(self):
        self.system_id = get_native_id()
        self.native_id_known.set()
        try:
            self.value = self.function(*self.args)
        except BaseException as error:
            self.error = error
        finally:
            del self.function, self.args

    def wait_until_blocked(self):
        """Return once the thread sleeps in a system call for a socket; else an AssertionError."""
        self.native_id_known.wait(30)
        wait_until(lambda: is_blocked(self.system_id) or not self.is_alive())
        assert self.is_alive(), "ended instead of blocking: %r, %r" % (self.value, self.error)

    def result(self, seconds=30):
        """What the function returned; raises what it raised, AssertionError if it does not end."""
        self.join(seconds)
        assert not self.is_alive(), "a thread hangs"
        if self.error is not None:
            raise self.error
        return self.value


def run_together(functions, seconds=600):
    """Run the functions in a thread each, from one starting line; give their results."""
    ready = threading.Event()

    def run(function):
        ready.wait()
        return function()

    workers = [Worker(run, function) for function in functions]
    ready.set()
    return [worker.result(seconds) for worker in workers]


# A list of a million ints would be measured, too.
count_to = range if not PY2 else xrange  # noqa: F821


# -- the command line

class Budget(object):
    """How long a workload goes on: so many seconds, or so many rounds, whichever ends first."""

    def __init__(self, seconds=None, rounds=None):
        self.deadline = None if seconds is None else clock() + seconds
        self.rounds = rounds
        self.done = 0

    def __iter__(self):
        while (self.rounds is None or self.done < self.rounds) and (
            self.deadline is None or clock() < self.deadline
        ):
            yield self.done
            self.done += 1


def parse(description, **options):
    """The command line: `--implementation`, `--seed`, and an integer option for each keyword."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--implementation", default="c", choices=["c", "python", "interpreter"])
    parser.add_argument("--seed", type=int, default=random.randrange(2 ** 32))
    for name, default in sorted(options.items()):
        parser.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    args = parser.parse_args()
    random.seed(args.seed)
    args.implementation = load(args.implementation)
    print("%s %s, implementation %s, %s" % (
        platform.python_implementation(), sys.version.split()[0], args.implementation.name,
        ", ".join("%s %s" % (name, getattr(args, name)) for name in sorted(options) + ["seed"])))
    sys.stdout.flush()
    return args


def report(what, **figures):
    """Print one line of what was done."""
    print(
        "%-34s %s" % (what, ", ".join("%s %s" % (name, figures[name]) for name in sorted(figures)))
    )
    sys.stdout.flush()
