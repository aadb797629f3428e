//! Capacity providers over groups, from the call to the instances: managed scaling, termination protection, managed
//! draining.

use capstan_engine::{Config, autoscaling as groups};
use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::{autoscaling, cloudwatch, ec2, ecs, ssm};
use capstan_simulator::{Profile, Range, World};

const GROUP: &str = "group";
const PROVIDER: &str = "provider";
const CLUSTER: &str = "default";
const HOOK: &str = "ecs-managed-draining-termination-hook";

struct Fleet {
    world: World,
}

impl Fleet {
    /// A provider over an empty group of m5.large in the default cluster, attached at 12:00:10.
    fn new(scaling: ecs::ManagedScaling, protection: bool) -> Self {
        let start = Time::from_civil(2026, 3, 1, 12, 0, 10).expect("a date");
        // Registered in the second minute after the launch, as the table of spec/ecs.md §4.6 has it.
        let profile = Profile { agent: Range::secs(60, 70), ..Profile::default() };
        let mut fleet = Self { world: World::new(Config::new(7), profile, start).checked() };
        let world = &mut fleet.world;
        let name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id".to_owned();
        let image = world
            .call(ssm::GetParameterRequest { name, ..Default::default() })
            .ok()
            .and_then(|found| found.parameter)
            .and_then(|parameter| parameter.value);
        let data = ec2::RequestLaunchTemplateData {
            image_id: image,
            instance_type: Some("m5.large".to_owned()),
            ..Default::default()
        };
        let template = ec2::CreateLaunchTemplateRequest {
            launch_template_name: "template".to_owned(),
            launch_template_data: data,
            ..Default::default()
        };
        world.call(template).expect("a template");
        let template = autoscaling::LaunchTemplateSpecification {
            launch_template_name: Some("template".to_owned()),
            ..Default::default()
        };
        let group = autoscaling::CreateAutoScalingGroupRequest {
            auto_scaling_group_name: GROUP.to_owned(),
            launch_template: Some(template),
            min_size: 0,
            max_size: 10,
            availability_zones: Some(vec!["us-east-1a".to_owned(), "us-east-1b".to_owned()]),
            new_instances_protected_from_scale_in: Some(protection),
            ..Default::default()
        };
        world.call(group).expect("a group");
        world.call(ecs::CreateClusterRequest::default()).expect("a cluster");
        let protection = match protection {
            true => ecs::ManagedTerminationProtection::Enabled,
            false => ecs::ManagedTerminationProtection::Disabled,
        };
        let provider = ecs::AutoScalingGroupProvider {
            auto_scaling_group_arn: GROUP.to_owned(),
            managed_scaling: Some(scaling),
            managed_termination_protection: Some(protection),
            managed_draining: None,
        };
        let request = ecs::CreateCapacityProviderRequest {
            name: PROVIDER.to_owned(),
            auto_scaling_group_provider: Some(provider),
            ..Default::default()
        };
        world.call(request).expect("a provider");
        fleet.attach(&[PROVIDER]);
        fleet
    }

    fn attach(&mut self, providers: &[&str]) {
        let request = ecs::PutClusterCapacityProvidersRequest {
            cluster: CLUSTER.to_owned(),
            capacity_providers: providers.iter().map(|name| (*name).to_owned()).collect(),
            default_capacity_provider_strategy: Vec::new(),
        };
        self.world.call(request).expect("attached");
    }

    /// A service of tasks of 256 CPU units and 512 MiB: eight to an instance.
    fn service(&mut self, count: i32) {
        let container = ecs::ContainerDefinition {
            name: Some("web".to_owned()),
            image: Some("capstan/web".to_owned()),
            cpu: Some(256),
            memory: Some(512),
            ..Default::default()
        };
        let definition = ecs::RegisterTaskDefinitionRequest {
            family: "web".to_owned(),
            container_definitions: vec![container],
            ..Default::default()
        };
        self.world.call(definition).expect("a task definition");
        let item = ecs::CapacityProviderStrategyItem {
            capacity_provider: PROVIDER.to_owned(),
            weight: Some(1),
            base: None,
        };
        let service = ecs::CreateServiceRequest {
            service_name: "web".to_owned(),
            task_definition: Some("web".to_owned()),
            desired_count: Some(count),
            capacity_provider_strategy: Some(vec![item]),
            placement_strategy: Some(vec![ecs::PlacementStrategy {
                r#type: Some(ecs::PlacementStrategyType::Binpack),
                field: Some("memory".to_owned()),
            }]),
            ..Default::default()
        };
        self.world.call(service).expect("a service");
    }

