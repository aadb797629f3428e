"""CloudFormation: stacks of resources that are there at once."""

import json

from support.steps import Step

QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": {"Ref": "Name"}, "DelaySeconds": {"Ref": "Delay"}}}
TEMPLATE = {
    "Description": "A queue",
    "Parameters": {"Name": {"Type": "String", "Default": "conformance-stack"}, "Delay": {"Type": "Number", "Default": 0}},
    "Resources": {"Queue": QUEUE},
    "Outputs": {"Url": {"Value": {"Ref": "Queue"}, "Export": {"Name": "conformance-url"}}},
}
BODY = json.dumps(TEMPLATE)
STACK = {"StackName": "conformance"}
POLICY = json.dumps({"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]})
# A queue that waits for signals: it stays in CREATE_IN_PROGRESS.
WAITS = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "CreationPolicy": {"ResourceSignal": {"Count": 2, "Timeout": "PT1H"}}}}})
FAILS = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "not a name"}}}})


def group(days, **more):
    """A log group, and what else there is."""
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "conformance-stack", "RetentionInDays": days}}
    return json.dumps({"Resources": {"Group": group, **more}})


def queue(name, **more):
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name, **more}}


IMPORTS = json.dumps({"Resources": {"Queue": queue("conformance-imports", Tags=[{"Key": "of", "Value": {"Fn::ImportValue": "conformance-url"}}])}})
READS = [
    Step(
        "cloudformation", "ValidateTemplate", {"TemplateBody": BODY},
        expect={"[Description, Parameters[0].[ParameterKey, DefaultValue, NoEcho]]": ["A queue", ["Name", "conformance-stack", False]]},
    ),
    Step("cloudformation", "GetTemplate", STACK, expect={"[TemplateBody.Description, StagesAvailable]": ["A queue", ["Original", "Processed"]]}),
    Step(
        "cloudformation", "GetTemplateSummary", STACK,
        expect={"[ResourceTypes, ResourceIdentifierSummaries[0].ResourceIdentifiers]": [["AWS::SQS::Queue"], ["QueueUrl"]]},
    ),
    Step("cloudformation", "ListExports", {}, expect={"Exports[?Name=='conformance-url'].ExportingStackId": ["$stack"]}),
    Step("cloudformation", "CreateStack", {"StackName": "conformance-imports", "TemplateBody": IMPORTS}),
    Step("cloudformation", "ListImports", {"ExportName": "conformance-url"}, expect={"Imports": ["conformance-imports"]}),
    Step("cloudformation", "DeleteStack", {"StackName": "conformance-imports"}),
]

REVIEWED = {"StackName": "conformance-reviewed"}
FIRST = json.dumps({"Resources": {"Queue": queue("conformance-first"), "Goes": queue("conformance-goes")}})
SECOND = json.dumps({"Resources": {"Queue": queue("conformance-second"), "New": queue("conformance-new", DelaySeconds=1)}})
CHANGE_SETS = [
    Step("cloudformation", "CreateChangeSet", {**REVIEWED, "ChangeSetName": "first", "ChangeSetType": "CREATE", "TemplateBody": FIRST}, keep={"first": "Id"}),
    Step("cloudformation", "DescribeStacks", REVIEWED, expect={"Stacks[0].StackStatus": "REVIEW_IN_PROGRESS"}),
    Step("cloudformation", "ListChangeSets", REVIEWED, expect={"Summaries[].[ChangeSetName, ExecutionStatus]": [["first", "AVAILABLE"]]}),
    Step("cloudformation", "ExecuteChangeSet", {"ChangeSetName": "$first", "DisableRollback": False}),
    Step("cloudformation", "DescribeStacks", REVIEWED, expect={"Stacks[0].[StackStatus, ChangeSetId]": ["CREATE_COMPLETE", "$first"]}),
    Step("cloudformation", "CreateChangeSet", {**REVIEWED, "ChangeSetName": "same", "TemplateBody": FIRST}),
    Step(
        "cloudformation", "DescribeChangeSet", {**REVIEWED, "ChangeSetName": "same"},
        expect={"[Status, ExecutionStatus, starts_with(StatusReason, `\"The submitted information didn't contain changes.\"`)]": ["FAILED", "UNAVAILABLE", True]},
    ),
    Step("cloudformation", "CreateChangeSet", {**REVIEWED, "ChangeSetName": "second", "ChangeSetType": "UPDATE", "TemplateBody": SECOND}),
    Step(
        "cloudformation", "DescribeChangeSet", {**REVIEWED, "ChangeSetName": "second", "IncludePropertyValues": True},
        expect={
            "Changes[].ResourceChange.[LogicalResourceId, Action, Replacement]": [["Goes", "Remove", None], ["New", "Add", None], ["Queue", "Modify", "True"]],
            "Changes[2].ResourceChange.Details[0].Target.[Name, RequiresRecreation, BeforeValue, AfterValue]":
                ["QueueName", "Always", "conformance-first", "conformance-second"],
        },
    ),
    Step("cloudformation", "GetTemplate", {**REVIEWED, "ChangeSetName": "second"}),
    Step("cloudformation", "DeleteChangeSet", {**REVIEWED, "ChangeSetName": "second"}),
    Step("cloudformation", "DeleteChangeSet", {**REVIEWED, "ChangeSetName": "second"}),
]

