"""One random programme, two implementations of makefile, no difference.

A *programme* is a list of steps, each a plain tuple such as ``("read", 0, 5)``.  Two `Side` objects
run it in lockstep, each on socket pairs of its own; after every step a `Duel` compares what a
caller could see (`Record`) and raises `Difference` at the first thing that is not the same and not
in `ALLOWED`.  `build_machine` puts hypothesis's rule-based state machine around that, so a
difference comes out as a programme of a few lines that `replay` runs again.

A step is drawn as three bytes and decoded by `decode_step` (mixed radix over the table `STEPS`):
one draw of a rule gives some tens of steps, evenly spread, which costs hypothesis a tenth of what
drawing their arguments one by one would.  `minimise` shrinks what was found.

Nothing depends on timing.  The peer sends in the same thread and the executor waits until the
kernel has queued all of it; a read that could block for ever gets a timeout of 0 for that step
(`Side.keep_from_blocking`); a timeout other than 0 is 1 ms and runs out only where nothing can
arrive.

The long run::

    python differential.py --steps 1000000 [--seed N] [--ours c|python] [--theirs
    interpreter|c|python]

prints the seed, the steps done and the differences found, and exits with 1 if there was one.  What
2.7 is compared with is recorded by a 3.x (3.6: its io is the nearest to 2.7's)::

    python differential.py --record 120 --seed 1
"""

from __future__ import print_function

import argparse
import collections
import contextlib
import errno
import functools
import gc
import io
import json
import os
import platform
import random
import signal
import socket
import sys
import time
import warnings
import zlib

from differential_side import PY2, TEXT, Record, Side, is_error
from differential_steps import (COUNTS, ENCODINGS, ERRORS, FLOOD_SIZE, KINDS, MODES, NEWLINES,
                                OUR_SOCKETS, PATCHED, RAW_MODES, SETUP_SPACES, SETUPS, SIZES, SLOTS,
                                SOCKETS, STEPS, WIDTH, decode_setup, decode_step, decode_steps)

SETTLE_SECONDS = 0.5  # how long the kernel may take to deliver before a difference is believed
HANG_SECONDS = 10
DELIVERED = ("received", "kernel")  # fields of Record that the kernel may need a moment for


class Difference(AssertionError):
    """The two sides are not the same."""


class Hang(BaseException):
    """A programme did not end: raised out of whatever blocks."""


# --- the differences that are meant ---------------------------------------------------------------

def allow_early_counter(step, field, theirs, ours, duel):
    if step[0] != "makefile" or not is_error(duel.ours.outcome):
        return False
    # The interpreter's counts down when the raw stream is finalised, ours by `-= 1`
    if field == "log":
        return ours == tuple(
            entry for entry in theirs if entry not in (("_decref_socketios",), ("close",))
        )
    before = duel.counter_before
    return field == "handled" and (
        ours[1] == before[1] if duel.ours.kind == "proxy" else ours == before
    )


def allow_quiet_bad_mode(step, field, theirs, ours, duel):
    if field != "noise" or step[0] not in ("makefile", "rawio"):
        return False
    # With an overridden close() the C makes the interpreter's noise; the twin makes none.
    return theirs and not ours or duel.theirs.implementation.name == "python"


def allow_wording(step, field, theirs, ours, duel):
    return (
        field == "outcome"
        and step[0] in ("setattr", "query", "override")
        and is_error(theirs)
        and is_error(ours)
        and theirs[1] is ours[1]
        and issubclass(ours[1], AttributeError)
    )


def allow_errno_with_fake(step, field, theirs, ours, duel):
    if field != "outcome" or not is_error(theirs):
        return False
    if not is_error(ours):
        # A patch that closes a file let its BlockingIOError out: with EAGAIN in it the call around
        # it would block, too.
        duel.over = theirs[1] is io.BlockingIOError and theirs[3] == 0 and any(
            entry[1:] == ("raised", theirs[1].__name__) for entry in duel.ours.log)
        return duel.over
    return (
        theirs[1] is ours[1] is io.BlockingIOError
        and ours[3] == errno.EAGAIN
        and theirs[3] == 0
        and theirs[4] == ours[4]
        and (
            duel.ours.delegated
            or duel.ours.kind in ("fake", "refs", "scripted", "proxy", "logging")
        )
    )


