"""The gallery of allocation rules as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

INK, LEARNS, FIXED, PAPER = "#222222", "#0072B2", "#D55E00", "#ffffff"
"""Colours that the colour-blind can tell apart; shapes differ as well."""


def draw(found: pd.DataFrame, truth: str, level: float, path: Path) -> None:
    """Draw power against failures in the trial, a point a rule, and write the picture.

    Parameters
    ----------
    found
        The table of `search.gallery.gallery`.
    truth
        The truth to show.
    level
        The familywise error of all designs.
    path
        The file; its ending says what kind: .svg, .pdf or .png.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    own = found[found["truth"] == truth].sort_values("power").reset_index(drop=True)
    with mpl.rc_context({"svg.hashsalt": "sps-adaptive", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(9, 0.36 * len(own) + 1.6), facecolor=PAPER, layout="constrained")
        power, failures = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for axis, column, scale, label in (
            (power, "power", 100, "Power, %"),
            (failures, "failures", 1, "Patients without response, mean"),
        ):
            for learns, colour, shape in ((True, LEARNS, "o"), (False, FIXED, "s")):
                mine = own[own["learns"] == learns]
                axis.plot(scale * mine[column], mine.index, shape, color=colour, markersize=7)
            for place, value in enumerate(scale * own[column]):
                axis.annotate(
                    f"{value:.1f}", (value, place), xytext=(8, 0), textcoords="offset points", va="center", color=INK,
                    fontsize=9,
                )  # fmt: skip
            axis.set_xlabel(label)
            axis.grid(axis="y", color="#dddddd", linewidth=0.7)
            axis.margins(x=0.2)
            axis.spines[["top", "right", "left"]].set_visible(False)
            axis.tick_params(axis="y", length=0)
        power.set_yticks(range(len(own)), list(own["rule"]))
        figure.suptitle(
            f"{truth}: all designs at a familywise error of {100 * level:g}%, exact\n"
            "● learns from outcomes   ■ does not",
            x=0.01, ha="left", fontsize=11,
        )  # fmt: skip
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
