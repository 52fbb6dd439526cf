"""The picture of the gallery: one point a rule and panel, every rule named, the same file each time."""

import pandas as pd

from sps_adaptive.report.gallery import draw

FOUND = pd.DataFrame(
    {
        "rule": ["equal", "Thompson", "equal"],
        "truth": ["a works", "a works", "nothing works"],
        "power": [0.6, 0.5, float("nan")],
        "failures": [35.0, 30.0, 40.0],
        "learns": [False, True, False],
    }
)


def test_the_picture_names_rules_and_figures_and_is_the_same_each_time(tmp_path):
    for name in ("one.svg", "two.svg"):
        draw(FOUND, "a works", 0.05, tmp_path / name)
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    for words in ("equal", "Thompson", "60.0", "50.0", "35.0", "30.0", "Power, %", "5%"):
        assert words in text, words
    assert text == (tmp_path / "two.svg").read_text(encoding="utf-8")


def test_other_kinds_of_pictures(tmp_path):
    for name, start in (("it.png", b"\x89PNG"), ("it.pdf", b"%PDF")):
        draw(FOUND, "a works", 0.05, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
