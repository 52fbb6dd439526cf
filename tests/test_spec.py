"""From a file to a scenario, and the published schema."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from sps_adaptive.errors import DesignError, SpecError
from sps_adaptive.spec import describe, load_scenario, parse_scenario, schema, schema_text, show
from sps_adaptive.yaml_text import read

ROOT = Path(__file__).parents[1]
SCENARIOS = sorted((ROOT / "scenarios").glob("*.yaml"))
IVIG = ROOT / "tests" / "hostile" / "binary.yaml"


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_every_scenario_of_the_repository_can_be_run(file):
    scenario = load_scenario(file)
    assert scenario.problems() == []
    assert scenario.truths


def test_a_file_and_its_text_are_the_same_scenario():
    text = IVIG.read_text(encoding="utf-8")
    assert load_scenario(IVIG) == load_scenario(str(IVIG)) == parse_scenario(text)


def test_numbers_and_names_arrive_as_such():
    scenario = load_scenario(IVIG)
    course = scenario.truth("early placebo response").of("response")["placebo"]
    assert course == {0.0: 0.45, 24.0: 0.25}
    assert isinstance(course, dict)
    assert all(isinstance(month, float) for month in course)
    assert next(iter(scenario.truths)) == "null"
    assert isinstance(scenario.decisions[1].margin, float)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('  "null":', "  null:"),
        ("patients: 72", "patients: 72.0"),
        ("replicates: 10000", "replicates: 1e4"),
        ("control: true", "control: True"),
    ],
)
def test_the_same_thing_may_be_written_otherwise(old, new):
    text = IVIG.read_text(encoding="utf-8")
    assert old in text
    assert parse_scenario(text.replace(old, new)) == load_scenario(IVIG)


def test_arms_and_truths_may_be_called_anything_sensible():
    text = IVIG.read_text(encoding="utf-8")
    for old, new in (("ivig:", "1:"), ("mycophenolate:", "true:"), ("modest effects:", "Wirkung (mäßig), 50%:")):
        text = text.replace(old, new)
    scenario = parse_scenario(text)
    assert scenario.arm_names == ("placebo", "1", "true")
    assert "Wirkung (mäßig), 50%" in scenario.truths


def test_reading_is_quick_and_needs_no_heavy_library():
    code = (
        "import sys, time; import sps_adaptive.spec as spec; begin = time.perf_counter(); "
        f"spec.load_scenario({str(IVIG)!r}); print(time.perf_counter() - begin); "
        "print(*({'numba', 'pandas', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, heavy = done.stdout.splitlines()
    assert heavy == ""
    assert float(seconds) < 3  # about 0.02 on an idle machine


def test_the_published_schema_is_up_to_date():
    published = (ROOT / "schema" / "scenario.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "python -m sps_adaptive.spec > schema/scenario.schema.json"


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema()["properties"]["arms"]["description"]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_the_schema_accepts_every_scenario(file):
    Draft202012Validator(schema()).validate(read(file).data)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("alocation",), {}),
        (("population", "patient"), 3),
        (("arms", "iv?ig"), {}),
        (("arms", "ivig", "controll"), True),
        (("allocation", "kind"), "thomson"),
        (("allocation", "floor"), 1.5),
        (("decisions", 0, "margn"), 0),
        (("decisions", 0, "probability"), "high"),
        (("truths", "null", "response"), 0.5),
        (("truths", "null", "response", "placebo"), "low"),
        (("truths", "null", "response", "placebo"), {"first": 0.5}),
        (("truths", "null", "source"), {"response": 0.5}),
    ],
)
def test_the_schema_refuses_mistakes(path, value):
    data = json.loads(json.dumps(read(IVIG).data))
    part = data
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert not Draft202012Validator(schema()).is_valid(data)


def test_the_schema_knows_the_values_of_a_truth():
    extras = schema()["$defs"]["TruthSpec"]["additionalProperties"]
    number, by_month, numbers, fields = extras["additionalProperties"]["anyOf"]
    assert number == {"type": "number"}
    assert by_month["additionalProperties"] == {"type": "number"}
    assert "pattern" in by_month["propertyNames"]
    assert numbers["type"] == "array" and fields["type"] == "object"


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ({"type": "number"}, "a number"),
        ({"type": "number", "minimum": 0, "maximum": 1}, "a number from 0 to 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "a number above 0 and below 1"),
        ({"type": "integer", "minimum": 1}, "a whole number of at least 1"),
        ({"type": "array", "items": {"type": "integer", "minimum": 1}}, "a list of whole numbers of at least 1"),
        ({"type": "array", "items": {"type": "object"}}, "a list of sections"),
        ({"enum": ["a", "b"]}, "'a' or 'b'"),
        ({"anyOf": [{"type": "number"}, {"enum": ["a", "b"]}, {"type": "null"}]}, "a number, 'a' or 'b'"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "a section with numbers by name"),
        ({"type": "object", "required": ["mean", "sd"]}, "a section with mean, sd"),
        ({"$ref": "#/$defs/Simulation"}, "a section with keys"),
    ],
)
def test_a_schema_in_words(node, words):
    assert describe(node) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), ".nan"),
        (float("-inf"), "-.inf"),
        ("a\x1bb", "'a\\x1bb'"),
        ([1], "a list"),
        ({}, "a section"),
    ],
)
def test_a_value_in_words(value, words):
    assert show(value) == words


def test_problems_of_the_design_come_with_their_place():
    text = IVIG.read_text(encoding="utf-8").replace("floor: 0.15", "floor: 0.4")
    with pytest.raises(DesignError) as caught:
        parse_scenario(text, "ivig.yaml")
    assert str(caught.value).startswith("ivig.yaml:54:10: allocation.floor: floors of 0.4 for 2 arms")


def test_an_error_of_the_file_has_the_exit_code_2():
    with pytest.raises(SpecError) as caught:
        parse_scenario("title: 1")
    assert caught.value.exit_code == 2


def test_a_thousand_truths_are_read_in_reasonable_time():
    truth = "\n  truth {}:\n    response: {{placebo: 0.2, ivig: 0.3, mycophenolate: 0.4}}"
    text = IVIG.read_text(encoding="utf-8")
    text = text.replace("truths:", "truths:" + "".join(truth.format(i) for i in range(800)))
    begin = time.perf_counter()
    assert len(parse_scenario(text).truths) == 805
    assert time.perf_counter() - begin < 20  # about 0.5 on an idle machine


def test_a_variant_is_checked_as_a_file_is():
    from sps_adaptive import load_scenario, variant

    scenario = load_scenario("scenarios/ivig.yaml")
    equal = variant(scenario, allocation={"kind": "equal"})
    assert equal.allocation.kind == "equal" and equal.digest() != scenario.digest()
    assert variant(scenario) == scenario and variant(scenario).digest() == scenario.digest()
    with pytest.raises(SpecError, match="<variant>: unknown key 'alocation'"):
        variant(scenario, alocation={"kind": "equal"})


def test_what_does_not_parse_does_not_hide_what_cannot_be():
    from pathlib import Path

    text = (Path(__file__).parent / "hostile" / "binary.yaml").read_text()
    text = text.replace("power: n/2N", "powr: n/2N").replace("ivig: 0.60", "ivig: 1.60", 1)
    with pytest.raises(SpecError) as caught:
        parse_scenario(text)
    assert "unknown key 'powr'" in str(caught.value) and "a probability of 1.6" in str(caught.value)
