//! When the primary subflow has died: from the kernel's counters, and from questions on both paths.
//!
//! Suspected early, condemned late. To suspect costs a handshake on the primary path, which is asked whether it still
//! answers; only if it does not, the backup is asked as well, for a server that answers nowhere has died, not the path.
//! Condemned is a path that answers nothing while the other one does.

use std::collections::VecDeque;
use std::time::Duration;

use twinpath_proto::{Role, Time};
use twinpath_socket::TcpHealth;

use super::silence::{Counted, Silence, Timing};

/// How often the counters are looked at while an answer is due.
pub(super) const CLOSE: Duration = Duration::from_millis(10);

/// Between two questions.
const BETWEEN: Duration = Duration::from_millis(30);
/// Questions per path and suspicion.
const QUESTIONS: usize = 4;
/// Questions on both paths that are further apart do not compare them.
const APART: Duration = Duration::from_millis(100);
/// Unanswered questions that condemn, with as many segments of data or more …
const FEW: usize = 2;
/// … and with fewer: one lost segment looks like a dead path otherwise.
const MORE: usize = 3;
/// So many suspicions in a minute may turn out needless; then they begin later.
const NEEDLESS: usize = 4;
const MINUTE: Duration = Duration::from_secs(60);
/// Looks of the last second in which bytes came, from which on a stream of bytes is one whose silence means something.
const STREAM: usize = 8;
const SECOND: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Ask whether the peer answers a handshake on that path.
    Ask(Role),
    /// The primary path is dead, and has been silent for so long.
    Condemn(Duration),
}

/// What a question came to. One that is not answered needs no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The peer's host answers, after so long.
    Heard(Duration),
    /// There is no such path any more, says this machine.
    Gone,
    /// Nothing could be learnt.
    Nothing,
}

/// Of one primary subflow.
#[derive(Debug, Default)]
pub(super) struct Detector {
    silence: Silence,
    /// What the backup's subflow has brought.
    backup: Option<Counted>,
    /// When bytes came, in the last second.
    heard: VecDeque<Time>,
    /// The path has answered a question: as good as progress.
    answered: Option<Time>,
    suspicion: Option<Suspicion>,
    needless: VecDeque<Time>,
    condemned: bool,
}

#[derive(Debug)]
struct Suspicion {
    began: Time,
    /// The silence began then.
    since: Time,
    asked: [VecDeque<Time>; 2],
    /// This machine says that there is no primary path.
    gone: bool,
    backup_answers: bool,
    /// What the backup's subflow had brought when this began.
    backup: Option<Counted>,
}

impl Detector {
    /// Takes the counters of both subflows in.
    pub(super) fn look(&mut self, primary: &TcpHealth, backup: Option<&TcpHealth>, now: Time) {
        let was_due = self.silence.due().is_some();
        let progress = self.silence.look(primary, now);
        if progress.arrived || (progress.heard && !was_due) {
            self.acquit(now);
        }
        let is_old = |at: &Time| now.saturating_since(*at) > SECOND;
        while self.heard.front().is_some_and(is_old) {
            self.heard.pop_front();
        }
        if progress.heard {
            self.heard.push_back(now);
        }
        self.backup = backup.map(Counted::of);
        if let Some(suspicion) = &mut self.suspicion {
            let both = suspicion.backup.zip(self.backup);
            if both.is_some_and(|(was, is)| was != is) {
                suspicion.backup_answered();
            }
        }
    }

    /// Takes in what a question came to.
    pub(super) fn answer(&mut self, role: Role, answer: Answer, now: Time) {
        let Some(suspicion) = &mut self.suspicion else {
            return;
        };
        match (role, answer) {
            (Role::Primary, Answer::Heard(_)) => {
                self.answered = Some(now);
                self.acquit(now);
            }
            (Role::Primary, Answer::Gone) => suspicion.gone = true,
            (Role::Backup, Answer::Heard(_)) => suspicion.backup_answered(),
            _ => {}
        }
    }

    /// Whether the subflow is dead, as far as it has been found out.
    pub(super) const fn is_condemned(&self) -> bool {
        self.condemned
    }

    /// The system says that the path is gone. False if it was condemned before.
    pub(super) fn give_up(&mut self) -> bool {
        self.suspicion = None;
        !std::mem::replace(&mut self.condemned, true)
    }

