//! Change sets, and what is read of templates.

use capstan_shapes::cloudformation::{
    Change, ChangeSetType, CreateChangeSetRequest, DeleteChangeSetRequest, DeleteStackRequest,
    DescribeChangeSetRequest, DescribeChangeSetResponse, ExecuteChangeSetRequest, GetTemplateRequest,
    GetTemplateSummaryRequest, ListChangeSetsRequest, ListExportsRequest, ListImportsRequest, Parameter,
    TemplateSummaryConfig, ValidateTemplateRequest,
};

use super::{create, describe, engine, settle, update};
use crate::Engine;
use crate::testing::{ok, refused};

fn request(stack: &str, kind: ChangeSetType, template: &str) -> CreateChangeSetRequest {
    CreateChangeSetRequest {
        stack_name: stack.to_owned(),
        change_set_name: "set".to_owned(),
        change_set_type: Some(kind),
        template_body: Some(template.to_owned()),
        ..Default::default()
    }
}

fn by_name(stack: &str, values: bool) -> DescribeChangeSetRequest {
    DescribeChangeSetRequest {
        change_set_name: "set".to_owned(),
        stack_name: Some(stack.to_owned()),
        include_property_values: Some(values),
        next_token: None,
    }
}

fn execute(engine: &mut Engine, stack: &str) {
    let request = ExecuteChangeSetRequest {
        change_set_name: "set".to_owned(),
        stack_name: Some(stack.to_owned()),
        ..Default::default()
    };
    ok(engine, request);
}

fn status(set: &DescribeChangeSetResponse) -> String {
    format!("{} {}", set.status.unwrap(), set.execution_status.unwrap())
}

/// Each change as `ACTION ID TYPE PHYSICALID REPLACEMENT POLICY`, each detail as `ATTRIBUTE NAME RECREATION SOURCE ENTITY
/// EVALUATION`.
fn lines(changes: Vec<Change>) -> String {
    let mut text = String::new();
    for change in changes {
        let change = change.resource_change.unwrap();
        let mut words = vec![
            change.action.unwrap().to_string(),
            change.logical_resource_id.unwrap(),
            change.resource_type.unwrap(),
        ];
        words.extend(change.replacement.map(|it| it.to_string()));
        words.extend(change.policy_action.map(|it| it.to_string()));
        text.push_str(&format!("{}\n", words.join(" ")));
        for detail in change.details.unwrap_or_default() {
            let target = detail.target.unwrap();
            let mut words = vec![target.attribute.unwrap().to_string()];
            words.extend(target.name);
            words.push(target.requires_recreation.unwrap().to_string());
            words.push(detail.change_source.unwrap().to_string());
            words.extend(detail.causing_entity);
            words.push(detail.evaluation.unwrap().to_string());
            text.push_str(&format!("  {}\n", words.join(" ")));
        }
    }
    text
}

const SMALL: &str = "Resources: {Box: {Type: 'Test::Thing::One', Properties: {Size: 1}}}";

#[test]
fn a_stack_is_reviewed_executed_and_changed() {
    let mut engine = engine();
    let slow = SMALL.replace("Size: 1", "Takes: 3");
    let made = ok(&mut engine, request("small", ChangeSetType::Create, &slow));
    let stack_id = made.stack_id.unwrap();
    assert_eq!(describe(&mut engine, "small").stack_status.as_str(), "REVIEW_IN_PROGRESS");
    let set = ok(&mut engine, by_name("small", false));
    assert_eq!(status(&set), "CREATE_COMPLETE AVAILABLE");
    assert_eq!(set.change_set_id, made.id);
    assert_eq!(lines(set.changes.unwrap()), "Add Box Test::Thing::One\n");
    refused(
        &mut engine,
        request("small", ChangeSetType::Create, SMALL),
        "AlreadyExistsException",
        "ChangeSet set already exists",
    );
    refused(
        &mut engine,
        CreateChangeSetRequest {
            change_set_name: "u".to_owned(),
            ..request("small", ChangeSetType::Update, SMALL)
        },
        "ValidationError",
        "is in REVIEW_IN_PROGRESS state and can not be updated.",
    );
    execute(&mut engine, "small");
    assert_eq!(status(&ok(&mut engine, by_name("small", false))), "CREATE_COMPLETE EXECUTE_IN_PROGRESS");
    assert_eq!(settle(&mut engine, "small"), "CREATE_COMPLETE");
    let stack = describe(&mut engine, "small");
    assert_eq!((stack.stack_id, stack.change_set_id), (Some(stack_id), made.id));
    assert_eq!(status(&ok(&mut engine, by_name("small", false))), "CREATE_COMPLETE EXECUTE_COMPLETE");
    let again = ExecuteChangeSetRequest {
        change_set_name: "set".to_owned(),
        stack_name: Some("small".to_owned()),
        ..Default::default()
    };
    refused(
        &mut engine,
        again,
        "InvalidChangeSetStatus",
        "cannot be executed in its current execution status of [EXECUTE_COMPLETE]",
    );
    refused(
        &mut engine,
        CreateChangeSetRequest {
            change_set_name: "c".to_owned(),
            ..request("small", ChangeSetType::Create, SMALL)
        },
        "ValidationError",
        "Stack [small] already exists and cannot be created again with the changeSet [c].",
    );
}

