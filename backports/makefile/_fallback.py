"""The pure-Python twin of the C extension: the same contract, to be read as its specification.

It serves where there is no C extension: without a compiler, and on PyPy.  Its sections follow the
files of the C implementation, and a function has the name of its counterpart there, or tells it:

    endpoint    src/endpoint.c   which path an operation takes: the direct one, or the sock's method
    transfer    src/transfer.c   the direct path: waiting, receiving, sending
    SocketIO    src/socketio.c   the raw stream; src/reading.c and src/writing.c
    reference   src/reference.c  the counter that keeps a socket open
    makefile    src/makefile.c   arguments, and raw -> Buffered -> Text

Where Python has nothing to add, the interpreter's own method does the work: a receive is one call
of it, and so is a send without a timeout.

Three things that the C extension does and Python cannot:

- When a write would block, the ``BlockingIOError`` that `io.BufferedWriter` raises has the
  ``errno`` that the last system call left.
- A signal handler that raises after a write sent some bytes loses their number, so that an
  `io.BufferedWriter` above it sends those bytes again.
- With a timeout the interpreter's own method looks whether the socket is ready before it receives
  or sends: two system calls.  On PyPy it begins its timeout anew after each signal.
"""
from __future__ import absolute_import  # 2.7 would look for each module in this package first

import errno
import functools
import io
import operator
import os
import select
import socket
import sys
import time
import types

import _socket

from ._inspect import counts_refs

PY2 = sys.version_info[0] == 2
PYPY = "__pypy__" in sys.builtin_module_names
INTEGER_TYPES = (int, long) if PY2 else (int,)  # noqa: F821
ABSENT = object()
NOTHING = object()

# What the interpreter's sockets are made of, and the methods of which the direct path is made.
CSocket = _socket.socket
RECV_INTO, RECV, SEND = CSocket.recv_into, CSocket.recv, CSocket.send
GETTIMEOUT = CSocket.gettimeout
Timeout = _socket.timeout  # what is raised; what is caught stands in the module `socket` then

# The class of most sockets on 3.x.  Its objects have no place for methods of their own: what the
# class has is what a look-up on the object gives.  No object is of type (), which stands for it on
# 2.7, and where a library has put a class of another kind there.
Socket = socket.socket if not PY2 and issubclass(socket.socket, CSocket) else ()
GETATTRIBUTE = Socket.__getattribute__

# 2.7 only; isinstance(x, ()) is False.
SocketObject = getattr(socket, "_socketobject", ())
ClosedSocket = getattr(socket, "_closedsocket", ())
SOCKETS = (CSocket, SocketObject)


# --- Endpoint: the direct path, or the sock's own method ------------------------------------------

BLOCKING_ERRNOS = frozenset([errno.EAGAIN, errno.EWOULDBLOCK])
C_METHOD = types.BuiltinMethodType
METHODS_ARE_ALIKE = PYPY and not PY2  # that is the type of all methods; each tells its function


def find_csocket(method, name):
    """The C socket that *method* is bound to, if it is the interpreter's method *name*; or None.

    Told by what the look-up gave and by nothing else: `ssl.SSLSocket` is a C socket too, and a
    fake's `fileno` may be anybody's.  The socket is the one that the method is bound to, which need
    not be the one it was looked up on.  In C: `endpoint_find`.
    """
    if type(method) is not C_METHOD:
        return None
    bound_to = method.__self__
    if not issubclass(type(bound_to), CSocket):
        return None
    return bound_to if method == getattr(CSocket, name).__get__(bound_to) else None


def get_method(stream, sock, name):
    """The method *name* of *sock*, looked up at every operation, once, as Python does.

    2.7's socket object swaps its methods for dummies when it is closed, while an open stream goes
    on: by the C socket, if that is what the socket object answered with while it was open.  A class
    that encrypts in methods of its own has lost them, and the dummy's error is right.
    """
    method = getattr(sock, name)
    if stream._csocket is None:
        return method
    if isinstance(getattr(method, "__self__", None), ClosedSocket):
        return getattr(stream._csocket, name) if name in stream._own else method
    if find_csocket(method, name) is stream._csocket:
        stream._own.add(name)
    elif getattr(sock, "_sock", None) is stream._csocket:  # still open
        stream._own.discard(name)
    return method


def endpoint_call(sock, method, b):
    """2.7: ``method(b)``, for a method of the sock's own; what it returned or raised.

    A signal ends the call with an error, and it is made again; from 3.5 on by the method itself.
    """
    began = get_time()
    while True:
        try:
            return method(b)
        except EnvironmentError as exc:
            if not is_interrupted(exc):
                raise
        if timeout_has_passed(sock, began):
            raise Timeout("timed out")


