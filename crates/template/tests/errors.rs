//! What validation refuses, in CloudFormation's words and with the place.

use capstan_template::Template;

#[track_caller]
fn refused(text: &str) -> String {
    match Template::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

const ONE: &str = "Resources: {A: {Type: A::B::C}}";

#[test]
fn templates_are_refused() {
    let cases = [
        ("", "Template format error: unsupported structure."),
        ("hello", "Template format error: unsupported structure."),
        ("[1]", "Template format error: unsupported structure."),
        ("{", "Template format error: JSON not well-formed. (line 1, column 2)"),
        ("{\n\"A\": x}", "Template format error: JSON not well-formed. (line 2, column 6)"),
        ("a: [\nb: }", "Template format error: YAML not well-formed. (line 2, column 1)"),
        ("{}", "Template format error: At least one Resources member must be defined."),
        ("Description: x", "Template format error: At least one Resources member must be defined."),
        ("Resources: {}", "Template format error: At least one Resources member must be defined."),
        ("Resources:", "[/Resources] 'null' values are not allowed in templates (line 1)"),
        (
            "Resources:\n  A:\n    Type: A::B::C\n    Properties:\n      X:\n",
            "[/Resources/A/Properties/X] 'null' values are not allowed in templates (line 5)",
        ),
        ("Resources: [1]", "Template format error: Resources must be an object. (line 1)"),
        ("Resourcez: {}\nFoo: 1", "Invalid template property or properties [Resourcez, Foo]"),
        (
            "Resources: {A: x}",
            "Template format error: Any Resources member must be an object. (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Properties: {}}}",
            "Template format error: [/Resources/A] Every Resources object must contain a Type member. (/Resources/A, line 1)",
        ),
        (
            "Resources: {A-b: {Type: A::B::C}}",
            "Template format error: Resource name A-b is non alphanumeric. (line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Foo: 1}}",
            "Invalid template resource property 'Foo' (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: x}}",
            "Template format error: [/Resources/A/Properties] Every Properties member must be an object. (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, DeletionPolicy: Keep}}",
            "Template format error: Unrecognized DeletionPolicy Keep for resource A (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, UpdateReplacePolicy: RetainExceptOnCreate}}",
            "Template format error: Unrecognized UpdateReplacePolicy RetainExceptOnCreate for resource A (/Resources/A, line 1)",
        ),
        (
            "Resources:\n  A: {Type: A::B::C}\n  A: {Type: A::B::C}",
            "Template format error: duplicate key 'A', first defined on line 2 (line 3)",
        ),
        (
            "{\"Resources\": {\n\"A\": {\"Type\": \"A::B::C\"},\n\"A\": {}}}",
            "Template format error: duplicate key 'A', first defined on line 2 (line 3)",
        ),
        (
            "Resources:\n  A:\n    Type: A::B::C\n    Properties:\n      X: !Ref Nope\n      Y: !Ref Gone",
            "Template format error: Unresolved resource dependencies [Gone, Nope] in the Resources block of the template (/Resources/A, line 5)",
        ),
        (
            "Resources: {A: {Type: A::B::C, DependsOn: [B]}}",
            "Template format error: Unresolved resource dependencies [B] in the Resources block of the template (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Condition: B}}",
            "Template format error: Unresolved condition dependency B in the Resources block of the template (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !If [B, 1, 2]}}}",
            "Template format error: Unresolved condition dependency B in the Resources block of the template (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !GetAtt B.Arn}}}",
            "Template error: instance of Fn::GetAtt references undefined resource B (/Resources/A/Properties/X/Fn::GetAtt, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Sub '${B}'}}}",
            "Template format error: Unresolved resource dependencies [B] in the Resources block of the template (/Resources/A, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Sub '${A b}'}}}",
            "Template error: variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, periods, and colons (/Resources/A/Properties/X/Fn::Sub, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Foo 1}}}",
            "Template error: Encountered unsupported function: Fn::Foo Supported functions are:",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Transform {Name: AWS::Include}}}}",
            "No transform named AWS::Include found. (/Resources/A/Properties/X/Fn::Transform, line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Equals [1, 2]}}}",
            "Template error: Fn::Equals cannot be used in the Resources block of the template",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Length [1]}}}",
            "Template error: Fn::Length needs the transform AWS::LanguageExtensions",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: {'Fn::Sub': a, b: c}}}}",
            "Template format error: Fn::Sub must be the only key of its object",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !GetAtt B}}}",
            "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Join [a]}}}",
            "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !Join [a, b]}}}",
            "Template error: every Fn::Join object requires two parameters",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !FindInMap [M, a, b]}}}",
            "Template error: Mapping named 'M' is not present in the 'Mappings' section of template.",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !FindInMap [M, a]}}}",
            "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the attribute for return value",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: !ImportValue {'Fn::GetAtt': [A, B]}}}}",
            "Template error: the attribute in Fn::ImportValue must not depend on any resources, imported values, or Fn::GetAZs",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: {Ref: [a]}}}}",
            "Template error: every Ref object must have a single String value.",
        ),
        (
            "Resources: {A: {Type: A::B::C, Properties: {X: &a 1, Y: *a}}}",
            "Template error: YAML aliases are not allowed in CloudFormation templates (line 1)",
        ),
        (
            "Resources: {A: {Type: A::B::C, DependsOn: A}}",
            "Circular dependency between resources: [A] (A -> A, line 1)",
        ),
    ];
    for (text, message) in cases {
        let error = refused(text);
        assert!(error.starts_with(message), "{text}\n  said {error}\n  want {message}");
    }
}