#[test]
fn a_change_set_without_changes_fails() {
    let mut engine = engine();
    create(&mut engine, "small", SMALL);
    settle(&mut engine, "small");
    ok(&mut engine, request("small", ChangeSetType::Update, SMALL));
    let set = ok(&mut engine, by_name("small", false));
    assert_eq!(status(&set), "FAILED UNAVAILABLE");
    assert_eq!(
        set.status_reason.as_deref(),
        Some(
            "The submitted information didn't contain changes. Submit different information to create a change set."
        )
    );
    let remove =
        || DeleteChangeSetRequest { change_set_name: "set".to_owned(), stack_name: Some("small".to_owned()) };
    ok(&mut engine, remove());
    refused(&mut engine, by_name("small", false), "ChangeSetNotFound", "ChangeSet [set] does not exist");
    // What is not there is as good as deleted.
    ok(&mut engine, remove());
    refused(&mut engine, by_name("nowhere", false), "ValidationError", "Stack [nowhere] does not exist");
    refused(
        &mut engine,
        request("nowhere", ChangeSetType::Update, SMALL),
        "ValidationError",
        "Stack [nowhere] does not exist",
    );
    refused(
        &mut engine,
        request("x", ChangeSetType::Import, SMALL),
        "ValidationError",
        "ChangeSetType IMPORT",
    );
}

#[test]
fn what_fails_is_said_in_the_change_set() {
    let mut engine = engine();
    let template = "Resources: {Box: {Type: 'Test::Thing::One', Properties: {Of: !ImportValue nothing}}}";
    ok(&mut engine, request("small", ChangeSetType::Create, template));
    let set = ok(&mut engine, by_name("small", false));
    assert_eq!(status(&set), "FAILED UNAVAILABLE");
    assert!(set.status_reason.unwrap().starts_with("No export named nothing found."));
    ok(&mut engine, DeleteStackRequest { stack_name: "small".to_owned(), ..Default::default() });
    settle(&mut engine, &set.stack_id.unwrap());
    refused(&mut engine, by_name("small", false), "ValidationError", "Stack [small] does not exist");
}

#[test]
fn other_change_sets_become_worthless() {
    let mut engine = engine();
    create(&mut engine, "small", SMALL);
    settle(&mut engine, "small");
    let two = SMALL.replace("Size: 1", "Size: 2");
    for name in ["set", "other"] {
        let request = CreateChangeSetRequest {
            change_set_name: name.to_owned(),
            ..request("small", ChangeSetType::Update, &two)
        };
        ok(&mut engine, request);
    }
    update(&mut engine, "small", &SMALL.replace("Size: 1", "Size: 3"));
    assert_eq!(status(&ok(&mut engine, by_name("small", false))), "CREATE_COMPLETE OBSOLETE");
    settle(&mut engine, "small");
    let remove =
        DeleteChangeSetRequest { change_set_name: "set".to_owned(), stack_name: Some("small".to_owned()) };
    ok(&mut engine, remove);
    ok(&mut engine, request("small", ChangeSetType::Update, &two));
    execute(&mut engine, "small");
    let list = ListChangeSetsRequest { stack_name: "small".to_owned(), next_token: None };
    let names: Vec<_> =
        ok(&mut engine, list).summaries.unwrap().into_iter().map(|it| it.change_set_name.unwrap()).collect();
    assert_eq!(names, ["set"]);
    assert_eq!(settle(&mut engine, "small"), "UPDATE_COMPLETE");
}

const QUEUES: &str = "
Parameters:
  Delay: {Type: Number, Default: 1}
  Name: {Type: String, Default: one}
  Secret: {Type: String, Default: x, NoEcho: true}
Conditions:
  Slow: !Equals [!Ref Delay, 9]
Resources:
  Named: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Name}}
  Late: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: !Ref Delay}}
  By: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: !If [Slow, 2, 1]}}
  Uses: {Type: Test::Thing::One, Properties: {Of: !GetAtt Named.Arn, Url: !Ref Named, Secret: !Ref Secret}}
  Chain: {Type: Test::Thing::One, Properties: {Of: !Ref Uses}}
  Goes: {Type: AWS::SQS::Queue, DeletionPolicy: Retain}
