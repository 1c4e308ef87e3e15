"""Every public operation, and each of its failures, over and over: nothing may grow.

    python tests/stress/leaks.py --implementation c --rounds 100000

counts references (debug builds), allocated memory blocks, objects the collector knows, descriptors,
and the resident size, around so many rounds of each operation (a twentieth for those that time
out).  What grows five times in a row by half of the rounds (memory: by three bytes a round) leaks.
"""

from __future__ import print_function

import copy
import gc
import io
import pickle
import socket
import ssl
import sys

import harness
from backports.makefile import install, uninstall

ERRORS = (EnvironmentError, ValueError, TypeError, AttributeError, LookupError, OverflowError,
          MemoryError, StopIteration)
MAKEFILE = "backport_makefile"


class SendallFake(object):
    """A fake with a counter and without `send`, that reads and writes as its script says."""

    def __init__(self):
        self._makefile_refs = 0
        self.result = 3
        self.error = None

    def fileno(self):
        return 0

    def transfer(self, buf):
        if self.error is not None:
            # A new one each time: a traceback grows with each raise.
            raise socket.error(*self.error)
        return self.result

    recv_into = sendall = transfer

    def _decref_socketios(self):
        self._makefile_refs -= 1


class CountingFake(SendallFake):
    send = SendallFake.__dict__["transfer"]


class Environment(object):
    """The sockets and streams on which the operations work, made once."""

    def __init__(self, impl):
        self.impl = impl
        self.ours, self.peer = harness.unix_pair()
        self.ours.settimeout(0)
        self.peer.settimeout(5)
        self.timed, self.silent = harness.unix_pair()
        self.ended, end = harness.unix_pair()
        end.close()
        self.raw = impl.makefile(self.ours, "rwb", 0)
        self.reader = impl.makefile(self.ours, "rb", 0)
        self.writer = impl.makefile(self.ours, "wb", 0)
        self.at_end = impl.makefile(self.ended, "rwb", 0)
        self.closed = impl.makefile(self.ours, "rwb", 0)
        self.closed.close()
        self.timed_out = impl.makefile(self.timed, "rwb", 0)
        self.timed_out._timeout_occurred = True
        self.fake = CountingFake()
        self.faked = impl.makefile(self.fake, "rwb", 0)
        self.failing = CountingFake()
        self.failing.error = (5, "as asked for")
        self.failed = impl.makefile(self.failing, "rwb", 0)
        self.blocking = CountingFake()
        self.blocking.error = (11, "as asked for")
        self.blocked = impl.makefile(self.blocking, "rwb", 0)
        self.without_send = impl.makefile(SendallFake(), "rwb", 0)
        self.subclass = type("Subclass", (impl.SocketIO,), {})
        self.buffer = bytearray(100)
        self.filled, self.full = harness.unix_pair()
        self.filled.setblocking(False)
        for size in 65536, 1:
            try:
                while True:
                    self.filled.send(b"f" * size)
            except EnvironmentError:
                pass
        self.full_raw = impl.makefile(self.filled, "wb", 0)
        self.tls_object = None
        if harness.HAVE_TLS:
            self.tls = [harness.make_tls_socket(sock) for sock in harness.unix_pair()]
            self.tls[1]._sslobj.error = harness.make_ragged_end
            self.tls_object = self.tls[0]._sslobj
            self.over_tls, self.after_tls = [impl.makefile(tls, "rwb", 0) for tls in self.tls]

    def feed(self, data=b"line 1\nline 2\n"):
        self.peer.send(data)

    def drain(self):
        self.peer.recv(1000)

    def make(self, *args, **kwargs):
        return self.impl.makefile(self.ours, *args, **kwargs)

    def set_timeout_and(self, function, seconds):
        """A fresh stream whose operation times out."""
        self.timed.settimeout(seconds)
        stream = self.impl.makefile(self.timed, "rwb", 0)
        try:
            function(stream)
        finally:
            stream.close()


