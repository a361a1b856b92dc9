"""The key that signs cursors: from the settings, or in development from a file made once."""

import os
import secrets
from pathlib import Path

from settings.settings import Settings

FILE_NAME = "secret.key"


def secret_key(settings: Settings) -> str:
    """The configured key, else the one in `var_dir/secret.key`, which is made on first use, mode 0600.

    Two processes that start together agree on one key: the file is created whole, or not at all.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path = settings.var_dir / FILE_NAME
    if not path.exists():
        _create(path)
    return path.read_text(encoding="ascii").strip()


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key is the key
    finally:
        draft.unlink()