#[test]
fn sections_are_refused() {
    let cases = [
        (
            "AWSTemplateFormatVersion: 2010-09-08",
            "Template format error: unsupported value for AWSTemplateFormatVersion. (line 1)",
        ),
        ("Description: [a]", "Template format error: Description member must be a string. (line 1)"),
        ("Transform: AWS::Serverless-2016-10-31", "No transform named AWS::Serverless-2016-10-31 found."),
        ("Transform: [AWS::LanguageExtensions, Mine]", "No transform named Mine found."),
        (
            "Hooks: {}",
            "Template format error: the Hooks section (AWS::CodeDeploy::BlueGreen) is not supported here",
        ),
        (
            "Parameters: {P: {Default: a}}",
            "Template format error: Every Parameters object must contain a Type member. (/Parameters/P, line 1)",
        ),
        (
            "Parameters: {P: {Type: Text}}",
            "Template format error: Unrecognized parameter type: Text (/Parameters/P, line 1)",
        ),
        (
            "Parameters: {P: {Type: String, Default: [a]}}",
            "Template format error: Every Default member must be a string. (/Parameters/P, line 1)",
        ),
        (
            "Parameters: {P: {Type: String, Foo: a}}",
            "Invalid template parameter property 'Foo' (/Parameters/P, line 1)",
        ),
        (
            "Parameters: {P: {Type: String, Default: c, AllowedValues: [a]}}",
            "Parameter 'P' must be one of AllowedValues",
        ),
        (
            "Parameters: {P: {Type: String, MinValue: 1}}",
            "Template error: Parameter 'P' MinValue must be on a parameter of type Number (/Parameters/P, line 1)",
        ),
        (
            "Parameters: {P_q: {Type: String}}",
            "Template format error: Parameter name P_q is non alphanumeric. (line 1)",
        ),
        (
            "Parameters: {A: {Type: String}}",
            "Template format error: all resources and parameters must have unique names. Common name(s): [A]",
        ),
        (
            "Mappings: {M: {a: b}}",
            "Template format error: Every Mappings member must be a map of maps of strings or lists. (/Mappings/M, line 1)",
        ),
        (
            "Mappings: {M: {a: {b: {c: d}}}}",
            "Template format error: Every Mappings attribute must be a String or a List. (/Mappings/M, line 1)",
        ),
        (
            "Conditions: {C: a}",
            "Template format error: Conditions can only be boolean operations on parameters and other conditions (/Conditions/C, line 1)",
        ),
        (
            "Conditions: {C: !Equals [!Ref A, b]}",
            "Template format error: Unresolved dependencies [A]. Cannot reference resources in the Conditions block of the template (/Conditions/C, line 1)",
        ),
        (
            "Conditions: {C: !Not [!Condition D]}",
            "Template format error: Unresolved condition dependency D in the Conditions block of the template (/Conditions/C, line 1)",
        ),
        (
            "Conditions: {C: !Not [!Condition D], D: !Not [!Condition C]}",
            "Template error: Found circular condition dependency: [C, D] (C -> D -> C)",
        ),
        (
            "Conditions: {C: !And [!Equals [a, b]]}",
            "Template error: every Fn::And object requires a list of at least 2 and at most 10 boolean parameters. (/Conditions/C/Fn::And, line 1)",
        ),
        (
            "Conditions: {C: !Equals [a]}",
            "Template error: Fn::Equals requires a list argument with two elements (/Conditions/C/Fn::Equals, line 1)",
        ),
        (
            "Outputs: {O: {Description: a}}",
            "Template format error: Every Outputs member must contain a Value object (/Outputs/O, line 1)",
        ),
        (
            "Outputs: {O: {Value: [a]}}",
            "Template format error: The Value field of every Outputs member must evaluate to a String and not a List. (/Outputs/O, line 1)",
        ),
        (
            "Outputs: {O: {Value: !Ref B}}",
            "Template format error: Unresolved resource dependencies [B] in the Outputs block of the template (/Outputs/O, line 1)",
        ),
        (
            "Outputs: {O: {Value: a, Export: {}}}",
            "Template format error: Output O is malformed. The Name field of every Export member must be specified",
        ),
        (
            "Outputs: {O: {Value: a, Export: {Name: !Ref A}}}",
            "Template format error: Output O is malformed. The Name field of every Export member must not depend",
        ),
        ("Rules: {R: {}}", "Template format error: Rule R: Assertions must be specified (/Rules/R, line 1)"),
    ];
    for (section, message) in cases {
        let text = format!("{section}\n{ONE}\n");
        let error = refused(&text);
        assert!(error.starts_with(message), "{text}\n  said {error}\n  want {message}");
    }
}

