"""Where the Prefect server is and how it lets us in: as Prefect itself reads the same settings."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.context import SettingsContext
from prefect.settings import Profile, Settings

from flows.integrations.prefect_api import NoPrefectServer, PrefectAddress, UnreadableSetting

URL = "https://prefect.example/api"
PROFILES = """
active = "work"

[profiles.work]
PREFECT_API_URL = "https://work.example/api/"
PREFECT_API_AUTH_STRING = "me:from-the-profile"
PREFECT_API_REQUEST_TIMEOUT = 7

[profiles.home]
PREFECT_API_URL = "http://home.example:4200/api"
PREFECT_API_KEY = "key-of-home"
PREFECT_CLIENT_CUSTOM_HEADERS = '{"X-Team": "quant"}'
"""
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "the address alone": {"PREFECT_API_URL": URL},
    "an address that ends in a slash": {"PREFECT_API_URL": f"{URL}/"},
    "a password": {"PREFECT_API_URL": URL, "PREFECT_API_AUTH_STRING": "me:pä:ss"},
    "a key": {"PREFECT_API_URL": URL, "PREFECT_API_KEY": "pnu_123"},
    "a password beats a key": {
        "PREFECT_API_URL": URL,
        "PREFECT_API_AUTH_STRING": "me:word",
        "PREFECT_API_KEY": "pnu_123",
    },
    "headers of one's own": {
        "PREFECT_API_URL": URL,
        "PREFECT_API_KEY": "pnu_123",
        "PREFECT_CLIENT_CUSTOM_HEADERS": '{"X-Team": "quant", "authorization": "Bearer own", "User-Agent": "ours"}',
    },
    "patience": {"PREFECT_API_URL": URL, "PREFECT_API_REQUEST_TIMEOUT": "12.5", "PREFECT_CLIENT_MAX_RETRIES": "0"},
    "an unchecked certificate": {"PREFECT_API_URL": URL, "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "true"},
    "the active profile": {},
    "another profile": {"PREFECT_PROFILE": "home"},
    "the address of the environment, the password of the profile": {"PREFECT_API_URL": URL},
    "a profile that is not there": {"PREFECT_PROFILE": "nosuch", "PREFECT_API_URL": URL},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Prefect, and a folder to work in, without any setting."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)  # a stack of other tests has set some
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", SETTINGS)
def test_it_is_that_of_prefect_itself(case: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "profile" in case:
        (home / "profiles.toml").write_text(PROFILES)
    for name, value in SETTINGS[case].items():
        monkeypatch.setenv(name, value)
    ours = PrefectAddress.current()
    theirs = Settings()
    with SettingsContext(profile=Profile(name="test", settings={}), settings=theirs):
        client = get_client()._client
    assert theirs.api.url is not None
    assert ours.api_url == theirs.api.url.rstrip("/")
    for header in ("authorization", "x-team"):
        assert ours.headers.get(header) == client.headers.get(header)
    assert "user-agent" not in ours.headers
    assert ours.patience_seconds == theirs.api.request_timeout
    assert ours.retries == theirs.client.max_retries
    assert ours.checks_certificate != theirs.api.tls_insecure_skip_verify
    assert ours.certificates == theirs.api.ssl_cert_file


def test_nothing_that_names_a_server_is_an_error(home: Path) -> None:
    with pytest.raises(NoPrefectServer) as caught:
        PrefectAddress.current()
    assert str(caught.value) == (
        'no Prefect server is named: set PREFECT_API_URL, or run `optaic up` and then `eval "$(optaic env)"`.'
    )
    (home / "profiles.toml").write_text('active = "ephemeral"\n[profiles.ephemeral]\n')
    with pytest.raises(NoPrefectServer):
        PrefectAddress.current()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PREFECT_CLIENT_CUSTOM_HEADERS", "{", "it is not JSON"),
        ("PREFECT_CLIENT_CUSTOM_HEADERS", "[1]", "it is not a mapping of headers"),
        ("PREFECT_API_REQUEST_TIMEOUT", "long", "'long' is not a number"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(
    name: str, value: str, why: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", URL)
    monkeypatch.setenv(name, value)
    with pytest.raises(UnreadableSetting) as caught:
        PrefectAddress.current()
    assert str(caught.value).startswith(f"the Prefect setting {name} can't be read: {why}. ")


def test_profiles_that_cannot_be_read_are_named(home: Path) -> None:
    (home / "profiles.toml").write_text("active =")
    with pytest.raises(UnreadableSetting, match=r"profiles\.toml can't be read"):
        PrefectAddress.current()


def test_people_find_the_ui_beside_the_api_or_where_a_setting_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", URL)
    assert PrefectAddress.current().ui_url == "https://prefect.example"
    monkeypatch.setenv("PREFECT_UI_URL", "https://ui.example/")
    assert PrefectAddress.current().ui_url == "https://ui.example"


def test_passwords_are_not_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", URL)
    monkeypatch.setenv("PREFECT_API_KEY", "hidden-word")
    assert "hidden-word" not in repr(PrefectAddress.current())
