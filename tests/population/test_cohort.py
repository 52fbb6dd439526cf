"""The patients of a block: who gets which stream, and what stays when something else changes."""

import numpy as np
import pytest

from sps_adaptive.endpoints import Binary, Continuous
from sps_adaptive.population import Exponential, Sites
from sps_adaptive.population.cohort import Population
from sps_adaptive.streams import Stream, uniforms

SITES = Sites(kind="sites", sites=4, one_opens_every_months=2, patients_per_site_month=[0.1, 0.2, 0.3, 0.4])
LEAVING = Exponential(kind="exponential", proportion=0.2, by_month=6)
VISITED = Binary(kind="binary", better="higher", assessed_at_month=6, window_months=0.5)
PLAIN = Binary(kind="binary", better="higher", assessed_at_month=6)
SCORE = Continuous(
    kind="continuous",
    better="lower",
    assessed_at_month=6,
    sd=1.4,
    window_months=0.5,
    baseline={"mean": 4, "sd": 1, "correlation": 0.5},
)


def population(patients=30, dropout=LEAVING):
    return Population(patients=patients, accrual=SITES, dropout=dropout)


def drawn(cohort):
    """Every array of a cohort by name."""
    luck = {f"u_outcome.{name}": u for name, u in cohort.u_outcome.items()}
    return {name: values for name, values in cohort._asdict().items() if name not in ("u_outcome", "site_score")} | luck


def test_every_array_has_the_shape_that_the_contract_states():
    cohort = population().draw(1, 0, 7, {"response": VISITED, "score": SCORE})
    for name, values in drawn(cohort).items():
        expected = (7, 30, 1) if name.startswith(("covariates", "u_outcome")) else (7, 30)
        expected = (7, 30, 0) if name == "strata" else expected
        assert values.shape == expected, name
        assert values.dtype == {"site": np.int64, "strata": np.int16}.get(name, np.float64), name
    assert set(cohort.u_outcome) == {"response", "score"}


COVARIATES = {"gad65": {"high": 0.6, "low": 0.4}, "phenotype": {"classic": 0.7, "limb": 0.2, "perm": 0.1}}


def with_covariates(covariates, patients=30):
    return Population(patients=patients, accrual=SITES, dropout=LEAVING, covariates=covariates)


def test_levels_have_their_prevalences_and_covariates_and_sites_are_independent():
    cohort = with_covariates(COVARIATES).draw(1, 0, 2000, {"response": VISITED})
    assert cohort.strata.shape == (2000, 30, 2)
    number = 2000 * 30
    for factor, levels in enumerate(COVARIATES.values()):
        for level, share in enumerate(levels.values()):
            here = cohort.strata[:, :, factor] == level
            assert abs(here.mean() - share) < 4 * np.sqrt(share * (1 - share) / number)
    for one, other in ((cohort.strata[..., 0], cohort.strata[..., 1]), (cohort.strata[..., 0], cohort.site)):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(number)


def test_each_covariate_has_a_stream_of_its_own_and_changes_nothing_else():
    without = population().draw(1, 0, 50, {"response": VISITED})
    cohort = with_covariates(COVARIATES).draw(1, 0, 50, {"response": VISITED})
    for name, values in drawn(without).items():
        if name != "strata":
            np.testing.assert_array_equal(drawn(cohort)[name], values)
    u = uniforms(1, Stream.COVARIATE, 0, 50, 30, 1)
    np.testing.assert_array_equal(cohort.strata[:, :, 1], (u >= 0.7).astype(int) + (u >= 0.7 + 0.2))
    first = with_covariates({"gad65": COVARIATES["gad65"]}).draw(1, 0, 50, {"response": VISITED})
    np.testing.assert_array_equal(first.strata[:, :, 0], cohort.strata[:, :, 0])
    few = with_covariates(COVARIATES, 10).draw(1, 0, 50, {"response": VISITED})
    np.testing.assert_array_equal(few.strata, cohort.strata[:, :10])


