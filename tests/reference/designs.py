"""The designs on which the engine and the reference must agree: small, and between them every rule of the protocol."""

from __future__ import annotations

import json
import random

DESIGNS: dict[str, str] = {}

DESIGNS["three arms, slow sites, protected control, arms dropped"] = """
title: three arms in slow sites
arms: {placebo: {control: true}, ivig: {}, mycophenolate: {}}
population:
  patients: 48
  accrual: {kind: sites, sites: 6, one_opens_every_months: 2, patients_per_site_month: 0.3}
  dropout: {kind: exponential, proportion: 0.12, by_month: 6}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 6, window_months: 0.5}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 16, every: 8}
allocation: {kind: thompson, power: n/2N, floor: 0.15, control_share: 0.33, realisation: quota, block: 6}
decisions:
  - {kind: drop_arm, margin: 0.10, probability: 0.1503}
  - {kind: efficacy, margin: 0, probability: 0.9603}
  - {kind: futility, margin: 0, probability: 0.2003}
truths:
  one works: {response: {placebo: 0.25, ivig: 0.6, mycophenolate: 0.25}}
simulation: {replicates: 100, seed: 11}
"""

DESIGNS["four arms, fast accrual, matched control, ceiling, arms close with success"] = """
title: four arms, most patients pending at a look
arms: {low: {}, placebo: {control: true}, middle: {}, high: {}}
population:
  patients: 60
  accrual: {kind: poisson, patients_per_month: 8, ramp_up_months: 3}
  dropout: {kind: exponential, proportion: 0.1, by_month: 4}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 2, window_months: 1}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 2}, arm_priors: {high: {alpha: 2, beta: 2}}}}
looks: {kind: enrolled, at: [13, 20, 31, 32, 47, 59]}
allocation: {kind: thompson, power: 0.7, floor: 0.1, ceiling: 0.4, control_share: matched, realisation: independent}
decisions:
  - {kind: efficacy, margin: 0.05, probability: [0.951, 0.931, 0.911, 0.901, 0.881, 0.871, 0.851], then: close_arm}
  - {kind: drop_arm, margin: 0, probability: 0.1003, from_look: 2}
  - {kind: futility, margin: 0.2, probability: [0.0203, 0.0503, 0.1003, 0.1503, 0.2003, 0.2503, 0.3003]}
truths:
  gradient: {response: {low: 0.3, placebo: 0.25, middle: 0.5, high: 0.6}}
simulation: {replicates: 100, seed: 12}
"""

DESIGNS["two arms, harm, looks at outcomes that may never come"] = """
title: two arms, an event that harms, outcomes counted
arms: {drug: {}, standard: {control: true}}
population:
  patients: 40
  accrual: {kind: sites, sites: 3, patients_per_site_month: [0.5, 1.5, 0.2], opens_at_months: [4, 0, 2]}
  dropout: {kind: exponential, proportion: 0.45, by_month: 5}
endpoints: {relapse: {kind: binary, better: lower, assessed_at_month: 5, window_months: 2.5}}
analysis: {relapse: {kind: beta_binomial, prior: {alpha: 2, beta: 1}}}
looks: {kind: assessed, first: 8, every: 5, last: 36}
allocation: {kind: thompson, power: 1, floor: 0.05, ceiling: 0.8}
decisions:
  - {kind: futility, margin: 0.05, probability: 0.1003}
  - {kind: efficacy, margin: 0, probability: 0.9503, from_look: 2}
truths:
  fewer relapses: {relapse: {drug: 0.3, standard: 0.55}}
simulation: {replicates: 100, seed: 13}
"""

DESIGNS["fixed ratio, calendar looks beyond the end, a truth that fades"] = """
title: two to one to one, looks by the calendar
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 45
  accrual: {kind: poisson, patients_per_month: 2.5}
  dropout: {kind: exponential, proportion: 0.2, by_month: 3}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 3}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: calendar, first_month: 0.25, every_months: 2.75, last_month: 25}
allocation: {kind: fixed, ratio: {placebo: 2, a: 1, b: 1.5}, realisation: quota, block: 7}
decisions:
  - {kind: drop_arm, margin: 0.05, probability: 0.1203, from_look: 3}
  - {kind: efficacy, margin: 0, probability: 0.9703}
  - {kind: futility, margin: 0.1, probability: 0.1003}
truths:
  fading: {response: {placebo: {0: 0.5, 6: 0.4, 18: 0.2}, a: {2: 0.4, 10: 0.6}, b: 0.35}}
simulation: {replicates: 100, seed: 14}
"""

DESIGNS["equal, independent, looks at every third patient, immediate outcomes"] = """
title: outcomes on the day of enrolment
arms: {a: {}, b: {}, c: {}, placebo: {control: true}}
population:
  patients: 36
  accrual: {kind: steady, patients_per_month: 3}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 1, every: 3}
allocation: {kind: equal, realisation: independent}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.2003}
  - {kind: futility, margin: 0, probability: 0.3003, from_look: 4}
  - {kind: efficacy, margin: 0, probability: 0.9003, then: close_arm, from_look: 3}
truths:
  mixed: {response: {a: 0.2, b: 0.5, c: 0.7, placebo: 0.3}}
simulation: {replicates: 100, seed: 15}
"""

