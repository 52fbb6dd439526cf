"""The operating characteristics of a design, each defined once.

A metric is a figure of one design in one truth. It may exist for the whole trial, for each arm, or for each look:
the columns `arm` and `look` of the summary say which. The order here is the order of the summary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from sps_adaptive.tables import OUTCOMES

Kind = Literal["proportion", "mean", "sd", "rmse", "quantile", "extreme"]


class Metric(NamedTuple):
    """What a figure is."""

    name: str
    kind: Kind
    """How it is estimated, and so how its Monte Carlo error is found."""
    unit: str
    meaning: str
    """One sentence, ready for a report."""
    of: str = ""
    """The metric whose sums it is made of; its own, if empty."""
    level: float = 0.0
    """Of a quantile, its level; of an extreme, 0 for the smallest and 1 for the largest."""
    bins: int = 0
    """Into how many bins a unit is divided for its quantiles; 0: there are none."""

    @property
    def sums(self) -> str:
        """Name under which its sums are kept."""
        return self.of or self.name


LEVELS = (0.05, 0.25, 0.50, 0.75, 0.95)
"""Levels of the quantiles."""


def outcome_metric(outcome: str) -> str:
    """Return the name of the metric of an outcome: 'early success' becomes 'outcome_early_success'."""
    return "outcome_" + outcome.replace(",", "").replace(" ", "_")


def _quantiles(of: str, unit: str, what: str, levels: tuple[float, ...] = LEVELS) -> tuple[Metric, ...]:
    return tuple(
        Metric(f"{of}_q{100 * level:02.0f}", "quantile", unit, f"The {100 * level:.0f}% quantile of {what}.", of, level)
        for level in levels
    )


def _extremes(of: str, unit: str, what: str) -> tuple[Metric, ...]:
    return (
        Metric(f"{of}_min", "extreme", unit, f"Smallest {what} in any simulated trial.", of, 0.0),
        Metric(f"{of}_max", "extreme", unit, f"Largest {what} in any simulated trial.", of, 1.0),
    )


def _proportion(name: str, meaning: str) -> Metric:
    return Metric(name, "proportion", "", meaning)


def _mean(name: str, unit: str, meaning: str, bins: int = 0) -> Metric:
    return Metric(name, "mean", unit, meaning, bins=bins)


_ENDINGS: Mapping[str, str] = {
    "early success": "it stopped at a look, an arm had been declared effective, and the final analysis did not find "
    "the trial futile",
    "late success": "it went to the end, and an arm was declared effective there or before",
    "early futility": "it stopped at a look, no arm had been declared effective, and none was in the final analysis",
    "late futility": "it went to the end and met the condition for futility",
    "success, then futility": "it stopped at a look, an arm had been declared effective, and the final analysis, with "
    "the patients who were pending, found the trial futile",
    "futility, then success": "it stopped at a look, no arm had been declared effective, and the final analysis, with "
    "the patients who were pending, found one effective",
    "inconclusive": "it went to the end and met neither the condition for efficacy nor that for futility",
}

_ERRORS = (
    _proportion("power", "Probability that an effective arm is declared effective, by arm."),
    _proportion("power_any", "Probability that at least one effective arm is declared effective."),
    _proportion("power_all", "Probability that every effective arm is declared effective."),
    _proportion(
        "power_best",
        "Probability that the selected arm, of those declared effective the one with the best final "
        "estimate, is effective and truly the best (or one of the best, if several are).",
    ),
    _proportion("type_i_error", "Probability that an ineffective arm is declared effective, by arm."),
    _proportion("familywise_error", "Probability that at least one ineffective arm is declared effective."),
    _proportion("claimed", "Probability that an arm is declared effective, whether or not it is, by arm."),
    _proportion(
        "claim_confirmed",
        "Probability that an arm is declared effective at a look and still meets the condition in the "
        "final analysis, with everybody followed; by arm, and for the trial: every arm declared "
        "effective at a look is confirmed.",
    ),
    _proportion(
        "claim_contradicted",
        "Probability that an arm is declared effective at a look and no longer meets the condition in "
        "the final analysis, with everybody followed; by arm, and for the trial: at least one such arm.",
    ),
    *(_proportion(outcome_metric(name), f"Probability that the trial ends so: {_ENDINGS[name]}.") for name in OUTCOMES),
)

_STOPPING = (
    _proportion("stop_early", "Probability that the trial stops at a look, for any reason."),
    _proportion("stop_efficacy", "Probability that the trial stops for efficacy, by look and (look 0) at any look."),
    _proportion("stop_futility", "Probability that the trial stops for futility, by look and (look 0) at any look."),
    _proportion(
        "stop_equivalence", "Probability that the trial stops for equivalence, by look and (look 0) at any look."
    ),
    _proportion("stop_harm", "Probability that the trial stops for harm, by look and (look 0) at any look."),
    _proportion(
        "arm_closed", "Probability that an arm that opened takes no more patients when enrolment ends, by arm."
    ),
)

_SIZE = (
    _mean("patients", "patients", "Mean number of patients enrolled, in the trial and by arm.", 1),
    Metric(
        "patients_sd",
        "sd",
        "patients",
        "Standard deviation of the number of patients between trials, in the trial and by arm.",
        "patients",
    ),
    *_quantiles("patients", "patients", "the number of patients enrolled"),
    *_extremes("patients", "patients", "number of patients enrolled"),
    _proportion(
        "accrual_closed",
        "Probability that enrolment closes by the calendar, before the trial stops and before the largest number of "
        "patients is reached (where a month is stated in which it closes).",
    ),
    _mean("assessed", "patients", "Mean number of patients whose outcome is known at the final analysis."),
    _mean("smallest_arm", "patients", "Mean number of patients on the arm with the fewest."),
    _mean(
        "covariate_imbalance",
        "proportion",
        "Mean difference in the make-up of the arms: of the largest difference between two arms in the share of their "
        "patients who have a level of a covariate, averaged over its levels and over the covariates (simulated trials "
        "only).",
    ),
    _mean(
        "share_on_best",
        "proportion",
        "Mean share of the enrolled patients who are on the truly best arm (or arms, if several are "
        "equally good), the control included.",
        1000,
    ),
    *_quantiles("share_on_best", "proportion", "the share of patients on the truly best arm", (0.05,)),
    _proportion(
        "wrong_direction",
        "Probability that the truly worst arm gets more patients than the truly best one, by more "
        "than a tenth of the largest sample; means over arms that are equally good or bad.",
    ),
    _proportion(
        "wrong_direction_at_all",
        "Probability that the truly worst arm gets more patients than the truly best one, by any "
        "number; means over arms that are equally good or bad.",
    ),
)

_OPENINGS = (
    _proportion(
        "arm_opened",
        "Probability that an arm opens, that is, that a patient is enrolled who could be given it, by arm (where arms "
        "open late or close early).",
    ),
    _mean(
        "opened_month",
        "months",
        "Mean time from the opening of the trial to the enrolment of the first patient who could be given the arm, "
        "among trials in which it opens; 0 for an arm that is there from the beginning.",
    ),
    _mean(
        "concurrent_controls",
        "patients",
        "Mean number of patients of the control enrolled while the arm could be given too, by arm, among trials in "
        "which it opens.",
    ),
)

_TIME = (
    _mean(
        "duration_months", "months", "Mean time from the opening to the final analysis, after everyone's follow-up.", 10
    ),
    Metric(
        "duration_months_sd", "sd", "months", "Standard deviation of the duration between trials.", "duration_months"
    ),
    *_quantiles("duration_months", "months", "the duration"),
    *_extremes("duration_months", "months", "duration"),
    _mean(
        "decision_month",
        "months",
        "Mean time from the opening to the decision: the look at which the trial stops, else the final analysis.",
    ),
    _mean(
        "overrun", "patients", "Mean number of patients pending when the trial stops, among trials that stop at a look."
    ),
)

_ESTIMATION = (
    _mean("events", "events", "Mean number of patients with the event among those assessed (binary endpoints)."),
    _mean(
        "mean_outcome",
        "endpoint",
        "Mean over trials of the mean outcome of the patients assessed, arms taken together.",
    ),
    _mean(
        "bias",
        "endpoint",
        "Mean of the final estimate of the effect (posterior mean of arm minus control) minus the true effect, by arm.",
    ),
    _mean(
        "bias_if_claimed",
        "endpoint",
        "Mean of the final estimate of the effect minus the true effect, among trials that declare the arm effective.",
    ),
    _mean(
        "bias_observed",
        "endpoint",
        "Mean of the observed difference (mean of arm minus mean of control among those assessed) "
        "minus the true effect, by arm.",
    ),
    Metric("rmse", "rmse", "endpoint", "Root mean squared error of the final estimate of the effect, by arm.", "bias"),
    _proportion(
        "coverage", "Probability that the final 95% credible interval of the effect holds the true effect, by arm."
    ),
    _proportion(
        "fit_failed",
        "Proportion of trials in which the fit of some analysis did not converge, or the final one gives no finite "
        "estimate or interval for some arm.",
    ),
)

_NET_BENEFIT = (
    _mean(
        "net_benefit_per_patient",
        "utility",
        "Mean true net benefit of the patients' arms over the control, per patient enrolled, endpoints weighed as the "
        "rule `benefit_risk` does.",
    ),
    _mean(
        "net_benefit_of_choice",
        "utility",
        "Mean true net benefit over the control of the arm that is selected, 0 where none is: what future patients "
        "gain.",
    ),
)

_LOOKS = (
    _proportion("look_taken", "Probability that a look takes place, by look."),
    _mean("look_month", "months", "Mean time from the opening to a look, among trials in which it takes place."),
    _mean("enrolled", "patients", "Mean number of patients enrolled at a look, among trials in which it takes place."),
    _mean(
        "known",
        "patients",
        "Mean number of patients whose outcome is known at a look, among trials in which it takes place.",
    ),
    _mean(
        "pending",
        "patients",
        "Mean number of patients neither assessed nor known to have dropped out at a look, among "
        "trials in which it takes place.",
    ),
    _mean(
        "allocation",
        "probability",
        "Mean probability of an arm for the patients after a look, by arm and look, among trials that go on.",
        1000,
    ),
    *_quantiles("allocation", "probability", "the probability of an arm after a look", (0.05, 0.50, 0.95)),
)

SECONDARY = (
    _mean("estimate", "endpoint", "Mean of the final posterior mean of an endpoint beside the primary one, by arm."),
    _mean("effect", "endpoint", "Mean of its final estimate of arm minus control, by arm."),
    _mean("bias", "endpoint", "Mean of that estimate minus the true effect, by arm."),
    _proportion("coverage", "Probability that its final 95% credible interval holds the true effect, by arm."),
    _proportion(
        "probably_better",
        "Probability that the arm is better than the control with posterior probability above 0.975: it is reported "
        "without regard to the primary endpoint and to the number of endpoints, and declares nothing.",
    ),
)
"""The figures of each endpoint beside the primary one, whose name comes before theirs."""

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (*_ERRORS, *_STOPPING, *_SIZE, *_OPENINGS, *_TIME, *_ESTIMATION, *_NET_BENEFIT, *_LOOKS)
}
"""Every metric by name, in the order of the summary."""


def metrics_of(secondaries: Iterable[str]) -> Mapping[str, Metric]:
    """Return every metric of a trial by name: with endpoints beside the primary one, also `NAME: effect` and so on."""
    more = {
        f"{endpoint}: {metric.name}": metric._replace(name=f"{endpoint}: {metric.name}")
        for endpoint in secondaries
        for metric in SECONDARY
    }
    return METRICS | more if more else METRICS
