"""The operating characteristics as sums over all final states: the same metrics, without Monte Carlo error.

States that ended alike are taken together as one *trial* with the probability of all of them, so that the series of
`sums` define each metric for both engines. What differs between such states - the estimates - is summed as moments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sps_adaptive.arrays import TIE
from sps_adaptive.characteristics import sums
from sps_adaptive.characteristics.error import Figure
from sps_adaptive.characteristics.matched import MATCHED, has_one_threshold
from sps_adaptive.characteristics.metrics import METRICS, Metric
from sps_adaptive.characteristics.summary import frame_of
from sps_adaptive.characteristics.timing import Timing, timing
from sps_adaptive.characteristics.truths import TrueState, true_state
from sps_adaptive.characteristics.wide import ArmsAtEnd, Looks, Trials
from sps_adaptive.exact.binding import designs as bound_designs
from sps_adaptive.exact.calendar import Course, course
from sps_adaptive.exact.certificate import Certifier
from sps_adaptive.exact.memory import Guard
from sps_adaptive.exact.posterior import counts, priors_of, row_means
from sps_adaptive.exact.recursion import Allocated, Ending, Seen, walk
from sps_adaptive.posteriors.beta import states_of_prior
from sps_adaptive.scenario import ADAPTIVE, FIXED

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, Design
    from sps_adaptive.scenario import Scenario

MOST_LOOKS = 24
"""Of trials with more looks the probabilities after each are not told: it would take longer than all the rest."""

LEVEL_TAIL = 0.025
"""Half of what a credible interval leaves out: it holds the true effect if the posterior cdf of it is further in."""

Key = tuple[str, int, int]
"""Metric whose sums these are, arm (0 for none, then from 1), look (0 for none)."""


class Mass(NamedTuple):
    """Probability and moments of a value."""

    n: float
    """Probability that there is such a value."""
    s1: float
    """Mean times that probability."""
    s2: float
    """Mean square times that probability."""
    bins: dict[int, float]
    """Of a value with quantiles, its probability by bin."""

    def __add__(self, other: object) -> Mass:
        """Return the mass of both."""
        assert isinstance(other, Mass)
        bins = dict(self.bins)
        for each, probability in other.bins.items():
            bins[each] = bins.get(each, 0.0) + probability
        return Mass(self.n + other.n, self.s1 + other.s1, self.s2 + other.s2, bins)


NOTHING = Mass(0.0, 0.0, 0.0, {})


class ExactTables(NamedTuple):
    """What there is to know exactly of a scenario and its benchmark."""

    characteristics: pd.DataFrame
    """The operating characteristics: the columns of the simulated summary."""
    certificates: pd.DataFrame
    """The largest errors over all response rates: the columns of `CERTIFICATES`."""


CERTIFICATES = ("design", "metric", "arm", "null", "upper", "lower", "rates")
"""Columns of the certificates.

`null` names the region of response rates in which the claims are wrong; no rates in it give an error above `upper`, and
`rates` (in words, by arm) give `lower`.
"""


def exact_tables(
    scenario: Scenario, truths: Iterable[str] | None = None, most_bytes: float | None = None
) -> ExactTables:
    """Return the operating characteristics of a scenario and its benchmark, and certificates of their errors.

    Parameters
    ----------
    scenario
        A scenario that `exact.calendar.reasons_against` has nothing against.
    truths
        Names of some truths; all of them if none are given.
    most_bytes
        Memory that this process may take; more ends the computation.

    Returns
    -------
    ExactTables
        In the operating characteristics the Monte Carlo error is 0, the interval is the figure itself, and no trial
        (`n` = 0) stands behind it. What depends on a random accrual - months - has no row.
    """
    import pandas as pd

    chosen = tuple(scenario.truths) if truths is None else tuple(truths)
    designs = bound_designs(scenario)
    found, certified, guard = {}, [], Guard(most_bytes)
    for name in scenario.design_names:
        certifier = Certifier(scenario, designs[name])
        found[name] = design_masses(scenario, designs[name], chosen, certifier, guard)
        certified += [(name, *each[:-1], in_words(each.rates)) for each in certifier.certificates()]
    arms = ("", *scenario.arm_names)
    same_error = _matched(scenario, chosen, found)
    rows = []
    for position, truth in enumerate(chosen):
        for name in scenario.design_names:
            masses = found[name][position].masses
            for metric in METRICS.values():
                for key in sorted(key for key in masses if key[0] == metric.sums):
                    value = figure_of(metric, masses[key])
                    if value is not None:
                        rows.append((truth, name, metric.name, arms[key[1]], key[2], *exactly(value), 0))
        rows += [(truth, MATCHED, metric, "", 0, *exactly(value), 0) for metric, value in same_error.get(truth, ())]
    return ExactTables(frame_of(rows), pd.DataFrame(certified, columns=list(CERTIFICATES)))


def exact_characteristics(scenario: Scenario, truths: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the operating characteristics of a scenario and its benchmark, exactly; see `exact_tables`."""
    return exact_tables(scenario, truths).characteristics


