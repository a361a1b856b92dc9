"""Alembic's migrations. Reads the models' metadata and the settings, nothing else."""

from pathlib import Path
from typing import Final

LOCATION: Final = Path(__file__).parent
"""The folder Alembic reads."""
REVISION_VIEW: Final = "schema_revision"
"""View that shows the revision, and the oldest one that works with it, to roles without rights on Alembic's own table
(migrations 0008 and 0009).
"""
