"""What a cold reading of the code found: each of these was wrong once."""
import errno
import functools
import gc
import io
import os
import signal
import socket
import struct
import sys
import time

import _socket
import pytest

import backports.makefile
from fakes import CountedSocket, OddKey
from running import Worker, adopt, alarm, get_outcome, once, run_script

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
WITHOUT_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()


@pytest.mark.skipif(
    sys.version_info[0] == 2, reason="2.7's socket.socket keeps its methods on the instance"
)
@pytest.mark.parametrize("name", ["recv_into", "send"])
def test_method_that_is_another_on_the_class_than_on_the_instance_is_the_instances(
    any_impl, closing, name
):
    class TwoFaced(object):
        def __get__(self, instance, owner):
            return getattr(_socket.socket, name) if instance is None else lambda b: 3

    class Sock(socket.socket):
        __slots__ = ()

    setattr(Sock, name, TwoFaced())
    plain, peer = socket.socketpair()
    closing(peer)
    sock = closing(Sock(fileno=plain.detach()))
    sock.setblocking(False)
    raw = any_impl.SocketIO(sock, "rw")
    peer.sendall(b"plaintext")
    assert (raw.readinto(bytearray(9)) if name == "recv_into" else raw.write(b"plaintext")) == 3


@pytest.mark.skipif(
    sys.version_info[0] == 2, reason="2.7 clears a subclass's slots before a base can look at them"
)
def test_stream_whose_subclass_keeps_the_sock_is_closed_when_it_dies(any_impl):
    class Elsewhere(any_impl.SocketIO):
        __slots__ = ("_sock",)

    sock = CountedSocket()
    Elsewhere(sock, "r")
    gc.collect()
    assert sock.told == ["_decref_socketios"]


def test_stream_closed_by_the_base_class_is_closed(any_impl):
    class ByTheBase(any_impl.SocketIO):
        closings = 0

        def close(self):
            ByTheBase.closings += 1
            io.RawIOBase.close(self)

    sock = CountedSocket()
    raw = ByTheBase(sock, "r")
    raw.close()
    assert raw.closed is True
    with pytest.raises(ValueError, match="I/O operation on closed socket"):
        raw.readable()
    del raw
    gc.collect()
    assert ByTheBase.closings == 1
    assert sock.told == []


@pytest.mark.parametrize("failing", ["text.mode", "writer"])
def test_failed_makefile_says_nothing_to_the_sock(impl, monkeypatch, failing):
    class WithoutMode(io.TextIOWrapper):
        mode = property(lambda self: "mine")

    def fail_after_the_reader(reader, writer, size):
        io.BufferedReader(reader, size)  # dies, and closes the raw stream
        raise MemoryError

    monkeypatch.setattr(io, "TextIOWrapper", WithoutMode)
    monkeypatch.setattr(io, "BufferedRWPair", fail_after_the_reader)
    sock = CountedSocket()
    with pytest.raises((AttributeError, MemoryError)):
        impl.makefile(sock, "r" if failing == "text.mode" else "rwb")
    gc.collect()
    assert sock.told == []
    assert sock._makefile_refs == 0


def test_keywords_emptied_while_makefile_runs_are_still_its_own(impl):
    keywords = {}

    class Emptying(object):
        @property
        def _io_refs(self):
            keywords.clear()
            return 0

        @_io_refs.setter
        def _io_refs(self, value):
            pass

        def _decref_socketios(self):
            pass

    for i in range(50):
        keywords.update(
            mode=["r"], buffering=1000 + i, encoding="utf-%d" % 8, errors="".join(["str", "ict"])
        )
        impl.makefile(Emptying(), **keywords)
        [[None] * 2 for _ in range(1000)]  # takes the memory of what was let go


def raising(error):
    def get(self):
        raise error

    return property(get)


def test_look_up_of_a_method_that_would_block_gives_none(any_impl):
    class Sock(CountedSocket):
        recv_into = send = raising(socket.error(errno.EAGAIN, "not now"))

    raw = any_impl.SocketIO(Sock(), "rw")
    assert raw.readinto(bytearray(1)) is raw.read(1) is raw.readall() is raw.write(b"x") is None


