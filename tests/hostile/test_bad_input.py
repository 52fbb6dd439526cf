"""Whatever a scenario file holds, the answer is a scenario or a list of what is wrong, with line and advice."""

import copy
import json
import os
import re
import stat
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sps_adaptive import yaml_text
from sps_adaptive.errors import DesignError, ScenarioError, SpecError, UsageError
from sps_adaptive.spec import load_scenario, parse_scenario

HERE = Path(__file__).parent
IVIG = (HERE / "binary.yaml").read_text(encoding="utf-8")
STIFFNESS = (HERE / "continuous.yaml").read_text(encoding="utf-8")
SCENARIOS = sorted((HERE.parents[1] / "scenarios").glob("*.yaml"))
TEXTS = [IVIG, STIFFNESS, *(file.read_text(encoding="utf-8") for file in SCENARIOS)]


def changed(text, *changes):
    """The text with the first occurrence of each old piece replaced."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def line_of(text, piece):
    return text.count("\n", 0, text.index(piece)) + 1


def problems_of(text):
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "file.yaml")
    assert_fit_for_a_terminal(str(caught.value))
    return caught.value.problems


def assert_fit_for_a_terminal(text):
    assert all(line.isprintable() for line in text.split("\n")), text
    assert "Traceback" not in text
    assert "pydantic" not in text
    assert max(map(len, text.split("\n"))) < 1500


@pytest.mark.parametrize("text", TEXTS, ids=["binary", "continuous", *(file.stem for file in SCENARIOS)])
def test_the_files_that_are_damaged_below_are_sound(text):
    assert parse_scenario(text).problems() == []


# --------------------------------------------------------------------------- one mistake, one message

ONE_MISTAKE = {
    # name: (file, old, new, piece of the new text in whose line it is told, message, hint)
    "typo at the top": (IVIG, "allocation:", "alocation:", "alocation:", "unknown key 'alocation'", "'allocation'"),
    "typo below": (IVIG, "  floor:", "  flor:", "flor:", "allocation: unknown key 'flor'", "did you mean 'floor'?"),
    "typo in braces": (IVIG, "margin: 0.10", "margn: 0.10", "margn", "decisions.0: unknown key 'margn'", "'margin'"),
    "hyphen in a key": (IVIG, "by_month", "by-month", "by-month", "unknown key 'by-month'", "did you mean 'by_month'?"),
    "no such list": (
        IVIG,
        "realisation: quota",
        "realisation: quotas",
        "quotas",
        "or a section with a kind (independent, minimisation, permuted_block, quota, stratified, urn) is needed",
        "did you mean 'quota'?",
    ),
    "no such kind of list": (
        IVIG,
        "realisation: quota",
        "realisation: {kind: urns}",
        "urns",
        "allocation.realisation: kind 'urns' is not known",
        "did you mean 'urn'?",
    ),
    "a list without its kind": (
        IVIG,
        "realisation: quota",
        "realisation: {mass: 3}",
        "mass",
        "allocation.realisation: kind is missing",
        "one of: independent, minimisation",
    ),
    "typo in a list": (
        IVIG,
        "realisation: quota",
        "realisation: {kind: urn, mas: 3}",
        "mas:",
        "allocation.realisation: unknown key 'mas'",
        "did you mean 'mass'?",
    ),
    "no such factor": (
        IVIG,
        "realisation: quota",
        "realisation: {kind: minimisation, factors: [site, age]}",
        "age",
        "allocation.realisation.factors.1: there is no 'age' in population.covariates",
        "state it there; or site",
    ),
    "a level of nobody": (
        IVIG,
        "  patients: 72",
        "  covariates: {age: {young: 0.6, old: 0.3}}\n  patients: 72",
        "covariates",
        "population.covariates.age: the prevalences sum to 0.9, not to 1",
        "name every level",
    ),
    "no such key": (IVIG, "  floor:", "  xyz:", "xyz:", "unknown key 'xyz'", "the keys here are: source, realisation"),
    "typo beside endpoints": (
        IVIG,
        "    description: nothing works",
        "    descripton: nothing works",
        "descripton",
        "unknown key 'descripton'",
        "did you mean 'description'?",
    ),
    "key missing": (
        IVIG,
        "  patients: 72 ",
        "  #",
        "population:",
        "population: 'patients' is missing",
        "the largest number of patients",
    ),
    "section missing": (IVIG, "looks: {", "# {", "title:", "'looks' is missing", "looks: when the data are looked at"),
    "words for a number": (
        IVIG,
        "patients: 72",
        "patients: three hundred",
        "three",
        "population.patients: a whole number from 2 to 100,000 is needed, got 'three hundred'",
        "",
    ),
    "half a patient": (IVIG, "patients: 72", "patients: 72.5", "72.5", "a whole number", ""),
    "number in quotes": (IVIG, "patients: 72", 'patients: "72"', '"72"', "a whole number", "leave the quotes out"),
    "true for a number": (
        IVIG,
        "floor: 0.15",
        "floor: true",
        "floor: true",
        "a number from 0 to 1 is needed, got true",
        "",
    ),
    "nothing for a number": (IVIG, "floor: 0.15", "floor:", "floor:", "is needed, got nothing", ""),
    "per cent": (IVIG, "floor: 0.15", "floor: 15%", "15%", "a number from 0 to 1 is needed, got '15%'", "write 0.15"),
    "decimal comma": (IVIG, "floor: 0.15", "floor: 0,15", "0,15", "got '0,15'", "write 0.15: decimals have a point"),
    "yes for true": (IVIG, "control: true", "control: yes", "yes", "true or false is needed, got 'yes'", "write true"),
    "number for text": (
        IVIG,
        "title: IVIG",
        "title: 2 #",
        "title:",
        "title: text is needed, got 2",
        "put it in quotes",
    ),
    "list for a section": (
        IVIG,
        "simulation: {",
        "simulation: [] #{",
        "simulation:",
        "a section with keys is needed, got a list",
        "",
    ),
    "number for a section": (
        STIFFNESS,
        "baseline: {",
        "baseline: 3.8 #{",
        "baseline: 3.8",
        "endpoints.stiffness.baseline: a section with mean, sd, correlation is needed, got 3.8",
        "",
    ),
    "word for a section": (IVIG, "looks: {", "looks: enrolled #{", "looks:", "a section with a kind (", ""),
    "no look at most": (IVIG, "every: 12}", "every: 12, most: 0}", "most", "looks.most: must be at least 1, got 0", ""),
    "a pause of a word": (
        IVIG,
        "every: 12}",
        "every: 12, pause: until_assesed}",
        "pause",
        "'until_assessed' or a section with months is needed, got 'until_assesed'",
        "did you mean 'until_assessed'?",
    ),
    "a pause of a number": (IVIG, "every: 12}", "every: 12, pause: 2}", "pause", "a section with months is needed", ""),
    "a pause of weeks": (IVIG, "every: 12}", "every: 12, pause: {month: 2}}", "pause", "unknown key 'month'", "months"),
    "a pause where patients change": (
        IVIG,
        "every: 12}",
        "every: 12, pause: {months: 2}}",
        "pause",
        "enrolment pauses, and the truth 'early placebo response' changes with the month of enrolment",
        "leave the pause out",
    ),
    "waiting for everybody": (
        IVIG,
        "every: 12}",
        "every: 12, minimum_assessed: 72}",
        "minimum_assessed",
        "no look before 72 patients have been assessed",
        "give a smaller number",
    ),
    "more events than patients": (
        IVIG,
        "{kind: enrolled, first: 24, every: 12}",
        "{kind: events, at: [20, 72]}",
        "events",
        "looks.at.1: a look at 72 events comes after the last patient",
        "at most 72 patients",
    ),
    "events of a score": (
        STIFFNESS,
        "looks: {kind: assessed, ",
        "looks: {kind: events, ",
        "looks:",
        "a continuous endpoint has no events to count",
        "numbers enrolled or assessed",
    ),
    "several within several": (
        IVIG,
        "{kind: enrolled, first: 24, every: 12}",
        "{kind: several, of: [{kind: enrolled, at: [24]}, {kind: several, of: []}]}",
        "several",
        "looks.of.1: kind 'several' is not known",
        "one of: assessed, calendar, enrolled, events",
    ),
    "several of one": (
        IVIG,
        "{kind: enrolled, first: 24, every: 12}",
        "{kind: several, of: [{kind: enrolled, at: [24]}]}",
        "several",
        "looks.of: 2 or more entries are needed, got 1",
        "",
    ),
    "a look beyond the end among several": (
        IVIG,
        "{kind: enrolled, first: 24, every: 12}",
        "{kind: several, of: [{kind: enrolled, at: [24, 80]}, {kind: calendar, at_months: [12]}]}",
        "several",
        "looks.of.0.at.1: a look at 80 patients comes after the last patient",
        "at most 72 patients",
    ),
    "a pause of one among several": (
        IVIG,
        "{kind: enrolled, first: 24, every: 12}",
        "{kind: several, of: [{kind: enrolled, at: [24], most: 1}, {kind: calendar, at_months: [12]}]}",
        "several",
        "looks.of.0.most: most is about all looks together",
        "write most beside of",
    ),
    "closed before it opens": (
        IVIG,
        "  patients: 72 ",
        "  closes_at_month: 0.2\n  patients: 72 ",
        "closes_at_month",
        "enrolment closes before two patients can be expected, in month 6.33",
        "give a later month",
    ),
    "probability over 1": (
        IVIG,
        "0.985",
        "1.4",
        "1.4",
        "decisions.1.probability: must be at most 1, got 1.4",
        "give a number from 0 to 1, a list of numbers from 0 to 1 or a section with shape",
    ),
    "probability in per cent": (
        IVIG,
        "floor: 0.15",
        "floor: 15",
        "floor: 15",
        "must be at most 1, got 15",
        "15% is 0.15",
    ),
    "probability in a list": (
        STIFFNESS,
        "0.995",
        "-0.995",
        "-0.995",
        "decisions.1.probability.0: must be at least 0, got -0.995",
        "from 0 to 1",
    ),
    "word in a list": (
        STIFFNESS,
        "0.995",
        "high",
        "high",
        "decisions.1.probability.0: a number from 0 to 1 is needed",
        "",
    ),
    "empty list": (IVIG, "probability: 0.985", "probability: []", "[]", "1 or more entries are needed, got 0", ""),
    "true probability over 1": (IVIG, "0.60", "1.60", "1.60", "response.ivig: a probability of 1.6", "from 0 to 1"),
    "not a number": (IVIG, "floor: 0.15", "floor: .nan", ".nan", "a finite number is needed, got .nan", ""),
    "infinite": (IVIG, "0.60", "-.inf", "-.inf", "a finite number is needed, got -.inf", ""),
    "too large for a computer": (IVIG, "0.60", "1e999", "1e999", "a finite number is needed, got .inf", ""),
    "huge whole number": (
        IVIG,
        "patients: 72",
        f"patients: {10**400}",
        "00000",
        "must be at most 100,000, got 1000",
        "",
    ),
    "huge number": (IVIG, "floor: 0.15", f"floor: {10**400}", "00000", "a finite number is needed, got 1000", ""),
    "absurd number": (IVIG, "patients: 72", f"patients: {'7' * 9999}", "77777", "a whole number", ""),
    "unknown kind": (
        IVIG,
        "kind: thompson",
        "kind: thomson",
        "allocation:",
        "allocation: kind 'thomson' is not known",
        "did you mean 'thompson'? one of: ",
    ),
    "unknown kind of an endpoint": (
        IVIG,
        "binary",
        "ordnal",
        "  response:",
        "kind 'ordnal' is not known",
        "one of: binary",
    ),
    "unknown only kind": (
        IVIG,
        "exponential",
        "exponental",
        "exponental",
        "kind 'exponental' is not",
        "'exponential'?",
    ),
    "no kind": (
        IVIG,
        "  kind: thompson\n",
        "",
        "allocation:",
        "allocation: kind is missing",
        ", equal, ",
    ),
    "no only kind": (IVIG, "    kind: exponential\n", "", "dropout:", "kind is missing", "write kind: exponential"),
    "kind is a number": (IVIG, "kind: thompson", "kind: 3", "allocation:", "kind 3 is not known", ", equal, "),
    "not an option": (
        IVIG,
        "better: higher",
        "better: hihger",
        "hihger",
        "'higher' or 'lower' is needed, got 'hihger'",
        "did you mean 'higher'?",
    ),
    "neither number nor word": (
        IVIG,
        "power: n/2N",
        "power: n/3N",
        "n/3N",
        "allocation.power: a number from 0 to 10, 'n/2N' or a list of numbers from 0 to 10 is needed, got 'n/3N'",
        "did you mean 'n/2N'?",
    ),
    "share too large": (
        IVIG,
        "0.33",
        "1.33",
        "1.33",
        "allocation.control_share: must be below 1, got 1.33",
        "'matched' or",
    ),
    "power too large": (
        IVIG,
        "power: n/2N",
        "power: 40",
        "power: 40",
        "must be at most 10, got 40",
        "a number from 0 to 10, 'n/2N' or a list of numbers from 0 to 10",
    ),
    "true value in words": (
        IVIG,
        "ivig: 0.60",
        "ivig: high",
        "high",
        "response.ivig: a number, a section with numbers by month, a list of numbers or a section with keys is needed",
        "",
    ),
    "true value in a list": (IVIG, "ivig: 0.60", "ivig: [1]", "[1]", "with numbers by month is needed, got a list", ""),
    "no month": (
        IVIG,
        "{0: 0.45",
        "{first: 0.45",
        "first",
        "placebo.first: 'first' is not a month",
        "{0: 0.45, 18: 0.25}",
    ),
    "infinite month": (IVIG, "{0: 0.45", "{inf: 0.45", "inf:", "'inf' is not a month", ""),
    "negative month": (IVIG, "{0: 0.45", "{-1: 0.45", "-1:", "a course needs months from 0 on", ""),
    "word in a course": (IVIG, "{0: 0.45", "{0: high", "high", "placebo.0: a number is needed, got 'high'", ""),
    "course without months": (IVIG, "{0: 0.45, 24: 0.25}", "{}", "{}", "a course needs months from 0 on", ""),
    "margin in words": (
        IVIG,
        "margin: 0,",
        "margin: none,",
        "none,",
        "decisions.1.margin: a number from -1,000,000",
        "",
    ),
    "margin by arm": (IVIG, "margin: 0,", "margin: {ivig: 0},", "{ivig: 0}", "margin: a number", ""),
    "margin without bound": (
        IVIG,
        "margin: 0,",
        "margin: 1e9,",
        "1e9",
        "margin: must be at most 1,000,000, got 1000000000",
        "",
    ),
    "spread by arm in words": (
        STIFFNESS,
        "sd: 1.4",
        "sd: {placebo: x}",
        "x}",
        "sd.placebo: a number above 0 is needed",
        "",
    ),
    "spread in words": (
        STIFFNESS,
        "sd: 1.4",
        "sd: x",
        "sd: x",
        "a section with numbers above 0 by name is needed, got 'x'",
        "",
    ),
    "name with a sign": (
        IVIG,
        "  ivig: {",
        '  "iv?ig": {',
        "iv?ig",
        "'iv?ig' cannot be a name",
        "begins with a letter",
    ),
    "name that is empty": (IVIG, '"null":', '"":', '"":', "truths: a name is empty", "begins with a letter"),
    "name that is long": (IVIG, "  ivig: {", f"  {'x' * 80}: {{", "xxx", "a name of 80 characters", "at most 60"),
    "floors over 1": (
        IVIG,
        "floor: 0.15",
        "floor: 0.4",
        "floor: 0.4",
        "allocation.floor: floors of 0.4 for 2 arms",
        "use a floor of at most 0.335",
    ),
    "look after the last patient": (
        IVIG,
        "first: 24",
        "first: 84",
        "first: 84",
        "looks.first: the first look, at 84 patients, comes after the last patient",
        "at most 72 patients",
    ),
    "look in the list after the last patient": (
        IVIG,
        "first: 24, every: 12",
        "at: [24, 72]",
        "at: [24",
        "looks.at.1: a look at 72 patients",
        "at most 72 patients",
    ),
    "looks twice": (
        IVIG,
        "first: 24",
        "at: [3], first: 24",
        "looks:",
        "looks: give either first (with every), or the list",
        "",
    ),
    "looks that go back": (IVIG, "first: 24, every: 12", "at: [24, 12]", "looks:", "must increase, got 24, 12", ""),
    "truth for no such arm": (
        IVIG,
        "ivig: 0.60,",
        "ivig: 0.60, rituximab: 0.5,",
        "rituximab",
        "there is no arm 'rituximab'",
        "the arms are: placebo, ivig, mycophenolate",
    ),
    "truth without an arm": (
        IVIG,
        "{placebo: 0.25, ivig: 0.60",
        "{ivig: 0.60",
        "{ivig: 0.60",
        "truths.ivig as expected.response: nothing is said about placebo",
        "every arm",
    ),
    "truth for no such endpoint": (
        IVIG,
        "    description: nothing works",
        "    pain: {placebo: 1}",
        "pain:",
        "truths.null.pain: there is no endpoint 'pain'",
        "the endpoints are: response",
    ),
    "truth without endpoint": (
        IVIG,
        "    response: {placebo: 0.25",
        "    #",
        '"null"',
        "no true values for the endpoint",
        "",
    ),
    "two controls": (
        IVIG,
        "ivig: {desc",
        "ivig: {control: true, desc",
        "ivig: {control",
        "arms.ivig.control: 'ivig' and 'placebo' are both the control",
        "one arm only",
    ),
    "no control": (IVIG, "control: true, ", "", "arms:", "arms: no arm is the control", "{control: true}"),
    "thresholds of the wrong number": (
        STIFFNESS,
        "[0.995, 0.99, 0.99, 0.985]",
        "[0.995, 0.99]",
        "[0.995",
        "decisions.1.probability: 2 thresholds for 3 looks and the final analysis",
        "a list of 4",
    ),
    "model for another endpoint": (
        IVIG,
        "kind: beta_binomial\n    prior: {alpha: 1, beta: 1,",
        "kind: normal\n    variance: known\n    sd: 1\n    prior: {mean: 0, patients: 1,",
        "kind: normal",
        "analysis.response.kind: normal is not for an endpoint of kind binary",
        "use beta_binomial, logistic",
    ),
    "analysis of no such endpoint": (
        STIFFNESS,
        "analysis:\n",
        "analysis:\n  pain: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}\n",
        "pain:",
        "there is no endpoint 'pain'",
        "",
    ),
    "change without a baseline": (
        STIFFNESS,
        "    baseline: {",
        "    #{",
        "outcome:",
        "endpoints.stiffness.outcome: a change from baseline without a baseline",
        "add baseline: {mean, sd, correlation}",
    ),
    "window before enrolment": (
        IVIG,
        "window_months: 0.5",
        "window_months: 7",
        "window_months",
        "begins before enrolment",
        "",
    ),
    # not plain YAML
    "key twice": (
        IVIG,
        "  floor:",
        "  power: 1\n  floor:",
        "  power: 1",
        "allocation: 'power' is there twice",
        "line 53",
    ),
    "month twice": (IVIG, "{0: 0.45, ", "{0: 0.45, 0.0: 0.3, ", "{0:", "'0.0' is there twice", ""),
    "bracket open": (
        IVIG,
        "first: 24, every: 12}",
        "first: 24, every: 12",
        "allocation:",
        "a bracket that is not closed",
        "'}'",
    ),
    "quote open": (IVIG, '"null":', '"null:', '"null:', "a quote that is not closed", "begins here"),
    "indentation": (IVIG, "  floor:", " floor:", " floor:", "the indentation does not fit", "same column"),
    "tab": (IVIG, "  floor:", "\tfloor:", "\tfloor", "a tab where there should be spaces", "indent with spaces"),
    "colon in text": (
        IVIG,
        "title: IVIG",
        "title: IVIG: a trial",
        "title:",
        "a colon that does not belong here",
        "in quotes",
    ),
    "no colon": (
        IVIG,
        "simulation: {",
        "some text\nsimulation: {",
        "some text",
        "a key without a colon",
        "'key: value'",
    ),
    "at sign": (IVIG, "title: IVIG", "title: @IVIG", "title:", "text cannot begin with @", "in quotes"),
    "list in place": (
        IVIG,
        "title: IVIG",
        "title: - IVIG",
        "title:",
        "a list item that does not belong here",
        "[a, b]",
    ),
    "text after a quote": (IVIG, "title: IVIG", "title: 'IVIG' ", "title:", "text that does not belong here", "quotes"),
    "backslash": (IVIG, "title: IVIG and", 'title: "IVIG \\q" #', "title:", "a backslash that means nothing", ""),
    "bracket too many": (IVIG, "every: 12}", "every: 12}}", "every: 12}}", "does not belong here", ""),
    "second document": (IVIG, "simulation:", "---\nsimulation:", "---", "a second document", ""),
    "list as a key": (
        IVIG,
        "simulation:",
        "? [1]\n: 2\nsimulation:",
        "? [1]",
        "a list or a section cannot be a key",
        "",
    ),
    "merge key": (IVIG, "looks: {", "looks: {<<: {}, ", "looks:", "merge keys (<<) do not belong to YAML 1.2", ""),
    "no anchor": (IVIG, "title: IVIG", "title: *IVIG", "title:", "*IVIG repeats what is marked &IVIG", "quotes"),
    "alias of itself": (
        IVIG,
        "looks: {",
        "looks: &a {b: *a, ",
        "looks:",
        "*a stands for something that it is itself",
        "",
    ),
    "tag": (IVIG, "title: IVIG", "title: !!str IVIG", "title:", "the tag !!str is not allowed", "plain values"),
    "very long key": (IVIG, "  floor:", f"  {'f' * 900}:", "fff", "a key of 900 characters", "at most 200"),
    # characters that deceive
    "escape sequence": (
        IVIG,
        "title: IVIG",
        'title: "\\e[2J" #',
        "title:",
        "the character \\x1b cannot stand in",
        "delete it",
    ),
    "raw escape": (IVIG, "title: IVIG", "title: \x1b[2J", "title:", "the character \\x1b cannot stand", "delete it"),
    "raw escape in a comment": (IVIG, "# judgement", "# \x1b[2J", "\x1b", "the character \\x1b", ""),
    "NUL": (IVIG, "title: IVIG", "title: \x00", "title:", "the character \\x00", ""),
    "text turned round": (IVIG, "title: IVIG", "title: \u202eGIVI", "title:", "the character \\u202e cannot", ""),
    "text turned round by an escape": (
        IVIG,
        "title: IVIG and",
        'title: "\\u202e" #',
        "title:",
        "the character \\u202e",
        "",
    ),
    "zero width in a name": (
        IVIG,
        "  ivig: {",
        "  iv\u200big: {",
        "iv\u200big",
        "the key 'iv\\u200big' holds the invisible",
        "",
    ),
    "joiner in a name": (IVIG, "  ivig: {", "  iv\u200dig: {", "iv\u200dig", "the invisible character \\u200d", ""),
    "half a character": (IVIG, "title: IVIG and", 'title: "\\ud800" #', "title:", "the character \\ud800", ""),
    "another line end": (IVIG, "title: IVIG", "title: a\u2028b", "title:", "the character \\u2028", ""),
    "letter that looks alike": (
        IVIG,
        "ivig: 0.60",
        "\u0456vig: 0.60",
        "\u0456vig",
        "there is no arm '\u0456vig'",
        "the arms are",
    ),
}


@pytest.mark.parametrize(("text", "old", "new", "at", "message", "hint"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_a_mistake_is_told_with_its_line_and_what_to_do(text, old, new, at, message, hint):
    bad = changed(text, (old, new))
    found = problems_of(bad)
    told = [problem.text("file.yaml") for problem in found if message in problem.text("file.yaml").split("\n")[0]]
    assert told, [problem.text("file.yaml") for problem in found]
    line = bad.count("\n", 0, bad.index(at, bad.index(new) if at in new else 0)) + 1
    assert told[0].startswith(f"file.yaml:{line}:"), told[0]
    assert hint in told[0].partition("\n    ")[2]


@pytest.mark.parametrize("name", ["typo at the top", "typo below", "words for a number", "neither number nor word"])
def test_a_mistake_is_told_once(name):
    text, old, new, *_ = ONE_MISTAKE[name]
    assert len(problems_of(changed(text, (old, new)))) == 1


def test_every_mistake_is_told_at_once_in_the_order_of_the_file():
    bad = changed(
        IVIG,
        ("0.985", "1.4"),
        ("patients: 72", "patients: three hundred"),
        ("seed: 20261122", "seed: no"),
        ("  floor:", "  flor:"),
        ("kind: futility", "kind: futilty"),
    )
    found = problems_of(bad)
    pieces = ["three hundred", "flor:", "1.4", "futilty", "seed:"]
    assert [problem.line for problem in found] == [line_of(bad, piece) for piece in pieces]
    assert [problem.path for problem in found] == [
        ("population", "patients"),
        ("allocation",),
        ("decisions", 1, "probability"),
        ("decisions", 2),
        ("simulation", "seed"),
    ]


def test_every_fault_of_the_design_is_told_at_once():
    bad = changed(
        IVIG,
        ("first: 24", "first: 84"),
        ("floor: 0.15", "floor: 0.4"),
        ("{placebo: 0.25, ivig: 0.60", "{placbo: 0, ivig: 6"),
    )
    with pytest.raises(DesignError) as caught:
        parse_scenario(bad)
    assert [problem.path[-1] for problem in caught.value.problems] == ["first", "floor", "response", "placbo", "ivig"]


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ("{kind: enrolled, at: [24], minimum_months: 30}", "no look before month 30, and enrolment closes in month 30"),
        ("{kind: calendar, at_months: [20, 50]}", "a look in month 50, and everybody has been followed by month 36.5"),
        ("{kind: calendar, first_month: 6, every_months: 6, last_month: 60}", "a look in month 42, and everybody has"),
    ],
)
def test_looks_that_do_not_go_with_the_end_of_enrolment(looks, message):
    bad = changed(
        IVIG,
        ("  patients: 72 ", "  closes_at_month: 30\n  patients: 72 "),
        ("{kind: enrolled, first: 24, every: 12}", looks),
    )
    (problem,) = problems_of(bad)
    assert message in problem.text("file.yaml")
    assert problem.line == line_of(bad, "looks:")


def test_one_arm_is_no_trial():
    bad = re.sub(r"\n  (ivig|mycophenolate): \{desc.*", "", IVIG)
    assert "arms: 2 or more entries are needed, got 1" in problems_of(bad)[0].text(None)


# ------------------------------------------------------------------------------- not a scenario at all


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n# nothing\n", "the file is empty"),
        (b"null", "the file is empty"),
        (b"- a\n- b\n", "the file holds a list, not keys with values"),
        (b"just text", "the file holds a single value"),
        (b"\x89PNG\r\n\x1a\n\x00", "the file is not UTF-8 text: byte 0x89"),
        (b"title: caf\xe9\n", "the file is not UTF-8 text: byte 0xe9"),
        ("title: x".encode("utf-16"), "the file is not UTF-8 text: byte 0xff"),
        (b"title: \x00\x01", "the character \\x00 cannot stand in a scenario"),
        (b"{}", "'title' is missing"),
    ],
)
def test_a_file_of_another_kind(tmp_path, content, message):
    file = tmp_path / "file.yaml"
    file.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_scenario(file)
    assert re.search(rf"^{re.escape(str(file))}:\d+:\d+: {re.escape(message)}", str(caught.value))
    assert_fit_for_a_terminal(str(caught.value))


def test_the_place_of_a_byte_that_is_not_text(tmp_path):
    file = tmp_path / "file.yaml"
    file.write_bytes("a: é\nb: ä".encode() + b"\xe9")
    with pytest.raises(SpecError, match=":2:5: the file is not UTF-8"):
        load_scenario(file)


def test_a_missing_file_and_its_neighbour(tmp_path):
    (tmp_path / "ivig.yaml").write_text(IVIG, encoding="utf-8")
    with pytest.raises(UsageError, match="there is no file") as caught:
        load_scenario(tmp_path / "ivg.yaml")
    assert caught.value.hint == f"did you mean '{tmp_path / 'ivig.yaml'}'?"
    assert caught.value.exit_code == 2


def test_a_folder(tmp_path):
    (tmp_path / "ivig.yaml").write_text(IVIG, encoding="utf-8")
    with pytest.raises(UsageError, match="is a folder") as caught:
        load_scenario(tmp_path)
    assert caught.value.hint == "name a file in it: ivig.yaml"


def test_an_empty_folder(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        load_scenario(tmp_path)


@pytest.mark.parametrize("path", ["", "nowhere/at/all.yaml", "a\0b", "x" * 5000, "a\x1b[2J.yaml", "a\nb"])
def test_paths_that_lead_nowhere(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_scenario(path)
    assert_fit_for_a_terminal(str(caught.value))


def test_a_name_that_a_terminal_would_obey(tmp_path):
    file = tmp_path / "a\x1b[2Jb.yaml"
    file.write_text("title: 1", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_scenario(file)
    assert_fit_for_a_terminal(str(caught.value))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    file = tmp_path / "file.yaml"
    file.write_text(IVIG, encoding="utf-8")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"may not be read"):
        load_scenario(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="is not a file"):
        load_scenario(tmp_path / "pipe")


def test_a_huge_file_is_not_read(tmp_path):
    file = tmp_path / "huge.yaml"
    with file.open("wb") as handle:
        handle.truncate(100_000_000)
    begin = time.perf_counter()
    with pytest.raises(SpecError, match=r"the file has 100\.0 MB, more than 1 MB"):
        load_scenario(file)
    assert time.perf_counter() - begin < 1


def test_a_file_that_claims_to_be_small_is_not_read_on_and_on(tmp_path, monkeypatch):
    file = tmp_path / "growing.yaml"
    file.write_bytes(b"#" * 2_000_000)
    small = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, 10, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda self, **kwargs: small)
    with pytest.raises(SpecError, match=r"the file has 1\.0 MB, more than 1 MB"):
        load_scenario(file)


def test_a_long_text_is_refused_too():
    with pytest.raises(SpecError, match=r"2\.0 MB"):
        parse_scenario("#" * 2_000_000)


# -------------------------------------------------------------------------------------------- attacks


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch {0}']",
        "!!python/object/new:os.system ['touch {0}']",
        "!!python/object/apply:subprocess.check_output [['touch', '{0}']]",
        "!!python/object/apply:builtins.eval [\"__import__('os').system('touch {0}')\"]",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {0}']",
        "!!binary aGVsbG8=",
        "!!set {{a}}",
        "!!timestamp 2026-11-22",
        "!!float 1",
        "! x",
    ],
)
def test_tags_make_nothing_and_run_nothing(tmp_path, value):
    trace = tmp_path / "trace"
    for bad in (f"title: {value.format(trace)}\n{IVIG}", f"{value.format(trace)}\n"):
        with pytest.raises(SpecError, match=r"the tag \S+ is not allowed"):
            parse_scenario(bad)
    short = f"%TAG !py! tag:yaml.org,2002:python/object/apply:\n---\na: !py!os.system ['touch {trace}']\n"
    with pytest.raises(SpecError, match="the tag"):
        parse_scenario(short)
    assert not trace.exists()


def laughs(n):
    """Text of a few lines that stands for 9 ** n words."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 9) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, n)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(10), "more than 10,000 values"),
        (f"a: &a {'x' * 500_000}\nb: [{', '.join(['*a'] * 5000)}]", "more than 10,000 values"),
        ("a: [" + "1," * 100_000 + "]", "more than 10,000 values"),
        ("\n".join(f"k{i}: 1" for i in range(50_000)), "more than 10,000 values"),
        ("[" * 10_000, "more than 40 lists or sections within each other"),
        ("a: " + "[" * 10_000 + "]" * 10_000, "more than 40 lists or sections within each other"),
        ("a: " + "{a: " * 10_000, "more than 40 lists or sections within each other"),
        ("\n".join(" " * i + "a:" for i in range(1000)), "more than 40 lists or sections within each other"),
        ("- " * 10_000, "more than 40 lists or sections within each other"),
        ("a0: &a0 [1]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 99)), "more than 40 lists"),
        ("{" * 10_000, "cannot be a key"),
        ("? " * 10_000, "cannot be a key"),
        ("x" * 5000 + ": 1", ""),
        ("? " + "x" * 5000 + "\n: 1", "a key of 5000 characters"),
        ('"' + "\\x41" * 200_000 + '": 1', ""),
        ("&a " * 10_000, ""),
        ("!" * 10_000, ""),
        ("%" * 10_000, ""),
        ("a: |" + "\n" * 900_000, ""),
        ("a: '" + "''" * 400_000, "a quote that is not closed"),
        ("#" * 900_000, "the file is empty"),
        (" " * 900_000, "the file is empty"),
        ('a: "\\UFFFFFFFF"', "a character that does not exist"),
        ("%YAML 9.9\n---\na: 1", ""),
    ],
    ids=range(24),
)
def test_text_made_to_exhaust_the_reader(text, message):
    begin = time.perf_counter()
    with pytest.raises(SpecError) as caught:
        parse_scenario(text)
    assert message in str(caught.value)
    assert_fit_for_a_terminal(str(caught.value))
    assert time.perf_counter() - begin < 20  # the slowest takes about 2 on an idle machine


