"""From a scenario file to a scenario, or to every problem of the file at once, in plain words.

What the messages say about types and ranges is read from the JSON Schema of the scenario, so that they say
the same as the published schema. `python -m sps_adaptive.spec` prints that schema.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema

from sps_adaptive.errors import DesignError, Problem, SpecError
from sps_adaptive.scenario import Scenario
from sps_adaptive.yaml_text import Document, Key, cut, parse, printable, read

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails, core_schema

Node = Mapping[str, Any]
"""A part of the JSON Schema."""

MAX_MESSAGE = 600
"""Characters in a message or a hint."""

_MONTH = r"^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"

_NAMES = "a name begins with a letter or a digit and goes on with those, spaces and - _ + . , ( ) / %"

_LIMITS = {
    "greater_than": ("gt", "must be above"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be below"),
    "less_than_equal": ("le", "must be at most"),
}

_LENGTHS = {
    "too_short": ("min_length", "{} or more entries are needed, got {}"),
    "too_long": ("max_length", "at most {} entries are possible, got {}"),
    "string_too_short": ("min_length", "text of at least {} characters is needed, got {}"),
    "string_too_long": ("max_length", "text of at most {} characters is possible, got {}"),
}


def load_scenario(path: Path | str) -> Scenario:
    """Return the scenario in a file.

    Raises
    ------
    UsageError
        If there is no such file, or it cannot be read.
    SpecError
        If it does not parse: every problem at once, with line and column.
    DesignError
        If it parses, but such a trial cannot be.
    """
    return _scenario(read(path))


def parse_scenario(text: str, name: str = "<text>") -> Scenario:
    """Return the scenario in a YAML text; raises as `load_scenario` does.

    Parameters
    ----------
    text
        What would stand in the file.
    name
        What the text is called in messages.
    """
    return _scenario(parse(text, name))


def variant(scenario: Scenario, **sections: object) -> Scenario:
    """Return a scenario with other sections, checked as a file would be.

    Parameters
    ----------
    scenario
        The scenario to start from; it stays as it is.
    sections
        Whole sections in place of the old ones, as in the file: ``allocation={"kind": "equal"}``.

    Raises
    ------
    SpecError, DesignError
        As `load_scenario`, without lines.
    """
    stated = scenario.model_dump(mode="json", exclude_unset=True) | sections
    try:
        return _scenario(parse(json.dumps(stated), "<variant>"))
    except (SpecError, DesignError) as error:
        problems = [replace(problem, line=0, column=0, also_lines=()) for problem in error.problems]
        raise type(error)(problems, "<variant>") from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario file."""
    made = Scenario.model_json_schema(schema_generator=_Generator)
    made["title"] = "Scenario of sps_adaptive"
    for part in made["$defs"].values():  # the formulas are for the reference pages
        part["description"] = part.get("description", "").partition("\n\n")[0]
    return {"$schema": GenerateJsonSchema.schema_dialect, **made}


