"""Issuing the environment's certificates, renewing them long before they end, and replacing the authority without a break."""
