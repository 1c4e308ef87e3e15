"""What setup.py refuses, and that what the documents show is so."""
import io
import os
import re
import subprocess
import sys

import pytest

import backports.makefile

TESTS = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(TESTS)

SETUP_ON = """
import sys
sys.version_info = {version!r} + (0, "final", 0)
sys.argv = ["setup.py", "--version"]
with open("setup.py") as stream:
    exec(compile(stream.read(), "setup.py", "exec"), {{"__name__": "__main__", "__file__": "setup.py"}})
"""


def read(name):
    with io.open(os.path.join(ROOT, name), encoding="utf-8") as stream:
        return stream.read()


def run(directory, *arguments, **environment):
    """(exit status, standard error) of this Python, run in the directory."""
    process = subprocess.Popen(
        [sys.executable] + list(arguments),
        cwd=directory,
        env=dict(os.environ, **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    errors = process.communicate()[1]
    return process.returncode, errors


@pytest.mark.parametrize("version", [(2, 6), (3, 0), (3, 5)])
def test_setup_on_an_unsupported_python_says_so_and_stops(version):
    expected = "backports.makefile needs Python 2.7, or 3.6 or newer; this is Python %d.%d.\n" % version
    assert run(ROOT, "-c", SETUP_ON.format(version=version)) == (1, expected)


def test_setup_told_something_unknown_about_the_extension_says_what_it_can_be():
    expected = "BACKPORTS_MAKEFILE_C is 'yes'; it can be auto, require or skip.\n"
    assert run(ROOT, "setup.py", "--version", BACKPORTS_MAKEFILE_C="yes") == (1, expected)


def test_changelog_begins_with_the_version_of_the_package():
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M).group(1)
    assert newest == backports.makefile.__version__


def find_blocks():
    """The Python examples of the README, each to be run by itself."""
    return re.findall(r"^```python\n(.*?)^```", read("README.md"), re.M | re.S)


@pytest.mark.parametrize("number", range(len(find_blocks())))
def test_python_in_the_readme_runs_without_an_error(number):
    block = find_blocks()[number]
    if "from urllib3" in block:
        pytest.importorskip("urllib3.contrib.pyopenssl", reason="tox installs urllib3 and pyOpenSSL")
    for library in "gevent", "eventlet":
        if library in block:
            pytest.importorskip(library, reason="tox installs it for CPython")
    if "gevent" in block and sys.version_info[0] == 2:
        pytest.skip("gevent's socket takes no attributes on 2.7, as the README says")
    status, errors = run(TESTS, "-c", block)  # not where the sources would be found
    assert status == 0, errors


def test_readme_has_examples():
    assert len(find_blocks()) >= 3
