"""Makes the data sets on which the analyses of ordered categories are compared with brute force.

Run as `python -m tests.models.accuracy_ordinal`; it writes `data/accuracy_proportional_odds.json` and
`data/accuracy_win_probability.json`. The data sets are trials of two arms whose probability of a better outcome than on
placebo lies near 0.975.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.special import betainc, expit, logit

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.endpoints import Ordinal
from sps_adaptive.models import ProportionalOdds, WinProbability
from sps_adaptive.posteriors.cumulative import CumulativeDensity
from tests.models.dense_ordinal import mass_above
from tests.models.snapshots import snapshot

MODELS = {
    "proportional_odds": ProportionalOdds(kind="proportional_odds"),
    "win_probability": WinProbability(kind="win_probability"),
}
REFERENCES = {
    "proportional_odds": "Gauss-Legendre in the log odds ratio, importance sampling with 4096 Sobol points in the "
    "cutpoints: tests/models/dense_ordinal.py; good to 0.0001",
    "win_probability": "300,000 independent draws, the last step in closed form: good to 0.0003",
}
ARMS = ("placebo", "ivig")
SIZES = [(3, 24), (3, 60), (4, 24), (4, 60), (7, 24), (7, 60)]
"""Categories and patients."""
NEAR = (0.955, 0.995)
EACH = 60


def file(model):
    """Where the data sets of a model are."""
    return Path(__file__).parent / "data" / f"accuracy_{model}.json"


def patients_of(counts):
    """Snapshots with so many patients of each arm in each category: [R, A, C] to arms and scores of [R, N]."""
    counts = np.asarray(counts)
    most = int(counts.sum(axis=(1, 2)).max())
    arm, score = np.full((len(counts), most), -1), np.full((len(counts), most), np.nan)
    for r, each in enumerate(counts):
        place = np.repeat(np.arange(each.size), each.ravel())
        arm[r, : len(place)], score[r, : len(place)] = np.unravel_index(place, each.shape)
    return snapshot(arm, score, n_arms=counts.shape[1])


def fitted(model, counts):
    """The posterior of the model that is tested."""
    highest = np.shape(counts)[2] - 1
    endpoint = Ordinal(kind="ordinal", better="higher", assessed_at_month=6, lowest=0, highest=highest)
    return MODELS[model].bind(AnalysisSetting(ARMS, True, 0, endpoint)).fit(patients_of(counts))


def trials(number, categories, patients, generator):
    """Random trials: shares from uneven to nearly even, log odds ratios around what such a trial just detects."""
    found = np.empty((number, 2, categories), np.int64)
    for row in found:
        control = generator.dirichlet(np.full(categories, generator.choice([0.7, 2.0])))
        effect = generator.normal(8.5 / np.sqrt(patients), 0.3)
        cuts = logit(np.clip(control.cumsum()[:-1], 1e-12, 1 - 1e-12)) - effect
        row[0] = generator.multinomial(patients // 2, control)
        row[1] = generator.multinomial(patients // 2, np.diff(expit(cuts), prepend=0, append=1))
    return found


def reference(model, counts):
    """P(arm 1 is better), by brute force."""
    counts, categories = np.asarray(counts, float), np.shape(counts)[1]
    prior = MODELS[model].prior_patients / categories
    if model == "proportional_odds":
        middle, precision = np.array([[[-0.5], [0.5]]]), np.array([MODELS[model].effect_sd ** -2.0])
        density = CumulativeDensity(middle, counts[None], prior, precision)
        return float(mass_above(density, 0, categories - 1, points=4096))
    # Independent draws of all but the share of an arm's patients in its upper half of the categories, whose beta
    # distribution is integrated exactly.
    generator = np.random.default_rng(int(counts[0] @ np.arange(categories)))
    draws = generator.gamma(counts + prior, size=(300_000, 2, categories)) + 1e-250
    control, half = draws[:, 0] / draws[:, 0].sum(axis=1, keepdims=True), categories // 2
    worth = control.cumsum(axis=1) - control / 2
    low, high = (
        (draws[:, 1, part] * worth[:, part]).sum(axis=1) / draws[:, 1, part].sum(axis=1)
        for part in (slice(None, half), slice(half, None))
    )
    upper, lower = (counts[1, half:] + prior).sum(), (counts[1, :half] + prior).sum()
    return float(betainc(lower, upper, 1 - np.clip((0.5 - low) / (high - low), 0, 1)).mean())


def told(cell, fast):
    """The cell with the errors of the fast answers."""
    exact = np.array([one["probability"] for one in cell["data_sets"]])
    errors = np.abs(fast - exact)
    return {
        **cell,
        "largest_error": round(float(errors.max()), 7),
        "root_mean_square_error": round(float(np.sqrt((errors**2).mean())), 7),
        "flips_at_0.975": int(((fast > 0.975) != (exact > 0.975)).sum()),
    }


def cells(model):
    """Data sets near the threshold by number of categories and patients, with their answers."""
    generator = np.random.default_rng(20_261_125)
    found = []
    for categories, patients in SIZES:
        counts = trials(1500, categories, patients, generator)
        near = fitted(model, counts).prob_better(0)[:, 1]
        chosen = np.flatnonzero((near > NEAR[0]) & (near < NEAR[1]))[:EACH]
        sets = [{"counts": counts[r].tolist(), "probability": round(reference(model, counts[r]), 7)} for r in chosen]
        found.append(told({"categories": categories, "patients": patients, "data_sets": sets}, near[chosen]))
    return found


def main(names=tuple(MODELS)):
    """Write the files."""
    for name in names:
        model = MODELS[name]
        content = {
            "model": model.model_dump(),
            "threshold": 0.975,
            "arms": "counts of placebo, then of the other arm, from the worst category to the best",
            "reference": REFERENCES[name],
            "cells": cells(name),
        }
        file(name).parent.mkdir(exist_ok=True)
        file(name).write_text(json.dumps(content, separators=(",", ":")).replace('{"counts"', '\n{"counts"') + "\n")
        for cell in content["cells"]:
            print(name, {key: value for key, value in cell.items() if key != "data_sets"}, len(cell["data_sets"]))


if __name__ == "__main__":
    main()
