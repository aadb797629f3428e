//! Stacks of networks: what a CDK VPC comes to, and the rest of EC2's types.

use std::collections::BTreeMap;

use capstan_model::Span;
use capstan_shapes::ec2 as shapes;

use super::{create, delete, describe, engine, settle, update};
use crate::testing::{ok, pass};
use crate::{Engine, Fact, Input};

/// All of it; the places in braces change.
const TEMPLATE: &str = r#"
Resources:
  Net: { Type: "AWS::EC2::VPC", Properties: { CidrBlock: 10.0.0.0/16, EnableDnsHostnames: true, Tags: [{ Key: Name, Value: net }] } }
  More: { Type: "AWS::EC2::VPCCidrBlock", Properties: { VpcId: !Ref Net, CidrBlock: 10.1.0.0/24 } }
  Public:
    Type: AWS::EC2::Subnet
    Properties: { VpcId: !Ref Net, CidrBlock: !Select [0, !Cidr [!GetAtt Net.CidrBlock, 2, 8]], AvailabilityZone: !Select [0, !GetAZs ""], MapPublicIpOnLaunch: true }
  Private:
    Type: AWS::EC2::Subnet
    Properties: { VpcId: !Ref Net, CidrBlock: !Select [1, !Cidr [!GetAtt Net.CidrBlock, 2, 8]], AvailabilityZone: !Select [1, !GetAZs ""] }
  Gateway: { Type: "AWS::EC2::InternetGateway", Properties: { Tags: [{ Key: Name, Value: out }] } }
  Attachment: { Type: "AWS::EC2::VPCGatewayAttachment", Properties: { VpcId: !Ref Net, InternetGatewayId: !Ref Gateway } }
  PublicTable: { Type: "AWS::EC2::RouteTable", Properties: { VpcId: !Ref Net } }
  PublicRoute:
    Type: AWS::EC2::Route
    DependsOn: Attachment
    Properties: { RouteTableId: !Ref PublicTable, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Gateway }
  PublicTableUse: { Type: "AWS::EC2::SubnetRouteTableAssociation", Properties: { RouteTableId: !Ref PublicTable, SubnetId: !Ref Public } }
  PrivateTable: { Type: "AWS::EC2::RouteTable", Properties: { VpcId: !Ref Net } }
  PrivateTableUse: { Type: "AWS::EC2::SubnetRouteTableAssociation", Properties: { RouteTableId: !Ref PrivateTable, SubnetId: !Ref Private } }
  Address: { Type: "AWS::EC2::EIP", Properties: { Domain: vpc } }
  Nat:
    Type: AWS::EC2::NatGateway
    DependsOn: [PublicRoute, PublicTableUse]
    Properties: { SubnetId: !Ref Public, AllocationId: !GetAtt Address.AllocationId }
  PrivateRoute: { Type: "AWS::EC2::Route", Properties: { RouteTableId: !Ref PrivateTable, DestinationCidrBlock: 0.0.0.0/0, NatGatewayId: !Ref Nat } }
  Balancers:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: balancers
      VpcId: !Ref Net
      SecurityGroupIngress: [{ IpProtocol: tcp, FromPort: {PORT}, ToPort: {PORT}, CidrIp: 0.0.0.0/0 }]
      SecurityGroupEgress: [{ IpProtocol: icmp, FromPort: 252, ToPort: 86, CidrIp: 255.255.255.255/32, Description: none }]
  Servers: { Type: "AWS::EC2::SecurityGroup", Properties: { GroupDescription: servers, GroupName: servers, VpcId: !Ref Net } }
  FromBalancers:
    Type: AWS::EC2::SecurityGroupIngress
    Properties: { GroupId: !GetAtt Servers.GroupId, IpProtocol: tcp, FromPort: 32768, ToPort: 65535, SourceSecurityGroupId: !Ref Balancers, Description: "{WORD}" }
  ToServers:
    Type: AWS::EC2::SecurityGroupEgress
    Properties: { GroupId: !Ref Balancers, IpProtocol: tcp, FromPort: 32768, ToPort: 65535, DestinationSecurityGroupId: !Ref Servers }
  Acl: { Type: "AWS::EC2::NetworkAcl", Properties: { VpcId: !Ref Net } }
  AclEntry:
    Type: AWS::EC2::NetworkAclEntry
    Properties: { NetworkAclId: !Ref Acl, RuleNumber: 100, Protocol: 6, PortRange: { From: {PORT}, To: {PORT} }, RuleAction: allow, CidrBlock: 0.0.0.0/0 }
  AclUse: { Type: "AWS::EC2::SubnetNetworkAclAssociation", Properties: { NetworkAclId: !Ref Acl, SubnetId: !Ref Private } }
  ToS3:
    Type: AWS::EC2::VPCEndpoint
    Properties: { VpcId: !Ref Net, ServiceName: !Sub "com.amazonaws.${AWS::Region}.s3", RouteTableIds: [!Ref PrivateTable] }
  ToEcs:
    Type: AWS::EC2::VPCEndpoint
    Properties: { VpcId: !Ref Net, ServiceName: !Sub "com.amazonaws.${AWS::Region}.ecs", VpcEndpointType: Interface, SubnetIds: [!Ref Private], SecurityGroupIds: [!Ref Servers] }
  Key: { Type: "AWS::EC2::KeyPair", Properties: { KeyName: key } }
  Restrict:
    Type: Custom::VpcRestrictDefaultSG
    Properties: { ServiceToken: "arn:aws:lambda:::function:x", DefaultSecurityGroupId: !GetAtt Net.DefaultSecurityGroup, Account: !Ref "AWS::AccountId" }
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties:
      LaunchTemplateData: { InstanceType: {TYPE}, SecurityGroupIds: [!Ref Servers], KeyName: !Ref Key }
      TagSpecifications: [{ ResourceType: launch-template, Tags: [{ Key: Word, Value: "{WORD}" }] }]
