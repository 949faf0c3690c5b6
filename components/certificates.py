"""The environment's certificate authority, and a secret for each certificate that the controller issues with it.

Leafs are not resources: see `spec.certificates`. The authority's key is in the state (encrypted, as every secret there) and in the
controller's own secret, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from components.cloud import Store
from spec import certificates
from spec.desired import Pool
from spec.names import PoolKind

YEARS = 10
_HOURS_A_YEAR = 365 * 24


@dataclass(frozen=True, kw_only=True)
class CertificatesArgs:
    """`home`: whose store keeps the authority's key; None = the authority is another stack's. `edges`: clouds with edge hosts.

    `public`: whether the controller issues what callers see (`tls: own_ca` and `acme`). `protect`: whether Pulumi
    refuses to delete the authority.
    """

    env: str
    home: str | None
    stores: Mapping[str, Store]
    edges: Collection[str]
    pools: Sequence[Pool]
    public: bool
    protect: bool = True
    provider: tls.Provider


class Certificates(pulumi.ComponentResource):
    """`authority`: the authority's certificate in PEM, which is no secret: callers of `own_ca` edges trust it.

    `authority_key`: its private key, a secret. Both None where the authority is another stack's.
    """

    authority: pulumi.Output[str] | None = None
    authority_key: pulumi.Output[str] | None = None

    def __init__(self, name: str, args: CertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:certificates:Certificates", name, {}, opts)
        self._args, self._name = args, name
        if args.home is not None:
            self._authority(args.home)
        for cloud in sorted(args.edges):
            self._issued(cloud, certificates.EDGE_OWNER, certificates.LEAF)
            if args.public:
                self._issued(cloud, certificates.EDGE_OWNER, certificates.PUBLIC)
        for pool in args.pools:
            if pool.kind is PoolKind.VM:
                self._issued(pool.cloud, certificates.pool_owner(pool.id), certificates.LEAF)
        self.register_outputs({"authority": self.authority})

    def _authority(self, home: str) -> None:
        args, name = self._args, self._name
        # Losing it cuts every edge from every replica until all have new certificates, so it is not deleted by accident.
        kept = pulumi.ResourceOptions(parent=self, provider=args.provider, protect=args.protect)
        key = tls.PrivateKey(f"{name}-ca-key", algorithm="ECDSA", ecdsa_curve="P256", opts=kept)
        authority = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=key.private_key_pem,
            is_ca_certificate=True,
            max_path_length=0,
            validity_period_hours=YEARS * _HOURS_A_YEAR,
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            set_subject_key_id=True,
            subject={"common_name": f"Tradewind {args.env}", "organization": "Tradewind"},
            opts=kept,
        )
        self.authority, self.authority_key = authority.cert_pem, key.private_key_pem
        self._secret(home, certificates.CONTROLLER_OWNER, certificates.AUTHORITY_KEY, key.private_key_pem)
        self._secret(home, certificates.CONTROLLER_OWNER, certificates.AUTHORITY, authority.cert_pem)
        self._issued(home, certificates.CONTROLLER_OWNER, certificates.LEAF)

    def _issued(self, cloud: str, owner: str, name: str) -> None:
        self._secret(cloud, owner, name, certificates.NOT_ISSUED, renewed=True)

    def _secret(
        self, cloud: str, owner: str, name: str, value: pulumi.Input[str], *, renewed: bool = False
    ) -> None:
        opts = pulumi.ResourceOptions(parent=self)
        self._args.stores[cloud].secret(name, owner=owner, value=value, renewed=renewed, opts=opts)
