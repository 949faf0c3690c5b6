"""Properties that AWS can't change in place.

From the resources' documentation in terraform-provider-aws 6, which pulumi-aws 7 bridges ("Forces new resource").
"""

from __future__ import annotations

from tools.standins.fixed import table
from tools.standins.wire import Values

FIXED = table("""
every type
    region
aws:autoscaling/group:Group
    name namePrefix initialLifecycleHooks
aws:cloudwatch/logGroup:LogGroup
    name namePrefix
aws:ebs/volume:Volume
    availabilityZone encrypted kmsKeyId snapshotId outpostArn
aws:ec2/capacityReservation:CapacityReservation
    availabilityZone instanceType instancePlatform instanceMatchCriteria ebsOptimized ephemeralStorage
    tenancy placementGroupArn outpostArn
aws:ec2/eip:Eip
    domain address publicIpv4Pool networkBorderGroup customerOwnedIpv4Pool
aws:ec2/eipAssociation:EipAssociation
    allocationId instanceId networkInterfaceId privateIpAddress publicIp allowReassociation
aws:ec2/instance:Instance
    ami availabilityZone subnetId privateIp keyName associatePublicIpAddress placementGroup tenancy
    hibernation instanceMarketOptions securityGroups ephemeralBlockDevices networkInterfaces
    primaryNetworkInterface rootBlockDevice.deviceName rootBlockDevice.encrypted
    rootBlockDevice.kmsKeyId launchTemplate.id launchTemplate.name ipv6AddressCount ipv6Addresses
aws:ec2/keyPair:KeyPair
    keyName keyNamePrefix publicKey
aws:ec2/launchTemplate:LaunchTemplate
    name namePrefix
aws:ec2/networkInterface:NetworkInterface
    subnetId interfaceType
aws:ec2/placementGroup:PlacementGroup
    name strategy partitionCount spreadLevel
aws:ec2/route:Route
    routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId
aws:ec2/routeTable:RouteTable
    vpcId
aws:ec2/routeTableAssociation:RouteTableAssociation
    subnetId gatewayId
aws:ec2/defaultSecurityGroup:DefaultSecurityGroup
    vpcId
aws:ec2/securityGroup:SecurityGroup
    name namePrefix description vpcId
aws:ec2/securityGroupRule:SecurityGroupRule
    type fromPort toPort protocol cidrBlocks ipv6CidrBlocks prefixListIds securityGroupId
    sourceSecurityGroupId self
aws:ec2/subnet:Subnet
    vpcId cidrBlock availabilityZone availabilityZoneId ipv6Native outpostArn
aws:ec2/volumeAttachment:VolumeAttachment
    deviceName instanceId volumeId
aws:ec2/vpc:Vpc
    cidrBlock ipv4IpamPoolId ipv4NetmaskLength instanceTenancy
aws:ec2/vpcEndpoint:VpcEndpoint
    vpcId serviceName vpcEndpointType serviceRegion
aws:iam/instanceProfile:InstanceProfile
    name namePrefix path
aws:iam/openIdConnectProvider:OpenIdConnectProvider
    url
aws:iam/policy:Policy
    name namePrefix path description
aws:iam/role:Role
    name namePrefix path
aws:iam/rolePolicy:RolePolicy
    name namePrefix role
aws:iam/rolePolicyAttachment:RolePolicyAttachment
    role policyArn
aws:kms/alias:Alias
    name namePrefix
aws:lb/listener:Listener
    loadBalancerArn
aws:lb/loadBalancer:LoadBalancer
    name namePrefix internal loadBalancerType customerOwnedIpv4Pool
aws:lb/targetGroup:TargetGroup
    name namePrefix port protocol protocolVersion targetType vpcId ipAddressType
aws:lb/targetGroupAttachment:TargetGroupAttachment
    targetGroupArn targetId port availabilityZone
aws:route53/healthCheck:HealthCheck
    type referenceName requestInterval measureLatency
aws:route53/record:Record
    zoneId name setIdentifier
aws:route53/zone:Zone
    name delegationSetId
aws:s3/bucket:Bucket
    bucket bucketPrefix objectLockEnabled
aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration
    bucket expectedBucketOwner
aws:s3/bucketObject:BucketObject
    bucket key
aws:s3/bucketObjectv2:BucketObjectv2
    bucket key
aws:s3/bucketOwnershipControls:BucketOwnershipControls
    bucket
aws:s3/bucketPolicy:BucketPolicy
    bucket
aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock
    bucket
aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration
    bucket expectedBucketOwner
aws:s3/bucketVersioning:BucketVersioning
    bucket expectedBucketOwner
aws:secretsmanager/secret:Secret
    name namePrefix
aws:secretsmanager/secretPolicy:SecretPolicy
    secretArn
aws:secretsmanager/secretVersion:SecretVersion
    secretId secretString secretBinary secretStringWoVersion
aws:ssm/parameter:Parameter
    name
aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule
    securityGroupId
aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule
    securityGroupId
""")


def _instance(inputs: Values) -> frozenset[str]:
    """User data is read once: the provider stops and starts the machine, or makes a new one where that is wanted."""
    return frozenset({"userData", "userDataBase64"} if inputs.get("userDataReplaceOnChange") is True else ())


FIXED_WHEN = {"aws:ec2/instance:Instance": _instance}
