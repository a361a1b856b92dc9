"""Messages: stored with the work that causes them, relayed to the broker, handled once."""
