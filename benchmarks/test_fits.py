"""How many trials an analysis fits in a second: one look at many trials, and the question that every rule asks.

Trials of 24 and of 60 patients with all outcomes known, on two or three arms as in `tests/calibration/cases.py`. The
time holds the fit and P(arm - control > 0), which is when posteriors that are found lazily do their work. Machines
differ, so no time is asserted; compare models within a run.
"""

from __future__ import annotations

import time
from itertools import cycle

import numpy as np
import pytest

from tests.calibration.cases import CASES

TRIALS = 500


@pytest.mark.parametrize("patients", [24, 60])
@pytest.mark.parametrize("name", CASES)
def test_fits(benchmark: pytest.FixtureRequest, name: str, patients: int) -> None:
    """Each round meets other trials, so that nothing but tables that do not depend on them is found again."""
    model, simulate, control = CASES[name]
    rng = np.random.default_rng(patients)
    looks = [simulate(rng, TRIALS, patients)[1] for _ in range(3)]
    model.fit(looks[0]).prob_better(control)  # compile
    rounds, following = 0, cycle(looks)
    started = time.process_time()

    def one() -> None:
        nonlocal rounds
        model.fit(next(following)).prob_better(control)
        rounds += 1

    benchmark.pedantic(one, rounds=6)
    seconds = time.process_time() - started
    benchmark.extra_info["fits_per_cpu_second"] = round(rounds * TRIALS / seconds)
