//! The room from outside: calls, facts and time in, answers and effects out.

use capstan_model::{InstanceId, Span, Time};
use capstan_shapes::elbv2::{TargetHealthReasonEnum as Reason, TargetHealthStateEnum as State};
use capstan_shapes::{Call, Refusal, ec2, elbv2 as shapes, ssm};

use crate::{Caller, Config, Effect, Engine, Fact, HealthReport, Input};

mod metrics;

const START: Time = Time::from_secs(1_767_225_600);

struct World {
    engine: Engine,
    now: Time,
    effects: Vec<Effect>,
}

impl World {
    fn new() -> Self {
        Self { engine: Engine::new(Config::new(7), START), now: START, effects: Vec::new() }
    }

    fn step(&mut self, input: Input) -> Option<Result<capstan_shapes::Response, Refusal>> {
        let outcome = self.engine.step(self.now, input);
        self.effects.extend(outcome.effects);
        outcome.reply
    }

    fn call<C: Call>(&mut self, request: C) -> Result<C::Output, Refusal> {
        let caller = Caller::User { access_key: "test".to_owned() };
        let reply = self.step(Input::Call { caller, request: Box::new(request.into()) });
        reply.expect("a call is answered").map(|response| C::output(response).expect("its own response"))
    }

    fn ok<C: Call>(&mut self, request: C) -> C::Output {
        self.call(request).unwrap_or_else(|refusal| panic!("{}: {refusal}", C::OPERATION.name))
    }

    fn refused<C: Call>(&mut self, request: C, code: &str, message: &str) {
        match self.call(request) {
            Ok(_) => panic!("{} was not refused ({code}, {message})", C::OPERATION.name),
            Err(refusal) => {
                assert_eq!(refusal.code, code, "{refusal}");
                assert!(refusal.message.contains(message), "{refusal} does not say {message}");
            }
        }
    }

    fn pass(&mut self, secs: i64) {
        self.now += Span::from_secs(secs);
        self.step(Input::Time);
    }

    fn vpc(&self) -> String {
        self.engine.ec2().vpcs().iter().next().expect("the default VPC").id.clone()
    }

    fn subnets(&self) -> Vec<String> {
        self.engine.ec2().subnets().iter().map(|subnet| subnet.id.clone()).collect()
    }

    fn instance(&mut self) -> String {
        let image = ssm::GetParameterRequest {
            name: "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id".to_owned(),
            ..ssm::GetParameterRequest::default()
        };
        let image = self.ok(image).parameter.and_then(|parameter| parameter.value);
        let request = ec2::RunInstancesRequest {
            image_id: image,
            instance_type: Some("m5.large".to_owned()),
            min_count: 1,
            max_count: 1,
            ..ec2::RunInstancesRequest::default()
        };
        let instances = self.ok(request).instances.expect("one was launched");
        instances[0].instance_id.clone().expect("it has an id")
    }

    fn running(&mut self) -> String {
        let id = self.instance();
        self.step(Input::Fact(Fact::InstanceRunning { instance: id.parse().expect("an instance id") }));
        id
    }

    fn group(&mut self, name: &str) -> String {
        let request = group(name, self.vpc());
        let groups = self.ok(request).target_groups.expect("one was made");
        groups[0].target_group_arn.clone().expect("it has an ARN")
    }

    fn balancer(&mut self, name: &str) -> String {
        let request = shapes::CreateLoadBalancerRequest {
            name: name.to_owned(),
            subnets: Some(self.subnets()),
            ..shapes::CreateLoadBalancerRequest::default()
        };
        let balancers = self.ok(request).load_balancers.expect("one was made");
        balancers[0].load_balancer_arn.clone().expect("it has an ARN")
    }

    fn listener(&mut self, balancer: &str, group: &str) -> String {
        let listeners = self.ok(listener(balancer, 80, forward(group))).listeners.expect("one was made");
        listeners[0].listener_arn.clone().expect("it has an ARN")
    }

