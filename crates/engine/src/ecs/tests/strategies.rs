use capstan_shapes::ecs as shapes;

use super::{Account, texts};
use crate::ecs::{GroupProvider, Name, Provider, ProviderKind, capacity_provider};

/// A provider over a group that nobody asks about.
fn provider(name: &str) -> Provider {
    let group = GroupProvider {
        group_name: format!("group-{name}"),
        group_arn: String::new(),
        managed_scaling: None,
        termination_protection: false,
        managed_draining: false,
    };
    Provider {
        name: name.into(),
        kind: ProviderKind::AutoScalingGroup(group),
        status: shapes::CapacityProviderStatus::Active,
        update_status: None,
        pending: None,
        settles_at: None,
        tags: std::collections::BTreeMap::new(),
    }
}

/// Items as `(provider, weight, base)` against the start of the refusal, empty when there is none.
#[track_caller]
fn check(account: &Account, items: &[(&str, i32, i32)], wanted: &str) {
    let items: Vec<shapes::CapacityProviderStrategyItem> = items
        .iter()
        .map(|(name, weight, base)| shapes::CapacityProviderStrategyItem {
            capacity_provider: (*name).to_owned(),
            weight: Some(*weight),
            base: Some(*base),
        })
        .collect();
    let cluster = Name::from("demo");
    let found = capacity_provider::check_strategy(&account.engine, &cluster, &items);
    let refusal = found.err().map(|refusal| refusal.to_string()).unwrap_or_default();
    assert!(refusal.starts_with(wanted) && refusal.is_empty() == wanted.is_empty(), "{items:?}: {refusal}");
}

#[test]
fn strategies_are_held_against_every_rule() {
    let mut account = Account::new();
    let mut names = vec!["FARGATE".to_owned()];
    for n in 0..21 {
        let name = format!("p{n}");
        account.engine.ecs.providers.insert(provider(&name));
        names.push(name);
    }
    let cluster_name = Some("demo".to_owned());
    account.done(shapes::CreateClusterRequest { cluster_name, ..Default::default() });
    let too_many = shapes::PutClusterCapacityProvidersRequest {
        cluster: "demo".to_owned(),
        capacity_providers: names,
        default_capacity_provider_strategy: Vec::new(),
    };
    let refusal = account.refused(too_many);
    assert!(refusal.contains("maximum number of capacity providers per cluster"), "{refusal}");
    account.done(shapes::PutClusterCapacityProvidersRequest {
        cluster: "demo".to_owned(),
        capacity_providers: texts(&["p0", "p1", "FARGATE"]),
        default_capacity_provider_strategy: Vec::new(),
    });

    check(&account, &[("p0", 1, 1), ("p1", 1, 0)], "");
    check(&account, &[("p0", 0, 5), ("p1", 3, 0)], "");
    check(&account, &[("arn:aws:ecs:us-east-1:000000000000:capacity-provider/p0", 1, 0)], "");
    check(&account, &[("p0", 0, 0)], "");
    check(
        &account,
        &[("p0", 0, 1), ("p1", 0, 0)],
        "InvalidParameterException: There are no capacity providers with a weight value greater than zero",
    );
    check(
        &account,
        &[("p0", 1, 1), ("p1", 1, 1)],
        "InvalidParameterException: The specified capacity provider strategy cannot contain more than one capacity \
         provider with a base",
    );
    check(
        &account,
        &[("p0", 1, 0), ("FARGATE", 1, 0)],
        "InvalidParameterException: A capacity provider strategy cannot contain a mix of capacity providers using \
         Auto Scaling groups and Fargate providers. Specify one or the other and try again.",
    );
    check(
        &account,
        &[("p2", 1, 0)],
        "InvalidParameterException: The specified capacity provider strategy cannot contain a capacity provider that \
         is not associated with the cluster.",
    );
    check(&account, &[("p0", 1, 0), ("p0", 1, 0)], "InvalidParameterException: A capacity provider strategy");
    check(
        &account,
        &[("p0", 1, 0); 21],
        "InvalidParameterException: The maximum number of capacity providers per strategy has been exceeded.",
    );

    let single = capacity_provider::check_strategy(
        &account.engine,
        &"demo".into(),
        &[shapes::CapacityProviderStrategyItem {
            capacity_provider: "p0".to_owned(),
            weight: None,
            base: Some(2),
        }],
    )
    .expect("a strategy");
    for (total, works) in [(1, true), (2, true), (3, false)] {
        assert_eq!(capacity_provider::check_total(&single, total).is_ok(), works, "{total}");
    }
}
