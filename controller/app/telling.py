"""Told contracts: a notice out, an answer in time or silence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from controller.app.situation import GAVE_UP, Situation
from controller.errors import DeviceError
from controller.model.events import Answer, Notice, Offer
from controller.model.ids import ContractId, EventId, LinkId
from controller.model.plans import Plan
from controller.model.settings import Config
from controller.model.time import Series
from controller.ports import Clock, Desk, Journal

ON_ITS_WAY = timedelta(minutes=10)
"""An answer given just in time may still be under way; what counts is when it was given."""


@dataclass(kw_only=True)
class Teller:
    """Sends notices for what a plan wants of told contracts and closes the unanswered."""

    config: Config
    situation: Situation
    journal: Journal
    desks: Mapping[LinkId, Desk]
    clock: Clock

    async def notify(self, plan: Plan) -> None:
        """A notice to each told contract the plan calls and that was not asked before."""
        now = self.clock.now()
        asked = {n.contract_id for n in self.situation.notices.values()}
        for contract_id, kw in plan.committed_kw().items():
            contract = self.config.contracts[contract_id]
            if contract.wired or contract_id in asked or not np.any(kw.values > 0):
                continue
            notice = Notice(
                id=f"{plan.id}.{contract_id}",
                event_id=_ruling(plan, kw),
                contract_id=contract_id,
                kw=kw,
                sent_at=now,
                reply_by=now + contract.reply_within,
            )
            await self.journal.save_notice(notice)
            self.situation.notices[notice.id] = notice
            await self._deliver(notice)

    async def take(self, offer: Offer) -> str | None:
        """Keep an answer; why a new plan is due, or None when all is as planned."""
        notice = self.situation.notices.get(offer.notice_id)
        if notice is None:
            return None
        if offer.answered_at > notice.reply_by:
            offer = _silence(notice)
        if not await self.journal.save_offer(offer):
            return None
        self.situation.offers[offer.notice_id] = offer
        name = self.config.contracts[offer.contract_id].name
        self.situation.note(self.clock.now(), "answer", f"{name}: {offer.answer}")
        if offer.answer is Answer.ACCEPT:
            return None
        if offer.answer in (Answer.NO, Answer.SILENT):
            await self._give_up(offer.contract_id, f"answered {offer.answer}")
        return f"{offer.contract_id} answered {offer.answer}"

    async def close_unanswered(self) -> str | None:
        """Silence is an answer: once `reply_by` has passed, the contract is not counted on."""
        now = self.clock.now()
        reasons = [
            await self.take(_silence(n))
            for n in list(self.situation.notices.values())
            if n.id not in self.situation.offers and n.reply_by + ON_ITS_WAY < now
        ]
        return "; ".join(r for r in reasons if r) or None

    def waiting_until(self) -> datetime | None:
        """When the last open notice must be answered; None when none is open."""
        waiting = [
            n.reply_by + ON_ITS_WAY
            for n in self.situation.notices.values()
            if n.id not in self.situation.offers
        ]
        return max(waiting, default=None)

    async def redeliver(self) -> None:
        """After a restart: notices that nobody answered go out again (same id: no second ask)."""
        for notice in self.situation.notices.values():
            if notice.id not in self.situation.offers and notice.reply_by > self.clock.now():
                await self._deliver(notice)

    async def _deliver(self, notice: Notice) -> None:
        contract = self.config.contracts[notice.contract_id]
        link = self.config.fleet[contract.resource_ids[0]].link
        try:
            await self.desks[link].notify(notice)
            self.situation.note(self.clock.now(), "notice", f"{contract.name} was asked")
        except DeviceError as error:
            self.situation.note(self.clock.now(), "fault", f"{contract.name}: {error}")

    async def _give_up(self, contract_id: ContractId, reason: str) -> None:
        self.situation.given_up[contract_id] = reason
        await self.journal.audit(self.clock.now(), "controller", GAVE_UP, contract_id, reason)


def _silence(notice: Notice) -> Offer:
    return Offer(
        notice_id=notice.id,
        event_id=notice.event_id,
        contract_id=notice.contract_id,
        answer=Answer.SILENT,
        kw=Series.full(notice.kw.grid, 0.0),
        answered_at=notice.reply_by,
        by="nobody",
    )


def _ruling(plan: Plan, kw: Series) -> EventId:
    first = int(np.flatnonzero(kw.values > 0)[0])
    return plan.ruling[first] or plan.event_id
