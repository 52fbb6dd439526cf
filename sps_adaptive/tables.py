"""The tables of a run: what is recorded of each trial, look, arm and endpoint, and what each column means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, Cohort, Potential

OUTCOMES = (
    "early success",
    "late success",
    "early futility",
    "late futility",
    "success, then futility",
    "futility, then success",
    "inconclusive",
)
"""How a trial can end; the stored code is the position in this list.

Early: stopped at a look. Late: went to the end. The two in the middle are contradictions: the trial stopped at
a look, and the final analysis, with the patients who were still being followed, says the opposite.
"""

STOP_REASONS = ("none", "efficacy", "futility", "equivalence", "harm")
"""Why enrolment stopped at a look; the stored code is the position in this list."""


class Column(NamedTuple):
    """A column of a table, as the data dictionary describes it."""

    name: str
    dtype: Literal["category", "int64", "int32", "int16", "int8", "float64", "bool"]
    unit: str
    meaning: str


KEYS = (
    Column("truth", "category", "", "Name of the truth the patients followed."),
    Column(
        "design",
        "category",
        "",
        "adaptive: the design of the scenario; fixed: its benchmark; no_futility: the "
        "first in which nobody follows the rules that do not bind, if there are such.",
    ),
    Column(
        "replicate",
        "int64",
        "",
        "Number of the simulated trial, from 0; the same patients in every truth and design.",
    ),
)

TRIALS = (
    *KEYS,
    Column("outcome", "category", "", "How the trial ended: " + "; ".join(OUTCOMES) + "."),
    Column("stop_reason", "category", "", "Why enrolment stopped at a look: " + ", ".join(STOP_REASONS) + "."),
    Column("stop_look", "int16", "", "Look at which the trial stopped, from 1; 0 if it went to the end."),
    Column("n_looks", "int16", "looks", "Looks that took place before the final analysis."),
    Column("n_enrolled", "int32", "patients", "Patients enrolled."),
    Column("n_known", "int32", "patients", "Patients whose outcome is known at the final analysis."),
    Column(
        "n_overrun",
        "int32",
        "patients",
        "Patients pending when the trial stopped at a look; 0 if it went to the end.",
    ),
    Column("decision_month", "float64", "months", "When the trial stopped, or its final analysis if it did not."),
    Column(
        "duration_months",
        "float64",
        "months",
        "From the opening to the final analysis, after everyone's follow-up.",
    ),
    Column(
        "selected_arm",
        "category",
        "",
        "Of the arms declared effective, the one with the best final estimate; none: no arm was.",
    ),
    Column(
        "total",
        "float64",
        "endpoint",
        "Sum of the known outcomes: the number of events for a binary endpoint.",
    ),
    Column("failed_fits", "int16", "analyses", "Analyses, looks and endpoints together, whose fit did not converge."),
    Column(
        "covariate_imbalance",
        "float64",
        "proportion",
        "Largest difference between two arms in the share of their patients who have a level of a covariate, the mean "
        "over levels and then over covariates; missing where there are none.",
    ),
)

LOOKS = (
    *KEYS,
    Column(
        "look",
        "int16",
        "",
        "Number of the look, from 1; the final analysis is the number of scheduled looks + 1.",
    ),
    Column("is_final", "bool", "", "Whether this is the final analysis, after everyone's follow-up."),
    Column("month", "float64", "months", "When the look took place."),
    Column("n_enrolled", "int32", "patients", "Patients enrolled by then."),
    Column("n_known", "int32", "patients", "Patients whose outcome was known."),
    Column("n_pending", "int32", "patients", "Patients neither assessed nor known to have dropped out."),
    Column("stop_reason", "category", "", "Whether and why the trial stopped at this look."),
)

ARMS = (
    *KEYS,
    Column("look", "int16", "", "Number of the look, as in the table looks."),
    Column("is_final", "bool", "", "Whether this is the final analysis."),
    Column("arm", "category", "", "Name of the arm."),
    Column(
        "is_open",
        "bool",
        "",
        "Whether the arm was open after this look (final analysis: when enrolment ended): where arms open late or "
        "close early, whether the next patient could be given it.",
    ),
    Column("is_claimed", "bool", "", "Whether the arm has been declared effective by now."),
    Column(
        "meets_efficacy",
        "bool",
        "",
        "Whether the rules would declare the arm effective at this very analysis: it is judged and meets efficacy.",
    ),
    Column("is_control", "bool", "", "Whether the others are compared with this arm after this look."),
    Column("closed_by", "int8", "", "Number of the rule, from 1, that closed the arm at this look; 0: none did."),
    Column("n_enrolled", "int32", "patients", "Patients of the arm enrolled by then."),
    Column(
        "n_concurrent",
        "int32",
        "patients",
        "Patients of the control enrolled by then, while the arm could be given too: all of them in trials whose arms "
        "are there from the first patient to the last.",
    ),
    Column(
        "opened_month",
        "float64",
        "months",
        "When the first patient was enrolled who could be given the arm; 0 for an arm that is there from the "
        "beginning, missing for one that has not opened.",
    ),
    Column("n_known", "int32", "patients", "Patients of the arm whose outcome was known."),
    Column("total", "float64", "endpoint", "Sum of the arm's known outcomes."),
    Column("estimate", "float64", "endpoint", "Posterior mean of the arm."),
    Column(
        "prob_best",
        "float64",
        "probability",
        "Posterior probability of being the best open arm (final analysis: of those judged and the control).",
    ),
    Column(
        "prob_better",
        "float64",
        "probability",
        "Posterior probability of being better than the control by the efficacy margin.",
    ),
    Column(
        "allocation",
        "float64",
        "probability",
        "Probability of the arm for the next patients; 0 when the trial has stopped or is over.",
    ),
    Column(
        "effect",
        "float64",
        "endpoint",
        "Posterior mean of the difference from the control, arm minus control; 0 for the control.",
    ),
    Column("effect_lower", "float64", "endpoint", "Lower end of its 95% credible interval; final analysis only."),
    Column("effect_upper", "float64", "endpoint", "Upper end of its 95% credible interval; final analysis only."),
)

SECONDARIES = (
    *KEYS,
    Column("endpoint", "category", "", "Name of an endpoint beside the primary one, at the final analysis."),
    Column("arm", "category", "", "Name of the arm."),
    Column("n_known", "int32", "patients", "Patients of the arm whose outcome was known."),
    Column("estimate", "float64", "endpoint", "Posterior mean of the arm."),
    Column("prob_better", "float64", "probability", "Posterior probability of being better than the control."),
    Column("effect", "float64", "endpoint", "Posterior mean of the difference from the control; 0 for the control."),
    Column("effect_lower", "float64", "endpoint", "Lower end of its 95% credible interval."),
    Column("effect_upper", "float64", "endpoint", "Upper end of its 95% credible interval."),
)

DICTIONARY: Mapping[str, tuple[Column, ...]] = {
    "trials": TRIALS,
    "looks": LOOKS,
    "arms": ARMS,
    "secondaries": SECONDARIES,
}
"""Every table with its columns, in order."""

ALWAYS = ("trials", "looks", "arms")
"""The tables of every run; `secondaries` is one of runs with several endpoints."""

Block = dict[str, dict[str, np.ndarray]]
"""The tables of a block: table, then column, then one array; categories as integer codes."""


class LookRecord(NamedTuple):
    """What one look, or the final analysis, saw and decided. Values are on the endpoint's own scale."""

    took_place: Bool[Array, " R"]
    day: Float[Array, " R"]
    n_enrolled: Int[Array, " R"]
    n_known: Int[Array, " R"]
    n_pending: Int[Array, " R"]
    stop: Int[Array, " R"]
    is_open: Bool[Array, "R A"]
    is_claimed: Bool[Array, "R A"]
    meets_efficacy: Bool[Array, "R A"]
    fit_failed: Bool[Array, " R"]
    is_control: Bool[Array, "R A"]
    closed_by: Int[Array, "R A"]
    arm_enrolled: Int[Array, "R A"]
    n_concurrent: Int[Array, "R A"]
    opened_month: Float[Array, "R A"]
    arm_known: Int[Array, "R A"]
    arm_total: Float[Array, "R A"]
    estimate: Float[Array, "R A"]
    prob_best: Float[Array, "R A"]
    prob_better: Float[Array, "R A"]
    allocation: Float[Array, "R A"]
    effect: Float[Array, "R A"]
    effect_lower: Float[Array, "R A"]
    effect_upper: Float[Array, "R A"]


