"""The commands: parse, call one function, print. No logic lives here.

Heavy libraries are imported inside the commands, so that ``sps-adaptive --help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sps_adaptive import __version__
from sps_adaptive.cli.engines import Engine
from sps_adaptive.cli.failures import INTERRUPTED, in_words

if TYPE_CHECKING:
    from sps_adaptive.scenario import Scenario

MEMORY_GB, MINUTES = 2.0, 10.0
"""What exact figures may take if nothing else is said: as in `runs.exact`, which is not imported so early."""

app = typer.Typer(
    name="sps-adaptive",
    help="Simulate small Bayesian adaptive trials from one YAML file, made for stiff person syndrome.",
    epilog="Exit codes: 0 done, 1 failed, 2 a mistake in the scenario or the command, 130 interrupted.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


class Format(StrEnum):
    """How the answer is printed."""

    table = "table"
    json = "json"
    csv = "csv"


class Design(StrEnum):
    """The designs of a run."""

    adaptive = "adaptive"
    fixed = "fixed"
    no_futility = "no_futility"


ScenarioFile = Annotated[Path, typer.Argument(metavar="FILE", help="The scenario, a YAML file.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed, instead of the one in the file.")]
FormatOption = Annotated[
    Format, typer.Option("--format", help="table for people; json or csv: tidy rows on stdout and nothing else.")
]
Truths = Annotated[list[str] | None, typer.Option("--truth", "-t", help="Only this truth; may be given several times.")]
Full = Annotated[bool, typer.Option("--full", help="Print every figure, not only the main ones.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sps-adaptive {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    from sps_adaptive.runs.executors import THREADS

    for name in THREADS:  # before numpy is imported: its threads only get in the way of many small products
        os.environ.setdefault(name, "1")


@app.command()
def simulate(
    file: ScenarioFile,
    replicates: Annotated[
        int | None,
        typer.Option("--replicates", "-n", min=1, max=10_000_000, help="Simulated trials for each truth."),
    ] = None,
    seed: Seed = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            max=1024,
            help="Processes, at most one a core; left out: as many. The numbers are the same.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the run; left out: runs/NAME-DIGEST."),
    ] = None,
    truth: Truths = None,
    engine: Annotated[
        Engine | None,
        typer.Option(
            "--engine",
            help="exact: sum over all paths; simulate: draw trials; auto: exact where it is possible and quick. "
            "Left out: as the file says.",
        ),
    ] = None,
    format: FormatOption = Format.table,
    full: Full = False,
) -> None:
    """Simulate a scenario and print what the trial can and cannot do.

    Where all paths of the trial can be summed in seconds, the figures are exact, and nothing is simulated (--engine).
    Results are kept: the same scenario again is read, not run, and more replicates only add to it. This is also how
    a run goes on that was interrupted.
    """
    with in_words():
        from sps_adaptive.cli.engines import pick
        from sps_adaptive.cli.terminal import complain
        from sps_adaptive.runs.exact import of_truths
        from sps_adaptive.spec import load_scenario

        scenario = load_scenario(file)
        picked = pick(of_truths(scenario, truth), engine or scenario.simulation.engine, replicates)
        if picked.why and not picked.exact:  # an exact computation tells its size when it begins
            complain(picked.sentence())
    if picked.exact:
        _exact(scenario, file, truth, output, None, format, full)
        return
    with in_words("Interrupted: finished blocks are kept, and the same command goes on from there."):
        from sps_adaptive.cli.answer import answer
        from sps_adaptive.cli.terminal import progress, warn
        from sps_adaptive.runs.run import default_folder, open_simulated
        from sps_adaptive.runs.run import simulate as run

        scenario = scenario.with_simulation(replicates, seed)
        with progress() as report:
            results = run(
                scenario,
                workers=min(workers or _cores(), _cores()),
                truths=truth,
                output=output or default_folder(scenario, file),
                progress=report,
                warn=warn,
                text=file.read_text(encoding="utf-8"),
                command=_command(),
            )
            open_simulated(results.folder).save_characteristics()  # of all that is there, whatever was asked for now
        answer(results, format.value, full=full)


@app.command()
def exact(
    file: ScenarioFile,
    truth: Truths = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the figures; left out: runs/NAME-DIGEST-exact."),
    ] = None,
    memory: Annotated[
        float,
        typer.Option(
            "--memory", min=0.1, max=1e6, metavar="GB", help="Memory it may take; it stops where it would take more."
        ),
    ] = MEMORY_GB,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.01, max=1e6, metavar="M", help="Time it may be predicted to take.")
    ] = MINUTES,
    calibrate: Annotated[
        float | None,
        typer.Option("--calibrate", metavar="LEVEL", help="Instead: the threshold that keeps the largest error at it."),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", metavar="FROM:TO", help="Instead: power at sizes (FROM:TO:STEP), in one --truth."),
    ] = None,
    power: Annotated[
        float, typer.Option("--power", min=0.01, max=0.9999, metavar="P", help="With --sizes: the power wanted.")
    ] = 0.8,
    belief: Annotated[
        list[str] | None,
        typer.Option("--belief", metavar="ARM=A,B", help="Instead: assurance, with Beta(A, B) for each arm's rate."),
    ] = None,
    format: FormatOption = Format.table,
    full: Full = False,
) -> None:
    """Print exact figures: all paths summed, no Monte Carlo error.

    For binary endpoints, few arms and patients who come at equal intervals (or outcomes that are known at once). Where
    it cannot be, or takes more memory or time than it may, it says why. Figures are kept, and read when they are asked
    for again.
    """
    with in_words():
        from sps_adaptive.spec import load_scenario

        scenario = load_scenario(file)
        if calibrate is not None or sizes is not None or belief:
            from sps_adaptive.cli.questions import Asked, ask

            asked = Asked(calibrate, sizes, power, belief or [], truth or [], (memory * 1e9, minutes * 60))
            ask(scenario, asked, format.value)
            return
    _exact(scenario, file, truth, output, (memory, minutes), format, full)


@app.command()
def gallery(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Another setting than the one that comes with the package.")
    ] = None,
    level: Annotated[
        float, typer.Option("--level", min=0.0001, max=0.5, metavar="E", help="Familywise error of all designs.")
    ] = 0.05,
    truth: Annotated[str | None, typer.Option("--truth", "-t", help="The truth to show; left out: the first.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw it too: .svg, .pdf or .png.")
    ] = None,
    format: FormatOption = Format.table,
) -> None:
    """Compare all ways to allocate patients, exactly.

    What each costs in power, at the same familywise error, and what the patients in the trial gain. A setting is a
    scenario with a binary endpoint in which arms are declared effective at the final analysis only.
    """
    with in_words():
        from sps_adaptive.cli.gallery import packaged, show_gallery
        from sps_adaptive.spec import load_scenario

        show_gallery(load_scenario(file or packaged()), level, truth, format.value, picture)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    format: FormatOption = Format.table,
    full: Full = False,
) -> None:
    """Print the answer of a run again."""
    with in_words():
        from sps_adaptive.cli.answer import answer, warn_if_unfinished
        from sps_adaptive.cli.terminal import warn
        from sps_adaptive.runs.run import open_run

        results = open_run(folder, warn=warn)
        warn_if_unfinished(results)
        answer(results, format.value, full=full)


@app.command()
def check(file: ScenarioFile) -> None:
    """Check a scenario and tell the design in plain English.

    Defaults that it relies on are listed, and what a statistician would ask about it.
    """
    with in_words():
        from sps_adaptive.cli.output import synopsis
        from sps_adaptive.spec import load_scenario

        synopsis(load_scenario(file), str(file))


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the file, with or without .yaml.")],
) -> None:
    """Write a commented scenario to start from."""
    with in_words():
        from sps_adaptive.cli.output import write_template

        write_template(name)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario, for editors."""
    with in_words():
        from sps_adaptive.cli.terminal import data
        from sps_adaptive.spec import schema_text

        data(schema_text())


