"""What a socket-like class needs for its streams, as protocols to check it against.

For type checkers on every Python, and for `isinstance` on 3.8 and newer.  `ReadableSocket` is for
streams that read, `WritableSocket` for those that write, and `SocketLike` for both, with the method
that lets the last stream close the connection.
"""

__all__ = ["ReadableSocket", "SocketLike", "WritableSocket"]

try:
    from typing import Protocol as _Protocol, runtime_checkable as _runtime_checkable
except ImportError:  # 2.7, 3.6 and 3.7

    class _Unchecked(type):
        def __instancecheck__(cls, instance):
            raise TypeError("protocols are for type checkers alone before Python 3.8")

    _Protocol = _Unchecked("_Protocol", (object,), {})

    def _runtime_checkable(cls):
        return cls


@_runtime_checkable
class ReadableSocket(_Protocol):
    """A socket for streams that read."""

    _makefile_refs = 0  # how many streams are open on this socket; makefile counts it up

    def recv_into(self, buffer):
        """Receive into a writable buffer: how many bytes, 0 at the end, None for "not now"."""
        raise NotImplementedError


@_runtime_checkable
class WritableSocket(_Protocol):
    """A socket for streams that write."""

    _makefile_refs = 0

    def send(self, data):
        """Send bytes-like data: how many bytes were taken; None if there is no room now."""
        raise NotImplementedError


@_runtime_checkable
class SocketLike(ReadableSocket, WritableSocket, _Protocol):
    """A socket for all streams, which is closed with the last of them."""

    def _decref_socketios(self):
        """A stream was closed: count it down, and close the connection if that is wanted."""
        raise NotImplementedError
