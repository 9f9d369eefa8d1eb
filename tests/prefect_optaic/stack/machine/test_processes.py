"""Processes are recognised, not just numbered."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from prefect_optaic.stack.errors import ServiceDied, ServiceSlow
from prefect_optaic.stack.machine.processes import Record, alive, end_orphans, spawn, stop, tail, wait_until

CONCURRENCY = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


def start(folder: Path, code: str) -> Record:
    return spawn("sample", [sys.executable, "-c", code], log=folder / "sample.log", cwd=folder, env=os.environ)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Record]:
    record = start(tmp_path, "import time; time.sleep(60)")
    yield record
    stop(record, CONCURRENCY)


def test_a_session_of_its_own(sleeper: Record) -> None:
    assert os.getsid(sleeper.pid) == sleeper.pid


def test_stop_ends_it_once(sleeper: Record) -> None:
    assert alive(sleeper)
    assert stop(sleeper, CONCURRENCY)
    assert not alive(sleeper)
    assert not stop(sleeper, CONCURRENCY)


def test_what_a_killed_process_has_left_is_ended(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    record = start(tmp_path, code)
    wait_until(record, lambda: bool(tail(tmp_path / "sample.log")), patience_seconds=30)
    left = psutil.Process(int(tail(tmp_path / "sample.log")[0]))
    end_orphans(record)
    assert alive(record)
    assert left.is_running()
    os.kill(record.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while alive(record):  # not `wait_until`, to which a process that dies is an error
        assert time.monotonic() < deadline
        time.sleep(0.02)
    end_orphans(record)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_a_reused_pid_is_not_the_recorded_process(sleeper: Record) -> None:
    former = replace(sleeper, birth=sleeper.birth - 100)
    assert not alive(former)
    assert not stop(former, CONCURRENCY)
    assert alive(sleeper)


def test_stop_takes_descendants_along(tmp_path: Path) -> None:
    child = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
    parent = start(tmp_path, f"{child} start_new_session=True); print(p.pid, flush=True); time.sleep(60)")
    wait_until(parent, lambda: bool(tail(Path(parent.log))), patience_seconds=10)
    grandchild = int(tail(Path(parent.log))[0])
    stop(parent, CONCURRENCY)
    # Gone, or a zombie where nobody reaps it.
    status = Path(f"/proc/{grandchild}/stat")
    assert not status.exists() or ") Z " in status.read_text()


def test_what_ignores_a_signal_gets_the_next(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)"
    stubborn = start(tmp_path, f"{code}; time.sleep(60)")
    wait_until(stubborn, lambda: bool(tail(Path(stubborn.log))), patience_seconds=10)
    stop(stubborn, ((signal.SIGTERM, 0.2), (signal.SIGKILL, 5.0)))
    assert not alive(stubborn)


def test_a_death_is_named_with_the_end_of_the_log(tmp_path: Path) -> None:
    record = start(tmp_path, "for i in range(30): print('line', i)\nraise SystemExit(3)")
    with pytest.raises(ServiceDied) as caught:
        wait_until(record, lambda: False, patience_seconds=10)
    message = str(caught.value)
    assert f"sample (pid {record.pid}) has died with exit code 3." in message
    assert f"The end of its log, {record.log}:" in message
    assert "| line 15\n" in message
    assert message.endswith("| line 29")
    assert "line 14" not in message


def test_the_death_of_what_it_needs_is_named(sleeper: Record, tmp_path: Path) -> None:
    needed = start(tmp_path, "raise SystemExit(1)")
    with pytest.raises(ServiceDied, match=f"pid {needed.pid}"):
        wait_until(sleeper, lambda: False, patience_seconds=10, needs=[needed])


def test_slowness_has_a_remedy(sleeper: Record) -> None:
    with pytest.raises(ServiceSlow, match="did not answer within 0 s: run `optaic down`, then `optaic up`"):
        wait_until(sleeper, lambda: False, patience_seconds=0.1)
