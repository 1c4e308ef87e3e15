"""Contract section 8: `install` and `uninstall`, for the whole process and for one class."""

import contextlib
import gc
import io
import itertools
import socket
import ssl
import sys
import threading
import warnings
import weakref

import pytest

import backports.makefile
from backports.makefile import _install, install, uninstall
from fakes import CountingSocket
from running import Worker, is_open

PY2 = sys.version_info[0] == 2
needs_own_socketio = pytest.mark.skipif(PY2, reason="2.7's socket module has no SocketIO")


@pytest.fixture(autouse=True)
def untouched(monkeypatch, request):
    """The implementation of the test is the public one, and nothing stays installed after it."""
    if "impl" in request.fixturenames:
        impl = request.getfixturevalue("impl")
        monkeypatch.setattr(backports.makefile, "SocketIO", impl.SocketIO)
        monkeypatch.setattr(backports.makefile, "backport_makefile", impl.makefile)
    before = vars(socket.socket)["makefile"], getattr(socket, "SocketIO", None)
    yield
    uninstall()
    assert (vars(socket.socket)["makefile"], getattr(socket, "SocketIO", None)) == before


def get_raw(stream):
    """The raw stream under a reader or a text reader."""
    return getattr(getattr(stream, "buffer", stream), "raw", stream)


def snapshot(cls):
    return dict(vars(cls))


def make_bare_class():
    """A socket-like class that counts nothing and has no makefile."""

    class Bare(object):
        def __init__(self, sock):
            self.sock = sock

        def recv_into(self, buf):
            return self.sock.recv_into(buf)

        def send(self, data):
            return self.sock.send(data)

        def close(self):
            self.sock.close()

    return Bare


# The whole process.


def test_install_serves_sockets_that_exist_and_new_ones(impl, tcp_pair):
    existing, peer = tcp_pair
    install()
    peer.sendall(b"one\ntwo\n")
    with existing.makefile("rb") as stream:
        assert type(stream.raw) is impl.SocketIO and stream.readline() == b"one\n"
    fresh = socket.socket()
    with fresh.makefile("r", encoding="utf-8") as stream:
        assert type(get_raw(stream)) is impl.SocketIO
    fresh.close()


@needs_own_socketio
def test_install_sets_socketio_of_the_socket_module(impl):
    with install():
        assert socket.SocketIO is impl.SocketIO


def test_uninstall_restores_the_very_objects(impl):
    makefile, socketio = vars(socket.socket)["makefile"], getattr(socket, "SocketIO", None)
    install()
    assert vars(socket.socket)["makefile"] is not makefile
    uninstall()
    assert vars(socket.socket)["makefile"] is makefile
    assert getattr(socket, "SocketIO", None) is socketio


def test_uninstall_without_install_does_nothing():
    before = snapshot(socket.socket)
    uninstall()
    uninstall(make_bare_class())
    assert snapshot(socket.socket) == before


def test_install_twice_is_the_same_as_once(impl):
    before = snapshot(socket.socket)
    install()
    install()
    uninstall()
    assert snapshot(socket.socket) == before


def test_handle_restores_at_the_end_of_with(impl):
    before = snapshot(socket.socket)
    with install():
        assert snapshot(socket.socket) != before
    assert snapshot(socket.socket) == before


def test_handle_restores_and_lets_the_error_through_when_the_body_raises(impl):
    before = snapshot(socket.socket)
    with pytest.raises(RuntimeError):
        with install():
            raise RuntimeError("body")
    assert snapshot(socket.socket) == before


def test_inner_handle_leaves_the_outer_installation(impl):
    before = snapshot(socket.socket)
    with install():
        installed = snapshot(socket.socket)
        with install():
            pass
        assert snapshot(socket.socket) == installed
    assert snapshot(socket.socket) == before


def test_handle_after_uninstall_does_nothing(impl):
    before = snapshot(socket.socket)
    with install():
        uninstall()
        with install():
            pass
        assert snapshot(socket.socket) == before


def test_old_handle_leaves_a_later_installation(impl):
    handle = install()
    uninstall()
    install()
    handle.__exit__(None, None, None)
    assert vars(socket.socket)["makefile"] is impl.makefile
    uninstall()


def test_stream_opened_before_uninstall_goes_on(impl, tcp_pair):
    ours, peer = tcp_pair
    fd = ours.fileno()
    with install():
        stream = ours.makefile("rb")
    ours.close()
    peer.sendall(b"later\n")
    assert stream.readline() == b"later\n"
    stream.close()
    assert not is_open(fd)


