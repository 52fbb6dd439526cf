"""What the priors of an analysis expect, before any data: prior predictive checks in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.words import listed, percent

if TYPE_CHECKING:
    from sps_adaptive.scenario import Scenario

DRAWS = 40_000
"""New patients drawn from the prior, for each arm."""

SEED = 20_261_125

ALIKE = 0.05
"""Arms whose central ranges differ by less than this share of their width are expected to do the same."""

FAR = 0.99
"""A true value outside the central share of the prior of so much is called surprising."""


def expectations(scenario: Scenario) -> list[str]:
    """Return what the priors say of a new patient on each arm, one sentence for each endpoint.

    A new patient's outcome is drawn from the prior predictive distribution (Gabry et al. 2019); flat priors have none.
    """
    return [sentence for name in scenario.endpoints for sentence in _expected(scenario, name)]


def surprises(scenario: Scenario) -> Iterator[str]:
    """Yield the true values that the priors all but rule out."""
    for name in scenario.endpoints:
        drawn = scenario.analysis[name].prior_means(scenario.analysis_setting(name), DRAWS, _generator())
        if drawn is None:
            continue
        low, high = np.quantile(drawn, [(1 - FAR) / 2, (1 + FAR) / 2], axis=0)
        for truth in scenario.truths:
            patients = scenario.draw(0, 0, 1)
            scale = scenario.scale(name)
            value = scale.natural(scenario.true_values(truth, name, patients))
            for arm, true, least, most in zip(scenario.arm_names, value, low, high, strict=True):
                if not least <= true <= most:
                    yield (
                        f"In the truth '{truth}' {name} on {arm} is {true:.3g} ({scale.name}), and the prior of the "
                        f"analysis expects {least:.3g} to {most:.3g}: one of the two is wrong."
                    )
                    break


def _expected(scenario: Scenario, name: str) -> Iterator[str]:
    model, endpoint = scenario.analysis[name], scenario.endpoints[name]
    setting = scenario.analysis_setting(name)
    prefix = f"Prior of {name}: " if len(scenario.endpoints) > 1 else "Prior: "
    is_share = endpoint.analysed_as == "binary" or endpoint.needs_follow_up
    drawn = model.prior_predictive(setting, DRAWS, _generator())
    if endpoint.analysed_as == "binary":
        drawn = model.prior_means(setting, DRAWS, _generator())
        if drawn is not None and not scenario.is_share(name):  # log odds
            drawn = 1 / (1 + np.exp(-drawn))
    if drawn is None:
        yield f"{prefix}flat, so before any data the analysis expects nothing in particular."
        return
    ends = np.quantile(drawn, [0.05, 0.95], axis=0)
    if np.ptp(ends, axis=1).max() <= ALIKE * np.ptp(ends, axis=0).max():
        drawn, arms = drawn.reshape(-1, 1), ["any arm"]
    else:
        arms = list(scenario.arm_names)
    unit = getattr(endpoint, "unit", None) or ""
    what = "the share of patients with the event" if is_share else "the outcome of a new patient"
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    told = [
        f"on {arm} between {_number(least, is_share)} and {_number(most, is_share)}"
        for arm, least, most in zip(arms, low, high, strict=True)
    ]
    yield f"{prefix}before any data, {what} is expected {listed(told)}{f' {unit}' if unit else ''} (90%)."


def _number(value: float, is_share: bool) -> str:
    return percent(round(value, 2)) if is_share else f"{value:.2g}"


def _generator() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(SEED))
