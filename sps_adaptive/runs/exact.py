"""Exact figures of a scenario: computed in one go, kept in a folder of their own, read when asked for again."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sps_adaptive.errors import StoreError, UsageError
from sps_adaptive.runs.files import check_writable, told, write_folder
from sps_adaptive.runs.manifest import FORMAT, check_same, new_session, now
from sps_adaptive.runs.store import CHARACTERISTICS, MANIFEST, SCENARIO, RunStore
from sps_adaptive.runs.text import scenario_text
from sps_adaptive.scenario import BLOCK_SIZE, ENGINE, Scenario

if TYPE_CHECKING:
    import pandas as pd

    from sps_adaptive.characteristics.exact import ExactTables
    from sps_adaptive.exact.budget import Cost

KIND = "exact"
"""What the manifest calls such a run."""

EXACT_ENGINE = 1
"""Version of the exact figures: raised whenever the same scenario would give others."""

CERTIFICATES = "certificates.csv"

MEMORY_GB, MINUTES = 2.0, 10.0
"""What the computation may take if exact figures are asked for in so many words."""

AGAIN = "compute it again: sps-adaptive exact FILE"


@dataclass(frozen=True, eq=False)
class ExactResults:
    """What is known exactly of a scenario and its benchmark."""

    scenario: Scenario = field(repr=False)
    """The scenario."""
    truths: tuple[str, ...]
    """The truths these results are about, in the order of the scenario."""
    folder: Path | None
    """Where the files are; None if they were not kept."""
    characteristics: pd.DataFrame = field(repr=False)
    """The operating characteristics: the columns of a simulated run, with a Monte Carlo error of 0 and `n` = 0."""
    certificates: pd.DataFrame = field(repr=False)
    """The largest errors over all response rates (see `characteristics.exact.CERTIFICATES`)."""
    predicted: Mapping[str, float] = field(repr=False)
    """States, bytes and seconds that were predicted before."""
    session: Mapping[str, Any] = field(repr=False)
    """When, how long and with what the figures were computed."""
    is_new: bool
    """Whether they were computed now; they may have been there."""

    @property
    def cost(self) -> Cost:
        """What the computation was predicted to take."""
        from sps_adaptive.exact.budget import Cost

        return Cost(**self.predicted)

    @property
    def seconds(self) -> float:
        """What it took."""
        return float(self.session["seconds"])

    def of(self, truths: Sequence[str]) -> ExactResults:
        """Return what concerns some truths; without the truth that sets it there is no `same error`."""
        from sps_adaptive.characteristics.matched import MATCHED

        frame = self.characteristics
        kept = frame["truth"].isin(list(truths))
        if _null(frame, self.truths) not in truths:
            kept &= frame["design"] != MATCHED
        return replace(
            self,
            truths=tuple(truth for truth in self.truths if truth in truths),
            characteristics=frame[kept].reset_index(drop=True),
        )

    def save(self, folder: Path | str, text: str | None = None) -> ExactResults:
        """Keep the results in a folder: complete or not at all, if it is new.

        Parameters
        ----------
        folder
            The folder; exact figures of the same scenario that it holds are replaced.
        text
            The scenario as it was written.

        Returns
        -------
        ExactResults
            The same, with the folder.

        Raises
        ------
        UsageError
            If something else is in the folder.
        StoreError
            If it cannot be written.
        """
        store = RunStore(Path(folder))
        _check_place(store, self.scenario)
        tables = {
            CHARACTERISTICS: self.characteristics.to_csv(index=False, lineterminator="\n"),
            CERTIFICATES: self.certificates.to_csv(index=False, lineterminator="\n"),
        }
        contents = {name: content.encode() for name, content in tables.items()}
        manifest = {
            "format": FORMAT,
            "kind": KIND,
            "title": self.scenario.title,
            "engine": ENGINE,
            "block_size": BLOCK_SIZE,
            "exact_engine": EXACT_ENGINE,
            "scenario_digest": self.scenario.digest(),
            "seed": self.scenario.simulation.seed,
            "truths": {truth: {"digest": self.scenario.truth_digest(truth)} for truth in self.truths},
            "predicted": dict(self.predicted),
            "files": {name: _digest(content) for name, content in contents.items()},
            "sessions": [dict(self.session)],
        }
        contents[SCENARIO] = (scenario_text(self.scenario) if text is None else text).encode()
        contents[MANIFEST] = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
        write_folder(store.folder, contents)  # the manifest last: it holds the digests of the others
        return replace(self, folder=store.folder)


def compute_exact(
    scenario: Scenario,
    *,
    truths: Sequence[str] | None = None,
    output: Path | str | None = None,
    budget: tuple[float, float] | None = None,
    tell: Callable[[str], None] | None = None,
    text: str | None = None,
    command: str | None = None,
) -> ExactResults:
    """Return the operating characteristics of a scenario without Monte Carlo error: all paths summed.

    Parameters
    ----------
    scenario
        The scenario, whatever engine it asks for.
    truths
        Names of the truths; all of them if none is named. Only these have to allow exact figures.
    output
        Folder to keep the results in; figures of the same scenario and truths that it holds are read, not computed.
        Without it nothing is written.
    budget
        Bytes and seconds the computation may take (an `exact.budget.Budget`), by default `MEMORY_GB` and `MINUTES`.
    tell
        Is told before the work how large it is; not at all if the results are read.
    text
        The scenario as it was written, to be kept with the results.
    command
        The command that asked, for the manifest.

    Raises
    ------
    UsageError
        If there can be no exact figures, or not within the budget, or the folder holds something else.
    StoreError
        If the results cannot be written: before the work, as far as that can be known.
    """
    if not isinstance(scenario, Scenario):
        raise UsageError(
            "compute_exact takes a scenario, not the name of its file", "compute_exact(load_scenario(file))"
        )
    asked = tuple(of_truths(scenario.checked(), truths).truths)
    if output is None:
        return _computed(scenario, asked, budget, tell, command)
    store = RunStore(Path(output))
    there = _there(store, scenario)
    if there and set(asked) <= set(there.truths):
        if text is not None:
            store.write_text(SCENARIO, text)  # its prose may be new
        return there.of(asked)
    earlier = there.truths if there else ()
    wanted = tuple(truth for truth in scenario.truths if truth in asked or truth in earlier)
    check_writable(store.folder)
    return _computed(scenario, wanted, budget, tell, command).save(store.folder, text).of(asked)


def open_exact(store: RunStore) -> ExactResults:
    """Return exact figures that were kept.

    Raises
    ------
    UsageError
        If this version cannot read them.
    StoreError
        If they are damaged.
    """
    from sps_adaptive.spec import parse_scenario

    manifest = store.manifest()
    scenario = parse_scenario(store.read_text(SCENARIO), str(store.folder / SCENARIO))
    scenario = scenario.with_simulation(None, manifest.get("seed"))
    check_same(manifest, scenario, store.folder, AGAIN)
    if manifest.get("exact_engine") != EXACT_ENGINE:
        raise UsageError(
            f"the figures in {store.folder} were computed by another version of sps-adaptive "
            f"(exact engine {manifest.get('exact_engine')}, now {EXACT_ENGINE})",
            AGAIN,
        )
    found = _read(store, manifest, scenario)
    if not found.truths:
        raise UsageError(f"the run in {store.folder} has none of the truths of its scenario", AGAIN)
    return found


def of_truths(scenario: Scenario, truths: Sequence[str] | None) -> Scenario:
    """Return the scenario with some of its truths, in its own order; all of them if none is named.

    Raises
    ------
    UsageError
        If it has no such truth.
    """
    for truth in truths or ():
        scenario.truth(truth)
    chosen = {name: truth for name, truth in scenario.truths.items() if not truths or name in truths}
    return scenario.model_copy(update={"truths": chosen})


def default_exact_folder(scenario: Scenario, file: Path | str) -> Path:
    """Return the folder of exact figures that were given none: beside that of the simulated run."""
    return Path("runs") / f"{Path(file).stem}-{scenario.digest()[:8]}-exact"


def is_exact(manifest: Mapping[str, Any]) -> bool:
    """Return whether a manifest is that of exact figures."""
    return manifest.get("kind") == KIND


# ------------------------------------------------------------------------------------------ computing


def predict(scenario: Scenario, budget: tuple[float, float] | None = None) -> Cost:
    """Return what the exact figures of a scenario take, whatever engine it asks for.

    Parameters
    ----------
    scenario
        The scenario.
    budget
        Bytes and seconds they may take, by default `MEMORY_GB` and `MINUTES`.

    Raises
    ------
    UsageError
        If there can be none, with the reasons, or they would take more.
    """
    from sps_adaptive.exact.budget import Budget
    from sps_adaptive.exact.choice import choose

    simulation = scenario.simulation.model_copy(update={"engine": "exact"})
    within = Budget(*(budget or (MEMORY_GB * 1e9, MINUTES * 60)))
    found = choose(scenario.model_copy(update={"simulation": simulation}), within).cost
    assert found is not None  # or it would have raised
    return found


def _computed(
    scenario: Scenario,
    truths: tuple[str, ...],
    budget: tuple[float, float] | None,
    tell: Callable[[str], None] | None,
    command: str | None,
) -> ExactResults:
    part = of_truths(scenario, truths)
    cost = predict(part, budget)
    if tell:
        tell(cost.words())
    session, began = new_session(command, 1), time.perf_counter()
    tables = _tables(part, budget[0] if budget else MEMORY_GB * 1e9)
    session.pop("blocks")
    session.update(finished=now(), seconds=round(time.perf_counter() - began, 3))
    return ExactResults(scenario, truths, None, *tables, _plain(cost), session, is_new=True)


def _tables(scenario: Scenario, most_bytes: float) -> ExactTables:
    from sps_adaptive.characteristics.exact import exact_tables

    return exact_tables(scenario, most_bytes=most_bytes)


def _plain(cost: Cost) -> dict[str, float]:
    return {name: float(value) for name, value in cost._asdict().items()}


# -------------------------------------------------------------------------------------------- reading


class _DamagedError(StoreError):
    """A file of exact figures is missing or not as it was written."""


def _check_place(store: RunStore, scenario: Scenario) -> dict[str, Any] | None:
    """Return the manifest of figures of this scenario that are there; None if the folder is new or empty."""
    if store.is_new():
        return None
    manifest = store.manifest()
    hint = "choose another --output"
    same_seed = scenario.with_simulation(None, manifest.get("seed"))  # exact figures do not depend on it
    check_same(manifest, same_seed, store.folder, hint)
    if not is_exact(manifest):
        raise UsageError(
            f"the folder {store.folder} holds a simulated run of this scenario", f"{hint}, or add --engine simulate"
        )
    return manifest


def _there(store: RunStore, scenario: Scenario) -> ExactResults | None:
    """Return the figures of this scenario that can be read; None if there are none, or they are damaged or old."""
    manifest = _check_place(store, scenario)
    if manifest is None or manifest.get("exact_engine") != EXACT_ENGINE:
        return None
    try:
        found = _read(store, manifest, scenario)
    except _DamagedError:
        return None
    return found if found.truths else None


def _read(store: RunStore, manifest: Mapping[str, Any], scenario: Scenario) -> ExactResults:
    import pandas as pd

    from sps_adaptive.characteristics.summary import frame_of

    try:
        rows = {name: _rows(store.folder / name, manifest["files"][name]) for name in (CHARACTERISTICS, CERTIFICATES)}
        digests = {truth: stated["digest"] for truth, stated in manifest["truths"].items()}
        predicted, session = manifest["predicted"], manifest["sessions"][-1]
    except (KeyError, IndexError, TypeError) as error:
        raise _DamagedError(f"{store.folder / MANIFEST} is not as it was written", AGAIN) from error
    found = [(*row[:4], int(row[4]), *map(_number, row[5:9]), int(row[9])) for row in rows[CHARACTERISTICS][1:]]
    columns, *certified = rows[CERTIFICATES]
    everything = ExactResults(
        scenario,
        tuple(digests),
        store.folder,
        frame_of(found),
        pd.DataFrame([(*row[:4], float(row[4]), float(row[5]), row[6]) for row in certified], columns=columns),
        predicted,
        session,
        is_new=False,
    )
    as_computed = scenario.with_simulation(None, manifest.get("seed"))
    return everything.of([truth for truth in scenario.truths if digests.get(truth) == as_computed.truth_digest(truth)])


def _rows(path: Path, digest: str) -> list[list[str]]:
    with told(path, "read"):
        content = path.read_bytes() if path.is_file() else b""
    if _digest(content) != digest:
        raise _DamagedError(f"{path} is not as it was written", AGAIN)
    return list(csv.reader(StringIO(content.decode(), newline="")))


def _number(text: str) -> float:
    return float(text or "nan")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _null(frame: pd.DataFrame, truths: Sequence[str]) -> str | None:
    """Return the truth in which nothing is effective and at whose error designs are compared: the first."""
    fixed = frame[frame["design"] == "fixed"]
    by_metric = {metric: set(fixed["truth"][fixed["metric"] == metric]) for metric in ("familywise_error", "power_any")}
    null = by_metric["familywise_error"] - by_metric["power_any"]
    return next((truth for truth in truths if truth in null), None)
