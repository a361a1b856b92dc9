"""The project of somebody else's is run by itself (`alone.sh`), and never among these tests."""

collect_ignore = ["stranger"]
