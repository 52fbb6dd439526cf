"""From probabilities to patients: the length of the randomisation block."""

import pytest
from pydantic import ValidationError

from sps_adaptive.allocation import Equal, Fixed, Thompson

RULES = {
    "equal": lambda **given: Equal(kind="equal", **given),
    "fixed": lambda **given: Fixed(kind="fixed", ratio={"a": 1, "b": 3}, **given).bind(("a", "b")),
    "thompson": lambda **given: Thompson(kind="thompson", **given),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_says_how_it_is_realised(rule):
    assert rule().block_length(2) == 4
    assert rule(block=1).block_length(2) == 1
    assert rule(realisation="independent").block_length(2) == 0


def test_a_block_of_no_patients_does_not_parse():
    with pytest.raises(ValidationError):
        Equal(kind="equal", block=0)
