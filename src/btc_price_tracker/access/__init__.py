"""Access tokens: who may read what."""
