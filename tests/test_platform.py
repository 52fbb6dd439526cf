"""Whole trials with arms that open late and close early: counts by hand, comparisons by the plain analysis."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sps_adaptive import simulate, trial
from sps_adaptive.block import draw, run_designs
from sps_adaptive.cli.answer import answer
from sps_adaptive.contracts import Span
from sps_adaptive.errors import DesignError
from sps_adaptive.spec import parse_scenario
from sps_adaptive.synopsis import describe, warnings

TEXT = """
title: A platform
arms:
  placebo: {{control: true}}
  ivig: {ivig}
  rituximab: {rituximab}
population:
  patients: 60
  accrual: {{kind: steady, patients_per_month: 2}}
endpoints:
  response: {{kind: binary, better: higher, assessed_at_month: 0}}
analysis:
  response: {{kind: beta_binomial, controls: {controls}}}
looks: {looks}
allocation: {{kind: equal}}
decisions: {decisions}
truths:
  nothing: {{response: {{placebo: 0.4, ivig: 0.4, rituximab: 0.4}}}}
  fading: {{response: {{placebo: {{0: 0.6, 12: 0.2}}, ivig: {{0: 0.6, 12: 0.2}}, rituximab: {{0: 0.6, 12: 0.2}}}}}}
simulation: {{engine: simulate}}
"""
CLAIM = "[{kind: efficacy, probability: 0.95}]"


def scenario(ivig="{}", rituximab="{}", controls="concurrent", looks="{kind: none}", decisions=CLAIM):
    return parse_scenario(
        TEXT.format(ivig=ivig, rituximab=rituximab, controls=controls, looks=looks, decisions=decisions)
    )


def run(trial, truth="nothing"):
    return run_designs(trial, truth, draw(trial, 0))


def counts(record, first, last):
    """Patients on each arm among those from `first` to before `last`, by replicate."""
    return np.stack([(record.arm[:, first:last] == a).sum(axis=1) for a in range(3)], axis=1)


def test_nobody_is_dealt_an_arm_before_it_opens_or_after_it_closes():
    record = run(scenario(ivig="{closes: {patient: 42}}", rituximab="{opens: {patient: 19}}"))["adaptive"]
    np.testing.assert_array_equal(counts(record, 0, 18), np.tile([9, 9, 0], (2000, 1)))
    np.testing.assert_array_equal(counts(record, 18, 42), np.tile([8, 8, 8], (2000, 1)))
    np.testing.assert_array_equal(counts(record, 42, 60), np.tile([9, 0, 9], (2000, 1)))


@pytest.mark.parametrize("realisation", ["{kind: urn, mass: 2}", "{kind: minimisation, factors: [site]}"])
def test_lists_that_look_back_hold_the_numbers_of_arms_that_open_and_close(realisation):
    text = TEXT.format(
        ivig="{closes: {patient: 42}}", rituximab="{opens: {patient: 19}}", controls="all", decisions=CLAIM,
        looks="{kind: enrolled, first: 13, every: 7}",
    )  # fmt: skip
    trial = parse_scenario(text.replace("{kind: equal}", f"{{kind: equal, realisation: {realisation}}}"))
    arm = run(trial)["adaptive"].arm
    in_time = [(arm[:, :18] == 2).any(), (arm[:, 42:] == 1).any()]
    assert in_time == [False, False]
    if "urn" in realisation:  # promised: 9 + 8 + 9, 9 + 8, 8 + 9
        whole = (arm >= 0).all(axis=1)  # not stopped
        numbers = np.stack([(arm[whole] == a).sum(axis=1) for a in range(3)], axis=1)
        np.testing.assert_allclose(numbers.mean(axis=0), (26, 17, 17), atol=0.7)
        assert np.abs(numbers - (26, 17, 17)).mean() < 1.2


def test_a_month_is_the_patient_who_comes_first_in_or_after_it():
    by_month = run(scenario(rituximab="{opens: {month: 9}}"))["adaptive"]
    enrolled = draw(scenario(), 0).enrolled_at[0]
    first = int((enrolled < 9 * 365.25 / 12).sum())
    by_patient = run(scenario(rituximab=f"{{opens: {{patient: {first + 1}}}}}"))["adaptive"]
    np.testing.assert_array_equal(by_month.arm, by_patient.arm)


def test_an_arm_takes_the_place_of_one_that_a_rule_closes():
    drop = "[{kind: drop_arm, probability: 0.3, at_looks: [1]}]"
    record = run(scenario(rituximab="{opens: {when_closed: ivig}}", looks="{kind: enrolled, at: [20]}", decisions=drop))
    trial = record["adaptive"]
    closed = ~trial.looks[0].is_open[:, 1]
    assert 0 < closed.mean() < 1
    after = counts(trial, 20, 60)
    assert (after[closed, 1] == 0).all() and (after[closed, 2] > 0).all()
    assert (after[~closed, 2] == 0).all() and (after[~closed, 1] > 0).all()
    assert (trial.stop == 0).all()  # an arm was still to come: the trial went on without an experimental arm


def test_a_trial_stops_when_no_arm_is_left_and_none_is_to_come():
    drop = "[{kind: drop_arm, probability: 1, at_looks: [1]}]"
    looks = "{kind: enrolled, at: [20]}"
    waiting = run(scenario(rituximab="{opens: {patient: 31}}", looks=looks, decisions=drop))["adaptive"]
    assert (waiting.stop == 0).all() and (counts(waiting, 20, 30)[:, 0] == 10).all()
    over = run(scenario(looks=looks, decisions=drop))["adaptive"]
    assert (over.stop == 2).all()


@pytest.mark.parametrize("controls, first", [("concurrent", 24), ("all", 0)])
def test_a_late_arm_is_compared_with_the_controls_that_the_scenario_names(controls, first):
    trial = scenario(rituximab="{opens: {patient: 25}}", controls=controls)
    cohort = draw(trial, 0)
    design = trial.designs()["adaptive"]
    potential = design.endpoint.potential(cohort, "response", design.arms, trial.truth("fading").of("response"))
    record = run_designs(trial, "fading", cohort)["adaptive"]
    final = record.looks[-1]
    for r in range(20):
        posterior = []
        for arm in (0, 2):
            mine = np.flatnonzero(record.arm[r] == arm)
            mine = mine[mine >= first]
            responders = int(potential.value[r, mine, arm, 0].sum())
            posterior.append(stats.beta(1 + responders, 1 + len(mine) - responders))
        x = np.linspace(0, 1, 20_001)
        better = np.trapezoid(posterior[0].pdf(x) * posterior[1].sf(x), x)
        assert final.prob_better[r, 2] == pytest.approx(better, abs=1e-6)


def test_all_controls_mislead_under_drift_and_concurrent_ones_do_not():
    """Response fades from 60% to 20% until month 12; the late arm is compared with patients of better days, or not."""
    means = {}
    for controls in ("concurrent", "all"):
        final = run(scenario(rituximab="{opens: {patient: 25}}", controls=controls), "fading")["adaptive"].looks[-1]
        means[controls] = final.effect[:, 2].mean(), final.effect[:, 2].std() / np.sqrt(2000)
    mean, error = means["concurrent"]
    assert abs(mean) < 4 * error
    mean, error = means["all"]
    month = draw(scenario(), 0).enrolled_at[0, :24] / (365.25 / 12)
    early = np.interp(month, [0, 12], [0.6, 0.2]).mean()
    bias = (1 + 12 * 0.2) / 14 - (1 + 12 * early + 12 * 0.2) / 26  # posterior means with Beta(1, 1) priors
    assert bias < -0.05 and abs(mean - bias) < 4 * error


@pytest.mark.parametrize(
    "arms, message",
    [
        ({"rituximab": "{opens: {patient: 61}}"}, "'rituximab' opens after the last of 60 patients"),
        ({"rituximab": "{closes: {patient: 60}}"}, "closes with or after the last of 60 patients"),
        ({"rituximab": "{opens: {when_closed: mmf}}"}, "there is no other arm 'mmf'"),
        ({"rituximab": "{opens: {patient: 30}, closes: {patient: 20}}"}, "closes before it opens"),
        ({"ivig": "{opens: {month: 3}}", "rituximab": "{opens: {month: 4}}"}, "no arm but the control is there"),
    ],
)
def test_arms_that_cannot_be(arms, message):
    with pytest.raises(DesignError, match=message):
        scenario(**arms)


def test_the_tables_say_when_an_arm_took_patients():
    trial = scenario(rituximab="{opens: {patient: 31}}", looks="{kind: enrolled, at: [20, 40]}")
    arms: pd.DataFrame = simulate(trial, replicates=50).arms
    late = arms[(arms.arm == "rituximab") & (arms.design == "adaptive")]
    assert not late[late["look"] == 1].is_open.any() and late[late["look"] == 2].is_open.all()
    assert (late[late["look"] == 1].allocation == 0).all()


def with_text(text, *changes):
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


CLOSES_AT = ("  patients: 60\n", "  patients: 60\n  closes_at_month: 20\n")


@pytest.mark.parametrize(
    "arms, changes, message",
    [
        ({"rituximab": "{opens: {month: 20}}"}, [CLOSES_AT], "'rituximab' opens in month 20, and enrolment closes in"),
        (
            {"rituximab": "{opens: {when_closed: mmf}}"},
            [
                ("arms:\n", "arms:\n  mmf: {{opens: {{when_closed: rituximab}}}}\n"),
                ("placebo: 0.4", "placebo: 0.4, mmf: 0"),
                ("{{response: {{placebo: {{0", "{{response: {{mmf: 0.1, placebo: {{0"),
            ],
            "'rituximab' waits for 'mmf', which can close only after 'rituximab' has",
        ),
        (
            {
                "rituximab": "{opens: {patient: 30}}",
                "looks": "{kind: enrolled, at: [20]}",
                "decisions": "[{kind: drop_arm, against: best, control_too: true, probability: 0.1}]",
            },
            [],
            "there could be times without any arm",
        ),
        (
            {
                "ivig": "{closes: {patient: 30}}",
                "looks": "{kind: enrolled, at: [20]}",
                "decisions": "[{kind: promote, probability: 0.9}]",
            },
            [],
            "there could be times without a control",
        ),
    ],
)
def test_arms_that_cannot_be_in_this_trial(arms, changes, message):
    given = {"ivig": "{}", "rituximab": "{}", "controls": "all", "looks": "{kind: none}", "decisions": CLAIM} | arms
    with pytest.raises(DesignError, match=message):
        parse_scenario(with_text(TEXT, *changes).format(**given))


def test_the_synopsis_tells_when_arms_open_and_close_and_what_is_compared():
    late = scenario(
        ivig="{closes: {patient: 42}}", rituximab="{opens: {when_closed: ivig}, closes: {month: 20}}", controls="all"
    )
    assert describe(late)[0] == (
        "Arms: ivig and rituximab against placebo (control). ivig closes after patient 42, unless a rule closes it "
        "before. rituximab opens when a rule closes ivig and closes at the end of month 20, unless a rule closes it "
        "before. Two arms are compared by all their patients, also those enrolled when the other could not be given."
    )
    assert describe(scenario(rituximab="{opens: {month: 9}}"))[0] == (
        "Arms: ivig and rituximab against placebo (control). rituximab opens at the end of month 9. Two arms are "
        "compared by the patients enrolled while both could be given (concurrent controls)."
    )
    assert describe(scenario())[0] == "Arms: ivig and rituximab against placebo (control)."


LOOK = "{kind: enrolled, at: [20]}"
DROP = "[{kind: drop_arm, probability: 0.1}, {kind: efficacy, probability: 0.95, then: close_arm}]"


@pytest.mark.parametrize(
    "given, message",
    [
        ({"rituximab": "{opens: {patient: 30}}", "looks": LOOK}, "Rule 1 (efficacy) stops the whole trial, although"),
        (
            {"rituximab": "{opens: {patient: 30}}", "looks": LOOK, "decisions": "[{kind: futility, probability: 0.1}]"},
            "Rule 1 (futility) stops the whole trial, although rituximab may still be to come",
        ),
        ({"rituximab": "{opens: {patient: 30}}", "controls": "all"}, "Outcomes drift in truth 'fading', and arms"),
        ({"rituximab": "{opens: {when_closed: ivig}}"}, "'rituximab' opens when a rule closes ivig, and no rule can."),
        (
            {"rituximab": "{opens: {when_closed: placebo}}", "looks": LOOK, "decisions": DROP},
            "'rituximab' opens when a rule closes placebo, and no rule can.",
        ),
        ({"rituximab": "{opens: {month: 31}}"}, "'rituximab' opens in month 31, and enrolment can be expected to be"),
        (
            {"ivig": "{closes: {patient: 20}}", "rituximab": "{opens: {patient: 31}}"},
            "From patient 21 to about 30 nobody can get anything but the control",
        ),
    ],
)
def test_what_a_statistician_would_ask_about_arms_that_come_and_go(given, message):
    assert any(message in warning for warning in warnings(scenario(**given)))


def test_nothing_is_asked_about_arms_that_come_and_go_in_good_order():
    trial = scenario(rituximab="{opens: {when_closed: ivig}}", looks=LOOK, decisions=DROP)
    words = ("to come", "no rule can", "drift", "hardly anybody", "but the control")
    assert not [warning for warning in warnings(trial) if any(word in warning for word in words)]
    late = scenario(rituximab="{opens: {patient: 1}}", looks=LOOK)
    assert not [warning for warning in warnings(late) if any(word in warning for word in words)]


# ------------------------------------------------------------------------- what must not make a difference

ADAPTIVE = [
    ("{{kind: equal}}", "{{kind: thompson, floor: 0.1, control_share: 0.3}}"),
    ("assessed_at_month: 0", "assessed_at_month: 2"),
]
RULES = "[{kind: drop_arm, probability: 0.2}, {kind: efficacy, probability: 0.97}]"


@pytest.mark.parametrize(
    "looks", ["{kind: enrolled, first: 11, every: 9}", "{kind: calendar, at_months: [0.1, 9, 30]}"]
)
@pytest.mark.parametrize("realisation", ["quota", "independent", "{{kind: urn}}", "permuted_block"])
@pytest.mark.parametrize("controls", ["concurrent", "all"])
def test_with_all_arms_opening_at_the_first_patient_the_trial_is_the_same_bit_for_bit(controls, realisation, looks):
    """The machinery of openings is made to run; only an arm that a rule has closed is compared with fewer controls."""
    text = with_text(TEXT, *ADAPTIVE, ("floor: 0.1", f"floor: 0.1, realisation: {realisation}"))
    first = "{opens: {patient: 1}}"
    rest = {"controls": controls, "looks": looks, "decisions": RULES}
    plain = parse_scenario(text.format(ivig="{}", rituximab="{}", **rest))
    opened = parse_scenario(text.format(ivig=first, rituximab=first, **rest))
    assert not opened.is_platform and opened.designs()["adaptive"].spans is None
    design, cohort = plain.designs()["adaptive"], draw(plain, 0)
    potential = design.endpoint.potential(cohort, "response", design.arms, plain.truth("fading").of("response"))
    one = trial.run(design, cohort, potential)
    with_openings = design._replace(spans=(Span(), Span(opens_with=0), Span(opens_with=0)))
    other = trial.run(with_openings, cohort, potential)
    for name in ("outcome", "stop", "stop_look", "decision_day", "selected", "arm"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    closed = np.zeros((2000, 3), bool)
    for look, same in zip(one.looks, other.looks, strict=True):
        here = look.took_place
        np.testing.assert_array_equal(here, same.took_place)
        for name in look._fields:
            ours, theirs = getattr(look, name)[here], getattr(same, name)[here]
            compared = ("prob_better", "effect", "effect_lower", "effect_upper")
            if name == "n_concurrent" or (controls == "concurrent" and name in compared):
                ours, theirs = np.where(closed[here], 0, ours), np.where(closed[here], 0, theirs)
            np.testing.assert_array_equal(ours, theirs, err_msg=name)
        closed |= here[:, None] & ~look.is_open


def test_an_arm_that_a_rule_closed_is_compared_with_the_controls_of_its_days():
    """Arms that fade alike: controls enrolled after an arm was dropped would make it look better than it is."""
    drop = "[{kind: drop_arm, probability: 0.3, at_looks: [1]}, {kind: efficacy, probability: 0.95}]"
    means = {}
    for controls in ("concurrent", "all"):
        late = scenario(
            rituximab="{opens: {when_closed: ivig}}",
            looks="{kind: enrolled, at: [20]}",
            decisions=drop,
            controls=controls,
        )
        record = run(late, "fading")["adaptive"]
        closed = ~record.looks[0].is_open[:, 1]
        at_look, at_end = (look.effect[closed, 1] for look in record.looks)
        np.testing.assert_array_equal(at_look == at_end, controls == "concurrent")
        means[controls] = at_end.mean()
    assert means["all"] > means["concurrent"] + 0.1


# ------------------------------------------------------------------------- what the tables and figures tell

LATE = {
    "ivig": "{closes: {patient: 42}}",
    "rituximab": "{opens: {when_closed: ivig}}",
    "looks": "{kind: enrolled, at: [20, 40]}",
    "decisions": "[{kind: drop_arm, probability: 0.3}, {kind: efficacy, probability: 0.95, then: close_arm}]",
}


def test_concurrent_controls_and_the_opening_of_an_arm_are_counted_patient_by_patient():
    late = scenario(**LATE)
    record = run(late)["adaptive"]
    for number, look in enumerate(record.looks):
        for r in np.flatnonzero(look.took_place)[:200]:
            n, arms = look.n_enrolled[r], record.arm[r]
            closed = [20 * (k + 1) for k in (0, 1) if k < number and record.looks[k].closed_by[r, 1]]
            until = min([*closed, 42])
            opened = min([60, *(20 * (k + 1) for k in range(min(number, 2)) if record.looks[k].closed_by[r, 1])])
            over = [20 * (k + 1) for k in (0, 1) if k < number and record.looks[k].closed_by[r, 2]]
            controls = arms[:n] == 0
            mine = [controls.sum(), controls[:until].sum(), controls[opened : min([*over, 60])].sum()]
            assert look.n_concurrent[r].tolist() == mine
            month = record.cohort.enrolled_at[r, opened] / (365.25 / 12) if opened < n else np.nan
            np.testing.assert_array_equal(look.opened_month[r], [0, 0, month])


def test_all_controls_are_concurrent_where_all_arms_are_there_throughout():
    for record in run(scenario(looks=LOOK)).values():
        for look in record.looks:
            np.testing.assert_array_equal(look.n_concurrent, np.repeat(look.arm_enrolled[:, [0]], 3, axis=1))
            assert (look.opened_month == 0).all()


def test_the_figures_of_openings_are_means_over_the_trials_in_which_the_arm_opens():
    results = simulate(scenario(**LATE), replicates=400)
    figures = results.characteristics.set_index(["truth", "design", "metric", "arm"]).estimate.sort_index()
    arms = results.arms
    last = arms[(arms.truth == "nothing") & (arms.design == "adaptive") & arms.is_final & (arms.arm == "rituximab")]
    opened = last[last.opened_month.notna()]
    assert 0 < len(opened) < 400
    here = figures["nothing", "adaptive"]
    assert here["arm_opened", "rituximab"] == pytest.approx(len(opened) / 400)
    assert here["opened_month", "rituximab"] == pytest.approx(opened.opened_month.mean())
    assert here["concurrent_controls", "rituximab"] == pytest.approx(opened.n_concurrent.mean())
    assert here["bias", "rituximab"] == pytest.approx(opened.effect.mean())
    assert here["arm_opened", "ivig"] == 1 and here["opened_month", "ivig"] == 0
    assert figures["nothing", "fixed", "arm_opened", "rituximab"] == 1
    plain = simulate(scenario(looks=LOOK), replicates=20).characteristics
    assert not set(plain.metric) & {"arm_opened", "opened_month", "concurrent_controls"}


def test_the_answer_has_a_table_of_openings_for_a_platform_only(capsys):
    answer(simulate(scenario(**LATE), replicates=50), "text", full=False)
    told = capsys.readouterr().out
    assert "Arms that open late and close early" in told and "concurrent" in told
    answer(simulate(scenario(looks=LOOK), replicates=50), "text", full=False)
    assert "open late" not in capsys.readouterr().out


def test_the_example_shows_what_controls_of_other_days_do_where_outcomes_drift():
    file = Path(__file__).parents[1] / "scenarios" / "platform.yaml"
    text, truth = file.read_text(encoding="utf-8"), "nothing works, outcomes drift"
    wrong = {}
    for controls in ("concurrent", "all"):
        example = parse_scenario(with_text(text, ("controls: concurrent", f"controls: {controls}")))
        figures = simulate(example, replicates=2000, truths=[truth]).characteristics
        own = figures[(figures.design == "adaptive") & (figures.metric == "familywise_error")].iloc[0]
        wrong[controls] = own.estimate, own.mcse
    assert wrong["concurrent"][0] < 0.07 and wrong["all"][0] > 0.09
    assert wrong["all"][0] - wrong["concurrent"][0] > 4 * np.hypot(wrong["all"][1], wrong["concurrent"][1])
