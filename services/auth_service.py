"""AuthService: login, and the tokens that authenticate requests."""

from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from domain.contact_key import contact_key
from domain.errors import (
    AddressUnverified,
    FreshLoginNeeded,
    InvalidPassword,
    LoginRefused,
    NotAuthenticated,
    RefreshRefused,
    WrongPassword,
)
from domain.token import Token, TokenKind, TokenPair, digest_of, new_family, well_formed
from domain.user import User
from repositories.errors import UserNotFound
from repositories.token_dao import TokenDao
from repositories.user_dao import UserDao, UserFilter
from services.password_rules import check_new_password
from services.passwords import Passwords
from services.rate_limits import RateLimits
from services.security_events import SecurityEvent, SecurityEvents
from unitwork import TransactionProvider, reads_from_primary, stale_by_at_most
from unitwork.models import acting_as, utc_now


class TokenLifetimes(Protocol):
    """Lifetimes of tokens and logins, and who gets them. The settings' section implements it."""

    @property
    def lifetime(self) -> timedelta: ...

    @property
    def access_lifetime(self) -> timedelta: ...

    @property
    def refresh_lifetime(self) -> timedelta: ...

    @property
    def login_lifetime(self) -> timedelta:
        """Maximum lifetime of a login, however often it is refreshed."""
        ...

    @property
    def replica_staleness(self) -> timedelta:
        """Maximum age of what a token is checked against on a replica; 0 checks at the primary."""
        ...

    @property
    def fresh(self) -> timedelta:
        """Time after a login during which sensitive changes don't need the password."""
        ...

    @property
    def unverified_login(self) -> bool:
        """True if accounts may log in whose e-mail address isn't proven."""
        ...