def timeout_has_passed(sock, began):
    """Whether the timeout of *sock*, if it tells one, has passed since *began*.

    A call that is made again waits for all of it again: under a timer's signals it would never end.
    """
    try:
        return get_time() - began >= float(sock.gettimeout())
    except Exception:
        return False


def is_would_block(exc):
    """Whether an error says "not now", read from it as this interpreter's own `SocketIO` does.

    In C: `endpoint_error_is`.
    """
    if sys.version_info >= (3, 10):
        return exc.errno in BLOCKING_ERRNOS
    return exc.args[:1] != () and exc.args[0] in BLOCKING_ERRNOS


def is_interrupted(exc):
    """2.7: whether a signal ended a call.  From 3.5 on the interpreter makes it again (PEP 475)."""
    return PY2 and exc.args[:1] == (errno.EINTR,)


# --- Transfer: waiting ----------------------------------------------------------------------------

MAX_WAIT_S = 3600.0  # poll() takes a C int of milliseconds: a longer wait is made of several
READY = 1  # POLLIN
# What poll() says of a socket with an error to tell, or with nobody to send to; select() does not.
ENDED = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)


def make_clock():
    """A function that gives the time in seconds, which nobody freezes.

    A library that freezes time replaces every attribute of a module that is `time.time` or
    `time.monotonic`.  So none is; and if they are replaced already, there is the system's own.
    2.7 has no monotonic clock, and its own timeouts run on `time.time` too.
    """
    clock = getattr(time, "monotonic", time.time)
    if isinstance(clock, types.BuiltinFunctionType):
        return (lambda: clock()) if PYPY else functools.partial(clock)  # the latter is C here
    return lambda: os.times()[4]


get_time = make_clock()


def deadline_after(start, timeout):
    """When a timeout of so many seconds has passed, in seconds of `get_time`; None for no wait."""
    return start + timeout if timeout else None


def wait_until(deadline, csocket, writing):
    """Wait until *csocket* is ready: what poll() says of it, or 0 when *deadline* has passed.

    Handlers of signals run meanwhile.  In C: `transfer_await`.
    """
    while True:
        remaining = deadline - get_time()
        fd = CSocket.fileno(csocket)  # anew each time: it may be closed or detached during a wait
        if fd < 0:
            return READY  # the call that follows says what is wrong
        if remaining <= 0:
            return 0
        remaining = min(MAX_WAIT_S, remaining)  # in this order NaN, which 2.7 takes, is a wait
        try:
            if hasattr(select, "poll"):
                poll = select.poll()
                poll.register(fd, select.POLLOUT if writing else select.POLLIN)
                for _, events in poll.poll(int(remaining * 1000) + 1):
                    return events
            else:
                reads, writes = ([], [fd]) if writing else ([fd], [])
                if any(select.select(reads, writes, [], remaining)):
                    return READY
        except select.error as exc:
            if not is_interrupted(exc):
                raise


# --- Transfer: receiving --------------------------------------------------------------------------

# With a timeout nothing may rely on the descriptor being non-blocking: a duplicate of the socket
# may have made it blocking.  Where the flag is missing (Windows) the descriptor's state has to do.
MSG_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
# What an object raises that is no buffer, not the one wanted, or none any more.
NO_BUFFER = (TypeError, BufferError, ValueError)


def transfer_recv(csocket, b, stream):
    """One receive of the interpreter's own for the whole of *b*; what it returned or raised."""
    rest = stream._rest
    if rest is not None:
        if rest.error and rest.csocket == id(csocket):
            return recv_before_error(csocket, b, stream, rest.error)
        stream._rest = None
    timeout = GETTIMEOUT(csocket)
    if PY2:
        return recv_again(csocket, b, timeout)
    if timeout is None:
        return RECV_INTO(csocket, b)
    return RECV_INTO(csocket, b, 0, MSG_DONTWAIT)


def recv_before_error(csocket, b, stream, error):
    """A receive while an error is kept: what came before the error is read first."""
    view = view_or_none(b)
    if view is None or view.readonly:
        return RECV_INTO(csocket, b)  # its own error
    count, room = 0, len(view)
    try:
        if not GETTIMEOUT(csocket) or wait_until(get_time() + 0.001, csocket, writing=False):
            count = RECV_INTO(csocket, view, 0, MSG_DONTWAIT)
    except EnvironmentError:
        pass
    finally:
        release(view)
        del view
    if count or not room:
        return count
    stream._rest = None
    raise socket.error(error, os.strerror(error))


