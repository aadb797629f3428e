"""STS and SSM."""

from support.steps import Step

AMI = "/aws/service/ecs/optimized-ami"
PARAMETER = {"Name": "/conformance/size"}
TAGGED = {"ResourceType": "Parameter", "ResourceId": "/conformance/size"}
TRUST = '{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}'

BUILD = [
    Step("sts", "GetCallerIdentity", expect={"Account": "$account"}),
    Step("sts", "GetSessionToken", {"DurationSeconds": 900}, keep={"session_key": "Credentials.AccessKeyId"}),
    Step("sts", "GetAccessKeyInfo", {"AccessKeyId": "$session_key"}, expect={"Account": "$account"}),
    Step("iam", "CreateRole", {"RoleName": "assumed", "AssumeRolePolicyDocument": TRUST}, keep={"assumed": "Role.Arn"}),
    Step(
        "sts", "AssumeRole", {"RoleArn": "$assumed", "RoleSessionName": "me"},
        expect={"AssumedRoleUser.Arn": "arn:aws:sts::000000000000:assumed-role/assumed/me", "length(Credentials.SecretAccessKey)": 40},
    ),
    Step(
        "ssm", "GetParameter", {"Name": f"{AMI}/amazon-linux-2/recommended/image_id"}, keep={"ami": "Parameter.Value"},
        expect={"Parameter.Type": "String", "Parameter.DataType": "text"},
    ),
    Step("ssm", "GetParameter", {"Name": f"{AMI}/amazon-linux-2/recommended"}, expect={"Parameter.Type": "String"}),
    Step(
        "ssm", "GetParameters",
        {"Names": [f"{AMI}/amazon-linux-2023/recommended/image_id", f"{AMI}/amazon-linux-2/arm64/recommended/image_id", "/none"]},
        expect={"length(Parameters)": 2, "InvalidParameters": ["/none"]},
    ),
    Step("ssm", "PutParameter", {**PARAMETER, "Value": "1", "Type": "String", "Tags": [{"Key": "a", "Value": "b"}]}, expect={"Version": 1, "Tier": "Standard"}),
    Step("ssm", "PutParameter", {**PARAMETER, "Value": "2", "Overwrite": True, "Description": "d"}, expect={"Version": 2}),
    Step("ssm", "PutParameter", {"Name": "/conformance/secret/word", "Value": "x", "Type": "SecureString"}),
    Step("ssm", "PutParameter", {"Name": "conformance-list", "Value": "a,b", "Type": "StringList", "Tier": "Advanced"}, expect={"Tier": "Advanced"}),
    Step("ssm", "LabelParameterVersion", {**PARAMETER, "ParameterVersion": 1, "Labels": ["old", "aws-no"]}, expect={"InvalidLabels": ["aws-no"]}),
    Step("ssm", "LabelParameterVersion", {**PARAMETER, "Labels": ["live"]}, expect={"ParameterVersion": 2}),
    Step("ssm", "GetParameter", {"Name": "/conformance/size:old"}, expect={"Parameter.[Value, Version, Selector]": ["1", 1, ":old"]}),
    Step("ssm", "GetParameterHistory", PARAMETER, expect={"Parameters[].[Value, Version]": [["1", 1], ["2", 2]], "Parameters[0].Labels": ["old"]}),
    Step("ssm", "UnlabelParameterVersion", {**PARAMETER, "ParameterVersion": 1, "Labels": ["old"]}, expect={"RemovedLabels": ["old"]}),
    Step("ssm", "GetParametersByPath", {"Path": "/conformance"}, expect={"Parameters[].Name": ["/conformance/size"]}),
    Step("ssm", "GetParametersByPath", {"Path": "/conformance", "Recursive": True}, expect={"length(Parameters)": 2}),
    Step(
        "ssm", "DescribeParameters", {"ParameterFilters": [{"Key": "Type", "Values": ["SecureString"]}]},
        expect={"Parameters[].[Name, KeyId]": [["/conformance/secret/word", "alias/aws/ssm"]]},
    ),
    Step("ssm", "AddTagsToResource", {**TAGGED, "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("ssm", "RemoveTagsFromResource", {**TAGGED, "TagKeys": ["a"]}),
    Step("ssm", "ListTagsForResource", TAGGED, expect={"TagList": [{"Key": "c", "Value": "d"}]}),
]

NONE = {"Name": "/none"}
NEW = {"Name": "/new", "Value": "1", "Type": "String"}


def policies(*items):
    return {**NEW, "Tier": "Advanced", "Policies": "[" + ",".join(items) + "]"}


EXPIRATION = '{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2030-01-01T00:00:00.000Z"}}'

ERRORS = {
    "sts": [
        ("AssumeRole", {"RoleArn": "arn:aws:iam::000000000000:role/none", "RoleSessionName": "me"}, "AccessDenied"),
        ("AssumeRole", {"RoleArn": "arn:aws:iam::000000000000:user/none", "RoleSessionName": "me"}, "ValidationError"),
        ("AssumeRole", {"RoleArn": "$assumed", "RoleSessionName": "m e"}, "ValidationError"),
        ("AssumeRole", {"RoleArn": "$assumed", "RoleSessionName": "me", "DurationSeconds": 43200}, "ValidationError"),
        ("AssumeRole", {"RoleArn": "$assumed", "RoleSessionName": "me", "Policy": "{}"}, "MalformedPolicyDocument"),
    ],
    "ssm": [
        ("GetParameter", {"Name": "/none"}, "ParameterNotFound"),
        ("GetParameter", {"Name": f"{AMI}/amazon-linux-2/recommended/image_id:99"}, "ParameterVersionNotFound"),
        ("GetParameter", {}, "ValidationException"),
        ("GetParameter", {"Name": ""}, "ValidationException"),
        ("GetParameters", {"Names": []}, "ValidationException"),
        ("GetParameters", {"Names": [f"/p{n}" for n in range(11)]}, "ValidationException"),
        ("DeleteParameter", NONE, "ParameterNotFound"),
        ("GetParameterHistory", NONE, "ParameterNotFound"),
        ("LabelParameterVersion", {**NONE, "Labels": ["a"]}, "ParameterNotFound"),
        ("LabelParameterVersion", {**PARAMETER, "ParameterVersion": 9, "Labels": ["a"]}, "ParameterVersionNotFound"),
        ("LabelParameterVersion", {**PARAMETER, "Labels": [f"l{n}" for n in range(10)]}, "ParameterVersionLabelLimitExceeded"),
        ("UnlabelParameterVersion", {**NONE, "ParameterVersion": 1, "Labels": ["a"]}, "ParameterNotFound"),
        ("UnlabelParameterVersion", {**PARAMETER, "ParameterVersion": 9, "Labels": ["a"]}, "ParameterVersionNotFound"),
        ("PutParameter", {**PARAMETER, "Value": "3", "Type": "String"}, "ParameterAlreadyExists"),
        ("PutParameter", {**PARAMETER, "Value": "3", "Type": "StringList", "Overwrite": True}, "HierarchyTypeMismatchException"),
        ("PutParameter", {"Name": "/new", "Value": "1"}, "ValidationException"),
        ("PutParameter", {**NEW, "Name": "/aws/new"}, "AccessDeniedException"),
        ("PutParameter", {**NEW, "Name": "/a" * 16}, "HierarchyLevelLimitExceededException"),
        ("PutParameter", {**NEW, "AllowedPattern": "["}, "InvalidAllowedPatternException"),
        ("PutParameter", {**NEW, "AllowedPattern": "[a-z]"}, "ParameterPatternMismatchException"),
        ("PutParameter", policies("{}"), "InvalidPolicyTypeException"),
        ("PutParameter", policies('{"Type":"Expiration"}'), "InvalidPolicyAttributeException"),
        ("PutParameter", policies(EXPIRATION, EXPIRATION), "IncompatiblePolicyException"),
        ("PutParameter", policies(*["{}"] * 11), "PoliciesLimitExceededException"),
        ("GetParametersByPath", {"Path": "x"}, "ValidationException"),
        *(
            (operation, {**rest, "ParameterFilters": [{"Key": key, **filter}]}, code)
            for operation, rest in {"GetParametersByPath": {"Path": "/"}, "DescribeParameters": {}}.items()
            for key, filter, code in [
                ("Tier" if rest else "Label", {"Values": ["x"]}, "InvalidFilterKey"),
                ("Type", {"Option": "Contains", "Values": ["String"]}, "InvalidFilterOption"),
                ("Type", {"Values": ["Number"]}, "InvalidFilterValue"),
            ]
        ),
        ("GetParametersByPath", {"Path": "/", "NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribeParameters", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("GetParameterHistory", {**PARAMETER, "NextToken": "not ours"}, "InvalidNextToken"),
        ("AddTagsToResource", {**TAGGED, "Tags": [{"Key": str(n), "Value": ""} for n in range(50)]}, "TooManyTagsError"),
        *(
            (operation, {**whose, **rest}, code)
            for operation, rest in {"AddTagsToResource": {"Tags": []}, "RemoveTagsFromResource": {"TagKeys": []}, "ListTagsForResource": {}}.items()
            for whose, code in [({**TAGGED, "ResourceId": "/none"}, "InvalidResourceId"), ({**TAGGED, "ResourceType": "Document"}, "InvalidResourceType")]
        ),
    ],
}

UNCAUSED = {
    "sts": {
        "ExpiredTokenException": "web identities are not built, and sessions that are over are forgotten",
        "PackedPolicyTooLarge": "policies are not packed",
        "RegionDisabledException": "no region is disabled",
    },
    "ssm": {
        "InternalServerError": "the server does not fail",
        "InvalidKeyId": "no parameter is encrypted",
        "ParameterLimitExceeded": "10,000 parameters",
        "ParameterMaxVersionLimitExceeded": "a hundred versions: a unit test",
        "TooManyUpdates": "one thread takes one request after the other",
        "UnsupportedParameterType": "the types of the schema are all there are",
    },
}

CLEAN = [
    Step("iam", "DeleteRole", {"RoleName": "assumed"}),
    Step("ssm", "DeleteParameter", PARAMETER),
    Step(
        "ssm", "DeleteParameters", {"Names": ["/conformance/secret/word", "conformance-list", "/none"]},
        expect={"length(DeletedParameters)": 2, "InvalidParameters": ["/none"]},
    ),
]
