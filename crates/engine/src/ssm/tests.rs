use capstan_model::{Time, region};
use capstan_shapes::ssm::{
    DeleteParameterRequest, DescribeParametersRequest, GetParametersByPathRequest,
    LabelParameterVersionRequest, ParameterStringFilter, ParameterTier, ParameterType, PutParameterRequest,
};

use super::read::find;
use crate::testing::{ok, refused};
use crate::{Config, Engine};

fn engine() -> Engine {
    let config = Config { region: region("eu-west-1").unwrap(), ..Config::new(1) };
    Engine::new(config, Time::ZERO)
}

fn text(name: &str) -> Result<String, String> {
    find(&engine(), name)
        .map(|parameter| parameter.value.unwrap())
        .map_err(|refusal| refusal.code.to_string())
}

#[test]
fn recommended_images() {
    let base = "/aws/service/ecs/optimized-ami";
    let id = text(&format!("{base}/amazon-linux-2/recommended/image_id")).unwrap();
    assert_eq!(
        text(&format!("{base}/amazon-linux-2/recommended")).unwrap(),
        format!(
            "{{\"ecs_agent_version\":\"1.105.1\",\"ecs_runtime_version\":\"Docker version 25.0.8\",\
             \"image_id\":\"{id}\",\"image_name\":\"amzn2-ami-ecs-hvm-2.0.20260702-x86_64-ebs\",\
             \"image_version\":\"2.0.20260702\",\"os\":\"Amazon Linux 2\",\"schema_version\":1,\
             \"source_image_name\":\"amzn2-ami-minimal-hvm-2.0.20260702.0-x86_64-ebs\"}}"
        )
    );
    let cases = [
        ("amazon-linux-2/recommended/image_id:1", "ami-"),
        ("amazon-linux-2/recommended/image_name", "amzn2-ami-ecs-hvm-"),
        ("amazon-linux-2/arm64/recommended/image_name", "amzn2-ami-ecs-hvm-2.0.20260702-arm64"),
        ("amazon-linux-2/gpu/recommended/image_name", "amzn2-ami-ecs-gpu-"),
        ("amazon-linux-2/kernel-5.10/recommended/image_id", "ami-"),
        ("amazon-linux-2023/recommended/os", "Amazon Linux 2023"),
        (
            "amazon-linux-2023/arm64/recommended/image_name",
            "al2023-ami-ecs-hvm-2023.0.20260702-kernel-6.1-arm64",
        ),
        ("amazon-linux-2/amzn2-ami-ecs-hvm-2.0.20260702-x86_64-ebs/image_id", "ami-"),
    ];
    for (name, start) in cases {
        let found = text(&format!("{base}/{name}")).unwrap();
        assert!(found.starts_with(start), "{name}: {found}");
    }
    let arn = format!("arn:aws:ssm:eu-west-1::parameter{base}/amazon-linux-2/recommended/image_id");
    assert_eq!(text(&arn), Ok(id));
    assert!(text("/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64").is_ok());
}

#[test]
fn unknown_names_and_versions() {
    let known = "/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/image_id";
    let cases = [
        ("nothing".to_owned(), "ParameterNotFound"),
        ("/aws/service/ecs/optimized-ami/amazon-linux-2/recommended/colour".into(), "ParameterNotFound"),
        ("/aws/service/ecs/optimized-ami/amazon-linux-2/recommendedimage_id".into(), "ParameterNotFound"),
        ("/aws/service/ecs/optimized-ami/amazon-linux-2".into(), "ParameterNotFound"),
        ("/aws/service/ami-amazon-linux-latest/amazon-linux-2/recommended".into(), "ParameterNotFound"),
        (format!("arn:aws:ssm:us-east-1::parameter{known}"), "ParameterNotFound"),
        (format!("{known}:2"), "ParameterVersionNotFound"),
    ];
    for (name, code) in cases {
        assert_eq!(text(&name), Err(code.to_owned()), "{name}");
    }
}

fn put(name: &str, value: &str) -> PutParameterRequest {
    PutParameterRequest {
        name: name.into(),
        value: value.into(),
        r#type: Some(ParameterType::String),
        ..Default::default()
    }
}

