"""Contract section 1: the public names, and what backport_makefile is as an object."""
import copy
import inspect
import pickle
import platform
import pydoc
import re
import sys
import types

import pytest

import backports.makefile
from conftest import OURS
from fakes import ScriptedSocket

PY2 = sys.version_info < (3,)
SIGNATURE = "(self, mode='r', buffering=None, encoding=None, errors=None, newline=None)"
BOUND_SIGNATURE = SIGNATURE.replace("self, ", "")
METHODS = ["close", "fileno", "readable", "readinto", "seekable", "writable", "write"]


def test_names_are_those_of_the_contract():
    assert sorted(backports.makefile.__all__) == [
        "SocketIO", "__version__", "backport_makefile", "implementation", "install", "uninstall"
    ]
    for name in backports.makefile.__all__:
        assert hasattr(backports.makefile, name)
    assert re.match(r"\d+\.\d+", backports.makefile.__version__)


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
        ("cython", "ValueError: BACKPORTS_MAKEFILE_IMPLEMENTATION must be auto, c or python, not 'cython'"),
        ("c", "ImportError: BACKPORTS_MAKEFILE_IMPLEMENTATION is c, but the C extension cannot be imported"),
        ("auto", "python"),
    ],
)
def test_implementation_that_is_not_there_refused_unless_it_is_left_open(run_script, monkeypatch, wanted, expected):
    # set by the script itself, for what it starts with is imported before
    script = "import os\nos.environ['BACKPORTS_MAKEFILE_IMPLEMENTATION'] = %r\n%s" % (wanted, REFUSAL_SCRIPT)
    monkeypatch.delenv("BACKPORTS_MAKEFILE_IMPLEMENTATION", raising=False)
    assert run_script(OURS[-1], script).startswith(expected)


# Binding


def assert_works_as_method(sock):
    """That sock.makefile is a method of this very sock, with all its arguments."""
    with sock.makefile("rb") as stream:
        assert stream.raw._sock is sock
    assert sock.makefile.__self__ is sock
    with sock.makefile(mode="w", buffering=5, encoding="utf-8", errors="replace", newline="") as text:
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
    for documented in [impl.makefile, impl.SocketIO] + [getattr(impl.SocketIO, name) for name in METHODS]:
        assert documented.__doc__ is not None, documented
    assert "ValueError" in impl.makefile.__doc__
    for documented in (impl.makefile, impl.SocketIO, impl.SocketIO.readinto, impl.SocketIO.write, impl.SocketIO.close):
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
        assert "DEFAULT_BUFFER_SIZE" in text or platform.python_implementation() == "PyPy" and thing is not impl.makefile
    # the whole class, and the stream type
    assert "makefile" in pydoc.plain(pydoc.render_doc(Sock))
    assert "readinto(" in pydoc.plain(pydoc.render_doc(impl.SocketIO))


def test_help_of_the_package_names_everything():
    text = pydoc.plain(pydoc.render_doc("backports.makefile"))
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
