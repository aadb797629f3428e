//! What agents ask besides registering: where to keep in touch.

use capstan_shapes::{Refusal, ecs as shapes};

use crate::{Caller, Engine};

/// The endpoints of the agent communication and telemetry services, the same for every instance (our reading). The
/// agent appends `/ws?…` (spec ecs-agent-protocol.md §3).
pub(super) fn discover_poll_endpoint(
    cx: &mut Engine,
    _caller: &Caller,
    _request: shapes::DiscoverPollEndpointRequest,
) -> Result<shapes::DiscoverPollEndpointResponse, Refusal> {
    let endpoint = |service: &str| Some(format!("{}/{service}", cx.config.endpoint));
    Ok(shapes::DiscoverPollEndpointResponse {
        endpoint: endpoint("acs"),
        telemetry_endpoint: endpoint("tcs"),
        service_connect_endpoint: endpoint("service-connect"),
    })
}
