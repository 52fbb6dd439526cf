"""The patients of a block of replicates, drawn once, before any decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Protocol

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import DAYS_PER_MONTH, SITE, Cohort
from sps_adaptive.part import Name, Part
from sps_adaptive.population import AccrualKind, DropoutKind, Sites
from sps_adaptive.streams import Stream, uniforms

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array


class Visited(Protocol):
    """What the population must know of an endpoint."""

    @property
    def uniforms(self) -> int:
        """How many uniform numbers the outcome of a patient is made of."""
        ...

    @property
    def window_months(self) -> float:
        """Half-width of the visit window."""
        ...


MOST_ENDPOINTS = 100
"""The k-th uniform of the e-th endpoint comes from the stream of number e + 100 k."""

Levels = Annotated[dict[Name, Annotated[float, Field(gt=0, lt=1)]], Field(min_length=2, max_length=100)]


class Population(Part):
    """How many patients there may be, how they come and how they leave."""

    patients: Annotated[int, Field(ge=2, le=100_000)]
    """The largest number of patients the trial may enrol."""
    accrual: AccrualKind
    dropout: DropoutKind | None = None
    """How patients leave before their outcome is assessed; left out: nobody does."""
    closes_at_month: Annotated[float, Field(gt=0, le=1200)] | None = None
    """Enrolment closes in this month, whatever the number enrolled; the final analysis follows when everybody has been
    followed. Left out: enrolment goes on to the last patient."""

    @property
    def closes_at(self) -> float:
        """The day on which enrolment closes, inf for never."""
        return np.inf if self.closes_at_month is None else self.closes_at_month * DAYS_PER_MONTH

    covariates: Annotated[dict[Name, Levels], Field(max_length=20)] = Field(default_factory=dict)
    """Factors known at enrolment, by name, each with the prevalence of its levels. They can be balanced by the
    randomisation, and a truth may say what they do to outcomes."""

    def factors(self) -> dict[str, int]:
        """Return the factors that patients are told apart by, with their numbers of levels: covariates, then the site.

        The order is that of `Cohort.strata`.
        """
        sites = self.accrual.sites if isinstance(self.accrual, Sites) else 1
        return {name: len(levels) for name, levels in self.covariates.items() if name != SITE} | {SITE: sites}

    def covariate_problems(self) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the covariates, as (path, message, hint)."""
        found: list[tuple[tuple[str | int, ...], str, str]] = []
        for name, levels in self.covariates.items():
            if name == SITE:
                found.append(((name,), f"'{SITE}' is the site that accrual gives each patient", "choose another name"))
            if abs(sum(levels.values()) - 1) > 1e-9:
                found.append(
                    ((name,), f"the prevalences sum to {sum(levels.values()):.6g}, not to 1", "name every level")
                )
        return found

    def draw(
        self,
        seed: int,
        block: int,
        replicates: int,
        endpoints: Mapping[str, Visited],
        mix: Callable[[Mapping[str, Float[Array, "R N U"]]], Mapping[str, Float[Array, "R N U"]]] | None = None,
        site_scores: bool = False,
    ) -> Cohort:
        """Return the patients of one block.

        Streams have names, so what no endpoint needs is not drawn, and the rest is the same as if it were.

        Parameters
        ----------
        seed
            Seed of the scenario.
        block
            Index of the block.
        replicates
            Number of replicates R in a block.
        endpoints
            The endpoints; each gets its own luck, in this order.
        mix
            Makes the luck of the endpoints depend on each other; left out: they are independent.
        site_scores
            Whether sites matter for outcomes.
        """
        shape = (replicates, self.patients)

        def luck(stream: Stream, index: int = 0) -> Float[Array, "R N"]:
            return uniforms(seed, stream, block, *shape, index)

        enrolled_at, site = self.accrual.enrol(seed, block, *shape)
        dropout_at, score, u_visit = np.full(shape, np.inf), np.zeros(shape), np.full(shape, 0.5)
        if self.dropout is not None:
            dropout_at = enrolled_at + self.dropout.days(luck(Stream.DROPOUT))
        if any(getattr(endpoint, "baseline", None) for endpoint in endpoints.values()):
            score = normal_quantile(luck(Stream.BASELINE))
        if any(endpoint.window_months for endpoint in endpoints.values()):
            u_visit = luck(Stream.VISIT)
        outcome = {
            name: np.stack(
                [luck(Stream.OUTCOME, index + MOST_ENDPOINTS * number) for number in range(endpoint.uniforms)], axis=-1
            )
            for index, (name, endpoint) in enumerate(endpoints.items())
        }
        return Cohort(
            enrolled_at=enrolled_at,
            site=site,
            dropout_at=dropout_at,
            covariates=score[..., None],
            strata=self._strata(shape, luck),
            u_visit=u_visit,
            u_arm=luck(Stream.ARM),
            u_block=luck(Stream.BLOCK),
            u_outcome=outcome if mix is None else mix(outcome),
            site_score=self._site_scores(seed, block, site) if site_scores else None,
        )

    def _site_scores(self, seed: int, block: int, site: Int[Array, "R N"]) -> Float[Array, "R N"]:
        """Return the standard score of each patient's site."""
        sites = self.factors()[SITE]
        score = normal_quantile(uniforms(seed, Stream.SITE_SCORE, block, len(site), sites))
        return np.take_along_axis(score, site.astype(np.int64), axis=1)

    def _strata(
        self, shape: tuple[int, int], luck: Callable[[Stream, int], Float[Array, "R N"]]
    ) -> Int[Array, "R N F"]:
        """Return the level of each covariate, by the inverse cdf of the patient's own uniform."""
        strata = np.empty((*shape, len(self.covariates)), np.int16)
        for index, levels in enumerate(self.covariates.values()):
            below = np.cumsum(list(levels.values()))[:-1]
            strata[:, :, index] = np.searchsorted(below, luck(Stream.COVARIATE, index), side="right")
        return strata
