"""Broken extensions: src/ with one line changed, to prove that the tests see what they claim.

    python .ci/mutants.py [--python PYTHON] [--only TEXT] [--list]

Each mutant (.ci/mutations.py) is a piece of src/ that is there exactly once, what stands in its
place, and the tests that should notice.  It is built beside the objects of the other files, and
its tests are run: they have to fail, crash or hang.  The program fails when a mutant survives,
when its piece is gone, when it does not compile, and when the tests do not pass without a mutant.
What no test can notice has no reason to be in the sources: find the test, or take the line out.

PYTHON needs pytest, pytest-timeout, pytest-rerunfailures and hypothesis; the program itself runs
on any Python from 3.6 on.
"""

import argparse
import collections
import concurrent.futures
import glob
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mutations import MUTATIONS  # noqa: E402

AT_ONCE = 2
HANGING_S = 40  # of one mutant's tests
SKIPPED = {".git", ".tox", "build", "__pycache__"}

Verdict = collections.namedtuple("Verdict", "word seconds detail")


class BrokenMutant(Exception):
    """Its piece is not there exactly once, or what it makes of it does not compile."""


def find_piece(source, piece):
    """The match of `piece` in `source`, with any white space where it has some."""
    pattern = r"\s+".join(map(re.escape, piece.split()))
    found = list(re.finditer(pattern, source))
    if len(found) != 1:
        raise BrokenMutant("%d times in the file: %s" % (len(found), " ".join(piece.split())))
    return found[0]