def recv_again(csocket, b, timeout):
    """2.7: a receive that goes on after a signal, with the time that is left."""
    view = view_or_none(b)
    if view is not None and not len(view) and not view.readonly:
        return 0  # its own would ask the system, and be told that nothing is there
    del view
    deadline = deadline_after(get_time(), timeout)
    flags = () if timeout is None else (0, MSG_DONTWAIT)
    while True:
        try:
            return RECV_INTO(csocket, b, *flags)
        except EnvironmentError as exc:
            if not is_interrupted(exc):
                raise
        if deadline is not None and not wait_until(deadline, csocket, writing=False):
            raise Timeout("timed out")


def view_or_none(b):
    """A memoryview of *b*, or None if it has none.

    It is *b* if that is one: 2.7 never frees a second one of what BufferedWriter hands out.
    """
    if PY2 and type(b) is memoryview:
        return b
    try:
        return memoryview(b)
    except NO_BUFFER:
        if is_buffer_in_python(b):
            raise  # it refused, and is not to be asked again
        return None


def release(view):
    """Let go of a view, or a kept traceback keeps the caller's bytearray from being resized.

    2.7's go with their last reference: so who has one deletes it as well.
    """
    if not PY2:
        view.release()


def is_buffer_in_python(b):
    """Whether *b* is a buffer by a `__buffer__` in Python code, which 3.12 and newer ask."""
    exporter = getattr(type(b), "__buffer__", None)
    return exporter is not None and type(exporter) is not type(getattr(bytes, "__buffer__", None))


# --- Transfer: sending ----------------------------------------------------------------------------

REST_S = 0.05  # a send that comes this soon after one whose time was up is the rest of it
# What is left to a write whose time is up: whether there is room now.
ONE_LOOK_S = 0.001

# The errors that the system tells once; others it tells each time.  In C: `is_told_once`.
TOLD_ONCE = frozenset(getattr(errno, name) for name in (
    "ECONNRESET", "ECONNABORTED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN",
    "ECONNREFUSED") if hasattr(errno, name))


class Rest(object):
    """What a short write leaves for the next transfer of the stream.  In C: `transfer_history`.

    *error*: the errno that ended it, if the system tells that once, or 0.  A read gives first what
    came before the error.
    *idle*, *ended*: if its timeout had passed, since when no byte was taken and when it ended.  The
    rest of it, which a buffer sends at once, has no time left.  A read ends that.
    """

    def __init__(self, csocket, error=0, idle=None, ended=None):
        self.csocket = id(csocket)  # another socket is not concerned, and this one not kept open
        self.error = error
        self.idle = idle
        self.ended = ended


def take_rest(csocket, stream):
    """Raise the error that is kept; or since when nothing was taken, if this send is a rest."""
    rest, stream._rest = stream._rest, None
    if rest is None or rest.csocket != id(csocket):
        return None
    if rest.error:
        raise socket.error(rest.error, os.strerror(rest.error))
    return rest.idle if get_time() - rest.ended < REST_S else None


def transfer_send(csocket, b, stream):
    """Send *b* until all is taken, and return the number of bytes sent.

    A socket that would block, a timeout (of the whole), an error or a signal ends it early: after
    progress with the number of bytes that went out, so that nothing is lost or sent twice above;
    without progress with the error.
    """
    timeout = GETTIMEOUT(csocket)
    if timeout is None and stream._rest is None:
        return send_waiting(csocket, b)
    # A `__buffer__` in Python code is asked once: what is taken here is used throughout.
    view = view_bytes(b)
    if view is None:
        return SEND(csocket, b)  # its own result or error
    try:
        idle = take_rest(csocket, stream)
        if timeout is None:
            return send_waiting(csocket, view)
        if idle is not None and timeout:
            deadline = max(deadline_after(idle, timeout), get_time() + ONE_LOOK_S)
            return transfer_resume(csocket, view, stream, deadline, idle, 0)
        deadline = deadline_after(get_time(), timeout)
        try:
            sent = SEND(csocket, view, MSG_DONTWAIT)
        except EnvironmentError as exc:
            if not is_interrupted(exc):
                raise
            sent = 0
        else:
            if sent == len(view):
                return sent
        return transfer_resume(csocket, view, stream, deadline, get_time(), sent)
    finally:
        release(view)
        del view


