//! What the soak runs on: two Spot groups, two capacity providers, two services that share their instances.

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use capstan_server::Control;
use capstan_shapes::{autoscaling, ec2, ecs};

use crate::api::{Api, Balanced, Front, Network, text};
use crate::demo::free_port;

pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNT: &str = "012345678910";
pub(super) const CLUSTER: &str = "soak";
const CONTAINER: &str = "web";
const CONTAINER_PORT: i32 = 3000;
const INSTANCE_TYPE: &str = "m5.large";
/// Instances of each group: half of all can leave at once, and the others have room for every task.
pub(super) const INSTANCES: i32 = 5;
/// Tasks of each service, and after a scale-in.
pub(super) const TASKS: i32 = 8;
pub(super) const FEWER_TASKS: i32 = 5;

/// A capacity provider over a group of the same name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// Managed draining by ECS; else the agents watch for Spot notices themselves.
    pub(super) managed_draining: bool,
}

pub(super) const BY_AGENT: Provider = Provider { name: "soak-agent", managed_draining: false };
pub(super) const BY_ECS: Provider = Provider { name: "soak-managed", managed_draining: true };

/// The waiting one has a delay well below the two minutes of a Spot notice.
const WAITS: Front =
    Front { name: "waits", deregistration_delay_secs: 30, check_every_secs: 10, unhealthy_threshold: 10 };
const DOES_NOT_WAIT: Front = Front { name: "does-not-wait", deregistration_delay_secs: 0, ..WAITS };

/// A service behind a load balancer.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) front: Balanced,
    /// Where its load balancer listens.
    pub(super) address: SocketAddr,
}

#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) api: Api,
    pub(super) waits: Service,
    pub(super) does_not_wait: Service,
}

impl Stack {
    pub(super) async fn create(control: Control) -> Result<Self, String> {
        let api = Api::new(control);
        let create = ecs::CreateClusterRequest { cluster_name: text(CLUSTER), ..Default::default() };
        api.call(create).await?;
        let network = api.network().await?;
        for provider in [BY_AGENT, BY_ECS] {
            create_provider(&api, provider, &network).await?;
        }
        let put = ecs::PutClusterCapacityProvidersRequest {
            cluster: CLUSTER.to_owned(),
            capacity_providers: vec![BY_AGENT.name.to_owned(), BY_ECS.name.to_owned()],
            default_capacity_provider_strategy: both(),
        };
        api.call(put).await?;
        let container = ecs::ContainerDefinition {
            name: text(CONTAINER),
            image: text("capstan/web"),
            cpu: Some(128),
            memory: Some(128),
            port_mappings: Some(vec![ecs::PortMapping {
                container_port: Some(CONTAINER_PORT),
                host_port: Some(0),
                ..Default::default()
            }]),
            ..Default::default()
        };
        let register = ecs::RegisterTaskDefinitionRequest {
            family: CLUSTER.to_owned(),
            container_definitions: vec![container],
            network_mode: Some(ecs::NetworkMode::Bridge),
            ..Default::default()
        };
        api.call(register).await?;
        let waits = create_service(&api, WAITS, &network).await?;
        let does_not_wait = create_service(&api, DOES_NOT_WAIT, &network).await?;
        Ok(Self { api, waits, does_not_wait })
    }
}

fn both() -> Vec<ecs::CapacityProviderStrategyItem> {
    let item = |provider: Provider| ecs::CapacityProviderStrategyItem {
        capacity_provider: provider.name.to_owned(),
        weight: Some(1),
        base: None,
    };
    vec![item(BY_AGENT), item(BY_ECS)]
}

async fn create_provider(api: &Api, provider: Provider, network: &Network) -> Result<(), String> {
    let drains = !provider.managed_draining;
    let script = format!(
        "#!/bin/sh\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\n\
         echo ECS_ENABLE_SPOT_INSTANCE_DRAINING={drains} >> /etc/ecs/ecs.config\n"
    );
    let template = ec2::RequestLaunchTemplateData {
        image_id: Some(api.image().await?),
        instance_type: text(INSTANCE_TYPE),
        user_data: Some(base64::engine::general_purpose::STANDARD.encode(script)),
        ..Default::default()
    };
    let template = ec2::CreateLaunchTemplateRequest {
        launch_template_name: provider.name.to_owned(),
        launch_template_data: template,
        ..Default::default()
    };
    api.call(template).await?;
    let policy = autoscaling::MixedInstancesPolicy {
        launch_template: Some(autoscaling::LaunchTemplate {
            launch_template_specification: Some(autoscaling::LaunchTemplateSpecification {
                launch_template_name: text(provider.name),
                version: text("$Latest"),
                ..Default::default()
            }),
            overrides: None,
        }),
        instances_distribution: Some(autoscaling::InstancesDistribution {
            on_demand_percentage_above_base_capacity: Some(0),
            spot_allocation_strategy: text("capacity-optimized"),
            ..Default::default()
        }),
    };
    let group = autoscaling::CreateAutoScalingGroupRequest {
        auto_scaling_group_name: provider.name.to_owned(),
        min_size: 0,
        max_size: 2 * INSTANCES,
        desired_capacity: Some(INSTANCES),
        mixed_instances_policy: Some(policy),
        vpc_zone_identifier: Some(network.subnets.join(",")),
        ..Default::default()
    };
    api.call(group).await?;
    let named = autoscaling::DescribeAutoScalingGroupsRequest {
        auto_scaling_group_names: Some(vec![provider.name.to_owned()]),
        ..Default::default()
    };
    let groups = api.call(named).await?.auto_scaling_groups;
    let arn = groups.into_iter().next().and_then(|group| group.auto_scaling_group_arn);
    let draining = match provider.managed_draining {
        true => ecs::ManagedDraining::Enabled,
        false => ecs::ManagedDraining::Disabled,
    };
    let create = ecs::CreateCapacityProviderRequest {
        name: provider.name.to_owned(),
        auto_scaling_group_provider: Some(ecs::AutoScalingGroupProvider {
            auto_scaling_group_arn: arn.ok_or("the new Auto Scaling group is not described")?,
            managed_draining: Some(draining),
            ..Default::default()
        }),
        ..Default::default()
    };
    api.call(create).await.map(drop)
}

async fn create_service(api: &Api, front: Front, network: &Network) -> Result<Service, String> {
    let port = free_port()?;
    let balanced = api.create_balancer(network, &front, port).await?;
    let create = ecs::CreateServiceRequest {
        cluster: text(CLUSTER),
        service_name: front.name.to_owned(),
        task_definition: text(CLUSTER),
        desired_count: Some(TASKS),
        capacity_provider_strategy: Some(both()),
        load_balancers: Some(vec![ecs::LoadBalancer {
            target_group_arn: Some(balanced.target_group.clone()),
            container_name: text(CONTAINER),
            container_port: Some(CONTAINER_PORT),
            ..Default::default()
        }]),
        deployment_configuration: Some(ecs::DeploymentConfiguration {
            minimum_healthy_percent: Some(50),
            maximum_percent: Some(200),
            ..Default::default()
        }),
        health_check_grace_period_seconds: Some(60),
        ..Default::default()
    };
    api.call(create).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok(Service { name: front.name, front: balanced, address })
}
