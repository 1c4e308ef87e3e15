"""`install` and `uninstall`: put our makefile in the place of the interpreter's own, and back.

Each attribute that is set is remembered once, with what its owner's own ``__dict__`` held before, however many
installations need it; the last one to go writes that back, or deletes what was not there.
"""
from __future__ import absolute_import  # 2.7 would look for each module in this package first

import socket
import types

import _socket

try:
    from _thread import allocate_lock
except ImportError:  # 2.7
    from thread import allocate_lock

ABSENT = object()
COUNTER_NAMES = ("_makefile_refs", "_io_refs", "_decref_socketios")


class OldStyle:
    """A class of the old style on 2.7."""


# Keyed by identity, which stays theirs while they are held here: a metaclass may make its classes unhashable.
installations = {}  # id(cls) -> Installation; cls None is the whole process
attributes = {}  # (id(owner), name) -> Attribute
lock = allocate_lock()


class Attribute(object):
    """An attribute that we set, and what to put back."""

    def __init__(self, owner, name):
        self.owner = owner
        self.name = name
        self.previous = vars(owner).get(name, ABSENT)
        self.holders = 0

    def restore(self):
        if self.previous is not ABSENT:
            setattr(self.owner, self.name, self.previous)
        elif self.name in vars(self.owner):
            delattr(self.owner, self.name)


class Installation(object):
    """What one `install` did; as a context manager it takes it back at the end.

    That of an `install` that found its work done takes nothing back: that is for the first one, or for `uninstall`.
    """

    def __init__(self, cls):
        self.cls = cls
        self.attributes = []

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        with lock:
            if installations.get(id(self.cls)) is self:
                self.undo()

    def set(self, owner, name, value):
        key = id(owner), name
        attribute = attributes.get(key) or Attribute(owner, name)
        self.attributes.append(attribute)  # first: whatever fails from here on, undo() puts right
        attribute.holders += 1
        attributes[key] = attribute
        setattr(owner, name, value)

    def undo(self):
        """Put everything back.  What fails in here can be tried again."""
        while self.attributes:
            attribute = self.attributes[-1]
            if attribute.holders == 1:
                attribute.restore()
                attributes.pop((id(attribute.owner), attribute.name), None)
            attribute.holders -= 1
            self.attributes.pop()
        installations.pop(id(self.cls), None)


def install(cls=None):
    """install(cls=None): use our makefile in the whole process, or in one socket-like class.

    Without *cls*: sets `socket.socket.makefile` and, on 3.x, `socket.SocketIO`.  Sockets that exist already follow;
    modules that took either name before keep what they took.

    With *cls*, a class (2.7: of the old style too): sets its `makefile`.  A class that does not count its open streams
    gets a counter, ``_makefile_refs = 0`` and a `_decref_socketios` that only counts down: its own `close` does not wait
    for open streams.  TypeError if it is no class, or one whose attributes, or whose instances', cannot be set.

    Returns a handle, a context manager that takes it all back at the end of the ``with``.  Installing twice is the same
    as once: one `uninstall` restores what was there, and the handle of the second does nothing.

    **Source:** `socket.socket.makefile`, `socket.SocketIO` and `socket.socket._decref_socketios` of CPython 3.6 to 3.13.
    """
    from . import SocketIO, backport_makefile  # at each call: the public names decide

    if cls is not None and not isinstance(cls, (type, type(OldStyle))):
        raise TypeError("install() needs a class, not %r" % type(cls).__name__)
    with lock:
        installation = Installation(cls)
        if id(cls) in installations:
            return installation
        try:
            if cls is None:
                installation.set(socket.socket, "makefile", backport_makefile)
                if hasattr(socket, "SocketIO"):
                    installation.set(socket, "SocketIO", SocketIO)
            else:
                needs_counter = not counts_streams(cls)
                if needs_counter and not getattr(cls, "__dictoffset__", 1):
                    raise TypeError("install() cannot give %r a counter: its instances take no attributes" % cls.__name__)
                installation.set(cls, "makefile", backport_makefile)
                if needs_counter:
                    installation.set(cls, "_makefile_refs", 0)
                    installation.set(cls, "_decref_socketios", _decref_socketios)
            installations[id(cls)] = installation
        except BaseException:
            installation.undo()
            raise
        return installation


def uninstall(cls=None):
    """uninstall(cls=None): take back what `install` with the same argument did; nothing if it did nothing.

    Every attribute is again what it was, or gone if the class itself did not have it.  Streams that exist go on.

    **Source:** this package's own `install`.
    """
    with lock:
        installation = installations.get(id(cls))
        if installation is not None:
            installation.undo()


def counts_streams(cls):
    """Whether the sockets of *cls* have a counter of their own, or need none.

    Most classes make the counter in `__init__`, where no look-up on the class can see it: but then some method's code
    names it.  A counter that a base class has from us is not its own, and may go before this class does.
    """
    if isinstance(cls, type) and issubclass(cls, (_socket.socket, socket.socket)):
        return True
    names = set()
    for base in get_bases(cls):
        for name, value in vars(base).items():
            names.add(name)
            for code in find_codes(value):
                if code is _decref_socketios.__code__:
                    return False
                names.update(getattr(code, "co_names", ()))  # PyPy's builtins have a code of their own kind
    return not names.isdisjoint(COUNTER_NAMES)


def get_bases(cls):
    """*cls* and all it derives from; 2.7's classes of the old style have no `__mro__`."""
    if hasattr(cls, "__mro__"):
        return cls.__mro__
    return [cls] + [above for base in cls.__bases__ for above in get_bases(base)]


def find_codes(value):
    """The code objects in an attribute of a class, without asking it: it may be a descriptor that does anything."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    parts = (value.fget, value.fset, value.fdel) if isinstance(value, property) else (value,)
    for function in parts:
        seen = []
        while isinstance(function, types.FunctionType) and function not in seen:  # what wraps itself has no end
            seen.append(function)
            yield function.__code__
            function = vars(function).get("__wrapped__")


def _decref_socketios(self):
    """Count one open stream less."""
    if self._makefile_refs > 0:
        self._makefile_refs -= 1
