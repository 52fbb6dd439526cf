"""The gallery of allocation rules on a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sps_adaptive.cli.layout import Table
from sps_adaptive.cli.terminal import complain, data, prose, say, table
from sps_adaptive.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from sps_adaptive.scenario import Scenario


def packaged() -> Path:
    """Return the setting that comes with the package: in a checkout it lies beside it."""
    here = Path(__file__).parents[1]
    inside = here / "_scenarios" / "gallery.yaml"
    return inside if inside.exists() else here.parent / "scenarios" / "gallery.yaml"


def show_gallery(base: Scenario, level: float, truth: str | None, format: str, picture: Path | None) -> None:
    """Print all ways to allocate patients in one setting, and draw them.

    Raises
    ------
    UsageError
        If the setting has no truth with an effective arm, or cannot be computed exactly.
    """
    from sps_adaptive.search.gallery import ENTRIES, gallery, truths_with_power

    with_power = truths_with_power(base)
    if not with_power:
        raise UsageError("no truth has an effective arm, so that there is no power to compare", "add one")
    shown = truth or with_power[0]
    if shown not in with_power:
        base.truth(shown)
        raise UsageError(f"no arm is effective in the truth '{shown}'", f"use: {', '.join(with_power)}")
    if picture is not None:
        _can_draw(picture)
    complain(f"Exact: {len(ENTRIES)} designs, each calibrated; this takes a few minutes.")
    found = gallery(base, level, watch=lambda number, name: complain(f"{number} of {len(ENTRIES)}: {name}"))
    if format == "csv":
        data(found.to_csv(index=False, lineterminator="\n"))
    elif format == "json":
        data(json.dumps(json.loads(found.to_json(orient="records")), ensure_ascii=False, indent=2) + "\n")
    else:
        _print(base, found, level, shown)
    if picture is not None:
        from sps_adaptive.report.gallery import draw

        draw(found, shown, level, picture)
        complain(f"Picture: {picture}")


def _can_draw(picture: Path) -> None:
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError("a picture needs matplotlib", "install it: pip install matplotlib")
    if picture.suffix not in (".svg", ".pdf", ".png"):
        raise UsageError(f"a picture of the kind '{picture.suffix}'", "name a file that ends with .svg, .pdf or .png")
    if not picture.parent.is_dir():
        raise UsageError(f"there is no folder {picture.parent}", "make it first, or write elsewhere")


def _print(base: Scenario, found: pd.DataFrame, level: float, truth: str) -> None:
    from sps_adaptive.search.gallery import DROPPING, losses

    say(base.title, bold=True)
    prose(
        f"Each design at a familywise error of {100 * level:g}%, whatever the response rate of the arms that equal "
        "the control: its threshold is calibrated exactly. Thresholds move in steps; so that no rule wins by the luck "
        "of its steps, the power is that of a test that mixes the two thresholds around it. All figures are exact."
    )
    say()
    made = Table(
        f"Truth: {truth}",
        ["rule"],
        ["power, %", "best arm, %", "failures", "patients", "wrong way, %", "threshold"],
        "Power: an effective arm is declared effective. Best arm: mean share of patients on it. Failures: mean number "
        "of patients in the trial without response. Wrong way: trials with more patients on the worst arm than on the "
        f"best, by over a tenth of the largest size. "
        f"Threshold: the stricter of the two. ▼: a rule that learns and has less power than '{DROPPING}'.",
    )
    own = found[found["truth"] == truth].sort_values("power", ascending=False, kind="stable")
    beaten = losses(found, truth)
    for row in own.to_dict("records"):
        mark = " ▼" if row["rule"] in beaten else ""
        made.add(
            f"{row['rule']}{mark}", f"{100 * row['power']:.1f}", f"{100 * row['share_on_best']:.1f}",
            f"{row['failures']:.1f}", f"{row['patients']:.1f}", f"{100 * row['wrong_direction']:.1f}",
            f"{row['threshold']:.6g}",
        )  # fmt: skip
    table(made)
    say()
    learning = int(own["learns"].sum())
    if beaten:
        worst = max(beaten, key=lambda rule: beaten[rule])
        prose(
            f"{len(beaten)} of {learning} rules that learn have less power than equal randomisation with arm dropping; "
            f"'{worst}' loses most, {100 * beaten[worst]:.1f} points."
        )
    else:
        prose("No rule that learns has less power than equal randomisation with arm dropping.")
