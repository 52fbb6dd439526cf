"""What holds for every analysis."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from sps_adaptive.contracts import AnalysisSetting
from sps_adaptive.models import AnalysisKind, Ancova, BetaBinomial, Normal
from tests.models.snapshots import random_snapshot

ARMS = ("placebo", "low", "high")
KINDS = [
    {"kind": "beta_binomial"},
    {"kind": "normal", "variance": "known", "sd": 2},
    {"kind": "normal", "variance": "arm_specific", "sd": 2},
    {"kind": "normal", "variance": "common", "sd": 2},
    {"kind": "ancova", "sd": 2},
]
READ = TypeAdapter(AnalysisKind).validate_python


def test_the_kind_chooses_the_model():
    assert [type(READ(fields)) for fields in KINDS] == [BetaBinomial, Normal, Normal, Normal, Ancova]
    with pytest.raises(ValidationError):
        READ({"kind": "poisson"})


def test_what_they_take():
    assert BetaBinomial.takes == {"binary"}
    assert Normal.takes == Ancova.takes == {"continuous", "timed_walk"}
    assert [kind.needs_baseline for kind in (BetaBinomial, Normal, Ancova)] == [False, False, True]


@pytest.mark.parametrize("fields", KINDS)
def test_no_field_goes_undescribed(fields):
    model = type(READ(fields))
    assert model.__doc__
    assert [name for name, field in model.model_fields.items() if name != "kind" and not field.description] == []


@pytest.mark.parametrize("fields", KINDS)
def test_priors_of_arms_that_do_not_exist_are_refused(fields):
    with pytest.raises(ValueError, match="middle"):
        READ(fields | {"arm_priors": {"middle": {}}}).bind(AnalysisSetting(ARMS))


@pytest.mark.parametrize("fields", KINDS)
def test_only_the_last_visit_counts(fields):
    seen = random_snapshot(np.random.default_rng(1), binary=fields["kind"] == "beta_binomial")
    earlier = np.random.default_rng(2).random(seen.value.shape)
    more = seen._replace(
        known=np.concatenate([np.ones_like(seen.known), seen.known], axis=2),
        value=np.concatenate([earlier, seen.value], axis=2),
    )
    model = READ(fields).bind(AnalysisSetting(ARMS))
    np.testing.assert_array_equal(model.fit(more).prob_better(0), model.fit(seen).prob_better(0))


@pytest.mark.parametrize("fields", KINDS)
def test_splitting_the_batch_changes_nothing(fields):
    seen = random_snapshot(np.random.default_rng(3), binary=fields["kind"] == "beta_binomial")
    model = READ(fields).bind(AnalysisSetting(ARMS))
    whole = model.fit(seen)
    for r in range(len(seen.arm)):
        one = model.fit(type(seen)(*(part if part is None else part[r : r + 1] for part in seen)))
        for name in ("mean", "interval", "difference", "prob_better"):
            arguments = {"mean": (), "interval": (0.9,), "difference": (1, 0.9), "prob_better": (1, 0.1)}[name]
            expected = getattr(whole, name)(*arguments)[r : r + 1]
            np.testing.assert_array_equal(getattr(one, name)(*arguments), expected, err_msg=name)
        among = np.ones((1, 3), bool)
        np.testing.assert_array_equal(
            one.prob_best(among), whole.prob_best(np.ones((len(seen.arm), 3), bool))[r : r + 1]
        )


@pytest.mark.parametrize("fields", KINDS)
def test_the_snapshot_is_not_changed(fields):
    seen = random_snapshot(np.random.default_rng(4), binary=fields["kind"] == "beta_binomial")
    for part in (part for part in seen if part is not None):
        part.setflags(write=False)
    assert np.isfinite(READ(fields).bind(AnalysisSetting(ARMS)).fit(seen).prob_better(0)).all()


def test_the_kinds_are_light_to_import():
    code = "import sys, sps_adaptive.models; print(sorted({'numba', 'scipy'} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
