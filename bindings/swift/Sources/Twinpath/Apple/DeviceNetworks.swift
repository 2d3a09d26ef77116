#if canImport(Network)
    import Foundation
    import Network
    internal import TwinpathCore

    /// The networks of the device, as `NWPathMonitor` tells of them: the library hears of what comes and goes, and what it
    /// costs.
    public final class DeviceNetworks: @unchecked Sendable {
        /// The one that all connectors share.
        public static let shared = DeviceNetworks()

        private let queue = DispatchQueue(label: "org.twinpath.networks")
        private let lock = NSLock()
        /// Under `lock`: the monitors that run, what they said last, and whom it concerns.
        private var monitors: [InterfaceKind: NWPathMonitor] = [:]
        private var paths: [InterfaceKind: NWPath] = [:]
        private var savers: [ObjectIdentifier: Saver] = [:]
        private var waiting: [@Sendable () -> Void] = []

        private struct Saver { weak var connector: Connector? }

        private init() {}

        /// Begins to tell the library; on iOS, the first connector does so as well.
        public func start() {
            lock.withLock {
                guard monitors.isEmpty else { return }
                for (kind, type) in [(InterfaceKind.wifi, NWInterface.InterfaceType.wifi), (.cellular, .cellular), (.wired, .wiredEthernet)] {
                    let monitor = NWPathMonitor(requiredInterfaceType: type)
                    monitor.pathUpdateHandler = { [weak self] in self?.changed(kind, to: $0) }
                    monitor.start(queue: queue)
                    monitors[kind] = monitor
                }
            }
        }

        /// Ends it: the system is asked again.
        public func stop() {
            lock.withLock {
                monitors.values.forEach { $0.cancel() }
                monitors = [:]
                paths = [:]
            }
            try? TwinpathLibrary.setNetworks(nil)
        }

        /// Has the connector spend nothing on the backup in Low Data Mode.
        func watch(_ connector: Connector) {
            lock.withLock {
                savers = savers.filter { $0.value.connector != nil }
                savers[ObjectIdentifier(connector)] = Saver(connector: connector)
            }
            // What was told before this one came; on the queue, so that it is not told after something newer.
            queue.async { [weak self, weak connector] in
                guard let self, let connector, let isSaving = lock.withLock({ self.isSaving }) else { return }
                try? connector.setDataSaving(dataSaving: isSaving)
            }
        }

        /// Under `lock`: whether cellular is in Low Data Mode; `nil` while nobody has said.
        private var isSaving: Bool? { paths[.cellular]?.isConstrained }

        /// Runs `act` on the monitors' queue, once each of them has spoken: right after a start nothing is known yet.
        func whenKnown(_ act: @escaping @Sendable () -> Void) {
            let isKnown = lock.withLock {
                let isKnown = isComplete
                if !isKnown { waiting.append(act) }
                return isKnown
            }
            if isKnown { queue.async(execute: act) }
        }

        /// Under `lock`.
        private var isComplete: Bool { paths.count == monitors.count }

        func interface(named name: String) -> NWInterface? {
            lock.withLock { paths.values.flatMap(\.availableInterfaces).first { $0.name == name } }
        }

        private func changed(_ kind: InterfaceKind, to path: NWPath) {
            let (known, connectors, waited) = lock.withLock {
                // What was under way when it was ended is nobody's any more.
                if monitors[kind] != nil { paths[kind] = path }
                // Until each monitor has spoken once, a list would have others taken for gone.
                guard isComplete, !monitors.isEmpty else {
                    return ([InterfaceKind: NWPath](), [Connector](), [@Sendable () -> Void]())
                }
                defer { waiting = [] }
                return (paths, savers.values.compactMap(\.connector), waiting)
            }
            guard !known.isEmpty else { return }
            let addresses = addressesByInterface()
            let networks = known.flatMap { kind, path -> [TwinpathNetwork] in
                guard path.status == .satisfied else { return [] }
                return path.availableInterfaces.map { interface in
                    TwinpathNetwork(
                        name: interface.name, index: interface.index, kind: kind,
                        cost: path.isExpensive ? .metered : .unmetered, addresses: addresses[interface.name] ?? [],
                        hasIPv4: path.supportsIPv4, hasIPv6: path.supportsIPv6)
                }
            }
            try? TwinpathLibrary.setNetworks(networks)
            let isSaving = known[.cellular]?.isConstrained ?? false
            for connector in connectors { try? connector.setDataSaving(dataSaving: isSaving) }
            waited.forEach { $0() }
        }
    }

    private func addressesByInterface() -> [String: [String]] {
        var all: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&all) == 0 else { return [:] }
        defer { freeifaddrs(all) }
        var found: [String: [String]] = [:]
        var next = all
        while let one = next?.pointee {
            next = one.ifa_next
            guard let address = one.ifa_addr else { continue }
            let size: Int
            switch Int32(address.pointee.sa_family) {
            case AF_INET: size = MemoryLayout<sockaddr_in>.size
            case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
            default: continue
            }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            guard getnameinfo(address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else {
                continue
            }
            let digits = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            found[String(cString: one.ifa_name), default: []].append(digits)
        }
        return found
    }
#endif
