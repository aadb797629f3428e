//! The stack of the ECS workshop (spec observed.md §1), made by API calls in a virtual world.

#![allow(dead_code)]

use base64::Engine as _;
use capstan_engine::Config;
use capstan_model::{Span, Time};
use capstan_shapes::{autoscaling, ec2, ecs, elbv2};
use capstan_simulator::{Profile, Surroundings, World};

pub(crate) mod act;

pub(crate) const CLUSTER: &str = "container-demo";
pub(crate) const SERVICE: &str = "ecsdemo-capacityproviders-ec2";
pub(crate) const ON_DEMAND: &str = "EC21601113073";
pub(crate) const SPOT: &str = "EC2Spot1601114241";

/// Noon, so that minutes are easy to read.
pub(crate) fn noon() -> Time {
    Time::from_civil(2026, 1, 31, 12, 0, 0).expect("a date")
}

pub(crate) fn world(seed: u64) -> World {
    World::new(config(seed), Profile::default(), noon())
}

pub(crate) fn config(seed: u64) -> Config {
    let mut config = Config::new(seed);
    config.region = capstan_model::region("eu-west-1").expect("a region of the catalogue");
    config.account = "012345678910".to_owned();
    config
}

fn user_data() -> String {
    let script = format!(
        "#!/usr/bin/bash\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\necho ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config\n"
    );
    base64::engine::general_purpose::STANDARD.encode(script)
}

pub(crate) fn launch_template(world: &mut World<impl Surroundings>, name: &str, instance_type: &str) {
    let image = world
        .call(capstan_shapes::ssm::GetParameterRequest {
            name: "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id".to_owned(),
            with_decryption: None,
        })
        .expect("the image's parameter");
    let image = image.parameter.and_then(|parameter| parameter.value);
    world
        .call(ec2::CreateLaunchTemplateRequest {
            launch_template_name: name.to_owned(),
            launch_template_data: ec2::RequestLaunchTemplateData {
                instance_type: Some(instance_type.to_owned()),
                image_id: image,
                user_data: Some(user_data()),
                ..Default::default()
            },
            ..Default::default()
        })
        .expect("a launch template");
}

pub(crate) fn subnets(world: &mut World<impl Surroundings>) -> String {
    let subnets =
        world.call(ec2::DescribeSubnetsRequest::default()).expect("subnets").subnets.unwrap_or_default();
    subnets.iter().filter_map(|subnet| subnet.subnet_id.clone()).take(3).collect::<Vec<_>>().join(",")
}

/// A group of `t3.small` as the page's On-Demand one, or of the page's ten types as Spot instances.
pub(crate) fn group(world: &mut World<impl Surroundings>, name: &str, spot: bool, min: i32, max: i32) {
    launch_template(world, name, if spot { "m5.large" } else { "t3.small" });
    let specification = autoscaling::LaunchTemplateSpecification {
        launch_template_name: Some(name.to_owned()),
        version: Some("$Default".to_owned()),
        ..Default::default()
    };
    let types = [
        "m5.large",
        "m5d.large",
        "m5a.large",
        "m5ad.large",
        "m5n.large",
        "m5dn.large",
        "m3.large",
        "m4.large",
        "t3.large",
        "t2.large",
    ];
    let policy = autoscaling::MixedInstancesPolicy {
        launch_template: Some(autoscaling::LaunchTemplate {
            launch_template_specification: Some(specification.clone()),
            overrides: Some(
                types
                    .iter()
                    .map(|name| autoscaling::LaunchTemplateOverrides {
                        instance_type: Some((*name).to_owned()),
                        ..Default::default()
                    })
                    .collect(),
            ),
        }),
        instances_distribution: Some(autoscaling::InstancesDistribution {
            on_demand_allocation_strategy: Some("prioritized".to_owned()),
            on_demand_base_capacity: Some(0),
            on_demand_percentage_above_base_capacity: Some(0),
            spot_allocation_strategy: Some("capacity-optimized".to_owned()),
            ..Default::default()
        }),
    };
    let vpc_zone_identifier = Some(subnets(world));
    world
        .call(autoscaling::CreateAutoScalingGroupRequest {
            auto_scaling_group_name: name.to_owned(),
            min_size: min,
            max_size: max,
            vpc_zone_identifier,
            launch_template: (!spot).then_some(specification),
            mixed_instances_policy: spot.then_some(policy),
            ..Default::default()
        })
        .expect("an Auto Scaling group");
}

