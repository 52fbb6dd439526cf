"""Minimisation: balance over several factors at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Cohort, Dealer
from sps_adaptive.realisation.realisation import Factors, Problems, Realisation, levels
from sps_adaptive.words import listed, percent

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

PREFERENCE = 0.8
"""Probability of the preferred arm where neither it nor a sharpness is stated."""


class Minimisation(Realisation):
    r"""Each patient is likely to get the arm that leaves the levels of the patient's factors best balanced.

    For a patient with level :math:`l_f` of factor f, let :math:`n_{fj}` be the earlier patients with that level on
    open arm j, all those of the trial, also from before earlier looks. If the patient went to arm k, the imbalance were

    .. math:: G_k = \sum_f w_f \, D_j\!\left(\frac{n_{fj} + 1\{j = k\}}{r_j}\right), \qquad r_j = K \pi_j

    with the range (or the variance, divisor K - 1) for D, over the K open arms. The :math:`r_j` are the allocation
    probabilities as a multiple of an equal share: with equal allocation these are numbers of patients, as Pocock and
    Simon (1975) wrote it; unequal or adaptive targets are balanced in their ratio. The arm with the smallest
    :math:`G_k` is preferred; of several, one is drawn in the ratio of their probabilities. It gets the patient with
    `probability` (or its own :math:`\pi_k`, if that is larger), and the others share the rest in the ratio of theirs.

    With `sharpness` :math:`\lambda` instead, :math:`P(k) \propto \pi_k \exp(-\lambda (G_k - \min_j G_j))`: the rule's
    probabilities, bent towards balance. Closed arms and arms with probability 0 get nobody.

    With adaptive allocation either form drives all patients of the trial towards today's ratio, those of earlier looks
    included, and so adapts more than the rule alone: in a trial of 72 patients on three arms with Thompson allocation
    the better arm got 29 patients instead of 26, the smallest arm 13.6 instead of 15.4. For the same reason an arm that
    opens late is preferred until it has caught up. Floors and ceilings bind the
    ratio, not the probability of each patient; without a floor a ratio near 0 leaves little of the balance between the
    other arms.

    The covariates have no effect on outcomes for now: minimising changes balance, and power only through the numbers
    on the arms. A look does not begin anything anew, since the balance is over the whole trial.
    """

    remembers: ClassVar[str] = "the factors of each patient"

    kind: Literal["minimisation"]
    factors: Factors
    """Covariates of the population, by name, or `site`."""
    weights: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict)
    """Weight of a factor, by name; those left out have weight 1."""
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    """Probability of the preferred arm, from an equal share to 1 (nothing random but ties); left out: 0.8, unless a
    sharpness is given."""
    sharpness: Annotated[float, Field(ge=0, le=1000)] | None = None
    r"""How strongly imbalance bends the probabilities, :math:`\lambda`, instead of a preferred arm; 0: not at all."""
    imbalance: Literal["range", "variance"] = "range"
    """How the imbalance of a level is measured."""

    def preference(self) -> float:
        """Return the probability of the preferred arm."""
        return PREFERENCE if self.probability is None else self.probability

    def balances(self) -> tuple[str, ...]:
        """Return the factors between whose levels the arms are balanced."""
        return tuple(self.factors)

    def dealer(self, usual: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list."""
        return MinimisationList(
            columns=tuple(list(factors).index(name) for name in self.factors),
            sizes=tuple(factors[name] for name in self.factors),
            weights=tuple(self.weights.get(name, 1.0) for name in self.factors),
            preference=-1.0 if self.sharpness is not None else self.preference(),
            sharpness=self.sharpness or 0.0,
            by_variance=self.imbalance == "variance",
        )

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        named = [f"{name} (weight {self.weights[name]:g})" if name in self.weights else name for name in self.factors]
        how = (
            f"with probabilities bent towards it (sharpness {self.sharpness:g})"
            if self.sharpness is not None
            else f"{percent(self.preference())} for the arm that balances best"
        )
        return f"by minimisation of the {self.imbalance} over {listed(named)}, {how}"

    def problems(self, factors: Mapping[str, int]) -> Problems:
        """Return what cannot be about the factors, as (path, message, hint)."""
        found = super().problems(factors)
        for name in self.weights:
            if name not in self.factors:
                found.append(
                    (
                        ("weights", name),
                        f"a weight of '{name}', which is not balanced",
                        f"the factors are: {listed(self.factors)}",
                    )
                )
        if self.probability is not None and self.sharpness is not None:
            found.append((("sharpness",), "both a probability and a sharpness", "keep one of them"))
        return found


class MinimisationList(NamedTuple):
    """Randomisation lists by minimisation."""

    columns: tuple[int, ...]
    """Where the factors stand in `Cohort.strata`; one after the last is the site."""
    sizes: tuple[int, ...]
    """Levels of each factor."""
    weights: tuple[float, ...]
    preference: float
    """Probability of the preferred arm; below 0 where the sharpness counts."""
    sharpness: float
    by_variance: bool

    @property
    def keeps_account(self) -> bool:
        """Whether the list asks what the arms are owed."""
        return False

    def deal(
        self,
        arm: Int[Array, "R N"],
        probabilities: Float[Array, "R A"],
        cohort: Cohort,
        start: Int[Array, " R"],
        owed: Float[Array, "R A"],
    ) -> Int[Array, "R N"]:
        """Return the arms with everybody from `start` on dealt again; the others keep theirs."""
        from sps_adaptive.realisation.kernels import minimise

        dealt = arm.copy()
        minimise(
            dealt, np.ascontiguousarray(probabilities), cohort.u_arm, start, levels(cohort, self.columns),
            np.array(self.sizes, np.int64), np.array(self.weights), self.preference, self.sharpness, self.by_variance,
        )  # fmt: skip
        return dealt
