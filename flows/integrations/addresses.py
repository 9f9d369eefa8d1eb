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


def page_link(page: str | None, path: str, text: str) -> str:
    """Return a Markdown link to a place of a page of other software; a hint where no such page is known."""
    if page is None:
        return f"{text}: `optaic up --with-ui` starts its page."
    return f"[{text}]({page.rstrip('/')}/{path})"
