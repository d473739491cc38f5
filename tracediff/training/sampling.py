"""Sampling of mini-batches: a seam with one policy today, the paper's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol


class Sampling(Protocol):
    """Says which training samples a step looks at. Its random generator is its own and seeded."""

    def draw(self) -> tuple[str, ...]:
        """Return the ids of a new batch."""
        ...

    @property
    def max_draws(self) -> int:
        """How many batches in a row may have nothing to learn from before there is nothing left to learn."""
        ...


class ShuffledEpochs:
    """Batches of a fixed size from shuffled passes over the training samples (LLM-AutoDiff, algorithm 2)."""

    def __init__(self, ids: Sequence[str], batch_size: int, rng: random.Random) -> None:
        self._ids = tuple(ids)
        self._size = min(batch_size, len(self._ids))
        self._rng = rng
        self._left: list[str] = []

    def draw(self) -> tuple[str, ...]:
        """Return the next batch; no sample comes twice in it, also where one pass ends and the next begins."""
        batch: list[str] = []
        while len(batch) < self._size:
            if not self._left:
                fresh = list(self._ids)
                self._rng.shuffle(fresh)
                self._left = [id_ for id_ in fresh if id_ not in batch] + [id_ for id_ in fresh if id_ in batch]
            batch.append(self._left.pop(0))
        return tuple(batch)

    @property
    def max_draws(self) -> int:
        """Two passes: then every sample was seen at least once, and a second look costs nothing (scores are kept)."""
        return 2 * -(-len(self._ids) // self._size)
