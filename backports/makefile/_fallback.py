"""The pure-Python twin of the C extension: the same contract, to be read.

It serves where there is no C extension (no compiler, PyPy), and it is the specification that people read.  From top to
bottom: what the interpreter's own socket method is; waiting; the delegating path; the direct path, receiving and sending;
the raw stream `SocketIO`; the counter that keeps a socket open; `backport_makefile`, which composes raw -> Buffered -> Text.

Two things the C extension does and Python cannot: when a write would block, the ``BlockingIOError`` that
`io.BufferedWriter` raises has whatever ``errno`` the last system call left; and a signal handler that raises after a
write sent some bytes loses their number, so a `io.BufferedWriter` above will send them again.
"""
from __future__ import absolute_import  # 2.7 would look for each module in this package first

import errno
import io
import operator
import os
import select
import socket
import sys
import time
import types

import _socket

PY2 = sys.version_info[0] == 2
# Its socket methods begin their timeout anew after every signal, so the waiting has to be done before they are called.
PYPY = "__pypy__" in sys.builtin_module_names

CSocket = _socket.socket
Timeout = socket.timeout
BLOCKING_ERRNOS = (errno.EAGAIN, errno.EWOULDBLOCK)
# Where it is missing (Windows) the socket's own non-blocking state has to do.
MSG_DONTWAIT = getattr(socket, "MSG_DONTWAIT", 0)
MIN_WAIT_S = 0.001 if PYPY else 0.0  # where the wait comes first, it has to be one
MAX_WAIT_S = 3600.0  # poll() counts in a C int of milliseconds: longer waits are made of several
REST_S = 0.05  # a send that comes this soon after one whose time was up is the rest of it, which a buffer sends
READY = 1  # as poll() says POLLIN
# What poll() says of a socket that has an error to tell, or nobody to send to; select() does not.
ENDED = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0)

ABSENT = object()
# What an object that is no buffer raises, none as wanted, or none any more; all else a `__buffer__` in Python code (3.12) raised.
NO_BUFFER = (TypeError, BufferError, ValueError)
SOCKET_DECREF = getattr(socket.socket, "_decref_socketios", None)

# 2.7 only; isinstance(x, ()) is False.
SocketObject = getattr(socket, "_socketobject", ())
SOCKETS = (CSocket, SocketObject)
ClosedSocket = getattr(socket, "_closedsocket", ())

if PY2:
    INTEGER_TYPES = (int, long)  # noqa: F821
    get_time = time.time  # 2.7 has no monotonic clock; its own socket timeouts run on this one too
else:
    INTEGER_TYPES = (int,)
    get_time = time.monotonic


# --- The interpreter's own method -------------------------------------------------------------------------------------

def find_csocket(method, name):
    """The C socket that *method* is bound to, if it is the interpreter's own method *name*; else None.

    Told by what the look-up gave and by nothing else: `ssl.SSLSocket` is a C socket too, and a fake's `fileno` may be
    anybody's.  The socket is the one the method is bound to, which need not be the one it was looked up on.
    """
    if type(method) not in (types.BuiltinMethodType, types.MethodType):  # PyPy's are of the second type
        return None
    bound_to = method.__self__
    if not issubclass(type(bound_to), CSocket) or method != getattr(CSocket, name).__get__(bound_to):
        return None
    return bound_to


def is_would_block(exc):
    """Whether a socket method's error says "not now", read from it as this interpreter's `SocketIO` does."""
    if sys.version_info >= (3, 10):
        return exc.errno in BLOCKING_ERRNOS
    return exc.args[:1] != () and exc.args[0] in BLOCKING_ERRNOS


def is_interrupted(exc):
    """Whether a call has to be made again because of a signal.  From 3.5 on the interpreter does that itself (PEP 475)."""
    return PY2 and exc.args[:1] == (errno.EINTR,)


# --- Waiting ----------------------------------------------------------------------------------------------------------

