"""The sun over a place: what its modules could give under a cloudless sky.

Sun positions (NREL's algorithm), the simplified Solis clear sky (Ineichen 2008) and the isotropic
transposition (Liu & Jordan 1963) come from pvlib.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pvlib import clearsky, irradiance, solarposition

from controller.model.time import Grid

FINEST_MIN = 15
"""Longer intervals are averaged over points so many minutes apart: the sun moves within an hour."""
ALBEDO = 0.2
PLANES = ((0, 0), (30, 90), (30, 135), (30, 180), (30, 225), (30, 270))
"""Tilt and azimuth (0 = facing the pole away from the equator, so 180 faces the sun) of the planes
whose mixture stands for any roof or park."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the modules stand, in degrees north and east."""

    latitude_deg: float
    longitude_deg: float

    def __post_init__(self) -> None:
        if not (abs(self.latitude_deg) <= 90 and abs(self.longitude_deg) <= 180):
            raise ValueError(f"no place on Earth: {self.latitude_deg}, {self.longitude_deg}")


def clear_sky(place: Place, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(count,) global horizontal irradiance and (count, planes) on `PLANES`, W/m², interval means.

    Zero while the sun is below the horizon. Turbidity and water vapour are pvlib's defaults:
    what they miss is a factor of the site, which `pv` learns.
    """
    times, fold = _points(grid)
    sun = solarposition.get_solarposition(times, place.latitude_deg, place.longitude_deg)
    zenith = sun["apparent_zenith"].to_numpy()
    azimuth = sun["azimuth"].to_numpy()
    extra = irradiance.get_extra_radiation(times.day_of_year.to_numpy())
    sky = clearsky.simplified_solis(np.maximum(90 - zenith, 0.0), dni_extra=extra)
    ghi, dni, dhi = (
        np.where(zenith < 90, np.nan_to_num(sky[k]), 0.0) for k in ("ghi", "dni", "dhi")
    )
    turned = 0 if place.latitude_deg >= 0 else 180
    on_planes = [
        np.nan_to_num(_on_plane(tilt, (facing + turned) % 360, zenith, azimuth, ghi, dni, dhi))
        for tilt, facing in PLANES
    ]
    return _means(ghi, fold), np.stack([_means(p, fold) for p in on_planes], axis=1)


def _points(grid: Grid) -> tuple[pd.DatetimeIndex, int]:
    """Instants in the middle of equal parts of each interval, and how many parts there are."""
    step_min = grid.step.total_seconds() / 60
    fold = max(1, round(step_min / FINEST_MIN))
    part = grid.step / fold
    start = pd.Timestamp(grid.start) + part / 2
    return pd.date_range(start, periods=grid.count * fold, freq=part), fold


def _on_plane(
    tilt: float,
    facing: float,
    zenith: NDArray[np.float64],
    azimuth: NDArray[np.float64],
    ghi: NDArray[np.float64],
    dni: NDArray[np.float64],
    dhi: NDArray[np.float64],
) -> NDArray[np.float64]:
    beam = irradiance.beam_component(tilt, facing, zenith, azimuth, dni)
    diffuse = irradiance.isotropic(tilt, dhi)
    ground = irradiance.get_ground_diffuse(tilt, ghi, ALBEDO)
    total: NDArray[np.float64] = beam + diffuse + ground
    return total


def _means(values: NDArray[np.float64], fold: int) -> NDArray[np.float64]:
    means: NDArray[np.float64] = values.reshape(-1, fold).mean(axis=1)
    return means
