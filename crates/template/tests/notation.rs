//! JSON and YAML say the same, and a template's parts arrive where they belong.

mod common;

use std::fmt::Write as _;

use capstan_template::{DeletionPolicy, Template};
use common::all;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Values in which functions stand, in their long form.
fn value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        "[a-z0-9 :#'{}&*!|>%@`,?-]{0,8}".prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        (-5000_i64..5000).prop_map(Json::from),
        Just(json!({"Ref": "Name"})),
        Just(json!({"Ref": "Web"})),
        Just(json!({"Ref": "AWS::Region"})),
        Just(json!({"Fn::GetAtt": ["Web", "Arn"]})),
        Just(json!({"Fn::Sub": "x ${Name} ${Web.Arn}: y"})),
        Just(json!({"Fn::GetAZs": ""})),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map("[A-Z][a-z]{1,4}", inner.clone(), 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"Fn::If": ["Yes", a, b]})),
            (0_usize..2, inner.clone(), inner).prop_map(|(at, a, b)| json!({"Fn::Select": [at, [a, b]]})),
        ]
    })
}

fn template(properties: &Json) -> Json {
    json!({
        "Parameters": {"Name": {"Type": "String", "Default": "web"}},
        "Conditions": {"Yes": {"Fn::Equals": [{"Ref": "Name"}, "web"]}},
        "Resources": {
            "Web": {"Type": "A::B::C"},
            "It": {"Type": "A::B::C", "Properties": {"X": properties}, "DependsOn": "Web"},
        },
    })
}

/// Block YAML with short forms, except where two tags would meet.
fn yaml(value: &Json, indent: usize, tag_allowed: bool, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Json::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Json::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Json::Object(map) => {
            let only = map.iter().next().filter(|_| map.len() == 1);
            if let Some((name, argument)) = only
                && tag_allowed
                && let Some(tag) = if name == "Ref" { Some("Ref") } else { name.strip_prefix("Fn::") }
            {
                let _ = write!(out, " !{tag}");
                return yaml(argument, indent, false, out);
            }
            out.push('\n');
            for (key, member) in map {
                let _ = write!(out, "{pad}{key}:");
                yaml(member, indent + 2, true, out);
            }
        }
        Json::Array(items) => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{pad}-");
                yaml(item, indent + 2, true, out);
            }
        }
        Json::String(text) => {
            let _ = writeln!(out, " '{}'", text.replace('\'', "''"));
        }
        scalar => {
            let _ = writeln!(out, " {scalar}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_notations_resolve_alike(value in value()) {
        let document = template(&value);
        let mut text = String::new();
        yaml(&document, 0, true, &mut text);
        let from_json = Template::parse(&document.to_string());
        let pretty = Template::parse(&serde_json::to_string_pretty(&document).expect("JSON"));
        let from_yaml = Template::parse(text.trim_start());
        let say = |template: &Result<Template, capstan_template::TemplateError>| match template {
            Ok(template) => all(template, &[]).map_err(|error| error.message().to_owned()),
            Err(error) => Err(error.message().to_owned()),
        };
        prop_assert_eq!(say(&from_json), say(&pretty));
        prop_assert_eq!(say(&from_json), say(&from_yaml), "{}", text);
    }

    #[test]
    fn nothing_panics(text in "[\\[\\]{}:,\"'!&*|>\\-? \nARFn:ef.${}]{0,60}") {
        let _ = Template::parse(&text);
        let _ = Template::parse(&format!("Resources:\n  A:\n    Type: A::B::C\n    Properties:\n      X: {text}\n"));
        let _ = Template::parse(&format!("{{\"Resources\": {{\"A\": {text}}}}}"));
    }
}

#[test]
fn parts_arrive() {
    let text = "\u{feff}---
AWSTemplateFormatVersion: 2010-09-09
Description: >-
  two
  lines
Metadata: {AWS::CloudFormation::Interface: {ParameterGroups: []}}
Parameters:
  Env: {Type: String, Default: test, NoEcho: true, Description: which}
Conditions: {Prod: !Equals [!Ref Env, prod]}
Resources:
  Net: {Type: A::B::Net}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Condition: Prod
    DependsOn: [Net]
    DeletionPolicy: Retain
    UpdateReplacePolicy: Snapshot
    CreationPolicy: {ResourceSignal: {Count: !Ref Env, Timeout: PT15M}}
    UpdatePolicy: {AutoScalingRollingUpdate: {MinInstancesInService: '1', WaitOnResourceSignals: true}}
    Metadata: {n: !Ref Net}
    Properties:
      UserData:
        Fn::Base64: !Sub |
          #!/bin/bash
          echo ${Net.Arn} ${!HOME}
Outputs:
  One: {Value: !Ref Net, Export: {Name: !Sub '${AWS::StackName}:one'}, Description: d}
  Two: {Value: !GetAtt Group.Arn, Condition: Prod}
";
    let template = Template::parse(text).expect("a template");
    assert_eq!(template.description.as_deref(), Some("two lines"));
    assert_eq!(template.format_version.as_deref(), Some("2010-09-09"));
    assert!(template.parameter("Env").expect("Env").no_echo);
    let group = template.resource("Group").expect("Group");
    assert_eq!(group.line, 12);
    assert_eq!(group.deletion_policy, DeletionPolicy::Retain);
    assert_eq!(group.update_replace_policy, DeletionPolicy::Snapshot);
    assert_eq!(group.dependencies().into_iter().collect::<Vec<_>>(), ["Net"]);
    assert_eq!(group.condition.as_deref(), Some("Prod"));
    let members = group.properties.members().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(members, ["UserData"]);
    let references = group.properties.references_under(&std::collections::BTreeMap::new());
    assert_eq!(references.attributes.into_iter().collect::<Vec<_>>(), [("Net", "Arn")]);
    let template = Template::parse(&text.replace("  Two:", "  # Two:")).expect("a template");
    let resolved = all(&template, &[("Env", "prod")]).expect("resolves");
    assert_eq!(resolved["outputs"], json!({"One": ["shop-Net", "shop:one"]}));
    assert_eq!(
        resolved["resources"]["Group"]["UserData"],
        json!("IyEvYmluL2Jhc2gKZWNobyBhcm46TmV0ICR7SE9NRX0K")
    );
}

#[test]
fn capabilities_are_asked_for() {
    let cases: &[(&str, &[&str])] = &[
        ("{A: {Type: AWS::SQS::Queue}}", &[]),
        ("{A: {Type: AWS::IAM::Role}}", &["CAPABILITY_IAM"]),
        ("{A: {Type: AWS::IAM::Role, Properties: {RoleName: x}}}", &["CAPABILITY_NAMED_IAM"]),
        ("{A: {Type: AWS::IAM::Policy, Properties: {PolicyName: x}}}", &["CAPABILITY_IAM"]),
    ];
    for (resources, expected) in cases {
        let template = Template::parse(&format!("Resources: {resources}")).expect("a template");
        assert_eq!(template.capabilities(), *expected, "{resources}");
    }
}
