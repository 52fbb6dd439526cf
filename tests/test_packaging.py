"""The files that make an installation the same everywhere."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import sps_adaptive

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
IN_DEV_LOCK = ["test", "dev", "notebooks"]


def names_required(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {normalised(name.group()) for name in names if name}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, list[str]]:
    """Each pinned name, with its entries: `name==version ; marker`, hashes included."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(normalised(re.split(r"==|\[", entry)[0]), []).append(entry)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock):
    text = (ROOT / lock).read_text(encoding="utf-8").lower()
    for word in ("http", "index-url", "find-links", "file:", " @ "):
        assert word not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_of_a_lock_is_one_version_with_hashes(lock):
    for entries in pins(lock).values():
        for entry in entries:
            assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^\s*]+ ", entry)
            assert "--hash=sha256:" in entry


@pytest.mark.parametrize("lock", LOCKS)
def test_every_core_dependency_is_locked(lock):
    assert names_required(PROJECT["dependencies"]) <= set(pins(lock))


@pytest.mark.parametrize("extra", IN_DEV_LOCK)
def test_every_tool_is_locked(extra):
    assert names_required(PROJECT["optional-dependencies"][extra]) <= set(pins("requirements-dev.lock"))


def test_the_two_locks_agree():
    dev = pins("requirements-dev.lock")
    for name, entries in pins("requirements.lock").items():
        assert {e.split()[0] for e in dev[name]} == {e.split()[0] for e in entries}, name


def test_the_version_is_the_same_everywhere():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert cited.group(1) == sps_adaptive.__version__
    assert version("sps-adaptive") == sps_adaptive.__version__, "stale: run `make install` again"


def test_the_package_says_that_it_is_typed():
    assert Path(sps_adaptive.__file__).with_name("py.typed").is_file()


def test_the_documents_are_finished_and_their_links_lead_somewhere():
    import re

    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        assert "@@" not in text and "TODO" not in text, page
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
