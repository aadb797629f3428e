"""Fault Injection Service: Spot Instances that are interrupted, and everything around it."""

from support.steps import Step

ROLE = "arn:aws:iam::000000000000:role/fis"
SPOT_TARGET = {"resourceType": "aws:ec2:spot-instance", "resourceTags": {"fis": "conformance"}, "selectionMode": "COUNT(2)"}
INTERRUPT = {
    "actionId": "aws:ec2:send-spot-instance-interruptions",
    "description": "two minutes",
    "parameters": {"durationBeforeInterruption": "PT2M"},
    "targets": {"SpotInstances": "Spot"},
}
WAIT = {"actionId": "aws:fis:wait", "parameters": {"duration": "PT10M"}}
NONE = [{"source": "none"}]
TEMPLATE = {
    "clientToken": "conformance",
    "description": "interrupts two",
    "targets": {"Spot": {**SPOT_TARGET, "filters": [{"path": "State.Name", "values": ["running"]}]}},
    "actions": {"Interrupt": INTERRUPT},
    "stopConditions": NONE,
    "roleArn": ROLE,
    "tags": {"purpose": "tests"},
    "experimentOptions": {"accountTargeting": "single-account", "emptyTargetResolutionMode": "fail"},
}
WAITING = {"clientToken": "waiting", "description": "waits", "actions": {"Wait": WAIT}, "stopConditions": NONE, "roleArn": ROLE}

BUILD = [
    Step(
        "ec2", "RunInstances",
        {
            "ImageId": "$ami", "InstanceType": "m5.large", "MinCount": 3, "MaxCount": 3, "SubnetId": "$subnet",
            "InstanceMarketOptions": {"MarketType": "spot"},
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "fis", "Value": "conformance"}]}],
        },
        keep={"fis_instances": "Instances[].InstanceId"},
    ),
    Step(
        "fis", "ListActions", after=60,
        expect={"actions[?id=='aws:ec2:send-spot-instance-interruptions'].targets.SpotInstances.resourceType": ["aws:ec2:spot-instance"]},
    ),
    Step(
        "fis", "GetAction", {"id": "aws:ec2:stop-instances"},
        expect={"action.parameters.startInstancesAfterDuration.required": False, "action.targets.Instances.resourceType": "aws:ec2:instance"},
    ),
    Step("fis", "ListTargetResourceTypes", expect={"targetResourceTypes[?resourceType=='aws:ecs:task'] | length(@)": 1}),
    Step("fis", "GetTargetResourceType", {"resourceType": "aws:ecs:task"}, expect={"sort(keys(targetResourceType.parameters))": ["cluster", "service"]}),
    Step(
        "fis", "CreateExperimentTemplate", TEMPLATE,
        keep={"fis_template": "experimentTemplate.id", "fis_template_arn": "experimentTemplate.arn"},
        expect={
            "experimentTemplate.targets.Spot.selectionMode": "COUNT(2)",
            "experimentTemplate.actions.Interrupt.parameters": {"durationBeforeInterruption": "PT2M"},
            "experimentTemplate.stopConditions": NONE,
            "experimentTemplate.tags": {"purpose": "tests"},
        },
    ),
    Step("fis", "CreateExperimentTemplate", TEMPLATE, expect={"experimentTemplate.id": "$fis_template"}),
    Step("fis", "GetExperimentTemplate", {"id": "$fis_template"}, expect={"experimentTemplate.description": "interrupts two"}),
    Step(
        "fis", "UpdateExperimentTemplate", {"id": "$fis_template", "description": "still interrupts two"},
        expect={"experimentTemplate.description": "still interrupts two", "experimentTemplate.roleArn": ROLE},
    ),
    Step("fis", "ListExperimentTemplates", expect={"experimentTemplates[].id": ["$fis_template"]}),
    Step("fis", "TagResource", {"resourceArn": "$fis_template_arn", "tags": {"a b": "c/d"}}),
    Step("fis", "UntagResource", {"resourceArn": "$fis_template_arn", "tagKeys": ["purpose", "other"]}),
    Step("fis", "ListTagsForResource", {"resourceArn": "$fis_template_arn"}, expect={"tags": {"a b": "c/d"}}),
    Step(
        "fis", "StartExperiment", {"clientToken": "first", "experimentTemplateId": "$fis_template", "tags": {"run": "1"}},
        keep={"experiment": "experiment.id", "experiment_arn": "experiment.arn"},
        expect={"experiment.state": {"status": "initiating", "reason": "Experiment is initiating."}, "experiment.actions.Interrupt.state.status": "pending"},
    ),
    Step(
        "fis", "ListExperimentResolvedTargets", {"experimentId": "$experiment", "targetName": "Spot"}, after=5,
        expect={"resolvedTargets[].resourceType": ["aws:ec2:spot-instance"] * 2},
    ),
    Step(
        "fis", "GetExperiment", {"id": "$experiment"}, after=10,
        expect={
            "experiment.state": {"status": "completed", "reason": "Experiment completed"},
            "experiment.actions.Interrupt.state": {"status": "completed", "reason": "Action was completed."},
            "experiment.experimentOptions.actionsMode": "run-all",
        },
    ),
    Step(
        "ec2", "DescribeInstances", {"InstanceIds": "$fis_instances"}, after=180,
        expect={"sort(Reservations[].Instances[].State.Name)": ["running", "terminated", "terminated"]},
    ),
    Step("fis", "CreateExperimentTemplate", WAITING, keep={"waiting": "experimentTemplate.id"}),
    Step("fis", "StartExperiment", {"clientToken": "second", "experimentTemplateId": "$waiting"}, keep={"experiment2": "experiment.id"}),
    Step("fis", "ListExperiments", {"experimentTemplateId": "$waiting"}, expect={"experiments[].id": ["$experiment2"]}),
    Step("fis", "StopExperiment", {"id": "$experiment2"}, after=30, expect={"experiment.state.status": "stopping"}),
    Step("fis", "GetExperiment", {"id": "$experiment2"}, after=5, expect={"experiment.state.status": "stopped", "experiment.actions.Wait.state.status": "stopped"}),
    Step("fis", "GetSafetyLever", {"id": "default"}, expect={"safetyLever.state.status": "disengaged"}),
    Step(
        "fis", "UpdateSafetyLeverState", {"id": "default", "state": {"status": "engaged", "reason": "tests"}},
        expect={"safetyLever.state": {"status": "engaged", "reason": "tests"}},
    ),
    Step("fis", "UpdateSafetyLeverState", {"id": "default", "state": {"status": "disengaged", "reason": "over"}}),
]

