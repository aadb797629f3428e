//! Dashboards and the pictures of their widgets.

use capstan_model::Span;
use capstan_shapes::ErrorMember;
use capstan_shapes::cloudwatch as shapes;
use serde_json::json;

use super::*;

/// What the workshop of the second seed shows: tasks that wait, and the reservation that follows.
fn body() -> serde_json::Value {
    json!({
        "start": "-PT1H",
        "widgets": [
            {"type": "text", "x": 0, "y": 0, "width": 24, "height": 1, "properties": {"markdown": "# Spot"}},
            {"type": "metric", "x": 0, "y": 1, "width": 12, "height": 6, "properties": {
                "region": "us-east-1", "title": "Tasks", "view": "timeSeries", "stacked": false, "period": 60,
                "metrics": [
                    ["ECS/ContainerInsights", "PendingTaskCount", "ClusterName", "c", "ServiceName", "s"],
                    [".", "RunningTaskCount", ".", ".", ".", ".", {"yAxis": "right", "stat": "Maximum"}],
                    ["...", {"id": "m3", "visible": false}],
                ],
                "yAxis": {"left": {"min": 0, "label": "Count"}},
                "annotations": {
                    "horizontal": [{"value": 11, "label": "waiting", "fill": "above"}, [{"value": 1}, {"value": 2, "label": "band"}]],
                    "vertical": [{"value": "2023-11-14T22:10:00Z", "label": "notice"}],
                },
            }},
        ],
    })
}

fn put_dashboard(name: &str, body: &serde_json::Value) -> shapes::PutDashboardRequest {
    shapes::PutDashboardRequest {
        dashboard_name: name.to_owned(),
        dashboard_body: body.to_string(),
        ..shapes::PutDashboardRequest::default()
    }
}

#[test]
fn a_dashboard_is_kept_as_it_was_put() {
    let mut engine = engine();
    let request = put_dashboard("EcsSpotWorkshop", &body());
    let text = request.dashboard_body.clone();
    let tags = Some(vec![shapes::Tag { key: "a".to_owned(), value: "b".to_owned() }]);
    let told = ok(&mut engine, shapes::PutDashboardRequest { tags, ..request.clone() });
    assert_eq!(told.dashboard_validation_messages, Some(Vec::new()));
    ok(&mut engine, put_dashboard("other", &json!({"widgets": []})));
    let get = |name: &str| shapes::GetDashboardRequest { dashboard_name: name.to_owned() };
    let got = ok(&mut engine, get("EcsSpotWorkshop"));
    assert_eq!(got.dashboard_body.as_ref(), Some(&text));
    let arn = got.dashboard_arn.unwrap_or_default();
    assert_eq!(arn, "arn:aws:cloudwatch::000000000000:dashboard/EcsSpotWorkshop");
    let tags = ok(&mut engine, shapes::ListTagsForResourceRequest { resource_arn: arn.clone() }).tags;
    assert_eq!(tags.map(|tags| tags.len()), Some(1));
    pass(&mut engine, Span::from_mins(1));
    ok(&mut engine, request);
    let prefix = Some("Ecs".to_owned());
    let listed = ok(
        &mut engine,
        shapes::ListDashboardsRequest {
            dashboard_name_prefix: prefix,
            ..shapes::ListDashboardsRequest::default()
        },
    );
    let entries = listed.dashboard_entries.unwrap_or_default();
    let entry = &entries[0];
    assert_eq!((entries.len(), entry.size), (1, Some(text.len() as i64)));
    assert_eq!(entry.last_modified, Some(engine.now()));
    let delete = shapes::DeleteDashboardsRequest {
        dashboard_names: vec!["none".to_owned(), "EcsSpotWorkshop".to_owned()],
    };
    refused(&mut engine, delete, "ResourceNotFound", "Dashboard none does not exist");
    refused(
        &mut engine,
        get("EcsSpotWorkshop"),
        "ResourceNotFound",
        "Dashboard EcsSpotWorkshop does not exist",
    );
    assert_eq!(engine.cloudwatch().dashboards().len(), 1);
}