BUILD = [
    Step("cloudformation", "CreateStack", {**STACK, "TemplateBody": BODY, "Tags": [{"Key": "a", "Value": "b"}], "EnableTerminationProtection": True}, keep={"stack": "StackId"}),
    Step(
        "cloudformation", "DescribeStacks", STACK,
        expect={"Stacks[0].[StackId, StackStatus, Outputs[0].ExportName, Tags[0].Value]": ["$stack", "CREATE_COMPLETE", "conformance-url", "b"]},
    ),
    Step("cloudformation", "ListStacks", {"StackStatusFilter": ["CREATE_COMPLETE"]}, expect={"StackSummaries[?StackName=='conformance'].StackId": ["$stack"]}),
    Step("cloudformation", "DescribeStackEvents", STACK, expect={"StackEvents[0].ResourceStatus": "CREATE_COMPLETE", "StackEvents[-1].ResourceStatusReason": "User Initiated"}),
    Step("cloudformation", "DescribeStackResource", {**STACK, "LogicalResourceId": "Queue"}, expect={"StackResourceDetail.ResourceStatus": "CREATE_COMPLETE"}),
    Step("cloudformation", "DescribeStackResources", STACK, expect={"StackResources[].LogicalResourceId": ["Queue"]}),
    Step("cloudformation", "ListStackResources", STACK, expect={"StackResourceSummaries[].ResourceType": ["AWS::SQS::Queue"]}),
    Step("cloudformation", "SetStackPolicy", {**STACK, "StackPolicyBody": POLICY}),
    Step("cloudformation", "GetStackPolicy", STACK, expect={"StackPolicyBody": POLICY}),
    Step(
        "cloudformation", "UpdateStack",
        {**STACK, "UsePreviousTemplate": True, "Parameters": [{"ParameterKey": "Name", "UsePreviousValue": True}, {"ParameterKey": "Delay", "ParameterValue": "5"}]},
        expect={"StackId": "$stack"},
    ),
    Step("cloudformation", "DescribeStacks", STACK, expect={"Stacks[0].StackStatus": "UPDATE_COMPLETE"}),
    Step("cloudformation", "UpdateTerminationProtection", {**STACK, "EnableTerminationProtection": False}, expect={"StackId": "$stack"}),
    *READS,
    *CHANGE_SETS,
    Step("cloudformation", "CreateStack", {"StackName": "conformance-waits", "TemplateBody": WAITS, "OnFailure": "DO_NOTHING"}),
    Step("cloudformation", "SignalResource", {"StackName": "conformance-waits", "LogicalResourceId": "Queue", "UniqueId": "i-1", "Status": "SUCCESS"}),
    Step("cloudformation", "CreateStack", {"StackName": "conformance-fails", "TemplateBody": FAILS, "OnFailure": "DO_NOTHING"}, keep={"fails": "StackId"}),
    Step("cloudformation", "RollbackStack", {"StackName": "conformance-fails"}, expect={"StackId": "$fails"}),
    # An update that waits; then what it has changed goes away, so that it cannot be taken back.
    Step("cloudformation", "CreateStack", {"StackName": "conformance-stuck", "TemplateBody": group(1)}),
    Step(
        "cloudformation", "UpdateStack",
        {"StackName": "conformance-stuck", "TemplateBody": group(7, Queue={**json.loads(WAITS)["Resources"]["Queue"], "DependsOn": "Group"})},
    ),
    Step("logs", "DeleteLogGroup", {"logGroupName": "conformance-stack"}),
    Step("cloudformation", "CancelUpdateStack", {"StackName": "conformance-stuck"}),
    Step("cloudformation", "DescribeStacks", {"StackName": "conformance-stuck"}, expect={"Stacks[0].StackStatus": "UPDATE_ROLLBACK_FAILED"}),
    Step("cloudformation", "ContinueUpdateRollback", {"StackName": "conformance-stuck", "ResourcesToSkip": ["Group"]}),
    Step("cloudformation", "DescribeStacks", {"StackName": "conformance-stuck"}, expect={"Stacks[0].StackStatus": "UPDATE_ROLLBACK_COMPLETE"}),
]

