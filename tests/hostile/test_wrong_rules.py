"""Rules that cannot be, alone or beside each other: told with every line that they concern."""

import pytest

from sps_adaptive.errors import DesignError
from sps_adaptive.spec import parse_scenario
from tests.hostile.test_bad_input import IVIG, changed, line_of, problems_of

RULES = "  - {kind: drop_arm, margin: 0.10, probability: 0.10}\n  - {kind: efficacy, margin: 0, probability: 0.985}\n"

TWO_PLACES = {
    # name: (new rules, piece in whose line it is told, piece in the other line, message, hint)
    "thresholds that cross": (
        "  - {kind: drop_arm, probability: 0.99}\n  - {kind: efficacy, probability: 0.985}\n",
        "drop_arm, prob",
        "efficacy, prob",
        "at look 1 arms are given up below 0.99 and declared effective above 0.985",
        "lower this threshold",
    ),
    "thresholds that cross at one look": (
        "  - {kind: drop_arm, probability: [0.1, 0.1, 0.99, 0.1]}\n  - {kind: efficacy, probability: 0.985}\n",
        "drop_arm, prob",
        "efficacy, prob",
        "at look 3",
        "lower this threshold",
    ),
    "better and not inferior": (
        "  - {kind: efficacy, probability: 0.985}\n  - {kind: non_inferiority, margin: 0.1, probability: 0.985}\n",
        "non_inferiority",
        "efficacy, prob",
        "effective would mean two things",
        "keep rules of one",
    ),
    "two margins": (
        "  - {kind: non_inferiority, margin: 0.1, probability: 0.985}\n"
        "  - {kind: non_inferiority, margin: 0.2, probability: 0.985}\n",
        "margin: 0.2",
        "margin: 0.1,",
        "not inferior by two different margins",
        "use the same margin",
    ),
    "rules with other consequences": (
        "  - kind: all_of\n    rules:\n      - {kind: efficacy, probability: 0.985}\n"
        "      - {kind: drop_arm, probability: 0.1}\n",
        "drop_arm, prob",
        "efficacy, prob",
        "rules that cannot be combined: this one closes an arm for futility, the first declares an arm effective",
        "join rules with the same consequence",
    ),
    "claims of which one stops the trial": (
        "  - kind: any_of\n    rules:\n      - {kind: efficacy, probability: 0.985}\n"
        "      - {kind: efficacy, then: close_arm, probability: 0.97}\n",
        "then: close_arm",
        "efficacy, prob",
        "rules that cannot be combined",
        "join rules with the same consequence",
    ),
}


@pytest.mark.parametrize("name", TWO_PLACES)
def test_two_places_that_contradict_each_other_are_both_named(name):
    rules, here, there, message, hint = TWO_PLACES[name]
    text = changed(IVIG, (RULES, rules))
    (problem,) = problems_of(text)
    assert message in problem.message and hint in problem.hint
    assert problem.line == line_of(text, here) and problem.also_lines == (line_of(text, there),)
    with pytest.raises(DesignError) as caught:
        parse_scenario(text, "file.yaml")
    head = str(caught.value).split("\n")[0]
    assert head.startswith(f"file.yaml:{line_of(text, here)}:")
    path = ".".join(str(key) for key in problem.also[0])
    assert head.endswith(f"; compare {path} at file.yaml:{line_of(text, there)}")


