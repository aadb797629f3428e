"""What a user does with the app, and what must come of it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter

import boto3

WORK = sys.argv[1]
ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
BASE, SERVICE = "ecsworkshop-base", "ecsworkshop-capacityproviders-ec2"
CLUSTER, NAME = "container-demo", "ecsdemo-capacityproviders-ec2"
# Records of what was, and what bootstrapping has made.
RECORDS = ("cloudformation.", "s3.", "ecr.", "iam.", "ssm.", "kms.", "logs.")
failures = 0


def check(what, found, expected):
    global failures
    if found == expected:
        print(f"ok      {what}: {found}", flush=True)
    else:
        failures += 1
        print(f"FAILED  {what}: {found}, expected {expected}", flush=True)


def cdk(*arguments, fails=False):
    command = ["cdk", *arguments, "--no-color", "--no-notices"]
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=WORK, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if (done.returncode != 0) is not fails:
        print(done.stdout)
        check("exit status", done.returncode, 1 if fails else 0)
        sys.exit(1)
    return done.stdout


def until(what, ask, expected, seconds=120):
    """Waits for a state that comes with time. The clock of the server runs faster than ours."""
    deadline = time.monotonic() + seconds
    while (found := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.5)
    check(what, found, expected)


def client(service):
    return boto3.client(service, endpoint_url=ENDPOINT)


cloudformation, ecs, autoscaling, elb = (client(name) for name in ("cloudformation", "ecs", "autoscaling", "elbv2"))


def status(stack):
    try:
        return cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    except cloudformation.exceptions.ClientError as error:
        return error.response["Error"]["Message"]


def exported(name):
    stacks = cloudformation.describe_stacks()["Stacks"]
    values = [output["OutputValue"] for stack in stacks for output in stack.get("Outputs", []) if output.get("ExportName") == name]
    return values[0] if values else None


def running():
    arns = ecs.list_tasks(cluster=CLUSTER, serviceName=NAME)["taskArns"]
    tasks = ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
    return dict(Counter(task["capacityProviderName"] for task in tasks if task["lastStatus"] == "RUNNING"))


def instances():
    groups = autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"]
    sizes = {group["AutoScalingGroupName"]: len([i for i in group["Instances"] if i["LifecycleState"] == "InService"]) for group in groups}
    return [sizes.get(exported(name)) for name in ("EC2ASGName", "EC2SpotASGName")]


def state():
    with urllib.request.urlopen(f"{ENDPOINT}/_capstan/state") as answer:
        return json.load(answer)


def served():
    """The load balancer's address, by the name that the stack tells."""
    dns = next(o["OutputValue"] for o in cloudformation.describe_stacks(StackName=SERVICE)["Stacks"][0]["Outputs"] if "LoadBalancerDNS" in o["OutputKey"])
    request = urllib.request.Request(ENDPOINT, headers={"Host": dns})
    with urllib.request.urlopen(request) as answer:
        return answer.status


empty = state()
cdk("bootstrap", "aws://000000000000/us-east-1")
check("CDKToolkit", status("CDKToolkit"), "CREATE_COMPLETE")
bootstrapped = state()

cdk("deploy", "--all", "--require-approval", "never")
check("the base stack", status(BASE), "CREATE_COMPLETE")
check("the service's stack", status(SERVICE), "CREATE_COMPLETE")
spot = exported("EC2SpotASGName")
check("EC2SpotASGName", bool(spot and spot.startswith("ecsworkshop-base-ECSEC2SpotCapacity")), True)
group = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[spot])["AutoScalingGroups"][0]
check("types of the Spot group", len(group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]), 10)
check("allocation", group["MixedInstancesPolicy"]["InstancesDistribution"]["SpotAllocationStrategy"], "capacity-optimized")
strategy = ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]["defaultCapacityProviderStrategy"]
check("default strategy", [(step["capacityProvider"], step["base"], step["weight"]) for step in strategy], [("workshop-ondemand", 1, 1), ("workshop-spot", 0, 1)])
check("tasks", running(), {"workshop-ondemand": 1})
targets = elb.describe_target_groups()["TargetGroups"][0]
attributes = {a["Key"]: a["Value"] for a in elb.describe_target_group_attributes(TargetGroupArn=targets["TargetGroupArn"])["Attributes"]}
check("deregistration delay and healthy threshold", (attributes["deregistration_delay.timeout_seconds"], targets["HealthyThresholdCount"]), ("90", 2))
check("the load balancer answers", served(), 200)
check("nothing to change", "no changes" in cdk("deploy", SERVICE, "--require-approval", "never"), True)

many = ("-c", "desired_count=20")
check("the difference", "DesiredCount" in cdk("diff", SERVICE, *many), True)
cdk("deploy", SERVICE, "--require-approval", "never", *many)
check("the service's stack", status(SERVICE), "UPDATE_COMPLETE")
until("20 tasks", running, {"workshop-ondemand": 11, "workshop-spot": 9})
until("both groups have grown", lambda: [size >= 2 for size in instances()], [True, True])
check("no difference any more", "There were no differences" in cdk("diff", SERVICE, *many), True)
cdk("deploy", SERVICE, "--require-approval", "never")
until("1 task", running, {"workshop-ondemand": 1})

cdk("destroy", "--all", "--force")
check("the base stack", status(BASE), f"Stack with id {BASE} does not exist")
check("the service's stack", status(SERVICE), f"Stack with id {SERVICE} does not exist")
left = {table: [row for row in rows if row not in bootstrapped.get(table, [])] for table, rows in state().items()}
left = {table: rows for table, rows in left.items() if rows and not table.startswith("s3.")}
check("left of the stacks", left, {})
check("left of CDKToolkit", status("CDKToolkit"), "CREATE_COMPLETE")

print(f"{failures} checks failed" if failures else "every check passed")
sys.exit(1 if failures else 0)
