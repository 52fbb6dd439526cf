import errno
import json
import os
import re
import subprocess
import sys
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import pytest

import sps_adaptive
from sps_adaptive.errors import DesignError, SimulationError, StoreError, UsageError
from sps_adaptive.runs.run import default_folder, open_run, simulate
from sps_adaptive.scenario import BLOCK_SIZE, ENGINE
from sps_adaptive.tables import ALWAYS, DICTIONARY
from tests.runs.fakes import (
    FAKE,
    TEXT,
    a_scenario,
    contents,
    dying_block,
    fake_block,
    names,
    raising_block,
    with_block,
)

SCENARIO = a_scenario()
run = partial(simulate, work=FAKE)


def must_not_run(scenario, truth, block):
    raise AssertionError("a block was computed although it was there")


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


# ------------------------------------------------------------------------------------ what a run holds


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of two truths and 4000 replicates, that is two blocks each. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(SCENARIO, output=folder, text=TEXT, command="sps-adaptive simulate it.yaml")
    return folder


def test_the_folder_of_a_run(finished):
    parts = {name for name in names(finished) if name.endswith(".parquet")}
    assert names(finished) - parts == {"manifest.json", "scenario.yaml", "DICTIONARY.md"}
    for table in (*ALWAYS, "sums"):
        of_table = sorted(name for name in parts if name.startswith(table))
        assert len(of_table) == 4
        assert re.fullmatch(rf"{table}/it-works-[0-9a-f]{{8}}-000000\.parquet", of_table[0])
    assert (finished / "scenario.yaml").read_text() == TEXT


@pytest.mark.parametrize("table", ALWAYS)
def test_pandas_reads_a_table_in_one_line(finished, table):
    frame = pd.read_parquet(finished / table)
    assert list(frame) == [column.name for column in DICTIONARY[table]]
    assert {column.name: column.dtype for column in DICTIONARY[table]} == frame.dtypes.astype(str).to_dict()
    assert set(frame["truth"]) == {"null", "it works"}
    if table == "trials":
        assert len(frame) == 2 * 2 * 4000


def test_the_manifest_says_how_the_run_came_about(finished):
    manifest = manifest_of(finished)
    assert manifest["engine"] == ENGINE
    assert manifest["block_size"] == BLOCK_SIZE
    assert manifest["scenario_digest"] == SCENARIO.digest()
    assert (manifest["seed"], manifest["replicates"]) == (7, 4000)
    assert list(manifest["truths"]) == ["null", "it works"]
    truth = manifest["truths"]["it works"]
    assert truth["digest"] == SCENARIO.truth_digest("it works")
    assert truth["replicates"] == 4000
    assert f"trials/{truth['parts']}-000001.parquet" in names(finished)
    (session,) = manifest["sessions"]
    assert session["command"] == "sps-adaptive simulate it.yaml"
    assert (session["blocks"], session["workers"]) == (4, 1)
    assert session["started"] <= session["finished"]
    assert session["seconds"] >= 0
    assert session["versions"]["numpy"] == np.__version__
    assert session["versions"]["sps-adaptive"] == sps_adaptive.__version__
    assert {"python", "numba", "pandas", "pyarrow"} <= set(session["versions"])


def test_the_data_dictionary_lies_beside_the_tables(finished):
    text = (finished / "DICTIONARY.md").read_text()
    for table, columns in DICTIONARY.items():
        section = text.partition(f"## {table}\n")[2].partition("\n## ")[0]
        assert [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")] == [
            column.name for column in columns
        ]


@pytest.mark.parametrize("table", ALWAYS)
def test_tables_are_sorted_by_truth_design_replicate_look_and_arm(finished, table):
    frame = getattr(open_run(finished, work=FAKE), table)
    assert list(frame["truth"].unique()) == ["null", "it works"]
    for column in frame.select_dtypes("category"):
        frame[column] = frame[column].cat.codes
    keys = [name for name in ("truth", "design", "replicate", "look", "arm") if name in frame]
    assert frame[keys].equals(frame[keys].sort_values(keys, kind="stable"))
    assert not frame[keys].duplicated().any()


