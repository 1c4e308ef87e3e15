"""Contract section 4: one rule for the direct and the delegating path.

Nobody can tell the two apart but by speed.
"""

import _socket
import array
import errno
import functools
import io
import os
import select
import socket
import ssl
import sys

import pytest
from hypothesis import given, settings, strategies as st

import harness
from conftest import INTERPRETER, OURS, get_name
from running import (  # noqa: F401
    HANGING, Worker, adopt, alarm, get_examples, get_outcome, is_open, once, receive_all,
    run_script, watchdog,
)

try:
    from unittest import mock
except ImportError:
    mock = pytest.importorskip("mock")

PY2 = sys.version_info[0] == 2
pytestmark = pytest.mark.usefixtures("watchdog")


class Source(object):
    """A `recv_into` that gives `data`, then the end, and keeps the arguments of each call."""

    def __init__(self, data):
        self.data = data
        self.calls = []

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        view = memoryview(args[0])
        piece, self.data = self.data[:len(view)], self.data[len(view):]
        view[:len(piece)] = piece
        return len(piece)


class Sink(object):
    """A `send` that takes all, and keeps the arguments of each call."""

    def __init__(self):
        self.data = b""
        self.calls = []

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        piece = bytes(bytearray(args[0]))
        self.data += piece
        return len(piece)


class Fake(object):
    """A socket-like object that has nothing but what it is given."""

    _io_refs = 0

    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def _decref_socketios(self):
        self._io_refs -= 1


class Socket(socket.socket):
    """A subclass, so that tests can put methods on a class of their own."""


@pytest.fixture
def pair(tcp_pair, closing):
    """(ours, peer): connected TCP sockets, ours of the class `Socket`."""
    ours, peer = tcp_pair
    return closing(adopt(Socket, ours)), peer


def read_into(raw):
    buf = bytearray(64)
    return bytes(buf[:raw.readinto(buf)])


def read_buffered(raw):
    reader = io.BufferedReader(raw)
    line = reader.readline()
    reader.detach()
    return line


def read_text(raw):
    reader = io.TextIOWrapper(io.BufferedReader(raw), "ascii", newline="\n")
    line = reader.readline()
    reader.detach().detach()
    return line.encode("ascii")


def write_buffered(raw, data):
    writer = io.BufferedWriter(raw)
    writer.write(data)
    writer.detach()


def write_text(raw, data):
    writer = io.TextIOWrapper(io.BufferedWriter(raw), "ascii", newline="\n")
    writer.write(data.decode("ascii"))
    writer.detach().detach()


READS = {
    "readinto": read_into,
    "read": lambda raw: raw.read(64),
    "readline": lambda raw: raw.readline(),
    "next": lambda raw: next(raw),
    "buffered": read_buffered,
    "text": read_text,
}
WRITES = {
    "write": lambda raw, data: raw.write(data),
    "writelines": lambda raw, data: raw.writelines([data[:2], data[2:]]),
    "buffered": write_buffered,
    "text": write_text,
}


@pytest.fixture(params=sorted(READS))
def read(request):
    return READS[request.param]


@pytest.fixture(params=sorted(WRITES))
def write(request):
    return WRITES[request.param]


# Ways to put a method in place of a socket's own: each returns a function that takes it away again.

def override_on_instance(sock, name, method):
    own = getattr(sock, name)
    setattr(sock, name, method)
    if PY2:  # there the socket's own method sits on the instance too
        return lambda: setattr(sock, name, own)
    return lambda: delattr(sock, name)


def override_on_class(sock, name, method):
    setattr(type(sock), name, staticmethod(method))
    return lambda: delattr(type(sock), name)


def patch_instance(sock, name, method):
    patch = mock.patch.object(sock, name, method)
    patch.start()
    return patch.stop


def patch_class(sock, name, method):
    patch = mock.patch.object(type(sock), name, method, create=PY2)
    patch.start()
    return patch.stop


OVERRIDES = [override_on_instance, override_on_class, patch_instance, patch_class]
# mock deletes what it patched and sees no need to put it back if a slot of the instance held it.
if PY2:
    OVERRIDES.remove(patch_instance)


@pytest.fixture(params=OVERRIDES, ids=lambda override: override.__name__)
def override(request):
    return request.param


