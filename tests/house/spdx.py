"""What a package says about its licence, as an SPDX expression, and which family that is."""

import re
from typing import Any

from license_expression import ExpressionError, LicenseWithExceptionSymbol, get_spdx_licensing

PERMISSIVE, WEAK, COPYLEFT, UNKNOWN = range(4)  # the worse the higher

# By the beginning of an SPDX identifier; what begins with none of them is unknown.
FAMILIES = {
    PERMISSIVE: ("MIT", "BSD-", "0BSD", "Apache-", "ISC", "PSF-", "Python-", "Zlib", "CC0-"),
    WEAK: ("LGPL-", "MPL-", "EPL-"),
    COPYLEFT: ("GPL-", "AGPL-", "SSPL-"),
}

# How packages from before PEP 639 say it, in `License` (its beginning) or else in a classifier.
TEXTS = {
    r"MIT\b": "MIT",
    r"(BSD[- ]3|3-Clause BSD)": "BSD-3-Clause",
    r"(BSD[- ]2|2-Clause BSD)": "BSD-2-Clause",
    r"Apache( License)?[ -]+(Version )?2\.0": "Apache-2.0",
    r"GNU Lesser General Public License v3 or later": "LGPL-3.0-or-later",
    r"MPL-2\.0": "MPL-2.0",
    r"ISC License": "ISC",
    r"PSFL": "PSF-2.0",
}
CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause OR BSD-2-Clause",  # it does not say which
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
}

_SPDX = get_spdx_licensing()


def licence_of(metadata: Any) -> str:
    """The SPDX expression (PEP 639) or what comes closest; empty if nothing can be read."""
    said = (metadata.get("License-Expression") or "").strip()
    if said:
        return said
    text = re.sub(r"\s+", " ", metadata.get("License") or "").strip()
    for begin, spdx in TEXTS.items():
        if re.match(begin, text):
            return spdx
    lines = metadata.get_all("Classifier") or []
    classes = [x.rpartition(" :: ")[2] for x in lines if x.startswith("License :: ")]
    named = [x for x in classes if x not in ("OSI Approved", "DFSG approved")]
    if any(x not in CLASSIFIERS for x in named):
        return ""
    # Classifiers do not say whether one may choose, so each must be fine.
    return " AND ".join(f"({CLASSIFIERS[x]})" if named[1:] else CLASSIFIERS[x] for x in named)


def family(expression: str) -> int:
    """PERMISSIVE, WEAK, COPYLEFT or UNKNOWN: OR gives us the choice, AND binds us to each."""
    if not expression:
        return UNKNOWN
    try:
        return _family(_SPDX.parse(expression))
    except ExpressionError:
        return UNKNOWN


def _family(part: Any) -> int:
    if part.args:
        each = [_family(x) for x in part.args]
        return min(each) if part.operator.strip() == "OR" else max(each)
    if isinstance(part, LicenseWithExceptionSymbol):
        part = part.license_symbol  # an exception softens a licence for some uses: judge without
    return next((kind for kind, begins in FAMILIES.items() if part.key.startswith(begins)), UNKNOWN)
