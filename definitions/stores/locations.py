"""Where the `delta` store keeps an instance's rows: known without the libraries that read them."""

from pathlib import Path


def delta_location(root: str, instance: str) -> str:
    """Return the folder or URL of an instance's table below a root."""
    if "://" not in root:
        root = str(Path(root).expanduser().absolute())
    return f"{root.rstrip('/')}/{instance}"
