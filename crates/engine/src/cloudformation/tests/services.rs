//! Resources of the services without hosts: made, changed in place, replaced and deleted by templates.

use super::*;

/// Outputs by their keys.
fn outputs(engine: &mut Engine, name: &str) -> std::collections::BTreeMap<String, String> {
    let outputs = describe(engine, name).outputs.unwrap_or_default().into_iter();
    outputs.map(|output| (output.output_key.unwrap(), output.output_value.unwrap())).collect()
}

fn settle_as(engine: &mut Engine, name: &str, status: &str) {
    let found = settle(engine, name);
    assert_eq!(found, status, "{}", history(engine, name));
}

/// The logical ids of events with that status.
fn with_status(engine: &mut Engine, name: &str, status: &str) -> Vec<String> {
    let history = history(engine, name);
    let lines = history.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let logical_id = words.next()?;
        (words.next()? == status).then(|| logical_id.to_owned())
    });
    lines.collect()
}

const OBSERVED: &str = r#"
Parameters:
  Wait: {Type: Number, Default: 5}
  QueueName: {Type: String, Default: first}
  Constant: {Type: String, Default: "TRUE"}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Ref QueueName, ReceiveMessageWaitTimeSeconds: !Ref Wait, Tags: [{Key: a, Value: b}]}
  Dead: {Type: AWS::SQS::Queue}
  Source:
    Type: AWS::SQS::Queue
    Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}, VisibilityTimeout: "45"}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: "sqs:SendMessage", Resource: !GetAtt Queue.Arn}]
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.ecs], detail-type: [!Sub "wait ${Wait}"]}
      Targets: [{Id: queue, Arn: !GetAtt Queue.Arn}, {Id: logs, Arn: !Sub "arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Logs}"}]
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: 7, Tags: [{Key: a, Value: b}]}
  LogsPolicy:
    Type: AWS::Logs::ResourcePolicy
    Properties:
      PolicyName: !Sub "events-${AWS::StackName}"
      PolicyDocument: !Sub '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}'
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/SQS
      MetricName: ApproximateNumberOfMessagesVisible
      Dimensions: [{Name: QueueName, Value: !GetAtt Queue.QueueName}]
      Statistic: Maximum
      Period: "60"
      EvaluationPeriods: !Ref Wait
      Threshold: 10
      ComparisonOperator: GreaterThanThreshold
  Either:
    Type: AWS::CloudWatch::CompositeAlarm
    Properties: {AlarmRule: !Sub 'NOT ALARM("${Alarm}") AND ${Constant}', AlarmDescription: none yet}
  Dashboard:
    Type: AWS::CloudWatch::Dashboard
    Properties:
      DashboardBody: !Sub '{"widgets":[{"type":"text","x":0,"y":0,"width":6,"height":${Wait},"properties":{"markdown":"hello"}}]}'
  Experiment:
    Type: AWS::FIS::ExperimentTemplate
    Properties:
      Description: !Sub "wait ${Wait}"
      RoleArn: !Sub "arn:aws:iam::${AWS::AccountId}:role/fis"
      StopConditions: [{Source: aws:cloudwatch:alarm, Value: !GetAtt Alarm.Arn}]
      Targets: {}
      Actions: {wait: {ActionId: aws:fis:wait, Parameters: {duration: PT1M}}}
      Tags: {Name: chaos}
  Metadata: {Type: AWS::CDK::Metadata, Properties: {Analytics: "v2:deflate64:H4s"}}
Outputs:
  Queue: {Value: !Ref Queue}
  QueueArn: {Value: !GetAtt Queue.Arn}
  Rule: {Value: !Ref Rule}
  RuleArn: {Value: !GetAtt Rule.Arn}
  Logs: {Value: !Ref Logs}
  LogsArn: {Value: !GetAtt Logs.Arn}
  Alarm: {Value: !Ref Alarm}
  Either: {Value: !Ref Either}
  Dashboard: {Value: !Ref Dashboard}
  Experiment: {Value: !GetAtt Experiment.Id}
"#;

