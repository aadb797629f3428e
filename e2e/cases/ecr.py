"""ECR: repositories and what is kept of them; there are no images."""

from support.steps import Step

NAME = {"repositoryName": "conformance/web"}
NONE = {"repositoryName": "conformance/none"}
POLICY = '{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":"*","Action":"ecr:GetDownloadUrlForLayer"}]}'
LIFECYCLE = (
    '{"rules":[{"rulePriority":1,"description":"keep ten","selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":10},'
    '"action":{"type":"expire"}}]}'
)
IMAGE = {"imageIds": [{"imageTag": "latest"}]}

BUILD = [
    Step(
        "ecr", "CreateRepository", {**NAME, "tags": [{"Key": "a", "Value": "b"}], "imageScanningConfiguration": {"scanOnPush": True}},
        keep={"repository_arn": "repository.repositoryArn"},
        expect={
            "repository.repositoryUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/conformance/web", "repository.imageTagMutability": "MUTABLE",
            "repository.encryptionConfiguration.encryptionType": "AES256",
        },
    ),
    Step("ecr", "DescribeRepositories", {"repositoryNames": ["conformance/web"]}, expect={"repositories[].repositoryArn": ["$repository_arn"]}),
    Step("ecr", "GetAuthorizationToken", expect={"authorizationData[0].proxyEndpoint": "https://000000000000.dkr.ecr.us-east-1.amazonaws.com"}),
    Step("ecr", "SetRepositoryPolicy", {**NAME, "policyText": POLICY}),
    Step("ecr", "GetRepositoryPolicy", NAME, expect={"policyText": POLICY}),
    Step("ecr", "PutLifecyclePolicy", {**NAME, "lifecyclePolicyText": LIFECYCLE}),
    Step("ecr", "GetLifecyclePolicy", NAME, expect={"lifecyclePolicyText": LIFECYCLE}),
    Step("ecr", "PutImageScanningConfiguration", {**NAME, "imageScanningConfiguration": {"scanOnPush": False}}),
    Step("ecr", "PutImageTagMutability", {**NAME, "imageTagMutability": "IMMUTABLE"}, expect={"imageTagMutability": "IMMUTABLE"}),
    Step("ecr", "DescribeImages", NAME, expect={"imageDetails": []}),
    Step("ecr", "ListImages", NAME, expect={"imageIds": []}),
    Step("ecr", "BatchGetImage", {**NAME, **IMAGE}, expect={"failures[].failureCode": ["ImageNotFound"]}),
    Step("ecr", "TagResource", {"resourceArn": "$repository_arn", "tags": [{"Key": "c", "Value": "d"}]}),
    Step("ecr", "UntagResource", {"resourceArn": "$repository_arn", "tagKeys": ["a"]}),
    Step("ecr", "ListTagsForResource", {"resourceArn": "$repository_arn"}, expect={"tags": [{"Key": "c", "Value": "d"}]}),
]

ABSENT = {"resourceArn": "arn:aws:ecr:us-east-1:000000000000:repository/conformance/none"}
ON_A_REPOSITORY = {
    "DeleteRepository": {}, "SetRepositoryPolicy": {"policyText": POLICY}, "GetRepositoryPolicy": {}, "DeleteRepositoryPolicy": {},
    "PutLifecyclePolicy": {"lifecyclePolicyText": LIFECYCLE}, "GetLifecyclePolicy": {}, "DeleteLifecyclePolicy": {},
    "PutImageScanningConfiguration": {"imageScanningConfiguration": {}}, "PutImageTagMutability": {"imageTagMutability": "MUTABLE"},
    "DescribeImages": {}, "ListImages": {}, "BatchGetImage": IMAGE,
}  # fmt: skip

ERRORS = {
    "ecr": [
        *((operation, {**NONE, **rest}, "RepositoryNotFoundException") for operation, rest in ON_A_REPOSITORY.items()),
        ("DescribeRepositories", {"repositoryNames": ["conformance/none"]}, "RepositoryNotFoundException"),
        ("ListTagsForResource", ABSENT, "RepositoryNotFoundException"),
        ("TagResource", {**ABSENT, "tags": []}, "RepositoryNotFoundException"),
        ("UntagResource", {**ABSENT, "tagKeys": []}, "RepositoryNotFoundException"),
        ("ListTagsForResource", {"resourceArn": "nonsense"}, "InvalidParameterException"),
        ("CreateRepository", NAME, "RepositoryAlreadyExistsException"),
        ("CreateRepository", {"repositoryName": "UPPER"}, "InvalidParameterException"),
        ("CreateRepository", {**NONE, "tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidTagParameterException"),
        ("CreateRepository", {**NONE, "tags": [{"Key": str(n), "Value": ""} for n in range(51)]}, "TooManyTagsException"),
        ("CreateRepository", {**NONE, "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}, "InvalidParameterException"),
        ("SetRepositoryPolicy", {**NAME, "policyText": "{}"}, "InvalidParameterException"),
        ("PutLifecyclePolicy", {**NAME, "lifecyclePolicyText": '{"rules":[]}' + " " * 100}, "InvalidParameterException"),
        ("DescribeRepositories", {"nextToken": "not ours"}, "InvalidParameterException"),
        ("DescribeImages", {**NAME, **IMAGE}, "ImageNotFoundException"),
    ],
}

UNCAUSED = {
    "ecr": {
        "ServerException": "nothing fails by itself", "KmsException": "nothing is encrypted", "LimitExceededException": "10,000 repositories",
        "UnableToGetUpstreamImageException": "there are no pull through caches", "RepositoryNotEmptyException": "there are no images",
        "ValidationException": "constraints are told by InvalidParameterException", "LifecyclePolicyNotFoundException": "the policy is there until it is removed: a unit test",
        "RepositoryPolicyNotFoundException": "the policy is there until it is removed: a unit test",
    }
}  # fmt: skip

CLEAN = [
    Step("ecr", "DeleteRepositoryPolicy", NAME, expect={"policyText": POLICY}),
    Step("ecr", "DeleteLifecyclePolicy", NAME, expect={"lifecyclePolicyText": LIFECYCLE}),
    Step("ecr", "DeleteRepository", {**NAME, "force": True}, expect={"repository.repositoryName": "conformance/web"}),
]
