"""What the claims share: the rivals, sockets, interleaved samples kept by pyperf, and rows with a
verdict.

pyperf's own Runner measures one benchmark after the other.  On a machine that does other work the
load changes in between, and a ratio of two such figures measures the load.  So here the rivals
take turns, sample by sample, in several processes; pyperf supplies the clock, the metadata and
the file format (``--samples``).  Ratios are ratios of medians, with the interval that 95 % of
bootstrap resamples fall into.

A claim is a module with ``measure(bench)``, run in each worker process, and ``rows(samples)``,
run on what they all measured.
"""

from __future__ import division, print_function

import argparse
import importlib
import itertools
import os
import random
import subprocess
import sys
import tempfile

import cases
from cases import OURS, OWN, median
from peers import clock
from streams import MESSAGE

HERE = os.path.dirname(os.path.abspath(__file__))


# -- the small operations that several claims time

# In a sample: together they take so short a time that other programs seldom get the processor in
# between.
CALLS = 200


def time_calls(function, argument, calls):
    """Seconds that so many calls took, the for loop included."""
    repeat = itertools.repeat(None, calls)
    start = clock()
    for _ in repeat:
        function(argument)
    return clock() - start


def read_sampler(peer, function, argument, calls=CALLS):
    """A sampler of reads that find their bytes ready: the peer's data is there before the clock
    starts.
    """
    data = b"x" * (MESSAGE * calls)

    def sample():
        peer.sendall(data)
        return time_calls(function, argument, calls) / calls

    return sample


def write_sampler(peer, function, calls=64):
    """A sampler of writes that fit: few enough for a quarter of the send buffer, above which poll
    says "not writable".
    """
    data = b"x" * MESSAGE

    def sample():
        seconds = time_calls(function, data, calls)
        left = MESSAGE * calls
        while left:
            left -= len(peer.recv(left))
        return seconds / calls

    return sample


# -- measuring


