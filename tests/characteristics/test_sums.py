"""Sums of blocks: they add up, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sps_adaptive.characteristics.metrics import METRICS
from sps_adaptive.characteristics.sums import COLUMNS, NO_BIN, SCORES, block_sums
from sps_adaptive.characteristics.totals import add_up
from sps_adaptive.scenario import BLOCK_SIZE
from tests.characteristics.handmade import TRUTHS, random_tables, scenario


def some_rows(tables, chosen):
    rows = {name: chosen(table) for name, table in tables.items()}
    return {name: {column: values[rows[name]] for column, values in table.items()} for name, table in tables.items()}


def shuffled(tables, seed):
    rng = np.random.default_rng(seed)
    return some_rows(tables, lambda table: rng.permutation(len(table["replicate"])))


def same(left, right):
    return all(np.array_equal(left[column], right[column]) for column in COLUMNS)


@pytest.mark.parametrize("truth", TRUTHS)
def test_the_table_of_sums_is_flat(truth):
    sums = block_sums(scenario(), truth, random_tables(1), BLOCK_SIZE)
    assert tuple(sums) == COLUMNS
    assert len({len(values) for values in sums.values()}) == 1
    assert all(values.ndim == 1 for values in sums.values())
    assert set(sums["metric"]) <= {*METRICS, *SCORES}
    keys = list(zip(*(sums[column].tolist() for column in COLUMNS[:5]), strict=True))
    assert len(keys) == len(set(keys))


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), cut=st.integers(0, 40), truth=st.sampled_from(list(TRUTHS)))
def test_the_sums_of_two_parts_add_up_to_those_of_the_whole(seed, cut, truth):
    tables, planned = random_tables(seed, 40), scenario()
    parts = [some_rows(tables, lambda table, low=low: (table["replicate"] < cut) == low) for low in (True, False)]
    added = add_up(block_sums(planned, truth, part, BLOCK_SIZE) for part in parts)
    whole = add_up([block_sums(planned, truth, tables, BLOCK_SIZE)])
    assert set(added) == set(whole)
    for place, total in whole.items():
        assert (added[place].n, added[place].origin, added[place].bins) == (total.n, total.origin, total.bins)
        # sums of floats in another order: a few units in the last place of the largest sum of powers
        assert added[place].s == pytest.approx(total.s, rel=1e-12, abs=1e-12 * max(1.0, abs(total.s[3])))


@pytest.mark.parametrize("keep", [0, 1, 17, 50, BLOCK_SIZE])
def test_keeping_the_first_replicates_is_having_no_others(keep):
    tables, planned = random_tables(2, 50, first=3 * BLOCK_SIZE), scenario()
    first = some_rows(tables, lambda table: table["replicate"] < 3 * BLOCK_SIZE + keep)
    assert same(block_sums(planned, "one works", tables, keep), block_sums(planned, "one works", first, BLOCK_SIZE))


def test_the_order_of_rows_does_not_matter():
    tables, planned = random_tables(3), scenario()
    assert same(
        block_sums(planned, "drift", tables, BLOCK_SIZE), block_sums(planned, "drift", shuffled(tables, 1), BLOCK_SIZE)
    )


def test_tables_are_not_changed():
    tables = random_tables(4)
    before = {name: {column: values.copy() for column, values in table.items()} for name, table in tables.items()}
    block_sums(scenario(), "one works", tables, BLOCK_SIZE)
    for name, table in tables.items():
        for column, values in table.items():
            np.testing.assert_array_equal(values, before[name][column])


def test_small_integer_types_give_the_same_sums():
    tables, planned = random_tables(5), scenario()
    small = {
        name: {
            column: values.astype(np.int8 if values.max() < 100 else np.int16)
            if values.dtype.kind == "i" and column != "replicate"
            else values
            for column, values in table.items()
        }
        for name, table in tables.items()
    }
    assert same(
        block_sums(planned, "one works", tables, BLOCK_SIZE), block_sums(planned, "one works", small, BLOCK_SIZE)
    )


def test_a_histogram_counts_every_value_once():
    sums = block_sums(scenario(), "one works", random_tables(6, 50), BLOCK_SIZE)
    for metric in ("patients", "duration_months", "share_on_best"):
        of_bins = (sums["metric"] == metric) & (sums["bin"] != NO_BIN) & (sums["design"] == 0)
        assert sums["n"][of_bins].sum() == 50


def test_a_failed_fit_is_counted_and_left_out():
    tables = random_tables(7, 50)
    arms = tables["arms"]
    failed = np.flatnonzero(arms["is_final"] & (arms["arm"] == 1) & (arms["design"] == 0))[:3]
    arms["effect"][failed[:2]] = np.nan
    arms["effect_upper"][failed] = np.inf
    totals = add_up([block_sums(scenario(), "one works", tables, BLOCK_SIZE)])
    n = {(place.metric, place.arm): total for place, total in totals.items() if place.design == 0}
    assert (n["fit_failed", 0].n, n["fit_failed", 0].s[0]) == (50, 3)
    assert (n["bias", 2].n, n["coverage", 2].n, n["bias", 3].n) == (48, 47, 50)


def test_an_arm_without_known_outcomes_has_no_observed_difference():
    tables = random_tables(8, 50)
    arms = tables["arms"]
    nobody = np.flatnonzero(arms["is_final"] & (arms["arm"] == 1) & (arms["design"] == 0))[:4]
    arms["n_known"][nobody], arms["total"][nobody] = 0, 0.0
    totals = add_up([block_sums(scenario(), "one works", tables, BLOCK_SIZE)])
    n = {(place.metric, place.arm): total.n for place, total in totals.items() if place.design == 0}
    assert (n["bias_observed", 2], n["bias_observed", 3]) == (46, 50)
