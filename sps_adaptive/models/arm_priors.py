"""Priors stated for single arms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Prior = TypeVar("Prior")


def by_arm(prior: Prior, arm_priors: Mapping[str, Prior], arms: tuple[str, ...]) -> tuple[Prior, ...]:
    """Return the prior of each arm: its own where one is stated, the common one elsewhere."""
    if unknown := sorted(set(arm_priors) - set(arms)):
        raise ValueError(f"priors for arms that do not exist: {', '.join(unknown)}")
    return tuple(arm_priors.get(arm, prior) for arm in arms)