def get_deadline(start, timeout):
    """The time, in seconds of `get_time`, at which a socket timeout of *timeout* seconds has passed; None for no wait."""
    return start + max(timeout, MIN_WAIT_S) if timeout else None


def wait_until(deadline, csocket, writing):
    """Wait until *csocket* is ready: what poll() says of it, or 0 when *deadline* has passed.  Signal handlers run meanwhile."""
    while True:
        remaining = deadline - get_time()
        fd = CSocket.fileno(csocket)  # anew each time: it may have been closed or detached during a wait
        if fd < 0:
            return READY  # the call that follows will say what is wrong
        if remaining <= 0:
            return 0
        remaining = min(MAX_WAIT_S, remaining)  # in this order NaN, which 2.7 takes for a timeout, waits for ever
        try:
            if hasattr(select, "poll"):
                poll = select.poll()
                poll.register(fd, select.POLLOUT if writing else select.POLLIN)
                for _, events in poll.poll(int(remaining * 1000) + 1):
                    return events
            elif any(select.select([] if writing else [fd], [fd] if writing else [], [], remaining)):
                return READY
        except select.error as exc:
            if not is_interrupted(exc):
                raise


# --- The delegating path ----------------------------------------------------------------------------------------------

def delegate(sock, method, b):
    """``method(b)``, exactly so, for a method of *sock* that is not the interpreter's own; what it returned or raised."""
    began = get_time()
    while True:
        try:
            return method(b)
        except EnvironmentError as exc:
            if not is_interrupted(exc):
                raise
        if has_timed_out(sock, began):
            raise Timeout("timed out")


def has_timed_out(sock, began):
    """Whether the timeout of *sock*, if it tells one, has passed since *began*.

    A call that is made again waits for all of it again: under a timer's signals it would never end.
    """
    try:
        return get_time() - began >= float(sock.gettimeout())
    except Exception:
        return False


def lacks_send(sock):
    """Whether *sock* has no `send` at all, and not one that is not ready, as before a handshake."""
    return not isinstance(sock, SOCKETS) and not hasattr(type(sock), "send")


def send_by_sendall(sendall, b):
    """``sendall(b)`` for sockets without `send`; the length of *b* in bytes."""
    try:
        nbytes = count_bytes(b)  # first: sendall may run code that changes b
    except Exception:
        sendall(b)  # it may have a better word for what is wrong
        raise
    sendall(b)  # never again after EINTR: how much went out is unknown
    return nbytes


def as_view(b):
    """A memoryview of *b*, which is *b* if it is one: 2.7 never frees a second one of what BufferedWriter hands out."""
    return b if PY2 and type(b) is memoryview else memoryview(b)


def count_bytes(b):
    if not PY2:
        return memoryview(b).nbytes
    if isinstance(b, unicode):  # noqa: F821  2.7's sockets take it, in the default encoding
        return len(b.encode())
    try:
        view = as_view(b)
    except TypeError:
        return len(buffer(b))  # noqa: F821  array.array has only the old buffer protocol
    nbytes = view.itemsize
    for length in view.shape:
        nbytes *= length
    return int(nbytes)  # a long so far


# --- The direct path: receiving ---------------------------------------------------------------------------------------

def receive(recv_into, csocket, b, stream):
    """One call of the interpreter's own `recv_into` for the whole of *b*; what it returned or raised.

    With a timeout it must not rely on the descriptor being non-blocking: a duplicate of the socket may have made it blocking.
    """
    if has_no_room(b):
        return 0  # 2.7's own would ask the system, and be told that nothing is there
    tell_error(stream)
    timeout = CSocket.gettimeout(csocket)
    deadline = get_deadline(get_time(), timeout)
    args = (b,) if timeout is None else (b, 0, MSG_DONTWAIT)
    waits = PYPY
    while True:
        if waits and deadline is not None and not wait_until(deadline, csocket, writing=False):
            raise Timeout("timed out")
        try:
            return recv_into(*args)
        except EnvironmentError as exc:
            if not is_interrupted(exc):
                raise
        waits = True


