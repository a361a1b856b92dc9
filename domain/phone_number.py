"""Phone numbers: always E.164.

The library's parser reads as much as it can of any text (letters are keypad digits to it, a second number is cut off):
the text is judged first, and what was read of it afterwards.
"""

import re
import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, ValidationResult, shortnumberinfo

from domain.errors import InvalidPhone
from domain.invisible import named
from domain.text import storable_text

MAX_LENGTH: Final = 16
"""E.164 has at most 15 digits after the plus; some countries' numbering plans say more."""
TYPED_LENGTH: Final = 64
REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166 codes a national number can be read in."""
EXAMPLE: Final = "+14155550132"

_PASTED: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u202a\u202c\u202d\u2060\u2066\u2068\u2069\ufeff]")
"""Marks that address books put around a number. None of them can make its digits be seen in another order, as U+202B,
U+202E and U+2067 do, which are refused.
"""
_PLUSES: Final = "+\uff0b"
_BRACKETS: Final = "()[]\uff08\uff09\uff3b\uff3d"
_SLASHES: Final = "/\uff0f"
_DOTS: Final = ".\uff0e"
_DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d"
_BETWEEN: Final = frozenset(_PLUSES + _BRACKETS + _SLASHES + _DOTS + _DASHES)
"""What may stand between the digits, besides blanks; the library knows each of them."""
_PARTING: Final = re.compile(f"[{re.escape(_SLASHES + _BRACKETS)}]")
_PLAIN: Final = re.compile(r"\+?[0-9 .()-]+")
_DECIMAL: Final = re.compile(r"\+?\d{5,}[.,]0+")
_THOUSANDS: Final = re.compile(r"\+?\d{1,3}(?:,\d{3}){2,}(?:\.0+)?")
_EXPONENT: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)?E\+?\d{1,3}", re.IGNORECASE)
_NEGATIVE: Final = re.compile(r"[-\u2212]\s*\d")
_SEPARATED: Final = re.compile(r"\d[^\d]*[,;|&\u3001\uff0c\uff1b~\u2053\u223c\uff5e][^\d]*\d")
_SECOND_PLUS: Final = re.compile(rf"\d.*[{_PLUSES}]")

_NONE: Final = "is not a phone number"
_TWO: Final = f"{_NONE}: it looks like two numbers, or one with an extension; give one number, and nothing after it"
_TOO_MANY: Final = "too many; check it"
_DIGITS: Final = {
    ValidationResult.TOO_SHORT: "too few; check it",
    ValidationResult.TOO_LONG: _TOO_MANY,
    ValidationResult.INVALID_LENGTH: "no number there is so long; check it",
}


def phone_number(value: str, *, region: str | None = None) -> str:
    """The number as E.164 (`+14155550132`).

    A national number needs `region` (`"US"`). Raises `InvalidPhone` when the text is more or less than one whole number
    of its country's numbering plan, or has an extension, which E.164 can't hold; `InvalidText` when it can't be text at
    all. Whether the number is assigned to anybody is not asked.
    """
    text, number = _read(value, region)
    reason, parted = _unfit(number, international=text[:1] in _PLUSES), _in_two_parts(text, number)
    if parted and (reason is None or reason.endswith(_TOO_MANY)):
        reason = parted
    if reason:
        raise InvalidPhone("phone", reason)
    return _e164(number)


def searched_phone(value: str) -> str:
    """The number as E.164 if it is one that accounts can have: also one that today's rules would refuse, as older
    accounts may hold it. Raises `InvalidPhone`, `InvalidText` for what can't be read as one number.
    """
    return _e164(_read(value, None)[1])


def means_phone(contact: str) -> bool:
    """True for what is written as a phone number with its country code, not as an e-mail address."""
    return _PASTED.sub("", contact).lstrip()[:1] in {*_PLUSES}


def _e164(number: PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _read(value: str, region: str | None) -> tuple[str, PhoneNumber]:
    """The text without what was pasted along, and the number in it."""
    text = storable_text("phone", value, max_length=TYPED_LENGTH)
    text = _PASTED.sub("", text).strip()
    if text[:4].lower() == "tel:":  # RFC 3966
        text = text[4:]
    if reason := _spoiled(text):
        raise InvalidPhone("phone", reason)
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        raise InvalidPhone("phone", _foreign(text) or _unread(error, text)) from None
    if number.extension and not _SECOND_PLUS.search(text):
        raise InvalidPhone("phone", "has an extension, which can't be stored; leave it out")
    if reason := _foreign(text):
        raise InvalidPhone("phone", reason)
    return text, number


def _spoiled(text: str) -> str | None:
    """What a spreadsheet has made of the number."""
    if _EXPONENT.fullmatch(text):
        return (
            f"{_NONE}: a spreadsheet has shortened it to an exponent (E+), and its last digits are lost; "
            f"take it from where it came from, as text, like {EXAMPLE}"
        )
    if _THOUSANDS.fullmatch(text):
        return f"{_NONE}: a spreadsheet has parted its digits by thousands; remove the commas, and make the column text"
    if _DECIMAL.fullmatch(text):
        return f"{_NONE}: a spreadsheet has added a decimal point and zeros (.0); remove them, and make the column text"
    if _NEGATIVE.match(text):
        return (
            f"{_NONE}: it begins with a minus sign, as what a spreadsheet has calculated; write it as "
            f"{EXAMPLE}, and make the column text"
        )
    return None


def _foreign(text: str) -> str | None:
    """What in the text belongs to no number."""
    if _PLAIN.fullmatch(text):
        return None
    if _SECOND_PLUS.search(text) or _SEPARATED.search(text):
        return _TWO
    for character in text:
        kind = unicodedata.category(character)
        if kind[0] == "L":
            return f"{_NONE}: it holds letters, which are no digits; give the number alone"
        if kind != "Nd" and kind[0] != "Z" and character not in _BETWEEN:
            return f"{_NONE}: it holds {named(character)}; remove it"
    return None


def _unread(error: NumberParseException, text: str) -> str:
    """Why the library could read nothing."""
    kind = error.error_type
    if kind in {NumberParseException.TOO_SHORT_AFTER_IDD, NumberParseException.TOO_SHORT_NSN}:
        return f"{_NONE}: it has too few digits; write it with its country code, as {EXAMPLE}"
    if kind == NumberParseException.TOO_LONG:
        return f"{_NONE}: it has too many digits; write it with its country code, as {EXAMPLE}"
    if kind == NumberParseException.INVALID_COUNTRY_CODE and text[:1] in _PLUSES:
        return f"{_NONE}: no country has the code behind its plus; write it as {EXAMPLE}"
    if text.startswith("00"):
        return f"{_NONE} without a region: write + instead of 00, as {EXAMPLE}"
    return f"{_NONE}; write it with its country code, as {EXAMPLE}"


def _unfit(number: PhoneNumber, *, international: bool) -> str | None:
    """Why the number is none of its country's numbering plan."""
    if phonenumbers.is_valid_number(number):
        return "has the wrong number of digits: E.164 has at most 15" if len(_e164(number)) > MAX_LENGTH else None
    code = number.country_code or 0
    result = phonenumbers.is_possible_number_with_reason(number)
    if shortnumberinfo.is_valid_short_number(number):
        national = phonenumbers.national_significant_number(number)
        regions = phonenumbers.region_codes_for_country_code(code)
        if any(shortnumberinfo.is_emergency_number(national, region) for region in regions):
            return "is an emergency number, which no person has; give the person's own"
        if not (international and result == ValidationResult.TOO_SHORT):  # with a country code it is one cut short
            return "is a short number of a service, which no person has; give the person's own"
    if result == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        return f"lacks its area code; write the whole number, as {EXAMPLE}"
    if result in _DIGITS:
        return f"has the wrong number of digits for +{code}: {_DIGITS[result]}"
    if result == ValidationResult.INVALID_COUNTRY_CODE:
        return f"{_NONE}: no country has the code +{code}; write it as {EXAMPLE}"
    return f"is no number of +{code}'s numbering plan; check its digits, and whether its area code is there"


def _in_two_parts(text: str, number: PhoneNumber) -> str | None:
    """A slash or a bracket parts a country's or area's code from what follows; anywhere else it is a second number, an
    extension, or a range, and its digits must not become part of the first.
    """
    if not _PARTING.search(text):
        return None
    codes = phonenumbers.length_of_national_destination_code(number)
    digits = len(phonenumbers.national_significant_number(number))
    for place, character in enumerate(text):
        if _PARTING.match(character):
            before = digits - sum(following.isdecimal() for following in text[place:])
            if before > codes:
                return _TWO
    return None
