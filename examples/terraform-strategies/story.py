"""Plays the example with the stock Terraform and checks each step. `run.sh` starts the server and calls this."""

import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request

from support.terraform import Missing, Terraform, TerraformError

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_REGION"]
NAME = "strategies"
ON_DEMAND, SPOT = f"{NAME}-on-demand", f"{NAME}-spot"
MESSAGES = 500
# Real time. The server's clock runs sixty times faster, so the longest wait (a scale-in) takes some twenty seconds.
WITHIN_SECS = 240


class Failed(Exception):
    """The story cannot go on."""


class Report:
    def __init__(self):
        self.failed = 0
        self.start = time.monotonic()

    def line(self, mark, text):
        print(f"{time.monotonic() - self.start:5.0f}s  {mark:4}  {text}")

    def say(self, text):
        self.line("", text)

    def check(self, holds, text, otherwise=""):
        """Prints whether it holds, and `otherwise` if it does not."""
        self.line("ok" if holds else "FAIL", text)
        if not holds:
            self.failed += 1
            print(otherwise)
        return holds


REPORT = Report()


def page(path, data=None, headers=()):
    request = urllib.request.Request(ENDPOINT + path, data=data, headers=dict(headers))
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def scope(service):
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request"}


def call(target, **request):
    """An operation of a service that speaks JSON; signatures are not checked."""
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    return json.loads(page("/", json.dumps(request).encode(), headers))


def ecs(operation, **request):
    return call(f"AmazonEC2ContainerServiceV20141113.{operation}", cluster=NAME, **request)


def sqs(operation, **request):
    return call(f"AmazonSQS.{operation}", **request)


def fis(path, **request):
    headers = {**scope("fis"), "Content-Type": "application/json"}
    return json.loads(page(path, json.dumps(request).encode() if request else None, headers))


def query(service, version, action, **parameters):
    """An operation of a service that speaks the query protocol: the XML."""
    form = urllib.parse.urlencode({"Action": action, "Version": version, **parameters}).encode()
    headers = {**scope(service), "Content-Type": "application/x-www-form-urlencoded"}
    return page("/", form, headers).decode()


def state():
    return json.loads(page("/_capstan/state"))


def service(name):
    return ecs("DescribeServices", services=[name])["services"][0]


def tasks(name):
    arns = ecs("ListTasks", serviceName=name)["taskArns"]
    return ecs("DescribeTasks", tasks=arns)["tasks"] if arns else []


def running(name):
    return [task for task in tasks(name) if task["lastStatus"] == "RUNNING"]


def until(condition, what):
    """What the condition gives, once that is true."""
    deadline = time.monotonic() + WITHIN_SECS
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {WITHIN_SECS} s: {what}")
        time.sleep(0.2)
    return found


def settled(name, count):
    """The service runs so many tasks, of one deployment."""
    shown = service(name)
    return len(shown["deployments"]) == 1 and shown["runningCount"] == shown["desiredCount"] == count


def providers(of_tasks):
    return sorted({task["capacityProviderName"] for task in of_tasks})


def instances_of(group):
    """Ids of the group's instances."""
    xml = query("autoscaling", "2011-01-01", "DescribeAutoScalingGroups", **{"AutoScalingGroupNames.member.1": group})
    return re.findall(r"<InstanceId>(i-[0-9a-f]+)</InstanceId>", xml)


def purchase_options(instances):
    """`spot` for each Spot Instance of them, `on-demand` for each other one."""
    ids = {f"InstanceId.{n + 1}": instance for n, instance in enumerate(instances)}
    xml = query("ec2", "2016-11-15", "DescribeInstances", **ids)
    spot = xml.count("<instanceLifecycle>spot</instanceLifecycle>")
    return ["spot"] * spot + ["on-demand"] * (len(instances) - spot)


def send(url, count):
    for first in range(0, count, 10):
        entries = [{"Id": str(n), "MessageBody": f"job {first + n}"} for n in range(min(10, count - first))]
        sqs("SendMessageBatch", QueueUrl=url, Entries=entries)


