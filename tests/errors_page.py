"""docs/errors.md from controller/errors.py: `python -m tests.errors_page` writes it."""

from pathlib import Path

from controller.errors import PeakshareError, every_error

PAGE = Path(__file__).parents[1] / "docs" / "errors.md"

HEAD = """\
# Errors

<!-- Made from controller/errors.py by `python -m tests.errors_page`; a test compares. -->

What Peakshare says on standard error when something cannot be done:

```
error PS-110: 1 fault in the configuration configs/demo:
  contracts/all.toml: contract[mill].notice: 15 — expected a duration such as "90 s", "15 min" …
  Correct the files named above, then `peakshare check DIR`.
```

The code and the message; a line for each fault with file, place, what stood there and what was
expected; what to do. Every fault is found before anything is changed. With `--json` anywhere among
the words the same comes as one line of JSON, also on standard error; standard output stays empty:

```json
{"error": {"code": "PS-110", "message": "…", "hint": "…",
           "faults": [{"file": "…", "place": "…", "value": "…", "expected": "…"}]}}
```

`--debug` adds the traceback (as `traceback` in JSON). Over HTTP it is `code`, `message`, `faults`
and `hint` of a problem document (RFC 9457). An interrupt is no error: it says `interrupted` and
ends with 1.

| exit code | |
|---|---|
| 0 | done |
| 1 | the job failed, or was interrupted |
| 2 | wrong usage or input; nothing was changed |

A code never changes its meaning. A code that ends in 00 is for what the more exact ones of its
hundred do not say.
"""


def page() -> str:
    """The whole page."""
    kinds = sorted(every_error(), key=lambda kind: kind.code)
    return "\n".join([HEAD, *map(_entry, kinds)])


def _entry(kind: type[PeakshareError]) -> str:
    return (
        f"## {kind.code} {kind.__name__}\n\n"
        f"```\nerror {kind.code}: {kind.example}\n```\n\n"
        f"- Cause: {kind.cause}\n"
        f"- What to do: {kind.hint}\n"
        f"- Exit code: {kind.exit_code}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
