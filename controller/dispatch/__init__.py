"""From plan to wire, and back: setpoints, the last gate, the executor, restore.

`setpoints` (pure) says what each device should obey now and what differs from what it obeys;
`gate` (pure) is the last look before the wire; `executor` journals, sends, reads receipts and
releases; `restore` reads the devices back after a restart. Retry, deadlines, journal and rate
limits live here once for all protocols; adapters only translate.
"""
