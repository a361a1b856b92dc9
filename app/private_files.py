"""Files of this machine (`VAR_DIR`): for their owner alone, those of an earlier version too."""

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
"""What the service itself makes there; what somebody else has put beside it is left alone."""


def open_to_others(folder: Path) -> Iterator[Path]:
    """The folder and everything in it that others than its owner may read, write or enter."""
    if not folder.is_dir():
        return
    for path in (folder, *sorted(folder.rglob("*"))):
        with suppress(FileNotFoundError):  # gone meanwhile
            if not path.is_symlink() and path.stat().st_mode & OTHERS:
                yield path


def keep_private(folder: Path) -> None:
    """Take others' rights from what the service has made in its folder, and from the folder where nothing else is in
    it. What belongs to somebody else stays as it is: `gatehouse doctor` names it.
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
    """Have whatever this process makes from now on be for its owner alone. For processes that make files by libraries
    which know nothing of modes.
    """
    os.umask(UMASK)
