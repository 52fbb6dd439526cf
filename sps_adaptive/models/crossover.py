"""The difference of two treatments within patients."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sps_adaptive.contracts import AnalysisModel, AnalysisSetting
from sps_adaptive.models.controls import Controlled
from sps_adaptive.models.normal import NormalPrior, Patients
from sps_adaptive.models.within_patients import BoundCrossover


class CrossoverAnalysis(Controlled):
    r"""Two treatments compared within patients (AB/BA design): Student-t, with or without a carry-over effect.

    With :math:`s_i = 1` for patients who had the experimental treatment first and -1 for the others, the treatment
    effect :math:`\tau` and the period effect :math:`\pi` (second less first), the difference of a patient's two scores
    is

    .. math:: d_i = y_{i1} - y_{i2} = s_i \tau - \pi + \varepsilon_i, \qquad \varepsilon_i \sim N(0, \sigma_d^2),

    with :math:`\tau \sim N(m, \sigma_d^2 / \kappa)`, a flat prior for :math:`\pi` and a scaled-inverse-chi-square prior
    for :math:`\sigma_d^2 = 2 s_w^2` (prior guess by `sd_within`, worth `sd_patients` patients). The prior is conjugate,
    so :math:`\tau` is Student-t; with a flat prior (:math:`\kappa = 0`) it has the location
    :math:`(\bar d_{AB} - \bar d_{BA}) / 2`, the squared scale :math:`\hat\sigma_d^2 (1 / n_{AB} + 1 / n_{BA}) / 4`
    and, with `sd_patients: 0`, :math:`n - 2` degrees of freedom: that of the t-test of Hills and Armitage (1979; Jones
    and Kenward 2014). A prior worth :math:`\kappa` patients has the weight of as many patients, half of them in each
    order. The mean under a treatment adds the general mean to it, with a flat prior of its own and `sd_between`, the
    prior guess of the standard deviation between patients.

    With `carry_over: ignored`, what is left of the first treatment's effect biases :math:`\tau` by half of it.
    With `carry_over: estimated` it may be anything (a flat prior): then the second period says nothing about the
    treatment. In the joint normal distribution of the two scores, :math:`p(y_1) p(y_2 | y_1)`, carry-over enters the
    second factor alone, so :math:`\tau` is what the first makes of it, the Student-t analysis of the first period as
    that of a parallel trial, :math:`\tau \sim N(m, 4 \sigma^2 / \kappa)` and :math:`\sigma^2 = s_b^2 + s_w^2`. It uses
    all patients whose first score is known, is unbiased whatever is carried over, and needs
    :math:`2 / (1 - \rho)` times the patients, :math:`\rho` being the correlation of the two scores.

    A test of carry-over, to choose one of the two (Grizzle 1965), is not offered: it has little power, as it compares
    sums of scores between patients, and the two-stage procedure errs more often than it says, since the estimate of
    the first period and the test depend on each other (Freeman 1989; Senn 2002, chapter 3). A sufficient washout is the
    answer; `carry_over: estimated` shows the price of having none.
    """

    takes: ClassVar[frozenset[str]] = frozenset({"crossover"})
    scale: ClassVar[str] = "mean"
    needs_baseline: ClassVar[bool] = False
    left_out: ClassVar[str] = (
        "Patients without a second score are left out; with carry_over: estimated their first score counts."
    )

    kind: Literal["crossover"]
    carry_over: Literal["ignored", "estimated"] = "ignored"
    """Whether nothing is carried over from the first period into the second, or anything may be."""
    sd_within: Annotated[float, Field(gt=0)]
    """Prior guess of the standard deviation of a score about its patient's own mean."""
    sd_between: Annotated[float, Field(ge=0)]
    """Prior guess of the standard deviation between patients of what both scores of a patient have in common."""
    sd_patients: Patients = 1.0
    """How many patients the guesses are worth."""
    effect: NormalPrior = NormalPrior()
    """The prior of the treatment effect, experimental less control. The default is flat."""

    def problems(self, setting: AnalysisSetting) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return what cannot be about the model in its trial: more than two arms."""
        if len(setting.arms) == 2:
            return []
        return [(("kind",), f"a crossover of {len(setting.arms)} arms", "have two arms: the two treatments")]

    def bind(self, setting: AnalysisSetting) -> AnalysisModel:
        """Return the model for these arms, oriented: larger is better."""
        sign = 1.0 if setting.higher_is_better else -1.0
        signs = np.where(np.arange(2) == setting.control, -1.0, 1.0)
        return BoundCrossover(
            carry_over=self.carry_over == "estimated",
            sd_within=self.sd_within,
            sd_between=self.sd_between,
            sd_patients=self.sd_patients,
            signs=signs,
            effect_mean=sign * self.effect.mean,
            effect_patients=self.effect.patients,
        )