def test_uninstall_forgets_the_class(impl):
    cls, untouched_cls = make_bare_class(), make_bare_class()
    install(cls)
    uninstall(cls)
    refs = weakref.ref(cls), weakref.ref(untouched_cls)
    del cls, untouched_cls
    gc.collect()
    # A build without a GIL lets no class go once a second thread has run.
    assert (refs[0]() is None) == (refs[1]() is None)


def test_install_from_many_threads_at_once_is_undone_by_one_uninstall(impl):
    before = snapshot(socket.socket)
    start = threading.Event()

    def run():
        start.wait()
        for _ in range(200):
            install()

    workers = [Worker(run) for _ in range(4)]
    start.set()
    for worker in workers:
        worker.get()
    uninstall()
    assert snapshot(socket.socket) == before


@pytest.mark.skipif(PY2, reason="2.7's SSLSocket has a makefile of its own: see the next test")
def test_install_serves_sslsocket_by_inheritance(impl, tls_pair):
    ours, peer, get_wire = tls_pair
    with install():
        stream = ours.makefile("rwb")
    stream.write(b"plain text")
    stream.flush()
    assert peer.recv(100) == b"plain text"
    peer.sendall(b"plain answer\n")
    assert stream.readline() == b"plain answer\n"
    stream.close()
    assert b"plain" not in get_wire()


def test_install_of_sslsocket_alone_serves_it_and_nothing_else(impl, tls_pair):
    ours, peer, _ = tls_pair
    before = vars(socket.socket)["makefile"]
    with install(ssl.SSLSocket):
        assert vars(socket.socket)["makefile"] is before
        stream = ours.makefile("rb")
        assert type(stream.raw) is impl.SocketIO
    ours.close()
    peer.sendall(b"answer\n")
    assert stream.readline() == b"answer\n"
    stream.close()
    assert isinstance(ours._sock, socket._closedsocket) if PY2 else ours.fileno() == -1


# One class.


def test_install_of_a_bare_class_gives_it_a_counter_that_only_counts(impl, tcp_pair):
    ours, peer = tcp_pair
    cls = make_bare_class()
    before = snapshot(cls)
    install(cls)
    fake = cls(ours)
    assert cls._makefile_refs == 0
    one, other = fake.makefile("rb"), fake.makefile("wb", 0)
    assert fake._makefile_refs == 2 and cls._makefile_refs == 0
    peer.sendall(b"hello\n")
    assert one.readline() == b"hello\n" and other.write(b"back") == 4 and peer.recv(10) == b"back"
    one.close()
    one.close()
    assert fake._makefile_refs == 1
    fake.close()  # documented: the class's own close() does not wait for open files
    assert ours.fileno() == -1 if not PY2 else isinstance(ours._sock, socket._closedsocket)
    other.close()
    assert fake._makefile_refs == 0
    uninstall(cls)
    assert snapshot(cls) == before


def test_counter_given_by_install_never_goes_below_zero(impl):
    cls = make_bare_class()
    with install(cls):
        fake = cls(None)
        fake._decref_socketios()
        assert fake._makefile_refs == 0


def test_install_of_a_class_with_a_method_that_wraps_itself_ends(impl):
    def method(self):
        """Nothing."""

    method.__wrapped__ = method
    cls = make_bare_class()
    cls.method = method
    with install(cls):
        assert cls._makefile_refs == 0


def test_install_of_a_class_that_counts_in_init_leaves_its_counting_alone(impl, tcp_pair):
    ours, peer = tcp_pair
    fd = ours.fileno()
    decref = vars(CountingSocket)["_decref_socketios"]
    with install(CountingSocket):
        assert vars(CountingSocket)["_decref_socketios"] is decref
        assert "_makefile_refs" not in vars(CountingSocket)
        fake = CountingSocket(ours)
        stream = fake.makefile("rb")
        fake.close()
        peer.sendall(b"deferred\n")
        assert is_open(fd) and stream.readline() == b"deferred\n"
        stream.close()
        assert not is_open(fd)
    assert "makefile" not in vars(CountingSocket)


def test_install_of_a_class_with_a_makefile_restores_that(impl):
    class Own(make_bare_class()):
        def makefile(self):
            return "own"

    own = vars(Own)["makefile"]
    with install(Own):
        assert vars(Own)["makefile"] is impl.makefile
    assert vars(Own)["makefile"] is own and Own(None).makefile() == "own"


def test_install_of_a_class_that_inherits_its_makefile_removes_its_own_again(impl):
    class Base(make_bare_class()):
        def makefile(self):
            return "inherited"

    class Derived(Base):
        pass

    with install(Derived):
        assert "makefile" in vars(Derived) and Base(None).makefile() == "inherited"
    assert "makefile" not in vars(Derived) and Derived(None).makefile() == "inherited"


