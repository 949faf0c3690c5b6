"""Properties whose change pulumi-azure-native answers with a new object.

Names and parents stand in the resource id, so they are always such (`naming`). The rest is from `forceNewMap` in
pulumi-azure-native's provider/pkg/gen/replacement.go; `location` is create-only in the API's own description. What the
API itself refuses to change is in `life.UNCHANGEABLE`.
"""

from __future__ import annotations

from tools.standins.fixed import table

FIXED = table("""
every type
    resourceGroupName location
azure-native:authorization:RoleAssignment
    principalId scope roleAssignmentName
azure-native:authorization:RoleDefinition
    scope roleDefinitionId
azure-native:containerservice:AgentPool
    gpuInstanceProfile vmSize resourceName
azure-native:network:PrivateEndpoint
    subnet
azure-native:network:PublicIPAddress
    publicIPAddressVersion publicIPPrefix sku
azure-native:storage:Blob
    accountName containerName blobName source content type
azure-native:storage:StorageAccount
    isHnsEnabled
""")
