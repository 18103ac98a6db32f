"""A seeded fleet of homes as the CSV table that a configuration folder reads."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.random import Generator

from controller.model.resources import ResourceKind
from simulators.chance import draws

COLUMNS = (
    "id",
    "customer_id",
    "meter_id",
    "kind",
    "zone",
    "feeder",
    "rated_kw",
    "contract_id",
    "link",
    "profile",
    "address",
)

DEMO_COUNTS: Mapping[ResourceKind, int] = {
    ResourceKind.AIR_CONDITIONER: 1100,
    ResourceKind.WATER_HEATER: 450,
    ResourceKind.EV_CHARGER: 300,
    ResourceKind.BATTERY: 150,
}

RATINGS_KW: Mapping[ResourceKind, tuple[float, ...]] = {
    ResourceKind.AIR_CONDITIONER: (2.0, 2.2, 2.5, 2.8, 3.0, 3.2, 3.5),
    ResourceKind.WATER_HEATER: (1.8, 2.4, 3.0, 3.6),
    ResourceKind.EV_CHARGER: (3.5, 7.0, 7.0),
    ResourceKind.BATTERY: (3.3, 4.0, 4.6, 5.0),
}

NAMES: Mapping[ResourceKind, str] = {
    ResourceKind.AIR_CONDITIONER: "ac",
    ResourceKind.WATER_HEATER: "water-heater",
    ResourceKind.EV_CHARGER: "ev",
    ResourceKind.BATTERY: "battery",
}

FEEDERS = ("north", "south", "east")


def make_homes(
    seed: int,
    counts: Mapping[ResourceKind, int] = DEMO_COUNTS,
    zone: str = "riverside",
    link: str = "homes",
) -> list[dict[str, str]]:
    """One row per home, one controllable appliance each; kinds are mixed along the streets."""
    random = draws(seed, "fleet of homes")
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    order = random.permutation(len(kinds))
    return list(_rows(random, [kinds[i] for i in order], zone, link))


def _rows(
    random: Generator, kinds: list[ResourceKind], zone: str, link: str
) -> Iterator[dict[str, str]]:
    for number, kind in enumerate(kinds, start=1):
        home = f"home-{number:05d}"
        name = NAMES[kind]
        rating_kw = float(random.choice(np.array(RATINGS_KW[kind])))
        yield {
            "id": home,
            "customer_id": f"c-{home}",
            "meter_id": f"m-{home}",
            "kind": str(kind),
            "zone": zone,
            "feeder": str(random.choice(np.array(FEEDERS))),
            "rated_kw": f"{rating_kw:g}",
            "contract_id": f"homes-{name}",
            "link": link,
            "profile": "home-ev-charger" if name == "ev" else f"home-{name}",
            "address": home,
        }


def write_homes(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the table, with a header and Unix line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as text:
        out = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
