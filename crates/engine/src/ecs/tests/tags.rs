use capstan_shapes::ecs as shapes;

use super::{Account, texts};

const CLUSTER: &str = "arn:aws:ecs:us-east-1:000000000000:cluster/demo";

fn tag(key: &str, value: &str) -> shapes::Tag {
    shapes::Tag { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

fn put(arn: &str, tags: Vec<shapes::Tag>) -> shapes::TagResourceRequest {
    shapes::TagResourceRequest { resource_arn: arn.to_owned(), tags }
}

#[test]
fn tags_come_and_go() {
    let mut account = Account::new();
    account.done(shapes::CreateClusterRequest {
        cluster_name: Some("demo".to_owned()),
        tags: Some(vec![tag("team", "a")]),
        ..Default::default()
    });
    account.done(put(CLUSTER, vec![tag("team", "b"), tag("stage", "test")]));
    let list = || shapes::ListTagsForResourceRequest { resource_arn: CLUSTER.to_owned() };
    assert_eq!(account.done(list()).tags, Some(vec![tag("stage", "test"), tag("team", "b")]));
    account.done(shapes::UntagResourceRequest {
        resource_arn: CLUSTER.to_owned(),
        tag_keys: texts(&["team", "unknown"]),
    });
    assert_eq!(account.done(list()).tags, Some(vec![tag("stage", "test")]));
    let many: Vec<shapes::Tag> = (0..50).map(|n| tag(&format!("k{n}"), "")).collect();
    let wrong = [
        (put("nonsense", Vec::new()), "InvalidParameterException"),
        (put("arn:aws:ecs:us-east-1:000000000000:cluster/none", Vec::new()), "ClusterNotFoundException"),
        (
            put("arn:aws:ecs:us-east-1:000000000000:service/demo/none", Vec::new()),
            "ResourceNotFoundException",
        ),
        (put("arn:aws:ecs:us-east-1:000000000000:task/demo/xyz", Vec::new()), "ResourceNotFoundException"),
        (
            put("arn:aws:ecs:us-east-1:000000000000:service/none", Vec::new()),
            "InvalidParameterException: Long arn format must be used for tagging operations",
        ),
        (put(CLUSTER, vec![tag("aws:x", "")]), "InvalidParameterException"),
        (put(CLUSTER, vec![tag("", "")]), "InvalidParameterException"),
        (put(CLUSTER, vec![tag("k", "1"), tag("k", "2")]), "InvalidParameterException"),
        (put(CLUSTER, many), "LimitExceededException"),
    ];
    for (request, wanted) in wrong {
        let arn = request.resource_arn.clone();
        let refusal = account.refused(request);
        assert!(refusal.starts_with(wanted), "{arn}: {refusal}");
    }
}
