"""`python -m lb controller`: puts the controller together, runs it until it is told to stop, and leaves replicas running."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import structlog

from lb import log as logs
from lb.api import make_app
from lb.bucket import open_bucket
from lb.certificates.authority import Authority
from lb.certificates.keeper import Keeper, Public, own_ca
from lb.clock import Clock, SystemClock
from lb.clouds.opened import Clouds, open_clouds
from lb.config import ControllerConfig, read_config, read_token
from lb.controller.loop import Controller
from lb.lease import Lease, this_process
from lb.metrics import Metrics
from lb.mutual import Mutual
from lb.observe.http import make_client
from lb.serving import bind, make_server
from lb.snapshots import Publisher
from spec.errors import InputError

log = structlog.get_logger(__name__)


def main(config_path: Path) -> int:
    """Runs until SIGTERM or SIGINT; returns the exit code. Raises TradewindError when it can't start."""
    logs.configure()
    config = read_config(config_path)
    asyncio.run(_run(config, read_token(config.token_file)))
    return 0


async def _run(config: ControllerConfig, token: str) -> None:
    region = config.home.region if config.home is not None else ""
    bucket, clock, metrics = open_bucket(config.bucket, region=region), SystemClock(), Metrics()
    client = make_client()
    clouds = open_clouds(config, client)
    publisher = Publisher(bucket, clouds.buckets)
    keeper = _keeper(config, clouds, clock)
    mutual = None if keeper is None else await keeper.begin()
    replicas = make_client(None if mutual is None else mutual.client)
    controller = Controller(
        stack=config.stack,
        bucket=bucket,
        lease=Lease(bucket, clock, me=this_process()),
        clock=clock,
        drivers=clouds.drivers,
        machine_buckets=clouds.buckets,
        apart={**config.apart},
        client=replicas,
        publisher=publisher,
        metrics=metrics,
        tick_s=config.tick_s,
    )
    app = make_app(controller, publisher, metrics, token=token)
    server = make_server(app, None if mutual is None else mutual.server)
    with bind(config.host, config.port) as listener:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, controller.stop)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        keeping = asyncio.create_task(_keep(keeper, mutual, controller))
        log.info("started", stack=config.stack, host=config.host, port=config.port)
        try:
            await controller.run()
        finally:
            publisher.close()
            server.should_exit = True
            await serving
            keeping.cancel()
            await asyncio.gather(keeping, client.aclose(), replicas.aclose(), return_exceptions=True)
    log.info("stopped", stack=config.stack)


def _keeper(config: ControllerConfig, clouds: Clouds, clock: Clock) -> Keeper | None:
    """Who issues certificates; None where everything is on this computer. Raises InputError."""
    if config.certificates is None or config.home is None:
        return None
    authority = Authority(
        cert=_text("certificates.ca_file", config.certificates.ca_file),
        key=_text("certificates.ca_key_file", config.certificates.ca_key_file),
    )
    home = config.home.cloud
    public: Public | None = own_ca(authority) if config.certificates.public == "own_ca" else None
    if acme := config.certificates.acme:
        from lb.certificates.acme import Acme  # loads libraries that nobody else needs

        if (records := clouds.zones.get(acme.owner)) is None:
            raise InputError(
                f"certificates.acme.owner: nothing is known of {acme.owner}, or its token_file is missing"
            )
        key = _text("certificates.ca_key_file", config.certificates.ca_key_file)
        public = Acme(directory=acme.directory, email=acme.email, key=key, records=records).public
    for cloud in {home, *config.certificates.edges} - clouds.secrets.keys():
        raise InputError(f"clouds.{cloud}.secrets: it is missing, and certificates are kept there")
    return Keeper(
        env=config.env,
        home=home,
        authority=authority,
        stores=clouds.secrets,
        edges=config.certificates.edges,
        public=public,
        clock=clock,
    )


async def _keep(keeper: Keeper | None, mutual: Mutual | None, controller: Controller) -> None:
    if keeper is not None and mutual is not None:
        await keeper.run(mutual, controller.desired)


def _text(field: str, path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{field}: cannot read {path}: {getattr(e, 'strerror', None) or 'not PEM'}") from e
