//! Stacks of real resources that fail somewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{create, delete, describe, engine, settle, update};
use crate::Engine;

const SIZE: usize = 40;

/// A stack of forty resources of many services that need each other; the one at `broken` cannot be made.
fn template(broken: Option<usize>, days: u32) -> String {
    let mut text = String::from("Resources:\n");
    for n in 0..SIZE {
        let needs = match n {
            0 => "[]".to_owned(),
            n if n % 5 == 4 => format!("[R{}, R{}]", n / 2, n - 3),
            n => format!("[R{}]", n / 2),
        };
        let resource = match n % 8 {
            _ if broken == Some(n) => "AWS::SQS::Queue, Properties: {QueueName: not a name}".to_owned(),
            0 => "AWS::SQS::Queue".to_owned(),
            1 => format!("AWS::Logs::LogGroup, Properties: {{RetentionInDays: {days}}}"),
            2 => "AWS::ECS::Cluster".to_owned(),
            3 => "AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 hour), State: DISABLED}".to_owned(),
            4 => "AWS::ECS::TaskDefinition, Properties: {ContainerDefinitions: [{Name: a, Image: b, Memory: 16}]}"
                .to_owned(),
            5 => "AWS::SSM::Parameter, Properties: {Type: String, Value: a}".to_owned(),
            6 => "AWS::CloudWatch::Alarm, Properties: {Namespace: n, MetricName: m, Statistic: Sum, Period: 60, \
                  EvaluationPeriods: 1, Threshold: 1, ComparisonOperator: GreaterThanThreshold}"
                .to_owned(),
            _ => "AWS::CloudWatch::Dashboard, Properties: {DashboardBody: '{\"widgets\": []}'}".to_owned(),
        };
        writeln!(text, "  R{n}: {{Type: {resource}, DependsOn: {needs}}}").unwrap();
    }
    text
}

/// All that exists besides stacks.
fn others(engine: &Engine) -> BTreeMap<&'static str, Vec<String>> {
    let mut all = engine.resources();
    all.retain(|table, _| !table.starts_with("cloudformation."));
    all
}

#[test]
fn a_create_that_fails_anywhere_leaves_nothing_behind() {
    let mut engine = engine();
    let before = others(&engine);
    for broken in 0..SIZE {
        create(&mut engine, "it", &template(Some(broken), 1));
        assert_eq!(settle(&mut engine, "it"), "ROLLBACK_COMPLETE", "R{broken}");
        assert_eq!(others(&engine), before, "R{broken}");
        delete(&mut engine, "it");
        assert!(!engine.resources().contains_key("cloudformation.stacks"), "R{broken}");
    }
    create(&mut engine, "it", &template(None, 1));
    let status = settle(&mut engine, "it");
    assert_eq!(status, "CREATE_COMPLETE", "{}", super::history(&mut engine, "it"));
    delete(&mut engine, "it");
    assert_eq!(others(&engine), before);
}

#[test]
fn an_update_that_fails_anywhere_leaves_what_there_was() {
    let mut engine = engine();
    create(&mut engine, "it", &template(None, 1));
    assert_eq!(settle(&mut engine, "it"), "CREATE_COMPLETE");
    let before = others(&engine);
    for broken in 0..SIZE {
        update(&mut engine, "it", &template(Some(broken), 7));
        let status = settle(&mut engine, "it");
        let reason = describe(&mut engine, "it").stack_status_reason;
        assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE", "R{broken}: {reason:?}");
        assert_eq!(others(&engine), before, "R{broken}");
    }
}
