"""IAM: identities, policies and instance profiles."""

from support.steps import Step

TRUST = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
DECODED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
AWS_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
BASE = "arn:aws:iam::000000000000"
NONE = f"{BASE}:policy/none"
TAGS = [{"Key": "a", "Value": "b"}]

ROLE = {"RoleName": "conformance"}
USER = {"UserName": "conformance"}
GROUP = {"GroupName": "conformance"}
PROFILE = {"InstanceProfileName": "conformance"}
MANAGED = {"PolicyArn": "$policy"}
INLINE = {"PolicyName": "inline"}


def policies_of(kind, whose):
    """The policy operations that roles, users and groups have alike."""
    return [
        Step("iam", f"Put{kind}Policy", {**whose, **INLINE, "PolicyDocument": POLICY}),
        Step("iam", f"Get{kind}Policy", {**whose, **INLINE}, expect={"PolicyDocument": DECODED, "PolicyName": "inline"}),
        Step("iam", f"List{kind}Policies", whose, expect={"PolicyNames": ["inline"], "IsTruncated": False}),
        Step("iam", f"Attach{kind}Policy", {**whose, **MANAGED}),
        Step("iam", f"Attach{kind}Policy", {**whose, "PolicyArn": AWS_POLICY}),
        Step("iam", f"ListAttached{kind}Policies", whose, expect={"AttachedPolicies[].PolicyName": ["conformance", "AmazonEC2ContainerServiceforEC2Role"]}),
    ]


def without_policies(kind, whose):
    return [
        Step("iam", f"Detach{kind}Policy", {**whose, **MANAGED}),
        Step("iam", f"Detach{kind}Policy", {**whose, "PolicyArn": AWS_POLICY}),
        Step("iam", f"Delete{kind}Policy", {**whose, **INLINE}),
    ]


