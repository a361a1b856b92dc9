"""Transactions: where they begin, who joins, how they end."""
