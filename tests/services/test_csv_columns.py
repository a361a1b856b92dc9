"""Columns: which are taken, by what name, and how several make a field."""

import pytest

from services.csv.columns import CsvColumns, column_mapping
from services.csv.errors import (
    AmbiguousCsvColumn,
    FormattedTemplate,
    MalformedTemplate,
    NoUsableColumn,
    UnknownCsvColumn,
)


def made(header: list[str], cells: list[str], *columns: str) -> dict[str, object]:
    return dict(CsvColumns.map(header, column_mapping(columns)).changes(cells))


@pytest.mark.parametrize(
    "name",
    [
        "E-Mail: shown",
        "name!r",
        "{name}",
        "{",
        "}",
        "a}b",
        "a{b",
        "first\nname",
        "first \t name",
        "50% {of} it",
        "=x",
        "a=b",
    ],
)
def test_any_name_of_a_column_works_alone_and_in_a_template(name: str) -> None:
    header = ["email", name, "last"]
    cells = ["a@example.com", "Ann", "Lee"]
    shown = name.replace("\n", " ")
    assert made(header, cells, f"display_name={shown}")["display_name"] == "Ann"
    assert made(header, cells, f"display_name={{{shown}}} {{last}}")["display_name"] == "Ann Lee"
    assert made(header, cells, f"display_name={{last}}, {{{name}}}")["display_name"] == "Lee, Ann"


def test_the_longest_name_that_fits_is_meant() -> None:
    header = ["email", "a", "a}b", "{a}"]
    cells = ["a@example.com", "1", "2", "3"]
    assert made(header, cells, "display_name={a} {a}b} {{a}}")["display_name"] == "1 2 3"


def test_doubled_braces_are_braces() -> None:
    assert made(["email", "a"], ["x@example.com", "1"], "display_name={{{a}}} {{b}}")["display_name"] == "{1} {b}"


