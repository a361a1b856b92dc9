"""Permissions of the files in `VAR_DIR`: owner only, also for files that an earlier version made."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

UMASK: Final = 0o077
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
OURS: Final = (
    *("gatehouse.db*", "broker.db*", "results.db*", "backup*.db", "secret.key*", "beat*"),
    *("notifications", "notifications/*"),
)
"""Names of the files that the service creates there; other files are left unchanged."""


def open_to_others(folder: Path) -> Iterator[Path]:
    """Yield the folder and each path in it whose mode grants rights to group or others."""
    if not folder.is_dir():
        return
    for path in (folder, *sorted(folder.rglob("*"))):
        with suppress(FileNotFoundError):  # deleted concurrently
            if not path.is_symlink() and path.stat().st_mode & OTHERS:
                yield path


def keep_private(folder: Path) -> None:
    """Remove the rights of group and others from the service's files, and from the folder if it holds nothing else.
    Files that the service didn't create keep their mode; `gatehouse doctor` reports them.
    """
    if not folder.is_dir():
        return
    ours = {path for pattern in OURS for path in folder.glob(pattern)}
    private = ours if any(path not in ours for path in folder.iterdir()) else {folder, *ours}
    for path in private:
        with suppress(OSError):
            mode = path.lstat().st_mode
            if mode & OTHERS and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def only_for_owner() -> None:
    """Set the umask so that every file the process creates from now on is its owner's alone. For processes whose
    libraries create files without setting a mode.
    """
    os.umask(UMASK)
