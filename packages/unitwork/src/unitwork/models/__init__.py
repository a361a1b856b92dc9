"""What mapped models share: ids, stamps, versions, soft delete, who acts and for which request.

Here: `Base` and `ModelMixin`, and what they are made of. Not here: how rows are asked for (`unitwork.dao`), and who is
told of their changes (`unitwork.audit`).
"""

from unitwork.models.acting_user import SYSTEM, acting_as, acting_user_id
from unitwork.models.base import Base, IdMixin, ModelMixin
from unitwork.models.request_id import bound_request_id, current_request_id
from unitwork.models.utc_datetime import UTCDateTime, utc_now

__all__ = [
    "SYSTEM",
    "Base",
    "IdMixin",
    "ModelMixin",
    "UTCDateTime",
    "acting_as",
    "acting_user_id",
    "bound_request_id",
    "current_request_id",
    "utc_now",
]