OPERATIONS = []  # (public name, condition, function of the environment)


def works(name, condition):
    def register(function):
        OPERATIONS.append((name, condition, function))
        return function
    return register


def fails(name, condition):
    def register(function):
        def run(env):
            try:
                function(env)
            except ERRORS:
                return
            raise AssertionError("%s (%s) did not fail" % (name, condition))
        OPERATIONS.append((name, condition, run))
        return function
    return register


# -- TLS

if harness.HAVE_TLS:

    def relearn(env):
        """The class has changed, so that it has to be looked at anew."""
        harness.change_tls_class()
        env.over_tls.readinto(env.buffer)

    def refuse(env):
        """The class has a function that is not known."""
        own = ssl.SSLSocket.read
        ssl.SSLSocket.read = lambda self, *args: own(self, *args)
        try:
            env.over_tls.readinto(env.buffer)
        finally:
            ssl.SSLSocket.read = own

    works("SocketIO.readinto", "over TLS")(lambda env: env.over_tls.readinto(env.buffer))
    works("SocketIO.readinto", "over TLS, into a view")(
        lambda env: env.over_tls.readinto(memoryview(env.buffer))
    )
    works("SocketIO.readinto", "over TLS, into items of two bytes")(
        lambda env: env.after_tls.readinto(memoryview(env.buffer).cast("H"))
    )
    works("SocketIO.read", "over TLS")(lambda env: env.over_tls.read(10))
    works("SocketIO.read", "at a ragged end")(lambda env: env.after_tls.read(10))
    works("SocketIO.write", "over TLS")(lambda env: env.over_tls.write(b"data"))
    works("SocketIO.readinto", "over a class of TLS sockets that has changed")(relearn)
    works("SocketIO.readinto", "over a class of TLS sockets that is not known")(refuse)

# -- makefile

for mode in "rb", "wb", "rwb", "r", "w", "rw", "":
    works(MAKEFILE, "mode %r" % mode)(lambda env, mode=mode: env.make(mode).close())
    works(MAKEFILE, "mode %r, dropped" % mode)(lambda env, mode=mode: env.make(mode))
works(MAKEFILE, "unbuffered")(lambda env: env.make("rwb", 0).close())
works(MAKEFILE, "unbuffered, dropped")(lambda env: env.make("rwb", 0))
works(MAKEFILE, "by position")(lambda env: env.make("rw", -1, "utf-8", "strict", "\n").close())
works(MAKEFILE, "by keyword")(lambda env: env.make(
    mode="rw", buffering=100, encoding="utf-8", errors="strict", newline="").close())
works(MAKEFILE, "of a fake")(lambda env: env.impl.makefile(env.fake, "rb").close())
works(MAKEFILE, "bound")(lambda env: Method(env.impl).makefile("rb").close())
works(MAKEFILE, "repr, pickle, doc")(
    lambda env: (repr(env.impl.makefile), env.impl.makefile.__doc__, env.impl.makefile.__name__,
                 env.impl.makefile.__module__)
)
for args in (("x",), (None,), (5,), ("rb", "8"), ("rb", 2**64), ("rb", sys.maxsize), ("r", 0),
             ("r", None, "no such"), ("r", None, 5), ("r", None, None, 5),
             ("r", None, None, None, "x"), ("r", None, None, None, 5), (1, 2, 3, 4, 5, 6)):
    fails(MAKEFILE, "arguments %r" % (args,))(lambda env, args=args: env.make(*args))
fails(MAKEFILE, "an unknown keyword")(lambda env: env.make(mod="rb"))
fails(MAKEFILE, "an argument twice")(lambda env: env.make("rb", mode="rb"))
fails(MAKEFILE, "no argument")(lambda env: env.impl.makefile())
fails(MAKEFILE, "no counter")(lambda env: env.impl.makefile(object(), "rb"))