class SecondaryRecord(NamedTuple):
    """What the final analysis says of an endpoint beside the primary one, on its own scale."""

    arm_known: Int[Array, "R A"]
    estimate: Float[Array, "R A"]
    prob_better: Float[Array, "R A"]
    effect: Float[Array, "R A"]
    effect_lower: Float[Array, "R A"]
    effect_upper: Float[Array, "R A"]
    fit_failed: Bool[Array, " R"]


class TrialRecord(NamedTuple):
    """All that happened in a batch of trials."""

    looks: tuple[LookRecord, ...]
    """Scheduled looks in order, then the final analysis."""
    outcome: Int[Array, " R"]
    """Position in `OUTCOMES`."""
    stop: Int[Array, " R"]
    stop_look: Int[Array, " R"]
    """From 1; 0 if the trial went to the end."""
    decision_day: Float[Array, " R"]
    selected: Int[Array, " R"]
    """Index of the selected arm, -1 if none."""
    arm: Int[Array, "R N"]
    """Final allocation; patients never enrolled are -1."""
    cohort: Cohort
    """The patients on the days on which they came: later, where enrolment paused; never, where it closed."""
    potential: Potential
    covariate_imbalance: Float[Array, " R"]
    """Of those enrolled, as `balance.covariate_imbalance` defines it."""
    others: Mapping[str, Potential]
    """What would happen on the endpoints beside the primary one."""
    secondaries: tuple[SecondaryRecord, ...] = ()
    """The endpoints beside the primary one, in the order of the scenario."""