def allow_error_without_arguments(step, field, theirs, ours, duel):
    if sys.version_info >= (3, 10):
        return False
    # What a logging stream, or a patch around one, saw come out of the interpreter's.
    if field == "log":
        return len(theirs) == len(ours) and all(
            their_entry == our_entry
            or their_entry[1:] == ("raised", "IndexError")
            and our_entry[:2] == their_entry[:2]
            for their_entry, our_entry in zip(theirs, ours)
        )
    return (field == "outcome" and is_error(theirs) and is_error(ours) and theirs[1] is IndexError
            and issubclass(ours[1], socket.error) and ours[2] == ("tuple",))


def allow_refused_count(step, field, theirs, ours, duel):
    if not is_error(duel.ours.outcome) or duel.ours.outcome[1] is not ValueError:
        return False
    if not str(duel.ours.outcome[2][1][1]).startswith("readinto returned "):
        return False
    duel.over = (
        True  # the interpreter's went on with memory that nobody wrote, and may have read more
    )
    return True


# name -> predicate(step, field of Record, theirs, ours, duel).  The numbers are those of the list
# of deliberate differences in the README.  Number 1 (`write` sends all) is where `do_flood` checks
# each side by itself; 3, 4 and 9 leave the two in different states, so no step goes there when the
# interpreter's own is one side, and each has a test of its own.
ALLOWED = {
    "2: the counter is back before the error is handled": allow_early_counter,
    "5: a bad mode makes no noise": allow_quiet_bad_mode,
    "8: the wording for attributes that cannot be set": allow_wording,
    "10: EAGAIN with a fake": allow_errno_with_fake,
    "11: an error without arguments comes through": allow_error_without_arguments,
    "12: a count that the buffer cannot hold is refused": allow_refused_count,
}


# --- two sides in lockstep ------------------------------------------------------------------------

def format_programme(setup, steps):
    return "setup = %r\nsteps = [\n%s]" % (setup, "".join("    %r,\n" % (step,) for step in steps))


def first_step(setup):
    return ("makefile",) + tuple(setup[3:]) + ("utf-8", None, None)


class Duel(object):
    """`theirs` is what is right, `ours` is under test."""

    def __init__(self, theirs, ours, setup):
        self.setup = setup
        self.steps = []
        self.allowed = collections.Counter()
        self.theirs = self.ours = None
        self.counter_before = None
        self.over = (
            False  # set by a predicate after which the two sides cannot be compared any more
        )
        self.hook = getattr(sys, "unraisablehook", None)
        if self.hook is not None:
            sys.unraisablehook = self.keep_noise
        self.active = None
        start_watch()
        self.theirs = Side(theirs, setup)
        self.ours = Side(ours, setup)
        self.advance(first_step(setup))

    def keep_noise(self, unraisable):
        if self.active is not None:
            self.active.noise.append(unraisable.exc_type.__name__)

    def step(self, step):
        if self.over:
            return
        self.steps.append(step)
        self.advance(step)

    def advance(self, step):
        self.counter_before = self.ours.get_counter()
        for side in self.theirs, self.ours:
            self.active = side
            try:
                side.perform(step)
            except Hang as hang:
                hang.programme = self.setup, list(self.steps)
                raise
            finally:
                self.active = None
        self.compare(step)
        if (
            step[0] == "makefile"
            and is_error(self.ours.outcome)
            and self.ours.implementation.name != "interpreter"
        ):
            before, handled = self.counter_before, self.ours.handled
            if handled[1] != before[1] if self.ours.kind == "proxy" else handled != before:
                self.fail(
                    "the counter is %r while the error is handled, and was %r" % (handled, before)
                )

    def compare(self, step):
        theirs, ours = self.theirs.observe(), self.ours.observe()
        if theirs == ours:
            return
        wrong = self.find_wrong(
            step, theirs, ours, [field for field in Record._fields if field not in DELIVERED]
        )
        if self.over:
            return
        deadline = time.time() + SETTLE_SECONDS
        while not wrong and time.time() < deadline:
            if not self.find_wrong(step, theirs, ours, DELIVERED):
                return
            time.sleep(0.001)
            theirs, ours = self.theirs.observe(), self.ours.observe()
        wrong += self.find_wrong(step, theirs, ours, DELIVERED)
        if wrong:
            self.fail("the last step differs in:\n%s" % "\n".join(wrong))

    def find_wrong(self, step, theirs, ours, fields):
        """The differences in `fields` that are not allowed, as text."""
        wrong = []
        for field in fields:
            their_value, our_value = getattr(theirs, field), getattr(ours, field)
            if their_value != our_value:
                for name, predicate in ALLOWED.items():
                    if predicate(step, field, their_value, our_value, self):
                        self.allowed[name] += 1
                        break
                else:
                    wrong.append(
                        "%s\n  %s: %r\n  %s: %r"
                        % (field, self.theirs.implementation.name, their_value,
                           self.ours.implementation.name, our_value)
                    )
        return wrong

    def fail(self, reason):
        error = Difference("\n%s\n# %s" % (format_programme(self.setup, self.steps), reason))
        error.programme = self.setup, list(self.steps)
        raise error

    def close(self):
        try:
            leaked = [side.close() for side in (self.theirs, self.ours) if side is not None]
        finally:
            stop_watch()
            if self.hook is not None:
                sys.unraisablehook = self.hook
        if len(leaked) == 2 and leaked[0] != leaked[1]:
            self.fail(
                "descriptors left open: %s: %r, %s: %r"
                % (self.theirs.implementation.name, leaked[0], self.ours.implementation.name,
                   leaked[1])
            )