def in_words(rates: Mapping[str, float]) -> str:
    """Return response rates by arm: "0.918" where they are all the same, "placebo 0.31, ivig 0.42" elsewhere.

    With digits enough to find the error again.
    """
    if len({round(rate, 6) for rate in rates.values()}) == 1:
        return f"{next(iter(rates.values())):.9f}"
    return ", ".join(f"{arm} {rate:.9f}" for arm, rate in rates.items())


def exactly(value: float) -> Figure:
    """Return a figure without Monte Carlo error."""
    return Figure(value, 0.0, value, value)


def figure_of(metric: Metric, mass: Mass) -> float | None:
    """Return a figure, None where it does not exist; compare `summary.figure_of`."""
    if mass.n <= 0 or (metric.kind in ("quantile", "extreme") and not mass.bins):
        return None
    if metric.kind in ("proportion", "mean"):
        value = mass.s1 / mass.n
        return min(max(value, 0.0), 1.0) if metric.kind == "proportion" else value
    if metric.kind == "sd":
        spread = mass.s2 / mass.n - (mass.s1 / mass.n) ** 2
        return sqrt(spread) if spread > 1e-12 * max(1.0, mass.s2 / mass.n) else 0.0
    if metric.kind == "rmse":
        return sqrt(max(mass.s2 / mass.n, 0.0))
    which = sorted(each for each, probability in mass.bins.items() if probability > 0)
    if metric.kind == "extreme":
        return which[-1 if metric.level else 0] / METRICS[metric.sums].bins
    upto = np.cumsum([mass.bins[each] for each in which]) / mass.n
    place = int(np.searchsorted(upto, metric.level - 1e-9))
    return which[min(place, len(which) - 1)] / METRICS[metric.sums].bins


class Found(NamedTuple):
    """What one pass over the final states found for one truth."""

    masses: dict[Key, Mass]
    scores: Scores


class Scores(NamedTuple):
    """Of a design without looks: the largest final probability of being better, with the probability of the state."""

    right: Float[Array, " X"] | None
    """Over the effective arms."""
    wrong: Float[Array, " X"] | None
    """Over the ineffective arms."""
    probability: Float[Array, " X"]


class Label(NamedTuple):
    """What is told apart of how a trial ends."""

    look: int
    stop: int
    is_open: tuple[bool, ...]
    claimed_at_look: tuple[bool, ...]
    enrolled: int
    outcome: int
    is_claimed: tuple[bool, ...]
    meets_efficacy: tuple[bool, ...]
    selected: int


def design_masses(
    scenario: Scenario, design: Design, truths: tuple[str, ...], certifier: Certifier, guard: Guard
) -> list[Found]:
    """Return the masses of a design in each truth, from one pass that the certifier and the guard see too."""
    plan = course(scenario, design)
    pass_ = _Pass(scenario, design, plan, truths)

    def watch(seen: Seen | Allocated) -> None:
        guard.check()
        if isinstance(seen, Allocated):
            pass_.allocate(seen)
        elif plan.missing:
            pass_.see(seen)

    for ending in walk(design, plan, watch):
        guard.check()
        pass_.add(ending)
        certifier.add(ending)
    return [pass_.found(position) for position in range(len(truths))]


