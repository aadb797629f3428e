"""Elastic Load Balancing v2."""

from support.steps import Step

FORWARD = [{"Type": "forward", "TargetGroupArn": "$tg"}]
FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "none"}}]
HOST = [{"Field": "host-header", "HostHeaderConfig": {"Values": ["example.org"]}}]
PATH = [{"Field": "path-pattern", "Values": ["/a/*"]}]
NO_LB = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/none/0000000000000000"
NO_TG = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/none/0000000000000000"
NO_LISTENER = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/none/0000000000000000/0000000000000000"
NO_RULE = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/none/0000000000000000/0000000000000000/0000000000000000"

BUILD = [
    Step(
        "elbv2", "CreateLoadBalancer",
        {"Name": "conformance", "Subnets": ["$subnet", "$subnet2"], "SecurityGroups": ["$security_group"], "Tags": [{"Key": "a", "Value": "b"}]},
        keep={"lb": "LoadBalancers[0].LoadBalancerArn"},
        expect={"LoadBalancers[0].[Scheme, Type, VpcId]": ["internet-facing", "application", "$vpc"]},
    ),
    Step(
        "elbv2", "DescribeLoadBalancers", {"Names": ["conformance"]}, after=180,
        expect={"LoadBalancers[0].State.Code": "active", "length(LoadBalancers[0].AvailabilityZones)": 2},
    ),
    Step(
        "elbv2", "DescribeLoadBalancerAttributes", {"LoadBalancerArn": "$lb"},
        expect={"Attributes[?Key=='idle_timeout.timeout_seconds'].Value": ["60"]},
    ),
    Step(
        "elbv2", "ModifyLoadBalancerAttributes",
        {"LoadBalancerArn": "$lb", "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "30"}]},
        expect={"Attributes[?Key=='idle_timeout.timeout_seconds'].Value": ["30"]},
    ),
    Step("elbv2", "SetSubnets", {"LoadBalancerArn": "$lb", "Subnets": ["$subnet", "$subnet3"]}, expect={"length(AvailabilityZones)": 2}),
    Step("elbv2", "SetSecurityGroups", {"LoadBalancerArn": "$lb", "SecurityGroups": ["$security_group"]}, expect={"SecurityGroupIds": ["$security_group"]}),
    Step(
        "elbv2", "CreateTargetGroup",
        {"Name": "conformance", "Protocol": "HTTP", "Port": 80, "VpcId": "$vpc", "TargetType": "instance", "HealthyThresholdCount": 2, "Matcher": {"HttpCode": "200-299"}},
        keep={"tg": "TargetGroups[0].TargetGroupArn"},
        expect={"TargetGroups[0].[HealthCheckTimeoutSeconds, HealthCheckIntervalSeconds, HealthCheckPath, ProtocolVersion]": [5, 30, "/", "HTTP1"]},
    ),
    Step("elbv2", "CreateTargetGroup", {"Name": "second", "Protocol": "HTTP", "Port": 8080, "VpcId": "$vpc", "TargetType": "ip"}, keep={"tg2": "TargetGroups[0].TargetGroupArn"}),
    Step("elbv2", "ModifyTargetGroup", {"TargetGroupArn": "$tg", "HealthCheckPath": "/health"}, expect={"TargetGroups[0].HealthCheckPath": "/health"}),
    Step(
        "elbv2", "ModifyTargetGroupAttributes",
        {"TargetGroupArn": "$tg", "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "90"}]},
        expect={"Attributes[?Key=='deregistration_delay.timeout_seconds'].Value": ["90"]},
    ),
    Step(
        "elbv2", "DescribeTargetGroupAttributes", {"TargetGroupArn": "$tg"},
        expect={"Attributes[?Key=='deregistration_delay.timeout_seconds'].Value": ["90"], "Attributes[?Key=='stickiness.enabled'].Value": ["false"]},
    ),
    Step(
        "elbv2", "CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 80, "DefaultActions": FORWARD},
        keep={"listener": "Listeners[0].ListenerArn"}, expect={"Listeners[0].DefaultActions[0].TargetGroupArn": "$tg"},
    ),
    Step("elbv2", "CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 81, "DefaultActions": FIXED}, keep={"listener2": "Listeners[0].ListenerArn"}),
    Step("elbv2", "ModifyListener", {"ListenerArn": "$listener2", "Port": 82}, expect={"Listeners[0].Port": 82}),
    Step("elbv2", "DescribeListeners", {"LoadBalancerArn": "$lb"}, expect={"sort(Listeners[].Port)": [80, 82]}),
    Step(
        "elbv2", "CreateRule", {"ListenerArn": "$listener", "Priority": 10, "Conditions": HOST, "Actions": FORWARD},
        keep={"rule": "Rules[0].RuleArn"}, expect={"Rules[0].[Priority, IsDefault]": ["10", False]},
    ),
    Step("elbv2", "CreateRule", {"ListenerArn": "$listener", "Priority": 20, "Conditions": PATH, "Actions": FIXED}, keep={"rule2": "Rules[0].RuleArn"}),
    Step("elbv2", "ModifyRule", {"RuleArn": "$rule2", "Actions": FORWARD}, expect={"Rules[0].Actions[0].Type": "forward"}),
    Step("elbv2", "SetRulePriorities", {"RulePriorities": [{"RuleArn": "$rule", "Priority": 30}]}, expect={"Rules[0].Priority": "30"}),
    Step("elbv2", "DescribeRules", {"ListenerArn": "$listener"}, keep={"default_rule": "Rules[?IsDefault].RuleArn | [0]"}, expect={"Rules[].Priority": ["20", "30", "default"]}),
    Step("elbv2", "DescribeTargetGroups", {"LoadBalancerArn": "$lb"}, expect={"TargetGroups[].TargetGroupArn": ["$tg"]}),
    Step("elbv2", "RegisterTargets", {"TargetGroupArn": "$tg", "Targets": [{"Id": "$instance", "Port": 8080}]}),
    Step("elbv2", "RegisterTargets", {"TargetGroupArn": "$tg2", "Targets": [{"Id": "172.31.0.10"}]}),
    Step(
        "elbv2", "DescribeTargetHealth", {"TargetGroupArn": "$tg"},
        expect={"TargetHealthDescriptions[0].[Target.Id, Target.Port, HealthCheckPort]": ["$instance", 8080, "8080"]},
    ),
    Step("elbv2", "DescribeTargetHealth", {"TargetGroupArn": "$tg2"}, expect={"TargetHealthDescriptions[0].TargetHealth.[State, Reason]": ["unused", "Target.NotInUse"]}),
    Step("elbv2", "DeregisterTargets", {"TargetGroupArn": "$tg", "Targets": [{"Id": "$instance", "Port": 8080}]}),
    Step("elbv2", "DescribeTargetHealth", {"TargetGroupArn": "$tg"}, expect={"TargetHealthDescriptions[].TargetHealth.[State, Reason]": [["draining", "Target.DeregistrationInProgress"]]}),
    Step("elbv2", "DescribeTargetHealth", {"TargetGroupArn": "$tg"}, after=91, expect={"TargetHealthDescriptions": []}),
    Step("elbv2", "ModifyLoadBalancerAttributes", {"LoadBalancerArn": "$lb", "Attributes": [{"Key": "deletion_protection.enabled", "Value": "true"}]}),
    Step("elbv2", "AddTags", {"ResourceArns": ["$lb", "$tg", "$listener", "$rule"], "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("elbv2", "RemoveTags", {"ResourceArns": ["$lb"], "TagKeys": ["a"]}),
    Step("elbv2", "DescribeTags", {"ResourceArns": ["$lb", "$rule"]}, expect={"TagDescriptions[].Tags": [[{"Key": "c", "Value": "d"}]] * 2}),
]

ERRORS = {
    "elbv2": [
        ("CreateLoadBalancer", {"Name": "conformance", "Subnets": ["$subnet", "$subnet2"], "Scheme": "internal"}, "DuplicateLoadBalancerName"),
        ("CreateLoadBalancer", {"Name": "one", "Subnets": ["$subnet"]}, "ValidationError"),
        ("CreateLoadBalancer", {"Name": "no-subnets"}, "ValidationError"),
        ("CreateLoadBalancer", {"Name": "-dash", "Subnets": ["$subnet", "$subnet2"]}, "ValidationError"),
        ("CreateLoadBalancer", {"Name": "x", "Subnets": ["$subnet", "subnet-00000000000000000"]}, "SubnetNotFound"),
        ("CreateLoadBalancer", {"Name": "x", "Subnets": ["$subnet", "$subnet"]}, "InvalidConfigurationRequest"),
        ("CreateLoadBalancer", {"Name": "x", "Subnets": ["$subnet", "$subnet2"], "SecurityGroups": ["sg-00000000000000000"]}, "InvalidSecurityGroup"),
        ("CreateLoadBalancer", {"Name": "x", "Subnets": ["$subnet", "$subnet2"], "Scheme": "sideways"}, "ValidationError"),
        ("CreateLoadBalancer", {"Name": "x", "Subnets": ["$subnet", "$subnet2"], "Tags": [{"Key": "a"}, {"Key": "a"}]}, "DuplicateTagKeys"),
        ("CreateLoadBalancer", {"Name": "x", "Subnets": ["$subnet", "$subnet2"], "Tags": [{"Key": f"k{n}"} for n in range(51)]}, "TooManyTags"),
        ("DeleteLoadBalancer", {"LoadBalancerArn": "$lb"}, "OperationNotPermitted"),
        ("ModifyRule", {"RuleArn": "$default_rule", "Conditions": PATH}, "OperationNotPermitted"),
        ("DeleteRule", {"RuleArn": "$default_rule"}, "OperationNotPermitted"),
        ("SetRulePriorities", {"RulePriorities": [{"RuleArn": "$default_rule", "Priority": 3}]}, "OperationNotPermitted"),
        ("CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 91, "DefaultActions": FORWARD + FORWARD}, "InvalidLoadBalancerAction"),
        ("CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 91, "DefaultActions": FIXED, "Tags": [{"Key": f"k{n}"} for n in range(51)]}, "TooManyTags"),
        ("ModifyTargetGroupAttributes", {"TargetGroupArn": "$tg", "Attributes": [{"Key": "slow_start.duration_seconds", "Value": "30"}, {"Key": "load_balancing.algorithm.type", "Value": "least_outstanding_requests"}]}, "InvalidConfigurationRequest"),
        ("DescribeLoadBalancers", {"Names": ["none"]}, "LoadBalancerNotFound"),
        ("DescribeLoadBalancers", {"LoadBalancerArns": [NO_LB]}, "LoadBalancerNotFound"),
        ("DescribeLoadBalancerAttributes", {"LoadBalancerArn": NO_LB}, "LoadBalancerNotFound"),
        ("ModifyLoadBalancerAttributes", {"LoadBalancerArn": NO_LB, "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "30"}]}, "LoadBalancerNotFound"),
        ("ModifyLoadBalancerAttributes", {"LoadBalancerArn": "$lb", "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "0"}]}, "ValidationError"),
        ("ModifyLoadBalancerAttributes", {"LoadBalancerArn": "$lb", "Attributes": [{"Key": "none", "Value": "1"}]}, "ValidationError"),
        ("SetSubnets", {"LoadBalancerArn": NO_LB, "Subnets": ["$subnet", "$subnet2"]}, "LoadBalancerNotFound"),
        ("SetSubnets", {"LoadBalancerArn": "$lb", "Subnets": ["$subnet", "subnet-00000000000000000"]}, "SubnetNotFound"),
        ("SetSubnets", {"LoadBalancerArn": "$lb", "Subnets": ["$subnet"]}, "ValidationError"),
        ("SetSubnets", {"LoadBalancerArn": "$lb", "Subnets": ["$subnet", "$subnet"]}, "InvalidConfigurationRequest"),
        ("SetSecurityGroups", {"LoadBalancerArn": NO_LB, "SecurityGroups": ["$security_group"]}, "LoadBalancerNotFound"),
        ("SetSecurityGroups", {"LoadBalancerArn": "$lb", "SecurityGroups": ["sg-00000000000000000"]}, "InvalidSecurityGroup"),
        ("CreateTargetGroup", {"Name": "conformance", "Protocol": "HTTP", "Port": 81, "VpcId": "$vpc"}, "DuplicateTargetGroupName"),
        ("CreateTargetGroup", {"Name": "x", "Protocol": "HTTP", "Port": 81, "VpcId": "$vpc", "Tags": [{"Key": f"k{n}"} for n in range(51)]}, "TooManyTags"),
        ("CreateTargetGroup", {"Name": "x", "Protocol": "HTTP", "Port": 70000, "VpcId": "$vpc"}, "ValidationError"),
        ("CreateTargetGroup", {"Name": "x", "Protocol": "HTTP", "Port": 80, "VpcId": "$vpc", "HealthCheckIntervalSeconds": 5, "HealthCheckTimeoutSeconds": 6}, "ValidationError"),
        ("CreateTargetGroup", {"Name": "x", "Port": 80, "VpcId": "$vpc"}, "ValidationError"),
        ("DescribeTargetGroups", {"Names": ["none"]}, "TargetGroupNotFound"),
        ("DescribeTargetGroups", {"LoadBalancerArn": NO_LB}, "LoadBalancerNotFound"),
        ("ModifyTargetGroup", {"TargetGroupArn": NO_TG, "HealthCheckPath": "/"}, "TargetGroupNotFound"),
        ("DescribeTargetGroupAttributes", {"TargetGroupArn": NO_TG}, "TargetGroupNotFound"),
        ("ModifyTargetGroupAttributes", {"TargetGroupArn": NO_TG, "Attributes": [{"Key": "stickiness.enabled", "Value": "true"}]}, "TargetGroupNotFound"),
        ("ModifyTargetGroupAttributes", {"TargetGroupArn": "$tg", "Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": "3601"}]}, "ValidationError"),
        ("DeleteTargetGroup", {"TargetGroupArn": "$tg"}, "ResourceInUse"),
        ("RegisterTargets", {"TargetGroupArn": NO_TG, "Targets": [{"Id": "$instance"}]}, "TargetGroupNotFound"),
        ("RegisterTargets", {"TargetGroupArn": "$tg", "Targets": [{"Id": "i-0123456789abcdef0"}]}, "InvalidTarget"),
        ("RegisterTargets", {"TargetGroupArn": "$tg2", "Targets": [{"Id": "not an address"}]}, "InvalidTarget"),
        ("DeregisterTargets", {"TargetGroupArn": NO_TG, "Targets": [{"Id": "$instance"}]}, "TargetGroupNotFound"),
        ("DescribeTargetHealth", {"TargetGroupArn": NO_TG}, "TargetGroupNotFound"),
        ("CreateListener", {"LoadBalancerArn": NO_LB, "Protocol": "HTTP", "Port": 90, "DefaultActions": FORWARD}, "LoadBalancerNotFound"),
        ("CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 80, "DefaultActions": FIXED}, "DuplicateListener"),
        ("CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTP", "Port": 90, "DefaultActions": [{"Type": "forward", "TargetGroupArn": NO_TG}]}, "TargetGroupNotFound"),
        ("CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "TCP", "Port": 90, "DefaultActions": FORWARD}, "ValidationError"),
        ("CreateListener", {"LoadBalancerArn": "$lb", "Protocol": "HTTPS", "Port": 90, "DefaultActions": FORWARD}, "ValidationError"),
        ("DescribeListeners", {"ListenerArns": [NO_LISTENER]}, "ListenerNotFound"),
        ("DescribeListeners", {"LoadBalancerArn": NO_LB}, "LoadBalancerNotFound"),
        ("ModifyListener", {"ListenerArn": NO_LISTENER, "Port": 99}, "ListenerNotFound"),
        ("ModifyListener", {"ListenerArn": "$listener2", "Port": 80}, "DuplicateListener"),
        ("ModifyListener", {"ListenerArn": "$listener2", "DefaultActions": [{"Type": "forward", "TargetGroupArn": NO_TG}]}, "TargetGroupNotFound"),
        ("DeleteListener", {"ListenerArn": NO_LISTENER}, "ListenerNotFound"),
        ("CreateRule", {"ListenerArn": "$listener", "Priority": 30, "Conditions": PATH, "Actions": FORWARD}, "PriorityInUse"),
        ("CreateRule", {"ListenerArn": NO_LISTENER, "Priority": 5, "Conditions": PATH, "Actions": FORWARD}, "ListenerNotFound"),
        ("CreateRule", {"ListenerArn": "$listener", "Priority": 5, "Conditions": PATH, "Actions": [{"Type": "forward", "TargetGroupArn": NO_TG}]}, "TargetGroupNotFound"),
        ("CreateRule", {"ListenerArn": "$listener", "Priority": 5, "Conditions": PATH, "Actions": FORWARD, "Tags": [{"Key": f"k{n}"} for n in range(51)]}, "TooManyTags"),
        ("CreateRule", {"ListenerArn": "$listener", "Priority": 0, "Conditions": PATH, "Actions": FORWARD}, "ValidationError"),
        ("DescribeRules", {"ListenerArn": NO_LISTENER}, "ListenerNotFound"),
        ("DescribeRules", {"RuleArns": [NO_RULE]}, "RuleNotFound"),
        ("ModifyRule", {"RuleArn": NO_RULE, "Conditions": PATH}, "RuleNotFound"),
        ("ModifyRule", {"RuleArn": "$rule", "Actions": [{"Type": "forward", "TargetGroupArn": NO_TG}]}, "TargetGroupNotFound"),
        ("DeleteRule", {"RuleArn": NO_RULE}, "RuleNotFound"),
        ("SetRulePriorities", {"RulePriorities": [{"RuleArn": NO_RULE, "Priority": 4}]}, "RuleNotFound"),
        ("SetRulePriorities", {"RulePriorities": [{"RuleArn": "$rule", "Priority": 20}]}, "PriorityInUse"),
        ("AddTags", {"ResourceArns": [NO_LB], "Tags": [{"Key": "a"}]}, "LoadBalancerNotFound"),
        ("AddTags", {"ResourceArns": [NO_TG], "Tags": [{"Key": "a"}]}, "TargetGroupNotFound"),
        ("AddTags", {"ResourceArns": [NO_LISTENER], "Tags": [{"Key": "a"}]}, "ListenerNotFound"),
        ("AddTags", {"ResourceArns": [NO_RULE], "Tags": [{"Key": "a"}]}, "RuleNotFound"),
        ("AddTags", {"ResourceArns": ["$lb"], "Tags": [{"Key": "a"}, {"Key": "a"}]}, "DuplicateTagKeys"),
        ("AddTags", {"ResourceArns": ["$lb"], "Tags": [{"Key": f"k{n}"} for n in range(51)]}, "TooManyTags"),
        ("RemoveTags", {"ResourceArns": [NO_LB], "TagKeys": ["a"]}, "LoadBalancerNotFound"),
        ("RemoveTags", {"ResourceArns": [NO_TG], "TagKeys": ["a"]}, "TargetGroupNotFound"),
        ("RemoveTags", {"ResourceArns": [NO_LISTENER], "TagKeys": ["a"]}, "ListenerNotFound"),
        ("RemoveTags", {"ResourceArns": [NO_RULE], "TagKeys": ["a"]}, "RuleNotFound"),
        ("DescribeTags", {"ResourceArns": [NO_LB]}, "LoadBalancerNotFound"),
        ("DescribeTags", {"ResourceArns": [NO_TG]}, "TargetGroupNotFound"),
        ("DescribeTags", {"ResourceArns": [NO_LISTENER]}, "ListenerNotFound"),
        ("DescribeTags", {"ResourceArns": [NO_RULE]}, "RuleNotFound"),
    ],
}

QUOTA = "a quota of its own"
UNCAUSED = {
    "elbv2": {
        "AllocationIdNotFound": "Elastic IP addresses belong to network load balancers",
        "ALPNPolicyNotFound": "ALPN policies belong to network load balancers",
        "AvailabilityZoneNotSupported": "every zone supports load balancers",
        "CapacityReservationPending": "no capacity is reserved",
        "CertificateNotFound": "certificates are not kept",
        "HealthUnavailable": "health is always known",
        "IncompatibleProtocols": "application load balancers speak HTTP and HTTPS",
        "InvalidScheme": "the enumeration is checked first: ValidationError",
        "InvalidSubnet": "the only VPC is the default one",
        "SSLPolicyNotFound": "TLS is not terminated",
        "TooManyCertificates": "certificates are not kept",
        "TrustStoreNotFound": "trust stores are not kept",
        "TrustStoreNotReady": "trust stores are not kept",
        "UnsupportedProtocol": "a protocol that is none of the type's is a ValidationError",
        **{
            code: QUOTA
            for code in [
                "TargetGroupAssociationLimit", "TooManyActions", "TooManyListeners", "TooManyLoadBalancers",
                "TooManyRegistrationsForTargetId", "TooManyRules", "TooManyTargetGroups", "TooManyTargets",
                "TooManyUniqueTargetGroupsPerLoadBalancer",
            ]
        },
    }
}

CLEAN = [
    Step("elbv2", "DeleteRule", {"RuleArn": "$rule"}),
    Step("elbv2", "DeleteListener", {"ListenerArn": "$listener"}),
    Step("elbv2", "ModifyLoadBalancerAttributes", {"LoadBalancerArn": "$lb", "Attributes": [{"Key": "deletion_protection.enabled", "Value": "false"}]}),
    Step("elbv2", "DeleteLoadBalancer", {"LoadBalancerArn": "$lb"}),
    Step("elbv2", "DeleteTargetGroup", {"TargetGroupArn": "$tg"}),
    Step("elbv2", "DeleteTargetGroup", {"TargetGroupArn": "$tg2"}),
]
