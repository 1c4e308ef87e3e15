"""What the code of a class does to the counter of its sockets, read from its bytecode and not run.

`_fallback` asks it when a stream over a class without a `_decref_socketios` is made, and so does
the C extension (`src/reference.c`); `_install` looks for a counter with the same tools.
"""
from __future__ import absolute_import  # 2.7 would look for each module in this package first

import sys
import types

PY2 = sys.version_info[0] == 2


def counts_refs(cls):
    """Whether a `close` of the class *cls* counts `_makefile_refs` down.

    It does if a `close` in the class or one of its bases is a Python function that sets the
    attribute.  That of 2.7's `ssl.SSLSocket` and of urllib3's old `WrappedSocket` does: it closes
    the socket only when no stream is open.  A `close` that does not set it closes at once.
    """
    for base in get_bases(cls):
        for code in get_codes(vars(base).get("close")):
            if "_makefile_refs" in find_stored_names(code):
                return True
    return False


def get_bases(cls):
    """*cls* and all it derives from, in order; 2.7's classes of the old style have no `__mro__`."""
    if hasattr(cls, "__mro__"):
        return cls.__mro__
    return [cls] + [above for base in cls.__bases__ for above in get_bases(base)]


def get_codes(value):
    """The code objects of a function, and of the functions that it says it wraps."""
    seen = []
    while isinstance(value, types.FunctionType) and value not in seen:  # one may wrap itself
        seen.append(value)
        yield value.__code__
        value = vars(value).get("__wrapped__")


def find_stored_names(code):
    """The names of the attributes that the code sets, on whatever object."""
    import opcode  # here: nearly no process needs it

    store_attr = opcode.opmap["STORE_ATTR"]
    names = getattr(code, "co_names", ())  # PyPy's built-in functions have code of another kind
    operations = read_operations(code, opcode)
    return {names[argument] for operation, argument in operations if operation == store_attr}


def read_operations(code, opcode):
    """The (opcode, argument) pairs of the code; the argument is None where there is none."""
    data = bytearray(getattr(code, "co_code", b""))
    position = extended = 0
    while position < len(data):
        operation = data[position]
        if not PY2:  # two bytes each, from 3.6 on
            argument = extended | data[position + 1]
            position += 2
            shift = 8
        elif operation < opcode.HAVE_ARGUMENT:
            argument = None
            position += 1
            shift = 0
        else:
            argument = extended | data[position + 1] | data[position + 2] << 8
            position += 3
            shift = 16
        extended = argument << shift if operation == opcode.EXTENDED_ARG else 0
        yield operation, argument
