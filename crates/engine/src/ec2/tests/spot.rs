//! Spot Instances are asked for, get their instances, and lose them.

use capstan_model::{InstanceId, Span};
use capstan_shapes::ec2::{
    CancelSpotInstanceRequestsRequest, DescribeSpotInstanceRequestsRequest,
    InstanceInterruptionBehavior as Behavior, InstanceMarketOptionsRequest, InstanceStateName as State,
    MarketType, RequestSpotInstancesRequest, RequestSpotLaunchSpecification, SpotInstanceType,
    SpotMarketOptions, StartInstancesRequest, StopInstancesRequest, TerminateInstancesRequest,
};

use super::{World, id};
use crate::{Effect, Fact, Input};

impl World {
    fn spot(&mut self, kind: SpotInstanceType, behavior: Behavior) -> InstanceId {
        let mut request = self.one();
        request.instance_market_options = Some(InstanceMarketOptionsRequest {
            market_type: Some(MarketType::Spot),
            spot_options: Some(SpotMarketOptions {
                spot_instance_type: Some(kind),
                instance_interruption_behavior: Some(behavior),
                ..Default::default()
            }),
        });
        let id = id(&self.launch(request).unwrap()[0]);
        let _ = self.step(Input::Fact(Fact::InstanceRunning { instance: id }));
        id
    }

    fn pass(&mut self, span: Span) {
        self.now += span;
        let _ = self.step(Input::Time);
    }

    /// The request's state and status, and the instance's state.
    fn told(&mut self) -> Vec<(String, String, Option<State>)> {
        let rows = self.call(DescribeSpotInstanceRequestsRequest::default()).unwrap().spot_instance_requests;
        let rows = rows.unwrap().into_iter().map(|row| {
            let instance = row.instance_id.and_then(|text| text.parse().ok());
            let instance: Option<InstanceId> = instance;
            let state = instance.and_then(|id| self.engine.ec2().instances().get(&id)).map(|row| row.state);
            (row.state.unwrap().as_str().to_owned(), row.status.unwrap().code.unwrap(), state)
        });
        rows.collect()
    }
}

fn row(state: &str, status: &str, instance: Option<State>) -> Vec<(String, String, Option<State>)> {
    vec![(state.to_owned(), status.to_owned(), instance)]
}

#[test]
fn a_notice_leaves_two_minutes() {
    let mut world = World::new();
    let instance = world.spot(SpotInstanceType::OneTime, Behavior::Terminate);
    assert_eq!(world.told(), row("active", "fulfilled", Some(State::Running)));
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance }));
    // The request flips at once, the instance runs on (spec spot.md §5).
    assert_eq!(world.told(), row("closed", "instance-terminated-no-capacity", Some(State::Running)));
    assert!(world.effects.contains(&Effect::InstanceMetadata { instance }));
    let action = |world: &World| {
        world.engine.ec2().instances().get(&instance).and_then(|row| row.spot.as_ref()?.instance_action())
    };
    assert_eq!(action(&world), Some(("terminate", world.now + Span::from_secs(120))));
    world.pass(Span::from_secs(119));
    assert_eq!(world.engine.ec2().instances().get(&instance).unwrap().state, State::Running);
    assert!(!world.effects.contains(&Effect::TerminateInstance { instance }));
    world.pass(Span::from_secs(1));
    assert!(world.effects.contains(&Effect::TerminateInstance { instance }));
    world.pass(Span::from_secs(3));
    let row = world.engine.ec2().instances().get(&instance).unwrap();
    assert_eq!(row.state, State::Terminated);
    let reason = row.state_reason.as_ref().unwrap();
    assert_eq!(reason.message, "Server.SpotInstanceTermination: Spot instance termination");
}

#[test]
fn a_second_interruption_and_one_of_an_on_demand_instance_change_nothing() {
    let mut world = World::new();
    let instance = world.spot(SpotInstanceType::OneTime, Behavior::Terminate);
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance }));
    world.pass(Span::from_secs(60));
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance }));
    world.pass(Span::from_secs(60));
    assert_eq!(world.engine.ec2().instances().get(&instance).unwrap().state, State::ShuttingDown);
    let on_demand = world.one();
    let on_demand = id(&world.launch(on_demand).unwrap()[0]);
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance: on_demand }));
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance: on_demand }));
    world.pass(Span::from_mins(5));
    assert_eq!(world.engine.ec2().instances().get(&on_demand).unwrap().state, State::Running);
}