def test_look_up_of_a_method_that_times_out_poisons_reads(any_impl):
    class Sock(CountedSocket):
        recv_into = raising(socket.timeout("late"))

    raw = any_impl.SocketIO(Sock(), "r")
    with pytest.raises(socket.timeout, match="late"):
        raw.read(1)
    with pytest.raises((IOError, OSError), match="cannot read from timed out object"):
        raw.read(1)


def test_delegated_write_with_a_timeout_that_would_block_gives_none(any_impl):
    class Sock(CountedSocket):
        def send(self, data):
            raise socket.timeout(errno.EAGAIN, "full")

    assert any_impl.SocketIO(Sock(), "w").write(b"x") is None


def test_flush_and_release_that_both_raise_in_close_are_told_one_after_the_other(impl):
    class Sock(CountedSocket):
        def _decref_socketios(self):
            CountedSocket._decref_socketios(self)
            raise LookupError("release")

    class Failing(impl.SocketIO):
        def flush(self):
            raise RuntimeError("flush")

    sock = Sock()
    raw = Failing(sock, "r")
    with pytest.raises(LookupError) as caught:
        raw.close()
    if sys.version_info[0] > 2:
        assert repr(caught.value.__context__) in ("RuntimeError('flush')", "RuntimeError('flush',)")
    assert raw.closed
    assert sock.told == ["_decref_socketios"]


def test_attribute_deleted_twice_is_an_attribute_error(any_impl):
    raw = any_impl.SocketIO(CountedSocket(), "r")
    del raw._sock
    with pytest.raises(AttributeError):
        del raw._sock
    raw._sock = CountedSocket()
    raw.close()


def test_closed_as_the_base_class_tells_it_is_closed(any_impl):
    raw = any_impl.SocketIO(CountedSocket(), "r")
    assert io.IOBase.closed.__get__(raw) is False
    raw.close()
    assert io.IOBase.closed.__get__(raw) is True


def test_weak_reference_to_the_function_of_a_dropped_package_dies_with_it(impl, run_script):
    if sys.version_info < (3, 11) and impl.name == "c":
        pytest.skip("before 3.11 the extension's state lasts as long as the process")
    assert run_script(impl, """
import gc, sys, weakref
reference = weakref.ref(makefile)
for name in [name for name in sys.modules if name.startswith("backports")]:
    del sys.modules[name]
del makefile, SocketIO
gc.collect()
print(reference())
""") == "None\n"


# What a second one found.


@pytest.mark.skipif(sys.version_info[0] == 2, reason="2.7's socket.socket counts nothing")
def test_socket_of_the_interpreters_with_a_counter_of_27_is_counted_as_the_interpreter_does(
    any_impl, closing
):
    class ForBoth(socket.socket):
        _makefile_refs = 0

    plain, peer = socket.socketpair()
    closing(peer)
    sock = closing(ForBoth(fileno=plain.detach()))
    stream = any_impl.makefile(sock, "rb")
    assert (sock._io_refs, sock._makefile_refs) == (1, 0)
    sock.close()
    peer.sendall(b"still open")
    assert stream.read(10) == b"still open"
    stream.close()
    assert (sock._io_refs, sock._makefile_refs, sock.fileno()) == (0, 0, -1)


def test_stream_closed_after_its_class_was_uninstalled_leaves_the_socket_open(
    impl, closing, monkeypatch
):
    class Plain(object):
        closed = False

        def recv_into(self, buf):
            return 0

        def close(self):
            self.closed = True

    monkeypatch.setattr(backports.makefile, "backport_makefile", impl.makefile)
    sock = Plain()
    with backports.makefile.install(Plain):
        streams = [sock.makefile("rb"), sock.makefile("rb", 0)]
        assert sock._makefile_refs == 2
    for stream in streams:
        stream.close()
    assert sock._makefile_refs == 0
    assert not sock.closed


class BufferReadyLater(object):
    """Has bytes when it is asked again."""

    def __init__(self, error):
        self.error, self.asked = error, 0

    def __buffer__(self, flags):
        self.asked += 1
        if self.asked == 1:
            raise self.error
        return memoryview(bytearray(b"leaked"))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with 3.12")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, LookupError])
