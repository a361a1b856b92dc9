"""Phone numbers: always E.164."""

from typing import Final

import phonenumbers

from domain.errors import InvalidPhone

REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166 codes a national number can be read in."""


def phone_number(value: str, *, region: str | None = None) -> str:
    """The number as E.164 (`+14155550132`).

    A national number needs `region` (`"US"`). Raises `InvalidPhone` when it can't be a number of its
    country; whether it is assigned to anybody is not asked.
    """
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        reason = "is not a phone number; write it with its country code, as +14155550132"
        raise InvalidPhone("phone", reason) from None
    if not phonenumbers.is_possible_number(number):
        raise InvalidPhone("phone", f"has the wrong number of digits for +{number.country_code}")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
