"""Contract section 6: how a file counts on its socket object, and counts down just once."""

import _socket
import errno
import gc
import inspect
import io
import itertools
import os
import socket
import ssl
import subprocess
import sys
import warnings
import weakref

import pytest
from hypothesis import given, settings, strategies as st

from conftest import INTERPRETER, OURS, get_name
from fakes import OddKey
from running import get_examples, get_outcome, is_open, run_script, watchdog  # noqa: F401

try:
    from unittest import mock
except ImportError:
    mock = pytest.importorskip("mock")

PY2 = sys.version_info[0] == 2
pytestmark = pytest.mark.usefixtures("watchdog")
PYPY = hasattr(sys, "pypy_version_info")

STREAMS = [("rb", 0), ("wb", 0), ("rwb", 0), ("rb", None), ("wb", None), ("rwb", None), ("r", None),
           ("w", None), ("rw", None)]
# Calls of makefile that fail, each in another place: (args, kwargs, error).
FAILURES = [
    (("r", 0), {}, ValueError),
    (("rb", "8"), {}, TypeError),
    (("rb", 2 ** 64), {}, OverflowError),
    (("wb", sys.maxsize), {}, MemoryError),
    (("rwb", sys.maxsize), {}, MemoryError),
    (("r", None), {"encoding": "no such encoding"}, LookupError),
    (("rw", 16), {"newline": "x"}, ValueError),
    (("w", None), {"encoding": 5}, TypeError),
]


REPLACED_SCRIPT = """
import socket, sys

def make(counted):
    def _decref_socketios(self):
        counted.append(self._io_refs)
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()
    return _decref_socketios

counted = socket.counted = []
if sys.argv[1] == "closure":
    socket.socket._decref_socketios = make(counted)
else:
    exec("def decref(self): counted.append(self._io_refs); self._io_refs -= 1", vars(socket))
    socket.socket._decref_socketios = socket.decref
from backports.makefile._makefile import backport_makefile
sock = socket.socket()
backport_makefile(sock, "rb").close()
print(counted[0], sock._io_refs)
sock.close()
"""


LATER_SCRIPT = """
behind, log = type("Behind", (), {"__slots__": ()}), []
socket.socket.__bases__ = socket.socket.__bases__[0], behind
sock = socket.socket()
makefile(sock, "rb").close()
behind.__setattr__ = lambda self, name, value: (
    log.append((name, value)), object.__setattr__(self, name, value))
makefile(sock, "rb").close()
print(log)
"""


class Counted(object):
    """A correct fake over a real socket, with a counter of the name given.

    It writes down what is asked of it.
    """

    def __init__(self, sock, counter, value=0):
        self.sock = sock
        self.counter = counter
        self.log = []
        self._closed = False
        setattr(self, counter, value)

    @property
    def count(self):
        return getattr(self, self.counter)

    def recv_into(self, buf):
        return self.sock.recv_into(buf)

    def send(self, data):
        return self.sock.send(data)

    def _decref_socketios(self):
        self.log.append("_decref_socketios")
        setattr(self, self.counter, self.count - 1)
        self._finish()

    def close(self):
        self.log.append("close")
        self._closed = True
        self._finish()

    def _finish(self):
        if self._closed and self.count <= 0:
            self.sock.close()


class SSLCounted(Counted):
    """A fake that counts as 2.7's ssl.SSLSocket does: close() counts down while files are open."""

    _decref_socketios = property()  # AttributeError

    def close(self):
        self.log.append("close")
        if self._makefile_refs < 1:
            self.sock.close()
        else:
            self._makefile_refs -= 1


KINDS = [(implementation, Counted, "_io_refs") for implementation in OURS + INTERPRETER]
KINDS += [
    (implementation, cls, "_makefile_refs")
    for implementation in OURS
    for cls in (Counted, SSLCounted)
]


@pytest.fixture(
    params=KINDS, ids=lambda kind: "%s-%s-%s" % (kind[0].name, kind[1].__name__, kind[2])
)
def kind(request):
    """(implementation, class of fake, name of its counter): all that go together."""
    return request.param


@pytest.fixture
def counted(kind, unix_pair):
    """(implementation, fake, peer)"""
    implementation, cls, counter = kind
    return implementation, cls(unix_pair[0], counter), unix_pair[1]


def collect():
    gc.collect()
    if PYPY:  # which finalises in stages
        gc.collect()
        gc.collect()


def settle():
    """Have what was dropped finalised."""
    if PYPY:
        collect()


def get_releases(fake):
    """What the fake was asked to do to count down."""
    return [
        call
        for call in fake.log
        if call == ("close" if isinstance(fake, SSLCounted) else "_decref_socketios")
    ]


