"""The key that signs cursors: from the settings, or in development from a file made once."""

import os
import secrets
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from settings.settings import Settings

FILE_NAME = "secret.key"


def secret_key(settings: Settings, read: MutableMapping[Path, str] | None = None) -> str:
    """The configured key, else the one in `var_dir/secret.key`, which is made on first use, mode 0600. `read` keeps
    what was read, by its file.

    Processes that start together agree on one key: the file is created whole, or not at all.
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
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own and mode 0600: a process id is not unique where containers share a volume.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    draft = Path(name)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key is the key
    finally:
        draft.unlink()
