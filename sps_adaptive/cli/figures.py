"""How a figure is written: one rule for every table that people read."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Figure(NamedTuple):
    """An estimate with its Monte Carlo error, or an exact value."""

    estimate: float
    mcse: float | None
    lower: float | None
    upper: float | None
    is_exact: bool = False
    """Whether all paths were summed: no simulated trial stands behind it."""


EXACT = " exact"
"""What stands behind an exact figure, in the place of its error."""

NOTHING, CERTAIN = 1e-300, 1 - 1e-9
"""Exact probabilities are 0 and 1 beyond these: a sum of nothing is 0, a sum of everything rounds."""


def percent(figure: Figure | None) -> str:
    """Return a proportion in percent: '58.6 ±0.5' or '58.612 exact'; none or all trials: the Clopper-Pearson bound."""
    if figure is None:
        return "-"
    value = 100 * figure.estimate
    if figure.is_exact:
        return _exact_percent(figure.estimate) + EXACT
    if not figure.mcse:  # undefined, or the same in every trial
        return f"{value:.1f}"
    if figure.estimate in (0.0, 1.0) and figure.lower is not None and figure.upper is not None:
        # a sample without an event says little more than an upper bound
        bound = f"<{100 * figure.upper:.2g}" if figure.estimate == 0 else f">{_floor(100 * figure.lower)}"
        return f"{value:.0f} ({bound})"
    digits = 1 if 100 * figure.mcse >= 0.05 else 2
    return f"{value:.{digits}f} ±{100 * figure.mcse:.{digits}f}"


def number(figure: Figure | None, digits: int = 1, *, signed: bool = False) -> str:
    """Return a number with its Monte Carlo standard error: '54.3 ±0.1', or '54.3 exact'."""
    if figure is None:
        return "-"
    text = fixed(figure.estimate, digits, signed=signed)
    if figure.is_exact:
        return text + EXACT
    if not figure.mcse:
        return text
    return f"{text} ±{figure.mcse:.{digits}f}" if figure.mcse >= 0.5 * 10**-digits else f"{text} ±<{10**-digits:g}"


def plain(figure: Figure | None, digits: int = 0) -> str:
    """Return a number alone."""
    return "-" if figure is None else fixed(figure.estimate, digits)


def between(low: Figure | None, high: Figure | None) -> str:
    """Return two numbers as a range: '48-60'."""
    return "-" if low is None or high is None else f"{plain(low)}-{plain(high)}"


def bound(value: float) -> str:
    """Return a probability in percent, rounded up: it is still a bound."""
    return str((Decimal(value) * 100).quantize(Decimal("0.01"), ROUND_CEILING))


def rate(figure: Figure | None) -> str:
    """Return a proportion in percent, without its error."""
    if figure is None:
        return "-"
    value = 100 * figure.estimate
    return "0" if value == 0 else "<0.1" if value < 0.05 else f"{value:.1f}"


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """Return a number with so many decimals; zero has no minus sign."""
    return f"{round(value, digits) + 0.0:{'+' if signed else ''}.{digits}f}"


def _exact_percent(value: float) -> str:
    if value <= NOTHING:
        return "0"
    if value >= CERTAIN:
        return "100"
    text = f"{100 * value:.3f}"
    return "<0.001" if text == "0.000" else ">99.999" if text == "100.000" else text


class Figures:
    """The characteristics of a run, to be asked for by name."""

    def __init__(self, frame: pd.DataFrame) -> None:
        columns = zip(
            *(frame[name].tolist() for name in ("truth", "design", "metric", "arm", "look")),
            strict=True,
        )
        values: Any = zip(
            *(_floats(frame[name]) for name in ("estimate", "mcse", "lower", "upper")),
            (frame["n"] == 0).tolist(),
            strict=True,
        )
        self._rows = {key: Figure(*value) for key, value in zip(columns, values, strict=True)}

    def get(self, truth: str, design: str, metric: str, arm: str = "", look: int = 0) -> Figure | None:
        """Return a figure, None where it does not exist."""
        return self._rows.get((truth, design, metric, arm, look))


def _floats(column: pd.Series[Any]) -> list[float | None]:
    return [None if missing else float(value) for value, missing in zip(column, column.isna(), strict=True)]


def _floor(value: float) -> str:
    return f"{int(value * 100) / 100:.2f}"
