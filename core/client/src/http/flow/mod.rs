//! The body of an answer, mended where it breaks.

mod going_back;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, sleep, timeout};
use twinpath_proto::Role;

use super::Error;
use super::attempt::{Answer, Ask, Part};
use super::client::Inner;
use super::failure::{Failure, Loss};
use super::place::{GoesOn, Place};
use super::pool::Way;
use super::replay;
use super::report::{Progress, Report, RequestEvent};

use going_back::{GoingBack, Rate};

/// So long it is tried to connect while nothing leads to the server.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// What could not go back stays on the backup for longer than this, and for twice as long each time.
const STAY: Duration = Duration::from_secs(5);

/// An answer's body while it comes.
#[derive(Debug)]
pub(super) struct Flow {
    client: Arc<Inner>,
    ask: Arc<Ask>,
    repeatable: bool,
    report: Report,
    state: State,
    place: Place,
    /// The path of the last answer.
    role: Role,
    /// Attempts since something came.
    attempts: u32,
    /// What came after the byte at which another connection takes over.
    cut: Option<Bytes>,
    going_back: Option<GoingBack>,
    /// How long it stays on the backup when it could not go back, and until when.
    stays: Duration,
    again: Option<Instant>,
    rate: Rate,
}

#[derive(Debug)]
enum State {
    Open(Box<Answer>),
    Broken(Failure),
    Done,
}

enum Next {
    Frame(Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>),
    Silence,
    Preference,
}

impl Flow {
    pub(super) fn new(
        client: Arc<Inner>,
        ask: Arc<Ask>,
        repeatable: bool,
        report: Report,
        answer: Answer,
    ) -> Self {
        let place = Place::at_start(&ask, &answer.head);
        let role = answer.role;
        let state = match answer.is_complete() {
            true => {
                answer.finish();
                State::Done
            }
            false => State::Open(Box::new(answer)),
        };
        Self {
            client,
            ask,
            repeatable,
            report,
            state,
            place,
            role,
            attempts: 0,
            cut: None,
            going_back: None,
            stays: STAY,
            again: None,
            rate: Rate::new(),
        }
    }

    pub(super) const fn report(&self) -> &Report {
        &self.report
    }

