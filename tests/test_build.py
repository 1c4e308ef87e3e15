"""What setup.py refuses, what it says of a build that fails, and the metadata that it gives."""

import io
import os
import re
import subprocess
import sys

import pytest

import backports.makefile

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)

RUN_SETUP = """
with open("setup.py") as stream:
    source = compile(stream.read(), "setup.py", "exec")
exec(source, {"__name__": "__main__", "__file__": "setup.py"})
"""
SETUP_ON = """
import sys
sys.version_info = {version!r} + (0, "final", 0)
sys.argv = ["setup.py", "--version"]
"""
# With the headers in that folder and nowhere else.
SETUP_WITH_HEADERS_IN = """
import sys
from setuptools.command.build_ext import build_ext

finalize_options = build_ext.finalize_options

def finalize(self):
    finalize_options(self)
    self.include_dirs = [{headers!r}]

build_ext.finalize_options = finalize
sys.argv = ["setup.py", "-q", "build_ext", "--build-lib", {build!r}, "--build-temp", {build!r}]
"""


def read(name):
    with io.open(os.path.join(ROOT, name), encoding="utf-8") as stream:
        return stream.read()


def run(*arguments, **environment):
    """(exit status, standard output, standard error) of this Python, run where setup.py is."""
    process = subprocess.Popen(
        [sys.executable] + list(arguments),
        cwd=ROOT,
        env=dict(os.environ, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    output, errors = process.communicate()
    return process.returncode, output, errors


@pytest.mark.parametrize("version", [(2, 6), (3, 0), (3, 5)])
def test_setup_on_an_unsupported_python_says_so_and_stops(version):
    expected = (
        "backports.makefile needs Python 2.7, or 3.6 or newer; this is Python %d.%d."
        " Install a newer one (Debian, Fedora: python3).\n" % version
    )
    assert run("-c", SETUP_ON.format(version=version) + RUN_SETUP) == (1, "", expected)


def test_setup_told_something_unknown_about_the_extension_says_what_it_can_be():
    expected = "BACKPORTS_MAKEFILE_C is 'yes'; it can be auto, require or skip.\n"
    assert run("setup.py", "--version", BACKPORTS_MAKEFILE_C="yes") == (1, "", expected)


# A build that fails: each cause in a sentence, and what to install.


@pytest.fixture
def build(tmpdir):
    """A function that builds with a compiler and the headers in a folder: (status, last line)."""
    pytest.importorskip("setuptools", reason="it builds the package")

    def build(wanted, compiler, headers):
        script = SETUP_WITH_HEADERS_IN.format(headers=str(headers), build=str(tmpdir.join("build")))
        environment = {"CC": compiler, "LDSHARED": compiler, "BACKPORTS_MAKEFILE_C": wanted}
        status, _, errors = run("-W", "ignore", "-c", script + RUN_SETUP, **environment)
        return status, errors.splitlines()[-1]

    return build


needs_extension = pytest.mark.skipif(
    hasattr(sys, "pypy_version_info"), reason="PyPy gets the pure-Python implementation alone"
)
ALONE = (
    " The C extension of backports.makefile was not built, and its pure-Python implementation"
    " is installed alone. BACKPORTS_MAKEFILE_C=require makes this an error."
)
REQUIRED = " BACKPORTS_MAKEFILE_C=require makes this an error."


@needs_extension
@pytest.mark.parametrize("wanted, status, end", [("auto", 0, ALONE), ("require", 1, REQUIRED)])
def test_build_without_a_compiler_says_what_to_install(build, tmpdir, wanted, status, end):
    tmpdir.join("Python.h").write("")
    sentence = (
        "There is no C compiler (/nonexistent/cc): install gcc and libc6-dev (Debian), or"
        " gcc (Fedora)."
    )
    assert build(wanted, "/nonexistent/cc", tmpdir) == (status, sentence + end)


@needs_extension
@pytest.mark.parametrize("wanted, status, end", [("auto", 0, ALONE), ("require", 1, REQUIRED)])
def test_build_without_headers_says_what_to_install(build, tmpdir, wanted, status, end):
    if sys.version_info[0] == 2:
        packages = "python2.7-dev (Debian), or python2.7 (Fedora)"
    else:
        packages = "python%d.%d-dev (Debian), or python3-devel (Fedora)" % sys.version_info[:2]
    sentence = "Python's headers (Python.h) are missing: install %s." % packages
    assert build(wanted, "false", tmpdir) == (status, sentence + end)


@needs_extension
def test_build_that_fails_for_another_reason_points_at_the_compiler(build, tmpdir):
    tmpdir.join("Python.h").write("")
    status, line = build("auto", "false", tmpdir)
    assert status == 0 and line.startswith("The compiler failed (") and line.endswith(ALONE)


# Metadata.


def get_metadata(*options):
    pytest.importorskip("setuptools", reason="it gives the metadata")
    arguments = ("-W", "ignore", "setup.py", "-q") + options
    status, output, errors = run(*arguments, PYTHONIOENCODING="utf-8")
    assert status == 0, errors
    return output


def test_metadata_names_the_pythons_that_are_supported_and_that_it_is_typed():
    classifiers = get_metadata("--classifiers").splitlines()
    for version in ("", " :: 2.7", " :: 3.6", " :: 3.13", " :: 3.14", " :: 3.15"):
        assert "Programming Language :: Python" + version in classifiers
    assert "Typing :: Typed" in classifiers


def test_metadata_has_no_address_before_the_project_has_one():
    assert 'PROJECT_URL = ""\n' in read("setup.py")
    assert get_metadata("--url").strip() in ("", "UNKNOWN", "None")


def test_long_description_has_no_picture_and_no_link_that_only_the_repository_has():
    text = get_metadata("--long-description")
    assert "# backports.makefile" in text and "![" not in text
    links = re.findall(r"\]\(([^)\s]*)\)", text)
    assert [link for link in links if not link.startswith("https://")] == []


def test_changelog_begins_with_the_version_of_the_package():
    newest = re.search(r"^## \[([^]]+)\] - ", read("CHANGELOG.md"), re.M).group(1)
    assert newest == backports.makefile.__version__
