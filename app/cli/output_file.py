"""A new file for what a command gives: readable by its owner alone, and never over another."""

import os
from pathlib import Path
from typing import TextIO


def private_file(path: Path) -> TextIO:
    """The file, open for UTF-8 text with the line ends as written. Raises FileExistsError and other OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")