def has_no_room(b):
    """Whether *b* is a writable buffer without a single byte."""
    try:
        view = as_view(b)
        return len(view) == 0 and not view.readonly and getattr(view, "c_contiguous", True)
    except NO_BUFFER:
        return False  # the socket's own method will say what is wrong


# --- The direct path: sending -----------------------------------------------------------------------------------------

def tell_error(stream):
    """Raise the error that ended the last send of *stream*, if there was one that was not told yet."""
    if stream._untold is not None:
        number, stream._untold = stream._untold, None
        raise socket.error(number, os.strerror(number))


def take_stalled(stream):
    """Since when nothing was taken, if the send that begins now is the rest of one whose time was up; else None."""
    if stream._stalled is None:
        return None
    (since, ended), stream._stalled = stream._stalled, None
    return since if get_time() - ended < REST_S else None


def send_persistently(send, csocket, b, stream):
    """Send *b* by the interpreter's own `send` until all is taken, and return the number of bytes sent.

    A socket that would block, a timeout (of the whole), an error or a signal ends it early: after progress with the
    number of bytes that went out, so that nothing is lost or sent twice above; without, with the error.
    """
    view = view_bytes(b)
    if view is None:
        return send(b)  # its own result or error
    tell_error(stream)
    try:
        timeout = CSocket.gettimeout(csocket)
        idle = take_stalled(stream)
        waits = PYPY or idle is not None
        if idle is None:
            idle = get_time()
        deadline = get_deadline(idle, timeout)
        flags = 0 if timeout is None else MSG_DONTWAIT
        sent = 0
        while True:
            if waits and deadline is not None:
                events = wait_until(deadline, csocket, writing=True)
                if not events:
                    if not sent:
                        raise Timeout("timed out")
                    stream._stalled = idle, get_time()
                    return sent
                if sent and events & ENDED:
                    return sent  # whoever uses the socket next is told
            try:
                sent += send(view[sent:], flags)
            except EnvironmentError as exc:
                if sent:
                    if not (isinstance(exc, Timeout) or is_would_block(exc) or is_interrupted(exc)):
                        stream._untold = exc.errno
                    return sent
                if not is_interrupted(exc):
                    raise
            else:
                # Without a timeout only a signal or an error makes it less.
                if sent >= len(view) or deadline is None:
                    return sent
                idle = get_time()
            waits = True
    finally:  # or a kept traceback would keep the caller's bytearray from being resized
        if not PY2:
            view.release()
        del view


def view_bytes(b):
    """A memoryview of *b* whose items are its bytes, or None if only the socket itself can tell what to make of *b*."""
    try:
        view = as_view(b)
    except NO_BUFFER:
        return None
    if not getattr(view, "c_contiguous", True):
        return None
    if view.ndim == 1 and view.itemsize == 1:
        return view
    return memoryview(view.tobytes())


# --- The raw stream ---------------------------------------------------------------------------------------------------

