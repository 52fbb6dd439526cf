"""Several rules at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.allocation.realisation import Problems, Realised, Setting
from sps_adaptive.contracts import AllocationRule, Look
from sps_adaptive.part import Part
from sps_adaptive.words import listed, percent

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from sps_adaptive.allocation import AllocationKind
    from sps_adaptive.contracts import Array


class Ingredient(Part):
    """A rule and its part in a mixture."""

    weight: Annotated[float, Field(gt=0, le=1000)]
    """Its part; the parts of all rules are divided by their sum."""
    rule: AllocationKind
    """The rule, without `realisation` and `block`: the mixture has its own."""


class Mixture(Realised):
    r"""The weighted mean of the probabilities of several rules.

    .. math:: \pi_a = \sum_i w_i \pi^{(i)}_a \Big/ \sum_i w_i

    It is what a trial does that picks a rule by lot for each patient. A mixture with `equal` holds every arm above a
    share, smoothly where a floor has an edge; one of `square_root_control` and `thompson` keeps some of the patients
    for the comparisons and lets the others learn. Floors, ceilings and burn-ins are those of the rules it is made of.
    """

    learns: ClassVar[bool] = True

    kind: Literal["mixture"]
    rules: Annotated[list[Ingredient], Field(min_length=2, max_length=10)]
    """The rules and their weights."""

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities of any of the rules depend on the patients enrolled on each arm."""
        return any(part.rule.counts_enrolled for part in self.rules)

    def bound_to_size(self) -> str | None:
        """Return what ties any of the rules to a number of patients."""
        return next((bound for part in self.rules if (bound := part.rule.bound_to_size())), None)

    def bound_to_scale(self) -> str | None:
        """Return what ties the probabilities of any of the rules to the unit of the endpoint."""
        return next((bound for part in self.rules if (bound := part.rule.bound_to_scale())), None)

    def problems(self, setting: Setting) -> Problems:
        """Return what cannot be about each of the rules, and realisations that would have no effect."""
        found: Problems = []
        for place, part in enumerate(self.rules):
            where = ("rules", place, "rule")
            for name in ("realisation", "block"):
                if getattr(part.rule, name) != type(part.rule).model_fields[name].default:
                    hint = f"state {name} beside rules:"
                    found.append(((*where, name), "the mixture is dealt as a whole, not rule by rule", hint))
            found += [((*where, *path), message, hint) for path, message, hint in part.rule.problems(setting)]
        return found

    def words(self, arms: tuple[str, ...]) -> str:
        """Return the rule in plain English, without a full stop."""
        whole = sum(part.weight for part in self.rules)
        return "a mixture of " + listed(
            [f"{percent(part.weight / whole)} ({part.rule.words(arms)})" for part in self.rules]
        )

    def bind(self, arms: tuple[str, ...]) -> AllocationRule:
        """Return the rule for a trial with these arms."""
        whole = sum(part.weight for part in self.rules)
        shares = tuple(part.weight / whole for part in self.rules)
        bound = tuple(part.rule.bind(arms) for part in self.rules)
        return BoundMixture(shares, bound, self.block_length(len(arms)))


class BoundMixture:
    """A mixture of rules that know the arms."""

    learns: ClassVar[bool] = True

    def __init__(self, shares: tuple[float, ...], rules: tuple[AllocationRule, ...], block: int) -> None:
        self._shares, self._rules, self._block = shares, rules, block

    @property
    def counts_enrolled(self) -> bool:
        """Whether the probabilities of any of the rules depend on the patients enrolled on each arm."""
        return any(rule.counts_enrolled for rule in self._rules)

    def start(self, is_open: Bool[Array, "R A"], control: int) -> Float[Array, "R A"]:
        """Return the mean of the probabilities before any look."""
        return self._mean([rule.start(is_open, control) for rule in self._rules])

    def probabilities(self, look: Look) -> Float[Array, "R A"]:
        """Return the mean of the probabilities after a look."""
        return self._mean([rule.probabilities(look) for rule in self._rules])

    def block_length(self, n_arms: int) -> int:
        """Return the length of a randomisation block; 0 for independent draws."""
        return self._block

    def _mean(self, each: list[Float[Array, "R A"]]) -> Float[Array, "R A"]:
        mean = np.zeros_like(each[0])
        for share, probabilities in zip(self._shares, each, strict=True):
            mean += share * probabilities
        return mean
