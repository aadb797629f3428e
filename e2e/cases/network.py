"""EC2: networks, and what a client looks up about instances."""

from support.steps import Step


def step(operation, arguments=None, **more):
    return Step("ec2", operation, arguments or {}, **more)


def tags(kind, name):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def where(name, *values):
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def web(**more):
    return {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, **more}


VPC = [
    step(
        "CreateVpc", {"CidrBlock": "10.0.0.0/16", "TagSpecifications": tags("vpc", "net")}, keep={"net": "Vpc.VpcId"},
        expect={"Vpc.[CidrBlock, IsDefault, State, Tags[0].Value]": ["10.0.0.0/16", False, "available", "net"]},
    ),
    step("ModifyVpcAttribute", {"VpcId": "$net", "EnableDnsHostnames": {"Value": True}}),
    step("DescribeVpcAttribute", {"VpcId": "$net", "Attribute": "enableDnsHostnames"}, expect={"EnableDnsHostnames.Value": True}),
    step("DescribeVpcAttribute", {"VpcId": "$net", "Attribute": "enableDnsSupport"}, expect={"EnableDnsSupport.Value": True}),
    step(
        "AssociateVpcCidrBlock", {"VpcId": "$net", "CidrBlock": "10.1.0.0/24"}, keep={"block": "CidrBlockAssociation.AssociationId"},
        expect={"CidrBlockAssociation.CidrBlock": "10.1.0.0/24"},
    ),
    step("DisassociateVpcCidrBlock", {"AssociationId": "$block"}),
    step("DescribeVpcs", where("tag:Name", "net"), keep={"dhcp": "Vpcs[0].DhcpOptionsId"}, expect={"Vpcs[].VpcId": ["$net"]}),
    step("DescribeDhcpOptions", {"DhcpOptionsIds": ["$dhcp"]}, expect={"DhcpOptions[0].DhcpConfigurations[].Key": ["domain-name", "domain-name-servers"]}),
    step("DescribeVpnGateways", where("attachment.vpc-id", "$net"), expect={"VpnGateways": []}),
    step("DescribeFlowLogs", expect={"FlowLogs": []}),
    step("DescribeAccountAttributes", {"AttributeNames": ["default-vpc"]}, expect={"AccountAttributes[].AttributeValues[].AttributeValue": ["$vpc"]}),
    step(
        "CreateSubnet", {"VpcId": "$net", "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "$zone", "TagSpecifications": tags("subnet", "public")},
        keep={"public": "Subnet.SubnetId"}, expect={"Subnet.[AvailableIpAddressCount, MapPublicIpOnLaunch]": [251, False]},
    ),
    step("CreateSubnet", {"VpcId": "$net", "CidrBlock": "10.0.2.0/24"}, keep={"private": "Subnet.SubnetId", "zone2": "Subnet.AvailabilityZone"}),
    step("ModifySubnetAttribute", {"SubnetId": "$public", "MapPublicIpOnLaunch": {"Value": True}}),
    step("DescribeSubnets", where("map-public-ip-on-launch", "true") | {"SubnetIds": ["$public", "$private"]}, expect={"Subnets[].SubnetId": ["$public"]}),
]

ROUTES = [
    step("CreateInternetGateway", {"TagSpecifications": tags("internet-gateway", "out")}, keep={"gateway": "InternetGateway.InternetGatewayId"}),
    step("AttachInternetGateway", {"InternetGatewayId": "$gateway", "VpcId": "$net"}),
    step("DescribeInternetGateways", where("attachment.vpc-id", "$net"), expect={"InternetGateways[].Attachments[].[State, VpcId]": [["available", "$net"]]}),
    step("CreateRouteTable", {"VpcId": "$net"}, keep={"table": "RouteTable.RouteTableId"}, expect={"RouteTable.Routes[].GatewayId": ["local"]}),
    step("CreateRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "$gateway"}, expect={"Return": True}),
    step("AssociateRouteTable", {"RouteTableId": "$table", "SubnetId": "$public"}, keep={"association": "AssociationId"}),
    step(
        "DescribeRouteTables", where("association.subnet-id", "$public"),
        expect={"RouteTables[0].Routes[].[DestinationCidrBlock, GatewayId, State]": [["10.0.0.0/16", "local", "active"], ["0.0.0.0/0", "$gateway", "active"]]},
    ),
    step("AllocateAddress", {"Domain": "vpc", "TagSpecifications": tags("elastic-ip", "nat")}, keep={"allocation": "AllocationId", "ip": "PublicIp"}),
    step(
        "CreateNatGateway", {"SubnetId": "$public", "AllocationId": "$allocation", "ClientToken": "nat"}, keep={"nat": "NatGateway.NatGatewayId"},
        expect={"NatGateway.[State, NatGatewayAddresses[0].PublicIp]": ["pending", "$ip"]},
    ),
    step("DescribeNatGateways", {"NatGatewayIds": ["$nat"]}, after=60, expect={"NatGateways[].State": ["available"]}),
    step("CreateRouteTable", {"VpcId": "$net"}, keep={"table2": "RouteTable.RouteTableId"}),
    step("CreateRoute", {"RouteTableId": "$table2", "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "$gateway"}),
    step("ReplaceRoute", {"RouteTableId": "$table2", "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "$nat"}),
    step("DescribeRouteTables", {"RouteTableIds": ["$table2"]}, expect={"RouteTables[0].Routes[1].[NatGatewayId, GatewayId]": ["$nat", None]}),
    step("ReplaceRouteTableAssociation", {"AssociationId": "$association", "RouteTableId": "$table2"}, keep={"association": "NewAssociationId"}),
    step(
        "DescribeRouteTables", {"Filters": [{"Name": "association.main", "Values": ["true"]}, {"Name": "vpc-id", "Values": ["$net"]}]},
        expect={"length(RouteTables)": 1},
    ),
]

ACCESS = [
    step("CreateSecurityGroup", {"GroupName": "web", "Description": "web servers", "VpcId": "$net"}, keep={"web": "GroupId"}),
    step("CreateSecurityGroup", {"GroupName": "lb", "Description": "load balancers", "VpcId": "$net"}, keep={"lbgroup": "GroupId"}),
    step(
        "AuthorizeSecurityGroupIngress", {"GroupId": "$web", "IpPermissions": [web(UserIdGroupPairs=[{"GroupId": "$lbgroup"}])]},
        keep={"rule": "SecurityGroupRules[0].SecurityGroupRuleId"}, expect={"SecurityGroupRules[].ReferencedGroupInfo.GroupId": ["$lbgroup"]},
    ),
    step("AuthorizeSecurityGroupIngress", {"GroupId": "$web", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "10.0.0.0/16"}),
    step("AuthorizeSecurityGroupEgress", {"GroupId": "$web", "IpPermissions": [web(IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "in"}])]}),
    step("UpdateSecurityGroupRuleDescriptionsIngress", {"GroupId": "$web", "SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": "$rule", "Description": "from lb"}]}),
    step("UpdateSecurityGroupRuleDescriptionsEgress", {"GroupId": "$web", "IpPermissions": [web(IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "inside"}])]}),
    step("ModifySecurityGroupRules", {"GroupId": "$web", "SecurityGroupRules": [
        {"SecurityGroupRuleId": "$rule", "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "ReferencedGroupId": "$lbgroup"}}]}),
    step("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["$rule"]}, expect={"SecurityGroupRules[].[FromPort, ToPort, IsEgress]": [[80, 81, False]]}),
    step("RevokeSecurityGroupEgress", {"GroupId": "$web", "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}, expect={"Return": True}),
    step(
        "DescribeSecurityGroups", {"GroupIds": ["$web"]},
        expect={
            "SecurityGroups[0].IpPermissions[].[FromPort, ToPort]": [[22, 22], [80, 81]],
            "SecurityGroups[0].IpPermissionsEgress[].IpRanges[]": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}],
        },
    ),
    step("RevokeSecurityGroupIngress", {"GroupId": "$web", "SecurityGroupRuleIds": ["$rule"]}),
    step("CreateNetworkAcl", {"VpcId": "$net"}, keep={"acl": "NetworkAcl.NetworkAclId"}, expect={"NetworkAcl.Entries[].[Egress, RuleAction]": [[True, "deny"], [False, "deny"]]}),
    step("CreateNetworkAclEntry", {"NetworkAclId": "$acl", "RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": False, "CidrBlock": "0.0.0.0/0"}),
    step("ReplaceNetworkAclEntry", {"NetworkAclId": "$acl", "RuleNumber": 100, "Protocol": "6", "PortRange": {"From": 80, "To": 80}, "RuleAction": "allow", "Egress": False, "CidrBlock": "0.0.0.0/0"}),
    step(
        "DescribeNetworkAcls", where("association.subnet-id", "$private"),
        expect={"NetworkAcls[].IsDefault": [True]},
    ),
    step("DescribeNetworkAcls", {"NetworkAclIds": ["$acl"]}, expect={"NetworkAcls[0].Entries[1].[RuleNumber, Protocol, PortRange.To]": [100, "6", 80]}),
    step("DeleteNetworkAclEntry", {"NetworkAclId": "$acl", "RuleNumber": 100, "Egress": False}),
]

PLACES = [
    step("CreateNetworkInterface", {"SubnetId": "$private", "Description": "spare", "Groups": ["$web"]}, keep={"interface": "NetworkInterface.NetworkInterfaceId"}),
    step("ModifyNetworkInterfaceAttribute", {"NetworkInterfaceId": "$interface", "Description": {"Value": "still spare"}}),
    step("DescribeNetworkInterfaces", {"NetworkInterfaceIds": ["$interface"]}, expect={"NetworkInterfaces[].[Description, Status]": [["still spare", "available"]]}),
    step("DeleteNetworkInterface", {"NetworkInterfaceId": "$interface"}),
    step("DescribePrefixLists", where("prefix-list-name", "com.amazonaws.us-east-1.s3"), keep={"list": "PrefixLists[0].PrefixListId"}, expect={"length(PrefixLists)": 1}),
    step("DescribeManagedPrefixLists", {"PrefixListIds": ["$list"]}, expect={"PrefixLists[].OwnerId": ["AWS"]}),
    step("CreateVpcEndpoint", {"VpcId": "$net", "ServiceName": "com.amazonaws.us-east-1.s3", "RouteTableIds": ["$table"]}, keep={"endpoint": "VpcEndpoint.VpcEndpointId"}),
    step("DescribeRouteTables", {"RouteTableIds": ["$table"]}, expect={"RouteTables[0].Routes[2].[DestinationPrefixListId, GatewayId]": ["$list", "$endpoint"]}),
    step("ModifyVpcEndpoint", {"VpcEndpointId": "$endpoint", "RemoveRouteTableIds": ["$table"]}, expect={"Return": True}),
    step(
        "CreateVpcEndpoint", {"VpcId": "$net", "ServiceName": "com.amazonaws.us-east-1.ecs", "VpcEndpointType": "Interface", "SubnetIds": ["$private"], "SecurityGroupIds": ["$web"]},
        keep={"endpoint2": "VpcEndpoint.VpcEndpointId"}, expect={"length(VpcEndpoint.NetworkInterfaceIds)": 1},
    ),
    step("DescribeVpcEndpoints", where("vpc-id", "$net"), after=60, expect={"VpcEndpoints[].State": ["available", "available"]}),
    step("CreateKeyPair", {"KeyName": "made"}, expect={"KeyName": "made"}),
    step("ImportKeyPair", {"KeyName": "brought", "PublicKeyMaterial": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Vb9rP6zYyA1G5l0Zp0K3b0Zb5r0kq0o5m8m4o1n2p me"}),
    step("DescribeKeyPairs", {"KeyNames": ["brought"]}, expect={"KeyPairs[].KeyType": ["ed25519"]}),
    step("DeleteKeyPair", {"KeyName": "brought"}),
    step("DeleteKeyPair", {"KeyName": "made"}, expect={"Return": True}),
]

INSTANCES = [
    step(
        "RunInstances",
        {"MinCount": 1, "MaxCount": 1, "ImageId": "$ami", "InstanceType": "t3.small", "SubnetId": "$public", "SecurityGroupIds": ["$web"]},
        keep={"host": "Instances[0].InstanceId", "eni": "Instances[0].NetworkInterfaces[0].NetworkInterfaceId"},
        expect={"Instances[0].[Placement.AvailabilityZone, VpcId, SubnetId]": ["$zone", "$net", "$public"], "starts_with(Instances[0].PrivateIpAddress, '10.0.1.')": True},
    ),
    step("DescribeInstances", {"InstanceIds": ["$host"]}, after=120, expect={"length(Reservations[].Instances[].PublicIpAddress)": 1}),
    step("DescribeNetworkInterfaces", where("attachment.instance-id", "$host"), expect={"NetworkInterfaces[].[NetworkInterfaceId, Status]": [["$eni", "in-use"]]}),
    step("DescribeVolumes", where("attachment.instance-id", "$host"), expect={"Volumes[].[Size, State]": [[30, "in-use"]]}),
    step("ModifyInstanceAttribute", {"InstanceId": "$host", "DisableApiTermination": {"Value": True}}),
    step("DescribeInstanceAttribute", {"InstanceId": "$host", "Attribute": "disableApiTermination"}, expect={"DisableApiTermination.Value": True}),
    step("DescribeInstanceCreditSpecifications", {"InstanceIds": ["$host"]}, expect={"InstanceCreditSpecifications[].CpuCredits": ["unlimited"]}),
    step("AllocateAddress", keep={"allocation2": "AllocationId", "ip2": "PublicIp"}),
    step("AssociateAddress", {"AllocationId": "$allocation2", "InstanceId": "$host"}, keep={"eip_association": "AssociationId"}),
    step("DescribeAddresses", where("instance-id", "$host"), expect={"Addresses[].[PublicIp, NetworkInterfaceId]": [["$ip2", "$eni"]]}),
    step("DescribeInstances", where("ip-address", "$ip2"), expect={"Reservations[].Instances[].InstanceId": ["$host"]}),
    step("DescribeAddressesAttribute", {"AllocationIds": ["$allocation2"], "Attribute": "domain-name"}, expect={"Addresses[].PublicIp": ["$ip2"]}),
]

BUILD = VPC + ROUTES + ACCESS + PLACES + INSTANCES

NONE = "00000000000000000"

ERRORS = {
    "ec2": [
        ("CreateVpc", {"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ("CreateVpc", {"CidrBlock": "somewhere"}, "InvalidParameterValue"),
        ("CreateVpc", {"CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": True}, "UnsupportedOperation"),
        ("DeleteVpc", {"VpcId": f"vpc-{NONE}"}, "InvalidVpcID.NotFound"),
        ("DeleteVpc", {"VpcId": "$net"}, "DependencyViolation"),
        ("ModifyVpcAttribute", {"VpcId": "$net"}, "MissingParameter"),
        ("DisassociateVpcCidrBlock", {"AssociationId": "vpc-cidr-assoc-0"}, "InvalidVpcCidrBlockAssociationID.NotFound"),
        ("CreateSubnet", {"VpcId": "$net", "CidrBlock": "10.0.1.128/25"}, "InvalidSubnet.Conflict"),
        ("CreateSubnet", {"VpcId": "$net", "CidrBlock": "10.9.0.0/24"}, "InvalidSubnet.Range"),
        ("CreateSubnet", {"VpcId": "$net", "CidrBlock": "10.0.3.0/24", "AvailabilityZone": "us-east-1z"}, "InvalidParameterValue"),
        ("DeleteSubnet", {"SubnetId": "$public"}, "DependencyViolation"),
        ("DeleteSubnet", {"SubnetId": "nonsense"}, "InvalidSubnetID.Malformed"),
        ("AttachInternetGateway", {"InternetGatewayId": "$gateway", "VpcId": "$net"}, "Resource.AlreadyAssociated"),
        ("DetachInternetGateway", {"InternetGatewayId": "$gateway", "VpcId": "$net"}, "DependencyViolation"),
        ("DetachInternetGateway", {"InternetGatewayId": "$gateway", "VpcId": "$vpc"}, "Gateway.NotAttached"),
        ("DeleteInternetGateway", {"InternetGatewayId": f"igw-{NONE}"}, "InvalidInternetGatewayID.NotFound"),
        ("DeleteRouteTable", {"RouteTableId": "$table2"}, "DependencyViolation"),
        ("DeleteRouteTable", {"RouteTableId": f"rtb-{NONE}"}, "InvalidRouteTableID.NotFound"),
        ("CreateRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "$nat"}, "RouteAlreadyExists"),
        ("CreateRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "10.0.0.0/16", "NatGatewayId": "$nat"}, "RouteAlreadyExists"),
        ("CreateRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "1.0.0.0/8"}, "InvalidParameterCombination"),
        ("DeleteRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "1.0.0.0/8"}, "InvalidRoute.NotFound"),
        ("DeleteRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "10.0.0.0/16"}, "InvalidParameterValue"),
        ("DisassociateRouteTable", {"AssociationId": "rtbassoc-0"}, "InvalidAssociationID.NotFound"),
        ("ReleaseAddress", {"AllocationId": "$allocation"}, "InvalidIPAddress.InUse"),
        ("ReleaseAddress", {"AllocationId": f"eipalloc-{NONE}"}, "InvalidAllocationID.NotFound"),
        ("DisassociateAddress", {"AssociationId": "eipassoc-0"}, "InvalidAssociationID.NotFound"),
        ("AssociateAddress", {"AllocationId": "$allocation", "InstanceId": "$host"}, "Resource.AlreadyAssociated"),
        ("CreateNatGateway", {"SubnetId": "$public"}, "MissingParameter"),
        ("DeleteNatGateway", {"NatGatewayId": f"nat-{NONE}"}, "NatGatewayNotFound"),
        ("CreateSecurityGroup", {"GroupName": "web", "Description": "again", "VpcId": "$net"}, "InvalidGroup.Duplicate"),
        ("CreateSecurityGroup", {"GroupName": "sg-x", "Description": "bad", "VpcId": "$net"}, "InvalidParameterValue"),
        ("AuthorizeSecurityGroupIngress", {"GroupId": "$web", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}]}, "InvalidPermission.Duplicate"),
        ("AuthorizeSecurityGroupIngress", {"GroupId": "$web", "IpPermissions": [web(IpRanges=[{"CidrIp": "10.0.0.1/16"}])]}, "InvalidParameterValue"),
        ("AuthorizeSecurityGroupIngress", {"GroupId": "$web", "IpPermissions": [web(UserIdGroupPairs=[{"GroupId": "$security_group"}])]}, "InvalidGroup.NotFound"),
        ("AuthorizeSecurityGroupEgress", {"GroupId": f"sg-{NONE}", "IpPermissions": [web(IpRanges=[{"CidrIp": "10.0.0.0/16"}])]}, "InvalidGroup.NotFound"),
        ("RevokeSecurityGroupIngress", {"GroupId": "$web", "IpPermissions": [web(IpRanges=[{"CidrIp": "9.0.0.0/8"}])]}, "InvalidPermission.NotFound"),
        ("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": [f"sgr-{NONE}"]}, "InvalidSecurityGroupRuleId.NotFound"),
        ("DeleteSecurityGroup", {"GroupId": "$web"}, "DependencyViolation"),
        ("DeleteSecurityGroup", {"GroupId": "$security_group"}, "CannotDelete"),
        ("CreateNetworkAclEntry", {"NetworkAclId": "$acl", "RuleNumber": 0, "Protocol": "-1", "RuleAction": "deny", "Egress": True, "CidrBlock": "0.0.0.0/0"}, "InvalidParameterValue"),
        ("DeleteNetworkAclEntry", {"NetworkAclId": "$acl", "RuleNumber": 7, "Egress": True}, "InvalidNetworkAclEntry.NotFound"),
        ("DeleteNetworkAcl", {"NetworkAclId": f"acl-{NONE}"}, "InvalidNetworkAclID.NotFound"),
        ("DeleteNetworkInterface", {"NetworkInterfaceId": "$eni"}, "InvalidParameterValue"),
        ("DescribeNetworkInterfaces", {"NetworkInterfaceIds": [f"eni-{NONE}"]}, "InvalidNetworkInterfaceID.NotFound"),
        ("CreateVpcEndpoint", {"VpcId": "$net", "ServiceName": "com.example.none"}, "InvalidServiceName"),
        ("ModifyVpcEndpoint", {"VpcEndpointId": f"vpce-{NONE}"}, "InvalidVpcEndpointId.NotFound"),
        ("DescribeVpnGateways", {"VpnGatewayIds": [f"vgw-{NONE}"]}, "InvalidVpnGatewayID.NotFound"),
        ("DescribeKeyPairs", {"KeyNames": ["none"]}, "InvalidKeyPair.NotFound"),
        ("ImportKeyPair", {"KeyName": "bad", "PublicKeyMaterial": "nonsense"}, "InvalidKey.Format"),
        ("ModifyInstanceAttribute", {"InstanceId": "$host", "InstanceType": {"Value": "t3.medium"}}, "IncorrectInstanceState"),
        ("TerminateInstances", {"InstanceIds": ["$host"]}, "OperationNotPermitted"),
        ("DescribeVolumes", {"VolumeIds": [f"vol-{NONE}"]}, "InvalidVolume.NotFound"),
        ("RunInstances", {"MinCount": 1, "MaxCount": 1, "ImageId": "$ami", "InstanceType": "t3.small", "SubnetId": "$public", "SecurityGroupIds": ["$security_group"]}, "InvalidParameter"),
    ],
}  # fmt: skip

UNCAUSED = {}

CLEAN = [
    step("DisassociateAddress", {"AssociationId": "$eip_association"}),
    step("ReleaseAddress", {"AllocationId": "$allocation2"}),
    step("ModifyInstanceAttribute", {"InstanceId": "$host", "Attribute": "disableApiTermination", "Value": "false"}),
    step("TerminateInstances", {"InstanceIds": ["$host"]}),
    step("DeleteVpcEndpoints", {"VpcEndpointIds": ["$endpoint", "$endpoint2", f"vpce-{NONE}"]}, expect={"Unsuccessful[].Error.Code": ["InvalidVpcEndpointId.NotFound"]}),
    step("DeleteNatGateway", {"NatGatewayId": "$nat"}),
    step("DescribeNatGateways", {"NatGatewayIds": ["$nat"]}, after=120, expect={"NatGateways[].State": ["deleted"]}),
    step("ReleaseAddress", {"AllocationId": "$allocation"}),
    step("DescribeNetworkAcls", {"Filters": [{"Name": "vpc-id", "Values": ["$net"]}, {"Name": "default", "Values": ["true"]}]}, keep={"acl_association": "NetworkAcls[0].Associations[0].NetworkAclAssociationId"}),
    step("ReplaceNetworkAclAssociation", {"AssociationId": "$acl_association", "NetworkAclId": "$acl"}, keep={"acl_association": "NewAssociationId"}),
    step("DisassociateRouteTable", {"AssociationId": "$association"}),
    step("DeleteRoute", {"RouteTableId": "$table", "DestinationCidrBlock": "0.0.0.0/0"}),
    step("DeleteRouteTable", {"RouteTableId": "$table"}),
    step("DeleteRouteTable", {"RouteTableId": "$table2"}),
    step("DetachInternetGateway", {"InternetGatewayId": "$gateway", "VpcId": "$net"}),
    step("DeleteInternetGateway", {"InternetGatewayId": "$gateway"}),
    step("DeleteSubnet", {"SubnetId": "$public"}),
    step("DeleteSubnet", {"SubnetId": "$private"}),
    step("DeleteNetworkAcl", {"NetworkAclId": "$acl"}),
    step("DeleteSecurityGroup", {"GroupId": "$web"}, expect={"Return": True}),
    step("DeleteSecurityGroup", {"GroupId": "$lbgroup"}),
    step("DeleteVpc", {"VpcId": "$net"}),
    step("DescribeVpcs", expect={"length(Vpcs)": 1}),
]
