//! Which operation is meant.

use crate::{Incoming, Scope, is_aws, route};

fn shown(line: &str, headers: &[(&str, &'static str)], body: &'static str) -> String {
    let (method, path_and_query) = line.split_once(' ').unwrap_or(("POST", line));
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let request = Incoming { method, path, query, header: &header, body: body.as_bytes() };
    if !is_aws(&request) {
        return "not AWS".to_owned();
    }
    match route(&request) {
        Ok(route) => {
            let Scope { access_key, region, .. } = route.scope.unwrap_or_default();
            let service = route.service.name;
            let bound = route.bound.iter().map(|(name, texts)| format!(" {name}={}", texts.join(",")));
            format!("{service} {} {:?} {access_key} {region}", route.operation.name, route.protocol)
                + &bound.collect::<String>()
        }
        Err(unrouted) => {
            let refusal = &unrouted.refusal;
            format!("{} {} {}", unrouted.format.content_type(), refusal.status, refusal.code)
                + &format!(": {}", refusal.message)
        }
    }
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const CBOR: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

fn signed(service: &'static str) -> (&'static str, &'static str) {
    let value = match service {
        "ecs" => "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/ecs/aws4_request, SignedHeaders=host",
        "ec2" => "AWS4-HMAC-SHA256 Credential=AKID/20261121/eu-west-1/ec2/aws4_request, SignedHeaders=host",
        "elb" => "AWS4-HMAC-SHA256 Credential=A/20261121/us-east-1/elasticloadbalancing/aws4_request,X=y",
        "fis" => "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/fis/aws4_request, SignedHeaders=host",
        "s3" => "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/s3/aws4_request, SignedHeaders=host",
        _ => "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host",
    };
    ("authorization", value)
}

#[test]
fn routes() {
    let check = |path: &str, headers: &[(&'static str, &'static str)], body: &'static str, expect: &str| {
        assert_eq!(shown(path, headers, body), expect, "{path} {headers:?} {body}");
    };
    let target = |target: &'static str| ("x-amz-target", target);
    check(
        "/",
        &[target("AmazonEC2ContainerServiceV20141113.DescribeClusters"), signed("ecs")],
        "{}",
        "ecs DescribeClusters AwsJson AKID us-east-1",
    );
    check("/", &[target("AmazonSSM.GetParameters")], "{}", "ssm GetParameters AwsJson  ");
    // Older clients of SQS post to the queue's own URL.
    let send = "Action=SendMessage&Version=2012-11-05&MessageBody=x";
    check("/000000000000/q", &[FORM], send, "sqs SendMessage AwsQuery  ");
    check("/000000000000/q", &[target("AmazonSQS.SendMessage")], "{}", "sqs SendMessage AwsJson  ");
    check(
        "/service/GraniteServiceVersion20100801/operation/PutMetricData",
        &[CBOR],
        "",
        "cloudwatch PutMetricData RpcV2Cbor  ",
    );
    check(
        "/",
        &[target("GraniteServiceVersion20100801.PutMetricData")],
        "",
        "cloudwatch PutMetricData AwsJson  ",
    );
    check(
        "/",
        &[FORM, signed("ec2")],
        "Action=DescribeInstances&Version=2016-11-15",
        "ec2 DescribeInstances Ec2Query AKID eu-west-1",
    );
    check("/", &[FORM], "Action=DescribeInstances&Version=2016-11-15", "ec2 DescribeInstances Ec2Query  ");
    check(
        "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Credential=AK%2F20261121%2Feu-west-1%2Fsts%2Faws4_request",
        &[],
        "",
        "sts GetCallerIdentity AwsQuery AK eu-west-1",
    );
    let fis = |line: &str, expect: &str| check(line, &[signed("fis")], "", expect);
    fis("POST /experiments", "fis StartExperiment RestJson AKID us-east-1");
    fis(
        "GET /experiments",
        "fis ListExperiments RestJson AKID us-east-1 maxResults= nextToken= experimentTemplateId=",
    );
    fis("GET /experiments/EXP1", "fis GetExperiment RestJson AKID us-east-1 id=EXP1");
    fis("DELETE /experiments/EXP1", "fis StopExperiment RestJson AKID us-east-1 id=EXP1");
    fis(
        "GET /experiments/EXP1/resolvedTargets?targetName=a+b&maxResults=5",
        "fis ListExperimentResolvedTargets RestJson AKID us-east-1 experimentId=EXP1 maxResults=5 nextToken= targetName=a b",
    );
    fis(
        "DELETE /tags/arn%3Aaws%3Afis%3A%3A1%3Aexperiment%2FEXP1?tagKeys=a&tagKeys=b+%26",
        "fis UntagResource RestJson AKID us-east-1 resourceArn=arn:aws:fis::1:experiment/EXP1 tagKeys=a,b &",
    );
    fis("GET /actions/a+b", "fis GetAction RestJson AKID us-east-1 id=a+b");
    fis("GET /actions/%FF", "application/json 400 SerializationException: The path's id is not UTF-8.");
    check("/", &[], "", "not AWS");
    check("/favicon.ico", &[("content-type", "text/html")], "a=b", "not AWS");
    check("/_capstan/clock", &[FORM, signed("ecs")], "", "not AWS");
    check(
        "/",
        &[FORM],
        "a=b",
        "text/xml 400 MissingAction: Name an operation by Action and Version, or by the header X-Amz-Target.",
    );
    check(
        "/",
        &[FORM, signed("ec2")],
        "Action=",
        "text/xml;charset=UTF-8 400 MissingAction: \
         Name an operation by Action and Version, or by the header X-Amz-Target.",
    );
    let coverage = "GET /_capstan/coverage lists the operations that are.";
    let refused = |path: &str, headers: &[(&'static str, &'static str)], body, expect: &str| {
        check(path, headers, body, &format!("{expect} is not built. {coverage}"));
    };
    refused(
        "/",
        &[target("AmazonEC2ContainerServiceV20141113.DiscoverNothing"), ("content-type", "x")],
        "{}",
        "application/x-amz-json-1.1 501 NotImplemented: The operation DiscoverNothing of ecs",
    );
    refused(
        "/",
        &[target("AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken")],
        "{}",
        "application/x-amz-json-1.1 501 NotImplemented: \
         The operation GetAuthorizationToken of AmazonEC2ContainerRegistry_V20150921",
    );
    refused(
        "/",
        &[FORM, signed("ec2")],
        "Action=CreateNatGateway&Version=2016-11-15",
        "text/xml;charset=UTF-8 501 NotImplemented: The operation CreateNatGateway of ec2",
    );
    // Classic load balancers share the signing name.
    refused(
        "/",
        &[FORM, signed("elb")],
        "Action=DescribeLoadBalancers&Version=2012-06-01",
        "text/xml 501 NotImplemented: \
         The operation DescribeLoadBalancers of elasticloadbalancing 2012-06-01",
    );
    for line in ["GET /actions/", "GET /actions/a/b", "PUT /experiments", "GET /"] {
        refused(
            line,
            &[signed("fis")],
            "",
            &format!("application/json 501 NotImplemented: The operation {line} of fis"),
        );
    }
    refused("/b/k", &[signed("s3")], "", "application/xml 501 NotImplemented: The service s3");
    refused(
        "/2015-03-31/functions",
        &[signed("lambda")],
        "",
        "application/json 501 NotImplemented: The service lambda",
    );
    refused(
        "/service/Nothing/operation/At",
        &[CBOR],
        "",
        "application/cbor 501 NotImplemented: The operation At of Nothing",
    );
}
