"""Phone numbers: validate them and convert them to E.164.

The `phonenumbers` parser is lenient (it reads letters as keypad digits, and drops a second number), so the text is
checked before parsing, and the result afterwards.
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
"""E.164 has at most 15 digits after the plus; some countries' numbering plans allow more."""
TYPED_LENGTH: Final = 64
REGIONS: Final = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""ISO 3166 codes of regions whose national numbers can be parsed."""
EXAMPLE: Final = "+14155550132"

_PASTED: Final = re.compile("[\u00ad\u061c\u200b-\u200f\u202a\u202c\u202d\u2060\u2066\u2068\u2069\ufeff]")
"""Invisible marks that address books put around numbers. U+202B, U+202E and U+2067 aren't among them: they change the
displayed order of digits, and are refused.
"""
_PLUSES: Final = "+\uff0b"
_BRACKETS: Final = "()[]\uff08\uff09\uff3b\uff3d"
_SLASHES: Final = "/\uff0f"
_DOTS: Final = ".\uff0e"
_DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d"
_BETWEEN: Final = frozenset(_PLUSES + _BRACKETS + _SLASHES + _DOTS + _DASHES)
"""Characters allowed between digits, besides blanks; the parser supports each of them."""
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
    """Return the number as E.164 (`+14155550132`).

    A national number needs `region` (`"US"`). Raises `InvalidPhone` unless the text is exactly one number of its
    country's numbering plan, without an extension, which E.164 doesn't have; `InvalidText` for characters that can't be
    stored. It isn't checked that the number is assigned to anybody.
    """
    text, number = _read(value, region)
    reason, parted = _unfit(number, international=text[:1] in _PLUSES), _in_two_parts(text, number)
    if parted and (reason is None or reason.endswith(_TOO_MANY)):
        reason = parted
    if reason:
        raise InvalidPhone("phone", reason)
    return _e164(number)


def searched_phone(value: str) -> str:
    """Return the number as E.164 for a search, including numbers that are refused today but that older accounts may
    have. Raises `InvalidPhone`, `InvalidText` for text that can't be parsed as one number.
    """
    return _e164(_read(value, None)[1])


def means_phone(contact: str) -> bool:
    """True if the text is written as a phone number with country code rather than as an e-mail address."""
    return _PASTED.sub("", contact).lstrip()[:1] in {*_PLUSES}


def _e164(number: PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _read(value: str, region: str | None) -> tuple[str, PhoneNumber]:
    """Return the text without surrounding marks, and the parsed number."""
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
    """Return the reason if a spreadsheet has corrupted the number; else None."""
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
    """Return the reason if the text contains anything that isn't part of a number; else None."""
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
    """Return the reason why the text couldn't be parsed."""
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
    """Return the reason why the number doesn't fit its country's numbering plan; None if it does."""
    if phonenumbers.is_valid_number(number):
        return "has the wrong number of digits: E.164 has at most 15" if len(_e164(number)) > MAX_LENGTH else None
    code = number.country_code or 0
    result = phonenumbers.is_possible_number_with_reason(number)
    if shortnumberinfo.is_valid_short_number(number):
        national = phonenumbers.national_significant_number(number)
        regions = phonenumbers.region_codes_for_country_code(code)
        if any(shortnumberinfo.is_emergency_number(national, region) for region in regions):
            return "is an emergency number, which no person has; give the person's own"
        # With a country code, a short number was cut short.
        if not (international and result == ValidationResult.TOO_SHORT):
            return "is a short number of a service, which no person has; give the person's own"
    if result == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        return f"lacks its area code; write the whole number, as {EXAMPLE}"
    if result in _DIGITS:
        return f"has the wrong number of digits for +{code}: {_DIGITS[result]}"
    if result == ValidationResult.INVALID_COUNTRY_CODE:
        return f"{_NONE}: no country has the code +{code}; write it as {EXAMPLE}"
    return f"is no number of +{code}'s numbering plan; check its digits, and whether its area code is there"


def _in_two_parts(text: str, number: PhoneNumber) -> str | None:
    """Return the reason if a slash or bracket separates anything but a country or area code from the rest; else None.

    Anywhere else it marks a second number, an extension or a range, whose digits must not be joined to the first.
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