class TestCounter(object):
    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_makefile_counts_one_up_and_close_one_down(self, counted, mode, buffering):
        implementation, fake, peer = counted
        stream = implementation.makefile(fake, mode, buffering)
        assert fake.count == 1 and fake.log == []
        stream.close()
        assert fake.count == 0 and len(fake.log) == len(get_releases(fake)) == 1

    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_close_again_does_nothing(self, counted, mode, buffering):
        implementation, fake, peer = counted
        other = implementation.makefile(fake, "rb")
        with implementation.makefile(fake, mode, buffering) as stream:
            pass
        assert fake.count == 1
        stream.close()
        stream.close()
        del stream
        settle()
        assert fake.count == 1 and len(fake.log) == 1
        other.close()
        assert fake.count == 0

    def test_raw_close_and_buffer_close_together_count_one_down(self, counted):
        implementation, fake, peer = counted
        raw = implementation.SocketIO(fake, "rw")
        setattr(fake, fake.counter, 2)
        pair = io.BufferedRWPair(raw, raw)
        raw.close()
        pair.close()
        raw.close()
        # Made directly the stream has nothing but `_decref_socketios` to call.
        assert fake.log == ([] if isinstance(fake, SSLCounted) else ["_decref_socketios"])

    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_dropped_file_counts_one_down(self, counted, mode, buffering):
        implementation, fake, peer = counted
        other = implementation.makefile(fake, "rb")
        stream = implementation.makefile(fake, mode, buffering)
        assert fake.count == 2
        del stream
        settle()
        assert fake.count == 1 and len(fake.log) == 1
        other.close()

    @pytest.mark.parametrize(
        "mode, buffering", [("rb", 0), ("wb", None), ("rwb", None), ("rw", None)]
    )
    def test_dropped_file_in_a_cycle_counts_one_down(self, counted, mode, buffering):
        implementation, fake, peer = counted
        stream = implementation.makefile(fake, mode, buffering)
        cycle = [stream]
        cycle.append(cycle)
        del stream, cycle
        collect()
        assert fake.count == 0 and len(fake.log) == 1

    def test_each_file_counts(self, counted):
        implementation, fake, peer = counted
        streams = [implementation.makefile(fake, mode, buffering) for mode, buffering in STREAMS]
        assert fake.count == len(STREAMS)
        for number, stream in enumerate(streams):
            stream.close()
            assert fake.count == len(STREAMS) - number - 1

    def test_count_starts_where_the_sock_has_it(self, kind, unix_pair):
        implementation, cls, counter = kind
        fake = cls(unix_pair[0], counter, 10 ** 20)  # 2.7: a long
        stream = implementation.makefile(fake, "rb")
        assert fake.count == 10 ** 20 + 1
        with pytest.raises(ValueError):
            implementation.makefile(fake, "r", 0)
        settle()
        assert fake.count == 10 ** 20 + 1
        stream.close()
        assert fake.count == 10 ** 20

    def test_raw_stream_made_directly_leaves_the_counter_and_releases_once(self, any_impl):
        fake = Counted(None, "_io_refs", 7)
        raw = any_impl.SocketIO(fake, "rw")
        assert fake.count == 7 and fake.log == []
        raw.close()
        raw.close()
        assert fake.count == 6 and fake.log == ["_decref_socketios"]

    def test_raw_stream_made_directly_on_a_sock_without_decref_socketios_closes(self, impl):
        class Bare(object):
            _makefile_refs = 3
            closed = False

            def close(self):
                self.closed = True

        bare = Bare()
        raw = impl.SocketIO(bare, "r")
        raw.close()
        assert raw.closed and raw._sock is None
        assert bare._makefile_refs == 3 and not bare.closed

    def test_sock_with_decref_socketios_is_not_closed_by_its_files(self, impl, unix_pair):
        fake = Counted(unix_pair[0], "_makefile_refs")
        impl.makefile(fake, "rb").close()
        assert fake.log == ["_decref_socketios"]

    def test_sock_without_decref_socketios_is_closed_once_for_each_file(self, impl, unix_pair):
        fake = SSLCounted(unix_pair[0], "_makefile_refs")
        streams = [impl.makefile(fake, "rb") for _ in range(2)]
        for stream in streams:
            stream.close()
            stream.close()
        assert fake.log == ["close"] * 2
        assert fake.count == 0 and is_open(fake.sock.fileno())
        fake.close()
        with pytest.raises(socket.error):
            unix_pair[0].send(b"data")

    def test_sock_with_both_counters_counts_by_makefile_refs(self, impl, unix_pair):
        fake = Counted(unix_pair[0], "_makefile_refs")
        fake._io_refs = 5
        stream = impl.makefile(fake, "rb")
        assert (fake._makefile_refs, fake._io_refs) == (1, 5)
        stream.close()
        assert (fake._makefile_refs, fake._io_refs) == (0, 5)

    @pytest.mark.parametrize(
        "odd", [None, 1.0, "1", mock.Mock(), object()], ids=lambda odd: type(odd).__name__
    )
    def test_makefile_refs_that_is_no_int_is_passed_over(self, impl, unix_pair, odd):
        fake = Counted(unix_pair[0], "_io_refs")
        fake._makefile_refs = odd
        stream = impl.makefile(fake, "rb")
        assert fake.count == 1 and fake._makefile_refs is odd
        stream.close()
        assert fake.count == 0 and fake._makefile_refs is odd

    @pytest.mark.parametrize("Mock", [mock.Mock, mock.MagicMock, mock.NonCallableMock])
    def test_mock_with_io_refs_is_counted_by_them(self, any_impl, Mock):
        fake = Mock(_io_refs=0)
        stream = any_impl.makefile(fake, "rb")
        assert fake._io_refs == 1
        stream.close()
        fake._decref_socketios.assert_called_once_with()
        assert not fake.close.called

    def test_io_refs_without_decref_socketios_close_says_so_and_the_file_is_closed(self, any_impl):
        class Half(object):
            _io_refs = 0

        half = Half()
        stream = any_impl.makefile(half, "rb", 0)
        assert half._io_refs == 1
        with pytest.raises(AttributeError) as caught:
            stream.close()
        assert "_decref_socketios" in str(caught.value)
        assert stream.closed

    @pytest.mark.parametrize("sock", [object(), None, 5, "sock", io.BytesIO()], ids=repr)
    @pytest.mark.parametrize("mode, buffering", [("rb", 0), ("rwb", None), ("r", None)])
    def test_sock_without_a_counter_is_an_attribute_error_that_names_it(
        self, impl, sock, mode, buffering
    ):
        with pytest.raises(AttributeError) as caught:
            impl.makefile(sock, mode, buffering)
        assert "_makefile_refs" in str(caught.value)
        assert type(sock).__name__ in str(caught.value)

    def test_sock_with_a_makefile_refs_that_is_no_int_and_no_other_is_an_attribute_error(
        self, impl
    ):
        class Odd(object):
            _makefile_refs = None

        with pytest.raises(AttributeError) as caught:
            impl.makefile(Odd(), "rb")
        assert "_makefile_refs" in str(caught.value)

    @pytest.mark.parametrize("name", ["_makefile_refs", "_io_refs"])
    def test_error_of_looking_the_counter_up_comes_out(self, impl, name):
        class Failing(object):
            pass

        def fail(self):
            raise ZeroDivisionError(name)

        setattr(Failing, name, property(fail))
        with pytest.raises(ZeroDivisionError):
            impl.makefile(Failing(), "rb")

    def test_counter_that_cannot_be_set_error_comes_out_and_nothing_is_released(self, any_impl):
        log = []

        class ReadOnly(object):
            _io_refs = property(lambda self: 3)

            def _decref_socketios(self):
                log.append("_decref_socketios")

        with pytest.raises(AttributeError):
            any_impl.makefile(ReadOnly(), "rb")
        # The interpreter's makes the stream first, and gives back what it never took.
        if any_impl.name != "interpreter":
            settle()
            assert log == []

    def test_old_style_sock_is_counted(self, impl):
        class Old:  # on 2.7
            _makefile_refs = 0

            def recv_into(self, buf):
                buf[:4] = b"data"
                return 4

            def _decref_socketios(self):
                self._makefile_refs -= 1

        sock = Old()
        with impl.makefile(sock, "rb", 4) as stream:
            assert sock._makefile_refs == 1
            assert stream.read(4) == b"data"
        assert sock._makefile_refs == 0

    def test_file_keeps_the_sock_until_it_is_closed(self, kind):
        implementation, cls, counter = kind
        ours, peer = socket.socketpair()
        fake = cls(ours, counter)
        alive = weakref.ref(fake)
        stream = implementation.makefile(fake, "rb")
        del fake
        settle()
        peer.sendall(b"data")
        assert alive() is not None
        assert stream.read(4) == b"data"
        stream.close()
        settle()
        assert alive() is None
        ours.close()
        peer.close()