ORDERS = list(itertools.permutations(["base", "derived"]))


@pytest.mark.parametrize("installed", ORDERS, ids="-".join)
@pytest.mark.parametrize("removed", ORDERS, ids="-".join)
def test_base_and_derived_class_installed_and_removed_in_any_order_work_and_are_restored(
    impl, tcp_pair, installed, removed
):
    base = make_bare_class()
    derived = type("Derived", (base,), {})
    classes = {"base": base, "derived": derived}
    before = dict((name, snapshot(cls)) for name, cls in classes.items())
    for name in installed:
        install(classes[name])
    for name in removed:
        fake = classes[removed[-1]](tcp_pair[0])
        with fake.makefile("rb") as stream:
            tcp_pair[1].sendall(b"x\n")
            assert stream.readline() == b"x\n" and fake._makefile_refs == 1
        assert fake._makefile_refs == 0
        uninstall(classes[name])
    assert dict((name, snapshot(cls)) for name, cls in classes.items()) == before


def test_install_of_socket_class_and_of_the_process_restore_in_any_order(impl):
    before = snapshot(socket.socket)
    for last in (None, socket.socket):
        first = socket.socket if last is None else None
        install(first)
        install(last)
        uninstall(first)
        assert vars(socket.socket)["makefile"] is impl.makefile
        uninstall(last)
        assert snapshot(socket.socket) == before


@pytest.mark.parametrize("what", ["a string", 7, object(), len, socket])
def test_install_of_no_class_is_a_type_error(what):
    with pytest.raises(TypeError):
        install(what)


@pytest.mark.parametrize("cls", [int, io.BytesIO, type(len)])
def test_install_of_a_class_that_takes_no_attributes_is_a_type_error_and_changes_nothing(cls):
    before = snapshot(cls)
    with pytest.raises(TypeError):
        install(cls)
    assert snapshot(cls) == before
    uninstall(cls)


def test_install_that_fails_half_way_takes_the_first_half_back(impl):
    class Meta(type):
        def __setattr__(cls, name, value):
            if name == "_decref_socketios":
                raise TypeError("no")
            type.__setattr__(cls, name, value)

    cls = Meta("Picky", (object,), {"recv_into": None})
    before = snapshot(cls)
    with pytest.raises(TypeError):
        install(cls)
    assert snapshot(cls) == before


@pytest.mark.skipif(not PY2, reason="3.x has no old-style classes")
def test_install_of_an_old_style_class(impl, tcp_pair):
    class Old:
        def __init__(self, sock):
            self.recv_into = sock.recv_into

    before = snapshot(Old)
    with install(Old):
        fake = Old(tcp_pair[0])
        tcp_pair[1].sendall(b"old\n")
        with fake.makefile("rb") as stream:
            assert stream.readline() == b"old\n" and fake._makefile_refs == 1
        assert fake._makefile_refs == 0
    assert snapshot(Old) == before


# A class that a library has put into socket.socket, as gevent's and eventlet's monkey_patch do.


@contextlib.contextmanager
def socket_class(cls):
    own, socket.socket = socket.socket, cls
    try:
        yield
    finally:
        uninstall()
        socket.socket = own


def test_install_gives_a_counter_to_the_class_that_stands_in_the_socket_module(impl, tcp_pair):
    ours, peer = tcp_pair
    cls = make_bare_class()
    before = snapshot(cls)
    with socket_class(cls):
        install()
        fake = socket.socket(ours)
        with fake.makefile("rb") as stream:
            peer.sendall(b"hello\n")
            assert fake._makefile_refs == 1 and stream.readline() == b"hello\n"
        assert fake._makefile_refs == 0
        uninstall()
        assert snapshot(cls) == before


def test_install_refuses_a_class_in_the_socket_module_that_can_be_given_no_counter(impl):
    class Slots(object):
        __slots__ = ("sock",)

    before, socketio = snapshot(Slots), getattr(socket, "SocketIO", None)
    with socket_class(Slots):
        with pytest.raises(TypeError) as caught:
            install()
        assert str(caught.value) == (
            "install() cannot give %s.Slots a counter: its instances take"
            " no attributes" % __name__
        )
        assert snapshot(Slots) == before and getattr(socket, "SocketIO", None) is socketio


def test_install_before_another_class_is_put_there_leaves_that_class_alone(impl):
    cls = make_bare_class()
    before, own = snapshot(cls), socket.socket
    install()
    with socket_class(cls):
        install()  # once is enough
        assert snapshot(cls) == before and vars(own)["makefile"] is impl.makefile
        uninstall()
        assert vars(own)["makefile"] is not impl.makefile


# The warning that the interpreter's own makefile is the faster one.


