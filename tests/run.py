"""Test the package on the Python that runs this, and on every other Python that is there.

    python3 -m venv .venv && .venv/bin/python tests/run.py [PYTHON...] [-- ARGUMENTS FOR PYTEST]

A Python is there if its own name is on PATH: python2.7, python3.6 and all later ones, pypy3.  With
names (3.13, pypy3, or the path of an interpreter) only these are tested, and all have to be there.

Each gets an environment in .venv/pythons, with the package as its sdist installs it.  What its
tests print goes to a file there, whose end is shown if they fail.  The last lines are a table.
"""
import sys

if sys.version_info < (3, 6):
    sys.exit("tests/run.py needs Python 3.6 or newer to run; it tests Python 2.7 beside it.")

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)
PLACE = os.path.join(ROOT, ".venv", "pythons")
LISTED = ["2.7"] + ["3.%d" % minor for minor in range(6, 16)] + ["pypy3"]
NEWER = ["3.%d" % minor for minor in range(16, 40)]  # tested where they are, missed by nobody
# Their newest versions may have no wheel for a Python, and need more than a C compiler without one.
BINARY = "cffi,cryptography,gevent,greenlet,hypothesis"
PYTEST = ["--timeout=600", "--timeout-method=thread", "--reruns=1"]
SHOW_EVERY_S = 20

ASK = """
import json, os, platform, sys, sysconfig
debug = "d" if hasattr(sys, "gettotalrefcount") else ""
flags = ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else "") + debug
version = "%d.%d" % sys.version_info[:2]
print(json.dumps({
    "name": ("pypy" if platform.python_implementation() == "PyPy" else "") + version + flags,
    "full": platform.python_implementation() + " " + platform.python_version(),
    "version": sys.version_info[:2],
    "prefix": os.path.realpath(getattr(sys, "base_prefix", sys.prefix)),
    "header": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
}))
"""
PACKAGE = """
from backports import makefile
why = getattr(makefile, "_reason", "")
print(makefile.implementation + (" (%s)" % why if why else ""))
"""


class Failed(Exception):
    """Why a Python could not be tested, or what its tests said."""


