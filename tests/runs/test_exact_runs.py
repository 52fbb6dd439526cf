"""Exact figures as a run: kept whole or not at all, and read when they are asked for again."""

import errno
import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from sps_adaptive import ExactResults, compute_exact, open_run, parse_scenario, simulate
from sps_adaptive.characteristics.exact import exact_tables
from sps_adaptive.errors import StoreError, UsageError
from sps_adaptive.runs import exact
from sps_adaptive.runs.run import default_folder
from tests.runs.fakes import FAKE, names

TEXT = """\
title: A drug against placebo
arms: {placebo: {control: true}, "drug, with a comma": {}}
population: {patients: 16, accrual: {kind: steady, patients_per_month: 2}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 1}}
analysis: {response: {kind: beta_binomial}}
looks: {kind: enrolled, first: 8}
allocation: {kind: equal}
decisions:
  - {kind: efficacy, margin: 0, probability: 0.95}
truths:
  "null": {response: {placebo: 0.25, "drug, with a comma": 0.25}}
  it works, too: {response: {placebo: 0.25, "drug, with a comma": 0.75}}
simulation: {replicates: 4000, seed: 7}
"""
WORKS = "it works, too"
FILES = {"manifest.json", "scenario.yaml", "characteristics.csv", "certificates.csv"}


def a_scenario(*changes):
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_scenario(text)


SCENARIO = a_scenario()


@pytest.fixture(scope="module")
def tables():
    return exact_tables(SCENARIO)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Exact figures in a folder. Not to be changed."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    return compute_exact(SCENARIO, output=folder, text=TEXT, command="sps-adaptive exact it.yaml")


@pytest.fixture
def counted(monkeypatch):
    """The truths of each computation, as they are asked for."""
    made, really = [], exact._tables

    def count(scenario, most_bytes):
        made.append(list(scenario.truths))
        return really(scenario, most_bytes)

    monkeypatch.setattr(exact, "_tables", count)
    return made


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def times(folder):
    return {name: (folder / name).stat().st_mtime_ns for name in names(folder)}


# ---------------------------------------------------------------------------------------- what is kept


def test_the_figures_are_those_of_the_engine(kept, tables):
    pd.testing.assert_frame_equal(kept.characteristics, tables.characteristics)
    pd.testing.assert_frame_equal(kept.certificates, tables.certificates)
    assert kept.truths == ("null", WORKS)
    assert kept.is_new
    assert kept.cost.states > 0
    assert kept.seconds > 0


def test_the_folder(kept):
    assert names(kept.folder) == FILES
    assert (kept.folder / "scenario.yaml").read_text() == TEXT
    assert len(pd.read_csv(kept.folder / "characteristics.csv")) == len(kept.characteristics)
    assert [path.name for path in kept.folder.parent.iterdir()] == ["run"]


def test_the_manifest_says_what_and_how(kept):
    manifest = manifest_of(kept.folder)
    assert manifest["kind"] == "exact"
    assert manifest["exact_engine"] == exact.EXACT_ENGINE
    assert manifest["scenario_digest"] == SCENARIO.digest()
    assert manifest["truths"] == {truth: {"digest": SCENARIO.truth_digest(truth)} for truth in SCENARIO.truths}
    assert set(manifest["predicted"]) == {"states", "bytes", "seconds"}
    (session,) = manifest["sessions"]
    assert session["command"] == "sps-adaptive exact it.yaml"
    assert session["started"] <= session["finished"]
    assert session["seconds"] == kept.seconds
    assert {"numpy", "numba", "python", "sps-adaptive"} <= set(session["versions"])


def test_what_is_opened_is_what_was_computed(kept):
    opened = open_run(kept.folder)
    assert isinstance(opened, ExactResults)
    assert not opened.is_new
    pd.testing.assert_frame_equal(opened.characteristics, kept.characteristics)
    pd.testing.assert_frame_equal(opened.certificates, kept.certificates)
    assert opened.scenario == SCENARIO
    assert (opened.truths, opened.cost, opened.seconds) == (kept.truths, kept.cost, kept.seconds)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, tables):
    monkeypatch.chdir(tmp_path)
    results = compute_exact(SCENARIO)
    assert results.folder is None
    assert list(tmp_path.iterdir()) == []
    pd.testing.assert_frame_equal(results.characteristics, tables.characteristics)
    assert results.save("later").folder == Path("later")
    opened = open_run("later")
    pd.testing.assert_frame_equal(opened.characteristics, tables.characteristics)
    assert opened.scenario.digest() == SCENARIO.digest()


def test_the_folder_it_is_given_where_none_is_named():
    simulated = default_folder(SCENARIO, "scenarios/ivig.yaml")
    assert exact.default_exact_folder(SCENARIO, "scenarios/ivig.yaml") == Path(f"{simulated}-exact")


# ------------------------------------------------------------------------------------ asking for it again


