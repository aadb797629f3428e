//! Refusals: the words, and the bodies.

use capstan_shapes::{Protocol, Refusal, SERVICES, Service};

use crate::{Form, Format, RequestId, Route, read, refuse};

fn service(name: &str) -> &'static Service {
    SERVICES.iter().find(|service| service.name == name).expect("a service")
}

/// Code and message, or `ok`.
fn refused(name: &str, operation: &str, protocol: Protocol, body: &[u8]) -> String {
    let service = service(name);
    let operation = service.operation(operation).expect("an operation");
    let form = match protocol {
        Protocol::AwsQuery | Protocol::Ec2Query => Form::parse(body).expect("a form"),
        _ => Form::default(),
    };
    let route = Route { service, operation, protocol, scope: None, form, bound: Vec::new() };
    read(&route, &bytes::Bytes::copy_from_slice(body))
        .map_or_else(|refusal| refusal.to_string(), |_| "ok".to_owned())
}

#[test]
fn json() {
    let check = |name: &str, operation: &str, body: &str, expect: &str| {
        assert_eq!(refused(name, operation, Protocol::AwsJson, body.as_bytes()), expect, "{body}");
    };
    check("ecs", "DescribeClusters", "", "ok");
    check("ecs", "DescribeClusters", r#"{"clusters":["a"],"unknown":{"x":[1]},"include":null}"#, "ok");
    check("ecs", "UpdateService", r#"{"service":"a","desiredCount":2.0}"#, "ok");
    check(
        "ecs",
        "RunTask",
        r#"{"taskDefinition":"a","launchType":"x"}"#,
        "InvalidParameterException: 1 validation error detected: Value 'x' at 'launchType' failed to satisfy \
         constraint: Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]",
    );
    check(
        "ecs",
        "RegisterTaskDefinition",
        r#"{"requiresCompatibilities":["X"]}"#,
        "InvalidParameterException: 3 validation errors detected: \
         Value null at 'family' failed to satisfy constraint: Member must not be null; \
         Value null at 'containerDefinitions' failed to satisfy constraint: Member must not be null; \
         Value '[X]' at 'requiresCompatibilities' failed to satisfy constraint: Member must satisfy constraint: \
         [Member must satisfy enum value set: [EC2, FARGATE, EXTERNAL, MANAGED_INSTANCES]]",
    );
    check(
        "ecs",
        "CreateCapacityProvider",
        r#"{"name":"a","autoScalingGroupProvider":{"autoScalingGroupArn":"b","managedScaling":{"targetCapacity":101}}}"#,
        "InvalidParameterException: 1 validation error detected: Value '101' at \
         'autoScalingGroupProvider.managedScaling.targetCapacity' failed to satisfy constraint: \
         Member must have value less than or equal to 100",
    );
    check(
        "ecs",
        "TagResource",
        r#"{"resourceArn":"a","tags":[{"key":""}]}"#,
        "InvalidParameterException: 1 validation error detected: Value '' at 'tags.1.member.key' failed to satisfy \
         constraint: Member must have length greater than or equal to 1",
    );
    check(
        "ssm",
        "GetParameters",
        r#"{"Names":[""]}"#,
        "ValidationException: 1 validation error detected: Value '[]' at 'names' failed to satisfy constraint: \
         Member must satisfy constraint: [Member must have length less than or equal to 2048, \
         Member must have length greater than or equal to 1]",
    );
    check(
        "ssm",
        "GetParameters",
        r#"{"Names":[]}"#,
        "ValidationException: 1 validation error detected: Value '[]' at 'names' failed to satisfy constraint: \
         Member must have length greater than or equal to 1",
    );
    let wrong = |operation: &str, body: &str, expect: &str| {
        check("ecs", operation, body, &format!("SerializationException: {expect}"));
    };
    wrong("DescribeClusters", r#"{"clusters":"a"}"#, "Expected list or null");
    wrong("DescribeClusters", r#"{"clusters":[1]}"#, "NUMBER_VALUE cannot be converted to String");
    wrong("DescribeClusters", r#"{"clusters":[{}]}"#, "Start of structure or map found where not expected.");
    wrong("DescribeClusters", r#"[]"#, "Start of list found where not expected");
    wrong(
        "DescribeClusters",
        r#"{"clusters":["a"]"#,
        "The body is not JSON: EOF while parsing an object at line 1 column 17",
    );
    wrong("UpdateService", r#"{"desiredCount":"2"}"#, "STRING_VALUE cannot be converted to Integer");
    wrong("UpdateService", r#"{"desiredCount":2.5}"#, "NUMBER_VALUE cannot be converted to Integer: 2.5");
    wrong(
        "UpdateService",
        r#"{"desiredCount":5000000000}"#,
        "NUMBER_VALUE cannot be converted to Integer: 5000000000",
    );
    wrong("UpdateService", r#"{"forceNewDeployment":"true"}"#, "STRING_VALUE cannot be converted to Boolean");
    wrong("TagResource", r#"{"tags":["a"]}"#, "Expected null");
}

#[test]
fn forms() {
    let check = |name: &str, operation: &str, form: &str, expect: &str| {
        let protocol = if name == "ec2" { Protocol::Ec2Query } else { Protocol::AwsQuery };
        assert_eq!(refused(name, operation, protocol, form.as_bytes()), expect, "{form}");
    };
    check("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroupNames=&Unknown.1=x", "ok");
    check(
        "autoscaling",
        "SetDesiredCapacity",
        "AutoScalingGroupName=&DesiredCapacity=1",
        "ValidationError: 1 validation error detected: Value '' at 'autoScalingGroupName' failed to satisfy \
         constraint: Member must have length greater than or equal to 1",
    );
    check(
        "autoscaling",
        "SetDesiredCapacity",
        "AutoScalingGroupName=a",
        "ValidationError: 1 validation error detected: Value null at 'desiredCapacity' failed to satisfy \
         constraint: Member must not be null",
    );
    check(
        "autoscaling",
        "SetDesiredCapacity",
        "AutoScalingGroupName=a&DesiredCapacity=many",
        "MalformedInput: many is not a valid integer for DesiredCapacity.",
    );
    check(
        "autoscaling",
        "PutLifecycleHook",
        "AutoScalingGroupName=a&LifecycleHookName=%21%21",
        "ValidationError: 1 validation error detected: Value '!!' at 'lifecycleHookName' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: [A-Za-z0-9\\-_\\/]+",
    );
    check(
        "autoscaling",
        "PutLifecycleHook",
        "AutoScalingGroupName=a&LifecycleHookName=",
        "ValidationError: 2 validation errors detected: Value '' at 'lifecycleHookName' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: [A-Za-z0-9\\-_\\/]+; \
         Value '' at 'lifecycleHookName' failed to satisfy constraint: \
         Member must have length greater than or equal to 1",
    );
    check(
        "autoscaling",
        "DescribeAutoScalingGroups",
        "AutoScalingGroupNames.member.x=a",
        "MalformedInput: x is no position in the list AutoScalingGroupNames.",
    );
    check(
        "cloudwatch",
        "PutMetricData",
        "MetricData=",
        "MissingParameter: The parameter Namespace is required.",
    );
    check(
        "ec2",
        "TerminateInstances",
        "",
        "MissingParameter: The request must contain the parameter InstanceId",
    );
    check("ec2", "DescribeInstances", "Filter.1.Name=a&Filter.1.Value.1=b&InstanceId.1=i-1", "ok");
    check(
        "ec2",
        "DescribeInstances",
        "Filter.1.Names=a",
        "UnknownParameter: The parameter Filter.1.Names is not recognized",
    );
    check(
        "ec2",
        "RunInstances",
        "MinCount=one&MaxCount=1",
        "InvalidParameterValue: Value (one) for parameter MinCount is invalid. Expecting an integer.",
    );
}

#[test]
fn bodies() {
    let refusal =
        Refusal::new("NoSuchThing", "<no> \"thing\"").with_member("resourceIds", vec!["a".to_owned()]);
    let check = |name: &str, protocol: Protocol, expect: &str| {
        let answer = refuse(Format::of(service(name), protocol), RequestId(0x1f), &refusal);
        let body = String::from_utf8_lossy(&answer.body);
        let headers: Vec<_> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let shown = format!("{} {} {} {body}", answer.status, answer.content_type, headers.join(", "));
        assert_eq!(shown, expect);
    };
    let id = "00000000-0000-0000-0000-00000000001f";
    check(
        "ecs",
        Protocol::AwsJson,
        &format!(
            "400 application/x-amz-json-1.1 x-amzn-requestid: {id} \
             {{\"__type\":\"NoSuchThing\",\"message\":\"<no> \\\"thing\\\"\",\"resourceIds\":[\"a\"]}}"
        ),
    );
    check(
        "cloudwatch",
        Protocol::AwsJson,
        &format!(
            "400 application/x-amz-json-1.0 x-amzn-requestid: {id}, x-amzn-query-error: NoSuchThing;Sender \
             {{\"__type\":\"NoSuchThing\",\"message\":\"<no> \\\"thing\\\"\",\"resourceIds\":[\"a\"]}}"
        ),
    );
    check(
        "fis",
        Protocol::RestJson,
        &format!(
            "400 application/json x-amzn-requestid: {id}, x-amzn-errortype: NoSuchThing \
             {{\"__type\":\"NoSuchThing\",\"message\":\"<no> \\\"thing\\\"\",\"resourceIds\":[\"a\"]}}"
        ),
    );
    check(
        "autoscaling",
        Protocol::AwsQuery,
        &format!(
            "400 text/xml x-amzn-requestid: {id} \
             <ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error><Type>Sender</Type>\
             <Code>NoSuchThing</Code><Message>&lt;no&gt; \"thing\"</Message>\
             <resourceIds><member>a</member></resourceIds></Error><RequestId>{id}</RequestId></ErrorResponse>"
        ),
    );
    check(
        "ec2",
        Protocol::Ec2Query,
        &format!(
            "400 text/xml;charset=UTF-8 x-amzn-requestid: {id} \
             <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>NoSuchThing</Code>\
             <Message>&lt;no&gt; \"thing\"</Message></Error></Errors><RequestID>{id}</RequestID></Response>"
        ),
    );
}
