//! One round after the other: things happen to the instances and tasks all at once, and everything settles again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use capstan_model::Span;
use capstan_shapes::{autoscaling, ec2, ecs, elbv2, fis};

use super::stack::{
    ACCOUNT, BY_AGENT, BY_ECS, CLUSTER, FEWER_TASKS, INSTANCES, Provider, REGION, Service, Stack, TASKS,
};
use crate::api::text;

/// Instances that Spot takes back in one round: half of all.
const BURST: usize = INSTANCES as usize;
/// In each round of so many a group scales in, and in another one an instance is drained by hand.
const EVERY: u32 = 4;
/// Looks at the server so often.
const LOOK: Duration = Duration::from_millis(100);
/// What has not settled after so long, by the server's clock, will not.
const PATIENCE: Span = Span::from_mins(40);

/// What is asked for at least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goals {
    pub(super) interruptions: u32,
    pub(super) deployments: u32,
    pub(super) scale_ins: u32,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) interruptions: u32,
    pub(super) deployments: u32,
    pub(super) scale_ins: u32,
    pub(super) stops: u32,
    pub(super) drains: u32,
}

impl Done {
    pub(super) fn reaches(&self, goals: &Goals) -> bool {
        self.interruptions >= goals.interruptions
            && self.deployments >= goals.deployments
            && self.scale_ins >= goals.scale_ins
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interruptions, deployments, scale_ins, stops, drains } = self;
        write!(
            f,
            "{interruptions} interruptions, {deployments} deployments, {scale_ins} scale-ins, {stops} stopped tasks, \
             {drains} drains"
        )
    }
}

pub(super) struct Rounds {
    pub(super) stack: Stack,
    pub(super) done: Done,
    goals: Goals,
    number: u32,
    tasks: i32,
    managed: i32,
}

/// A container instance.
#[derive(Clone, Debug)]
struct Host {
    arn: String,
    ec2: String,
    provider: String,
    active: bool,
    tasks: i32,
}

impl Rounds {
    pub(super) fn new(stack: Stack, goals: Goals) -> Self {
        Self { stack, done: Done::default(), goals, number: 0, tasks: TASKS, managed: INSTANCES }
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.reaches(&self.goals)
    }

    /// Everything happens at once; then it settles.
    pub(super) async fn next(&mut self) -> Result<(), String> {
        self.number += 1;
        let mut hosts = self.hosts().await?;
        hosts.retain(|host| host.active);
        // The fullest first, and of each provider one after the other.
        hosts.sort_by_key(|host| (-host.tasks, host.ec2.clone()));
        let (agent, managed): (Vec<Host>, Vec<Host>) =
            hosts.into_iter().partition(|host| host.provider == BY_AGENT.name);
        let mut next = Vec::new();
        for at in 0..agent.len().max(managed.len()) {
            next.extend(agent.get(at).cloned());
            next.extend(managed.get(at).cloned());
        }
        if self.number.is_multiple_of(2) && next.len() > 1 {
            next.swap(0, 1);
        }
        let mut rest = next.split_off(BURST.min(next.len()));
        if self.done.deployments < self.goals.deployments && !self.number.is_multiple_of(2) {
            self.deploy().await?;
        }
        // One time the market takes them, the next time an experiment does.
        if self.number.is_multiple_of(2) {
            self.experiment(&next).await?;
        } else {
            for host in &next {
                let instance = host.ec2.parse().map_err(|_| format!("{} is no instance id", host.ec2))?;
                self.stack.api.control.interrupt(instance);
            }
        }
        self.scale(FEWER_TASKS).await?;
        self.done.scale_ins += 1;
        self.stop_a_task().await?;
        let mut drained = None;
        match self.number % EVERY {
            0 => {
                self.resize(INSTANCES - 1).await?;
                self.done.scale_ins += 1;
            }
            1 => {
                if let Some(host) = rest.pop() {
                    self.set_state(&host, ecs::ContainerInstanceStatus::Draining).await?;
                    self.done.drains += 1;
                    drained = Some(host);
                }
            }
            _ => {}
        }
        self.settle_but(drained.as_ref()).await?;
        self.done.interruptions += self.taken(&next).await?;
        if let Some(host) = drained {
            self.set_state(&host, ecs::ContainerInstanceStatus::Active).await?;
        }
        self.resize(INSTANCES).await?;
        self.scale(TASKS).await?;
        self.settle().await
    }

    pub(super) async fn settle(&self) -> Result<(), String> {
        self.settle_but(None).await
    }

