r"""The largest type I error over all response rates: a bound that is certain, not the worst of some scenarios.

If the arms of a null share a response rate p, the probability of a wrong claim is

.. math:: T(p) = \sum_x g(x) \, 1\{\text{wrong claim in } x\} \; p^{S(x)} (1 - p)^{t(x) - S(x)},

a polynomial in Bernstein form with weights that the recursion gives; with arms that are free to work it has a variable
for each of them. The largest coefficient bounds it at once, and halving brings the bound as close as one wants
(`bernstein`). Efficacy need not be monotone in anything, and no point of the region is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.exact.bernstein import LARGEST_DEGREE, coefficients, elevate, supremum
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import Ending

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array, Design
    from sps_adaptive.scenario import Scenario

WIDTHS = (1e-6, 1e-6, 1e-4)
"""How close the bound is to the largest value found, with one, two and three free response rates."""

MOST_COEFFICIENTS = 2_000_000
"""Polynomials with more coefficients are not bounded: three free rates and more than some 120 patients. Nor are those
whose degrees sum to more than `bernstein.LARGEST_DEGREE`: the weights would overflow."""

Totals = tuple[int, ...]


class Null(NamedTuple):
    """A region of response rates in which certain arms do not work."""

    name: str
    """For a person."""
    wrong: tuple[int, ...]
    """The arms whose claims are wrong."""
    groups: tuple[tuple[int, ...], ...]
    """Arms that share a response rate: a variable each."""
    below: tuple[int, int] | None = None
    """If given, groups (i, j) with rate i at most rate j + margin."""
    margin: float = 0.0


class Certificate(NamedTuple):
    """What is certain about an error."""

    metric: str
    """`familywise_error`, or `type_i_error` of one arm."""
    arm: str
    """Name of the arm, empty for all."""
    null: str
    """The region, for a person."""
    upper: float
    """No response rates in the region give more."""
    lower: float
    """These give so much."""
    rates: dict[str, float]
    """The response rates that give `lower`, by arm, on the endpoint's own scale."""


def nulls(scenario: Scenario) -> list[Null]:
    """Return the regions over which errors are certified.

    Empty where no rule claims anything, where a claim is about a fixed value (and not about the control), or where
    claims by a margin are made in a trial of more than two arms: the regions would then have a face for each arm.
    """
    margins = [rule.claims_beyond for _, rule in scenario.claims() if rule.claims_beyond is not None]
    names, control = scenario.arm_names, scenario.control
    others = tuple(arm for arm in range(len(names)) if arm != control)
    margin = margins[0] if margins else 0.0
    if any(not isinstance(getattr(rule, "against", ""), str) for _, rule in scenario.claims()):
        return []
    if not margins or any(each != margin for each in margins) or (margin != 0 and len(others) > 1):
        return []
    if len(others) == 1:
        whole = Null(_no_better(names, control, others[0], margin), others, (others, (control,)), (0, 1), margin)
        return [whole] if margin else [Null("no arm differs", others, (tuple(range(len(names))),)), whole]
    found = [Null("no arm differs", others, (tuple(range(len(names))),))]
    for size in range(len(others) - 1, 0, -1):
        for wrong in combinations(others, size):
            live = tuple(arm for arm in others if arm not in wrong)
            name = f"{_list(names, wrong)} as {names[control]}, {_list(names, live)} anything"
            found.append(Null(name, wrong, (tuple(sorted((control, *wrong))), *((arm,) for arm in live))))
    return found


def why_not(scenario: Scenario) -> str:
    """Return why errors are not certified, empty if they are."""
    if nulls(scenario):
        return ""
    if not scenario.claims():
        return "no rule declares an arm effective"
    if any(not isinstance(getattr(rule, "against", ""), str) for _, rule in scenario.claims()):
        return "a claim is about a fixed value, and errors are certified for claims about the control"
    return "with margins the regions in which arms do not work are certified for two arms and one margin only"


