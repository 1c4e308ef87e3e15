"""A fake socket whose methods do whatever they can to the stream that calls them.

They do it at random, for as long as wanted.

    python tests/stress/hostile.py --implementation c --seconds 600

Nothing is expected of the results, which are the fake's own fault, but these: no crash, no
exception that is not somebody's answer (SystemError above all), and each stream gives its reference
back at most once.
"""

from __future__ import print_function

import array
import collections
import gc
import io
import random
import socket
import sys
import time

import harness

EXCEPTIONS = [ValueError, TypeError, MemoryError, StopIteration, RuntimeError, AttributeError,
              AssertionError, GeneratorExit, OSError, socket.error, socket.timeout,
              io.UnsupportedOperation, UnicodeDecodeError, KeyError, EOFError]
RESULTS = [0, 1, 2, -1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**63, 2**100, -(2**100), 10**6, None,
           True, False, "3", b"3", u"3", 2.5, float("nan"), [], {}, object(), bytearray(3), 11,
           Ellipsis]


def collect():
    """Collect what is young: the whole of a long test run would take its time, each time."""
    gc.collect(0 if harness.PYPY else 1)


class OddError(EnvironmentError):
    """An error whose attributes bite."""

    @property
    def errno(self):
        raise ZeroDivisionError("errno")

    @property
    def args(self):
        raise ZeroDivisionError("args")


class Biting(object):
    """Raises in every conversion."""

    def __index__(self, *args):
        raise ZeroDivisionError("index")

    __int__ = __bool__ = __nonzero__ = __len__ = __eq__ = __lt__ = __iadd__ = __add__ = __isub__ = (
        __index__
    )
    __hash__ = None


class Nothing(object):
    """Has nothing that a socket has."""


class Hostile(object):
    """A fake with a counter; each of its methods does what the stream's script says.

    The script is a function of the fake and the buffer.
    """

    def __init__(self, action=None):
        self._io_refs = 0
        self.action = action
        self.stream = self.raw = None
        self.depth = self.calls = self.decrefs = 0
        self.kept = []

    def transfer(self, buf):
        self.calls += 1
        if self.calls % 50 == 0:
            raise socket.error(5, "enough: one that always answers would be read for ever")
        if self.action is None or self.depth > 3:
            return 1
        self.depth += 1
        try:
            return self.action(self, buf)
        finally:
            self.depth -= 1

    recv_into = send = transfer

    def fileno(self):
        return self.transfer(None)

    def _decref_socketios(self):
        self.decrefs += 1
        self._io_refs -= 1
        if self.action is not None:
            self.transfer(None)

    def close(self):
        pass


class Other(Hostile):
    """What __class__ is swapped for."""


subclasses = {}


def subclass_of(impl):
    if impl.name not in subclasses:
        subclasses[impl.name] = type("Subclass", (impl.SocketIO,), {})
    return subclasses[impl.name]


def read_again(fake):
    fake.raw.readinto(bytearray(3))


def use_stream(fake):
    fake.stream.read(1)


def write_stream(fake):
    fake.stream.write(b"x")
    fake.stream.flush()


def drop_stream(fake):
    fake.stream = fake.raw = None


def forget_method(fake):
    fake.recv_into = fake.send = None
    del fake.recv_into
    fake.__dict__.pop("_io_refs", None)


def swap_class(fake):
    fake.raw.__class__ = subclass_of(fake.impl)
    fake.__class__ = Other


def spoil_fields(fake):
    for name, value in (("_sock", Biting()), ("_reading", Biting()), ("_writing", 5),
                        ("_timeout_occurred", None), ("_mode", 3)):
        setattr(fake.raw, name, value)


def delete_fields(fake):
    for name in "_sock", "_reading", "_writing", "_timeout_occurred", "_mode":
        if hasattr(fake.raw, name):
            delattr(fake.raw, name)


def spoil_dict(fake):
    fake.raw.__dict__.update(readinto=lambda b: 1, closed=5, readable=5)
    fake.raw.__dict__.clear()
    fake.raw.__dict__ = {}


# What a method of the fake does to the stream that is calling it, by name: functions of the fake.
ACTIONS = collections.OrderedDict([
    ("close the raw stream", lambda fake: fake.raw.close()),
    ("close the stream", lambda fake: fake.stream.close()),
    ("read from the raw stream", read_again),
    ("read from the stream", use_stream),
    ("write to the stream", write_stream),
    ("drop the last reference", drop_stream),
    ("collect garbage", lambda fake: collect()),
    ("switch threads", lambda fake: time.sleep(0)),
    ("delete the fake's attributes", forget_method),
    ("swap classes", swap_class),
    ("set _sock to None", lambda fake: setattr(fake.raw, "_sock", None)),
    ("set _sock to another fake", lambda fake: setattr(fake.raw, "_sock", Hostile())),
    ("set odd fields", spoil_fields),
    ("delete the fields", delete_fields),
    ("spoil the instance's dict", spoil_dict),
    ("set an odd counter", lambda fake: setattr(fake, "_io_refs", Biting())),
    ("initialise the raw stream again", lambda fake: fake.raw.__init__(Hostile(), "rw")),
    ("finalise the raw stream", lambda fake: getattr(fake.raw, "__del__", collect)()),
    ("make another stream", lambda fake: fake.kept.append(fake.impl.makefile(fake, "rb"))),
])


