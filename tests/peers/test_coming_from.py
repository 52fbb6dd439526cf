"""The page for those who know other programs: its scenario is the design that is compared with adaptr."""

import re
from pathlib import Path

from sps_adaptive.spec import parse_scenario
from tests.peers import adaptr

PAGE = (Path(__file__).parents[2] / "docs" / "coming_from.md").read_text(encoding="utf-8")


def test_the_design_of_the_page_is_the_one_that_is_compared():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    design = adaptr.stored("operating_characteristics")["designs"]["F0_binom_fut_equi_null"]["design"]
    told, compared = parse_scenario(text), adaptr.scenario(design)
    assert told.looks.counts(201) == design["data_looks"]
    for part in ("arms", "population", "endpoints", "analysis", "allocation"):
        assert getattr(told, part) == getattr(compared, part), part
    for one, other in zip(told.decisions, compared.decisions, strict=True):
        one, other = one.model_dump(), other.model_dump()
        assert abs(one.pop("probability") - other.pop("probability")) < 1e-12
        assert one == other
    assert told.truths["null"].of("y") == compared.truths["truth"].of("y")
