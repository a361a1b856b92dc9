"""What a violated uniqueness means: an e-mail address or phone number that another account has."""

from collections.abc import Iterator
from contextlib import contextmanager

from domain.errors import EmailTaken, PhoneTaken
from unitwork.errors import UniqueViolation


@contextmanager
def contacts_taken() -> Iterator[None]:
    """Raises `EmailTaken` or `PhoneTaken` for the constraint that guards it. Goes around the transaction, as the
    violation may come from its last flush.
    """
    try:
        yield
    except UniqueViolation as violation:
        if "email_key" in violation.columns or violation.constraint == "uq_users_email_key":
            raise EmailTaken from violation
        if "phone" in violation.columns or violation.constraint == "uq_users_phone":
            raise PhoneTaken from violation
        raise