#[test]
fn queues_rules_logs_alarms_and_experiments() {
    let mut engine = engine();
    create(&mut engine, "watch", OBSERVED);
    settle_as(&mut engine, "watch", "CREATE_COMPLETE");
    let first = outputs(&mut engine, "watch");
    assert!(first["Queue"].ends_with("/first"), "{first:?}");
    assert_eq!(
        first["QueueArn"],
        "arn:aws:sqs:us-east-1:123456789012:first".replace("123456789012", &engine.config().account)
    );
    assert!(first["Rule"].starts_with("watch-Rule-") && first["Rule"].len() == "watch-Rule-".len() + 12);
    assert!(first["RuleArn"].ends_with(&format!(":rule/{}", first["Rule"])), "{first:?}");
    assert!(first["LogsArn"].ends_with(&format!(":log-group:{}:*", first["Logs"])), "{first:?}");
    let queue = engine.sqs().queues().get(&"first".into()).unwrap();
    assert_eq!((queue.settings.wait_seconds, queue.tags.len()), (5, 1));
    assert!(queue.settings.policy.is_some());
    assert_eq!(engine.sqs().queues().iter().filter(|queue| queue.settings.redrive.is_some()).count(), 1);
    let rule = engine.events().rules().iter().find(|rule| *rule.key.name == *first["Rule"]).unwrap();
    assert_eq!((rule.targets.len(), rule.managed_by), (2, None));
    let group = engine.logs().groups().get(&first["Logs"].as_str().into()).unwrap();
    assert_eq!(group.retention_days, Some(7));
    assert_eq!(group.tags.get("aws:cloudformation:logical-id").map(String::as_str), Some("Logs"));
    assert_eq!(engine.cloudwatch().alarm(&first["Alarm"]).unwrap().settings.evaluation_periods, 5);
    let state = |engine: &Engine| {
        let either = engine.cloudwatch().composite_alarms().get(&first["Either"].as_str().into()).unwrap();
        either.state.as_str()
    };
    assert_eq!(state(&engine), "ALARM");
    let experiment = &engine.fis().templates().get(&first["Experiment"]).unwrap().document;
    assert_eq!(experiment.description.as_deref(), Some("wait 5"));
    assert_eq!(experiment.tags.as_ref().unwrap()["Name"], "chaos");

    // In place.
    let next = OBSERVED
        .replace("\"TRUE\"", "\"FALSE\"")
        .replace("Default: 5", "Default: 6")
        .replace("RetentionInDays: 7, ", "");
    update(&mut engine, "watch", &next);
    settle_as(&mut engine, "watch", "UPDATE_COMPLETE");
    assert_eq!(outputs(&mut engine, "watch"), first);
    assert_eq!(state(&engine), "OK");
    assert_eq!(engine.sqs().queues().get(&"first".into()).unwrap().settings.wait_seconds, 6);
    assert_eq!(engine.cloudwatch().alarm(&first["Alarm"]).unwrap().settings.evaluation_periods, 6);
    let rule = engine.events().rules().iter().find(|rule| *rule.key.name == *first["Rule"]).unwrap();
    assert!(rule.event_pattern.as_ref().unwrap().contains("wait 6"));
    assert_eq!(rule.targets.len(), 2);
    assert_eq!(engine.logs().groups().get(&first["Logs"].as_str().into()).unwrap().retention_days, None);
    let experiment = &engine.fis().templates().get(&first["Experiment"]).unwrap().document;
    assert_eq!(experiment.description.as_deref(), Some("wait 6"));

    // The queue is replaced; what names it follows.
    update(&mut engine, "watch", &next.replace("Default: first", "Default: second"));
    settle_as(&mut engine, "watch", "UPDATE_COMPLETE");
    assert!(outputs(&mut engine, "watch")["Queue"].ends_with("/second"));
    assert!(!engine.sqs().queues().contains(&"first".into()));
    let queue = engine.sqs().queues().get(&"second".into()).unwrap();
    assert!(queue.settings.policy.as_ref().unwrap().contains(":second"));
    assert!(with_status(&mut engine, "watch", "DELETE_COMPLETE").contains(&"Queue".to_owned()));

    delete(&mut engine, "watch");
    pass(&mut engine, Span::from_mins(5));
    assert_eq!(engine.sqs().queues().len(), 0);
    assert_eq!(engine.events().rules().len(), 0);
    assert_eq!((engine.logs().groups().len(), engine.logs().policies().len()), (0, 0));
    assert_eq!(engine.cloudwatch().composite_alarms().len(), 0);
    assert_eq!((engine.cloudwatch().alarms().len(), engine.cloudwatch().dashboards().len()), (0, 0));
    assert_eq!(engine.fis().templates().len(), 0);
}

