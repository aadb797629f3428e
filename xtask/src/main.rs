//! `cargo xtask codegen --models DIR`: writes `crates/shapes` from the service models.

mod codegen;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["codegen", "--models", dir] => match codegen::run(dir.as_ref()) {
            Ok(summary) => {
                eprintln!("{summary}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("xtask codegen: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: cargo xtask codegen --models DIR   (DIR holds SERVICE/VERSION/service-2.json)");
            ExitCode::FAILURE
        }
    }
}