def test_the_same_again_is_read_and_nothing_is_written(tmp_path, counted):
    first = compute_exact(SCENARIO, output=tmp_path / "run", text=TEXT)
    before = times(tmp_path / "run")
    told = []
    again = compute_exact(SCENARIO, output=tmp_path / "run", text=TEXT, tell=told.append)
    assert len(counted) == 1
    assert told == []
    assert (first.is_new, again.is_new) == (True, False)
    assert times(tmp_path / "run") == before
    pd.testing.assert_frame_equal(again.characteristics, first.characteristics)


def test_neither_prose_nor_seed_nor_replicates_nor_engine_make_other_figures(tmp_path, counted):
    compute_exact(SCENARIO, output=tmp_path / "run", text=TEXT)
    changes = [("A drug", "One drug"), ("seed: 7", "seed: 8, engine: simulate"), ("4000", "10")]
    changed = a_scenario(*changes)
    text = TEXT
    for change in changes:
        text = text.replace(*change)
    assert not compute_exact(changed, output=tmp_path / "run", text=text).is_new
    assert (tmp_path / "run" / "scenario.yaml").read_text() == text
    assert open_run(tmp_path / "run").scenario.title == "One drug against placebo"


def test_its_size_is_told_before(tmp_path):
    told = []
    compute_exact(SCENARIO, tell=told.append)
    (words,) = told
    assert re.fullmatch(r"[\d,]+ states, \d+ MB, about 1 s", words)


def test_one_truth(tmp_path, counted):
    folder = tmp_path / "run"
    one = compute_exact(SCENARIO, truths=[WORKS], output=folder)
    assert one.truths == (WORKS,)
    alone = exact_tables(SCENARIO, [WORKS]).characteristics
    pd.testing.assert_frame_equal(one.characteristics, alone)
    everything = compute_exact(SCENARIO, output=folder)
    assert counted == [[WORKS], ["null", WORKS]]
    again = compute_exact(SCENARIO, truths=[WORKS], output=folder)
    assert len(counted) == 2, "all truths are there"
    pd.testing.assert_frame_equal(again.characteristics, alone)
    assert "same error" in set(everything.characteristics["design"])
    assert open_run(folder).truths == ("null", WORKS)


def test_asking_for_one_truth_does_not_lose_the_others(tmp_path, counted):
    compute_exact(SCENARIO, truths=["null"], output=tmp_path / "run")
    assert compute_exact(SCENARIO, truths=[WORKS], output=tmp_path / "run").truths == (WORKS,)
    assert open_run(tmp_path / "run").truths == ("null", WORKS)


def test_a_changed_truth_is_computed(tmp_path, counted):
    compute_exact(SCENARIO, output=tmp_path / "run")
    changed = a_scenario(("0.75", "0.7"))
    results = compute_exact(changed, output=tmp_path / "run")
    assert results.is_new
    pd.testing.assert_frame_equal(results.characteristics, exact_tables(changed).characteristics)
    assert open_run(tmp_path / "run").scenario == changed


def test_only_the_truths_asked_for_must_allow_it(tmp_path):
    drifting = a_scenario(("0.75", "{0: 0.75, 3: 0.5}"))
    with pytest.raises(UsageError, match="change with the month of enrolment"):
        compute_exact(drifting)
    assert compute_exact(drifting, truths=["null"]).truths == ("null",)


def test_figures_of_an_earlier_engine_are_computed_again(tmp_path, counted):
    folder = tmp_path / "run"
    compute_exact(SCENARIO, output=folder)
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | {"exact_engine": 0}))
    with pytest.raises(UsageError, match=r"another version of sps-adaptive \(exact engine 0, now"):
        open_run(folder)
    assert compute_exact(SCENARIO, output=folder).is_new
    assert open_run(folder).truths == ("null", WORKS)


# ----------------------------------------------------------------------------------- refusals and damage


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ([("kind: steady", "kind: poisson")], {}, "with poisson accrual and outcomes that come 1 months later"),
        ([], {"truths": ["nul"]}, "no truth named 'nul'"),
        ([], {"budget": (1e6, 60)}, "too large to compute exactly: .* and the budget is 1 MB and 60 s"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, changes, options, words):
    with pytest.raises(UsageError, match=words):
        compute_exact(a_scenario(*changes), output=tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_name_is_no_scenario():
    with pytest.raises(UsageError, match="takes a scenario, not the name of its file"):
        compute_exact("scenarios/rituximab.yaml")


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path, counted):
    folder = tmp_path / "run"
    compute_exact(SCENARIO, output=folder)
    before = times(folder)
    with pytest.raises(UsageError, match="holds a run of another scenario: 'A drug against placebo'") as caught:
        compute_exact(a_scenario(("patients: 16", "patients: 12")), output=folder)
    assert "--output" in caught.value.hint
    assert times(folder) == before
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("")
    with pytest.raises(UsageError, match="not empty and holds no run"):
        compute_exact(SCENARIO, output=tmp_path / "letters")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file is not a folder"):
        compute_exact(SCENARIO, output=tmp_path / "file")
    assert len(counted) == 1


