use super::Pattern;

fn check(pattern: &str, cases: &[(&str, bool)]) {
    let parsed = Pattern::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
    for (message, expect) in cases {
        assert_eq!(parsed.matches(message), *expect, "{pattern} on {message}");
    }
}

#[test]
fn terms() {
    check("", &[("", true), ("anything", true)]);
    check(" ", &[("anything", true)]);
    check("ERROR", &[("[ERROR 400] BAD REQUEST", true), ("[error 400]", false), ("", false)]);
    check("ERROR ARGUMENTS", &[("[ERROR] INVALID ARGUMENTS", true), ("[ERROR]", false)]);
    check(
        "\"INTERNAL SERVER ERROR\"",
        &[("[ERROR 500] INTERNAL SERVER ERROR", true), ("INTERNAL ERROR SERVER", false)],
    );
    check("\"a \\\"b\\\"\"", &[("say a \"b\"", true), ("say a b", false)]);
    check("?ERROR ?WARN", &[("WARN x", true), ("ERROR x", true), ("INFO", false)]);
    check("ERROR -ARGUMENTS", &[("ERROR x", true), ("ERROR ARGUMENTS", false)]);
    check("-ARGUMENTS", &[("x", true), ("ARGUMENTS", false)]);
    check("-\"two words\" ok", &[("ok two words", false), ("ok two", true)]);
    check("?a ?b c", &[("c", true), ("a", false)]);
    check(
        "%AUTHORIZED%",
        &[("[ERROR 401] UNAUTHORIZED REQUEST", true), ("[200] AUTHORIZED", true), ("x", false)],
    );
    check("%^4[0-9]+|5.. %", &[("404 x", true), ("500 x", true), ("x 404", false)]);
    check("ok -%1[0-9]%", &[("ok 20", true), ("ok 13", false)]);
}

#[test]
fn json() {
    let event = r#"{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],
        "objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"cluster.name":"c","bandwidth":75.5,
        "latency":50,"text":"404","flag":true,"off":false,"a":{"b":{"c":"deep"}}}"#;
    let check = |pattern: &str, expect: bool| check(pattern, &[(event, expect), ("no JSON", false)]);
    check(r#"{ $.eventType = "UpdateTrail" }"#, true);
    check(r#"{$.eventType="UpdateTrail"}"#, true);
    check("{ $.eventType = UpdateTrail }", true);
    check(r#"{ $.eventType = "Update*" }"#, true);
    check(r#"{ $.eventType = "*pdate*" }"#, true);
    check(r#"{ $.eventType = "update*" }"#, false);
    check(r#"{ $.eventType != "UpdateTrail" }"#, false);
    check(r#"{ $.missing != "x" }"#, false);
    check("{ $.sourceIPAddress != 123.123.* }", true);
    check("{ $.sourceIPAddress = 111.111.* }", true);
    check("{ $.eventType = %^Up.*il$% }", true);
    check("{ $.eventType = %^up% }", false);
    check(r#"{ $.arrayKey[0] = "value" }"#, true);
    check(r#"{ $.arrayKey[1] = "value" }"#, false);
    check(r#"{ $.arrayKey[*] = "another value" }"#, true);
    check("{ $.objectList[1].id = 2 }", true);
    check("{ $.objectList[*].id > 1 }", true);
    check("{ $.bandwidth > 75 }", true);
    check("{ $.bandwidth >= 75.5 }", true);
    check("{ $.bandwidth < 7.5e1 }", false);
    check("{ $.latency <= 50 }", true);
    check("{ $.latency = 5* }", true);
    check("{ $.text = 404 }", true);
    check("{ $.text >= 400 }", true);
    check("{ $.eventType > 3 }", false);
    check("{ $.SomeObject IS NULL }", true);
    check("{ $.eventType IS NULL }", false);
    check("{ $.SomeOtherObject NOT EXISTS }", true);
    check("{ $.eventType EXISTS }", true);
    check("{ $.eventType NOT EXISTS }", false);
    check("{ $.flag IS TRUE }", true);
    check("{ $.off IS FALSE }", true);
    check("{ $.off IS TRUE }", false);
    check("{ $.flag = true }", true);
    check(r#"{ $.["cluster.name"] = "c" }"#, true);
    check(r#"{ $."cluster.name" = "c" }"#, true);
    check("{ $.a.b.c = deep }", true);
    check("{ $.a.b = deep }", false);
    check("{ ($.latency = 50) && ($.bandwidth > 100) }", false);
    check("{ ($.latency = 50) || ($.bandwidth > 100) }", true);
    check("{ $.latency = 1 && $.bandwidth > 1 || $.flag IS TRUE }", true);
    check("{ $.latency = 1 && ($.bandwidth > 1 || $.flag IS TRUE) }", false);
    check(r#"{ ($.eventType = "x" || $.eventType = "UpdateTrail") && $.latency < 51 }"#, true);
}

#[test]
fn fields() {
    let line = r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;
    let check = |pattern: &str, expect: bool| check(pattern, &[(line, expect)]);
    check("[ip, id, user, timestamp, request, status_code, bytes]", true);
    check("[ip, id, user, timestamp, request, status_code]", false);
    check("[ip, id, user, timestamp, request = *.html*, status_code = 4*, bytes]", true);
    check("[ip, id, user, timestamp, request, status_code = 4*, bytes > 1000]", true);
    check("[ip, id, user, timestamp, request, status_code = 404, bytes > 2000]", false);
    check("[..., status_code = 404, bytes]", true);
    check("[ip = 127.0.0.*, ...]", true);
    check("[ip != 127.0.0.1, ...]", false);
    check("[ip, ..., bytes >= 1534]", true);
    check("[, , , , , status = 404, ]", true);
    check("[ip, id, user = frank || user = bob, ...]", true);
    check("[ip, id, user = \"frank\", ...]", true);
    check("[ip, id, user = frank && user != fr*, ...]", false);
    check("[..., (s = 5* || s = 4*) && s > 403, b]", true);
    check("[..., status = %4[0-9]{2}%, b]", true);
    check("[..., status = %4[0-9]{3}%, b]", false);
}

#[test]
fn wrong_patterns() {
    let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(100), ")".repeat(100));
    let cases = [
        ("\"open", "not closed"),
        ("%open", "not closed"),
        ("%a!b%", "do not support !"),
        ("a=b", "double quotation marks"),
        ("a -", "missing"),
        ("{ $.a }", "an operator is missing"),
        ("{ a = 1 }", "$ is missing"),
        ("{ $ = 1 }", "begins with $."),
        ("{ $.a = }", "a value is missing"),
        ("{ $.a = 1", "} is missing"),
        ("{ $.a = 1 } x", "nothing may follow"),
        ("{ $.a NOT 1 }", "EXISTS must follow"),
        ("{ $.a IS 1 }", "TRUE, FALSE or NULL"),
        ("{ $.a[x] = 1 }", "an index is missing"),
        ("{ ($.a = 1 }", ") is missing"),
        (deep.as_str(), "too deeply"),
        ("[a, b", "is missing"),
        ("[a = 1 && b = 2]", "cannot be joined"),
        ("[..., ...]", "may stand once"),
        ("[a ! 3]", "an operator is missing"),
        ("{", "$ is missing"),
        ("[", "is missing"),
    ];
    for (pattern, expect) in cases {
        match Pattern::parse(pattern) {
            Ok(_) => panic!("{pattern} was taken"),
            Err(why) => assert!(why.contains(expect), "{pattern}: {why}"),
        }
    }
}
