"""The number of a closed socket is another connection's: the short form of stress/recycled.py."""

import sys

import pytest

import harness
import recycled

pytestmark = pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs what closes at once")


def test_numbers_used_again_under_writers_and_readers_carry_no_foreign_byte(impl):
    figures = recycled.recycle(impl, harness.Budget(seconds=4))
    assert figures["rounds"] > 20
    # The interpreter's own window, a few instructions, is left: one in some hundred rounds at most.
    assert figures["wrong"] * 100 <= figures["rounds"]