#[test]
fn what_cannot_be_shown_is_refused_with_its_place() {
    let widget =
        |properties: serde_json::Value| json!({"widgets": [{"type": "metric", "properties": properties}]});
    let metrics = json!([["N", "M"]]);
    let cases = [
        (json!([]), "", "Should be object"),
        (json!({}), "", "Should have required property 'widgets'"),
        (json!({"widgets": 1}), "/widgets", "Should be array"),
        (json!({"widgets": [{"properties": {}}]}), "/widgets/0", "Should have required property 'type'"),
        (
            json!({"widgets": [{"type": "metric"}]}),
            "/widgets/0",
            "Should have required property 'properties'",
        ),
        (
            json!({"widgets": [{"type": "text", "properties": {}}]}),
            "/widgets/0/properties",
            "Should have required property 'markdown'",
        ),
        (
            json!({"widgets": [{"type": "text", "x": 1, "properties": {"markdown": ""}}]}),
            "/widgets/0",
            "Should have property y when property x is present",
        ),
        (
            json!({"widgets": [{"type": "text", "width": 25, "properties": {"markdown": ""}}]}),
            "/widgets/0/width",
            "Should be <= 24",
        ),
        (
            json!({"widgets": [], "end": "PT0H"}),
            "",
            "Should have property start when property end is present",
        ),
        (
            json!({"widgets": [], "start": "yesterday"}),
            "/start",
            "Should be an ISO 8601 timestamp or a relative time like -PT3H",
        ),
        (
            json!({"widgets": [], "periodOverride": "no"}),
            "/periodOverride",
            "Should be equal to one of the allowed values (auto, inherit)",
        ),
        (
            widget(json!({"metrics": metrics})),
            "/widgets/0/properties",
            "Should have required property 'region'",
        ),
        (widget(json!({"region": "r"})), "/widgets/0/properties", "Should have required property 'metrics'"),
        (
            widget(json!({"region": "r", "metrics": [["N"]]})),
            "/widgets/0/properties/metrics/0",
            "Should be a namespace, a metric name and pairs of dimension names and values, or an expression",
        ),
        (
            widget(json!({"region": "r", "metrics": metrics, "period": 61})),
            "/widgets/0/properties/period",
            "Should be 1, 5, 10, 20, 30 or a multiple of 60",
        ),
        (
            widget(json!({"region": "r", "metrics": metrics, "stat": "Best"})),
            "/widgets/0/properties/stat",
            "The statistic Best is not supported",
        ),
        (
            widget(
                json!({"region": "r", "metrics": metrics, "view": "gauge", "yAxis": {"left": {"min": 0}}}),
            ),
            "/widgets/0/properties/yAxis/left",
            "Should have required property 'max'",
        ),
        (
            json!({"widgets": [], "variables": [{"type": "property", "property": "region", "id": "a"}]}),
            "/variables/0",
            "Should have required property 'inputType'",
        ),
    ];
    for (body, path, message) in cases {
        let refusal = call(&mut engine(), put_dashboard("d", &body)).expect_err(&body.to_string());
        assert_eq!(refusal.code, "InvalidParameterInput");
        let wanted = vec![("DataPath", path.to_owned()), ("Message", message.to_owned())];
        let (name, told) = &refusal.members[0];
        assert_eq!(*name, "dashboardValidationMessages");
        assert_eq!(*told, ErrorMember::Records(vec![wanted]), "{body}");
    }
    refused(&mut engine(), put_dashboard("a b", &body()), "InvalidParameterInput", "alphanumerics");
    let text = shapes::PutDashboardRequest { dashboard_body: "{".to_owned(), ..put_dashboard("a", &body()) };
    refused(&mut engine(), text, "InvalidParameterInput", "must be a valid JSON object");
}

#[test]
fn what_is_merely_odd_is_told_and_stored() {
    let mut odd = body();
    odd["widgets"][1]["properties"]["colour"] = json!("red");
    odd["widgets"][1]["properties"]["metrics"][0] = json!(["N", "M", {"color": "red"}]);
    let mut engine = engine();
    let messages =
        ok(&mut engine, put_dashboard("odd", &odd)).dashboard_validation_messages.unwrap_or_default();
    let told: Vec<_> = messages.iter().map(|m| (m.data_path.as_deref(), m.message.as_deref())).collect();
    let expected = [
        (Some("/widgets/1/properties"), Some("Should NOT have additional properties (colour)")),
        (Some("/widgets/1/properties/metrics/0/2/color"), Some("Should match pattern ^#[0-9A-Fa-f]{6}$")),
    ];
    assert_eq!(told, expected);
    assert_eq!(engine.cloudwatch().dashboards().len(), 1);
}

