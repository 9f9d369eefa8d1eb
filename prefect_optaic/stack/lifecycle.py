"""`up` and `down`: the embedded stack of one home, started and stopped as a whole."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from definitions.addresses import redacted
from prefect_optaic.stack.errors import PortTaken
from prefect_optaic.stack.machine.home import Home
from prefect_optaic.stack.machine.ports import choose
from prefect_optaic.stack.machine.processes import Record, alive, died, end_orphans, stop, wait_listening
from prefect_optaic.stack.machine.state import PAGES, SERVICES, State
from prefect_optaic.stack.platform_block import note_pages
from prefect_optaic.stack.prepare import ensure_pool, migrate, prepare
from prefect_optaic.stack.progress import Progress
from prefect_optaic.stack.servers import pages, postgres, worker
from prefect_optaic.stack.servers import prefect_server as server
from prefect_optaic.stack.target import Target, embedded, external, use

if TYPE_CHECKING:
    from blocks.platform import Platform

_STOP_SIGNALS: Mapping[str, Sequence[tuple[Signals, float]]] = {
    "postgres": postgres.STOP_SIGNALS,
    "server": server.STOP_SIGNALS,
    "worker": worker.STOP_SIGNALS,
    **dict.fromkeys(PAGES, pages.STOP_SIGNALS),
}
_PORT_ATTEMPTS = 3


def up(
    home: Home | None = None, *, progress: Progress | None = None, deploy: bool = True, with_ui: bool = False
) -> Target:
    """Start what does not run yet, and prepare it; with servers of one's own, only prepare those.

    With `with_ui` also the pages of MLflow and Evidently; once started they stay until `down`.
    When it fails, what it started is stopped again. Raises `StackError`.
    """
    home, progress = home or Home.current(), progress or Progress()
    own = external(State.load(home))
    if own is not None:
        progress.note(f"using the Prefect server at {redacted(own.api_url)} and OPTAIC_DATABASE_URL; starting none")
        prepare(own, progress=progress, deploy=deploy)
        if with_ui:
            progress.note("the pages of MLflow and Evidently are your own too: none started")
        return own
    address = os.environ.get("PREFECT_API_URL")
    with home.lock(progress.note):
        home.create()
        state = State.load(home)
        with _undone_on_failure(state, progress) as started:
            target = _Start(state, progress, started).run(deploy=deploy, with_ui=with_ui)
    if address and address != target.api_url:
        progress.note(
            f'PREFECT_API_URL is {redacted(address)} in this shell; to talk to this stack: eval "$(optaic env)"'
        )
    return target


def down(home: Home | None = None, *, progress: Progress | None = None) -> None:
    """Stop what `up` started and nothing else: the pages, the worker, the server, Postgres. Raises `StackError`."""
    home, progress = home or Home.current(), progress or Progress()
    own = external(State.load(home))
    if own is not None:
        progress.note(f"the servers at {redacted(own.api_url)} and OPTAIC_DATABASE_URL are your own: nothing stopped")
        return
    if not home.root.exists():
        progress.note(f"nothing runs here ({home.root})")
        return
    with home.lock(progress.note):
        state = State.load(home)
        if state.empty:
            progress.note(f"nothing runs here ({home.root})")
        _stop(state, SERVICES, progress)


class _Start:
    """One `up` of the embedded stack."""

    def __init__(self, state: State, progress: Progress, started: list[str]) -> None:
        self.state = state
        self.home = state.home
        self.progress = progress
        self.started = started

    def run(self, *, deploy: bool, with_ui: bool) -> Target:
        """Start in parallel what can be: this process imports and migrates while the server starts."""
        wanted = [name for name in PAGES if with_ui or name in self.state.services]
        self._postgres()
        self._server()
        target = embedded(self.state)
        with ThreadPoolExecutor(max_workers=1) as threads:
            warm = threads.submit(_warm_up, target)
            port = self._server_ready()
            warm.result()
            target = embedded(self.state)
            use(target)
            ensure_pool(create=True)
            known = self.state.services.get("worker")
            if known is not None and known.port != port:
                self._stop_first("worker", because=f"the server has moved to port {port}")
            record = self._ensure("worker", lambda: worker.start(self.home, server_port=port))
            preparing = threads.submit(prepare, target, progress=self.progress, deploy=deploy)
            with self.progress.step("worker") as step:
                worker.wait_ready(record, target.api_url, needs=self.state.services["server"])
                step.detail = f"{self._who(record)}, pool {worker.POOL!r}"
            platform = preparing.result()
        # Those that were up before the last `down` are started again: the links in artifacts lead to them.
        ours = pages.starters(self.home, platform.settings)
        before = [name for name in ours if name not in wanted and getattr(platform, f"{name}_page") is not None]
        self._pages([*wanted, *before], platform)
        return target

    def _postgres(self) -> None:
        if self.state.socket_dir is None or not Path(self.state.socket_dir).exists():
            for name in ("mlflow", "server", "postgres"):
                self._stop_first(name, because="the folder of the database's socket has gone")
            self.state.socket_dir = str(postgres.choose_socket_dir(self.home.root / "run"))
        folder = Path(self.state.socket_dir)
        with self.progress.step("postgres") as step:
            log = self.home.log("postgres")
            record = self._ensure("postgres", lambda: postgres.start(self.home.postgres, socket_dir=folder, log=log))
            postgres.wait_ready(record, self.home.postgres)
            postgres.ensure_databases(folder)
            step.detail = f"{self._who(record)}, socket in {folder}"

    def _server(self) -> None:
        folder = Path(self.state.socket_dir or "")
        self._on_a_port("server", server.USUAL_PORT, lambda port: server.start(self.home, socket_dir=folder, port=port))

    def _server_ready(self) -> int:
        """Wait for the server and return its port; when another process was quicker to take it, try the next one."""
        with self.progress.step("server") as step:
            record = self._listening("server", self._server, server.healthy)
            assert record.port is not None
            step.detail = f"{self._who(record)}, {server.urls(record.port)[0]}"
        return record.port

    def _pages(self, names: Sequence[str], platform: "Platform") -> None:
        """Start the pages of these names, and wait for them."""
        ours, addresses = pages.starters(self.home, platform.settings), dict[str, str]()
        starters: dict[str, Callable[[], None]] = {}
        for name in names:
            if name in ours:
                # On its port of before: the links in artifacts lead there.
                port = urlsplit(getattr(platform, f"{name}_page") or "").port or pages.PAGES[name].usual_port
                starters[name] = partial(self._on_a_port, name, port, ours[name])
                starters[name]()
            else:
                self.progress.note(f"no page of {pages.PAGES[name].title}: it is not the one of this stack")
        for name in names:
            if name in starters:
                with self.progress.step(f"page of {pages.PAGES[name].title}") as step:
                    record = self._listening(name, starters[name], pages.healthy)
                    addresses[name] = pages.url(record.port or 0)
                    step.detail = f"{self._who(record)}, {addresses[name]}"
        asyncio.run(note_pages(platform, addresses))

    def _on_a_port(self, name: str, usual: int, start: Callable[[int], Record]) -> None:
        """Start a service on its port of before, the usual one, or the next one that is free."""
        known = self.state.services.get(name)
        if known is not None and known.port is not None and alive(known):
            return
        if known is not None:
            _end_orphans(known)  # before the choice: they may hold the port
        port = choose(usual if known is None or known.port is None else known.port)
        if port != usual:
            self.progress.note(f"the {_titled(name)} gets port {port}, as {usual} is taken")
        self._ensure(name, lambda: start(port))

    def _listening(self, name: str, start: Callable[[], None], healthy: Callable[[Record], bool]) -> Record:
        """Wait until a service answers; when another process was quicker to take its port, try the next one."""
        for _ in range(_PORT_ATTEMPTS):
            start()
            record = self.state.services[name]
            try:
                wait_listening(record, healthy, needs=[self.state.services["postgres"]])
                return record
            except PortTaken:
                because = f"port {record.port} was taken by another process meanwhile"
                self._stop_first(name, because=because)
        raise PortTaken(record.port or 0)

    def _ensure(self, name: str, start: Callable[[], Record]) -> Record:
        known = self.state.services.get(name)
        if known is not None and alive(known):
            return known
        if known is not None:
            self.progress.note(f"restarting: {died(known)}")
        record = start()
        self.started.append(name)
        self.state.record(record)
        return record

    def _who(self, record: Record) -> str:
        return f"pid {record.pid}" if record.name in self.started else f"pid {record.pid} already runs"

    def _stop_first(self, name: str, *, because: str) -> None:
        known = self.state.services.get(name)
        if known is not None:
            self.progress.note(f"starting the {_titled(name)} (pid {known.pid}) anew: {because}")
            stop(known, _STOP_SIGNALS[name])
            self.state.forget(name)


def _end_orphans(record: Record) -> None:
    """End what a dead page has left: MLflow's listens in a process of its own. A worker's runs end by themselves."""
    if record.name in PAGES:
        end_orphans(record)


def _titled(name: str) -> str:
    return f"page of {pages.PAGES[name].title}" if name in PAGES else name


def _warm_up(target: Target) -> None:
    use(target)
    migrate(target)
    import blocks  # noqa: F401  its import is the slow part of preparing


@contextmanager
def _undone_on_failure(state: State, progress: Progress) -> Iterator[list[str]]:
    """Yield the list for the names of started services; if the block fails, they are stopped."""
    started: list[str] = []
    try:
        yield started
    except BaseException:
        if started:
            progress.note("not up: stopping again what was started")
        _stop(state, [name for name in SERVICES if name in started], progress)
        raise


def _stop(state: State, names: Sequence[str], progress: Progress) -> None:
    """Stop services in the order opposite to their start, and forget them."""
    for name in reversed(names):
        record = state.services.get(name)
        if record is None:
            continue
        with progress.step(f"stop {name}") as step:
            ran = stop(record, _STOP_SIGNALS[name])
            _end_orphans(record)
            step.detail = f"pid {record.pid}" if ran else f"pid {record.pid} had ended before"
            state.forget(name)
    if state.empty and state.socket_dir is not None:
        folder = Path(state.socket_dir)
        if not folder.is_relative_to(state.home.root):
            shutil.rmtree(folder, ignore_errors=True)
        state.socket_dir = None
        state.save()
