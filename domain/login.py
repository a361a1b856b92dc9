"""Login: one device's login, or a token that a command has issued; seen from its tokens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.token import Token


@dataclass(frozen=True)
class Login:
    """A login that is in force. `id` is that of its tokens' family, or the token's own for one without."""

    id: str
    created_at: datetime
    last_used_at: datetime
    """Moment when its newest token was issued, by logging in or by a refresh."""
    expires_at: datetime
    address: str | None
    """Network address from which its newest token was asked for."""
    user_agent: str | None
    current: bool = False
    """True for the login that asks."""


def logins_of(tokens: Iterable[Token], now: datetime, *, current: Token | None = None) -> Sequence[Login]:
    """Return the logins that these tokens belong to, without keys and tokens that aren't valid; last used first."""
    families: dict[str, list[Token]] = {}
    for token in tokens:
        if token.live(now) and not token.kind.lasting:
            families.setdefault(login_id(token), []).append(token)
    asking = None if current is None else login_id(current)
    found = [_login(name, sorted(theirs, key=_age), current=name == asking) for name, theirs in families.items()]
    return sorted(found, key=lambda login: login.last_used_at, reverse=True)


def login_id(token: Token) -> str:
    """Return the id of the login that a token belongs to."""
    return str(token.id) if token.family is None else token.family


def _login(name: str, tokens: Sequence[Token], *, current: bool) -> Login:
    newest = tokens[-1]
    return Login(
        name,
        newest.logged_in_at or newest.created_at,
        newest.created_at,
        max(token.expires_at for token in tokens),
        newest.address,
        newest.user_agent,
        current,
    )


def _age(token: Token) -> tuple[datetime, int]:
    return token.created_at, token.id
