"""Told contracts: a notice out, an answer in time or silence."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from controller.app.notes import give_up, note
from controller.app.situation import Situation, is_stand_down
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
            await self._send(notice)

    async def stand_down(self, plan: Plan | None) -> None:
        """Take back what told contracts promised and nobody wants any more, each once.

        People do not see a plan: a cancelled event would leave their factory still for hours.
        """
        now = self.clock.now()
        wanted = {} if plan is None else plan.committed_kw()
        rules = np.array([] if plan is None else [e is not None for e in plan.ruling])
        for contract_id, kw in self._promised().items():
            after = np.array([kw.grid.at(i + 1) > now for i in range(kw.grid.count)])
            left = after & (np.nan_to_num(kw.values) > 0)
            if plan is not None and contract_id in wanted:
                still = Series(grid=plan.grid, values=wanted[contract_id].values * rules)
                left &= ~(left & (still.on(kw.grid).values > 0)).any()
            if not left.any():
                continue
            await self._send(Notice(
                id=f"{now:%Y%m%dT%H%M%S}.{contract_id}.stand-down",
                event_id=self._event_of(contract_id),
                contract_id=contract_id,
                kw=Series.full(kw.grid, 0.0),
                sent_at=now,
                reply_by=now + self.config.contracts[contract_id].reply_within,
            ))  # fmt: skip
            await self._give_up(contract_id, "told to stand down")

    def _promised(self) -> dict[ContractId, Series]:
        """Newest word of each told contract, yes or still open; nothing after a stand-down."""
        out: dict[ContractId, Series] = {}
        for notice in sorted(self.situation.notices.values(), key=lambda n: n.sent_at):
            offer = self.situation.offers.get(notice.id)
            if is_stand_down(notice):
                out.pop(notice.contract_id, None)
            elif offer is None:
                out[notice.contract_id] = notice.kw
            elif offer.answer in (Answer.ACCEPT, Answer.PART):
                out[notice.contract_id] = offer.kw
        return out

    def _event_of(self, contract_id: ContractId) -> EventId:
        notices = self.situation.notices.values()
        return [n.event_id for n in notices if n.contract_id == contract_id][-1]

    async def take(self, offer: Offer) -> str | None:
        """Keep an answer; why a new plan is due, or None when all is as planned."""
        notice = self.situation.notices.get(offer.notice_id)
        if notice is None:
            return None
        offer = _silence(notice) if offer.answered_at > notice.reply_by else _fitted(offer, notice)
        if not await self.journal.save_offer(offer):
            return None
        self.situation.offers[offer.notice_id] = offer
        if is_stand_down(notice):
            return None
        name = self.config.contracts[offer.contract_id].name
        await self._note("answer", f"{name}: {offer.answer}")
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
            if self._open(n) and n.reply_by + ON_ITS_WAY < now
        ]
        return "; ".join(r for r in reasons if r) or None

    def waiting_until(self) -> datetime | None:
        """When the last open notice must be answered; None when none is open."""
        waiting = [
            n.reply_by + ON_ITS_WAY for n in self.situation.notices.values() if self._open(n)
        ]
        return max(waiting, default=None)

    def _open(self, notice: Notice) -> bool:
        return notice.id not in self.situation.offers and not is_stand_down(notice)

    async def redeliver(self) -> None:
        """After a restart: notices that nobody answered go out again (same id: no second ask)."""
        for notice in list(self.situation.notices.values()):
            if notice.id not in self.situation.offers and notice.reply_by > self.clock.now():
                await self._deliver(notice)

    async def _send(self, notice: Notice) -> None:
        await self.journal.save_notice(notice)
        self.situation.notices[notice.id] = notice
        await self._deliver(notice)

    async def _deliver(self, notice: Notice) -> None:
        contract = self.config.contracts[notice.contract_id]
        link = self.config.fleet[contract.resource_ids[0]].link
        what = "need not curtail any more" if is_stand_down(notice) else "was asked"
        try:
            async with asyncio.timeout(self.config.links[link].timeout_s):
                await self.desks[link].notify(notice)
        except (DeviceError, TimeoutError) as error:
            why = str(error) or "the desk does not answer"
            await self._note("fault", f"{contract.name}: {why}")
        else:
            await self._note("notice", f"{contract.name} {what}")

    async def _give_up(self, contract_id: ContractId, reason: str) -> None:
        await give_up(self.situation, self.journal, self.clock.now(), contract_id, reason)

    async def _note(self, kind: str, text: str) -> None:
        await note(self.situation, self.journal, self.clock.now(), kind, text)


def _fitted(offer: Offer, notice: Notice) -> Offer:
    """An answer as it can be planned with: of whom we asked, when we asked, no more than we asked.

    What cannot be read is nothing.
    """
    asked = notice.kw
    aligned = (
        offer.kw.grid.step == asked.grid.step
        and not (offer.kw.grid.start - asked.grid.start) % asked.grid.step
    )
    offered = np.nan_to_num(offer.kw.on(asked.grid).values) if aligned else 0 * asked.values
    kw = Series(grid=asked.grid, values=np.clip(offered, 0.0, np.nan_to_num(asked.values)))
    answer = offer.answer
    if answer in (Answer.ACCEPT, Answer.PART) and not is_stand_down(notice):
        answer = answer if np.any(kw.values > 0) else Answer.NO
    return replace(
        offer, contract_id=notice.contract_id, event_id=notice.event_id, kw=kw, answer=answer
    )


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
