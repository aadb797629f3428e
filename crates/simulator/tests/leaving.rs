//! What an instance reads, and what is explained, when Spot takes it with requests on their way.

mod support;

use capstan_engine::ec2;
use capstan_engine::ecs::{InstanceStatus, TaskStatus};
use capstan_engine::{Fact, Input};
use capstan_model::{Hex32, InstanceId, Span};
use capstan_shapes::elbv2;
use capstan_simulator::World;
use support::{
    SERVICE, SPOT, cluster, group, item, load_balancer, provider, put_providers, service, task_definition,
    world,
};

/// Six tasks on Spot Instances behind a load balancer with that deregistration delay.
fn on_spot(delay_secs: u32) -> World {
    let mut world = world(3).checked();
    cluster(&mut world);
    group(&mut world, "spot", true, 2, 4);
    let groups = world.call(capstan_shapes::autoscaling::DescribeAutoScalingGroupsRequest::default());
    let arn = groups.expect("groups").auto_scaling_groups[0].auto_scaling_group_arn.clone();
    provider(&mut world, SPOT, &arn.expect("its ARN"), 50);
    put_providers(&mut world, &[SPOT], vec![item(SPOT, 0, 1)]);
    let definition = task_definition(&mut world, "web");
    let target_group = load_balancer(&mut world);
    world
        .call(elbv2::ModifyTargetGroupAttributesRequest {
            target_group_arn: target_group.clone(),
            attributes: vec![elbv2::TargetGroupAttribute {
                key: Some("deregistration_delay.timeout_seconds".to_owned()),
                value: Some(delay_secs.to_string()),
            }],
        })
        .expect("attributes");
    service(&mut world, &definition, Some(&target_group), 6);
    world.advance(Span::from_mins(20));
    world
}

/// An instance with tasks, and its tasks.
fn victim(world: &World) -> (InstanceId, Vec<Hex32>) {
    let ecs = world.engine().ecs();
    let tasks_of = |row: &capstan_engine::ecs::ContainerInstance| -> Vec<Hex32> {
        let here = ecs.tasks().iter().filter(|task| task.instance == Some(row.id));
        here.filter(|task| task.status == TaskStatus::Running).map(|task| task.id).collect()
    };
    let active = ecs.instances().iter().filter(|row| row.status == InstanceStatus::Active);
    let fullest = active.max_by_key(|row| tasks_of(row).len()).expect("an instance");
    (fullest.ec2_instance.expect("an EC2 instance"), tasks_of(fullest))
}

/// A task that has left its load balancer and is not stopped yet.
fn leaving(world: &World) -> Hex32 {
    let mut tasks = world.engine().ecs().tasks().iter();
    tasks.find(|task| task.status == TaskStatus::Deactivating).expect("a task that leaves").id
}

fn why(world: &World, subject: &str) -> String {
    world.engine().explain(subject).expect("an explanation").why.join("\n")
}

fn reads(world: &World, instance: InstanceId, path: &str) -> Option<String> {
    let view = ec2::metadata(world.engine(), instance)?;
    view.items.get(&format!("meta-data/{path}")).map(|item| item.body.clone())
}

#[test]
fn a_delay_longer_than_the_notice_loses_requests_and_says_so() {
    for (delay, loses) in [(300, true), (30, false)] {
        let mut world = on_spot(delay);
        let (instance, tasks) = victim(&world);
        assert!(!tasks.is_empty());
        let told = why(&world, SERVICE);
        assert_eq!(told.contains("in flight after 120 s are lost with a 502 or 504"), loses, "{told}");

        let _ = world.input(Input::Fact(Fact::SpotInterruption { instance }));
        // Replacements first where there is room; some tasks leave at once.
        world.advance(Span::from_secs(40));
        let leaving = leaving(&world).to_string();
        let told = why(&world, &leaving);
        assert!(told.contains("It gets no new requests"), "{told}");
        assert_eq!(told.contains("Its instance is gone before that"), loses, "{told}");
        let told = why(&world, &instance.to_string());
        assert!(told.contains("Spot's notice: terminate at"), "{told}");
        assert_eq!(told.contains("cannot wait for requests in flight"), loses, "{told}");

        world.advance(Span::from_secs(90));
        let told = why(&world, &leaving);
        assert!(told.contains("It is STOPPED"), "{told}");
        assert_eq!(told.contains("because its instance was gone"), loses, "{told}");
        let told = why(&world, SERVICE);
        assert_eq!(told.contains("with less time for requests in flight than promised"), loses, "{told}");
    }
}

#[test]
fn an_instance_reads_what_is_about_to_happen_to_it() {
    let mut world = on_spot(30);
    let (instance, _) = victim(&world);
    let absent = ["spot/instance-action", "spot/termination-time", "events/recommendations/rebalance"];
    for path in absent {
        assert_eq!(reads(&world, instance, path), None, "{path}");
    }
    assert_eq!(reads(&world, instance, "instance-life-cycle").as_deref(), Some("spot"));
    let state = "autoscaling/target-lifecycle-state";
    assert_eq!(reads(&world, instance, state).as_deref(), Some("InService"));

    let gone_at = (world.now() + Span::from_mins(2)).iso_secs();
    let _ = world.input(Input::Fact(Fact::SpotInterruption { instance }));
    let action = format!(r#"{{"action":"terminate","time":"{gone_at}"}}"#);
    assert_eq!(reads(&world, instance, "spot/instance-action"), Some(action));
    assert_eq!(reads(&world, instance, "spot/termination-time"), Some(gone_at));
    world.advance(Span::from_mins(10));
    assert_eq!(ec2::metadata(world.engine(), instance), None, "it is gone");
}
