//! What agents ask besides registering: where to keep in touch.

use capstan_shapes::{Refusal, ecs as shapes};

use crate::{Caller, Engine};

/// Where the gateway listens unless it is told otherwise; the agent appends `/ws?…` (spec ecs-agent-protocol.md §3).
const GATEWAY: &str = "http://127.0.0.1:4566";

/// The endpoints of the agent communication and telemetry services, the same for every instance (our reading).
pub(super) fn discover_poll_endpoint(
    _cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DiscoverPollEndpointRequest,
) -> Result<shapes::DiscoverPollEndpointResponse, Refusal> {
    let endpoint = |service: &str| Some(format!("{GATEWAY}/{service}"));
    Ok(shapes::DiscoverPollEndpointResponse {
        endpoint: endpoint("acs"),
        telemetry_endpoint: endpoint("tcs"),
        service_connect_endpoint: endpoint("service-connect"),
    })
}
