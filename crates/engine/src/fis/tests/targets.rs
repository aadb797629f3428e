//! Which resources a target means.

use capstan_shapes::fis::{self, ExperimentTemplateTargetInputFilter};
use capstan_shapes::{ec2, ecs};

use super::{Account, Target, action, tagged, wait};

/// Resolves a target of an action that would touch nothing, by mode skip-all; the last parts of the ARNs.
fn resolved(account: &mut Account, target: Target) -> Vec<String> {
    let (key, id, parameters): (&str, &str, &[(&str, &str)]) = match target.resource_type.as_str() {
        "aws:ec2:instance" => ("Instances", "aws:ec2:terminate-instances", &[]),
        "aws:ec2:subnet" => {
            ("Subnets", "aws:network:disrupt-connectivity", &[("duration", "PT1M"), ("scope", "all")])
        }
        "aws:ecs:cluster" => (
            "Clusters",
            "aws:ecs:drain-container-instances",
            &[("duration", "PT1M"), ("drainagePercentage", "10")],
        ),
        other => panic!("{other}"),
    };
    let does = action(id, parameters, &format!("{key}=T"), &[]);
    let mut template = account.template(&[("T", target)], &[("A", does), ("B", wait("PT1M", &[]))]);
    template.experiment_options = Some(fis::CreateExperimentTemplateExperimentOptionsInput {
        account_targeting: None,
        empty_target_resolution_mode: Some(fis::EmptyTargetResolutionMode::Skip),
    });
    let template = account.create(template);
    let mut request = account.start_request(&template);
    request.experiment_options =
        Some(fis::StartExperimentExperimentOptionsInput { actions_mode: Some(fis::ActionsMode::SkipAll) });
    let id = account.done(request).experiment.unwrap().id.unwrap();
    account.secs(13);
    assert_eq!(account.told(&id), "completed: Experiment completed");
    let listed = account.done(fis::ListExperimentResolvedTargetsRequest {
        experiment_id: id,
        target_name: Some("T".to_owned()),
        ..Default::default()
    });
    let arn = |target: fis::ResolvedTarget| target.target_information.unwrap().remove("arn").unwrap();
    let arns = listed.resolved_targets.unwrap().into_iter().map(arn);
    arns.map(|arn| arn.rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

fn filter(path: &str, values: &[&str]) -> ExperimentTemplateTargetInputFilter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    ExperimentTemplateTargetInputFilter { path: path.to_owned(), values }
}

#[test]
fn instances_by_tags_filters_and_arns() {
    let mut account = Account::new();
    let mut first = account.launch(2, false, "a");
    let second = account.launch_in(1, false, "a", "us-east-1b").unwrap();
    let other = account.launch(1, false, "b");
    let ended = account.launch(1, false, "a");
    account.done(ec2::TerminateInstancesRequest { instance_ids: ended, ..Default::default() });
    account.done(ec2::StopInstancesRequest { instance_ids: vec![first[0].clone()], ..Default::default() });
    let target = |filters: Vec<ExperimentTemplateTargetInputFilter>| Target {
        filters: Some(filters),
        ..tagged("aws:ec2:instance", "a", "ALL")
    };
    let mut all = [first.clone(), second.clone()].concat();
    all.sort();
    assert_eq!(resolved(&mut account, target(vec![])), all);
    let running = filter("State.Name", &["running"]);
    let mut alive = vec![first.remove(1), second[0].clone()];
    alive.sort();
    assert_eq!(resolved(&mut account, target(vec![running.clone()])), alive);
    let zone = filter("Placement.AvailabilityZone", &["us-east-1b", "us-east-1c"]);
    assert_eq!(resolved(&mut account, target(vec![running, zone])), second);
    assert!(resolved(&mut account, target(vec![filter("Nothing", &["x"])])).is_empty());
    let by_tag = Target { resource_tags: None, ..target(vec![filter("Tags.Value", &["b"])]) };
    assert_eq!(resolved(&mut account, by_tag), other);
    let arn = |id: &str| format!("arn:aws:ec2:us-east-1:000000000000:instance/{id}");
    let by_arn = Target {
        resource_type: "aws:ec2:instance".to_owned(),
        resource_arns: Some(vec![arn(&other[0]), arn("i-00000000000000000")]),
        selection_mode: "ALL".to_owned(),
        ..Default::default()
    };
    assert_eq!(resolved(&mut account, by_arn), other);
}

#[test]
fn subnets_by_parameters() {
    let mut account = Account::new();
    let subnets = account.done(ec2::DescribeSubnetsRequest::default()).subnets.unwrap();
    let zone = subnets[0].availability_zone.clone().unwrap();
    let target = |parameters: &[(&str, &str)]| Target {
        resource_type: "aws:ec2:subnet".to_owned(),
        parameters: Some(parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()),
        selection_mode: "ALL".to_owned(),
        ..Default::default()
    };
    let expect = vec![subnets[0].subnet_id.clone().unwrap()];
    let zone_id = subnets[0].availability_zone_id.clone().unwrap();
    for zone in [&zone, &zone_id] {
        let found = resolved(&mut account, target(&[("availabilityZoneIdentifier", zone)]));
        assert_eq!(found, expect, "{zone}");
    }
    let found = resolved(&mut account, target(&[("vpc", "vpc-none")]));
    assert!(found.is_empty());
}

#[test]
fn clusters_by_tags() {
    let mut account = Account::new();
    for (name, tag) in [("one", "a"), ("two", "b"), ("three", "a")] {
        account.done(ecs::CreateClusterRequest {
            cluster_name: Some(name.to_owned()),
            tags: Some(vec![ecs::Tag { key: Some("name".into()), value: Some(tag.into()) }]),
            ..Default::default()
        });
    }
    assert_eq!(resolved(&mut account, tagged("aws:ecs:cluster", "a", "ALL")), ["one", "three"]);
    assert_eq!(resolved(&mut account, tagged("aws:ecs:cluster", "a", "COUNT(1)")).len(), 1);
}
