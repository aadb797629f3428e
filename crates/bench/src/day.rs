//! A day of a busy cluster in virtual time: two capacity providers over a thousand instances, twenty services with ten
//! thousand tasks. Each hour a service is deployed anew, all services follow the day's load, instances drain and are
//! replaced, and some are lost.

use std::time::{Duration, Instant};

use capstan_engine::ecs::{InstanceStatus, TaskStatus};
use capstan_engine::{Config, Effect, Engine, Input};
use capstan_model::{Hex32, InstanceId, Span, Time};
use capstan_shapes::autoscaling::{
    CreateAutoScalingGroupRequest, DescribeAutoScalingGroupsRequest, InstancesDistribution, LaunchTemplate,
    LaunchTemplateOverrides, LaunchTemplateSpecification, MixedInstancesPolicy,
    TerminateInstanceInAutoScalingGroupRequest,
};
use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, RequestLaunchTemplateData, TerminateInstancesRequest,
};
use capstan_shapes::ecs::{
    AutoScalingGroupProvider, CapacityProviderStrategyItem, ContainerDefinition, ContainerInstanceStatus,
    CreateCapacityProviderRequest, CreateClusterRequest, CreateServiceRequest, DeploymentConfiguration,
    ManagedDraining, ManagedScaling, ManagedScalingStatus, ManagedTerminationProtection, PortMapping,
    PutClusterCapacityProvidersRequest, RegisterTaskDefinitionRequest, UpdateContainerInstancesStateRequest,
    UpdateServiceRequest,
};
use capstan_shapes::{Call, Refusal};
use capstan_simulator::{Profile, Surroundings, VirtualHosts, World};

use crate::START;

const CLUSTER: &str = "day";
/// `echo ECS_CLUSTER=day >> /etc/ecs/ecs.config` after a shebang line, in base64.
const USER_DATA: &str = "IyEvYmluL2Jhc2gKZWNobyBFQ1NfQ0xVU1RFUj1kYXkgPj4gL2V0Yy9lY3MvZWNzLmNvbmZpZwo=";
const PROVIDERS: [&str; 2] = ["on-demand", "spot"];

/// How large the day is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Instances at the beginning, half of them Spot; ten tasks fit on each.
    pub instances: i32,
    /// Services, which share ten tasks for each instance.
    pub services: i32,
    pub hours: i32,
}

/// 1,000 instances, 10,000 tasks, 24 hours.
pub const FULL: Size = Size { instances: 1000, services: 20, hours: 24 };

/// What happened in the day, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Day {
    pub wall: Duration,
    /// Steps of the engine: user calls, calls of agents, facts from hosts, deadlines.
    pub steps: u64,
    pub counts: Counts,
    /// ACTIVE container instances and RUNNING tasks at the end.
    pub instances: usize,
    pub tasks: usize,
}

/// What the engine asked its surroundings for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub launched: u64,
    pub terminated: u64,
    pub tasks_started: u64,
    pub tasks_stopped: u64,
}

/// Lives through the day, from an empty account.
pub fn run(size: Size) -> Day {
    let start = Instant::now();
    let config = Config::new(1);
    let hosts =
        Counted { hosts: VirtualHosts::new(config.seed, Profile::default()), counts: Counts::default() };
    let mut plan = Plan { size, world: World::with(Engine::new(config, START), hosts) };
    plan.build();
    for hour in 0..size.hours {
        plan.hour(hour);
    }
    let Plan { mut world, .. } = plan;
    let wall = start.elapsed();
    let steps = world.steps();
    let (engine, hosts) = world.surroundings();
    let active = engine.ecs().instances().iter().filter(|row| row.status == InstanceStatus::Active).count();
    let running = engine.ecs().tasks().iter().filter(|row| row.status == TaskStatus::Running).count();
    Day { wall, steps, counts: hosts.counts, instances: active, tasks: running }
}

struct Plan {
    size: Size,
    world: World<Counted>,
}

impl Plan {
    fn call<C: Call>(&mut self, request: C) -> C::Output {
        self.try_call(request).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    fn try_call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        self.world.call(request)
    }

    /// A service's tasks at the middle of the day's load.
    fn share(&self) -> i32 {
        self.size.instances * 10 / self.size.services
    }

