"""Audited: a marker for models whose changes are recorded. The trail itself is `unitwork.audit`, an optional part."""


class Audited:
    """Marks a model: changes of its rows are recorded in the same transaction. Rows need an integer `id`."""
