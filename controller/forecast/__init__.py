"""Forecasts: what will be drawn, how surely, and what of it can be given up.

What lives here, all pure functions of arrays and model values:

- `load`: the area's load a day ahead from a few weeks of history (`bands` makes its band from the
  errors of earlier days); the demo's model
- `rolling`: any loads a day ahead from months or years of history: `stations`, `weather` and
  `weather_forecast` make the columns, `online_ridge`, `residual` and `boost` are the members, `mix`
  their mean, `intervals` the band, `simulate_peak` the day's peak; `members` strings them
- `case`, `naive` and `figures`: what a backtest asks, the peer every one has, and the scores
- `clean`, `doubts` and `usual`: readings that are not trusted, and why; `newcomer`: a series
  without history borrows from its like
- `intraday`: the rest of the day, corrected by the readings so far
- `pv` and `clear_sky`: generation of a site
- `operating`: the best estimate of many meters at once, and its correction by fresh readings
- `appliances`: what of a home's net meter is the appliance behind it
- `flexibility`: what a contract or a cohort can shed of that
- `peak`: how likely a limit is exceeded, and the target that shaves the peak
- `features` and `ridge`: calendar, weather and the regression that `load` and `operating` share
- `resample`: half hours to quarter hours, fine readings to means

To add a model of the area's load: a module with a function of `forecast_load`'s signature that
returns a `Forecast` with its own `model` name, never reads anything after `made_at`, passes the
tests in tests/test_forecast_load.py, and beats `load` in bench/bench_forecast_day.py on days it
was not chosen on. To add a kind of appliance: how it gives itself away on the meter, in
`appliances`.

Names are taken from the modules when first used, so that importing one loads only what it needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.forecast.appliances import appliance_kw
    from controller.forecast.bands import QUANTILES
    from controller.forecast.flexibility import cohort_flexibility, site_flexibility
    from controller.forecast.load import forecast_load
    from controller.forecast.operating import correct, operating_forecast, weather_share
    from controller.forecast.peak import exceedance, quantile_kw, shaving_target
    from controller.forecast.resample import split_half_hours

_HOME = {
    "QUANTILES": "bands",
    "appliance_kw": "appliances",
    "cohort_flexibility": "flexibility",
    "correct": "operating",
    "exceedance": "peak",
    "forecast_load": "load",
    "operating_forecast": "operating",
    "quantile_kw": "peak",
    "shaving_target": "peak",
    "site_flexibility": "flexibility",
    "split_half_hours": "resample",
    "weather_share": "operating",
}

__all__ = [
    "QUANTILES",
    "appliance_kw",
    "cohort_flexibility",
    "correct",
    "exceedance",
    "forecast_load",
    "operating_forecast",
    "quantile_kw",
    "shaving_target",
    "site_flexibility",
    "split_half_hours",
    "weather_share",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
