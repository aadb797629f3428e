"""CloudWatch, over the protocol that boto3 picks; `test_protocols.py` speaks the others."""

import json
from datetime import datetime, timedelta, timezone

from support.steps import Step

# Servers start at the time of the host's clock, and only move on.
NOW = datetime.now(timezone.utc).replace(second=0, microsecond=0)
START, END = NOW - timedelta(minutes=30), NOW + timedelta(hours=12)
METRIC = {"Namespace": "conformance", "MetricName": "latency"}
WINDOW = {"StartTime": START, "EndTime": END}
DIMENSIONS = [{"Name": "host", "Value": "a"}]
ALARM = {
    "AlarmName": "conformance", **METRIC, "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 10.0,
    "ComparisonOperator": "GreaterThanThreshold",
}

WIDGET = {
    "region": "us-east-1", "title": "Latency", "period": 60, "width": 640, "height": 320, "start": "-PT1H",
    "metrics": [["conformance", "latency", {"label": "all"}], [".", ".", "host", "a", {"yAxis": "right", "stat": "Maximum"}]],
    "yAxis": {"left": {"min": 0, "label": "Seconds"}}, "annotations": {"horizontal": [{"value": 3, "label": "slow"}]},
}
DASHBOARD = json.dumps({"widgets": [{"type": "metric", "x": 0, "y": 0, "width": 12, "height": 6,
                                     "properties": {key: value for key, value in WIDGET.items() if key not in ("width", "height", "start")}}]})
ODD_DASHBOARD = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "# hello", "colour": "red"}}]})
NO_WIDGETS = json.dumps({"widgets": [{"type": "metric", "properties": {"metrics": [["a", "b"]]}}]})

