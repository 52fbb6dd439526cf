"""Every kind of the explicit unions: named, described and tested as promised, and true to its contract.

To add a kind, add it to the union of its room, and an example of it to `EXAMPLES`. The tests name the rest.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError

from sps_adaptive.allocation import AllocationKind, Equal
from sps_adaptive.allocation.realisation import Setting
from sps_adaptive.contracts import AnalysisSetting, Outcome, Potential, Snapshot, Stop
from sps_adaptive.decisions import DecisionKind, Efficacy, Predictive
from sps_adaptive.endpoints import EndpointKind, Ordinal, TimeToEvent
from sps_adaptive.models import AnalysisKind
from sps_adaptive.population import AccrualKind, DropoutKind
from sps_adaptive.realisation import RealisationKind
from sps_adaptive.schedules import ScheduleKind
from sps_adaptive.timeline import cut, followed, pick
from tests.contracts.fakes import FakePosterior, a_cohort, a_look, copied, rows, same

TESTS = Path(__file__).parents[1]
ARMS = ("a", "b", "c")
R, N, A = 6, 24, 3


def kinds_of(union: Any) -> tuple[type, ...]:
    """The classes of an annotated union, or of a union of one."""
    if isinstance(union, type):
        return (union,)
    inner = get_args(union)[0]
    return get_args(inner) or (inner,)


ROOMS = {
    "accrual": ("population", AccrualKind),
    "dropout": ("population", DropoutKind),
    "endpoints": ("endpoints", EndpointKind),
    "analysis": ("models", AnalysisKind),
    "looks": ("schedules", ScheduleKind),
    "allocation": ("allocation", AllocationKind),
    "realisation": ("realisation", RealisationKind),
    "decisions": ("decisions", DecisionKind),
}
"""Section of the scenario: the room and the union of its kinds."""

KINDS = [(section, room, kind) for section, (room, union) in ROOMS.items() for kind in kinds_of(union)]
every_kind = pytest.mark.parametrize(
    "section, room, kind", KINDS, ids=[f"{section}-{kind.__name__}" for section, _, kind in KINDS]
)

FILES = {("dropout", "exponential"): "dropout"}
"""Kinds whose module is not named like the word: dropout has one kind so far, and its file is the section."""

CLASSES = {("looks", "none"): "NoLooks", ("analysis", "crossover"): "CrossoverAnalysis"}
"""Kinds whose class is not the word in capitals: None is taken, and Crossover is the endpoint."""

HARM = {"kind": "harm", "probability": 0.6}

BASELINE = {"mean": 3.8, "sd": 1.1, "correlation": 0.7}

SYMMETRY = {"kind": "compound_symmetry", "correlation": 0.6}

LEAVING = {"hazard": 0.2, "reference": 1, "per_point_seen": 0.5, "per_point_unseen": -0.2}

WALK = {"median": 9.5, "sd": 0.5, "correlation": 0.8}

EXAMPLES: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("accrual", "sites"): [
        {"sites": 3, "one_opens_every_months": 2, "patients_per_site_month": 0.5},
        {"sites": 2, "opens_at_months": [4, 0], "patients_per_site_month": [0.3, 1]},
    ],
    ("accrual", "poisson"): [{"patients_per_month": 1.5}, {"patients_per_month": 1.5, "ramp_up_months": 6}],
    ("accrual", "steady"): [{"patients_per_month": 2}],
    ("dropout", "exponential"): [{"proportion": 0.2, "by_month": 6}, {"proportion": 0, "by_month": 6}],
    ("endpoints", "binary"): [
        {"better": better, "assessed_at_month": 6, "window_months": 0.5} for better in ("higher", "lower")
    ],
    ("endpoints", "continuous"): [
        {"better": "higher", "assessed_at_month": 6, "sd": 1.4},
        {"better": "lower", "assessed_at_month": 6, "sd": 1.4, "baseline": BASELINE, "outcome": "change_from_baseline"},
        {"better": "lower", "assessed_at_month": 6, "sd": 1.4, "baseline": BASELINE},
    ],
    ("endpoints", "count"): [
        {"better": "higher", "assessed_at_month": 6, "over_weeks": 4, "dispersion": 0},
        {"better": "lower", "assessed_at_month": 6, "over_weeks": 8, "dispersion": 1.2, "completeness": 0.7},
    ],
    ("endpoints", "ordinal"): [
        {"better": "higher", "assessed_at_month": 6, "labels": ["none", "mild", "severe"]},
        {"better": "lower", "assessed_at_month": 6, "lowest": 1, "highest": 7, "window_months": 0.5},
    ],
    ("endpoints", "crossover"): [
        {"better": "higher", "period_months": 3, "washout_months": 1, "sd_between": 1.2, "sd_within": 0.8},
        {"better": "lower", "period_months": 2, "sd_between": 0, "sd_within": 0.8, "period_effect": 0.3},
        {"better": "lower", "period_months": 2, "sd_between": 1, "sd_within": 0.8, "measured": "throughout"},
    ],
    ("endpoints", "longitudinal"): [
        {"better": "lower", "visits_at_months": [6], "sd": 1.4, "correlation": SYMMETRY},
        {"better": "higher", "visits_at_months": [1, 6], "sd": [1, 2], "correlation": SYMMETRY, "dropout": LEAVING},
        {
            "better": "lower",
            "visits_at_months": [1, 2, 6],
            "sd": 1.4,
            "correlation": {"kind": "autoregressive", "correlation": 0.8},
            "baseline": BASELINE,
            "outcome": "change_from_baseline",
        },
    ],
    ("endpoints", "time_to_event"): [{"better": better, "follow_up_months": 12} for better in ("higher", "lower")],
    ("analysis", "beta_binomial"): [
        {},
        {"prior": {"alpha": 0.5, "beta": 0.5}},
        {"prior": {"alpha": 0.7, "beta": 1.3}},
    ],
    ("analysis", "normal"): [
        {"variance": variance, "sd": 1.2, "prior": prior}
        for variance in ("known", "arm_specific", "common")
        for prior in ({}, {"mean": 0.3, "patients": 2})
    ]
    + [{"variance": "plug_in", "sd": 1.2}],
    ("analysis", "negative_binomial"): [
        {"prior": {"median": 5}},
        {"prior": {"median": 2, "fold": 10}, "dispersion": {"median": 0.5, "fold": 4}},
        {"prior": {"median": 5}, "dispersion": "poisson"},
        {"prior": {"median": 5}, "covariates": ["first", "second"]},
    ],
    ("analysis", "ancova"): [{"sd": 1.0}, {"sd": 1.0, "prior": {"mean": 0.2, "patients": 0.5}}],
    ("analysis", "logistic"): [{}, {"prior": {"mean": -0.5, "sd": 1.5}, "coefficients": {"sd": 1}}],
    ("analysis", "proportional_odds"): [{}, {"effect_sd": 1, "prior_patients": 7}],
    ("analysis", "win_probability"): [{}, {"prior_patients": 4}],
    ("analysis", "crossover"): [
        {"sd_within": 0.8, "sd_between": 1.2, "carry_over": carry_over, "effect": effect}
        for carry_over in ("ignored", "estimated")
        for effect in ({}, {"mean": 0.3, "patients": 2})
    ],
    ("analysis", "mmrm"): [{"sd": 1.1}, {"sd": 1.1, "correlation": 0.3, "prior": {"mean": 0.2, "patients": 0.5}}],
    ("analysis", "piecewise_exponential"): [{"cuts": [3, 6]}, {"cuts": [6], "covariates": ["first", "second"]}],
    ("endpoints", "bounded_score"): [{"better": "higher", "assessed_at_month": 6, "sd": 0.2, "highest": 1.2}],
    ("endpoints", "timed_walk"): [
        {"assessed_at_month": 6, "sd": 0.5},
        {"assessed_at_month": 6, "sd": 0.5, "outcome": "responder", "baseline": WALK},
        {"assessed_at_month": 6, "sd": 0.5, "outcome": "percent_change", "baseline": WALK},
    ],
    ("analysis", "walk"): [{}, {"estimand": "within_seconds", "prior": {"patients": 1}}],
    ("analysis", "weibull"): [{}, {"shape": 1}, {"prior": {"events": 0.5, "months": 4}, "covariates": ["second"]}],
    ("looks", "enrolled"): [{"first": 6, "every": 6}, {"at": [5, 20]}],
    ("looks", "assessed"): [{"first": 6, "every": 6}, {"at": [5, 20]}],
    ("looks", "calendar"): [{"first_month": 6, "every_months": 6, "last_month": 18}, {"at_months": [5, 20]}],
    ("looks", "events"): [{"first": 2, "every": 3}, {"at": [2, 9], "minimum_assessed": 8, "pause": {"months": 3}}],
    ("looks", "several"): [
        {"of": [{"kind": "enrolled", "at": [5, 20]}, {"kind": "calendar", "at_months": [5, 20]}]},
        {
            "of": [{"kind": "assessed", "first": 6, "every": 6}, {"kind": "events", "first": 3, "every": 4}],
            "minimum_months": 9,
            "most": 4,
            "pause": "until_assessed",
        },
    ],
    ("looks", "none"): [{}],
    ("allocation", "equal"): [{}, {"realisation": "independent"}],
    ("allocation", "fixed"): [{"ratio": {"a": 2, "b": 1, "c": 1}}, {"ratio": {"a": 1, "b": 1, "c": 1}, "block": 3}],
    ("allocation", "thompson"): [
        {},
        {"power": 0},
        {"power": 1, "floor": 0.1, "ceiling": 0.6},
        {"power": 1, "control_share": 0.33, "floor": 0.1},
        {"power": 0.5, "control_share": "matched"},
        {"control_share": "square_root", "floor": 0.15},
        {"power": 1, "control_share": 0.33, "floor": 0.1, "rescale": "both"},
        {"power": [0, 0.5, 1], "burn_in": 21, "floor": 0.1},
        {"power": 1, "burn_in_per_arm": 7, "floor": 0.2, "control_share": 0.4},
    ],
    ("allocation", "square_root_control"): [{}],
    ("allocation", "top_two"): [{}, {"beta": 0.7, "floor": 0.1}, {"beta": 1, "control_share": "square_root"}],
    ("allocation", "information_weighted"): [
        {},
        {"variance": False, "gamma": 0.5, "ceiling": 0.6},
        {"control_share": "matched", "zero_out": 0.1},
        {"control_share": 0.3, "zero_out": 0.2, "burn_in_per_arm": 8},
    ],
    ("allocation", "trippa"): [{}, {"gamma": 3, "eta": 1.4, "nu": 0.1, "nu_grows": False, "floor": 0.1}],
    ("allocation", "null_hypothesis"): [{}, {"prior_of_equality": 0.8, "floor": 0.1}, {"effect_sd": 0.3}],
    ("allocation", "neyman"): [{}, {"control_share": 0.4}],
    ("allocation", "rsihr"): [{}, {"burn_in": 21, "burn_in_per_arm": 7}],
    ("allocation", "doubly_adaptive"): [
        {"target": "neyman"},
        {"target": "rsihr", "gamma": 4, "floor": 0.1},
        {"target": "equal", "burn_in": 20},
    ],
    ("allocation", "gittins"): [{"ahead": 3}, {"ahead": 1, "discount": 0.9, "controlled": True, "floor": 0.1}],
    ("allocation", "gittins_normal"): [
        {"ahead": 2, "discount": 0.9},
        {"ahead": 1, "discount": 0.9, "controlled": True},
    ],
    ("allocation", "erade"): [{"target": "rsihr"}, {"target": "neyman", "alpha": 0.7, "floor": 0.1}],
    ("allocation", "play_the_winner"): [{}, {"balls": 3, "added": 2, "control_share": "matched"}],
    ("allocation", "mixture"): [
        {
            "rules": [
                {"weight": 0.5, "rule": {"kind": "square_root_control"}},
                {"weight": 0.5, "rule": {"kind": "thompson", "power": 1, "floor": 0.1}},
            ]
        },
        {
            "rules": [
                {"weight": 2, "rule": {"kind": "fixed", "ratio": {"a": 2, "b": 1, "c": 1}}},
                {"weight": 1, "rule": {"kind": "doubly_adaptive", "target": "rsihr", "burn_in_per_arm": 7}},
            ],
            "block": 12,
        },
    ],
    ("realisation", "independent"): [{}],
    ("realisation", "minimisation"): [
        {"factors": ["first", "site"]},
        {"factors": ["site"], "weights": {"site": 2}, "probability": 1},
        {"factors": ["first", "second"], "sharpness": 0.5, "imbalance": "variance"},
    ],
    ("realisation", "permuted_block"): [{}, {"block": 5}],
    ("realisation", "quota"): [{}, {"block": 5}],
    ("realisation", "stratified"): [{"factors": ["second"]}, {"factors": ["site", "first"], "block": 2}],
    ("realisation", "urn"): [{}, {"mass": 1}],
    ("decisions", "all_of"): [
        {"rules": [{"kind": "efficacy", "probability": 0.6}, {"kind": "efficacy", "margin": 0.1, "probability": 0.5}]},
        {"rules": [{"kind": "drop_arm", "probability": 0.4}, {"kind": "prune", "keep": 1, "at_looks": [2]}]},
    ],
    ("decisions", "any_of"): [
        {"rules": [{"kind": "futility", "probability": 0.4}, {"kind": "futility", "margin": 0.1, "probability": 0.1}]},
        {"rules": [HARM, {"kind": "all_of", "rules": [HARM, HARM | {"from_look": 2}]}], "from_look": 2},
    ],
    ("decisions", "efficacy"): [
        {"probability": 0.9},
        {"probability": 0.6, "then": "close_arm"},
        {"probability": [0.9, 0.9, 0.6, 0.5], "margin": 0.1, "from_look": 2},
        {"probability": {"shape": "obrien_fleming", "final": 0.9}, "multiplicity": "holm"},
        {"probability": {"shape": "wang_tsiatis", "delta": 0.25, "final": 0.9}, "multiplicity": "closed"},
        {"probability": 0.9, "multiplicity": "bonferroni", "then": "close_arm"},
        {"probability": 0.65, "against": "best", "control_too": True},
    ],
    ("decisions", "harm"): [HARM, {"margin": 0.1, "probability": 0.7, "then": "stop", "at_looks": [2]}],
    ("decisions", "non_inferiority"): [{"margin": 0.1, "probability": 0.9, "then": "close_arm"}],
    ("decisions", "benefit_risk"): [{"weights": {"response": 1, "sae": 2}, "probability": 0.4}],
    ("decisions", "prune"): [{"keep": 1}, {"keep": 2, "at_looks": [1, 3]}],
    ("decisions", "futility"): [{"probability": 0.4}, {"probability": [0.1, 0.2, 0.4, 0.5], "from_look": 2}],
    ("decisions", "drop_arm"): [
        {"probability": 0.4},
        {"probability": [0.2, 0.3, 0.4], "margin": 0.1},
        {"probability": 0.2, "against": "best"},
        {"probability": 0.4, "against": 0.4, "at_looks": [1, 3]},
        {"probability": 0.25, "against": "best", "control_too": True},
        {"probability": 0.4, "margin": 0.1, "first_control_only": True},
    ],
    ("decisions", "equivalence"): [
        {"margin": 0.1, "probability": 0.3},
        {"margin": 0.1, "probability": [0.2, 0.3, 0.4], "then": "stop", "first_control_only": True},
        {"margin": 0.2, "probability": 0.6, "against": 0.4},
    ],
    ("decisions", "promote"): [{"probability": 0.9}, {"probability": [0.9, 0.9, 0.6, 0.5], "margin": 0.1}],
    ("decisions", "predictive_success"): [
        {"horizon": "current", "probability": 0.4},
        {"horizon": "maximum", "probability": [0.3, 0.4, 0.6], "then": "efficacy", "from_look": 2},
        {"horizon": "future", "patients_per_arm": 50, "final_probability": 0.7, "probability": 0.5, "margin": 0.1},
    ],
    ("decisions", "predictive"): [{"probability": 0.4}, {"probability": 0.6, "then": "efficacy", "from_look": 2}],
}
"""Section and word of a kind, with what may stand beside `kind:`."""


def word_of(kind: type) -> str:
    return get_args(kind.model_fields["kind"].annotation)[0]


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


TWO_ARMS = {("endpoints", "crossover"), ("analysis", "crossover")}
"""Kinds for exactly two arms: what holds of three is tried with two in `test_two_arms`."""


def examples(*sections: str) -> Any:
    """Parametrise by every example of every kind of these sections; of one section, without those for two arms."""
    cases = [
        pytest.param(kind(**given | {"kind": word_of(kind)}), id=f"{word_of(kind)}-{number}")
        for section, _, kind in KINDS
        if section in sections and (len(sections) > 1 or (section, word_of(kind)) not in TWO_ARMS)
        for number, given in enumerate(EXAMPLES.get((section, word_of(kind)), []), start=1)
    ]
    return pytest.mark.parametrize("part", cases)


# ------------------------------------------------------------------------------------- what is promised


@every_kind
def test_the_word_in_the_file_is_the_name_of_the_module_and_of_the_class(section, room, kind):
    word = word_of(kind)
    assert kind.__module__ == f"sps_adaptive.{room}.{FILES.get((section, word), word)}"
    if (section, word) in CLASSES:
        assert kind.__name__ == CLASSES[section, word]
    else:
        assert snake(kind.__name__) == word


@every_kind
def test_the_docstring_is_a_reference_in_several_sentences(section, room, kind):
    assert "__doc__" in vars(kind) and vars(kind)["__doc__"], f"{kind.__name__} has no docstring of its own"
    prose = re.sub(r"\s+", " ", inspect.getdoc(kind) or "")
    sentences = re.findall(r"[.?!](?=\s+\W*[A-Z]|\s*$)", prose)
    assert len(sentences) >= 2, f"one sentence is no reference: {prose}"


@every_kind
def test_every_field_is_described(section, room, kind):
    silent = [name for name, field in kind.model_fields.items() if name != "kind" and not field.description]
    assert not silent


@every_kind
def test_there_is_a_test_file_of_its_name(section, room, kind):
    file = kind.__module__.rpartition(".")[2]
    assert (TESTS / room / f"test_{file}.py").is_file(), f"write tests/{room}/test_{file}.py"


@every_kind
def test_there_is_an_example(section, room, kind):
    assert EXAMPLES.get((section, word_of(kind))), f"add an example of '{word_of(kind)}' to EXAMPLES"


def test_every_example_is_of_a_kind():
    assert set(EXAMPLES) == {(section, word_of(kind)) for section, _, kind in KINDS}


@pytest.mark.parametrize("section", ROOMS)
def test_no_two_kinds_of_a_section_share_a_word(section):
    words = [word_of(kind) for kind in kinds_of(ROOMS[section][1])]
    assert len(set(words)) == len(words)


@examples(*ROOMS)
def test_a_part_is_frozen_strict_and_the_same_after_a_round_trip(part):
    for name in type(part).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, getattr(part, name))
    with pytest.raises((ValidationError, ValueError)):
        part.something_new = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        type(part)(**part.model_dump(), something_new=1)
    assert type(part).model_validate(part.model_dump(mode="json")) == part


# --------------------------------------------------------------------------------------- how it is tried


def holds(answer: Callable[..., Any], *inputs: Any) -> Any:
    """The answer, after seeing that the inputs are left alone and that asking again gives the same."""
    before = copied(inputs)
    first = answer(*inputs)
    kept = copied(first)
    assert same(inputs, before), "an input was changed"
    assert same(answer(*inputs), kept), "the second answer is not the first"
    assert same(first, kept), "the second question changed the first answer"
    return first


def split(part: Any, which: slice) -> Any:
    """Some replicates of a tuple of arrays, or of an array."""
    if part is None:
        return None
    if isinstance(part, np.ndarray):
        return part[which]
    return type(part)(*(split(piece, which) for piece in part))


PIECES = [slice(0, 1), slice(1, 4), slice(4, R)]


def the_cohort() -> Any:
    rng = np.random.default_rng(5)
    enrolled_at = np.sort(rng.uniform(0, 900, (R, N)), axis=1)
    luck = {"response": np.random.default_rng(8).random((R, N, 4))}
    return a_cohort(enrolled_at, dropout_at=enrolled_at + rng.exponential(600, (R, N)), u_outcome=luck)


PERMUTATION = [2, 0, 1]


# ------------------------------------------------------------------------------------------- population


@examples("accrual")
def test_accrual(part):
    day, site = holds(lambda: part.enrol(7, 2, R, N))
    assert day.shape == site.shape == (R, N)
    assert day.dtype == np.float64 and site.dtype == np.int64
    assert np.isfinite(day).all() and (day >= 0).all() and (np.diff(day, axis=1) >= 0).all()
    assert (site >= 0).all()
    few = part.enrol(7, 2, R, 10)
    assert same(few[0], np.ascontiguousarray(day[:, :10])) and same(few[1], np.ascontiguousarray(site[:, :10]))
    months = [part.expected_months(n) for n in (1, 10, N)]
    assert 0 < months[0] < months[1] < months[2]


@examples("dropout")
def test_dropout(part):
    u = np.random.default_rng(1).random((R, N))
    days = holds(part.days, u)
    assert days.shape == (R, N) and days.dtype == np.float64 and (days >= 0).all() and not np.isnan(days).any()
    for piece in PIECES:
        assert same(part.days(u[piece]), days[piece])
    assert part.proportion_by(0) == 0 and 0 <= part.proportion_by(6) <= part.proportion_by(12) < 1


# -------------------------------------------------------------------------------------------- endpoints

TRUTHS = [
    {"a": 0.25, "b": 0.6, "c": 0.4},
    {"a": {0: 0.5, 12: 0.25}, "b": 0.6, "c": {6: 0.3}},
]


def truth_for(part: Any, truth: dict[str, Any]) -> dict[str, Any]:
    """A truth of numbers, or one for an endpoint that takes no numbers."""
    if part.kind == "timed_walk":
        return {arm: {"median": median, "cannot_walk": 0.1} for arm, median in zip(ARMS, (9, 6, 7), strict=True)}
    if part.kind != "ordinal":
        return truth
    even = [1 / part.categories] * part.categories
    changing = {"drift": truth["a"]} if isinstance(truth["a"], dict) else {}
    ratios = {"a": {"odds_ratio": 2.1}, "c": {"odds_ratio": 0.6, "drift": 0.2}}
    return {"b": {"probabilities": even} | changing} | ratios


@pytest.mark.parametrize("truth", TRUTHS, ids=["constant", "changing"])
@examples("endpoints")
def test_endpoint(part, truth):
    cohort, truth, visits = the_cohort(), part.read(truth_for(part, truth)), part.outcomes
    luck = np.random.default_rng(8).random((R, N, part.uniforms))
    cohort = cohort if part.uniforms == 1 else cohort._replace(u_outcome={"response": luck})
    potential = holds(part.potential, cohort, "response", ARMS, truth)
    assert isinstance(potential, Potential)
    assert part.uniforms <= cohort.u_outcome["response"].shape[2]
    assert potential.value.shape == (R, N, A, visits)
    assert potential.value.dtype in (np.float64, np.bool_)
    assert potential.known_at.shape in ((R, N, 1, visits), (R, N, A, visits))
    known_at = np.broadcast_to(potential.known_at, (R, N, A, visits))
    finite = np.isfinite(known_at)
    assert not np.isnan(known_at).any()
    assert (known_at >= cohort.enrolled_at[:, :, None, None])[finite].all()
    assert (known_at <= cohort.dropout_at[:, :, None, None])[finite].all()
    assert finite.any() and not finite.all()
    for piece in PIECES:
        part_of_it = part.potential(rows(cohort, piece), "response", ARMS, truth)
        assert same(part_of_it, split(potential, piece))
    arms = tuple(ARMS[a] for a in PERMUTATION)
    turned = part.potential(cohort, "response", arms, truth)
    assert same(np.ascontiguousarray(potential.value[:, :, PERMUTATION]), np.ascontiguousarray(turned.value))
    means = holds(part.true_values, cohort, ARMS, truth, part.scales()[0])
    assert means.shape == (A,)
    np.testing.assert_array_equal(part.true_values(cohort, arms, truth, part.scales()[0]), means[PERMUTATION])
    if part.kind not in ("ordinal", "timed_walk"):
        assert means[1] == pytest.approx(part.natural(np.array(0.6)))
    x = np.array([[0.1, 0.9]])
    holds(part.natural, x)
    holds(part.natural_difference, x)
    np.testing.assert_allclose(part.natural(part.natural(x)), x)


# --------------------------------------------------------------------------------------------- analysis


def a_snapshot(part: Any, day: float = 500.0) -> Snapshot:
    """What a model may know.

    Replicate 0 knows nothing, replicate 1 nothing of arm c; the others are in the midst of it.
    """
    rng = np.random.default_rng(6)
    cohort = the_cohort()
    arm = rng.integers(0, A, (R, N))
    arm[1] = rng.integers(0, A - 1, N)
    u = rng.random((R, N, 1))
    days = np.full(R, day)
    days[0] = -np.inf
    if "time_to_event" in part.takes or "count" in part.takes:
        levels = np.stack([rng.integers(0, 2, (R, N)), rng.integers(0, 3, (R, N))], axis=-1)
        cohort = cohort._replace(strata=levels)
    if "time_to_event" in part.takes:
        kind = ENDPOINTS["time_to_event"]
        luck = cohort._replace(u_outcome={"relapse": u})
        outcome = pick(kind.potential(luck, "relapse", ARMS, kind.read({"a": 0.7, "b": 0.4, "c": 0.5})), arm)
        seen = cut(days, cohort, arm, outcome, A)
        return seen._replace(followed=followed(days, cohort, seen.arm, outcome))
    value = outcomes_for(part, u, rng)
    known_at = cohort.enrolled_at + 180
    known_at = np.where(known_at <= cohort.dropout_at, known_at, np.inf)[..., None].repeat(value.shape[2], axis=2)
    return cut(days, cohort, arm, Outcome(value, known_at), A)


def outcomes_for(part: Any, u: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Oriented outcomes that a model takes, [R, N, V]."""
    if "binary" in part.takes:
        return u < 0.4
    if "ordinal" in part.takes:
        return np.floor(4 * u)
    if "count" in part.takes:  # weeks of diary and events
        weeks = 4 * rng.integers(20, 29, u.shape) / 28
        return np.concatenate([weeks, rng.poisson(rng.gamma(1, 5, u.shape) * weeks)], axis=2)
    if part.kind == "walk":  # speeds, 0 for those who cannot walk
        return np.where(u < 0.2, 0.0, np.exp(rng.normal(1, 0.5, (R, N, 1))))
    return rng.normal(0.3, 1.1, (R, N, 1))


