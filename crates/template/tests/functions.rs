//! Functions, one by one.

mod common;

use capstan_template::{KNOWN_AFTER_APPLY, Template};
use common::{Fake, all, given, resolve_with};
use serde_json::{Value as Json, json};

const REST: &str = "
Parameters:
  Name: {Type: String, Default: web}
  Count: {Type: Number, Default: 3}
  Ids: {Type: CommaDelimitedList, Default: 'a, b ,c'}
  Size: {Type: String, Default: large}
Mappings:
  Sizes:
    large: {Cpu: 1024, Zones: [x, y]}
    eu-west-1: {Cpu: '2048', Zones: [z]}
Conditions:
  Large: !Equals [!Ref Size, large]
  Small: !Not [!Condition Large]
  Both: !And [!Condition Large, !Condition Small]
  Either: !Or [!Condition Large, !Condition Small]
  Three: !Equals [!Ref Count, 3]
Resources:
  Web: {Type: A::B::C}
  LaterOne: {Type: A::B::C}
  AbsentOne: {Type: A::B::C, Condition: Small}
";

fn template(value: &str, transform: bool) -> String {
    let transform = if transform { "Transform: AWS::LanguageExtensions" } else { "" };
    format!("{transform}{REST}  It:\n    Type: A::B::C\n    Properties:\n      X: {value}\n")
}

fn value_of(value: &str, transform: bool) -> Result<Option<Json>, String> {
    let template = Template::parse(&template(value, transform)).map_err(|error| error.to_string())?;
    resolve_with(&template, &[], |template| &template.resource("It").expect("It").properties)
        .map(|it| it.and_then(|mut it| it.get_mut("X").map(Json::take)))
        .map_err(|error| error.to_string())
}