def schema_text() -> str:
    """Return the schema as it stands in `schema/scenario.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _scenario(document: Document) -> Scenario:
    try:
        # As JSON and strict: the keys of a course become numbers, while "yes" is no boolean, true no number
        # and text no number.
        scenario = Scenario.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise SpecError([*_translated(found, document), *_design_problems(found, document)], document.name) from None
    if problems := scenario.problems():
        raise DesignError([_placed(problem, document) for problem in problems], document.name)
    return scenario


def _placed(problem: Problem, document: Document) -> Problem:
    placed = _problem(problem.path, problem.message, problem.hint, document.position(problem.path))
    also = tuple(tuple(cut(printable(key)) if isinstance(key, str) else key for key in path) for path in problem.also)
    lines = tuple(document.position(path)[0] for path in problem.also)
    return replace(placed, also=also, also_lines=lines)


def _problem(path: Iterable[Key], message: str, hint: str, position: tuple[int, int]) -> Problem:
    shown = tuple(cut(printable(key)) if isinstance(key, str) else key for key in path)
    return Problem(shown, cut(printable(message), MAX_MESSAGE), cut(printable(hint), MAX_MESSAGE), *position)


# ---------------------------------------------------------------------------------------- the schema


class _Generator(GenerateJsonSchema):
    """JSON Schema that also says which keys a mapping may have: names, or months."""

    def dict_schema(self, schema: core_schema.DictSchema) -> dict[str, Any]:
        """Return the schema of a mapping."""
        made = super().dict_schema(schema)
        if schema.get("keys_schema", {}).get("type") == "float":
            made["propertyNames"] = {"pattern": _MONTH}
        if "patternProperties" in made:
            made["additionalProperties"] = False
        return made


@cache
def _schema() -> dict[str, Any]:
    return schema()


def _resolved(node: Node) -> Node:
    """Return what a reference or an optional value stands for."""
    while True:
        choices = _choices(node)
        if "$ref" in node:
            node = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
        elif len(choices) == 1:
            node = choices[0]
        else:
            return node


def _choices(node: Node) -> list[Node]:
    return [choice for choice in node.get("anyOf", []) if choice.get("type") != "null"]


def _kinds(node: Node) -> dict[str, str]:
    """Return the kinds of a section that has several, with the references to them."""
    mapping: dict[str, str] = node.get("discriminator", {}).get("mapping", {})
    return mapping


def _child(node: Node, key: Key) -> Node:
    """Return the schema of a key of a section or an item of a list; empty if there is none."""
    if isinstance(key, int):
        found = node.get("items")
    else:
        patterns = node.get("patternProperties") or {}
        others = next(iter(patterns.values()), node.get("additionalProperties"))
        found = node.get("properties", {}).get(key, others)
    return _resolved(found) if isinstance(found, dict) else {}


class _Place(NamedTuple):
    """Where pydantic found an error, in terms of the file."""

    path: tuple[Key, ...]
    node: Node
    section: Node
    """Schema of the section or list that holds it."""
    is_key: bool
    """Whether the key is wrong, not its value."""
    union: tuple[Key, ...] | None
    """Path of the value that could have been one of several things."""
    union_node: Node


def _place(location: tuple[Key, ...], value: object) -> _Place:
    """Return the place of an error, without the names of the alternatives that pydantic puts between the keys.

    An error of a key ends in "[key]", and its value is that key.
    """
    node, section, union_node = _resolved(_schema()), _resolved(_schema()), _resolved({})
    path: list[Key] = []
    union: tuple[Key, ...] | None = None
    is_key = False
    rest = list(location)
    while rest:
        part = rest.pop(0)
        if part == "[key]" and not rest and path and value == path[-1]:
            is_key = True
        elif isinstance(part, str) and part in _kinds(node):
            node = _resolved({"$ref": _kinds(node)[part]})
        elif choices := _choices(node):
            union, union_node = tuple(path), node
            wanted = "array" if rest and isinstance(rest[0], int) else "object"
            branches = [
                _resolved(choice) for choice in choices if _resolved(choice).get("type") == wanted or _kinds(choice)
            ]
            node = branches[0] if rest and branches else node
            if not rest:
                break
        else:
            path.append(part)
            section, node = node, _child(node, part)
    return _Place(tuple(path), node, section, is_key, union, union_node)


# ------------------------------------------------------------------------------------- in plain words


def describe(node: Node) -> str:
    """Return what a schema asks for, in words: "a number from 0 to 1"."""
    return _either(_alternatives(node))


def _alternatives(node: Node) -> list[str]:
    node = _resolved(node)
    if choices := _choices(node):
        return [words for choice in choices for words in _alternatives(choice)]
    if options := _options(node):
        return [repr(option) for option in options]
    if kinds := _kinds(node):
        return [f"a section with a kind ({', '.join(kinds)})"]
    match node.get("type"):
        case "number":
            return [f"a number{_range(node)}"]
        case "integer":
            return [f"a whole number{_range(node)}"]
        case "boolean":
            return ["true or false"]
        case "string":
            return ["text"]
        case "array":
            return [f"a list of {_plural(node.get('items', {}))}"]
    if node.get("propertyNames", {}).get("pattern") == _MONTH:
        return ["a section with numbers by month"]
    if node.get("additionalProperties"):
        return [f"a section with {_plural(node['additionalProperties'])} by name"]
    needed = ["its names as keys"] if "patternProperties" in node else node.get("required", [])
    return [f"a section with {', '.join(needed) or 'keys'}"]


def show(value: object) -> str:
    """Return a value as it may stand in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{cut(printable(value))}'"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a section"
    return cut(str(value))


