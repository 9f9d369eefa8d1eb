"""Addresses show where something is, and never a secret."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL

from definitions.addresses import redacted, without_user

# Letters that stand nowhere else in the addresses below.
SECRETS = st.text(st.sampled_from("XYZ"), min_size=1).flatmap(
    lambda letters: st.text(st.sampled_from(string.punctuation + "0189é")).map(lambda odd: f"X{odd}{letters}{odd}Z")
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql+psycopg://me:hunter2@db.example:5432/x", "postgresql+psycopg://me:***@db.example:5432/x"),
        ("postgresql://me:hun@ter/2@db.example/x", "postgresql://me:***@db.example/x"),
        ("postgresql://me:@db.example/x", "postgresql://me:***@db.example/x"),
        ("redis://:hunter2@cache.example:6379/0", "redis://:***@cache.example:6379/0"),
        ("postgresql://db.example/x?user=me&password=hunter2", "postgresql://db.example/x?user=me&password=***"),
        (
            "postgresql://db.example/x?password=hun%3Bter'2&sslmode=require",
            "postgresql://db.example/x?password=***&sslmode=require",
        ),
        (
            "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3Dhunter2",
            "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dme%3BPWD%3D***",
        ),
        ("http://me:hunter2@mlflow.example:5000/base", "http://me:***@mlflow.example:5000/base"),
        ("https://hunter2@mlflow.example", "https://***@mlflow.example"),
        ("https://x.example/a?api_key=hunter2&page=2", "https://x.example/a?api_key=***&page=2"),
        ("https://x.example/a?key=hunter2", "https://x.example/a?key=***"),
        ("https://x.example/a?access-token=hunter2#top", "https://x.example/a?access-token=***"),
        (
            "https://bucket.s3.amazonaws.com/a.csv?X-Amz-Expires=60&X-Amz-Signature=hunter2",
            "https://bucket.s3.amazonaws.com/a.csv?X-Amz-Expires=60&X-Amz-Signature=***",
        ),
        ("s3://AKIA1:hunter2@bucket/data", "s3://AKIA1:***@bucket/data"),
        ("s3://bucket/data?secret_access_key=hunter2", "s3://bucket/data?secret_access_key=***"),
        ("host=db.example user=me password=hunter2 dbname=x", "host=db.example user=me password=*** dbname=x"),
        (
            "could not reach http://me:hunter2@a.example/x or https://b.example?token=hunter2",
            "could not reach http://me:***@a.example/x or https://b.example?token=***",
        ),
    ],
)
def test_a_secret_is_hidden_and_all_else_shown(address: str, expected: str) -> None:
    assert redacted(address) == expected
    assert redacted(expected) == expected


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://postgres@/optaic?host=/run/some where&port=5432",
        "postgresql://me@db.example:5432/x?sslmode=verify-full&sslkey=/keys/me.key&passfile=/home/me/.pgpass",
        "postgresql://db.example/x?keepalives=1",
        "sqlite:////data/prices.db",
        "sqlite://",
        "http://127.0.0.1:4200/api",
        "s3://bucket/data/prices",
        "/data/mlflow",
        "databricks",
        "Param with key='horizon' was already logged with value='21'",
        "",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(address: str) -> None:
    assert redacted(address) == address


@settings(deadline=None)
@given(SECRETS)
def test_no_password_is_shown_whatever_it_holds(secret: str) -> None:
    raw = f"postgresql://me:{secret}@db.example/x"
    encoded = URL.create("postgresql", "me", secret, "db.example", 5432, "x").render_as_string(hide_password=False)
    assert redacted(raw) == "postgresql://me:***@db.example/x"
    assert redacted(encoded) == "postgresql://me:***@db.example:5432/x"


@settings(deadline=None)
@given(SECRETS)
def test_no_password_of_a_query_is_shown_whatever_it_holds(secret: str) -> None:
    url = URL.create("postgresql", host="db.example", database="x", query={"password": secret, "sslmode": "require"})
    shown = redacted(url.render_as_string(hide_password=False))
    assert shown == "postgresql://db.example/x?password=***&sslmode=require"


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://me:hunter2@mlflow.example:5000/base", "https://mlflow.example:5000/base"),
        ("https://hunter2@mlflow.example", "https://mlflow.example"),
        ("http://evidently.example:8000/?a=b@c", "http://evidently.example:8000/?a=b@c"),
    ],
)
def test_a_link_has_no_user(url: str, link: str) -> None:
    assert without_user(url) == link
