use std::collections::{BTreeMap, BTreeSet};

use capstan_model::{Hex32, InstanceId, Resources, Time};
use proptest::prelude::*;

use super::*;
use crate::ecs::{InstanceStatus, Name};

fn instance() -> ContainerInstance {
    let attributes = [
        ("ecs.instance-type", Some("g2.2xlarge")),
        ("ecs.availability-zone", Some("us-east-1a")),
        ("stack", Some("prod blue")),
        ("ecs.capability.task-eni", None),
    ];
    ContainerInstance {
        id: Hex32(1),
        ordinal: 1,
        cluster: Name::from("default"),
        ec2_instance: Some(InstanceId(0xabc)),
        provider: None,
        zone: Name::from("us-east-1a"),
        instance_type: "g2.2xlarge".to_owned(),
        status: InstanceStatus::Active,
        agent_connected: true,
        disconnects_at: None,
        version_info: ("1.14.10".to_owned(), String::new(), String::new()),
        registered: Resources { cpu: 2048, memory: 4096 },
        remaining: Resources { cpu: 2048, memory: 4096 },
        tcp_ports: BTreeSet::new(),
        udp_ports: BTreeSet::new(),
        registered_tcp_ports: BTreeSet::new(),
        registered_udp_ports: BTreeSet::new(),
        interfaces_max: 3,
        interfaces: 0,
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
            .collect::<BTreeMap<_, _>>(),
        registered_at: Time::parse_iso("2018-06-18T22:28:28Z").unwrap(),
        forget_at: None,
        version: 1,
        tags: BTreeMap::new(),
    }
}

#[test]
fn answers_for_an_instance_without_tasks() {
    let (ecs, instance) = (Ecs::default(), instance());
    let check = |query: &str, expect: bool| {
        let expression = Expression::parse(query).unwrap_or_else(|invalid| panic!("{query}: {invalid:?}"));
        assert_eq!(expression.holds(&ecs, &instance), expect, "{query}");
        let again = Expression::parse(&expression.to_string());
        assert_eq!(again.as_ref(), Ok(&expression), "{query} → {expression}");
    };
    check("attribute:ecs.instance-type =~ g2.* and attribute:ecs.availability-zone != us-east-1d", true);
    check("attribute:ecs.instance-type =~ g2", false);
    check("attribute:ecs.instance-type matches '.*xlarge'", true);
    check("attribute:ecs.instance-type !~ g2.*", false);
    check("attribute:ecs.instance-type =~ t2.*|g2.*", true);
    check("attribute:ecs.instance-type =~ t2.micro|g2", false);
    check("attribute:ecs.availability-zone == us-east-1a", true);
    check("attribute:ecs.availability-zone equals us-east-1b", false);
    check("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", true);
    check("attribute:ecs.availability-zone in [us-east-1c,'us-east-1b']", false);
    check("attribute:ecs.availability-zone not_in [us-east-1c]", true);
    check("attribute:ecs.availability-zone !in[us-east-1a]", false);
    check("attribute:stack == 'prod blue'", true);
    check("attribute:stack == \"prod blue\"", true);
    check("attribute:stack exists", true);
    check("attribute:stack !exists", false);
    check("attribute:missing exists", false);
    check("attribute:missing not_exists", true);
    check("attribute:missing == x", false);
    check("attribute:missing != x", false);
    check("attribute:missing !~ x", false);
    check("not(attribute:missing == x)", true);
    check("attribute:ecs.capability.task-eni exists", true);
    check("attribute:ecs.capability.task-eni == ''", true);
    check("agentConnected == true", true);
    check("agentConnected==true&&agentVersion<1.15", true);
    check("agentConnected != true || ec2InstanceId == i-00000000000000abc", true);
    check("ec2InstanceId in ['i-00000000000000abc']", true);
    check("agentVersion < 1.14.5", false);
    check("agentVersion > 1.14.5", true);
    check("agentVersion == 1.14.10.0", true);
    check("agentVersion greater_than_equal 1.14.10", true);
    check("registeredAt >= 2018-06-18", true);
    check("registeredAt < 2018-06-18T22:28:28+01:00", false);
    check("registeredAt == 2018-06-18T22:28:28", true);
    check("registeredAt less_than '2018-06-19 00:00:00'", true);
    check("runningTasksCount == 0", true);
    check("runningTasksCount > 0", false);
    check("task:group == database", false);
    check("not(task:group == database)", true);
    check("task:group != service:web", true);
    check("! ! agentConnected == true", true);
    check("agentConnected == false or agentConnected == true and runningTasksCount == 1", false);
    check("(agentConnected == false or agentConnected == true) and runningTasksCount == 0", true);
}

