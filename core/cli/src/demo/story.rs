//! What happens and when: both downloads start, Wi-Fi falls silent under them, and comes back.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use twinpath::{Event, PathName, Role, Standby};
use twinpath_lab::{LabError, LinkSpec};

use super::client::{self, Job};
use super::file::{Content, Hash};
use super::links::{CELLULAR, Link, Stage, WIFI, tell};
use super::progress::{End, Progress};
use super::recording::{Mark, Moment, Recording, Run, STEP, Sample};
use super::server;
use super::terminal::Terminal;

/// Wi-Fi falls silent when about a third of the file is there …
const DIES: Duration = Duration::from_secs(3);
/// … and is healthy again while cellular still carries: going back takes five seconds on the backup at least.
const RETURNS: Duration = Duration::from_secs(11);
/// With what it takes to set up, the whole ends within a minute.
const LIMIT: Duration = Duration::from_secs(45);

/// One download with links of its own, so that neither takes from the other; the faults are the same.
struct Contender {
    // Ends when it is dropped.
    _stage: Stage,
    wifi: Link,
    cellular: Link,
    progress: Arc<Progress>,
    run: Run,
}

impl Contender {
    fn new(
        stage: Stage,
        content: Content,
        start: impl FnOnce(&Stage, Job) -> Result<(), String>,
        expected: Hash,
        go: watch::Receiver<bool>,
    ) -> Result<Self, String> {
        let way = stage.serve(move |listen, ready| {
            server::run(listen, content, move |at| {
                // The demo waits for it, unless it has given up already.
                let _ = ready.send(at);
            })
        })?;
        let progress = Arc::new(Progress::new(Instant::now()));
        let job = Job {
            way,
            expected,
            progress: Arc::clone(&progress),
            go,
        };
        start(&stage, job)?;
        Ok(Self {
            wifi: stage.link(WIFI).map_err(tell)?,
            cellular: stage.link(CELLULAR).map_err(tell)?,
            _stage: stage,
            progress,
            run: Run::new(),
        })
    }

    fn sample(&mut self, at: Duration) {
        if self.run.is_over() {
            return;
        }
        self.run.last = self.progress.look();
        self.run.samples.push(Sample {
            at,
            wifi: self.wifi.delivered(),
            cellular: self.cellular.delivered(),
            received: self.run.last.received,
        });
    }
}

/// Plays it all, and returns what was seen.
pub(super) fn play(
    build: fn() -> Result<Stage, LabError>,
    stages: (Stage, String),
    standby: Standby,
    terminal: &mut Terminal,
) -> Result<Recording, String> {
    let (first, stage) = stages;
    let content = Content::new(seed());
    let expected = content.clone().hash();
    let (go, started) = watch::channel(false);
    let (tell_event, events) = mpsc::channel();
    let mut twinpath = Contender::new(
        first,
        content.clone(),
        |stage, job| stage.run_client(move || client::over_twinpath(job, standby, tell_event)),
        expected,
        started.clone(),
    )?;
    let mut plain = Contender::new(
        build().map_err(tell)?,
        content,
        |stage, job| stage.run_client(move || client::over_tcp(job)),
        expected,
        started,
    )?;
    let specs = [LinkSpec::wifi(), LinkSpec::cellular()];
    let mut recording = Recording {
        twinpath: Run::new(),
        plain: Run::new(),
        moments: Vec::new(),
        length: Duration::ZERO,
        stage,
        links: specs.map(|spec| {
            let rate = spec
                .rate
                .map_or(f64::INFINITY, |rate| rate.as_bits() as f64 / 1e6);
            (rate, spec.rtt)
        }),
    };
    terminal.title(&recording);
    let start = Instant::now();
    twinpath.progress.start(start);
    plain.progress.start(start);
    go.send_replace(true);
    let mut tick = 0_u32;
    loop {
        let at = start.elapsed();
        let happened = faults(at, &recording, &[&twinpath, &plain]);
        let told = events_since(&events, start);
        twinpath.sample(at);
        plain.sample(at);
        let ended = ends(&recording, &twinpath, &plain);
        for moment in happened.into_iter().chain(told).chain(ended) {
            terminal.moment(&moment);
            recording.moments.push(moment);
        }
        terminal.update(at, &twinpath.run, &plain.run);
        let over = twinpath.run.is_over() && plain.run.is_over();
        if over || at >= LIMIT {
            recording.length = at;
            break;
        }
        tick += 1;
        std::thread::sleep((start + STEP * tick).saturating_duration_since(Instant::now()));
    }
    recording.moments.extend(events_since(&events, start));
    recording.moments.sort_by_key(|moment| moment.at);
    recording.twinpath = twinpath.run;
    recording.plain = plain.run;
    Ok(recording)
}