#[test]
fn cycles_are_printed() {
    let text = "
Parameters: {P: {Type: String, Default: x}}
Conditions: {Closed: !Equals [!Ref P, y]}
Resources:
  B: {Type: A::B::C, Properties: {X: !Ref C}}
  A: {Type: A::B::C, DependsOn: B}
  C: {Type: A::B::C, Properties: {X: !Sub '${A.Arn}'}}
  D: {Type: A::B::C, DependsOn: A}
";
    assert_eq!(refused(text), "Circular dependency between resources: [A, B, C] (A -> B -> C -> A, line 6)");
    // A cycle that one branch closes is one only where that branch is taken.
    let text = text.replace("!Sub '${A.Arn}'", "!If [Closed, !Ref A, none]");
    let template = Template::parse(&text).expect("open");
    let conditions = |closed| std::collections::BTreeMap::from([("Closed".to_owned(), closed)]);
    let edges = template.dependencies(&conditions(false)).expect("no cycle");
    assert_eq!(edges["B"].iter().copied().collect::<Vec<_>>(), ["C"]);
    assert!(edges["C"].is_empty());
    let error = template.dependencies(&conditions(true)).expect_err("a cycle");
    assert!(error.to_string().starts_with("Circular dependency between resources: [A, B, C]"), "{error}");
}

#[test]
fn resources_that_do_not_exist_cannot_be_referred_to() {
    let text = "
Conditions: {Never: !Equals [a, b]}
Resources:
  Gone: {Type: A::B::C, Condition: Never}
  Sure: {Type: A::B::C, DependsOn: Gone, Properties: {X: !If [Never, !Ref Gone, 1]}}
Outputs:
  Out: {Value: !Ref Gone, Condition: Never}
";
    let no = std::collections::BTreeMap::from([("Never".to_owned(), false)]);
    let dependencies = |text: &str| {
        let template = Template::parse(text).expect("valid in form");
        template.dependencies(&no).map(|it| it.len()).map_err(|error| error.to_string())
    };
    assert_eq!(dependencies(text), Ok(1));
    assert_eq!(
        dependencies(&text.replace("!If [Never, !Ref Gone, 1]", "!Sub '${Gone.Arn}'")),
        Err("Template format error: Unresolved resource dependencies [Gone] in the Resources block of the template \
             (/Resources/Sure, line 5)"
            .to_owned())
    );
    assert_eq!(
        dependencies(&text.replace("!Ref Gone, Condition: Never", "!Ref Gone")),
        Err("Template format error: Unresolved resource dependencies [Gone] in the Outputs block of the template \
             (/Outputs/Out, line 7)"
            .to_owned())
    );
}

#[test]
fn limits_hold() {
    let resources = |count: usize| {
        let all = (0..count).map(|index| format!("  R{index}: {{Type: A::B::C}}\n")).collect::<String>();
        format!("Resources:\n{all}")
    };
    assert!(Template::parse(&resources(500)).is_ok());
    assert_eq!(
        refused(&resources(501)),
        "Template format error: Number of resources, 501, is greater than maximum allowed, 500"
    );
    let outputs = (0..201).map(|index| format!("  O{index}: {{Value: a}}\n")).collect::<String>();
    assert_eq!(
        refused(&format!("{ONE}\nOutputs:\n{outputs}")),
        "Template format error: Number of outputs, 201, is greater than maximum allowed, 200"
    );
    let deep = |open: &str, close: &str| open.repeat(5000) + &close.repeat(5000);
    for text in
        [deep("[", "]"), format!("{{\"A\": {}}}", deep("[", "]")), deep("- ", ""), deep("!Sub [", "]")]
    {
        let error = refused(&text);
        assert!(error.starts_with("Template format error: "), "{error}");
    }
}
