"""What endpoints ask for, each a name: `users: UserServiceDep`.

Accessors over `app.state.container`, resolved at each request, so that an override takes effect at once. They take
an `HTTPConnection`, which WebSockets are too, and are coroutines, as FastAPI sends plain functions to a thread.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from app.api.addresses import HEAD_KEY
from app.api.authentication import STATE_KEY, bearer_token, serving
from app.api.authentication import client_address as address_of
from app.api.identifiers import UserId
from app.background import BackgroundTasks
from containers import Container
from domain import Token, User
from domain.errors import NotAllowed, NotAuthenticated
from services import AuditService, AuthService, RateLimits, UserCsvService, UserService
from services.csv.import_report import May
from services.messaging.user_import_job import UserImportJob
from settings import Settings

ActingToken = Callable[[], Awaitable[Token | None]]


async def running_container(connection: HTTPConnection) -> Container:
    """The container this application serves. Raises `EngineNotStarted` when its lifespan never began."""
    return serving(connection.app)


ContainerDep = Annotated[Container, Depends(running_container)]


async def user_service(container: ContainerDep) -> UserService:
    """The accounts."""
    return container.user_service()


async def auth_service(container: ContainerDep) -> AuthService:
    """Logins and tokens."""
    return container.auth_service()


async def rate_limits(container: ContainerDep) -> RateLimits:
    """How often something was tried."""
    return container.rate_limits()


async def client_address(connection: HTTPConnection) -> str | None:
    """Where the client is, as far as trusted proxies tell; None over a socket of this machine's."""
    return address_of(connection.scope)


async def user_import_job(container: ContainerDep) -> UserImportJob:
    """Imports that go on after their request was answered."""
    return container.user_import_job()


async def background(connection: HTTPConnection) -> BackgroundTasks:
    """Work that goes on after the request was answered, and ends with the process."""
    tasks: BackgroundTasks = connection.app.state.background
    return tasks


async def acting_user(connection: HTTPConnection) -> User:
    """Who asks. Raises `NotAuthenticated` where authentication did not run."""
    user: User | None = connection.scope.get("state", {}).get(STATE_KEY)
    if user is None:
        raise NotAuthenticated
    return user


ActingUserDep = Annotated[User, Depends(acting_user)]


async def admin(user: ActingUserDep) -> User:
    """Who asks, an admin. Raises `NotAllowed`."""
    if not user.admin:
        raise NotAllowed
    return user


async def admin_or_self(user: ActingUserDep, user_id: UserId) -> User:
    """Who asks, an admin or the account itself. Raises `NotAllowed` whether or not the account exists."""
    if not user.admin and user.id != user_id:
        raise NotAllowed
    return user


async def head_only(connection: HTTPConnection) -> bool:
    """True when only the headers are asked for: whoever makes a body piece by piece needs to make none."""
    return bool(connection.scope.get("state", {}).get(HEAD_KEY))


async def settings(container: ContainerDep) -> Settings:
    """What the process is configured by."""
    configured: Settings = container.settings()
    return configured


async def user_csv_service(container: ContainerDep) -> UserCsvService:
    """Accounts by the file."""
    return container.user_csv_service()


async def acting_token(container: ContainerDep, connection: HTTPConnection) -> ActingToken:
    """Looks up, when it is called, the token by which who asks was authenticated; None where something else did."""
    return partial(container.authority().token_of, bearer_token(connection.headers))


async def still_admin(container: ContainerDep, connection: HTTPConnection) -> May:
    """Asks whether who sent this request may still do what admins may, and raises `NotAllowed` otherwise."""
    authority, secret = container.authority(), bearer_token(connection.headers)
    tokens: list[Token | None] = []

    async def may() -> None:
        if not tokens:
            tokens.append(await authority.token_of(secret))
        await authority.check(tokens[0])

    return may


async def audit_service(container: ContainerDep) -> AuditService:
    """Who changed what."""
    return container.audit_service()


ActingTokenDep = Annotated[ActingToken, Depends(acting_token)]
StillAdminDep = Annotated[May, Depends(still_admin)]
AuditServiceDep = Annotated[AuditService, Depends(audit_service)]
AuthServiceDep = Annotated[AuthService, Depends(auth_service)]
RateLimitsDep = Annotated[RateLimits, Depends(rate_limits)]
ClientAddressDep = Annotated[str | None, Depends(client_address)]
UserServiceDep = Annotated[UserService, Depends(user_service)]
SettingsDep = Annotated[Settings, Depends(settings)]
UserCsvServiceDep = Annotated[UserCsvService, Depends(user_csv_service)]
UserImportJobDep = Annotated[UserImportJob, Depends(user_import_job)]
BackgroundDep = Annotated[BackgroundTasks, Depends(background)]
HeadOnlyDep = Annotated[bool, Depends(head_only)]
AdminDep = Annotated[User, Depends(admin)]
AdminOrSelfDep = Annotated[User, Depends(admin_or_self)]