def test_limits_leave_room_for_any_real_scenario():
    for text in TEXTS:
        data = json.dumps(yaml_text.parse(text).data)
        assert len(re.findall(r"[\[{,:]", data)) < yaml_text.MAX_NODES / 10


# --------------------------------------------------------------------------------------------- chance


def answer(text):
    """Read a text; anything but a scenario or an error in words is a failure."""
    try:
        scenario = parse_scenario(text)
    except (ScenarioError, UsageError) as error:
        assert str(error)
        assert_fit_for_a_terminal(str(error))
        assert error.exit_code == 2
        if isinstance(error, ScenarioError):
            lines = text.count("\n") + 2
            assert all(1 <= problem.line <= lines and problem.column >= 1 for problem in error.problems)
            assert [problem.line for problem in error.problems] == sorted(p.line for p in error.problems)
        return
    # What is accepted can be composed and identified.
    assert set(scenario.designs()) == {"adaptive", "fixed"}
    for name in scenario.truths:
        assert re.fullmatch(r"[0-9a-f]{64}", scenario.truth_digest(name))


SNIPPETS = [
    *(
        "",
        " ",
        "\n",
        "\t",
        ":",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        '"',
        "#",
        "&a ",
        "*a",
        "!!x ",
        "|",
        ">",
        "? ",
        "---",
    ),
    *(
        "null",
        "true",
        "~",
        ".nan",
        ".inf",
        "-1",
        "0",
        "1e999",
        "1e-320",
        "1e17",
        "9" * 30,
        "n/2N",
        "kind",
        "source",
        "\\",
    ),
    *(
        "\x00",
        "\x1b",
        "\u202e",
        "\u200d",
        "\ufeff",
        "é",
        "\U0001f9ea",
        "\r",
        "\x85",
        "%",
        "@",
        "`",
        "<<: ",
        "square_root",
    ),
]


