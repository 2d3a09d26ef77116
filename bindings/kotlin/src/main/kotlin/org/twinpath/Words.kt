package org.twinpath

import org.twinpath.ffi.Cost as FfiCost
import org.twinpath.ffi.InterfaceKind as FfiInterfaceKind
import org.twinpath.ffi.Mode as FfiMode
import org.twinpath.ffi.Role as FfiRole

/** The role that a path plays. */
public enum class Role {
    /** The path that carries the bytes while it is good. */
    PRIMARY,
    /** The path that stands by. */
    BACKUP,
}

/** When the backup is used; Apple's words. */
public enum class ServiceType {
    /** Only when it is needed: no cellular bytes while Wi-Fi is good. */
    HANDOVER,
    /** For the lowest delay: spends some cellular. */
    INTERACTIVE,
    /** Both paths for bandwidth, some day: so far sessions take it for [INTERACTIVE], and requests for [HANDOVER]. */
    AGGREGATE,
}

/** How ready the backup is. */
public enum class Standby {
    /** Nothing is open. */
    COLD,
    /** A leg is joined, and idle. */
    WARM,
}

/** What is at the far end. */
public enum class Peer {
    /** A Twinpath gateway: a connection outlives its path. */
    GATEWAY,
    /** Any server. */
    ANY,
}

/** How a connection runs. */
public enum class Mode {
    /** A kernel MPTCP socket. */
    KERNEL_MPTCP,
    /** A session with a gateway over two paths: no byte is lost when one of them dies. */
    EMULATED,
    /** Plain TCP to any server, over one path at a time. */
    PLAIN_PAIR,
    /** Only one path can be used. */
    SINGLE_PATH,
}

/** What an interface is. */
public enum class InterfaceKind { WIFI, CELLULAR, WIRED, VPN, LOOPBACK, OTHER }

/** What a byte costs. */
public enum class Cost { UNMETERED, METERED, ROAMING, UNKNOWN }

internal fun FfiRole.asRole(): Role =
    when (this) {
        FfiRole.PRIMARY -> Role.PRIMARY
        FfiRole.BACKUP -> Role.BACKUP
    }

internal fun Role.asFfi(): FfiRole =
    when (this) {
        Role.PRIMARY -> FfiRole.PRIMARY
        Role.BACKUP -> FfiRole.BACKUP
    }

internal fun FfiMode.asMode(): Mode =
    when (this) {
        FfiMode.KERNEL_MPTCP -> Mode.KERNEL_MPTCP
        FfiMode.EMULATED -> Mode.EMULATED
        FfiMode.PLAIN_PAIR -> Mode.PLAIN_PAIR
        FfiMode.SINGLE_PATH -> Mode.SINGLE_PATH
    }

internal fun Mode.asFfi(): FfiMode =
    when (this) {
        Mode.KERNEL_MPTCP -> FfiMode.KERNEL_MPTCP
        Mode.EMULATED -> FfiMode.EMULATED
        Mode.PLAIN_PAIR -> FfiMode.PLAIN_PAIR
        Mode.SINGLE_PATH -> FfiMode.SINGLE_PATH
    }

internal fun FfiInterfaceKind.asKind(): InterfaceKind = InterfaceKind.valueOf(name)

internal fun InterfaceKind.asFfi(): FfiInterfaceKind = FfiInterfaceKind.valueOf(name)

internal fun FfiCost.asCost(): Cost = Cost.valueOf(name)
