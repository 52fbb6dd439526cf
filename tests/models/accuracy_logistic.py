"""The figures of the logistic regression for docs/accuracy.md.

`python -m tests.models.accuracy_logistic` stores them.
"""

from __future__ import annotations

import json

import numpy as np
from scipy.special import ndtr

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models.logistic import Logistic
from tests.models.accuracy import DATA, compared
from tests.models.dense_logistic import data, prob_better
from tests.models.snapshots import snapshot

SIZES = (24, 40, 60)
NUMBER = 300
SEED = 20_261_125


def settings(patients, generator):
    """Trials with no effect and a large one, alternately."""
    return [data(generator, patients, effect, 2000) for effect in (0.0, 1.7)]


def posterior(arm, x, event):
    """The analysis of these trials by the model."""
    model = Logistic(kind="logistic", covariates=("baseline",))
    bound = model.bind(AnalysisSetting(("control", "drug"), baseline=(0.0, 1.0)))
    return bound.fit(snapshot(arm, event, x, n_arms=2))


def plain(found):
    """P(drug better) by the normal distribution at the mode."""
    w = found.arms[1] - found.arms[0]
    sd = np.sqrt(np.einsum("p,rpq,q->r", w, found.modes.covariance, w))
    return ndtr(found.modes.at @ w / sd)


def near(patients, number=NUMBER):
    """The first data sets whose probability lies between .95 and .99 by the fast method, and its answers."""
    generator = np.random.default_rng([SEED, patients])
    arm, x, event = (np.concatenate(parts) for parts in zip(*settings(patients, generator), strict=True))
    order = np.arange(len(arm)).reshape(2, -1).T.ravel()
    arm, x, event = arm[order], x[order], event[order]
    found = posterior(arm, x, event)
    better = found.prob_better(0)[:, 1]
    chosen = np.flatnonzero(np.abs(better - 0.97) < 0.02)[:number]
    assert len(chosen) == number
    return arm[chosen], x[chosen], event[chosen], better[chosen], plain(found)[chosen]


def figures(reference):
    """All figures, given the probabilities by dense quadrature by number of patients."""
    found = []
    for patients in SIZES:
        *_, better, normal = near(patients)
        methods = {"the analysis": better, "normal at the mode": normal}
        found.append(
            {
                "setting": f"{patients} patients",
                "data_sets": len(better),
                "threshold": 0.975,
                "methods": {name: compared(each, reference[patients]) for name, each in methods.items()},
            }
        )
    return found


def dense(patients, which=slice(None)):
    """Probabilities by dense quadrature."""
    arm, x, event, *_ = near(patients)
    return [prob_better(*each)[0] for each in zip(arm[which], x[which], event[which], strict=True)]


if __name__ == "__main__":
    probabilities = {patients: dense(patients) for patients in SIZES}
    content = {
        "model": "logistic",
        "against": (
            "dense quadrature of two arms and one covariate: two-arm trials with a log odds of -1 on the control, 0 or "
            "1.7 more on the other arm and 0.5 for each standard deviation of the covariate; data sets whose "
            "probability of being better lies between .95 and .99, decided at .975."
        ),
        "scale": "log_odds",
        "version": 1,
        "settings": figures(probabilities),
        "reference": {str(patients): [round(p, 8) for p in each] for patients, each in probabilities.items()},
    }
    (DATA / "accuracy_logistic.json").write_text(json.dumps(content, indent=1) + "\n")