@app.command()
def replay(
    file: ScenarioFile,
    truth: Annotated[str, typer.Option("--truth", "-t", help="Name of the truth.")],
    replicate: Annotated[
        int, typer.Option("--replicate", "-r", min=0, max=9_999_999, help="Number of the trial, from 0.")
    ] = 0,
    design: Annotated[Design, typer.Option("--design", help="Which of the two designs.")] = Design.adaptive,
    seed: Seed = None,
    patients: Annotated[bool, typer.Option("--patients", help="List the patients too.")] = False,
) -> None:
    """Tell one simulated trial look by look."""
    with in_words():
        from sps_adaptive.cli.output import story
        from sps_adaptive.replay import replay as run_again
        from sps_adaptive.spec import load_scenario

        scenario = load_scenario(file).with_simulation(None, seed)
        story(run_again(scenario, truth, replicate, design.value), patients=patients)


def _exact(
    scenario: Scenario,
    file: Path,
    truths: list[str] | None,
    output: Path | None,
    within: tuple[float, float] | None,
    format: Format,
    full: bool,
) -> None:
    """Compute or read exact figures, within so many GB and minutes, and print them."""
    with in_words("Interrupted: nothing was written, and the same command begins anew."):
        from sps_adaptive.cli.answer import answer
        from sps_adaptive.cli.terminal import complain
        from sps_adaptive.runs.exact import compute_exact, default_exact_folder

        results = compute_exact(
            scenario,
            truths=truths,
            output=output or default_exact_folder(scenario, file),
            budget=within and (within[0] * 1e9, within[1] * 60),
            tell=lambda words: complain(f"Exact: {words}."),
            text=file.read_text(encoding="utf-8"),
            command=_command(),
        )
        answer(results, format.value, full=full)


def _command() -> str:
    return shlex.join(["sps-adaptive", *sys.argv[1:]])


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:  # a second Ctrl-C must not spoil the end
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise


if __name__ == "__main__":
    main()