pub(crate) fn provider(world: &mut World<impl Surroundings>, name: &str, group: &str, target_capacity: i32) {
    world
        .call(ecs::CreateCapacityProviderRequest {
            name: name.to_owned(),
            auto_scaling_group_provider: Some(ecs::AutoScalingGroupProvider {
                auto_scaling_group_arn: group.to_owned(),
                managed_scaling: Some(ecs::ManagedScaling {
                    status: Some(ecs::ManagedScalingStatus::Enabled),
                    target_capacity: Some(target_capacity),
                    ..Default::default()
                }),
                managed_termination_protection: Some(ecs::ManagedTerminationProtection::Disabled),
                managed_draining: None,
            }),
            ..Default::default()
        })
        .expect("a capacity provider");
}

pub(crate) fn item(provider: &str, base: i32, weight: i32) -> ecs::CapacityProviderStrategyItem {
    ecs::CapacityProviderStrategyItem {
        capacity_provider: provider.to_owned(),
        weight: Some(weight),
        base: Some(base),
    }
}

pub(crate) fn put_providers(
    world: &mut World<impl Surroundings>,
    providers: &[&str],
    strategy: Vec<ecs::CapacityProviderStrategyItem>,
) {
    world
        .call(ecs::PutClusterCapacityProvidersRequest {
            cluster: CLUSTER.to_owned(),
            capacity_providers: providers.iter().map(|name| (*name).to_owned()).collect(),
            default_capacity_provider_strategy: strategy,
        })
        .expect("providers of the cluster");
}

pub(crate) fn cluster(world: &mut World<impl Surroundings>) {
    world
        .call(ecs::CreateClusterRequest { cluster_name: Some(CLUSTER.to_owned()), ..Default::default() })
        .expect("a cluster");
}

/// 256 CPU units, 512 MiB, port 3000 on a dynamic host port.
pub(crate) fn task_definition(world: &mut World<impl Surroundings>, family: &str) -> String {
    let answer = world
        .call(ecs::RegisterTaskDefinitionRequest {
            family: family.to_owned(),
            container_definitions: vec![ecs::ContainerDefinition {
                name: Some("web".to_owned()),
                image: Some("capstan/web".to_owned()),
                cpu: Some(256),
                memory: Some(512),
                port_mappings: Some(vec![ecs::PortMapping {
                    container_port: Some(3000),
                    ..Default::default()
                }]),
                ..Default::default()
            }],
            ..Default::default()
        })
        .expect("a task definition");
    answer.task_definition.and_then(|definition| definition.task_definition_arn).expect("its ARN")
}

/// A load balancer with a listener and the page's target group (delay 90 s, healthy threshold 2). Gives the group's ARN.
pub(crate) fn load_balancer(world: &mut World<impl Surroundings>) -> String {
    let vpc_id = world.engine().ec2().vpcs().iter().next().map(|vpc| vpc.id.clone());
    let group = world
        .call(elbv2::CreateTargetGroupRequest {
            name: "EcsDemo".to_owned(),
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(80),
            vpc_id,
            healthy_threshold_count: Some(2),
            ..Default::default()
        })
        .expect("a target group");
    let group = group
        .target_groups
        .and_then(|groups| groups.into_iter().next())
        .and_then(|group| group.target_group_arn);
    let group = group.expect("its ARN");
    world
        .call(elbv2::ModifyTargetGroupAttributesRequest {
            target_group_arn: group.clone(),
            attributes: vec![elbv2::TargetGroupAttribute {
                key: Some("deregistration_delay.timeout_seconds".to_owned()),
                value: Some("90".to_owned()),
            }],
        })
        .expect("attributes");
    let subnets = subnets(world).split(',').map(str::to_owned).collect();
    let balancer = world
        .call(elbv2::CreateLoadBalancerRequest {
            name: "EcsDemo".to_owned(),
            subnets: Some(subnets),
            ..Default::default()
        })
        .expect("a load balancer");
    let balancer =
        balancer.load_balancers.and_then(|list| list.into_iter().next()).and_then(|lb| lb.load_balancer_arn);
    world
        .call(elbv2::CreateListenerRequest {
            load_balancer_arn: balancer.expect("its ARN"),
            protocol: Some(elbv2::ProtocolEnum::Http),
            port: Some(80),
            default_actions: vec![elbv2::Action {
                r#type: elbv2::ActionTypeEnum::Forward,
                target_group_arn: Some(group.clone()),
                ..Default::default()
            }],
            ..Default::default()
        })
        .expect("a listener");
    group
}