BUILD = [
    Step("iam", "CreatePolicy", {"PolicyName": "conformance", "PolicyDocument": POLICY, "Description": "d", "Tags": TAGS}, keep={"policy": "Policy.Arn"}),
    Step("iam", "CreatePolicyVersion", {**MANAGED, "PolicyDocument": POLICY}, expect={"PolicyVersion.[VersionId, IsDefaultVersion]": ["v2", False]}),
    Step("iam", "SetDefaultPolicyVersion", {**MANAGED, "VersionId": "v2"}),
    Step("iam", "GetPolicyVersion", {**MANAGED, "VersionId": "v2"}, expect={"PolicyVersion.Document": DECODED, "PolicyVersion.IsDefaultVersion": True}),
    Step("iam", "ListPolicyVersions", MANAGED, expect={"Versions[].VersionId": ["v2", "v1"]}),
    Step("iam", "DeletePolicyVersion", {**MANAGED, "VersionId": "v1"}),
    Step("iam", "TagPolicy", {**MANAGED, "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("iam", "UntagPolicy", {**MANAGED, "TagKeys": ["a"]}),
    Step("iam", "ListPolicyTags", MANAGED, expect={"Tags": [{"Key": "c", "Value": "d"}]}),
    Step(
        "iam", "CreateRole", {**ROLE, "Path": "/p/", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 7200, "Tags": TAGS, "PermissionsBoundary": "$policy"},
        keep={"role": "Role.Arn", "role_id": "Role.RoleId"},
        expect={"Role.Arn": f"{BASE}:role/p/conformance", "Role.AssumeRolePolicyDocument.Version": "2012-10-17", "Role.PermissionsBoundary.PermissionsBoundaryArn": "$policy"},
    ),
    Step("iam", "UpdateRole", {**ROLE, "Description": "new"}),
    Step("iam", "UpdateRoleDescription", {**ROLE, "Description": "newer"}, expect={"Role.Description": "newer"}),
    Step("iam", "UpdateAssumeRolePolicy", {**ROLE, "PolicyDocument": TRUST}),
    Step("iam", "TagRole", {**ROLE, "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("iam", "UntagRole", {**ROLE, "TagKeys": ["a"]}),
    Step("iam", "ListRoleTags", ROLE, expect={"Tags": [{"Key": "c", "Value": "d"}]}),
    Step("iam", "DeleteRolePermissionsBoundary", ROLE),
    Step("iam", "PutRolePermissionsBoundary", {**ROLE, "PermissionsBoundary": AWS_POLICY}),
    Step("iam", "GetRole", ROLE, expect={"Role.[Description, MaxSessionDuration]": ["newer", 7200], "Role.Tags[].Key": ["c"]}),
    Step("iam", "ListRoles", {"PathPrefix": "/p/"}, expect={"Roles[].RoleName": ["conformance"]}),
    *policies_of("Role", ROLE),
    Step("iam", "GetPolicy", MANAGED, expect={"Policy.[DefaultVersionId, AttachmentCount, Description]": ["v2", 1, "d"]}),
    Step("iam", "GetPolicy", {"PolicyArn": AWS_POLICY}, expect={"Policy.[PolicyName, Path]": ["AmazonEC2ContainerServiceforEC2Role", "/service-role/"]}),
    Step("iam", "ListPolicies", {"Scope": "Local"}, expect={"Policies[].PolicyName": ["conformance"]}),
    Step("iam", "ListPolicies", {"Scope": "AWS", "OnlyAttached": True}, expect={"Policies[].Arn": [AWS_POLICY]}),
    Step("iam", "ListEntitiesForPolicy", MANAGED, expect={"PolicyRoles[].RoleName": ["conformance"], "PolicyUsers": []}),
    Step("iam", "CreateInstanceProfile", {**PROFILE, "Tags": TAGS}, expect={"InstanceProfile.Arn": f"{BASE}:instance-profile/conformance", "InstanceProfile.Roles": []}),
    Step("iam", "AddRoleToInstanceProfile", {**PROFILE, **ROLE}),
    Step("iam", "GetInstanceProfile", PROFILE, expect={"InstanceProfile.Roles[].RoleId": ["$role_id"]}),
    Step("iam", "ListInstanceProfiles", expect={"InstanceProfiles[].InstanceProfileName": ["conformance"]}),
    Step("iam", "ListInstanceProfilesForRole", ROLE, expect={"InstanceProfiles[].InstanceProfileName": ["conformance"]}),
    Step("iam", "TagInstanceProfile", {**PROFILE, "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("iam", "UntagInstanceProfile", {**PROFILE, "TagKeys": ["a"]}),
    Step("iam", "ListInstanceProfileTags", PROFILE, expect={"Tags": [{"Key": "c", "Value": "d"}]}),
    Step(
        "iam", "CreateServiceLinkedRole", {"AWSServiceName": "spot.amazonaws.com"},
        expect={"Role.Arn": f"{BASE}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"},
    ),
    Step("iam", "CreateUser", {**USER, "Tags": TAGS, "PermissionsBoundary": "$policy"}, expect={"User.Arn": f"{BASE}:user/conformance"}),
    Step("iam", "UpdateUser", {**USER, "NewPath": "/q/"}),
    Step("iam", "GetUser", USER, expect={"User.Arn": f"{BASE}:user/q/conformance"}),
    Step("iam", "ListUsers", {"PathPrefix": "/q/"}, expect={"Users[].UserName": ["conformance"]}),
    Step("iam", "DeleteUserPermissionsBoundary", USER),
    Step("iam", "PutUserPermissionsBoundary", {**USER, "PermissionsBoundary": AWS_POLICY}),
    Step("iam", "TagUser", {**USER, "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("iam", "UntagUser", {**USER, "TagKeys": ["a"]}),
    Step("iam", "ListUserTags", USER, expect={"Tags": [{"Key": "c", "Value": "d"}]}),
    *policies_of("User", USER),
    Step("iam", "CreateAccessKey", USER, keep={"user_key": "AccessKey.AccessKeyId"}, expect={"length(AccessKey.SecretAccessKey)": 40}),
    Step("iam", "UpdateAccessKey", {**USER, "AccessKeyId": "$user_key", "Status": "Inactive"}),
    Step("iam", "ListAccessKeys", USER, expect={"AccessKeyMetadata[].[AccessKeyId, Status]": [["$user_key", "Inactive"]]}),
    Step("iam", "CreateLoginProfile", {**USER, "Password": "Sesame-1", "PasswordResetRequired": True}),
    Step("iam", "UpdateLoginProfile", {**USER, "PasswordResetRequired": False}),
    Step("iam", "GetLoginProfile", USER, expect={"LoginProfile.PasswordResetRequired": False}),
    Step("iam", "CreateGroup", GROUP, expect={"Group.Arn": f"{BASE}:group/conformance"}),
    Step("iam", "UpdateGroup", {**GROUP, "NewPath": "/g/"}),
    Step("iam", "AddUserToGroup", {**GROUP, **USER}),
    Step("iam", "GetGroup", GROUP, expect={"Users[].UserName": ["conformance"], "Group.Path": "/g/"}),
    Step("iam", "ListGroups", expect={"Groups[].GroupName": ["conformance"]}),
    Step("iam", "ListGroupsForUser", USER, expect={"Groups[].GroupName": ["conformance"]}),
    *policies_of("Group", GROUP),
]

MISSING = {"Role": {"RoleName": "none"}, "User": {"UserName": "none"}, "Group": {"GroupName": "none"}}
ON_A_POLICY = {
    "GetPolicy": {}, "DeletePolicy": {}, "CreatePolicyVersion": {"PolicyDocument": POLICY}, "GetPolicyVersion": {"VersionId": "v1"}, "ListPolicyVersions": {},
    "DeletePolicyVersion": {"VersionId": "v1"}, "SetDefaultPolicyVersion": {"VersionId": "v1"}, "ListEntitiesForPolicy": {}, "TagPolicy": {"Tags": TAGS},
    "UntagPolicy": {"TagKeys": ["a"]}, "ListPolicyTags": {},
}  # fmt: skip


def on_policies_of(kind, whose):
    yield f"Put{kind}Policy", {**whose, **INLINE, "PolicyDocument": POLICY}
    yield f"Get{kind}Policy", {**whose, **INLINE}
    yield f"List{kind}Policies", whose
    yield f"Delete{kind}Policy", {**whose, **INLINE}
    yield f"Attach{kind}Policy", {**whose, "PolicyArn": AWS_POLICY}
    yield f"Detach{kind}Policy", {**whose, "PolicyArn": AWS_POLICY}
    yield f"ListAttached{kind}Policies", whose


ON_NOTHING = [
    *(row for kind, whose in MISSING.items() for row in on_policies_of(kind, whose)),
    *((operation, {"PolicyArn": NONE, **rest}) for operation, rest in ON_A_POLICY.items()),
    *((operation, {**MISSING["Role"], **rest}) for operation, rest in {
        "GetRole": {}, "DeleteRole": {}, "UpdateRole": {}, "UpdateRoleDescription": {"Description": "x"}, "UpdateAssumeRolePolicy": {"PolicyDocument": TRUST},
        "TagRole": {"Tags": TAGS}, "UntagRole": {"TagKeys": ["a"]}, "ListRoleTags": {}, "PutRolePermissionsBoundary": {"PermissionsBoundary": AWS_POLICY},
        "DeleteRolePermissionsBoundary": {}, "ListInstanceProfilesForRole": {}, "DeleteServiceLinkedRole": {}, "AddRoleToInstanceProfile": PROFILE,
        "RemoveRoleFromInstanceProfile": PROFILE,
    }.items()),
    *((operation, {"InstanceProfileName": "none", **rest}) for operation, rest in {
        "GetInstanceProfile": {}, "DeleteInstanceProfile": {}, "TagInstanceProfile": {"Tags": TAGS}, "UntagInstanceProfile": {"TagKeys": ["a"]}, "ListInstanceProfileTags": {},
    }.items()),
    *((operation, {**MISSING["User"], **rest}) for operation, rest in {
        "GetUser": {}, "UpdateUser": {}, "DeleteUser": {}, "TagUser": {"Tags": TAGS}, "UntagUser": {"TagKeys": ["a"]}, "ListUserTags": {}, "CreateAccessKey": {},
        "ListAccessKeys": {}, "CreateLoginProfile": {"Password": "Sesame-1"}, "GetLoginProfile": {}, "UpdateLoginProfile": {}, "DeleteLoginProfile": {}, "ListGroupsForUser": {},
        "PutUserPermissionsBoundary": {"PermissionsBoundary": AWS_POLICY}, "DeleteUserPermissionsBoundary": {}, "AddUserToGroup": GROUP, "RemoveUserFromGroup": GROUP,
        "UpdateAccessKey": {"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA", "Status": "Active"}, "DeleteAccessKey": {"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"},
    }.items()),
    *((operation, {**MISSING["Group"], **rest}) for operation, rest in {"GetGroup": {}, "UpdateGroup": {}, "DeleteGroup": {}}.items()),
    ("GetServiceLinkedRoleDeletionStatus", {"DeletionTaskId": "task/none"}),
]  # fmt: skip

LINKED = {"RoleName": "AWSServiceRoleForEC2Spot"}

ERRORS = {
    "iam": [
        *((operation, arguments, "NoSuchEntity") for operation, arguments in ON_NOTHING),
        *((operation, {"PolicyArn": "arn:aws:s3:::bucket-of-mine", **rest}, "InvalidInput") for operation, rest in ON_A_POLICY.items()),
        *((f"Attach{kind}Policy", {**whose, "PolicyArn": NONE}, "NoSuchEntity") for kind, whose in (("Role", ROLE), ("User", USER), ("Group", GROUP))),
        *((f"Put{kind}Policy", {**whose, **INLINE, "PolicyDocument": "{}"}, "MalformedPolicyDocument") for kind, whose in (("Role", ROLE), ("User", USER), ("Group", GROUP))),
        ("CreateRole", {**ROLE, "AssumeRolePolicyDocument": TRUST}, "EntityAlreadyExists"),
        ("CreateRole", {"RoleName": "x", "AssumeRolePolicyDocument": POLICY}, "MalformedPolicyDocument"),
        ("CreateRole", {"RoleName": "a b", "AssumeRolePolicyDocument": TRUST}, "ValidationError"),
        ("CreateRole", {"RoleName": "x", "Path": "x", "AssumeRolePolicyDocument": TRUST}, "ValidationError"),
        ("CreateRole", {"RoleName": "AWSServiceRoleForX", "AssumeRolePolicyDocument": TRUST}, "AccessDenied"),
        ("CreateRole", {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "Tags": TAGS * 2}, "InvalidInput"),
        ("UpdateAssumeRolePolicy", {**ROLE, "PolicyDocument": POLICY}, "MalformedPolicyDocument"),
        ("DeleteRole", ROLE, "DeleteConflict"),
        ("UpdateRole", LINKED, "UnmodifiableEntity"),
        ("DeleteRole", LINKED, "UnmodifiableEntity"),
        ("ListRoles", {"Marker": "not ours"}, "ValidationError"),
        ("CreateServiceLinkedRole", {"AWSServiceName": "spot.amazonaws.com"}, "InvalidInput"),
        ("CreatePolicy", {"PolicyName": "Conformance", "PolicyDocument": POLICY}, "EntityAlreadyExists"),
        ("CreatePolicy", {"PolicyName": "x", "PolicyDocument": TRUST}, "MalformedPolicyDocument"),
        ("CreatePolicyVersion", {**MANAGED, "PolicyDocument": "x"}, "MalformedPolicyDocument"),
        ("DeletePolicy", MANAGED, "DeleteConflict"),
        ("DeletePolicy", {"PolicyArn": AWS_POLICY}, "AccessDenied"),
        ("DeletePolicyVersion", {**MANAGED, "VersionId": "v2"}, "DeleteConflict"),
        ("CreateInstanceProfile", PROFILE, "EntityAlreadyExists"),
        ("DeleteInstanceProfile", PROFILE, "DeleteConflict"),
        ("AddRoleToInstanceProfile", {**PROFILE, **ROLE}, "LimitExceeded"),
        ("CreateUser", USER, "EntityAlreadyExists"),
        ("DeleteUser", USER, "DeleteConflict"),
        ("GetUser", {}, "ValidationError"),
        ("CreateLoginProfile", {**USER, "Password": "Sesame-1"}, "EntityAlreadyExists"),
        ("UpdateLoginProfile", {**USER, "Password": "short"}, "PasswordPolicyViolation"),
        ("CreateGroup", GROUP, "EntityAlreadyExists"),
        ("DeleteGroup", GROUP, "DeleteConflict"),
    ],
}

UNCAUSED = {
    "iam": {
        "ConcurrentModification": "one thread takes one request after the other",
        "EntityTemporarilyUnmodifiable": "what was changed can be changed again at once",
        "PolicyNotAttachable": "AWS managed policies are taken by their names alone: all can be attached",
        "ServiceFailure": "the server does not fail",
    }
}

CLEAN = [
    *without_policies("Group", GROUP),
    Step("iam", "RemoveUserFromGroup", {**GROUP, **USER}),
    Step("iam", "DeleteGroup", GROUP),
    Step("iam", "DeleteLoginProfile", USER),
    Step("iam", "DeleteAccessKey", {**USER, "AccessKeyId": "$user_key"}),
    *without_policies("User", USER),
    Step("iam", "DeleteUser", USER),
    Step("iam", "DeleteServiceLinkedRole", LINKED, keep={"deletion": "DeletionTaskId"}),
    Step("iam", "GetServiceLinkedRoleDeletionStatus", {"DeletionTaskId": "$deletion"}, expect={"Status": "SUCCEEDED"}),
    Step("iam", "RemoveRoleFromInstanceProfile", {**PROFILE, **ROLE}),
    Step("iam", "DeleteInstanceProfile", PROFILE),
    *without_policies("Role", ROLE),
    Step("iam", "DeleteRole", ROLE),
    Step("iam", "DeletePolicy", MANAGED),
]