SETTING = AnalysisSetting(ARMS, factors={"first": {"x": 0.5, "y": 0.5}, "second": {"u": 0.2, "v": 0.5, "w": 0.3}})
"""The trial in which models are asked, but for the endpoint."""

ENDPOINTS = {
    "ordinal": Ordinal(kind="ordinal", better="higher", assessed_at_month=6, lowest=0, highest=3),
    "time_to_event": TimeToEvent(kind="time_to_event", better="higher", follow_up_months=12),
}
"""The endpoints that models must know, by kind."""


def setting_for(part: Any, arms: tuple[str, ...] = ARMS, control: int = 0) -> AnalysisSetting:
    """The trial in which a model is asked."""
    return SETTING._replace(arms=arms, control=control, endpoint=ENDPOINTS.get(min(part.takes)))


COMPARING = ("proportional_odds", "win_probability", "walk")
"""Models of what sets an arm apart from the control, whose own value is known."""

SUMMED = ("walk",)
"""Models whose posterior is a sum over fixed points, each of whose coordinates belongs to an arm."""

AMONG = np.array([[True] * 3, [True] * 3, [True, False, True], [True, True, False], [True, False, False], [True] * 3])


def answers(posterior: Any, among: np.ndarray = AMONG) -> dict[str, np.ndarray]:
    """Every question that can be asked of a posterior."""
    return {
        "mean": posterior.mean(),
        "outcome sd": posterior.outcome_sd(),
        "interval": posterior.interval(0.9),
        "best": posterior.prob_best(among),
        "better": posterior.prob_better(0),
        "better by": posterior.prob_better(1, 0.1),
        "not worse by": posterior.prob_better(2, -0.1),
        "difference": posterior.difference(0, 0.9),
    }


