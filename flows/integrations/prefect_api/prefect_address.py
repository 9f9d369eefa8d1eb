"""Where the Prefect server is, and how it lets us in: told by the same variables and the same profile as Prefect's own.

Prefect itself is not asked, for its import alone takes longer than most questions to the server.
"""

import base64
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from instances.errors import OptaicError

_SECONDS, _RETRIES = 60.0, 5  # Prefect's own defaults
_KEPT_BY_PREFECT = {"user-agent", "prefect-csrf-token", "prefect-csrf-client"}  # headers that nobody else may set


class NoPrefectServer(OptaicError):
    """Nothing says where the Prefect server is."""

    def __init__(self) -> None:
        super().__init__(
            'no Prefect server is named: set PREFECT_API_URL, or run `optaic up` and then `eval "$(optaic env)"`.'
        )


class UnreadableSetting(OptaicError):
    """A setting of Prefect that says nothing that can be used."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"the Prefect setting {name} can't be read: {why}. Correct it in the environment or profile.")


@dataclass(frozen=True)
class PrefectAddress:
    """A Prefect server: the URLs of its API and of its UI, and what each request to it bears."""

    api_url: str
    ui_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    certificates: str | None = None  # a file of those to trust; None for the usual ones
    checks_certificate: bool = True
    patience_seconds: float = _SECONDS
    retries: int = _RETRIES

    @classmethod
    def current(cls) -> "PrefectAddress":
        """Return the server of the environment, or else of the active profile; each setting by itself.

        Raises `NoPrefectServer`, `UnreadableSetting`.
        """
        settings = {**_profile(), **{name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}}
        url = settings.get("PREFECT_API_URL")
        if not url:
            raise NoPrefectServer
        return cls(
            api_url=url.rstrip("/"),
            ui_url=(settings.get("PREFECT_UI_URL") or url.rstrip("/").removesuffix("/api")).rstrip("/"),
            headers=_headers(settings),
            certificates=settings.get("PREFECT_API_SSL_CERT_FILE") or os.environ.get("SSL_CERT_FILE"),
            checks_certificate=not _is_true(settings, "PREFECT_API_TLS_INSECURE_SKIP_VERIFY"),
            patience_seconds=_number(settings, "PREFECT_API_REQUEST_TIMEOUT", _SECONDS),
            retries=int(_number(settings, "PREFECT_CLIENT_MAX_RETRIES", _RETRIES)),
        )


def _profile() -> dict[str, str]:
    """Return the settings of the active profile; none where no profile was saved."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        saved = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableSetting(str(path), str(error)) from error
    active = os.environ.get("PREFECT_PROFILE") or saved.get("active")
    profile = saved.get("profiles", {}).get(active, {})
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in profile.items()}


def _headers(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of each request. As with Prefect, an auth string beats a key, and one's own both."""
    headers: dict[str, str] = {}
    if auth_string := settings.get("PREFECT_API_AUTH_STRING"):
        headers["authorization"] = f"Basic {base64.b64encode(auth_string.encode()).decode()}"
    elif key := settings.get("PREFECT_API_KEY"):
        headers["authorization"] = f"Bearer {key}"
    own = _own_headers(settings.get("PREFECT_CLIENT_CUSTOM_HEADERS") or "{}")
    return headers | {name: value for name, value in own.items() if name not in _KEPT_BY_PREFECT}


def _own_headers(text: str) -> dict[str, str]:
    try:
        own = json.loads(text)
    except ValueError as error:
        raise UnreadableSetting("PREFECT_CLIENT_CUSTOM_HEADERS", "it is not JSON") from error
    if not isinstance(own, dict):
        raise UnreadableSetting("PREFECT_CLIENT_CUSTOM_HEADERS", "it is not a mapping of headers")
    return {str(name).lower(): str(value) for name, value in own.items()}


def _is_true(settings: Mapping[str, str], name: str) -> bool:
    return settings.get(name, "").strip().lower() in {"1", "t", "true", "y", "yes", "on"}


def _number(settings: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(settings.get(name) or default)
    except ValueError as error:
        raise UnreadableSetting(name, f"{settings[name]!r} is not a number") from error
