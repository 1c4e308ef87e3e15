"""What `_inspect` reads in the code of a class: whether its `close` counts `_makefile_refs`."""

import functools
import ssl
import sys
import types

import pytest

from backports.makefile._inspect import counts_refs, find_stored_names

PY2 = sys.version_info[0] == 2


class OldStyle:
    def close(self):
        self._makefile_refs -= 1


class Counting(object):
    def close(self):
        if self._makefile_refs < 1:
            self.sock.close()
        else:
            self._makefile_refs -= 1


class Derived(Counting):
    pass


class Overriding(Counting):
    def close(self):
        super(Overriding, self).close()


class OldDerived(OldStyle):
    pass


class Wrapping(object):
    @functools.wraps(Counting.__dict__["close"])
    def close(self):
        pass

    close.__wrapped__ = Counting.__dict__["close"]  # 2.7's wraps() does not say


class Reading(object):
    def close(self):
        return self._makefile_refs, self.other


class OtherMethod(object):
    def close(self):
        self.closed = True

    def count(self):
        self._makefile_refs -= 1


class NoFunction(object):
    close = Counting()


class Built(object):
    close = len


class SelfWrapping(object):
    def close(self):
        pass

    close.__wrapped__ = close


def make_long():
    """A class whose close has more names than one byte can number."""
    lines = "".join("        self.name%d = 1\n" % number for number in range(70000 if PY2 else 700))
    source = (
        "class Long(object):\n    def close(self):\n%s        self._makefile_refs = 0\n" % lines
    )
    namespace = {}
    exec(source, namespace)
    return namespace["Long"]


@pytest.mark.parametrize(
    "cls",
    [OldStyle, OldDerived, Counting, Derived, Overriding, Wrapping, make_long()],
    ids=lambda cls: cls.__name__,
)
def test_close_that_sets_the_counter_counts(cls):
    assert counts_refs(cls) is True


@pytest.mark.parametrize(
    "cls",
    [object, Reading, OtherMethod, NoFunction, Built, SelfWrapping, type],
    ids=lambda cls: cls.__name__,
)
def test_close_that_does_not_set_the_counter_does_not_count(cls):
    assert counts_refs(cls) is False


def test_close_of_the_interpreters_tls_socket_counts_on_2_7():
    assert counts_refs(ssl.SSLSocket) is PY2


def test_names_that_code_sets_are_found_and_no_others():
    def function(self, other):
        self.one = other.two
        other.three.four = self.one
        del self.five
        self.six += 1

    assert find_stored_names(function.__code__) == {"one", "four", "six"}


def test_code_of_another_kind_sets_nothing():
    assert find_stored_names(types.ModuleType("none")) == set()
