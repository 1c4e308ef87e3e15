"""Nobody can tell: short runs of the differential machine, from a fixed and a fresh seed.

The implementations run in pairs.

The fresh seed is printed; ``DIFFERENTIAL_SEED=N`` in the environment takes its place.  See
`differential` for the long run.
"""

from __future__ import print_function

import os
import platform
import time

import pytest

import conftest
import differential
import mutants

STEPS = 2000 if differential.PY2 else 3000  # hypothesis is slower there
FIXED_SEED = 20240229
FRESH_SEED = int(os.environ.get("DIFFERENTIAL_SEED") or time.time() * 1000 % 10 ** 9)

KNOWN = differential.load_implementations()
# What is right, what is under test.
PAIRS = [
    pair
    for pair in (("interpreter", "c"), ("interpreter", "python"), ("python", "c"))
    if set(pair) <= set(KNOWN)
]


needs_reference_counts = pytest.mark.skipif(
    platform.python_implementation() != "CPython",
    reason="the machine compares after each step what that step finalised, and only reference "
    "counts finalise it then",
)


def get_pair_name(pair):
    return "%s-%s" % pair


@pytest.fixture(params=PAIRS, ids=get_pair_name)
def pair(request):
    theirs, ours = request.param
    return KNOWN[theirs], KNOWN[ours]


def run_pair(pair, seed, steps, capsys):
    budget = differential.Budget(pair[0], pair[1], seed)
    budget.spend(steps)
    with capsys.disabled():
        print(
            "\n%s against %s: %d steps from seed %d"
            % (pair[1].name, pair[0].name, budget.machine.done, seed),
            end="",
        )
    assert not budget.found, budget.found[0]
    assert budget.machine.done >= steps
    assert budget.machine.idle < budget.machine.done / 2
    return budget


@needs_reference_counts
def test_machine_from_fixed_seed_finds_no_difference(pair, capsys):
    run_pair(pair, FIXED_SEED, STEPS // 3, capsys)


@needs_reference_counts
def test_machine_from_fresh_seed_finds_no_difference(pair, capsys):
    run_pair(pair, FRESH_SEED, STEPS, capsys)


@needs_reference_counts
@pytest.mark.parametrize("implementation", list(KNOWN.values()), ids=conftest.get_name)
def test_machine_on_one_implementation_twice_finds_no_difference(implementation, capsys):
    # Not a word about the implementation: it is the machine that has to be deterministic.
    budget = run_pair((implementation, implementation), FIXED_SEED, STEPS // 3, capsys)
    assert not set(budget.machine.allowed) - {"5: a bad mode makes no noise"}


@needs_reference_counts
def test_machine_same_seed_does_same_steps():
    ran = []
    for _ in range(2):
        budget = differential.Budget(KNOWN["python"], KNOWN["python"], FIXED_SEED)
        budget.spend(100)
        ran.append((budget.machine.done, budget.machine.idle, budget.machine.programmes))
    assert ran[0] == ran[1]


@pytest.mark.skipif(
    not differential.PY2,
    reason="the record is for 2.7, which has no makefile of its own to be compared with",
)
@pytest.mark.parametrize("implementation", conftest.OURS, ids=conftest.get_name)
def test_recorded_programmes_on_27_give_what_was_recorded_on_3x(implementation):
    programmes = differential.read_recorded()
    assert len(programmes) >= 100
    for programme in programmes:
        differential.compare_with_recorded(implementation, programme)


@pytest.mark.skipif(
    not differential.PY2,
    reason="the record is for 2.7, which has no makefile of its own to be compared with",
)
@pytest.mark.parametrize(
    "name",
    ["no timeout poisoning", "EAGAIN returned as end of file", "a close that never decrements"],
)
def test_recorded_programmes_with_broken_twin_show_difference(name):
    mutant = mutants.load_mutant(name)
    with pytest.raises(differential.Difference):
        for programme in differential.read_recorded():
            differential.compare_with_recorded(mutant, programme)


def test_decode_steps_of_all_first_bytes_gives_every_step():
    names = set()
    for first in range(256):
        for rest in (b"\x00\x00", b"\x80\x12", b"\xff\xff"):
            step, = differential.decode_steps(bytes(bytearray([first])) + rest)
            names.add(step[0])
            spaces = [row[2] for row in differential.STEPS if row[1] == step[0]][0]
            assert len(spaces) == len(step) - 1
            assert all(value in space for value, space in zip(step[1:], spaces))
    assert names == {row[1] for row in differential.STEPS}


def test_decode_steps_with_bytes_left_over_ignores_them():
    assert differential.decode_steps(b"\x00\x00") == []
    assert len(differential.decode_steps(b"\x00" * 8)) == 2


def test_allowed_differences_are_few_and_numbered():
    numbers = sorted(int(name.split(":")[0]) for name in differential.ALLOWED)
    assert numbers == [2, 5, 8, 10, 11, 12]


def test_allowed_difference_of_another_kind_is_difference():
    # The list forgives a field of a step, never a step: with the wording forgiven, the type still
    # counts.
    theirs = ("error", AttributeError, ("tuple", ("text", "a")), None, None)
    ours = ("error", TypeError, ("tuple", ("text", "b")), None, None)
    assert not differential.allow_wording(("setattr", 0, "foo 1"), "outcome", theirs, ours, None)
    assert not differential.allow_wording(("read", 0, 1), "outcome", theirs, theirs, None)
    assert differential.allow_wording(
        ("setattr", 0, "foo 1"), "outcome", theirs, theirs[:2] + ours[2:], None
    )


@needs_reference_counts
def test_hang_in_programme_is_reported(monkeypatch):
    monkeypatch.setattr(differential, "HANG_SECONDS", 0.05)
    monkeypatch.setattr(
        differential.Side, "do_flush", lambda side, slot: [None for _ in iter(int, 1)]
    )
    with pytest.raises(differential.Hang) as caught:
        differential.replay(
            KNOWN["python"], KNOWN["python"], ("plain", "unix", 0.0, "rb", None), [("flush", 0)]
        )
    assert caught.value.programme == (("plain", "unix", 0.0, "rb", None), [("flush", 0)])


@needs_reference_counts
def test_main_without_difference_prints_seed_and_returns_zero(capsys):
    assert (
        differential.main(
            ["--steps", "100", "--seed", "7", "--ours", "python", "--theirs", "python"]
        )
        == 0
    )
    output = capsys.readouterr().out
    assert "from seed 7" in output
    assert "differences found: 0" in output


def test_main_with_unknown_implementation_is_usage_error(capsys):
    with pytest.raises(SystemExit) as caught:
        differential.main(["--ours", "rust"])
    assert caught.value.code == 2
    capsys.readouterr()
