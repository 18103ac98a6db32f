"""PV generation: the site's clear-sky curve, learnt from its meter, times how clear it will be.

The clear-sky curve is a non-negative mixture of planes (`clear_sky.PLANES`) fitted to the upper
edge of the meter's history, so that tilt, azimuth, soiling and inverter losses need not be told.
What clouds leave of it, the clearness, comes as weighted quantiles of past intervals: those count
most whose issued irradiance (or, without one, whose day before), time of day and season were like
the target's. Nothing after `made_at` is read.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from controller.forecast.clear_sky import Place, clear_sky
from controller.model.plans import Forecast
from controller.model.time import Grid, Interval, Series

Values = NDArray[np.float64]

QUANTILES: Final = tuple(round(0.05 * i, 2) for i in range(1, 20))
LEAST_DAYS: Final = 7
"""Days with readings in daylight below which there is no forecast."""
DAYLIGHT_FRAC: Final = 0.03
"""Intervals below this part of the highest clear-sky power are too dim to tell a clearness."""
CLEARNESS_MOST: Final = 1.4
"""Cloud edges reflect; a meter that shows more than this above its own upper edge is at fault."""
UPPER_EDGE, EDGE_ROUNDS = 0.85, 12
"""The clear-sky curve is the mixture's expectile at this level, in so many reweighted fits."""
WEATHER_WIDTH, YESTERDAY_WIDTH = 0.08, 0.2
"""How near two clearnesses must be to count as alike: a day tells little of the next."""
HOUR_WIDTH, SEASON_DAYS = 0.8, 25.0
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Site:
    """What a meter's history says of its site."""

    place: Place
    grid: Grid
    mixture: Values
    """(planes,) kW per W/m²."""
    clearness: Values
    """(count,) generation as a part of the clear sky's; NaN in the dark and where not trusted."""
    ghi: Values
    """(count,) clear-sky global horizontal irradiance, W/m²."""
    notes: tuple[str, ...]


def forecast_pv(
    place: Place,
    history: Series,
    grid: Grid,
    *,
    made_at: datetime,
    irradiance: Series | None = None,
) -> Forecast:
    """Quantiles of generation in kW (positive, unlike a load) on `grid`.

    `history` is the sub-meter's generation in kW; only intervals that ended by `made_at` count.
    `irradiance` is the issued global horizontal irradiance in W/m², on the same step, over the
    history and the target; where it is missing the last days stand for the weather. Raises
    ValueError with fewer than `LEAST_DAYS` days of readings in daylight.
    """
    past = Interval(start=min(history.grid.start, made_at), end=made_at)
    site = _learn(place, history.on(history.grid.within(past)))
    ghi, planes = clear_sky(place, grid)
    curve = planes @ site.mixture
    kw = np.zeros((len(QUANTILES), grid.count))
    days = _days(grid, made_at)
    lead = np.maximum(np.ceil(days + 1e-9), 1).astype(int)
    for ahead in np.unique(lead):
        wanted = np.flatnonzero((lead == ahead) & (curve > 0))
        last = _days_before(site, grid, int(ahead))
        for i, clearness in zip(
            wanted, _clearness(site, grid, wanted, ghi, made_at, irradiance, last), strict=True
        ):
            kw[:, i] = curve[i] * clearness
    return Forecast(
        made_at=made_at, model="pv-clear-sky", grid=grid, quantiles=QUANTILES, kw=kw,
        history_days=_daylight_days(site.clearness, site.grid), notes=site.notes,
    )  # fmt: skip


def _learn(place: Place, known: Series) -> _Site:
    ghi, planes = clear_sky(place, known.grid)
    kw, notes = _trusted(known, ghi)
    if _daylight_days(np.where(ghi > 0, kw, np.nan), known.grid) < LEAST_DAYS:
        raise ValueError(f"PV needs {LEAST_DAYS} days of readings in daylight")
    mixture = _upper_edge(planes, kw)
    curve = planes @ mixture
    bright = curve > DAYLIGHT_FRAC * curve.max()
    clearness = np.full(known.grid.count, np.nan)
    clearness[bright] = kw[bright] / curve[bright]
    clearness[clearness > CLEARNESS_MOST] = np.nan
    return _Site(
        place=place, grid=known.grid, mixture=mixture, clearness=clearness, ghi=ghi, notes=notes
    )


def _trusted(known: Series, ghi: Values) -> tuple[Values, tuple[str, ...]]:
    """The readings without days of no generation at all: an outage, snow or a silent meter."""
    kw = known.values.copy()
    day = np.floor(_days(known.grid, known.grid.start)).astype(int)
    light = (ghi > 100) & ~np.isnan(kw)
    seen = np.bincount(day[light], minlength=day.max() + 1 if day.size else 0)
    most = np.zeros(seen.size)
    np.maximum.at(most, day[light], kw[light])
    usual = np.median(most[seen > 0]) if (seen > 0).any() else 0.0
    dead = (seen > 0) & (most < 0.01 * usual)
    kw[dead[day]] = np.nan
    kw[kw < 0] = 0.0
    if not dead.any():
        return kw, ()
    return kw, (f"{int(dead.sum())} days without any generation were left out",)


