"""Instance metadata as stock readers see it: boto3's fetcher and curl, at the gateway in virtual time."""

import json
import subprocess

import boto3
import botocore.session
import pytest

from support.server import ANSWER_WITHIN_SECS

AMI = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id"


def launch(server, **options):
    """A running instance; its id."""
    image = server.boto("ssm").get_parameter(Name=AMI)["Parameter"]["Value"]
    launched = server.boto("ec2").run_instances(ImageId=image, InstanceType="m5.large", MinCount=1, MaxCount=1, **options)
    server.advance(minutes=1)
    return launched["Instances"][0]["InstanceId"]


def endpoint(server, instance):
    return f"{server.endpoint}/_capstan/instances/{instance}"


def curl(*arguments):
    """Status and body."""
    command = ["curl", "--silent", "--show-error", "--max-time", str(ANSWER_WITHIN_SECS), "--write-out", "\n%{http_code}"]
    told = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout
    body, _, status = told.rpartition("\n")
    return int(status), body


def token(url, ttl="21600", *arguments):
    return curl("-X", "PUT", "-H", f"X-aws-ec2-metadata-token-ttl-seconds: {ttl}", *arguments, f"{url}/latest/api/token")


@pytest.fixture(scope="module")
def instance(server):
    return launch(
        server,
        UserData="#!/bin/sh\necho hello\n",
        IamInstanceProfile={"Name": "ecsInstanceRole"},
        InstanceMarketOptions={"MarketType": "spot"},
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "colour", "Value": "blue"}]}],
    )


def test_what_an_instance_reads_is_what_the_api_says(server, instance):
    url = endpoint(server, instance)
    row = server.boto("ec2").describe_instances(InstanceIds=[instance])["Reservations"][0]
    row, reservation = row["Instances"][0], row["ReservationId"]
    interface = row["NetworkInterfaces"][0]
    expected = {
        "ami-id": row["ImageId"],
        "instance-id": instance,
        "instance-type": "m5.large",
        "instance-life-cycle": "spot",
        "hostname": row["PrivateDnsName"],
        "local-hostname": row["PrivateDnsName"],
        "local-ipv4": row["PrivateIpAddress"],
        "mac": interface["MacAddress"],
        f"network/interfaces/macs/{interface['MacAddress']}/subnet-id": row["SubnetId"],
        f"network/interfaces/macs/{interface['MacAddress']}/vpc-id": row["VpcId"],
        "placement/availability-zone": row["Placement"]["AvailabilityZone"],
        "placement/region": server.region,
        "reservation-id": reservation,
        "security-groups": "default",
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        "tags/instance/colour": "blue",
        "profile": "default-hvm",
    }
    for path, value in expected.items():
        assert curl(f"{url}/latest/meta-data/{path}") == (200, value), path
        assert curl(f"{url}/2021-07-15/meta-data/{path}") == (200, value), path
    assert curl(f"{url}/latest/user-data") == (200, "#!/bin/sh\necho hello\n")
    status, document = curl(f"{url}/latest/dynamic/instance-identity/document")
    assert status == 200 and json.loads(document)["instanceId"] == instance
    listing = curl(f"{url}/latest/meta-data/")[1].split("\n")
    assert {"ami-id", "placement/", "tags/", "iam/"} <= set(listing) and "spot/" not in listing
    for path in ("spot/instance-action", "spot/termination-time", "events/recommendations/rebalance"):
        status, body = curl(f"{url}/latest/meta-data/{path}")
        assert status == 404 and "404 - Not Found" in body


def test_tokens(server, instance):
    url = endpoint(server, instance)
    status, good = token(url, "60")
    assert status == 200 and len(good) % 4 == 0
    path = f"{url}/latest/meta-data/instance-id"
    assert curl("-H", f"X-aws-ec2-metadata-token: {good}", path) == (200, instance)
    assert curl("-H", "X-aws-ec2-metadata-token: no", path)[0] == 401
    server.advance(seconds=61)
    assert curl("-H", f"X-aws-ec2-metadata-token: {good}", path)[0] == 401
    assert curl("-X", "PUT", f"{url}/latest/api/token")[0] == 400
    for ttl in ("0", "21601", "soon"):
        assert token(url, ttl)[0] == 400, ttl
    assert token(url, "60", "-H", "X-Forwarded-For: 10.0.0.1")[0] == 403


def test_only_with_a_token_when_it_is_required(server):
    required = launch(server, MetadataOptions={"HttpTokens": "required"})
    url = endpoint(server, required)
    path = f"{url}/latest/meta-data/instance-id"
    assert curl(path)[0] == 401
    assert curl("-H", f"X-aws-ec2-metadata-token: {token(url)[1]}", path) == (200, required)
    off = launch(server, MetadataOptions={"HttpEndpoint": "disabled"})
    assert token(endpoint(server, off))[0] == 403
    assert curl(f"{endpoint(server, off)}/latest/meta-data/")[0] == 403


def test_an_instance_that_is_gone_tells_nothing(server):
    gone = launch(server)
    server.boto("ec2").terminate_instances(InstanceIds=[gone])
    server.advance(minutes=2)
    for unknown in (gone, "i-00000000000000000", "none"):
        assert curl(f"{endpoint(server, unknown)}/latest/meta-data/")[0] == 404


def test_boto3_finds_region_and_credentials(server, instance, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint(server, instance) + "/")
    session = botocore.session.get_session()
    credentials = boto3.Session(botocore_session=session).get_credentials()
    assert credentials.method == "iam-role"
    assert credentials.access_key.startswith("ASIA") and credentials.token
    # The credentials are good for calls.
    sts = boto3.Session(botocore_session=session).client("sts", endpoint_url=server.endpoint, region_name=server.region)
    assert sts.get_caller_identity()["Account"] == server.account
    fetcher = botocore.utils.IMDSRegionProvider(session, fetcher=None)
    assert fetcher.provide() == server.region
