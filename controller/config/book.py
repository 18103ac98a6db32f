"""The draft by id: who refers to whom, looked up while the rules are checked."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from controller.config.build import members, resources
from controller.config.parse import Draft, Placed
from controller.config.shapes import (
    AreaShape,
    CohortShape,
    ContractShape,
    LinkShape,
    PlanningShape,
    ProgramShape,
)
from controller.config.text import did_you_mean
from controller.errors import Fault
from controller.model.ids import ResourceId
from controller.model.resources import Resource


@dataclass(slots=True, kw_only=True)
class Book:
    """A draft with its tables by id."""

    draft: Draft
    area: AreaShape | None = field(init=False)
    cohorts: dict[str, CohortShape] | None = field(init=False)
    """None: [planning] has faults, so that nobody knows which kinds have a rule."""
    contracts: dict[str, ContractShape] = field(init=False)
    links: dict[str, LinkShape] = field(init=False)
    programs: dict[str, ProgramShape] = field(init=False)
    resources: dict[str, Placed[Resource]] = field(init=False)
    in_tables: Mapping[str, tuple[ResourceId, ...]] = field(init=False)

    def __post_init__(self) -> None:
        draft = self.draft
        area, planning = draft.one(AreaShape), draft.one(PlanningShape)
        self.area = area.item if area else None
        self.cohorts = {c.kind: c for c in reversed(planning.item.cohort)} if planning else None
        self.contracts = {p.item.id: p.item for p in draft.of(ContractShape)}
        self.links = {p.item.id: p.item for p in draft.of(LinkShape)}
        self.programs = {p.item.id: p.item for p in draft.of(ProgramShape)}
        self.resources = {p.item.id: p for p in resources(draft)}
        self.in_tables = members(draft)

    def members(self, contract: ContractShape) -> list[Placed[Resource]]:
        """The resources of a contract that are known, listed or in a device table."""
        ids = (*contract.resources, *self.in_tables.get(contract.id, ()))
        return [self.resources[i] for i in ids if i in self.resources]

    def refer(
        self, table: Placed[object], key: str, to: str, what: str, known: Collection[str], home: str
    ) -> Iterator[Fault]:
        """A fault if `to` is not among `known`; `home` is the folder where it would stand.

        None while a table of that id, or a file of that folder, has faults of its own.
        """
        if to in known or to in self.draft.doubtful or home in self.draft.unread:
            return
        yield table.fault(key, to, f"{what} in {home}{did_you_mean(to, known)}")
