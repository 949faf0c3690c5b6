"""Bundles with an image."""

from lb.agent.bundle import Bundle


def a_bundle(root, **fields):
    (root / "workdir").mkdir(exist_ok=True)
    given = {
        "setup": "",
        "run": "serve",
        "image": None,
        "envs": {},
        "secrets": (),
        "num_gpus": None,
        "port": 8000,
    }
    return Bundle(sha256="b" * 64, root=root, **given | fields)
