"""Python 3's `socket.makefile` for any socket-like class, on Python 2.7 and on 3.6 and newer.

    from backports.makefile import backport_makefile

    class MySocket:
        makefile = backport_makefile

`backport_makefile` is the function and the method.  `SocketIO` is the type of the raw stream under
it.  `install` and `uninstall` put both in the place of the interpreter's own, and take them back;
`Installation` is what `install` returns. `implementation` is ``"c"`` or ``"python"``: which of the
two implementations is in use.

The environment variable ``BACKPORTS_MAKEFILE_IMPLEMENTATION`` chooses: ``c``, ``python``, or
``auto`` (the C extension if it is there; the default).  ``BACKPORTS_MAKEFILE_WARN=0`` silences the
warnings of this package.
"""

from __future__ import absolute_import  # 2.7 looks for each module in this package first without it

import os as _os

__all__ = [
    "Installation",
    "SocketIO",
    "__version__",
    "backport_makefile",
    "implementation",
    "install",
    "uninstall",
]
__version__ = "1.0.0"


def _is_missing(error):
    """Whether an ImportError says that there is no extension; one that is there can fail too."""
    if type(error) is ImportError:  # 2.7; on 3.x an error of the loader or of the extension itself
        return str(error) == "No module named _makefile"
    return error.name == __name__ + "._makefile"


_VARIABLE = "BACKPORTS_MAKEFILE_IMPLEMENTATION"
_wanted = _os.environ.get(_VARIABLE) or "auto"
if _wanted not in ("auto", "c", "python"):
    raise ValueError("%s must be auto, c or python, not %r" % (_VARIABLE, _wanted))

implementation = "python"
_reason = "%s=python" % _VARIABLE  # why it is not C; "" if it is
if _wanted != "python":
    try:
        from ._makefile import SocketIO, backport_makefile

        implementation, _reason = "c", ""
    except ImportError as _error:
        if _wanted == "c":
            raise ImportError(
                "%s is c, but the C extension cannot be imported: %s" % (_VARIABLE, _error)
            )
        _reason = "import failed: %s" % _error
        if _is_missing(_error):
            _reason = "the extension is not installed"
if implementation == "python":
    from ._fallback import SocketIO, backport_makefile

from ._install import Installation, install, uninstall, warn as _warn  # noqa: E402

if _reason.startswith("import failed"):
    _warn(
        "the C extension of backports.makefile is there, but it cannot be imported, so the"
        " pure-Python implementation is in use (%s)" % _reason
    )

del absolute_import  # it is no name of this package
