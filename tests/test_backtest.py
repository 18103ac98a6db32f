"""`peakshare backtest` and `forecast` on files: nothing leaks, figures are what they say."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller import cli
from controller.app.ahead import Ahead, forecast_files
from controller.app.backtest import Asked, Model, prepared, run_backtest, scaled_back
from controller.app.local_days import day_edges, zone_of
from controller.app.models import MODELS
from controller.errors import InputError
from controller.forecast.case import Weather
from controller.forecast.figures import figures, overall
from controller.forecast.naive import QUANTILES, with_plain_peaks
from controller.meters.load_files import LoadFiles, read_load_files
from controller.model.time import Grid
from tests.load_cases import START, day, load_csv, shape, times, write

DAYS = 60
FIRST, LAST = date(2024, 2, 20), date(2024, 2, 21)
SMALL = ("day-effects", "seasonal-naive")

Change = Callable[[np.ndarray], None]


def asked(*, weather: Weather = "none", lag_days: int = 0, zone: str = "UTC") -> Asked:
    return Asked(
        timezone=zone, country=None, first=FIRST, last=LAST, lag_days=lag_days, weather=weather
    )


def frame(days: int = DAYS) -> pd.DataFrame:
    """A load that follows its temperature, and the forecasts issued for it."""
    temp = 12 + 8 * np.sin(2 * np.pi * np.arange(days * 24) / 24) + shape(days, seed=5) / 250
    load = shape(days) + 12 * np.maximum(temp - 16, 0)
    issued = temp + 0.5 * np.random.default_rng(7).standard_normal(len(temp))
    return pd.DataFrame({
        "time_utc": times(days * 24), "load_kw": load, "temp_c": temp, "temp_forecast_c": issued,
    })  # fmt: skip


def files_of(folder: Path, rows: pd.DataFrame) -> LoadFiles:
    return read_load_files(write(folder / "load.parquet", rows))


def quiet(what: str, done: int, of: int) -> None:
    """Nobody looks."""


def answer(folder: Path, rows: pd.DataFrame, asked: Asked, model: Model) -> np.ndarray:
    """(quantiles, rows of the first asked day) of a backtest."""
    case, cleaned = prepared(files_of(folder, rows), asked)
    rolled = scaled_back(case, cleaned, model(case, quiet))
    return rolled.kw[:, 0, case.rows(case.first_day)]


ORIGIN = 50 * 24
FUTURE_LOAD: dict[str, Change] = {
    "a doubled load": lambda load: load.__setitem__(slice(ORIGIN, None), 2 * load[ORIGIN:]),
    "a gap": lambda load: load.__setitem__(slice(ORIGIN, None), np.nan),
    "a spike": lambda load: load.__setitem__(ORIGIN + 3, 1e6),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("change", list(FUTURE_LOAD))
def test_a_load_after_the_origin_moves_nothing(tmp_path: Path, name: str, change: str):
    rows = frame()
    before = answer(tmp_path, rows, asked(weather="issued"), MODELS[name])
    load = rows.load_kw.to_numpy(copy=True)
    FUTURE_LOAD[change](load)
    rows["load_kw"] = load
    assert np.isfinite(before).any()
    np.testing.assert_array_equal(
        before, answer(tmp_path, rows, asked(weather="issued"), MODELS[name])
    )


@pytest.mark.parametrize("name", SMALL)
def test_with_loads_known_to_the_day_before_yesterday_yesterday_moves_nothing(
    tmp_path: Path, name: str
):
    rows = frame()
    before = answer(tmp_path, rows, asked(lag_days=1), MODELS[name])
    rows.loc[rows.index >= ORIGIN - 24, "load_kw"] *= 1.1
    np.testing.assert_array_equal(before, answer(tmp_path, rows, asked(lag_days=1), MODELS[name]))


@pytest.mark.parametrize("weather", ["issued", "none"])
@pytest.mark.parametrize("name", SMALL)
def test_a_temperature_measured_after_the_origin_moves_nothing(
    tmp_path: Path, name: str, weather: Weather
):
    rows = frame()
    before = answer(tmp_path, rows, asked(weather=weather), MODELS[name])
    rows.loc[rows.index >= ORIGIN, "temp_c"] += 9
    np.testing.assert_array_equal(
        before, answer(tmp_path, rows, asked(weather=weather), MODELS[name])
    )


@pytest.mark.parametrize("name", SMALL)
def test_a_temperature_issued_for_later_days_moves_nothing(tmp_path: Path, name: str):
    rows = frame()
    before = answer(tmp_path, rows, asked(weather="issued"), MODELS[name])
    rows.loc[rows.index >= ORIGIN + 24, "temp_forecast_c"] -= 9
    np.testing.assert_array_equal(
        before, answer(tmp_path, rows, asked(weather="issued"), MODELS[name])
    )


@pytest.mark.parametrize("lag_days", [0, 1])
def test_nothing_of_the_future_moves_the_ensemble(tmp_path: Path, lag_days: int):
    """Loads, measured temperatures and issues for later days, all changed at once."""
    rows, origin = frame(112), 110 * 24
    span = Asked(timezone="UTC", country="US", first=day(110).date(), last=day(110).date(),
                 lag_days=lag_days, weather="issued")  # fmt: skip
    before = answer(tmp_path, rows, span, MODELS["ensemble"])
    rows.loc[rows.index >= origin - 24 * lag_days, "load_kw"] *= 1.1
    rows.loc[origin + 5, "load_kw"] = np.nan
    rows.loc[rows.index >= origin, "temp_c"] += 9
    rows.loc[rows.index >= origin + 24, "temp_forecast_c"] -= 9
    np.testing.assert_array_equal(before, answer(tmp_path, rows, span, MODELS["ensemble"]))
    rows.loc[rows.index == origin - 25 - 24 * lag_days, "load_kw"] *= 1.1
    assert not np.array_equal(before, answer(tmp_path, rows, span, MODELS["ensemble"]))


def test_the_day_before_moves_the_forecast(tmp_path: Path):
    """The leakage tests would see a leak: what is known does move the forecast."""
    rows = frame()
    before = answer(tmp_path, rows, asked(), MODELS["day-effects"])
    rows.loc[(rows.index >= ORIGIN - 24) & (rows.index < ORIGIN), "load_kw"] *= 1.1
    assert not np.array_equal(before, answer(tmp_path, rows, asked(), MODELS["day-effects"]))


def test_figures_by_hand(tmp_path: Path):
    """A flat forecast 10 % high, with bands of ±20 %, on a load of 100 with a peak of 150."""
    load = np.full(DAYS * 24, 100.0) + 0.01 * (np.arange(DAYS * 24) % 5)
    load[20::24] = 150.0
    files = files_of(tmp_path, pd.DataFrame({"time_utc": times(len(load)), "load_kw": load}))
    case, _ = prepared(files, asked())
    kw = np.repeat(1.1 * load[None], len(QUANTILES), axis=0)[:, None]
    kw[:5] *= 0.8 / 1.1
    rolled = with_plain_peaks(case, "by hand", QUANTILES, kw)
    made = figures(case, rolled, files.kw, 0)
    assert made.days == 2
    assert made.mape_pct == pytest.approx(10)
    assert made.wape_pct == pytest.approx(10)
    assert made.peak_mape_pct == made.peak_mape_top10_pct == pytest.approx(10)
    assert made.peak_hit_1h_pct == 100
    assert made.cover_80_pct == 100
    low, high = (0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.7, 0.8, 0.9)
    by_hand = (sum(20 * q for q in low) + sum(10 * (1 - q) for q in high)) / 9
    assert made.pinball_pct == pytest.approx(by_hand, rel=1e-6)
    assert overall([made, made]) == made


def test_days_without_enough_load_are_dropped_and_counted(tmp_path: Path):
    rows = frame()
    rows.loc[(rows.index >= ORIGIN) & (rows.index < ORIGIN + 12), "load_kw"] = np.nan
    rows.loc[ORIGIN + 30, "load_kw"] = np.nan
    result = run_backtest(files_of(tmp_path, rows), asked(), MODELS["seasonal-naive"], quiet)
    assert result.series["all"].days == 1
    assert result.dropped_days == {"all": 1}


def test_the_naive_is_the_same_time_a_week_before(tmp_path: Path):
    rows = frame()
    made = answer(tmp_path, rows, asked(), MODELS["seasonal-naive"])
    week = rows.load_kw.to_numpy()[ORIGIN - 168 : ORIGIN - 144]
    np.testing.assert_array_equal(made[QUANTILES.index(0.5)], week)
    assert (np.diff(made, axis=0) >= 0).all()


def test_days_begin_at_local_midnight_whatever_the_clocks_do():
    grid = Grid(start=START, step=timedelta(hours=1), count=366 * 24)
    days, edges = day_edges(grid, zone_of("Europe/Berlin"))
    length = dict(zip(days, np.diff(edges).tolist(), strict=True))
    assert (days[0], edges[0]) == (date(2024, 1, 2), 23)
    assert (length[date(2024, 3, 31)], length[date(2024, 10, 27)]) == (23, 25)
    assert set(length.values()) == {23, 24, 25}
    assert zone_of("UTC-05:00").utcoffset(None) == timedelta(hours=-5)
    with pytest.raises(InputError, match="Mars"):
        zone_of("Mars/Olympus")


def test_an_interval_across_midnight_belongs_to_the_day_that_begins():
    """India is half an hour off the hour: the interval is not known at midnight."""
    grid = Grid(start=START, step=timedelta(hours=1), count=72)
    _, edges = day_edges(grid, zone_of("Asia/Kolkata"))
    assert edges[0] == 18


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC+12:45"])
def test_a_backtest_runs_over_clock_changes_and_odd_zones(tmp_path: Path, zone: str):
    rows = frame(80)
    span = Asked(
        timezone=zone, country="US", first=date(2024, 3, 10), last=date(2024, 3, 11), lag_days=0,
        weather="actual",
    )  # fmt: skip
    for name in SMALL:
        result = run_backtest(files_of(tmp_path, rows), span, MODELS[name], quiet)
        assert result.series["all"].days == 2
        assert (result.series["all"].mape_pct or 99) < 15


def test_a_forecast_looks_at_nothing_behind_its_issue(tmp_path: Path):
    rows = frame()
    at = day(50) + timedelta(hours=9)

    def made(rows: pd.DataFrame) -> Ahead:
        return forecast_files(
            files_of(tmp_path, rows), issued_at=at, horizon=timedelta(hours=30), timezone="UTC",
            country=None, weather=None, model=MODELS["day-effects"], progress=quiet,
        )  # fmt: skip

    before = made(rows)
    rows.loc[rows.index >= ORIGIN + 9, ["load_kw", "temp_c"]] *= 1.5
    np.testing.assert_array_equal(before.kw, made(rows).kw)
    assert before.grid.start == day(50) + timedelta(hours=9)
    assert before.grid.count == 30
    assert np.isfinite(before.kw).all()


def test_readings_of_a_day_that_has_begun_bring_its_rest_nearer(tmp_path: Path):
    """A day that runs 8 % high: told by nine hours of it, the rest is forecast higher."""
    rows = frame()
    usual = rows.load_kw.to_numpy(copy=True)[ORIGIN + 9 : ORIGIN + 24]
    rows.loc[rows.index >= ORIGIN, "load_kw"] *= 1.08
    files = files_of(tmp_path, rows)
    errors = {}
    for hour in (0, 9):
        made = forecast_files(
            files, issued_at=day(50) + timedelta(hours=hour), horizon=timedelta(hours=24 - hour),
            timezone="UTC", country=None, weather=None, model=MODELS["day-effects"],
            progress=quiet,
        )  # fmt: skip
        middle = made.kw[made.quantiles.index(0.5), 0][9 - hour :]
        errors[hour] = np.abs(middle - 1.08 * usual).mean()
    assert errors[9] < 0.9 * errors[0]


def test_a_newcomer_in_the_file_borrows_and_says_so(tmp_path: Path):
    zones = []
    for z, level in (("old", 1000.0), ("older", 500.0)):
        zones.append(pd.DataFrame({"time_utc": times(DAYS * 24), "site": z,
                                   "load_kw": shape(DAYS, level=level, seed=len(z))}))  # fmt: skip
    new = pd.DataFrame({"time_utc": times(DAYS * 24), "site": "new",
                        "load_kw": shape(DAYS, level=100.0, seed=8)}).tail(72)  # fmt: skip
    silent = pd.DataFrame({"time_utc": times(1), "site": "silent", "load_kw": [np.nan]})
    files = read_load_files(write(tmp_path / "l.csv", pd.concat([*zones, new, silent])))
    made = forecast_files(
        files, issued_at=files.known_until, horizon=timedelta(hours=24), timezone="UTC",
        country=None, weather=None, model=MODELS["day-effects"], progress=quiet,
    )  # fmt: skip
    at = files.ids.index("new")
    truth = shape(DAYS + 1, level=100.0, seed=8)[-24:]
    assert made.kw[made.quantiles.index(0.5), at] == pytest.approx(truth, rel=0.2)
    assert any("new: too little history" in note for note in made.notes)
    assert list(made.refused) == ["silent"]


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.obey([str(w) for w in words])
    heard = capsys.readouterr()
    return code, heard.out, heard.err


def test_the_command_prints_the_figures_as_json(tmp_path: Path, capsys):
    load = load_csv(tmp_path, wind=1.0)
    code, out, err = said(
        capsys, "backtest", "--load", load, "--timezone", "UTC", "--from", "2024-02-10", "--to",
        "2024-02-12", "--model", "day-effects", "--json",
    )  # fmt: skip
    assert code == 0, err
    made = json.loads(out)
    assert {"series", "overall", "naive", "train_s", "forecast_s", "rss_mb_max"} <= set(made)
    keys = ["days", "mape_pct", "wape_pct", "peak_mape_pct", "peak_hit_1h_pct",
            "peak_mape_top10_pct", "pinball_pct", "cover_80_pct"]  # fmt: skip
    assert list(made["series"]["all"]) == keys
    assert made["overall"]["days"] == 3
    assert list(made["naive"]) == ["series", "overall"]
    assert err.count("columns ignored: wind") == 1
    assert "3 of 3 days" in err


def test_the_command_forecasts_a_file_with_its_limit(tmp_path: Path, capsys):
    load = load_csv(tmp_path)
    code, out, err = said(
        capsys, "forecast", "--load", load, "--limit", 1100, "--model", "day-effects", "--json"
    )
    assert code == 0, err
    made = json.loads(out)
    rows = made["series"]["all"]["intervals"]
    assert (len(rows), made["unit"], rows[0]["start"]) == (24, "kW", day(50).isoformat())
    assert all(0 <= row["over_limit"] <= 1 for row in rows)
    assert rows[0]["0.1"] <= rows[0]["0.5"] <= rows[0]["0.9"]
    assert sum(row["peak_chance"] for row in rows) == pytest.approx(1)
    assert made["series"]["all"]["peaks"][0]["day"] == "2024-02-20"


def test_the_command_says_which_readings_it_did_not_trust(tmp_path: Path, capsys):
    load = shape(50)
    load[1100:1130] = load[1100]
    path = load_csv(tmp_path, load_kw=load)
    code, out, _ = said(capsys, "forecast", "--load", path, "--model", "day-effects")
    assert code == 0
    assert "not trusted from 2024-02-16" in out
    assert "stuck" in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--from", "2024-01-05", "--to", "2024-02-01"], "--from"),
        (["--from", "2024-02-10", "--to", "2025-02-01"], "--to"),
        (["--from", "2024-02-10", "--to", "2024-02-01"], "not before"),
        (["--from", "soon", "--to", "2024-02-01"], "'soon' is not a date"),
        (["--from", "2024-02-10", "--to", "2024-02-12", "--known-to", "D-3"], "D-1, D-2"),
        (["--from", "2024-02-10", "--to", "2024-02-12", "--country", "XX"], "no country code"),
        (["--from", "2024-02-10", "--to", "2024-02-12", "--temperature-forecast", "issued"],
         "temp_forecast_c"),
    ],
)  # fmt: skip
def test_what_the_files_do_not_hold_is_refused(
    tmp_path: Path, capsys, words: list[str], expected: str
):
    code, out, err = said(
        capsys, "backtest", "--load", load_csv(tmp_path), "--timezone", "UTC", *words
    )
    assert (code, out) == (2, "")
    assert expected in err
