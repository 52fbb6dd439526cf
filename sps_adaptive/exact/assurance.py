r"""The probability of success when the response rates themselves are uncertain: exact assurance.

With independent Beta design priors of the rates the probability of a state is

.. math:: g(x) \prod_a \frac{B(\alpha_a + s_a, \beta_a + f_a)}{B(\alpha_a, \beta_a)},

so that the assurance (O'Hagan, Stevens and Campbell 2005) is one sum over the final states that are there anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import betaln

from sps_adaptive.contracts import Posterior
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import course
from sps_adaptive.exact.layout import Batch
from sps_adaptive.exact.posterior import CellPosterior, counts
from sps_adaptive.exact.recursion import walk
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.scenario import ADAPTIVE, Scenario

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

MOST = 1e4
"""Largest parameter of a design prior."""


class Assurance(NamedTuple):
    """What a trial achieves on average over what is believed about the response rates."""

    claimed: dict[str, float]
    """Probability that each experimental arm is declared effective."""
    rightly: dict[str, float]
    """Probability that it is declared effective and is."""
    effective: dict[str, float]
    """Probability that it is effective, before the trial."""
    any_claimed: float
    """Probability that any arm is declared effective."""


def assurance(scenario: Scenario, priors: Mapping[str, tuple[float, float]], design: str = ADAPTIVE) -> Assurance:
    """Return the exact assurance.

    Parameters
    ----------
    scenario
        A scenario that `exact.calendar.reasons_against_paths` has nothing against.
    priors
        For each arm (alpha, beta) of the design prior of its response rate, on the endpoint's own scale. It is what the
        planner believes, and may differ from the prior of the analysis.
    design
        Which of the two designs.

    Raises
    ------
    UsageError
        If an arm has no prior, or a prior is none.
    """
    names = scenario.arm_names
    if unknown := [arm for arm in priors if arm not in names]:
        raise UsageError(f"there is no arm '{unknown[0]}'", f"the arms are: {', '.join(names)}")
    if missing := [arm for arm in names if arm not in priors]:
        raise UsageError(
            f"no design prior for {', '.join(missing)}", "give one for every arm, such as --belief placebo=3,9"
        )
    if wrong := [arm for arm in names if not all(0 < parameter <= MOST for parameter in priors[arm])]:
        raise UsageError(f"the design prior of {wrong[0]} is no Beta distribution", f"use numbers in (0, {MOST:g}]")
    higher = scenario.endpoint.better == "higher"
    believed = tuple(
        (float(priors[arm][0]), float(priors[arm][1])) if higher else (float(priors[arm][1]), float(priors[arm][0]))
        for arm in names
    )
    alpha, beta = np.array(believed).T
    plan = designs(scenario)[design]
    patients, control = plan.patients, plan.control

    def effective(belief: Posterior) -> Float[Array, "R A"]:
        """Return the probability that each arm is effective."""
        if plan.efficacy_value is None:
            return belief.prob_better(control, plan.efficacy_margin)
        return belief.prob_above(plan.efficacy_value + plan.efficacy_margin)

    claimed, rightly, any_claimed = np.zeros(len(names)), np.zeros(len(names)), 0.0
    for ending in walk(plan, course(scenario, plan)):
        if not ending.is_claimed.any():
            continue
        known, responders = counts(ending.batch.rows())
        log_mean = betaln(alpha + responders, beta + known - responders) - betaln(alpha, beta)
        probability = ending.weight * np.exp(log_mean.sum(axis=1))
        claimed += (probability[:, None] * ending.is_claimed).sum(axis=0)
        any_claimed += float(probability[ending.is_claimed.any(axis=1)].sum())
        belief = (
            CellPosterior(believed, ending.batch, patients)
            if isinstance(ending.batch, Batch)
            else BetaPosterior.from_counts(believed, known, responders, patients)
        )
        rightly += (probability[:, None] * ending.is_claimed * effective(belief)).sum(axis=0)
    none = np.zeros((1, len(names)), np.int64)
    before = effective(BetaPosterior.from_counts(believed, none, none, patients))[0]
    others = [arm for arm in range(len(names)) if arm != control]

    def by_arm(values: np.ndarray) -> dict[str, float]:
        return {names[arm]: float(values[arm]) for arm in others}

    return Assurance(by_arm(claimed), by_arm(rightly), by_arm(before), any_claimed)
