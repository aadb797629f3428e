use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Resources, Time};
use capstan_shapes::ecs::PlacementConstraintType as Constraint;
use capstan_shapes::ecs::PlacementStrategyType as Strategy_;
use proptest::prelude::*;

use super::check::lack;
use super::*;
use crate::Config;
use crate::ecs::lifecycle::{self, Seed};
use crate::ecs::{InstanceIndex, InstanceStatus, TaskDefinitionKey, TaskIndex};

const CLUSTER: &str = "c";

fn engine() -> Engine {
    Engine::new(Config::new(1), Time::from_secs(1_700_000_000))
}

fn add(cx: &mut Engine, zone: &str, provider: Option<&str>, room: Resources, color: Option<&str>) -> Hex32 {
    let ordinal = next_ordinal(cx);
    let id = Hex32(cx.chance.u128("test.instance-id"));
    let mut attributes = BTreeMap::from([("ecs.availability-zone".to_owned(), Some(zone.to_owned()))]);
    if let Some(color) = color {
        attributes.insert("color".to_owned(), Some(color.to_owned()));
    }
    cx.ecs.instances.insert(ContainerInstance {
        id,
        ordinal,
        cluster: Name::from(CLUSTER),
        ec2_instance: None,
        provider: provider.map(Name::from),
        zone: Name::from(zone),
        instance_type: "m5.large".to_owned(),
        status: InstanceStatus::Active,
        agent_connected: true,
        disconnects_at: None,
        version_info: Default::default(),
        registered: room,
        remaining: room,
        tcp_ports: BTreeSet::from([22]),
        udp_ports: BTreeSet::new(),
        registered_tcp_ports: BTreeSet::from([22]),
        registered_udp_ports: BTreeSet::new(),
        interfaces_max: 2,
        interfaces: 0,
        attributes,
        registered_at: cx.now,
        forget_at: None,
        version: 1,
        tags: BTreeMap::new(),
    });
    instance_changed(cx, id);
    id
}

fn request(group: &str, cpu: i64, memory: i64) -> PlaceRequest {
    let service = group.strip_prefix("service:");
    PlaceRequest {
        cluster: Name::from(CLUSTER),
        provider: None,
        needs: Arc::new(TaskNeeds { resources: Resources { cpu, memory }, ..TaskNeeds::default() }),
        group: Name::from(group),
        service: service.map(|name| ServiceKey { cluster: Name::from(CLUSTER), name: Name::from(name) }),
        constraints: Vec::new(),
        strategy: Vec::new(),
    }
}

fn start(cx: &mut Engine, request: &PlaceRequest, placed: &Placed) -> Hex32 {
    let seed = Seed {
        cluster: request.cluster.clone(),
        definition: TaskDefinitionKey { family: Name::from("f"), revision: 1 },
        group: request.group.clone(),
        started_by: None,
        service: request.service.clone(),
        deployment: 0,
        launch_type: None,
        provider: request.provider.clone(),
        needs: request.needs.clone(),
        overrides: None,
        constraints: Vec::new(),
        strategy: Vec::new(),
        network: None,
        enable_execute_command: false,
        tags: BTreeMap::new(),
    };
    let task = lifecycle::create(cx, seed);
    lifecycle::assign(cx, task, placed);
    task
}

fn finish(cx: &mut Engine, task: Hex32) {
    let Some(instance) = cx.ecs.tasks.get(&task).and_then(|task| task.instance) else { return };
    give_back(cx, instance, task);
    let mut row = cx.ecs.tasks.edit(&task).unwrap();
    row.status = TaskStatus::Stopped;
    row.desired = Desired::Stopped;
}

