"""Aggregators: sources that re-report the markets of others, one small file each."""
