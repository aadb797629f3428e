"""SNS, Lambda, KMS and Cloud Map: what is kept and read back."""

import io
import zipfile

from support.steps import Step

ACCOUNT = "000000000000"
TAGS = [{"Key": "a", "Value": "b"}]
MORE = [{"Key": "c", "Value": "d"}]
TRUST = '{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
ALLOW = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"%s:*","Resource":"*"}]}'
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:conformance-news"
FROM_SNS = '{"Statement":[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:*","Resource":"*"}]}'


def archive(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr("index.py", text)
    return file.getvalue()


TOPIC = {"TopicArn": "$topic"}
SUBSCRIPTION = {"SubscriptionArn": "$subscription"}

SNS = [
    Step("sqs", "CreateQueue", {"QueueName": "conformance-news", "Attributes": {"Policy": FROM_SNS}}, keep={"news_url": "QueueUrl"}),
    Step("sns", "CreateTopic", {"Name": "conformance", "Tags": TAGS}, keep={"topic": "TopicArn"}),
    Step("sns", "SetTopicAttributes", {**TOPIC, "AttributeName": "DisplayName", "AttributeValue": "News"}),
    Step("sns", "ListTopics", expect={"Topics[].TopicArn": ["$topic"]}),
    Step("sns", "TagResource", {"ResourceArn": "$topic", "Tags": MORE}),
    Step("sns", "UntagResource", {"ResourceArn": "$topic", "TagKeys": ["a"]}),
    Step("sns", "ListTagsForResource", {"ResourceArn": "$topic"}, expect={"Tags": MORE}),
    Step("sns", "Subscribe", {**TOPIC, "Protocol": "sqs", "Endpoint": QUEUE}, keep={"subscription": "SubscriptionArn"}),
    Step("sns", "Subscribe", {**TOPIC, "Protocol": "email", "Endpoint": "a@example.com"}, expect={"SubscriptionArn": "pending confirmation"}),
    Step("sns", "SetSubscriptionAttributes", {**SUBSCRIPTION, "AttributeName": "RawMessageDelivery", "AttributeValue": "true"}),
    Step("sns", "GetSubscriptionAttributes", SUBSCRIPTION, expect={"Attributes.[Endpoint, RawMessageDelivery, PendingConfirmation]": [QUEUE, "true", "false"]}),
    Step("sns", "ListSubscriptions", expect={"length(Subscriptions)": 2}),
    Step("sns", "ListSubscriptionsByTopic", TOPIC, expect={"sort(Subscriptions[].Protocol)": ["email", "sqs"]}),
    Step("sns", "GetTopicAttributes", TOPIC, expect={"Attributes.[DisplayName, SubscriptionsConfirmed, SubscriptionsPending]": ["News", "1", "1"]}),
    Step("sns", "Publish", {**TOPIC, "Message": "hello", "Subject": "s"}),
    Step("sqs", "ReceiveMessage", {"QueueUrl": "$news_url"}, expect={"Messages[].Body": ["hello"]}),
]

FUNCTION = {"FunctionName": "conformance"}
LAMBDA = [
    Step("iam", "CreateRole", {"RoleName": "conformance-lambda", "AssumeRolePolicyDocument": TRUST}, keep={"lambda_role": "Role.Arn"}),
    Step(
        "lambda", "CreateFunction",
        {**FUNCTION, "Runtime": "python3.12", "Handler": "index.handler", "Role": "$lambda_role", "Code": {"ZipFile": archive("one")}, "Publish": True, "Tags": {"a": "b"}},
        keep={"function": "FunctionArn"}, expect={"Version": "1", "State": "Active"},
    ),
    Step("lambda", "UpdateFunctionCode", {**FUNCTION, "ZipFile": archive("two")}, expect={"LastUpdateStatus": "Successful"}),
    Step("lambda", "UpdateFunctionConfiguration", {**FUNCTION, "Timeout": 30, "Environment": {"Variables": {"A1": "x"}}}, expect={"Timeout": 30}),
    Step("lambda", "GetFunctionConfiguration", FUNCTION, expect={"[Timeout, MemorySize, Environment.Variables.A1]": [30, 128, "x"]}),
    Step("lambda", "GetFunction", {"FunctionName": "$function"}, expect={"Configuration.Version": "1", "Tags": {"a": "b"}}),
    Step("lambda", "GetFunctionCodeSigningConfig", FUNCTION, expect={"CodeSigningConfigArn": ""}),
    Step("lambda", "ListFunctions", expect={"Functions[].FunctionName": ["conformance"]}),
    Step("lambda", "ListVersionsByFunction", FUNCTION, expect={"Versions[].Version": ["$$LATEST", "1"]}),
    Step("lambda", "PutFunctionConcurrency", {**FUNCTION, "ReservedConcurrentExecutions": 5}),
    Step("lambda", "GetFunctionConcurrency", FUNCTION, expect={"ReservedConcurrentExecutions": 5}),
    Step("lambda", "DeleteFunctionConcurrency", FUNCTION),
    Step("lambda", "AddPermission", {**FUNCTION, "StatementId": "sns", "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com", "SourceArn": "$topic"}),
    Step("lambda", "GetPolicy", FUNCTION, keep={"function_policy": "Policy"}),
    Step("lambda", "TagResource", {"Resource": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:conformance", "Tags": {"c": "d"}}),
    Step("lambda", "UntagResource", {"Resource": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:conformance", "TagKeys": ["a"]}),
    Step("lambda", "ListTags", {"Resource": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:conformance"}, expect={"Tags": {"c": "d"}}),
]

KEY = {"KeyId": "$key"}
KMS = [
    Step("kms", "CreateKey", {"Description": "d", "Tags": [{"TagKey": "a", "TagValue": "b"}]}, keep={"key": "KeyMetadata.KeyId", "key_arn": "KeyMetadata.Arn"}),
    Step("kms", "CreateAlias", {"AliasName": "alias/conformance", "TargetKeyId": "$key"}),
    Step("kms", "UpdateAlias", {"AliasName": "alias/conformance", "TargetKeyId": "$key_arn"}),
    Step("kms", "ListAliases", KEY, expect={"Aliases[].[AliasName, TargetKeyId]": [["alias/conformance", "$key"]]}),
    Step("kms", "ListKeys", expect={"Keys[].KeyId": ["$key"]}),
    Step("kms", "UpdateKeyDescription", {**KEY, "Description": "new"}),
    Step("kms", "EnableKeyRotation", {**KEY, "RotationPeriodInDays": 100}),
    Step("kms", "GetKeyRotationStatus", KEY, expect={"[KeyRotationEnabled, RotationPeriodInDays]": [True, 100]}),
    Step("kms", "DisableKeyRotation", KEY),
    Step("kms", "DisableKey", KEY),
    Step("kms", "DescribeKey", {"KeyId": "alias/conformance"}, expect={"KeyMetadata.[KeyState, Description, KeyManager]": ["Disabled", "new", "CUSTOMER"]}),
    Step("kms", "EnableKey", KEY),
    Step("kms", "PutKeyPolicy", {**KEY, "PolicyName": "default", "Policy": ALLOW % "kms"}),
    Step("kms", "GetKeyPolicy", {**KEY, "PolicyName": "default"}, expect={"Policy": ALLOW % "kms"}),
    Step("kms", "ListKeyPolicies", KEY, expect={"PolicyNames": ["default"]}),
    Step("kms", "TagResource", {**KEY, "Tags": [{"TagKey": "c", "TagValue": "d"}]}),
    Step("kms", "UntagResource", {**KEY, "TagKeys": ["a"]}),
    Step("kms", "ListResourceTags", KEY, expect={"Tags": [{"TagKey": "c", "TagValue": "d"}]}),
    Step("kms", "CreateKey", {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, keep={"rsa": "KeyMetadata.KeyId"}),
    Step("kms", "ScheduleKeyDeletion", {"KeyId": "$rsa", "PendingWindowInDays": 7}, expect={"KeyState": "PendingDeletion"}),
    Step("kms", "CancelKeyDeletion", {"KeyId": "$rsa"}, keep={"rsa_arn": "KeyId"}),
]

MAP = [
    Step("servicediscovery", "CreatePrivateDnsNamespace", {"Name": "conformance.local", "Vpc": "vpc-12345678", "CreatorRequestId": "c"}, keep={"map_operation": "OperationId"}),
    Step("servicediscovery", "GetOperation", {"OperationId": "$map_operation"}, keep={"namespace": "Operation.Targets.NAMESPACE"}, expect={"Operation.Status": "SUCCESS"}),
    Step("servicediscovery", "ListOperations", {"Filters": [{"Name": "NAMESPACE_ID", "Values": ["$namespace"]}]}, expect={"Operations[].Id": ["$map_operation"]}),
    Step("servicediscovery", "UpdatePrivateDnsNamespace", {"Id": "$namespace", "Namespace": {"Description": "d"}}),
    Step(
        "servicediscovery", "GetNamespace", {"Id": "$namespace"}, keep={"namespace_arn": "Namespace.Arn"},
        expect={"Namespace.[Name, Type, Description]": ["conformance.local", "DNS_PRIVATE", "d"]},
    ),
    Step("servicediscovery", "ListNamespaces", {"Filters": [{"Name": "TYPE", "Values": ["DNS_PRIVATE"]}]}, expect={"Namespaces[].Id": ["$namespace"]}),
    Step(
        "servicediscovery", "CreateService", {"Name": "web", "NamespaceId": "$namespace", "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 60}]}},
        keep={"map_service": "Service.Id", "map_service_arn": "Service.Arn"},
    ),
    Step("servicediscovery", "UpdateService", {"Id": "$map_service", "Service": {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 10}]}}}),
    Step("servicediscovery", "GetService", {"Id": "$map_service"}, expect={"Service.DnsConfig.DnsRecords[].TTL": [10]}),
    Step("servicediscovery", "ListServices", {"Filters": [{"Name": "NAMESPACE_ID", "Values": ["$namespace"]}]}, expect={"Services[].Name": ["web"]}),
    Step("servicediscovery", "TagResource", {"ResourceARN": "$map_service_arn", "Tags": [*TAGS, *MORE]}),
    Step("servicediscovery", "UntagResource", {"ResourceARN": "$map_service_arn", "TagKeys": ["a"]}),
    Step("servicediscovery", "ListTagsForResource", {"ResourceARN": "$map_service_arn"}, expect={"Tags": MORE}),
]

BUILD = [*SNS, *LAMBDA, *KMS, *MAP]

NO_TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:none"
NO_FUNCTION = {"FunctionName": "none"}
NO_FUNCTION_ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:none"
NO_KEY = {"KeyId": "11111111-1111-1111-1111-111111111111"}
BAD_ARN = {"KeyId": "arn:aws:s3:::bucket"}
TOO_MANY = [{"Key": str(n), "Value": ""} for n in range(50)]

ON_A_FUNCTION = {
    "GetFunction": {}, "GetFunctionConfiguration": {}, "UpdateFunctionCode": {"ZipFile": archive("x")}, "UpdateFunctionConfiguration": {}, "DeleteFunction": {},
    "ListVersionsByFunction": {}, "GetFunctionCodeSigningConfig": {}, "PutFunctionConcurrency": {"ReservedConcurrentExecutions": 1}, "GetFunctionConcurrency": {},
    "DeleteFunctionConcurrency": {}, "GetPolicy": {}, "RemovePermission": {"StatementId": "x"},
    "AddPermission": {"StatementId": "x", "Action": "lambda:*", "Principal": "*"},
}  # fmt: skip
CREATE = {"FunctionName": "other", "Runtime": "python3.12", "Handler": "index.handler", "Role": "$lambda_role", "Code": {"ZipFile": archive("x")}}
STALE = {"RevisionId": "stale"}

ON_A_KEY = {
    "DescribeKey": {}, "EnableKey": {}, "DisableKey": {}, "ScheduleKeyDeletion": {}, "CancelKeyDeletion": {}, "GetKeyPolicy": {}, "ListKeyPolicies": {},
    "PutKeyPolicy": {"Policy": ALLOW % "kms"}, "EnableKeyRotation": {}, "DisableKeyRotation": {}, "GetKeyRotationStatus": {}, "TagResource": {"Tags": []},
    "UntagResource": {"TagKeys": []}, "ListResourceTags": {}, "UpdateKeyDescription": {"Description": "x"}, "ListAliases": {},
}  # fmt: skip

ERRORS = {
    "sns": [
        *((operation, {"TopicArn": NO_TOPIC, **rest}, "NotFound") for operation, rest in {
            "GetTopicAttributes": {}, "SetTopicAttributes": {"AttributeName": "DisplayName", "AttributeValue": "x"}, "ListSubscriptionsByTopic": {},
            "Subscribe": {"Protocol": "email", "Endpoint": "a@example.com"}, "Publish": {"Message": "x"},
        }.items()),
        *((operation, {"SubscriptionArn": NO_TOPIC + ":x", **rest}, "NotFound") for operation, rest in {
            "GetSubscriptionAttributes": {}, "SetSubscriptionAttributes": {"AttributeName": "RawMessageDelivery", "AttributeValue": "true"}, "Unsubscribe": {},
        }.items()),
        *((operation, {"ResourceArn": NO_TOPIC, **rest}, "ResourceNotFound") for operation, rest in {
            "TagResource": {"Tags": TAGS}, "UntagResource": {"TagKeys": ["a"]}, "ListTagsForResource": {},
        }.items()),
        ("CreateTopic", {"Name": "a b"}, "InvalidParameter"),
        ("CreateTopic", {"Name": "a.fifo", "Attributes": {"FifoTopic": "true"}}, "InvalidParameter"),
        ("CreateTopic", {"Name": "conformance", "Tags": TAGS}, "InvalidParameter"),
        ("CreateTopic", {"Name": "x", "Tags": [*TOO_MANY, *TAGS]}, "TagLimitExceeded"),
        ("TagResource", {"ResourceArn": "$topic", "Tags": TOO_MANY}, "TagLimitExceeded"),
        ("SetTopicAttributes", {**TOPIC, "AttributeName": "TopicArn", "AttributeValue": "x"}, "InvalidParameter"),
        ("Subscribe", {**TOPIC, "Protocol": "pigeon", "Endpoint": "x"}, "InvalidParameter"),
        ("Subscribe", {**TOPIC, "Protocol": "sqs", "Endpoint": "x"}, "InvalidParameter"),
        ("SetSubscriptionAttributes", {**SUBSCRIPTION, "AttributeName": "FilterPolicy", "AttributeValue": "{"}, "InvalidParameter"),
        ("Publish", {**TOPIC, "Message": ""}, "InvalidParameter"),
        ("Publish", {**TOPIC, "Message": "x", "MessageAttributes": {"a": {"DataType": "String"}}}, "ParameterValueInvalid"),
        ("ListTopics", {"NextToken": "not ours"}, "InvalidParameter"),
    ],
    "lambda": [
        *((operation, {**NO_FUNCTION, **rest}, "ResourceNotFoundException") for operation, rest in ON_A_FUNCTION.items()),
        *((operation, {"Resource": NO_FUNCTION_ARN, **rest}, "ResourceNotFoundException") for operation, rest in {
            "TagResource": {"Tags": {"a": "b"}}, "UntagResource": {"TagKeys": ["a"]}, "ListTags": {},
        }.items()),
        ("CreateFunction", {**CREATE, **FUNCTION}, "ResourceConflictException"),
        ("CreateFunction", {**CREATE, "Code": {"ZipFile": b"no archive"}}, "InvalidParameterValueException"),
        ("CreateFunction", {**CREATE, "Code": {"S3Bucket": "none", "S3Key": "none"}}, "InvalidParameterValueException"),
        ("CreateFunction", {**CREATE, "Role": f"arn:aws:iam::{ACCOUNT}:role/none"}, "InvalidParameterValueException"),
        ("UpdateFunctionCode", {**FUNCTION, **STALE, "ZipFile": archive("x")}, "PreconditionFailedException"),
        ("UpdateFunctionConfiguration", {**FUNCTION, **STALE}, "PreconditionFailedException"),
        ("AddPermission", {**FUNCTION, "StatementId": "sns", "Action": "lambda:*", "Principal": "*"}, "ResourceConflictException"),
        ("AddPermission", {**FUNCTION, **STALE, "StatementId": "x", "Action": "lambda:*", "Principal": "*"}, "PreconditionFailedException"),
        ("ListFunctions", {"Marker": "not ours"}, "InvalidParameterValueException"),
    ],
    "kms": [
        *((operation, {**NO_KEY, **rest}, "NotFoundException") for operation, rest in ON_A_KEY.items()),
        *((operation, {**BAD_ARN, **rest}, "InvalidArnException") for operation, rest in ON_A_KEY.items()),
        ("CreateAlias", {"AliasName": "alias/conformance", "TargetKeyId": "$key"}, "AlreadyExistsException"),
        ("CreateAlias", {"AliasName": "alias/a:b", "TargetKeyId": "$key"}, "InvalidAliasNameException"),
        ("CreateAlias", {"AliasName": "conformance", "TargetKeyId": "$key"}, "ValidationException"),
        ("CreateAlias", {"AliasName": "alias/aws/x", "TargetKeyId": "$key"}, "NotAuthorizedException"),
        ("UpdateAlias", {"AliasName": "alias/none", "TargetKeyId": "$key"}, "NotFoundException"),
        ("DeleteAlias", {"AliasName": "alias/none"}, "NotFoundException"),
        ("CreateKey", {"Policy": "{}"}, "MalformedPolicyDocumentException"),
        ("CreateKey", {"CustomKeyStoreId": "cks-1", "Origin": "AWS_CLOUDHSM"}, "CustomKeyStoreNotFoundException"),
        ("CreateKey", {"KeySpec": "HMAC_256", "KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
        ("PutKeyPolicy", {**KEY, "Policy": "{}"}, "MalformedPolicyDocumentException"),
        ("GetKeyPolicy", {**KEY, "PolicyName": "other"}, "NotFoundException"),
        ("CancelKeyDeletion", KEY, "KMSInvalidStateException"),
        ("EnableKeyRotation", {"KeyId": "$rsa"}, "UnsupportedOperationException"),
        ("TagResource", {**KEY, "Tags": [{"TagKey": str(n), "TagValue": ""} for n in range(50)]}, "TagException"),
        *((operation, {**rest, "Marker": "not ours"}, "InvalidMarkerException") for operation, rest in {
            "ListKeys": {}, "ListAliases": {}, "ListKeyPolicies": KEY, "ListResourceTags": KEY,
        }.items()),
    ],
    "servicediscovery": [
        *((operation, {"Id": "none", **rest}, "NamespaceNotFound") for operation, rest in {
            "GetNamespace": {}, "DeleteNamespace": {}, "UpdatePrivateDnsNamespace": {"Namespace": {"Description": "x"}},
        }.items()),
        *((operation, {"Id": "none", **rest}, "ServiceNotFound") for operation, rest in {"GetService": {}, "DeleteService": {}, "UpdateService": {"Service": {}}}.items()),
        *((operation, {"ResourceARN": "arn:aws:servicediscovery:us-east-1:000000000000:service/none", **rest}, "ResourceNotFoundException") for operation, rest in {
            "TagResource": {"Tags": TAGS}, "UntagResource": {"TagKeys": ["a"]}, "ListTagsForResource": {},
        }.items()),
        ("GetOperation", {"OperationId": "none"}, "OperationNotFound"),
        ("CreatePrivateDnsNamespace", {"Name": "conformance.local", "Vpc": "vpc-12345678", "CreatorRequestId": "c"}, "DuplicateRequest"),
        ("CreatePrivateDnsNamespace", {"Name": "conformance.local", "Vpc": "vpc-12345678"}, "NamespaceAlreadyExists"),
        ("CreateService", {"Name": "web", "NamespaceId": "$namespace"}, "ServiceAlreadyExists"),
        ("CreateService", {"Name": "x", "NamespaceId": "none"}, "NamespaceNotFound"),
        ("CreateService", {"Name": "x"}, "InvalidInput"),
        ("DeleteNamespace", {"Id": "$namespace"}, "ResourceInUse"),
        ("TagResource", {"ResourceARN": "$map_service_arn", "Tags": TOO_MANY}, "TooManyTagsException"),
        ("ListNamespaces", {"NextToken": "not ours"}, "InvalidInput"),
    ],
}  # fmt: skip

ONE_THREAD = "one thread takes one request after the other"
NO_FAILURE = "the server does not fail"
NO_CIPHER = "nothing is encrypted"

UNCAUSED = {
    "sns": {
        "AuthorizationError": "permissions are not enforced",
        "ConcurrentAccess": ONE_THREAD,
        "EndpointDisabled": "nothing is sent to devices",
        "FilterPolicyLimitExceeded": "filter policies are not counted",
        "InternalError": NO_FAILURE,
        "InvalidSecurity": "plain HTTP is how this server speaks",
        "InvalidState": "messages are not archived",
        "PlatformApplicationDisabled": "nothing is sent to devices",
        "ReplayLimitExceeded": "messages are not archived",
        "StaleTag": ONE_THREAD,
        "SubscriptionLimitExceeded": "12,500,000 subscriptions",
        "TagPolicy": "there are no tag policies",
        "TopicLimitExceeded": "100,000 topics",
        "ValidationException": "batches and telephones are not built",
        **{f"KMS{name}": NO_CIPHER for name in ("AccessDenied", "Disabled", "InvalidState", "NotFound", "OptInRequired", "Throttling")},
    },
    "lambda": {
        "CodeSigningConfigNotFoundException": "configurations of code signing are not built",
        "CodeStorageExceededException": "code is not kept",
        "CodeVerificationFailedException": "signatures are not checked",
        "FunctionVersionsPerCapacityProviderLimitExceededException": "functions never run",
        "InvalidCodeSignatureException": "signatures are not checked",
        "PolicyLengthExceededException": "20 KB of statements",
        "ServiceException": NO_FAILURE,
        "TooManyRequestsException": "requests are not throttled",
    },
    "kms": {
        "CloudHsmClusterInvalidConfigurationException": "custom key stores are not built",
        "CustomKeyStoreInvalidStateException": "custom key stores are not built",
        "DependencyTimeoutException": NO_FAILURE,
        "DisabledException": "keys are enabled while the errors are caused: a unit test",
        "KMSInternalException": NO_FAILURE,
        "LimitExceededException": "50 aliases of one key",
        **{f"XksKey{name}": "custom key stores are not built" for name in ("AlreadyInUseException", "InvalidConfigurationException", "NotFoundException")},
    },
    "servicediscovery": {"ResourceLimitExceeded": "quotas are not enforced"},
}

CLEAN = [
    Step("servicediscovery", "DeleteService", {"Id": "$map_service"}),
    Step("servicediscovery", "DeleteNamespace", {"Id": "$namespace"}),
    Step("kms", "DeleteAlias", {"AliasName": "alias/conformance"}),
    Step("lambda", "RemovePermission", {**FUNCTION, "StatementId": "sns"}),
    Step("lambda", "DeleteFunction", FUNCTION),
    Step("iam", "DeleteRole", {"RoleName": "conformance-lambda"}),
    Step("sns", "Unsubscribe", SUBSCRIPTION),
    Step("sns", "DeleteTopic", TOPIC),
    Step("sqs", "DeleteQueue", {"QueueUrl": "$news_url"}),
]
