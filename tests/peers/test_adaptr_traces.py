"""Whole trials simulated by adaptr 1.4.0, look by look: given its probabilities, our rules decide what it decided.

Its probabilities are shares of posterior draws. So there are two comparisons: our rules are fed the stored shares and
must decide and allocate exactly as it did; and these must lie about our probabilities as binomial shares do. The share
of an arm that was dropped after a promotion is not stored: it counts as below the threshold, if our probability is
below it or within the error of the draws.

One label differs by intent. adaptr asks equivalence and futility of arms that it has just dropped as inferior, too, and
calls them futile if they are. Whether they leave does not depend on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from sps_adaptive.contracts import Design, Look, Stop
from sps_adaptive.posteriors.beta import BetaPosterior
from sps_adaptive.posteriors.gaussian import GaussianPosterior
from sps_adaptive.verdicts import Decision, allocate, decide
from tests.peers import adaptr

TRACES = adaptr.stored("traces")
LEFT = ("inferior", "equivalence", "futile")

Array = np.ndarray


def numbers(rows: list[list[float | None]]) -> Array:
    return np.array([[np.nan if x is None else x for x in row] for row in rows], float)


@dataclass
class Looks:
    """All looks of all trials of a design, one a row."""

    name: str

    def __post_init__(self) -> None:
        trials = TRACES["traces"][self.name]
        self.plan: dict[str, Any] = TRACES["designs"][self.name]
        self.looks: list[dict[str, Any]] = [look for trial in trials for look in trial["looks"]]
        last = [(k == len(trial["looks"]) - 1) for trial in trials for k in range(len(trial["looks"]))]
        conclusive = [trial["final_status"] != "max" for trial in trials for _ in trial["looks"]]
        self.stops = np.array(last) & np.array(conclusive)
        self.old = np.array([look["old_status"] for look in self.looks])
        self.new = np.array([look["new_status"] for look in self.looks])
        self.is_open = ~np.isin(self.old, LEFT)
        self.has_control = self.plan["control"] is not None
        self.control = (self.old == "control").argmax(axis=1) if self.has_control else np.zeros(len(self.old), int)

    def column(self, field: str) -> Array:
        return numbers([look[field] for look in self.looks])

    def ours(self) -> Any:
        """Our posterior, given the same counts."""
        n, y = self.column("ns"), self.column("sum_ys")
        if self.plan["outcome"] == "binomial":
            most = int(n.sum(axis=1).max())
            return BetaPosterior.from_counts(((1.0, 1.0),) * n.shape[1], n.astype(int), y.astype(int), most)
        spread = []
        for trial in TRACES["traces"][self.name]:
            arm, value = np.array(list(trial["allocs"])), np.array(trial["ys"])
            for look, size in zip(trial["looks"], self.plan["data_looks"], strict=False):
                by_arm = [value[:size][arm[:size] == each] for each in self.plan["arms"]]
                assert [len(each) for each in by_arm] == look["ns"]
                spread.append([each.std(ddof=1) for each in by_arm])
        return GaussianPosterior(y / n, np.array(spread) / np.sqrt(n - 1))


class Told:
    """A posterior that says what adaptr's draws said, and what ours says where that is not known."""

    def __init__(self, looks: Looks) -> None:
        self.looks, self.real = looks, looks.ours()

    def prob_best(self, among: Array) -> Array:
        same = (among == self.looks.is_open).all(axis=1)
        return np.where(same[:, None], np.nan_to_num(self.looks.column("probs_best")), self.real.prob_best(among))

    def prob_better(self, than: int, by: float = 0.0) -> Array:
        looks, plan = self.looks, self.looks.plan
        own = (looks.control == than)[:, None]
        exact = self.real.prob_better(than, by)
        if by == 0:
            told = np.where(own, looks.column("probs_better_first"), looks.column("probs_better"))
            dropped = ~own & np.isnan(told) & (looks.old == "active") & (looks.new == "inferior")
            error = np.sqrt(exact * (1 - exact) / plan["n_draws"])
            assert (exact - 4 * error < plan["inferiority"])[dropped & self._became_control(than)].all()
            return np.where(np.isfinite(told), told, np.where(dropped, 0.0, exact))
        assert looks.has_control and plan["equivalence_only_first"] and plan["futility_only_first"]
        if by == plan["futility_diff"]:
            told = 1 - looks.column("probs_futility_first")
        elif by == plan["equivalence_diff"]:
            return np.zeros(looks.old.shape)
        else:  # the rule takes the difference of the two
            assert by == -plan["equivalence_diff"]
            told = looks.column("probs_equivalence_first")
        return np.where(own & np.isfinite(told), told, exact)

    def _became_control(self, arm: int) -> Array:
        """Looks after which the arm, which was not the control, is or has been left alone."""
        new = self.looks.new[:, arm]
        return (((new == "control") | (new == "superior")) & (self.looks.control != arm))[:, None]


