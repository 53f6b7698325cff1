"""Exchanges: markets, each with its own price; one small file each."""
