"""What the pipelines that read files do alike: see that a file is there, and say which one is bad."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from definitions.errors import SourceError
from research.errors import first_line


def located(path: str) -> str:
    """Return where a file is looked for: a relative path counts from the project's folder, whoever asks.

    That is the folder with `prefect.yaml`; where the project is installed without one, the current folder.
    """
    if "://" in path:
        return path
    project = Path(__file__).resolve().parents[2]
    base = project if (project / "prefect.yaml").is_file() else Path.cwd()
    return str(base / Path(path).expanduser())


def check_readable(path: str) -> None:
    """Raise `SourceError` when a located path (or pattern) has no readable file; URLs are not looked at."""
    if "://" in path:
        return
    found = glob.glob(path) if glob.has_magic(path) else [path]
    if not found or not os.path.exists(found[0]):
        raise SourceError(f"there is no file {path}: correct the path, or put the file there")
    for file in found:
        if not os.access(file, os.R_OK):
            raise SourceError(f"{file} can't be read by this user: change its permissions")


@contextmanager
def translated(source: str) -> Iterator[None]:
    """Turn what Polars and the system say about a bad file into a `SourceError` that names it."""
    try:
        yield
    except pl.exceptions.NoDataError as error:
        raise SourceError(f"{source} is empty: it needs a header line and rows") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{source} can't be read: {first_line(error)}") from error
