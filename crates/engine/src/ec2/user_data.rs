//! What an instance's user data tells the ECS agent.
//!
//! User data is a program for the instance's shell; no shell runs it here. What matters of it are the lines that write
//! `/etc/ecs/ecs.config`, and those are read in the forms that people use: `echo`, `printf` and here-documents, with
//! any quoting. The other lines, cloud-init's wrapping (MIME parts, `runcmd` lists) among them, say nothing about the
//! agent and are passed over.

use std::collections::BTreeMap;

const CONFIG_FILE: &str = "/etc/ecs/ecs.config";

/// The assignments that user data writes to `/etc/ecs/ecs.config`; of one name, the last counts.
pub fn ecs_config(user_data: &str) -> BTreeMap<String, String> {
    let joined = user_data.replace("\r\n", "\n").replace("\\\n", " ");
    let mut config = BTreeMap::new();
    let mut lines = joined.lines();
    while let Some(line) = lines.next() {
        if !line.contains(CONFIG_FILE) || line.trim_start().starts_with('#') {
            continue;
        }
        match here_document(line) {
            Some(end) => lines
                .by_ref()
                .take_while(|text| text.trim() != end)
                .for_each(|text| assign(&mut config, text)),
            None => commands(line).iter().for_each(|command| written(&mut config, command)),
        }
    }
    config
}

/// A `cfn-signal` in user data: to which resource of which stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CfnSignal {
    pub stack: String,
    pub resource: String,
}

/// The signals that user data sends when it is through. What comes before them is taken to succeed, since no shell runs it.
pub fn cfn_signals(user_data: &str) -> Vec<CfnSignal> {
    let joined = user_data.replace("\r\n", "\n").replace("\\\n", " ");
    let mut signals = Vec::new();
    for line in joined.lines().filter(|line| !line.trim_start().starts_with('#')) {
        for command in commands(line) {
            let Some(start) = command.iter().position(|word| word.ends_with("cfn-signal")) else { continue };
            let option = |name: &str| {
                let words = &command[start..];
                let at = words.iter().position(|word| word == name).map(|at| at + 1);
                let after = at.and_then(|at| words.get(at)).cloned();
                after.or_else(|| {
                    words.iter().find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
                })
            };
            if let (Some(stack), Some(resource)) = (option("--stack"), option("--resource")) {
                signals.push(CfnSignal { stack, resource });
            }
        }
    }
    signals
}

/// The word that ends the here-document which begins on that line.
fn here_document(line: &str) -> Option<String> {
    let (_, after) = line.split_once("<<")?;
    let after = after.trim_start_matches('-').trim_start();
    let end = after.split([' ', '\t', ';', '>', '|']).next().unwrap_or_default();
    let end: String = end.chars().filter(|each| !matches!(each, '\'' | '"' | '\\')).collect();
    (!end.is_empty()).then_some(end)
}

/// What a command writes to the agent's configuration, if that is what it does.
fn written(config: &mut BTreeMap<String, String>, words: &[String]) {
    let to_file = |word: &String| word.trim_start_matches('>').trim() == CONFIG_FILE;
    let Some(start) = words.iter().position(|word| matches!(word.as_str(), "echo" | "printf")) else {
        return;
    };
    if !words.iter().any(to_file) {
        return;
    }
    let flags = |word: &&String| matches!(word.as_str(), "-e" | "-n" | "-en" | "-ne" | "-E");
    let end = |word: &&String| !(word.starts_with('>') || word.as_str() == "|");
    let text: Vec<&str> =
        words[start + 1..].iter().skip_while(flags).take_while(end).map(String::as_str).collect();
    // `\n` in the text: what `echo -e` and printf make a line of.
    for line in text.join(" ").replace("\\n", "\n").lines() {
        assign(config, line);
    }
}

fn assign(config: &mut BTreeMap<String, String>, line: &str) {
    let Some((name, value)) = line.trim().split_once('=') else { return };
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    if is_name {
        config.insert(name.to_owned(), value.trim().to_owned());
    }
}

