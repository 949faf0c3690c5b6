"""What identities may do, read from the rights that components declare, as each cloud reads them: nothing by itself.

What Google's and Azure's own roles hold is written here from their documentation, apart from the code that names them. A
condition is evaluated as a whole; one in words that are not known here fails the test instead of being passed over.
"""

import json
import re
from fnmatch import fnmatchcase

# https://cloud.google.com/storage/docs/access-control/iam-roles, https://cloud.google.com/secret-manager/docs/access-control
_GCP_ROLES = {
    "roles/storage.objectViewer": {"storage.objects.get", "storage.objects.list"},
    "roles/storage.objectUser": {
        f"storage.objects.{v}" for v in ("create", "delete", "get", "list", "update")
    },
    "roles/secretmanager.secretAccessor": {"secretmanager.versions.access"},
    "roles/secretmanager.secretVersionManager": {
        f"secretmanager.versions.{v}" for v in ("add", "destroy", "disable", "enable", "get", "list")
    },
}

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
_AZURE_ROLES = {
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": {f"{_BLOBS}/read"},
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": {
        f"{_BLOBS}/{v}" for v in ("read", "write", "delete", "add/action")
    },
    "4633458b-17de-408a-b874-0445c86b69e6": {"Microsoft.KeyVault/vaults/secrets/getSecret/action"},
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": {"Microsoft.KeyVault/vaults/secrets/*"},
}


class Rights:
    """`allow(identity, action, resource)`: whether some declared right says so."""

    def __init__(self, declared):
        self._grants = {"aws": _aws, "gcp": _gcp, "azure": _azure}[declared.cloud](declared)
        assert self._grants, "an environment gives its machines some rights"

    def allow(self, identity, action, resource):
        return any(who == identity and covers(action, resource) for who, covers in self._grants)


# ---------------------------------------------------------------- AWS


def _aws(declared):
    """Policies of roles; secrets' ARNs end in six letters of AWS's own. Groups have the environment's tag."""
    found = []
    for policy in declared.of("aws:iam/rolePolicy:RolePolicy").values():
        for statement in json.loads(policy["policy"])["Statement"]:
            assert statement["Effect"] == "Allow"
            found.append((policy["role"], _statement(statement)))
    return found


def _statement(statement):
    condition = statement.get("Condition", {})
    assert condition in ({}, {"StringEquals": {"autoscaling:ResourceTag/tradewind-env": "test"}}) or all(
        action.startswith("sts:") for action in statement["Action"]
    ), condition

    def covers(action, resource):
        return action in statement["Action"] and any(fnmatchcase(resource, p) for p in statement["Resource"])

    return covers


# ---------------------------------------------------------------- Google Cloud


def _gcp(declared):
    custom = {
        f"projects/{role.get('project', 'a-project')}/roles/{role['roleId']}": set(role["permissions"])
        for role in declared.of("gcp:projects/iAMCustomRole:IAMCustomRole").values()
    }
    roles = _GCP_ROLES | custom
    on_bucket = declared.of("gcp:storage/bucketIAMMember:BucketIAMMember").values()
    on_project = declared.of("gcp:projects/iAMMember:IAMMember").values()
    return [
        *((_email(g), _google(roles[g["role"]], g, f"projects/_/buckets/{g['bucket']}")) for g in on_bucket),
        *((_email(g), _google(roles[g["role"]], g, "")) for g in on_project),
    ]


def _email(given):
    return given["member"].removeprefix("serviceAccount:")


def _google(permissions, given, below):
    """`below`: what a resource's full name begins with; empty = the whole project."""
    condition = (given.get("condition") or {}).get("expression", "true")

    def term(text, resource):
        if text == "true":
            return True
        if found := re.fullmatch(r'resource\.name\.startsWith\("([^"]*)"\)', text):
            return resource.startswith(found[1])
        assert text == 'resource.type == "storage.googleapis.com/Bucket"', text
        return "/objects/" not in resource

    def covers(action, resource):
        inside = resource == below or resource.startswith(f"{below}/" if below else "projects/")
        return action in permissions and inside and any(term(t, resource) for t in condition.split(" || "))

    return covers


# ---------------------------------------------------------------- Azure


def _azure(declared):
    """By the identity's principal. A right is good below its scope."""
    custom = {
        role["roleDefinitionId"]: {action for p in role["permissions"] for action in p["actions"]}
        for role in declared.of("azure-native:authorization:RoleDefinition").values()
    }
    roles = _AZURE_ROLES | custom
    return [
        (
            given["principalId"],
            _below(
                given["scope"], roles[given["roleDefinitionId"].rpartition("/")[2]], given.get("condition")
            ),
        )
        for given in declared.of("azure-native:authorization:RoleAssignment").values()
    ]


def _below(scope, actions, condition):
    def covers(action, resource):
        inside = resource.lower() == scope.lower() or resource.lower().startswith(scope.lower() + "/")
        return (
            inside
            and any(fnmatchcase(action, known) for known in actions)
            and (condition is None or _holds(condition, action, resource))
        )

    return covers


def _holds(condition, action, resource):
    """The condition with each of its terms replaced by what it comes to."""
    path = resource.partition("/blobs/")[2]
    text = re.sub(r"ActionMatches\{'([^']*)'\}", lambda m: str(fnmatchcase(action, m[1])), condition)
    begins = rf"@Resource\[{re.escape(_BLOBS)}:path\] StringStartsWith '([^']*)'"
    text = re.sub(begins, lambda m: str(bool(path) and path.startswith(m[1])), text)
    text = text.replace("!", " not ").replace(" AND ", " and ").replace(" OR ", " or ")
    assert re.fullmatch(r"(?:True|False|not|and|or|[() ])+", text), condition
    return eval(text, {"__builtins__": {}})
