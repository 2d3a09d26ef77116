//! Which interface serves which role.

use std::fmt;
use std::sync::Arc;

use twinpath_proto::Role;
use twinpath_socket::{Interface, InterfaceError, InterfaceKind, Mandate};

use super::builder::Options;
use super::mandate;
use crate::dialer::Path;
use crate::error::ConnectError;
use crate::mode::{Mode, ModeReason};
use crate::target::Target;

/// Which interface is to serve a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InterfaceSelector {
    /// The first usable one of that kind.
    Kind(InterfaceKind),
    /// The one of that name.
    Name(String),
}

impl InterfaceSelector {
    /// The interface of that name.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    pub(super) const fn is_named(&self) -> bool {
        matches!(self, Self::Name(_))
    }

    fn matches(&self, interface: &Interface) -> bool {
        match self {
            Self::Kind(kind) => interface.kind == *kind && interface.is_usable(),
            // Whoever names an interface knows that it leads to the target, default route or not.
            Self::Name(name) => {
                interface.name == *name && interface.up && !interface.addresses.is_empty()
            }
        }
    }
}

impl fmt::Display for InterfaceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => kind.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What there is to run a connection over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    paths: [Option<Path>; 2],
    pub(super) mode: Mode,
    pub(super) reason: ModeReason,
}

impl Plan {
    pub(super) const fn path(&self, role: Role) -> Option<&Path> {
        match role {
            Role::Primary => self.paths[0].as_ref(),
            Role::Backup => self.paths[1].as_ref(),
        }
    }

    /// The paths that there are, the primary first.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().flatten()
    }

    /// One path, the system's own.
    pub(super) const fn system_route(reason: ModeReason) -> Self {
        Self {
            paths: [Some(Path::system_route(Role::Primary)), None],
            mode: Mode::SinglePath,
            reason,
        }
    }

    /// Chooses anew, for a connection that runs by this plan.
    pub(super) fn again(
        &self,
        options: &Options,
        target: &Target,
        interfaces: &[Interface],
        mandate: &Mandate,
    ) -> Self {
        Self::choose(options, target, interfaces, mandate, Some(self))
    }

    /// Chooses among the interfaces as they are. An interface that serves a role in `current` keeps it while it can.
    pub(super) fn choose(
        options: &Options,
        target: &Target,
        interfaces: &[Interface],
        mandate: &Mandate,
        current: Option<&Self>,
    ) -> Self {
        let respect = options.respects_mandates();
        if respect {
            if let Some(reason) = mandate::one_path(mandate, target) {
                return Self::system_route(reason);
            }
        }
        let choose = |role: Role, taken: Option<&Path>| {
            let kept = current
                .and_then(|plan| plan.path(role))
                .and_then(Path::interface);
            let free = |interface: &&Interface| {
                taken
                    .and_then(Path::interface)
                    .is_none_or(|taken| taken.name != interface.name)
            };
            let selectors = options.selectors(role);
            let first = |selector: &InterfaceSelector| {
                interfaces
                    .iter()
                    .filter(free)
                    .find(|interface| selector.matches(interface))
            };
            // A live leg is not moved for the sake of preference.
            let stays = |interface: &&Interface| {
                kept.is_some_and(|kept| kept.name == interface.name)
                    && selectors.iter().any(|selector| selector.matches(interface))
            };
            let found = interfaces
                .iter()
                .filter(free)
                .find(stays)
                .or_else(|| selectors.iter().find_map(first))?;
            Some(Path::over(role, Arc::new(found.clone()), respect))
        };
        let primary = choose(Role::Primary, None);
        let backup = choose(Role::Backup, primary.as_ref());
        let (mode, reason) = match (&primary, &backup) {
            _ if options.mode == Some(Mode::SinglePath) => (Mode::SinglePath, ModeReason::Pinned),
            (Some(_), Some(_)) => options.two_paths(target),
            (Some(only), None) | (None, Some(only)) => {
                (Mode::SinglePath, ModeReason::OneInterface(only.info().name))
            }
            // Whoever names interfaces does not want the traffic to leave by another one.
            (None, None) if options.names().next().is_some() => {
                (Mode::SinglePath, ModeReason::NoInterface)
            }
            (None, None) => return Self::system_route(ModeReason::NoInterface),
        };
        let backup = if mode == Mode::SinglePath && primary.is_some() {
            None
        } else {
            backup
        };
        Self {
            paths: [primary, backup],
            mode,
            reason,
        }
    }
}

/// Named interfaces have to exist, even if they are down.
pub(super) fn check_names(options: &Options, interfaces: &[Interface]) -> Result<(), ConnectError> {
    for name in options.names() {
        if !interfaces.iter().any(|interface| interface.name == name) {
            let (name, available) = (name.to_owned(), interfaces.to_vec());
            return Err(InterfaceError::NotFound { name, available }.into());
        }
    }
    Ok(())
}

