//! What a container runs: which program, with which arguments, in which environment.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::runtime::StartError;
use crate::spec::{ContainerSpec, TaskSpec};

/// Searched when a container sets no `PATH`, as in most images.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// What it is called by, as the task definition says it.
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

/// The command line of a container: `entryPoint` + `command`, or, for an image of Capstan's own without an `entryPoint`,
/// this binary with the image's subcommand and then `command`.
pub(crate) fn command_line(container: &ContainerSpec, capstan_exe: &Path) -> Result<Vec<String>, StartError> {
    if container.entry_point.is_empty() && is_web(&container.image) {
        let mut line = vec![capstan_exe.to_string_lossy().into_owned(), "web".into()];
        line.extend(container.command.iter().cloned());
        return Ok(line);
    }
    let line: Vec<String> = container.entry_point.iter().chain(&container.command).cloned().collect();
    if line.is_empty() {
        return Err(StartError::CannotPull(format!(
            "the process runtime does not pull images, so it cannot run {} of container {}: give the container an \
             entryPoint or a command that exists on this host, or use the image capstan/web",
            container.image, container.name
        )));
    }
    Ok(line)
}

/// `capstan/web`, with or without a registry before it and a tag or digest after it.
fn is_web(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or(image);
    let name = match name.rsplit_once(':') {
        // A colon before the last slash belongs to a registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    name.strip_suffix("capstan/web").is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Finds the program as `execvp` would, in the container's own `PATH` and working directory.
pub(crate) fn find(
    line: &[String],
    directory: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Program, StartError> {
    let name = &line[0];
    let found = |path: PathBuf| Program { path, name: name.clone(), arguments: line[1..].to_vec() };
    let runnable = |path: &Path| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    let error = |what: &str| Err(StartError::CannotStart(format!("exec: {name:?}: {what}")));
    if name.contains('/') {
        let path = directory.join(name);
        return match path.metadata() {
            Err(error_of_stat) if error_of_stat.kind() == std::io::ErrorKind::NotFound => {
                error("no such file or directory on this host, where the process runtime looks for it")
            }
            Err(other) => error(&other.to_string()),
            Ok(_) if runnable(&path) => Ok(found(path)),
            Ok(_) => error("permission denied: not an executable file"),
        };
    }
    let path = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let candidate = path
        .split(':')
        .filter(|part| !part.is_empty() && !name.is_empty())
        .map(|part| directory.join(part).join(name))
        .find(|path| runnable(path));
    match candidate {
        Some(path) => Ok(found(path)),
        None => error(
            "executable file not found in $PATH of this host, where the process runtime looks for it; it does not \
             use the image",
        ),
    }
}

/// Who the container is, as the task's environment tells it. The container's own variables come later and win.
pub(crate) fn identity(task: &TaskSpec, container: &ContainerSpec) -> Vec<(String, String)> {
    [
        ("ECS_CONTAINER_NAME", container.name.clone()),
        ("CAPSTAN_TASK_ARN", task.arn.clone()),
        ("CAPSTAN_TASK_ID", task.id().into()),
        ("CAPSTAN_TASK_FAMILY", task.family.clone()),
        ("CAPSTAN_TASK_REVISION", task.revision.to_string()),
        ("CAPSTAN_CLUSTER", task.cluster.clone()),
        ("CAPSTAN_SERVICE", task.service.clone()),
        ("CAPSTAN_AVAILABILITY_ZONE", task.availability_zone.clone()),
        ("CAPSTAN_INSTANCE_ID", task.instance.to_string()),
        ("CAPSTAN_CAPACITY_PROVIDER", task.capacity_provider.clone()),
        ("CAPSTAN_LIFECYCLE", task.lifecycle.clone()),
    ]
    .map(|(name, value)| (name.into(), value))
    .into()
}

/// The variables that every container starts from, before those of the server's choice.
pub(crate) fn base() -> BTreeMap<String, String> {
    BTreeMap::from([("PATH".into(), DEFAULT_PATH.into())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_images() {
        for (image, expect) in [
            ("capstan/web", true),
            ("capstan/web:latest", true),
            ("public.ecr.aws/capstan/web:1", true),
            ("localhost:5000/capstan/web", true),
            ("capstan/web@sha256:00", true),
            ("mycapstan/web", false),
            ("capstan/website", false),
            ("capstan/web/more", false),
            ("nginx", false),
            ("", false),
        ] {
            assert_eq!(is_web(image), expect, "{image}");
        }
    }

    #[test]
    fn command_lines() {
        let check = |image: &str, entry_point: &[&str], command: &[&str], expect: &[&str]| {
            let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
            let container = ContainerSpec {
                entry_point: strings(entry_point),
                command: strings(command),
                ..ContainerSpec::new("c", image)
            };
            let line = command_line(&container, Path::new("/bin/capstan"));
            assert_eq!(line, Ok(strings(expect)), "{container:?}");
        };
        check("nginx", &["sh", "-c"], &["true"], &["sh", "-c", "true"]);
        check("nginx", &[], &["sleep", "1"], &["sleep", "1"]);
        check("capstan/web", &[], &[], &["/bin/capstan", "web"]);
        check("capstan/web", &[], &["--delay", "1s"], &["/bin/capstan", "web", "--delay", "1s"]);
        check("capstan/web", &["sh"], &["-c", "true"], &["sh", "-c", "true"]);
    }

    #[test]
    fn programs_are_found_or_the_text_says_where_it_looked() {
        let check = |line: &[&str], expect: Result<&str, &str>| {
            let line: Vec<String> = line.iter().map(ToString::to_string).collect();
            match (find(&line, Path::new("/"), &base()), expect) {
                (Ok(program), Ok(end)) => assert!(program.path.ends_with(end), "{program:?}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (other, _) => panic!("{line:?}: {other:?}"),
            }
        };
        check(&["sh", "-c"], Ok("sh"));
        check(&["/bin/sh"], Ok("/bin/sh"));
        check(&["bin/sh"], Ok("/bin/sh"));
        check(&["no-such-program"], Err("\"no-such-program\": executable file not found in $PATH"));
        check(&["/no/such/program"], Err("\"/no/such/program\": no such file or directory"));
        check(&["/etc/passwd"], Err("permission denied"));
        check(&["/"], Err("permission denied"));
        check(&[""], Err("executable file not found"));
    }
}