    fn scale(&mut self, count: i32) {
        let request = ecs::UpdateServiceRequest {
            service: "web".to_owned(),
            desired_count: Some(count),
            ..Default::default()
        };
        self.world.call(request).expect("scaled");
    }

    fn desired(&self) -> i64 {
        self.world.engine().autoscaling().groups().get(&GROUP.into()).expect("the group").desired
    }

    fn in_service(&self) -> Vec<&groups::GroupInstance> {
        let index = groups::GroupInstanceIndex::InService(GROUP.into());
        self.world.engine().autoscaling().instances().by(&index).collect()
    }

    fn running(&self) -> usize {
        let tasks = self.world.engine().ecs().tasks();
        tasks.iter().filter(|task| task.status == capstan_engine::ecs::TaskStatus::Running).count()
    }

    /// `(needed, running, thousandths of a percent)` of the latest report.
    fn report(&self) -> Option<(i64, i64, i64)> {
        let associations = self.world.engine().ecs().associations();
        let report = associations.iter().find_map(|association| association.report.clone())?;
        Some((report.needed, report.running, report.milli_percent))
    }

    /// Runs minute by minute, just past each whole minute, and tells report and desired capacity after each.
    fn minutes(&mut self, count: usize) -> Vec<((i64, i64, i64), i64)> {
        (0..count)
            .map(|_| {
                let next = self.world.now().next_multiple(Span::from_mins(1)) + Span::from_millis(1);
                self.world.advance_to(next);
                (self.report().expect("a report"), self.desired())
            })
            .collect()
    }
}

fn scaling(target: i32) -> ecs::ManagedScaling {
    ecs::ManagedScaling {
        status: Some(ecs::ManagedScalingStatus::Enabled),
        target_capacity: Some(target),
        ..Default::default()
    }
}

#[test]
fn an_idle_provider_rests_at_two_or_at_nothing() {
    for (target, wanted) in [(100, 0), (80, 2)] {
        let mut fleet = Fleet::new(scaling(target), false);
        fleet.world.advance(Span::from_mins(10));
        assert_eq!(fleet.in_service().len(), wanted, "target {target}");
        fleet.world.advance(Span::from_mins(60));
        assert_eq!((fleet.in_service().len(), fleet.desired()), (wanted, wanted as i64), "target {target}");
    }
}

#[test]
fn from_zero_to_twenty_tasks_and_back() {
    // spec/ecs.md §4.6, target capacity 100.
    let mut fleet = Fleet::new(scaling(100), true);
    assert_eq!(fleet.minutes(1), [((0, 0, 100_000), 0)]);
    fleet.service(20);
    assert_eq!(
        fleet.minutes(9),
        [
            ((3, 0, 200_000), 2),
            ((5, 2, 250_000), 2),
            ((3, 2, 150_000), 2),
            ((3, 2, 150_000), 2),
            ((3, 2, 150_000), 2),
            ((3, 2, 150_000), 3),
            ((4, 3, 133_333), 3),
            ((3, 3, 100_000), 3),
            ((3, 3, 100_000), 3),
        ]
    );
    assert_eq!(fleet.running(), 20);
    assert!(fleet.in_service().iter().all(|instance| instance.protected));

    fleet.scale(0);
    let minutes = fleet.minutes(25);
    let desired: Vec<i64> = minutes.iter().map(|(_, desired)| *desired).collect();
    let first = desired.iter().position(|desired| *desired < 3).expect("scales in");
    assert!((14..=16).contains(&first), "after 15 minutes: {desired:?}");
    assert_eq!(desired[first..first + 4], [2, 1, 0, 0], "{desired:?}");
    fleet.world.advance(Span::from_mins(5));
    assert!(fleet.in_service().is_empty());
    assert!(fleet.world.engine().ecs().instances().iter().all(|row| row.ec2_instance.is_some()));
}

#[test]
fn instances_with_tasks_are_not_scaled_in() {
    let mut fleet = Fleet::new(scaling(100), true);
    fleet.service(20);
    fleet.world.advance(Span::from_mins(12));
    assert_eq!(fleet.running(), 20);
    // Four tasks stay: by binpack they empty two instances.
    fleet.scale(4);
    fleet.world.advance(Span::from_mins(2));
    let unprotected: Vec<InstanceId> = fleet
        .in_service()
        .iter()
        .filter(|instance| !instance.protected)
        .map(|instance| instance.id)
        .collect();
    let busy = fleet.world.engine().ecs().instances().iter().filter(|row| {
        let index = capstan_engine::ecs::TaskIndex::Instance(row.id);
        fleet.world.engine().ecs().tasks().count_by(&index) > 0
    });
    let busy: Vec<InstanceId> = busy.filter_map(|row| row.ec2_instance).collect();
    assert!(!unprotected.is_empty() && unprotected.iter().all(|id| !busy.contains(id)));
    fleet.world.advance(Span::from_mins(30));
    assert_eq!(fleet.running(), 4);
    assert_eq!(fleet.in_service().len(), busy.len());
}

