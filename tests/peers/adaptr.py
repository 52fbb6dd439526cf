"""Designs of adaptr 1.4.0 (Granholm et al. 2022), said in a scenario.

adaptr's last look is a look with all its rules and no final analysis follows: so the scenario has one patient more than
the trial, whom nobody looks at. Patients are known by their number: one a month, and a lag of n patients is an
assessment n months later. Its rules with a common control are, in this order: `drop_arm` (inferiority), `promote`
(superiority), `equivalence`, `drop_arm` with a margin (futility); without a control: `drop_arm` and `efficacy` against
the best, the control too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sps_adaptive.scenario import Scenario

DATA = Path(__file__).parent / "data"

INFERIORITY, SUPERIORITY, EQUIVALENCE, FUTILITY = 1, 2, 3, 4
"""Places of the rules in a design with a control."""


def stored(name: str) -> Any:
    return json.loads((DATA / f"adaptr_{name}.json").read_text(encoding="utf-8"))


def decisions(design: dict[str, Any]) -> list[dict[str, Any]]:
    inferior, superior = design["inferiority"], design["superiority"]
    if design["control"] is None:
        everyone = {"against": "best", "control_too": True}
        return [
            {"kind": "drop_arm", "probability": inferior, **everyone},
            {"kind": "efficacy", "probability": superior, **everyone},
        ]
    rules: list[dict[str, Any]] = [
        {"kind": "drop_arm", "probability": inferior},
        {"kind": "promote", "probability": superior},
    ]
    if design["equivalence_prob"]:
        rules.append(
            {
                "kind": "equivalence",
                "margin": design["equivalence_diff"],
                "probability": design["equivalence_prob"],
                "first_control_only": design["equivalence_only_first"],
            }
        )
    if design["futility_prob"]:
        rules.append(
            {
                "kind": "drop_arm",
                "margin": design["futility_diff"],
                "probability": 1 - design["futility_prob"],
                "first_control_only": design["futility_only_first"],
            }
        )
    return rules


def allocation(design: dict[str, Any]) -> dict[str, Any]:
    if None not in design["fixed_probs"]:
        return {"kind": "equal", "realisation": "independent"}
    rule = {"kind": "thompson", "power": design["soften_power"][0], "realisation": "independent"}
    return rule | ({"control_share": "square_root"} if design["control_prob_fixed"] else {})


def scenario(design: dict[str, Any]) -> Scenario:
    """The scenario that says the same; the first arm is called the control where adaptr has none."""
    arms, looks = design["arms"], design["data_looks"]
    lag = design["randomised_at_looks"][0] - looks[0]
    control = design["control"] or arms[0]
    endpoint: dict[str, Any] = {"kind": "binary"}
    analysis: dict[str, Any] = {"kind": "beta_binomial"}
    if design["outcome"] == "normal":
        endpoint = {"kind": "continuous", "sd": dict(zip(arms, design["sds"], strict=True))}
        analysis = {"kind": "normal", "variance": "plug_in", "sd": design["sds"][0]}
    return Scenario.model_validate(
        {
            "title": "a design of adaptr",
            "arms": {arm: {"control": arm == control} for arm in arms},
            "population": {"patients": looks[-1] + 1, "accrual": {"kind": "steady", "patients_per_month": 1}},
            # Half a month more than the lag: the last of the patients randomised by a look comes before it.
            "endpoints": {"y": endpoint | {"better": "higher", "assessed_at_month": lag + 0.5 if lag else 0}},
            "analysis": {"y": analysis},
            "looks": {"kind": "assessed" if lag else "enrolled", "at": looks},
            "allocation": allocation(design),
            "decisions": decisions(design),
            "truths": {"truth": {"y": dict(zip(arms, design["true_ys"], strict=True))}},
        }
    ).checked()
