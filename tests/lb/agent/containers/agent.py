"""`python agent.py SETTINGS`: an agent with containers, on a folder as bucket; a process of its own, so that it can be killed."""

import json
import os
import sys
from pathlib import Path

from lb.agent import guard, main
from lb.agent.agent import Agent, announce, launcher
from lb.agent.bundle import BundleStore
from lb.agent.config import NodeConfig
from lb.agent.containers.steps import Containers
from lb.agent.fetch import open_bucket
from lb.agent.files import PrivateFolder
from lb.agent.secrets import FolderSecrets
from lb.agent.status import StatusBoard
from lb.agent.steps import in_turn


def run(settings):
    paths = {name: Path(settings[name]) for name in ("work_dir", "secrets_dir", "run_dir", "told")}
    node = NodeConfig(
        **{k: v for k, v in settings.items() if k not in paths},
        work_dir=paths["work_dir"],
        secrets_dir=paths["secrets_dir"],
    )
    signals = main._Signals()

    def tell(_status):
        new = paths["told"].with_suffix(".new")
        new.write_text(json.dumps(board.as_json(instance_id=node.instance_id, pool_id=node.pool_id)))
        new.replace(paths["told"])

    board = StatusBoard(now=lambda: 0.0, on_change=tell)
    secrets = FolderSecrets(node.secrets_dir)
    containers = Containers(
        machine=node.instance_id,
        folder=node.work_dir / "containers",
        private=PrivateFolder(paths["run_dir"]),
        log=node.engine_log,
        grace_s=node.grace_s - 1,
        secrets=secrets,
        begins=lambda bundle, what: announce(node, bundle, what),
    )
    board.remark("containers", containers.sweep())
    bucket = open_bucket(node.bucket)
    agent = Agent(
        node,
        bucket=bucket,
        store=BundleStore(node.work_dir / "bundles", bucket, check=lambda: None),
        secrets=secrets,
        board=board,
        launch=containers.around(launcher(node)),
        prepare=in_turn(containers),
        said=containers.said,
        base_env=os.environ,
    )
    guard.become_subreaper()
    while not signals.stops:
        agent.step()
        signals.wait(0.05)
    agent.shut_down()


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
