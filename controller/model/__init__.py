"""The vocabulary: frozen values that every stage speaks, one page per noun family.

`time` (intervals, grids, series) · `resources` (meters, devices, the fleet) · `contracts`
(contracts, programs) · `events` (DR events and offers) · `plans` (forecasts, flexibility,
cohorts, plans) · `commands` (setpoints, receipts, device states, readings) · `money`
(baselines, performance, transfers, statements).

Sign: power > 0 is drawn from the grid; reduction > 0 is less drawn. A series value is the
mean over its interval; NaN is missing, never 0. Instants are aware UTC; intervals are
half-open. To add a noun: put it on the page of its family, frozen, slots, keyword-only, with
the unit in every field name.
"""