class TestFailedMakefile(object):
    """The counter is back, by counting, before the error reaches the caller."""

    @pytest.mark.parametrize("args, kwargs, error", FAILURES)
    def test_counter_is_back_while_the_error_is_handled(self, impl, unix_pair, args, kwargs, error):
        fakes = [
            Counted(unix_pair[0], "_io_refs"),
            Counted(unix_pair[0], "_makefile_refs"),
            SSLCounted(unix_pair[0], "_makefile_refs"),
        ]
        for fake in fakes:
            try:
                impl.makefile(fake, *args, **kwargs)
            except error:
                assert fake.count == 0
            else:
                raise AssertionError("it did not fail")
            # Neither close() nor _decref_socketios(), which may do more than count.
            assert fake.log == []
        collect()
        assert [(fake.count, fake.log) for fake in fakes] == [(0, [])] * 3

    @pytest.mark.parametrize("args, kwargs, error", FAILURES)
    def test_counter_is_back_once_the_error_is_gone_and_other_files_are_counted_on(
        self, any_impl, unix_pair, args, kwargs, error
    ):
        fake = Counted(unix_pair[0], "_io_refs")
        stream = any_impl.makefile(fake, "rb")
        with pytest.raises(error):
            any_impl.makefile(fake, *args, **kwargs)
        settle()
        assert fake.count == 1
        unix_pair[1].sendall(b"data")
        assert stream.read(4) == b"data"
        stream.close()
        assert fake.count == 0

    @pytest.mark.parametrize("mode", ["rt", "x", "U", "r+"])
    def test_bad_mode_does_not_touch_the_sock(self, any_impl, mode):
        with pytest.raises(ValueError):
            any_impl.makefile(object(), mode)

    @pytest.mark.parametrize("args, kwargs, error", FAILURES)
    def test_socket_is_left_as_it_was(self, any_impl, tcp_pair, args, kwargs, error):
        ours, peer = tcp_pair
        descriptor = ours.fileno()
        with pytest.raises(error):
            any_impl.makefile(ours, *args, **kwargs)
        settle()
        peer.sendall(b"data")
        assert ours.recv(4) == b"data"
        ours.close()
        assert not is_open(descriptor)