class Certifier:
    """Collects the weights of wrong claims while the final states pass, and bounds their probability."""

    def __init__(self, scenario: Scenario, design: Design) -> None:
        self._names, self._higher = design.arms, scenario.endpoint.better == "higher"
        self._cases = [(null, null.wrong) for null in nulls(scenario)]
        if len(design.arms) > 2 and self._cases:  # the type I error of each arm, where no arm differs
            self._cases += [(self._cases[0][0], (arm,)) for arm in self._cases[0][1]]
        self._weights: list[dict[Totals, Float[Array, "..."]]] = [
            defaultdict(lambda: np.zeros(())) for _ in self._cases
        ]

    def add(self, ending: Ending) -> None:
        """Take note of the wrong claims in some final states."""
        if not self._cases or not ending.is_claimed.any():
            return
        known, responders = counts(ending.batch.rows())
        for (null, wrong), weights in zip(self._cases, self._weights, strict=True):
            claimed = np.flatnonzero(ending.is_claimed[:, wrong].any(axis=1))
            if len(claimed):
                add_weights(weights, null.groups, known[claimed], responders[claimed], ending.weight[claimed])

    def certificates(self) -> list[Certificate]:
        """Return the largest errors, each as close as `WIDTHS` says; those that cannot be bounded are left out."""
        found = []
        for (null, wrong), weights in zip(self._cases, self._weights, strict=True):
            bound = bounded(weights, null)
            if bound is None:
                continue
            one_arm = wrong != null.wrong or len(self._names) == 2
            arm = self._names[wrong[0]] if one_arm else ""
            rates = {
                self._names[each]: float(rate if self._higher else 1 - rate)
                for rate, group in zip(bound.at, null.groups, strict=True)
                for each in group
            }
            metric = "type_i_error" if one_arm else "familywise_error"
            found.append(Certificate(metric, arm, null.name, bound.upper, bound.lower, rates))
        return found


class Bounded(NamedTuple):
    """The largest value of a polynomial in response rates."""

    upper: float
    lower: float
    at: tuple[float, ...]


def bounded(weights: Mapping[Totals, Float[Array, "..."]], null: Null) -> Bounded | None:
    """Return the largest probability, over a region, of what the weights add up to; None if that is too much work."""
    if not weights:
        return Bounded(0.0, 0.0, (0.5,) * len(null.groups))
    tensor = one_degree(weights)
    if tensor is None:
        return None
    found = supremum(coefficients(tensor), WIDTHS[tensor.ndim - 1], below=null.below, margin=null.margin)
    return Bounded(found.upper, found.lower, found.at)


def one_degree(weights: Mapping[Totals, Float[Array, "..."]]) -> Float[Array, "..."] | None:
    """Return the sum of polynomials of different degrees, as weights of the largest; None if that is too large."""
    degrees = tuple(max(totals[axis] for totals in weights) for axis in range(len(next(iter(weights)))))
    if prod(degree + 1 for degree in degrees) > MOST_COEFFICIENTS or sum(degrees) > LARGEST_DEGREE:
        return None
    tensor = np.zeros([degree + 1 for degree in degrees])
    for totals, weight in weights.items():
        raised = weight
        for axis, total in enumerate(totals):
            raised = elevate(raised, degrees[axis] - total, axis)
        tensor += raised
    return tensor


def add_weights(
    weights: dict[Totals, Float[Array, "..."]],
    groups: tuple[tuple[int, ...], ...],
    known: Int[Array, "R A"],
    responders: Int[Array, "R A"],
    weight: Float[Array, " R"],
) -> None:
    """Add the weights of some states, by known outcomes and responders of each group of arms, in place."""
    t = np.stack([known[:, group].sum(axis=1) for group in groups], axis=1)
    s = np.stack([responders[:, group].sum(axis=1) for group in groups], axis=1)
    base = int(t.max()) + 1
    code = t @ (base ** np.arange(t.shape[1]))
    order = np.argsort(code, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(code[order])) + 1, len(order))
    begin = 0
    for end in ends:
        here = order[begin:end]
        totals = tuple(int(total) for total in t[here[0]])
        shape = tuple(total + 1 for total in totals)
        place = np.ravel_multi_index(tuple(s[here].T), shape)
        added = np.bincount(place, weight[here], int(np.prod(shape))).reshape(shape)
        weights[totals] = weights[totals] + added if totals in weights else added
        begin = end


def _no_better(names: tuple[str, ...], control: int, arm: int, margin: float) -> str:
    by = f" by more than {margin:g}" if margin > 0 else ""
    worse = f"{names[arm]} worse than {names[control]} by {-margin:g} or more" if margin < 0 else ""
    return worse or f"{names[arm]} not better than {names[control]}{by}"


def _list(names: tuple[str, ...], arms: tuple[int, ...]) -> str:
    return " and ".join(names[arm] for arm in arms)