@st.composite
def damaged_text(draw):
    """A scenario file with a few characters deleted, replaced, inserted or doubled."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 30))
        piece = draw(st.sampled_from(SNIPPETS) | st.text(max_size=8))
        again = text[start : start + length] if draw(st.booleans()) else ""
        text = text[:start] + again + piece + text[start + length :]
    return text


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([0, 1, 2, -1, 0.5, 1e4, 10**400, 2**63])
    | st.text(max_size=10)
    | st.sampled_from(
        ["n/2N", "matched", "square_root", "thompson", "none", "ivig", "response", "kind", "float", "[key]"]
    )
)
KEYS = st.text(max_size=6) | st.sampled_from(
    ["kind", "source", "ivig", "response", "0", "first", "float", "[key]", "null"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def paths(node, path=()):
    yield path
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield from paths(value, (*path, key))


@st.composite
def damaged_data(draw):
    """A scenario with a few nodes deleted, replaced, renamed or moved, written as JSON, which is YAML."""
    data = copy.deepcopy(yaml_text.parse(draw(st.sampled_from(TEXTS))).data)
    for _ in range(draw(st.integers(1, 3))):
        places = list(paths(data))
        path = draw(st.sampled_from(places))
        if not path:
            continue
        parent = data
        for key in path[:-1]:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "delete", "rename", "move", "add"])):
            case "replace":
                parent[path[-1]] = draw(VALUES)
            case "delete":
                del parent[path[-1]]
            case "rename" if isinstance(parent, dict):
                parent[draw(KEYS)] = parent.pop(path[-1])
            case "move":
                other = data
                for key in draw(st.sampled_from(places)):
                    try:
                        other = other[key]
                    except (KeyError, IndexError, TypeError):
                        break
                parent[path[-1]] = copy.deepcopy(other)
            case "add" if isinstance(parent, dict):
                parent[draw(KEYS)] = draw(VALUES)
            case "add" if isinstance(parent, list):
                parent.append(draw(VALUES))
    return as_yaml(data)


def as_yaml(data):
    text = json.dumps(data, indent=1)
    return re.sub(r"(?<![\w\"])(-?)(Infinity|NaN)(?![\w\"])", lambda m: f"{m[1]}.{m[2][:3].lower()}", text)


@settings(max_examples=100)
@given(damaged_text())
@example(IVIG.replace("kind: thompson", "kind: thompson\n  thompson: 1"))
@example(IVIG.replace("placebo", "float").replace("ivig:", "'[key]':"))
@example(IVIG.replace("title:", "'[key]':"))
@example(IVIG.replace("kind: thompson", "kind: fixed\n  ratio: {'[key]': x, '?': 1}\n#"))
def test_damaged_text_is_answered_in_words(text):
    answer(text)


@settings(max_examples=100)
@given(damaged_data())
def test_damaged_data_is_answered_in_words(text):
    answer(text)


@settings(max_examples=100)
@given(st.text(max_size=200))
def test_any_text_is_answered_in_words(text):
    answer(text)


@pytest.mark.slow
@settings(max_examples=3000)
@given(damaged_text())
def test_much_damaged_text_is_answered_in_words(text):
    answer(text)


@pytest.mark.slow
@settings(max_examples=3000)
@given(damaged_data())
def test_much_damaged_data_is_answered_in_words(text):
    answer(text)