def flatten(record: TrialRecord, first_replicate: int, days_per_month: float) -> Block:
    """Return the tables of a batch of trials, rows sorted by replicate, then look or endpoint, then arm.

    The columns `truth` and `design` are added by the runner, which knows them.
    """
    final = record.looks[-1]
    replicates, arms = final.is_open.shape
    replicate = first_replicate + np.arange(replicates)
    took_place = np.stack([look.took_place for look in record.looks], axis=1)
    overrun = np.zeros(replicates, np.int64)
    for index, look in enumerate(record.looks[:-1]):
        overrun = np.where(record.stop_look == index + 1, look.n_pending, overrun)
    trials = {
        "replicate": replicate,
        "outcome": record.outcome,
        "stop_reason": record.stop,
        "stop_look": record.stop_look,
        "n_looks": took_place[:, :-1].sum(axis=1),
        "n_enrolled": final.n_enrolled,
        "n_known": final.n_known,
        "n_overrun": overrun,
        "decision_month": record.decision_day / days_per_month,
        "duration_months": final.day / days_per_month,
        "selected_arm": record.selected + 1,
        "total": final.arm_total.sum(axis=1),
        "failed_fits": np.sum(
            [look.fit_failed for look in record.looks] + [each.fit_failed for each in record.secondaries], axis=0
        ),
        "covariate_imbalance": record.covariate_imbalance,
    }
    row, look_index = np.nonzero(took_place)

    def stacked(name: str) -> np.ndarray:
        return np.stack([getattr(look, name) for look in record.looks], axis=1)[row, look_index]

    looks = {
        "replicate": replicate[row],
        "look": look_index + 1,
        "is_final": look_index == len(record.looks) - 1,
        "month": stacked("day") / days_per_month,
        "n_enrolled": stacked("n_enrolled"),
        "n_known": stacked("n_known"),
        "n_pending": stacked("n_pending"),
        "stop_reason": stacked("stop"),
    }
    by_arm = {
        "is_open": "is_open", "is_claimed": "is_claimed", "meets_efficacy": "meets_efficacy",
        "is_control": "is_control", "closed_by": "closed_by",
        "n_enrolled": "arm_enrolled", "n_concurrent": "n_concurrent", "opened_month": "opened_month",
        "n_known": "arm_known", "total": "arm_total", "estimate": "estimate",
        "prob_best": "prob_best", "prob_better": "prob_better", "allocation": "allocation", "effect": "effect",
        "effect_lower": "effect_lower", "effect_upper": "effect_upper",
    }  # fmt: skip
    arm_table = {
        "replicate": np.repeat(looks["replicate"], arms),
        "look": np.repeat(looks["look"], arms),
        "is_final": np.repeat(looks["is_final"], arms),
        "arm": np.tile(np.arange(arms), len(row)),
    } | {column: stacked(name).reshape(-1) for column, name in by_arm.items()}
    tables = {"trials": trials, "looks": looks, "arms": arm_table}
    return tables | ({"secondaries": _secondaries(record, replicate, arms)} if record.secondaries else {})


def _secondaries(record: TrialRecord, replicate: Int[Array, " R"], arms: int) -> dict[str, Array]:
    """Return the table of the endpoints beside the primary one."""
    number = len(record.secondaries)
    shape = (len(replicate), number, arms)

    def stacked(name: str) -> np.ndarray:
        return np.stack([getattr(each, name) for each in record.secondaries], axis=1).reshape(-1)

    return {
        "replicate": np.repeat(replicate, number * arms),
        "endpoint": np.broadcast_to(np.arange(number)[:, None], shape).reshape(-1),
        "arm": np.broadcast_to(np.arange(arms), shape).reshape(-1),
        "n_known": stacked("arm_known"),
    } | {name: stacked(name) for name in ("estimate", "prob_better", "effect", "effect_lower", "effect_upper")}
