"""CSV files of accounts: read the formats in use, import, and export."""