    fn health(&mut self, group: &str) -> Vec<(String, i32, State, Option<Reason>)> {
        let request = shapes::DescribeTargetHealthRequest {
            target_group_arn: group.to_owned(),
            ..shapes::DescribeTargetHealthRequest::default()
        };
        let told = self.ok(request).target_health_descriptions.expect("a list");
        told.into_iter()
            .map(|row| {
                let (target, health) = (row.target.unwrap(), row.target_health.unwrap());
                (target.id, target.port.unwrap(), health.state.unwrap(), health.reason)
            })
            .collect()
    }

    fn state(&mut self, group: &str) -> Vec<State> {
        self.health(group).into_iter().map(|row| row.2).collect()
    }

    fn report(&mut self, group: &str, target: &str, port: u16, health: HealthReport) {
        let fact =
            Fact::TargetHealth { target_group: group.to_owned(), target: target.to_owned(), port, health };
        self.step(Input::Fact(fact));
    }
}

fn group(name: &str, vpc: String) -> shapes::CreateTargetGroupRequest {
    shapes::CreateTargetGroupRequest {
        name: name.to_owned(),
        protocol: Some(shapes::ProtocolEnum::Http),
        port: Some(80),
        vpc_id: Some(vpc),
        ..shapes::CreateTargetGroupRequest::default()
    }
}

fn forward(group: &str) -> Vec<shapes::Action> {
    vec![shapes::Action {
        r#type: shapes::ActionTypeEnum::Forward,
        target_group_arn: Some(group.to_owned()),
        ..shapes::Action::default()
    }]
}

fn listener(balancer: &str, port: i32, actions: Vec<shapes::Action>) -> shapes::CreateListenerRequest {
    shapes::CreateListenerRequest {
        load_balancer_arn: balancer.to_owned(),
        protocol: Some(shapes::ProtocolEnum::Http),
        port: Some(port),
        default_actions: actions,
        ..shapes::CreateListenerRequest::default()
    }
}

fn target(id: &str, port: i32) -> shapes::TargetDescription {
    shapes::TargetDescription { id: id.to_owned(), port: Some(port), ..shapes::TargetDescription::default() }
}

fn register(group: &str, targets: Vec<shapes::TargetDescription>) -> shapes::RegisterTargetsRequest {
    shapes::RegisterTargetsRequest { target_group_arn: group.to_owned(), targets }
}

fn deregister(group: &str, targets: Vec<shapes::TargetDescription>) -> shapes::DeregisterTargetsRequest {
    shapes::DeregisterTargetsRequest { target_group_arn: group.to_owned(), targets }
}

fn delay(group: &str, secs: &str) -> shapes::ModifyTargetGroupAttributesRequest {
    shapes::ModifyTargetGroupAttributesRequest {
        target_group_arn: group.to_owned(),
        attributes: vec![shapes::TargetGroupAttribute {
            key: Some("deregistration_delay.timeout_seconds".to_owned()),
            value: Some(secs.to_owned()),
        }],
    }
}

