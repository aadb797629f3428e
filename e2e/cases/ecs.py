"""ECS. Its cluster takes instances of the group `ecs`, and one registered by hand as an agent would."""

from support.steps import Step

CLUSTER = {"cluster": "conformance"}
NO_CLUSTER = {"cluster": "none"}
WEB = {
    "name": "web", "image": "capstan/web", "essential": True, "cpu": 128, "memory": 256,
    "portMappings": [{"containerPort": 80, "hostPort": 0}], "environment": [{"name": "A", "value": "b"}],
    "healthCheck": {"command": ["CMD-SHELL", "true"], "interval": 5},
}
SIDE = {
    "name": "side", "image": "busybox", "essential": False, "cpu": 64, "memory": 64, "command": ["sleep", "60"],
    "dependsOn": [{"containerName": "web", "condition": "START"}], "dockerLabels": {"x": "y"},
}
SETTINGS = {"capacityProvider": "conformance", "weight": 1, "base": 0}
NO_TASK = "arn:aws:ecs:us-east-1:000000000000:task/conformance/00000000000000000000000000000000"
NO_INSTANCE = "arn:aws:ecs:us-east-1:000000000000:container-instance/conformance/00000000000000000000000000000000"
IDENTITY = (
    '{"instanceId": "$instance", "region": "$region", "accountId": "$account", "availabilityZone": "$zone",'
    ' "instanceType": "m5.large", "imageId": "$ami", "architecture": "x86_64", "version": "2017-09-30"}'
)

