"""Every paginator that botocore has for these operations gives each item once, in pages of the size asked for."""

import json

import jmespath
import pytest

from support import operations
from support.steps import Player, Step
from cases.cloudwatch import NOW, WINDOW
from cases.iam import POLICY as IAM_POLICY, TRUST
from cases.records import archive

TEMPLATE = {"LaunchTemplateData": {"InstanceType": "t3.small", "ImageId": "$ami"}}
TASK = {"containerDefinitions": [{"name": "a", "image": "b", "memory": 16}]}
TG = {"Protocol": "HTTP", "Port": 80, "VpcId": "$vpc"}
FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]

QUEUE = "arn:aws:sqs:us-east-1:000000000000:pages"

SCALED = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}

EXPERIMENT = {
    "description": "stops nothing", "stopConditions": [{"source": "none"}], "roleArn": "arn:aws:iam::000000000000:role/fis",
    "targets": {"T": {"resourceType": "aws:ec2:subnet", "filters": [{"path": "State", "values": ["available"]}], "selectionMode": "ALL"}},
    "actions": {"A": {"actionId": "aws:network:disrupt-connectivity", "parameters": {"duration": "PT12H", "scope": "all"}, "targets": {"Subnets": "T"}}},
}  # fmt: skip

POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, '
    '"Action": "logs:*", "Resource": "*"}]}'
)
REDRIVE = '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 3}'

IAM_TAGS = [{"Key": f"k{n}", "Value": "v"} for n in range(5)]
IAM_ARN = "arn:aws:iam::000000000000:policy/policy-"
HOLDERS = {"Role": {"RoleName": "role-0"}, "User": {"UserName": "user-0"}, "Group": {"GroupName": "group-0"}}

IAM = [
    *[Step("iam", "CreatePolicy", {"PolicyName": f"policy-{n}", "PolicyDocument": IAM_POLICY, "Tags": IAM_TAGS}) for n in range(5)],
    *[Step("iam", "CreatePolicyVersion", {"PolicyArn": f"{IAM_ARN}0", "PolicyDocument": IAM_POLICY}) for n in range(4)],
    *[Step("iam", "CreateRole", {"RoleName": f"role-{n}", "AssumeRolePolicyDocument": TRUST, "Tags": IAM_TAGS}) for n in range(5)],
    *[Step("iam", "CreateUser", {"UserName": f"user-{n}", "Tags": IAM_TAGS}) for n in range(5)],
    *[Step("iam", "CreateAccessKey", {"UserName": "user-0"}) for n in range(2)],
    *[Step("iam", "CreateGroup", {"GroupName": f"group-{n}"}) for n in range(5)],
    *[Step("iam", "AddUserToGroup", {"GroupName": "group-0", "UserName": f"user-{n}"}) for n in range(5)],
    *[Step("iam", "AddUserToGroup", {"GroupName": f"group-{n}", "UserName": "user-0"}) for n in range(1, 5)],
    *[Step("iam", "CreateInstanceProfile", {"InstanceProfileName": f"profile-{n}", "Tags": IAM_TAGS}) for n in range(5)],
    *[Step("iam", "AddRoleToInstanceProfile", {"InstanceProfileName": f"profile-{n}", "RoleName": "role-0"}) for n in range(5)],
    *[
        Step("iam", f"Put{kind}Policy", {**whose, "PolicyName": f"inline-{n}", "PolicyDocument": IAM_POLICY})
        for kind, whose in HOLDERS.items() for n in range(5)
    ],
    *[Step("iam", f"Attach{kind}Policy", {**whose, "PolicyArn": f"{IAM_ARN}{n}"}) for kind, whose in HOLDERS.items() for n in range(1, 5)],
    *[Step("iam", "AttachGroupPolicy", {"GroupName": f"group-{n}", "PolicyArn": f"{IAM_ARN}0"}) for n in range(1, 5)],
    *[Step("ssm", "PutParameter", {"Name": f"/pages/p{n}", "Value": "x", "Type": "String"}) for n in range(5)],
    *[Step("ssm", "PutParameter", {"Name": "/pages/p0", "Value": str(n), "Overwrite": True}) for n in range(4)],
]

