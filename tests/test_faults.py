"""Each allocation of each operation fails, in a process of its own: see stress/faults.py."""

import os
import re
import subprocess
import sys

import pytest

import faults
import harness

STRESS = os.path.dirname(os.path.abspath(faults.__file__))

pytestmark = [
    pytest.mark.skipif(harness.PYPY, reason="PyPy allocates by itself"),
    pytest.mark.skipif(
        harness.NO_GIL,
        reason="without a GIL 3.13 hangs at exit after this, with its own makefile too",
    ),
]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """The environment of the process, in which allocations can be made to fail."""
    if not harness.PY2:
        testcapi = pytest.importorskip("_testcapi")
        if not hasattr(testcapi, "set_nomemory"):
            pytest.skip("no set_nomemory()")
        return os.environ
    if "LD_PRELOAD" in os.environ:
        pytest.skip("another allocator is already there, a sanitizer's")
    with open("/proc/self/maps") as maps:
        if "libpython" not in maps.read():
            pytest.skip(
                "the allocator is in the program itself, where none can be put in its place"
            )
    library = str(tmp_path_factory.mktemp("failmalloc") / "failmalloc.so")
    try:
        subprocess.check_call(
            ["cc", "-shared", "-fPIC", "-O1", "-fno-builtin", "-o", library,
             os.path.join(STRESS, "failmalloc.c"), "-ldl"]
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler")
    return dict(os.environ, LD_PRELOAD=library)


def run(implementation, environment, *options):
    """{scenario: how many MemoryErrors came out} of a process that does the scenarios."""
    command = [sys.executable, os.path.join(STRESS, "faults.py"), "--implementation",
               implementation] + list(options)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, universal_newlines=True)
    out, err = process.communicate()
    assert process.returncode == 0, "status %s\n%s\n%s" % (process.returncode, out, err)
    return {
        name.strip(): int(count)
        for name, count in re.findall(r"^(.*) allocations \d+, memory_errors (\d+)$", out, re.M)
    }


def test_operations_when_any_allocation_fails_raise_memory_error_and_lose_nothing(
    impl, environment
):
    if harness.PY2 and impl.name != "c":
        pytest.skip("2.7 itself crashes when it gets no memory to run Python code")
    if hasattr(sys, "gettotalrefcount") and impl.name != "c":
        pytest.skip(
            "a debug build asserts where the loop that runs Python code loses its MemoryError"
        )
    errors = run(impl.name, environment)
    assert set(errors) == set(faults.SCENARIOS) - {"import"}
    assert sum(errors.values()) > 50, "nothing was made to fail"


def test_import_when_any_allocation_fails_raises_memory_error_and_can_be_tried_again(
    c_impl, environment
):
    if "LD_PRELOAD" in os.environ and sys.version_info[:2] in faults.CRASHING:
        pytest.skip("a sanitizer reports the interpreter's own crashes")
    # The package itself is not to load the extension before it is its turn.
    errors = run(
        "c", dict(environment, BACKPORTS_MAKEFILE_IMPLEMENTATION="python"), "--scenario", "import"
    )
    assert errors["import"] > 100, "nothing was made to fail"
