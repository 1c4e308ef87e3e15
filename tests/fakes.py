"""Socket-like classes that the tests share."""
import gc
import platform


def collect_garbage():
    """Finalise what nothing refers to.

    Reference counts do that by themselves, and a collection takes long.
    """
    if platform.python_implementation() != "CPython":
        gc.collect()
        gc.collect()  # what the finalisers of the first one let go


class CountingSocket(object):
    """A correct fake socket: delegates to a real one, and defers its close to the last file's."""

    def __init__(self, sock):
        self.sock = sock
        self._makefile_refs = 0
        self._closed = False

    def fileno(self):
        return self.sock.fileno()

    def recv_into(self, buf, *args):
        return self.sock.recv_into(buf, *args)

    def send(self, data, *args):
        return self.sock.send(data, *args)

    def gettimeout(self):
        return self.sock.gettimeout()

    def settimeout(self, timeout):
        self.sock.settimeout(timeout)

    def _decref_socketios(self):
        if self._makefile_refs > 0:
            self._makefile_refs -= 1
        if self._closed:
            self.close()

    def close(self):
        self._closed = True
        if self._makefile_refs <= 0:
            self.sock.close()


class CountedSocket(object):
    """A socket that counts its files, and tells of every call that would let it go."""

    def __init__(self):
        self._makefile_refs = 0
        self.told = []

    def _decref_socketios(self):
        self.told.append("_decref_socketios")
        self._makefile_refs -= 1

    def close(self):
        self.told.append("close")


class ScriptedSocket(object):
    """A fake that reads from a script and keeps what it was asked and given.

    An item of the script is the bytes that one recv_into() yields (what does not fit stays for the
    next), an exception that it raises, or a callable that gives its result; after the last one the
    stream has ended.  `requests` has the size in bytes of every buffer that was offered, `sent`
    what each send() was given, `calls` the names of all the methods that were called, in order.
    """

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.sent = []
        self.calls = []
        self._io_refs = 0

    def fileno(self):
        self.calls.append("fileno")
        return 12345

    def recv_into(self, buf):
        self.calls.append("recv_into")
        self.requests.append(len(buf))
        step = self.script.pop(0) if self.script else b""
        if callable(step):
            return step()
        if isinstance(step, Exception):
            raise step
        size = min(len(buf), len(step))
        if size < len(step):
            self.script.insert(0, step[size:])
        view = memoryview(buf)
        view[:size] = step[:size]
        # PyPy keeps it for a while, and from 3.15 on what is exported stays.
        if hasattr(view, "release"):
            view.release()
        return size

    def send(self, data):
        self.calls.append("send")
        self.sent.append(bytes(bytearray(data)))
        return len(data)

    def _decref_socketios(self):
        self.calls.append("_decref_socketios")
        self._io_refs -= 1


class OddKey(object):
    """In a class dict: equals a name when told to, and does something when it is compared."""

    def __init__(self, name, function):
        self.name, self.function, self.armed = name, function, False

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        if self.armed and other == self.name:
            self.armed = False
            self.function()
        return False