def messages(url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    shown = sqs("GetQueueAttributes", QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(shown[name]) for name in names)


class Story:
    def __init__(self, terraform):
        self.terraform = terraform
        self.variables = {}

    def plan_is_empty(self, when):
        changes = self.terraform.changes(**self.variables)
        REPORT.check(not changes, f"the plan {when} is empty", changes)

    def apply(self, **changed):
        self.variables.update(changed)
        return self.terraform.apply(**self.variables)

    def output(self, name):
        return json.loads(self.terraform.run("output", "-json")[1])[name]["value"]

    def create(self):
        plan = self.terraform.changes()
        REPORT.check(" to add, 0 to change, 0 to destroy" in plan, "the first plan only adds", plan)
        self.apply()
        self.queue = self.output("queue_url")
        strategies = {name: service(name)["capacityProviderStrategy"] for name in ("web", "batch")}
        wanted = {
            "web": [{"capacityProvider": ON_DEMAND, "weight": 1, "base": 1}],
            "batch": [{"capacityProvider": SPOT, "weight": 1, "base": 0}],
        }
        REPORT.check(strategies == wanted, "both services have their strategies", strategies)
        until(lambda: settled("web", 2), "two web tasks")
        REPORT.check(providers(running("web")) == [ON_DEMAND], "web runs 2 tasks, On-Demand", tasks("web"))
        REPORT.check(not instances_of(SPOT), "there is no Spot Instance that nobody needs")
        self.plan_is_empty("after apply")

    def scale_out(self):
        self.apply(web_count=9)
        until(lambda: settled("web", 9), "nine web tasks")
        on = instances_of(ON_DEMAND)
        REPORT.check(len(on) > 1, f"web runs 9 tasks on {len(on)} instances, for which its group has grown")
        self.plan_is_empty("after the scale-out")

    def no_spot(self):
        """Messages come, and no Spot Instance can be had."""
        drill = fis("/experiments", clientToken="drill", experimentTemplateId=self.output("drill"))["experiment"]["id"]
        until(lambda: fis(f"/experiments/{drill}")["experiment"]["state"]["status"] == "running", "a running experiment")
        send(self.queue, MESSAGES)
        REPORT.say(f"sent {MESSAGES} messages while Spot has no capacity")
        until(lambda: service("batch")["desiredCount"] == 6, "the queue scales the batch service")
        REPORT.check(True, f"{MESSAGES} messages scale batch from 0 to 6 tasks")
        refused = until(
            lambda: re.search(
                r"<StatusMessage>([^<]*capacity[^<]*)</StatusMessage>",
                query("autoscaling", "2011-01-01", "DescribeScalingActivities", AutoScalingGroupName=SPOT),
            ),
            "a launch that fails",
        )
        REPORT.check(True, f"the Spot group says why it does not grow: {refused.group(1)[:100]}")
        waiting = tasks("batch")
        states = sorted({task["lastStatus"] for task in waiting})
        REPORT.check(states == ["PROVISIONING"] and len(waiting) == 6, "6 batch tasks wait in PROVISIONING", states)
        task = waiting[0]["taskArn"].rsplit("/", 1)[1]
        why = json.loads(page(f"/_capstan/explain/{task}"))["why"]
        REPORT.check(bool(why), f"and know the reason: {' '.join(why)}")
        REPORT.check(providers(waiting) == [SPOT], "none of them takes to On-Demand capacity", providers(waiting))
        REPORT.check(settled("web", 9), "web does not notice")
        self.plan_is_empty("while batch waits for Spot")
        request = urllib.request.Request(f"{ENDPOINT}/experiments/{drill}", method="DELETE", headers=scope("fis"))
        urllib.request.urlopen(request, timeout=60).close()

    def backlog(self):
        """Spot capacity is back: the workers empty the queue, and go."""
        seen = set()
        peak = 0

        def worked_off():
            nonlocal peak
            now = running("batch")
            peak = max(peak, len(now))
            seen.update(providers(now))
            return messages(self.queue) == 0

        options = until(lambda: running("batch") and purchase_options(instances_of(SPOT)), "batch tasks that run")
        REPORT.check(set(options) == {"spot"}, f"batch runs on {len(options)} Spot Instances", options)
        until(worked_off, "an empty queue")
        REPORT.check(seen == {SPOT}, f"up to {peak} workers have emptied the queue, all of them on Spot", seen)
        REPORT.check(providers(running("web")) == [ON_DEMAND] and settled("web", 9), "web has kept its On-Demand capacity")
        self.plan_is_empty("after the backlog")
        until(lambda: service("batch")["desiredCount"] == 0 and not tasks("batch"), "batch at 0 again")
        REPORT.check(True, "batch is back at 0 tasks")

    def drain(self):
        instance = ecs("ListContainerInstances", filter="runningTasksCount > 0")["containerInstanceArns"][0]
        ecs("UpdateContainerInstancesState", containerInstances=[instance], status="DRAINING")
        left = lambda: ecs("DescribeContainerInstances", containerInstances=[instance])["containerInstances"][0]
        until(lambda: left()["runningTasksCount"] == 0 and settled("web", 9), "tasks that have moved")
        REPORT.check(True, "web has moved away from an instance that drains")
        self.plan_is_empty("after the drain")

    def change(self):
        before = service("web")["taskDefinition"]
        self.variables.update(web_memory=768, spot_target_capacity=80, batch_max=4)
        plan = self.terraform.changes(**self.variables)
        summary = re.search(r"Plan: .*", plan).group(0)
        replaced = re.findall(r"# (\S+) must be replaced", plan)
        updated = sorted(re.findall(r"# (\S+) will be updated in-place", plan))
        REPORT.check(replaced == ["aws_ecs_task_definition.web"], f"a new revision replaces the old one: {summary}", plan)
        wanted = [
            "aws_appautoscaling_policy.out",
            "aws_appautoscaling_target.batch",
            "aws_ecs_capacity_provider.spot",
            "aws_ecs_service.web",
        ]
        REPORT.check(updated == wanted, "the rest is updated in place", updated)
        self.apply()
        until(lambda: settled("web", 9), "the deployment")
        REPORT.check(service("web")["taskDefinition"] != before, "web runs the new revision")
        self.plan_is_empty("after the change")

    def destroy(self, before):
        printed = self.terraform.destroy(**self.variables)
        REPORT.check("Destroy complete!" in printed, re.search(r"Destroy complete!.*|$", printed).group(0), printed)
        left = until_or_last(lambda: difference(before, state()))
        REPORT.check(not left, "nothing of it is left at /_capstan/state", json.dumps(left, indent=2))


def difference(before, after):
    """What exists now and did not exist before, by kind."""
    new = {kind: sorted(set(names) - set(before.get(kind, []))) for kind, names in after.items()}
    return {kind: names for kind, names in new.items() if names}


def until_or_last(look):
    """Looks until there is nothing more to see, for up to three minutes of the server's clock."""
    for _ in range(15):
        if not (seen := look()):
            return seen
        time.sleep(0.2)
    return seen


def main(directory):
    terraform = Terraform(directory, os.environ, echo=REPORT.say)
    REPORT.say(f"hashicorp/aws comes from {terraform.origin}")
    terraform.init()
    before = state()
    story = Story(terraform)
    try:
        story.create()
        story.scale_out()
        story.no_spot()
        story.backlog()
        story.drain()
        story.change()
    except Failed as failed:
        REPORT.check(False, str(failed))
    except TerraformError as failed:
        REPORT.check(False, "terraform does what it is asked", failed)
    story.destroy(before)
    print("all checks hold" if not REPORT.failed else f"{REPORT.failed} checks have failed")
    return 1 if REPORT.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except Missing as missing:
        print(f"skipped: {missing}")
        sys.exit(77)