class TestOverrides(object):
    """The method is looked up as Python would, at every operation."""

    def test_recv_into_overridden_after_makefile_is_called_until_it_is_removed(
        self, any_impl, pair, override, read
    ):
        if harness.PYPY and any_impl.name == "interpreter":
            pytest.skip("PyPy's own fails where its collector has not freed a fake's views yet")
        ours, peer = pair
        raw = any_impl.makefile(ours, "rb", 0)
        peer.sendall(b"own1\n")
        assert read(raw) == b"own1\n"
        remove = override(ours, "recv_into", Source(b"over\n"))
        try:
            peer.sendall(b"own2\n")
            assert read(raw) == b"over\n"
        finally:
            remove()
        assert read(raw) == b"own2\n"

    def test_send_overridden_after_makefile_is_called_until_it_is_removed(
        self, any_impl, pair, override, write
    ):
        ours, peer = pair
        raw = any_impl.makefile(ours, "wb", 0)
        write(raw, b"own1")
        sink = Sink()
        remove = override(ours, "send", sink)
        try:
            write(raw, b"over")
        finally:
            remove()
        write(raw, b"own2")
        ours.shutdown(socket.SHUT_WR)
        assert sink.data == b"over"
        assert receive_all(peer) == b"own1own2"

    def test_methods_overridden_before_makefile_are_called(self, any_impl, pair, override):
        ours, peer = pair
        source, sink = Source(b"over"), Sink()
        removes = [override(ours, "recv_into", source), override(ours, "send", sink)]
        try:
            raw = any_impl.makefile(ours, "rwb", 0)
            peer.sendall(b"own")
            assert read_into(raw) == b"over"
            assert raw.write(b"over") == 4
        finally:
            for remove in removes:
                remove()
        ours.shutdown(socket.SHUT_WR)
        assert receive_all(peer) == b""
        assert read_into(raw) == b"own"

    def test_methods_of_a_subclass_are_called_where_python_finds_them(
        self, any_impl, tcp_pair, closing
    ):
        source, sink = Source(b"over"), Sink()

        class Overriding(socket.socket):
            recv_into = staticmethod(source)
            send = staticmethod(sink)

        peer = tcp_pair[1]
        ours = closing(adopt(Overriding, tcp_pair[0]))
        raw = any_impl.makefile(ours, "rwb", 0)
        if PY2:  # the socket's own methods on the instance hide those of the class
            peer.sendall(b"own")
            assert read_into(raw) == b"own"
            assert raw.write(b"own") == 3 and not sink.calls
            del ours.recv_into, ours.send
        assert read_into(raw) == b"over"
        assert raw.write(b"over") == 4 and sink.data == b"over"

    def test_methods_of_a_class_changed_to_are_called(self, any_impl, pair):
        ours, peer = pair
        raw = any_impl.makefile(ours, "rwb", 0)
        if PY2:
            del ours.recv_into, ours.send  # as above

        class Other(Socket):
            recv_into = staticmethod(Source(b"other"))
            send = staticmethod(Sink())

        ours.__class__ = Other
        assert read_into(raw) == b"other"
        assert raw.write(b"other") == 5 and Other.send.data == b"other"

    @pytest.mark.skipif(PY2, reason="2.7's socket.socket keeps its methods on the instance")
    @pytest.mark.parametrize("change", ["class", "base", "bases", "other class", "look-up"])
    def test_change_of_a_class_without_a_dict_is_seen_at_once(
        self, any_impl, tcp_pair, closing, change
    ):
        class Base(socket.socket):
            __slots__ = ()

        class Compact(Base):
            __slots__ = ()

        class Other(Base):
            __slots__ = ()
            recv_into, send = staticmethod(Source(b"over" * 100)), staticmethod(Sink())

        peer = tcp_pair[1]
        ours = closing(adopt(Compact, tcp_pair[0]))
        raw = any_impl.makefile(ours, "rwb", 0)

        def change_class(into):
            if change == "bases":
                Compact.__bases__ = (Other,) if into else (Base,)
            elif change == "other class":
                ours.__class__ = Other if into else Compact
            elif change == "look-up" and into:
                Compact.__getattribute__ = lambda self, name: (
                    Other.__dict__[name].__func__
                    if name in ("recv_into", "send")
                    else socket.socket.__getattribute__(self, name)
                )
            elif change == "look-up":
                del Compact.__getattribute__
            else:
                for name in ("recv_into", "send"):
                    owner = {"class": Compact, "base": Base}[change]
                    setattr(owner, name, Other.__dict__[name]) if into else delattr(owner, name)

        for _ in range(3):
            for _ in range(4):  # what is remembered of the class has been remembered and used
                peer.sendall(b"own")
                assert read_into(raw) == b"own"
                assert raw.write(b"own") == 3
            change_class(True)
            assert read_into(raw)[:4] == b"over"
            assert raw.write(b"over") == 4
            change_class(False)
        assert Other.__dict__["send"].__func__.data == b"over" * 3
        ours.shutdown(socket.SHUT_WR)
        assert receive_all(peer) == b"own" * 12

    def test_methods_found_by_getattribute_are_called(self, any_impl, tcp_pair, closing):
        class Computed(socket.socket):
            methods = {}

            def __getattribute__(self, name):
                if name in Computed.methods:
                    return Computed.methods[name]
                return socket.socket.__getattribute__(self, name)

        peer = tcp_pair[1]
        ours = closing(adopt(Computed, tcp_pair[0]))
        raw = any_impl.makefile(ours, "rwb", 0)
        peer.sendall(b"own")
        Computed.methods.update(recv_into=Source(b"over"), send=Sink())
        assert read_into(raw) == b"over"
        assert raw.write(b"over") == 4
        sent = Computed.methods["send"].data
        Computed.methods.clear()
        assert sent == b"over"
        assert read_into(raw) == b"own"

    def test_methods_found_by_a_property_are_called(self, any_impl):
        calls = []

        class Computed(Fake):
            @property
            def recv_into(self):
                calls.append("recv_into")
                return Source(b"over")

            @property
            def send(self):
                calls.append("send")
                return Sink()

        raw = any_impl.SocketIO(Computed(), "rw")
        assert read_into(raw) == b"over"
        assert raw.write(b"over") == 4
        assert calls == ["recv_into", "send"]

    @pytest.mark.parametrize(
        "wrap",
        [functools.partial, lambda method: lambda *args: method(*args)],
        ids=["partial", "lambda"],
    )
    def test_own_method_in_a_wrapper_is_called_through_it(self, any_impl, tcp_pair, wrap):
        ours, peer = tcp_pair
        raw = any_impl.SocketIO(Fake(recv_into=wrap(ours.recv_into), send=wrap(ours.send)), "rw")
        peer.sendall(b"data")
        assert read_into(raw) == b"data"
        assert raw.write(b"data") == 4
        assert peer.recv(64) == b"data"

    @pytest.mark.parametrize(
        "call, name", [(read_into, "recv_into"), (lambda raw: raw.write(b"data"), "send")]
    )
    def test_error_of_the_look_up_comes_through(self, any_impl, call, name):
        class Failing(Fake):
            def __getattribute__(self, attribute):
                if attribute == name:
                    raise ZeroDivisionError(name)
                return Fake.__getattribute__(self, attribute)

        raw = any_impl.SocketIO(Failing(), "rw")
        with pytest.raises(ZeroDivisionError) as caught:
            call(raw)
        assert caught.value.args == (name,)

    @pytest.mark.parametrize(
        "call, name", [(read_into, "recv_into"), (lambda raw: raw.write(b"data"), "sendall")]
    )
    def test_missing_method_is_an_attribute_error_that_names_it(self, impl, call, name):
        raw = impl.SocketIO(Fake(), "rw")
        with pytest.raises(AttributeError) as caught:
            call(raw)
        assert name in str(caught.value) or "send" in str(caught.value)

    @pytest.mark.direct_path
    def test_each_operation_looks_one_method_up_once_and_nothing_else(
        self, any_impl, tcp_pair, closing
    ):
        looked_up = []

        class Watched(socket.socket):
            def __getattribute__(self, name):
                looked_up.append(name)
                return socket.socket.__getattribute__(self, name)

        peer = tcp_pair[1]
        ours = closing(adopt(Watched, tcp_pair[0]))
        ours.settimeout(HANGING)
        raw = any_impl.makefile(ours, "rwb", 0)
        peer.sendall(b"data")
        del looked_up[:]
        assert read_into(raw) == b"data"
        assert looked_up == ["recv_into"]
        assert raw.write(b"data") == 4
        assert looked_up == ["recv_into", "send"]
        ours.settimeout(0)
        del looked_up[:]
        assert raw.readinto(bytearray(1)) is None
        assert looked_up == ["recv_into"]

    @pytest.mark.parametrize("implementation", OURS + INTERPRETER, ids=get_name)
    @settings(max_examples=get_examples(30), deadline=None)
    @given(
        steps=st.lists(
            st.sampled_from(["own", "other", "fake", "class", "no class", "read", "write"]),
            max_size=20,
        )
    )
    def test_any_history_of_overrides_reads_and_writes_go_where_a_call_by_hand_goes(
        self, implementation, steps
    ):
        check_history(implementation, steps)


