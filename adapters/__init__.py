"""Links to real devices: one file per protocol, one TOML page per device model.

To add a device model: one page in `configs/profiles/` (see docs/adding-a-device.md). To add a
protocol: one file here that implements `controller.ports.Link`, one line in `registry`, one
server in `simulators/servers/`, one word in the contract suite's list. An adapter translates,
reads back what it wrote and turns a device's trouble into a `Receipt`; retries, the journal and
rate limits belong to `controller.dispatch`.
"""
