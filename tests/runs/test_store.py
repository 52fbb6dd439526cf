import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sps_adaptive.errors import StoreError, UsageError
from sps_adaptive.runs.blocks import DamagedPartError, part_name
from sps_adaptive.runs.store import TABLES, RunStore
from tests.runs.fakes import names

PARTS = {table: b"PAR1" + table.encode() + (0).to_bytes(4, "little") + b"PAR1" for table in TABLES}


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "run")


def refusing(code, ends_with=""):
    """What takes the place of `os.replace` on a disk that refuses files of some name."""
    replace = os.replace

    def replaced(old, new):
        if str(new).endswith(ends_with):
            raise OSError(code, os.strerror(code), str(new))
        replace(old, new)

    return replaced


def test_a_folder_that_is_not_there_or_empty_is_new(store):
    assert store.is_new()
    store.folder.mkdir()
    assert store.is_new()
    (store.folder / ".manifest.json.123.tmp").touch()
    assert store.is_new(), "a run that was killed at its very beginning may begin again"


def test_a_folder_with_something_else_in_it_is_refused(store):
    store.folder.mkdir()
    (store.folder / "thesis.docx").touch()
    with pytest.raises(UsageError, match="is not empty and holds no run") as caught:
        store.is_new()
    assert caught.value.exit_code == 2
    assert "--output" in caught.value.hint


def test_a_file_in_place_of_the_folder_is_refused(store):
    store.folder.touch()
    with pytest.raises(StoreError, match="is not a folder") as caught:
        store.is_new()
    assert caught.value.exit_code == 1
    with pytest.raises(StoreError, match="is not a folder"):
        RunStore(store.folder / "within").write_manifest({})


def test_a_block_is_there_when_all_its_tables_are(store):
    assert not store.is_begun("null-0a", 0)
    store.write_block("null-0a", 0, PARTS)
    assert store.is_begun("null-0a", 0)
    assert store.is_sound("null-0a", 0)
    assert names(store.folder) == {f"{table}/null-0a-000000.parquet" for table in TABLES}
    assert store.read_part("arms", "null-0a", 0) == PARTS["arms"]
    (store.folder / "looks" / "null-0a-000000.parquet").unlink()
    assert not store.is_sound("null-0a", 0)
    with pytest.raises(DamagedPartError):
        store.read_part("looks", "null-0a", 0)


def test_trials_are_written_last_and_removed_first(store, monkeypatch):
    order = []
    replace, unlink = os.replace, Path.unlink
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append(Path(new).parent.name), replace(old, new)))
    monkeypatch.setattr(Path, "unlink", lambda path, **k: (order.append("-" + path.parent.name), unlink(path, **k)))
    store.write_block("null-0a", 0, PARTS)
    store.remove_block("null-0a", 0)
    assert order[4] == "trials"
    assert order[5] == "-trials"


@pytest.mark.parametrize("length", [0, 3, 7, 17])
def test_a_part_that_was_cut_short_is_not_sound(store, length):
    store.write_block("null-0a", 0, PARTS)
    path = store.folder / "trials" / "null-0a-000000.parquet"
    path.write_bytes(path.read_bytes()[:length])
    assert not store.is_sound("null-0a", 0)
    path.write_bytes(bytes(5000))
    assert not store.is_sound("null-0a", 0)


def test_blocks_are_counted_up_to_a_gap(store):
    for block in (0, 1, 3):
        store.write_block("null-0a", block, PARTS)
    assert store.n_blocks("null-0a") == 2
    assert store.n_blocks("other-0b") == 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, r"^the disk of .* is full: about 0\.\d MB are needed$"),
        (errno.EDQUOT, r"^the disk of .* has no quota left: about"),
        (errno.EROFS, r"cannot be written: Read-only file system$"),
        (errno.EACCES, r"cannot be written: Permission denied$"),
        (errno.EIO, r"cannot be written: Input/output error$"),
    ],
)
def test_a_disk_that_refuses_leaves_no_part_of_the_block_behind(store, monkeypatch, code, words):
    store.write_block("null-0a", 0, PARTS)
    before = names(store.folder)
    monkeypatch.setattr(os, "replace", refusing(code, os.path.join("trials", part_name("null-0a", 1))))
    with pytest.raises(StoreError) as caught:
        store.write_block("null-0a", 1, {table: content * 2000 for table, content in PARTS.items()}, 4)
    assert names(store.folder) == before
    assert caught.value.exit_code == 1
    assert "\n" not in caught.value.message
    assert re.search(words, caught.value.message)
    assert store.is_sound("null-0a", 0)


