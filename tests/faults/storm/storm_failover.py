"""COMMITs whose answer is lost while the address moves to a promoted standby, in the number that is quoted."""

from pathlib import Path

import pytest

from settings import Settings
from tests.faults.fixtures import Pair
from tests.faults.lost_commit import ATTEMPTS, lose_commits_across
from tests.faults.relay import Moment


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("mapped", [False, True], ids=["statements", "mapped"])
@pytest.mark.parametrize("retry", [None, ATTEMPTS])
async def test_200_commits_lost_across_a_failover_make_no_wrong_verdict(
    pair: Pair, tmp_path: Path, moment: Moment, retry: int | None, share: float, *, mapped: bool
) -> None:
    def settings(url: str) -> Settings:
        section = {"url": url, "pool_size": 2}
        return Settings.model_validate({"database": section, "var_dir": tmp_path, "node_id": 4095})

    count = max(int(200 * share), 1)
    verdicts = await lose_commits_across(settings, pair, moment, count, mapped=mapped, retry=retry)
    print(f"\n{moment.name}, {'mapped' if mapped else 'statements'}, retry {retry}: {verdicts}")
    assert (len(verdicts.unknown), verdicts.committed, verdicts.failed) == (count, set(), {})
    assert verdicts.attempts.total() == verdicts.cuts == count, "what may be stored is never done again"
