use capstan_model::Span;
use capstan_shapes::ecs as shapes;

use super::{Account, texts};

const FARGATE_ITEM: &str = "FARGATE";

fn named(name: &str) -> shapes::CreateClusterRequest {
    shapes::CreateClusterRequest { cluster_name: Some(name.to_owned()), ..Default::default() }
}

fn describe(account: &mut Account, name: &str) -> shapes::Cluster {
    use shapes::ClusterField as Field;
    let include = Some(vec![Field::Attachments, Field::Settings, Field::Statistics, Field::Tags]);
    let clusters = Some(texts(&[name]));
    let found = account.done(shapes::DescribeClustersRequest { clusters, include });
    found.clusters.unwrap_or_default().pop().expect("the cluster")
}

fn item(provider: &str, weight: i32) -> shapes::CapacityProviderStrategyItem {
    shapes::CapacityProviderStrategyItem {
        capacity_provider: provider.to_owned(),
        weight: Some(weight),
        base: None,
    }
}

fn put(cluster: &str, providers: &[&str], strategy: &[&str]) -> shapes::PutClusterCapacityProvidersRequest {
    shapes::PutClusterCapacityProvidersRequest {
        cluster: cluster.to_owned(),
        capacity_providers: texts(providers),
        default_capacity_provider_strategy: strategy.iter().map(|name| item(name, 1)).collect(),
    }
}

#[test]
fn a_cluster_from_creation_to_deletion() {
    let mut account = Account::new();
    let created = account.done(named("demo")).cluster.expect("the cluster");
    assert_eq!(created.cluster_arn.as_deref(), Some("arn:aws:ecs:us-east-1:000000000000:cluster/demo"));
    assert_eq!(created.status.as_deref(), Some("ACTIVE"));
    let found = describe(&mut account, "arn:aws:ecs:us-east-1:000000000000:cluster/demo");
    let statistic = |name: &str| {
        let statistics = found.statistics.as_ref().expect("statistics");
        statistics.iter().find(|pair| pair.name.as_deref() == Some(name)).and_then(|pair| pair.value.clone())
    };
    assert_eq!(statistic("runningEC2TasksCount").as_deref(), Some("0"));
    assert_eq!(statistic("drainingFargateServiceCount").as_deref(), Some("0"));
    assert_eq!(found.attachments_status, None);
    assert_eq!(account.done(named("demo")).cluster, Some(created), "the same call again");

    let insights = shapes::ClusterSetting {
        name: Some(shapes::ClusterSettingName::ContainerInsights),
        value: Some("enabled".to_owned()),
    };
    let cluster = "demo".to_owned();
    account.done(shapes::UpdateClusterSettingsRequest { cluster: cluster.clone(), settings: vec![insights] });
    let settings = describe(&mut account, "demo").settings.expect("settings");
    assert_eq!(settings[0].value.as_deref(), Some("enabled"));

    let deleted = account.done(shapes::DeleteClusterRequest { cluster: cluster.clone() }).cluster;
    assert_eq!(deleted.and_then(|cluster| cluster.status).as_deref(), Some("INACTIVE"));
    assert_eq!(describe(&mut account, "demo").status.as_deref(), Some("INACTIVE"));
    assert_eq!(
        account.refused(shapes::DeleteClusterRequest { cluster }),
        "ClusterNotFoundException: The referenced cluster was inactive."
    );
    let created = account.done(named("demo")).cluster.and_then(|cluster| cluster.status);
    assert_eq!(created.as_deref(), Some("ACTIVE"), "the name is free again");
}

#[test]
fn names_defaults_failures_and_pages() {
    let mut account = Account::new();
    let missing = account.done(shapes::DescribeClustersRequest::default()).failures.unwrap_or_default();
    assert_eq!(missing[0].arn.as_deref(), Some("arn:aws:ecs:us-east-1:000000000000:cluster/default"));
    assert_eq!(missing[0].reason.as_deref(), Some("MISSING"));
    account.done(shapes::CreateClusterRequest::default());
    for name in ["", "with space", "a/b", "ü"] {
        let refusal = account.refused(named(name));
        assert!(refusal.starts_with("InvalidParameterException: "), "{name}: {refusal}");
    }
    for n in 0..4 {
        account.done(named(&format!("c{n}")));
    }
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let request = shapes::ListClustersRequest { next_token: token, max_results: Some(2) };
        let page = account.done(request);
        seen.extend(page.cluster_arns.unwrap_or_default());
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    let names: Vec<&str> = seen.iter().filter_map(|arn| arn.rsplit('/').next()).collect();
    assert_eq!(names, ["c0", "c1", "c2", "c3", "default"]);
    let wrong = shapes::ListClustersRequest { next_token: Some("x".to_owned()), max_results: None };
    assert_eq!(account.refused(wrong), "InvalidParameterException: Invalid token");
}