class _Pass:
    """Adds up the final states of a design, for several truths at once."""

    def __init__(self, scenario: Scenario, design: Design, plan: Course, truths: tuple[str, ...]) -> None:
        self.scenario, self.design, self.plan = scenario, design, plan
        self.states = [true_state(scenario, truth) for truth in truths]
        self.n_arms, self.control = len(design.arms), design.control
        rows = np.arange(states_of_prior(plan.patients))
        self.known, self.responders = counts(rows)
        self.oriented = np.array([design.endpoint.natural(state.value) for state in self.states])  # its own inverse
        rate = self.oriented[:, :, None]
        self.likelihood = rate**self.responders * (1 - rate) ** (self.known - self.responders)  # [T, A, rows]
        self.means = row_means(priors_of(design), plan.patients)
        self.n_looks = design.schedule.n_looks(plan.patients)
        self.labels: list[dict[Label, float]] = [defaultdict(float) for _ in truths]
        self.cells: list[dict[tuple[int, ...], float]] = [defaultdict(float) for _ in truths]
        self.moments = np.zeros((len(truths), len(self._moment_names())))
        self.inside = np.zeros((len(truths), self.n_arms))
        self.seen: list[dict[int, Mass]] = [defaultdict(lambda: NOTHING) for _ in truths]
        self.allocation: list[dict[tuple[int, int], Mass]] = [defaultdict(lambda: NOTHING) for _ in truths]
        self.scores: list[list[tuple[Array, Array, Array]]] = [[] for _ in truths]

    # -------------------------------------------------------------- adding

    def probability(self, rows: Int[Array, "R A"], weight: Float[Array, " R"]) -> Float[Array, "T R"]:
        """Return the probability of each state in each truth."""
        probability = np.tile(weight, (len(self.states), 1))
        for arm in range(self.n_arms):
            probability *= self.likelihood[:, arm][:, rows[:, arm]]
        return probability

    def see(self, seen: Seen) -> None:
        """Take note of what is known at a look."""
        rows = seen.batch.rows()
        known = self.known[rows].sum(axis=1)
        for truth, mass in enumerate(self.probability(rows, seen.weight)):
            each = mass * known
            self.seen[truth][seen.look] += Mass(float(mass.sum()), float(each.sum()), float((each * known).sum()), {})

    def allocate(self, seen: Allocated) -> None:
        """Take note of the probabilities for the next patients; of no more looks than a reader could follow."""
        if len(self.plan.looks) > MOST_LOOKS:
            return
        bins = METRICS["allocation"].bins
        place = np.floor(seen.probabilities * bins + 0.5).astype(np.int64)
        for truth, mass in enumerate(self.probability(seen.batch.rows(), seen.weight)):
            for arm in range(self.n_arms):
                own = seen.probabilities[:, arm]
                by_bin = np.bincount(place[:, arm], mass)
                found = {int(each): float(by_bin[each]) for each in np.flatnonzero(by_bin)}
                each = mass * own
                self.allocation[truth][arm + 1, seen.look] += Mass(
                    float(mass.sum()), float(each.sum()), float((each * own).sum()), found
                )

    def add(self, ending: Ending) -> None:
        """Add some final states."""
        rows = ending.batch.rows()
        probability = self.probability(rows, ending.weight)
        self._add_labels(ending, rows, probability)
        self._add_cells(ending, probability)
        # einsum, since libraries for linear algebra are slow at long thin products in several threads
        self.moments += np.einsum("tr,rm->tm", probability, self._moments(ending, rows))
        self._add_coverage(ending, probability)
        if self.n_looks == 0:
            self._add_scores(ending, probability)

    def _add_labels(self, ending: Ending, rows: Int[Array, "R A"], probability: Float[Array, "T R"]) -> None:
        arms, bits = self.n_arms, 1 << np.arange(self.n_arms)
        mean = np.stack([self.means[arm][rows[:, arm]] for arm in range(arms)], axis=1)
        best = np.where(ending.is_claimed, mean, -np.inf).argmax(axis=1) + 1
        selected = np.where(ending.is_claimed.any(axis=1), best, 0)
        code = ending.outcome + 7 * (
            selected + (arms + 1) * (ending.is_claimed @ bits + 2**arms * (ending.meets_efficacy @ bits))
        )
        given, first, which = np.unique(code, return_index=True, return_inverse=True)
        for truth, mass in enumerate(probability):
            total = np.bincount(which, mass, len(given))
            for place, at in enumerate(first):
                label = Label(
                    ending.end.look, int(ending.end.stop), ending.end.is_open, ending.end.is_claimed, ending.enrolled,
                    int(ending.outcome[at]), _yes(ending.is_claimed[at]), _yes(ending.meets_efficacy[at]),
                    int(selected[at]),
                )  # fmt: skip
                self.labels[truth][label] += float(total[place])

    def _add_cells(self, ending: Ending, probability: Float[Array, "T R"]) -> None:
        cells, first = ending.batch.groups()
        by_cell = np.add.reduceat(probability, first, axis=1)
        for cell, masses in zip(cells.tolist(), by_cell.T.tolist(), strict=True):
            for truth, mass in enumerate(masses):
                self.cells[truth][tuple(cell)] += mass

    def _moment_names(self) -> list[Key]:
        names: list[Key] = [("assessed", 0, 1), ("assessed", 0, 2), ("events", 0, 1), ("events", 0, 2)]
        names += [("mean_outcome", 0, 0), ("mean_outcome", 0, 1), ("mean_outcome", 0, 2)]
        for arm in range(self.n_arms):
            names += [(name, arm, power) for name in ("bias", "bias_if_claimed", "bias_observed") for power in range(3)]
        return names

    def _moments(self, ending: Ending, rows: Int[Array, "R A"]) -> Float[Array, "R M"]:
        """Return, for each state, what sums to the moments named above; effects are oriented."""
        known, responders = self.known[rows], self.responders[rows]
        n, s = known.sum(axis=1), responders.sum(axis=1)
        events = s if self.scenario.endpoint.better == "higher" else n - s
        any_known = n > 0
        share = np.divide(events, n, out=np.zeros(len(n)), where=any_known)
        columns = [n, n**2, events, events**2, any_known, share, share**2]
        observed = np.divide(responders, known, out=np.zeros(known.shape), where=known > 0)
        mean = np.stack([self.means[arm][rows[:, arm]] for arm in range(self.n_arms)], axis=1)
        for arm in range(self.n_arms):
            effect = mean[:, arm] - mean[:, self.control]
            claimed = ending.is_claimed[:, arm]
            both = (known[:, arm] > 0) & (known[:, self.control] > 0)
            difference = np.where(both, observed[:, arm] - observed[:, self.control], 0.0)
            columns += [np.ones(len(n)), effect, effect**2, claimed, claimed * effect, claimed * effect**2]
            columns += [both, difference, difference**2]
        return np.stack([np.asarray(column, float) for column in columns], axis=1)

    def _add_coverage(self, ending: Ending, probability: Float[Array, "T R"]) -> None:
        for truth, mass in enumerate(probability):
            effect = self.oriented[truth] - self.oriented[truth, self.control]
            for arm in range(self.n_arms):
                if arm != self.control:
                    above = ending.posterior.prob_better(self.control, float(effect[arm]))[:, arm]
                    inside = (above >= LEVEL_TAIL) & (above <= 1 - LEVEL_TAIL)
                    self.inside[truth, arm] += float(mass[inside].sum())

    def _add_scores(self, ending: Ending, probability: Float[Array, "T R"]) -> None:
        better = ending.posterior.prob_better(self.control, self.design.efficacy_margin)
        for truth, state in enumerate(self.states):
            right, wrong = (
                better[:, arms].max(axis=1, initial=-1.0) for arms in (state.is_effective, state.is_ineffective)
            )
            self.scores[truth].append((right, wrong, probability[truth]))

    # ------------------------------------------------------------- finding

    def found(self, truth: int) -> Found:
        """Return what was found for a truth."""
        state = self.states[truth]
        masses: dict[Key, Mass] = defaultdict(lambda: NOTHING)
        trials, weight = self._trials(self.labels[truth])
        for made in (sums.endings(trials, state), sums.looks(trials, state), self._claims(trials, state)):
            add_series(masses, made, weight)
        by_cell, weight = self._by_cell(self.cells[truth])
        add_series(masses, sums.sizes(by_cell, state, self.plan.patients), weight)
        self._add_times(masses, self.labels[truth])
        self._add_estimates(masses, truth)
        for look, mass in self.seen[truth].items():
            masses["known", 0, look] = mass
        for (arm, look), mass in self.allocation[truth].items():
            if mass.n > 0:
                masses["allocation", arm, look] = mass
        return Found(dict(masses), self._scores(truth))

    def _claims(self, trials: Trials, state: TrueState) -> Iterator[sums.Series]:
        return (each for each in sums.claims(trials, state) if each.metric not in sums.SCORES)

    def _trials(self, labels: dict[Label, float]) -> tuple[Trials, Float[Array, " L"]]:
        """Return each label as a trial, with its probability."""
        each = list(labels)
        arms = self._nothing(len(each))._replace(
            claimed_at_look=np.array([label.claimed_at_look for label in each]),
            is_claimed=np.array([label.is_claimed for label in each]),
            meets_efficacy=np.array([label.meets_efficacy for label in each]),
            is_open=np.array([label.is_open for label in each]),
        )
        stop_look = np.array([label.look for label in each])
        trials = self._plain(len(each), arms)._replace(
            outcome=np.array([label.outcome for label in each]),
            stop_reason=np.array([label.stop for label in each]),
            stop_look=stop_look,
            selected_arm=np.array([label.selected for label in each]),
            looks=self._looks(stop_look),
        )
        return trials, np.array([labels[label] for label in each])

    def _by_cell(self, cells: dict[tuple[int, ...], float]) -> tuple[Trials, Float[Array, " C"]]:
        """Return each cell as a trial, with its probability."""
        enrolled = np.array(list(cells))
        arms = self._nothing(len(enrolled))._replace(n_enrolled=enrolled)
        trials = self._plain(len(enrolled), arms)._replace(
            n_enrolled=enrolled.sum(axis=1), n_known=np.full(len(enrolled), np.nan)
        )
        return trials, np.array(list(cells.values()))

    def _nothing(self, n: int) -> ArmsAtEnd:
        return ArmsAtEnd(**dict.fromkeys(ArmsAtEnd._fields, np.zeros((n, self.n_arms))))

    def _plain(self, n: int, arms: ArmsAtEnd) -> Trials:
        zero, unknown = np.zeros(n, int), np.full(n, np.nan)
        looks = Looks(*[np.full((n, self.n_looks), np.nan)] * 4)
        nowhere = np.full((n, self.n_looks, self.n_arms), np.nan)
        return Trials(
            zero, zero, zero, zero, zero, zero, unknown, unknown, zero, unknown, zero, unknown, arms, looks, nowhere
        )

    def _looks(self, stop_look: Int[Array, " L"]) -> Looks:
        """Return the looks that each label has had; numbers of patients are the same whenever a look takes place."""
        shape = (len(stop_look), self.n_looks)
        month, enrolled, known, pending = (np.full(shape, np.nan) for _ in range(4))
        time = timing(self.plan)
        for position, look in enumerate(self.plan.looks):
            held = (stop_look == 0) | (look.k < stop_look)
            month[held, look.k] = 0.0 if look.month is None else look.month
            enrolled[held, look.k] = look.enrolled
            known[held, look.k] = np.nan if self.plan.missing else look.settled
            pending[held, look.k] = time.pending[position]
        return Looks(month, enrolled, known, pending)

    def _add_times(self, masses: dict[Key, Mass], labels: dict[Label, float]) -> None:
        """Add how long trials take; nothing where accrual is random."""
        if self.plan.enrolled_month is None:
            for key in [key for key in masses if key[0] == "look_month"]:
                del masses[key]
        time = timing(self.plan)
        by_look: dict[int, float] = defaultdict(float)
        for label, mass in labels.items():
            by_look[label.look] += mass
        place = {look.k + 1: position for position, look in enumerate(self.plan.looks)}
        for look, mass in by_look.items():
            if look:
                pending = time.pending[place[look]]
                masses["overrun", 0, 0] += Mass(mass, mass * pending, mass * pending**2, {})
            if time.months is None:
                continue
            lasts = time.months[place[look] if look else -1]
            masses["duration_months", 0, 0] += scaled(lasts.duration, mass)
            masses["decision_month", 0, 0] += scaled(lasts.decision, mass)

    def _add_estimates(self, masses: dict[Key, Mass], truth: int) -> None:
        state = self.states[truth]
        moment = dict(zip(self._moment_names(), self.moments[truth], strict=True))
        total = sum(self.labels[truth].values())
        for name in ("assessed", "events"):
            masses[name, 0, 0] = Mass(total, moment[name, 0, 1], moment[name, 0, 2], {})
        masses["mean_outcome", 0, 0] = Mass(
            moment["mean_outcome", 0, 0], moment["mean_outcome", 0, 1], moment["mean_outcome", 0, 2], {}
        )
        sign = float(self.design.endpoint.natural_difference(np.ones(1))[0])
        for arm in np.flatnonzero(state.is_experimental).tolist():
            for name in ("bias", "bias_if_claimed", "bias_observed"):
                n, s1, s2 = (moment[name, arm, power] for power in range(3))
                true = sign * state.effect[arm]  # oriented, as the moments are
                centred = s2 - 2 * true * s1 + true**2 * n
                masses[name, arm + 1, 0] = Mass(n, sign * (s1 - true * n), max(centred, 0.0), {})
            masses["coverage", arm + 1, 0] = Mass(total, self.inside[truth, arm], self.inside[truth, arm], {})
        masses["fit_failed", 0, 0] = Mass(total, 0.0, 0.0, {})

    def _scores(self, truth: int) -> Scores:
        if not self.scores[truth]:
            return Scores(None, None, np.empty(0))
        right, wrong, probability = (np.concatenate(each) for each in zip(*self.scores[truth], strict=True))
        state = self.states[truth]
        return Scores(
            right if state.is_effective.any() else None, wrong if state.is_ineffective.any() else None, probability
        )


