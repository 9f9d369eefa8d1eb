"""Processes that outlive the command that starts them: start, recognise, wait for, stop."""

import datetime as dt
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from prefect_optaic.stack.errors import PortTaken, ServiceDied, ServiceSlow
from prefect_optaic.stack.machine.ports import free

TAIL_LINES = 15
_TAIL_BYTES = 64 * 1024
_POLL_SECONDS = 0.05
_FAMILY_SECONDS = 5.0

# Children of this very process: without being polled they would stay zombies after their end.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Record:
    """A started process, with what tells it from a later one that got the same pid."""

    name: str
    pid: int
    birth: float  # see birth_of
    since: str  # ISO 8601, UTC
    log: str
    port: int | None = None  # the one that it listens on; of a worker, that of its server


def spawn(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    cwd: Path,
    env: Mapping[str, str],
    user: str | None = None,
    port: int | None = None,
) -> Record:
    """Start a command in a session of its own, its output appended to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env=dict(env),
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    _children[child.pid] = child
    birth = birth_of(psutil.Process(child.pid))
    since = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
    return Record(name=name, pid=child.pid, birth=birth, since=since, log=str(log), port=port)


def find(record: Record) -> psutil.Process | None:
    """Return the recorded process if it still runs; never another one with its pid."""
    child = _children.get(record.pid)
    if child is not None and child.poll() is not None:
        return None
    try:
        process = psutil.Process(record.pid)
        if process.status() == psutil.STATUS_ZOMBIE or abs(birth_of(process) - record.birth) > 0.5:
            return None
    except psutil.NoSuchProcess:
        return None
    return process


def alive(record: Record) -> bool:
    """Is the recorded process running?"""
    return find(record) is not None


def listens(record: Record) -> bool:
    """Does the recorded process, or one that it started, listen on its port?"""
    process = find(record)
    if process is None:
        return False
    return any(_listens(member, record.port) for member in (process, *_family(process)))


def wait_until(
    record: Record, ready: Callable[[], bool], *, patience_seconds: float, needs: Sequence[Record] = ()
) -> None:
    """Wait for a process, which needs others, to be ready.

    Raises `ServiceDied` or `ServiceSlow`, with the end of the log of the one to blame.
    """
    deadline = time.monotonic() + patience_seconds
    while not ready():
        for process in (*needs, record):
            if not alive(process):
                raise died(process)
        if time.monotonic() > deadline:
            raise ServiceSlow(record.name, patience_seconds, Path(record.log), tail(Path(record.log)))
        time.sleep(_POLL_SECONDS)


def wait_listening(record: Record, healthy: Callable[[Record], bool], *, needs: Sequence[Record]) -> None:
    """Wait until a process that listens on a port answers. Raises `PortTaken`, `ServiceDied` or `ServiceSlow`."""
    assert record.port is not None
    port = record.port

    def ready() -> bool:
        if not free(port) and not listens(record):
            raise PortTaken(port)
        return healthy(record)

    try:
        wait_until(record, ready, patience_seconds=120, needs=needs)
    except ServiceDied as error:
        if error.name == record.name and not free(port):
            raise PortTaken(port) from error
        raise


def died(record: Record) -> ServiceDied:
    """Return the error that names a dead process, with the end of its log."""
    child = _children.get(record.pid)
    # A negative code is a signal.
    code = None if child is None else child.poll()
    return ServiceDied(record.name, record.pid, Path(record.log), tail(Path(record.log)), code)


def stop(record: Record, signals: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Send each signal and wait its seconds, until the process and its descendants are gone.

    Returns whether it still ran.
    """
    process = find(record)
    if process is None:
        return False
    family = _family(process)
    for number, seconds in signals:
        if alive(record):
            process.send_signal(number)
        if _gone(record, seconds):
            break
    _end(family)
    return True


def end_orphans(record: Record) -> None:
    """End what a process that has died has left running: it is in the session that the process led."""
    if find(record) is None and not _reused(record):
        _end([member for member in psutil.process_iter() if _session(member.pid) == record.pid])


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """Return the last lines of a log, blank ones left out."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]


def birth_of(process: psutil.Process) -> float:
    """When a process was born, on a clock that setting the time does not move."""
    # Linux keeps it in ticks since boot, and psutil adds the boot time, which moves with the clock.
    return float(process.create_time()) - (float(psutil.boot_time()) if psutil.LINUX else 0.0)


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _listens(process: psutil.Process, port: int | None) -> bool:
    try:
        connections = process.net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)


def _reused(record: Record) -> bool:
    """Has another process got the pid?"""
    try:
        return abs(birth_of(psutil.Process(record.pid)) - record.birth) > 0.5
    except psutil.NoSuchProcess:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _end(family: Sequence[psutil.Process]) -> None:
    """End descendants that outlived their parent: a flow run gets the time to report its own end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for member in filter(_running, family):
            member.send_signal(number)
        deadline = time.monotonic() + _FAMILY_SECONDS
        while any(map(_running, family)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _gone(record: Record, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
