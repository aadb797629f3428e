//! The second workshop page in virtual time: three Spot Instances are interrupted (spec observed.md §2).

use base64::Engine as _;
use capstan_engine::ecs::{InstanceStatus, TaskStatus};
use capstan_engine::{Config, Fact, Input};
use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::{autoscaling, cloudtrail, cloudwatch, ec2, ecs, elbv2, ssm};
use capstan_simulator::{Profile, World};

const CLUSTER: &str = "EcsSpotWorkshop";
const ON_DEMAND: &str = "CP-OD";
const SPOT: &str = "CP-SPOT";
const SPOT_GROUP: &str = "EcsSpotWorkshop-ASG-SPOT";
const SERVICE: &str = "ec2-service-split";

/// The page's stack as its record begins: 22 tasks, 7 and 15, on two On-Demand and four Spot instances.
struct Page {
    world: World,
    target_group: String,
}

impl Page {
    /// At 02:39, as the record's clock has it, with 22 tasks running for half an hour.
    fn new(seed: u64) -> Self {
        let start = Time::from_civil(2022, 9, 27, 1, 30, 5).expect("a date");
        let config = Config { trail: true, ..Config::new(seed) };
        let mut page = Self {
            world: World::new(config, Profile::default(), start).checked(),
            target_group: String::new(),
        };
        page.launch_template();
        page.cluster();
        page.load_balancer();
        page.service();
        page.to(2, 0, 0);
        page.scale(22);
        page.to(2, 39, 0);
        page
    }

    fn launch_template(&mut self) {
        let name = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id".to_owned();
        let image = self.world.call(ssm::GetParameterRequest { name, ..Default::default() });
        let image_id = image.expect("an image").parameter.and_then(|parameter| parameter.value);
        let script = format!(
            "#!/bin/bash\necho \"ECS_CLUSTER={CLUSTER}\" >> /etc/ecs/ecs.config\necho \
             \"ECS_ENABLE_SPOT_INSTANCE_DRAINING=true\" >> /etc/ecs/ecs.config\n"
        );
        let request = ec2::CreateLaunchTemplateRequest {
            launch_template_name: "EcsSpotWorkshop".to_owned(),
            launch_template_data: ec2::RequestLaunchTemplateData {
                image_id,
                user_data: Some(base64::engine::general_purpose::STANDARD.encode(script)),
                ..Default::default()
            },
            ..Default::default()
        };
        self.world.call(request).expect("a launch template");
    }

    fn cluster(&mut self) {
        let insights = ecs::ClusterSetting {
            name: Some(ecs::ClusterSettingName::ContainerInsights),
            value: Some("enabled".to_owned()),
        };
        let request = ecs::CreateClusterRequest {
            cluster_name: Some(CLUSTER.to_owned()),
            settings: Some(vec![insights]),
            ..Default::default()
        };
        self.world.call(request).expect("a cluster");
        for (provider, group, percent) in [(ON_DEMAND, "EcsSpotWorkshop-ASG-OD", 100), (SPOT, SPOT_GROUP, 0)]
        {
            self.group(group, percent);
            self.provider(provider, group);
        }
        let request = ecs::PutClusterCapacityProvidersRequest {
            cluster: CLUSTER.to_owned(),
            capacity_providers: vec![ON_DEMAND.to_owned(), SPOT.to_owned()],
            default_capacity_provider_strategy: vec![item(ON_DEMAND, 2, 1), item(SPOT, 0, 3)],
        };
        self.world.call(request).expect("providers of the cluster");
    }

