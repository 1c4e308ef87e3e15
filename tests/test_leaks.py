"""Nothing grows: the short form of stress/leaks.py, which misses no public operation."""

import gc
import socket

import pytest

import harness
import leaks

ROUNDS = 600 if harness.NO_GIL else 60  # without a GIL some blocks are freed a while later
IDS = ["%s: %s" % (name, condition) for name, condition, function in leaks.OPERATIONS]


@pytest.fixture(scope="module")
def environments():
    """The environments by implementation: made once, since operations leave them as they were."""
    made = {}
    gc.collect()
    gc.disable()  # what a test allocates must not decide when something else is freed
    yield made
    gc.enable()


@pytest.mark.skipif(harness.PYPY, reason="PyPy counts neither references nor blocks")
@pytest.mark.parametrize("operation", leaks.OPERATIONS, ids=IDS)
def test_operation_done_many_times_leaves_nothing(impl, operation, environments):
    name, condition, function = operation
    if impl.name not in environments:
        environments[impl.name] = leaks.Environment(impl)
    assert leaks.find_growth(function, environments[impl.name], ROUNDS) == {}


def test_public_operations_each_have_a_leak_test(impl):
    missing = leaks.find_public_names(impl) - {
        name for name, condition, function in leaks.OPERATIONS
    }
    assert not missing, "add these to stress/leaks.py"


def test_public_operations_are_those_of_both_implementations(impl):
    assert "SocketIO.readinto" in leaks.find_public_names(impl)


@pytest.mark.skipif(harness.PYPY, reason="PyPy counts neither references nor blocks")
@pytest.mark.parametrize(
    "leak",
    [
        lambda env: env.kept.append([1]),
        lambda env: env.kept.append(env.buffer),
        lambda env: env.kept.extend(socket.socketpair()),
    ],
    ids=["an object", "a reference", "descriptors"],
)
def test_measuring_an_operation_that_leaks_finds_it(impl, leak, environments):
    env = environments.setdefault(impl.name, leaks.Environment(impl))
    env.kept = []
    assert leaks.find_growth(leak, env, ROUNDS)
    for sock in env.kept:
        if hasattr(sock, "close"):
            sock.close()
