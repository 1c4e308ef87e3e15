"""The differences from 17 on of docs/differences.md, shown on ours and on the interpreter's own.

The first sixteen are in test_differences.py.
"""

import copy
import io
import pickle
import socket
import sys

import pytest

from fakes import ScriptedSocket

try:
    from unittest import mock
except ImportError:  # 2.7
    import mock

PY2 = sys.version_info[0] == 2
PYPY = hasattr(sys, "pypy_version_info")
FIELDS = {"_sock", "_mode", "_reading", "_writing", "_timeout_occurred"}


class Copied(ScriptedSocket):
    """A fake that can be pickled."""


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda raw: pickle.loads(pickle.dumps(raw, 2))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_4_raw_stream_over_a_fake_that_can_be_copied_is_refused(any_impl, duplicate):
    raw = any_impl.makefile(Copied(), "rb", 0)
    if any_impl.name == "interpreter":
        if not PYPY:
            duplicate(raw).close()
    else:
        with pytest.raises(TypeError):
            duplicate(raw)
    raw.close()


@pytest.mark.skipif(PY2, reason="2.7 shows no __dict__ of a stream at all")
def test_17_vars_of_a_raw_stream_has_the_fields_but_in_c(any_impl):
    raw = any_impl.makefile(ScriptedSocket(), "rb", 0)
    assert (FIELDS & set(vars(raw))) == (set() if any_impl.name == "c" else FIELDS)
    raw.mark = 1
    assert vars(raw)["mark"] == 1
    for name in FIELDS:
        getattr(raw, name)
    raw.close()


def test_18_base_classes_in_python_count_as_such_but_are_passed_by_in_c(any_impl):
    cls = any_impl.SocketIO
    assert issubclass(cls, io.RawIOBase) and issubclass(cls, io.IOBase)
    assert (io.RawIOBase in cls.__mro__) == (any_impl.name != "c")


@pytest.mark.skipif(PY2, reason="nothing can be set on a class in C there")
def test_19_autospecced_write_is_called_without_self_in_c(any_impl):
    with mock.patch.object(any_impl.SocketIO, "write", autospec=True, return_value=1) as write:
        raw = any_impl.makefile(ScriptedSocket(), "wb", 0)
        assert raw.write(b"x") == 1
    assert write.call_args == (mock.call(b"x") if any_impl.name == "c" else mock.call(raw, b"x"))
    raw.close()


def test_19_method_cannot_be_borrowed_by_another_class_in_c(any_impl):
    class Other(object):
        readable = any_impl.SocketIO.__dict__["readable"]
        closed = False
        _reading = True

    if any_impl.name == "c":
        with pytest.raises(TypeError):
            Other().readable()
    else:
        assert Other().readable() is True
