"""The providers that have a stand-in."""

from __future__ import annotations

import importlib

from tools.standins.cloud import Cloud

PACKAGES = {
    "aws": "aws",
    "gcp": "gcp",
    "azure-native": "azure",
    "tls": "tls",
    "cloudflare": "cloudflare",
}
"""Package of type tokens -> the module here that knows it."""


def cloud(package: str) -> Cloud:
    """What is known of a provider; only its own tables are loaded."""
    return importlib.import_module(f"tools.standins.{PACKAGES[package]}").CLOUD
