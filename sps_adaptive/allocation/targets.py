"""Allocations that would be best if the truth were known, at the estimates at hand (shared by the rules)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from sps_adaptive.allocation.bounds import share_equally
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.contracts import Look

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Target = Literal["neyman", "rsihr", "equal"]

WORDS = {
    "neyman": "shares as the estimated standard deviations of an outcome",
    "rsihr": "shares as the square roots of the estimated response rates",
    "equal": "equal shares",
}
"""The targets in plain English."""


def target(name: Target, look: Look) -> Float[Array, "R A"]:
    """Return the shares of the open arms that a target asks for; rows sum to 1."""
    if name == "equal":
        return share_equally(look.is_open)
    # Estimates are posterior means: with a uniform prior (s + 1) / (n + 2), which is neither 0 nor 1.
    wanted = look.posterior.outcome_sd() if name == "neyman" else np.sqrt(look.posterior.mean())
    wanted = np.where(look.is_open, wanted, 0.0)
    return wanted / wanted.sum(axis=1, keepdims=True)


def proportions(look: Look) -> Float[Array, "R A"]:
    """Return the share of each open arm in the patients enrolled on open arms; one half patient where there is none."""
    n = np.where(look.is_open, look.arm_enrolled, 0)
    whole = np.maximum(n.sum(axis=1, keepdims=True), 1)
    return np.where(look.is_open, np.maximum(n, 0.5) / whole, 0.0)


def compares_sds(kind: str) -> str:
    """Return why a rule depends on the unit of the endpoint where too little is known of an arm."""
    return (
        f"Allocation by {kind} compares standard deviations, and of an arm with too few outcomes it has only a stated "
        "one."
    )


def needs_rates(path: tuple[str, ...], setting: Setting) -> Problems:
    """Return that a rule for response rates stands beside an endpoint that has none."""
    if setting.is_binary:
        return []
    return [(path, "response rates are those of an endpoint of kind binary", "neyman is for any endpoint")]
