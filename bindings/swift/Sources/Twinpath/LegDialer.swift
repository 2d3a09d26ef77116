import Foundation
internal import TwinpathCore

/// Opens legs (TCP connections on one path) instead of the library, which binds sockets to interfaces by itself. For
/// platforms and tests where something else has to.
public protocol LegDialer: Sendable {
    /// Begins to open a leg, and tells `pipe` what becomes of it. Called on the library's thread: it has to return at once.
    func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg

    /// Begins to open a connection whose paths the platform keeps by itself, with MPTCP as `service` asks; the rest as for
    /// ``dial(_:pipe:)``. Only asked for with ``TwinpathOptions/hasMultipathEntitlement``, and the target has no interface.
    /// Throws, as is the default, if there is no such thing: then ordinary legs are asked for.
    func dialMultipath(_ target: LegTarget, service: ServiceType, pipe: LegPipe) throws -> any PlatformLeg
}

extension LegDialer {
    public func dialMultipath(_ target: LegTarget, service: ServiceType, pipe: LegPipe) throws -> any PlatformLeg {
        throw TwinpathError(.unsupported, "this dialer opens no MPTCP connections")
    }
}

/// Where a leg goes, and by which way.
public struct LegTarget: Sendable, Hashable {
    /// The interface that a leg must leave by.
    public struct Interface: Sendable, Hashable {
        /// The system's name of it, as in `en0`.
        public let name: String
        /// The system's index of it, 0 where it is not known.
        public let index: Int
        /// What it is.
        public let kind: InterfaceKind
    }

    /// The role of its path.
    public let role: Role
    /// The interface it must leave by; the system's choice if `nil`.
    public let interface: Interface?
    /// The host, to be looked up over that interface if there are no ``addresses``.
    public let host: String
    /// The TCP port.
    public let port: UInt16
    /// Addresses to be tried instead of the host, the best first: a further leg has to reach the server of the first.
    public let addresses: [String]
}

/// A leg that a ``LegDialer`` opens. Its calls come one at a time, on the library's thread, and have to return at once.
public protocol PlatformLeg: AnyObject, Sendable {
    /// Sends `bytes` after all that came before. ``LegPipe/sent(_:)`` tells when they are taken.
    func send(_ bytes: Data)

    /// Receives once, at least one byte and `max` at most, and answers with ``LegPipe/received(_:)``.
    func receive(max: Int)

    /// Ends the sending direction after all that was sent.
    func finish()

    /// Gives the leg up, at any time: the last call. What was sent still leaves, unless it is `aborted`; then the peer is told
    /// by a reset, where there is such a thing.
    func close(aborted: Bool)
}

/// By which a ``PlatformLeg`` tells what becomes of it: from any thread, and inside of the calls that ask for it as well.
/// What is told after the leg was closed is ignored.
public final class LegPipe: Sendable {
    private let core: TwinpathCore.LegPipe

    init(_ core: TwinpathCore.LegPipe) {
        self.core = core
    }

    /// The leg is open. Without `peer`, its address, a further leg may reach another server of the same name.
    public func connected(peer: String?, rtt: Duration?) {
        try? core.connected(facts: LegFacts(peerAddress: peer, rtt: rtt?.interval))
    }

    /// So many more bytes are taken.
    public func sent(_ count: Int) {
        try? core.sent(bytes: UInt32(clamping: count))
    }

    /// The next bytes have come. If they are none, or more than were asked for, the leg fails.
    public func received(_ bytes: Data) {
        // No leg is asked for so much, and what is handed over is measured in 31 bits.
        guard bytes.count <= 1 << 20 else {
            return failed(.protocolError, "a leg gave \(bytes.count) bytes, and was asked for less")
        }
        try? core.received(bytes: bytes)
    }

    /// The peer has ended its direction.
    public func receivedEnd() {
        try? core.receivedEnd()
    }

    /// The leg could not be opened, or is lost. A number of the operating system's says more than a kind.
    public func failed(_ kind: TwinpathError.Kind, _ message: String, osCode: Int32? = nil) {
        try? core.failed(kind: kind.core, reason: message, osCode: osCode)
    }
}

/// A dialer as the library calls it.
final class CalledDialer: TwinpathCore.LegDialer {
    private let dialer: any LegDialer

    init(_ dialer: any LegDialer) {
        self.dialer = dialer
    }

    func dial(target: TwinpathCore.LegTarget, pipe: TwinpathCore.LegPipe) throws -> any TwinpathCore.PlatformLeg {
        try called { try dialer.dial(LegTarget(target), pipe: LegPipe(pipe)) }
    }

    func dialMultipath(target: TwinpathCore.LegTarget, service: Service, pipe: TwinpathCore.LegPipe) throws
        -> any TwinpathCore.PlatformLeg
    {
        try called { try dialer.dialMultipath(LegTarget(target), service: ServiceType(service), pipe: LegPipe(pipe)) }
    }

    /// What the library throws itself keeps its kind.
    private func called(_ dial: () throws -> any PlatformLeg) throws -> any TwinpathCore.PlatformLeg {
        do {
            return CalledLeg(try dial())
        } catch let error as TwinpathError {
            throw Failure.Failed(kind: error.kind.core, reason: error.message, osCode: nil, interruption: nil)
        }
    }
}

extension LegTarget {
    fileprivate init(_ target: TwinpathCore.LegTarget) {
        role = Role(target.role)
        interface = target.interface.map {
            Interface(name: $0.name, index: Int($0.index), kind: InterfaceKind($0.kind))
        }
        (host, port, addresses) = (target.host, target.port, target.addresses)
    }
}

private final class CalledLeg: TwinpathCore.PlatformLeg {
    private let leg: any PlatformLeg

    init(_ leg: any PlatformLeg) {
        self.leg = leg
    }

    func send(bytes: Data) throws { leg.send(bytes) }
    func receive(max: UInt32) throws { leg.receive(max: Int(max)) }
    func finish() throws { leg.finish() }
    func close(aborted: Bool) throws { leg.close(aborted: aborted) }
}