    fn group(&mut self, name: &str, on_demand_percent: i32) {
        let specification = autoscaling::LaunchTemplateSpecification {
            launch_template_name: Some("EcsSpotWorkshop".to_owned()),
            version: Some("$Latest".to_owned()),
            ..Default::default()
        };
        let overrides = ["m5.large", "m5d.large", "m5a.large", "m5ad.large"].map(|name| {
            autoscaling::LaunchTemplateOverrides {
                instance_type: Some(name.to_owned()),
                ..Default::default()
            }
        });
        let request = autoscaling::CreateAutoScalingGroupRequest {
            auto_scaling_group_name: name.to_owned(),
            min_size: 0,
            max_size: 10,
            availability_zones: Some(["us-east-1a", "us-east-1b", "us-east-1c"].map(str::to_owned).to_vec()),
            new_instances_protected_from_scale_in: Some(true),
            // As the page spells it.
            termination_policies: Some(vec!["DEFAULT".to_owned()]),
            mixed_instances_policy: Some(autoscaling::MixedInstancesPolicy {
                launch_template: Some(autoscaling::LaunchTemplate {
                    launch_template_specification: Some(specification),
                    overrides: Some(overrides.to_vec()),
                }),
                instances_distribution: Some(autoscaling::InstancesDistribution {
                    on_demand_base_capacity: Some(0),
                    on_demand_percentage_above_base_capacity: Some(on_demand_percent),
                    spot_allocation_strategy: Some("capacity-optimized".to_owned()),
                    ..Default::default()
                }),
            }),
            ..Default::default()
        };
        self.world.call(request).expect("a group");
    }

    fn provider(&mut self, name: &str, group: &str) {
        let request = ecs::CreateCapacityProviderRequest {
            name: name.to_owned(),
            auto_scaling_group_provider: Some(ecs::AutoScalingGroupProvider {
                auto_scaling_group_arn: group.to_owned(),
                managed_scaling: Some(ecs::ManagedScaling {
                    status: Some(ecs::ManagedScalingStatus::Enabled),
                    target_capacity: Some(100),
                    ..Default::default()
                }),
                managed_termination_protection: Some(ecs::ManagedTerminationProtection::Enabled),
                // The page is older than managed draining.
                managed_draining: Some(ecs::ManagedDraining::Disabled),
            }),
            ..Default::default()
        };
        self.world.call(request).expect("a provider");
    }

    fn load_balancer(&mut self) {
        let vpc_id = self.world.engine().ec2().vpcs().iter().next().map(|vpc| vpc.id.clone());
        let request = elbv2::CreateTargetGroupRequest {
            name: "EcsSpotWorkshop".to_owned(),
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(80),
            vpc_id,
            ..Default::default()
        };
        let groups = self.world.call(request).expect("a target group").target_groups;
        let group = groups.and_then(|groups| groups.into_iter().next());
        self.target_group = group.and_then(|group| group.target_group_arn).expect("its ARN");
        let subnets = self.world.call(ec2::DescribeSubnetsRequest::default()).expect("subnets").subnets;
        let subnets = subnets.into_iter().flatten().filter_map(|subnet| subnet.subnet_id).take(3).collect();
        let request = elbv2::CreateLoadBalancerRequest {
            name: "EcsSpotWorkshop".to_owned(),
            subnets: Some(subnets),
            ..Default::default()
        };
        let balancers = self.world.call(request).expect("a load balancer").load_balancers;
        let balancer = balancers.and_then(|list| list.into_iter().next()).and_then(|lb| lb.load_balancer_arn);
        let request = elbv2::CreateListenerRequest {
            load_balancer_arn: balancer.expect("its ARN"),
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(80),
            default_actions: vec![elbv2::Action {
                r#type: elbv2::ActionTypeEnum::Forward,
                target_group_arn: Some(self.target_group.clone()),
                ..Default::default()
            }],
            ..Default::default()
        };
        self.world.call(request).expect("a listener");
    }