class SocketIO(io.RawIOBase):
    """SocketIO(sock, mode): the raw stream over a socket object.

    *sock* is the socket object, which needs only the methods that are used: `recv_into` to read, `send` or `sendall` to
    write, `_decref_socketios` (if it has one) when the stream is closed.  *mode* is ``"r"``, ``"w"`` or ``"rw"``, with or
    without a ``"b"``; anything else is a ValueError.  The socket's counter is not touched here: `backport_makefile` does.

    **Source:** `socket.SocketIO` of CPython 3.6 to 3.13, and the documentation of `io.RawIOBase`.
    """

    __module__ = "backports.makefile"

    _close_base = io.RawIOBase.close  # reached without a global name: see write()
    # While backport_makefile is at work, close() undoes the counting itself instead of telling the socket.
    _unfinished = False
    # Whether the socket had a `_decref_socketios` when it was counted.
    _told = False
    # 2.7: the C socket, kept open for as long as the stream is, when the socket object has no counter; and the names for which
    # the socket object, while it is open, answers with that one's own method.
    _csocket = None
    _own = ()
    # What a send that ended early leaves for the next transfer: the errno that ended it, which the system tells only once; and, if
    # the timeout had passed, (since when no byte was taken, when the send ended).
    _untold = None
    _stalled = None

    def __init__(self, sock, mode):
        if mode not in ("r", "w", "rw", "rb", "wb", "rwb"):
            raise ValueError("invalid mode: %r" % mode)
        io.RawIOBase.__init__(self)
        self._sock = sock
        self._reading = "r" in mode
        self._writing = "w" in mode
        self._mode = "r" * self._reading + "w" * self._writing + "b"
        self._timeout_occurred = False
        # What close() owes the socket: the name of the counter that backport_makefile increased; None for a stream made
        # directly.  In a list, for one of several threads that close at once to take out.
        self._owed = [None]
        self._csocket = sock._sock if isinstance(sock, SocketObject) and find_counter(sock) is None else None
        if self._csocket is not None:
            self._own = set()
            for name in ("recv_into", "send"):
                if hasattr(sock, name):
                    self._find(sock, name)

    def readinto(self, b):
        """readinto(b): receive up to ``len(b)`` bytes into the writable buffer *b*, and return their number.

        0 is the end of the stream; None means that the socket is non-blocking and nothing is there.

        ValueError: the stream is closed.  `io.UnsupportedOperation` (2.7: IOError): it was not made for reading.
        `socket.timeout`: the socket's timeout, in seconds, has passed; every later read is then an OSError (2.7: IOError).
        And the socket's own errors.

        **Source:** `socket.SocketIO.readinto` of CPython 3.6 to 3.13.
        """
        self._checkClosed()
        self._checkReadable()
        if self._timeout_occurred:
            raise IOError("cannot read from timed out object")
        sock = self._sock
        try:
            recv_into = self._find(sock, "recv_into")
            csocket = find_csocket(recv_into, "recv_into")
            if csocket is not None:
                return receive(recv_into, csocket, b, self)
            return delegate(sock, recv_into, b)
        except Timeout:
            self._timeout_occurred = True
            raise
        except EnvironmentError as exc:
            if is_would_block(exc):
                return None
            raise

    def read(self, *args):
        """read(size=-1): one `readinto` of at most *size* bytes, as bytes; None if that gave None.  Negative: `readall`.

        The inherited one trusts the number that `readinto` returns, and a socket object that returns too large a one would
        have it read past the end of its buffer.

        **Source:** `io.RawIOBase.read` of CPython 3.6 to 3.13.
        """
        if len(args) != 1 or type(args[0]) not in INTEGER_TYPES or args[0] < 0:
            return super(SocketIO, self).read(*args)
        buffer = bytearray(args[0])
        count = self.readinto(buffer)
        if count is None:
            return None
        count = operator.index(count)
        if abs(count) > sys.maxsize:
            raise ValueError("cannot fit %r into an index-sized integer" % type(count).__name__)
        if not 0 <= count <= len(buffer):
            raise ValueError("readinto returned %d outside buffer size %d" % (count, len(buffer)))
        return memoryview(buffer)[:count].tobytes()

    def write(self, b):
        """write(b): send the bytes-like object *b*, and return the number of bytes sent.

        On a plain socket it sends until all is taken; less than that was sent only when the socket is non-blocking, its
        timeout has passed, a signal came or an error happened in between.  None means that the socket would block and
        nothing was sent.  Any other socket gets one ``send(b)``, whose result is returned; without a `send`, ``sendall(b)``.

        ValueError: the stream is closed.  `io.UnsupportedOperation` (2.7: IOError): it was not made for writing.
        `socket.timeout` and the socket's own errors: only if nothing was sent.

        **Source:** `socket.SocketIO.write` and `socket.socket.sendall` of CPython 3.6 to 3.13.
        """
        self._checkClosed()
        self._checkWritable()
        if find_csocket is None or getattr is None:
            # At exit the interpreter empties its modules, this one and the built-in names' too, and then comes a buffer that
            # was never flushed.
            return (self._csocket if "send" in self._own else self._sock).send(b)
        sock = self._sock
        try:
            try:
                send, sendall = self._find(sock, "send"), None
            except AttributeError:
                send, sendall = None, getattr(sock, "sendall", None) if lacks_send(sock) else None
                if sendall is None:
                    raise
            if sendall is not None:
                return send_by_sendall(sendall, b)
            csocket = find_csocket(send, "send")
            if csocket is not None:
                return send_persistently(send, csocket, b, self)
            return delegate(sock, send, b)
        except EnvironmentError as exc:
            if is_would_block(exc):
                return None
            raise

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
        """fileno(): the file descriptor of the socket, an int.  ValueError once the stream is closed."""
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

    def close(self):
        """close(): close the stream and give its one reference to the socket back.  A second call does nothing.

        The socket itself is closed only if it was closed before and this was its last stream.  What an overridden `flush`
        or the socket's `_decref_socketios` raises comes out, and the stream is closed all the same.

        **Source:** `socket.SocketIO.close` of CPython 3.6 to 3.13.
        """
        if self.closed:
            return
        try:
            self._close_base()
        finally:
            self._give_back()
            self._sock = None
            self._csocket = None

    def _give_back(self):
        try:
            sock = self._sock
        except AttributeError:
            if getattr(self, "_finalizing", False):
                return  # __init__ never ran, or did not like the mode: nothing is owed, so nothing is said
            raise
        try:
            counter = getattr(self, "_owed", [None]).pop()
        except IndexError:
            return
        if self._unfinished:
            count_down(sock, counter)
        elif counter == "_io_refs":
            sock._decref_socketios()
        else:
            decref = getattr(sock, "_decref_socketios", None)
            if decref is not None:
                decref()
            elif self._told:  # uninstall() has taken the method away: nobody is to be told any more
                try:
                    count_down(sock, counter)
                except Exception:  # nor asked: this is another sock, and does not count
                    pass
            elif counter == "_makefile_refs":
                sock.close()  # so 2.7's ssl.SSLSocket and urllib3's WrappedSocket count down while streams are open

    def _find(self, sock, name):
        """The method *name* of *sock*, looked up at every operation as Python does; once.

        2.7's socket object swaps its methods for dummies when it is closed, while an open stream goes on: by the C socket, but only
        if that is what the socket object answered with while it was open.  One that encrypted in methods of its own has lost them, and the
        dummy's error is right.
        """
        method = getattr(sock, name)
        if self._csocket is None:
            return method
        if isinstance(getattr(method, "__self__", None), ClosedSocket):
            return getattr(self._csocket, name) if name in self._own else method
        if find_csocket(method, name) is self._csocket:
            self._own.add(name)
        elif sock._sock is self._csocket:  # still open
            self._own.discard(name)
        return method

    def __reduce__(self):
        raise TypeError("cannot pickle %r object" % type(self).__name__)


