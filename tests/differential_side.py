"""One implementation of makefile on one socket: `Side` does a programme's steps.

After each it tells what can be seen then.

Nothing here compares; see `differential`.
"""

from __future__ import print_function

import array
import collections
import errno
import fcntl
import functools
import gc
import io
import os
import re
import select
import socket
import ssl
import struct
import sys
import termios
import threading
import time

import _pyio
import _socket

from differential_steps import SLOTS, get_payload

PY2 = sys.version_info[0] == 2
TEXT = type(u"")
INTEGERS = (int, type(2 ** 64))
POLLRDHUP = 0x2000  # select has no name for it before 3.7
POLL_MASK = select.POLLIN | POLLRDHUP
QUEUE_LIMIT = 40000  # what the peer may have sent and nobody read: below any default socket buffer


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt: a fake raises it to see that no `except Exception` eats it."""


# --- sockets to make files of ---------------------------------------------------------------------

LISTENER = []


def make_pair(family):
    """Two connected sockets of `socket.socket` (2.7: of `_socket.socket`)."""
    if family == "tcp":
        if not LISTENER:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(16)
            LISTENER.append(listener)
        near = socket.socket()
        near.connect(LISTENER[0].getsockname())
        far = LISTENER[0].accept()[0]
        for sock in near, far:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return (near._sock, far._sock) if PY2 else (near, far)
    return socket.socketpair(
        socket.AF_UNIX, socket.SOCK_SEQPACKET if family == "seq" else socket.SOCK_STREAM
    )


def adopt(cls, sock):
    """Move the descriptor of `sock` into a new socket of the class `cls`."""
    if PY2:
        return cls(_sock=sock)
    return cls(sock.family, sock.type, sock.proto, sock.detach())


class LoggingSocket(socket.socket):
    """A subclass that overrides what the direct path must not go around.

    It lies about its timeout, as PySocks does.
    """

    def recv_into(self, *args):
        return self.side.call_logged(
            "recv_into", functools.partial(socket.socket.recv_into, self), args
        )

    def send(self, *args):
        return self.side.call_logged("send", functools.partial(socket.socket.send, self), args)

    def gettimeout(self):
        self.side.note("gettimeout")
        return 77.0


class Fake(object):
    """A correct socket-like object around a real socket, which logs its calls."""

    def __init__(self, side, real, counter):
        self.side = side
        self.real = real
        self.counter = counter
        self.closed = False
        if counter:
            setattr(self, counter, 0)

    def fileno(self):
        return self.side.call_logged("fileno", self.real.fileno, ())

    def gettimeout(self):
        return self.side.call_logged("gettimeout", self.real.gettimeout, ())

    def recv_into(self, *args):
        return self.side.call_logged("recv_into", self.real.recv_into, args)

    def send(self, *args):
        return self.side.call_logged("send", self.real.send, args)

    def _decref_socketios(self):
        self.side.note("_decref_socketios")
        setattr(self, self.counter, getattr(self, self.counter) - 1)
        if self.closed:
            self.close()

    def close(self):
        self.side.note("close")
        self.closed = True
        if not self.counter or getattr(self, self.counter) <= 0:
            self.real.close()


class FakeWithoutSend(object):
    """urllib3's WrappedSocket in short: `sendall` and no `send`."""

    __init__ = Fake.__dict__["__init__"]
    fileno = Fake.__dict__["fileno"]
    recv_into = Fake.__dict__["recv_into"]
    _decref_socketios = Fake.__dict__["_decref_socketios"]
    close = Fake.__dict__["close"]

    def sendall(self, *args):
        return self.side.call_logged("sendall", self.real.sendall, args)


class FakeWithoutDecref(object):
    """The protocol of 2.7's SSLSocket: close() counts down."""

    __init__ = Fake.__dict__["__init__"]
    fileno = Fake.__dict__["fileno"]
    recv_into = Fake.__dict__["recv_into"]
    send = Fake.__dict__["send"]

    def close(self):
        self.side.note("close")
        if self._makefile_refs < 1:
            self.real.close()
        else:
            self._makefile_refs -= 1