    fn build(&mut self) {
        self.call(CreateClusterRequest { cluster_name: Some(CLUSTER.to_owned()), ..Default::default() });
        self.call(task_definition());
        self.call(launch_template());
        for name in PROVIDERS {
            self.call(group(name, self.size.instances));
            let described = self.call(DescribeAutoScalingGroupsRequest {
                auto_scaling_group_names: Some(vec![name.to_owned()]),
                ..Default::default()
            });
            let arn = described.auto_scaling_groups[0].auto_scaling_group_arn.clone();
            self.call(provider(name, arn.expect("a group has an ARN")));
        }
        self.call(PutClusterCapacityProvidersRequest {
            cluster: CLUSTER.to_owned(),
            capacity_providers: PROVIDERS.map(str::to_owned).to_vec(),
            default_capacity_provider_strategy: PROVIDERS.map(item).to_vec(),
        });
        self.world.advance(Span::from_mins(5));
        for number in 0..self.size.services {
            self.call(service(number, self.share()));
        }
        self.world.advance(Span::from_mins(5));
    }

    /// At :00 the load changes, at :10 one service is deployed, at :25 instances drain, at :45 those are replaced and
    /// some others are lost.
    fn hour(&mut self, hour: i32) {
        let begin = self.world.now();
        for number in 0..self.size.services {
            let desired_count = Some(self.share() * (90 + load(hour)) / 100);
            self.call(UpdateServiceRequest { desired_count, ..update(number) });
        }
        self.world.advance_to(begin + Span::from_mins(10));
        let number = hour % self.size.services;
        self.call(UpdateServiceRequest { force_new_deployment: Some(true), ..update(number) });
        self.world.advance_to(begin + Span::from_mins(25));
        let drained = self.drain();
        self.world.advance_to(begin + Span::from_mins(45));
        for id in drained {
            // Managed scaling may have ended it already.
            let _gone = self.try_call(TerminateInstanceInAutoScalingGroupRequest {
                instance_id: id.to_string(),
                should_decrement_desired_capacity: false,
            });
        }
        self.lose();
        self.world.advance_to(begin + Span::from_hours(1));
    }

    /// The oldest hundredth of the instances drains.
    fn drain(&mut self) -> Vec<InstanceId> {
        let chosen = self.oldest(self.size.instances / 100);
        for chunk in chosen.chunks(10) {
            self.call(UpdateContainerInstancesStateRequest {
                cluster: Some(CLUSTER.to_owned()),
                container_instances: chunk.iter().map(|(id, _)| id.to_string()).collect(),
                status: ContainerInstanceStatus::Draining,
            });
        }
        chosen.into_iter().map(|(_, instance)| instance).collect()
    }

    /// One instance in five hundred fails.
    fn lose(&mut self) {
        let lost = self.oldest(self.size.instances / 500);
        if !lost.is_empty() {
            let instance_ids = lost.into_iter().map(|(_, instance)| instance.to_string()).collect();
            self.call(TerminateInstancesRequest { instance_ids, ..Default::default() });
        }
    }

    fn oldest(&self, count: i32) -> Vec<(Hex32, InstanceId)> {
        let rows = self.world.engine().ecs().instances().iter();
        let mut active: Vec<_> = rows
            .filter(|row| row.status == InstanceStatus::Active)
            .filter_map(|row| Some((row.ordinal, row.id, row.ec2_instance?)))
            .collect();
        active.sort_unstable_by_key(|(ordinal, ..)| *ordinal);
        active
            .into_iter()
            .take(usize::try_from(count).unwrap_or_default())
            .map(|(_, id, i)| (id, i))
            .collect()
    }
}

/// The day's load in percent above its least: 0 at the first hour, 20 at noon, 0 again at midnight.
fn load(hour: i32) -> i32 {
    let hour = hour % 24;
    20 - (12 - hour).abs() * 20 / 12
}

