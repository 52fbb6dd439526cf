"""The base of everything that can stand in a scenario file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\W_](?:[\w \-+.,()/%]*[\w)%])?$")]
"""What arms, endpoints, truths, covariates and levels may be called."""


class Part(BaseModel):
    """A piece of a scenario: frozen, strict about its keys, described once.

    The fields are the YAML, the docstring is the reference page, the methods are the formulas.
    A part holds no state beyond its parameters.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        hide_input_in_errors=False,
    )

    source: str | None = None
    """Where the numbers of this section come from: a paper, a table, or the word "assumed"."""