fn rule(kind: Strategy_, field: Option<&str>) -> shapes::PlacementStrategy {
    shapes::PlacementStrategy { r#type: Some(kind), field: field.map(str::to_owned) }
}

fn member_of(expression: &str) -> shapes::PlacementConstraint {
    shapes::PlacementConstraint {
        r#type: Some(Constraint::MemberOf),
        expression: Some(expression.to_owned()),
    }
}

fn distinct() -> shapes::PlacementConstraint {
    shapes::PlacementConstraint { r#type: Some(Constraint::DistinctInstance), expression: None }
}

/// The rule as it is told, over all rows: every instance that may be chosen.
fn naive(cx: &Engine, request: &PlaceRequest) -> BTreeSet<Hex32> {
    let ecs = &cx.ecs;
    let index = InstanceIndex::Cluster(request.cluster.clone());
    let rows: Vec<&ContainerInstance> = ecs.instances.by(&index).collect();
    let of_provider =
        |row: &&&ContainerInstance| request.provider.is_none() || row.provider == request.provider;
    let able = |row: &&&ContainerInstance| {
        lack(ecs, row, &request.needs, &request.constraints, &request.group).is_none()
    };
    let mut left: Vec<&ContainerInstance> = rows.iter().filter(of_provider).filter(able).copied().collect();
    let tasks = |row: &ContainerInstance, group: Option<&Name>| {
        ecs.tasks
            .by(&TaskIndex::Instance(row.id))
            .filter(|task| {
                counts(task.status, task.desired) && group.is_none_or(|group| *group == task.group)
            })
            .count() as i64
    };
    let value = |row: &ContainerInstance, name: &str| match name {
        "ecs.availability-zone" => Some(Some(row.zone.to_string())),
        name => row.attributes.get(name).cloned(),
    };
    let default = [
        rule(Strategy_::Spread, Some("attribute:ecs.availability-zone")),
        rule(Strategy_::Spread, Some("instanceId")),
    ];
    let strategy = match (&request.strategy[..], &request.service) {
        ([], Some(_)) => default.to_vec(),
        ([], None) => vec![rule(Strategy_::Random, None)],
        (rules, _) => rules.to_vec(),
    };
    let mut drawn = false;
    for rule in &strategy {
        let field = rule.field.as_deref().unwrap_or_default();
        let key = |row: &ContainerInstance| match rule.r#type.unwrap() {
            Strategy_::Random => 0,
            Strategy_::Binpack if field == "cpu" => row.remaining.cpu,
            Strategy_::Binpack => row.remaining.memory,
            Strategy_::Spread => match field.strip_prefix("attribute:") {
                None => tasks(row, Some(&request.group)),
                Some(name) => {
                    let alike = rows.iter().filter(|other| value(other, name) == value(row, name));
                    alike.map(|other| tasks(other, Some(&request.group))).sum()
                }
            },
        };
        drawn |= rule.r#type == Some(Strategy_::Random);
        let least = left.iter().map(|row| key(row)).min();
        left.retain(|row| Some(key(row)) == least);
        if drawn {
            // Whatever is drawn is right for the rules after it.
            break;
        }
    }
    if !drawn {
        let first = left.iter().min_by_key(|row| (tasks(row, None), row.ordinal)).map(|row| row.id);
        return first.into_iter().collect();
    }
    left.iter().map(|row| row.id).collect()
}

/// Places and holds the answer against the naive rule, and against an index made anew from the rows.
fn place_checked(cx: &mut Engine, request: &PlaceRequest) -> Result<Placed, Unplaced> {
    let expect = naive(cx, request);
    let mut anew = cx.clone();
    anew.ecs.places = Places::default();
    let anew = place(&mut anew, request);
    let found = place(cx, request);
    match (&found, &anew) {
        (Ok(found), Ok(anew)) => {
            assert!(expect.contains(&found.instance), "{request:?}: {} not in {expect:?}", found.instance);
            assert_eq!(found.instance, anew.instance);
            assert_eq!(found.because, anew.because);
        }
        (Err(found), Err(anew)) => {
            assert!(expect.is_empty(), "{request:?}: {found}, but {expect:?} fit");
            assert_eq!(found, anew);
        }
        _ => panic!("{request:?}: {found:?}, but anew {anew:?}"),
    }
    found
}

#[derive(Clone, Debug)]
enum Op {
    Add { zone: usize, provider: usize, cpu: i64, memory: i64, color: usize },
    Color { which: usize, color: usize },
    Connect { which: usize, connected: bool },
    Leave { which: usize },
    Place { request: PlaceRequest, times: usize },
    Remove { which: usize },
    State { which: usize, active: bool },
    Stop { which: usize },
}

const ZONES: [&str; 3] = ["a", "b", "c"];
const PROVIDERS: [Option<&str>; 3] = [None, Some("od"), Some("spot")];
const COLORS: [Option<&str>; 3] = [None, Some("red"), Some("blue")];

fn requests() -> impl Strategy<Value = PlaceRequest> {
    let group = prop::sample::select(vec!["service:web", "service:api", "family:batch"]);
    let needs = (
        prop::sample::select(vec![(128, 64), (256, 512), (1024, 100), (0, 700), (4096, 4096)]),
        prop::sample::select(vec![None, None, Some((80, false)), Some((53, true))]),
        any::<bool>(),
        prop::sample::select(vec![None, None, Some(None), Some(Some("red"))]),
    );
    let constraint = prop::sample::select(vec![
        distinct(),
        member_of("attribute:color == red"),
        member_of("attribute:color !exists or ecs.x == 1"),
        member_of("not(task:group == service:web)"),
        member_of("task:group =~ service:.* and attribute:ecs.availability-zone != c"),
        member_of("task:group in ['family:batch'] or runningTasksCount < 2"),
        member_of("attribute:ecs.availability-zone in [a, b]"),
        member_of("registeredAt > 2000-01-01 and agentConnected == true"),
    ]);
    let rules = prop::sample::select(vec![
        rule(Strategy_::Spread, Some("attribute:ecs.availability-zone")),
        rule(Strategy_::Spread, Some("attribute:color")),
        rule(Strategy_::Spread, Some("instanceId")),
        rule(Strategy_::Spread, Some("host")),
        rule(Strategy_::Binpack, Some("memory")),
        rule(Strategy_::Binpack, Some("cpu")),
        rule(Strategy_::Random, None),
    ]);
    (
        group,
        needs,
        prop::collection::vec(constraint, 0..3),
        prop::collection::vec(rules, 0..4),
        prop::sample::select(PROVIDERS.to_vec()),
    )
        .prop_map(|(group, ((cpu, memory), port, interface, color), constraints, strategy, provider)| {
            let mut needs =
                TaskNeeds { resources: Resources { cpu, memory }, interface, ..TaskNeeds::default() };
            match port {
                Some((port, true)) => needs.udp_ports.extend([port]),
                Some((port, false)) => needs.tcp_ports.extend([port]),
                None => {}
            }
            if let Some(value) = color {
                needs.attributes.insert("color".to_owned(), value.map(str::to_owned));
            }
            PlaceRequest {
                needs: Arc::new(needs),
                constraints,
                strategy,
                provider: provider.map(Name::from),
                ..request(group, 0, 0)
            }
        })
}

fn ops() -> impl Strategy<Value = Op> {
    let which = 0..1000usize;
    prop_oneof![
        3 => (0..3usize, 0..3usize, 0..4096i64, 0..4096i64, 0..3usize)
            .prop_map(|(zone, provider, cpu, memory, color)| Op::Add { zone, provider, cpu, memory, color }),
        1 => (which.clone(), 0..3usize).prop_map(|(which, color)| Op::Color { which, color }),
        1 => (which.clone(), any::<bool>()).prop_map(|(which, connected)| Op::Connect { which, connected }),
        2 => which.clone().prop_map(|which| Op::Leave { which }),
        8 => (requests(), 1..6usize).prop_map(|(request, times)| Op::Place { request, times }),
        1 => which.clone().prop_map(|which| Op::Remove { which }),
        1 => (which.clone(), any::<bool>()).prop_map(|(which, active)| Op::State { which, active }),
        2 => which.prop_map(|which| Op::Stop { which }),
    ]
}

fn pick<T: Copy>(all: &[T], which: usize) -> Option<T> {
    all.get(which % all.len().max(1)).copied()
}

fn play(ops: Vec<Op>) {
    let mut cx = engine();
    let (mut instances, mut tasks): (Vec<Hex32>, Vec<Hex32>) = (Vec::new(), Vec::new());
    for op in ops {
        let cx = &mut cx;
        match op {
            Op::Add { zone, provider, cpu, memory, color } => {
                let room = Resources { cpu, memory };
                instances.push(add(cx, ZONES[zone], PROVIDERS[provider], room, COLORS[color]));
            }
            Op::Color { which, color } => {
                if let Some(id) = pick(&instances, which) {
                    crate::ecs::container_instance::change(cx, id, |row| {
                        row.attributes.remove("color");
                        if let Some(color) = COLORS[color] {
                            row.attributes.insert("color".to_owned(), Some(color.to_owned()));
                        }
                    });
                }
            }
            Op::Connect { which, connected } => {
                if let Some(id) = pick(&instances, which) {
                    crate::ecs::container_instance::change(cx, id, |row| row.agent_connected = connected);
                }
            }
            Op::Leave { which } => {
                if let Some(id) = pick(&tasks, which) {
                    cx.ecs.tasks.edit(&id).unwrap().desired = Desired::Stopped;
                    leave(cx, id);
                }
            }
            Op::Place { request, times } => {
                for _ in 0..times {
                    if let Ok(placed) = place_checked(cx, &request) {
                        tasks.push(start(cx, &request, &placed));
                    }
                }
            }
            Op::Remove { which } => {
                if let Some(id) = pick(&instances, which) {
                    let inactive = |row: &mut ContainerInstance| row.status = InstanceStatus::Inactive;
                    crate::ecs::container_instance::change(cx, id, inactive);
                    for task in cx.ecs.tasks.keys_by(&TaskIndex::Instance(id)) {
                        finish(cx, task);
                        tasks.retain(|other| *other != task);
                    }
                    if which % 2 == 0 {
                        cx.ecs.instances.remove(&id);
                        instance_changed(cx, id);
                    }
                    instances.retain(|other| *other != id);
                }
            }
            Op::State { which, active } => {
                if let Some(id) = pick(&instances, which) {
                    let status = if active { InstanceStatus::Active } else { InstanceStatus::Draining };
                    crate::ecs::container_instance::change(cx, id, |row| row.status = status);
                }
            }
            Op::Stop { which } => {
                if let Some(id) = pick(&tasks, which) {
                    finish(cx, id);
                    tasks.retain(|other| *other != id);
                }
            }
        }
    }
    for task in tasks {
        finish(&mut cx, task);
    }
    for row in cx.ecs.instances.iter() {
        assert_eq!(row.remaining, row.registered, "what was taken was given back");
        assert_eq!(row.tcp_ports, row.registered_tcp_ports);
        assert_eq!((row.udp_ports.len(), row.interfaces), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn chooses_what_the_naive_rule_chooses(ops in prop::collection::vec(ops(), 1..60)) {
        play(ops);
    }
}

#[test]
fn services_spread_over_zones_then_instances() {
    let mut cx = engine();
    let room = Resources { cpu: 2048, memory: 4096 };
    for zone in ["a", "a", "a", "b", "c"] {
        add(&mut cx, zone, None, room, None);
    }
    let web = request("service:web", 128, 128);
    let mut reasons = Vec::new();
    for _ in 0..9 {
        let placed = place_checked(&mut cx, &web).unwrap();
        reasons.push(placed.because.to_string());
        start(&mut cx, &web, &placed);
    }
    let by_zone = |zone: &str| {
        let on = cx.ecs.instances.iter().filter(|row| &*row.zone == zone);
        on.map(|row| cx.ecs.tasks.count_by(&TaskIndex::Instance(row.id))).collect::<Vec<_>>()
    };
    assert_eq!((by_zone("a"), by_zone("b"), by_zone("c")), (vec![1, 1, 1], vec![3], vec![3]));
    assert_eq!(reasons[0], "a has fewest (0) of service web; instance has 0 of service web; 5 instances fit");
    assert_eq!(reasons[8], "c has fewest (2) of service web; instance has 2 of service web; 5 instances fit");
}

#[test]
fn says_what_is_missing() {
    let mut cx = engine();
    let check = |cx: &mut Engine, request: &PlaceRequest, reason: &str, sentence: &str| {
        let unplaced = place_checked(cx, request).expect_err(reason);
        assert_eq!(unplaced.reason(), reason);
        let found = unplaced.sentence();
        assert!(found.contains(sentence), "{found}");
    };
    let web = request("service:web", 1000, 1000);
    check(&mut cx, &web, "NO ACTIVE INSTANCES", "Reason: No Container Instances were found in your cluster.");
    let of_spot = PlaceRequest { provider: Some(Name::from("spot")), ..web.clone() };
    let sentence = "Reason: No Container Instances were found in your capacity provider.";
    check(&mut cx, &of_spot, "EMPTY CAPACITY PROVIDER", sentence);
    let small = add(&mut cx, "a", None, Resources { cpu: 500, memory: 2000 }, None);
    check(&mut cx, &web, "RESOURCE:CPU", &format!("(container-instance {small}) has insufficient CPU units"));
    check(&mut cx, &of_spot, "EMPTY CAPACITY PROVIDER", sentence);
    let close = add(&mut cx, "b", None, Resources { cpu: 1000, memory: 900 }, Some("red"));
    let sentence = format!("(container-instance {small}) has insufficient CPU units available.");
    check(&mut cx, &web, "RESOURCE:CPU", &sentence);
    let large = request("service:web", 1000, 1900);
    check(&mut cx, &large, "RESOURCE:CPU", &sentence);
    let thin = request("service:web", 400, 2500);
    check(&mut cx, &thin, "RESOURCE:MEMORY", &format!("{small}) has insufficient memory available."));
    let fits = request("service:web", 100, 100);
    let with = |constraint| PlaceRequest { constraints: vec![constraint], ..fits.clone() };
    let blue = with(member_of("attribute:color == blue"));
    check(
        &mut cx,
        &blue,
        "MemberOf placement constraint unsatisfied.",
        "error \"MemberOf placement constraint",
    );
    let mut ports = fits.clone();
    Arc::make_mut(&mut ports.needs).tcp_ports.insert(22);
    check(&mut cx, &ports, "RESOURCE:PORTS", "is already using a port required by your task.");
    let mut attribute = fits.clone();
    Arc::make_mut(&mut attribute.needs).attributes.insert("gpu".to_owned(), None);
    check(&mut cx, &attribute, "ATTRIBUTE", "is missing an attribute required by your task.");
    let single = with(distinct());
    for _ in 0..2 {
        let placed = place_checked(&mut cx, &single).unwrap();
        start(&mut cx, &single, &placed);
    }
    check(&mut cx, &single, "DistinctInstance placement constraint unsatisfied.", "DistinctInstance");
    for id in [small, close] {
        crate::ecs::container_instance::change(&mut cx, id, |row| row.agent_connected = false);
    }
    check(&mut cx, &fits, "AGENT", "doesn't have the agent connected.");
}

#[test]
fn rules_are_checked() {
    let check =
        |constraints: &[shapes::PlacementConstraint], strategy: &[shapes::PlacementStrategy], what: &str| {
            let answer = check_rules(constraints, strategy);
            match what {
                "" => assert_eq!(answer, Ok(())),
                what => {
                    let refusal = answer.expect_err(what);
                    assert_eq!(refusal.code, "InvalidParameterException");
                    assert!(refusal.message.contains(what), "{}", refusal.message);
                }
            }
        };
    check(&[distinct(), member_of("task:group == x")], &[rule(Strategy_::Random, None)], "");
    check(&vec![distinct(); 11], &[], "more than 10");
    check(&[], &vec![rule(Strategy_::Random, None); 6], "more than 5");
    let named = shapes::PlacementConstraint { expression: Some("x".to_owned()), ..distinct() };
    check(&[named], &[], "distinctInstance expression should not be specified.");
    check(&[member_of("")], &[], "must be specified");
    check(&[member_of("color == red")], &[], "Invalid query \"color == red\": unknown subject");
    check(&[], &[rule(Strategy_::Spread, Some("zone"))], "not a valid field");
    check(&[], &[rule(Strategy_::Spread, Some("attribute:"))], "not a valid field");
    check(&[], &[rule(Strategy_::Spread, None)], "not a valid field");
    check(&[], &[rule(Strategy_::Binpack, Some("MEMORY"))], "");
    check(&[], &[rule(Strategy_::Binpack, Some("disk"))], "not a valid field");
    check(&[], &[rule(Strategy_::Random, Some("cpu"))], "not a valid field");
}

#[test]
fn stops_where_most_are() {
    let mut cx = engine();
    let room = Resources { cpu: 8192, memory: 8192 };
    let ids: Vec<Hex32> = ["a", "a", "b"].iter().map(|zone| add(&mut cx, zone, None, room, None)).collect();
    let web = request("service:web", 128, 128);
    let mut start_on = |instance: usize| {
        let placed = Placed { instance: ids[instance], because: Because::asked() };
        start(&mut cx, &web, &placed)
    };
    // Zone a has 2 + 1, zone b has 2.
    let tasks: Vec<Hex32> = [0, 0, 1, 2, 2].into_iter().map(&mut start_on).collect();
    let mut gone = Vec::new();
    let mut left = tasks.clone();
    let mut order = Vec::new();
    while !left.is_empty() {
        let id = choose_stop(&mut cx, &left, &[], &gone);
        order.push(tasks.iter().position(|task| *task == id).unwrap());
        left.retain(|other| *other != id);
        gone.push(id);
    }
    assert!(order[0] < 2, "from zone a, from its fuller instance: {order:?}");
    // Then two and two: the fuller instance is in zone b, but zones are equal, so instances decide.
    assert!(order[1] >= 3, "{order:?}");
    assert!(order[2] < 3, "{order:?}");
    let binpack = [rule(Strategy_::Binpack, Some("memory"))];
    let id = choose_stop(&mut cx, &tasks, &binpack, &[]);
    assert_eq!(id, tasks[2], "instance 1 would have most left");
    for id in tasks {
        leave(&mut cx, id);
        finish(&mut cx, id);
    }
}

/// `cargo test --release -p capstan-engine -- --ignored --nocapture places_fast`
#[test]
#[ignore = "prints how fast it is"]
#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for people")]
fn places_fast() {
    let strategies: [(&str, &str, Vec<shapes::PlacementStrategy>); 4] = [
        ("spread over zones and instances", "service:web", vec![]),
        ("binpack memory", "service:web", vec![rule(Strategy_::Binpack, Some("memory"))]),
        ("random", "family:batch", vec![]),
        (
            "spread color, binpack cpu",
            "service:web",
            vec![rule(Strategy_::Spread, Some("attribute:color")), rule(Strategy_::Binpack, Some("cpu"))],
        ),
    ];
    for (name, group, strategy) in strategies {
        for member in [None, Some("attribute:color == red and not(task:group == family:db)")] {
            let mut cx = engine();
            let room = Resources { cpu: 4096, memory: 16384 };
            for n in 0..10_000 {
                add(&mut cx, ZONES[n % 3], PROVIDERS[1 + n % 2], room, COLORS[n / 3 % 3]);
            }
            let mut wanted = PlaceRequest { strategy: strategy.clone(), ..request(group, 128, 256) };
            wanted.constraints.extend(member.map(member_of));
            let needs = Arc::make_mut(&mut wanted.needs);
            needs.attributes.insert("ecs.availability-zone".to_owned(), None);
            let from = std::time::Instant::now();
            let (mut placing, mut count) = (std::time::Duration::ZERO, 0u32);
            while count < 100_000 {
                let before = std::time::Instant::now();
                let Ok(placed) = place(&mut cx, &wanted) else { break };
                placing += before.elapsed();
                start(&mut cx, &wanted, &placed);
                count += 1;
            }
            let (all, member) = (from.elapsed().as_secs_f64(), member.map_or("", |_| ", memberOf"));
            let rate = |seconds: f64| (f64::from(count) / seconds) as u64;
            println!(
                "{name}{member}: {count} tasks, place {}/s, with the rows {}/s",
                rate(placing.as_secs_f64()),
                rate(all)
            );
        }
    }
}
