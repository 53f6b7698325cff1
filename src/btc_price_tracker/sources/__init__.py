"""The public APIs that we ask for a price, one small file each, and the registry of them all."""
