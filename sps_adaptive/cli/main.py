"""The commands: parse, call one function, print. No logic lives here.

Heavy libraries are imported inside the commands, so that ``sps-adaptive --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sps_adaptive import __version__

app = typer.Typer(
    name="sps-adaptive",
    help="Simulate small Bayesian adaptive trials from one YAML file, made for stiff person syndrome.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
)


class Format(str, Enum):
    """How the answer is printed."""

    table = "table"
    json = "json"
    csv = "csv"


ScenarioFile = Annotated[Path, typer.Argument(metavar="FILE", help="The scenario, a YAML file.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed, instead of the one in the file.")]
FormatOption = Annotated[
    Format, typer.Option("--format", help="table for people; json or csv: tidy rows on stdout and nothing else.")
]
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
    pass


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
        typer.Option("--workers", "-w", min=1, max=1024, help="Processes; the numbers do not depend on it."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder of the run; left out: runs/NAME-DIGEST."),
    ] = None,
    truth: Annotated[
        list[str] | None, typer.Option("--truth", "-t", help="Only this truth; may be given several times.")
    ] = None,
    format: FormatOption = Format.table,
    full: Full = False,
) -> None:
    """Simulate a scenario and print what the trial can and cannot do.

    Results are kept: the same scenario again is read, not run, and more replicates only add to it.
    """
    from sps_adaptive.cli import output as out
    from sps_adaptive.runs.run import default_folder
    from sps_adaptive.runs.run import simulate as run
    from sps_adaptive.spec import load_scenario

    scenario = load_scenario(file).with_simulation(replicates, seed)
    with out.progress(quiet=format is not Format.table) as report:
        results = run(
            scenario,
            workers=workers or os.cpu_count() or 1,
            truths=truth,
            output=output or default_folder(scenario, file),
            progress=report,
            warn=out.warn,
            text=file.read_text(encoding="utf-8"),
            command=" ".join(["sps-adaptive", *sys.argv[1:]]),
        )
        results.save_characteristics()
    out.answer(results, format.value, full=full)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    format: FormatOption = Format.table,
    full: Full = False,
) -> None:
    """Print the answer of a run again."""
    from sps_adaptive.cli import output as out
    from sps_adaptive.runs.run import open_run

    out.answer(open_run(folder), format.value, full=full)


@app.command()
def check(file: ScenarioFile) -> None:
    """Check a scenario, tell the design in plain English, and warn as a statistician would."""
    from sps_adaptive.cli import output as out
    from sps_adaptive.spec import load_scenario

    out.synopsis(load_scenario(file), str(file))


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the file, with or without .yaml.")],
) -> None:
    """Write a commented scenario to start from."""
    from sps_adaptive.cli import output as out

    out.write_template(Path(name))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario, for editors."""
    import json

    from sps_adaptive.spec import schema as scenario_schema

    typer.echo(json.dumps(scenario_schema(), indent=2))


@app.command()
def replay(
    file: ScenarioFile,
    truth: Annotated[str, typer.Option("--truth", "-t", help="Name of the truth.")],
    replicate: Annotated[int, typer.Option("--replicate", "-r", min=0, help="Number of the trial, from 0.")] = 0,
    design: Annotated[str, typer.Option(help="adaptive or fixed.")] = "adaptive",
    seed: Seed = None,
    patients: Annotated[bool, typer.Option("--patients", help="List the patients too.")] = False,
) -> None:
    """Tell one simulated trial look by look."""
    from sps_adaptive.cli import output as out
    from sps_adaptive.replay import replay as run_again
    from sps_adaptive.spec import load_scenario

    scenario = load_scenario(file).with_simulation(None, seed)
    out.story(run_again(scenario, truth, replicate, design), patients=patients)


def main() -> None:
    """Run the command line; every error that a user can act upon is one message and an exit code."""
    from sps_adaptive.errors import SpsError

    try:
        app()
    except SpsError as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except MemoryError:
        _say("Error: there is not enough memory for this scenario.\n    Fewer patients or looks need less.")
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has left (as `head` does): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _say(f"Error: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        sys.exit(1)


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    main()