class Scripted(Fake):
    """A fake without a descriptor: what it receives and what it answers is a list."""

    def __init__(self, side, real, counter):
        Fake.__init__(self, side, self, counter)
        self.incoming = collections.deque()
        self.answers = collections.deque()
        self.outgoing = []
        self.timeout = None

    def fileno(self):
        self.side.note("fileno")
        return 0  # stdin: nobody may take this for the descriptor to read

    def gettimeout(self):
        self.side.note("gettimeout")
        return self.timeout

    def settimeout(self, timeout):
        self.timeout = timeout

    def setblocking(self, flag):
        self.timeout = None if flag else 0.0

    def recv_into(self, *args):
        return self.side.call_logged("recv_into", self.pop_into, args)

    def pop_into(self, buffer):
        if not self.incoming:
            if self.side.eof:
                return 0
            raise make_error("eagain")
        item = self.incoming.popleft()
        if isinstance(item, bytes):
            view = memoryview(buffer)
            if view.ndim == 1 and view.itemsize == 1:
                size = min(len(item), len(view))
                view[:size] = item[:size]
                if size < len(item):
                    self.incoming.appendleft(item[size:])
                return size
            return 0
        return self.side.misbehave(item.kind, "recv_into", self.pop_into, buffer)

    def send(self, *args):
        return self.side.call_logged("send", self.take, args)

    def take(self, data):
        if self.answers:
            return self.side.misbehave(self.answers.popleft().kind, "send", self.take, data)
        data = memoryview(data).tobytes()
        self.outgoing.append(data)
        return len(data)

    def shutdown(self, how):
        self.side.note("shutdown")

    def detach(self):
        return -1

    def close(self):
        self.side.note("close")
        self.closed = True


Misbehaviour = collections.namedtuple("Misbehaviour", "kind")


class Proxy(object):
    """A wrapper that hands on all that it does not have; the counter's `+=` lands on itself."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Index(object):
    """An integer only by `__index__`."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


def make_error(kind):
    if kind == "eagain":
        return socket.error(errno.EAGAIN, "nothing there")
    if kind == "timeout":
        return socket.timeout("the fake timed out")
    if kind == "bare timeout":
        return socket.timeout()
    if kind == "bare error":
        return socket.error()
    if kind == "value error":
        return ValueError("the fake fails")
    if kind == "want":
        return ssl.SSLWantReadError(int(ssl.SSL_ERROR_WANT_READ), "want read")
    if kind == "interrupt":
        return Interrupt("the fake interrupts")
    if kind == "eintr":
        return socket.error(errno.EINTR, "interrupted")
    if kind == "etimedout":
        return socket.error(errno.ETIMEDOUT, "timed out by the network")
    if kind == "reset":
        return socket.error(errno.ECONNRESET, "reset by the script")
    return None


# --- what is compared -----------------------------------------------------------------------------

Record = collections.namedtuple(
    "Record", "outcome files counter descriptors handled log received kernel noise"
)
ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
NUMBER_IN_NAME = re.compile(r"name=(\d+)")
MODULE_OF_RAW = re.compile(r"[\w.]+\.(SocketIO|RawSubclass|LoggingRaw)")
STATE_NAMES = ("closed", "name", "mode")


def plain(value, side):
    """A value that can be compared: with its type (True is not 1), and a word for its identity."""
    if value is None or isinstance(value, float):
        return value
    if isinstance(value, bool):
        return ("bool", str(value))
    if isinstance(value, INTEGERS):
        return int(value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, TEXT):
        return ("text", value)
    if isinstance(value, (bytearray, memoryview)):
        return (
            type(value).__name__,
            bytes(value) if isinstance(value, bytearray) else value.tobytes(),
        )
    if isinstance(value, (list, tuple)):
        return (type(value).__name__,) + tuple(plain(item, side) for item in value)
    for index, file in enumerate(side.files):
        if value is file:
            return ("file", index)
    if value is side.sock:
        return ("sock",)
    return ("object", MODULE_OF_RAW.sub(r"\1", type(value).__name__))


def describe_error(error, side):
    """Type, arguments, errno and what BlockingIOError counts."""
    # What descriptor had that number when the message was made is not known any more.
    args = tuple(
        NUMBER_IN_NAME.sub("name=#", side.label_text(arg)) if isinstance(arg, str) else arg
        for arg in error.args
    )
    return ("error", type(error), plain(args, side), getattr(error, "errno", None),
            getattr(error, "characters_written", None))


def is_error(outcome):
    return isinstance(outcome, tuple) and len(outcome) == 5 and outcome[0] == "error"


def get_count(fd, request):
    return struct.unpack("i", fcntl.ioctl(fd, request, b"\0\0\0\0"))[0]


def get_events(fd, mask, timeout_ms=0):
    poll = select.poll()
    poll.register(fd, mask)
    for _, events in poll.poll(timeout_ms):
        return events
    return 0


def close_quietly(closable):
    try:
        closable.close()
    except (Exception, Interrupt):
        pass
    drop_stray_error()


def drop_stray_error():
    """Let out, here and not just anywhere, a ValueError that 2.7's io may have left set.

    It leaves one after some uses of a detached stream.
    """
    if PY2:
        try:
            for _ in ():
                pass
        except ValueError:
            pass


