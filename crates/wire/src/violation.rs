//! Broken constraints in the words of each service.

use capstan_shapes::{Constraint, Kind, Protocol, Refusal, Schema, Service, Step, Violation};

use crate::rest_xml;

/// The refusal for at least one violation.
///
/// Most services share one text and differ in the code (service models and answers seen). EC2 has its own texts and
/// names only the first. ECS's code is our reading.
pub(crate) fn refusal(service: &Service, violations: &[Violation]) -> Refusal {
    let missing = violations.iter().find(|violation| matches!(violation.constraint, Constraint::Required));
    match (service.name, missing.or_else(|| violations.first())) {
        ("ec2", Some(violation)) => ec2(violation),
        ("cloudwatch", Some(violation)) if matches!(violation.constraint, Constraint::Required) => {
            let name = path(violation, |member| member.name.to_owned());
            let mut refusal = Refusal::new("MissingParameter", format!("The parameter {name} is required."));
            refusal.shape = "MissingRequiredParameterException".into();
            refusal
        }
        ("s3", Some(violation)) => s3(violation),
        ("sqs", Some(violation)) => sqs(violation),
        ("cloudtrail", Some(violation)) => cloudtrail(violation, violations),
        ("ecr" | "ecs" | "logs", _) => Refusal::new("InvalidParameterException", common(violations)),
        // Services of the query protocol say it so, those of JSON so.
        _ if service.protocols.contains(&Protocol::AwsQuery) => {
            Refusal::new("ValidationError", common(violations))
        }
        _ => Refusal::new("ValidationException", common(violations)),
    }
}

/// `2 validation errors detected: Value null at 'family' failed to satisfy constraint: Member must not be null; …`
fn common(violations: &[Violation]) -> String {
    let each = violations.iter().map(|violation| {
        let value = violation.value.as_ref().map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
        let path = path(violation, |member| lower_initial(member.wire));
        let text = text(&violation.constraint);
        format!("Value {value} at '{path}' failed to satisfy constraint: {text}")
    });
    let plural = if violations.len() == 1 { "error" } else { "errors" };
    format!("{} validation {plural} detected: {}", violations.len(), each.collect::<Vec<_>>().join("; "))
}

fn text(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Enum(values) => format!("Member must satisfy enum value set: [{}]", values.join(", ")),
        Constraint::Items(schema) => format!("Member must satisfy constraint: [{}]", all(schema)),
        Constraint::Keys(schema) => format!("Map keys must satisfy constraint: [{}]", all(schema)),
        Constraint::MaxLength(max) => format!("Member must have length less than or equal to {max}"),
        Constraint::MaxValue(max) => format!("Member must have value less than or equal to {max}"),
        Constraint::MinLength(min) => format!("Member must have length greater than or equal to {min}"),
        Constraint::MinValue(min) => format!("Member must have value greater than or equal to {min}"),
        Constraint::Pattern(pattern) => {
            format!("Member must satisfy regular expression pattern: {pattern}")
        }
        Constraint::Required => "Member must not be null".to_owned(),
        Constraint::Values(schema) => format!("Map value must satisfy constraint: [{}]", all(schema)),
    }
}