class Workshop(object):
    """A copy of the checkout with an extension built in place, for one mutant at a time."""

    def __init__(self, folder, python):
        shutil.copytree(
            ROOT,
            folder,
            ignore=lambda path, names: [
                name for name in names if name in SKIPPED or name.endswith(".so")
            ],
        )
        self.folder = folder
        self.python = python
        command = [
            python,
            "-c",
            "import json, sysconfig as s; "
            "print(json.dumps([s.get_config_vars(), s.get_path('include')]))",
        ]
        variables, include = json.loads(subprocess.check_output(command).decode())
        suffix = variables.get("EXT_SUFFIX") or variables["SO"]
        self.extension = os.path.join(folder, "backports", "makefile", "_makefile" + suffix)
        # Invariants are asserted, and paths counted, for the tests that say which way it went.
        self.compiler = shlex.split(variables["CC"]) + shlex.split(variables["CFLAGS"])
        self.compiler += [
            "-std=c99",
            "-fPIC",
            "-O1",
            "-g0",
            "-w",
            "-UNDEBUG",
            "-DMAKEFILE_COUNT_PATHS",
            "-I",
            include,
        ]
        self.linker = shlex.split(variables["LDSHARED"])
        self.sources = sorted(
            os.path.basename(path) for path in glob.glob(os.path.join(folder, "src", "*.c"))
        )
        self.includes = {name: self.find_includes(name) for name in os.listdir(self.path("src"))}
        self.build(self.sources)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def read(self, name):
        with open(self.path("src", name), encoding="utf-8") as stream:
            return stream.read()

    def write(self, name, source):
        with open(self.path("src", name), "w", encoding="utf-8") as stream:
            stream.write(source)

    def find_includes(self, name):
        return set(re.findall(r'#include "(\w+\.h)"', self.read(name)))

    def find_users(self, name):
        """The C files that change when this file does."""
        users = {name}
        while True:
            more = {user for user, included in self.includes.items() if included & users} - users
            if not more:
                return sorted(user for user in users if user.endswith(".c"))
            users |= more

    def build(self, sources, changed=""):
        objects = []
        for source in self.sources:
            is_new = source in sources
            target = self.path(source[:-2] + (changed if is_new else "") + ".o")
            if is_new:
                command = self.compiler + ["-c", self.path("src", source), "-o", target]
                if subprocess.call(command, stderr=subprocess.DEVNULL) != 0:
                    raise BrokenMutant("does not compile")
            objects.append(target)
        if os.path.exists(self.extension):
            os.remove(self.extension)  # a process that is about to end may still have it
        subprocess.check_call(self.linker + objects + ["-o", self.extension])

    def run_tests(self, tests, seconds, output, options=()):
        """pytest's exit status, or None if it did not end in time."""
        environment = dict(
            os.environ,
            PYTHONPATH=self.folder,
            BACKPORTS_MAKEFILE_C="require",
            PYTHONDONTWRITEBYTECODE="1",
        )
        options = ["-x", "-q", "--implementations=c", "--timeout=%d" % min(seconds, 60)] + list(
            options
        )
        process = subprocess.Popen(
            [self.python, "-m", "pytest"] + options + list(tests),
            cwd=self.path("tests"),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            return process.wait(seconds + 5)
        except subprocess.TimeoutExpired:
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # and what the tests started
            except ProcessLookupError:
                pass
            process.wait()

    def try_mutant(self, mutation):
        start = time.time()
        source = self.read(mutation.file)
        try:
            found = find_piece(source, mutation.old)
            self.write(
                mutation.file, source[: found.start()] + mutation.new + source[found.end() :]
            )
            self.build(self.find_users(mutation.file), changed=".changed")
            with open(os.devnull, "w") as output:
                status = self.run_tests(mutation.tests, HANGING_S, output)
        except BrokenMutant as error:
            return Verdict("BROKEN", time.time() - start, str(error))
        finally:
            self.write(mutation.file, source)
        word = (
            "hangs"
            if status is None
            else "SURVIVES" if status == 0 else "fails" if status == 1 else "crashes"
        )
        return Verdict(word, time.time() - start, "")


def try_tests(workshop, tests):
    """Do the tests pass as the sources are?"""
    log = workshop.path("log")
    with open(log, "w") as output:
        status = workshop.run_tests(tests, 600, output, ["--reruns=2"])
    if status != 0:
        with open(log) as output:
            print(output.read())
        print("the tests do not pass without a mutant: exit status %s" % status)
    return status == 0


def run(mutations, python, folder):
    start = time.time()
    workshops = queue.Queue()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:

        def borrow(call, *arguments):
            workshop = workshops.get()
            try:
                return call(workshop, *arguments)
            finally:
                workshops.put(workshop)

        for workshop in pool.map(
            lambda number: Workshop(os.path.join(folder, str(number)), python), range(AT_ONCE)
        ):
            workshops.put(workshop)
        tests = sorted({test for mutation in mutations for test in mutation.tests})
        shares = [share for share in (tests[number::AT_ONCE] for number in range(AT_ONCE)) if share]
        if not all(pool.map(lambda share: borrow(try_tests, share), shares)):
            return False
        print("%d tests pass without a mutant, %.0f s" % (len(tests), time.time() - start))

        failed = []
        verdicts = pool.map(lambda mutation: borrow(Workshop.try_mutant, mutation), mutations)
        for mutation, verdict in zip(mutations, verdicts):
            print(
                "%-9s%5.1f s  %s: %s"
                % (verdict.word, verdict.seconds, mutation.file, mutation.what),
                flush=True,
            )
            if verdict.word.isupper():
                failed.append((mutation, verdict))
    print(
        "\n%d mutants, %d noticed, %.0f s"
        % (len(mutations), len(mutations) - len(failed), time.time() - start)
    )
    for mutation, verdict in failed:
        print(
            "%s  %s: %s\n    %s\n    -> %s"
            % (
                verdict.word,
                mutation.file,
                mutation.what,
                verdict.detail or " ".join(mutation.old.split()),
                " ".join(mutation.new.split()),
            )
        )
    return not failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="whose extension is built and tested; default: this one",
    )
    parser.add_argument("--only", default="", help="mutants with this text in file or description")
    parser.add_argument(
        "--list",
        action="store_true",
        help="name the mutants, and check that their pieces are there",
    )
    options = parser.parse_args()
    mutations = [
        mutation
        for mutation in MUTATIONS
        if options.only in "%s: %s" % (mutation.file, mutation.what)
    ]
    if options.list:
        for mutation in mutations:
            print("%s: %s" % (mutation.file, mutation.what))
            with open(os.path.join(ROOT, "src", mutation.file), encoding="utf-8") as stream:
                find_piece(stream.read(), mutation.old)
        return True
    major = int(
        subprocess.check_output([options.python, "-c", "import sys; print(sys.version_info[0])"])
    )
    mutations = [mutation for mutation in mutations if mutation.on in (None, major)]
    folder = tempfile.mkdtemp(prefix="mutants-")
    try:
        return run(mutations, options.python, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