# Answers hold 100 stacks, resources, exports or change sets, whatever is asked for.
MARK = {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "x"}}
EXPORTS = json.dumps({
    "Resources": {f"Mark{n}": MARK for n in range(110)},
    "Outputs": {f"Out{n}": {"Value": str(n), "Export": {"Name": f"pages-{n}"}} for n in range(110)},
})  # fmt: skip
IMPORT = json.dumps({"Resources": {"Mark": {**MARK, "Properties": {"Analytics": {"Fn::ImportValue": "pages-0"}}}}})
STACKS = [
    Step("cloudformation", "CreateChangeSet", {"StackName": "pages", "ChangeSetName": "pages", "ChangeSetType": "CREATE", "TemplateBody": EXPORTS}),
    Step("cloudformation", "ExecuteChangeSet", {"StackName": "pages", "ChangeSetName": "pages"}),
    *[Step("cloudformation", "CreateStack", {"StackName": f"pages-{n}", "TemplateBody": IMPORT}) for n in range(110)],
    *[
        Step("cloudformation", "CreateChangeSet", {"StackName": "pages-reviewed", "ChangeSetName": f"set-{n}", "ChangeSetType": "CREATE", "TemplateBody": IMPORT})
        for n in range(110)
    ],
]

TOPIC = "arn:aws:sns:us-east-1:000000000000:topic-"
FUNCTION = {"Runtime": "python3.12", "Handler": "index.handler", "Role": "$lambda_role"}

RECORDS = [
    # A page of SNS holds 100.
    *[Step("sns", "CreateTopic", {"Name": f"topic-{n}"}) for n in range(101)],
    *[Step("sns", "Subscribe", {"TopicArn": f"{TOPIC}0", "Protocol": "email", "Endpoint": f"{n}@example.com", "ReturnSubscriptionArn": True}) for n in range(101)],
    Step("iam", "CreateRole", {"RoleName": "functions", "AssumeRolePolicyDocument": TRUST}, keep={"lambda_role": "Role.Arn"}),
    *[Step("lambda", "CreateFunction", {**FUNCTION, "FunctionName": f"function-{n}", "Code": {"ZipFile": archive("0")}}) for n in range(5)],
    *[Step("lambda", "UpdateFunctionCode", {"FunctionName": "function-0", "ZipFile": archive(str(n)), "Publish": True}) for n in range(1, 5)],
    *[Step("kms", "CreateKey", {"Tags": [{"TagKey": f"k{k}", "TagValue": "v"} for k in range(5)]}, keep={"kms_key": "KeyMetadata.KeyId"}) for n in range(5)],
    *[Step("kms", "CreateAlias", {"AliasName": f"alias/a{n}", "TargetKeyId": "$kms_key"}) for n in range(5)],
    *[Step("servicediscovery", "CreatePrivateDnsNamespace", {"Name": f"n{n}.local", "Vpc": "vpc-1"}) for n in range(5)],
    Step("servicediscovery", "ListNamespaces", keep={"namespace": "Namespaces[0].Id"}),
    *[Step("servicediscovery", "CreateService", {"Name": f"s{n}", "NamespaceId": "$namespace"}) for n in range(5)],
]

