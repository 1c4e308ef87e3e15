"""Contract section 1: the public names, and what backport_makefile is as an object."""

import copy
import inspect
import os
import pickle
import platform
import pydoc
import re
import shutil
import subprocess
import sys
import types

import pytest

import backports.makefile
from conftest import OURS
from fakes import ScriptedSocket

PY2 = sys.version_info < (3,)
SIGNATURE = "(self, mode='r', buffering=None, encoding=None, errors=None, newline=None)"
BOUND_SIGNATURE = SIGNATURE.replace("self, ", "")
if PY2:
    EXTENSION_SUFFIX = ".so"
else:
    from importlib.machinery import EXTENSION_SUFFIXES

    EXTENSION_SUFFIX = EXTENSION_SUFFIXES[0]
VARIABLE = "BACKPORTS_MAKEFILE_IMPLEMENTATION"
METHODS = ["close", "fileno", "readable", "readinto", "seekable", "writable", "write"]


def test_names_are_those_of_the_contract():
    assert sorted(backports.makefile.__all__) == [
        "Installation",
        "SocketIO",
        "__version__",
        "backport_makefile",
        "implementation",
        "install",
        "uninstall",
    ]
    for name in backports.makefile.__all__:
        assert hasattr(backports.makefile, name)
    assert re.match(r"\d+\.\d+", backports.makefile.__version__)


def test_tab_completion_in_a_fresh_interpreter_shows_the_public_names_alone(run_script):
    # Submodules that somebody imports show, too; the scripts of the tests import private ones.
    script = "import backports.makefile; print(' '.join(dir(backports.makefile)))"
    shown = run_script(OURS[0], script)
    public = [name for name in backports.makefile.__all__ if not name.startswith("_")]
    assert [name for name in shown.split() if not name.startswith("_")] == sorted(public)


def test_install_and_its_result_are_what_they_are_called():
    with backports.makefile.install() as installation:
        assert type(installation) is backports.makefile.Installation
    assert [name for name in dir(installation) if not name.startswith("_")] == []


IMPORTS_SCRIPT = """
import os, pkgutil, socket, sys
before = set(sys.modules)
import backports.makefile
print(backports.makefile.implementation)
print(" ".join(sorted(set(sys.modules) - before)))
"""


def test_import_takes_no_module_that_costs_time():
    # not run_script(): what that imports first is what is asked for here
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    output = subprocess.check_output([sys.executable, "-c", IMPORTS_SCRIPT], env=environment)
    implementation, names = output.decode("ascii").splitlines()
    costly = {"typing", "platform", "warnings", "inspect", "ctypes", "threading"}
    assert not costly & set(names.split())
    assert implementation == "python" or "backports.makefile._fallback" not in names.split()


def test_implementation_tells_which_twin_is_in_use():
    used = dict((found.name, found) for found in OURS)[backports.makefile.implementation]
    assert backports.makefile.SocketIO is used.SocketIO
    assert backports.makefile.backport_makefile is used.makefile


CHOICE_SCRIPT = """
import backports.makefile
print(backports.makefile.implementation)
print(backports.makefile.SocketIO is SocketIO and backports.makefile.backport_makefile is makefile)
"""


def test_implementation_is_the_one_that_the_environment_asks_for(impl, run_script, monkeypatch):
    monkeypatch.setenv("BACKPORTS_MAKEFILE_IMPLEMENTATION", impl.name)
    assert run_script(impl, CHOICE_SCRIPT).split() == [impl.name, "True"]


@pytest.mark.parametrize("wanted", ["", "auto"])
def test_implementation_left_to_itself_is_c_where_there_is_one(run_script, monkeypatch, wanted):
    monkeypatch.setenv("BACKPORTS_MAKEFILE_IMPLEMENTATION", wanted)
    assert run_script(OURS[0], CHOICE_SCRIPT).split() == [OURS[0].name, "True"]


REFUSAL_SCRIPT = """
import sys
for name in [name for name in sys.modules if name.startswith("backports.makefile")]:
    del sys.modules[name]
sys.modules["backports.makefile._makefile"] = None  # as if it had not been built
try:
    import backports.makefile
except Exception as error:
    print("%s: %s" % (type(error).__name__, error))
else:
    print(backports.makefile.implementation)
"""


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ("cython", "ValueError: %s must be auto, c or python, not 'cython'" % VARIABLE),
        ("c", "ImportError: %s is c, but the C extension cannot be imported" % VARIABLE),
        ("auto", "python"),
    ],
)
def test_implementation_that_is_not_there_refused_unless_it_is_left_open(
    run_script, monkeypatch, wanted, expected
):
    # set by the script itself, for what it starts with is imported before
    script = "import os\nos.environ[%r] = %r\n%s" % (VARIABLE, wanted, REFUSAL_SCRIPT)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert run_script(OURS[-1], script).startswith(expected)


