"""Streams over ssl.SSLSocket, beside the interpreter's own: what is put in the place of what it
uses, ends of all kinds, and random programmes.

C does what ssl.SSLSocket's own functions do without calling them (src/tls.h).  That wire traffic is
encrypted is in test_security.py, which way an operation goes in test_c_paths.py.
"""

import array
import contextlib
import errno
import functools
import signal
import socket
import ssl
import sys
import types

import pytest
from hypothesis import given, settings, strategies as st

import harness
from conftest import INTERPRETER, OURS, get_name
from running import HANGING, Worker, get_examples, run_script

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 8) or harness.PYPY, reason="there SSLSocket is made otherwise"
)


def connect(cls=ssl.SSLSocket, **options):
    """(client, server), of which the client is made by *cls*; the handshake is done."""
    server_context, client_context = harness.make_tls_contexts()
    ours, peer = socket.socketpair()
    for sock in ours, peer:
        sock.settimeout(HANGING)
    accepting = Worker(lambda: server_context.wrap_socket(peer, server_side=True))
    client_context.sslsocket_class = cls
    client = client_context.wrap_socket(ours, **options)
    server = accepting.get()
    server.sendall(b"first")  # TLS 1.3's session tickets come before it
    assert client.recv(5) == b"first"
    return client, server


@contextlib.contextmanager
def connected(*args, **options):
    ours, peer = connect(*args, **options)
    try:
        yield ours, peer
    finally:
        ours.close()
        peer.close()


def tell(call, *args):
    """What a call came to, so that two implementations can be compared."""
    try:
        result = call(*args)
    except Exception as error:
        return type(error).__name__, getattr(error, "errno", None), str(error.args[-1:])
    return bytes(result) if isinstance(result, (bytearray, memoryview)) else result


def read_into(stream, nbytes):
    buffer = bytearray(nbytes)
    return stream.readinto(buffer), bytes(buffer)


def use(stream, peer):
    """Read and write in all the ways there are."""
    told = []
    told.append(tell(peer.sendall, b"0123456789" * 3))
    if told == [None]:
        told.append(tell(stream.read, 4))
        told.append(tell(read_into, stream, 4))
        told.append(tell(stream.readinto, bytearray()))
        told.append(tell(lambda: stream.readinto(memoryview(bytearray(8)).cast("H"))))
        told.append(tell(stream.readinto, array.array("B", range(4))))
        told.append(tell(stream.readinto, memoryview(bytearray(8))[::2]))
        told.append(tell(stream.readinto, memoryview(bytes(4))))
        told.append(tell(stream.readinto, "text"))
    told.append(tell(stream.write, b"hello"))
    told.append(tell(stream.write, memoryview(b"world")))
    peer.settimeout(0)
    told.append(tell(peer.recv, 100))
    told.append(tell(peer.recv, 100))
    return told


# --- What stands in the way -----------------------------------------------------------------------


def make_function(log, name, own):
    def function(self, *args, **kwargs):
        log.append((name, len(args), sorted(kwargs)))
        return own(self, *args, **kwargs)

    return function


def patch_class(log, name):
    """ssl.SSLSocket.name is another function."""
    own = getattr(ssl.SSLSocket, name)
    inherited = name not in vars(ssl.SSLSocket)
    setattr(ssl.SSLSocket, name, make_function(log, name, own))
    return lambda: (
        delattr(ssl.SSLSocket, name) if inherited else setattr(ssl.SSLSocket, name, own)
    )


def patch_base(log, name):
    """socket.socket, below ssl.SSLSocket, has another function."""
    inherited = name not in vars(socket.socket)
    setattr(socket.socket, name, make_function(log, name, getattr(socket.socket, name, None)))
    return lambda: delattr(socket.socket, name) if inherited else None


def patch_code(log, name):
    """The function is the same, and its code is another's."""
    function = vars(ssl.SSLSocket)[name]
    code, globals_, closure = function.__code__, function.__globals__, function.__closure__
    own = type(function)(code, globals_, name, function.__defaults__, closure)
    globals_.update(_test_log=log, _test_own=own)
    function.__code__ = (bare if closure is None else make_closure()).__code__
    return lambda: setattr(function, "__code__", code)


# With the names of ssl, whose function has this code then.