";

#[test]
fn changes_say_what_and_why() {
    let mut engine = engine();
    create(&mut engine, "queues", QUEUES);
    assert_eq!(settle(&mut engine, "queues"), "CREATE_COMPLETE");
    let changed = QUEUES
        .replace("  Goes: {Type: AWS::SQS::Queue, DeletionPolicy: Retain}", "  New: {Type: AWS::SQS::Queue}");
    let parameter = |name: &str, value: &str| Parameter {
        parameter_key: Some(name.to_owned()),
        parameter_value: Some(value.to_owned()),
        ..Default::default()
    };
    let parameters = vec![parameter("Delay", "9"), parameter("Name", "two"), parameter("Secret", "y")];
    let request = CreateChangeSetRequest {
        parameters: Some(parameters),
        ..request("queues", ChangeSetType::Update, &changed)
    };
    ok(&mut engine, request);
    let set = ok(&mut engine, by_name("queues", false));
    let found = lines(set.changes.unwrap());
    let expected = "Modify By AWS::SQS::Queue False
  Properties DelaySeconds Never ParameterReference Delay Static
Remove Goes AWS::SQS::Queue Retain
Modify Late AWS::SQS::Queue False
  Properties DelaySeconds Never ParameterReference Delay Static
Modify Named AWS::SQS::Queue True ReplaceAndDelete
  Properties QueueName Always ParameterReference Name Static
Add New AWS::SQS::Queue
Modify Uses Test::Thing::One False
  Properties Of Never ResourceAttribute Named.Arn Static
  Properties Secret Never ParameterReference Secret Static
  Properties Url Never ResourceReference Named Static
";
    assert!(found == expected, "found:\n{found}\nexpected:\n{expected}");
    let set = ok(&mut engine, by_name("queues", true));
    let uses = set.changes.unwrap().remove(5).resource_change.unwrap();
    let after: serde_json::Value = serde_json::from_str(&uses.after_context.unwrap()).unwrap();
    assert_eq!(after["Properties"]["Of"], "{{changeSet:KNOWN_AFTER_APPLY}}");
    assert_eq!(after["Properties"]["Secret"], "****");
    let target = uses.details.unwrap().remove(0).target.unwrap();
    assert_eq!(target.path.as_deref(), Some("/Properties/Of"));
    assert_eq!(target.after_value.as_deref(), Some("{{changeSet:KNOWN_AFTER_APPLY}}"));
    execute(&mut engine, "queues");
    assert_eq!(settle(&mut engine, "queues"), "UPDATE_COMPLETE");
}

#[test]
fn attributes_that_move_are_dynamic() {
    const GROUP: &str = "
Resources:
  Template:
    Type: AWS::EC2::LaunchTemplate
    Properties: {LaunchTemplateData: {ImageId: ami-1, InstanceType: t3.micro}}
  Group:
    Type: AWS::AutoScaling::AutoScalingGroup
    Properties:
      MinSize: 0
      MaxSize: 1
      AvailabilityZones: !GetAZs ''
      LaunchTemplate: {LaunchTemplateId: !Ref Template, Version: !GetAtt Template.LatestVersionNumber}
";
    let mut engine = engine();
    create(&mut engine, "group", GROUP);
    assert_eq!(settle(&mut engine, "group"), "CREATE_COMPLETE");
    ok(&mut engine, request("group", ChangeSetType::Update, &GROUP.replace("t3.micro", "t3.small")));
    let set = ok(&mut engine, by_name("group", false));
    let found = lines(set.changes.unwrap());
    let expected = "Modify Group AWS::AutoScaling::AutoScalingGroup Conditional
  Properties LaunchTemplate Conditionally ResourceAttribute Template.LatestVersionNumber Dynamic
Modify Template AWS::EC2::LaunchTemplate False
  Properties LaunchTemplateData Never DirectModification Static
";
    assert!(found == expected, "found:\n{found}\nexpected:\n{expected}");
}

