"""Which engine, why, and what would fit."""

from __future__ import annotations

from typing import Any

import pytest

from sps_adaptive.errors import UsageError
from sps_adaptive.exact.budget import Budget, cost
from sps_adaptive.exact.choice import AUTO, choose, largest_that_fits, too_large, with_patients
from sps_adaptive.scenario import Scenario
from tests.exact.helpers import scenario

TS = {"kind": "thompson", "floor": 0.1}
EFFICACY = {"kind": "efficacy", "probability": 0.95}
FUTILITY = {"kind": "futility", "probability": 0.1}


def looks(first: int, every: int, kind: str = "enrolled") -> dict[str, Any]:
    return {"kind": kind, "first": first, "every": every}


def asking(case: Scenario, engine: str) -> Scenario:
    return case.model_copy(update={"simulation": case.simulation.model_copy(update={"engine": engine})})


SMALL = scenario(24, (0.3, 0.5), looks(8, 4), TS, [EFFICACY, FUTILITY])
LARGE = scenario(150, (0.3, 0.5, 0.6), looks(50, 50), TS | {"realisation": "independent"}, [EFFICACY])
RANDOM = scenario(
    24, (0.3, 0.5), looks(8, 4), TS, [EFFICACY], month=3, accrual={"kind": "poisson", "patients_per_month": 2}
)
MANY_WAYS = scenario(200, (0.3, 0.5, 0.6, 0.3), looks(10, 180), TS | {"realisation": "independent"}, [EFFICACY])


# ------------------------------------------------------------------------------------------------- choosing


def test_a_small_trial_is_computed():
    for engine in ("auto", "exact"):
        choice = choose(asking(SMALL, engine))
        assert choice.exact
        assert choice.cost == cost(SMALL)
        assert choice.why == f"exact: {cost(SMALL).words()}"


def test_simulated_as_asked():
    choice = choose(asking(SMALL, "simulate"))
    assert not choice.exact
    assert choice.why == "simulated, as the scenario asks"
    assert choice.cost is None


def test_what_cannot_be_computed():
    choice = choose(RANDOM)
    assert not choice.exact
    assert choice.why.startswith("simulated: with poisson accrual")
    assert choice.cost is None
    with pytest.raises(UsageError, match="this trial cannot be computed exactly: with poisson accrual"):
        choose(asking(RANDOM, "exact"))


def test_what_is_too_large():
    choice = choose(LARGE)
    assert not choice.exact
    assert choice.cost is not None
    assert choice.why == f"simulated: exact figures would take {choice.cost.words()}"
    with pytest.raises(UsageError, match=r"too large to compute exactly: .* and the budget is 2\.0 GB and 60 s") as e:
        choose(asking(LARGE, "exact"))
    assert e.value.hint is not None
    assert "patients would fit, with the same looks; or allow more memory or time" in e.value.hint


def test_what_cannot_be_listed():
    choice = choose(MANY_WAYS)
    assert not choice.exact
    assert choice.why.startswith("simulated: 180 patients dealt between two looks to 4 arms")
    with pytest.raises(UsageError, match="180 patients dealt between two looks"):
        choose(asking(MANY_WAYS, "exact"))


def test_the_budget_decides():
    needed = cost(SMALL)
    assert choose(SMALL, Budget(needed.bytes, needed.seconds)).exact
    assert not choose(SMALL, Budget(needed.bytes - 1, needed.seconds)).exact
    assert not choose(SMALL, Budget(needed.bytes, needed.seconds - 1e-3)).exact
    assert Budget() == AUTO


# ------------------------------------------------------------------------------------------------ what fits


def test_the_largest_that_fits():
    found = largest_that_fits(LARGE, AUTO)
    smaller, larger = with_patients(LARGE, found), with_patients(LARGE, found + 1)
    assert smaller is not None
    assert larger is not None
    assert cost(smaller).fits(AUTO)
    assert not cost(larger).fits(AUTO)
    assert too_large(LARGE, AUTO).startswith(f"up to {found} patients would fit")


