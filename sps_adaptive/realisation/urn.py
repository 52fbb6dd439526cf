"""The mass-weighted urn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import Cohort, Dealer
from sps_adaptive.realisation.realisation import Realisation

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Urn(Realisation):
    r"""Patient by patient, in proportion to what each arm has in the urn and is owed: the mass-weighted urn design.

    Before patient n, with the probabilities :math:`\pi_{m,a}` under which patient m was randomised and the patients
    :math:`N_a` so far on arm a, its mass and probability are

    .. math:: m_a = \alpha \pi_{n,a} + \sum_{m < n} \pi_{m,a} - N_a, \qquad P(a) \propto \max(m_a, 0)

    The urn begins with :math:`\alpha` patients in the ratio of the probabilities; each patient adds to every arm the
    probability it had and takes one from the arm that was drawn. Zhao (2015) wrote it for a fixed ratio, which this is
    while the probabilities stand still. When they change at a look, the stock follows the new ones and what is owed
    from the old ones is still paid: unlike blocks, the urn remembers. A closed arm gets nobody, whatever it is owed.

    The numbers stay within a few patients of what was promised, however often there are looks, and the next patient can
    seldom be guessed with certainty. A small :math:`\alpha` follows closely and is easier to guess, a large one comes
    near to independent draws: of 24 patients at 0.2 : 0.27 : 0.53 the largest deviation from the target is 0.64
    patients on average with :math:`\alpha = 2`, 0.81 with 4, 1.10 with 8, and 2.64 with independent draws. With equal
    probabilities, and while no mass is below 0, each patient's probability is :math:`\pi_a` on average. Otherwise the
    ratio is preserved nearly, not exactly, to the advantage of small arms: at 0.1 : 0.9 and :math:`\alpha = 4` an arm
    gets 2.49 of 24 patients instead of 2.4, and a single patient's probability is there off by at most 0.02.
    """

    remembers: ClassVar[str] = "what each arm is owed from before"

    kind: Literal["urn"]
    mass: Annotated[float, Field(ge=1, le=1000)] = 4.0
    r"""The patients in the urn at the start, :math:`\alpha`."""

    def dealer(self, usual: int, factors: Mapping[str, int]) -> Dealer:
        """Return what makes the randomisation list."""
        return UrnList(self.mass)

    def words(self, usual: int) -> str:
        """Return in plain English how probabilities become a list."""
        return f"by a mass-weighted urn of {self.mass:g} patients, which remembers what each arm is owed"


class UrnList(NamedTuple):
    """Randomisation lists of the mass-weighted urn."""

    mass: float

    @property
    def keeps_account(self) -> bool:
        """Whether the list asks what the arms are owed."""
        return True

    def deal(
        self,
        arm: Int[Array, "R N"],
        probabilities: Float[Array, "R A"],
        cohort: Cohort,
        start: Int[Array, " R"],
        owed: Float[Array, "R A"],
    ) -> Int[Array, "R N"]:
        """Return the arms with everybody from `start` on dealt again; the others keep theirs."""
        from sps_adaptive.realisation.kernels import urn

        dealt = arm.copy()
        urn(dealt, np.ascontiguousarray(probabilities), cohort.u_arm, start, owed, float(self.mass))
        return dealt
