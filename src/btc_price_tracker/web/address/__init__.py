"""Whose request it is: addresses, and what trusted proxies say of the client before them."""
