"""Journal: durable, append-only, never another run's, one process at a time."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from tracediff.errors import JournalError, RunLocked
from tracediff.training.journal import FILE_NAME, Event, Journal, read_journal


def test_events_come_back_in_order_with_their_keys(tmp_path):
    journal = Journal.create(tmp_path / "run", {"seed": 3})
    journal.append(Event("call", {"text": "a"}, "c1", "train/s1", "r1", 0))
    journal.append_all([Event("call", {"text": "b"}, "c1", "train/s1", "r1", 1), Event("stop", {})])
    header, events = read_journal(tmp_path / "run")
    assert header == {"seed": 3}
    assert [(e.kind, e.candidate, e.sample, e.request, e.occurrence) for e in events] == [
        ("call", "c1", "train/s1", "r1", 0),
        ("call", "c1", "train/s1", "r1", 1),
        ("stop", "", "", "", 0),
    ]
    assert [e.body["text"] for e in journal.events("call")] == ["a", "b"]
    journal.close()
    journal.close()


def test_an_event_is_there_for_other_processes_when_append_returns(tmp_path):
    journal = Journal.create(tmp_path, {})
    journal.append(Event("score", {"score": 1.0}))
    code = "import sys; from tracediff.training.journal import read_journal; print(len(read_journal(sys.argv[1])[1]))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    journal.close()
    assert done.stdout.strip() == "1"


def test_many_threads_lose_nothing(tmp_path):
    journal = Journal.create(tmp_path, {})

    def write(number):
        for i in range(20):
            journal.append(Event("score", {"n": number, "i": i}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = list(journal.events())
    journal.close()
    assert len(events) == 160
    for number in range(8):
        assert [e.body["i"] for e in events if e.body["n"] == number] == list(range(20))


def test_folder_and_file_are_private(tmp_path):
    journal = Journal.create(tmp_path / "run", {})
    journal.append(Event("stop", {}))
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "run").iterdir()}
    journal.close()
    assert FILE_NAME in modes
    assert set(modes.values()) == {0o600}


def test_another_runs_journal_is_never_overwritten(tmp_path):
    journal = Journal.create(tmp_path, {"seed": 1})
    journal.append(Event("call", {}))
    journal.close()
    with pytest.raises(JournalError, match="another run_dir"):
        Journal.create(tmp_path, {"seed": 2})
    assert read_journal(tmp_path)[0] == {"seed": 1}


@pytest.mark.parametrize(
    ("events", "is_free"),
    [
        ([], True),
        ([Event("batch", {}), Event("stop", {"reason": "error"})], True),
        ([Event("score", {}), Event("stop", {"reason": "error", "is_void": True})], True),
        ([Event("score", {}), Event("stop", {"reason": "error"})], False),
        ([Event("call", {})], False),
        ([Event("engine", {}), Event("stop", {"reason": "error", "is_void": False})], False),
    ],
)
def test_a_start_that_failed_gives_way(tmp_path, events, is_free):
    journal = Journal.create(tmp_path, {"seed": 1})
    journal.append_all(events)
    journal.close()
    if not is_free:
        with pytest.raises(JournalError, match="another run_dir"):
            Journal.create(tmp_path, {"seed": 2})
        return
    journal = Journal.create(tmp_path, {"seed": 2})
    assert list(journal.events()) == []
    journal.close()
    assert read_journal(tmp_path)[0] == {"seed": 2}


def test_a_folder_that_was_there_keeps_its_mode(tmp_path):
    tmp_path.chmod(0o755)
    journal = Journal.create(tmp_path, {})
    journal.close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_folder_in_use_is_refused_with_the_pid(tmp_path):
    journal = Journal.create(tmp_path, {})
    with pytest.raises(RunLocked, match=f"process {os.getpid()} works"):
        Journal.create(tmp_path, {})
    journal.close()


def test_a_killed_process_leaves_no_lock(tmp_path):
    code = (
        "import os, sys; from tracediff.training.journal import Journal, Event\n"
        "j = Journal.create(sys.argv[1], {}); j.append(Event('call', {})); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(read_journal(tmp_path)[1]) == 1
    with pytest.raises(JournalError, match="another run"):
        Journal.create(tmp_path, {})


def test_events_can_not_be_changed(tmp_path):
    journal = Journal.create(tmp_path, {})
    journal.append(Event("score", {"score": 0.0}))
    journal.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    for statement in ("UPDATE events SET body = '{}'", "DELETE FROM events"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_damaged_or_missing_journal_is_named(tmp_path):
    with pytest.raises(JournalError, match="holds no run"):
        read_journal(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"SQLite format 3\0" + b"\1" * 200)
    with pytest.raises(JournalError, match="damaged"):
        read_journal(tmp_path)


def test_a_journal_of_another_version_is_refused(tmp_path):
    Journal.create(tmp_path, {}).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="version 99"):
        read_journal(tmp_path)


def test_odd_values_are_written():
    journal = Journal.in_memory({"odd": {1: object}})
    journal.append(Event("score", {"text": "\ud800", "big": 2**70, "many": ({1, 2},)}, sample="train/\ud800"))
    (event,) = journal.events()
    journal.close()
    assert event.body["big"] == str(2**70)
    assert event.body["text"] == "\\ud800"


def test_a_failed_write_reaches_who_waits():
    journal = Journal.in_memory({})
    journal._connection.execute("DROP TABLE events")
    with pytest.raises(JournalError, match="can't be written"):
        journal.append(Event("score", {}))
    journal.close()
    with pytest.raises(JournalError, match="is closed"):
        journal.append(Event("score", {}))
