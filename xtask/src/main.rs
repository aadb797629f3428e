//! `cargo xtask codegen --models DIR [--resource-types DIR]`: writes `crates/shapes` from the service models, and the
//! resource types of CloudFormation from their schemas.

mod codegen;
mod resource_types;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["codegen", "--models", models] => codegen::run(models.as_ref()),
        ["codegen", "--models", models, "--resource-types", types] => codegen::run(models.as_ref())
            .and_then(|summary| Ok(format!("{summary}{}", resource_types::run(types.as_ref())?))),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(summary) => {
            eprintln!("{}", summary.trim_end());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "codegen --models DIR [--resource-types DIR]   (DIR holds SERVICE/VERSION/service-2.json; the second AWS-ECS-Cluster.json …)";
