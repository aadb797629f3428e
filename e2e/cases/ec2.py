"""EC2."""

from support.steps import Step

BUILD = [
    Step("ec2", "DescribeRegions", expect={"Regions[?RegionName=='us-east-1'].Endpoint": ["ec2.us-east-1.amazonaws.com"]}),
    Step("ec2", "DescribeAvailabilityZones", keep={"zones": "AvailabilityZones[].ZoneName"}),
    Step(
        "ec2", "DescribeVpcs", {"Filters": [{"Name": "is-default", "Values": ["true"]}]}, keep={"vpc": "Vpcs[0].VpcId"},
        expect={"length(Vpcs)": 1, "Vpcs[0].CidrBlock": "172.31.0.0/16"},
    ),
    Step(
        "ec2", "DescribeSubnets", {"Filters": [{"Name": "vpc-id", "Values": ["$vpc"]}]},
        keep={"subnets": "Subnets[].SubnetId", "subnet": "Subnets[0].SubnetId", "zone": "Subnets[0].AvailabilityZone",
              "subnet2": "Subnets[1].SubnetId", "subnet3": "Subnets[2].SubnetId"},
    ),
    Step(
        "ec2", "DescribeSecurityGroups", keep={"security_group": "SecurityGroups[0].GroupId"},
        expect={"SecurityGroups[0].GroupName": "default"},
    ),
    Step("ec2", "DescribeImages", {"ImageIds": ["$ami"]}, expect={"Images[0].Architecture": "x86_64", "Images[0].State": "available"}),
    Step("ec2", "DescribeImages", {"Owners": ["amazon"], "Filters": [{"Name": "architecture", "Values": ["arm64"]}]}),
    Step(
        "ec2", "DescribeInstanceTypes", {"InstanceTypes": ["m5.large", "t3.small"]},
        expect={"sort_by(InstanceTypes, &InstanceType)[].[VCpuInfo.DefaultVCpus, MemoryInfo.SizeInMiB]": [[2, 8192], [2, 2048]]},
    ),
    Step(
        "ec2", "DescribeInstanceTypeOfferings",
        {"LocationType": "availability-zone", "Filters": [{"Name": "instance-type", "Values": ["m5.large"]}]},
    ),
    Step(
        "ec2", "CreateLaunchTemplate",
        {
            "LaunchTemplateName": "conformance",
            "VersionDescription": "first",
            "LaunchTemplateData": {
                "InstanceType": "m5.large",
                "ImageId": "$ami",
                "SecurityGroupIds": ["$security_group"],
                "UserData": "IyEvYmluL3NoCnRydWUK",
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "from", "Value": "template"}]}],
                "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "Encrypted": True}}],
                "Monitoring": {"Enabled": True},
            },
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": [{"Key": "purpose", "Value": "tests"}]}],
        },
        keep={"template": "LaunchTemplate.LaunchTemplateId"},
        expect={"LaunchTemplate.LatestVersionNumber": 1, "LaunchTemplate.Tags": [{"Key": "purpose", "Value": "tests"}]},
    ),
    Step(
        "ec2", "CreateLaunchTemplateVersion",
        {"LaunchTemplateId": "$template", "SourceVersion": "1", "LaunchTemplateData": {"InstanceType": "t3.small"}},
        expect={"LaunchTemplateVersion.VersionNumber": 2, "LaunchTemplateVersion.LaunchTemplateData.ImageId": "$ami"},
    ),
    Step("ec2", "CreateLaunchTemplateVersion", {"LaunchTemplateName": "conformance", "LaunchTemplateData": {"InstanceType": "m5.xlarge"}}),
    Step(
        "ec2", "ModifyLaunchTemplate", {"LaunchTemplateId": "$template", "DefaultVersion": "2"},
        expect={"LaunchTemplate.DefaultVersionNumber": 2},
    ),
    Step(
        "ec2", "DescribeLaunchTemplates", {"LaunchTemplateNames": ["conformance"]},
        expect={"LaunchTemplates[0].[DefaultVersionNumber, LatestVersionNumber]": [2, 3]},
    ),
    Step(
        "ec2", "DescribeLaunchTemplateVersions", {"LaunchTemplateId": "$template", "Versions": ["1", "$$Latest", "$$Default"]},
        expect={"sort(LaunchTemplateVersions[].VersionNumber)": [1, 2, 3]},
    ),
    Step(
        "ec2", "DeleteLaunchTemplateVersions", {"LaunchTemplateId": "$template", "Versions": ["3", "9"]},
        expect={
            "SuccessfullyDeletedLaunchTemplateVersions[].VersionNumber": [3],
            "UnsuccessfullyDeletedLaunchTemplateVersions[].ResponseError.Code": ["launchTemplateVersionDoesNotExist"],
        },
    ),
    Step(
        "ec2", "RunInstances",
        {
            "LaunchTemplate": {"LaunchTemplateId": "$template", "Version": "1"},
            "SubnetId": "$subnet",
            "MinCount": 2,
            "MaxCount": 2,
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "one"}]}],
        },
        keep={"instance": "Instances[0].InstanceId", "instance2": "Instances[1].InstanceId"},
        expect={"Instances[].State.Name": ["pending", "pending"], "Instances[0].Placement.AvailabilityZone": "$zone"},
    ),
    Step(
        "ec2", "DescribeInstances", {"InstanceIds": ["$instance"]}, after=120,
        expect={"Reservations[].Instances[].State.Name": ["running"], "Reservations[].Instances[].InstanceType": ["m5.large"]},
    ),
    Step(
        "ec2", "DescribeInstanceStatus", {"InstanceIds": ["$instance"]}, after=300,
        expect={"InstanceStatuses[0].[InstanceState.Name, SystemStatus.Status, InstanceStatus.Status]": ["running", "ok", "ok"]},
    ),
    Step("ec2", "CreateTags", {"Resources": ["$instance"], "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]}),
    Step(
        "ec2", "DescribeTags", {"Filters": [{"Name": "resource-id", "Values": ["$instance"]}]},
        expect={"sort_by(Tags[?!starts_with(Key, 'aws:')], &Key)[].[Key, Value]": [["Name", "one"], ["a", "1"], ["b", ""], ["from", "template"]]},
    ),
    Step("ec2", "DeleteTags", {"Resources": ["$instance"], "Tags": [{"Key": "a"}]}),
    Step(
        "ec2", "DescribeInstances", {"Filters": [{"Name": "tag-key", "Values": ["b"]}, {"Name": "instance-state-name", "Values": ["running"]}]},
        expect={"Reservations[].Instances[].InstanceId": ["$instance"]},
    ),
    Step(
        "ec2", "StopInstances", {"InstanceIds": ["$instance2"]},
        expect={"StoppingInstances[0].[PreviousState.Name, CurrentState.Name]": ["running", "stopping"]},
    ),
    Step(
        "ec2", "DescribeInstances", {"InstanceIds": ["$instance2"]}, after=120,
        expect={"Reservations[].Instances[].[State.Name, StateReason.Code]": [["stopped", "Client.UserInitiatedShutdown"]]},
    ),
    Step(
        "ec2", "StartInstances", {"InstanceIds": ["$instance2"]},
        expect={"StartingInstances[0].[PreviousState.Name, CurrentState.Name]": ["stopped", "pending"]},
    ),
    Step("ec2", "DescribeInstances", {"InstanceIds": ["$instance2"]}, after=120, expect={"Reservations[].Instances[].State.Name": ["running"]}),
    Step("ec2", "RebootInstances", {"InstanceIds": ["$instance2"]}),
    Step("ec2", "DescribeInstances", {"InstanceIds": ["$instance2"]}, after=120, expect={"Reservations[].Instances[].State.Name": ["running"]}),
    Step(
        "ec2", "TerminateInstances", {"InstanceIds": ["$instance2"]},
        expect={"TerminatingInstances[0].[PreviousState.Name, CurrentState.Name]": ["running", "shutting-down"]},
    ),
    Step(
        "ec2", "RequestSpotInstances",
        {
            "InstanceCount": 1,
            "Type": "one-time",
            "LaunchSpecification": {"ImageId": "$ami", "InstanceType": "m5.large", "SubnetId": "$subnet"},
            "TagSpecifications": [{"ResourceType": "spot-instances-request", "Tags": [{"Key": "purpose", "Value": "tests"}]}],
        },
        keep={"request": "SpotInstanceRequests[0].SpotInstanceRequestId"},
        expect={"SpotInstanceRequests[0].[State, Status.Code, Type]": ["open", "pending-evaluation", "one-time"]},
    ),
    Step(
        "ec2", "DescribeSpotInstanceRequests", {"SpotInstanceRequestIds": ["$request"]}, after=60,
        keep={"spot_instance": "SpotInstanceRequests[0].InstanceId"},
        expect={
            "SpotInstanceRequests[0].[State, Status.Code]": ["active", "fulfilled"],
            "SpotInstanceRequests[0].LaunchedAvailabilityZone": "$zone",
        },
    ),
    Step(
        "ec2", "DescribeSpotInstanceRequests",
        {"Filters": [{"Name": "state", "Values": ["active"]}, {"Name": "tag:purpose", "Values": ["tests"]}]},
        expect={"SpotInstanceRequests[].InstanceId": ["$spot_instance"]},
    ),
    Step(
        "ec2", "CancelSpotInstanceRequests", {"SpotInstanceRequestIds": ["$request"]},
        expect={"CancelledSpotInstanceRequests[0].State": "cancelled"},
    ),
    Step(
        "ec2", "DescribeSpotInstanceRequests", {"SpotInstanceRequestIds": ["$request"]},
        expect={"SpotInstanceRequests[0].[State, Status.Code]": ["cancelled", "request-canceled-and-instance-running"]},
    ),
    Step("ec2", "TerminateInstances", {"InstanceIds": ["$spot_instance"]}),
    Step(
        "ec2", "DescribeSpotPriceHistory",
        {"InstanceTypes": ["m5.large"], "AvailabilityZone": "us-east-1a", "ProductDescriptions": ["Linux/UNIX"], "MaxResults": 5},
        expect={"SpotPriceHistory[0].[InstanceType, AvailabilityZone, ProductDescription, SpotPrice]":
                ["m5.large", "us-east-1a", "Linux/UNIX", "0.032200"]},
    ),
    Step(
        "ec2", "DescribeSpotPriceHistory",
        {"Filters": [{"Name": "instance-type", "Values": ["m5.l*"]}, {"Name": "availability-zone-id", "Values": ["use1-az2"]}]},
        expect={"SpotPriceHistory[].[InstanceType, SpotPrice]": [["m5.large", "0.031700"]]},
    ),
    Step(
        "ec2", "GetSpotPlacementScores",
        {"InstanceTypes": ["m5.large", "m5a.large", "m5d.large"], "TargetCapacity": 10, "RegionNames": ["us-east-1", "eu-west-1"]},
        expect={"SpotPlacementScores[].[Region, Score]": [["eu-west-1", 10], ["us-east-1", 10]]},
    ),
    Step(
        "ec2", "CreateFleet",
        {
            "Type": "instant",
            "LaunchTemplateConfigs": [{
                "LaunchTemplateSpecification": {"LaunchTemplateId": "$template", "Version": "1"},
                "Overrides": [{"InstanceType": "m5.large", "SubnetId": "$subnet", "WeightedCapacity": 1.0},
                              {"InstanceType": "m5.xlarge", "SubnetId": "$subnet", "WeightedCapacity": 2.0}],
            }],
            "TargetCapacitySpecification": {"TotalTargetCapacity": 3, "OnDemandTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
            "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
        },
        keep={"fleet_instances": "Instances[].InstanceIds[]"},
        expect={"Instances[].Lifecycle": ["on-demand", "spot"], "length(Errors)": 0},
    ),
    Step("ec2", "TerminateInstances", {"InstanceIds": "$fleet_instances"}),
]

ERRORS = {
    "ec2": [
        ("CreateLaunchTemplate", {"LaunchTemplateName": "conformance", "LaunchTemplateData": {"InstanceType": "m5.large"}}, "InvalidLaunchTemplateName.AlreadyExistsException"),
        ("CreateLaunchTemplate", {"LaunchTemplateData": {}}, "MissingParameter"),
        ("DescribeLaunchTemplates", {"LaunchTemplateNames": ["none"]}, "InvalidLaunchTemplateName.NotFoundException"),
        ("DescribeLaunchTemplates", {"LaunchTemplateIds": ["lt-00000000000000000"]}, "InvalidLaunchTemplateId.NotFound"),
        ("CreateLaunchTemplateVersion", {"LaunchTemplateName": "none", "LaunchTemplateData": {"InstanceType": "m5.large"}}, "InvalidLaunchTemplateName.NotFoundException"),
        ("DescribeLaunchTemplateVersions", {"LaunchTemplateId": "$template", "Versions": ["77"]}, "InvalidLaunchTemplateId.VersionNotFound"),
        ("ModifyLaunchTemplate", {"LaunchTemplateId": "$template", "DefaultVersion": "77"}, "InvalidLaunchTemplateId.VersionNotFound"),
        ("DeleteLaunchTemplate", {"LaunchTemplateName": "none"}, "InvalidLaunchTemplateName.NotFoundException"),
        ("DescribeInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
        ("DescribeInstances", {"InstanceIds": ["nonsense"]}, "InvalidInstanceID.Malformed"),
        ("DescribeInstanceStatus", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
        ("TerminateInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
        ("TerminateInstances", {}, "MissingParameter"),
        ("RunInstances", {"MinCount": 1, "MaxCount": 1}, "MissingParameter"),
        ("RunInstances", {"MinCount": 1, "MaxCount": 1, "ImageId": "ami-00000000000000000", "InstanceType": "m5.large"}, "InvalidAMIID.NotFound"),
        ("RunInstances", {"MinCount": 3, "MaxCount": 1, "ImageId": "$ami", "InstanceType": "m5.large"}, "InvalidParameterCombination"),
        ("RunInstances", {"MinCount": 1, "MaxCount": 1, "ImageId": "$ami", "InstanceType": "m5.huge"}, "InvalidParameterValue"),
        ("RunInstances", {"MinCount": 1, "MaxCount": 1, "ImageId": "$ami", "InstanceType": "m5.large", "SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
        ("StopInstances", {}, "MissingParameter"),
        ("StopInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
        ("StopInstances", {"InstanceIds": ["$instance"], "Hibernate": True}, "UnsupportedHibernationConfiguration"),
        ("RequestSpotInstances", {}, "MissingParameter"),
        ("RequestSpotInstances", {"InstanceCount": 0, "LaunchSpecification": {"ImageId": "$ami", "InstanceType": "m5.large"}}, "InvalidParameterValue"),
        ("RequestSpotInstances", {"LaunchSpecification": {"ImageId": "ami-00000000000000000", "InstanceType": "m5.large"}}, "InvalidAMIID.NotFound"),
        ("DescribeSpotInstanceRequests", {"SpotInstanceRequestIds": ["sir-none1234"]}, "InvalidSpotInstanceRequestID.NotFound"),
        ("CancelSpotInstanceRequests", {"SpotInstanceRequestIds": ["sir-none1234"]}, "InvalidSpotInstanceRequestID.NotFound"),
        ("DescribeSpotPriceHistory", {"MaxResults": 0}, "InvalidParameterValue"),
        ("DescribeSpotPriceHistory", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("GetSpotPlacementScores", {"InstanceTypes": ["m5.large"], "TargetCapacity": 0}, "InvalidParameterValue"),
        ("GetSpotPlacementScores", {"TargetCapacity": 1}, "MissingParameter"),
        (
            "CreateFleet",
            {
                "Type": "maintain",
                "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"LaunchTemplateId": "$template", "Version": "1"}}],
                "TargetCapacitySpecification": {"TotalTargetCapacity": 1},
            },
            "UnsupportedOperation",
        ),
        (
            "CreateFleet",
            {"Type": "instant", "LaunchTemplateConfigs": [], "TargetCapacitySpecification": {"TotalTargetCapacity": 1}},
            "MissingParameter",
        ),
        ("DescribeImages", {"ImageIds": ["ami-00000000000000000"]}, "InvalidAMIID.NotFound"),
        ("DescribeVpcs", {"VpcIds": ["vpc-00000000000000000"]}, "InvalidVpcID.NotFound"),
        ("DescribeSubnets", {"SubnetIds": ["subnet-00000000000000000"]}, "InvalidSubnetID.NotFound"),
        ("DescribeSecurityGroups", {"GroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ("DescribeInstanceTypes", {"InstanceTypes": ["m5.huge"]}, "InvalidInstanceType"),
        ("DescribeRegions", {"RegionNames": ["mars-north-1"]}, "InvalidParameterValue"),
        ("DescribeAvailabilityZones", {"ZoneNames": ["us-east-1z"]}, "InvalidParameterValue"),
        ("DescribeInstances", {"Filters": [{"Name": "no-such-filter", "Values": ["x"]}]}, "InvalidParameterValue"),
        ("DescribeInstances", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("CreateTags", {"Resources": ["i-0123456789abcdef0"], "Tags": [{"Key": "a", "Value": "b"}]}, "InvalidInstanceID.NotFound"),
        ("CreateTags", {"Resources": ["$instance"], "Tags": [{"Key": "aws:a", "Value": "b"}]}, "InvalidParameterValue"),
    ],
}

# EC2's model names no errors.
UNCAUSED = {}

CLEAN = [
    Step("ec2", "TerminateInstances", {"InstanceIds": ["$instance"]}),
    Step("ec2", "DescribeInstances", {"InstanceIds": ["$instance"]}, after=120, expect={"Reservations[].Instances[].State.Name": ["terminated"]}),
    Step("ec2", "DeleteLaunchTemplate", {"LaunchTemplateId": "$template"}),
]