def bare(self, *args):
    _test_log.append("called")  # noqa: F821
    return _test_own(self, *args)  # noqa: F821


def make_closure():
    cell = None

    def closure(self, *args):
        _test_log.append(("called", cell is None))  # noqa: F821
        return _test_own(self, *args)  # noqa: F821

    return closure


def patch_defaults(log, name):
    """The function is the same, and what it takes for missing arguments is not."""
    function = vars(ssl.SSLSocket)[name]
    defaults = function.__defaults__
    function.__defaults__ = {"recv_into": (3, 0), "send": (1,)}.get(name, defaults)
    return lambda: setattr(function, "__defaults__", defaults)


FUNCTIONS = ["recv_into", "read", "send", "_checkClosed"]
PATCHES = [patch_class, patch_base, patch_code, patch_defaults]
CHANGES = [(patch, name) for patch in PATCHES for name in FUNCTIONS]


@contextlib.contextmanager
def patched(patch, log, name):
    undo = patch(log, name)
    try:
        yield
    finally:
        undo()


@pytest.mark.parametrize(
    "patch, name", CHANGES, ids=lambda value: getattr(value, "__name__", value)
)
def test_what_is_changed_in_the_class_is_honoured(impl, patch, name):
    def run(implementation):
        log = []
        with connected() as (ours, peer):
            raw = implementation.makefile(ours, "rwb", buffering=0)
            told = [use(raw, peer)]
            with patched(patch, log, name):
                log.append("patched")
                told.append(use(raw, peer))
                told.append(use(implementation.makefile(ours, "rwb", buffering=0), peer))
                log.append("restored")
            told.append(use(raw, peer))
        return told, log

    for other in INTERPRETER:
        assert run(impl) == run(other)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_changed_before_the_first_stream_is_honoured(impl, name):
    """In a fresh interpreter, in which nobody has looked at ssl.SSLSocket yet."""
    script = """
import test_tls

log = []
with test_tls.connected() as (ours, peer):
    with test_tls.patched(test_tls.patch_class, log, %r):
        told = test_tls.use(makefile(ours, "rwb", 0), peer)
assert log, told
"""
    run_script(script % name, impl)


def test_class_that_cannot_be_looked_at_is_served_by_its_functions(impl, monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "backports.makefile._tls", None)  # as at exit
    with connected() as (ours, peer):
        with patched(patch_class, log, "read"):  # it is another class than the one remembered
            assert use(impl.makefile(ours, "rwb", 0), peer)[1] == b"0123"
    assert log


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_set_on_the_socket_is_honoured(impl, name):
    def run(implementation):
        log = []
        with connected() as (ours, peer):
            raw = implementation.makefile(ours, "rwb", buffering=0)
            told = [use(raw, peer)]
            own = getattr(ours, name)
            setattr(ours, name, lambda *args: log.append((name, len(args))) or own(*args))
            told.append(use(raw, peer))
            delattr(ours, name)
            told.append(use(raw, peer))
        return told, log

    for other in INTERPRETER:
        assert run(impl) == run(other)


@pytest.mark.parametrize("name", FUNCTIONS + ["__getattribute__", "_sslobj"])
def test_what_a_subclass_has_is_honoured(impl, name):
    def run(implementation):
        log = []

        class Watched(ssl.SSLSocket):
            pass

        if name == "_sslobj":
            Watched._sslobj = property(
                lambda self: log.append("get") or vars(self)["sslobj"],
                lambda self, value: vars(self).update(sslobj=value),
            )
        elif name == "__getattribute__":

            def get(self, name):
                log.append(name)
                return ssl.SSLSocket.__getattribute__(self, name)

            Watched.__getattribute__ = get
        else:
            setattr(Watched, name, make_function(log, name, getattr(ssl.SSLSocket, name)))
        with connected(Watched) as (ours, peer):
            raw = implementation.makefile(ours, "rwb", buffering=0)
            del log[:]
            return use(raw, peer), [entry for entry in log if entry != "_closed"]

    for other in INTERPRETER:
        assert run(impl) == run(other)


def get_logged(log):
    def getattribute(self, name):
        log.append(name)
        return socket.socket.__getattribute__(self, name)

    return getattribute