# Why it is not C


def copy_package(tmpdir):
    """A copy of the package without its extension; the folder it is in, and its own."""
    source = os.path.dirname(os.path.abspath(backports.makefile.__file__))
    target = tmpdir.mkdir("backports").mkdir("makefile")
    tmpdir.join("backports", "__init__.py").write("")
    for name in os.listdir(source):
        if name.endswith(".py"):
            shutil.copy(os.path.join(source, name), str(target))
    return str(tmpdir), str(target)


def get_reason(folder, **environment):
    """What a fresh interpreter says of the package in the folder: (output, errors)."""
    names = [name for name in os.environ if name.startswith("BACKPORTS_MAKEFILE_")]
    environment = dict(os.environ, PYTHONPATH=folder, **environment)
    for name in set(names) - set(environment):
        del environment[name]
    script = "import backports.makefile as m; print(m.implementation); print(m._reason)"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output.splitlines(), errors


def test_reason_is_empty_where_c_is_in_use(c_impl):
    if backports.makefile.implementation == "c":
        assert backports.makefile._reason == ""
    else:
        assert backports.makefile._reason == "BACKPORTS_MAKEFILE_IMPLEMENTATION=python"


def test_reason_without_an_extension_is_that_it_is_not_installed(tmpdir):
    folder, _ = copy_package(tmpdir)
    found = get_reason(folder, BACKPORTS_MAKEFILE_IMPLEMENTATION="auto")
    assert found == (["python", "the extension is not installed"], "")


def test_reason_where_the_environment_asks_for_python_is_the_variable(tmpdir):
    folder, _ = copy_package(tmpdir)
    found = get_reason(folder, BACKPORTS_MAKEFILE_IMPLEMENTATION="python")
    assert found == (["python", "BACKPORTS_MAKEFILE_IMPLEMENTATION=python"], "")


@pytest.mark.parametrize("value, is_warned", [("", True), ("1", True), ("0", False)])
def test_extension_that_cannot_be_imported_is_told_and_warned_of(tmpdir, value, is_warned):
    folder, package = copy_package(tmpdir)
    with open(os.path.join(package, "_makefile" + EXTENSION_SUFFIX), "wb") as stream:
        stream.write(b"no shared object")
    environment = {"BACKPORTS_MAKEFILE_IMPLEMENTATION": "auto", "BACKPORTS_MAKEFILE_WARN": value}
    (implementation, reason), errors = get_reason(folder, **environment)
    assert implementation == "python" and reason.startswith("import failed: ")
    assert ("RuntimeWarning: the C extension of backports.makefile is there" in errors) == is_warned
    assert (reason in errors) == is_warned


# Binding


def assert_works_as_method(sock):
    """That sock.makefile is a method of this very sock, with all its arguments."""
    with sock.makefile("rb") as stream:
        assert stream.raw._sock is sock
    assert sock.makefile.__self__ is sock
    text = {"encoding": "utf-8", "errors": "replace", "newline": ""}
    with sock.makefile(mode="w", buffering=5, **text) as text:
        assert (text.mode, text.encoding, text.errors) == ("w", "utf-8", "replace")
        assert text.buffer.raw._sock is sock
    assert sock._io_refs == 0


def test_binds_as_a_class_attribute(any_impl):
    class Sock(ScriptedSocket):
        makefile = any_impl.makefile

    assert_works_as_method(Sock())
    with Sock.makefile(Sock(), "w") as text:
        assert text.mode == "w"


def test_binds_when_set_on_a_class_later(any_impl):
    class Sock(ScriptedSocket):
        pass

    sock = Sock()
    Sock.makefile = any_impl.makefile
    assert_works_as_method(sock)


def test_binds_when_imported_in_a_class_body(impl, monkeypatch):
    monkeypatch.setattr(backports.makefile, "backport_makefile", impl.makefile)

    class Sock(ScriptedSocket):
        from backports.makefile import backport_makefile as makefile

    assert_works_as_method(Sock())


def test_binds_on_a_class_that_is_not_a_new_one_of_2_7(any_impl):
    class Sock:
        _io_refs = 0
        makefile = any_impl.makefile

        def _decref_socketios(self):
            self._io_refs -= 1

    assert_works_as_method(Sock())
    Sock.makefile = any_impl.makefile
    assert_works_as_method(Sock())


