"""docs/accuracy.md says what the stored figures say."""

from __future__ import annotations

from tests.models.accuracy import PAGE, page


def test_the_page_shows_the_stored_figures():
    """To write it anew: python -m tests.models.accuracy."""
    text = PAGE.read_text()
    assert page(text) == text
