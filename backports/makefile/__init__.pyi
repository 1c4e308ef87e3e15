import io
import socket
from types import TracebackType
from typing import Any, Optional, Type, TypeVar, Union, overload
from typing_extensions import Buffer, Literal

__all__ = [
    "Installation", "SocketIO", "__version__", "backport_makefile", "implementation", "install",
    "uninstall",
]

__version__: str
implementation: Literal["c", "python"]

_RawMode = Literal["r", "w", "rw", "rb", "wb", "rwb"]
_ReadMode = Literal["b", "rb", "br"]
_WriteMode = Literal["wb", "bw"]
_ReadWriteMode = Literal["rwb", "rbw", "wrb", "wbr", "brw", "bwr"]
_BinaryMode = Union[_ReadMode, _WriteMode, _ReadWriteMode]
_TextMode = Literal["r", "w", "rw", "wr", ""]
_BinaryStream = Union[SocketIO, io.BufferedReader, io.BufferedWriter, io.BufferedRWPair]
_Self = TypeVar("_Self")

class SocketIO(socket.SocketIO):
    def __init__(self, sock: Any, mode: _RawMode) -> None: ...
    # The interpreter's take their argument by keyword too; ours do not (difference 14).
    def readinto(self, b: Buffer, /) -> Optional[int]: ...  # pyright: ignore
    def write(self, b: Buffer, /) -> Optional[int]: ...  # pyright: ignore

# *self* is any object with the methods that its streams use: see protocols.pyi.  The streams for
# both ways come before those for one, as in the interpreter's own.
@overload
def backport_makefile(
    self: Any,
    mode: _BinaryMode,
    buffering: Literal[0],
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> SocketIO: ...
@overload
def backport_makefile(
    self: Any,
    mode: _ReadWriteMode,
    buffering: Optional[Literal[-1, 1]] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.BufferedRWPair: ...
@overload
def backport_makefile(
    self: Any,
    mode: _ReadMode,
    buffering: Optional[Literal[-1, 1]] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.BufferedReader: ...
@overload
def backport_makefile(
    self: Any,
    mode: _WriteMode,
    buffering: Optional[Literal[-1, 1]] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.BufferedWriter: ...
@overload
def backport_makefile(
    self: Any,
    mode: _BinaryMode,
    buffering: Optional[int],
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> _BinaryStream: ...
@overload
def backport_makefile(
    self: Any,
    mode: _TextMode = "r",
    buffering: Optional[int] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.TextIOWrapper: ...
@overload
def backport_makefile(
    self: Any,
    mode: str,
    buffering: Optional[int] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> Union[_BinaryStream, io.TextIOWrapper]: ...

class Installation:
    def __enter__(self: _Self) -> _Self: ...
    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None: ...

def install(cls: Optional[type] = None, warn: bool = True) -> Installation: ...
def uninstall(cls: Optional[type] = None) -> None: ...
