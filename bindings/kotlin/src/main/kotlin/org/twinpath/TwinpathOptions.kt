package org.twinpath

import kotlin.time.Duration
import kotlin.time.toJavaDuration
import org.twinpath.faults.FaultInjection
import org.twinpath.ffi.ConnectorOptions
import org.twinpath.ffi.FaultInjection as FfiFaultInjection
import org.twinpath.ffi.Hooks
import org.twinpath.ffi.InterfaceChoice
import org.twinpath.ffi.PeerRule
import org.twinpath.ffi.UniffiWithHandle

/** An interface to use for a path. */
public sealed interface InterfaceSelector {
    /** The first usable one of that kind. */
    public data class OfKind(val kind: InterfaceKind) : InterfaceSelector

    /** The one of that name, as in `wlan0`. */
    public data class Named(val name: String) : InterfaceSelector
}

/**
 * The options of a [TwinpathConnector]. The defaults are those of a phone: Wi-Fi (or a cable) as primary, cellular as
 * backup, any server, handover only when needed, 50 MB of cellular a day.
 */
public class TwinpathOptions {
    /** When the backup is used. */
    public var service: ServiceType = ServiceType.HANDOVER

    /** How ready the backup is; by the service if `null`. */
    public var standby: Standby? = null

    /** What is at the far end. */
    public var peer: Peer = Peer.ANY

    /** What is at the far end, of hosts that are an exception. */
    public val peers: MutableMap<String, Peer> = mutableMapOf()

    /** This mode and no other; by the peer if `null`. */
    public var mode: Mode? = null

    /** The key that the gateway must prove to have, 32 bytes. */
    public var pin: ByteArray? = null

    /** Whether the first bytes go with the first packet, to a pinned gateway. */
    public var earlyData: Boolean = false

    /** Bytes a day on the backup; without limit if `null`. */
    public var budgetPerDay: Long? = 50_000_000

    /** Interfaces for the primary path, the best first; Wi-Fi and cables if empty. */
    public var primary: List<InterfaceSelector> = emptyList()

    /** Interfaces for the backup path, the best first; cellular if empty. */
    public var backup: List<InterfaceSelector> = emptyList()

    /** Whether what the device mandates (a VPN, a proxy) is obeyed; if `null`, unless an interface is named. */
    public var respectMandates: Boolean? = null

    /** How long a connect may take; 30 s if `null`. */
    public var connectTimeout: Duration? = null

    /** For how long a gateway keeps a session when no path leads to it; as the gateway has it if `null`. */
    public var timeToLive: Duration? = null

    /** Opens the legs instead of the library; `null`, as it should be on nearly every platform, for the library's own. */
    public var dialer: LegDialer? = null

    /**
     * Told for as long as cellular is used or tried by sockets of the library; a [dialer] knows that by itself. On Android
     * it is set by what ties a connector to the device.
     */
    public var cellularUse: CellularUse? = null

    /**
     * Decides whom HTTP clients of this connector trust that have no [TlsOptions.trust] of their own; the platform if `null`.
     * On Android, where nobody else can be asked, it is set by what ties a connector to the device.
     */
    public var serverTrust: ServerTrust? = null

    /** See [org.twinpath.faults]. */
    internal var injected: FaultInjection? = null

    internal fun asFfi(): ConnectorOptions =
        ConnectorOptions(
            service = org.twinpath.ffi.Service.valueOf(service.name),
            standby = standby?.let { org.twinpath.ffi.Standby.valueOf(it.name) },
            peer = peer.asFfi(),
            peerRules = peers.map { (host, peer) -> PeerRule(host, peer.asFfi()) },
            mode = mode?.asFfi(),
            pin = pin,
            earlyData = earlyData,
            budgetPerDay = budgetPerDay?.also { require(it >= 0) { "a budget is not negative" } }?.toULong(),
            primary = primary.map { it.asFfi() },
            backup = backup.map { it.asFfi() },
            respectMandates = respectMandates,
            connectTimeout = connectTimeout?.asFfi("connectTimeout"),
            timeToLive = timeToLive?.asFfi("timeToLive"),
        )
}

internal fun TwinpathOptions.hooks(): Hooks =
    Hooks(
        dialer?.let(::CalledDialer),
        cellularUse?.let(::CalledUse),
        // What is closed must not be handed to the library, which would look for it where it was.
        injected?.ffi?.callWithHandle { FfiFaultInjection(UniffiWithHandle, it) },
    )

/** As the library has it, which knows of no time that is negative. */
internal fun Duration.asFfi(what: String): java.time.Duration {
    require(!isNegative()) { "$what is not negative, as $this is" }
    return toJavaDuration()
}

private fun Peer.asFfi() = org.twinpath.ffi.Peer.valueOf(name)

private fun InterfaceSelector.asFfi(): InterfaceChoice =
    when (this) {
        is InterfaceSelector.OfKind -> InterfaceChoice.OfKind(kind.asFfi())
        is InterfaceSelector.Named -> InterfaceChoice.Named(name)
    }
