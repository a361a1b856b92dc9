"""User: the rules an account keeps."""

from typing import Any, cast

import pytest

from domain import Role, User, UserChanges, UserStatus
from domain.errors import ContactMissing, InvalidEmail, InvalidPhone, InvalidText, Unacceptable, UnknownField

FIELDS = ("email", "email_key", "phone", "display_name", "role", "status", "password_hash")


def values(user: User) -> dict[str, Any]:
    return {field: getattr(user, field) for field in FIELDS}


def ann() -> User:
    return User.create(
        {
            "email": "Ann@Example.com",
            "phone": "+14155550132",
            "display_name": "Ann",
            "role": Role.USER,
            "status": UserStatus.ACTIVE,
        },
        password_hash="hash",
    )


def test_an_account_has_its_values_by_the_rules() -> None:
    user = User.create({"email": " Ann@Example.com ", "phone": "(415) 555-0132", "display_name": " Ann "}, region="US")
    assert (user.email, user.email_key) == ("Ann@Example.com", "ann@example.com")
    assert (user.phone, user.display_name) == ("+14155550132", "Ann")


@pytest.mark.parametrize("changes", [{"email": "a@example.com"}, {"phone": "+14155550132"}])
def test_one_contact_is_enough(changes: UserChanges) -> None:
    assert User.create(changes)


@pytest.mark.parametrize("changes", [{}, {"display_name": "Ann"}, {"email": None}, {"email": None, "phone": None}])
def test_an_account_without_a_contact_is_refused(changes: UserChanges) -> None:
    with pytest.raises(ContactMissing, match="e-mail address or a phone number"):
        User.create(changes)


def test_the_last_contact_can_not_be_cleared() -> None:
    user = ann()
    user.change({"email": None})
    assert values(user) == values(ann()) | {"email": None, "email_key": None}
    with pytest.raises(ContactMissing):
        user.change({"phone": None})
    assert user.phone == "+14155550132"
    user.change({"email": "b@example.com", "phone": None})
    assert values(user) == values(ann()) | {"email": "b@example.com", "email_key": "b@example.com", "phone": None}


def test_none_clears_and_absence_keeps() -> None:
    user = ann()
    user.change({"display_name": None})
    assert values(user) == values(ann()) | {"display_name": None}
    user.change({})
    assert values(user) == values(ann()) | {"display_name": None}


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"email": "nonsense"}, InvalidEmail),
        ({"phone": "nonsense"}, InvalidPhone),
        ({"display_name": "a\x00b"}, InvalidText),
        ({"display_name": "x" * 201}, InvalidText),
        ({"role": None}, InvalidText),
        ({"role": "emperor"}, InvalidText),
        ({"status": None}, InvalidText),
        ({"status": "asleep"}, InvalidText),
        ({"email": None, "phone": None}, ContactMissing),
        ({"emial": "a@example.com"}, UnknownField),
        ({"password_hash": "x"}, UnknownField),
        ({"id": 1}, UnknownField),
    ],
)
def test_a_change_is_taken_over_whole_or_not_at_all(wrong: dict[str, Any], error: type[Unacceptable]) -> None:
    user = ann()
    good = {
        "email": "new@example.com",
        "phone": "+442079460018",
        "display_name": "New",
        "role": "admin",
        "status": "suspended",
    }
    with pytest.raises(error) as raised:
        user.change(cast("UserChanges", good | wrong))
    assert raised.value.field in wrong
    assert values(user) == values(ann())


def test_a_refusal_repeats_no_value() -> None:
    for changes in ({"email": "canary-7Q"}, {"phone": "canary-7Q"}, {"role": "canary-7Q"}, {"status": "canary-7Q"}):
        with pytest.raises(Unacceptable) as raised:
            User.create(cast("UserChanges", {"email": "a@example.com"} | changes))
        assert "canary-7Q" not in str(raised.value)
        assert raised.value.__cause__ is None


def test_a_role_by_its_text_is_the_role() -> None:
    user = ann()
    user.change(cast("UserChanges", {"role": "admin", "status": "suspended"}))
    assert user.role is Role.ADMIN
    assert user.status is UserStatus.SUSPENDED
    assert user.admin
    assert not ann().admin
