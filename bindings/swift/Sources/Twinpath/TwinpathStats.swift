internal import TwinpathCore

/// What a connection can claim at this moment.
public struct Protection: Sendable, Equatable {
    /// Whether losing the active path is survived.
    public let isProtected: Bool
    /// In words, with the reason if it is not.
    public let description: String
}

/// The counters of one path.
public struct PathStats: Sendable, Equatable {
    public let role: Role
    /// The system's name of its interface, where one is known.
    public let interface: String?
    /// What that is, where it is known.
    public let kind: InterfaceKind?
    /// Bytes sent over it, framing included.
    public let sent: Int64
    /// Bytes received over it, framing included.
    public let received: Int64
    /// Smoothed round-trip time of its newest leg.
    public let roundTrip: Duration?
    /// Whether a leg is up.
    public let isUp: Bool
}

/// A connection at one moment.
public struct TwinpathStats: Sendable, Equatable {
    /// How it runs.
    public let mode: Mode
    /// Why, in words.
    public let modeReason: String
    /// What it can claim.
    public let protection: Protection
    /// The path that carries the bytes.
    public let active: Role
    /// Time since the connection was made.
    public let age: Duration
    /// The paths, the primary first.
    public let paths: [PathStats]
    /// Suspicions with copies on the other path.
    public let hedges: Int
    /// Times the backup became active.
    public let failovers: Int
    /// Times the primary became active again.
    public let failbacks: Int
    /// Longest time in which bytes were due and none moved.
    public let worstStall: Duration
    /// Bytes accepted from the app.
    public let written: Int64
    /// Of these, bytes known to have arrived at the gateway.
    public let acknowledged: Int64
    /// Bytes that the app has read.
    public let read: Int64
}

/// What one path carried, without names or addresses.
public struct PathSummary: Sendable, Equatable {
    public let role: Role
    public let kind: InterfaceKind?
    public let cost: Cost
    /// Bytes sent over it, framing included.
    public let sent: Int64
    /// Bytes received over it, framing included.
    public let received: Int64
}

/// The account of a connection: what an app may send to its analytics. It holds no address and no name.
public struct TwinpathSummary: Sendable, Equatable {
    /// How it ran at the end.
    public let mode: Mode
    /// How long it lived.
    public let duration: Duration
    /// For how long losing the active path would have been survived.
    public let protectedFor: Duration
    /// For how long it would not, per reason.
    public let unprotectedFor: [String: Duration]
    /// Suspicions with copies on the other path.
    public let hedges: Int
    /// Suspicions after which the path answered.
    public let needlessHedges: Int
    /// Times the backup became active.
    public let failovers: Int
    /// Times the primary became active again.
    public let failbacks: Int
    /// Longest time in which bytes were due and none moved.
    public let worstStall: Duration
    /// What each path carried, the primary first.
    public let paths: [PathSummary]
    /// Bytes accepted from the app.
    public let written: Int64
    /// Bytes that the app has read.
    public let read: Int64
    /// What ended it, if it did not end in order.
    public let error: TwinpathError.Kind?
}

extension Protection {
    init(_ protection: TwinpathCore.Protection) {
        (isProtected, description) = (protection.isProtected, protection.description)
    }
}

extension TwinpathStats {
    init(_ stats: TwinpathCore.Stats) {
        mode = Mode(stats.mode)
        modeReason = stats.modeReason
        protection = Protection(stats.protection)
        active = Role(stats.active)
        age = Duration(stats.age)
        paths = stats.paths.map {
            PathStats(
                role: Role($0.role),
                interface: $0.interface,
                kind: $0.kind.map(InterfaceKind.init),
                sent: Int64(clamping: $0.sent),
                received: Int64(clamping: $0.received),
                roundTrip: $0.roundTrip.map { Duration($0) },
                isUp: $0.isUp
            )
        }
        (hedges, failovers, failbacks) = (Int(stats.hedges), Int(stats.failovers), Int(stats.failbacks))
        worstStall = Duration(stats.worstStall)
        written = Int64(clamping: stats.written)
        acknowledged = Int64(clamping: stats.acknowledged)
        read = Int64(clamping: stats.read)
    }
}

extension TwinpathSummary {
    init(_ summary: TwinpathCore.Summary) {
        mode = Mode(summary.mode)
        duration = Duration(summary.duration)
        protectedFor = Duration(summary.protected)
        unprotectedFor = summary.unprotected.reduce(into: [:]) { $0[$1.reason] = Duration($1.duration) }
        (hedges, needlessHedges) = (Int(summary.hedges), Int(summary.needlessHedges))
        (failovers, failbacks) = (Int(summary.failovers), Int(summary.failbacks))
        worstStall = Duration(summary.worstStall)
        paths = summary.paths.map {
            PathSummary(
                role: Role($0.role),
                kind: $0.kind.map(InterfaceKind.init),
                cost: Cost($0.cost),
                sent: Int64(clamping: $0.sent),
                received: Int64(clamping: $0.received)
            )
        }
        (written, read) = (Int64(clamping: summary.written), Int64(clamping: summary.read))
        error = summary.error.map(TwinpathError.Kind.init)
    }
}
