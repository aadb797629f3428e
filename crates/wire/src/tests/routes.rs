//! Which operation is meant.

use crate::{Incoming, Scope, is_aws, route};

fn shown(line: &str, headers: &[(&str, &'static str)], body: &'static str) -> String {
    let (method, path_and_query) = line.split_once(' ').unwrap_or(("POST", line));
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let prefixed = |prefix: &str| {
        let pairs = headers.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, *value)));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let request =
        Incoming { method, path, query, header: &header, headers: &prefixed, body: body.as_bytes() };
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
        _ => "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/batch/aws4_request, SignedHeaders=host",
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
    check("GET /_localstack/health", &[], "", "not AWS");
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
        &[target("DynamoDB_20120810.ListTables")],
        "{}",
        "application/x-amz-json-1.1 501 NotImplemented: \
         The operation ListTables of DynamoDB_20120810",
    );
    refused(
        "/",
        &[FORM, signed("ec2")],
        "Action=CreateVpnGateway&Version=2016-11-15",
        "text/xml;charset=UTF-8 501 NotImplemented: The operation CreateVpnGateway of ec2",
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
    refused(
        "GET /b?torrent&analytics&id=x",
        &[signed("s3")],
        "",
        "application/xml 501 NotImplemented: The operation GetBucketAnalyticsConfiguration of s3",
    );
    refused(
        "/2015-03-31/functions",
        &[signed("batch")],
        "",
        "application/json 501 NotImplemented: The service batch",
    );
    refused(
        "/service/Nothing/operation/At",
        &[CBOR],
        "",
        "application/cbor 501 NotImplemented: The operation At of Nothing",
    );
}

/// The operations of S3 share a few methods and paths.
#[test]
fn s3() {
    let check = |line: &str, headers: &[(&'static str, &'static str)], expect: &str| {
        let shown = shown(line, headers, "");
        let members: Vec<&str> = shown.split(' ').filter(|word| !word.ends_with('=')).collect();
        assert_eq!(members.join(" "), expect, "{line} {headers:?}");
    };
    let signed = signed("s3");
    let of = |line: &str, expect: &str| {
        let (operation, members) = expect.split_once(' ').unwrap_or((expect, ""));
        let expect = format!("s3 {operation} RestXml AKID us-east-1 {members}");
        check(line, &[signed], expect.trim_end());
    };
    of("GET /", "ListBuckets");
    of("PUT /b", "CreateBucket Bucket=b");
    of("PUT /b/", "CreateBucket Bucket=b");
    of("GET /b", "ListObjects Bucket=b");
    of("GET /b?list-type=2&prefix=a%2Fb", "ListObjectsV2 Bucket=b Prefix=a/b");
    of("GET /b?acl", "GetBucketAcl Bucket=b");
    of("GET /b?uploads", "ListMultipartUploads Bucket=b");
    of("HEAD /b/a/b%20c", "HeadObject Bucket=b Key=a/b c");
    of("GET /b/a//b/", "GetObject Bucket=b Key=a//b/");
    of("GET /b/k?tagging", "GetObjectTagging Bucket=b Key=k");
    of("PUT /b/k", "PutObject Bucket=b Key=k");
    of("PUT /b/k?partNumber=2&uploadId=u", "UploadPart Bucket=b Key=k PartNumber=2 UploadId=u");
    of("GET /b/k?uploadId=u", "ListParts Bucket=b Key=k UploadId=u");
    of("POST /b/k?uploads", "CreateMultipartUpload Bucket=b Key=k");
    of("POST /b/k?uploadId=u", "CompleteMultipartUpload Bucket=b Key=k UploadId=u");
    of("DELETE /b/k?uploadId=u", "AbortMultipartUpload Bucket=b Key=k UploadId=u");
    of("POST /b?delete", "DeleteObjects Bucket=b");
    let copy = ("x-amz-copy-source", "b/k");
    check("PUT /b/k", &[signed, copy], "s3 CopyObject RestXml AKID us-east-1 Bucket=b CopySource=b/k Key=k");
    let meta = [signed, ("x-amz-meta-a", "1"), ("x-amz-meta-b", "2")];
    check("PUT /b/k", &meta, "s3 PutObject RestXml AKID us-east-1 Bucket=b Key=k Metadata=a,1,b,2");
    // Buckets in front of the host, and requests without a signature.
    let host = |host: &'static str| ("host", host);
    for name in
        ["b.s3.localhost:4566", "b.localhost:4566", "b.s3.eu-west-1.amazonaws.com", "b.s3.amazonaws.com"]
    {
        check("GET /k", &[host(name)], "s3 GetObject RestXml   Bucket=b Key=k");
        check("PUT /", &[host(name), signed], "s3 CreateBucket RestXml AKID us-east-1 Bucket=b");
    }
    check("GET /b.c/k", &[host("s3.localhost")], "s3 GetObject RestXml   Bucket=b.c Key=k");
    check("GET /k", &[host("b.c.s3.localhost")], "s3 GetObject RestXml   Bucket=b.c Key=k");
    check("GET /b/k", &[host("127.0.0.1:4566")], "s3 GetObject RestXml   Bucket=b Key=k");
    check("GET /b/k?AWSAccessKeyId=a&Signature=s&Expires=1", &[], "s3 GetObject RestXml   Bucket=b Key=k");
    let presigned = "PUT /b/k?X-Amz-Credential=AK%2F20261121%2Feu-west-1%2Fs3%2Faws4_request&x-amz-meta-a=1";
    check(presigned, &[], "s3 PutObject RestXml AK eu-west-1 Bucket=b Key=k Metadata=a,1");
}
