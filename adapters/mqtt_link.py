"""What is said over MQTT: commands and their answers by topic, readings and opt-outs pushed.

Commands travel at QoS 0 and are answered by the device itself: a broker's acknowledgement would
say nothing about the device. What is not answered in time may still have been taken; the next
attempt of the same setpoint then reports it as late instead of sending it again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

import msgspec

from adapters.mqtt_messages import (
    Answer,
    BatchValues,
    Command,
    RawNumber,
    decode_answer,
    decode_batch,
    decode_home,
    decode_opt_out,
    encode,
)
from adapters.parts import (
    OVERRIDDEN,
    STILL_HELD,
    Doubts,
    Opening,
    Spoken,
    deadline_of,
    receipt,
    refusal,
    release_receipt,
)
from adapters.points import readings_of
from adapters.profile import POINT_OF, UnfitValueError, raw_value, same_raw, value_of
from controller.model.commands import (
    DeviceState,
    Mode,
    Outcome,
    Override,
    OverrideSource,
    Quality,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.ids import ResourceId, SetpointId
from controller.model.settings import Profile

_PUBLISH_SLICE = 50
"""Commands published before the loop gets a turn to take answers."""

_MOST_REPORTS = 100_000
_MOST_LATE = 10_000


class Line(Protocol):
    """The wire below: `adapters.mqtt.PahoLine`."""

    @property
    def ready(self) -> bool:
        """Connected, and every subscription granted."""
        ...

    def publish(self, topic: str, payload: bytes) -> None: ...


_Asked = tuple[Spoken, Command]


class _Mailbox:
    """Answers to one batch of commands, as they come."""

    def __init__(self, asked: Mapping[str, Spoken]) -> None:
        self.open = dict(asked)
        self.came: list[tuple[str, Answer]] = []
        self.news = asyncio.Event()


class MqttLink:
    """`controller.ports.Link` to the homes behind one broker; `deliver` takes what comes in.

    Options: `prefix` (ps) of all topics; `expiry_s` (900 simulated seconds) after which a home
    no longer takes a command; `max_skew_s` (7200) beyond which a home's own time is not believed.
    """

    def __init__(self, opening: Opening, line: Line) -> None:
        settings = opening.settings
        options = settings.options
        self._line = line
        self._clock = opening.clock
        self._settings = settings
        self._fence = opening.fence
        self._run_id = opening.run_id
        self._prefix = str(options.get("prefix", "ps"))
        self._expiry = timedelta(seconds=float(options.get("expiry_s", 900.0)))
        self._max_skew = timedelta(seconds=float(options.get("max_skew_s", 7200.0)))
        self._homes = {
            r.id: Spoken(resource=r, profile=opening.profiles[r.profile])
            for r in opening.fleet.where(link=settings.id)
        }
        self._by_address = {h.resource.address: h for h in self._homes.values()}
        self._seq = int(self._clock.now().timestamp() * 1000)  # goes on after a restart
        self._mailbox_of: dict[str, _Mailbox] = {}
        self._doubts = Doubts()
        self._late: dict[str, Answer] = {}
        self._reports: deque[Reading | Override] = deque(maxlen=_MOST_REPORTS)
        self._news = asyncio.Event()
        self.faults: Counter[str] = Counter()

    async def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        settled: list[Receipt] = []
        asked: dict[str, _Asked] = {}
        open_ = {s.id: s for s in setpoints}
        for setpoint in setpoints:
            known = self._without_asking(setpoint)
            if isinstance(known, Command):
                asked[setpoint.id] = (self._homes[setpoint.resource_id], known)
            else:
                settled.append(receipt(open_.pop(setpoint.id), self._clock.now(), *known))
        if settled:
            yield settled
        try:
            async for answers in self._ask(asked):
                yield [self._judge(open_.pop(SetpointId(i)), answer) for i, answer in answers]
        finally:
            for setpoint_id in open_:
                self._doubts.remember(setpoint_id)
        if open_:
            why, now = self._why(), self._clock.now()
            yield [receipt(s, now, Outcome.UNREACHABLE, why) for s in open_.values()]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        answers = await self._ask_all("release", resource_ids)
        return [self._released(r, answers.get(r)) for r in resource_ids]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        answers = await self._ask_all("state", resource_ids)
        return [self._state(self._homes[r], answers.get(r)) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        while True:
            await self._news.wait()
            self._news.clear()
            batch = list(self._reports)
            self._reports.clear()
            if batch:
                yield batch

    def _without_asking(self, setpoint: Setpoint) -> Command | tuple[Outcome, str]:
        """The command to send, or the outcome that is known without sending one."""
        home = self._homes[setpoint.resource_id]
        now = self._clock.now()
        if refused := refusal(setpoint, home.resource, now):
            return refused
        if (answer := self._late.pop(setpoint.id, None)) is not None:
            outcome, detail = _outcome(home.profile, setpoint, answer)
            if outcome is Outcome.APPLIED:
                return Outcome.LATE, "taken at an earlier attempt, answered after the deadline"
            return outcome, detail
        try:
            return self._hold(home.profile, setpoint, now)
        except UnfitValueError as error:
            return Outcome.REFUSED, str(error)

    def _hold(self, profile: Profile, setpoint: Setpoint, now: datetime) -> Command:
        """Raises UnfitValueError."""
        if profile.dead_man == "none" or setpoint.control not in profile.controls:
            raise UnfitValueError(f"{profile.id} does not take {setpoint.control}")
        point = profile.points[POINT_OF[setpoint.control]]
        expires = min(setpoint.until, max(now, setpoint.start) + self._expiry)
        return Command(
            op="hold",
            id=setpoint.id,
            seq=self._next_seq(),
            fence=setpoint.fence,
            expires=expires.timestamp(),
            start=setpoint.start.timestamp(),
            until=setpoint.until.timestamp(),
            hold_s=setpoint.hold_s,
            set={point.address: raw_value(point, setpoint.value)},
        )

    def _judge(self, setpoint: Setpoint, answer: Answer) -> Receipt:
        self._doubts.forget(setpoint.id)
        home = self._homes[setpoint.resource_id]
        outcome, detail = _outcome(home.profile, setpoint, answer)
        return receipt(setpoint, self._clock.now(), outcome, detail)

    def _released(self, resource_id: ResourceId, answer: Answer | None) -> Receipt:
        now = self._clock.now()
        if answer is None:
            return release_receipt(resource_id, now, Outcome.UNREACHABLE, self._why())
        if answer.outcome == "applied" and answer.mode != "held":
            return release_receipt(resource_id, now, Outcome.APPLIED)
        return release_receipt(resource_id, now, Outcome.REFUSED, answer.detail or STILL_HELD)

    def _state(self, home: Spoken, answer: Answer | None) -> DeviceState:
        now = self._clock.now()
        if answer is None:
            return DeviceState(resource_id=home.resource.id, at=now, mode=Mode.UNKNOWN)
        return DeviceState(
            resource_id=home.resource.id,
            at=now,
            mode=Mode(answer.mode),
            value=_held_value(home.profile, answer.set),
            until=None if answer.until is None else datetime.fromtimestamp(answer.until, UTC),
            setpoint_id=SetpointId(answer.setpoint_id) if answer.setpoint_id else None,
        )

    async def _ask_all(
        self, op: Literal["release", "state"], resource_ids: Sequence[ResourceId]
    ) -> dict[ResourceId, Answer]:
        """The answers that came in time, to the same question to each device."""
        expires = (self._clock.now() + timedelta(days=1)).timestamp()  # never harmful when late
        asked: dict[str, _Asked] = {}
        for resource_id in resource_ids:
            seq = self._next_seq()
            name = f"{self._run_id}-{seq}"
            asked[name] = (
                self._homes[resource_id],
                Command(op=op, id=name, seq=seq, fence=self._fence, expires=expires),
            )
        found: dict[ResourceId, Answer] = {}
        async for answers in self._ask(asked):
            found |= {asked[name][0].resource.id: answer for name, answer in answers}
        return found

    async def _ask(self, asked: Mapping[str, _Asked]) -> AsyncIterator[list[tuple[str, Answer]]]:
        """Publish all and yield the answers in bursts, until all are here or time is up."""
        if not self._line.ready:
            return
        mailbox = _Mailbox({name: home for name, (home, _) in asked.items()})
        self._mailbox_of |= dict.fromkeys(asked, mailbox)
        deadline = deadline_of(self._settings)
        try:
            for n, (home, command) in enumerate(asked.values()):
                topic = f"{self._prefix}/c/{home.resource.address}"
                self._line.publish(topic, encode(command))
                if n % _PUBLISH_SLICE == 0:
                    await asyncio.sleep(0)
            while mailbox.open or mailbox.came:
                async with asyncio.timeout_at(deadline):
                    await mailbox.news.wait()
                mailbox.news.clear()
                came, mailbox.came = mailbox.came, []
                yield came
        except TimeoutError:
            pass
        finally:
            for name in asked:
                self._mailbox_of.pop(name, None)

    def _why(self) -> str:
        return "no answer in time" if self._line.ready else "not connected to the broker"

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def deliver(self, topic: str, payload: bytes) -> None:
        """One message from the line; what cannot be understood is counted and dropped."""
        _, kind, address = topic.rsplit("/", 2)
        try:
            if kind == "tb":
                self._take_batch(decode_batch(payload))
                return
            home = self._by_address[address]
            if kind == "a":
                self._take_answer(home, decode_answer(payload))
            elif kind == "t":
                values = decode_home(payload)
                self._take_values(home, values.values, self._instant(values.at))
            else:
                self._take_opt_out(home, payload)
        except (msgspec.MsgspecError, KeyError, ValueError, UnicodeDecodeError):
            self.faults["malformed"] += 1

    def _take_answer(self, home: Spoken, answer: Answer) -> None:
        mailbox = self._mailbox_of.get(answer.id)
        if mailbox is None:
            if SetpointId(answer.id) in self._doubts:
                self._late[answer.id] = answer
                while len(self._late) > _MOST_LATE:
                    del self._late[next(iter(self._late))]
            return
        if mailbox.open.get(answer.id) is not home:
            self.faults["answer from another home, or a second one"] += 1
            return
        del mailbox.open[answer.id]
        mailbox.came.append((answer.id, answer))
        mailbox.news.set()

    def _take_batch(self, batch: BatchValues) -> None:
        if any(len(column) != len(batch.homes) for column in batch.values.values()):
            raise ValueError("columns of different length")
        at = self._instant(batch.at)
        columns = batch.values.items()
        for i, address in enumerate(batch.homes):
            home = self._by_address.get(address)
            if home is None:
                self.faults["unknown home"] += 1
                continue
            self._take_values(home, {key: column[i] for key, column in columns}, at)

    def _take_values(
        self, home: Spoken, values: Mapping[str, float | None], at: tuple[datetime, Quality]
    ) -> None:
        points = home.profile.points.values()
        raw = {p.name: v for p in points if (v := values.get(p.address)) is not None}
        self._reports.extend(readings_of(home.profile, home.resource, raw, *at))
        self._news.set()

    def _take_opt_out(self, home: Spoken, payload: bytes) -> None:
        opt_out = decode_opt_out(payload)
        until = opt_out.until
        self._reports.append(
            Override(
                resource_id=home.resource.id,
                at=self._instant(opt_out.at)[0],
                source=OverrideSource(opt_out.source),
                until=None if until is None else datetime.fromtimestamp(until, UTC),
                reason=opt_out.reason,
            )
        )
        self._news.set()

    def _instant(self, seconds: float) -> tuple[datetime, Quality]:
        """A home's own time, or ours where its clock is plainly wrong."""
        at, now = datetime.fromtimestamp(seconds, UTC), self._clock.now()
        if abs(at - now) <= self._max_skew:
            return at, Quality.OK
        self.faults["wrong clock"] += 1
        return now, Quality.ESTIMATED


def _outcome(profile: Profile, setpoint: Setpoint, answer: Answer) -> tuple[Outcome, str]:
    """What the device says it did, held against what it says it obeys."""
    if answer.outcome == "late":  # not taken, but a fresh attempt may well be
        return Outcome.UNREACHABLE, answer.detail
    if answer.outcome != "applied":
        return Outcome(answer.outcome), answer.detail
    if answer.mode == "overridden":
        return OVERRIDDEN
    point = profile.points[POINT_OF[setpoint.control]]
    held = answer.set.get(point.address)
    same_value = held is not None and same_raw(point, raw_value(point, setpoint.value), held)
    same_end = answer.until is not None and abs(answer.until - setpoint.until.timestamp()) < 1
    if answer.mode == "held" and answer.setpoint_id == setpoint.id and same_value and same_end:
        return Outcome.APPLIED, ""
    return Outcome.REFUSED, "acknowledged, but the device says it obeys something else"


def _held_value(profile: Profile, held: Mapping[str, RawNumber]) -> float | None:
    for control in profile.controls:
        point = profile.points[POINT_OF[control]]
        if point.address in held:
            return value_of(point, held[point.address])
    return None
