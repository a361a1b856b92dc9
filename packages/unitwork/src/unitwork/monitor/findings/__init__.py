"""Findings: problems that the monitor detects, with the line of code each comes from."""
