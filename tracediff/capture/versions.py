"""Versions of frameworks that an integration was made for: read from what is installed, nothing is imported."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from tracediff.errors import MissingIntegration, UnsupportedVersion


def require(integration: str, package: str, lowest: str, below: str) -> str:
    """Return the installed version of ``package``.

    Raises:
        MissingIntegration: it is not installed.
        UnsupportedVersion: it is older than ``lowest``, or ``below`` or newer.
    """
    extra = f"pip install 'tracediff[{integration}]'"
    try:
        found = version(package)
    except PackageNotFoundError:
        raise MissingIntegration(
            f"instrument({integration!r}) needs the package {package}; install it: {extra}"
        ) from None
    if not _release(lowest) <= _release(found) < _release(below):
        raise UnsupportedVersion(
            f"instrument({integration!r}) supports {package} from {lowest} to below {below}; {found} is installed. "
            f"Install one that is supported: {extra}"
        )
    return found


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers a version begins with: of a release, without what marks a candidate for it."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    numbers = tuple(map(int, match[0].split("."))) if match else ()
    return numbers + (0,) * (4 - len(numbers))
