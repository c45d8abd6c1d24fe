//! The service that a process belongs to, from its cgroup path: a container, a systemd unit, else the program.

use headwater_model::{Service, ServiceKind};
use headwater_redact::{Redactor, Text};

/// Hexadecimal digits of a container id.
const CONTAINER_ID: usize = 64;
/// As many of them as `docker ps` shows.
const SHORT_ID: usize = 12;

/// Names the service, without a port, and the container's id when there is one.
pub(crate) fn service_of(
    cgroup: Option<&Text>,
    executable_name: &Text,
    redactor: &mut Redactor,
) -> (Service, Option<String>) {
    let path = cgroup.map(Text::as_str).unwrap_or_default();
    if let Some(id) = container_id(path) {
        let name = redactor.phrase(id.get(..SHORT_ID).unwrap_or(id).as_bytes());
        return (
            Service {
                kind: ServiceKind::Container,
                name,
                port: None,
            },
            Some(id.to_owned()),
        );
    }
    if let Some(unit) = unit(path) {
        return (
            Service {
                kind: ServiceKind::Unit,
                name: redactor.phrase(unit.as_bytes()),
                port: None,
            },
            None,
        );
    }
    (
        Service {
            kind: ServiceKind::Program,
            name: executable_name.clone(),
            port: None,
        },
        None,
    )
}

/// The 64 hexadecimal digits that Docker, containerd, CRI-O and Podman put into a cgroup's path.
pub(crate) fn container_id(path: &str) -> Option<&str> {
    path.split(['/', '-', '.', ':']).rev().find(|part| {
        part.len() == CONTAINER_ID && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The innermost `NAME.service` of a cgroup path. Scopes are sessions, not services; `user@1000.service` is every program
/// of a user's, so the innermost below it counts or none.
#[allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "the names of units are no file names, and systemd writes them in lower case"
)]
fn unit(path: &str) -> Option<&str> {
    let part = path
        .rsplit('/')
        .find(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
    (part.ends_with(".service") && !part.starts_with("user@")).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_paths_of_the_common_engines() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{id}.scope"
            ),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/kubepods/besteffort/pod1/{id}"),
        ] {
            assert_eq!(container_id(&path), Some(id.as_str()), "{path}");
        }
        assert_eq!(container_id("/system.slice/nginx.service"), None);
    }

    #[test]
    fn units() {
        for (path, expected) in [
            ("/system.slice/nginx.service", Some("nginx.service")),
            (
                "/system.slice/postgresql@15-main.service",
                Some("postgresql@15-main.service"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
                Some("web.service"),
            ),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/vte.scope",
                None,
            ),
            ("/user.slice/user-1000.slice/user@1000.service", None),
            ("/user.slice/user-1000.slice/session-3.scope", None),
            ("/", None),
        ] {
            assert_eq!(unit(path), expected, "{path}");
        }
    }
}
