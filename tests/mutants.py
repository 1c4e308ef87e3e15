"""Broken twins: one line of the twin changed, to prove that the tests see what they claim to.

Each mutant is a few replacements in the source of `backports/makefile/_fallback.py`.  Every piece
to replace has to be there exactly once: when the twin changes under a mutant, `load_mutant` raises
`MutantError` instead of quietly testing nothing.
"""

import collections
import io
import os
import types

from backports.makefile import _fallback


class MutantError(Exception):
    """The source does not have the piece that this mutant replaces."""


# 2.7 empties a module that nobody holds.
Mutant = collections.namedtuple("Mutant", "name SocketIO makefile module")


def get_source():
    path = os.path.splitext(_fallback.__file__)[0] + ".py"
    with io.open(path, encoding="utf-8") as file:
        return path, file.read()


MUTATIONS = collections.OrderedDict()

# Each look-up of a method goes by get_method(), as on 2.7.
LOOK_UP_READ = (
    "            if PY2:\n"
    "                return self._receive(sock, get_method(self, sock, \"recv_into\"), b)\n"
    "            recv_into = sock.recv_into\n",
    "            recv_into = get_method(self, sock, \"recv_into\")\n",
)
LOOK_UP_SEND = (
    "get_method(self, sock, \"send\") if PY2 else sock.send\n",
    "get_method(self, sock, \"send\")\n",
)
# The usual socket is served in place; with this it goes the way of all others, which is mutated.
ALL_ONE_WAY = (
    "Socket = socket.socket if not PY2 and issubclass(socket.socket, CSocket) else ()\n",
    "Socket = ()\n",
)

MUTATIONS["counter not restored after a failed constructor"] = [
    (
        "                reference_restore(sock, counter)\n        finally:\n",
        "                pass\n        finally:\n",
    ),
]
MUTATIONS["counter restored late"] = [
    # when the traceback dies, and the raw stream with it
    (
        "        abandon(raw, self, counter)\n        raise\n",
        "        raw._owed = [counter]\n        raise\n",
    ),
]
# What ends readinto() and read(), which is said in each.
READINTO_END = "            return recv_into(b)\n        except socket.timeout:\n"
READ_END = "                return bytes(buffer)\n        except socket.timeout:\n"
POISON = "            self._timeout_occurred = True\n"
WOULD_BLOCK = (
    POISON
    + "            raise\n        except EnvironmentError as exc:\n"
    "            if is_would_block(exc):\n"
    "                return %s\n"
)

