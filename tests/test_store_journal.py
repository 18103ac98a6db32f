"""The journal: nothing is overwritten, statuses are folds, commands are sent at most once."""

from datetime import timedelta

import pytest

from controller.clock import SystemClock
from controller.errors import StoreError
from controller.model.commands import Outcome
from controller.model.events import Answer, EventStatus
from controller.model.ids import EventId, SetpointId, ZoneId
from controller.store import open_store
from tests.store_nouns import (
    NOON,
    ZONE,
    a_baseline,
    a_forecast,
    a_notice,
    a_performance,
    a_plan,
    a_receipt,
    a_setpoint,
    a_transfer,
    an_event,
    an_offer,
    an_override,
)

LATER = NOON + timedelta(minutes=1)
DAY_AHEAD = EventId("day-ahead")


@pytest.fixture
async def journal(tmp_path):
    async with open_store(tmp_path, SystemClock()) as store:
        yield store.journal


def ids(setpoints):
    return [s.id for s in setpoints]


async def states(journal):
    return {c.setpoint.id: c.state for c in await journal.commands()}


async def test_everything_is_still_there_after_closing_and_opening(tmp_path):
    async with open_store(tmp_path, SystemClock()) as store:
        j = store.journal
        await j.save_config("abc", b"\x00[area]", NOON)
        await j.save_forecast(ZONE, a_forecast())
        await j.save_event(an_event())
        await j.log_event(DAY_AHEAD, NOON, EventStatus.APPROVED, "rule", "scheduler")
        await j.save_plan(a_plan())
        await j.save_notice(a_notice())
        await j.save_offer(an_offer())
        await j.save_override(an_override())
        await j.save_settlement(DAY_AHEAD, 1, [a_baseline()], [a_performance()])
        await j.post([a_transfer()], NOON)
        await j.audit(NOON, "operator", "approve", "day-ahead", "高峰")
    async with open_store(tmp_path, SystemClock()) as store:
        j = store.journal
        assert await j.configs() == (("abc", NOON, b"\x00[area]"),)
        (forecast,) = await j.forecasts(ZONE)
        assert forecast.peak == a_forecast().peak
        assert await j.forecasts(ZoneId("elsewhere")) == ()
        assert await j.events() == (an_event(status=EventStatus.APPROVED),)
        (entry,) = await j.event_log(DAY_AHEAD)
        assert (entry.at, entry.status, entry.reason) == (NOON, EventStatus.APPROVED, "rule")
        assert entry.actor == "scheduler"
        assert await j.plans() == (a_plan(),)
        assert await j.notices() == (a_notice(),)
        assert await j.offers() == (an_offer(),)
        assert await j.overrides() == (an_override(),)
        assert await j.settlement(DAY_AHEAD) == ((a_baseline(),), (a_performance(),))
        assert await j.transfers() == (a_transfer(),)
        assert await j.audit_log() == ((NOON, "operator", "approve", "day-ahead", "高峰"),)


async def test_an_event_s_revision_is_stored_once_and_the_latest_shows(journal):
    assert await journal.save_event(an_event())
    assert not await journal.save_event(an_event(priority=1)), "nothing is overwritten"
    assert await journal.save_event(an_event("emergency"))
    assert await journal.save_event(an_event(revision=2, priority=7))
    assert await journal.save_event(an_event(revision=1, priority=9)), "late, and not the latest"
    assert [(e.id, e.revision, e.priority) for e in await journal.events()] == [
        ("day-ahead", 2, 7),
        ("emergency", 0, 100),
    ]


async def test_an_event_s_status_is_the_last_one_logged(journal):
    await journal.save_event(an_event())
    await journal.save_event(an_event("other"))
    for status in (EventStatus.APPROVED, EventStatus.ACTIVE):
        await journal.log_event(DAY_AHEAD, NOON, status, "", "app")
    assert [e.status for e in await journal.events()] == [EventStatus.ACTIVE, EventStatus.DRAFT]
    assert [e.status for e in await journal.event_log(DAY_AHEAD)] == [
        EventStatus.APPROVED,
        EventStatus.ACTIVE,
    ]


async def test_an_event_that_is_not_there_has_no_log(journal):
    with pytest.raises(StoreError, match="no event ghost"):
        await journal.log_event(EventId("ghost"), NOON, EventStatus.ACTIVE, "", "app")
    assert await journal.event_log(EventId("ghost")) == ()