def open_reader(implementation, sock):
    return implementation.makefile(sock, "rb", 0)


def open_writer(implementation, sock):
    return implementation.makefile(sock, "wb", 0)


def open_pair(implementation, sock):
    return implementation.makefile(sock, "rwb", 0)


class TestClosing(object):
    """The descriptor closes with the last of the socket and its files, whichever that is."""

    @pytest.mark.parametrize(
        "order", list(itertools.permutations(range(4))), ids=lambda order: "".join(map(str, order))
    )
    def test_every_order_of_closing_a_socket_and_its_files_keeps_the_rest_working(
        self, any_impl, tcp_pair, order
    ):
        ours, peer = tcp_pair
        check_closing_order(ours.fileno(), ours, peer, [
            open_reader(any_impl, ours), open_writer(any_impl, ours), open_pair(any_impl, ours)
        ], order)

    @pytest.mark.parametrize(
        "order", list(itertools.permutations(range(4))), ids=lambda order: "".join(map(str, order))
    )
    def test_every_order_of_closing_a_fake_and_its_files_keeps_the_rest_working(
        self, counted, order
    ):
        implementation, fake, peer = counted
        check_closing_order(
            fake.sock.fileno(),
            fake,
            peer,
            [
                open_reader(implementation, fake),
                open_writer(implementation, fake),
                open_pair(implementation, fake),
            ],
            order,
        )

    @pytest.mark.parametrize(
        "order", list(itertools.permutations(range(3))), ids=lambda order: "".join(map(str, order))
    )
    def test_every_order_of_closing_a_tls_socket_and_its_files_keeps_the_rest_working(
        self, any_impl, tls_pair, order
    ):
        ours, peer, wire = tls_pair
        check_closing_order(ours.fileno(), ours, peer,
                            [open_reader(any_impl, ours), open_pair(any_impl, ours)], order)

    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_file_closed_first_leaves_the_socket_usable(self, any_impl, tcp_pair, mode, buffering):
        ours, peer = tcp_pair
        any_impl.makefile(ours, mode, buffering).close()
        peer.sendall(b"data")
        assert ours.recv(4) == b"data"
        ours.sendall(b"data")
        assert peer.recv(4) == b"data"

    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_file_dropped_last_closes_the_descriptor(self, any_impl, tcp_pair, mode, buffering):
        ours, peer = tcp_pair
        descriptor = ours.fileno()
        stream = any_impl.makefile(ours, mode, buffering)
        ours.close()
        assert is_open(descriptor)
        del stream
        settle()
        assert not is_open(descriptor)
        assert peer.recv(1) == b""

    def test_socket_closed_before_its_data_was_read_the_file_reads_it(self, any_impl, tcp_pair):
        ours, peer = tcp_pair
        stream = any_impl.makefile(ours, "r", encoding="ascii", newline="\n")
        peer.sendall(b"one\ntwo\n")
        ours.close()
        peer.close()
        assert list(stream) == ["one\n", "two\n"]
        stream.close()

    def test_socket_closed_twice_with_a_file_open_keeps_it_readable(self, any_impl, tcp_pair):
        ours, peer = tcp_pair
        stream = any_impl.makefile(ours, "rb")
        ours.close()
        ours.close()
        peer.sendall(b"data")
        assert stream.read(4) == b"data"
        stream.close()
        assert peer.recv(1) == b""

    def test_socket_dropped_with_a_file_open_stays_open_for_it(self, any_impl, closing):
        listener = closing(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        ours = socket.create_connection(listener.getsockname())
        peer = closing(listener.accept()[0])
        stream = any_impl.makefile(ours, "rb")
        del ours
        settle()
        peer.sendall(b"data")
        assert stream.read(4) == b"data"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the socket object itself was never closed
            stream.close()
            settle()
        assert peer.recv(1) == b""

    @pytest.mark.parametrize("mode, buffering", STREAMS)
    def test_file_gives_no_resource_warning_of_its_own(self, any_impl, tcp_pair, mode, buffering):
        ours = tcp_pair[0]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stream = any_impl.makefile(ours, mode, buffering)
            ours.close()
            del stream
            settle()
        assert [str(warning.message) for warning in caught] == []

    @pytest.mark.parametrize("implementation", OURS + INTERPRETER, ids=get_name)
    @settings(max_examples=get_examples(30), deadline=None)
    @given(
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("open"), st.sampled_from(STREAMS)),
                st.tuples(st.just("fail"), st.sampled_from(FAILURES)),
                # PyPy finalises what is dropped when it likes.
                st.tuples(
                    st.sampled_from(["close", "again"] + ["drop"] * (not PYPY)), st.integers(0, 5)
                ),
                st.tuples(st.just("close sock"), st.none()),
            ),
            max_size=15,
        )
    )
    def test_any_history_the_counter_is_the_number_of_open_files(self, implementation, steps):
        ours, peer = socket.socketpair()
        fake = Counted(ours, "_io_refs")
        streams, closed = [], []
        sock_closed = False
        try:
            for step, what in steps:
                if step == "open" and not (sock_closed and not streams):
                    streams.append(implementation.makefile(fake, *what))
                elif step == "fail":
                    args, kwargs, error = what
                    with pytest.raises(error):
                        implementation.makefile(fake, *args, **kwargs)
                elif step == "close sock":
                    sock_closed = True
                    fake.close()
                elif step == "again":
                    if closed:
                        closed[what % len(closed)].close()
                elif step in ("close", "drop") and streams:
                    stream = streams.pop(what % len(streams))
                    if step == "close":
                        stream.close()
                        closed.append(stream)
                    del stream
                if step == "fail":
                    settle()
                assert fake.count == len(streams)
                assert (ours.fileno() != -1 if not PY2 else not is_closed(ours)) == (
                    not sock_closed or bool(streams)
                )
        finally:
            for stream in streams:
                stream.close()
            ours.close()
            peer.close()


