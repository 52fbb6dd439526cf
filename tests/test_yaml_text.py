"""Plain data out of YAML 1.2, and where each piece stands."""

import math

import pytest

from sps_adaptive.errors import SpecError
from sps_adaptive.yaml_text import cut, parse, printable, read


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("12", 12),
        ("010", 10),
        ("0o10", 8),
        ("0x1f", 31),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("-3", -3),
        (".5", 0.5),
        ("1.", 1),
        ("1e4", 10_000),
        ("24.0", 24),
        ("1e-3", 0.001),
        ("1e300", 1e300),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("'12'", "12"),
        ('"null"', "null"),
        ("n/2N", "n/2N"),
        ("[1, a]", [1, "a"]),
        ("{}", {}),
        ("|\n  x\n  y\n", "x\ny\n"),
        (">-\n  x\n  y\n", "x y"),
    ],
)
def test_a_value_means_what_the_core_schema_of_yaml_says(written, value):
    read = parse(f"key: {written}").data["key"]
    assert read == value
    assert type(read) is type(value)


def test_nan_is_a_number():
    assert math.isnan(parse("key: .nan").data["key"])


def test_a_number_nobody_can_mean_stays_text():
    assert parse(f"key: {'9' * 5000}").data["key"] == "9" * 5000
    assert parse(f"key: {10**400}").data["key"] == 10**400


@pytest.mark.parametrize("key", ["null", "true", "1", "1.0", "~", "yes", "2026-11-22", "0x1f"])
def test_a_key_is_the_text_as_written(key):
    assert parse(f"{key}: 1").data == {key: 1}
    assert parse(f"a: {{{key}: 1}}").data == {"a": {key: 1}}


def test_keys_that_look_the_same_are_the_same():
    assert parse("e\u0301: 1").data == {"\u00e9": 1}


def test_an_anchor_may_be_repeated():
    assert parse("a: &x {b: [1, 2]}\nc: *x\nd: [*x]").data == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": [{"b": [1, 2]}],
    }


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n")
    document = read(file)
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.position(("b", "c")) == (3, 6)


@pytest.mark.parametrize(
    ("path", "position", "of_key"),
    [
        ((), (2, 1), (2, 1)),
        (("a",), (2, 4), (2, 1)),
        (("b",), (3, 1), (3, 1)),
        (("b", "c"), (4, 6), (4, 3)),
        (("b", "c", 1), (4, 10), (4, 10)),
        (("b", "d"), (5, 3), (5, 3)),
        (("b", "d", 0), (6, 7), (6, 7)),
        (("b", "d", 0, "e"), (6, 14), (6, 11)),
        (("b", "nothing", "below"), (3, 1), (3, 1)),
        (("f",), (7, 1), (7, 1)),
        (("g",), (8, 4), (8, 1)),
        (("g", "e"), (6, 14), (6, 11)),
    ],
)
def test_everything_has_a_place(path, position, of_key):
    text = "# a comment\na: 1\nb:\n  c: [1, 2]\n  d:\n    - &x {e: 1}\nf:\ng: *x\n"
    document = parse(text)
    assert document.position(path) == position
    assert document.position(path, of_key=True) == of_key


def test_all_that_can_be_passed_over_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        parse("a: !x 1\na: 2\nb: {<<: 1}\n", "name.yaml")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]
    assert str(caught.value).startswith("name.yaml:1:4: a: the tag !x is not allowed\n    ")


def test_what_a_terminal_would_obey_is_written_as_an_escape():
    assert printable("a\x1b[31m\u202eb\u200b\U000e0001") == "a\\x1b[31m\\u202eb\\u200b\\U000e0001"
    assert printable("naïve Δ ≥ 1") == "naïve Δ ≥ 1"


def test_long_text_is_cut():
    assert cut("x" * 60) == "x" * 60
    assert cut("x" * 61) == "x" * 59 + "…"