def check_history(implementation, steps):
    """Change the methods of a socket in `steps`.

    The file must read and write what `sock.recv_into` and `sock.send` would.
    """

    class Changing(socket.socket):
        pass

    def read_fake(buf):
        memoryview(buf)[:1] = b"f"
        return 1

    def write_fake(data):
        written.append(data)
        return 1

    def find_written(write):
        assert write(b"x") == 1
        return drain(own_peer), drain(other_peer), [written.pop() for _ in list(written)]

    written = []
    opened = list(socket.socketpair() + socket.socketpair())
    opened[0] = adopt(Changing, opened[0])
    own, own_peer, other, other_peer = opened
    own_peer.sendall(b"s" * 64)
    other_peer.sendall(b"o" * 64)
    methods = {
        "own": (own.recv_into, own.send),
        "other": (other.recv_into, other.send),
        "fake": (read_fake, write_fake),
    }
    raw = implementation.makefile(own, "rwb", 0)
    try:
        for step in steps:
            if step in methods:
                own.recv_into, own.send = methods[step]
            elif step == "class":
                Changing.recv_into, Changing.send = staticmethod(read_fake), staticmethod(
                    write_fake
                )
            elif step == "no class":
                for name in ("recv_into", "send"):
                    if name in Changing.__dict__:
                        delattr(Changing, name)
            elif step == "read":
                by_hand, by_file = bytearray(1), bytearray(1)
                assert (raw.readinto(by_file), by_file) == (own.recv_into(by_hand), by_hand)
            else:
                assert find_written(raw.write) == find_written(own.send)
    finally:
        raw.close()
        for sock in opened:
            sock.close()


