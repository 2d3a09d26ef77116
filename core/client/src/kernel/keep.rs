//! Keeps a connection going: looks at it as long as it lives, finds out when its primary path has died, has the kernel
//! leave it, and go back to it later. Without `CAP_NET_ADMIN` it only tells.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use twinpath_proto::{Role, Time};
use twinpath_socket::Binding;
use twinpath_socket::mptcp::Subflow;

use super::claim::Ends;
use super::comeback::{Comeback, Step};
use super::detect::{Answer, CLOSE, Detector, Order};
use super::outage::Outage;
use super::probe;
use super::watch::Look;
use crate::clock;
use crate::dialer::Path;
use crate::plain;

/// Looks at a connection from now on, as long as it lives.
pub(crate) fn keep(shared: &Arc<plain::Shared>) {
    // At once, so that the connection never claims what nobody has looked at.
    let Some(look) = shared.look() else {
        return;
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
        let written = {
            let shared = self.shared.upgrade();
            shared.and_then(|shared| shared.watcher()?.written())
        };
        let Some(written) = written else {
            return;
        };
        loop {
            tokio::select! {
                Some(answer) = self.questions.join_next(), if !self.questions.is_empty() => {
                    if let Ok((purpose, answer)) = answer {
                        self.hear(purpose, answer);
                    }
                }
                () = written.notified() => {}
                () = sleep(pause) => {}
            }
            let Some(look) = self.shared.upgrade().and_then(|shared| shared.look()) else {
                return;
            };
            pause = self.step(&look);
        }
    }

    /// Does what is to be done after a look. When to look again.
    fn step(&mut self, look: &Look) -> Duration {
        let now = clock::now();
        self.ends = look.ends.clone();
        self.server = look.server.or(self.server);
        let mut pause = look.pause;
        if let Some(primary) = look.primary.filter(|_| self.can_fail_over()) {
            self.detect(&primary, look.backup.as_ref(), now);
            if self.detector.is_watchful() {
                pause = pause.min(CLOSE);
            }
        }
        self.comeback.set_lost(!look.primary_lives, now);
        if self.is_allowed {
            match self.comeback.poll(now) {
                Some(Step::Ask) => self.ask(Purpose::Comeback, Role::Primary),
                Some(Step::BringBack) => self.bring_back(),
                None => {}
            }
            pause = self.comeback.pause(now).map_or(pause, |it| it.min(pause));
        }
        pause.max(Duration::from_millis(1))
    }

    fn can_fail_over(&self) -> bool {
        self.ends.paths.iter().all(Option::is_some)
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
                Order::Condemn(silence) => self.condemn(primary, silence),
            }
        }
    }

    fn condemn(&mut self, primary: &Subflow, silence: Duration) {
        let millis = silence.as_millis();
        log::debug!("the primary path is silent for {millis} ms while the backup answers");
        self.tell_condemned(Some(primary.local));
        if !self.is_allowed {
            return;
        }
        let taken = self
            .outage(primary)
            .and_then(|outage| outage.take_out(primary, silence));
        match taken {
            Ok(taken) => log::debug!("the dead path was taken out: {taken:?}"),
            Err(error) => {
                self.is_allowed = false;
                log::info!(
                    "the kernel is left to find out for itself that the path is dead: {error}"
                );
            }
        }
    }

    fn tell_condemned(&self, subflow: Option<SocketAddr>) {
        let shared = self.shared.upgrade();
        if let Some(watcher) = shared.as_ref().and_then(|shared| shared.watcher()) {
            watcher.condemn(subflow);
        }
    }

    fn outage(&mut self, primary: &Subflow) -> std::io::Result<Arc<Outage>> {
        let interface = self.ends.paths[0].as_ref().and_then(Path::interface);
        let outage = Outage::of(primary.local.ip(), interface.map_or(0, |it| it.index))?;
        self.outage = Some(Arc::clone(&outage));
        Ok(outage)
    }

    fn bring_back(&mut self) {
        let outage = match &self.outage {
            Some(outage) => Ok(Arc::clone(outage)),
            // Somebody else took it out, or the connection began on the backup.
            None => self.outage_of_path(),
        };
        match outage.and_then(|outage| {
            outage.bring_back()?;
            Ok(outage)
        }) {
            Ok(outage) => {
                log::debug!("the primary path answers again, and the kernel may use it");
                self.outage = Some(outage);
            }
            Err(error) => {
                self.is_allowed = false;
                log::info!("the connection stays on the backup path: {error}");
            }
        }
    }

    /// By the address of the primary's interface that leads to the server.
    fn outage_of_path(&self) -> std::io::Result<Arc<Outage>> {
        let missing = || std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
        let interface = self.ends.paths[0].as_ref().and_then(Path::interface);
        let (interface, server) = interface.zip(self.server).ok_or_else(missing)?;
        let mut addresses = interface.addresses.iter();
        let fitting = addresses.find(|it| it.is_ipv4() == server.is_ipv4());
        Outage::of(*fitting.ok_or_else(missing)?, interface.index)
    }

    fn ask(&mut self, purpose: Purpose, role: Role) {
        let Some(server) = self.server else {
            return;
        };
        let path = match role {
            Role::Primary => &self.ends.paths[0],
            Role::Backup => &self.ends.paths[1],
        };
        let binding = path.as_ref().map_or(Binding::Unbound, Path::binding);
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