def is_closed(sock):
    try:
        sock.getsockname()
    except socket.error as error:
        return error.errno == errno.EBADF
    return False


def check_closing_order(descriptor, sock, peer, streams, order):
    """Close sock (0) and streams (1, 2, ...) in the order given.

    After each closing the rest must work, and at last all be closed.
    """
    things = [sock] + streams
    for position, number in enumerate(order):
        things[number].close()
        left = [things[index] for index in order[position + 1:]]
        assert is_open(descriptor) == bool(left)
        for thing in left:
            if thing is sock:
                continue
            if thing.readable():
                peer.sendall(b"r")
                assert thing.read(1) == b"r"
            if thing.writable():
                assert thing.write(b"w") == 1
                assert peer.recv(1) == b"w"
    try:
        assert peer.recv(1) == b""
    except ssl.SSLError as error:
        # 2.7 has no word for the end of a TLS connection without a goodbye.
        assert "eof" in str(error)


class TestFailingClose(object):
    """Whatever fails on the way, the raw stream is closed and the reference given back."""

    @pytest.mark.parametrize("mode", ["wb", "rwb", "w", "rw"])
    def test_flush_that_fails_error_comes_out_and_the_reference_is_released(self, counted, mode):
        implementation, fake, peer = counted
        stream = implementation.makefile(fake, mode)
        stream.write(b"data" if "b" in mode else u"data")
        fake.send = mock.Mock(side_effect=ZeroDivisionError("send"))
        with pytest.raises(ZeroDivisionError):
            stream.close()
        assert fake.count == 0 and len(fake.log) == 1
        if mode in ("wb", "w"):
            assert stream.closed
        del fake.send
        del stream
        settle()
        assert fake.count == 0 and len(fake.log) == 1

    def test_flush_of_a_subclass_that_fails_error_comes_out_and_the_reference_is_released(
        self, impl
    ):
        class Failing(impl.SocketIO):
            def flush(self):
                raise ZeroDivisionError("flush")

        fake = Counted(None, "_io_refs", 1)
        raw = Failing(fake, "w")
        with pytest.raises(ZeroDivisionError):
            raw.close()
        assert raw.closed and raw._sock is None
        assert fake.log == ["_decref_socketios"]
        raw.close()
        assert fake.log == ["_decref_socketios"]

    def test_release_that_fails_error_comes_out_and_the_file_stays_closed(self, any_impl):
        log = []

        class Failing(object):
            _io_refs = 0

            def _decref_socketios(self):
                log.append((raw.closed, raw._sock is self))
                raise ZeroDivisionError("release")

        fake = Failing()
        raw = any_impl.makefile(fake, "rb", 0)
        with pytest.raises(ZeroDivisionError):
            raw.close()
        assert raw.closed and raw._sock is fake
        raw.close()
        assert log == [(True, True)]

    def test_release_that_fails_under_a_buffer_error_comes_out_once(self, any_impl):
        class Failing(Counted):
            def _decref_socketios(self):
                Counted._decref_socketios(self)
                raise ZeroDivisionError("release")

        fake = Failing(None, "_io_refs")
        stream = any_impl.makefile(fake, "rwb")
        with pytest.raises(ZeroDivisionError):
            stream.close()
        assert stream.closed
        stream.close()
        assert fake.log == ["_decref_socketios"] and fake.count == 0

    def test_release_that_closes_the_stream_again_is_called_once(self, any_impl):
        class Reentrant(Counted):
            def _decref_socketios(self):
                Counted._decref_socketios(self)
                raw.close()

        fake = Reentrant(None, "_io_refs")
        raw = any_impl.makefile(fake, "rb", 0)
        raw.close()
        assert fake.log == ["_decref_socketios"] and fake.count == 0