class TestBinding(object):
    """The interpreter's own method works on the socket it is bound to, under its own name only."""

    def test_recv_into_of_another_socket_reads_from_that_one(self, any_impl, pair, unix_pair):
        (ours, peer), (other, other_peer) = pair, unix_pair
        raw = any_impl.makefile(ours, "rb", 0)
        ours.recv_into = other.recv_into
        peer.sendall(b"ours")
        other_peer.sendall(b"other")
        assert read_into(raw) == b"other"

    def test_send_of_another_socket_writes_to_that_one(self, any_impl, pair, unix_pair):
        (ours, peer), (other, other_peer) = pair, unix_pair
        raw = any_impl.makefile(ours, "wb", 0)
        ours.send = other.send
        assert raw.write(b"data") == 4
        assert other_peer.recv(64) == b"data"
        assert not select.select([peer], [], [], 0)[0]

    @pytest.mark.parametrize("own_timeout", [None, 0, HANGING])
    def test_recv_into_of_another_socket_has_the_timeout_of_that_one(
        self, any_impl, pair, unix_pair, own_timeout
    ):
        ours, other = pair[0], unix_pair[0]
        ours.settimeout(own_timeout)
        other.settimeout(0)
        raw = any_impl.makefile(ours, "rb", 0)
        ours.recv_into = other.recv_into
        assert raw.readinto(bytearray(4)) is None
        other.settimeout(0.01)
        with pytest.raises(socket.timeout):
            raw.readinto(bytearray(4))

    @pytest.mark.parametrize("own_timeout", [None, 0, HANGING])
    def test_send_of_another_socket_has_the_timeout_of_that_one(
        self, any_impl, pair, unix_pair, own_timeout
    ):
        ours, other = pair[0], unix_pair[0]
        fill(other)
        ours.settimeout(own_timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        ours.send = other.send
        assert raw.write(b"data") is None
        other.settimeout(0.01)
        with pytest.raises(socket.timeout):
            raw.write(b"data")

    def test_own_methods_on_a_fake_are_used_without_asking_the_fake_for_more(
        self, any_impl, unix_pair
    ):
        ours, peer = unix_pair
        ours.settimeout(HANGING)
        raw = any_impl.SocketIO(Fake(recv_into=ours.recv_into, send=ours.send), "rw")
        peer.sendall(b"data")
        assert read_into(raw) == b"data"
        assert raw.write(b"data") == 4
        assert peer.recv(64) == b"data"

    @pytest.mark.parametrize(
        "name",
        ["recv", "recvfrom_into", "recvfrom", "send", "sendall", "fileno", "getsockname",
         "gettimeout"],
    )
    def test_another_method_in_place_of_recv_into_does_what_it_does(
        self, any_impl, unix_pair, name
    ):
        ours, peer = unix_pair
        peer.sendall(b"dataDATA")
        results = []
        for call in (
            lambda buf: any_impl.SocketIO(Fake(recv_into=getattr(ours, name)), "r").readinto(buf),
            getattr(ours, name),
        ):
            buf = bytearray(4)
            results.append((get_outcome(call, buf), len(buf)))
        assert results[0] == results[1]

    @pytest.mark.parametrize(
        "name", ["sendall", "recv", "recv_into", "fileno", "getsockname", "gettimeout"]
    )
    def test_another_method_in_place_of_send_does_what_it_does(self, any_impl, unix_pair, name):
        ours, peer = unix_pair
        peer.sendall(b"dataDATA")
        by_file, by_hand = (
            get_outcome(call, bytearray(b"4444"))
            for call in (
                any_impl.SocketIO(Fake(send=getattr(ours, name)), "w").write,
                getattr(ours, name),
            )
        )
        assert by_file == by_hand
        if name == "sendall":
            assert by_file == ("returned", None)
            assert peer.recv(64) == b"44444444"

    @pytest.mark.parametrize(
        "name, call", [("recv_into", read_into), ("send", lambda raw: raw.write(b"data"))]
    )
    def test_unbound_method_is_called_without_a_socket_and_fails(
        self, any_impl, unix_pair, name, call
    ):
        unbound = _socket.socket.__dict__[name]
        raw = any_impl.SocketIO(Fake(**{name: unbound}), "rw")
        with pytest.raises(TypeError):
            call(raw)

    def test_method_of_the_very_name_of_another_type_is_called(self, any_impl):
        # A C function called `send`, but a generator's: it must not be taken for a socket's.
        def generate():
            while True:
                received.append((yield 3))

        received = []
        generator = generate()
        next(generator)
        raw = any_impl.SocketIO(Fake(send=generator.send), "w")
        assert raw.write(b"data") == 3
        assert received == [b"data"]

    @pytest.mark.skipif(PY2, reason="2.7's C socket cannot be made again on another descriptor")
    def test_socket_made_again_on_another_descriptor_is_read_there(
        self, any_impl, unix_pair, tcp_pair, closing
    ):
        ours, peer = unix_pair
        other, other_peer = tcp_pair
        raw = any_impl.makefile(ours, "rwb", 0)
        peer.sendall(b"ours")
        other_peer.sendall(b"other")
        descriptor = ours.fileno()
        try:
            _socket.socket.__init__(
                ours, other.family, other.type, other.proto, fileno=other.fileno()
            )
            assert read_into(raw) == b"other"
            assert raw.write(b"data") == 4
            assert other_peer.recv(64) == b"data"
        finally:
            ours.detach()
            os.close(descriptor)


def fill(sock):
    """Make the socket non-blocking and send until it takes no more."""
    sock.settimeout(0)
    for size in (1 << 16, 1):
        while True:
            try:
                sock.send(b"." * size)
            except socket.error:
                break


class TestNeverByLooks(object):
    """Nothing but the method decides: not the type, not `fileno()`, not `_sock`."""

    @pytest.mark.parametrize("lie", ["pipe", "file", "socket"])
    def test_fake_with_a_descriptor_of_something_else_is_asked_itself(
        self, any_impl, unix_pair, closing, tmpdir, lie
    ):
        if lie == "pipe":
            readable, writable = os.pipe()
            os.write(writable, b"wrong")
            closing(os.fdopen(writable, "wb"))
            descriptor = closing(os.fdopen(readable, "rb")).fileno()
        elif lie == "file":
            lying = closing(tmpdir.join("lie").open("wb+"))
            lying.write(b"wrong")
            lying.flush()
            lying.seek(0)
            descriptor = lying.fileno()
        else:
            unix_pair[1].sendall(b"wrong")
            descriptor = unix_pair[0].fileno()
        source, sink = Source(b"right"), Sink()
        fake = Fake(recv_into=source, send=sink, fileno=lambda: descriptor, gettimeout=lambda: None)
        raw = any_impl.SocketIO(fake, "rw")
        assert read_into(raw) == b"right"
        assert raw.write(b"data") == 4
        assert sink.data == b"data"
        if lie == "file":
            assert tmpdir.join("lie").read() == "wrong"
        if lie == "socket":
            assert not select.select([unix_pair[1]], [], [], 0)[0]

    def test_fake_whose_descriptor_is_0_is_asked_and_stdin_left_alone(self, any_impl):
        script = """if 1:
            class Fake(object):
                _io_refs = 0
                def fileno(self): return 0
                def gettimeout(self): return None
                def recv_into(self, buf): buf[:5] = b"right"; return 5
                def send(self, data): return 2
                def _decref_socketios(self): pass
            raw = SocketIO(Fake(), "rw")
            buf = bytearray(5)
            assert raw.readinto(buf) == 5 and buf == b"right", buf
            assert raw.write(b"data") == 2
            assert raw.name == 0
            raw.close()
            assert os.read(0, 100) == b"stdin", "stdin was read from, or closed"
        """
        readable, writable = os.pipe()
        try:
            os.write(writable, b"stdin")
            run_script(script, any_impl, stdin=readable)
        finally:
            os.close(readable)
            os.close(writable)

    def test_fake_that_hides_a_non_blocking_socket_is_asked_itself(self, any_impl, unix_pair):
        # As gevent's and eventlet's do: they wait in their own loop for a descriptor that never
        # blocks.
        hidden, peer = unix_pair
        hidden.settimeout(0)

        class Green(Fake):
            def recv_into(self, buf):
                peer.sendall(b"data")  # the loop runs, and the peer with it
                return self._sock.recv_into(buf)

            def send(self, data):
                return self._sock.send(data)

            def fileno(self):
                return self._sock.fileno()

            def gettimeout(self):
                return None

        raw = any_impl.SocketIO(Green(_sock=hidden, fd=hidden), "rw")
        assert read_into(raw) == b"data"
        assert raw.write(b"data") == 4
        assert peer.recv(64) == b"data"

    def test_subclass_with_other_fileno_and_timeout_is_served_from_its_c_socket(
        self, any_impl, tcp_pair, unix_pair, closing
    ):
        # PySocks tells another timeout than the C socket has.
        wrong, wrong_peer = unix_pair

        class Lying(socket.socket):
            def fileno(self):
                return wrong.fileno()

            def gettimeout(self):
                return HANGING

            def recv(self, *args):
                raise AssertionError("nobody asked for recv")

            sendall = recvfrom = recvfrom_into = setblocking = settimeout = recv

        peer = tcp_pair[1]
        descriptor = tcp_pair[0].fileno()
        ours = closing(adopt(Lying, tcp_pair[0]))
        (ours._sock if PY2 else super(Lying, ours)).settimeout(0)
        raw = any_impl.makefile(ours, "rwb", 0)
        wrong_peer.sendall(b"wrong")
        assert raw.readinto(bytearray(5)) is None
        assert raw.write(b"data") == 4
        assert peer.recv(64) == b"data"
        peer.sendall(b"right")
        assert select.select([descriptor], [], [], HANGING)[0]
        assert read_into(raw) == b"right"

    def test_tls_socket_carries_cipher_text_only(self, any_impl, tls_pair):
        ours, peer, wire = tls_pair
        stream = any_impl.makefile(ours, "rwb")
        payload = b"plain text that must never be seen on the wire"
        stream.write(payload)
        stream.flush()
        assert peer.recv(1024) == payload
        peer.sendall(payload[::-1])
        assert stream.read(len(payload)) == payload[::-1]
        stream.close()
        assert len(wire()) > 2 * len(payload)
        assert payload not in wire() and payload[::-1] not in wire()

    def test_tls_socket_raw_stream_reads_and_writes_records(self, any_impl, tls_pair):
        ours, peer, wire = tls_pair
        raw = any_impl.makefile(ours, "rwb", 0)
        assert raw.write(b"to the peer") == 11
        assert peer.recv(1024) == b"to the peer"
        peer.sendall(b"0123456789")
        buf = bytearray(4)
        assert (raw.readinto(buf), bytes(buf)) == (4, b"0123")
        # Pending in the TLS layer, with nothing to read on the descriptor.
        assert raw.read(100) == b"456789"

    def test_methods_of_a_tls_socket_are_never_its_c_base_class_s(self, any_impl, tls_pair):
        ours, peer, wire = tls_pair
        assert isinstance(ours, socket.socket)
        ours.settimeout(0)
        raw = any_impl.makefile(ours, "rb", 0)
        with pytest.raises(ssl.SSLError) as caught:
            raw.readinto(bytearray(4))
        assert caught.value.args[0] == ssl.SSL_ERROR_WANT_READ


class TestNothingCached(object):
    """Each operation takes timeout and method anew, each system call the descriptor."""

    def test_timeout_set_after_makefile_counts_from_the_next_operation(self, any_impl, tcp_pair):
        ours, peer = tcp_pair
        raw = any_impl.makefile(ours, "rb", 0)
        ours.settimeout(0)
        assert raw.readinto(bytearray(4)) is None
        ours.settimeout(None)
        reader = Worker(read_into, raw).wait_until_blocked()
        peer.sendall(b"data")
        assert reader.get() == b"data"
        ours.setblocking(False)
        assert raw.readinto(bytearray(4)) is None
        ours.settimeout(0.01)
        with pytest.raises(socket.timeout):
            raw.readinto(bytearray(4))

    def test_timeout_set_after_makefile_counts_for_the_next_write(self, any_impl, unix_pair):
        ours, peer = unix_pair
        raw = any_impl.makefile(ours, "wb", 0)
        fill(ours)
        assert raw.write(b"data") is None
        ours.settimeout(0.01)
        with pytest.raises(socket.timeout):
            raw.write(b"data")
        ours.settimeout(None)
        writer = Worker(raw.write, b"data").wait_until_blocked()
        drainer = Worker(receive_all, peer)
        assert writer.get() == 4
        ours.shutdown(socket.SHUT_WR)
        assert drainer.get().endswith(b"data")

    @pytest.mark.skipif(not hasattr(socket.socket, "detach"), reason="2.7 has no detach()")
    def test_detached_socket_reads_and_writes_fail_and_close_leaves_the_descriptor(
        self, any_impl, tcp_pair
    ):
        ours, peer = tcp_pair
        raw = any_impl.makefile(ours, "rwb", 0)
        peer.sendall(b"data")
        descriptor = ours.detach()
        try:
            for call in (
                lambda: raw.readinto(bytearray(4)),
                lambda: raw.write(b"data"),
                lambda: raw.write(b""),
            ):
                with pytest.raises(socket.error) as caught:
                    call()
                assert caught.value.errno == errno.EBADF
            assert raw.fileno() == -1
            raw.close()
            assert is_open(descriptor)
            assert os.read(descriptor, 64) == b"data"
        finally:
            os.close(descriptor)

    @pytest.mark.parametrize("timeout", [None, HANGING])
    @pytest.mark.skipif(not hasattr(socket.socket, "detach"), reason="2.7 has no detach()")
    def test_socket_detached_by_a_signal_handler_during_a_read_its_number_is_not_read_again(
        self, any_impl, tcp_pair, unix_pair, timeout
    ):
        ours = tcp_pair[0]
        recycled, recycled_peer = unix_pair
        recycled_peer.sendall(b"not ours")
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        detached = []

        def detach():
            detached.append(ours.detach())
            os.dup2(recycled.fileno(), detached[0])

        with alarm(once(detach), 0.01, 0.5):
            with pytest.raises(socket.error) as caught:
                raw.readinto(bytearray(64))
        os.close(detached[0])
        assert caught.value.errno == errno.EBADF
        assert recycled.recv(64) == b"not ours"

    @pytest.mark.parametrize("timeout", [None, HANGING])
    @pytest.mark.skipif(not hasattr(socket.socket, "detach"), reason="2.7 has no detach()")
    def test_socket_detached_by_a_signal_handler_during_a_write_its_number_is_not_written_to(
        self, any_impl, unix_pair, closing, timeout
    ):
        ours = unix_pair[0]
        recycled, recycled_peer = [closing(sock) for sock in socket.socketpair()]
        fill(ours)
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        detached = []

        def detach():
            detached.append(ours.detach())
            os.dup2(recycled.fileno(), detached[0])

        with alarm(once(detach), 0.01, 0.5):
            with pytest.raises(socket.error) as caught:
                raw.write(b"not yours")
        os.close(detached[0])
        assert caught.value.errno == errno.EBADF
        assert not select.select([recycled_peer], [], [], 0)[0]

    @pytest.mark.skipif(not hasattr(socket.socket, "detach"), reason="2.7 has no detach()")
    def test_socket_detached_during_a_timed_wait_its_number_is_not_read_after_it(
        self, any_impl, tcp_pair
    ):
        ours, peer = tcp_pair
        ours.settimeout(HANGING)
        raw = any_impl.makefile(ours, "rb", 0)
        reader = Worker(read_into, raw).wait_until_blocked()
        descriptor = ours.detach()
        try:
            peer.sendall(b"data")  # wakes the wait, on a number that is the socket's no longer
            with pytest.raises(socket.error) as caught:
                reader.get()
            assert caught.value.errno == errno.EBADF
            assert os.read(descriptor, 64) == b"data"
        finally:
            os.close(descriptor)

    @pytest.mark.skipif(not hasattr(socket.socket, "detach"), reason="2.7 has no detach()")
    def test_socket_detached_during_a_timed_wait_its_number_is_not_written_to_after_it(
        self, any_impl, unix_pair
    ):
        ours, peer = unix_pair
        fill(ours)
        ours.settimeout(HANGING)
        raw = any_impl.makefile(ours, "wb", 0)
        writer = Worker(raw.write, b"not ours").wait_until_blocked()
        descriptor = ours.detach()
        try:
            drain(peer)
            with pytest.raises(socket.error) as caught:
                writer.get()
            assert caught.value.errno == errno.EBADF
            assert drain(peer) == b""
        finally:
            os.close(descriptor)


def drain(sock):
    """Everything that is there now; leaves the socket non-blocking."""
    sock.settimeout(0)
    pieces = []
    while True:
        try:
            piece = sock.recv(1 << 16)
        except socket.error:
            return b"".join(pieces)
        pieces.append(piece)


class TestDatagrams(object):
    """One recv or send gets the whole buffer, so no datagram or record is ever cut."""

    @pytest.fixture(params=["SOCK_DGRAM", "SOCK_SEQPACKET"])
    def packets(self, request, closing):
        ours, peer = socket.socketpair(socket.AF_UNIX, getattr(socket, request.param))
        return closing(ours), closing(peer)

    @pytest.fixture(params=[None, 0, HANGING])
    def timeout(self, request):
        return request.param

    @pytest.mark.parametrize("size", [1, 4097, 100000])
    def test_datagram_read_into_a_large_buffer_comes_whole(self, any_impl, packets, timeout, size):
        ours, peer = packets
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        peer.send(b"x" * size)
        peer.send(b"next")
        buf = bytearray(1 << 20)
        assert raw.readinto(buf) == size
        assert raw.read(1 << 20) == b"next"

    def test_datagram_longer_than_the_buffer_loses_its_rest_as_recv_does(
        self, any_impl, packets, timeout
    ):
        ours, peer = packets
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        peer.send(b"12345678")
        peer.send(b"next")
        assert raw.read(4) == b"1234"
        assert raw.read(64) == b"next"

    @pytest.mark.parametrize("size", [1, 4097, 100000])
    def test_write_of_a_datagram_sends_it_whole(self, any_impl, packets, timeout, size):
        ours, peer = packets
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        assert raw.write(b"x" * size) == size
        assert len(peer.recv(1 << 20)) == size
        assert raw.write(b"next") == 4
        assert peer.recv(64) == b"next"

    def test_write_of_a_datagram_that_is_too_long_sends_nothing(self, any_impl, packets):
        ours, peer = packets
        raw = any_impl.makefile(ours, "wb", 0)
        with pytest.raises(socket.error) as caught:
            raw.write(bytearray(1 << 24))
        assert caught.value.errno == errno.EMSGSIZE
        assert not select.select([peer], [], [], 0)[0]

    def test_write_of_nothing_sends_an_empty_datagram(self, any_impl, packets, timeout):
        ours, peer = packets
        ours.settimeout(timeout)
        peer.settimeout(HANGING)
        raw = any_impl.makefile(ours, "wb", 0)
        assert raw.write(b"") == 0
        assert raw.write(b"next") == 4
        assert peer.recv(64) == b""
        assert peer.recv(64) == b"next"

    def test_empty_datagram_reads_as_zero_bytes_and_the_next_one_follows(
        self, any_impl, packets, timeout
    ):
        ours, peer = packets
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "rb", 0)
        peer.send(b"")
        peer.send(b"next")
        assert raw.readinto(bytearray(64)) == 0
        assert read_into(raw) == b"next"

    def test_readall_of_records_comes_whole(self, any_impl, closing):
        ours, peer = map(closing, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        raw = any_impl.makefile(ours, "rb", 0)
        records = [b"a" * 8000, b"b" * 10, b"c" * 8000]
        for record in records:
            peer.send(record)
        peer.close()
        assert raw.readall() == b"".join(records)


class TestWriteOfNothing(object):
    """`write(b"")` reaches the socket."""

    @pytest.mark.parametrize("timeout", [None, 0, HANGING])
    def test_write_of_nothing_to_a_shut_socket_gives_its_error(self, any_impl, tcp_pair, timeout):
        ours = tcp_pair[0]
        ours.settimeout(timeout)
        raw = any_impl.makefile(ours, "wb", 0)
        assert raw.write(b"") == 0
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(socket.error) as caught:
            raw.write(b"")
        assert caught.value.errno == errno.EPIPE

    def test_write_of_nothing_reaches_a_fake(self, any_impl):
        sink = Sink()
        raw = any_impl.SocketIO(Fake(send=sink), "w")
        data = bytearray()
        assert raw.write(data) == 0
        assert len(sink.calls) == 1 and sink.calls[0][0][0] is data


RESULTS = [None, True, 0, -1, 10 ** 30, 2.5, "text", (1, 2), Fake()]


class TestDelegating(object):
    """A delegated call is exactly `recv_into(b)` or `send(b)`; its result comes back untouched."""

    @pytest.mark.parametrize(
        "argument",
        [bytearray(4), memoryview(bytearray(4)), array.array("H", [1, 2]), b"read only", u"text",
         None, 4, Fake(), []],
        ids=lambda argument: type(argument).__name__,
    )
    def test_argument_is_passed_on_as_it_is_and_alone(self, any_impl, argument):
        calls = []

        def method(*args, **kwargs):
            calls.append((args, kwargs))
            return 3

        raw = any_impl.SocketIO(Fake(recv_into=method, send=method), "rw")
        assert raw.readinto(argument) == 3
        assert raw.write(argument) == 3
        for args, kwargs in calls:
            assert len(args) == 1 and args[0] is argument and kwargs == {}
        assert len(calls) == 2

    @pytest.mark.parametrize("result", RESULTS, ids=repr)
    def test_result_is_returned_as_it_is(self, any_impl, result):
        raw = any_impl.SocketIO(Fake(recv_into=lambda buf: result, send=lambda data: result), "rw")
        assert raw.readinto(bytearray(4)) is result
        assert raw.write(b"data") is result

    @pytest.mark.parametrize(
        "error",
        [ValueError("no"), KeyboardInterrupt("no"), socket.error(32, "no"), AttributeError("send"),
         TypeError("x")],
        ids=lambda error: type(error).__name__,
    )
    def test_error_comes_through_as_the_very_object(self, any_impl, error):
        def fail(*args):
            raise error

        raw = any_impl.SocketIO(Fake(recv_into=fail, send=fail, sendall=None), "rw")
        for call in (read_into, lambda raw: raw.write(b"data")):
            with pytest.raises(type(error)) as caught:
                call(raw)
            assert caught.value is error

    def test_one_operation_is_one_call(self, any_impl):
        # Even when the fake takes part of the data only: what is left is the caller's business, as
        # with the interpreter's own.
        calls = []
        fake = Fake(
            recv_into=lambda buf: calls.append("recv_into") or 1,
            send=lambda data: calls.append("send") or 1,
        )
        raw = any_impl.SocketIO(fake, "rw")
        assert raw.readinto(bytearray(4)) == 1
        assert raw.write(b"data") == 1
        assert calls == ["recv_into", "send"]

    def test_buffered_writer_sends_what_a_fake_left_of_it(self, any_impl):
        sent = []
        fake = Fake(send=lambda data: sent.append(bytes(bytearray(data))[:3]) or len(sent[-1]))
        writer = io.BufferedWriter(any_impl.SocketIO(fake, "w"))
        writer.write(b"0123456789")
        writer.flush()
        assert sent == [b"012", b"345", b"678", b"9"]

    def test_fake_needs_only_the_method_that_is_used(self, any_impl):
        class Reading(object):
            _io_refs = 0
            recv_into = staticmethod(Source(b"one\ntwo\n"))

            def _decref_socketios(self):
                pass

        class Writing(object):
            _io_refs = 0
            send = staticmethod(Sink())

            def _decref_socketios(self):
                pass

        with any_impl.makefile(Reading(), "r", encoding="ascii", newline="\n") as stream:
            assert list(stream) == ["one\n", "two\n"]
        with any_impl.makefile(Writing(), "w", encoding="ascii", newline="\n") as stream:
            stream.write(u"one\n")
        assert Writing.send.data == b"one\n"

    def test_stream_on_a_fake_without_anything_opens_and_closes(self, impl):
        raw = impl.SocketIO(object(), "rw")
        assert raw.readable() and raw.writable() and not raw.seekable() and not raw.closed
        raw.close()
        assert raw.closed

    def test_state_and_direction_are_checked_before_the_fake_is_asked(self, any_impl):
        def fail(*args):
            raise AssertionError("the fake was asked")

        fake = Fake(recv_into=fail, send=fail)
        with pytest.raises((io.UnsupportedOperation, IOError)):
            any_impl.SocketIO(fake, "w").readinto(bytearray(4))
        with pytest.raises((io.UnsupportedOperation, IOError)):
            any_impl.SocketIO(fake, "r").write(b"data")
        raw = any_impl.SocketIO(fake, "rw")
        raw.close()
        for call in (read_into, lambda raw: raw.write(b"data")):
            with pytest.raises(ValueError):
                call(raw)


class TestSendall(object):
    """A sock without `send`, as urllib3's WrappedSocket, gets `sendall(b)`."""

    @pytest.mark.parametrize(
        "data, size",
        [(b"data", 4), (bytearray(b"data"), 4), (memoryview(b"data")[1:], 3), (b"", 0),
         (array.array("H", [1, 2, 3]), 6)],
        ids=["bytes", "bytearray", "memoryview", "empty", "array"],
    )
    def test_write_calls_sendall_with_the_object_and_returns_its_length_in_bytes(
        self, impl, data, size
    ):
        calls = []
        raw = impl.SocketIO(Fake(sendall=lambda *args, **kwargs: calls.append((args, kwargs))), "w")
        assert raw.write(data) == size
        ((args, kwargs),) = calls
        assert len(args) == 1 and args[0] is data and kwargs == {}

    def test_write_takes_the_length_before_the_call(self, impl):
        data = bytearray(b"data")
        raw = impl.SocketIO(Fake(sendall=lambda data: data.extend(b"more")), "w")
        assert raw.write(data) == 4
        assert data == b"datamore"

    @pytest.mark.parametrize("data", [None, 5, u"text", [1]], ids=repr)
    def test_write_of_no_buffer_gives_the_error_of_sendall(self, impl, data):
        def sendall(data):
            calls.append(data)
            raise ZeroDivisionError("sendall's own")

        calls = []
        raw = impl.SocketIO(Fake(sendall=sendall), "w")
        with pytest.raises(ZeroDivisionError):
            raw.write(data)
        assert len(calls) == 1 and calls[0] is data

    def test_write_with_both_methods_calls_send(self, any_impl):
        sink = Sink()
        raw = any_impl.SocketIO(Fake(send=sink, sendall=None), "w")
        assert raw.write(b"data") == 4
        assert sink.data == b"data"

    def test_attribute_error_inside_send_is_not_taken_for_a_missing_send(self, any_impl):
        def send(data):
            raise AttributeError("inside")

        def sendall(data):
            raise AssertionError("sendall was called")

        raw = any_impl.SocketIO(Fake(send=send, sendall=sendall), "w")
        with pytest.raises(AttributeError) as caught:
            raw.write(b"data")
        assert caught.value.args == ("inside",)

    def test_buffered_and_text_writers_reach_sendall(self, impl):
        pieces = []
        fake = Fake(sendall=lambda data: pieces.append(bytes(bytearray(data))))
        with impl.makefile(fake, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(u"caf\xe9\n")
        assert b"".join(pieces) == u"caf\xe9\n".encode("utf-8")


BUFFERS = {
    "bytes": lambda: b"0123",
    "bytearray": lambda: bytearray(b"0123"),
    "empty bytearray": bytearray,
    "text": lambda: u"0123",
    "wide text": lambda: u"\u20ac",
    "None": lambda: None,
    "int": lambda: 4,
    "list": lambda: [1, 2],
    "array": lambda: array.array("H", [1, 2, 3]),
    "empty array": lambda: array.array("H"),
    "memoryview": lambda: memoryview(bytearray(b"0123")),
    "read-only memoryview": lambda: memoryview(b"0123"),
    "every other byte": lambda: memoryview(bytearray(b"01234567"))[::2],
    "backwards": lambda: memoryview(b"01234567")[::-1],
    "two dimensions": lambda: memoryview(bytearray(8)).cast("B", (2, 4)),
    "shorts": lambda: memoryview(bytearray(8)).cast("H"),
    "object": object,
}
if PY2:
    for absent in ("two dimensions", "shorts", "every other byte", "backwards"):
        del BUFFERS[absent]
    BUFFERS["buffer"] = lambda: buffer(b"0123")  # noqa: F821


@pytest.mark.parametrize("make", [pytest.param(BUFFERS[name], id=name) for name in sorted(BUFFERS)])
class TestArguments(object):
    """What the direct path cannot take is handed to the real method: same result, same error."""

    def test_readinto_does_with_any_argument_what_recv_into_does(self, any_impl, make):
        outcomes = []
        for by_file in (True, False):
            ours, peer = socket.socketpair()
            try:
                peer.sendall(b"abcdefghi")
                call = any_impl.makefile(ours, "rb", 0).readinto if by_file else ours.recv_into
                target = make()
                outcomes.append((get_outcome(call, target), get_contents(target), ours.recv(64)))
            finally:
                ours.close()
                peer.close()
        assert outcomes[0] == outcomes[1]

    def test_write_does_with_any_argument_what_send_does(self, any_impl, make):
        outcomes = []
        for by_file in (True, False):
            ours, peer = socket.socketpair()
            try:
                call = any_impl.makefile(ours, "wb", 0).write if by_file else ours.send
                outcomes.append((get_outcome(call, make()), drain(peer)))
            finally:
                ours.close()
                peer.close()
        assert outcomes[0] == outcomes[1]


def get_contents(target):
    if isinstance(target, memoryview):
        return target.tobytes()
    if isinstance(target, array.array):
        return target.tolist()
    return bytes(target) if isinstance(target, bytearray) else None


class TestProxy(object):
    """A counter's increment lands where the interpreter's `+=` would put it."""

    class Proxy(object):
        def __init__(self, target):
            self.target = target

        def __getattr__(self, name):
            return getattr(self.target, name)

    class Transparent(Proxy):
        def __init__(self, target):
            object.__setattr__(self, "target", target)

        def __setattr__(self, name, value):
            setattr(self.target, name, value)

    def make_target(self):
        return Fake(recv_into=Source(b"data"), send=Sink(), _io_refs=5)

    def test_proxy_for_reading_attributes_gets_a_counter_of_its_own(self, any_impl):
        target = self.make_target()
        proxy = self.Proxy(target)
        stream = any_impl.makefile(proxy, "rb")
        assert proxy.__dict__["_io_refs"] == 6
        assert target._io_refs == 5
        assert stream.read(4) == b"data"
        stream.close()
        assert target._io_refs == 4  # where `_decref_socketios` is found, it is the target's
        assert proxy.__dict__["_io_refs"] == 6

    def test_proxy_for_setting_attributes_too_counts_on_its_target(self, any_impl):
        target = self.make_target()
        stream = any_impl.makefile(self.Transparent(target), "rb")
        assert target._io_refs == 6
        assert stream.read(4) == b"data"
        stream.close()
        assert target._io_refs == 5

    def test_proxy_of_a_fake_with_makefile_refs_gets_a_counter_of_its_own(self, impl):
        target = Fake(_makefile_refs=5)
        proxy = self.Proxy(target)
        stream = impl.makefile(proxy, "rb")
        assert proxy.__dict__["_makefile_refs"] == 6
        assert target._makefile_refs == 5
        assert "_io_refs" not in proxy.__dict__
        stream.close()