def _options(node: Node) -> list[str]:
    return [node["const"]] if "const" in node else list(node.get("enum", []))


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _plural(node: Node) -> str:
    words = _alternatives(node)
    if len(words) > 1:
        return "values"
    found = re.fullmatch(r"a ((?:whole )?number)( .*)?", words[0])
    if words == ["text"]:
        return "names"
    return f"{found.group(1)}s{found.group(2) or ''}" if found else "sections"


def _range(node: Node) -> str:
    if "minimum" in node and "maximum" in node:
        return f" from {_limit(node['minimum'])} to {_limit(node['maximum'])}"
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "of at most",
        "exclusiveMaximum": "below",
    }
    parts = [f"{word} {_limit(node[key])}" for key, word in words.items() if key in node]
    return f" {' and '.join(parts)}".replace("and of at most", "and at most") if parts else ""


def _limit(number: float) -> str:
    return f"{int(number):,}" if abs(number) >= 10_000 else f"{number:g}"


# ---------------------------------------------------------------------------------------- the errors


class _Error(NamedTuple):
    """An error of pydantic and its place."""

    place: _Place
    kind: str
    value: Any
    context: Mapping[str, Any]
    said: str

    @property
    def is_mismatch(self) -> bool:
        """Whether the value is not of the right type at all."""
        return self.kind.endswith(("_type", "_parsing", "literal_error", "int_from_float"))


def _translated(found: list[ErrorDetails], document: Document) -> list[Problem]:
    errors = [
        _Error(_place(error["loc"], error["input"]), error["type"], error["input"], error.get("ctx", {}), error["msg"])
        for error in found
    ]
    unknown: dict[tuple[Key, ...], str] = {}
    """Unknown keys, with the missing keys that they probably stand for."""
    for error in errors:
        if error.kind == "extra_forbidden":
            unknown[error.place.path] = _nearest(error.place, _keys_at(document, error.place.path[:-1]))
    explained = {(*path[:-1], near) for path, near in unknown.items() if near}
    problems = []
    for error in _one_for_each_value(errors):
        path = error.place.path
        if error.kind == "extra_forbidden":
            message, hint = _unknown_key(error.place, unknown[path])
            problems.append(_problem(path[:-1], message, hint, document.position(path, of_key=True)))
        elif error.kind == "missing":
            if path not in explained:
                message, hint = _missing(error.place)
                problems.append(_problem(path[:-1], message, hint, document.position(path[:-1])))
        else:
            message, hint = _said(error)
            position = document.position(path, of_key=error.place.is_key)
            problems.append(_problem(path[:-1] if path[-1:] == ("",) else path, message, hint, position))
    return problems


def _design_problems(found: list[ErrorDetails], document: Document) -> list[Problem]:
    """Return what else cannot be, as far as that can be said of a file that does not parse.

    What is wrong is left out; if the rest makes a scenario with the defaults, it is checked like any other.
    """
    data = json.loads(json.dumps(document.data))
    wrong = {_place(error["loc"], error["input"]).path for error in found}
    for path in wrong:
        parent: Any = data
        for key in path[:-1]:
            parent = parent.get(key) if isinstance(parent, dict) else None
        if path and isinstance(parent, dict):
            parent.pop(path[-1], None)
    try:
        rest = Scenario.model_validate_json(json.dumps(data), strict=True)
    except ValidationError:
        return []
    known = [problem for problem in rest.problems() if not any(problem.path == path[:-1] for path in wrong)]
    return [_placed(problem, document) for problem in known]


