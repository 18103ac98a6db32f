"""Simulated homes, sites and duty desks: the same physics in process and behind real sockets.

`clock` is the virtual-time loop; `world` the weather and the area; `devices/` one physics page
per kind; `fleet` writes a population with its meter history; `servers/` put the devices behind
real protocol bytes; `faults` breaks them; `day` runs the real app over them in virtual time.
To add a device: one page in `devices/`, one line in `plant.py`.
"""
