"""Addresses of databases and servers, as people may read them: in messages, plans and links."""

import re
from urllib.parse import urlsplit, urlunsplit

_SECRETS = (
    # The password ends at the last @ of the word: nobody has to have encoded what it holds.
    (r"([a-z][a-z0-9+.-]*://[^\s:/@]*):\S*@", r"\1:***@"),
    (r"(https?://)[^\s:/@]+@", r"\1***@"),  # a token in place of a user
    # Parameters of a query, and words of a connection string, which a query may hold in its turn.
    (
        r"((?<![\w.-])[\w.-]*(?:pass|passwd|password|passphrase|pwd|token|secret|signature"
        r"|(?:api|access|account|private|secret|shared)[_-]?key)"
        r"(?:\s|\+|%20)*(?:=|%3d)(?:\s|\+|%20)*)[^&\s]+",
        r"\1***",
    ),
    (r"([?&](?:key|sig)=)[^&\s]+", r"\1***"),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in _SECRETS)


def served(address: str) -> bool:
    """Is this the URL of a server, not a folder or a database?"""
    return address.startswith(("http://", "https://"))


def redacted(text: str) -> str:
    """Return an address, or a text with addresses in it, with *** for each password, token and key.

    Where it can't be told how far a secret reaches, more is hidden than had to be.
    """
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def without_user(url: str) -> str:
    """Return the address of a page as a link that everybody may follow: without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