def _one_for_each_value(errors: list[_Error]) -> list[_Error]:
    """Return the errors, but of those about a value that could be one of several things only what helps.

    If the value looks like one of these things, only what is wrong with it as such; if like none, one error.
    """
    kept: list[_Error] = []
    seen: set[tuple[Key, ...]] = set()
    helpful = {error.place.union for error in errors if not _is_of_other_type(error)}
    for error in errors:
        union = error.place.union
        if union is None or not _is_of_other_type(error):
            kept.append(error)
        elif union not in helpful and union not in seen:
            seen.add(union)
            kept.append(error._replace(kind="of_no_type"))
    return kept


def _is_of_other_type(error: _Error) -> bool:
    return error.is_mismatch and error.place.path == error.place.union and not error.place.is_key


def _said(error: _Error) -> tuple[str, str]:
    """Return message and hint for an error."""
    place, value = error.place, error.value
    if error.place.is_key:
        return _wrong_key(error)
    if error.kind in ("value_error", "assertion_error"):
        return re.sub(r"^(?:Value|Assertion) error, ", "", error.said), str(error.context.get("hint", ""))
    if error.kind == "union_tag_not_found":
        return "kind is missing", f"one of: {', '.join(_kinds_possible(place))}"
    if error.kind == "union_tag_invalid":
        return _unknown_kind(value["kind"], _kinds_possible(place))
    if error.kind in _LIMITS:
        name, words = _LIMITS[error.kind]
        return (
            f"{words} {_limit(error.context[name])}, got {show(value)}",
            f"give {_wanted(place)}{_percent(value, place)}",
        )
    if error.kind in _LENGTHS:
        name, words = _LENGTHS[error.kind]
        number = error.context.get("actual_length")  # of a mapping that is too long pydantic does not say it
        return words.format(error.context[name], len(value) if number is None else number), ""
    if error.kind == "finite_number":
        return f"a finite number is needed, got {show(value)}", f"give {_wanted(place)}"
    if error.kind == "literal_error" and place.path[-1:] == ("kind",):
        return _unknown_kind(value, _options(place.node))
    if error.is_mismatch or error.kind == "of_no_type":
        if error.kind == "dict_type" and (mistyped := _property_meant(place)):
            return f"unknown key {show(str(place.path[-1]))}", f"did you mean '{mistyped}'?"
        return f"{_wanted(place)} is needed, got {show(value)}", _type_hint(value, place)
    return f"{error.said[:1].lower()}{error.said[1:]}, got {show(value)}", ""


def _kinds_possible(place: _Place) -> list[str]:
    """Return the kinds of a section, also where something else could stand in its place."""
    return [kind for node in _each(place) for kind in _kinds(node)]


def _wanted(place: _Place) -> str:
    if kinds := _kinds(place.node):
        return f"a section with a kind ({', '.join(kinds)})"
    return describe(_whole(place))


def _whole(place: _Place) -> Node:
    """Return the schema of the value, with all that it could be."""
    return place.union_node if place.union == place.path else place.node


def _each(place: _Place) -> list[Node]:
    """Return what the value could be, one schema each."""
    node = _whole(place)
    return [_resolved(choice) for choice in _choices(node)] or [_resolved(node)]


def _type_hint(value: object, place: _Place) -> str:
    nodes = _each(place)
    types = {node.get("type") for node in nodes}
    options = [option for node in nodes for option in _options(node)]
    if isinstance(value, str):
        if near := difflib.get_close_matches(value, options, n=1, cutoff=0.5):
            return f"did you mean '{near[0]}'?"
        if types & {"number", "integer"}:
            return _number_hint(value)
        if "boolean" in types and value.lower() in ("yes", "no", "on", "off", "true", "false", "1", "0"):
            return f"write {'true' if value.lower() in ('yes', 'on', 'true', '1') else 'false'}, without quotes"
    if types == {"string"} and not options and isinstance(value, bool | int | float):
        return "put it in quotes"
    return ""