BUILD = [
    *IAM,
    *STACKS,
    *RECORDS,
    Step(
        "ssm", "GetParameter", {"Name": "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"},
        keep={"ami": "Parameter.Value"},
    ),
    Step("ec2", "DescribeSubnets", keep={"subnets": "Subnets[:2].SubnetId", "subnet": "Subnets[0].SubnetId", "vpc": "Subnets[0].VpcId"}),
    *[Step("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": f"template-{n}", **TEMPLATE}) for n in range(5)],
    *[Step("ec2", "CreateLaunchTemplateVersion", {"LaunchTemplateName": "template-0", **TEMPLATE}) for n in range(4)],
    Step("ec2", "RunInstances", {"MinCount": 7, "MaxCount": 7, "LaunchTemplate": {"LaunchTemplateName": "template-0"},
                                 "InstanceMarketOptions": {"MarketType": "spot"}}),
    *[
        Step("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 1, "LaunchTemplate": {"LaunchTemplateName": "template-0"},
                                     "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "n", "Value": str(n)}]}]},
             keep={f"i{n}": "Instances[0].InstanceId"})
        for n in range(12)
    ],
    *[
        Step("autoscaling", "CreateAutoScalingGroup", {"AutoScalingGroupName": f"group-{n}", "MinSize": 0, "MaxSize": 9,
             "LaunchTemplate": {"LaunchTemplateName": "template-1"}, "VPCZoneIdentifier": "$subnet",
             "DesiredCapacity": 5 if n == 0 else 0,
             "Tags": [{"Key": "n", "Value": str(n), "PropagateAtLaunch": False}]})
        for n in range(5)
    ],
    *[
        Step("autoscaling", "PutScalingPolicy", {"AutoScalingGroupName": "group-0", "PolicyName": f"policy-{n}",
             "PolicyType": "SimpleScaling", "AdjustmentType": "ChangeInCapacity", "ScalingAdjustment": 1})
        for n in range(5)
    ],
    *[Step("autoscaling", "CreateLaunchConfiguration", {"LaunchConfigurationName": f"lc-{n}", "ImageId": "$ami", "InstanceType": "t3.small"}) for n in range(5)],
    *[
        Step("autoscaling", "PutScheduledUpdateGroupAction", {"AutoScalingGroupName": "group-0", "ScheduledActionName": f"action-{n}", "Recurrence": "0 1 * * *", "MinSize": 0})
        for n in range(5)
    ],
    *[
        Step("autoscaling", "PutNotificationConfiguration", {"AutoScalingGroupName": f"group-{n}", "TopicARN": "arn:aws:sns:us-east-1:000000000000:t", "NotificationTypes": ["autoscaling:TEST_NOTIFICATION"]})
        for n in range(5)
    ],
    *[
        step
        for n in range(5)
        for step in (
            Step("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, keep={f"vpc{n}": "Vpc.VpcId"}),
            Step("ec2", "CreateInternetGateway", keep={f"igw{n}": "InternetGateway.InternetGatewayId"}),
            Step("ec2", "AttachInternetGateway", {"InternetGatewayId": f"$igw{n}", "VpcId": f"$vpc{n}"}),
            Step("ec2", "CreateSubnet", {"VpcId": f"$vpc{n}", "CidrBlock": "10.0.0.0/24"}, keep={f"net{n}": "Subnet.SubnetId"}),
            Step("ec2", "AllocateAddress", keep={f"eip{n}": "AllocationId"}),
            Step("ec2", "CreateNatGateway", {"SubnetId": f"$net{n}", "AllocationId": f"$eip{n}"}),
            Step("ec2", "CreateNatGateway", {"SubnetId": f"$net{n}", "ConnectivityType": "private"}),
            Step("ec2", "CreateVpcEndpoint", {"VpcId": f"$vpc{n}", "ServiceName": "com.amazonaws.us-east-1.s3"}),
            Step("ec2", "CreateVpcEndpoint", {"VpcId": f"$vpc{n}", "ServiceName": "com.amazonaws.us-east-1.dynamodb"}),
        )
    ],
    *[Step("elbv2", "CreateLoadBalancer", {"Name": f"balancer-{n}", "Subnets": "$subnets"}, keep={f"lb{n}": "LoadBalancers[0].LoadBalancerArn"}) for n in range(5)],
    *[Step("elbv2", "CreateTargetGroup", {"Name": f"targets-{n}", **TG}, keep={f"tg{n}": "TargetGroups[0].TargetGroupArn"}) for n in range(5)],
    *[Step("elbv2", "CreateListener", {"LoadBalancerArn": "$lb0", "Protocol": "HTTP", "Port": 8000 + n, "DefaultActions": FIXED}, keep={f"l{n}": "Listeners[0].ListenerArn"}) for n in range(5)],
    *[
        Step("elbv2", "CreateRule", {"ListenerArn": "$l0", "Priority": 10 + n, "Actions": FIXED, "Conditions": [{"Field": "path-pattern", "Values": [f"/{n}"]}]})
        for n in range(5)
    ],
    Step("autoscaling", "AttachLoadBalancerTargetGroups", {"AutoScalingGroupName": "group-1", "TargetGroupARNs": ["$tg0", "$tg1", "$tg2", "$tg3", "$tg4"]}),
    *[Step("ecs", "CreateCluster", {"clusterName": f"cluster-{n}"}) for n in range(5)],
    *[Step("ecs", "RegisterTaskDefinition", {"family": f"family-{n}", **TASK}) for n in range(5)],
    *[
        Step("ecs", "RegisterContainerInstance", {"cluster": "cluster-0", "totalResources": [
            {"name": "CPU", "type": "INTEGER", "integerValue": 1024}, {"name": "MEMORY", "type": "INTEGER", "integerValue": 1024}],
            "instanceIdentityDocument": '{"instanceId": "$i%d", "region": "$region", "accountId": "$account", "availabilityZone": "us-east-1a", "instanceType": "t3.small"}' % n,
            "attributes": [{"name": "n", "value": str(n)}]})
        for n in range(5)
    ],
    *[
        Step("ecs", "CreateService", {"cluster": "cluster-0", "serviceName": f"service-{n}", "taskDefinition": "family-0", "desiredCount": 1, "launchType": "EC2"})
        for n in range(5)
    ],
    *[
        Step("cloudwatch", "PutMetricAlarm", {"AlarmName": f"alarm-{n}", "Namespace": "pages", "MetricName": "m0", "Statistic": "Sum", "Period": 60,
             "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"})
        for n in range(5)
    ],
    # ListMetrics has no size: a page holds 500.
    *[
        Step("cloudwatch", "PutMetricData", {"Namespace": "pages", "MetricData": [{"MetricName": f"m{100 * n + k}", "Value": 1.0, "Timestamp": NOW} for k in range(100)]})
        for n in range(6)
    ],
    # So has ListDashboards, whose page holds 1,000.
    *[Step("cloudwatch", "PutDashboard", {"DashboardName": f"dashboard-{n}", "DashboardBody": '{"widgets": []}'}) for n in range(1001)],
    *[Step("fis", "CreateExperimentTemplate", {**EXPERIMENT, "clientToken": str(n)}, keep={"experiment_template": "experimentTemplate.id"}) for n in range(5)],
    *[Step("fis", "StartExperiment", {"clientToken": str(n), "experimentTemplateId": "$experiment_template"}, keep={"experiment": "experiment.id"}) for n in range(5)],
    *[Step("events", "PutRule", {"Name": f"rule-{n}", "EventPattern": '{"source":["pages"]}'}) for n in range(5)],
    *[
        Step("events", "PutTargets", {"Rule": f"rule-{n}", "Targets": [{"Id": f"t{k}", "Arn": f"{QUEUE}-{k}"} for k in range(5)]})
        for n in range(5)
    ],
    Step("ecs", "ListTasks", {"cluster": "cluster-0"}, after=180, expect={"length(taskArns)": 5}),
    *[Step("application-autoscaling", "RegisterScalableTarget", {**SCALED, "ResourceId": f"service/cluster-0/service-{n}", "MinCapacity": 2, "MaxCapacity": 3}) for n in range(5)],
    *[
        Step("application-autoscaling", "PutScalingPolicy", {**SCALED, "ResourceId": "service/cluster-0/service-0", "PolicyName": f"policy-{n}", "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ExactCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]}})
        for n in range(5)
    ],
    *[
        Step("application-autoscaling", "PutScheduledAction", {**SCALED, "ResourceId": "service/cluster-0/service-0", "ScheduledActionName": f"action-{n}",
             "Schedule": "cron(0 1 * * ? *)", "ScalableTargetAction": {"MinCapacity": 1}})
        for n in range(5)
    ],
    *[Step("logs", "CreateLogGroup", {"logGroupName": f"group-{n}"}) for n in range(5)],
    *[Step("logs", "CreateLogStream", {"logGroupName": "group-0", "logStreamName": f"stream-{n}"}) for n in range(5)],
    *[
        Step("logs", "PutLogEvents", {"logGroupName": "group-0", "logStreamName": f"stream-{n}", "logEvents": [{"timestamp": int(NOW.timestamp() * 1000), "message": "x"}]})
        for n in range(5)
    ],
    *[Step("logs", "PutResourcePolicy", {"policyName": f"policy-{n}", "policyDocument": POLICY}) for n in range(5)],
    Step("sqs", "CreateQueue", {"QueueName": "dead"}, keep={"dead_url": "QueueUrl"}),
    *[Step("sqs", "CreateQueue", {"QueueName": f"queue-{n}", "Attributes": {"RedrivePolicy": REDRIVE}}) for n in range(5)],
]

BUILD += [
    *[Step("s3", "CreateBucket", {"Bucket": f"pages-{n}"}) for n in range(5)],
    Step("s3", "PutBucketVersioning", {"Bucket": "pages-1", "VersioningConfiguration": {"Status": "Enabled"}}),
    *[Step("s3", "PutObject", {"Bucket": "pages-0", "Key": f"key/{n}", "Body": b"x"}) for n in range(5)],
    *[Step("s3", "PutObject", {"Bucket": "pages-1", "Key": f"key/{n % 2}", "Body": str(n).encode()}) for n in range(5)],
    *[Step("s3", "CreateMultipartUpload", {"Bucket": "pages-0", "Key": f"key/{n % 2}"}, keep={"upload": "UploadId", "uploaded": "Key"}) for n in range(5)],
    *[Step("s3", "UploadPart", {"Bucket": "pages-0", "Key": "$uploaded", "UploadId": "$upload", "PartNumber": n, "Body": str(n).encode()}) for n in range(1, 6)],
    *[Step("ecr", "CreateRepository", {"repositoryName": f"pages/{n}"}) for n in range(5)],
]

QUERIES = [{"Id": f"q{n}", "MetricStat": {"Metric": {"Namespace": "pages", "MetricName": f"m{n}"}, "Period": 60, "Stat": "Sum"}} for n in range(5)]

# (arguments, page size); a page size of None: the operation chooses.
PAGED = {
    **{("iam", f"List{kind}s"): ({}, 2) for kind in ("Role", "User", "Group", "InstanceProfile")},
    **{("iam", f"List{kind}Policies"): (whose, 2) for kind, whose in HOLDERS.items()},
    **{("iam", f"ListAttached{kind}Policies"): (whose, 2) for kind, whose in HOLDERS.items()},
    **{("iam", f"List{kind}Tags"): (whose, 2) for kind, whose in HOLDERS.items() if kind != "Group"},
    ("sns", "ListTopics"): ({}, None),
    # Subscriptions that wait to be confirmed all show the same ARN: endpoints tell them apart.
    ("sns", "ListSubscriptions"): ({}, None),
    ("sns", "ListSubscriptionsByTopic"): ({"TopicArn": f"{TOPIC}0"}, None),
    ("lambda", "ListFunctions"): ({}, 2),
    ("lambda", "ListVersionsByFunction"): ({"FunctionName": "function-0"}, 2),
    ("kms", "ListKeys"): ({}, 2),
    ("kms", "ListAliases"): ({}, 2),
    ("kms", "ListResourceTags"): ({"KeyId": "$kms_key"}, 2),
    ("servicediscovery", "ListNamespaces"): ({}, 2),
    ("servicediscovery", "ListOperations"): ({}, 2),
    ("servicediscovery", "ListServices"): ({}, 2),
    ("iam", "ListPolicies"): ({}, 2),
    ("iam", "ListPolicyTags"): ({"PolicyArn": f"{IAM_ARN}0"}, 2),
    ("iam", "ListPolicyVersions"): ({"PolicyArn": f"{IAM_ARN}0"}, 2),
    ("iam", "ListEntitiesForPolicy"): ({"PolicyArn": f"{IAM_ARN}0"}, 2),
    ("iam", "ListInstanceProfilesForRole"): ({"RoleName": "role-0"}, 2),
    ("iam", "ListInstanceProfileTags"): ({"InstanceProfileName": "profile-0"}, 2),
    ("iam", "ListAccessKeys"): ({"UserName": "user-0"}, 1),
    ("iam", "GetGroup"): ({"GroupName": "group-0"}, 2),
    ("iam", "ListGroupsForUser"): ({"UserName": "user-0"}, 2),
    ("ssm", "DescribeParameters"): ({}, 2),
    ("ssm", "GetParameterHistory"): ({"Name": "/pages/p0"}, 2),
    ("ssm", "GetParametersByPath"): ({"Path": "/pages"}, 2),
    ("logs", "DescribeLogGroups"): ({}, 2),
    ("logs", "DescribeLogStreams"): ({"logGroupName": "group-0"}, 2),
    ("logs", "DescribeResourcePolicies"): ({}, 2),
    ("logs", "FilterLogEvents"): ({"logGroupName": "group-0"}, 2),
    ("sqs", "ListDeadLetterSourceQueues"): ({"QueueUrl": "$dead_url"}, 2),
    ("sqs", "ListQueues"): ({}, 2),
    # Looking events up is an event too: only those of one name stay the same.
    ("cloudtrail", "LookupEvents"): ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateLogGroup"}]}, 2),
    ("s3", "ListBuckets"): ({}, 2),
    ("s3", "ListObjects"): ({"Bucket": "pages-0"}, 2),
    ("s3", "ListObjectsV2"): ({"Bucket": "pages-0", "Prefix": "key/"}, 2),
    ("s3", "ListObjectVersions"): ({"Bucket": "pages-1"}, 2),
    ("s3", "ListMultipartUploads"): ({"Bucket": "pages-0"}, 2),
    ("s3", "ListParts"): ({"Bucket": "pages-0", "Key": "$uploaded", "UploadId": "$upload"}, 2),
    ("ecr", "DescribeRepositories"): ({}, 2),
    ("ecs", "ListClusters"): ({}, 2),
    ("ecs", "ListContainerInstances"): ({"cluster": "cluster-0"}, 2),
    ("ecs", "ListTaskDefinitions"): ({}, 2),
    ("ecs", "ListTaskDefinitionFamilies"): ({}, 2),
    ("ecs", "ListTasks"): ({"cluster": "cluster-0"}, 2),
    ("ecs", "ListServices"): ({"cluster": "cluster-0"}, 2),
    ("ecs", "ListAccountSettings"): ({"effectiveSettings": True}, 2),
    ("ecs", "ListAttributes"): ({"cluster": "cluster-0", "targetType": "container-instance", "attributeName": "n"}, 2),
    ("application-autoscaling", "DescribeScalableTargets"): ({"ServiceNamespace": "ecs"}, 2),
    ("application-autoscaling", "DescribeScalingActivities"): ({"ServiceNamespace": "ecs"}, 2),
    ("application-autoscaling", "DescribeScalingPolicies"): ({"ServiceNamespace": "ecs"}, 2),
    ("application-autoscaling", "DescribeScheduledActions"): ({"ServiceNamespace": "ecs"}, 2),
    ("autoscaling", "DescribeLaunchConfigurations"): ({}, 2),
    ("autoscaling", "DescribeNotificationConfigurations"): ({}, 2),
    ("autoscaling", "DescribeScheduledActions"): ({}, 2),
    ("autoscaling", "DescribeAutoScalingGroups"): ({}, 2),
    ("autoscaling", "DescribeAutoScalingInstances"): ({}, 2),
    ("autoscaling", "DescribePolicies"): ({}, 2),
    ("autoscaling", "DescribeScalingActivities"): ({}, 2),
    ("autoscaling", "DescribeTags"): ({}, 2),
    ("autoscaling", "DescribeLoadBalancerTargetGroups"): ({"AutoScalingGroupName": "group-1"}, 2),
    ("ec2", "DescribeInstanceStatus"): ({}, 5),
    ("ec2", "DescribeInstances"): ({}, 5),
    ("ec2", "DescribeTags"): ({}, 5),
    ("ec2", "DescribeLaunchTemplateVersions"): ({"LaunchTemplateName": "template-0"}, 2),
    ("ec2", "DescribeLaunchTemplates"): ({}, 2),
    ("ec2", "DescribeSpotInstanceRequests"): ({}, 5),
    ("ec2", "GetSpotPlacementScores"): (
        {"InstanceTypes": ["m5.large", "m5a.large", "m5d.large"], "TargetCapacity": 5, "SingleAvailabilityZone": True}, 10,
    ),
    ("ec2", "DescribeSpotPriceHistory"): ({"InstanceTypes": ["m5.large", "m5a.large"]}, 3),
    ("ec2", "DescribeSubnets"): ({}, 5),
    ("ec2", "DescribeInstanceTypeOfferings"): ({}, 7),
    ("ec2", "DescribeInstanceTypes"): ({}, 7),
    ("ec2", "DescribeImages"): ({}, 2),
    ("ec2", "DescribeAddressesAttribute"): ({}, 2),
    ("ec2", "DescribeInternetGateways"): ({}, 5),
    ("ec2", "DescribeInstanceCreditSpecifications"): ({}, 5),
    ("ec2", "DescribeNatGateways"): ({}, 5),
    ("ec2", "DescribeNetworkAcls"): ({}, 5),
    ("ec2", "DescribeNetworkInterfaces"): ({}, 5),
    ("ec2", "DescribeRouteTables"): ({}, 5),
    ("ec2", "DescribeSecurityGroupRules"): ({}, 5),
    ("ec2", "DescribeSecurityGroups"): ({}, 5),
    ("ec2", "DescribeVolumes"): ({}, 5),
    ("ec2", "DescribeVpcEndpoints"): ({}, 5),
    ("ec2", "DescribeVpcs"): ({}, 5),
    ("ec2", "DescribePrefixLists"): ({}, 1),
    ("ec2", "DescribeManagedPrefixLists"): ({}, 1),
    ("elbv2", "DescribeLoadBalancers"): ({}, 2),
    ("elbv2", "DescribeTargetGroups"): ({}, 2),
    ("elbv2", "DescribeListeners"): ({"LoadBalancerArn": "$lb0"}, 2),
    ("elbv2", "DescribeRules"): ({"ListenerArn": "$l0"}, 2),
    ("events", "ListRules"): ({}, 2),
    ("events", "ListTargetsByRule"): ({"Rule": "rule-0"}, 2),
    ("events", "ListRuleNamesByTarget"): ({"TargetArn": f"{QUEUE}-0"}, 2),
    ("fis", "ListActions"): ({}, 3),
    ("fis", "ListTargetResourceTypes"): ({}, 3),
    ("fis", "ListExperimentTemplates"): ({}, 2),
    ("fis", "ListExperiments"): ({}, 2),
    ("fis", "ListExperimentResolvedTargets"): ({"experimentId": "$experiment"}, 2),
    ("cloudformation", "DescribeChangeSet"): ({"StackName": "pages", "ChangeSetName": "pages"}, None),
    ("cloudformation", "DescribeStackEvents"): ({"StackName": "pages"}, None),
    ("cloudformation", "DescribeStacks"): ({}, None),
    ("cloudformation", "ListChangeSets"): ({"StackName": "pages-reviewed"}, None),
    ("cloudformation", "ListExports"): ({}, None),
    ("cloudformation", "ListImports"): ({"ExportName": "pages-0"}, None),
    ("cloudformation", "ListStackResources"): ({"StackName": "pages"}, None),
    ("cloudformation", "ListStacks"): ({}, None),
    ("cloudwatch", "DescribeAlarmHistory"): ({}, 2),
    ("cloudwatch", "DescribeAlarms"): ({}, 2),
    ("cloudwatch", "ListDashboards"): ({}, None),
    ("cloudwatch", "ListMetrics"): ({"Namespace": "pages"}, None),
    ("cloudwatch", "GetMetricData"): ({**WINDOW, "MetricDataQueries": QUERIES}, 2),
}

# What a page counts, where it is not the list itself: a reservation's instances may come on two pages.
COUNTED = {"DescribeInstances": "Reservations[].Instances[].InstanceId"}
LARGEST = {
    "ListFunctions": 50, "ListVersionsByFunction": 50, "ListResourceTags": 50, "DescribeParameters": 50, "GetParameterHistory": 50, "GetParametersByPath": 10,
    "DescribeLogGroups": 50, "DescribeLogStreams": 50, "DescribeResourcePolicies": 50, "ListAccountSettings": 10, "LookupEvents": 50,
}  # fmt: skip

# More than any of these lists needs.
PAGES_MAX = 200

# Nobody makes a second one of these; a key has one policy, and a warm pool no instance.
ALONE = {("autoscaling", "DescribeWarmPool"), ("ec2", "DescribeDhcpOptions"), ("ec2", "DescribeFlowLogs"), ("kms", "ListKeyPolicies")}
# Without a registry there are no images.
EMPTY = {("ecr", "DescribeImages"), ("ecr", "ListImages")}


@pytest.fixture(scope="module")
def player(server):
    player = Player(server)
    for step in BUILD:
        player.play(step)
    return player


@pytest.mark.parametrize(("service", "operation"), PAGED, ids=["-".join(row) for row in PAGED])
def test_pages(player, service, operation):
    arguments, size = PAGED[service, operation]
    client = player.client(service)
    paginator = client.get_paginator(operations.method(operation))
    key = COUNTED.get(operation, paginator.result_keys[0].expression)
    pages = []
    for page in paginator.paginate(**player.fill(arguments), **({} if size is None else {"PaginationConfig": {"PageSize": size}})):
        pages.append(jmespath.search(key, page) or [])
        assert len(pages) < PAGES_MAX, "there is no end to the pages"
    assert len(pages) > 1
    assert all(pages[:-1]), "a page in the middle is empty"
    if operation == "GetMetricData":
        # Its size counts datapoints; a result whose values are spread comes again with the rest.
        values = [[value for result in page for value in result["Values"]] for page in pages]
        assert all(len(page) <= size for page in values)
        assert sum(values, []) == [1.0] * len(QUERIES)
        return
    items = [repr(item) for page in pages for item in page]
    assert len(set(items)) == len(items), "an item came twice"
    if size is not None:
        assert all(len(page) <= size for page in pages), [len(page) for page in pages]
        whole = paginator.paginate(**player.fill(arguments), PaginationConfig={"PageSize": LARGEST.get(operation, 100)})
        assert sorted(items) == sorted(repr(item) for page in whole for item in jmespath.search(key, page))


def test_every_paginator_has_a_case():
    known = set(PAGED) | ALONE | EMPTY
    assert set(operations.paginators()) - known == set()