def transfer_resume(csocket, view, stream, deadline, idle, sent):
    """Go on with a send of which *sent* bytes of *view* were taken; how many were in all.

    *deadline*: None if the socket is non-blocking.  *idle*: since when no byte was taken.
    """
    try:
        while deadline is not None or not sent:
            if deadline is not None:
                events = wait_until(deadline, csocket, writing=True)
                if not events:
                    if not sent:
                        raise Timeout("timed out")
                    stream._rest = Rest(csocket, idle=idle, ended=get_time())
                    return sent
                if sent and events & ENDED:
                    return sent  # whoever uses the socket next is told
            left = view[sent:]
            try:
                sent += SEND(csocket, left, MSG_DONTWAIT)
            except EnvironmentError as exc:
                if sent:
                    if exc.errno in TOLD_ONCE:
                        stream._rest = Rest(csocket, error=exc.errno)
                    return sent
                if not is_interrupted(exc):
                    raise
            else:
                if sent == len(view):
                    return sent
                idle = get_time()
            finally:
                release(left)
        return sent
    finally:
        del view


def send_rest(csocket, b, stream, deadline, sent):
    """`transfer_resume` with *b*, bytes or a memoryview, of which *sent* bytes were just taken."""
    view = view_bytes(b)
    try:
        return transfer_resume(csocket, view, stream, deadline, get_time(), sent)
    finally:
        release(view)


def send_waiting(csocket, b):
    """A send without a timeout: it waits in the system; a signal or an error cuts it short."""
    while True:
        try:
            return SEND(csocket, b)
        except EnvironmentError as exc:
            if not is_interrupted(exc):
                raise


def view_bytes(b):
    """A memoryview of *b* whose items are its bytes; None if only the socket itself can tell."""
    view = view_or_none(b)
    if view is None:
        return None
    if not getattr(view, "c_contiguous", True):
        return view if is_buffer_in_python(b) else None
    if is_byte_view(view):
        return view
    data = view.tobytes()
    release(view)
    return memoryview(data)


def is_byte_view(b):
    """Whether *b* is a memoryview that has its bytes one after the other as its items."""
    return (type(b) is memoryview and b.itemsize == 1 and b.ndim == 1
            and getattr(b, "c_contiguous", True))


# --- SocketIO -------------------------------------------------------------------------------------

# A read of at most this size may be a `recv`, which makes bytes of that size and cuts them to what
# came.  With larger ones each message that is kept would cost a page of memory.
CHUNK = 8192


