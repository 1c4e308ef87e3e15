from typing import Optional, Protocol, Union, runtime_checkable

__all__ = ["ReadableSocket", "SocketLike", "WritableSocket"]

@runtime_checkable
class ReadableSocket(Protocol):
    _makefile_refs: int
    # Buffers in C give a memoryview, and `read` of the raw stream a bytearray.
    def recv_into(self, buffer: Union[bytearray, memoryview], /) -> Optional[int]: ...

@runtime_checkable
class WritableSocket(Protocol):
    _makefile_refs: int
    def send(self, data: Union[bytes, bytearray, memoryview], /) -> Optional[int]: ...

@runtime_checkable
class SocketLike(ReadableSocket, WritableSocket, Protocol):
    def _decref_socketios(self) -> None: ...