@pytest.fixture
def without_extension(monkeypatch):
    """As if the extension had not been built."""
    monkeypatch.setattr(backports.makefile, "_reason", "the extension is not installed")
    monkeypatch.setattr(_install, "has_warned", False)
    monkeypatch.delenv("BACKPORTS_MAKEFILE_WARN", raising=False)


def get_warnings(call, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **kwargs)
    return [warning for warning in caught if warning.category is RuntimeWarning]


@needs_own_socketio
def test_install_of_the_process_without_the_extension_warns_once_of_its_caller(without_extension):
    (warning,) = get_warnings(install)
    assert "(the extension is not installed)" in str(warning.message)
    assert warning.filename.rpartition(".")[0] == __file__.rpartition(".")[0]
    assert get_warnings(install) == []
    uninstall()
    assert get_warnings(install) == []


@needs_own_socketio
def test_warning_of_install_says_what_to_install(without_extension):
    message = str(get_warnings(install)[0].message)
    if hasattr(sys, "pypy_version_info"):
        assert "PyPy gets this implementation alone" in message
    else:
        assert "gcc, libc6-dev, python%d.%d-dev" % sys.version_info[:2] in message
        assert "python3-devel" in message


@pytest.mark.parametrize("prepare", ["argument", "variable", "class", "c", "asked for"])
def test_install_does_not_warn_where_it_is_silenced_or_has_no_reason(
    without_extension, monkeypatch, prepare
):
    arguments = {}
    if prepare == "argument":
        arguments = {"warn": False}
    elif prepare == "variable":
        monkeypatch.setenv("BACKPORTS_MAKEFILE_WARN", "0")
    elif prepare == "class":
        arguments = {"cls": make_bare_class()}
    elif prepare == "c":
        monkeypatch.setattr(backports.makefile, "_reason", "")
    else:
        reason = "BACKPORTS_MAKEFILE_IMPLEMENTATION=python"
        monkeypatch.setattr(backports.makefile, "_reason", reason)
    assert get_warnings(install, **arguments) == []
    uninstall(arguments.get("cls"))


@pytest.mark.skipif(not PY2, reason="3.x has a makefile that may be the faster one")
def test_install_on_27_does_not_warn(without_extension):
    assert get_warnings(install) == []


@needs_own_socketio
def test_warning_that_is_an_error_leaves_nothing_installed_and_comes_again(without_extension):
    before = snapshot(socket.socket)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(RuntimeWarning):
                install()
    assert snapshot(socket.socket) == before


# What the standard library then does.


def test_http_client_after_install_reads_through_our_stream(impl):
    try:
        from http.client import HTTPConnection
        from http.server import BaseHTTPRequestHandler, HTTPServer
    except ImportError:
        from BaseHTTPServer import BaseHTTPRequestHandler, HTTPServer
        from httplib import HTTPConnection

    body = bytes(bytearray(range(256))) * 400
    peers_streams = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            peers_streams.append(self.rfile)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with install():
        server = HTTPServer(("127.0.0.1", 0), Handler)
        worker = Worker(server.handle_request)  # one connection, however many requests
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        for _ in range(3):
            connection.request("GET", "/")
            response = connection.getresponse()
            assert type(get_raw(response.fp)) is impl.SocketIO
            assert response.read() == body
        connection.close()
        worker.get()
        server.server_close()
    assert len(peers_streams) == 3 and type(peers_streams[0].raw) is impl.SocketIO


def test_smtplib_after_install_reads_through_our_stream(impl, closing):
    import smtplib

    listener = closing(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)

    def serve():
        """Say what an SMTP server says, and return the message."""
        conn, _ = listener.accept()
        reader, message = conn.makefile("rb"), []
        conn.sendall(b"220 ready\r\n")
        for command in iter(lambda: reader.readline().lower(), b"quit\r\n"):
            if command == b"data\r\n":
                conn.sendall(b"354 go on\r\n")
                message = list(iter(reader.readline, b".\r\n"))
            conn.sendall(b"250-more\r\n250 fine\r\n")
        conn.sendall(b"221 bye\r\n")
        reader.close()
        conn.close()
        return b"".join(message)

    with install():
        worker = Worker(serve)
        client = smtplib.SMTP("127.0.0.1", listener.getsockname()[1], timeout=30)
        client.ehlo()
        assert type(get_raw(client.file)) is impl.SocketIO
        mail = "Subject: x\r\n\r\n..\r\n" + "body\r\n" * 5000
        client.sendmail("a@localhost", ["b@localhost"], mail)
        client.quit()
    message = worker.get()
    assert message.count(b"body\r\n") == 5000 and b"\r\n...\r\n" in message