fn image(widget: &serde_json::Value) -> shapes::GetMetricWidgetImageRequest {
    shapes::GetMetricWidgetImageRequest { metric_widget: widget.to_string(), output_format: None }
}

/// Width and height that the image's header tells.
fn size(png: &[u8]) -> Option<(u32, u32)> {
    let signature = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    let number = |from: usize| Some(u32::from_be_bytes(png.get(from..from + 4)?.try_into().ok()?));
    png.starts_with(&signature).then(|| Some((number(16)?, number(20)?)))?
}

#[test]
fn a_widget_becomes_a_picture_of_its_size() {
    let mut engine = engine();
    for value in [0.0, 3.0, 11.0, 11.0, 5.0] {
        minute(&mut engine, Some(value));
    }
    ok(&mut engine, alarm("high"));
    let arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:high";
    let metric = json!([["AWS/ECS/ManagedScaling", "CapacityProviderReservation", "ClusterName", "c", "CapacityProviderName", "cp", {"label": "now ${LAST}"}]]);
    let mut pictures = std::collections::BTreeSet::new();
    for widget in [
        json!({"metrics": metric, "period": 60}),
        json!({"metrics": metric, "period": 60, "annotations": {"alarms": [arn]}}),
        json!({"annotations": {"alarms": [arn]}}),
        json!({"metrics": metric, "period": 60, "view": "singleValue"}),
        json!({"metrics": metric, "period": 60, "view": "bar"}),
        json!({"metrics": metric, "period": 60, "view": "pie"}),
        json!({"metrics": metric, "period": 60, "view": "table"}),
        json!({"metrics": metric, "period": 60, "view": "gauge", "yAxis": {"left": {"min": 0, "max": 20}}}),
        json!({"metrics": metric, "period": 60, "start": "-PT10M", "end": "PT0H", "timezone": "+0530", "theme": "dark", "stacked": true}),
        json!({"metrics": [[{"expression": "SUM(METRICS())"}]]}),
        json!({}),
    ] {
        let answer =
            ok(&mut engine, image(&widget)).metric_widget_image.map(|blob| blob.0).unwrap_or_default();
        assert_eq!(size(&answer), Some((600, 400)), "{widget}");
        assert!(pictures.insert(answer), "{widget} looks like another");
    }
    let small = ok(&mut engine, image(&json!({"metrics": metric, "width": 320, "height": 90})));
    assert_eq!(size(&small.metric_widget_image.map(|blob| blob.0).unwrap_or_default()), Some((320, 90)));
}

#[test]
fn a_widget_that_cannot_be_drawn_is_refused() {
    let cases = [
        (json!([]), "Should be object"),
        (json!({"width": 2001}), "/width: Should be <= 2000"),
        (json!({"height": 0}), "/height: Should be >= 1"),
        (json!({"start": "PT1H", "end": "PT0H"}), "start must be before its end"),
        (json!({"metrics": vec![json!(["N", "M"]); 101]}), "at most 100 metrics"),
        (json!({"metrics": [["N", "M"]], "period": 1, "start": "-P10D"}), "use a longer period"),
        (json!({"timezone": "UTC"}), "/timezone"),
        (json!({"annotations": {"horizontal": [{"label": "x"}]}}), "/annotations/horizontal/0"),
    ];
    for (widget, message) in cases {
        refused(&mut engine(), image(&widget), "ValidationError", message);
    }
    let mut request = image(&json!({}));
    request.metric_widget = "{".to_owned();
    refused(&mut engine(), request, "ValidationError", "must be a valid JSON object");
    let mut request = image(&json!({}));
    request.output_format = Some("image/png".to_owned());
    refused(&mut engine(), request, "ValidationError", "OutputFormat");
}
