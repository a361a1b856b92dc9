"""Audited: marks a model whose changes are recorded; the trail itself is `unitwork.audit`, which few hosts need."""


class Audited:
    """The changes of this model's rows are recorded, in the transaction that makes them. Rows need an integer `id`."""
