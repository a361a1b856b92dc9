"""contact_key: the normalized form of a contact, for look-ups and for counting attempts on its account."""

from contextlib import suppress

from domain.email_address import email_key
from domain.errors import Unacceptable
from domain.phone_number import means_phone, searched_phone


def contact_key(contact: str) -> str:
    """Return the normalized form of an e-mail address or a phone number with country code.

    Text that is neither has a key, too, which matches no account.
    """
    text = contact.strip()
    if means_phone(text):
        with suppress(Unacceptable):
            return searched_phone(text)
        return text
    return email_key(text)