class AuthService:
    """Logs in and out, and issues, checks and revokes tokens. Only the SHA-256 of a token is stored.

    Operations that add to an account's tokens, or revoke several, lock the account's row, so that no token is added
    while all are being revoked. `address` is the caller's network address, for rate limits; None where there is none.
    """

    def __init__(
        self,
        transaction: TransactionProvider,
        users: UserDao,
        tokens: TokenDao,
        passwords: Passwords,
        limits: RateLimits,
        lifetimes: TokenLifetimes,
        events: SecurityEvents,
    ) -> None:
        self._transaction = transaction
        self._users = users
        self._tokens = tokens
        self._passwords = passwords
        self._limits = limits
        self._lifetimes = lifetimes
        self._events = events

    async def issue(self, user_id: int, *, lifetime: timedelta | None = None) -> tuple[Token, str]:
        """Create an access token for the account; return it and its secret, which is not stored. Raises
        `UserNotFound`.
        """
        async with self._transaction(name="issue token"):
            user = await self._users.get_locked(user_id)
            token, secret = Token.issue(user.id, lifetime=self._lifetimes.lifetime if lifetime is None else lifetime)
            await self._tokens.add(token)
            await self._events.record(SecurityEvent.TOKEN_ISSUED, user_id=user.id, by="command")
        return token, secret

    async def authenticate(self, secret: str) -> User:
        """Return the account the access token acts for, in one round trip, or two for a token that a replica refuses.

        Raises `NotAuthenticated` if the token is unknown, expired or revoked, or the account is deleted or suspended,
        without saying which.
        """
        if not well_formed(secret, TokenKind.ACCESS):
            raise NotAuthenticated
        digest = digest_of(secret)
        with stale_by_at_most(self._lifetimes.replica_staleness.total_seconds()) as bound:
            user = await self._authenticated(digest)
        if user is None and bound.from_replica:  # which may not have the token yet
            with reads_from_primary():
                user = await self._authenticated(digest)
        if user is None:
            raise NotAuthenticated
        return user

    async def _authenticated(self, digest: str) -> User | None:
        found = await self._tokens.with_user(digest)
        if found is None:
            return None
        token, user = found
        return user if token.kind is TokenKind.ACCESS and token.live(utc_now()) and user.active else None

    async def login(self, login: str, password: str, *, address: str | None = None) -> TokenPair:
        """Check an e-mail address or phone number and its password; return the first tokens of a new family.

        An account that is unknown, deleted, suspended or without password takes as long as a wrong password, and raises
        the same `LoginRefused`. Raises `TooManyAttempts`, and `InvalidPassword` for text that can't be a password; with
        the right password `AddressUnverified`, where the address must be proven first.
        """
        user = await UserFilter.of_contact(login).apply(self._users.query(include_deleted=True)).one_or_none()
        known, contact = None if user is None else user.id, contact_key(login)
        await self._limits.hit("login", user_id=known, contact=contact, address=address)
        try:
            return await self._login(user, password, address)
        except LoginRefused:
            await self._events.record(SecurityEvent.LOGIN_REFUSED, user_id=known, contact=contact)
            raise

    async def _login(self, user: User | None, password: str, address: str | None) -> TokenPair:
        stored = user.password_hash if user is not None and user.active else None
        verified = await self._passwords.verify(password, stored)
        if user is None or not verified.right:
            raise LoginRefused
        with acting_as(user.id):
            async with self._transaction(name="login"):
                try:
                    current = await self._users.get_locked(user.id)
                except UserNotFound:
                    raise LoginRefused from None
                if current.password_hash != stored or not current.active:
                    raise LoginRefused  # changed while the password was checked
                unproven = current.email is not None and current.email_verified_at is None
                if unproven and not self._lifetimes.unverified_login:
                    raise AddressUnverified
                if verified.renewed is not None:
                    current.password_hash = verified.renewed
                pair = await self._pair(user.id, new_family(), logged_in_at=utc_now(), by="login")
        await self._limits.remember_login(user.id, address)
        return pair

    async def refresh(self, secret: str) -> TokenPair:
        """Exchange a refresh token for the next tokens of its family.

        A refresh token that was used before revokes the whole family, as it or its successor was stolen; so two
        concurrent calls end the login. Raises `RefreshRefused`, `TooManyAttempts`.
        """
        token, user = await self._refresh_token(secret)
        await self._limits.hit("refresh", user_id=user.id)
        if not user.active:
            raise RefreshRefused
        pair, reused = None, False
        with acting_as(user.id):
            async with self._transaction(name="refresh"):
                try:
                    current = await self._users.get_locked(user.id)
                except UserNotFound:
                    raise RefreshRefused from None
                now = utc_now()
                begun = token.logged_in_at or token.created_at
                counts = current.active and now < min(token.expires_at, begun + self._lifetimes.login_lifetime)
                if counts and await self._tokens.rotate(token.id, at=now):
                    pair = await self._pair(user.id, token.family or new_family(), logged_in_at=begun, by="refresh")
                elif (counts or token.rotated_at is not None) and token.family is not None:
                    await self._tokens.revoke_family(token.family, at=now)
                    reused = True
        if reused:  # recorded after the commit: a failure here must not undo the revocation
            await self._events.record(SecurityEvent.REFRESH_REUSED, user_id=user.id)
        if pair is None:
            raise RefreshRefused
        return pair

    async def logout(self, secret: str) -> None:
        """Revoke every token of the login that an access or refresh token belongs to, or the token alone if it has no
        login.

        An unknown token is not an error (RFC 7009, section 2.2).
        """
        if not any(well_formed(secret, kind) for kind in TokenKind):
            return
        found = await self._tokens.with_user(digest_of(secret))
        if found is None:
            return
        token, user = found
        with acting_as(user.id), suppress(UserNotFound):  # a deleted account has no login left
            async with self._transaction(name="logout"):
                await self._users.get_locked(user.id)
                if token.family is None:
                    await self._tokens.revoke(token.digest, at=utc_now())
                else:
                    await self._tokens.revoke_family(token.family, at=utc_now())
            await self._events.record(SecurityEvent.TOKEN_REVOKED, user_id=user.id, by="logout")

    async def logout_all(self, user_id: int) -> int:
        """Revoke every token of the account; return the number of those that were valid. Raises `UserNotFound`."""
        async with self._transaction(name="logout everywhere"):
            await self._users.get_locked(user_id)
            revoked = await self._tokens.revoke_all(user_id, at=utc_now())
        await self._events.record(SecurityEvent.TOKEN_REVOKED, user_id=user_id, by="logout_all")
        return revoked

    async def confirm(
        self, user_id: int, token: Token | None, current: str | None, *, address: str | None = None
    ) -> None:
        """Verify that the acting user owns the account, before a sensitive change: by the current password, or without
        one by a recent login of the token.

        Raises `FreshLoginNeeded`, `WrongPassword` naming `current_password`, `TooManyAttempts`, `UserNotFound`.
        """
        if current is not None:
            await self._check_current(user_id, current, field="current_password", address=address)
        elif token is None or not token.fresh(utc_now(), self._lifetimes.fresh):
            raise FreshLoginNeeded(int(self._lifetimes.fresh.total_seconds()))

    async def change_password(self, user_id: int, current: str, new: str, *, address: str | None = None) -> None:
        """Set a new password, after checking the current one, and revoke every token of the account. Raises
        `WrongPassword`, `InvalidPassword`, `TooManyAttempts`, `UserNotFound`.
        """
        user = await self._check_current(user_id, current, field="current", address=address)
        await self._set_password(user, new, field="new", current=current, expected=user.password_hash)

    async def set_password(self, user_id: int, new: str) -> None:
        """Set a new password without the old one, and revoke every token of the account; for recovery by an operator.
        Raises `InvalidPassword`, `UserNotFound`.
        """
        await self._set_password(await self._users.get(user_id), new, field="password")

    async def revoke(self, secret: str) -> bool:
        """Revoke the token, of either kind; False if it is unknown or was revoked before."""
        async with self._transaction(name="revoke token"):
            digest = digest_of(secret)
            revoked = await self._tokens.revoke(digest, at=utc_now())
        if revoked:
            found = await self._tokens.with_user(digest)
            known = None if found is None else found[1].id
            await self._events.record(SecurityEvent.TOKEN_REVOKED, user_id=known, by="command")
        return revoked

    async def _check_current(self, user_id: int, current: str, *, field: str, address: str | None) -> User:
        """Check the account's current password and return the account. Raises `WrongPassword`, `TooManyAttempts`,
        `UserNotFound`.
        """
        await self._limits.hit("confirm", user_id=user_id, address=address)
        user = await self._users.get(user_id)
        try:
            right = (await self._passwords.verify(current, user.password_hash)).right
        except InvalidPassword:
            right = False
        if not right:
            await self._events.record(SecurityEvent.LOGIN_REFUSED, user_id=user_id, by=field)
            raise WrongPassword(field)
        return user

    async def _set_password(
        self, account: User, new: str, *, field: str, current: str | None = None, expected: str | None = None
    ) -> None:
        try:
            check_new_password(new, user=account, current=current)
            hashed = await self._passwords.hash(new)
            stored = account.password_hash
            if current is None and stored is not None and (await self._passwords.verify(new, stored)).right:
                raise InvalidPassword(field, "is the current password; choose another one")
        except InvalidPassword as refusal:
            raise InvalidPassword(field, refusal.reason) from None
        async with self._transaction(name="set password"):
            user = await self._users.get_locked(account.id)
            if expected is not None and user.password_hash != expected:
                raise WrongPassword  # changed while the password was checked
            user.password_hash = hashed
            await self._tokens.revoke_all(user.id, at=utc_now())
            await self._events.record(SecurityEvent.PASSWORD_CHANGED, user_id=user.id)

    async def _refresh_token(self, secret: str) -> tuple[Token, User]:
        """Return the refresh token, even a used, expired or revoked one, and its account."""
        if not well_formed(secret, TokenKind.REFRESH):
            raise RefreshRefused
        found = await self._tokens.with_user(digest_of(secret))
        if found is None or found[0].kind is not TokenKind.REFRESH:
            raise RefreshRefused
        return found

    async def _pair(self, user_id: int, family: str, *, logged_in_at: datetime, by: str) -> TokenPair:
        until = logged_in_at + self._lifetimes.login_lifetime
        issue = partial(Token.issue, user_id, family=family, logged_in_at=logged_in_at, until=until)
        access, access_secret = issue(lifetime=self._lifetimes.access_lifetime)
        refresh, refresh_secret = issue(lifetime=self._lifetimes.refresh_lifetime, kind=TokenKind.REFRESH)
        await self._tokens.add_many([access, refresh])
        await self._events.record(SecurityEvent.TOKEN_ISSUED, user_id=user_id, by=by)
        return TokenPair(access_secret, refresh_secret, self._lifetimes.access_lifetime)
