"""Settle: from baseline and meter to money, points, ledger entries and statements (结算).

`committed` says who was called · `performance` makes whole Wh of what was metered ·
`share` splits whole numbers without a rest ·
`tiers` grades delivered against committed · `rebate` and `points` turn grades into amounts ·
`transfers` writes them as double entries · `settle` strings these for one event · `statement`,
`parts`, `page` and `words` tell the customer · `reconcile` computes everything again in another
way and reports what differs.

All of it is pure: the same input gives the same transfers with the same ids, so settling again
adds nothing. To add a component: a file like `points` that returns `Amount`s, one line in
`settle.amounts`, its own arithmetic in `reconcile`, and a worked example in tests/.
"""