def test_categories_keep_names_that_do_not_occur_and_the_order_of_the_scenario(finished):
    trials = open_run(finished, work=FAKE).trials
    assert tuple(trials["selected_arm"].cat.categories) == ("none", "placebo", "low dose", "high dose")
    assert tuple(trials["truth"].cat.categories) == ("null", "it works")
    assert tuple(trials["design"].cat.categories) == ("adaptive", "fixed")


def test_the_rows_are_those_of_the_blocks(finished):
    arms = open_run(finished, work=FAKE).arms
    block = fake_block(SCENARIO, "it works", 1)["arms"]
    rows = arms[(arms["truth"] == "it works") & (arms["design"] == "fixed") & (arms["replicate"] >= BLOCK_SIZE)]
    for name in ("effect_lower", "total", "n_known", "is_claimed"):
        np.testing.assert_array_equal(rows[name], block[name][block["design"] == 1])


# ------------------------------------------------------------------------- the same whatever way it ran


def test_the_number_of_workers_changes_no_byte(tmp_path, finished):
    run(SCENARIO, workers=2, output=tmp_path / "two")
    assert contents(tmp_path / "two") == contents(finished)
    assert manifest_of(tmp_path / "two")["sessions"][0]["workers"] == 2


def test_any_executor_will_do(tmp_path, finished):
    with ThreadPoolExecutor(2) as executor:
        run(SCENARIO, workers=2, executor=executor, output=tmp_path / "threads")
        assert executor.submit(int, "1").result() == 1
    assert contents(tmp_path / "threads") == contents(finished)


def test_the_same_request_again_computes_and_writes_nothing(tmp_path):
    first = run(SCENARIO, output=tmp_path / "run")
    before = {name: (tmp_path / "run" / name).stat().st_mtime_ns for name in names(tmp_path / "run")}
    again = simulate(SCENARIO, output=tmp_path / "run", work=with_block(must_not_run))
    assert (first.new_blocks, again.new_blocks) == (4, 0)
    assert before == {name: (tmp_path / "run" / name).stat().st_mtime_ns for name in names(tmp_path / "run")}
    assert again.trials.equals(first.trials)


def test_more_replicates_only_add(tmp_path):
    folder = tmp_path / "run"
    few = run(SCENARIO, replicates=1500, output=folder)
    assert few.trials["replicate"].max() == 1499
    before = {name: (folder / name).stat().st_mtime_ns for name in contents(folder)}
    many = run(SCENARIO, replicates=4500, output=folder)
    assert (few.new_blocks, many.new_blocks) == (2, 4)
    assert before == {name: (folder / name).stat().st_mtime_ns for name in before}
    for table in ALWAYS:
        frame = getattr(many, table)
        assert frame["replicate"].max() == 4499
        earlier = frame[frame["replicate"] < 1500].reset_index(drop=True)
        assert earlier.equals(getattr(few, table))
    assert [session["blocks"] for session in manifest_of(folder)["sessions"]] == [2, 4]


def test_fewer_replicates_than_are_there(finished):
    results = run(SCENARIO, replicates=10, output=finished)
    assert len(results.trials) == 2 * 2 * 10
    assert results.replicates == 10
    run(SCENARIO, output=finished, text=TEXT)


def test_another_seed_gives_other_trials_and_needs_another_folder(tmp_path, finished):
    other = run(SCENARIO, seed=8, replicates=5)
    assert not other.trials["total"].equals(run(SCENARIO, replicates=5, output=tmp_path / "x").trials["total"])
    with pytest.raises(UsageError, match="has the seed 7, not 8") as caught:
        run(SCENARIO, seed=8, output=finished)
    assert "--output" in caught.value.hint


def test_one_truth_only(tmp_path):
    results = run(SCENARIO, truths=["it works"], output=tmp_path / "run")
    assert results.new_blocks == 2
    assert set(results.trials["truth"]) == {"it works"}
    assert tuple(results.trials["truth"].cat.categories) == ("it works",)
    assert {truth: of["replicates"] for truth, of in manifest_of(tmp_path / "run")["truths"].items()} == {
        "null": 0,
        "it works": 4000,
    }
    assert open_run(tmp_path / "run", work=FAKE).truths == ("it works",)
    assert run(SCENARIO, output=tmp_path / "run").new_blocks == 2