async def test_the_same_again_changes_nothing_and_something_else_is_refused(journal):
    for _ in range(2):
        await journal.save_plan(a_plan())
        await journal.save_notice(a_notice())
        await journal.save_override(an_override())
        await journal.save_config("abc", b"1", NOON)
        await journal.save_settlement(DAY_AHEAD, 1, [a_baseline()], [a_performance()])
    with pytest.raises(StoreError, match="plan-1 is already there"):
        await journal.save_plan(a_plan(cost_minor=1))
    with pytest.raises(StoreError, match="notice-1 is already there"):
        await journal.save_notice(a_notice(reply_by=LATER))
    with pytest.raises(StoreError, match="settlement 1 of event day-ahead"):
        await journal.save_settlement(DAY_AHEAD, 1, [a_baseline()], [a_performance(0, 9)])
    assert len(await journal.plans()) == len(await journal.notices()) == 1
    assert len(await journal.overrides()) == len(await journal.configs()) == 1
    assert await journal.settlement(DAY_AHEAD) == ((a_baseline(),), (a_performance(),))


async def test_the_first_answer_to_a_notice_stands(journal):
    assert await journal.save_offer(an_offer())
    assert not await journal.save_offer(an_offer(answer=Answer.NO))
    assert [o.answer for o in await journal.offers()] == [Answer.ACCEPT]


async def test_the_newest_settlement_shows(journal):
    assert await journal.settlement(DAY_AHEAD) == ((), ())
    await journal.save_settlement(DAY_AHEAD, 1, [a_baseline()], [a_performance()])
    await journal.save_settlement(DAY_AHEAD, 2, [], [a_performance(0, 240), a_performance(1)])
    baselines, performances = await journal.settlement(DAY_AHEAD)
    assert baselines == ()
    assert [p.delivered_wh for p in performances] == [240, 250]


async def test_a_command_goes_from_planned_to_sending_to_done(journal):
    fence = await journal.take_fence()
    setpoints = [a_setpoint(n) for n in range(3)]
    await journal.plan_commands(setpoints, NOON)
    assert set((await states(journal)).values()) == {"planned"}
    begun = await journal.begin_sending(ids(setpoints[:2]), fence, LATER)
    assert begun == ("sp-0", "sp-1")
    await journal.end_sending([a_receipt(0, Outcome.REFUSED, detail="locked")], fence)
    done, sending, planned = await journal.commands()
    assert (done.state, done.outcome, done.detail) == ("done", Outcome.REFUSED, "locked")
    assert (done.setpoint, done.at) == (setpoints[0], a_receipt().at)
    assert (sending.state, sending.fence, sending.at) == ("sending", fence, LATER)
    assert (sending.outcome, sending.detail) == (None, "")
    assert (planned.state, planned.fence, planned.at) == ("planned", setpoints[2].fence, NOON)


async def test_a_command_is_begun_once(journal):
    """Two who both saw it planned: one of them sends."""
    fence = await journal.take_fence()
    await journal.plan_commands([a_setpoint(n) for n in range(3)], NOON)
    both = [SetpointId("sp-2"), SetpointId("sp-0"), SetpointId("sp-2"), SetpointId("ghost")]
    assert await journal.begin_sending(both, fence, NOON) == ("sp-2", "sp-0")
    assert await journal.begin_sending([*both, SetpointId("sp-1")], fence, NOON) == ("sp-1",)


async def test_a_done_command_stays_done_with_its_first_outcome(journal):
    fence = await journal.take_fence()
    await journal.plan_commands([a_setpoint()], NOON)
    await journal.begin_sending([SetpointId("sp-0")], fence, NOON)
    await journal.end_sending([a_receipt(0, Outcome.APPLIED)], fence)
    await journal.end_sending([a_receipt(0, Outcome.UNREACHABLE)], fence)
    await journal.plan_commands([a_setpoint()], LATER)
    assert await journal.begin_sending([SetpointId("sp-0")], fence, LATER) == ()
    (command,) = await journal.commands()
    assert (command.state, command.outcome) == ("done", Outcome.APPLIED)


