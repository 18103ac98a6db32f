"""Instants on the command line."""

from datetime import datetime

from controller.errors import UsageError


def instant_of(option: str, text: str) -> datetime:
    """The instant that an option names. Raises UsageError where it is none, or has no offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not an ISO instant") from error
    if at.tzinfo is None:
        raise UsageError(f"{option} {text!r} needs an offset, e.g. 2014-01-27T20:00+11:00")
    return at
