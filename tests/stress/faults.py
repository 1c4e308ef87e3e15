"""One operation with its first allocation failing, then its second, until none is left to fail.

    python tests/stress/faults.py --implementation c --scenario "read raw"

Each time it has to be MemoryError or success, and afterwards the counter and the descriptors have
to be right, and the stream has to go on.  Without `--scenario`, all of them but "import", which
needs a process of its own.  The allocations are made to fail by `_testcapi.set_nomemory`; on 2.7,
which has no such thing, by failmalloc.c, compiled and preloaded (tests/test_faults.py does that).
"""

from __future__ import print_function

import collections
import gc
import os
import socket
import ssl
import sys
import traceback

import harness

CLEAN_ROUNDS = (
    20  # so many successes in a row: a failure may also be swallowed, by a finalizer or a cache
)
LIMIT = 20000


def find_injector():
    """(arm(n), disarm()): the n-th allocation after arm() fails, once."""
    if harness.PY2:
        import ctypes
        library = ctypes.CDLL(None)
        library.failmalloc_arm.restype = None
        library.failmalloc_arm.argtypes = [ctypes.c_long]
        return library.failmalloc_arm, library.failmalloc_disarm
    from _testcapi import remove_mem_hooks, set_nomemory
    return lambda n: set_nomemory(n, n + 1), remove_mem_hooks


class Fake(object):
    """Reads "fake" for ever, and takes whatever it is given."""

    def __init__(self):
        self._makefile_refs = 0

    def recv_into(self, buf):
        buf[:4] = b"fake"
        return 4

    def send(self, data):
        return len(data)

    def _decref_socketios(self):
        self._makefile_refs -= 1


class SendallFake(object):
    """Has no `send`."""

    def __init__(self):
        self._makefile_refs = 0

    def sendall(self, data):
        pass

    def _decref_socketios(self):
        self._makefile_refs -= 1


class Scenario(object):
    """prepare(), operate() with a failing allocation, check(failed)."""

    def __init__(self, impl):
        self.impl = impl
        self.ours, self.peer = harness.unix_pair()
        self.ours.setblocking(False)
        self.peer.setblocking(False)
        self.fake = Fake()
        self.result = None
        self.set_up()
        self.counter = harness.read_counter(self.ours), self.fake._makefile_refs

    def set_up(self):
        pass

    def prepare(self):
        pass

    def check(self, failed):
        pass

    def drain(self, sock):
        """All that is there to be received."""
        try:
            return sock.recv(100000)
        except EnvironmentError:
            return b""

    def give_up_counts(self):
        """The contract's own hole.

        A _decref_socketios() that itself failed leaves the file closed and the reference with it.
        """
        if self.counter[0] is not None:
            self.ours._io_refs = self.counter[0]
        self.fake._makefile_refs = self.counter[1]


SCENARIOS = collections.OrderedDict()


def register(name):
    def add(cls):
        SCENARIOS[name] = cls
        return cls
    return add


class Makefile(Scenario):
    args = ()

    def operate(self):
        self.result = self.impl.makefile(self.ours, *self.args)

    def check(self, failed):
        assert failed == (self.result is None), "an error and a stream"
        if self.result is not None:
            assert not self.result.closed
            self.result.close()
        self.result = None


TEXTS = [("rw", 100, "utf-8", "strict", "")]
# 2.7's own TextIOWrapper crashes, or has strange errors, when a decoder gets no memory.
if not harness.PY2:
    TEXTS += [("r",), ("w",)]
for args in [("rb",), ("wb",), ("rwb",), ("rwb", 0)] + TEXTS:
    SCENARIOS["makefile %s" % (args,)] = type("Makefile", (Makefile,), {"args": args})


@register("makefile of a fake")
class MakefileOfFake(Makefile):
    def operate(self):
        self.result = self.impl.makefile(self.fake, mode="rwb", buffering=0)


@register("makefile refused")
class MakefileRefused(Makefile):
    def operate(self):
        try:
            self.impl.makefile(self.ours, "r", -1, "no such encoding")
        except LookupError:
            return
        raise AssertionError("not refused")

    def check(self, failed):
        pass


class WithRaw(Scenario):
    """A raw stream on the socket; an error leaves there what was not read of five bytes."""

    def set_up(self):
        self.raw = self.impl.makefile(self.ours, "rwb", 0)
        self.raw.written = b""

    def check(self, failed):
        assert self.raw.readable() is True
        self.drain(self.ours)


@register("read raw: readinto")
class Readinto(WithRaw):
    def prepare(self):
        self.buffer = bytearray(5)
        self.peer.send(b"12345")

    def operate(self):
        assert self.raw.readinto(self.buffer) == 5

    def check(self, failed):
        if failed and self.impl.name == "c":  # Python code may fail after it has received
            assert self.raw.readinto(self.buffer) == 5, "an error, and the bytes are gone"
        assert failed or self.buffer == b"12345"
        WithRaw.check(self, failed)


