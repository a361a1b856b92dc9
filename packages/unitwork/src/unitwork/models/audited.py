"""Audited: a marker for models whose changes are recorded. The trail itself is `unitwork.audit`, an optional part."""


class Audited:
    """Mixin of models of any base: changes of their rows are recorded, in the transaction that makes them."""
