"""Contacts: translate uniqueness violations of e-mail addresses and phone numbers to domain errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from domain.errors import EmailTaken, PhoneTaken
from unitwork.errors import UniqueViolation


@contextmanager
def contacts_taken() -> Iterator[None]:
    """Raise `EmailTaken` or `PhoneTaken` when the constraint is violated inside the block.

    Put it around the transaction, as the violation may come from the last flush.
    """
    try:
        yield
    except UniqueViolation as violation:
        if "email_key" in violation.columns or violation.constraint == "uq_users_email_key":
            raise EmailTaken from violation
        if "phone" in violation.columns or violation.constraint == "uq_users_phone":
            raise PhoneTaken from violation
        raise
