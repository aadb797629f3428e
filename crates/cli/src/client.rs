//! Commands that talk to a running server.

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use crate::say;

/// Where the server is.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server's address
    #[arg(long, env = "CAPSTAN_ENDPOINT", default_value = "http://127.0.0.1:4566", global = true)]
    endpoint: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EnvArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The region for the shell
    #[arg(long, default_value = "us-east-1")]
    region: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClockArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    action: Option<ClockAction>,
}

#[derive(Debug, clap::Subcommand)]
enum ClockAction {
    /// Moves a manual clock on, and answers when all that falls due has happened
    Advance {
        /// 90s, 10m, 2h, 1d, or a number of seconds
        by: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// A task id, a service, an instance id, a capacity provider, an Auto Scaling group, or an ARN of one
    subject: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BillArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CoverageArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Prints the page docs/coverage.md of this very program, without asking a server
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn env(args: &EnvArgs) -> Result<(), String> {
    say!("export AWS_ENDPOINT_URL={}", args.server.endpoint);
    say!("export AWS_DEFAULT_REGION={}", args.region);
    say!("export AWS_REGION={}", args.region);
    say!("export AWS_ACCESS_KEY_ID=test");
    say!("export AWS_SECRET_ACCESS_KEY=test");
    say!("export AWS_PAGER=");
    Ok(())
}

pub(crate) fn clock(args: &ClockArgs) -> Result<(), String> {
    let answer = match &args.action {
        None => call(&args.server, Method::GET, "/_capstan/clock", None)?,
        Some(ClockAction::Advance { by }) => {
            let body = json!({ "advance_seconds": seconds(by)? });
            call(&args.server, Method::POST, "/_capstan/clock", Some(body))?
        }
    };
    say!("{}", answer["now"].as_str().unwrap_or_default());
    Ok(())
}

/// `90s`, `10m`, `2h`, `1d`, or seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        Some((at, 'd')) => (&text[..at], 86_400),
        _ => (text, 1),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("{text} is no length of time: give 90s, 10m, 2h, 1d, or a number of seconds"))
}

pub(crate) fn explain(args: &ExplainArgs) -> Result<(), String> {
    let subject: String = args
        .subject
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.:/".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    let answer = call(&args.server, Method::GET, &format!("/_capstan/explain/{subject}"), None)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say!("{} {}", text(&answer["kind"]), text(&answer["subject"]));
    for line in answer["why"].as_array().into_iter().flatten() {
        say!("  {}", text(line));
    }
    Ok(())
}

pub(crate) fn bill(args: &BillArgs) -> Result<(), String> {
    let answer = call(&args.server, Method::GET, "/_capstan/bill", None)?;
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "group",
        "purchase option",
        "type",
        "runs",
        "hours",
        "free hours",
        "cost $",
        "on-demand $",
    ]);
    let hours = |seconds: &Value| format!("{:.2}", seconds.as_f64().unwrap_or_default() / 3600.0);
    let mut row = |line: &Value, group: String| {
        table.add_row([
            group,
            text(&line["purchaseOption"]),
            text(&line["instanceType"]),
            text(&line["runs"]),
            hours(&line["seconds"]),
            hours(&line["freeSeconds"]),
            text(&line["cost"]),
            text(&line["onDemandCost"]),
        ]);
    };
    for line in answer["lines"].as_array().into_iter().flatten() {
        row(line, line["group"].as_str().unwrap_or("-").to_owned());
    }
    row(&answer["total"], "total".to_owned());
    for column in 3..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    say!("{table}");
    Ok(())
}

pub(crate) fn coverage(args: &CoverageArgs) -> Result<(), String> {
    if args.markdown {
        say!("{}", capstan_server::gateway::Coverage::of_engine().markdown().trim_end());
        return Ok(());
    }
    let answer = call(&args.server, Method::GET, "/_capstan/coverage", None)?;
    say!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
    Ok(())
}

/// One request to the server; a refusal's message is the error.
fn call(server: &ServerArgs, method: Method, path: &str, body: Option<Value>) -> Result<Value, String> {
    let url = format!("{}{path}", server.endpoint.trim_end_matches('/'));
    let request = Request::builder()
        .method(method)
        .uri(&url)
        .body(Full::<Bytes>::from(body.map(|body| body.to_string()).unwrap_or_default()))
        .map_err(|e| format!("{url} is no address: {e}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("failed to start: {e}"))?;
    runtime.block_on(async {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.map_err(|_| {
            format!("nobody answers at {}; is `capstan serve` running there? Give another address with --endpoint", server.endpoint)
        })?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| format!("the answer broke off: {e}"))?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        Err(answer["message"].as_str().map_or_else(|| format!("the server answered {status}"), str::to_owned))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(seconds(text).ok(), expect, "{text}");
        check("90s", Some(90));
        check("10m", Some(600));
        check("2h", Some(7200));
        check("1d", Some(86_400));
        check("600", Some(600));
        check("ten", None);
        check("", None);
        check("-1s", None);
        check("99999999999999999999d", None);
    }
}
