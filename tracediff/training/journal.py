"""Journal: the durable state of a training run, one SQLite file of events that are written before they are used.

Every model call, score, gradient, proposal and decision is an event, keyed by (candidate, sample, request, which
occurrence of it). Reuse, exact cost and resume are readings of it. ``synchronous=FULL`` and one writer connection on a
thread of its own, which commits what waits in one transaction.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from tracediff.errors import JournalError, RunLocked

SCHEMA_VERSION = 1
FILE_NAME = "journal.sqlite3"
_LOCK_NAME = "lock"

_SCHEMA = """
CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    candidate TEXT NOT NULL,
    sample TEXT NOT NULL,
    request TEXT NOT NULL,
    occurrence INTEGER NOT NULL,
    body TEXT NOT NULL,
    at_ns INTEGER NOT NULL
);
CREATE INDEX events_by_key ON events (kind, candidate, sample, request, occurrence);
CREATE TRIGGER events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. ``body`` is JSON-able."""

    kind: str
    """``run``, ``call``, ``score``, ``engine``, ``batch``, ``gradient``, ``proposal``, ``decision``, ``stop`` ..."""
    body: Mapping[str, Any]
    candidate: str = ""
    """Hash of the candidate."""
    sample: str = ""
    """``split/sample id``."""
    request: str = ""
    """Hash of the request to a model."""
    occurrence: int = 0
    """Which one of equal (candidate, sample, request), from 0."""


class Journal:
    """An open journal; ``append`` returns when the event is on the disk. Used from several threads; close it."""

    def __init__(self, connection_path: str, lock: IO[str] | None = None) -> None:
        self.path = connection_path
        self._lock_file = lock
        self._queue: queue.SimpleQueue[tuple[Event, Future[None]] | None] = queue.SimpleQueue()
        self._closed = False
        self._writing = threading.Lock()
        self._connection = _connect(connection_path)
        self._reading = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="tracediff-journal", daemon=True)
        self._thread.start()

    @classmethod
    def in_memory(cls, header: Mapping[str, Any]) -> Journal:
        """Return a journal that ends with the process, for a run without a folder."""
        journal = cls(":memory:")
        journal._create(header)
        return journal

    @classmethod
    def create(cls, folder: str | os.PathLike[str], header: Mapping[str, Any]) -> Journal:
        """Return the journal of a new run in ``folder``, which is made if it is not there.

        A run that failed at its start, before anything was paid that another run could use, gives way. Raises
        JournalError when the folder holds another run's journal, which is never overwritten, and RunLocked when
        a process works in it.
        """
        place = Path(folder)
        try:
            if not place.is_dir():  # a folder that is there keeps its mode; our files in it are private anyhow
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                place.chmod(0o700)
        except OSError as error:
            raise JournalError(f"the run folder {place} can't be made: {error.strerror or error}") from error
        lock = _locked(place)
        file = place / FILE_NAME
        try:
            if file.exists():
                _make_room(place)
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            journal = cls(str(file), lock)
        except BaseException:
            _unlock(lock)
            raise
        journal._create(header)
        return journal

    def _create(self, header: Mapping[str, Any]) -> None:
        with self._reading:
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            rows = [(key, dumps(value)) for key, value in header.items()]
            with self._connection:
                self._connection.executemany("INSERT INTO header VALUES (?, ?)", rows)

    def append(self, event: Event) -> None:
        """Write one event; it is durable when this returns. Raises JournalError when it can't be written."""
        self.append_all([event])

    def append_all(self, events: list[Event]) -> None:
        """Write events in order; all are durable when this returns."""
        waiting: list[Future[None]] = []
        with self._writing:
            if self._closed:
                raise JournalError(f"the journal {self.path} is closed")
            for event in events:
                waiting.append(Future())
                self._queue.put((event, waiting[-1]))
        for future in waiting:
            future.result()

    def _write(self) -> None:
        """Commit what waits, in one transaction each time, until the end mark comes."""
        while (first := self._queue.get()) is not None:
            batch, is_last = [first], False
            with contextlib.suppress(queue.Empty):
                while len(batch) < 256:
                    item = self._queue.get_nowait()
                    if item is None:
                        is_last = True
                        break
                    batch.append(item)
            try:
                with self._reading, self._connection:
                    self._connection.executemany(
                        "INSERT INTO events (kind, candidate, sample, request, occurrence, body, at_ns) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?)",
                        [_row(event) for event, _ in batch],
                    )
            except Exception as error:  # whatever it is, those who wait must hear of it
                for _, future in batch:
                    future.set_exception(JournalError(f"the journal {self.path} can't be written: {error}"))
            else:
                for _, future in batch:
                    future.set_result(None)
            if is_last:
                return

    def events(self, kind: str | None = None) -> Iterator[Event]:
        """Yield the events in the order they were written, or those of one kind."""
        where, values = ("WHERE kind = ?", (kind,)) if kind else ("", ())
        with self._reading:
            rows = self._connection.execute(
                f"SELECT kind, body, candidate, sample, request, occurrence FROM events {where} ORDER BY number",  # noqa: S608
                values,
            ).fetchall()
        for row in rows:
            yield Event(row[0], orjson.loads(row[1]), *row[2:])

    @property
    def header(self) -> dict[str, Any]:
        """Seed, options, hashes of program, data and meta-prompts."""
        with self._reading:
            rows = self._connection.execute("SELECT key, value FROM header").fetchall()
        return {key: orjson.loads(value) for key, value in rows}

    def close(self) -> None:
        """Write what waits and let go of the folder; a second call does nothing."""
        with self._writing:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._connection.close()
        _unlock(self._lock_file)


