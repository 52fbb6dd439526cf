"""Trials with several visits, and what matrix algebra says of one of them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from scipy.stats import qmc

from sps_adaptive.contracts import AnalysisSetting, Snapshot


def setting(arms=("placebo", "low", "high"), better="higher", baseline=True):
    return AnalysisSetting(
        tuple(arms),
        better == "higher",
        endpoint=SimpleNamespace(better=better),
        baseline=(0.0, 1.0) if baseline else None,
    )


def snapshot(arm, value, x=None, n_arms=3):
    """A snapshot of R replicates; a visit that is NaN is not known, an arm of -1 not enrolled. Values are oriented."""
    arm, value = np.asarray(arm), np.asarray(value, float)
    known = ~np.isnan(value) & (arm >= 0)[..., None]
    value = np.where(known, value, np.nan)
    on, last = arm[:, :, None] == np.arange(n_arms), known[..., -1]
    x = np.zeros(arm.shape) if x is None else np.asarray(x, float)
    pending = (on & ~last[..., None]).sum(axis=1)
    return Snapshot(
        day=np.zeros(len(arm)),
        arm=arm,
        known=known,
        value=value,
        covariates=x[:, :, None],
        n_pending=pending.sum(axis=1),
        arm_pending=pending,
        arm_enrolled=on.sum(axis=1),
        arm_known=(on & last[..., None]).sum(axis=1),
        arm_total=np.where(on & last[..., None], value[..., -1:], 0.0).sum(axis=1),
    )


def autoregressive(visits, correlation=0.7):
    return correlation ** np.abs(np.subtract.outer(np.arange(visits), np.arange(visits)))


def trials(rng, replicates, patients, visits, n_arms=3, *, effect=0.0, leave=0.1, scale=1.0, mean=0.0):
    """Scores that depend on the baseline and on each other; who did badly leaves more often (missing at random)."""
    arm = rng.permuted(np.tile(np.arange(patients) % n_arms, (replicates, 1)), axis=1)
    x = rng.normal(size=arm.shape)
    noise = rng.normal(size=(*arm.shape, visits)) @ np.linalg.cholesky(autoregressive(visits)).T
    rise = np.arange(1, visits + 1) / visits
    value = mean + scale * (effect * arm[..., None] * rise + 0.5 * x[..., None] + noise)
    stays = np.ones(arm.shape, bool)
    for visit in range(visits):
        seen = (value[..., visit - 1] - mean) / scale if visit else x
        chance = 1 / (1 + (1 - leave) / leave * np.exp(0.8 * seen)) if leave else np.zeros(arm.shape)
        stays &= rng.random(arm.shape) >= chance
        value[~stays, visit] = np.nan
    return arm, value, x


def regressions(arm, value, x, *, sd, correlation, sd_patients, mean, patients, slope_patients, n_arms=3):
    """The posterior of each visit's regression, from a design matrix with rows for the prior: (mean, factor, a, b).

    The inverse-Wishart prior is worth rows of its Cholesky factor. Coefficients: arms, covariate, earlier visits.
    """
    visits = value.shape[1]
    guess = np.full((visits, visits), correlation) + (1 - correlation) * np.eye(visits)
    scatter = np.linalg.cholesky(sd_patients * sd**2 * guess).T  # its rows are as many made-up patients
    answer = []
    for t in range(visits):
        seen = ~np.isnan(value[:, t]) & (arm >= 0)
        design = np.column_stack([arm[seen, None] == np.arange(n_arms), x[seen], value[seen, :t]])
        y = value[seen, t]
        zero = np.zeros((visits, n_arms + 1))
        prior = [np.column_stack([zero, scatter[:, :t]])]
        made_up = [scatter[:, t]]
        arms = np.column_stack([np.eye(n_arms), np.zeros(n_arms), np.full((n_arms, t), mean)])
        prior.append(np.sqrt(patients) * arms)
        made_up.append(np.sqrt(patients) * np.full(n_arms, mean))
        prior.append(np.sqrt(slope_patients) * np.eye(n_arms + 1 + t)[[n_arms]])
        made_up.append(np.zeros(1))
        whole, response = np.vstack([design, *prior]).astype(float), np.concatenate([y, *made_up])
        precision = whole.T @ whole
        location = np.linalg.solve(precision, whole.T @ response)
        rest = response - whole @ location
        flat = len(set(arm[seen])) if patients == 0 else 0
        answer.append((location, np.linalg.inv(precision), (sd_patients + t + len(y) - flat) / 2, rest @ rest / 2))
    return answer


def by_paths(fits, first, second, n_arms=3, power=16, by=0.0):
    """P(first - second > by) at the last visit: each visit's difference given the earlier ones is Student-t."""
    from scipy.special import stdtr, stdtrit

    visits, c = len(fits), np.zeros(n_arms)
    c[first], c[second] = 1, -1
    points = qmc.Sobol(max(visits - 1, 1), scramble=True, rng=5).random_base2(power)
    points = np.clip(np.concatenate([points, 1 - points]), 1e-13, 1 - 1e-13)
    path = np.zeros((len(points), visits))
    for t, (location, factor, a, b) in enumerate(fits):
        row = np.column_stack([np.tile(c, (len(points), 1)), np.zeros(len(points)), path[:, :t]])
        spread = np.sqrt(b / a * np.einsum("ij,jk,ik->i", row, factor, row))
        if t < visits - 1:
            path[:, t] = row @ location + spread * stdtrit(2 * a, points[:, t])
    return float(stdtr(2 * a, (row @ location - by) / spread).mean())


def by_coefficients(fits, first, second, n_arms=3, power=16, by=0.0):
    """P(first - second > by) at the last visit: coefficients at Sobol points, the last step integrated."""
    from scipy.special import gammaincinv, ndtri, stdtr

    visits, c = len(fits), np.zeros(n_arms)
    c[first], c[second] = 1, -1
    dimensions = sum(len(fit[0]) + 1 for fit in fits[:-1])
    points = qmc.Sobol(max(dimensions, 1), scramble=True, rng=5).random_base2(power)
    points = np.clip(points, 1e-12, 1 - 1e-12)
    path, used = np.zeros((len(points), visits)), 0
    for t, (location, factor, a, b) in enumerate(fits):
        row = np.column_stack([np.tile(c, (len(points), 1)), np.zeros(len(points)), path[:, :t]])
        if t == visits - 1:
            break
        sigma = np.sqrt(b / gammaincinv(a, points[:, used]))
        z = ndtri(points[:, used + 1 : used + 1 + len(location)])
        drawn = location + sigma[:, None] * (z @ np.linalg.cholesky(factor).T)
        path[:, t] = (row * drawn).sum(axis=1)
        used += 1 + len(location)
    spread = np.sqrt(b / a * np.einsum("ij,jk,ik->i", row, factor, row))
    return float(stdtr(2 * a, (row @ location - by) / spread).mean())