@pytest.mark.parametrize(
    "name, make",
    [
        ("_sslobj", lambda log: property(lambda self: log.append("get") or vars(self)["_sslobj"])),
        ("__getattribute__", get_logged),
    ],
)
def test_look_ups_that_the_class_answers_are_as_many(impl, name, make):
    def run(implementation):
        log = []
        with connected() as (ours, peer):
            raw = implementation.makefile(ours, "rwb", buffering=0)
            told = [use(raw, peer)]
            setattr(ssl.SSLSocket, name, make(log))
            told += [use(raw, peer), use(raw, peer)]
            delattr(ssl.SSLSocket, name)
            told.append(use(raw, peer))
        return told, log

    for other in INTERPRETER:
        assert run(impl) == run(other)


def test_look_ups_that_the_base_answers_are_as_many(impl):
    def run(implementation):
        log = []
        with connected() as (ours, peer):
            raw = implementation.makefile(ours, "rwb", buffering=0)
            told = [use(raw, peer)]
            own = ours._sslobj, peer._sslobj
            objects = dict(zip((ours, peer), own))
            del ours._sslobj, peer._sslobj
            socket.socket._sslobj = property(lambda self: log.append("get") or objects[self])
            try:
                told.append(use(raw, peer))
            finally:
                del socket.socket._sslobj
                ours._sslobj, peer._sslobj = own
        return told, log

    for other in INTERPRETER:
        assert run(impl) == run(other)


def test_a_proxy_that_answers_with_the_methods_of_a_tls_socket_is_served(impl):
    class Proxy(object):
        _makefile_refs = 0

        def __init__(self, sock):
            self.sock = sock

        def __getattr__(self, name):
            return getattr(self.sock, name)

    with connected() as (ours, peer):
        with impl.makefile(Proxy(ours), "rwb", 0) as raw:
            assert use(raw, peer)[1] == b"0123"


class Scripted(object):
    """Stands for the object in C: answers to everything, and keeps what it was asked."""

    def __init__(self, error=None):
        self.asked = []
        self.error = error

    def read(self, nbytes, buffer=None):
        self.asked.append(("read", nbytes, type(buffer).__name__))
        if self.error is not None:
            raise self.error
        memoryview(buffer).cast("B")[:1] = b"x"
        return 1

    def write(self, data):
        self.asked.append(("write", bytes(data)))
        if self.error is not None:
            raise self.error
        return len(data)


ERRORS = [
    None,
    ssl.SSLError(ssl.SSL_ERROR_EOF, "end"),
    ssl.SSLEOFError(int(ssl.SSL_ERROR_EOF), "end"),
    ssl.SSLError("no number"),
    ssl.SSLWantReadError(int(ssl.SSL_ERROR_WANT_READ), "want"),
    socket.timeout("slow"),
    socket.error(errno.EAGAIN, "later"),
    OSError(ssl.SSL_ERROR_EOF, "not of TLS"),
    ZeroDivisionError("else"),
]
if sys.version_info >= (3, 10):  # before, the interpreter's own fails on it: see differences.md
    ERRORS.append(ssl.SSLError())


class Counted(bytearray):
    """Up to 3.10 the length decides."""

    def __len__(self):
        return 2


BUFFERS = [
    lambda: bytearray(5),
    lambda: bytearray(),
    lambda: memoryview(bytearray(6))[1:3],
    lambda: memoryview(bytearray(6))[::2],
    lambda: memoryview(bytearray(6)).cast("H"),
    lambda: memoryview(bytearray(6)).cast("B", (2, 3)),
    lambda: memoryview(bytearray()),
    lambda: array.array("H", [1, 2]),
    lambda: array.array("B", [1, 2]),
    lambda: Counted(b"12345"),
    lambda: memoryview(b"read only"),
    lambda: None,
]


@pytest.mark.parametrize("make", BUFFERS, ids=[str(n) for n in range(len(BUFFERS))])
def test_size_that_is_asked_for_is_the_interpreters(impl, make):
    def run(implementation):
        with connected() as (ours, peer):
            own, ours._sslobj = ours._sslobj, Scripted()
            raw = implementation.makefile(ours, "rb", buffering=0)
            told = tell(raw.readinto, make()), ours._sslobj.asked
            ours._sslobj = own
        return told

    for other in INTERPRETER:
        assert run(impl) == run(other)