BUILD = [
    Step("ecs", "PutAccountSettingDefault", {"name": "containerInsights", "value": "enabled"}, expect={"setting.value": "enabled"}),
    Step("ecs", "PutAccountSetting", {"name": "containerInsights", "value": "disabled"}, expect={"setting.[name, value]": ["containerInsights", "disabled"]}),
    Step("ecs", "ListAccountSettings", {"name": "containerInsights", "effectiveSettings": True}, expect={"settings[].value": ["disabled"]}),
    Step("ecs", "DeleteAccountSetting", {"name": "containerInsights"}),
    Step(
        "ecs", "CreateCluster",
        {"clusterName": "conformance", "tags": [{"key": "a", "value": "b"}], "settings": [{"name": "containerInsights", "value": "disabled"}]},
        keep={"cluster_arn": "cluster.clusterArn"}, expect={"cluster.status": "ACTIVE"},
    ),
    Step(
        "ecs", "UpdateCluster", {**CLUSTER, "settings": [{"name": "containerInsights", "value": "enabled"}]},
        expect={"cluster.settings": [{"name": "containerInsights", "value": "enabled"}]},
    ),
    Step("ecs", "UpdateClusterSettings", {**CLUSTER, "settings": [{"name": "containerInsights", "value": "disabled"}]}),
    Step("ecs", "ListClusters", expect={"clusterArns": ["$cluster_arn"]}),
    # Capacity: a group, its provider, the association.
    Step(
        "ec2", "CreateLaunchTemplate",
        {
            "LaunchTemplateName": "ecs",
            "LaunchTemplateData": {
                "InstanceType": "m5.large", "ImageId": "$ami",
                "UserData": "IyEvYmluL3NoCmVjaG8gRUNTX0NMVVNURVI9Y29uZm9ybWFuY2UgPj4gL2V0Yy9lY3MvZWNzLmNvbmZpZwo=",
            },
        },
    ),
    Step(
        "autoscaling", "CreateAutoScalingGroup",
        {
            "AutoScalingGroupName": "ecs", "LaunchTemplate": {"LaunchTemplateName": "ecs"}, "MinSize": 0, "MaxSize": 5,
            "VPCZoneIdentifier": "$subnet,$subnet3", "NewInstancesProtectedFromScaleIn": True,
        },
    ),
    Step("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["ecs"]}, keep={"ecs_group": "AutoScalingGroups[0].AutoScalingGroupARN"}),
    Step(
        "ecs", "CreateCapacityProvider",
        {
            "name": "conformance", "tags": [{"key": "a", "value": "b"}],
            "autoScalingGroupProvider": {
                "autoScalingGroupArn": "$ecs_group",
                "managedScaling": {"status": "ENABLED", "targetCapacity": 100, "minimumScalingStepSize": 1, "maximumScalingStepSize": 10, "instanceWarmupPeriod": 60},
                "managedTerminationProtection": "ENABLED",
                "managedDraining": "ENABLED",
            },
        },
        expect={"capacityProvider.status": "ACTIVE"},
    ),
    Step(
        "ecs", "UpdateCapacityProvider",
        {"name": "conformance", "autoScalingGroupProvider": {"managedScaling": {"status": "DISABLED"}, "managedTerminationProtection": "DISABLED"}},
        expect={"capacityProvider.updateStatus": "UPDATE_IN_PROGRESS"},
    ),
    Step(
        "ecs", "DescribeCapacityProviders", {"capacityProviders": ["conformance"]}, after=60,
        expect={"capacityProviders[].[autoScalingGroupProvider.managedScaling.status, updateStatus]": [["DISABLED", "UPDATE_COMPLETE"]]},
    ),
    Step(
        "ecs", "DescribeCapacityProviders", {"capacityProviders": ["conformance", "FARGATE", "none"], "include": ["TAGS"]},
        expect={"sort(capacityProviders[].name)": ["FARGATE", "conformance"], "failures[].reason": ["MISSING"]},
    ),
    Step(
        "ecs", "PutClusterCapacityProviders",
        {**CLUSTER, "capacityProviders": ["conformance", "FARGATE"], "defaultCapacityProviderStrategy": [SETTINGS]},
        expect={"cluster.defaultCapacityProviderStrategy": [SETTINGS]},
    ),
    Step("autoscaling", "SetDesiredCapacity", {"AutoScalingGroupName": "ecs", "DesiredCapacity": 2}, after=60),
    Step(
        "ecs", "DescribeClusters",
        {"clusters": ["conformance", "none"], "include": ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS"]}, after=300,
        expect={
            "clusters[].[clusterName, attachmentsStatus, registeredContainerInstancesCount]": [["conformance", "UPDATE_COMPLETE", 2]],
            "clusters[0].tags": [{"key": "a", "value": "b"}],
            "failures[].reason": ["MISSING"],
        },
    ),
    Step("ecs", "ListContainerInstances", {**CLUSTER, "filter": "attribute:ecs.instance-type == m5.large"}, keep={"ci": "containerInstanceArns[0]", "ci2": "containerInstanceArns[1]"}),
    Step(
        "ecs", "DescribeContainerInstances", {**CLUSTER, "containerInstances": ["$ci", NO_INSTANCE], "include": ["TAGS", "CONTAINER_INSTANCE_HEALTH"]},
        keep={"capabilities": "containerInstances[0].attributes[?starts_with(name, 'com.amazonaws.ecs') || starts_with(name, 'ecs.capability') || starts_with(name, 'ecs.os')]"},
        expect={
            "containerInstances[].[status, agentConnected, capacityProviderName]": [["ACTIVE", True, "conformance"]],
            "containerInstances[0].registeredResources[?name=='MEMORY'].integerValue": [7680],
            "failures[].reason": ["MISSING"],
        },
    ),
    # The agent's side, for an instance that EC2 launched above.
    Step("ecs", "DiscoverPollEndpoint", {**CLUSTER, "containerInstance": "$ci"}),
    Step(
        "ecs", "RegisterContainerInstance",
        {
            **CLUSTER, "instanceIdentityDocument": IDENTITY,
            "totalResources": [
                {"name": "CPU", "type": "INTEGER", "integerValue": 2048}, {"name": "MEMORY", "type": "INTEGER", "integerValue": 4096},
                {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]}, {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
            ],
            "versionInfo": {"agentVersion": "1.80.0", "agentHash": "abc", "dockerVersion": "DockerVersion: 25.0"},
            "attributes": "$capabilities",
        },
        keep={"own": "containerInstance.containerInstanceArn"},
        expect={"containerInstance.[ec2InstanceId, status]": ["$instance", "ACTIVE"]},
    ),
    Step("ecs", "PutAttributes", {**CLUSTER, "attributes": [{"name": "stack", "value": "blue", "targetType": "container-instance", "targetId": "$ci"}]}),
    Step("ecs", "ListAttributes", {**CLUSTER, "targetType": "container-instance", "attributeName": "stack"}, expect={"attributes[].[value, targetId]": [["blue", "$ci"]]}),
    Step("ecs", "ListContainerInstances", {**CLUSTER, "filter": "attribute:stack == blue"}, expect={"containerInstanceArns": ["$ci"]}),
    Step("ecs", "DeleteAttributes", {**CLUSTER, "attributes": [{"name": "stack", "targetId": "$ci", "targetType": "container-instance"}]}, expect={"attributes[].name": ["stack"]}),
    Step("ecs", "PutAttributes", {**CLUSTER, "attributes": [{"name": f"a{n}", "targetId": "$ci2", "targetType": "container-instance"} for n in range(10)]}),
    # Task definitions.
    Step(
        "ecs", "RegisterTaskDefinition",
        {"family": "conformance", "containerDefinitions": [WEB, SIDE], "networkMode": "bridge", "requiresCompatibilities": ["EC2"], "tags": [{"key": "k", "value": "v"}]},
        keep={"td": "taskDefinition.taskDefinitionArn"}, expect={"taskDefinition.[family, revision, status]": ["conformance", 1, "ACTIVE"]},
    ),
    Step("ecs", "RegisterTaskDefinition", {"family": "conformance", "containerDefinitions": [WEB], "cpu": "256", "memory": "512"}, keep={"td2": "taskDefinition.taskDefinitionArn"}),
    Step("ecs", "DescribeTaskDefinition", {"taskDefinition": "conformance", "include": ["TAGS"]}, expect={"taskDefinition.revision": 2}),
    Step("ecs", "ListTaskDefinitions", {"familyPrefix": "conformance", "sort": "DESC"}, expect={"taskDefinitionArns": ["$td2", "$td"]}),
    Step("ecs", "ListTaskDefinitionFamilies", {"status": "ACTIVE"}, expect={"families": ["conformance"]}),
    # A cluster with a service and no instance, and one whose task waits for capacity.
    Step("ecs", "CreateCluster", {"clusterName": "serving"}),
    Step("ecs", "CreateService", {"cluster": "serving", "serviceName": "idle", "taskDefinition": "conformance", "desiredCount": 0, "launchType": "EC2"}),
    Step(
        "autoscaling", "CreateAutoScalingGroup",
        {"AutoScalingGroupName": "none-left", "LaunchTemplate": {"LaunchTemplateName": "ecs"}, "MinSize": 0, "MaxSize": 0, "VPCZoneIdentifier": "$subnet"},
    ),
    Step("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": ["none-left"]}, keep={"none_left": "AutoScalingGroups[0].AutoScalingGroupARN"}),
    Step("ecs", "CreateCapacityProvider", {"name": "none-left", "autoScalingGroupProvider": {"autoScalingGroupArn": "$none_left", "managedScaling": {"status": "ENABLED"}}}),
    Step("ecs", "CreateCluster", {"clusterName": "waiting", "capacityProviders": ["none-left"]}),
    Step(
        "ecs", "RunTask", {"cluster": "waiting", "taskDefinition": "conformance", "capacityProviderStrategy": [{"capacityProvider": "none-left", "weight": 1}]},
        after=60, keep={"waiting_task": "tasks[0].taskArn"}, expect={"tasks[].lastStatus": ["PROVISIONING"]},
    ),
    # Tasks.
    Step(
        "ecs", "RunTask",
        {
            **CLUSTER, "taskDefinition": "conformance:1", "count": 2, "startedBy": "tests", "group": "batch", "launchType": "EC2",
            "overrides": {"containerOverrides": [{"name": "web", "environment": [{"name": "C", "value": "d"}], "command": ["x"]}]},
            "placementStrategy": [{"type": "binpack", "field": "memory"}], "placementConstraints": [{"type": "memberOf", "expression": "ec2InstanceId != $instance"}],
            "tags": [{"key": "k", "value": "v"}], "enableExecuteCommand": False,
        },
        keep={"task": "tasks[0].taskArn", "task2": "tasks[1].taskArn"}, expect={"failures": [], "tasks[].lastStatus": ["PENDING", "PENDING"]},
    ),
    Step("ecs", "RunTask", {**CLUSTER, "taskDefinition": "$td2", "capacityProviderStrategy": [SETTINGS]}, keep={"task3": "tasks[0].taskArn"}, expect={"tasks[].capacityProviderName": ["conformance"]}),
    Step("ecs", "StartTask", {**CLUSTER, "taskDefinition": "$td2", "containerInstances": ["$own"]}, keep={"by_hand": "tasks[0].taskArn"}, expect={"tasks[].containerInstanceArn": ["$own"]}),
    Step("ecs", "SubmitContainerStateChange", {**CLUSTER, "task": "$by_hand", "containerName": "web", "status": "RUNNING", "runtimeId": "abc"}),
    Step(
        "ecs", "SubmitTaskStateChange",
        {**CLUSTER, "task": "$by_hand", "status": "RUNNING", "containers": [{"containerName": "web", "status": "RUNNING", "networkBindings": [{"containerPort": 80, "hostPort": 32768, "bindIP": "0.0.0.0", "protocol": "tcp"}]}]},
    ),
    Step(
        "ecs", "DescribeTasks", {**CLUSTER, "tasks": ["$task", "$by_hand", NO_TASK], "include": ["TAGS"]}, after=60,
        expect={"tasks[].lastStatus": ["RUNNING", "RUNNING"], "failures[].reason": ["MISSING"], "tasks[0].tags": [{"key": "k", "value": "v"}], "tasks[0].group": "batch"},
    ),
    Step("ecs", "ListTasks", {**CLUSTER, "startedBy": "tests"}, expect={"length(taskArns)": 2}),
    Step("ecs", "ListTasks", {**CLUSTER, "family": "conformance", "containerInstance": "$own", "desiredStatus": "RUNNING"}, expect={"taskArns": ["$by_hand"]}),
    Step("ecs", "StopTask", {**CLUSTER, "task": "$task", "reason": "enough"}, expect={"task.[desiredStatus, stopCode, stoppedReason]": ["STOPPED", "UserInitiated", "enough"]}),
    Step("ecs", "DescribeTasks", {**CLUSTER, "tasks": ["$task"]}, after=60, expect={"tasks[].[lastStatus, stopCode]": [["STOPPED", "UserInitiated"]]}),
    # Services.
    Step(
        "ecs", "CreateService",
        {
            **CLUSTER, "serviceName": "web", "taskDefinition": "conformance", "desiredCount": 2,
            "loadBalancers": [{"targetGroupArn": "$tg", "containerName": "web", "containerPort": 80}],
            "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 50, "deploymentCircuitBreaker": {"enable": True, "rollback": True}},
            "placementStrategy": [{"type": "spread", "field": "attribute:ecs.availability-zone"}], "healthCheckGracePeriodSeconds": 10,
            "tags": [{"key": "k", "value": "v"}], "enableECSManagedTags": True, "propagateTags": "SERVICE",
        },
        keep={"service": "service.serviceArn"},
        expect={"service.[status, desiredCount, schedulingStrategy]": ["ACTIVE", 2, "REPLICA"], "service.capacityProviderStrategy": [SETTINGS]},
    ),
    Step("ecs", "CreateService", {**CLUSTER, "serviceName": "daemon", "taskDefinition": "conformance", "schedulingStrategy": "DAEMON", "launchType": "EC2"}, expect={"service.schedulingStrategy": "DAEMON"}),
    Step("ecs", "UpdateService", {**CLUSTER, "service": "web", "desiredCount": 3}, after=120, expect={"service.desiredCount": 3}),
    Step(
        "ecs", "DescribeServices", {**CLUSTER, "services": ["web", "none"], "include": ["TAGS"]}, after=300,
        expect={"services[].[serviceName, runningCount, pendingCount]": [["web", 3, 0]], "failures[].reason": ["MISSING"], "services[0].deployments[].rolloutState": ["COMPLETED"]},
    ),
    Step("ecs", "ListServices", {**CLUSTER, "schedulingStrategy": "REPLICA"}, expect={"serviceArns": ["$service"]}),
    Step("ecs", "ListTasks", {**CLUSTER, "serviceName": "web"}, keep={"service_task": "taskArns[0]"}, expect={"length(taskArns)": 3}),
    Step("ecs", "UpdateTaskProtection", {**CLUSTER, "tasks": ["$service_task", "$task2"], "protectionEnabled": True, "expiresInMinutes": 5}, expect={"protectedTasks[].protectionEnabled": [True], "failures[].reason": ["TASK_NOT_VALID"]}),
    Step("ecs", "GetTaskProtection", {**CLUSTER, "tasks": ["$service_task"]}, expect={"protectedTasks[].[taskArn, protectionEnabled]": [["$service_task", True]]}),
    Step("ecs", "UpdateContainerInstancesState", {**CLUSTER, "containerInstances": ["$own"], "status": "DRAINING"}, expect={"containerInstances[].status": ["DRAINING"], "failures": []}),
    Step("ecs", "TagResource", {"resourceArn": "$service", "tags": [{"key": "n", "value": "m"}]}),
    Step("ecs", "UntagResource", {"resourceArn": "$service", "tagKeys": ["k"]}),
    Step("ecs", "ListTagsForResource", {"resourceArn": "$service"}, expect={"tags": [{"key": "n", "value": "m"}]}),
]

# What is under way when the errors are caused.
BUILD += [
    Step("ecs", "CreateService", {**CLUSTER, "serviceName": "gone", "taskDefinition": "conformance", "desiredCount": 0, "launchType": "EC2"}),
    Step("ecs", "DeleteService", {**CLUSTER, "service": "gone"}),
    Step("ecs", "RunTask", {**CLUSTER, "taskDefinition": "conformance", "launchType": "EC2", "clientToken": "once"}, keep={"once": "tasks[0].taskArn"}, after=60),
    Step("ecs", "RunTask", {**CLUSTER, "taskDefinition": "conformance", "launchType": "EC2", "clientToken": "once"}, expect={"tasks[].taskArn": ["$once"]}),
    Step("ecs", "CreateCluster", {"clusterName": "busy"}),
    Step("ecs", "PutClusterCapacityProviders", {"cluster": "busy", "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": []}),
]

STRATEGY = {"capacityProvider": "conformance", "weight": 0}
SERVICE = {**CLUSTER, "serviceName": "x", "taskDefinition": "conformance", "desiredCount": 1}

ERRORS = {
    "ecs": [
        *[
            (operation, {**NO_CLUSTER, **arguments}, "ClusterNotFoundException")
            for operation, arguments in [
                ("UpdateCluster", {}), ("UpdateClusterSettings", {"settings": [{"name": "containerInsights", "value": "enabled"}]}),
                ("DeleteCluster", {}), ("PutClusterCapacityProviders", {"capacityProviders": [], "defaultCapacityProviderStrategy": []}),
                ("CreateService", {"serviceName": "x", "taskDefinition": "conformance", "desiredCount": 1}), ("UpdateService", {"service": "web"}),
                ("DescribeServices", {"services": ["web"]}), ("ListServices", {}), ("DeleteService", {"service": "web"}),
                ("RunTask", {"taskDefinition": "conformance"}), ("StartTask", {"taskDefinition": "conformance", "containerInstances": ["$ci"]}),
                ("StopTask", {"task": "$task2"}), ("DescribeTasks", {"tasks": ["$task2"]}), ("ListTasks", {}),
                ("RegisterContainerInstance", {"instanceIdentityDocument": IDENTITY}), ("DeregisterContainerInstance", {"containerInstance": "$ci"}),
                ("DescribeContainerInstances", {"containerInstances": ["$ci"]}), ("ListContainerInstances", {}),
                ("UpdateContainerInstancesState", {"containerInstances": ["$ci"], "status": "DRAINING"}),
                ("PutAttributes", {"attributes": [{"name": "a", "targetId": "$ci", "targetType": "container-instance"}]}),
                ("DeleteAttributes", {"attributes": [{"name": "a", "targetId": "$ci", "targetType": "container-instance"}]}),
                ("ListAttributes", {"targetType": "container-instance"}), ("GetTaskProtection", {"tasks": ["$service_task"]}),
                ("UpdateTaskProtection", {"tasks": ["$service_task"], "protectionEnabled": True}),
                ("SubmitTaskStateChange", {"task": "$task2", "status": "RUNNING"}), ("SubmitContainerStateChange", {"task": "$task2", "containerName": "web", "status": "RUNNING"}),
            ]
        ],
        ("PutClusterCapacityProviders", {"cluster": "busy", "capacityProviders": [], "defaultCapacityProviderStrategy": []}, "UpdateInProgressException"),
        ("DescribeCapacityProviders", {"cluster": "none"}, "ClusterNotFoundException"),
        ("DeleteCluster", {"cluster": "busy"}, "UpdateInProgressException"),
        ("UpdateService", {**CLUSTER, "service": "gone", "desiredCount": 1}, "ServiceNotActiveException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "launchType": "EC2", "clientToken": "once", "count": 2}, "ConflictException"),
        ("CreateCapacityProvider", {"name": "x", "managedInstancesProvider": {"infrastructureRoleArn": "arn:aws:iam::000000000000:role/x", "instanceLaunchTemplate": {"ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/x", "networkConfiguration": {"subnets": ["$subnet"]}}}}, "UnsupportedFeatureException"),
        ("CreateService", {**SERVICE, "launchType": "FARGATE"}, "UnsupportedFeatureException"),
        ("UpdateCluster", {**CLUSTER, "settings": [{"name": "weather", "value": "enabled"}]}, "InvalidParameterException"),
        ("DeleteAttributes", {**CLUSTER, "attributes": [{"name": "a", "targetId": "$ci", "targetType": "cloud"}]}, "InvalidParameterException"),
        ("CreateCluster", {"clusterName": "not a name!"}, "InvalidParameterException"),
        ("CreateCluster", {"clusterName": "x", "capacityProviders": ["none"]}, "InvalidParameterException"),
        ("DescribeClusters", {"include": ["WEATHER"]}, "InvalidParameterException"),
        ("ListClusters", {"maxResults": 101}, "InvalidParameterException"),
        ("ListClusters", {"nextToken": "not ours"}, "InvalidParameterException"),
        ("UpdateClusterSettings", {**CLUSTER, "settings": [{"name": "weather", "value": "enabled"}]}, "InvalidParameterException"),
        ("DeleteCluster", CLUSTER, "ClusterContainsContainerInstancesException"),
        ("DeleteCluster", {"cluster": "serving"}, "ClusterContainsServicesException"),
        ("DeleteCluster", {"cluster": "waiting"}, "ClusterContainsTasksException"),
        ("PutClusterCapacityProviders", {**CLUSTER, "capacityProviders": ["none"], "defaultCapacityProviderStrategy": []}, "InvalidParameterException"),
        ("PutClusterCapacityProviders", {**CLUSTER, "capacityProviders": [], "defaultCapacityProviderStrategy": []}, "ResourceInUseException"),
        ("PutClusterCapacityProviders", {**CLUSTER, "capacityProviders": ["FARGATE"], "defaultCapacityProviderStrategy": [SETTINGS]}, "InvalidParameterException"),
        ("CreateCapacityProvider", {"name": "aws-mine", "autoScalingGroupProvider": {"autoScalingGroupArn": "$group_arn"}}, "InvalidParameterException"),
        ("CreateCapacityProvider", {"name": "x", "autoScalingGroupProvider": {"autoScalingGroupArn": "$group_arn", "managedScaling": {"status": "ENABLED", "targetCapacity": 101}}}, "InvalidParameterException"),
        ("CreateCapacityProvider", {"name": "x"}, "InvalidParameterException"),
        ("CreateCapacityProvider", {"name": "x", "autoScalingGroupProvider": {"autoScalingGroupArn": "$group_arn", "managedScaling": {"status": "ENABLED"}, "managedTerminationProtection": "ENABLED"}}, "ClientException"),
        ("DescribeCapacityProviders", {"nextToken": "not ours"}, "InvalidParameterException"),
        ("UpdateCapacityProvider", {"name": "none", "autoScalingGroupProvider": {}}, "ClientException"),
        ("UpdateCapacityProvider", {"name": "conformance", "autoScalingGroupProvider": {"managedScaling": {"status": "ENABLED", "targetCapacity": 0}}}, "InvalidParameterException"),
        ("DeleteCapacityProvider", {"capacityProvider": "none"}, "ClientException"),
        ("DeleteCapacityProvider", {"capacityProvider": "conformance"}, "ClientException"),
        ("DeleteCapacityProvider", {"capacityProvider": "FARGATE"}, "InvalidParameterException"),
        ("RegisterTaskDefinition", {"family": "x", "containerDefinitions": []}, "ClientException"),
        ("RegisterTaskDefinition", {"family": "not a name!", "containerDefinitions": [WEB]}, "ClientException"),
        ("RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{"name": "a", "image": "b"}]}, "ClientException"),
        ("RegisterTaskDefinition", {"family": "x", "containerDefinitions": [{**WEB, "memory": -1}]}, "ClientException"),
        ("RegisterTaskDefinition", {"family": "x", "containerDefinitions": [WEB, WEB]}, "ClientException"),
        ("DescribeTaskDefinition", {"taskDefinition": "none"}, "ClientException"),
        ("DeregisterTaskDefinition", {"taskDefinition": "conformance:77"}, "ClientException"),
        ("DeregisterTaskDefinition", {"taskDefinition": "conformance"}, "ClientException"),
        ("DeleteTaskDefinitions", {"taskDefinitions": []}, "InvalidParameterException"),
        ("ListTaskDefinitions", {"status": "LOST"}, "InvalidParameterException"),
        ("ListTaskDefinitionFamilies", {"maxResults": 0}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "serviceName": "web"}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "taskDefinition": "none"}, "ClientException"),
        ("CreateService", {**SERVICE, "desiredCount": -1}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "launchType": "EC2", "capacityProviderStrategy": [SETTINGS]}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "capacityProviderStrategy": [{"capacityProvider": "none", "weight": 1}]}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "loadBalancers": [{"targetGroupArn": "$tg", "containerName": "none", "containerPort": 80}]}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "loadBalancers": [{"targetGroupArn": "$tg2", "containerName": "web", "containerPort": 80}]}, "InvalidParameterException"),
        ("CreateService", {**SERVICE, "schedulingStrategy": "DAEMON", "launchType": "FARGATE"}, "InvalidParameterException"),
        ("UpdateService", {**CLUSTER, "service": "none"}, "ServiceNotFoundException"),
        ("UpdateService", {**CLUSTER, "service": "web", "taskDefinition": "none"}, "ClientException"),
        ("UpdateService", {**CLUSTER, "service": "web", "desiredCount": -5}, "InvalidParameterException"),
        ("DescribeServices", {**CLUSTER, "services": []}, "InvalidParameterException"),
        ("ListServices", {**CLUSTER, "nextToken": "not ours"}, "InvalidParameterException"),
        ("DeleteService", {**CLUSTER, "service": "none"}, "ServiceNotFoundException"),
        ("DeleteService", {**CLUSTER, "service": "web"}, "InvalidParameterException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "none"}, "ClientException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "count": 11}, "InvalidParameterException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "launchType": "ROCKET"}, "InvalidParameterException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "overrides": {"containerOverrides": [{"name": "none"}]}}, "InvalidParameterException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "capacityProviderStrategy": [STRATEGY, {**STRATEGY, "capacityProvider": "FARGATE"}]}, "InvalidParameterException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "placementConstraints": [{"type": "memberOf", "expression": "this is ( no expression"}]}, "InvalidParameterException"),
        ("RunTask", {**CLUSTER, "taskDefinition": "conformance", "launchType": "FARGATE"}, "UnsupportedFeatureException"),
        ("StartTask", {**CLUSTER, "taskDefinition": "conformance", "containerInstances": []}, "InvalidParameterException"),
        ("StopTask", {**CLUSTER, "task": NO_TASK}, "InvalidParameterException"),
        ("DescribeTasks", {**CLUSTER, "tasks": []}, "InvalidParameterException"),
        ("ListTasks", {**CLUSTER, "serviceName": "none"}, "ServiceNotFoundException"),
        ("ListTasks", {**CLUSTER, "desiredStatus": "HAPPY"}, "InvalidParameterException"),
        ("RegisterContainerInstance", {**CLUSTER, "instanceIdentityDocument": "{"}, "InvalidParameterException"),
        ("DeregisterContainerInstance", {**CLUSTER, "containerInstance": "$ci"}, "InvalidParameterException"),
        ("DeregisterContainerInstance", {**CLUSTER, "containerInstance": NO_INSTANCE}, "InvalidParameterException"),
        ("DescribeContainerInstances", {**CLUSTER, "containerInstances": []}, "InvalidParameterException"),
        ("ListContainerInstances", {**CLUSTER, "filter": "attribute:stack =="}, "InvalidParameterException"),
        ("UpdateContainerInstancesState", {**CLUSTER, "containerInstances": ["$ci"], "status": "GONE"}, "InvalidParameterException"),
        ("PutAttributes", {**CLUSTER, "attributes": [{"name": "a", "targetId": NO_INSTANCE, "targetType": "container-instance"}]}, "TargetNotFoundException"),
        ("PutAttributes", {**CLUSTER, "attributes": [{"name": "a", "value": " b", "targetId": "$ci", "targetType": "container-instance"}]}, "InvalidParameterException"),
        ("PutAttributes", {**CLUSTER, "attributes": [{"name": "one-more", "targetId": "$ci2", "targetType": "container-instance"}]}, "AttributeLimitExceededException"),
        ("DeleteAttributes", {**CLUSTER, "attributes": [{"name": "a", "targetId": NO_INSTANCE, "targetType": "container-instance"}]}, "TargetNotFoundException"),
        ("ListAttributes", {**CLUSTER, "targetType": "cloud"}, "InvalidParameterException"),
        ("GetTaskProtection", {**CLUSTER, "tasks": [f"{n:032x}" for n in range(101)]}, "InvalidParameterException"),
        ("UpdateTaskProtection", {**CLUSTER, "tasks": ["$service_task"], "protectionEnabled": True, "expiresInMinutes": 0}, "InvalidParameterException"),
        ("TagResource", {"resourceArn": "nonsense", "tags": [{"key": "a", "value": "b"}]}, "InvalidParameterException"),
        ("TagResource", {"resourceArn": "arn:aws:ecs:us-east-1:000000000000:service/conformance/none", "tags": [{"key": "a", "value": "b"}]}, "ResourceNotFoundException"),
        ("TagResource", {"resourceArn": "$service", "tags": [{"key": "aws:a", "value": "b"}]}, "InvalidParameterException"),
        ("TagResource", {"resourceArn": "$service", "tags": [{"key": f"k{n}", "value": "b"} for n in range(50)]}, "LimitExceededException"),
        ("TagResource", {"resourceArn": "arn:aws:ecs:us-east-1:000000000000:service/none/none", "tags": [{"key": "a", "value": "b"}]}, "ClusterNotFoundException"),
        ("UntagResource", {"resourceArn": "arn:aws:ecs:us-east-1:000000000000:service/conformance/none", "tagKeys": ["a"]}, "ResourceNotFoundException"),
        ("UntagResource", {"resourceArn": "arn:aws:ecs:us-east-1:000000000000:service/none/none", "tagKeys": ["a"]}, "ClusterNotFoundException"),
        ("UntagResource", {"resourceArn": "nonsense", "tagKeys": ["a"]}, "InvalidParameterException"),
        ("ListTagsForResource", {"resourceArn": "arn:aws:ecs:us-east-1:000000000000:service/none/none"}, "ClusterNotFoundException"),
        ("ListTagsForResource", {"resourceArn": "nonsense"}, "InvalidParameterException"),
        ("PutAccountSetting", {"name": "weather", "value": "enabled"}, "InvalidParameterException"),
        ("PutAccountSetting", {"name": "containerInsights", "value": "perhaps"}, "InvalidParameterException"),
        ("PutAccountSettingDefault", {"name": "weather", "value": "enabled"}, "InvalidParameterException"),
        ("ListAccountSettings", {"name": "weather"}, "InvalidParameterException"),
        ("DeleteAccountSetting", {"name": "weather"}, "InvalidParameterException"),
    ],
}

