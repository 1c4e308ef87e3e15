"""The differential machine finds each broken twin of `mutants`, and nothing in the twin itself."""

from __future__ import print_function

import platform

import pytest

import conftest
import differential
import mutants

SEED = 1
STEPS = 60000  # when it gives up; what each mutant took is printed
TWIN = conftest.load_python()
ORACLE = (conftest.INTERPRETER or [TWIN])[0]

needs_reference_counts = pytest.mark.skipif(
    platform.python_implementation() != "CPython",
    reason="the machine needs reference counts, see test_differential",
)


def show_difference(implementation, error):
    """Does `implementation` show the difference that this error tells of?"""
    try:
        differential.replay(ORACLE, implementation, *error.programme)
    except (differential.Difference, differential.Hang):
        return True
    return False


@needs_reference_counts
@pytest.mark.parametrize("name", list(mutants.MUTATIONS))
def test_machine_on_broken_twin_finds_difference(name, capsys):
    mutant = mutants.load_mutant(name)
    budget = differential.Budget(ORACLE, mutant, SEED)
    found = []
    while budget.machine.done < STEPS and not found:
        budget.spend(STEPS, give_up=len(budget.found) + 1, minimal=False)
        # What the twin shows as well was not broken by the mutation, and is another test's
        # business; what the mutant does not show again was a matter of time.
        found = [
            error
            for error in budget.found
            if show_difference(mutant, error) and not show_difference(TWIN, error)
        ]
    with capsys.disabled():
        print(
            "\n%s: %s after %d steps"
            % (name, "found" if found else "NOT FOUND", budget.machine.done),
            end="",
        )
    assert found


def test_mutation_piece_not_in_source_is_error(monkeypatch):
    monkeypatch.setitem(mutants.MUTATIONS, "no such piece", [("no such piece", "")])
    with pytest.raises(mutants.MutantError):
        mutants.load_mutant("no such piece")


def test_mutation_piece_twice_in_source_is_error(monkeypatch):
    monkeypatch.setitem(mutants.MUTATIONS, "return", [("return", "")])
    with pytest.raises(mutants.MutantError):
        mutants.load_mutant("return")


def test_load_mutant_leaves_twin_alone():
    mutant = mutants.load_mutant("no timeout poisoning")
    assert mutant.SocketIO is not TWIN.SocketIO
    assert conftest.load_python() == TWIN


@needs_reference_counts
def test_minimise_of_long_programme_leaves_what_matters():
    mutant = mutants.load_mutant("no timeout poisoning")
    setup = ("fake", "tcp", None, "rwb", 64)
    steps = [("send", "lines", 5), ("read", 0, 3), ("write", 0, "own", "utf8", 7),
             ("settimeout", 0.001), ("readline", 0, 5), ("read", 0, 8), ("flush", 0),
             ("read", 0, 1), ("query", 0, "mode")]
    setup, steps, error = differential.minimise(ORACLE, mutant, setup, steps)
    assert isinstance(error, differential.Difference)
    assert len(steps) == 3 and steps[0] == ("settimeout", 0.001)
    assert setup == ("plain", "unix", 0.0, "rb", None)
