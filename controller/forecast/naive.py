"""The seasonal naive forecast: what was a week ago will be again. The yardstick of a backtest.

Each interval of a day takes the load of the same interval of the latest known day of the same
weekday (a week before; two weeks with a gap there), aligned by the local clock. Its band is the
spread of its own errors at that time of day over the last eight weeks known at the origin.
"""

from typing import Final

import numpy as np

from controller.forecast.case import Case, Floats, Ints, Rolled

MODEL: Final = "seasonal naive"
QUANTILES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
HALF: Final = QUANTILES.index(0.5)
WEEKS_BACK: Final = 4
MEMORY_DAYS: Final = 56
LEAST_ERRORS: Final = 14
"""Days of errors at a time of day below which there is no band."""


def roll_naive(case: Case) -> Rolled:
    """The naive forecast of every asked day; without past errors nothing but the median."""
    slots = _slots(case)
    load = _by_day(case, slots, case.kw)
    middle = _weeks_before(load)
    error = load - middle
    kw = np.full((len(QUANTILES), *case.kw.shape), np.nan)
    for day in range(case.first_day, case.last_day + 1):
        rows, last = case.rows(day), day - case.lag_days
        past = error[:, max(0, last - MEMORY_DAYS) : max(0, last)]
        band = middle[:, day] + _around_zero(_band(past))
        kw[:, :, rows] = band[:, :, slots[rows]]
        kw[HALF, :, rows] = middle[:, day][:, slots[rows]]
    return with_plain_peaks(case, MODEL, QUANTILES, kw)


def with_plain_peaks(case: Case, model: str, quantiles: tuple[float, ...], kw: Floats) -> Rolled:
    """`kw` (quantiles, series, rows) as an answer: the peak is where the day's median is highest.

    A quantile of the peak is the highest load of that quantile, as if a day that runs high did so
    all day long; the chance of the peak is all in one interval.
    """
    days, middle = len(case.edges) - 1, kw[quantiles.index(0.5)]
    peak_kw = np.full((len(quantiles), len(case.ids), days), np.nan)
    peak_row = np.full((len(case.ids), days), -1, np.int64)
    chance = np.full(case.kw.shape, np.nan)
    for day in range(case.first_day, case.last_day + 1):
        rows = case.rows(day)
        peak_kw[:, :, day] = np.fmax.reduce(kw[:, :, rows], axis=2)
        known = np.flatnonzero(~np.isnan(middle[:, rows]).all(axis=1))
        load = middle[known, rows]
        at = rows.start + np.where(np.isnan(load), -np.inf, load).argmax(axis=1)
        peak_row[known, day] = at
        chance[known, rows] = 0.0
        chance[known, at] = 1.0
    return Rolled(
        model=model, quantiles=quantiles, kw=kw, peak_kw=peak_kw, peak_row=peak_row,
        peak_chance=chance,
    )  # fmt: skip


def _slots(case: Case) -> Ints:
    """(rows,) the local interval of the day of each row; a clock change moves or repeats one."""
    rows = np.arange(case.grid.count)
    day = np.clip(np.searchsorted(case.edges, rows, side="right") - 1, 0, len(case.edges) - 2)
    since = rows - case.edges[day]
    length = case.edges[day + 1] - case.edges[day]
    # After the night hour in which the clock changes, count from the day's end.
    late = since >= length // 2
    return np.clip(np.where(late, since + case.per_day - length, since), 0, case.per_day - 1)


def _by_day(case: Case, slots: Ints, kw: Floats) -> Floats:
    """(series, days, slots of a day)."""
    out = np.full((len(kw), len(case.edges) - 1, case.per_day), np.nan)
    for day in range(len(case.edges) - 1):
        rows = case.rows(day)
        out[:, day, slots[rows]] = kw[:, rows]
    return out


def _weeks_before(load: Floats) -> Floats:
    """(series, days, slots) the latest known load a whole number of weeks before."""
    out = np.full_like(load, np.nan)
    for weeks in range(WEEKS_BACK, 0, -1):
        back = 7 * weeks
        before = load[:, : load.shape[1] - back]
        part = out[:, back:]
        out[:, back:] = np.where(np.isnan(before), part, before)
    return out


def _around_zero(band: Floats) -> Floats:
    """The band with the naive forecast itself as its median, whatever its bias was."""
    out = band.copy()
    out[:HALF], out[HALF + 1 :] = np.minimum(out[:HALF], 0.0), np.maximum(out[HALF + 1 :], 0.0)
    return out


def _band(past: Floats) -> Floats:
    """(quantiles, series, slots) of (series, days, slots) errors; NaN where too few."""
    few = np.count_nonzero(~np.isnan(past), axis=1) < LEAST_ERRORS
    ordered = np.sort(past, axis=1)
    known = np.count_nonzero(~np.isnan(past), axis=1)
    out = np.full((len(QUANTILES), past.shape[0], past.shape[2]), np.nan)
    if not past.shape[1]:
        return out
    for k, q in enumerate(QUANTILES):
        at = np.clip(q * (known + 1) - 1, 0, np.maximum(known - 1, 0))
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(known - 1, 0))
        lower, upper = (np.take_along_axis(ordered, i[:, None], axis=1)[:, 0] for i in (low, high))
        out[k] = np.where(few, np.nan, lower + (at - low) * (upper - lower))
    return out
