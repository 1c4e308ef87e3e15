"""The file-object classes of the interpreter's own test.test_socket.

Our makefile and SocketIO are put in.
"""

import json
import os
import subprocess
import sys

import pytest

from conftest import INTERPRETER, OURS

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "interpreter_suite.py")


def find_suite():
    """Why the interpreter's own tests cannot be run, or None."""
    if sys.version_info < (3,):
        return "2.7's own tests are of another file object, _fileobject"
    import importlib.util

    if (
        importlib.util.find_spec("test") is None
        or importlib.util.find_spec("test.test_socket") is None
    ):
        return "this interpreter comes without its test.test_socket"
    return None


missing = find_suite()
pytestmark = pytest.mark.skipif(missing is not None, reason=str(missing))


@pytest.fixture(scope="module")
def answers():
    """What interpreter_suite.py says of each implementation.

    They run beside each other, for mostly they wait for a timeout.
    """
    processes = [
        (
            found.name,
            subprocess.Popen(
                [sys.executable, SCRIPT, found.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ),
        )
        for found in OURS + INTERPRETER
    ]
    try:
        return dict(
            (name, process.communicate(timeout=250) + (process.returncode,))
            for name, process in processes
        )
    finally:
        for _, process in processes:
            process.kill()
            process.wait()


def test_interpreter_suite_with_the_implementation_put_in_passes_on_its_streams(any_impl, answers):
    out, err, status = answers[any_impl.name]
    assert status == 0, err
    answer = json.loads(out.decode("utf-8"))
    assert answer["bad"] == [], answer["output"]
    assert answer["skipped"] == []
    # seven classes of ten tests, and five more of the unbuffered one
    assert answer["run"] >= 75
    # one stream to read and one to write for each test; testUnbufferedReadline makes another
    assert answer["streams"] == {"ours": 2 * answer["run"] + 1}