def test_simulated_and_exact_figures_do_not_share_a_folder(tmp_path):
    simulate(SCENARIO, replicates=1, output=tmp_path / "simulated", work=FAKE)
    with pytest.raises(UsageError, match="holds a simulated run of this scenario"):
        compute_exact(SCENARIO, output=tmp_path / "simulated")
    compute_exact(SCENARIO, output=tmp_path / "exact")
    before = times(tmp_path / "exact")
    with pytest.raises(UsageError, match="holds exact figures of this scenario"):
        simulate(SCENARIO, replicates=1, output=tmp_path / "exact", work=FAKE)
    assert times(tmp_path / "exact") == before


@pytest.mark.parametrize("name", ["characteristics.csv", "certificates.csv"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_damage_is_told_and_mended(tmp_path, name, damage, counted):
    folder = tmp_path / "run"
    whole = compute_exact(SCENARIO, output=folder)
    path = folder / name
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        path.unlink()
    with pytest.raises(StoreError, match=f"{name} is not as it was written") as caught:
        open_run(folder)
    assert "compute it again" in caught.value.hint
    assert compute_exact(SCENARIO, output=folder).is_new
    pd.testing.assert_frame_equal(open_run(folder).characteristics, whole.characteristics)


def test_a_manifest_without_its_digests(tmp_path):
    folder = tmp_path / "run"
    compute_exact(SCENARIO, output=folder)
    manifest = {name: value for name, value in manifest_of(folder).items() if name != "files"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=r"manifest\.json is not as it was written"):
        open_run(folder)
    assert compute_exact(SCENARIO, output=folder).is_new


# ------------------------------------------------------------------------------------- complete or not there


def interrupting(monkeypatch, name, error):
    """Let the renaming of one file, or of the folder, fail."""
    replace = {"replace": os.replace, "rename": os.rename}

    def failing(how):
        def fail(old, new):
            if Path(new).name == name:
                raise error
            replace[how](old, new)

        return fail

    for how in replace:
        monkeypatch.setattr(os, how, failing(how))


@pytest.mark.parametrize("name", [*sorted(FILES), "run"])
@pytest.mark.parametrize(
    ("error", "told"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(errno.ENOSPC, "No space left"), StoreError)]
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_new_folder_is_complete_or_not_there(tmp_path, monkeypatch, name, error, told, empty):
    folder = tmp_path / "runs" / "run"
    if empty:
        folder.mkdir(parents=True)
        if name == "run":
            pytest.skip("it has its name already")
    with monkeypatch.context() as patched:
        interrupting(patched, name, error)
        with pytest.raises(told) as caught:
            compute_exact(SCENARIO, output=folder)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []
    assert folder.exists() == empty
    if told is StoreError:
        assert "is full" in caught.value.message
        assert "blocks" not in caught.value.hint
    assert compute_exact(SCENARIO, output=folder).is_new
    assert names(folder) == FILES


def test_an_interruption_of_the_work_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(exact, "_tables", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compute_exact(SCENARIO, output=tmp_path / "runs" / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_figures_that_are_replaced_are_old_or_new_or_known_to_be_damaged(tmp_path, monkeypatch, name):
    folder = tmp_path / "run"
    compute_exact(SCENARIO, truths=["null"], output=folder)
    (folder / "notes.txt").write_text("mine")
    with monkeypatch.context() as patched:
        interrupting(patched, name, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            compute_exact(SCENARIO, output=folder)
    assert names(folder) == FILES | {"notes.txt"}
    try:
        assert open_run(folder).truths == ("null",)
    except StoreError as error:
        assert "is not as it was written" in error.message
    whole = compute_exact(SCENARIO, output=folder)
    pd.testing.assert_frame_equal(open_run(folder).characteristics, whole.characteristics)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be written")
def test_a_place_that_may_not_be_written_is_refused_before_the_work(tmp_path, counted):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="cannot be written") as caught:
        compute_exact(SCENARIO, output=tmp_path / "locked" / "run")
    assert "--output" in caught.value.hint
    assert counted == []


def test_a_place_that_turns_out_not_to_be_writable(tmp_path, counted, monkeypatch):
    def refused(*_args, **_options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    with pytest.raises(StoreError, match="runs/run cannot be written: Read-only file system") as caught:
        compute_exact(SCENARIO, output=tmp_path / "runs" / "run")
    assert "--output" in caught.value.hint
    assert counted == []


def test_what_may_only_be_read_is_read(tmp_path):
    folder = tmp_path / "run"
    compute_exact(SCENARIO, output=folder, text=TEXT)
    folder.chmod(0o500)
    try:
        assert not compute_exact(SCENARIO, output=folder, text=TEXT).is_new
        assert open_run(folder).truths == ("null", WORKS)
    finally:
        folder.chmod(0o700)
