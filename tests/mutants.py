"""Broken twins: the pure-Python twin with one line changed, to prove that the tests see what they claim to see.

Each mutant is a few replacements in the source of `backports/makefile/_fallback.py`.  Every piece to replace has to be there
exactly once: when the twin changes under a mutant, `load_mutant` raises `MutantError` instead of quietly testing nothing.
"""
import collections
import io
import os
import types

from backports.makefile import _fallback


class MutantError(Exception):
    """The source does not have the piece that this mutant replaces."""


Mutant = collections.namedtuple("Mutant", "name SocketIO makefile module")  # 2.7 empties a module that nobody holds


def get_source():
    path = os.path.splitext(_fallback.__file__)[0] + ".py"
    with io.open(path, encoding="utf-8") as file:
        return path, file.read()


MUTATIONS = collections.OrderedDict()

MUTATIONS["counter not restored after a failed constructor"] = [
    ("                count_down(sock, raw._owed.pop())\n", "                pass\n"),
    ("        if self._unfinished:\n            count_down(sock, counter)\n", "        if self._unfinished:\n            pass\n"),
]
MUTATIONS["counter restored late"] = [
    ("        abandon(raw, self)\n        raise\n", "        raise\n"),  # when the traceback dies, and the raw stream with it
]
MUTATIONS["no timeout poisoning"] = [
    ("            self._timeout_occurred = True\n", "            pass\n"),
]
MUTATIONS["timeout cached at makefile"] = [
    ("        self._timeout_occurred = False\n",
     "        self._timeout_occurred = False\n"
     "        csocket = getattr(sock, '_sock', sock)\n"
     "        self._timeout = CSocket.gettimeout(csocket) if isinstance(csocket, CSocket) else None\n"),
    ("                return receive(recv_into, csocket, b, self)\n",
     "                return receive(recv_into, csocket, b, self, self._timeout)\n"),
    ("def receive(recv_into, csocket, b, stream):\n", "def receive(recv_into, csocket, b, stream, timeout):\n"),
    ("    timeout = CSocket.gettimeout(csocket)\n    deadline = get_deadline(get_time(), timeout)\n    args",
     "    deadline = get_deadline(get_time(), timeout)\n"
     "    if timeout and not wait_until(deadline, csocket, writing=False):\n"
     "        raise Timeout('timed out')\n"
     "    args"),
]
MUTATIONS["descriptor cached"] = [
    ("        self._timeout_occurred = False\n",
     "        self._timeout_occurred = False\n"
     "        csocket = getattr(sock, '_sock', sock)\n"
     "        self._fd = CSocket.fileno(csocket) if isinstance(csocket, CSocket) else None\n"),
    ("                return receive(recv_into, csocket, b, self)\n",
     "                return receive(recv_into, csocket, b, self, self._fd)\n"),
    ("def receive(recv_into, csocket, b, stream):\n",
     "def read_descriptor(fd, b):\n"
     "    import os\n"
     "    data = os.read(fd, len(b))\n"
     "    b[:len(data)] = data\n"
     "    return len(data)\n"
     "\n"
     "\n"
     "def receive(recv_into, csocket, b, stream, fd):\n"),
    ("            return recv_into(*args)\n",
     "            if fd is not None and CSocket.fileno(csocket) != fd:\n"
     "                return read_descriptor(fd, b)\n"
     "            return recv_into(*args)\n"),
]
MUTATIONS["EAGAIN returned as end of file"] = [
    ("            self._timeout_occurred = True\n            raise\n        except EnvironmentError as exc:\n"
     "            if is_would_block(exc):\n                return None\n",
     "            self._timeout_occurred = True\n            raise\n        except EnvironmentError as exc:\n"
     "            if is_would_block(exc):\n                return 0\n"),
]
MUTATIONS["_sock dropped on a timeout"] = [
    ("            self._timeout_occurred = True\n",
     "            self._timeout_occurred = True\n            self._sock = None\n"),
]
MUTATIONS["wrong errno with None"] = [
    ("            return delegate(sock, send, b)\n        except EnvironmentError as exc:\n"
     "            if is_would_block(exc):\n                return None\n",
     "            return delegate(sock, send, b)\n        except EnvironmentError as exc:\n"
     "            if is_would_block(exc):\n"
     "                import os\n"
     "                try:\n"
     "                    os.close(-1)\n"
     "                except OSError:\n"
     "                    pass\n"
     "                return None\n"),
]
MUTATIONS["a write that loses its count"] = [
    ("                if sent >= len(view) or deadline is None:\n                    return sent\n",
     "                if sent >= len(view) or deadline is None:\n                    return sent if sent >= len(view) else None\n"),
]
MUTATIONS["a write that sends twice"] = [
    ("send(view[sent:], flags)\n", "send(view[max(0, sent - 1):], flags)\n"),
]
MUTATIONS["text.mode not the object given"] = [
    ("            stream.mode = mode\n", "            stream.mode = ''.join(mode)\n"),
]
MUTATIONS["direct path chosen by isinstance"] = [
    ("        method = getattr(sock, name)\n",
     "        csocket = getattr(sock, '_sock', sock)\n"
     "        direct = isinstance(csocket, CSocket)\n"
     "        method = getattr(CSocket, name).__get__(csocket) if direct else getattr(sock, name)\n"),
]
MUTATIONS["a method bound to another socket taken for the socket's own"] = [
    ("        method = getattr(sock, name)\n",
     "        method = getattr(sock, name)\n"
     "        csocket = getattr(sock, '_sock', sock)\n"
     "        if find_csocket(method, name) is not None and isinstance(csocket, CSocket):\n"
     "            method = getattr(CSocket, name).__get__(csocket)\n"),
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
    ("            sock._decref_socketios()\n        else:\n",
     "            sock._decref_socketios()\n            sock._decref_socketios()\n        else:\n"),
    ("                decref()\n", "                decref()\n                decref()\n"),
]
MUTATIONS["a close that never decrements"] = [
    ("            self._give_back()\n", "            pass\n"),
]

# Not among the mistakes that were to be tried, but as likely.
MUTATIONS["an empty write that does not reach the socket"] = [
    ("            csocket = find_csocket(send, \"send\")\n", "            if not len(b):\n                return 0\n"
     "            csocket = find_csocket(send, \"send\")\n"),
]
MUTATIONS["a read that offers the socket a part of the buffer"] = [
    ("                return receive(recv_into, csocket, b, self)\n",
     "                return receive(recv_into, csocket, memoryview(b)[:100], self)\n"),
]
MUTATIONS["a delegated call with one argument more"] = [
    ("            return delegate(sock, send, b)\n", "            return delegate(sock, lambda b: send(b, 0), b)\n"),
]
MUTATIONS["a method looked up once and kept"] = [
    ("        method = getattr(sock, name)\n",
     "        method = self._kept.setdefault(name, getattr(sock, name))\n"),
    ("        self._timeout_occurred = False\n", "        self._timeout_occurred = False\n        self._kept = {}\n"),
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
    exec(compile(source.encode("utf-8"), path, "exec"), module.__dict__)
    return Mutant("mutant", module.SocketIO, module.backport_makefile, module)
