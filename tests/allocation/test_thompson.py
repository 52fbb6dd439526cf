"""Response-adaptive randomisation by the probability of being best: cases by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sps_adaptive.allocation import Thompson
from tests.allocation.settings import paths, setting
from tests.allocation.test_bounds import control_first_twin
from tests.contracts.fakes import FakePosterior, a_look, look_at_best

BEST = [0.1, 0.7, 0.2]
ROOTS = np.sqrt(BEST)


def probabilities(best=BEST, *, is_open=None, control=0, n_enrolled=40, patients=100, **given):
    rule = Thompson(kind="thompson", **given)
    look = look_at_best(best, is_open=is_open, control=control, n_enrolled=n_enrolled, patients=patients)
    return rule.probabilities(look)[0]


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"power": 0}, [1 / 3, 1 / 3, 1 / 3]),
        ({"power": 1}, BEST),
        ({"power": 0.5}, ROOTS / ROOTS.sum()),
        ({"power": 2}, np.square(BEST) / np.square(BEST).sum()),
        ({"power": "n/2N", "n_enrolled": 0}, [1 / 3, 1 / 3, 1 / 3]),
        ({"power": "n/2N", "n_enrolled": 100}, ROOTS / ROOTS.sum()),
        ({"power": "n/2N", "n_enrolled": 50}, np.power(BEST, 0.25) / np.power(BEST, 0.25).sum()),
        ({"n_enrolled": 50}, np.power(BEST, 0.25) / np.power(BEST, 0.25).sum()),  # the default
        ({"power": 0, "best": [0.0, 1.0, 0.0]}, [1 / 3, 1 / 3, 1 / 3]),  # 0 to the power 0
        ({"power": 1, "floor": 0.15}, [0.15, 0.85 * 7 / 9, 0.85 * 2 / 9]),
        ({"power": 1, "ceiling": 0.5}, [0.5 / 3, 0.5, 1 / 3]),
        ({"power": 1, "control_share": 0.33}, [0.33, 0.67 * 7 / 9, 0.67 * 2 / 9]),
        ({"power": 1, "control_share": 0.33, "floor": 0.15}, [0.33, 0.52, 0.15]),
        ({"power": 1, "control_share": "square_root"}, [np.sqrt(2) - 1, *((2 - np.sqrt(2)) * np.array([7, 2]) / 9)]),
        ({"power": 1, "control_share": "matched"}, np.array([7, 7, 2]) / 16),
        ({"power": 0.5, "control_share": "matched"}, np.sqrt([7, 7, 2]) / np.sqrt([7, 7, 2]).sum()),
        ({"power": 1, "control_share": "matched", "control": 1}, np.array([1, 2, 2]) / 5),  # also if it was ahead
        ({"power": 1, "control_share": "matched", "best": [1.0, 0.0, 0.0]}, [1, 0, 0]),
        ({"power": 1, "is_open": [True, False, True]}, [1 / 3, 0, 2 / 3]),
        ({"power": 1, "is_open": [True, False, True], "ceiling": 0.4}, [0.5, 0, 0.5]),
        ({"power": 1, "is_open": [True, False, True], "floor": 0.4}, [0.4, 0, 0.6]),
        ({"power": 1, "is_open": [True, False, True], "control_share": "square_root"}, [0.5, 0, 0.5]),
        ({"power": 1, "is_open": [True, False, True], "control_share": "matched"}, [0.5, 0, 0.5]),
        *(
            ({"power": 1, "is_open": [True, False, False], "control_share": share, "ceiling": 0.4}, [1, 0, 0])
            for share in (None, 0.33, "matched", "square_root")
        ),
    ],
)
def test_cases_by_hand(given, expected):
    np.testing.assert_allclose(probabilities(**given), expected, atol=2e-12)


def test_the_power_grows_with_the_patients_of_each_replicate():
    look = look_at_best(np.tile(BEST, (3, 1)), n_enrolled=[0, 50, 100])
    found = Thompson(kind="thompson", power="n/2N").probabilities(look)
    alone = [probabilities(n_enrolled=n) for n in (0, 50, 100)]
    np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize(
    "given, is_open, expected",
    [
        ({}, [True, True, True], [1 / 3, 1 / 3, 1 / 3]),
        ({"control_share": 0.4, "floor": 0.1}, [True, True, True], [0.4, 0.3, 0.3]),
        ({"control_share": "square_root"}, [True] * 5, [1 / 3, *[1 / 6] * 4]),
        ({"control_share": "matched"}, [True, True], [0.5, 0.5]),
        ({"control_share": 0.4}, [True, False, True], [0.4, 0, 0.6]),
    ],
)
def test_the_start_is_equal_but_for_a_protected_control(given, is_open, expected):
    start = Thompson(kind="thompson", **given).start(np.array([is_open]), 0)
    np.testing.assert_allclose(start, [expected], atol=1e-12)


@pytest.mark.parametrize("arms", [2, 3, 5, 10])
def test_the_square_root_share_minimises_the_variance_of_the_comparisons(arms):
    """1 / p0 + 1 / pk, with the k others sharing the rest, on a grid of control shares (Dunnett 1955)."""
    start = Thompson(kind="thompson", control_share="square_root").start(np.ones((1, arms), bool), 0)[0]
    grid = np.linspace(0.01, 0.99, 9801)
    variance = 1 / grid + (arms - 1) / (1 - grid)
    assert start[0] == pytest.approx(grid[variance.argmin()], abs=1e-4)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=5).filter(any),
    st.sampled_from([0, 0.3, 1, 10, "n/2N"]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([None, 0.33, "matched", "square_root"]),
    st.data(),
)
def test_rows_sum_to_1_within_bounds_and_closed_arms_get_nothing(weights, power, low, high, share, data):
    arms = len(weights)
    is_open = [True, *data.draw(st.lists(st.booleans(), min_size=arms - 1, max_size=arms - 1))]
    left = {None: 1, 0.33: 0.67, "matched": 1, "square_root": 1 - 1 / (1 + np.sqrt(arms - 1))}[share]
    rivals = arms if share in (None, "matched") else arms - 1
    floor, ceiling = low * left / rivals * 0.999, left / rivals + high * (1 - left / rivals)
    rule = Thompson(kind="thompson", power=power, floor=floor, ceiling=ceiling, control_share=share)
    assert rule.problems(setting(arms)) == []
    best = np.where(is_open, np.array(weights) + 1e-9, 0)
    found = probabilities(
        best / best.sum(), is_open=is_open, power=power, floor=floor, ceiling=ceiling, control_share=share
    )
    assert abs(found.sum() - 1) < 1e-12
    assert (found[~np.array(is_open)] == 0).all()
    rivals_open = np.array(is_open)
    if rivals == arms - 1:
        rivals_open[0] = False
        expected = 0.33 if share == 0.33 else 1 / (1 + np.sqrt(max(sum(is_open) - 1, 1)))
        assert found[0] == pytest.approx(1 if sum(is_open) == 1 else expected)
    if rivals_open.any():
        equal = found[rivals_open].sum() / rivals_open.sum()
        assert (found[rivals_open] >= min(floor, equal) - 1e-12).all()
        assert (found[rivals_open] <= max(ceiling, equal) + 1e-12).all()


@pytest.mark.parametrize(
    "given, arms, path",
    [
        ({"floor": 0.34}, 3, "floor"),
        ({"floor": 0.34, "control_share": 0.33}, 3, "floor"),
        ({"floor": 0.3, "control_share": "square_root"}, 3, "floor"),
        ({"ceiling": 0.33}, 3, "ceiling"),
        ({"ceiling": 0.33, "control_share": 0.33}, 3, "ceiling"),
        ({"floor": 0.2, "ceiling": 0.1}, 20, "floor"),
    ],
)
def test_bounds_that_cannot_be_kept_are_problems(given, arms, path):
    assert (path,) in [where for where, _, _ in Thompson(kind="thompson", **given).problems(setting(arms))]


@pytest.mark.parametrize(
    "given, arms",
    [
        ({"floor": 1 / 3, "ceiling": 1 / 3}, 3),
        ({"floor": 0.33, "control_share": 0.34}, 3),
        ({"floor": 0.335, "control_share": 0.33, "ceiling": 0.335}, 3),
        ({"floor": 0.29, "control_share": "square_root"}, 3),
        ({"floor": 0.5, "control_share": "matched"}, 2),
    ],
)
def test_bounds_that_can_just_be_kept_are_not(given, arms):
    rule = Thompson(kind="thompson", **given)
    assert rule.problems(setting(arms)) == []
    start = rule.start(np.ones((1, arms), bool), 0)
    assert abs(start.sum() - 1) < 1e-12


def twin(rule, look):
    """The rule in numpy."""
    best = look.posterior.prob_best(look.is_open)
    if rule.control_share == "matched":
        others = np.delete(best, look.control, axis=1).max(axis=1, initial=0.0)
        best = best.copy()
        best[:, look.control] = np.where(others > 0, others, best[:, look.control])
        best = best / best.sum(axis=1, keepdims=True)
    power = look.n_enrolled / (2 * look.patients) if rule.power == "n/2N" else rule.power
    weights = np.maximum(best, 1e-300) ** np.reshape(power, (-1, 1))
    share = rule.control_share if isinstance(rule.control_share, float) else None
    if rule.control_share == "square_root":
        share = 1 / (1 + np.sqrt(np.maximum(np.delete(look.is_open, look.control, axis=1).sum(axis=1), 1)))
    return control_first_twin(weights, look.is_open, look.control, share, rule.floor, rule.ceiling)


@pytest.mark.parametrize("share", [None, 0.33, "matched", "square_root"])
@pytest.mark.parametrize("power", [0, 0.3, 0.5, 1, 2, "n/2N"])
@pytest.mark.parametrize("arms, control", [(2, 0), (3, 0), (3, 2), (4, 1)])
def test_the_rule_repeats_its_twin_to_the_last_bit(arms, control, power, share):
    rng, rows = np.random.default_rng(arms), 400
    is_open = rng.random((rows, arms)) < 0.8
    is_open[:, control] = True
    best = rng.dirichlet(np.full(arms, 0.5), rows) + (rng.random((rows, arms)) < 0.2)
    best *= rng.random((rows, arms)) < 0.8
    best[~(best * is_open).any(axis=1)] = 1.0
    look = a_look(FakePosterior(best), is_open, control=control, n_enrolled=rng.integers(0, 101, rows))
    for floor, ceiling in ((0, 1), (0.1, 1), (0.12, 0.6)):
        rule = Thompson(kind="thompson", power=power, control_share=share, floor=floor, ceiling=ceiling)
        np.testing.assert_array_equal(rule.probabilities(look), twin(rule, look))


@pytest.mark.parametrize("share", [None, 0.33, "matched", "square_root"])
@pytest.mark.parametrize("power", [0, 1, "n/2N"])
def test_the_answer_of_the_posterior_is_left_alone(power, share):
    """The posterior of a look remembers it and gives it to others."""

    class Remembering(FakePosterior):
        def prob_best(self, among):
            return self.best

    best = np.array([BEST, [0.0, 1.0, 0.0]])
    look = a_look(Remembering(best), np.ones((2, 3), bool))
    found = Thompson(kind="thompson", power=power, control_share=share, floor=0.2).probabilities(look)
    assert found is not best and best.tolist() == [BEST, [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("k, power", [(0, 0), (1, 0.5), (2, 1)])
def test_each_look_has_its_power(k, power):
    listed = Thompson(kind="thompson", power=[0, 0.5, 1])
    found = listed.probabilities(look_at_best(BEST, k=k, n_looks=3))
    np.testing.assert_array_equal(found, Thompson(kind="thompson", power=power).probabilities(look_at_best(BEST)))


@pytest.mark.parametrize("n_looks, fits", [(3, True), (2, False), (4, False), (0, False), (None, True)])
def test_powers_are_as_many_as_looks(n_looks, fits):
    found = Thompson(kind="thompson", power=[0, 0.5, 1]).problems(setting(3, n_looks))
    assert paths(found) == ([] if fits else [("power",)])
    assert fits or found[0][1] == f"3 powers for {n_looks} looks"


def test_powers_by_look_belong_to_one_number_of_patients():
    assert Thompson(kind="thompson", power=[1, 1]).bound_to_size() == "powers look by look"
    assert Thompson(kind="thompson").bound_to_size() == "power: n/2N"
    assert Thompson(kind="thompson", power=1).bound_to_size() is None