@pytest.mark.parametrize(
    ("first", "middle", "last", "name"),
    [
        ("Ann", "", "Lee", "Ann Lee"),
        ("Ann", "  ", "", "Ann"),
        ("", "", "Lee", "Lee"),
        ("", "B.", "", "B."),
        (" Ann ", "B. ", " Lee", "Ann B. Lee"),
        ("", "", "", None),
    ],
)
def test_an_empty_piece_leaves_no_double_blank(first: str, middle: str, last: str, name: str | None) -> None:
    header, cells = ["email", "f", "m", "l"], ["x@example.com", first, middle, last]
    assert made(header, cells, "display_name={f} {m} {l}").get("display_name") == name
    titled = made(header, cells, "display_name=Dr. {f} {m} {l}").get("display_name")
    assert titled == (f"Dr. {name}" if name else None), "a title alone names nobody"


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{email", MalformedTemplate),
        ("email}", MalformedTemplate),
        ("{email} }", MalformedTemplate),
        ("{em{email}", MalformedTemplate),
        ("{emial}", UnknownCsvColumn),
        ("{}", UnknownCsvColumn),
        ("{email!r}", FormattedTemplate),
        ("{email:>9}", FormattedTemplate),
        ("{twice}", AmbiguousCsvColumn),
        ("twice", AmbiguousCsvColumn),
    ],
)
def test_a_template_that_cannot_be_meant_is_refused(template: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        CsvColumns.map(["email", "twice", "twice"], {"display_name": template})


HEADERS = {
    "Google": ("First Name,Middle Name,Last Name,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Value,Phone 1 - Value",
               "E-mail 1 - Value", "Phone 1 - Value", "{First Name} {Middle Name} {Last Name}"),
    "Google, older": ("Name,Given Name,Additional Name,Family Name,E-mail 1 - Value,Phone 1 - Value",
                      "E-mail 1 - Value", "Phone 1 - Value", "Name"),
    "Google Workspace": ("First Name [Required],Last Name [Required],Email Address [Required],Work Phone,Mobile Phone",
                         "Email Address [Required]", "Mobile Phone", "{First Name [Required]} {Last Name [Required]}"),
    "Outlook": ("Title,First Name,Middle Name,Last Name,Business Phone,Mobile Phone,E-mail Address,E-mail Display Name",
                "E-mail Address", "Mobile Phone", "{First Name} {Middle Name} {Last Name}"),
    "Outlook, German": ("Anrede,Vorname,Nachname,E-Mail-Adresse,Mobiltelefon,Telefon (privat)",
                        "E-Mail-Adresse", "Mobiltelefon", "{Vorname} {Nachname}"),
    "Active Directory": ("DN,givenName,sn,displayName,mail,userPrincipalName,mobile,department",
                         "mail", "mobile", "displayName"),
    "Entra": ("Name [displayName] Required,User name [userPrincipalName] Required,Mobile phone [mobile]",
              "User name [userPrincipalName] Required", "Mobile phone [mobile]", "Name [displayName] Required"),
    "Salesforce": ("Salutation,Contact: First Name,Contact: Last Name,Contact: Email,Account: Name",
                   "Contact: Email", None, "{Contact: First Name} {Contact: Last Name}"),
    "HubSpot": ("Record ID,First Name,Last Name,Email,Phone Number,Lead Status,Contact owner",
                "Email", "Phone Number", "{First Name} {Last Name}"),
    "Mailchimp": ("Email Address,First Name,Last Name,MEMBER_RATING",
                  "Email Address", None, "{First Name} {Last Name}"),
    "Apple, vCard converters": ("FORMATTED NAME,EMAIL,TEL", "EMAIL", "TEL", "FORMATTED NAME"),
    "WordPress": ("user_login,user_email,display_name,billing_phone", "user_email", "billing_phone", "display_name"),
    "Thunderbird": ("First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Mobile Number",
                    "Primary Email", "Mobile Number", "Display Name"),
    "French": ("Prénom,Nom,Adresse e-mail,Téléphone mobile", "Adresse e-mail", "Téléphone mobile", "{Prénom} {Nom}"),
    "Spanish": ("NOMBRE COMPLETO,CORREO ELECTRONICO,TELEFONO", "CORREO ELECTRONICO", "TELEFONO", "NOMBRE COMPLETO"),
    "French, with a mobile": ("Nom,Prénom,Courriel,Téléphone portable", "Courriel", "Téléphone portable",
                              "{Prénom} {Nom}"),
    "Spanish, a name alone": ("Nombre,Correo electrónico,Teléfono", "Correo electrónico", "Teléfono", "{Nombre}"),
    "Japanese": ("氏名,メールアドレス,携帯電話", "メールアドレス", "携帯電話", "氏名"),
    "by hand": ("NAME; ,e_mail,  PHONE   number ", "e_mail", "PHONE number", "NAME;"),
    "shouting, with a family's name alone": ("VORNAME,NAME,EMAIL", "EMAIL", None, "{VORNAME} {NAME}"),
}  # fmt: skip


def test_contacts_under_usual_names_are_taken_beside_a_mapping_that_names_none() -> None:
    header = ["Anrede", "Vorname", "Nachname", "E-Mail", "Mobil"]
    mapping = CsvColumns.map(header, {"display_name": "{Vorname} {Nachname}"})
    assert mapping.used == {"email": "E-Mail", "phone": "Mobil", "display_name": "{Vorname} {Nachname}"}
    assert "phone" not in CsvColumns.map(header, {"email": "E-Mail"}).used, "it was left out, it seems"
    with pytest.raises(NoUsableColumn):
        CsvColumns.map(["Vorname", "Nachname"], {"display_name": "Vorname"})


@pytest.mark.parametrize("program", HEADERS)
def test_the_usual_names_are_known(program: str) -> None:
    header, email, phone, name = HEADERS[program]
    names = header.split(",")
    mapping = CsvColumns.map(names, {})
    assert mapping.used == {
        field: text for field, text in (("email", email), ("phone", phone), ("display_name", name)) if text
    }
    shown = [" ".join(column.split()) for column in names]
    used = " ".join(mapping.used.values())
    assert mapping.unused == [column for column in shown if column not in used]


def test_numbers_that_colleagues_share_are_taken_when_they_are_named() -> None:
    header = ["Email", "Business Phone", "Home Phone", "Fax"]
    assert CsvColumns.map(header, {}).used == {"email": "Email"}
    assert CsvColumns.map(header, {"phone": "Home Phone"}).used == {"email": "Email", "phone": "Home Phone"}


def test_beside_a_mapping_only_fields_own_names_are_taken() -> None:
    header = ["mail", "Mobile", "Display Name", "First Name", "role"]
    assert CsvColumns.map(header, {"email": "mail"}).used == {"email": "mail", "display_name": "Display Name"}


def test_of_two_usual_columns_none_is_guessed() -> None:
    assert CsvColumns.map(["email", "Mobile", "mobile", "Name", "name"], {}).used == {"email": "email"}
    with pytest.raises(AmbiguousCsvColumn):
        CsvColumns.map(["Mail", "mail"], {})


def test_a_header_of_nothing_usual_is_shown_as_far_as_it_fits() -> None:
    with pytest.raises(NoUsableColumn) as caught:
        CsvColumns.map([f"column {number}" for number in range(10_000)], {}, line=3)
    text = str(caught.value)
    assert "column 0, column 1" in text
    assert "--skip-lines 3" in text
    assert len(text) < 500
