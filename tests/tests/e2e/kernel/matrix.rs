//! Every trouble that MPTCP can meet, by IPv4, by IPv6, and towards a server of both: no byte is lost, and no claim is
//! wrong at any moment.

use twinpath_lab::Direction::{Both, Down, Up};
use twinpath_lab::StripHow::{Overwrite, Remove};
use twinpath_lab::StripMode::{All, NonSyn, Syn, SynAck};
use twinpath_tests::Trouble::{
    AddressGone, Blackhole, LinkDown, Loss, None, PlainServer, Strip, StripAlone, StripJoin,
    StripLater, SynsDropped,
};
use twinpath_tests::Work;

macro_rules! tells_the_truth {
    ($name:ident, $work:ident: $($test:ident => $trouble:expr),+ $(,)?) => {
        mod $name {
            use super::*;
            $(#[test] fn $test() { Work::$work.goes_on($trouble); })+
        }
    };
}

tells_the_truth! { a_chat, Chat:
    is_protected_without_any_trouble => None,
    survives_wifi_falling_silent => Blackhole(Both),
    survives_a_hole_on_the_way_up => Blackhole(Up),
    survives_a_hole_on_the_way_down => Blackhole(Down),
    survives_wifi_taken_down => LinkDown,
    survives_the_loss_of_its_address => AddressGone,
    stays_protected_while_packets_are_lost_on_the_way_up => Loss(Up),
    stays_protected_while_packets_are_lost_on_the_way_down => Loss(Down),
    is_plain_with_a_server_of_plain_tcp => PlainServer,
    is_plain_where_syns_lose_the_option => Strip(Syn, Overwrite),
    is_plain_where_the_option_is_cut_out_of_syns => Strip(Syn, Remove),
    is_plain_where_syn_acks_lose_the_option => Strip(SynAck, Overwrite),
    is_plain_where_the_option_is_cut_out_of_syn_acks => Strip(SynAck, Remove),
    is_plain_where_every_segment_loses_the_option => Strip(All, Overwrite),
    is_plain_where_the_option_is_cut_out_of_every_segment => Strip(All, Remove),
    turns_plain_where_only_the_handshake_keeps_the_option => Strip(NonSyn, Overwrite),
    turns_plain_where_the_option_is_cut_out_after_the_handshake => Strip(NonSyn, Remove),
    turns_plain_when_the_option_is_lost_and_there_is_no_backup => StripAlone(Overwrite),
    turns_plain_when_the_option_is_cut_out_and_there_is_no_backup => StripAlone(Remove),
    goes_to_the_backup_when_the_option_is_lost => StripLater(Overwrite),
    goes_to_the_backup_when_the_option_is_cut_out => StripLater(Remove),
    has_no_backup_where_joins_lose_the_option => StripJoin(Overwrite),
    has_no_backup_where_the_option_is_cut_out_of_joins => StripJoin(Remove),
    begins_on_cellular_where_wifi_drops_its_syns => SynsDropped,
}

tells_the_truth! { an_upload, Upload:
    is_protected_without_any_trouble => None,
    survives_wifi_falling_silent => Blackhole(Both),
    survives_a_hole_on_the_way_up => Blackhole(Up),
    survives_a_hole_on_the_way_down => Blackhole(Down),
    survives_the_loss_of_its_address => AddressGone,
    stays_protected_while_packets_are_lost_on_the_way_up => Loss(Up),
    turns_plain_where_only_the_handshake_keeps_the_option => Strip(NonSyn, Remove),
    goes_to_the_backup_when_the_option_is_lost => StripLater(Overwrite),
}

tells_the_truth! { a_download, Download:
    is_protected_without_any_trouble => None,
    survives_wifi_falling_silent => Blackhole(Both),
    survives_a_hole_on_the_way_up => Blackhole(Up),
    survives_a_hole_on_the_way_down => Blackhole(Down),
    survives_wifi_taken_down => LinkDown,
    stays_protected_while_packets_are_lost_on_the_way_down => Loss(Down),
    turns_plain_where_only_the_handshake_keeps_the_option => Strip(NonSyn, Overwrite),
    goes_to_the_backup_when_the_option_is_cut_out => StripLater(Remove),
}