def test_binds_by_inheritance_super_and_method_type(any_impl):
    class Base(ScriptedSocket):
        makefile = any_impl.makefile

    class Derived(Base):
        def makefile(self, *args, **kwargs):
            return super(Derived, self).makefile(*args, **kwargs)

        inherited = any_impl.makefile

    sock = Derived()
    with sock.makefile("rb") as stream:
        assert stream.raw._sock is sock
    assert_works_as_method(type("Sock", (Base,), {})())
    other = ScriptedSocket()
    with types.MethodType(any_impl.makefile, other)("rb") as stream:
        assert stream.raw._sock is other


def test_binds_not_when_set_on_an_instance(any_impl):
    sock = ScriptedSocket()
    sock.makefile = any_impl.makefile
    with sock.makefile(sock, "rb") as stream:
        assert stream.raw._sock is sock


# As an object


def test_names_of_the_function_are_its_public_ones(impl):
    assert impl.makefile.__name__ == "backport_makefile"
    assert impl.makefile.__module__ == impl.SocketIO.__module__ == "backports.makefile"
    assert impl.SocketIO.__name__ == "SocketIO"
    if not PY2:
        assert impl.makefile.__qualname__ == "backport_makefile"
        assert impl.SocketIO.__qualname__ == "SocketIO"


def test_repr_names_the_function_and_the_bound_socket(impl):
    class Sock(ScriptedSocket):
        makefile = impl.makefile

        def __repr__(self):
            return "<this sock>"

    assert "backport_makefile" in repr(impl.makefile)
    assert "<this sock>" in repr(Sock().makefile)


def test_docstrings_tell_signature_errors_and_source(impl):
    methods = [getattr(impl.SocketIO, name) for name in METHODS]
    for documented in [impl.makefile, impl.SocketIO] + methods:
        assert documented.__doc__ is not None, documented
    assert "ValueError" in impl.makefile.__doc__
    kept = [getattr(impl.SocketIO, name) for name in ("readinto", "write", "close")]
    for documented in [impl.makefile, impl.SocketIO] + kept:
        assert "Source:" in documented.__doc__, documented


@pytest.mark.skipif(PY2, reason="inspect.signature came with 3.3")
def test_signature_bound_and_unbound(impl):
    class Sock(ScriptedSocket):
        makefile = impl.makefile

    assert str(inspect.signature(impl.makefile)) == SIGNATURE
    assert str(inspect.signature(Sock.makefile)) == SIGNATURE
    assert str(inspect.signature(Sock().makefile)) == BOUND_SIGNATURE


def test_help_shows_the_signature_and_the_text(impl):
    class Sock(ScriptedSocket):
        makefile = impl.makefile

    for thing in (impl.makefile, Sock.makefile, Sock().makefile):
        text = pydoc.plain(pydoc.render_doc(thing))
        assert "buffering" in text
        # PyPy's shows no text of a bound method
        if platform.python_implementation() != "PyPy" or thing is impl.makefile:
            assert "DEFAULT_BUFFER_SIZE" in text
    # the whole class, and the stream type
    assert "makefile" in pydoc.plain(pydoc.render_doc(Sock))
    assert "readinto(" in pydoc.plain(pydoc.render_doc(impl.SocketIO))


def test_help_of_the_package_names_everything():
    # In a process of its own: setuptools, once imported, drops `backports` from sys.modules.
    script = "import pydoc; print(pydoc.plain(pydoc.render_doc('backports.makefile')))"
    text = subprocess.check_output([sys.executable, "-c", script]).decode("utf-8")
    for name in ("SocketIO", "backport_makefile", "install", "uninstall", "implementation"):
        assert name in text


def test_pickle_and_copy_of_the_function_give_itself(impl, monkeypatch):
    # it pickles by its public name, under which only the implementation in use is found
    monkeypatch.setattr(backports.makefile, "backport_makefile", impl.makefile)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(impl.makefile, protocol)
        assert b"backport_makefile" in pickled
        assert pickle.loads(pickled) is impl.makefile
    assert copy.copy(impl.makefile) is impl.makefile
    assert copy.deepcopy(impl.makefile) is impl.makefile


def test_pickle_of_the_stream_type_gives_itself(impl, monkeypatch):
    monkeypatch.setattr(backports.makefile, "SocketIO", impl.SocketIO)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(impl.SocketIO, protocol)) is impl.SocketIO
