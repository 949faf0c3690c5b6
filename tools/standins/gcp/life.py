"""What only other live objects decide in Google Cloud, what it fills in, and what it does not delete."""

from __future__ import annotations

from collections.abc import Iterator

from tools.standins.check import Failure
from tools.standins.clauses import overlap, settled
from tools.standins.cloud import Hold, LiveRule, Made
from tools.standins.gcp.ids import canonical
from tools.standins.live import Live, Session
from tools.standins.wire import Values

MANAGER = "gcp:compute/instanceGroupManager:InstanceGroupManager"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
BUCKET = "gcp:storage/bucket:Bucket"
_OBJECT = "gcp:storage/bucketObject:BucketObject"


def subnetwork_apart(made: Made, session: Session) -> Iterator[Failure]:
    """cloud.google.com/vpc/docs/subnets: ranges of one network don't overlap, in whatever region."""
    block, network = made.get("ipCidrRange"), made.get("network")
    if not settled(block, network):
        return
    others = [
        (live.properties["ipCidrRange"], live)
        for live in session.objects(SUBNETWORK)
        if canonical(str(live.properties.get("network"))) == canonical(network) and live.urn != made.urn
    ]
    for reason in overlap(block, others):
        yield Failure("ipCidrRange", reason)


def defaults(made: Made) -> Values:
    """What Google Cloud fills in."""
    return {"targetSize": 0} if made.type == MANAGER else {}


_SLOW = {
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": "a deleted pool keeps its id for 30 days; undelete it",
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": "a deleted provider keeps its id for 30 days",
}
"""cloud.google.com/iam/docs/manage-workload-identity-pools-providers#delete-pool. Custom roles are undeleted by the
provider itself."""


def keeps_name(live: Live) -> str | None:
    """Why the name of a deleted object can't be had again yet."""
    return _SLOW.get(live.type)


def _in_use(*types: str) -> Hold:
    """ResourceInUseByAnotherResource."""

    def hold(live: Live, session: Session) -> str | None:
        users = [other.name for other in session.referring(live.id) if other.type in types]
        return f"resourceInUseByAnotherResource: {', '.join(users)}" if users else None

    return hold


def bucket(live: Live, session: Session) -> str | None:
    """cloud.google.com/storage/docs/deleting-buckets: only empty ones, or `forceDestroy`."""
    inside = _objects_of(live, session)
    if live.properties.get("forceDestroy") or not inside:
        return None
    return f"the bucket is not empty: it holds {len(inside)} objects"


def removes(live: Live, session: Session) -> list[Live]:
    """`forceDestroy` empties a bucket first, whoever wrote what is in it."""
    return _objects_of(live, session) if live.type == "gcp:storage/bucket:Bucket" else []


def _objects_of(bucket: Live, session: Session) -> list[Live]:
    return [o for o in session.objects(_OBJECT) if o.properties.get("bucket") == bucket.id]


HOLDS: dict[str, tuple[Hold, ...]] = {
    "gcp:compute/network:Network": (
        _in_use(
            SUBNETWORK,
            "gcp:compute/firewall:Firewall",
            "gcp:compute/route:Route",
            "gcp:compute/router:Router",
            "gcp:compute/instance:Instance",
        ),
    ),
    SUBNETWORK: (_in_use("gcp:compute/instance:Instance", "gcp:compute/forwardingRule:ForwardingRule"),),
    "gcp:compute/instanceTemplate:InstanceTemplate": (_in_use(MANAGER),),
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": (_in_use(MANAGER),),
    "gcp:compute/address:Address": (
        _in_use("gcp:compute/instance:Instance", "gcp:compute/forwardingRule:ForwardingRule"),
    ),
    "gcp:compute/healthCheck:HealthCheck": (_in_use("gcp:compute/backendService:BackendService", MANAGER),),
    BUCKET: (bucket,),
}
LIVE_RULES: dict[str, tuple[LiveRule, ...]] = {SUBNETWORK: (subnetwork_apart,)}
