"""The recipes: our makefile inside real libraries, each as docs/recipes.md has it."""

import importlib
import io
import itertools
import os
import re
import socket
import ssl
import subprocess
import sys
import warnings

import pytest

from running import HANGING, Worker, is_open

PY2 = sys.version_info[0] == 2
TESTS = os.path.dirname(os.path.abspath(__file__))
TLS = os.path.join(TESTS, "tls")
BODY = os.urandom(1 << 20)

# Modules with a WrappedSocket over pyOpenSSL: urllib3's own, and the copy that pip carries.
PYOPENSSL = ["urllib3.contrib.pyopenssl", "pip._vendor.urllib3.contrib.pyopenssl"]


def require(name):
    """The module of that name.

    Without the library, or where pip's copy is too old for the pyOpenSSL that is there, skip.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations of theirs
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip("%s is not to be had: %s" % (name, error))


def run_python(script, implementation="auto"):
    """What a script prints, in a fresh interpreter."""
    environment = dict(
        os.environ,
        PYTHONWARNINGS="ignore",
        BACKPORTS_MAKEFILE_WARN="0",
        BACKPORTS_MAKEFILE_IMPLEMENTATION=implementation,
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


def serve_tls(peer):
    """The server's end of TLS on a connected socket, once the client's handshake is done too."""
    context = ssl.SSLContext(ssl.PROTOCOL_SSLv23 if PY2 else ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(TLS, "cert.pem"), os.path.join(TLS, "key.pem"))
    return context.wrap_socket(peer, server_side=True)


def receive(sock, nbytes):
    data = b""
    while len(data) < nbytes:
        piece = sock.recv(nbytes - len(data))
        assert piece, "the stream has ended after %d bytes" % len(data)
        data += piece
    return data


@pytest.fixture(params=PYOPENSSL)
def pyopenssl(request):
    return require(request.param)


@pytest.fixture
def wrapped_pair(pyopenssl, tcp_pair, closing):
    """A WrappedSocket and the `ssl.SSLSocket` at the other end."""
    ours, peer = tcp_pair
    ours.settimeout(HANGING)
    accepted = Worker(serve_tls, peer)
    context = pyopenssl.PyOpenSSLContext(ssl.PROTOCOL_SSLv23)
    context.load_verify_locations(cafile=os.path.join(TLS, "cert.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    wrapped = context.wrap_socket(ours, server_hostname="localhost")
    return closing(wrapped), closing(accepted.get())


# A socket-like class of one's own: the README's example.


@pytest.fixture(scope="module")
def example_class():
    with io.open(os.path.join(os.path.dirname(TESTS), "README.md"), encoding="utf-8") as stream:
        block = re.search(
            r"^```python\n(((?!^```).)*?class (\w+)\(object\):.*?)^```", stream.read(), re.M | re.S
        )
    namespace = {"__name__": "example"}
    exec(compile(block.group(1), "README.md", "exec"), namespace)  # with its demonstration
    return namespace[block.group(3)]


@pytest.mark.parametrize(
    "order", list(itertools.permutations(["sock", "reader", "writer"])), ids="-".join
)
def test_example_of_the_readme_closed_in_any_order_closes_the_connection_with_the_last(
    impl, example_class, tcp_pair, order, monkeypatch
):
    ours, peer = tcp_pair
    monkeypatch.setattr(example_class, "makefile", impl.makefile)
    sock = example_class(ours)
    fd = ours.fileno()
    opened = {
        "sock": sock,
        "reader": sock.makefile("rb"),
        "writer": sock.makefile("w", encoding="ascii"),
    }
    for name in order:
        assert is_open(fd)
        if "reader" in opened:
            peer.sendall(b"line\n")
            assert opened["reader"].readline() == b"line\n"
        if "writer" in opened:
            opened["writer"].write(u"back")
            opened["writer"].flush()
            assert peer.recv(10) == b"back"
        opened.pop(name).close()
    assert not is_open(fd)


# WrappedSocket of urllib3 1.26 and of pip.


def test_wrapped_socket_with_our_makefile_carries_every_byte_both_ways(
    impl, pyopenssl, wrapped_pair, monkeypatch
):
    wrapped, peer = wrapped_pair
    monkeypatch.setattr(pyopenssl.WrappedSocket, "makefile", impl.makefile)
    with wrapped.makefile("rwb") as stream:
        sent = Worker(peer.sendall, BODY)
        assert stream.read(len(BODY)) == BODY
        sent.get()
        received = Worker(receive, peer, len(BODY))
        stream.write(BODY)
        stream.flush()
        assert received.get() == BODY


def test_wrapped_socket_with_our_makefile_in_text_and_unbuffered(
    impl, pyopenssl, wrapped_pair, monkeypatch
):
    wrapped, peer = wrapped_pair
    monkeypatch.setattr(pyopenssl.WrappedSocket, "makefile", impl.makefile)
    with wrapped.makefile("rw", encoding="utf-8", newline="\n") as text, wrapped.makefile(
        "rwb", 0
    ) as raw:
        assert type(raw) is impl.SocketIO
        peer.sendall(u"\u017elu\u0165\n".encode("utf-8"))
        assert text.readline() == u"\u017elu\u0165\n"
        text.write(u"\u20ac\n")
        text.flush()
        assert peer.recv(100) == u"\u20ac\n".encode("utf-8")
        assert raw.write(b"x" * 40000) == 40000  # it has no send: sendall takes it all
        assert receive(peer, 40000) == b"x" * 40000


def test_wrapped_socket_closed_after_its_files_closes_the_connection(
    impl, pyopenssl, wrapped_pair, monkeypatch
):
    wrapped, peer = wrapped_pair
    monkeypatch.setattr(pyopenssl.WrappedSocket, "makefile", impl.makefile)
    one, other = wrapped.makefile("rb"), wrapped.makefile("wb")
    counter = (
        "_makefile_refs" if hasattr(wrapped, "_makefile_refs") else "_io_refs"
    )  # urllib3 2 counts as sockets do
    assert getattr(wrapped, counter) == 2
    one.close()
    other.close()
    assert getattr(wrapped, counter) == 0 and not wrapped._closed
    wrapped.close()
    assert wrapped._closed
    with pytest.raises((socket.error, ssl.SSLError)):
        wrapped.sendall(b"x")


def test_wrapped_socket_of_urllib3_1_closed_before_its_file_leaks_with_any_makefile(
    any_impl, pyopenssl, wrapped_pair
):
    wrapped, _ = wrapped_pair
    if not hasattr(wrapped, "_makefile_refs"):
        pytest.skip("urllib3 2 has repaired it")
    if any_impl.name == "interpreter":
        makefile = pyopenssl.WrappedSocket.makefile  # urllib3's own, on the interpreter's SocketIO
    else:
        makefile = any_impl.makefile
    stream = makefile(wrapped, "rb")
    wrapped.close()
    stream.close()
    assert wrapped._makefile_refs == 0 and not wrapped._closed  # its issue 2970
    wrapped.close()
    assert wrapped._closed


@pytest.mark.skipif(PY2, reason="urllib3 has no makefile of its own to replace there")
@pytest.mark.parametrize("package", ["urllib3", "pip._vendor.urllib3"])
def test_wrapped_socket_takes_our_makefile_from_sys_modules_at_import(package):
    module = require(package + ".contrib.pyopenssl")
    if not hasattr(module, "backport_makefile"):
        pytest.skip("urllib3 2 has no makefile of its own to replace")
    assert run_python("""