def raise_hang(signum, frame):
    raise Hang("the programme does not end")


WATCHED = []  # the handler that was there before


def start_watch():
    WATCHED.append(signal.signal(signal.SIGALRM, raise_hang))
    # Again and again: a `finally` may block once more.
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS, 1)


def stop_watch():
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, WATCHED.pop())


def replay(theirs, ours, setup, steps):
    """Run a programme as a report prints it."""
    duel = Duel(theirs, ours, setup)
    try:
        for step in steps:
            duel.step(step)
    finally:
        duel.close()


# --- the rule-based state machine -----------------------------------------------------------------

def build_machine(theirs, ours):
    """A RuleBasedStateMachine class; `done` counts the steps of all its runs together."""
    import hypothesis.strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

    kinds = SOCKETS if "interpreter" in (theirs.name, ours.name) else OUR_SOCKETS

    class Machine(RuleBasedStateMachine):
        done = 0
        idle = 0
        programmes = 0
        allowed = collections.Counter()
        duel = None

        @initialize(
            setup=st.integers(0, SETUPS - 1).map(functools.partial(decode_setup, kinds=kinds))
        )
        def begin(self, setup):
            Machine.programmes += 1
            self.duel = Duel(theirs, ours, setup)

        @rule(steps=st.binary(min_size=3 * 30, max_size=3 * 60).map(decode_steps))
        def run(self, steps):
            for step in steps:
                self.duel.step(step)
                Machine.done += 1
                if self.duel.ours.outcome == "skip":
                    Machine.idle += 1

        def teardown(self):
            if self.duel is not None:
                Machine.allowed.update(self.duel.allowed)
                duel, self.duel = self.duel, None
                duel.close()

    return Machine


def run_machine(machine, seed, examples):
    """Run about `examples` programmes from `seed`; a Difference or Hang comes out."""
    import hypothesis
    from hypothesis.stateful import run_state_machine_as_test

    settings = hypothesis.settings(
        max_examples=examples, stateful_step_count=2, database=None, deadline=None,
        phases=[hypothesis.Phase.generate], verbosity=hypothesis.Verbosity.quiet,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck.all() if PY2 else hypothesis.HealthCheck),
    )
    run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)


def minimise(theirs, ours, setup, steps):
    """Make a programme that shows a difference shorter, as long as it shows one.

    Steps are left out, longest runs first; then each argument is given its first value.

    -> (setup, steps, the Difference).
    """
    def find(setup, steps):
        try:
            replay(theirs, ours, setup, steps)
        except (Difference, Hang) as error:
            return error
        return None

    best = find(setup, steps)
    if best is None:
        return setup, steps, None

    def attempt(new_setup, new_steps):
        error = find(new_setup, new_steps)
        return error is not None, error

    size = len(steps)
    while size:
        start = 0
        while start < len(steps):
            shorter = steps[:start] + steps[start + size:]
            found, error = attempt(setup, shorter)
            if found:
                steps, best = shorter, error
            else:
                start += size
        size //= 2
    spaces = dict((row[1], row[2]) for row in STEPS)
    for index, step in enumerate(steps):
        for place, space in enumerate(spaces[step[0]]):
            for value in space[:space.index(steps[index][place + 1])]:
                simpler = steps[index][:place + 1] + (value,) + steps[index][place + 2:]
                found, error = attempt(setup, steps[:index] + [simpler] + steps[index + 1:])
                if found:
                    steps, best = steps[:index] + [simpler] + steps[index + 1:], error
                    break
    for place, space in enumerate((SOCKETS,) + SETUP_SPACES):
        for value in space[:space.index(setup[place]) if setup[place] in space else 0]:
            simpler = setup[:place] + (value,) + setup[place + 1:]
            found, error = attempt(simpler, steps)
            if found:
                setup, best = simpler, error
                break
    return setup, steps, best


