"""Verify: what meters show, judged against the operating forecast."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from controller import telemetry
from controller.app.steering import _failure_text
from controller.errors import DeviceError
from controller.model.commands import Quality, Reading
from controller.model.ids import ContractId, MeterId
from controller.model.resources import ResourceKind
from controller.model.settings import VerifyRules
from controller.model.time import Interval
from controller.telemetry import Readings
from controller.verify import Called, Health, needs_replan, peers_ratio, verify
from tests.fakes import FakeLink, SetClock, a_fleet, a_resource

NOW = datetime(2014, 1, 28, 5, tzinfo=UTC)
RULES = VerifyRules(
    every=timedelta(minutes=5), shortfall_frac=0.03, surplus_frac=0.1, failed_below_frac=0.4,
    settle_time=timedelta(minutes=8),
)  # fmt: skip


def a_site(measured: float, *, minutes: float = 30, name: str = "mill") -> Called:
    return Called(
        of=ContractId(name), contract_id=ContractId(name), since=NOW - timedelta(minutes=minutes),
        committed_kw=200.0, operating_kw=500.0, measured_kw=measured, single=True,
    )  # fmt: skip


def test_a_lying_device_is_found_by_its_meter():
    """It acknowledged and did nothing: its meter still shows the full load."""
    seen = verify([a_site(498.0)], NOW, 200.0, RULES)

    assert seen.verdicts[0].health is Health.FAILED
    assert needs_replan(seen, RULES) == "failed: mill"


def test_a_site_that_still_ramps_is_given_time():
    seen = verify([a_site(450.0, minutes=3)], NOW, 200.0, RULES)

    assert seen.verdicts[0].health is Health.SETTLING
    assert needs_replan(seen, RULES) is None


def test_a_silent_site_is_replaced_not_trusted():
    seen = verify([a_site(float("nan"))], NOW, 200.0, RULES)

    assert seen.verdicts[0].health is Health.SILENT
    assert seen.delivered_kw == 0.0


def test_a_silent_site_is_told_in_words_and_not_as_a_number():
    (silent,) = verify([a_site(float("nan"))], NOW, 200.0, RULES).failed
    (lying,) = verify([a_site(498.0)], NOW, 200.0, RULES).failed

    assert _failure_text(silent) == "silent: no reading while called for 200 kW"
    assert _failure_text(lying) == "failed: 2 of 200 kW"


def test_a_drift_of_the_whole_is_replanned_in_both_directions():
    assert needs_replan(verify([a_site(300.0)], NOW, 200.0, RULES), RULES) is None
    assert "less than" in str(needs_replan(verify([a_site(320.0)], NOW, 200.0, RULES), RULES))
    assert "more than" in str(needs_replan(verify([a_site(250.0)], NOW, 200.0, RULES), RULES))


def test_uncalled_peers_correct_the_forecast_of_the_called():
    measured, forecast = np.full(60, 1.2), np.full(60, 1.0)
    measured[:20] = 0.5
    called = np.arange(60) < 20

    assert peers_ratio(measured, forecast, called) == 1.2
    assert peers_ratio(measured, forecast, called, least=50) is None


def test_readings_are_means_over_exactly_the_asked_minutes():
    readings = Readings(a_fleet(a_resource("f1"), a_resource("f2")))
    readings.take([_reading(m, 100.0 + m) for m in range(10)])

    mean = readings.mean_kw(
        Interval(start=NOW + timedelta(minutes=4), end=NOW + timedelta(minutes=7))
    )

    assert mean[0] == 106.0
    assert np.isnan(mean[1])


def test_a_reading_of_an_unknown_meter_is_counted_and_dropped():
    readings = Readings(a_fleet(a_resource("f1")))

    readings.take([_reading(0, 1.0, meter="stranger")])

    assert readings.unknown == 1
    assert readings.received == 0


def test_a_reading_older_than_the_ring_changes_nothing():
    readings = Readings(a_fleet(a_resource("f1")))
    readings.take([_reading(200, 50.0), _reading(72, 999.0)])

    assert readings.latest_kw([a_resource("f1").id]) == {"f1": 50.0}
    assert readings.age(NOW + timedelta(minutes=203))[0] == 3


def test_a_clock_that_runs_days_ahead_takes_no_other_reading_away():
    """Its minute shares a place in the ring with one of now, for every device of the fleet."""
    readings = Readings(a_fleet(a_resource("f1"), a_resource("f2")))

    readings.take([_reading(128 * 40, 7.0, meter="m-f2")], NOW)
    readings.take([_reading(0, 50.0)], NOW)

    assert readings.latest_kw([a_resource("f1").id]) == {"f1": 50.0}
    assert readings.odd == 1


def test_what_a_device_calls_missing_or_stale_is_no_news():
    readings = Readings(a_fleet(a_resource("f1")))

    readings.take([_reading(0, 50.0), _reading(0, float("nan"))], NOW)
    for quality in (Quality.MISSING, Quality.STALE):
        readings.take([replace(_reading(1, 0.0), quality=quality)], NOW)

    assert readings.latest_kw([a_resource("f1").id]) == {"f1": 50.0}


def test_an_appliance_is_not_taken_for_the_meter_it_is_behind():
    heater = a_resource("h1", kind=ResourceKind.WATER_HEATER)
    readings = Readings(a_fleet(heater))

    readings.take([_reading(0, 3.0, meter="m-h1")])
    readings.take([replace(_reading(0, 2.0, meter="m-h1"), resource_id=heater.id)])

    assert readings.latest_kw([heater.id]) == {"h1": 3.0}


def test_an_old_reading_is_not_the_latest():
    readings = Readings(a_fleet(a_resource("f1")))
    readings.take([_reading(0, 50.0)])

    assert readings.latest_kw([a_resource("f1").id], since=NOW + timedelta(minutes=5)) == {}


async def test_a_link_that_breaks_off_is_listened_to_again(monkeypatch):
    """Trouble of the outside never ends the process."""
    monkeypatch.setattr(telemetry, "AGAIN_S", 0.0)
    clock = SetClock(NOW)

    class Breaking(FakeLink):
        times = 0

        async def reports(self):
            self.times += 1
            if self.times == 1:
                raise DeviceError("the socket is gone")
            yield [_reading(0, 50.0)]

    readings = Readings(a_fleet(a_resource("f1")))
    await telemetry.collect(Breaking(clock), readings, None, clock, lambda _: None)  # type: ignore[arg-type]

    assert readings.received == 1


def _reading(minute: int, kw: float, meter: str = "m-f1") -> Reading:
    return Reading(
        meter_id=MeterId(meter), at=NOW + timedelta(minutes=minute), power_kw=kw,
        quality=Quality.OK,
    )  # fmt: skip
