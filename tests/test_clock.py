"""A library that freezes time by replacing each attribute of a module that is a clock."""

import os
import socket
import sys
import time

import pytest

from backports.makefile._fallback import make_clock
from running import Worker, run_script

CLOCKS = [
    getattr(time, name)
    for name in ("time", "monotonic", "perf_counter", "time_ns", "monotonic_ns")
    if hasattr(time, name)
]


@pytest.fixture
def frozen_clock(monkeypatch):
    """All the clocks that stand in a module tell one and the same time."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if any(value is clock for clock in CLOCKS):
                monkeypatch.setitem(vars(module), name, lambda: 1000000)


@pytest.mark.parametrize("times", [1, 2], ids=["first", "after progress"])
def test_write_with_a_timeout_ends_when_the_clock_is_frozen(
    any_impl, unix_pair, times, frozen_clock
):
    ours, peer = unix_pair
    ours.settimeout(0.3)
    raw = any_impl.makefile(ours, "wb", 0)
    if times == 2:
        ours.setblocking(False)
        raw.write(b"x" * (1 << 22))
        ours.settimeout(0.3)

    def write():
        while True:
            raw.write(b"x" * (1 << 22))

    with pytest.raises(socket.timeout):
        Worker(write).get()


def test_read_with_a_timeout_ends_when_the_clock_is_frozen(any_impl, unix_pair, frozen_clock):
    ours, peer = unix_pair
    ours.settimeout(0.3)
    with pytest.raises(socket.timeout):
        Worker(any_impl.makefile(ours, "rb", 0).read, 1).get()


def test_clock_of_the_twin_when_all_are_frozen_is_the_systems(frozen_clock):
    assert abs(make_clock()() - os.times()[4]) < 10


FROZEN_FIRST = """
import time
def stand_still():
    return 1000000
for name in "time", "monotonic", "perf_counter":
    if hasattr(time, name):
        setattr(time, name, stand_still)
%s
ours, peer = socket.socketpair()
ours.settimeout(0.3)
raw = makefile(ours, "wb", 0)
try:
    while True:
        raw.write(b"x" * (1 << 22))
except socket.timeout:
    print("end")
"""


def test_write_with_a_timeout_ends_when_the_clock_was_frozen_before_the_import(impl):
    # As run_script() imports it before the script, it is imported anew.
    anew = (
        "import importlib\n"
        "for name in list(sys.modules):\n"
        "    if name.startswith('backports.makefile._'):\n"
        "        del sys.modules[name]\n"
        "module = importlib.import_module(modules[sys.argv[1]])\n"
        "makefile = module.backport_makefile"
    )
    if impl.name == "c":
        anew = ""
    assert run_script(FROZEN_FIRST % anew, impl) == "end\n"
