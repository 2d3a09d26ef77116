import Twinpath
internal import TwinpathCore

/// What is wrong with a path.
public enum Fault: Sendable, Hashable {
    /// Nothing arrives, in neither direction, and nobody is told. What was sent meanwhile arrives when it is over, as TCP
    /// would have it.
    case blackhole
    /// Everything takes so much longer, in each direction. A leg has 256 KiB on its way at most.
    case delay(Duration)
}

/// Faults on purpose: to show, and to test, what an app does when a path dies, without walking out of the house. The faults
/// are on the legs of the connectors that were made with it, not on the device.
///
/// ```swift
/// let faults = try FaultInjection()
/// let connector = try TwinpathConnector(faults.injected(into: .gateway))
/// try faults.set(.primary, .blackhole) // Wi-Fi falls silent
/// try faults.set(.primary, nil) // and is back
/// ```
public final class FaultInjection: Sendable {
    private let core: TwinpathCore.FaultInjection

    /// No faults yet.
    public init() throws {
        core = try translated { try TwinpathCore.FaultInjection() }
    }

    /// The options of a connector whose paths suffer from these faults. It does without the system's MPTCP.
    public func injected(into options: TwinpathOptions) -> TwinpathOptions {
        var options = options
        options.faults = core
        return options
    }

    /// From now on the path has this fault, or none; legs that are open as well as those to come.
    public func set(_ role: Twinpath.Role, _ fault: Fault?) throws {
        try translated { try core.set(role: role.core, fault: fault.map(\.core)) }
    }

    /// Resets every leg that the path has now, at both ends, as a middlebox does that forgot them.
    public func reset(_ role: Twinpath.Role) throws {
        try translated { try core.reset(role: role.core) }
    }
}

extension Fault {
    fileprivate var core: TwinpathCore.Fault {
        switch self {
        case .blackhole: .blackhole
        case .delay(let delay): .delay(by: delay.interval)
        }
    }
}