class SocketIO(io.RawIOBase):
    """SocketIO(sock, mode): the raw stream over a socket object.

    *sock* is the socket object, which needs only the methods that are used: `recv_into` to read,
    `send` or `sendall` to write, `_decref_socketios` (if it has one) when the stream is closed.
    *mode* is ``"r"``, ``"w"`` or ``"rw"``, with or without a ``"b"``; all else is a ValueError.
    The socket's counter is not touched here: `backport_makefile` does that.

    **Source:** `socket.SocketIO` of CPython 3.6 to 3.13, and the documentation of `io.RawIOBase`.
    """

    __module__ = "backports.makefile"

    _close_base = io.RawIOBase.close  # reached without a global name: see write()
    _rest = None  # see Rest
    # What close() owes the socket: [what `reference_take` returned]; [None] for a stream made
    # directly; [NOTHING] while backport_makefile is at work.  In a list, for one of several threads
    # that close at once to take out.
    _owed = None
    # 2.7: the C socket, held for as long as the stream is open, when the socket object has no
    # counter; and the names for which the socket object answers with that one's own method.
    _csocket = None
    _own = ()

    def __init__(self, sock, mode):
        if mode not in ("r", "w", "rw", "rb", "wb", "rwb"):
            raise ValueError("invalid mode: %r" % mode)
        io.RawIOBase.__init__(self)
        self._sock = sock
        if "b" not in mode:
            mode += "b"
        self._mode = mode
        self._reading = "r" in mode
        self._writing = "w" in mode
        self._timeout_occurred = False
        self._rest = None
        self._owed = [None]
        if PY2:
            hold_csocket(self, sock)

    # --- Reading (src/reading.c)

    def readinto(self, b):
        """readinto(b): receive up to ``len(b)`` bytes into the buffer *b*, and return their number.

        0 is the end of the stream; None means that the socket is non-blocking and nothing is there.

        ValueError: the stream is closed.  `io.UnsupportedOperation` (2.7: IOError): it was not made
        for reading.  `socket.timeout`: the socket's timeout, in seconds, has passed; every later
        read is then an OSError (2.7: IOError).  And the socket's own errors.

        **Source:** `socket.SocketIO.readinto` of CPython 3.6 to 3.13.
        """
        self._checkClosed()
        self._checkReadable()
        if self._timeout_occurred:
            raise IOError("cannot read from timed out object")
        sock = self._sock
        try:
            # The usual socket: what `_receive` comes to, in place, as a call more costs much.
            if type(sock) is Socket and self._rest is None:
                if GETTIMEOUT(sock) is None:
                    return sock.recv_into(b)  # whoever's: by both paths this call
                if Socket.recv_into is RECV_INTO and Socket.__getattribute__ is GETATTRIBUTE:
                    return RECV_INTO(sock, b, 0, MSG_DONTWAIT)
            if PY2:
                return self._receive(sock, get_method(self, sock, "recv_into"), b)
            recv_into = sock.recv_into
            if self._rest is not None or type(recv_into) is C_METHOD and (
                    not METHODS_ARE_ALIKE or recv_into.__func__ is RECV_INTO):
                return self._receive(sock, recv_into, b)
            return recv_into(b)
        except socket.timeout:
            self._timeout_occurred = True
            raise
        except EnvironmentError as exc:
            if is_would_block(exc):
                return None
            raise

    def _receive(self, sock, recv_into, b):
        """One receive into *b*, by either path, of a sock that has this method."""
        if type(recv_into) is C_METHOD:
            csocket = find_csocket(recv_into, "recv_into")
            if csocket is not None:
                return transfer_recv(csocket, b, self)
        if self._rest is not None:
            self._rest.idle = None  # a read ends what a short write began
        return endpoint_call(sock, recv_into, b) if PY2 else recv_into(b)

    def read(self, size=-1):
        """read(size=-1): one `readinto` of at most *size* bytes, as bytes; None if that gave None.

        Negative: `readall`.  A `readinto` that claims more than *size* is a ValueError: the
        inherited `read` believes it, and returns what lies behind its buffer.

        **Source:** `io.RawIOBase.read` of CPython 3.6 to 3.13.
        """
        readinto = self.readinto
        try:
            inline = (type(size) is int and 0 < size <= CHUNK
                      and readinto.__func__ is READINTO and readinto.__self__ is self)
        except AttributeError:  # it is no method
            inline = False
        if not inline:
            if type(size) is not int:
                size = parse_size(size)
            return self.readall() if size < 0 else make_bytes(size, readinto)
        # From here on as in readinto(), with one buffer less and without a call.
        self._checkClosed()
        self._checkReadable()
        if self._timeout_occurred:
            raise IOError("cannot read from timed out object")
        sock = self._sock
        try:
            if (type(sock) is Socket and Socket.recv_into is RECV_INTO
                    and Socket.__getattribute__ is GETATTRIBUTE and self._rest is None):
                if GETTIMEOUT(sock) is None:
                    return RECV(sock, size)
                return RECV(sock, size, MSG_DONTWAIT)
            buffer = bytearray(size)
            recv_into = get_method(self, sock, "recv_into") if PY2 else sock.recv_into
            if type(recv_into) is C_METHOD or PY2 or self._rest is not None:
                count = self._receive(sock, recv_into, buffer)
            else:
                count = recv_into(buffer)
            if type(count) is int and count == size == len(buffer) and not TAKES_BYTES:
                return bytes(buffer)
        except socket.timeout:
            self._timeout_occurred = True
            raise
        except EnvironmentError as exc:
            if is_would_block(exc):
                return None
            raise
        return cut_bytes(buffer, count, size)

    def readall(self):
        """readall(): all bytes up to the end of the stream, by `read` again and again.

        For a non-blocking socket the bytes so far, or None if there are none.

        **Source:** `io.RawIOBase.readall` of CPython 3.6 to 3.13.
        """
        return super(SocketIO, self).readall()  # the inherited one does not hold the stream

    # --- Writing (src/writing.c)

    def write(self, b):
        """write(b): send the bytes-like object *b*, and return the number of bytes sent.

        On a plain socket it sends until all is taken; less than that was sent only when the socket
        is non-blocking, its timeout has passed, a signal came or an error happened in between.
        None means that the socket would block and nothing was sent.  Any other socket gets one
        ``send(b)``, whose result is returned; without a `send`, ``sendall(b)``.

        ValueError: the stream is closed.  `io.UnsupportedOperation` (2.7: IOError): it was not made
        for writing.  `socket.timeout` and the socket's own errors: only if nothing was sent.

        **Source:** `socket.SocketIO.write` and `socket.socket.sendall` of CPython 3.6 to 3.13.
        """
        self._checkClosed()
        self._checkWritable()
        if Socket is None or type is None:
            # At exit the interpreter empties its modules, this one and that of the built-in names
            # too, and then comes a buffer that was never flushed.
            return (self._csocket if "send" in self._own else self._sock).send(b)
        sock = self._sock
        try:
            if type(sock) is Socket and self._rest is None:
                timeout = GETTIMEOUT(sock)
                if timeout is None:
                    return sock.send(b)  # whoever's: by both paths this call
                kind = type(b)
                if ((kind is bytes or kind is memoryview and b.c_contiguous) and Socket.send is SEND
                        and Socket.__getattribute__ is GETATTRIBUTE):
                    nbytes = len(b) if kind is bytes else b.nbytes
                    began = get_time()
                    sent = SEND(sock, b, MSG_DONTWAIT)
                    if sent == nbytes:
                        return sent
                    return send_rest(sock, b, self, deadline_after(began, timeout), sent)
            try:
                send = get_method(self, sock, "send") if PY2 else sock.send
            except AttributeError:
                if not lacks_send(sock):
                    raise
                sendall = getattr(sock, "sendall", ABSENT)
                if sendall is ABSENT:
                    raise
            else:
                if type(send) is C_METHOD and (not METHODS_ARE_ALIKE or send.__func__ is SEND):
                    csocket = find_csocket(send, "send")
                    if csocket is not None:
                        return transfer_send(csocket, b, self)
                return endpoint_call(sock, send, b) if PY2 else send(b)
            return write_by_sendall(sendall, b)
        except EnvironmentError as exc:
            if is_would_block(exc):
                return None
            raise

    # --- Being asked (src/socketio.c)

    def readable(self):
        """readable(): whether the stream was made for reading.  ValueError once it is closed."""
        if self.closed:
            raise ValueError("I/O operation on closed socket.")
        return self._reading

    def writable(self):
        """writable(): whether the stream was made for writing.  ValueError once it is closed."""
        if self.closed:
            raise ValueError("I/O operation on closed socket.")
        return self._writing

    def seekable(self):
        """seekable(): False.  ValueError once the stream is closed."""
        if self.closed:
            raise ValueError("I/O operation on closed socket.")
        return super(SocketIO, self).seekable()

    def fileno(self):
        """fileno(): the file descriptor of the socket, an int.  ValueError once it is closed."""
        self._checkClosed()
        sock = self._sock
        if self._csocket is not None and isinstance(getattr(sock, "_sock", None), ClosedSocket):
            sock = self._csocket
        return sock.fileno()

    @property
    def name(self):
        """The file descriptor of the socket, or -1 once the stream is closed."""
        return -1 if self.closed else self.fileno()

    @property
    def mode(self):
        """``"rb"``, ``"wb"`` or ``"rwb"``."""
        return self._mode

    def __reduce__(self):
        raise TypeError("cannot pickle %r object" % type(self).__name__)

    # --- Closing (src/socketio.c)

    def close(self):
        """close(): close the stream and give its one reference to the socket back; once.

        The socket itself is closed only if it was closed before and this was its last stream.
        What an overridden `flush` or the socket's `_decref_socketios` raises comes out, and the
        stream is closed all the same.

        **Source:** `socket.SocketIO.close` of CPython 3.6 to 3.13.
        """
        if self.closed:
            return
        try:
            self._close_base()
        finally:
            try:
                counter = self._owed.pop()
            except IndexError:
                counter = NOTHING
            except AttributeError:
                counter = None  # a subclass did not call __init__
            if counter == "_io_refs":
                self._sock._decref_socketios()
            elif counter is not NOTHING or NOTHING is None:  # as at exit, see write()
                self._give_back(counter)
            self._sock = None
            if PY2:
                self._csocket = None

    def _give_back(self, counter):
        """Give the stream's one reference back.  In C: `release_sock`."""
        try:
            sock = self._sock
        except AttributeError:
            if getattr(self, "_finalizing", False):
                return  # __init__ never ran, or refused the mode: nothing is owed, nothing is said
            raise
        if reference_release is not None:
            reference_release(sock, counter)
        else:  # at exit
            try:
                sock._decref_socketios()
            except AttributeError:
                pass


