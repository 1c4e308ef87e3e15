"""`install` and `uninstall`: put our makefile in the place of the interpreter's own, and back.

Each attribute that is set is remembered once, with what its owner's own ``__dict__`` held before,
however many installations need it; the last one to go writes that back, or deletes what was not
there.
"""

from __future__ import absolute_import  # 2.7 would look for each module in this package first

import os
import socket
import sys

import _socket

try:
    from _thread import allocate_lock
except ImportError:  # 2.7
    from thread import allocate_lock

from ._inspect import get_bases, get_codes

WARN_VARIABLE = "BACKPORTS_MAKEFILE_WARN"
ABSENT = object()
COUNTER_NAMES = ("_makefile_refs", "_io_refs", "_decref_socketios")


class OldStyle:
    """A class of the old style on 2.7."""


# The interpreter's own classes, whose sockets have a counter or need none.  What a library has put
# into socket.socket is none of them.
OWN_CLASSES = (_socket.socket, getattr(socket, "_socketobject", _socket.socket))

# Keyed by identity, which stays theirs while they are held here: a metaclass may make its classes
# unhashable.
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
    """What one `install` did.  As a context manager it takes that back at the end of the ``with``.

    An `install` that finds its work done gives one that takes nothing back: that is for the first
    one, or for `uninstall`.
    """

    def __init__(self, cls):
        self._cls = cls
        self._attributes = []

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        with lock:
            if installations.get(id(self._cls)) is self:
                self._undo()

    def _set(self, owner, name, value):
        key = id(owner), name
        attribute = attributes.get(key) or Attribute(owner, name)
        self._attributes.append(attribute)  # first: whatever fails from here on, _undo() puts right
        attribute.holders += 1
        attributes[key] = attribute
        setattr(owner, name, value)

    def _undo(self):
        """Put everything back.  What fails in here can be tried again."""
        while self._attributes:
            attribute = self._attributes[-1]
            if attribute.holders == 1:
                attribute.restore()
                attributes.pop((id(attribute.owner), attribute.name), None)
            attribute.holders -= 1
            self._attributes.pop()
        installations.pop(id(self._cls), None)


def install(cls=None, warn=True):
    """install(cls=None, warn=True): use our makefile in the whole process, or in one class.

    Without *cls*: sets `socket.socket.makefile` and, on 3.x, `socket.SocketIO`.  Sockets that exist
    already follow. Modules that took either name before keep what they took.

    With *cls*, a class (2.7: of the old style too): sets its `makefile`.

    A class that does not count its open streams gets a counter, ``_makefile_refs = 0`` and a
    `_decref_socketios` that only counts down: its own `close` does not wait for open streams.  That
    holds for the class that stands in `socket.socket`, too, if a library has put its own there.
    TypeError if *cls* is no class, or if the attributes of the class, or of its instances, cannot
    be set.

    Returns an `Installation`, a context manager that takes it all back at the end of the ``with``.
    Installing twice is the same as once: one `uninstall` restores what was there, and the handle of
    the second does nothing.

    RuntimeWarning, once: without *cls*, if there is no C extension and the interpreter has a
    makefile of its own, which is then the faster one.  ``warn=False`` silences it,
    ``BACKPORTS_MAKEFILE_WARN=0`` in the environment too.

    **Source:** `socket.socket.makefile`, `socket.SocketIO` and `socket.socket._decref_socketios` of
    CPython 3.6 to 3.15.
    """
    from . import SocketIO, backport_makefile  # at each call: the public names decide

    if cls is not None and not isinstance(cls, (type, type(OldStyle))):
        raise TypeError("install() needs a class, not %r" % type(cls).__name__)
    if cls is None and warn:
        warn_of_python()
    with lock:
        installation = Installation(cls)
        if id(cls) in installations:
            return installation
        try:
            owner = socket.socket if cls is None else cls
            needs_counter = not counts_streams(owner)
            if needs_counter and not takes_attributes(owner):
                raise TypeError(
                    "install() cannot give %s.%s a counter: its instances take no"
                    " attributes" % (owner.__module__, owner.__name__)
                )
            installation._set(owner, "makefile", backport_makefile)
            if needs_counter:
                installation._set(owner, "_makefile_refs", 0)
                installation._set(owner, "_decref_socketios", _decref_socketios)
            if cls is None and hasattr(socket, "SocketIO"):
                installation._set(socket, "SocketIO", SocketIO)
            installations[id(cls)] = installation
        except BaseException:
            installation._undo()
            raise
        return installation