SOURCE = {"Id": "m", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Sum"}}

BUILD = [
    Step(
        "cloudwatch", "PutMetricData",
        {
            "Namespace": "conformance",
            "MetricData": [
                {"MetricName": "latency", "Value": 4.0, "Timestamp": NOW - timedelta(minutes=3), "Unit": "Seconds"},
                {"MetricName": "latency", "Values": [1.0, 2.0], "Counts": [3.0, 1.0], "Timestamp": NOW - timedelta(minutes=2), "Unit": "Seconds"},
                {"MetricName": "latency", "Dimensions": DIMENSIONS, "Timestamp": NOW - timedelta(minutes=2),
                 "StatisticValues": {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 5.5}},
            ],
        },
    ),
    Step(
        "cloudwatch", "GetMetricStatistics",
        {**METRIC, **WINDOW, "Period": 60, "Statistics": ["Average", "Sum", "SampleCount", "Minimum", "Maximum"]},
        expect={
            "Label": "latency",
            "sort_by(Datapoints, &SampleCount)[].[SampleCount, Sum, Average, Minimum, Maximum, Unit]":
                [[1.0, 4.0, 4.0, 4.0, 4.0, "Seconds"], [4.0, 5.0, 1.25, 1.0, 2.0, "Seconds"]],
        },
    ),
    Step(
        "cloudwatch", "GetMetricStatistics", {**METRIC, **WINDOW, "Dimensions": DIMENSIONS, "Period": 60, "Statistics": ["Average"]},
        expect={"Datapoints[].Average": [2.5]},
    ),
    Step(
        "cloudwatch", "GetMetricData",
        {**WINDOW, "MetricDataQueries": [{"Id": "m", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Sum"}}], "ScanBy": "TimestampAscending"},
        expect={"MetricDataResults[].[Id, Values, StatusCode]": [["m", [4.0, 5.0], "Complete"]]},
    ),
    Step("cloudwatch", "ListMetrics", {"Namespace": "conformance"}, expect={"sort_by(Metrics, &length(Dimensions))[].Dimensions": [[], DIMENSIONS]}),
    # Metric math: what is calculated of the metric, and an alarm on it.
    Step(
        "cloudwatch", "GetMetricData",
        {**WINDOW, "MetricDataQueries": [{**SOURCE, "ReturnData": False}, {"Id": "e", "Expression": "SUM([m, m]) / 2 - m", "Label": "nothing"}]},
        expect={"MetricDataResults[].[Id, Label, sum(Values)]": [["e", "nothing", 0.0]]},
    ),
    Step(
        "cloudwatch", "PutMetricAlarm",
        {"AlarmName": "calculated", "Metrics": [{**SOURCE, "ReturnData": False}, {"Id": "e", "Expression": "RATE(FILL(m, 0))"}], "EvaluationPeriods": 1,
         "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"},
    ),
    Step(
        "cloudwatch", "DescribeAlarms", {"AlarmNames": ["calculated"]},
        expect={"MetricAlarms[0].Metrics[].[Id, Expression, ReturnData]": [["m", None, False], ["e", "RATE(FILL(m, 0))", True]], "MetricAlarms[0].MetricName": None},
    ),
    Step("cloudwatch", "DeleteAlarms", {"AlarmNames": ["calculated"]}),
    Step("cloudwatch", "PutMetricAlarm", {**ALARM, "AlarmDescription": "slow", "Tags": [{"Key": "a", "Value": "b"}]}),
    Step(
        "cloudwatch", "PutMetricAlarm",
        {**ALARM, "AlarmName": "second", "DatapointsToAlarm": 2, "EvaluationPeriods": 3, "TreatMissingData": "notBreaching", "ActionsEnabled": False},
    ),
    Step(
        "cloudwatch", "DescribeAlarms", {"AlarmNames": ["conformance"]}, keep={"alarm_arn": "MetricAlarms[0].AlarmArn"},
        expect={"MetricAlarms[].[StateValue, Threshold, ActionsEnabled]": [["INSUFFICIENT_DATA", 10.0, True]]},
    ),
    Step("cloudwatch", "DescribeAlarmsForMetric", METRIC, expect={"sort(MetricAlarms[].AlarmName)": ["conformance", "second"]}),
    Step("cloudwatch", "SetAlarmState", {"AlarmName": "conformance", "StateValue": "ALARM", "StateReason": "by hand", "StateReasonData": "{}"}),
    Step("cloudwatch", "DescribeAlarms", {"StateValue": "ALARM", "AlarmNamePrefix": "conf"}, expect={"MetricAlarms[].StateReason": ["by hand"]}),
    Step("cloudwatch", "PutCompositeAlarm", {"AlarmName": "conformance-either", "AlarmRule": 'ALARM("conformance") OR FALSE', "AlarmDescription": "any"}),
    Step(
        "cloudwatch", "DescribeAlarms", {"AlarmTypes": ["CompositeAlarm"]},
        expect={"CompositeAlarms[].[AlarmName, StateValue, AlarmDescription]": [["conformance-either", "ALARM", "any"]], "MetricAlarms": []},
    ),
    Step(
        "cloudwatch", "DescribeAlarmHistory", {"AlarmName": "conformance-either", "AlarmTypes": ["CompositeAlarm"], "HistoryItemType": "StateUpdate"},
        expect={"AlarmHistoryItems[].HistorySummary": ["Alarm updated from INSUFFICIENT_DATA to ALARM"]},
    ),
    Step("cloudwatch", "DescribeAlarmHistory", {"AlarmName": "conformance", "HistoryItemType": "StateUpdate"}, expect={"length(AlarmHistoryItems)": 1}),
    Step("cloudwatch", "DisableAlarmActions", {"AlarmNames": ["conformance"]}),
    Step("cloudwatch", "DescribeAlarms", {"AlarmNames": ["conformance"]}, expect={"MetricAlarms[].ActionsEnabled": [False]}),
    Step("cloudwatch", "EnableAlarmActions", {"AlarmNames": ["conformance"]}),
    Step("cloudwatch", "TagResource", {"ResourceARN": "$alarm_arn", "Tags": [{"Key": "c", "Value": "d"}]}),
    Step("cloudwatch", "UntagResource", {"ResourceARN": "$alarm_arn", "TagKeys": ["a"]}),
    Step("cloudwatch", "ListTagsForResource", {"ResourceARN": "$alarm_arn"}, expect={"Tags": [{"Key": "c", "Value": "d"}]}),
    Step(
        "cloudwatch", "PutDashboard", {"DashboardName": "conformance", "DashboardBody": DASHBOARD, "Tags": [{"Key": "a", "Value": "b"}]},
        expect={"DashboardValidationMessages": []},
    ),
    Step(
        "cloudwatch", "PutDashboard", {"DashboardName": "odd", "DashboardBody": ODD_DASHBOARD},
        expect={"DashboardValidationMessages[].DataPath": ["/widgets/0/properties"]},
    ),
    Step(
        "cloudwatch", "GetDashboard", {"DashboardName": "conformance"}, keep={"dashboard_arn": "DashboardArn"},
        expect={"[DashboardName, DashboardBody]": ["conformance", DASHBOARD]},
    ),
    Step(
        "cloudwatch", "ListDashboards", {"DashboardNamePrefix": "conf"},
        expect={"DashboardEntries[].[DashboardName, Size]": [["conformance", len(DASHBOARD)]]},
    ),
    Step("cloudwatch", "ListTagsForResource", {"ResourceARN": "$dashboard_arn"}, expect={"Tags": [{"Key": "a", "Value": "b"}]}),
    Step("cloudwatch", "GetMetricWidgetImage", {"MetricWidget": json.dumps(WIDGET), "OutputFormat": "png"}),
]

NO_ALARM = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:none"

ERRORS = {
    "cloudwatch": [
        ("PutMetricData", {"Namespace": "conformance", "MetricData": [{"MetricName": "x", "Value": float("nan")}]}, "InvalidParameterValue"),
        ("PutMetricData", {"Namespace": "AWS/EC2", "MetricData": [{"MetricName": "x", "Value": 1.0}]}, "InvalidParameterValue"),
        ("PutMetricData", {"Namespace": "conformance", "MetricData": [{"MetricName": "x", "Value": 1.0, "Values": [1.0]}]}, "InvalidParameterCombination"),
        ("PutMetricData", {"Namespace": "conformance", "MetricData": [{"MetricName": "x"}]}, "MissingParameter"),
        ("GetMetricStatistics", {**METRIC, **WINDOW, "Period": 60}, "InvalidParameterCombination"),
        ("GetMetricStatistics", {**METRIC, **WINDOW, "Period": 7, "Statistics": ["Sum"]}, "InvalidParameterValue"),
        ("GetMetricStatistics", {**METRIC, "StartTime": END, "EndTime": START, "Period": 60, "Statistics": ["Sum"]}, "InvalidParameterValue"),
        ("GetMetricStatistics", {**METRIC, "StartTime": NOW - timedelta(days=400), "EndTime": END, "Period": 60, "Statistics": ["Sum"]}, "InvalidParameterCombination"),
        ("GetMetricData", {**WINDOW, "MetricDataQueries": [{"Id": "m", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Sum"}}], "NextToken": "not ours"}, "InvalidNextToken"),
        ("GetMetricData", {**WINDOW, "MetricDataQueries": []}, "ValidationError"),
        ("GetMetricData", {**WINDOW, "MetricDataQueries": [{"Id": "e", "Expression": "1 +"}]}, "ValidationError"),
        ("GetMetricData", {**WINDOW, "MetricDataQueries": [{"Id": "e", "Expression": "SEARCH('x', 'Sum')"}]}, "ValidationError"),
        ("PutMetricAlarm", {"AlarmName": "x", "Metrics": [SOURCE, {**SOURCE, "Id": "n"}], "EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "LessThanThreshold"}, "ValidationError"),
        ("ListMetrics", {"NextToken": "not ours"}, "InvalidParameterValue"),
        ("PutMetricAlarm", {**ALARM, "Period": 7}, "ValidationError"),
        ("PutMetricAlarm", {**ALARM, "EvaluationPeriods": 0}, "ValidationError"),
        ("PutMetricAlarm", {**ALARM, "ComparisonOperator": "Roughly"}, "ValidationError"),
        ("PutMetricAlarm", {"AlarmName": "x"}, "ValidationError"),
        ("PutCompositeAlarm", {"AlarmName": "x", "AlarmRule": "ALARM(none)"}, "ValidationError"),
        ("PutCompositeAlarm", {"AlarmName": "x", "AlarmRule": "ALARM("}, "ValidationError"),
        ("DescribeAlarms", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DescribeAlarmHistory", {"NextToken": "not ours"}, "InvalidNextToken"),
        ("DeleteAlarms", {"AlarmNames": ["none"]}, "ResourceNotFound"),
        ("SetAlarmState", {"AlarmName": "none", "StateValue": "OK", "StateReason": "x"}, "ResourceNotFound"),
        ("SetAlarmState", {"AlarmName": "conformance", "StateValue": "OK", "StateReason": "x", "StateReasonData": "{"}, "InvalidFormat"),
        ("SetAlarmState", {"AlarmName": "conformance", "StateValue": "FINE", "StateReason": "x"}, "ValidationError"),
        ("PutDashboard", {"DashboardName": "a b", "DashboardBody": DASHBOARD}, "InvalidParameterInput"),
        ("PutDashboard", {"DashboardName": "a", "DashboardBody": "nonsense"}, "InvalidParameterInput"),
        ("PutDashboard", {"DashboardName": "a", "DashboardBody": NO_WIDGETS}, "InvalidParameterInput"),
        ("GetDashboard", {"DashboardName": "none"}, "ResourceNotFound"),
        ("GetDashboard", {"DashboardName": "a b"}, "InvalidParameterValue"),
        ("ListDashboards", {"NextToken": "not ours"}, "InvalidParameterValue"),
        ("DeleteDashboards", {"DashboardNames": []}, "InvalidParameterValue"),
        ("GetMetricWidgetImage", {"MetricWidget": "nonsense"}, "ValidationError"),
        ("GetMetricWidgetImage", {"MetricWidget": '{"width": 9999}'}, "ValidationError"),
        ("GetMetricWidgetImage", {"MetricWidget": "{}", "OutputFormat": "gif"}, "ValidationError"),
        ("TagResource", {"ResourceARN": NO_ALARM, "Tags": [{"Key": "a", "Value": "b"}]}, "ResourceNotFoundException"),
        ("TagResource", {"ResourceARN": "nonsense", "Tags": [{"Key": "a", "Value": "b"}]}, "InvalidParameterValue"),
        ("UntagResource", {"ResourceARN": NO_ALARM, "TagKeys": ["a"]}, "ResourceNotFoundException"),
        ("UntagResource", {"ResourceARN": "nonsense", "TagKeys": ["a"]}, "InvalidParameterValue"),
        ("ListTagsForResource", {"ResourceARN": NO_ALARM}, "ResourceNotFoundException"),
        ("ListTagsForResource", {"ResourceARN": "nonsense"}, "InvalidParameterValue"),
    ],
}

UNCAUSED = {
    "cloudwatch": {
        "InternalServiceError": "the server does not fail",
        "InternalServiceFault": "the server does not fail",
        "ConcurrentModificationException": "requests come one after the other",
        "ConflictException": "requests come one after the other",
    }
}

CLEAN = [
    Step("cloudwatch", "DeleteDashboards", {"DashboardNames": ["conformance", "odd"]}),
    Step("cloudwatch", "DeleteAlarms", {"AlarmNames": ["conformance-either"]}),
    Step("cloudwatch", "DeleteAlarms", {"AlarmNames": ["conformance", "second"]}),
]