READINTO = vars(SocketIO)["readinto"]


def hold_csocket(stream, sock):
    """2.7: hold the C socket of a socket object that counts no streams, and learn what it answers.

    In C: `reference_csocket` and `endpoint_learn`.
    """
    stream._csocket = None
    if isinstance(sock, SocketObject) and find_counter(sock) is None:
        stream._csocket = sock._sock
        stream._own = set()
        for name in ("recv_into", "send"):
            if getattr(sock, name, ABSENT) is not ABSENT:
                get_method(stream, sock, name)


TAKES_BYTES = hasattr(bytearray, "take_bytes")  # 3.15


class Measure(io.RawIOBase):
    """Tells the size that the interpreter's own `read` makes of its argument."""

    size = None

    def readinto(self, b):
        self.size = len(b)
        return 0

    def readall(self):
        self.size = -1


def parse_size(size):
    """An argument of `read` that is no plain int, as one, or the error of the interpreter's own."""
    measure = Measure()
    measure.read(size)
    return measure.size


def make_bytes(size, readinto):
    """Read by *readinto* into a buffer of *size* bytes; what came, as bytes, or None."""
    if size > sys.maxsize >> 1:
        Measure().read(size)  # MemoryError; from 3.15 on OverflowError
    buffer = bytearray(size)
    return cut_bytes(buffer, readinto(buffer), size)


