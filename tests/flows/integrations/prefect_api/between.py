"""What may stand between us and a Prefect server: something that is busy, breaks off, or leads elsewhere."""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Trouble = Literal["busy", "hangs up", "moved", "not prefect", "sleeps"]
SLEEP_SECONDS = 10
HOP = {"connection", "content-length", "host", "transfer-encoding"}  # headers of one connection only


class Between(ThreadingHTTPServer):
    """Passes requests on to a server, but the first ones, which meet with trouble."""

    block_on_close = False  # one that sleeps is not waited for

    def __init__(self, behind: str, troubles: list[Trouble]) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind = behind
        self.troubles = troubles
        self.paths: list[str] = []

    @property
    def asked(self) -> int:
        return len(self.paths)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class _Passing(BaseHTTPRequestHandler):
    server: Between

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        match self.server.troubles.pop(0) if self.server.troubles else None:
            case "busy":
                self._answer(503, b'{"exception_message": "Service Unavailable"}', {"retry-after": "0"})
            case "hangs up":
                self.close_connection = True
            case "moved":
                self._answer(307, b"", {"location": "http://elsewhere.example/api"})
            case "sleeps":
                time.sleep(SLEEP_SECONDS)
            case "not prefect":
                self._answer(200, b"<html>", {"content-type": "text/html"})
            case None:
                self._answer(*self._behind(body))

    do_GET = do_POST

    def _behind(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
        parts = urlsplit(self.path)  # a proxy is asked for whole addresses
        url = self.server.behind + parts.path.removeprefix("/api") + (f"?{parts.query}" if parts.query else "")
        request = urllib.request.Request(url, data=body or None, headers=headers, method=self.command)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read(), {"content-type": "application/json"}
        except urllib.error.HTTPError as error:
            return error.code, error.read(), {"content-type": "application/json"}

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on the terminal."""


@contextmanager
def between(behind: str, *troubles: Trouble) -> Iterator[Between]:
    """Stand before the API at `behind` for the length of a block."""
    with Between(behind, list(troubles)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
