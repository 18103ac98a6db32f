"""The utility's feed: what a controller may know of area, weather and meters before the day.

A folder with `area_load.parquet` (up to the epoch), `weather_forecast.parquet` (issued at the
epoch) and `meters/DATE.parquet` (every meter's quarter hours up to the epoch), made by the same
physics and seed as the day that follows. Beside it, and not for the controller, the state of all
devices at the epoch.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from controller.model.ids import MeterId
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Interval
from simulators.plant import Plant
from simulators.scenario import Scenario
from simulators.truth import Truth
from simulators.world import World

AREA_FILE = "area_load.parquet"
WEATHER_FILE = "weather_forecast.parquet"
METER_FOLDER = "meters"
STATE_FILE = "devices.npz"
HISTORY_STEP = timedelta(minutes=5)

_INSTANT = pa.timestamp("s", tz="UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFolder:
    """Where things were written: `feed` for the controller, `state` for the simulators."""

    feed: Path
    state: Path
    meter_rows: int


def write_feed(
    folder: Path, state: Path, config: Config, scenario: Scenario, seed: int
) -> FeedFolder:
    """Write the feed into `folder` and the devices' state at the epoch to `state` (.npz)."""
    world = scenario.world(seed)
    (folder / METER_FOLDER).mkdir(parents=True, exist_ok=True)
    state.parent.mkdir(parents=True, exist_ok=True)
    _write_area(folder / AREA_FILE, world, scenario.epoch)
    _write_weather(folder / WEATHER_FILE, world, scenario)
    rows = _write_meters(folder / METER_FOLDER, state, config, world, scenario, seed)
    return FeedFolder(feed=folder, state=state, meter_rows=rows)


def write_meter_day(folder: Path, config: Config, truth: Truth) -> Path:
    """The metering operator's later hand-over: every meter from the epoch to the day's end."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = [r.meter_id for r in truth.resources(config)]
    day = (truth.grid.end - timedelta(hours=12)).astimezone(truth.timezone).date()
    path = folder / f"{day.isoformat()}.parquet"
    write_meters(path, truth.grid, ids, truth.controlled_kw)
    return path


def write_meters(path: Path, grid: Grid, meter_ids: list[MeterId], kw: NDArray[np.floating]) -> int:
    """One file of (grid.count, len(meter_ids)) means, meter by meter; returns its rows.

    Columns `meter_id` (dictionary), `time_utc` (start), `kw` (float32, whole watts).
    """
    count = len(meter_ids)
    indexes = np.repeat(np.arange(count, dtype=np.int32), grid.count)
    names = pa.DictionaryArray.from_arrays(indexes, pa.array([str(m) for m in meter_ids]))
    values = np.round(kw.T.astype(np.float64), 3).astype(np.float32).ravel()
    table = pa.table(
        {
            "meter_id": names,
            "time_utc": pa.array(np.tile(_seconds(grid), count), type=_INSTANT),
            "kw": values,
        }
    )
    pq.write_table(table, path, compression="zstd", use_dictionary=["meter_id", "time_utc"])
    return count * grid.count


def _write_area(path: Path, world: World, epoch: datetime) -> None:
    grid = world.grid.within(Interval(start=world.grid.start, end=epoch))
    table = pa.table(
        {
            "time_utc": pa.array(_seconds(grid), type=_INSTANT),
            "load_kw": world.area_on(grid).values,
            "temp_c": world.outdoor_on(grid),
        }
    )
    pq.write_table(table, path)


def _write_weather(path: Path, world: World, scenario: Scenario) -> None:
    mae_c = scenario.page.weather.mae_c
    grid = Grid.over(Interval(start=scenario.epoch, end=scenario.day.end), QUARTER_HOUR)
    forecast = world.weather_forecast(scenario.epoch, grid, mae_c)
    issued_s = int(scenario.epoch.timestamp())
    table = pa.table(
        {
            "time_utc": pa.array(_seconds(grid), type=_INSTANT),
            "temp_forecast_c": np.round(forecast.values, 1),
            "mae_c": np.full(grid.count, mae_c),
            "issued_at": pa.array(np.full(grid.count, issued_s), type=_INSTANT),
        }
    )
    pq.write_table(table, path)


def _write_meters(
    folder: Path, state: Path, config: Config, world: World, scenario: Scenario, seed: int
) -> int:
    """Run the whole fleet from the first day to the epoch, one file per local day."""
    plant = Plant(
        config,
        world,
        config.fleet.resources,
        seed,
        scenario.history_start,
        step=HISTORY_STEP,
        twins=False,
    )
    ids = [r.meter_id for r in config.fleet]
    rows = 0
    while plant.now < scenario.epoch:
        day = plant.now.astimezone(world.timezone).date()
        until = min(plant.next_midnight(plant.now), scenario.epoch)
        while plant.now < until:
            plant.run_step()
        grid, means = plant.drain()
        rows += write_meters(folder / f"{day.isoformat()}.parquet", grid, ids, means[:, 0, :])
    plant.save(state)
    return rows


def _seconds(grid: Grid) -> NDArray[np.int64]:
    step_s = int(grid.step.total_seconds())
    return int(grid.start.timestamp()) + step_s * np.arange(grid.count, dtype=np.int64)
