"""The reference of the scenario file says what the code says."""

from pathlib import Path

from sps_adaptive.reference import page
from tests.contracts.test_every_kind import KINDS, word_of

FILE = Path(__file__).parents[1] / "docs" / "scenario.md"


def test_the_page_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == page(), "python -m sps_adaptive.reference > docs/scenario.md"


def test_every_kind_and_field_is_on_it():
    text = page()
    for _, _, kind in KINDS:
        assert f"### `{word_of(kind)}`" in text
        for field in kind.model_fields:
            assert field in ("kind", "source") or f"| `{field}` |" in text
    assert ":math:" not in text and ".. math::" not in text
