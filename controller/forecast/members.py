"""The models whose mean is the forecast: two ridges per interval, days alike, boosting."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.boost import boost_regressors, rolling_boost
from controller.forecast.kernel import day_features, rolling_kernel
from controller.forecast.online_ridge import rolling_ridge
from controller.forecast.residual import error_regressors
from controller.forecast.scale import Scale
from controller.forecast.special_days import DayCalendar
from controller.forecast.stations import station_weights
from controller.forecast.weather import Weather, load_regressors, weather_of, weighted

Array = NDArray[np.float64]
WEATHER_PENALTY, ERROR_PENALTY = 0.2, 0.02
HALF_LIFE_DAYS = 400.0
FIRST_WEATHER_DAY, FIRST_ERROR_DAY = 30, 60
MOST_ERROR = 0.7
BESIDES_BEFORE_DAYS = 273
"""The members beside the ridges begin this long before the first forecast: mean and bands must
know their errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ridged:
    """One series after both ridges; all (days, slots) in scores."""

    scale: Scale
    actual: Array
    weather: Weather
    first: Array
    """After the weather ridge."""
    second: Array
    """After the ridge on its errors."""
    regressors: Array
    """(days, slots, p) of the errors."""


def ridged_series(
    load: Array,
    measured: Array,
    expected: Array,
    calendar: DayCalendar,
    *,
    begin: int,
    lead: int,
) -> Ridged:
    """One series through the weather ridge and the ridge on its errors.

    The errors of the last days are taken from a run with measured weather: corrected by their
    errors with forecast weather, a forecast would chase yesterday's weather error. `begin` is
    the first day asked for.
    """
    known = begin - lead + 1
    scale = Scale.of(load, known)
    actual = scale.score(load)
    weights = station_weights(actual, measured, calendar, known)
    seen, hoped = weighted(measured, weights), weighted(expected, weights)
    weather = weather_of(seen, hoped, lead)
    first = _weather_ridge(load, scale, weather, calendar, lead)
    hindsight = first
    if expected is not measured:
        after = weather_of(seen, seen, lead)
        hindsight = _weather_ridge(load, scale, after, calendar, lead)
    errors = error_regressors(
        np.clip(actual - hindsight, -MOST_ERROR, MOST_ERROR), weather, calendar, lead
    )
    correction = rolling_ridge(
        errors,
        np.clip(actual - first, -MOST_ERROR, MOST_ERROR)[..., None],
        penalty=ERROR_PENALTY,
        half_life_days=HALF_LIFE_DAYS,
        lead_days=lead,
        first_day=FIRST_ERROR_DAY,
    )[..., 0]
    return Ridged(
        scale=scale,
        actual=actual,
        weather=weather,
        first=first,
        second=first + np.nan_to_num(correction),
        regressors=errors,
    )


def _weather_ridge(
    load: Array, scale: Scale, weather: Weather, calendar: DayCalendar, lead: int
) -> Array:
    """(days, slots) scores: the mean of the ridge on the load and of that on its logarithm."""
    X = load_regressors(weather, calendar)
    penalty = np.full(X.shape[2], WEATHER_PENALTY)
    penalty[0] = 1e-3
    targets = np.stack([scale.score(load), load / scale.unit], axis=-1)
    found = rolling_ridge(
        X,
        targets,
        penalty=penalty,
        half_life_days=HALF_LIFE_DAYS,
        lead_days=lead,
        first_day=FIRST_WEATHER_DAY,
    )
    mean: Array = (found[..., 0] + scale.score(found[..., 1] * scale.unit)) / 2
    return mean


def members_of(ridged: Ridged, calendar: DayCalendar, *, begin: int, lead: int) -> Array:
    """(3, days, slots): both ridges, and the days alike on what each of the two leaves."""
    first = max(begin - BESIDES_BEFORE_DAYS, FIRST_ERROR_DAY)
    before, after = _left_over(ridged)
    X = day_features(ridged.weather, before, calendar, lead)
    alike = [rolling_kernel(X, left, lead_days=lead, first=first) for left in (before, after)]
    return np.stack([ridged.second, ridged.first + alike[0], ridged.second + alike[1]])


def boosted_members(
    ridged: Sequence[Ridged], calendar: DayCalendar, *, begin: int, lead: int, seed: int
) -> list[Array]:
    """Per series (2, days, slots): boosting of what the first and what both ridges leave."""
    X = [boost_regressors(r.regressors, r.second, r.weather, calendar) for r in ridged]
    first = max(begin - BESIDES_BEFORE_DAYS, FIRST_ERROR_DAY + 60)
    left = zip(*(_left_over(r) for r in ridged), strict=True)
    before, after = (rolling_boost(X, Y, lead_days=lead, first=first, seed=seed) for Y in left)
    both = zip(ridged, before, after, strict=True)
    return [np.stack([r.first + one, r.second + two]) for r, one, two in both]


def _left_over(ridged: Ridged) -> tuple[Array, Array]:
    """The errors after the first and after both ridges, without the wildest."""
    before, after = ridged.actual - ridged.first, ridged.actual - ridged.second
    return np.clip(before, -MOST_ERROR, MOST_ERROR), np.clip(after, -MOST_ERROR, MOST_ERROR)
