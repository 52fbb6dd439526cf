"""All ways to allocate patients in one setting, at the same certified familywise error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sps_adaptive.characteristics.truths import true_state
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.calibration import Calibration, calibrate, with_threshold
from sps_adaptive.exact.scores import claims_only_at_end, efficacy_rule
from sps_adaptive.scenario import ADAPTIVE
from sps_adaptive.spec import variant

if TYPE_CHECKING:
    import pandas as pd

    from sps_adaptive.scenario import Scenario

DROPPING = "equal, arms dropped"
"""The design that every rule that learns has to beat."""

DROP = {"kind": "drop_arm", "probability": 0.25}
"""An arm closes when it is better than the control with a probability below this."""

Sections = dict[str, Any]


class Entry(NamedTuple):
    """A way to allocate patients."""

    name: str
    allocation: Sections
    drops: bool = False
    """Whether arms are dropped as well."""


TEMPERED: Sections = {"kind": "thompson", "power": 0.5, "floor": 0.1}

ENTRIES: tuple[Entry, ...] = (
    Entry("equal", {"kind": "equal"}),
    Entry(DROPPING, {"kind": "equal"}, drops=True),
    Entry("square-root control", {"kind": "square_root_control"}),
    Entry("Thompson", {"kind": "thompson", "power": 1, "floor": 0.1}),
    Entry("Thompson, power 1/2", TEMPERED),
    Entry("Thompson, power n/2N", {"kind": "thompson", "floor": 0.1}),
    Entry("Thompson, control 1/3", TEMPERED | {"control_share": 1 / 3}),
    Entry("Thompson, control 1/3, arms dropped", TEMPERED | {"control_share": 1 / 3}, drops=True),
    Entry("Thompson, control matched", TEMPERED | {"control_share": "matched"}),
    Entry("Thompson, independent draws", TEMPERED | {"realisation": "independent"}),
    Entry("Thompson, permuted blocks", TEMPERED | {"realisation": "permuted_block"}),
    Entry("top-two Thompson", {"kind": "top_two", "floor": 0.1}),
    Entry("information-weighted", {"kind": "information_weighted", "floor": 0.1}),
    Entry("Trippa", {"kind": "trippa"}),
    Entry("null hypothesis", {"kind": "null_hypothesis", "floor": 0.1}),
    Entry("Neyman", {"kind": "neyman", "floor": 0.1}),
    Entry("RSIHR", {"kind": "rsihr", "floor": 0.1}),
    Entry("doubly adaptive, RSIHR", {"kind": "doubly_adaptive", "target": "rsihr", "floor": 0.1}),
    Entry("Gittins", {"kind": "gittins", "ahead": 6}),
    Entry("Gittins, controlled", {"kind": "gittins", "ahead": 6, "controlled": True}),
    Entry("play the winner", {"kind": "play_the_winner"}),
    Entry(
        "half equal, half Thompson",
        {
            "kind": "mixture",
            "rules": [
                {"weight": 0.5, "rule": {"kind": "equal"}},
                {"weight": 0.5, "rule": {"kind": "thompson", "power": 1}},
            ],
        },
    ),
)
"""Every rule once, and the variants of Thompson's that matter. Left out: `erade`, which is for two arms, and lists that
look back on single patients (`urn`, `stratified`, `minimisation`), which no sum over counts can follow."""


def gallery(
    base: Scenario,
    level: float = 0.05,
    entries: Sequence[Entry] = ENTRIES,
    watch: Callable[[int, str], None] | None = None,
) -> pd.DataFrame:
    """Return the figures of all ways to allocate, each at the same certified familywise error.

    The threshold of each design is the smallest whose familywise error, whatever the response rates, is certain not to
    exceed the level. As thresholds move in steps, no design meets the level exactly, and the luck of its steps would
    be taken for merit: so the power is that of a design that uses the next smaller threshold in a share of trials
    such that the bound of its error is the level (a randomised test).

    Parameters
    ----------
    base
        The setting: binary outcomes, claims at the final analysis only, one efficacy rule.
    level
        The familywise error.
    entries
        The ways to allocate.
    watch
        Is told the number (from 1) and the name of each before it is computed.

    Returns
    -------
    DataFrame
        A row for each way and truth: `rule`, `truth`, `threshold` (the stricter of the two), `power` (any effective
        arm is declared effective), `wrong` (any arm wrongly), `share_on_best` (mean share of patients on the best
        arm), `failures` (mean number of patients without response), `wrong_direction` (probability that more
        patients are on the worst arm than on the best, by over a tenth), `learns` and `drops`.

    Raises
    ------
    UsageError
        If the setting is not such that thresholds can be certified.
    """
    import pandas as pd

    if not claims_only_at_end(base):
        raise UsageError(
            "in the gallery arms are declared effective at the final analysis only",
            f"add from_look: {base.n_looks + 1} to the efficacy rule",
        )
    found: list[dict[str, Any]] = []
    for number, entry in enumerate(entries, start=1):
        if watch is not None:
            watch(number, entry.name)
        found += rows(base, level, entry)
    return pd.DataFrame(found)


def rows(base: Scenario, level: float, entry: Entry) -> Iterator[dict[str, Any]]:
    """Yield the figures of one way to allocate, by truth."""
    case = setting(base, entry)
    place, _ = efficacy_rule(case)
    found = calibrate(case, level)
    strict = figures(with_threshold(case, place, found.written))
    loose = strict if share_of_strict(found) == 1 else figures(with_threshold(case, place, found.next_threshold))
    for truth in case.truths:
        at_level = {
            name: share_of_strict(found) * strict[truth][name] + (1 - share_of_strict(found)) * loose[truth][name]
            for name in strict[truth]
        }
        yield {
            "rule": entry.name,
            "truth": truth,
            "threshold": found.written,
            "learns": case.allocation.bind(case.arm_names).learns,
            "drops": entry.drops,
            **at_level,
        }


def setting(base: Scenario, entry: Entry) -> Scenario:
    """Return the setting with one way to allocate."""
    allocation: Sections = {"block": 2 * len(base.arms)} | entry.allocation
    if allocation.get("realisation") == "independent":
        del allocation["block"]
    rules = [rule.model_dump(mode="json", exclude_unset=True) for rule in base.decisions]
    return variant(base, allocation=allocation, decisions=[*([DROP] if entry.drops else []), *rules])


def share_of_strict(found: Calibration) -> float:
    """Return in which share of trials the stricter of two thresholds must be used for the error to be the level."""
    if not found.next_upper > found.level:
        return 1.0
    return min(1.0, (found.next_upper - found.level) / (found.next_upper - found.upper))


def figures(case: Scenario) -> dict[str, dict[str, float]]:
    """Return the figures of one design by truth, computed exactly; NaN where a figure has no meaning."""
    from sps_adaptive.characteristics.exact import exact_characteristics

    frame = exact_characteristics(case)
    own = frame[(frame["design"] == ADAPTIVE) & (frame["arm"] == "") & (frame["look"] == 0)]
    wanted = {
        "power": "power_any", "wrong": "familywise_error", "share_on_best": "share_on_best",
        "wrong_direction": "wrong_direction", "patients": "patients",
    }  # fmt: skip
    found = {}
    for truth in case.truths:
        by_metric = own[own["truth"] == truth].set_index("metric")["estimate"]
        found[truth] = {name: float(by_metric.get(metric, float("nan"))) for name, metric in wanted.items()}
        responses = float(by_metric["events"])
        found[truth]["failures"] = found[truth]["patients"] - responses
    return found


def losses(table: pd.DataFrame, truth: str) -> dict[str, float]:
    """Return what the rules that learn lose in power against equal randomisation with arm dropping, in one truth.

    Only those that lose anything.
    """
    own = table[table["truth"] == truth]
    power: dict[str, float] = dict(zip(own["rule"].tolist(), own["power"].tolist(), strict=True))
    learns = own.loc[own["learns"], "rule"].tolist()
    return {rule: power[DROPPING] - power[rule] for rule in learns if power[rule] < power[DROPPING] - 5e-5}


def truths_with_power(base: Scenario) -> list[str]:
    """Return the truths in which an arm is effective."""
    return [truth for truth in base.truths if true_state(base, truth).is_effective.any()]
