"""What is certain about the errors of a design, whatever the truth: for the answer of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from sps_adaptive.cli.figures import bound
from sps_adaptive.cli.layout import Table
from sps_adaptive.scenario import NO_FUTILITY

if TYPE_CHECKING:
    from sps_adaptive.cli.figures import Figures
    from sps_adaptive.runs.exact import ExactResults
    from sps_adaptive.runs.results import Results
    from sps_adaptive.scenario import Scenario

GLOBAL = "no arm differs"
"""How certificates call the region in which all arms share a response rate."""

IGNORED = "futility ignored"
"""What the design is called in which nobody follows the rules that do not bind."""

LEVEL = 0.99
"""Confidence in a bound that rests on simulated trials."""


class _Row(NamedTuple):
    """A certificate; see `characteristics.exact.CERTIFICATES`."""

    design: str
    metric: str
    arm: str
    null: str
    upper: float
    lower: float
    rates: str


# --------------------------------------------------------------------------------------- exact bounds


def largest_errors(results: ExactResults) -> Table | str:
    """Return the largest errors of an exact run as a table, or a sentence that says why there are none."""
    rows = _rows(results)
    if not rows:
        from sps_adaptive.exact.certificate import why_not

        return f"Largest errors: not certified, since {why_not(results.scenario) or 'nothing is declared effective'}."
    made = Table(
        "Largest errors, certified",
        ["error: null region", "design", "largest at"],
        ["at most"],
        _note(results, rows),
    )
    for row in rows:
        error = f"type I error of {row.arm}" if row.arm else "familywise error"
        where = f"{row.null} (global null)" if row.null == GLOBAL else row.null
        at = row.rates if " " in row.rates else f"a response rate of {row.rates}"
        made.add(f"{error}: {where}", row.design, at, f"{bound(row.upper)}%")
    return made


def whatever_the_rate(results: ExactResults) -> Iterator[str]:
    """Yield what is certain, in a sentence or two."""
    rows = _rows(results)
    if len(results.scenario.arms) == 2:
        widest = [row for row in rows if row.null == rows[-1].null]  # it comes last
        if said := _both(widest):
            yield f"Whatever the response rates, {widest[0].arm} is wrongly declared effective in {said}."
        return
    overall = [row for row in rows if row.null == GLOBAL and not row.arm]
    if said := _both(overall):
        yield f"Whatever response rate all arms share, an arm is wrongly declared effective in {said}."
    worst = [
        max((row for row in rows if row.null != GLOBAL and row.design == design), key=lambda row: row.upper)
        for design in dict.fromkeys(row.design for row in rows if row.null != GLOBAL)
    ]
    if said := _both(worst):
        control = results.scenario.arm_names[results.scenario.control]
        yield (
            f"Where some arms respond as {control} does and the others anyhow, one of the former is wrongly declared "
            f"effective in {said}."
        )


def _rows(results: ExactResults) -> list[_Row]:
    """Return the certificates: for each region and error, those of the designs one below the other."""
    rows = [_Row(*row) for row in results.certificates.itertuples(index=False)]
    rows = [row._replace(rates=re.sub(r"\d\.\d{9}\b", lambda m: f"{float(m[0]):.3f}", row.rates)) for row in rows]
    rows = [row._replace(design=IGNORED) if row.design == NO_FUTILITY else row for row in rows]
    order = list(dict.fromkeys((row.null, row.metric, row.arm) for row in rows))
    return sorted(rows, key=lambda row: order.index((row.null, row.metric, row.arm)))


def _both(rows: list[_Row]) -> str:
    """Return the bounds of the designs: '3.66% of trials (at 0.918), fixed 2.53% (at 0.500)'."""
    said = [
        f"{'' if row.design == 'adaptive' else row.design + ' '}at most {bound(row.upper)}%"
        f"{' of trials' if row.design == 'adaptive' else ''} (at {row.rates})"
        for row in rows
    ]
    return ", ".join(said)


def _note(results: ExactResults, rows: list[_Row]) -> str:
    control = results.scenario.arm_names[results.scenario.control]
    nulls = {row.null for row in rows}
    notes = [
        "At most: no response rates in the region give more, whatever the truths above; rounded up. It is about the "
        "trial as stated: its looks and dropouts as planned, and response rates that do not change over time."
    ]
    if GLOBAL in nulls:
        notes.append("Global null: all arms have one response rate, whatever it is.")
    if len(results.scenario.arms) > 2 and nulls - {GLOBAL}:
        notes.append(
            f"The others are partial nulls: the arms named first have the response rate of {control}, whatever it is, "
            "and only declaring one of those effective is an error; 'anything' is any response rate, better or worse. "
            f"Arms that are worse than {control}, but not named so, are not covered."
        )
    if left_out := _left_out(results.scenario, nulls):
        notes.append(f"Not certified, since the sums are too large: {'; '.join(left_out)}.")
    return " ".join(notes)


def _left_out(scenario: Scenario, there: set[str]) -> list[str]:
    if len(scenario.arms) < 4:
        return []
    from sps_adaptive.exact.certificate import nulls

    return [null.name for null in nulls(scenario) if null.name not in there]


# -------------------------------------------------------------------------- bounds from simulated trials


def by_invariance(results: Results, figures: Figures, *, full: bool) -> str:
    """Return what one simulated null says about all of them, for a continuous endpoint; empty if there is nothing.

    Parameters
    ----------
    results
        A simulated run.
    figures
        Its figures.
    full
        Also say why one null does not speak for the others.
    """
    scenario = results.scenario
    if scenario.endpoint.kind != "continuous":
        return ""
    from sps_adaptive.exact.invariance import broken_by, certify, given, null_truths

    if reasons := broken_by(scenario):
        return f"The error under one null truth does not hold for others: {' '.join(reasons)}" if full else ""
    null = next((truth for truth in null_truths(scenario) if truth in results.truths), None)
    if null is None:
        return "No error is certified by invariance: no truth has one mean for all arms." if full else ""
    said = []
    for design in scenario.design_names:
        figure: Any = figures.get(null, design, "familywise_error")
        if figure is None:
            continue
        errors = round(figure.estimate * results.replicates)
        upper = certify(scenario, errors, results.replicates, LEVEL, null).upper
        named = IGNORED if design == NO_FUTILITY else design
        said.append(f"{named} at most {bound(upper)}% ({errors:,} of {results.replicates:,} trials)")
    if not said:
        return ""
    name = "Familywise error" if len(scenario.arms) > 2 else "Type I error"
    return (
        f"{name} certified by invariance, for any mean and standard deviation: {', '.join(said)}, each with "
        f"{LEVEL:.0%} confidence. As long as: {' '.join(given(scenario))}"
    )