class Method(object):
    """Binds makefile; a class for each round would be a burden for the collector."""

    classes = {}

    def __new__(cls, impl):
        if impl.name not in cls.classes:
            cls.classes[impl.name] = type("Bound", (CountingFake,), {"makefile": impl.makefile})
        return cls.classes[impl.name]()


@works(MAKEFILE, "in a cycle")
def make_cycle(env):
    stream = env.make("rb")
    stream.raw.cycle = stream


# -- the raw stream

works("SocketIO", "made and dropped")(lambda env: env.impl.SocketIO(env.fake, "rw"))
works("SocketIO", "keywords")(lambda env: env.impl.SocketIO(sock=env.fake, mode="rw"))
works("SocketIO", "made again")(lambda env: env.faked.__init__(env.fake, "rw"))
works("SocketIO", "subclass")(lambda env: env.subclass(env.fake, "rw"))
works("SocketIO", "subclass with attributes")(
    lambda env: setattr(env.subclass(env.fake, "rw"), "name_of_mine", env.buffer)
)
works("SocketIO", "never initialised")(lambda env: env.impl.SocketIO.__new__(env.impl.SocketIO))
works("SocketIO", "with")(lambda env: env.make("rwb", 0).__enter__().__exit__(None, None, None))
fails("SocketIO", "bad mode")(lambda env: env.impl.SocketIO(env.fake, "rt"))
fails("SocketIO", "mode of a bad type")(lambda env: env.impl.SocketIO(env.fake, 5))
fails("SocketIO", "no arguments")(lambda env: env.impl.SocketIO())
fails("SocketIO", "pickled")(lambda env: pickle.dumps(env.raw))
fails("SocketIO", "copied")(lambda env: copy.copy(env.raw))


@works("SocketIO", "in a cycle")
def make_raw_cycle(env):
    fake = CountingFake()
    fake.stream = env.impl.makefile(fake, "rb", 0)


READS = [
    ("readinto", lambda raw, env: raw.readinto(env.buffer)),
    ("read", lambda raw, env: raw.read(10)),
    ("readall", lambda raw, env: raw.readall()),
    ("readline", lambda raw, env: raw.readline()),
]
for name, read in READS:
    works("SocketIO." + name, "data")(
        lambda env, read=read: (env.feed(), read(env.raw, env), env.raw.read(1000))
    )
    works("SocketIO." + name, "end of stream")(lambda env, read=read: read(env.at_end, env))
    if name != "readline":  # 2.7's raises TypeError there
        works("SocketIO." + name, "would block")(lambda env, read=read: read(env.raw, env))
        works("SocketIO." + name, "would block, delegated")(
            lambda env, read=read: read(env.blocked, env)
        )
    fails("SocketIO." + name, "wrong direction")(lambda env, read=read: read(env.writer, env))
    fails("SocketIO." + name, "timed out before")(lambda env, read=read: read(env.timed_out, env))
    fails("SocketIO." + name, "times out")(
        lambda env, read=read: env.set_timeout_and(lambda raw: read(raw, env), 1e-6)
    )
    fails("SocketIO." + name, "the socket's error")(lambda env, read=read: read(env.failed, env))
