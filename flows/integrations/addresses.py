"""Addresses of servers, as people may read them: in messages, plans and links."""

import re

_PASSWORDS = (
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@]*):\S*@", re.IGNORECASE), r"\1:***@"),
    (re.compile(r"(https?://)[^\s:/@]+@", re.IGNORECASE), r"\1***@"),  # a token in place of a user
    (re.compile(r"([?&]\w*password=)[^&\s'\"]*", re.IGNORECASE), r"\1***"),
)


def shown(text: str) -> str:
    """Return an address, or a text with addresses in it, without their passwords."""
    for pattern, instead in _PASSWORDS:
        text = pattern.sub(instead, text)
    return text