class Descriptor(object):
    """A descriptor and the inode behind it: the number alone may be another file's by now."""

    def __init__(self, fd):
        self.fd = fd
        self.inode = os.fstat(fd).st_ino

    def is_open(self):
        try:
            return os.fstat(self.fd).st_ino == self.inode
        except OSError:
            return False


class TextMode(str):
    """A mode that is a str and yet not the literal: `text.mode` has to be this very object."""


def make_mode(mode):
    if mode == "none":
        return None
    if mode == "5":
        return 5
    if mode.startswith("list:"):
        return mode[5:].split(",")
    if mode.startswith("tuple:"):
        return tuple(mode[6:].split(","))
    if mode.startswith("sub:"):
        return TextMode(mode[4:])
    if mode.startswith("bytes:"):
        return mode[6:].encode("ascii")
    return mode


class Side(object):
    """One implementation at work on one socket."""

    def __init__(self, implementation, setup):
        kind, family, timeout = setup[:3]
        self.implementation = implementation
        self.family = family
        self.kind = kind
        self.files = []
        self.log = []
        self.noise = []
        self.received = []
        self.handled = None
        self.muted = False
        self.current = None
        self.sent = 0  # by the peer
        self.written = 0  # by the files
        self.eof = False  # nothing more can arrive
        self.peer_open = self.peer_writes = True
        self.fd_nonblocking = False
        self.detached = False
        self.delegated = False  # was a method ever replaced on the socket?
        self.wrapped = False  # a Buffered on a Buffered reads more than it is asked for
        self.patches = {}
        self.other = self.other_peer = None
        self.outcome = None
        self.open_sockets(family, kind)
        self.timeout = timeout
        self.real.settimeout(timeout)
        self.peer.setblocking(False)

    # sockets

    def open_sockets(self, family, kind):
        near, self.peer = make_pair(family)
        self.descriptors = [Descriptor(near.fileno())]
        counter = "_io_refs" if self.implementation.name == "interpreter" else "_makefile_refs"
        if kind == "bare":
            self.sock = self.real = near if PY2 else adopt(_socket.socket, near)
        elif kind == "plain":
            self.sock = self.real = adopt(socket.socket, near)
        elif kind in ("subclass", "logging"):
            base = socket.socket if kind == "subclass" else LoggingSocket
            self.sock = self.real = adopt(type(base.__name__, (base,), {}), near)
            self.sock.side = self
        elif kind == "proxy":
            self.real = near
            self.sock = type("Proxy", (Proxy,), {})(Fake(self, near, "_io_refs"))
        else:
            base = {
                "scripted": Scripted,
                "no send": FakeWithoutSend,
                "no decref": FakeWithoutDecref,
            }.get(kind, Fake)
            if kind in ("fake", "scripted"):
                counter = "_io_refs"
            self.sock = type(base.__name__, (base,), {})(self, near, counter)
            if kind == "scripted":
                near.close()
                self.real = self.sock
            else:
                self.real = near

    def get_other(self):
        """A second socket, for methods bound to the wrong one; 64 bytes wait, it never blocks."""
        if self.other is None:
            near, self.other_peer = make_pair("unix")
            self.other = adopt(socket.socket, near) if PY2 else near
            self.other.settimeout(0.0)
            self.other_peer.setblocking(False)
            self.other_peer.send(b"O" * 63 + b"\n")
            self.descriptors.append(Descriptor(self.other.fileno()))
        return self.other

    def is_open(self):
        return self.kind != "scripted" and self.descriptors[0].is_open()

    def get_queue(self):
        return get_count(self.descriptors[0].fd, termios.FIONREAD)

    def close(self):
        """Close everything; what descriptors are still open then?"""
        self.muted = True
        while self.files:
            close_quietly(self.files.pop())
        for sock in self.sock, self.real, self.other, self.other_peer:
            close_quietly(sock)
        if self.family == "tcp" and self.peer_open:
            # Ends in a reset instead of TIME_WAIT, of which a long run would collect thousands.
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()
        sock = self.sock = self.real = self.other = None
        leaked = []
        for index, descriptor in enumerate(self.descriptors):
            if self.kind == "scripted" and not index:
                continue
            if descriptor.is_open() and not (self.detached and not index):
                # A traceback may have made a cycle; what 2.7 finalises when it takes one apart
                # lives until the next time.
                gc.collect()
                gc.collect()
            if descriptor.is_open():
                leaked.append(index)
                if self.detached and not index:
                    os.close(descriptor.fd)
        return leaked

    # observing

    def note(self, *entry):
        if not self.muted:
            self.log.append(entry)

    def call_logged(self, name, function, args):
        if self.muted:
            return function(*args)
        self.log.append(
            (name,)
            + tuple((type(arg).__name__, count_bytes(arg), arg is self.current) for arg in args)
        )
        try:
            result = function(*args)
        except BaseException as error:
            self.log.append((name, "raised", type(error).__name__))
            raise
        self.log.append(
            (name, "returned", self.label(result) if name == "fileno" else plain(result, self))
        )
        return result

    def label(self, fd):
        for index, descriptor in enumerate(self.descriptors):
            if fd == descriptor.fd and descriptor.is_open():
                return "fd%d" % index
        return fd

    def label_text(self, text):
        text = MODULE_OF_RAW.sub(r"\1", ADDRESS.sub("0x", text))
        return NUMBER_IN_NAME.sub(lambda match: "name=%s" % self.label(int(match.group(1))), text)

    def get_counter(self):
        if self.sock is None:
            return None
        if self.kind == "proxy":
            # What a file adds lands on the wrapper and its close takes it from the wrapped; after a
            # failed makefile the interpreter's does the latter, ours undoes the former (difference
            # 2), so only the sum is the same.
            return (
                "_io_refs" in self.sock.__dict__,
                self.sock.__dict__.get("_io_refs", 0) + self.sock.inner._io_refs,
            )
        return getattr(self.sock, getattr(self.sock, "counter", "_io_refs"), None)

    def describe_file(self, file):
        state = []
        for name in STATE_NAMES:
            try:
                value = getattr(file, name)
            except Exception as error:
                state.append(type(error).__name__)
            else:
                state.append(self.label(value) if name == "name" else plain(value, self))
        try:
            state.append(self.label_text(repr(file)))
        except Exception as error:
            state.append(type(error).__name__)
        drop_stray_error()
        return tuple(state)

    def drain_peer(self):
        """Take what has arrived at the peer; -> the events that its descriptor shows."""
        if self.kind == "scripted":
            self.received += self.sock.outgoing if self.sock is not None else []
            if self.sock is not None:
                del self.sock.outgoing[:]
            return 0
        if not self.peer_open:
            return 0
        fd = self.peer.fileno()
        while True:
            events = get_events(fd, POLL_MASK)
            if not events & select.POLLIN:
                break
            try:
                data = self.peer.recv(65536)
            except socket.error as error:
                self.received.append(("error", error.errno))
                break
            if data or self.family == "seq" and not events & POLLRDHUP:
                self.received.append(data)
            if not data:
                break
        return events & ~select.POLLIN

    def observe(self):
        """What can be seen after the step.  Calling it again adds only what arrived since."""
        self.muted = True
        peer_events = self.drain_peer()
        files = tuple([self.describe_file(file) for file in self.files])
        descriptors = tuple([descriptor.is_open() for descriptor in self.descriptors])
        if self.kind == "scripted":
            kernel = len(self.sock.incoming) if self.sock is not None else None
        elif descriptors[0]:
            fd = self.descriptors[0].fd
            events = get_events(fd, POLL_MASK)
            if (
                self.family == "tcp"
                and not self.peer_open
                and not events & select.POLLHUP
                and get_count(fd, termios.TIOCOUTQ)
            ):
                # The answer to data for a closed peer is a reset, on its way.
                get_events(fd, 0, 200)
                events = get_events(fd, POLL_MASK)
            kernel = (get_count(fd, termios.FIONREAD), events)
        else:
            kernel = None
        if len(descriptors) > 1 and descriptors[1]:
            kernel = (kernel, get_count(self.descriptors[1].fd, termios.FIONREAD))
        received = tuple(self.received)
        if self.family != "seq" and ("error" not in [item[:1] for item in received]):
            received = b"".join(item for item in received if isinstance(item, bytes))
        self.muted = False
        return Record(self.outcome, files, self.get_counter(), descriptors, self.handled,
                      tuple(self.log), (received, peer_events), kernel, tuple(self.noise))

    # steps

    def perform(self, step):
        """Do one step; the outcome is kept for `observe`."""
        self.log = []
        self.noise = []
        self.received = []
        self.handled = None
        try:
            self.outcome = getattr(self, "do_" + step[0])(*step[1:])
        except (Exception, Interrupt) as error:
            self.outcome = describe_error(error, self)
        self.current = None
        drop_stray_error()

    def get_file(self, slot, name=None, ability=None):
        """The file that a step means.

        With `name` and a slot below 3 it is one that is open and has that method and ability.
        """
        files = self.files
        if name is not None and slot < len(SLOTS):
            self.muted = True
            files = [file for file in files if is_able(file, name, ability)] or files
            self.muted = False
        return files[slot % len(files)]

    def get_raw(self, slot):
        file = self.get_file(slot)
        if isinstance(file, io.TextIOBase):
            file = file.buffer
        return getattr(file, "raw", file)

    def keep_file(self, file):
        self.files.append(file)
        if len(self.files) > len(SLOTS):
            self.drop_file(0)

    def drop_file(self, index):
        del self.files[index]

    def wait_for_queue(self, count):
        """The peer has sent: go on when all of it can be received."""
        fd = self.descriptors[0].fd
        deadline = time.time() + 5
        while get_count(fd, termios.FIONREAD) < count:
            if time.time() > deadline:
                raise RuntimeError("the kernel does not deliver")
            get_events(fd, 0, 1)

    def is_satisfied(self, file, name, count):
        """Would this read return without anything more from the peer?"""
        queue = self.get_queue()
        if isinstance(file, io.TextIOBase) or not queue or self.wrapped:
            return False
        if name in ("read1", "peek"):
            return True
        if count is None or count < 0:
            return (
                name in ("readline", "next")
                and self.family != "seq"
                and b"\n" in self.real.recv(queue, socket.MSG_PEEK)
            )
        if name in ("read", "readinto") and isinstance(file, io.RawIOBase):
            return True
        # A record may be cut, so what waits in the kernel promises one read only.
        if self.family == "seq":
            return False
        if name == "readline":
            return b"\n" in self.real.recv(queue, socket.MSG_PEEK)
        return count <= queue

    def keep_from_blocking(self, file, name, count, read):
        """Run `read`; with a timeout of 0 if it could wait for ever."""
        if (
            self.timeout is not None
            or self.eof
            or self.fd_nonblocking
            or self.detached
            or self.kind == "scripted"
            or not self.is_open()
            or self.is_satisfied(file, name, count)
        ):
            return plain(read(), self)
        self.real.settimeout(0.0)
        try:
            return plain(read(), self)
        finally:
            if self.is_open() and self.timeout is None:
                self.real.settimeout(None)

    def do_send(self, kind, size):
        if self.family == "seq":
            size = min(size, 8192)  # the interpreter's readall cuts a longer record, ours need not
        data = get_payload(kind, size, self.sent)
        if self.kind == "scripted":
            if data and self.sock is not None and not self.eof:
                self.sock.incoming.append(data)
                self.sent += size
            return "sent"
        if not self.peer_writes or self.eof or not self.is_open():
            return "skip"
        queue = self.get_queue()
        if queue + size > QUEUE_LIMIT:
            return "skip"
        count = self.peer.send(data)
        self.sent += count
        self.wait_for_queue(queue + count)
        return count

    def do_end(self, how):
        """One of the two ends goes, wholly or in part."""
        if how.startswith("peer "):
            return self.close_peer(how[5:])
        if how == "half close":
            return self.half_close_peer()
        if self.sock is None:
            return "skip"
        if how.startswith("shutdown "):
            how = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}[
                how[9:]
            ]
            self.real.shutdown(how)
            if how != socket.SHUT_WR:
                self.eof = True
            return None
        if how == "sock detach":
            if not hasattr(self.real, "detach"):
                return "skip"
            self.detached = True
            return self.label(self.real.detach())
        if self.timeout is None:
            self.do_settimeout(0.0)  # from now on nobody could keep a read from blocking
        self.sock.close()
        if how == "sock close and forget":
            self.patches.clear()
            self.sock = self.real = None

    def half_close_peer(self):
        if self.kind != "scripted":
            if not self.peer_writes:
                return "skip"
            self.peer.shutdown(socket.SHUT_WR)
            self.peer_writes = False
            if self.is_open():
                get_events(self.descriptors[0].fd, POLLRDHUP, 1000)
        self.eof = True

    def close_peer(self, how):
        if self.kind == "scripted":
            if how == "reset" and self.sock is not None:
                self.sock.incoming.append(Misbehaviour("reset"))
            self.eof = True
            return None
        if not self.peer_open:
            return "skip"
        if how == "reset":
            if self.family == "tcp":
                self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif self.is_open():
                try:
                    # Data that nobody reads makes a close a reset.
                    os.write(self.descriptors[0].fd, b"!")
                except OSError:
                    pass
        self.peer.close()
        self.peer_open = self.peer_writes = False
        self.eof = True
        if self.is_open():
            get_events(self.descriptors[0].fd, POLLRDHUP, 1000)

    def do_settimeout(self, timeout):
        if self.sock is None:
            return "skip"
        if isinstance(timeout, str):
            self.real.setblocking(timeout == "blocking")
            timeout = None if timeout == "blocking" else 0.0
        else:
            self.real.settimeout(timeout)
        self.timeout = timeout
        self.fd_nonblocking = False

    def do_share(self, how):
        """Another process or duplicate changes O_NONBLOCK, which all of them share."""
        if not self.is_open() or self.detached:
            return "skip"
        fd = self.descriptors[0].fd
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if how == "dup blocking" and self.timeout:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
        elif how == "fd nonblocking" and self.timeout is None:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
            self.fd_nonblocking = True
        else:
            return "skip"

    # methods replaced on the socket

    def misbehave(self, kind, name, function, buffer):
        """What a bad method does, once."""
        if make_error(kind) is not None:
            # No local name: that would be a cycle, which keeps every file of the traceback open.
            raise make_error(kind)
        if kind == "none":
            return None
        if kind == "nonsense":
            return "x"
        if kind == "minus":
            return -1
        if kind == "huge":
            if name == "recv_into" and isinstance(buffer, (bytearray, memoryview)):
                buffer[:] = b"H" * len(buffer)  # nobody should see memory that nobody wrote
            return count_bytes(buffer) + 1
        if kind == "float":
            return 1.5
        if kind == "closes file":
            if self.files and not self.wrapped:  # _pyio's lock would wait for itself
                self.files[0].close()
            return function(buffer)
        if kind == "closes sock":
            if self.sock is not None:
                self.sock.close()
            return function(buffer)
        view = memoryview(buffer)
        if view.ndim != 1 or view.itemsize != 1 or not len(view):
            return function(buffer)
        size = max(1, len(view) // 2) if kind == "half" else 1
        if name == "recv_into":
            view[:size] = b"M" * size
        else:
            function(view[:size].tobytes())
        if kind == "true":
            return True
        if kind == "index":
            return Index(size)
        return size

    def make_patch(self, name, kind):
        original = getattr(self.sock, name)
        if kind == "own":
            return original
        if kind == "other":
            return getattr(self.get_other(), name)
        if kind == "c other":
            return functools.partial(
                getattr(_socket.socket, name), getattr(self.get_other(), "_sock", self.get_other())
            )
        if kind == "other wrong":
            return getattr(self.get_other(), "recv" if name == "recv_into" else "sendall")
        if kind == "partial":
            return functools.partial(original)
        if kind == "uncallable":
            return None
        if kind in ("log", "class log"):
            def patch(*args):
                return self.call_logged("patched " + name, original, args[-1:])
            return patch
        pending = [kind]

        def patch(buffer):
            if pending:
                misbehave = functools.partial(self.misbehave, pending.pop(), name, original)
                return self.call_logged("bad " + name, misbehave, (buffer,))
            return original(buffer)
        return patch

    def do_patch(self, name, kind):
        if self.sock is None or self.kind == "no send" and name == "send":
            return "skip"
        if kind == "class log":
            if self.kind in ("plain", "bare"):
                return "skip"
            cls = type(self.sock)
            inherited = getattr(cls, name, None)
            if inherited is None or name in cls.__dict__:
                return "skip"

            def patch(sock, *args):
                return self.call_logged("class " + name, functools.partial(inherited, sock), args)
            setattr(cls, name, patch)
        else:
            setattr(self.sock, name, self.make_patch(name, kind))
        self.patches[name] = kind
        self.delegated = True

    def do_unpatch(self, name):
        if self.sock is None or name not in self.patches:
            return "skip"
        cls = type(self.sock)
        if self.patches.pop(name) == "class log":
            delattr(cls, name)
        elif PY2 and isinstance(self.sock, socket.socket):
            setattr(self.sock, name, getattr(self.sock._sock, name))
        else:
            delattr(self.sock, name)
            if name in cls.__dict__:
                self.patches[name] = "class log"

    def do_script(self, name, item):
        if self.kind != "scripted" or self.sock is None:
            return "skip"
        (self.sock.incoming if name == "recv_into" else self.sock.answers).append(
            Misbehaviour(item)
        )

    # files

    def do_makefile(self, mode, buffering, encoding, errors, newline):
        if self.sock is None:
            return "skip"
        given = make_mode(mode)
        try:
            file = self.implementation.makefile(
                self.sock, given, buffering, encoding=encoding, errors=errors, newline=newline
            )
        except Exception:
            self.handled = self.get_counter()
            raise
        facts = (
            type(file).__name__,
            getattr(file, "mode", None) is given if isinstance(file, io.TextIOBase) else None,
        )
        self.keep_file(file)
        return facts

    def do_rawio(self, mode, variant):
        if self.sock is None:
            return "skip"
        base = self.implementation.SocketIO
        if variant == "subclass":
            cls = type("RawSubclass", (base,), {})
        elif variant == "logging":
            side = self

            def readinto(self, buffer):
                return side.call_logged(
                    "readinto", functools.partial(base.readinto, self), (buffer,)
                )

            def write(self, data):
                return side.call_logged("write", functools.partial(base.write, self), (data,))

            def close(self):
                side.note("close of raw")
                base.close(self)
            cls = type(
                "LoggingRaw", (base,), {"readinto": readinto, "write": write, "close": close}
            )
        else:
            cls = base
        self.keep_file(cls(self.sock, mode))
        return "raw"

    def do_wrap(self, slot, name, size):
        if not self.files:
            return "skip"
        module, name = name.split(".")
        cls = getattr(_pyio if module == "_pyio" else io, name)
        file = self.get_file(slot)
        if module == "_pyio" and isinstance(file, io.TextIOBase):
            return "skip"  # takes u"" for data and reads for ever
        self.wrapped = True
        if name == "TextIOWrapper":
            self.keep_file(cls(file, "utf-8"))
        elif name == "BufferedRWPair":
            self.keep_file(cls(file, file, size))
        else:
            self.keep_file(cls(file, size))
        return name

    def do_inner(self, slot):
        if not self.files:
            return "skip"
        file = self.get_file(slot)
        self.keep_file(file.buffer if isinstance(file, io.TextIOBase) else file.raw)

    def do_finish(self, slot, how):
        if not self.files:
            return "skip"
        if how == "drop":
            return self.drop_file(slot % len(self.files))
        if how == "detach":
            index = slot % len(self.files)
            self.files[index] = inner = self.files[index].detach()
            return type(inner).__name__
        file = self.get_file(slot)
        if how == "close":
            return plain(file.close(), self)
        with file as entered:
            if how == "with write":
                file.write(u"with" if isinstance(file, io.TextIOBase) else b"with")
            elif how == "with raise":
                raise KeyError("the body raises")
            return plain(entered, self)

    def do_query(self, slot, what):
        if not self.files:
            return "skip"
        file = self.get_file(slot)
        if what == "sock":
            return plain(self.get_raw(slot)._sock, self)
        if what == "seek":
            return plain(file.seek(0), self)
        if what == "enter":
            return plain(file.__enter__(), self)
        if what == "iter":
            return plain(iter(file), self)
        if what == "hash":
            return hash(file) == hash(file) and file == file
        if what == "dict":
            self.get_raw(slot).anything = 1
            return self.get_raw(slot).anything
        if what.startswith("write "):
            return setattr(self.get_raw(slot), what[6:], "zz")
        value = getattr(file, what)
        if what in ("name", "mode", "closed", "newlines", "encoding", "errors", "line_buffering"):
            return self.label(value) if what == "name" else plain(value, self)
        value = value()
        return self.label(value) if what == "fileno" else plain(value, self)

    def do_setattr(self, slot, what):
        if not self.files:
            return "skip"
        name, word = what.split()
        value = {"True": True, "False": False, "1": 1}.get(word, word)
        setattr(self.get_raw(slot), name, self.get_other() if word == "other" else value)

    def do_override(self, slot, what):
        if not self.files:
            return "skip"
        raw = self.get_raw(slot)
        if what == "forget":
            for name in ("readinto", "write", "close", "flush", "readable", "writable"):
                try:
                    delattr(raw, name)
                except AttributeError:
                    pass
            return None
        name, _, word = what.partition(" ")
        if name == "closed":
            raw.closed = True
            return None
        original = getattr(type(raw), name)

        def override(*args):
            result = self.call_logged("own " + name, functools.partial(original, raw), args)
            return False if word else result
        setattr(raw, name, override)

    # reading

    def run_read(self, slot, name, count, *args):
        if not self.files:
            return "skip"
        file = self.get_file(slot, name, "readable")
        return self.keep_from_blocking(file, name, count, lambda: getattr(file, name)(*args))

    def do_read(self, slot, count):
        return self.run_read(slot, "read", count, count)

    def do_read1(self, slot, count):
        return self.run_read(slot, "read1", count, *(() if count == "absent" else (count,)))

    def do_readline(self, slot, limit):
        return self.run_read(slot, "readline", limit, limit)

    def do_readlines(self, slot, hint):
        return self.run_read(slot, "readlines", None, hint)

    def do_readall(self, slot):
        return self.run_read(slot, "readall", None)

    def do_peek(self, slot, count):
        return self.run_read(slot, "peek", None, count)

    def do_next(self, slot):
        if not self.files:
            return "skip"
        file = self.get_file(slot, "readline", "readable")
        return self.keep_from_blocking(file, "next", None, lambda: next(file))

    def do_readinto(self, slot, name, kind, size):
        if not self.files:
            return "skip"
        file = self.get_file(slot, name, "readable")
        storage = bytearray(b"." * size)
        self.current = buffer = make_buffer(kind, storage)
        result = self.keep_from_blocking(
            file, name, count_bytes(buffer), lambda: getattr(file, name)(buffer)
        )
        content = buffer.tobytes() if kind == "memoryview" and not PY2 else bytes(storage)
        if isinstance(buffer, array.array):
            content = buffer.tostring() if PY2 else buffer.tobytes()
        return result, content

    # writing

    def make_data(self, file, kind, payload, size):
        data = get_payload(payload, size, self.written)
        self.written += size
        is_text = isinstance(file, io.TextIOBase)
        if kind == "own":
            kind = "text" if is_text else "bytes"
        if kind == "text":
            return data.decode("utf-8", "ignore") if payload == "utf8" else data.decode("latin-1")
        if kind == "surrogate":
            return u"\udc80"
        if kind == "none":
            return None
        if kind == "int":
            return 5
        if kind == "bytes":
            return data
        return make_buffer(kind, bytearray(data))

    def do_write(self, slot, kind, payload, size):
        if not self.files:
            return "skip"
        file = self.get_file(slot, "write", "writable")
        self.current = data = self.make_data(file, kind, payload, size)
        return plain(file.write(data), self)

    def do_writelines(self, slot, kinds, payload, size):
        if not self.files:
            return "skip"
        file = self.get_file(slot, "write", "writable")
        return plain(
            file.writelines([self.make_data(file, kind, payload, size) for kind in kinds]), self
        )

    def do_flush(self, slot):
        if not self.files:
            return "skip"
        return plain(self.get_file(slot, "flush", "writable").flush(), self)

    def do_flood(self, mode, buffering, timeout, size):
        """Write more than the send buffer takes.

        How much is taken may differ; that all of it arrives, once and in order, may not.

        With a timeout that is worth waiting for, a thread reads at the other end meanwhile.
        """
        if (
            self.kind in ("scripted", "no send")
            or self.family == "seq"
            or self.patches
            or self.sock is None
            or self.detached
            or not self.peer_open
            or not self.is_open()
        ):
            return "skip"
        self.drain_peer()
        before = len(self.received)
        payload = get_payload("binary", size, self.written)
        stop = []
        reader = threading.Thread(target=self.drain_until, args=(stop,))
        blocked = None
        self.muted = True
        self.real.settimeout(timeout)
        try:
            file = self.implementation.makefile(self.sock, mode, buffering)
            if timeout is None or timeout >= 1:
                reader.start()
            try:
                accepted = file.write(payload) or 0
                least = most = accepted
            except io.BlockingIOError as error:
                least = most = error.characters_written
                blocked = error.errno
            except socket.timeout:
                least, most = 0, size
            except socket.error as error:
                return error.errno
            finally:
                if reader.ident:
                    stop.append(True)
                    reader.join()
                self.real.settimeout(0.0)
            for _ in range(10000):
                self.drain_peer()
                try:
                    file.flush()
                except io.BlockingIOError:
                    continue
                if not get_count(self.descriptors[0].fd, termios.TIOCOUTQ):
                    break
            self.drain_peer()
            file.close()
        finally:
            self.real.settimeout(self.timeout)
            self.fd_nonblocking = False
            self.muted = False
        taken = b"".join(self.received[before:])
        del self.received[before:]
        if least <= len(taken) <= most and payload.startswith(taken):
            return "flooded", blocked
        return "%d accepted, %d received, %d of them right" % (
            least,
            len(taken),
            len(os.path.commonprefix([taken, payload])),
        )

    def drain_until(self, stop):
        while not stop:
            get_events(self.peer.fileno(), select.POLLIN, 1)
            self.drain_peer()


def is_able(file, name, ability):
    try:
        return hasattr(file, name) and not file.closed and getattr(file, ability)() is True
    except Exception:
        return False


def count_bytes(buffer):
    try:
        return len(memoryview(buffer).tobytes())
    except TypeError:
        try:
            return len(buffer) * getattr(buffer, "itemsize", 1)
        except TypeError:
            return 0


def make_buffer(kind, storage):
    """A buffer of that kind over `storage` (arrays copy it)."""
    if kind == "bytearray":
        return storage
    if kind == "memoryview":
        return memoryview(storage)
    if kind == "slice":
        return memoryview(storage)[1:]
    if kind == "array B":
        return array.array("B", storage)
    if kind == "array H":
        return array.array("H", bytes(storage[:len(storage) // 2 * 2]))
    if kind == "empty":
        return bytearray()
    if kind == "bytes":
        return bytes(storage)
    if kind == "text":
        return storage.decode("latin-1")
    if kind == "strided":
        return bytes(storage) if PY2 else memoryview(storage)[::2]
    if kind == "readonly":
        return memoryview(bytes(storage))
    return None
