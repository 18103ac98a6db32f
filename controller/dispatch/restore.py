"""After a restart: read the devices back before anything is sent."""

from dataclasses import replace
from datetime import datetime

from controller.dispatch.executor import Executor
from controller.model.commands import Control, DeviceState, Mode, Outcome, Receipt, Setpoint
from controller.ports import Command

NEVER_LEFT = "never left before the restart"
"""Detail of a command that was only planned: its device never heard of it."""

_VALUE_TOLERANCE = 0.11
"""Devices round to a tenth of a kW; anything further apart is another value."""
_END_TOLERANCE_S = 90.0


async def restore(executor: Executor) -> list[Receipt]:
    """Refill `executor.obeys` from the devices and finish what was half-sent.

    A command that was `sending` when the controller died may or may not have reached its
    device: it is read back, and sent again under its own id only where the device does not
    hold it, and not at all after an emergency stop. One that was only `planned` never left and
    is closed: the plan will want it again. One whose hold is over by now is closed too, and its
    device is to be read back as free like any other. Returns what became of those that left.
    """
    now = executor.clock.now()
    known = [
        c for c in await executor.journal.commands()
        if c.setpoint.resource_id in executor.fleet.index_of
    ]  # fmt: skip
    over = [_closed(c, now) for c in known if c.setpoint.until <= now and c.state != "done"]
    commands = [c for c in known if c.setpoint.until > now]
    latest = {c.setpoint.resource_id: c for c in commands}
    held = await executor.read_back(latest)
    freed = {r.resource_id: r.at for r in await executor.journal.releases()
             if r.outcome is Outcome.APPLIED}  # fmt: skip
    closed: list[Receipt] = []
    resend: list[Setpoint] = []
    for command in commands:
        state = held[command.setpoint.resource_id]
        newest = command is latest[command.setpoint.resource_id]
        if holds(state, command.setpoint):
            executor.obeys[command.setpoint.resource_id] = command.setpoint
            if command.state != "done":
                closed.append(_receipt(command, now, Outcome.APPLIED, "read back as held"))
        elif newest and _waits(command, state, freed.get(command.setpoint.resource_id)):
            executor.obeys[command.setpoint.resource_id] = command.setpoint
        elif newest and command.state == "sending" and executor.stopped is None:
            left_s = (command.setpoint.until - now).total_seconds()
            hold_s = min(command.setpoint.hold_s, left_s)
            resend.append(replace(command.setpoint, hold_s=hold_s))
        elif command.state != "done":
            closed.append(_closed(command, now))
    await executor.journal.end_sending(over + closed, executor.fence)
    left = [r for r in over + closed if r.detail != NEVER_LEFT]
    return left + await executor.resend(resend)


def holds(state: DeviceState, setpoint: Setpoint) -> bool:
    """Whether the device obeys this setpoint: by its id, or by value and end if it keeps no ids."""
    if state.mode is not Mode.HELD:
        return False
    if state.setpoint_id is not None:
        return state.setpoint_id == setpoint.id
    if state.until is not None:
        apart_s = abs((state.until - setpoint.until).total_seconds())
        if apart_s > _END_TOLERANCE_S:
            return False
    return (
        setpoint.control is Control.OFF
        or state.value is None
        or abs(state.value - setpoint.value) <= _VALUE_TOLERANCE
    )


def _waits(command: Command, state: DeviceState, freed_at: datetime | None) -> bool:
    """Told ahead and taken: the device will obey from its start on, and is free until then."""
    took = command.state == "done" and command.outcome in (Outcome.APPLIED, Outcome.LATE)
    freed = freed_at is not None and freed_at >= command.at
    return took and not freed and state.mode is Mode.FREE and command.setpoint.start > state.at


def _closed(command: Command, now: datetime) -> Receipt:
    if command.state == "planned":
        return _receipt(command, now, Outcome.LATE, NEVER_LEFT)
    return _receipt(command, now, Outcome.LATE, "on its way when the controller ended")


def _receipt(command: Command, at: datetime, outcome: Outcome, detail: str) -> Receipt:
    return Receipt(
        setpoint_id=command.setpoint.id,
        resource_id=command.setpoint.resource_id,
        at=at,
        outcome=outcome,
        detail=detail,
    )
