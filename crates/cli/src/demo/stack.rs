//! What the demo creates and changes, by the calls that a user would make.

use base64::Engine as _;
use capstan_server::Control;
use capstan_shapes::{Call, autoscaling, ec2, ecs};

use crate::api::{Api, Front, Network, text};

pub(super) const CLUSTER: &str = "container-demo";
pub(super) const SERVICE: &str = "ecsdemo-capacityproviders-ec2";
pub(super) const TARGET_GROUP: &str = "ecsdemo";
const CONTAINER: &str = "web";
const CONTAINER_PORT: i32 = 3000;
/// The workshop's load balancer. A check that this machine answers late is no reason to replace a task.
const FRONT: Front =
    Front { name: TARGET_GROUP, deregistration_delay_secs: 90, check_every_secs: 30, unhealthy_threshold: 5 };
/// Percent of the instances that the tasks shall fill: the rest is ready for tasks to come.
const TARGET_CAPACITY: i32 = 80;
const GROUP_MAX: i32 = 10;

/// Three such tasks fit on the On-Demand type (by memory), eight on each of the Spot types (by CPU).
const TASK_CPU: i32 = 256;
const TASK_MEMORY: i32 = 512;
pub(super) const ON_DEMAND_TYPE: &str = "t3.small";
pub(super) const SPOT_TYPES: [&str; 10] = [
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

/// A capacity provider and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    pub(super) market: &'static str,
}

pub(super) const ON_DEMAND: Provider = Provider { name: "EC2", group: "ecs-on-demand", market: "On-Demand" };
pub(super) const SPOT: Provider = Provider { name: "EC2Spot", group: "ecs-spot", market: "Spot" };

/// The way to the API, and what it has answered.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) api: Api,
    pub(super) target_group: String,
    /// The load balancer's name for the `Host` header.
    pub(super) dns_name: String,
}

impl Stack {
    /// Everything but the service; the load balancer listens on that port.
    pub(super) async fn create(control: Control, port: u16) -> Result<Self, String> {
        let api = Api::new(control);
        let mut stack = Self { api, target_group: String::new(), dns_name: String::new() };
        let create = ecs::CreateClusterRequest { cluster_name: text(CLUSTER), ..Default::default() };
        stack.call(create).await?;
        let network = stack.api.network().await?;
        stack.create_groups(&network).await?;
        let both = vec![ON_DEMAND.name.to_owned(), SPOT.name.to_owned()];
        let put = ecs::PutClusterCapacityProvidersRequest {
            cluster: CLUSTER.to_owned(),
            capacity_providers: both,
            default_capacity_provider_strategy: both_providers(),
        };
        stack.call(put).await?;
        let front = stack.api.create_balancer(&network, &FRONT, port).await?;
        (stack.target_group, stack.dns_name) = (front.target_group, front.dns_name);
        stack.register_tasks().await?;
        Ok(stack)
    }

    /// One call as a user makes it.
    pub(super) async fn call<C: Call>(&self, request: C) -> Result<C::Output, String> {
        self.api.call(request).await
    }

    async fn create_groups(&self, network: &Network) -> Result<(), String> {
        let image = Some(self.api.image().await?);
        for (provider, instance_type) in [(ON_DEMAND, ON_DEMAND_TYPE), (SPOT, SPOT_TYPES[0])] {
            let template = ec2::RequestLaunchTemplateData {
                image_id: image.clone(),
                instance_type: text(instance_type),
                user_data: Some(user_data()),
                ..Default::default()
            };
            let template = ec2::CreateLaunchTemplateRequest {
                launch_template_name: provider.group.to_owned(),
                launch_template_data: template,
                ..Default::default()
            };
            self.call(template).await?;
            self.call(group(provider, network)).await?;
            let named = autoscaling::DescribeAutoScalingGroupsRequest {
                auto_scaling_group_names: Some(vec![provider.group.to_owned()]),
                ..Default::default()
            };
            let groups = self.call(named).await?.auto_scaling_groups;
            let arn = groups.into_iter().next().and_then(|group| group.auto_scaling_group_arn);
            let provided = ecs::AutoScalingGroupProvider {
                auto_scaling_group_arn: arn.ok_or("the new Auto Scaling group is not described")?,
                managed_scaling: Some(ecs::ManagedScaling {
                    status: Some(ecs::ManagedScalingStatus::Enabled),
                    target_capacity: Some(TARGET_CAPACITY),
                    ..Default::default()
                }),
                managed_termination_protection: Some(ecs::ManagedTerminationProtection::Disabled),
                ..Default::default()
            };
            let create = ecs::CreateCapacityProviderRequest {
                name: provider.name.to_owned(),
                auto_scaling_group_provider: Some(provided),
                ..Default::default()
            };
            self.call(create).await?;
        }
        Ok(())
    }