def read_journal(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], list[Event]]:
    """Return header and events of the run in ``folder``, also while it is written; raise JournalError if damaged."""
    file = Path(folder) / FILE_NAME
    if not file.is_file():
        raise JournalError(f"{folder} holds no run: {FILE_NAME} is missing. Give the run_dir of an optimization")
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                raise JournalError(f"{file} has schema version {version}, this tracediff reads {SCHEMA_VERSION}")
            header = dict(connection.execute("SELECT key, value FROM header").fetchall())
            rows = connection.execute(
                "SELECT kind, body, candidate, sample, request, occurrence FROM events ORDER BY number"
            ).fetchall()
        finally:
            connection.close()
        events = [Event(row[0], orjson.loads(row[1]), *row[2:]) for row in rows]
        return {key: orjson.loads(value) for key, value in header.items()}, events
    except (sqlite3.DatabaseError, ValueError) as error:
        raise JournalError(f"{file} is damaged: {error}. Restore it from a copy, or start a new run") from error


def _make_room(folder: Path) -> None:
    """Remove the journal of a start that failed; raise JournalError for that of any other run. The lock is held."""
    _, events = read_journal(folder)
    is_paid = any(event.kind in {"call", "engine", "score"} for event in events)
    is_void = bool(events) and events[-1].kind == "stop" and events[-1].body.get("is_void") is True
    if is_paid and not is_void:
        raise JournalError(
            f"{folder} holds the journal of another run, which is never overwritten. "
            "Give another run_dir, or delete the folder if that run is no longer wanted"
        )
    for ending in ("-wal", "-shm", ""):
        (folder / f"{FILE_NAME}{ending}").unlink(missing_ok=True)


def dumps(value: Any) -> str:
    """Return JSON text; what JSON can't hold stands as its ``repr``, so that no event is lost."""
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
    try:
        return orjson.dumps(value, default=repr, option=options).decode()
    except (TypeError, ValueError):
        return orjson.dumps(_plain(value), option=options).decode()


def _plain(value: Any) -> Any:
    """Return a copy that JSON can hold: surrogates escaped, large integers and odd keys as text."""
    match value:
        case None | bool() | float():
            return value
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case Mapping():
            return {str(_plain(str(key))): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return _plain(repr(value))


def _row(event: Event) -> tuple[str, str, str, str, int, str, int]:
    sample = event.sample.encode("utf-8", "backslashreplace").decode()
    key = (event.kind, event.candidate, sample, event.request, event.occurrence)
    return (*key, dumps(event.body), time.time_ns())


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")  # one flush a commit, and readers never block the writer
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _locked(folder: Path) -> IO[str]:
    """Return the lock file of a folder, held until it is closed or the process ends; raise RunLocked with the pid."""
    path = folder / _LOCK_NAME
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    file = os.fdopen(handle, "r+")
    if not _take(file):
        holder = file.read().strip() or "unknown"
        file.close()
        raise RunLocked(f"process {holder} works in the run folder {folder}. Wait for it, or give another run_dir")
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _take(file: IO[str]) -> bool:
    """Return whether the lock was free. The system frees it when the process ends, however that happens."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            file.seek(4096)  # beyond the pid, which stays readable
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        finally:
            file.seek(0)
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(lock: IO[str] | None) -> None:
    if lock is not None:
        lock.close()