def success(posterior: Any, replicates: slice = slice(None)) -> dict[str, np.ndarray]:
    """What is predicted of analyses to come."""
    more = np.array([[4, 4, 4], [3, 5, 2], [0, 0, 0], [1, 0, 2], [0, 3, 0], [2, 2, 7]])[replicates]
    return {
        "success": posterior.prob_success(0, 0.0, 0.9, more),
        "success by": posterior.prob_success(1, 0.1, 0.7, more),
        "success alone": posterior.prob_success(None, 0.2, 0.8, more),
        "success anew": posterior.prob_success(0, -0.1, 0.9, more + 10, fresh=True),
    }


@examples("analysis")
def test_analysis_model(part):
    snapshot = a_snapshot(part)
    assert snapshot.n_known[0] == 0 and snapshot.arm_known[1, 2] == 0 and (snapshot.n_pending[1:] > 0).all()
    model = part.bind(setting_for(part))
    found = holds(lambda given: answers(model.fit(given)), snapshot)
    for name, shape in {
        "mean": (R, A),
        "outcome sd": (R, A),
        "interval": (R, A, 2),
        "best": (R, A),
        "better": (R, A),
        "better by": (R, A),
        "not worse by": (R, A),
        "difference": (R, A, 3),
    }.items():
        assert found[name].shape == shape and found[name].dtype == np.float64, name
        assert np.isfinite(found[name]).all(), name
    compares = part.kind in COMPARING and getattr(part, "estimand", "win_probability") == "win_probability"
    sure = np.arange(A) == (0 if compares else -1)
    assert ((found["interval"][..., 0] < found["interval"][..., 1]) | sure).all()
    np.testing.assert_allclose(found["best"].sum(axis=1), 1, atol=1e-9)
    assert (found["best"][~AMONG] == 0).all() and (found["best"] >= 0).all()
    for name in ("better", "better by", "not worse by"):
        assert (found[name] >= 0).all() and (found[name] <= 1).all(), name
    assert (found["better"][:, 0] == 0).all() and (found["better by"][:, 1] == 0).all()
    assert (found["not worse by"][:, 2] == 1).all()
    assert (found["difference"][:, 0] == 0).all()
    middle, low, high = np.moveaxis(found["difference"][:, 1:], -1, 0)
    assert (low < high).all()
    np.testing.assert_allclose(middle, found["mean"][:, 1:] - found["mean"][:, :1], rtol=1e-9, atol=1e-9)