#[test]
fn a_user_may_be_quicker_than_the_interruption() {
    let mut world = World::new();
    let instance = world.spot(SpotInstanceType::OneTime, Behavior::Terminate);
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance }));
    let request =
        TerminateInstancesRequest { instance_ids: vec![instance.to_string()], ..Default::default() };
    world.call(request).unwrap();
    let _ = world.step(Input::Fact(Fact::InstanceTerminated { instance }));
    let reason = world.engine.ec2().instances().get(&instance).unwrap().state_reason.clone().unwrap();
    assert_eq!(reason.code, "Client.UserInitiatedShutdown");
    world.pass(Span::from_mins(5));
    assert_eq!(world.told(), row("closed", "instance-terminated-by-user", Some(State::Terminated)));
}

#[test]
fn a_persistent_request_gets_another_instance() {
    let mut world = World::new();
    let instance = world.spot(SpotInstanceType::Persistent, Behavior::Terminate);
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance }));
    assert_eq!(world.told(), row("open", "instance-terminated-no-capacity", Some(State::Running)));
    world.pass(Span::from_secs(124));
    world.pass(Span::from_mins(2));
    assert_eq!(world.told(), row("active", "fulfilled", Some(State::Pending)));
    assert_eq!(world.engine.ec2().instances().iter().filter(|row| row.is_alive()).count(), 1);
}

#[test]
fn an_instance_that_stops_comes_back_when_it_is_started() {
    let mut world = World::new();
    let instance = world.spot(SpotInstanceType::Persistent, Behavior::Stop);
    let _ = world.step(Input::Fact(Fact::SpotInterruption { instance }));
    assert_eq!(world.told(), row("active", "marked-for-stop", Some(State::Running)));
    world.pass(Span::from_secs(120));
    assert!(world.effects.contains(&Effect::StopInstance { instance }));
    let _ = world.step(Input::Fact(Fact::InstanceStopped { instance }));
    assert_eq!(world.told(), row("disabled", "instance-stopped-no-capacity", Some(State::Stopped)));
    let ids = vec![instance.to_string()];
    world.call(StartInstancesRequest { instance_ids: ids.clone(), ..Default::default() }).unwrap();
    assert_eq!(world.told(), row("active", "fulfilled", Some(State::Pending)));
    let _ = world.step(Input::Fact(Fact::InstanceRunning { instance }));
    world.call(StopInstancesRequest { instance_ids: ids, ..Default::default() }).unwrap();
    let _ = world.step(Input::Fact(Fact::InstanceStopped { instance }));
    assert_eq!(world.told(), row("disabled", "instance-stopped-by-user", Some(State::Stopped)));
}

#[test]
fn one_time_spot_instances_cannot_be_stopped() {
    let mut world = World::new();
    let instance = world.spot(SpotInstanceType::OneTime, Behavior::Terminate);
    let request = StopInstancesRequest { instance_ids: vec![instance.to_string()], ..Default::default() };
    assert_eq!(world.call(request).unwrap_err().code, "UnsupportedOperation");
}

#[test]
fn a_request_is_evaluated_fulfilled_and_cancelled() {
    let mut world = World::new();
    let image_id = Some(world.image());
    let ask = |price: Option<&str>| RequestSpotInstancesRequest {
        launch_specification: Some(RequestSpotLaunchSpecification {
            image_id: image_id.clone(),
            instance_type: Some("m5.large".to_owned()),
            ..Default::default()
        }),
        spot_price: price.map(str::to_owned),
        ..Default::default()
    };
    world.call(ask(None)).unwrap();
    assert_eq!(world.told(), row("open", "pending-evaluation", None));
    world.pass(Span::from_secs(2));
    assert_eq!(world.told(), row("active", "fulfilled", Some(State::Pending)));

    let mut world = World::new();
    let made = world.call(ask(Some("0.001"))).unwrap().spot_instance_requests.unwrap();
    world.pass(Span::from_secs(2));
    assert_eq!(world.told(), row("open", "price-too-low", None));
    let id = made[0].spot_instance_request_id.clone().unwrap();
    let cancel =
        CancelSpotInstanceRequestsRequest { spot_instance_request_ids: vec![id], ..Default::default() };
    world.call(cancel).unwrap();
    assert_eq!(world.told(), row("cancelled", "canceled-before-fulfillment", None));

    // After seven days nobody waits any more.
    let mut world = World::new();
    world.call(ask(Some("0.001"))).unwrap();
    world.pass(Span::from_hours(7 * 24));
    assert_eq!(world.told(), row("cancelled", "schedule-expired", None));
}