DESIGNS["rules that contradict each other"] = """
title: futility asks for more than efficacy
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 36
  accrual: {kind: poisson, patients_per_month: 4}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 4, window_months: 4}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, at: [12, 24]}
allocation: {kind: equal, block: 5}
decisions:
  - {kind: efficacy, margin: -0.1, probability: 0.9003, then: close_arm}
  - {kind: efficacy, margin: 0.1, probability: 0.9003, then: stop}
  - {kind: futility, margin: 0.35, probability: 0.4003, from_look: 2}
  - {kind: efficacy, margin: 0, probability: 0.8003, from_look: 2}
truths:
  middling: {response: {placebo: 0.3, a: 0.5, b: 0.35}}
simulation: {replicates: 100, seed: 16}
"""

DESIGNS["mild rules: stops are contradicted by those still followed"] = """
title: stopping early and regretting it
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 60
  accrual: {kind: poisson, patients_per_month: 10}
  dropout: {kind: exponential, proportion: 0.05, by_month: 4}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 4, window_months: 3}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: assessed, at: [6, 12, 20, 30]}
allocation: {kind: thompson, power: 0.5, control_share: square_root, floor: 0.2}
decisions:
  - {kind: efficacy, margin: 0, probability: [0.9003, 0.8503, 0.8503, 0.8503, 0.8003]}
  - {kind: drop_arm, margin: 0, probability: 0.3003}
  - {kind: futility, margin: 0, probability: [0.3003, 0.3503, 0.4003, 0.4003, 0.7003]}
truths:
  modest: {response: {placebo: 0.4, a: 0.5, b: 0.4}}
simulation: {replicates: 100, seed: 17}
"""

DESIGNS["ancova, change from baseline, outcomes counted, square root"] = """
title: a score that should fall, adjusted for its baseline
arms: {placebo: {control: true}, ivig: {}, rituximab: {}}
population:
  patients: 40
  accrual: {kind: poisson, patients_per_month: 1.25, ramp_up_months: 6}
  dropout: {kind: exponential, proportion: 0.25, by_month: 6}
endpoints:
  stiffness:
    kind: continuous
    better: lower
    outcome: change_from_baseline
    assessed_at_month: 6
    window_months: 0.5
    sd: 1.4
    baseline: {mean: 3.8, sd: 1.1, correlation: 0.7}
analysis:
  stiffness: {kind: ancova, sd: 1, sd_patients: 1, prior: {mean: -0.1, patients: 0.1}, slope: {mean: -0.2, patients: 1}}
looks: {kind: assessed, first: 10, every: 7, last: 38}
allocation: {kind: thompson, power: 0.5, floor: 0.15, control_share: square_root, realisation: quota, block: 6}
decisions:
  - {kind: drop_arm, margin: 0.3, probability: 0.12}
  - {kind: efficacy, margin: 0, probability: [0.99, 0.98, 0.97, 0.97, 0.97, 0.96]}
  - {kind: futility, margin: 0, probability: 0.15}
truths:
  early placebo response: {stiffness: {placebo: {0: -0.5, 12: 0.1}, ivig: -0.7, rituximab: {0: -0.5, 12: 0.1}}}
simulation: {replicates: 100, seed: 18}
"""

DESIGNS["ancova, four arms, calendar, matched control, arms close with success"] = """
title: four arms and a baseline
arms: {a: {}, b: {}, placebo: {control: true}, c: {}}
population:
  patients: 44
  accrual: {kind: sites, sites: 4, one_opens_every_months: 1, patients_per_site_month: [2, 0.5, 1, 1]}
  dropout: {kind: exponential, proportion: 0.1, by_month: 3}
endpoints:
  score:
    kind: continuous
    better: higher
    assessed_at_month: 3
    window_months: 2
    sd: {a: 1, b: 1.5, placebo: 0.8, c: 1}
    baseline: {mean: 20, sd: 1, correlation: 0.5}
analysis:
  score:
    kind: ancova
    sd: 1
    sd_patients: 3
    prior: {mean: 0, patients: 0.5}
    arm_priors: {placebo: {mean: 0.1, patients: 4}}
    slope: {mean: 0.5, patients: 2}
looks: {kind: calendar, at_months: [1.1, 4, 6.5, 9, 11.7, 14, 30]}
allocation: {kind: thompson, floor: 0.08, ceiling: 0.45, control_share: matched, realisation: quota}
decisions:
  - {kind: futility, margin: 0.5, probability: 0.05, from_look: 3}
  - {kind: efficacy, margin: 0, probability: 0.96, then: close_arm, from_look: 2}
  - {kind: drop_arm, margin: 0.2, probability: 0.1, from_look: 2}
truths:
  two work: {score: {a: 0.8, b: {0: 1, 8: 0.5}, placebo: 0, c: 0}}
simulation: {replicates: 100, seed: 19}
"""

DESIGNS["normal outcomes, a standard deviation for each arm"] = """
title: arm-specific variances
arms: {a: {}, placebo: {control: true}, b: {}}
population:
  patients: 36
  accrual: {kind: poisson, patients_per_month: 3}
endpoints: {score: {kind: continuous, better: lower, assessed_at_month: 2, sd: {a: 1, placebo: 1, b: 2}}}
analysis: {score: {kind: normal, variance: arm_specific, sd: 1, sd_patients: 2, prior: {mean: 0.2, patients: 1}}}
looks: {kind: enrolled, first: 14, every: 10}
allocation: {kind: thompson, power: 1, floor: 0.2, realisation: independent}
decisions:
  - {kind: efficacy, margin: 0.1, probability: 0.95}
  - {kind: futility, margin: 0.1, probability: 0.3}
truths:
  one works: {score: {a: -1, placebo: 0, b: 0}}
simulation: {replicates: 100, seed: 20}
"""