/// Strikes when it is time.
fn faults(at: Duration, so_far: &Recording, contenders: &[&Contender]) -> Vec<Moment> {
    let is_due = |mark, due| at >= due && !so_far.moments.iter().any(|it| it.mark == mark);
    let strike = |strike: fn(&Link)| contenders.iter().for_each(|it| strike(&it.wifi));
    let mut struck = Vec::new();
    if is_due(Mark::WifiDies, DIES) {
        strike(Link::blackhole);
        struck.push(Moment {
            at,
            mark: Mark::WifiDies,
            text: "Wi-Fi falls silent: packets vanish, and nobody is told".to_owned(),
        });
    }
    if is_due(Mark::WifiReturns, RETURNS) {
        strike(Link::heal);
        struck.push(Moment {
            at,
            mark: Mark::WifiReturns,
            text: "Wi-Fi is healthy again; nobody is told that either".to_owned(),
        });
    }
    struck
}

fn events_since(events: &Receiver<(Instant, Event)>, start: Instant) -> Vec<Moment> {
    let moment = |(when, event): (Instant, Event)| {
        let (mark, text) = match event {
            Event::Hedge { from, to } => (
                Mark::Hedge,
                format!(
                    "hedge: {} does not answer, what is unacknowledged goes over {} as well",
                    name(&from),
                    name(&to)
                ),
            ),
            Event::Recovered { stall, .. } => (
                Mark::Recovered,
                format!("recovered: nothing progressed for {} ms", stall.as_millis()),
            ),
            Event::Failover { reason, .. } => (
                Mark::Failover,
                format!("failover ({reason}): cellular is the active path"),
            ),
            Event::Failback { .. } => (
                Mark::Failback,
                "failback: Wi-Fi has proven itself and is the active path again".to_owned(),
            ),
            _ => return None,
        };
        let at = when.saturating_duration_since(start);
        Some(Moment { at, mark, text })
    };
    events.try_iter().filter_map(moment).collect()
}

fn name(path: &PathName) -> &'static str {
    match path.role {
        Role::Primary => "Wi-Fi",
        Role::Backup => "cellular",
    }
}

/// What has ended since the last look.
fn ends(so_far: &Recording, twinpath: &Contender, plain: &Contender) -> Vec<Moment> {
    let both = [
        ("twinpath", Mark::TwinpathDone, &twinpath.run),
        ("plain TCP", Mark::PlainDone, &plain.run),
    ];
    let ended = |(name, mark, run): (&str, Mark, &Run)| {
        let (at, end) = run.last.end.as_ref()?;
        if so_far.moments.iter().any(|it| it.mark == mark) {
            return None;
        }
        let text = match end {
            End::Intact => format!("{name}: all 50 MB are there, SHA-256 matches"),
            End::Damaged => format!("{name}: all 50 MB are there, but the SHA-256 is WRONG"),
            End::Failed(error) => format!("{name}: the download broke: {error}"),
        };
        Some(Moment {
            at: *at,
            mark,
            text,
        })
    };
    both.into_iter().filter_map(ended).collect()
}

/// Another file each time; nothing depends on it being hard to guess.
fn seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_nanos() as u64)
}
