"""The tables of docs/accuracy.md, made from the stored figures of each model.

`python -m tests.models.accuracy` writes them anew. The files data/accuracy_MODEL.json hold, for each setting, the data
sets or the seed, the probabilities by another method, and how far those of the analysis are from them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def stored(model):
    """The stored figures of a model."""
    return json.loads((DATA / f"accuracy_{model}.json").read_text())


def compared(probability, reference, threshold=0.975):
    """Errors of probabilities and the decisions that they flip."""
    error = np.asarray(probability) - np.asarray(reference)
    flips = (np.asarray(probability) > threshold) != (np.asarray(reference) > threshold)
    return {
        "largest": float(f"{np.abs(error).max():.2g}"),
        "rms": float(f"{np.sqrt((error**2).mean()):.2g}"),
        "flips": int(flips.sum()),
    }


def rows(figures):
    """(setting, data sets, method, largest error, root mean square error, flips) of every setting and method."""
    for each in figures.get("settings", []):
        for method, found in each["methods"].items():
            yield each["setting"], each["data_sets"], method, found["largest"], found["rms"], found["flips"]
    for each in figures.get("cells", []):
        found = each["largest_error"], each["root_mean_square_error"], each["flips_at_0.975"]
        yield setting_of(each), len(each["data_sets"]), "the analysis", *found
    for each in figures.get("cases", []):
        found, number = each["inputs"], len(each["reference"])
        yield setting_of(found), number, "the analysis", each["largest_error"], each["rms_error"], each["flips"]
        yield setting_of(found), number, "normal at the mode", each["normal_largest_error"], None, each["normal_flips"]


def setting_of(inputs):
    """A setting in words."""
    words = [f"{inputs['patients']} patients"]
    if "categories" in inputs:
        words.append(f"{inputs['categories']} categories")
    if "complete_diaries" in inputs:
        words.append("complete diaries" if inputs["complete_diaries"] else "incomplete diaries")
    if inputs.get("covariate"):
        words.append("a covariate")
    return ", ".join(words)


def table(model, figures):
    """The figures of a model as a table of Markdown."""
    against = figures.get("against") or figures.get("source") or figures["reference"]
    lines = [f"### `{model}`", "", f"Against {against.rstrip('.')}.", ""]
    lines += ["| setting | data sets | method | largest error | rms error | decisions that differ |"]
    lines += ["|---|---:|---|---:|---:|---:|"]
    for setting, number, method, largest, rms, flips in rows(figures):
        errors = ["" if error is None else f"{error:.2g}" for error in (largest, rms)]
        lines.append(f"| {setting} | {number} | {method} | {' | '.join(errors)} | {flips} |")
    return "\n".join(lines)


def tables():
    """All tables, in the order of the models' names."""
    files = sorted(DATA.glob("accuracy_*.json"))
    return "\n\n".join(
        table(file.stem.removeprefix("accuracy_"), json.loads(file.read_text())) for file in files
    )  # fmt: skip


def page(text):
    """The page with the tables put in."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
