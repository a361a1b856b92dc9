"""Alembic's migrations. Reads the models' metadata and the settings, nothing else."""

from pathlib import Path
from typing import Final

LOCATION: Final = Path(__file__).parent
"""The folder Alembic reads."""
