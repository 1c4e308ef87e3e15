"""Build and metadata of backports.makefile: all of it is here, so that every pip and setuptools from 2.7's on reads the same.

BACKPORTS_MAKEFILE_C in the environment decides about the C extension:

auto (default)
    build it; where that fails (no compiler, no headers), and on PyPy, install the pure-Python twin alone
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

# The pips that know python_requires never come here on another Python; the older ones do, and show this sentence.
if not (2, 7) <= sys.version_info[:2] < (3, 0) and sys.version_info < (3, 6):
    sys.exit("backports.makefile needs Python 2.7, or 3.6 or newer; this is Python %d.%d." % sys.version_info[:2])

MAKEFILE_C = os.environ.get("BACKPORTS_MAKEFILE_C") or "auto"
if MAKEFILE_C not in ("auto", "require", "skip"):
    sys.exit("BACKPORTS_MAKEFILE_C is %r; it can be auto, require or skip." % MAKEFILE_C)

from setuptools import Extension, setup  # noqa: E402
from setuptools.command.build_ext import build_ext  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


def read(*path):
    with io.open(os.path.join(HERE, *path), encoding="utf-8") as stream:
        return stream.read()


class BuildFailed(Exception):
    """The C extension was not built."""


class OptionalBuildExt(build_ext):
    """Tells a failed build of the extension from every other failure.

    `Extension(optional=True)` would not do: the wheel would still be named after one interpreter and platform.
    """

    def run(self):
        try:
            build_ext.run(self)
        except (Exception, SystemExit) as error:  # distutils exits when it finds no compiler at all
            raise BuildFailed(error)


EXTENSION = Extension(
    "backports.makefile._makefile",
    sources=sorted(glob.glob("src/*.c")),
    depends=sorted(glob.glob("src/*.h")),
    extra_compile_args=[] if os.name == "nt" else ["-std=c99"],
)


def run_setup(ext_modules, **options):
    setup(
        name="backports.makefile",
        version=re.search(r'^__version__ = "(.+)"', read("backports", "makefile", "__init__.py"), re.M).group(1),
        description="Python 3's socket.makefile and SocketIO in C, for every Python from 2.7 on and for sockets of your own",
        long_description=read("README.md"),
        long_description_content_type="text/markdown",
        author="The backports.makefile maintainers",
        license="MIT",
        keywords="socket makefile SocketIO io ssl urllib3 pyOpenSSL backport",
        classifiers=[
            "Development Status :: 4 - Beta",
            "Intended Audience :: Developers",
            "Operating System :: OS Independent",
            "Operating System :: POSIX :: Linux",
            "Programming Language :: C",
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
            "Programming Language :: Python :: Implementation :: CPython",
            "Programming Language :: Python :: Implementation :: PyPy",
            "Topic :: Internet",
            "Topic :: System :: Networking",
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
elif MAKEFILE_C == "require":
    run_setup([EXTENSION])
else:
    try:
        run_setup([EXTENSION], cmdclass={"build_ext": OptionalBuildExt})
    except BuildFailed as error:
        sys.stderr.write(
            "The C extension of backports.makefile was not built (%s); its pure-Python twin is installed alone.\n"
            "Set BACKPORTS_MAKEFILE_C=require to make this an error.\n" % error
        )
        run_pure_setup()
