//! Systems Manager parameters: the public ones that name the newest images of Amazon Linux.
//!
//! They are computed from the releases that EC2 describes, so that both always agree; nothing is stored.

use capstan_model::{Arn, Region, Time};
use capstan_shapes::ssm::{
    GetParameterRequest, GetParameterResponse, GetParametersRequest, GetParametersResponse,
    PARAMETER_NOT_FOUND, PARAMETER_VERSION_NOT_FOUND, Parameter, ParameterType,
};
use capstan_shapes::{Refusal, ssm};

use crate::ec2::{Release, releases};
use crate::kernel::dispatch;
use crate::{Caller, Engine};

const ECS_IMAGES: &str = "/aws/service/ecs/optimized-ami/";
const AMAZON_LINUX_IMAGES: &str = "/aws/service/ami-amazon-linux-latest/";

/// Settings that are accepted without effect.
pub const INERT: &[(&str, &str)] = &[
    ("GetParameter.WithDecryption", "public parameters are not encrypted"),
    ("GetParameters.WithDecryption", "public parameters are not encrypted"),
];

pub(crate) fn handle(
    cx: &mut Engine,
    caller: &Caller,
    request: ssm::Request,
) -> Result<ssm::Response, Refusal> {
    Ok(dispatch!(cx, caller, request, ssm {
        GetParameter => get_parameter,
        GetParameters => get_parameters,
    }))
}

fn get_parameter(
    cx: &mut Engine,
    _caller: &Caller,
    request: GetParameterRequest,
) -> Result<GetParameterResponse, Refusal> {
    Ok(GetParameterResponse { parameter: Some(find(cx.config.region, &request.name)?) })
}

fn get_parameters(
    cx: &mut Engine,
    _caller: &Caller,
    request: GetParametersRequest,
) -> Result<GetParametersResponse, Refusal> {
    let (mut parameters, mut invalid_parameters) = (Vec::new(), Vec::new());
    for name in request.names {
        match find(cx.config.region, &name) {
            Ok(parameter) => parameters.push(parameter),
            Err(_) => invalid_parameters.push(name),
        }
    }
    Ok(GetParametersResponse { parameters: Some(parameters), invalid_parameters: Some(invalid_parameters) })
}

/// What the parameter of that name (perhaps with `:VERSION`) holds.
pub(crate) fn value(region: &Region, name: &str) -> Option<String> {
    find(region, name).ok()?.value
}

/// The parameter of that name or ARN, perhaps with a selector (`:VERSION`). There is one version of each.
fn find(region: &Region, text: &str) -> Result<Parameter, Refusal> {
    let not_found = || Refusal::of(&PARAMETER_NOT_FOUND, format!("Parameter {text} not found."));
    let whole = match Arn::parse(text) {
        Some(arn) if arn.service == "ssm" && arn.region == region.name => {
            arn.resource.strip_prefix("parameter").ok_or_else(not_found)?
        }
        Some(_) => return Err(not_found()),
        None => text,
    };
    let (name, selector) = match whole.split_once(':') {
        Some((name, selector)) => (name, Some(selector)),
        None => (whole, None),
    };
    let (release, value) = lookup(region, name).ok_or_else(not_found)?;
    if selector.is_some_and(|selector| selector != "1") {
        return Err(Refusal::of(
            &PARAMETER_VERSION_NOT_FOUND,
            format!("Systems Manager could not find version {} of {name}.", selector.unwrap_or_default()),
        ));
    }
    let is_image = value.starts_with("ami-");
    Ok(Parameter {
        name: Some(name.to_owned()),
        r#type: Some(ParameterType::String),
        value: Some(value),
        version: Some(1),
        selector: selector.map(|selector| format!(":{selector}")),
        source_result: None,
        last_modified_date: Time::parse_iso(release.created),
        arn: Some(format!("arn:aws:ssm:{}::parameter{name}", region.name)),
        // The ECS names hold text, Amazon Linux's are declared to hold an image.
        data_type: Some(
            if is_image && name.starts_with(AMAZON_LINUX_IMAGES) { "aws:ec2:image" } else { "text" }.into(),
        ),
    })
}

fn lookup(region: &Region, name: &str) -> Option<(&'static Release, String)> {
    if let Some(parameter) = name.strip_prefix(AMAZON_LINUX_IMAGES) {
        // The kernel can be named; the default one is the same.
        let usual = parameter.replace("-kernel-6.1-", "-kernel-default-");
        let release = releases().iter().find(|each| each.ecs.is_none() && each.parameter == usual)?;
        return Some((release, release.id(region.name)));
    }
    let rest = name.strip_prefix(ECS_IMAGES)?;
    releases().iter().filter(|each| each.ecs.is_some()).find_map(|release| {
        let rest = rest.strip_prefix(release.parameter)?.strip_prefix('/')?;
        let rest = rest.strip_prefix("recommended").or_else(|| rest.strip_prefix(release.name))?;
        let value = match rest {
            "" => document(release, region),
            _ => field(release, region, rest.strip_prefix('/')?)?,
        };
        Some((release, value))
    })
}

fn field(release: &Release, region: &Region, name: &str) -> Option<String> {
    let ecs = release.ecs.as_ref()?;
    Some(match name {
        "ecs_agent_version" => ecs.agent_version.to_owned(),
        "ecs_runtime_version" => ecs.runtime_version.to_owned(),
        "image_id" => release.id(region.name),
        "image_name" => release.name.to_owned(),
        "image_version" => ecs.image_version.to_owned(),
        "os" => release.system.as_str().to_owned(),
        "schema_version" => "1".to_owned(),
        "source_image_name" => ecs.source_image.to_owned(),
        _ => return None,
    })
}

/// All of a release as one JSON document. None of the texts needs escaping.
fn document(release: &Release, region: &Region) -> String {
    const FIELDS: [&str; 8] = [
        "ecs_agent_version",
        "ecs_runtime_version",
        "image_id",
        "image_name",
        "image_version",
        "os",
        "schema_version",
        "source_image_name",
    ];
    let members = FIELDS.iter().filter_map(|name| {
        let value = field(release, region, name)?;
        Some(match *name {
            "schema_version" => format!("\"{name}\":{value}"),
            _ => format!("\"{name}\":\"{value}\""),
        })
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_model::region;

    fn text(name: &str) -> Result<String, String> {
        find(region("eu-west-1").unwrap(), name)
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
}