@pytest.fixture
def look(monkeypatch):
    """A function that has another one look at the class, in the place of _tls.known_functions.

    C has kept that function, so its code is replaced.  The other one gets it, and a list.
    """
    _tls = pytest.importorskip("backports.makefile._tls")
    known = _tls.known_functions
    own = type(known)(known.__code__, known.__globals__)
    asked = []

    def replace(other):
        monkeypatch.setattr(_tls, "_test_look", lambda cls: other(cls, own, asked), raising=False)
        monkeypatch.setattr(known, "__code__", looking.__code__)
        harness.change_tls_class()  # so that the class is looked at anew
        return asked

    yield replace
    monkeypatch.undo()
    harness.change_tls_class()


def looking(cls):
    return _test_look(cls)  # noqa: F821


def test_class_is_looked_at_once(impl, look, closing):
    class Sub(ssl.SSLSocket):
        pass

    def receive(self, buffer):
        return socket.socket.recv_into(self, buffer)

    LooksLike = type("SSLSocket", (socket.socket,), {"recv_into": receive})
    Tunnel = type("Tunnel", (socket.socket,), {"recv_into": receive})
    SameName = type("SSLSocket", (ssl.SSLSocket,), {})
    strangers = []
    for cls in LooksLike, Tunnel:
        ours, peer = map(closing, harness.unix_pair())
        other = closing(cls(ours.family, ours.type, 0, ours.detach()))
        strangers.append((impl.makefile(other, "rb", buffering=0), peer))
    asked = look(lambda cls, own, asked: asked.append(cls) or own(cls))
    for cls in ssl.SSLSocket, Sub, SameName, ssl.SSLSocket, SameName:
        with connected(cls) as pair:
            raw = impl.makefile(pair[0], "rwb", buffering=0)
            for _ in range(3):
                use(raw, pair[1])
                for stranger, peer in strangers:
                    peer.sendall(b"data")
                    assert stranger.read(100) == b"data"
    assert asked in ([], [ssl.SSLSocket, LooksLike])


def test_exception_while_the_class_is_looked_at_comes_out(impl, look):
    def interrupt(cls, own, asked):
        asked.append(cls)
        if len(asked) == 1:
            raise KeyboardInterrupt  # as a signal's handler does
        return own(cls)

    with connected() as (ours, peer):
        asked = look(interrupt)
        raw = impl.makefile(ours, "rwb", buffering=0)
        peer.sendall(b"data")
        try:
            assert raw.read(4) == b"data" and not asked
        except KeyboardInterrupt:
            assert asked and raw.read(4) == b"data"


def test_class_that_changes_while_it_is_looked_at_is_not_known(impl, look):
    log = []

    def change(cls, own, asked):
        known = own(cls)
        if not asked:
            asked.append(cls)
            make_property = property(lambda self: log.append("get") or vars(self)["_sslobj"])
            ssl.SSLSocket._sslobj = make_property
        return known

    with connected() as (ours, peer):
        asked = look(change)
        raw = impl.makefile(ours, "rb", buffering=0)
        peer.sendall(b"data")
        assert (raw.read(1), raw.read(1)) == (b"d", b"a")
        if asked:
            del ssl.SSLSocket._sslobj
    assert log == ["get"] * 6 * len(asked)


SAME_NAMES = """
import ssl, test_tls

source = '''
class SSLSocket(object):
    def send(self, data, flags=0):
        self._checkClosed()
        if self._sslobj is not None:
            if flags != 0:
                raise ValueError(self.__class__)
            return self._sslobj.write(data[:2])
        return super().send(data, flags)
'''
space = {}
exec(compile(source, "patch.py", "exec"), vars(ssl), space)
send = space["SSLSocket"].send
assert send.__code__.co_names == ssl.SSLSocket.send.__code__.co_names
with test_tls.connected() as (ours, peer):
    ssl.SSLSocket.send = send
    own, ours._sslobj = ours._sslobj, test_tls.Scripted()
    assert makefile(ours, "wb", buffering=0).write(b"hello") == 2
    ours._sslobj = own
"""


def test_function_that_only_looks_like_the_known_one_is_called(impl):
    run_script(SAME_NAMES, impl)


