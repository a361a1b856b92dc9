"""Database URLs: as people write them, and as drivers take them."""
