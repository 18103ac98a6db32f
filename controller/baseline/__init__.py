"""Baseline: what a meter would have drawn without the event (基线负荷), and how we know.

`days` cuts meter values into local days · `calendar` says which days are like the event day ·
`sample` walks back over them and tests their usage · `recent_n` and `x_of_y` choose days ·
`adjust` fits the choice to the event day's morning · `explain` puts it into words · `baselines`
is the way in: one call for many meters, each answer with the days used, dropped, and why.

To add a family: a file here with `choose(rule, …) -> Choice`, a word in `BaselineMethod`, a line
in `baselines.CHOOSE`, its parameters in `BaselineRule`, and worked examples in tests/.
"""
