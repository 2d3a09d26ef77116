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
            var interface: NWInterface?
            if let wanted = target.interface {
                interface = networks.interface(named: wanted.name)
                guard interface != nil else {
                    throw TwinpathError(.noInterface, "\(wanted.name) is not there any more")
                }
            }
            return NetworkLeg(target, over: interface, pipe: pipe)
        }
    }

    final class NetworkLeg: PlatformLeg {
        private let connection: NWConnection
        private let pipe: LegPipe
        /// One for all, in turn: what is told of a leg keeps its order.
        private static let queue = DispatchQueue(label: "org.twinpath.legs")

        init(_ target: LegTarget, over interface: NWInterface?, pipe: LegPipe) {
            let options = NWProtocolTCP.Options()
            options.noDelay = true
            let parameters = NWParameters(tls: nil, tcp: options)
            parameters.requiredInterface = interface
            // Whether something may be spent is the library's to say.
            parameters.prohibitExpensivePaths = false
            parameters.prohibitConstrainedPaths = false
            let host = NWEndpoint.Host(target.addresses.first ?? target.host)
            let port = NWEndpoint.Port(rawValue: target.port) ?? .any
            connection = NWConnection(host: host, port: port, using: parameters)
            self.pipe = pipe
            connection.stateUpdateHandler = { [weak self] in self?.changed(to: $0) }
            connection.viabilityUpdateHandler = { [weak self] isViable in
                // The interface, or the address, is gone: no need to wait for a timer.
                if !isViable { self?.lost(.posix(.ENETDOWN)) }
            }
            connection.start(queue: Self.queue)
        }

        private func changed(to state: NWConnection.State) {
            switch state {
            case .ready:
                connection.requestEstablishmentReport(queue: Self.queue) { [pipe, peer] report in
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
            guard case .hostPort(let host, _) = connection.currentPath?.remoteEndpoint else { return nil }
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
            connection.send(
                content: bytes,
                completion: .contentProcessed { [weak self] error in
                    if let error { self?.lost(error) } else { self?.pipe.sent(bytes.count) }
                })
        }

        func receive(max: Int) {
            connection.receive(minimumIncompleteLength: 1, maximumLength: max) { [weak self] bytes, _, isComplete, error in
                guard let self else { return }
                if let bytes, !bytes.isEmpty { pipe.received(bytes) }
                if isComplete { pipe.receivedEnd() } else if let error { lost(error) }
            }
        }

        func finish() {
            connection.send(content: nil, contentContext: .finalMessage, isComplete: true, completion: .idempotent)
        }

        func close(aborted: Bool) {
            if aborted { connection.forceCancel() } else { connection.cancel() }
        }
    }
#endif