DESIGNS["normal outcomes, a common variance, a fixed ratio"] = """
title: a fixed ratio
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 42
  accrual: {kind: poisson, patients_per_month: 6}
  dropout: {kind: exponential, proportion: 0.3, by_month: 4}
endpoints: {score: {kind: continuous, better: higher, assessed_at_month: 4, window_months: 1, sd: 1}}
analysis: {score: {kind: normal, variance: common, sd: 1, sd_patients: 2, prior: {mean: 0, patients: 0.2}}}
looks: {kind: assessed, at: [8, 9, 21]}
allocation: {kind: fixed, ratio: {placebo: 3, a: 2, b: 2}, block: 7}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.3}
  - {kind: efficacy, margin: 0, probability: [0.99, 0.99, 0.95, 0.9]}
truths:
  one works: {score: {placebo: 0, a: 0.6, b: -0.2}}
simulation: {replicates: 100, seed: 21}
"""

DESIGNS["slow accrual: often nobody is pending at a look"] = """
title: a look on a day on which nothing happens
arms: {a: {}, b: {control: true}, c: {}}
population:
  patients: 30
  accrual: {kind: poisson, patients_per_month: 0.8}
  dropout: {kind: exponential, proportion: 0.15, by_month: 1}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 0.5, window_months: 0.25}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 0.5, beta: 0.5}}}
looks: {kind: calendar, at_months: [0.5, 7.5, 15, 22.5, 30, 37.5]}
allocation: {kind: thompson, power: 2, control_share: 0.4, floor: 0.1, ceiling: 0.5, realisation: quota, block: 4}
decisions:
  - {kind: efficacy, margin: 0, probability: 0.9503, from_look: 2}
  - {kind: futility, margin: 0, probability: 0.2503, from_look: 2}
truths:
  late effect: {response: {a: {0: 0.3, 24: 0.8}, b: 0.3, c: 0.2}}
simulation: {replicates: 100, seed: 22}
"""

DESIGNS["harm, pruning, Holm's correction, two conditions at once"] = """
title: four doses, of which the best go on
arms: {placebo: {control: true}, a: {}, b: {}, c: {}, d: {}}
population:
  patients: 70
  accrual: {kind: poisson, patients_per_month: 6}
  dropout: {kind: exponential, proportion: 0.1, by_month: 2}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 2, window_months: 0.5}}
analysis:
  response:
    kind: beta_binomial
    prior: {alpha: 1, beta: 1}
    arm_priors: {a: {alpha: 1.11, beta: 1}, b: {alpha: 1, beta: 1.13}, c: {alpha: 1.17, beta: 1.05}}
looks: {kind: enrolled, first: 20, every: 10}
allocation: {kind: thompson, power: 0.5, floor: 0.08, control_share: 0.3}
decisions:
  - {kind: harm, probability: 0.8003}
  - {kind: harm, margin: 0.2, probability: 0.9003, then: stop, from_look: 2}
  - {kind: prune, keep: 3, at_looks: [1]}
  - {kind: prune, keep: 2, from_look: 3}
  - {kind: efficacy, multiplicity: holm, probability: 0.8003, then: close_arm}
  - kind: all_of
    from_look: 2
    rules:
      - {kind: futility, probability: 0.4003}
      - {kind: futility, margin: 0.1, probability: 0.2003, from_look: 3}
truths:
  mixed: {response: {placebo: 0.35, a: 0.1, b: 0.35, c: 0.6, d: 0.65}}
simulation: {replicates: 100, seed: 23}
"""

DESIGNS["not inferior, a threshold with a shape, one of two conditions"] = """
title: not much worse than the standard
arms: {a: {}, standard: {control: true}, b: {}}
population:
  patients: 40
  accrual: {kind: poisson, patients_per_month: 3}
endpoints: {score: {kind: continuous, better: lower, assessed_at_month: 2, sd: 1}}
analysis: {score: {kind: normal, variance: common, sd: 1, sd_patients: 2, prior: {mean: 0.2, patients: 1}}}
looks: {kind: assessed, first: 10, every: 8}
allocation: {kind: equal}
decisions:
  - kind: any_of
    rules:
      - {kind: drop_arm, probability: 0.0503}
      - {kind: drop_arm, margin: -0.2, probability: 0.2003, at_looks: [2, 3]}
  - kind: non_inferiority
    margin: 0.5
    probability: {shape: obrien_fleming, final: 0.9003}
    multiplicity: bonferroni
    then: close_arm
  - {kind: futility, margin: 0, probability: {shape: wang_tsiatis, delta: 0.2, final: 0.2003}}
truths:
  as good: {score: {a: 0.1, standard: 0, b: -0.3}}
simulation: {replicates: 100, seed: 24}
"""

