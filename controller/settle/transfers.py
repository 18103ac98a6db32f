"""Transfers: amounts as double entries with ids that settling again repeats."""

import json
from hashlib import sha256

from controller.model.contracts import Contract
from controller.model.ids import ContractId, CustomerId, EventId, ProgramId
from controller.model.money import Transfer
from controller.settle.rebate import Amount

_FUNDS = {"energy": "rebates", "start": "rebates", "penalty": "penalties", "points": "points"}
"""Which account of the program stands against the customer's."""


def transfer(
    event_id: EventId, contract: Contract, customer_id: CustomerId, amount: Amount, version: int
) -> Transfer | None:
    """The double entry of one amount: to the customer where > 0, from him where < 0.

    None for 0: nothing moves.
    """
    if not amount.amount_minor:
        return None
    fund = program_account(contract.program_id, amount.component)
    customer = customer_account(customer_id)
    debit, credit = (fund, customer) if amount.amount_minor > 0 else (customer, fund)
    return Transfer(
        id=transfer_id(event_id, contract.id, customer_id, amount.component, version),
        event_id=event_id,
        contract_id=contract.id,
        customer_id=customer_id,
        component=amount.component,
        debit=debit,
        credit=credit,
        amount_minor=abs(amount.amount_minor),
        currency=amount.currency,
        version=version,
        reason=amount.formula,
    )


def transfer_id(
    event_id: EventId,
    contract_id: ContractId,
    customer_id: CustomerId,
    component: str,
    version: int,
) -> str:
    """SHA-256 over (event, contract, customer, component, version) as a JSON list."""
    key = json.dumps([event_id, contract_id, customer_id, component, version], ensure_ascii=False)
    return sha256(key.encode()).hexdigest()


def program_account(program_id: ProgramId, component: str) -> str:
    """E.g. `program:winter-peak:rebates`."""
    return f"program:{program_id}:{_FUNDS[component]}"


def customer_account(customer_id: CustomerId) -> str:
    """E.g. `customer:mill-3`; money and points are told apart by currency."""
    return f"customer:{customer_id}"