#[test]
fn a_target_lives_from_registration_to_the_end_of_its_delay() {
    let mut world = World::new();
    let group = world.group("web");
    let id = world.running();
    world.ok(register(&group, vec![target(&id, 32768), target(&id, 32769)]));
    assert_eq!(world.health(&group)[0].3, Some(Reason::TargetNotInUse));
    let balancer = world.balancer("alb");
    world.listener(&balancer, &group);
    assert_eq!(world.state(&group), [State::Initial, State::Initial]);
    world.report(&group, &id, 32768, HealthReport::Healthy);
    let failed = HealthReport::Unhealthy {
        reason: "Target.ResponseCodeMismatch".to_owned(),
        description: "Health checks failed with these codes: [503]".to_owned(),
    };
    world.report(&group, &id, 32769, failed.clone());
    world.report(&group, &id, 1, failed);
    let told = world.health(&group);
    assert_eq!(told[0], (id.clone(), 32768, State::Healthy, None));
    assert_eq!(told[1].3, Some(Reason::TargetResponseCodeMismatch));
    // Registering again changes nothing, and needs no work of the data plane.
    world.effects.clear();
    world.ok(register(&group, vec![target(&id, 32768)]));
    assert_eq!(world.effects, []);
    assert_eq!(world.state(&group)[0], State::Healthy);

    world.ok(delay(&group, "90"));
    world.effects.clear();
    world.ok(deregister(&group, vec![target(&id, 32768), target("i-0123456789abcdef0", 1)]));
    let only_this_group = Effect::LoadBalancing { target_group: Some(group.clone()) };
    assert_eq!(world.effects.as_slice(), std::slice::from_ref(&only_this_group));
    world.pass(60);
    assert_eq!(world.state(&group), [State::Draining, State::Unhealthy]);
    // Health reports of a draining target count for nothing.
    world.report(&group, &id, 32768, HealthReport::Healthy);
    assert_eq!(world.state(&group)[0], State::Draining);
    world.pass(29);
    assert_eq!(world.state(&group)[0], State::Draining);
    world.effects.clear();
    world.pass(1);
    assert_eq!(world.effects, [only_this_group]);
    assert_eq!(world.state(&group), [State::Unhealthy]);
    let asked = shapes::DescribeTargetHealthRequest {
        target_group_arn: group.clone(),
        targets: Some(vec![target(&id, 32768)]),
        ..shapes::DescribeTargetHealthRequest::default()
    };
    let told = world.ok(asked).target_health_descriptions.unwrap();
    assert_eq!(told[0].target_health.as_ref().unwrap().reason, Some(Reason::TargetNotRegistered));

    // A draining target that is registered again begins anew.
    world.ok(deregister(&group, vec![target(&id, 32769)]));
    world.ok(register(&group, vec![target(&id, 32769)]));
    assert_eq!(world.state(&group), [State::Initial]);
    world.pass(200);
    assert_eq!(world.state(&group), [State::Initial]);
    // Without a delay it is gone at once.
    world.ok(delay(&group, "0"));
    world.ok(deregister(&group, vec![target(&id, 32769)]));
    assert_eq!(world.state(&group), []);
}

#[test]
fn instances_that_do_not_run_are_no_targets() {
    let mut world = World::new();
    let group = world.group("web");
    let balancer = world.balancer("alb");
    world.listener(&balancer, &group);
    let pending = world.instance();
    world.refused(register(&group, vec![target(&pending, 80)]), "InvalidTarget", "not in a running state");
    world.refused(
        register(&group, vec![target("i-0123456789abcdef0", 80)]),
        "InvalidTarget",
        "Instance ID 'i-0123456789abcdef0' is not valid",
    );
    world.refused(register(&group, vec![target("nonsense", 80)]), "InvalidTarget", "is not valid");
    world.refused(
        register("arn:x", Vec::new()),
        "TargetGroupNotFound",
        "One or more target groups not found",
    );
    let id = world.running();
    world.ok(register(&group, vec![target(&id, 80)]));
    let instance: InstanceId = id.parse().unwrap();
    world.ok(ec2::TerminateInstancesRequest {
        instance_ids: vec![id.clone()],
        ..ec2::TerminateInstancesRequest::default()
    });
    world.step(Input::Fact(Fact::InstanceTerminated { instance }));
    assert_eq!(world.health(&group)[0].3, Some(Reason::TargetInvalidState));
    world.ok(deregister(&group, vec![target(&id, 80)]));
    assert_eq!(world.state(&group), []);
}

