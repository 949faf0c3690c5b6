"""A program of which a preview knows nothing that the policies need: everything comes from a resource that is not made yet."""

import pulumi
import pulumi_aws as aws
import pulumi_azure_native as azure
import pulumi_gcp as gcp
import pulumi_tls as tls

later = tls.PrivateKey(
    "later", algorithm="ED25519", opts=pulumi.ResourceOptions(provider=tls.Provider("tls"))
)
text = later.public_key_openssh.apply(str)
number = later.public_key_openssh.apply(len)
truth = later.public_key_openssh.apply(bool)

in_aws = pulumi.ResourceOptions(provider=aws.Provider("aws", region="us-east-1"))
aws.ec2.LaunchTemplate(
    "template",
    image_id="resolve:ssm:/aws/service/x",
    user_data=text,
    metadata_options={"http_tokens": text},
    block_device_mappings=[{"device_name": "/dev/sda1", "ebs": {"encrypted": text}}],
    opts=in_aws,
)
aws.autoscaling.Group(
    "pool",
    min_size=number,
    max_size=number,
    desired_capacity=0,
    availability_zones=["us-east-1a"],
    capacity_rebalance=truth,
    mixed_instances_policy={
        "launch_template": {
            "launch_template_specification": {"launch_template_id": text, "version": "$Default"},
            "overrides": [{"instance_type": text}],
        },
    },
    tags=[{"key": text, "value": text, "propagate_at_launch": True}],
    opts=in_aws,
)
aws.vpc.SecurityGroupIngressRule(
    "door",
    security_group_id=text,
    ip_protocol="tcp",
    from_port=number,
    to_port=number,
    cidr_ipv4=text,
    opts=in_aws,
)
aws.s3.BucketPublicAccessBlock("block", bucket=text, block_public_acls=truth, opts=in_aws)
aws.lb.Listener(
    "listener", load_balancer_arn=text, protocol=text, default_actions=[{"type": "forward"}], opts=in_aws
)
gcp.compute.InstanceGroupManager(
    "group",
    base_instance_name="group",
    zone="us-central1-a",
    versions=[{"instance_template": text}],
    wait_for_instances=truth,
    opts=pulumi.ResourceOptions(provider=gcp.Provider("gcp", project="acme-llm")),
)
azure.compute.VirtualMachineScaleSet(
    "set",
    vm_scale_set_name="set",
    resource_group_name="group",
    location="eastus",
    sku={"name": "Standard_NC24ads_A100_v4", "tier": "Standard", "capacity": number},
    orchestration_mode="Flexible",
    platform_fault_domain_count=1,
    opts=pulumi.ResourceOptions(
        provider=azure.Provider("azure", subscription_id="00000000-1111-2222-3333-444444444444")
    ),
)
