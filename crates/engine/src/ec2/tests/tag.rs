//! Tags.

use capstan_shapes::ec2::{
    CreateTagsRequest, DeleteTagsRequest, DescribeTagsRequest, RequestLaunchTemplateData, Tag,
};

use crate::Caller;

use super::{World, filter, id, refused, template};

#[test]
fn tags_come_and_go() {
    let mut world = World::new();
    let instance = id(&world.launch(world.one()).unwrap()[0]);
    let template = template(&mut world, "web", RequestLaunchTemplateData::default());
    let subnet = world.engine.ec2().subnets().iter().next().unwrap().id.clone();
    let tag =
        |key: &str, value: Option<&str>| Tag { key: Some(key.into()), value: value.map(ToOwned::to_owned) };
    let resources = vec![instance.to_string(), template.clone(), subnet];
    let create = |resources: &[String], key: &str, value: &str| CreateTagsRequest {
        resources: resources.to_vec(),
        tags: vec![tag(key, Some(value))],
        ..Default::default()
    };
    world.call(create(&resources, "Name", "web")).unwrap();
    world.call(create(&resources[..1], "Stage", "test")).unwrap();
    world.call_as(Caller::AUTOSCALING, create(&resources[..1], "aws:autoscaling:groupName", "g")).unwrap();
    assert_eq!(
        world.engine.ec2().instances().count_by(&super::super::InstanceIndex::Group("g".into())),
        1,
        "the index follows the tag"
    );
    let describe = |world: &mut World, name: &str, value: &str| -> Vec<String> {
        let request = DescribeTagsRequest { filters: filter(name, value), ..Default::default() };
        let tags = world.call(request).unwrap().tags.unwrap();
        tags.into_iter().map(|tag| format!("{} {}", tag.resource_type.unwrap(), tag.key.unwrap())).collect()
    };
    assert_eq!(describe(&mut world, "key", "Name").len(), 3);
    assert_eq!(describe(&mut world, "resource-id", &template), ["launch-template Name"]);
    let instance_id = instance.to_string();
    assert_eq!(
        describe(&mut world, "resource-id", &instance_id),
        ["instance Name", "instance Stage", "instance aws:autoscaling:groupName"]
    );
    let delete = |resources: &[String], tags: Vec<Tag>| DeleteTagsRequest {
        resources: resources.to_vec(),
        tags: Some(tags),
        ..Default::default()
    };
    world.call(delete(&resources, vec![tag("Name", Some("db"))])).unwrap();
    assert_eq!(describe(&mut world, "key", "Name").len(), 3);
    world.call(delete(&resources, vec![tag("Name", None)])).unwrap();
    assert_eq!(describe(&mut world, "key", "Name").len(), 0);
    world.call(delete(&resources, vec![])).unwrap();
    assert_eq!(describe(&mut world, "resource-id", &instance_id), ["instance aws:autoscaling:groupName"]);
    let cases = [
        (create(&["i-0123456789abcdef0".into()], "a", "b"), "InvalidInstanceID.NotFound: "),
        (create(&["thing-1".into()], "a", "b"), "InvalidID: The ID 'thing-1' is not valid"),
        (create(&resources[..1], "aws:x", "b"), "InvalidParameterValue: Tag keys starting with 'aws:'"),
        (create(&resources[..1], "", "b"), "InvalidParameterValue: Tag key cannot be empty"),
    ];
    for (request, message) in cases {
        let answer = refused(world.call(request));
        assert!(answer.starts_with(message), "{answer}");
    }
    let many = (0..51).map(|n| tag(&format!("k{n}"), Some(""))).collect();
    let request = CreateTagsRequest { resources, tags: many, ..Default::default() };
    assert!(refused(world.call(request)).starts_with("TagLimitExceeded: "));
}
