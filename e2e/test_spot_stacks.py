"""The Spot workshop from `examples/spot-workshop`: its stacks deployed by the stock AWS CLI, then the page's commands.

The CLI waits for stacks by sleeping; here a sleep moves the server's clock instead. The tests are steps of one story on one
server, in virtual time, and run in this order. `test_spot_workshop.py` looks closer at what an interruption does.
"""

import base64
import json
import re
from collections import Counter
from datetime import datetime, timedelta

import pytest

from support.server import ROOT
from support.shell import Shell

EXAMPLE = ROOT / "examples" / "spot-workshop"
CLUSTER, SERVICE = "EcsSpotWorkshop", "ec2-service-split"
SPOT_GROUP = "EcsSpotWorkshop-ASG-SPOT"
LOG_GROUP = "/aws/events/spotinterruptions"
STACKS = ["spot-cluster", "spot-service", "spot-observe", "fis-spot-interruption"]

# Python reads this before anything else: whoever sleeps lets virtual time pass.
SLEEP = """
import json, os, time, urllib.request
def sleep(seconds):
    body = json.dumps({"advance_seconds": seconds}).encode()
    urllib.request.urlopen(os.environ["CAPSTAN_CLOCK"], data=body).read()
time.sleep = sleep
"""


class Story:
    def __init__(self, server):
        self.server = server
        self.shell = Shell(server)
        self.run, self.json = self.shell.run, self.shell.json
        # What exists already, of which no stack is.
        self.before = self.state()
        (server.directory / "sitecustomize.py").write_text(SLEEP)
        self.shell.export(
            PYTHONPATH=str(server.directory),
            CAPSTAN_CLOCK=f"{server.endpoint}/_capstan/clock",
            EXAMPLE=str(EXAMPLE),
            FIS_EXP_NAME=STACKS[3],
            VPC=self.run("aws ec2 describe-vpcs --query 'Vpcs[0].VpcId' --output text"),
            SUBNETS=self.run("aws ec2 describe-subnets --query 'Subnets[:3].SubnetId' --output text | tr '\\t' ','"),
        )

    def deploy(self, stack, template, *parameters):
        parameters = f"--parameter-overrides {' '.join(parameters)}" if parameters else ""
        printed = self.run(
            f"aws cloudformation deploy --stack-name {stack} --template-file $EXAMPLE/{template} --capabilities CAPABILITY_IAM {parameters}"
        )
        assert f"Successfully created/updated stack - {stack}" in printed, printed

    def state(self):
        return self.server.page("/_capstan/state")

    def now(self):
        return datetime.fromisoformat(self.server.page("/_capstan/clock")["now"].replace("Z", "+00:00"))

    def status(self, stack):
        return self.run(f"aws cloudformation describe-stacks --stack-name {stack} --query 'Stacks[0].StackStatus' --output text")

    def tasks(self):
        ecs = self.server.boto("ecs")
        arns = ecs.list_tasks(cluster=CLUSTER)["taskArns"]
        if not arns:
            return Counter()
        return Counter(task["lastStatus"] for task in ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"])

    def desired(self, group):
        groups = self.server.boto("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
        return groups["AutoScalingGroups"][0]["DesiredCapacity"]


@pytest.fixture(scope="module")
def story(server):
    return Story(server)


@pytest.fixture(autouse=True)
def in_order(request):
    module = request.node.parent
    if getattr(module, "broken", None):
        pytest.skip(f"{module.broken} failed")
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before:
        module.broken = request.node.name


def test_the_stacks_are_deployed(story):
    story.deploy("spot-cluster", "cluster.yaml", "Subnets=$SUBNETS")
    story.deploy("spot-service", "service.yaml", "ClusterStack=spot-cluster", "Vpc=$VPC", "Subnets=$SUBNETS")
    story.deploy("spot-observe", "observe.yaml", "ClusterStack=spot-cluster")
    story.deploy(STACKS[3], "experiment.yaml", "ClusterStack=spot-cluster")
    assert [story.status(stack) for stack in STACKS] == ["CREATE_COMPLETE"] * 4
    exports = story.json("aws cloudformation list-exports --query 'Exports[].[Name,Value]'")
    assert dict(exports) == {"spot-cluster-Cluster": CLUSTER, "spot-cluster-SpotGroup": SPOT_GROUP}
    assert story.tasks() == {"RUNNING": 10}


def test_the_service_grows_by_an_update_of_its_stack(story):
    story.deploy("spot-service", "service.yaml", "ClusterStack=spot-cluster", "Vpc=$VPC", "Subnets=$SUBNETS", "DesiredCount=22")
    assert story.status("spot-service") == "UPDATE_COMPLETE"
    # Whatever scaling has begun comes to its end.
    story.server.advance(minutes=45)
    assert story.tasks() == {"RUNNING": 22}
    assert (story.desired("EcsSpotWorkshop-ASG-OD"), story.desired(SPOT_GROUP)) == (2, 4)


def test_the_service_has_its_scaling(story):
    policy = story.json(
        "aws application-autoscaling describe-scaling-policies --service-namespace ecs"
        f" --resource-id service/{CLUSTER}/{SERVICE} --query 'ScalingPolicies[0]'"
    )
    assert policy["PolicyType"] == "TargetTrackingScaling" and len(policy["Alarms"]) == 2
    label = policy["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]["ResourceLabel"]
    assert re.fullmatch(r"app/EcsSpotWorkshop/[0-9a-f]{16}/targetgroup/EcsSpotWorkshop/[0-9a-f]{16}", label)
    targets = story.json("aws application-autoscaling describe-scalable-targets --service-namespace ecs --query 'ScalableTargets[].[MinCapacity,MaxCapacity]'")
    assert targets == [[1, 30]]


def test_the_page_as_printed(story):
    """Its commands; `--no-cli-pager` belongs to version 2 of the CLI."""
    pager = "--no-cli-pager" if story.run("aws --version 2>&1").startswith("aws-cli/2") else ""
    story.shell.export(
        FIS_EXP_TEMP_ID=story.run(
            "aws cloudformation describe-stacks --stack-name $FIS_EXP_NAME"
            " --query \"Stacks[0].Outputs[?OutputKey=='FISExperimentID'].OutputValue\" --output text"
        )
    )
    story.shell.export(
        FIS_EXP_ID=story.run(f'aws fis start-experiment --experiment-template-id $FIS_EXP_TEMP_ID {pager} --query "experiment.id" --output text')
    )
    story.server.advance(seconds=30)
    experiment = story.json(f"aws fis get-experiment --id $FIS_EXP_ID {pager}")["experiment"]
    assert experiment["state"]["status"] == "completed", experiment["state"]
    for kind in ("EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"):
        pattern = json.dumps(kind)
        told = story.json(f"aws logs filter-log-events --log-group-name {LOG_GROUP} --filter-pattern '{pattern}' --query 'events[].message'")
        assert len({json.loads(message)["detail"]["instance-id"] for message in told}) == 3
    story.server.until(lambda: story.tasks() == {"RUNNING": 22}, within_minutes=20)
    assert story.desired(SPOT_GROUP) > 4
    story.server.until(lambda: story.desired(SPOT_GROUP) == 4, within_minutes=45)


def test_the_dashboard_draws_its_expression(story):
    body = json.loads(story.json(f"aws cloudwatch get-dashboard --dashboard-name {CLUSTER}")["DashboardBody"])
    assert len(body["widgets"]) == 3
    images = []
    for widget in body["widgets"]:
        story.shell.export(WIDGET=json.dumps(widget["properties"]))
        image = base64.b64decode(story.run('aws cloudwatch get-metric-widget-image --metric-widget "$WIDGET" --query MetricWidgetImage --output text'))
        assert image.startswith(b"\x89PNG\r\n\x1a\n")
        images.append(image)
    assert len(set(images)) == 3
    share = story.server.boto("cloudwatch").get_metric_data(
        MetricDataQueries=[
            *[
                {
                    "Id": name, "ReturnData": False,
                    "MetricStat": {
                        "Period": 60, "Stat": "Average",
                        "Metric": {
                            "Namespace": "ECS/ContainerInsights", "MetricName": metric,
                            "Dimensions": [{"Name": "ClusterName", "Value": CLUSTER}, {"Name": "ServiceName", "Value": SERVICE}],
                        },
                    },
                }
                for name, metric in [("pending", "PendingTaskCount"), ("running", "RunningTaskCount")]
            ],
            {"Id": "share", "Expression": "100 * running / (running + pending)"},
        ],
        StartTime=story.now() - timedelta(hours=2),
        EndTime=story.now(),
    )["MetricDataResults"]  # fmt: skip
    assert [result["Id"] for result in share] == ["share"]
    assert share[0]["Values"][0] == 100 and min(share[0]["Values"]) < 60


def test_nothing_stays(story):
    for stack in reversed(STACKS):
        story.run(f"aws cloudformation delete-stack --stack-name {stack}")
        story.run(f"aws cloudformation wait stack-delete-complete --stack-name {stack}")
    left = {table: [row for row in rows if row not in story.before.get(table, [])] for table, rows in story.state().items()}
    assert {table: rows for table, rows in left.items() if rows} == {}
