import numpy as np
import pyarrow as pa
import pytest

from sps_adaptive.runs.blocks import (
    DamagedPartError,
    Unit,
    from_arrow,
    from_bytes,
    n_blocks,
    n_kept,
    names_of,
    part_name,
    rows_of,
    stems,
    to_arrow,
    to_bytes,
    units_needed,
)
from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.tables import ALWAYS, DICTIONARY
from tests.runs.fakes import a_scenario, fake_block

SCENARIO = a_scenario()
BLOCK = fake_block(SCENARIO, "it works", 3)
NAMES = names_of(SCENARIO, "it works")


@pytest.mark.parametrize("table", ALWAYS)
def test_what_is_written_is_read_again(table):
    part = from_bytes(to_bytes(to_arrow(table, BLOCK[table], NAMES)))
    columns = from_arrow(table, part, SCENARIO, "it works")
    assert list(columns) == [column.name for column in DICTIONARY[table]]
    for name, values in BLOCK[table].items():
        np.testing.assert_array_equal(columns[name], values, strict=False)


@pytest.mark.parametrize("table", ALWAYS)
def test_types_are_those_of_the_data_dictionary_and_categories_have_names(table):
    frame = to_arrow(table, BLOCK[table], NAMES).to_pandas()
    assert {column.name: column.dtype for column in DICTIONARY[table]} == frame.dtypes.astype(str).to_dict()
    for column in frame.select_dtypes("category"):
        assert tuple(frame[column].cat.categories) == NAMES[column]
    assert set(frame["truth"]) == {"it works"}


def test_an_interval_that_does_not_exist_is_null():
    part = to_arrow("arms", BLOCK["arms"], NAMES)
    at_looks = int((~BLOCK["arms"]["is_final"]).sum())
    assert at_looks > 0
    nulls = {name: part[name].null_count for name in part.column_names}
    assert {name: count for name, count in nulls.items() if count} == dict.fromkeys(
        ["effect_lower", "effect_upper"], at_looks
    )


def test_the_same_table_is_the_same_bytes():
    once, again = (to_bytes(to_arrow("arms", fake_block(SCENARIO, "null", 0)["arms"], NAMES)) for _ in range(2))
    assert once == again


def test_a_column_that_is_missing_or_unknown_is_refused():
    columns = {("surplus" if name == "total" else name): values for name, values in BLOCK["trials"].items()}
    with pytest.raises(ValueError, match=r"differs from the data dictionary in surplus, total"):
        to_arrow("trials", columns, NAMES)


def test_a_number_that_does_not_fit_is_refused():
    columns = BLOCK["trials"] | {"stop_look": np.full(2 * BLOCK_SIZE, 40_000)}
    with pytest.raises(ValueError, match="40000"):
        to_arrow("trials", columns, NAMES)


def test_a_code_without_a_name_is_refused():
    columns = BLOCK["trials"] | {"selected_arm": np.full(2 * BLOCK_SIZE, 4)}
    with pytest.raises(pa.ArrowException):
        to_arrow("trials", columns, NAMES)


@pytest.mark.parametrize("damage", ["cut short", "one byte changed", "empty", "something else"])
def test_a_damaged_file_is_recognised(damage):
    content = to_bytes(to_arrow("trials", BLOCK["trials"], NAMES))
    middle = len(content) // 2
    damaged = {
        "cut short": content[:middle],
        "one byte changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
        "something else": b"truth,design\nnull,adaptive\n" * 100,
    }[damage]
    with pytest.raises(DamagedPartError):
        from_bytes(damaged)


def test_a_part_with_other_arms_is_not_taken_for_this_scenario():
    part = to_arrow("arms", BLOCK["arms"], NAMES)
    with pytest.raises(DamagedPartError, match="other names"):
        from_arrow("arms", part, a_scenario("high dose", "middle dose"), "it works")
    with pytest.raises(DamagedPartError, match="columns"):
        from_arrow("looks", part, SCENARIO, "it works")


def test_the_rows_of_a_design_and_of_the_first_replicates():
    frame = to_arrow("arms", BLOCK["arms"], NAMES).to_pandas()
    for design, name in enumerate(["adaptive", "fixed"]):
        rows = rows_of(to_arrow("arms", BLOCK["arms"], NAMES), design, 17).to_pandas()
        expected = frame[(frame["design"] == name) & (frame["replicate"] < 3 * BLOCK_SIZE + 17)]
        assert len(rows) > 0
        assert rows.equals(expected.reset_index(drop=True))


def test_a_request_is_a_list_of_units_block_by_block():
    assert units_needed(["a", "b"], BLOCK_SIZE + 1) == [Unit("a", 0), Unit("b", 0), Unit("a", 1), Unit("b", 1)]
    assert [n_blocks(n) for n in (1, BLOCK_SIZE, BLOCK_SIZE + 1)] == [1, 1, 2]
    assert [n_kept(block, BLOCK_SIZE + 1) for block in range(3)] == [BLOCK_SIZE, 1, 0]


def test_file_names_are_readable_and_never_shared():
    values = "{response: {placebo: 0.25, low dose: 0.5, high dose: 0.75}}"
    scenario = a_scenario("  it works:", f"  it (works): {values}\n  Ωμέγα: {values}\n  it works:")
    found = stems(scenario)
    assert len({stem.lower() for stem in found.values()}) == 4
    assert found["it works"][:9] == found["it (works)"][:9] == "it-works-"
    assert found["Ωμέγα"].startswith("truth-")
    assert all(stem.isascii() for stem in found.values())
    assert part_name("it-works-0a1b2c3d", 12) == "it-works-0a1b2c3d-000012.parquet"


def test_file_names_follow_the_values_of_the_truth_and_the_seed():
    names = stems(SCENARIO)
    changed = stems(a_scenario("high dose: 0.75", "high dose: 0.8"))
    assert changed["it works"] != names["it works"]
    assert changed["null"] == names["null"]
    assert stems(a_scenario("seed: 7", "seed: 8"))["null"] != names["null"]
