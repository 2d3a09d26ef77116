//! Keeps a connection going: looks at it as long as it lives, finds out when its primary path has died, has the kernel
//! leave it, and go back to it later. Without `CAP_NET_ADMIN` it only tells.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use twinpath_proto::{FailoverReason, Role, Time};
use twinpath_socket::mptcp::Subflow;

use super::claim::Ends;

use super::endpoints::usable;
use super::outage::Outage;
use super::watch::Look;
use crate::clock;
use crate::detect::comeback::{Comeback, Step};
use crate::detect::probe;
use crate::detect::{Answer, CLOSE, Detector, Order};
use crate::dialer::Path;
use crate::plain;

/// Looks at a connection from now on, as long as it lives.
pub(crate) fn keep(shared: &Arc<plain::Shared>) {
    // At once, so that the connection never claims what nobody has looked at.
    let Some(look) = shared.look() else {
        return shared.fell_back();
    };
    let keeper = Keeper {
        shared: Arc::downgrade(shared),
        ends: Ends::default(),
        detector: Detector::default(),
        watched: None,
        comeback: Comeback::default(),
        server: look.server,
        usual: Duration::ZERO,
        outage: None,
        is_allowed: true,
        questions: JoinSet::new(),
    };
    tokio::spawn(keeper.run(look));
}

struct Keeper {
    shared: Weak<plain::Shared>,
    ends: Ends,
    detector: Detector,
    /// The subflow that the detector is about.
    watched: Option<SocketAddr>,
    comeback: Comeback,
    /// Where the connection goes.
    server: Option<SocketAddr>,
    /// The primary's round trip while it was good.
    usual: Duration,
    /// What is done about the primary's address, once something is.
    outage: Option<Arc<Outage>>,
    /// As far as is known, this process may change what the kernel does.
    is_allowed: bool,
    questions: JoinSet<(Purpose, Answer)>,
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Suspicion(Role),
    Comeback,
}

impl Keeper {
    async fn run(mut self, first: Look) {
        let mut pause = self.step(&first);
        let stirred = {
            let shared = self.shared.upgrade();
            shared.and_then(|shared| shared.watcher()?.stirred())
        };
        let Some(stirred) = stirred else {
            return;
        };
        loop {
            tokio::select! {
                Some(answer) = self.questions.join_next(), if !self.questions.is_empty() => {
                    if let Ok((purpose, answer)) = answer {
                        self.hear(purpose, answer);
                    }
                }
                () = stirred.notified() => {}
                () = sleep(pause) => {}
            }
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let Some(look) = shared.look() else {
                return shared.fell_back();
            };
            drop(shared);
            pause = self.step(&look);
        }
    }

    /// Does what is to be done after a look. When to look again.
    fn step(&mut self, look: &Look) -> Duration {
        let now = clock::now();
        let was_gone = self.path(Role::Primary).is_none();
        self.ends = look.ends.clone();
        self.server = look.server.or(self.server);
        let mut pause = look.pause;
        if let Some(primary) = &look.primary {
            let there = [self.has(primary), self.path(Role::Backup).is_some()];
            match there {
                [true, true] => {
                    self.detect(primary, look.backup.as_ref(), now);
                    if self.detector.is_watchful() {
                        pause = pause.min(CLOSE);
                    }
                }
                // The system says so; nobody has to be asked.
                [false, true] if look.backup.is_some() && self.detector.give_up() => {
                    self.condemn(primary, FailoverReason::PathGone, Duration::ZERO);
                }
                _ => {}
            }
        }
        self.comeback.set_lost(!look.primary_lives, now);
        if was_gone {
            self.comeback.hurry(now);
        }
        if self.is_allowed && self.path(Role::Primary).is_some() {
            match self.comeback.poll(now) {
                Some(Step::Ask) => self.ask(Purpose::Comeback, Role::Primary),
                Some(Step::BringBack) => self.bring_back(),
                None => {}
            }
            pause = self.comeback.pause(now).map_or(pause, |it| it.min(pause));
        }
        pause.max(Duration::from_millis(1))
    }

    const fn path(&self, role: Role) -> Option<&Path> {
        let [primary, backup] = &self.ends.paths;
        match role {
            Role::Primary => primary.as_ref(),
            Role::Backup => backup.as_ref(),
        }
    }