works("SocketIO.readinto", "delegated")(lambda env: env.faked.readinto(env.buffer))
works("SocketIO.read", "delegated")(lambda env: env.faked.read(3))
works("SocketIO.readinto", "memoryview")(
    lambda env: (env.feed(), env.raw.readinto(memoryview(env.buffer)[:14]))
)
fails("SocketIO.readinto", "read-only buffer")(lambda env: env.raw.readinto(b"constant"))
fails("SocketIO.readinto", "no buffer")(lambda env: env.raw.readinto(5))
fails("SocketIO.read", "bad size")(lambda env: env.raw.read("5"))
fails("SocketIO.read", "huge size")(lambda env: env.raw.read(sys.maxsize))
works("SocketIO.readlines", "data")(lambda env: env.at_end.readlines())
fails("SocketIO.readlines", "the socket's error")(lambda env: env.failed.readlines())
works("SocketIO.write", "data")(lambda env: (env.raw.write(b"data"), env.drain()))
works("SocketIO.write", "memoryview")(lambda env: (env.raw.write(memoryview(b"data")), env.drain()))
works("SocketIO.write", "would block")(lambda env: env.full_raw.write(b"data"))
works("SocketIO.write", "would block, delegated")(lambda env: env.blocked.write(b"data"))
works("SocketIO.write", "delegated")(lambda env: env.faked.write(b"data"))
works("SocketIO.write", "by sendall")(lambda env: env.without_send.write(b"data"))
fails("SocketIO.write", "by sendall, no buffer")(lambda env: env.without_send.write(object()))
fails("SocketIO.write", "no buffer")(lambda env: env.raw.write(object()))
fails("SocketIO.write", "wrong direction")(lambda env: env.reader.write(b"data"))
fails("SocketIO.write", "broken pipe")(lambda env: env.at_end.write(b"data"))
fails("SocketIO.write", "the socket's error")(lambda env: env.failed.write(b"data"))
works("SocketIO.writelines", "data")(
    lambda env: (env.raw.writelines([b"one", b"two"]), env.drain())
)
fails("SocketIO.writelines", "no buffers")(lambda env: env.raw.writelines([object()]))
works("SocketIO.close", "twice")(lambda env: env.closed.close())
works("SocketIO.close", "once")(lambda env: env.make("rb", 0).close())
for name in "fileno", "flush", "isatty", "readable", "seekable", "writable":
    works("SocketIO." + name, "open")(lambda env, name=name: getattr(env.raw, name)())
for name in "closed", "mode", "name":
    works("SocketIO." + name, "open")(lambda env, name=name: getattr(env.raw, name))
    works("SocketIO." + name, "closed")(lambda env, name=name: getattr(env.closed, name))
    fails("SocketIO." + name, "set")(lambda env, name=name: setattr(env.raw, name, 5))
for name, args in ("seek", (0,)), ("tell", ()), ("truncate", (0,)):
    fails("SocketIO." + name, "unsupported")(
        lambda env, name=name, args=args: getattr(env.raw, name)(*args)
    )
    fails("SocketIO." + name, "closed")(
        lambda env, name=name, args=args: getattr(env.closed, name)(*args)
    )
for name in "_sock", "_reading", "_writing", "_timeout_occurred", "_mode":
    works("SocketIO." + name, "got and set")(
        lambda env, name=name: setattr(env.faked, name, getattr(env.faked, name)))
CLOSED_ARGUMENTS = {"readinto": (bytearray(5),), "write": (b"x",), "writelines": ([b"x"],)}
for name in ("readinto", "read", "readall", "readline", "readlines", "write", "writelines",
             "fileno", "flush", "isatty", "readable", "seekable", "writable"):
    fails("SocketIO." + name, "closed")(
        lambda env, name=name: getattr(env.closed, name)(*CLOSED_ARGUMENTS.get(name, ())))
for name in ("readinto", "read", "readall", "readline", "readlines", "write", "writelines",
             "fileno", "flush", "isatty", "readable", "seekable", "writable", "seek", "tell",
             "truncate", "close"):
    fails("SocketIO." + name, "too many arguments")(
        lambda env, name=name: getattr(env.raw, name)(1, 2, 3, 4)
    )

NEXT = "SocketIO.next" if harness.PY2 else "SocketIO.__next__"
works(NEXT, "data")(lambda env: (env.feed(), next(env.raw), env.raw.read(100)))
fails(NEXT, "end of stream")(lambda env: next(env.at_end))
fails(NEXT, "closed")(lambda env: next(env.closed))

# -- the streams above it

works(MAKEFILE, "buffered exchange")(lambda env: exchange(env, env.make("rwb"), b"ping\n"))
works(MAKEFILE, "text exchange")(
    lambda env: exchange(env, env.make("rw"), "ping\n" if not harness.PY2 else u"ping\n")
)
works(MAKEFILE, "detached")(lambda env: env.make("rb").detach().close())


