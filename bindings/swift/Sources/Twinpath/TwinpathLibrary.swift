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