def test_a_full_disk_says_how_much_the_whole_run_needs(store, monkeypatch):
    monkeypatch.setattr(os, "replace", refusing(errno.ENOSPC))
    parts = dict.fromkeys(TABLES, bytes(1_000_000))
    with pytest.raises(StoreError, match=r"about 50\.0 MB are needed"):
        store.write_block("null-0a", 1, parts, still_to_come=9)


def test_a_write_that_is_interrupted_leaves_nothing_behind(store, monkeypatch):
    def interrupted(old, new):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.write_block("null-0a", 0, PARTS)
    assert names(store.folder) == set()


def test_a_disk_that_is_really_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = sys.platform == "linux" and hasattr(os, "geteuid") and os.geteuid() == 0
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("only who may mount a small disk can fill it")
    try:
        store = RunStore(disk / "run")
        parts = dict.fromkeys(TABLES, bytes(30_000))
        store.write_block("null-0a", 0, parts)
        with pytest.raises(StoreError, match=r"is full: about 0\.1 MB are needed"):
            for block in range(1, 5):
                store.write_block("null-0a", block, parts)
        present = names(store.folder)
        assert {name for name in present if "000000" in name} == {f"{t}/null-0a-000000.parquet" for t in TABLES}
        assert not any(name.endswith(".tmp") for name in present)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_tidying_clears_up_after_a_run_that_was_killed(store):
    store.write_block("null-0a", 0, PARTS)
    expected = names(store.folder)
    (store.folder / ".manifest.json.99.tmp").touch()
    (store.folder / "trials" / ".null-0a-000001.parquet.99.tmp").touch()
    (store.folder / "arms" / "null-0a-000001.parquet").touch()
    store.tidy(["null-0a"])
    assert names(store.folder) == expected


def test_what_belongs_to_a_lost_truth_is_put_aside_and_comes_back(store):
    for stem in ("null-0a", "works-0b"):
        store.write_block(stem, 0, PARTS)
    expected = names(store.folder)
    store.tidy(["null-0a"])
    aside = {f"{table}/_works-0b-000000.parquet" for table in TABLES}
    assert names(store.folder) == {name for name in expected if "null" in name} | aside
    store.tidy(["null-0a", "works-0b"])
    assert names(store.folder) == expected


def test_tidying_a_tidy_folder_writes_nothing(store, monkeypatch):
    store.write_block("null-0a", 0, PARTS)
    monkeypatch.setattr(os, "replace", refusing(errno.EROFS))
    store.tidy(["null-0a"])


def test_texts_are_written_once(store, monkeypatch):
    store.write_text("note.txt", "Übung\r\n")
    assert store.read_text("note.txt") == "Übung\r\n"
    monkeypatch.setattr(os, "replace", refusing(errno.EROFS))
    store.write_text("note.txt", "Übung\r\n")
    with pytest.raises(StoreError):
        store.write_text("note.txt", "changed")


def test_a_damaged_manifest_is_told(store):
    store.write_text("manifest.json", '{"format": ')
    with pytest.raises(StoreError, match="is damaged"):
        store.manifest()


def test_a_folder_tidied_by_another_run_meanwhile_is_no_reason_to_fail(store, monkeypatch):
    replace, calls = os.replace, []

    def hindered(old, new):
        calls.append(new)
        if len(calls) == 1:
            os.unlink(old)
        replace(old, new)

    monkeypatch.setattr(os, "replace", hindered)
    store.write_text("note.txt", "x")
    assert store.read_text("note.txt") == "x"
