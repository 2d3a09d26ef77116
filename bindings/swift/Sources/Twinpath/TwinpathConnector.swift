internal import TwinpathCore

/// What may be spent on the backup paths.
public struct Budget: Sendable, Equatable {
    /// Bytes a day; without limit if `nil`.
    public let perDay: Int64?
    /// Bytes spent in this day.
    public let used: Int64
    /// Bytes that may still be spent at this moment; without limit if `nil`, and 0 while roaming or saving data.
    public let remaining: Int64?
}

/// Makes connections with the same options, which share a budget and one watcher of the device's interfaces. One for the
/// whole app is enough.
public final class TwinpathConnector: Sendable {
    let core: Connector
    private let platform: Platform

    public init(_ options: TwinpathOptions = .handover) throws {
        core = try translated {
            let dialer = (options.dialer ?? Platform.dialer()).map(CalledDialer.init)
            return try Connector(
                options: options.core(),
                hooks: Hooks(dialer: dialer, faults: options.faults)
            )
        }
        platform = Platform(core, followsLifeCycle: options.followsLifeCycle)
    }

    /// Connects. When the task is cancelled, nothing stays open.
    public func connect(to host: String, port: Int) async throws -> TwinpathConnection {
        let target = try target(host, port)
        let core = core
        return TwinpathConnection(try await cancellable { try await core.connect(target: target, cancellation: $0) })
    }

    /// Lets go of all paths until ``resume()``: for an app that goes to the background. Connections to gateways stay for
    /// the time to live (``TwinpathOptions/timeToLive``, as far as the gateway allows it), and what is written waits;
    /// connections to other servers are left alone.
    public func suspend() throws {
        try translated { try core.suspend() }
    }

    /// Takes paths again, over the interfaces as they are now: connections to gateways go on where they were.
    public func resume() throws {
        try translated { try core.resume() }
    }

    /// What may be spent on the backup, and what was.
    public var budget: Budget {
        get throws {
            let budget = try translated { try core.budget() }
            return Budget(
                perDay: budget.perDay.map(Int64.init(clamping:)),
                used: Int64(clamping: budget.used),
                remaining: budget.remaining.map(Int64.init(clamping:))
            )
        }
    }

    /// Sets the bytes a day on the backup; without limit if `nil`.
    public func setBudget(perDay: Int64?) throws {
        try translated { try core.setBudget(perDay: perDay.map(bytes)) }
    }

    /// Says what was spent in this day before the app was started.
    public func setBudgetUsed(_ used: Int64) throws {
        try translated { try core.setBudgetUsed(bytes: bytes(used)) }
    }

    /// Says whether the system is saving data (`isConstrained`): then nothing is spent on the backup.
    public func setDataSaving(_ isSaving: Bool) throws {
        try translated { try core.setDataSaving(dataSaving: isSaving) }
    }
}

/// As the library has it.
func target(_ host: String, _ port: Int) throws -> String {
    guard (1...65535).contains(port) else {
        throw TwinpathError(.invalidInput, "a port is from 1 to 65535, not \(port)")
    }
    let isBare = host.contains(":") && !host.hasPrefix("[")
    return isBare ? "[\(host)]:\(port)" : "\(host):\(port)"
}