    /// Waits until both services run as asked for, on as many instances as asked for but one that is drained by hand.
    async fn settle_but(&self, drained: Option<&Host>) -> Result<(), String> {
        let end = self.now().await? + PATIENCE;
        loop {
            let missing = self.missing(drained).await?;
            if missing.is_empty() {
                return Ok(());
            }
            if self.now().await? > end {
                return Err(format!("round {} does not settle: {}", self.number, missing.join(", ")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn now(&self) -> Result<capstan_model::Time, String> {
        let now = self.stack.api.control.look(|engine| engine.now()).await;
        now.ok_or_else(|| "the server has stopped".to_owned())
    }

    async fn missing(&self, drained: Option<&Host>) -> Result<Vec<String>, String> {
        let mut missing = Vec::new();
        let hosts = self.hosts().await?;
        for (provider, wanted) in [(BY_AGENT, INSTANCES), (BY_ECS, self.managed)] {
            let active = |host: &&Host| host.provider == provider.name && host.active;
            let there = hosts.iter().filter(active).count();
            let by_hand = drained.iter().filter(|host| host.provider == provider.name).count();
            let all = self.all_of(&hosts, provider);
            let wanted = usize::try_from(wanted).unwrap_or_default();
            if there + by_hand != wanted || all != wanted {
                missing.push(format!("{there} of {wanted} instances of {} are ACTIVE", provider.name));
            }
        }
        for service in [&self.stack.waits, &self.stack.does_not_wait] {
            missing.extend(self.missing_of(service).await?);
        }
        Ok(missing)
    }

    fn all_of(&self, hosts: &[Host], provider: Provider) -> usize {
        hosts.iter().filter(|host| host.provider == provider.name).count()
    }

    async fn missing_of(&self, service: &Service) -> Result<Option<String>, String> {
        let api = &self.stack.api;
        let describe = ecs::DescribeServicesRequest {
            cluster: text(CLUSTER),
            services: vec![service.name.to_owned()],
            ..Default::default()
        };
        let row =
            api.call(describe).await?.services.unwrap_or_default().into_iter().next().unwrap_or_default();
        let describe = elbv2::DescribeTargetHealthRequest {
            target_group_arn: service.front.target_group.clone(),
            ..Default::default()
        };
        let targets = api.call(describe).await?.target_health_descriptions.unwrap_or_default();
        let healthy = |target: &&elbv2::TargetHealthDescription| {
            let state = target.target_health.as_ref().and_then(|health| health.state);
            state == Some(elbv2::TargetHealthStateEnum::Healthy)
        };
        let healthy = targets.iter().filter(healthy).count();
        let (running, pending) = (row.running_count.unwrap_or(0), row.pending_count.unwrap_or(0));
        let deployments = row.deployments.map_or(0, |deployments| deployments.len());
        let settled = running == self.tasks
            && pending == 0
            && deployments == 1
            && i32::try_from(healthy) == Ok(self.tasks)
            && targets.len() == healthy;
        let told = format!(
            "service {} runs {running} of {} tasks, {healthy} of {} targets are healthy, {deployments} deployments",
            service.name,
            self.tasks,
            targets.len()
        );
        Ok((!settled).then_some(told))
    }

    async fn hosts(&self) -> Result<Vec<Host>, String> {
        let api = &self.stack.api;
        let mut arns = Vec::new();
        for status in [ecs::ContainerInstanceStatus::Active, ecs::ContainerInstanceStatus::Draining] {
            let list = ecs::ListContainerInstancesRequest {
                cluster: text(CLUSTER),
                status: Some(status),
                ..Default::default()
            };
            arns.extend(api.call(list).await?.container_instance_arns.unwrap_or_default());
        }
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let describe = ecs::DescribeContainerInstancesRequest {
            cluster: text(CLUSTER),
            container_instances: arns,
            ..Default::default()
        };
        let rows = api.call(describe).await?.container_instances.unwrap_or_default();
        let host = |row: ecs::ContainerInstance| Host {
            arn: row.container_instance_arn.unwrap_or_default(),
            ec2: row.ec2_instance_id.unwrap_or_default(),
            provider: row.capacity_provider_name.unwrap_or_default(),
            active: row.status.as_deref() == Some("ACTIVE"),
            tasks: row.running_tasks_count.unwrap_or(0),
        };
        Ok(rows.into_iter().map(host).collect())
    }

    /// How many of them Spot has taken back, as EC2 says it.
    async fn taken(&self, hosts: &[Host]) -> Result<u32, String> {
        let describe = ec2::DescribeInstancesRequest {
            instance_ids: Some(hosts.iter().map(|host| host.ec2.clone()).collect()),
            ..Default::default()
        };
        let reservations = self.stack.api.call(describe).await?.reservations.unwrap_or_default();
        let instances = reservations.into_iter().flat_map(|each| each.instances.unwrap_or_default());
        let taken = instances.filter(|instance| {
            let code = instance.state_reason.as_ref().and_then(|reason| reason.code.as_deref());
            code == Some("Server.SpotInstanceTermination")
        });
        Ok(u32::try_from(taken.count()).unwrap_or_default())
    }

    /// The Fault Injection Service interrupts them: the notice at once, two minutes before the end.
    async fn experiment(&self, hosts: &[Host]) -> Result<(), String> {
        let pair = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let arn = |host: &Host| format!("arn:aws:ec2:{}:{}:instance/{}", REGION, ACCOUNT, host.ec2);
        let target = fis::CreateExperimentTemplateTargetInput {
            resource_type: "aws:ec2:spot-instance".to_owned(),
            resource_arns: Some(hosts.iter().map(arn).collect()),
            selection_mode: "ALL".to_owned(),
            ..Default::default()
        };
        let action = fis::CreateExperimentTemplateActionInput {
            action_id: "aws:ec2:send-spot-instance-interruptions".to_owned(),
            parameters: Some(pair("durationBeforeInterruption", "PT2M")),
            targets: Some(pair("SpotInstances", "victims")),
            ..Default::default()
        };
        let template = fis::CreateExperimentTemplateRequest {
            client_token: format!("soak-template-{}", self.number),
            description: "Spot takes instances back".to_owned(),
            stop_conditions: vec![fis::CreateExperimentTemplateStopConditionInput {
                source: "none".to_owned(),
                value: None,
            }],
            targets: Some(BTreeMap::from([("victims".to_owned(), target)])),
            actions: BTreeMap::from([("interrupt".to_owned(), action)]),
            role_arn: format!("arn:aws:iam::{ACCOUNT}:role/soak"),
            ..Default::default()
        };
        let template = self.stack.api.call(template).await?.experiment_template.unwrap_or_default();
        let start = fis::StartExperimentRequest {
            client_token: format!("soak-{}", self.number),
            experiment_template_id: template.id.unwrap_or_default(),
            ..Default::default()
        };
        self.stack.api.call(start).await.map(drop)
    }

    async fn deploy(&mut self) -> Result<(), String> {
        for service in [&self.stack.waits, &self.stack.does_not_wait] {
            let update = ecs::UpdateServiceRequest {
                cluster: text(CLUSTER),
                service: service.name.to_owned(),
                force_new_deployment: Some(true),
                ..Default::default()
            };
            self.stack.api.call(update).await?;
        }
        self.done.deployments += 1;
        Ok(())
    }

    async fn scale(&mut self, tasks: i32) -> Result<(), String> {
        for service in [&self.stack.waits, &self.stack.does_not_wait] {
            let update = ecs::UpdateServiceRequest {
                cluster: text(CLUSTER),
                service: service.name.to_owned(),
                desired_count: Some(tasks),
                ..Default::default()
            };
            self.stack.api.call(update).await?;
        }
        self.tasks = tasks;
        Ok(())
    }

    /// StopTask for one task of each service.
    async fn stop_a_task(&mut self) -> Result<(), String> {
        for service in [&self.stack.waits, &self.stack.does_not_wait] {
            let list = ecs::ListTasksRequest {
                cluster: text(CLUSTER),
                service_name: text(service.name),
                ..Default::default()
            };
            let tasks = self.stack.api.call(list).await?.task_arns.unwrap_or_default();
            if let Some(task) = tasks.into_iter().last() {
                let stop = ecs::StopTaskRequest { cluster: text(CLUSTER), task, ..Default::default() };
                self.stack.api.call(stop).await?;
            }
        }
        self.done.stops += 1;
        Ok(())
    }

    /// The desired capacity of the group whose instances ECS drains.
    async fn resize(&mut self, instances: i32) -> Result<(), String> {
        if self.managed == instances {
            return Ok(());
        }
        let set = autoscaling::SetDesiredCapacityRequest {
            auto_scaling_group_name: BY_ECS.name.to_owned(),
            desired_capacity: instances,
            ..Default::default()
        };
        self.stack.api.call(set).await?;
        self.managed = instances;
        Ok(())
    }

    async fn set_state(&self, host: &Host, status: ecs::ContainerInstanceStatus) -> Result<(), String> {
        let update = ecs::UpdateContainerInstancesStateRequest {
            cluster: text(CLUSTER),
            container_instances: vec![host.arn.clone()],
            status,
        };
        let failures = self.stack.api.call(update).await?.failures.unwrap_or_default();
        match failures.first() {
            None => Ok(()),
            Some(failure) => Err(format!("the state of {} cannot be changed: {failure:?}", host.arn)),
        }
    }
}
