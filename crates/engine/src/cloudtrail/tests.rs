//! The room from outside: calls in, records out.

use capstan_model::{Span, Time};
use capstan_shapes::{autoscaling, cloudtrail as shapes, ec2, ecs, elbv2, logs};
use serde_json::{Value as Json, json};
use shapes::LookupAttributeKey as Key;

use super::{RECORDS_MAX, service_event};
use crate::testing::{call, ok};
use crate::{Caller, Config, Engine, Input};

const START: Time = Time::from_secs(1_664_226_702);

fn engine() -> Engine {
    Engine::new(Config { trail: true, ..Config::new(1) }, START)
}

fn create_cluster(engine: &mut Engine, name: &str) {
    ok(engine, ecs::CreateClusterRequest { cluster_name: Some(name.to_owned()), ..Default::default() });
}

fn by(key: Key, value: &str) -> shapes::LookupEventsRequest {
    let attribute = shapes::LookupAttribute { attribute_key: key, attribute_value: value.to_owned() };
    shapes::LookupEventsRequest { lookup_attributes: Some(vec![attribute]), ..Default::default() }
}

fn found(engine: &mut Engine, request: shapes::LookupEventsRequest) -> Vec<shapes::Event> {
    ok(engine, request).events.expect("a list")
}

fn one(engine: &mut Engine, request: shapes::LookupEventsRequest) -> (shapes::Event, Json) {
    let mut events = found(engine, request);
    assert_eq!(events.len(), 1, "{events:?}");
    let event = events.remove(0);
    let record = serde_json::from_str(event.cloud_trail_event.as_deref().expect("a record")).expect("JSON");
    (event, record)
}

fn resources(event: &shapes::Event) -> Vec<(&str, &str)> {
    let resources = event.resources.as_deref().unwrap_or_default();
    resources
        .iter()
        .map(|resource| {
            (
                resource.resource_type.as_deref().unwrap_or_default(),
                resource.resource_name.as_deref().unwrap_or_default(),
            )
        })
        .collect()
}

#[test]
fn a_users_call() {
    let engine = &mut engine();
    create_cluster(engine, "c");
    let (event, record) = one(engine, by(Key::EventName, "CreateCluster"));
    let id = event.event_id.as_deref().expect("an id");
    assert_eq!(id.len(), 36, "{id}");
    assert_eq!(event.access_key_id.as_deref(), Some("test"));
    assert_eq!((event.username.as_deref(), event.read_only.as_deref()), (Some("root"), Some("false")));
    assert_eq!((event.event_source.as_deref(), event.event_time), (Some("ecs.amazonaws.com"), Some(START)));
    assert!(resources(&event).contains(&("AWS::ECS::Cluster", "c")), "{event:?}");
    let expect = json!({
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "Root",
            "principalId": "000000000000",
            "arn": "arn:aws:iam::000000000000:root",
            "accountId": "000000000000",
            "accessKeyId": "test",
        },
        "eventTime": "2022-09-26T21:11:42Z",
        "eventSource": "ecs.amazonaws.com",
        "eventName": "CreateCluster",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "-",
        "requestParameters": { "clusterName": "c" },
        "responseElements": record["responseElements"],
        "requestID": record["requestID"],
        "eventID": id,
        "readOnly": false,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": "000000000000",
        "eventCategory": "Management",
    });
    assert_eq!(record, expect);
    let cluster = &record["responseElements"]["cluster"];
    assert_eq!(cluster["clusterArn"], "arn:aws:ecs:us-east-1:000000000000:cluster/c");
}

