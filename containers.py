"""The page that explains the system: which object gets which, from the settings up to the services.

Every entrypoint enters through `running()` and resolves the same graph; any provider can be overridden on the
container it belongs to, and what is resolved next sees it. Nothing here acts: the rooms do.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dependency_injector import containers, providers

from migrations import LOCATION, REVISION_VIEW
from repositories import AuditDao, IdempotencyDao, InboxDao, JobDao, MailDao, OutboxDao, TokenDao, UserDao
from services import (
    AccessService,
    AddressProofs,
    AuditService,
    AuthService,
    ContactCheck,
    OutboxService,
    Passwords,
    RateLimits,
    RetentionService,
    UserCsvService,
    UserService,
)
from services.authority import Authority
from services.erasure.erasure import PURGED, Erasure
from services.idempotency import Idempotency, InFlight
from services.messaging.broker import Broker
from services.messaging.celery_publisher import CeleryPublisher
from services.messaging.inbox_service import InboxService
from services.messaging.job_service import JobService
from services.messaging.mails import MAIL, Mails
from services.messaging.notification_service import WELCOME, NotificationService
from services.messaging.outbox_relay import OutboxRelay
from services.messaging.smtp_notifier import notifier_of
from services.messaging.user_import_job import USER_IMPORT, UserImportJob
from services.own_data import OwnDataService
from services.security_events import SecurityEvents
from settings import Settings
from settings.secret_key import secret_key
from unitwork import (
    DatabaseServer,
    EngineSessionProvider,
    IdGenerator,
    Lifetime,
    NewIds,
    NotificationListener,
    PositionTokens,
    Schema,
    SessionFactory,
    TransactionProvider,
    open_engine,
    open_replicas,
)
from unitwork.audit import AuditTrail
from unitwork.dao import AdvisoryLocks, Cursors
from unitwork.monitor import SqlMonitor
from unitwork.monitor.metrics import exposition


class Container(containers.DeclarativeContainer):
    # Settings: given, `Container(settings=Settings(...))`, or read from the environment on first use.
    settings = providers.Dependency(instance_of=Settings, default=providers.Singleton(Settings))
    signing_key = providers.Factory(secret_key, settings, providers.Singleton(dict))

    # Engine: opens only inside `running()`, and hands its disposal to the lifetime. Were the Resource to dispose of
    # it itself it would be asynchronous, and every provider above it would give a Future (docs/decisions/0003).
    lifetime = providers.Singleton(Lifetime, settings.provided.database.drain_timeout.provider)
    engine = providers.Resource(open_engine, settings.provided.database, lifetime)
    replicas = providers.Resource(open_replicas, settings.provided.database, engine, lifetime)
    position_tokens = providers.Singleton(PositionTokens, signing_key.provider)
    database_server = providers.Factory(DatabaseServer, engine, lifetime)

    # Sessions and transactions. A Singleton is given providers, and asks at each use (`engine.provider`, no engine),
    # or it would keep what an override had in force when it was first made (docs/decisions/0066).
    id_generator = providers.Singleton(IdGenerator, settings.provider, engine.provider, lifetime.provider)
    new_ids = providers.Singleton(NewIds, id_generator.provider)
    audit_trail = providers.Singleton(AuditTrail)
    sql_monitor = providers.Singleton(SqlMonitor, settings.provider)
    sql_metrics = providers.Factory(exposition, sql_monitor, settings.provided.metrics_dir.provider)
    session_factory = providers.Singleton(
        SessionFactory,
        engine.provider,
        lifetime.provider,
        new_ids.provider,
        sql_monitor.provider,
        audit_trail.provider,
        replicas.provider,
    )
    session_provider = providers.Factory(EngineSessionProvider, session_factory)
    transaction = providers.Factory(TransactionProvider, session_provider)
    schema = providers.Factory(
        Schema, engine, LOCATION, lifetime, session_factory, settings.provided.database, revision_view=REVISION_VIEW
    )
    notification_listener = providers.Factory(NotificationListener, engine.provider)

    # DAOs.
    cursors = providers.Singleton(Cursors, signing_key.provider)
    user_dao = providers.Factory(UserDao, session_provider, cursors=cursors)
    token_dao = providers.Factory(TokenDao, session_provider, cursors=cursors)
    audit_dao = providers.Factory(AuditDao, session_provider, cursors=cursors)
    idempotency_dao = providers.Factory(IdempotencyDao, session_provider, cursors=cursors)
    outbox_dao = providers.Factory(OutboxDao, session_provider, cursors=cursors)
    inbox_dao = providers.Factory(InboxDao, session_provider, cursors=cursors)
    job_dao = providers.Factory(JobDao, session_provider, cursors=cursors)
    mail_dao = providers.Factory(MailDao, session_provider, cursors=cursors)
    advisory_locks = providers.Factory(AdvisoryLocks, session_provider)

    # Services.
    security_events = providers.Singleton(
        SecurityEvents, transaction.provider, audit_dao.provider, signing_key.provider
    )
    passwords = providers.Singleton(Passwords, settings.provided.passwords.provider)
    rate_limits = providers.Singleton(
        RateLimits,
        settings.provided.rate_limits.rates.provider,
        max_keys=settings.provided.rate_limits.max_keys.provider,
        redis_url=settings.provided.redis_url.provider,
        on_close=lifetime.provided.on_close.provider,
        on_reached=security_events.provided.limit_reached.provider,
    )
    outbox_service = providers.Factory(OutboxService, transaction, outbox_dao, job_dao)
    notifier = providers.Factory(notifier_of, settings.provided.mail, settings.provided.notifications)
    mails = providers.Factory(
        Mails, transaction, user_dao, mail_dao, outbox_service, settings.provided.mail, signing_key.provider
    )
    owned_resources = providers.List(
        # DAOs with `purge_of`, of what hangs on accounts and goes with them (docs/guides/adding-a-resource.md).
    )
    erasure = providers.Factory(
        Erasure,
        transaction,
        user_dao,
        audit_dao,
        idempotency_dao,
        job_dao,
        outbox_dao,
        outbox_service,
        notifier,
        rate_limits,
        owned_resources,
        database_server.provider,
        settings.provided.csv.max_bytes,
    )
    user_service = providers.Factory(
        UserService,
        transaction,
        user_dao,
        token_dao,
        passwords,
        outbox_service,
        erasure,
        security_events,
        mails,
        settings.provided.email.private_domains,
    )
    contact_check = providers.Factory(ContactCheck, transaction, user_dao, settings.provided.email.private_domains)
    own_data = providers.Factory(OwnDataService, user_dao, token_dao, mail_dao, audit_dao, rate_limits, security_events)
    in_flight = providers.Singleton(InFlight)
    idempotency = providers.Factory(Idempotency, transaction, idempotency_dao, in_flight, signing_key.provider)
    audit_service = providers.Factory(AuditService, audit_dao, user_dao)
    user_csv_service = providers.Factory(
        UserCsvService,
        transaction,
        user_dao,
        settings.provided.csv.max_rows,
        settings.provided.email.private_domains,
        mails,
    )
    auth_service = providers.Factory(
        AuthService, transaction, user_dao, token_dao, passwords, rate_limits, settings.provided.tokens, security_events
    )
    access_service = providers.Factory(AccessService, transaction, user_dao, token_dao, security_events)
    address_proofs = providers.Factory(
        AddressProofs, transaction, user_dao, token_dao, mail_dao, mails, passwords, rate_limits, security_events
    )
    authority = providers.Factory(Authority, user_dao, token_dao)

    # Messages: stored with the work that causes them, relayed to the broker, handled by the workers.
    broker = providers.Factory(Broker.of, settings.provided.worker, settings.provided.var_dir)
    publisher = providers.Singleton(CeleryPublisher, broker.provider, settings.provided.outbox.provider)
    outbox_relay = providers.Factory(
        OutboxRelay,
        transaction,
        outbox_dao,
        publisher,
        notification_listener,
        settings.provided.outbox.batch,
        settings.provided.outbox.poll_interval,
        settings.provided.outbox.redeliver_after,
    )
    notification_service = providers.Factory(NotificationService, user_dao, notifier, mails)
    user_import_job = providers.Factory(
        UserImportJob,
        transaction,
        job_dao,
        outbox_service,
        user_csv_service,
        authority,
        settings.provided.csv.max_bytes,
    )
    job_service = providers.Factory(JobService, transaction, job_dao, outbox_dao)
    message_handlers = providers.Dict(
        {
            WELCOME: notification_service.provided.welcome,
            MAIL: notification_service.provided.mail,
            USER_IMPORT: user_import_job.provided.run,
            PURGED: erasure.provided.purged,
        }
    )
    inbox_service = providers.Factory(
        InboxService, transaction, outbox_dao, inbox_dao, job_dao, message_handlers, settings.provided.outbox
    )
    retention_service = providers.Factory(
        RetentionService,
        transaction,
        user_dao,
        token_dao,
        inbox_dao,
        job_dao,
        erasure,
        idempotency_dao,
        mail_dao,
        settings.provided.worker,
    )


@asynccontextmanager
async def running(container: Container | None = None) -> AsyncIterator[Container]:
    """The only way in: a container with its resources open, closed again when the block ends, however it ends.

    Counted: inside `running(c)`, `running(c)` is the same lifetime. Raises `ContainerClosed` for a container that
    was closed before, `SettingsError` for settings that can't be used.
    """
    container = Container() if container is None else container
    lifetime = container.lifetime()
    lifetime.enter()
    try:
        container.init_resources()
        yield container
    finally:
        await lifetime.leave(container.shutdown_resources)
