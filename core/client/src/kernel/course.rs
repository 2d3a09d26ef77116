//! Which path carried the bytes, and for how long none moved.

use std::time::Duration;

use twinpath_proto::{Event, FailoverReason, Role, Stats, Time};

/// Of one connection, from its first subflow on.
#[derive(Debug)]
pub(super) struct Course {
    /// The path that carries the bytes, as was last told.
    active: Role,
    failovers: u32,
    failbacks: u32,
    worst_stall: Duration,
    /// Nothing has moved since then, or nothing was due until then.
    quiet_since: Time,
    was_due: bool,
}

impl Course {
    /// Of a connection that begins on that path.
    pub(super) const fn from(role: Role, now: Time) -> Self {
        Self {
            active: role,
            failovers: 0,
            failbacks: 0,
            worst_stall: Duration::ZERO,
            quiet_since: now,
            was_due: false,
        }
    }

    /// Takes in which path new bytes take, where some moved since the last look, and whether more are due. What there is
    /// to tell.
    pub(super) fn follow(
        &mut self,
        active: Role,
        reason: FailoverReason,
        moved: [bool; 2],
        due: bool,
        now: Time,
    ) -> Option<Event> {
        let stall = now.saturating_since(self.quiet_since);
        let any = moved.contains(&true);
        if any || !self.was_due {
            self.quiet_since = now;
        }
        if any && self.was_due {
            self.worst_stall = self.worst_stall.max(stall);
        }
        self.was_due = due;
        match (self.active, active) {
            // Not before something has moved there: until then it is a stall.
            (Role::Primary, Role::Backup) if moved[1] => {
                self.active = active;
                self.failovers += 1;
                Some(Event::Failover {
                    from: Role::Primary,
                    to: Role::Backup,
                    reason,
                    stall,
                })
            }
            (Role::Backup, Role::Primary) => {
                self.active = active;
                self.failbacks += 1;
                Some(Event::Failback {
                    from: Role::Backup,
                    to: Role::Primary,
                })
            }
            _ => None,
        }
    }

    /// Whether bytes should take another path than the one that carried them, and none has moved there yet.
    pub(super) fn is_stalled(&self, active: Role) -> bool {
        self.active != active
    }

    pub(super) const fn count(&self, stats: &mut Stats) {
        stats.failovers = self.failovers;
        stats.failbacks = self.failbacks;
        stats.worst_stall = self.worst_stall;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENT: FailoverReason = FailoverReason::Silent;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_failover_is_told_once_bytes_move_on_the_backup_with_the_stall() {
        let mut course = Course::from(Role::Primary, at(0));
        assert!(
            course
                .follow(Role::Primary, SILENT, [true, false], true, at(10))
                .is_none()
        );
        assert!(
            course
                .follow(Role::Backup, SILENT, [false, false], true, at(150))
                .is_none()
        );
        let told = course.follow(Role::Backup, SILENT, [false, true], true, at(210));
        let Some(Event::Failover { stall, .. }) = told else {
            panic!("{told:?}")
        };
        assert_eq!(stall, Duration::from_millis(200));
        assert!(
            course
                .follow(Role::Backup, SILENT, [false, true], true, at(220))
                .is_none()
        );
        let told = course.follow(Role::Primary, SILENT, [true, false], true, at(900));
        assert!(matches!(told, Some(Event::Failback { .. })), "{told:?}");
        let mut stats = Stats::default();
        course.count(&mut stats);
        assert_eq!((stats.failovers, stats.failbacks), (1, 1));
        assert_eq!(stats.worst_stall, Duration::from_millis(680));
    }

    #[test]
    fn while_nothing_is_due_nothing_stalls() {
        let mut course = Course::from(Role::Primary, at(0));
        course.follow(Role::Primary, SILENT, [false, false], false, at(10));
        course.follow(Role::Primary, SILENT, [false, false], true, at(5000));
        course.follow(Role::Primary, SILENT, [true, false], false, at(5020));
        let mut stats = Stats::default();
        course.count(&mut stats);
        assert_eq!(stats.worst_stall, Duration::from_millis(20));
    }

    #[test]
    fn a_connection_that_began_on_the_backup_has_not_failed_over() {
        let mut course = Course::from(Role::Backup, at(0));
        assert!(
            course
                .follow(Role::Backup, SILENT, [false, true], true, at(10))
                .is_none()
        );
    }
}
