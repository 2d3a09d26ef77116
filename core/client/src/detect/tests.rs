//! The detector in virtual time.

use super::suspicion::QUESTIONS;
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
    awaits: bool,
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
            awaits: false,
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
        self.detector.set_awaited(self.awaits, now);
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
    // In a minute there are few rounds.
    assert!(
        world.asked.iter().all(|asked| *asked <= 6 * QUESTIONS),
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

#[test]
fn a_path_that_stays_dead_when_the_server_is_in_reach_again_is_condemned() {
    for millis in [500, 2000, 10_000] {
        let mut world = World::new(20);
        world.live(1000, GOOD);
        let all_dead = Weather {
            backup: None,
            ..DEAD
        };
        assert_eq!(world.live(millis, all_dead), None);
        let healed = world.now;
        let (when, _) = world.live(60_000, DEAD).unwrap();
        let after = when - healed;
        assert!(after <= millis + 2500, "{after} ms, after {millis} ms");
    }
}

/// Nothing moves; an answer is due.
const QUIET: Weather = Weather { every: 0, ..GOOD };

#[test]
fn a_path_that_dies_while_an_answer_is_due_is_condemned() {
    for waited in [0, 50, 1000, 4000] {
        let mut world = World::new(20);
        world.live(1000, GOOD);
        world.live(1000, QUIET);
        world.awaits = true;
        assert_eq!(world.live(waited, QUIET), None);
        let died = world.now;
        let dead = Weather { every: 0, ..DEAD };
        let (when, _) = world.live(30_000, dead).unwrap();
        // At once at first, and within the pause between two questions later.
        let limit = if waited < 100 { 300 } else { 1300 };
        assert!(when - died <= limit, "{} ms after {waited} ms", when - died);
    }
}

#[test]
fn a_server_that_takes_its_time_is_asked_ever_more_seldom_and_on_its_path_alone() {
    let mut world = World::new(20);
    world.live(1000, GOOD);
    world.awaits = true;
    assert_eq!(world.live(5000, QUIET), None);
    assert!(world.asked[0] <= 8, "{:?}", world.asked);
    assert_eq!(world.live(600_000, QUIET), None);
    assert!(world.asked[0] <= 40, "{:?}", world.asked);
    assert_eq!(world.asked[1], 0);
    // Nobody waits any more.
    world.awaits = false;
    let before = world.asked;
    assert_eq!(world.live(60_000, QUIET), None);
    assert_eq!(world.asked, before);
}

#[test]
fn a_queue_that_is_full_of_a_sudden_is_no_dead_path_while_bytes_come() {
    let bulk = Weather {
        every: 100,
        comes: 10,
        ..GOOD
    };
    let mut world = World::new(20);
    world.live(2000, bulk);
    let full = Weather {
        primary: Some(250),
        ..bulk
    };
    assert_eq!(world.live(10_000, full), None);
    // And one that brings nothing more is.
    assert!(world.live(2000, Weather { every: 100, ..DEAD }).is_some());
}