#[test]
fn providers_are_attached_in_a_while() {
    let mut account = Account::new();
    let request = shapes::CreateClusterRequest {
        capacity_providers: Some(texts(&["FARGATE", "FARGATE_SPOT"])),
        default_capacity_provider_strategy: Some(vec![item(FARGATE_ITEM, 1)]),
        ..named("demo")
    };
    let created = account.done(request.clone()).cluster.expect("the cluster");
    assert_eq!(created.status.as_deref(), Some("PROVISIONING"));
    assert_eq!(created.attachments_status.as_deref(), Some("UPDATE_IN_PROGRESS"));
    let busy = account.refused(put("demo", &[], &[]));
    assert!(
        busy.starts_with("UpdateInProgressException: The specified cluster is in a busy state."),
        "{busy}"
    );
    account.pass(Span::from_secs(10));
    let found = describe(&mut account, "demo");
    assert_eq!(found.status.as_deref(), Some("ACTIVE"));
    assert_eq!(found.attachments_status.as_deref(), Some("UPDATE_COMPLETE"));
    assert_eq!(found.capacity_providers, Some(texts(&["FARGATE", "FARGATE_SPOT"])));
    let other = shapes::CreateClusterRequest { capacity_providers: Some(texts(&["FARGATE"])), ..request };
    let refusal = account.refused(other);
    assert!(refusal.contains("Arguments on this idempotent request are inconsistent"), "{refusal}");

    for (request, wanted) in [
        (put("nowhere", &[], &[]), "ClusterNotFoundException: Cluster not found."),
        (
            put("demo", &["nobody"], &[]),
            "InvalidParameterException: The specified capacity provider was not found.",
        ),
        (
            put("demo", &["FARGATE"], &["FARGATE_SPOT"]),
            "InvalidParameterException: The specified capacity provider strategy cannot contain a capacity provider \
             that is not associated with the cluster.",
        ),
    ] {
        let refusal = account.refused(request);
        assert!(refusal.starts_with(wanted), "{refusal}");
    }
    account.done(put("demo", &[], &[]));
    account.pass(Span::from_secs(10));
    assert_eq!(describe(&mut account, "demo").capacity_providers, Some(Vec::new()));
}

#[test]
fn built_in_providers_are_described_and_kept() {
    let mut account = Account::new();
    let found = account.done(shapes::DescribeCapacityProvidersRequest::default());
    let names: Vec<String> =
        found.capacity_providers.unwrap_or_default().into_iter().filter_map(|found| found.name).collect();
    assert_eq!(names, ["FARGATE", "FARGATE_SPOT"]);
    let request = shapes::DescribeCapacityProvidersRequest {
        capacity_providers: Some(texts(&["FARGATE", "nobody"])),
        ..Default::default()
    };
    let failures = account.done(request).failures.unwrap_or_default();
    assert_eq!(
        failures[0].arn.as_deref(),
        Some("arn:aws:ecs:us-east-1:000000000000:capacity-provider/nobody")
    );
    let delete = |name: &str| shapes::DeleteCapacityProviderRequest {
        capacity_provider: name.to_owned(),
        cluster: None,
    };
    assert!(account.refused(delete("FARGATE")).contains("reserved"));
    assert!(account.refused(delete("nobody")).contains("does not exist"));
    for name in ["", "awsome", "ECS-one", "fargate-2", "with space"] {
        let request = shapes::CreateCapacityProviderRequest { name: name.to_owned(), ..Default::default() };
        let refusal = account.refused(request);
        assert!(refusal.contains("name"), "{name}: {refusal}");
    }
}

#[test]
fn account_settings_hold_for_new_clusters() {
    let mut account = Account::new();
    let name = shapes::SettingName::ContainerInsights;
    let list = |effective| shapes::ListAccountSettingsRequest {
        name: Some(name),
        effective_settings: Some(effective),
        ..Default::default()
    };
    let value = |account: &mut Account, effective| {
        let settings = account.done(list(effective)).settings.unwrap_or_default();
        settings.into_iter().next().and_then(|setting| setting.value)
    };
    assert_eq!(value(&mut account, false), None);
    assert_eq!(value(&mut account, true).as_deref(), Some("disabled"));
    account.done(shapes::PutAccountSettingDefaultRequest { name, value: "enhanced".to_owned() });
    assert_eq!(value(&mut account, true).as_deref(), Some("enhanced"));
    account.done(shapes::PutAccountSettingRequest { name, value: "enabled".to_owned(), principal_arn: None });
    assert_eq!(value(&mut account, false).as_deref(), Some("enabled"));
    account.done(named("demo"));
    let settings = describe(&mut account, "demo").settings.expect("settings");
    assert_eq!(settings[0].value.as_deref(), Some("enabled"));
    account.done(shapes::DeleteAccountSettingRequest { name, principal_arn: None });
    assert_eq!(value(&mut account, true).as_deref(), Some("enhanced"));
    let wrong = shapes::PutAccountSettingDefaultRequest { name, value: "perhaps".to_owned() };
    assert!(account.refused(wrong).starts_with("InvalidParameterException: "));
    let all = shapes::ListAccountSettingsRequest { effective_settings: Some(true), ..Default::default() };
    let page = account.done(all);
    assert_eq!(page.settings.map(|settings| settings.len()), Some(10));
    assert!(page.next_token.is_some());
}
