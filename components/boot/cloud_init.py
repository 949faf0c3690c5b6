"""User data of machines: who the machine is, and the one program that fetches what it runs.

It holds no secret and no version of the code, so it is the same for all machines of a template and stays the same
through updates. What a machine runs is named by the pointer object `hosts/<role>.json` of its bucket (`components.boot.pointers`).
It is plain text on purpose: compressed text would depend on the compressor, and a preview could not show its diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent

MOST_BYTES = 16 * 1024
"""AWS takes no more user data than this, before base64."""

_FETCH = Path(__file__).parent / "fetch.py"
_UNIT = """\
[Unit]
Description=Tradewind: brings the machine's code and starts it
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 /opt/tradewind/fetch.py
StandardOutput=journal+console
Restart=on-failure
RestartSec=10
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def node(*, cloud: str, env: str, region: str, bucket: str, store: str, service: str, pool: str = "") -> str:
    """User data of a replica's machine, the same for all pools of a service and region that share a template.

    `bucket`: `components.cloud.Store.url`. `store`: where bucket and secrets are: the region (AWS), the project (GCP)
    or the vault's URL (Azure). `pool`: of a template that no other pool shares (Azure keeps each in its scale set);
    empty = the machine finds `spec.labels.POOL_TAG` in its metadata.
    """
    own = {"pool": pool} if pool else {}
    return _render(
        role="node", cloud=cloud, env=env, region=region, bucket=bucket, store=store, service=service, **own
    )


def edge(*, cloud: str, env: str, region: str, bucket: str, store: str, edge_id: str, number: int) -> str:
    """User data of an edge host. `number`: from 1, counted over all edge hosts of the environment: updates
    reach them in this order.
    """
    return _render(
        role="edge",
        cloud=cloud,
        env=env,
        region=region,
        bucket=bucket,
        store=store,
        edge_id=edge_id,
        number=number,
    )


def controller(*, cloud: str, env: str, region: str, bucket: str, store: str) -> str:
    """User data of the controller's host."""
    return _render(
        role="controller", cloud=cloud, env=env, region=region, bucket=bucket, store=store, number=1
    )


def _render(**host: str | int) -> str:
    facts = json.dumps({"schema": 1, **host}, indent=1, sort_keys=True) + "\n"
    files = (
        ("/etc/tradewind/host.json", "0644", facts),
        ("/opt/tradewind/fetch.py", "0755", _FETCH.read_text(encoding="utf-8")),
        ("/etc/systemd/system/tradewind-boot.service", "0644", _UNIT),
    )
    written = "".join(
        f'- path: {path}\n  permissions: "{mode}"\n  content: |\n{indent(text, "    ")}'
        for path, mode, text in files
    )
    start = "- [systemctl, daemon-reload]\n- [systemctl, enable, --now, --no-block, tradewind-boot.service]\n"
    text = f"#cloud-config\nwrite_files:\n{written}runcmd:\n{start}"
    assert len(text.encode()) <= MOST_BYTES, "user data is too long: move code from fetch.py into the archive"
    return text