fn task_definition() -> RegisterTaskDefinitionRequest {
    RegisterTaskDefinitionRequest {
        family: "task".to_owned(),
        container_definitions: vec![ContainerDefinition {
            name: Some("main".to_owned()),
            image: Some("capstan/web".to_owned()),
            // Ten fit on 2,048 CPU units and 7,680 MiB.
            cpu: Some(200),
            memory: Some(700),
            port_mappings: Some(vec![PortMapping { container_port: Some(80), ..Default::default() }]),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn launch_template() -> CreateLaunchTemplateRequest {
    let image = "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id";
    CreateLaunchTemplateRequest {
        launch_template_name: CLUSTER.to_owned(),
        launch_template_data: RequestLaunchTemplateData {
            image_id: Some(image.to_owned()),
            instance_type: Some("m5.large".to_owned()),
            user_data: Some(USER_DATA.to_owned()),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn group(name: &str, instances: i32) -> CreateAutoScalingGroupRequest {
    let template =
        LaunchTemplateSpecification { launch_template_name: Some(CLUSTER.to_owned()), ..Default::default() };
    let types = ["m5.large", "m5a.large", "m4.large", "m5d.large"]
        .map(|name| LaunchTemplateOverrides { instance_type: Some(name.to_owned()), ..Default::default() });
    let percentage = if name == PROVIDERS[0] { 100 } else { 0 };
    CreateAutoScalingGroupRequest {
        auto_scaling_group_name: name.to_owned(),
        mixed_instances_policy: Some(MixedInstancesPolicy {
            launch_template: Some(LaunchTemplate {
                launch_template_specification: Some(template),
                overrides: Some(types.to_vec()),
            }),
            instances_distribution: Some(InstancesDistribution {
                on_demand_base_capacity: Some(0),
                on_demand_percentage_above_base_capacity: Some(percentage),
                ..Default::default()
            }),
        }),
        min_size: 0,
        max_size: instances,
        desired_capacity: Some(instances / 2),
        availability_zones: Some(["us-east-1a", "us-east-1b", "us-east-1c"].map(str::to_owned).to_vec()),
        new_instances_protected_from_scale_in: Some(true),
        ..Default::default()
    }
}

fn provider(name: &str, arn: String) -> CreateCapacityProviderRequest {
    CreateCapacityProviderRequest {
        name: name.to_owned(),
        auto_scaling_group_provider: Some(AutoScalingGroupProvider {
            auto_scaling_group_arn: arn,
            managed_scaling: Some(ManagedScaling {
                status: Some(ManagedScalingStatus::Enabled),
                target_capacity: Some(100),
                ..Default::default()
            }),
            managed_termination_protection: Some(ManagedTerminationProtection::Enabled),
            managed_draining: Some(ManagedDraining::Enabled),
        }),
        ..Default::default()
    }
}

fn item(provider: &str) -> CapacityProviderStrategyItem {
    CapacityProviderStrategyItem { capacity_provider: provider.to_owned(), weight: Some(1), base: None }
}

/// Every second service keeps close to its count while it is deployed; the others may double.
fn service(number: i32, desired: i32) -> CreateServiceRequest {
    let (minimum, maximum) = if number % 2 == 0 { (100, 200) } else { (90, 110) };
    CreateServiceRequest {
        cluster: Some(CLUSTER.to_owned()),
        service_name: format!("service-{number}"),
        task_definition: Some("task".to_owned()),
        desired_count: Some(desired),
        deployment_configuration: Some(DeploymentConfiguration {
            minimum_healthy_percent: Some(minimum),
            maximum_percent: Some(maximum),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn update(number: i32) -> UpdateServiceRequest {
    UpdateServiceRequest {
        cluster: Some(CLUSTER.to_owned()),
        service: format!("service-{number}"),
        ..Default::default()
    }
}

/// Virtual hosts, with a count of what they are asked for.
#[derive(Debug)]
struct Counted {
    hosts: VirtualHosts,
    counts: Counts,
}

impl Surroundings for Counted {
    fn next(&self) -> Option<Time> {
        self.hosts.next()
    }

    fn take(&mut self, now: Time, engine: &Engine, effect: Effect) {
        let count = match &effect {
            Effect::LaunchInstance { .. } => Some(&mut self.counts.launched),
            Effect::TerminateInstance { .. } => Some(&mut self.counts.terminated),
            Effect::RunTask { .. } => Some(&mut self.counts.tasks_started),
            Effect::StopTask { .. } => Some(&mut self.counts.tasks_stopped),
            Effect::InstanceMetadata { .. } | Effect::LoadBalancing { .. } | Effect::StopInstance { .. } => {
                None
            }
        };
        if let Some(count) = count {
            *count += 1;
        }
        self.hosts.take(now, engine, effect);
    }

    fn pop(&mut self, now: Time, engine: &Engine) -> Option<Input> {
        self.hosts.pop(now, engine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_day_ends_with_its_tasks_running() {
        let day = run(Size { instances: 20, services: 4, hours: 3 });
        assert!(day.counts.tasks_stopped > 0, "{day:?}");
        assert!((180..=220).contains(&day.tasks), "{day:?}");
    }
}