@register("read raw: read")
class Read(WithRaw):
    def prepare(self):
        self.peer.send(b"12345")

    def operate(self):
        assert self.raw.read(5) == b"12345"


class OverTls(Scenario):
    """The class has changed each time, so that it is looked at anew."""

    def set_up(self):
        self.tls = harness.make_tls_socket(harness.unix_pair()[0])
        self.raw = self.impl.makefile(self.tls, "rwb", 0)

    def prepare(self):
        harness.change_tls_class()
        self.tls._sslobj.error = None

    def operate(self):
        assert self.raw.readinto(bytearray(3)) == 3
        assert self.raw.write(b"data") == 4
        self.tls._sslobj.error = harness.make_ragged_end
        assert self.raw.read(5) == b""


# A debug build asserts where the loop that runs Python code, here TlsObject's, loses a MemoryError.
if harness.HAVE_TLS and not hasattr(sys, "gettotalrefcount"):
    register("TLS")(OverTls)


@register("read raw: read, nothing there")
class ReadNothing(WithRaw):
    def operate(self):
        assert self.raw.read(5) is None


@register("read raw: readall")
class Readall(WithRaw):
    def prepare(self):
        self.peer.send(b"1234567890" * 2000)

    def operate(self):
        assert self.raw.readall() == b"1234567890" * 2000


@register("read raw: readline")
class Readline(WithRaw):
    def prepare(self):
        self.peer.send(b"12345\n")

    def operate(self):
        assert self.raw.readline() == b"12345\n"


@register("read raw: delegated")
class ReadDelegated(WithRaw):
    def set_up(self):
        WithRaw.set_up(self)
        self.faked = self.impl.makefile(self.fake, "rwb", 0)

    def operate(self):
        assert self.faked.read(4) == b"fake"
        assert self.faked.readinto(bytearray(4)) == 4


@register("read raw: refused")
class ReadRefused(WithRaw):
    sizes = tuple(range(30))  # a larger tuple than those that are kept for the next

    def operate(self):
        for call, args in (self.raw.readinto, (b"read only",)), (self.raw.read, self.sizes):
            try:
                call(*args)
            except TypeError:
                continue
            raise AssertionError("not refused")


class Record(object):
    """Stands for the TLS connection in C."""

    def read(self, nbytes, buf):
        buf[:4] = b"fake"
        return 4


if harness.HAVE_TLS:

    @register("read raw: TLS")
    class ReadTLS(WithRaw):
        buffer = bytearray(5000)  # the size takes memory

        def set_up(self):
            WithRaw.set_up(self)
            self.tls = harness.make_tls_socket(harness.unix_pair()[0])
            self.tls._sslobj = Record()
            self.stream = self.impl.makefile(self.tls, "rb", 0)

        def operate(self):
            assert self.stream.readinto(self.buffer) == 4


def take_floats(floats):
    """Take those that are kept for the next into the list."""
    floats.extend(float(len(floats) + number) for number in range(200))


@register("read raw: times out")
class ReadTimesOut(WithRaw):
    floats = []

    def prepare(self):
        take_floats(self.floats)
        self.ours.settimeout(1e-6)
        self.raw._timeout_occurred = False

    def operate(self):
        try:
            self.raw.read(5)
        except socket.timeout:
            return
        raise AssertionError("not timed out")

    def check(self, failed):
        self.ours.settimeout(0)
        self.raw._timeout_occurred = False
        WithRaw.check(self, failed)


@register("wrong direction, closed")
class Refused(WithRaw):
    def set_up(self):
        WithRaw.set_up(self)
        self.reader = self.impl.makefile(self.ours, "rb", 0)
        self.closed = self.impl.makefile(self.ours, "rb", 0)
        self.closed.close()

    def operate(self):
        for stream in self.reader, self.closed:
            try:
                stream.write(b"data")
            except (EnvironmentError, ValueError):
                continue
            raise AssertionError("not refused")


@register("write raw")
class Write(WithRaw):
    data = b"12345"

    def operate(self):
        assert self.raw.write(self.data) == len(self.data)

    def check(self, failed):
        sent = self.drain(self.peer)
        if self.impl.name == "c" or not failed:
            assert sent == (b"" if failed else self.data), "an error, and %r was sent" % sent


@register("write raw: much, with a timeout")
class WriteMuch(Write):
    data = b"x" * 20000  # the timeout is read first
    floats = []

    def prepare(self):
        take_floats(self.floats)
        self.ours.settimeout(30)

    def check(self, failed):
        assert self.drain(self.peer) in [self.data, b""][:1 + failed]  # the count takes memory


