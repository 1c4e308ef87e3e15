"""Python 3's `socket.makefile`, for any socket-like class, on Python 2.7 and 3.6 and newer.

    from backports.makefile import backport_makefile

    class MySocket:
        makefile = backport_makefile

`backport_makefile` is the function and method, `SocketIO` the raw stream type under it, `install` and `uninstall` put them
in the place of the interpreter's own.  `implementation` is ``"c"`` or ``"python"``: which of the two bodies is in use.
The environment variable ``BACKPORTS_MAKEFILE_IMPLEMENTATION`` chooses: ``c``, ``python``, or ``auto`` (the C extension
where there is one; the default).
"""
from __future__ import absolute_import  # 2.7 would look for each module in this package first

import os

__all__ = ["SocketIO", "__version__", "backport_makefile", "implementation", "install", "uninstall"]
__version__ = "1.0.0"

_VARIABLE = "BACKPORTS_MAKEFILE_IMPLEMENTATION"
_wanted = os.environ.get(_VARIABLE) or "auto"
if _wanted not in ("auto", "c", "python"):
    raise ValueError("%s must be auto, c or python, not %r" % (_VARIABLE, _wanted))

implementation = "python"
if _wanted != "python":
    try:
        from ._makefile import SocketIO, backport_makefile
        implementation = "c"
    except ImportError as _error:
        if _wanted == "c":
            raise ImportError("%s is c, but the C extension cannot be imported: %s" % (_VARIABLE, _error))
if implementation == "python":
    from ._fallback import SocketIO, backport_makefile

from ._install import install, uninstall  # noqa: E402
