"""Errors of the blocks: what, which value, and the remedy."""

from instances.errors import OptaicError


class InvalidDocsUrl(OptaicError):
    """The address under which docs is published is none."""

    def __init__(self, address: str) -> None:
        super().__init__(f"OPTAIC_DOCS_URL={address} is no http address: correct it, or unset it to do without.")
