"""The addresses that blocks have where docs is published, and where it is not: read when they are imported."""

import json
import os
import subprocess
import sys
from functools import cache

DOCS_URL = "https://docs.example/optaic"

_CODE = """
import json, blocks
types = [getattr(blocks, name)._to_block_type().model_dump(mode="json") for name in blocks.__all__]
print(json.dumps({each["slug"]: (each["logo_url"], each["documentation_url"]) for each in types}))
"""


@cache
def addresses(docs_url: str) -> dict[str, tuple[str | None, str | None]]:
    """Return the addresses of logo and documentation of each block type, by its slug."""
    done = importing_blocks(docs_url)
    assert done.returncode == 0, done.stderr
    return {slug: (logo, documentation) for slug, (logo, documentation) in json.loads(done.stdout).items()}


def importing_blocks(docs_url: str) -> "subprocess.CompletedProcess[str]":
    """Import the blocks in a process with this OPTAIC_DOCS_URL, and print their addresses."""
    environment = os.environ | {"OPTAIC_DOCS_URL": docs_url}
    return subprocess.run([sys.executable, "-c", _CODE], env=environment, capture_output=True, text=True)
