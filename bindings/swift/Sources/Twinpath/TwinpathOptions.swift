import Foundation
package import TwinpathCore

/// An interface to use for a path.
public enum InterfaceSelector: Sendable, Hashable {
    /// The first usable one of that kind.
    case kind(InterfaceKind)
    /// The one of that name, as in `en0`.
    case named(String)
}

/// The options of a ``TwinpathConnector``. The defaults are those of a phone: Wi-Fi (or a cable) as primary, cellular as
/// backup, any server, handover only when needed, 50 MB of cellular a day.
public struct TwinpathOptions: Sendable {
    /// When the backup is used.
    public var service = ServiceType.handover
    /// How ready the backup is; by the service if `nil`.
    public var standby: Standby?
    /// What is at the far end.
    public var peer = Peer.any
    /// What is at the far end, of hosts that are an exception.
    public var peers: [String: Peer] = [:]
    /// This mode and no other; by the peer if `nil`.
    public var mode: Mode?
    /// The key that the gateway must prove to have, 32 bytes.
    public var pin: Data?
    /// Whether the first bytes go with the first packet, to a pinned gateway.
    public var earlyData = false
    /// Bytes a day on the backup; without limit if `nil`.
    public var budgetPerDay: Int64? = 50_000_000
    /// Interfaces for the primary path, the best first; Wi-Fi and cables if empty.
    public var primary: [InterfaceSelector] = []
    /// Interfaces for the backup path, the best first; cellular if empty.
    public var backup: [InterfaceSelector] = []
    /// Whether what the device mandates (a VPN, a proxy) is obeyed; if `nil`, unless an interface is named.
    public var respectMandates: Bool?
    /// How long a connect may take; 30 s if `nil`.
    public var connectTimeout: Duration?
    /// For how long a gateway keeps a session when no path leads to it; as the gateway has it if `nil`.
    public var timeToLive: Duration?
    /// Opens the legs; `nil` for what the platform has: ``NetworkLegs`` on iOS, sockets of the library elsewhere.
    public var dialer: (any LegDialer)?
    /// Says that the app carries the entitlement `com.apple.developer.networking.multipath`: then connections to servers
    /// that are no gateways are the system's own MPTCP on iOS, if it opens them (``Mode/kernelMptcp``). Which interface
    /// carries their bytes, and whether they are protected, the system does not tell.
    public var hasMultipathEntitlement = false
    /// Whether paths are let go of while the app is in the background, as ``TwinpathConnector/suspend()`` does, and taken
    /// again when it comes back. On iOS only; elsewhere apps are not suspended.
    public var followsLifeCycle = true
    /// Of the module `TwinpathFaults`.
    package var faults: FaultInjection?

    public init() {}

    /// The backup only when it is needed, towards any server.
    public static var handover: Self { Self() }

    /// For the lowest delay, towards any server.
    public static var interactive: Self {
        var options = Self()
        options.service = .interactive
        return options
    }

    /// Towards a Twinpath gateway, where a connection outlives its path.
    public static var gateway: Self {
        var options = Self()
        options.peer = .gateway
        return options
    }
}

extension TwinpathOptions {
    func core() throws -> ConnectorOptions {
        ConnectorOptions(
            service: service.core,
            standby: standby?.core,
            peer: peer.core,
            peerRules: peers.map { PeerRule(host: $0.key, peer: $0.value.core) },
            mode: mode?.core,
            pin: pin,
            earlyData: earlyData,
            budgetPerDay: try budgetPerDay.map(bytes),
            primary: primary.map(\.core),
            backup: backup.map(\.core),
            multipathEntitlement: hasMultipathEntitlement,
            respectMandates: respectMandates,
            connectTimeout: connectTimeout?.interval,
            timeToLive: timeToLive?.interval
        )
    }
}

extension InterfaceSelector {
    fileprivate var core: InterfaceChoice {
        switch self {
        case .kind(let kind): .ofKind(kind: kind.core)
        case .named(let name): .named(name: name)
        }
    }
}

/// A number of bytes as the library has it.
func bytes(_ count: Int64) throws -> UInt64 {
    guard let bytes = UInt64(exactly: count) else {
        throw TwinpathError(.invalidInput, "a number of bytes is not negative")
    }
    return bytes
}

/// As good as for ever, in seconds.
let century: TimeInterval = 100 * 365 * 24 * 3600

extension Duration {
    init(_ interval: TimeInterval) {
        self = .seconds(interval)
    }

    /// What is negative is nothing. The library counts in fewer bits than a duration has, which may even have more seconds
    /// than its own ``components`` can tell.
    package var interval: TimeInterval {
        min(max(0, self / .seconds(1)), century)
    }
}
