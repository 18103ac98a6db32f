"""Device profiles: the pages of `profiles/`, read and judged like every other table."""

from pydantic import ValidationError

from adapters.profile import ProfilePage, contradictions, profile_of
from controller.config.faults import shape_faults, shown
from controller.config.files import parse_toml
from controller.errors import Fault
from controller.model.settings import Profile


def read_profile(file: str, text: str) -> tuple[Profile | None, list[Fault]]:
    """One page, or None and all its faults; the page's id must be the file's name."""
    raw, faults = parse_toml(file, text)
    if raw is None:
        return None, faults
    try:
        page = ProfilePage.model_validate(raw)
    except ValidationError as error:
        return None, shape_faults(file, "", ProfilePage, raw, error)
    stem = file.rpartition("/")[2].removesuffix(".toml")
    faults = [
        Fault(file=file, place=place, value=shown(value), expected=expected)
        for place, value, expected in contradictions(page, stem)
    ]
    return (None, faults) if faults else (profile_of(page), [])
