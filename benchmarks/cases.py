"""What a claim about threads is made of: cases, goals and scenes.

A scene is a function that is called with a case (whose makefile, with which buffer and timeout),
lets threads and other processes run for a while, and returns {figure: value}.  Ours and the
interpreter's own take turns at it.  A figure has a goal for ours / own.
"""

from __future__ import division, print_function

import argparse
import collections
import contextlib
import sys
import time

import streams
from peers import clock

OURS, OWN = "ours", "interpreter"
NO_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()
MEGABYTE = 1 << 20

# How long a scene with threads runs, and how much the calls that read very much read.
options = argparse.Namespace(seconds=0.3, megabytes=500)


class Case(object):
    """How makefile is called: the buffering, the socket's timeout, and whose it is."""

    def __init__(self, buffering=-1, timeout=None, name=None):
        self.buffering, self.timeout, self.name = buffering, timeout, name

    def of(self, name):
        return Case(self.buffering, self.timeout, name)

    def open(self, sock, mode):
        sock.settimeout(self.timeout)
        return streams.MAKEFILES[self.name](sock, mode, self.buffering)

    def __str__(self):
        return "%s, %s" % (
            "default buffer" if self.buffering else "unbuffered",
            "timeout" if self.timeout else "no timeout",
        )


UNBUFFERED = [Case(0), Case(0, 5.0)]
BUFFERED = [Case(), Case(-1, 5.0)]


class Goal(object):
    """A limit for ours / own (or for ours alone): a number, or {the first version that has it:
    number or None}.

    `enough`: what ours may be in any case, where it is so little that a ratio says nothing.
    """

    def __init__(self, relation, limit, of_ours=False, enough=None):
        self.relation, self.of_ours, self.enough = relation, of_ours, enough
        self.limit = from_version(limit) if isinstance(limit, dict) else limit

    def __str__(self):
        return (
            ""
            if self.limit is None
            else "%s%s %g" % ("ours " if self.of_ours else "", self.relation, self.limit)
        )

    def met(self, ours, own):
        if self.limit is None:
            return ""
        value = ours if self.of_ours else ratio(ours, own)
        met = value >= self.limit if self.relation == ">=" else value <= self.limit
        return "yes" if met or (self.enough is not None and ours <= self.enough) else "NO"


def from_version(targets):
    """The target for this Python: the one given for it or for the nearest version before; None if
    there is none.
    """
    known = [version for version in targets if version <= sys.version_info[:2]]
    return targets[max(known)] if known else None


def at_least(limit, **options):
    return Goal(">=", limit, **options)


def at_most(limit, **options):
    return Goal("<=", limit, **options)


NONE = at_least(None)

# A figure: what it is called, its unit, and its goal.
Figure = collections.namedtuple("Figure", "what unit goal")


class Scene(object):
    """measure(case) returns {figure: value}, for all or some of these figures."""

    def __init__(self, name, measure, cases, figures):
        self.name, self.measure, self.cases = name, measure, cases
        self.figures = [Figure(*figure) for figure in figures]


@contextlib.contextmanager
def nothing():
    yield


def loops_per_second(busy, seconds=0.1):
    """What a BusyThread does when it is alone."""
    loops, start = busy.loops, clock()
    time.sleep(seconds)
    return max(1, busy.loops - loops) / (clock() - start)


def per_second(step):
    """How often step() can be called in a second."""
    count, start = 0, clock()
    while clock() < start + options.seconds:
        step()
        count += 1
    return count / (clock() - start)


def ratio(ours, own):
    return ours / own if own else float("inf")


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def in_turns(scene, case, rounds):
    """{figure: {name: [value of each round]}}: ours and the interpreter's own, and who goes first
    changes.
    """
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    names = [OURS, OWN]
    for _ in range(rounds):
        for name in names:
            for what, value in scene.measure(case.of(name)).items():
                found[what][name].append(value)
        names.reverse()
    return found
