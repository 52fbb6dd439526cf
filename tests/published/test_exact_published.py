"""Published designs, computed by summing over their paths: Simon, Lee and Liu, Schmidli and others, Fisher's test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy.stats import beta, binom

from sps_adaptive.characteristics.exact import exact_characteristics
from sps_adaptive.contracts import Design, Look, Stop, Verdict
from sps_adaptive.exact.backward import Table, predictive
from sps_adaptive.exact.binding import designs
from sps_adaptive.exact.calendar import Course, course
from sps_adaptive.exact.posterior import counts
from sps_adaptive.exact.recursion import walk
from tests.analytic.helpers import scenario


def published(name: str) -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "data" / f"{name}.json").read_text(encoding="utf-8"))


SIMON, LEE_LIU = published("simon1989_clinfun"), published("lee_liu_2008")
SCHMIDLI = published("schmidli2014_table2")

# ------------------------------------------------------------------------------------------------- one arm


class Everybody:
    """Gives every patient to arm 1, and none to arm 0: a trial of one arm."""

    learns: ClassVar[bool] = False

    def start(self, is_open, control):
        return np.tile([0.0, 1.0], (len(is_open), 1))

    def probabilities(self, look):
        return self.start(look.is_open, look.control)

    def block_length(self, n_arms):
        return 0


class OneArm:
    """Stops for futility at looks, and declares arm 1 effective at the end, by its outcomes and responders alone."""

    at_final: ClassVar[bool] = True
    reason: ClassVar[Stop] = Stop.FUTILITY

    def __init__(self, stops, succeeds) -> None:
        self.stops, self.succeeds = stops, succeeds

    def applies(self, look: Look) -> bool:
        return True

    def verdict(self, look: Look) -> Verdict:
        known, responders = (each[:, 1] for each in look.posterior.counts())
        silent = Verdict.silent(look)
        if look.is_final:
            claim = np.stack([np.zeros(len(known), bool), self.succeeds(known, responders)], axis=1)
            return silent._replace(claim=claim)
        stop = np.where(self.stops(look.k, known, responders), Stop.FUTILITY, Stop.NO)
        return silent._replace(stop=stop.astype(np.int8))


def one_arm(patients: int, at: list[int], stops, succeeds, prior=(1.0, 1.0)) -> tuple[Design, Course]:
    case = scenario(
        population=patients,
        looks={"kind": "enrolled", "at": at},
        analysis={"y": {"kind": "beta_binomial", "prior": {"alpha": prior[0], "beta": prior[1]}}},
        decisions=[],
        truths={"truth": {"y": {"nobody": 0.5, "arm": 0.5}}},
    )
    design = case.designs()["adaptive"]
    return design._replace(allocation=Everybody(), decisions=(OneArm(stops, succeeds),)), course(case)


def figures(design: Design, when: Course, rate: float) -> dict[str, float]:
    """Probability of success and of stopping at a look, and mean number of patients."""
    found = {"total": 0.0, "success": 0.0, "stopped": 0.0, "patients": 0.0}
    for ending in walk(design, when):
        known, responders = (each[:, 1] for each in counts(ending.batch.rows()))
        assert (known == ending.enrolled).all()
        p = ending.weight * rate**responders * (1 - rate) ** (known - responders)
        found["total"] += p.sum()
        found["success"] += p @ ending.is_claimed[:, 1]
        found["stopped"] += p.sum() * (ending.end.look > 0)
        found["patients"] += p.sum() * ending.enrolled
    return found


SIMON_DESIGNS = [
    (number, kind, row)
    for number in (1, 2)
    for kind in ("minimax", "optimal", "admissible")
    for row in (
        SIMON["expected"][f"d{number}"][kind] if kind == "admissible" else [SIMON["expected"][f"d{number}"][kind]]
    )
]


@pytest.mark.parametrize(("number", "kind", "row"), SIMON_DESIGNS)
def test_simon_two_stage_designs(number, kind, row):
    inputs = SIMON["inputs"]["designs"][number - 1]
    r1, n1, r, n, expected_n, stop_early = row
    design, when = one_arm(n, [n1], lambda k, known, s: s <= r1, lambda known, s: s > r)
    null, works = (figures(design, when, inputs[p]) for p in ("p0", "p1"))
    assert null["total"] == pytest.approx(1, abs=1e-13)
    assert null["patients"] == pytest.approx(expected_n, abs=1e-5)
    assert null["stopped"] == pytest.approx(stop_early, abs=1e-7)
    assert null["success"] <= inputs["alpha"]
    assert works["success"] >= 1 - inputs["beta"]
    for p, found in ((inputs["p0"], null), (inputs["p1"], works)):
        first = np.arange(r1 + 1, n1 + 1)
        rejects = binom.pmf(first, n1, p) @ binom.sf(r - first, n - n1, p)
        assert found["success"] == pytest.approx(rejects, abs=1e-13)


# ------------------------------------------------------------------------------------------------ Lee and Liu


def lee_liu(inputs: dict[str, Any], at: list[int]) -> tuple[Design, Course, dict[int, Table]]:
    """The design and its predictive probabilities, before anything stops it."""
    a, b = inputs["prior"]

    def succeeds(known, s):
        return beta.sf(inputs["p0"], a + s, b + known - s) > inputs["thetaT"]

    design, when = one_arm(inputs["Nmax"], at, lambda k, known, s: s < 0, succeeds, (a, b))
    return design, when, predictive(design, when, (True, True))


def value(table: Table, responders: np.ndarray) -> np.ndarray:
    s = np.atleast_1d(responders)
    nobody = np.zeros(len(s), int)
    known = np.full(len(s), table.where.total)
    return table.at(np.stack([nobody, known], axis=1), np.stack([nobody, s], axis=1))[:, 1]


def test_lee_liu_example():
    inputs = LEE_LIU["inputs"]["example"]
    a, b = inputs["prior"]
    n, x = inputs["n"], inputs["x"]
    for at in ([n], list(range(n, inputs["Nmax"]))):  # looks in between, at which nothing happens, do not matter
        found = value(lee_liu(inputs, at)[2][0], x)[0]
        assert found == pytest.approx(LEE_LIU["expected"]["PP"], abs=6e-8)
    assert beta.sf(inputs["p0"], a + x, b + n - x) == pytest.approx(LEE_LIU["expected"]["post"], abs=6e-8)


def test_lee_liu_design():
    inputs, expected = LEE_LIU["inputs"]["design"], LEE_LIU["expected"]["design"]
    at = list(range(inputs["first_look"], inputs["Nmax"], inputs["look_every"]))
    plain, when, tables = lee_liu(inputs, at)
    rule = plain.decisions[0]
    regions = dict((n, r) for r, n in expected["reject_if_le"])
    for k, n in enumerate(at):
        hopeless = value(tables[k], np.arange(n + 1)) < inputs["thetaL"]
        most = max(r for m, r in regions.items() if m <= n)
        np.testing.assert_array_equal(hopeless, np.arange(n + 1) <= most)
    assert not rule.succeeds(inputs["Nmax"], regions[inputs["Nmax"]])
    assert rule.succeeds(inputs["Nmax"], regions[inputs["Nmax"]] + 1)

    stopping = OneArm(lambda k, known, s: value(tables[k], s) < inputs["thetaL"], rule.succeeds)
    design = plain._replace(decisions=(stopping,))
    null, works = (figures(design, when, inputs[p]) for p in ("p0", "p1"))
    found = {
        "alpha": null["success"],
        "power": works["success"],
        "PET_p0": null["stopped"],
        "EN_p0": null["patients"],
    }
    for figure, each in found.items():
        assert each == pytest.approx(expected["computed"][figure], abs=6e-7 if figure == "EN_p0" else 6e-8)
        printed = expected["printed"][figure]
        assert round(each, len(str(printed).partition(".")[2])) == printed


# ---------------------------------------------------------------------------------------------- Schmidli et al.


@pytest.mark.parametrize("prior", ["uniform", "beta"])
def test_schmidli_table_2(prior):
    inputs, given = SCHMIDLI["inputs"], SCHMIDLI["inputs"]["designs"][prior]
    treated, controls = inputs["n_treat"], given["n_control"]
    truths = {
        f"{p_c} {delta}": {"y": {"control": p_c, "treatment": round(p_c + delta, 10)}}
        for delta in inputs["delta"]
        for p_c in inputs["p_c"]
    }
    case = scenario(
        population=treated + controls,
        allocation={
            "kind": "fixed",
            "ratio": {"control": controls, "treatment": treated},
            "block": 3 if controls < treated else 2,
        },
        analysis={
            "y": {
                "kind": "beta_binomial",
                "prior": dict(zip(("alpha", "beta"), inputs["treat_prior"], strict=True)),
                "arm_priors": {"control": dict(zip(("alpha", "beta"), given["control_prior"], strict=True))},
            }
        },
        decisions=[{"kind": "efficacy", "probability": 0.975}],
        truths=truths,
    )
    frame = exact_characteristics(case)
    claimed = frame[(frame["design"] == "adaptive") & (frame["metric"] == "claimed")]
    found = 100 * claimed.set_index("truth")["estimate"].loc[list(truths)].to_numpy()
    table = SCHMIDLI["expected_percent"]
    np.testing.assert_allclose(found, [*table[f"{prior}_delta0"], *table[f"{prior}_delta03"]], rtol=0, atol=0.7)
    np.testing.assert_allclose(found, SCHMIDLI["computed_percent"][prior], rtol=0, atol=0.0051)
    patients = frame[(frame["design"] == "adaptive") & (frame["metric"] == "patients") & (frame["arm"] != "")]
    assert set(zip(patients["arm"], patients["estimate"].round(9), strict=True)) == {
        ("control", controls),
        ("treatment", treated),
    }


# ---------------------------------------------------------------------------------------------- Fisher's test


@pytest.mark.parametrize("row", SIMON["expected"]["fisher"])
def test_power_of_fishers_test(row):
    """The conditional test of a fixed equal design is Fisher's; clinfun has the exact power of both sides together."""
    n, power = row
    inputs = SIMON["inputs"]["fisher"]
    case = scenario(
        population=2 * n,
        decisions=[{"kind": "efficacy", "test": "conditional", "probability": 1 - inputs["alpha_two_sided"] / 2}],
        truths={"truth": {"y": {"control": inputs["p1"], "active": inputs["p2"]}}},
    )
    design = designs(case)["adaptive"]
    found = 0.0
    for ending in walk(design, course(case, design)):
        known, responders = counts(ending.batch.rows())
        for rates in ((inputs["p1"], inputs["p2"]), (inputs["p2"], inputs["p1"])):
            p = np.array(rates)
            likelihood = np.prod(p**responders * (1 - p) ** (known - responders), axis=1)
            found += (ending.weight * likelihood) @ ending.is_claimed[:, 1]
    assert found == pytest.approx(power, abs=6e-8)