# --- The counter ------------------------------------------------------------------------------------------------------

def find_counter(sock):
    """The name of the attribute in which *sock* counts its open streams, or None."""
    if isinstance(getattr(sock, "_makefile_refs", None), INTEGER_TYPES) and not counts_as_socket(sock):
        return "_makefile_refs"
    if getattr(sock, "_io_refs", ABSENT) is not ABSENT:
        return "_io_refs"
    return None


def counts_as_socket(sock):
    """Whether *sock* counts as the interpreter's own `socket.socket` does, whatever else it has."""
    return getattr(type(sock), "_decref_socketios", ABSENT) is SOCKET_DECREF


def count_up(sock):
    """Count one stream more on *sock*; the name of the counter, or None for a socket that needs none.

    The C socket of the interpreter, and 2.7's socket object around it, stay open as long as somebody holds them.
    """
    counter = find_counter(sock)
    if counter == "_makefile_refs":
        sock._makefile_refs += 1
    elif counter == "_io_refs":
        sock._io_refs += 1
    elif not isinstance(sock, SOCKETS):
        raise AttributeError("%r object has no attribute '_makefile_refs'" % type(sock).__name__)
    return counter


def count_down(sock, counter):
    """Undo `count_up`.  Never by the socket's own _decref_socketios(), which may do more than count.

    The interpreter's own socket, if it was closed meanwhile, looks whether this was its last stream.
    """
    if counter == "_makefile_refs":
        sock._makefile_refs -= 1
    elif counter == "_io_refs":
        sock._io_refs -= 1
        if counts_as_socket(sock) and sock._closed:
            sock.close()


