"""The answer of a run: its operating characteristics as tables, or as data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sps_adaptive.characteristics.matched import MATCHED
from sps_adaptive.cli.certified import IGNORED, by_invariance, largest_errors, whatever_the_rate
from sps_adaptive.cli.figures import Figures, between, number, percent, plain, rate
from sps_adaptive.cli.layout import Table
from sps_adaptive.cli.terminal import data, prose, say, table, warn
from sps_adaptive.runs.exact import CERTIFICATES, ExactResults
from sps_adaptive.scenario import NO_FUTILITY

if TYPE_CHECKING:
    from sps_adaptive.runs.results import Results
    from sps_adaptive.scenario import Scenario

    Answer = Results | ExactResults

DESIGNS = ("adaptive", "fixed")


MANY_LOOKS = 12
"""Of more looks than this, so many are printed; all of them are in the file."""


def answer(results: Answer, format: str, *, full: bool) -> None:
    """Print the operating characteristics of a run."""
    frame = results.characteristics.drop(columns="n")
    if format == "csv":
        data(frame.to_csv(index=False, lineterminator="\n"))
    elif format == "json":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        data(json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        _tables(results, full=full)


def warn_if_unfinished(results: Answer) -> None:
    """Say what a run that was interrupted lacks."""
    if isinstance(results, ExactResults):
        return  # what is there is complete
    wanted = results.scenario.simulation.replicates
    lacks = [f"{results.replicates:,} of {wanted:,} trials a truth"] if results.replicates < wanted else []
    if without := [truth for truth in results.scenario.truths if truth not in results.truths]:
        lacks.append(f"nothing of {', '.join(without)}")
    if lacks:
        warn(f"this run is not complete: it has {' and '.join(lacks)}. Simulating its scenario again goes on with it.")


def _tables(results: Answer, *, full: bool) -> None:
    figures = Figures(results.characteristics)
    say(" ".join(results.scenario.title.split()), bold=True)
    prose(_about(results))
    certain = partial(_certified, full=full)
    shown_in_order = (
        _claims, certain, _patients, _openings, _endings, _looks, _calendar, _estimates, _secondaries, _net_benefits,
        _failed_fits,
    )  # fmt: skip
    for made in shown_in_order:
        if shown := made(results, figures):
            say()
            _show(shown)
    if full:
        for shown in _everything(results):
            say()
            table(shown)
    say()
    say("In short", bold=True)
    for sentence in _in_short(results, figures):
        prose(sentence, rest="  ")
    say()
    _files(results)


def _show(shown: Table | str) -> None:
    if isinstance(shown, str):
        prose(shown)
    else:
        table(shown)


def _about(results: Answer) -> str:
    designs = "adaptive: the design of the scenario. fixed: the same patients randomised equally, no looks."
    if results.scenario.is_platform:
        which = results.scenario.analysis[results.scenario.endpoint_name].controls
        compared = {"concurrent": "with the controls enrolled while it could be given", "all": "with all controls"}[
            which
        ]
        designs = f"{designs[:-1]}, all arms from the first patient on. An arm is compared {compared}."
    if isinstance(results, ExactResults):
        states = float(f"{results.predicted['states']:.3g}")
        return (
            f"Exact: all paths summed, no Monte Carlo error; about {states:,.0f} states. {designs} "
            "Figures are rounded: 0 is really 0, and <0.001 is not."
        )
    return (
        f"{results.replicates:,} simulated trials for each truth and design, seed {results.scenario.simulation.seed}. "
        f"{designs} ±: one Monte Carlo standard error. 0 (<x): in none of the trials, and x is the end of the 95% "
        "interval."
    )


def _files(results: Answer) -> None:
    from sps_adaptive.runs.store import CHARACTERISTICS

    if results.folder is None:
        return
    file = results.folder / CHARACTERISTICS
    say(f"Every figure: {f'{file} (or --full)' if file.exists() else '--full, --format csv, --format json'}")
    if isinstance(results, ExactResults):
        say(f"Every bound:  {results.folder / CERTIFICATES}")
    else:
        also = ", secondaries" if len(results.scenario.endpoints) > 1 else ""
        say(f"Every trial:  {results.folder}, tables trials, looks, arms{also} (see DICTIONARY.md)")


# --------------------------------------------------------------------------------------- the tables


class _Row(NamedTuple):
    """The figures of a truth and a design."""

    figures: Figures
    truth: str
    design: str

    def __call__(self, metric: str, arm: str = "", look: int = 0) -> Any:
        return self.figures.get(self.truth, self.design, metric, arm, look)


def _rows(results: Answer, figures: Figures) -> Iterator[_Row]:
    for truth in results.truths:
        for design in DESIGNS:
            yield _Row(figures, truth, design)


def _claims(results: Answer, figures: Figures) -> Table:
    arms = _experimental(results.scenario)
    free_rules = NO_FUTILITY in results.scenario.design_names
    made = Table(
        "Declared effective, % of trials",
        ["truth", "design"],
        [*arms, "any wrong\n(familywise)", "any right\n(power)", "all\nright", "picks\nthe best"],
        "✓: the arm truly is effective, and the figure is its power; elsewhere it is the type I error. same error: "
        "the fixed design with its threshold moved until, in the first truth in which nothing is effective, it errs as "
        "often as the adaptive one; compare power with that, and the errors in other truths."
        + (f" {IGNORED}: the type I errors if nobody follows the rules that do not bind." if free_rules else ""),
    )
    for get in _rows(results, figures):
        claims = [percent(get("claimed", arm)) + (" ✓" if get("power", arm) else "  ") for arm in arms]
        rest = ("familywise_error", "power_any", "power_all", "power_best")
        made.add(get.truth, get.design, *claims, *(percent(get(metric)) for metric in rest))
        same = _Row(figures, get.truth, MATCHED)
        if get.design == "fixed" and (same("power_any") or same("familywise_error")):
            made.add(get.truth, MATCHED, *("" for _ in arms), *(_or_blank(same(name)) for name in rest))
        free = _Row(figures, get.truth, NO_FUTILITY)
        if get.design == "fixed" and free("claimed", arms[0]):
            errors = [f"{_or_blank(free('type_i_error', arm))}  " for arm in arms]
            made.add(get.truth, IGNORED, *errors, _or_blank(free("familywise_error")), "", "", "")
    return made


def _or_blank(figure: Any) -> str:
    return percent(figure) if figure else ""


def _certified(results: Answer, figures: Figures, *, full: bool) -> Table | str:
    if isinstance(results, ExactResults):
        return largest_errors(results)
    return by_invariance(results, figures, full=full)


def _patients(results: Answer, figures: Figures) -> Table:
    arms, closes = results.scenario.arm_names, results.scenario.population.closes_at_month
    made = Table(
        "Patients",
        ["truth", "design"],
        ["enrolled", "SD", "5-95%", *arms, "best arm, %", "wrong way, %", *([] if closes is None else ["closed, %"])],
        "Mean, standard deviation, and 5% to 95% quantiles of the number enrolled; means by arm. Best arm: mean share "
        "of patients on the truly best arm. Wrong way: % of trials with more patients on the worst arm than on the "
        "best, by over a tenth of the largest size."
        + ("" if closes is None else f" Closed: % of trials in which enrolment closes in month {closes:g}, not full."),
    )
    for get in _rows(results, figures):
        made.add(
            get.truth,
            get.design,
            number(get("patients")),
            plain(get("patients_sd"), 1),
            between(get("patients_q05"), get("patients_q95")),
            *(plain(get("patients", arm), 1) for arm in arms),
            percent(get("share_on_best")),
            percent(get("wrong_direction")),
            *([] if closes is None else [percent(get("accrual_closed"))]),
        )
    return made


def _openings(results: Answer, figures: Figures) -> Table | None:
    """Only where arms open late or close early; the arms of the fixed design are all there throughout."""
    if not results.scenario.is_platform:
        return None
    made = Table(
        "Arms that open late and close early, in the adaptive design",
        ["truth", "arm"],
        ["opens, %", "month", "concurrent\ncontrols", "patients", "closed, %"],
        "Month, and patients of the control enrolled while the arm could be given too: means among the trials in "
        "which the arm opens. Patients of the arm: mean of all trials. Closed: % of trials in which it takes no more "
        "patients when enrolment ends.",
    )
    for truth in results.truths:
        get = _Row(figures, truth, "adaptive")
        for arm in _experimental(results.scenario):
            made.add(
                truth,
                arm,
                percent(get("arm_opened", arm)),
                number(get("opened_month", arm)),
                number(get("concurrent_controls", arm)),
                plain(get("patients", arm), 1),
                percent(get("arm_closed", arm)),
            )
    return made


def _endings(results: Answer, figures: Figures) -> Table:
    from sps_adaptive.characteristics.metrics import outcome_metric
    from sps_adaptive.tables import OUTCOMES

    made = Table(
        "How trials end, % of trials",
        ["truth", "design"],
        [*OUTCOMES, "claim not upheld"],
        "Early: stopped at a look; late: went to the end. 'then': stopped at a look, and the final analysis, with the "
        "patients who were still being followed, says the opposite. Claim not upheld: an arm declared effective at a "
        "look no longer meets the threshold in the final analysis.",
    )
    for get in _rows(results, figures):
        ends = [rate(get(outcome_metric(name))) for name in OUTCOMES]
        made.add(get.truth, get.design, *ends, rate(get("claim_contradicted")))
    return made


def _looks(results: Answer, figures: Figures) -> Table | None:
    """Only the adaptive design has looks."""
    if not results.scenario.n_looks:
        return None
    from sps_adaptive.contracts import Stop
    from sps_adaptive.tables import STOP_REASONS

    others = {int(rule.reason) for rule in results.scenario.decisions} - {Stop.EFFICACY, Stop.FUTILITY}
    reasons = ["efficacy", "futility", *(STOP_REASONS[reason] for reason in sorted(others))]
    stops = [f"stops for {reasons[0]}, %", *(f"for {reason}, %" for reason in reasons[1:])]
    made = Table(
        "Looks of the adaptive design",
        ["truth", "look"],
        ["takes place, %", "month", "enrolled", "known", "pending", *stops],
        "Means among the trials in which the look takes place. Known: outcomes; the other patients are pending or have "
        "dropped out. Stops: of all trials."
        + (f" Some of {results.scenario.n_looks} looks." if results.scenario.n_looks > MANY_LOOKS else "")
        + _without_months(results, figures),
    )
    for truth in results.truths:
        get = _Row(figures, truth, "adaptive")
        for look in _shown_looks(results.scenario.n_looks):
            made.add(
                truth,
                str(look),
                rate(get("look_taken", "", look)),
                *(plain(get(metric, "", look), 1) for metric in ("look_month", "enrolled", "known", "pending")),
                *(percent(get(f"stop_{reason}", "", look)) for reason in reasons),
            )
    return made


def _shown_looks(n_looks: int) -> list[int]:
    """Return the looks that are printed: all, or the first, the last and some between."""
    if n_looks <= MANY_LOOKS:
        return list(range(1, n_looks + 1))
    return [1 + round(step * (n_looks - 1) / (MANY_LOOKS - 1)) for step in range(MANY_LOOKS)]


def _calendar(results: Answer, figures: Figures) -> Table:
    is_binary = results.scenario.endpoint.analysed_as == "binary"
    made = Table(
        "Time, and outcomes in the trial",
        ["truth", "design"],
        ["decision", "all\nfollowed", "SD", "5-95%", "overrun", "events" if is_binary else "mean outcome"],
        "Months from the opening; standard deviation and quantiles of the time until everybody is followed. Overrun: "
        "patients pending when a trial stops at a look." + _without_months(results, figures),
    )
    for get in _rows(results, figures):
        made.add(
            get.truth,
            get.design,
            number(get("decision_month")),
            number(get("duration_months")),
            plain(get("duration_months_sd"), 1),
            between(get("duration_months_q05"), get("duration_months_q95")),
            number(get("overrun")),
            number(get("events")) if is_binary else number(get("mean_outcome"), 3),
        )
    return made


def _without_months(results: Answer, figures: Figures) -> str:
    """Return what is said of months that an exact computation leaves out, as it does where they are random."""
    there = all(figures.get(truth, "adaptive", "duration_months") for truth in results.truths)
    steady = results.scenario.population.accrual.kind == "steady"
    chance = "how long the pauses are" if steady else "the random accrual"
    return "" if there else f" -: months depend on {chance}, and only a simulation tells them."


def _estimates(results: Answer, figures: Figures) -> Table:
    control = results.scenario.arm_names[results.scenario.control]
    what = _effect_words(results.scenario)
    made = Table(
        f"The reported effect ({what}arm minus {control}, in the final analysis)",
        ["truth", "arm", "design"],
        ["bias", "observed", "if declared", "RMSE", "coverage, %"],
        "Bias of the posterior mean, of the observed difference, and of the posterior mean in trials that declare the "
        "arm effective; root mean squared error; coverage of the 95% credible interval.",
    )
    for truth in results.truths:
        for arm in _experimental(results.scenario):
            for design in DESIGNS:
                get = _Row(figures, truth, design)
                made.add(
                    truth,
                    arm,
                    design,
                    *(number(get(name, arm), 3, signed=True) for name in ("bias", "bias_observed", "bias_if_claimed")),
                    number(get("rmse", arm), 3),
                    percent(get("coverage", arm)),
                )
    return made


RATIOS = {"log_odds": "log odds ratio", "log_rate": "log rate ratio", "log_hazard": "log hazard ratio"}


def _effect_words(scenario: Scenario) -> str:
    """Return what an effect is where it is not a difference of means or shares, with a comma behind."""
    name = scenario.scale(scenario.endpoint_name).name
    if name in ("mean", "probability"):
        return ""
    return f"{RATIOS.get(name, name.replace('_', ' '))}, "


def _secondaries(results: Answer, figures: Figures) -> Table | None:
    names, control = list(results.scenario.endpoints)[1:], results.scenario.arm_names[results.scenario.control]
    if not names:
        return None
    made = Table(
        f"The other endpoints (arm minus {control}, in the final analysis)",
        ["truth", "endpoint", "arm", "design"],
        ["effect", "bias", "coverage, %", "probably better, %"],
        "Reported without gating: nothing is declared of them. Probably better: posterior probability above 0.975.",
    )
    for truth in results.truths:
        for name in names:
            for arm in _experimental(results.scenario):
                for design in DESIGNS:
                    get = _Row(figures, truth, design)
                    made.add(
                        truth,
                        name,
                        arm,
                        design,
                        number(get(f"{name}: effect", arm), 3, signed=True),
                        number(get(f"{name}: bias", arm), 3, signed=True),
                        percent(get(f"{name}: coverage", arm)),
                        percent(get(f"{name}: probably_better", arm)),
                    )
    return made


def _net_benefits(results: Answer, figures: Figures) -> Table | None:
    weights = results.scenario.weights
    if not weights:
        return None
    made = Table(
        "Net benefit over the control",
        ["truth", "design"],
        ["per patient", "of the choice"],
        f"Endpoints weighed: {', '.join(f'{name} {weight:g}' for name, weight in weights.items())}. Per patient: of "
        "the arms that the patients of the trial are on. Of the choice: of the arm selected, for patients to come.",
    )
    for get in _rows(results, figures):
        made.add(
            get.truth,
            get.design,
            number(get("net_benefit_per_patient"), 3, signed=True),
            number(get("net_benefit_of_choice"), 3, signed=True),
        )
    return made


def _failed_fits(results: Answer, figures: Figures) -> str | None:
    failed = [
        f"{_percent(figure)} of trials ({get.truth}, {get.design})"
        for get in _rows(results, figures)
        if (figure := get("fit_failed")) and figure.estimate > 0
    ]
    if not failed:
        return None
    return f"Fits that failed, at some analysis: {', '.join(failed)}. Such an analysis answers from its prior."


def _everything(results: Answer) -> Iterator[Table]:
    frame = results.characteristics.drop(columns="n")
    if isinstance(results, ExactResults):  # the interval is the figure itself
        frame = frame.assign(mcse="exact").drop(columns=["lower", "upper"])
    for (truth, design), rows in frame.groupby(["truth", "design"], sort=False, observed=True):
        heads = list(rows.columns)[2:]
        made = Table(f"Every figure: {truth}, {design}", heads[:3], heads[3:])
        for metric, arm, look, *values in rows[heads].astype(object).to_numpy().tolist():
            made.add(metric, arm, str(look or ""), *map(_cell, values))
        yield made


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "-" if value != value else f"{value:.4g}"


# ----------------------------------------------------------------------------------------- in short


def _in_short(results: Answer, figures: Figures) -> Iterator[str]:
    """Yield one sentence for each truth, and what is certain whatever the truth."""
    for truth in results.truths:

        def both(metric: str, write: Callable[[Any], str], truth: str = truth) -> str:
            adaptive, fixed = (write(figures.get(truth, design, metric)) for design in DESIGNS)
            return f"{adaptive} (fixed {fixed})"

        found = []
        harmed = figures.get(truth, "adaptive", "stop_harm")
        if harmed and harmed.estimate > 0:
            found.append(f"stops for harm in {_percent(harmed)}")
        if figures.get(truth, "adaptive", "power_any"):
            found.append(f"finds an effective arm in {both('power_any', _percent)} of trials")
            if same := figures.get(truth, MATCHED, "power_any"):
                found[-1] += f", {_percent(same)} of fixed ones at the same type I error"
        if figures.get(truth, "adaptive", "familywise_error"):
            found.append(f"wrongly declares an arm effective in {both('familywise_error', _percent)}")
            if free := figures.get(truth, NO_FUTILITY, "familywise_error"):
                found[-1] += f", in {_percent(free)} if futility is ignored"
        length = [f"{both('patients', plain)} patients"]
        if figures.get(truth, "adaptive", "duration_months"):
            length.append(f"{both('duration_months', plain)} months")
        yield f"{truth}: {', '.join(found)}; {', '.join(length)}."
    if isinstance(results, ExactResults):
        yield from whatever_the_rate(results)


def _percent(figure: Any) -> str:
    if figure is None:
        return "-"
    if figure.estimate == 0 and figure.upper:
        return f"0% (<{100 * figure.upper:.1g}%)"
    return f"{rate(figure)}%"


def _experimental(scenario: Scenario) -> list[str]:
    return [name for k, name in enumerate(scenario.arm_names) if k != scenario.control]
