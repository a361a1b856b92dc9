"""Messaging: store messages with the work that causes them, relay them to the broker, handle each once."""
