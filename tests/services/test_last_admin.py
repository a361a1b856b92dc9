"""The last active admin can't be removed: somebody must be able to administer."""

import pytest

from containers import Container
from domain import Role, UserChanges, UserStatus
from domain.errors import LastAdmin
from unitwork.models import SYSTEM, acting_as


async def test_the_last_active_admin_is_not_demoted_suspended_deleted_or_purged(container: Container) -> None:
    users = container.user_service()
    with acting_as(SYSTEM):
        admin = await users.create({"email": "root@example.com", "role": Role.ADMIN})
        gone = await users.create({"email": "gone@example.com", "role": Role.ADMIN})
        off = await users.create({"email": "off@example.com", "role": Role.ADMIN})
        await users.delete(gone.id)
        await users.update(off.id, {"status": UserStatus.SUSPENDED})
        await users.create({"email": "ada@example.com"})
        removals: list[UserChanges] = [{"role": Role.USER}, {"status": UserStatus.SUSPENDED}]
        for changes in removals:
            with pytest.raises(LastAdmin):
                await users.update(admin.id, changes)
        for remove in (users.delete, users.purge):
            with pytest.raises(LastAdmin):
                await remove(admin.id)
        assert (await users.get(admin.id)).version == 1

        changed = await users.update(admin.id, {"role": Role.ADMIN, "display_name": "Root"})
        assert changed.display_name == "Root"
        await users.purge(gone.id)
        await users.update(off.id, {"status": UserStatus.ACTIVE})
        assert (await users.update(admin.id, {"role": Role.USER})).role is Role.USER


async def test_the_last_admin_who_can_log_in_stays_whoever_else_is_one(container: Container) -> None:
    users = container.user_service()
    with acting_as(SYSTEM):
        able = await users.create({"email": "able@example.com", "role": Role.ADMIN}, password="correct horse battery")
        mute = await users.create({"email": "mute@example.com", "role": Role.ADMIN})
        for remove in (users.delete, users.purge):
            with pytest.raises(LastAdmin):
                await remove(able.id)
        with pytest.raises(LastAdmin):
            await users.update(able.id, {"role": Role.USER})
        await container.auth_service().set_password(mute.id, "another horse battery")
        assert (await users.update(able.id, {"role": Role.USER})).role is Role.USER
        with pytest.raises(LastAdmin):
            await users.delete(mute.id)