MUTATIONS["no timeout poisoning"] = [(READINTO_END + POISON, READINTO_END + "            pass\n")]
MUTATIONS["no timeout poisoning by read"] = [(READ_END + POISON, READ_END + "            pass\n")]
MUTATIONS["timeout cached at makefile"] = [
    ALL_ONE_WAY,
    (
        "        self._timeout_occurred = False\n",
        "        self._timeout_occurred = False\n"
        "        csocket = getattr(sock, '_sock', sock)\n"
        "        self._timeout = GETTIMEOUT(csocket) if isinstance(csocket, CSocket) else None\n",
    ),
    (
        "    timeout = GETTIMEOUT(csocket)\n    if PY2:\n",
        "    timeout = stream._timeout\n"
        "    if timeout and not wait_until("
        "deadline_after(get_time(), timeout), csocket, writing=False):\n"
        "        raise Timeout('timed out')\n"
        "    if PY2:\n",
    ),
]
MUTATIONS["descriptor cached"] = [
    ALL_ONE_WAY,
    ("        self._timeout_occurred = False\n",
     "        self._timeout_occurred = False\n"
     "        csocket = getattr(sock, '_sock', sock)\n"
     "        self._fd = CSocket.fileno(csocket) if isinstance(csocket, CSocket) else None\n"),
    ("    timeout = GETTIMEOUT(csocket)\n    if PY2:\n",
     "    timeout = GETTIMEOUT(csocket)\n"
     "    if stream._fd is not None and CSocket.fileno(csocket) != stream._fd:\n"
     "        data = os.read(stream._fd, len(b))\n"
     "        b[:len(data)] = data\n"
     "        return len(data)\n"
     "    if PY2:\n"),
]
MUTATIONS["EAGAIN returned as end of file"] = [
    (READINTO_END + WOULD_BLOCK % "None", READINTO_END + WOULD_BLOCK % "0")
]
MUTATIONS["EAGAIN returned as end of file by read"] = [
    (READ_END + WOULD_BLOCK % "None", READ_END + WOULD_BLOCK % "b''")
]
MUTATIONS["_sock dropped on a timeout"] = [
    (READ_END + POISON, READ_END + POISON + "            self._sock = None\n")
]
MUTATIONS["wrong errno with None"] = [
    ("            return write_by_sendall(sendall, b)\n        except EnvironmentError as exc:\n"
     "            if is_would_block(exc):\n                return None\n",
     "            return write_by_sendall(sendall, b)\n        except EnvironmentError as exc:\n"
     "            if is_would_block(exc):\n"
     "                try:\n"
     "                    os.close(-1)\n"
     "                except OSError:\n"
     "                    pass\n"
     "                return None\n"),
]
MUTATIONS["a write that loses its count"] = [
    (
        "                release(left)\n        return sent\n",
        "                release(left)\n        return None\n",
    ),
]
MUTATIONS["a write that sends twice"] = [
    (
        "            left = view[sent:]\n",
        "            left = view[max(0, sent - 1):]\n",
    ),
]
MUTATIONS["text.mode not the object given"] = [
    ("            stream.mode = mode\n", "            stream.mode = ''.join(mode)\n"),
]
MUTATIONS["direct path chosen by isinstance"] = [
    ALL_ONE_WAY,
    LOOK_UP_READ,
    LOOK_UP_SEND,
    ("    method = getattr(sock, name)\n",
     "    csocket = getattr(sock, '_sock', sock)\n"
     "    direct = isinstance(csocket, CSocket)\n"
     "    method = getattr(CSocket, name).__get__(csocket) if direct else getattr(sock, name)\n"),
]
MUTATIONS["a method bound to another socket taken for the socket's own"] = [
    ALL_ONE_WAY,
    LOOK_UP_READ,
    LOOK_UP_SEND,
    ("    method = getattr(sock, name)\n",
     "    method = getattr(sock, name)\n"
     "    csocket = getattr(sock, '_sock', sock)\n"
     "    if find_csocket(method, name) is not None and isinstance(csocket, CSocket):\n"
     "        method = getattr(CSocket, name).__get__(csocket)\n"),
]
MUTATIONS["raw readline reading ahead"] = [
    ("    def write(self, b):\n",
     "    def readline(self, limit=-1):\n"
     "        if limit is None or limit < 0:\n"
     "            limit = 64\n"
     "        ahead = self.read(limit)\n"
     "        return ahead if ahead is None else ahead[:ahead.find(b'\\n') + 1] or ahead\n"
     "\n"
     "    def write(self, b):\n"),
]
MUTATIONS["a close that decrements twice"] = [
    (
        "                self._sock._decref_socketios()\n",
        "                self._sock._decref_socketios()\n"
        "                self._sock._decref_socketios()\n",
    ),
    ("        decref()\n", "        decref()\n        decref()\n"),
]
MUTATIONS["a close that never decrements"] = [
    ("                self._sock._decref_socketios()\n", "                pass\n"),
    ("                self._give_back(counter)\n", "                pass\n"),
]

# Not among the mistakes that were to be tried, but as likely.
MUTATIONS["an empty write that does not reach the socket"] = [
    ALL_ONE_WAY,
    ("                    csocket = find_csocket(send, \"send\")\n",
     "                    if not len(b):\n                        return 0\n"
     "                    csocket = find_csocket(send, \"send\")\n"),
]
MUTATIONS["a read that offers the socket a part of the buffer"] = [
    ALL_ONE_WAY,
    ("            return transfer_recv(csocket, b, self)\n",
     "            return transfer_recv(csocket, memoryview(b)[:100], self)\n"),
]
MUTATIONS["a delegated call with one argument more"] = [
    ("return endpoint_call(sock, send, b) if PY2 else send(b)\n", "return send(b, 0)\n"),
]
MUTATIONS["a method looked up once and kept"] = [
    ALL_ONE_WAY,
    LOOK_UP_READ,
    LOOK_UP_SEND,
    (
        "    method = getattr(sock, name)\n",
        "    method = stream._kept.setdefault(name, getattr(sock, name))\n",
    ),
    (
        "        self._timeout_occurred = False\n",
        "        self._timeout_occurred = False\n        self._kept = {}\n",
    ),
]


def load_mutant(name):
    """The twin with the mutation `name`, as a module of its own; the real one is not touched."""
    path, source = get_source()
    for piece, replacement in MUTATIONS[name]:
        if source.count(piece) != 1:
            raise MutantError("%r: %d times in %s: %r" % (name, source.count(piece), path, piece))
        source = source.replace(piece, replacement)
    module = types.ModuleType(str("mutant_of_fallback"))
    module.__file__ = path
    module.__package__ = str("backports.makefile")
    exec(compile(source.encode("utf-8"), path, "exec"), module.__dict__)
    return Mutant("mutant", module.SocketIO, module.backport_makefile, module)
