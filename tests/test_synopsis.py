"""A scenario in plain English, the defaults it used, and what a statistician would ask."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sps_adaptive.block import draw, run_designs
from sps_adaptive.contracts import DAYS_PER_MONTH
from sps_adaptive.scenario import Scenario
from sps_adaptive.spec import load_scenario
from sps_adaptive.synopsis import defaults, describe, expected_looks, warnings
from sps_adaptive.timeline import cut, pick

SCENARIOS = Path(__file__).parents[1] / "scenarios"
FILES = ["ivig.yaml", "stiffness.yaml"]
every_file = pytest.mark.parametrize("file", FILES)


@cache
def loaded(file):
    return load_scenario(SCENARIOS / file)


def changed(*changes, file="ivig.yaml"):
    """The scenario of a file with some sections changed: (path with dots, value); None takes a key away."""
    content = copy.deepcopy(loaded(file).model_dump(mode="json", exclude_unset=True))
    for truth, spec in loaded(file).truths.items():
        content["truths"][truth] = spec.model_dump(mode="json", exclude_unset=True)
    for path, value in changes:
        *sections, last = path.split(".")
        place = content
        for key in sections:
            place = place[int(key)] if isinstance(place, list) else place[key]
        if value is None:
            place.pop(last)
        elif isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    return Scenario.model_validate(content).checked()


MENDED = ("allocation.floor", 0.2)
"""With 0.15 a block of 6 need not have a patient on every arm, and the file is warned about that."""


# -------------------------------------------------------------------------------------------- in words


@every_file
def test_the_sentences_tell_the_numbers_of_the_file(file):
    scenario = loaded(file)
    arms, population, endpoint, analysis, prior, looks, randomisation, *rules, benchmark = describe(scenario)
    control, *others = scenario.arm_names
    assert control in arms and all(other in arms for other in others)
    assert f"at most {scenario.population.patients}" in population
    accrual, dropout = scenario.population.accrual, scenario.population.dropout
    if accrual.kind == "sites":
        rate = accrual.sites * accrual.patients_per_site_month
        assert f"{accrual.sites} sites" in population
        assert f"month {(accrual.sites - 1) * accrual.one_opens_every_months:g};" in population
        assert f"enrol {rate:.3g} a month" in population
    else:
        assert f"{accrual.patients_per_month:g} a month" in population
        assert f"build-up of {accrual.ramp_up_months:g} months" in population
    assert f"{100 * dropout.proportion:g}% have dropped out by {dropout.by_month:g} months" in population
    for number in (scenario.endpoint.assessed_at_month, scenario.endpoint.window_months):
        assert f"{number:g} months" in endpoint
    assert f"{scenario.endpoint.better} is better" in endpoint
    assert scenario.endpoint_name in endpoint
    assert scenario.analysis[scenario.endpoint_name].kind in analysis
    assert prior.startswith("Prior: before any data")
    for count in scenario.looks.counts(scenario.population.patients):
        assert str(count) in looks
    assert scenario.looks.kind in looks
    rule = scenario.allocation
    assert f"to the power {rule.power}" in randomisation
    assert f"between {rule.floor:g} and {rule.ceiling:g}" in randomisation
    assert f"blocks of {rule.block}" in randomisation
    if isinstance(rule.control_share, float):
        assert f"keeps {100 * rule.control_share:g}%" in randomisation
    assert len(rules) == len(scenario.decisions)
    for number, (sentence, decision) in enumerate(zip(rules, scenario.decisions, strict=True), start=1):
        assert sentence.startswith(f"Rule {number}:")
        levels = decision.probability if isinstance(decision.probability, list) else [decision.probability]
        assert " / ".join(f"{level:g}" for level in levels) in sentence
        if decision.margin:
            unit = "points" if scenario.endpoint.kind == "continuous" else "percentage points"
            size = decision.margin * (1 if scenario.endpoint.kind == "continuous" else 100)
            assert f"by more than {size:g} {unit}" in sentence
    assert "without looks" in benchmark


@every_file
def test_every_paragraph_is_made_of_sentences(file):
    for paragraph in describe(loaded(file)):
        assert paragraph[0].isupper() and paragraph.endswith(".")
        assert "None" not in paragraph and "  " not in paragraph


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            [("looks", {"kind": "none"}), ("decisions", [{"kind": "efficacy", "probability": 0.985}])],
            "none before the final",
        ),
        ([("looks", {"kind": "calendar", "at_months": [24, 36.5, 48, 60]})], "at months 24, 36.5, 48 and 60"),
        ([("looks", {"kind": "assessed", "at": [20, 30, 40, 50]})], "20, 30, 40 and 50 patients have been assessed"),
        ([("allocation", {"kind": "equal"})], "equal, in randomisation blocks of 6"),
        ([("allocation", {"kind": "equal", "realisation": "independent"})], "by independent draws"),
        (
            [("allocation", {"kind": "fixed", "ratio": {"mycophenolate": 1, "placebo": 2, "ivig": 1.5}})],
            "Randomisation: 2:1.5:1, in randomisation blocks of 6",
        ),
        ([("allocation.control_share", "matched")], "matched to the best other arm"),
        (
            [("allocation", {"kind": "information_weighted", "control_share": "matched", "zero_out": 0.1})],
            "times the posterior variance per patient enrolled, without arms whose share is below 0.1",
        ),
        ([("allocation", {"kind": "trippa"})], "it is behind the largest open arm) to the power 0.25 n/N"),
        (
            [
                (
                    "allocation",
                    {
                        "kind": "mixture",
                        "rules": [
                            {"weight": 1, "rule": {"kind": "square_root_control"}},
                            {"weight": 1, "rule": {"kind": "null_hypothesis", "floor": 0.1}},
                        ],
                    },
                )
            ],
            "a mixture of 50% (the control gets 1/(1 + square root",
        ),
        ([("allocation.control_share", None)], "competes like the other arms"),
        ([("population.dropout", None)], "Nobody drops out"),
        ([("population.accrual", {"kind": "steady", "patients_per_month": 1.5})], "equal intervals, 1.5 a month"),
        ([("decisions.1.then", "close_arm")], "it takes no more patients and the others go on"),
        ([("decisions.2.from_look", 3)], "from look 3"),
    ],
)
def test_other_designs_have_their_own_words(changes, words):
    assert words in " ".join(describe(changed(*changes)))


def test_defaults_that_were_used_are_told_and_no_others():
    scenario = changed(("allocation", {"kind": "thompson"}), ("simulation", None))
    told = dict(line.split(" = ") for line in defaults(scenario))
    assert told["allocation.power"] == "n/2N"
    assert told["allocation.floor"] == "0"
    assert told["allocation.ceiling"] == "1"
    assert told["allocation.realisation"] == "quota"
    assert told["simulation.replicates"] == "10000"
    assert told["simulation.seed"] == str(scenario.simulation.seed)
    assert not any("probability" in path or "patients_per_site_month" in path or "source" in path for path in told)


def test_a_default_that_is_written_down_is_not_told():
    assert "allocation.ceiling = 1" in defaults(changed())
    assert "allocation.ceiling = 1" not in defaults(changed(("allocation.ceiling", 1.0)))


# ------------------------------------------------------------------------------------ what a look will find


@every_file
def test_the_first_look_finds_about_what_is_expected(file):
    """Against 2,000 cohorts: the forecast puts the mean in for a random path, so a tenth is near enough.

    At the first look nothing has been decided, so the simulated means are those of any design.
    """
    scenario = loaded(file)
    design = scenario.designs()["adaptive"]
    cohort = draw(scenario, 0)
    truth = scenario.truth("nothing works").of(scenario.endpoint_name)
    outcome = pick(
        design.endpoint.potential(cohort, design.endpoint_name, design.arms, truth),
        np.zeros(cohort.u_arm.shape, np.int64),
    )
    day = scenario.looks.day(0, cohort, outcome, np.full(len(cohort.site), -np.inf))
    snapshot = cut(day, cohort, np.zeros(cohort.u_arm.shape, np.int64), outcome, 3)
    expected = expected_looks(scenario)[0]
    assert expected.month == pytest.approx(snapshot.day.mean() / DAYS_PER_MONTH, rel=0.1)
    assert expected.enrolled == pytest.approx(snapshot.n_enrolled.mean(), rel=0.1)
    assert expected.known == pytest.approx(snapshot.n_known.mean(), rel=0.1)
    assert expected.pending == pytest.approx(snapshot.n_pending.mean(), rel=0.1, abs=0.5)


def test_looks_after_the_last_patient_are_not_expected():
    scenario = changed(("looks", {"kind": "calendar", "at_months": [24, 36, 48, 900]}))
    assert len(expected_looks(scenario)) == 3
    scenario = changed(("looks", {"kind": "assessed", "at": [20, 30, 40, 71]}))  # 12% of 72 are lost by month 6
    assert len(expected_looks(scenario)) == 3


@pytest.mark.parametrize("pause", ["until_assessed", {"months": 5}])
def test_what_is_expected_of_looks_that_wait_for_several_reasons_and_pause(pause):
    """Against 2,000 trials that nothing stops, at every look."""
    looks = {"kind": "several", "of": [{"kind": "enrolled", "at": [20, 40]}, {"kind": "events", "at": [12, 24]}]}
    scenario = changed(
        ("looks", looks | {"minimum_months": 30, "pause": pause}),
        ("decisions", []),
        ("allocation", {"kind": "equal"}),
        ("truths", {"even": {"response": {"placebo": 0.4, "ivig": 0.4, "mycophenolate": 0.4}}}),
    )
    simulated = run_designs(scenario, "even", draw(scenario, 0))["adaptive"].looks
    for expected, seen in zip(expected_looks(scenario), simulated, strict=False):
        there = seen.took_place
        assert there.mean() > 0.4
        for about, found in (
            (expected.month, seen.day / DAYS_PER_MONTH),
            (expected.enrolled, seen.n_enrolled),
            (expected.known, seen.n_known),
            (expected.pending, seen.n_pending),
        ):
            assert about == pytest.approx(found[there].mean(), rel=0.2, abs=1.0)


def test_the_end_of_enrolment_is_told():
    assert (
        "Enrolment closes in month 60, whatever the number" in describe(changed(("population.closes_at_month", 60)))[1]
    )


# ---------------------------------------------------------------------------------------------- warnings

DECISIONS = [{"kind": "efficacy", "probability": [0.998, 0.994, 0.989, 0.985, 0.975]}]
TWO_ARMS = [
    ("arms.mycophenolate", None),
    *((f"truths.{truth}.response.mycophenolate", None) for truth in loaded("ivig.yaml").truths),
]

BALANCED = [("population.covariates", {"gad65": {"high": 0.6, "low": 0.4}}), ("allocation.block", None)]
MINIMISED = {"kind": "minimisation", "factors": ["gad65", "site"], "probability": 0.8}

WARNED = {
    "pending": ([("looks.first", 6), ("decisions", [])], "pending at one look"),
    "few outcomes": ([("looks.first", 12), ("decisions", [])], "At the first look about"),
    "two arms": (TWO_ARMS, "between two arms costs power"),
    "small urn": ([("allocation", {"kind": "play_the_winner"})], "11 patients to 1"),
    "rare corrections": (
        [("allocation", {"kind": "doubly_adaptive", "target": "rsihr"})],
        "corrects its course at looks",
    ),
    "guessing": ([*TWO_ARMS, ("allocation", {"kind": "erade", "target": "rsihr"})], "leave little to chance"),
    "bare control": ([("allocation.floor", 0), ("allocation.control_share", None)], "Nothing protects the control"),
    "no bounds": ([("allocation.floor", 0)], "Without floor and ceiling"),
    "small floor": ([("allocation.floor", 0.15), ("allocation.block", 6)], "less than one patient a block"),
    "floor rounded away": (
        [("allocation.floor", 0.15), ("allocation.block", 6), ("allocation.realisation", "permuted_block")],
        "rounding to whole patients can leave the arm with none",
    ),
    "balanced in vain": ([*BALANCED, ("allocation.realisation", MINIMISED)], "not the power that a prognostic factor"),
    "minimisation and adaptation": (
        [*BALANCED, ("allocation.realisation", MINIMISED)],
        "towards the latest probabilities",
    ),
    "one site": (
        [
            ("population.accrual", {"kind": "poisson", "patients_per_month": 2, "source": "assumed"}),
            ("allocation.realisation", MINIMISED | {"factors": ["site"]}),
            ("allocation.block", None),
        ],
        "nothing to balance between sites",
    ),
    "many strata": (
        [*BALANCED, ("allocation.realisation", {"kind": "stratified", "factors": ["site", "gad65"], "block": 4})],
        "less than a block of 4: little is balanced",
    ),
    "no look": ([("looks", {"kind": "none"}), ("decisions", [])], "can never adapt"),
    "cut blocks": ([("allocation.block", 7)], "do not fall at the end of randomisation blocks of 7"),
    "no efficacy": ([("decisions", [])], "no efficacy rule"),
    "two efficacy margins": (
        [("decisions", [*DECISIONS, {"kind": "efficacy", "margin": 0.1, "probability": 0.9}])],
        "several efficacy rules",
    ),
    "one threshold": ([("decisions.1.probability", 0.985)], "same at all 5 analyses"),
    "crossing": (
        [("decisions.2", {"kind": "futility", "margin": -0.1, "probability": 0.99})],
        "futility threshold 0.99 is above the efficacy threshold 0.975",
    ),
    "crossing arms": (
        [("decisions.0", {"kind": "drop_arm", "margin": -0.1, "probability": 0.98})],
        "drop_arm threshold 0.98 is above",
    ),
    "a p-value": ([("decisions", [{"kind": "efficacy", "probability": 0.025}])], "is this a p-value"),
    "giving up a good arm": ([("decisions.2.probability", 0.95)], "meant the other way round"),
    "looks after the end": (
        [("looks", {"kind": "calendar", "at_months": [30, 300]}), ("decisions.1.probability", [0.99, 0.99, 0.975])],
        "The last look is expected after everybody has been assessed",
    ),
    "looks that fall together": (
        [
            ("looks", {"kind": "enrolled", "at": [24, 36, 48, 60], "minimum_assessed": 36}),
        ],
        "Of 4 looks about 2 can be expected to take place",
    ),
    "looks that never come": (
        [
            ("looks", {"kind": "events", "at": [10, 15, 20, 70]}),
        ],
        "The last look is expected after everybody has been assessed",
    ),
    "enrolment that closes early": (
        [("population.closes_at_month", 48), ("decisions.1.probability", [0.998, 0.994, 0.989, 0.985, 0.975])],
        "Enrolment closes in month 48: about 49 of 72 patients can be expected",
    ),
    "a name that is lost": (
        [("truths.null", {"response": {"placebo": 0.3, "ivig": 0.3, "mycophenolate": 0.3}, "source": "assumed"})],
        "'null' is read as a missing value",
    ),
    "no null": (
        [
            (f"truths.{truth}.response", {"placebo": 0.2, "ivig": 0.5, "mycophenolate": 0.2})
            for truth in loaded("ivig.yaml").truths
        ],
        "No truth is a null",
    ),
    "no effect": (
        [
            (f"truths.{truth}.response", {"placebo": 0.3, "ivig": 0.3, "mycophenolate": 0.2})
            for truth in loaded("ivig.yaml").truths
        ],
        "No truth has an effective arm",
    ),
    "years": ([("population.accrual.patients_per_site_month", 0.05)], "takes about 13 years"),
    "few replicates": ([("simulation.replicates", 500)], "With 500 replicates"),
    "no source of a truth": ([("truths.modest effects.source", None)], "No source is given for truth 'modest effects'"),
    "no source of accrual": ([("population.accrual.source", None)], "No source is given for accrual"),
    "no source of dropout": ([("population.dropout.source", None)], "No source is given for dropout"),
}


def test_the_mended_scenario_has_no_warning():
    assert warnings(changed(MENDED)) == []


@pytest.mark.parametrize("changes, words", WARNED.values(), ids=WARNED)
def test_each_warning_fires_on_a_scenario_made_for_it(changes, words):
    found = warnings(changed(MENDED, *changes))
    assert any(words in warning for warning in found), found
    assert not any(words in warning for warning in warnings(changed(MENDED)))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            [("allocation.ceiling", 0.9), ("allocation.control_share", None)], id="a floor protects the control"
        ),
        pytest.param([("decisions.1.probability", 0.975), ("decisions.1.from_look", 5)], id="efficacy at the end only"),
        pytest.param(
            [
                ("population.patients", 60),
                ("looks", {"kind": "enrolled", "first": 30, "every": 31}),  # the next would be at 61
                ("decisions.1.probability", [0.99, 0.975]),
            ],
            id="a series whose next number is beyond the last patient",
        ),
        pytest.param([("allocation", {"kind": "equal", "realisation": "independent"})], id="no blocks to cut"),
        pytest.param([("simulation.replicates", 1000)], id="a thousand replicates"),
        pytest.param([("population.dropout", None)], id="no dropout needs no source"),
    ],
)
def test_a_design_that_gives_no_cause_is_not_warned_about(changes):
    assert warnings(changed(MENDED, *changes)) == []


def test_an_effect_is_one_in_the_good_direction():
    def truths(value):
        return [
            (f"truths.{truth}.stiffness", {"placebo": 0.1, "ivig": value, "rituximab": 0.1})
            for truth in loaded("stiffness.yaml").truths
        ]

    worse, better = (warnings(changed(*truths(value), file="stiffness.yaml")) for value in (0.9, -0.9))
    assert any("No truth has an effective arm" in warning for warning in worse)
    assert any("No truth is a null" in warning for warning in better)


def test_covariates_and_the_list_are_told():
    told = " ".join(describe(changed(*BALANCED, ("allocation.realisation", MINIMISED))))
    assert "Known at enrolment: gad65 (high 60%, low 40%); without effect on the outcome." in told
    assert "by minimisation of the range over gad65 and site, 80% for the arm that balances best." in told


@pytest.mark.parametrize(
    "section, told",
    [
        ("urn", "allocation.realisation.mass = 4"),
        ({"kind": "urn"}, "allocation.realisation.mass = 4"),
        ({"kind": "quota"}, "allocation.realisation.block = 6"),
        ({"kind": "minimisation", "factors": ["site"]}, "allocation.realisation.probability = 0.8"),
        ({"kind": "stratified", "factors": ["site"]}, "allocation.realisation.block = 6"),
    ],
)
def test_the_defaults_of_a_list_are_told(section, told):
    assert told in defaults(changed(("allocation.block", None), ("allocation.realisation", section)))


def test_a_rule_at_listed_looks_is_told_to_speak_at_the_final_analysis_too():
    late = {"kind": "efficacy", "probability": 0.99, "at_looks": [1]}
    free = {"kind": "futility", "probability": 0.05, "at_looks": [1, 3], "binding": False}
    only_looks = {"kind": "harm", "probability": 0.95, "at_looks": [2]}
    told = describe(changed(("decisions", [late, free, only_looks])))
    assert any("above 0.99, at look 1 and at the final analysis; then the trial stops" in each for each in told)
    assert any("at looks 1 and 3 and at the final analysis (not binding)." in each for each in told)
    assert any("with probability above 0.95, at look 2." in each for each in told)


def test_a_rule_that_stands_there_twice_is_asked_about():
    other = {"kind": "drop_arm", "probability": 0.1}
    said = "Rule 3 repeats rule 1 and changes nothing"
    rule = {"kind": "efficacy", "margin": 0, "probability": 0.99}
    twice = warnings(changed(("decisions", [rule, other, {"kind": "efficacy", "probability": 0.99}])))
    assert [each for each in twice if "repeats" in each] == [f"{said}: is one of them meant to be another?"]
    assert not [each for each in warnings(changed(("decisions", [rule, other]))) if "repeats" in each]
