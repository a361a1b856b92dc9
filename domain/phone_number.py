"""Phone numbers: always E.164."""

from typing import Final

import phonenumbers

from domain.errors import InvalidPhone
from domain.text import storable_text

MAX_LENGTH: Final = 16
"""E.164 has at most 15 digits after the plus; some countries' numbering plans say more."""
TYPED_LENGTH: Final = 64
REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166 codes a national number can be read in."""


def phone_number(value: str, *, region: str | None = None) -> str:
    """The number as E.164 (`+14155550132`).

    A national number needs `region` (`"US"`). Raises `InvalidPhone` when it can't be a number of its
    country, or has an extension, which E.164 can't hold; `InvalidText` when it can't be text at all.
    Whether the number is assigned to anybody is not asked.
    """
    text = storable_text("phone", value, max_length=TYPED_LENGTH)
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        reason = "is not a phone number; write it with its country code, as +14155550132"
        raise InvalidPhone("phone", reason) from None
    if number.extension:
        raise InvalidPhone("phone", "has an extension, which can't be stored; leave it out")
    e164 = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    if not phonenumbers.is_possible_number(number) or len(e164) > MAX_LENGTH:
        raise InvalidPhone("phone", f"has the wrong number of digits for +{number.country_code}")
    return e164