def test_what_a_buffer_in_python_code_raises_comes_out_and_nothing_is_sent(
    any_impl, closing, error
):
    ours, peer = map(closing, socket.socketpair())
    peer.setblocking(False)
    raw = any_impl.makefile(ours, "wb", 0)
    buffer = BufferReadyLater(error)
    with pytest.raises(error):
        raw.write(buffer)
    assert buffer.asked == 1
    with pytest.raises(BlockingIOError):
        peer.recv(10)


class BrokenBuffer(object):
    def __init__(self, error):
        self.error = error

    def __buffer__(self, flags):
        raise self.error


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with 3.12")
def test_buffer_in_python_code_that_would_block_is_as_one_that_send_raises(any_impl, unix_pair):
    assert (
        any_impl.makefile(unix_pair[0], "wb", 0).write(
            BrokenBuffer(OSError(errno.EAGAIN, "not yet"))
        )
        is None
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with 3.12")
@pytest.mark.parametrize(
    "error",
    [OSError(errno.EAGAIN, "not yet"), socket.timeout("late"), MemoryError(), TypeError()],
    ids=["would block", "timeout", "memory", "type"],
)
def test_buffer_in_python_code_that_raises_anything_cannot_be_read_into(any_impl, unix_pair, error):
    raw = any_impl.makefile(unix_pair[0], "rb", 0)
    with pytest.raises(TypeError, match="read-write"):
        raw.readinto(BrokenBuffer(error))
    unix_pair[1].send(b"x")
    assert raw.read(1) == b"x"


@pytest.mark.skipif(PY2, reason="its C socket takes no descriptor")
@pytest.mark.skipif(PYPY, reason="PyPy's classes have strings for keys")
def test_key_whose_comparison_raises_is_as_the_interpreters_look_up_takes_it(any_impl, unix_pair):
    def fail():
        key.armed = True
        raise LookupError("no comparison")

    key = OddKey("recv_into", fail)
    odd = type("Odd", (_socket.socket,), {"__slots__": ("_io_refs", "_decref_socketios"), key: 1})
    sock = odd(unix_pair[0].family, unix_pair[0].type, 0, os.dup(unix_pair[0].fileno()))
    sock._io_refs, sock._decref_socketios = 0, lambda: None
    raw = any_impl.makefile(sock, "rb", 0)
    unix_pair[1].send(b"x")
    key.armed = True
    expected, outcome = (
        get_outcome(lambda: sock.recv_into(bytearray(0)))[:2],
        get_outcome(raw.readinto, bytearray(0))[:2],
    )
    key.armed = False
    raw.close()
    sock.close()
    assert outcome == expected


@pytest.mark.skipif(sys.version_info[0] == 2, reason="2.7's socket.socket counts nothing")
def test_socket_closed_while_makefile_fails_is_closed(any_impl, closing):
    class ClosingSize(object):
        """A buffering that closes the socket when it is looked at, and is none."""

        def __lt__(self, other):
            sock.close()
            raise LookupError("no size")

    sock, peer = map(closing, socket.socketpair())
    with pytest.raises(LookupError) as caught:
        any_impl.makefile(sock, "rb", ClosingSize())
    caught = None
    gc.collect()
    assert sock.fileno() == -1


def test_interrupted_call_of_a_fake_within_readall_is_made_again(any_impl):
    class Interrupted(CountedSocket):
        script = [b"one", None, b"two"]

        def recv_into(self, buf):
            self.script, step = self.script[1:], self.script[:1]
            if step == [None]:
                raise EnvironmentError(errno.EINTR, "interrupted")
            data = b"".join(step)
            buf[:len(data)] = data
            return len(data)

    assert any_impl.SocketIO(Interrupted(), "r").readall() == b"onetwo"


def test_closed_of_a_subclass_that_raises_is_what_seekable_raises(any_impl):
    class Odd(any_impl.SocketIO):
        broken = False

        @property
        def closed(self):
            return 1 // 0 if self.broken else False

    raw = Odd(CountedSocket(), "r")
    raw.broken = True
    with pytest.raises(ZeroDivisionError):
        raw.seekable()
    raw.broken = False


def test_close_on_a_sock_put_in_place_that_counts_nothing_raises_nothing(impl):
    sock = CountedSocket()
    raw = impl.makefile(sock, "rb", 0)
    raw._sock = object()
    raw.close()
    assert raw.closed and raw._sock is None
    assert sock._makefile_refs == 1 and sock.told == []


def connect(cls, closing):
    """(a socket of the class, its peer), connected."""
    ours, peer = socket.socketpair()
    closing(peer).settimeout(5)
    return closing(adopt(cls, ours)), peer


def encrypt(sock, data):
    """The `send` of a class that must not send in clear."""
    return _socket.socket.send(sock, b"<" + bytes(data).upper() + b">") - 2


def make_encrypting(*bases):
    return type("Encrypting", bases, {"__slots__": (), "send": encrypt})


class WithProperty(socket.socket):
    send = property(lambda self: self.tls.write)


class WithSlot(socket.socket):
    __slots__ = () if PY2 else ("send",)  # 2.7's socket.socket has it itself


@pytest.mark.parametrize("cls", [WithSlot] if PY2 else [WithProperty, WithSlot])
def test_send_that_is_not_ready_is_not_replaced_by_the_sockets_own_sendall(any_impl, closing, cls):
    sock, peer = connect(cls, closing)
    if PY2:
        del sock.send
    raw = any_impl.SocketIO(sock, "w")
    with pytest.raises(AttributeError):
        raw.write(b"secret")
    peer.setblocking(False)
    with pytest.raises(socket.error):
        peer.recv(10)


def test_send_of_a_fake_that_is_not_ready_is_not_replaced_by_its_sendall(any_impl):
    class BeforeHandshake(CountedSocket):
        send = property(lambda self: self.tls.write)

        def sendall(self, data):
            raise AssertionError("sent in clear")

    with pytest.raises(AttributeError):
        any_impl.SocketIO(BeforeHandshake(), "w").write(b"secret")


@pytest.mark.skipif(
    not hasattr(sys, "_clear_type_cache") or PY2,
    reason="there is no such cache, or nobody looks at it",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_class_that_gets_the_version_of_another_is_not_taken_for_it(any_impl, closing):
    plain, peer = connect(socket.socket, closing)
    encrypting, its_peer = connect(make_encrypting(socket.socket), closing)
    raw, encrypted = any_impl.SocketIO(plain, "w"), any_impl.SocketIO(encrypting, "w")
    for _ in range(3):
        raw.write(b"plain")
    sys._clear_type_cache()
    for number in range(20000):  # each change gives the class the next version
        type(encrypting).counter = number
        for _ in range(2):
            assert encrypted.write(b"secret") == 6
            assert its_peer.recv(20) == b"<SECRET>"


@pytest.mark.skipif(PY2, reason="2.7's socket.socket keeps its methods on the instance")
@pytest.mark.skipif(PYPY, reason="PyPy's classes have strings for keys")
def test_bases_that_change_while_they_are_searched_are_not_lost(any_impl, closing):
    first = make_encrypting(socket.socket)
    for _ in range(40):  # a long order of look-up is memory that is given back
        first = type("Derived", (first,), {"__slots__": ()})
    second, junk = make_encrypting(socket.socket), []

    def change():
        odd.__bases__ = (second,)
        junk.extend(bytearray(b"A" * size) for size in range(6, 510, 8) for _ in range(100))

    key = OddKey("send", change)
    odd = type("Odd", (first,), {"__slots__": (), key: 1})
    sock, peer = connect(odd, closing)
    raw = any_impl.SocketIO(sock, "w")
    assert sock.fileno() >= 0
    key.armed = True
    assert raw.write(b"secret") == 6
    assert peer.recv(20) == b"<SECRET>"
    assert not key.armed


@pytest.mark.skipif(
    not hasattr(sys, "_clear_type_cache") or PY2 or PYPY,
    reason="there is no such cache, or nobody looks at it",
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_key_that_begins_to_be_the_name_of_the_method_is_found(c_impl, closing):
    class Key(object):
        awake = False

        def __hash__(self):
            return hash("send")

        def __eq__(self, other):
            return Key.awake and other == "send"

    odd = type(
        "Odd",
        (_socket.socket,),
        {"__slots__": (), "_decref_socketios": lambda self: None, Key(): encrypt},
    )
    sock, peer = connect(odd, closing)
    raw = c_impl.SocketIO(sock, "w")
    for _ in range(5):
        assert raw.write(b"plain") == 5
    assert peer.recv(40) == b"plain" * 5
    Key.awake = True
    sys._clear_type_cache()  # till then the interpreter need not look
    assert raw.write(b"secret") == 6
    assert peer.recv(20) == b"<SECRET>"


@pytest.mark.skipif(
    "__getattribute__" in vars(_socket.socket), reason="the C socket's own way comes first"
)
@pytest.mark.parametrize("base", [socket.socket, _socket.socket], ids=["socket", "C socket"])
def test_way_of_look_up_that_a_class_behind_the_c_socket_gets_later_is_taken(
    any_impl, closing, base
):
    behind = type("Behind", (object,), {"__slots__": ()})
    cls = type(
        "Sock", (base, behind), {"__slots__": () if base is socket.socket else ("_io_refs",)}
    )
    sock, peer = connect(cls, closing)
    raw = any_impl.SocketIO(sock, "w")
    for _ in range(3):
        raw.write(b"plain")
    assert peer.recv(15) == b"plain" * 3
    behind.__getattribute__ = lambda self, name: (
        functools.partial(encrypt, self) if name == "send" else object.__getattribute__(self, name)
    )
    assert raw.write(b"secret") == 6
    assert peer.recv(20) == b"<SECRET>"
    del behind.__getattribute__


@pytest.mark.skipif(PY2, reason="2.7's own takes the signal for the end of the call")
def test_read_without_a_timeout_that_a_handler_gives_one_goes_on(any_impl, closing):
    sock, peer = connect(socket.socket, closing)
    raw = any_impl.SocketIO(sock, "r")
    with alarm(once(lambda *args: sock.settimeout(60)), 0.1):
        sending = Worker(lambda: (time.sleep(0.4), peer.sendall(b"z")))
        assert raw.read(5) == b"z"
        sending.get()


# Not the interpreter's own, which tries all the time.
def test_read_without_a_timeout_that_a_handler_gives_one_ends_with_it(c_impl, closing):
    sock, peer = connect(socket.socket, closing)
    raw = c_impl.SocketIO(sock, "r")
    with alarm(once(lambda *args: sock.settimeout(0.2)), 0.1):
        with pytest.raises(socket.timeout):
            raw.readinto(bytearray(5))


def test_what_a_signal_handler_changes_holds_for_the_write_that_ran_it(any_impl, closing):
    class Sock(socket.socket):
        pass

    sock, peer = connect(Sock, closing)
    raw = any_impl.SocketIO(sock, "w")

    def handler(*args):
        sock.sendall(b"|")
        sock.send = lambda data: len(data)

    soon = functools.partial(signal.setitimer, signal.ITIMER_REAL, 1e-5)
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        # No bytecode in between, where the interpreter looks at signals.
        list(
            map(
                functools.partial.__call__,
                [soon] + [functools.partial(raw.write, b"secret")] * 1000,
            )
        )
    finally:
        signal.signal(signal.SIGALRM, previous)
    received = peer.recv(10000)
    assert received.endswith(b"|") and received.count(b"|") == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with 3.12")
@pytest.mark.parametrize("error", [TypeError, ValueError, BufferError])
def test_buffer_in_python_code_that_is_not_ready_is_not_asked_again(any_impl, closing, error):
    ours, peer = map(closing, socket.socketpair())
    buffer = BufferReadyLater(error)
    with pytest.raises(error):
        any_impl.makefile(ours, "wb", 0).write(buffer)
    assert buffer.asked == 1


def connect_tcp(closing, room=None):
    """A TCP socket, and a function that lets its peer reset the connection.

    The socket has so much room in the system if told.
    """
    listener = closing(socket.socket())
    ours = closing(socket.socket())
    for sock, option in (listener, socket.SO_RCVBUF), (ours, socket.SO_SNDBUF):
        if room is not None:
            sock.setsockopt(socket.SOL_SOCKET, option, room)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    ours.connect(listener.getsockname())
    peer = closing(listener.accept()[0])

    def reset():
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

    return ours, reset


@pytest.mark.parametrize("timeout", [30, None])
def test_error_of_a_write_that_sent_something_is_told_to_who_uses_the_socket_next(
    any_impl, closing, timeout
):
    ours, reset = connect_tcp(closing)
    ours.settimeout(timeout)
    raw = any_impl.makefile(ours, "wb", 0)
    data = b"x" * (1 << 26)
    writer = Worker(raw.write, data)
    if any_impl.name != "interpreter" or timeout is None:
        writer.wait_until_blocked()
    else:
        writer.join()  # it sends once
    reset()
    assert 0 < writer.get() < len(data)
    with pytest.raises(EnvironmentError) as caught:
        ours.recv(1)
    assert caught.value.errno == errno.ECONNRESET


@pytest.mark.parametrize(
    "operation", [lambda raw: raw.write(b"more"), lambda raw: raw.read(1)], ids=["write", "read"]
)
def test_error_of_a_small_write_that_sent_something_is_told_to_the_next_operation(
    any_impl, closing, operation
):
    ours, reset = connect_tcp(closing, room=1)
    ours.setblocking(False)
    for _ in range(20):  # until the system has moved on as much as it will
        with pytest.raises(socket.error):
            while True:
                ours.send(b"x" * 1000)
        time.sleep(0.005)
    ours.setblocking(True)
    # Room for a part, which goes no further.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    raw = any_impl.makefile(ours, "rwb", 0)
    data = b"x" * 16000
    writer = Worker(raw.write, data)
    writer.wait_until_blocked()
    reset()
    assert 0 < writer.get() < len(data)
    with pytest.raises(EnvironmentError) as caught:
        operation(raw)
    assert caught.value.errno == errno.ECONNRESET
    assert raw.read(1) == b""  # it is told once


def test_buffer_that_nobody_takes_times_out_once(any_impl, closing):
    ours, peer = map(closing, socket.socketpair())
    ours.settimeout(0.5)
    stream = any_impl.makefile(ours, "wb")
    start = time.time()
    with pytest.raises(socket.timeout):
        stream.write(b"x" * (1 << 22))
        stream.flush()
    assert 0.4 < time.time() - start < 0.9
    stream.close()


def test_write_some_time_after_one_whose_time_was_up_waits_anew(any_impl, closing):
    ours, peer = map(closing, socket.socketpair())
    ours.settimeout(0.3)
    raw = any_impl.makefile(ours, "wb", 0)
    while raw.write(b"x" * (1 << 22)) == 1 << 22:
        pass
    time.sleep(0.2)
    start = time.time()
    with pytest.raises(socket.timeout):
        raw.write(b"x" * (1 << 22))
    assert 0.2 < time.time() - start < 0.9


@pytest.mark.skipif(
    PYPY or WITHOUT_GIL or not os.path.exists("/proc/self/status"),
    reason="told by a GIL, and by Linux",
)
def test_child_does_not_hand_the_gil_over_to_threads_of_the_parent(c_impl):
    assert (
        run_script(
            """
import threading, time
set_interval, long, short = getattr(sys, "setswitchinterval", None), 10, 0.005
if set_interval is None:
    set_interval, long, short = sys.setcheckinterval, 10 ** 8, 100
set_interval(long)

def count_switches():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("voluntary"))

def compute():
    while True:
        pass

(left, right), (ready, feeder) = socket.socketpair(), socket.socketpair()
reading, writing = makefile(left, "rb", 0), makefile(right, "wb", 0)
reader = makefile(ready, "rb", 0)
other = threading.Thread(target=reading.read, args=(10,))
other.start()
time.sleep(0.2)
feeder.sendall(b"x" * 1000)
writing.write(b"wake")  # keeps the GIL, for which `other` is waiting soon
end = time.time() + 0.05
while time.time() < end:
    pass
child = os.fork()
if child == 0:
    set_interval(short)
    computing = threading.Thread(target=compute)
    computing.daemon = True
    computing.start()
    before = count_switches()
    for _ in range(1000):
        reader.read(1)
    os.write(1, str(count_switches() - before < 50).encode())
    os._exit(0)
os.waitpid(child, 0)
""",
            c_impl,
            options=["-W", "ignore"],
        )
        == "True"
    )
