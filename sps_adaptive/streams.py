"""Random numbers have names, not positions.

A stream is addressed by (seed, name, block, index); nothing is drawn in passing. A result therefore does not
depend on the number of workers, on the order of the blocks, or on what else was drawn before it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array


CHUNK = 8
"""Patients drawn at once."""


class Stream(IntEnum):
    """What the numbers are for. The ids are part of every published result: never renumber them."""

    ACCRUAL = 1
    SITE = 2
    BASELINE = 3
    DROPOUT = 4
    VISIT = 5
    ARM = 6
    BLOCK = 7
    OUTCOME = 8
    COVARIATE = 9
    SITE_SCORE = 10


def uniforms(
    seed: int, name: Stream, block: int, replicates: int, patients: int, index: int = 0
) -> Float[Array, "R N"]:
    """Uniform numbers in [0, 1), one a patient.

    Drawn patient by patient (all replicates of patient 1, then of patient 2, ...), so that a trial
    with a larger maximum sample size meets the same patients and then some more.

    Parameters
    ----------
    seed
        The scenario's seed, any non-negative integer.
    name
        What the numbers are for.
    block
        Index of the block of replicates.
    replicates, patients
        The shape R, N of the answer.
    index
        Tells several streams of one name apart, for example the endpoints or the covariates.

    Notes
    -----
    Philox, a counter-based generator (Salmon et al. 2011), keyed through numpy's ``SeedSequence``.
    Only uniforms are ever drawn; other distributions are quantile transforms of them, which keeps
    truths and designs aligned patient by patient (common random numbers).
    """
    key = np.random.SeedSequence(entropy=seed, spawn_key=(int(name), block, index))
    generator = np.random.Generator(np.random.Philox(key))
    drawn = np.empty((replicates, patients))
    for first in range(0, patients, CHUNK):  # transposed in pieces that fit the cache
        size = min(CHUNK, patients - first)
        drawn[:, first : first + size] = generator.random((size, replicates)).T
    return drawn