pub(crate) fn service(
    world: &mut World<impl Surroundings>,
    definition: &str,
    group: Option<&str>,
    desired: i32,
) {
    let load_balancers = group.map(|group| {
        vec![ecs::LoadBalancer {
            target_group_arn: Some(group.to_owned()),
            container_name: Some("web".to_owned()),
            container_port: Some(3000),
            ..Default::default()
        }]
    });
    world
        .call(ecs::CreateServiceRequest {
            cluster: Some(CLUSTER.to_owned()),
            service_name: SERVICE.to_owned(),
            task_definition: Some(definition.to_owned()),
            desired_count: Some(desired),
            health_check_grace_period_seconds: load_balancers.is_some().then_some(60),
            load_balancers,
            deployment_configuration: Some(ecs::DeploymentConfiguration {
                minimum_healthy_percent: Some(50),
                maximum_percent: Some(200),
                ..Default::default()
            }),
            ..Default::default()
        })
        .expect("a service");
}

pub(crate) fn update(
    world: &mut World<impl Surroundings>,
    change: impl FnOnce(&mut ecs::UpdateServiceRequest),
) {
    let mut request = ecs::UpdateServiceRequest {
        cluster: Some(CLUSTER.to_owned()),
        service: SERVICE.to_owned(),
        ..Default::default()
    };
    change(&mut request);
    world.call(request).expect("an updated service");
}

pub(crate) fn describe(world: &mut World<impl Surroundings>) -> ecs::ServiceData {
    let answer = world.call(ecs::DescribeServicesRequest {
        cluster: Some(CLUSTER.to_owned()),
        services: vec![SERVICE.to_owned()],
        include: None,
    });
    answer.expect("services").services.and_then(|list| list.into_iter().next()).expect("the service")
}

/// Running tasks of each provider, in the order of the providers' names.
pub(crate) fn running(world: &World<impl Surroundings>) -> Vec<(String, usize)> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for task in world.engine().ecs().tasks().iter() {
        if task.status == capstan_engine::ecs::TaskStatus::Running {
            *counts.entry(task.provider.as_deref().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
    counts.into_iter().collect()
}

/// Container instances of each provider that are ACTIVE.
pub(crate) fn instances(world: &World<impl Surroundings>, provider: &str) -> usize {
    let instances = world.engine().ecs().instances().iter();
    instances
        .filter(|row| row.status == capstan_engine::ecs::InstanceStatus::Active)
        .filter(|row| row.provider.as_deref() == Some(provider))
        .count()
}

/// Both groups and providers (target capacity 80), the load balancer, and a service of one task on the On-Demand
/// provider that was the cluster's default when it was made.
pub(crate) fn workshop(world: &mut World<impl Surroundings>) {
    cluster(world);
    group(world, "ondemand", false, 0, 10);
    group(world, "spot", true, 0, 10);
    provider(world, ON_DEMAND, "ondemand", 80);
    put_providers(world, &[ON_DEMAND], vec![item(ON_DEMAND, 1, 1)]);
    world.advance(Span::from_secs(30));
    let definition = task_definition(world, "ecsdemo");
    let target_group = load_balancer(world);
    service(world, &definition, Some(&target_group), 1);
    provider(world, SPOT, "spot", 80);
    put_providers(world, &[ON_DEMAND, SPOT], vec![item(ON_DEMAND, 1, 1), item(SPOT, 0, 1)]);
}
