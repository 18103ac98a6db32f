"""What a home's controllable appliance draws, read off the home's net meter alone.

Nobody meters the appliance, so this is an estimate, and each kind gives itself away in its own
manner: an air conditioner by the weather, a heater or charger by being on or off at its rating,
a battery by the difference from homes without one. What called homes really deliver is learnt
in the event (`verify`) and replaces the availability in the next plan.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.forecast.features import DAY, local_calendar
from controller.forecast.operating import slot_of_day, weather_share
from controller.model.resources import ResourceKind
from controller.model.time import Grid, Series

SWITCHED: Final = (ResourceKind.WATER_HEATER, ResourceKind.EV_CHARGER)
LOW_QUANTILE: Final = 0.1
"""Of the loads in a part of the day: the household alone, the appliance off."""
PARTS_OF_DAY: Final = 4
OFF_BELOW_FRAC: Final = 0.25
"""An interval less than this part of the rating above the low level has the appliance off."""
NEIGHBOUR_SLOTS: Final = 4


def appliance_kw(
    history_kw: NDArray[np.float64],
    history_grid: Grid,
    forecast_kw: NDArray[np.float64],
    temperature: Series,
    weather: Series,
    grid: Grid,
    *,
    kinds: Sequence[ResourceKind],
    rated_kw: NDArray[np.float64],
    timezone: str,
    holidays: Sequence[str],
) -> NDArray[np.float64]:
    """(m, grid.count) expected power of the appliance behind each of m home meters.

    `forecast_kw` is the operating forecast of the meters on `grid`, `kinds` and `rated_kw` (m,)
    say what stands behind them. Air conditioner: the part of the forecast that is there because
    of the weather. Water heater, charger: the forecast above the home's own level with the
    appliance off. Battery: the forecast above what the other homes draw without theirs, below 0
    where it discharges anyway; 0 where there are no other homes. Other kinds: the whole meter.
    All within the rating. Raises ValueError on shapes that do not fit.
    """
    m = len(kinds)
    if np.shape(history_kw)[0] != m or np.shape(rated_kw) != (m,):
        raise ValueError(f"{np.shape(history_kw)} history and {np.shape(rated_kw)} for {m} meters")
    if np.shape(forecast_kw) != (m, grid.count):
        raise ValueError(f"forecast of shape {np.shape(forecast_kw)} for {m} × {grid.count}")
    out = np.array(forecast_kw, dtype=np.float64)
    cooled = _rows(kinds, ResourceKind.AIR_CONDITIONER)
    out[cooled] = weather_share(
        history_kw[cooled], history_grid, temperature, weather, grid,
        timezone=timezone, holidays=holidays,
    )  # fmt: skip
    switched = _rows(kinds, *SWITCHED)
    base = _off_level(history_kw[switched], history_grid, rated_kw[switched], grid, timezone)
    out[switched] = np.maximum(forecast_kw[switched] - base, 0.0)
    others, stores = np.concatenate([cooled, switched]), _rows(kinds, ResourceKind.BATTERY)
    out[stores] = _beyond_peers(forecast_kw[stores], (forecast_kw - out)[others])
    homes = np.concatenate([others, stores])
    limit = rated_kw[homes][:, None]
    out[homes] = np.clip(out[homes], -limit, limit)
    return out


def _rows(kinds: Sequence[ResourceKind], *wanted: ResourceKind) -> NDArray[np.int64]:
    return np.array([i for i, kind in enumerate(kinds) if kind in wanted], dtype=np.int64)


def _beyond_peers(kw: NDArray[np.float64], rest_kw: NDArray[np.float64]) -> NDArray[np.float64]:
    """`kw` less the mean of what other homes draw besides their appliance; 0 without others."""
    known = rest_kw[~np.isnan(rest_kw).any(axis=1)]
    if not len(known):
        return np.zeros_like(kw)
    beyond: NDArray[np.float64] = kw - known.mean(axis=0)
    return beyond


def _off_level(
    load: NDArray[np.float64],
    history_grid: Grid,
    rated_kw: NDArray[np.float64],
    grid: Grid,
    timezone: str,
) -> NDArray[np.float64]:
    """(m, grid.count) mean load of each home by time of day over the intervals it was off."""
    per_day = DAY // grid.step
    slot = slot_of_day(local_calendar(history_grid, timezone, ()), per_day)
    part = slot * PARTS_OF_DAY // per_day
    off = np.zeros(load.shape, dtype=bool)
    for p in range(PARTS_OF_DAY):
        rows = np.flatnonzero(part == p)
        known = np.where(np.isnan(load[:, rows]), np.inf, load[:, rows])
        low = np.quantile(known, LOW_QUANTILE, axis=1, method="lower") if rows.size else np.inf
        off[:, rows] = known < (low + OFF_BELOW_FRAC * rated_kw)[:, None]
    belongs = _near_slots(per_day)[:, slot]
    count, total = off @ belongs.T, np.where(off, load, 0.0) @ belongs.T
    every = np.where(off, load, 0.0).sum(axis=1) / np.maximum(off.sum(axis=1), 1)
    level = np.where(count > 0, total / np.maximum(count, 1), every[:, None])
    ahead: NDArray[np.float64] = level[:, slot_of_day(local_calendar(grid, timezone, ()), per_day)]
    return ahead


def _near_slots(per_day: int) -> NDArray[np.float64]:
    """(per_day, per_day) 1 where two slots of the day lie within the hour of one another."""
    gap = np.abs(np.arange(per_day)[:, None] - np.arange(per_day)[None, :])
    near: NDArray[np.bool_] = np.minimum(gap, per_day - gap) <= NEIGHBOUR_SLOTS
    return near.astype(np.float64)
