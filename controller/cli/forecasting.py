"""`peakshare forecast --load …` and `peakshare backtest`: forecasts from files, their scores."""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from controller.cli.instants import instant_of
from controller.cli.live import show
from controller.errors import UsageError

_HORIZON: Final = re.compile(r"(?P<count>\d{1,4})\s*(?P<unit>min|m|h|d)")
_UNITS: Final = {"min": "minutes", "m": "minutes", "h": "hours", "d": "days"}


def backtest(
    load: Path,
    temperatures: Sequence[Path],
    *,
    timezone: str,
    country: str | None,
    first: str,
    last: str,
    known_to: str,
    weather: str,
    model: str,
    value: str | None,
    id: str | None,
    as_json: bool,
) -> None:
    """Forecast each day of a span as it would have been, and say how good that was."""
    from controller.app.backtest import Asked, run_backtest
    from controller.app.models import MODELS
    from controller.forecast.case import WEATHERS
    from controller.meters.load_files import read_load_files

    lags = {"D-1": 0, "D-2": 1}
    asked = Asked(
        timezone=timezone,
        country=_country(country),
        first=_date("--from", first),
        last=_date("--to", last),
        lag_days=_one_of("--known-to", known_to.upper(), lags),
        weather=_one_of("--temperature-forecast", weather, {w: w for w in WEATHERS}),
    )
    chosen = _one_of("--model", model, MODELS)
    files = read_load_files(load, temperatures, value=value, id=id)
    _say_ignored(files.ignored)
    with _Bar() as bar:
        result = run_backtest(files, asked, chosen, bar)
    shown = result.shown()
    show(shown, as_json, _table(shown))


def forecast(
    load: Path,
    temperatures: Sequence[Path],
    *,
    horizon: str,
    issued_at: str | None,
    timezone: str,
    country: str | None,
    limit: float | None,
    model: str,
    value: str | None,
    id: str | None,
    as_json: bool,
) -> None:
    """Forecast the series of a file from an instant on."""
    from controller.app.ahead import forecast_files
    from controller.app.models import MODELS
    from controller.meters.load_files import read_load_files

    chosen = _one_of("--model", model, MODELS)
    ahead = _horizon(horizon)
    at = None if issued_at is None else instant_of("--issued-at", issued_at)
    files = read_load_files(load, temperatures, value=value, id=id)
    _say_ignored(files.ignored)
    with _Bar() as bar:
        made = forecast_files(
            files,
            issued_at=at or files.known_until,
            horizon=ahead,
            timezone=timezone,
            country=_country(country),
            weather=None,
            model=chosen,
            progress=bar,
        )
    shown = _forecast_shown(files, made, limit, timezone)
    show(shown, as_json, _forecast_text(shown))
    if len(made.refused) == len(files.ids):
        from controller.errors import InputError

        why = "; ".join(f"{name}: {reason}" for name, reason in made.refused.items())
        raise InputError(f"no series can be forecast: {why}")


def _forecast_shown(files: Any, made: Any, limit: float | None, timezone: str) -> dict[str, Any]:
    """The forecast as JSON, in the file's own unit."""
    from controller.app.local_days import zone_of

    zone, per = zone_of(timezone), files.kw_per_unit
    return {
        "issued_at": made.issued_at.isoformat(),
        "model": made.model,
        "unit": files.unit,
        "step_min": files.grid.step / timedelta(minutes=1),
        "limit": limit,
        "series": {
            name: {
                "intervals": _intervals(made, s, per, limit),
                "peaks": _peaks(made, s, per, zone),
            }
            for s, name in enumerate(files.ids)
            if name not in made.refused
        },
        "not_trusted": [
            {
                "id": d.id, "from": d.start.isoformat(), "to": d.end.isoformat(),
                "reason": d.reason,
            }
            for d in made.doubted
        ],
        "refused": dict(made.refused),
        "ignored": list(files.ignored),
        "notes": list(made.notes),
    }  # fmt: skip