def exchange(env, stream, line):
    with stream:
        env.feed()
        assert stream.readline()
        stream.write(line)
        stream.flush()
        env.drain()
    env.raw.read(100)


@fails(MAKEFILE, "close() of a writer whose flush fails")
def close_failing(env):
    stream = env.impl.makefile(env.failing, "wb")
    stream.write(b"data")
    stream.close()


# -- install


def install_class(env):
    with install(Method):
        pass


works("install", "process")(lambda env: install().__exit__(None, None, None))
works("install", "class")(install_class)
works("install", "twice")(lambda env: (install(Method), install(Method), uninstall(Method)))
fails("install", "no class")(lambda env: install(5))
works("uninstall", "process")(lambda env: (install(), uninstall()))
works("uninstall", "class")(lambda env: (install(Method), uninstall(Method)))


def find_public_names(impl):
    """What has to be in the table: the package's functions, the raw stream's attributes."""
    names = [name for name in dir(impl.SocketIO) if not name.startswith("_")]
    return {MAKEFILE, "SocketIO", "install", "uninstall", NEXT} | {
        "SocketIO." + name for name in names
    }


# -- measuring

def read_resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def count(sentinels):
    """Whatever grows when something leaks, by name."""
    counts = {"descriptors": harness.count_descriptors()}
    if hasattr(sys, "getallocatedblocks") and not harness.PYPY:
        counts["blocks"] = sys.getallocatedblocks()
    else:
        counts["objects"] = len(gc.get_objects())
    if hasattr(sys, "gettotalrefcount"):
        counts["references"] = sys.gettotalrefcount()
    if hasattr(sys, "getrefcount"):
        for sentinel in sentinels:
            counts["references to %.60r" % (sentinel,)] = sys.getrefcount(sentinel)
    return counts


def find_growth(function, env, rounds, attempts=5, memory=False):
    """What grows with the rounds in each attempt: {what: by how much in the last}, or empty."""
    # 2.7 and the older 3.x count references to these, too; what is immortal simply does not change.
    sentinels = [None, True, False, 0, b"", env.ours, env.fake, env.buffer, env.impl.SocketIO,
                 env.tls_object,
                 socket.timeout, io.BufferedReader]
    for _ in range(3):
        function(env)
    growth = None
    for attempt in range(attempts):
        if growth is not None:  # seen growing once: a cycle perhaps, or a cache
            harness.forget_exceptions()
        before = count(sentinels)
        resident = read_resident_bytes() if memory else 0
        for _ in range(rounds):
            function(env)
        if growth is not None:
            harness.forget_exceptions()
        after = count(sentinels)
        grown = {
            what: after[what] - before[what]
            for what in after
            if after[what] - before[what] > rounds // 2
        }
        if memory and read_resident_bytes() - resident > max(1 << 18, 3 * rounds):
            grown["resident bytes"] = read_resident_bytes() - resident
        growth = (
            grown if growth is None else {what: grown[what] for what in growth if what in grown}
        )
        if not growth:
            break
    return growth


def main():
    args = harness.parse(__doc__.splitlines()[0], rounds=100000, only="")
    env = Environment(args.implementation)
    leaks = done = 0
    for name, condition, function in OPERATIONS:
        if args.only not in name:
            continue
        # A wait costs a millisecond: a twentieth of the rounds.
        rounds = args.rounds // 20 if condition == "times out" else args.rounds
        growth = find_growth(function, env, rounds, memory=rounds >= 5000)
        done += 1
        if growth:
            leaks += 1
            harness.report(
                "%s: %s" % (name, condition),
                **{what.replace(" ", "_"): growth[what] for what in growth}
            )
    harness.report("operations", tried=done, rounds_each=args.rounds, leaking=leaks)
    return 1 if leaks else 0


if __name__ == "__main__":
    sys.exit(main())