#[test]
fn an_instance_is_drained_before_its_end() {
    let mut fleet = Fleet::new(scaling(80), false);
    fleet.service(3);
    fleet.world.advance(Span::from_mins(10));
    assert_eq!(fleet.running(), 3);
    let engine = fleet.world.engine();
    let busy = engine
        .ecs()
        .instances()
        .iter()
        .find(|row| engine.ecs().tasks().count_by(&capstan_engine::ecs::TaskIndex::Instance(row.id)) > 0);
    let (busy, id) = busy.and_then(|row| Some((row.ec2_instance?, row.id))).expect("a busy instance");
    let request = autoscaling::TerminateInstanceInAutoScalingGroupRequest {
        instance_id: busy.to_string(),
        should_decrement_desired_capacity: true,
    };
    fleet.world.call(request).expect("goes");
    fleet.world.advance(Span::from_secs(1));
    let status = fleet.world.engine().ecs().instances().get(&id).map(|row| row.status.as_str());
    assert_eq!(status, Some("DRAINING"));
    let state = fleet.world.engine().autoscaling().instances().get(&busy).map(|row| row.state.as_str());
    assert_eq!(state, Some("Terminating:Wait"));
    for _ in 0..300 {
        fleet.world.advance(Span::from_secs(1));
        assert!(fleet.running() >= 3, "the service keeps its tasks");
    }
    assert_eq!(fleet.running(), 3);
    assert!(fleet.world.engine().autoscaling().instances().get(&busy).is_none(), "nothing holds it any more");
}

#[test]
fn standalone_tasks_keep_an_instance_for_two_days_at_most() {
    let mut fleet = Fleet::new(scaling(80), false);
    fleet.service(1);
    fleet.world.advance(Span::from_mins(10));
    fleet.scale(0);
    let item = ecs::CapacityProviderStrategyItem {
        capacity_provider: PROVIDER.to_owned(),
        weight: Some(1),
        base: None,
    };
    let request = ecs::RunTaskRequest {
        task_definition: "web".to_owned(),
        capacity_provider_strategy: Some(vec![item]),
        ..Default::default()
    };
    fleet.world.call(request).expect("runs");
    fleet.world.advance(Span::from_mins(2));
    assert_eq!(fleet.running(), 1);
    let engine = fleet.world.engine();
    let task = engine.ecs().tasks().iter().find(|task| task.stopped_at.is_none()).expect("the task");
    let instance = task.instance.and_then(|id| engine.ecs().instances().get(&id)?.ec2_instance);
    let instance = instance.expect("its instance");
    let request = autoscaling::TerminateInstanceInAutoScalingGroupRequest {
        instance_id: instance.to_string(),
        should_decrement_desired_capacity: false,
    };
    fleet.world.call(request).expect("goes");
    let kept = |fleet: &Fleet| fleet.world.engine().autoscaling().instances().contains(&instance);
    fleet.world.advance(Span::from_hours(47));
    assert!(kept(&fleet), "heartbeats hold it");
    assert_eq!(fleet.running(), 1);
    fleet.world.advance(Span::from_mins(70));
    assert!(!kept(&fleet));
    assert_eq!(fleet.running(), 0);
}