Outputs:
  Latest: { Value: !GetAtt Template.LatestVersionNumber }
  Default: { Value: !GetAtt Template.DefaultVersionNumber }
  Ip: { Value: !Ref Address }
  Zone: { Value: !GetAtt Public.AvailabilityZone }
  Cidr: { Value: !GetAtt Private.CidrBlock }
  Acl: { Value: !GetAtt Net.DefaultNetworkAcl }
  Blocks: { Value: !Join [",", !GetAtt Net.CidrBlockAssociations] }
  Interfaces: { Value: !Join [",", !GetAtt ToEcs.NetworkInterfaceIds] }
"#;

fn template(port: &str, word: &str, kind: &str) -> String {
    TEMPLATE.replace("{PORT}", port).replace("{WORD}", word).replace("{TYPE}", kind)
}

fn outputs(engine: &mut Engine, name: &str) -> BTreeMap<String, String> {
    let outputs = describe(engine, name).outputs.unwrap_or_default();
    outputs.into_iter().map(|each| (each.output_key.unwrap(), each.output_value.unwrap())).collect()
}

/// Everything that EC2 holds.
fn held(engine: &Engine) -> Vec<String> {
    let mut held = Vec::new();
    engine.ec2.tell(&mut |table, key| held.push(format!("{table} {key}")));
    held
}

#[test]
fn a_network_comes_changes_and_goes() {
    let mut engine = engine();
    let before = held(&engine);
    create(&mut engine, "net", &template("80", "one", "m5.large"));
    assert_eq!(settle(&mut engine, "net"), "CREATE_COMPLETE", "{}", super::history(&mut engine, "net"));
    let told = outputs(&mut engine, "net");
    assert_eq!((told["Latest"].as_str(), told["Default"].as_str()), ("1", "1"));
    assert_eq!(told["Cidr"], "10.0.1.0/24");
    assert!(told["Ip"].starts_with("198."), "{}", told["Ip"]);
    assert!(told["Acl"].starts_with("acl-") && told["Interfaces"].starts_with("eni-"));

    let restricted = |engine: &Engine| {
        let default = engine.ec2.network().security_groups().iter().filter(|row| row.name == "default");
        let groups: Vec<&String> = default.map(|row| &row.id).collect();
        engine.ec2.network().rules().iter().filter(|row| groups.contains(&&row.group)).count()
    };
    // Those of the default VPC's group.
    assert_eq!(restricted(&engine), 2);
    let nat = engine.ec2.network().nat_gateways().iter().next().unwrap();
    assert_eq!(nat.state, shapes::NatGatewayState::Available);
    assert_eq!(nat.tags["aws:cloudformation:logical-id"], "Nat");

    let servers = |engine: &mut Engine| {
        let filters =
            vec![shapes::Filter { name: Some("group-name".into()), values: Some(vec!["servers".into()]) }];
        let request = shapes::DescribeSecurityGroupsRequest { filters: Some(filters), ..Default::default() };
        ok(engine, request).security_groups.unwrap().remove(0)
    };
    let pairs = servers(&mut engine).ip_permissions.unwrap().remove(0).user_id_group_pairs.unwrap();
    assert_eq!(pairs[0].description.as_deref(), Some("one"));

    update(&mut engine, "net", &template("443", "two", "c5.large"));
    assert_eq!(settle(&mut engine, "net"), "UPDATE_COMPLETE", "{}", super::history(&mut engine, "net"));
    let told = outputs(&mut engine, "net");
    assert_eq!((told["Latest"].as_str(), told["Default"].as_str()), ("2", "1"));
    let pairs = servers(&mut engine).ip_permissions.unwrap().remove(0).user_id_group_pairs.unwrap();
    assert_eq!(pairs[0].description.as_deref(), Some("two"));
    let ports: Vec<i32> = engine
        .ec2
        .network()
        .rules()
        .iter()
        .filter_map(|row| row.from_port)
        .filter(|port| *port < 1000)
        .collect();
    assert!(ports.contains(&443) && !ports.contains(&80), "{ports:?}");

    delete(&mut engine, "net");
    for _ in 0..600 {
        pass(&mut engine, Span::from_secs(1));
    }
    assert_eq!(held(&engine), before);
}

