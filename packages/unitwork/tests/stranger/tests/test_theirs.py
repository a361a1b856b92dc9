"""Its rooms are its own, whatever is installed beside it."""

import app
import domain
import settings


def test_theirs() -> None:
    assert {settings.__doc__, domain.__doc__, app.__doc__} == {"theirs"}