def _upper_edge(planes: Values, kw: Values) -> Values:
    """Weights (planes,) >= 0 whose mixture lies above nearly all readings (an expectile)."""
    use = ~np.isnan(kw) & (planes.max(axis=1) > 50)
    x, y = planes[use], kw[use]
    weight = np.ones(y.size)
    for _ in range(EDGE_ROUNDS):
        root = np.sqrt(weight)
        mixture, _ = nnls(x * root[:, None], y * root)
        weight = np.where(y > x @ mixture, UPPER_EDGE, 1 - UPPER_EDGE)
    return np.asarray(mixture, dtype=np.float64)


def _clearness(
    site: _Site,
    grid: Grid,
    wanted: NDArray[np.intp],
    ghi: Values,
    made_at: datetime,
    irradiance: Series | None,
    last: tuple[Values, Values],
) -> list[Values]:
    """Quantiles of the clearness of each wanted interval, all the same number of days ahead."""
    told_past, told = _issued(site, grid, ghi, irradiance)
    days_past, hours_past = _days(site.grid, made_at), _hours(site.grid)
    days, hours = _days(grid, made_at), _hours(grid)
    out = []
    for i in wanted:
        past, now, width = last[0], float(last[1][i]), YESTERDAY_WIDTH
        if not np.isnan(told[i]):
            past, now, width = told_past, float(told[i]), WEATHER_WIDTH
        away = np.abs(hours_past - hours[i])
        far = ((past - now) / width) ** 2 + (np.minimum(away, 24 - away) / HOUR_WIDTH) ** 2
        far += ((days_past - days[i]) / SEASON_DAYS) ** 2
        use = ~np.isnan(site.clearness) & ~np.isnan(far)
        near = far[use] - far[use].min() if use.any() else far[use]
        out.append(_weighted_quantiles(site.clearness[use], np.exp(-0.5 * near)))
    return out


def _issued(
    site: _Site, grid: Grid, ghi: Values, irradiance: Series | None
) -> tuple[Values, Values]:
    """Issued irradiance as a part of the clear sky's, over the past and the target; NaN unknown."""
    if irradiance is None:
        return np.full(site.grid.count, np.nan), np.full(grid.count, np.nan)
    past = _part(irradiance.on(site.grid).values, site.ghi)
    both = ~np.isnan(past) & ~np.isnan(site.clearness)
    target = _part(irradiance.on(grid).values, ghi)
    return past, target if both.any() else np.full(grid.count, np.nan)


def _part(issued: Values, clear: Values) -> Values:
    part: Values = np.full(issued.size, np.nan)
    light = clear > 10
    part[light] = np.clip(issued[light] / clear[light], 0.0, 1.3)
    return part


def _days_before(site: _Site, grid: Grid, ahead: int) -> tuple[Values, Values]:
    """The clearness `ahead` days before each past interval, and before each of the target's.

    Half of it is the same time of day's, half the mean of the 24 hours around it: a lone cloud
    tells less than the kind of day. What is missing is the site's median.
    """
    a_day = round(DAY / grid.step)
    gap = (grid.start - site.grid.start) // grid.step - site.grid.count
    whole = np.concatenate([site.clearness, np.full(max(gap, 0) + grid.count, np.nan)])
    near = np.ones(a_day)
    known = np.maximum(np.convolve(~np.isnan(whole), near, "same"), 1)
    around = np.convolve(np.nan_to_num(whole), near, "same") / known
    kind = np.where(around > 0, around, np.nanmedian(site.clearness))
    like: Values = np.where(np.isnan(whole), kind, (whole + kind) / 2)
    before = np.concatenate([np.full(ahead * a_day, np.nan), like[: -ahead * a_day]])
    return before[: site.grid.count], before[site.grid.count + gap :][: grid.count]


def _weighted_quantiles(values: Values, weight: Values) -> Values:
    """(quantiles,) of `values` under `weight`: the inverse of the smoothed step function."""
    order = np.argsort(values)
    ordered = weight[order]
    one = float((weight**2).sum() / weight.sum())  # what one effective neighbour weighs
    rank = (np.cumsum(ordered) - 0.5 * ordered + 0.5 * one) / (ordered.sum() + one)
    quantiles: Values = np.interp(QUANTILES, rank, values[order])
    return quantiles


def _days(grid: Grid, since: datetime) -> Values:
    """(count,) days from `since` to the middle of each interval, negative before it."""
    first = (grid.start + grid.step / 2 - since) / DAY
    days: Values = first + np.arange(grid.count, dtype=np.float64) * (grid.step / DAY)
    return days


def _hours(grid: Grid) -> Values:
    """(count,) UTC hour of the middle of each interval: the sun keeps no summer time."""
    hours: Values = (_days(grid, datetime(2000, 1, 1, tzinfo=UTC)) * 24) % 24
    return hours


def _daylight_days(values: Values, grid: Grid) -> int:
    day = np.floor(_days(grid, grid.start))
    return int(np.unique(day[~np.isnan(values)]).size)