NONE = {"StackName": "none"}
MANY = json.dumps({"Resources": {f"Queue{n}": {"Type": "AWS::SQS::Queue"} for n in range(501)}})

ERRORS = {
    "cloudformation": [
        ("DescribeStacks", NONE, "ValidationError"),
        ("DescribeStackEvents", NONE, "ValidationError"),
        ("DescribeStackResource", {**STACK, "LogicalResourceId": "None"}, "ValidationError"),
        ("UpdateStack", {**NONE, "TemplateBody": BODY}, "ValidationError"),
        ("CreateStack", {**STACK, "TemplateBody": BODY}, "AlreadyExistsException"),
        ("CreateStack", {**NONE, "TemplateBody": "{"}, "ValidationError"),
        ("CreateStack", {**NONE, "TemplateBody": MANY}, "ValidationError"),
        ("CreateStack", {**NONE, "TemplateBody": '{"Resources": {"A": {"Type": "AWS::Nothing::Here"}}}'}, "ValidationError"),
        ("CreateStack", {**NONE, "TemplateBody": '{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}'}, "InsufficientCapabilitiesException"),
        ("UpdateStack", {**STACK, "TemplateBody": '{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}'}, "InsufficientCapabilitiesException"),
        ("ValidateTemplate", {"TemplateBody": "{"}, "ValidationError"),
        ("GetTemplate", NONE, "ValidationError"),
        ("GetTemplate", {**REVIEWED, "ChangeSetName": "none"}, "ChangeSetNotFound"),
        ("GetTemplateSummary", {"StackSetName": "none"}, "StackSetNotFoundException"),
        ("ListImports", {"ExportName": "none"}, "ValidationError"),
        ("CreateChangeSet", {**NONE, "ChangeSetName": "a", "TemplateBody": FIRST}, "ValidationError"),
        ("CreateChangeSet", {**REVIEWED, "ChangeSetName": "same", "TemplateBody": FIRST}, "AlreadyExistsException"),
        ("CreateChangeSet", {**NONE, "ChangeSetName": "a", "ChangeSetType": "IMPORT", "TemplateBody": FIRST}, "ValidationError"),
        ("CreateChangeSet", {**STACK, "ChangeSetName": "a", "TemplateBody": '{"Resources": {"A": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}}'}, "InsufficientCapabilitiesException"),
        ("DescribeChangeSet", {**REVIEWED, "ChangeSetName": "none"}, "ChangeSetNotFound"),
        ("DescribeChangeSet", {"ChangeSetName": "none"}, "ValidationError"),
        ("ListChangeSets", NONE, "ValidationError"),
        ("ExecuteChangeSet", {**REVIEWED, "ChangeSetName": "none"}, "ChangeSetNotFound"),
        ("ExecuteChangeSet", {**REVIEWED, "ChangeSetName": "same"}, "InvalidChangeSetStatus"),
        ("CancelUpdateStack", STACK, "ValidationError"),
        ("ContinueUpdateRollback", STACK, "ValidationError"),
        ("RollbackStack", STACK, "ValidationError"),
    ],
}

UNCAUSED = {
    "cloudformation": {
        "LimitExceededException": "2,000 stacks",
        "TokenAlreadyExistsException": "client request tokens are shown with the events, and not remembered",
    }
}

CLEAN = [
    *[Step("cloudformation", "DeleteStack", {"StackName": f"conformance-{name}"}) for name in ("waits", "fails", "stuck", "reviewed")],
    Step("cloudformation", "DeleteStack", STACK),
    Step("cloudformation", "DescribeStacks", {"StackName": "$stack"}, expect={"Stacks[0].StackStatus": "DELETE_COMPLETE"}),
]