@examples("analysis")
def test_analysis_model_split_by_replicates_says_the_same_to_the_last_bit(part):
    snapshot = a_snapshot(part)
    model = part.bind(setting_for(part))
    whole = answers(model.fit(snapshot))
    for piece in PIECES:
        some = answers(model.fit(split(snapshot, piece)), AMONG[piece])
        for name, value in some.items():
            assert same(np.ascontiguousarray(value), np.ascontiguousarray(whole[name][piece])), name


@examples("analysis")
def test_analysis_model_with_the_arms_in_another_order(part):
    """What is 2 in the new order was PERMUTATION[2] in the old."""
    snapshot = a_snapshot(part)
    new_of_old = np.argsort(PERMUTATION)
    turned = snapshot._replace(
        arm=np.where(snapshot.arm >= 0, new_of_old[snapshot.arm], -1),
        arm_enrolled=snapshot.arm_enrolled[:, PERMUTATION],
        arm_known=snapshot.arm_known[:, PERMUTATION],
        arm_total=snapshot.arm_total[:, PERMUTATION],
    )
    one, other = (
        part.bind(setting_for(part)).fit(snapshot),
        part.bind(setting_for(part, tuple(ARMS[a] for a in PERMUTATION), int(new_of_old[0]))).fit(turned),
    )
    summed = 0.02 if part.kind in SUMMED else 0.0
    np.testing.assert_allclose(other.mean(), one.mean()[:, PERMUTATION], atol=1e-12 + summed)
    best, theirs = one.prob_best(AMONG)[:, PERMUTATION], other.prob_best(AMONG[:, PERMUTATION])
    np.testing.assert_allclose(theirs, best, atol=1e-7 + summed)
    for than, by in ((0, 0.0), (1, 0.1)):
        theirs = other.prob_better(int(new_of_old[than]), by)
        np.testing.assert_allclose(theirs, one.prob_better(than, by)[:, PERMUTATION], atol=1e-7 + summed)