CHANGED_OFTEN = """
import ssl, test_tls

for number in range(5000):
    ssl.SSLSocket.changes = number
    hasattr(ssl.SSLSocket, "other")
log = []
with test_tls.connected() as (ours, peer):
    raw = makefile(ours, "rwb", buffering=0)
    test_tls.use(raw, peer)
    with test_tls.patched(test_tls.patch_class, log, "read"):
        test_tls.use(raw, peer)
assert log
"""


def test_class_that_was_changed_very_often_is_honoured(impl):
    """From 3.12 on it has no version then."""
    run_script(CHANGED_OFTEN, impl)


def scripted(implementation, change, *calls):
    """What these calls of an unbuffered stream come to where a script stands for the object."""
    with connected() as (ours, peer):
        own, ours._sslobj = ours._sslobj, Scripted()
        raw = implementation.makefile(ours, "rwb", buffering=0)
        undo = change(ours)
        try:
            told = [tell(call, raw) for call in calls], ours._sslobj.asked
        finally:
            undo()
        ours._sslobj = own
    return told


def read_3(raw):
    return raw.read(3)


def get_timed_out(raw):
    return raw._timeout_occurred


@pytest.mark.parametrize(
    "make",
    [
        lambda: socket.timeout("slow"),
        lambda: ssl.SSLWantReadError(int(ssl.SSL_ERROR_WANT_READ), "want"),
        lambda: ssl.SSLEOFError(int(ssl.SSL_ERROR_EOF), "end"),
    ],
    ids=["timeout", "want", "end"],
)
@pytest.mark.parametrize("there", [None, object()], ids=["none", "another"])
def test_errors_are_judged_where_the_module_ssl_is_not_there(impl, make, there):
    own_ssl = ssl

    def change(sock):
        sock._sslobj.error = make()
        sys.modules["ssl"] = there
        return lambda: sys.modules.update(ssl=own_ssl)

    for other in INTERPRETER:
        calls = read_3, get_timed_out, read_3
        assert scripted(impl, change, *calls) == scripted(other, change, *calls)


class Liar(OSError):
    """Says that it is an SSLError, which `except` does not believe."""

    __class__ = property(lambda self: ssl.SSLError)


class Wide(type):
    def __instancecheck__(cls, instance):
        return True


Other = Wide("Other", (Exception,), {})


@pytest.mark.parametrize("rebound", [False, True])
def test_error_is_judged_as_except_does(impl, rebound):
    own_error = ssl.SSLError

    def change(sock):
        sock._sslobj.error = Liar(8, "lie")
        if rebound:
            ssl.SSLError = Other
        return lambda: setattr(ssl, "SSLError", own_error)

    for other in INTERPRETER:
        assert scripted(impl, change, read_3) == scripted(other, change, read_3)


class Key(str):
    """A key of an object's dict that cannot be compared once it is armed."""

    __hash__ = str.__hash__
    armed = False

    def __eq__(self, other):
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt
        return False


@pytest.mark.parametrize("name", ["read", "_checkClosed", "recv_into"])
def test_exception_of_a_key_in_the_dict_of_the_socket_comes_out(any_impl, name):
    with connected() as (ours, peer):
        raw = any_impl.makefile(ours, "rwb", buffering=0)
        peer.sendall(b"data")
        own = dict(vars(ours))
        key = Key(name)
        vars(ours)[key] = None  # which may compare it already
        key.armed = True
        try:
            with pytest.raises(KeyboardInterrupt):
                raw.read(4)
        finally:
            vars(ours).clear()
            vars(ours).update(own)


def test_exception_of_a_look_up_in_a_base_class_comes_out(any_impl):
    def interrupt(self):
        raise KeyboardInterrupt

    with connected() as (ours, peer):
        raw = any_impl.makefile(ours, "rwb", buffering=0)
        use(raw, peer)
        peer.sendall(b"data")
        socket.socket._sslobj = property(interrupt)
        try:
            with pytest.raises(KeyboardInterrupt):
                raw.read(4)
        finally:
            del socket.socket._sslobj


def test_object_that_leads_to_the_stream_itself_ends_the_recursion(any_impl):
    with connected() as (ours, peer):
        raw = any_impl.makefile(ours, "rwb", buffering=0)
        own, ours._sslobj = ours._sslobj, raw
        with pytest.raises(RecursionError):
            raw.write(b"x")
        ours._sslobj = own