    /// The next bytes; `None` at the end. Cancel-safe: what has come is in here until it is handed over.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            self.change_over().await?;
            let State::Open(answer) = &mut self.state else {
                match &self.state {
                    State::Done => return Ok(None),
                    _ => self.mend().await?,
                }
                continue;
            };
            if let Some(bytes) = self.cut.take() {
                if let Some(bytes) = self.hand_over(bytes)? {
                    return Ok(Some(bytes));
                }
                continue;
            }
            self.report.waits();
            let limit = self.client.options.silence;
            let may_change = answer.role == Role::Backup && matches!(answer.way, Way::Path(_));
            let next = tokio::select! {
                biased;
                frame = timeout(limit, answer.body.frame()) => match frame {
                    Ok(frame) => Next::Frame(frame),
                    Err(_) => Next::Silence,
                },
                () = self.client.connector.preference_changed(), if may_change => Next::Preference,
            };
            match next {
                Next::Frame(Some(Ok(frame))) => {
                    let Ok(bytes) = frame.into_data() else {
                        continue;
                    };
                    self.report.came();
                    if let Some(bytes) = self.hand_over(bytes)? {
                        return Ok(Some(bytes));
                    }
                }
                Next::Frame(None) if self.place.is_complete() => self.finish(),
                Next::Frame(None) => self.state = State::Broken(Failure::short()),
                Next::Frame(Some(Err(error))) => {
                    let failure = answer.failure(&error);
                    answer.settle();
                    self.state = State::Broken(failure);
                }
                Next::Silence => self.state = State::Broken(Failure::silence("the answer", limit)),
                Next::Preference => {}
            }
        }
    }

    fn finish(&mut self) {
        self.report.came();
        self.going_back = None;
        if let State::Open(answer) = std::mem::replace(&mut self.state, State::Done) {
            answer.finish();
        }
    }

    /// What is new of these bytes, up to where another connection takes over.
    fn hand_over(&mut self, mut bytes: Bytes) -> Result<Option<Bytes>, Error> {
        if let Some(going_back) = &self.going_back {
            let rest = going_back.at.saturating_sub(self.place.delivered());
            if bytes.len() as u64 > rest {
                let cut = bytes.split_off(rest as usize);
                self.cut = Some(cut);
            }
        }
        let received = self.place.delivered();
        let (new, known) = self.place.take(bytes).map_err(|_| {
            self.state = State::Done;
            Error::ResourceChanged { received }
        })?;
        if known > 0 {
            self.report.fetched_again(known);
        }
        if new.is_empty() {
            return Ok(None);
        }
        // What comes a second time is no progress: a server may break off there again and again.
        self.attempts = 0;
        self.rate.count(new.len() as u64);
        if let State::Open(answer) = &mut self.state {
            answer.settle();
            let progress = Progress {
                received: self.place.delivered(),
                total: self.place.expected(),
                role: answer.role,
            };
            self.report
                .handed_over(&answer.meter, new.len() as u64, progress);
        }
        Ok(Some(new))
    }

    /// Goes on with another answer. Leaves everything as it is when it is dropped half-way.
    async fn mend(&mut self) -> Result<(), Error> {
        self.going_back = None;
        self.report.waits();
        let began = Instant::now();
        loop {
            let State::Broken(failure) = &self.state else {
                return Ok(());
            };
            let failure = failure.clone();
            let received = self.place.delivered();
            let broke_off = |why: &Arc<str>| Error::Truncated {
                received,
                why: Arc::clone(why),
            };
            if failure.loss == Loss::Nothing {
                self.state = State::Done;
                return Err(failure.error);
            }
            if !self.repeatable || !self.ask.body.is_whole() || self.attempts >= replay::ATTEMPTS {
                self.state = State::Done;
                return Err(broke_off(&failure.why));
            }
            sleep(replay::pause(self.attempts)).await;
            let part = self.place.part(received);
            // Gone on over the other path, if this one was silent for so long that nothing else helps.
            let over = match failure.loss {
                Loss::Silence => Some(self.role.other()),
                _ => None,
            };
            let attempt = self
                .client
                .attempt(&self.ask, part.as_ref(), over, &self.report);
            let result = attempt.await;
            self.attempts += 1;
            match result {
                Ok(answer) => {
                    // It may be able to go on a little later.
                    if answer.head.status.is_server_error() {
                        let why = format!("the server answers {} now", answer.head.status);
                        self.state = State::Broken(Failure {
                            why: why.into(),
                            ..failure
                        });
                        continue;
                    }
                    self.adopt(part.as_ref(), answer, failure)?;
                    return Ok(());
                }
                Err(new) if new.loss == Loss::Nothing => {
                    self.state = State::Done;
                    return Err(new.error);
                }
                Err(new) if new.loss == Loss::NotConnected => {
                    // What broke it says more than that nothing leads there now.
                    let why = format!("{}; {}", failure.why, new.why);
                    if began.elapsed() >= PATIENCE {
                        self.state = State::Done;
                        return Err(broke_off(&why.into()));
                    }
                    self.state = State::Broken(failure);
                }
                Err(new) => self.state = State::Broken(new),
            }
        }
    }

    fn adopt(
        &mut self,
        part: Option<&Part>,
        answer: Answer,
        failure: Failure,
    ) -> Result<(), Error> {
        let how = self.place.goes_on(part, &answer.head);
        let at = self.place.delivered();
        if how == GoesOn::NoMore {
            self.state = State::Done;
            return Err(Error::ResourceChanged { received: at });
        }
        self.place.go_on(how);
        if answer.role != self.role {
            let (from, why) = (self.role, failure.why);
            self.report.tell(&RequestEvent::Failover { from, why });
        }
        self.report.tell(&match how {
            GoesOn::Here => RequestEvent::Resumed { at },
            _ if at == 0 => RequestEvent::Replayed,
            _ => RequestEvent::Restarted,
        });
        self.open(answer);
        Ok(())
    }

    fn open(&mut self, answer: Answer) {
        self.role = answer.role;
        self.cut = None;
        self.state = State::Open(Box::new(answer));
    }
}