/// One of the named interfaces has to be up.
pub(super) fn check_paths(options: &Options, plan: &Plan) -> Result<(), ConnectError> {
    if plan.paths().next().is_some() {
        return Ok(());
    }
    let names = options.names().map(str::to_owned).collect();
    Err(InterfaceError::NotUsable { names }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::builder::ConnectorBuilder;

    fn interface(name: &str, index: u32, kind: InterfaceKind) -> Interface {
        let mut interface = Interface::new(name, index, kind);
        interface.addresses = vec![[198, 51, 100, index as u8].into()];
        interface
    }

    fn phone() -> Vec<Interface> {
        vec![
            interface("eth0", 1, InterfaceKind::Wired),
            interface("wwan0", 2, InterfaceKind::Cellular),
            interface("wlan0", 3, InterfaceKind::Wifi),
        ]
    }

    fn choose(
        builder: ConnectorBuilder,
        host: &str,
        interfaces: &[Interface],
        current: Option<&Plan>,
    ) -> Plan {
        let options = builder.peer(crate::Peer::Gateway).into_options().unwrap();
        Plan::choose(
            &options,
            &Target::new(host, 443),
            interfaces,
            &Mandate::default(),
            current,
        )
    }

    fn names(plan: &Plan) -> Vec<String> {
        plan.paths()
            .map(|path| path.info().name.to_string())
            .collect()
    }

    #[test]
    fn wifi_leads_and_cellular_stands_by() {
        let plan = choose(ConnectorBuilder::default(), "example.com", &phone(), None);
        assert_eq!(names(&plan), ["wlan0", "wwan0"]);
        assert_eq!(
            (plan.mode, plan.reason),
            (Mode::Emulated, ModeReason::Gateway)
        );
    }

    #[test]
    fn without_wifi_the_cable_leads_and_stays_when_wifi_comes() {
        let without = &phone()[..2];
        let plan = choose(ConnectorBuilder::default(), "example.com", without, None);
        assert_eq!(names(&plan), ["eth0", "wwan0"]);
        let plan = choose(
            ConnectorBuilder::default(),
            "example.com",
            &phone(),
            Some(&plan),
        );
        assert_eq!(names(&plan), ["eth0", "wwan0"]);
    }

    #[test]
    fn one_interface_alone_is_said_so() {
        let plan = choose(
            ConnectorBuilder::default(),
            "example.com",
            &phone()[1..2],
            None,
        );
        assert_eq!(names(&plan), ["wwan0"]);
        assert_eq!(plan.path(Role::Primary), None);
        assert_eq!(
            (plan.mode, plan.reason),
            (Mode::SinglePath, ModeReason::OneInterface("wwan0".into()))
        );
        let plan = choose(ConnectorBuilder::default(), "example.com", &[], None);
        assert_eq!(names(&plan), ["system route"]);
    }

    #[test]
    fn naming_an_interface_opts_out_for_private_targets() {
        let plan = choose(ConnectorBuilder::default(), "10.0.0.1", &phone(), None);
        assert_eq!(
            (names(&plan), plan.reason),
            (vec!["system route".to_owned()], ModeReason::PrivateTarget)
        );
        let named = ConnectorBuilder::default()
            .primary(InterfaceSelector::name("eth0"))
            .backup(InterfaceSelector::name("wlan0"));
        let plan = choose(named, "10.0.0.1", &phone(), None);
        assert_eq!(names(&plan), ["eth0", "wlan0"]);
    }

    #[test]
    fn what_is_named_and_down_is_not_replaced_by_the_systems_route() {
        let mut interfaces = phone();
        let named = || {
            ConnectorBuilder::default()
                .primary(InterfaceSelector::name("wlan0"))
                .backup(InterfaceSelector::name("eth0"))
        };
        let check = |plan: &Plan| check_paths(&named().into_options().unwrap(), plan);
        let both = choose(named(), "198.51.100.200", &interfaces, None);
        interfaces[2].up = false;
        let one = choose(named(), "198.51.100.200", &interfaces, None);
        assert_eq!(names(&one), ["eth0"]);
        assert_eq!(one.reason, ModeReason::OneInterface("eth0".into()));
        check(&one).unwrap();
        interfaces[0].addresses.clear();
        // Neither when connecting nor later.
        for current in [None, Some(&both)] {
            let none = choose(named(), "198.51.100.200", &interfaces, current);
            assert_eq!(names(&none), [""; 0]);
            let error = check(&none).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::NoInterface);
            let text = error.to_string();
            assert!(text.contains("wlan0 and eth0 are down"), "{text}");
        }
    }

    #[test]
    fn a_missing_name_is_told_with_what_there_is() {
        let options = ConnectorBuilder::default()
            .backup(InterfaceSelector::name("wwan9"))
            .into_options()
            .unwrap();
        let error = check_names(&options, &phone()).unwrap_err().to_string();
        assert!(
            error.contains("wwan9") && error.contains("wlan0"),
            "{error}"
        );
    }
}
