"""Arms that open late or close early: which arms a patient can be dealt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sps_adaptive.contracts import Cohort, Spans

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from sps_adaptive.contracts import Array, Span


def spans(span: tuple[Span, ...], cohort: Cohort, dropped: Int[Array, "R A"]) -> Spans:
    """Return the spans of all arms.

    Parameters
    ----------
    span
        What the protocol says, by arm.
    cohort
        The patients.
    dropped
        Position of the first patient enrolled after a rule closed each arm; as many as there are patients if none did.
    """
    replicates, patients = cohort.enrolled_at.shape
    begin, end = np.zeros((replicates, len(span)), np.int64), np.full((replicates, len(span)), patients)
    for arm, own in enumerate(span):
        if own.opens_with is not None:
            begin[:, arm] = own.opens_with
        if own.opens_on is not None:
            begin[:, arm] = (cohort.enrolled_at < own.opens_on).sum(axis=1)
        if own.opens_after is not None:
            begin[:, arm] = dropped[:, own.opens_after]
        if own.closes_with is not None:
            end[:, arm] = own.closes_with
        if own.closes_on is not None:
            end[:, arm] = (cohort.enrolled_at < own.closes_on).sum(axis=1)
        if own.closes_after is not None:
            end[:, arm] = dropped[:, own.closes_after]
    return Spans(np.minimum(begin, patients), np.minimum(end, dropped))


def takes(span: Spans, patient: Int[Array, " R"]) -> Bool[Array, "R A"]:
    """Return which arms the patient at this position can be dealt."""
    return (span.begin <= patient[:, None]) & (patient[:, None] < span.end)


def at_once(protocol: tuple[Span, ...]) -> Bool[Array, " A"]:
    """Return which arms are there from the first patient on."""
    return np.array([own.opens_on is None and own.opens_after is None and not own.opens_with for own in protocol])


def has_opened(span: Spans, protocol: tuple[Span, ...], n_enrolled: Int[Array, " R"]) -> Bool[Array, "R A"]:
    """Return which arms have opened: with the trial, or one at least of the enrolled could be dealt the arm."""
    return at_once(protocol) | (span.begin < np.minimum(n_enrolled[:, None], span.end))


def is_coming(
    span: Spans,
    protocol: tuple[Span, ...],
    n_enrolled: Int[Array, " R"],
    day: Float[Array, " R"],
    enrolling: Bool[Array, " R"],
) -> Bool[Array, "R A"]:
    """Return which arms have not opened yet and still may, as far as can be known on a day.

    Parameters
    ----------
    enrolling
        Whether more patients may come.
    """
    over = span.end <= n_enrolled[:, None]
    for arm, own in enumerate(protocol):
        if own.closes_on is not None:  # who comes before that day is not known yet
            over[:, arm] = own.closes_on <= day
    return ~has_opened(span, protocol, n_enrolled) & ~over & enrolling[:, None]


def changes(span: Spans, start: Int[Array, " R"], is_open: Bool[Array, "R A"], patients: int) -> Int[Array, "R C"]:
    """Return the positions after `start` at which an open arm begins or ends to be there, in order.

    The rows are filled with `patients`.
    """
    at = np.concatenate([span.begin, span.end], axis=1)
    at = np.where((at > start[:, None]) & (at < patients), at, patients)
    for column in at.T:
        other = is_open & (takes(span, column) != takes(span, column - 1))
        column[~other.any(axis=1)] = patients
    at = np.sort(at, axis=1)
    at[:, 1:][at[:, 1:] == at[:, :-1]] = patients  # each position once
    at = np.sort(at, axis=1)
    return at[:, (at < patients).any(axis=0)]


def concurrent(span: Spans, arm: int, than: int, patients: int) -> Bool[Array, "R N"]:
    """Return which patients were enrolled while both arms could be dealt."""
    position = np.arange(patients)
    begin = np.maximum(span.begin[:, arm], span.begin[:, than])
    end = np.minimum(span.end[:, arm], span.end[:, than])
    return (position >= begin[:, None]) & (position < end[:, None])
