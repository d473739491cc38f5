"""Prompts of programs that nobody decorated: found in their source, replaced at the client boundary.

``Observation`` watches requests, ``find`` explains them by the user's source, ``save`` and ``load`` keep what was found
in a file that a person edits, ``discovered`` and ``activate`` put it to use.
"""

from tracediff.discover.given import FirstTime, add_template
from tracediff.discover.observe import Findings, Observation, find
from tracediff.discover.parameterfile import Discovered, ParameterFile, load, save
from tracediff.discover.replace import Overlay, activate, discovered

__all__ = [
    "Discovered",
    "Findings",
    "FirstTime",
    "Observation",
    "Overlay",
    "ParameterFile",
    "activate",
    "add_template",
    "discovered",
    "find",
    "load",
    "save",
]
