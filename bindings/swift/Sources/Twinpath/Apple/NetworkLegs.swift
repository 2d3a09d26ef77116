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
        /// On the queue, as what follows: the attempts by their addresses, and the one that was kept.
        private var attempts: [NWConnection] = []
        private var dial = LegDial(addresses: 0)
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

        /// Of a name the system tries all addresses by itself, as `LegDial` does with those that are given.
        private func open(_ target: LegTarget, by way: @escaping @Sendable (NWParameters) -> Void) {
            let hosts = target.addresses.isEmpty ? [target.host] : target.addresses
            dial = LegDial(addresses: hosts.count)
            follow(dial.begin()) { number in
                let options = NWProtocolTCP.Options()
                options.noDelay = true
                let parameters = NWParameters(tls: nil, tcp: options)
                // Whether something may be spent is the library's to say.
                parameters.prohibitExpensivePaths = false
                parameters.prohibitConstrainedPaths = false
                way(parameters)
                let port = NWEndpoint.Port(rawValue: target.port) ?? .any
                return NWConnection(host: NWEndpoint.Host(hosts[number]), port: port, using: parameters)
            }
        }

        private func follow(_ steps: [LegDial.Step], _ connect: @escaping @Sendable (Int) -> NWConnection) {
            for step in steps {
                guard !isClosed else { return }
                switch step {
                case .begin(let number): start(connect(number), number, connect)
                case .askLater(let begun):
                    Self.queue.asyncAfter(deadline: .now() + (LegDial.stagger / .seconds(1))) { [weak self] in
                        guard let self, !isClosed else { return }
                        follow(dial.later(than: begun), connect)
                    }
                case .keep(let number): keep(number)
                case .fail(let setback):
                    attempts.forEach { $0.forceCancel() }
                    pipe.failed(setback.kind, setback.message, osCode: setback.osCode)
                }
            }
        }

        private func start(_ attempt: NWConnection, _ number: Int, _ connect: @escaping @Sendable (Int) -> NWConnection) {
            attempts.append(attempt)
            attempt.stateUpdateHandler = { [weak self, weak attempt] state in
                guard let self, let attempt, !isClosed else { return }
                if attempt === connection {
                    // What was ready does not wait for another network: to choose one is the library's.
                    if case .waiting(let error) = state { lost(error) }
                    if case .failed(let error) = state { lost(error) }
                    return
                }
                switch state {
                case .ready: follow(dial.isReady(number), connect)
                case .preparing: dial.goesOn(number)
                case .waiting(let error):
                    let network = LegDial.Network(attempt.currentPath)
                    follow(dial.waits(number, DialSetback(error), over: network), connect)
                case .failed(let error): follow(dial.failed(number, DialSetback(error)), connect)
                case .setup, .cancelled: break
                @unknown default: break
                }
            }
            attempt.viabilityUpdateHandler = { [weak self, weak attempt] isViable in
                // The interface, or the address, is gone, of MPTCP the last one: no need to wait for a timer.
                if !isViable, let self, let attempt, attempt === connection { lost(.posix(.ENETDOWN)) }
            }
            attempt.start(queue: Self.queue)
        }

        private func keep(_ number: Int) {
            let kept = attempts[number]
            connection = kept
            for attempt in attempts where attempt !== kept { attempt.forceCancel() }
            attempts = []
            kept.requestEstablishmentReport(queue: Self.queue) { [pipe, peer] report in
                let rtt = report?.handshakes.first?.handshakeRTT
                pipe.connected(peer: peer, rtt: rtt.map { .seconds($0) })
            }
        }

        private var peer: String? {
            guard case .hostPort(let host, _) = connection?.currentPath?.remoteEndpoint else { return nil }
            return "\(host)"
        }

        private func lost(_ error: NWError) {
            let setback = DialSetback(error)
            pipe.failed(setback.kind, setback.message, osCode: setback.osCode)
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
                attempts.forEach { $0.forceCancel() }
                attempts = []
                if aborted { connection?.forceCancel() } else { connection?.cancel() }
                connection = nil
            }
        }
    }
#endif
