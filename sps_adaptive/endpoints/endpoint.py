"""What all endpoints share: their direction, their scales, and how a truth about them is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError

from sps_adaptive.contracts import Scale
from sps_adaptive.endpoints.course import Course
from sps_adaptive.part import Part

if TYPE_CHECKING:
    from jaxtyping import Float

    from sps_adaptive.contracts import Array

Place = tuple[tuple[str | int, ...], str, str]
"""Something that cannot be: where, what, and a hint."""


class Endpoint(Part):
    """Something that is measured, and the direction in which it is good.

    A kind says how outcomes arise (`potential`), what is true of an arm on each scale that an analysis may be about
    (`true_values`), and how its truths are read (`truth_type`).
    """

    truth_type: ClassVar[Any] = Course
    """What the true value of one arm is read as."""
    needs_follow_up: ClassVar[bool] = False
    """Whether the analysis must know how long each patient has been followed."""
    has_events: ClassVar[bool] = False
    """Whether the last outcome tells of an event, so that looks can wait for a number of them."""
    observed_scales: ClassVar[frozenset[str]] = frozenset({"mean", "probability"})
    """The scales on which the mean of the patients' last outcomes, arm by arm, is what the analysis estimates."""
    luck_rises: ClassVar[bool] = True
    """Whether a larger uniform gives a larger outcome on the endpoint's own scale, for correlations of endpoints."""

    description: str | None = None
    """What is measured, in words; the definition of response."""
    better: Literal["higher", "lower"]
    """Which direction is good for the patient."""

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is."""
        return 1.0 if self.better == "higher" else -1.0

    @property
    def uniforms(self) -> int:
        """How many uniform numbers the outcome of a patient is made of."""
        return 1

    @property
    def outcomes(self) -> int:
        """Number of visits, or of numbers known of a patient: the axis V."""
        return 1

    @property
    def analysed_as(self) -> str:
        """Which models take the outcome: the kind, unless a derived outcome is analysed."""
        return str(getattr(self, "kind", ""))

    def natural(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Turn oriented outcomes, or their sums, into the endpoint's own scale and back."""
        return self.sign * oriented

    def natural_difference(self, oriented: Float[Array, "..."]) -> Float[Array, "..."]:
        """Turn oriented differences of outcomes into the endpoint's own scale and back."""
        return self.sign * oriented

    def scales(self) -> tuple[str, ...]:
        """Return the scales on which a true value is defined."""
        return ("mean",)

    def compares(self, scale: str) -> bool:
        """Return whether a scale compares arms with the control, whose own value is the same whatever it does."""
        return False

    def scale(self, name: str) -> Scale:
        """Return how values on a scale are turned."""
        return Scale(name, getattr(self, "unit", None) or "", self.sign)

    def read(self, stated: Mapping[str, Any]) -> dict[str, Any]:
        """Return the true value of each arm, as `truth_type`.

        Raises
        ------
        pydantic.ValidationError
            If a value is not one.
        """
        return {arm: _read(type(self), value) for arm, value in stated.items()}

    def unreadable(self, stated: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be read as the true value of an arm, as (path, message, hint)."""
        found: list[Place] = []
        for arm, value in stated.items():
            try:
                _read(type(self), value)
            except ValidationError as error:
                said = _of_course(value) if self.truth_type == Course else _of_fields(value, error)
                found += [((arm, *path), message, self.truth_hint()) for path, message in said]
        return found

    def truth_hint(self) -> str:
        """Return how the true value of an arm is stated, with an example."""
        return "give a number, or numbers by month of enrolment: {0: 0.45, 18: 0.25}"

    def truth_problems(self, truth: Mapping[str, Any]) -> list[Place]:
        """Return what cannot be about a truth that could be read, as (path, message, hint); arms may be missing."""
        return []

    def problems(self) -> list[Place]:
        """Return what cannot be about the endpoint itself, as (path, message, hint)."""
        return []

    def changes(self, value: Any) -> bool:
        """Return whether the true value of an arm changes with the month of enrolment."""
        return isinstance(value, dict)

    def describe(self) -> str:
        """Return what kind of outcome it is, in plain English, without an article's sentence."""
        raise NotImplementedError

    def words(self, value: Any) -> str:
        """Return the true value of one arm in a few words."""
        return f"{value:g}" if isinstance(value, int | float) else str(value)


@lru_cache(maxsize=64)
def _reader(kind: type[Endpoint]) -> TypeAdapter[Any]:
    return TypeAdapter(kind.truth_type)


def _read(kind: type[Endpoint], value: Any) -> Any:
    # As JSON and strict: the keys of a course become numbers, while true is no number and text neither.
    plain = value.model_dump(exclude_none=True) if isinstance(value, Part) else value
    return _reader(kind).validate_json(json.dumps(plain), strict=True)


def _of_course(value: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Return why a value is not a number, or numbers by month, each with its path."""
    if not isinstance(value, dict):
        return [((), f"a number or a section with numbers by month is needed, got {_shown(value)}")]
    found: list[tuple[tuple[str | int, ...], str]] = []
    for month, number in value.items():
        try:
            is_month = isfinite(float(month))
        except ValueError:
            is_month = False
        if not is_month:
            found.append(((month,), f"'{month}' is not a month"))
        elif isinstance(number, bool) or not isinstance(number, int | float):
            found.append(((month,), f"a number is needed, got {_shown(number)}"))
    return found


def _of_fields(value: Any, error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """Return what is wrong with a value in several words, each with its path.

    Of several things that the value could be, only what is wrong with it as the one that fits best.
    """
    branches: dict[tuple[str | int, ...], list[tuple[tuple[str | int, ...], str]]] = {}
    unfit: set[tuple[str | int, ...]] = set()
    for each in error.errors(include_url=False):
        path, branch, here = list[str | int](), list[str | int](), value
        for key in each["loc"]:  # what leads to a place of the file; the rest names alternatives
            if _leads_on(here, key):
                path.append(key)
                here = here[key]
            elif not path:
                branch.append(key)
        last = each["loc"][-1] if each["loc"] else ""
        if each["type"] == "missing":
            message = f"'{last}' is missing"
        elif each["type"] == "extra_forbidden":
            message = f"'{last}' does not belong here"
        elif each["type"].endswith("_type") or each["type"].endswith("_parsing"):
            message = f"{_NEEDED.get(each['type'], 'something else')} is needed, got {_shown(here)}"
            if not path or _is_month_error(each["loc"], value):
                unfit.add(tuple(branch[:1]))
        else:
            message = f"{_plain(each['msg'])}, got {_shown(here)}"
        said = branches.setdefault(tuple(branch[:1]), [])
        if (tuple(path), message) not in said:
            said.append((tuple(path), message))
    fitting = [said for branch, said in branches.items() if branch not in unfit] or list(branches.values())
    return min(fitting, key=len)


_NEEDED = {"float_type": "a number", "int_type": "a whole number", "list_type": "a list", "dict_type": "a section"} | {
    name: "a section with fields" for name in ("model_type", "model_attributes_type")
}


def _plain(message: str) -> str:
    """Return a message of the validation in our words."""
    return message.removeprefix("Value error, ").replace("Input should be", "it must be")


def _is_month_error(location: tuple[str | int, ...], value: Any) -> bool:
    """Return whether words were taken for months: a section of fields is no course."""
    return isinstance(value, dict) and "[key]" in location


def _leads_on(here: Any, key: str | int) -> bool:
    return (
        key in here if isinstance(here, dict) else isinstance(here, list) and isinstance(key, int) and key < len(here)
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "a section"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)
