"""What the whole suite shares: the implementation under test, and sockets closed at the end.

``impl`` runs a test once for each of our implementations.  ``any_impl`` adds the interpreter's own
makefile, where there is one: a test that takes it proves its expectation on the oracle as well, so
prefer it wherever the contract names no deliberate difference.
"""

import collections
import gc
import importlib
import os
import socket
import ssl
import subprocess
import sys

import pytest

from running import Worker

# Buffers of sys.maxsize bytes are asked for where there is to be no memory.  32 bits can have them.
if sys.maxsize < 2 ** 32:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (3 << 29, resource.getrlimit(resource.RLIMIT_AS)[1]))

# `makefile(sock, mode, ...)` is the plain function; `SocketIO(sock, mode)` the raw stream type.
Implementation = collections.namedtuple("Implementation", "name SocketIO makefile")


def load_c():
    module = importlib.import_module("backports.makefile._makefile")
    return Implementation("c", module.SocketIO, module.backport_makefile)


def load_python():
    module = importlib.import_module("backports.makefile._fallback")
    return Implementation("python", module.SocketIO, module.backport_makefile)


def find_implementations():
    """The implementations that are installed.

    With BACKPORTS_MAKEFILE_C=require a missing C extension is an error.
    """
    found = [load_python()]
    try:
        found.insert(0, load_c())
    except ImportError:
        if os.environ.get("BACKPORTS_MAKEFILE_C") == "require":
            raise
    return found


OURS = find_implementations()
INTERPRETER = []
if hasattr(socket, "SocketIO"):
    INTERPRETER.append(Implementation("interpreter", socket.SocketIO, socket.socket.makefile))


# C was built without its way to the descriptor: what is special about that is not to be had.
NO_DIRECT_PATH = "-U__linux__" in os.environ.get("CFLAGS", "") or not sys.platform.startswith(
    "linux"
)


def get_name(implementation):
    return implementation.name


def pytest_addoption(parser):
    parser.addoption(
        "--implementations",
        default="c,python,interpreter",
        help="run tests on these only; those that are on none run all the same",
    )


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("--implementations").split(",")
    chosen, others = [], []
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        runs_on = [value.name for value in values if isinstance(value, Implementation)]
        (chosen if set(runs_on) <= set(wanted) else others).append(item)
        if NO_DIRECT_PATH and item.get_closest_marker("direct_path") and runs_on in ([], ["c"]):
            item.add_marker(pytest.mark.skip(reason="C was built without the direct path"))
    items[:] = chosen
    config.hook.pytest_deselected(items=others)


@pytest.fixture(params=OURS, ids=get_name)
def impl(request):
    return request.param


@pytest.fixture(params=OURS + INTERPRETER, ids=get_name)
def any_impl(request):
    return request.param


@pytest.fixture
def c_impl():
    """For the few things that the pure-Python twin cannot do; each test says which."""
    for implementation in OURS:
        if implementation.name == "c":
            return implementation
    pytest.skip("the C extension is not built")


@pytest.fixture(scope="module", autouse=True)
def cheap_collections():
    """Collect what the tests of a module make.

    What pytest and the tests before have made is left alone: it would be collected some hundred
    times.
    """
    gc.collect()
    # Without a GIL 3.13's collector hangs after freeze().
    if hasattr(gc, "freeze") and getattr(sys, "_is_gil_enabled", lambda: True)():
        gc.freeze()
        yield
        gc.unfreeze()
    else:
        yield


@pytest.fixture
def closing():
    """A function that registers an object to be closed when the test ends, and returns it."""
    opened = []

    def register(closable):
        opened.append(closable)
        return closable

    yield register
    for closable in reversed(opened):
        try:
            closable.close()
        except Exception:
            # What a test left broken is the test's business, the descriptors are ours.
            pass


@pytest.fixture
def tcp_pair(closing):
    """Two connected loopback TCP sockets of the `socket.socket` class, (ours, peer)."""
    listener = closing(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    ours = closing(socket.create_connection(listener.getsockname()))
    peer = closing(listener.accept()[0])
    return ours, peer


@pytest.fixture
def unix_pair(closing):
    """The ends of a `socket.socketpair()`, (ours, peer); on 2.7 bare `_socket.socket` objects."""
    ours, peer = socket.socketpair()
    return closing(ours), closing(peer)


IMPORT = {
    "c": "from backports.makefile._makefile import SocketIO, backport_makefile as makefile",
    "python": "from backports.makefile._fallback import SocketIO, backport_makefile as makefile",
    "interpreter": "from socket import SocketIO, socket; makefile = socket.makefile",
}


@pytest.fixture
def run_script():
    """A function that runs a script in a fresh interpreter and gives what it prints.

    The script has `SocketIO` and `makefile` of an implementation.

    Options such as "-X", "dev" go to the interpreter.  A script that fails, or says anything on
    stderr, fails the test.
    """

    def run(implementation, script, *options):
        source = "%s\n%s" % (IMPORT[implementation.name], script)
        command = [sys.executable] + list(options) + ["-c", source]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
        )
        out, err = process.communicate()
        assert (process.returncode, err) == (0, ""), out
        return out

    return run


@pytest.fixture
def tls_pair(closing):
    """The ends of a TLS connection over loopback: (ours, peer, wire).

    `wire` is a function that gives all that went over the wire.
    """
    carried = []

    def connect():
        listener = closing(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        return closing(socket.create_connection(listener.getsockname())), closing(
            listener.accept()[0]
        )

    def carry(source, target):
        while True:
            try:
                data = source.recv(1 << 16)
            except socket.error:
                data = b""
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            carried.append(data)
            target.sendall(data)

    (ours, near), (far, peer) = connect(), connect()
    for source, target in ((near, far), (far, near)):
        Worker(carry, source, target)
    directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem"))
    trusting = ssl.create_default_context(cafile=os.path.join(directory, "cert.pem"))
    accepted = Worker(lambda: serving.wrap_socket(peer, server_side=True))
    plain = ours
    ours = closing(trusting.wrap_socket(plain, server_hostname="localhost"))
    plain.close()  # on 2.7 it would hold the descriptor; on 3.x it has none any more
    return ours, closing(accepted.get()), lambda: b"".join(carried)


# The short forms of the stress programs import them as plain modules, as they import each other.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "stress"))
