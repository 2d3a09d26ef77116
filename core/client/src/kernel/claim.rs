//! What may be claimed of a connection, from what the kernel says of it.

use std::net::IpAddr;

use twinpath_proto::Role;
use twinpath_socket::mptcp::{MptcpInfo, Subflow};

use crate::dialer::Path;
use crate::mode::{Protection, Unprotected};

/// The two paths at this end: their addresses, which tell a subflow's path, and how they are reached.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    pub(crate) primary: Vec<IpAddr>,
    pub(crate) backup: Vec<IpAddr>,
    /// By which new subflows, and questions, leave: the primary, and the backup.
    pub(crate) paths: [Option<Path>; 2],
}

impl Ends {
    pub(super) fn role_of(&self, subflow: &Subflow) -> Option<Role> {
        let local = subflow.local.ip();
        if self.backup.contains(&local) {
            Some(Role::Backup)
        } else if self.primary.contains(&local) {
            Some(Role::Primary)
        } else {
            None
        }
    }

    /// Whether a subflow lives on each path.
    fn up(&self, info: &MptcpInfo) -> [bool; 2] {
        Role::ALL.map(|role| {
            info.subflows
                .iter()
                .any(|it| is_alive(it) && self.role_of(it) == Some(role))
        })
    }
}

/// Whether a subflow is established, and answers. The kernel keeps one whose path is dead for a quarter of an hour; that
/// it has repeated itself twice, after twice the time, without any answer is the first sign of that which is no mere loss.
pub(super) fn is_alive(subflow: &Subflow) -> bool {
    const SILENT: u32 = 2;
    subflow.established && subflow.health.backoff.unwrap_or_default() < SILENT
}

/// The claim of a connection that is MPTCP now. `joined`: a backup subflow was seen before.
pub(super) fn claim(info: &MptcpInfo, ends: &Ends, joined: bool) -> Protection {
    let reason = match ends.up(info) {
        [true, true] => return Protection::Protected,
        [true, false] if ends.backup.is_empty() => Unprotected::NoBackupSubflow,
        [true, false] if joined => Unprotected::BackupSubflowLost,
        [true, false] => Unprotected::NoBackupSubflow,
        [false, true] => Unprotected::PrimarySubflowLost,
        [false, false] => Unprotected::NoSubflow,
    };
    Protection::Unprotected { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subflow(local: &str, established: bool) -> Subflow {
        let mut subflow = Subflow::new(
            format!("{local}:1000").parse().unwrap(),
            "203.0.113.1:443".parse().unwrap(),
        );
        subflow.established = established;
        subflow
    }

    fn info(subflows: &[Subflow]) -> MptcpInfo {
        let mut info = MptcpInfo::default();
        info.subflows = subflows.to_vec();
        info
    }

    #[test]
    fn protected_means_a_subflow_on_each_path_and_nothing_less() {
        let ends = Ends {
            primary: vec!["10.1.0.2".parse().unwrap()],
            backup: vec!["10.2.0.2".parse().unwrap()],
            paths: [None, None],
        };
        let (wifi, cellular) = (subflow("10.1.0.2", true), subflow("10.2.0.2", true));
        let claims = |subflows: &[Subflow], joined| match claim(&info(subflows), &ends, joined) {
            Protection::Protected => None,
            Protection::Unprotected { reason } => Some(reason),
        };
        assert_eq!(claims(&[wifi, cellular], true), None);
        assert_eq!(
            claims(&[wifi], false),
            Some(Unprotected::NoBackupSubflow),
            "two subflows are needed"
        );
        assert_eq!(
            claims(&[wifi, subflow("10.2.0.2", false)], false),
            Some(Unprotected::NoBackupSubflow),
            "one that is being opened is none"
        );
        assert_eq!(
            claims(&[wifi, subflow("10.1.0.2", true)], true),
            Some(Unprotected::BackupSubflowLost),
            "two on the same path are one"
        );
        assert_eq!(
            claims(&[cellular], true),
            Some(Unprotected::PrimarySubflowLost)
        );
        let mut silent = wifi;
        silent.health.backoff = Some(2);
        assert_eq!(
            claims(&[silent, cellular], true),
            Some(Unprotected::PrimarySubflowLost),
            "one that does not answer is as good as none"
        );
        assert_eq!(claims(&[], true), Some(Unprotected::NoSubflow));
    }
}
