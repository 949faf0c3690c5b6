"""Controller and edge hosts in AWS: single machines with a static public address each, and a balancer for several edges.

A host's own address is its way out, so that replicas in every cloud know it. The balancer only brings callers in: it
passes their connections and addresses through, and asks each host whether it is ready. Its addresses are static too.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, lb, ssm

from components.aws import HOST_IMAGE
from components.cloud import EDGE_PORT, Address, HostArgs, Scope
from lb.envoy.names import READY_PATH
from planner.fixed import HOST_DISK_GIB
from spec.names import cloud_name

_NAME_LIMIT = 32
"""Of balancers and target groups."""
_PROBE_S = 10
_PROBES = 2
_DRAIN_S = 300
_IDLE_S = 3600
"""For which a connection may be silent; AWS's own 350 s would cut who waits for a service that was scaled to zero."""


def static_address(name: str, *, scope: Scope, region: str, opts: pulumi.ResourceOptions) -> Address:
    """A static public address."""
    made = ec2.Eip(
        name,
        region=region,
        domain="vpc",
        tags=_tags(scope, name),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=scope.provider)),
    )
    return Address(ip=made.public_ip, attach=made.allocation_id)


@dataclass(frozen=True, kw_only=True)
class AwsHostsArgs:
    """`hosts`: the controller, or the edges of one region, in zones of its network.

    `balancer`: the addresses that callers of several edges use, by zone of the hosts; empty = callers use the host's.
    """

    hosts: tuple[HostArgs, ...]
    balancer: dict[str, Address]


class AwsHosts(pulumi.ComponentResource):
    """Hosts of one role in one region."""

    def __init__(self, name: str, args: AwsHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:hosts:AwsHosts", name, {}, opts)
        first = args.hosts[0]
        self._name, self._scope, self._network = name, first.scope, first.network
        self._opts = first.scope.child(self)
        image = ssm.get_parameter_output(
            name=HOST_IMAGE,
            region=self._network.region,
            opts=pulumi.InvokeOutputOptions(parent=self, provider=self._scope.provider),
        ).insecure_value  # `value` is the same and counts as a secret
        machines = {host.name: self._host(host, image) for host in args.hosts}
        if args.balancer:
            self._balancer(args.balancer, machines)
        self.register_outputs({})

    def _host(self, host: HostArgs, image: pulumi.Output[str]) -> ec2.Instance:
        region, network = self._network.region, self._network
        assert host.zone is not None, f"{host.name}: hosts of AWS have a zone"
        # A machine reads its user data once, so an edit of it is a new machine. A newer image is no reason for one:
        # hosts keep their packages up to date by themselves. Nor is one that somebody stopped, and that so has no address.
        kept = pulumi.ResourceOptions(ignore_changes=["ami", "associatePublicIpAddress"])
        machine = ec2.Instance(
            host.name,
            region=region,
            ami=image,
            instance_type=host.instance_type,
            subnet_id=network.subnets[host.zone],
            vpc_security_group_ids=[network.controller if host.role == "controller" else network.edges],
            associate_public_ip_address=True,  # to begin with: the static one comes when the machine runs
            iam_instance_profile=host.identity.attach,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            root_block_device={
                "volume_type": "gp3",
                "volume_size": HOST_DISK_GIB["aws"],
                "encrypted": True,
                "delete_on_termination": True,
                "tags": _tags(self._scope, host.name),
            },
            user_data=host.user_data,
            user_data_replace_on_change=True,
            tags=_tags(self._scope, host.name),
            opts=pulumi.ResourceOptions.merge(self._opts, kept),
        )
        ec2.EipAssociation(
            f"{host.name}-address",
            region=region,
            allocation_id=host.address.attach,
            instance_id=machine.id,
            allow_reassociation=True,  # the next machine takes it over before this one ends
            opts=self._opts,
        )
        return machine

    def _balancer(self, addresses: dict[str, Address], machines: dict[str, ec2.Instance]) -> None:
        """Layer 4: TLS ends at the hosts."""
        region, tags = self._network.region, _tags(self._scope, self._name)
        named = cloud_name(self._scope.env, self._name, limit=_NAME_LIMIT)
        balancer = lb.LoadBalancer(
            self._name,
            region=region,
            name=named,
            load_balancer_type="network",
            subnet_mappings=[
                {"subnet_id": self._network.subnets[zone], "allocation_id": addresses[zone].attach}
                for zone in sorted(addresses)
            ],
            enable_cross_zone_load_balancing=True,
            tags=tags,
            opts=self._opts,
        )
        targets = lb.TargetGroup(
            self._name,
            region=region,
            name=named,
            vpc_id=self._network.id,
            target_type="instance",
            protocol="TCP",
            port=EDGE_PORT,
            preserve_client_ip="true",
            deregistration_delay=_DRAIN_S,
            health_check={
                "protocol": "HTTPS",
                "path": READY_PATH,
                "matcher": "200",
                "interval": _PROBE_S,
                "timeout": _PROBE_S // 2,
                "healthy_threshold": _PROBES,
                "unhealthy_threshold": _PROBES,
            },
            tags=tags,
            opts=self._opts,
        )
        lb.Listener(
            self._name,
            region=region,
            load_balancer_arn=balancer.arn,
            protocol="TCP",
            port=EDGE_PORT,
            tcp_idle_timeout_seconds=_IDLE_S,
            default_actions=[{"type": "forward", "target_group_arn": targets.arn}],
            tags=tags,
            opts=self._opts,
        )
        for host, machine in machines.items():
            lb.TargetGroupAttachment(
                f"{host}-target",
                region=region,
                target_group_arn=targets.arn,
                target_id=machine.id,
                port=EDGE_PORT,
                opts=self._opts,
            )


def _tags(scope: Scope, name: str) -> dict[str, str]:
    return {**scope.tags, "Name": f"tradewind {scope.env} {name}"}
