"""Database URLs: parse every common spelling, and convert it to the drivers' arguments."""
