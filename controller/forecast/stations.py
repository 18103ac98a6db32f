"""Which temperature stations tell of a load: chosen on the days before the first forecast."""

import numpy as np
from numpy.typing import NDArray

from controller.forecast.online_ridge import rolling_ridge
from controller.forecast.special_days import DayCalendar
from controller.forecast.weather import WIDE_KNEES_C, hinges, weather_of

Array = NDArray[np.float64]
LEAST_DAYS = 150
TRIAL_SLOTS = 24
"""A trial looks at hourly means, whatever the resolution."""


def station_weights(load: Array, temp_c: Array, calendar: DayCalendar, until: int) -> Array:
    """(stations,) weights adding to 1: the mean of the best m, m chosen as well.

    Ranked by the rolling error of a small weather ridge on the (days, slots) log or relative
    `load` before day `until`; all alike where less than 150 days stand there. `temp_c` is
    (stations, days, slots) without gaps.
    """
    count = len(temp_c)
    everyone = np.full(count, 1 / count)
    if count == 1 or until < LEAST_DAYS:
        return everyone
    past = slice(max(0, until - 1100), until)
    trial = _Trial(_hourly(load[past]), calendar.columns[past])
    hourly = np.stack([_hourly(own[past]) for own in temp_c])
    order = np.argsort([trial.error(own) for own in hourly], kind="stable")
    errors = [trial.error(hourly[order[: m + 1]].mean(axis=0)) for m in range(count)]
    best = int(np.argmin(errors)) + 1
    weights = np.zeros(count)
    weights[order[:best]] = 1 / best
    return weights


class _Trial:
    """A small weather ridge that can be scored with one temperature after the other."""

    def __init__(self, load: Array, columns: Array) -> None:
        self._load, self._columns = load, columns

    def error(self, temp_c: Array) -> float:
        """Mean absolute error of its rolling forecasts."""
        weather = weather_of(temp_c, temp_c, 1)
        felt = [weather.now, weather.smooth[8.0], weather.smooth[24.0]]
        slots = self._load.shape[1]
        X = np.concatenate(
            [
                np.repeat(self._columns[:, None, :], slots, axis=1),
                *(hinges(temperature, WIDE_KNEES_C) for temperature in felt),
            ],
            axis=-1,
        )
        predicted = rolling_ridge(
            X, self._load[..., None], penalty=0.2, half_life_days=500.0, lead_days=1, refit_days=60
        )
        return float(np.nanmean(np.abs(predicted[..., 0] - self._load)))


def _hourly(table: Array) -> Array:
    days, slots = table.shape
    means: Array = table.reshape(days, TRIAL_SLOTS, slots // TRIAL_SLOTS).mean(axis=2)
    return means