# --- programmes recorded on 3.x, for where there is no interpreter's own --------------------------

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "differential.json")
DIGEST_ABOVE = 64  # bytes: longer ones are stored as their length and checksum


def make_portable(value):
    """What JSON can hold, and what 2.7 and 3.x call by the same name."""
    if isinstance(value, bytes):
        if len(value) > DIGEST_ABOVE:
            return "%d bytes, crc %08x" % (len(value), zlib.crc32(value) & 0xffffffff)
        return value.decode("latin-1")
    if isinstance(value, TEXT):
        if len(value) > DIGEST_ABOVE:
            return "%d characters, crc %08x" % (
                len(value),
                zlib.crc32(value.encode("utf-8", "replace")) & 0xFFFFFFFF,
            )
        return value
    if isinstance(value, tuple):
        if is_error(value):
            # The errno of a BlockingIOError from io is difference 10.
            return ["error", get_error_family(value[1]), value[3] if value[4] is None else None,
                    value[4]]
        if len(value) == 2 and value[0] == "text":
            return make_portable(value[1])
        return [make_portable(item) for item in value]
    return value


def get_error_family(cls):
    if issubclass(cls, io.UnsupportedOperation):
        return "IOError"  # what 2.7's io raises in its place for a raw stream
    if issubclass(cls, socket.timeout):
        return "timeout"
    if issubclass(cls, UnicodeError):
        return "UnicodeError"
    if issubclass(cls, (IOError, OSError, socket.error)):
        return "IOError"
    return cls.__name__


def make_portable_record(record, kind):
    """The fields of a Record that are the same on 2.7.

    `repr`, the types that io hands to the socket and the words of io's errors are the interpreter's
    own; 2.7's sockets have no counter.
    """
    files = [make_portable(file[:3]) for file in record.files]
    counter = None if kind in ("plain", "subclass") else make_portable(record.counter)
    return [make_portable(record.outcome), files, counter, list(record.descriptors),
            make_portable(record.received), make_portable(record.kernel)]


def compare_with_recorded(ours, programme):
    """Run one recorded programme and hold each step against what was recorded."""
    setup, steps = freeze(programme["setup"]), [freeze(step) for step in programme["steps"]]
    side = None
    start_watch()
    try:
        side = Side(ours, setup)
        expected = [None] * 6
        for index, step in enumerate([first_step(setup)] + steps):
            side.perform(step)
            changes = programme["records"][index]
            expected = [changes.get(str(place), expected[place]) for place in range(6)]
            deadline = time.time() + SETTLE_SECONDS
            while True:
                found = json.loads(json.dumps(make_portable_record(side.observe(), setup[0])))
                if found == expected or found[0] != expected[0] or time.time() > deadline:
                    break
                time.sleep(0.001)
            if found != expected:
                error = Difference(
                    "\n%s\n# the last step differs in:\n  recorded: %r\n  %s: %r"
                    % (format_programme(setup, steps[:index]),
                       [a for a, b in zip(expected, found) if a != b], ours.name,
                       [b for a, b in zip(expected, found) if a != b])
                )
                error.programme = setup, steps[:index]
                raise error
    finally:
        stop_watch()
        if side is not None:
            side.close()


def freeze(value):
    """JSON's lists and unicode back to the tuples and native strings of a programme."""
    if isinstance(value, list):
        return tuple(freeze(item) for item in value)
    if PY2 and isinstance(value, TEXT):
        return value.encode("ascii")
    return value