#[test]
fn functions_give_their_values() {
    let known = Some(json!(KNOWN_AFTER_APPLY));
    let cases: &[(&str, Option<Json>)] = &[
        ("plain", Some(json!("plain"))),
        ("!Ref Name", Some(json!("web"))),
        ("{Ref: Count}", Some(json!("3"))),
        ("!Ref Ids", Some(json!(["a", "b", "c"]))),
        ("!Ref Web", Some(json!("shop-Web"))),
        ("!Ref LaterOne", known.clone()),
        ("!Ref AWS::Region", Some(json!("eu-west-1"))),
        ("!Ref 'AWS::NotificationARNs'", Some(json!([]))),
        ("!Ref AWS::NoValue", None),
        ("[a, !Ref AWS::NoValue, b]", Some(json!(["a", "b"]))),
        ("{a: !Ref AWS::NoValue, b: 1}", Some(json!({"b": 1}))),
        ("!GetAtt Web.Arn", Some(json!("arn:Web"))),
        ("!GetAtt [Web, Arn]", Some(json!("arn:Web"))),
        ("!GetAtt Web.Outputs.Url", Some(json!("http://x"))),
        ("!GetAtt [Web, Outputs, Url]", Some(json!("http://x"))),
        ("{'Fn::GetAtt': [Web, Arn]}", Some(json!("arn:Web"))),
        ("{'Fn::GetAtt': Web.Arn}", Some(json!("arn:Web"))),
        ("!GetAtt LaterOne.Arn", known.clone()),
        (
            "!Sub 'a-${Name}-${AWS::Region}-${Web}-${Web.Arn}'",
            Some(json!("a-web-eu-west-1-shop-Web-arn:Web")),
        ),
        ("!Sub ['${x}${Name}', {x: !Ref Count, Name: n}]", Some(json!("3n"))),
        ("!Sub '${!Name} $Name ${'", Some(json!("${Name} $Name ${"))),
        ("!Sub 'a ${LaterOne}'", Some(json!(format!("a {KNOWN_AFTER_APPLY}")))),
        ("!Sub ['plain']", Some(json!("plain"))),
        ("!Join ['-', [a, !Ref Count, 7, true]]", Some(json!("a-3-7-true"))),
        ("!Join ['', []]", Some(json!(""))),
        ("!Join [',', !Ref Ids]", Some(json!("a,b,c"))),
        ("!Join [',', [!Ref Ids, d]]", Some(json!("a,b,c,d"))),
        ("!Join [',', !GetAtt LaterOne.Names]", known.clone()),
        ("!Select [1, [a, b]]", Some(json!("b"))),
        ("!Select ['0', !GetAZs '']", Some(json!("eu-west-1a"))),
        ("!Select [0, !Split ['/', a/b]]", Some(json!("a"))),
        ("!Select [0, !GetAtt LaterOne.List]", known.clone()),
        ("!Split [',', 'a,b,']", Some(json!(["a", "b", ""]))),
        ("!Split [',', !Ref LaterOne]", known.clone()),
        ("!If [Large, 1, !Ref AbsentOne]", Some(json!(1))),
        ("!If [Small, 1, {a: !If [Three, b, c]}]", Some(json!({"a": "b"}))),
        ("!If [Both, 1, !Ref AWS::NoValue]", None),
        ("!FindInMap [Sizes, !Ref Size, Cpu]", Some(json!(1024))),
        ("!FindInMap [Sizes, !Ref AWS::Region, Zones]", Some(json!(["z"]))),
        ("!ImportValue net-vpc", Some(json!("vpc-1"))),
        ("{'Fn::ImportValue': !Sub '${N}-vpc'}", None),
        ("!GetAZs us-east-1", Some(json!(["us-east-1a", "us-east-1b", "us-east-1c"]))),
        ("!GetAZs", Some(json!(["eu-west-1a", "eu-west-1b", "eu-west-1c"]))),
        ("!Base64 hello", Some(json!("aGVsbG8="))),
        ("{'Fn::Base64': !Sub '${Name}'}", Some(json!("d2Vi"))),
        ("{'Fn::Base64': !Ref LaterOne}", known.clone()),
        ("!Cidr [10.0.0.0/16, 2, 8]", Some(json!(["10.0.0.0/24", "10.0.1.0/24"]))),
        ("!Cidr [10.0.0.5/23, '2']", Some(json!(["10.0.0.0/24", "10.0.1.0/24"]))),
        ("!Select [1, !Cidr [!Select [0, !GetAtt Web.Blocks], 2, 64]]", Some(json!("2001:db8:0:1::/64"))),
        ("!Cidr [0.0.0.0/0, 2, 31]", Some(json!(["0.0.0.0/1", "128.0.0.0/1"]))),
        ("'{{resolve:ssm:/ami}}'", Some(json!("ami-2"))),
        ("'a {{resolve:ssm:/ami:1}} b {{resolve:ssm:/ami}}'", Some(json!("a ami-1 b ami-2"))),
        ("!Sub '{{resolve:ssm:/${Part}}}'", None),
        ("{Condition: {a: b}, Ref: c}", Some(json!({"Condition": {"a": "b"}, "Ref": "c"}))),
        ("{Condition: x}", Some(json!({"Condition": "x"}))),
        // Numbers survive as written.
        (
            "{a: 1.10, b: 007, c: 2012-10-17, d: 1e3, e: -1, f: 0x10, g: 80:80, h: 1.5}",
            Some(
                json!({"a": "1.10", "b": "007", "c": "2012-10-17", "d": "1e3", "e": -1, "f": "0x10", "g": "80:80", "h": 1.5}),
            ),
        ),
        (
            "{a: yes, b: Off, c: 'yes', d: !!str 5, e: TRUE, f: y}",
            Some(json!({"a": true, "b": false, "c": "yes", "d": "5", "e": true, "f": "y"})),
        ),
        ("\"é\\n\"", Some(json!("é\n"))),
    ];
    for (value, expected) in cases {
        match value_of(value, false) {
            Ok(it) => assert_eq!(it, *expected, "{value}"),
            // The two that name what is not there.
            Err(error) => {
                let said = error.contains("Unresolved") || error.contains("must not depend");
                assert!(expected.is_none() && said, "{value}: {error}");
            }
        }
    }
}

#[test]
fn language_extensions_give_their_values() {
    let cases: &[(&str, Option<Json>)] = &[
        ("!Length [a, b]", Some(json!(2))),
        ("!Length !Ref Ids", None),
        ("{'Fn::Length': !Ref Ids}", Some(json!(3))),
        ("!ToJsonString {a: [1, two]}", Some(json!("{\"a\":[1,\"two\"]}"))),
        ("!FindInMap [Sizes, small, Cpu, {DefaultValue: !Ref Name}]", Some(json!("web"))),
        ("!FindInMap [Sizes, large, Cpu, {DefaultValue: 7}]", Some(json!(1024))),
        (
            "{'Fn::ForEach::Each': [N, [x, y], {'Key${N}': !Sub 'v${N}-${Name}'}]}",
            Some(json!({"Keyx": "vx-web", "Keyy": "vy-web"})),
        ),
    ];
    for (value, expected) in cases {
        match value_of(value, true) {
            Ok(it) => assert_eq!(it, *expected, "{value}"),
            Err(error) => assert!(expected.is_none(), "{value}: {error}"),
        }
    }
}