@pytest.mark.skipif(PY2, reason="2.7's socket object does not count its files")
class TestOwnSocket(object):
    """The interpreter's own socket counts in slots, which can be read without their names.

    That holds as long as nobody put others in their place.
    """

    @staticmethod
    def make_class(base, closing):
        """A class like socket.socket, and a connected socket of it."""
        cls = type("Socket", (base,), {"__slots__": ()})
        ours, peer = socket.socketpair()
        closing(peer)
        return cls, closing(cls(fileno=ours.detach()))

    @staticmethod
    def settle_on(implementation, sock):
        """What is remembered of a class is remembered and used."""
        for _ in range(3):
            implementation.makefile(sock, "rb").close()

    def test_count_down_is_still_what_the_c_code_does(self):
        code = (
            "    def _decref_socketios(self):\n"
            "        if self._io_refs > 0:\n            self._io_refs -= 1\n"
        )
        code += "        if self._closed:\n            self.close()\n"
        assert inspect.getsource(socket.socket._decref_socketios) == code

    @pytest.mark.parametrize("base", [False, True], ids=["class", "base"])
    def test_count_down_that_is_put_in_its_place_is_called(self, any_impl, closing, base):
        inner = type("Inner", (socket.socket,), {"__slots__": ()})
        cls, sock = self.make_class(inner, closing)
        self.settle_on(any_impl, sock)
        log, stream = [], any_impl.makefile(sock, "rb")
        (inner if base else cls)._decref_socketios = lambda self: log.append(self)
        stream.close()
        assert log == [sock] and sock._io_refs == 1
        any_impl.makefile(sock, "rb").close()
        assert log == [sock] * 2 and sock._io_refs == 2

    def test_count_down_of_socket_socket_itself_is_called(self, any_impl, unix_pair, monkeypatch):
        ours = unix_pair[0]
        self.settle_on(any_impl, ours)
        log, stream = [], any_impl.makefile(ours, "rb")
        monkeypatch.setattr(socket.socket, "_decref_socketios", lambda self: log.append(self))
        stream.close()
        assert log == [ours] and ours._io_refs == 1
        monkeypatch.undo()
        ours._decref_socketios()
        self.settle_on(any_impl, ours)
        assert ours._io_refs == 0

    @pytest.mark.skipif(PYPY, reason="PyPy's functions keep to their code")
    def test_count_down_whose_code_is_another_runs_it(self, any_impl, unix_pair):
        ours = unix_pair[0]
        self.settle_on(any_impl, ours)
        stream = any_impl.makefile(ours, "rb")
        code = socket.socket._decref_socketios.__code__
        socket.socket._decref_socketios.__code__ = (lambda self: 1 // 0).__code__
        try:
            with pytest.raises(ZeroDivisionError):
                stream.close()
        finally:
            socket.socket._decref_socketios.__code__ = code
        assert ours._io_refs == 1
        ours._decref_socketios()

    @pytest.mark.parametrize("name", ["_io_refs", "_closed", "_decref_socketios"])
    def test_descriptor_that_shows_the_class_the_original_is_asked_by_the_instance(
        self, any_impl, closing, name
    ):
        log = []

        class TwoFaced(object):
            def __get__(self, instance, owner):
                if instance is None:
                    return vars(socket.socket)[name]
                log.append(name)
                return {"_io_refs": 7, "_closed": False, "_decref_socketios": lambda: None}[name]

            def __set__(self, instance, value):
                log.append(value)

        cls, sock = self.make_class(socket.socket, closing)
        setattr(cls, name, TwoFaced())
        for _ in range(3):
            del log[:]
            any_impl.makefile(sock, "rb").close()
            assert log
        delattr(cls, name)

    # C alone: in Python, 3.10 itself crashes.
    def test_slots_of_socket_socket_in_a_class_that_has_none_are_refused(self, c_impl):
        names = "_io_refs", "_closed", "_decref_socketios"
        borrowed = dict((name, vars(socket.socket)[name]) for name in names)
        cls = type("Borrowing", (_socket.socket,), dict(borrowed, __slots__=()))
        for sock in [cls() for _ in range(3)]:
            with pytest.raises(TypeError):
                c_impl.makefile(sock, "rb", 0)
            sock.close()

    @pytest.mark.skipif(PYPY, reason="PyPy's classes have strings for keys")
    def test_classes_behind_the_c_socket_that_change_while_they_are_searched(self, c_impl):
        def change():
            cls.__bases__ = (_socket.socket, after)
            junk.extend(tuple(range(len(order))) for _ in range(1000))

        key = OddKey("_decref_socketios", change)
        before, after = type("Before", (), {"__slots__": (), key: 1}), type(
            "After", (), {"__slots__": ()}
        )
        junk, cls = [], type("Sock", (_socket.socket, before), {"__slots__": ()})
        order, sock = cls.__mro__, cls()
        cls.changed = 1
        key.armed = True
        c_impl.makefile(sock, "rb", 0).close()
        sock.close()

    def test_way_of_setting_that_a_class_behind_the_c_socket_gets_later_is_taken(
        self, any_impl, closing
    ):
        log, behind = [], type("Behind", (), {"__slots__": ()})
        cls = type("Sock", (socket.socket, behind), {"__slots__": ()})
        sock = closing(cls())
        self.settle_on(any_impl, sock)
        behind.__setattr__ = lambda self, name, value: (
            log.append((name, value)),
            object.__setattr__(self, name, value),
        )
        any_impl.makefile(sock, "rb").close()
        if "__setattr__" not in vars(_socket.socket):  # that comes first
            assert log == [("_io_refs", 1), ("_io_refs", 0)]

    def test_way_of_setting_that_socket_socket_gets_later_is_taken(self, any_impl):
        assert run_script(LATER_SCRIPT, any_impl) == "[('_io_refs', 1), ('_io_refs', 0)]\n"

    @pytest.mark.parametrize("makes", ["closure", "function of its module"])
    def test_count_down_replaced_before_the_import_is_called(self, c_impl, makes):
        output = subprocess.check_output(
            [sys.executable, "-c", REPLACED_SCRIPT, makes],
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
        )
        assert output.decode() == "1 0\n"

    @pytest.mark.parametrize("count", [0, -1, 5, True, 2**70, 1.5, "many", None], ids=str)
    @pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
        if sys.version_info >= (3, 8)
        else "default"
    )
    def test_count_of_any_kind_is_counted_as_python_does(self, any_impl, unix_pair, count):
        sock, model = unix_pair

        def count_up():
            model._io_refs += 1

        self.settle_on(any_impl, sock)
        streams = [any_impl.makefile(sock, "rb", 0)]
        calls = [
            (lambda: streams.append(any_impl.makefile(sock, "rb", 0)), count_up),
            (streams[0].close, model._decref_socketios),
        ]
        for ours, python in calls:
            sock._io_refs = model._io_refs = count
            assert get_outcome(ours)[:2] == get_outcome(python)[:2]
            assert (sock._io_refs, type(sock._io_refs)) == (model._io_refs, type(model._io_refs))
        sock._io_refs = model._io_refs = 0

    def test_last_file_of_a_closed_socket_closes_it_by_its_close(
        self, any_impl, unix_pair, monkeypatch
    ):
        sock, close = unix_pair[0], socket.socket.close
        self.settle_on(any_impl, sock)
        log, streams = [], [any_impl.makefile(sock, "rb") for _ in range(2)]
        sock.close()
        monkeypatch.setattr(
            socket.socket, "close", lambda self: (log.append(self._io_refs), close(self))
        )
        for stream in streams:
            assert is_open(sock.fileno())
            stream.close()
        assert log == [1, 0] and sock.fileno() == -1

    def test_closed_whose_truth_fails_error_comes_out(self, any_impl, unix_pair):
        class Undecided(object):
            def __bool__(self):
                raise ZeroDivisionError("closed")

        sock = unix_pair[0]
        self.settle_on(any_impl, sock)
        stream = any_impl.makefile(sock, "rb")
        sock._closed = Undecided()
        with pytest.raises(ZeroDivisionError):
            stream.close()
        assert stream.closed and sock._io_refs == 0
        sock._closed = False

    def test_slot_that_was_deleted_is_an_attribute_error(self, any_impl, unix_pair):
        sock = unix_pair[0]
        self.settle_on(any_impl, sock)
        stream = any_impl.makefile(sock, "rb")
        del sock._io_refs
        with pytest.raises(AttributeError):
            stream.close()
        assert stream.closed
        sock._io_refs = 1
        stream = any_impl.makefile(sock, "rb")
        del sock._closed
        with pytest.raises(AttributeError):
            stream.close()
        assert sock._io_refs == 1
        sock._io_refs, sock._closed = 0, False