#[test]
fn reads_and_refusals() {
    let engine = &mut engine();
    let request =
        ecs::DescribeClustersRequest { clusters: Some(vec!["a".to_owned(), "b".to_owned()]), include: None };
    ok(engine, request);
    let (event, record) = one(engine, by(Key::EventName, "DescribeClusters"));
    assert_eq!(event.read_only.as_deref(), Some("true"));
    assert_eq!(record["requestParameters"], json!({ "clusters": ["a", "b"] }));
    assert_eq!((&record["responseElements"], &record["readOnly"]), (&Json::Null, &json!(true)));
    assert_eq!(resources(&event), [("AWS::ECS::Cluster", "a"), ("AWS::ECS::Cluster", "b")]);

    let delete = ecs::DeleteClusterRequest { cluster: "none".to_owned() };
    assert!(call(engine, delete).is_err());
    let (_, record) = one(engine, by(Key::EventName, "DeleteCluster"));
    assert_eq!(record["errorCode"], "ClusterNotFoundException");
    assert_eq!(record["errorMessage"], "Cluster not found.");
    assert_eq!(record["responseElements"], Json::Null);

    let terminate = ec2::TerminateInstancesRequest {
        instance_ids: vec!["i-0123456789abcdef0".to_owned()],
        ..Default::default()
    };
    assert!(call(engine, terminate).is_err());
    let (event, record) = one(engine, by(Key::ResourceName, "i-0123456789abcdef0"));
    assert_eq!(event.event_name.as_deref(), Some("TerminateInstances"));
    assert_eq!(record["errorCode"], "Client.InvalidInstanceID.NotFound");
    let expect = json!({ "instancesSet": { "items": [{ "instanceId": "i-0123456789abcdef0" }] } });
    assert_eq!(record["requestParameters"], expect);

    let deregister = elbv2::DeregisterTargetsRequest {
        target_group_arn: "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/t/1".to_owned(),
        targets: vec![elbv2::TargetDescription {
            id: "i-1".to_owned(),
            port: Some(80),
            ..Default::default()
        }],
    };
    assert!(call(engine, deregister).is_err());
    let (_, record) = one(engine, by(Key::ResourceType, "AWS::ElasticLoadBalancingV2::TargetGroup"));
    assert_eq!(record["requestParameters"]["targets"], json!([{ "id": "i-1", "port": 80 }]));
    assert_eq!(record["apiVersion"], "2015-12-01");
}

#[test]
fn what_moves_data_is_no_management_event() {
    let engine = &mut engine();
    let put = logs::PutLogEventsRequest { log_group_name: "g".to_owned(), ..Default::default() };
    assert!(call(engine, put).is_err());
    assert_eq!(found(engine, by(Key::EventSource, "logs.amazonaws.com")), []);
    let mut silent = Engine::new(Config::new(1), START);
    create_cluster(&mut silent, "c");
    assert_eq!(found(&mut silent, shapes::LookupEventsRequest::default()), []);
}

#[test]
fn a_services_call_and_what_a_service_does_by_itself() {
    let engine = &mut engine();
    let request = autoscaling::SetDesiredCapacityRequest {
        auto_scaling_group_name: "g".to_owned(),
        desired_capacity: 1,
        ..Default::default()
    };
    assert!(engine.call(Caller::ECS, request).is_err());
    let (event, record) = one(engine, by(Key::EventName, "SetDesiredCapacity"));
    assert_eq!(event.access_key_id, None);
    assert_eq!(event.username.as_deref(), Some("ecs-service-scheduler"));
    let identity = &record["userIdentity"];
    assert_eq!(
        (&identity["type"], &identity["invokedBy"]),
        (&json!("AssumedRole"), &json!("ecs.amazonaws.com"))
    );
    assert_eq!(
        identity["sessionContext"]["sessionIssuer"]["arn"],
        "arn:aws:iam::000000000000:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
    );
    assert_eq!(record["sourceIPAddress"], "ecs.amazonaws.com");

    service_event(engine, "ec2", "BidEvictedEvent", json!({ "instanceIdSet": ["i-1"] }));
    let (event, record) = one(engine, by(Key::EventName, "BidEvictedEvent"));
    let expect = json!({
        "eventVersion": "1.05",
        "userIdentity": { "accountId": "000000000000", "invokedBy": "ec2.amazonaws.com" },
        "eventTime": "2022-09-26T21:11:42Z",
        "eventSource": "ec2.amazonaws.com",
        "userAgent": "ec2.amazonaws.com",
        "sourceIPAddress": "ec2.amazonaws.com",
        "eventName": "BidEvictedEvent",
        "awsRegion": "us-east-1",
        "eventID": event.event_id,
        "eventType": "AwsServiceEvent",
        "recipientAccountId": "000000000000",
        "RequestParameters": null,
        "ResponseElements": null,
        "serviceEventDetails": { "instanceIdSet": ["i-1"] },
    });
    assert_eq!(record, expect);
}