def _number_hint(value: str) -> str:
    if found := re.fullmatch(r"\s*([-+]?[0-9.]+)\s*%\s*", value):
        number = found.group(1)
        return f"write {float(number) / 100:g}" if number.count(".") < 2 and number.strip("+-.") else ""
    if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", value):
        return f"write {value.replace(',', '.')}: decimals have a point"
    if re.fullmatch(r"[-+]?[0-9]+(?:[_' ][0-9]{3})+", value):
        return f"write {re.sub(r'[_ ]', '', value)}"
    if re.fullmatch(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?", value) and len(value) < 30:
        return "leave the quotes out"
    return ""


def _percent(value: float, place: _Place) -> str:
    """Return what a number means if it was meant as a percentage, where a probability is needed."""
    is_probability = any(1 in (node.get("maximum"), node.get("exclusiveMaximum")) for node in _each(place))
    return f"; {value:g}% is {value / 100:g}" if is_probability and 2 <= value <= 100 else ""


def _wrong_key(error: _Error) -> tuple[str, str]:
    key = show(str(error.place.path[-1]))
    if error.kind == "string_too_long":
        return f"a name of {len(str(error.value))} characters", f"use at most {error.context['max_length']}"
    if error.kind == "string_too_short":
        return "a name is empty", _NAMES
    if error.kind == "string_pattern_mismatch":
        return f"{key} cannot be a name", _NAMES
    return f"{key} is not a month", "numbers by month of enrolment are written {0: 0.45, 18: 0.25}"


def _unknown_kind(kind: object, kinds: list[str]) -> tuple[str, str]:
    near = difflib.get_close_matches(kind, kinds, n=1) if isinstance(kind, str) else []
    listed = f"one of: {', '.join(kinds)}"
    if near:
        listed = f"did you mean '{near[0]}'? {listed}" if len(kinds) > 1 else f"did you mean '{near[0]}'?"
    return f"kind {show(kind)} is not known", listed


# ------------------------------------------------------------------------------------------- the keys


def _keys_at(document: Document, path: tuple[Key, ...]) -> set[str]:
    data: Any = document.data
    for key in path:
        data = data[key]
    return set(data) if isinstance(data, dict) else set()


def _nearest(place: _Place, present: set[str]) -> str:
    """Return the key of a section that an unknown key probably stands for: one that is not there, if any."""
    keys = list(place.section.get("properties", {}))
    written = str(place.path[-1]).lower().replace("-", "_").replace(" ", "_")
    for among in ([key for key in keys if key not in present], keys):
        if near := difflib.get_close_matches(written, among, n=1):
            return near[0]
    return ""


def _unknown_key(place: _Place, near: str) -> tuple[str, str]:
    message = f"unknown key {show(str(place.path[-1]))}"
    keys = ", ".join(place.section.get("properties", {}))
    return message, f"did you mean '{near}'?" if near else f"the keys here are: {keys}"


def _property_meant(place: _Place) -> str:
    """Return the key that was probably meant, in a section that has keys of its own and takes names besides."""
    keys = list(place.section.get("properties", {}))
    key = place.path[-1]
    near = difflib.get_close_matches(str(key), keys, n=1)
    return near[0] if near and place.section.get("additionalProperties") and key not in keys else ""


def _missing(place: _Place) -> tuple[str, str]:
    key = place.path[-1]
    if key == "kind":
        return "kind is missing", f"write kind: {' or '.join(_options(place.node))}"
    about = place.section.get("properties", {}).get(key, {}).get("description", "")
    first = re.split(r"(?<=[.:;])\s", about.strip(), maxsplit=1)[0].rstrip(".:;")
    return f"'{key}' is missing", f"{key}: {first[:1].lower()}{first[1:]}" if first else f"it is {_wanted(place)}"


if __name__ == "__main__":
    print(schema_text(), end="")