NOTHING = {"id": "EXTnothing"}

ERRORS = {
    "fis": [
        ("CreateExperimentTemplate", {**WAITING, "clientToken": "a", "actions": {"A": {"actionId": "aws:nothing:at-all"}}}, "ValidationException"),
        ("CreateExperimentTemplate", {**WAITING, "clientToken": "a", "stopConditions": []}, "ValidationException"),
        ("CreateExperimentTemplate", {"clientToken": "a"}, "ValidationException"),
        ("CreateExperimentTemplate", {**WAITING, "clientToken": "conformance"}, "ConflictException"),
        ("StartExperiment", {"clientToken": "a", "experimentTemplateId": "EXTnothing"}, "ResourceNotFoundException"),
        ("StartExperiment", {"clientToken": "first", "experimentTemplateId": "$waiting"}, "ConflictException"),
        ("StopExperiment", {"id": "$experiment2"}, "ValidationException"),
        ("GetExperiment", NOTHING, "ResourceNotFoundException"),
        ("GetExperimentTemplate", NOTHING, "ResourceNotFoundException"),
        ("UpdateExperimentTemplate", {**NOTHING, "description": "a"}, "ResourceNotFoundException"),
        ("DeleteExperimentTemplate", NOTHING, "ResourceNotFoundException"),
        ("ListExperimentResolvedTargets", {"experimentId": "EXPnothing"}, "ResourceNotFoundException"),
        ("ListExperiments", {"maxResults": 101}, "ValidationException"),
        ("ListExperiments", {"nextToken": "nonsense"}, "ValidationException"),
        ("GetAction", {"id": "aws:nothing:at-all"}, "ResourceNotFoundException"),
        ("GetTargetResourceType", {"resourceType": "aws:nothing:here"}, "ResourceNotFoundException"),
        ("GetSafetyLever", {"id": "other"}, "ResourceNotFoundException"),
    ],
}

CLEAN = [
    Step("fis", "DeleteExperimentTemplate", {"id": "$fis_template"}, expect={"experimentTemplate.id": "$fis_template"}),
    Step("fis", "DeleteExperimentTemplate", {"id": "$waiting"}),
    Step("ec2", "TerminateInstances", {"InstanceIds": "$fis_instances"}),
]

UNCAUSED = {}