import sys
import backports.makefile
sys.modules["{0}.packages.backports.makefile"] = backports.makefile
import {0}.contrib.pyopenssl
print({0}.contrib.pyopenssl.WrappedSocket.makefile is backports.makefile.backport_makefile)
""".format(package)) == "True\n"


def test_urllib3_over_pyopenssl_fetches_through_our_stream(impl, monkeypatch, closing):
    pyopenssl, urllib3 = require("urllib3.contrib.pyopenssl"), require("urllib3")
    require("idna")  # which it needs to read a certificate's names
    try:
        from http.server import BaseHTTPRequestHandler
    except ImportError:
        from BaseHTTPServer import BaseHTTPRequestHandler

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[::-1])

        def log_message(self, *args):
            pass

    opened = []

    def makefile(self, *args, **kwargs):
        opened.append(impl.makefile(self, *args, **kwargs))
        return opened[-1]

    monkeypatch.setattr(pyopenssl.WrappedSocket, "makefile", makefile)
    listener = closing(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)

    def serve():
        conn = serve_tls(listener.accept()[0])
        try:
            Handler(conn, None, None)
        except ssl.SSLError:  # urllib3 closes without saying so in TLS
            pass
        conn.close()

    worker = Worker(serve)
    pyopenssl.inject_into_urllib3()
    try:
        pool = urllib3.HTTPSConnectionPool(
            "localhost",
            listener.getsockname()[1],
            ca_certs=os.path.join(TLS, "cert.pem"),
            timeout=HANGING,
            retries=False,
        )
        for _ in range(3):
            response = pool.urlopen("POST", "/", body=BODY)
            assert response.status == 200 and response.data == BODY[::-1]
        pool.close()
    finally:
        pyopenssl.extract_from_urllib3()
    worker.get()
    assert len(opened) == 3 and all(type(stream.raw) is impl.SocketIO for stream in opened)


# SSLTransport: TLS inside TLS.


@pytest.fixture
def transport_class(monkeypatch):
    """urllib3's SSLTransport, counting on the socket that it wraps, as the recipe has it."""
    cls = require("urllib3.util.ssltransport").SSLTransport

    def count(self, streams):
        self.socket._io_refs = streams

    monkeypatch.setattr(
        cls, "_io_refs", property(lambda self: self.socket._io_refs, count), raising=False
    )
    return cls