class Python(object):
    """One interpreter, its environment, and what became of its tests."""

    def __init__(self, command, facts):
        self.command = command
        self.__dict__.update(facts)
        self.folder = os.path.join(PLACE, self.name)
        self.log = self.folder + ".log"
        self.results = self.folder + ".xml"
        self.state = "waits"  # what it does now, or in the end what came of it
        self.implementation = ""
        self.passed = self.failed = self.skipped = 0
        self.fault = None

    @property
    def python(self):
        return os.path.join(self.folder, "bin", "python")

    def run(self, what, *command, cwd=None, path=None):
        """Run a command with its output in the log; Failed tells what was not done."""
        env = environment(path)
        if "pypy" in self.name:
            env["BACKPORTS_MAKEFILE_C"] = "skip"  # each call of an extension is slow there
        with open(self.log, "a") as log:
            log.write("\n$ %s\n" % " ".join(command))
            log.flush()
            if subprocess.call(command, stdout=log, stderr=log, cwd=cwd, env=env) != 0:
                raise Failed(what)

    def needed_virtualenv(self):
        """The requirement that makes its environment; None where it can do that by itself."""
        if self.version < [3, 10]:
            return (
                "virtualenv<20.22"  # the last for 2.7 and 3.6; it brings a newer pip than they have
            )
        return None if can_run(self.command, "-c", "import ensurepip, venv") else "virtualenv"

    def make_environment(self):
        self.state = "environment"
        shutil.rmtree(self.folder, ignore_errors=True)
        needed = self.needed_virtualenv()
        if needed is None:
            return self.run("venv made no environment", self.command, "-m", "venv", self.folder)
        self.run("virtualenv made no environment", sys.executable, "-m", "virtualenv", "-q", "-p",
                 self.command, self.folder, path=os.path.join(PLACE, needed.replace("<", "-")))

    def install(self, sdist, recipes):
        self.state = "installs"
        pip = [self.python, "-m", "pip", "install", "-q"]
        requirements = os.path.join(TESTS, "requirements.txt")
        self.run("pip did not get what the tests need: does the package index answer?",
                 *pip + ["-r", requirements])
        self.run("pip did not install the package", *pip + ["--no-cache-dir", sdist])
        if recipes:
            self.run("pip did not run", self.python, os.path.join(TESTS, "recipes.py"))
        self.run("it is not the installed package that answers",
                 self.python, "installed.py", cwd=TESTS)
        answer = subprocess.check_output([self.python, "-c", PACKAGE], cwd=TESTS, env=environment())
        self.implementation = answer.decode().strip()

    def test(self, arguments):
        self.state = "0 %"
        if os.path.exists(self.results):
            os.remove(self.results)
        try:
            self.run("tests failed", self.python, "-m", "pytest", "--junitxml", self.results,
                     *arguments, cwd=TESTS)
        except Failed:
            if "+++ Timeout +++" in self.read_log():
                raise Failed("a test hangs")
            raise
        finally:
            if os.path.exists(self.results):
                suite = next(xml.etree.ElementTree.parse(self.results).iter("testsuite"))
                self.skipped = int(suite.get("skipped") or suite.get("skips"))
                self.failed = int(suite.get("failures")) + int(suite.get("errors"))
                self.passed = int(suite.get("tests")) - self.failed - self.skipped
        if not self.passed:
            raise Failed("nothing was tested")

    def go(self, sdist, arguments):
        start = time.time()
        try:
            self.make_environment()
            self.install(sdist, recipes="--ignore=test_recipes.py" not in arguments)
            self.test(arguments)
        except Failed as failed:
            self.fault = str(failed)
        except Exception as error:
            self.fault = "%s: %s" % (type(error).__name__, error)
        self.state = self.fault or "ok"
        self.seconds = time.time() - start
        print("%-9s %s, %d s" % (self.name, self.state, self.seconds))
        sys.stdout.flush()

    def read_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def show(self):
        """The state, for the lines that say that it goes on."""
        if self.state == "0 %":
            percents = re.findall(r"\[ *(\d+)%\]", self.read_log())
            return "%s %%" % percents[-1] if percents else "0 %"
        return self.state

    def hints(self):
        """What has to be known of the results, as sentences."""
        left_out = re.findall("^left out: (.*)", self.read_log(), re.M)
        if left_out:
            yield "no wheel of %s, so its tests are left out." % ", ".join(left_out)
        if self.implementation.startswith("python") and "pypy" not in self.name:
            version = "%d.%d" % tuple(self.version)
            if not any(map(shutil.which, [os.environ.get("CC", "cc"), "gcc"])):
                yield "no C compiler, so the pure-Python implementation was tested alone."
                yield "Debian: apt install gcc libc6-dev; Fedora: dnf install gcc."
            elif not self.header:
                yield "no Python.h, so the pure-Python implementation was tested alone."
                yield "Debian: apt install python%s-dev; Fedora: dnf install python%s-devel." % (
                    version, version)


def environment(path=None):
    """Without what would lead to another package than the installed one."""
    kept = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", PIP_ONLY_BINARY=BINARY,
                PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore",
                # The pips that virtualenv brings; newer ones may not run on an old Python.
                VIRTUALENV_NO_PERIODIC_UPDATE="1",
                VIRTUALENV_OVERRIDE_APP_DATA=os.path.join(PLACE, "virtualenv-data"))
    kept.pop("PYTHONPATH", None)
    if path:
        kept["PYTHONPATH"] = path
    return kept


def can_run(*command):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.call(command, env=environment(), **quiet) == 0


def ask(command):
    """The Python behind the command, or None."""
    try:
        answer = subprocess.check_output(
            [command, "-c", ASK], stderr=subprocess.DEVNULL, env=environment())
        return Python(command, json.loads(answer.decode()))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None  # a shim with nothing behind it


def find(name):
    command = name if os.sep in name or name.startswith("py") else "python" + name
    path = shutil.which(command)
    return ask(os.path.abspath(path)) if path else None


