"""The reference of a scenario file as a page: every kind with its description and fields, from the code itself.

`python -m sps_adaptive.reference` prints it; a test compares `docs/scenario.md` with it.
"""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

from sps_adaptive.endpoints.endpoint import Endpoint
from sps_adaptive.part import Part
from sps_adaptive.scenario import Scenario, TruthSpec
from sps_adaptive.spec import describe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOMS = {
    "scenario": "The sections of the file",
    "population": "Population: how patients come and go",
    "endpoints": "Endpoints: what is measured",
    "models": "Analysis",
    "schedules": "Looks: when the data are looked at",
    "allocation": "Allocation: with which probability the next patient gets which arm",
    "realisation": "Realisation: how probabilities become a randomisation list",
    "decisions": "Decisions: what follows from the data",
}
"""Parts of the page, by the room in which a kind lives."""

HEAD = """# The scenario file, field by field

What can stand in a scenario, generated from the code (`python -m sps_adaptive.reference`). A kind is chosen by its
word: `allocation: {kind: thompson, ...}`. Every section may also have `source:`, where its numbers come from.
Thresholds, probabilities and shares are numbers from 0 to 1; times are in months.
"""


def page() -> str:
    """Return the whole page, in Markdown."""
    parts = {kind.__name__: kind for kind in _kinds(Part)} | {"TruthSpec": TruthSpec, "Scenario": Scenario}
    schema = Scenario.model_json_schema()
    nodes = schema["$defs"] | {"Scenario": schema}
    lines = [HEAD]
    for room, title in ROOMS.items():
        own = [name for name in nodes if name in parts and parts[name].__module__.split(".")[1] == room]
        lines.append(f"## {title}\n")
        for name in sorted(own, key=lambda each: (each != "Scenario", _word(nodes[each], each).lower())):
            lines += _section(_word(nodes[name], name), parts[name], nodes[name])
            lines += _truth(parts[name])
    return "\n".join(lines).rstrip() + "\n"


def _truth(kind: type[BaseModel]) -> list[str]:
    """Return what the true value of an arm may be, of an endpoint that takes several words."""
    if not issubclass(kind, Endpoint) or not hasattr(kind, "truth_type"):
        return []
    sections = TypeAdapter(kind.truth_type).json_schema()
    models = dict(sections.get("$defs", {}))
    if "properties" in sections:
        models = {sections["title"]: sections} | models
    if not models:
        return []
    lines = ["The true value of an arm:\n", "| section | field | meaning |", "|---|---|---|"]
    for name, node in models.items():
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
        lines += [
            f"| {word} | `{field}` | {_cell(value.get('description', ''))} |"
            for field, value in node.get("properties", {}).items()
            if field != "source"
        ]
    return [*lines, ""]


def _kinds(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _word(node: Mapping[str, Any], name: str) -> str:
    """Return the word in the file; of a section without a kind, its name in small letters."""
    kind = node["properties"].get("kind", {}).get("const")
    return f"`{kind}`" if kind else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _section(word: str, kind: type[BaseModel], node: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| `{field}` | {_cell(describe(value))} | {_default(field, value, node)} | "
        f"{_cell(value.get('description', ''))} |"
        for field, value in node["properties"].items()
        if field not in ("kind", "source")
    ]
    table = ["| field | what it may be | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    return [f"### {word}\n", _prose(inspect.getdoc(kind) or ""), "", *table]


def _default(field: str, value: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    if field in node.get("required", []):
        return "must be stated"
    default = value.get("default")
    if default is None or isinstance(default, dict | list):
        return "-"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _prose(text: str) -> str:
    """Return a docstring with its formulas as Markdown has them."""
    text = re.sub(r":(?:class|func|meth|mod):`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    text = re.sub(r":math:`([^`]*)`", lambda found: f"${found[1]}$", text)
    text = re.sub(
        r"^\.\. math::((?:.*\n)(?:(?: +.*)?\n)*)",
        lambda found: f"$$ {' '.join(found[1].split())} $$\n\n",
        text + "\n",
        flags=re.MULTILINE,
    )
    text = re.sub(r"^References\n-+\n", "References:\n", text, flags=re.MULTILINE)
    text = re.sub(r"^``|``", "`", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _cell(text: str) -> str:
    return _prose(" ".join(text.split())).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