WRONG_RULES = {
    # name: (rule, piece of the text in whose line it is told, message, hint)
    "a shape of one's own": (
        "{kind: efficacy, probability: {shape: obrien, final: 0.98}}",
        "shape",
        "'obrien_fleming', 'pocock' or 'wang_tsiatis' is needed, got 'obrien'",
        "did you mean 'obrien_fleming'?",
    ),
    "a shape without a height": (
        "{kind: efficacy, probability: {shape: pocock}}",
        "shape",
        "neither final nor error is given",
        "or its type I error",
    ),
    "a delta of a named shape": (
        "{kind: efficacy, probability: {shape: pocock, delta: 0.3, final: 0.98}}",
        "delta",
        "pocock has its own delta",
        "others do not",
    ),
    "an error too small for any threshold": (
        "{kind: efficacy, probability: {shape: pocock, error: 1.0e-16}}",
        "error",
        "error: must be at least 1e-09, got 1e-16",
        "give a number of at least 1e-09 and below 0.5",
    ),
    "an error of giving up": (
        "{kind: drop_arm, probability: {shape: pocock, error: 0.05}}",
        "error",
        "a rule that gives up has no type I error",
        "give final",
    ),
    "an unknown correction": (
        "{kind: efficacy, probability: 0.98, multiplicity: hochberg}",
        "multiplicity",
        "'bonferroni', 'holm' or 'closed' is needed, got 'hochberg'",
        "",
    ),
    "a correction of being the best": (
        "{kind: efficacy, probability: 0.98, against: best, multiplicity: holm}",
        "multiplicity",
        "is no tail area of a comparison",
        "compare with control",
    ),
    "a correction of a conditional test": (
        "{kind: efficacy, probability: 0.98, test: conditional, multiplicity: holm, from_look: 5}",
        "multiplicity",
        "counts its comparisons by itself",
        "leave it out",
    ),
    "one rule joined": (
        "{kind: all_of, rules: [{kind: harm, probability: 0.9}]}",
        "rules: [",
        "2 or more entries are needed, got 1",
        "",
    ),
    "a typo inside": (
        "{kind: any_of, rules: [{kind: harm, probability: 0.9}, {kind: harm, probabilty: 0.9}]}",
        "probabilty",
        "decisions.2.rules.1: unknown key 'probabilty'",
        "did you mean 'probability'?",
    ),
    "an unknown kind inside": (
        "{kind: any_of, rules: [{kind: harm, probability: 0.9}, {kind: farm, probability: 0.9}]}",
        "farm",
        "kind 'farm' is not known",
        "did you mean 'harm'?",
    ),
    "a look too late inside": (
        "{kind: all_of, rules: [{kind: harm, probability: 0.9}, {kind: harm, probability: 0.9, from_look: 9}]}",
        "from_look",
        "the rule begins at look 9",
        "from 1 to 4",
    ),
    "a look listed twice": (
        "{kind: harm, probability: 0.9, at_looks: [1, 2, 2]}",
        "at_looks",
        "at_looks.2: look 2 is listed twice",
        "list each look once, in order",
    ),
    "looks out of order": (
        "{kind: harm, probability: 0.9, at_looks: [3, 1]}",
        "at_looks",
        "at_looks.1: look 1 after look 3",
        "list each look once, in order",
    ),
    "looks before the first": (
        "{kind: any_of, rules: [{kind: harm, probability: 0.9}, "
        "{kind: harm, probability: 0.95, from_look: 3, at_looks: [1, 2, 3]}]}",
        "from_look",
        "rules.1.at_looks.0: the rule is never heard at looks 1 and 2: from_look is 3; compare "
        "decisions.2.rules.1.from_look at line",
        "leave out from_look",
    ),
    "too small a margin": (
        "{kind: non_inferiority, margin: -0.1, probability: 0.98}",
        "margin: -",
        "must be above 0",
        "",
    ),
    "as many arms as there are": (
        "{kind: prune, keep: 2}",
        "keep",
        "keeping 2 of 2 experimental arms closes none",
        "use fewer than 2",
    ),
    "a margin beyond all shares": (
        "{kind: harm, margin: 1.5, probability: 0.9}",
        "margin: 1.5",
        "more than 1.5",
        "0.10",
    ),
    "a fixed value that is no share": (
        "{kind: futility, against: 30, probability: 0.1}",
        "against: 30",
        "against: a proportion can never be 30",
        "30 percent are 0.30",
    ),
    "a fixed value below all shares": (
        "{kind: all_of, rules: [{kind: drop_arm, probability: 0.2}, {kind: drop_arm, against: -0.1, probability: 0}]}",
        "against: -0.1",
        "rules.1.against: a proportion can never be -0.1",
        "0.30",
    ),
    "rules about rules about rules": (
        "{kind: all_of, rules: " * 200 + "[]" + "}" * 200,
        "",
        "",
        "",
    ),
}


@pytest.mark.parametrize("name", WRONG_RULES)
def test_rules_that_are_wrong(name):
    rule, piece, message, hint = WRONG_RULES[name]
    text = changed(IVIG, ("  - {kind: futility, margin: 0, probability: 0.05}\n", f"  - {rule}\n"))
    found = problems_of(text)
    if not piece:
        return
    texts = [problem.text(None) for problem in found]
    right = [problem for problem, said in zip(found, texts, strict=True) if message in said and hint in said]
    assert right and right[0].line == line_of(text, piece), texts
    assert len(found) == 1 or name in ("too small a margin",), texts


def test_an_error_needs_planned_looks():
    rule = "  - {kind: efficacy, margin: 0, probability: {shape: pocock, error: 0.025}}\n"
    text = changed(
        IVIG,
        ("  - {kind: efficacy, margin: 0, probability: 0.985}\n", rule),
        ("looks: {kind: enrolled, first: 24, every: 12}", "looks: {kind: calendar, at_months: [24, 36]}"),
    )
    (problem,) = problems_of(text)
    assert (
        "not planned" in problem.message and "final" in problem.hint and problem.line == line_of(text, "error: 0.025")
    )


@pytest.mark.parametrize(
    "old, new, place, also",
    [
        ("  ivig: {", "  ivig: {opens: {patient: 80}, ", "arms.ivig.opens.patient", "patients: 72"),
        ("first: 24", "first: 90", "looks.first", "patients: 72"),
        ("floor: 0.15", "floor: 0.4", "allocation.floor", "control_share"),
    ],
)
def test_what_lies_between_two_places_names_both(old, new, place, also):
    text = changed(IVIG, (old, new))
    told = [problem.text("file.yaml") for problem in problems_of(text) if ".".join(map(str, problem.path)) == place]
    assert len(told) == 1 and told[0].startswith(f"file.yaml:{line_of(text, new)}:")
    assert f" at file.yaml:{line_of(text, also)}" in told[0]


def test_too_many_arms_are_counted():
    arms = "".join(f"  arm {k}: {{}}\n" for k in range(48))
    found = [problem.text(None) for problem in problems_of(changed(IVIG, ("population:", f"{arms}population:")))]
    assert any("arms: at most 50 entries are possible, got 51" in each for each in found), found


@pytest.mark.parametrize("moment", ["{}", "{patient: 3, month: 2}"])
def test_a_moment_that_is_none_gets_an_example(moment):
    text = changed(IVIG, ("  ivig: {", f"  ivig: {{opens: {moment}, "))
    (problem,) = problems_of(text)
    assert problem.path == ("arms", "ivig", "opens") and problem.line == line_of(text, "opens: {")
    assert problem.message == "give one of patient, month and when_closed"
    assert problem.hint == "for example {patient: 19} or {month: 12}"
