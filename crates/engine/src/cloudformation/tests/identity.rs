//! Types of IAM and Systems Manager.

use capstan_shapes::iam::{GetPolicyVersionRequest, GetRolePolicyRequest};

use super::{create, delete, describe, engine, history, settle, update};
use crate::testing::ok;
use crate::{Engine, ssm};

const FIRST: &str = r#"
Parameters:
  Version: {Type: String, Default: "1"}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Path: /team/
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {Service: ec2.amazonaws.com}}]
      ManagedPolicyArns: ["arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"]
      Policies:
        - PolicyName: inline
          PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}
      Tags: [{Key: team, Value: a}]
  Group: {Type: "AWS::IAM::Group"}
  User:
    Type: AWS::IAM::User
    Properties: {Groups: [!Ref Group], LoginProfile: {Password: Sesame-1}}
  Profile:
    Type: AWS::IAM::InstanceProfile
    Properties: {Roles: [!Ref Role]}
  Policy:
    Type: AWS::IAM::Policy
    Properties:
      PolicyName: default
      PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ecs:*", Resource: "*"}]}
      Roles: [!Ref Role]
      Users: [!Ref User]
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "ec2:*", Resource: "*"}]}
      Roles: [!Ref Role]
      Groups: [!Ref Group]
  Linked:
    Type: AWS::IAM::ServiceLinkedRole
    Properties: {AWSServiceName: ecs.amazonaws.com}
  Parameter:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Name: /app/version, Value: !Ref Version, Tags: {team: a}}
Outputs:
  RoleArn: {Value: !GetAtt Role.Arn}
  RoleName: {Value: !Ref Role}
  ProfileArn: {Value: !GetAtt Profile.Arn}
  ManagedArn: {Value: !Ref Managed}
  Value: {Value: !GetAtt Parameter.Value}
  Name: {Value: !Ref Parameter}
"#;

fn output(engine: &mut Engine, key: &str) -> String {
    let outputs = describe(engine, "app").outputs.unwrap();
    let output = outputs.into_iter().find(|output| output.output_key.as_deref() == Some(key)).unwrap();
    output.output_value.unwrap()
}

#[test]
fn identities_and_parameters_come_change_and_go() {
    let mut engine = engine();
    let id = create(&mut engine, "app", FIRST);
    assert_eq!(settle(&mut engine, "app"), "CREATE_COMPLETE", "{}", history(&mut engine, "app"));
    let name = output(&mut engine, "RoleName");
    assert!(name.starts_with("app-Role-"), "{name}");
    assert_eq!(output(&mut engine, "RoleArn"), format!("arn:aws:iam::000000000000:role/team/{name}"));
    assert!(
        output(&mut engine, "ProfileArn")
            .starts_with("arn:aws:iam::000000000000:instance-profile/app-Profile-")
    );
    assert_eq!(
        (output(&mut engine, "Name"), output(&mut engine, "Value")),
        ("/app/version".into(), "1".into())
    );
    let role = engine.iam().role(&name).unwrap();
    assert_eq!(role.identity.attached.len(), 2);
    assert_eq!(role.identity.inline.keys().collect::<Vec<_>>(), ["default", "inline"]);
    let managed = output(&mut engine, "ManagedArn");

    let second = FIRST
        .replace("\"s3:*\"", "\"sqs:*\"")
        .replace("\"ec2:*\"", "\"fis:*\"")
        .replace("Value: a}]", "Value: b}]")
        .replace("      Users: [!Ref User]\n", "")
        .replace("Default: \"1\"", "Default: \"2\"");
    update(&mut engine, "app", &second);
    assert_eq!(settle(&mut engine, "app"), "UPDATE_COMPLETE");
    assert_eq!(output(&mut engine, "Value"), "2");
    assert_eq!(ssm::value(&engine, "/app/version:2").as_deref(), Some("2"));
    let role = engine.iam().role(&name).unwrap();
    assert_eq!(role.identity.tags.get("team").map(String::as_str), Some("b"));
    let get = GetRolePolicyRequest { role_name: name.clone(), policy_name: "inline".into() };
    assert!(ok(&mut engine, get).policy_document.contains("sqs%3A%2A"));
    let get = GetPolicyVersionRequest { policy_arn: managed, version_id: "v2".into() };
    assert!(ok(&mut engine, get).policy_version.unwrap().document.unwrap().contains("fis%3A%2A"));
    assert!(engine.iam().users().iter().all(|user| user.identity.inline.is_empty()));

    delete(&mut engine, "app");
    assert_eq!(settle(&mut engine, &id), "DELETE_COMPLETE");
    let left: Vec<_> = engine
        .resources()
        .into_iter()
        .filter(|(table, _)| table.starts_with("iam") || table.starts_with("ssm"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_a_refused_create_has_begun_is_undone() {
    let mut engine = engine();
    let broken = FIRST.replace("Action: \"s3:*\"", "Action: \"everything\"");
    create(&mut engine, "app", &broken);
    assert_eq!(settle(&mut engine, "app"), "ROLLBACK_COMPLETE");
    assert!(engine.iam().roles().iter().all(|role| role.linked_to.is_some()));
}