# What means the same on 2.7, whose io and sockets differ in the rest: bytes is str, unicode is
# taken by sockets, array.array is no new-style buffer, io has no readinto1, a Buffered's readinto
# and a raw readline raise TypeError for would-block, read1 fills its whole buffer (so text reads
# ahead by another amount where the buffer is not of the usual size), and a closed socket object
# knows nothing.
PORTABLE_SOCKETS = ("plain", "subclass", "fake", "refs", "scripted")
PORTABLE_BUFFERINGS = (None, -1, 8192)
PORTABLE_COUNTS = tuple(
    count for count in COUNTS if count is None or count == -1 or 0 < count <= 8192
)
PORTABLE_TIMEOUTS = (0.0, None, 0.001, "blocking", "non-blocking")
PORTABLE_STEPS = (
    (6, "send", (KINDS, SIZES)),
    (8, "read", (SLOTS, PORTABLE_COUNTS)),
    (4, "readline", (SLOTS, PORTABLE_COUNTS)),
    (1, "readlines", (SLOTS, (None, 1, 10, 100))),
    (1, "readall", (SLOTS,)),
    (8, "write", (SLOTS, ("own", "own", "bytearray", "memoryview", "slice"), KINDS, SIZES)),
    (1, "writelines", (SLOTS, (("own",), (), ("own", "own")), KINDS, SIZES)),
    (3, "flush", (SLOTS,)),
    (1, "flood", (("wb", "rwb"), (0, 16, 8192), (0.0, 0.001, None), (FLOOD_SIZE,))),
    (
        4,
        "makefile",
        (MODES[:6] + ("", "br", "wr", "list:r,b", "tuple:w", "rt", "x"), (None, 8192),
         ENCODINGS[1:7], ERRORS[:5], NEWLINES[:6]),
    ),
    (2, "makefile", (("rb", "wb", "rwb"), (0, 1, 2, 3, 7, 16, 64), (None,), (None,), (None,))),
    (1, "rawio", (RAW_MODES[:11], ("exact", "subclass"))),
    (2, "finish", (SLOTS, ("close", "with", "with write", "with raise", "drop"))),
    (1, "query", (SLOTS, ("fileno", "name", "mode", "closed", "hash"))),
    (5, "settimeout", (PORTABLE_TIMEOUTS,)),
    (3, "patch", (PATCHED, ("log", "other", "none", "eagain", "timeout", "value error", "half"))),
    (2, "unpatch", (PATCHED,)),
    (2, "script", (PATCHED, ("none", "eagain", "timeout", "value error", "half", "one"))),
    (
        1,
        "end",
        (
            ("half close", "peer close", "peer reset", "shutdown read", "shutdown write",
             "sock close"),
        ),
    ),
)
PORTABLE_ROWS = tuple(row for row in PORTABLE_STEPS for _ in range(row[0]))
NEEDS_OPEN_SOCKET = ("makefile", "rawio", "settimeout", "patch", "unpatch", "flood", "end", "query")


def is_portable(kind, step):
    if step[0] == "patch":
        return kind != "plain"  # 3.x has no place for it
    if step[0] == "rawio":
        # Its close takes one from the counter, which 2.7 has not.
        return kind not in ("plain", "subclass")
    # 2.7 asks once more after the end.
    return not (kind == "scripted" and step[0] == "read" and step[2] in (None, -1))


def record_programmes(implementation, seed, count, length):
    """`count` programmes of `length` steps that 2.7 can run too, with what `implementation` did."""
    source = random.Random(seed)
    programmes = []
    while len(programmes) < count:
        setup = (source.choice(PORTABLE_SOCKETS), source.choice(("unix", "tcp")),
                 source.choice(PORTABLE_TIMEOUTS[:3]), source.choice(MODES[:6]),
                 source.choice(PORTABLE_BUFFERINGS))
        duel = Duel(implementation, implementation, setup)
        records = [make_portable_record(duel.theirs.observe(), setup[0])]
        closed = patched = False
        try:
            while len(duel.steps) < length:
                step = decode_step(source.randrange(len(PORTABLE_ROWS) * WIDTH), PORTABLE_ROWS)
                if closed and step[0] in NEEDS_OPEN_SOCKET or not is_portable(setup[0], step):
                    continue
                if step == ("end", "sock close"):
                    if patched:
                        continue  # 2.7's close() puts its dummies in the place of the patches
                    closed = True
                patched = patched or step[0] == "patch" and setup[0] == "subclass"
                duel.step(step)
                records.append(make_portable_record(duel.theirs.observe(), setup[0]))
        finally:
            duel.close()
        changes = [
            dict(
                (str(place), value)
                for place, value in enumerate(record)
                if not index or value != records[index - 1][place]
            )
            for index, record in enumerate(records)
        ]
        programmes.append({"setup": setup, "steps": duel.steps, "records": changes})
    return programmes


