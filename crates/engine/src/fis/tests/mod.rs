//! The room through the one door: templates and experiments as calls, virtual time, and what becomes of the resources.

mod actions;
mod experiments;
mod spot;
mod targets;
mod templates;

use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::ec2::{self, InstanceStateName};
use capstan_shapes::fis::{
    self, CreateExperimentTemplateActionInput, CreateExperimentTemplateRequest,
    CreateExperimentTemplateStopConditionInput, CreateExperimentTemplateTargetInput, Experiment,
    ExperimentActionStatus, ExperimentStatus, StartExperimentRequest,
};
use capstan_shapes::{Call, Refusal};

use crate::{Caller, Config, Effect, Engine, Fact, Input, Outcome};

const ROLE: &str = "arn:aws:iam::000000000000:role/fis";

struct Account {
    engine: Engine,
    /// Client tokens given so far.
    tokens: u32,
}

impl Account {
    fn new() -> Self {
        Self::of(Config::new(3))
    }

    fn of(config: Config) -> Self {
        let start = Time::from_civil(2026, 3, 1, 12, 0, 0).expect("a date");
        Self { engine: Engine::new(config, start), tokens: 0 }
    }

    fn now(&self) -> Time {
        self.engine.now()
    }

    fn call_as<C: Call>(&mut self, caller: Caller, request: C) -> Result<C::Output, Refusal> {
        let outcome = self.engine.step(self.now(), Input::Call { caller, request: Box::new(request.into()) });
        let reply = self.driven(outcome).reply.expect("a call is answered");
        reply.map(|response| C::output(response).expect("its own operation's response"))
    }

    fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        self.call_as(Caller::User { access_key: "test".to_owned() }, request)
    }

    #[track_caller]
    fn done<C: Call>(&mut self, request: C) -> C::Output {
        self.call(request).unwrap_or_else(|refusal| panic!("refused: {refusal}"))
    }

    /// `Code: message` of a call that must be refused.
    #[track_caller]
    fn refused<C: Call>(&mut self, request: C) -> String {
        match self.call(request) {
            Ok(_) => panic!("was not refused"),
            Err(refusal) => refusal.to_string(),
        }
    }

    /// A driver that carries everything out at once.
    fn driven(&mut self, mut outcome: Outcome) -> Outcome {
        let mut effects = std::mem::take(&mut outcome.effects);
        while let Some(effect) = effects.pop() {
            let fact = match effect {
                Effect::LaunchInstance { instance } => Fact::InstanceRunning { instance },
                Effect::StopInstance { instance } => Fact::InstanceStopped { instance },
                Effect::TerminateInstance { instance } => Fact::InstanceTerminated { instance },
                _ => continue,
            };
            let more = self.engine.step(self.now(), Input::Fact(fact));
            effects.extend(more.effects);
        }
        outcome
    }

    /// Lets time pass, deadline by deadline.
    fn pass(&mut self, span: Span) {
        let until = self.now() + span;
        while let Some(next) = self.engine.next_deadline().filter(|next| *next <= until) {
            let outcome = self.engine.step(next, Input::Time);
            let _ = self.driven(outcome);
        }
        let outcome = self.engine.step(until, Input::Time);
        let _ = self.driven(outcome);
    }

    fn secs(&mut self, secs: i64) {
        self.pass(Span::from_secs(secs));
    }

    /// So many running instances with that tag `name`, in the first zone.
    fn launch(&mut self, count: i32, spot: bool, name: &str) -> Vec<String> {
        self.launch_in(count, spot, name, "us-east-1a").expect("instances")
    }

    fn launch_in(&mut self, count: i32, spot: bool, name: &str, zone: &str) -> Result<Vec<String>, Refusal> {
        let request = self.launch_request(count, spot, name, zone);
        let instances = self.call(request)?.instances.unwrap_or_default();
        Ok(instances.into_iter().filter_map(|instance| instance.instance_id).collect())
    }

    fn launch_request(&self, count: i32, spot: bool, name: &str, zone: &str) -> ec2::RunInstancesRequest {
        let image = crate::ec2::releases()[0].id(self.engine.config().region.name);
        ec2::RunInstancesRequest {
            image_id: Some(image),
            instance_type: Some("m5.large".to_owned()),
            min_count: count,
            max_count: count,
            placement: Some(ec2::Placement {
                availability_zone: Some(zone.to_owned()),
                ..Default::default()
            }),
            instance_market_options: spot.then(|| ec2::InstanceMarketOptionsRequest {
                market_type: Some(ec2::MarketType::Spot),
                ..Default::default()
            }),
            tag_specifications: Some(vec![ec2::TagSpecification {
                resource_type: Some("instance".to_owned()),
                tags: Some(vec![ec2::Tag { key: Some("name".to_owned()), value: Some(name.to_owned()) }]),
            }]),
            ..Default::default()
        }
    }

    fn state_of(&self, instance: &str) -> InstanceStateName {
        let id: InstanceId = instance.parse().expect("an id");
        self.engine.ec2().instances().get(&id).expect("an instance").state
    }

    fn count_in(&self, instances: &[String], state: InstanceStateName) -> usize {
        instances.iter().filter(|id| self.state_of(id) == state).count()
    }

    /// A template that is as given, with a stop condition none and a client token of its own.
    fn template(
        &mut self,
        targets: &[(&str, Target)],
        actions: &[(&str, Action)],
    ) -> CreateExperimentTemplateRequest {
        self.tokens += 1;
        let named = |(name, target): &(&str, Target)| ((*name).to_owned(), target.clone());
        CreateExperimentTemplateRequest {
            client_token: format!("template-{}", self.tokens),
            description: "a test".to_owned(),
            stop_conditions: vec![CreateExperimentTemplateStopConditionInput {
                source: "none".to_owned(),
                value: None,
            }],
            targets: Some(targets.iter().map(named).collect()),
            actions: actions.iter().map(|(name, action)| ((*name).to_owned(), action.clone())).collect(),
            role_arn: ROLE.to_owned(),
            ..Default::default()
        }
    }

    #[track_caller]
    fn create(&mut self, request: CreateExperimentTemplateRequest) -> String {
        self.done(request).experiment_template.and_then(|template| template.id).expect("an id")
    }

    fn start_request(&mut self, template: &str) -> StartExperimentRequest {
        self.tokens += 1;
        StartExperimentRequest {
            client_token: format!("experiment-{}", self.tokens),
            experiment_template_id: template.to_owned(),
            ..Default::default()
        }
    }

    /// Creates the template and starts an experiment of it.
    #[track_caller]
    fn start(&mut self, request: CreateExperimentTemplateRequest) -> String {
        let template = self.create(request);
        let request = self.start_request(&template);
        self.done(request).experiment.and_then(|experiment| experiment.id).expect("an id")
    }

    fn experiment(&mut self, id: &str) -> Experiment {
        self.done(fis::GetExperimentRequest { id: id.to_owned() }).experiment.expect("an experiment")
    }

    /// `status: reason`
    fn told(&mut self, id: &str) -> String {
        let state = self.experiment(id).state.expect("a state");
        format!("{}: {}", state.status.map_or("", ExperimentStatus::as_str), state.reason.unwrap_or_default())
    }

    /// `status: reason` of an action.
    fn action_told(&mut self, id: &str, name: &str) -> String {
        let mut actions = self.experiment(id).actions.expect("actions");
        let state = actions.remove(name).expect("an action").state.expect("a state");
        format!(
            "{}: {}",
            state.status.map_or("", ExperimentActionStatus::as_str),
            state.reason.unwrap_or_default()
        )
    }
}

type Target = CreateExperimentTemplateTargetInput;
type Action = CreateExperimentTemplateActionInput;

/// Resources of that type with the tag `name`.
fn tagged(resource_type: &str, name: &str, selection_mode: &str) -> Target {
    Target {
        resource_type: resource_type.to_owned(),
        resource_tags: Some([("name".to_owned(), name.to_owned())].into()),
        selection_mode: selection_mode.to_owned(),
        ..Default::default()
    }
}

/// An action with its parameters, and its target as `Key=name`.
fn action(id: &str, parameters: &[(&str, &str)], target: &str, start_after: &[&str]) -> Action {
    let parameter = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let target = target.split_once('=').map(|(key, name)| (key.to_owned(), name.to_owned()));
    Action {
        action_id: id.to_owned(),
        parameters: Some(parameters.iter().map(parameter).collect()),
        targets: target.map(|target| [target].into()),
        start_after: (!start_after.is_empty())
            .then(|| start_after.iter().map(|name| (*name).to_owned()).collect()),
        ..Default::default()
    }
}

fn interruption(before: &str) -> Action {
    action(
        "aws:ec2:send-spot-instance-interruptions",
        &[("durationBeforeInterruption", before)],
        "SpotInstances=T",
        &[],
    )
}

fn wait(duration: &str, start_after: &[&str]) -> Action {
    action("aws:fis:wait", &[("duration", duration)], "", start_after)
}
