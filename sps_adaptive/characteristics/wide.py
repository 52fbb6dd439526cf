"""The tables of a block with replicates as an axis: one design at a time, one row a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.scenario import BLOCK_SIZE

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array
    from sps_adaptive.tables import Block


class Trials(NamedTuple):
    """What is recorded of R trials of one design, with A arms and K looks before the final analysis."""

    outcome: Int[Array, " R"]
    stop_reason: Int[Array, " R"]
    stop_look: Int[Array, " R"]
    n_enrolled: Int[Array, " R"]
    n_known: Int[Array, " R"]
    n_overrun: Int[Array, " R"]
    decision_month: Float[Array, " R"]
    duration_months: Float[Array, " R"]
    selected_arm: Int[Array, " R"]
    """0 for none, then the arms from 1."""
    total: Float[Array, " R"]
    failed_fits: Int[Array, " R"]
    covariate_imbalance: Float[Array, " R"]
    arms: ArmsAtEnd
    looks: Looks
    allocation: Float[Array, "R K A"]
    """Probability of each arm for the patients after a look; NaN where it did not take place, or the trial stopped."""


class ArmsAtEnd(NamedTuple):
    """The arms at the final analysis, and what was claimed before it."""

    claimed_at_look: Bool[Array, "R A"]
    is_claimed: Bool[Array, "R A"]
    meets_efficacy: Bool[Array, "R A"]
    is_open: Bool[Array, "R A"]
    n_enrolled: Int[Array, "R A"]
    n_concurrent: Int[Array, "R A"]
    opened_month: Float[Array, "R A"]
    n_known: Int[Array, "R A"]
    total: Float[Array, "R A"]
    effect: Float[Array, "R A"]
    effect_lower: Float[Array, "R A"]
    effect_upper: Float[Array, "R A"]
    prob_better: Float[Array, "R A"]


class SecondaryAtEnd(NamedTuple):
    """An endpoint beside the primary one at the final analysis."""

    estimate: Float[Array, "R A"]
    prob_better: Float[Array, "R A"]
    effect: Float[Array, "R A"]
    effect_lower: Float[Array, "R A"]
    effect_upper: Float[Array, "R A"]


class Looks(NamedTuple):
    """The scheduled looks; NaN where one did not take place."""

    month: Float[Array, "R K"]
    n_enrolled: Float[Array, "R K"]
    n_known: Float[Array, "R K"]
    n_pending: Float[Array, "R K"]


def trials_of(tables: Block, design: int, keep: int, n_arms: int, n_looks: int) -> Trials:
    """Return the trials of a design whose place in their block is below `keep`, in order of replicate.

    Parameters
    ----------
    tables
        The tables of a block, categories as integer codes; rows in any order.
    design
        Code of the design.
    n_arms, n_looks
        Arms, and scheduled looks before the final analysis.
    """
    own = [name for name in Trials._fields if name in tables["trials"]]
    trials = _kept(tables["trials"], design, keep, "replicate", *own)
    looks = _kept(tables["looks"], design, keep, "replicate", "look", "is_final", *Looks._fields)
    arms = _kept(
        tables["arms"], design, keep, "replicate", "look", "arm", "is_final", "allocation", *ArmsAtEnd._fields[1:]
    )
    order = np.argsort(trials["replicate"], kind="stable")
    replicate = trials["replicate"][order]
    return Trials(
        **{name: trials[name][order] for name in own},
        arms=_arms(arms, np.searchsorted(replicate, arms["replicate"]), (len(replicate), n_arms)),
        looks=_looks(looks, np.searchsorted(replicate, looks["replicate"]), (len(replicate), n_looks)),
        allocation=_allocation(arms, np.searchsorted(replicate, arms["replicate"]), (len(replicate), n_looks, n_arms)),
    )


def at_end_of(tables: Block, design: int, keep: int, endpoint: int, n_arms: int) -> SecondaryAtEnd:
    """Return what the final analyses of a design say of an endpoint, by its position beside the primary one."""
    rows = _kept(tables["secondaries"], design, keep, "replicate", "endpoint", "arm", *SecondaryAtEnd._fields)
    here = np.flatnonzero(rows["endpoint"] == endpoint)
    order = here[np.lexsort((rows["arm"][here], rows["replicate"][here]))]
    return SecondaryAtEnd(*(rows[name][order].reshape(-1, n_arms) for name in SecondaryAtEnd._fields))


def _kept(table: dict[str, Array], design: int, keep: int, *columns: str) -> dict[str, Array]:
    here = np.flatnonzero((table["design"] == design) & (table["replicate"] % BLOCK_SIZE < keep))
    return {name: table[name][here] for name in columns}


def _arms(table: dict[str, Array], row: Int[Array, " rows"], shape: tuple[int, int]) -> ArmsAtEnd:
    is_final = table["is_final"].astype(bool)
    place = row * shape[1] + table["arm"]
    claimed_at_look = np.zeros(shape, bool)
    claimed_at_look.reshape(-1)[place[table["is_claimed"].astype(bool) & ~is_final]] = True
    last = np.flatnonzero(is_final)
    at_end = {name: np.zeros(shape, table[name].dtype) for name in ArmsAtEnd._fields[1:]}
    for name, wide in at_end.items():
        wide.reshape(-1)[place[last]] = table[name][last]
    return ArmsAtEnd(claimed_at_look, **at_end)


def _allocation(
    table: dict[str, Array], row: Int[Array, " rows"], shape: tuple[int, int, int]
) -> Float[Array, "R K A"]:
    before = np.flatnonzero(~table["is_final"].astype(bool))
    spread = np.full(shape, np.nan)
    spread[row[before], table["look"][before] - 1, table["arm"][before]] = table["allocation"][before]
    spread[spread.sum(axis=2) == 0] = np.nan
    return spread


def _looks(table: dict[str, Array], row: Int[Array, " rows"], shape: tuple[int, int]) -> Looks:
    before = np.flatnonzero(~table["is_final"].astype(bool))
    place = row[before] * shape[1] + table["look"][before] - 1
    spread = {name: np.full(shape, np.nan) for name in Looks._fields}
    for name, wide in spread.items():
        wide.reshape(-1)[place] = table[name][before]
    return Looks(**spread)
