"""A scenario that was made in Python, as the text of a file."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sps_adaptive.scenario import Scenario


def scenario_text(scenario: Scenario) -> str:
    """Return a scenario as YAML: what was stated, without defaults; to parse it gives the same scenario again."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # the order of arms and truths means something
    yaml.allow_unicode = True
    stream = StringIO()
    yaml.dump(scenario.model_dump(exclude_unset=True), stream)
    return stream.getvalue()
