"""How we get a session, and when it commits. Knows no business noun.

Here: the engine, session providers, transactions, driver errors, the schema's revision. Not here: what is
asked of a session (`repositories`), which work belongs together (`services`).
"""

from unitwork.monitor.budget import budget
from unitwork.outcome import Outcome
from unitwork.sessions.session import SessionProvider
from unitwork.transactions.execution import execute_transaction
from unitwork.transactions.propagation import Propagation
from unitwork.transactions.provider import TransactionProvider
from unitwork.transactions.retry import Retry
from unitwork.transactions.transaction import Transaction, current_transaction

__all__ = [
    "Outcome",
    "Propagation",
    "Retry",
    "SessionProvider",
    "Transaction",
    "TransactionProvider",
    "budget",
    "current_transaction",
    "execute_transaction",
]
