"""Creates what was recorded in an emulated AWS, as the provider would: the same inputs, in AWS's own calls.

boto3 checks every argument against AWS's own model of its interfaces, moto what refers to what.
"""

import functools
import re

import boto3

_WORDS = {
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "securityGroups": "Groups",
}
"""Names that the provider gives to AWS's own, beside the first letter."""

_PROVIDERS_OWN = {"region", "tags", "forceDelete", "waitForCapacityTimeout", "updateDefaultVersion"}
"""What the provider does by itself, or by other calls."""

_TRUTHS = {"encrypted", "deleteOnTermination", "associatePublicIpAddress"}
"""Truth values of templates, which the provider takes as text so that they can be left open."""


def in_aws_words(value, name=""):
    """Inputs as arguments of AWS's calls."""
    if isinstance(value, dict):
        return {
            _WORDS.get(key, key[0].upper() + key[1:]): in_aws_words(inner, key)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [in_aws_words(inner) for inner in value]
    if name in _TRUTHS and isinstance(value, str):
        return {"true": True, "false": False}[value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def as_list(tags):
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def create(recorder, region, change=lambda kind, inputs: inputs):
    """Creates everything that was recorded, in its order. `change`: what is done to the inputs before."""
    creation = Creation(region)
    for (type_, name), inputs in recorder.resources.items():
        if type_.startswith("aws:"):
            kind = type_.rpartition(":")[2]
            creation.create(kind, name, change(kind, inputs))


def _method(kind):
    return re.sub(r"([A-Z])", r"_\1", kind).lower()


@functools.cache
def _client(service, region):
    """Shared by all tests, because to make one reads all of its interface."""
    return boto3.client(service, region_name=region)


class Creation:
    """`ids`: of what was created, by the ids that the recorder gave."""

    def __init__(self, region):
        self.clients = functools.partial(_client, region=region)
        self.ids = {}
        self.images = {}

    def create(self, kind, name, inputs):
        self.ids[f"id of {name}"] = getattr(self, _method(kind))(self._with_ids(inputs))

    def _with_ids(self, value):
        if isinstance(value, dict):
            return {key: self._with_ids(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._with_ids(inner) for inner in value]
        return self.ids.get(value, value) if isinstance(value, str) else value

    def _ec2(self, call, kind, inputs, **given):
        """One call that makes one thing with tags."""
        named = [{"ResourceType": kind, "Tags": as_list(inputs.get("tags"))}]
        return getattr(self.clients("ec2"), call)(**given, TagSpecifications=named)

    def _vpc(self, inputs):
        made = self._ec2("create_vpc", "vpc", inputs, CidrBlock=inputs["cidrBlock"])["Vpc"]["VpcId"]
        for name in ("EnableDnsSupport", "EnableDnsHostnames"):
            wanted = {"Value": inputs[name[0].lower() + name[1:]]}
            self.clients("ec2").modify_vpc_attribute(VpcId=made, **{name: wanted})
        return made

    def _default_security_group(self, inputs):
        of_vpc = [
            {"Name": "vpc-id", "Values": [inputs["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
        [group] = self.clients("ec2").describe_security_groups(Filters=of_vpc)["SecurityGroups"]
        if group["IpPermissions"]:
            self.clients("ec2").revoke_security_group_ingress(
                GroupId=group["GroupId"], IpPermissions=group["IpPermissions"]
            )
        return group["GroupId"]

    def _internet_gateway(self, inputs):
        made = self._ec2("create_internet_gateway", "internet-gateway", inputs)
        id_ = made["InternetGateway"]["InternetGatewayId"]
        self.clients("ec2").attach_internet_gateway(InternetGatewayId=id_, VpcId=inputs["vpcId"])
        return id_

    def _route_table(self, inputs):
        made = self._ec2("create_route_table", "route-table", inputs, VpcId=inputs["vpcId"])
        return made["RouteTable"]["RouteTableId"]

    def _route(self, inputs):
        self.clients("ec2").create_route(
            RouteTableId=inputs["routeTableId"],
            DestinationCidrBlock=inputs["destinationCidrBlock"],
            GatewayId=inputs["gatewayId"],
        )
        return "route"

    def _vpc_endpoint(self, inputs):
        made = self.clients("ec2").create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=inputs["vpcEndpointType"],
            RouteTableIds=inputs["routeTableIds"],
        )
        return made["VpcEndpoint"]["VpcEndpointId"]

    def _subnet(self, inputs):
        made = self._ec2(
            "create_subnet",
            "subnet",
            inputs,
            VpcId=inputs["vpcId"],
            AvailabilityZoneId=inputs["availabilityZoneId"],
            CidrBlock=inputs["cidrBlock"],
        )
        return made["Subnet"]["SubnetId"]

    def _route_table_association(self, inputs):
        made = self.clients("ec2").associate_route_table(
            RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"]
        )
        return made["AssociationId"]

    def _security_group(self, inputs):
        made = self._ec2(
            "create_security_group",
            "security-group",
            inputs,
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
        )
        every = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.clients("ec2").revoke_security_group_egress(GroupId=made["GroupId"], IpPermissions=every)
        return made["GroupId"]

    def _permission(self, inputs):
        ports = (
            {"FromPort": int(inputs["fromPort"]), "ToPort": int(inputs["toPort"])}
            if "fromPort" in inputs
            else {}
        )
        said = {"Description": inputs["description"]}
        if cidr := inputs.get("cidrIpv4"):
            source = {"IpRanges": [{"CidrIp": cidr, **said}]}
        else:
            source = {"UserIdGroupPairs": [{"GroupId": inputs["referencedSecurityGroupId"], **said}]}
        return {
            "GroupId": inputs["securityGroupId"],
            "IpPermissions": [{"IpProtocol": inputs["ipProtocol"], **ports, **source}],
        }

    def _security_group_ingress_rule(self, inputs):
        made = self.clients("ec2").authorize_security_group_ingress(**self._permission(inputs))
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def _security_group_egress_rule(self, inputs):
        made = self.clients("ec2").authorize_security_group_egress(**self._permission(inputs))
        return made["SecurityGroupRules"][0]["SecurityGroupRuleId"]

    def _role(self, inputs):
        self.clients("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Description=inputs["description"],
            Tags=as_list(inputs["tags"]),
        )
        return inputs["name"]

    def _role_policy(self, inputs):
        self.clients("iam").put_role_policy(
            RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"]
        )
        return f"{inputs['role']}:{inputs['name']}"

    def _instance_profile(self, inputs):
        self.clients("iam").create_instance_profile(InstanceProfileName=inputs["name"])
        self.clients("iam").add_role_to_instance_profile(
            InstanceProfileName=inputs["name"], RoleName=inputs["role"]
        )
        return inputs["name"]

    def _bucket(self, inputs):
        self.clients("s3").create_bucket(Bucket=inputs["bucket"])
        return inputs["bucket"]

    def _bucket_policy(self, inputs):
        self.clients("s3").put_bucket_policy(Bucket=inputs["bucket"], Policy=inputs["policy"])
        return inputs["bucket"]

    def _bucket_versioning(self, inputs):
        wanted = in_aws_words(inputs["versioningConfiguration"])
        self.clients("s3").put_bucket_versioning(Bucket=inputs["bucket"], VersioningConfiguration=wanted)
        return inputs["bucket"]

    def _bucket_public_access_block(self, inputs):
        wanted = in_aws_words({k: v for k, v in inputs.items() if k not in ("bucket", "region")})
        self.clients("s3").put_public_access_block(
            Bucket=inputs["bucket"], PublicAccessBlockConfiguration=wanted
        )
        return inputs["bucket"]

    def _bucket_ownership_controls(self, inputs):
        self.clients("s3").put_bucket_ownership_controls(
            Bucket=inputs["bucket"], OwnershipControls={"Rules": [in_aws_words(inputs["rule"])]}
        )
        return inputs["bucket"]

    def _bucket_server_side_encryption_configuration(self, inputs):
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
                }
            }
            for rule in inputs["rules"]
        ]
        self.clients("s3").put_bucket_encryption(
            Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
        )
        return inputs["bucket"]

    def _bucket_lifecycle_configuration(self, inputs):
        rules = [{"ID": r.pop("id"), **in_aws_words(r)} for r in map(dict, inputs["rules"])]
        self.clients("s3").put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
        )
        return inputs["bucket"]

    def _launch_template(self, inputs):
        mine = {"name", "description", *_PROVIDERS_OWN}
        data = in_aws_words({k: v for k, v in inputs.items() if k not in mine})
        data["ImageId"] = self._resolved(inputs["imageId"])
        made = self._ec2(
            "create_launch_template",
            "launch-template",
            inputs,
            LaunchTemplateName=inputs["name"],
            VersionDescription=inputs["description"],
            LaunchTemplateData={
                **data,
                "TagSpecifications": [
                    {"ResourceType": s["resourceType"], "Tags": as_list(s["tags"])}
                    for s in inputs["tagSpecifications"]
                ],
            },
        )
        return made["LaunchTemplate"]["LaunchTemplateId"]

    def _resolved(self, image):
        """moto resolves no parameters; AWS does so at each launch."""
        scheme, parameter = image.rsplit(":", 1)
        assert scheme == "resolve:ssm"
        if parameter not in self.images:
            named = parameter.replace("/", "-").strip("-")
            self.images[parameter] = self.clients("ec2").register_image(Name=named)["ImageId"]
        return self.images[parameter]

    def _group(self, inputs):
        mine = {"name", "vpcZoneIdentifiers", *_PROVIDERS_OWN}
        self.clients("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=inputs["name"],
            VPCZoneIdentifier=",".join(inputs["vpcZoneIdentifiers"]),
            Tags=[
                {**in_aws_words(tag), "ResourceType": "auto-scaling-group", "ResourceId": inputs["name"]}
                for tag in inputs["tags"]
            ],
            **in_aws_words({k: v for k, v in inputs.items() if k not in mine}),
        )
        return inputs["name"]