#[test]
fn loops_are_written_out() {
    let text = "
Transform: [AWS::LanguageExtensions]
Resources:
  Fn::ForEach::Outer:
    - A
    - [x.1, y]
    - Fn::ForEach::Inner:
        - B
        - [1, 2]
        - 'Q&{A}${B}':
            Type: A::B::C
            Properties: {Name: !Ref A, Other: 'n-${A}-${B}'}
";
    let template = Template::parse(text).expect("a template");
    let resolved = all(&template, &[]).expect("resolves");
    assert_eq!(
        resolved["resources"],
        json!({
            "Qx11": {"Name": "x.1", "Other": "n-x.1-1"},
            "Qx12": {"Name": "x.1", "Other": "n-x.1-2"},
            "Qy1": {"Name": "y", "Other": "n-y-1"},
            "Qy2": {"Name": "y", "Other": "n-y-2"},
        })
    );
}

#[test]
fn evaluation_says_what_is_wrong_and_where() {
    let place = "(/Resources/It/Properties/X, line 26)";
    let cases = [
        (
            "!Ref AbsentOne",
            "Template format error: Unresolved resource dependencies [AbsentOne] in the Resources block of the template",
        ),
        (
            "!GetAtt AbsentOne.Arn",
            "Template format error: Unresolved resource dependencies [AbsentOne] in the Resources block of the template",
        ),
        (
            "!GetAtt Web.Nope",
            "Template error: resource Web does not support attribute type Nope in Fn::GetAtt",
        ),
        ("!Select [2, [a, b]]", "Template error: Fn::Select cannot select nonexistent value at index 2"),
        (
            "!Select [x, [a, b]]",
            "Template error: Fn::Select requires a list argument with a valid index value as its first element",
        ),
        (
            "!Select [0, x]",
            "Template error: Fn::Select requires a list argument with two elements: an integer index and a list",
        ),
        ("!FindInMap [Sizes, nope, Cpu]", "Template error: Unable to get mapping for Sizes::nope::Cpu"),
        ("!ImportValue nope", "No export named nope found."),
        ("!Sub '${Ids}'", "Template error: variable Ids in Fn::Sub expression does not resolve to a string"),
        (
            "!Sub ['${x}', {x: [a]}]",
            "Template error: variable x in Fn::Sub expression does not resolve to a string",
        ),
        (
            "!Cidr [nonsense, 2, 8]",
            "Template error: Fn::Cidr: 'nonsense' is not a CIDR block such as 10.0.0.0/16",
        ),
        (
            "!Cidr [10.0.0.0/24, 2, 8]",
            "Template error: Fn::Cidr: 10.0.0.0/24 has no room for 2 blocks of 8 bits",
        ),
        (
            "!Cidr [10.0.0.0/16, 257, 8]",
            "Template error: Fn::Cidr: the count must be a number from 1 to 256, not '257'",
        ),
        (
            "'{{resolve:ssm:/nope}}'",
            "Unable to fetch parameters [/nope] from parameter store for this account.",
        ),
        (
            "'{{resolve:secretsmanager:a:b}}'",
            "Dynamic references to secretsmanager are not supported here; {{resolve:ssm:NAME}} is",
        ),
        (
            "'{{resolve:s3:x}}'",
            "Incorrect format is used in the following dynamic reference: [{{resolve:s3:x}}]",
        ),
    ];
    for (value, message) in cases {
        let template = Template::parse(&template(value, false)).expect("valid in form");
        let arguments = template.bind(&given(&[]), &Fake).expect("binds");
        let conditions = template.conditions(&arguments, &Fake).expect("conditions");
        let scope = capstan_template::Scope {
            template: &template,
            arguments: &arguments,
            conditions: &conditions,
            world: &Fake,
        };
        let error = template.resource("It").expect("It").properties_in(&scope).expect_err(value);
        assert_eq!(error.message(), message, "{value}");
        assert_eq!(error.logical_id(), Some("It"), "{value}");
        let (text, line) = (error.to_string(), error.line().expect("a line"));
        assert!(text.starts_with(message) && text.contains("/Resources/It/Properties/X"), "{text} {place}");
        assert!((24..=27).contains(&line), "{value}: line {line}");
    }
}