@examples("analysis")
def test_analysis_model_sees_nothing_but_what_is_known(part):
    """Values that are not known may be anything, and so may the covariates of those who are not enrolled."""
    snapshot = a_snapshot(part)
    model = part.bind(setting_for(part))
    noise = np.where(snapshot.known, snapshot.value, 1e6)
    covariates = np.where((snapshot.arm >= 0)[..., None], snapshot.covariates, 1e6)
    disturbed = snapshot._replace(value=noise, covariates=covariates)
    expected = answers(model.fit(snapshot))
    for name, value in answers(model.fit(disturbed)).items():
        assert same(value, expected[name]), name


PREDICTING = [kind for kind in examples("analysis").args[1] if getattr(kind.values[0], "variance", "") != "plug_in"]


@pytest.mark.parametrize("part", PREDICTING)
def test_analysis_model_predicts_success(part):
    snapshot = a_snapshot(part)
    model = part.bind(setting_for(part))
    found = holds(lambda given: success(model.fit(given)), snapshot)
    for name, value in found.items():
        assert value.shape == (R, A) and value.dtype == np.float64, name
        assert (value >= 0).all() and (value <= 1).all(), name
    assert (found["success"][:, 0] == 0).all() and (found["success by"][:, 1] == 0).all()
    assert (found["success anew"][:, 0] == 1).all()
    assert np.isin(found["success"][2], (0, 1)).all(), "nothing is to come in this replicate"
    decided = model.fit(snapshot).prob_better(0)[2] > 0.9
    assert (found["success"][2] == decided).all()
    for piece in PIECES:
        some = success(model.fit(split(snapshot, piece)), piece)
        for name, value in some.items():
            assert same(np.ascontiguousarray(value), np.ascontiguousarray(found[name][piece])), name


