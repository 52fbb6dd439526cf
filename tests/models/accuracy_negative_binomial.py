"""Makes the data sets on which the analysis of counts is compared with dense quadrature.

Run as `python -m tests.models.accuracy_negative_binomial`; it writes `data/accuracy_negative_binomial.json`.
The data sets are trials of two arms whose probability of a lower rate than placebo lies near 0.975.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from sps_adaptive.contracts import AnalysisSetting, Snapshot
from sps_adaptive.endpoints import Count
from sps_adaptive.models import NegativeBinomial
from tests.models.dense_counts import Data, dense, dense_adjusted

FILE = Path(__file__).parent / "data" / "accuracy_negative_binomial.json"
ARMS = ("placebo", "ivig")
WEEKS, DAYS = 4.0, 28
ENDPOINT = Count(kind="count", better="lower", assessed_at_month=6, over_weeks=WEEKS, dispersion=1.0, completeness=0.7)
MODEL = NegativeBinomial(kind="negative_binomial", prior={"median": 5})
ADJUSTED = NegativeBinomial(kind="negative_binomial", prior={"median": 5}, covariates=("phenotype",))
FACTORS = {"phenotype": {"classic": 0.6, "variant": 0.4}}
NEAR = (0.955, 0.995)
EACH = 100


def snapshot(arm, weeks, count, better="lower", known=None):
    """What is known of trials whose diaries are all known (or those that are)."""
    arm, count = np.atleast_2d(arm), np.atleast_2d(count).astype(float)
    weeks = np.broadcast_to(np.asarray(weeks, float), count.shape)
    known = np.ones(arm.shape, bool) if known is None else np.atleast_2d(known)
    sign = 1.0 if better == "higher" else -1.0
    value = np.where(known[..., None], np.stack([weeks, sign * count], axis=-1), np.nan)
    arms = max(2, int(arm.max()) + 1)
    is_on = (arm[..., None] == np.arange(arms)) & known[..., None]
    nobody = np.zeros((len(arm), arms), np.int64)
    return Snapshot(
        day=np.full(len(arm), 500.0),
        arm=arm,
        known=np.stack([known, known], axis=-1),
        value=value,
        covariates=np.zeros((*arm.shape, 1)),
        n_pending=nobody[:, 0],
        arm_pending=nobody,
        arm_enrolled=(arm[..., None] == np.arange(arms)).sum(axis=1),
        arm_known=is_on.sum(axis=1),
        arm_total=(np.nan_to_num(value[..., 1:]) * is_on).sum(axis=1),
    )


def fitted(arm, weeks, count, model=MODEL, better="lower", arms=ARMS):
    """The posterior of the model that is tested."""
    setting = AnalysisSetting(arms, better == "higher", 0, ENDPOINT)
    return model.bind(setting).fit(snapshot(arm, weeks, count, better))


def adjusted(arm, level, count, model=ADJUSTED, better="lower"):
    """The posterior of the model with a covariate of two levels, from complete diaries."""
    setting = AnalysisSetting(ARMS, better == "higher", 0, ENDPOINT, FACTORS)
    known = snapshot(arm, WEEKS, count, better)
    return model.bind(setting).fit(known._replace(strata=np.atleast_2d(level)[..., None].astype(np.int16)))


def trials(number, patients, complete, generator):
    """Random trials: arms alternate, dispersions from 0.1 to 5, rates from a quarter to equal to placebo's."""
    shape = number, patients
    arm = np.broadcast_to(np.arange(patients) % 2, shape)
    dispersion = np.exp(generator.uniform(np.log(0.1), np.log(5), (number, 1)))
    ratio = np.exp(generator.uniform(np.log(0.25), 0, (number, 1)))
    rate = np.exp(generator.uniform(np.log(0.5), np.log(15), (number, 1))) * np.where(arm == 1, ratio, 1.0)
    days = np.full(shape, DAYS) if complete else generator.integers(20, DAYS + 1, shape)
    weeks = WEEKS * days / DAYS
    count = generator.poisson(generator.gamma(1 / dispersion, dispersion * rate * weeks))
    return arm, days, count


