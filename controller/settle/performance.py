"""What a meter gave: baseline, metered, committed and delivered in whole Wh per interval."""

import numpy as np
from numpy.typing import NDArray

from controller.model.contracts import Contract
from controller.model.events import Timeline
from controller.model.ids import EventId
from controller.model.money import Performance
from controller.model.resources import Meter
from controller.model.time import Series
from controller.units import WH_PER_KWH, wh, wh_array

_NEAR_A_TIE_WH = 1e-6


def performances(
    event_id: EventId,
    timeline: Timeline,
    contract: Contract,
    meter: Meter,
    baseline: Series,
    metered: Series,
    committed: Series,
) -> tuple[Performance, ...]:
    """One row per interval in which this event rules and the contract was committed.

    Series are kW on grids aligned with the timeline's; outside what they know they are NaN. An
    interval without baseline or meter value is not valid and delivered 0; delivered keeps its
    sign. Raises ValueError for a series of another step.
    """
    grid = timeline.grid
    rules = np.array([ruling == event_id for ruling in timeline.ruling], dtype=bool)
    promised = whole_wh(np.nan_to_num(committed.on(grid).values, nan=0.0), grid.step_h)
    base, met = baseline.on(grid).values, metered.on(grid).values
    known = np.isfinite(base) & np.isfinite(met)
    starts = np.diff(promised > 0, prepend=False) & (promised > 0)
    base_wh = whole_wh(np.nan_to_num(base, nan=0.0), grid.step_h)
    met_wh = whole_wh(np.nan_to_num(met, nan=0.0), grid.step_h)
    return tuple(
        Performance(
            event_id=event_id,
            meter_id=meter.id,
            contract_id=contract.id,
            interval=grid.interval(i),
            baseline_wh=int(base_wh[i]),
            metered_wh=int(met_wh[i]),
            committed_wh=int(promised[i]),
            delivered_wh=int(base_wh[i] - met_wh[i]) if known[i] else 0,
            valid=bool(known[i]),
            starts_run=bool(starts[i]),
        )
        for i in np.flatnonzero(rules & (promised > 0)).tolist()
    )


def whole_wh(kw: NDArray[np.float64], step_h: float) -> NDArray[np.int64]:
    """`units.wh` of every mean: the exact value of the float, rounded once, ties away from zero.

    Floating arithmetic decides where it is sure; close to a tie exact fractions decide, because
    there the product rounds too: 0.018 kW is stored a little below 0.018, so it is below 4.5 Wh.
    """
    out = wh_array(kw, step_h)
    rest = np.abs(np.abs(kw * (step_h * WH_PER_KWH)) % 1.0 - 0.5)
    for i in np.flatnonzero(rest < _NEAR_A_TIE_WH):
        out[i] = wh(float(kw[i]), step_h)
    return out
