import Foundation
import Twinpath

/// Every text of the demo, by its name in `Localizable.strings`.
public enum Key: String, Sendable, CaseIterable {
    case title, server, serverHint = "server.hint", service, start, stop, share, log, budget, fault
    case handover = "service.handover", interactive = "service.interactive", aggregate = "service.aggregate"
    case idle = "state.idle", connecting = "state.connecting", running = "state.running", stopped = "state.stopped"
    case failed = "state.failed"
    case emulated = "mode.emulated", plainPair = "mode.plainPair", singlePath = "mode.singlePath"
    case kernelMptcp = "mode.kernelMptcp", modeBecause = "mode.because"
    case protected = "protection.yes", unprotected = "protection.no", requests = "protection.requests"
    case wifi = "role.primary", cellular = "role.backup", cellularName = "role.backup.name"
    case delays = "echo.delays", budgetUsed = "budget.used", megabytes, noLimit
    case faultNone = "fault.none", blackhole = "fault.blackhole", reset = "fault.reset", delayed = "fault.delay"
    case chart, chartValue = "chart.value", rate = "chart.rate", minuteAgo = "chart.minuteAgo", now = "chart.now"
    case hedge = "marker.hedge", failover = "marker.failover", failback = "marker.failback", withStall = "marker.stall"
    case stream = "source.stream", echo = "source.echo", download = "source.download", probe = "source.probe"
    case app = "source.app"
    case logLine = "log.line", logStarted = "log.started", logFault = "log.fault", logEstablished = "log.established"
    case logLegUp = "log.legUp", logLegDown = "log.legDown", logHedge = "log.hedge", logRecovered = "log.recovered"
    case logFailover = "log.failover", logFailback = "log.failback"
    case logFailed = "log.failed", logMode = "log.mode", logBudget = "log.budgetExhausted", logGoingAway = "log.goingAway"
    case logClosed = "log.closed", logBroken = "log.broken", logEnded = "log.ended", logResumed = "log.resumed"
    case invalidServer = "error.server", wrongStatus = "error.status"
    case invalidInput = "error.invalidInput", noInterface = "error.noInterface", nameNotFound = "error.nameNotFound"
    case refused = "error.refused", unreachable = "error.unreachable", timedOut = "error.timedOut"
    case notPermitted = "error.notPermitted", notAGateway = "error.notAGateway", gatewayRefused = "error.gatewayRefused"
    case pinMismatch = "error.pinMismatch", interrupted = "error.interrupted", wasReset = "error.reset"
    case protocolError = "error.protocolError", closed = "error.closed", unsupported = "error.unsupported"
    case other = "error.other"
}

/// A text before its language is known.
public struct Phrase: Sendable, Equatable {
    public indirect enum Argument: Sendable, Equatable {
        case text(String)
        case number(Double, digits: Int)
        case phrase(Phrase)
    }

    public let key: Key
    public let arguments: [Argument]

    public init(_ key: Key, _ arguments: Argument...) {
        (self.key, self.arguments) = (key, arguments)
    }
}

/// The texts of one language.
public struct Language: Sendable {
    private let text: @Sendable (String) -> String
    private let locale: Locale

    /// `text` gives what stands under a name in `Localizable.strings`.
    public init(_ locale: Locale, text: @escaping @Sendable (String) -> String) {
        (self.locale, self.text) = (locale, text)
    }

    public func say(_ key: Key) -> String { text(key.rawValue) }

    public func say(_ phrase: Phrase) -> String {
        // In one pass: what an argument says is not looked into.
        var said = ""
        var rest = Substring(say(phrase.key))
        while let mark = rest.firstMatch(of: /%(\d)\$@/) {
            said += rest[..<mark.range.lowerBound]
            let place = Int(mark.1)! - 1
            if phrase.arguments.indices.contains(place) { said += say(phrase.arguments[place]) }
            rest = rest[mark.range.upperBound...]
        }
        return said + rest
    }

    private func say(_ argument: Phrase.Argument) -> String {
        switch argument {
        case .text(let text): text
        case .phrase(let phrase): say(phrase)
        case .number(let number, let digits):
            number.formatted(.number.precision(.fractionLength(digits)).locale(locale))
        }
    }
}

extension Phrase.Argument {
    static func key(_ key: Key) -> Self { .phrase(Phrase(key)) }
    static func milliseconds(_ time: Duration) -> Self { .number(time / .milliseconds(1), digits: 0) }
    static func megabytes(_ bytes: Int64) -> Self { .number(Double(bytes) / 1e6, digits: 2) }
    static func role(_ path: PathName) -> Self { .key(path.role.key) }
}

extension Role {
    /// Within a sentence.
    var key: Key { self == .primary ? .wifi : .cellular }
    /// By itself.
    public var name: Key { self == .primary ? .wifi : .cellularName }
}

extension ServiceType {
    public var key: Key {
        switch self {
        case .handover: .handover
        case .interactive: .interactive
        case .aggregate: .aggregate
        }
    }
}

extension Mode {
    var key: Key {
        switch self {
        case .emulated: .emulated
        case .plainPair: .plainPair
        case .singlePath: .singlePath
        case .kernelMptcp: .kernelMptcp
        }
    }
}

extension TwinpathError.Kind {
    var key: Key {
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
        case .reset: .wasReset
        case .protocolError: .protocolError
        case .closed: .closed
        case .unsupported: .unsupported
        case .other: .other
        }
    }
}

extension TrafficChart.Marker {
    /// What stands at it.
    public var phrase: Phrase {
        let name = Phrase(kind.key)
        return stall.map { Phrase(.withStall, .phrase(name), .milliseconds($0)) } ?? name
    }
}

extension TrafficChart.Kind {
    var key: Key {
        switch self {
        case .hedge: .hedge
        case .failover: .failover
        case .failback: .failback
        }
    }
}
