"""Power against the number of patients, exactly, from one pass: the layers of a trial are the ends of smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.arrays import TIE
from sps_adaptive.decisions import Predictive, PredictiveSuccess
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.endpoints.course import numbers
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course, reasons_against
from sps_adaptive.exact.calibration import smallest_threshold
from sps_adaptive.exact.certificate import nulls, why_not
from sps_adaptive.exact.choice import with_patients
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Ending, walk
from sps_adaptive.exact.scores import Collector, claims_only_at_end, efficacy_rule, final_scores
from sps_adaptive.scenario import ADAPTIVE, Scenario

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float

    from sps_adaptive.contracts import Array, Design

CURVE = ("patients", "threshold", "largest_error", "power", "enrolled", "share_on_best", "responders")
"""Columns of the curve.

`patients` is the largest number of patients; `threshold` that of the efficacy rule at this size, and `largest_error`
what the error is certain not to exceed with it; `power` the probability of declaring at least one effective arm
effective; `enrolled` the mean number of patients; `share_on_best` the mean share of them on the best arm; `responders`
the mean share of those assessed who respond (have the good outcome).
"""


class Curve(NamedTuple):
    """Power against the number of patients in one truth."""

    table: pd.DataFrame
    """The columns of `CURVE`, a row for each size."""
    truth: str
    target: float
    first: int | None
    """The smallest size whose power reaches the target; None if none does."""
    lasting: int | None
    """The smallest size from which on all sizes reach it: exact power is saw-toothed."""


def curve(
    scenario: Scenario, sizes: Sequence[int], truth: str, level: float | None = None, target: float = 0.8
) -> Curve:
    """Return the exact power at each size.

    Parameters
    ----------
    scenario
        The scenario; its looks stay where they are, and a smaller trial has those before its end. Where it is not the
        beginning of the larger one (`is_beginning`), it has a pass of its own.
    sizes
        Largest numbers of patients.
    truth
        The truth whose power is wanted.
    level
        If given, each size gets the smallest threshold whose certified largest error is at most this; otherwise the
        threshold of the scenario, and no certificate.
    target
        The power that is wanted.

    Raises
    ------
    UsageError
        If the rules of the scenario depend on the largest number of patients, so that a smaller trial is another one
        from the start; if a trial of one of the sizes cannot be computed; or if no threshold can be found.
    """
    sizes = sorted({int(size) for size in sizes})
    _check(scenario, sizes, truth, level)
    whole = with_patients(scenario, sizes[-1])
    assert whole is not None
    together = [size for size in sizes if size == sizes[-1] or is_beginning(whole, size)]
    rows = _rows(whole, together, truth, level)
    for size in set(sizes) - set(together):
        alone = with_patients(scenario, size)
        assert alone is not None
        rows += _rows(alone, [size], truth, level)
    return _curve(sorted(rows), truth, target)


def is_beginning(whole: Scenario, patients: int) -> bool:
    """Return whether a trial of fewer patients is the beginning of a larger one, up to its last patient.

    It is not where one of its looks takes place after its last patient, nor where a look cuts a randomisation block
    that would have been shorter: the last block is as long as patients remain. A trial too small for any look is one.
    """
    smaller = with_patients(whole, patients)
    if smaller is None:
        return True
    design = designs(smaller)[ADAPTIVE]
    before = [look[:3] for look in course(whole).looks if look.enrolled < patients]
    if [look[:3] for look in course(smaller, design).looks] != before:
        return False
    block = design.allocation.block_length(len(design.arms))
    for begin, end in pairwise([0, *(enrolled for _, enrolled, _ in before)]):
        if block and end - begin > 1:  # to one patient, quotas and draws are the same
            last_block = begin + (end - begin - 1) // block * block
            if last_block + block > patients:
                return False
    return True


def _rows(whole: Scenario, sizes: Sequence[int], truth: str, level: float | None) -> list[tuple[float, ...]]:
    """Return the rows of the largest trial and of those that are its beginnings, from one pass."""
    design = designs(whole)[ADAPTIVE]
    case = _Case.of(whole, design, truth)
    stopped = np.zeros(len(SUMS))  # trials that stopped at a look belong to all that are larger
    ended: dict[int, _Size] = {}
    for ending in walk(design, course(whole, design), sizes=sizes[:-1]):
        if ending.end.look:
            stopped += case.sums(ending, ending.is_claimed)
            continue
        if ending.enrolled not in ended:
            ended[ending.enrolled] = _Size(ending.enrolled, case, stopped.copy(), level is not None)
        ended[ending.enrolled].add(ending)
    for size in sizes:
        if size not in ended:  # every trial stops at a look before
            ended[size] = _Size(size, case, stopped.copy(), level is not None)
    return [each.row(level) for each in ended.values()]


SUMS = ("power", "enrolled", "share_on_best", "responders", "any assessed")
"""Expectations over the final states; the last is the probability that the share of responders exists."""


class _Case(NamedTuple):
    """A trial in one truth."""

    scenario: Scenario
    design: Design
    rates: Float[Array, " A"]
    """True response rates, oriented."""
    effective: Bool[Array, " A"]
    best: Bool[Array, " A"]

    @classmethod
    def of(cls, scenario: Scenario, design: Design, truth: str) -> _Case:
        values = scenario.truth(truth).of(scenario.endpoint_name)
        rates = np.array([numbers(values[arm])[0] for arm in design.arms])  # one number each: `_check`
        rates = rates if scenario.endpoint.better == "higher" else 1 - rates
        return cls(scenario, design, rates, design.is_effective(rates), rates >= rates.max() - 1e-9)

    def probability(self, ending: Ending) -> Float[Array, " R"]:
        """Return the probability of each state."""
        known, responders = counts(ending.batch.rows())
        likelihood = self.rates**responders * (1 - self.rates) ** (known - responders)
        return np.asarray(ending.weight * likelihood.prod(axis=1))

    def sums(self, ending: Ending, is_claimed: Bool[Array, "R A"]) -> Float[Array, " 5"]:
        """Return what some final states add to `SUMS`."""
        probability = self.probability(ending)
        known, responders = counts(ending.batch.rows())
        enrolled = ending.batch.enrolled()
        n = known.sum(axis=1)
        share = np.divide(responders.sum(axis=1), n, out=np.zeros(len(n)), where=n > 0)
        found = is_claimed[:, self.effective].any(axis=1)
        on_best = enrolled[:, self.best].sum(axis=1) / ending.enrolled
        each_state = (found, np.full(len(n), ending.enrolled), on_best, share, n > 0)
        return np.array([(probability * each).sum() for each in each_state])


class _Size:
    """Collects the final states of the trial of one size; trials that stopped before are part of it."""

    def __init__(self, patients: int, case: _Case, stopped: Float[Array, " 5"], calibrated: bool) -> None:
        self.patients, self._case, self._sums = patients, case, stopped
        self._nulls = nulls(case.scenario) if calibrated else []
        self._collectors = [Collector(null, case.design) for null in self._nulls]
        self._scores: list[tuple[Float[Array, " R"], Float[Array, " R"]]] = []

    def add(self, ending: Ending) -> None:
        """Add some final states."""
        self._sums += self._case.sums(ending, ending.is_claimed)
        for collector in self._collectors:
            collector.add(ending)
        arms = np.flatnonzero(self._case.effective & np.array(ending.end.is_open))
        if self._collectors and len(arms):
            design = self._case.design
            score = final_scores(design, ending)[:, arms].max(axis=1)
            self._scores.append((score, self._case.probability(ending)))

    def row(self, level: float | None) -> tuple[float, ...]:
        """Return the row of the curve."""
        rule = efficacy_rule(self._case.scenario)[1]
        sums, threshold, upper = self._sums, rule.stated[-1], np.nan
        if level is not None:
            found = smallest_threshold(self._nulls, [each.scores() for each in self._collectors], level)
            threshold, upper = found.written, found.upper
            passed = sum(float(p[score - threshold > TIE].sum()) for score, p in self._scores)
            sums = np.array([passed, *sums[1:]])  # without claims at looks these are all
        power, enrolled, on_best, responders, any_assessed = sums
        return (self.patients, threshold, upper, power, enrolled, on_best, responders / any_assessed)


def _curve(rows: list[tuple[float, ...]], truth: str, target: float) -> Curve:
    import pandas as pd

    table = pd.DataFrame(rows, columns=list(CURVE)).astype({"patients": "int64"})
    size, reached = table["patients"].to_numpy(), (table["power"] >= target).to_numpy()
    lasting = np.append(0, np.flatnonzero(~reached) + 1)[-1]
    return Curve(
        table,
        truth,
        target,
        int(size[reached.argmax()]) if reached.any() else None,
        int(size[lasting]) if lasting < len(size) else None,
    )


def _about_maximum(rule: object) -> bool:
    return isinstance(rule, PredictiveSuccess) and rule.horizon == "maximum"


def _check(scenario: Scenario, sizes: Sequence[int], truth: str, level: float | None) -> None:
    scenario.truth(truth)
    if not sizes or sizes[0] < 2:
        raise UsageError("a trial needs at least 2 patients", "give sizes such as 24 to 120")
    efficacy_rule(scenario)
    if bound := scenario.allocation.bound_to_size():
        raise UsageError(
            f"with {bound} the allocation depends on the largest number of patients, so that each size is a trial "
            "of its own from the start",
            "use a fixed power, such as 0.5, or compute sizes one by one",
        )
    if any(isinstance(each, Predictive) or _about_maximum(each) for _, each in scenario.rules()):
        raise UsageError(
            "predictive probabilities are about one largest number of patients, so that each size is a trial of its "
            "own from the start",
            "use futility with a posterior probability, or compute sizes one by one",
        )
    if any(isinstance(each, Crossing) and not each.is_constant for _, each in scenario.rules()):
        raise UsageError(
            "thresholds by look belong to one number of looks, and larger trials have more of them",
            "give each rule one number",
        )
    most = _check_sizes(scenario.model_copy(update={"truths": {truth: scenario.truth(truth)}}), sizes)
    if level is None:
        return
    if not 0 < level < 1:
        raise UsageError(f"a level of {level:g}", "give a number between 0 and 1, such as 0.025")
    if reason := why_not(scenario):
        raise UsageError(f"no threshold can be found: {reason}")
    if scenario.strictest != ADAPTIVE:
        raise UsageError(
            "with rules that do not bind the errors are those of another trial than the power, size by size",
            "let futility bind, or leave the level out",
        )
    if not claims_only_at_end(most):
        raise UsageError(
            "a threshold for each size can be found where arms are declared effective at the final analysis only",
            "let the efficacy rule begin after the last look (from_look), or leave the level out",
        )


def _check_sizes(scenario: Scenario, sizes: Sequence[int]) -> Scenario:
    """Return the largest trial, if that of every size can be computed."""
    most: Scenario | None = None
    for size in sizes:
        most = with_patients(scenario, size)
        if reasons := reasons_against(most or scenario):
            raise UsageError(f"a trial of {size} patients cannot be computed exactly: {reasons[0]}")
    if most is None:
        raise UsageError(f"a trial of {sizes[-1]} patients ends before the first look", "give larger sizes")
    return most
