"""The benchmark at the type I error of the adaptive design: what a fair comparison of power needs.

The two designs of a run share the thresholds of the final analysis, and so do not share their type I error. Here
the threshold of the fixed design is moved until, in the first truth in which nothing is effective, its familywise
error is that of the adaptive design; its power at that threshold is then reported in every truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, sqrt
from typing import TYPE_CHECKING, NamedTuple

from sps_adaptive.block import DESIGNS
from sps_adaptive.characteristics.error import Figure, Z
from sps_adaptive.characteristics.sums import SCORES
from sps_adaptive.decisions.claim import Claim
from sps_adaptive.scenario import ADAPTIVE, FIXED

if TYPE_CHECKING:
    from sps_adaptive.characteristics.totals import Place, Total
    from sps_adaptive.scenario import Scenario

MATCHED = "same error"
"""Name of the benchmark in the summary when its threshold is moved."""

ENOUGH = 20
"""Fewer wrong claims than this do not fix a threshold."""

NEARBY = 0.25
"""The power is taken to change with the error as it does between (1 - this) and (1 + this) times the error."""


class Matched(NamedTuple):
    """A figure of the benchmark at the moved threshold."""

    truth: str
    metric: str
    figure: Figure
    n: int


def matched(scenario: Scenario, totals: Mapping[str, Mapping[Place, Total]]) -> list[Matched]:
    r"""Return power and familywise error of the fixed design at the adaptive design's familywise error.

    Empty where that means nothing: no truth without an effective arm, too few wrong claims, or claims that follow from
    more than one threshold.

    Notes
    -----
    With the fixed design's error :math:`F_0(t)` and power :math:`P(t)` at a threshold t, the Monte Carlo variance of
    the matched power is :math:`P (1 - P) / n + (dP / dF_0)^2 \, 2 \alpha (1 - \alpha) / n_0` (delta method): the
    second term is the noise of both designs' errors, taken as independent, which overstates it since they share
    their patients.
    """
    plain = has_one_threshold(scenario)
    null = next((truth for truth, places in totals.items() if _is_null(places)), None)
    if not plain or null is None:
        return []
    error, wrong = _find(totals[null], ADAPTIVE, "familywise_error"), _find(totals[null], FIXED, "score_wrong")
    if error is None or wrong is None or error.s[0] < ENOUGH or wrong.n == 0:
        return []
    alpha = error.s[0] / error.n
    at = _threshold(wrong, alpha)
    noise = 2 * alpha * (1 - alpha) / error.n
    low, high = _threshold(wrong, alpha * (1 - NEARBY)), _threshold(wrong, alpha * (1 + NEARBY))
    between = _share_above(wrong, high) - _share_above(wrong, low)
    found = []
    for truth, places in totals.items():
        for metric, name in (("power_any", "score_right"), ("familywise_error", "score_wrong")):
            scores = _find(places, FIXED, name)
            if scores is None or scores.n == 0:
                continue
            share = _share_above(scores, at)
            slope = (_share_above(scores, high) - _share_above(scores, low)) / between if between > 0 else 0.0
            mcse = sqrt(share * (1 - share) / scores.n + slope**2 * noise)
            figure = Figure(share, mcse, max(share - Z * mcse, 0.0), min(share + Z * mcse, 1.0))
            found.append(Matched(truth, metric, figure, scores.n))
    return found


def has_one_threshold(scenario: Scenario) -> bool:
    """Return whether claims follow from one threshold on the probability that an arm is better than the control."""
    claims = [(path, rule) for path, rule in scenario.rules() if rule.effect in ("claim", "promote") and rule.at_final]
    if len(claims) != 1:
        return False
    path, rule = claims[0]
    return (
        len(path) == 1
        and isinstance(rule, Claim)
        and rule.multiplicity == "none"
        and getattr(rule, "against", "control") == "control"
        and getattr(rule, "test", "posterior") == "posterior"
    )


def threshold(bin_above: int) -> float:
    """Return the probability that a bin of scores stands for."""
    return 1 - exp(-(bin_above + 0.5) / SCORES["score_wrong"])


def _is_null(places: Mapping[Place, Total]) -> bool:
    return _find(places, ADAPTIVE, "familywise_error") is not None and _find(places, ADAPTIVE, "power_any") is None


def _find(places: Mapping[Place, Total], design: str, metric: str) -> Total | None:
    code = DESIGNS.index(design)
    return next((total for place, total in places.items() if place.design == code and place.metric == metric), None)


def _threshold(scores: Total, share: float) -> int:
    """Return the bin above which the share of trials is closest to the one wanted."""
    above, best, closest = scores.n, 0, 1.0
    for each in sorted(scores.bins):
        above -= scores.bins[each]
        if abs(above / scores.n - share) < closest:
            closest, best = abs(above / scores.n - share), each
    return best


def _share_above(scores: Total, threshold: int) -> float:
    return sum(count for each, count in scores.bins.items() if each > threshold) / scores.n