/// The commands of a line, each as its words with the quoting undone. Redirections are words of their own.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(each) = chars.next() {
        match (quote, each) {
            (Some(open), close) if open == close => quote = None,
            (Some('"'), '\\') if matches!(chars.peek(), Some('"' | '\\' | '$' | '`')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (Some(_), each) => word.get_or_insert_default().push(each),
            (None, '\'' | '"') => {
                quote = Some(each);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, '#') if word.is_none() => break,
            (None, ' ' | '\t' | ';' | '&' | '|' | '>') => {
                let end: &mut Vec<String> = commands.last_mut().expect("there is always one");
                end.extend(word.take());
                let doubled = chars.next_if_eq(&each).is_some();
                match each {
                    '>' => end.push(">".to_owned()),
                    '|' if !doubled => end.push("|".to_owned()),
                    ';' | '&' | '|' => commands.push(Vec::new()),
                    _ => {}
                }
            }
            (None, each) => word.get_or_insert_default().push(each),
        }
    }
    commands.last_mut().expect("there is always one").extend(word);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user_data: &str, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(ecs_config(user_data), expected, "{user_data}");
    }

    #[test]
    fn signals() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found = cfn_signals(text);
            let found: Vec<_> = found.iter().map(|it| (it.stack.as_str(), it.resource.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(
            "yum update -y\n/opt/aws/bin/cfn-signal -e $? --stack shop --resource Group --region us-east-1\n",
            &[("shop", "Group")],
        );
        check("cfn-signal --success true \\\n --stack=shop --resource='Group'", &[("shop", "Group")]);
        check("cfn-init -v && cfn-signal --stack a --resource B", &[("a", "B")]);
        check("# cfn-signal --stack a --resource B", &[]);
        check("cfn-signal --stack a", &[]);
    }

    #[test]
    fn the_workshop() {
        check(
            "#!/usr/bin/bash\n\
             echo ECS_CLUSTER=EcsSpotWorkshop >> /etc/ecs/ecs.config\n\
             sudo iptables --insert FORWARD 1 --in-interface docker+ --destination 169.254.169.254/32 --jump DROP\n\
             sudo service iptables save\n\
             echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config\n\
             echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config\n\
             cat /etc/ecs/ecs.config",
            &[
                ("ECS_AWSVPC_BLOCK_IMDS", "true"),
                ("ECS_CLUSTER", "EcsSpotWorkshop"),
                ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", "true"),
            ],
        );
    }

    #[test]
    fn any_usual_quoting() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            ("echo ECS_CLUSTER=a > /etc/motd", &[]),
            ("# echo ECS_CLUSTER=a >> /etc/ecs/ecs.config", &[]),
            ("echo 'ECS_CLUSTER=a'>>/etc/ecs/ecs.config", &[("ECS_CLUSTER", "a")]),
            ("echo \"ECS_CLUSTER=a\" | sudo tee -a /etc/ecs/ecs.config", &[("ECS_CLUSTER", "a")]),
            ("echo ECS_CLUSTER='a' >> /etc/ecs/ecs.config; echo ECS_X=1", &[("ECS_CLUSTER", "a")]),
            (
                "echo ECS_CLUSTER=a >> /etc/ecs/ecs.config && echo ECS_RESERVED_MEMORY=256 >> /etc/ecs/ecs.config",
                &[("ECS_CLUSTER", "a"), ("ECS_RESERVED_MEMORY", "256")],
            ),
            (
                "echo -e \"ECS_CLUSTER=a\\nECS_CONTAINER_STOP_TIMEOUT=90s\" >> /etc/ecs/ecs.config",
                &[("ECS_CLUSTER", "a"), ("ECS_CONTAINER_STOP_TIMEOUT", "90s")],
            ),
            ("printf 'ECS_CLUSTER=%s' a >> /etc/other", &[]),
            ("printf 'ECS_CLUSTER=a\\n' >> /etc/ecs/ecs.config", &[("ECS_CLUSTER", "a")]),
            (
                "echo \"ECS_INSTANCE_ATTRIBUTES={\\\"stack\\\":\\\"blue\\\"}\" >> /etc/ecs/ecs.config",
                &[("ECS_INSTANCE_ATTRIBUTES", "{\"stack\":\"blue\"}")],
            ),
            (
                "echo ECS_INSTANCE_ATTRIBUTES='{\"stack\": \"blue\"}' >> /etc/ecs/ecs.config",
                &[("ECS_INSTANCE_ATTRIBUTES", "{\"stack\": \"blue\"}")],
            ),
            ("echo ECS_CLUSTER=a >> \\\n  /etc/ecs/ecs.config", &[("ECS_CLUSTER", "a")]),
            ("#cloud-config\nruncmd:\n - echo ECS_CLUSTER=a >> /etc/ecs/ecs.config", &[("ECS_CLUSTER", "a")]),
            (
                "echo ECS_CLUSTER=a >> /etc/ecs/ecs.config\necho ECS_CLUSTER=b >> /etc/ecs/ecs.config",
                &[("ECS_CLUSTER", "b")],
            ),
            ("echo ECS_CLUSTER=unfinished' >> /etc/ecs/ecs.config", &[]),
        ];
        for (user_data, expected) in cases {
            check(user_data, expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in r#"(echo |cat |<<|EOF|>>|\\|"|'|;|&&|\n|A=b|é| /etc/ecs/ecs.config){0,20}"#) {
            let _ = ecs_config(&text);
        }
    }

    #[test]
    fn here_documents() {
        let body = "ECS_CLUSTER=a\n# a remark\n\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n";
        let expected: &[(&str, &str)] =
            &[("ECS_CLUSTER", "a"), ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", "true")];
        for head in [
            "cat <<EOF >> /etc/ecs/ecs.config",
            "cat <<'EOF' >> /etc/ecs/ecs.config",
            "cat << \"EOF\" > /etc/ecs/ecs.config",
            "cat >> /etc/ecs/ecs.config <<-EOF",
            "sudo tee -a /etc/ecs/ecs.config <<EOF",
            "cat<<EOF>>/etc/ecs/ecs.config",
        ] {
            check(&format!("#!/bin/bash\n{head}\n{body}EOF\nECS_CLUSTER=not-this\n"), expected);
        }
    }

    #[test]
    fn the_script_in_a_mime_part() {
        check(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"==B==\"\n\n--==B==\n\
             Content-Type: text/cloud-boothook; charset=\"us-ascii\"\n\n\
             cloud-init-per once opts echo 'OPTIONS=\"--storage-opt dm.basesize=20G\"' >> /etc/sysconfig/docker\n\n\
             --==B==\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\n\n#!/bin/bash\r\n\
             echo \"ECS_CLUSTER=a\" >> /etc/ecs/ecs.config\r\n--==B==--\n",
            &[("ECS_CLUSTER", "a")],
        );
    }
}