    async fn register_tasks(&self) -> Result<(), String> {
        let container = ecs::ContainerDefinition {
            name: text(CONTAINER),
            image: text("capstan/web"),
            cpu: Some(TASK_CPU),
            memory: Some(TASK_MEMORY),
            port_mappings: Some(vec![ecs::PortMapping {
                container_port: Some(CONTAINER_PORT),
                host_port: Some(0),
                ..Default::default()
            }]),
            ..Default::default()
        };
        let register = ecs::RegisterTaskDefinitionRequest {
            family: SERVICE.to_owned(),
            container_definitions: vec![container],
            requires_compatibilities: Some(vec![ecs::Compatibility::Ec2]),
            network_mode: Some(ecs::NetworkMode::Bridge),
            ..Default::default()
        };
        self.call(register).await.map(drop)
    }

    /// One task behind the load balancer, on On-Demand capacity only.
    pub(super) async fn create_service(&self) -> Result<(), String> {
        let create = ecs::CreateServiceRequest {
            cluster: text(CLUSTER),
            service_name: SERVICE.to_owned(),
            task_definition: text(SERVICE),
            desired_count: Some(1),
            capacity_provider_strategy: Some(vec![share(ON_DEMAND, 0)]),
            load_balancers: Some(vec![ecs::LoadBalancer {
                target_group_arn: Some(self.target_group.clone()),
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
        self.call(create).await.map(drop)
    }

    /// So many tasks, one on On-Demand capacity and of the others each second one on Spot; all of them new.
    pub(super) async fn spread(&self, count: i32) -> Result<(), String> {
        let update = ecs::UpdateServiceRequest {
            cluster: text(CLUSTER),
            service: SERVICE.to_owned(),
            desired_count: Some(count),
            capacity_provider_strategy: Some(both_providers()),
            force_new_deployment: Some(true),
            ..Default::default()
        };
        self.call(update).await.map(drop)
    }

    pub(super) async fn scale(&self, count: i32) -> Result<(), String> {
        let update = ecs::UpdateServiceRequest {
            cluster: text(CLUSTER),
            service: SERVICE.to_owned(),
            desired_count: Some(count),
            ..Default::default()
        };
        self.call(update).await.map(drop)
    }

    pub(super) async fn drain(&self, container_instance: &str) -> Result<(), String> {
        let update = ecs::UpdateContainerInstancesStateRequest {
            cluster: text(CLUSTER),
            container_instances: vec![container_instance.to_owned()],
            status: ecs::ContainerInstanceStatus::Draining,
        };
        let failures = self.call(update).await?.failures.unwrap_or_default();
        match failures.first() {
            None => Ok(()),
            Some(failure) => Err(format!("{container_instance} cannot be drained: {failure:?}")),
        }
    }
}

fn share(provider: Provider, base: i32) -> ecs::CapacityProviderStrategyItem {
    ecs::CapacityProviderStrategyItem {
        capacity_provider: provider.name.to_owned(),
        weight: Some(1),
        base: Some(base),
    }
}

fn both_providers() -> Vec<ecs::CapacityProviderStrategyItem> {
    vec![share(ON_DEMAND, 1), share(SPOT, 0)]
}

/// As instances boot: which cluster their agent joins, and that it drains when Spot takes the instance back.
fn user_data() -> String {
    let script = format!(
        "#!/usr/bin/bash\necho ECS_CLUSTER={CLUSTER} >> /etc/ecs/ecs.config\n\
         echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config\n"
    );
    base64::engine::general_purpose::STANDARD.encode(script)
}

/// No instance yet: managed scaling will ask for them.
fn group(provider: Provider, network: &Network) -> autoscaling::CreateAutoScalingGroupRequest {
    let template = autoscaling::LaunchTemplateSpecification {
        launch_template_name: text(provider.group),
        version: text("$Latest"),
        ..Default::default()
    };
    let group = autoscaling::CreateAutoScalingGroupRequest {
        auto_scaling_group_name: provider.group.to_owned(),
        min_size: 0,
        max_size: GROUP_MAX,
        vpc_zone_identifier: Some(network.subnets.join(",")),
        ..Default::default()
    };
    if provider == ON_DEMAND {
        return autoscaling::CreateAutoScalingGroupRequest { launch_template: Some(template), ..group };
    }
    let overrides = SPOT_TYPES
        .map(|name| autoscaling::LaunchTemplateOverrides { instance_type: text(name), ..Default::default() });
    let policy = autoscaling::MixedInstancesPolicy {
        launch_template: Some(autoscaling::LaunchTemplate {
            launch_template_specification: Some(template),
            overrides: Some(overrides.to_vec()),
        }),
        instances_distribution: Some(autoscaling::InstancesDistribution {
            on_demand_allocation_strategy: text("prioritized"),
            on_demand_base_capacity: Some(0),
            on_demand_percentage_above_base_capacity: Some(0),
            spot_allocation_strategy: text("capacity-optimized"),
            ..Default::default()
        }),
    };
    autoscaling::CreateAutoScalingGroupRequest { mixed_instances_policy: Some(policy), ..group }
}