def reference(arm, days, count):
    """P(arm 1 has the lower rate), by dense quadrature."""
    data = Data(np.asarray(arm), WEEKS * np.asarray(days) / DAYS, np.asarray(count, float))
    return 1 - dense(data, 2, *priors()).better(1, 0)


def reference_adjusted(arm, level, count):
    """P(arm 1 has the lower rate, given the covariate), by dense quadrature."""
    data = Data(np.asarray(arm), np.full(len(count), WEEKS), np.asarray(count, float))
    return 1 - dense_adjusted(data, np.asarray(level) - 0.4, *priors(), 1.0, (300, 40, 40)).better(1, 0)


def priors():
    """Mean and standard deviation of the log rate and of the log dispersion."""
    both = MODEL.prior, MODEL.dispersion
    return [(np.log(one.median), np.log(one.fold) / 1.959963984540054) for one in both]


def adjusted_cell(patients, generator):
    """Data sets near the threshold with a covariate of two levels, which changes the rate up to some five times."""
    arm, _, plain = trials(1500, patients, True, generator)
    level = (generator.random(arm.shape) < 0.4).astype(int)
    count = generator.poisson(plain * np.exp(generator.normal(0, 0.8, (1500, 1)) * (level - 0.4)))
    near = adjusted(arm, level, count).prob_better(0)[:, 1]
    chosen = np.flatnonzero((near > NEAR[0]) & (near < NEAR[1]))[:EACH]
    sets = [
        {
            "level": level[r].tolist(),
            "count": count[r].tolist(),
            "probability": reference_adjusted(arm[r], level[r], count[r]),
        }
        for r in chosen
    ]
    return told({"patients": patients, "covariate": "two levels, prevalence 0.4", "data_sets": sets}, near[chosen])


def cells():
    """Data sets near the threshold by number of patients and completeness of the diaries, with their answers."""
    generator = np.random.default_rng(20_261_125)
    found = []
    for patients in (24, 60):
        for complete in (True, False):
            arm, days, count = trials(4000, patients, complete, generator)
            near = fitted(arm, WEEKS * days / DAYS, count).prob_better(0)[:, 1]
            chosen = np.flatnonzero((near > NEAR[0]) & (near < NEAR[1]))[:EACH]
            sets = [
                {
                    "days": days[r].tolist(),
                    "count": count[r].tolist(),
                    "probability": reference(arm[r], days[r], count[r]),
                }
                for r in chosen
            ]
            found.append(told({"patients": patients, "complete_diaries": complete, "data_sets": sets}, near[chosen]))
    return found + [adjusted_cell(patients, generator) for patients in (24, 60)]


def told(cell, fast):
    """The cell with the errors of the fast answers."""
    exact = np.array([one["probability"] for one in cell["data_sets"]])
    errors = np.abs(fast - exact)
    return {
        **cell,
        "largest_error": float(errors.max()),
        "root_mean_square_error": float(np.sqrt((errors**2).mean())),
        "flips_at_0.975": int(((fast > 0.975) != (exact > 0.975)).sum()),
    }


def main():
    """Write the file."""
    content = {
        "model": MODEL.model_dump(),
        "threshold": 0.975,
        "weeks": WEEKS,
        "days": DAYS,
        "arms": "alternate, placebo first",
        "reference": (
            "grids of 100 log dispersions and 600 log rates; with a covariate of 40 slopes, 40 log dispersions and "
            "300 log rates; Simpson's rule: tests/models/dense_counts.py"
        ),
        "cells": cells(),
    }
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(
        json.dumps(content, separators=(",", ":")).replace('{"days"', '\n{"days"').replace('{"level"', '\n{"level"')
        + "\n"
    )
    for cell in content["cells"]:
        print({key: value for key, value in cell.items() if key != "data_sets"}, len(cell["data_sets"]))


if __name__ == "__main__":
    main()