def add_series(masses: dict[Key, Mass], series: Iterable[sums.Series], weight: Float[Array, " X"]) -> None:
    """Add values with given probabilities."""
    for each in series:
        values = np.asarray(each.values, float)
        here = np.isfinite(values)
        if not here.any():
            continue
        x, p = values[here], weight[here]
        bins: dict[int, float] = {}
        metric = METRICS[each.metric]
        if metric.bins and each.arm == 0 and each.look == 0:
            which, place = np.unique(np.floor(x * metric.bins + 0.5).astype(int), return_inverse=True)
            bins = dict(zip(which.tolist(), np.bincount(place, p).tolist(), strict=True))
        masses[each.metric, each.arm, each.look] += Mass(float(p.sum()), float(p @ x), float(p @ x**2), bins)


def scaled(time: Timing, probability: float) -> Mass:
    """Return a time that is there with a probability."""
    return Mass(
        probability,
        probability * time.mean,
        probability * time.square,
        {each: probability * share for each, share in time.bins.items()},
    )


def _matched(
    scenario: Scenario, truths: tuple[str, ...], found: dict[str, list[Found]]
) -> dict[str, list[tuple[str, float]]]:
    """Return power and error of the fixed design at the adaptive design's familywise error; see `matched`.

    Exact errors come in steps, so the fixed design is made a randomised test: between the two thresholds whose errors
    are next to the one wanted, with the weights that make it right.
    """
    plain = has_one_threshold(scenario)
    adaptive, fixed = found[ADAPTIVE], found[FIXED]
    null = next(
        (k for k, each in enumerate(fixed) if each.scores.right is None and each.scores.wrong is not None), None
    )
    if not plain or null is None:
        return {}
    alpha = adaptive[null].masses["familywise_error", 0, 0].s1
    strict, loose, share = _thresholds(fixed[null].scores, alpha)
    made: dict[str, list[tuple[str, float]]] = {}
    for truth, each in zip(truths, fixed, strict=True):
        probability = each.scores.probability
        made[truth] = [
            (metric, float((1 - share) * probability[score > strict].sum() + share * probability[score > loose].sum()))
            for metric, score in (("power_any", each.scores.right), ("familywise_error", each.scores.wrong))
            if score is not None
        ]
    return made


def _thresholds(scores: Scores, alpha: float) -> tuple[float, float, float]:
    """Return the thresholds with errors next to alpha from below and above, and the weight of the second."""
    assert scores.wrong is not None
    order = np.argsort(-scores.wrong)
    score, error = scores.wrong[order], np.cumsum(scores.probability[order])
    last_of_ties = np.append(np.diff(score) < -TIE, True)
    step = np.append(score[0], score[last_of_ties] - TIE)  # above the first nothing is claimed
    reached = np.append(0.0, error[last_of_ties])
    above = min(max(int(np.searchsorted(reached, alpha)), 1), len(step) - 1)
    gap = reached[above] - reached[above - 1]
    share = float(np.clip((alpha - reached[above - 1]) / gap, 0.0, 1.0)) if gap > 0 else 0.0
    return float(step[above - 1]), float(step[above]), share


def _yes(mask: Bool[Array, " A"]) -> tuple[bool, ...]:
    return tuple(bool(each) for each in mask)