@cache
def replayed(name: str) -> tuple[Looks, Design, Look, Decision]:
    """What our rules decide at every look of a design."""
    looks = Looks(name)
    design = adaptr.scenario(looks.plan).designs()["adaptive"]
    n = looks.column("ns")
    look = Look(
        k=0,
        n_looks=len(looks.plan["data_looks"]),
        patients=looks.plan["data_looks"][-1] + 1,
        control=0,
        first_control=0,
        n_enrolled=n.sum(axis=1),
        n_known=n.sum(axis=1),
        arm_enrolled=n,
        arm_known=n,
        arm_pending=np.zeros_like(n),
        is_open=looks.is_open,
        is_claimed=np.zeros(n.shape, bool),
        posterior=Told(looks),  # type: ignore[arg-type]  # the rules ask nothing else of it
    )
    return looks, design, look, decide(design, look, np.zeros(n.shape, bool), looks.control)


every_design = pytest.mark.parametrize("name", TRACES["traces"])


@every_design
def test_every_look_decides_the_same(name):
    looks, _, look, decision = replayed(name)
    open_after = look.is_open & ~decision.close
    if not looks.has_control:  # adaptr drops the others in name when an arm is superior
        open_after = np.where((decision.stop == Stop.EFFICACY)[:, None], decision.claim, open_after)
        expected = np.where(
            (looks.new == "superior").any(axis=1)[:, None], looks.new == "superior", ~np.isin(looks.new, LEFT)
        )
    else:
        expected = ~np.isin(looks.new, LEFT)
    np.testing.assert_array_equal(open_after, expected)
    np.testing.assert_array_equal(decision.stop != Stop.NO, looks.stops)
    if looks.has_control:
        goes_on = ~looks.stops
        np.testing.assert_array_equal(decision.control[goes_on], (looks.new == "control").argmax(axis=1)[goes_on])


@every_design
def test_and_for_the_same_reason(name):
    """Rules by their place: what adaptr calls futile is closed as inferior by ours where both are met."""
    looks, _, _, decision = replayed(name)
    moved = decision.control != looks.control
    for arm in range(looks.old.shape[1]):
        for row in np.flatnonzero(decision.closed_by[:, arm]):
            rule, label = decision.closed_by[row, arm], looks.new[row, arm]
            assert label in LEFT
            if rule == adaptr.EQUIVALENCE:
                assert label == "equivalence"
            elif rule == adaptr.FUTILITY:
                assert label == "futile"
            elif label != "inferior":
                assert rule == adaptr.INFERIORITY and not moved[row] and looks.plan["futility_prob"]
    claimed = decision.claim.any(axis=1)
    if looks.has_control:
        np.testing.assert_array_equal(claimed, moved)
    else:
        np.testing.assert_array_equal(claimed, (looks.new == "superior").any(axis=1))


@every_design
def test_every_look_allocates_the_same(name):
    """Where an arm has left, adaptr allocates by draws that are not stored: there only within their error."""
    looks, design, look, decision = replayed(name)
    after = look._replace(is_open=look.is_open & ~decision.close)
    goes_on = ~looks.stops
    found = allocate(design, after, decision.control)
    expected = np.nan_to_num(looks.column("new_alloc"))
    left = decision.close.any(axis=1)
    np.testing.assert_allclose(found[goes_on & ~left], expected[goes_on & ~left], rtol=0, atol=1e-8)
    assert (goes_on & ~left).sum() >= 10
    if name[0] in "CEJ":  # two arms left share equally by design, or the trial has one look
        return
    here = goes_on & left
    share = np.square(expected[here])  # the allocation is as the square root of the probability of being best
    share /= share.sum(axis=1, keepdims=True)
    best = look.posterior.prob_best(after.is_open)[here]
    error = np.sqrt(best * (1 - best) / looks.plan["n_draws"])
    assert (np.abs(share - best) <= 4 * error + 1e-8).all()


def z_scores(told: Array, exact: Array, draws: int) -> Array:
    """Standard scores of shares of draws, where the normal distribution is near enough."""
    usual = np.isfinite(told) & (draws * exact > 10) & (draws * (1 - exact) > 10)
    return (told[usual] - exact[usual]) / np.sqrt(exact[usual] * (1 - exact[usual]) / draws)


def test_the_stored_shares_lie_about_our_probabilities_as_shares_of_draws_do():
    """Standard scores with a mean of 0 and a standard deviation of 1, of some thousand shares; far ones are as rare."""
    best: list[Array] = []
    better: list[Array] = []
    for name in TRACES["traces"]:
        looks = Looks(name)
        ours, draws = looks.ours(), looks.plan["n_draws"]
        best.append(z_scores(looks.column("probs_best"), ours.prob_best(looks.is_open), draws))
        if looks.has_control:
            exact = np.zeros(looks.old.shape)
            for control in np.unique(looks.control):
                here = looks.control == control
                exact[here] = ours.prob_better(int(control))[here]
            better.append(z_scores(looks.column("probs_better_first"), exact, draws))
    for found, at_least in ((np.concatenate(best), 2000), (np.concatenate(better), 1000)):
        assert len(found) > at_least
        assert abs(found.mean()) < 4 / np.sqrt(len(found) / 3)  # the three shares of a look sum to one
        assert abs(found.std() - 1) < 4 / np.sqrt(2 * len(found) / 3)
        assert np.abs(found).max() < 4.8
