"""Sums over the replicates of a block, from which every figure of a run is made.

A run never needs all its trials at once: a block leaves sums behind, and sums add up. So more blocks, in any
order, from any number of workers, give the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.characteristics.metrics import METRICS, outcome_metric
from sps_adaptive.characteristics.truths import TrueState, true_state
from sps_adaptive.characteristics.wide import SecondaryAtEnd, Trials, at_end_of, trials_of
from sps_adaptive.tables import OUTCOMES, STOP_REASONS

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array
    from sps_adaptive.scenario import Scenario
    from sps_adaptive.tables import Block

SUMS = 6
"""Version of the sums: raised whenever the same tables would give other ones."""

SCORES: Mapping[str, int] = {"score_right": 100, "score_wrong": 100}
"""Histograms from which `matched` finds thresholds, with their bins a unit; no figures of their own.

The score of a trial is -log(1 - p) of the largest final probability p of being better than the control, over the
effective (right) or the ineffective (wrong) arms. Only the design without looks has it.
"""

PROBABLY = 0.975
"""The posterior probability above which an arm is called probably better on an endpoint beside the primary one."""

WRONG_DIRECTION = 0.10
"""Share of the largest sample by which the worst arm must be ahead for an imbalance in the wrong direction."""

NO_BIN = -1
"""The bin of a row that holds sums of powers."""

COLUMNS = ("design", "metric", "arm", "look", "bin", "origin", "n", "s1", "s2", "s3", "s4")
"""Columns of the table of sums.

