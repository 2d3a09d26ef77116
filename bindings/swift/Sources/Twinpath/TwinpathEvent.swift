internal import TwinpathCore

/// A path: its role, and the system's name of its interface, where one is known.
public struct PathName: Sendable, Hashable {
    public let role: Role
    public let interface: String?
}

/// Something that happened to a connection.
public enum TwinpathEvent: Sendable, Equatable {
    /// The gateway has answered and proven itself.
    case established
    /// A leg carries bytes, or could.
    case legUp(path: PathName)
    /// A leg is gone.
    case legDown(path: PathName, reason: String)
    /// `from` is suspected; what is unacknowledged goes on `to` as well.
    case hedge(from: PathName, to: PathName)
    /// A suspected path answered after all, or something moved again after a failover.
    case recovered(path: PathName, stall: Duration)
    /// The backup became active.
    case failover(from: PathName, to: PathName, reason: String, stall: Duration)
    /// The primary became active again.
    case failback(from: PathName, to: PathName)
    /// What the connection can claim has changed.
    case protectionChanged(Protection)
    /// The mode has changed.
    case modeChanged(Mode, reason: String)
    /// The budget is spent; the backup is closed until it is raised.
    case budgetExhausted
    /// The gateway will end within that time.
    case goingAway(within: Duration)
    /// The session has ended; the error says why, if it did not end in order.
    case closed(error: String?)
    /// The last event: the account of the whole connection.
    case ended(TwinpathSummary)
}

/// The events of a connection, as one listener sees them.
public struct TwinpathEvents: AsyncSequence, Sendable {
    public typealias Element = TwinpathEvent
    public typealias Failure = Never

    private let core: Events?

    init(_ core: Events?) {
        self.core = core
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let core: Events?

        public mutating func next() async -> TwinpathEvent? {
            guard let core else { return nil }
            while let next = try? core.tryNext() {
                switch next {
                case .happened(let event): return TwinpathEvent(event)
                case .over: return nil
                case .notYet:
                    guard (try? await cancellable({ try await core.ready(cancellation: $0) })) != nil else {
                        return nil
                    }
                }
            }
            return nil
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(core: core) }
}

extension PathName {
    init(_ path: TwinpathCore.PathName) {
        (role, interface) = (Role(path.role), path.interface)
    }
}

extension TwinpathEvent {
    init(_ event: TwinpathCore.Event) {
        switch event {
        case .established: self = .established
        case .legUp(let path): self = .legUp(path: PathName(path))
        case .legDown(let path, let reason): self = .legDown(path: PathName(path), reason: reason)
        case .hedge(let from, let to): self = .hedge(from: PathName(from), to: PathName(to))
        case .recovered(let path, let stall): self = .recovered(path: PathName(path), stall: Duration(stall))
        case .failover(let from, let to, let reason, let stall):
            self = .failover(from: PathName(from), to: PathName(to), reason: reason, stall: Duration(stall))
        case .failback(let from, let to): self = .failback(from: PathName(from), to: PathName(to))
        case .protectionChanged(let protection): self = .protectionChanged(Protection(protection))
        case .modeChanged(let mode, let reason): self = .modeChanged(Mode(mode), reason: reason)
        case .budgetExhausted: self = .budgetExhausted
        case .goingAway(let within): self = .goingAway(within: Duration(within))
        case .closed(let error): self = .closed(error: error)
        case .ended(let summary): self = .ended(TwinpathSummary(summary))
        }
    }
}
