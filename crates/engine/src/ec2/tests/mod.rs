//! EC2 through the one door.

mod describe;
mod launch;
mod market;
mod spot;
mod tag;
mod template;

use capstan_market::Market;
use capstan_model::{InstanceId, Time, region};
use capstan_shapes::ec2::{
    CreateLaunchTemplateRequest, Filter, Instance, RequestLaunchTemplateData, RunInstancesRequest,
};
use capstan_shapes::{Call, Refusal};

use crate::{Caller, Config, Effect, Engine, Input, Outcome};

const START: Time = Time::from_secs(1_767_225_600);

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) now: Time,
    pub(super) effects: Vec<Effect>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Market::Calm)
    }

    pub(super) fn with(market: Market) -> Self {
        let config = Config { region: region("us-east-1").unwrap(), market, ..Config::new(7) };
        Self { engine: Engine::new(config, START), now: START, effects: Vec::new() }
    }

    pub(super) fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        let caller = Caller::User { access_key: "test".into() };
        self.call_as(caller, request)
    }

    pub(super) fn call_as<C: Call>(&mut self, caller: Caller, request: C) -> Result<C::Output, Refusal> {
        let outcome = self.step(Input::Call { caller, request: Box::new(request.into()) });
        outcome.reply.unwrap().map(|response| C::output(response).unwrap())
    }

    pub(super) fn step(&mut self, input: Input) -> Outcome {
        let outcome = self.engine.step(self.now, input);
        self.effects.extend(outcome.effects.iter().cloned());
        outcome
    }

    /// The newest ECS-optimized image for x86.
    pub(super) fn image(&self) -> String {
        super::releases()[0].id(self.engine.config().region.name)
    }

    pub(super) fn launch(&mut self, request: RunInstancesRequest) -> Result<Vec<Instance>, Refusal> {
        self.call(request).map(|response| response.instances.unwrap())
    }

    pub(super) fn one(&self) -> RunInstancesRequest {
        RunInstancesRequest {
            image_id: Some(self.image()),
            instance_type: Some("m5.large".into()),
            min_count: 1,
            max_count: 1,
            ..Default::default()
        }
    }
}

pub(super) fn id(instance: &Instance) -> InstanceId {
    instance.instance_id.as_ref().unwrap().parse().unwrap()
}

pub(super) fn filter(name: &str, value: &str) -> Option<Vec<Filter>> {
    Some(vec![Filter { name: Some(name.into()), values: Some(vec![value.into()]) }])
}

pub(super) fn template(world: &mut World, name: &str, data: RequestLaunchTemplateData) -> String {
    let request = CreateLaunchTemplateRequest {
        launch_template_name: name.into(),
        launch_template_data: data,
        ..Default::default()
    };
    world.call(request).unwrap().launch_template.unwrap().launch_template_id.unwrap()
}

pub(super) fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
    result.unwrap_err().to_string()
}
