"""Connections: opening, pooling, interrupting and closing them."""