async def test_a_planned_command_that_is_closed_never_goes_out(journal):
    fence = await journal.take_fence()
    await journal.plan_commands([a_setpoint()], NOON)
    await journal.end_sending([a_receipt(0, Outcome.LATE)], fence)
    assert await journal.begin_sending([SetpointId("sp-0")], fence, NOON) == ()


async def test_who_was_taken_over_from_can_neither_begin_nor_end(journal):
    old = await journal.take_fence()
    await journal.plan_commands([a_setpoint(n) for n in range(2)], NOON)
    await journal.begin_sending([SetpointId("sp-0")], old, NOON)
    new = await journal.take_fence()
    assert new > old
    assert await journal.begin_sending([SetpointId("sp-1")], old, NOON) == ()
    await journal.end_sending([a_receipt(0)], old)
    assert await states(journal) == {"sp-0": "sending", "sp-1": "planned"}
    assert await journal.begin_sending([SetpointId("sp-1")], new, NOON) == ("sp-1",)
    await journal.end_sending([a_receipt(0), a_receipt(1)], new)
    assert set((await states(journal)).values()) == {"done"}


async def test_a_fence_that_nobody_took_is_refused(journal):
    await journal.plan_commands([a_setpoint()], NOON)
    for fence in (0, 1, -1):
        with pytest.raises(StoreError, match="never taken"):
            await journal.begin_sending([SetpointId("sp-0")], fence, NOON)
    assert await states(journal) == {"sp-0": "planned"}


async def test_fences_grow_over_restarts(tmp_path):
    taken = []
    for _ in range(3):
        async with open_store(tmp_path, SystemClock()) as store:
            taken.append(await store.journal.take_fence())
    assert taken == [1, 2, 3]


async def test_a_receipt_for_what_was_never_planned_is_refused_whole(journal):
    fence = await journal.take_fence()
    await journal.plan_commands([a_setpoint()], NOON)
    await journal.begin_sending([SetpointId("sp-0")], fence, NOON)
    with pytest.raises(StoreError, match="sp-9"):
        await journal.end_sending([a_receipt(0), a_receipt(9)], fence)
    assert await states(journal) == {"sp-0": "sending"}


async def test_a_setpoint_s_id_never_means_two_things(journal):
    await journal.plan_commands([a_setpoint()], NOON)
    with pytest.raises(StoreError, match="sp-0 is already there"):
        await journal.plan_commands([a_setpoint(1), a_setpoint(0, value=9.0)], NOON)
    assert [c.setpoint for c in await journal.commands()] == [a_setpoint()]


async def test_releases_are_kept_under_any_fence(journal):
    """A release is a fact about a device, whoever asked for it."""
    old = await journal.take_fence()
    await journal.take_fence()
    released = [a_receipt(n, setpoint_id=None) for n in range(2)]
    await journal.end_sending(released, old)
    assert await journal.releases() == tuple(released)
    assert await journal.commands() == ()


async def test_posting_twice_pays_once(journal):
    transfers = [a_transfer(n) for n in range(3)]
    assert await journal.post(transfers, NOON) == 3
    assert await journal.post([*transfers, a_transfer(3), a_transfer(3)], LATER) == 1
    assert await journal.post([], LATER) == 0
    assert await journal.transfers() == tuple(a_transfer(n) for n in range(4))


async def test_a_known_transfer_with_other_content_stops_the_whole_posting(journal):
    await journal.post([a_transfer(0)], NOON)
    with pytest.raises(StoreError, match="transfer-0 is in the ledger with other content"):
        await journal.post([a_transfer(1), a_transfer(0, amount_minor=999)], NOON)
    with pytest.raises(StoreError, match="transfer-2"):
        await journal.post([a_transfer(2), a_transfer(2, amount_minor=1)], NOON)
    assert await journal.transfers() == (a_transfer(0),)
    assert (await journal.verify_chains())["ledger"].entries == 1


async def test_the_chains_of_an_untouched_store_are_whole(journal):
    assert {r.head for r in (await journal.verify_chains()).values()} == {"0" * 64}
    await journal.post([a_transfer(n) for n in range(5)], NOON)
    await journal.post([a_transfer(5)], LATER)
    await journal.audit(NOON, "operator", "login", "", "")
    chains = await journal.verify_chains()
    assert {n: (r.entries, r.broken_at) for n, r in chains.items()} == {
        "ledger": (6, None),
        "audit": (1, None),
    }
    assert chains["ledger"].head != chains["audit"].head
