"""Say which backports.makefile the next tests will import; fail if it is not the one meant.

That is the one installed in this environment, never the sources beside the tests; and what
BACKPORTS_MAKEFILE_C asked for.
"""

import os
import sys

import backports.makefile

path = os.path.dirname(os.path.abspath(backports.makefile.__file__))
print(
    "backports.makefile %s (%s) in %s"
    % (backports.makefile.__version__, backports.makefile.implementation, path)
)

if not path.startswith(os.path.join(sys.prefix, "")):
    sys.exit("this is not the installed package, which would be under %s" % sys.prefix)
wanted = {"require": "c", "skip": "python"}.get(os.environ.get("BACKPORTS_MAKEFILE_C"))
if wanted not in (None, backports.makefile.implementation):
    sys.exit("the tests were to run with the implementation %r" % wanted)
