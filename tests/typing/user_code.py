"""What users write, to be checked by mypy and pyright in their strict modes, and to be run.

A line that must be an error has the codes of both checkers in its ignore comments: both complain if
an ignore is not needed.
"""

import io
import socket
from types import TracebackType
from typing import Optional, Type, Union

from typing_extensions import Buffer, assert_type

from backports.makefile import (
    Installation,
    SocketIO,
    backport_makefile,
    implementation,
    install,
    uninstall,
)
from backports.makefile.protocols import ReadableSocket, SocketLike, WritableSocket

Binary = Union[SocketIO, io.BufferedReader, io.BufferedWriter, io.BufferedRWPair]


class Derived(socket.socket):
    """A class that inherits a makefile."""

    makefile = backport_makefile


class Logged:
    """A socket-like class of one's own."""

    makefile = backport_makefile
    _makefile_refs = 0

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.closed = False

    def recv_into(self, buffer: Union[bytearray, memoryview]) -> int:
        return self.sock.recv_into(buffer)

    def send(self, data: Union[bytes, bytearray, memoryview]) -> int:
        return self.sock.send(data)

    def close(self) -> None:
        self.closed = True
        if not self._makefile_refs:
            self.sock.close()

    def _decref_socketios(self) -> None:
        self._makefile_refs -= 1
        if self.closed:
            self.close()


class Deaf:
    """It sends and does not receive."""

    _makefile_refs = 0

    def send(self, data: Union[bytes, bytearray, memoryview]) -> int:
        return len(data)


class Uncounted:
    """It has no counter."""

    def recv_into(self, buffer: Union[bytearray, memoryview]) -> int:
        return 0


class Short(Deaf):
    """It takes too few kinds of buffer."""

    def recv_into(self, buffer: bytearray) -> int:
        return 0


class Counting(SocketIO):
    """A subclass of the raw stream with a signature of its own."""

    def __init__(self, sock: Logged, limit: int) -> None:
        super().__init__(sock, "rb")
        self.limit = limit

    def readinto(self, b: Buffer, /) -> Optional[int]:
        return super().readinto(memoryview(b)[: self.limit])


def use_function(sock: Logged) -> None:
    assert_type(backport_makefile(sock), io.TextIOWrapper)
    assert_type(backport_makefile(sock, "rb"), io.BufferedReader)
    assert_type(backport_makefile(sock, "rb", None, "ascii", "strict", "\n"), io.BufferedReader)
    assert_type(backport_makefile(self=sock, mode="wb", buffering=-1), io.BufferedWriter)


def use_every_mode(sock: Logged) -> None:
    assert_type(sock.makefile(), io.TextIOWrapper)
    assert_type(sock.makefile(""), io.TextIOWrapper)
    assert_type(sock.makefile("r", encoding="utf-8"), io.TextIOWrapper)
    assert_type(sock.makefile("w", 100), io.TextIOWrapper)
    assert_type(sock.makefile("rw", newline="\n"), io.TextIOWrapper)
    assert_type(sock.makefile("wr"), io.TextIOWrapper)
    assert_type(sock.makefile("b"), io.BufferedReader)
    assert_type(sock.makefile("rb"), io.BufferedReader)
    assert_type(sock.makefile("br"), io.BufferedReader)
    assert_type(sock.makefile("wb"), io.BufferedWriter)
    assert_type(sock.makefile("bw"), io.BufferedWriter)
    assert_type(sock.makefile("rwb"), io.BufferedRWPair)
    assert_type(sock.makefile("rbw"), io.BufferedRWPair)
    assert_type(sock.makefile("wrb"), io.BufferedRWPair)
    assert_type(sock.makefile("wbr"), io.BufferedRWPair)
    assert_type(sock.makefile("brw"), io.BufferedRWPair)
    assert_type(sock.makefile("bwr"), io.BufferedRWPair)


def use_unbuffered(sock: Logged) -> None:
    assert_type(sock.makefile("b", 0), SocketIO)
    assert_type(sock.makefile("wb", buffering=0), SocketIO)
    assert_type(sock.makefile("rwb", 0), SocketIO)
    own: socket.SocketIO = Derived().makefile("rb", 0)
    own.close()


def use_what_is_not_literal(sock: Logged, mode: str, size: int) -> None:
    assert_type(sock.makefile("rb", size), Binary)
    assert_type(sock.makefile(mode), Union[Binary, io.TextIOWrapper])
    assert_type(sock.makefile(mode, size), Union[Binary, io.TextIOWrapper])
    sock.makefile(mode).close()


def use_raw(sock: Logged) -> None:
    raw = SocketIO(sock, "rwb")
    assert_type(raw.readinto(bytearray(10)), Optional[int])
    assert_type(raw.write(memoryview(b"x")), Optional[int])
    assert_type(raw.name, int)
    own: socket.SocketIO = raw
    own.close()
    raw.readinto(b=bytearray(10))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    raw.write(b=b"x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    raw.write("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    SocketIO(sock, "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(Counting(sock, 3).limit, int)


def use_install() -> None:
    with install() as installation:
        assert_type(installation, Installation)
    handle: Installation = install(Logged, warn=False)
    handle.__exit__(None, None, None)
    uninstall(Logged)
    uninstall()
    install("Logged")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Holder:
    """It keeps what install() returns."""

    installation: Optional[Installation] = None

    def __enter__(self) -> None:
        self.installation = install()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self.installation is not None:
            self.installation.__exit__(exc_type, exc_value, traceback)


def take(reader: ReadableSocket, writer: WritableSocket, both: SocketLike) -> None:
    """Only for what is given to it."""


def use_protocols(sock: Logged, deaf: Deaf) -> None:
    take(sock, sock, sock)
    take(sock, deaf, sock)
    take(deaf, sock, sock)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    take(Uncounted(), sock, sock)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    take(Short(), sock, sock)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    take(sock, sock, Deaf())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert isinstance(sock, SocketLike)


if implementation == "c" or implementation == "python":
    print("implementation: " + implementation)