def cut_bytes(buffer, count, size):
    """The first *count* bytes of *buffer*, to which *size* were offered; None for None.

    A ValueError if more are claimed than were offered, or than there are.  In C:
    `bytes_from_readinto`.
    """
    if count is None:
        return None
    if type(count) is not int:
        count = operator.index(count)
    if not 0 <= count <= size or count > len(buffer):
        if abs(count) > sys.maxsize:
            raise ValueError("cannot fit %r into an index-sized integer" % type(count).__name__)
        raise ValueError("readinto returned %d outside buffer size %d" % (count, size))
    if TAKES_BYTES:  # BufferError if somebody keeps a view of it
        return buffer.take_bytes(count)
    if count == len(buffer):
        return bytes(buffer)
    return memoryview(buffer)[:count].tobytes()


def lacks_send(sock):
    """Whether *sock* has no `send` at all, and not one that is not ready, as before a handshake."""
    return not isinstance(sock, SOCKETS) and getattr(type(sock), "send", ABSENT) is ABSENT


def write_by_sendall(sendall, b):
    """``sendall(b)`` for sockets without `send`; the length of *b* in bytes."""
    try:
        nbytes = count_bytes(b)  # first: sendall may run code that changes b
    except Exception:
        sendall(b)  # it may have a better word for what is wrong
        raise
    sendall(b)  # never again after EINTR: how much went out is unknown
    return nbytes


def count_bytes(b):
    """The length of *b* in bytes.  In C: `buffer_nbytes`."""
    if not PY2:
        with memoryview(b) as view:
            return view.nbytes
    if isinstance(b, unicode):  # noqa: F821  2.7's sockets take it, in the default encoding
        return len(b.encode())
    view = view_or_none(b)
    if view is None:
        return len(buffer(b))  # noqa: F821  array.array has only the old buffer protocol
    nbytes = view.itemsize
    for length in view.shape:
        nbytes *= length
    return int(nbytes)  # a long so far


# --- Reference: the counter that keeps a socket open ----------------------------------------------

SOCKET_DECREF = getattr(socket.socket, "_decref_socketios", None)
NO_COUNTER = ("%r object has no attribute '_makefile_refs': give the class `_makefile_refs = 0`, "
              "or use backports.makefile.install(%s)")


def find_counter(sock):
    """The name of the attribute in which *sock* counts its open streams, or None.

    Only an AttributeError says that a name is absent; what else a look-up raises comes out.
    """
    if counts_as_socket(sock):
        return "_io_refs"
    if isinstance(getattr(sock, "_makefile_refs", None), INTEGER_TYPES):
        return "_makefile_refs"
    if getattr(sock, "_io_refs", ABSENT) is not ABSENT:
        return "_io_refs"
    return None


def counts_as_socket(sock):
    """Whether *sock* counts as 3.x's own `socket.socket` does, whatever else it has."""
    return getattr(type(sock), "_decref_socketios", ABSENT) is SOCKET_DECREF


def reference_take(sock):
    """Count one stream more on *sock*; the name of the counter, or None for a socket without one.

    The C socket of the interpreter, and 2.7's socket object around it, stay open as long as
    somebody holds them.
    """
    counter = find_counter(sock)
    if counter == "_io_refs":
        sock._io_refs += 1
    elif counter == "_makefile_refs":
        sock._makefile_refs += 1
    elif not isinstance(sock, SOCKETS):
        name = type(sock).__name__
        raise AttributeError(NO_COUNTER % (name, name))
    return counter


def reference_restore(sock, counter):
    """Undo `reference_take`.  Never by the socket's _decref_socketios(), which may do more.

    The interpreter's own socket, if it was closed meanwhile, is closed with its last stream.
    """
    if counter == "_makefile_refs":
        sock._makefile_refs -= 1
    elif counter == "_io_refs":
        sock._io_refs -= 1
        if counts_as_socket(sock) and sock._closed:
            sock.close()


