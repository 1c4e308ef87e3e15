"""The short form of stress/load.py: much of everything, and afterwards all is as before."""

import pytest

import harness
import load

pytestmark = pytest.mark.skipif(
    harness.PYPY, reason="PyPy frees descriptors and memory when it likes"
)


def test_five_hundred_streams_open_at_once_carry_their_lines(any_impl):
    assert load.open_at_once(any_impl, 500) == 500


def test_streams_made_and_closed_leave_nothing(any_impl):
    assert load.make_and_close(any_impl, 3000) < 2000


def test_small_messages_by_eight_threads_all_arrive(any_impl):
    assert load.exchange_messages(any_impl, 200) < 20000


def test_megabytes_through_one_stream_all_arrive(any_impl):
    assert load.carry(any_impl, 20 << 20) < 20000