#[test]
fn a_stack_with_an_instance_waits_for_it() {
    let mut engine = engine();
    let image = crate::ec2::releases()[0].id(engine.config().region.name);
    let template = |kind: &str, check: bool| {
        format!(
            r#"
Resources:
  Host:
    Type: AWS::EC2::Instance
    Properties: {{ ImageId: {image}, InstanceType: {kind}, SourceDestCheck: {check}, Tags: [{{ Key: Name, Value: host }}], UserData: !Base64 "true" }}
  Address: {{ Type: "AWS::EC2::EIP", Properties: {{ InstanceId: !Ref Host }} }}
Outputs:
  Ip: {{ Value: !GetAtt Host.PrivateIp }}
  Public: {{ Value: !Ref Address }}
"#
        )
    };
    create(&mut engine, "host", &template("t3.small", true));
    pass(&mut engine, Span::from_secs(5));
    assert_eq!(describe(&mut engine, "host").stack_status.as_str(), "CREATE_IN_PROGRESS");
    let instance = engine.ec2.instances().iter().next().unwrap().id;
    let fact = |engine: &mut Engine, fact| drop(engine.step(engine.now(), Input::Fact(fact)));
    fact(&mut engine, Fact::InstanceRunning { instance });
    assert_eq!(settle(&mut engine, "host"), "CREATE_COMPLETE", "{}", super::history(&mut engine, "host"));
    let row = engine.ec2.instances().get(&instance).unwrap().clone();
    assert_eq!(row.tags["Name"], "host");
    assert_eq!(row.user_data.as_deref(), Some("true"));
    let told = outputs(&mut engine, "host");
    assert_eq!(told["Ip"], row.private_ip.to_string());
    let address = engine.ec2.network().addresses().iter().next().unwrap();
    assert_eq!(address.association.as_ref().unwrap().instance, Some(instance));
    assert_eq!(told["Public"], address.ip.to_string());

    // Another type: the instance stops, changes and starts again.
    update(&mut engine, "host", &template("t3.medium", false));
    pass(&mut engine, Span::from_secs(2));
    fact(&mut engine, Fact::InstanceStopped { instance });
    pass(&mut engine, Span::from_secs(2));
    fact(&mut engine, Fact::InstanceRunning { instance });
    assert_eq!(settle(&mut engine, "host"), "UPDATE_COMPLETE", "{}", super::history(&mut engine, "host"));
    let row = engine.ec2.instances().get(&instance).unwrap();
    assert_eq!((&*row.instance_type.name, row.source_dest_check), ("t3.medium", false));

    delete(&mut engine, "host");
    pass(&mut engine, Span::from_secs(5));
    fact(&mut engine, Fact::InstanceTerminated { instance });
    pass(&mut engine, Span::from_secs(5));
    assert!(engine.ec2.network().addresses().is_empty());
    assert!(engine.ec2.instances().get(&instance).is_some_and(|row| !row.is_alive()));
}