def test_a_changed_truth_is_computed_and_the_old_one_put_aside(tmp_path):
    folder = tmp_path / "run"
    before = run(SCENARIO, output=folder)
    first = contents(folder)
    changed = run(a_scenario("high dose: 0.75", "high dose: 0.7"), output=folder)
    assert changed.new_blocks == 2
    assert len(pd.read_parquet(folder / "trials")) == 2 * 2 * 4000, "nothing of the old truth among the new"
    back = run(SCENARIO, output=folder)
    assert back.new_blocks == 0
    assert {name: content for name, content in contents(folder).items() if "/_" not in name} == first
    assert back.trials.equals(before.trials)


def test_prose_and_replicates_of_the_file_do_not_make_another_scenario(tmp_path):
    run(SCENARIO, output=tmp_path / "run", text=TEXT)
    text = TEXT.replace("A drug against placebo", "Two doses against placebo").replace("4000", "2000")
    results = run(a_scenario(TEXT, text), output=tmp_path / "run", text=text)
    assert results.new_blocks == 0
    assert (tmp_path / "run" / "scenario.yaml").read_text() == text
    assert results.replicates == 2000
    assert open_run(tmp_path / "run", work=FAKE).replicates == 4000  # asking for fewer does not make a run smaller


# ---------------------------------------------------------------------------------- refusals and damage


def test_a_folder_with_another_scenario_is_refused_and_left_alone(tmp_path):
    run(SCENARIO, replicates=1, output=tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in names(tmp_path / "run")}
    with pytest.raises(UsageError, match="holds a run of another scenario: 'A drug against placebo'") as caught:
        run(a_scenario("patients: 24", "patients: 36"), output=tmp_path / "run")
    assert caught.value.exit_code == 2
    assert "--output" in caught.value.hint
    assert before == {name: (tmp_path / "run" / name).read_bytes() for name in names(tmp_path / "run")}


def test_a_run_of_another_engine_is_refused(tmp_path):
    folder = tmp_path / "run"
    run(SCENARIO, replicates=1, output=folder)
    manifest = manifest_of(folder) | {"engine": ENGINE + 1, "scenario_digest": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=f"another version of sps-adaptive \\(engine {ENGINE + 1}, now {ENGINE}\\)"):
        run(SCENARIO, output=folder)
    with pytest.raises(UsageError, match="another version"):
        open_run(folder, work=FAKE)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"replicates": 0}, "replicates"),
        ({"seed": -1}, "seed"),
        ({"workers": 0}, "workers"),
        ({"truths": ["nul"]}, "no truth named 'nul'"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path, request_, words):
    with pytest.raises(UsageError, match=words):
        run(SCENARIO, output=tmp_path / "run", **request_)
    assert not (tmp_path / "run").exists()


