#if canImport(Network)
    import Foundation
    import Network

    /// Legs by Network.framework: an `NWConnection` wakes the modem, looks names up over its own interface, and finds an
    /// IPv6 network's way to IPv4 servers, which a socket on iOS does not.
    public final class NetworkLegs: LegDialer {
        private let networks: DeviceNetworks

        /// Over the interfaces that `networks` knows.
        public init(networks: DeviceNetworks = .shared) {
            self.networks = networks
        }

        public func dial(_ target: LegTarget, pipe: LegPipe) throws -> any PlatformLeg {
            let leg = NetworkLeg(pipe)
            networks.start()
            networks.whenKnown { [networks] in
                leg.begin(target, among: networks)
            }
            return leg
        }

        public func dialMultipath(_ target: LegTarget, service: ServiceType, pipe: LegPipe) throws -> any PlatformLeg {
            let leg = NetworkLeg(pipe)
            leg.begin(target, multipath: service)
            return leg
        }
    }

    /// All of it happens on one queue: what is told of a leg keeps its order.
    final class NetworkLeg: PlatformLeg, @unchecked Sendable {
        private static let queue = DispatchQueue(label: "org.twinpath.legs")
        private let pipe: LegPipe
        /// On the queue, as what follows.
        private var connection: NWConnection?
        private var isClosed = false

        init(_ pipe: LegPipe) {
            self.pipe = pipe
        }

        func begin(_ target: LegTarget, among networks: DeviceNetworks) {
            Self.queue.async { [self] in
                guard !isClosed else { return }
                let interface = target.interface.flatMap { networks.interface(named: $0.name) }
                if let wanted = target.interface, interface == nil {
                    return pipe.failed(.noInterface, "\(wanted.name) is not there any more")
                }
                open(target) { $0.requiredInterface = interface }
            }
        }

        /// The system chooses the interfaces, and moves the connection between them.
        func begin(_ target: LegTarget, multipath service: ServiceType) {
            Self.queue.async { [self] in
                guard !isClosed else { return }
                open(target) { $0.multipathServiceType = NWParameters.MultipathServiceType(service) }
            }
        }

        private func open(_ target: LegTarget, by way: (NWParameters) -> Void) {
            let options = NWProtocolTCP.Options()
            options.noDelay = true
            let parameters = NWParameters(tls: nil, tcp: options)
            // Whether something may be spent is the library's to say.
            parameters.prohibitExpensivePaths = false
            parameters.prohibitConstrainedPaths = false
            way(parameters)
            let host = NWEndpoint.Host(target.addresses.first ?? target.host)
            let port = NWEndpoint.Port(rawValue: target.port) ?? .any
            let connection = NWConnection(host: host, port: port, using: parameters)
            self.connection = connection
            connection.stateUpdateHandler = { [weak self] in self?.changed(to: $0) }
            connection.viabilityUpdateHandler = { [weak self] isViable in
                // The interface, or the address, is gone, of MPTCP the last one: no need to wait for a timer.
                if !isViable { self?.lost(.posix(.ENETDOWN)) }
            }
            connection.start(queue: Self.queue)
        }

        private func changed(to state: NWConnection.State) {
            switch state {
            case .ready:
                connection?.requestEstablishmentReport(queue: Self.queue) { [pipe, peer] report in
                    let rtt = report?.handshakes.first?.handshakeRTT
                    pipe.connected(peer: peer, rtt: rtt.map { .seconds($0) })
                }
            // It would wait for a better network, which is the library's to choose.
            case .waiting(let error), .failed(let error): lost(error)
            case .setup, .preparing, .cancelled: break
            @unknown default: break
            }
        }

        private var peer: String? {
            guard case .hostPort(let host, _) = connection?.currentPath?.remoteEndpoint else { return nil }
            return "\(host)"
        }

        private func lost(_ error: NWError) {
            switch error {
            case .posix(let code): pipe.failed(.other, "\(error)", osCode: code.rawValue)
            case .dns: pipe.failed(.nameNotFound, "\(error)")
            default: pipe.failed(.other, "\(error)")
            }
        }

        func send(_ bytes: Data) {
            Self.queue.async { [self] in
                connection?.send(
                    content: bytes,
                    completion: .contentProcessed { [weak self] error in
                        if let error { self?.lost(error) } else { self?.pipe.sent(bytes.count) }
                    })
            }
        }

        func receive(max: Int) {
            Self.queue.async { [self] in
                connection?.receive(minimumIncompleteLength: 1, maximumLength: max) { [weak self] bytes, _, isComplete, error in
                    guard let self else { return }
                    if let bytes, !bytes.isEmpty { pipe.received(bytes) }
                    if isComplete { pipe.receivedEnd() } else if let error { lost(error) }
                }
            }
        }

        func finish() {
            Self.queue.async { [self] in
                connection?.send(content: nil, contentContext: .finalMessage, isComplete: true, completion: .idempotent)
            }
        }

        func close(aborted: Bool) {
            Self.queue.async { [self] in
                isClosed = true
                if aborted { connection?.forceCancel() } else { connection?.cancel() }
                connection = nil
            }
        }
    }

    extension NWParameters.MultipathServiceType {
        fileprivate init(_ service: ServiceType) {
            switch service {
            case .handover: self = .handover
            case .interactive: self = .interactive
            case .aggregate: self = .aggregate
            }
        }
    }
#endif