#[test]
fn what_was_made_is_taken_down() {
    let mut fleet = Fleet::new(scaling(80), false);
    fleet.world.advance(Span::from_mins(3));
    let alarms = |fleet: &mut Fleet| {
        let request = cloudwatch::DescribeAlarmsRequest::default();
        fleet.world.call(request).expect("alarms").metric_alarms.unwrap_or_default()
    };
    let policies = |fleet: &mut Fleet| {
        let request = autoscaling::DescribePoliciesRequest::default();
        fleet.world.call(request).expect("policies").scaling_policies.unwrap_or_default()
    };
    let hooks = |fleet: &mut Fleet| {
        let auto_scaling_group_name = GROUP.to_owned();
        let request = autoscaling::DescribeLifecycleHooksRequest {
            auto_scaling_group_name,
            lifecycle_hook_names: None,
        };
        let hooks = fleet.world.call(request).expect("hooks").lifecycle_hooks.unwrap_or_default();
        hooks.into_iter().filter_map(|hook| hook.lifecycle_hook_name).collect::<Vec<_>>()
    };
    let policy = policies(&mut fleet).pop().expect("the policy");
    assert!(policy.policy_name.is_some_and(|name| name.starts_with("ECSManagedAutoScalingPolicy-")));
    let target = policy.target_tracking_configuration.map(|tracking| tracking.target_value);
    assert_eq!(target, Some(80.0));
    assert_eq!(alarms(&mut fleet).len(), 2);
    assert_eq!(hooks(&mut fleet), [HOOK]);
    let include = Some(vec![ecs::ClusterField::Attachments]);
    let cluster =
        fleet.world.call(ecs::DescribeClustersRequest { clusters: None, include }).expect("clusters");
    let cluster = cluster.clusters.unwrap_or_default().pop().expect("the cluster");
    assert_eq!(cluster.attachments_status.as_deref(), Some("UPDATE_COMPLETE"));
    let kinds: Vec<String> = cluster
        .attachments
        .unwrap_or_default()
        .into_iter()
        .filter_map(|attachment| attachment.r#type)
        .collect();
    assert_eq!(kinds, ["as_policy", "managed_draining"]);

    let update = ecs::UpdateCapacityProviderRequest {
        name: PROVIDER.to_owned(),
        auto_scaling_group_provider: Some(ecs::AutoScalingGroupProviderUpdate {
            managed_scaling: Some(ecs::ManagedScaling { target_capacity: Some(90), ..Default::default() }),
            managed_draining: Some(ecs::ManagedDraining::Disabled),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = fleet.world.call(update).expect("updated").capacity_provider.expect("the provider");
    assert_eq!(answer.update_status, Some(ecs::CapacityProviderUpdateStatus::UpdateInProgress));
    fleet.world.advance(Span::from_secs(10));
    let policy = policies(&mut fleet).pop().expect("the policy");
    assert_eq!(policy.target_tracking_configuration.map(|tracking| tracking.target_value), Some(90.0));
    assert!(hooks(&mut fleet).is_empty());

    let delete = ecs::DeleteCapacityProviderRequest { capacity_provider: PROVIDER.to_owned(), cluster: None };
    let refusal = fleet.world.call(delete.clone()).expect_err("is in use");
    assert!(refusal.message.contains("because it is associated with cluster: default"), "{refusal}");
    fleet.attach(&[]);
    assert!(policies(&mut fleet).is_empty() && alarms(&mut fleet).is_empty());
    assert!(fleet.report().is_none());
    fleet.world.call(delete).expect("deleted");
    fleet.world.advance(Span::from_secs(10));
    let request = ecs::DescribeCapacityProvidersRequest {
        capacity_providers: Some(vec![PROVIDER.to_owned()]),
        ..Default::default()
    };
    let found = fleet.world.call(request).expect("described").capacity_providers.unwrap_or_default();
    assert_eq!(found[0].status, Some(ecs::CapacityProviderStatus::Inactive));
    assert_eq!(found[0].update_status, Some(ecs::CapacityProviderUpdateStatus::DeleteComplete));
}

#[test]
fn protection_needs_a_protected_group() {
    let mut fleet = Fleet::new(scaling(100), false);
    let update = ecs::UpdateCapacityProviderRequest {
        name: PROVIDER.to_owned(),
        auto_scaling_group_provider: Some(ecs::AutoScalingGroupProviderUpdate {
            managed_termination_protection: Some(ecs::ManagedTerminationProtection::Enabled),
            ..Default::default()
        }),
        ..Default::default()
    };
    let refusal = fleet.world.call(update).expect_err("the group does not protect");
    assert!(refusal.to_string().starts_with(
        "ClientException: The managed termination protection setting for the capacity provider is invalid."
    ));
    let again = ecs::CreateCapacityProviderRequest {
        name: "other".to_owned(),
        auto_scaling_group_provider: Some(ecs::AutoScalingGroupProvider {
            auto_scaling_group_arn: GROUP.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let refusal = fleet.world.call(again.clone()).expect_err("the group is taken");
    assert!(refusal.message.contains("already being used by another capacity provider"), "{refusal}");
    let name = Some("second".to_owned());
    fleet
        .world
        .call(ecs::CreateClusterRequest { cluster_name: name, ..Default::default() })
        .expect("a cluster");
    let elsewhere = ecs::PutClusterCapacityProvidersRequest {
        cluster: "second".to_owned(),
        capacity_providers: vec![PROVIDER.to_owned()],
        default_capacity_provider_strategy: Vec::new(),
    };
    let refusal = fleet.world.call(elsewhere).expect_err("one cluster at a time");
    assert!(refusal.message.contains("only one cluster at a time"), "{refusal}");
}