#[test]
fn lookups() {
    let engine = &mut engine();
    for n in 0..5 {
        create_cluster(engine, &format!("c{n}"));
        let now = engine.now() + Span::from_secs(10);
        let _ = engine.step(now, Input::Time);
    }
    let names = |events: Vec<shapes::Event>| -> Vec<String> {
        let name = |event: shapes::Event| {
            let record: Json =
                serde_json::from_str(&event.cloud_trail_event.unwrap_or_default()).unwrap_or_default();
            record["requestParameters"]["clusterName"].as_str().unwrap_or_default().to_owned()
        };
        events.into_iter().map(name).collect()
    };
    let creates = || by(Key::EventName, "CreateCluster");
    assert_eq!(names(found(engine, creates())), ["c4", "c3", "c2", "c1", "c0"]);
    let at = |n: i64| Some(START + Span::from_secs(10 * n));
    let between = shapes::LookupEventsRequest { start_time: at(1), end_time: at(3), ..creates() };
    assert_eq!(names(found(engine, between.clone())), ["c3", "c2", "c1"]);
    let wrong = shapes::LookupEventsRequest { start_time: at(3), end_time: at(1), ..creates() };
    assert_eq!(call(engine, wrong).unwrap_err().code, "InvalidTimeRangeException");

    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let request = shapes::LookupEventsRequest { max_results: Some(2), next_token: token, ..creates() };
        let page = ok(engine, request);
        seen.extend(names(page.events.unwrap_or_default()));
        token = page.next_token;
        // What comes meanwhile does not move the pages.
        create_cluster(engine, "late");
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["c4", "c3", "c2", "c1", "c0"]);
    let first = ok(engine, shapes::LookupEventsRequest { max_results: Some(2), ..creates() });
    for request in [
        shapes::LookupEventsRequest { next_token: first.next_token.clone(), ..between },
        shapes::LookupEventsRequest { next_token: Some("nonsense".to_owned()), ..creates() },
    ] {
        assert_eq!(call(engine, request).unwrap_err().code, "InvalidNextTokenException");
    }
    let mut two = creates();
    two.lookup_attributes.as_mut().unwrap().extend(by(Key::ReadOnly, "true").lookup_attributes.unwrap());
    assert_eq!(call(engine, two).unwrap_err().code, "InvalidLookupAttributesException");

    let id = found(engine, by(Key::ResourceName, "c3")).remove(0).event_id.unwrap();
    assert_eq!(names(found(engine, by(Key::EventId, &id))), ["c3"]);
    assert!(
        found(engine, by(Key::ReadOnly, "true"))
            .iter()
            .all(|e| e.event_name.as_deref() == Some("LookupEvents"))
    );
    assert_eq!(found(engine, by(Key::AccessKeyId, "none")), []);
    assert_eq!(
        found(engine, by(Key::Username, "root")).len(),
        50.min(engine.cloudtrail().records().count() - 1)
    );
}

#[test]
fn the_ring_is_bounded() {
    let engine = &mut engine();
    for _ in 0..RECORDS_MAX + 10 {
        ok(engine, ecs::ListClustersRequest::default());
    }
    assert_eq!(engine.cloudtrail().records().count(), RECORDS_MAX);
    let now = engine.now() + Span::from_hours(91 * 24);
    let _ = engine.step(now, Input::Time);
    create_cluster(engine, "c");
    assert_eq!(engine.cloudtrail().records().count(), 1);
}
