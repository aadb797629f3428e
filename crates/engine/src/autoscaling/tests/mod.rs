//! Auto Scaling through the one door, with hosts that boot and end in virtual time.

mod converge;
mod groups;
mod hooks;
mod launch_configurations;
mod market;
mod policies;
mod scale;
mod schedules;
mod targets;
mod terminations;

use std::collections::BTreeMap;

use capstan_market::Market;
use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::autoscaling as shapes;
use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, RequestLaunchTemplateData, TerminateInstancesRequest,
};
use capstan_shapes::{Call, Refusal};

use super::{Activity, Group, GroupInstance, GroupInstanceIndex, Origin};
use crate::{Caller, Config, Effect, Engine, Fact, Input, Outcome};

/// 2026-01-01T00:00:00Z
const START: Time = Time::from_secs(1_767_225_600);

/// How long hosts take to boot and to end an instance.
const BOOT: Span = Span::from_secs(30);
const END: Span = Span::from_secs(20);

struct World {
    engine: Engine,
    now: Time,
    hosts: BTreeMap<(Time, InstanceId), Fact>,
}

impl World {
    fn new() -> Self {
        Self::with(Market::Calm)
    }

    fn with(market: Market) -> Self {
        let config = Config { market, ..Config::new(7) };
        let mut world = Self { engine: Engine::new(config, START), now: START, hosts: BTreeMap::new() };
        world.template("lt", "m5.large");
        world
    }

    fn template(&mut self, name: &str, instance_type: &str) -> String {
        let request = CreateLaunchTemplateRequest {
            launch_template_name: name.to_owned(),
            launch_template_data: RequestLaunchTemplateData {
                image_id: Some(
                    "resolve:ssm:/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id".into(),
                ),
                instance_type: Some(instance_type.to_owned()),
                ..Default::default()
            },
            ..Default::default()
        };
        self.call(request).unwrap().launch_template.unwrap().launch_template_id.unwrap()
    }

    fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        let caller = Caller::User { access_key: "test".into() };
        let outcome = self.step(Input::Call { caller, request: Box::new(request.into()) });
        outcome.reply.unwrap().map(|response| C::output(response).unwrap())
    }

    fn refused<C: Call>(&mut self, request: C) -> String
    where
        C::Output: std::fmt::Debug,
    {
        self.call(request).unwrap_err().to_string()
    }

    fn step(&mut self, input: Input) -> Outcome {
        let outcome = self.engine.step(self.now, input);
        for effect in &outcome.effects {
            match effect {
                Effect::LaunchInstance { instance } => {
                    let fact = Fact::InstanceRunning { instance: *instance };
                    self.hosts.insert((self.now + BOOT, *instance), fact);
                }
                Effect::TerminateInstance { instance } => {
                    let fact = Fact::InstanceTerminated { instance: *instance };
                    self.hosts.insert((self.now + END, *instance), fact);
                }
                _ => {}
            }
        }
        outcome
    }

    /// Lets time pass, and everything in it happen.
    fn pass(&mut self, span: Span) {
        let until = self.now + span;
        loop {
            let host = self.hosts.keys().next().map(|(time, _)| *time);
            let next = [host, self.engine.next_deadline()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            if host == Some(next) {
                let (_, fact) = self.hosts.pop_first().unwrap();
                let _ = self.step(Input::Fact(fact));
            } else {
                let _ = self.step(Input::Time);
            }
        }
        self.now = until;
        let _ = self.step(Input::Time);
    }

    fn secs(&mut self, secs: i64) {
        self.pass(Span::from_secs(secs));
    }

    fn mins(&mut self, mins: i64) {
        self.pass(Span::from_mins(mins));
    }

    fn create(&mut self, min: i32, max: i32, desired: i32) {
        let request = create_request(min, max, desired);
        self.call(request).unwrap();
    }

    fn desire(&mut self, desired: i32) {
        let request = shapes::SetDesiredCapacityRequest {
            auto_scaling_group_name: "g".into(),
            desired_capacity: desired,
            honor_cooldown: None,
        };
        self.call(request).unwrap();
    }

    fn group(&self) -> &Group {
        self.engine.autoscaling().groups().get(&"g".into()).unwrap()
    }

    fn instances(&self) -> Vec<&GroupInstance> {
        self.engine.autoscaling().instances().by(&GroupInstanceIndex::Group("g".into())).collect()
    }

    /// States of the instances with their counts: `InService 2, Pending 1`.
    fn states(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for row in self.instances() {
            *counts.entry(row.state.as_str()).or_default() += 1;
        }
        let told: Vec<String> = counts.into_iter().map(|(state, count)| format!("{state} {count}")).collect();
        told.join(", ")
    }

    /// Letters of the instances' zones, in order.
    fn zones(&self) -> String {
        let mut letters: Vec<char> =
            self.instances().iter().filter_map(|row| row.zone.chars().next_back()).collect();
        letters.sort_unstable();
        letters.into_iter().collect()
    }

    fn activities(&self) -> Vec<&Activity> {
        self.engine.autoscaling().activities().iter().collect()
    }

    /// The newest activity as `status: description: cause`, with ids and times blotted out.
    fn told(&self) -> String {
        let last = self.activities().into_iter().next_back().unwrap();
        blot(&format!("{}: {}: {}", last.code, last.description, last.cause))
    }

    /// EC2 loses an instance without Auto Scaling's doing.
    fn lose(&mut self, id: InstanceId) {
        let request = TerminateInstancesRequest { instance_ids: vec![id.to_string()], ..Default::default() };
        self.call(request).unwrap();
    }
}

fn create_request(min: i32, max: i32, desired: i32) -> shapes::CreateAutoScalingGroupRequest {
    shapes::CreateAutoScalingGroupRequest {
        auto_scaling_group_name: "g".into(),
        launch_template: Some(shapes::LaunchTemplateSpecification {
            launch_template_name: Some("lt".into()),
            ..Default::default()
        }),
        min_size: min,
        max_size: max,
        desired_capacity: Some(desired),
        availability_zones: Some(vec!["us-east-1a".into(), "us-east-1b".into(), "us-east-1c".into()]),
        ..Default::default()
    }
}

/// Replaces instance ids by `i-…` and times by `T`.
fn blot(text: &str) -> String {
    let ids = regex_lite::Regex::new("i-[0-9a-f]{17}").unwrap();
    let times = regex_lite::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
    times.replace_all(&ids.replace_all(text, "i-…"), "T").into_owned()
}