    /// Whether the next look should come soon.
    pub(super) fn is_watchful(&self) -> bool {
        self.silence.due().is_some() || self.suspicion.is_some() || !self.heard.is_empty()
    }

    /// What is to be done now; to be called until there is nothing more.
    pub(super) fn poll(&mut self, now: Time) -> Option<Order> {
        if self.condemned {
            return None;
        }
        let timing = self.silence.timing;
        let Some(suspicion) = &mut self.suspicion else {
            let since = self.suspicious_since(now)?;
            self.suspicion = Some(Suspicion {
                began: now,
                since,
                asked: Default::default(),
                gone: false,
                backup_answers: false,
                backup: self.backup,
            });
            return self.poll(now);
        };
        let silence = now.saturating_since(suspicion.since);
        let enough = match self.silence.due() {
            Some(due) if due.unanswered as usize > FEW => FEW,
            _ => MORE,
        };
        let in_vain = suspicion.in_vain(now, timing);
        let proven = in_vain >= enough && silence >= timing.condemning();
        if suspicion.backup_answers && (suspicion.gone || proven) {
            self.condemned = true;
            self.suspicion = None;
            return Some(Order::Condemn(silence));
        }
        suspicion.question(now, timing).map(Order::Ask)
    }

    /// Since when there has been a silence that is long enough to be suspicious.
    fn suspicious_since(&mut self, now: Time) -> Option<Time> {
        while self
            .needless
            .front()
            .is_some_and(|at| now.saturating_since(*at) > MINUTE)
        {
            self.needless.pop_front();
        }
        let patient = self.needless.len() >= NEEDLESS;
        let answered = self.answered.unwrap_or(Time::ZERO);
        let timing = self.silence.timing;
        if let Some(due) = self.silence.due() {
            let since = due.since.max(answered);
            // A path that has just answered is believed for longer.
            let limit = if patient || answered > due.since {
                timing.condemning()
            } else {
                timing.suspicious()
            };
            return (now.saturating_since(since) >= limit).then_some(since);
        }
        let (first, last) = (*self.heard.front()?, *self.heard.back()?);
        if self.heard.len() < STREAM || patient || answered > last {
            return None;
        }
        let usual = last.saturating_since(first) / (self.heard.len() as u32 - 1);
        let limit = timing.suspicious().max(usual * 4);
        (now.saturating_since(last) >= limit).then_some(last)
    }

    /// The path lives.
    fn acquit(&mut self, now: Time) {
        if self.suspicion.take().is_some() {
            self.needless.push_back(now);
        }
        self.condemned = false;
    }
}

impl Suspicion {
    /// The backup leads to the peer. What the primary was asked long before the backup proves nothing any more: perhaps
    /// nobody could answer then.
    fn backup_answered(&mut self) {
        let [primary, backup] = &mut self.asked;
        let asked = backup.back().zip(primary.back());
        let is_old = asked.is_some_and(|(backup, last)| backup.saturating_since(*last) > APART);
        if is_old && !self.backup_answers {
            primary.clear();
        }
        self.backup_answers = true;
    }

    /// Questions on the primary path that should have been answered by now.
    fn in_vain(&self, now: Time, timing: Timing) -> usize {
        let limit = timing.suspicious();
        let late = |at: &&Time| now.saturating_since(**at) >= limit;
        self.asked[0].iter().filter(late).count()
    }

