"""Commands out, receipts in: journal before the wire, then every link at once."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from controller.dispatch.gate import per_minute
from controller.dispatch.setpoints import Wanted
from controller.errors import DeviceError
from controller.model.commands import DeviceState, Mode, Outcome, Receipt, Setpoint
from controller.model.ids import LinkId, ResourceId, SetpointId, new_uuid7
from controller.model.resources import Fleet
from controller.model.settings import DispatchRules
from controller.ports import Clock, Journal, Link


@dataclass(kw_only=True)
class Executor:
    """Sends setpoints over the links and knows what each device obeys.

    `obeys` holds, per resource, the setpoint that was last seen applied; the devices are the
    truth about it, and `restore` refills it from them after a restart.
    """

    journal: Journal
    links: Mapping[LinkId, Link]
    fleet: Fleet
    clock: Clock
    rules: DispatchRules
    random: Random
    fence: int
    obeys: dict[ResourceId, Setpoint] = field(default_factory=dict)
    stopped: str | None = None
    """The reason of an emergency stop: from then on nothing is sent but releases."""
    _wire: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Commands and releases one after the other: a release overtakes nothing on its way out."""

    async def send(
        self,
        wants: Sequence[Wanted],
        revision: int,
        still: Callable[[Sequence[Wanted]], Sequence[Wanted]] = lambda wants: wants,
    ) -> list[Receipt]:
        """Send what is wanted, paced by the rate limit; one receipt per setpoint, journaled.

        Pacing takes minutes, in which an event is cancelled or a customer opts out: `still` says
        before each batch which of it is wanted yet.
        """
        receipts: list[Receipt] = []
        for n, batch in enumerate(per_minute(wants, self.rules.max_kw_per_min)):
            if n:
                await self.clock.sleep_until(self.clock.now() + timedelta(minutes=1))
            async with self._wire:
                due = still(batch)
                if due and self.stopped is None:
                    receipts += await self._send_batch([self._setpoint(w, revision) for w in due])
        return receipts

    async def resend(self, setpoints: Sequence[Setpoint]) -> list[Receipt]:
        """Send setpoints again that a device was read back not to hold, under their own ids."""
        async with self._wire:
            return await self._over_links(setpoints)

    async def release(self, resource_ids: Iterable[ResourceId]) -> list[Receipt]:
        """Give control back now, over every link at once; safe to repeat."""
        async with self._wire:
            return await self._release(resource_ids)

    async def _release(self, resource_ids: Iterable[ResourceId]) -> list[Receipt]:
        by_link = self._by_link(list(resource_ids))
        receipts: list[Receipt] = []

        async def one(link_id: LinkId, ids: Sequence[ResourceId]) -> None:
            try:
                async with asyncio.timeout(self.rules.ack_deadline_s):
                    got = list(await self.links[link_id].release(ids))
            except (DeviceError, TimeoutError) as error:
                got = [self._unreachable(None, r, str(error) or "no answer in time") for r in ids]
            for receipt in got:
                if receipt.outcome is Outcome.APPLIED:
                    self.obeys.pop(receipt.resource_id, None)
            receipts.extend(got)

        async with asyncio.TaskGroup() as tasks:
            for link_id, ids in by_link.items():
                tasks.create_task(one(link_id, ids))
        await self.journal.end_sending(receipts, self.fence)
        return receipts

    async def read_back(self, resource_ids: Iterable[ResourceId]) -> dict[ResourceId, DeviceState]:
        """What each device says it obeys; Mode.UNKNOWN where it cannot be asked."""
        states: dict[ResourceId, DeviceState] = {}

        async def one(link_id: LinkId, ids: Sequence[ResourceId]) -> None:
            try:
                async with asyncio.timeout(self.rules.ack_deadline_s):
                    got = await self.links[link_id].state(ids)
            except (DeviceError, TimeoutError):
                now = self.clock.now()
                got = [DeviceState(resource_id=r, at=now, mode=Mode.UNKNOWN) for r in ids]
            states.update({s.resource_id: s for s in got})

        async with asyncio.TaskGroup() as tasks:
            for link_id, ids in self._by_link(list(resource_ids)).items():
                tasks.create_task(one(link_id, ids))
        return states

    def forget_ended(self) -> None:
        """Drop setpoints whose `until` has passed: those devices freed themselves."""
        now = self.clock.now()
        for r in [r for r, s in self.obeys.items() if s.until <= now]:
            del self.obeys[r]

    async def _send_batch(self, setpoints: Sequence[Setpoint]) -> list[Receipt]:
        now = self.clock.now()
        await self.journal.plan_commands(setpoints, now)
        begun = await self.journal.begin_sending([s.id for s in setpoints], self.fence, now)
        return await self._over_links([s for s in setpoints if s.id in set(begun)])

    async def _over_links(self, setpoints: Sequence[Setpoint]) -> list[Receipt]:
        """Every link at once; the unreachable are tried again, jittered, then given up."""
        open_: dict[SetpointId, Setpoint] = {s.id: s for s in setpoints}
        receipts: dict[SetpointId, Receipt] = {}
        for attempt in range(self.rules.retries + 1):
            if attempt:
                if self.stopped is not None:
                    break
                await asyncio.sleep(self.rules.backoff_s * attempt * self.random.uniform(0.5, 1.5))
            receipts |= {r.setpoint_id: r for r in await self._try(list(open_.values()))
                         if r.setpoint_id is not None}  # fmt: skip
            open_ = {i: s for i, s in open_.items()
                     if receipts[i].outcome is Outcome.UNREACHABLE}  # fmt: skip
            if not open_:
                break
        by_id = {s.id: s for s in setpoints}
        for i, receipt in receipts.items():
            if receipt.outcome in (Outcome.APPLIED, Outcome.LATE):
                self.obeys[receipt.resource_id] = by_id[i]
            elif receipt.outcome is Outcome.OVERRIDDEN:
                self.obeys.pop(receipt.resource_id, None)
        await self.journal.end_sending(list(receipts.values()), self.fence)
        return list(receipts.values())

    async def _try(self, setpoints: Sequence[Setpoint]) -> list[Receipt]:
        by_link: dict[LinkId, list[Setpoint]] = defaultdict(list)
        for setpoint in setpoints:
            by_link[self.fleet[setpoint.resource_id].link].append(setpoint)
        receipts: list[Receipt] = []

        async def one(link_id: LinkId, batch: Sequence[Setpoint]) -> None:
            left = {s.id: s for s in batch}
            reason = "no answer in time"
            try:
                async with asyncio.timeout(self.rules.ack_deadline_s):
                    async for got in self.links[link_id].apply(batch):
                        receipts.extend(
                            receipt
                            for receipt in got
                            if receipt.setpoint_id is not None
                            and left.pop(receipt.setpoint_id, None) is not None
                        )
            except TimeoutError:
                pass
            except DeviceError as error:
                reason = str(error)
            receipts.extend(self._unreachable(s.id, s.resource_id, reason) for s in left.values())

        async with asyncio.TaskGroup() as tasks:
            for link_id, batch in by_link.items():
                tasks.create_task(one(link_id, batch))
        return receipts

    def _setpoint(self, want: Wanted, revision: int) -> Setpoint:
        now = self.clock.now()
        return Setpoint(
            id=SetpointId(new_uuid7(now, self.random)),
            event_id=want.event_id,
            resource_id=want.resource_id,
            control=want.control,
            value=want.value,
            start=want.start,
            until=want.until,
            hold_s=max(0.0, (want.until - now).total_seconds()),
            revision=revision,
            fence=self.fence,
        )

    def _by_link(self, resource_ids: Sequence[ResourceId]) -> dict[LinkId, list[ResourceId]]:
        by_link: dict[LinkId, list[ResourceId]] = defaultdict(list)
        for r in resource_ids:
            by_link[self.fleet[r].link].append(r)
        return by_link

    def _unreachable(
        self, setpoint_id: SetpointId | None, resource_id: ResourceId, why: str
    ) -> Receipt:
        return Receipt(
            setpoint_id=setpoint_id,
            resource_id=resource_id,
            at=self.clock.now(),
            outcome=Outcome.UNREACHABLE,
            detail=why,
        )