@pytest.mark.parametrize("what", [object(), 5, int], ids=["object", "int", "class"])
@pytest.mark.parametrize("name", ["send", "recv_into"])
def test_methods_bound_to_something_else_do_what_they_do(impl, name, what):
    class Fake(object):
        _io_refs = 0

    fake = Fake()
    setattr(fake, name, types.MethodType(getattr(ssl.SSLSocket, name), what))

    def run(implementation):
        raw = implementation.SocketIO(fake, "rw")
        return tell(raw.write, b"data") if name == "send" else tell(raw.read, 3)

    for other in INTERPRETER:
        assert run(impl) == run(other)


@pytest.mark.parametrize("suppress", [True, False, None], ids=str)
@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_errors_of_the_tls_object_are_those_of_the_interpreters_stream(impl, error, suppress):
    if sys.version_info < (3, 10) and error is not None and not error.args:
        pytest.skip("difference 11")

    def run(implementation):
        with connected() as (ours, peer):
            own, ours._sslobj = ours._sslobj, Scripted(error)
            if suppress is None:
                del ours.suppress_ragged_eofs
            else:
                ours.suppress_ragged_eofs = suppress
            told = []
            for call in "readinto", "write", "read":  # a timeout refuses later reads
                raw = implementation.makefile(ours, "rwb", buffering=0)
                argument = {"readinto": bytearray(3), "write": b"data", "read": 3}[call]
                told.append(tell(getattr(raw, call), argument))
                told.append(tell(raw.read, 1))
                told.append(tell(getattr, raw, "_timeout_occurred"))
            told.append(ours._sslobj.asked)
            ours._sslobj = own
        return told

    for other in INTERPRETER:
        assert run(impl) == run(other)


def test_error_while_an_error_is_judged_has_that_as_its_context(any_impl):
    class OddSwitch(object):
        def __bool__(self):
            raise ZeroDivisionError

    with connected() as (ours, peer):
        own, ours._sslobj = ours._sslobj, Scripted(ssl.SSLError(ssl.SSL_ERROR_EOF, "end"))
        ours.suppress_ragged_eofs = OddSwitch()
        with pytest.raises(ZeroDivisionError) as caught:
            any_impl.makefile(ours, "rb", buffering=0).read(1)
        assert type(caught.value.__context__) is ssl.SSLError
        ours._sslobj = own


# --- Ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suppress", [True, False])
@pytest.mark.parametrize("end", ["unwrap", "ragged"])
def test_end_of_the_peer_is_the_end_of_the_stream_or_an_error(impl, end, suppress):
    def run(implementation):
        with connected(suppress_ragged_eofs=suppress) as (ours, peer):
            raw = implementation.makefile(ours, "rb", buffering=0)
            peer.sendall(b"last words")
            if end == "unwrap":
                peer.settimeout(0.05)
                tell(peer.unwrap)  # it waits in vain for our answer
            else:
                peer.shutdown(socket.SHUT_RDWR)
            return [tell(raw.read, 4), tell(raw.read, 100), tell(raw.read, 1), tell(raw.readall)]

    for other in INTERPRETER:
        assert run(impl) == run(other)


def test_after_unwrap_the_stream_reads_and_writes_what_the_socket_does(any_impl):
    with connected() as (ours, peer):
        raw = any_impl.makefile(ours, "rwb", buffering=0)
        assert use(raw, peer)[1] == b"0123"
        peer.settimeout(HANGING)
        ours.recv(100)
        ending = Worker(peer.unwrap)
        ours.unwrap()
        plain = ending.get()
        plain.sendall(b"in clear")
        assert raw.read(100) == b"in clear"
        assert raw.write(b"so too") == 6
        assert plain.recv(100) == b"so too"
        plain.close()


def test_stream_over_a_socket_without_its_tls_object_has_the_sockets_error(impl):
    def run(implementation):
        with connected() as (ours, peer):
            raw = implementation.makefile(ours, "rwb", buffering=0)
            own = ours._sslobj
            del ours._sslobj
            told = use(raw, peer)
            ours._sslobj = own
        return told

    for other in INTERPRETER:
        assert run(impl) == run(other)


