// The few declarations of Apple's Network.framework that this package uses, written by hand, so that the files that import it
// can be compiled where there is no such framework. They do nothing.
import Dispatch
import Foundation

public final class NWInterface: Sendable {
    public enum InterfaceType: Sendable { case other, wifi, cellular, wiredEthernet, loopback }
    public let type: InterfaceType
    public let name: String
    public let index: Int
    init(type: InterfaceType, name: String, index: Int) { (self.type, self.name, self.index) = (type, name, index) }
}

public enum NWEndpoint: Sendable {
    public enum Host: Sendable, CustomStringConvertible {
        case name(String, NWInterface?)
        public init(_ string: String) { self = .name(string, nil) }
        public var description: String { "" }
    }
    public struct Port: Sendable {
        public static let any = Port()
        init() {}
        public init?(rawValue: UInt16) {}
    }
    case hostPort(host: Host, port: Port)
    case service(name: String, type: String, domain: String, interface: NWInterface?)
}

public struct NWPath: Sendable {
    public enum Status: Sendable { case satisfied, unsatisfied, requiresConnection }
    public enum UnsatisfiedReason: Sendable { case notAvailable, cellularDenied, wifiDenied, localNetworkDenied }
    public var status: Status { .unsatisfied }
    public var unsatisfiedReason: UnsatisfiedReason { .notAvailable }
    public var availableInterfaces: [NWInterface] { [] }
    public var isExpensive: Bool { false }
    public var isConstrained: Bool { false }
    public var supportsIPv4: Bool { false }
    public var supportsIPv6: Bool { false }
    public var remoteEndpoint: NWEndpoint? { nil }
}

public final class NWPathMonitor: Sendable {
    public init(requiredInterfaceType: NWInterface.InterfaceType) {}
    public var pathUpdateHandler: (@Sendable (NWPath) -> Void)? {
        get { nil }
        set {}
    }
    public func start(queue: DispatchQueue) {}
    public func cancel() {}
}

public enum NWError: Error, Sendable {
    case posix(POSIXErrorCode)
    case dns(Int32)
    case tls(Int32)
}

public class NWProtocolOptions: @unchecked Sendable {}

public enum NWProtocolTCP {
    public final class Options: NWProtocolOptions, @unchecked Sendable {
        public override init() {}
        public var noDelay = false
    }
}

public enum NWProtocolTLS {
    public final class Options: NWProtocolOptions, @unchecked Sendable {}
}

public final class NWParameters: @unchecked Sendable {
    public init(tls: NWProtocolTLS.Options?, tcp: NWProtocolTCP.Options) {}
    public enum MultipathServiceType: Sendable { case disabled, handover, interactive, aggregate }
    public var requiredInterface: NWInterface?
    public var multipathServiceType = MultipathServiceType.disabled
    public var prohibitExpensivePaths = false
    public var prohibitConstrainedPaths = false
}

public final class NWConnection: Sendable {
    public enum State: Sendable {
        case setup, preparing, ready, cancelled
        case waiting(NWError)
        case failed(NWError)
    }
    public enum SendCompletion: Sendable {
        case contentProcessed(@Sendable (NWError?) -> Void)
        case idempotent
    }
    public final class ContentContext: Sendable {
        public static let finalMessage = ContentContext()
        public static let defaultMessage = ContentContext()
    }
    public struct EstablishmentReport: Sendable {
        public struct Handshake: Sendable { public let handshakeRTT: TimeInterval }
        public let handshakes: [Handshake]
    }
    public init(host: NWEndpoint.Host, port: NWEndpoint.Port, using: NWParameters) {}
    public var stateUpdateHandler: (@Sendable (State) -> Void)? {
        get { nil }
        set {}
    }
    public var viabilityUpdateHandler: (@Sendable (Bool) -> Void)? {
        get { nil }
        set {}
    }
    public var currentPath: NWPath? { nil }
    public func start(queue: DispatchQueue) {}
    public func send(
        content: Data?, contentContext: ContentContext = .defaultMessage, isComplete: Bool = true,
        completion: SendCompletion
    ) {}
    public func receive(
        minimumIncompleteLength: Int, maximumLength: Int,
        completion: @escaping @Sendable (Data?, ContentContext?, Bool, NWError?) -> Void
    ) {}
    public func requestEstablishmentReport(
        queue: DispatchQueue, completion: @escaping @Sendable (EstablishmentReport?) -> Void
    ) {}
    public func cancel() {}
    public func forceCancel() {}
}
