"""A program that breaks every policy of the pack, and nothing that the clouds' plugins refuse."""

import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
import pulumi_gcp as gcp


class Group(pulumi.ComponentResource):
    def __init__(self, type_, name, props):
        super().__init__(type_, name, props)
        self.register_outputs(props)


SCALING = {"min_replicas": 2, "max_replicas": 50, "surge": 1, "num_overprovision": 0}
SCALING |= {"base_ondemand_fallback_replicas": 0, "dynamic_ondemand_fallback": False}
SCALING |= {"upscale_delay_s": 300, "downscale_delay_s": 1200, "slo": 99}
Group("tradewind:service:Service", "chat", {"service": "chat", "scaling": SCALING, "numNodes": 1})
Group(
    "tradewind:environment:Environment",
    "env",
    {"hosts": True, "tls": "", "providers": [{"name": "p"}], "external": []},
)

in_aws = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1"))
template = aws.ec2.LaunchTemplate(
    "template",
    image_id="resolve:ssm:/aws/service/x",
    user_data="I2Nsb3VkLWNvbmZpZw==",
    metadata_options={"http_tokens": "optional"},
    opts=in_aws,
)
aws.autoscaling.Group(
    "chat.aws.use1-az1.L4x1.on_demand",
    min_size=0,
    max_size=60,
    desired_capacity=0,
    availability_zones=["us-east-1a"],
    capacity_rebalance=True,
    wait_for_capacity_timeout="0",
    mixed_instances_policy={
        "instances_distribution": {"on_demand_percentage_above_base_capacity": 100},
        "launch_template": {
            "launch_template_specification": {"launch_template_id": template.id, "version": "$Default"},
            "overrides": [{"instance_type": "g6.xlarge"}],
        },
    },
    tags=[
        {"key": key, "value": value, "propagate_at_launch": True}
        for key, value in (
            ("tradewind-pool", "chat.aws.use1-az1.L4x1.on_demand"),
            ("tradewind-service", "chat"),
        )
    ],
    opts=in_aws,
)
network = aws.ec2.Vpc("network", cidr_block="10.1.0.0/16", opts=in_aws)
subnet = aws.ec2.Subnet("subnet", vpc_id=network.id, cidr_block="10.1.0.0/24", opts=in_aws)
aws.ec2.NatGateway("nat", subnet_id=subnet.id, connectivity_type="private", opts=in_aws)
firewall = aws.ec2.SecurityGroup("firewall", vpc_id=network.id, description="all", opts=in_aws)
aws.vpc.SecurityGroupIngressRule(
    "door",
    security_group_id=firewall.id,
    ip_protocol="tcp",
    from_port=0,
    to_port=10000,
    cidr_ipv4="0.0.0.0/0",
    opts=in_aws,
)
aws.s3.Bucket("store", bucket="tradewind-violations", opts=in_aws)
aws.iam.User("robot", name="robot", opts=in_aws)
aws.iam.AccessKey("key", user="robot", opts=in_aws)
gcp.compute.InstanceGroupManager(
    "group",
    base_instance_name="group",
    zone="us-central1-a",
    versions=[{"instance_template": "projects/acme-llm/global/instanceTemplates/none"}],
    wait_for_instances=True,
    opts=pulumi.ResourceOptions(provider=gcp.Provider("gcp", project="acme-llm")),
)
in_azure = pulumi.ResourceOptions(
    provider=azure.Provider("azure", subscription_id="00000000-1111-2222-3333-444444444444")
)
azure.storage.StorageAccount(
    "account",
    account_name="twviolations",
    resource_group_name="group",
    location="eastus",
    kind="StorageV2",
    sku={"name": "Standard_LRS"},
    allow_blob_public_access=True,
    opts=in_azure,
)
azure.compute.VirtualMachineScaleSet(
    "set",
    vm_scale_set_name="set",
    resource_group_name="group",
    location="eastus",
    sku={"name": "Standard_NC24ads_A100_v4", "tier": "Standard", "capacity": 3},
    orchestration_mode="Flexible",
    platform_fault_domain_count=1,
    opts=in_azure,
)
aws.ec2.Instance(
    "host",
    ami="ami-0123456789abcdef0",
    instance_type="t3.small",
    root_block_device={"encrypted": False, "volume_size": 30},
    metadata_options={"http_tokens": "required"},
    user_data="export OPENAI_API_KEY=sk-live-abcdefghijklmnopqrstuvwxyz012345",
    opts=in_aws,
)