@pytest.fixture
def transport_pair(transport_class, tls_pair, closing):
    """An SSLTransport over a TLS connection: (transport, inner peer, its outer socket)."""
    outer, outer_peer, _ = tls_pair
    relayed, inner_peer = socket.socketpair()

    def relay(source, target):
        try:
            for data in iter(lambda: source.recv(1 << 16), b""):
                target.sendall(data)
        except (OSError, ValueError):
            pass
        try:
            target.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            pass

    Worker(relay, outer_peer, closing(relayed))
    Worker(relay, relayed, outer_peer)
    accepted = Worker(serve_tls, inner_peer)
    context = ssl.create_default_context(cafile=os.path.join(TLS, "cert.pem"))
    transport = transport_class(outer, context, server_hostname="localhost")
    return transport, closing(accepted.get()), outer


@pytest.mark.skipif(PY2, reason="urllib3's SSLTransport needs Python 3's ssl.MemoryBIO")
def test_ssltransport_with_our_makefile_carries_tls_in_tls(
    impl, transport_class, transport_pair, monkeypatch
):
    transport, peer, outer = transport_pair
    monkeypatch.setattr(transport_class, "makefile", impl.makefile)
    fd = outer.fileno()
    stream = transport.makefile("rwb")
    text = transport.makefile("r", encoding="ascii")
    assert outer._io_refs == 2
    sent = Worker(peer.sendall, BODY + b"a line\n")
    assert stream.read(len(BODY)) == BODY
    stream.write(BODY)
    flushed = Worker(stream.flush)
    assert receive(peer, len(BODY)) == BODY
    flushed.get()
    sent.get()
    transport.close()  # the open streams keep the connection
    assert is_open(fd) and stream.readline() == b"a line\n"
    stream.close()
    assert is_open(fd)
    text.close()
    assert not is_open(fd)


@pytest.mark.skipif(PY2, reason="urllib3's SSLTransport needs Python 3's ssl.MemoryBIO")
def test_ssltransport_makefile_of_its_own_takes_our_socketio(impl, transport_pair, monkeypatch):
    transport, peer, outer = transport_pair
    monkeypatch.setattr(socket, "SocketIO", impl.SocketIO)
    fd = outer.fileno()
    stream = transport.makefile("rb")
    assert type(stream.raw) is impl.SocketIO
    peer.sendall(b"a line\n")
    transport.close()
    assert stream.readline() == b"a line\n" and is_open(fd)
    stream.close()
    assert not is_open(fd)


# socket.SocketIO alone.


@pytest.mark.skipif(PY2, reason="2.7's socket module has no SocketIO")
def test_socketio_alone_serves_the_interpreters_makefile(impl, tcp_pair, monkeypatch):
    ours, peer = tcp_pair
    monkeypatch.setattr(socket, "SocketIO", impl.SocketIO)
    fd = ours.fileno()
    with ours.makefile("rb") as reader, ours.makefile("w", encoding="utf-8") as writer:
        assert type(reader.raw) is type(writer.buffer.raw) is impl.SocketIO
        ours.close()
        peer.sendall(b"hello\n")
        assert reader.readline() == b"hello\n"
        writer.write(u"good day\n")
        writer.flush()
        assert peer.recv(100) == b"good day\n"
    assert not is_open(fd)


# gevent and eventlet, each in its own process: what counts is which was there first.

