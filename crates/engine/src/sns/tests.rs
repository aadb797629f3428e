use std::collections::BTreeMap;

use capstan_model::Time;
use capstan_shapes::sns::{
    CreateTopicRequest, DeleteTopicRequest, MessageAttributeValue, PublishRequest, SubscribeRequest,
};
use capstan_shapes::sqs::{CreateQueueRequest, ReceiveMessageRequest};

use crate::testing::{ok, refused};
use crate::{Config, Engine};

fn queue(engine: &mut Engine, name: &str) -> String {
    let policy = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:us-east-1:000000000000:news"}}}}"#;
    let request = CreateQueueRequest {
        queue_name: name.into(),
        attributes: Some(BTreeMap::from([("Policy".to_owned(), policy.to_owned())])),
        ..Default::default()
    };
    ok(engine, request).queue_url.unwrap()
}

fn bodies(engine: &mut Engine, url: &str) -> Vec<String> {
    let request = ReceiveMessageRequest {
        queue_url: url.into(),
        max_number_of_messages: Some(10),
        ..Default::default()
    };
    let messages = ok(engine, request).messages.unwrap_or_default();
    messages.into_iter().filter_map(|message| message.body).collect()
}

#[test]
fn messages_go_to_queues_that_want_them() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let topic = CreateTopicRequest { name: "news".into(), ..Default::default() };
    let arn = ok(&mut engine, topic.clone()).topic_arn.unwrap();
    assert_eq!(ok(&mut engine, topic).topic_arn.as_deref(), Some(arn.as_str()));
    let mut urls = Vec::new();
    for (name, attributes) in [
        ("all", vec![]),
        ("raw", vec![("RawMessageDelivery", "true")]),
        (
            "some",
            vec![("RawMessageDelivery", "true"), ("FilterPolicy", r#"{"kind":["big",{"prefix":"hu"}]}"#)],
        ),
    ] {
        urls.push(queue(&mut engine, name));
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let request = SubscribeRequest {
            topic_arn: arn.clone(),
            protocol: "sqs".into(),
            endpoint: Some(format!("arn:aws:sqs:us-east-1:000000000000:{name}")),
            attributes: Some(attributes.collect()),
            return_subscription_arn: None,
        };
        ok(&mut engine, request);
    }
    for (message, kind) in [("one", "small"), ("two", "huge")] {
        let value = MessageAttributeValue {
            data_type: "String".into(),
            string_value: Some(kind.into()),
            binary_value: None,
        };
        let request = PublishRequest {
            topic_arn: Some(arn.clone()),
            message: message.into(),
            message_attributes: Some(BTreeMap::from([("kind".to_owned(), value)])),
            ..Default::default()
        };
        ok(&mut engine, request);
    }
    assert_eq!(bodies(&mut engine, &urls[1]), ["one", "two"]);
    assert_eq!(bodies(&mut engine, &urls[2]), ["two"]);
    let whole = bodies(&mut engine, &urls[0]);
    let first: serde_json::Value = serde_json::from_str(&whole[0]).unwrap();
    assert_eq!((&first["Message"], &first["TopicArn"]), (&"one".into(), &arn.as_str().into()));
    assert_eq!(first["MessageAttributes"]["kind"]["Value"], "small");
    ok(&mut engine, DeleteTopicRequest { topic_arn: arn.clone() });
    assert!(engine.sns().subscriptions().is_empty());
    let late = PublishRequest { topic_arn: Some(arn), message: "x".into(), ..Default::default() };
    refused(&mut engine, late, "NotFound", "Topic does not exist");
}
