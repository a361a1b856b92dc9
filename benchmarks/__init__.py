"""Ourselves and our peers on the same work, in one run. Ratios count; absolute figures are this machine's."""
