"""HTTP to other hosts, through the proxies and with the certificates that the environment names."""
