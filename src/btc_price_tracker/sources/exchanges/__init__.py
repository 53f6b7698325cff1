"""Exchanges: markets whose own price each gives, one small file each."""
