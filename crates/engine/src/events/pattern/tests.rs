use super::*;

fn event(detail: &str) -> Json {
    let text = format!(
        r#"{{"version":"0","id":"1","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",
            "account":"123456789012","time":"2026-01-01T00:00:00Z","region":"us-east-1",
            "resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-1"],"detail":{detail}}}"#
    );
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Patterns on the whole event or, as `detail` of a pattern, on the detail.
fn check(pattern: &str, detail: &str, expect: bool) {
    let whole = pattern.starts_with("{\"source")
        || pattern.starts_with("{\"resources")
        || pattern.contains("\"detail\"");
    let text = if whole { pattern.to_owned() } else { format!("{{\"detail\":{pattern}}}") };
    let parsed = Pattern::parse(&text).unwrap_or_else(|Invalid(why)| panic!("{text}: {why}"));
    assert_eq!(parsed.matches(&event(detail)), expect, "{pattern} on {detail}");
}

#[test]
fn values() {
    check(r#"{"source":["aws.ec2"]}"#, "{}", true);
    check(r#"{"source":["aws.ecs","aws.ec2"]}"#, "{}", true);
    check(r#"{"source":["aws.ecs"]}"#, "{}", false);
    check(r#"{"source":["AWS.EC2"]}"#, "{}", false);
    check(
        r#"{"source":["aws.ec2"],"detail":{"state":["running"]}}"#,
        r#"{"state":"running","more":1}"#,
        true,
    );
    check(r#"{"source":["aws.ec2"],"detail":{"state":["running"]}}"#, r#"{"more":1}"#, false);
    check(r#"{"resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-1"]}"#, "{}", true);
    check(r#"{"a":[null]}"#, r#"{"a":null}"#, true);
    check(r#"{"a":[null]}"#, r#"{"a":""}"#, false);
    check(r#"{"a":[null]}"#, "{}", false);
    check(r#"{"a":[""]}"#, r#"{"a":""}"#, true);
    check(r#"{"a":[true]}"#, r#"{"a":true}"#, true);
    check(r#"{"a":[true]}"#, r#"{"a":"true"}"#, false);
    check(r#"{"a":[300]}"#, r#"{"a":300}"#, true);
    check(r#"{"a":[300]}"#, r#"{"a":300.0}"#, false);
    check(r#"{"a":[300]}"#, r#"{"a":"300"}"#, false);
    // The last of two keys that are the same counts.
    check(r#"{"a":["x"],"a":["y"]}"#, r#"{"a":"y"}"#, true);
    check(r#"{"a":["x"],"a":["y"]}"#, r#"{"a":"x"}"#, false);
}

#[test]
fn texts() {
    check(r#"{"a":[{"prefix":"us-"}]}"#, r#"{"a":"us-east-1"}"#, true);
    check(r#"{"a":[{"prefix":"us-"}]}"#, r#"{"a":"eu-west-1"}"#, false);
    check(r#"{"a":[{"prefix":"us-"}]}"#, r#"{"a":5}"#, false);
    check(r#"{"a":[{"prefix":{"equals-ignore-case":"US-"}}]}"#, r#"{"a":"us-east-1"}"#, true);
    check(r#"{"a":[{"suffix":".png"}]}"#, r#"{"a":"dir/x.png"}"#, true);
    check(r#"{"a":[{"suffix":".png"}]}"#, r#"{"a":"dir/x.PNG"}"#, false);
    check(r#"{"a":[{"suffix":{"equals-ignore-case":".png"}}]}"#, r#"{"a":"dir/x.PNG"}"#, true);
    check(r#"{"a":[{"equals-ignore-case":"alice"}]}"#, r#"{"a":"Alice"}"#, true);
    check(r#"{"a":[{"equals-ignore-case":"alice"}]}"#, r#"{"a":"Alicia"}"#, false);
    check(r#"{"a":[{"prefix":"x"}, 5, {"suffix":"y"}]}"#, r#"{"a":5}"#, true);
}

#[test]
fn wildcards() {
    let on = |pattern: &str, text: &str, expect| {
        check(
            &format!(r#"{{"a":[{{"wildcard":{}}}]}}"#, Json::from(pattern)),
            &format!(r#"{{"a":{}}}"#, Json::from(text)),
            expect,
        );
    };
    on("dir/*.png", "dir/x.png", true);
    on("dir/*.png", "dir/.png", true);
    on("dir/*.png", "dir.png", false);
    on("*", "", true);
    on("*a*b*", "xaxxbx", true);
    on("*a*b*", "xbxxax", false);
    on("a*a", "a", false);
    on("a*bc*c", "abcc", true);
    on("a*bc*c", "abc", false);
    on("plain", "plain", true);
    on("plain", "plainer", false);
    on("a\\*b", "a*b", true);
    on("a\\*b", "axb", false);
    on("a\\\\b", "a\\b", true);
    on("ü*ß", "üxß", true);
}

#[test]
fn anything_but() {
    check(r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":"y"}"#, true);
    check(r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":"x"}"#, false);
    check(r#"{"a":[{"anything-but":"x"}]}"#, "{}", false);
    check(r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":null}"#, true);
    check(r#"{"a":[{"anything-but":123}]}"#, r#"{"a":124}"#, true);
    check(r#"{"a":[{"anything-but":["x","y"]}]}"#, r#"{"a":"y"}"#, false);
    check(r#"{"a":[{"anything-but":[1,2]}]}"#, r#"{"a":3}"#, true);
    check(r#"{"a":[{"anything-but":{"prefix":"in"}}]}"#, r#"{"a":"initializing"}"#, false);
    check(r#"{"a":[{"anything-but":{"prefix":["in","t"]}}]}"#, r#"{"a":"terminated"}"#, false);
    check(r#"{"a":[{"anything-but":{"suffix":".txt"}}]}"#, r#"{"a":"a.png"}"#, true);
    check(r#"{"a":[{"anything-but":{"suffix":[".txt",".png"]}}]}"#, r#"{"a":"a.png"}"#, false);
    check(r#"{"a":[{"anything-but":{"equals-ignore-case":"X"}}]}"#, r#"{"a":"x"}"#, false);
    check(r#"{"a":[{"anything-but":{"equals-ignore-case":["X","Y"]}}]}"#, r#"{"a":"z"}"#, true);
    check(r#"{"a":[{"anything-but":{"wildcard":"*/lib/*"}}]}"#, r#"{"a":"x/lib/y"}"#, false);
}

#[test]
fn numbers() {
    check(r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":5}"#, true);
    check(r#"{"a":[{"numeric":[">",0,"<=",5]}]}"#, r#"{"a":0}"#, false);
    check(r#"{"a":[{"numeric":["=",300]}]}"#, r#"{"a":3.0e2}"#, true);
    check(r#"{"a":[{"numeric":["<",10]}]}"#, r#"{"a":-3.018e2}"#, true);
    check(r#"{"a":[{"numeric":["<",10]}]}"#, r#"{"a":"9"}"#, false);
    check(r#"{"a":[{"numeric":[">=",0.000001]}]}"#, r#"{"a":0.000001}"#, true);
}

#[test]
fn addresses() {
    check(r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"10.0.0.255"}"#, true);
    check(r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"10.0.1.0"}"#, false);
    check(r#"{"a":[{"cidr":"0.0.0.0/0"}]}"#, r#"{"a":"1.2.3.4"}"#, true);
    check(r#"{"a":[{"cidr":"10.0.0.7/32"}]}"#, r#"{"a":"10.0.0.7"}"#, true);
    check(r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"nonsense"}"#, false);
    check(r#"{"a":[{"cidr":"10.0.0.0/24"}]}"#, r#"{"a":"::ffff:10.0.0.1"}"#, false);
    check(r#"{"a":[{"cidr":"2001:db8::/32"}]}"#, r#"{"a":"2001:db8:0:1::5"}"#, true);
    check(r#"{"a":[{"cidr":"2001:db8::/32"}]}"#, r#"{"a":"2001:db9::5"}"#, false);
}

#[test]
fn existence() {
    check(r#"{"a":[{"exists":true}]}"#, r#"{"a":null}"#, true);
    check(r#"{"a":[{"exists":true}]}"#, "{}", false);
    check(r#"{"a":[{"exists":false}]}"#, "{}", true);
    check(r#"{"a":[{"exists":false}]}"#, r#"{"a":1}"#, false);
    check(r#"{"a":["x",{"exists":false}]}"#, r#"{"a":"x"}"#, true);
    check(r#"{"a":["x",{"exists":false}]}"#, "{}", true);
    // Leaves only: an object is not there as a value.
    check(r#"{"a":[{"exists":true}]}"#, r#"{"a":{"b":1}}"#, false);
    check(r#"{"a":[{"exists":false}]}"#, r#"{"a":{"b":1}}"#, true);
    check(r#"{"a":{"b":[{"exists":false}]}}"#, "{}", true);
    check(r#"{"a":{"b":[{"exists":false}],"c":[1]}}"#, "{}", false);
    check(r#"{"a":{"b":[{"exists":false}]}}"#, r#"{"a":[{"c":1},{"b":1}]}"#, false);
    check(r#"{"a":[{"exists":false}]}"#, r#"{"a":[]}"#, true);
}

#[test]
fn arrays() {
    check(r#"{"a":["x","z"]}"#, r#"{"a":["w","x"]}"#, true);
    check(r#"{"a":["z"]}"#, r#"{"a":["w","x"]}"#, false);
    check(r#"{"a":["x"]}"#, r#"{"a":[["w"],["x"]]}"#, true);
    check(r#"{"a":[{"anything-but":"x"}]}"#, r#"{"a":["w","x"]}"#, true);
    check(r#"{"a":{"b":["x"]}}"#, r#"{"a":[{"b":"w"},{"b":"x"}]}"#, true);
    // Of one and the same object.
    check(r#"{"a":{"b":[1],"c":[4]}}"#, r#"{"a":[{"b":1,"c":2},{"b":3,"c":4}]}"#, false);
    check(r#"{"a":{"b":[3],"c":[4]}}"#, r#"{"a":[{"b":1,"c":2},{"b":3,"c":4}]}"#, true);
}

#[test]
fn either() {
    let pattern = r#"{"$or":[{"a":["x"]},{"b":[{"numeric":["<",0]}]}],"c":[1]}"#;
    check(pattern, r#"{"a":"x","c":1}"#, true);
    check(pattern, r#"{"b":-1,"c":1}"#, true);
    check(pattern, r#"{"b":1,"c":1}"#, false);
    check(pattern, r#"{"a":"x","c":2}"#, false);
    check(r#"{"$or":["x"]}"#, r#"{"$or":"x"}"#, true);
    check(
        r#"{"source":["aws.ec2"],"$or":[{"detail":{"a":[1]}},{"resources":[{"prefix":"arn:"}]}]}"#,
        "{}",
        true,
    );
}

#[test]
fn sources_are_told_apart_early() {
    let could = |pattern: &str, expect: bool| {
        let parsed = Pattern::parse(pattern).unwrap_or_else(|Invalid(why)| panic!("{pattern}: {why}"));
        assert_eq!(parsed.could_match("aws.ecs", "ECS Task State Change"), expect, "{pattern}");
    };
    could(r#"{"source":["aws.ecs"],"detail":{"x":[1]}}"#, true);
    could(r#"{"source":["aws.ec2"]}"#, false);
    could(r#"{"source":[{"prefix":"aws."}],"detail-type":["other"]}"#, false);
    could(r#"{"detail":{"x":[1]}}"#, true);
    could(r#"{"$or":[{"source":["aws.ec2"]},{"detail-type":["ECS Task State Change"]}]}"#, true);
    could(r#"{"$or":[{"source":["aws.ec2"]},{"source":["aws.fis"]}]}"#, false);
    could(r#"{"source":[{"exists":false}]}"#, false);
}

#[test]
fn what_is_refused() {
    let refused = |pattern: &str, expect: &str| {
        let Err(Invalid(why)) = Pattern::parse(pattern) else { panic!("{pattern} is taken") };
        assert!(why.starts_with(expect), "{pattern}: {why}");
    };
    refused("", "The pattern is not JSON");
    refused("{", "The pattern is not JSON");
    refused(r#""x""#, "Filter is not an object");
    refused("{}", "Empty objects are not allowed");
    refused(r#"{"detail":{}}"#, "Empty objects are not allowed");
    refused(r#"{"source":[]}"#, "Empty arrays are not allowed");
    refused(r#"{"source":"aws.ec2"}"#, "\"source\" must be an object or an array");
    refused(r#"{"a":[["x"]]}"#, "Match value must be");
    refused(r#"{"a":[{}]}"#, "Match expression name not found");
    refused(r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "Only one key allowed");
    refused(r#"{"a":[{"like":"x"}]}"#, "Unrecognized match type like");
    refused(r#"{"a":[{"prefix":1}]}"#, "prefix match pattern must be a string");
    refused(r#"{"a":[{"suffix":null}]}"#, "suffix match pattern must be a string");
    refused(r#"{"a":[{"prefix":{"wildcard":"x"}}]}"#, "Unsupported prefix pattern: wildcard");
    refused(r#"{"a":[{"equals-ignore-case":[]}]}"#, "equals-ignore-case match pattern must be a string");
    refused(r#"{"a":[{"wildcard":"a**"}]}"#, "Consecutive wildcard characters at pos 1");
    refused(r#"{"a":[{"wildcard":"a\\b"}]}"#, "Invalid escape character at pos 1");
    refused(r#"{"a":[{"exists":"yes"}]}"#, "exists match pattern must be either true or false.");
    refused(r#"{"a":[{"numeric":5}]}"#, "Value of numeric must be an array.");
    refused(r#"{"a":[{"numeric":[]}]}"#, "Invalid member in numeric match");
    refused(r#"{"a":[{"numeric":[5]}]}"#, "Invalid member in numeric match: 5");
    refused(r#"{"a":[{"numeric":["!",5]}]}"#, "Unrecognized numeric range operator: !");
    refused(r#"{"a":[{"numeric":["<","5"]}]}"#, "Value of < must be numeric");
    refused(r#"{"a":[{"numeric":[">",5,"<",5]}]}"#, "Bottom must be less than top");
    refused(r#"{"a":[{"numeric":["<",5,">",1]}]}"#, "Bad numeric range operator");
    refused(r#"{"a":[{"numeric":[">",1,"<",5,"<",9]}]}"#, "Too many terms");
    refused(r#"{"a":[{"numeric":[">",1e300]}]}"#, "Value must be between");
    refused(r#"{"a":[{"anything-but":true}]}"#, "Value of anything-but must be");
    refused(r#"{"a":[{"anything-but":[]}]}"#, "Empty arrays are not allowed");
    refused(r#"{"a":[{"anything-but":["x",1]}]}"#, "Inside anything but list, either all");
    refused(r#"{"a":[{"anything-but":[null]}]}"#, "Inside anything but list, null is not supported.");
    refused(r#"{"a":[{"anything-but":{"numeric":["=",1]}}]}"#, "Unsupported anything-but pattern: numeric");
    refused(r#"{"a":[{"cidr":"10.0.0.0"}]}"#, "Malformed CIDR, one '/' required");
    refused(r#"{"a":[{"cidr":"10.0.0.0/x"}]}"#, "Malformed CIDR, mask bits must be an integer");
    refused(r#"{"a":[{"cidr":"10.0.0/8"}]}"#, "Nonstandard IP address: 10.0.0");
    refused(r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "IPv4 mask bits");
    refused(r#"{"a":[{"cidr":"::/129"}]}"#, "IPv6 mask bits");
    let alternatives = |count: usize| vec![r#"{"a":[1]}"#; count].join(",");
    let many = format!(r#"{{"$or":[{}],"detail":{{"$or":[{}]}}}}"#, alternatives(40), alternatives(26));
    refused(&many, "The $or alternatives make more than 1000 combinations");
}
