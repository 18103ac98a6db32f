"""The feed knows nothing of the day; the truth puts the processes' parts together."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from controller.errors import InputError
from controller.meters import read_meter_files
from controller.model.ids import ResourceId
from controller.model.settings import Config
from simulators.feed import FeedFolder, write_feed, write_meter_day
from simulators.population import Population
from simulators.scenario import Scenario, read_scenario
from simulators.truth import day_document, read_parts, write_part, write_truth
from tests.simulator_cases import DEMO, MELBOURNE, a_config, a_setpoint, local

ZONE = ZoneInfo(MELBOURNE)
HOUR = timedelta(hours=1)
Played = tuple[Config, Scenario, FeedFolder]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A feed from the 24th on, and the state of the devices at the epoch."""
    folder = tmp_path_factory.mktemp("feed")
    text = (DEMO / "scenarios" / "day.toml").read_text()
    text = text.replace("../area", str(DEMO / "area")).replace(
        "start = 2014-01-01 ", "start = 2014-01-24 "
    )
    (folder / "day.toml").write_text(text)
    scenario = read_scenario(folder / "day.toml", MELBOURNE)
    config = a_config(homes=3)
    return (
        config,
        scenario,
        write_feed(folder / "feed", folder / "devices.npz", config, scenario, 5),
    )


def a_half(played: Played, ids: list[ResourceId]) -> Population:
    config, scenario, feed = played
    return Population(config, scenario.world(5), ids, 5, scenario.epoch, saved=feed.state)


def test_nothing_in_the_feed_knows_the_day(played: Played):
    _, scenario, feed = played
    for path in [feed.feed / "area_load.parquet", *sorted(feed.feed.glob("meters/*.parquet"))]:
        last: datetime = max(pq.read_table(path).column("time_utc").to_pylist())
        assert last < scenario.epoch
    weather = pq.read_table(feed.feed / "weather_forecast.parquet")
    assert weather.column_names == ["time_utc", "temp_forecast_c", "mae_c", "issued_at"]
    forecast = weather.column("temp_forecast_c").to_numpy()
    real = [scenario.world(5).outdoor_c(t) for t in weather.column("time_utc").to_pylist()]
    assert 0.5 < np.mean(np.abs(forecast - real)) < 1.2


def test_the_meters_can_be_imported_whole(played: Played):
    config, scenario, feed = played
    files = sorted(feed.feed.glob("meters/*.parquet"))
    assert [p.stem for p in files] == [f"2014-01-{d}" for d in range(24, 28)]
    imported = read_meter_files(files, config.fleet.meters)
    quarters = (scenario.epoch - scenario.history_start) // timedelta(minutes=15)
    assert imported.values.shape == (quarters, len(config.fleet))
    assert imported.rows == feed.meter_rows == quarters * len(config.fleet)
    assert np.isfinite(imported.values).all()


def test_the_same_seed_writes_the_same_feed(played: Played, tmp_path: Path):
    config, scenario, feed = played
    again = write_feed(tmp_path / "feed", tmp_path / "devices.npz", config, scenario, 5)
    for name in ("meters/2014-01-26.parquet", "weather_forecast.parquet"):
        assert pq.read_table(feed.feed / name) == pq.read_table(again.feed / name)


def test_the_day_begins_where_the_history_ended(played: Played):
    config, scenario, feed = played
    population = a_half(played, [r.id for r in config.fleet])
    table = read_meter_files([feed.feed / "meters" / "2014-01-27.parquet"], config.fleet.meters)
    population.advance(scenario.epoch + timedelta(minutes=15))
    before, after = table.values[-1], population.truth().controlled_kw[0]
    sites = [i for i, r in enumerate(config.fleet) if r.rated_kw > 100]
    np.testing.assert_allclose(after[sites], before[sites], rtol=0.15)


def test_the_truth_is_the_difference_between_two_runs(played: Played, tmp_path: Path):
    config, scenario, _ = played
    ids = [r.id for r in config.fleet]
    parts = [ids[::2], ids[1::2]]
    for k, half in enumerate(parts):
        population = a_half(played, half)
        if ResourceId("furnace-1") in half:
            setpoint = a_setpoint("furnace-1", local(28, 15), local(28, 16), 400.0)
            population.command(setpoint, local(28, 15))
            population.command(setpoint, local(28, 15, 1))
        population.advance(local(28, 22, 10))
        write_part(tmp_path / f"part-{k}.npz", population)
    truth = read_parts(sorted(tmp_path.glob("part-*.npz")), ZONE)
    document = day_document(truth, config, scenario.world(5), scenario.day)
    write_truth(tmp_path / "truth.json", document)
    assert json.loads((tmp_path / "truth.json").read_text()) == document
    rows = {row["start"]: row for row in document["intervals"]}
    assert len(rows) == 96
    called = rows[local(28, 15, 30).isoformat()]
    assert 250 < called["true_kw"] < 450
    assert called["load_with_kw"] == pytest.approx(
        called["load_without_kw"] - called["true_kw"], abs=0.002
    )
    assert rows[local(28, 14, 45).isoformat()]["true_kw"] == 0
    assert document["actual_peak_kw"] == max(r["load_without_kw"] for r in rows.values())
    assert set(document["by_contract"]) == {"furnace-1"}
    assert (document["setpoints_executed"], len(document["setpoints_repeated"])) == (1, 1)
    meter_day = write_meter_day(tmp_path / "after", config, truth)
    assert meter_day.name == "2014-01-28.parquet"
    imported = read_meter_files([meter_day], config.fleet.meters)
    assert imported.values.shape == (28 * 4, len(config.fleet))
    column = list(config.fleet.meter_index_of).index(config.fleet.meters[0].id)
    own = truth.controlled_kw[:, truth.resource_ids.index(config.fleet.resources[0].id)]
    np.testing.assert_allclose(imported.values[:, column], own, atol=0.001)


def test_a_missing_or_broken_part_is_named(tmp_path: Path):
    (tmp_path / "broken.npz").write_text("no")
    with pytest.raises(InputError) as caught:
        read_parts([tmp_path / "broken.npz", tmp_path / "absent.npz"], ZONE)
    assert len(caught.value.faults) == 2
