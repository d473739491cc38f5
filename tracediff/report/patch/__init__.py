"""Write-back: optimized prompts as a patch of the user's own source (DISCOVER, method 8)."""

from tracediff.report.patch.change import Change
from tracediff.report.patch.patch import Patch, make_patch

__all__ = ["Change", "Patch", "make_patch"]
