"""The shell: owns the one long-lived TaskGroup and strings the stages.

`controller` holds lifetimes and the operators' verbs; `steering` is the loop, helped by
`asking` (the planner's question), `planner` (its process), `telling` (told contracts),
`calling` (devices), `watching` (what meters show); `day_ahead` is the evening run, `settling`
the day after, `situation` what is known now, `results` what is shown. Everything concrete is
handed in: this package imports no adapter and no web.
"""

from controller.app.controller import Controller
from controller.app.wiring import Services

__all__ = ["Controller", "Services"]
