"""Build and metadata of backports.makefile.

All of it is here, so that every pip and setuptools from 2.7's on reads the same.

BACKPORTS_MAKEFILE_C in the environment decides about the C extension:

auto (default)
    build it; where that fails (no compiler, no headers), and on PyPy, install the pure-Python
    implementation alone
require
    a build that fails is an error
skip
    do not try
"""

import glob
import io
import os
import platform
import re
import sys

# The pips that know python_requires never come here on another Python.  The older ones do, and show
# this sentence.
if not (2, 7) <= sys.version_info[:2] < (3, 0) and sys.version_info < (3, 6):
    sys.exit(
        "backports.makefile needs Python 2.7, or 3.6 or newer; this is Python %d.%d. Install a"
        " newer one (Debian, Fedora: python3)." % sys.version_info[:2]
    )

MAKEFILE_C = os.environ.get("BACKPORTS_MAKEFILE_C") or "auto"
if MAKEFILE_C not in ("auto", "require", "skip"):
    sys.exit("BACKPORTS_MAKEFILE_C is %r; it can be auto, require or skip." % MAKEFILE_C)

from setuptools import Extension, setup  # noqa: E402
from setuptools.command.build_ext import build_ext  # noqa: E402

# Where the project is found, for instance "https://example.org/backports.makefile", without a slash
# at the end.  docs/releasing.md says when it is filled in; while it is empty, nothing prints an
# address.
PROJECT_URL = ""
HERE = os.path.dirname(os.path.abspath(__file__))


def read(*path):
    with io.open(os.path.join(HERE, *path), encoding="utf-8") as stream:
        return stream.read()


def get_version():
    source = read("backports", "makefile", "__init__.py")
    return re.search(r'^__version__ = "(.+)"', source, re.M).group(1)


def get_long_description():
    """The README without what works in the repository alone: pictures, and links to its files."""
    text = re.sub(r"^!\[.*\n+", "", read("README.md"), flags=re.M)
    target = r"[\1](%s/blob/main/\2)" % PROJECT_URL if PROJECT_URL else r"\1"
    return re.sub(r"\[([^]\n]+)\]\((?!https?:|#)([^)\n]+)\)", target, text)


def get_addresses():
    """The metadata's links; none before the project has an address."""
    if not PROJECT_URL:
        return {}
    pages = {"Documentation": "README.md", "Changes": "CHANGELOG.md", "Security": "SECURITY.md"}
    urls = dict((name, "%s/blob/main/%s" % (PROJECT_URL, pages[name])) for name in pages)
    return {"url": PROJECT_URL, "project_urls": urls}


class BuildFailed(Exception):
    """The C extension was not built; the text says why, and what to install."""


class OptionalBuildExt(build_ext):
    """Tells a failed build of the extension from every other failure.

    `Extension(optional=True)` would not do: the wheel would still be named after one interpreter
    and platform.
    """

    def run(self):
        try:
            build_ext.run(self)
        except (Exception, SystemExit) as error:  # distutils exits when it finds no compiler at all
            raise BuildFailed(self.explain(error))

    def explain(self, error):
        """A sentence on why the build failed."""
        compiler = (getattr(self.compiler, "compiler_so", None) or [None])[0]
        if compiler is not None and find_executable(compiler) is None:
            return (
                "There is no C compiler (%s): install gcc and libc6-dev (Debian), or gcc"
                " (Fedora)." % compiler
            )
        if not any(os.path.exists(os.path.join(path, "Python.h")) for path in self.include_dirs):
            if sys.version_info[0] == 2:
                debian, fedora = "python2.7-dev", "python2.7"  # Fedora's has the headers in it
            else:
                debian, fedora = "python%d.%d-dev" % sys.version_info[:2], "python3-devel"
            return (
                "Python's headers (Python.h) are missing: install %s (Debian), or %s (Fedora)."
                % (debian, fedora)
            )
        return "The compiler failed (%s); above is what it said." % error


def find_executable(name):
    """Where a command is, or None, as the shell finds it."""
    for folder in [""] if os.path.dirname(name) else os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


EXTENSION = Extension(
    "backports.makefile._makefile",
    sources=sorted(glob.glob("src/*.c")),
    depends=sorted(glob.glob("src/*.h")),
    extra_compile_args=[] if os.name == "nt" else ["-std=c99"],
)


def run_setup(ext_modules, **options):
    options.update(get_addresses())
    setup(
        name="backports.makefile",
        version=get_version(),
        description="Python 3's socket.makefile and SocketIO, in C, for any socket-like class",
        long_description=get_long_description(),
        long_description_content_type="text/markdown",
        author="The backports.makefile maintainers",
        license="MIT",
        keywords="socket makefile SocketIO io ssl urllib3 pyOpenSSL backport",
        classifiers=[
            "Development Status :: 5 - Production/Stable",
            "Intended Audience :: Developers",
            "Operating System :: OS Independent",
            "Operating System :: POSIX :: Linux",
            "Programming Language :: C",
            "Programming Language :: Python",
            "Programming Language :: Python :: 2",
            "Programming Language :: Python :: 2.7",
            "Programming Language :: Python :: 3",
            "Programming Language :: Python :: 3.6",
            "Programming Language :: Python :: 3.7",
            "Programming Language :: Python :: 3.8",
            "Programming Language :: Python :: 3.9",
            "Programming Language :: Python :: 3.10",
            "Programming Language :: Python :: 3.11",
            "Programming Language :: Python :: 3.12",
            "Programming Language :: Python :: 3.13",
            "Programming Language :: Python :: 3.14",
            "Programming Language :: Python :: 3.15",
            "Programming Language :: Python :: Implementation :: CPython",
            "Programming Language :: Python :: Implementation :: PyPy",
            "Topic :: Internet",
            "Topic :: System :: Networking",
            "Typing :: Typed",
        ],
        python_requires=">=2.7, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*, !=3.4.*, !=3.5.*",
        packages=["backports", "backports.makefile"],
        package_data={"backports.makefile": ["py.typed", "*.pyi"]},
        ext_modules=ext_modules,
        zip_safe=False,
        **options
    )


def run_pure_setup():
    run_setup([], options={"bdist_wheel": {"python_tag": "py2.py3"}})


if MAKEFILE_C == "skip" or (MAKEFILE_C == "auto" and platform.python_implementation() == "PyPy"):
    run_pure_setup()
else:
    try:
        run_setup([EXTENSION], cmdclass={"build_ext": OptionalBuildExt})
    except BuildFailed as error:
        if MAKEFILE_C == "require":
            sys.exit("%s BACKPORTS_MAKEFILE_C=require makes this an error." % error)
        sys.stderr.write(
            "%s The C extension of backports.makefile was not built, and its pure-Python"
            " implementation is installed alone. BACKPORTS_MAKEFILE_C=require makes this an"
            " error.\n" % error
        )
        run_pure_setup()