@register("write raw: delegated, by sendall")
class WriteDelegated(ReadDelegated):
    def set_up(self):
        ReadDelegated.set_up(self)
        self.by_sendall = self.impl.makefile(SendallFake(), "wb", 0)

    def operate(self):
        assert self.faked.write(b"12345") == 5
        assert self.by_sendall.write(b"12345") == 5


class OverBuffered(Scenario):
    args = ("rwb",)
    line = b"a line\n"

    def set_up(self):
        self.ours.settimeout(30)
        self.stream = self.impl.makefile(self.ours, *self.args)

    def prepare(self):
        self.peer.send(b"a line\n")

    def operate(self):
        self.stream.readline()
        self.stream.write(self.line)
        self.stream.flush()

    def check(self, failed):
        if self.stream.closed:
            raise AssertionError("closed by an error")
        self.ours.setblocking(False)
        self.drain(self.ours)
        self.ours.settimeout(30)
        try:
            self.stream.flush()
        finally:
            self.drain(self.peer)


SCENARIOS["buffered exchange"] = OverBuffered
SCENARIOS["text exchange"] = type(
    "OverText", (OverBuffered,), {"args": ("rw",), "line": u"a line\n"}
)


@register("close")
class Close(Scenario):
    args = [("rb", 0), ("rb",), ("wb",), ("rwb",), ("r",)]

    def prepare(self):
        self.streams = [self.impl.makefile(self.ours, *args) for args in self.args] + [
            self.impl.makefile(self.fake, "rb")
        ]

    def operate(self):
        for stream in self.streams:
            stream.close()

    def check(self, failed):
        for stream in self.streams:
            stream.close()
            assert stream.closed
        if failed:
            self.give_up_counts()


@register("close, one of many")
class CloseOneOfMany(Close):
    args = [("rb", 0)]

    def set_up(self):
        if not harness.PY2:
            self.ours._io_refs = 100000  # the number takes memory

    def check(self, failed):
        if harness.read_counter(self.ours) not in (None, 100000):
            assert self.streams[0]._sock is self.ours, "not counted down, and let go"
        Close.check(self, failed)


@register("drop")
class Drop(Close):
    def operate(self):
        while self.streams:
            self.streams.pop()

    def check(self, failed):
        del self.streams[:]
        self.give_up_counts()


@register("SocketIO")
class Construct(Scenario):
    options = dict.fromkeys(map(str, range(30)))  # their copy takes memory

    def operate(self):
        try:
            self.impl.SocketIO(**self.options)
        except TypeError as error:
            assert "equired argument" not in str(error), "the arguments are gone"
        else:
            raise AssertionError("not refused")
        self.impl.SocketIO(self.ours, "r")
        type("Subclass", (self.impl.SocketIO,), {})(self.ours, "rw").mine = 5

    def check(self, failed):
        gc.collect()
        self.give_up_counts()
        if self.counter[0] is not None:
            self.ours._io_refs = (
                0  # SocketIO does not count up, and its close counts down, to nothing at least
            )
            self.counter = 0, self.counter[1]


@register("install")
class Install(Scenario):
    def set_up(self):
        from backports.makefile import install, uninstall
        self.install, self.uninstall = install, uninstall
        self.before = self.look()

    def look(self):
        return (
            vars(socket.socket).get("makefile"),
            getattr(socket, "SocketIO", None),
            sorted(vars(Fake).items(), key=str),
        )

    def operate(self):
        self.install()
        self.install(Fake)
        self.uninstall(Fake)
        self.uninstall()

    def check(self, failed):
        for cls in None, Fake:
            self.uninstall(cls)
        assert self.look() == self.before, "left of an installation that failed: %s" % (
            self.look(),
        )


@register("import")
class Import(Scenario):
    """The C extension is loaded from its file, each time into a process that never had it."""

    def __init__(self, name):
        self.counter = None, 0
        self.ours, self.fake = None, Fake()
        self.module = None
        self.impl = harness.Implementation("c", None, None)
        import backports.makefile._check  # here: to compile Python code is the interpreter's work
        import backports.makefile._tls
        self.name = "backports.makefile._makefile"
        folder = backports.makefile.__path__[0]
        if harness.PY2:
            import imp
            self.path = imp.find_module("_makefile", [folder])[1]
        else:
            from importlib.machinery import PathFinder
            self.spec = PathFinder.find_spec(self.name, [folder])

    def operate(self):
        if harness.PY2:
            import imp
            self.module = imp.load_dynamic(self.name, self.path)
        else:
            from importlib.util import module_from_spec
            module = module_from_spec(self.spec)
            self.spec.loader.exec_module(module)
            self.module = module

    def check(self, failed):
        if harness.PY2:
            sys.modules.pop(self.name, None)
        if self.module is None:
            return
        # 2.7 makes it anew if it gets no memory to look it up.
        harness.socket = sys.modules["socket"]
        ours, peer = harness.unix_pair()
        for mode in "rwb", "rw":
            stream = self.module.backport_makefile(ours, mode)
            stream.close()
        ours.close()
        peer.close()
        self.module = None


