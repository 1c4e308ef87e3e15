"""Do all interpreters' test results together prove what they are to prove?  evidence.py FOLDER

FOLDER holds JUnit files, one for each step of CI and interpreter.  What is wrong is printed, and
the exit status is 1, when

- a Python that is to be tested has no results, or one has a failed test;
- with a CPython about as many tests of the C extension as of its twin have not passed, unless the
  machine has no compiler;
- a test in the sources was passed in none (not collected, say);
- a test was skipped, for whatever reason, wherever it was collected.
"""

from __future__ import print_function

import ast
import glob
import os
import re
import sys
import xml.etree.ElementTree

TESTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests")
WANTED = ["2.7"] + ["3.%d" % minor for minor in range(6, 14)] + ["pypy3.9"]
# The parameter by which the fixture says which implementation a test was run on.
OF_THE_EXTENSION = re.compile(r"\[(?:.*-)?c(?:-.*)?\]$")
OF_THE_TWIN = re.compile(r"\[(?:.*-)?python(?:-.*)?\]$")


def read_results(path):
    """{(module, test with its parameters): "passed", "skipped" or "failed"}"""
    results = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        outcomes = {child.tag for child in case}
        outcome = (
            "failed"
            if outcomes & {"failure", "error"}
            else "skipped" if "skipped" in outcomes else "passed"
        )
        # tests.test_this.TestThat, or the same from another directory
        module = next(
            (part for part in case.get("classname").split(".") if part.startswith("test_")), "?"
        )
        results[module, case.get("name")] = outcome
    return results


def find_tests():
    """{(module, function)} for every test in the sources"""
    found = set()
    for directory, _, names in os.walk(TESTS):
        for name in names:
            if re.match(r"test_.*\.py$", name):
                with open(os.path.join(directory, name), "rb") as stream:
                    tree = ast.parse(stream.read())
                for node in ast.walk(tree):
                    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                        found.add((name[:-len(".py")], node.name))
    return found


def find_faults(everywhere):
    outcomes = {}
    for environment, results in sorted(everywhere.items()):
        failed = sorted(test for test, outcome in results.items() if outcome == "failed")
        for test in failed:
            yield "%s: failed: %s %s" % ((environment,) + test)
        passed = [name for (_, name), outcome in results.items() if outcome == "passed"]
        of_the_extension = sum(bool(OF_THE_EXTENSION.search(name)) for name in passed)
        of_the_twin = sum(bool(OF_THE_TWIN.search(name)) for name in passed)
        alone = "pypy" in environment or environment.startswith("no-compiler")
        if 2 * of_the_extension <= of_the_twin and not alone:
            yield "%s: %d tests of the C extension passed, and %d of the twin" % (
                environment,
                of_the_extension,
                of_the_twin,
            )
        for test, outcome in results.items():
            outcomes.setdefault(test, set()).add(outcome)

    for test, seen in sorted(outcomes.items()):
        if seen == {"skipped"}:
            yield "skipped wherever it was collected: %s %s" % test
    passed = {
        (module, name.split("[")[0])
        for (module, name), seen in outcomes.items()
        if "passed" in seen
    }
    for test in sorted(find_tests() - passed):
        yield "passed nowhere: %s %s" % test


def main(folder):
    paths = sorted(glob.glob(os.path.join(folder, "*.xml")))
    everywhere = {os.path.basename(path)[:-len(".xml")]: read_results(path) for path in paths}
    faults = ["%s: no results" % name for name in WANTED
              if not any(environment.endswith("-" + name) for environment in everywhere)]
    faults.extend(find_faults(everywhere))

    print("%-32s%8s%8s%8s" % ("", "passed", "failed", "skipped"))
    for environment, results in sorted(everywhere.items()):
        outcomes = list(results.values())
        counts = tuple(map(outcomes.count, ("passed", "failed", "skipped")))
        print("%-32s%8d%8d%8d" % ((environment,) + counts))
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
