"""A simulated model server: a stand-in for machines without a model. Every figure it gives is a simulation.

It speaks the OpenAI wire format on the loopback interface, so programs use their real client. What it says of a
method is whether information flows to the right prompt; it says nothing about real models. Imports nothing of the
rest of tracediff.
"""

from __future__ import annotations

from tracediff.simulate.data import Paragraphs, counting_samples, one_hop_samples, two_hop_samples
from tracediff.simulate.questions import labelled_samples
from tracediff.simulate.server import Exchange, Server
from tracediff.simulate.world import Settings, Skill, World

__all__ = [
    "Exchange",
    "Paragraphs",
    "Server",
    "Settings",
    "Skill",
    "World",
    "counting_samples",
    "labelled_samples",
    "one_hop_samples",
    "two_hop_samples",
]