#[test]
fn refuses_what_is_not_a_query() {
    let check = |query: &str, what: &str| {
        let invalid = Expression::parse(query).expect_err(query);
        assert!(invalid.what.contains(what), "{query}: {}", invalid.what);
    };
    check("", "subject is missing");
    check("   ", "subject is missing");
    check("color == red", "unknown subject \"color\"");
    check("attribute: == red", "needs a name");
    check("attribute:color", "operator is missing");
    check("attribute:color ~ red", "operator is missing");
    check("attribute:color ==", "value is missing");
    check("attribute:color == red blue", "unexpected \"blue\"");
    check("attribute:color == 'red", "quotation mark");
    check("attribute:color == 'red(ish)'", "parentheses");
    check("attribute:color > red", "cannot be compared");
    check("attribute:color in [red, blue", "closing bracket");
    check("attribute:color in []", "value is missing");
    check("attribute:color =~ [", "not a regular expression");
    check("attribute:color =~ a{2", "not a regular expression");
    check("agentVersion exists", "cannot be compared");
    check("agentVersion < new", "not a version");
    check("agentVersion =~ 1.*", "cannot be compared");
    check("registeredAt > yesterday", "not a date");
    check("runningTasksCount == many", "not a whole number");
    check("(agentConnected == true", "closing parenthesis");
    check("agentConnected == true)", "unexpected");
    check("agentConnected == true and", "subject is missing");
    check(&"(".repeat(1000), "nested");
    check(&"!".repeat(1900), "nested");
    check(&format!("attribute:x == {}", "y".repeat(2000)), "longer than 2000");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9.:/_-]{0,12}", "[a-z' ,&|=]{0,8}", "[a-z\" ,\\[\\]]{0,8}"]
}

fn text_test() -> impl Strategy<Value = TextTest> {
    let pattern = prop::sample::select(vec!["g2.*", "a|b", "[a-c]+", "x{1,3}", ".*", "i-0.*"]);
    let by = prop_oneof![
        text().prop_map(TextMatch::Equals),
        prop::collection::vec(text(), 1..4).prop_map(TextMatch::In),
        pattern.prop_map(|text| TextMatch::Matches(Pattern::new(text).unwrap())),
    ];
    (any::<bool>(), by).prop_map(|(negative, by)| TextTest { negative, by })
}

fn comparison() -> impl Strategy<Value = Comparison> {
    let orders = [
        Order::Equal,
        Order::NotEqual,
        Order::Greater,
        Order::GreaterOrEqual,
        Order::Less,
        Order::LessOrEqual,
    ];
    let order = prop::sample::select(orders.to_vec());
    let date =
        "20[0-9]{2}-0[1-9]-1[0-9]".prop_map(|text| Date { time: Time::parse_iso(&text).unwrap(), text });
    let attribute = prop_oneof![
        Just(AttributeTest::Exists),
        Just(AttributeTest::NotExists),
        text_test().prop_map(AttributeTest::Text)
    ];
    prop_oneof![
        text_test().prop_map(Comparison::AgentConnected),
        (order.clone(), prop::collection::vec(0..50u64, 1..4))
            .prop_map(|(order, parts)| Comparison::AgentVersion(order, Version(parts))),
        ("[a-z][a-z0-9./_-]{0,10}", attribute).prop_map(|(name, test)| Comparison::Attribute { name, test }),
        text_test().prop_map(Comparison::Ec2InstanceId),
        (order.clone(), date).prop_map(|(order, date)| Comparison::RegisteredAt(order, date)),
        (order, 0..1000i64).prop_map(|(order, count)| Comparison::RunningTasksCount(order, count)),
        text_test().prop_map(Comparison::TaskGroup),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    comparison().prop_map(Expression::Compare).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_itself(expression in expression()) {
        let text = expression.to_string();
        prop_assume!(text.chars().count() <= LENGTH_MAX);
        prop_assert_eq!(Expression::parse(&text), Ok(expression), "{}", text);
    }

    #[test]
    fn any_text_is_answered(text in "[a-zA-Z:=!~<>&|()\\[\\]'\", .0-9ü-]{0,60}") {
        let _ = Expression::parse(&text);
    }
}