    /// Whether the primary path is there, with the address at which that subflow starts. An interface with another
    /// address would answer questions, and yet carry nothing of the subflow.
    fn has(&self, primary: &Subflow) -> bool {
        let local = primary.local.ip().to_canonical();
        let has_address = |path: &Path| {
            let interface = path.interface();
            interface.is_none_or(|it| it.addresses.contains(&local))
        };
        self.path(Role::Primary).is_some_and(has_address)
    }

    fn detect(&mut self, primary: &Subflow, backup: Option<&Subflow>, now: Time) {
        if self.watched != Some(primary.local) {
            self.watched = Some(primary.local);
            self.detector = Detector::default();
        }
        let was_condemned = self.detector.is_condemned();
        self.detector
            .look(&primary.health, backup.map(|it| &it.health), now);
        if was_condemned && !self.detector.is_condemned() {
            self.tell_condemned(None);
        }
        if let Some(srtt) = primary.health.srtt.filter(|_| !was_condemned) {
            self.usual = srtt;
        }
        while let Some(order) = self.detector.poll(now) {
            match order {
                Order::Ask(role) => self.ask(Purpose::Suspicion(role), role),
                Order::Condemn(silence) => {
                    let millis = silence.as_millis();
                    log::debug!(
                        "the primary path is silent for {millis} ms while the backup answers"
                    );
                    self.condemn(primary, FailoverReason::Silent, silence);
                }
            }
        }
    }

    fn condemn(&mut self, primary: &Subflow, reason: FailoverReason, silence: Duration) {
        self.tell_condemned(Some((primary.local, reason)));
        if !self.is_allowed {
            return;
        }
        let taken = self
            .outage(primary)
            .and_then(|outage| outage.take_out(primary, silence));
        match taken {
            Ok(taken) => log::debug!("the dead path was taken out: {taken:?}"),
            Err(error) => self.fail(
                "the kernel is left to find out that the path is dead",
                &error,
            ),
        }
    }

    /// Something could not be done in the kernel. Without the privilege, nothing is tried again.
    fn fail(&mut self, what: &str, error: &io::Error) {
        let denied = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
        if denied.contains(&error.kind()) {
            self.is_allowed = false;
            log::info!("{what}: {error}");
        } else {
            log::debug!("{what}, for now: {error}");
        }
    }

    fn tell_condemned(&self, subflow: Option<(SocketAddr, FailoverReason)>) {
        let shared = self.shared.upgrade();
        if let Some(watcher) = shared.as_ref().and_then(|shared| shared.watcher()) {
            watcher.condemn(subflow);
        }
    }

    fn outage(&mut self, primary: &Subflow) -> io::Result<Arc<Outage>> {
        let outage = Outage::of(primary.local.ip())?;
        self.outage = Some(Arc::clone(&outage));
        Ok(outage)
    }

    fn bring_back(&mut self) {
        match self.open_anew() {
            Ok(outage) => {
                log::debug!("the primary path answers again, and the kernel may use it");
                self.outage = Some(outage);
            }
            Err(error) => self.fail("the connection stays on the backup path", &error),
        }
    }

    /// From the address that the primary's interface has by now.
    fn open_anew(&self) -> io::Result<Arc<Outage>> {
        let missing = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        let interface = self.path(Role::Primary).and_then(Path::interface);
        let (interface, server) = interface.zip(self.server).ok_or_else(missing)?;
        let usable = usable(&interface.addresses);
        let fitting = usable.iter().find(|it| it.is_ipv4() == server.is_ipv4());
        let outage = Outage::of(*fitting.ok_or_else(missing)?)?;
        outage.bring_back(interface.index)?;
        Ok(outage)
    }

    fn ask(&mut self, purpose: Purpose, role: Role) {
        let Some(server) = self.server else {
            return;
        };
        let Some(binding) = self.path(role).map(Path::binding) else {
            return;
        };
        self.questions
            .spawn(async move { (purpose, probe::ask(binding, server).await) });
    }

    fn hear(&mut self, purpose: Purpose, answer: Answer) {
        let now = clock::now();
        match purpose {
            Purpose::Suspicion(role) => self.detector.answer(role, answer, now),
            Purpose::Comeback => self.comeback.answer(answer, self.usual, now),
        }
    }
}
