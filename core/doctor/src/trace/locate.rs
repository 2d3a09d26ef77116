//! Between which hops something was changed.

use std::collections::BTreeSet;

use super::hop::{Hop, Trace};
use crate::packet::{Difference, Seen};

/// The smallest stretch of the way that something must have happened on: behind hop `after` saw it as it was, at hop
/// `by` at the latest. 0 is this machine.
///
/// Hop `after` itself may have done it while sending, or hop `by` while receiving, or a device between them that shows
/// itself to nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interval {
    /// The last hop that has seen it as it was.
    pub after: u8,
    /// The first hop that has seen it changed.
    pub by: u8,
}

/// Something that was changed, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Located {
    /// What.
    pub difference: Difference,
    /// Where.
    pub between: Interval,
}

/// What a hop has seen of one thing: `None` if it has quoted too little; all that it has seen, if packets take turns
/// between paths.
type State = Option<BTreeSet<Option<Difference>>>;

fn state(hop: &Hop, what: Seen) -> State {
    let mut states = BTreeSet::new();
    for observation in &hop.observations {
        let comparison = &observation.comparison;
        let mut differences = comparison.differences.iter().filter(|it| it.of() == what);
        match differences.next() {
            Some(difference) => {
                states.insert(Some(*difference));
            }
            None if comparison.seen.contains(&what) => {
                states.insert(None);
            }
            None => {}
        }
    }
    (!states.is_empty()).then_some(states)
}

/// Everything that was changed on the way out, with the smallest interval that is certain.
#[must_use]
pub fn locate(trace: &Trace) -> Vec<Located> {
    let differences = trace
        .hops
        .iter()
        .flat_map(|it| &it.observations)
        .flat_map(|it| &it.comparison.differences);
    let things: BTreeSet<Seen> = differences.map(|it| it.of()).collect();
    let mut located: Vec<_> = things
        .into_iter()
        .flat_map(|it| locate_one(trace, it))
        .collect();
    located.sort_by_key(|it| it.between.by);
    located
}

fn locate_one(trace: &Trace, what: Seen) -> Vec<Located> {
    let states: Vec<_> = trace
        .hops
        .iter()
        .filter_map(|hop| Some((hop.ttl, state(hop, what)?)))
        .collect();
    let is_mixed = states.iter().any(|(_, state)| state.len() > 1);
    // Nothing gives an option back: who sees it again sees it on another path.
    let mut seen_changed = false;
    let mut comes_back = false;
    for (_, state) in &states {
        comes_back |= seen_changed && state.contains(&None);
        seen_changed |= state.iter().any(Option::is_some);
    }
    if is_mixed || comes_back {
        return on_parallel_paths(trace, &states);
    }
    let mut located = Vec::new();
    let mut before = (0, None);
    for (ttl, state) in states {
        let is = state.into_iter().next().flatten();
        if let Some(difference) = is.filter(|_| is != before.1) {
            let between = Interval {
                after: before.0,
                by: ttl,
            };
            located.push(Located {
                difference,
                between,
            });
        }
        before = (ttl, is);
    }
    located
}

/// Only what stands before the paths part can be told: a hop that has seen it as it was says nothing about the other
/// path.
fn on_parallel_paths(trace: &Trace, states: &[(u8, BTreeSet<Option<Difference>>)]) -> Vec<Located> {
    let single = trace
        .hops
        .iter()
        .take_while(|it| it.responders().len() == 1);
    let single = single.last().map_or(0, |it| it.ttl);
    let first = states.iter().find_map(|(ttl, state)| {
        let difference = state.iter().flatten().next()?;
        Some((*ttl, *difference))
    });
    let Some((by, difference)) = first else {
        return Vec::new();
    };
    let before = states
        .iter()
        .take_while(|(ttl, _)| *ttl < by && *ttl <= single)
        .map(|(ttl, _)| *ttl)
        .last();
    // Without two answers from one hop it is not known where they part.
    let has_parted = trace.hops.iter().any(|it| it.responders().len() > 1);
    let after = before.filter(|_| has_parted).unwrap_or(0);
    vec![Located {
        difference,
        between: Interval { after, by },
    }]
}