def spoil_buffer(fake, buf):
    """Do to the buffer that the stream lent what can be done to it."""
    choice = random.randrange(4)
    if isinstance(buf, memoryview) and choice == 0 and hasattr(buf, "release"):
        buf.release()
    elif isinstance(buf, bytearray) and choice == 1:
        del buf[:]
    elif isinstance(buf, bytearray) and choice == 2:
        buf.extend(b"x" * 100000)
    elif choice == 3:
        fake.kept.append(buf)  # kept, and not looked at: what is in it afterwards is nobody's


def act_at_random(fake, buf):
    """One random misdeed, and a random answer."""
    what = random.random()
    if what < 0.15:
        error = random.choice(EXCEPTIONS + [OddError])
        if error is UnicodeDecodeError:
            raise error("ascii", b"x", 0, 1, "as asked for")
        raise error(
            *random.choice([(), (11,), (11, "as asked for"), (4, "as asked for"), ("text",)])
        )
    if what < 0.5 and fake.raw is not None:
        random.choice(list(ACTIONS.values()))(fake)
    if what < 0.6:
        spoil_buffer(fake, buf)
    return random.choice(RESULTS) if random.random() < 0.5 else 1


OPERATIONS = [lambda stream: stream.read(3), lambda stream: stream.read(),
              lambda stream: stream.readline(5), lambda stream: stream.readinto(bytearray(5)),
              lambda stream: stream.readinto(array.array("B", b"12345")),
              lambda stream: stream.readall(), lambda stream: stream.write(b"data"),
              lambda stream: stream.write(u"text"), lambda stream: stream.write(bytearray(10000)),
              lambda stream: stream.flush(), lambda stream: stream.close(),
              lambda stream: stream.fileno(), lambda stream: stream.name,
              lambda stream: stream.readable(), lambda stream: stream.closed,
              lambda stream: stream.writelines([b"a", b"b"]), lambda stream: next(stream),
              lambda stream: repr(stream), lambda stream: stream.isatty(),
              lambda stream: stream.tell(), lambda stream: stream.__enter__(),
              lambda stream: stream.peek(1), lambda stream: stream.read1(5)]


def build(impl, fake, mode, buffering):
    """A stream over the fake, which knows it."""
    fake.impl = impl
    pair_type = io.BufferedRWPair

    def make_pair(reader, writer, size):  # a BufferedRWPair does not show what is in it
        fake.raw = reader
        return pair_type(reader, writer, size)

    io.BufferedRWPair = make_pair
    try:
        # Of memory that nobody filled any byte may come: no encoding that could refuse it.
        text = {} if "b" in mode else {"encoding": "latin-1"}
        fake.stream = impl.makefile(fake, mode, buffering, **text)
    finally:
        io.BufferedRWPair = pair_type
    if fake.raw is None:
        fake.raw = getattr(fake.stream, "buffer", fake.stream)
        fake.raw = getattr(fake.raw, "raw", fake.raw)
    return fake.stream


def forgive(function, *args):
    """What a call came to: None, or its exception's type, but never the interpreter's own alarm."""
    try:
        function(*args)
    except SystemError as error:
        # io makes a SystemError of a raw read() of a negative number of bytes.
        if "PyBytes_FromStringAndSize" not in str(error):
            raise
    except (Exception, GeneratorExit) as error:
        return type(error)


def misbehave(impl, budget):
    outcomes = collections.Counter()
    hook = getattr(sys, "unraisablehook", None)
    if hook is not None:
        sys.unraisablehook = lambda unraisable: None  # what finalizers make of a biting fake
    stderr, sys.stderr = sys.stderr, io.StringIO() if not harness.PY2 else io.BytesIO()
    try:
        for _ in budget:
            fake = Hostile()
            mode, buffering = random.choice(
                [("rwb", 0), ("rb", 0), ("wb", 0), ("rb", -1), ("wb", -1), ("rb", 1), ("r", -1),
                 ("w", -1), ("r", 1)]
            )
            stream = build(impl, fake, mode, buffering)
            fake.action = act_at_random
            for _ in range(random.randrange(1, 8)):
                outcome = forgive(random.choice(OPERATIONS), stream)
                outcomes[outcome.__name__ if outcome else "no error"] += 1
            fake.action = None
            if random.random() < 0.5:
                forgive(stream.close)
            del stream
            fake.stream = fake.raw = None
            sys.stderr.seek(0)
            sys.stderr.truncate()
    finally:
        sys.stderr = stderr
        if hook is not None:
            sys.unraisablehook = hook
    collect()
    return dict(outcomes, streams=budget.done)


if __name__ == "__main__":
    args = harness.parse(__doc__.splitlines()[0], seconds=600)
    harness.report(
        "random misdeeds", **misbehave(args.implementation, harness.Budget(seconds=args.seconds))
    )
