"""Every rule of the house, one line each: `python -m tests.house`; exit code 1 on any fault."""

import sys

from tests.house import (
    audit,
    configs,
    licences,
    links,
    names,
    rooms,
    sizes,
    tell,
    tracked,
    walkthrough,
)

CHECKS = [sizes, names, rooms, tracked, links, walkthrough, configs, licences, audit]

if __name__ == "__main__":
    sys.exit(max([tell(check.verdict()) for check in CHECKS]))
