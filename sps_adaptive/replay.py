"""One simulated trial, look by look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sps_adaptive.block import draw
from sps_adaptive.contracts import DAYS_PER_MONTH, Cohort, Look
from sps_adaptive.decisions.efficacy import BoundConditional
from sps_adaptive.decisions.joined import Joined
from sps_adaptive.decisions.predictive import BoundPredictive
from sps_adaptive.decisions.threshold import Crossing
from sps_adaptive.errors import UsageError
from sps_adaptive.exact.binding import designs
from sps_adaptive.scenario import ADAPTIVE, BLOCK_SIZE, FIXED, Scenario
from sps_adaptive.tables import OUTCOMES, STOP_REASONS, LookRecord, TrialRecord
from sps_adaptive.timeline import pick
from sps_adaptive.trial import look_at, measured, run, seen_by, spans_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool

    from sps_adaptive.contracts import Array


class Heard(NamedTuple):
    """What a rule compared at a look."""

    number: int
    """Number of the rule in the file, from 1."""
    kind: str
    """What kind of rule it is."""
    asked: str
    """What it compares, and which side of the threshold matters, as in a formula: `P(better than placebo) >`."""
    threshold: float
    values: dict[str, float]
    """What is compared with the threshold, by arm that is judged."""


class Replay(NamedTuple):
    """A trial that was simulated, in full."""

    scenario: Scenario
    truth: str
    design: str
    replicate: int
    record: TrialRecord
    """The record of a batch of one."""
    cohort: Cohort
    """The patients of that trial, on the days on which they came."""

    def looks(self) -> list[dict[str, Any]]:
        """Return what each look saw and decided, a dictionary each; values by arm are lists in their order."""
        taken = [(k, look) for k, look in enumerate(self.record.looks) if look.took_place[0]]
        return [self._look(k, look) for k, look in taken]

    def outcome(self) -> str:
        """Return how the trial ended."""
        return OUTCOMES[int(self.record.outcome[0])]

    def selected_arm(self) -> str | None:
        """Return the arm that was selected, if any."""
        selected = int(self.record.selected[0])
        return None if selected < 0 else self.scenario.arm_names[selected]

    def patients(self) -> pd.DataFrame:
        """Return the patients who were enrolled, one row each.

        Month of enrolment, site, arm, month of the assessment and its outcome on the endpoint's own scale, or, where
        the patient left before it, the month of dropout; what did not happen is NaN.
        """
        import pandas as pd

        arm = self.record.arm[0]
        enrolled = arm >= 0
        endpoint = self.scenario.endpoint
        outcome = pick(self.record.potential, np.maximum(arm, 0)[None])
        assessed_at = outcome.known_at[0, enrolled, -1]
        is_assessed = np.isfinite(assessed_at)
        value = endpoint.natural(outcome.value[0, enrolled, -1].astype(float))
        return pd.DataFrame(
            {
                "patient": np.flatnonzero(enrolled) + 1,
                "enrolled_month": self.cohort.enrolled_at[0][enrolled] / DAYS_PER_MONTH,
                "site": self.cohort.site[0][enrolled] + 1,
                "arm": pd.Categorical.from_codes(arm[enrolled].astype(int), pd.Index(self.scenario.arm_names)),
                "assessed_month": np.where(is_assessed, assessed_at, np.nan) / DAYS_PER_MONTH,
                "outcome": np.where(is_assessed, value, np.nan),
                "dropout_month": np.where(is_assessed, np.nan, outcome.leaves_at(self.cohort)[0][enrolled])
                / DAYS_PER_MONTH,
            }
        )

    def control_at(self, number: int) -> str:
        """Return the name of the arm that the others were compared with when a look began."""
        before = [look.is_control[0] for look in self.record.looks[: number - 1] if look.took_place[0]]
        return self.scenario.arm_names[int(before[-1].argmax()) if before else self.scenario.control]

    def under_study(self, number: int) -> Bool[Array, "1 A"]:
        """Return which arms had opened and were closed by no rule when a look began; those judged, if it is the final.

        A trial that stopped at a look is judged at the end as it was then, with the arms declared effective.
        """
        seen, stop = self.record.looks[number - 1], int(self.record.stop_look[0])
        until = stop if stop and number > stop else number
        before = [look for look in self.record.looks[: until - 1] if look.took_place[0]]
        closed = np.logical_or.reduce([look.closed_by > 0 for look in before] or [np.zeros_like(seen.is_open)])
        is_open = ~closed & np.isfinite(seen.opened_month)
        return is_open | seen.is_claimed if number == len(self.record.looks) and stop else is_open

    def _claimed_before(self, number: int) -> Bool[Array, "1 A"]:
        """Return which arms had been declared effective when a look began."""
        before = [look.is_claimed for look in self.record.looks[: number - 1] if look.took_place[0]]
        return before[-1] if before else np.zeros_like(self.record.looks[0].is_claimed)

    def rules(self, number: int) -> list[Heard]:
        """Return what each rule compared at a look, for the rules that spoke.

        Parameters
        ----------
        number
            Number of the look, from 1; the final analysis is the number of scheduled looks + 1.

        Returns
        -------
        list
            For each rule that compares something with a threshold, what it compared, with the control as the look
            began; rules that are joined to one come one after the other, under its number.
        """
        design = designs(self.scenario)[self.design]
        arm = np.maximum(self.record.arm, 0)
        outcome = pick(self.record.potential, arm)
        seen = self.record.looks[number - 1]
        enrolled = (self.record.arm >= 0).sum(axis=1)
        dropped = np.full((1, len(design.arms)), design.patients)
        for before in self.record.looks[: number - 1]:
            dropped = np.where(before.closed_by > 0, before.n_enrolled[:, None], dropped)
        open_to = spans_of(design, self.record.cohort, dropped)
        cohort = self.record.cohort
        snapshot = seen_by(design, design.endpoint, seen.day, cohort, arm, outcome, enrolled, open_to)
        known = measured(design, seen.day, cohort, arm, self.record.others, enrolled, open_to, asked_only=False)
        control = design.arms.index(self.control_at(number))
        look = look_at(design, number - 1, snapshot, seen.is_open, seen.is_claimed, design.model.fit(snapshot), known)
        look = look._replace(control=control, is_open=self.under_study(number), is_claimed=self._claimed_before(number))
        numbers = [k for k, rule in enumerate(self.scenario.decisions, 1) if self.design != FIXED or rule.at_final]
        found = []
        for k, rule in zip(numbers, design.decisions, strict=True):
            for leaf in comparing(rule, look):
                value, threshold = leaf.compared(look)
                judged = leaf.judged(look)[0]
                by_arm = {name: float(value[0, a]) for a, name in enumerate(design.arms) if judged[a]}
                own = leaf if isinstance(leaf, Crossing) else leaf.rule
                asked = f"{own.compares(design.arms[control])} {'>' if own.upper else '<'}"
                found.append(Heard(k, own.word, asked, float(threshold[0]), by_arm))
        return found

    def _look(self, k: int, look: LookRecord) -> dict[str, Any]:
        first = {name: value[0].tolist() for name, value in look._asdict().items()}
        is_final = k == len(self.record.looks) - 1
        return first | {
            "look": k + 1,
            "is_final": is_final,
            "month": first["day"] / DAYS_PER_MONTH,
            "stop_reason": STOP_REASONS[first["stop"]],
        }


def comparing(rule: object, look: Look) -> Iterator[Crossing | BoundConditional | BoundPredictive]:
    """Yield the rules that are heard at a look and compare a probability of each arm with a threshold."""
    if isinstance(rule, Joined):
        if rule.applies(look):
            for inner in rule.rules:
                yield from comparing(inner, look)
    elif isinstance(rule, Crossing | BoundConditional | BoundPredictive) and rule.applies(look):
        yield rule


def replay(scenario: Scenario, truth: str, replicate: int, design: str = ADAPTIVE) -> Replay:
    """Run one trial of a simulation again.

    Parameters
    ----------
    scenario
        The scenario; its seed addresses the patients.
    truth
        Name of the truth.
    replicate
        Number of the trial, from 0, as in the tables.
    design
        `adaptive` or `fixed`; or `no_futility`, where there are rules that do not bind.

    Raises
    ------
    UsageError
        If there is no such truth, design or replicate.
    """
    if design not in scenario.design_names:
        raise UsageError(f"there is no design '{design}'", f"choose {' or '.join(scenario.design_names)}")
    if replicate < 0:
        raise UsageError(f"replicates are counted from 0, got {replicate}")
    scenario.truth(truth)  # asked before anything is drawn
    block, row = divmod(replicate, BLOCK_SIZE)
    cohort = draw(scenario, block).only(slice(row, row + 1))
    plan = designs(scenario)[design]
    potential = scenario.potential(truth, plan.endpoint_name, cohort)
    others = {name: scenario.potential(truth, name, cohort) for name in list(scenario.endpoints)[1:]}
    record = run(plan, cohort, potential, others)
    return Replay(scenario, truth, design, replicate, record, record.cohort)