def test_nothing_fits():
    nothing = Budget(bytes=1.0, seconds=1.0)
    assert largest_that_fits(SMALL, nothing) == 0
    assert too_large(SMALL, nothing).startswith("allow more memory or time")


# -------------------------------------------------------------------------------------------- other numbers


def test_a_series_of_looks_goes_on():
    for patients, at in ((24, [8, 12, 16, 20]), (13, [8, 12]), (12, [8]), (30, [8, 12, 16, 20, 24, 28])):
        other = with_patients(SMALL, patients)
        assert other is not None
        assert other.population.patients == patients
        assert other.looks.counts(patients) == at
        assert other.problems() == []
    assert with_patients(SMALL, 8) is None


def test_a_series_that_ends():
    case = scenario(24, (0.3, 0.5), looks(8, 4) | {"last": 16}, TS, [EFFICACY])
    for patients, at in ((24, [8, 12, 16]), (40, [8, 12, 16]), (13, [8, 12])):
        other = with_patients(case, patients)
        assert other is not None
        assert other.looks.counts(patients) == at
        assert other.problems() == []


def test_a_list_of_looks_and_no_looks():
    listed = scenario(24, (0.3, 0.5), {"kind": "assessed", "at": [8, 20]}, TS, [EFFICACY])
    for patients, at in ((30, [8, 20]), (20, [8])):
        other = with_patients(listed, patients)
        assert other is not None
        assert other.looks.counts(patients) == at
    none = with_patients(scenario(24, (0.3, 0.5), {"kind": "none"}, TS, [EFFICACY]), 30)
    assert none is not None
    assert (none.n_looks, none.population.patients) == (0, 30)


def test_looks_for_several_reasons():
    several = {"kind": "several", "of": [looks(8, 4), {"kind": "calendar", "at_months": [9, 15]}], "most": 5}
    case = scenario(24, (0.3, 0.5), several, TS, [EFFICACY])
    other = with_patients(case, 13)
    assert other is not None
    assert [member.n_due(13) for member in other.looks.of] == [2, 2]
    assert (case.n_looks, other.n_looks) == (5, 4)
    assert other.problems() == []
    other = with_patients(case, 8)  # too small for a look at eight patients; those by the calendar stay
    assert other is not None
    assert [member.kind for member in other.looks.of] == ["calendar"]
    by_number = scenario(24, (0.3, 0.5), {"kind": "several", "of": [looks(8, 4), looks(10, 4)]}, TS, [EFFICACY])
    assert with_patients(by_number, 8) is None


def test_a_trial_too_small_for_a_look_to_wait_so_long():
    case = scenario(24, (0.3, 0.5), looks(8, 4) | {"minimum_assessed": 10}, TS, [EFFICACY])
    assert with_patients(case, 11) is not None
    assert with_patients(case, 10) is None


def test_rules_follow_the_looks():
    rules = [
        EFFICACY | {"from_look": 5},  # the final analysis only
        FUTILITY | {"from_look": 2},
        {"kind": "drop_arm", "probability": [0.1, 0.2, 0.3, 0.4]},
        {"kind": "efficacy", "probability": [0.99, 0.98, 0.97, 0.96, 0.9]},
    ]
    case = scenario(24, (0.3, 0.5), looks(8, 4), TS, rules)
    for patients, drop, thresholds in (
        (16, [0.1, 0.2], [0.99, 0.98, 0.9]),
        (24, [0.1, 0.2, 0.3, 0.4], [0.99, 0.98, 0.97, 0.96, 0.9]),
        (32, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4], [0.99, 0.98, 0.97, 0.96, 0.96, 0.96, 0.9]),
    ):
        other = with_patients(case, patients)
        assert other is not None
        end, futility, dropping, by_look = other.decisions
        assert end.from_look == other.n_looks + 1
        assert futility.from_look == 2
        assert dropping.probability == drop
        assert by_look.probability == thresholds
        assert other.problems() == []


def test_the_same_number_is_the_same_trial():
    other = with_patients(SMALL, 24)
    assert other is not None
    assert other.looks.counts(24) == SMALL.looks.counts(24)
    assert other.decisions == SMALL.decisions
    assert cost(other) == cost(SMALL)
