"""Which engine a command uses, and what is said about it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sps_adaptive.errors import UsageError

if TYPE_CHECKING:
    from sps_adaptive.scenario import Scenario


class Engine(StrEnum):
    """How the figures are found."""

    auto = "auto"
    exact = "exact"
    simulate = "simulate"


class Pick(NamedTuple):
    """The engine of a command."""

    exact: bool
    why: str = ""
    """How large the exact computation is, or why there is none; empty where the user has made the choice."""

    def sentence(self) -> str:
        """Return the engine and the reason; empty where the user knows."""
        if not self.why:
            return ""
        return f"Exact: {self.why}." if self.exact else f"Simulated, since {self.why}."


def pick(scenario: Scenario, engine: str, replicates: int | None = None) -> Pick:
    """Return the engine for a scenario.

    Parameters
    ----------
    scenario
        The scenario, with the truths that are asked for and no others.
    engine
        What the command or the scenario asks for.
    replicates
        What the command asks for: nobody who names a number of simulated trials wants none.

    Raises
    ------
    UsageError
        If exact figures are asked for together with a number of simulated trials; or if a rule needs the paths of the
        trial, and they cannot be summed.
    """
    from sps_adaptive.exact.binding import refuse_unsummable

    refuse_unsummable(scenario)
    if engine == Engine.simulate:
        return Pick(False)
    if engine == Engine.exact:
        if replicates:
            raise UsageError(
                "exact figures are asked for, and --replicates, which is for simulated trials",
                "leave out --replicates, or add --engine simulate",
            )
        return Pick(True)
    from sps_adaptive.exact.calendar import reasons_against

    if against := reasons_against(scenario):  # told before heavy libraries are imported
        return Pick(False, "; ".join(against))
    if replicates:
        return Pick(False, "--replicates was given (--engine exact sums over all paths instead)")
    from sps_adaptive.exact.choice import choose

    choice = choose(scenario)
    return Pick(choice.exact, choice.why.partition(": ")[2])


def outlook(scenario: Scenario) -> str:
    """Return how the figures of a scenario will be found, with the size of an exact computation, or why there is none.

    Raises
    ------
    UsageError
        If the scenario asks for exact figures and there can be none; or if a rule needs the paths of the trial, and
        they cannot be summed.
    """
    from sps_adaptive.exact.binding import refuse_unsummable

    refuse_unsummable(scenario)
    engine = scenario.simulation.engine
    if engine == Engine.simulate:
        return "simulated, as the scenario asks."
    if engine == Engine.exact:
        from sps_adaptive.runs.exact import predict

        return f"exact, as the scenario asks; {predict(scenario).words()}."
    picked = pick(scenario, engine)
    return f"exact; {picked.why}." if picked.exact else f"simulated, since {picked.why}."