def _intervals(made: Any, series: int, per: float, limit: float | None) -> list[dict[str, Any]]:
    import numpy as np

    from controller.forecast.peak import exceedance
    from controller.model.plans import Forecast

    kw = made.kw[:, series]
    known = ~np.isnan(kw).any(axis=1)
    over = None
    if limit is not None and known.sum() >= 2:
        quantiles = tuple(q for q, k in zip(made.quantiles, known, strict=True) if k)
        one = Forecast(
            made_at=made.issued_at, model=made.model, grid=made.grid, quantiles=quantiles,
            kw=kw[known],
        )  # fmt: skip
        over = exceedance(one, limit * per).values
    rows = []
    for i in range(made.grid.count):
        row: dict[str, Any] = {"start": made.grid.at(i).isoformat()}
        row |= {f"{q:g}": _number(kw[j, i] / per) for j, q in enumerate(made.quantiles)}
        row["peak_chance"] = _number(made.peak_chance[series, i])
        if over is not None:
            row["over_limit"] = _number(over[i])
        rows.append(row)
    return rows


def _peaks(made: Any, series: int, per: float, zone: Any) -> list[dict[str, Any]]:
    out = []
    for d, day in enumerate(made.days):
        at = made.peak_at[series][d]
        kw = made.peak_kw[:, series, d]
        out.append({
            "day": day.isoformat(),
            "at": None if at is None else at.astimezone(zone).isoformat(),
            **{f"{q:g}": _number(kw[j] / per) for j, q in enumerate(made.quantiles)},
        })  # fmt: skip
    return out


def _number(value: float) -> float | None:
    return None if value != value else float(f"{value:.6g}")


def _forecast_text(shown: Mapping[str, Any]) -> str:
    lines = []
    for name, series in shown["series"].items():
        highest = max(series["intervals"], key=lambda row: row["0.5"] or 0.0)
        lines.append(
            f"{name}: highest {highest['0.5']:.6g} {shown['unit']} from {highest['start']} "
            f"({highest.get('0.1') or 0:.6g} to {highest.get('0.9') or 0:.6g} with 80 %)"
        )
    lines += [f"{name}: refused: {why}" for name, why in shown["refused"].items()]
    lines += [
        f"{d['id']}: not trusted from {d['from']} to {d['to']}: {d['reason']}"
        for d in shown["not_trusted"]
    ]
    return "\n".join([*lines, *shown["notes"]])


def _table(shown: Mapping[str, Any]) -> str:
    """The figures side by side, a line per series, then the mean and the naive one."""
    keys = [k for k in shown["overall"] if k != "days"]
    heads = [k.removesuffix("_pct") for k in keys]
    rows = [("series", "days", *heads)]
    named = [*shown["series"].items(), ("overall", shown["overall"])]
    for name, m in [*named, ("naive", shown["naive"]["overall"])]:
        cells = ["–" if m[k] is None else f"{m[k]:.2f}" for k in keys]
        rows.append((name, f"{m['days']:g}", *cells))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    lines.append("all figures but the days in %; naive: the same time a week before")
    lines += [f"{name}: {n} days not scored" for name, n in shown["dropped_days"].items()]
    lines += [
        f"{name}: not trusted: " + ", ".join(f"{n} × {why}" for why, n in reasons.items())
        for name, reasons in shown["doubted_intervals"].items()
    ]
    return "\n".join([*lines, *shown["notes"]])


class _Bar:
    """Progress on stderr: a bar on a terminal, else a line for every tenth of the way."""

    def __enter__(self) -> "_Bar":
        self._said = -1
        self._progress: Any = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._progress = Progress(console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task("", total=1.0)
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        if self._progress is not None:
            self._progress.stop()
        return False

    def __call__(self, what: str, done: int, of: int) -> None:
        if self._progress is not None:
            self._progress.update(self._task, description=what, completed=done, total=of)
        elif (tenth := 10 * done // max(of, 1)) != self._said and of > 1:
            self._said = tenth
            print(f"{what}: {done} of {of} days", file=sys.stderr)


def _say_ignored(ignored: Sequence[str]) -> None:
    if ignored:
        print(f"columns ignored: {', '.join(ignored)}", file=sys.stderr)


def _one_of(option: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise UsageError(f"{option} {value!r} is none of {', '.join(choices)}")
    return choices[value]


def _date(option: str, text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007  a day has no zone
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not a date such as 2013-07-01") from error


def _horizon(text: str) -> timedelta:
    match = _HORIZON.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--horizon {text!r} is no length such as 24h, 90min or 2d")
    return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})


def _country(code: str | None) -> str | None:
    if code is None:
        return None
    import holidays

    country, _, part = code.upper().partition("-")
    known = holidays.list_supported_countries()
    if country not in known:
        raise UsageError(f"--country {code!r} is no country code such as AU or CN")
    if part and part not in known[country]:
        raise UsageError(
            f"--country {code!r}: {country} has {', '.join(known[country]) or 'no'} parts"
        )
    return code.upper()
