"""The check of access tokens, and what follows when one is revoked."""
