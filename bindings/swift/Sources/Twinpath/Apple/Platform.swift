internal import TwinpathCore

/// What a connector is tied to by default: on iOS legs are `NWConnection`s over the networks that the system tells of, and
/// paths are let go of while the app is in the background. Elsewhere the library does all by itself.
final class Platform: Sendable {
    #if os(iOS) || TWINPATH_STUBS
        private let lifeCycle: LifeCycle?

        static func dialer() -> (any LegDialer)? {
            DeviceNetworks.shared.start()
            return NetworkLegs()
        }

        init(_ connector: Connector, followsLifeCycle: Bool) {
            DeviceNetworks.shared.watch(connector)
            lifeCycle = followsLifeCycle ? LifeCycle(connector) : nil
        }
    #else
        static func dialer() -> (any LegDialer)? { nil }

        init(_ connector: Connector, followsLifeCycle: Bool) {}
    #endif
}
