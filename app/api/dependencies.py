"""Dependencies of endpoints, exported as annotated types: `users: UserServiceDep`.

Accessors over `app.state.container`, resolved at each request, so that an override takes effect at once. They take
an `HTTPConnection`, which covers WebSockets, and are coroutines, as FastAPI runs plain functions in a thread.
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
from services import AccessService, AddressProofs, AuditService, AuthService, RateLimits, UserCsvService, UserService
from services.csv.import_report import May
from services.messaging.job_service import JobService
from services.messaging.user_import_job import UserImportJob
from settings import Settings

ActingToken = Callable[[], Awaitable[Token | None]]


async def running_container(connection: HTTPConnection) -> Container:
    """Return the container that this application serves. Raises `EngineNotStarted` when its lifespan never began."""
    return serving(connection.app)


ContainerDep = Annotated[Container, Depends(running_container)]


async def user_service(container: ContainerDep) -> UserService:
    """Return the service for accounts."""
    return container.user_service()


async def auth_service(container: ContainerDep) -> AuthService:
    """Return the service for logins and tokens."""
    return container.auth_service()


async def access_service(container: ContainerDep) -> AccessService:
    """Return the service for the logins and keys of accounts."""
    return container.access_service()


async def address_proofs(container: ContainerDep) -> AddressProofs:
    """Return the service for verification, recovery and invitations."""
    return container.address_proofs()


async def rate_limits(container: ContainerDep) -> RateLimits:
    """Return the rate limits on attempts."""
    return container.rate_limits()


async def client_address(connection: HTTPConnection) -> str | None:
    """Return the client's address, as reported by trusted proxies; None over a Unix socket."""
    return address_of(connection.scope)


async def user_import_job(container: ContainerDep) -> UserImportJob:
    """Return the service for imports that a worker runs after the request was answered."""
    return container.user_import_job()


async def job_service(container: ContainerDep) -> JobService:
    """Return the service for jobs."""
    return container.job_service()


async def background(connection: HTTPConnection) -> BackgroundTasks:
    """Return the runner of work that continues after the request was answered, and ends with the process."""
    tasks: BackgroundTasks = connection.app.state.background
    return tasks


async def acting_user(connection: HTTPConnection) -> User:
    """Return the acting user. Raises `NotAuthenticated` where authentication did not run."""
    user: User | None = connection.scope.get("state", {}).get(STATE_KEY)
    if user is None:
        raise NotAuthenticated
    return user


ActingUserDep = Annotated[User, Depends(acting_user)]


async def admin(user: ActingUserDep) -> User:
    """Return the acting user. Raises `NotAllowed` unless it is an admin."""
    if not user.admin:
        raise NotAllowed
    return user


async def admin_or_self(user: ActingUserDep, user_id: UserId) -> User:
    """Return the acting user. Raises `NotAllowed` unless it is an admin or the account of the path; an account that
    doesn't exist makes no difference.
    """
    if not user.admin and user.id != user_id:
        raise NotAllowed
    return user


async def head_only(connection: HTTPConnection) -> bool:
    """True for a HEAD request: an endpoint that streams its body may skip producing it."""
    return bool(connection.scope.get("state", {}).get(HEAD_KEY))


async def settings(container: ContainerDep) -> Settings:
    """Return the settings of the process."""
    configured: Settings = container.settings()
    return configured


async def user_csv_service(container: ContainerDep) -> UserCsvService:
    """Return the service for CSV import and export of accounts."""
    return container.user_csv_service()


async def acting_token(container: ContainerDep, connection: HTTPConnection) -> ActingToken:
    """Return a function that looks up the token by which the acting user was authenticated; it returns None when the
    request was authenticated by other means.
    """
    return partial(container.authority().token_of, bearer_token(connection.headers))


async def still_admin(container: ContainerDep, connection: HTTPConnection) -> May:
    """Return a function that raises `NotAllowed` when the acting user no longer has the rights of an admin."""
    authority, secret = container.authority(), bearer_token(connection.headers)
    tokens: list[Token | None] = []

    async def may() -> None:
        if not tokens:
            tokens.append(await authority.token_of(secret))
        await authority.check(tokens[0])

    return may


async def audit_service(container: ContainerDep) -> AuditService:
    """Return the service for the audit trail."""
    return container.audit_service()


ActingTokenDep = Annotated[ActingToken, Depends(acting_token)]
StillAdminDep = Annotated[May, Depends(still_admin)]
AccessServiceDep = Annotated[AccessService, Depends(access_service)]
AddressProofsDep = Annotated[AddressProofs, Depends(address_proofs)]
AuditServiceDep = Annotated[AuditService, Depends(audit_service)]
AuthServiceDep = Annotated[AuthService, Depends(auth_service)]
RateLimitsDep = Annotated[RateLimits, Depends(rate_limits)]
ClientAddressDep = Annotated[str | None, Depends(client_address)]
UserServiceDep = Annotated[UserService, Depends(user_service)]
SettingsDep = Annotated[Settings, Depends(settings)]
UserCsvServiceDep = Annotated[UserCsvService, Depends(user_csv_service)]
JobServiceDep = Annotated[JobService, Depends(job_service)]
UserImportJobDep = Annotated[UserImportJob, Depends(user_import_job)]
BackgroundDep = Annotated[BackgroundTasks, Depends(background)]
HeadOnlyDep = Annotated[bool, Depends(head_only)]
AdminDep = Annotated[User, Depends(admin)]
AdminOrSelfDep = Annotated[User, Depends(admin_or_self)]