def abandon(raw, sock):
    """Undo the counting on *sock* and close the unfinished stream.  What failed first is what the caller is told."""
    try:
        try:
            if raw._owed:  # not if somebody found the stream and closed it
                count_down(sock, raw._owed.pop())
        finally:
            raw.close()
    except Exception:
        pass


# --- makefile ---------------------------------------------------------------------------------------------------------

def backport_makefile(self, mode="r", buffering=None, encoding=None, errors=None, newline=None):
    """backport_makefile(self, mode="r", buffering=None, encoding=None, errors=None, newline=None): a stream over a socket.

    What Python 3's socket.makefile() returns, for any socket-like object, as a function and as a method.

    *self*: the socket object.  As an attribute of a class it is passed in as for any method.
    *mode*: a combination of ``"r"``, ``"w"`` and ``"b"``; without ``"b"`` the stream is text, without ``"w"`` it reads.
    *buffering*: the size of the buffer in bytes; 0 gives the raw stream, in binary modes only; None or a negative number
    is `io.DEFAULT_BUFFER_SIZE`; 1 is a buffer of one byte.
    *encoding*, *errors*, *newline*: as for `io.TextIOWrapper`; binary modes ignore them.

    Returns a `SocketIO`, `io.BufferedReader`, `io.BufferedWriter`, `io.BufferedRWPair` or `io.TextIOWrapper`.  The socket
    stays open until it and all its streams are closed.

    ValueError: other letters in *mode*; unbuffered text; a *newline* that `io.TextIOWrapper` does not know.  LookupError: an
    unknown *encoding*.  TypeError: an argument of a wrong type.  OverflowError, MemoryError: too large a buffer.
    AttributeError: the socket has nothing that counts its streams.  After each the count is what it was before.

    **Source:** `socket.socket.makefile` of CPython 3.6 to 3.13, "Socket Objects" in the documentation of `socket`.
    """
    if not set(mode) <= {"r", "w", "b"}:
        raise ValueError("invalid mode %r (only r, w, b allowed)" % (mode,))
    writing = "w" in mode
    reading = "r" in mode or not writing
    binary = "b" in mode
    raw = SocketIO.__new__(SocketIO)
    raw._unfinished = True  # first: what dies half-made must not give back what was never counted
    raw.__init__(self, ("r" if reading else "") + ("w" if writing else ""))
    raw._told = hasattr(self, "_decref_socketios")
    owed = raw._owed
    owed[0] = count_up(self)  # nothing that needs memory may come between the counting and the try
    try:
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
    except BaseException:
        abandon(raw, self)
        raise
    raw._unfinished = False
    return stream


backport_makefile.__module__ = SocketIO.__module__

# isinstance(raw, socket.SocketIO) holds: an abstract class on 3.x, unless install() has put a C type there.
register = getattr(getattr(socket, "SocketIO", None), "register", None)
if register is not None:
    register(SocketIO)
