//! Redirect actions.

use hyper::Uri;

use crate::snapshot::Redirect;

/// The `Location` of a redirect. `host` is the request's, without port; the port is always written, as ALB does.
pub(crate) fn location(redirect: &Redirect, host: &str, port: u16, uri: &Uri) -> String {
    let port = port.to_string();
    let path = uri.path();
    let fill =
        |template: &str| fill(template, host, &port, path.strip_prefix('/').unwrap_or(path), uri.query());
    let protocol = fill(&redirect.protocol).to_ascii_lowercase();
    let query = fill(&redirect.query);
    let mark = if query.is_empty() { "" } else { "?" };
    format!(
        "{protocol}://{}:{}{}{mark}{query}",
        fill(&redirect.host),
        fill(&redirect.port),
        fill(&redirect.path)
    )
}

fn fill(template: &str, host: &str, port: &str, path: &str, query: Option<&str>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("#{") {
        out.push_str(before);
        let (keyword, behind) = after.split_once('}').unwrap_or((after, ""));
        match keyword {
            "host" => out.push_str(host),
            "path" => out.push_str(path),
            "port" => out.push_str(port),
            "protocol" => out.push_str("http"),
            "query" => out.push_str(query.unwrap_or_default()),
            // The API refuses other keywords.
            _ => {}
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let default = Redirect::default;
        for (redirect, expected) in [
            (default(), "http://example.com:8080/a/b?c=d"),
            (
                Redirect { protocol: "HTTPS".into(), port: "443".into(), ..default() },
                "https://example.com:443/a/b?c=d",
            ),
            (
                Redirect {
                    host: "new.#{host}".into(),
                    path: "/v2/#{path}".into(),
                    query: String::new(),
                    ..default()
                },
                "http://new.example.com:8080/v2/a/b",
            ),
        ] {
            let uri = "/a/b?c=d".parse().expect("a URI");
            assert_eq!(location(&redirect, "example.com", 8080, &uri), expected);
        }
    }
}
