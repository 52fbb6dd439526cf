"""Log densities whose marginal densities are known, to try Laplace's method on."""

from __future__ import annotations

import numpy as np


class Normal:
    """Multivariate normal, one mean and precision for each data set."""

    def __init__(self, mean, precision):
        self.mean, self.precision = mean, precision

    @property
    def n_parameters(self):
        return self.mean.shape[1]

    def start(self):
        return np.zeros_like(self.mean)

    def evaluate(self, at, rows):
        gap = at - self.mean[rows]
        pull = np.einsum("mpq,mq->mp", self.precision[rows], gap)
        return -(gap * pull).sum(axis=1) / 2, -pull, -self.precision[rows]


class Student(Normal):
    """Multivariate Student-t: its marginal densities, and those of Laplace's method, are Student-t."""

    def __init__(self, mean, precision, df):
        super().__init__(mean, precision)
        self.df = df

    def evaluate(self, at, rows):
        square, pull, hessian = super().evaluate(at, rows)
        df, power = self.df[rows], (self.df[rows] + self.n_parameters) / 2
        inside = 1 - 2 * square / df
        value = -power * np.log(inside)
        gradient = (2 * power / df / inside)[:, None] * pull
        outer = pull[:, :, None] * pull[:, None, :]
        return (
            value,
            gradient,
            (2 * power / df / inside)[:, None, None] * hessian + (4 * power / df**2 / inside**2)[:, None, None] * outer,
        )


class LogGamma:
    """Logs of independent gamma variables with given shapes and rates."""

    def __init__(self, shape, rate):
        self.shape, self.rate = shape, rate

    @property
    def n_parameters(self):
        return self.shape.shape[1]

    def start(self):
        return np.zeros_like(self.shape)

    def evaluate(self, at, rows):
        shape, expected = self.shape[rows], self.rate[rows] * np.exp(at)
        value = (shape * at - expected).sum(axis=1)
        return value, shape - expected, -expected[:, :, None] * np.eye(self.n_parameters)


class Broken(Normal):
    """Normal, but some data sets have no finite value beyond the start, and some are not concave anywhere."""

    def __init__(self, mean, precision, nowhere, convex):
        super().__init__(mean, precision)
        self.nowhere, self.convex = nowhere, convex

    def evaluate(self, at, rows):
        value, gradient, hessian = super().evaluate(at, rows)
        gone = self.nowhere[rows] & (np.abs(at) > 0).any(axis=1)
        value = np.where(gone, np.nan, value)
        turned = np.where(self.convex[rows], -1.0, 1.0)
        return turned * value, turned[:, None] * gradient, turned[:, None, None] * hessian
