"""The few questions that are put to servers without their own clients, whose import takes a second or two."""

import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_SECONDS = 5.0
# Without the proxies of the environment: the stack is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def healthy(api_url: str) -> bool:
    """Does the API say that it is well?"""
    return answers(f"{api_url}/health")


def answers(url: str) -> bool:
    """Is there a page at this address?"""
    try:
        with _opener.open(url, timeout=_TIMEOUT_SECONDS) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def workers(api_url: str, pool: str) -> list[dict[str, Any]]:
    """Return the workers of a pool, as the API describes them; none when it does not answer."""
    request = urllib.request.Request(
        f"{api_url}/work_pools/{pool}/workers/filter", data=b"{}", headers={"Content-Type": "application/json"}
    )
    try:
        with _opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
            return list(json.load(response))
    except (OSError, urllib.error.URLError):
        return []