def is_the_interpreters(error, impl):
    """Is this what the interpreter makes of a failed allocation, in io or in running Python?"""
    text = str(error)
    if isinstance(error, AttributeError):
        # A look-up by io that forgot its MemoryError: just the name.
        return text.replace("_", "").isalnum()
    if isinstance(error, TypeError):
        return "vars() argument" in text  # up to 3.6 it takes no memory for no __dict__
    if isinstance(error, SystemError):  # the loop that runs Python code lost its MemoryError
        if "PyEval_EvalFrameEx returned NULL" in text:
            # 3.8 says nothing when it gets none for its cache; the import itself is Python code.
            return True
        return (impl.name == "python" or "TlsObject" in text) and (
            "without exception set" in text or "without setting an" in text
        )
    return "can't allocate" in text  # io got no lock


def attempt(scenario, injector, n):
    """Do it with allocation n failing.  Did that come out?"""
    arm, disarm = injector
    failed = False
    try:
        try:
            arm(n)
            scenario.operate()
        finally:
            disarm()
    except MemoryError:
        failed = True
    except (RuntimeError, AttributeError, SystemError, TypeError) as error:
        if not is_the_interpreters(error, scenario.impl):
            raise
        failed = True
    harness.forget_exceptions() if harness.PY2 else None
    return failed


# These crash by themselves while they make a type: 2.7 lists a subclass, 3.6 frees a docstring,
# 3.13's dict does not grow.
CRASHING = [(2, 7), (3, 6), (3, 13)]
CRASHES = 20  # at most so many of the allocations


def attempt_import(scenario, injector, n):
    """The same in a child process, where the import has to succeed afterwards.

    0, 1, or 2 for a crash of the interpreter's own.
    """
    child = os.fork()
    if child == 0:
        failed = attempt(scenario, injector, n)
        scenario.check(failed)
        scenario.operate()
        scenario.check(False)
        sys.exit(10 + failed)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and sys.version_info[:2] in CRASHING:
        return 2
    assert status in (10 << 8, 11 << 8), "status %#x when allocation %d failed" % (status, n)
    return os.WEXITSTATUS(status) - 10


def run_import(scenario):
    injector = find_injector()
    clean = errors = crashes = n = 0
    while clean < CLEAN_ROUNDS:
        failed = attempt_import(scenario, injector, n)
        errors += failed == 1
        crashes += failed == 2
        clean = 0 if failed else clean + 1
        n += 1
    assert crashes <= CRASHES, "%d crashes" % crashes
    return {"allocations": n, "memory_errors": errors}


def run(scenario):
    """{"allocations": how many were made to fail, "memory_errors": how often that came out}."""
    if isinstance(scenario, Import):
        return run_import(scenario)
    injector = find_injector()
    scenario.prepare()
    scenario.operate()
    scenario.check(False)
    gc.collect()
    descriptors = harness.count_descriptors()
    clean = errors = n = 0
    while clean < CLEAN_ROUNDS:
        assert n < LIMIT, "no end"
        scenario.prepare()
        failed = attempt(scenario, injector, n)
        scenario.check(failed)
        counter = harness.read_counter(scenario.ours), scenario.fake._makefile_refs
        assert (
            counter == scenario.counter
        ), "counter %s instead of %s after allocation %d failed" % (counter, scenario.counter, n)
        errors += failed
        clean = 0 if failed else clean + 1
        n += 1
    gc.collect()
    assert harness.count_descriptors() <= descriptors, "descriptors left open"
    return {"allocations": n, "memory_errors": errors}


def make(name, implementation):
    """The scenario of that name.  The extension is loaded by its import alone."""
    return Import(implementation) if name == "import" else SCENARIOS[name](implementation)


if __name__ == "__main__":
    if hasattr(sys, "unraisablehook"):
        sys.unraisablehook = lambda unraisable: None
    if "import" in sys.argv:  # in the place of parse(), which loads the implementation
        harness.load = lambda name: harness.Implementation(name, None, None)
    args = harness.parse(__doc__.splitlines()[0], scenario="")
    failed = 0
    for name in [args.scenario] if args.scenario else SCENARIOS:
        if name == "import" and not args.scenario:
            continue
        try:
            harness.report(name, **run(make(name, args.implementation)))
        except Exception:
            failed += 1
            print("FAILED %s" % name)
            traceback.print_exc(file=sys.stdout)
    sys.exit(1 if failed else 0)