DESIGNS["closed testing, conditions within conditions"] = """
title: three arms against placebo, each closing with success
arms: {a: {}, b: {}, c: {}, placebo: {control: true}}
population:
  patients: 60
  accrual: {kind: poisson, patients_per_month: 5}
  dropout: {kind: exponential, proportion: 0.1, by_month: 3}
endpoints: {score: {kind: continuous, better: higher, assessed_at_month: 3, window_months: 1, sd: 1}}
analysis: {score: {kind: normal, variance: arm_specific, sd: 1, sd_patients: 1, prior: {mean: 0, patients: 0.3}}}
looks: {kind: enrolled, at: [20, 32, 41, 52]}
allocation: {kind: thompson, power: 0.5, floor: 0.15}
decisions:
  - {kind: drop_arm, probability: 0.1003}
  - kind: efficacy
    multiplicity: closed
    probability: {shape: wang_tsiatis, delta: 0.3, final: 0.9003}
    then: close_arm
  - kind: any_of
    rules:
      - {kind: futility, margin: 0.5, probability: 0.1003, from_look: 2}
      - kind: all_of
        rules:
          - {kind: futility, margin: 0, probability: 0.4003}
          - {kind: futility, margin: 0.3, probability: 0.2503, at_looks: [1, 3]}
truths:
  two work: {score: {a: 0.7, b: 0.9, c: 0, placebo: 0}}
simulation: {replicates: 100, seed: 25}
"""
DESIGNS["events that harm, held up until enough is known, enrolment closes"] = """
title: looks at relapses
arms: {drug: {}, standard: {control: true}, other: {}}
population:
  patients: 48
  closes_at_month: 17
  accrual: {kind: poisson, patients_per_month: 2.5}
  dropout: {kind: exponential, proportion: 0.2, by_month: 3}
endpoints: {relapse: {kind: binary, better: lower, assessed_at_month: 3, window_months: 1}}
analysis: {relapse: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: events, first: 2, every: 4, minimum_assessed: 12}
allocation: {kind: thompson, power: 1, floor: 0.1}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.1003}
  - {kind: efficacy, margin: 0, probability: 0.9703, from_look: 2}
  - {kind: futility, margin: 0, probability: 0.1003}
truths:
  fewer relapses: {relapse: {drug: 0.3, standard: 0.5, other: 0.5}}
simulation: {replicates: 100, seed: 31}
"""

DESIGNS["looks for several reasons, enrolment pauses until everybody is assessed"] = """
title: a committee that meets when it must
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 45
  accrual: {kind: sites, sites: 4, one_opens_every_months: 1, patients_per_site_month: 0.8}
  dropout: {kind: exponential, proportion: 0.25, by_month: 4}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 4, window_months: 1}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks:
  kind: several
  of:
    - {kind: enrolled, at: [15, 30, 40]}
    - {kind: calendar, first_month: 6, every_months: 6, last_month: 48}
    - {kind: events, at: [9, 20]}
  pause: until_assessed
  minimum_months: 6.5
  most: 6
allocation: {kind: thompson, power: 0.5, floor: 0.1, control_share: 0.35}
decisions:
  - {kind: drop_arm, margin: 0, probability: [0.0503, 0.1003, 0.1003, 0.1503, 0.1503, 0.2003], from_look: 2}
  - {kind: efficacy, margin: 0, probability: [0.9903, 0.9803, 0.9703, 0.9603, 0.9503, 0.9403, 0.9303]}
truths:
  one works: {response: {placebo: 0.3, a: 0.55, b: 0.3}}
simulation: {replicates: 100, seed: 32}
"""

DESIGNS["enrolment pauses for two months and closes early, normal outcomes"] = """
title: pauses of a stated length
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 40
  closes_at_month: 15.5
  accrual: {kind: poisson, patients_per_month: 3}
  dropout: {kind: exponential, proportion: 0.2, by_month: 3}
endpoints: {score: {kind: continuous, better: lower, assessed_at_month: 3, window_months: 0.5, sd: 1}}
analysis: {score: {kind: normal, variance: common, sd: 1, sd_patients: 2, prior: {mean: 0, patients: 0.5}}}
looks: {kind: assessed, first: 5, every: 6, minimum_assessed: 8, pause: {months: 2}}
allocation: {kind: thompson, power: 1, floor: 0.15, realisation: quota, block: 6}
decisions:
  - {kind: efficacy, margin: 0, probability: 0.9803}
  - {kind: futility, margin: 0, probability: 0.1003, from_look: 2}
truths:
  one works: {score: {placebo: 0, a: -0.7, b: 0}}
simulation: {replicates: 100, seed: 33}
"""

DESIGNS["looks by the calendar, the first few of them, immediate outcomes"] = """
title: steady accrual, dates that coincide
arms: {placebo: {control: true}, a: {}}
population:
  patients: 40
  closes_at_month: 18
  accrual: {kind: steady, patients_per_month: 2}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 0}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks:
  kind: several
  of:
    - {kind: calendar, first_month: 3, every_months: 3, last_month: 17.5}
    - {kind: enrolled, first: 6, every: 6}
  most: 4
  pause: {months: 0.75}
allocation: {kind: equal}
decisions:
  - {kind: efficacy, margin: 0, probability: 0.9603, from_look: 2}
  - {kind: futility, margin: 0, probability: 0.0803}
truths:
  modest: {response: {placebo: 0.4, a: 0.6}}
simulation: {replicates: 100, seed: 34}
"""


def _number(looks: dict, patients: int) -> int:
    """How many looks may fall due."""
    if looks["kind"] == "calendar":
        return len(looks["at_months"])
    return len(looks["at"]) if "at" in looks else len(range(looks["first"], patients, looks["every"]))