# -------------------------------------------------------------------------------------------- schedules


@examples("looks")
def test_schedule(part):
    cohort = the_cohort()
    known_at = cohort.enrolled_at + 180
    known_at = np.where(known_at <= cohort.dropout_at, known_at, np.inf)[..., None]
    outcome = Outcome(np.random.default_rng(7).random((R, N, 1)) < 0.5, known_at)
    number = part.n_looks(N)
    assert isinstance(number, int) and number == part.n_looks(N)
    assert part.problems(N) == []
    part = part.bind(SimpleNamespace(better="higher"))
    assert part.n_looks(N) == number and part.words(N) == part.words(N)
    before = np.full(R, -np.inf)
    for index in range(number):
        day = holds(part.day, index, cohort, outcome, before)
        assert day.shape == (R,) and day.dtype == np.float64 and not np.isnan(day).any()
        assert (day >= before).all()
        for piece in PIECES:
            some = part.day(index, rows(cohort, piece), split(outcome, piece), before[piece])
            assert same(some, np.ascontiguousarray(day[piece]))
        analysed = holds(part.analysed, day, cohort, outcome)
        assert (analysed >= day).all() and (np.isfinite(analysed) == np.isfinite(day)).all()
        for piece in PIECES:
            some = part.analysed(day[piece], rows(cohort, piece), split(outcome, piece))
            assert same(np.ascontiguousarray(some), np.ascontiguousarray(analysed[piece]))
        before = analysed


