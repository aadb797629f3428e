//! Types that are records: SNS, Lambda, KMS and Cloud Map.

use super::{create, delete, describe, engine, history, settle, update};
use crate::Engine;

const FIRST: &str = r#"
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Action: "sts:AssumeRole", Principal: {Service: lambda.amazonaws.com}}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      Timeout: 310
      Code: {ZipFile: "def handler(event, context): pass"}
      Environment: {Variables: {CLUSTER: web}}
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !GetAtt Function.Arn
      Action: lambda:InvokeFunction
      Principal: sns.amazonaws.com
      SourceArn: !Ref Topic
  Retention:
    Type: Custom::LogRetention
    Properties: {ServiceToken: !GetAtt Function.Arn, LogGroupName: !Sub "/aws/lambda/${Function}", RetentionInDays: 7, RemovalPolicy: destroy}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {DisplayName: first, Tags: [{Key: a, Value: b}]}
  Subscription:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref Topic, Protocol: lambda, Endpoint: !GetAtt Function.Arn}
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Topic]
      PolicyDocument:
        Statement: [{Effect: Allow, Action: "sns:Publish", Principal: {Service: events.amazonaws.com}, Resource: "*"}]
  Key:
    Type: AWS::KMS::Key
    Properties:
      EnableKeyRotation: true
      KeyPolicy:
        Statement: [{Effect: Allow, Action: "kms:*", Principal: {AWS: "*"}, Resource: "*"}]
  Alias:
    Type: AWS::KMS::Alias
    Properties: {AliasName: alias/app, TargetKeyId: !Ref Key}
  Namespace:
    Type: AWS::ServiceDiscovery::PrivateDnsNamespace
    Properties: {Name: app.local, Vpc: vpc-12345678}
  Service:
    Type: AWS::ServiceDiscovery::Service
    Properties:
      Name: web
      DnsConfig: {NamespaceId: !Ref Namespace, DnsRecords: [{Type: A, TTL: 60}]}
      HealthCheckCustomConfig: {FailureThreshold: 1}
Outputs:
  Topic: {Value: !GetAtt Topic.TopicName}
  Function: {Value: !GetAtt Function.Arn}
  Key: {Value: !GetAtt Key.Arn}
  Zone: {Value: !GetAtt Namespace.HostedZoneId}
  Service: {Value: !GetAtt Service.Arn}
"#;

fn output(engine: &mut Engine, key: &str) -> String {
    let outputs = describe(engine, "app").outputs.unwrap();
    let output = outputs.into_iter().find(|output| output.output_key.as_deref() == Some(key)).unwrap();
    output.output_value.unwrap()
}

#[test]
fn records_come_change_and_go() {
    let mut engine = engine();
    let id = create(&mut engine, "app", FIRST);
    assert_eq!(settle(&mut engine, "app"), "CREATE_COMPLETE", "{}", history(&mut engine, "app"));
    assert!(output(&mut engine, "Topic").starts_with("app-Topic-"));
    assert!(
        output(&mut engine, "Function")
            .starts_with("arn:aws:lambda:us-east-1:000000000000:function:app-Function-")
    );
    assert!(output(&mut engine, "Key").starts_with("arn:aws:kms:us-east-1:000000000000:key/"));
    assert!(output(&mut engine, "Zone").starts_with('Z'));
    assert!(output(&mut engine, "Service").contains(":service/srv-"));
    let function = engine.lambda().functions().iter().next().unwrap();
    assert_eq!((function.latest.timeout, function.statements.len()), (Some(310), 1));
    let retention = |engine: &Engine| engine.logs().groups().iter().next().unwrap().retention_days;
    assert_eq!(retention(&engine), Some(7));
    let function = engine.lambda().functions().iter().next().unwrap();
    let digest = function.latest.code_sha256.clone();

    let second = FIRST
        .replace("DisplayName: first, Tags: [{Key: a, Value: b}]", "DisplayName: second")
        .replace("Timeout: 310", "Timeout: 10")
        .replace(": pass", ": return")
        .replace("EnableKeyRotation: true", "EnableKeyRotation: false")
        .replace("TTL: 60", "TTL: 10")
        .replace("RetentionInDays: 7", "RetentionInDays: 30");
    update(&mut engine, "app", &second);
    assert_eq!(settle(&mut engine, "app"), "UPDATE_COMPLETE", "{}", history(&mut engine, "app"));
    assert_eq!(retention(&engine), Some(30));
    let topic = engine.sns().topics().iter().next().unwrap();
    assert_eq!(topic.attributes["DisplayName"], "second");
    assert!(!topic.tags.contains_key("a"));
    let function = engine.lambda().functions().iter().next().unwrap();
    assert_eq!(function.latest.timeout, Some(10));
    assert_ne!(function.latest.code_sha256, digest);
    assert!(engine.kms().keys().iter().all(|key| key.rotation.is_none()));
    let service = engine.servicediscovery().services().iter().next().unwrap();
    assert_eq!(service.dns.as_ref().unwrap().dns_records[0].ttl, 10);

    delete(&mut engine, "app");
    assert_eq!(settle(&mut engine, &id), "DELETE_COMPLETE", "{}", history(&mut engine, &id));
    let rooms = ["sns", "lambda", "kms", "servicediscovery", "iam", "logs"];
    let left: Vec<_> = engine
        .resources()
        .into_iter()
        .filter(|(table, _)| rooms.iter().any(|room| table.starts_with(room)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
