//! Every kind of work, under every fault: no byte is lost, the stall is short, the events are those that are due.

use twinpath_tests::{Fault, Workload};

macro_rules! survives_every_fault {
    ($name:ident, $workload:ident: $($test:ident => $fault:ident),+ $(,)?) => {
        mod $name {
            use super::*;
            $(#[test] fn $test() { Workload::$workload.survives(Fault::$fault); })+
        }
    };
    ($($name:ident => $workload:ident),+ $(,)?) => {
        $(survives_every_fault! { $name, $workload:
            is_left_in_peace_without_a_fault => None,
            survives_wifi_falling_silent => Blackhole,
            survives_a_hole_on_the_way_up => HoleUp,
            survives_a_hole_on_the_way_down => HoleDown,
            survives_wifi_taken_down => LinkDown,
            survives_the_loss_of_its_address => AddressGone,
            survives_a_change_of_address => AddressChanged,
            stays_on_wifi_after_a_reset => Reset,
            stays_on_wifi_that_loses_packets => Loss,
            stays_on_wifi_that_becomes_slower => DelayStep,
            stays_on_wifi_that_jitters => Jitter,
            stays_on_wifi_whose_rate_drops => RateDrop,
            stays_on_wifi_whose_queues_are_full => FullQueue,
            stays_on_wifi_that_strips_option_30 => Stripped,
            survives_both_links_dead_for_a_while => BothDead,
            survives_wifi_that_comes_and_goes => Flapping,
            survives_a_nat_that_forgets => NatForgets,
            stays_on_wifi_when_a_nat_moves_its_ports => NatMoves,
            survives_silence_behind_a_proxy => BehindProxy,
            begins_on_cellular_when_wifi_takes_no_connection => SynDrop,
        })+
    };
}

survives_every_fault! {
    an_upload => Upload,
    a_download => Download,
    an_echo => Echo,
    a_request_after_idleness => IdleThenRequest,
    a_half_closed_connection => HalfClose,
    a_slow_reader => SlowReader,
}