def test_a_design_that_cannot_be_is_refused_before_anything_is_written(tmp_path):
    scenario = SCENARIO.model_copy(update={"analysis": {}})
    with pytest.raises(DesignError):
        run(scenario, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_block_that_fails_is_named_and_the_others_are_kept(tmp_path):
    with pytest.raises(SimulationError) as caught:
        simulate(SCENARIO, output=tmp_path / "run", work=with_block(raising_block, "it works", 1))
    message = "block 1 of truth 'it works' failed with the seed 7: FloatingPointError: a share of -0.1"
    assert caught.value.message == message
    assert "2000 to 3999" in caught.value.hint
    assert "in raising_block" in caught.value.__notes__[0]
    assert run(SCENARIO, output=tmp_path / "run").new_blocks == 1


def test_a_worker_that_dies_is_replaced(tmp_path, finished):
    work = with_block(dying_block, str(tmp_path), 1, "it works", 0)
    assert simulate(SCENARIO, workers=2, output=tmp_path / "run", work=work).new_blocks == 4
    assert contents(tmp_path / "run") == contents(finished)


class Dead(Executor):
    """Breaks when a task is submitted, as a pool does whose processes are gone."""

    def submit(self, fn, /, *args, **kwargs):
        raise BrokenExecutor


def test_a_block_whose_worker_dies_twice_is_named(tmp_path):
    with pytest.raises(SimulationError, match=r"^block 0 of truth 'null' failed .*: its worker died twice"):
        run(SCENARIO, executor=Dead(), output=tmp_path / "run")


def test_a_disk_that_fills_up_keeps_the_blocks_done_so_far(tmp_path, monkeypatch, finished):
    replace = os.replace

    def full(old, new):
        if str(new).endswith("000001.parquet") and "it-works" in str(new):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(old, new)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(StoreError, match=r"is full: about \d+\.\d MB are needed"):
            run(SCENARIO, output=tmp_path / "run")
    assert not [name for name in names(tmp_path / "run") if name.endswith(".tmp")]
    assert run(SCENARIO, output=tmp_path / "run").new_blocks == 1
    assert contents(tmp_path / "run") == contents(finished)


@pytest.mark.parametrize("table", ["trials", "looks", "arms"])
def test_a_part_that_was_cut_short_is_computed_again(tmp_path, table, finished):
    folder, told = tmp_path / "run", []
    run(SCENARIO, output=folder)
    part = sorted((folder / table).iterdir())[1]
    part.write_bytes(part.read_bytes()[:1000])
    results = run(SCENARIO, output=folder, warn=told.append)
    assert results.new_blocks == 1
    assert told == ["block 1 of truth 'it works' is damaged and is computed again"]
    assert contents(folder) == contents(finished)


def test_a_part_with_a_wrong_byte_is_computed_again_when_it_is_read(tmp_path, finished):
    folder, told = tmp_path / "run", []
    run(SCENARIO, output=folder)
    part = sorted((folder / "arms").iterdir())[3]
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 4
    part.write_bytes(content)
    results = run(SCENARIO, output=folder, warn=told.append)
    assert (results.new_blocks, told) == (0, [])
    assert results.arms.equals(open_run(finished, work=FAKE).arms)
    assert len(told) == 1
    assert told[0].startswith("block 1 of truth 'null' is damaged and is computed again: ")
    assert contents(folder) == contents(finished)


def test_damage_is_a_python_warning_where_nobody_else_is_told(tmp_path):
    run(SCENARIO, replicates=1, output=tmp_path / "run")
    for part in (tmp_path / "run" / "trials").glob("null*"):
        part.write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="block 0 of truth 'null' is damaged"):
        run(SCENARIO, replicates=1, output=tmp_path / "run")


# ------------------------------------------------------------------------------- results, characteristics


def durations(results):
    """What the fake characteristics are, computed from the whole table."""
    groups = results.trials.groupby(["truth", "design"], observed=True, sort=False)["duration_months"]
    return groups.agg(["size", "sum"])


@pytest.mark.parametrize("replicates", [1, 2000, 3100, 4000])
def test_characteristics_are_of_the_replicates_that_were_asked_for(replicates, tmp_path):
    results = run(SCENARIO, replicates=replicates, output=tmp_path / "run")
    assert list(results.characteristics["n"]) == [replicates] * 4
    np.testing.assert_allclose(results.characteristics["s1"], durations(results)["sum"], rtol=1e-12)


def test_sums_of_whole_blocks_are_read_not_made(tmp_path):
    def must_not_sum(*_):
        raise AssertionError

    first = run(SCENARIO, output=tmp_path / "run").characteristics
    again = simulate(SCENARIO, output=tmp_path / "run", work=FAKE._replace(sums=must_not_sum)).characteristics
    assert again.equals(first)


