"""The patients of a block of replicates, drawn once, before any decision."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from sps_adaptive.arrays import normal_quantile
from sps_adaptive.contracts import Cohort
from sps_adaptive.part import Part
from sps_adaptive.population import AccrualKind, DropoutKind
from sps_adaptive.streams import Stream, uniforms


class Population(Part):
    """How many patients there may be, how they come and how they leave."""

    patients: Annotated[int, Field(ge=2, le=100_000)]
    """The largest number of patients the trial may enrol."""
    accrual: AccrualKind
    dropout: DropoutKind | None = None
    """How patients leave before their outcome is assessed; left out: nobody does."""

    def draw(self, seed: int, block: int, replicates: int, endpoints: tuple[str, ...]) -> Cohort:
        """Return the patients of one block.

        Parameters
        ----------
        seed
            Seed of the scenario.
        block
            Index of the block.
        replicates
            Number of replicates R in a block.
        endpoints
            Names of the endpoints; each gets its own luck, in this order.
        """
        shape = (replicates, self.patients)
        enrolled_at, site = self.accrual.enrol(seed, block, *shape)
        dropout_at = np.full(shape, np.inf)
        if self.dropout is not None:
            dropout_at = enrolled_at + self.dropout.days(uniforms(seed, Stream.DROPOUT, block, *shape))
        return Cohort(
            enrolled_at=enrolled_at,
            site=site,
            dropout_at=dropout_at,
            covariates=normal_quantile(uniforms(seed, Stream.BASELINE, block, *shape))[..., None],
            u_visit=uniforms(seed, Stream.VISIT, block, *shape),
            u_arm=uniforms(seed, Stream.ARM, block, *shape),
            u_block=uniforms(seed, Stream.BLOCK, block, *shape),
            u_outcome={
                name: uniforms(seed, Stream.OUTCOME, block, *shape, index)[..., None]
                for index, name in enumerate(endpoints)
            },
        )