def find_all(names):
    """The Pythons to test, each once, and the names of those that are not there."""
    found, missing = {}, []
    if not names:
        own = ask(sys.executable)
        base = os.path.join(own.prefix, "bin", os.path.basename(os.path.realpath(sys.executable)))
        own = ask(base) or own  # an environment is made best from outside of an environment
        found[own.name] = own
    for name in names or LISTED + NEWER:
        python = find(name)
        if python is None:
            missing.append(name)
        elif python.version != [2, 7] and python.version < [3, 6]:
            needed = "backports.makefile needs Python 2.7, or 3.6 or newer"
            sys.exit("%s; %s is %s." % (needed, name, python.full))
        else:
            found.setdefault(python.name, python)
    return list(found.values()), [name for name in missing if name not in NEWER]


def make_sdist():
    """The sdist, made by setuptools, which is put beside the environments."""
    folder, tools = os.path.join(PLACE, "sdist"), os.path.join(PLACE, "setuptools")
    put_beside(tools, "setuptools")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    run_quietly("setup.py made no sdist", "setup.py", "-q", "egg_info", "--egg-base", folder,
                "sdist", "--dist-dir", folder, cwd=ROOT, env=environment(tools))
    return os.path.join(folder, next(name for name in os.listdir(folder) if name.endswith(".gz")))


def put_beside(folder, requirement):
    run_quietly("pip did not get %s: does the package index answer?" % requirement,
                "-m", "pip", "install", "-q", "--upgrade", "--target", folder, requirement)


def run_quietly(what, *arguments, cwd=None, env=None):
    """Run this Python; what it prints is wanted only when it fails, which ends all."""
    command = (sys.executable,) + arguments
    done = subprocess.run(command, cwd=cwd, env=env or environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit("%s\n%s" % (done.stdout.decode("utf-8", "replace"), what))


def show_progress(pythons):
    busy = ["%s %s" % (each.name, each.show()) for each in pythons
            if each.state not in ("waits", "ok") and not each.fault]
    print("%s  %s" % (time.strftime("%H:%M:%S"), ", ".join(busy)))
    sys.stdout.flush()


def report(pythons, missing):
    """Print the ends of what failed, a table, and what was tested.  Returns whether all is well."""
    for python in pythons:
        if python.fault:
            print("\n==== %s: %s; the end of %s\n" % (python.name, python.fault, python.log))
            print("\n".join(python.read_log().splitlines()[-60:]))
    print("\n%-10s%8s%8s%8s%8s  %s" % ("", "passed", "failed", "skipped", "", "implementation"))
    for python in pythons:
        print("%-10s%8d%8d%8d%6d s  %s" % (
            python.name, python.passed, python.failed, python.skipped, python.seconds,
            python.implementation))
    print("")
    for python in pythons:
        for hint in python.hints():
            print("%s: %s" % (python.name, hint))
    tested = [python.full for python in pythons if python.passed]
    bad = ["%s (%s)" % (python.full, python.fault) for python in pythons if python.fault]
    sentences = ["Tested: %s." % (", ".join(tested) or "nothing")]
    if bad:
        sentences.append("FAILED: %s." % ", ".join(bad))
    if missing:
        sentences.append("Not there: %s." % ", ".join(missing))
    print(" ".join(sentences))
    return bool(tested) and not bad


def main(arguments):
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, chosen = arguments[:split], arguments[split + 1:]
    if any(name.startswith("-") for name in names):
        sys.exit(__doc__)
    os.makedirs(PLACE, exist_ok=True)
    pythons, missing = find_all(names)
    print("Testing on %s: a few minutes for each." % ", ".join(python.full for python in pythons))
    sys.stdout.flush()
    for needed in {python.needed_virtualenv() for python in pythons} - {None}:
        put_beside(os.path.join(PLACE, needed.replace("<", "-")), needed)
    sdist = make_sdist()

    for python in pythons:
        open(python.log, "w").close()
    pool = concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    waiting = [pool.submit(python.go, sdist, PYTEST + chosen) for python in pythons]
    while waiting:
        waiting = list(concurrent.futures.wait(waiting, timeout=SHOW_EVERY_S).not_done)
        if waiting:
            show_progress(pythons)

    whole = report(pythons, missing)
    return 0 if whole and not (names and missing) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
