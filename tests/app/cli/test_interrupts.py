"""A SIGINT that Python can't raise where it arrives is neither printed nor lost."""

import time

import pytest

from app.cli.interrupts import interrupts_kept


class Ends:
    """Interrupted in its destructor."""

    def __del__(self) -> None:
        raise KeyboardInterrupt


def test_one_that_meets_a_destructor_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_kept():
        ending = Ends()
        del ending
        time.sleep(5)
    assert capsys.readouterr().err == ""


def test_one_that_comes_too_late_disturbs_nobody() -> None:
    with interrupts_kept():
        ending = Ends()
        del ending
    time.sleep(0.05)