/// Every constraint of a schema, as it stands in the brackets of a message about a list or a map.
fn all(schema: &Schema) -> String {
    let mut found = Vec::new();
    match &schema.kind {
        Kind::Text { values, .. } if !values.is_empty() => found.push(Constraint::Enum(values)),
        Kind::Text { min, max, pattern, .. } => {
            found.extend(max.map(Constraint::MaxLength));
            found.extend(min.map(Constraint::MinLength));
            found.extend((!pattern.is_empty()).then_some(Constraint::Pattern(pattern)));
        }
        Kind::Blob { min, max } => {
            found.extend(max.map(Constraint::MaxLength));
            found.extend(min.map(Constraint::MinLength));
        }
        Kind::Int { min, max, .. } | Kind::Float { min, max } => {
            found.extend(max.map(Constraint::MaxValue));
            found.extend(min.map(Constraint::MinValue));
        }
        _ => {}
    }
    found.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn path(violation: &Violation, name: impl Fn(&capstan_shapes::Member) -> String) -> String {
    let steps = violation.path.iter().map(|step| match step {
        Step::Member(member) => name(member),
        Step::Item(number) => format!("{number}.member"),
        Step::Key(key) => format!("{key}.member"),
    });
    steps.collect::<Vec<_>>().join(".")
}

/// CloudTrail has a code for each member of LookupEvents that can be wrong.
fn cloudtrail(violation: &Violation, violations: &[Violation]) -> Refusal {
    let first = violation.path.first().map(|step| match step {
        Step::Member(member) => member.name,
        _ => "",
    });
    let code = match first {
        Some("EventCategory") => "InvalidEventCategoryException",
        Some("LookupAttributes") => "InvalidLookupAttributesException",
        Some("MaxResults") => "InvalidMaxResultsException",
        _ => "ValidationException",
    };
    Refusal::new(code, common(violations))
}

/// SQS: an unknown attribute has a code of its own.
fn sqs(violation: &Violation) -> Refusal {
    let name = path(violation, |member| member.name.to_owned());
    let (code, shape, message) = match &violation.constraint {
        Constraint::Required => {
            let message = format!("The request must contain the parameter {name}.");
            ("MissingParameter", "MissingRequiredParameterException", message)
        }
        Constraint::Items(schema) | Constraint::Keys(schema) if schema.name.ends_with("AttributeName") => {
            let value = violation.value.as_deref().unwrap_or_default();
            ("InvalidAttributeName", "InvalidAttributeName", format!("Unknown Attribute {value}."))
        }
        other => {
            let value = violation.value.as_deref().unwrap_or_default();
            let message = format!("Value {value} for parameter {name} is invalid. {}.", text(other));
            ("InvalidParameterValue", "InvalidParameterValueException", message)
        }
    };
    let mut refusal = Refusal::new(code, message);
    refusal.shape = shape.into();
    refusal
}

/// S3 tells what is wrong with a document and what is wrong outside of one (S3 error responses).
fn s3(violation: &Violation) -> Refusal {
    let Some(Step::Member(member)) = violation.path.first() else { return rest_xml::malformed() };
    let is_document = matches!(member.schema.kind, Kind::Record { .. });
    match &violation.constraint {
        Constraint::Required if violation.path.len() == 1 && is_document => {
            Refusal::new("MissingRequestBodyError", "Request Body is empty")
        }
        _ if matches!(violation.path.last(), Some(Step::Member(member)) if member.name == "LocationConstraint") => {
            Refusal::new("InvalidLocationConstraint", "The specified location-constraint is not valid")
        }
        _ if is_document => rest_xml::malformed(),
        Constraint::Required => {
            Refusal::new("InvalidRequest", format!("Missing required parameter: {}.", member.wire))
        }
        other => {
            let value = violation.value.clone().unwrap_or_default();
            Refusal::new(
                "InvalidArgument",
                format!("The value of {} is invalid. {}.", member.wire, text(other)),
            )
            .with_member("ArgumentName", vec![member.wire.to_owned()])
            .with_member("ArgumentValue", vec![value])
        }
    }
}

fn lower_initial(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// EC2: `MissingParameter` names what is missing; anything else is an `InvalidParameterValue`.
fn ec2(violation: &Violation) -> Refusal {
    let name = path(violation, |member| member.ec2.to_owned()).replace(".member", "");
    let value = violation.value.as_deref().unwrap_or_default();
    let rule = match &violation.constraint {
        Constraint::Required => {
            let message = format!("The request must contain the parameter {name}");
            return Refusal::new("MissingParameter", message);
        }
        Constraint::MinValue(min) => format!("Expecting a value greater than {min}."),
        Constraint::MaxValue(max) => format!("Expecting a value less than {max}."),
        Constraint::Enum(values) => format!("Expecting one of {}.", values.join(", ")),
        other => format!("{}.", text(other)),
    };
    Refusal::new(
        "InvalidParameterValue",
        format!("Value ( {value} ) for parameter {} is invalid. {rule}", lower_initial(&name)),
    )
}
