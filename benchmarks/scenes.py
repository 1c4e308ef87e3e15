"""The claims about threads, and others that are told in scenes, quickly: a developer's view,
without files and without pyperf.

    python scenes.py                                          all of them, in some ten minutes
    python scenes.py --seconds 0.2 --rounds 3 --only requests --only "hot.*unbuffered"
    python scenes.py --list                                   their names

A line for each figure: what, ours, the interpreter's own, ours / own (and its range over the
rounds), the goal, and whether it is met.  Needs nothing but the package; runs on 2.7 and on 3.6
to 3.15.
"""

from __future__ import division, print_function

import argparse
import glob
import importlib
import json
import os
import platform
import re
import sys

import cases
from backports import makefile as package
from cases import OURS, OWN, median, ratio

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = "%-46s %11s %11s %8s %15s  %-12s %s"


def find_scenes():
    """All SCENES of all claims that can be imported here."""
    for path in sorted(glob.glob(os.path.join(HERE, "claim_*.py"))):
        claim = importlib.import_module(os.path.basename(path)[:-3])
        for scene in getattr(claim, "SCENES", []):
            yield scene


def rows(scene, case, rounds):
    found = cases.in_turns(scene, case, rounds)
    for what, unit, goal in scene.figures:
        if OURS not in found[what]:
            continue
        ours, own = found[what][OURS], found[what][OWN]
        row = {
            "scene": scene.name,
            "case": str(case),
            "figure": what,
            "unit": unit,
            "goal": str(goal),
        }
        row["ours"], row["own"] = median(ours), median(own) if own else None
        row["ratio"] = ratio(row["ours"], row["own"]) if own else None
        row["ratios"] = sorted(map(ratio, ours, own))
        row["met"] = goal.met(row["ours"], row["own"] if own else float("nan"))
        yield row


def digits(number):
    return "-" if number is None else "%.3g" % number if abs(number) < 1000 else "%.0f" % number


def print_row(row):
    spread = (
        "(%s-%s)" % (digits(row["ratios"][0]), digits(row["ratios"][-1])) if row["ratios"] else ""
    )
    what = "  %s, %s" % (row["figure"], row["unit"]) if row["unit"] else "  " + row["figure"]
    cells = (
        what,
        digits(row["ours"]),
        digits(row["own"]),
        digits(row["ratio"]),
        spread,
        row["goal"],
        row["met"],
    )
    print((FORMAT % cells).rstrip())
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="how long a scene with threads runs (0.5)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn (5)")
    parser.add_argument(
        "--megabytes",
        type=float,
        default=500,
        help="the line without a newline, and 16 times the lines (500)",
    )
    parser.add_argument(
        "--only", metavar="PATTERN", action="append", help='a regular expression for "scene, case"'
    )
    parser.add_argument("--list", action="store_true", help="print the names of the scenes")
    parser.add_argument("--json", metavar="FILE", help="write the figures")
    options = parser.parse_args(namespace=cases.options)
    found = []
    print(
        "%s %s, ours is %s"
        % (platform.python_implementation(), platform.python_version(), package.implementation)
    )
    print(
        "load of the last minute: %.2f; these figures need a machine that does nothing else"
        % os.getloadavg()[0]
    )
    print(FORMAT % ("", "ours", "own", "ours/own", "", "goal", "met"))
    for scene in find_scenes():
        for case in scene.cases:
            title = "%s, %s" % (scene.name, case)
            if options.only and not any(re.search(pattern, title) for pattern in options.only):
                continue
            print(title)
            sys.stdout.flush()
            for row in [] if options.list else rows(scene, case, options.rounds):
                print_row(row)
                found.append(row)
    met = [row["met"] for row in found]
    print("goals: %d met, %d not" % (met.count("yes"), met.count("NO")))
    if options.json:
        with open(options.json, "w") as output:
            json.dump(
                {"python": platform.python_version(), "rows": found},
                output,
                indent=1,
                sort_keys=True,
            )


if __name__ == "__main__":
    main()