#[test]
fn versions_and_labels() {
    let mut engine = engine();
    ok(&mut engine, put("/app/size", "1"));
    refused(&mut engine, put("/app/size", "2"), "ParameterAlreadyExists", "set the overwrite option");
    let again = PutParameterRequest { overwrite: Some(true), r#type: None, ..put("/app/size", "2") };
    assert_eq!(ok(&mut engine, again.clone()).version, Some(2));
    let label = |number, label: &str| LabelParameterVersionRequest {
        name: "/app/size".into(),
        parameter_version: Some(number),
        labels: vec![label.into(), "1st".into()],
    };
    assert_eq!(ok(&mut engine, label(1, "live")).invalid_labels, Some(vec!["1st".into()]));
    let arn = "arn:aws:ssm:eu-west-1:000000000000:parameter/app/size";
    let cases = [("/app/size", "2"), ("/app/size:1", "1"), ("/app/size:live", "1"), (arn, "2")];
    for (name, value) in cases {
        assert_eq!(find(&engine, name).unwrap().value.as_deref(), Some(value), "{name}");
    }
    ok(&mut engine, label(2, "live"));
    assert_eq!(find(&engine, "/app/size:live").unwrap().version, Some(2));
    assert_eq!(find(&engine, "/app/size:3").unwrap_err().code, "ParameterVersionNotFound");
    for _ in 0..99 {
        ok(&mut engine, again.clone());
    }
    // The version with the label is now the oldest of a hundred.
    assert_eq!(find(&engine, "/app/size:1").unwrap_err().code, "ParameterVersionNotFound");
    refused(&mut engine, again, "ParameterMaxVersionLimitExceeded", "has a label attached");
    ok(&mut engine, DeleteParameterRequest { name: "/app/size".into() });
    assert_eq!(find(&engine, "/app/size").unwrap_err().code, "ParameterNotFound");
}

#[test]
fn what_cannot_be_stored() {
    let mut engine = engine();
    let long = "x".repeat(4097);
    let deep = "/a".repeat(16);
    let cases = [
        (put("/aws/x", "1"), "AccessDeniedException"),
        (put("ssm-x", "1"), "ValidationException"),
        (put("a/b", "1"), "ValidationException"),
        (put("a b", "1"), "ValidationException"),
        (put(&deep, "1"), "HierarchyLevelLimitExceededException"),
        (put("x", &long), "ValidationException"),
        (PutParameterRequest { r#type: None, ..put("x", "1") }, "ValidationException"),
        (
            PutParameterRequest { allowed_pattern: Some("[a-z]+".into()), ..put("x", "1") },
            "ParameterPatternMismatchException",
        ),
        (
            PutParameterRequest { allowed_pattern: Some("[".into()), ..put("x", "1") },
            "InvalidAllowedPatternException",
        ),
        (PutParameterRequest { data_type: Some("number".into()), ..put("x", "1") }, "ValidationException"),
        (PutParameterRequest { key_id: Some("alias/a".into()), ..put("x", "1") }, "ValidationException"),
        (PutParameterRequest { policies: Some("[{}]".into()), ..put("x", "1") }, "ValidationException"),
    ];
    for (request, code) in cases {
        refused(&mut engine, request, code, "");
    }
    let tiered = PutParameterRequest { tier: Some(ParameterTier::IntelligentTiering), ..put("x", &long) };
    assert_eq!(ok(&mut engine, tiered).tier, Some(ParameterTier::Advanced));
    let down =
        PutParameterRequest { tier: Some(ParameterTier::Standard), overwrite: Some(true), ..put("x", "1") };
    refused(&mut engine, down, "ValidationException", "can't downgrade");
}

#[test]
fn paths_and_filters() {
    let mut engine = engine();
    for name in ["/a/b", "/a/c/d", "/ab", "plain"] {
        ok(&mut engine, put(name, "1"));
    }
    let by_path = |engine: &mut Engine, path: &str, recursive| {
        let request = GetParametersByPathRequest {
            path: path.into(),
            recursive: Some(recursive),
            ..Default::default()
        };
        let found = ok(engine, request).parameters.unwrap();
        found.into_iter().filter_map(|parameter| parameter.name).collect::<Vec<_>>()
    };
    assert_eq!(by_path(&mut engine, "/a", false), ["/a/b"]);
    assert_eq!(by_path(&mut engine, "/a/", true), ["/a/b", "/a/c/d"]);
    assert_eq!(by_path(&mut engine, "/", false), ["/ab"]);
    assert_eq!(by_path(&mut engine, "/aws/service/ecs/optimized-ami/amazon-linux-2023", true).len(), 10);
    let describe = |engine: &mut Engine, key: &str, option: &str, value: &str| {
        let filter = ParameterStringFilter {
            key: key.into(),
            option: Some(option.into()),
            values: Some(vec![value.into()]),
        };
        let request =
            DescribeParametersRequest { parameter_filters: Some(vec![filter]), ..Default::default() };
        ok(engine, request).parameters.unwrap().len()
    };
    assert_eq!(describe(&mut engine, "Name", "BeginsWith", "/a"), 3);
    assert_eq!(describe(&mut engine, "Name", "Contains", "c/"), 1);
    assert_eq!(describe(&mut engine, "Path", "Recursive", "/a"), 2);
    assert_eq!(describe(&mut engine, "Type", "Equals", "SecureString"), 0);
}
