"""The worked example of docs/automations.md does what the page says."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.states import Failed, Running

from flows.running.events import OverdueFlow
from instances.rules.deadlines import MissedDeadline
from instances.world.facts import FlowId
from prefect_optaic.stack import Target
from tests.docs.test_docs import ROOT, fenced
from tests.instances.sample_world import flow

Received = list[tuple[str, dict[str, Any]]]
RUN = "prices.refresh 2024-01-04 18:00:00"


@pytest.fixture
def receiver() -> Iterator[tuple[str, Received]]:
    """A server on this machine that takes what is sent: its address, and the list of (path, JSON) received."""
    received: Received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


def test_the_example_notifies_of_a_failure_and_of_a_missed_deadline(
    stack: Target, tmp_path: Path, receiver: tuple[str, Received]
) -> None:
    address, received = receiver
    (script,) = fenced(ROOT / "docs" / "automations.md", "python")
    script = script.replace("https://chat.example", address).replace("https://pager.example", address)
    (tmp_path / "alerts.py").write_text(script)
    for _ in range(2):
        subprocess.run([sys.executable, str(tmp_path / "alerts.py")], check=True, timeout=120)

    asyncio.run(fail())
    moment = datetime(2024, 1, 4, tzinfo=UTC)
    late = replace(flow("prices"), flow_id=FlowId(uuid4()))
    OverdueFlow(late, MissedDeadline(moment, "its data ends at 2024-01-02, more than 1 day ago")).emit()
    end = time.monotonic() + 60
    while len(received) < 2 and time.monotonic() < end:
        time.sleep(0.3)

    (pager, payload), (chat, message) = sorted(received)
    assert (pager, chat) == ("/events", "/hooks/quant-team")
    assert payload == {"flow": "prices.refresh", "reason": "its data ends at 2024-01-02, more than 1 day ago"}
    assert message["text"].startswith(f"{RUN} Failed: there is no file nowhere.csv http")


async def fail() -> None:
    async with get_client() as client:
        deployment = await client.create_deployment(
            flow_id=await client.create_flow_from_name(f"fails-{uuid4().hex[:6]}"), name="prices", tags=["optaic"]
        )
        run = await client.create_flow_run_from_deployment(deployment, name=RUN)
        await client.set_flow_run_state(run.id, Running(), force=True)
        await client.set_flow_run_state(run.id, Failed(message="there is no file nowhere.csv"), force=True)
