"""Properties that Google Cloud can't change in place.

From `ForceNew` in terraform-provider-google, which pulumi-gcp bridges, of 2026-08-21.
"""

from __future__ import annotations

from tools.standins.fixed import table

FIXED = table("""
every type
    region zone project name
gcp:compute/address:Address
    address addressType description ipCollection ipVersion ipv6EndpointType network networkTier
    prefixLength purpose subnetwork
gcp:compute/backendService:BackendService
    params
gcp:compute/disk:Disk
    architecture asyncPrimaryDisk description diskEncryptionKey enableConfidentialCompute
    guestOsFeatures image licenses params physicalBlockSizeBytes snapshot sourceDisk
    sourceImageEncryptionKey sourceInstantSnapshot sourceSnapshotEncryptionKey sourceStorageObject
    storagePool type
gcp:compute/firewall:Firewall
    direction params
gcp:compute/forwardingRule:ForwardingRule
    allPorts backendService description ipAddress ipCollection ipProtocol ipVersion isMirroringCollector
    loadBalancingScheme network networkTier noAutomateDnsZone portRange ports
    serviceDirectoryRegistrations serviceLabel sourceIpRanges subnetwork
gcp:compute/globalAddress:GlobalAddress
    address addressType description ipVersion network prefixLength purpose
gcp:compute/instance:Instance
    advancedMachineFeatures.enableUefiNetworking attachedDisks.forceAttach bootDisk
    confidentialInstanceConfig guestAccelerators hostname instanceEncryptionKey keyRevocationActionType
    networkInterfaces networkPerformanceConfig params reservationAffinity
    scheduling.localSsdRecoveryTimeout scheduling.maxRunDuration scheduling.onInstanceStopAction
    scheduling.preemptible scheduling.provisioningModel scheduling.terminationTime scratchDisks
    workloadIdentityConfig.identity workloadIdentityConfig.identityCertificateEnabled
gcp:compute/instanceGroup:InstanceGroup
    description network
gcp:compute/instanceGroupManager:InstanceGroupManager
    baseInstanceName targetSizePolicies.mode
gcp:compute/instanceTemplate:InstanceTemplate
    advancedMachineFeatures canIpForward confidentialInstanceConfig description disks guestAccelerators
    instanceDescription keyRevocationActionType labels machineType metadata metadataStartupScript
    minCpuPlatform namePrefix networkInterfaces networkPerformanceConfig reservationAffinity
    resourceManagerTags resourcePolicies scheduling serviceAccount shieldedInstanceConfig tags
    workloadIdentityConfig
gcp:compute/network:Network
    autoCreateSubnetworks description internalIpv6Range networkProfile params
gcp:compute/regionBackendService:RegionBackendService
    haPolicy.fastIpMove loadBalancingScheme network params
gcp:compute/regionInstanceTemplate:RegionInstanceTemplate
    advancedMachineFeatures canIpForward confidentialInstanceConfig description disks guestAccelerators
    instanceDescription keyRevocationActionType labels machineType metadata metadataStartupScript
    minCpuPlatform namePrefix networkInterfaces networkPerformanceConfig reservationAffinity
    resourceManagerTags resourcePolicies scheduling serviceAccount shieldedInstanceConfig tags
    workloadIdentityConfig
gcp:compute/reservation:Reservation
    deleteAfterDuration.nanos deleteAfterDuration.seconds deleteAtTime description params
    reservationSharingPolicy.serviceShareType shareSettings.shareType
    specificReservation.instanceProperties specificReservationRequired
gcp:compute/route:Route
    description destRange network nextHopGateway nextHopIlb nextHopInstance nextHopInstanceZone
    nextHopIp nextHopVpnTunnel params priority tags
gcp:compute/subnetwork:Subnetwork
    description externalIpv6Prefix internalIpv6Prefix network params reservedInternalRange
    resolveSubnetMask
gcp:compute/targetPool:TargetPool
    description failoverRatio sessionAffinity
gcp:dns/managedZone:ManagedZone
    dnsName visibility
gcp:dns/recordSet:RecordSet
    managedZone routingPolicy.healthCheck
gcp:iam/workloadIdentityPool:WorkloadIdentityPool
    workloadIdentityPoolId
gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider
    workloadIdentityPoolId workloadIdentityPoolProviderId
gcp:projects/iAMCustomRole:IAMCustomRole
    roleId
gcp:secretmanager/secret:Secret
    replication secretId tags
gcp:secretmanager/secretVersion:SecretVersion
    isSecretDataBase64 secret secretData secretDataWoVersion
gcp:serviceaccount/account:Account
    accountId
gcp:storage/bucket:Bucket
    customPlacementConfig.dataLocations enableObjectRetention hierarchicalNamespace location
gcp:storage/bucketObject:BucketObject
    bucket cacheControl contentDisposition contentEncoding contentLanguage contentType
    customerEncryption.encryptionAlgorithm customerEncryption.encryptionKey forceEmptyContentType
    kmsKeyName metadata source storageClass
""")
