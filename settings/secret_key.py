"""The key that signs cursors: from the settings, or in development from a generated file."""

import os
import secrets
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from settings.settings import Settings

FILE_NAME = "secret.key"


def secret_key(settings: Settings, read: MutableMapping[Path, str] | None = None) -> str:
    """Return the configured key, else the one in `var_dir/secret.key`, which is created on first use with mode 0600.

    `read` caches keys by file. Processes that start together use the same key: the file is created atomically.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.var_dir / FILE_NAME
    known = None if read is None else read.get(path)
    if known is not None:
        return known
    if not path.exists():
        _create(path)
    key = path.read_text(encoding="ascii").strip()
    if read is not None:
        read[path] = key
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name of its own and mode 0600: a process id is not unique where containers share a volume.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    draft = Path(name)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was faster: use its key
    finally:
        draft.unlink()
