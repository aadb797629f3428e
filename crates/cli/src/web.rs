//! `capstan web`: the workload behind the image `capstan/web`.

use capstan_agent::workload::web::{self, HELP, Options};

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// `--help` tells them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

pub(crate) fn run(Args { args }: Args) -> Result<(), String> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        print_help();
        return Ok(());
    }
    let options = Options::parse(args, |name| std::env::var(name).ok()).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("failed to start: {e}"))?;
    let code = runtime.block_on(web::run(options)).map_err(|e| e.to_string())?;
    if code == 0 { Ok(()) } else { std::process::exit(i32::from(code)) }
}

fn print_help() {
    crate::say!("{HELP}");
}
