"""How we get a session, and when it commits. Knows no business noun.

Here: the engine, session providers, transactions, driver errors, the schema's revision. Not here: what is
asked of a session (`repositories`), which work belongs together (`services`).
"""

from database.execution import execute_transaction
from database.monitor.budget import budget
from database.outcome import Outcome
from database.propagation import Propagation
from database.retry import Retry
from database.session import SessionProvider
from database.transaction import Transaction, current_transaction
from database.transaction_provider import TransactionProvider

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
