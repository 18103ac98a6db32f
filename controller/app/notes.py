"""What an operator reads afterwards, kept durably: a restart knows every note and who gave up."""

from datetime import datetime

from controller.app.situation import GAVE_UP, NOTE, Situation
from controller.model.ids import ContractId
from controller.ports import Journal


async def note(situation: Situation, journal: Journal, now: datetime, kind: str, text: str) -> None:
    """Keep a happening: in the situation at once, and in the audit trail."""
    situation.note(now, kind, text)
    await journal.audit(now, "controller", f"{NOTE}{kind}", situation.config.area.id, text)


async def give_up(
    situation: Situation, journal: Journal, now: datetime, contract_id: ContractId, reason: str
) -> bool:
    """Count on this contract no more today; False where that was known, the first reason stands."""
    if contract_id in situation.given_up:
        return False
    situation.given_up[contract_id] = reason
    await journal.audit(now, "controller", GAVE_UP, contract_id, reason)
    return True