class TestCSocket(object):
    """A C socket, which counts nothing, is open as long as somebody holds it."""

    @staticmethod
    def make_pair():
        """A bare C socket and its peer."""
        ours, peer = socket.socketpair()
        if not PY2:
            ours = _socket.socket(ours.family, ours.type, ours.proto, fileno=ours.detach())
        assert type(ours) is _socket.socket
        return ours, peer

    def test_file_works_and_its_close_leaves_the_socket_open(self, impl):
        ours, peer = self.make_pair()
        with impl.makefile(ours, "rwb", 0) as stream:
            peer.sendall(b"data")
            assert stream.read(4) == b"data"
            assert stream.write(b"data") == 4
            assert peer.recv(4) == b"data"
            assert stream.fileno() == ours.fileno()
        assert is_open(ours.fileno())
        ours.send(b"more")
        assert peer.recv(4) == b"more"
        ours.close()
        peer.close()

    @pytest.mark.parametrize("closing_it", [True, False], ids=["closed", "dropped"])
    def test_descriptor_closes_with_the_last_holder(self, impl, closing_it):
        ours, peer = self.make_pair()
        descriptor = ours.fileno()
        streams = [impl.makefile(ours, "rwb"), impl.makefile(ours, "rb", 0)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 3.x: nobody called the socket's own close
            del ours
            settle()
            peer.sendall(b"data")
            assert streams.pop().read(4) == b"data"
            settle()
            assert is_open(descriptor)
            if closing_it:
                streams[0].close()
            else:
                streams.pop()
            settle()
        assert not is_open(descriptor)
        assert peer.recv(1) == b""
        peer.close()

    def test_failed_makefile_leaves_nothing_that_holds_the_socket(self, impl):
        for args, kwargs, error in FAILURES:
            ours, peer = self.make_pair()
            descriptor = ours.fileno()
            with pytest.raises(error):
                impl.makefile(ours, *args, **kwargs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                del ours
                if PY2:
                    sys.exc_clear()
                settle()
            assert not is_open(descriptor)
            peer.close()

    def test_subclass_of_the_c_socket_with_a_counter_counts(self, impl):
        class Counting(_socket.socket):
            _makefile_refs = 0

            def _decref_socketios(self):
                self._makefile_refs -= 1

        sock = Counting()
        stream = impl.makefile(sock, "rb")
        assert sock._makefile_refs == 1
        stream.close()
        assert sock._makefile_refs == 0
        sock.close()

    @pytest.mark.skipif(not PY2, reason="3.x's socket object counts its files")
    def test_2_7_socket_object_is_held_by_its_c_socket(self, impl, tcp_pair):
        ours, peer = tcp_pair
        assert type(ours) is socket._socketobject
        descriptor = ours.fileno()
        streams = [impl.makefile(ours, "rb", 0), impl.makefile(ours, "rwb")]
        ours.close()
        peer.sendall(b"data")
        assert streams[0].read(4) == b"data"
        streams[0].close()
        assert is_open(descriptor)
        streams[1].write(b"data")
        streams[1].flush()
        assert peer.recv(4) == b"data"
        streams[1].close()
        assert not is_open(descriptor)

    @pytest.mark.skipif(not PY2, reason="3.x's TLS socket has `_decref_socketios`")
    def test_2_7_tls_socket_is_counted_down_by_its_close(self, impl, tls_pair):
        ours, peer, wire = tls_pair
        descriptor = ours.fileno()
        streams = [impl.makefile(ours, "rb"), impl.makefile(ours, "wb")]
        assert ours._makefile_refs == 2
        streams[0].close()
        assert ours._makefile_refs == 1
        ours.close()
        assert ours._makefile_refs == 0 and is_open(descriptor)
        streams[1].write(b"data")
        streams[1].close()
        assert not is_open(descriptor)
        assert peer.recv(4) == b"data"
