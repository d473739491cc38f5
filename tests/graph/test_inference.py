"""The graph against the truth of generated programs, and what must hold for any order and any form of the records."""

from __future__ import annotations

import random

import pytest

from tracediff.errors import DataError
from tracediff.graph import ParameterGraph, build

from .generate import generated
from .measure import Tally
from .recorder import HandRecorder, LiveRecorder
from .shapes import SHAPES

PROGRAMS = 30
WANTED = {0: (0.985, 0.98), 1: (0.985, 0.98), 2: (0.985, 0.98), 3: (0.97, 0.98), 4: (0.94, 0.93)}


def live(seed, level):
    recorder = LiveRecorder()
    program = generated(seed, level, recorder, SHAPES)
    recorder.close(program.output.obj)
    return recorder.run, program


@pytest.fixture(scope="module")
def tallies():
    found = {}
    for level in WANTED:
        found[level] = Tally()
        for seed in range(1000, 1000 + PROGRAMS):
            run, program = live(seed, level)
            found[level].add(run.graph(), program.truth)
    return found


@pytest.mark.parametrize("level", WANTED)
def test_edges_and_reach_of_live_programs(tallies, level):
    lenient, reach = WANTED[level]
    assert tallies[level].lenient >= lenient
    assert tallies[level].reach >= reach


def test_confidence_means_something(tallies):
    every = Tally()
    for tally in tallies.values():
        every.sure += tally.sure
        every.true_confidences += tally.true_confidences
    assert every.brier <= 0.05
    assert every.confident >= 0.8


@pytest.mark.parametrize("level", WANTED)
def test_any_order_of_the_records_gives_the_identical_graph(level):
    for seed in range(6):
        recorder = HandRecorder()
        program = generated(seed, level, recorder, SHAPES)
        graph = build(recorder.records, output=program.output.obj).to_json()
        for _ in range(3):
            records = list(recorder.records)
            random.Random(seed).shuffle(records)
            assert build(records + records[:2], output=program.output.obj).to_json() == graph


@pytest.mark.parametrize("level", WANTED)
def test_a_saved_run_gives_the_identical_graph(tmp_path, level):
    for seed in range(4):
        run, _ = live(seed, level)
        run.save(tmp_path / "run.jsonl")
        assert ParameterGraph.from_jsonl(tmp_path / "run.jsonl").to_json() == run.graph().to_json()


def test_runs_never_mix():
    recorders = [HandRecorder(run_id=str(i) * 32) for i in (1, 2)]
    for recorder in recorders:
        generated(3, 3, recorder, SHAPES)
    mixed = [record for recorder in recorders for record in recorder.records]
    with pytest.raises(DataError, match="2 runs"):
        build(mixed)
    alone = build(recorders[0].records).to_json()
    assert build(mixed, run_id="1" * 32).to_json() == alone


def test_text_alone_still_finds_most_edges():
    import dataclasses

    tally = Tally()
    for seed in range(12):
        recorder = HandRecorder()
        program = generated(seed, 2, recorder, SHAPES)
        bare = [dataclasses.replace(record, refs=()) for record in recorder.records]
        tally.add(build(bare, output=program.output.obj), program.truth)
    assert tally.lenient >= 0.95
