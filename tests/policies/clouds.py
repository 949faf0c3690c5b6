"""Resources of real clouds as policies see them, right in every respect; a test spoils one."""

from spec.labels import ENV_TAG, MAX_SIZE_TAG, POOL_TAG, SERVICE_TAG
from tests.policies.stack import UNKNOWN, resource

AWS_POOL = "chat.aws.use1-az1.L4x1.spot"
AZURE_POOL = "chat.azure.eastus.A100-80GBx1.spot"
GCP_POOL = "chat.gcp.us-central1-a.L4x1.spot"


def merged(props, changes):
    """With dotted paths replaced; None removes."""
    for path, value in changes.items():
        *above, last = path.split(".")
        inner = props
        for part in above:
            inner = inner[int(part) if part.isdigit() else part]
        if value is None:
            inner.pop(last)
        else:
            inner[last] = value
    return props


def aws_template(**changes):
    props = {
        "imageId": "resolve:ssm:/aws/service/x",
        "metadataOptions": {"httpTokens": "required"},
        "blockDeviceMappings": [{"deviceName": "/dev/sda1", "ebs": {"encrypted": "true"}}],
        "userData": "I2Nsb3VkLWNvbmZpZw==",
        "tags": {ENV_TAG: "prod"},
    }
    return resource(
        "aws:ec2/launchTemplate:LaunchTemplate", "template", merged(props, changes), provider=True
    )


def aws_pool(*, template=None, name=AWS_POOL, **changes):
    tags = {POOL_TAG: name, SERVICE_TAG: "chat", ENV_TAG: "prod"}
    props = {
        "minSize": 0.0,
        "maxSize": 3.0,
        "waitForCapacityTimeout": "0",
        "capacityRebalance": False,
        "tags": [{"key": k, "value": v, "propagateAtLaunch": True} for k, v in tags.items()],
        "mixedInstancesPolicy": {
            "instancesDistribution": {"onDemandPercentageAboveBaseCapacity": 0.0},
            "launchTemplate": {
                "launchTemplateSpecification": {"launchTemplateId": UNKNOWN},
                "overrides": [{"instanceType": "g6.xlarge"}],
            },
        },
    }
    depends = {"mixedInstancesPolicy": [template or aws_template()]}
    return resource(
        "aws:autoscaling/group:Group", name, merged(props, changes), provider=True, depends=depends
    )


def azure_pool(**changes):
    props = {
        "sku": {"name": "Standard_NC24ads_A100_v4", "capacity": 0.0},
        "orchestrationMode": "Flexible",
        "platformFaultDomainCount": 1.0,
        "virtualMachineProfile": {
            "priority": "Spot",
            "evictionPolicy": "Delete",
            "billingProfile": {"maxPrice": -1.0},
            "networkProfile": {"subnet": UNKNOWN},
        },
        "tags": {POOL_TAG: AZURE_POOL, SERVICE_TAG: "chat", ENV_TAG: "prod", MAX_SIZE_TAG: "3"},
    }
    return resource(
        "azure-native:compute:VirtualMachineScaleSet", AZURE_POOL, merged(props, changes), provider=True
    )


def gcp_template(**changes):
    props = {
        "machineType": "g2-standard-4",
        "scheduling": {
            "provisioningModel": "SPOT",
            "preemptible": True,
            "automaticRestart": False,
            "onHostMaintenance": "TERMINATE",
        },
    }
    return resource(
        "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate",
        "template",
        merged(props, changes),
        provider=True,
    )


def gcp_pool(*, template=None, **changes):
    props = {
        "waitForInstances": False,
        "updatePolicy": {"type": "OPPORTUNISTIC"},
        "versions": [{"instanceTemplate": UNKNOWN}],
        "allInstancesConfig": {
            "metadata": {POOL_TAG: GCP_POOL, SERVICE_TAG: "chat", MAX_SIZE_TAG: "3"},
            "labels": {ENV_TAG: "prod"},
        },
    }
    depends = {"versions": [template or gcp_template()]}
    kind = "gcp:compute/instanceGroupManager:InstanceGroupManager"
    return resource(kind, GCP_POOL, merged(props, changes), provider=True, depends=depends)


def address():
    return resource(
        "aws:ec2/eip:Eip", "edge", {"publicIp": UNKNOWN, "tags": {ENV_TAG: "prod"}}, provider=True
    )


def aws_rule(*, of_this_stack=(), **props):
    given = {"ipProtocol": "tcp", "fromPort": 9443.0, "toPort": 9443.0, **props}
    return resource(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "door",
        given,
        provider=True,
        depends={key: list(of_this_stack) for key in props},
    )


def azure_group(**rule):
    given = {
        "access": "Allow",
        "direction": "Inbound",
        "destinationPortRange": "9443",
        "sourceAddressPrefix": "203.0.113.7/32",
        **rule,
    }
    given = {key: value for key, value in given.items() if value is not None}
    props = {"securityRules": [given], "tags": {ENV_TAG: "prod"}}
    return resource(
        "azure-native:network:NetworkSecurityGroup",
        "firewall",
        props,
        provider=True,
        depends={"securityRules": []},
    )


def gcp_firewall(**changes):
    props = {
        "direction": "INGRESS",
        "sourceRanges": ["203.0.113.7/32"],
        "allows": [{"protocol": "tcp", "ports": ["9443"]}],
        **changes,
    }
    props = {key: value for key, value in props.items() if value is not None}
    return resource(
        "gcp:compute/firewall:Firewall",
        "firewall",
        props,
        provider=True,
        depends={key: [] for key in changes},
    )
