import Foundation
internal import TwinpathCore

/// What every call may fail with. Cancelled calls throw `CancellationError`, and cancelled writes ``WriteCancelled``.
public struct TwinpathError: LocalizedError, Sendable, Equatable {
    /// The coarse kind of an error: what a caller might act on.
    public enum Kind: Sendable, Hashable, CaseIterable {
        /// The call itself was wrong.
        case invalidInput
        /// A named interface does not exist, or none is usable.
        case noInterface
        /// The name has no address, or could not be looked up.
        case nameNotFound
        /// Nobody listens at the target.
        case refused
        /// No route leads to the target.
        case unreachable
        /// No answer in time.
        case timedOut
        /// The system does not allow it, or the server is not trusted.
        case notPermitted
        /// The peer was said to be a gateway, and is none.
        case notAGateway
        /// The gateway refused the session, or speaks another version.
        case gatewayRefused
        /// The gateway does not hold the pinned key.
        case pinMismatch
        /// The connection broke; see ``TwinpathError/interruption``.
        case interrupted
        /// The connection was reset by one of its ends.
        case reset
        /// The peer broke the protocol.
        case protocolError
        /// The connection is closed.
        case closed
        /// This platform cannot do it.
        case unsupported
        /// Anything else; the message says what.
        case other
    }

    /// What is known when a connection to a server that is no gateway has lost its path.
    public struct Interruption: Sendable, Equatable {
        /// The path that was lost.
        public let role: Role
        /// Bytes that were written since the connection was made.
        public let written: Int64
        /// Of these, bytes that the server's kernel is known to have; `nil` where the system does not tell.
        public let acknowledged: Int64?
        /// Bytes that were read, or could be before this error was given.
        public let read: Int64
    }

    /// What a caller might act on.
    public let kind: Kind
    /// What happened, and what to do about it.
    public let message: String
    /// The operating system's error number, where there is one.
    public let osCode: Int?
    /// With ``Kind/interrupted``, towards servers that are no gateways.
    public let interruption: Interruption?

    public var errorDescription: String? { message }

    init(_ kind: Kind, _ message: String) {
        (self.kind, self.message, osCode, interruption) = (kind, message, nil, nil)
    }
}

/// A write was cancelled, and the connection can be used as before.
public struct WriteCancelled: Error, Sendable, Equatable {
    /// So many of the bytes were accepted, and will arrive.
    public let accepted: Int
}

/// Runs a call of the library and has its failures typed.
package func translated<T>(_ call: () throws -> T) throws -> T {
    do {
        return try call()
    } catch let failure as Failure {
        throw typed(failure)
    }
}

/// Runs a call that waits, and gives it up when the task is cancelled.
func cancellable<T: Sendable>(_ call: @Sendable (Cancellation) async throws -> T) async throws -> T {
    let cancellation = Cancellation()
    do {
        return try await withTaskCancellationHandler {
            try await call(cancellation)
        } onCancel: {
            cancellation.cancel()
        }
    } catch let failure as Failure {
        throw typed(failure)
    }
}

func typed(_ failure: Failure) -> any Error {
    switch failure {
    case .Failed(kind: .cancelled, reason: _, osCode: _, interruption: _):
        CancellationError()
    case .Failed(let kind, let reason, let osCode, let interruption):
        TwinpathError(kind, reason, osCode, interruption)
    }
}

extension TwinpathError {
    fileprivate init(_ kind: TwinpathCore.Kind, _ reason: String, _ code: Int32?, _ lost: TwinpathCore.Interruption?) {
        self.kind = Kind(kind)
        message = reason
        osCode = code.map(Int.init)
        interruption = lost.map {
            Interruption(
                role: Role($0.role),
                written: Int64(clamping: $0.written),
                acknowledged: $0.acknowledged.map(Int64.init(clamping:)),
                read: Int64(clamping: $0.read)
            )
        }
    }
}

extension TwinpathError.Kind {
    init(_ kind: TwinpathCore.Kind) {
        switch kind {
        case .invalidInput: self = .invalidInput
        case .noInterface: self = .noInterface
        case .nameNotFound: self = .nameNotFound
        case .refused: self = .refused
        case .unreachable: self = .unreachable
        case .timedOut: self = .timedOut
        case .notPermitted: self = .notPermitted
        case .notAGateway: self = .notAGateway
        case .gatewayRefused: self = .gatewayRefused
        case .pinMismatch: self = .pinMismatch
        case .interrupted: self = .interrupted
        case .reset: self = .reset
        case .protocol: self = .protocolError
        case .closed: self = .closed
        case .unsupported: self = .unsupported
        // Swift has its own way to be cancelled.
        case .cancelled, .other: self = .other
        }
    }
}

extension TwinpathError.Kind {
    var core: TwinpathCore.Kind {
        switch self {
        case .invalidInput: .invalidInput
        case .noInterface: .noInterface
        case .nameNotFound: .nameNotFound
        case .refused: .refused
        case .unreachable: .unreachable
        case .timedOut: .timedOut
        case .notPermitted: .notPermitted
        case .notAGateway: .notAGateway
        case .gatewayRefused: .gatewayRefused
        case .pinMismatch: .pinMismatch
        case .interrupted: .interrupted
        case .reset: .reset
        case .protocolError: .protocol
        case .closed: .closed
        case .unsupported: .unsupported
        case .other: .other
        }
    }
}