#[test]
fn names_that_are_taken_are_not_adopted() {
    let check = |properties: &str, kind: &str| {
        let mut engine = engine();
        let vpc = engine.ec2().vpcs().iter().next().unwrap().id.clone();
        let properties = properties.replace("VPC", &vpc);
        let template =
            |name: &str| format!("Resources:\n  {name}:\n    Type: {kind}\n    Properties: {properties}\n");
        create(&mut engine, "one", &template("First"));
        settle_as(&mut engine, "one", "CREATE_COMPLETE");
        create(&mut engine, "two", &template("Second"));
        settle_as(&mut engine, "two", "ROLLBACK_COMPLETE");
        let told = history(&mut engine, "two");
        assert!(told.contains("HandlerErrorCode: AlreadyExists"), "{kind}: {told}");
        // What is the other stack's stays.
        delete(&mut engine, "two");
        assert_eq!(describe(&mut engine, "one").stack_status.as_str(), "CREATE_COMPLETE");
        update(
            &mut engine,
            "one",
            &template("First")
                .replace("Resources:", "Description: d\nResources:\n  Extra: {Type: 'AWS::CDK::Metadata'}"),
        );
        settle_as(&mut engine, "one", "UPDATE_COMPLETE");
    };
    check("{QueueName: q}", "AWS::SQS::Queue");
    check("{Name: r, ScheduleExpression: rate(1 minute)}", "AWS::Events::Rule");
    check("{LogGroupName: g}", "AWS::Logs::LogGroup");
    check("{DashboardName: d, DashboardBody: '{\"widgets\":[]}'}", "AWS::CloudWatch::Dashboard");
    check("{ClusterName: c}", "AWS::ECS::Cluster");
    check("{Name: t, Port: 80, Protocol: HTTP, VpcId: VPC}", "AWS::ElasticLoadBalancingV2::TargetGroup");
    check(
        "{AlarmName: a, Namespace: n, MetricName: m, Statistic: Sum, Period: 60, EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}",
        "AWS::CloudWatch::Alarm",
    );
}

#[test]
fn wait_conditions_wait_for_signals_at_their_handles() {
    let template = r#"
Resources:
  Handle: {Type: AWS::CloudFormation::WaitConditionHandle}
  Condition:
    Type: AWS::CloudFormation::WaitCondition
    Properties: {Handle: !Ref Handle, Timeout: "600", Count: 2}
Outputs:
  Url: {Value: !Ref Handle}
  Data: {Value: !GetAtt Condition.Data}
"#;
    let put = |engine: &mut Engine, body: &str| {
        let resource =
            engine.cloudformation().resources().iter().find(|row| row.logical_id == "Handle").unwrap();
        let url = resource.made.as_ref().unwrap().physical_id.clone();
        let (bucket, key) =
            url.split_once("://").unwrap().1.split_once('/').unwrap().1.split_once('/').unwrap();
        let request = capstan_shapes::s3::PutObjectRequest {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: Some(capstan_shapes::Blob(body.as_bytes().to_vec().into())),
            ..Default::default()
        };
        call(engine, request)
    };
    let check = |bodies: &[&str], status: &str, words: &str| {
        let mut engine = engine();
        create(&mut engine, "wait", template);
        pass(&mut engine, Span::from_secs(30));
        for body in bodies {
            put(&mut engine, body).unwrap();
            pass(&mut engine, Span::from_secs(1));
        }
        settle_as(&mut engine, "wait", status);
        let told = format!("{} {:?}", history(&mut engine, "wait"), outputs(&mut engine, "wait"));
        assert!(told.contains(words), "{told}");
    };
    let one = r#"{"Status": "SUCCESS", "UniqueId": "1", "Data": "a", "Reason": "done"}"#;
    let two = r#"{"Status": "SUCCESS", "UniqueId": "2", "Data": "b"}"#;
    let bad = r#"{"Status": "FAILURE", "UniqueId": "2", "Reason": "no disk"}"#;
    check(&[one, two], "CREATE_COMPLETE", r#"{\"1\":\"a\",\"2\":\"b\"}"#);
    check(
        &[one, one],
        "ROLLBACK_COMPLETE",
        "WaitCondition timed out. Received 1 conditions when expecting 2",
    );
    check(
        &[one, bad],
        "ROLLBACK_COMPLETE",
        "WaitCondition received failed message: 'no disk' for uniqueId: 2",
    );
    let mut engine = engine();
    create(&mut engine, "wait", template);
    assert_eq!(put(&mut engine, "done").unwrap_err().code, "InvalidRequest");
}
