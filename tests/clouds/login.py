"""A user who is logged in to one of the clouds of the tests as that cloud's own tools would have it, and to nothing else."""

import json
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.clouds.aws import KEY, Aws
from tests.clouds.azure import STORAGE, Azure
from tests.clouds.gcp import PROJECT, Gcp

CLOUDS = {"aws": Aws, "gcp": Gcp, "azure": Azure}


class User:
    """`environment`: what the user's shell has; None = not set there. `folder`: for files that logins leave."""

    def __init__(self, cloud, server, folder):
        self.cloud, self.server, self.folder = cloud, server, folder
        nowhere = str(folder / "nothing")
        self.environment = {
            **dict.fromkeys(
                ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
            ),
            **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONTAINER_CREDENTIALS_FULL_URI")),
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ALLOW_HTTP": "true",
            "GOOGLE_APPLICATION_CREDENTIALS": None,
            "CLOUDSDK_CONFIG": nowhere,
            "NO_GCE_CHECK": "true",
            "GOOGLE_ALLOW_HTTP": "true",
            "GOOGLE_BASE_URL": server.url,
            "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ENDPOINT": server.url,
            "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",  # the others would look for machines and browsers
            "PATH": f"{folder}:/usr/bin:/bin",
        }

    @property
    def bucket(self):
        return self.server.bucket_url

    def sit_down(self, monkeypatch):
        """This process has the user's shell from now on."""
        for name, value in self.environment.items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    def log_in(self):
        getattr(self, f"_{self.cloud}")()

    def _aws(self):
        names = {
            "key_id": "AWS_ACCESS_KEY_ID",
            "secret": "AWS_SECRET_ACCESS_KEY",
            "token": "AWS_SESSION_TOKEN",
        }
        self.environment |= {names[part]: value for part, value in KEY.items()}

    def _gcp(self):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self.folder / "adc.json"
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": key.decode(),
            "client_email": f"somebody@{PROJECT}.iam.gserviceaccount.com",
            "token_uri": f"{self.server.url}/token",
        }
        path.write_text(json.dumps(account))
        self.environment["GOOGLE_APPLICATION_CREDENTIALS"] = str(path)

    def _azure(self):
        """Azure's command line, as far as its libraries ask it for a token."""
        self.server.tokens["of-somebody"] = None, STORAGE
        answer = {"accessToken": "of-somebody", "expires_on": int(time.time()) + 3600, "tokenType": "Bearer"}
        path = self.folder / "az"
        path.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
        path.chmod(0o755)