/// Where packets with the option vanish: `option` is a trace with it, `plain` one without. `None` if the hops do not say.
#[must_use]
pub fn dropped_between(option: &Trace, plain: &Trace) -> Option<Interval> {
    let answers = |trace: &Trace, ttl: u8| {
        let hop = trace.hops.get(usize::from(ttl) - 1);
        hop.is_some_and(|it| !it.observations.is_empty())
    };
    if option.server_at.is_some() {
        return None;
    }
    let after = option.farthest();
    // A hop that answers those without the option, and not those with it.
    let mut behind = (after + 1..=plain.hops.len() as u8).filter(|ttl| answers(plain, *ttl));
    let by = behind
        .next()
        .or_else(|| plain.server_at.filter(|at| *at > after))?;
    Some(Interval { after, by })
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::hop::Observation;
    use super::*;
    use crate::packet::Comparison;

    const NOPS: Difference = Difference::Nops(30);
    const OPTION: Seen = Seen::Option(30);

    /// What each hop has said: `i` intact, `s` stripped, `l` quoted little, `-` nothing. Several for several answers, the
    /// second from another router.
    fn trace(told: &[&str]) -> Trace {
        let hops = told.iter().zip(1_u8..).map(|(told, ttl)| Hop {
            ttl,
            observations: told
                .chars()
                .zip(0_u8..)
                .filter(|(it, _)| *it != '-')
                .map(|(it, which)| Observation {
                    from: IpAddr::V4(Ipv4Addr::new(10, 0, ttl, which)),
                    comparison: Comparison {
                        differences: if it == 's' { vec![NOPS] } else { vec![] },
                        seen: if it == 'l' {
                            vec![Seen::Ip]
                        } else {
                            vec![Seen::Ip, OPTION]
                        },
                        quoted: 8,
                    },
                })
                .collect(),
        });
        Trace {
            hops: hops.collect(),
            server_at: Some(told.len() as u8 + 1),
            ..Trace::default()
        }
    }

    fn between(told: &[&str]) -> Option<(u8, u8)> {
        let located = locate(&trace(told));
        assert!(located.len() <= 1, "{located:?}");
        located.first().map(|it| (it.between.after, it.between.by))
    }

    #[test]
    fn the_hop_is_the_first_that_saw_it_changed() {
        assert_eq!(between(&["i", "i", "s", "s"]), Some((2, 3)));
        assert_eq!(between(&["s", "s", "s", "s"]), Some((0, 1)));
        assert_eq!(between(&["i", "i", "i", "i"]), None);
    }

    #[test]
    fn silent_and_short_hops_widen_the_interval() {
        assert_eq!(between(&["i", "-", "l", "s"]), Some((1, 4)));
        assert_eq!(between(&["-", "l", "s", "-"]), Some((0, 3)));
        assert_eq!(between(&["i", "l", "-", "l"]), None);
    }

    #[test]
    fn paths_that_take_turns_are_never_named_too_narrowly() {
        // The second hop is two routers, and one of the two ways strips.
        assert_eq!(between(&["i", "ii", "is", "si"]), Some((1, 3)));
        assert_eq!(between(&["ii", "is", "i"]), Some((0, 2)));
        // It came back, so there are two ways, and nobody knows since where.
        assert_eq!(between(&["i", "s", "i"]), Some((0, 2)));
    }

    #[test]
    fn packets_vanish_before_the_first_hop_that_answers_only_the_others() {
        let mut with = trace(&["i", "i", "-", "-"]);
        with.server_at = None;
        let told = dropped_between(&with, &trace(&["i", "i", "i", "i"]));
        assert_eq!(told, Some(Interval { after: 2, by: 3 }));
        let told = dropped_between(&with, &trace(&["i", "i", "-", "i"]));
        assert_eq!(told, Some(Interval { after: 2, by: 4 }));
        let told = dropped_between(&with, &trace(&["i", "-", "-", "-"]));
        assert_eq!(told, Some(Interval { after: 2, by: 5 }));
        assert_eq!(dropped_between(&trace(&["i"]), &trace(&["i"])), None);
    }
}