def _held_up(
    draw: random.Random, looks: dict, patients: int, per_month: float, month: float, continuous: bool, drifts: bool
) -> tuple[dict, int]:
    """Looks for more than one reason, looks that wait, and pauses; and how many looks there are at most."""
    members = [looks]
    if draw.random() < 0.6:
        kind = draw.choice(["enrolled", "assessed", "calendar", *["events", "events"] * (not continuous)])
        if kind == "calendar":
            step = round(draw.uniform(0.1, 0.4) * patients / per_month, 3)
            members.append({"kind": kind, "at_months": [round(step * (k + 1), 3) for k in range(3)]})
        else:
            members.append({"kind": kind, "first": draw.randint(1, 9), "every": draw.randint(3, 9)})
        if draw.random() < 0.3 and not continuous:
            members = members[1:]
    n_looks = sum(_number(member, patients) for member in members)
    found = {"kind": "several", "of": members} if len(members) > 1 else dict(members[0])
    if draw.random() < 0.4:
        found["minimum_assessed"] = draw.randint(1, patients // 2)
    if draw.random() < 0.3:
        found["minimum_months"] = round(draw.uniform(0.1, 0.3) * patients / per_month, 3)
    if draw.random() < 0.3:
        found["most"] = draw.randint(1, 5)
    if draw.random() < 0.6 and not drifts:
        found["pause"] = draw.choice(["until_assessed", {"months": round(draw.uniform(0.1, 1.5) * (month + 0.5), 3)}])
    return found, min(n_looks, found.get("most", n_looks))


DESIGNS["arms promoted to control, as in adaptr"] = """
title: four treatments in use
arms: {a: {}, b: {control: true}, c: {}, d: {}}
population: {patients: 60, accrual: {kind: poisson, patients_per_month: 6}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 1, window_months: 0.5}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 16, every: 6}
allocation: {kind: thompson, power: 0.5, control_share: square_root, realisation: independent}
decisions:
  - {kind: drop_arm, probability: 0.0703}
  - {kind: promote, probability: 0.8903}
  - {kind: equivalence, margin: 0.12, probability: 0.6103, first_control_only: true}
  - {kind: drop_arm, margin: 0.15, probability: 0.1203, first_control_only: true}
truths:
  gradient: {response: {a: 0.6, b: 0.35, c: 0.75, d: 0.4}}
simulation: {replicates: 100, seed: 23}
"""

DESIGNS["promotion among rules of other kinds, patients pending"] = """
title: everything at once
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 48
  accrual: {kind: poisson, patients_per_month: 5}
  dropout: {kind: exponential, proportion: 0.1, by_month: 3}
endpoints: {response: {kind: binary, better: lower, assessed_at_month: 3, window_months: 1}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: assessed, at: [8, 14, 20, 30, 40]}
allocation: {kind: thompson, power: n/2N, floor: 0.1, control_share: matched}
decisions:
  - {kind: promote, margin: 0.05, probability: [0.8503, 0.8503, 0.8303, 0.8303, 0.8303, 0.8103]}
  - {kind: efficacy, probability: 0.9303, then: close_arm, from_look: 2}
  - {kind: equivalence, margin: 0.2, probability: 0.7503, then: stop, from_look: 2}
  - {kind: drop_arm, margin: 0, probability: 0.1003}
  - {kind: futility, margin: 0, probability: 0.2503}
truths:
  both work: {response: {placebo: 0.7, a: 0.5, b: 0.35}}
simulation: {replicates: 100, seed: 24}
"""

DESIGNS["equals without a control"] = """
title: the best of four equals
arms: {a: {control: true}, b: {}, c: {}, d: {}}
population: {patients: 60, accrual: {kind: steady, patients_per_month: 4}}
endpoints: {score: {kind: continuous, better: higher, assessed_at_month: 1, sd: 2}}
analysis: {score: {kind: normal, variance: plug_in, sd: 1}}
looks: {kind: enrolled, first: 12, every: 8}
allocation: {kind: thompson, power: 0.5, realisation: independent}
decisions:
  - {kind: drop_arm, against: best, control_too: true, probability: 0.0403}
  - {kind: efficacy, against: best, control_too: true, probability: 0.9303}
truths:
  one is better: {score: {a: 0.8, b: 0, c: 1.3, d: 0}}
simulation: {replicates: 100, seed: 25}
"""


DESIGNS["an urn that remembers, arms dropped, most looks between two patients"] = """
title: what each arm is owed
arms: {placebo: {control: true}, a: {}, b: {}, c: {}}
population: {patients: 44, accrual: {kind: poisson, patients_per_month: 3}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 1}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 5, every: 3}
allocation: {kind: thompson, power: 1, control_share: 0.3, realisation: {kind: urn, mass: 2.5}}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.2003}
  - {kind: efficacy, margin: 0, probability: 0.9803}
truths:
  one works: {response: {placebo: 0.3, a: 0.3, b: 0.7, c: 0.4}}
simulation: {replicates: 100, seed: 31}
"""

DESIGNS["a list for each stratum of gad65 and site"] = """
title: stratified quotas
arms: {placebo: {control: true}, a: {}, b: {}}
population:
  patients: 60
  accrual: {kind: sites, sites: 2, patients_per_site_month: [1, 0.5]}
  covariates: {phenotype: {classic: 0.7, limb: 0.2, perm: 0.1}, gad65: {high: 0.6, low: 0.4}}
  dropout: {kind: exponential, proportion: 0.1, by_month: 4}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 3}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: assessed, at: [20, 44]}
allocation:
  kind: fixed
  ratio: {placebo: 2, a: 1, b: 1}
  realisation: {kind: stratified, factors: [site, gad65], block: 5}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.2503}
  - {kind: efficacy, margin: 0, probability: 0.9603}
truths:
  one works: {response: {placebo: 0.3, a: 0.3, b: 0.6}}
simulation: {replicates: 100, seed: 32}
"""

DESIGNS["minimisation with a preferred arm and adaptive targets"] = """
title: minimisation
arms: {a: {}, placebo: {control: true}, b: {}}
population:
  patients: 48
  accrual: {kind: sites, sites: 3, patients_per_site_month: 0.7, one_opens_every_months: 3}
  covariates: {phenotype: {classic: 0.7, limb: 0.2, perm: 0.1}, gad65: {high: 0.6, low: 0.4}}
endpoints: {score: {kind: continuous, better: lower, assessed_at_month: 2, sd: 1.2}}
analysis: {score: {kind: normal, variance: arm_specific, sd: 1.2}}
looks: {kind: enrolled, first: 21, every: 9}
allocation:
  kind: thompson
  power: 1
  floor: 0.1
  realisation: {kind: minimisation, factors: [gad65, phenotype, site], weights: {site: 0.4}, probability: 0.75}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.1003}
  - {kind: efficacy, margin: 0, probability: 0.9803, then: close_arm}
truths:
  one works: {score: {placebo: 3, a: 3, b: 2}}
simulation: {replicates: 100, seed: 33}
"""

DESIGNS["minimisation of the variance, bent, in permuted shares"] = """
title: minimisation with a sharpness
arms: {placebo: {control: true}, a: {}, b: {}, c: {}}
population:
  patients: 40
  accrual: {kind: steady, patients_per_month: 4}
  covariates: {gad65: {high: 0.6, low: 0.4}}
endpoints: {response: {kind: binary, better: lower, assessed_at_month: 0}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 10, every: 5}
allocation:
  kind: thompson
  control_share: matched
  realisation: {kind: minimisation, factors: [gad65, site], sharpness: 0.7, imbalance: variance}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.1503}
  - {kind: efficacy, margin: 0, probability: 0.9703}
truths:
  one works: {response: {placebo: 0.5, a: 0.5, b: 0.2, c: 0.4}}
simulation: {replicates: 100, seed: 34}
"""

DESIGNS["permuted blocks, rounded at each look"] = """
title: whole patients
arms: {placebo: {control: true}, a: {}, b: {}}
population: {patients: 50, accrual: {kind: poisson, patients_per_month: 4}}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 1}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 10, every: 10}
allocation: {kind: thompson, power: 1, floor: 0.1, realisation: permuted_block, block: 5}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.1003}
  - {kind: efficacy, margin: 0, probability: 0.9803}
truths:
  one works: {response: {placebo: 0.3, a: 0.3, b: 0.6}}
simulation: {replicates: 100, seed: 35}
"""


DESIGNS["a platform: one arm by month, one in the place of another, dropout, pauses"] = """
title: arms come and go
arms:
  placebo: {control: true}
  a: {closes: {month: 14}}
  b: {opens: {month: 5}}
  c: {opens: {when_closed: a}}
  d: {opens: {patient: 31}, closes: {when_closed: c}}
population:
  patients: 72
  accrual: {kind: poisson, patients_per_month: 4}
  dropout: {kind: exponential, proportion: 0.1, by_month: 3}
endpoints: {response: {kind: binary, better: higher, assessed_at_month: 2, window_months: 0.5}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}}}
looks: {kind: enrolled, first: 12, every: 8, pause: until_assessed}
allocation: {kind: thompson, power: 1, floor: 0.1, control_share: 0.3, burn_in_per_arm: 5}
decisions:
  - {kind: drop_arm, margin: 0, probability: 0.2503}
  - {kind: efficacy, margin: 0, probability: 0.9603, then: close_arm}
truths:
  one works: {response: {placebo: 0.3, a: 0.3, b: 0.6, c: 0.2, d: 0.5}}
simulation: {replicates: 100, seed: 41}
"""

DESIGNS["a platform with promotion, a common variance, looks by the calendar, drift"] = """
title: the standard moves on
arms:
  a: {}
  standard: {control: true}
  b: {opens: {month: 6}}
  c: {opens: {when_closed: standard}}
population:
  patients: 60
  accrual: {kind: poisson, patients_per_month: 3}
  closes_at_month: 19
endpoints: {score: {kind: continuous, better: lower, assessed_at_month: 1, sd: 1}}
analysis: {score: {kind: normal, variance: common, sd: 1, prior: {mean: 2, patients: 1}}}
looks: {kind: calendar, at_months: [4, 7, 10, 13, 16]}
allocation: {kind: thompson, power: 0.5, floor: 0.1, realisation: independent}
decisions:
  - {kind: promote, margin: 0, probability: 0.9003}
  - {kind: drop_arm, margin: 0, probability: 0.1003}
truths:
  better and better: {score: {standard: {0: 3, 12: 2}, a: {0: 2.4, 12: 1.5}, b: {0: 2.2, 12: 1.2}, c: 1}}
simulation: {replicates: 100, seed: 42}
"""

DESIGNS["a platform whose late arm is compared with all controls, in permuted blocks"] = """
title: all controls
arms:
  placebo: {control: true}
  a: {closes: {patient: 30}}
  b: {opens: {patient: 20}}
population: {patients: 56, accrual: {kind: steady, patients_per_month: 4}}
endpoints: {response: {kind: binary, better: lower, assessed_at_month: 2}}
analysis: {response: {kind: beta_binomial, prior: {alpha: 1, beta: 1}, controls: all}}
looks: {kind: assessed, first: 9, every: 7}
allocation: {kind: fixed, ratio: {placebo: 2, a: 1, b: 1}, realisation: permuted_block, block: 8}
decisions:
  - {kind: futility, margin: 0, probability: 0.1003}
  - {kind: efficacy, margin: 0, probability: 0.9603}
truths:
  fading: {response: {placebo: {0: 0.8, 8: 0.4}, a: {0: 0.7, 8: 0.3}, b: {0: 0.5, 8: 0.2}}}
simulation: {replicates: 100, seed: 43}
"""


def random_platform(seed: int) -> str:
    """A drawn design, in half of them with another randomisation list, whose arms open late and close early."""
    draw = random.Random(20_000 + seed)
    design = json.loads(random_realisation(seed) if draw.random() < 0.5 else random_design(seed))
    arms, population = design["arms"], design["population"]
    patients, accrual = population["patients"], population["accrual"]
    others = [name for name, arm in arms.items() if "control" not in arm]
    per_month = accrual.get("patients_per_month") or sum(accrual["patients_per_site_month"])
    months = min(population.get("closes_at_month", 1e9), 1.2 * patients / per_month)
    design["decisions"] = [rule for rule in design["decisions"] if not rule.get("control_too")]
    promotes = any(rule["kind"] == "promote" for rule in design["decisions"])
    for position, name in enumerate(others):
        waits = [other for other in others[:position] if other != name]
        place, kind = draw.random(), draw.choice(["patient", "month", "when_closed", "when_closed"])
        if position and draw.random() < 0.7:
            opens = {"patient": 1 + int(place * patients), "month": 1e-3 + round(0.99 * place * months, 3)}
            kind = kind if kind != "when_closed" or waits else "month"
            arms[name]["opens"] = {kind: draw.choice(waits) if kind == "when_closed" else opens[kind]}
        if not promotes and draw.random() < 0.4:
            later = place + (1 - place) * draw.random()
            closes = {"patient": 1 + int(later * (patients - 2)), "month": 0.01 + round(later * months, 3)}
            kind = draw.choice(["patient", "month", "when_closed"])
            unit = next(iter(arms[name].get("opens", {})), None)
            if unit == "patient" and kind == "patient":
                closes["patient"] = max(closes["patient"], min(arms[name]["opens"]["patient"], patients - 1))
                if arms[name]["opens"]["patient"] > closes["patient"]:
                    continue
            arms[name]["closes"] = {
                kind: draw.choice([other for other in arms if other != name]) if kind == "when_closed" else closes[kind]
            }
    if not any(key in arm for arm in arms.values() for key in ("opens", "closes")):
        arms[others[-1]]["closes" if len(others) == 1 and not promotes else "opens"] = {"patient": patients // 2}
        if len(others) == 1 and promotes:
            del arms[others[-1]]["opens"]
    analysis = design["analysis"]["outcome"]
    analysis["controls"] = draw.choice(["concurrent", "concurrent", "all"])
    if design["allocation"]["kind"] == "thompson":
        design["allocation"] |= draw.choice([{}, {}, {"burn_in_per_arm": draw.randint(1, 9)}, {"burn_in": 15}])
    return json.dumps(design)


def random_realisation(seed: int) -> str:
    """A drawn design with another randomisation list, and covariates that it may balance."""
    draw = random.Random(10_000 + seed)
    design = json.loads(random_design(seed))
    names = ["first", "second", "third"][: draw.randint(1, 3)]
    parts = {"two": {"a": 0.3, "b": 0.7}, "three": {"a": 0.2, "b": 0.3, "c": 0.5}}
    design["population"]["covariates"] = {name: parts[draw.choice(["two", "three"])] for name in names}
    factors = draw.sample([*names, "site"], draw.randint(1, len(names) + 1))
    block = {} if draw.random() < 0.3 else {"block": draw.choice([1, 2, 5, 6, 11])}
    design["allocation"].pop("block", None)
    design["allocation"]["realisation"] = draw.choice(
        [
            {"kind": "urn", "mass": draw.choice([1, 2, 4.5, 20])},
            {"kind": "permuted_block"} | block,
            {"kind": "stratified", "factors": factors} | block,
            {"kind": "minimisation", "factors": factors, "probability": draw.choice([0.3, 0.8, 1])},
            {
                "kind": "minimisation",
                "factors": factors,
                "sharpness": draw.choice([0, 0.3, 2]),
                "imbalance": "variance",
            },
            {"kind": "minimisation", "factors": factors, "weights": {factors[0]: draw.choice([0.5, 3])}},
        ]
    )
    return json.dumps(design)


def random_design(seed: int) -> str:
    """A design nobody thought of, as YAML (JSON is YAML): every choice is drawn."""
    draw = random.Random(seed)

    arms = ["a", "b", "c", "d"][: draw.choice([2, 3, 3, 4])]
    control = draw.choice(arms)
    patients = draw.randint(12, 44)
    per_month = draw.choice([0.7, 2, 4, 15])
    accrual = draw.choice(
        [
            {"kind": "poisson", "patients_per_month": per_month, "ramp_up_months": draw.choice([0, 4])},
            {"kind": "steady", "patients_per_month": per_month},
            {
                "kind": "sites",
                "sites": 3,
                "patients_per_site_month": [per_month / 2, per_month / 8, per_month / 4],
                "one_opens_every_months": draw.choice([0, 1.5]),
            },
        ]
    )
    population = {"patients": patients, "accrual": accrual}
    if draw.random() < 0.7:
        population["dropout"] = {"kind": "exponential", "proportion": draw.choice([0.1, 0.5]), "by_month": 4}
    month = draw.choice([0, 1, 4, 9])
    continuous = draw.random() < 0.35
    better = draw.choice(["higher", "lower"])
    endpoint = {
        "better": better,
        "assessed_at_month": month,
        "window_months": month * draw.choice([0, 0.2, 1]),
    }
    if continuous:
        endpoint |= {"kind": "continuous", "sd": 1.0, "baseline": {"mean": 4, "sd": 1.0, "correlation": 0.6}}
        analysis = {"sd": 1.0, "sd_patients": 2, "prior": {"mean": 0, "patients": 0.5}}
        analysis |= draw.choice(
            [
                {"kind": "ancova", "slope": {"mean": 0, "patients": 1}},
                {"kind": "normal", "variance": draw.choice(["known", "common", "arm_specific"])},
            ]
        )
        truth = {arm: draw.uniform(-0.8, 0.8) for arm in arms}
        unit = 0.5
    else:
        endpoint |= {"kind": "binary"}
        analysis = {
            "kind": "beta_binomial",
            "prior": {"alpha": draw.choice([1, 2]), "beta": draw.choice([1, 3])},
        }
        truth = {arm: draw.choice([draw.random(), {0: draw.random(), 5: draw.random()}]) for arm in arms}
        unit = 0.15
    looks = draw.choice(
        [
            {"kind": draw.choice(["enrolled", "assessed"]), "first": draw.randint(1, 9), "every": draw.randint(3, 9)},
            {
                "kind": draw.choice(["enrolled", "assessed"]),
                "at": sorted(draw.sample(range(1, patients), draw.randint(1, 4))),
            },
            {
                "kind": "calendar",
                "at_months": sorted(round(draw.uniform(0.01, 1.3 * patients / per_month), 3) for _ in range(3)),
            },
        ]
    )
    n_looks = _number(looks, patients)
    if draw.random() < 0.5:
        drifts = any(isinstance(course, dict) for course in truth.values())
        looks, n_looks = _held_up(draw, looks, patients, per_month, month, continuous, drifts)
        if draw.random() < 0.4:
            closes = draw.uniform(0.4, 1.6) * patients / per_month + 4 / per_month + 2
            months = [m for each in looks.get("of", [looks]) for m in each.get("at_months", [])]
            population["closes_at_month"] = round(max(closes, max(months, default=0) - month + 0.1), 3)
    k = len(arms)
    realised = {"realisation": draw.choice(["quota", "quota", "independent"])}
    if draw.random() < 0.5:
        realised["block"] = draw.choice([1, 2, 5, 6, 11, 50])
    share = draw.choice([None, "matched", "square_root", 0.3])
    allocation = draw.choice(
        [
            {"kind": "equal"},
            {"kind": "fixed", "ratio": {arm: draw.choice([1, 2, 2.5]) for arm in arms}},
            *[
                {
                    "kind": "thompson",
                    "power": draw.choice(["n/2N", 0, 0.5, 1, 3]),
                    "floor": draw.choice([0, 0.05, 0.6 / k]),
                    "ceiling": draw.choice([1.0, 1.3 / k if share in (None, "matched") else 0.8]),
                }
                | ({} if share is None else {"control_share": share})
            ]
            * 3,
        ]
    )
    rules = []
    for kind in draw.choices(["drop_arm", "efficacy", "efficacy", "futility"], k=draw.randint(1, 4)):
        low, high = (0.75, 0.98) if kind == "efficacy" else (0.03, 0.35)
        rule = {"kind": kind, "margin": draw.choice([0, 0, unit, -unit]), "probability": odd(draw, low, high)}
        if draw.random() < 0.3:
            number = n_looks + (kind != "drop_arm")
            rule["probability"] = [odd(draw, low, high) for _ in range(number)]
        if draw.random() < 0.3:
            rule["from_look"] = draw.randint(1, n_looks)
        if kind == "efficacy" and draw.random() < 0.5:
            rule["then"] = "close_arm"
        rules.append(rule)
    rules += more_rules(random.Random(seed + 1_000_000), unit)
    return json.dumps(
        {
            "title": f"drawn with seed {seed}",
            "arms": {arm: {"control": True} if arm == control else {} for arm in arms},
            "population": population,
            "endpoints": {"outcome": endpoint},
            "analysis": {"outcome": analysis},
            "looks": looks,
            "allocation": allocation | realised,
            "decisions": rules,
            "truths": {"drawn": {"outcome": truth}},
            "simulation": {"replicates": 100, "seed": seed},
        }
    )


def more_rules(draw: random.Random, unit: float) -> list[dict[str, object]]:
    """In some designs, rules by which the control may change, or arms close that make no difference."""
    rules: list[dict[str, object]] = []
    first = {"first_control_only": draw.random() < 0.5}
    if draw.random() < 0.4:
        rules.append({"kind": "promote", "margin": draw.choice([0, 0, -unit]), "probability": odd(draw, 0.75, 0.95)})
    if draw.random() < 0.3:
        then = draw.choice(["close_arm", "stop"])
        rules.append({"kind": "equivalence", "margin": unit, "probability": odd(draw, 0.4, 0.8), "then": then} | first)
    if draw.random() < 0.2:
        rules.append({"kind": "drop_arm", "margin": unit, "probability": odd(draw, 0.1, 0.3)} | first)
    if draw.random() < 0.2:
        everyone = {"against": "best", "control_too": draw.random() < 0.5}
        rules.append({"kind": "drop_arm", "probability": odd(draw, 0.02, 0.2)} | everyone)
        rules.append({"kind": "efficacy", "probability": odd(draw, 0.8, 0.95)} | everyone)
    return rules


def odd(draw: random.Random, low: float, high: float) -> float:
    """A number that no posterior probability hits exactly."""
    return round(draw.uniform(low, high), 4) + 1.3e-5
