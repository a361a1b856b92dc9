"""Mixins of mapped models: ids, stamps, versions, soft delete, and the acting user and request of the current context.

Here: mixins for any declarative base, and `Base` with naming rules. Elsewhere: queries (`unitwork.dao`), and the record
of changes (`unitwork.audit`).
"""

from unitwork.models.acting_user import SYSTEM, acting_as, acting_user_id
from unitwork.models.base import (
    Authorship,
    Base,
    IdMixin,
    ModelMixin,
    SnowflakeId,
    SoftDelete,
    Timestamps,
    Versioned,
)
from unitwork.models.derived_columns import keys_of, made_of
from unitwork.models.request_id import bound_request_id, current_request_id
from unitwork.models.utc_datetime import UTCDateTime, utc_now

__all__ = [
    "SYSTEM",
    "Authorship",
    "Base",
    "IdMixin",
    "ModelMixin",
    "SnowflakeId",
    "SoftDelete",
    "Timestamps",
    "UTCDateTime",
    "Versioned",
    "acting_as",
    "acting_user_id",
    "bound_request_id",
    "current_request_id",
    "keys_of",
    "made_of",
    "utc_now",
]
