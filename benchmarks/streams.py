"""The rivals, and sockets to put them on. Imports little: programs run under strace and callgrind
share it.
"""

import socket
import sys

from backports.makefile import _fallback, backport_makefile, implementation

PYTHON_2 = sys.version_info[0] == 2
MESSAGE = 64  # bytes: the small read and write that most claims are about
TIMEOUT = 60.0  # seconds: long enough never to pass, so that only its price is measured

# What each Python has to be measured against: name -> makefile(sock, mode, buffering).  On 2.7
# the interpreter's own gives a
# `_fileobject`, which is no io stream: the pure twin is a second rival there.
RIVALS = {"interpreter": socket.socket.makefile}
if PYTHON_2:
    RIVALS["interpreter"] = socket.socket.makefile.__func__
    if implementation == "c":
        RIVALS["twin"] = _fallback.backport_makefile
MAKEFILES = dict(RIVALS, ours=backport_makefile)


def socket_pair(timeout=None, kind=socket.SOCK_STREAM):
    """Two connected Unix sockets, the cheapest there are: (the measured one, its peer)."""
    pair = socket.socketpair(socket.AF_UNIX, kind)
    if PYTHON_2:  # bare C sockets there, and only the wrapper has a makefile
        pair = tuple(socket.socket(_sock=sock) for sock in pair)
    pair[0].settimeout(timeout)
    return pair


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def tcp_pair(timeout=None):
    """Two connected loopback TCP sockets: (the measured one, its peer)."""
    listener = listen()
    sock = socket.create_connection(listener.getsockname())
    peer = listener.accept()[0]
    listener.close()
    for each in sock, peer:  # small messages leave at once, not 40 ms later
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(timeout)
    return sock, peer


def read_call(stream):
    """(function, argument) of a raw read of one message; a `_fileobject` has no readinto."""
    if hasattr(stream, "readinto"):
        return stream.readinto, bytearray(MESSAGE)
    return stream.read, MESSAGE