`design` is the position in `block.DESIGNS`; `metric` the name of the metric whose sums these are; `arm` is 0 for none
and then the arms from 1; `look` is 0 for none. In a row of powers (`bin` -1), n values x have the sums
:math:`s_k = \\sum (x - \\mathrm{origin})^k`; n counts the trials for which the value exists. In a row of a histogram, n
values fall into the bin: that is, n of the x round to bin / bins, where bins is that of the metric.
"""


class Series(NamedTuple):
    """One value a trial."""

    metric: str
    values: Float[Array, " R"] | Bool[Array, " R"] | Int[Array, " R"]
    """NaN where the trial has no such value."""
    arm: int = 0
    look: int = 0
    origin: float = 0.0


def block_sums(scenario: Scenario, truth: str, tables: Block, keep: int) -> dict[str, Array]:
    """Return the sums of one block of one truth.

    Parameters
    ----------
    scenario, truth
        The scenario and the name of the truth that the patients of the tables followed.
    tables
        The tables of the block as `simulate_block` returns them.
    keep
        Only replicates whose place in the block is below this number count; the block size for all of them.

    Returns
    -------
    dict
        The table described at `COLUMNS`. What does not exist in a truth or design has no row.
    """
    state, designs = true_state(scenario, truth), scenario.designs()
    others = {name: true_state(scenario, truth, name) for name in list(scenario.endpoints)[1:]}
    parts = []
    for code, name in enumerate(scenario.design_names):
        patients = scenario.population.patients
        n_looks = designs[name].schedule.n_looks(patients)
        trials = trials_of(tables, code, keep, len(state.arms), n_looks)
        if len(trials.outcome) == 0:
            continue
        series = list(series_of(trials, state, patients, scenario.endpoint.analysed_as == "binary"))
        if scenario.weights:
            states = {scenario.endpoint_name: state, **others}
            series += net_benefits(
                trials, state, np.sum([w * states[name].effect for name, w in scenario.weights.items()], axis=0)
            )
        for number, (endpoint, other) in enumerate(others.items()):
            series += secondaries(endpoint, at_end_of(tables, code, keep, number, len(state.arms)), other)
        parts += [powers(series, code), *(histogram(each, code) for each in series if _has_quantiles(each))]
    return {column: np.concatenate([part[column] for part in parts]) for column in COLUMNS} if parts else _nothing()


def series_of(trials: Trials, state: TrueState, patients: int, is_binary: bool) -> Iterator[Series]:
    """Return all values of the trials of one design, where `patients` is the largest sample."""
    yield from claims(trials, state)
    yield from endings(trials, state)
    yield from sizes(trials, state, patients)
    if state.is_platform:
        yield from openings(trials, state)
    yield from durations(trials, state)
    yield from estimates(trials, state, is_binary)
    yield from looks(trials, state)


def claims(trials: Trials, state: TrueState) -> Iterator[Series]:
    """Return what was declared effective, rightly and wrongly, and what became of it."""
    claimed = trials.arms.is_claimed
    if state.is_effective.any():
        right = claimed[:, state.is_effective]
        yield Series("power_any", np.any(right, axis=1))
        yield Series("power_all", np.all(right, axis=1))
        if (best := state.is_best & state.is_effective).any():
            yield Series("power_best", np.append(False, best)[trials.selected_arm])
    if state.is_ineffective.any():
        yield Series("familywise_error", np.any(claimed[:, state.is_ineffective], axis=1))
    for arm in _numbers(state.is_experimental):
        yield Series("claimed", claimed[:, arm], arm + 1)
        yield Series("power" if state.is_effective[arm] else "type_i_error", claimed[:, arm], arm + 1)
    if _has_looks(trials):
        yield from contradictions(trials, state)
    else:
        for name, arms in (("score_right", state.is_effective), ("score_wrong", state.is_ineffective)):
            if arms.any():
                largest = trials.arms.prob_better[:, arms].max(axis=1)
                yield Series(name, -np.log(np.maximum(1 - largest, 1e-13)))


def contradictions(trials: Trials, state: TrueState) -> Iterator[Series]:
    """Return whether what was declared effective at a look is so in the final analysis."""
    at_look, at_end = trials.arms.claimed_at_look, trials.arms.meets_efficacy
    contradicted = at_look & ~at_end
    yield Series("claim_confirmed", np.any(at_look, axis=1) & ~np.any(contradicted, axis=1))
    yield Series("claim_contradicted", np.any(contradicted, axis=1))
    for arm in _numbers(state.is_experimental):
        yield Series("claim_confirmed", (at_look & at_end)[:, arm], arm + 1)
        yield Series("claim_contradicted", contradicted[:, arm], arm + 1)


def endings(trials: Trials, state: TrueState) -> Iterator[Series]:
    """Return how trials ended, and where they stopped."""
    for code, outcome in enumerate(OUTCOMES):
        yield Series(outcome_metric(outcome), trials.outcome == code)
    if not _has_looks(trials):
        return
    yield Series("stop_early", trials.stop_reason != STOP_REASONS.index("none"))
    for reason in STOP_REASONS[1:]:
        stopped = trials.stop_reason == STOP_REASONS.index(reason)
        yield Series(f"stop_{reason}", stopped)
        for look in range(1, trials.looks.month.shape[1] + 1):
            yield Series(f"stop_{reason}", stopped & (trials.stop_look == look), look=look)
    for arm in _numbers(state.is_experimental):
        has_opened = np.isfinite(trials.arms.opened_month[:, arm])
        yield Series("arm_closed", has_opened & ~trials.arms.is_open[:, arm].astype(bool), arm + 1)


def sizes(trials: Trials, state: TrueState, patients: int) -> Iterator[Series]:
    """Return how many patients there were, and who was treated with what."""
    by_arm = trials.arms.n_enrolled
    yield Series("patients", trials.n_enrolled, origin=patients)
    for arm in range(len(state.arms)):
        yield Series("patients", by_arm[:, arm], arm + 1, origin=patients // len(state.arms))
    if state.may_close:
        yield Series("accrual_closed", (trials.stop_look == 0) & (trials.n_enrolled < patients))
    yield Series("assessed", trials.n_known, origin=patients)
    yield Series("smallest_arm", by_arm.min(axis=1))
    if np.isfinite(trials.covariate_imbalance).any():
        yield Series("covariate_imbalance", trials.covariate_imbalance)
    if state.arms_differ:
        yield Series("share_on_best", _ratio(by_arm[:, state.is_best].sum(axis=1), trials.n_enrolled))
        behind = by_arm[:, state.is_worst].mean(axis=1) - by_arm[:, state.is_best].mean(axis=1)
        yield Series("wrong_direction", behind > WRONG_DIRECTION * patients + 1e-9)
        yield Series("wrong_direction_at_all", behind > 1e-9)


def openings(trials: Trials, state: TrueState) -> Iterator[Series]:
    """Return whether and when arms opened, and how many controls there were meanwhile."""
    for arm in _numbers(state.is_experimental):
        month = trials.arms.opened_month[:, arm]
        opened = np.isfinite(month)
        yield Series("arm_opened", opened, arm + 1)
        yield Series("opened_month", month, arm + 1, origin=state.reference_month)
        yield Series("concurrent_controls", np.where(opened, trials.arms.n_concurrent[:, arm], np.nan), arm + 1)


def durations(trials: Trials, state: TrueState) -> Iterator[Series]:
    """Return how long trials took."""
    origin = state.reference_month
    yield Series("duration_months", trials.duration_months, origin=origin)
    yield Series("decision_month", trials.decision_month, origin=origin)
    if _has_looks(trials):
        yield Series("overrun", np.where(trials.stop_look > 0, trials.n_overrun, np.nan))


def estimates(trials: Trials, state: TrueState, is_binary: bool) -> Iterator[Series]:
    """Return what was observed, and how far the estimates of the effects are from the truth."""
    arms, effect, control = trials.arms, state.effect, state.control
    if is_binary:
        yield Series("events", trials.total)
    origin = float(state.value[control]) if state.is_observed else 0.0
    yield Series("mean_outcome", _ratio(trials.total, trials.n_known), origin=origin)
    error = np.where(
        np.isfinite(arms.opened_month), arms.effect - effect, np.nan
    )  # nothing is told of an arm that never was
    inside = (arms.effect_lower <= effect) & (effect <= arms.effect_upper)
    fitted = np.isfinite(arms.effect) & np.isfinite(arms.effect_lower) & np.isfinite(arms.effect_upper)
    observed = _ratio(arms.total, arms.n_known)
    observed_error = observed - observed[:, [control]] - effect
    for arm in _numbers(state.is_experimental):
        yield Series("bias", error[:, arm], arm + 1)
        yield Series("bias_if_claimed", np.where(arms.is_claimed[:, arm], error[:, arm], np.nan), arm + 1)
        if state.is_observed:
            yield Series("bias_observed", observed_error[:, arm], arm + 1)
        yield Series("coverage", np.where(fitted & np.isfinite(error), inside, np.nan)[:, arm], arm + 1)
    yield Series("fit_failed", ~np.all(fitted[:, state.is_experimental], axis=1) | (trials.failed_fits > 0))


def net_benefits(trials: Trials, state: TrueState, benefit: Float[Array, " A"]) -> Iterator[Series]:
    """Return what patients gain over the control, all endpoints weighed together."""
    yield Series("net_benefit_per_patient", _ratio(trials.arms.n_enrolled @ benefit, trials.n_enrolled))
    yield Series("net_benefit_of_choice", np.append(benefit[state.control], benefit)[trials.selected_arm])


def secondaries(endpoint: str, arms: SecondaryAtEnd, state: TrueState) -> Iterator[Series]:
    """Return what is found of an endpoint beside the primary one."""
    for arm in range(len(state.arms)):
        yield Series(f"{endpoint}: estimate", arms.estimate[:, arm], arm + 1, origin=float(state.value[arm]))
    inside = (arms.effect_lower <= state.effect) & (state.effect <= arms.effect_upper)
    for arm in _numbers(state.is_experimental):
        yield Series(f"{endpoint}: effect", arms.effect[:, arm], arm + 1, origin=float(state.effect[arm]))
        yield Series(f"{endpoint}: bias", arms.effect[:, arm] - state.effect[arm], arm + 1)
        yield Series(f"{endpoint}: coverage", inside[:, arm], arm + 1)
        yield Series(f"{endpoint}: probably_better", arms.prob_better[:, arm] > PROBABLY, arm + 1)


def looks(trials: Trials, state: TrueState) -> Iterator[Series]:
    """Return what there was to see at each look."""
    seen = trials.looks
    for index in range(seen.month.shape[1]):
        yield Series("look_taken", np.isfinite(seen.month[:, index]), look=index + 1)
        yield Series("look_month", seen.month[:, index], look=index + 1, origin=state.reference_month)
        yield Series("enrolled", seen.n_enrolled[:, index], look=index + 1)
        yield Series("known", seen.n_known[:, index], look=index + 1)
        yield Series("pending", seen.n_pending[:, index], look=index + 1)
        for arm in range(len(state.arms)):
            yield Series("allocation", trials.allocation[:, index, arm], arm + 1, index + 1)


def powers(series: list[Series], design: int) -> dict[str, Array]:
    """Return the sums of powers of each series about its origin."""
    origin = np.array([each.origin for each in series], float)
    values = np.stack([each.values for each in series]).astype(float)
    counts = np.isfinite(values)
    first = np.where(counts, values - origin[:, None], 0.0)
    second = first * first
    sums = (first, second, first * second, second * second)
    return {
        "design": np.full(len(series), design),
        "metric": np.array([each.metric for each in series]),
        "arm": np.array([each.arm for each in series], np.int64),
        "look": np.array([each.look for each in series], np.int64),
        "bin": np.full(len(series), NO_BIN),
        "origin": origin,
        "n": counts.sum(axis=1),
    } | {f"s{power + 1}": each.sum(axis=1) for power, each in enumerate(sums)}


def histogram(series: Series, design: int) -> dict[str, Array]:
    """Return how many values fall into each bin, for the quantiles of a series."""
    values = np.asarray(series.values, float)
    bins = np.floor(values[np.isfinite(values)] * _bins(series.metric) + 0.5).astype(np.int64)
    which, counts = np.unique(bins, return_counts=True)
    shape = which.shape
    return {
        "design": np.full(shape, design),
        "metric": np.full(shape, series.metric),
        "arm": np.full(shape, series.arm),
        "look": np.full(shape, series.look),
        "bin": which,
        "origin": np.zeros(shape),
        "n": counts,
    } | {f"s{power}": np.zeros(shape) for power in (1, 2, 3, 4)}


def _has_quantiles(series: Series) -> bool:
    whole = series.arm == 0 and series.look == 0
    return _bins(series.metric) > 0 and (whole or series.metric == "allocation")


def _bins(metric: str) -> int:
    return SCORES[metric] if metric in SCORES else METRICS[metric].bins if metric in METRICS else 0


def _numbers(mask: Bool[Array, " A"]) -> list[int]:
    """Return the positions of the arms that a mask names."""
    return [int(arm) for arm in np.flatnonzero(mask)]


def _has_looks(trials: Trials) -> bool:
    return trials.looks.month.shape[1] > 0


def _ratio(above: Array, below: Array) -> Array:
    """Return quotients, NaN where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)


def _nothing() -> dict[str, Array]:
    return {column: array[:0] for column, array in powers([Series("claimed", np.zeros(1))], 0).items()}