def uninstall(cls=None):
    """uninstall(cls=None): take back what `install` with the same argument did; nothing if it did
    nothing.

    Every attribute is again what it was, or gone if the class itself did not have it.  Streams that
    exist go on.

    **Source:** this package's own `install`.
    """
    with lock:
        installation = installations.get(id(cls))
        if installation is not None:
            installation._undo()


def takes_attributes(cls):
    """Whether the instances of *cls* take attributes of any name."""
    if not isinstance(cls, type):
        return True  # 2.7's old style
    if hasattr(cls, "__dictoffset__"):
        return cls.__dictoffset__ != 0
    return any("__dict__" in vars(base) for base in cls.__mro__)  # PyPy


def counts_streams(cls):
    """Whether the sockets of *cls* have a counter of their own, or need none.

    Most classes make the counter in `__init__`, where no look-up on the class can see it: but then
    some method's code names it.  A counter that a base class has from us is not its own, and may go
    before this class does.
    """
    if isinstance(cls, type) and issubclass(cls, OWN_CLASSES):
        return True
    names = set()
    for base in get_bases(cls):
        for name, value in vars(base).items():
            names.add(name)
            for code in find_codes(value):
                if code is _decref_socketios.__code__:
                    return False
                names.update(getattr(code, "co_names", ()))  # the code of PyPy's builtins has none
    return not names.isdisjoint(COUNTER_NAMES)


def find_codes(value):
    """The code objects in an attribute of a class.

    The attribute is not asked: it may be a descriptor that does anything.
    """
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    parts = (value.fget, value.fset, value.fdel) if isinstance(value, property) else (value,)
    for function in parts:
        for code in get_codes(function):
            yield code


def _decref_socketios(self):
    """Count one open stream less."""
    if self._makefile_refs > 0:
        self._makefile_refs -= 1


# --- Warnings -------------------------------------------------------------------------------------

has_warned = False


def warn(sentence, stacklevel=2):
    """Give a RuntimeWarning, unless BACKPORTS_MAKEFILE_WARN=0."""
    if os.environ.get(WARN_VARIABLE) != "0":
        import warnings

        warnings.warn(sentence, RuntimeWarning, stacklevel + 1)


def warn_of_python():
    """For install(): say once that the interpreter's own makefile is faster than the implementation
    in use.

    Not on 2.7, which has none, and not if the environment asks for this implementation.
    """
    global has_warned
    from . import _reason

    is_chosen = not _reason or _reason.startswith("BACKPORTS_MAKEFILE_")
    if has_warned or is_chosen or not hasattr(socket, "SocketIO"):
        return
    warn(
        "install() puts the pure-Python implementation of backports.makefile (%s) in the place of"
        " the interpreter's own makefile, which is faster. %s install(warn=False) or %s=0 silences"
        " this warning." % (_reason, get_cure(_reason), WARN_VARIABLE),
        3,
    )
    has_warned = True


def get_cure(reason):
    """What to do about the reason why it is not C, in sentences; "" where nothing can be done."""
    if "__pypy__" in sys.builtin_module_names:
        return "PyPy gets this implementation alone."
    if not reason or reason.startswith("BACKPORTS_MAKEFILE_"):
        return ""
    if sys.version_info[0] == 2:
        debian, fedora = "python2.7-dev", "python2.7"  # Fedora's has the headers in it
    else:
        debian, fedora = "python%d.%d-dev" % sys.version_info[:2], "python3-devel"
    return (
        "Install a C compiler and Python's headers (Debian: gcc, libc6-dev, %s; Fedora: gcc,"
        " %s), then this package again: pip install --no-cache-dir --force-reinstall"
        " backports.makefile." % (debian, fedora)
    )
