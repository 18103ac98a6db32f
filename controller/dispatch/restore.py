"""After a restart: read the devices back before anything is sent."""

from controller.dispatch.executor import Executor
from controller.model.commands import Control, DeviceState, Mode, Outcome, Receipt, Setpoint
from controller.ports import Command

_VALUE_TOLERANCE = 0.11
"""Devices round to a tenth of a kW; anything further apart is another value."""


async def restore(executor: Executor) -> list[Receipt]:
    """Refill `executor.obeys` from the devices and finish what was half-sent.

    A command that was `sending` when the controller died may or may not have reached its
    device: it is read back, and sent again under its own id only where the device does not
    hold it. One that was only `planned` never left and is closed: the plan will want it again.
    """
    now = executor.clock.now()
    commands = [c for c in await executor.journal.commands() if c.setpoint.until > now]
    latest = {c.setpoint.resource_id: c for c in commands}
    held = await executor.read_back(latest)
    closed: list[Receipt] = []
    resend: list[Setpoint] = []
    for command in commands:
        state = held[command.setpoint.resource_id]
        if holds(state, command.setpoint):
            executor.obeys[command.setpoint.resource_id] = command.setpoint
            if command.state != "done":
                closed.append(_receipt(command, state, Outcome.APPLIED, "read back as held"))
        elif command.state == "sending" and command is latest[command.setpoint.resource_id]:
            resend.append(command.setpoint)
        elif command.state != "done":
            closed.append(_receipt(command, state, Outcome.LATE, "never left before the restart"))
    await executor.journal.end_sending(closed, executor.fence)
    return closed + await executor.resend(resend)


def holds(state: DeviceState, setpoint: Setpoint) -> bool:
    """Whether the device obeys this setpoint: by its id, or by value where it keeps no ids."""
    if state.mode is not Mode.HELD:
        return False
    if state.setpoint_id is not None:
        return state.setpoint_id == setpoint.id
    return (
        setpoint.control is Control.OFF
        or state.value is None
        or abs(state.value - setpoint.value) <= _VALUE_TOLERANCE
    )


def _receipt(command: Command, state: DeviceState, outcome: Outcome, detail: str) -> Receipt:
    return Receipt(
        setpoint_id=command.setpoint.id,
        resource_id=command.setpoint.resource_id,
        at=state.at,
        outcome=outcome,
        detail=detail,
    )
