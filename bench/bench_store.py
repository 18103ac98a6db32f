"""The store: what group commit gains, how quick commands are, how quick meter files come in.

    python bench/bench_store.py [--folder DIR] [--homes 2000] [--days 27]

Take the ratios: the slower a disk flushes, the more group commit gains.

Last results, on two shared cores, quiet and (at load 5): group commit 4 (23 to 57) times as quick;
2,000 setpoints planned, sending and done in 38 (96 to 144) ms; 5.18 million meter rows read,
checked and stored in 0.85 (1.6 to 2.5) s.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from controller.clock import SystemClock
from controller.meters import import_meters, read_meter_files
from controller.model.commands import Control, Outcome, Receipt, Setpoint
from controller.model.ids import (
    ContractId,
    CustomerId,
    EventId,
    MeterId,
    ResourceId,
    SetpointId,
    ZoneId,
)
from controller.model.money import Transfer
from controller.model.resources import Meter
from controller.model.time import Interval
from controller.store import Store, open_store

START = datetime(2014, 1, 1, tzinfo=UTC)
ZONE = ZoneId("bench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder)")
    parser.add_argument("--homes", type=int, default=2000)
    parser.add_argument("--days", type=int, default=27)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        asyncio.run(bench(Path(folder), chosen.homes, chosen.days))


async def bench(folder: Path, homes: int, days: int) -> None:
    async with open_store(folder / "data", SystemClock()) as store:
        await group_commit(store, 2000)
        await commands(store, homes)
        await ledger(store, 20_000)
    async with open_store(folder / "meters", SystemClock()) as store:
        await meter_files(folder, store, homes, days)


async def group_commit(store: Store, calls: int) -> None:
    """The same durable calls one after the other, and all at once."""

    async def one_by_one() -> None:
        for n in range(calls):
            await audit(store, n)

    async def together() -> None:
        async with asyncio.TaskGroup() as tasks:
            for n in range(calls):
                tasks.create_task(audit(store, n))

    alone_s = await seconds(one_by_one)
    grouped_s = await seconds(together)
    print(f"group commit      {calls / alone_s:>12,.0f} calls/s with a commit each")
    print(f"                  {calls / grouped_s:>12,.0f} calls/s all at once")
    print(f"                  {alone_s / grouped_s:>12.1f} times as quick")


async def audit(store: Store, n: int) -> None:
    await store.journal.audit(START, "bench", "call", str(n), "")


async def commands(store: Store, homes: int) -> None:
    """One event's setpoints from planned to done, each step durable."""
    setpoints = [setpoint(n) for n in range(homes)]
    receipts = [
        Receipt(setpoint_id=s.id, resource_id=s.resource_id, at=START, outcome=Outcome.APPLIED)
        for s in setpoints
    ]
    fence = await store.journal.take_fence()

    async def dispatch() -> None:
        await store.journal.plan_commands(setpoints, START)
        begun = await store.journal.begin_sending([s.id for s in setpoints], fence, START)
        assert len(begun) == homes
        await store.journal.end_sending(receipts, fence)

    took_s = await seconds(dispatch)
    print(f"commands          {took_s * 1000:>12.1f} ms for {homes} planned, sending, done")
    print(f"                  {3 * homes / took_s:>12,.0f} steps/s")


def setpoint(n: int) -> Setpoint:
    return Setpoint(
        id=SetpointId(f"setpoint-{n}"),
        event_id=EventId("bench"),
        resource_id=ResourceId(f"home-{n:05d}"),
        control=Control.CAP_KW,
        value=0.8,
        start=START,
        until=START + timedelta(hours=2),
        hold_s=7200.0,
        revision=1,
        fence=1,
    )


async def ledger(store: Store, entries: int) -> None:
    transfers = [transfer(n) for n in range(entries)]
    post_s = await seconds(lambda: store.journal.post(transfers, START))
    again_s = await seconds(lambda: store.journal.post(transfers, START))
    verify_s = await seconds(store.journal.verify_chains)
    print(f"ledger            {entries / post_s:>12,.0f} transfers/s posted in one call")
    print(f"                  {entries / again_s:>12,.0f} transfers/s posted again, none new")
    print(f"                  {entries / verify_s:>12,.0f} entries/s verified")


def transfer(n: int) -> Transfer:
    return Transfer(
        id=f"transfer-{n}",
        event_id=EventId("bench"),
        contract_id=ContractId("homes"),
        customer_id=CustomerId(f"home-{n:05d}"),
        component="energy",
        debit="program:bench",
        credit=f"customer:home-{n:05d}",
        amount_minor=n,
        currency="CNY",
    )


async def meter_files(folder: Path, store: Store, homes: int, days: int) -> None:
    """A Parquet file of quarter hours, read, checked and stored."""
    names = [f"home-{n:05d}" for n in range(homes)]
    meters = [Meter(id=MeterId(n), customer_id=CustomerId(n), resource_ids=()) for n in names]
    path, kw = write_history(folder, names, days * 96)
    loaded: list[np.ndarray] = []

    async def read_and_store() -> None:
        imported = read_meter_files([path], meters)
        await import_meters(store.telemetry, ZONE, imported)

    async def load() -> None:
        span = Interval(start=START, end=START + timedelta(days=days))
        loaded.append((await store.telemetry.frames("meter", ZONE, span)).values)

    took_s = await seconds(read_and_store)
    load_s = await seconds(load)
    assert np.array_equal(loaded[0], kw)
    print(f"meter import      {took_s:>12.2f} s for {kw.size:,} rows from Parquet, stored")
    print(f"                  {kw.size / took_s:>12,.0f} rows/s")
    print(f"                  {kw.size / load_s:>12,.0f} values/s read back")


def write_history(folder: Path, names: list[str], times: int) -> tuple[Path, np.ndarray]:
    kw = np.random.default_rng(1).gamma(2.0, 0.6, (times, len(names))).astype(np.float32)
    us = np.repeat(np.arange(times) * 900_000_000, len(names)) + int(START.timestamp()) * 10**6
    ids = pa.DictionaryArray.from_arrays(np.tile(np.arange(len(names)), times), names)
    columns = {
        "meter_id": ids,
        "time_utc": pa.array(us, pa.timestamp("us", tz="UTC")),
        "kw": kw.ravel(),
    }
    pq.write_table(pa.table(columns), folder / "history.parquet")
    return folder / "history.parquet", kw


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
