"""HTTP to elsewhere, by way of the proxies and with the certificates that the environment names."""
