//! When a primary path that was lost may carry bytes again: after it has answered several questions in a row, each as
//! fast as it should.

use std::time::Duration;

use twinpath_proto::Time;

use super::Answer;

/// Between questions: at first, and at most.
const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(4);
/// Between questions once the path answers.
const PROVING: Duration = Duration::from_millis(100);
/// Good answers in a row that prove a path.
const PROOF: u32 = 3;
/// How long the backup is stayed on: after the first loss, and at most.
const STAY: Duration = Duration::from_secs(3);
const LONGEST_STAY: Duration = Duration::from_secs(5 * 60);
/// A path that has been good for that long is trusted as at first.
const QUIET: Duration = Duration::from_secs(10 * 60);
/// The kernel is given that long to open a subflow at first, and each time twice as long, for every attempt disturbs the
/// other connections from that address.
const OPENING: Duration = Duration::from_secs(3);
/// An answer within this is good on any path.
const GOOD: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask whether the peer answers on the primary path.
    Ask,
    /// It may carry bytes again: have it do so.
    BringBack,
}

/// Of one connection, or of one path, over all its losses.
#[derive(Debug)]
pub(crate) struct Comeback {
    lost: Option<Lost>,
    stay: Duration,
    /// The path was last brought back then.
    back: Option<Time>,
}

#[derive(Debug)]
struct Lost {
    since: Time,
    next: Time,
    pause: Duration,
    good: u32,
    /// How long the kernel is given next.
    opening: Duration,
}

impl Default for Comeback {
    fn default() -> Self {
        Self {
            lost: None,
            stay: STAY,
            back: None,
        }
    }
}

impl Comeback {
    /// The primary carries nothing, or carries something again.
    pub(crate) fn set_lost(&mut self, lost: bool, now: Time) {
        if !lost {
            self.lost = None;
            return;
        }
        if self.lost.is_some() {
            return;
        }
        if let Some(back) = self.back.take() {
            self.stay = if now.saturating_since(back) < QUIET {
                (self.stay * 2).min(LONGEST_STAY)
            } else {
                STAY
            };
        }
        self.lost = Some(Lost {
            since: now,
            next: now + FIRST,
            pause: FIRST,
            good: 0,
            opening: OPENING,
        });
    }

    /// When there is something to do; `None` if nothing is lost.
    pub(crate) fn pause(&self, now: Time) -> Option<Duration> {
        let lost = self.lost.as_ref()?;
        Some(lost.next.saturating_since(now))
    }

    /// The paths have changed, says the system: now is a good time to ask.
    pub(crate) fn hurry(&mut self, now: Time) {
        if let Some(lost) = &mut self.lost {
            (lost.pause, lost.next) = (FIRST, now);
        }
    }

    /// What is to be done now.
    pub(crate) fn poll(&mut self, now: Time) -> Option<Step> {
        let stay = self.stay;
        let lost = self.lost.as_mut()?;
        if now < lost.next {
            return None;
        }
        if lost.good >= PROOF {
            let left = stay.saturating_sub(now.saturating_since(lost.since));
            if !left.is_zero() {
                // It has to be proven by then, not now.
                (lost.good, lost.next) =
                    (0, now + left.saturating_sub(PROVING * PROOF).max(PROVING));
                return None;
            }
            // Anew, if the kernel cannot do it.
            (lost.good, lost.next, lost.pause) = (0, now + lost.opening, MOST);
            lost.opening = (lost.opening * 2).min(LONGEST_STAY);
            self.back = Some(now);
            return Some(Step::BringBack);
        }
        lost.next = now + lost.pause;
        lost.pause = (lost.pause * 2).min(MOST);
        Some(Step::Ask)
    }

    /// Takes in what a question came to. `usual`: the round trip of the path when it was good.
    pub(crate) fn answer(&mut self, answer: Answer, usual: Duration, now: Time) {
        let Some(lost) = &mut self.lost else {
            return;
        };
        match answer {
            Answer::Heard(after) if after <= (usual * 2).max(GOOD) => {
                lost.good += 1;
                lost.pause = FIRST;
                lost.next = lost.next.min(now + PROVING);
            }
            _ => lost.good = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(20);

    /// Lives through so many seconds; answers are given at once if `answers` at that time. When it was brought back.
    fn live(
        comeback: &mut Comeback,
        from: u64,
        seconds: u64,
        answers: impl Fn(u64) -> bool,
    ) -> Vec<u64> {
        let mut back = Vec::new();
        for millis in (from * 1000)..(from + seconds) * 1000 {
            let now = Time::ZERO + Duration::from_millis(millis);
            match comeback.poll(now) {
                Some(Step::Ask) if answers(millis) => comeback.answer(Answer::Heard(RTT), RTT, now),
                Some(Step::Ask) => comeback.answer(Answer::Nothing, RTT, now),
                Some(Step::BringBack) => back.push(millis),
                None => {}
            }
        }
        back
    }

    fn lost_at(seconds: u64) -> Comeback {
        let mut comeback = Comeback::default();
        comeback.set_lost(true, Time::ZERO + Duration::from_secs(seconds));
        comeback
    }

    #[test]
    fn a_path_comes_back_after_a_while_and_three_answers() {
        let back = live(&mut lost_at(1), 1, 8, |_| true);
        assert!((4000..4500).contains(&back[0]), "{back:?}");
    }

    #[test]
    fn a_path_that_heals_late_comes_back_within_five_seconds() {
        let back = live(&mut lost_at(0), 0, 60, |now| now > 33_000);
        assert!((33_000..38_000).contains(&back[0]), "{back:?}");
    }

    #[test]
    fn a_path_that_answers_now_and_then_is_not_proven() {
        let back = live(&mut lost_at(0), 0, 60, |now| now % 200 < 90);
        assert!(back.len() <= 1, "{back:?}");
        assert_eq!(live(&mut lost_at(0), 0, 60, |_| false), [0_u64; 0]);
    }

    #[test]
    fn a_path_that_is_much_slower_than_it_was_is_not_proven() {
        let mut comeback = lost_at(0);
        for millis in 0..60_000 {
            let now = Time::ZERO + Duration::from_millis(millis);
            match comeback.poll(now) {
                Some(Step::Ask) => {
                    comeback.answer(Answer::Heard(Duration::from_millis(400)), RTT, now)
                }
                Some(Step::BringBack) => panic!("at {millis} ms"),
                None => {}
            }
        }
    }

    #[test]
    fn one_that_is_lost_again_and_again_is_waited_for_longer_and_longer() {
        let mut comeback = Comeback::default();
        let mut now = 0;
        let mut stays = Vec::new();
        for _ in 0..5 {
            comeback.set_lost(true, Time::ZERO + Duration::from_secs(now));
            let back = live(&mut comeback, now, 400, |_| true);
            stays.push(back[0] / 1000 - now);
            comeback.set_lost(false, Time::ZERO + Duration::from_secs(now + 400));
            now += 401;
        }
        assert_eq!(stays, [3, 6, 12, 24, 48]);
    }

    #[test]
    fn a_kernel_that_opens_nothing_is_asked_again_but_ever_more_seldom() {
        let back = live(&mut lost_at(0), 0, 3600, |_| true);
        let pauses: Vec<_> = back.windows(2).map(|it| (it[1] - it[0]) / 1000).collect();
        assert!(pauses[0] <= 8 && pauses[1] <= 12, "{pauses:?}");
        let longest = LONGEST_STAY.as_secs() + 10;
        assert!(pauses.iter().all(|pause| *pause <= longest), "{pauses:?}");
        assert!(back.len() < 25, "{pauses:?}");
    }
}
