//! Policy documents: what IAM refuses at once, and how it shows them.

use capstan_shapes::{Refusal, iam as shapes};
use serde_json::Value as Json;

/// Whose document it is, which decides about principals and resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Says who may assume a role.
    Trust,
    /// Says what an identity may do.
    Permission,
}

/// Holds a document against the grammar (IAM guide, grammar of the policy language). The texts are IAM's.
pub(super) fn check(text: &str, purpose: Purpose) -> Result<(), Refusal> {
    let malformed =
        |message: &str| Err(Refusal::of(&shapes::MALFORMED_POLICY_DOCUMENT_EXCEPTION, message.to_owned()));
    let Ok(Json::Object(document)) = serde_json::from_str::<Json>(text) else {
        return malformed(match purpose {
            Purpose::Trust => "This policy contains invalid Json",
            Purpose::Permission => "Syntax errors in policy.",
        });
    };
    match document.get("Version") {
        None => {}
        Some(Json::String(version)) if ["2012-10-17", "2008-10-17"].contains(&version.as_str()) => {}
        Some(_) => return malformed("The policy must contain a valid version string"),
    }
    if document.keys().any(|key| !["Version", "Id", "Statement"].contains(&key.as_str())) {
        return malformed("Syntax errors in policy.");
    }
    let statements = match document.get("Statement") {
        Some(Json::Array(statements)) => statements.iter().collect(),
        Some(statement @ Json::Object(_)) => vec![statement],
        _ => return malformed("Syntax errors in policy."),
    };
    let mut sids: Vec<&str> = statements
        .iter()
        .filter_map(|each| each.get("Sid")?.as_str())
        .filter(|sid| !sid.is_empty())
        .collect();
    let all = sids.len();
    sids.sort_unstable();
    sids.dedup();
    if sids.len() < all {
        return malformed("Statement IDs (SID) in a single policy must be unique.");
    }
    for statement in statements {
        if let Some(message) = fault(statement, purpose) {
            return malformed(message);
        }
    }
    Ok(())
}

fn fault(statement: &Json, purpose: Purpose) -> Option<&'static str> {
    const ELEMENTS: [&str; 9] = [
        "Action",
        "Condition",
        "Effect",
        "NotAction",
        "NotPrincipal",
        "NotResource",
        "Principal",
        "Resource",
        "Sid",
    ];
    let Some(statement) = statement.as_object() else { return Some("Syntax errors in policy.") };
    if statement.keys().any(|key| !ELEMENTS.contains(&key.as_str())) {
        return Some("Syntax errors in policy.");
    }
    let has = |names: [&str; 2]| names.iter().any(|name| statement.contains_key(*name));
    if !matches!(statement.get("Effect").and_then(Json::as_str), Some("Allow" | "Deny")) {
        return Some("Syntax errors in policy.");
    }
    if statement.get("Condition").is_some_and(|condition| !condition.is_object()) {
        return Some("Syntax errors in policy.");
    }
    match purpose {
        Purpose::Trust if has(["Resource", "NotResource"]) => return Some("Has prohibited field Resource"),
        Purpose::Trust if !has(["Principal", "NotPrincipal"]) => {
            return Some("Missing required field Principal");
        }
        Purpose::Permission if has(["Principal", "NotPrincipal"]) => {
            return Some("Policy document should not specify a principal.");
        }
        _ => {}
    }
    if !has(["Action", "NotAction"]) {
        return Some(match purpose {
            Purpose::Trust => "Missing required field Action",
            Purpose::Permission => "Policy statement must contain actions.",
        });
    }
    let actions = ["Action", "NotAction"].into_iter().filter_map(|name| statement.get(name));
    for action in actions.flat_map(texts) {
        match action {
            Some("*") => {}
            Some(action)
                if action
                    .split_once(':')
                    .is_some_and(|(vendor, name)| !vendor.is_empty() && !name.is_empty()) => {}
            Some(_) => {
                return Some("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
            }
            None => return Some("Syntax errors in policy."),
        }
    }
    if purpose == Purpose::Permission {
        if !has(["Resource", "NotResource"]) {
            return Some("Policy statement must contain resources.");
        }
        let resources = ["Resource", "NotResource"].into_iter().filter_map(|name| statement.get(name));
        for resource in resources.flat_map(texts) {
            match resource {
                Some("*") => {}
                Some(text) if text.starts_with("arn:") || text.starts_with('*') || text.starts_with("${") => {
                }
                Some(_) => return Some("Resource must be in ARN format or \"*\"."),
                None => return Some("Syntax errors in policy."),
            }
        }
    }
    None
}

/// The texts of an element that is one or a list of them; `None` for what is no text.
fn texts(value: &Json) -> Vec<Option<&str>> {
    match value {
        Json::Array(items) => items.iter().map(Json::as_str).collect(),
        one => vec![one.as_str()],
    }
}

/// As IAM gives documents back: percent-encoded as RFC 3986 has it (API reference, GetRolePolicy).
pub(super) fn encoded(document: &str) -> String {
    let mut text = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(char::from(byte))
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Characters that count towards a quota: white space does not (IAM guide, quotas).
pub(super) fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents() {
        let check = |purpose, text: &str, fault: &str| {
            let found = check(text, purpose).err().map(|refusal| refusal.message).unwrap_or_default();
            assert_eq!(found, fault, "{text}");
        };
        let statement =
            |rest: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{rest}}}]}}"#);
        let trust = r#""Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}"#;
        check(Purpose::Trust, &statement(trust), "");
        check(Purpose::Trust, "{", "This policy contains invalid Json");
        check(Purpose::Trust, &statement(r#""Action":"sts:AssumeRole""#), "Missing required field Principal");
        check(
            Purpose::Trust,
            &statement(&format!(r#"{trust},"Resource":"*""#)),
            "Has prohibited field Resource",
        );
        check(
            Purpose::Permission,
            &statement(r#""Action":["s3:*","*"],"Resource":["*","arn:aws:s3:::a"]"#),
            "",
        );
        check(
            Purpose::Permission,
            r#"{"Statement":{"Effect":"Deny","NotAction":"iam:*","Resource":"*"}}"#,
            "",
        );
        check(Purpose::Permission, "[]", "Syntax errors in policy.");
        check(Purpose::Permission, "{}", "Syntax errors in policy.");
        check(Purpose::Permission, &statement(r#""Resource":"*""#), "Policy statement must contain actions.");
        check(
            Purpose::Permission,
            &statement(r#""Action":"s3:*""#),
            "Policy statement must contain resources.",
        );
        check(
            Purpose::Permission,
            &statement(r#""Action":"*","Resource":"bucket""#),
            "Resource must be in ARN format or \"*\".",
        );
        check(
            Purpose::Permission,
            &statement(r#""Action":"GetObject","Resource":"*""#),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        );
        check(
            Purpose::Permission,
            &statement(&format!(r#"{trust},"Resource":"*""#)),
            "Policy document should not specify a principal.",
        );
    }

    #[test]
    fn encoding() {
        assert_eq!(encoded(r#"{"A":"a-b_c.~ ü"}"#), "%7B%22A%22%3A%22a-b_c.~%20%C3%BC%22%7D");
    }
}
