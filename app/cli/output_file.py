"""Output files of commands: readable by their owner only; an existing file is never overwritten."""

import os
from pathlib import Path
from typing import TextIO


def private_file(path: Path) -> TextIO:
    """Create the file, open for UTF-8 text without newline translation. Raises FileExistsError and other OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="")
