"""contact_key: the one spelling under which a contact is looked up, and attempts on its account are counted."""

from contextlib import suppress

from domain.email_address import email_key
from domain.errors import Unacceptable
from domain.phone_number import means_phone, searched_phone


def contact_key(contact: str) -> str:
    """Every spelling of an e-mail address or a phone number (with country code) has one. What is neither has a key
    too, which no account has.
    """
    text = contact.strip()
    if means_phone(text):
        with suppress(Unacceptable):
            return searched_phone(text)
        return text
    return email_key(text)
