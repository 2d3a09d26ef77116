package import TwinpathCore

/// The role that a path plays.
public enum Role: Sendable, Hashable, CaseIterable {
    /// The path that carries the bytes while it is good.
    case primary
    /// The path that stands by.
    case backup
}

/// When the backup is used; Apple's words.
public enum ServiceType: Sendable, Hashable, CaseIterable {
    /// Only when it is needed: no cellular bytes while Wi-Fi is good.
    case handover
    /// For the lowest delay: spends some cellular.
    case interactive
    /// Both paths for bandwidth, some day: so far sessions take it for `interactive`, and requests for `handover`.
    case aggregate
}

/// How ready the backup is.
public enum Standby: Sendable, Hashable, CaseIterable {
    /// Nothing is open.
    case cold
    /// A leg is joined, and idle.
    case warm
}

/// What is at the far end.
public enum Peer: Sendable, Hashable, CaseIterable {
    /// A Twinpath gateway: a connection outlives its path.
    case gateway
    /// Any server.
    case any
}

/// How a connection runs.
public enum Mode: Sendable, Hashable, CaseIterable {
    /// A kernel MPTCP socket; on iOS, a connection for which the system was asked for MPTCP.
    case kernelMptcp
    /// A session with a gateway over two paths: no byte is lost when one of them dies.
    case emulated
    /// Plain TCP to any server, over one path at a time.
    case plainPair
    /// Only one path can be used.
    case singlePath
}

/// What an interface is.
public enum InterfaceKind: Sendable, Hashable, CaseIterable {
    case wifi, cellular, wired, vpn, loopback, other
}

/// What a byte costs.
public enum Cost: Sendable, Hashable, CaseIterable {
    /// Nothing.
    case unmetered
    /// It is paid for, or limited.
    case metered
    /// In a foreign network, where it may be dear.
    case roaming
    /// Nobody says.
    case unknown
}

/// How much is logged.
public enum LogLevel: Sendable, Hashable, CaseIterable {
    /// Nothing.
    case off
    /// Mistakes of the library.
    case error
    /// What is unusual, but works.
    case warn
    /// What a user would see change.
    case info
    /// Decisions, with addresses and host names.
    case debug
}

extension Role {
    init(_ role: TwinpathCore.Role) {
        switch role {
        case .primary: self = .primary
        case .backup: self = .backup
        }
    }

    package var core: TwinpathCore.Role {
        switch self {
        case .primary: .primary
        case .backup: .backup
        }
    }
}

extension ServiceType {
    init(_ service: TwinpathCore.Service) {
        switch service {
        case .handover: self = .handover
        case .interactive: self = .interactive
        case .aggregate: self = .aggregate
        }
    }

    var core: TwinpathCore.Service {
        switch self {
        case .handover: .handover
        case .interactive: .interactive
        case .aggregate: .aggregate
        }
    }
}

extension Standby {
    var core: TwinpathCore.Standby {
        switch self {
        case .cold: .cold
        case .warm: .warm
        }
    }
}

extension Peer {
    var core: TwinpathCore.Peer {
        switch self {
        case .gateway: .gateway
        case .any: .any
        }
    }
}

extension Mode {
    init(_ mode: TwinpathCore.Mode) {
        switch mode {
        case .kernelMptcp: self = .kernelMptcp
        case .emulated: self = .emulated
        case .plainPair: self = .plainPair
        case .singlePath: self = .singlePath
        }
    }

    var core: TwinpathCore.Mode {
        switch self {
        case .kernelMptcp: .kernelMptcp
        case .emulated: .emulated
        case .plainPair: .plainPair
        case .singlePath: .singlePath
        }
    }
}

extension InterfaceKind {
    init(_ kind: TwinpathCore.InterfaceKind) {
        switch kind {
        case .wifi: self = .wifi
        case .cellular: self = .cellular
        case .wired: self = .wired
        case .vpn: self = .vpn
        case .loopback: self = .loopback
        case .other: self = .other
        }
    }

    var core: TwinpathCore.InterfaceKind {
        switch self {
        case .wifi: .wifi
        case .cellular: .cellular
        case .wired: .wired
        case .vpn: .vpn
        case .loopback: .loopback
        case .other: .other
        }
    }
}

extension Cost {
    init(_ cost: TwinpathCore.Cost) {
        switch cost {
        case .unmetered: self = .unmetered
        case .metered: self = .metered
        case .roaming: self = .roaming
        case .unknown: self = .unknown
        }
    }

    var core: TwinpathCore.Cost {
        switch self {
        case .unmetered: .unmetered
        case .metered: .metered
        case .roaming: .roaming
        case .unknown: .unknown
        }
    }
}

extension LogLevel {
    init(_ level: TwinpathCore.LogLevel) {
        switch level {
        case .off: self = .off
        case .error: self = .error
        case .warn: self = .warn
        case .info: self = .info
        case .debug: self = .debug
        }
    }

    var core: TwinpathCore.LogLevel {
        switch self {
        case .off: .off
        case .error: .error
        case .warn: .warn
        case .info: .info
        case .debug: .debug
        }
    }
}