class Bench(object):
    """Collects the values of one worker process."""

    def __init__(self, fast):
        self.fast = fast
        self.values = {}

    def interleave(self, samplers, rounds):
        """Take a value from each sampler in turn, `rounds` times; who goes first changes, and a
        first turn is thrown away.
        """
        names = list(samplers)
        for name in names:
            samplers[name]()
            self.values[name] = []
        for _ in range(max(3, rounds // 5) if self.fast else rounds):
            for name in names:
                self.values[name].append(samplers[name]())
            names.append(names.pop(0))

    def play(self, scenes, rounds=3):
        """Ours and the interpreter's own take turns at each case of these scenes."""
        cases.options.seconds, cases.options.megabytes = (0.1, 50) if self.fast else (0.3, 500)
        for scene in scenes:
            for case in scene.cases:
                found = cases.in_turns(scene, case, 2 if self.fast else rounds)
                for what, by_name in found.items():
                    for name, values in by_name.items():
                        self.values[scene_key(scene, case, what, name)] = [
                            max(value, 1e-9) for value in values
                        ]

    def dump(self, path):
        import pyperf

        if not self.values:
            return
        # Not every value is a time; pyperf only needs to know that nobody should print it in
        # seconds.
        collected = pyperf.Run([1.0], collect_metadata=True).get_metadata()
        suite = [
            pyperf.Benchmark(
                [pyperf.Run(values, metadata=dict(collected, name=name), collect_metadata=False)]
            )
            for name, values in sorted(self.values.items())
        ]
        pyperf.BenchmarkSuite(suite).dump(path, replace=True)


class Samples(object):
    """The values of all workers, by name."""

    def __init__(self, suite):
        self.values = {benchmark.get_name(): benchmark.get_values() for benchmark in suite}

    def __contains__(self, name):
        return name in self.values

    def median(self, name):
        return median(self.values[name])

    def estimate(self, function, *names):
        """(value, low, high) of function(median of each name): resampled, to know how far the
        noise alone could move it.
        """
        lists = [self.values[name] for name in names]
        value = function(*[median(values) for values in lists])
        chance = random.Random(5)
        resampled = sorted(
            function(*[median([chance.choice(values) for _ in values]) for values in lists])
            for _ in range(400)
        )
        return value, resampled[9], resampled[-10]

    def absolute(self, own, ours, unit="us", scale=1e6):
        return {"unit": unit, "own": scale * self.median(own), "ours": scale * self.median(ours)}

    def ratio(self, slower, faster):
        return self.estimate(lambda a, b: a / b, slower, faster)


def scene_key(scene, case, what, name):
    """Under which the values are kept; without the name, it is what the row says."""
    return "%s, %s: %s" % (scene.name, case, what) + (": " + name if name else "")


def scene_rows(scenes, samples, detail=False):
    """A row for each figure: ours / own where there is an own, as an "x" where more is better."""
    found = []
    for scene in scenes:
        for case in scene.cases:
            for what, unit, goal in scene.figures:
                ours, own, name = (scene_key(scene, case, what, each) for each in (OURS, OWN, ""))
                if ours not in samples or (own not in samples and not goal.of_ours):
                    continue
                if goal.of_ours:
                    estimate = samples.estimate(lambda value: value, ours)
                else:
                    estimate = samples.ratio(ours, own)
                limit = {"at_least" if goal.relation == ">=" else "at_most": goal.limit}
                each = row(
                    name,
                    estimate,
                    unit if goal.of_ours else "x" if goal.relation == ">=" else "",
                    detail=detail,
                    **limit
                )
                each["absolute"] = {"unit": unit, "ours": samples.median(ours)}
                if own in samples:
                    each["absolute"]["own"] = samples.median(own)
                    each["met"] = {"yes": "yes"}.get(
                        goal.met(samples.median(ours), samples.median(own)), each["met"]
                    )
                found.append(each)
    return found


def row(what, estimate, unit="", at_least=None, at_most=None, note="", detail=False, **more):
    """One line of the table. `estimate` is a number, or (value, low, high); a target of None
    means that none was set.

    The unit "x" is for speed gained; a plain fraction has none.  A detail is left out of the
    short table.  `absolute` is what the ratio is made of; `words` is how the chart names the row,
    and with `readme` the README.
    """
    value, low, high = estimate if isinstance(estimate, tuple) else (estimate,) * 3
    met, target = None, ""
    if at_least is not None:
        met, target = value >= at_least, ">= %g" % at_least
        near = high >= at_least
    elif at_most is not None:
        met, target = value <= at_most, "<= %g" % at_most
        near = low <= at_most
    verdict = "" if met is None else "yes" if met else "within noise" if near else "no"
    found = {
        "what": what,
        "value": value,
        "low": low,
        "high": high,
        "unit": unit,
        "target": target,
        "met": verdict,
    }
    return dict(found, note=note, detail=detail, **more)


def not_measured(what, reason):
    found = {
        "what": what,
        "value": None,
        "low": None,
        "high": None,
        "unit": "",
        "target": "",
        "met": "not measured",
    }
    return dict(found, note=reason, detail=False)


def worst(rows, what, ends, highest=False, **more):
    """A row with the worst case of all those whose name ends so: what a claim promises is that
    one.
    """
    fit = [row for row in rows if row["what"].endswith(ends)]
    found = (max if highest else min)(fit, key=lambda row: row["value"])
    return dict(found, what=what, note=found["what"], detail=False, **more)


# -- running


def run(name, fast=False, samples_path=None):
    """Run the claim in the module called `name` in processes of its own, and return its rows."""
    import pyperf

    claim = importlib.import_module(name)
    pooled = None
    for _ in range(
        1 if fast else getattr(claim, "PROCESSES", 2 if hasattr(claim, "SCENES") else 3)
    ):
        handle, path = tempfile.mkstemp(suffix=".json")
        os.close(handle)
        try:
            command = [sys.executable, os.path.join(HERE, name + ".py"), "--worker", path]
            subprocess.check_call(command + (["--fast"] if fast else []))
            if not os.path.getsize(path):
                continue  # nothing can be measured here: its rows will say why
            suite = pyperf.BenchmarkSuite.load(path)
        finally:
            os.unlink(path)
        if pooled is None:
            pooled = suite
        else:
            pooled.add_runs(suite)
    if samples_path and pooled:
        pooled.dump(samples_path, replace=True)
    rows = claim.rows(Samples(pooled or []))
    for each in rows:
        each["claim"] = claim.CLAIM
    return rows


def main(path):
    """What every claim does when it is run as a program: measure itself, and print its rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fast", action="store_true", help="fewer rounds, one process")
    parser.add_argument("--samples", metavar="FILE", help="write every value, as a pyperf suite")
    parser.add_argument("--worker", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    name = os.path.splitext(os.path.basename(path))[0]
    if options.worker:
        bench = Bench(options.fast)
        importlib.import_module(name).measure(bench)
        bench.dump(options.worker)
    else:
        import report

        print(report.text(run(name, options.fast, options.samples)))
