"""Every line of every file of cases has its test, through each way in that there is, on SQLite and PostgreSQL."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.app.api import test_contact_cases as contacts_over_http
from tests.app.api import test_http_cases as http_in_process
from tests.app.api import test_import_cases as imports_over_http
from tests.app.cli import test_contact_cases as contacts_as_commands
from tests.app.cli import test_http_cases as http_as_commands
from tests.app.cli import test_import_cases as imports_as_commands
from tests.app.cli import test_url_cases as urls_as_commands
from tests.app.http_cases import LINES
from tests.app.import_cases import CASES, FOLDER
from tests.cases import CONTACTS, DATA, FILES, HTTP, URLS
from tests.contact_cases import PAIRS, PASSWORDS, PHONES, REFUSED_EMAILS, WORDS

Test = Callable[..., Any]
OF_KINDS: Final[dict[str, tuple[Test, ...]]] = {
    "phone": (
        contacts_over_http.test_a_phone_number_is_stored_whole_or_refused_with_its_reason,
        contacts_as_commands.test_each_phone_number_is_stored_whole_or_refused_with_its_reason,
    ),
    "pair": (
        contacts_over_http.test_a_pair_of_addresses_is_one_account_or_two_by_every_way_in,
        contacts_as_commands.test_each_pair_of_addresses_is_one_account_or_two,
    ),
    "email": (
        contacts_over_http.test_a_refused_address_says_why,
        contacts_over_http.test_a_private_domain_is_taken_where_a_setting_allows_it,
        contacts_as_commands.test_each_refused_address_says_why_and_a_setting_takes_the_private_one,
    ),
    "password_pair": (
        contacts_over_http.test_each_spelling_of_a_password_is_one_password,
        contacts_as_commands.test_each_spelling_of_a_password_is_one_password,
    ),
    "file": (
        imports_over_http.test_each_file_becomes_the_accounts_its_sender_means,
        imports_over_http.test_without_its_option_a_file_is_refused_with_the_option_s_name,
        imports_as_commands.test_each_file_becomes_the_accounts_its_sender_means,
        imports_as_commands.test_without_its_option_a_file_is_refused_with_the_option_s_name,
    ),
    "(also)": (
        imports_over_http.test_columns_that_can_be_told_are_used_and_the_report_names_the_others,
        imports_over_http.test_a_file_of_another_kind_is_named,
        imports_over_http.test_every_bad_field_of_a_row_is_told,
        imports_over_http.test_an_export_that_a_spreadsheet_has_changed_imports_without_doubled_apostrophes,
        imports_as_commands.test_people_read_which_columns_were_used_and_which_not,
        imports_as_commands.test_a_file_of_another_kind_is_named,
        imports_as_commands.test_a_field_that_breaks_a_rule_is_left_out_by_an_option_and_told,
        imports_as_commands.test_an_export_that_a_spreadsheet_has_changed_imports_without_doubled_apostrophes,
    ),
    "request": (
        http_in_process.TestInThisProcess.test_each_line_is_answered_as_it_says,
        http_in_process.test_a_server_answers_each_line_as_it_says,
        http_as_commands.test_each_line_that_has_a_command_is_answered_alike,
    ),
}
"""The tests of a line, by the member that names it."""


def test_every_line_about_a_contact_is_one_that_is_tried() -> None:
    tried = [phone.typed for phone in PHONES] + [[pair.one, pair.other] for pair in PAIRS]
    tried += [*REFUSED_EMAILS, list(PASSWORDS)]
    assert tried == [line.get("phone") or line.get("pair") or line.get("email") or line.get("password_pair")
                     for line in CONTACTS]  # fmt: skip
    refused = {phone.typed for phone in PHONES if phone.stored is None} | set(REFUSED_EMAILS)
    assert refused == WORDS.keys(), "what is refused has its reason, in words"


def test_every_request_and_every_url_has_its_function() -> None:
    assert list(LINES) == list(HTTP)
    assert http_as_commands.LINES.keys() <= LINES.keys()
    assert list(urls_as_commands.LINES) == list(URLS)


def test_every_file_to_import_has_its_case() -> None:
    assert [case.file for case in CASES] == [file for file in FILES if file != "(also)"]
    assert {case.file for case in CASES} == {path.name for path in FOLDER.glob("*.csv")}


def test_no_file_of_cases_is_left_out() -> None:
    known = {"contacts/phones.json", "contacts/emails.json", "http.json", "urls.json", "import/expected.json"}
    assert {str(path.relative_to(DATA)) for path in DATA.rglob("*.json")} == known


@pytest.mark.parametrize("kind", OF_KINDS)
def test_no_test_of_a_line_leaves_a_database_out(kind: str) -> None:
    """Those that ask for a database run on each that the run has, unless a marker of theirs says otherwise."""
    for test in OF_KINDS[kind]:
        for mark in getattr(test, "pytestmark", ()):
            if mark.name == "parametrize" and mark.args[0] == "backend":
                assert {"sqlite", "postgresql"} <= set(mark.args[1]), test.__name__
