"""Transactions: blocks that begin, join and end them."""
