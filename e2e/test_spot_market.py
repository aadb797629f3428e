"""A server with a Spot market out of a file: capacity that ends, prices that change, and the bill."""

import subprocess

import pytest
from botocore.exceptions import ClientError

from support.server import ANSWER_WITHIN_SECS, Server, binary

# Two instances at first, none after half an hour; another type is dearer and deep.
TRACE = """\
# seconds after the start
time,zone,type,price,capacity
+0,us-east-1a,m5.large,0.0360,2
+1800,us-east-1a,m5.large,0.0720,0
+0,us-east-1a,m5a.large,0.0600,100
"""


@pytest.fixture
def market(tmp_path):
    (tmp_path / "market.csv").write_text(TRACE)
    with Server(tmp_path, options=["--spot-market", "market.csv"]) as running:
        yield running


def run(ec2, kind, count):
    image = ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]["ImageId"]
    launched = ec2.run_instances(
        ImageId=image, InstanceType=kind, MinCount=1, MaxCount=count, Placement={"AvailabilityZone": "us-east-1a"},
        InstanceMarketOptions={"MarketType": "spot"},
    )  # fmt: skip
    return [each["InstanceId"] for each in launched["Instances"]]


def test_a_pool_ends_and_the_bill_tells(market):
    ec2 = market.boto("ec2")
    taken = run(ec2, "m5.large", 5)
    assert len(taken) == 2
    with pytest.raises(ClientError, match="There is no Spot capacity available that matches your request") as refused:
        run(ec2, "m5.large", 1)
    assert refused.value.response["Error"]["Code"] == "InsufficientInstanceCapacity"
    stays = run(ec2, "m5a.large", 1)
    market.advance(minutes=31)
    requests = ec2.describe_spot_instance_requests(Filters=[{"Name": "instance-id", "Values": taken}])["SpotInstanceRequests"]
    assert [each["Status"]["Code"] for each in requests] == ["instance-terminated-no-capacity"] * 2
    market.advance(minutes=29)
    states = {
        each["InstanceId"]: each["State"]["Name"]
        for group in ec2.describe_instances()["Reservations"] for each in group["Instances"]
    }  # fmt: skip
    assert states == {taken[0]: "terminated", taken[1]: "terminated", stays[0]: "running"}

    history = ec2.describe_spot_price_history(InstanceTypes=["m5.large"], AvailabilityZone="us-east-1a")["SpotPriceHistory"]
    assert [each["SpotPrice"] for each in history] == ["0.072000", "0.036000"]

    bill = market.page("/_capstan/bill")
    lines = {line["instanceType"]: line for line in bill["lines"]}
    assert {line["purchaseOption"] for line in lines.values()} == {"spot"}
    # EC2 took them within their first hour.
    assert lines["m5.large"]["cost"] == "0.000000" and lines["m5.large"]["freeSeconds"] > 3000
    cost, seconds = lines["m5a.large"]["costMicroDollars"], lines["m5a.large"]["seconds"]
    assert 3500 < seconds <= 3600 and cost == round(seconds * 60000 / 3600)
    assert bill["total"]["costMicroDollars"] == cost

    told = subprocess.run(
        [binary(), "bill", "--endpoint", market.endpoint], capture_output=True, text=True, timeout=ANSWER_WITHIN_SECS, check=True
    )
    assert "m5a.large" in told.stdout and "total" in told.stdout


def test_a_bad_file_is_refused_by_line_and_column(tmp_path):
    (tmp_path / "market.csv").write_text("time,zone,type,price,capacity\n+0,us-east-1a,m5.huge,,1\n")
    done = subprocess.run(
        [binary(), "serve", "--listen", "127.0.0.1:0", "--spot-market", "market.csv"],
        cwd=tmp_path, capture_output=True, text=True, timeout=ANSWER_WITHIN_SECS,
    )  # fmt: skip
    assert done.returncode != 0 and "line 2, column 15" in done.stderr, done.stderr
