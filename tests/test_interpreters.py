"""A program that embeds Python: a second interpreter, and a new one after the first has ended."""

import os
import subprocess
import sys
import sysconfig

import pytest

from conftest import IMPORT

HERE = os.path.dirname(os.path.abspath(__file__))
pytestmark = pytest.mark.skipif(
    hasattr(sys, "pypy_version_info"), reason="PyPy is embedded in another way"
)


def get_words(name):
    return (sysconfig.get_config_var(name) or "").split()


@pytest.fixture(scope="session")
def embedding(tmp_path_factory):
    """The program of stress/embedding.c, linked with this Python."""
    program = str(tmp_path_factory.mktemp("embedding") / "embedding")
    place = sysconfig.get_config_var("LIBPL") or ""
    library = os.path.join(place, sysconfig.get_config_var("LIBRARY") or "")
    if not os.path.exists(library):
        place = sysconfig.get_config_var("LIBDIR")
        library = os.path.join(place, sysconfig.get_config_var("LDLIBRARY") or "")
    command = ["cc", "-o", program, os.path.join(HERE, "stress", "embedding.c")]
    command += (
        get_words("LINKFORSHARED")
        + [library]
        + get_words("LIBS")
        + get_words("SYSLIBS")
        + ["-Wl,-rpath," + place]
    )
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
        )
    except OSError:
        pytest.skip("no C compiler")
    output = process.communicate()[0]
    if process.returncode != 0:
        pytest.skip("this Python cannot be embedded: %s" % output[-300:])
    return program


CODE = """
%s
import socket, sys

def connect():
    # Of the class socket.socket on 2.7 too, where socketpair() gives bare C sockets.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    ours = socket.create_connection(listener.getsockname())
    peer = listener.accept()[0]
    listener.close()
    return ours, peer

ours, peer = connect()
with makefile(ours, "rwb") as stream, makefile(peer, "rwb", 0) as other:
    other.write(b"line\\n")
    assert stream.readline() == b"line\\n"
    stream.write(b"x" * 100)
    stream.flush()
    assert other.read(200) == b"x" * 100

# The timeout is this interpreter's own, for reads and for writes.
ours.settimeout(0.01)
def write_much(raw):
    for _ in range(100):
        raw.write(b"x" * 1000000)

for operation in lambda raw: raw.read(1), write_much:
    raw = makefile(ours, "rwb", 0)
    try:
        operation(raw)
    except socket.timeout as error:
        assert str(error) == "timed out", error
    else:
        raise AssertionError("no timeout")
    raw.close()

try:
    makefile(ours, "wb", 0).read(1)
except IOError:
    pass

class Bare(object):
    pass

try:
    makefile(Bare(), "rb")
except AttributeError:
    pass
else:
    raise AssertionError("no counter was asked for")

# Left open at the end of the interpreter.
sys.keep = makefile(ours, "rb"), SocketIO(peer, "w"), ours, peer
"""


def test_each_interpreter_of_a_program_serves_its_own_sockets(any_impl, embedding):
    # A virtual environment is found by the executable of Python, which this program is not.
    environment = dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(path for path in sys.path if path),
        PYTHONHOME=getattr(sys, "base_prefix", getattr(sys, "real_prefix", sys.prefix)),
    )
    process = subprocess.Popen(
        [embedding, CODE % IMPORT[any_impl.name]],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    output, errors = process.communicate()
    assert (process.returncode, output) == (
        0,
        "main\nsecond\nmain again\nnew main\nnew second\n",
    ), (
        output + errors
    )