    fn service(&mut self) {
        let container = ecs::ContainerDefinition {
            name: Some("webapp".to_owned()),
            image: Some("capstan/web".to_owned()),
            cpu: Some(420),
            memory: Some(1680),
            port_mappings: Some(vec![ecs::PortMapping { container_port: Some(80), ..Default::default() }]),
            ..Default::default()
        };
        let request = ecs::RegisterTaskDefinitionRequest {
            family: "ec2-task".to_owned(),
            container_definitions: vec![container],
            ..Default::default()
        };
        self.world.call(request).expect("a task definition");
        let request = ecs::CreateServiceRequest {
            cluster: Some(CLUSTER.to_owned()),
            service_name: SERVICE.to_owned(),
            task_definition: Some("ec2-task".to_owned()),
            desired_count: Some(10),
            load_balancers: Some(vec![ecs::LoadBalancer {
                target_group_arn: Some(self.target_group.clone()),
                container_name: Some("webapp".to_owned()),
                container_port: Some(80),
                ..Default::default()
            }]),
            placement_strategy: Some(vec![ecs::PlacementStrategy {
                r#type: Some(ecs::PlacementStrategyType::Binpack),
                field: Some("memory".to_owned()),
            }]),
            deployment_configuration: Some(ecs::DeploymentConfiguration {
                minimum_healthy_percent: Some(50),
                maximum_percent: Some(200),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.world.call(request).expect("a service");
    }

    fn scale(&mut self, desired: i32) {
        let request = ecs::UpdateServiceRequest {
            cluster: Some(CLUSTER.to_owned()),
            service: SERVICE.to_owned(),
            desired_count: Some(desired),
            ..Default::default()
        };
        self.world.call(request).expect("scaled");
    }

    fn to(&mut self, hour: i64, minute: i64, second: i64) {
        let (year, month, day, ..) = self.world.now().civil();
        let midnight = Time::from_civil(year, month, day, 0, 0, 0).expect("a date");
        self.world.advance_to(midnight + Span::from_secs(hour * 3600 + minute * 60 + second));
    }

    /// The Spot Instances that hold most tasks, three of them.
    fn victims(&self) -> Vec<InstanceId> {
        let engine = self.world.engine();
        let mut spot: Vec<_> = engine
            .ecs()
            .instances()
            .iter()
            .filter(|row| row.provider.as_deref() == Some(SPOT) && row.status == InstanceStatus::Active)
            .filter_map(|row| {
                let tasks = capstan_engine::ecs::TaskIndex::Instance(row.id);
                Some((std::cmp::Reverse(engine.ecs().tasks().count_by(&tasks)), row.ec2_instance?))
            })
            .collect();
        spot.sort_unstable();
        spot.into_iter().map(|(_, id)| id).take(3).collect()
    }

    fn running(&self) -> (usize, usize) {
        let of = |provider: &str| {
            let tasks = self.world.engine().ecs().tasks().iter();
            let running = tasks.filter(|task| task.status == TaskStatus::Running);
            running.filter(|task| task.provider.as_deref() == Some(provider)).count()
        };
        (of(ON_DEMAND), of(SPOT))
    }

    fn active(&self, provider: &str) -> usize {
        let rows = self.world.engine().ecs().instances().iter();
        let active = rows.filter(|row| row.status == InstanceStatus::Active);
        active.filter(|row| row.provider.as_deref() == Some(provider)).count()
    }

    fn waiting(&self) -> usize {
        let tasks = self.world.engine().ecs().tasks().iter();
        tasks.filter(|task| task.status == TaskStatus::Provisioning && task.instance.is_none()).count()
    }

    fn desired(&self) -> i64 {
        self.world.engine().autoscaling().groups().get(&SPOT_GROUP.into()).expect("the group").desired
    }

    /// The Spot provider's reservation of the latest minute, in tenths of a percent, rounded.
    fn reservation(&self) -> i64 {
        let associations = self.world.engine().ecs().associations();
        let of_spot = associations.iter().find(|row| &*row.provider == SPOT).expect("the association");
        (of_spot.report.as_ref().expect("a report").milli_percent + 50) / 100
    }

    /// When CloudTrail has events of that name, the latest first.
    fn trail(&mut self, name: &str) -> Vec<Time> {
        let request = cloudtrail::LookupEventsRequest {
            lookup_attributes: Some(vec![cloudtrail::LookupAttribute {
                attribute_key: cloudtrail::LookupAttributeKey::EventName,
                attribute_value: name.to_owned(),
            }]),
            ..Default::default()
        };
        let events = self.world.call(request).expect("events").events.unwrap_or_default();
        events.into_iter().filter_map(|event| event.event_time).collect()
    }

    /// TaskCount, PendingTaskCount and ContainerInstanceCount of the minute that has ended last.
    fn insights(&mut self) -> [Option<f64>; 3] {
        let minute = Span::from_mins(1);
        let end_time = self.world.now().floor(minute);
        [("TaskCount", false), ("PendingTaskCount", true), ("ContainerInstanceCount", false)].map(
            |(metric, of_service)| {
                let dimension = |name: &str, value: &str| cloudwatch::Dimension {
                    name: name.to_owned(),
                    value: value.to_owned(),
                };
                let mut dimensions = vec![dimension("ClusterName", CLUSTER)];
                dimensions.extend(of_service.then(|| dimension("ServiceName", SERVICE)));
                let request = cloudwatch::GetMetricStatisticsRequest {
                    namespace: "ECS/ContainerInsights".to_owned(),
                    metric_name: metric.to_owned(),
                    dimensions: Some(dimensions),
                    start_time: end_time - minute,
                    end_time,
                    period: 60,
                    statistics: Some(vec![cloudwatch::Statistic::Average]),
                    ..Default::default()
                };
                let points = self.world.call(request).expect("statistics").datapoints.unwrap_or_default();
                points.first().and_then(|point| point.average)
            },
        )
    }

    fn targets(&mut self) -> (usize, usize) {
        let request = elbv2::DescribeTargetHealthRequest {
            target_group_arn: self.target_group.clone(),
            ..Default::default()
        };
        let rows = self.world.call(request).expect("targets").target_health_descriptions.unwrap_or_default();
        let of = |state: elbv2::TargetHealthStateEnum| {
            let states = rows.iter().filter_map(|row| row.target_health.as_ref()?.state);
            states.filter(|each| *each == state).count()
        };
        (of(elbv2::TargetHealthStateEnum::Healthy), of(elbv2::TargetHealthStateEnum::Draining))
    }
}

fn item(provider: &str, base: i32, weight: i32) -> ecs::CapacityProviderStrategyItem {
    ecs::CapacityProviderStrategyItem {
        capacity_provider: provider.to_owned(),
        weight: Some(weight),
        base: Some(base),
    }
}

/// The record: notices at 02:39:31; the reservation of CP-SPOT by minute is 175, 175, 143, 71, 71, 57 …, 80, 100, the
/// group goes 4 → 7 at 02:41:42, 7 → 5 at 02:59:38, 5 → 4 at 03:00:45.
///
/// Ours differs in minutes, and here is why. Reports run 30 to 60 s ahead of the record's, whose metric takes two minutes
/// to be acted upon. The record's 71 (five of seven) lasts while a dead instance is still registered with tasks; here an
/// instance that is gone is gone, so 57 comes at once. Scale-in waits for the same fifteen minutes, and they begin two to
/// three minutes earlier.
#[test]
fn three_of_four_spot_instances_are_interrupted() {
    let mut page = Page::new(22);
    assert_eq!(page.running(), (7, 15));
    assert_eq!((page.active(ON_DEMAND), page.active(SPOT)), (2, 4));
    page.to(2, 39, 31);
    let victims = page.victims();
    for instance in &victims {
        let _ = page.world.input(Input::Fact(Fact::SpotInterruption { instance: *instance }));
    }
    // The agents see the notice within a second and drain themselves.
    page.to(2, 39, 33);
    assert_eq!(page.active(SPOT), 1);

    page.to(2, 40, 50);
    let (mut reservations, mut sizes) = (vec![page.reservation()], vec![page.desired()]);
    // Twelve displaced, one fits; the minimum of 50 % keeps eleven healthy while twelve drain.
    assert_eq!((page.waiting(), page.targets()), (11, (11, 12)));
    assert_eq!(
        page.world.engine().ecs().tasks().iter().filter(|task| task.status < TaskStatus::Stopped).count(),
        34
    );
    // As the page's dashboard showed it: all tasks that are not STOPPED, and instances that drain.
    assert_eq!(page.insights(), [Some(34.0), Some(11.0), Some(6.0)]);
    let state =
        |page: &Page, id: &InstanceId| page.world.engine().ec2().instances().get(id).map(|row| row.state);
    page.to(2, 41, 30);
    assert!(victims.iter().all(|id| state(&page, id) == Some(ec2::InstanceStateName::Running)));
    page.to(2, 41, 34);
    for id in &victims {
        let row = page.world.engine().ec2().instances().get(id).expect("the instance is still described");
        assert_eq!(row.state, ec2::InstanceStateName::Terminated);
        let reason = row.state_reason.as_ref().expect("a reason");
        assert_eq!(reason.code, "Server.SpotInstanceTermination");
        let request =
            row.spot.as_ref().and_then(|spot| page.world.engine().ec2().spot_requests().get(&spot.request));
        assert_eq!(request.expect("the request").status, "instance-terminated-no-capacity");
    }

    let clock = |time: &Time| (time.civil().3, time.civil().4, time.civil().5);
    assert_eq!(page.trail("BidEvictedEvent").iter().map(clock).collect::<Vec<_>>(), [(2, 41, 34); 3]);
    let drains = page.trail("DeregisterTargets");
    assert!(drains.iter().any(|at| clock(at).1 == 39), "{drains:?}");

    // Every change of the reservation and of the desired capacity, looked at ten seconds before each minute ends.
    let mut recovered = None;
    for minute in 41..75 {
        page.to(2, minute, 50);
        if *reservations.last().expect("one") != page.reservation() {
            reservations.push(page.reservation());
        }
        if *sizes.last().expect("one") != page.desired() {
            sizes.push(page.desired());
        }
        if recovered.is_none() && page.running() == (7, 15) {
            recovered = Some(minute);
        }
    }
    assert_eq!(reservations, [1_750, 1_429, 571, 800, 1_000]);
    assert_eq!(sizes, [7, 5, 4]);
    assert_eq!(recovered, Some(41), "all 22 run when the new instances have registered");
    assert_eq!((page.active(ON_DEMAND), page.active(SPOT)), (2, 4));
    assert_eq!(page.targets(), (22, 0));

    let request = autoscaling::DescribeScalingActivitiesRequest {
        auto_scaling_group_name: Some(SPOT_GROUP.to_owned()),
        ..Default::default()
    };
    let activities = page.world.call(request).expect("activities").activities;
    let causes: Vec<String> = activities.iter().map(|activity| activity.cause.clone()).collect();
    let count =
        |words: &[&str]| causes.iter().filter(|cause| words.iter().all(|word| cause.contains(word))).count();
    let alarm = "a monitor alarm TargetTracking-EcsSpotWorkshop-ASG-SPOT-AlarmHigh-";
    let grown = "increasing the capacity from 4 to 7.";
    assert_eq!(count(&[alarm, "changing the desired capacity from 4 to 7.", grown]), 3, "{causes:#?}");
    let unhealthy = "in response to an EC2 health check indicating it has been terminated or stopped.";
    assert_eq!(count(&[unhealthy]), 3, "{causes:#?}");
    let replaced = "an instance was launched in response to an unhealthy instance needing to be replaced.";
    assert_eq!(count(&[replaced]), 3, "{causes:#?}");
    let shrunk =
        ["AlarmLow-", "changing the desired capacity from 7 to 5.", "shrinking the capacity from 7 to 5."];
    assert_eq!(count(&shrunk), 2, "{causes:#?}");
    assert_eq!(count(&["AlarmLow-", "from 5 to 4.", "was selected for termination."]), 1, "{causes:#?}");
}