def write_recorded(implementation, seed, count):
    programmes = record_programmes(implementation, seed, count, 30)
    with open(RECORDED, "w") as file:
        lines = [
            json.dumps(programme, sort_keys=True, separators=(",", ":")) for programme in programmes
        ]
        file.write("[\n%s\n]\n" % ",\n".join(lines))


def read_recorded():
    with open(RECORDED) as file:
        return json.load(file)


# --- the long run ---------------------------------------------------------------------------------

MIN_EXAMPLES = 40  # the first ten of an old hypothesis are trivial
MAX_EXAMPLES = 200  # for one seed: hypothesis remembers all of them
STEPS_PER_EXAMPLE = (
    45  # hypothesis draws most programmes from a third to two thirds of what they may be
)


@contextlib.contextmanager
def undisturbed():
    """Keep finalisation the programme's doing; what is finalised between two belongs to none."""
    hook = getattr(sys, "unraisablehook", None)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with warnings.catch_warnings():
            # A programme leaves sockets open, and hypothesis warns about itself.
            warnings.simplefilter("ignore")
            if hook is not None:
                sys.unraisablehook = ignore
            yield
            gc.collect()
    finally:
        if hook is not None:
            sys.unraisablehook = hook
        if collecting:
            gc.enable()


class Budget(object):
    """Run the machine with one seed after the other until enough steps are done.

    Each difference is minimised and kept.
    """

    def __init__(self, theirs, ours, seed):
        self.theirs, self.ours, self.seed = theirs, ours, seed
        self.machine = build_machine(theirs, ours)
        self.found = []

    def spend(self, steps, give_up=1, minimal=True):
        while self.machine.done < steps and len(self.found) < give_up:
            examples = max(
                MIN_EXAMPLES, min(MAX_EXAMPLES, (steps - self.machine.done) // STEPS_PER_EXAMPLE)
            )
            with undisturbed():
                try:
                    run_machine(self.machine, self.seed, examples)
                except (Difference, Hang) as error:
                    self.found.append(
                        minimal and minimise(self.theirs, self.ours, *error.programme)[2] or error
                    )
            self.seed += 1


def ignore(*args):
    pass


def load_implementations():
    """name -> Implementation, of all that this interpreter has."""
    import conftest
    return dict(
        (implementation.name, implementation)
        for implementation in conftest.OURS + conftest.INTERPRETER
    )


def main(arguments=None):
    known = load_implementations()
    parser = argparse.ArgumentParser(
        description="Compare makefile implementations by random programmes."
    )
    parser.add_argument("--steps", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=None, help="default: a fresh one")
    parser.add_argument(
        "--ours", default="c" if "c" in known else "python", help="what is under test: c or python"
    )
    parser.add_argument("--theirs", default="interpreter" if "interpreter" in known else "python",
                        help="what is right: interpreter (3.x), c or python")
    parser.add_argument("--record", type=int, metavar="N",
                        help="instead: record N programmes for 2.7 to be compared with")
    parser.add_argument("--differences", type=int, default=3, help="give up after so many")
    options = parser.parse_args(arguments)
    for name in options.ours, options.theirs:
        if name not in known:
            parser.error("%r is not here: there is %s" % (name, ", ".join(sorted(known))))
    seed = int(time.time()) % 10 ** 6 * 1000 if options.seed is None else options.seed
    if options.record:
        with undisturbed():
            write_recorded(known["interpreter"], options.seed or 0, options.record)
        return 0
    print(
        "%s %s: %s against %s, %d steps from seed %d"
        % (platform.python_implementation(), platform.python_version(), options.ours,
           options.theirs, options.steps, seed)
    )
    sys.stdout.flush()
    budget = Budget(known[options.theirs], known[options.ours], seed)
    start = time.time()
    budget.spend(options.steps, options.differences)
    seconds = time.time() - start
    machine = budget.machine
    print(
        "%d steps in %d programmes, %d of them idle, %.0f s (%.0f steps/s), seeds %d to %d"
        % (machine.done, machine.programmes, machine.idle, seconds, machine.done / seconds, seed,
           budget.seed - 1)
    )
    for name, count in sorted(machine.allowed.items()):
        print("allowed %7d times: difference %s" % (count, name))
    print("differences found: %d" % len(budget.found))
    for error in budget.found:
        print("%s: %s" % (type(error).__name__, error))
    return 1 if budget.found else 0


if __name__ == "__main__":
    sys.exit(main())
