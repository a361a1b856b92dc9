"""CSV files of accounts: read as people have them, imported, exported."""
