"""What the weather does to a load: temperatures now, just now, and over hours and days before."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.day_table import lagged
from controller.forecast.special_days import DayCalendar

Array = NDArray[np.float64]
PATH_DAYS = 8
"""Days of temperature that a day's features look at, itself included."""
KNEES_C = np.arange(-12.0, 40.0, 4.0)
WIDE_KNEES_C = np.array([-4.0, 4.0, 10.0, 15.0, 19.0, 23.0, 27.0, 32.0])
FEW_KNEES_C = WIDE_KNEES_C[1::2]
SMOOTHING_H = (3.0, 8.0, 24.0, 72.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weather:
    """Degrees Celsius, each (days, slots): what is known or expected of a day at its origin."""

    now: Array
    just_before: Array
    """Mean of one to three hours earlier."""
    just_after: Array
    """Mean of one to three hours later, within the day."""
    smooth: dict[float, Array]
    """Exponentially smoothed over so many hours: buildings follow the weather late."""
    day_max: Array
    day_min: Array
    day_mean: Array
    eve_max: Array
    """Of the day before."""


def weather_of(measured: Array, expected: Array, lead_days: int) -> Weather:
    """Features of (days, slots) temperatures without gaps.

    Each day sees `expected` for itself and the `lead_days` − 1 days before it, `measured` for
    the days before those.
    """
    path = _paths(measured, expected, lead_days)
    slots = measured.shape[1]
    per_hour = slots // 24
    day, eve = path[:, -slots:], path[:, -2 * slots : -slots]
    before = _window(slots, -3 * per_hour, -per_hour)
    after = _window(slots, per_hour, 3 * per_hour)
    return Weather(
        now=day,
        just_before=path @ before,
        just_after=path @ after,
        smooth={hours: path @ _fading(slots, hours) for hours in SMOOTHING_H},
        day_max=_spread(day.max(axis=1), slots),
        day_min=_spread(day.min(axis=1), slots),
        day_mean=_spread(day.mean(axis=1), slots),
        eve_max=_spread(eve.max(axis=1), slots),
    )


def hinges(temp_c: Array, knees: Array) -> Array:
    """(…, 1 + knees) the temperature and its excess over each knee, in units of 10 °C."""
    over = np.maximum(temp_c[..., None] - knees, 0.0)
    return np.concatenate([temp_c[..., None], over], axis=-1) / 10.0


def load_regressors(weather: Weather, calendar: DayCalendar) -> Array:
    """(days, slots, p) the columns of the weather ridge; the first is the constant."""
    slots = weather.now.shape[1]
    season = calendar.season[:, None, :]
    felt = hinges(weather.smooth[3.0], FEW_KNEES_C)
    blocks = [
        np.repeat(calendar.columns[:, None, :], slots, axis=1),
        hinges(weather.now, KNEES_C),
        hinges(weather.just_before, WIDE_KNEES_C),
        *(hinges(weather.smooth[hours], WIDE_KNEES_C) for hours in SMOOTHING_H[1:]),
        hinges(weather.day_max, WIDE_KNEES_C),
        hinges(weather.day_min, WIDE_KNEES_C),
        hinges(weather.day_mean, WIDE_KNEES_C),
        hinges(weather.just_after, FEW_KNEES_C),
        hinges(weather.eve_max, FEW_KNEES_C),
        felt * calendar.off[:, None, None],
        felt * season[..., :1],
        felt * season[..., 1:2],
    ]
    return np.concatenate(blocks, axis=-1)


def without_gaps(temp_c: Array) -> Array:
    """(stations, days, slots) with gaps filled from the past only.

    A gap goes on from the last value by what the other stations have changed since; before a
    station's first value stands the others' mean, and 15 °C where nobody knows anything.
    """
    flat = temp_c.reshape(len(temp_c), -1)
    if np.isfinite(flat).all():
        return temp_c.copy()
    common = _common_course(flat)
    known = np.isfinite(flat)
    count = known.sum(axis=0)
    mean = np.where(known, flat, 0.0).sum(axis=0) / np.maximum(count, 1)
    at_first = _held(np.where(count > 0, mean, np.nan), np.full(flat.shape[1], 15.0))
    filled = [common + _held(row - common, at_first - common) for row in flat]
    return np.stack(filled).reshape(temp_c.shape)


def _common_course(flat: Array) -> Array:
    """(n,) sum of the mean changes, each over the stations known before and after it."""
    change = np.diff(flat, axis=1)
    known = np.isfinite(change)
    mean = np.where(known, change, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.concatenate([[0.0], np.cumsum(mean)])


def _held(row: Array, at_first: Array) -> Array:
    """Gaps carry the last value before them; `at_first` where there is none."""
    last = np.maximum.accumulate(np.where(np.isfinite(row), np.arange(len(row)), -1))
    held: Array = np.where(last >= 0, row[np.maximum(last, 0)], at_first)
    return held


def _paths(measured: Array, expected: Array, lead_days: int) -> Array:
    """(days, PATH_DAYS × slots); days before the table repeat its first one."""

    def at(back: int) -> Array:
        table = lagged(expected if back < lead_days else measured, back)
        table[:back] = measured[0]
        return table

    return np.concatenate([at(back) for back in range(PATH_DAYS - 1, -1, -1)], axis=1)


def _window(slots: int, first: int, last: int) -> Array:
    """(PATH_DAYS × slots, slots) means from `first` to `last` slots after each, inside the path."""
    length = PATH_DAYS * slots
    kernel = np.zeros((length, slots))
    for slot in range(slots):
        at = length - slots + slot
        low, high = min(at + first, length - 1), min(at + last, length - 1)
        kernel[low : high + 1, slot] = 1 / (high + 1 - low)
    return kernel


def _fading(slots: int, hours: float) -> Array:
    """(PATH_DAYS × slots, slots) exponentially fading means up to each slot."""
    length = PATH_DAYS * slots
    age = (length - slots + np.arange(slots))[None, :] - np.arange(length)[:, None]
    kernel = np.where(age >= 0, np.exp(-np.maximum(age, 0) * 24 / slots / hours), 0.0)
    faded: Array = kernel / kernel.sum(axis=0)
    return faded


def _spread(per_day: Array, slots: int) -> Array:
    return np.repeat(per_day[:, None], slots, axis=1)


def weighted(stations: Iterable[Array], weights: Array) -> Array:
    """The mean of the stations' tables by `weights`, which add to 1."""
    mean: Array = np.einsum("k,kds->ds", weights, np.stack(list(stations)))
    return mean