GREEN = """
import os
from backports.makefile import SocketIO, install
{before}
import {library}
{imports}
{after}
ours, peer = socket.socketpair()
{library}.spawn(peer.sendall, b"hello\\n")
stream = ours.makefile("rb")
assert stream.readline() == b"hello\\n"
print(type(getattr(stream, "raw", None)) is SocketIO)
fd = ours.fileno()
ours.close()
if {deferred}:
    os.fstat(fd)
stream.close()
try:
    os.fstat(fd)
except OSError:
    print("closed")
"""
GEVENT = {"deferred": True, "library": "gevent", "imports": "from gevent import socket"}
EVENTLET = {
    "deferred": not PY2,  # there it has no counter of its own
    "library": "eventlet",
    "imports": "from eventlet.green import socket\nfrom eventlet.greenio import GreenSocket",
}


@pytest.mark.skipif(
    PY2, reason="gevent's socket on 2.7 has slots and no counter: it can be given none"
)
@pytest.mark.parametrize(
    "before, after, is_ours",
    [
        ("install()", "", True),
        ("", "install()", False),
        ("", "install(socket.socket)", True),
    ],
    ids=["install_first", "install_too_late", "install_of_its_class"],
)
def test_gevent_socket_is_served_if_install_came_first_or_for_its_class(before, after, is_ours):
    require("gevent")
    assert (
        run_python(GREEN.format(before=before, after=after, **GEVENT)) == "%s\nclosed\n" % is_ours
    )


@pytest.mark.parametrize(
    "before, after, is_ours",
    [
        ("install()", "", False),
        ("", "install()", False),
        ("", "install(GreenSocket)", True),
    ],
    ids=["install_first", "install_too_late", "install_of_its_class"],
)
def test_eventlet_socket_is_served_only_by_install_of_its_class(before, after, is_ours):
    require("eventlet")
    output = run_python(GREEN.format(before=before, after=after, **EVENTLET))
    assert output == "%s\nclosed\n" % is_ours


def test_eventlet_may_patch_the_socket_module_before_the_import(impl):
    require("eventlet")
    assert (
        run_python(
            "import eventlet; eventlet.monkey_patch()\n"
            "import os; os.environ['BACKPORTS_MAKEFILE_IMPLEMENTATION'] = %r\n"
            "import backports.makefile; print(backports.makefile.implementation)" % impl.name
        )
        == impl.name + "\n"
    )


# After monkey_patch() the library's own class stands in socket.socket; in the other order it does
# not reach it.

PATCHED = """
import os
{patches}
import socket
import backports.makefile
from backports.makefile import SocketIO, install
try:
    install()
except TypeError as error:
    print(error)
{late_patches}
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1)
ours = socket.create_connection(listener.getsockname())
peer = listener.accept()[0]
peer.sendall(b"hello\\n")
stream = ours.makefile("rb")
assert stream.readline() == b"hello\\n"
stream.close()
ours.close()
peer.close()
print(type(getattr(stream, "raw", None)) is SocketIO)
"""
PATCHES = {
    "gevent": "from gevent import monkey; monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
}
REFUSAL = (
    "install() cannot give gevent._socket2.socket a counter: its instances take no attributes\n"
)

# What has to be there for monkey patching; gevent.events may lack zope.interface on old machines.
NEEDED = {"gevent": "gevent.events", "eventlet": "eventlet"}


@pytest.mark.parametrize(
    "library, expected",
    [
        ("gevent", REFUSAL + "False\n" if PY2 else "True\n"),
        ("eventlet", "True\n"),
    ],
)
def test_install_after_monkey_patch_serves_the_class_that_is_there_or_refuses_it(
    impl, library, expected
):
    require(NEEDED[library])
    script = PATCHED.format(patches=PATCHES[library], late_patches="")
    assert run_python(script, impl.name) == expected


@pytest.mark.parametrize("library, is_ours", [("gevent", not PY2), ("eventlet", False)])
def test_install_before_monkey_patch_leaves_the_classes_of_the_library_alone(
    impl, library, is_ours
):
    require(NEEDED[library])
    script = PATCHED.format(patches="", late_patches=PATCHES[library])
    output = run_python(script, impl.name)
    assert output == "%s\n" % is_ours


# What looks into the stream.


def test_buffered_stream_has_no_sock_of_its_own_but_its_raw_has(impl, tcp_pair):
    # docker-py 4 and botocore 1.20 on 2.7 look for `_fp.fp._sock`, which 2.7's _fileobject has.
    with impl.makefile(tcp_pair[0], "rb") as stream:
        assert not hasattr(stream, "_sock") and stream.raw._sock is tcp_pair[0]
