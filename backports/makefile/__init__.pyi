import io
import socket
from types import TracebackType
from typing import Any, Optional, Type, TypeVar, Union, overload
from typing_extensions import Literal

__version__: str
implementation: Literal["c", "python"]

_RawMode = Literal["r", "w", "rw", "rb", "wb", "rwb"]
_ReadMode = Literal["b", "rb", "br"]
_WriteMode = Literal["wb", "bw"]
_ReadWriteMode = Literal["rwb", "rbw", "wrb", "wbr", "brw", "bwr"]
_TextMode = Literal["r", "w", "rw", "wr", ""]
_Self = TypeVar("_Self")

class SocketIO(socket.SocketIO):
    def __init__(self, sock: Any, mode: _RawMode) -> None: ...

# *self* is any object with the methods that the stream will use; a Protocol would ask for more than is needed.
@overload
def backport_makefile(
    self: Any,
    mode: Union[_ReadMode, _WriteMode, _ReadWriteMode],
    buffering: Literal[0],
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> SocketIO: ...
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
    mode: _ReadWriteMode,
    buffering: Optional[Literal[-1, 1]] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.BufferedRWPair: ...
@overload
def backport_makefile(
    self: Any,
    mode: Union[_ReadMode, _WriteMode, _ReadWriteMode],
    buffering: int,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.IOBase: ...
@overload
def backport_makefile(
    self: Any,
    mode: _TextMode = "r",
    buffering: Optional[int] = None,
    encoding: Optional[str] = None,
    errors: Optional[str] = None,
    newline: Optional[str] = None,
) -> io.TextIOWrapper: ...

class _Installation:
    def __enter__(self: _Self) -> _Self: ...
    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None: ...

def install(cls: Optional[type] = None) -> _Installation: ...
def uninstall(cls: Optional[type] = None) -> None: ...
