"""Links to the pages of MLflow and Evidently."""


def page_link(page: str | None, path: str, text: str) -> str:
    """Return a Markdown link to a place of a page of other software; a hint where no such page is known."""
    if page is None:
        return f"{text}: `optaic up --with-ui` starts its page."
    return f"[{text}]({page.rstrip('/')}/{path})"
