"""What `check`, `new` and `replay` print."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sps_adaptive.cli.layout import Table
from sps_adaptive.cli.terminal import complain, prose, say, table
from sps_adaptive.errors import StoreError, UsageError

if TYPE_CHECKING:
    from sps_adaptive.replay import Replay
    from sps_adaptive.scenario import Scenario


def synopsis(scenario: Scenario, file: str) -> None:
    """Print the design in English, the defaults it used and the warnings."""
    from sps_adaptive.cli.engines import outlook
    from sps_adaptive.synopsis import defaults, describe, warnings

    figures = outlook(scenario)
    say(" ".join(scenario.title.split()), bold=True)
    prose(scenario.question or "")
    say()
    for sentence in describe(scenario):
        prose(sentence, rest="  ")
    say()
    prose(f"Truths: {', '.join(scenario.truths)}.", rest="  ")
    prose(f"Figures: {figures}", rest="  ")
    for heading, lines in (
        ("Defaults used", defaults(scenario)),
        ("What a statistician would ask", warnings(scenario)),
    ):
        if lines:
            say()
            say(heading, bold=True)
        for line in lines:
            prose(line, "- ", "  ")
    say()
    say(f"{file} is a valid scenario.")


def write_template(name: str) -> None:
    """Write a commented scenario; never over an existing file."""
    path = Path(name)
    title = path.name.removesuffix(".yaml").removesuffix(".yml").replace("-", " ").replace("_", " ").strip()
    if not name.isprintable() or not any(map(str.isalnum, title)) or set(title) - set(" .()+,") - _letters(title):
        raise UsageError(f"'{name}' is no name for a scenario", "use letters, digits, blanks, - and _")
    path = path if path.suffix in (".yaml", ".yml") else path.with_name(path.name + ".yaml")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", "make it first, or choose another")
    file = shlex.quote(str(path))
    template = (Path(__file__).parent / "template.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(template.format(title=json.dumps(title, ensure_ascii=False), file=file))
    except FileExistsError as error:
        raise UsageError(f"{path} exists already and was left alone", "choose another name") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", "choose another name or folder") from error
    complain(f"Wrote {path}. Next: sps-adaptive check {file}")


def _letters(text: str) -> set[str]:
    return set(filter(str.isalnum, text))


# ------------------------------------------------------------------------------------------- replay


def story(told: Replay, *, patients: bool) -> None:
    """Print one trial look by look."""
    scenario = told.scenario
    control = scenario.arm_names[scenario.control]
    say(f"Trial {told.replicate} of truth '{told.truth}', {told.design} design", bold=True)
    prose(
        "P(best): posterior probability of being the best open arm. P(better): of being better than "
        f"{control} by more than the efficacy margin. Effect: arm minus {control}, posterior mean; "
        f"{'higher' if scenario.scale(scenario.endpoint_name).sign > 0 else 'lower'} is better"
        f"{_scale_words(scenario)}."
    )
    for look in told.looks():
        say()
        table(_look_table(scenario, look))
        for heard in told.rules(look["look"]):
            each = ", ".join(f"{arm} {value:.4f}" for arm, value in heard.values.items())
            prose(f"Rule {heard.number} ({heard.kind}): {heard.asked} {heard.threshold:g}? {each or 'no arm'}.")
        prose(_sentence(scenario, look))
    say()
    selected = told.selected_arm()
    prose(f"Outcome: {told.outcome()}." + (f" Selected arm: {selected}." if selected else ""))
    if patients:
        say()
        table(_patients(told))


def _scale_words(scenario: Scenario) -> str:
    """Return the scale of estimates and effects where it is not that of the outcomes."""
    name = scenario.scale(scenario.endpoint_name).name
    return "" if name in ("mean", "probability") else f", on the scale of {name.replace('_', ' ')}"


def _look_table(scenario: Scenario, look: dict[str, Any]) -> Table:
    name = "Final analysis" if look["is_final"] else f"Look {look['look']}"
    is_binary = scenario.endpoint.analysed_as == "binary"
    goes_on = not look["is_final"] and look["stop_reason"] == "none"
    made = Table(
        f"{name}, month {look['month']:.1f}: {look['n_enrolled']} enrolled, {look['n_known']} known, "
        f"{look['n_pending']} pending",
        ["arm"],
        ["enrolled", "known", "events" if is_binary else "mean", "estimate", "P(best)", "P(better)", "effect",
         *(["95% interval"] if look["is_final"] else []), *(["next allocation"] if goes_on else []), "state"],
        words=["state"],
    )  # fmt: skip
    for k, arm in enumerate(scenario.arm_names):
        is_control = k == scenario.control
        known, total = look["arm_known"][k], look["arm_total"][k]
        cells = [
            str(look["arm_enrolled"][k]),
            str(known),
            f"{total:g}" if is_binary else f"{total / known:.2f}" if known else "-",
            f"{look['estimate'][k]:.3f}",
            f"{look['prob_best'][k]:.3f}",
            "" if is_control else f"{look['prob_better'][k]:.4f}",
            "" if is_control else f"{look['effect'][k]:+.3f}",
        ]
        if look["is_final"]:
            interval = f"{look['effect_lower'][k]:+.3f} to {look['effect_upper'][k]:+.3f}"
            cells.append("" if is_control else interval)
        if goes_on:
            cells.append(f"{look['allocation'][k]:.3f}")
        made.add(arm, *cells, _state(scenario, look, k))
    return made


def _state(scenario: Scenario, look: dict[str, Any], k: int) -> str:
    """Return what has become of an arm; who is the control now, if no longer the first one."""
    if look["is_claimed"][k]:
        state = "declared effective"
    elif look["is_open"][k]:
        state = "open"
    elif look["opened_month"][k] != look["opened_month"][k]:  # NaN
        state = "never opened" if look["is_final"] else "not yet open"
    else:
        state = "closed"
    return f"{state}, control now" if look["is_control"][k] and k != scenario.control else state


def _sentence(scenario: Scenario, look: dict[str, Any]) -> str:
    if look["is_final"]:
        met = [arm for arm, meets in zip(scenario.arm_names, look["meets_efficacy"], strict=True) if meets]
        return f"Efficacy is met by {', '.join(met)}." if met else "No arm meets the condition for efficacy."
    if look["stop_reason"] != "none":
        return f"The trial stops for {look['stop_reason']}; the patients enrolled are followed to the end."
    return "The trial goes on with the next allocation."


def _patients(told: Replay) -> Table:
    frame = told.patients()
    names = [name.replace("_", " ") for name in frame.columns]
    made = Table("Patients", names[:1], names[1:], words=["arm"])
    for row in frame.itertuples(index=False):
        made.add(*("" if v != v else f"{v:.1f}" if isinstance(v, float) else str(v) for v in row))
    return made
