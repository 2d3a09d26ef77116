internal import TwinpathCore

/// The library itself. Not named as its module is, so that `Twinpath.Mode` means what it says.
public enum TwinpathLibrary {
    /// Its version.
    public static var version: String { TwinpathCore.version() }

    /// Hands the lines of the library's log to `sink`, on a thread of its own and one after the other; to nobody if it is
    /// `nil`.
    public static func log(
        _ level: LogLevel, to sink: (@Sendable (_ level: LogLevel, _ module: String, _ line: String) -> Void)?
    ) throws {
        try translated { try setLogSink(sink: sink.map(Forward.init), level: level.core) }
    }

    /// Takes these networks for all that there are, until it is called again; if `nil`, the system is asked. For
    /// platforms that tell an app more than a library: connections go on over what has come, and leave what is gone.
    public static func setNetworks(_ networks: [TwinpathNetwork]?) throws {
        try translated { try TwinpathCore.setNetworks(networks: networks?.map(\.core)) }
    }

    /// Says whether the device mandates a proxy for all traffic: then connections take the system's route.
    public static func setProxyMandated(_ isMandated: Bool) throws {
        try translated { try TwinpathCore.setProxyMandated(isMandated: isMandated) }
    }

    /// Tests whether the networks that the device is in let Multipath TCP through to a server, over these interfaces or over all
    /// that can be used; within 12 s. The answer is JSON, the same that `twinpath doctor --json` has (`core/doctor/SCHEMA.md`),
    /// for whoever supports the app. It has addresses in it. That nothing could be reached is an answer as well.
    public static func diagnose(host: String, port: Int, interfaces: [String] = []) async throws -> String {
        let target = try target(host, port)
        return try await cancellable {
            try await TwinpathCore.diagnose(target: target, interfaces: interfaces, cancellation: $0)
        }
    }
}

private final class Forward: LogSink {
    private let sink: @Sendable (LogLevel, String, String) -> Void

    init(_ sink: @escaping @Sendable (LogLevel, String, String) -> Void) {
        self.sink = sink
    }

    func log(level: TwinpathCore.LogLevel, module: String, line: String) throws {
        sink(LogLevel(level), module, line)
    }
}
