"""The simulated devices behind real protocol bytes, one process per protocol.

`firmware` is what a device itself sees to (fences, its own clock, the same command twice),
`panel` shows it as points of a profile, and `modbus`, `opcua`, `mqtt`, `duty_desk` speak. The
profile page is shared with the adapters; every conversion here is written a second time, so
that two equal mistakes cannot hide each other. To add a protocol: one file here with a `main`.
"""
