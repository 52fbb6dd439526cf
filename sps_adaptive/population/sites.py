"""Accrual through sites that open one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.part import Part
from sps_adaptive.streams import Stream, uniforms

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from sps_adaptive.contracts import Array

Rate = Annotated[float, Field(gt=0, le=1000)]


class Sites(Part):
    r"""Patients come to sites; sites open one after another and enrol at their own rates.

    Each open site enrols by a Poisson process, so the trial enrols by a Poisson process with the rate
    :math:`\lambda(t) = \sum_s r_s\,1\{t \ge o_s\}`, where site s opens at :math:`o_s` and enrols
    :math:`r_s` patients a month. Enrolment days are :math:`\Lambda^{-1}(E_1 + \dots + E_n)` with
    standard exponential gaps E and the piecewise linear cumulative rate :math:`\Lambda`; the site is drawn
    among the open ones in proportion to their rates. This is exact, not a discretisation by day.
    """

    kind: Literal["sites"]
    sites: Annotated[int, Field(ge=1, le=1000)]
    """Number of sites."""
    patients_per_site_month: Rate | list[Rate]
    """Patients a site enrols in a month: one number, or a list with one number a site."""
    one_opens_every_months: Annotated[float, Field(ge=0, le=120)] = 0.0
    """Months between the opening of one site and the next; the first opens with the trial."""
    opens_at_months: list[Annotated[float, Field(ge=0, le=600)]] | None = None
    """Opening month of each site, instead of a regular interval."""

    def problems(self) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the numbers of sites, as (path, message, hint)."""
        found: list[tuple[tuple[str | int, ...], str, str]] = []
        for name in ("patients_per_site_month", "opens_at_months"):
            given = getattr(self, name)
            if isinstance(given, list) and len(given) != self.sites:
                found.append(((name,), f"{len(given)} numbers for {self.sites} sites", "give one number for each site"))
        if self.opens_at_months and self.one_opens_every_months:
            found.append(
                (
                    ("opens_at_months",),
                    "sites open both at stated months and at a regular interval",
                    "keep opens_at_months or one_opens_every_months, not both",
                )
            )
        return found

    def opening_months(self) -> Float[Array, " sites"]:
        """Return the month in which each site opens."""
        if self.opens_at_months is not None:
            return np.asarray(self.opens_at_months, float)
        return np.arange(self.sites) * self.one_opens_every_months

    def rates(self) -> Float[Array, " sites"]:
        """Return the patients a month of each site."""
        return np.broadcast_to(np.asarray(self.patients_per_site_month, float), (self.sites,))

    def enrol(
        self, seed: int, block: int, replicates: int, patients: int
    ) -> tuple[Float[Array, "R N"], Int[Array, "R N"]]:
        """Return the day and the site of each enrolment."""
        order = np.argsort(self.opening_months(), kind="stable")
        opens, rates = self.opening_months()[order], self.rates()[order]
        rate_after = np.cumsum(rates)
        # Cumulative rate at each opening: linear between openings, with the rates of the sites then open.
        expected = np.concatenate([[0.0], np.cumsum(np.diff(opens) * rate_after[:-1])])
        gaps = -np.log1p(-uniforms(seed, Stream.ACCRUAL, block, replicates, patients))
        arrivals = np.cumsum(gaps, axis=1)
        last_open = np.searchsorted(expected, arrivals, side="right") - 1
        month = opens[last_open] + (arrivals - expected[last_open]) / rate_after[last_open]
        share = uniforms(seed, Stream.SITE, block, replicates, patients) * rate_after[last_open]
        site = np.minimum(np.searchsorted(rate_after, share, side="right"), last_open)
        return month * DAYS_PER_MONTH, order[site]

    def patients_per_month(self) -> float:
        """Return the rate once every site is open."""
        return float(self.rates().sum())

    def expected_months(self, patients: int) -> float:
        """Return about how long it takes to enrol: the month at which that many are expected."""
        order = np.argsort(self.opening_months(), kind="stable")
        opens, rate_after = self.opening_months()[order], np.cumsum(self.rates()[order])
        expected = np.concatenate([[0.0], np.cumsum(np.diff(opens) * rate_after[:-1])])
        reached = int(np.searchsorted(expected, patients, side="right")) - 1
        return float(opens[reached] + (patients - expected[reached]) / rate_after[reached])
