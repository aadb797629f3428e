//! How the agent learns that Spot takes its instance: it asks the metadata service every second (agent, agent/app,
//! startSpotInstanceDrainingPoller).

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// An answer is short; more of it is not read.
const BODY_MAX: usize = 4096;
/// How long the agent's session lasts, which is the most that the service allows.
const TOKEN_TTL: &str = "21600";
/// A question that takes longer is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Spot is about to do with the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpotAction {
    Hibernate,
    Stop,
    Terminate,
}

impl SpotAction {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "hibernate" => Some(Self::Hibernate),
            "stop" => Some(Self::Stop),
            "terminate" => Some(Self::Terminate),
            _ => None,
        }
    }
}

/// Asks that endpoint for `spot/instance-action` so often, until it says one.
pub async fn spot_action(endpoint: &str, every: Duration) -> SpotAction {
    let mut reader = Reader {
        client: Client::builder(TokioExecutor::new()).build_http(),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        token: None,
    };
    let mut pace = tokio::time::interval(every);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        if let Ok(Some(action)) = tokio::time::timeout(PATIENCE, reader.look()).await {
            return action;
        }
    }
}

struct Reader {
    client: Client<HttpConnector, Empty<Bytes>>,
    endpoint: String,
    token: Option<String>,
}

impl Reader {
    async fn look(&mut self) -> Option<SpotAction> {
        if self.token.is_none() {
            let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL);
            let given = self.ask(Method::PUT, "api/token", Some(ttl)).await;
            self.token = given.filter(|(status, _)| *status == StatusCode::OK).map(|(_, token)| token);
        }
        let token = self.token.clone();
        let header = token.as_deref().map(|token| ("x-aws-ec2-metadata-token", token));
        let (status, body) = self.ask(Method::GET, "meta-data/spot/instance-action", header).await?;
        if status == StatusCode::UNAUTHORIZED {
            // Expired: the next question comes with a new one.
            self.token = None;
        }
        if status != StatusCode::OK {
            return None;
        }
        // `{"action":"terminate","time":"…"}`, read without a JSON parser of its own: neither value holds a quote.
        let mut strings = body.split('"').skip(1).step_by(2);
        strings.find(|text| *text == "action")?;
        SpotAction::parse(strings.next()?)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        header: Option<(&str, &str)>,
    ) -> Option<(StatusCode, String)> {
        let mut request = Request::builder().method(method).uri(format!("{}/latest/{path}", self.endpoint));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let response = self.client.request(request.body(Empty::new()).ok()?).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use capstan_model::{InstanceId, InstanceMetadata, MetadataItem, Time};

    use super::*;
    use crate::metadata::{Endpoint, Tokens};

    #[tokio::test]
    async fn an_action_is_seen_when_it_comes() {
        for (action, expect) in [
            ("terminate", SpotAction::Terminate),
            ("stop", SpotAction::Stop),
            ("hibernate", SpotAction::Hibernate),
        ] {
            let mut view = InstanceMetadata {
                instance: InstanceId(0xa),
                enabled: true,
                tokens_required: true,
                items: [("meta-data/ami-id".to_owned(), MetadataItem::text("ami-1"))].into(),
            };
            let now = Arc::new(|| Time::from_secs(1_000));
            let endpoint = Endpoint::start(view.clone(), Tokens::default(), now).expect("an endpoint");
            let url = endpoint.url();
            let mut watching = Box::pin(spot_action(&url, Duration::from_millis(1)));
            tokio::select! {
                action = &mut watching => panic!("{action:?} is not there yet"),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
            let body = format!(r#"{{"action":"{action}","time":"2017-09-18T08:22:00Z"}}"#);
            view.items.insert("meta-data/spot/instance-action".to_owned(), MetadataItem::json(body));
            endpoint.show(view);
            let seen = tokio::time::timeout(Duration::from_secs(60), watching).await;
            assert_eq!(seen.expect("in time"), expect);
        }
    }
}