    /// The path to ask now, if it is time to.
    fn question(&mut self, now: Time, timing: Timing) -> Option<Role> {
        let [primary, backup] = &mut self.asked;
        let due = |asked: &VecDeque<Time>, pause: Duration| {
            asked.len() < QUESTIONS
                && asked
                    .back()
                    .is_none_or(|last| now.saturating_since(*last) >= pause)
        };
        if !self.gone && due(primary, BETWEEN) {
            primary.push_back(now);
            return Some(Role::Primary);
        }
        let unanswered =
            self.gone || now.saturating_since(self.began) >= timing.answering().max(BETWEEN);
        if unanswered && !self.backup_answers && due(backup, Duration::from_millis(200)) {
            backup.push_back(now);
            return Some(Role::Backup);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two paths and a stream of messages, looked at every 10 ms.
    struct World {
        now: u64,
        detector: Detector,
        primary: TcpHealth,
        backup: TcpHealth,
        /// Messages that are on their way, with the time at which their acknowledgement is due.
        flying: VecDeque<u64>,
        /// Answers that are on their way.
        answers: Vec<(u64, Role, Answer)>,
        asked: [usize; 2],
    }

    /// What is done to the world.
    #[derive(Clone, Copy)]
    struct Weather {
        /// A message is sent this often; 0 is never.
        every: u64,
        /// What the peer sends comes this often; 0 is never.
        comes: u64,
        primary: Option<u64>,
        backup: Option<u64>,
        /// The peer puts its acknowledgements off for so long.
        puts_off: u64,
        /// The data alone are lost, as by something that lets handshakes through.
        loses_data: bool,
    }

    const GOOD: Weather = Weather {
        every: 10,
        comes: 0,
        primary: Some(20),
        backup: Some(60),
        puts_off: 0,
        loses_data: false,
    };

    impl World {
        fn new(srtt: u64) -> Self {
            let mut primary = TcpHealth::default();
            primary.srtt = Some(Duration::from_millis(srtt));
            primary.rttvar = Some(Duration::from_millis(1));
            for counter in [
                &mut primary.delivered,
                &mut primary.data_segments_sent,
                &mut primary.unacked,
            ] {
                *counter = Some(0);
            }
            primary.bytes_received = Some(0);
            Self {
                now: 0,
                detector: Detector::default(),
                primary,
                backup: primary,
                flying: VecDeque::new(),
                answers: Vec::new(),
                asked: [0; 2],
            }
        }

        /// Lives on; the silence at which the path was condemned, and when.
        fn live(&mut self, millis: u64, weather: Weather) -> Option<(u64, Duration)> {
            for _ in 0..millis {
                self.now += 1;
                if let Some(silence) = self.tick(weather) {
                    return Some((self.now, silence));
                }
            }
            None
        }

        fn tick(&mut self, weather: Weather) -> Option<Duration> {
            let now = Time::from_micros(self.now * 1000);
            let add = |counter: &mut Option<u32>| *counter = counter.map(|it| it + 1);
            if weather.every > 0 && self.now % weather.every == 0 {
                add(&mut self.primary.data_segments_sent);
                let rtt = weather.primary.filter(|_| !weather.loses_data);
                self.flying
                    .push_back(rtt.map_or(u64::MAX, |rtt| self.now + rtt + weather.puts_off));
            }
            if weather.primary.is_none() {
                // What was on its way is lost as well.
                self.flying.iter_mut().for_each(|due| *due = u64::MAX);
            }
            if let Some(rtt) = weather.primary.filter(|_| !weather.loses_data) {
                // What was lost is sent again some time.
                let lost = self.flying.iter_mut().filter(|due| **due == u64::MAX);
                lost.for_each(|due| *due = self.now + 300 + rtt);
            }
            while self.flying.front().is_some_and(|due| *due <= self.now) {
                self.flying.pop_front();
                add(&mut self.primary.delivered);
            }
            if weather.comes > 0 && weather.primary.is_some() && self.now % weather.comes == 0 {
                self.primary.bytes_received = self.primary.bytes_received.map(|it| it + 100);
            }
            self.primary.unacked = Some(self.flying.len() as u32);
            let arrived: Vec<_> = self
                .answers
                .iter()
                .filter(|it| it.0 <= self.now)
                .copied()
                .collect();
            self.answers.retain(|it| it.0 > self.now);
            for (_, role, answer) in arrived {
                self.detector.answer(role, answer, now);
            }
            if self.now % 10 != 0 {
                return None;
            }
            self.detector.look(&self.primary, Some(&self.backup), now);
            while let Some(order) = self.detector.poll(now) {
                match order {
                    Order::Condemn(silence) => return Some(silence),
                    Order::Ask(role) => {
                        let (index, rtt) = match role {
                            Role::Primary => (0, weather.primary),
                            Role::Backup => (1, weather.backup),
                        };
                        self.asked[index] += 1;
                        if let Some(rtt) = rtt {
                            let answer = Answer::Heard(Duration::from_millis(rtt));
                            self.answers.push((self.now + rtt, role, answer));
                        }
                    }
                }
            }
            None
        }
    }

    const DEAD: Weather = Weather {
        primary: None,
        ..GOOD
    };

    #[test]
    fn a_dead_path_is_condemned_while_the_backup_answers() {
        for (every, limit) in [(10, 200), (50, 250), (400, 650)] {
            let mut world = World::new(20);
            assert_eq!(world.live(5000, Weather { every, ..GOOD }), None);
            let died = world.now;
            let (when, silence) = world.live(5000, Weather { every, ..DEAD }).unwrap();
            assert!(
                when - died <= limit,
                "every {every} ms: after {} ms",
                when - died
            );
            assert!(silence >= Duration::from_millis(150), "{silence:?}");
        }
    }

    #[test]
    fn a_server_that_answers_on_no_path_condemns_none() {
        let mut world = World::new(20);
        world.live(1000, GOOD);
        let dead = Weather {
            backup: None,
            ..DEAD
        };
        assert_eq!(world.live(60_000, dead), None);
        assert!(
            world.asked.iter().all(|asked| *asked <= QUESTIONS),
            "{:?}",
            world.asked
        );
    }

    #[test]
    fn a_server_that_was_out_of_reach_for_a_while_condemns_no_path_either() {
        for millis in (50..3000).step_by(50) {
            let mut world = World::new(20);
            world.live(1000, GOOD);
            let dead = Weather {
                backup: None,
                ..DEAD
            };
            assert_eq!(world.live(millis, dead), None);
            assert_eq!(world.live(3000, GOOD), None, "after {millis} ms");
        }
    }

    #[test]
    fn a_path_that_answers_questions_is_not_dead_though_data_are_lost() {
        let mut world = World::new(20);
        world.live(1000, GOOD);
        let lossy = Weather {
            loses_data: true,
            ..GOOD
        };
        assert_eq!(world.live(60_000, lossy), None);
        assert_eq!(
            world.asked[1], 0,
            "cellular is not asked while Wi-Fi answers"
        );
    }

    #[test]
    fn a_path_that_is_slower_by_100_ms_of_a_sudden_is_not_dead() {
        for every in [10, 50, 400] {
            let mut world = World::new(20);
            world.live(1000, Weather { every, ..GOOD });
            let slower = Weather {
                every,
                primary: Some(120),
                ..GOOD
            };
            assert_eq!(world.live(5000, slower), None, "every {every} ms");
        }
    }

    #[test]
    fn silence_of_a_stream_that_comes_is_looked_into_and_of_a_single_answer_is_not() {
        let stream = Weather {
            every: 0,
            comes: 10,
            ..GOOD
        };
        let mut world = World::new(20);
        world.live(2000, stream);
        let died = world.now;
        let (when, _) = world
            .live(
                5000,
                Weather {
                    primary: None,
                    ..stream
                },
            )
            .unwrap();
        assert!(when - died <= 300, "after {} ms", when - died);
        // The server has just nothing more to send.
        let mut world = World::new(20);
        world.live(2000, stream);
        assert_eq!(world.live(5000, Weather { comes: 0, ..stream }), None);
        assert_eq!(world.asked, [1, 0]);
        let mut world = World::new(20);
        world.live(
            2000,
            Weather {
                comes: 500,
                ..stream
            },
        );
        world.live(
            5000,
            Weather {
                primary: None,
                ..stream
            },
        );
        assert_eq!(world.asked, [0, 0]);
    }

    #[test]
    fn a_peer_that_puts_off_its_acknowledgements_costs_few_questions() {
        let slow = Weather {
            every: 500,
            puts_off: 200,
            ..GOOD
        };
        let mut world = World::new(20);
        assert_eq!(world.live(60_000, slow), None);
        // One for each silence that is long, and cellular is left alone.
        assert!(world.asked[0] <= 140, "{:?}", world.asked);
        assert_eq!(world.asked[1], 0);
    }

    #[test]
    fn a_condemned_path_that_brings_something_after_all_lives() {
        let mut world = World::new(20);
        world.live(1000, GOOD);
        world.live(5000, DEAD).unwrap();
        assert!(world.detector.is_condemned());
        world.flying.clear();
        world.live(100, GOOD);
        assert!(!world.detector.is_condemned());
    }

    #[test]
    fn a_path_that_is_gone_needs_no_proof() {
        let mut world = World::new(20);
        world.live(1000, GOOD);
        let died = world.now;
        let mut when = None;
        while when.is_none() {
            when = world.live(10, DEAD);
            let now = Time::from_micros(world.now * 1000);
            world.detector.answer(Role::Primary, Answer::Gone, now);
        }
        let after = when.map_or(0, |(when, _)| when - died);
        assert!(after <= 150, "after {after} ms");
    }
}