def test_read_that_waits_when_another_thread_closes_the_socket_ends(any_impl):
    with connected() as (ours, peer):
        raw = any_impl.makefile(ours, "rb", buffering=0)
        reading = Worker(raw.read, 10).wait_until_blocked()
        ours.close()  # the stream keeps the descriptor open
        peer.sendall(b"late")
        assert reading.get() == b"late"
        assert raw.read(0) == b""


def test_timeout_of_a_read_refuses_later_ones(any_impl):
    with connected() as (ours, peer):
        ours.settimeout(0.05)
        raw = any_impl.makefile(ours, "rb", buffering=0)
        with pytest.raises(socket.timeout):
            raw.read(1)
        peer.sendall(b"late")
        with pytest.raises(OSError, match="cannot read from timed out object"):
            raw.read(1)


def test_exception_of_a_signal_handler_in_a_wait_comes_out(any_impl):
    def handler(signum, frame):
        raise ZeroDivisionError

    old = signal.signal(signal.SIGALRM, handler)
    try:
        with connected() as (ours, peer):
            raw = any_impl.makefile(ours, "rb", buffering=0)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(ZeroDivisionError):
                raw.read(1)
            peer.sendall(b"on")
            assert raw.read(2) == b"on"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# --- Random programmes ----------------------------------------------------------------------------

SIZES = st.sampled_from([0, 1, 5, 64, 1000, 16384, 20000])
STEPS = st.one_of(
    st.tuples(st.just("feed"), SIZES),
    st.tuples(st.sampled_from(["read", "readinto", "write", "buffered", "line"]), SIZES),
    st.tuples(st.sampled_from(["class", "object", "restore"]), st.sampled_from(FUNCTIONS)),
    st.tuples(st.just("mode"), st.sampled_from(["none", "object", "suppress", "drop"])),
    st.just(("end",)),
)


def call_logged(log, function, *args):
    log.append(len(args))
    return function(*args)


def run_programme(implementation, steps):
    log, told, undo, ended = [], [], [], False
    with connected() as (ours, peer):
        ours.settimeout(0)  # a read that finds nothing says so
        peer.settimeout(0)
        raw = implementation.makefile(ours, "rwb", buffering=0)
        buffered = implementation.makefile(ours, "rb")
        own = ours._sslobj
        for step in steps:
            if ended and step[0] in ("feed", "mode"):
                continue
            if ours._sslobj is None and step[0] in ("read", "readinto", "buffered", "line"):
                told.append(len(tell(raw.read, step[1]) or b""))  # the cipher is never the same
            elif step[0] == "feed":
                told.append(tell(peer.send, b"ab\n" * step[1]))
            elif step[0] == "read":
                told.append(tell(raw.read, step[1]))
            elif step[0] == "readinto":
                told.append(tell(read_into, raw, step[1]))
            elif step[0] == "write":
                told.append(tell(raw.write, b"x" * step[1]))
            elif step[0] == "buffered":
                told.append(tell(buffered.read1, step[1]))
            elif step[0] == "line":
                told.append(tell(buffered.readline))
            elif step[0] == "class":
                undo.append(patch_class(log, step[1]))
            elif step[0] == "object":
                function = getattr(ssl.SSLSocket, step[1]).__get__(ours)
                setattr(ours, step[1], functools.partial(call_logged, log, function))
            elif step[0] == "restore":
                vars(ours).pop(step[1], None)
            elif step == ("mode", "none"):
                ours._sslobj = None
            elif step == ("mode", "object"):
                ours._sslobj = own
            elif step == ("mode", "suppress"):
                ours.suppress_ragged_eofs = not ours.suppress_ragged_eofs
            elif step == ("mode", "drop"):
                told.append(tell(peer.recv, 1 << 20))
            elif step[0] == "end":
                peer.close()
                ended = True
        while undo:
            undo.pop()()
        ours._sslobj = own
    return told, log


@pytest.mark.parametrize("implementation", OURS, ids=get_name)
@settings(max_examples=get_examples(60), deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_any_programme_does_what_it_does_with_the_interpreters_stream(implementation, steps):
    for other in INTERPRETER:
        assert run_programme(implementation, steps) == run_programme(other, steps)
