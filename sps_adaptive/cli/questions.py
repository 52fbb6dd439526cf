"""What else exact sums can answer: which threshold, how many patients, how probable a success is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sps_adaptive.cli.layout import Table
from sps_adaptive.cli.terminal import complain, data, prose, say, table
from sps_adaptive.errors import UsageError

if TYPE_CHECKING:
    from sps_adaptive.scenario import Scenario


class Asked(NamedTuple):
    """What was asked for on the command line."""

    calibrate: float | None
    sizes: str | None
    power: float
    belief: Sequence[str]
    truth: Sequence[str]
    budget: tuple[float, float]
    """Bytes and seconds."""


def ask(scenario: Scenario, asked: Asked, format: str) -> None:
    """Answer one question.

    Raises
    ------
    UsageError
        If it is not one question, or the answer would take too much.
    """
    if asked.belief and (asked.calibrate is not None or asked.sizes is not None or asked.truth):
        raise UsageError("--belief is a question of its own", "leave out --calibrate, --sizes and --truth")
    if asked.sizes is None:
        one = _only(scenario, asked.truth)
        allow(one, asked.budget)
        if asked.belief:
            beliefs(one, asked.belief, format)
        elif asked.calibrate is not None:
            threshold(one, asked.calibrate, format)
        return
    from sps_adaptive.characteristics.truths import true_state

    with_power = [truth for truth in scenario.truths if true_state(scenario, truth).is_effective.any()]
    hint = f"--truth '{with_power[0]}'" if with_power else "add a truth in which an arm is effective"
    if len(asked.truth) != 1:
        raise UsageError("--sizes needs one truth whose power is wanted", hint)
    one = _only(scenario, asked.truth)
    if asked.truth[0] not in with_power:
        raise UsageError(f"no arm is effective in the truth '{asked.truth[0]}', so that there is no power", hint)
    allow(largest(one, asked.sizes), asked.budget)
    sizes(one, asked.sizes, asked.truth[0], asked.calibrate, asked.power, format)


def allow(scenario: Scenario, budget: tuple[float, float]) -> None:
    """Say what an answer takes; complain if that is too much."""
    from sps_adaptive.exact.budget import Budget
    from sps_adaptive.exact.choice import choose

    must = scenario.model_copy(update={"simulation": scenario.simulation.model_copy(update={"engine": "exact"})})
    why = choose(must, Budget(*budget)).why
    complain(f"{why[:1].upper()}{why[1:]}.")


def largest(scenario: Scenario, asked: str) -> Scenario:
    """Return the trial of the largest size that is asked for."""
    from sps_adaptive.exact.choice import with_patients

    size = numbers(asked)[-1]
    made = with_patients(scenario, size)
    if made is None:
        raise UsageError(f"a trial of {size} patients ends before its first look", "ask for larger sizes")
    return made


def _only(scenario: Scenario, truths: Sequence[str]) -> Scenario:
    for truth in truths:
        scenario.truth(truth)
    kept = {name: truth for name, truth in scenario.truths.items() if not truths or name in truths}
    return scenario.model_copy(update={"truths": kept})


def threshold(scenario: Scenario, level: float, format: str) -> None:
    """Print the smallest threshold whose largest error is certain to be at most a level, and the power with it."""
    from sps_adaptive.characteristics.exact import exact_characteristics
    from sps_adaptive.decisions.shape import Shape
    from sps_adaptive.exact.calibration import calibrate, with_threshold
    from sps_adaptive.exact.scores import efficacy_rule

    place, rule = efficacy_rule(scenario)
    found = calibrate(scenario, level)
    cases = [scenario, with_threshold(scenario, place, found.written)]
    frames = [exact_characteristics(case) for case in cases]
    rows: list[dict[str, Any]] = [
        {"truth": truth, "metric": metric, "now": now, "calibrated": calibrated}
        for truth in scenario.truths
        for metric in ("power_any", "familywise_error")
        for now, calibrated in [tuple(_figure(frame, truth, metric) for frame in frames)]
        if now is not None
    ]
    if format != "table":
        _tidy([{"threshold": found.written, "largest_error": found.upper} | row for row in rows], format)
        return
    _head(scenario)
    key = "final" if isinstance(rule.probability, Shape) else "probability"
    prose(
        f"The smallest threshold with which the largest error is certain to be at most {percent(level)} is "
        f"{found.threshold:.10g}: write {key}: {found.written:.12g} into rule {place + 1}. The largest error is "
        f"then at most {percent(found.upper, up=True)} ({found.null}, at a response rate of "
        f"{', '.join(f'{_natural(scenario, rate):.3f}' for rate in found.rates)})."
    )
    prose(_of_thresholds(scenario))
    before = rule.planned(scenario.planned_fractions() or ()).stated[-1]
    made = Table(
        "Any arm declared effective, % of trials, exact",
        ["truth", "rightly (power) or wrongly"],
        [f"threshold\n{before:g}, as now", f"threshold\n{found.written:g}"],
    )
    for row in rows:
        which = "rightly" if row["metric"] == "power_any" else "wrongly"
        made.add(row["truth"], which, percent(row["now"]), percent(row["calibrated"]))
    say()
    table(made)


def _of_thresholds(scenario: Scenario) -> str:
    """Return what "smallest" and "largest" do not mean."""
    from sps_adaptive.exact.scores import claims_only_at_end

    notes = ["Do not round it down. Thresholds below 0.5 are not considered."]
    if not claims_only_at_end(scenario):
        notes.append(
            "Smallest: to a millionth, if the error falls as the threshold rises; the bound holds in any case."
        )
    if len(scenario.arms) > 2:
        control = scenario.arm_names[scenario.control]
        notes.append(
            f"Largest: over response rates that are those of {control} in some arms, whatever they are, and anything "
            f"in the others; errors about arms that are worse than {control} are not covered."
        )
    return " ".join(notes)


def sizes(scenario: Scenario, asked: str, truth: str, level: float | None, power: float, format: str) -> None:
    """Print the exact power at each of some sizes."""
    from sps_adaptive.exact.sizes import curve

    found = curve(scenario, numbers(asked), truth, level, power)
    frame = found.table
    if format != "table":
        _tidy(list(frame.to_dict("records")), format)
        return
    _head(scenario)
    made = Table(
        f"Power by the largest number of patients, truth '{truth}', exact",
        ["patients"],
        ["threshold", "largest error, %", "power, %", "enrolled", "on the best arm, %", "respond, %"],
        "Power: any effective arm is declared effective. Enrolled: mean. On the best arm: mean share of patients."
        + (
            " The largest error needs --calibrate."
            if level is None
            else f" Threshold: the smallest with a largest error of at most {percent(level)}. "
            + _of_thresholds(scenario)
        ),
    )
    rows: list[dict[Any, Any]] = list(frame.to_dict("records"))
    for row in rows:
        error = "-" if row["largest_error"] != row["largest_error"] else percent(row["largest_error"], up=True)
        shares = (percent(row[name]).rstrip("%") for name in ("power", "share_on_best", "responders"))
        power_found, on_best, respond = shares
        made.add(
            f"{row['patients']}", f"{row['threshold']:.6g}", error.rstrip("%"), power_found, f"{row['enrolled']:.1f}",
            on_best, respond,
        )  # fmt: skip
    table(made)
    say()
    most = max(rows, key=lambda row: float(row["power"]))
    if found.first is None:
        prose(
            f"None of these sizes reaches a power of {percent(power)}: the largest power is {percent(most['power'])}, "
            f"with {most['patients']} patients."
        )
        return
    lasting = (
        f"from {found.lasting} on all of these sizes do"
        if found.lasting is not None
        else "but the largest of these sizes does not"
    )
    prose(
        f"The smallest of these sizes with a power of {percent(power)} is {found.first} patients; {lasting}. Exact "
        "power is saw-toothed, because the number of responders is a whole number."
    )


def beliefs(scenario: Scenario, asked: Sequence[str], format: str) -> None:
    """Print the exact assurance for Beta design priors."""
    from sps_adaptive.exact.assurance import assurance
    from sps_adaptive.scenario import ADAPTIVE, FIXED

    priors = design_priors(asked)
    found = {design: assurance(scenario, priors, design) for design in (ADAPTIVE, FIXED)}
    if format != "table":
        rows = [
            {"design": design, "arm": arm, "claimed": each.claimed[arm], "rightly": each.rightly[arm],
             "effective": each.effective[arm]}
            for design, each in found.items()
            for arm in each.claimed
        ]  # fmt: skip
        _tidy(rows, format)
        return
    _head(scenario)
    made = Table(
        "Assurance: probability of success, averaged over what is believed, exact",
        ["design", "arm"],
        ["believed\neffective, %", "declared effective, %", "declared effective, and is, %"],
        "Believed: "
        + "; ".join(f"{arm} Beta({a:g}, {b:g}), mean {a / (a + b):.2f}" for arm, (a, b) in priors.items())
        + ".",
    )
    for design, each in found.items():
        for arm in each.claimed:
            cells = (each.effective[arm], each.claimed[arm], each.rightly[arm])
            made.add(design, arm, *(percent(cell).rstrip("%") for cell in cells))
        made.add(design, "any", "", percent(each.any_claimed).rstrip("%"), "")
    table(made)


def numbers(asked: str) -> list[int]:
    """Return the numbers that "24:120" or "24:120:2" stands for."""
    try:
        first, last, *step = (int(part) for part in asked.split(":"))
        if len(step) <= 1 and 1 < first <= last <= 1000 and all(each > 0 for each in step):
            return list(range(first, last + 1, *step))
    except ValueError:
        pass
    raise UsageError(f"'{asked}' is no range of sizes", "write 24:120, or 24:120:2 for every second, up to 1000")


def design_priors(asked: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the design priors that "placebo=3,9" and its like stand for."""
    priors = {}
    for each in asked:
        arm, _, rest = each.rpartition("=")
        try:
            alpha, beta = (float(part) for part in rest.split(","))
        except ValueError:
            raise UsageError(f"'{each}' is no design prior", "write ARM=ALPHA,BETA, such as placebo=3,9") from None
        if arm.strip() in priors:
            raise UsageError(f"two design priors for {arm.strip()}", "give one")
        priors[arm.strip()] = (alpha, beta)
    return priors


def percent(value: float, *, up: bool = False) -> str:
    """Return a probability in percent with two decimals, rounded up if it is a bound."""
    from math import ceil

    if not up and 0 < value < 5e-5:
        return "<0.01%"
    return f"{ceil(value * 1e4 - 1e-9) / 100 if up else 100 * value:.2f}%"


def _figure(frame: Any, truth: str, metric: str) -> float | None:
    here = frame[(frame["truth"] == truth) & (frame["design"] == "adaptive") & (frame["metric"] == metric)]
    return None if here.empty else float(here["estimate"].iloc[0])


def _natural(scenario: Scenario, rate: float) -> float:
    return rate if scenario.endpoint.better == "higher" else 1 - rate


def _head(scenario: Scenario) -> None:
    say(" ".join(scenario.title.split()), bold=True)
    say()


def _tidy(rows: Sequence[Mapping[Any, Any]], format: str) -> None:
    import pandas as pd

    frame = pd.DataFrame(rows)
    if format == "csv":
        data(frame.to_csv(index=False, lineterminator="\n"))
    else:
        tidy = frame.astype(object).where(frame.notna(), None).to_dict("records")
        data(json.dumps(tidy, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