#[test]
fn a_balancer_comes_and_goes_with_all_it_has() {
    let mut world = World::new();
    let group = world.group("web");
    let id = world.running();
    world.ok(register(&group, vec![target(&id, 80)]));
    let arn = world.balancer("alb");
    let hex = arn.rsplit('/').next().unwrap();
    assert_eq!(
        arn,
        format!("arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/alb/{hex}")
    );
    assert!(hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let described = |world: &mut World| {
        let all = world.ok(shapes::DescribeLoadBalancersRequest::default());
        all.load_balancers.unwrap().remove(0)
    };
    let told = described(&mut world);
    let dns = told.dns_name.unwrap();
    assert!(dns.starts_with("alb-") && dns.ends_with(".us-east-1.elb.localhost"), "{dns}");
    assert_eq!(told.state.unwrap().code, Some(shapes::LoadBalancerStateEnum::Provisioning));
    world.pass(2);
    assert_eq!(described(&mut world).state.unwrap().code, Some(shapes::LoadBalancerStateEnum::Active));
    let listener_arn = world.listener(&arn, &group);
    assert!(listener_arn.contains(&format!(":listener/app/alb/{hex}/")), "{listener_arn}");
    world.refused(listener(&arn, 80, forward("arn:none")), "TargetGroupNotFound", "One or more");
    let fixed = vec![shapes::Action {
        r#type: shapes::ActionTypeEnum::FixedResponse,
        fixed_response_config: Some(shapes::FixedResponseActionConfig {
            status_code: "404".to_owned(),
            ..shapes::FixedResponseActionConfig::default()
        }),
        ..shapes::Action::default()
    }];
    world.refused(listener(&arn, 80, fixed.clone()), "DuplicateListener", "already exists on this port");
    let delete_group = shapes::DeleteTargetGroupRequest { target_group_arn: group.clone() };
    world.refused(
        delete_group.clone(),
        "ResourceInUse",
        &format!("Target group '{group}' is currently in use by a listener or a rule"),
    );
    let other = world.balancer("other");
    world.refused(
        listener(&other, 80, forward(&group)),
        "TargetGroupAssociationLimit",
        "cannot be associated with more than one load balancer",
    );
    let protect = |on: &str| shapes::ModifyLoadBalancerAttributesRequest {
        load_balancer_arn: arn.clone(),
        attributes: vec![shapes::LoadBalancerAttribute {
            key: Some("deletion_protection.enabled".to_owned()),
            value: Some(on.to_owned()),
        }],
    };
    world.ok(protect("true"));
    let delete = shapes::DeleteLoadBalancerRequest { load_balancer_arn: arn.clone() };
    world.refused(delete.clone(), "OperationNotPermitted", "deletion protection is enabled");
    world.ok(protect("false"));
    assert_eq!(world.state(&group), [State::Initial]);
    world.ok(delete.clone());
    world.ok(delete);
    assert_eq!(world.health(&group)[0].3, Some(Reason::TargetNotInUse));
    assert!(world.engine.elb().listeners().is_empty());
    world.ok(delete_group.clone());
    world.ok(delete_group);
    assert!(world.engine.elb().targets().is_empty());
}

#[test]
fn names_and_settings_are_held_to_their_rules() {
    let mut world = World::new();
    let vpc = world.vpc();
    let mut check = |change: &dyn Fn(&mut shapes::CreateTargetGroupRequest), code: &str, message: &str| {
        let mut request = group("web", vpc.clone());
        change(&mut request);
        world.refused(request, code, message);
    };
    let invalid = "ValidationError";
    check(&|g| g.name = "a".repeat(33), invalid, "cannot be longer than '32' characters");
    check(&|g| g.name = "-a".to_owned(), invalid, "cannot begin or end with '-'");
    check(&|g| g.name = "a_b".to_owned(), invalid, "can only contain characters");
    check(&|g| g.protocol = None, invalid, "A protocol must be specified");
    check(&|g| g.port = None, invalid, "A port must be specified");
    check(&|g| g.vpc_id = Some("vpc-1".to_owned()), invalid, "The VPC ID 'vpc-1' is not found");
    check(&|g| g.health_check_interval_seconds = Some(5), invalid, "must be smaller than the interval");
    check(&|g| g.health_check_path = Some("health".to_owned()), invalid, "must start with a '/'");
    check(&|g| g.health_check_port = Some("0".to_owned()), invalid, "Health check port");
    check(&|g| g.health_check_enabled = Some(false), invalid, "must be enabled");
    check(&|g| g.protocol_version = Some("HTTP3".to_owned()), invalid, "HTTP1, HTTP2, GRPC");
    let unbuilt = "InvalidConfigurationRequest";
    check(&|g| g.protocol = Some(shapes::ProtocolEnum::Tcp), unbuilt, "not built yet");
    check(&|g| g.target_type = Some(shapes::TargetTypeEnum::Lambda), unbuilt, "not built yet");
    for codes in ["", "199", "500", "200-", "300-200", "200,,201", "+200"] {
        let matcher = shapes::Matcher { http_code: Some(codes.to_owned()), grpc_code: None };
        check(&|g| g.matcher = Some(matcher.clone()), invalid, "Health check matcher");
    }
    let first = world.ok(group("web", vpc.clone())).target_groups.unwrap();
    assert_eq!(first[0].health_check_timeout_seconds, Some(5));
    assert_eq!(world.ok(group("web", vpc.clone())).target_groups.unwrap(), first);
    let different = shapes::CreateTargetGroupRequest { port: Some(81), ..group("web", vpc) };
    world.refused(
        different,
        "DuplicateTargetGroupName",
        "A target group with the same name 'web' exists, but with different settings",
    );
    let subnets = world.subnets();
    let balancer = |name: &str, subnets: &[String]| shapes::CreateLoadBalancerRequest {
        name: name.to_owned(),
        subnets: Some(subnets.to_vec()),
        ..shapes::CreateLoadBalancerRequest::default()
    };
    world.refused(balancer("a", &subnets[..1]), invalid, "At least two subnets");
    let unknown = ["subnet-1".to_owned(), subnets[0].clone()];
    world.refused(balancer("a", &unknown), "SubnetNotFound", "The subnet ID 'subnet-1' is not valid");
    let twice = [subnets[0].clone(), subnets[0].clone()];
    world.refused(balancer("a", &twice), unbuilt, "same Availability Zone");
    world.refused(balancer("internal-a", &subnets), invalid, "internal-");
    let network = shapes::CreateLoadBalancerRequest {
        r#type: Some(shapes::LoadBalancerTypeEnum::Network),
        ..balancer("a", &subnets)
    };
    world.refused(network, unbuilt, "not built yet");
    world.ok(balancer("a", &subnets));
    world.ok(balancer("a", &subnets));
    world.refused(balancer("a", &subnets[..2]), "DuplicateLoadBalancerName", "with different settings");
}

fn condition(field: &str, values: &[&str]) -> shapes::RuleCondition {
    shapes::RuleCondition {
        field: Some(field.to_owned()),
        values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        ..shapes::RuleCondition::default()
    }
}

#[test]
fn rules_have_their_order_and_can_change_places() {
    let mut world = World::new();
    let (blue, green) = (world.group("blue"), world.group("green"));
    let balancer = world.balancer("alb");
    let listener = world.listener(&balancer, &blue);
    let rule = |priority: i32, conditions: Vec<shapes::RuleCondition>| shapes::CreateRuleRequest {
        listener_arn: listener.clone(),
        conditions,
        priority,
        actions: forward(&green),
        ..shapes::CreateRuleRequest::default()
    };
    let mut arns = Vec::new();
    for priority in [10, 5, 20] {
        let made = world.ok(rule(priority, vec![condition("path-pattern", &["/img/*"])])).rules.unwrap();
        arns.push(made[0].rule_arn.clone().unwrap());
    }
    assert!(arns[0].contains(":listener-rule/app/alb/"), "{}", arns[0]);
    world.refused(
        rule(10, vec![condition("host-header", &["a.example"])]),
        "PriorityInUse",
        "Priority '10' is currently in use",
    );
    let order = |world: &mut World| {
        let mut told = Vec::new();
        let mut marker = None;
        loop {
            let request = shapes::DescribeRulesRequest {
                listener_arn: Some(listener.clone()),
                page_size: Some(2),
                marker,
                ..shapes::DescribeRulesRequest::default()
            };
            let page = world.ok(request);
            told.extend(page.rules.unwrap().into_iter().map(|rule| rule.priority.unwrap()));
            marker = page.next_marker;
            if marker.is_none() {
                return told;
            }
        }
    };
    assert_eq!(order(&mut world), ["5", "10", "20", "default"]);
    let pair = |arn: &str, priority: i32| shapes::RulePriorityPair {
        rule_arn: Some(arn.to_owned()),
        priority: Some(priority),
    };
    let swap = vec![pair(&arns[0], 5), pair(&arns[1], 10)];
    world.ok(shapes::SetRulePrioritiesRequest { rule_priorities: swap });
    let taken = vec![pair(&arns[0], 20)];
    world.refused(shapes::SetRulePrioritiesRequest { rule_priorities: taken }, "PriorityInUse", "'20'");
    assert_eq!(world.engine.elb().rules_of(&listener.as_str().into()).next().unwrap().arn.as_ref(), arns[0]);
    let default = world.engine.elb().listeners().iter().next().unwrap().default_rule.to_string();
    world.refused(
        shapes::DeleteRuleRequest { rule_arn: default.clone() },
        "OperationNotPermitted",
        "Default rule",
    );
    let groups = shapes::DescribeTargetGroupsRequest {
        load_balancer_arn: Some(balancer),
        ..shapes::DescribeTargetGroupsRequest::default()
    };
    assert_eq!(world.ok(groups).target_groups.unwrap().len(), 2);
    for arn in &arns {
        world.ok(shapes::DeleteRuleRequest { rule_arn: arn.clone() });
    }
    assert_eq!(order(&mut world), ["default"]);
    world.refused(
        shapes::DeleteRuleRequest { rule_arn: arns[0].clone() },
        "RuleNotFound",
        "One or more rules",
    );
    world.ok(shapes::DeleteTargetGroupRequest { target_group_arn: green.clone() });
    let tags = vec![shapes::Tag { key: "k".to_owned(), value: Some("v".to_owned()) }];
    let resource_arns = vec![default, listener, blue];
    world.ok(shapes::AddTagsRequest { resource_arns: resource_arns.clone(), tags: tags.clone() });
    let told = world.ok(shapes::DescribeTagsRequest { resource_arns: resource_arns.clone() });
    assert!(told.tag_descriptions.unwrap().iter().all(|row| row.tags.as_ref() == Some(&tags)));
    world.ok(shapes::RemoveTagsRequest {
        resource_arns: resource_arns.clone(),
        tag_keys: vec!["k".to_owned()],
    });
    let twice = vec![tags[0].clone(), tags[0].clone()];
    world.refused(
        shapes::AddTagsRequest { resource_arns, tags: twice },
        "DuplicateTagKeys",
        "more than once",
    );
    let gone = vec![green];
    world.refused(shapes::DescribeTagsRequest { resource_arns: gone }, "TargetGroupNotFound", "One or more");
}

#[test]
fn conditions_and_actions_are_held_to_their_rules() {
    let mut world = World::new();
    let group = world.group("web");
    let balancer = world.balancer("alb");
    let listener_arn = world.listener(&balancer, &group);
    let rule =
        |conditions: Vec<shapes::RuleCondition>, actions: Vec<shapes::Action>| shapes::CreateRuleRequest {
            listener_arn: listener_arn.clone(),
            conditions,
            priority: 1,
            actions,
            ..shapes::CreateRuleRequest::default()
        };
    let invalid = "ValidationError";
    let mut check = |conditions: Vec<shapes::RuleCondition>, message: &str| {
        world.refused(rule(conditions, forward(&group)), invalid, message);
    };
    check(Vec::new(), "A condition must be specified");
    check(vec![condition("cookie", &["a"])], "Condition field 'cookie' must be one of");
    check(vec![condition("path-pattern", &[])], "A condition value must be specified");
    check(vec![condition("path-pattern", &["/a b"])], "is not valid");
    check(
        vec![condition("path-pattern", &["/1", "/2", "/3", "/4", "/5", "/6"])],
        "at most '5' condition values",
    );
    check(vec![condition("path-pattern", &["/******"])], "at most '5' condition wildcards");
    check(vec![condition("host-header", &["a"]), condition("host-header", &["b"])], "only one 'host-header'");
    let source = |cidr: &str| shapes::RuleCondition {
        source_ip_config: Some(shapes::SourceIpConditionConfig { values: Some(vec![cidr.to_owned()]) }),
        ..condition("source-ip", &[])
    };
    check(vec![source("10.0.0.0/33")], "is not valid");
    check(vec![source("10.0.0.0")], "is not valid");
    let action = |kind: shapes::ActionTypeEnum| shapes::Action { r#type: kind, ..shapes::Action::default() };
    let redirect = |config: shapes::RedirectActionConfig| {
        vec![shapes::Action { redirect_config: Some(config), ..action(shapes::ActionTypeEnum::Redirect) }]
    };
    let path = || vec![condition("path-pattern", &["/*"])];
    let mut check = |actions: Vec<shapes::Action>, code: &str, message: &str| {
        world.refused(rule(path(), actions), code, message);
    };
    let wrong = "InvalidLoadBalancerAction";
    check(vec![action(shapes::ActionTypeEnum::AuthenticateOidc)], wrong, "not built yet");
    check(vec![action(shapes::ActionTypeEnum::Forward)], wrong, "A target group ARN");
    check(forward("arn:none"), "TargetGroupNotFound", "One or more target groups not found");
    check([forward(&group), forward(&group)].concat(), wrong, "Exactly one action");
    check(redirect(shapes::RedirectActionConfig::default()), wrong, "creates a loop");
    let port = shapes::RedirectActionConfig { port: Some("99999".to_owned()), ..Default::default() };
    check(redirect(port), wrong, "redirect port");
    let https = shapes::RedirectActionConfig { protocol: Some("HTTPS".to_owned()), ..Default::default() };
    let made = world.ok(rule(vec![source("10.0.0.0/8")], redirect(https))).rules.unwrap();
    let shown = made[0].actions.as_ref().unwrap()[0].redirect_config.clone().unwrap();
    assert_eq!((shown.path.as_deref(), shown.host.as_deref()), (Some("/#{path}"), Some("#{host}")));
    world.refused(
        listener("arn:none", 80, forward(&group)),
        "LoadBalancerNotFound",
        "One or more load balancers",
    );
    let tcp = shapes::CreateListenerRequest {
        protocol: Some(shapes::ProtocolEnum::Tcp),
        ..listener(&balancer, 81, forward(&group))
    };
    world.refused(tcp, invalid, "Listener protocol 'TCP' must be one of 'HTTPS, HTTP'");
    let https = shapes::CreateListenerRequest {
        protocol: Some(shapes::ProtocolEnum::Https),
        ..listener(&balancer, 443, forward(&group))
    };
    world.refused(https, invalid, "A certificate must be specified for HTTPS listeners");
}

#[test]
fn targets_by_address_know_their_zone() {
    let mut world = World::new();
    let request = shapes::CreateTargetGroupRequest {
        target_type: Some(shapes::TargetTypeEnum::Ip),
        ..group("ips", world.vpc())
    };
    let group = world.ok(request).target_groups.unwrap().remove(0).target_group_arn.unwrap();
    let balancer = world.balancer("alb");
    world.listener(&balancer, &group);
    let by = |ip: &str, zone: Option<&str>| shapes::TargetDescription {
        availability_zone: zone.map(str::to_owned),
        ..target(ip, 8080)
    };
    world.refused(register(&group, vec![by("8.8.8.8", None)]), "InvalidTarget", "private range");
    world.refused(register(&group, vec![by("i-1", None)]), "InvalidTarget", "not a valid IPv4");
    world.refused(register(&group, vec![by("10.0.0.1", None)]), "ValidationError", "Availability Zone");
    world.ok(register(&group, vec![by("10.0.0.1", Some("all")), by("172.31.0.9", None)]));
    assert_eq!(world.state(&group), [State::Initial, State::Initial]);
    let zones: Vec<_> = world.engine.elb().targets().iter().map(|target| target.zone.clone()).collect();
    assert_eq!(zones, [None, Some("us-east-1a".to_owned())]);
    // A zone that the load balancer leaves takes its targets out of service.
    let subnets = world.subnets();
    let of_zone = |world: &World, subnet: &String| {
        world.engine.ec2().subnets().get(subnet).map(|subnet| subnet.zone.name)
    };
    let others: Vec<String> =
        subnets.into_iter().filter(|subnet| of_zone(&world, subnet) != Some("us-east-1a")).take(2).collect();
    world.ok(shapes::SetSubnetsRequest {
        load_balancer_arn: balancer,
        subnets: Some(others),
        ..shapes::SetSubnetsRequest::default()
    });
    assert_eq!(world.state(&group), [State::Initial, State::Unused]);
}