def reference_release(sock, counter):
    """Give a reference back at the end of its stream: by the socket's own method, if it has one.

    Without one the counter goes down.  Only a `close` that itself counts is called: 2.7's
    ssl.SSLSocket and urllib3's old WrappedSocket then close with the last stream.
    """
    decref = getattr(sock, "_decref_socketios", ABSENT)
    if decref is not ABSENT:
        decref()
    elif counter == "_makefile_refs":
        if counts_refs(get_class(sock)):
            sock.close()
        elif getattr(sock, "_makefile_refs", ABSENT) is not ABSENT:  # or it is not what was counted
            sock._makefile_refs -= 1


def get_class(sock):
    """The class of *sock*; on 2.7 all objects of the old style have one type."""
    return sock.__class__ if PY2 and type(sock) is types.InstanceType else type(sock)


def abandon(raw, sock, counter):
    """Undo the counting and close the unfinished stream.  What failed first is what comes out.

    In C: `socketio_abandon`.
    """
    raw._owed = []
    try:
        try:
            if counter is not NOTHING:
                reference_restore(sock, counter)
        finally:
            raw.close()
    except Exception:
        pass


# --- makefile -------------------------------------------------------------------------------------

def backport_makefile(self, mode="r", buffering=None, encoding=None, errors=None, newline=None):
    """backport_makefile(self, mode="r", buffering=None, encoding=None, errors=None, newline=None)

    A stream over a socket: what Python 3's socket.makefile() returns, for any socket-like object,
    as a function and as a method.

    *self*: the socket object.  As an attribute of a class it is passed in as for any method.
    *mode*: a combination of ``"r"``, ``"w"`` and ``"b"``; without ``"b"`` the stream is text,
    without ``"w"`` it reads.
    *buffering*: the size of the buffer in bytes; 0 gives the raw stream, in binary modes only; None
    or a negative number is `io.DEFAULT_BUFFER_SIZE`; 1 is a buffer of one byte.
    *encoding*, *errors*, *newline*: as for `io.TextIOWrapper`; binary modes ignore them.

    Returns a `SocketIO`, `io.BufferedReader`, `io.BufferedWriter`, `io.BufferedRWPair` or
    `io.TextIOWrapper`.  The socket stays open until it and all its streams are closed.

    ValueError: other letters in *mode*; unbuffered text; a *newline* that `io.TextIOWrapper` does
    not know.  LookupError: an unknown *encoding*.  TypeError: an argument of a wrong type.
    OverflowError, MemoryError: too large a buffer.  AttributeError: the socket has nothing that
    counts its streams.  After each the count is what it was before.

    **Source:** `socket.socket.makefile` of CPython 3.6 to 3.13, "Socket Objects" in the
    documentation of `socket`.
    """
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError("invalid mode %r (only r, w, b allowed)" % (mode,))
    writing = "w" in mode
    reading = "r" in mode or not writing
    binary = "b" in mode
    raw = SocketIO.__new__(SocketIO)
    counter = NOTHING
    try:
        raw.__init__(self, ("r" if reading else "") + ("w" if writing else ""))
        owed = raw._owed
        owed[0] = NOTHING  # who closes the unfinished stream does not tell the socket
        if type(self) is Socket and Socket._decref_socketios is SOCKET_DECREF:
            self._io_refs += 1  # what reference_take() does
            counter = "_io_refs"
        else:
            counter = reference_take(self)
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0:
            if not binary:
                raise ValueError("unbuffered streams must be binary")
            stream = raw
        elif reading and writing:
            stream = io.BufferedRWPair(raw, raw, buffering)
        elif reading:
            stream = io.BufferedReader(raw, buffering)
        else:
            stream = io.BufferedWriter(raw, buffering)
        if not binary:
            if hasattr(io, "text_encoding"):
                encoding = io.text_encoding(encoding)  # here, so that its warning names our caller
            stream = io.TextIOWrapper(stream, encoding, errors, newline)
            stream.mode = mode
        if owed:
            owed[0] = counter
        else:  # somebody found the stream and closed it
            reference_restore(self, counter)
    except BaseException:
        abandon(raw, self, counter)
        raise
    return stream


backport_makefile.__module__ = SocketIO.__module__

# isinstance(raw, socket.SocketIO) holds: that is an abstract class on 3.x, unless install() has put
# a C type there.
register = getattr(getattr(socket, "SocketIO", None), "register", None)
if register is not None:
    register(SocketIO)
