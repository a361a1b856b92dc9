"""Async SQLAlchemy sessions with explicit ownership: how a session is opened, and when its work is committed.

Import from here and from `unitwork.models`, `unitwork.audit`, `unitwork.dao`, `unitwork.errors`, `unitwork.monitor` and
`unitwork.testing`; everything in other modules may move.
"""

from unitwork.compatibility import Compatibility, Fit, StoredRevision
from unitwork.connections.elastic import warm
from unitwork.connections.engine import build_engine, open_engine
from unitwork.connections.health import DatabaseServer, ServerFacts
from unitwork.connections.lifetime import Lifetime
from unitwork.connections.notification_listener import NotificationListener
from unitwork.connections.places import Lane, Rank, admitted, in_lane, leave_lane
from unitwork.database import Database
from unitwork.deadline import lift_deadline, remaining, within
from unitwork.errors.undone import undone
from unitwork.ids.id_generator import IdGenerator, NewIds
from unitwork.ids.node_leases import NodeLease
from unitwork.ids.snowflake import Snowflake
from unitwork.migration_hazards import Hazard
from unitwork.migration_run import MigrationRun
from unitwork.monitor.budget import budget
from unitwork.options import DatabaseOptions, Options
from unitwork.outcome import Outcome
from unitwork.replicas.causality import (
    Causality,
    Staleness,
    current_position,
    reading_after,
    reads_from_primary,
    see_everything,
    stale_by_at_most,
)
from unitwork.replicas.opening import open_replicas
from unitwork.replicas.position import EVERYTHING, Position, Told
from unitwork.replicas.position_token import LIFETIME_SECONDS, PositionTokens
from unitwork.replicas.replica import ReplicaState
from unitwork.replicas.replicas import Replicas
from unitwork.schema import Schema, create_tables, with_library_tables
from unitwork.sessions.session import SessionProvider
from unitwork.sessions.session_factory import SessionFactory
from unitwork.transactions.execution import execute_transaction
from unitwork.transactions.propagation import Propagation
from unitwork.transactions.provider import TransactionProvider
from unitwork.transactions.retry import Retry
from unitwork.transactions.session_provider import EngineSessionProvider
from unitwork.transactions.transaction import Transaction, ambient, ambient_name, current_transaction
from unitwork.urls.database_url import async_url, masked
from unitwork.urls.replica_urls import replica_urls

__all__ = [
    "EVERYTHING",
    "LIFETIME_SECONDS",
    "Causality",
    "Compatibility",
    "Database",
    "DatabaseOptions",
    "DatabaseServer",
    "EngineSessionProvider",
    "Fit",
    "Hazard",
    "IdGenerator",
    "Lane",
    "Lifetime",
    "MigrationRun",
    "NewIds",
    "NodeLease",
    "NotificationListener",
    "Options",
    "Outcome",
    "Position",
    "PositionTokens",
    "Propagation",
    "Rank",
    "ReplicaState",
    "Replicas",
    "Retry",
    "Schema",
    "ServerFacts",
    "SessionFactory",
    "SessionProvider",
    "Snowflake",
    "Staleness",
    "StoredRevision",
    "Told",
    "Transaction",
    "TransactionProvider",
    "admitted",
    "ambient",
    "ambient_name",
    "async_url",
    "budget",
    "build_engine",
    "create_tables",
    "current_position",
    "current_transaction",
    "execute_transaction",
    "in_lane",
    "leave_lane",
    "lift_deadline",
    "masked",
    "open_engine",
    "open_replicas",
    "reading_after",
    "reads_from_primary",
    "remaining",
    "replica_urls",
    "see_everything",
    "stale_by_at_most",
    "undone",
    "warm",
    "with_library_tables",
    "within",
]
