"""The contacts of `tests/data/contacts/`, made up after public bug reports, and the words that each refusal needs."""

from typing import Final, NamedTuple

from tests.cases import CONTACTS

WORDS: Final = {
    "+49 30 123456 Bob": "letters",
    "030 123456 Fax": "letters",
    "+49 30 1234 / 5678": "two numbers, or one with an extension",
    "491512345678.0": "a spreadsheet has added a decimal point",
    "555-0132": "lacks its area code",
    "112": "is an emergency number",
    "\u200bann@example.com": "U+200B ZERO WIDTH SPACE",
    "ann@corp.local": ".local, which is not a public domain",
    "a@example.com ::: b@example.com": "more than one e-mail address",
    "ann@example.com.": "cannot end with a period",
}
ALLOWED: Final = {"ann@corp.local": "GATEHOUSE_EMAIL__PRIVATE_DOMAINS"}


class Phone(NamedTuple):
    typed: str
    region: str | None
    stored: str | None
    """None: refused."""

    @property
    def words(self) -> str:
        return WORDS[self.typed]


class Pair(NamedTuple):
    one: str
    other: str
    same: bool


PHONES: Final = [
    Phone(line["phone"], line.get("region"), None if line["expect"] == "refused" else line["expect"])
    for line in CONTACTS
    if "phone" in line
]
PAIRS: Final = [
    Pair(line["pair"][0], line["pair"][1], line["expect"].startswith("one account"))
    for line in CONTACTS
    if "pair" in line
]
REFUSED_EMAILS: Final = [line["email"] for line in CONTACTS if "email" in line]
[PASSWORDS] = [tuple(line["password_pair"]) for line in CONTACTS if "password_pair" in line]
