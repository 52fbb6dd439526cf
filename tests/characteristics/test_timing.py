"""The months of a trial with steady accrual: exact laws against closed forms and against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from sps_adaptive.characteristics.exact import exact_characteristics
from sps_adaptive.characteristics.metrics import METRICS
from sps_adaptive.characteristics.timing import Timing, certain, last_settled, timing
from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.exact.calendar import Course, LookAt, course
from sps_adaptive.scenario import BLOCK_SIZE, Scenario
from sps_adaptive.tables import TrialRecord
from sps_adaptive.trial import run
from tests.analytic.helpers import agree
from tests.exact.helpers import scenario

BINS = METRICS["duration_months"].bins
LOOKS = {"kind": "enrolled", "at": [8, 14]}
STOPS = [{"kind": "efficacy", "probability": 0.9}, {"kind": "futility", "probability": 0.3}]
COIN = {"kind": "equal", "block": 2}


def plan(patients: int, looks: tuple[LookAt, ...] = (), **more: Any) -> Course:
    """A patient a month from month 1 on."""
    enrolled = tuple(float(month + 1) for month in range(patients))
    settings = {"missing": 0.0, "months_to_assessment": 6.0, "window": 0.0, "dropout_rate": 0.0} | more
    return Course(patients, looks, enrolled_month=enrolled, **settings)


def bin_of(month: float) -> int:
    return int(np.floor(month * BINS + 0.5))


# ----------------------------------------------------------------------------------------------- closed forms


def test_without_chance():
    found = timing(plan(10, (LookAt(0, 8, 2, 8.0),)))
    assert found.pending == (6.0,)
    assert found.months is not None
    stopped, finished = found.months
    assert stopped.decision == certain(8.0)
    assert stopped.duration == certain(14.0)  # the eighth patient, six months later
    assert finished.duration == finished.decision == certain(16.0)


def test_nobody_is_pending():
    found = timing(plan(10, (LookAt(0, 4, 4, 4.0),), months_to_assessment=0.0))
    assert found.pending == (0.0,)
    assert found.months is not None
    assert found.months[0].duration == found.months[0].decision == certain(4.0)


def test_random_accrual_has_no_months():
    case = plan(10, (LookAt(0, 4, 4, None),), months_to_assessment=0.0)._replace(enrolled_month=None)
    found = timing(case)
    assert found.months is None
    assert found.pending == (0.0,)


def test_one_patient_in_a_window():
    """The visit falls anywhere alike within half a month of month 7."""
    found = last_settled(plan(1, window=0.5), np.array([1.0]), 0.0)
    assert found.mean == pytest.approx(7.0, abs=1e-12)
    assert found.square - found.mean**2 == pytest.approx(1 / 12, abs=1e-12)
    assert sum(found.bins.values()) == pytest.approx(1, abs=1e-12)
    assert min(found.bins) == 65
    assert max(found.bins) == 75
    assert found.bins[70] == pytest.approx(0.1, abs=1e-12)


def test_one_patient_who_may_drop_out():
    rate, month = 0.2, 6.0
    found = last_settled(plan(1, missing=0.5, dropout_rate=rate), np.array([1.0]), 0.0)
    stay = np.exp(-rate * month)
    assert found.mean == pytest.approx(1 + (1 - stay) / rate, abs=1e-10)
    square = quad(lambda t: 2 * t * np.exp(-rate * t), 0, month)[0]
    assert found.square - 2 * found.mean + 1 == pytest.approx(square, abs=1e-9)
    assert found.bins[70] == pytest.approx(np.exp(-rate * 5.95), abs=1e-12)  # those who stay, and who leave just before


def test_the_last_of_two():
    """Both windows overlap: the maximum of two uniforms."""
    found = last_settled(plan(2, window=2.0), np.array([1.0, 2.0]), 0.0)
    one, two = (lambda t: np.clip((t - 5) / 4, 0, 1)), (lambda t: np.clip((t - 6) / 4, 0, 1))
    mean = 10 - quad(lambda t: one(t) * two(t), 5, 10, points=[6, 9])[0]
    assert found.mean == pytest.approx(mean, abs=1e-10)


def test_not_before_the_trial_has_stopped():
    """Whoever was pending may have left before the look; then the look is the end."""
    rate = 0.5
    case = plan(2, missing=0.5, dropout_rate=rate)
    found = last_settled(case, np.array([2.0]), 6.0)
    gone = 1 - np.exp(-rate * 4)
    assert found.bins[bin_of(6.0)] == pytest.approx(1 - np.exp(-rate * 4.05), abs=1e-12)
    later = quad(lambda t: 1 - np.exp(-rate * (t - 2)), 6, 8)[0]
    assert found.mean == pytest.approx(8 - later, abs=1e-10)
    assert gone < sum(found.bins.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("window", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3])
def test_against_draws(window, rate):
    """The law of the last month, from the definition of a patient."""
    case = plan(9, missing=0.5 if rate else 0.0, window=window, dropout_rate=rate)
    enrolled = np.array(case.enrolled_month)
    found = last_settled(case, enrolled, 9.0)
    rng = np.random.default_rng(8)
    visit = enrolled + 6 + window * rng.uniform(-1, 1, (20_000, 9))
    leaves = enrolled + (rng.exponential(1 / rate, (20_000, 9)) if rate else np.inf)
    last = np.maximum(np.minimum(visit, leaves).max(axis=1), 9.0)
    drawn(found, last)


def drawn(found: Timing, months: np.ndarray) -> None:
    if found.square - found.mean**2 < 1e-9:
        np.testing.assert_allclose(months, found.mean, atol=1e-9)
        return
    agree(months, found.mean)
    agree(months**2, found.square)
    assert sum(found.bins.values()) == pytest.approx(1, abs=1e-12)
    bins = np.floor(months * BINS + 0.5).astype(int)
    assert set(np.unique(bins)) <= set(found.bins)
    upto = np.cumsum([found.bins[each] for each in sorted(found.bins)])
    for level in (0.1, 0.5, 0.9):
        place = int(np.searchsorted(upto, level))
        if upto[place] < 1 - 1e-3:
            agree(bins <= sorted(found.bins)[place], upto[place])


# ------------------------------------------------------------------------------------------------- simulation

CASES: dict[str, dict[str, Any]] = {
    "without chance": {"month": 3},
    "losses": {"month": 3, "lost": 0.3},
    "many losses": {"month": 4, "lost": 0.6},
    "windows": {"month": 2.5, "window": 0.25},
    "windows and losses": {"month": 2.5, "window": 0.25, "lost": 0.3},
    "fast accrual": {"month": 1.5, "lost": 0.2, "accrual": {"kind": "steady", "patients_per_month": 2.5}},
}


def simulated(case: Scenario, blocks: int) -> list[TrialRecord]:
    design = case.designs()["adaptive"]
    found = []
    for block in range(blocks):
        cohort = case.population.draw(9, block, BLOCK_SIZE, case.endpoints)
        potential = design.endpoint.potential(cohort, "y", design.arms, case.truth("truth").of("y"))
        found.append(run(design, cohort, potential))
    return found


@pytest.mark.parametrize("name", CASES)
def test_against_simulated_trials(name):
    """Decision, duration and patients pending, given where a trial stops."""
    case = scenario(20, (0.3, 0.5), LOOKS, COIN, STOPS, **CASES[name])
    when = course(case)
    found = timing(when)
    assert found.months is not None
    records = simulated(case, 5)
    stop = np.concatenate([record.stop_look for record in records])
    decision = np.concatenate([record.decision_day for record in records]) / DAYS_PER_MONTH
    duration = np.concatenate([record.looks[-1].day for record in records]) / DAYS_PER_MONTH
    for position, look in enumerate(when.looks):
        here = stop == look.k + 1
        assert here.sum() > 100
        np.testing.assert_allclose(decision[here], found.months[position].decision.mean, atol=1e-9)
        drawn(found.months[position].duration, duration[here])
        pending = np.concatenate([record.looks[look.k].n_pending for record in records])
        took_place = np.concatenate([record.looks[look.k].took_place for record in records])
        if np.ptp(pending[took_place]) == 0:
            assert pending[took_place][0] == pytest.approx(found.pending[position], abs=1e-9)
        else:
            agree(pending[took_place].astype(float), found.pending[position])
    drawn(found.months[-1].duration, duration[stop == 0])
    drawn(found.months[-1].decision, decision[stop == 0])


def test_the_figures_are_mixtures_of_these():
    case = scenario(20, (0.3, 0.5), LOOKS, COIN, STOPS, month=2.5, window=0.25, lost=0.3)
    frame = exact_characteristics(case)
    rows = frame[frame["design"] == "adaptive"].set_index(["metric", "arm", "look"])["estimate"]
    months = timing(course(case)).months
    assert months is not None
    stopped = [rows["stop_efficacy", "", look] + rows["stop_futility", "", look] for look in (1, 2)]
    shares = [*stopped, 1 - sum(stopped)]
    mean = sum(share * each.duration.mean for share, each in zip(shares, months, strict=True))
    square = sum(share * each.duration.square for share, each in zip(shares, months, strict=True))
    assert rows["duration_months", "", 0] == pytest.approx(mean, abs=1e-10)
    assert rows["duration_months_sd", "", 0] == pytest.approx(np.sqrt(square - mean**2), abs=1e-8)
    decision = sum(share * each.decision.mean for share, each in zip(shares, months, strict=True))
    assert rows["decision_month", "", 0] == pytest.approx(decision, abs=1e-10)
    law: dict[int, float] = {}
    for share, each in zip(shares, months, strict=True):
        for place, p in each.duration.bins.items():
            law[place] = law.get(place, 0.0) + share * p
    upto = np.cumsum([law[place] for place in sorted(law)])
    median = sorted(law)[int(np.searchsorted(upto, 0.5))] / BINS
    assert rows["duration_months_q50", "", 0] == pytest.approx(median, abs=1e-9)
