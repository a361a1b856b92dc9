"""Names: the column names under which other programs export contacts, for files without a mapping."""

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from services.csv.errors import AmbiguousCsvColumn
from services.csv.template import Template

_BRACKETS: Final = re.compile(r"\[([^\]]*)\]")
_REQUIRED: Final = re.compile(r"\b(required|optional)\b", re.IGNORECASE)


def _key(name: str) -> str:
    """Normalize a name to letters and digits, without case and accents: `E-mail`, `e mail` and `EMAIL` are equal."""
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(character for character in text if character.isalnum())


def _keys(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_key, names)))


_EMAIL: Final = _keys(
    "E-mail", "Mail", "E-mail Address", "Primary Email", "Primary E-mail Address", "E-mail 1 - Value",
    "Email Address 1", "Contact: Email", "Person Email", "Customer Email", "Billing Email", "User Email", "Your Email",
    "Work Email", "PrimarySmtpAddress", "WindowsEmailAddress", "InternetAddress", "userPrincipalName",
    "E-Mail-Adresse", "Mailadresse", "Adresse e-mail", "Adresse de messagerie", "Courriel", "Correo",
    "Correo electrónico", "Dirección de correo electrónico", "Indirizzo e-mail", "Posta elettronica",
    "Endereço de e-mail", "E-mailadres", "E-postadress", "E-post", "Adres e-mail", "Электронная почта",
    "Адрес электронной почты", "メール", "メールアドレス", "电子邮件", "邮箱", "電子郵件", "이메일",
)  # fmt: skip
_PHONE: Final = _keys(
    "Phone", "Phone Number", "Phone No.", "Mobile No.", "Contact Number", "Mobile", "Mobile Phone", "Mobile Number",
    "Mobile Phone Number", "Cell", "Cell Phone", "Cell Number", "Cellphone Number", "Cellular", "Phone 1 - Value",
    "Primary Phone", "Contact: Mobile", "Contact: Phone", "Customer Phone", "Billing Phone", "Telephone",
    "Telephone Number", "Tel", "Tel.", "Handy", "Handynummer", "Mobiltelefon", "Mobil", "Mobilnummer", "Telefon",
    "Telefonnummer", "Rufnummer", "Téléphone", "Numéro de téléphone", "N° de téléphone", "Téléphone mobile",
    "Tél. mobile", "Téléphone portable", "Tél. portable", "Numéro de portable", "Portable", "Número de móvil",
    "Telefono cellulare", "Numero di cellulare", "Numero di telefono", "Telefon komórkowy", "Numer telefonu",
    "Puhelinnumero", "Teléfono", "Número de teléfono", "Móvil", "Teléfono móvil", "Celular", "Cellulare", "Telefono",
    "Telemóvel", "Telefone", "Telefoon", "Telefoonnummer", "Mobiel", "Телефон", "Мобильный телефон", "電話番号",
    "携帯電話", "电话", "手机", "電話", "전화번호", "휴대폰",
)  # fmt: skip
_FULL_NAME: Final = _keys(
    "Display Name", "Full Name", "Contact: Full Name", "Contact Name", "Customer Name", "Formatted Name", "CN",
    "Common Name", "Anzeigename", "Nom complet", "Nom affiché",
    "Nombre completo", "Nome completo", "Volledige naam", "Полное имя", "ФИО", "氏名", "姓名", "이름", "Your Name",
)  # fmt: skip
_NAME: Final = _keys("Name")
"""The full name, or the family name if there is a column with the given name alone."""
_GIVEN: Final = _keys(
    "First Name", "Given Name", "Forename", "fname", "Contact: First Name", "Billing First Name", "Vorname", "Prénom",
    "Voornaam", "Förnamn", "Imię", "Имя", "Nombre", "Nome",
)  # fmt: skip
_MIDDLE: Final = _keys("Middle Name", "Additional Name", "Contact: Middle Name", "Zweiter Vorname")
_FAMILY: Final = _keys(
    "Last Name", "Family Name", "Surname", "SN", "lname", "Contact: Last Name", "Billing Last Name", "Nachname",
    "Familienname", "Nom", "Nom de famille", "Apellido", "Apellidos", "Cognome", "Sobrenome", "Achternaam", "Efternamn",
    "Nazwisko", "Фамилия",
)  # fmt: skip
"""Names in order of preference: if a file has several, the first is mapped, and the report lists the others."""


def usual_templates(names: Sequence[str], *, without: Collection[str]) -> dict[str, Template]:
    """Return templates for email, phone and display_name, as far as the column names are known, except fields in
    `without`.

    A name that two columns have isn't mapped, and raises `AmbiguousCsvColumn` for the e-mail address. Numbers that
    several people may share (work, home) aren't used: an account's number is unique.
    """
    columns: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        for form in _forms(name):
            columns.setdefault(form, []).append(column)
    found: dict[str, Template] = {}
    if "email" not in without:
        if len(several := _taken(_EMAIL, columns)) > 1:
            raise AmbiguousCsvColumn(names[several[1]])
        if several:
            found["email"] = Template.of(several[0], names[several[0]])
    if "phone" not in without and (phone := _one(_PHONE, columns)) is not None:
        found["phone"] = Template.of(phone, names[phone])
    if "display_name" not in without and (name_of := _display_name(names, columns)) is not None:
        found["display_name"] = name_of
    return found


def _display_name(names: Sequence[str], columns: Mapping[str, Sequence[int]]) -> Template | None:
    full, name = _one(_FULL_NAME, columns), _one(_NAME, columns)
    given, middle, family = (_one(known, columns) for known in (_GIVEN, _MIDDLE, _FAMILY))
    if given is not None and family is None:
        family, name = name, None
    whole = full if full is not None else name
    if whole is not None:
        return Template.of(whole, names[whole])
    parts = [column for column in (given, middle, family) if column is not None]
    text = " ".join(f"{{{names[column]}}}" for column in parts)
    pieces = tuple((" " if index else "", column) for index, column in enumerate(parts))
    return Template(text, pieces) if parts else None


def _forms(name: str) -> frozenset[str]:
    """Return the normalized forms of a name: whole, without bracketed text, and the bracketed text (`Mobile phone
    [mobile]`).
    """
    inside = _BRACKETS.search(name)
    forms = (name, _REQUIRED.sub("", _BRACKETS.sub("", name)), inside[1] if inside else "")
    return frozenset(key for key in map(_key, forms) if key)


def _taken(known: Sequence[str], columns: Mapping[str, Sequence[int]]) -> Sequence[int]:
    """Return the indexes of columns with the first known name that occurs."""
    return next((columns[form] for form in known if form in columns), ())


def _one(known: Sequence[str], columns: Mapping[str, Sequence[int]]) -> int | None:
    found = _taken(known, columns)
    return found[0] if len(found) == 1 else None
