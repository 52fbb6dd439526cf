"""An urn that success fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import Field

from sps_adaptive.allocation.bounded import Bounded
from sps_adaptive.allocation.realisation import Problems, Setting
from sps_adaptive.contracts import Look, ProportionPosterior

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


class PlayTheWinner(Bounded):
    r"""The randomised play-the-winner rule: a success adds balls of its own arm to an urn, a failure of the others.

    The urn begins with u balls of each of K arms. Each known success of an arm adds :math:`\beta` balls of it, each
    known failure :math:`\beta / (K - 1)` balls of each other arm, and the next patient draws:

    .. math:: \pi_a \propto u + \beta \Bigl( S_a + \frac{1}{K - 1} \sum_{b \ne a} F_b \Bigr)

    (Wei and Durham 1978 for two arms, where the proportion of arm A goes to :math:`q_B / (q_A + q_B)` with q the
    probabilities of failure; Wei 1979 for more). Outcomes that are pending add nothing yet. Balls of closed arms are
    set aside.

    **A warning from history.** In the first trial of extracorporeal membrane oxygenation (ECMO) in newborns, which
    began with one ball of each kind, the first patient got ECMO and lived, the second got the control and died, and
    the ten after them got ECMO and lived: 11 patients to 1, and a dispute about what was learnt that led to further
    randomised trials (Bartlett and others 1985; Ware 1989). A small urn can be all but decided by its first
    patients. Start with more balls, set a floor, or burn in.

    References
    ----------
    Wei LJ, Durham S (1978). The randomized play-the-winner rule in medical trials. Journal of the American
    Statistical Association 73:840-843. Wei LJ (1979). The generalized Polya's urn design for sequential medical
    trials. Annals of Statistics 7:291-296. Bartlett RH and others (1985). Extracorporeal circulation in neonatal
    respiratory failure: a prospective randomized study. Pediatrics 76:479-487. Ware JH (1989). Investigating
    therapies of potentially great benefit: ECMO. Statistical Science 4:298-340.
    """

    kind: Literal["play_the_winner"]
    balls: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """u: balls of each arm to begin with. The more, the slower the rule moves."""
    added: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    """Balls that an outcome adds."""

    def weights(self, look: Look) -> Float[Array, "R A"]:
        """Return the balls in the urn."""
        known, successes = cast(ProportionPosterior, look.posterior).counts()
        failures = known - successes
        from_others = (failures.sum(axis=1, keepdims=True) - failures) / (known.shape[1] - 1)
        return self.balls + self.added * (successes + from_others)

    def problems(self, setting: Setting) -> Problems:
        """Return bounds that cannot be kept, and an endpoint without successes."""
        if setting.is_binary:
            return super().problems(setting)
        what = "successes and failures are those of an endpoint of kind binary"
        return [*super().problems(setting), (("kind",), what, "thompson is for any endpoint")]

    def in_proportion_to(self) -> str:
        """Return in plain English what the weights are."""
        return (
            f"the balls in an urn: {self.balls:g} of each arm at first, {self.added:g} for each success of the arm, "
            f"and a share of {self.added:g} for each failure of another"
        )
