//! Parameters and rules.

mod common;

use std::collections::BTreeMap;

use capstan_template::{Given, Template};
use common::{Fake, given};
use serde_json::{Value as Json, json};

/// Names and values.
type Values<'a> = &'a [(&'a str, &'a str)];

fn with(parameters: &str) -> Template {
    let text = format!("Parameters:\n{parameters}\nResources: {{A: {{Type: A::B::C}}}}\n");
    Template::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn values_are_what_references_give() {
    let cases: &[(&str, Values<'_>, Json)] = &[
        ("  P: {Type: String, Default: a}", &[], json!("a")),
        ("  P: {Type: String, Default: a}", &[("P", "b")], json!("b")),
        ("  P: {Type: String, Default: ''}", &[], json!("")),
        ("  P: {Type: String, Default: yes}", &[], json!("true")),
        ("  P: {Type: String, Default: 2012-10-17}", &[], json!("2012-10-17")),
        ("  P: {Type: Number, Default: 1.50}", &[], json!("1.50")),
        ("  P: {Type: Number, MinValue: 1, MaxValue: 10}", &[("P", "10.0")], json!("10.0")),
        ("  P: {Type: CommaDelimitedList}", &[("P", "a, b,c ")], json!(["a", "b", "c"])),
        ("  P: {Type: CommaDelimitedList, Default: ''}", &[], json!([])),
        ("  P: {Type: 'List<Number>'}", &[("P", "1,2")], json!(["1", "2"])),
        ("  P: {Type: 'List<AWS::EC2::Subnet::Id>'}", &[("P", "subnet-1")], json!(["subnet-1"])),
        ("  P: {Type: 'AWS::EC2::VPC::Id'}", &[("P", "vpc-1")], json!("vpc-1")),
        ("  P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /ami}", &[], json!("ami-2")),
        (
            "  P: {Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>', Default: '/ami:1'}",
            &[],
            json!("ami-1"),
        ),
        ("  P: {Type: 'AWS::SSM::Parameter::Value<List<String>>', Default: /zones}", &[], json!(["x", "y"])),
        ("  P: {Type: AWS::SSM::Parameter::Name, Default: /nowhere}", &[], json!("/nowhere")),
        ("  P: {Type: String, AllowedPattern: '[a-z]+'}", &[("P", "abc")], json!("abc")),
        ("  P: {Type: CommaDelimitedList, AllowedValues: [a, b]}", &[("P", "a,b,a")], json!(["a", "b", "a"])),
    ];
    for (parameter, values, expected) in cases {
        let arguments = with(parameter)
            .bind(&given(values), &Fake)
            .unwrap_or_else(|error| panic!("{parameter}: {error}"));
        assert_eq!(arguments.values["P"].reference, *expected, "{parameter}");
    }
}

#[test]
fn stored_parameters_carry_what_the_store_holds() {
    let template = with("  P: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /ami, NoEcho: true}");
    let arguments = template.bind(&BTreeMap::new(), &Fake).expect("binds");
    let argument = &arguments.values["P"];
    assert_eq!(
        (argument.value.as_str(), argument.resolved.as_deref(), argument.no_echo),
        ("/ami", Some("ami-2"), true)
    );
    let previous = BTreeMap::from([("P".to_owned(), Given::Previous("/ami:1".to_owned()))]);
    let arguments = template.bind(&previous, &Fake).expect("binds");
    assert_eq!(arguments.values["P"].resolved.as_deref(), Some("ami-1"));
}

#[test]
fn bad_values_are_refused_in_cloudformations_words() {
    let cases: &[(&str, Values<'_>, &str)] = &[
        ("  P: {Type: String}\n  Q: {Type: String}", &[], "Parameters: [P, Q] must have values"),
        ("  P: {Type: String}", &[("P", "1"), ("Y", "1")], "Parameters: [Y] do not exist in the template"),
        (
            "  P: {Type: String, AllowedValues: [a, b]}",
            &[("P", "c")],
            "Parameter 'P' must be one of AllowedValues",
        ),
        (
            "  P: {Type: String, AllowedValues: [a], ConstraintDescription: must be a}",
            &[("P", "c")],
            "Parameter P failed to satisfy constraint: must be a",
        ),
        ("  P: {Type: Number}", &[("P", "x")], "Parameter 'P' must be a number."),
        (
            "  P: {Type: Number, MinValue: 1}",
            &[("P", "0.99")],
            "Parameter 'P' must be a number not less than 1",
        ),
        (
            "  P: {Type: Number, MinValue: -2}",
            &[("P", "-3")],
            "Parameter 'P' must be a number not less than -2",
        ),
        (
            "  P: {Type: Number, MaxValue: 10}",
            &[("P", "100")],
            "Parameter 'P' must be a number not greater than 10",
        ),
        (
            "  P: {Type: 'List<Number>', MaxValue: 10}",
            &[("P", "1,11")],
            "Parameter 'P' must be a number not greater than 10",
        ),
        (
            "  P: {Type: String, MinLength: 2}",
            &[("P", "x")],
            "Parameter 'P' must contain at least 2 characters",
        ),
        (
            "  P: {Type: String, MaxLength: 2}",
            &[("P", "xyz")],
            "Parameter 'P' must contain at most 2 characters",
        ),
        (
            "  P: {Type: String, AllowedPattern: '[a-z]'}",
            &[("P", "ab")],
            "Parameter 'P' must match pattern [a-z]",
        ),
        (
            "  P: {Type: AWS::EC2::VPC::Id}",
            &[("P", "vpc-gone")],
            "Parameter validation failed: parameter value vpc-gone for parameter name P does not exist",
        ),
        (
            "  P: {Type: 'AWS::SSM::Parameter::Value<String>'}",
            &[("P", "/nope")],
            "Unable to fetch parameters [/nope] from parameter store for this account.",
        ),
    ];
    for (parameters, values, message) in cases {
        let error = with(parameters).bind(&given(values), &Fake).expect_err(parameters);
        assert_eq!(error.to_string(), *message, "{parameters}");
    }
}

#[test]
fn rules_are_asserted() {
    let text = "
Parameters:
  Env: {Type: String, Default: test}
  Version: {Type: String, Default: 6}
  Zones: {Type: CommaDelimitedList, Default: 'a,b'}
  Same: {Type: CommaDelimitedList, Default: 'a,a'}
Rules:
  CheckVersion:
    Assertions:
      - Assert: !Not [!Contains [['1', '2'], !Ref Version]]
        AssertDescription: version 3 required
  Production:
    RuleCondition: !Equals [!Ref Env, prod]
    Assertions:
      - Assert: !EachMemberIn [!Ref Zones, [a, b, c]]
        AssertDescription: zones a, b, c
      - Assert: !EachMemberEquals [!Ref Same, a]
Resources: {A: {Type: A::B::C}}
";
    let template = Template::parse(text).expect("a template");
    let cases: &[(Values<'_>, Option<&str>)] = &[
        (&[], None),
        (&[("Version", "2")], Some("Template error: Rule CheckVersion failed: version 3 required")),
        (&[("Zones", "x")], None),
        (&[("Env", "prod")], None),
        (&[("Env", "prod"), ("Zones", "a,x")], Some("Template error: Rule Production failed: zones a, b, c")),
        (
            &[("Env", "prod"), ("Same", "a,b")],
            Some("Template error: Rule Production failed: an assertion does not hold"),
        ),
    ];
    for (values, expected) in cases {
        let error = template.bind(&given(values), &Fake).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), *expected, "{values:?}");
    }
}
