import Twinpath

/// What happened, the newest last. It holds no address and no host name, so that it may be shared.
public struct EventLog: Sendable, Equatable {
    public struct Entry: Sendable, Equatable, Identifiable {
        public let id: Int
        public let at: Duration
        let source: Key
        let what: Phrase

        public var phrase: Phrase {
            Phrase(.logLine, .number(at / .seconds(1), digits: 2), .key(source), .phrase(what))
        }
    }

    /// Entries that are kept.
    public static let limit = 500

    public private(set) var entries: [Entry] = []
    private var added = 0

    public init() {}

    mutating func add(_ what: Phrase, of source: Key, at time: Duration) {
        entries.append(Entry(id: added, at: time, source: source, what: what))
        added += 1
        if entries.count > Self.limit { entries.removeFirst(entries.count - Self.limit) }
    }

    /// All of it, a line for each entry.
    public func text(in language: Language) -> String {
        entries.map { language.say($0.phrase) + "\n" }.joined()
    }
}

extension Phrase {
    /// An event of the SDK's, in words. The text of an error is left out: it may name the server.
    init(_ event: TwinpathEvent) {
        switch event {
        case .established: self.init(.logEstablished)
        case .legUp(let path): self.init(.logLegUp, .role(path))
        case .legDown(let path, let reason): self.init(.logLegDown, .role(path), .text(reason))
        case .hedge(let from, let to): self.init(.logHedge, .role(from), .role(to))
        case .recovered(_, let stall): self.init(.logRecovered, .milliseconds(stall))
        case .failover(_, let to, let reason, let stall):
            self.init(.logFailover, .role(to), .milliseconds(stall), .text(reason))
        case .failback(_, let to): self.init(.logFailback, .role(to))
        case .protectionChanged(let protection): self.init(protection)
        case .modeChanged(let mode, let reason): self.init(.logMode, .key(mode.key), .text(reason))
        case .budgetExhausted: self.init(.logBudget)
        case .goingAway(let within): self.init(.logGoingAway, .number(within / .seconds(1), digits: 0))
        case .closed(nil): self.init(.logClosed)
        case .closed: self.init(.logBroken)
        case .ended(let summary):
            self.init(
                .logEnded, .number(Double(summary.failovers), digits: 0), .milliseconds(summary.worstStall),
                .megabytes(summary.read))
        }
    }

    /// Whether losing the active path is survived, and why not.
    init(_ protection: Protection) {
        // The reason stands behind the colon.
        let reason = protection.description.split(separator: ": ", maxSplits: 1).last ?? ""
        if protection.isProtected { self.init(.protected) } else { self.init(.unprotected, .text(String(reason))) }
    }
}