def test_factors_are_the_covariates_and_then_the_site():
    assert with_covariates(COVARIATES).factors() == {"gad65": 2, "phenotype": 3, "site": 4}
    assert list(population().factors()) == ["site"]


def test_covariates_that_cannot_be():
    wrong = with_covariates({"gad65": {"high": 0.6, "low": 0.5}, "site": {"here": 0.5, "there": 0.5}})
    assert [path for path, _, _ in wrong.covariate_problems()] == [("gad65",), ("site",)]
    assert "sum to 1.1, not to 1" in wrong.covariate_problems()[0][1]
    thirds = with_covariates({"region": {"north": 1 / 3, "south": 1 / 3, "east": 1 / 3}})
    assert thirds.covariate_problems() == []


def test_more_patients_keep_the_earlier_ones():
    few = drawn(population(12).draw(1, 0, 50, {"score": SCORE}))
    many = drawn(population(30).draw(1, 0, 50, {"score": SCORE}))
    for name, values in few.items():
        np.testing.assert_array_equal(many[name][:, :12], values, err_msg=name)


def test_the_same_address_gives_the_same_patients_and_another_block_or_seed_others():
    def draw(seed, block):
        return drawn(population().draw(seed, block, 20, {"score": SCORE}))

    first = draw(1, 0)
    for name, values in draw(1, 0).items():
        np.testing.assert_array_equal(values, first[name], err_msg=name)
    for other in (draw(1, 1), draw(2, 0)):
        for name, values in other.items():
            if name != "strata":  # there are none
                assert (values != first[name]).mean() > (0.5 if name == "site" else 0.999), name


@pytest.mark.parametrize("dropout", [None, LEAVING])
@pytest.mark.parametrize("endpoint", [PLAIN, VISITED, SCORE])
def test_what_is_not_needed_changes_nothing_else(dropout, endpoint):
    cohort = population(dropout=dropout).draw(5, 3, 9, {"it": endpoint})
    shape = (9, 30)
    for name, stream in {"u_arm": Stream.ARM, "u_block": Stream.BLOCK}.items():
        np.testing.assert_array_equal(getattr(cohort, name), uniforms(5, stream, 3, *shape))
    np.testing.assert_array_equal(cohort.u_outcome["it"][..., 0], uniforms(5, Stream.OUTCOME, 3, *shape))
    if endpoint.window_months:
        np.testing.assert_array_equal(cohort.u_visit, uniforms(5, Stream.VISIT, 3, *shape))
    else:
        assert (cohort.u_visit == 0.5).all()  # the planned day itself
    assert cohort.covariates.any() == (endpoint is SCORE)
    assert np.isfinite(cohort.dropout_at).all() == (dropout is not None)


def test_each_endpoint_has_luck_of_its_own_in_the_order_of_the_file():
    cohort = population().draw(5, 3, 9, {"b": PLAIN, "a": PLAIN})
    np.testing.assert_array_equal(cohort.u_outcome["b"][..., 0], uniforms(5, Stream.OUTCOME, 3, 9, 30, 0))
    np.testing.assert_array_equal(cohort.u_outcome["a"][..., 0], uniforms(5, Stream.OUTCOME, 3, 9, 30, 1))


def test_nobody_leaves_before_being_enrolled():
    cohort = population().draw(1, 0, 500, {"it": PLAIN})
    assert (cohort.dropout_at >= cohort.enrolled_at).all()
    nobody = population(dropout=Exponential(kind="exponential", proportion=0, by_month=6)).draw(1, 0, 5, {"it": PLAIN})
    assert np.isposinf(nobody.dropout_at).all()


def test_baseline_scores_are_standard_normal():
    """Mean and variance of 60,000 scores within 4 SEs of 1 / sqrt(n) and sqrt(2 / n)."""
    z = population().draw(1, 0, 2000, {"score": SCORE}).covariates
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.size)
