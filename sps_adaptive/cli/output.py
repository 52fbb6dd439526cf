"""What the commands print: data on stdout, progress and warnings on stderr, readable without colour."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sps_adaptive.cli.figures import Figures, number, percent, plain
from sps_adaptive.errors import StoreError, UsageError

if TYPE_CHECKING:
    from sps_adaptive.replay import Replay
    from sps_adaptive.runs.results import Results
    from sps_adaptive.scenario import Scenario

PIPE_WIDTH = 132
"""Width of tables where stdout is not a terminal."""


def warn(message: str) -> None:
    """Tell something on stderr that is no error."""
    print(f"Warning: {message}", file=sys.stderr)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show trials done, trials per second and time left on stderr; nothing where that is not a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.0f} trials/s" if task.speed else "")

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("Simulating"), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn(),
        console=console, transient=True, disable=quiet or not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report


# ----------------------------------------------------------------------------- the answer of a run


def answer(results: Results, format: str, *, full: bool) -> None:
    """Print the operating characteristics of a run."""
    frame = results.characteristics.drop(columns="n")
    if format == "csv":
        sys.stdout.write(frame.to_csv(index=False, lineterminator="\n"))
    elif format == "json":
        sys.stdout.write(frame.to_json(orient="records", indent=1, double_precision=15) + "\n")
    else:
        _tables(results, full=full)


def _tables(results: Results, *, full: bool) -> None:
    scenario, console = results.scenario, _console()
    figures = Figures(results.characteristics)
    console.print(Text(scenario.title, style="bold"))
    console.print(
        f"{results.replicates:,} simulated trials for each truth and design, seed {scenario.simulation.seed}. "
        "adaptive: the design of the scenario. fixed: the same patients randomised equally, no looks. "
        "± is one Monte Carlo standard error."
    )
    for piece in (_claims, _patients, _endings, _stops, _calendar, _estimates):
        if table := piece(results, figures):
            console.print()
            console.print(table)
    if full:
        console.print()
        console.print(_everything(results))
    console.print()
    console.print(Text("In short", style="bold"))
    for sentence in _in_short(results, figures):
        console.print(Text(sentence))
    console.print()
    name = str(results.folder)
    console.print(Text(f"Every figure: {name}/characteristics.csv (or --full, --format csv, --format json)"))
    console.print(Text(f"Every trial:  {name}/trials, looks, arms (Parquet); columns in {name}/DICTIONARY.md"))


def _claims(results: Results, figures: Figures) -> Table:
    scenario = results.scenario
    arms = _experimental(scenario)
    table = _table(
        "Declared effective, % of trials",
        "A tick marks an arm that truly is effective: there the figure is its power, elsewhere its type I error. The two "
        "designs are compared as they stand, not at the same type I error.",
        ["truth", "design", *arms, "any wrong\n(familywise)", "any right\n(power)", "all\nright", "picks\nthe best"],
    )
    for truth, design, label in _rows(results):
        cells = []
        for arm in arms:
            effective = figures.get(truth, design, "power", arm) is not None
            cells.append(percent(figures.get(truth, design, "claimed", arm)) + (" ✓" if effective else "  "))
        rest = ("familywise_error", "power_any", "power_all", "power_best")
        table.add_row(label, design, *cells, *(percent(figures.get(truth, design, metric)) for metric in rest))
    return table


def _patients(results: Results, figures: Figures) -> Table:
    scenario = results.scenario
    table = _table(
        "Patients",
        "Mean ± error, standard deviation, and 5% to 95% quantiles of the number enrolled; means by arm. Best arm: mean "
        "share of patients on the truly best arm. Wrong way: % of trials with more patients on the worst arm than on "
        "the best, by over a tenth of the largest size.",
        ["truth", "design", "enrolled", "SD", "5-95%", *scenario.arm_names, "best arm, %", "wrong way, %"],
    )
    for truth, design, label in _rows(results):
        get = _getter(figures, truth, design)
        table.add_row(
            label,
            design,
            number(get("patients")),
            plain(get("patients_sd"), 1),
            f"{plain(get('patients_q05'))}-{plain(get('patients_q95'))}",
            *(plain(get("patients", arm), 1) for arm in scenario.arm_names),
            percent(get("share_on_best")),
            percent(get("wrong_direction")),
        )
    return table


def _endings(results: Results, figures: Figures) -> Table:
    from sps_adaptive.characteristics.metrics import outcome_metric
    from sps_adaptive.tables import OUTCOMES

    table = _table(
        "How trials end, % of trials",
        "Early: stopped at a look; late: went to the end. 'then': stopped at a look, and the final analysis, with the "
        "patients who were still being followed, says the opposite. Not upheld: an arm declared effective at a look no "
        "longer meets the threshold in the final analysis.",
        ["truth", "design", *(name.replace(" ", "\n", 1) for name in OUTCOMES), "claim not\nupheld"],
    )
    for truth, design, label in _rows(results):
        get = _getter(figures, truth, design)
        ends = [_bare(get(outcome_metric(name))) for name in OUTCOMES]
        table.add_row(label, design, *ends, _bare(get("claim_contradicted")))
    return table


def _stops(results: Results, figures: Figures) -> Table | None:
    """Only the adaptive design has looks."""
    looks = range(1, results.scenario.n_looks + 1)
    if not looks:
        return None
    table = _table(
        "Looks of the adaptive design",
        "Month: mean. Patients: mean known of those enrolled; the rest is pending or has dropped out. Stops: % of all "
        "trials that stop there.",
        [
            "truth",
            "look",
            "takes place, %",
            "month",
            "enrolled",
            "known",
            "pending",
            "stops for efficacy",
            "for futility",
        ],
    )
    for truth in results.truths:
        for k in looks:
            metrics = ("look_month", "enrolled", "known", "pending")
            get = _getter(figures, truth, "adaptive")
            table.add_row(
                truth if k == 1 else "",
                str(k),
                _bare(get("look_taken", "", k)),
                *(plain(get(metric, "", k), 1) for metric in metrics),
                percent(get("stop_efficacy", "", k)),
                percent(get("stop_futility", "", k)),
            )
    return table


def _calendar(results: Results, figures: Figures) -> Table:
    binary = results.scenario.endpoint.kind == "binary"
    table = _table(
        "Time, and outcomes in the trial",
        "Months from the opening; 5% to 95% quantiles until everybody is followed. Overrun: patients pending when a trial "
        "stops at a look.",
        [
            "truth",
            "design",
            "decision",
            "all followed",
            "SD",
            "5-95%",
            "overrun",
            "events" if binary else "mean outcome",
        ],
    )
    for truth, design, label in _rows(results):
        get = _getter(figures, truth, design)
        table.add_row(
            label,
            design,
            number(get("decision_month")),
            number(get("duration_months")),
            plain(get("duration_months_sd"), 1),
            f"{plain(get('duration_months_q05'))}-{plain(get('duration_months_q95'))}",
            number(get("overrun")),
            number(get("events")) if binary else number(get("mean_outcome"), 3, signed=True),
        )
    return table


def _estimates(results: Results, figures: Figures) -> Table:
    arms = _experimental(results.scenario)
    control = results.scenario.arm_names[results.scenario.control]
    table = _table(
        f"The reported effect (arm minus {control}, in the final analysis)",
        "Bias of the posterior mean, of the observed difference, and of the posterior mean in trials that declare the arm "
        "effective; root mean squared error; coverage of the 95% credible interval.",
        ["truth", "arm", "design", "bias", "observed", "if declared", "RMSE", "coverage, %"],
    )
    for truth in results.truths:
        for arm in arms:
            for design in ("adaptive", "fixed"):
                get = _getter(figures, truth, design)
                first = design == "adaptive"
                table.add_row(
                    truth if first and arm == arms[0] else "",
                    arm if first else "",
                    design,
                    number(get("bias", arm), 3, signed=True),
                    number(get("bias_observed", arm), 3, signed=True),
                    number(get("bias_if_claimed", arm), 3, signed=True),
                    number(get("rmse", arm), 3),
                    percent(get("coverage", arm)),
                )
    return table


def _in_short(results: Results, figures: Figures) -> Iterator[str]:
    """Yield one sentence for each truth."""
    for truth in results.truths:

        def pair(metric: str, write: Callable[[Any], str], truth: str = truth) -> str:
            adaptive, fixed = (figures.get(truth, design, metric) for design in ("adaptive", "fixed"))
            return f"{write(adaptive)} (fixed {write(fixed)})"

        found = []
        if figures.get(truth, "adaptive", "power_any"):
            found.append(f"finds an effective arm in {pair('power_any', _percent)} of trials")
        if figures.get(truth, "adaptive", "familywise_error"):
            found.append(f"wrongly declares an arm effective in {pair('familywise_error', _percent)}")
        size = f"{pair('patients', lambda figure: plain(figure))} patients"
        yield f"{truth}: {', '.join(found)}; {size}, {pair('duration_months', lambda figure: plain(figure))} months."


def _percent(figure: Any) -> str:
    return "-" if figure is None else f"{100 * figure.estimate:.1f}%"


def _everything(results: Results) -> Table:
    frame = results.characteristics
    table = _table("Every figure", "", list(frame.columns))
    for row in frame.itertuples(index=False):
        table.add_row(*("" if value is None or value != value else _short(value) for value in _values(row)))
    return table


def _values(row: Sequence[Any]) -> Iterator[Any]:
    import pandas as pd

    for value in row:
        yield None if value is pd.NA else value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _bare(figure: Any) -> str:
    return "-" if figure is None else "0" if figure.estimate == 0 else f"{100 * figure.estimate:.1f}"


def _getter(figures: Figures, truth: str, design: str) -> Callable[..., Any]:
    return lambda metric, arm="", look=0: figures.get(truth, design, metric, arm, look)


def _rows(results: Results) -> Iterator[tuple[str, str, str]]:
    """Yield truth, design and what to print for the truth (its name only on its first row)."""
    for truth in results.truths:
        yield truth, "adaptive", truth
        yield truth, "fixed", ""


def _experimental(scenario: Scenario) -> list[str]:
    return [name for k, name in enumerate(scenario.arm_names) if k != scenario.control]


# ----------------------------------------------------------------------------- check, new, replay


def synopsis(scenario: Scenario, file: str) -> None:
    """Print the design in English, the defaults it used and the warnings."""
    from sps_adaptive.synopsis import defaults, describe, warnings

    console = _console()
    console.print(Text(scenario.title, style="bold"))
    if scenario.question:
        console.print(Text(scenario.question))
    console.print()
    for sentence in describe(scenario):
        console.print(Text(sentence))
    console.print()
    console.print(Text(f"Truths: {', '.join(scenario.truths)}."))
    if used := defaults(scenario):
        console.print()
        console.print(Text("Defaults used:", style="bold"))
        for line in used:
            console.print(Text(f"  {line}"))
    found = warnings(scenario)
    console.print()
    if found:
        console.print(Text("What a statistician would ask:", style="bold"))
        for warning in found:
            console.print(Text(f"- {warning}"))
        console.print()
    console.print(Text(f"{file} is a valid scenario."))


def write_template(path: Path) -> None:
    """Write a commented scenario; never over an existing file."""
    path = path if path.suffix in (".yaml", ".yml") else path.with_name(path.name + ".yaml")
    template = (Path(__file__).parent / "template.yaml").read_text(encoding="utf-8")
    title = path.stem.replace("-", " ").replace("_", " ").strip() or "A trial"
    if not title.isprintable() or not all(letter.isalnum() or letter in " .()+," for letter in title):
        raise UsageError(f"'{path.stem}' is no name for a scenario", "use letters, digits, blanks, - and _")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.format(title=json.dumps(title, ensure_ascii=False), file=path))
    except FileExistsError as error:
        raise UsageError(f"{path} exists already and was left alone", "choose another name") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", "choose another folder") from error
    print(f"Wrote {path}. Next: sps-adaptive check {path}", file=sys.stderr)


def story(told: Replay, *, patients: bool) -> None:
    """Print one trial look by look."""
    console = _console()
    scenario = told.scenario
    console.print(Text(f"Trial {told.replicate} of truth '{told.truth}', {told.design} design", style="bold"))
    for look in told.looks():
        console.print()
        console.print(_look_table(scenario, look))
        console.print(Text(_sentence(scenario, look)))
    console.print()
    selected = told.selected_arm()
    console.print(Text(f"Outcome: {told.outcome()}." + (f" Selected arm: {selected}." if selected else "")))
    if patients:
        frame = told.patients()
        table = _table("Patients", "", list(frame.columns))
        for row in frame.itertuples(index=False):
            table.add_row(*(f"{v:.1f}" if isinstance(v, float) and v == v else "" if v != v else str(v) for v in row))
        console.print()
        console.print(table)


def _look_table(scenario: Scenario, look: dict[str, Any]) -> Table:
    name = "Final analysis" if look["is_final"] else f"Look {look['look']}"
    binary = scenario.endpoint.kind == "binary"
    control = scenario.arm_names[scenario.control]
    table = _table(
        f"{name}, month {look['month']:.1f}: {look['n_enrolled']} enrolled, {look['n_known']} known, "
        f"{look['n_pending']} pending",
        "",
        ["arm", "enrolled", "known", "events" if binary else "mean", "estimate", "P(best)", f"P(better than {control})",
         "effect", "next allocation", ""],
    )  # fmt: skip
    for k, arm in enumerate(scenario.arm_names):
        known, total = look["arm_known"][k], look["arm_total"][k]
        observed = f"{total:g}" if binary else (f"{total / known:.2f}" if known else "-")
        is_control = k == scenario.control
        interval = ""
        if look["is_final"] and not is_control:
            interval = f" ({look['effect_lower'][k]:.3f} to {look['effect_upper'][k]:.3f})"
        state = "declared effective" if look["is_claimed"][k] else "closed" if not look["is_open"][k] else ""
        table.add_row(
            arm,
            str(look["arm_enrolled"][k]),
            str(known),
            observed,
            f"{look['estimate'][k]:.3f}",
            f"{look['prob_best'][k]:.3f}",
            "" if is_control else f"{look['prob_better'][k]:.4f}",
            "" if is_control else f"{look['effect'][k]:+.3f}{interval}",
            f"{look['allocation'][k]:.3f}" if look["allocation"][k] else "-",
            state,
        )
    return table


def _sentence(scenario: Scenario, look: dict[str, Any]) -> str:
    if look["is_final"]:
        met = [arm for arm, meets in zip(scenario.arm_names, look["meets_efficacy"], strict=True) if meets]
        return f"Efficacy is met by {', '.join(met)}." if met else "No arm meets the condition for efficacy."
    if look["stop_reason"] != "none":
        return f"The trial stops for {look['stop_reason']}; the patients enrolled are followed to the end."
    return "The trial goes on with the next allocation."


# ----------------------------------------------------------------------------- rich


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def _table(title: str, caption: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=Text(title, style="bold"), caption=Text(caption) if caption else None, box=SIMPLE_HEAD,
        title_justify="left", caption_justify="left", pad_edge=False, show_edge=False,
    )  # fmt: skip
    for position, column in enumerate(columns):
        left = position == 0 or column in ("design", "arm", "metric", "truth")
        table.add_column(
            Text(column), justify="left" if left else "right", no_wrap=column != "truth", min_width=8 if left else None
        )
    return table
