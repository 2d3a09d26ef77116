package org.twinpath

import java.net.InetAddress
import org.twinpath.ffi.Families
import org.twinpath.ffi.Network

/** A network of the device, as the platform's framework tells of it. */
public data class TwinpathNetwork(
    /** The system's name of its interface, as in `wlan0`. */
    val name: String,
    /** What it is. */
    val kind: InterfaceKind,
    /** Addresses of the device in it. */
    val addresses: List<InetAddress>,
    /** What a byte costs. */
    val cost: Cost = Cost.UNKNOWN,
    /** Whether it leads to the internet by IPv4; `null` if nobody says. */
    val hasIpv4: Boolean? = null,
    /** Whether it leads to the internet by IPv6; `null` if nobody says. */
    val hasIpv6: Boolean? = null,
    /** The index of its interface, 0 if nobody says. */
    val index: Int = 0,
    /** Android's `Network.getNetworkHandle()`: sockets are bound to it, not to the interface. */
    val handle: Long? = null,
)

internal fun TwinpathNetwork.asFfi(): Network =
    Network(
        name = name,
        index = index.toUInt(),
        kind = kind.asFfi(),
        cost = org.twinpath.ffi.Cost.valueOf(cost.name),
        addresses = addresses.map { it.hostAddress },
        leadsOut = if (hasIpv4 == null && hasIpv6 == null) null else Families(hasIpv4 ?: false, hasIpv6 ?: false),
        networkHandle = handle?.toULong(),
    )