UNCAUSED = {
    "ecs": {
        "AccessDeniedException": "there are no permissions",
        "ServerException": "the server does not fail",
        "BlockedException": "accounts are never blocked",
        "NamespaceNotFoundException": "Service Connect is not built",
        "PlatformUnknownException": "Fargate is not built",
        "PlatformTaskDefinitionIncompatibilityException": "Fargate is not built",
        "ClusterContainsCapacityProviderException": "Managed Instances are not built",
    }
}

CLEAN = [
    Step("ecs", "UpdateService", {**CLUSTER, "service": "web", "desiredCount": 0}),
    Step("ecs", "UpdateTaskProtection", {**CLUSTER, "tasks": ["$service_task"], "protectionEnabled": False}),
    Step("ecs", "DeleteService", {**CLUSTER, "service": "web"}, after=300, expect={"service.status": "DRAINING"}),
    Step("ecs", "DeleteService", {**CLUSTER, "service": "daemon", "force": True}),
    Step("ecs", "StopTask", {"cluster": "waiting", "task": "$waiting_task"}),
    Step("ecs", "DeleteCluster", {"cluster": "waiting"}, after=60),
    Step("ecs", "DeleteService", {"cluster": "serving", "service": "idle"}),
    Step("ecs", "DeleteCluster", {"cluster": "serving"}, after=60),
    Step("ecs", "DeleteCluster", {"cluster": "busy"}),
    Step("ecs", "StopTask", {**CLUSTER, "task": "$task3"}),
    Step("ecs", "StopTask", {**CLUSTER, "task": "$once"}),
    Step("ecs", "DeregisterContainerInstance", {**CLUSTER, "containerInstance": "$own", "force": True}, expect={"containerInstance.status": "INACTIVE"}),
    Step("ecs", "PutClusterCapacityProviders", {**CLUSTER, "capacityProviders": [], "defaultCapacityProviderStrategy": []}, after=300),
    Step("ecs", "DeleteCapacityProvider", {"capacityProvider": "conformance"}, after=60),
    Step("autoscaling", "DeleteAutoScalingGroup", {"AutoScalingGroupName": "ecs", "ForceDelete": True}),
    Step("ecs", "DeleteCapacityProvider", {"capacityProvider": "none-left"}),
    Step("autoscaling", "DeleteAutoScalingGroup", {"AutoScalingGroupName": "none-left"}),
    Step("ec2", "DeleteLaunchTemplate", {"LaunchTemplateName": "ecs"}),
    Step("ecs", "DeregisterTaskDefinition", {"taskDefinition": "$td"}, expect={"taskDefinition.status": "INACTIVE"}),
    Step("ecs", "DeleteTaskDefinitions", {"taskDefinitions": ["$td", "$td2"]}, expect={"taskDefinitions[].status": ["DELETE_IN_PROGRESS"], "failures[].arn": ["$td2"]}),
    Step("ecs", "DeleteCluster", CLUSTER, after=600, expect={"cluster.status": "INACTIVE"}),
]
