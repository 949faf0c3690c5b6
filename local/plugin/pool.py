"""`tradewind:local:Pool`: capacity of one shape in one zone of the local cloud; its size is the controller's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

from local.cloud import LocalCloud
from local.conditions import FASTEST, LONGEST_NOTICE_S, NOTICE_S, SPEED, Weather
from local.errors import CloudError
from local.plugin.fields import Failure, Field, Type, unknown
from local.plugin.resource import OperationError, Properties
from local.pools import MARKETS, POOL_ID
from local.processes import ProcessError
from local.trace import Trace, TraceError, region_of


class Pool:
    """What describes the shape and its price is only recorded: policies and people read it."""

    token: ClassVar[str] = "tradewind:local:Pool"  # noqa: S105  a type's name
    outputs: ClassVar[dict[str, Type]] = {}
    delete_first: ClassVar[bool] = True
    fields: ClassVar[tuple[Field, ...]] = (
        Field("home", "string", required=True, replaces=True),
        Field("poolId", "string", required=True, replaces=True),
        Field("region", "string", required=True, replaces=True),
        Field("zone", "string", required=True, replaces=True),
        Field("market", "string", required=True, replaces=True, choices=MARKETS),
        Field("maxSize", "integer", required=True, minimum=0),
        Field("argv", "list", required=True),
        Field("env", "map", default={}),
        Field("bucket", "string", required=True),
        Field("trace", "string", required=True),
        Field("noticeS", "number", default=NOTICE_S, minimum=0, maximum=LONGEST_NOTICE_S),
        Field("traceSpeed", "number", default=SPEED, minimum=0, maximum=FASTEST),
        Field("service", "string"),
        Field("cloud", "string"),
        Field("instanceTypes", "list"),
        Field("accelerator", "string"),
        Field("acceleratorCount", "integer", minimum=1),
        Field("capacityUnits", "number", minimum=0),
        Field("priceUsdHour", "number", minimum=0),
    )

    def check(self, inputs: Properties) -> list[Failure]:
        """Names, and that the trace can be read and has the zone."""
        known = {name: value for name, value in inputs.items() if not unknown(value)}
        found = [
            Failure(name, f"must be an absolute path, got {known[name]!r}")
            for name in ("home", "trace")
            if name in known and not Path(known[name]).is_absolute()
        ]
        if "poolId" in known and not POOL_ID.fullmatch(known["poolId"]):
            found.append(Failure("poolId", f"can't be {known['poolId']!r}: it is a file name too"))
        if known.get("traceSpeed") == 0:
            found.append(Failure("traceSpeed", "must be above 0: time goes on"))
        if "argv" in known and not known["argv"]:
            found.append(Failure("argv", "is empty: it needs at least the program"))
        if not found and {"trace", "zone", "region"} <= known.keys():
            found += _check_place(known)
        return found

    def identify(self, inputs: Properties) -> str:
        """Its pool id."""
        return inputs["poolId"]

    def preview(self, inputs: Properties) -> Properties:
        """Everything is known before."""
        return inputs

    def drift(self, outputs: Mapping[str, Any]) -> dict[str, str]:
        """A pool that the cloud forgot, or other conditions than the declared ones."""
        cloud = LocalCloud(Path(outputs["home"]))
        if cloud.declared(outputs["poolId"]) is None:
            return {"poolId": "delete"}
        wanted, is_now = _weather(outputs), cloud.weather()
        if is_now is None or is_now.trace != wanted.trace:
            return {"trace": "update"}
        differs = {"noticeS": is_now.notice_s != wanted.notice_s, "traceSpeed": is_now.speed != wanted.speed}
        return {name: "update" for name, other in differs.items() if other}

    def ensure(self, inputs: Properties, cancelled: Event) -> Properties:  # noqa: ARG002  it takes no time
        """Declares it; size and machines stay."""
        weather = _weather(inputs)
        try:
            LocalCloud(Path(inputs["home"])).declare_pool(
                inputs["poolId"],
                region=inputs["region"],
                zone=inputs["zone"],
                market=inputs["market"],
                max_size=inputs["maxSize"],
                argv=inputs["argv"],
                env=inputs["env"],
                bucket=inputs["bucket"],
                trace=weather.trace,
                notice_s=weather.notice_s,
                trace_speed=weather.speed,
            )
        except (CloudError, TraceError) as e:
            raise OperationError(str(e)) from e
        return inputs

    def read(self, outputs: Properties) -> Properties | None:
        """Sizes and machines are none of the stack's business."""
        known = LocalCloud(Path(outputs["home"])).declared(outputs["poolId"])
        return None if known is None else outputs

    def delete(self, outputs: Properties) -> None:
        """Ends its machines."""
        try:
            LocalCloud(Path(outputs["home"])).delete_pool(outputs["poolId"])
        except ProcessError as e:
            raise OperationError(str(e)) from e


def _weather(properties: Mapping[str, Any]) -> Weather:
    """A resource of an older version says nothing of notice and speed."""
    return Weather(
        Path(properties["trace"]),
        properties.get("noticeS", NOTICE_S),
        properties.get("traceSpeed", SPEED),
    )


def _check_place(inputs: Properties) -> list[Failure]:
    zone, region = inputs["zone"], inputs["region"]
    try:
        zones = Trace.current(Path(inputs["trace"])).zones()
    except TraceError as e:
        return [Failure("trace", str(e))]
    if zone not in zones:
        return [Failure("zone", f"the trace {inputs['trace']} has no zone {zone}, only {', '.join(zones)}")]
    if region != region_of(zone):
        return [Failure("region", f"zone {zone} is in region {region_of(zone)}, not in {region}")]
    return []
