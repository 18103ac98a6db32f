"""Operating forecasts: what each resource would draw if nobody called it.

Made once a day ahead from the meters' history; a site's is corrected by its own readings up
to its first call and then frozen (while it is called its readings show the cut, not the
load); homes are corrected live by their uncalled peers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.app.feed import Feed
from controller.forecast.appliances import appliance_kw
from controller.forecast.operating import correct, operating_forecast
from controller.model.ids import ResourceId, ZoneId
from controller.model.plans import Forecast
from controller.model.resources import APPLIANCE_KINDS, Fleet, ResourceKind
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series
from controller.ports import Frames, Journal
from controller.telemetry import Readings


@dataclass(kw_only=True)
class Operating:
    """(n, grid.count) operating forecast by fleet index, with the corrections learnt since."""

    fleet: Fleet
    grid: Grid
    kw: NDArray[np.float64]
    appliance_kw: NDArray[np.float64]
    """Of homes: the part of `kw` that their appliance draws; of sites the whole."""
    frozen: dict[ResourceId, Series] = field(default_factory=dict)
    ratio: dict[ResourceKind, float] = field(default_factory=dict)

    @classmethod
    def empty(cls, fleet: Fleet, at: datetime) -> "Operating":
        """Knows nothing: what there is before the first forecast."""
        grid = Grid(start=at, step=QUARTER_HOUR, count=0)
        nothing = np.empty((len(fleet), 0))
        return cls(fleet=fleet, grid=grid, kw=nothing, appliance_kw=nothing)

    def site(self, resource_id: ResourceId) -> Series:
        """A site's load if it were not called."""
        if resource_id in self.frozen:
            return self.frozen[resource_id]
        return Series(grid=self.grid, values=self.kw[self.fleet.index_of[resource_id]])

    def sites(self) -> Mapping[ResourceId, Series]:
        return {r.id: self.site(r.id) for r in self.fleet if r.kind not in APPLIANCE_KINDS}

    def covers(self, span: Interval) -> bool:
        """Whether the forecast reaches over the whole of `span`."""
        return self.grid.start <= span.start and span.end <= self.grid.end

    def homes(self, members: Sequence[int], grid: Grid) -> NDArray[np.float64]:
        """(len(members), grid.count) load of homes if they were not called; NaN where unknown."""
        return self._on(grid, self.kw[list(members)] * self._ratios(members))

    def appliances(self, members: Sequence[int], grid: Grid) -> NDArray[np.float64]:
        """(len(members), grid.count) what their appliances would draw; NaN where unknown."""
        return self._on(grid, self.appliance_kw[list(members)] * self._ratios(members))

    def _on(self, grid: Grid, kw: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full((len(kw), grid.count), np.nan)
        shift = (grid.start - self.grid.start) // grid.step
        lo, hi = max(0, -shift), min(grid.count, self.grid.count - shift)
        if hi > lo:
            out[:, lo:hi] = kw[:, lo + shift : hi + shift]
        return out

    def _ratios(self, members: Sequence[int]) -> NDArray[np.float64]:
        ratios = [self.ratio.get(self.fleet.resources[m].kind, 1.0) for m in members]
        return np.array(ratios)[:, None]

    def at(self, members: Sequence[int], at: datetime) -> NDArray[np.float64]:
        """(len(members),) load at an instant; NaN outside the forecast."""
        i = self.grid.index(at)
        if not 0 <= i < self.grid.count:
            return np.full(len(members), np.nan)
        return np.array([
            self.site(r.id).values[i] if r.kind not in APPLIANCE_KINDS
            else self.kw[m, i] * self.ratio.get(r.kind, 1.0)
            for m in members
            for r in (self.fleet.resources[m],)
        ])  # fmt: skip

    def freeze(self, resource_id: ResourceId, readings: Readings, now: datetime) -> Series | None:
        """Correct a site by its last two hours and keep that from now on; None if it was."""
        if resource_id in self.frozen:
            return None
        index = self.fleet.index_of[resource_id]
        seen = _quarter_hours(readings, index, now, hours=2.0)
        fresh = correct(self.site(resource_id), seen, until=now)
        self.frozen[resource_id] = fresh
        return fresh


async def recall_frozen(operating: Operating, journal: Journal) -> None:
    """After a restart: the corrected forecasts of the sites that are being called."""
    for resource in operating.fleet:
        if resource.kind not in APPLIANCE_KINDS:
            for forecast in await journal.forecasts(ZoneId(resource.id)):
                if forecast.grid.start == operating.grid.start:
                    kept = forecast.median.on(operating.grid).values
                    made = operating.kw[operating.fleet.index_of[resource.id]]
                    values = np.where(np.isfinite(kept), kept, made)
                    operating.frozen[resource.id] = Series(grid=operating.grid, values=values)


def as_forecast(series: Series, now: datetime) -> Forecast:
    """An operating forecast as it is kept beside the event."""
    return Forecast(
        made_at=now,
        model="operating",
        grid=series.grid,
        quantiles=(0.5,),
        kw=series.values[None, :],
    )


def make_operating(config: Config, history: Frames, feed: Feed, span: Interval) -> Operating:
    """Forecast every resource's meter over `span` from its history (CPU: call it off the loop)."""
    grid = Grid.over(span)
    history_grid, kw = regular(history)
    by_resource = kw[config.fleet.meter_index]
    program = config.programs[config.shaving.program_id]
    forecast = operating_forecast(
        by_resource,
        history_grid,
        feed.temperature,
        feed.weather,
        grid,
        timezone=config.area.timezone,
        holidays=program.holidays,
    )
    appliances = np.array(forecast)
    homes = [i for i, r in enumerate(config.fleet) if r.kind in APPLIANCE_KINDS]
    appliances[homes] = appliance_kw(
        by_resource[homes],
        history_grid,
        forecast[homes],
        feed.temperature,
        feed.weather,
        grid,
        kinds=[config.fleet.resources[i].kind for i in homes],
        rated_kw=config.fleet.rated_kw[homes],
        timezone=config.area.timezone,
        holidays=program.holidays,
    )
    return Operating(fleet=config.fleet, grid=grid, kw=forecast, appliance_kw=appliances)


def regular(frames: Frames) -> tuple[Grid, NDArray[np.float64]]:
    """Meter frames as (meters, times) on a gapless 15-minute grid; NaN where a time is missing."""
    start, end = min(frames.times), max(frames.times) + QUARTER_HOUR
    grid = Grid.over(Interval(start=start, end=end))
    out = np.full((frames.values.shape[1], grid.count), np.nan)
    columns = [grid.index(at) for at in frames.times]
    out[:, columns] = frames.values.T
    return grid, out


def _quarter_hours(readings: Readings, index: int, now: datetime, hours: float) -> Series:
    """A resource's finished quarter hours before `now`, as far as the readings go."""
    end = datetime.fromtimestamp(now.timestamp() // 900 * 900, UTC)
    count = int(hours * 4)
    grid = Grid(start=end - QUARTER_HOUR * count, step=timedelta(minutes=15), count=count)
    values = [float(readings.mean_kw(grid.interval(i))[index]) for i in range(count)]
    return Series(grid=grid, values=np.array(values))