# ------------------------------------------------------------------------------------------- allocation

OPEN = np.array([[True] * 3, [True] * 3, [True, False, True], [True, True, False], [True, False, False], [True] * 3])
BEST = np.array([[0.1, 0.7, 0.2], [0, 1, 0], [0.3, 0.1, 0.6], [0.9, 0.1, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
BETTER = np.array([[0, 0.95, 0.5], [0, 0.1, 0.2], [0, 0.99, 0.3], [0, 0.2, 0.99], [0, 0.5, 0.5], [0, 0.7, 0.99]])
SCHEDULED = 3


def the_look(k: int = 1, order: list[int] | None = None, which: slice = slice(None)) -> Any:
    order = order or [0, 1, 2]
    better = BETTER[which][:, order]
    posterior = FakePosterior(BEST[which][:, order], {0.0: better, 0.1: better**2, -0.1: better**0.5})
    numbers = np.array([0, 10, 20, 21, 22, 24])[which]
    return a_look(
        posterior, OPEN[which][:, order], k=k, n_looks=SCHEDULED, patients=N, control=order.index(0), n_enrolled=numbers
    )


def ready(part: Any, arms: tuple[str, ...] = ARMS) -> Any:
    return part.bind(arms)


@examples("allocation")
def test_allocation_rule(part):
    rule = ready(part)
    for probabilities in (holds(rule.start, OPEN, 0), holds(rule.probabilities, the_look())):
        assert probabilities.shape == (R, A) and probabilities.dtype == np.float64
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
        assert (probabilities >= 0).all() and (probabilities[~OPEN] == 0).all()
    assert isinstance(rule.block_length(A), int) and rule.block_length(A) >= 0
    if part.realisation == "independent":
        assert rule.block_length(A) == 0


@examples("allocation")
def test_allocation_rule_split_by_replicates_says_the_same_to_the_last_bit(part):
    rule = ready(part)
    start, later = rule.start(OPEN, 0), rule.probabilities(the_look())
    for piece in PIECES:
        assert same(rule.start(OPEN[piece], 0), np.ascontiguousarray(start[piece]))
        assert same(rule.probabilities(the_look(which=piece)), np.ascontiguousarray(later[piece]))


@examples("allocation")
def test_allocation_rule_with_the_arms_in_another_order(part):
    one, other = ready(part), ready(part, tuple(ARMS[a] for a in PERMUTATION))
    control = PERMUTATION.index(0)
    np.testing.assert_allclose(
        other.start(OPEN[:, PERMUTATION], control), one.start(OPEN, 0)[:, PERMUTATION], atol=1e-14
    )
    turned = other.probabilities(the_look(order=PERMUTATION))
    np.testing.assert_allclose(turned, one.probabilities(the_look())[:, PERMUTATION], atol=1e-14)


# ------------------------------------------------------------------------------------------ realisation

FACTORS = {"first": 2, "second": 3, "site": 2}
CHANCES = np.array([[0.2, 0.5, 0.3], [1 / 3] * 3, [0.4, 0, 0.6], [0.7, 0.3, 0], [1, 0, 0], [0.05, 0.05, 0.9]])
OWED = np.array([[0.5, -1, 0.5], [0, 0, 0], [-1, 1.5, -0.5], [2, -2, 0], [-3, 1, 2], [-0.4, 0.6, -0.2]])
START = np.array([0, 5, 12, 23, 24, 7])


def told_apart(cohort: Any, seed: int = 8) -> Any:
    rng, shape = np.random.default_rng(seed), cohort.u_arm.shape
    strata = np.stack([rng.integers(0, 2, shape), rng.integers(0, 3, shape)], axis=2).astype(np.int16)
    return cohort._replace(strata=strata, site=rng.integers(0, 2, shape))


@examples("realisation")
def test_realisation(part):
    cohort, dealer = told_apart(the_cohort()), part.dealer(6, FACTORS)
    before = np.random.default_rng(4).integers(0, A, (R, N)).astype(np.int8)
    arm = holds(dealer.deal, before, CHANCES, cohort, START, OWED)
    assert arm.shape == (R, N) and arm.dtype == np.int8
    for r, start in enumerate(START):
        np.testing.assert_array_equal(arm[r, :start], before[r, :start])
        assert (CHANCES[r, arm[r, start:]] > 0).all(), "a closed arm got a patient"
    for piece in PIECES:
        some = dealer.deal(before[piece], CHANCES[piece], rows(cohort, piece), START[piece], OWED[piece])
        assert same(some, np.ascontiguousarray(arm[piece]))
    assert isinstance(part.block_length(6), int) and part.block_length(6) >= 0
    assert part.problems(FACTORS) == [] and part.words(6)
    assert set(part.balances()) <= set(FACTORS)


@examples("realisation")
def test_realisation_does_not_know_the_future(part):
    """Who comes later changes nothing for those before: not their factors, and not their luck."""
    cohort, dealer = told_apart(the_cohort()), part.dealer(6, FACTORS)
    other = told_apart(cohort, seed=9)
    later = np.arange(N) >= 15
    other = other._replace(
        strata=np.where(later[:, None], other.strata, cohort.strata),
        site=np.where(later, other.site, cohort.site),
        u_arm=np.where(later, np.random.default_rng(3).random((R, N)), cohort.u_arm),
        u_block=np.where(later, 0.5, cohort.u_block),
    )
    nobody, nothing = np.zeros((R, N), np.int8), np.zeros(R, np.int64)
    one, two = (dealer.deal(nobody, CHANCES, each, nothing, OWED) for each in (cohort, other))
    np.testing.assert_array_equal(one[:, :15], two[:, :15])


@examples("realisation")
def test_realisation_with_the_arms_in_another_order_gives_each_patient_the_same_chances(part):
    many = 8000
    rng, shape = np.random.default_rng(12), (many, 10)
    day = np.broadcast_to(np.arange(10.0), shape)
    kept = told_apart(a_cohort(day[:1]))  # the same patients in every replicate, but for their luck
    cohort = a_cohort(
        day,
        strata=np.broadcast_to(kept.strata, (*shape, 2)),
        site=np.broadcast_to(kept.site, shape),
        u_arm=rng.random(shape),
        u_block=rng.random(shape),
    )
    nobody, nothing, dealer = np.zeros(shape, np.int8), np.zeros(many, np.int64), part.dealer(6, FACTORS)
    pi, owed = np.tile((0.2, 0.5, 0.3), (many, 1)), np.tile((0.6, -1, 0.4), (many, 1))
    one = dealer.deal(nobody, pi, cohort, nothing, owed)
    other = np.array(PERMUTATION)[
        dealer.deal(nobody, pi[:, PERMUTATION].copy(), cohort, nothing, owed[:, PERMUTATION].copy())
    ]

    def pairs(dealt: np.ndarray) -> np.ndarray:  # each patient's arm, and whether the next one gets the same
        here = dealt[:, :, None] == np.arange(A)
        return np.concatenate([here, here[:, 1:] & here[:, :-1]], axis=1)

    share, theirs = pairs(one).mean(axis=0), pairs(other).mean(axis=0)
    error = np.sqrt(2 * np.maximum(share * (1 - share), 1e-4) / many)
    assert (np.abs(share - theirs) < 5 * error).all()


@examples("allocation")
def test_allocation_rule_is_told_in_a_piece_of_a_sentence(part):
    told = part.words(ARMS)
    assert told and told == " ".join(told.split()) and not told.endswith((".", ";", ","))
    assert ". " not in told and not told[0].isspace() and not told[:2].istitle()


@examples("allocation")
def test_allocation_rule_has_no_problem_with_its_own_example(part):
    arms = ARMS[:2] if part.kind == "erade" else ARMS
    assert part.problems(Setting(arms, SCHEDULED, part.kind != "gittins_normal")) == []


# -------------------------------------------------------------------------------------------- decisions


@pytest.mark.parametrize("k", range(SCHEDULED + 1))
@examples("decisions")
def test_decision_rule(part, k):
    if isinstance(part, Predictive):  # any function of a look will do for its table
        part = part.bind(lambda look: look.posterior.prob_better(look.control))
    else:
        part = part.within([Efficacy(kind="efficacy", probability=0.9)], Equal(kind="equal"))
    said = holds(part.verdict, the_look(k))
    assert said.stop.shape == (R,) and said.stop.dtype == np.int8
    assert np.isin(said.stop, list(Stop)).all()
    for flags in (said.close, said.claim):
        assert flags.shape == (R, A) and flags.dtype == np.bool_
        assert not flags[~OPEN].any()
        assert getattr(part, "control_too", False) or not (flags[:, 0] & (said.promote < 0)).any()
    assert said.promote.shape == (R,) and (part.effect == "promote" or (said.promote == -1).all())
    if k == SCHEDULED and not part.at_final:
        assert not said.stop.any() and not said.close.any() and not said.claim.any()
    for piece in PIECES:
        some = part.verdict(the_look(k, which=piece))
        assert same(tuple(map(np.ascontiguousarray, some)), tuple(np.ascontiguousarray(each[piece]) for each in said))
    turned = part.verdict(the_look(k, order=PERMUTATION))
    np.testing.assert_array_equal(turned.stop, said.stop)
    np.testing.assert_array_equal(turned.close, said.close[:, PERMUTATION])
    np.testing.assert_array_equal(turned.claim, said.claim[:, PERMUTATION])
    np.testing.assert_array_equal(
        turned.promote, np.where(said.promote >= 0, np.argsort(PERMUTATION)[said.promote], -1)
    )


@examples("decisions")
def test_decision_rule_has_no_problem_with_its_own_example(part):
    assert part.problems(SCHEDULED, part.at_final) == []