#[test]
fn templates_are_read() {
    const WITH_ROLE: &str = "
AWSTemplateFormatVersion: 2010-09-09
Description: a role
Metadata: {a: 1}
Parameters: {P: {Type: String, AllowedValues: [a], Default: a, NoEcho: true}}
Resources:
  Queue: {Type: AWS::SQS::Queue}
  Other: {Type: AWS::SQS::Queue}
";
    let mut engine = engine();
    let validate =
        |body: &str| ValidateTemplateRequest { template_body: Some(body.to_owned()), template_url: None };
    let found = ok(&mut engine, validate(WITH_ROLE));
    assert_eq!(found.description.as_deref(), Some("a role"));
    assert_eq!(found.capabilities, Some(Vec::new()));
    let parameter = found.parameters.unwrap().remove(0);
    assert_eq!((parameter.default_value.as_deref(), parameter.no_echo), (Some("a"), Some(true)));
    let unknown = WITH_ROLE.replace("AWS::SQS::Queue", "AWS::No::Such");
    refused(
        &mut engine,
        validate(&unknown),
        "ValidationError",
        "Template format error: Unrecognized resource types: [AWS::No::Such]",
    );
    refused(&mut engine, validate("x: ["), "ValidationError", "Template format error: YAML not well-formed.");
    let summary = |lenient| GetTemplateSummaryRequest {
        template_body: Some(unknown.clone()),
        template_summary_config: Some(TemplateSummaryConfig {
            treat_unrecognized_resource_types_as_warnings: Some(lenient),
        }),
        ..Default::default()
    };
    refused(&mut engine, summary(false), "ValidationError", "Unrecognized resource types");
    let found = ok(&mut engine, summary(true));
    assert_eq!(found.warnings.unwrap().unrecognized_resource_types.unwrap(), ["AWS::No::Such"]);
    assert_eq!(found.metadata.as_deref(), Some("{\"a\":1}"));
    create(&mut engine, "reads", WITH_ROLE);
    let summary = GetTemplateSummaryRequest { stack_name: Some("reads".to_owned()), ..Default::default() };
    let identifiers = ok(&mut engine, summary).resource_identifier_summaries.unwrap().remove(0);
    assert_eq!(identifiers.logical_resource_ids.unwrap(), ["Queue", "Other"]);
    assert_eq!(identifiers.resource_identifiers.unwrap(), ["QueueUrl"]);
    let get = GetTemplateRequest { stack_name: Some("reads".to_owned()), ..Default::default() };
    assert_eq!(ok(&mut engine, get).template_body.as_deref(), Some(WITH_ROLE));
    let get = GetTemplateRequest { stack_name: Some("no".to_owned()), ..Default::default() };
    refused(&mut engine, get, "ValidationError", "Stack with id no does not exist");
}

#[test]
fn what_parameters_name_must_exist() {
    let mut engine = engine();
    for (kind, value) in [
        ("AWS::EC2::VPC::Id", "vpc-0123456789abcdef0"),
        ("List<AWS::EC2::Subnet::Id>", "subnet-0123456789abcdef0"),
        ("AWS::EC2::KeyPair::KeyName", "none"),
        ("AWS::EC2::Instance::Id", "no instance"),
        ("AWS::EC2::AvailabilityZone::Name", "mars-1a"),
    ] {
        let template = format!("Parameters: {{P: {{Type: '{kind}', Default: '{value}'}}}}\n{SMALL}");
        let said = format!(
            "Parameter validation failed: parameter value {value} for parameter name P does not exist"
        );
        refused(&mut engine, request("x", ChangeSetType::Create, &template), "ValidationError", &said);
    }
    let zone = "Parameters: {P: {Type: 'AWS::EC2::AvailabilityZone::Name', Default: us-east-1a}}\n";
    ok(&mut engine, request("x", ChangeSetType::Create, &format!("{zone}{SMALL}")));
}

#[test]
fn exports_and_imports_are_listed() {
    let mut engine = engine();
    let exporter =
        "Resources: {A: {Type: 'Test::Thing::One'}}\nOutputs: {O: {Value: v, Export: {Name: 'net:it'}}}";
    let importer = "Resources: {A: {Type: 'Test::Thing::One', Properties: {Of: !ImportValue 'net:it'}}}";
    let id = create(&mut engine, "exporter", exporter);
    settle(&mut engine, "exporter");
    let imports = || ListImportsRequest { export_name: "net:it".to_owned(), next_token: None };
    refused(&mut engine, imports(), "ValidationError", "Export 'net:it' is not imported by any stack.");
    create(&mut engine, "importer", importer);
    settle(&mut engine, "importer");
    let export = ok(&mut engine, ListExportsRequest { next_token: None }).exports.unwrap().remove(0);
    assert_eq!(
        (export.exporting_stack_id, export.name.as_deref(), export.value.as_deref()),
        (Some(id), Some("net:it"), Some("v"))
    );
    assert_eq!(ok(&mut engine, imports()).imports.unwrap(), ["importer"]);
    let absent = ListImportsRequest { export_name: "no".to_owned(), next_token: None };
    refused(&mut engine, absent, "ValidationError", "Export 'no' does not exist.");
}
