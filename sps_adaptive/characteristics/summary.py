"""From sums to figures: one row for each truth, design, metric, arm and look, with its Monte Carlo error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sps_adaptive.block import DESIGNS
from sps_adaptive.characteristics import error
from sps_adaptive.characteristics.matched import MATCHED, matched
from sps_adaptive.characteristics.metrics import METRICS, Metric, metrics_of
from sps_adaptive.characteristics.totals import Place, Total, add_up

if TYPE_CHECKING:
    import pandas as pd

    from sps_adaptive.contracts import Array
    from sps_adaptive.scenario import Scenario

SUMMARY = ("truth", "design", "metric", "arm", "look", "estimate", "mcse", "lower", "upper", "n")
"""Columns of the summary.

`arm` is empty and `look` is 0 where a figure concerns the whole trial; `mcse` is the Monte Carlo standard error,
`lower` to `upper` the 95% Monte Carlo interval, all three missing where undefined; `n` is the number of trials
behind the figure.
"""


def summarise(scenario: Scenario, sums: Iterable[tuple[str, dict[str, Array]]]) -> pd.DataFrame:
    """Return the operating characteristics.

    Parameters
    ----------
    scenario
        The scenario of the run.
    sums
        Pairs of a truth and the sums of one of its blocks; any number of blocks, in any order: the result is
        the same to the last digit.

    Returns
    -------
    pandas.DataFrame
        The columns of `SUMMARY`, sorted by truth, design, metric (in the order of `METRICS`), arm and look. A figure
        that does not exist has no row.
    """
    tables: dict[str, list[dict[str, Array]]] = defaultdict(list)
    for truth, table in sums:
        tables[truth].append(table)
    arms = ("", *scenario.arm_names)
    totals = {truth: add_up(tables[truth]) for truth in scenario.truths if truth in tables}
    same_error = matched(scenario, totals)
    rows = []
    for truth, places in totals.items():
        rows += [
            (truth, DESIGNS[place.design], metric.name, arms[place.arm], place.look, *figure, total.n)
            for place, metric, total, figure in figures(places, metrics_of(list(scenario.endpoints)[1:]))
        ]
        rows += [
            (truth, MATCHED, each.metric, "", 0, *each.figure, each.n) for each in same_error if each.truth == truth
        ]
    return frame_of(rows)


def frame_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Return rows of the summary as a frame with the types of its columns."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=list(SUMMARY))
    floats = {name: "float64" for name in ("mcse", "lower", "upper")}  # missing is NaN, as plots expect it
    text = {name: "str" for name in ("truth", "design", "metric", "arm")}
    return frame.astype({**text, **floats, "estimate": "float64", "look": "int64", "n": "int64"})


def figures(
    totals: dict[Place, Total], metrics: Mapping[str, Metric] = METRICS
) -> list[tuple[Place, Metric, Total, error.Figure]]:
    """Return every figure that exists, sorted by design, metric, arm and look."""
    by_metric: dict[tuple[int, str], list[Place]] = defaultdict(list)
    for place in sorted(totals):
        by_metric[place.design, place.metric].append(place)
    found = []
    for design in range(len(DESIGNS)):
        for metric in metrics.values():
            for place in by_metric[design, metric.sums]:
                figure = figure_of(metric, totals[place])
                if figure is not None:
                    found.append((place, metric, totals[place], figure))
    return found


def figure_of(metric: Metric, total: Total) -> error.Figure | None:
    """Return a figure with its Monte Carlo error; None where there is nothing to make it of."""
    n, origin, (s1, s2, s3, s4), bins = total
    if n == 0 or (metric.kind == "sd" and n < 2) or (metric.kind in ("quantile", "extreme") and not bins):
        return None
    if metric.kind == "proportion":
        return error.proportion(round(s1), n)
    if metric.kind == "mean":
        return error.mean(n, s1, s2, origin)
    if metric.kind == "sd":
        return error.sd(n, s1, s2, s3, s4)
    if metric.kind == "rmse":
        return error.rmse(n, s2, s4)
    which = sorted(bins)
    values = np.array(which) / METRICS[metric.sums].bins
    if metric.kind == "extreme":
        return error.Figure(float(values[-1] if metric.level else values[0]), None, None, None)
    return error.quantile(values, np.array([bins[each] for each in which]), metric.level)