@pytest.mark.parametrize("spoil", ["another version", "missing", "cut short"])
def test_sums_that_cannot_be_used_are_made_again_from_the_tables(tmp_path, spoil):
    folder = tmp_path / "run"
    first = run(SCENARIO, output=folder).characteristics
    before = contents(folder)
    work = with_block(must_not_run)
    part = sorted((folder / "sums").iterdir())[0]
    if spoil == "another version":
        work = work._replace(sums_version=2)
    elif spoil == "missing":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-1])
    again = simulate(SCENARIO, output=folder, work=work).characteristics
    assert again.equals(first)
    assert (contents(folder) == before) == (spoil != "another version")
    assert simulate(SCENARIO, output=folder, work=work._replace(sums=None)).characteristics.equals(first)


def test_characteristics_are_saved_beside_the_tables(tmp_path):
    results = run(SCENARIO, replicates=10, output=tmp_path / "run")
    path = results.save_characteristics()
    assert path == tmp_path / "run" / "characteristics.csv"
    read = pd.read_csv(path, keep_default_na=False)  # a truth may be called null
    pd.testing.assert_frame_equal(read, results.characteristics, check_dtype=False)


def test_a_run_is_opened_again_with_its_seed_and_replicates(tmp_path):
    results = run(SCENARIO, replicates=2500, seed=11, output=tmp_path / "run", text=TEXT)
    opened = open_run(tmp_path / "run", work=with_block(must_not_run))
    assert opened.scenario == results.scenario
    assert (opened.replicates, opened.truths, opened.new_blocks) == (2500, ("null", "it works"), 0)
    assert opened.trials.equals(results.trials)
    assert opened.characteristics.equals(results.characteristics)


def test_a_run_of_a_scenario_made_in_python_is_opened_again(tmp_path):
    results = run(SCENARIO, replicates=3, output=tmp_path / "run")
    assert open_run(tmp_path / "run", work=FAKE).scenario == results.scenario


def test_an_unfinished_run_is_opened_with_what_every_truth_has(tmp_path):
    with pytest.raises(SimulationError):
        simulate(SCENARIO, replicates=6000, output=tmp_path / "run", work=with_block(raising_block, "it works", 1))
    opened = open_run(tmp_path / "run", work=FAKE)
    assert opened.replicates == 2000
    assert len(opened.trials) == 2 * 2 * 2000


def test_a_run_without_a_block_and_a_folder_without_a_run_are_refused(tmp_path):
    with pytest.raises(SimulationError):
        simulate(SCENARIO, output=tmp_path / "run", work=with_block(raising_block, "null", 0))
    with pytest.raises(UsageError, match="no finished block"):
        open_run(tmp_path / "run", work=FAKE)
    with pytest.raises(UsageError, match="there is no folder"):
        open_run(tmp_path / "elsewhere", work=FAKE)


def test_without_a_folder_the_files_live_as_long_as_the_results():
    results = run(SCENARIO, replicates=1)
    folder = results.folder
    assert len(results.trials) == 4
    assert folder.is_dir()
    del results
    assert not folder.exists()


def test_without_a_folder_nothing_is_left_when_it_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SimulationError):
        simulate(SCENARIO, work=with_block(raising_block, "null", 0))
    assert list(tmp_path.iterdir()) == []


def test_progress_is_told_at_the_start_and_after_each_block(tmp_path):
    told = []
    run(SCENARIO, replicates=2100, output=tmp_path / "run", progress=lambda *at: told.append(at))
    assert told == [(0, 8400), (4000, 8400), (8000, 8400), (8200, 8400), (8400, 8400)]
    told.clear()
    run(SCENARIO, replicates=4100, output=tmp_path / "run", progress=lambda *at: told.append(at))
    assert told == [(16000, 16400), (16200, 16400), (16400, 16400)]


def test_the_default_folder_is_named_after_file_and_digest():
    folder = default_folder(SCENARIO, "scenarios/ivig.yaml")
    assert folder.as_posix() == f"runs/ivig-{SCENARIO.digest()[:8]}"
    assert default_folder(SCENARIO.with_simulation(seed=8), "ivig.yaml") != folder
    assert default_folder(SCENARIO.with_simulation(replicates=8), "scenarios/ivig.yaml") == folder


def test_importing_the_runner_is_cheap():
    code = "import sys, sps_adaptive.runs.run; print({'pandas', 'pyarrow', 'numba', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
