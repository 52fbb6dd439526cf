"""The tables of docs/accuracy.md, made from the stored figures of each model.

`python -m tests.models.accuracy` writes them anew. A file tests/models/data/accuracy_MODEL.json holds

- `model`, `against` (what it was compared with, in words), `scale`, `version`
- `settings`: a list of {`setting`, `data_sets`, `threshold`, `methods`}, with for each method of the analysis, by name,
  {`largest`, `rms`, `flips`}: errors of the probability of being better, and decisions at the threshold that differ.
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


def table(figures):
    """The figures of a model as a table of Markdown."""
    lines = [f"### `{figures['model']}`", "", f"Against {figures['against']}", ""]
    lines += [
        "| setting | data sets | method | largest error | rms error | decisions that differ |",
        "|---|---|---|---|---|---|",
    ]
    for each in figures["settings"]:
        for method, found in each["methods"].items():
            row = each["setting"], each["data_sets"], method, found["largest"], found["rms"], found["flips"]
            lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines)


def tables():
    """All tables, in the order of the models' names."""
    files = sorted(DATA.glob("accuracy_*.json"))
    return "\n\n".join(table(json.loads(file.read_text())) for file in files)


def page(text):
    """The page with the tables put in."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
