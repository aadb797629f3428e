//! One instance as a slice of this host: its metadata endpoint from its boot on, its agent from the registration on.

use std::sync::Arc;
use std::time::Duration;

use capstan_agent::Agent;
use capstan_agent::metadata::{Endpoint, Tokens, spot_action};
use capstan_engine::ecs::InstanceIndex;
use capstan_engine::{Caller, Engine, ec2};
use capstan_model::InstanceId;
use capstan_shapes::Response;
use capstan_shapes::ecs::{self, ContainerInstanceStatus, UpdateContainerInstancesStateRequest};
use tokio::task::JoinSet;

use crate::Control;
use crate::clock::Running;

/// Between two looks of an agent at its Spot notice, by the engine's clock (spec ecs.md §7).
const SPOT_POLL: Duration = Duration::from_secs(1);
/// However fast the clock runs, agents leave the host so much real time between two looks.
const LEAST_SPOT_POLL: Duration = Duration::from_millis(50);

/// Dropping it takes everything away; the agent kills what it runs.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    endpoint: Option<Endpoint>,
    pub(crate) agent: Option<Agent>,
    /// The agent's look at its metadata; aborted on drop.
    watch: JoinSet<()>,
}

impl Slice {
    /// The instance has booted: its metadata answers. Without it, agent and tasks find none, as when the endpoint is
    /// turned off.
    pub(crate) fn boot(engine: &Engine, instance: InstanceId, tokens: Tokens, clock: Running) -> Self {
        let now = Arc::new(move || clock.now());
        let endpoint =
            ec2::metadata(engine, instance).and_then(|view| match Endpoint::start(view, tokens, now) {
                Ok(endpoint) => Some(endpoint),
                Err(error) => {
                    tracing::warn!(%instance, %error, "no metadata endpoint");
                    None
                }
            });
        Self { endpoint, ..Self::default() }
    }

    /// Where the metadata answers.
    pub(crate) fn metadata_endpoint(&self) -> Option<String> {
        self.endpoint.as_ref().map(Endpoint::url)
    }

    /// What the metadata tells has changed.
    pub(crate) fn refresh(&self, engine: &Engine, instance: InstanceId) {
        if let (Some(endpoint), Some(view)) = (&self.endpoint, ec2::metadata(engine, instance)) {
            endpoint.show(view);
        }
    }

    /// The agent begins to watch for the notice that Spot takes the instance back.
    pub(crate) fn watch(&mut self, instance: InstanceId, control: Control, time_scale: u32) {
        let Some(endpoint) = self.metadata_endpoint() else { return };
        let every = (SPOT_POLL / time_scale.max(1)).max(LEAST_SPOT_POLL);
        self.watch.spawn(async move {
            let action = spot_action(&endpoint, every).await;
            tracing::info!(%instance, ?action, "Spot takes the instance back; its agent drains it");
            while !drained(&control, instance).await {
                tokio::time::sleep(every).await;
            }
        });
    }
}

/// One try of an agent to set its container instance DRAINING; whether it has succeeded.
async fn drained(control: &Control, instance: InstanceId) -> bool {
    let request = control.look(move |engine| {
        let own = engine.ecs().instances().by(&InstanceIndex::Ec2(instance)).next()?;
        Some(UpdateContainerInstancesStateRequest {
            cluster: Some(own.cluster.to_string()),
            container_instances: vec![own.id.to_string()],
            status: ContainerInstanceStatus::Draining,
        })
    });
    let Some(Some(request)) = request.await else { return false };
    match control.call(Caller::Agent(instance), request.into()).await {
        Ok(Response::Ecs(ecs::Response::UpdateContainerInstancesState(answer))) => {
            answer.failures.is_none_or(|failures| failures.is_empty())
        }
        Ok(_) => false,
        Err(refusal) => {
            tracing::debug!(%instance, %refusal, "the agent cannot drain its instance yet");
            false
        }
    }
}
